//! System-log lines at `debug`: one for each decoded and each encoded frame.

use super::record::{FRAMES_TOLD_MAX, Record, RecordKind};
use fsu_core::about::{About, What};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::envelope::Frames;
use fsu_plan::words::count;
use std::fmt::Write;

/// The module that the system log names for these lines.
pub(super) const TARGET: &str = module_path!();

/// Calls `line` with each line for a record.
pub(super) fn lines(fsu: &Fsu, record: &Record<'_>, mut line: impl FnMut(&str)) {
    let mut text = String::new();
    let mut say = |about: About, bytes: usize| {
        text.clear();
        frame(fsu, record, about, bytes, &mut text);
        line(&text);
    };
    if record.kind != RecordKind::Received || fsu.transport != Transport::Udp || record.bytes.is_empty() {
        return say(record.told.first(), record.bytes.len());
    }
    let mut told = record.told.iter();
    for item in Frames::new(record.bytes).take(FRAMES_TOLD_MAX) {
        let bytes = item.map_or_else(|bad| bad.bytes.len(), |frame| frame.bytes.len());
        say(told.next().unwrap_or_default(), bytes);
    }
}

/// `dev: decoded 108B, device 1 (x): 74 bytes from 127.0.0.1:4000`
fn frame(fsu: &Fsu, record: &Record<'_>, about: About, bytes: usize, out: &mut String) {
    let device = fsu.devices.get(usize::from(about.device));
    let command = device.and_then(|device| device.template.commands.get(usize::from(about.command)));
    let dropped = matches!(about.what, What::Dropped | What::Unknown);
    let done = match (record.kind, dropped) {
        (RecordKind::Received, false) => "decoded",
        (RecordKind::Received, true) => "dropped",
        (RecordKind::Unsent, _) => "not sent",
        _ => "encoded",
    };
    // Writing to a String does not fail.
    let _ = write!(out, "{}: {done}", fsu.name);
    match (command, about.what) {
        (Some(command), _) => {
            let _ = write!(out, " {}", command.key_text);
        }
        (None, What::Heartbeat) => out.push_str(" heartbeat"),
        (None, _) => {}
    }
    if about.what == What::Data {
        out.push_str(" data frame");
    }
    if let Some(device) = device {
        let number = device.layouts.home.unwrap_or(about.device);
        let _ = write!(out, ", device {} ({})", usize::from(number) + 1, device.vendor.escape_debug());
    }
    let way = if record.kind == RecordKind::Received { "from" } else { "to" };
    let _ = write!(out, ": {} {way} {}", count(bytes, "byte"), record.peer);
    if let Some(why) = about.why {
        let _ = write!(out, "; {}", why.reason());
    }
    if about.what == What::Silent {
        out.push_str("; silent by its rule");
    }
    if about.held_us > 0 {
        let _ = write!(out, "; due after {} ms", f64::from(about.held_us) / 1_000.0);
    }
    for kind in about.faults.iter() {
        let _ = write!(out, "; fault {}", kind.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devlog::record::Told;
    use crate::testing::{device, fixed_template, fsu_with};
    use fsu_plan::model::fault::FaultKind;
    use fsu_plan::wire::reason::Reason;

    fn check(transport: Transport, kind: RecordKind, abouts: &[About], bytes: &[u8], expected: &[&str]) {
        let fsu = fsu_with("dev", transport, vec![device(1, fixed_template())]);
        let told: Vec<u8> = abouts.iter().flat_map(About::encode).collect();
        let (peer, told) = (([127, 0, 0, 1], 4_000).into(), Told::new(&told).unwrap());
        let record = Record { kind, fsu: 0, peer, unix_ms: 0, told, lost_before: 0, bytes };
        let mut said = Vec::new();
        lines(&fsu, &record, |line| said.push(line.to_owned()));
        assert_eq!(said, expected);
    }

    #[test]
    fn n07_a_line_for_each_frame() {
        let asked = About { command: 0, what: What::Answered, ..About::of(0) };
        let (tcp, udp) = (Transport::Tcp, Transport::Udp);
        check(
            tcp,
            RecordKind::Received,
            &[asked],
            b"abc",
            &["dev: decoded 108B, device 1 (): 3 bytes from 127.0.0.1:4000"],
        );
        let late = About { held_us: 60_000, ..asked.lost(FaultKind::Corrupt) };
        let line = "dev: encoded 108B, device 1 (): 1 byte to 127.0.0.1:4000; due after 60 ms; fault corrupt";
        check(tcp, RecordKind::Reply, &[late], b"a", &[line]);
        let garbage = About::dropped(Reason::Garbage);
        check(
            tcp,
            RecordKind::Received,
            &[garbage],
            b"a",
            &["dev: dropped: 1 byte from 127.0.0.1:4000; garbage_bytes"],
        );
        check(
            udp,
            RecordKind::Heartbeat,
            &[About::HEARTBEAT],
            b"a",
            &["dev: encoded heartbeat: 1 byte to 127.0.0.1:4000"],
        );
        let gone = late.drop(Reason::PeerGone);
        let line =
            "dev: not sent 108B, device 1 (): 1 byte to 127.0.0.1:4000; peer_gone; due after 60 ms; fault corrupt";
        check(tcp, RecordKind::Unsent, &[gone], b"a", &[line]);
        check(
            udp,
            RecordKind::Received,
            &[About::dropped(Reason::OuterShort), About::dropped(Reason::OuterBadHeader)],
            b"\xFF1\xFE23",
            &[
                "dev: dropped: 3 bytes from 127.0.0.1:4000; outer_short",
                "dev: dropped: 2 bytes from 127.0.0.1:4000; outer_bad_header",
            ],
        );
    }
}
