//! What data sheets have in combination (templates.md, rules.md): copies between fields of different sizes, computed bits, lists and choices in `each`.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

fn setup(template: &Value, rules: &Value) -> Result<Product, String> {
    let files = [("default.json".to_owned(), rules.clone())];
    Product::over(
        "broadcast",
        &Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) },
    )
}

/// What a request in hex digits is answered with: hex digits, or why not.
fn check(template: &Value, rules: &Value, request: &str, expected: &str) {
    let mut product = setup(template, rules).unwrap_or_else(|told| panic!("{told}"));
    let got = match product.respond(&unhex(&request.replace(' ', "")).unwrap(), Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(got, _) => hex(&got),
        Outcome::Dropped(why) => why.to_string(),
        Outcome::Silent => "silent".to_owned(),
    };
    assert_eq!(got, expected.replace(' ', ""), "{request}");
}

fn errors(template: &Value, rules: &Value) -> String {
    let told = setup(template, rules).err().unwrap_or_default();
    told.lines().filter_map(|line| line.split_once(": error: ")).map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// A template of frames `3A command ... 0D0A`.
fn frames(data_frame: &Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "3A"}, {"name": "cmd", "length": 1}],
        "pdu_tailer": [{"name": "end", "length": 2, "value": "0D0A"}], "data_frame": data_frame
    }})
}

/// Such a template of one command, with these fields of the request and of the reply.
fn one(request: &Value, reply: &Value) -> Value {
    frames(&json!([{"data_frame_type": "01", "req_data_list": request, "resp_data_list": reply}]))
}

fn text(name: &str, kind: &str, length: Value) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

/// A field that the rule does not give is the request's of that name, of whatever size and type.
#[test]
fn a_field_of_another_size_is_repeated() {
    let counted = |kind: &str| json!([text("n", "uint", json!(1)), text("x", kind, json!({"field": "n"}))]);
    let rest = |kind: &str| json!([text("x", kind, json!("rest"))]);
    let until = |kind: &str| json!([{"name": "x", "type": kind, "until": "2C"}]);
    let asked = |kind: &str| json!([text("m", "uint", json!(1)), text("x", kind, json!({"field": "m"}))]);
    let check = |request: &Value, reply: &Value, from: &str, to: &str| {
        check(&one(request, reply), &json!({"01": {}}), &format!("3A 01 {from} 0D0A"), &format!("3A 01 {to} 0D0A"));
    };
    check(&rest("hex"), &counted("hex"), "ABCD", "02 ABCD");
    check(&asked("hex"), &counted("hex"), "02 ABCD", "02 ABCD");
    check(&asked("hex"), &rest("hex"), "02 ABCD", "ABCD");
    check(&rest("str"), &until("str"), "4142", "4142 2C");
    check(&until("str"), &counted("str"), "4142 2C", "02 4142");
    check(&json!([text("x", "str", json!(3))]), &until("str"), "414243", "414243 2C");
    // What ends the reply's field cannot be in it.
    check(&rest("str"), &until("str"), "41 2C", "2C");
    // What `n` cannot say is a misfit.
    check(&rest("hex"), &counted("hex"), &"AA".repeat(300), "00");
    check(&rest("hex"), &counted("hex"), &"AA".repeat(255), &format!("FF {}", "AA".repeat(255)));
}

/// Named bits may be computed, each by itself; bits without a value are the template's.
#[test]
fn named_bits_are_computed() {
    let bits = |little: bool| {
        json!({"name": "b", "length": 2, "type": "bit", "endian": if little { "little" } else { "big" },
            "bits": {"p": [0, 3], "q": [4, 7], "r": [8, 15]}})
    };
    let request = json!([text("u", "uint", json!(1))]);
    let behind = text("rest", "hex", json!("rest"));
    for (tail, ending) in [(None, ""), (Some(behind), "FF")] {
        let reply = |little: bool| json!([bits(little)].into_iter().chain(tail.clone()).collect::<Vec<_>>());
        let data = json!({"b": {"p": "${u & 3}$", "q": 5, "r": "#{u}#"}, "rest": "FF"});
        let mut data = data.as_object().unwrap().clone();
        if tail.is_none() {
            data.remove("rest");
        }
        let rules = json!({"01": {"data": data}});
        check(&one(&request, &reply(false)), &rules, "3A 01 0E 0D0A", &format!("3A 01 25 0E {ending} 0D0A"));
        check(&one(&request, &reply(true)), &rules, "3A 01 0E 0D0A", &format!("3A 01 0E 25 {ending} 0D0A"));
    }
    // The field itself behind one of variable size.
    let reply = json!([{"name": "t", "type": "str", "until": "2C"}, bits(false)]);
    let rules = json!({"01": {"data": {"t": "A", "b": {"r": "${u * 2}$", "p": "0x0F"}}}});
    check(&one(&request, &reply), &rules, "3A 01 07 0D0A", "3A 01 41 2C F0 0E 0D0A");
    // The low bits of what is too large.
    let rules = json!({"01": {"data": {"b": {"p": "${u + 16}$"}}}});
    check(&one(&request, &json!([bits(false)])), &rules, "3A 01 02 0D0A", "3A 01 20 00 0D0A");
    // Of the template's own value what has no name in the rule.
    let own =
        json!([{"name": "b", "length": 1, "type": "bit", "bits": {"p": [0, 3], "q": [4, 7]}, "value": "00001001"}]);
    check(&one(&request, &own), &rules, "3A 01 02 0D0A", "3A 01 29 0D0A");
    let reply = json!([bits(false)]);
    let told = |data: Value| errors(&one(&request, &reply), &json!({"01": {"data": {"b": data}}}));
    assert_eq!(told(json!({"p": "${u +}$"})), "column 6: the expression ends here (a value is missing)");
    assert_eq!(told(json!({"p": "1${u}$"})), "`1${u}$` for bits: one `${...}$` or one `#{field}#`");
    assert_eq!(told(json!({"p": "${u}$", "q": 16})), "bits `q` hold a whole number from 0 to 15");
    assert_eq!(told(json!({"s": "${u}$"})), "no bits are named `s` (did you mean `p`?)");
    let long = json!([{"name": "b", "length": 8, "type": "bit", "bits": {"p": [0, 3]}}]);
    let told = errors(&one(&request, &long), &json!({"01": {"data": {"b": {"p": "${u}$"}}}}));
    assert_eq!(told, "computed bits of a field of 8 bytes (at most 7)");
}

/// Items that have a choice and a list.
fn items(more: Option<Value>) -> Value {
    let own = json!([text("id", "uint", json!(1)), text("tag", "hex", json!(1)),
        {"name": "b", "type": "choice", "by": "tag", "cases": {
            "01": [text("u", "uint", json!(1))], "02": [text("v", "uint", json!(2))]}},
        text("k", "uint", json!(1)),
        {"name": "sub", "type": "list", "count": {"field": "k"}, "items": [text("s", "hex", json!(1))]}]);
    let items: Vec<Value> = own.as_array().unwrap().iter().cloned().chain(more).collect();
    json!([text("n", "uint", json!(1)), {"name": "l", "type": "list", "count": {"field": "n"}, "items": items}])
}

/// `each` repeats choices and lists of the items, unless the rule gives them.
#[test]
fn choices_and_lists_of_items() {
    let template = one(&items(None), &items(Some(text("ok", "hex", json!(1)))));
    let request = "3A 01 02 01 01 55 02 AA BB 02 02 1122 00 0D0A";
    let check = |data: Value, expected: &str| {
        let rules = json!({"01": {"data": {"l": {"each": "#{l}#", "data": data}}}});
        check(&template, &rules, request, &format!("3A 01 02 {expected} 0D0A"));
    };
    check(json!({"ok": "07"}), "01 01 55 02 AA BB 07 02 02 1122 00 07");
    check(json!({"b": "#{item.b}#", "sub": "#{item.sub}#"}), "01 01 55 02 AA BB 00 02 02 1122 00 00");
    check(json!({"b": {"u": 9, "v": 10}}), "01 01 09 02 AA BB 00 02 02 000A 00 00");
    check(json!({"sub": [{"s": "11"}]}), "01 01 55 01 11 00 02 02 1122 01 11 00");
    // Another tag: the request's choice is no longer the reply's.
    check(json!({"tag": "01", "b": {"u": 3}}), "01 01 03 02 AA BB 00 02 01 03 00 00");
    check(json!({"tag": "01"}), "01 01 00 02 AA BB 00 02 01 00 00 00");
    let told = |data: Value| errors(&template, &json!({"01": {"data": {"l": {"each": "#{l}#", "data": data}}}}));
    assert_eq!(told(json!({"b": "#{item.sub}#"})), "`#{item.sub}#` is no choice of the request like `b`");
    // What no item can refer to has to be given.
    let long: Vec<Value> = (0..40).map(|number| text(&format!("f{number}"), "hex", json!(1))).collect();
    let long =
        json!([text("n", "uint", json!(1)), {"name": "l", "type": "list", "count": {"field": "n"}, "items": long}]);
    let rules = json!({"01": {"data": {"l": {"each": "#{l}#", "data": {"f32": "01", "f33": "02", "f34": "03", "f35": "04",
        "f36": "05", "f37": "06", "f38": "07"}}}}});
    let told = errors(&one(&long, &long), &rules);
    assert_eq!(told, "`f39` of an item is behind the first 32 fields: give it in `data`");
}

/// What says a size or a count is computed.
#[test]
fn sizes_are_no_functions() {
    let n = json!({"name": "n", "type": "uint", "length": 1, "value": "${rand(1, 3)}$"});
    let told = "`n` says a size or a count, which is computed: no function (a rule may give it)";
    let x = text("x", "hex", json!({"field": "n"}));
    let list = json!({"name": "l", "type": "list", "count": {"field": "n"}, "items": [text("a", "hex", json!(1))]});
    let before = text("t", "str", json!({"field": "n"}));
    for fields in [
        json!([n, x]),
        json!([n, list]),
        json!([{"name": "s", "type": "str", "until": "00"}, n, x]),
        json!([n, before, x]),
    ] {
        assert_eq!(errors(&one(&json!([]), &fields), &json!({"01": {}})), told, "{fields}");
        assert_eq!(errors(&one(&fields, &json!([])), &json!({"01": {}})), told, "{fields}");
    }
    let n = text("n", "uint", json!(1));
    let template = one(&json!([]), &json!([n, text("x", "hex", json!({"field": "n"}))]));
    check(&template, &json!({"01": {"data": {"x": "AABB", "n": "${1 + 6}$"}}}), "3A 01 0D0A", "3A 01 07 AABB 0D0A");
}

/// A key of a text field that is written as its characters: the error has their digits.
#[test]
fn characters_are_no_key() {
    let key = |key: &str, cmd: Value| {
        let mut template = frames(&json!([{"data_frame_type": key, "req_data_list": []}]));
        template["protocol"]["pdu_left"][1] = cmd;
        errors(&template, &json!({}))
    };
    let fixed = |kind: &str| json!({"name": "cmd", "type": kind, "length": 3});
    let until = json!({"name": "cmd", "type": "str", "until": "2C"});
    assert_eq!(key("RDV", fixed("str")), "`RDV` is no key here (6 hex digits; the characters `RDV` are 524456)");
    assert_eq!(key("rdv", fixed("str")), "`RDV` is no key here (6 hex digits; the characters `rdv` are 726476)");
    assert_eq!(key("RD", until), "`RD` is no key here (2 hex digits; the characters `RD` are 5244)");
    assert_eq!(key("1G", fixed("hex")), "`1G` is no key here (6 hex digits)");
}
