//! The outer frame: its fields, and what is wrong with it.

use super::model::{Fault, Layer, Row};
use crate::columns::hex;
use fsu_plan::model::fleet::{Fsu, FsuId};
use fsu_plan::wire::envelope::{
    CENTER_BYTES, COMM_HEARTBEAT, COMM_THROUGH, DATA_BYTES_MAX, ESCAPE, HEADER, HEARTBEAT_BYTES, OVERHEAD_BYTES,
    RTN_HEARTBEAT, RTN_REPLY, RTN_REQUEST, TAILER, at, xor,
};
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::count;

/// Bytes that P_pLen does not count.
const UNCOUNTED_BYTES: usize = 35;

/// Who sends a frame; it decides the widths of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The centre.
    Down,
    /// The FSU.
    Up,
}

/// The fields of an unescaped frame, as far as it goes.
pub(super) fn layer(plain: &[u8], wire_len: usize, way: Way, fsu: &Fsu) -> Layer {
    let mut layer = Layer { name: "outer frame".into(), ..Layer::default() };
    if wire_len != plain.len() {
        let escapes = wire_len - plain.len();
        layer.notes.push(format!("{escapes} escape pairs; offsets count the {} bytes without them", plain.len()));
    }
    let mut fields = Fields { plain, rows: &mut layer.fields };
    fields.push("P_header", 0, 1, constant(HEADER));
    let addresses = match way {
        Way::Down => [("P_dest_addr", at::DEST, at::SRC_DOWN), ("P_src_addr", at::SRC_DOWN, at::SUB_DEV_TYPE)],
        Way::Up => [("P_dest_addr", at::DEST, at::SRC_UP), ("P_src_addr", at::SRC_UP, at::SUB_DEV_TYPE)],
    };
    for (name, from, to) in addresses {
        let is_fsu = to - from == FsuId::BYTES;
        fields.push(name, from, to - from, |bytes| address(bytes, is_fsu.then_some(fsu)));
    }
    fields.push("P_subDevType", at::SUB_DEV_TYPE, 1, |bytes| match bytes {
        [1] => seen("serial"),
        [2] => seen("USB"),
        [3] => seen("IP"),
        _ => seen(""),
    });
    fields.push("P_subDev_addr", at::SUB_DEV_ADDR, 1, |_| seen(""));
    fields.push("P_pLen", at::P_LEN, 2, |bytes| length(bytes, plain.len().checked_sub(UNCOUNTED_BYTES)));
    fields.push("RtnFlag", at::RTN_FLAG, 1, |bytes| match bytes {
        [flag] if way == Way::Down && accepts(fsu, *flag, plain) => checked("request", true, ""),
        [RTN_REQUEST] => checked("request", way == Way::Down && comm_type(plain) == Some(COMM_HEARTBEAT), "00 or ED"),
        [RTN_REPLY] => checked("reply", way == Way::Up, "EE"),
        [RTN_HEARTBEAT] => checked("heartbeat", comm_type(plain) == Some(COMM_HEARTBEAT), "EE"),
        _ => checked("", false, "EE"),
    });
    fields.push("CommType", at::COMM_TYPE, 2, |bytes| match u16::from_le_bytes([bytes[0], bytes[1]]) {
        COMM_THROUGH => checked("0001 through data", true, ""),
        COMM_HEARTBEAT => checked("0002 heartbeat", true, ""),
        other => checked(&format!("{other:04X}"), false, "0001 or 0002"),
    });
    if comm_type(plain) != Some(COMM_HEARTBEAT) && plain.len() >= OVERHEAD_BYTES {
        let data_len = plain.len() - OVERHEAD_BYTES;
        fields.push("through-data length", at::DATA_LEN, 2, |bytes| length(bytes, Some(data_len)));
        fields.push("through data", at::DATA, data_len, |_| seen(&format!("{data_len} bytes: the inner frame")));
    }
    if plain.len() >= HEARTBEAT_BYTES {
        let verify = verify(plain);
        fields.push("P_verify", plain.len() - 2, 1, constant(verify));
        fields.push("P_tailer", plain.len() - 1, 1, constant(TAILER));
    }
    layer
}

/// Value, whether it is right, and what would be.
type Seen = (String, Option<bool>, Option<String>);

fn seen(value: &str) -> Seen {
    (value.into(), None, None)
}

fn checked(value: &str, ok: bool, expected: &str) -> Seen {
    (value.into(), Some(ok), (!ok).then(|| expected.into()))
}

fn constant(expected: u8) -> impl Fn(&[u8]) -> Seen {
    move |bytes| checked("", bytes == [expected], &format!("{expected:02X}"))
}

/// The FSU's id, or a centre's address.
fn address(bytes: &[u8], fsu: Option<&Fsu>) -> Seen {
    let given = bytes.trim_ascii_end();
    let given = &given[..given.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
    let value = match std::str::from_utf8(given) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("\"{text}\""),
        _ => String::new(),
    };
    match fsu {
        None => (if value.is_empty() { "a centre".into() } else { value }, None, None),
        Some(fsu) if *bytes == fsu.id.bytes => checked(&format!("{value} this FSU"), true, ""),
        Some(fsu) if fsu.accept_any_id => seen(&format!("{value} another FSU (accept_any_id)")),
        Some(fsu) => checked(&value, false, &format!("{}, then 00", fsu.id_hex)),
    }
}

/// Whether a request with that RtnFlag is taken: with another than EE it must not be laid out as a reply.
fn accepts(fsu: &Fsu, flag: u8, plain: &[u8]) -> bool {
    let is_reply = || plain[at::DEST..].starts_with(&[0; CENTER_BYTES]);
    fsu.accept_rtn_flags.has(flag) && (flag == RTN_REQUEST || !is_reply())
}

fn length(bytes: &[u8], expected: Option<usize>) -> Seen {
    let (low, high) = (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[0], bytes[1]]));
    let Some(expected) = expected else { return seen(&low.to_string()) };
    if usize::from(low) == expected {
        checked(&low.to_string(), true, "")
    } else if usize::from(high) == expected {
        checked(&format!("{high}, high byte first (accepted, counted)"), true, "")
    } else {
        checked(&low.to_string(), false, &expected_length(expected))
    }
}

fn expected_length(expected: usize) -> String {
    let bytes = (expected as u16).to_le_bytes();
    format!("{} ({expected})", hex(&bytes))
}

fn comm_type(plain: &[u8]) -> Option<u16> {
    plain.get(at::COMM_TYPE..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_le_bytes(*bytes))
}

/// What P_verify has to be.
fn verify(plain: &[u8]) -> u8 {
    xor(plain.get(1..plain.len().saturating_sub(2)).unwrap_or_default())
}

struct Fields<'a> {
    plain: &'a [u8],
    rows: &'a mut Vec<Row>,
}

impl Fields<'_> {
    fn push(&mut self, name: &str, offset: usize, len: usize, look: impl FnOnce(&[u8]) -> Seen) {
        let Some(bytes) = self.plain.get(offset..offset + len) else { return };
        let (value, ok, expected) = look(bytes);
        let row = Row { offset, bytes: hex(bytes), field: name.into(), value, ok, expected, ..Row::default() };
        self.rows.push(row);
    }
}

/// What is wrong with bytes that are no frame. `offset` is where they stand in the datagram, `next` the byte after them.
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

/// What is wrong with a frame that has P_header and P_tailer. `plain` is empty where the escapes are wrong.
pub(super) fn bad_frame(reason: Reason, wire: &[u8], plain: &[u8], fsu: &Fsu) -> Fault {
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
            (at, format!("{:02X} (the XOR of bytes 1 to {})", verify(plain), at.saturating_sub(1)), field(at, 1))
        }
        Reason::OuterBadPLen if comm_type(plain) == Some(COMM_HEARTBEAT) && plain.len() != HEARTBEAT_BYTES => {
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
            let expected = format!("{}, then 00 (or accept_any_id)", fsu.id_hex);
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

/// The same of a frame from the FSU.
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

/// A frame of another FSU's.
pub(super) fn other_fsu(src: &[u8; FsuId::BYTES], fsu: &Fsu) -> Fault {
    let expected = format!("{}, then 00 (or accept_any_id)", fsu.id_hex);
    let fault = fault(Reason::WrongFsu, "outer frame", Some(at::SRC_UP), expected, hex(src));
    Fault { meaning: "outer: from another FSU".into(), ..fault }
}

/// The place of the first invalid escape; the frame's size if there is none.
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

/// A fault with the words of its reason.
pub(super) fn fault(
    reason: Reason,
    within: &'static str,
    offset: Option<usize>,
    expected: String,
    found: String,
) -> Fault {
    Fault { reason: reason.reason(), meaning: reason.meaning().trim().into(), within, offset, expected, found }
}
