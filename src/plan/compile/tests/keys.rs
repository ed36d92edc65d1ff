//! Commands that share a key, and names that some of them have.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check_all, files};
use serde_json::{Value, json};

/// [`files`] with these commands of key 01 and this rule for them.
fn with(commands: Value, rule: Value) -> Value {
    let mut files = files();
    files["t.json"]["protocol"]["data_frame"] = commands;
    files["default.json"] = json!({"01": rule});
    files
}

fn field(name: &str, length: u32) -> Value {
    json!({"name": name, "type": "uint", "length": length})
}

fn text(name: &str) -> Value {
    json!({"name": name, "type": "str", "length": 60})
}

/// Two commands of one key, told apart by their size: the first asks `a` and answers `x`, the second asks `b` and answers `y`.
fn two() -> Value {
    json!([
        {"data_frame_type": "01", "req_data_list": [field("a", 1)], "resp_data_list": [text("x")]},
        {"data_frame_type": "01", "req_data_list": [field("b", 2)], "resp_data_list": [text("y")]},
    ])
}

#[test]
fn a_name_that_another_command_of_the_key_has_is_empty_here() {
    let told = |rule: Value, expected: &[&str]| check_all(&with(two(), rule.clone()), expected, &rule.to_string());
    told(json!({"data": {"x": "#{a}#", "y": "#{b}#"}}), &[]);
    told(json!({"data": {"x": "#{a}##{b}#"}}), &[]);
    told(json!({"data": {"x": "#{address}#"}}), &[]);
    let none = "/01/data/x: error: no field `zzz` in the request of 01";
    told(json!({"data": {"x": "#{zzz}#"}}), &[none]);
    // With its area it is a field of the header, which no command has.
    let none = "/01/data/x: error: no field `{pdu_left}_b` in the request of 01 (did you mean `a`?)";
    told(json!({"data": {"x": "#{{pdu_left}_b}#"}}), &[none]);
    told(json!({"when": {"a": 1}, "data": {}}), &[]);
    told(json!({"when": {"b": 1}, "data": {}}), &[]);
    told(json!({"when": {"zzz": 1}, "data": {}}), &["/01/when/zzz: error: no field `zzz` in the request"]);
    told(json!({"data": {"zzz": 1}}), &["/01/data/zzz: error: the reply to 01 has no field `zzz`"]);
}

/// A value has to fit the field of one of the commands that have it.
#[test]
fn a_value_of_when_fits_one_of_the_commands() {
    let commands = json!([
        {"data_frame_type": "01", "req_data_list": [field("a", 1)]},
        {"data_frame_type": "01", "req_data_list": [field("a", 2)]},
    ]);
    let told = |value: u32, expected: &[&str]| {
        check_all(&with(commands.clone(), json!({"when": {"a": value}})), expected, &value.to_string());
    };
    told(255, &[]);
    told(256, &[]);
    told(65_536, &["/01/when/a: error: `65536` is out of range (0 to 65535 in 2 bytes)"]);
}

/// A plain name is the data frame's first: with its area the same name is another field.
#[test]
fn one_name_in_header_and_data() {
    let odd = |number: usize, list: &str| {
        format!(
            "/protocol/data_frame/{number}/{list}/0/name: warning: `address` is a field of the data frame; \
             `{{pdu_left}}_address` would be the header's"
        )
    };
    let one = |list: &str, rule: Value, wrong: &[&str]| {
        let mut commands = json!([{"data_frame_type": "01", "req_data_list": [], "resp_data_list": []}]);
        commands[0][list] = json!([field("address", 2)]);
        check_all(&with(commands, rule), &[wrong, &[&odd(0, list)]].concat(), list);
    };
    let both = json!({"address": 1, "{pdu_left}_address": "01"});
    let twice = |key: &str| format!("/01/{key}/{{pdu_left}}_address: error: the same field as `address`");
    one("req_data_list", json!({"when": both}), &[]);
    one("resp_data_list", json!({"data": both}), &[]);
    let plain = json!({"address": "01", "{pdu_left}_address": "01"});
    one("resp_data_list", json!({"when": plain}), &[&twice("when")]);
    one("req_data_list", json!({"data": plain}), &[&twice("data")]);
    // Of several commands it is enough that one has it.
    let commands = json!([
        {"data_frame_type": "01", "req_data_list": [field("address", 2)]},
        {"data_frame_type": "01", "req_data_list": []},
    ]);
    check_all(&with(commands, json!({"when": both})), &[&odd(0, "req_data_list")], "one of two");
}

#[test]
fn commands_that_nothing_tells_apart() {
    let constant = |name: &str, value: &str| json!({"name": name, "length": 1, "value": value, "match": true});
    let one = |list: Value| json!({"data_frame_type": "01", "req_data_list": list});
    let told = |commands: Value, wrong: &[usize]| {
        let what = "has the same key, and nothing in its request tells it apart from an entry before it";
        let line = |number: &usize| {
            format!(
                "/protocol/data_frame/{number}: error: 01 {what} (give one a field with \"match\": true, or another size)"
            )
        };
        let expected: Vec<String> = wrong.iter().map(line).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check_all(&with(commands.clone(), json!({})), &expected, &commands.to_string());
    };
    let (a1, a2) = (constant("a", "01"), constant("a", "02"));
    told(json!([one(json!([a1])), one(json!([a2]))]), &[]);
    told(json!([one(json!([a1])), one(json!([a2])), one(json!([a1]))]), &[2]);
    told(json!([one(json!([field("a", 1)])), one(json!([field("b", 2)])), one(json!([field("c", 1)]))]), &[2]);
    // The first asks for more than the second does: a request of the second is none of the first.
    told(json!([one(json!([a1, field("b", 1)])), one(json!([field("a", 1), field("b", 1)]))]), &[]);
    told(json!([one(json!([field("a", 1), field("b", 1)])), one(json!([a1, field("b", 1)]))]), &[1]);
    // Any size fits one without a list.
    told(json!([{"data_frame_type": "01"}, one(json!([field("a", 3)]))]), &[1]);
    told(json!([one(json!([field("a", 3)])), {"data_frame_type": "01"}]), &[1]);
}
