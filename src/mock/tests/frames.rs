//! Bytes that a template and its rules come to: a command's example request, and the reply to it.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use crate::answer::reply::{Verdict, respond};
use crate::client::request::finish;
use crate::fixtures::{start, turn};
use fsu_plan::compile::compile;
use fsu_plan::compile::fixtures::files;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use serde_json::{Value, json};

/// The request of the first command of these files, and the reply to it, on the wire.
fn exchange(files: &Value) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let fleet = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()));
    let fsu = &fleet.fsus[0];
    let template = &fsu.devices[0].template;
    let mut raw = template.commands[0].sample.to_vec();
    let mut wire = Vec::new();
    finish(template, &mut raw, &mut wire);
    let request = if wire.is_empty() { raw } else { wire };
    let (mut state, mut scratch) = start(fsu);
    let verdict = respond(&mut turn(fsu, &mut state, &mut scratch), 0, &request);
    assert!(matches!(verdict, Verdict::Reply { .. }), "{verdict:?}");
    (hex::encode_upper(request), hex::encode_upper(scratch.on_wire(template)))
}

/// [`files`] with these lists of fields in its command, and this rule: the data of request and reply.
fn check(asked: Value, replied: Value, rule: Value, expected: (&str, &str)) {
    let mut files = files();
    let command = &mut files["t.json"]["protocol"]["data_frame"][0];
    (command["req_data_list"], command["resp_data_list"]) = (asked, replied.clone());
    files["default.json"] = json!({"01": rule.clone()});
    let (request, reply) = exchange(&files);
    let data = |frame: &str| frame[6..frame.len() - 4].to_owned();
    assert_eq!((&*data(&request), &*data(&reply)), expected, "{replied} {rule}");
    assert!(request.starts_with("7E0101") && reply.starts_with("7E0101"), "{request} {reply}");
}

fn field(name: &str, kind: &str, length: u32, value: Value) -> Value {
    json!({"name": name, "type": kind, "length": length, "value": value})
}

#[test]
fn values_of_a_reply() {
    let none = || json!([]);
    let reply = |kind: &str, length: u32, value: Value, expected: &str| {
        // Its own value, or that of a rule.
        check(none(), json!([field("a", kind, length, value.clone())]), json!({}), ("", expected));
        check(none(), json!([field("a", kind, length, Value::Null)]), json!({"data": {"a": value}}), ("", expected));
    };
    reply("hex", 3, json!("0A0B"), "0A0B00");
    reply("uint", 2, json!(258), "0102");
    reply("int_le", 2, json!(258), "0201");
    reply("int", 2, json!(-2), "FFFE");
    reply("uint", 2, json!("0x10"), "0010");
    reply("bcd", 2, json!("123"), "0123");
    reply("bit", 2, json!([1, 0, 1]), "A000");
    reply("bit", 1, json!("10000001"), "81");
    reply("str", 4, json!("ab"), "61620000");
    reply("f32", 4, json!(1.5), "3FC00000");
    reply("f64", 8, json!(-2), "C000000000000000");
    reply("uint", 1, json!(""), "00");
    reply("uint", 2, json!("${rand(7,7)}$"), "0007");
    reply("hex", 2, json!("${fsuid()}$"), "3031");
    reply("str", 5, json!("<${rand(7,7)}$>"), "3C373E0000");
    // The nearest value counts.
    let own = json!([field("a", "uint", 1, json!(1))]);
    check(none(), own.clone(), json!({"data": {"a": 2}}), ("", "02"));
    check(none(), own.clone(), json!({"data": {"a": 2}, "cycle": [{"a": 3}, {}]}), ("", "03"));
    check(none(), own, json!({"data": {"a": 2}, "cycle": [{}]}), ("", "02"));
}

#[test]
fn named_bits() {
    let bits = |value: Value| json!([{"name": "a", "type": "bit", "length": 2, "bits": {"x": [0, 3], "y": [4, 11], "z": [15, 15]}, "value": value}]);
    let one = |own: Value, given: Value, expected: &str| {
        check(json!([]), bits(own), json!({"data": {"a": given}}), ("", expected));
    };
    one(Value::Null, json!({"x": 5}), "5000");
    one(Value::Null, json!({"y": 255, "z": true}), "0FF1");
    // Bits that the rule does not name keep the template's.
    one(json!({"x": 9, "y": 1}), json!({"y": 2}), "9020");
    one(json!("1111111111111111"), json!({"y": 0}), "F00F");
}

#[test]
fn fields_of_the_request_in_the_reply() {
    let asked = |kind: &str, length: u32, value: Value| {
        json!([field("pad", "hex", 1, json!("EE")), field("a", kind, length, value)])
    };
    let one = |asked_kind: &str, kind: &str, value: Value, expected: (&str, &str)| {
        check(asked(asked_kind, 2, value), json!([field("a", kind, 2, Value::Null)]), json!({}), expected);
    };
    one("hex", "hex", json!("0102"), ("EE0102", "0102"));
    one("uint", "uint", json!(258), ("EE0102", "0102"));
    one("uint", "int_le", json!(258), ("EE0102", "0201"));
    one("int_le", "uint", json!(258), ("EE0201", "0102"));
    one("uint", "bcd", json!(12), ("EE000C", "0012"));
    one("bcd", "uint", json!("12"), ("EE0012", "000C"));
    one("uint", "str", json!(12), ("EE000C", "3132"));
    one("str", "str", json!("ab"), ("EE6162", "6162"));
    // One of another size is another field.
    let longer = json!([field("a", "hex", 3, Value::Null)]);
    check(asked("hex", 2, json!("0102")), longer, json!({}), ("EE0102", "000000"));
    // By name, also in a text.
    let shown = json!([field("b", "str", 8, json!("<#{a}#>"))]);
    check(asked("uint", 2, json!(258)), shown, json!({}), ("EE0102", "3C3235383E000000"));
}

#[test]
fn lengths_inside_the_data() {
    let length = |more: Value| {
        let mut field = json!({"name": "n", "type": "length", "length": 1});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        field
    };
    let one = |more: Value, expected: &str| {
        let list = json!([length(more), field("a", "hex", 2, json!("0102"))]);
        // The request's list is the same.
        check(list.clone(), list, json!({}), (expected, expected));
    };
    one(json!({}), "030102");
    one(json!({"of": "data_frame"}), "030102");
    one(json!({"of": ["a"]}), "020102");
    one(json!({"of": ["a", "data_frame", "start"]}), "060102");
    one(json!({"of": ["a"], "add": -2}), "000102");
    one(json!({"of": ["a"], "add": 250}), "FC0102");
    one(json!({"unit": "chars"}), "030102");
}

/// The command's number, wherever a list has it; it may be 0.
#[test]
fn numbers_of_a_command_in_its_data() {
    let of = |kind: &str, length: u32, add: i64| {
        let mut field = field("n", kind, length, json!("{{data_frame_length}}"));
        field["add"] = json!(add);
        json!([field, {"name": "a", "length": 2}])
    };
    let one = |kind: &str, length: u32, add: i64, expected: &str| {
        check(json!([]), of(kind, length, add), json!({}), ("", expected));
    };
    one("uint", 1, 0, "030000");
    one("uint", 1, -2, "010000");
    one("uint", 1, -3, "000000");
    one("int_le", 2, 300, "30010000");
    one("bcd", 2, 300, "03040000");
    one("hex", 2, 0, "00040000");
}

/// In hex characters a length counts two for each byte, but for start and end.
#[test]
fn lengths_in_hex_characters() {
    let with = |of: Value, unit: &str| {
        let mut files = files();
        let protocol = &mut files["t.json"]["protocol"];
        protocol["encoding"] = json!("ascii_hex");
        let length = json!({"name": "n", "type": "length", "length": 1, "of": of, "unit": unit});
        protocol["data_frame"][0]["req_data_list"] = json!([]);
        protocol["data_frame"][0]["resp_data_list"] = json!([length, {"name": "a", "length": 2}]);
        files["default.json"] = json!({"01": {}});
        let (request, reply) = exchange(&files);
        let reply = hex::decode(reply).unwrap();
        let text = String::from_utf8_lossy(&reply).into_owned();
        assert_eq!(request, hex::encode_upper("~010102\r"));
        // Behind start, address and command.
        text[5..text.len() - 3].to_owned()
    };
    assert_eq!(with(json!("data_frame"), "chars"), "060000");
    assert_eq!(with(json!("data_frame"), "bytes"), "030000");
    assert_eq!(with(json!(["a"]), "chars"), "040000");
    assert_eq!(with(json!(["a", "address", "start", "end"]), "chars"), "080000");
}

#[test]
fn header_fields_and_padding() {
    let header = |given: Value, rule: Value, expected: &str| {
        let mut files = files();
        let command = &mut files["t.json"]["protocol"]["data_frame"][0];
        command["req_data_list"] = json!([]);
        command["resp_data_list"] = given;
        files["default.json"] = json!({"01": rule});
        assert_eq!(exchange(&files).1[..6], *expected);
    };
    header(json!([]), json!({}), "7E0101");
    header(json!([]), json!({"data": {"address": "05"}}), "7E0501");
    header(json!([]), json!({"data": {"{pdu_left}_address": "05", "command": "77"}}), "7E0577");
    header(json!([{"name": "{pdu_left}_address", "value": "06"}]), json!({}), "7E0601");
    header(json!([{"name": "{pdu_left}_address", "value": "06"}]), json!({"data": {"address": "05"}}), "7E0501");
    let padded = |align: Value, total: Value, expected: (&str, &str)| {
        let mut files = files();
        let protocol = &mut files["t.json"]["protocol"];
        if !total.is_null() {
            (protocol["total_length"], protocol["dynamic_length"]) = (total, json!(false));
        }
        let command = &mut protocol["data_frame"][0];
        (command["align"], command["padding"]) = (align, json!("20"));
        command["req_data_list"] = json!([field("a", "str", 3, json!("x"))]);
        command["resp_data_list"] = json!([field("b", "str", 3, json!("y"))]);
        files["default.json"] = json!({"01": {}});
        let (request, reply) = exchange(&files);
        let data = |frame: &str| frame[6..frame.len() - 4].to_owned();
        assert_eq!((&*data(&request), &*data(&reply)), expected);
    };
    padded(json!("left"), Value::Null, ("782020", "792020"));
    padded(json!("right"), Value::Null, ("202078", "202079"));
    // What fills a frame of a fixed size.
    padded(json!("left"), json!(10), ("7820202020", "7920202020"));
}
