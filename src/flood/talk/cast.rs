//! Who may speak to a centre, and which FSU it is that does.
//!
//! Over datagrams the B interface's id tells it, else the address that a datagram comes from. A connection tells neither: there the
//! values tell it that each FSU has of its own (a parameter such as an IMEI, the id). Without such a value only the kind of the device
//! is known.

use crate::talk::Talk;
use crate::talk::ack::AckError;
use crate::talk::forms::Form;
use fsu_core::state::FsuState;
use fsu_plan::model::conversation::{DeviceMessage, On};
use fsu_plan::model::fleet::{Fsu, FsuId};
use fsu_plan::model::message::Transport;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

/// An FSU that may speak.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Its name.
    pub name: Box<str>,
    /// Its id.
    pub id: FsuId,
    /// RtnFlag of what is sent to it (udp).
    pub rtn_flag: u8,
    /// How it is reached.
    pub transport: Transport,
    /// Its kind: number in [`Cast::kinds`].
    pub kind: u32,
    /// Where it connects to.
    pub connects_to: Option<SocketAddr>,
}

/// FSUs with the same devices and transport.
#[derive(Debug)]
pub struct Kind {
    /// The name of the first, for people.
    pub first: Box<str>,
    /// How many they are.
    pub fsus: u32,
    /// Their transport.
    pub transport: Transport,
    /// By device of the FSU that says something: its number there, its type and address, and its number in [`Cast::talks`].
    pub talks: Box<[Voice]>,
}

/// A device of an FSU that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Number of the device in its FSU.
    pub device: u16,
    /// P_subDevType.
    pub sub_dev_type: u8,
    /// P_subDev_addr.
    pub sub_dev_addr: u8,
    /// Number in [`Cast::talks`].
    pub talk: u32,
}

/// Everybody who may speak. Read only while it runs.
#[derive(Debug, Default)]
pub struct Cast {
    /// What is said, once for all FSUs with the same device.
    pub talks: Vec<Arc<Talk>>,
    /// The kinds of FSUs.
    pub kinds: Vec<Kind>,
    /// The FSUs, in the order of the configuration.
    pub speakers: Vec<Speaker>,
    by_id: HashMap<[u8; FsuId::BYTES], u32>,
    by_address: HashMap<SocketAddr, u32>,
    /// By a hash of talk, form and an FSU's own bytes in it: who has them; [`MANY`]: several.
    by_own: HashMap<u64, u32>,
    hasher: RandomState,
}

/// Several FSUs have the same values.
const MANY: u32 = u32::MAX;

/// Whose own values a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It carries none.
    Unsaid,
    /// This FSU's alone.
    One(u32),
    /// Of several FSUs that have the same.
    Many,
    /// No FSU has them.
    Nobody,
}

impl Cast {
    /// Of these FSUs. `address`: where an FSU sends from, where that is known.
    ///
    /// # Errors
    /// A message that cannot be acknowledged.
    pub fn new(fsus: &[&Fsu], address: impl Fn(&Fsu) -> Option<SocketAddr>) -> Result<Self, AckError> {
        Self::made(fsus, address, &mut Err)
    }

    /// The same; what cannot be acknowledged is told, and is not acknowledged.
    pub fn lenient(fsus: &[&Fsu], address: impl Fn(&Fsu) -> Option<SocketAddr>) -> (Self, Vec<AckError>) {
        let mut unmade = Vec::new();
        let cast = Self::made(fsus, address, &mut |error| {
            unmade.push(error);
            Ok(())
        });
        (cast.unwrap_or_default(), unmade)
    }

    fn made(
        fsus: &[&Fsu],
        address: impl Fn(&Fsu) -> Option<SocketAddr>,
        unmade: &mut dyn FnMut(AckError) -> Result<(), AckError>,
    ) -> Result<Self, AckError> {
        let mut cast = Self::default();
        let mut kinds: HashMap<(usize, Transport), u32> = HashMap::new();
        for fsu in fsus {
            let key = (Arc::as_ptr(&fsu.devices).cast::<u8>() as usize, fsu.transport);
            let kind = if let Some(kind) = kinds.get(&key) {
                *kind
            } else {
                let kind = cast.kind(fsu, unmade)?;
                kinds.insert(key, kind);
                kind
            };
            let number = cast.speakers.len() as u32;
            cast.kinds[kind as usize].fsus += 1;
            cast.speakers.push(Speaker {
                name: (&*fsu.name).into(),
                id: fsu.id,
                rtn_flag: fsu.accept_rtn_flags.asked(),
                transport: fsu.transport,
                kind,
                connects_to: fsu.connect.as_ref().map(|connect| connect.to),
            });
            if fsu.transport == Transport::Udp {
                cast.by_id.entry(fsu.id.bytes).or_insert(number);
            } else if fsu.transport.is_datagrams()
                && let Some(address) = address(fsu)
            {
                cast.by_address.entry(address).or_insert(number);
            }
            cast.own(fsu, number, kind);
        }
        Ok(cast)
    }

    fn kind(&mut self, fsu: &Fsu, unmade: &mut dyn FnMut(AckError) -> Result<(), AckError>) -> Result<u32, AckError> {
        let mut talks = Vec::new();
        for (device, number) in fsu.devices.iter().zip(0..) {
            let Some(conversation) = &device.conversation else { continue };
            let known = self.talks.iter().position(|talk| Arc::ptr_eq(&talk.device, device));
            let talk = if let Some(known) = known {
                known
            } else {
                self.talks.push(Arc::new(Talk::made(device, conversation, unmade)?));
                self.talks.len() - 1
            };
            let (sub_dev_type, sub_dev_addr) = (device.sub_dev_type, device.sub_dev_addr);
            talks.push(Voice { device: number, sub_dev_type, sub_dev_addr, talk: talk as u32 });
        }
        self.kinds.push(Kind { first: (&*fsu.name).into(), fsus: 0, transport: fsu.transport, talks: talks.into() });
        Ok(self.kinds.len() as u32 - 1)
    }

    /// Remembers the values that an FSU has of its own.
    fn own(&mut self, fsu: &Fsu, number: u32, kind: u32) {
        let (mut state, mut bytes) = (None, Vec::new());
        for voice in &self.kinds[kind as usize].talks {
            let talk = Arc::clone(&self.talks[voice.talk as usize]);
            for (form, form_number) in talk.forms.iter().zip(0_u32..).filter(|(form, _)| !form.own.is_empty()) {
                let state = state.get_or_insert_with(|| {
                    let mut state = FsuState::new(fsu);
                    state.devices.made(fsu);
                    state
                });
                bytes.clear();
                let all = form.own.iter().all(|own| own.write((fsu, state), usize::from(voice.device), &mut bytes));
                if !all {
                    continue;
                }
                let key = self.hasher.hash_one((voice.talk, form_number, &*bytes));
                self.by_own.entry(key).and_modify(|owner| *owner = MANY).or_insert(number);
            }
        }
    }

    /// Whether anybody says anything over this transport.
    pub fn speaks(&self, transport: Transport) -> bool {
        self.kinds.iter().any(|kind| kind.transport == transport && !kind.talks.is_empty())
    }

    /// The FSU with an id of the B interface.
    pub fn by_id(&self, id: &[u8; FsuId::BYTES]) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The FSU that sends from an address.
    pub fn by_address(&self, address: SocketAddr) -> Option<u32> {
        self.by_address.get(&address).copied()
    }

    /// Whose values a right message of a form carries.
    pub fn owner(&self, talk: u32, form: u32, raw: &[u8]) -> Owner {
        let own = &self.talks[talk as usize].forms[form as usize].own;
        if own.is_empty() {
            return Owner::Unsaid;
        }
        let mut bytes = Vec::new();
        for value in own {
            bytes.extend_from_slice(value.of(raw).unwrap_or_default());
        }
        match self.by_own.get(&self.hasher.hash_one((talk, form, &*bytes))) {
            Some(&MANY) => Owner::Many,
            Some(&number) => Owner::One(number),
            None => Owner::Nobody,
        }
    }

    /// The talks of all kinds of a transport, each once.
    pub fn talks_over(&self, transport: Transport) -> Vec<u32> {
        let kinds = self.kinds.iter().filter(|kind| kind.transport == transport);
        let mut talks: Vec<u32> = kinds.flat_map(|kind| kind.talks.iter()).map(|voice| voice.talk).collect();
        talks.sort_unstable();
        talks.dedup();
        talks
    }

    /// Does an FSU say something within that time by itself, once it is connected, that tells which FSU it is?
    pub fn says_itself(&self, speaker: u32, within_ms: u64) -> bool {
        let speaker = &self.speakers[speaker as usize];
        let is_told = speaker.transport == Transport::Udp;
        self.kinds[speaker.kind as usize].talks.iter().map(|voice| &self.talks[voice.talk as usize]).any(|talk| {
            let told = |form: &Form| is_told || !form.own.is_empty();
            talk.forms.iter().zip(0..).any(|(form, number)| told(form) && is_due(talk.message(number), within_ms))
        })
    }

    /// The name of the only FSU of a transport that has a talk; `None`: there are several.
    pub fn only(&self, talk: u32, transport: Transport) -> Option<u32> {
        let has = |kind: &Kind| kind.transport == transport && kind.talks.iter().any(|voice| voice.talk == talk);
        let mut fitting = self.speakers.iter().zip(0..).filter(|(speaker, _)| has(&self.kinds[speaker.kind as usize]));
        let (_, first) = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

/// Does a message leave by itself within that many milliseconds after the device is connected?
fn is_due(message: &DeviceMessage, within_ms: u64) -> bool {
    let is_free = message.within.is_none() && message.rule.test.is_none();
    let at_once = message.on.iter().any(|on| matches!(on, On::Start | On::Connect));
    // The first one is spread over the interval.
    let repeats = message.repeat.is_some_and(|repeat| repeat.every_ms.saturating_mul(2) <= within_ms);
    is_free && (at_once || repeats)
}
