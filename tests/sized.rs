//! Values in fields of variable size: numbers of expressions, counters of several fields, copies between forms of size, requests of
//! clients; and expressions that never have a value (templates.md, expressions.md).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request::build;
use fsu_core::predict::{Open, forms_to};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

fn field(name: &str, kind: &str, size: Value) -> Value {
    let mut field = json!({"name": name, "type": kind});
    field.as_object_mut().unwrap().extend(size.as_object().unwrap().clone());
    field
}

fn fixed(name: &str, kind: &str, length: u32) -> Value {
    field(name, kind, json!({"length": length}))
}

/// `68 cmd data.. 16`; command 01 has these lists.
fn template(request: &Value, response: &Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, fixed("cmd", "hex", 1)],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": response}]
    }})
}

/// The product, or what a check says.
fn product(lists: (&Value, &Value), rule: &Value) -> Result<Product, String> {
    let files = [("default.json".to_owned(), json!({"01": rule}))];
    let template = template(lists.0, lists.1);
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    Product::over("broadcast", &setup)
}

/// The data of the reply to a request with this data; or the end of what a check says.
fn check(lists: (&Value, &Value), data: &Value, request: &str, expected: &str) {
    let got = match product(lists, &json!({"data": data})) {
        Err(told) => told.rsplit_once("error: ").map_or(told.clone(), |(_, text)| text.to_owned()),
        Ok(mut product) => {
            let wire = unhex(&format!("6801{}16", request.replace(' ', ""))).unwrap();
            match product.respond(&wire, Clock::parse("2026-01-12T17:30:03")) {
                Outcome::Reply(got, _) => hex(&got[2..got.len() - 1]),
                Outcome::Dropped(reason) => reason.to_owned(),
                Outcome::Silent => "silent".to_owned(),
            }
        }
    };
    let is_bytes = expected.bytes().all(|c| c.is_ascii_hexdigit() || c == b' ');
    let expected = if is_bytes { expected.replace(' ', "") } else { expected.to_owned() };
    assert_eq!(got, expected, "{data} in {}", lists.1);
}

/// A request of `n`, 2 bytes.
fn asked() -> Value {
    json!([fixed("n", "uint", 2)])
}

#[test]
fn a_whole_number_takes_as_few_digits_as_it_has() {
    let counted = json!({"length": {"field": "k"}, "max": 16});
    for (size, around) in
        [(json!({"length": "rest", "max": 16}), ["", ""]), (json!({"until": "2C", "max": 16}), ["", "2C"])]
    {
        let check = |kind: &str, value: &str, expected: &str| {
            let expected = format!("{}{expected}{}", around[0], around[1]);
            check((&asked(), &json!([field("x", kind, size.clone())])), &json!({"x": value}), "001A", &expected);
        };
        for value in ["${n + 0}$", "${0x1A}$", "${min(n, 400)}$"] {
            check("hex", value, "1A");
            check("hexdigits", value, "3141");
            check("bit", value, "1A");
            check("uint", value, "1A");
            check("dec", value, "3236");
            check("str", value, "3236");
        }
        check("hex", "${n * 256}$", "1A00");
        check("hexdigits", "${n * 256}$", "31413030");
        check("hexdigits", "A${n + 0}$", "413141");
        check("bit", "${n * 256}$", "1A00");
    }
    let lists = json!([fixed("k", "uint", 1), field("x", "hex", counted)]);
    check((&asked(), &lists), &json!({"x": "${n + 0}$"}), "001A", "01 1A");
}

#[test]
fn hex_digits_of_fixed_size_are_padded_only_if_the_number_is_alone() {
    let check = |length: u32, value: &str, expected: &str| {
        check((&asked(), &json!([fixed("x", "hexdigits", length)])), &json!({"x": value}), "001A", expected);
    };
    check(4, "${n + 0}$", "30303141");
    check(4, "A${n + 0}$", "30413141");
    check(4, "${n + 0}$1", "30314131");
    check(4, "A${0x1A}$", "30413141");
    check(1, "${n / 2 - 3}$", "41");
    check(3, "${0xA}$", "303041");
}

#[test]
fn the_first_of_several_fields_that_one_counts_decides() {
    let counted = |name: &str| field(name, "hex", json!({"length": {"field": "k"}, "max": 9}));
    let (k, a, b) = (fixed("k", "uint", 1), counted("a"), counted("b"));
    let list = |name: &str, bytes: u32| json!({"name": name, "type": "list", "count": {"field": "k"}, "max": 9, "items": [fixed("q", "hex", bytes)]});
    let places = [json!([k, a, b]), json!([{"name": "z", "until": "00", "value": "AA"}, k, a, b])];
    for (place, before) in places.iter().zip(["", "AA00"]) {
        let check = |data: Value, expected: &str| {
            let is_bytes = expected.bytes().all(|c| c.is_ascii_hexdigit());
            let expected = if is_bytes { format!("{before}{expected}") } else { expected.to_owned() };
            check((&asked(), place), &data, "0001", &expected);
        };
        let other = |of: &str, has: &str| {
            format!("`{of}` has {has} bytes, and what counts it also counts `a`, which has another size")
        };
        check(json!({"a": "AABB", "b": "CCDD"}), "02AABBCCDD");
        check(json!({"a": "AABB", "b": "CC"}), &other("b", "1"));
        check(json!({"a": "AABB"}), &other("b", "0"));
        // Given by the rule, it is not computed.
        check(json!({"k": 3, "a": "AABB", "b": "CC"}), "03AABBCC");
        // What is known only then: the first decides.
        check(json!({"a": "AABB", "b": "${be(n, 3)}$"}), "02AABB000001");
        check(json!({"a": "${be(n, 1)}$", "b": "${be(n, 3)}$"}), "0101000001");
    }
    let lists = json!([k, list("a", 1), list("b", 2)]);
    check((&asked(), &lists), &json!({"a": [{"q": "01"}], "b": [{"q": "0304"}]}), "0001", "01 01 0304");
    let text = "`b` has 1 items, and what counts it also counts `a`, which has another size";
    check((&asked(), &lists), &json!({"a": [{"q": "01"}, {"q": "02"}], "b": [{"q": "0304"}]}), "0001", text);
    // Some bits of a field, before the program and inside it; every item has its own.
    let bits = json!({"name": "h", "type": "bit", "length": 1, "bits": {"n": [0, 3], "m": [4, 7]}});
    let by = |name: &str| field(name, "hex", json!({"length": {"field": "h.n"}, "max": 9}));
    check((&asked(), &json!([bits, by("a"), by("b")])), &json!({"a": "${be(n, 2)}$", "b": "CC"}), "0001", "20 0001 CC");
    let item = json!([bits, by("a"), by("b")]);
    let items = json!([{"name": "l", "type": "list", "count": "rest", "max": 9, "items": item}]);
    let data = json!({"l": [{"a": "AABB", "b": "CCDD"}, {"a": "EE", "b": "${be(n, 2)}$"}]});
    check((&asked(), &items), &data, "0001", "20 AABB CCDD 10 EE 0001");
}

#[test]
fn a_field_is_repeated_whatever_says_its_size() {
    let forms = |kind: &str| {
        [
            (json!([field("x", kind, json!({"length": "rest", "max": 8}))]), ["", ""]),
            (json!([field("x", kind, json!({"until": "2C", "max": 8}))]), ["", "2C"]),
            (json!([fixed("k", "uint", 1), field("x", kind, json!({"length": {"field": "k"}, "max": 8}))]), ["02", ""]),
            (json!([fixed("x", kind, 2)]), ["", ""]),
        ]
    };
    for kind in ["str", "hex", "hexdigits"] {
        for (request, asked) in &forms(kind) {
            for (response, answered) in &forms(kind) {
                if response[0]["length"] == 2 && request[0]["length"] != 2 {
                    continue;
                }
                let of = |around: &[&str; 2]| format!("{}4142{}", around[0], around[1]);
                check((request, response), &json!({}), &of(asked), &of(answered));
            }
        }
        // What ends the field in the reply is no part of a value: it counts as one that does not fit.
        let (rest, until) = (&forms(kind)[0].0, &forms(kind)[1].0);
        if kind != "hexdigits" {
            check((rest, until), &json!({}), "412C42", "2C");
        }
    }
}

#[test]
fn a_client_selects_another_case_and_gives_counts() {
    let choice = |name: &str, by: &str| {
        json!({"name": name, "type": "choice", "by": by, "cases": {
            "01": [fixed("x", "uint", 1)], "02": [fixed("y", "uint", 4), fixed("z", "hex", 1)]}})
    };
    let tag = json!({"name": "tag", "length": 1, "value": "01"});
    let n = fixed("n", "uint", 1);
    let list = |items: Value| json!({"name": "l", "type": "list", "count": {"field": "n"}, "max": 5, "items": items});
    let check = |request: Value, given: &[(&str, &str)], expected: &str| {
        let product = product((&request, &json!([])), &json!({})).unwrap_or_else(|told| panic!("{told}"));
        let device = product.fleet.fsus[0].devices[0].clone();
        let given: Vec<(String, String)> = given.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let got = build(&device.template, &device.template.commands[0], &given);
        let got = got.map_or_else(|wrong| wrong.to_string(), |raw| hex(&raw[2..raw.len() - 1]));
        assert_eq!(got, expected, "{given:?}");
    };
    let one = || json!([tag, choice("b", "tag")]);
    for given in [[("tag", "02"), ("b.y", "5")], [("b.y", "5"), ("tag", "02")], [("b", "{\"y\": 5}"), ("tag", "02")]] {
        check(one(), &given, "020000000500");
    }
    check(one(), &[("tag", "02")], "020000000000");
    check(one(), &[("b.x", "7")], "0107");
    let many = || json!([n, list(json!([fixed("q", "uint", 1)]))]);
    check(many(), &[("n", "2"), ("l.0.q", "5"), ("l.1.q", "6")], "020506");
    check(many(), &[("l", "[{\"q\": 1}, {\"q\": 2}]"), ("n", "2")], "020102");
    check(many(), &[("l.0.q", "5")], "0105");
    // A count that is given stays.
    check(many(), &[("n", "3"), ("l.0.q", "5")], "0305");
    let sized = || json!([n, field("body", "hex", json!({"length": {"field": "n"}, "max": 9}))]);
    check(sized(), &[("n", "2"), ("body", "AABB")], "02AABB");
    check(sized(), &[("n", "5"), ("body", "AABB")], "05AABB");
    // The same in items.
    let tlv = || json!([n, list(json!([tag, choice("v", "tag")]))]);
    check(tlv(), &[("l.0.tag", "02"), ("l.0.v.y", "5")], "01020000000500");
    check(tlv(), &[("l", "[{\"tag\": \"01\", \"v\": {\"x\": 9}}]"), ("l.0.tag", "01")], "010109");
    check(one(), &[("tag", "02"), ("b.x", "5")], "b.x: no field `x` in `b` (did you mean `y`?)");
}

#[test]
fn a_computed_number_is_no_time() {
    let text =
        "`${n + 1}$` is no time of this field (the clock is `${datetime()}$`, a constant such as 2026-01-12T17:30:03)";
    for (kind, length) in [("epoch", 4), ("cp56time2a", 7)] {
        check((&asked(), &json!([fixed("t", kind, length)])), &json!({"t": "${n + 1}$"}), "0001", text);
    }
    check(
        (&asked(), &json!([fixed("t", "epoch", 4)])),
        &json!({"t": "${n > 1 ? '1970-01-01T00:00:09' : '1970-01-01T00:00:01'}$"}),
        "0001",
        "00000001",
    );
}

#[test]
fn bytes_of_a_number_may_be_more_than_it_has() {
    let check = |value: &str, length: u32, expected: &str| {
        let request = json!([fixed("n", "int", 2)]);
        check((&request, &json!([fixed("x", "hex", length)])), &json!({"x": value}), "FFFE", expected);
    };
    check("${be(n, 9)}$", 9, "FFFFFFFFFFFFFFFFFE");
    check("${le(n, 9)}$", 9, "FEFFFFFFFFFFFFFFFF");
    check("${be(-n, 12)}$", 12, "000000000000000000000002");
    check("${le(-n, 12)}$", 12, "020000000000000000000000");
    check("${be(n, 8)}$", 8, "FFFFFFFFFFFFFFFE");
}

#[test]
fn expressions_without_a_value_are_told() {
    let lists = (json!([fixed("n", "uint", 2), fixed("s", "str", 4)]), json!([fixed("x", "str", 40)]));
    let check =
        |value: &str, expected: &str| check((&lists.0, &lists.1), &json!({"x": value}), "000A 31320000", expected);
    for (value, told) in [
        ("${n / 0}$", "column 5: division by zero"),
        ("${n % (1 - 1)}$", "column 5: division by zero"),
        ("${n / abs(0)}$", "column 5: division by zero"),
        ("${n << 64}$", "column 5: a shift by less than 0 or more than 63 bits"),
        ("${n >> (0 - 1)}$", "column 5: a shift by less than 0 or more than 63 bits"),
        ("${n & 1.5}$", "column 5: a fraction, where the operator takes whole numbers (`round(x)`)"),
        ("${int('12abc')}$", "column 7: int() never has a value: the text is no whole number of that base"),
        ("${int(s, 40)}$", "column 10: int() never has a value: a base is 2 to 36"),
        (
            "${substr('abcd', -1)}$",
            "column 18: substr() never has a value: a place and a number of characters are at least 0",
        ),
        (
            "${substr(s, 0, -1)}$",
            "column 16: substr() never has a value: a place and a number of characters are at least 0",
        ),
        ("${be(65536, 2)}$", "column 3: be() never has a value: the number needs more bytes"),
        ("${be(n, 0)}$", "column 9: be() never has a value: a number takes 1 to 262,144 bytes"),
        ("${hex(1.5)}$", "column 7: a fraction, where the operator takes whole numbers (`round(x)`)"),
        ("${1 / min(0, 2)}$", "column 5: division by zero"),
        (
            "${0xFFFFFFFFFFFFFFFF}$",
            "column 3: `0xFFFFFFFFFFFFFFFF` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)",
        ),
        (
            "${9223372036854775808}$",
            "column 3: `9223372036854775808` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)",
        ),
        (
            "${n - 9223372036854775808}$",
            "column 7: `9223372036854775808` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)",
        ),
    ] {
        check(value, told);
    }
    for (value, text) in [
        ("${-9223372036854775808}$", "-9223372036854775808"),
        ("${-0x8000000000000000}$", "-9223372036854775808"),
        ("${n - -9223372036854775808 - 20}$", ""),
        ("${int('12') + n}$", "22"),
        ("${int('ff', 16)}$", "255"),
        ("${max(3, 5.5) + n}$", "15.5"),
        ("${round(2.5) + n}$", "13"),
        ("${n == 0 ? 'no' : hex(n, 4)}$", "000A"),
        ("${be(-1, 2)}$", "\u{fffd}"),
        ("${substr('abcd', 9)}$", ""),
    ] {
        if text == "\u{fffd}" {
            check(value, &format!("FFFF{}", "00".repeat(38)));
            continue;
        }
        check(value, &format!("{}{}", hex(text.as_bytes()), "00".repeat(40 - text.len())));
    }
}

#[test]
fn limit_calc_texts_bytes_max_bytes_of_a_number() {
    let lists = (json!([fixed("n", "uint", 4)]), json!([fixed("x", "uint", 4)]));
    let check = |many: &str, expected: &str| {
        check((&lists.0, &lists.1), &json!({"x": "${len(be(1, n))}$"}), many, expected);
    };
    check("00040000", "00040000");
    // Longer has no value.
    check("00040001", "00000000");
    check("FFFFFFFF", "00000000");
}

#[test]
fn a_length_in_digits_holds_what_max_allows() {
    let check = |size: Value, expected: &str| {
        let field = field("x", "hex", size);
        let mut template = template(&json!([]), &json!([field]));
        let length = json!({"name": "len", "type": "dec", "length": 2, "of": ["data_frame"], "add": 1});
        template["protocol"]["pdu_left"].as_array_mut().unwrap().push(length);
        let files = [("default.json".to_owned(), json!({"01": {}}))];
        let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
        let told = Product::over("broadcast", &setup).err().unwrap_or_default();
        assert_eq!(told.rsplit_once("error: ").map_or("", |(_, text)| text), expected, "{told}");
    };
    check(json!({"length": "rest", "max": 98}), "");
    let text = "with 99 bytes of `x` the length of the data frame is 100, and 2 bytes of dec hold 2 digits (3 bytes would hold it)";
    check(json!({"length": "rest", "max": 99}), text);
    check(json!({"until": "2C", "max": 97}), "");
    let text = "with 98 bytes of `x` the length of the data frame is 100, and 2 bytes of dec hold 2 digits (3 bytes would hold it)";
    check(json!({"until": "2C", "max": 98}), text);
    // Without a `max` the length says how much there may be.
    check(json!({"length": "rest"}), "");
}

#[test]
fn why_the_size_of_a_reply_is_not_known() {
    let counted = field("x", "hex", json!({"length": {"field": "k", "times": 2}, "max": 8}));
    let list =
        |name: &str| json!({"name": name, "type": "list", "count": "rest", "max": 5, "items": [fixed("q", "hex", 1)]});
    let check = |response: Value, data: Value, expected: Option<Open>| {
        let request = json!([list("l")]);
        let product = product((&request, &response), &json!({"data": data})).unwrap_or_else(|told| panic!("{told}"));
        let device = product.fleet.fsus[0].devices[0].clone();
        let reply = &device.rules[0][0].replies[0];
        let got = forms_to(&device.template, reply, &unhex("6801AABB16").unwrap());
        assert_eq!(got.err(), expected, "{data}");
    };
    let each = json!({"m": {"each": "#{l}#", "data": {"q": "${item.q}$"}}});
    check(json!([list("m")]), each, Some(Open::Items));
    check(json!([list("m")]), json!({"m": "#{l}#"}), None);
    let sized = || json!([fixed("k", "uint", 1), counted]);
    check(sized(), json!({"x": "${be(len(l), 3)}$"}), Some(Open::Misfit));
    check(sized(), json!({"x": "${be(len(l), 2)}$"}), None);
    check(sized(), json!({"x": "${hex(rand(0, 300))}$"}), Some(Open::Beyond));
}
