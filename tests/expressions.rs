//! Expressions in values and conditions, memory areas, keyed registers and counters, from request to reply (expressions.md).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::state::FsuState;
use fsu_core::state::carry::carry;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::wire::civil::Now;
use naive::fields::{hex, unhex};
use product::compiled;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Monday 2026-01-12 15:30:03.456, in UTC+8.
const NOW: Now = Now { unix_ms: 1_768_203_003_456, utc_offset_s: 28_800 };

fn field(name: &str, kind: &str, length: u32) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

/// Modbus TCP: header, function code, and one register map of 20 registers and 16 coils.
fn modbus(rules: Value) -> Vec<(&'static str, Value)> {
    let counted = |name: &str, by: &str| json!({"name": name, "length": {"field": by}});
    let (addr, n) = (field("addr", "uint", 2), field("n", "uint", 2));
    let read = |fc: &str| {
        json!({"data_frame_type": fc, "req_data_list": [addr, n],
            "resp_data_list": [field("count", "uint", 1), counted("values", "count")]})
    };
    let single = |fc: &str| {
        let list = json!([addr, field("value", "hex", 2)]);
        json!({"data_frame_type": fc, "req_data_list": list, "resp_data_list": list})
    };
    let many = |fc: &str| {
        json!({"data_frame_type": fc, "req_data_list": [addr, n, field("count", "uint", 1), counted("values", "count")],
            "resp_data_list": [addr, n]})
    };
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "fc",
        "pdu_left": [
            field("transaction", "hex", 2),
            {"name": "protocol", "length": 2, "value": "0000"},
            {"name": "length", "length": 2, "type": "length", "of": ["unit", "fc", "data_frame"]},
            field("unit", "hex", 1), field("fc", "hex", 1)
        ],
        "data_frame": [read("03"), read("01"), single("06"), single("05"), many("10"), many("0F"),
            {"data_frame_type": "80", "name": "exception", "direction": "up", "resp_data_list": [field("code", "uint", 1)]}],
        "errors": {"unknown_command": {"data": {"fc": "${fc | 0x80}$", "code": 1}, "resp_data_list": [field("code", "uint", 1)]}}
    }});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json", "memory": {
        "holding": {"bytes": 40, "init": {"0": "0001", "4": "AABB"}}, "coils": {"bytes": 2, "init": {"0": "05"}}}});
    files(template, json!([device]), rules)
}

fn files(template: Value, devices: Value, rules: Value) -> Vec<(&'static str, Value)> {
    let fsu = json!({"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": ".",
        "params": {"imei": "860000000000009"}});
    vec![
        ("sys_config.json", json!({"fsu_list": [fsu]})),
        ("fsu_devices.json", json!({"device_list": devices})),
        ("t.json", template),
        ("default.json", rules),
    ]
}

fn rules_of_modbus() -> Value {
    let exception =
        |code: u32| json!({"replies": [{"frame": "exception", "data": {"fc": "${fc | 0x80}$", "code": code}}]});
    let read = json!([
        {"when": "n >= 1 && n <= 125 && in_area(holding, addr * 2, n * 2)",
            "data": {"values": "${mem(holding, addr * 2, n * 2)}$"}},
        {"when": "n < 1 || n > 125", "replies": exception(3)["replies"]},
        exception(2)
    ]);
    let coils = json!([
        {"when": "in_bits(coils, addr, n) && n > 0", "data": {"values": "${bits(coils, addr, n)}$"}}, exception(2)
    ]);
    let store = |store: Value, when: &str| json!([{"when": when, "store": store}, exception(2)]);
    json!({
        "03": read,
        "01": coils,
        "06": store(json!({"area": "holding", "at": "#{addr}# * 2", "value": "#{value}#"}), "in_area(holding, addr * 2, 2)"),
        "05": store(json!({"area": "coils", "bit": "addr", "value": "value == 'FF00'"}), "in_bits(coils, addr, 1)"),
        "10": store(json!({"area": "holding", "at": "addr * 2", "value": "values"}),
            "count == n * 2 && in_area(holding, addr * 2, n * 2)"),
        "0F": store(json!([{"area": "coils", "bit": "addr", "count": "n", "value": "values"}]), "in_bits(coils, addr, n)")
    })
}

fn load(files: &[(&str, Value)]) -> (Option<Fleet>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let text = if let Value::String(text) = content { text.clone() } else { content.to_string() };
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let (fleet, lines) = compiled(&dir.path().join("sys_config.json"));
    (fleet, lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect())
}

/// A device that is asked again and again.
struct Talk {
    fleet: Fleet,
    state: FsuState,
    scratch: Scratch,
    since_start_ms: u64,
}

impl Talk {
    fn new(files: &[(&str, Value)]) -> Self {
        let (fleet, lines) = load(files);
        let fleet = fleet.unwrap_or_else(|| panic!("{lines:#?}"));
        let state = FsuState::new(&fleet.fsus[0]);
        Self { fleet, state, scratch: Scratch::default(), since_start_ms: 0 }
    }

    /// The reply to a request, or why there is none.
    fn ask(&mut self, request: &str) -> String {
        let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
        let (state, scratch) = (&mut self.state, &mut self.scratch);
        let moment = Moment::at(NOW, self.since_start_ms);
        let mut turn = Turn { run: &run, fsu: &self.fleet.fsus[0], state, scratch, moment };
        match respond(&mut turn, 0, &unhex(&request.replace(' ', "")).unwrap()) {
            Verdict::Reply { .. } | Verdict::Replies { .. } => hex(turn.scratch.on_wire(&turn.fsu.devices[0].template)),
            Verdict::Silent | Verdict::Heard => "silent".into(),
            Verdict::Dropped(reason) => reason.reason().into(),
        }
    }

    fn check(&mut self, request: &str, expected: &str) {
        assert_eq!(self.ask(request), expected.replace(' ', ""), "{request}");
    }

    /// Expressions without a value, and entries that were dropped.
    fn counted(&self) -> (u64, u64) {
        (self.state.counters.expression_failures, self.state.counters.entries_dropped)
    }
}

#[test]
fn modbus_registers_are_read_and_written_back() {
    let mut talk = Talk::new(&modbus(rules_of_modbus()));
    talk.check("0001 0000 0006 01 03 0000 0003", "0001 0000 0009 01 03 06 0001 0000 AABB");
    talk.check("0002 0000 0006 01 03 0002 0001", "0002 0000 0005 01 03 02 AABB");
    // One, then several; both are read back.
    talk.check("0003 0000 0006 01 06 0002 1234", "0003 0000 0006 01 06 0002 1234");
    talk.check("0004 0000 000B 01 10 0012 0002 04 DEADBEEF", "0004 0000 0006 01 10 0012 0002");
    talk.check("0005 0000 0006 01 03 0002 0001", "0005 0000 0005 01 03 02 1234");
    talk.check("0006 0000 0006 01 03 0012 0002", "0006 0000 0007 01 03 04 DEADBEEF");
    // The whole area, and one more.
    let all = format!("0007 0000 002B 01 03 28 0001 0000 1234 {} DEADBEEF", "0000".repeat(15));
    talk.check("0007 0000 0006 01 03 0000 0014", &all);
    talk.check("0008 0000 0006 01 03 0000 0015", "0008 0000 0003 01 83 02");
    talk.check("0009 0000 0006 01 03 FFFF FFFF", "0009 0000 0003 01 83 03");
    talk.check("000A 0000 0006 01 06 0014 0001", "000A 0000 0003 01 86 02");
    // The count contradicts itself.
    talk.check("000B 0000 0009 01 10 0000 0002 02 0001", "000B 0000 0003 01 90 02");
    talk.check("000C 0000 0006 01 2B 0000 0001", "000C 0000 0003 01 AB 01");
    assert_eq!(talk.counted(), (0, 0));
}

#[test]
fn modbus_coils_are_bits() {
    let mut talk = Talk::new(&modbus(rules_of_modbus()));
    talk.check("0001 0000 0006 01 01 0000 0003", "0001 0000 0004 01 01 01 05");
    talk.check("0002 0000 0006 01 05 0001 FF00", "0002 0000 0006 01 05 0001 FF00");
    talk.check("0003 0000 0006 01 05 0002 0000", "0003 0000 0006 01 05 0002 0000");
    talk.check("0004 0000 0006 01 01 0000 0010", "0004 0000 0005 01 01 02 0300");
    talk.check("0005 0000 0009 01 0F 0007 0009 02 FF01", "0005 0000 0006 01 0F 0007 0009");
    talk.check("0006 0000 0006 01 01 0000 0010", "0006 0000 0005 01 01 02 83FF");
    talk.check("0007 0000 0006 01 01 000F 0002", "0007 0000 0003 01 81 02");
    assert_eq!(talk.counted(), (0, 0));
}

#[test]
fn a_store_without_a_place_changes_nothing_and_is_counted() {
    let mut rules = rules_of_modbus();
    rules["06"] = json!({"store": [
        {"area": "holding", "at": "addr * 2", "value": "value"},
        {"area": "holding", "at": 0, "value": "addr", "bytes": 2}]});
    let mut talk = Talk::new(&modbus(rules));
    talk.check("0001 0000 0006 01 06 0013 BEEF", "0001 0000 0006 01 06 0013 BEEF");
    talk.check("0002 0000 0006 01 06 7FFF 1234", "0002 0000 0006 01 06 7FFF 1234");
    talk.check("0003 0000 0006 01 03 0013 0001", "0003 0000 0005 01 03 02 BEEF");
    talk.check("0004 0000 0006 01 03 0000 0001", "0004 0000 0005 01 03 02 7FFF");
    assert_eq!(talk.counted(), (1, 0));
}

/// `7E cmd data.. 0D`: commands put, get, delete, clear, how many, at.
fn cards(rules: Value) -> Vec<(&'static str, Value)> {
    let card = field("card", "uint", 4);
    let command = |key: &str, request: Value, response: Value| json!({"data_frame_type": key, "req_data_list": request, "resp_data_list": response});
    let record = json!([card, field("from", "bcd", 4), field("pin", "uint", 2)]);
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, field("cmd", "hex", 1)],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": [
            command("50", record.clone(), json!([field("ok", "uint", 1)])),
            command("5A", json!([card]), record.clone()),
            command("52", json!([card]), json!([field("ok", "uint", 1)])),
            command("54", json!([]), json!([field("ok", "uint", 1)])),
            command("58", json!([]), json!([field("many", "uint", 4)])),
            command("5C", json!([field("number", "uint", 4)]), record)
        ]
    }});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json",
        "registers": {"cards": {"entries_max": 2}}});
    files(template, json!([device]), rules)
}

fn rules_of_cards() -> Value {
    let record = |key: &str, of: &str| json!({"card": key, "from": format!("${{substr({of}, 0, 8)}}$"), "pin": format!("${{int(substr({of}, 8), 10)}}$")});
    json!({
        "50": {"set": {"cards[#{card}#]": "#{from}##{pin}#"}, "data": {"ok": 1}},
        "5A": [
            {"when": "has(cards[card])", "data": record("#{card}#", "reg(cards[card])")},
            {"data": {"card": 0, "from": "0", "pin": 0}}
        ],
        "52": [{"when": "has(cards[card])", "set": {"cards[card]": null}, "data": {"ok": 1}}, {"data": {"ok": 0}}],
        "54": {"set": {"cards[]": null}, "data": {"ok": 1}},
        "58": {"data": {"many": "${entries(cards)}$"}},
        "5C": [
            {"when": "number >= 1 && number <= entries(cards)",
                "data": record("${key(cards, number - 1)}$", "reg(cards[key(cards, number - 1)])")},
            {"data": {"card": 0, "from": "0", "pin": 0}}
        ]
    })
}

#[test]
fn a_card_store() {
    let mut talk = Talk::new(&cards(rules_of_cards()));
    talk.check("7E 58 0D", "7E 58 00000000 0D");
    talk.check("7E 50 00000007 20260101 04D2 0D", "7E 50 01 0D");
    talk.check("7E 50 00000009 20271231 0000 0D", "7E 50 01 0D");
    talk.check("7E 5A 00000007 0D", "7E 5A 00000007 20260101 04D2 0D");
    talk.check("7E 5A 00000008 0D", "7E 5A 00000000 00000000 0000 0D");
    talk.check("7E 58 0D", "7E 58 00000002 0D");
    talk.check("7E 5C 00000002 0D", "7E 5C 00000009 20271231 0000 0D");
    talk.check("7E 5C 00000003 0D", "7E 5C 00000000 00000000 0000 0D");
    // The same key keeps its place; a third one drops the oldest.
    talk.check("7E 50 00000007 20260202 0001 0D", "7E 50 01 0D");
    talk.check("7E 50 0000000A 20260303 0002 0D", "7E 50 01 0D");
    talk.check("7E 5A 00000007 0D", "7E 5A 00000000 00000000 0000 0D");
    assert_eq!(talk.counted(), (0, 1));
    talk.check("7E 52 00000009 0D", "7E 52 01 0D");
    talk.check("7E 52 00000009 0D", "7E 52 00 0D");
    talk.check("7E 58 0D", "7E 58 00000001 0D");
    talk.check("7E 54 0D", "7E 54 01 0D");
    talk.check("7E 58 0D", "7E 58 00000000 0D");
    assert_eq!(talk.counted(), (0, 1));
}

#[test]
fn a_counter_begins_again() {
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, field("cmd", "hex", 1)],
        "data_frame": [
            {"data_frame_type": "01", "req_data_list": [], "resp_data_list": [field("n", "uint", 1), field("m", "uint", 1)]},
            {"data_frame_type": "02", "req_data_list": [], "resp_data_list": [field("n", "uint", 1)]},
            {"data_frame_type": "03", "req_data_list": [], "resp_data_list": []}
        ]
    }});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let rules = json!({
        "01": {"data": {"n": "${count(n)}$", "m": "${count(m, 7) * 2}$"}},
        "02": {"set": {"count(n)": null}, "data": {"n": "${count(n)}$"}},
        "03": {"set": {"count( m )": null}}
    });
    let mut talk = Talk::new(&files(template, json!([device]), rules));
    talk.check("7E 01", "7E 01 00 0E");
    talk.check("7E 01", "7E 01 01 10");
    talk.check("7E 02", "7E 02 00");
    talk.check("7E 01", "7E 01 01 12");
    talk.check("7E 03", "7E 03");
    talk.check("7E 01", "7E 01 02 0E");
    assert_eq!(talk.counted(), (0, 0));
}

/// `7E cmd a(uint 2) b(hex 1) 0D`, answered by fields of several types.
fn typed(rule: Value) -> Vec<(&'static str, Value)> {
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, field("cmd", "hex", 1)],
        "pdu_tailer": [field("serial", "uint", 1), {"name": "end", "length": 1, "value": "0D"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": [field("a", "uint", 2), field("b", "hex", 1)],
            "resp_data_list": [field("h", "hex", 2), field("u", "uint", 2), field("d", "bcd", 2),
                {"name": "s", "type": "str", "length": 4, "value": "none"}, field("f", "f32", 4), field("bit", "bit", 1)]}]
    }});
    files(
        template,
        json!([{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}]),
        json!({"01": rule}),
    )
}

/// `h u d s f bit` of the reply to `a` 10 and `b` 83.
fn values(data: Value) -> String {
    let mut talk = Talk::new(&typed(json!({"data": data})));
    let reply = talk.ask("7E 01 000A 83 07 0D");
    let at = |from: usize, to: usize| reply[2 * from..2 * to].to_owned();
    [at(2, 4), at(4, 6), at(6, 8), at(8, 12), at(12, 16), at(16, 17)].join(" ")
}

#[test]
fn a_number_becomes_what_its_field_takes() {
    let all = |text: &str| json!({"h": text, "u": text, "d": text, "s": text, "f": text, "bit": text});
    assert_eq!(values(all("${a + 1}$")), "000B 000B 0011 31310000 41300000 0B");
    // Known at startup: the same bytes.
    assert_eq!(values(all("${10 + 1}$")), "000B 000B 0011 31310000 41300000 0B");
    assert_eq!(values(json!({"h": "${b}$"})).split(' ').next(), Some("8300"));
    assert_eq!(values(all("${b + 0}$")), "0083 0083 0131 31333100 43030000 83");
    assert_eq!(values(all("${a / 4.0}$")), "0003 0003 0003 322E3500 40200000 03");
    // A lone function of the calendar is digits, as it always was; in an expression it is a number.
    assert_eq!(values(json!({"h": "${hour()}$${minute()}$"})).split(' ').next(), Some("1530"));
    assert_eq!(values(json!({"h": "${hour() * 100}$"})).split(' ').next(), Some("05DC"));
    assert_eq!(values(json!({"h": "${dec(hour() * 100)}$"})).split(' ').next(), Some("1500"));
    assert_eq!(values(json!({"s": "<${a + 0}$>"})).split(' ').nth(3), Some("3C31303E"));
    assert_eq!(values(json!({"s": "${b > 5 ? 'hi' : 'lo'}$"})).split(' ').nth(3), Some("68690000"));
    assert_eq!(values(json!({"u": "${serial * 2}$"})).split(' ').nth(1), Some("000E"));
    // As a default, digits are the text that the register would have; in a calculation they are a number.
    let both = values(json!({"h": "${reg(x, 0012)}$", "s": "${reg(x, 0012)}$", "u": "${reg(x, 0012) + 1}$"}));
    assert_eq!(both, "0012 000D 0000 30303132 00000000 00");
}

#[test]
fn a_value_without_a_result_leaves_the_templates() {
    let mut talk = Talk::new(&typed(json!({"data": {"s": "${a / (a - 10)}$", "u": "${a * 30000}$"}})));
    let reply = talk.ask("7E 01 000A 83 07 0D");
    assert_eq!(&reply[16..24], hex(b"none"));
    assert_eq!((talk.counted(), talk.state.counters.value_misfits), ((1, 0), 1));
}

#[test]
fn conditions_are_tried_in_order() {
    let rule = |when: &str, u: u32| json!({"when": when, "data": {"u": u}});
    let mut talk = Talk::new(&typed(json!([
        rule("a >= 100 && b & 0x80", 1),
        rule("a == 5 || serial == 9", 2),
        rule("reg(mode) == 2", 3),
        rule("1000 / (a - 10) > 5000", 4),
        {"when": {"b": "01"}, "set": {"mode": 2}, "data": {"u": 5}},
        {"data": {"u": 6}}
    ])));
    let mut check = |request: &str, expected: &str| assert_eq!(&talk.ask(request)[8..12], expected, "{request}");
    check("7E 01 0064 80 07 0D", "0001");
    check("7E 01 0064 7F 07 0D", "0006");
    check("7E 01 0005 80 07 0D", "0002");
    check("7E 01 0006 80 09 0D", "0002");
    // Without a value it does not apply; that is counted.
    check("7E 01 000A 80 07 0D", "0006");
    check("7E 01 0006 01 07 0D", "0005");
    check("7E 01 0006 80 07 0D", "0003");
    assert_eq!(talk.counted(), (1, 0));
}

#[test]
fn registers_count_and_keep_what_they_have() {
    let mut talk = Talk::new(&typed(json!({
        "set": {"n": "${reg(n) + a}$", "last": "${1000 / (reg(n) - 30)}$"},
        "data": {"u": "${reg(n)}$", "s": "${reg(last)}$", "h": "${count(calls, 0xFFFF)}$"}
    })));
    let mut check = |expected: &str| {
        let reply = talk.ask("7E 01 000A 83 07 0D");
        let text = String::from_utf8(unhex(&reply[16..24]).unwrap()).unwrap();
        assert_eq!([&reply[4..8], &reply[8..12], text.trim_end_matches('\0')].join(" "), expected);
    };
    check("FFFF 000A -50");
    check("0000 0014 -100");
    // Division by zero: the register keeps what it had.
    check("0001 001E -100");
    check("0002 0028 100");
    assert_eq!(talk.counted(), (1, 0));
}

#[test]
fn parameters_count_up_with_their_fsus() {
    let mut files = typed(json!({"data": {"s": "${substr(param(imei), 11)}$", "u": "${param(imei) % 1000}$"}}));
    files[0].1["fsu_list"][0]["count"] = json!(3);
    let mut talk = Talk::new(&files);
    let of = |talk: &mut Talk| talk.ask("7E 01 000A 83 07 0D")[8..12].to_owned();
    assert_eq!(of(&mut talk), "0009");
    let third = FsuState::new(&talk.fleet.fsus[2]);
    talk.fleet.fsus.swap(0, 2);
    talk.state = third;
    assert_eq!(of(&mut talk), "000B");
    files[0].1["fsu_list"][0].as_object_mut().unwrap().remove("params");
    let (_, lines) = load(&files);
    assert_eq!(
        lines,
        [
            "/fsu_list/0/config_dir: error: the rules read param(imei), and this FSU has no such parameter (\"params\": {\"imei\": \"...\"})"
        ]
    );
}

#[test]
fn a_reload_keeps_what_has_the_same_name_and_size() {
    let mut talk = Talk::new(&modbus(rules_of_modbus()));
    talk.check("0001 0000 0006 01 06 0001 1234", "0001 0000 0006 01 06 0001 1234");
    let again = |holding: u32, expected: &str| {
        let mut files = modbus(rules_of_modbus());
        files[1].1["device_list"][0]["memory"]["holding"]["bytes"] = json!(holding);
        let (fleet, _) = load(&files);
        let mut next = Talk::new(&files);
        next.state = carry(talk.state.clone(), &talk.fleet.fsus[0], &fleet.unwrap().fsus[0]);
        next.check("0001 0000 0006 01 03 0000 0002", expected);
    };
    again(40, "0001 0000 0007 01 03 04 0001 1234");
    again(42, "0001 0000 0007 01 03 04 0001 0000");
}

#[test]
fn what_is_wrong_is_told_with_its_column() {
    let told = |rule: Value, expected: &str| {
        let (_, lines) = load(&typed(rule.clone()));
        assert_eq!(lines, [expected], "{rule}");
    };
    told(
        json!({"when": "a >= 1 &&", "data": {"u": 1}}),
        "/01/when: error: column 10: the expression ends here (a value is missing)",
    );
    told(
        json!({"when": "aa >= 1", "data": {"u": 1}}),
        "/01/when: error: column 1: no field `aa` in the request of 01 (did you mean `a`?)",
    );
    told(
        json!({"when": "rand(1, 2) == 1", "data": {"u": 1}}),
        "/01/when: error: column 1: rand() cannot stand here: a rule is chosen by its request and by what the device remembers",
    );
    told(
        json!({"when": "'x'", "data": {"u": 1}}),
        "/01/when: error: column 1: a text where a condition takes a number (`int(text)` makes one)",
    );
    told(
        json!({"data": {"u": "${a + }$"}}),
        "/01/data/u: error: column 7: the expression ends here (a value is missing)",
    );
    told(
        json!({"data": {"u": "${0x7FFFFFFFFFFFFFFF + 1}$"}}),
        "/01/data/u: error: column 22: the result does not fit 64 bits",
    );
    told(json!({"data": {"u": "${300 * 300}$"}}), "/01/data/u: error: `90000` is out of range (0 to 65535 in 2 bytes)");
    told(
        json!({"set": {"x": "${s + 1}$"}, "data": {"u": "${reg(x)}$"}}),
        "/01/set/x: error: column 3: no field `s` in the request of 01 (did you mean `a`?)",
    );
    told(
        json!({"store": {"area": "m", "at": 0, "value": "a"}}),
        "/01/store/area: error: the device has no memory area `m` (`memory` of the device in fsu_devices.json makes areas)",
    );
    told(
        json!({"data": {"u": "${reg(cards[a])}$"}}),
        "/01/data/u: error: column 7: the device has no keyed register `cards` (a rule that sets it: \"set\": {\"name[#{key}#]\": ...})",
    );
}

#[test]
fn a_text_that_looks_like_an_expression_is_told() {
    let told = |set: &str, expected: &[&str]| {
        let (_, lines) = load(&typed(json!({"set": {"n": set}, "data": {"s": "${reg(n)}$"}})));
        let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("warning")).collect();
        assert_eq!(lines, expected, "{set}");
    };
    let warned =
        |text: &str| format!("/01/set/n: warning: `{text}` is a text here, not an expression (`${{...}}$` computes)");
    told("reg(n, 0) + 1", &[&warned("reg(n, 0) + 1")]);
    told("#{a}# * 2", &[&warned("#{a}# * 2")]);
    for text in ["auto", "a", "#{a}#-#{b}#", "12", "1+2", "${a * 2}$"] {
        told(text, &[]);
    }
}

#[test]
fn what_is_wrong_with_a_store_and_an_area_is_told() {
    let told = |at: &str, value: Value, expected: &[&str]| {
        let mut files = modbus(rules_of_modbus());
        let (name, pointer) = at.split_once(':').unwrap();
        let file = files.iter_mut().find(|(file, _)| *file == name).unwrap();
        *file.1.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(load(&files).1, expected, "{at} = {value}");
    };
    let store = "default.json:/06/0/store";
    told(
        store,
        json!({"at": 0, "value": "value"}),
        &["/06/0/store: error: \"area\" is missing (a memory area of the device)"],
    );
    told(
        store,
        json!({"area": "holding", "value": "value"}),
        &["/06/0/store: error: \"at\" is missing (an expression: the first byte; or `bit`: the first bit)"],
    );
    told(
        store,
        json!({"area": "holding", "at": 0}),
        &["/06/0/store: error: \"value\" is missing (an expression: what is written)"],
    );
    told(
        store,
        json!({"area": "holding", "at": 0, "bit": 1, "value": "value"}),
        &["/06/0/store/at: error: `at` and `bit` (one of them)"],
    );
    told(
        store,
        json!({"area": "holding", "at": "1 +", "value": "value"}),
        &["/06/0/store/at: error: column 4: the expression ends here (a value is missing)"],
    );
    told(
        store,
        json!({"area": "holding", "at": 0, "value": "addr + 1"}),
        &["/06/0/store/value: error: a number without `bytes` (how many it takes: \"bytes\": 2)"],
    );
    let area = "fsu_devices.json:/device_list/0/memory/holding";
    told(area, json!({"bytes": 0}), &["/device_list/0/memory/holding/bytes: error: 0 bytes (1 to 131072)"]);
    told(
        area,
        json!({"bytes": 40, "init": {"39": "0001"}}),
        &["/device_list/0/memory/holding/init/39: error: byte 39 and 2 bytes from there, in an area of 40"],
    );
    told(
        area,
        json!({"bytes": 40, "init": {"x": "01"}}),
        &["/device_list/0/memory/holding/init/x: error: `x` is no byte of the area (its number from 0)"],
    );
    told(
        area,
        json!({"bytes": 40, "init": {"0": "0G"}}),
        &["/device_list/0/memory/holding/init/0: error: `0G` is not hex (digits 0-9 and A-F, an optional 0x, spaces)"],
    );
}

#[test]
fn limit_calc_texts_bytes_max_longer_texts_have_no_value() {
    let mut files = modbus(json!({"06": {"data": {"value": "${len(cat(mem(big, 0, addr)))}$"}}}));
    files[1].1["device_list"][0]["memory"]["big"] = json!({"bytes": 131_072});
    let mut talk = Talk::new(&files);
    // The bytes, their digits, and the result.
    talk.check("0001 0000 0006 01 06 1000 FFFF", "0001 0000 0006 01 06 1000 2000");
    talk.ask("0001 0000 0006 01 06 CCCC FFFF");
    assert_eq!(talk.counted(), (0, 0));
    talk.ask("0001 0000 0006 01 06 CCCE FFFF");
    assert_eq!(talk.counted(), (1, 0));
}

#[test]
fn limit_area_bytes_max_and_areas_max_and_keyed_entries_max() {
    let told = |key: &str, value: Value| {
        let mut files = modbus(json!({"06": {}}));
        files[1].1["device_list"][0][key] = value;
        load(&files).1.iter().filter(|line| line.contains(": error: ")).count()
    };
    let area = |bytes: u32| json!({"m": {"bytes": bytes}});
    assert_eq!([told("memory", area(131_072)), told("memory", area(131_073))], [0, 1]);
    let areas = |many: u32| (0..many).map(|n| (n.to_string(), json!({"bytes": 1}))).collect::<Value>();
    assert_eq!([told("memory", areas(64)), told("memory", areas(65))], [0, 1]);
    let entries = |most: u32| json!({"cards": {"entries_max": most}});
    assert_eq!([told("registers", entries(65_536)), told("registers", entries(65_537))], [0, 1]);
}

#[test]
fn limit_param_bytes_max_longer_parameters_are_an_error() {
    for (bytes, errors) in [(255, 0), (256, 1)] {
        let mut files = typed(json!({"data": {"s": "${len(param(imei)) - 250}$"}}));
        files[0].1["fsu_list"][0]["params"]["imei"] = json!("x".repeat(bytes));
        assert_eq!(load(&files).1.len(), errors, "{bytes}");
    }
}

#[test]
fn a_table_gives_a_row_a_second() {
    let mut files = typed(json!({"data": {"u": "${csv(load.csv, power) * 10}$"}}));
    files.push(("load.csv", json!("time,power\n0,20\n1,30.5\n2,40\n")));
    let mut talk = Talk::new(&files);
    let mut at = |ms: u64, expected: &str| {
        talk.since_start_ms = ms;
        assert_eq!(&talk.ask("7E 01 000A 83 07 0D")[8..12], expected, "{ms}");
    };
    at(0, "00C8");
    at(1_999, "0131");
    at(2_000, "0190");
    at(3_000, "00C8");
    files[3].1 = json!({"01": {"data": {"u": "${csv(load.csv, volts) * 10}$"}}});
    let wrong = &load(&files).1[0];
    assert!(
        wrong.starts_with("/01/data/u: error: column 7: ")
            && wrong.ends_with("no column `volts` (its columns: time, power)"),
        "{wrong}"
    );
}

#[test]
fn limit_table_bytes_max_longer_tables_are_an_error() {
    for (bytes, errors) in [(4 << 20, 0), ((4 << 20) + 1, 1)] {
        let mut files = typed(json!({"data": {"u": "${csv(load.csv, 0)}$"}}));
        let rows = "1\n".repeat(bytes / 2) + if bytes % 2 == 1 { "\n" } else { "" };
        files.push(("load.csv", json!(rows)));
        assert_eq!(load(&files).1.len(), errors, "{bytes}");
    }
}

/// An expression of numbers, `a`, `b` and all operators.
fn expression() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (0_i64..70).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.unsigned_abs().min(i64::MAX as u64).to_string()),
        Just("a".to_owned()),
        Just("b".to_owned()),
    ];
    number.prop_recursive(5, 24, 3, |inner| {
        let signs = [
            "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<=", ">", ">=", "&&", "||",
        ];
        let sign = prop::sample::select(signs.to_vec());
        prop_oneof![
            6 => (inner.clone(), sign, inner.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
            2 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => (prop::sample::select(vec!["-", "~", "!"]), inner.clone()).prop_map(|(sign, inner)| format!("{sign} ({inner})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(c, yes, no)| format!("({c} ? {yes} : {no})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// What an expression gives is what the slow judge finds, also where that is nothing.
    #[test]
    fn an_expression_has_the_value_that_the_slow_judge_finds(text in expression(), a in 0_u16..300, b: u8) {
        let fields = |name: &str| i128::from(if name == "a" { a } else { u16::from(b) });
        let expected = naive::calc::value(&text, &fields);
        let written = format!("${{hex(({text}) < 0 ? 1 : 0, 2)}}$");
        let rule = json!({"data": {"h": written, "s": "", "u": format!("${{(({text}) & 0xFFFF)}}$")}});
        let (fleet, lines) = load(&typed(rule));
        // What is known to have no value is an error at startup.
        let Some(_) = fleet else {
            prop_assert!(expected.is_none() || lines[0].contains("division by zero") || lines[0].contains("64 bits") || lines[0].contains("63 bits"), "{text}: {lines:?}");
            return Ok(());
        };
        let mut talk = Talk::new(&typed(json!({"data": {"h": written, "u": format!("${{(({text}) & 0xFFFF)}}$")}})));
        let reply = talk.ask(&format!("7E 01 {a:04X} {b:02X} 07 0D"));
        let (failures, _) = talk.counted();
        match expected {
            Some(value) => {
                prop_assert_eq!(failures, 0, "{}", text);
                prop_assert_eq!(&reply[8..12], format!("{:04X}", value & 0xFFFF), "{}", text);
                prop_assert_eq!(&reply[4..8], if value < 0 { "0100" } else { "0000" }, "{}", text);
            }
            None => prop_assert_eq!(failures, 2, "{}", text),
        }
    }

    /// No text makes the compiler or the evaluation panic, whatever it is.
    #[test]
    fn any_text_is_an_expression_or_an_error(text in "[a-z0-9 '\"#{}$()\\[\\],.?:+*/%&|^<>=!~-]{0,60}") {
        for rule in [json!({"data": {"u": format!("${{{text}}}$")}}), json!({"when": text.clone(), "set": {format!("c[{text}]"): "1"}})] {
            let files = typed(rule);
            if load(&files).0.is_some() {
                Talk::new(&files).ask("7E 01 000A 83 07 0D");
            }
        }
    }
}

#[test]
fn engineering_values_names_and_digits_in_characters() {
    let t = json!({"name": "t", "type": "uint", "length": 2, "scale": 0.1, "offset": -40});
    let list = json!([t, {"name": "state", "length": 1, "enum": {"00": "closed", "01": "open"}},
        field("n", "dec", 3), field("x", "hexdigits", 4), field("long", "hexdigits", 16)]);
    let mut files = typed(json!([
        {"when": "state == 'open' && t > 11 && n < 8 && x == 0xFF",
            "data": {"t": "${t + 0.5}$", "n": "${n + x - 254}$", "x": "${x + 1}$", "state": "${state | 2}$"}},
        {"when": "state == 0 && int(long, 16) == 16", "data": {"t": "${sine(-10, 10, 60)}$", "n": "${count(calls, 998)}$"}},
        {"data": {"t": "0", "state": "open"}}
    ]));
    for of in ["req_data_list", "resp_data_list"] {
        files[2].1["protocol"]["data_frame"][0][of] = list.clone();
    }
    let mut talk = Talk::new(&files);
    let text = |text: &str| hex(text.as_bytes());
    let frame = |t: &str, state: &str, n: &str, x: &str| {
        format!("7E01{t}{state}{}{}{}070D", text(n), text(x), text("0000000000000010"))
    };
    talk.check(&frame("01FF", "01", "007", "00FF"), &frame("0204", "03", "008", "0100"));
    talk.check(&frame("01FF", "01", "008", "00FF"), &frame("0190", "01", "008", "00FF"));
    for n in ["998", "999", "000"] {
        talk.check(&frame("0000", "00", "001", "00FF"), &frame("0190", "00", n, "00FF"));
    }
    assert_eq!((talk.counted(), talk.state.counters.value_misfits), ((0, 0), 0));
}
