//! Offsets of checksums, what they cover, and which fields hold computed numbers.

use super::{check, check_all, files};
use serde_json::{Value, json};

/// As `check`, after `change` to the template's protocol and, beside it, its top.
fn template(change: impl Fn(&mut Value, &mut Value), expected: &[&str]) {
    let mut files = files();
    let mut top = json!({});
    change(&mut files["t.json"]["protocol"], &mut top);
    for (key, value) in top.as_object().unwrap() {
        files["t.json"][key] = value.clone();
    }
    check_all(&files, expected, &files["t.json"].to_string());
}

#[test]
fn n04_a_checksum_beside_protocol_is_as_one_in_it() {
    for (key, how) in [("checksum", json!({"algorithm": "xor"})), ("checksum_config", json!({"algorithm": "xor"}))] {
        let at_top = |protocol: &mut Value, top: &mut Value| {
            protocol.as_object_mut().unwrap().remove("checksum");
            top[key] = how.clone();
        };
        template(at_top, &[]);
        let twice = format!(
            "/{key}: error: a second checksum: `protocol` has one too, at t.json:1:{{}}: /protocol/checksum (one of them)"
        );
        let mut files = files();
        files["t.json"][key] = how.clone();
        let column = files["t.json"].to_string().rfind("{\"algorithm\":\"sum\"}").unwrap() + 1;
        check_all(&files, &[&twice.replace("{}", &column.to_string())], key);
    }
    let unknown = "/checksum_config/algorithm: error: unknown algorithm `summ` (did you mean `sum`?)";
    let wrong = |protocol: &mut Value, top: &mut Value| {
        protocol.as_object_mut().unwrap().remove("checksum");
        top["checksum_config"] = json!({"algorithm": "summ"});
    };
    template(wrong, &[unknown]);
}

#[test]
fn n04_a_tail_that_looks_like_a_checksum_and_is_none_is_told() {
    let named = |name: &'static str| {
        move |protocol: &mut Value, _: &mut Value| {
            protocol.as_object_mut().unwrap().remove("checksum");
            protocol["pdu_tailer"][0]["name"] = json!(name);
        }
    };
    for name in ["check", "checksum"] {
        let what = format!("nothing says how `{name}` is computed, so every reply repeats the request's value");
        template(
            named(name),
            &[&format!("/protocol/pdu_tailer/0: warning: {what} (`checksum` in `protocol`, or in vendor.json)")],
        );
    }
    for name in ["CRC", "cs", "Lrc", "BCC", "fcs", "CheckSum"] {
        let what = format!("nothing says how `{name}` is computed, so every reply repeats the request's value");
        let right = format!("`checksum` in `protocol` with \"field\": \"{name}\", or in vendor.json");
        template(named(name), &[&format!("/protocol/pdu_tailer/0: warning: {what} ({right})")]);
    }
    template(named("sum"), &[]);
    let mut files = files();
    named("cs")(&mut files["t.json"]["protocol"], &mut Value::Null);
    files["vendor.json"] = json!([{"vendor": "x", "checksum": {"field": "cs", "algorithm": "sum"}}]);
    check_all(&files, &[], "configured by the vendor");
}

#[test]
fn n04_only_checksum_config_may_cover_itself() {
    let config = |start: i64, end: i64| {
        move |protocol: &mut Value, _: &mut Value| {
            protocol.as_object_mut().unwrap().remove("checksum");
            protocol["checksum_config"] = json!({"algorithm": "sum", "start": start, "end": end});
        }
    };
    template(config(1, -1), &[]);
    template(config(0, -1), &[]);
    template(config(-2, -1), &[]);
    template(
        |protocol, _| protocol["checksum"] = json!({"algorithm": "sum", "to": "checksum"}),
        &[
            "/protocol/checksum: error: the checksum's span holds the checksum itself (`self`: \"zero\" counts its bytes as 00, \"skip\" leaves them out)",
        ],
    );
    template(
        |protocol, _| protocol["checksum"] = json!({"algorithm": "sum", "to": "end"}),
        &[
            "/protocol/checksum: error: the checksum's span holds the checksum itself (`self`: \"zero\" counts its bytes as 00, \"skip\" leaves them out)",
        ],
    );
}

#[test]
fn n04_a_span_by_bytes_lies_in_every_frame() {
    let config = |start: i64, end: i64, expected: &[&str]| {
        let change = move |protocol: &mut Value, _: &mut Value| {
            protocol.as_object_mut().unwrap().remove("checksum");
            protocol["checksum_config"] = json!({"algorithm": "sum", "start": start, "end": end});
        };
        template(change, expected);
    };
    // 3 bytes of header and 2 of tail are in each.
    config(1, 5, &[]);
    config(4, 5, &[]);
    config(-5, -4, &[]);
    config(1, 6, &["/protocol/checksum_config/end: error: end 6 lies outside the frame (-5 to 5)"]);
    config(-6, 5, &["/protocol/checksum_config/start: error: start -6 lies outside the frame (-5 to 5)"]);
    // The shortest frame has these bytes in that order, longer ones have not.
    config(-5, 3, &["/protocol/checksum_config: error: the checksum's span ends before it begins"]);
    config(5, -1, &["/protocol/checksum_config: error: the checksum's span ends before it begins"]);
}

#[test]
fn n04_a_checksum_that_cannot_be_read_is_one_error() {
    let wrong = "error: expected an object, found \"sum\"";
    template(|protocol, _| protocol["checksum"] = json!("sum"), &[&format!("/protocol/checksum: {wrong}")]);
    template(
        |protocol, _| {
            protocol.as_object_mut().unwrap().remove("checksum");
            protocol["checksum_config"] = json!("sum");
        },
        &[&format!("/protocol/checksum_config: {wrong}")],
    );
    template(
        |protocol, top| {
            protocol.as_object_mut().unwrap().remove("checksum");
            top["checksum"] = json!("sum");
        },
        &[&format!("/checksum: {wrong}")],
    );
}

#[test]
fn n05_a_checksum_needs_a_field_that_holds_it() {
    let field = |kind: &'static str, length: u32, how: Value| {
        move |protocol: &mut Value, _: &mut Value| {
            protocol["pdu_tailer"][0] = json!({"name": "checksum", "type": kind, "length": length});
            protocol["checksum"] = how.clone();
        }
    };
    let crc = || json!({"algorithm": "crc16"});
    let at = "/protocol/pdu_tailer/0: error:";
    template(
        field("bcd", 2, crc()),
        &[&format!(
            "{at} `checksum` may be 65535, and 2 bytes of bcd hold 4 digits (3 bytes would hold it): crc:CRC-16/MODBUS"
        )],
    );
    template(field("bcd", 3, crc()), &[]);
    let one = |what: &str, name: &str| {
        format!("{at} `checksum` may be {what}, and 1 byte of bcd holds 2 digits (2 bytes would hold it): {name}")
    };
    template(field("bcd", 1, json!({"algorithm": "xor"})), &[&one("255", "xor")]);
    template(field("bcd", 2, json!({"algorithm": "sum_xor", "complement": "ones"})), &[]);
    // Address, command and 64 bytes of the reply's data.
    let sum = format!("{at} `checksum` may be 16830, and 2 bytes of bcd hold 4 digits (3 bytes would hold it)");
    template(field("bcd", 2, json!({"algorithm": "sum"})), &[&format!("{sum}: the sum of the longest frame")]);
    template(field("bcd", 3, json!({"algorithm": "sum"})), &[]);
    template(
        field("bcd", 3, json!({"algorithm": "sum", "complement": "twos"})),
        &[&format!(
            "{at} `checksum` is the complement of a sum, which in decimal digits has no end (no complement, or another type)"
        )],
    );
    for (kind, length, what) in [("str", 2, "text"), ("ascii", 2, "text"), ("bit", 2, "bits"), ("f32", 4, "a float")] {
        let text = format!("`checksum` cannot be the checksum: its field is {what}");
        let right = "and a computed number needs hex, uint, bcd, dec or hexdigits";
        template(field(kind, length, crc()), &[&format!("/protocol/checksum: error: {text}, {right}")]);
    }
}

#[test]
fn n02_the_number_itself_is_not_computed_in_another_way() {
    let at = "/t.json/protocol/pdu_left/1";
    let length = |kind: &str, key: &str, value: Value| json!({"name": "address", "type": kind, "length": 2, "value": "{{data_frame_length}}", key: value});
    for (key, value) in [("unit", json!("chars")), ("of", json!(["data_frame"])), ("check", json!("lchksum"))] {
        let told = |what: &str| format!("/protocol/pdu_left/1/{key}: error: `{key}` {what}");
        let beside = told("means nothing beside `{{data_frame_length}}` (one of them)");
        check(at, length("length", key, value.clone()), &[&beside]);
        check(at, length("uint", key, value), &[&told("needs `\"type\": \"length\"`")]);
    }
    check(at, length("length", "add", json!(1)), &[]);
}

#[test]
fn n05_a_length_needs_a_field_that_holds_it() {
    let at = "/t.json/protocol/pdu_left/1";
    let length = |kind: &str, bytes: u32| json!({"name": "address", "type": kind, "length": bytes, "value": "{{data_frame_length}}"});
    // 64 bytes of data, and the command behind the length.
    check(at, length("bcd", 1), &[]);
    for (kind, bytes, what) in [("str", 4, "text"), ("bit", 1, "bits"), ("f32", 4, "a float"), ("f64", 8, "a float")] {
        let text = format!(
            "`address` cannot be a length: its field is {what}, and a computed number needs hex, uint, bcd, dec or hexdigits"
        );
        check(at, length(kind, bytes), &[&format!("/protocol/pdu_left/1: error: {text}")]);
    }
    let mut files = files();
    files["t.json"]["protocol"]["pdu_left"][1] = length("bcd", 1);
    files["t.json"]["protocol"]["data_frame"][0]["resp_data_list"][1]["length"] = json!(95);
    let text = "the length `address` may be 100, and 1 byte of bcd holds 2 digits (2 bytes would hold it)";
    check_all(&files, &[&format!("/protocol: error: {text}")], "99 bytes and the command");
}
