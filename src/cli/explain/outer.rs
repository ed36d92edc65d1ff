//! The outer frame: its fields and faults.

use super::model::{Fault, Layer, Row};
use crate::columns::hex;
use fsu_core::dissect::outer::{Outer, OuterField, OuterPiece, OuterValue, Party, Rtn, Way};
use fsu_plan::model::fleet::{Fsu, FsuId};
use fsu_plan::wire::envelope::{
    COMM_HEARTBEAT, COMM_THROUGH, DATA_BYTES_MAX, ESCAPE, HEARTBEAT_BYTES, OVERHEAD_BYTES, UNCOUNTED_BYTES, at,
};
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::count;

/// The fields of an unescaped frame, as far as it is complete.
pub(super) fn layer(plain: &[u8], wire_len: usize, way: Way, fsu: &Fsu) -> Layer {
    let mut layer = Layer { name: "outer frame".into(), ..Layer::default() };
    if wire_len != plain.len() {
        let escapes = wire_len - plain.len();
        layer.notes.push(format!("{escapes} escape pairs; offsets count the {} bytes without them", plain.len()));
    }
    Outer { plain, way, fsu }.visit(|piece| layer.fields.push(row(piece, fsu)));
    layer
}

fn row(piece: OuterPiece<'_>, fsu: &Fsu) -> Row {
    let (value, ok, expected) = look(piece, fsu);
    let field = piece.field.name().into();
    Row { offset: piece.at, bytes: hex(piece.bytes), field, value, ok, expected, ..Row::default() }
}

/// The value, whether it is right, and the expected value.
type Seen = (String, Option<bool>, Option<String>);

fn seen(value: &str) -> Seen {
    (value.into(), None, None)
}

fn checked(value: &str, ok: bool, expected: &str) -> Seen {
    (value.into(), Some(ok), (!ok).then(|| expected.into()))
}

fn look(piece: OuterPiece<'_>, fsu: &Fsu) -> Seen {
    match piece.value {
        OuterValue::Byte { right } => checked("", *piece.bytes == [right], &format!("{right:02X}")),
        OuterValue::Address(party) => address(piece.bytes, party, fsu),
        OuterValue::Device => match (piece.field, piece.bytes) {
            (OuterField::SubDevType, [1]) => seen("serial"),
            (OuterField::SubDevType, [2]) => seen("USB"),
            (OuterField::SubDevType, [3]) => seen("IP"),
            _ => seen(""),
        },
        OuterValue::Length { value, right: None, .. } => seen(&value.to_string()),
        OuterValue::Length { value, high_first: true, .. } => {
            checked(&format!("{value}, high byte first (accepted, counted)"), true, "")
        }
        OuterValue::Length { value, right: Some(right), .. } => {
            checked(&value.to_string(), usize::from(value) == right, &expected_length(right))
        }
        OuterValue::Rtn { says, is_right } => match says {
            Rtn::Request => checked("request", is_right, "00 or ED"),
            Rtn::Reply => checked("reply", is_right, "EE"),
            Rtn::Heartbeat => checked("heartbeat", is_right, "EE"),
            Rtn::Unknown => checked("", is_right, "EE"),
        },
        OuterValue::Comm(COMM_THROUGH) => checked("0001 through data", true, ""),
        OuterValue::Comm(COMM_HEARTBEAT) => checked("0002 heartbeat", true, ""),
        OuterValue::Comm(other) => checked(&format!("{other:04X}"), false, "0001 or 0002"),
        OuterValue::Data => seen(&format!("{} bytes: the inner frame", piece.bytes.len())),
    }
}

/// The FSU's id, or a centre's address.
fn address(bytes: &[u8], party: Party, fsu: &Fsu) -> Seen {
    let given = bytes.trim_ascii_end();
    let given = &given[..given.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
    let value = match std::str::from_utf8(given) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("\"{text}\""),
        _ => String::new(),
    };
    match party {
        Party::Centre => (if value.is_empty() { "a centre".into() } else { value }, None, None),
        Party::This => checked(&format!("{value} this FSU"), true, ""),
        Party::Other if fsu.accept_any_id => seen(&format!("{value} another FSU (accept_any_id)")),
        Party::Other => checked(&value, false, &format!("{}, then 00", fsu.id)),
    }
}

fn expected_length(expected: usize) -> String {
    let bytes = (expected as u16).to_le_bytes();
    format!("{} ({expected})", hex(&bytes))
}

/// What is wrong with bytes that are no frame. `offset` is their offset in the datagram, `next` the byte after them.
pub(super) fn no_frame(reason: Reason, bytes: &[u8], offset: usize, next: Option<u8>) -> Fault {
    let end = offset + bytes.len();
    let follows = next.map_or_else(|| "the datagram's end".to_owned(), |byte| format!("{byte:02X}"));
    let (at, expected, found) = match reason {
        Reason::OuterBadHeader => (offset, "FF (P_header)".into(), hex(&bytes[..bytes.len().min(1)])),
        Reason::OuterBadTailer => (end, "FE (P_tailer)".into(), follows),
        _ => (end, "FD 00 for an FF inside a frame, or FE (P_tailer) before the next frame".into(), follows),
    };
    fault(reason, "bytes given", Some(at), expected, found)
}

/// What is wrong with a frame that has P_header and P_tailer. `plain` is empty if an escape is invalid.
pub(super) fn bad_frame(reason: Reason, wire: &[u8], plain: &[u8], fsu: &Fsu) -> Fault {
    // The fields read here are at the same offsets in both directions.
    let outer = Outer { plain, way: Way::Down, fsu };
    let field = |at: usize, len: usize| plain.get(at..at + len).map(hex).unwrap_or_default();
    let order = |expected: usize| format!("{}, or high byte first", expected_length(expected));
    let (offset, expected, found) = match reason {
        Reason::OuterShort => {
            let len = if plain.is_empty() { wire.len() } else { plain.len() };
            return fault(
                reason,
                "outer frame",
                Some(len),
                format!("at least {HEARTBEAT_BYTES} bytes"),
                count(len, "byte"),
            );
        }
        Reason::OuterBadEscape => {
            let at = bad_escape(wire);
            let found = wire.get(at..(at + 2).min(wire.len())).map(hex).unwrap_or_default();
            return fault(reason, "outer frame with its escapes", Some(at), "FD 00, FD 01 or FD 02".into(), found);
        }
        Reason::OuterBadVerify => {
            let at = plain.len().saturating_sub(2);
            (at, format!("{:02X} (the XOR of bytes 1 to {})", outer.verify(), at.saturating_sub(1)), field(at, 1))
        }
        Reason::OuterBadPLen if outer.comm_type() == Some(COMM_HEARTBEAT) && plain.len() != HEARTBEAT_BYTES => {
            (at::P_LEN, format!("a heartbeat of {HEARTBEAT_BYTES} bytes"), count(plain.len(), "byte"))
        }
        Reason::OuterBadPLen => (at::P_LEN, order(plain.len().saturating_sub(UNCOUNTED_BYTES)), field(at::P_LEN, 2)),
        Reason::OuterBadDataLen => match plain.len().checked_sub(OVERHEAD_BYTES) {
            Some(len) => (at::DATA_LEN, order(len), field(at::DATA_LEN, 2)),
            None => (at::DATA_LEN, format!("at least {OVERHEAD_BYTES} bytes"), count(plain.len(), "byte")),
        },
        Reason::OuterBadRtnFlag => {
            (at::RTN_FLAG, format!("{} (ED in a heartbeat)", fsu.accept_rtn_flags), field(at::RTN_FLAG, 1))
        }
        Reason::OuterBadCommType => (at::COMM_TYPE, "0100 or 0200".into(), field(at::COMM_TYPE, 2)),
        Reason::WrongFsu => {
            let expected = format!("{}, then 00 (or accept_any_id)", fsu.id);
            (at::DEST, expected, field(at::DEST, FsuId::BYTES))
        }
        Reason::UnknownDevice => {
            let known =
                fsu.devices.iter().map(|device| format!("{:02X}{:02X}", device.sub_dev_type, device.sub_dev_addr));
            (at::SUB_DEV_TYPE, known.collect::<Vec<_>>().join(" or "), field(at::SUB_DEV_TYPE, 2))
        }
        Reason::TooLong => {
            let expected = format!("a reply of at most {DATA_BYTES_MAX} bytes that fits a datagram");
            return fault(reason, "reply", None, expected, "a longer one".into());
        }
        _ => return fault(reason, "outer frame", None, String::new(), String::new()),
    };
    fault(reason, "outer frame", Some(offset), expected, found)
}

/// Like [`bad_frame`], for a frame from the FSU.
pub(super) fn bad_frame_up(reason: Reason, wire: &[u8], plain: &[u8], fsu: &Fsu) -> Fault {
    let fault = bad_frame(reason, wire, plain, fsu);
    if reason != Reason::OuterBadRtnFlag {
        return fault;
    }
    Fault {
        meaning: "outer: RtnFlag is not 00 (nor ED in a heartbeat)".into(),
        expected: "00 (ED in a heartbeat)".into(),
        ..fault
    }
}

/// A frame of another FSU.
pub(super) fn other_fsu(src: &[u8; FsuId::BYTES], fsu: &Fsu) -> Fault {
    let expected = format!("{}, then 00 (or accept_any_id)", fsu.id);
    let fault = fault(Reason::WrongFsu, "outer frame", Some(at::SRC_UP), expected, hex(src));
    Fault { meaning: "outer: from another FSU".into(), ..fault }
}

/// The offset of the first invalid escape, or the frame's size if all are valid.
fn bad_escape(wire: &[u8]) -> usize {
    let mut at = 0;
    while at < wire.len() {
        match (wire[at], wire.get(at + 1)) {
            (ESCAPE, Some(0..=2)) => at += 2,
            (ESCAPE, _) => return at,
            _ => at += 1,
        }
    }
    at
}

/// A fault, described by the text of its reason.
pub(super) fn fault(
    reason: Reason,
    within: &'static str,
    offset: Option<usize>,
    expected: String,
    found: String,
) -> Fault {
    Fault { reason: reason.reason(), meaning: reason.meaning().trim().into(), within, offset, expected, found }
}
