//! An entry of `fsu_list` to FSUs: defaults, `count`, names, ids and addresses.

use super::address::{Ports, allow};
use super::connect;
use super::device::{Devices, SharedDevices};
use super::effect;
use super::faults::{self, FleetFaults, Level};
use super::field;
use super::identity::{fsu_id, id_plus, looks_like_text, run_out};
use super::number::{milliseconds, whole};
use super::params;
use super::ranges::{self, Places};
use super::tls;
use crate::config::at::{At, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::load::Loader;
use crate::config::raw::{RawFsu, RawLimits};
use crate::config::steps::step;
use crate::model::connect::Connect;
use crate::model::fault::FaultSet;
use crate::model::fleet::{Common, Fsu, FsuId, Limits, RtnFlags};
use crate::model::message::{Content, Message, Transport};
use crate::model::network::Network;
use crate::model::template::Framing;
use crate::model::tls::Tls;
use crate::wire::envelope::CENTER_BYTES;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// FSUs of one configuration, of which a run may serve a part. Each FSU costs about 400 bytes of a run.
pub const FSUS_MAX: usize = 1_000_000;
/// Charged for each FSU: its part of the plan, without its state while it serves.
const FSU_BYTES: usize = size_of::<Fsu>() + 512;
/// Longest FSU name: with time and rotation number behind it, it is a file name (255 bytes on Linux).
pub const NAME_BYTES_MAX: usize = 200;

/// What allows a stream to be cut into frames.
const CUT: &str = "`total_length`; a length field; a last tail field with a `value`; without ascii_hex, a tail field with a \
                   `value` and `match`; or, without ascii_hex, a command that header fields name and requests of one size, all with `req_data_list`, for each command";

/// The FSUs compiled so far, and what each needs of the whole fleet.
pub(super) struct Fsus<'f> {
    /// sys_config.json.
    file: &'f Path,
    /// The centres that may ask, unless an FSU has its own list.
    allow: Arc<[Network]>,
    pub(super) faults: FleetFaults,
    names: HashSet<String>,
    ports: Ports,
    /// `per_second` of `connect`, the same wherever it is given.
    per_second: Option<NonZeroU32>,
    tls: tls::Known,
    pub(super) all: Vec<Fsu>,
}

/// What the FSUs of one entry have in common. `None`: it is wrong, which was reported.
struct Entry<'r> {
    raw: &'r At<RawFsu>,
    transport: Option<Transport>,
    id: Option<FsuId>,
    places: Option<Places>,
    count: u64,
    messages: Arc<[Message]>,
    client_timeout_ms: u64,
    limits: Limits,
    faults: Option<FaultSet>,
    allow: Arc<[Network]>,
    accept_rtn_flags: RtnFlags,
    connect: Option<Arc<Connect>>,
    tls: Option<Arc<Tls>>,
    /// How many FSUs there are before its first.
    before: u32,
}

/// What differs from one FSU of an entry to the next, and the transport.
struct One {
    id: FsuId,
    name: String,
    bind: SocketAddr,
    transport: Transport,
}

impl<'f> Fsus<'f> {
    /// None yet.
    pub(super) fn new(file: &'f Path, allow: Arc<[Network]>, faults: FleetFaults) -> Self {
        let (names, ports, tls) = (HashSet::new(), Ports::default(), tls::Known::default());
        Self { file, allow, faults, names, ports, per_second: None, tls, all: Vec::new() }
    }

    /// Adds the FSUs of an entry.
    pub(super) fn add(&mut self, loader: &mut Loader, devices: &mut Devices, raw: &At<RawFsu>) {
        self.add_from(loader, devices, raw, self.all.len() as u32);
    }

    /// The same for an entry of several that are one for source addresses: `first` is the number of the first FSU of all of them.
    pub(super) fn add_from(&mut self, loader: &mut Loader, devices: &mut Devices, raw: &At<RawFsu>, first: u32) {
        let before = self.all.len() as u32;
        let mut entry = Entry::new(&mut loader.diags, raw, &self.allow, first);
        entry.tls = self.tls.listening(loader, self.file, raw, entry.transport);
        if let Some(connect) = entry.connect.as_mut().and_then(Arc::get_mut) {
            connect.tls = self.tls.dialling(loader, self.file, (raw, connect), entry.transport);
        }
        entry.share(self.all.last());
        entry.before = before;
        self.bound_dials(&mut loader.diags, &entry);
        let Some(dir) = &raw.config_dir else {
            return loader.diags.missing(raw.pos, "config_dir", "the directory of fsu_devices.json");
        };
        if dir.value.trim().is_empty() {
            return loader.diags.error(dir.pos, "an empty path (`.` is the directory of this file)");
        }
        let list = loader.join(self.file, &format!("{}/fsu_devices.json", dir.value));
        if self.all.len() as u64 + entry.count > FSUS_MAX as u64 {
            return loader.diags.error(entry.count_pos(), format!("more than {FSUS_MAX} FSUs"));
        }
        for number in 0..entry.count {
            step(1);
            if !loader.diags.charge(entry.count_pos(), FSU_BYTES, "an FSU") {
                return;
            }
            let Ok(id) = entry.id_of(&mut loader.diags, number) else { return };
            let id_hex = id.map(|id| hex::encode_upper(id.given())).unwrap_or_default();
            // Compiled even after errors: its files may have more.
            let compiled = devices.of(loader, &list, dir.pos, &id_hex);
            let Some((one, compiled)) = entry.one(number, id).zip(compiled) else { return };
            if !self.is_apart(&mut loader.diags, &entry, &one) {
                return;
            }
            if number == 0 {
                check_templates(&mut loader.diags, raw.pos, one.transport, &compiled);
            }
            devices.serves(&compiled, one.transport);
            let place = (raw.params.as_ref(), dir.pos);
            let Ok(params) = params::params(&mut loader.diags, place, number, &compiled, &devices.params) else {
                return;
            };
            let remembers: usize = compiled.iter().map(|device| device.keeps.bytes()).sum();
            if !loader.diags.charge(entry.count_pos(), remembers, "the memory of an FSU's devices") {
                return;
            }
            let fsu = self.fsu(&entry, one, (compiled, params));
            self.all.push(fsu);
        }
    }

    /// Whether no other FSU has its address. A second one of its name is an error, too.
    fn is_apart(&mut self, diags: &mut Diags, entry: &Entry<'_>, one: &One) -> bool {
        let One { name, bind, transport, .. } = one;
        if !self.names.insert(name.clone()) {
            let pos = entry.raw.fsuname.as_ref().map_or(entry.raw.pos, |name| name.pos);
            diags.error(pos, format!("a second FSU named `{name}`"));
        }
        let Some(other) = self.ports.claim(*transport, *bind, name) else { return true };
        diags.error(ranges::pos(entry.raw), format!("{} {bind} of `{name}` is taken by `{other}`", transport.name()));
        false
    }

    /// `per_second` is one for the whole fleet.
    fn bound_dials(&mut self, diags: &mut Diags, entry: &Entry<'_>) {
        let given = entry.connect.as_ref().and_then(|connect| connect.per_second);
        let Some(one) = given else { return };
        let first = *self.per_second.get_or_insert(one);
        if first != one
            && let Some(at) = entry.raw.connect.as_ref().and_then(|connect| connect.per_second.as_ref())
        {
            diags.error(at.pos, format!("`per_second` bounds the dials of the whole fleet, and an entry before has {first}: write the same, or leave it out here"));
        }
    }

    fn fsu(&mut self, entry: &Entry<'_>, one: One, (devices, params): (SharedDevices, Arc<[Box<str>]>)) -> Fsu {
        let raw = entry.raw;
        let on = |at: &Option<At<bool>>| at.as_ref().is_some_and(|at| at.value);
        let faults = self.faults.of(&one.name, one.transport, entry.faults.as_ref(), &devices);
        let common = Common {
            transport: one.transport,
            messages: entry.messages.clone(),
            talks: devices.iter().any(|device| device.conversation.is_some()),
            heartbeat_reply: on(&raw.heartbeat_reply),
            client_timeout_ms: entry.client_timeout_ms,
            accept_any_id: on(&raw.accept_any_id),
            accept_rtn_flags: entry.accept_rtn_flags,
            limits: entry.limits,
            allow: entry.allow.clone(),
            devices,
            params,
            faults,
            connect: entry.connect.clone(),
            tls: entry.tls.clone(),
        };
        // Mostly that of the one before.
        let last = self.all.last().map(|last| &last.common).filter(|last| last.is_same(&common));
        let common = last.map_or_else(|| Arc::new(common), Arc::clone);
        Fsu { common, id: one.id, name: one.name.into(), bind: one.bind }
    }
}

impl<'r> Entry<'r> {
    /// Reads what does not depend on the number of the FSU. `allow_all`: that of the fleet. `first`: the number of the first one in it.
    fn new(diags: &mut Diags, raw: &'r At<RawFsu>, allow_all: &Arc<[Network]>, first: u32) -> Self {
        // If it is wrong, nothing that depends on it is checked: one mistake is one error.
        let transport = transport(diags, raw);
        match &raw.fsuname {
            Some(name) => check_name(diags, name),
            None => diags.missing(raw.pos, "fsuname", "a unique name, safe as a file name"),
        }
        let id = match &raw.fsuid {
            Some(raw) => fsu_id(diags, raw),
            None if transport == Some(Transport::Udp) => {
                diags.missing(raw.pos, "fsuid", "hex, up to 20 bytes; required for udp");
                None
            }
            None => Some(FsuId::default()),
        };
        let connect = connect::connect(diags, raw, transport, first);
        let count = count(diags, raw);
        let places = ranges::places(diags, raw);
        let count_pos = raw.count.as_ref().map_or(raw.pos, |count| count.pos);
        let places = places.filter(|places| places.suffice(diags, count, raw, count_pos));
        if let (Some(raw), Some(id)) = (&raw.fsuid, id) {
            looks_like_text(diags, raw, id, count);
        }
        let interval_ms = milliseconds(diags, raw.heartbeat_interval.as_ref(), 0.01, 120_000);
        let client_timeout_ms = milliseconds(diags, raw.client_timeout.as_ref(), 0.01, 360_000);
        let limits = limits(diags, raw.limits.as_ref());
        let faults = raw.faults.as_ref().map(|raw| {
            let mut limited = Vec::new();
            let set = faults::set(diags, raw, Level::Fleet, &mut limited);
            if let Some(transport) = transport {
                faults::check_transports(diags, &limited, &[transport], &format!("this one is {}", transport.name()));
            }
            set
        });
        if let Some(transport) = transport {
            effect::fsu(diags, raw, transport);
        }
        let allow = allow(diags, raw.allow.as_ref()).unwrap_or_else(|| allow_all.clone());
        if let Some((connect, raw)) = connect.as_ref().zip(raw.connect.as_ref())
            && !allow.is_empty()
            && !allow.iter().any(|network| network.contains(connect.to.ip()))
        {
            diags.error(
                raw.pos,
                format!("`to` is {}, which `allow` excludes: nothing from there would be answered", connect.to),
            );
        }
        let accept_rtn_flags = rtn_flags(diags, raw.accept_rtn_flags.as_ref(), transport, id.as_ref());
        let can = transport.is_some_and(|transport| transport.envelope().carries(Content::Heartbeat));
        let beats = can && raw.heartbeat_enable.as_ref().is_none_or(|at| at.value);
        let messages = Message::heartbeats(beats.then_some(interval_ms));
        Self {
            raw,
            transport,
            id,
            places,
            count,
            messages,
            client_timeout_ms,
            limits,
            faults,
            allow,
            accept_rtn_flags,
            connect: connect.map(Arc::new),
            tls: None,
            before: first,
        }
    }

    /// Takes what is equal from the FSU before: rows of a table differ in little.
    fn share(&mut self, last: Option<&Fsu>) {
        let Some(last) = last else { return };
        if self.messages == last.messages {
            self.messages = last.messages.clone();
        }
        if self.allow == last.allow {
            self.allow = last.allow.clone();
        }
        if self.connect == last.connect {
            self.connect.clone_from(&last.connect);
        }
    }

    fn count_pos(&self) -> Pos {
        self.raw.count.as_ref().map_or(self.raw.pos, |count| count.pos)
    }

    /// The id of an FSU; nothing where that of the entry is wrong.
    ///
    /// # Errors
    /// The digits do not count so far, which was reported.
    fn id_of(&self, diags: &mut Diags, number: u64) -> Result<Option<FsuId>, Told> {
        let Some(id) = self.id else { return Ok(None) };
        if id.len == 0 {
            return Ok(Some(id));
        }
        if let Some(id) = id_plus(id, number) {
            return Ok(Some(id));
        }
        let raw = self.raw.fsuid.as_ref().map_or("", |raw| &raw.value);
        diags.error(self.count_pos(), run_out(raw, id, self.count));
        Err(Told)
    }

    /// Name and address of an FSU; `None` after an error.
    fn one(&self, number: u64, id: Option<FsuId>) -> Option<One> {
        let (id, places, name, transport) = (id?, self.places?, self.raw.fsuname.as_ref()?, self.transport?);
        let name = if self.count == 1 { name.value.clone() } else { format!("{}_{:05}", name.value, number + 1) };
        let mut bind = places.at(number)?;
        match &self.connect {
            Some(connect) => {
                let host = self.raw.host.as_ref().and(places.first());
                let port = bind.port();
                bind = connect::bind(connect, transport, self.before.wrapping_add(number as u32), host);
                bind.set_port(port);
            }
            None if self.raw.connect.is_some() => return None,
            None => {}
        }
        Some(One { id, name, bind, transport })
    }
}

/// An error that was reported already.
struct Told;

fn transport(diags: &mut Diags, entry: &At<RawFsu>) -> Option<Transport> {
    let Some(given) = &entry.protocol_type else {
        diags.missing(entry.pos, "protocol_type", "udp, tcp, datagram or broadcast");
        return None;
    };
    field::given_word(diags, given)
}

fn count(diags: &mut Diags, entry: &At<RawFsu>) -> u64 {
    let Some(count) = &entry.count else { return 1 };
    if (1..=FSUS_MAX as u64).contains(&count.value) {
        return count.value;
    }
    diags.error(count.pos, format!("count {} (1 to {FSUS_MAX})", count.value));
    1
}

/// Reports templates that the transport cannot carry.
fn check_templates(diags: &mut Diags, pos: Pos, transport: Transport, devices: &SharedDevices) {
    let templates = || devices.iter().map(|device| &*device.template);
    if transport == Transport::Tcp {
        for template in templates().filter(|of| of.framing == Framing::Delimited && of.delimiter().0.is_empty()) {
            let text = format!(
                "{} has neither a fixed size, nor a length field, nor an end: a tcp stream cannot be cut ({CUT})",
                template.path
            );
            diags.error(pos, text);
        }
    }
    if transport != Transport::Broadcast {
        for template in templates().filter(|template| template.transfer.is_some()) {
            diags.error(pos, format!("{} has transfers, which only broadcast carries", template.path));
        }
    }
}

/// The RtnFlags that an FSU's requests may have.
fn rtn_flags(
    diags: &mut Diags,
    raw: Option<&At<Vec<At<String>>>>,
    transport: Option<Transport>,
    id: Option<&FsuId>,
) -> RtnFlags {
    let Some(list) = raw else { return RtnFlags::default() };
    let flag = |text: &At<String>| {
        if let Ok(&[flag]) = hex::decode(text.value.trim()).as_deref() {
            return Some(flag);
        }
        diags.error(text.pos, format!("`{}` is no RtnFlag (one byte, two hex digits; \"EE\")", text.value));
        None
    };
    let flags: Vec<u8> = list.iter().filter_map(flag).collect();
    if flags.len() < list.len() {
        return RtnFlags::default();
    }
    let Some(flags) = RtnFlags::new(&flags) else {
        let text = format!("{} RtnFlags (1 to {}; [\"EE\"] is the default)", flags.len(), RtnFlags::MAX);
        diags.error(list.pos, text);
        return RtnFlags::default();
    };
    if id.is_some_and(|id| id.bytes.starts_with(&[0; CENTER_BYTES]))
        && !flags.is_default()
        && transport == Some(Transport::Udp)
    {
        let text = "`accept_rtn_flags` and an fsuid that begins with eight 00: a request cannot be told from a reply \
                    (leave it out, or take another fsuid)";
        diags.error(list.pos, text);
    }
    flags
}

fn check_name(diags: &mut Diags, name: &At<String>) {
    let text = &name.value;
    let bad = text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'));
    if bad || text.is_empty() || text.starts_with('.') || text.len() > NAME_BYTES_MAX {
        let what = "is not safe as a file name";
        diags.error(
            name.pos,
            format!("`{}` {what} (letters, digits, _ - and the like, at most {NAME_BYTES_MAX} bytes)", shown(text)),
        );
    }
}

fn limits(diags: &mut Diags, raw: Option<&RawLimits>) -> Limits {
    const HOUR_MS: u64 = 3_600_000;
    let default = Limits::default();
    let Some(raw) = raw else { return default };
    let mut count = |at: &Option<At<u64>>, bounds, default: usize| {
        usize::try_from(whole(diags, at.as_ref(), bounds, default as u64)).unwrap_or(usize::MAX)
    };
    let clients_max = count(&raw.clients_max, 1..=65_536, default.clients_max);
    let connections_max = count(&raw.connections_max, 1..=1_000_000, default.connections_max);
    let connections_per_peer_max =
        count(&raw.connections_per_peer_max, 1..=1_000_000, default.connections_per_peer_max);
    let write_buffer_bytes_max = count(&raw.write_buffer_bytes_max, 1024..=1 << 30, default.write_buffer_bytes_max);
    let mut ms = |at: &Option<At<u64>>, most, default| whole(diags, at.as_ref(), 10..=most, default);
    Limits {
        clients_max,
        connections_max,
        connections_per_peer_max,
        frame_deadline_ms: ms(&raw.frame_deadline_ms, HOUR_MS, default.frame_deadline_ms),
        idle_timeout_ms: ms(&raw.idle_timeout_ms, 24 * HOUR_MS, default.idle_timeout_ms),
        write_deadline_ms: ms(&raw.write_deadline_ms, HOUR_MS, default.write_deadline_ms),
        write_buffer_bytes_max,
    }
}
