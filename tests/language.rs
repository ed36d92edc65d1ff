//! What templates and rules can say beyond fixed places: headers that vary, sizes from expressions, lists made of lists, names that
//! several cases share (docs/reference/templates.md, rules.md).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request::{build, finish};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

/// A number for bytes of list, data and note.
type Count = fn(usize, usize, usize) -> usize;
/// A change of a template, and what is said of it.
type Case<'c> = (&'c dyn Fn(&mut Value), &'c str);

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

fn now() -> Clock {
    Clock::parse("2026-01-12T17:30:03")
}

fn setup<'a>(template: &'a Value, files: &'a [(String, Value)]) -> Setup<'a> {
    Setup { template, files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) }
}

fn product(transport: &str, template: &Value, rules: &Value) -> Result<Product, String> {
    let files = [("default.json".to_owned(), rules.clone())];
    Product::over(transport, &setup(template, &files))
}

/// A template of these parts of `protocol`.
fn template(protocol: Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol})
}

/// The reply to a datagram, or why there is none.
fn answer(template: &Value, rules: &Value, request: &str) -> String {
    let mut product = product("broadcast", template, rules).unwrap_or_else(|told| panic!("{told}"));
    match product.respond(&bytes(request), now()) {
        Outcome::Reply(got, _) => hex(&got),
        Outcome::Dropped(reason) => reason.to_owned(),
        Outcome::Silent => "silent".to_owned(),
    }
}

/// A datagram and its reply.
#[track_caller]
fn check(template: &Value, rules: &Value, request: &str, expected: &str) {
    assert_eq!(answer(template, rules, request), expected.replace(' ', ""), "{request}");
}

/// The same over a stream, which is cut everywhere, alone and behind a stray byte and between other requests.
#[track_caller]
fn check_stream(template: &Value, rules: &Value, request: &str, expected: &str) {
    check(template, rules, request, expected);
    let mut product = product("tcp", template, rules).unwrap_or_else(|told| panic!("{told}"));
    let (wire, expected) = (bytes(request), expected.replace(' ', ""));
    let twice = [&wire[..], &wire].concat();
    for at in 0..=twice.len() {
        let (first, second) = twice.split_at(at);
        let got: Vec<String> = product.stream(&[first, second], now()).iter().map(|reply| hex(reply)).collect();
        assert_eq!(got, [&*expected, &expected], "{request} twice, cut at {at}");
    }
    let one_by_one: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(product.stream(&one_by_one, now()).len(), 1, "{request} byte by byte");
}

/// What the program says of a template that cannot be.
#[track_caller]
fn told(template: &Value, rules: &Value, part: &str) {
    match product("broadcast", template, rules) {
        Ok(_) => panic!("no error, and not: {part}"),
        Err(told) => assert!(told.contains(part), "{told}\nhas not: {part}"),
    }
}

/// The sample requests of all commands, each of which is answered.
#[track_caller]
fn samples(template: &Value, rules: &Value) -> Vec<String> {
    let mut product = product("broadcast", template, rules).unwrap_or_else(|told| panic!("{told}"));
    let plan = product.fleet.fsus[0].devices[0].template.clone();
    let one = |command: &fsu_plan::model::template::Command| {
        let (mut raw, mut wire) = (build(&plan, command, &[]).unwrap(), Vec::new());
        finish(&plan, &mut raw, &mut wire);
        let answered = product.respond(&wire, now());
        assert!(matches!(answered, Outcome::Reply(..)), "{} is {answered:?}", hex(&wire));
        hex(&wire)
    };
    plan.commands.iter().filter(|command| !command.up).map(one).collect()
}

/// With the sum of all bytes but the first, and the end 16.
fn sealed(frame: &str) -> String {
    let mut wire = bytes(frame);
    wire.push(wire[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    wire.push(0x16);
    hex(&wire)
}

/// `68 id_len id.. cmd len data.. sum 16`: the id varies, the key and the length are behind it.
fn headed() -> Value {
    template(json!({
        "data_frame_type_flag": "{pdu_left}_cmd",
        "checksum": {"algorithm": "sum"},
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "id_len", "length": 1, "type": "uint"},
            {"name": "id", "type": "str", "length": {"field": "id_len"}},
            {"name": "cmd", "length": 1},
            {"name": "len", "length": 1, "type": "length"}
        ],
        "pdu_tailer": [{"name": "checksum", "length": 1}, {"name": "end", "length": 1, "value": "16"}],
        "data_frame": [
            {"data_frame_type": "01", "req_data_list": [], "resp_data_list": [
                {"name": "{pdu_left}_cmd", "value": "81"}, {"name": "text", "type": "str", "length": "rest"}]},
            {"data_frame_type": "02", "req_data_list": [{"name": "n", "length": 2, "type": "uint"}], "resp_data_list": [
                {"name": "n", "length": 2, "type": "uint"}]},
            {"data_frame_type": "03", "resp_data_list": []}
        ]
    }))
}

#[test]
fn a_header_field_that_varies_and_a_length_behind_it() {
    let rules = json!({"01": {"data": {"text": "${id}$!"}}, "02": {"data": {"{pdu_left}_id": "Z"}}, "03": {}});
    let check = |request: &str, expected: &str| check_stream(&headed(), &rules, &sealed(request), &sealed(expected));
    check("68 02 4142 01 00", "68 02 4142 81 03 414221");
    check("68 00 01 00", "68 00 81 01 21");
    check("68 03 414243 02 02 0007", "68 01 5A 02 02 0007");
    // A command without a list takes any data; 16 is also the end.
    check("68 01 41 03 03 161616", "68 01 41 03 00");
    for (request, reason) in [
        ("68 02 4142 01 01", "bad_length"),
        ("68 FF 4142 01 00", "bad_length"),
        ("68 01 41 01 00 77", "bad_length"),
        ("68 01 41 09 00", "unknown_command"),
        ("68 01 41 02 01 07", "bad_length"),
    ] {
        assert_eq!(answer(&headed(), &rules, &sealed(request)), reason, "{request}");
    }
    assert_eq!(answer(&headed(), &rules, "68 01 41 03 00 46 16"), "bad_checksum");
    let expected = ["68 00 01 00", "68 00 02 02 0000", "68 00 03 00"].map(sealed);
    assert_eq!(samples(&headed(), &rules), expected);
}

/// `68 len n item.. cmd data.. [m text] sum 16` with a list in the header and a text in the tail; `of` is what `len` counts.
fn listed(of: Value) -> Value {
    template(json!({
        "data_frame_type_flag": "cmd",
        "checksum": {"algorithm": "sum"},
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "len", "length": 1, "type": "length", "of": of},
            {"name": "n", "length": 1, "type": "uint"},
            {"name": "hops", "type": "list", "count": {"field": "n"}, "items": [{"name": "hop", "length": 1}]},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [
            {"name": "m", "length": 1, "type": "uint"},
            {"name": "note", "type": "str", "length": {"field": "m"}},
            {"name": "checksum", "length": 1},
            {"name": "end", "length": 1, "value": "16"}
        ],
        "data_frame": [
            {"data_frame_type": "01", "req_data_list": [{"name": "a", "length": 1}], "resp_data_list": [
                {"name": "a", "length": 1}, {"name": "{pdu_tailer}_note", "value": "ok"}]},
            {"data_frame_type": "02", "req_data_list": [{"name": "all", "length": "rest"}], "resp_data_list": [
                {"name": "all", "length": "rest"}]}
        ]
    }))
}

#[test]
fn lists_in_the_header_and_a_tail_that_varies() {
    let rules = json!({"01": [
        {"when": "hops.0.hop == 9", "data": {"hops": [{"repeat": 3, "data": {"hop": "${hex(index(), 2)}$"}}], "a": "EE"}},
        {"when": {"{pdu_tailer}_note": "x"}, "data": {"{pdu_tailer}_note": "#{{pdu_tailer}_note}#y"}},
        {}
    ], "02": {}});
    // What `len` counts, and the number of it beside the data frame, in these frames.
    let counts: [(Value, Count); 5] = [
        (json!("data_frame"), |_, data, _| data),
        (json!(["hops", "cmd", "data_frame"]), |hops, data, _| hops + 1 + data),
        (json!(["n", "hops", "cmd", "data_frame", "m", "note"]), |hops, data, note| 1 + hops + 1 + data + 1 + note),
        (json!(["cmd", "data_frame", "m", "note", "checksum", "end"]), |_, data, note| 1 + data + 1 + note + 2),
        (json!(["len", "n", "data_frame", "start"]), |_, data, _| 3 + data),
    ];
    for (of, count) in counts {
        // Where the length also counts the tail, nothing says how long a data frame of any size is.
        let has_any = !of.as_array().is_some_and(|of| of.contains(&json!("note")));
        let mut template = listed(of);
        if !has_any {
            told(&template, &rules, "it follows a field that takes what is left, so it has a fixed size");
            template["protocol"]["data_frame"].as_array_mut().unwrap().pop();
        }
        let frame = |hops: &str, rest: &str, note: &str| {
            let (hops_len, note_len) = (hops.len() / 2, note.len() / 2);
            let len = count(hops_len, rest.len() / 2 - 1, note_len);
            sealed(&format!("68 {len:02X} {hops_len:02X} {hops} {rest} {note_len:02X} {note}"))
        };
        check_stream(&template, &rules, &frame("0102", "01AA", "41"), &frame("0102", "01AA", "6F6B"));
        check_stream(&template, &rules, &frame("", "01AA", ""), &frame("", "01AA", "6F6B"));
        check_stream(&template, &rules, &frame("09", "01AA", ""), &frame("000102", "01EE", "6F6B"));
        check_stream(&template, &rules, &frame("08", "01AA", "78"), &frame("08", "01AA", "7879"));
        check_stream(&template, &rules, &frame("16", "0116", "1616"), &frame("16", "0116", "6F6B"));
        if has_any {
            check_stream(&template, &rules, &frame("16", "0216681616", "1616"), &frame("16", "0216681616", "1616"));
        }
        samples(&template, &rules);
    }
}

/// A header of text, `$id,verb,` and CR LF at the end: nothing says a length.
fn lines() -> Value {
    template(json!({
        "data_frame_type_flag": "verb",
        "pdu_left": [
            {"name": "start", "length": 1, "type": "str", "value": "$"},
            {"name": "id", "type": "str", "until": "2C"},
            {"name": "verb", "type": "str", "until": "2C"}
        ],
        "pdu_tailer": [{"name": "end", "length": 2, "value": "0D0A"}],
        "data_frame": [
            {"data_frame_type": "524541 44", "req_data_list": [{"name": "n", "type": "dec", "length": "rest"}],
             "resp_data_list": [{"name": "n", "type": "dec", "length": "rest"}]},
            {"data_frame_type": "5645 52", "req_data_list": [], "resp_data_list": [
                {"name": "version", "type": "str", "length": "rest", "value": "2.0"}]}
        ]
    }))
}

/// The same with the command in front of the data: no end, no length, and an entry that varies itself.
fn keyed() -> Value {
    template(json!({
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "7E"},
            {"name": "route", "type": "str", "until": "00"},
            {"name": "cmd", "length": 1}
        ],
        "data_frame": [
            {"data_frame_type": "01", "req_data_list": [{"name": "a", "length": 2}], "resp_data_list": [{"name": "a", "length": 2}]},
            {"data_frame_type": "02", "req_data_list": [{"name": "n", "length": 1}, {"name": "d", "length": {"field": "n"}}],
             "resp_data_list": [{"name": "d", "length": "rest"}]}
        ]
    }))
}

#[test]
fn headers_without_a_length() {
    let text = |line: &str| hex(line.as_bytes());
    let rules =
        json!({"52454144": {"data": {"n": "${n + 1}$", "verb": "ACK"}}, "564552": {"data": {"{pdu_left}_id": "me"}}});
    let check = |request: &str, expected: &str| check_stream(&lines(), &rules, &text(request), &text(expected));
    check("$a,READ,41\r\n", "$a,ACK,42\r\n");
    check("$,VER,\r\n", "$me,VER,2.0\r\n");
    assert_eq!(answer(&lines(), &rules, &text("$a,NONE,41\r\n")), "unknown_command");
    let rules = json!({"01": {}, "02": {"data": {"route": "back"}}});
    let check = |request: &str, expected: &str| check_stream(&keyed(), &rules, request, expected);
    check("7E 4142 00 01 7E7E", "7E 4142 00 01 7E7E");
    check("7E 00 02 03 7E0102", "7E 6261636B 00 02 7E0102");
    check("7E 00 02 00", "7E 6261636B 00 02");
    samples(&keyed(), &rules);
}

#[test]
fn what_a_header_that_varies_does_not_combine_with() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut template = headed();
        change(&mut template["protocol"]);
        template
    };
    let rules = json!({"01": {}});
    let cases: [Case<'_>; 8] = [
        (
            &|of| of["errors"] = json!({"unknown_command": {"data": {}}}),
            "/protocol/pdu_left/2/length: error: a header or tail field of variable size does not combine with `errors`",
        ),
        (&|of| of["refusal"] = json!({"field": "cmd", "ok": ["00"]}), "does not combine with `refusal`"),
        (&|of| of["total_length"] = json!(40), "does not combine with `total_length`"),
        (&|of| of["data_transform"] = json!({"add": "33"}), "does not combine with `data_transform`"),
        (&|of| of["checksum"]["from"] = json!("cmd"), "/protocol/checksum/from: error: `cmd` has no fixed place"),
        (&|of| of["checksum"]["field"] = json!("cmd"), "error: the checksum `cmd` has no fixed place"),
        (&|of| of["pdu_left"][4]["of"] = json!(["id"]), "`len` counts fields and not `data_frame`"),
        (
            &|of| of["pdu_left"][4]["of"] = json!(["id", "data_frame"]),
            "`len` counts `id`, and not all fields between it and the data frame",
        ),
    ];
    for (change, text) in cases {
        told(&with(change), &rules, text);
    }
    // A span that begins at the first field that varies begins where the data frame does.
    let template = with(&|of| of["checksum"]["from"] = json!("id"));
    let rules = json!({"01": {}, "02": {}, "03": {}});
    check(&template, &rules, "68 01 41 03 00 44 16", "68 01 41 03 00 44 16");
}

/// `cmd data..`, command 01 with these lists.
fn plain(request: Value, response: Value) -> Value {
    template(json!({
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "cmd", "length": 1}, {"name": "state", "length": 1}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": request, "resp_data_list": response}]
    }))
}

/// A tag whose low bits say the size, and the value.
fn tagged() -> Value {
    json!([
        {"name": "tag", "length": 1, "type": "bit", "bits": {"class": [0, 4], "size": [5, 7]}},
        {"name": "value", "length": {"field": "tag.size"}},
        {"name": "counts", "length": 1, "type": "bit", "bits": {"flag": [0, 3], "n": [4, 7]}},
        {"name": "list", "type": "list", "count": {"field": "counts.n"}, "items": [{"name": "one", "length": 1}]}
    ])
}

#[test]
fn sizes_and_counts_in_bits_of_a_field() {
    let template = plain(tagged(), tagged());
    let check = |rule: Value, request: &str, expected: &str| check(&template, &json!({"01": rule}), request, expected);
    check(json!({}), "0100 1A AABB 51 07", "0100 1A AABB 51 07");
    check(json!({"data": {"value": "010203"}}), "0100 1A AABB 51 07", "0100 1B 010203 51 07");
    check(json!({"data": {"value": "#{list.0.one}##{value}#"}}), "0100 1A AABB 51 07", "0100 1B 07AABB 51 07");
    check(json!({"data": {"tag": {"class": 2}, "value": "01"}}), "0100 1A AABB 51 07", "0100 11 01 51 07");
    check(json!({"data": {"tag": {"class": 2}, "value": "#{value}#"}}), "0100 1A AABB 51 07", "0100 12 AABB 51 07");
    // What the rule gives by name stays, right or wrong.
    check(json!({"data": {"tag": {"class": 2, "size": 7}, "value": "01"}}), "0100 1A AABB 51 07", "0100 17 01 51 07");
    let list = json!({"data": {"counts": {"flag": 9}, "list": [{"one": "01"}, {"one": "02"}]}});
    check(list, "0100 18 50", "0100 18 92 0102");
    for request in ["0100 1F AABB", "0100 1A AABB 5F 07"] {
        assert_eq!(answer(&template, &json!({"01": {}}), request), "bad_length", "{request}");
    }
    assert_eq!(samples(&template, &json!({"01": {}})), ["01000000"]);
    let long = json!({"01": {"data": {"value": "0102030405060708"}}});
    told(&template, &long, "`0102030405060708` is longer than the field (7 bytes hold 14 hex digits)");
}

#[test]
fn items_that_may_be_empty_are_bounded_by_their_count() {
    let list = json!([
        {"name": "n", "length": 1, "type": "uint"}, {"name": "size", "length": 1, "type": "uint"},
        {"name": "codes", "type": "list", "count": {"field": "n"}, "items": [{"name": "code", "type": "str", "length": {"field": "size"}}]}
    ]);
    let template = plain(list.clone(), list);
    let rules = json!({"01": {"data": {"codes": {"each": "#{codes}#"}}}});
    check(&template, &rules, "0100 02 03 414141 424242", "0100 02 03 414141 424242");
    check(&template, &rules, "0100 02 00", "0100 02 00");
    check(&template, &rules, "0100 FF 00", "0100 FF 00");
    assert_eq!(answer(&template, &rules, "0100 02 03 414141 4242"), "bad_length");
}

/// A choice whose cases have a field of one name and different sizes, in a list.
fn cases() -> Value {
    let case = |len: usize| json!([{"name": "value", "type": "uint", "length": len}]);
    let cases = json!({"1": case(1), "2": case(2), "4": case(4), "else": [{"name": "none", "length": "rest"}]});
    json!([
        {"name": "kind", "length": 1, "type": "uint"},
        {"name": "body", "type": "choice", "by": "kind", "cases": cases}
    ])
}

#[test]
fn a_name_that_several_cases_have_is_that_of_the_case_that_is_there() {
    let template = plain(cases(), json!([{"name": "text", "type": "str", "length": "rest"}]));
    let rules = json!({"01": [
        {"when": "body.value == 5", "data": {"text": "five"}},
        {"when": "body.value >= 0x1234", "data": {"text": "#{body.value}#,${body.value + 1}$,${body.2.value}$"}},
        {"data": {"text": "<#{body.value}#>"}}
    ]});
    for (request, expected) in [
        ("0100 01 05", "five"),
        ("0100 02 0005", "five"),
        ("0100 04 00000005", "five"),
        ("0100 02 1234", "4660,4661,4660"),
        ("0100 04 00001234", "4660,4661,"),
        ("0100 02 0007", "<7>"),
        ("0100 09 0505", "<>"),
    ] {
        check(&template, &rules, request, &hex(&[&[1, 0], expected.as_bytes()].concat()));
    }
    let when = json!({"01": {"when": {"body.value": 5}}});
    told(&template, &when, "several cases have `body.value` (name the case, as in `body.01.value`");
    let mut other = cases();
    other[1]["cases"]["2"][0]["type"] = json!("str");
    let template = plain(other, json!([{"name": "text", "type": "str", "length": "rest"}]));
    let values = json!({"01": {"data": {"text": "#{body.value}#"}}});
    told(&template, &values, "the cases that have `body.value` give it different types");
}

#[test]
fn a_condition_of_a_whole_rule_file() {
    let template =
        plain(json!([{"name": "a", "length": 1, "type": "uint"}]), json!([{"name": "b", "length": 1, "type": "uint"}]));
    let with = |when: Value| {
        json!({"when": when, "01": [
            {"when": "a == 1 || a == 2", "data": {"b": 1}}, {"when": {"a": 3}, "data": {"b": 3}}, {"data": {"b": 9}}
        ]})
    };
    for when in [json!("state == '07'"), json!({"state": "07"}), json!({"{pdu_left}_state": "07"})] {
        for (request, expected) in [
            ("0107 01", "0107 01"),
            ("0107 02", "0107 01"),
            ("0107 03", "0107 03"),
            ("0107 04", "0107 09"),
            ("0108 01", "unmatched"),
            ("0108 03", "unmatched"),
            ("0108 04", "unmatched"),
        ] {
            check(&template, &with(when.clone()), request, expected);
        }
    }
    told(&template, &with(json!("stat == 7")), "/when: error: column 1");
    told(&template, &with(json!("")), "/when: error: an empty condition");
    told(&template, &with(json!({"a": 7})), "the same field as `a`");
}

#[test]
fn a_header_field_without_a_value_of_its_own_register() {
    let template = plain(json!([]), json!([{"name": "{pdu_left}_state", "value": "07"}]));
    let rules = json!({"01": {"data": {"{pdu_left}_state": "${reg(mode)}$"}}, "02": {"set": {"mode": "09"}}});
    let mut with = template.clone();
    let list = with["protocol"]["data_frame"].as_array_mut().unwrap();
    list.push(json!({"data_frame_type": "02", "req_data_list": [], "resp_data_list": []}));
    // Never set: the value of `resp_data_list`; without one that of the request.
    check(&with, &rules, "0155", "0107");
    with["protocol"]["data_frame"][0]["resp_data_list"] = json!([]);
    check(&with, &rules, "0155", "0155");
    let mut product = product("broadcast", &with, &rules).unwrap();
    for (request, expected) in [("0155", "0155"), ("0255", "0255"), ("0155", "0109")] {
        let Outcome::Reply(got, _) = product.respond(&bytes(request), now()) else { panic!("{request}") };
        assert_eq!(hex(&got), expected);
    }
}

/// A list of cards, and longer items of the reply.
fn cards() -> (Value, Value) {
    let asked = json!([
        {"name": "n", "length": 1, "type": "uint"},
        {"name": "cards", "type": "list", "count": {"field": "n"}, "max": 20, "items": [
            {"name": "physical", "length": 2}, {"name": "size", "length": 1, "type": "uint"},
            {"name": "owner", "type": "str", "length": {"field": "size"}}]}
    ]);
    let answered = json!([
        {"name": "n", "length": 1, "type": "uint"},
        {"name": "cards", "type": "list", "count": {"field": "n"}, "max": 20, "items": [
            {"name": "index", "length": 1, "type": "uint"}, {"name": "physical", "length": 2},
            {"name": "size", "length": 1, "type": "uint"}, {"name": "owner", "type": "str", "length": {"field": "size"}},
            {"name": "result", "length": 1, "value": "FF"}]}
    ]);
    (asked, answered)
}

#[test]
fn items_made_of_the_items_of_the_request() {
    let (asked, answered) = cards();
    let template = plain(asked.clone(), answered);
    let two = "0100 02 AAAA 02 4142 BBBB 00";
    let check = |data: Value, request: &str, expected: &str| {
        check(&template, &json!({"01": {"data": {"cards": data}}}), request, expected);
    };
    check(json!({"each": "#{cards}#"}), two, "0100 02 00 AAAA 02 4142 FF 00 BBBB 00 FF");
    let data = json!({"result": "01", "owner": "${item.owner}$!", "index": "#{item.size}#"});
    check(json!({"each": "#{cards}#", "data": data}), two, "0100 02 02 AAAA 03 414221 01 00 BBBB 01 21 01");
    let data = json!({"physical": "${item.physical == 0xAAAA ? '1111' : '2222'}$", "owner": "#{item.owner}#"});
    check(json!({"each": "#{cards}#", "data": data}), two, "0100 02 00 1111 02 4142 FF 00 2222 00 FF");
    check(json!({"each": "#{cards}#"}), "0100 00", "0100 00");
    let many: String = (0..20).map(|_| "AAAA0141").collect();
    let made: String = (0..20).map(|_| "00AAAA0141FF").collect();
    check(json!({"each": "#{cards}#"}), &format!("010014{many}"), &format!("010014{made}"));
    for (cards, text) in [
        (json!({"each": "cards"}), "/each: error: `cards` is no list of the request: `#{list}#`"),
        (json!({"each": "#{n}#"}), "/each: error: `#{n}#` is no list of the request"),
        (json!({"each": "#{cards}#", "repeat": 2}), "`repeat` beside `each` (it takes `data`: the fields of an item)"),
        (json!({"each": "#{cards}#", "data": {"physicl": "#{item.physical}#"}}), "no field `physicl` in `cards`"),
        (json!({"each": "#{cards}#", "data": {"physical": "#{item.owner}#"}}), "error"),
        (json!({"each": "#{cards}#", "data": {"physical": "#{item.nothing}#"}}), "error"),
    ] {
        told(&template, &json!({"01": {"data": {"cards": cards}}}), text);
    }
    // A copy of a list with one element changed.
    let template = plain(asked.clone(), asked);
    let rules = json!({"01": {"data": {"cards": {"each": "#{cards}#", "data": {"physical": "0000"}}}}});
    self::check(&template, &rules, two, "0100 02 0000 02 4142 0000 00");
    assert_eq!(answer(&template, &rules, "0100 15 AAAA00"), "bad_length");
}

#[test]
fn limit_item_nodes_max() {
    let fields: Vec<Value> = (0..33).map(|n| json!({"name": format!("f{n}"), "length": 1})).collect();
    let list = |items: Value| json!([{"name": "all", "type": "list", "count": 1, "items": items}]);
    let template = plain(list(json!(fields)), list(json!([{"name": "one", "length": 1}])));
    let rules =
        |n: usize| json!({"01": {"data": {"all": {"each": "#{all}#", "data": {"one": format!("#{{item.f{n}}}#")}}}}});
    let request: String = (0..33).map(|n| format!("{n:02X}")).collect();
    check(&template, &rules(31), &format!("0100{request}"), "01001F");
    told(&template, &rules(32), "item.f32");
}

/// Meters with addresses of their own, as a template says it: `68 address cmd data 16`.
fn addressed(value: &str) -> Value {
    template(json!({
        "dynamic_length": true,
        "data_frame_type_flag": "{pdu_left}_cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "address", "length": 3, "value": value, "match": true},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [
            {"data_frame_type": "11", "req_data_list": [{"name": "n", "length": 1}], "resp_data_list": [{"name": "n", "length": 1}, {"name": "v", "length": 2}]},
            {"data_frame_type": "12", "resp_data_list": []}
        ]
    }))
}

/// What a meter with the address 000012 answers to a frame, however it comes; why it does not: the reason.
fn meter(template: &Value, rules: &Value, request: &str) -> String {
    let files = [("default.json".to_owned(), rules.clone())];
    let params = json!({"params": {"addr": "000012"}});
    let over = |transport: &str| {
        Product::with(transport, &setup(template, &files), &params).unwrap_or_else(|told| panic!("{told}"))
    };
    let (mut told, wire) = (Vec::new(), bytes(request));
    // Twice: the first request may be answered in another way than later ones.
    for transport in ["udp", "tcp", "datagram", "broadcast"] {
        let mut product = over(transport);
        for _ in 0..2 {
            told.push(match product.respond(&wire, now()) {
                Outcome::Reply(got, _) => hex(&got),
                Outcome::Dropped(reason) => reason.to_owned(),
                Outcome::Silent => "silent".to_owned(),
            });
        }
    }
    for transport in ["tcp", "datagram"] {
        let mut product = over(transport);
        let sent = |product: &mut Product, wire: &[u8]| match transport {
            "tcp" => product.stream(&[wire], now()),
            _ => product.datagram_from(1, wire, now()).into_iter().map(|(_, sent)| sent).collect(),
        };
        let all: Vec<String> = sent(&mut product, &wire).iter().map(|sent| hex(sent)).collect();
        told.push(if all.is_empty() { product.dropped().join(" ") } else { all.concat() });
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    told.swap_remove(0)
}

#[test]
fn a_device_answers_its_own_address_only() {
    let rules = json!({"11": [{"when": "n == 1", "data": {"v": "1111"}}, {"data": {"v": "2222"}}], "12": {}});
    for value in ["${param(addr)}$", " ${ substr(param(addr), 0) }$"] {
        let check = |request: &str, expected: &str| {
            assert_eq!(meter(&addressed(value), &rules, request), expected.replace(' ', ""))
        };
        check("68 000012 11 01 16", "68 000012 11 01 1111 16");
        check("68 000012 11 02 16", "68 000012 11 02 2222 16");
        check("68 000012 12 16", "68 000012 12 16");
        check("68 000013 11 01 16", "unmatched");
        check("68 000000 11 02 16", "unmatched");
        check("68 000013 12 16", "unmatched");
    }
    // It is one condition of several.
    let file = json!({"when": "n != 9 && reg(a) != 1", "11": {"when": {"n": "01"}, "data": {"v": "3333"}}});
    let check = |request: &str, expected: &str| {
        assert_eq!(meter(&addressed("${param(addr)}$"), &file, request), expected.replace(' ', ""));
    };
    check("68 000012 11 01 16", "68 000012 11 01 3333 16");
    check("68 000012 11 02 16", "unmatched");
    check("68 000013 11 01 16", "unmatched");
}

#[test]
fn what_a_parameter_to_match_does_not_go_with() {
    let rules = json!({"11": {}, "12": {}});
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut template = addressed("${param(addr)}$");
        change(&mut template["protocol"]);
        let told = product("tcp", &template, &rules).err().unwrap_or_default();
        assert!(told.contains(expected), "{told}");
    };
    let value = |value: &'static str| move |protocol: &mut Value| protocol["pdu_left"][1]["value"] = json!(value);
    check(&|_| {}, "the rules read param(addr), and this FSU has no such parameter");
    check(
        &value("${seq()}$"),
        "/protocol/pdu_left/1/value: error: a field that is marked match needs a constant or a parameter",
    );
    check(&value("${nothing(param(addr))}$"), "/protocol/pdu_left/1/value: error: ");
    check(
        &|protocol| protocol["errors"] = json!({"unknown_command": {}}),
        "/protocol/pdu_left/1/value: error: `errors` of the template would answer frames for other devices too",
    );
    check(
        &|protocol| {
            protocol["data_frame"][0]["req_data_list"][0] =
                json!({"name": "n", "length": 1, "value": "${param(addr)}$", "match": true});
        },
        "/req_data_list/0",
    );
}
