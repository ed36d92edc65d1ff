//! Frames in envelopes on a stream, with garbage between them, split anywhere: the good ones are answered, in their order, and
//! nothing depends on the pieces. The configurations are compiled once; an input is a stream.

use super::framer::{Found, feed};
use super::input::Input;
use crate::naive::envelope::{Envelope, good_frames};
use crate::naive::fields::hex;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use serde_json::{Value, json};

/// Longest streams that are split at every place; longer ones at some, which the input chooses.
const SPLIT_BYTES_MAX: usize = 48;
/// Longest streams. Every frame of theirs is shorter than the longest request of a template.
const STREAM_BYTES_MAX: usize = 240;

const FLAGS: &[(u8, &[u8])] = &[(0x7D, &[0x7D, 0x01]), (0x7E, &[0x7D, 0x02])];
const PLAIN: Envelope = Envelope {
    start: &[0x7E],
    end: &[0x7E],
    escape: FLAGS,
    preamble: &[],
    skip: &[],
    has_length: false,
    add: 0,
    is_hex: false,
};
const METER: Envelope = Envelope {
    start: &[0x68],
    end: &[0x16],
    escape: &[],
    preamble: &[0xFE, 0xFE],
    skip: &[0xFE],
    has_length: true,
    add: 0x33,
    is_hex: false,
};
const DLE: Envelope = Envelope { start: &[0x10, 0x02], end: &[0x10, 0x03], escape: &[(0x10, &[0x10, 0x10])], ..PLAIN };
const BRACKETS: Envelope = Envelope {
    start: &[0x5B],
    end: &[0x5D],
    escape: &[(0x5B, &[0x5A, 0x01]), (0x5A, &[0x5A, 0x02]), (0x5D, &[0x5E, 0x01]), (0x5E, &[0x5E, 0x02])],
    has_length: true,
    preamble: &[0xAA],
    ..PLAIN
};

const LINE: Envelope = Envelope {
    start: &[0x3A],
    end: &[0x0D, 0x0A],
    escape: &[(0x3A, &[0x3B, 0x61]), (0x3B, &[0x3B, 0x62]), (0x0D, &[0x3B, 0x63])],
    is_hex: true,
    ..PLAIN
};

/// Ports, and the devices behind each.
const PORTS: &[(&str, &[Envelope])] = &[
    ("flags", &[PLAIN]),
    ("flags with lengths, FE skipped", &[Envelope { has_length: true, add: 0x33, skip: &[0xFE], ..PLAIN }]),
    ("DLE", &[DLE]),
    ("DLE with lengths", &[Envelope { has_length: true, ..DLE }]),
    ("brackets", &[BRACKETS]),
    ("hex digits", &[LINE]),
    ("68 and lengths", &[METER]),
    ("no end", &[Envelope { end: &[], preamble: &[], skip: &[0x68, 0xFE], start: &[0x69], ..METER }]),
    ("flags, 68 and lengths", &[PLAIN, METER]),
    ("flags, flags with lengths", &[PLAIN, Envelope { has_length: true, ..PLAIN }]),
    ("68 and lengths, brackets", &[METER, BRACKETS]),
    ("DLE, flags", &[DLE, PLAIN]),
];

thread_local! {
    static FLEETS: Vec<Fleet> = PORTS.iter().map(|(_, port)| fleet(port)).collect();
}

/// The template of these frames; a request is its own reply.
fn template(of: &Envelope) -> Value {
    let text = |bytes: &[u8]| json!(hex(bytes));
    let mut envelope = json!({"start": text(of.start)});
    for (key, bytes) in [("end", of.end), ("preamble", of.preamble), ("skip", of.skip)] {
        if !bytes.is_empty() {
            envelope[key] = text(bytes);
        }
    }
    for (byte, value) in of.escape {
        envelope["escape"][hex(&[*byte])] = text(value);
    }
    let (algorithm, size) = if of.has_length { ("crc16", 2) } else { ("xor", 1) };
    let mut left = vec![json!({"name": "cmd", "length": 1})];
    if of.has_length {
        left.push(json!({"name": "n", "length": 1, "type": "length"}));
    }
    let any = json!([{"name": "data", "length": "rest"}]);
    let mut protocol = json!({"data_frame_type_flag": "cmd", "envelope": envelope, "pdu_left": left,
        "pdu_tailer": [{"name": "crc", "length": size}], "checksum": {"field": "crc", "algorithm": algorithm},
        "data_frame": [{"data_frame_type": "01", "req_data_list": any, "resp_data_list": any}]});
    if of.add != 0 {
        protocol["data_transform"] = json!({"add": hex(&[of.add])});
    }
    if of.is_hex {
        protocol["encoding"] = json!("ascii_hex");
    }
    json!({"vendor": "v", "rule_file": "default.json", "protocol": protocol})
}

fn fleet(port: &[Envelope]) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    let devices: Vec<Value> = (0..port.len())
        .map(|number| json!({"sub_dev_type": "01", "sub_dev_addr": format!("{number:02}"), "protocol_template": format!("t{number}.json"), "verify_checksum": "strict"}))
        .collect();
    write(
        "sys_config.json",
        json!({"fsu_list": [{"fsuname": "one", "fsuid": "3031", "port": 0, "protocol_type": "tcp", "config_dir": "."}]}),
    );
    write("fsu_devices.json", json!({"device_list": devices}));
    write("default.json", json!({"01": {}}));
    for (number, envelope) in port.iter().enumerate() {
        write(&format!("t{number}.json"), template(envelope));
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()))
}

/// The port, what the stream is made of, and places to split it.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let number = input.pick(PORTS.len());
    let places = [input.byte(), input.byte()];
    let stream = stream(PORTS[number].1, input);
    FLEETS.with(|fleets| check(PORTS[number].1, &fleets[number], &stream, places));
}

/// Bytes as they are, but F0 to FA, which stand for frames and parts of them; the bytes behind say which.
fn stream(port: &[Envelope], mut input: Input<'_>) -> Vec<u8> {
    let mut out: Vec<u8> = vec![];
    while !input.is_empty() && out.len() < STREAM_BYTES_MAX {
        let what = input.byte();
        if !(0xF0..0xFB).contains(&what) {
            out.push(what);
            continue;
        }
        let device = input.one(port);
        let (command, size) = if what == 0xF1 { (2, 3) } else { (1, input.pick(9)) };
        let mut frame = device.frame(command, input.take(size));
        let at = input.pick(frame.len());
        match what {
            // A bit that changed, the beginning, the end, a byte too many, one that is lost.
            0xF2 => frame[at] ^= 1 << (input.byte() % 8),
            0xF3 => frame.truncate(at),
            0xF4 => drop(frame.drain(..at)),
            0xF5 => frame.insert(at, *input.one(&[device.start[0], 0, 0x10, 0x7D, 0x5A, 0xFE, 0x3B])),
            0xF6 => drop(frame.remove(at)),
            // The mark of the one before is also its own.
            0xF7 if device.shares() && out.ends_with(device.end) => drop(frame.drain(..device.start.len())),
            // A mark within.
            0xF8 => drop(frame.splice(at..at, device.start.iter().copied())),
            0xF9 => frame.splice(0..0, device.preamble.iter().copied()).for_each(drop),
            _ => {}
        }
        out.extend(frame);
    }
    out.truncate(STREAM_BYTES_MAX);
    out
}

/// The number of a port by its name.
pub fn port(name: &str) -> usize {
    PORTS.iter().position(|(known, _)| *known == name).unwrap()
}

/// What is answered to a stream at one of the ports, split at every place; panics where something is wrong.
pub fn answers(number: usize, stream: &[u8]) -> Vec<String> {
    FLEETS.with(|fleets| check(PORTS[number].1, &fleets[number], stream, [0, 0]))
}

fn check(port: &[Envelope], fleet: &Fleet, stream: &[u8], places: [u8; 2]) -> Vec<String> {
    let fsu = &fleet.fsus[0];
    let story = || format!("{} by {port:02X?}", hex(stream));
    let whole = feed(fsu, stream, &[]);
    let expected: Vec<String> = good_frames(port, stream)
        .iter()
        .map(|(device, frame)| hex(&[port[*device].preamble, frame].concat()))
        .collect();
    let sent: Vec<String> = whole.sent.iter().map(|bytes| hex(bytes)).collect();
    assert_eq!(sent, expected, "{}", story());
    counted_once(port, stream, &whole);
    let same = |pieces: &[u8]| {
        let split = feed(fsu, stream, pieces);
        assert_eq!(split, whole, "pieces of {pieces:?} of {}", story());
    };
    same(&[0]);
    let step = if stream.len() <= SPLIT_BYTES_MAX { 1 } else { 1 + usize::from(places[0] % 32) + stream.len() / 16 };
    for at in (0..stream.len().saturating_sub(1)).skip(usize::from(places[1]) % step).step_by(step) {
        same(&[at as u8, 255]);
    }
    sent
}

/// Every byte is in a frame or in garbage, but for those that an envelope lets stand before a frame.
fn counted_once(port: &[Envelope], stream: &[u8], found: &Found) {
    let is_fill = |byte: u8| {
        let has = |device: &Envelope| {
            [device.skip, device.preamble].concat().contains(&byte) || (device.shares() && device.start == [byte])
        };
        port.iter().any(has)
    };
    let mut rest = stream;
    for byte in found.received.iter().flat_map(|(bytes, _)| bytes) {
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            if first == byte {
                break;
            }
            assert!(is_fill(*first), "{first:02X} of {} is not counted by {port:02X?}", hex(stream));
        }
    }
    assert!(rest.iter().all(|byte| is_fill(*byte)), "{} of {} is not counted by {port:02X?}", hex(rest), hex(stream));
}
