//! sys_config.json to the fleet: its logs, its centre, its FSUs.

use super::address::{address, allow, with_port};
use super::amplified;
use super::device::Devices;
use super::effect;
use super::faults::FleetFaults;
use super::field;
use super::fsu::Fsus;
use super::log_file;
use super::table;
use crate::config::at::{At, Pos};
use crate::config::budget::{PLAN_BYTES_LEAST, PLAN_BYTES_MOST};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::load::Loader;
use crate::config::raw::{RawCenter, RawLog, RawPerformance, RawSysConfig};
use crate::model::fleet::{Fleet, Fsu, Language, LogPlan, OnFull, Performance};
use crate::model::message::Transport;
use crate::model::share::Share;
use crate::words::LogLevel;
use log::LevelFilter;
use std::net::SocketAddr;
use std::path::Path;

/// Compiles the fleet. Every error is reported; what compiles in spite of it is compiled.
pub fn fleet(loader: &mut Loader, raw: &At<RawSysConfig>, file: &Path, devices: &mut Devices) -> Option<Fleet> {
    let log = log_plan(&mut loader.diags, raw.log.as_ref());
    if let Some(at) = raw.limits.as_ref().and_then(|limits| limits.plan_bytes_max.as_ref())
        && !(PLAN_BYTES_LEAST..=PLAN_BYTES_MOST).contains(&at.value)
    {
        loader.diags.error(at.pos, format!("{} ({PLAN_BYTES_LEAST} to {PLAN_BYTES_MOST})", at.value));
    }
    let performance = performance(raw.performance.as_ref());
    let center = raw.sc_iot_center.as_ref().and_then(|raw| center(&mut loader.diags, raw));
    let allow = allow(&mut loader.diags, raw.allow.as_ref()).unwrap_or_default();
    let faults = FleetFaults::new(&mut loader.diags, raw);
    let mut compiled = Fsus::new(file, allow, faults);
    // Of each entry: the number of its first FSU, and where an address is to be changed.
    let mut entries = Vec::new();
    match &raw.fsu_list {
        None if raw.fsu_csv.is_some() => {}
        None => loader.diags.missing(raw.pos, "fsu_list", "the FSUs"),
        Some(list) if list.is_empty() && raw.fsu_csv.is_none() => loader.diags.error(raw.pos, "`fsu_list` is empty"),
        Some(list) => {
            for entry in list.iter().filter(|entry| !table::is_template(entry)) {
                if loader.diags.is_over() {
                    break;
                }
                entries.push((compiled.all.len(), entry.host.as_ref().map_or(entry.pos, |host| host.pos)));
                compiled.add(loader, devices, entry);
            }
        }
    }
    if let Some(csv) = &raw.fsu_csv {
        entries.push((compiled.all.len(), csv.pos));
    }
    table::add(loader, devices, raw, (file, &mut compiled));
    let Fsus { faults, all: fsus, .. } = compiled;
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
    Some(Fleet {
        fsus,
        center,
        log,
        performance,
        accounts: devices.accounts(),
        params: devices.params.names().into_iter().map(String::into_boxed_str).collect(),
        allow_amplification,
        share: Share::default(),
    })
}

/// The static centre.
fn center(diags: &mut Diags, raw: &At<RawCenter>) -> Option<SocketAddr> {
    let ip = address(diags, raw.host.as_ref())?;
    let Some(port) = &raw.port else {
        diags.missing(raw.pos, "port", "a UDP port");
        return None;
    };
    if !(1..=65_535).contains(&port.value) {
        diags.error(port.pos, format!("port {} (1 to 65535)", port.value));
        return None;
    }
    Some(with_port(ip, port.value as u16))
}

/// Warns of heartbeats that cannot leave: an FSU's own address and the centre's are of different families.
fn check_family(diags: &mut Diags, pos: Pos, center: SocketAddr, fsus: &[Fsu]) {
    let both = |bind: SocketAddr| bind.is_ipv6() && bind.ip().is_unspecified();
    let cannot = |fsu: &&Fsu| fsu.heartbeat().is_some() && fsu.bind.is_ipv4() != center.is_ipv4() && !both(fsu.bind);
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
    let default = RawLog::default();
    let raw = raw.unwrap_or(&default);
    let text = |at: &Option<At<String>>, default: &str| at.as_ref().map_or(default.to_owned(), |at| at.value.clone());
    let level = match field::word(diags, raw.level.as_ref(), LogLevel::Info) {
        LogLevel::Off => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    };
    if let Some(size) = raw.max_size.as_ref().filter(|size| size.value < 1024) {
        diags.error(size.pos, format!("maxSize {} (bytes, at least 1024)", size.value));
    }
    if let Some((file, why)) = raw.file.as_ref().and_then(|file| Some((file, log_file::wrong(&file.value)?))) {
        let shown = shown(&file.value);
        diags.error(file.pos, format!("`{shown}` is no file name: {why} (a pattern such as system_%Y%m%d.log)"));
    }
    LogPlan {
        level,
        dir: text(&raw.dir, "./logs").into(),
        file: text(&raw.file, "system_%Y%m%d.log"),
        bytes_max: raw.max_size.as_ref().map_or(10_485_760, |at| at.value),
        age_days_max: raw.max_age.as_ref().map_or(7, |at| at.value),
        async_write: raw.async_write.as_ref().is_none_or(|at| at.value),
        language: field::word(diags, raw.language.as_ref(), Language::Zh),
        on_full: field::word(diags, raw.on_full.as_ref(), OnFull::Drop),
    }
}
