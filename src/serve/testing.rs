//! What the tests of several modules here need.

use crate::files::stamp::Stamp;
use fsu_plan::model::field::{Computed, Field, KeyPart, Kind, LengthField, Offset, Slot};
use fsu_plan::model::fixtures;
use fsu_plan::model::fleet::{Device, Fleet, Fsu, Language, Layouts, LogPlan, OnFull, VerifyChecksum};
use fsu_plan::model::message::Transport;
use fsu_plan::model::profile::Profiled;
use fsu_plan::model::template::{Algorithm, Checksum, Command, Encoding, Framing, KeyShape, Template};
use fsu_plan::wire::fixtures as wire;
use jiff::tz::TimeZone;
use std::path::Path;
use std::sync::Arc;

/// An FSU with the spec's id and no device.
pub(crate) fn fsu(name: &str, transport: Transport) -> Fsu {
    fixtures::fsu(vec![]).with(|fsu| {
        fsu.name = name.into();
        fsu.transport = transport;
        fsu.client_timeout_ms = 0;
    })
}

/// A stamp eight hours east.
pub(crate) fn stamp() -> Stamp {
    Stamp::new(TimeZone::fixed(jiff::tz::offset(8)))
}

/// The defaults, in that directory.
pub(crate) fn log_plan(dir: &Path) -> LogPlan {
    LogPlan {
        level: log::LevelFilter::Info,
        dir: dir.to_path_buf(),
        file: "system_%Y%m%d.log".into(),
        bytes_max: 10_485_760,
        age_days_max: 7,
        async_write: true,
        language: Language::Zh,
        on_full: OnFull::Drop,
    }
}

/// The same with devices.
pub(crate) fn fsu_with(name: &str, transport: Transport, devices: Vec<Device>) -> Fsu {
    fsu(name, transport).with(|fsu| fsu.devices = devices.into_iter().map(Arc::new).collect())
}

/// A fleet that logs to that directory.
pub(crate) fn fleet(dir: &Path, fsus: Vec<Fsu>) -> Fleet {
    Fleet { log: log_plan(dir), ..fixtures::fleet(fsus) }
}

pub(crate) fn device(sub_dev_addr: u8, template: Template) -> Device {
    Device {
        vendor: "".into(),
        sub_dev_type: 1,
        sub_dev_addr,
        template: Arc::new(template),
        verify_checksum: VerifyChecksum::Warn,
        rules: Box::new([]),
        cycles: 0,
        registers: Box::new([]),
        keeps: Arc::default(),
        conversation: None,
        profiles: Profiled::new(),
        layouts: Layouts::default(),
    }
}

pub(crate) fn field(name: &str, (at, len): (i32, usize), kind: Kind, little: bool, computed: Computed) -> Field {
    let slot = Slot { kind, len, little, right: false, padding: 0 };
    Field { name: name.into(), at: Offset(at), slot, computed }
}

fn command(key: u128, request: Vec<Field>, response: Vec<Field>) -> Command {
    let len = |fields: &[Field]| fields.iter().map(|field| field.slot.len).sum();
    Command {
        key,
        key_text: format!("{key:04X}").into(),
        request_len: len(&request),
        request_len_padded: len(&request),
        response_len: len(&response),
        request: Some(request.into()),
        response: response.into(),
        ..wire::command(0)
    }
}

fn keys(at: i32, little: bool, numbers: &[u128]) -> Box<[KeyShape]> {
    let parts = Box::new([KeyPart { at: Offset(at), len: 2, little }]);
    let table = (0u32..).zip(numbers).map(|(number, &key)| (key, Box::from([number]))).collect();
    Box::new([KeyShape { parts, data_len_min: 0, table }])
}

/// The template of the reference exchange: fixed size, command 108B, 16-bit sum.
pub(crate) fn fixed_template() -> Template {
    let fields = |hex: bool| {
        let names = ["data_year", "data_month", "data_day", "data_week", "data_hour", "data_minute", "data_second"];
        let kind = |hex| if hex { Kind::Hex } else { Kind::Bcd };
        let clock = (5..).zip(names).map(|(at, name)| field(name, (at, 1), kind(hex), false, Computed::No));
        clock.chain([field("rest", (12, 19), Kind::Hex, false, Computed::No)]).collect::<Vec<_>>()
    };
    let plain = wire::delimited();
    Template {
        vendor: "".into(),
        path: "".into(),
        left: Box::new([
            field("start", (0, 1), Kind::Hex, false, Computed::Start),
            field("address", (1, 2), Kind::Hex, true, Computed::No),
            field("data_frame_type", (3, 2), Kind::Hex, true, Computed::No),
        ]),
        tail: Box::new([
            field("checksum", (-3, 2), Kind::Hex, true, Computed::Checksum),
            field("end", (-1, 1), Kind::Hex, false, Computed::End),
        ]),
        left_len: 5,
        tail_len: 3,
        data_len_fixed: Some(26),
        data_len_max: 26,
        data_lens: Box::new([26]),
        checksum: plain.checksum.map(|checksum| Checksum {
            to: Offset(-3),
            at: Offset(-3),
            len: 2,
            mask: 0xFFFF,
            little: true,
            ..checksum
        }),
        framing: Framing::Fixed,
        keys: keys(3, true, &[0x108B]),
        commands: Box::new([command(0x108B, fields(true), fields(false))]),
        wire_len_max: 34,
        ..wire::delimited()
    }
}

/// In characters: `~`, a two-byte key, a length of the data frame in bytes, the data frame, an XOR, CR. Command 4801
/// asks with nothing and is answered with a text and a number; 4802 asks with bits.
pub(crate) fn chars_template() -> Template {
    let ask = vec![field("flags", (4, 1), Kind::Bit(fsu_plan::model::field::Bits::default()), false, Computed::No)];
    let answer = vec![
        field("name", (4, 4), Kind::Str, false, Computed::No),
        field("level", (8, 2), Kind::Int, false, Computed::No),
    ];
    let plain = wire::length();
    Template {
        encoding: Encoding::AsciiHex,
        start: b"~"[..].into(),
        end: b"\r"[..].into(),
        left: Box::new([
            field("start", (0, 1), Kind::Hex, false, Computed::Start),
            field("cid", (1, 2), Kind::Hex, false, Computed::No),
            field("length", (3, 1), Kind::Uint, false, Computed::Length),
        ]),
        tail: Box::new([
            field("check", (-2, 1), Kind::Hex, false, Computed::Checksum),
            field("end", (-1, 1), Kind::Hex, false, Computed::End),
        ]),
        left_len: 4,
        tail_len: 2,
        data_len_fixed: None,
        lengths: plain.lengths.iter().map(|length| LengthField { base: 0, ..length.clone() }).collect(),
        checksum: plain.checksum.map(|checksum| Checksum { algorithm: Algorithm::Xor, name: "xor".into(), ..checksum }),
        framing: Framing::Length(0),
        keys: keys(1, false, &[0x4801, 0x4802]),
        commands: Box::new([command(0x4801, Vec::new(), answer), command(0x4802, ask, Vec::new())]),
        ..fixed_template()
    }
}
