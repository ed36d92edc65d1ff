//! Whose field a name is: the data frame's, the header's or the tail's (templates.md, Names that point at the header).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request::{build_any, finish};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use product::{Outcome, Product, compiled};
use serde_json::{Value, json};

fn field(name: &str, length: u32) -> Value {
    json!({"name": name, "length": length})
}

fn valued(name: &str, length: u32, value: &str) -> Value {
    json!({"name": name, "length": length, "value": value})
}

/// One command, 01, in a frame whose header has `address` (low byte first) and whose tail has `mark`.
fn template(request: Value, reply: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            valued("start", 1, "7E"),
            {"name": "address", "length": 2, "endian": "little"},
            {"name": "len", "length": 1, "type": "length"},
            field("cmd", 1)
        ],
        "pdu_tailer": [field("mark", 1), valued("end", 1, "0D")],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": reply}]
    }})
}

fn product(template: &Value, rule: Value) -> Product {
    Product::strict(template, json!({"01": rule}))
}

fn answer(template: &Value, rule: Value, request: &str) -> String {
    let digits = request.replace(' ', "");
    match product(template, rule).respond(&unhex(&digits).unwrap(), Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(bytes, _) => hex(&bytes),
        other => format!("{other:?}"),
    }
}

fn check(template: &Value, rule: Value, request: &str, expected: &str) {
    assert_eq!(answer(template, rule.clone(), request), expected.replace(' ', ""), "{rule} {request}");
}

/// What a check says of a template and the rule of its command, places left out.
fn told(template: &Value, rule: Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let main = json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "tcp", "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let files = [
        ("sys_config.json", main),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", template.clone()),
        ("default.json", json!({"01": rule})),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let (_, lines) = compiled(&dir.path().join("sys_config.json"));
    lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

#[test]
fn n01_plain_name_is_the_data_frames_field() {
    let reply = template(json!([]), json!([valued("address", 2, "1234"), valued("x", 1, "AA")]));
    check(&reply, json!({}), "7E 0100 00 01 33 0D", "7E 0100 03 01 1234AA 33 0D");
    let request = template(json!([field("address", 2), field("x", 1)]), json!([field("x", 1)]));
    check(&request, json!({}), "7E 0100 03 01 AABB12 33 0D", "7E 0100 01 01 12 33 0D");
    // The tail's name too.
    let tail = template(json!([field("mark", 1)]), json!([field("mark", 1)]));
    check(&tail, json!({}), "7E 0100 01 01 55 33 0D", "7E 0100 01 01 55 33 0D");
}

#[test]
fn n01_spellings_of_header_and_tail_take_no_room() {
    for name in ["{pdu_left}_address", "{pdu_left}.address", "{pdu_left}_{address}", "{pdu_left}.{address}"] {
        let reply = template(json!([]), json!([valued(name, 2, "1234"), valued("address", 2, "5678")]));
        check(&reply, json!({}), "7E 0100 00 01 33 0D", "7E 3412 02 01 5678 33 0D");
        let ruled = template(json!([]), json!([field("address", 2)]));
        check(&ruled, json!({"data": {name: "1234"}}), "7E 0100 00 01 33 0D", "7E 3412 02 01 0000 33 0D");
    }
    for name in ["{pdu_tailer}_mark", "{pdu_tailer}.mark", "{pdu_tailer}_{mark}", "{pdu_tailer}.{mark}"] {
        let reply = template(json!([]), json!([valued(name, 1, "44"), valued("mark", 1, "55")]));
        check(&reply, json!({}), "7E 0100 00 01 33 0D", "7E 0100 01 01 55 44 0D");
        let asked = template(json!([field(name, 1), field("mark", 1)]), json!([field("back", 1)]));
        let rule = json!({"data": {"back": format!("#{{{name}}}#")}});
        check(&asked, rule, "7E 0100 01 01 55 33 0D", "7E 0100 01 01 33 33 0D");
    }
}

#[test]
fn n01_rules_name_the_data_frame_first() {
    let both = template(
        json!([field("address", 2)]),
        json!([field("address", 2), field("back", 2), valued("{pdu_left}_address", 2, "0102")]),
    );
    let asked = "7E 0100 02 01 AABB 33 0D";
    check(&both, json!({"data": {"address": "5678", "back": "#{address}#"}}), asked, "7E 0201 04 01 5678AABB 33 0D");
    check(
        &both,
        json!({"data": {"{pdu_left}_address": "5678", "back": "#{{pdu_left}_address}#"}}),
        asked,
        "7E 7856 04 01 AABB0001 33 0D",
    );
    // Both in one rule: two fields.
    check(
        &both,
        json!({"data": {"{pdu_left}.{address}": "1111", "address": "#{{pdu_left}.{address}}#"}}),
        asked,
        "7E 1111 04 01 00010000 33 0D",
    );
    // A reply without such a field: the header's.
    let header = template(json!([field("address", 2)]), json!([field("x", 1)]));
    check(&header, json!({"data": {"address": "5678"}}), asked, "7E 7856 01 01 00 33 0D");
    // A register is set from the data frame's.
    let set =
        json!({"set": {"a": "#{address}#", "b": "#{{pdu_left}_address}#"}, "data": {"x": "${reg(a)}$${reg(b)}$"}});
    let kept = template(json!([field("address", 2)]), json!([field("x", 4)]));
    check(&kept, set, asked, "7E 0100 04 01 AABB0001 33 0D");
}

#[test]
fn n01_when_asks_the_data_frame_first() {
    let both = template(json!([field("address", 2)]), json!([field("x", 1)]));
    let rules = |name: &str, value: &str| json!([{"when": {name: value}, "data": {"x": "AA"}}, {}]);
    let (hit, miss) = ("7E 0100 01 01 AA 33 0D", "7E 0100 01 01 00 33 0D");
    check(&both, rules("address", "AABB"), "7E 0100 02 01 AABB 33 0D", hit);
    check(&both, rules("address", "0001"), "7E 0100 02 01 AABB 33 0D", miss);
    check(&both, rules("{pdu_left}_address", "0001"), "7E 0100 02 01 AABB 33 0D", hit);
    check(&both, rules("{pdu_left}_address", "AABB"), "7E 0100 02 01 AABB 33 0D", miss);
}

#[test]
fn n01_match_flag_lengths_checksum_and_errors_agree() {
    let plain = |request: Value, change: (&str, Value)| {
        let mut out = template(request, json!([field("address", 2)]));
        *out.pointer_mut(change.0).unwrap() = change.1;
        out
    };
    // `match`: the data frame's constant.
    let mut matched = template(json!([valued("address", 2, "AABB")]), json!([]));
    matched["protocol"]["data_frame"][0]["req_data_list"][0]["match"] = json!(true);
    check(&matched, json!({}), "7E 0100 02 01 AABB 33 0D", "7E 0100 00 01 33 0D");
    check(&matched, json!({}), "7E BBAA 02 01 0100 33 0D", "Dropped(\"unknown_command\")");
    // The flag: header first, then the data frame.
    let flag = "/protocol/data_frame_type_flag";
    let flagged = plain(json!([field("cmd", 1), field("address", 2)]), (flag, json!("cmd")));
    check(&flagged, json!({}), "7E 0100 03 01 99AABB 33 0D", "7E 0100 02 01 AABB 33 0D");
    // Lengths: of the header's field, where the header has it; in the data frame, of its own.
    let len = "/protocol/pdu_left/2";
    let of = json!({"name": "len", "length": 1, "type": "length", "of": ["address", "data_frame"]});
    check(&plain(json!([]), (len, of)), json!({}), "7E 0100 02 01 33 0D", "7E 0100 04 01 0000 33 0D");
    let inner = |of: &str| json!([field("address", 3), {"name": "n", "length": 1, "type": "length", "of": [of]}]);
    check(&template(json!([]), inner("address")), json!({}), "7E 0100 00 01 33 0D", "7E 0100 04 01 00000003 33 0D");
    let header = inner("{pdu_left}_address");
    check(&template(json!([]), header), json!({}), "7E 0100 00 01 33 0D", "7E 0100 04 01 00000002 33 0D");
    // A checksum's span is named by header and tail fields.
    let mut summed = template(json!([field("address", 2)]), json!([field("address", 2)]));
    summed["protocol"]["pdu_tailer"][0]["name"] = json!("check");
    summed["protocol"]["checksum"] = json!({"algorithm": "sum", "from": "address", "to": "data_frame"});
    check(&summed, json!({}), "7E 0100 02 01 AABB 69 0D", "7E 0100 02 01 AABB 69 0D");
    // Replies to wrong requests.
    let errors = |data: Value| {
        let mut out = template(json!([]), json!([]));
        out["protocol"]["errors"] =
            json!({"unknown_command": {"data": data, "resp_data_list": [field("address", 2), field("x", 2)]}});
        out
    };
    let unknown = "7E 0100 00 02 33 0D";
    let both = errors(json!({"address": "1234", "x": "#{address}#"}));
    check(&both, json!({}), unknown, "7E 0100 04 02 12340001 33 0D");
    let header = errors(json!({"{pdu_left}_address": "1234"}));
    check(&header, json!({}), unknown, "7E 3412 04 02 00000000 33 0D");
}

#[test]
fn n01_a_plain_name_of_the_header_is_a_warning() {
    let list = "/protocol/data_frame/0";
    let warning = |at: &str, name: &str, prefix: &str, whose: &str| {
        format!(
            "{list}/{at}/name: warning: `{name}` is a field of the data frame; `{{{prefix}}}_{name}` would be the {whose}'s"
        )
    };
    let both = template(json!([field("address", 2)]), json!([field("x", 1), field("mark", 1)]));
    assert_eq!(
        told(&both, json!({})),
        [
            warning("req_data_list/0", "address", "pdu_left", "header"),
            warning("resp_data_list/1", "mark", "pdu_tailer", "tail"),
        ]
    );
    let spelled = template(json!([]), json!([field("{pdu_left}_address", 2), field("{pdu_tailer}_mark", 1)]));
    assert_eq!(told(&spelled, json!({})), Vec::<String>::new());
    let mut error = template(json!([]), json!([]));
    error["protocol"]["errors"] = json!({"bad_length": {"resp_data_list": [field("address", 2)]}});
    assert_eq!(told(&error, json!({})).len(), 1);
    // Each name once: the header's two spellings are one field, the data frame's is another.
    let twice = |data: Value| told(&template(json!([]), json!([field("x", 1)])), json!({"data": data}));
    assert_eq!(twice(json!({"{pdu_left}_address": "01", "address": "02"})).len(), 1);
    assert_eq!(twice(json!({"{pdu_left}_address": "01", "x": "02"})), Vec::<String>::new());
}

#[test]
fn n01_values_of_clients_name_the_data_frame_first() {
    let both = template(json!([field("address", 2)]), json!([]));
    let product = product(&both, json!({}));
    let plan = &product.fleet.fsus[0].devices[0].template;
    let check = |name: &str, expected: &str| {
        let (_, mut raw) = build_any(plan, "01", &[(name.to_owned(), "1234".to_owned())]).unwrap();
        let mut wire = Vec::new();
        finish(plan, &mut raw, &mut wire);
        assert_eq!(hex(&wire), expected.replace(' ', ""), "{name}");
    };
    check("address", "7E 0000 02 01 1234 00 0D");
    check("{pdu_left}_address", "7E 3412 02 01 0000 00 0D");
    check("{pdu_left}.{address}", "7E 3412 02 01 0000 00 0D");
}
