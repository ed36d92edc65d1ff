//! A small configuration with one thing wrong in it, and what is told of that.

use crate::config::load::Loader;
use crate::config::source::Source;
use serde_json::{Value, json};

/// The files, by name.
fn files() -> Value {
    let byte = |name: &str, value: &str| json!({"name": name, "length": 1, "value": value});
    let field = |name: &str, kind: &str, length: u32| json!({"name": name, "type": kind, "length": length});
    json!({
        "sys_config.json": {"fsu_list": [
            {"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": "."}
        ]},
        "fsu_devices.json": {"device_list": [
            {"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}
        ]},
        "t.json": {"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
            "data_frame_type_flag": "command",
            "checksum": {"algorithm": "sum"},
            "pdu_left": [byte("start", "7E"), byte("address", "01"), field("command", "hex", 1)],
            "pdu_tailer": [field("checksum", "hex", 1), byte("end", "0D")],
            "data_frame": [{
                "data_frame_type": "01",
                "req_data_list": [field("phase", "uint", 1), field("power", "f32", 4)],
                "resp_data_list": [field("power", "f32", 4), field("shown", "str", 60)]
            }]
        }},
        "default.json": {"01": {"data": {"power": 1.5}}}
    })
}

/// Puts `value` at `pointer` (file name first) of [`files`]; `expected` is what is told, places left out.
fn check(pointer: &str, value: Value, expected: &[&str]) {
    let mut files = files();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match files.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        other => panic!("{other}"),
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        match content {
            Value::Null => std::fs::create_dir(dir.path().join(name)).unwrap(),
            _ => std::fs::write(dir.path().join(name), content.to_string()).unwrap(),
        }
    }
    let mut loader = Loader::new(Source::Directory);
    super::compile(&mut loader, &dir.path().join("sys_config.json"));
    let prefix = format!("{}/", dir.path().display());
    let lines = loader.diags.lines().map(|line| line.replace(&prefix, ""));
    let told: Vec<String> =
        lines.map(|line| line.split_once(": ").map_or(line.clone(), |(_, text)| text.into())).collect();
    assert_eq!(told, expected, "{pointer}");
}

#[test]
fn header_values_must_fit() {
    let at = "/t.json/protocol/pdu_left/1/value";
    check(at, json!("FF"), &[]);
    check(at, json!(""), &[]);
    check(
        at,
        json!("100"),
        &["/protocol/pdu_left/1/value: error: `100` is longer than the field (1 bytes hold 2 hex digits)"],
    );
    check(
        at,
        json!("{{data_frame_len}}"),
        &["/protocol/pdu_left/1/value: error: an unknown placeholder (known: {{data_frame_length}})"],
    );
    let at = "/t.json/protocol/pdu_left/0/value";
    check(
        at,
        json!("7E7E"),
        &["/protocol/pdu_left/0/value: error: `7E7E` is longer than the field (1 bytes hold 2 hex digits)"],
    );
}

#[test]
fn numbers_must_fit_a_float() {
    let at = "/default.json/01/data/power";
    check(at, json!("${choice(1,2.5)}$"), &[]);
    check(at, json!("1.${rand(0,99)}$"), &[]);
    let told = |text: &str| format!("/01/data/power: error: {text}");
    check(
        at,
        json!("${choice(1,a)}$"),
        &[&told("`${choice(1,a)}$` has the choice `a`, which is no number of this field")],
    );
    check(at, json!("v${hour()}$"), &[&told("`v${hour()}$` is no number of this field")]);
    check("/default.json/01/data/shown", json!("#{power}#"), &[]);
}

#[test]
fn a_header_name_is_no_data_field() {
    check("/default.json/01/data/{pdu_left}_address", json!("05"), &[]);
    check(
        "/default.json/01/data/{pdu_left}_power",
        json!(1),
        &["/01/data/{pdu_left}_power: error: the reply to 01 has no field `{pdu_left}_power` (did you mean `power`?)"],
    );
}

#[test]
fn one_command_has_one_entry() {
    check("/default.json/0x01", json!({}), &["/0x01: error: the same command as `01` (its rules in one list)"]);
}

#[test]
fn files_that_are_named_must_be_there() {
    check(
        "/t.json/rule_file_list",
        json!(["default.json", "defualt.json", "0102.json"]),
        &["/rule_file_list/1: error: defualt.json is no file (<fsuid>.json, 0101.json and default.json are read)"],
    );
    check(
        "/t.json/rule_file_list",
        json!(["default.json", "t.json"]),
        &["/rule_file_list/1: warning: `t.json` never applies (<fsuid>.json, 0101.json or default.json)"],
    );
    check("/vendor.json", Value::Null, &["error: cannot be read: Is a directory (os error 21)"]);
}
