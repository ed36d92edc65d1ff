//! Records of the device log as text: whatever was on the wire, it cannot look like another record.

use crate::fuzzing::input::Input;
use crate::fuzzing::shipped::{FSUS, mended};
use crate::naive::outer::{self, Outer};
use fsu_core::about::About;
use fsu_plan::model::fleet::{Fsu, Language};
use fsu_plan::model::message::Transport;
use fsu_serve::devlog::record::{FAULT_BYTES, Record, fault_of};
use fsu_serve::devlog::{RecordKind, RecordText, Told};

/// Records of one input at most.
const RECORDS_MAX: usize = 16;
/// Text of a record: so much, and so much for every byte on the wire.
const TEXT_BYTES_MAX: (usize, usize) = (16_384, 256);

/// The FSU and the language, then records.
pub fn run(data: &[u8]) {
    // As the logger reads its queue.
    let mut queue = data;
    while let Ok(Some(record)) = Record::take(&mut queue) {
        if record.kind == RecordKind::Fault {
            fault_of(record.bytes);
        }
    }

    let mut input = Input(data);
    let number = input.pick(FSUS.len());
    let fsu = &FSUS[number].0;
    let language = *input.one(&[Language::Zh, Language::En]);
    let mut text = RecordText::new(language, 28_800);
    let mut unix_ms = 1_768_210_203_000;
    for _ in 0..RECORDS_MAX {
        if input.is_empty() {
            break;
        }
        let kind = *input.one(&[
            RecordKind::Received,
            RecordKind::Unsent,
            RecordKind::Reply,
            RecordKind::Heartbeat,
            RecordKind::Fault,
        ]);
        // Whatever the numbers are, they may be none of the plan.
        let mut abouts = Vec::new();
        for _ in 0..input.pick(4) {
            let mut about = [0; About::BYTES];
            about.fill_with(|| input.byte());
            // Mostly of a device and a command that there are.
            for (low, high) in [(0, 1), (2, 3), (4, 5)] {
                about[high] = if about[high] == 0xFF { 0xFF } else { 0 };
                about[low] %= 8;
            }
            about[8] %= 8;
            about[18] %= 2;
            abouts.extend(About::decode(&about).map(|about| about.encode()).into_iter().flatten());
        }
        let told = Told::new(&abouts).expect("encoded");
        let lost_before = u32::from(input.byte() == 0xFF);
        unix_ms += i64::from(input.byte()) * 100;
        let bytes = bytes(fsu, &mut input);
        let peer = "127.0.0.1:40212".parse().unwrap();
        let record = Record { kind, fsu: number as u32, peer, unix_ms, told, lost_before, bytes: &bytes };
        check_head(&record);
        check_text(&mut text, fsu, &record);
    }
}

fn bytes(fsu: &Fsu, input: &mut Input<'_>) -> Vec<u8> {
    let how = input.byte();
    let device = input.one(&fsu.devices);
    let template = &device.template;
    let command = &template.commands[input.pick(template.commands.len().min(256))];
    let inner = match how % 4 {
        0 => return input.short().to_vec(),
        1 => mended(template, input.short()),
        2 => mended(
            template,
            &[&command.sample.to_vec()[..template.left_len.min(command.sample.len())], input.short()].concat(),
        ),
        _ => {
            // As long as the command's reply.
            let mut raw = vec![0; template.left_len + command.response_len + template.tail_len];
            let changes = input.short();
            raw.iter_mut().zip(changes.iter().cycle()).for_each(|(byte, change)| *byte = *change);
            mended(template, &raw)
        }
    };
    if fsu.transport != Transport::Udp {
        return inner;
    }
    let down = (how / 4).is_multiple_of(2);
    outer::build(&Outer {
        dest: if down { fsu.id.bytes.to_vec() } else { vec![0; 8] },
        src: if down { vec![0; 8] } else { fsu.id.bytes.to_vec() },
        sub_dev_type: device.sub_dev_type,
        sub_dev_addr: device.sub_dev_addr,
        rtn_flag: if down { 0xEE } else { 0 },
        comm_type: 1,
        data: Some(inner),
        big: (how / 8 % 2 == 1, how / 16 % 2 == 1),
    })
}

/// A record comes back from the bytes it is handed over as.
fn check_head(record: &Record<'_>) {
    let mut handed = record.head(record.told.iter().count()).expect("a short record").to_vec();
    handed.extend(record.told.iter().flat_map(|about| about.encode()));
    handed.extend_from_slice(record.bytes);
    let mut queue = &handed[..];
    assert_eq!(Record::take(&mut queue), Ok(Some(*record)));
    assert!(queue.is_empty());
    assert_eq!(fault_of(record.bytes).is_some(), record.bytes.len() == FAULT_BYTES && fault_of(record.bytes).is_some());
}

fn check_text(text: &mut RecordText, fsu: &Fsu, record: &Record<'_>) {
    let mut out = vec![];
    text.append(fsu, record, &mut out);
    let out = String::from_utf8(out).expect("UTF-8");
    let (base, each) = TEXT_BYTES_MAX;
    assert!(out.len() <= base + each * record.bytes.len(), "{} bytes of {}", out.len(), record.bytes.len());
    assert!(!out.contains(|c: char| c.is_control() && c != '\n'), "a control character: {out:?}");
    let mut lines = out.lines();
    if record.lost_before > 0 {
        assert_eq!(lines.next(), Some("... 1 records lost here"));
    }
    if record.kind == RecordKind::Fault {
        return assert_eq!(lines.next(), None, "a fault is in the ledger");
    }
    assert!(out.ends_with('\n'), "{out:?}");
    let first = lines.next().expect("a first line");
    let direction = match record.kind {
        RecordKind::Received => "[RECV]",
        RecordKind::Unsent => "[LOST]",
        _ => "[SEND]",
    };
    assert!(first.starts_with("[2026-01-12 ") && first[26..].starts_with(direction), "{first}");
    let dump: String = record.bytes.iter().map(|byte| format!(" {byte:02X}")).collect();
    assert_eq!(lines.next(), Some(&*format!("  HEX:{dump}")), "the bytes on the wire");
    for line in lines {
        assert!(line.starts_with("  "), "a line that looks like another record: {line}");
    }
}
