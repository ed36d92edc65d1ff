//! Templates of any shape and their requests, right ones and hostile ones: a right request gets the reply that the judge of
//! `tests/naive/whole.rs` makes, a wrong one gets none, and a stream gives the same however it is split.

mod maker;

use super::input::{Input, Kept};
use super::shipped::{RUN, moment};
use crate::naive::fields::{hex, unhex};
use crate::naive::whole::{No, Shape, enc, encode};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::Replies;
use fsu_core::stage::{self, Incoming};
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use maker::{Made, Maker};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Requests of one template.
const REQUESTS: usize = 6;
/// Templates that are kept, compiled, for further inputs with the same bytes.
const KEPT: usize = 4096;

thread_local! {
    static DIR: tempfile::TempDir = tempfile::tempdir().unwrap();
    static COMPILED: Kept<Option<(Made, Fleet)>> = Kept::new(KEPT);
}

/// A template and its rules (the first part, see [`Input::part`]), and requests.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let part = input.part();
    let make = |input: &mut Input<'_>| {
        let made = Maker::new(input).template();
        load(&made).ok().map(|fleet| (made, fleet))
    };
    COMPILED.with(|kept| {
        kept.with(part, make, |compiled| {
            if let Some((made, fleet)) = compiled {
                requests(&mut input, made, fleet);
            }
        });
    });
}

fn requests(input: &mut Input<'_>, made: &Made, fleet: &Fleet) {
    let (mut state, mut scratch) = (FsuState::new(&fleet.fsus[0]), Scratch::default());
    let mut stream = vec![];
    for number in 0..REQUESTS {
        if input.is_empty() && number > 0 {
            break;
        }
        let Some((good, wire)) = request(input, made) else { continue };
        check(made, fleet, (&mut state, &mut scratch), &wire, good);
        stream.extend(wire);
        if made.is_stream && input.pick(3) == 1 {
            stream.extend(input.short());
        }
    }
    if made.is_stream {
        splits(input, fleet, &stream, made);
    }
}

fn load(made: &Made) -> Result<Fleet, String> {
    DIR.with(|dir| {
        let dir = dir.path();
        let write = |name: &str, value: &Value| std::fs::write(dir.join(name), value.to_string()).unwrap();
        let transport = if made.is_stream { "tcp" } else { "broadcast" };
        write("sys_config.json", &json!({"fsu_list": [{"fsuname": "one", "fsuid": "3031", "port": 0, "protocol_type": transport, "config_dir": "."}]}));
        write("fsu_devices.json", &json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json", "verify_checksum": "strict"}]}));
        write("t.json", &made.template);
        write("default.json", &made.rules);
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &dir.join("sys_config.json")).filter(|_| !loader.diags.has_errors());
        let lines: Vec<String> = loader.diags.lines().collect();
        let may = ["total of more than", "request_bytes_max", "digits", "more than 32 fields"];
        assert!(fleet.is_some() || lines.iter().any(|line| may.iter().any(|may| line.contains(may))), "refused {lines:?}\n{}\n{}", made.template, made.rules);
        fleet.ok_or_else(|| lines.join("\n"))
    })
}

/// A request, and whether nothing was done to it.
fn request(input: &mut Input<'_>, made: &Made) -> Option<(bool, Vec<u8>)> {
    let laid = if made.layouts.len() > 1 { input.one(&made.layouts) } else { &made.layouts[0] };
    let shape = Shape(&laid.protocol);
    let command = &laid.protocol["data_frame"][0];
    let list = command["req_data_list"].as_array().unwrap();
    let mut maker = Maker::new(input);
    let values = maker.values(list, &mut vec![]);
    let extra = if maker.input.pick(8) == 1 && !has_rest(list) { maker.input.take(3).to_vec() } else { vec![] };
    let mut known = vec![];
    let mut two = encode(list, &values, &json!({}), &mut known)?;
    two.raw.extend(&extra);
    two.wire.extend(&extra);
    let what = maker.input.byte();
    if what % 4 == 1 {
        // Hostile, but sealed: some bytes of the data frame are others.
        for _ in 0..1 + what / 64 {
            let at = maker.input.pick(two.raw.len().clamp(1, 256));
            let byte = *maker.input.one(&[0xFF, 0x00, 0x7E, 0x7D, 0x39, 0x01, 0x80]);
            if at < two.raw.len() {
                two.wire[at] ^= two.raw[at] ^ byte;
                two.raw[at] = byte;
            }
        }
        let cut = maker.input.pick(4);
        if cut == 1 && two.raw.len() > 1 {
            let len = maker.input.pick(two.raw.len().min(256));
            two.raw.truncate(len);
            two.wire.truncate(len);
        }
    }
    let tape = maker.input.take(8).to_vec();
    let key = unhex(command["data_frame_type"].as_str().unwrap()).unwrap();
    let outside = |field: &Value| outside(field, &key, &tape);
    let mut wire = shape.build(&outside, &two)?;
    if what % 8 == 2 && !wire.is_empty() {
        let at = maker.input.pick(wire.len().min(256));
        wire[at] ^= 1 << maker.input.pick(8);
    }
    Some((what % 4 != 1 && what % 8 != 2, wire))
}

/// A header or tail field of a request.
fn outside(field: &Value, key: &[u8], tape: &[u8]) -> Vec<u8> {
    let any = |at: usize| tape.get(at).copied().unwrap_or(0);
    let varying = usize::from(any(7) % 6);
    match field["name"].as_str() {
        Some("cmd") => return key.to_vec(),
        Some("hn") => return vec![varying as u8],
        Some("hv") => {
            let end = unhex(field["until"].as_str().unwrap_or_default()).unwrap();
            return [(0..varying).map(|at| b'A' + any(at) % 26).collect(), end].concat();
        }
        _ => {}
    }
    let size = field["length"].as_u64().unwrap() as usize;
    match field.get("value") {
        Some(value) => enc(field, value, Some(size)).unwrap(),
        None if field["type"] == "dec" || field["type"] == "hexdigits" => vec![b'0'; size],
        None => (0..size).map(any).collect(),
    }
}

/// Whether the document does not say what a value of a rule is, with this request: it refers to bytes that are no value.
fn is_open(value: &Value, request: &Value) -> bool {
    let named = |text: &str| request[text.trim_start_matches("#{").trim_end_matches("}#")].clone();
    if let Some(list) = value["each"].as_str() {
        let items = named(list);
        return items.as_array().unwrap().iter().any(|item| item.as_object().unwrap().values().any(Value::is_null));
    }
    value.as_str().is_some_and(|text| text.starts_with("#{") && named(text).is_null())
}

fn has_rest(list: &[Value]) -> bool {
    list.iter().any(|field| field["length"] == "rest" || field["count"] == "rest" || field["bytes"] == "rest")
}

/// One message to the FSU as a datagram or as all of a connection.
fn check(made: &Made, fleet: &Fleet, (state, scratch): (&mut FsuState, &mut Scratch), wire: &[u8], good: bool) {
    let story = || format!("request {}\ntemplate {}\nrules {}", hex(wire), made.template, made.rules);
    // The first layout that it fits.
    let mut judged = Err(No::Wrong);
    for laid in &made.layouts {
        judged = Shape(&laid.protocol).request(wire).map(|read| (laid, read));
        if !matches!(judged, Err(No::Wrong)) {
            break;
        }
    }
    assert!(!good || judged.is_ok(), "the judge does not read what it wrote: {}", story());
    let misfits = state.counters.value_misfits;
    let got = said(fleet, state, scratch, wire, made.is_stream);
    let (laid, (parts, command, values)) = match judged {
        Ok(judged) => judged,
        Err(No::Open) => return,
        // A stream may have a right frame within a wrong one.
        Err(No::Wrong) if made.is_stream => return,
        Err(No::Wrong) => return assert!(got.is_empty(), "a reply {} to a wrong request: {}", hex(&got[0]), story()),
    };
    let shape = Shape(&laid.protocol);
    let applies = laid.when.as_ref().is_none_or(|(path, value)| at(&values, path) == *value);
    let given = if applies { laid.reply.clone() } else { laid.other.clone() };
    if given.as_object().unwrap().values().any(|value| is_open(value, &values)) {
        return;
    }
    let list = command["resp_data_list"].as_array().unwrap();
    let outside =
        |field: &Value| parts.outside.iter().find(|(other, _)| other["name"] == field["name"]).unwrap().1.raw.clone();
    let Some(data) = encode(list, &given, &values, &mut vec![]) else { return };
    let expected = shape.build(&outside, &data).unwrap();
    assert!(
        got.len() == 1 && got[0] == expected,
        "replies {:?} where {} was expected (applies {applies}): {}",
        got.iter().map(|b| hex(b)).collect::<Vec<_>>(),
        hex(&expected),
        story()
    );
    assert_eq!(state.counters.value_misfits, misfits, "a value does not fit: {}", story());
}

/// A value by a path with points.
fn at(values: &Value, path: &str) -> Value {
    path.split('.').fold(values.clone(), |value, step| match step.parse::<usize>() {
        Ok(number) if value.is_array() => value[number].clone(),
        _ => value[step].clone(),
    })
}

fn said(fleet: &Fleet, state: &mut FsuState, scratch: &mut Scratch, wire: &[u8], is_stream: bool) -> Vec<Vec<u8>> {
    let mut out = Replies::default();
    scratch.progress = Default::default();
    let mut turn = Turn { run: &RUN, fsu: &fleet.fsus[0], state, scratch, moment: moment(0) };
    if is_stream {
        stage::on_bytes(&mut turn, wire, &mut out);
    } else {
        let peer: SocketAddr = ([127, 0, 0, 1], 4000).into();
        stage::on_datagram(&mut turn, Incoming { peer, bytes: wire }, &mut out);
    }
    out.sent().map(|sent| sent.bytes.to_vec()).collect()
}

/// The stream at once, byte by byte, and in two pieces at a chosen place.
fn splits(input: &mut Input<'_>, fleet: &Fleet, stream: &[u8], made: &Made) {
    let all = pieces(fleet, &[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    let place = input.pick(256).min(stream.len());
    let other = input.pick(256).min(stream.len()).max(place);
    for pieces_of in [single, vec![&stream[..place], &stream[place..other], &stream[other..]]] {
        let sizes: Vec<usize> = pieces_of.iter().map(|piece| piece.len()).collect();
        let got = pieces(fleet, &pieces_of);
        assert_eq!(got, all, "pieces of {sizes:?} of {}\n{}", hex(stream), made.template);
    }
}

/// Replies and counts of a connection.
fn pieces(fleet: &Fleet, pieces: &[&[u8]]) -> (Vec<String>, Vec<u64>) {
    let (mut state, mut scratch) = (FsuState::new(&fleet.fsus[0]), Scratch::default());
    let (mut waiting, mut out) = (vec![], vec![]);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut replies = Replies::default();
        let mut turn =
            Turn { run: &RUN, fsu: &fleet.fsus[0], state: &mut state, scratch: &mut scratch, moment: moment(0) };
        let step = stage::on_bytes(&mut turn, &waiting, &mut replies);
        waiting.drain(..step.consumed);
        out.extend(replies.sent().map(|sent| hex(sent.bytes)));
    }
    (out, state.counters.dropped.to_vec())
}
