//! sys_config.json to the fleet: defaults, `count`, names, ids and addresses.

use super::amplified;
use super::device::Devices;
use super::effect;
use super::faults::{self, FleetFaults, Place};
use super::field;
use super::identity::{fsu_id, id_plus, looks_like_text, run_out};
use super::log_file;
use crate::config::at::{At, Pos};
use crate::config::budget::{PLAN_BYTES_LEAST, PLAN_BYTES_MOST};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::load::Loader;
use crate::config::raw::{RawFsu, RawLimits, RawLog, RawPerformance, RawSysConfig};
use crate::config::steps::step;
use crate::model::fleet::{Fleet, Fsu, FsuId, Language, Limits, LogPlan, OnFull, Performance, RtnFlags};
use crate::model::message::Transport;
use crate::model::network::Network;
use crate::model::template::Framing;
use crate::wire::outer::CENTER_BYTES;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::Arc;

/// FSUs of one run. A million sockets is past what one machine's ports hold; each FSU costs about 2 KiB.
pub const FSUS_MAX: usize = 100_000;
/// What is charged for each FSU: its part of the plan. What it remembers while it serves comes on top of that.
const FSU_BYTES: usize = size_of::<Fsu>() + 512;
/// Longest FSU name: with time and rotation number behind it, it is a file name (255 bytes on Linux).
pub const NAME_BYTES_MAX: usize = 200;
/// Networks of one `allow`: each is looked at for each datagram. 18 bytes each.
pub const ALLOW_MAX: usize = 64;
/// Longest interval or timeout, in seconds: a year.
pub const SECONDS_MAX: f64 = 31_536_000.0;

/// What lets a stream be cut where nothing else does.
const CUT: &str = "`total_length`; a length field; a last tail field with a `value`; or, without ascii_hex, a command \
                   that header fields name and requests of one size, all with `req_data_list`, for each command";

/// Compiles the fleet; what is wrong is told, and what can be compiled all the same is.
pub fn fleet(loader: &mut Loader, raw: &At<RawSysConfig>, file: &Path, devices: &mut Devices) -> Option<Fleet> {
    let log = log_plan(&mut loader.diags, raw.log.as_ref());
    if let Some(at) = raw.limits.as_ref().and_then(|limits| limits.plan_bytes_max.as_ref())
        && !(PLAN_BYTES_LEAST..=PLAN_BYTES_MOST).contains(&at.value)
    {
        loader.diags.error(at.pos, format!("{} ({PLAN_BYTES_LEAST} to {PLAN_BYTES_MOST})", at.value));
    }
    let performance = performance(raw.performance.as_ref());
    let center = raw.sc_iot_center.as_ref().and_then(|center| {
        let diags = &mut loader.diags;
        let ip = address(diags, center.host.as_ref())?;
        let port = center.port.as_ref().map(|port| (port.value, port.pos));
        match port {
            Some((port, _)) if (1..=65_535).contains(&port) => Some(with_port(ip, port as u16)),
            Some((port, pos)) => {
                diags.error(pos, format!("port {port} (1 to 65535)"));
                None
            }
            None => {
                diags.missing(center.pos, "port", "a UDP port");
                None
            }
        }
    });
    let allow = allow(&mut loader.diags, raw.allow.as_ref()).unwrap_or_default();
    let mut fsus = Vec::new();
    let mut checks = Checks { allow, ..Checks::default() };
    let mut faults = FleetFaults::new(&mut loader.diags, raw);
    let mut entries = Vec::new();
    match &raw.fsu_list {
        None => loader.diags.missing(raw.pos, "fsu_list", "the FSUs"),
        Some(list) if list.is_empty() => loader.diags.error(raw.pos, "`fsu_list` is empty"),
        Some(list) => {
            for entry in list {
                if loader.diags.is_over() {
                    break;
                }
                entries.push((fsus.len(), entry.host.as_ref().map_or(entry.pos, |host| host.pos)));
                expand(loader, entry, file, devices, &mut faults, &mut checks, &mut fsus);
            }
        }
    }
    if !loader.diags.has_errors() {
        let transports: Vec<Transport> = fsus.iter().map(|fsu: &Fsu| fsu.transport).collect();
        faults.check(&mut loader.diags, &transports);
        devices.check_faults(&mut loader.diags);
        effect::fleet(&mut loader.diags, raw, &fsus);
    }
    devices.check_rule_files(loader);
    if let (Some(center), Some(raw)) = (center, raw.sc_iot_center.as_ref()) {
        check_family(&mut loader.diags, raw.pos, center, &fsus);
    }
    let allow_amplification = raw.allow_amplification.as_ref().is_some_and(|at| at.value);
    if !allow_amplification && !loader.diags.has_errors() {
        amplified::check(&mut loader.diags, &fsus, &entries);
    }
    Some(Fleet { fsus, center, log, performance, allow_amplification })
}

/// Tells of heartbeats that cannot leave: an FSU's own address and the centre's are of different families.
fn check_family(diags: &mut Diags, pos: Pos, center: SocketAddr, fsus: &[Fsu]) {
    let both = |bind: SocketAddr| bind.is_ipv6() && bind.ip().is_unspecified();
    let cannot =
        |fsu: &&Fsu| fsu.heartbeat_interval_ms.is_some() && fsu.bind.is_ipv4() != center.is_ipv4() && !both(fsu.bind);
    let mut unheard = fsus.iter().filter(cannot);
    if let Some(first) = unheard.next() {
        let more = match unheard.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "no heartbeat of `{}`{more} reaches {center} from {} (`host` :: has both IPv4 and IPv6)",
            first.name,
            first.bind.ip()
        );
        diags.warn(pos, text);
    }
}

/// The networks of an `allow`, where there is one.
fn allow(diags: &mut Diags, raw: Option<&At<Vec<At<String>>>>) -> Option<Arc<[Network]>> {
    let list = raw?;
    if list.is_empty() || list.len() > ALLOW_MAX {
        diags
            .error(list.pos, format!("{} networks (1 to {ALLOW_MAX}; without `allow` any centre may ask)", list.len()));
    }
    let networks = list.iter().filter_map(|text| {
        let parsed = Network::parse(&text.value);
        parsed.map_err(|what| diags.error(text.pos, what)).ok()
    });
    Some(networks.collect())
}

/// What has to be unique over the whole fleet, and what is common to it.
#[derive(Default)]
struct Checks {
    allow: Arc<[Network]>,
    names: HashSet<String>,
    ports: HashMap<(bool, u16), Port>,
}

/// The addresses that one port of a transport is taken at, by number in the order in which they came.
#[derive(Default)]
struct Port {
    names: Vec<String>,
    /// The first at each address.
    exact: HashMap<SocketAddr, usize>,
    first: Option<usize>,
    first_v4: Option<usize>,
    /// The first at `0.0.0.0`.
    all_v4: Option<usize>,
    /// The first at `::`, which is every address of both families.
    all: Option<usize>,
}

impl Port {
    /// Whose address this one gets in the way of: of several, the first.
    fn claim(&mut self, bind: SocketAddr, name: &str) -> Option<String> {
        step(1);
        let unspecified = bind.ip().is_unspecified();
        let others = match (bind.is_ipv4(), unspecified) {
            (true, true) => [self.first_v4, self.all],
            (true, false) => [self.all_v4, self.all],
            (false, true) => [self.first, None],
            (false, false) => [self.all, None],
        };
        let exact = self.exact.get(&bind).copied();
        let other = others.into_iter().flatten().chain(exact).min().and_then(|number| self.names.get(number)).cloned();
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.exact.entry(bind).or_insert(number);
        self.first.get_or_insert(number);
        if bind.is_ipv4() {
            self.first_v4.get_or_insert(number);
        }
        if unspecified {
            let all = if bind.is_ipv4() { &mut self.all_v4 } else { &mut self.all };
            all.get_or_insert(number);
        }
        other
    }
}

impl Checks {
    /// Whose address this one collides with.
    fn claim(&mut self, transport: Transport, bind: SocketAddr, name: &str) -> Option<String> {
        if bind.port() == 0 {
            return None;
        }
        self.ports.entry((transport == Transport::Tcp, bind.port())).or_default().claim(bind, name)
    }
}

/// The address of a `host`, with port 0. An IPv4 one is one, also where it is written `::ffff:192.0.2.1`.
fn address(diags: &mut Diags, host: Option<&At<String>>) -> Option<SocketAddr> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let Some(host) = host else { return Some(here) };
    match host.value.trim() {
        "localhost" => Some(here),
        text => parse_address(text).or_else(|| {
            let what = "is no IP address (127.0.0.1; 0.0.0.0 for all of IPv4, :: for all of IPv4 and IPv6; fe80::1%2)";
            diags.error(host.pos, format!("`{}` {what}", shown(text)));
            None
        }),
    }
}

/// An address, `%` and an interface's number behind one of IPv6 where it has one.
fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => Some(SocketAddr::new(text.parse::<IpAddr>().ok()?.to_canonical(), 0)),
        Some((ip, scope)) => Some(SocketAddrV6::new(ip.parse().ok()?, 0, 0, scope.parse().ok()?).into()),
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn milliseconds(diags: &mut Diags, seconds: Option<&At<f64>>, default_ms: u64) -> u64 {
    match seconds {
        None => default_ms,
        Some(at) if (0.01..=SECONDS_MAX).contains(&at.value) => (at.value * 1000.0).round() as u64,
        Some(at) => {
            diags.error(at.pos, format!("{} s (0.01 to {SECONDS_MAX})", at.value));
            default_ms
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
    let mut limits = Limits::default();
    let Some(raw) = raw else { return limits };
    let mut set = |at: &Option<At<u64>>, low: u64, high: u64| -> Option<u64> {
        let at = at.as_ref()?;
        if (low..=high).contains(&at.value) {
            return Some(at.value);
        }
        diags.error(at.pos, format!("{} ({low} to {high})", at.value));
        None
    };
    let usize_of = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    if let Some(value) = set(&raw.clients_max, 1, 65_536) {
        limits.clients_max = usize_of(value);
    }
    if let Some(value) = set(&raw.connections_max, 1, 1_000_000) {
        limits.connections_max = usize_of(value);
    }
    if let Some(value) = set(&raw.connections_per_peer_max, 1, 1_000_000) {
        limits.connections_per_peer_max = usize_of(value);
    }
    if let Some(value) = set(&raw.frame_deadline_ms, 10, HOUR_MS) {
        limits.frame_deadline_ms = value;
    }
    if let Some(value) = set(&raw.idle_timeout_ms, 10, 24 * HOUR_MS) {
        limits.idle_timeout_ms = value;
    }
    if let Some(value) = set(&raw.write_deadline_ms, 10, HOUR_MS) {
        limits.write_deadline_ms = value;
    }
    if let Some(value) = set(&raw.write_buffer_bytes_max, 1024, 1 << 30) {
        limits.write_buffer_bytes_max = usize_of(value);
    }
    limits
}

fn transport(diags: &mut Diags, entry: &At<RawFsu>) -> Option<Transport> {
    let all = [("udp", Transport::Udp), ("tcp", Transport::Tcp), ("broadcast", Transport::Broadcast)];
    if entry.protocol_type.is_none() {
        diags.missing(entry.pos, "protocol_type", "udp, tcp or broadcast");
        return None;
    }
    let words = all.map(|(name, transport)| (name, Some(transport)));
    field::word(diags, entry.protocol_type.as_ref(), None, &words)
}

fn expand(
    loader: &mut Loader,
    entry: &At<RawFsu>,
    file: &Path,
    devices: &mut Devices,
    fleet_faults: &mut FleetFaults,
    checks: &mut Checks,
    fsus: &mut Vec<Fsu>,
) {
    let diags = &mut loader.diags;
    let missing = |diags: &mut Diags, key: &str, what: &str| diags.missing(entry.pos, key, what);
    // Where it is wrong, nothing that depends on it is looked at: one mistake is one error.
    let transport = transport(diags, entry);
    match &entry.fsuname {
        Some(name) => check_name(diags, name),
        None => missing(diags, "fsuname", "a unique name, safe as a file name"),
    }
    let id = match &entry.fsuid {
        Some(raw) => fsu_id(diags, raw),
        None if transport == Some(Transport::Udp) => {
            missing(diags, "fsuid", "hex, up to 20 bytes; required for udp");
            None
        }
        None => Some(FsuId::default()),
    };
    let ip = address(diags, entry.host.as_ref());
    let port = match &entry.port {
        Some(port) if port.value <= 65_535 => Some(port.value),
        Some(port) => {
            diags.error(port.pos, format!("port {} (0 for any free one, to 65535)", port.value));
            None
        }
        None => {
            missing(diags, "port", "0 for any free one");
            None
        }
    };
    let count = match &entry.count {
        Some(count) if (1..=FSUS_MAX as u64).contains(&count.value) => count.value,
        Some(count) => {
            diags.error(count.pos, format!("count {} (1 to {FSUS_MAX})", count.value));
            1
        }
        None => 1,
    };
    if let (Some(raw), Some(id)) = (&entry.fsuid, id) {
        looks_like_text(diags, raw, id, count);
    }
    let count_pos = entry.count.as_ref().map_or(entry.pos, |count| count.pos);
    let interval_ms = milliseconds(diags, entry.heartbeat_interval.as_ref(), 120_000);
    let client_timeout_ms = milliseconds(diags, entry.client_timeout.as_ref(), 360_000);
    let limits = limits(diags, entry.limits.as_ref());
    let own_faults = entry.faults.as_ref().map(|raw| {
        let mut limited = Vec::new();
        let set = faults::set(diags, raw, Place::Fleet, &mut limited);
        if let Some(transport) = transport {
            faults::check_transports(diags, &limited, &[transport], &format!("this one is {}", transport.name()));
        }
        set
    });
    if let Some(transport) = transport {
        effect::fsu(diags, entry, transport);
    }
    let allow = allow(diags, entry.allow.as_ref()).unwrap_or_else(|| checks.allow.clone());
    let accept_rtn_flags = rtn_flags(diags, entry.accept_rtn_flags.as_ref(), transport, id.as_ref());
    let on = |at: &Option<At<bool>>, default: bool| at.as_ref().map_or(default, |at| at.value);
    let heartbeat = transport == Some(Transport::Udp) && on(&entry.heartbeat_enable, true);
    let Some(dir) = &entry.config_dir else {
        return missing(diags, "config_dir", "the directory of fsu_devices.json");
    };
    if dir.value.trim().is_empty() {
        diags.error(dir.pos, "an empty path (`.` is the directory of this file)");
        return;
    }
    let list = loader.join(file, &format!("{}/fsu_devices.json", dir.value));
    if fsus.len() as u64 + count > FSUS_MAX as u64 {
        loader.diags.error(count_pos, format!("more than {FSUS_MAX} FSUs"));
        return;
    }
    for i in 0..count {
        step(1);
        if !loader.diags.charge(count_pos, FSU_BYTES, "an FSU") {
            return;
        }
        let id_here = id.map(|id| if id.len == 0 { Some(id) } else { id_plus(id, i) });
        let id_here = match id_here {
            Some(Some(id)) => Some(id),
            Some(None) => {
                let raw = entry.fsuid.as_ref().map_or("", |raw| &raw.value);
                loader.diags.error(count_pos, run_out(raw, id.unwrap_or_default(), count));
                return;
            }
            None => None,
        };
        let id_hex = id_here.map(|id| hex::encode_upper(id.given())).unwrap_or_default();
        // Compiled even when something above is wrong: its files may have errors to tell too.
        let compiled = devices.of(loader, &list, dir.pos, &id_hex);
        let (Some(id), Some(ip), Some(port), Some(name), Some(compiled), Some(transport)) =
            (id_here, ip, port, entry.fsuname.as_ref(), compiled, transport)
        else {
            return;
        };
        let name_pos: Pos = name.pos;
        let name = if count == 1 { name.value.clone() } else { format!("{}_{:05}", name.value, i + 1) };
        let port_here = if port == 0 { 0 } else { port + i };
        let Ok(port_here) = u16::try_from(port_here) else {
            loader.diags.error(count_pos, format!("ports {port} to {} run past 65535", port + count - 1));
            return;
        };
        let bind = with_port(ip, port_here);
        if !checks.names.insert(name.clone()) {
            loader.diags.error(name_pos, format!("a second FSU named `{name}`"));
        }
        if let Some(other) = checks.claim(transport, bind, &name) {
            let pos = entry.port.as_ref().map_or(entry.pos, |port| port.pos);
            let text = format!("{} {bind} of `{name}` is taken by `{other}`", transport.name());
            loader.diags.error(pos, text);
            return;
        }
        if transport == Transport::Tcp && i == 0 {
            for device in
                compiled.iter().filter(|d| d.template.framing == Framing::Delimited && d.template.end.is_empty())
            {
                let text = format!(
                    "{} has neither a fixed size, nor a length field, nor an end: a tcp stream cannot be cut ({CUT})",
                    device.template.path
                );
                loader.diags.error(entry.pos, text);
            }
        }
        if transport != Transport::Broadcast && i == 0 {
            for device in compiled.iter().filter(|device| device.template.transfer.is_some()) {
                let text = format!("{} has transfers, which only broadcast carries", device.template.path);
                loader.diags.error(entry.pos, text);
            }
        }
        devices.serves(&compiled, transport);
        let faults = fleet_faults.of(&name, transport, own_faults.as_ref(), &compiled);
        fsus.push(Fsu {
            name: name.into(),
            id,
            id_hex: id_hex.into(),
            bind,
            transport,
            heartbeat_interval_ms: heartbeat.then_some(interval_ms),
            heartbeat_reply: on(&entry.heartbeat_reply, false),
            client_timeout_ms,
            accept_any_id: on(&entry.accept_any_id, false),
            accept_rtn_flags,
            limits,
            allow: allow.clone(),
            devices: compiled,
            faults,
        });
    }
}

fn performance(raw: Option<&RawPerformance>) -> Performance {
    let Some(raw) = raw else { return Performance::default() };
    let on = |at: &Option<At<bool>>, default: bool| at.as_ref().map_or(default, |at| at.value);
    let settings = Performance {
        keeps_delay: !on(&raw.skip_delay, true),
        keeps_device_log: !on(&raw.skip_device_log, true),
        ..Performance::default()
    };
    if on(&raw.enabled, false) { settings.turned_on() } else { settings }
}

fn log_plan(diags: &mut Diags, raw: Option<&RawLog>) -> LogPlan {
    use log::LevelFilter as Level;
    let default = RawLog::default();
    let raw = raw.unwrap_or(&default);
    let text = |at: &Option<At<String>>, default: &str| at.as_ref().map_or(default.to_owned(), |at| at.value.clone());
    let levels = [
        ("off", Level::Off),
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    let languages = [("zh", Language::Zh), ("en", Language::En)];
    let on_full = [("drop", OnFull::Drop), ("block", OnFull::Block)];
    if let Some(size) = raw.max_size.as_ref().filter(|size| size.value < 1024) {
        diags.error(size.pos, format!("maxSize {} (bytes, at least 1024)", size.value));
    }
    if let Some((file, why)) = raw.file.as_ref().and_then(|file| Some((file, log_file::wrong(&file.value)?))) {
        let shown = shown(&file.value);
        diags.error(file.pos, format!("`{shown}` is no file name: {why} (a pattern such as system_%Y%m%d.log)"));
    }
    LogPlan {
        level: field::word(diags, raw.level.as_ref(), Level::Info, &levels),
        dir: text(&raw.dir, "./logs").into(),
        file: text(&raw.file, "system_%Y%m%d.log"),
        bytes_max: raw.max_size.as_ref().map_or(10_485_760, |at| at.value),
        age_days_max: raw.max_age.as_ref().map_or(7, |at| at.value),
        async_write: raw.async_write.as_ref().is_none_or(|at| at.value),
        language: field::word(diags, raw.language.as_ref(), Language::Zh, &languages),
        on_full: field::word(diags, raw.on_full.as_ref(), OnFull::Drop, &on_full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n20_which_addresses_get_in_each_others_way() {
        let check = |one: &str, other: &str, expected: bool| {
            let [one, other] = [one, other].map(|text| with_port(parse_address(text).expect("an address"), 9000));
            let collide = |one, other| {
                let mut port = Port::default();
                assert_eq!(port.claim(one, "first"), None);
                port.claim(other, "second").is_some()
            };
            assert_eq!((collide(one, other), collide(other, one)), (expected, expected), "{one} {other}");
        };
        check("::", "0.0.0.0", true);
        check("::", "127.0.0.1", true);
        check("::", "::1", true);
        check("::", "::", true);
        check("0.0.0.0", "127.0.0.1", true);
        check("0.0.0.0", "::1", false);
        check("127.0.0.1", "::1", false);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("::ffff:0.0.0.0", "127.0.0.2", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("fe80::1%2", "fe80::1%2", true);
        check("fe80::1%2", "fe80::1%3", false);
    }

    #[test]
    fn n20_addresses_are_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(parse_address(text), expected.map(|text| text.parse().expect("an address")), "{text}");
        };
        check("::", Some("[::]:0"));
        check("::ffff:192.0.2.1", Some("192.0.2.1:0"));
        check("fe80::1%2", Some("[fe80::1%2]:0"));
        for none in ["", "host", "[::1]", "127.0.0.1%2", "fe80::1%", "fe80::1%eth0", "fe80::1%-1", "::1:"] {
            check(none, None);
        }
    }
}
