//! One frame of a shipped plan, read by the program and by the judge.

use super::input::Input;
use super::shipped::{DEVICES, Shipped, mended};
use crate::naive::frame::{Protocol, wire};
use fsu_plan::model::field::{Field, Kind};
use fsu_plan::wire::checksum::{compute, stored};
use fsu_plan::wire::inner::{Frame, checksum_ok, command, encode_wire, lengths_ok, parse, version_ok};
use fsu_plan::wire::value;

/// The plan, then what the rest is: the frame as it travels, the raw frame to be put right, or the place of a change
/// and the bytes that change a sample.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let shipped = input.one(&DEVICES);
    let template = shipped.template();
    let wire = match input.byte() {
        0 => input.0.to_vec(),
        1 => mended(template, input.0),
        n => {
            let mut raw = template.commands[usize::from(n) % template.commands.len()].sample.to_vec();
            let at = input.pick(raw.len().min(256));
            for (byte, change) in raw[at..].iter_mut().zip(input.0) {
                *byte ^= change;
            }
            mended(template, &raw)
        }
    };
    check_frame(shipped, &wire);
}

/// The program and the judge say the same of `sent`.
pub fn check_frame(shipped: &Shipped, sent: &[u8]) {
    let (template, judge) = (shipped.template(), Protocol(&shipped.protocol));
    let mut scratch = vec![0xA5];
    let parsed = parse(template, sent, &mut scratch);
    let cut = judge.cut(sent);
    let (frame, cut) = match (&parsed, &cut) {
        (Ok(frame), Ok(cut)) => (frame, cut),
        (Err(reason), Err(judged)) => return assert_eq!(reason.reason(), *judged, "why it cannot be cut"),
        _ => panic!("{parsed:?}, the judge: {cut:?}"),
    };
    assert_eq!(frame.raw, cut.iter().flat_map(|s| s.raw.clone()).collect::<Vec<_>>(), "the raw frame");
    assert_eq!(wire(cut), sent, "the judge's frame");
    let mut again = vec![];
    encode_wire(template, frame.raw, &mut again);
    assert!(again.eq_ignore_ascii_case(sent), "encoded otherwise than it came");

    let faults = judge.faults(cut);
    let length = faults.iter().find(|fault| fault.starts_with("bad_length")).copied();
    assert_eq!(lengths_ok(template, frame).err().map(|reason| reason.reason()), length, "lengths");
    assert_eq!(checksum_ok(template, frame), !faults.contains(&"bad_checksum"), "checksum");
    assert_eq!(version_ok(template, frame), !faults.contains(&"bad_version"), "version");
    let found = command(template, frame);
    assert_eq!(found, judge.command(cut), "command");
    if let Some(checksum) = &template.checksum {
        let right = compute(checksum, template, frame.raw, frame.wire) == stored(checksum, frame.raw);
        assert_eq!(right, checksum_ok(template, frame), "checksum");
    }
    let asked = found.and_then(|n| template.commands[n].request.as_deref()).unwrap_or_default();
    for field in template.left.iter().chain(&template.tail).chain(asked) {
        check_value(field, frame);
    }
}

/// The notation of any field content is bounded; that of a number or of digits encodes to the same bytes.
fn check_value(field: &Field, frame: &Frame<'_>) {
    let at = field.at.in_frame(frame.raw.len());
    let Some(bytes) = frame.raw.get(at..at + field.slot.len) else { return };
    let (mut notation, mut shown) = (vec![], String::new());
    value::decode_into(&field.slot, bytes, &mut notation);
    assert!(notation.len() <= value::notation_bytes_max(&field.slot), "{}: a long notation", field.name);
    value::decode(&field.slot, bytes, &mut shown);
    assert!(!shown.contains(char::is_control), "{}: {shown:?}", field.name);
    if matches!(field.slot.kind, Kind::Hex | Kind::Uint | Kind::Int | Kind::Length) {
        let mut back = vec![0; bytes.len()];
        assert_eq!(value::encode(&field.slot, &notation, &mut back), Ok(()), "{}", field.name);
        assert_eq!(back, bytes, "{}", field.name);
    }
}
