//! An FSU: what it has by itself, and what all FSUs of its entry share.

use super::connect::Connect;
use super::fault::FsuFaults;
use super::fleet::{Device, Limits, RtnFlags};
use super::message::{Content, Message, Schedule, Transport};
use super::network::Network;
use super::tls::Tls;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::str::from_utf8;
use std::sync::Arc;

/// An FSU id as in P_dest_addr and P_src_addr: left aligned, filled with 00.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FsuId {
    /// The 20 bytes on the wire.
    pub bytes: [u8; FsuId::BYTES],
    /// How many of them were given.
    pub len: u8,
}

impl FsuId {
    /// Bytes of the address field (spec b-interface.md, Layout).
    pub const BYTES: usize = 20;

    /// The id's own bytes, without the fill.
    pub fn given(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(Self::BYTES)]
    }

    /// Appends it as upper-case hex, as `${fsuid()}$` writes it.
    pub fn push_hex(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        out.extend(self.given().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]));
    }
}

/// Upper-case hex.
impl fmt::Display for FsuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for FsuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A name in 24 bytes, without memory of its own up to 22 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Held);

const SHORT: usize = 22;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Held {
    /// Its bytes, and how many.
    Short([u8; SHORT], u8),
    Long(Box<str>),
}

const _: () = assert!(size_of::<Name>() == 24);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // It was made from a `str`.
            Held::Short(bytes, len) => from_utf8(&bytes[..usize::from(*len).min(SHORT)]).unwrap_or_default(),
            Held::Long(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self(Held::Short(bytes, text.len() as u8))
            }
            None => Self(Held::Long(text.into())),
        }
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl From<Name> for Cow<'_, str> {
    fn from(name: Name) -> Self {
        Cow::Owned(name.to_string())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        **self == *text
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// One FSU of the fleet: 88 bytes. What it shares with other FSUs of its entry is behind [`Fsu::common`], and is reached as if it
/// were its own.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Fsu {
    /// What it shares.
    pub common: Arc<Common>,
    /// Its id; empty only where the transport carries none.
    pub id: FsuId,
    /// Unique; safe as a file name.
    pub name: Name,
    /// Listen address; port 0 means any free one.
    pub bind: SocketAddr,
}

const _: () = assert!(size_of::<Fsu>() == 88, "of a large fleet each byte counts");

/// What all FSUs of an entry have in common; one for all that are equal in it.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Common {
    /// Its devices, in the order in which a TCP frame is offered to them; never empty.
    pub devices: Arc<[Arc<Device>]>,
    /// Networks of the centres that may ask; empty: any may.
    pub allow: Arc<[Network]>,
    /// Faults made on purpose; `None` if neither this FSU nor any of its rules configures a fault.
    pub faults: Option<Arc<FsuFaults>>,
    /// Answer frames addressed to another id.
    pub accept_any_id: bool,
    /// RtnFlags that requests may have (udp).
    pub accept_rtn_flags: RtnFlags,
    /// Answer a centre's heartbeat with one.
    pub heartbeat_reply: bool,
    /// Some device of it has a conversation.
    pub talks: bool,
    /// How it is reached.
    pub transport: Transport,
    /// Its bounds.
    pub limits: Limits,
    /// What it sends by itself.
    pub messages: Arc<[Message]>,
    /// Its parameters, by their number in the fleet; empty where an FSU has none of that name.
    pub params: Arc<[Box<str>]>,
    /// Milliseconds after which a silent centre is offline.
    pub client_timeout_ms: u64,
    /// Where it dials out to; `None`: nowhere.
    pub connect: Option<Arc<Connect>>,
    /// The connections that it accepts are TLS.
    pub tls: Option<Arc<Tls>>,
}

impl Deref for Fsu {
    type Target = Common;

    #[inline]
    fn deref(&self) -> &Common {
        &self.common
    }
}

/// A change is this FSU's alone: it gets a copy of what it shared.
impl DerefMut for Fsu {
    fn deref_mut(&mut self) -> &mut Common {
        Arc::make_mut(&mut self.common)
    }
}

impl Fsu {
    /// When it sends heartbeats; `None`: never.
    pub fn heartbeat(&self) -> Option<Schedule> {
        let envelope = self.transport.envelope();
        let sent = |message: &&Message| message.content == Content::Heartbeat && envelope.carries(message.content);
        self.messages.iter().find(sent).map(|message| message.schedule)
    }

    /// Whether a centre at that address may ask.
    #[inline]
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(ip))
    }

    /// Whether it is bound to an address that centres reach: all are but a tcp FSU that only dials out.
    #[inline]
    pub fn listens(&self) -> bool {
        self.connect.as_ref().is_none_or(|connect| connect.listens)
    }

    /// Whether it opens connections by itself.
    #[inline]
    pub fn dials(&self) -> Option<&Connect> {
        self.connect.as_deref().filter(|_| self.transport == Transport::Tcp)
    }

    /// The same FSU, changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Common {
    /// Whether two are one and the same where they are equal; false where that would take a closer look.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_faults = match (&self.faults, &other.faults) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let same_connect = match (&self.connect, &other.connect) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same_faults
            && same_connect
            && self.tls == other.tls
            && Arc::ptr_eq(&self.devices, &other.devices)
            && Arc::ptr_eq(&self.allow, &other.allow)
            && Arc::ptr_eq(&self.messages, &other.messages)
            && self.params == other.params
            && (self.accept_any_id, self.heartbeat_reply) == (other.accept_any_id, other.heartbeat_reply)
            && (self.accept_rtn_flags, self.transport) == (other.accept_rtn_flags, other.transport)
            && (self.limits, self.client_timeout_ms) == (other.limits, other.client_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::fsu;

    #[test]
    fn a_name_is_what_was_given_whatever_its_length() {
        for text in
            ["", "a", "海".repeat(7).as_str(), &"x".repeat(22), &"x".repeat(23), &"海".repeat(8), &"y".repeat(200)]
        {
            let name = Name::from(text);
            assert_eq!((&*name, name.to_string()), (text, text.to_owned()));
            assert_eq!(format!("{name:>3}|{name:?}"), format!("{text:>3}|{text:?}"));
        }
    }

    #[test]
    fn an_id_is_written_as_hex() {
        let mut id = FsuId { len: 3, ..FsuId::default() };
        id.bytes[..3].copy_from_slice(&[0x01, 0xAB, 0xFF]);
        let mut bytes = Vec::new();
        id.push_hex(&mut bytes);
        assert_eq!((id.to_string(), bytes), ("01ABFF".into(), b"01ABFF".to_vec()));
    }

    #[test]
    fn a_change_is_one_fsus_alone() {
        let one = fsu(Vec::new());
        let mut other = one.clone();
        assert!(Arc::ptr_eq(&one.common, &other.common) && one.is_same(&other));
        other.limits.clients_max = 7;
        assert_eq!((one.limits.clients_max, other.limits.clients_max), (64, 7));
        assert!(!one.is_same(&other));
    }
}
