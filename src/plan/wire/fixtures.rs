//! Small templates for tests, one per way of cutting a stream, and frames of them.

use super::checksum::{compute, write_number};
use super::inner::{encode_wire, length_value};
use crate::model::digits::Digits;
use crate::model::field::{Constant, KeyPart, LengthField, Offset};
use crate::model::reply::Payload;
use crate::model::reply::Reply;
use crate::model::template::{Algorithm, Checksum, Command, Complement, Encoding, Framing, KeyShape, Template};
use crate::model::transfer::Transfer;
use std::sync::Arc;

/// Commands of every template here.
pub const COMMANDS: [u8; 2] = [0x10, 0x11];

/// A command without fields.
pub fn command(key: u8) -> Command {
    Command {
        key: u128::from(key),
        key_text: format!("{key:02X}").into(),
        request: None,
        response: Box::default(),
        request_len: 0,
        request_len_padded: 0,
        exact: false,
        constants: Box::default(),
        lengths: Box::default(),
        counts: Box::default(),
        less: 0,
        response_len: 0,
        sample: crate::model::prebuilt::Prebuilt::default(),
        made: Box::default(),
        up: false,
        walk: None,
    }
}

/// `7E address command data.. sum 0D`, up to 16 bytes of data.
pub fn delimited() -> Template {
    let table = COMMANDS.iter().zip(0..).map(|(key, number)| (u128::from(*key), Box::from([number])));
    Template {
        vendor: "test".into(),
        path: "test.json".into(),
        encoding: Encoding::Binary,
        coding: None,
        start: [0x7E].into(),
        end: [0x0D].into(),
        closing: Box::default(),
        behind: 0,
        left: Box::default(),
        tail: Box::default(),
        left_len: 3,
        tail_len: 2,
        data_len_fixed: None,
        data_len_max: 16,
        data_lens: Box::default(),
        lengths: Box::default(),
        readings: [0].into(),
        less: 0,
        command_lengths: false,
        checksum: Some(Checksum {
            algorithm: Algorithm::Sum,
            name: "sum".into(),
            complement: Complement::None,
            from: Offset(1),
            to: Offset(-2),
            over_wire: false,
            at: Offset(-2),
            len: 1,
            mask: 0xFF,
            little: false,
        }),
        versions: Box::default(),
        framing: Framing::Delimited,
        keys: [KeyShape {
            parts: [KeyPart { at: Offset(2), len: 1, little: false }].into(),
            data_len_min: 0,
            table: table.collect(),
        }]
        .into(),
        commands: COMMANDS.map(command).into(),
        errors: [const { None }; 5],
        transfer: None,
        moved: None,
        wire_len_max: 64,
    }
}

/// As [`delimited`], but the data has 0, 4 or 16 bytes in command 10, and 4 in command 11.
pub fn delimited_sizes() -> Template {
    let plain = delimited();
    let sized = |key, request_len, request_len_padded| Command { request_len, request_len_padded, ..command(key) };
    let table = [(0x10, Box::from([0, 2])), (0x11, Box::from([1]))];
    let parts = plain.keys.iter().flat_map(|shape| shape.parts.iter().copied()).collect();
    Template {
        data_lens: [0, 4, 16].into(),
        keys: [KeyShape { parts, data_len_min: 0, table: table.into() }].into(),
        commands: [command(0x10), sized(0x11, 4, 4), sized(0x10, 4, 16)].into(),
        ..plain
    }
}

/// `7E address command data(4) sum 0D`, always.
pub fn fixed() -> Template {
    Template { data_len_fixed: Some(4), data_len_max: 4, framing: Framing::Fixed, ..delimited() }
}

/// As [`fixed`], but any byte may begin a frame.
pub fn without_start() -> Template {
    Template { start: Box::default(), ..fixed() }
}

/// `68 address command length data.. sum 16`; the length counts itself and the data.
pub fn length() -> Template {
    let field = LengthField {
        at: Offset(3),
        len: 1,
        little: false,
        base: 1,
        per_data: 1,
        lchksum: false,
        configured: false,
        digits: Digits::Binary,
    };
    Template {
        start: [0x68].into(),
        end: [0x16].into(),
        closing: Box::default(),
        behind: 0,
        left_len: 4,
        lengths: [field].into(),
        framing: Framing::Length(0),
        ..delimited()
    }
}

/// `address command data sum`; command 10 has 2 bytes of data, 11 none.
pub fn keyed() -> Template {
    let plain = delimited();
    let sized = |key, request_len| Command { request_len, request_len_padded: request_len, ..command(key) };
    let checksum =
        plain.checksum.map(|checksum| Checksum { from: Offset(0), to: Offset(-1), at: Offset(-1), ..checksum });
    Template {
        start: Box::default(),
        end: Box::default(),
        closing: Box::default(),
        behind: 0,
        left_len: 3,
        tail_len: 1,
        data_len_max: 2,
        data_lens: [0, 2].into(),
        checksum,
        framing: Framing::Keyed,
        commands: [sized(0x10, 2), sized(0x11, 0)].into(),
        ..delimited()
    }
}

/// `~ address command length(2) data.. sum CR` in hex characters; the length counts characters and checks itself.
pub fn ascii_length() -> Template {
    let field = LengthField {
        at: Offset(3),
        len: 2,
        little: false,
        base: 0,
        per_data: 2,
        lchksum: true,
        configured: false,
        digits: Digits::Binary,
    };
    Template {
        encoding: Encoding::AsciiHex,
        left_len: 5,
        lengths: [field].into(),
        framing: Framing::Length(0),
        ..delimited()
    }
}

/// `~ address command data.. sum CR` in hex characters.
pub fn ascii_delimited() -> Template {
    Template { encoding: Encoding::AsciiHex, ..delimited() }
}

/// `: address command data.. sum CR LF` in hex characters.
pub fn ascii_two_byte_end() -> Template {
    Template { start: [b':'].into(), end: [0x0D, 0x0A].into(), tail_len: 3, ..ascii_checksum(-3) }
}

/// `A address command data.. sum B` in hex characters: start and end could be data.
pub fn ascii_hex_ends() -> Template {
    Template { start: [b'A'].into(), end: [b'B'].into(), ..ascii_delimited() }
}

fn ascii_checksum(at: i32) -> Template {
    let mut template = ascii_delimited();
    if let Some(checksum) = &mut template.checksum {
        (checksum.to, checksum.at) = (Offset(at), Offset(at));
    }
    template
}

/// Data in separate frames of [`delimited`], `chunk_bytes` bytes in each. The address is the frame's number; bit 7 marks the last.
/// 1 second, room for 100 bytes.
pub fn transfer(chunk_bytes: usize) -> Transfer {
    let next = Constant { name: "command".into(), at: Offset(2), bytes: [0x11].into(), mask: Box::default() };
    let refused = Reply {
        frame: crate::model::prebuilt::Prebuilt::default(),
        patches: Box::default(),
        data_len: 0,
        less: 0,
        refusal: None,
        payload: Payload::None,
    };
    Transfer {
        cmd: 2..3,
        data_cmd: [0x12].into(),
        next,
        sn: KeyPart { at: Offset(1), len: 1, little: false },
        last_bit: 7,
        did: KeyPart { at: Offset(1), len: 1, little: false },
        accept: 1..2,
        chunk_bytes,
        timeout_ms: 1_000,
        transfers_max: 4,
        bytes_max: 100,
        refused: Arc::new(refused),
    }
}

/// All of them but [`keyed`], whose frames have no other sizes.
pub fn all() -> Vec<Template> {
    vec![
        delimited(),
        delimited_sizes(),
        fixed(),
        without_start(),
        length(),
        ascii_length(),
        ascii_delimited(),
        ascii_two_byte_end(),
        ascii_hex_ends(),
    ]
}

/// The raw frame of a template; data of the wrong size where that is fixed is padded or cut.
pub fn raw_frame(template: &Template, address: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(template.data_len_fixed.unwrap_or(data.len()), 0);
    let mut raw = vec![0; template.left_len];
    raw[..template.start.len()].copy_from_slice(&template.start);
    raw[1..3].copy_from_slice(&[address, command]);
    raw.extend_from_slice(&data);
    raw.resize(raw.len() + template.tail_len, 0);
    let len = raw.len();
    raw[len - template.end.len()..].copy_from_slice(&template.end);
    for field in &template.lengths {
        let at = field.at.in_frame(len);
        write_number(length_value(field, data.len()), field.little, &mut raw[at..at + field.len]);
    }
    if let Some(checksum) = &template.checksum {
        let at = checksum.at.in_frame(len);
        let value = compute(checksum, template, &raw, &raw);
        write_number(value, checksum.little, &mut raw[at..at + checksum.len]);
    }
    raw
}

/// The frame on the wire.
pub fn frame(template: &Template, address: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode_wire(template, &raw_frame(template, address, command, data), &mut wire);
    wire
}
