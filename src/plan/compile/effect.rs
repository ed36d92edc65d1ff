//! Keys that do nothing where they are: an error under `check --strict`, else only shown by `check -v`.
//!
//! Only certain cases are reported. What files of the base format hold as a rule and no one needs (`total_length` beside
//! `"dynamic_length": true`, `padding` where nothing is short) is no mistake.

use super::coding;
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawDevice, RawField, RawFsu, RawLog, RawPerformance, RawProtocol, RawRule, RawSysConfig};
use crate::model::field::Computed;
use crate::model::fleet::Fsu;
use crate::model::message::Transport;
use crate::model::template::{Encoding, Template};

/// A key and where its value is, where it is given.
type Given = (&'static str, Option<Pos>);

fn pos<T>(at: Option<&At<T>>) -> Option<Pos> {
    at.map(|at| at.pos)
}

fn tell(diags: &mut Diags, keys: &[Given], why: &str) {
    for (key, at) in keys {
        if let Some(at) = at {
            diags.idle(*at, format!("`{key}` does nothing here: {why}"));
        }
    }
}

/// Keys of sys_config.json that no FSU of the fleet needs.
pub fn fleet(diags: &mut Diags, raw: &RawSysConfig, fsus: &[Fsu]) {
    if !fsus.iter().any(|fsu| fsu.heartbeat().is_some()) {
        tell(diags, &[("sc_iot_center", pos(raw.sc_iot_center.as_ref()))], "no udp FSU sends heartbeats");
    }
    if fsus.iter().all(|fsu| fsu.transport == Transport::Tcp) {
        let why = "it is about datagrams, and every FSU is tcp";
        tell(diags, &[("allow_amplification", pos(raw.allow_amplification.as_ref()))], why);
    }
    let has_own = |fsu: &At<RawFsu>| fsu.allow.is_some();
    if raw.fsu_list.iter().flatten().all(has_own) {
        tell(diags, &[("allow", pos(raw.allow.as_ref()))], "every FSU has its own");
    }
    let on = |at: &Option<At<bool>>, default: bool| at.as_ref().map_or(default, |at| at.value);
    let performance = raw.performance.as_ref();
    let enabled = |raw: &&RawPerformance| on(&raw.enabled, false);
    if let Some(raw) =
        performance.filter(enabled).filter(|raw| !on(&raw.skip_delay, true) && !on(&raw.skip_device_log, true))
    {
        tell(diags, &[("enabled", pos(raw.enabled.as_ref()))], "it skips neither delays nor the device log");
    }
    if let Some(log) = &raw.log {
        let no_device_log = performance.filter(enabled).is_some_and(|raw| on(&raw.skip_device_log, true));
        self::log(diags, log, no_device_log);
    }
}

fn log(diags: &mut Diags, raw: &RawLog, no_device_log: bool) {
    if no_device_log {
        tell(diags, &[("language", pos(raw.language.as_ref()))], "performance mode skips the device log");
    }
    if raw.level.as_ref().is_some_and(|level| level.value == "off") {
        let keys = [("file", pos(raw.file.as_ref())), ("async_write", pos(raw.async_write.as_ref()))];
        tell(diags, &keys, "the level is off, so there is no system log");
    }
}

/// Keys of an FSU that are about another transport, or about heartbeats that it does not send.
pub fn fsu(diags: &mut Diags, raw: &RawFsu, transport: Transport) {
    let limits = raw.limits.as_ref();
    let limit = |of: fn(&crate::config::raw::RawLimits) -> Option<&At<u64>>| limits.and_then(|limits| pos(of(limits)));
    let udp = [
        ("heartbeat_interval", pos(raw.heartbeat_interval.as_ref())),
        ("heartbeat_enable", pos(raw.heartbeat_enable.as_ref())),
        ("heartbeat_reply", pos(raw.heartbeat_reply.as_ref())),
        ("client_timeout", pos(raw.client_timeout.as_ref())),
        ("accept_any_id", pos(raw.accept_any_id.as_ref())),
        ("accept_rtn_flags", pos(raw.accept_rtn_flags.as_ref())),
        ("clients_max", limit(|limits| limits.clients_max.as_ref())),
    ];
    let tcp = [
        ("connections_max", limit(|limits| limits.connections_max.as_ref())),
        ("connections_per_peer_max", limit(|limits| limits.connections_per_peer_max.as_ref())),
        ("frame_deadline_ms", limit(|limits| limits.frame_deadline_ms.as_ref())),
        ("idle_timeout_ms", limit(|limits| limits.idle_timeout_ms.as_ref())),
        ("write_deadline_ms", limit(|limits| limits.write_deadline_ms.as_ref())),
        ("write_buffer_bytes_max", limit(|limits| limits.write_buffer_bytes_max.as_ref())),
    ];
    let why = |of: &str| format!("it is for {of}, and this FSU is {}", transport.name());
    if transport != Transport::Udp {
        tell(diags, &udp, &why("udp"));
    } else if raw.heartbeat_enable.as_ref().is_some_and(|enable| !enable.value) {
        tell(diags, &[("heartbeat_interval", pos(raw.heartbeat_interval.as_ref()))], "`heartbeat_enable` is false");
    }
    if transport != Transport::Tcp {
        tell(diags, &tcp, &why("tcp"));
    }
}

/// Keys of a device that its template has no use for.
pub fn device(diags: &mut Diags, raw: &RawDevice, template: &Template) {
    if template.checksum.is_none() {
        let fault = raw.faults.as_ref().and_then(|faults| pos(faults.bad_checksum.as_ref()));
        let keys = [("verify_checksum", pos(raw.verify_checksum.as_ref())), ("bad_checksum", fault)];
        tell(diags, &keys, "the template has no checksum");
    }
}

/// Keys of a template that the rest of it has no use for.
pub fn template(diags: &mut Diags, raw: &RawProtocol, plan: &Template) {
    let dynamic = raw.dynamic_length.as_ref().is_some_and(|dynamic| dynamic.value);
    if let Some(total) = raw.total_length.as_ref().filter(|_| dynamic) {
        diags.info(total.pos, "`total_length` means nothing beside `\"dynamic_length\": true`");
    }
    if let Some(errors) = &raw.errors {
        if plan.checksum.is_none() {
            tell(diags, &[("bad_checksum", pos(errors.bad_checksum.as_ref()))], "the template has no checksum");
        }
        if !plan.lengths.iter().any(|length| length.lchksum) {
            let why = "no length field has `\"check\": \"lchksum\"`";
            tell(diags, &[("bad_length_checksum", pos(errors.bad_length_checksum.as_ref()))], why);
        }
        if plan.versions.is_empty() {
            let why = "no header or tail field has `\"match\": true`";
            tell(diags, &[("bad_version", pos(errors.bad_version.as_ref()))], why);
        }
    }
    if plan.encoding == Encoding::Binary && !coding::changes_fields(plan) {
        let list = raw.checksum.iter().flat_map(|list| &list.value.0);
        for over in list.filter_map(|checksum| checksum.over.as_ref()).filter(|over| over.value == "wire") {
            diags.idle(over.pos, "`wire` is the same as `raw` without ascii_hex");
        }
    }
    fields(diags, raw, plan);
}

fn fields(diags: &mut Diags, raw: &RawProtocol, plan: &Template) {
    let areas = [(&raw.pdu_left, &plan.left), (&raw.pdu_tailer, &plan.tail)];
    for (raw, fields) in areas {
        for (raw, field) in raw.iter().flatten().zip(fields) {
            if field.computed != Computed::No && is_on(raw) {
                let why = "start, end, lengths and checksums are always looked at";
                tell(diags, &[("match", pos(raw.matches.as_ref()))], why);
            }
        }
    }
    let replies = raw.data_frame.iter().flatten().flat_map(|command| command.resp_data_list.iter().flatten());
    for raw in replies.filter(|raw| is_on(raw)) {
        tell(diags, &[("match", pos(raw.matches.as_ref()))], "it is about requests, and this is a reply");
    }
}

fn is_on(raw: &RawField) -> bool {
    raw.matches.as_ref().is_some_and(|matches| matches.value)
}

/// Keys of a rule that sends nothing, or whose template has no checksum.
pub fn rule(diags: &mut Diags, raw: &At<RawRule>, template: &Template) {
    if raw.timeout.as_ref().is_some_and(|timeout| timeout.value) {
        let first = |map: &crate::config::raw::RawData| map.0.first().map(|(name, _)| name.pos);
        let keys = [
            ("data", raw.data.as_ref().and_then(first)),
            ("delay_ms", pos(raw.delay_ms.as_ref())),
            ("delay", pos(raw.delay.as_ref())),
            ("cycle", pos(raw.cycle.as_ref())),
            ("burst", pos(raw.burst.as_ref())),
            ("replies", pos(raw.replies.as_ref())),
            ("data_file", pos(raw.data_file.as_ref())),
            ("data_bytes", pos(raw.data_bytes.as_ref())),
            ("faults", pos(raw.faults.as_ref())),
        ];
        tell(diags, &keys, "with `\"timeout\": true` nothing is sent");
    } else if template.checksum.is_none() {
        let fault = raw.faults.as_ref().and_then(|faults| pos(faults.bad_checksum.as_ref()));
        tell(diags, &[("bad_checksum", fault)], "the template has no checksum");
    }
}
