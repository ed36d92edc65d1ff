//! Data frames whose fields vary in size: sizes, lists, choices, and the replies that are made of them (templates.md).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::client::request::build;
use fsu_core::client::varying;
use fsu_core::moment::RunContext;
use fsu_core::state::FsuState;
use fsu_core::walked::{elements, values};
use fsu_plan::wire::walk::{self, Wrong};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::shapes::{Maker, decode, encode};
use product::{Outcome, Product, compiled};
use proptest::prelude::*;
use serde_json::{Value, json};

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

/// `68 cmd length data.. sum 16`, the length of the data frame; command 01 has these lists.
fn template(request: Value, response: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "checksum": {"algorithm": "sum"},
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "cmd", "length": 1},
            {"name": "size", "length": 1, "type": "length", "of": ["data_frame"]}
        ],
        "pdu_tailer": [{"name": "checksum", "length": 1}, {"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": response}]
    }})
}

/// A frame of [`template`] around this data.
fn frame(data: &str) -> Vec<u8> {
    let data = bytes(data);
    let mut out = vec![0x68, 0x01, data.len() as u8];
    out.extend(&data);
    let sum = out[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    out.extend([sum, 0x16]);
    out
}

fn product(template: &Value, rules: &Value) -> Product {
    Product::strict(template, rules.clone())
}

/// The data frame of the reply to a request with this data, or why there is none.
fn answer(template: &Value, rule: &Value, request: &[u8]) -> String {
    match product(template, &json!({"01": rule})).respond(request, Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(got, _) => {
            let data = hex(&got[3..got.len() - 2]);
            assert_eq!(hex(&got), hex(&frame(&data)), "lengths and checksum");
            data
        }
        Outcome::Dropped(reason) => reason.to_owned(),
        Outcome::Silent => "silent".to_owned(),
    }
}

fn check(lists: (&Value, &Value), rule: Value, request: &str, expected: &str) {
    let template = template(lists.0.clone(), lists.1.clone());
    let expected: String = expected.split(' ').collect();
    assert_eq!(answer(&template, &rule, &frame(request)), expected, "{request} with {rule}");
}

/// The diagnostics of a template and a rule, without the directory.
fn told(request: Value, response: Value, rule: Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let main = json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let files = [
        ("sys_config.json", main),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", template(request, response)),
        ("default.json", json!({"01": rule})),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let (_, lines) = compiled(&dir.path().join("sys_config.json"));
    lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

/// The number of the field `n`, and a text that long.
fn counted() -> Value {
    json!([{"name": "n", "length": 1, "type": "uint"}, {"name": "text", "type": "str", "length": {"field": "n"}}])
}

#[test]
fn an_earlier_field_says_the_size() {
    let lists = || (counted(), counted());
    let check = |rule: Value, request: &str, expected: &str| check((&lists().0, &lists().1), rule, request, expected);
    // Repeated from the request.
    check(json!({}), "02 4142", "02 4142");
    check(json!({}), "00", "00");
    check(json!({"data": {"text": "hello"}}), "00", "05 68656C6C6F");
    check(json!({"data": {"text": "<#{text}#>"}}), "02 4142", "04 3C41423E");
    check(json!({"data": {"text": "#{n}#/#{text}#"}}), "02 4142", "04 322F4142");
    // Given by the rule, it stays.
    check(json!({"data": {"n": 9, "text": "x"}}), "00", "09 78");
    // More than there is, and less.
    check(json!({}), "03 4142", "bad_length");
    check(json!({}), "01 4142", "01 41");
    check(json!({}), "", "bad_length");
}

#[test]
fn sizes_are_scaled_and_shifted() {
    let list = json!([
        {"name": "words", "length": 2, "type": "uint", "endian": "little"},
        {"name": "data", "length": {"field": "words", "times": 2, "add": -2}},
        {"name": "after", "length": 1}
    ]);
    let check = |rule: Value, request: &str, expected: &str| check((&list, &list), rule, request, expected);
    check(json!({}), "0200 AABB 77", "0200 AABB 77");
    check(json!({"data": {"data": "01020304"}}), "0100 77", "0300 01020304 77");
    check(json!({}), "0000 77", "bad_length");
    // Three bytes are no number of words: what is counted is what it was.
    assert_eq!(
        told(list.clone(), list.clone(), json!({"data": {"data": "010203"}})),
        ["/01: error: `data` has 3 bytes, which what counts them cannot say"]
    );
}

#[test]
fn the_rest_and_up_to_a_mark() {
    let rest = json!([{"name": "kind", "length": 1}, {"name": "all", "length": "rest"}, {"name": "crc", "length": 2}]);
    let of = |rule: Value, request: &str, expected: &str| check((&rest, &rest), rule, request, expected);
    of(json!({}), "01 AABBCC 1234", "01 AABBCC 1234");
    of(json!({}), "01 1234", "01 1234");
    of(json!({"data": {"all": ""}}), "01 AABBCC 1234", "01 1234");
    of(json!({}), "01 12", "bad_length");
    let until = json!([
        {"name": "first", "type": "str", "until": "7C"},
        {"name": "second", "type": "str", "until": "0D0A", "max": 4}
    ]);
    let of = |rule: Value, request: &str, expected: &str| check((&until, &until), rule, request, expected);
    of(json!({}), "4142 7C 43 0D0A", "4142 7C 43 0D0A");
    of(json!({}), "7C 0D0A", "7C 0D0A");
    of(json!({"data": {"first": "#{second}#", "second": "#{first}#"}}), "4142 7C 43 0D0A", "43 7C 4142 0D0A");
    // Longer than `max`, and without its end.
    of(json!({}), "7C 4142434445 0D0A", "bad_length");
    of(json!({}), "7C 41 0D", "bad_length");
    of(json!({}), "4142", "bad_length");
}

fn alarms() -> Value {
    json!([
        {"name": "n", "length": 1, "type": "uint"},
        {"name": "alarms", "type": "list", "count": {"field": "n"}, "max": 64, "items": [
            {"name": "id", "length": 2, "type": "uint"}, {"name": "state", "length": 1}
        ]}
    ])
}

#[test]
fn lists_of_a_rule_and_of_the_request() {
    let list = alarms();
    let of = |rule: Value, request: &str, expected: &str| check((&list, &list), rule, request, expected);
    of(json!({}), "02 000101 000202", "02 000101 000202");
    of(json!({"data": {"alarms": []}}), "01 000101", "00");
    of(json!({"data": {"alarms": [{"id": 7, "state": "A5"}, {"id": 258}]}}), "00", "02 0007A5 010200");
    of(json!({"data": {"alarms": "#{alarms}#"}}), "01 0001FF", "01 0001FF");
    of(
        json!({"data": {"alarms": {"repeat": 3, "data": {"id": "${index()}$", "state": "0${index()}$"}}}}),
        "00",
        "03 000000 000101 000202",
    );
    of(
        json!({"data": {"alarms": [{"id": 9}, {"repeat": 2, "data": {"id": "#{alarms.1.id}#", "state": "#{alarms.0.state}#"}}]}}),
        "02 000101 000302",
        "03 000900 000301 000301",
    );
    // Elements that the request does not have are padding.
    of(json!({"data": {"alarms": [{"id": "#{alarms.5.id}#", "state": "01"}]}}), "01 000101", "01 000001");
    of(json!({}), "03 000101 000202", "bad_length");
    of(json!({}), "FF 000101", "bad_length");
    // `when` on an element.
    let rules = json!([{"when": {"alarms.0.state": "01"}, "data": {"alarms": []}}, {"data": {"alarms": [{"id": 1}]}}]);
    of(rules.clone(), "01 000101", "00");
    of(rules.clone(), "01 000102", "01 000100");
    of(rules, "00", "01 000100");
}

#[test]
fn as_many_items_as_fit_and_fixed_counts() {
    let list = |count: Value| {
        json!([{"name": "kind", "length": 1}, {"name": "items", "type": "list", "count": count, "items": [
            {"name": "a", "length": 1}, {"name": "b", "length": 1}
        ]}, {"name": "end_byte", "length": 1}])
    };
    let rest = list(json!("rest"));
    check((&rest, &rest), json!({}), "01 A1B1 A2B2 77", "01 A1B1 A2B2 77");
    check((&rest, &rest), json!({}), "01 77", "01 77");
    check((&rest, &rest), json!({}), "01 A1B1 A2 77", "bad_length");
    let two = list(json!(2));
    check((&two, &two), json!({}), "01 A1B1 A2B2 77", "01 A1B1 A2B2 77");
    check((&two, &two), json!({"data": {"items": [{"a": "FF"}]}}), "01 A1B1 A2B2 77", "01 FF00 0000 77");
    check((&two, &two), json!({}), "01 A1B1 A2", "bad_length");
}

fn tlv() -> Value {
    json!([{"name": "items", "type": "list", "count": "rest", "items": [
        {"name": "tag", "length": 1},
        {"name": "len", "length": 1, "type": "uint"},
        {"name": "body", "type": "choice", "by": "tag", "bytes": {"field": "len"}, "cases": {
            "01": [{"name": "mileage", "length": 4, "type": "uint"}],
            "02": [{"name": "name", "type": "str", "length": "rest"}],
            "03": [{"name": "n", "length": 1, "type": "uint"},
                   {"name": "codes", "type": "list", "count": {"field": "n"}, "items": [{"name": "code", "length": 1}]}],
            "else": [{"name": "raw", "length": "rest"}]
        }}
    ]}])
}

#[test]
fn tag_length_value() {
    let list = tlv();
    let of = |rule: Value, request: &str, expected: &str| check((&list, &list), rule, request, expected);
    of(json!({}), "0104 00000007 0202 4142 FF00 0303 02AABB", "0104 00000007 0202 4142 FF00 0303 02AABB");
    of(
        json!({"data": {"items": [
            {"tag": "01", "body": {"mileage": 258}},
            {"tag": "02", "body": {"name": "hey"}},
            {"tag": "03", "body": {"codes": [{"code": "01"}, {"code": "02"}]}},
            {"tag": "77", "body": {"raw": "AB"}},
            {"tag": "02"}
        ]}}),
        "",
        "0104 00000102 0203 686579 0303 020102 7701 AB 0200",
    );
    of(
        json!({"data": {"items": [{"tag": "02", "body": {"name": "#{items.1.body.name}#!"}}]}}),
        "0104 00000007 0202 4142",
        "0203 414221",
    );
    // Too short for its case, longer than it, longer than the frame.
    of(json!({}), "0103 000000", "bad_length");
    of(json!({}), "0105 0000000700", "0105 0000000700");
    of(json!({}), "0203 4142", "bad_length");
    of(json!({}), "0302 0201", "bad_length");
}

#[test]
fn entries_of_one_key_are_told_apart_by_what_varies() {
    let mut template = template(json!([]), json!([]));
    let entry = |kind: &str, answer: &str| {
        json!({"data_frame_type": "01",
            "req_data_list": [{"name": "text", "type": "str", "until": "7C"}, {"name": "kind", "length": 1, "value": kind, "match": true}],
            "resp_data_list": [{"name": "out", "length": 1, "value": answer}]})
    };
    template["protocol"]["data_frame"] = json!([entry("01", "AA"), entry("02", "BB")]);
    let of = |request: &str| answer(&template, &json!({}), &frame(request));
    assert_eq!(
        [of("41 7C 01"), of("4142 7C 02"), of("7C 03"), of("41"), of("7C 01 01")],
        ["AA", "BB", "unknown_command", "bad_length", "unknown_command"]
    );
}

#[test]
fn a_reply_of_fixed_size_repeats_what_stands_behind_a_field_of_variable_size() {
    let uint = |name: &str, length: u64, endian: &str| json!({"name": name, "type": "uint", "length": length, "endian": endian});
    let request = || {
        let mut fields = counted();
        let more = [uint("id", 2, "big"), uint("size", 1, "big"), json!({"name": "kind", "length": 2})];
        fields.as_array_mut().unwrap().extend(more);
        fields
    };
    let of = |response: Value, rule: Value, expected: &str| {
        check((&request(), &response), rule, "01 41 0102 07 AABB", expected)
    };
    let kind = json!({"name": "kind", "length": 2});
    of(json!([uint("id", 2, "big"), kind]), json!({}), "0102 AABB");
    of(json!([kind, uint("id", 2, "little")]), json!({}), "AABB 0201");
    of(json!([uint("id", 2, "big"), kind]), json!({"data": {"id": 9}}), "0009 AABB");
    // Bits are no number.
    of(
        json!([{"name": "kind", "length": 2, "type": "bit", "value": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]}]),
        json!({}),
        "8001",
    );
    // Of another size: it is another field.
    of(json!([{"name": "size", "type": "uint", "length": 2, "value": 3}]), json!({}), "0003");
}

#[test]
fn a_condition_on_what_only_another_entry_has_does_not_hold() {
    let mut template = template(json!([]), json!([]));
    let entry = |fields: Value| json!({"data_frame_type": "01", "req_data_list": fields, "resp_data_list": [{"name": "out", "length": 1, "type": "uint"}]});
    let uint = |name: &str| json!({"name": name, "length": 1, "type": "uint"});
    let text = json!({"name": "text", "type": "str", "length": "rest"});
    template["protocol"]["data_frame"] = json!([
        entry(json!([uint("a")])),
        entry(json!([uint("a"), uint("b")])),
        entry(json!([uint("a"), uint("c"), text]))
    ]);
    let of = |when: &str, request: &str| {
        answer(&template, &json!([{"when": when, "data": {"out": 1}}, {"data": {"out": 2}}]), &frame(request))
    };
    let each = |when: &str| ["05", "0500", "05000041"].map(|request| of(when, request));
    assert_eq!(each("b == 0"), ["02", "01", "02"]);
    assert_eq!(each("b != 7 && a == 5"), ["02", "01", "02"]);
    assert_eq!(each("a == 5 || b == 0"), ["01", "01", "01"]);
    assert_eq!(each("len(text) >= 0"), ["02", "02", "01"]);
    assert_eq!(each("text != 'B'"), ["02", "02", "01"]);
    assert_eq!(each("!(c == 1)"), ["02", "02", "01"]);
}

#[test]
fn what_a_template_may_not_say() {
    let data = |field: Value| json!([{"name": "n", "length": 1, "type": "uint"}, field]);
    let of = |field: Value, expected: &[&str]| {
        let lines = told(data(field.clone()), json!([]), json!({}));
        assert_eq!(lines, expected, "{field}");
    };
    let at = "/protocol/data_frame/0/req_data_list/1";
    let error = |key: &str, text: &str| format!("{at}{key}: error: {text}");
    of(
        json!({"name": "x", "length": {"field": "m"}}),
        &[&error("/length/field", "no earlier field `m` (did you mean `n`?)")],
    );
    of(
        json!({"name": "x", "length": {"times": 2}}),
        &[&error("/length", "\"field\" is missing (the earlier field that says it)")],
    );
    of(json!({"name": "x", "length": {"field": "n"}, "max": 300}), &[&error("/max", "max 300: `n` says at most 255")]);
    of(json!({"name": "x", "until": "7"}), &[]);
    of(
        json!({"name": "x", "until": "zz"}),
        &[&error("/until", "`zz` are no bytes that a field ends with (hex digits)")],
    );
    of(json!({"name": "x", "length": 4, "max": 3}), &[&error("/max", "`max` at a field of fixed size")]);
    of(json!({"name": "x", "length": 4, "items": []}), &[&error("/items", "`items` needs `\"type\": \"list\"`")]);
    of(
        json!({"name": "x", "type": "list", "items": [{"name": "a", "length": 1}]}),
        &[&error("", "\"count\" is missing (how many items: a number, {\"field\": ...} or \"rest\")")],
    );
    of(
        json!({"name": "x", "type": "list", "count": "rest", "items": [{"name": "a", "length": "rest"}]}),
        &[&error(
            "/items/0/length",
            "what is left is not known in an item, or in a choice with fields behind it (a choice may have `bytes`)",
        )],
    );
    of(
        json!({"name": "x", "type": "list", "count": "rest", "items": [{"name": "a", "type": "str", "length": {"field": "n"}}]}),
        &[&error("", "an item may be empty (at least one of its fields takes a byte)")],
    );
    of(
        json!({"name": "x", "type": "choice", "by": "n", "cases": {"1": [], "0x01": []}}),
        &[&error("/cases/0x01", "a second case `0x01`")],
    );
    let mut deep = json!({"name": "x", "type": "list", "count": 1, "items": [{"name": "a", "length": 1}]});
    for _ in 0..4 {
        deep = json!({"name": "x", "type": "list", "count": 1, "items": [deep]});
    }
    let lines = told(data(deep), json!([]), json!({}));
    assert!(lines.iter().any(|line| line.ends_with("error: lists and choices nest at most 4 deep")), "{lines:?}");
}

#[test]
fn what_a_rule_may_not_give() {
    let of = |data: Value, expected: &str| {
        let lines = told(json!([]), alarms(), json!({"data": data}));
        assert_eq!(lines, [expected], "{data}");
    };
    of(
        json!({"alarms": [{"idd": 1}]}),
        "/01/data/alarms/0/idd: error: no field `idd` in `alarms` (did you mean `id`?)",
    );
    of(
        json!({"alarms": 5}),
        "/01/data/alarms: error: a list is an array of objects, {\"repeat\": n, \"data\": {...}}, or #{list}#",
    );
    of(json!({"alarms": [5]}), "/01/data/alarms/0: error: an item is an object: its fields");
    of(json!({"alarms": {"repeat": 65, "data": {}}}), "/01/data/alarms: error: more than 64 items (`max` of `alarms`)");
    of(
        json!({"alarms": [{"id": 70000}]}),
        "/01/data/alarms/0/id: error: `70000` is out of range (0 to 65535 in 2 bytes)",
    );
    of(
        json!({"alarms": "#{alarm}#"}),
        "/01/data/alarms: error: `#{alarm}#` is no list of the request with the fields of `alarms`",
    );
    of(
        json!({"alarms": [{"state": "${index()}$"}]}),
        "/01/data/alarms/0/state: error: index() is the number of an item that `repeat` makes",
    );
    of(json!({"alarmz": []}), "/01/data/alarmz: error: the reply to 01 has no field `alarmz`");
}

/// A count or length that is far more than the frame has, in lists inside each other, costs no more than the frame.
#[test]
fn a_hostile_frame_costs_no_more_than_its_bytes() {
    let nested = json!([{"name": "n", "length": 2, "type": "uint"},
        {"name": "a", "type": "list", "count": {"field": "n"}, "max": 65000, "items": [
            {"name": "m", "length": 1, "type": "uint"},
            {"name": "b", "type": "list", "count": {"field": "m"}, "max": 255, "items": [
                {"name": "x", "type": "str", "until": "7C"}]}]}]);
    for request in ["FFFF", "FFFF FFFFFFFFFFFFFFFF", "0002 02 7C", "0001 01 414141", "FDE8 00000000"] {
        check((&nested, &json!([])), json!({}), request, "bad_length");
    }
}

/// The template of [`template`] with a length of two bytes.
fn wide(fields: &[Value]) -> Value {
    let mut template = template(json!(fields), json!(fields));
    template["protocol"]["pdu_left"][2]["length"] = json!(2);
    template
}

fn wide_frame(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x68, 0x01];
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    let sum = out[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    out.extend([sum, 0x16]);
    out
}

fn reply(product: &mut Product, data: &[u8]) -> Result<Vec<u8>, &'static str> {
    match product.respond(&wide_frame(data), Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(got, _) => {
            let data = got[4..got.len() - 2].to_vec();
            assert_eq!(hex(&got), hex(&wide_frame(&data)), "lengths and checksum");
            Ok(data)
        }
        Outcome::Dropped(reason) => Err(reason),
        Outcome::Silent => Err("silent"),
    }
}

fn device(product: &Product) -> std::sync::Arc<fsu_plan::model::fleet::Device> {
    product.fleet.fsus[0].devices[0].clone()
}

/// Any seed, and often one that once showed a fault.
fn seeds() -> impl Strategy<Value = u64> {
    prop_oneof![15 => any::<u64>(), 1 => Just(5_429_563_788_473_568_839)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Program and judge agree on random templates: what a frame is, what a rule's values become, and what is copied.
    #[test]
    fn random_shapes_are_what_the_judge_says(seed in seeds()) {
        let mut maker = Maker::new(seed);
        let fields = maker.fields(2, true);
        let template = wide(&fields);
        let (asked, given) = (maker.values(&fields), maker.values(&fields));
        let request = encode(&fields, &asked, &mut Vec::new());
        let expected = encode(&fields, &given, &mut Vec::new());
        prop_assume!(fields.iter().any(|field| !field["length"].is_u64()) && request.len().max(expected.len()) < 4_000);
        let mut echo = product(&template, &json!({"01": {}}));
        prop_assert_eq!(reply(&mut echo, &request).map(|data| hex(&data)), Ok(hex(&request)), "copied, {:?}", fields);
        let mut rule = product(&template, &json!({"01": {"data": given}}));
        prop_assert_eq!(reply(&mut rule, &request).map(|data| hex(&data)), Ok(hex(&expected)), "{} of {:?}", given, fields);
        // Encode, decode, encode: what a client takes apart it puts together again.
        let device = device(&rule);
        let (template, command) = (&*device.template, &device.template.commands[0]);
        let walk = command.request_walk().expect("a program");
        let mut raw = wide_frame(&request);
        let before = raw.clone();
        let (key, value) = values(walk, &raw).expect("a frame that fits").into_iter().next().expect("a field");
        varying::set((template, command), walk, &[(&key.value, &value.value.to_text())], &mut raw).expect("its own value");
        let sum = raw.len() - 2;
        prop_assert_eq!(hex(&raw[..sum]), hex(&before[..sum]));
        // Changed bytes: the program takes what the judge takes.
        for _ in 0..20 {
            let mut changed = request.clone();
            for _ in 0..maker.rng.usize(1..4) {
                let at = maker.rng.usize(..changed.len());
                match maker.rng.usize(..3) {
                    0 => changed[at] = maker.rng.u8(..),
                    1 => changed[at] = maker.rng.u8(..4),
                    _ if changed.len() > 1 => drop(changed.remove(at)),
                    _ => changed.push(maker.rng.u8(..)),
                }
            }
            let judged = decode(&fields, &changed, &mut 0, changed.len(), &mut Vec::new());
            let got = reply(&mut rule, &changed);
            prop_assert_eq!(got.is_ok(), judged.is_some(), "{} of {:?}: {:?}", hex(&changed), fields, got);
            prop_assert!(matches!(got, Ok(_) | Err("bad_length")));
        }
    }

    /// Fields of fixed size behind one whose size is said, and the same fields with fixed places, have the same replies.
    #[test]
    fn walked_against_fixed(seed in seeds()) {
        let mut maker = Maker::new(seed);
        let fixed: Vec<Value> = (0..maker.rng.usize(1..6))
            .map(|number| {
                let (kind, endian) = (["hex", "uint", "str"][maker.rng.usize(..3)], ["big", "little"][maker.rng.usize(..2)]);
                json!({"name": format!("f{number}"), "length": maker.rng.u64(1..5), "type": kind, "endian": endian})
            })
            .collect();
        let size: u64 = fixed.iter().map(|field| field["length"].as_u64().unwrap()).sum();
        let head = |list: Value| [json!({"name": "none", "type": "list", "count": list, "items": [{"name": "x", "length": 1}]})];
        let walked: Vec<Value> = [json!({"name": "n", "length": 1, "type": "uint"})].into_iter().chain(head(json!({"field": "n"}))).chain(fixed.clone()).collect();
        let plain: Vec<Value> = [json!({"name": "n", "length": 1, "type": "uint"})].into_iter().chain(fixed.clone()).collect();
        let (values, mut rng) = (["7", ""], maker.rng.fork());
        let data: serde_json::Map<String, Value> = fixed.iter()
            .filter(|_| maker.rng.bool())
            .map(|field| (field["name"].as_str().unwrap().to_owned(), values[rng.usize(..2)].into()))
            .collect();
        let rule = json!({"01": {"data": data}});
        let mut bytes = vec![0];
        bytes.extend((0..size).map(|_| maker.rng.u8(0x30..0x7A)));
        let one = reply(&mut product(&wide(&walked), &rule), &bytes);
        let other = reply(&mut product(&wide(&plain), &rule), &bytes);
        prop_assert_eq!(one.map(|data| hex(&data)), other.map(|data| hex(&data)), "{} {:?}", rule, fixed);
    }

    /// Any bytes: the cursor ends, and says how many bytes a frame has only when they are there.
    #[test]
    fn any_beginning_is_too_short_until_it_is_whole(seed in seeds()) {
        let mut maker = Maker::new(seed);
        let fields = maker.fields(2, false);
        prop_assume!(fields.iter().any(|field| !field["length"].is_u64()));
        let product = product(&wide(&fields), &json!({"01": {}}));
        let device = device(&product);
        let walk = device.template.commands[0].request_walk().expect("a program").clone();
        let data = encode(&fields, &maker.values(&fields), &mut Vec::new());
        let frame = wide_frame(&data);
        let whole = frame.len() - 2;
        for len in 0..=frame.len() {
            let size = walk::size(&walk, &frame[..len]);
            let expected = if len < whole { Err(Wrong::Short) } else { Ok(frame.len()) };
            prop_assert_eq!(size, expected, "{} of {} bytes", len, frame.len());
        }
    }
}

#[test]
fn limit_nest_max_and_nodes_max_and_marks_max() {
    let has = |request: Value, response: Value, rule: Value, text: &str| {
        let lines = told(request, response, rule);
        lines.iter().any(|line| line.contains(text))
    };
    let nest = |depth: usize| {
        let mut field = json!({"name": "a", "length": 1});
        for _ in 0..depth {
            field = json!({"name": "x", "type": "list", "count": 1, "items": [field]});
        }
        has(json!([field]), json!([]), json!({}), "nest at most 4 deep")
    };
    assert_eq!((nest(4), nest(5)), (false, true));
    let nodes = |many: usize| {
        let until = json!({"name": "u", "until": "00"});
        let fields: Vec<Value> =
            [until].into_iter().chain((1..many).map(|n| json!({"name": format!("f{n}"), "length": 1}))).collect();
        has(json!(fields), json!([]), json!({}), "more than 1024 fields")
    };
    assert_eq!((nodes(1_024), nodes(1_025)), (false, true));
    let marks = |many: usize| {
        let until = json!({"name": "u", "until": "00"});
        let pair = |n: usize| {
            [
                json!({"name": format!("n{n}"), "length": 1}),
                json!({"name": format!("d{n}"), "length": {"field": format!("n{n}")}}),
            ]
        };
        let fields: Vec<Value> = [until].into_iter().chain((0..many).flat_map(pair)).collect();
        has(json!(fields), json!([]), json!({}), "more than 32 fields that say")
    };
    assert_eq!((marks(32), marks(33)), (false, true));
    // As many lengths open in a reply as there may be.
    let open = |many: usize| {
        let until = json!({"name": "u", "until": "00"});
        let numbers = (0..many).map(|n| json!({"name": format!("n{n}"), "length": 1}));
        let data = (0..many).map(|n| json!({"name": format!("d{n}"), "length": {"field": format!("n{n}")}}));
        let fields: Vec<Value> = [until].into_iter().chain(numbers).chain(data).collect();
        told(json!([]), json!(fields), json!({}))
    };
    assert_eq!(open(32), [""; 0]);
}

/// Elements of which no place is noted are found all the same, and so are those behind them.
#[test]
fn limit_spots_max() {
    let texts = |many: usize| -> Value {
        let text =
            |n: usize| [json!({"name": format!("t{n}"), "until": "00"}), json!({"name": format!("f{n}"), "length": 1})];
        json!((0..many).flat_map(text).collect::<Vec<Value>>())
    };
    let data = |many: usize| -> String { (0..many).map(|n| format!("{:02X}00{n:02X}", n + 100)).collect() };
    for many in [1, 30, 31, 32, 33, 60] {
        let (last, text) = (format!("f{}", many - 1), format!("t{}", many - 1));
        let lists = (texts(many), json!([{"name": text, "until": "00"}, {"name": last, "length": 1}]));
        let expected = format!("{:02X}00{:02X}", many + 99, many - 1);
        check((&lists.0, &lists.1), json!({}), &data(many), &expected);
        // All of them, of which neighbours are copied at once.
        check((&lists.0, &lists.0), json!({}), &data(many), &data(many));
    }
}

#[test]
fn a_client_gives_elements_by_name() {
    let list = tlv();
    let product = product(&template(list.clone(), list.clone()), &json!({"01": {}}));
    let device = device(&product);
    let (template, command) = (&*device.template, &device.template.commands[0]);
    let check = |given: &[(&str, &str)], expected: Result<&str, &str>| {
        let given: Vec<(String, String)> = given.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let got =
            build(template, command, &given).map(|raw| hex(&raw[2..raw.len() - 2])).map_err(|wrong| wrong.to_string());
        assert_eq!(got, expected.map(|text| text.split(' ').collect()).map_err(str::to_owned), "{given:?}");
    };
    check(&[], Ok("00"));
    check(
        &[(
            "items",
            "[{\"tag\": \"01\", \"body\": {\"mileage\": 7}}, {\"tag\": \"02\", \"body\": {\"name\": \"hi\"}}]",
        )],
        Ok("0A 0104 00000007 0202 6869"),
    );
    check(&[("items", "[{\"tag\": \"02\"}]"), ("items.0.body.name", "abc")], Ok("05 0203 616263"));
    check(&[("items.0.tag", "77")], Ok("02 7700"));
    check(&[("items.1.tag", "77")], Err("`items.1.tag` does not lie in the request"));
    check(&[("itemz", "[]")], Err("no field `itemz` in the request of 01"));
    check(&[("items.0.tag", "777")], Err("items.0.tag: `777` is longer than the field (1 byte holds 2 hex digits)"));
}

#[test]
fn elements_for_people() {
    let list = tlv();
    let product = product(&template(list.clone(), list), &json!({"01": {}}));
    let device = device(&product);
    let walk = device.template.commands[0].request_walk().expect("a program").clone();
    let check = |data: &str, expected: &[(&str, usize, &str)], wrong: Option<Wrong>| {
        let (got, ended) = elements(&walk, &frame(data));
        let got: Vec<(&str, usize, &str)> = got.iter().map(|one| (&*one.path, one.from, &*one.value)).collect();
        assert_eq!((&*got, ended), (expected, wrong), "{data}");
    };
    let first = [("items.0.tag", 3, "01"), ("items.0.len", 4, "4"), ("items.0.body.mileage", 5, "7")];
    let second = [("items.1.tag", 9, "02"), ("items.1.len", 10, "2"), ("items.1.body.name", 11, "A\\n")];
    check("0104 00000007 0202 410A", &[first, second].concat(), None);
    check(
        "0104 00000007 0203 41",
        &[&first[..], &[("items.1.tag", 9, "02"), ("items.1.len", 10, "3")]].concat(),
        Some(Wrong::Short),
    );
    check("", &[], None);
}

/// Neither reading nor writing allocates, once the buffers have grown.
#[test]
fn no_allocation_for_what_varies() {
    let list = tlv();
    let rule = json!({"01": {"data": {"items": [
        {"tag": "02", "body": {"name": "<#{items.0.body.mileage}#>"}},
        {"tag": "77", "body": {"raw": "#{items.1.body.raw}#"}},
        {"repeat": 5, "data": {"tag": "01", "body": {"mileage": "${rand(1,9)}$"}}}]}}});
    let product = product(&template(list.clone(), list), &rule);
    let (mut state, mut scratch) = (FsuState::new(&product.fleet.fsus[0]), Scratch::default());
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let moment = product::moment(Clock::parse("2026-01-12T17:30:03"));
    let request = frame("0104 00000007 7703 AABBCC");
    let mut serve = || {
        let mut turn =
            Turn { run: &run, fsu: &product.fleet.fsus[0], state: &mut state, scratch: &mut scratch, moment };
        respond(&mut turn, 0, &request)
    };
    serve();
    let mut answered = Verdict::Silent;
    let counted = allocation_counter::measure(|| answered = serve());
    assert_eq!(counted.count_total, 0);
    assert!(matches!(answered, Verdict::Reply { .. }));
}
