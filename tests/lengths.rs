//! What `data_frame_length` counts, and where its number is (templates.md, Lengths).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request::finish;
use fsu_plan::model::template::Template;
use fsu_plan::wire::framer::{Cut, cut};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup, compiled};
use serde_json::{Value, json};

const NUMBER: &str = "{{data_frame_length}}";

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

/// `68 address length cmd data.. 0D`, the length before the command; commands are (key, data_frame_length, request's bytes,
/// reply's bytes).
fn template(commands: &[(&str, Option<u64>, u64, u64)]) -> Value {
    let field = |name: &str, length: u64| match length {
        0 => json!([]),
        _ => json!([{"name": name, "length": length}]),
    };
    let commands: Vec<Value> = commands
        .iter()
        .map(|(key, number, asked, replied)| {
            let mut out = json!({"data_frame_type": key});
            out["req_data_list"] = field("asked", *asked);
            out["resp_data_list"] = field("replied", *replied);
            if let Some(number) = number {
                out["data_frame_length"] = json!(number);
            }
            out
        })
        .collect();
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "address", "length": 1},
            {"name": "length", "length": 1, "value": NUMBER},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": commands
    }})
}

/// With something else at a place of it.
fn with(mut template: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match template.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => other[key] = value,
    }
    template
}

fn rules(template: &Value) -> Value {
    let keys = template["protocol"]["data_frame"].as_array().unwrap();
    keys.iter().map(|command| (command["data_frame_type"].as_str().unwrap().to_owned(), json!({}))).collect()
}

fn product(template: &Value) -> Product {
    Product::strict(template, rules(template))
}

fn check(template: &Value, request: &str, expected: &str) {
    let got = match product(template).respond(&bytes(request), Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(bytes, _) => hex(&bytes),
        Outcome::Dropped(reason) => reason.to_owned(),
        Outcome::Silent => "silent".to_owned(),
    };
    assert_eq!(got, expected.replace(' ', ""), "{request} of {template}");
}

fn told(template: &Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let main = json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let files = [
        ("sys_config.json", main),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", template.clone()),
        ("default.json", rules(template)),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let (_, lines) = compiled(&dir.path().join("sys_config.json"));
    lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

fn plan(template: &Value) -> std::sync::Arc<Template> {
    product(template).fleet.fsus[0].devices[0].template.clone()
}

#[test]
fn n02_the_numbers_tell_what_they_count() {
    // The data frame alone: the reply's three bytes.
    check(&template(&[("83", Some(3), 3, 3)]), "68 01 03 83 020001 0D", "68 01 03 83 000000 0D");
    check(&template(&[("83", Some(3), 3, 3)]), "68 01 04 83 020001 0D", "bad_length");
    // With the command byte behind the length field.
    check(&template(&[("83", Some(4), 3, 3)]), "68 01 04 83 020001 0D", "68 01 04 83 000000 0D");
    check(&template(&[("83", Some(4), 3, 3)]), "68 01 03 83 020001 0D", "bad_length");
    // Absent: with the command byte.
    check(&template(&[("83", None, 3, 3)]), "68 01 04 83 020001 0D", "68 01 04 83 000000 0D");
    // Padding: both would do, and the second holds.
    check(&template(&[("83", Some(6), 3, 3)]), "68 01 04 83 020001 0D", "68 01 06 83 0000000000 0D");
    // The request's fields decide where the reply's do not.
    check(&template(&[("83", Some(6), 6, 3)]), "68 01 06 83 010203040506 0D", "68 01 06 83 000000000000 0D");
    check(&template(&[("83", Some(6), 5, 3)]), "68 01 06 83 0102030405 0D", "68 01 06 83 0000000000 0D");
    // Nothing but the data frame: no fields, and none behind.
    check(&template(&[("83", Some(0), 0, 0)]), "68 01 00 83 0D", "68 01 00 83 0D");
    check(&template(&[("83", Some(1), 0, 0)]), "68 01 01 83 0D", "68 01 01 83 0D");
    // Of two bytes behind, the number has room for one: padding, as the second reading cannot be.
    let two = with(template(&[("83", Some(4), 3, 3)]), "/protocol/pdu_left/3/length", json!(2));
    check(&two, "68 01 03 0083 020001 0D", "68 01 04 0083 00000000 0D");
}

#[test]
fn n02_a_number_of_neither_names_both() {
    let at = "/protocol/data_frame/0/data_frame_length: error:";
    let neither =
        "data_frame_length 2 counts neither: the reply has 3 bytes of fields, 4 with `cmd` behind the length field";
    assert_eq!(told(&template(&[("83", Some(2), 3, 3)])), [format!("{at} {neither}")]);
    // A request may be longer: the number is the reply's.
    assert_eq!(told(&template(&[("83", Some(2), 3, 2)])), Vec::<String>::new());
    let huge = "data_frame_length 65001 does not fit any frame";
    assert_eq!(told(&template(&[("83", Some(65_001), 3, 2)])), [format!("{at} {huge}")]);
    // Without header fields behind it there is one reading.
    let before = with(
        template(&[("83", Some(2), 3, 3)]),
        "/protocol/pdu_left",
        json!([
            {"name": "start", "length": 1, "value": "68"},
            {"name": "cmd", "length": 1},
            {"name": "length", "length": 1, "value": NUMBER}
        ]),
    );
    assert_eq!(told(&before), ["/protocol/data_frame/0: error: the reply fields take 3 bytes, the data frame has 2"]);
}

#[test]
fn n02_the_number_in_data_frame_and_tail() {
    let counted =
        |name: &str, kind: &str| json!({"name": name, "length": 2, "type": kind, "value": "{{ data_frame_length }}"});
    let list = |counted: Value| {
        let other = if counted["name"] == "n" { "y" } else { "x" };
        json!([counted, {"name": other, "length": 2, "value": "AABB"}])
    };
    let of = |kind: &str, number: u64| {
        let reply = with(
            template(&[("83", Some(number), 0, 0)]),
            "/protocol/data_frame/0/resp_data_list",
            list(counted("n", kind)),
        );
        with(reply, "/protocol/data_frame/0/req_data_list", list(counted("m", kind)))
    };
    // One number in all of them: header, request, reply, in the field's type.
    check(&of("uint", 4), "68 01 04 83 0004 1122 0D", "68 01 04 83 0004 AABB 0D");
    check(&of("hex", 4), "68 01 04 83 0004 1122 0D", "68 01 04 83 0004 AABB 0D");
    check(&of("int", 5), "68 01 05 83 0005 1122 0D", "68 01 05 83 0005 AABB 0D");
    check(&of("bcd", 18), "68 01 05 83 0005 1122 0D", "68 01 12 83 0018 AABB00000000000000000000000000 0D");
    check(&of("uint", 4), "68 01 04 83 0005 1122 0D", "bad_length");
    check(&of("uint", 5), "68 01 05 83 0004 1122 0D", "bad_length");
    let little = with(of("uint", 4), "/protocol/data_frame/0/resp_data_list/0/endian", json!("little"));
    check(&little, "68 01 04 83 0004 1122 0D", "68 01 04 83 0400 AABB 0D");
    let text = told(&with(of("uint", 4), "/protocol/data_frame/0/resp_data_list/0/type", json!("str")));
    let what =
        "`n` cannot be a length: its field is text, and a computed number needs hex, uint, bcd, dec or hexdigits";
    assert_eq!(text, [format!("/protocol/data_frame/0/resp_data_list/0/value: error: {what}")]);
    // Without one in the header: the data frame's bytes.
    let alone = with(of("uint", 4), "/protocol/pdu_left/2", json!({"name": "adr2", "length": 1}));
    check(&alone, "68 01 99 83 0004 1122 0D", "68 01 99 83 0004 AABB 0D");
    // In the tail, and through the header's spelling in a list.
    let tail = json!([{"name": "n", "length": 2, "type": "uint", "value": NUMBER}, {"name": "end", "length": 1, "value": "0D"}]);
    let tail = with(template(&[("83", Some(3), 3, 3)]), "/protocol/pdu_tailer", tail);
    check(&tail, "68 01 03 83 020001 0003 0D", "68 01 03 83 000000 0003 0D");
    check(&tail, "68 01 03 83 020001 0004 0D", "bad_length");
    let listed = json!([{"name": "{pdu_left}_address", "length": 1, "value": NUMBER}, {"name": "x", "length": 2}]);
    let listed = with(template(&[("83", Some(2), 0, 2)]), "/protocol/data_frame/0/resp_data_list", listed);
    check(&listed, "68 01 00 83 0D", "68 02 02 83 0000 0D");
    // A placeholder that there is not.
    let unknown = with(of("uint", 4), "/protocol/data_frame/0/resp_data_list/0/value", json!("{{frame_length}}"));
    let what = "an unknown placeholder (known: {{data_frame_length}})";
    assert_eq!(told(&unknown), [format!("/protocol/data_frame/0/resp_data_list/0/value: error: {what}")]);
}

#[test]
fn n02_a_fixed_frame_writes_the_configured_number() {
    // 68 address length cmd, 6 bytes of data, 0D.
    let fixed = |number: Option<u64>| {
        let out = with(template(&[("83", number, 3, 3)]), "/protocol/dynamic_length", json!(false));
        with(out, "/protocol/total_length", json!(11))
    };
    for number in [6, 7] {
        assert_eq!(told(&fixed(Some(number))), Vec::<String>::new());
        let of = format!("68 01 {number:02X} 83 020001000000 0D");
        check(&fixed(Some(number)), &of, &format!("68 01 {number:02X} 83 000000000000 0D"));
        check(&fixed(Some(number)), "68 01 03 83 020001000000 0D", "bad_length");
    }
    check(&fixed(None), "68 01 07 83 020001000000 0D", "68 01 07 83 000000000000 0D");
    let warning = "total_length leaves 6 bytes for the data frame, 7 with `cmd`; this says 3";
    assert_eq!(told(&fixed(Some(3))), [format!("/protocol/data_frame/0/data_frame_length: warning: {warning}")]);
    check(&fixed(Some(3)), "68 01 03 83 020001000000 0D", "68 01 03 83 000000000000 0D");
    let too_large = told(&fixed(Some(300)));
    assert!(
        too_large.iter().any(|line| line.ends_with("error: a length of up to 300 does not fit its field (8 bits)"))
    );
}

#[test]
fn n02_errors_and_refusals_count_as_the_commands_do() {
    let error = json!({"unknown_command": {"resp_data_list": [{"name": "why", "length": 2, "value": "0102"},
        {"name": "n", "length": 1, "value": NUMBER}]}});
    let with_errors = |commands: &[_]| with(template(commands), "/protocol/errors", error.clone());
    // All commands count the data frame alone, and so do replies of none.
    check(&with_errors(&[("83", Some(3), 3, 3)]), "68 01 00 99 0D", "68 01 03 99 0102 03 0D");
    check(&with_errors(&[("83", Some(4), 3, 3)]), "68 01 01 99 0D", "68 01 04 99 0102 04 0D");
    // They disagree: with the header fields.
    let mixed = with_errors(&[("83", Some(3), 3, 3), ("84", Some(4), 3, 3)]);
    check(&mixed, "68 01 01 99 0D", "68 01 04 99 0102 04 0D");
    // A refusal's data frame is empty, and its number says so.
    let refused = |number: u64| {
        let out = with(
            template(&[("83", Some(number), 0, 3)]),
            "/protocol/refusal",
            json!({"field": "address", "ok": ["00"]}),
        );
        with(out, "/protocol/pdu_left/1/type", json!("hex"))
    };
    check(&refused(3), "68 05 00 83 0D", "68 05 00 83 0D");
    check(&refused(4), "68 05 01 83 0D", "68 05 01 83 0D");
    check(&refused(3), "68 00 00 83 0D", "68 00 03 83 000000 0D");
}

#[test]
fn n02_commands_of_one_template_may_differ() {
    let mixed = template(&[("83", Some(3), 3, 3), ("84", Some(4), 3, 3), ("85", None, 0, 1)]);
    check(&mixed, "68 01 03 83 020001 0D", "68 01 03 83 000000 0D");
    check(&mixed, "68 01 04 84 020001 0D", "68 01 04 84 000000 0D");
    check(&mixed, "68 01 04 83 020001 0D", "bad_length");
    check(&mixed, "68 01 03 84 020001 0D", "bad_length");
    check(&mixed, "68 01 01 85 0D", "68 01 02 85 00 0D");
    // No command: no reading is wrong.
    check(&mixed, "68 01 03 99 020001 0D", "unknown_command");
    check(&mixed, "68 01 04 99 020001 0D", "unknown_command");
    check(&mixed, "68 01 05 99 020001 0D", "bad_length");
}

/// Cuts a stream that is made of these frames, each where it should be, whatever comes behind it and however it is split.
fn check_stream(template: &Value, frames: &[&str]) {
    let plan = plan(template);
    let stream: Vec<u8> = frames.iter().flat_map(|frame| bytes(frame)).collect();
    let mut at = 0;
    for frame in frames {
        let size = bytes(frame).len();
        for end in at..=stream.len() {
            let expected = if end < at + size { Cut::More } else { Cut::Frame(size) };
            assert_eq!(cut(&plan, &stream[at..end]), expected, "{frame} with {} bytes of {stream:02X?}", end - at);
        }
        at += size;
    }
}

#[test]
fn n02_a_stream_is_cut_by_the_reading_of_its_command() {
    // Data that holds the end byte where the other reading would end.
    let mixed = template(&[("83", Some(3), 3, 3), ("84", Some(4), 3, 3), ("0D", Some(2), 2, 2)]);
    let frames = ["68 01 03 83 020D0D 0D", "68 01 04 84 02000D 0D", "68 01 02 0D 0D0D 0D", "68 01 03 83 686868 0D"];
    check_stream(&mixed, &frames);
    check_stream(
        &with(mixed.clone(), "/protocol/encoding", json!("ascii_hex")),
        &["68 3031 3033 3833 303230443044 0D", "68 3031 3034 3834 303230443044 0D", "68 3031 3032 3064 30443064 0D"],
    );
    // All alike: no command is needed.
    check_stream(&template(&[("83", Some(3), 3, 3)]), &["68 01 03 83 020D0D 0D", "68 01 02 99 0D0D 0D"]);
    // The key in the data frame: at each size that a command has.
    let keyed = |number: u64, key: &str| {
        json!({"data_frame_type": key, "data_frame_length": number, "resp_data_list": [{"name": "y", "length": 3}],
            "req_data_list": [{"name": "group", "length": 1, "value": key}, {"name": "x", "length": 2}]})
    };
    let inside = with(mixed, "/protocol/data_frame_type_flag", json!("group"));
    let inside = with(inside, "/protocol/data_frame", json!([keyed(3, "01"), keyed(4, "02")]));
    check_stream(&inside, &["68 01 03 83 010D0D 0D", "68 01 04 83 020D0D 0D", "68 01 03 83 01020D 0D"]);
}

#[test]
fn n02_shared_keys_are_told_apart_by_size_and_constant() {
    let entry = |number: u64, selector: &str| {
        json!({"data_frame_type": "83", "data_frame_length": number, "resp_data_list": [{"name": "y", "length": 3}],
            "req_data_list": [{"name": "selector", "length": 1, "value": selector, "match": true}, {"name": "x", "length": 2}]})
    };
    let shared = with(template(&[]), "/protocol/data_frame", json!([entry(3, "00"), entry(4, "01")]));
    let shared_rules = [("default.json".to_owned(), json!({"83": {}}))];
    let setup = Setup { template: &shared, files: &shared_rules, verify: Verify::Warn, fsuid: "3031", device: (1, 1) };
    let plan = Product::over("tcp", &setup).unwrap().fleet.fsus[0].devices[0].template.clone();
    for (frame, size) in [("68 01 03 83 000D0D 0D 68", 8), ("68 01 04 83 010D0D 0D 68", 8)] {
        assert_eq!(cut(&plan, &bytes(frame)), Cut::Frame(size), "{frame}");
    }
}

#[test]
fn n02_requests_of_clients_carry_the_number() {
    let check = |template: &Value, expected: &str| {
        let plan = plan(template);
        let (mut raw, mut wire) = (plan.commands[0].sample.to_vec(), Vec::new());
        finish(&plan, &mut raw, &mut wire);
        assert_eq!(hex(&wire), expected.replace(' ', ""));
    };
    check(&template(&[("83", Some(3), 3, 3)]), "68 00 03 83 000000 0D");
    check(&template(&[("83", Some(4), 3, 3)]), "68 00 04 83 000000 0D");
    check(&template(&[("83", None, 3, 3)]), "68 00 04 83 000000 0D");
    let counted = json!([{"name": "n", "length": 1, "value": NUMBER}, {"name": "x", "length": 2}]);
    let counted = with(template(&[("83", Some(3), 0, 3)]), "/protocol/data_frame/0/req_data_list", counted);
    check(&counted, "68 00 03 83 030000 0D");
}
