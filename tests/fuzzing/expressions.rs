//! An expression in a field of the reply and in a condition: it compiles or is refused, and what it gives is the judge's value
//! (`tests/naive/expr.rs`).

use super::input::{Input, Kept};
use super::shipped::{RUN, moment};
use crate::naive::expr::{Asked, No, V, in_field, is_lone_call, is_lone_field, value};
use crate::naive::fields::{Fill, encode, hex};
use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use serde_json::{Value, json};
use std::path::PathBuf;

const FSUID: &str = "3031";
/// Parameters of the FSU, and what the registers have: `r` a number, `e` nothing, `w` bytes.
const PARAMS: [(&str, &str); 3] = [("p", "1234"), ("q", "0x1F"), ("imei", "86A")];

/// The reply's field, by a pick: its type, and what it has without a value.
fn outs() -> Vec<Value> {
    let field =
        |kind: &str, length: Value, own: Value| json!({"name": "out", "type": kind, "length": length, "value": own});
    vec![
        field("int", json!(8), json!(-77)),
        field("str", json!("rest"), json!("own")),
        field("hex", json!(4), json!("EE")),
        field("f64", json!(8), json!(-0.5)),
        field("uint", json!(2), json!(77)),
        field("dec", json!(6), json!("77")),
        field("bcd", json!(3), json!("77")),
        field("hexdigits", json!(4), json!("77")),
        field("sbcd", json!(3), json!(-77)),
        field("bit", json!(1), json!([1, 0, 1, 0, 0, 1, 0, 1])),
    ]
}

/// The request's fields.
fn asked() -> Vec<Value> {
    let field = |name: &str, kind: &str, length: u32| json!({"name": name, "type": kind, "length": length});
    let with = |mut field: Value, key: &str, value: Value| {
        field[key] = value;
        field
    };
    vec![
        field("a", "uint", 2),
        field("i", "int", 1),
        field("w", "uint", 8),
        field("b", "hex", 2),
        with(field("l", "hex", 2), "endian", json!("little")),
        field("d", "bcd", 2),
        field("k", "dec", 3),
        field("x", "hexdigits", 4),
        field("s", "sbcd", 2),
        with(with(field("t", "uint", 1), "scale", json!(0.5)), "offset", json!(-40)),
        with(field("e", "hex", 1), "enum", json!({"00": "closed", "01": "open"})),
        field("f", "f64", 8),
        with(field("g", "bit", 1), "bits", json!({"low": [0, 2], "mid": [3, 6], "one": [7, 7]})),
        field("text", "str", 6),
        field("c", "epoch", 4),
    ]
}

/// A configuration for each kind of field that the value may go to.
struct Sites {
    dir: tempfile::TempDir,
}

thread_local! {
    static SITES: Sites = Sites::new();
    static FIELDS: Vec<Value> = asked();
}

impl Sites {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (number, out) in outs().into_iter().enumerate() {
            let dir = dir.path().join(number.to_string());
            std::fs::create_dir(&dir).unwrap();
            let write = |name: &str, value: Value| std::fs::write(dir.join(name), value.to_string()).unwrap();
            let params: Value = PARAMS.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
            let fsu = json!({"fsuname": "one", "fsuid": FSUID, "port": 0, "protocol_type": "broadcast", "config_dir": ".", "params": params});
            write("sys_config.json", json!({"fsu_list": [fsu]}));
            write(
                "fsu_devices.json",
                json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}]}),
            );
            write(
                "t.json",
                json!({"vendor": "v", "rule_file": "default.json", "protocol": {"dynamic_length": true,
                "pdu_left": [{"name": "data_frame_type", "length": 1}],
                "data_frame": [{"data_frame_type": "01", "req_data_list": asked(), "resp_data_list": [{"name": "which", "length": 1}, out]}]}}),
            );
        }
        Self { dir }
    }

    /// The main file of a configuration with these rules.
    fn put(&self, number: usize, rules: &Value) -> PathBuf {
        let dir = self.dir.path().join(number.to_string());
        std::fs::write(dir.join("default.json"), rules.to_string()).unwrap();
        dir.join("sys_config.json")
    }
}

/// Requests to one expression.
const REQUESTS: usize = 4;
/// Expressions that are kept, compiled, for further inputs with the same bytes.
const KEPT: usize = 8192;

thread_local! {
    static COMPILED: Kept<Case> = Kept::new(KEPT);
}

/// An expression, where its value goes, and perhaps a condition: what is compiled.
struct Case {
    /// The field that takes the value.
    out: Value,
    written: String,
    when: Option<String>,
    fleet: Option<Fleet>,
    lines: Vec<String>,
}

/// The field that takes the value, an expression, and perhaps a condition (the first part, see [`Input::part`]); then requests.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let part = input.part();
    COMPILED.with(|kept| {
        kept.with(part, Case::new, |case| {
            for number in 0..REQUESTS {
                if input.is_empty() && number > 0 {
                    break;
                }
                let fields: Vec<(Value, Vec<u8>)> = FIELDS
                    .with(|fields| fields.iter().map(|field| (field.clone(), bytes(&mut input, field))).collect());
                case.check(&fields);
            }
        });
    });
}

impl Case {
    fn new(input: &mut Input<'_>) -> Self {
        let number = input.pick(outs().len());
        let written = match input.byte() {
            // A text as it is.
            byte if byte % 8 == 7 => String::from_utf8_lossy(input.short()).into_owned(),
            byte if byte % 4 == 1 => text(input, 4),
            byte if byte % 8 == 2 => binary(input, 3),
            _ => numeric(input, 5),
        };
        let when = (input.pick(4) == 1).then(|| numeric(input, 4));
        // One call of an old function is none.
        let written = if is_lone_call(&written) { format!("({written})") } else { written };
        let mut rule = json!({"data": {"which": "01", "out": format!("${{{written}}}$")}});
        if let Some(when) = &when {
            rule["when"] = json!(when);
        }
        // Registers that have been set by another request.
        let set = json!({"when": {"a": 65535}, "set": {"r": "12", "e": "", "w": "#{b}#"}, "data": {}});
        let main = SITES.with(|sites| sites.put(number, &json!({"01": [set, rule, {"data": {"which": "02"}}]})));
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &main).filter(|_| !loader.diags.has_errors());
        Self { out: outs().swap_remove(number), written, when, fleet, lines: loader.diags.lines().collect() }
    }

    fn check(&self, fields: &[(Value, Vec<u8>)]) {
        let Self { written, lines, .. } = self;
        let when = self.when.as_deref();
        let spec = &self.out;
        let registers = [("r", V::Any("12".into())), ("e", V::Any(String::new())), ("w", V::Bytes(vec![0x12, 0x34]))];
        let asked = Asked { fields, registers: &registers, params: &PARAMS, fsuid: FSUID };
        let mut given = value(written, &asked);
        let mut open = given == Err(No::Open) || is_lone_field(written);
        let mut applies = true;
        let mut failures = 0;
        if let Some(when) = when {
            match value(when, &asked).and_then(condition) {
                Ok(is) => applies = is,
                Err(No::Value) => (applies, failures) = (false, 1),
                Err(No::Wrong) => given = Err(No::Wrong),
                Err(No::Open | No::Empty) => open = true,
            }
        }
        let request = || -> Vec<String> {
            fields.iter().map(|(field, bytes)| format!("{} {}", field["name"], hex(bytes))).collect()
        };
        let story = || {
            format!(
                "${{{written}}}$ when {when:?} into {spec}\nrequest {:?}\njudge {given:?}, applies {applies}\n{lines:?}",
                request()
            )
        };
        let Some(fleet) = &self.fleet else {
            assert!(open || given.is_err() || may_be_refused(lines), "refused: {}", story());
            return;
        };
        let (reply, counted) = answer(fleet, fields);
        if open {
            return;
        }
        assert!(given != Err(No::Wrong), "an error was expected: {}", story());
        let mut expected = encode_own(spec);
        let mut may_misfit = false;
        if applies {
            match given.clone().and_then(|value| in_field(spec, &value)) {
                Ok(bytes) => expected = bytes,
                Err(No::Open) => return,
                Err(No::Empty) => {}
                Err(_) => (may_misfit, failures) = (true, failures + 1),
            }
        }
        let which = if applies { 1 } else { 2 };
        let got = (reply.get(1).copied(), reply.get(2..).unwrap_or_default());
        let is_same = same(spec, got.1, &expected);
        assert!(
            got.0 == Some(which) && is_same,
            "reply {} where {} was expected: {}",
            hex(&reply),
            hex(&expected),
            story()
        );
        let is_counted = if may_misfit { counted >= 1 } else { counted == failures };
        assert!(is_counted, "{counted} counted of {failures}: {}", story());
    }
}

/// Decimal numbers are computed in more than one way.
fn same(spec: &Value, got: &[u8], expected: &[u8]) -> bool {
    if spec["type"] != "f64" {
        return got == expected;
    }
    let number = |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, f64::from_be_bytes);
    let (got, expected) = (number(got), number(expected));
    (got - expected).abs() <= expected.abs() * 1e-9
}

fn encode_own(spec: &Value) -> Vec<u8> {
    if spec["length"] == "rest" {
        return spec["value"].as_str().unwrap().into();
    }
    encode(spec, &spec["value"], Fill::NONE).unwrap()
}

fn condition(value: V) -> Result<bool, No> {
    match value {
        V::Whole(number) => Ok(number != 0),
        V::Part(number) => Ok(number != 0.0),
        V::Bytes(bytes) if bytes.len() <= 7 => Ok(bytes.iter().any(|byte| *byte != 0)),
        _ => Err(No::Open),
    }
}

/// Is what a check says a reason to refuse an expression that has a value for this request? Parts of it may have none, or may have
/// none for another request.
fn may_be_refused(lines: &[String]) -> bool {
    let reasons = [
        "no field",
        "unknown function",
        "fit",
        "never equal",
        "zeros and ones",
        "division by zero",
        "63 bits",
        "a text",
        "a fraction",
        "too ",
        "most",
        "range",
        "longer",
        "cannot",
        "invalid",
        "digits",
        "number",
    ];
    lines.iter().any(|line| reasons.iter().any(|reason| line.contains(reason)))
}

/// The reply to the request, and what was counted of values.
fn answer(fleet: &Fleet, fields: &[(Value, Vec<u8>)]) -> (Vec<u8>, u64) {
    let fsu = &fleet.fsus[0];
    let (mut state, mut scratch) = (FsuState::new(fsu), Scratch::default());
    let mut out = vec![];
    let request: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut first = request.clone();
    first[..4].copy_from_slice(&[0xFF, 0xFF, request[2], request[3]]);
    // The field `b` of the request that sets the registers.
    first[11..13].copy_from_slice(&[0x12, 0x34]);
    let mut before = 0;
    for request in [first, request] {
        before = state.counters.expression_failures + state.counters.value_misfits;
        let mut turn = Turn { run: &RUN, fsu, state: &mut state, scratch: &mut scratch, moment: moment(0) };
        match respond(&mut turn, 0, &[vec![1], request].concat()) {
            Verdict::Reply { .. } | Verdict::Replies { .. } => {
                out = turn.scratch.on_wire(&fsu.devices[0].template).to_vec()
            }
            _ => panic!("no reply"),
        }
    }
    (out, state.counters.expression_failures + state.counters.value_misfits - before)
}

/// Bytes of a field that it can have, but for some that are no digits.
fn bytes(input: &mut Input<'_>, field: &Value) -> Vec<u8> {
    let size = field["length"].as_u64().unwrap() as usize;
    let any = |input: &mut Input<'_>| {
        let mut bytes = input.take(size).to_vec();
        bytes.resize(size, 0);
        bytes
    };
    let digits = |input: &mut Input<'_>, of: &[u8]| (0..size).map(|_| of[input.pick(of.len())]).collect::<Vec<u8>>();
    match field["type"].as_str().unwrap() {
        "dec" if input.pick(8) == 1 => digits(input, b"09 -A"),
        "dec" => digits(input, b"0123456789"),
        "hexdigits" if input.pick(8) == 1 => digits(input, b"0FGx "),
        "hexdigits" => digits(input, b"0123456789ABCDEFabcdef"),
        "bcd" | "sbcd" => {
            let mut bytes: Vec<u8> = any(input).iter().map(|byte| byte / 16 % 10 * 16 + byte % 10).collect();
            if field["type"] == "sbcd" {
                bytes[0] = (bytes[0] % 0x80) | (u8::from(input.pick(2) == 1) << 7);
            }
            bytes
        }
        "f64" => input.one(&[0.0_f64, 1.0, -2.5, 0.1, 1e18, 1e300, -1e-300, 255.5]).to_be_bytes().to_vec(),
        "str" => {
            let mut text =
                input.one(&["", "7", "AB", "0x1F", "-12", "é1", "1.5", "Abc ", "00FF", "zz9"]).as_bytes().to_vec();
            text.resize(size, 0);
            text
        }
        // No request of these sets the registers.
        "uint" if size == 2 => {
            let mut bytes = any(input);
            bytes[0] &= 0x7F;
            bytes
        }
        "epoch" => [&[0x69], &any(input)[1..]].concat(),
        _ => any(input),
    }
}

fn one(input: &mut Input<'_>, of: &[&str]) -> String {
    (*input.one(of)).to_owned()
}

/// An expression that is a number, mostly.
fn numeric(input: &mut Input<'_>, depth: usize) -> String {
    let leaf = |input: &mut Input<'_>| match input.pick(6) {
        0 => input.byte().to_string(),
        1 | 2 => one(
            input,
            &[
                "a", "i", "w", "d", "k", "x", "s", "t", "f", "g", "g.low", "g.mid", "g.one", "b", "l", "e", "#{a}#",
                "#{ t }#",
            ],
        ),
        3 => one(
            input,
            &[
                "0",
                "1",
                "-1",
                "9223372036854775807",
                "0x7FFFFFFFFFFFFFFF",
                "0xFF",
                "1.5",
                "0.25",
                "1000000.0",
                "63",
                "64",
            ],
        ),
        4 => one(
            input,
            &["reg(r)", "reg(e)", "reg(e, 5)", "reg(e, 0012)", "reg(w)", "param(p)", "param(q)", "reg(r, 1)"],
        ),
        _ => u32::from_be_bytes([input.byte(), input.byte(), input.byte(), input.byte()]).to_string(),
    };
    if depth == 0 {
        return leaf(input);
    }
    let depth = depth - 1;
    match input.pick(16) {
        0 | 1 => leaf(input),
        2..=5 => {
            let signs =
                ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<=", ">", ">=", "&&", "||"];
            let (left, sign) = (numeric(input, depth), one(input, &signs));
            let blank = if input.pick(4) == 1 { "" } else { " " };
            format!("{left}{blank}{sign}{blank}{}", numeric(input, depth))
        }
        6 => format!("({})", numeric(input, depth)),
        7 => format!("{}{}", one(input, &["-", "~", "!", "+", "- "]), numeric(input, depth)),
        8 => format!("{} ? {} : {}", numeric(input, depth), numeric(input, depth), numeric(input, depth)),
        9 => format!("{}({}, {})", one(input, &["min", "max"]), numeric(input, depth), numeric(input, depth)),
        10 => format!("{}({})", one(input, &["abs", "round"]), numeric(input, depth)),
        11 if input.pick(2) == 1 => format!("int({}, {})", text(input, depth), one(input, &["10", "16", "2", "36"])),
        11 => format!("int({})", text(input, depth)),
        12 => format!("len({})", if input.pick(2) == 1 { text(input, depth) } else { binary(input, depth) }),
        13 => format!(
            "crc(CRC-16/MODBUS, {})",
            if input.pick(2) == 1 { text(input, depth) } else { binary(input, depth) }
        ),
        14 => {
            let field = one(input, &["b", "l", "e", "a", "d", "k", "x", "s", "text", "i", "e"]);
            let quoted = one(
                input,
                &[
                    "'01'", "'0'", "'open'", "'closed'", "'0012'", "'A'", "'7'", "'00FF'", "\"AB\"", "'-12'",
                    "'FFFFF'", "''",
                ],
            );
            let sign = one(input, &["==", "!="]);
            if input.pick(2) == 1 { format!("{quoted} {sign} {field}") } else { format!("{field} {sign} {quoted}") }
        }
        _ => {
            let sign = one(input, &["==", "!=", "<", "<=", ">", ">="]);
            match input.pick(3) {
                0 => format!("{} {sign} {}", text(input, depth), text(input, depth)),
                1 => format!("{} {sign} {}", binary(input, depth), binary(input, depth)),
                _ => format!("{} {sign} {}", text(input, depth), numeric(input, depth)),
            }
        }
    }
}

/// An expression that is a text.
fn text(input: &mut Input<'_>, depth: usize) -> String {
    let leaf = |input: &mut Input<'_>| match input.pick(3) {
        0 => one(input, &["''", "'7'", "\"AB\"", "'12'", "'0x1F'", "'é'", "'-3'", "'00FF'", "'a b'"]),
        1 => one(input, &["text", "#{text}#", "fsuid()", "param(imei)", "param(p)", "reg(r)", "c"]),
        _ => one(input, &["k", "x", "d", "b", "l", "a", "s", "i", "t"]).replacen("", "cat(", 1) + ")",
    };
    if depth == 0 {
        return leaf(input);
    }
    let depth = depth - 1;
    match input.pick(8) {
        0 | 1 => leaf(input),
        2 => format!("hex({}, {})", numeric(input, depth), input.pick(20)),
        3 => format!("{}({})", one(input, &["hex", "dec"]), numeric(input, depth)),
        4 => format!("substr({}, {}, {})", text(input, depth), input.pick(6), input.pick(6)),
        5 => format!(
            "cat({}, {})",
            text(input, depth),
            if input.pick(2) == 1 { numeric(input, depth) } else { text(input, depth) }
        ),
        6 => format!("({} ? {} : {})", numeric(input, depth), text(input, depth), text(input, depth)),
        _ => format!("substr({}, {})", text(input, depth), numeric(input, depth)),
    }
}

/// An expression that is bytes.
fn binary(input: &mut Input<'_>, depth: usize) -> String {
    match input.pick(4) {
        0 | 1 => one(input, &["b", "l", "e", "reg(w)", "#{b}#"]),
        2 => format!("be({}, {})", numeric(input, depth.saturating_sub(1)), input.pick(10)),
        _ => format!("le({}, {})", numeric(input, depth.saturating_sub(1)), input.pick(10)),
    }
}
