//! Replies of another shape, and several to one request (rules.md, Several replies).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::fields::{hex, unhex};
use product::{Product, compiled};
use serde_json::{Value, json};

/// `68 address cmd data.. sum`; 64 asks, 0D only goes up, and has the request's address.
fn template() -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "checksum": {"algorithm": "sum"},
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "address", "length": 1},
            {"name": "cmd", "length": 1},
            {"name": "size", "length": 1, "type": "length"}
        ],
        "pdu_tailer": [{"name": "checksum", "length": 1}],
        "data_frame": [
            {"data_frame_type": "64", "req_data_list": [{"name": "qoi", "length": 1}], "resp_data_list": [{"name": "qoi", "length": 1}]},
            {"data_frame_type": "0D", "name": "M_SP", "direction": "up", "resp_data_list": [
                {"name": "n", "length": 1, "type": "uint"},
                {"name": "points", "type": "list", "count": {"field": "n"}, "items": [{"name": "value", "length": 2, "type": "uint"}]}
            ]}
        ]
    }})
}

fn frame(data: &str) -> Vec<u8> {
    let mut out = unhex(&data.replace(' ', "")).unwrap();
    out.push(out[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    out
}

fn product(rule: &Value) -> Product {
    Product::strict(&template(), json!({"64": rule}))
}

/// The replies to `request`, twice: when each is due, and its bytes. A checksum is put behind `expected` where it says `..`.
fn check(rule: Value, expected: &[(i64, &str)]) {
    let mut product = product(&rule);
    let request = frame("68 05 64 01 14");
    for _ in 0..2 {
        let got = product.datagram_from(1, &request, Clock::parse("2026-01-12T17:30:03"));
        let got: Vec<(i64, String)> = got.into_iter().map(|(due, bytes)| (due, hex(&bytes))).collect();
        let sealed = |text: &str| match text.strip_suffix("..") {
            Some(text) => hex(&frame(text)),
            None => text.replace(' ', ""),
        };
        let expected: Vec<(i64, String)> = expected.iter().map(|(due, text)| (*due, sealed(text))).collect();
        assert_eq!(got, expected, "{rule}");
    }
}

#[test]
fn frames_of_other_entries_and_bytes_as_they_are() {
    check(json!({"replies": [{}]}), &[(0, "68 05 64 01 14..")]);
    check(json!({"replies": [{"raw": "E5"}]}), &[(0, "E5")]);
    check(
        json!({"replies": [
            {"frame": "64"},
            {"frame": "M_SP", "data": {"points": [{"value": 1}, {"value": 258}]}, "delay_ms": 20},
            {"frame": "0D", "data": {"address": "09", "points": {"repeat": 1, "data": {"value": 7}}}, "delay_ms": 5},
            {"raw": "E5 E5"}
        ]}),
        &[(0, "68 05 64 01 14.."), (20, "68 05 0D 05 02 0001 0102.."), (25, "68 09 0D 03 01 0007.."), (25, "E5E5")],
    );
    // The first may wait too.
    check(json!({"replies": [{"delay_ms": 7}, {}]}), &[(7, "68 05 64 01 14.."), (7, "68 05 64 01 14..")]);
}

#[test]
fn a_key_in_the_data_frame_is_the_entry_s_unless_it_has_a_value() {
    let mut template = template();
    let cmd = json!({"name": "cmd", "length": 1});
    template["protocol"]["pdu_left"].as_array_mut().unwrap().retain(|field| field["name"] != "cmd");
    let entry = |key: &str, name: &str, reply: Value| json!({"data_frame_type": key, "name": name, "direction": "up", "resp_data_list": [{"name": "a", "length": 1, "value": "77"}, reply]});
    template["protocol"]["data_frame"] = json!([
        {"data_frame_type": "64", "req_data_list": [cmd], "resp_data_list": [cmd]},
        entry("01", "own", cmd.clone()),
        entry("02", "constant", json!({"name": "cmd", "length": 1, "value": "55"})),
        entry("03", "asked", json!({"name": "cmd", "length": 1, "value": "#{cmd}#"}))
    ]);
    let rule = json!({"replies": [{"frame": "own"}, {"frame": "constant"}, {"frame": "asked"}, {"frame": "own", "data": {"cmd": "66"}}]});
    let mut product = Product::strict(&template, json!({"64": rule}));
    let got = product.datagram_from(1, &frame("68 05 01 64"), Clock::parse("2026-01-12T17:30:03"));
    let got: Vec<String> = got.iter().map(|(_, bytes)| hex(bytes)).collect();
    let expected =
        ["68 05 02 77 01", "68 05 02 77 55", "68 05 02 77 64", "68 05 02 77 66"].map(|text| hex(&frame(text)));
    assert_eq!(got, expected);
}

#[test]
fn bursts_may_have_gaps() {
    let of = |burst: Value| json!({"cycle": [{"qoi": "01"}, {"qoi": "02"}], "burst": burst});
    let two = ["68 05 64 01 01..", "68 05 64 01 02.."];
    check(of(json!(2)), &[(0, two[0]), (0, two[1])]);
    check(of(json!({"count": 2})), &[(0, two[0]), (0, two[1])]);
    check(of(json!({"count": 2, "gap_ms": 30})), &[(0, two[0]), (30, two[1])]);
}

#[test]
fn what_only_goes_up_is_no_request() {
    let mut product = product(&json!({}));
    let got = product.datagram_from(1, &frame("68 05 0D 01 00"), Clock::parse("2026-01-12T17:30:03"));
    assert_eq!((got.len(), product.dropped()), (0, vec!["unknown_command"]));
}

#[test]
fn what_replies_may_not_say() {
    let told = |rule: Value| -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let main = json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]});
        let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
        let files = [
            ("sys_config.json", main),
            ("fsu_devices.json", json!({"device_list": [device]})),
            ("t.json", template()),
            ("default.json", rule),
        ];
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content.to_string()).unwrap();
        }
        let (_, lines) = compiled(&dir.path().join("sys_config.json"));
        lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
    };
    let of = |rule: Value, expected: &str| assert_eq!(told(json!({"64": rule})), [expected], "{rule}");
    of(
        json!({"replies": [{"frame": "M_SQ"}]}),
        "/64/replies/0/frame: error: the template has no frame `M_SQ` (did you mean `M_SP`?)",
    );
    of(json!({"replies": [{"raw": "E"}, {"raw": "xx"}]}), "/64/replies/1/raw: error: `xx` are no bytes (hex digits)");
    of(
        json!({"replies": [{"frame": "M_SP", "raw": "E5"}]}),
        "/64/replies/0/frame: error: `frame` and `raw` (one of them)",
    );
    of(
        json!({"replies": [{"data": {"pints": 1}}]}),
        "/64/replies/0/data/pints: error: the reply to 64 has no field `pints`",
    );
    of(
        json!({"replies": [{}], "cycle": [{}]}),
        "/64/cycle: error: `cycle` beside `replies` (each reply has its own `data`)",
    );
    of(
        json!({"replies": []}),
        "/64/replies: error: `replies` is empty (a list of frames; no reply is `\"timeout\": true`)",
    );
    of(json!({"replies": [{"delay_ms": 3_600_001}]}), "/64/replies/0/delay_ms: error: 3600001 ms (0 to 3600000)");
    of(json!({"cycle": [{}], "burst": {"gap_ms": 5}}), "/64/burst: error: \"count\" is missing (how many replies)");
    assert_eq!(told(json!({"64": {}, "0D": {}})).len(), 1);
}
