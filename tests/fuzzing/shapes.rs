//! Templates of any shape and their requests, right ones and hostile ones: a right request gets the reply that the judge of
//! `tests/naive/whole.rs` makes, a wrong one gets none, and a stream gives the same however it is split.

use super::input::{Input, Kept};
use super::shipped::{RUN, moment};
use crate::naive::fields::{hex, name};
use crate::naive::whole::{No, Shape, enc, encode};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::replies::Replies;
use fsu_core::stage::{self, Incoming};
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use serde_json::{Map, Value, json};
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
    let make = || {
        let mut input = Input(part);
        let mut maker = Maker { input: &mut input, names: 0, has_changes: true, has_escapes: false };
        let made = maker.template();
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
    let shape = Shape(&made.template["protocol"]);
    let (mut state, mut scratch) = (FsuState::new(&fleet.fsus[0]), Scratch::default());
    let mut stream = vec![];
    for number in 0..REQUESTS {
        if input.is_empty() && number > 0 {
            break;
        }
        let Some((good, wire)) = request(input, &shape, made) else { continue };
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

/// A template with one command, and the rule's values.
#[derive(Debug)]
pub struct Made {
    pub template: Value,
    rules: Value,
    /// The values that the rule gives.
    reply: Value,
    /// Those of the next rule, where the first one does not apply.
    other: Value,
    /// The condition, as an object, where there is one: the request's field and its value.
    when: Option<(String, Value)>,
    is_stream: bool,
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
fn request(input: &mut Input<'_>, shape: &Shape<'_>, made: &Made) -> Option<(bool, Vec<u8>)> {
    let list = made.template["protocol"]["data_frame"][0]["req_data_list"].as_array().unwrap();
    let mut maker = Maker { input, names: 0, has_changes: true, has_escapes: false };
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
    let outside = |field: &Value| outside(field, &tape);
    let mut wire = shape.build(&outside, &two)?;
    if what % 8 == 2 && !wire.is_empty() {
        let at = maker.input.pick(wire.len().min(256));
        wire[at] ^= 1 << maker.input.pick(8);
    }
    Some((what % 4 != 1 && what % 8 != 2, wire))
}

/// A header or tail field of a request.
fn outside(field: &Value, tape: &[u8]) -> Vec<u8> {
    let size = field["length"].as_u64().unwrap() as usize;
    match field.get("value") {
        Some(value) => enc(field, value, Some(size)).unwrap(),
        None if field["name"] == "cmd" => vec![0x31; size],
        None if field["type"] == "dec" || field["type"] == "hexdigits" => vec![b'0'; size],
        None => (0..size).map(|at| tape.get(at).copied().unwrap_or(0)).collect(),
    }
}

fn has_rest(list: &[Value]) -> bool {
    list.iter().any(|field| field["length"] == "rest" || field["count"] == "rest" || field["bytes"] == "rest")
}

/// One message to the FSU as a datagram or as all of a connection.
fn check(made: &Made, fleet: &Fleet, (state, scratch): (&mut FsuState, &mut Scratch), wire: &[u8], good: bool) {
    let shape = Shape(&made.template["protocol"]);
    let judged = shape.request(wire);
    let story = || format!("request {}\ntemplate {}\nrules {}", hex(wire), made.template, made.rules);
    assert!(!good || judged.is_ok(), "the judge does not read what it wrote: {}", story());
    let misfits = state.counters.value_misfits;
    let got = said(fleet, state, scratch, wire, made.is_stream);
    let (parts, command, values) = match judged {
        Ok(judged) => judged,
        Err(No::Open) => return,
        // A stream may have a right frame within a wrong one.
        Err(No::Wrong) if made.is_stream => return,
        Err(No::Wrong) => return assert!(got.is_empty(), "a reply {} to a wrong request: {}", hex(&got[0]), story()),
    };
    let applies = made.when.as_ref().is_none_or(|(path, value)| at(&values, path) == *value);
    let copies = values.as_object().unwrap();
    let is_open = |value: &Value| {
        value.as_str().is_some_and(|text| {
            text.starts_with("#{") && copies[text.trim_start_matches("#{").trim_end_matches("}#")].is_null()
        })
    };
    let given = if applies { made.reply.clone() } else { made.other.clone() };
    if given.as_object().unwrap().values().any(is_open) {
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

/// Makes templates and values.
struct Maker<'i, 'b> {
    input: &'i mut Input<'b>,
    names: usize,
    /// Fields of the data frame may be changed, one by one.
    has_changes: bool,
    /// The envelope shows where a frame ends.
    has_escapes: bool,
}

impl Maker<'_, '_> {
    fn one(&mut self, of: &[&str]) -> String {
        (*self.input.one(of)).to_owned()
    }

    fn chance(&mut self, of: usize) -> bool {
        self.input.pick(100) >= 100 - of
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    fn template(&mut self) -> Made {
        let is_stream = self.chance(40);
        let mut protocol = json!({"dynamic_length": true, "data_frame_type_flag": "cmd"});
        self.has_escapes = is_stream || self.chance(30);
        if self.has_escapes {
            let mut envelope = self
                .input
                .one(&[
                    json!({"start": "7E", "end": "7E", "escape": {"7D": "7D01", "7E": "7D02"}}),
                    json!({"start": "68", "end": "16", "escape": {"68": "1B01", "16": "1B02", "1B": "1B03"}}),
                    json!({"start": "C0", "end": "C0", "escape": {"C0": "DBDC", "DB": "DBDD"}}),
                ])
                .clone();
            if self.chance(20) {
                envelope["preamble"] = json!("FEFE");
                envelope["skip"] = json!("FE");
            }
            protocol["envelope"] = envelope;
        }
        if self.chance(20) {
            self.has_changes = false;
            protocol["data_transform"] = self.change();
        }
        let (mut left, mut tail) = (vec![], vec![]);
        if !self.has_escapes {
            left.push(json!({"name": "start", "length": 2, "value": "55AA"}));
        }
        left.push(json!({"name": "cmd", "length": 1 + self.input.pick(2)}));
        let cmd = "31".repeat(left.last().unwrap()["length"].as_u64().unwrap() as usize);
        if self.chance(50) {
            left.push(json!({"name": "hx", "length": 2, "type": self.one(&["hex", "uint", "bcd"])}));
            if self.chance(20) {
                left.last_mut().unwrap()["transform"] = self.change();
            }
        }
        if self.chance(30) {
            left.push(json!({"name": "ver", "length": 1, "value": "10", "match": true}));
        }
        let has_changes = left.iter().any(|field| field["transform"].is_object());
        if self.chance(60) {
            let (kind, length) = *self.input.one(&[("length", 2), ("dec", 5), ("hexdigits", 4), ("bcd", 3)]);
            let mut field = json!({"name": "len", "type": kind, "length": length, "of": ["data_frame"]});
            if kind == "length" && self.chance(30) {
                field["endian"] = json!("little");
            }
            if self.chance(30) {
                field["add"] = json!(self.input.pick(4));
            }
            left.push(field);
        }
        let mut sums = vec![];
        if self.chance(20) && !has_changes {
            left.push(json!({"name": "hcs", "length": 1}));
            sums.push(json!({"field": "hcs", "algorithm": "sum", "to": left[left.len() - 2]["name"]}));
        }
        let has_blocks = self.chance(15) && self.has_changes;
        if has_blocks {
            self.has_changes = false;
            let algorithm = self.one(&["crc16", "sum", "crc:CRC-16/XMODEM"]);
            sums.push(json!({"blocks": 3 + self.input.pick(14), "algorithm": algorithm, "endian": self.one(&["big", "little"])}));
        }
        if self.chance(30) {
            tail.push(json!({"name": "tx", "length": 1}));
        }
        let request = self.fields(2, true);
        let response = self.response(&request);
        let changes = has_changes
            || protocol["data_transform"].is_object()
            || [&request, &response].iter().any(|list| json!(list).to_string().contains("transform"));
        if self.chance(70) && !has_blocks {
            let (mut sum, field) = self.sum(changes);
            sum["field"] = json!("crc");
            tail.push(field);
            sums.push(sum);
        }
        if self.chance(40) && !self.has_escapes {
            tail.push(json!({"name": "end", "length": 1, "value": "0D"}));
        }
        if !sums.is_empty() {
            protocol["checksum"] = if sums.len() == 1 { sums.remove(0) } else { json!(sums) };
        }
        protocol["pdu_left"] = left.into();
        protocol["pdu_tailer"] = tail.into();
        let reply = self.reply(&request, &response);
        let when = self.when(&request);
        protocol["data_frame"] =
            json!([{"data_frame_type": cmd, "req_data_list": request, "resp_data_list": response.clone()}]);
        let mut rule = json!({"data": reply});
        if let Some((path, value)) = &when {
            rule["when"] = Map::from_iter([(path.clone(), value.clone())]).into();
        }
        let other = self.values(&response, &mut vec![]);
        let rules = json!({cmd: [rule, {"data": other}]});
        Made {
            template: json!({"vendor": "v", "rule_file": "default.json", "protocol": protocol}),
            rules,
            reply,
            other,
            when,
            is_stream,
        }
    }

    fn change(&mut self) -> Value {
        self.input.one(&[json!({"add": "33"}), json!({"xor": "55"}), json!({"add": "01", "xor": "F0"})]).clone()
    }

    /// A checksum and its field.
    fn sum(&mut self, changes: bool) -> (Value, Value) {
        let free = json!({"width": 16, "poly": "8005", "init": "FFFF", "refin": true, "xorout": "0001"});
        let high = json!({"width": 16, "poly": "8005", "init": "FFFF", "refin": true, "shift": "high"});
        let wide = json!({"width": 24, "poly": "864CFB", "init": "B704CE", "refin": false});
        let (algorithm, length) = self
            .input
            .one(&[
                (json!("sum"), 1),
                (json!("xor"), 1),
                (json!("lrc"), 1),
                (json!("sum16"), 2),
                (json!("ones16"), 2),
                (json!("xor16"), 2),
                (json!("crc16"), 2),
                (free, 2),
                (high, 2),
                (wide, 3),
                (json!("sum_xor"), 1),
                (json!("crc:CRC-32/ISO-HDLC"), 4),
            ])
            .clone();
        let mut sum = json!({"algorithm": algorithm});
        if ["sum16", "ones16", "xor16"].iter().any(|words| algorithm == *words) && self.chance(50) {
            sum["endian"] = json!("little");
        }
        if ["sum", "ones16", "sum16"].iter().any(|with| algorithm == *with) && self.chance(40) {
            sum["complement"] = json!(self.one(&["ones", "twos"]));
        }
        if changes || self.chance(10) {
            sum["over"] = json!("wire");
        }
        let mut field = json!({"name": "crc", "length": length});
        match self.input.pick(4) {
            1 => field["endian"] = json!("little"),
            2 if length <= 2 => field = json!({"name": "crc", "type": "hexdigits", "length": 2 * length}),
            _ => {}
        }
        (sum, field)
    }

    /// A field of fixed size.
    fn plain(&mut self) -> Value {
        let mut field = self
            .input
            .one(&[
                json!({"length": 2}),
                json!({"length": 1, "enum": {"00": "closed", "01": "open"}}),
                json!({"length": 2, "endian": "little"}),
                json!({"type": "uint", "length": 2}),
                json!({"type": "int", "length": 2, "endian": "little"}),
                json!({"type": "bcd", "length": 2}),
                json!({"type": "dec", "length": 3}),
                json!({"type": "hexdigits", "length": 4}),
                json!({"type": "sbcd", "length": 2}),
                json!({"type": "str", "length": 6}),
                json!({"type": "str", "length": 6, "pad": " "}),
                json!({"type": "str", "length": 6, "charset": "gbk"}),
                json!({"type": "str", "length": 6, "charset": "utf-16le"}),
                json!({"type": "str", "length": 4, "charset": "iso-8859-1"}),
                json!({"type": "epoch", "length": 4}),
                json!({"type": "epoch", "length": 8, "unit": "ms", "endian": "little"}),
                json!({"type": "epoch", "length": 4, "offset_h": 8}),
                json!({"type": "cp56time2a", "length": 7}),
                json!({"type": "uint", "length": 1, "scale": 0.5, "offset": -40}),
                json!({"type": "int", "length": 2, "scale": 0.1}),
                json!({"type": "bcd", "length": 2, "scale": 0.25}),
                json!({"type": "dec", "length": 4, "scale": 0.1, "offset": 1.5}),
                json!({"type": "sbcd", "length": 2, "scale": 0.1}),
                json!({"type": "hexdigits", "length": 3, "scale": 2}),
                json!({"type": "uint", "length": 1, "enum": {"1": "one", "2": "two"}}),
                json!({"type": "f32", "length": 4}),
                json!({"type": "bit", "length": 1, "bits": {"low": [0, 2], "mid": [3, 6], "one": [7, 7]}}),
            ])
            .clone();
        field["name"] = json!(self.name("p"));
        if self.has_changes && field["type"] != "bit" && self.chance(5) {
            field["transform"] = self.change();
        }
        field
    }

    /// A field that says how much follows.
    fn counter(&mut self, name: &str) -> Value {
        let mut field = self
            .input
            .one(&[
                json!({"type": "uint", "length": 1}),
                json!({"type": "uint", "length": 2, "endian": "little"}),
                json!({"type": "dec", "length": 2}),
                json!({"type": "hexdigits", "length": 2}),
                json!({"type": "bcd", "length": 1}),
                json!({"length": 1}),
            ])
            .clone();
        field["name"] = json!(name);
        field
    }

    /// Fields of one block; `may_rest`: what is left is known.
    fn fields(&mut self, depth: usize, may_rest: bool) -> Vec<Value> {
        let mut out = vec![];
        for _ in 0..1 + self.input.pick(3) {
            let number = self.name("n");
            match self.input.pick(if depth > 0 { 9 } else { 5 }) {
                0..=2 => out.push(self.plain()),
                3 => {
                    let (times, add) = *self.input.one(&[(1, 0), (2, 0), (1, -1), (1, 2), (2, 1)]);
                    let mut by = json!({"field": number});
                    if (times, add) != (1, 0) {
                        (by["times"], by["add"]) = (json!(times), json!(add));
                    }
                    let kind = self.one(&["hex", "str", "dec", "hexdigits", "bcd"]);
                    let counter = self.counter(&number);
                    out.extend([counter, json!({"name": self.name("v"), "type": kind, "length": by, "max": 20})]);
                }
                4 => {
                    let (until, kind) = (self.one(&["7C", "0D0A", "7C7C"]), self.one(&["hex", "str", "dec"]));
                    out.push(json!({"name": self.name("u"), "type": kind, "until": until, "max": 10}));
                }
                5 | 6 => {
                    let items = self.fields(depth - 1, false);
                    let name = self.name("l");
                    if self.chance(25) {
                        out.push(
                            json!({"name": name, "type": "list", "count": 1 + self.input.pick(2), "items": items}),
                        );
                    } else {
                        let counter = self.counter(&number);
                        out.extend([
                            counter,
                            json!({"name": name, "type": "list", "count": {"field": number}, "max": 5, "items": items}),
                        ]);
                    }
                }
                7 => {
                    let bits = self.name("b");
                    let (yes, no) =
                        (self.fields(depth - 1, false), if self.chance(50) { vec![] } else { self.fields(0, false) });
                    out.extend([
                        json!({"name": bits, "type": "bit", "length": 1, "bits": {"has": [0, 0], "rest": [1, 7]}}),
                        json!({"name": self.name("c"), "type": "choice", "by": format!("{bits}.has"), "cases": {"1": yes, "else": no}}),
                    ]);
                }
                _ => {
                    let tag = self.name("t");
                    let spec = self
                        .input
                        .one(&[
                            json!({"length": 1}),
                            json!({"type": "uint", "length": 1}),
                            json!({"type": "dec", "length": 2}),
                        ])
                        .clone();
                    let mut spec = spec;
                    spec["name"] = json!(tag);
                    let is_bounded = self.chance(60);
                    let cases =
                        json!({"01": self.fields(depth - 1, is_bounded), "02": self.fields(depth - 1, is_bounded)});
                    let mut cases = cases;
                    if self.chance(50) {
                        cases["else"] = self.fields(0, is_bounded).into();
                    }
                    let mut choice = json!({"name": self.name("c"), "type": "choice", "by": tag, "cases": cases});
                    out.push(spec);
                    if is_bounded {
                        choice["bytes"] = json!({"field": number});
                        out.push(json!({"name": number, "type": "uint", "length": 2}));
                    }
                    out.push(choice);
                }
            }
        }
        if may_rest && self.chance(40) {
            match self.input.pick(3) {
                0 => out.push(json!({"name": self.name("r"), "length": "rest"})),
                1 => out.push(json!({"name": self.name("r"), "type": "str", "length": "rest"})),
                _ => {
                    let items = vec![self.plain(), self.plain()];
                    out.push(json!({"name": self.name("r"), "type": "list", "count": "rest", "items": items}));
                }
            }
            if self.chance(40) {
                out.push(self.plain());
            }
        }
        out
    }

    /// The reply's fields: own ones, and some of the request's.
    fn response(&mut self, request: &[Value]) -> Vec<Value> {
        let mut out = vec![];
        for field in request {
            let is_fixed = field["length"].is_number() && !["list", "choice"].iter().any(|nest| field["type"] == *nest);
            let counts = json!(request).to_string().contains(&format!("\"{}\"}}", field["name"].as_str().unwrap()))
                || name(field).starts_with(['n', 'b', 't']);
            if is_fixed && !counts && self.chance(50) {
                let mut copy = field.clone();
                copy["name"] = json!(format!("copy_{}", name(field)));
                out.push(copy);
            }
        }
        out.extend(self.fields(2, true));
        out
    }

    /// The rule's values of a reply: constants, and references to the request's fields of the same shape.
    fn reply(&mut self, request: &[Value], response: &[Value]) -> Value {
        let mut out = self.values(response, &mut vec![]);
        for field in request {
            let copy = format!("copy_{}", name(field));
            if out.get(&copy).is_some() {
                out[copy] = json!(format!("#{{{}}}#", name(field)));
            }
        }
        out
    }

    /// A condition on a field of fixed size.
    fn when(&mut self, request: &[Value]) -> Option<(String, Value)> {
        let field = request
            .iter()
            .find(|field| name(field).starts_with('p') && field["type"] != "bit" && field["type"] != "f32")?;
        self.chance(40).then(|| (name(field), self.value(field)))
    }

    /// Values for fields; those that are computed are left out.
    fn values(&mut self, list: &[Value], tags: &mut Vec<(String, String)>) -> Value {
        let mut out = Map::new();
        for field in list {
            let name = name(field);
            let value = match field["type"].as_str() {
                _ if name.starts_with('n') => continue,
                Some("list") => {
                    let items = field["items"].as_array().unwrap();
                    let many = field["count"].as_u64().map_or_else(|| self.input.pick(4), |many| many as usize);
                    (0..many).map(|_| self.values(items, tags)).collect::<Vec<_>>().into()
                }
                Some("choice") => {
                    let by = field["by"].as_str().unwrap();
                    let key = tags.iter().rev().find(|(known, _)| known == by).unwrap().1.clone();
                    let case = field["cases"].get(&key).or(field["cases"].get("else"));
                    case.map_or(json!({}), |case| self.values(case.as_array().unwrap(), tags))
                }
                _ if name.starts_with('b') => {
                    let has = self.input.pick(2);
                    tags.push((format!("{name}.has"), has.to_string()));
                    json!({"has": has, "rest": self.input.pick(128)})
                }
                _ if name.starts_with('t') => {
                    let tag = self.one(&["01", "02"]);
                    tags.push((name.clone(), tag.clone()));
                    if field["type"] == "uint" { json!(tag.parse::<u8>().unwrap()) } else { json!(tag) }
                }
                // Without a value it has its own, or zeros.
                _ if name.starts_with('p') && self.chance(8) => continue,
                _ => self.value(field),
            };
            out.insert(name, value);
        }
        out.into()
    }

    fn digits(&mut self, many: usize, of: &str) -> String {
        (0..many).map(|_| char::from(of.as_bytes()[self.input.pick(of.len())])).collect()
    }

    /// A value of a field in the notation that reading it gives.
    fn value(&mut self, field: &Value) -> Value {
        let size = match &field["length"] {
            Value::Number(size) => size.as_u64().unwrap() as usize,
            by if by.is_object() => {
                let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
                ((1 + self.input.pick(6)) as i64 * times + add).max(times + add).max(0) as usize
            }
            _ => self.input.pick(7),
        };
        let is_variable = !field["length"].is_number();
        let kind = field["type"].as_str().unwrap_or("hex").to_owned();
        if field.get("scale").is_some() {
            let raw = i64::from(self.input.byte());
            let value = raw as f64 * field["scale"].as_f64().unwrap()
                + field.get("offset").map_or(0.0, |offset| offset.as_f64().unwrap());
            return json!((value * 1000.0).round() / 1000.0);
        }
        match kind.as_str() {
            // No bytes of an end mark.
            "hex" if field["until"].is_string() => {
                json!(hex(&(0..size).map(|_| self.input.byte() | 0x80).collect::<Vec<_>>()))
            }
            "hex" => {
                let mut bytes = self.input.take(size).to_vec();
                bytes.resize(size, 0);
                json!(hex(&bytes))
            }
            "uint" => json!(u64::from(self.input.byte())),
            "int" => json!(i64::from(self.input.byte()) - 100),
            "bcd" => json!(self.digits(2 * size, "0123456789")),
            "dec" if is_variable && size == 0 => json!(""),
            "dec" => json!(self.digits(size, "0123456789")),
            "hexdigits" => json!(self.digits(size, "0123456789ABCDEF")),
            "sbcd" => json!(i64::from(self.input.byte()) - 128),
            "str" => {
                let text = match (field["charset"].as_str(), is_variable) {
                    (_, true) => self.digits(size, "ABCxyz019"),
                    (Some("gbk"), _) => self.one(&["京A", "", "中京", "B1"]),
                    (Some("utf-16le"), _) => self.one(&["京A", "", "xyz", "é"]),
                    (Some(_), _) => self.one(&["éA", "", "abcd"]),
                    _ => self.one(&["京A", "", "abcdef", "x"]),
                };
                json!(text)
            }
            "epoch" => {
                let tail = if field["unit"] == "ms" { self.one(&[".000", ".250", ".999"]) } else { String::new() };
                json!(self.one(&["2026-01-12T17:30:03", "2000-02-28T00:00:00", "1970-01-01T00:00:01"]) + &tail)
            }
            "cp56time2a" => json!(self.one(&["2026-01-12T17:30:03.250", "2000-02-28T00:00:59.999"])),
            "f32" => json!(*self.input.one(&[1.5, -0.25, 100.0])),
            "bit" => json!({"low": self.input.pick(8), "mid": self.input.pick(16), "one": self.input.pick(2)}),
            other => panic!("no values of {other}"),
        }
    }
}
