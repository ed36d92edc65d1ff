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
    check_all(&files, expected, pointer);
}

/// As [`check`], with these files in place of those of [`files`].
fn check_all(with: &Value, expected: &[&str], about: &str) {
    let mut files = files();
    for (name, content) in with.as_object().unwrap() {
        files[name] = content.clone();
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
    assert_eq!(told, expected, "{about}");
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
    let device = "/dev/zero";
    check(
        "/fsu_devices.json/device_list/0/protocol_template",
        json!(device),
        &[
            "/device_list/0/protocol_template: error: /dev/zero cannot be read: it is no regular file, but a pipe, a socket or a device",
        ],
    );
}

#[test]
fn vendors_that_no_template_names_are_looked_at_too() {
    let told = |at: &str, text: &str| format!("/0{at}: error: {text}");
    let one = |entry: Value, expected: &[String]| {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("/vendor.json", json!([entry]), &expected);
    };
    one(json!({"vendor": "y", "checksum": {"algorithm": "sum"}, "encoding": "ascii_hex"}), &[]);
    one(json!({"protocol": "UDP"}), &[told("", "\"vendor\" is missing (the name, as templates write it)")]);
    one(json!({"vendor": "y", "encoding": "hex"}), &[told("/encoding", "unknown `hex` (known: binary, ascii_hex)")]);
    one(
        json!({"vendor": "y", "checksum": {"algorithm": "sume", "complement": "tows", "over": "wires"}}),
        &[
            told("/checksum/algorithm", "unknown algorithm `sume` (did you mean `sum`?)"),
            told("/checksum/complement", "unknown `tows` (did you mean `twos`?)"),
            told("/checksum/over", "unknown `wires` (did you mean `wire`?)"),
        ],
    );
    one(
        json!({"vendor": "x", "checksum": {"algorithm": "crc:CRC-16/MODBUZ"}}),
        &[told(
            "/checksum/algorithm",
            "no CRC of the catalogue is named `CRC-16/MODBUZ` (did you mean `CRC_16_MODBUS`?)",
        )],
    );
    check("/vendor.json", json!([{"vendor": "y"}, {"vendor": "y"}]), &["/1/vendor: error: a second entry for `y`"]);
}

/// A template with neither start nor end, for tcp, with these commands.
fn unmarked(commands: Value, expected: &[&str]) {
    let field = |name: &str| json!({"name": name, "type": "hex", "length": 1});
    let files = json!({
        "sys_config.json": {"fsu_list": [
            {"fsuname": "a", "port": 0, "protocol_type": "tcp", "config_dir": "."}
        ]},
        "t.json": {"rule_file_list": ["default.json"], "protocol": {
            "data_frame_type_flag": "function",
            "checksum": {"field": "crc", "algorithm": "crc16"},
            "pdu_left": [field("unit"), field("function")],
            "pdu_tailer": [{"name": "crc", "type": "int", "length": 2}],
            "data_frame": commands
        }},
        "default.json": {}
    });
    check_all(&files, expected, "unmarked");
}

#[test]
fn a_stream_without_marks_is_cut_by_the_command() {
    let word = |name: &str| json!({"name": name, "type": "int", "length": 2});
    let read = json!({"data_frame_type": "03", "req_data_list": [word("from"), word("count")]});
    let reset = json!({"data_frame_type": "08", "req_data_list": []});
    unmarked(json!([read, reset]), &[]);
    let cannot = "/fsu_list/0: error: t.json has neither a fixed size, nor a length field, nor an end: a tcp stream cannot be cut \
                  (`total_length`; a length field; a last tail field with a `value`; or, without ascii_hex, a command that \
                  header fields name and requests of one size, all with `req_data_list`, for each command)";
    unmarked(json!([read, {"data_frame_type": "08"}]), &[cannot]);
    unmarked(json!([read, {"data_frame_type": "03", "req_data_list": [word("from")]}]), &[cannot]);
}
