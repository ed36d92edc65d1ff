//! The shipped plans, and FSUs made of their devices.

use fsu_core::client::request::finish;
use fsu_core::moment::{Moment, RunContext};
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{Source, embedded_files};
use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults};
use fsu_plan::model::fleet::{Common, Device, Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::Template;
use fsu_plan::wire::checksum::write_number;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::inner::length_value;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Replies leave at once: then the time of one does not depend on the ones before it.
pub const RUN: RunContext = RunContext { seed: 7, skip_delay: true, start_mono_ms: 0 };

/// 2026-01-12 17:30:03, UTC+8, plus `ms` milliseconds.
pub fn moment(after_ms: i64) -> Moment {
    let now = Now { unix_ms: 1_768_210_203_000 + after_ms, utc_offset_s: 28_800 };
    Moment::at(now, after_ms as u64)
}

/// The embedded configuration.
pub static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let mut loader = Loader::new(Source::Embedded);
    let main = loader.main_file(Path::new(""));
    compile(&mut loader, &main).expect("the embedded configuration compiles")
});

/// A device of the shipped fleet, and its template as it is written.
pub struct Shipped {
    pub device: Arc<Device>,
    pub protocol: Value,
}

impl Shipped {
    pub fn template(&self) -> &Template {
        &self.device.template
    }
}

/// One device for every template.
pub static DEVICES: LazyLock<Vec<Shipped>> = LazyLock::new(|| {
    let mut out: Vec<Shipped> = vec![];
    for device in FLEET.fsus.iter().flat_map(|fsu| fsu.devices.iter()) {
        if out.iter().any(|shipped| shipped.template().path == device.template.path) {
            continue;
        }
        let name = device.template.path.trim_start_matches("embedded:").to_owned();
        let file = embedded_files().into_iter().find(|(path, _)| *path == Path::new(&name));
        let (_, text) = file.unwrap_or_else(|| panic!("{name} is not embedded"));
        let mut template: Value = serde_json::from_slice(text).unwrap();
        out.push(Shipped { device: device.clone(), protocol: template["protocol"].take() });
    }
    assert!(out.len() >= 7, "a template is missing");
    out
});

/// The written protocol of a device's template.
pub fn protocol_of(device: &Device) -> &'static Value {
    let found = DEVICES.iter().find(|shipped| shipped.template().path == device.template.path);
    &found.expect("a shipped template").protocol
}

/// What an FSU does beside answering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Habits {
    /// As shipped.
    Plain,
    /// Answers heartbeats and requests to any id.
    Open,
    /// Makes every fault, each now and then.
    Faulty,
}

fn faults() -> Arc<FsuFaults> {
    let mut base =
        FaultSet { split_pieces: 3, split_gap_ms: 1, reorder_ms: 1, extra_delay_ms: 1, ..FaultSet::default() };
    for kind in FaultKind::ALL {
        base.set_p(kind, 0.2);
    }
    Arc::new(FsuFaults { base, schedule: [].into() })
}

/// An FSU with these devices.
pub fn fsu(name: &str, transport: Transport, devices: Vec<Arc<Device>>, habits: Habits) -> Fsu {
    let like = &FLEET.fsus[0];
    Fsu {
        name: name.into(),
        id: like.id,
        bind: like.bind,
        common: Arc::new(Common {
            transport,
            messages: Arc::default(),
            params: Arc::default(),
            heartbeat_reply: habits != Habits::Plain,
            talks: devices.iter().any(|device| device.conversation.is_some()),
            client_timeout_ms: like.client_timeout_ms,
            accept_any_id: habits != Habits::Plain,
            accept_rtn_flags: like.accept_rtn_flags,
            limits: like.limits,
            allow: like.allow.clone(),
            devices: devices.into(),
            faults: (habits == Habits::Faulty).then(faults),
            connect: None,
            tls: None,
        }),
    }
}

fn devices() -> (Vec<Arc<Device>>, Vec<Arc<Device>>) {
    DEVICES.iter().map(|shipped| shipped.device.clone()).partition(|device| device.template.transfer.is_none())
}

/// An FSU for every template that a stream can carry, and some with several of them.
pub static STREAMS: LazyLock<Vec<Fsu>> = LazyLock::new(|| {
    let (plain, _) = devices();
    let mut lists: Vec<Vec<_>> = plain.iter().map(|device| vec![device.clone()]).collect();
    lists.push(plain.clone());
    lists.push(plain.iter().rev().cloned().collect());
    lists.extend(plain.windows(2).map(<[_]>::to_vec));
    lists.into_iter().map(|devices| fsu("stream", Transport::Tcp, devices, Habits::Plain)).collect()
});

/// FSUs of every transport, as shipped and otherwise.
pub static FSUS: LazyLock<Vec<(Fsu, Habits)>> = LazyLock::new(|| {
    let (plain, transfers) = devices();
    let mut out = vec![];
    for habits in [Habits::Plain, Habits::Open, Habits::Faulty] {
        let mut add = |transport, devices: &[Arc<Device>]| {
            out.push((fsu("one", transport, devices.to_vec(), habits), habits));
        };
        for device in &plain {
            for transport in [Transport::Udp, Transport::Tcp, Transport::Broadcast] {
                add(transport, std::slice::from_ref(device));
            }
        }
        for device in &transfers {
            add(Transport::Broadcast, std::slice::from_ref(device));
        }
        add(Transport::Tcp, &plain);
        // Two devices with addresses of their own.
        let fleet = FLEET.fsus.iter().find(|fsu| fsu.devices.len() > 1).expect("an FSU with two devices");
        add(Transport::Udp, &fleet.devices);
    }
    out
});

/// `raw` with start, end, lengths and checksum as they should be, as it travels; where it is too short for that, as it is.
pub fn mended(template: &Template, raw: &[u8]) -> Vec<u8> {
    let around = template.left_len + template.tail_len;
    let mut raw = raw.to_vec();
    let Some(data_len) = raw.len().checked_sub(around) else { return raw };
    let len = raw.len();
    raw[..template.start.len()].copy_from_slice(&template.start);
    raw[len - template.end.len()..].copy_from_slice(&template.end);
    for field in &template.lengths {
        let at = field.at.in_frame(len);
        write_number(length_value(field, data_len), field.little, &mut raw[at..at + field.len]);
    }
    let mut wire = vec![];
    finish(template, &mut raw, &mut wire);
    wire
}
