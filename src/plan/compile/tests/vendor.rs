//! vendor.json of this shape and of another.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check, check_all};
use serde_json::{Value, json};

const FILE: &str = "the file is left aside (a list of entries such as {\"vendor\": \"x\", \"encoding\": \"binary\"})";

#[test]
fn n06_a_vendor_json_of_another_shape_is_a_warning() {
    let no_vendor = format!("/: warning: no entry has a `vendor`; {FILE}");
    check("/vendor.json", json!(["v", "w"]), &[&no_vendor]);
    check("/vendor.json", json!([{"vendor_name": "v", "vendor_code": "01"}, {"name": 3}]), &[&no_vendor]);
    check("/vendor.json", json!([["vendor", "x"], 1, null]), &[&no_vendor]);
    check("/vendor.json", json!({"old": "v"}), &[&format!("/: warning: expected a list, found an object; {FILE}")]);
    check("/vendor.json", json!(3), &[&format!("/: warning: expected a list, found 3; {FILE}")]);
    check("/vendor.json", json!([]), &[]);
}

#[test]
fn n06_a_vendor_json_that_is_no_json_is_a_warning() {
    check("/vendor.json", json!("{\"vendor\": "), &[&format!("/: warning: EOF while parsing a value; {FILE}")]);
    check("/vendor.json", json!(""), &[&format!("/: warning: the file is empty; {FILE}")]);
    check(
        "/vendor.json",
        json!("[] // none"),
        &[&format!(
            "/: warning: a `//` comment, which JSON does not have (the keys `desc` and `_anything` hold comments); {FILE}"
        )],
    );
    // Not to be able to read it is another matter.
    check("/vendor.json", Value::Null, &["error: cannot be read: Is a directory (os error 21)"]);
}

/// One entry, and the one message about it.
fn one(entry: Value, expected: Option<(&str, &str)>) {
    let line = expected.map(|(at, text)| format!("/0{at}: warning: {text}; the entry is left aside"));
    check("/vendor.json", json!([entry]), &line.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn n06_an_odd_entry_of_vendor_json_is_left_aside() {
    one(json!({"vendor": "y", "checksum": {"algorithm": "sum"}, "encoding": "ascii_hex"}), None);
    one(json!({"vendor": 3}), Some(("/vendor", "expected a text, found 3 (write \"3\", with quotes)")));
    one(json!({"vendor": ""}), Some(("/vendor", "an empty name (as templates write it)")));
    one(json!({"vendor": "y", "encoding": "hex"}), Some(("/encoding", "unknown `hex` (known: binary, ascii_hex)")));
    one(json!({"vendor": "y", "checksum": "sum"}), Some(("/checksum", "expected an object, found \"sum\"")));
    // The first of several, and nothing of what would only be odd.
    let several = json!({"vendor": "y", "model": 1, "checksum": {"algorithm": "sume", "complement": "tows"}});
    one(several, Some(("/checksum/algorithm", "unknown algorithm `sume` (did you mean `sum`?)")));
    one(
        json!({"vendor": "x", "checksum": {"algorithm": "crc:CRC-16/MODBUZ"}}),
        Some((
            "/checksum/algorithm",
            "no CRC of the catalogue is named `CRC-16/MODBUZ` (did you mean `CRC-16/MODBUS`?)",
        )),
    );
    check(
        "/vendor.json",
        json!([{"vendor": "y"}, {"protocol": "UDP"}, 3]),
        &[
            "/1: warning: \"vendor\" is missing (the name, as templates write it); the entry is left aside",
            "/2: warning: expected an object, found 3; the entry is left aside",
        ],
    );
    check(
        "/vendor.json",
        json!([{"vendor": "y"}, {"vendor": "y"}]),
        &["/1/vendor: warning: a second entry for `y`; it is left aside"],
    );
    check(
        "/vendor.json",
        json!([{"vendor": "y", "model": 1}]),
        &["/0/model: warning: unknown key \"model\" (known: vendor, protocol, checksum, encoding)"],
    );
}

#[test]
fn n06_the_entries_that_are_right_are_taken() {
    // Whether a checksum fits the frame shows only where a template takes it.
    let with = |vendors: Value| json!({"vendor.json": vendors});
    let wrong = json!({"vendor": "x", "checksum": {"algorithm": "sum", "field": "nothing"}});
    let told = "/1/checksum: error: no header or tail field `nothing`";
    let template = || {
        let mut template = super::files()["t.json"].clone();
        template["protocol"].as_object_mut().unwrap().remove("checksum");
        template
    };
    let mut files = with(json!([{"vendor": "y", "encoding": "hex"}, wrong]));
    files["t.json"] = template();
    let lines = super::told_by(&files, |diags| diags.lines().collect());
    assert!(lines.len() == 2 && lines[1].starts_with(told), "{lines:?}");
    // One that is left aside is not.
    let mut files = with(json!([{"vendor": "y"}, {"vendor": "x", "encoding": "hex", "checksum": wrong["checksum"]}]));
    files["t.json"] = template();
    let aside = "/1/encoding: warning: unknown `hex` (known: binary, ascii_hex); the entry is left aside";
    let copied = "/protocol/pdu_tailer/0: warning: nothing says how `checksum` is computed, so every reply repeats the \
                  request's value (`checksum` in `protocol`, or in vendor.json)";
    check_all(&files, &[copied, aside], "aside");
}
