//! Fields whose bytes are changed on their way (templates.md, Changed bytes): what they have without a value, and copies of them.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::fields::{hex, unhex};
use product::{Outcome, Product};
use serde_json::{Value, json};

/// A template of requests `01` and these fields; `more` goes into its `protocol`.
fn template(request: Value, response: Value, more: Value) -> Value {
    let mut protocol = json!({
        "pdu_left": [{"name": "data_frame_type", "length": 1}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": response}]});
    protocol.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol})
}

fn check(template: &Value, data: Value, request: &str, reply: &str) {
    let mut product = Product::strict(template, json!({"01": {"data": data}}));
    let got = product.respond(&unhex(&request.replace(' ', "")).unwrap(), Clock::parse("2026-01-12T17:30:03"));
    let got = if let Outcome::Reply(bytes, _) = &got { hex(bytes) } else { format!("{got:?}") };
    assert_eq!(got, reply.replace(' ', ""), "{request} to {template}");
}

fn changed(mut field: Value, how: Value) -> Value {
    field["transform"] = how;
    field
}

/// Without a value the plain bytes are the padding, and travel changed.
#[test]
fn a_field_without_a_value_travels_changed() {
    let add = json!({"add": "33"});
    let plain = |field: Value| template(json!([]), json!([changed(field, add.clone())]), json!({}));
    check(&plain(json!({"name": "r", "length": 2})), json!({}), "01", "01 3333");
    check(&plain(json!({"name": "r", "length": 2, "type": "dec"})), json!({}), "01", "01 6363");
    check(&plain(json!({"name": "r", "length": 2, "type": "uint", "scale": 0.1})), json!({}), "01", "01 3333");
    check(&plain(json!({"name": "r", "length": 2, "type": "hexdigits", "scale": 2})), json!({}), "01", "01 6363");
    // The same behind a field of variable size.
    let walked =
        json!([{"name": "rest", "length": {"field": "n"}}, changed(json!({"name": "r", "length": 2}), add.clone())]);
    let mut list = walked.as_array().unwrap().clone();
    list.insert(0, json!({"name": "n", "type": "uint", "length": 1}));
    check(&template(json!([]), json!(list), json!({})), json!({"rest": "AABB"}), "01", "01 02 AABB 3333");
    // And in the tail of an error's reply, and with a padding.
    let padded = json!({"data_frame": [{"data_frame_type": "01", "padding": "20", "align": "left", "req_data_list": [],
        "resp_data_list": [changed(json!({"name": "r", "length": 2}), add)]}]});
    check(&template(json!([]), json!([]), padded), json!({}), "01", "01 5353");
}

/// An empty text of the request leaves the reply's field without a value.
#[test]
fn an_empty_text_that_is_copied_travels_changed() {
    let field = |name: &str| changed(json!({"name": name, "type": "str", "length": 3}), json!({"add": "33"}));
    let fixed = template(json!([field("a")]), json!([field("b")]), json!({}));
    check(&fixed, json!({"b": "#{a}#"}), "01 74 33 33", "01 74 33 33");
    check(&fixed, json!({"b": "#{a}#"}), "01 33 33 33", "01 33 33 33");
    let u = json!({"name": "u", "until": "7C"});
    let walked = template(json!([u, field("a")]), json!([u, field("b")]), json!({}));
    check(&walked, json!({"b": "#{a}#"}), "01 05 7C 74 33 33", "01 05 7C 74 33 33");
    check(&walked, json!({"b": "#{a}#"}), "01 05 7C 33 33 33", "01 05 7C 33 33 33");
    check(&walked, json!({"b": ""}), "01 05 7C 74 33 33", "01 05 7C 33 33 33");
}

/// An element that the request lacks leaves the reply's field without a value: zeros of its type, changed.
#[test]
fn an_element_that_is_not_there_leaves_zeros() {
    let add = json!({"add": "33"});
    let text = |name: &str| changed(json!({"name": name, "type": "str", "length": 3}), add.clone());
    let behind = template(json!([{"name": "r", "length": "rest"}, text("a")]), json!([text("b")]), json!({}));
    check(&behind, json!({"b": "#{a}#"}), "01 05 74 33 33", "01 74 33 33");
    check(&behind, json!({"b": "#{a}#"}), "01 05 33 33 33", "01 33 33 33");
    let list =
        json!([{"name": "l", "type": "list", "count": "rest", "items": [{"name": "k", "type": "dec", "length": 2}]}]);
    let digits = |field: Value| template(list.clone(), json!([field]), json!({}));
    let plain = digits(json!({"name": "d", "type": "dec", "length": 2}));
    check(&plain, json!({"d": "#{l.0.k}#"}), "01 3132", "01 3132");
    check(&plain, json!({"d": "#{l.0.k}#"}), "01", "01 3030");
    let travelling = digits(changed(json!({"name": "d", "type": "dec", "length": 2}), add.clone()));
    check(&travelling, json!({"d": "#{l.0.k}#"}), "01 3132", "01 6465");
    check(&travelling, json!({"d": "#{l.0.k}#"}), "01", "01 6363");
}

/// The same character set, size and change: byte for byte.
#[test]
fn a_text_of_the_same_character_set_fits() {
    let field = |name: &str| {
        changed(json!({"name": name, "type": "str", "length": 4, "charset": "gbk"}), json!({"add": "01", "xor": "F0"}))
    };
    let fixed = template(json!([field("a")]), json!([field("b"), {"name": "n", "until": "7C"}]), json!({}));
    check(&fixed, json!({"b": "#{a}#"}), "01 4F 5A F1 F1", "01 4F 5A F1 F1 7C");
    let fixed = template(json!([field("a")]), json!([field("b")]), json!({}));
    check(&fixed, json!({"b": "#{a}#"}), "01 4F 5A F1 F1", "01 4F 5A F1 F1");
}

/// A checksum of the header does not count the data frame, and one over `wire` may.
#[test]
fn checksums_that_do_not_count_a_changed_field() {
    let field = changed(json!({"name": "r", "length": 1}), json!({"add": "33"}));
    let more = json!({
        "checksum": [{"field": "hcs", "algorithm": "sum", "to": "a"}, {"field": "crc", "algorithm": "sum", "over": "wire"}],
        "pdu_left": [{"name": "data_frame_type", "length": 1}, {"name": "a", "length": 1}, {"name": "hcs", "length": 1}],
        "pdu_tailer": [{"name": "crc", "length": 1}]});
    check(&template(json!([field]), json!([field]), more), json!({"r": "02"}), "01 05 06 34 40", "01 05 06 35 41");
}
