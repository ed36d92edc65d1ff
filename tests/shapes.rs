//! Keys, lengths and cases of frames whose fields vary in size (templates.md, Fields of variable size).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

fn now() -> Clock {
    Clock::parse("2026-01-12T17:30:03")
}

fn setup(template: &Value, rules: &Value) -> Result<Product, String> {
    let files = [("default.json".to_owned(), rules.clone())];
    Product::over(
        "broadcast",
        &Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) },
    )
}

/// What a request is answered with: hex digits, or why not.
fn check(template: &Value, rules: &Value, request: &[u8], expected: &[u8]) {
    let mut product = setup(template, rules).unwrap_or_else(|told| panic!("{told}"));
    match product.respond(request, now()) {
        Outcome::Reply(got, _) => assert_eq!(hex(&got), hex(expected), "{}", hex(request)),
        Outcome::Dropped(why) => assert_eq!(why.as_bytes(), expected, "{}", hex(request)),
        Outcome::Silent => assert_eq!(b"silent", expected, "{}", hex(request)),
    }
}

fn errors(template: &Value, rules: &Value) -> String {
    let told = setup(template, rules).err().unwrap_or_default();
    told.lines().filter_map(|line| line.split_once(": error: ")).map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// `*maker,id,command,rest#`, as trackers send it: the command is behind two texts of any size.
fn tracker() -> Value {
    let text = |name: &str| json!({"name": name, "type": "str", "until": "2C"});
    let request = json!([text("maker"), text("id"), text("cmd"), {"name": "rest", "type": "str", "length": "rest"}]);
    let reply = json!([text("maker"), text("id"), text("cmd"), {"name": "answer", "type": "str", "length": "rest"}]);
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "2A"}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "23"}],
        "data_frame": [
            {"data_frame_type": hex(b"V1"), "req_data_list": request, "resp_data_list": reply},
            {"data_frame_type": hex(b"S20"), "req_data_list": request, "resp_data_list": reply},
            {"data_frame_type": hex(b"UP"), "name": "up", "direction": "up", "resp_data_list": reply}
        ]
    }})
}

#[test]
fn a_key_behind_fields_of_variable_size() {
    let rules = json!({hex(b"V1"): {"data": {"answer": "ok"}},
        hex(b"S20"): {"replies": [{"data": {"answer": "<#{rest}#>"}}, {"frame": "up", "data": {"answer": "x"}}]}});
    let check = |request: &[u8], expected: &[u8]| check(&tracker(), &rules, request, expected);
    check(b"*HQ,4109,V1,a,b#", b"*HQ,4109,V1,ok#");
    check(b"*HQ,4109,S20,1#", b"*HQ,4109,S20,<1>#");
    check(b"*H,1,V2,#", b"unknown_command");
    check(b"*HQ#", b"bad_length");
    let mut product = setup(&tracker(), &rules).unwrap_or_else(|told| panic!("{told}"));
    let got = product.datagram_from(1, b"*HQ,7,S20,1#", now());
    let got: Vec<String> = got.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(got, ["*HQ,7,S20,<1>#", "*HQ,7,UP,x#"]);
    // What clients send has the key.
    let template = &product.fleet.fsus[0].devices[0].template;
    let samples: Vec<String> = template.commands.iter().take(2).map(|command| hex(&command.sample.to_vec())).collect();
    assert_eq!(samples, [hex(b"*,,V1,#"), hex(b"*,,S20,#")]);
}

#[test]
fn a_key_inside_a_list_and_keys_in_both_parts() {
    let list = json!([{"name": "n", "length": 1, "type": "uint"},
        {"name": "items", "type": "list", "count": {"field": "n"}, "items": [{"name": "tag", "length": 1}, {"name": "v", "length": 1}]}]);
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": ["cmd", "items.0.tag"],
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "cmd", "length": 1}],
        "data_frame": [
            {"data_frame_type": "05_A1", "req_data_list": list, "resp_data_list": [{"name": "r", "length": 1, "value": "01"}]},
            {"data_frame_type": "05_A2", "req_data_list": list, "resp_data_list": [{"name": "r", "length": 1, "value": "02"}]}
        ]
    }});
    let rules = json!({"05_A1": {}, "05A2": {}});
    check(&template, &rules, &bytes("68 05 01 A1 00"), &bytes("68 05 01"));
    check(&template, &rules, &bytes("68 05 02 A2 00 A1 00"), &bytes("68 05 02"));
    check(&template, &rules, &bytes("68 05 01 A3 00"), b"unknown_command");
    check(&template, &rules, &bytes("68 05 00"), b"unknown_command");
}

/// `68 cmd data.. 16` with these fields in request and reply.
fn framed(request: Value, reply: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "cmd", "length": 1}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": reply}]
    }})
}

#[test]
fn computed_lengths_before_and_behind_what_varies() {
    let list = json!([
        {"name": "whole", "length": 1, "type": "length", "of": ["data_frame", "cmd"], "add": 1},
        {"name": "size", "length": 2, "type": "uint", "value": "{{data_frame_length}}"},
        {"name": "text", "type": "str", "length": "rest"},
        {"name": "again", "length": 1, "type": "length"}
    ]);
    let template = framed(list.clone(), list);
    let rules = json!({"01": {"data": {"text": "#{text}#!"}}});
    check(&template, &rules, &bytes("68 01 08 0006 4142 06 16"), &bytes("68 01 09 0007 414221 07 16"));
    check(&template, &rules, &bytes("68 01 08 0006 4142 05 16"), b"bad_length");
    check(&template, &rules, &bytes("68 01 08 0005 4142 06 16"), b"bad_length");
    check(&template, &rules, &bytes("68 01 07 0006 4142 06 16"), b"bad_length");
    let sample = setup(&template, &rules).unwrap().fleet.fsus[0].devices[0].template.commands[0].sample.to_vec();
    assert_eq!(hex(&sample), hex(&bytes("68 01 06 0004 04 16")));
}

#[test]
fn what_lengths_may_not_count() {
    let check =
        |list: Value, expected: &str| assert_eq!(errors(&framed(list, json!([])), &json!({"01": {}})), expected);
    let until = |name: &str| json!({"name": name, "type": "str", "until": "2C"});
    let length = json!({"name": "len", "length": 1, "type": "length"});
    check(
        json!([until("a"), length, until("b")]),
        "`len` is a computed length between fields of variable size (before the first of them, or behind the last)",
    );
    check(
        json!([{"name": "items", "type": "list", "count": "rest", "items": [{"name": "v", "length": 1}, length]}]),
        "a computed length inside a list or choice (the field that it counts names it: `\"length\": {\"field\": ...}`)",
    );
    check(
        json!([{"name": "len", "length": 1, "type": "length", "of": ["a"]}, until("a")]),
        "`of` names no field `a` (known: len, start, cmd, end, data_frame) (here `of` takes `data_frame` and fields of fixed size before the first of variable size)",
    );
}

#[test]
fn in_a_frame_of_one_size() {
    let list = json!([{"name": "n", "length": 1, "type": "uint"}, {"name": "text", "type": "str", "length": {"field": "n"}},
        {"name": "m", "length": 1, "type": "uint"}]);
    let mut template = framed(list.clone(), list);
    template["protocol"]["dynamic_length"] = json!(false);
    template["protocol"]["total_length"] = json!(10);
    template["protocol"]["data_frame"][0]["padding"] = json!("EE");
    let rules = json!({"01": {"data": {"text": "<#{text}#>"}}});
    check(
        &template,
        &rules,
        &bytes("68 01 02 4142 07 00000000 16")[..].iter().copied().take(9).chain([0x16]).collect::<Vec<_>>(),
        &bytes("68 01 04 3C41423E 07 EE 16"),
    );
    check(&template, &rules, &bytes("68 01 07 41424344454647 16"), b"bad_length");
    // Longer than the frame: the value does not fit.
    check(&template, &rules, &bytes("68 01 04 41424344 07 00 16"), &bytes("68 01 00 07 EEEEEEEEEE 16"));
    let two = |template: &mut Value| {
        let entry = template["protocol"]["data_frame"][0].clone();
        template["protocol"]["data_frame"].as_array_mut().unwrap().push(entry);
    };
    two(&mut template);
    assert_eq!(
        errors(&template, &rules),
        "01 has the same key as an entry before it, and a field of variable size (a key of its own: padding hides where the fields of a frame of `total_length` end)"
    );
}

#[test]
fn a_choice_by_bits() {
    let list = json!([
        {"name": "props", "length": 2, "type": "bit", "bits": {"packet": [2, 2], "len": [6, 15]}},
        {"name": "part", "type": "choice", "by": "props.packet", "cases": {
            "1": [{"name": "total", "length": 2, "type": "uint"}, {"name": "number", "length": 2, "type": "uint"}], "0": []}},
        {"name": "body", "length": "rest"}
    ]);
    let reply = json!([{"name": "number", "length": 2, "type": "uint"}, {"name": "body", "length": "rest"}]);
    let template = framed(list.clone(), reply);
    let rules = json!({"01": {"data": {"number": "#{part.number}#"}}});
    check(&template, &rules, &bytes("68 01 2001 0003 0002 AA 16"), &bytes("68 01 0002 AA 16"));
    check(&template, &rules, &bytes("68 01 0001 AABB 16"), &bytes("68 01 0000 AABB 16"));
    let template = framed(json!([]), list);
    let rules =
        json!({"01": {"data": {"props": {"packet": 1, "len": 1}, "part": {"total": 3, "number": 2}, "body": "AA"}}});
    check(&template, &rules, &bytes("68 01 16"), &bytes("68 01 2001 0003 0002 AA 16"));
}

/// Tag, length, value; the value's type by the tag.
fn tlv() -> Value {
    json!([{"name": "tag", "length": 1}, {"name": "len", "length": 1, "type": "uint"},
        {"name": "body", "type": "choice", "by": "tag", "bytes": {"field": "len"}, "cases": {
            "01": [{"name": "mileage", "length": 4, "type": "uint"}],
            "02": [{"name": "text", "type": "str", "length": "rest"}],
            "03": [{"name": "n", "length": 1, "type": "uint"}, {"name": "list", "type": "list", "count": {"field": "n"}, "items": [{"name": "v", "length": 1, "type": "uint"}]}]}}])
}

#[test]
fn a_case_that_the_request_selects() {
    let ask = json!([{"name": "tag", "length": 1}]);
    let rules = json!({"01": {"data": {"body": {"mileage": 7, "text": "#{tag}#!", "list": [{"v": 5}, {"v": 6}]}}}});
    let template = framed(ask.clone(), tlv());
    let check = |request: &str, expected: &str| check(&template, &rules, &bytes(request), &bytes(expected));
    check("68 01 01 16", "68 01 01 04 00000007 16");
    check("68 01 02 16", "68 01 02 03 303221 16");
    check("68 01 03 16", "68 01 03 03 02 05 06 16");
    // Without a case, and without `else`: no value.
    check("68 01 09 16", "68 01 09 00 16");
    // By a function.
    let rules = json!({"01": {"data": {"tag": "${choice(02)}$", "body": {"text": "x"}}}});
    self::check(&template, &rules, &bytes("68 01 01 16"), &bytes("68 01 02 01 78 16"));
    // In a list: each item of its own.
    let list = json!([{"name": "items", "type": "list", "count": "rest", "items": tlv()}]);
    let rules = json!({"01": {"data": {"items": [{"tag": "#{tag}#", "body": {"mileage": 1, "text": "a"}}, {"tag": "02", "body": {"text": "b"}}]}}});
    let template = framed(ask, list);
    self::check(&template, &rules, &bytes("68 01 01 16"), &bytes("68 01 01 04 00000001 02 01 62 16"));
    self::check(&template, &rules, &bytes("68 01 02 16"), &bytes("68 01 02 01 61 02 01 62 16"));
}

#[test]
fn a_case_by_the_header_and_what_it_may_not_be() {
    let body = json!({"name": "body", "type": "choice", "by": "cmd", "bytes": 2, "cases": {"01": [{"name": "a", "length": 1, "value": "AA"}], "02": [{"name": "b", "length": 2, "value": "BBBB"}]}});
    let mut template = framed(json!([]), json!([body]));
    template["protocol"]["data_frame"] =
        json!(["01", "02"].map(|key| json!({"data_frame_type": key, "req_data_list": [], "resp_data_list": [body]})));
    let rules = json!({"01": {"data": {"cmd": "${choice(02)}$"}}, "02": {}});
    check(&template, &rules, &bytes("68 01 16"), &bytes("68 02 BBBB 16"));
    check(&template, &rules, &bytes("68 02 16"), &bytes("68 02 BBBB 16"));
    let check = |reply: Value, data: Value, expected: &str| {
        let ask = json!([{"name": "tag", "length": 1}]);
        assert_eq!(errors(&framed(ask, reply), &json!({"01": {"data": data}})), expected);
    };
    check(tlv(), json!({"body": {"milage": 1}}), "no case of `body` has a field `milage` (did you mean `mileage`?)");
    let by_text = json!([{"name": "kind", "type": "str", "until": "2C"},
        {"name": "body", "type": "choice", "by": "kind", "cases": {"a": [], "else": []}}]);
    check(
        by_text,
        json!({"kind": "#{tag}#", "body": {}}),
        "the case of `body` is not known: what selects it is neither (a constant, or a field of fixed size before it in this reply)",
    );
}

#[test]
fn a_hostile_frame_costs_no_more_than_its_bytes() {
    let nested = json!([{"name": "n", "length": 2, "type": "uint"}, {"name": "outer", "type": "list", "count": {"field": "n"}, "max": 65000, "items": [
        {"name": "m", "length": 2, "type": "uint"}, {"name": "inner", "type": "list", "count": {"field": "m"}, "max": 65000, "items": [{"name": "v", "length": 1}]}]}]);
    let by_tag = |list: Value| {
        json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "outer.0.m", "request_bytes_max": 65535,
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}], "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "0001", "req_data_list": list, "resp_data_list": []}]}})
    };
    let frames: [Vec<u8>; 4] = [
        bytes("68 FFFF FFFF 00000000 16"),
        [bytes("68 0002 0001 00"), vec![0xFF; 60_000], bytes("16")].concat(),
        [bytes("68"), bytes("0001 0001 00").repeat(12_000), bytes("16")].concat(),
        b"*".iter().chain(&[b'a'; 60_000]).copied().collect(),
    ];
    let effort = |template: &Value, rules: &Value, frame: &[u8]| {
        let files = [("default.json".to_owned(), rules.clone())];
        let setup = Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
        Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}")).effort(frame)
    };
    for frame in &frames {
        for (template, rules) in
            [(by_tag(nested.clone()), json!({"0001": {}})), (tracker(), json!({hex(b"V1"): {}, hex(b"S20"): {}}))]
        {
            let effort = effort(&template, &rules, frame);
            assert!(effort <= 256 * frame.len() + 65_536, "{effort} for {} bytes", frame.len());
        }
    }
}

/// Lines of text: there is no header, and the key is the first word.
fn lines() -> Value {
    let verb = || json!({"name": "verb", "type": "str", "until": "20"});
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "verb",
        "pdu_left": [],
        "pdu_tailer": [{"name": "end", "length": 2, "value": "0D0A"}],
        "data_frame": [
            {"data_frame_type": hex(b"READ"),
                "req_data_list": [verb(), {"name": "number", "type": "dec", "length": "rest"}],
                "resp_data_list": [{"name": "ok", "type": "str", "length": 3, "value": "OK "},
                    {"name": "value", "type": "dec", "length": "rest"}]},
            {"data_frame_type": hex(b"WRITE"),
                "req_data_list": [verb(), {"name": "number", "type": "dec", "until": "20"},
                    {"name": "value", "type": "dec", "length": "rest"}],
                "resp_data_list": [{"name": "ok", "type": "str", "length": 2, "value": "OK"}]}
        ]
    }})
}

#[test]
fn a_frame_may_have_no_header() {
    let rules = json!({
        hex(b"READ"): {"data": {"value": "${reg(r[number], 0) * 10 + 7}$"}},
        hex(b"WRITE"): {"set": {"r[number]": "#{value}#"}}
    });
    let exchanges: [(&[u8], &[u8]); 5] = [
        (b"READ 5\r\n", b"OK 7\r\n"),
        (b"WRITE 5 12\r\n", b"OK\r\n"),
        (b"STOP 5\r\n", b"unknown_command"),
        (b"\r\n", b"bad_length"),
        (b"READ 5", b"bad_end"),
    ];
    for (request, expected) in exchanges {
        check(&lines(), &rules, request, expected);
    }
    let mut absent = lines();
    absent["protocol"].as_object_mut().unwrap().remove("pdu_left");
    assert!(errors(&absent, &rules).starts_with("`pdu_left` is missing (the header fields; `[]` if there are none)"));
}

/// A key of a rule file is in digits of either case, also where the whole key is behind a field of variable size.
#[test]
fn a_key_behind_a_text_is_written_in_either_case() {
    for (key, rule) in [("4a4f4b", "4A4F4B"), ("4A4F4B", "4a4f4b"), ("4a4F4b", "4A4f4B")] {
        let mut template = lines();
        template["protocol"]["data_frame"][1]["data_frame_type"] = json!(key);
        check(&template, &json!({rule: {}, hex(b"READ"): {}}), b"JOK 5 12\r\n", b"OK\r\n");
    }
}

/// Fields that are there if a bit of a map says so (templates.md, Lists and choices).
#[test]
fn a_bitmap_announces_fields() {
    let optional = |name: &str, by: &str, field: Value| json!({"name": name, "type": "choice", "by": by, "cases": {"1": [field], "else": []}});
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "cmd", "length": 1}],
        "data_frame": [{"data_frame_type": "01",
            "req_data_list": [
                {"name": "map", "length": 1, "type": "bit", "bits": {"has_stan": [0, 0], "has_amount": [1, 1]}},
                optional("f0", "map.has_stan", json!({"name": "stan", "type": "dec", "length": 6})),
                optional("f1", "map.has_amount", json!({"name": "amount", "type": "dec", "length": 4}))
            ],
            "resp_data_list": [{"name": "next", "type": "dec", "length": 4, "value": 9}]}]
    }});
    let rules = json!({"01": {"data": {"next": "${f1.amount + 1}$"}}});
    let exchanges: [(&[u8], &[u8]); 4] = [
        (b"\x01\x400125", b"\x010126"),
        (b"\x01\xC00000070125", b"\x010126"),
        (b"\x01\x80000007", b"\x010009"),
        (b"\x01\x40012", b"bad_length"),
    ];
    for (request, expected) in exchanges {
        check(&template, &rules, request, expected);
    }
}
