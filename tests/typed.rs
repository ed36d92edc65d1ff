//! Numbers and text on the wire: a template, a request, and the reply, in each type.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request;
use fsu_core::dissect::inner::{Inner, Reading};
use fsu_plan::wire::inner::parse;
use naive::clock::Clock;
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

const NOW: &str = "2026-01-12T17:30:03";

/// A field; `more` lays keys over it.
fn field(name: &str, kind: &str, length: u32, more: Value) -> Value {
    let mut field = json!({"name": name, "type": kind, "length": length});
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    field
}

/// A template with these header fields between 7E and the data frame, these tail fields before 0D, and one command.
fn template(left: &[Value], tail: &[Value], command: Value) -> Value {
    let start = field("start", "hex", 1, json!({"value": "7E"}));
    let end = field("end", "hex", 1, json!({"value": "0D"}));
    let (left, tail) = ([&[start], left].concat(), [tail, &[end]].concat());
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": left,
        "pdu_tailer": tail,
        "data_frame": [command],
    }})
}

/// `cmd` of one byte, a length of one byte, and a command 01 with these data fields.
fn plain(asked: Value, replied: Value) -> Value {
    let left = [field("len", "length", 1, json!({})), field("cmd", "hex", 1, json!({}))];
    template(&left, &[], json!({"data_frame_type": "01", "req_data_list": asked, "resp_data_list": replied}))
}

fn product(template: &Value, rules: &Value) -> Result<Product, String> {
    let files = [("default.json".to_owned(), rules.clone())];
    Product::new(&Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) })
}

/// Bytes of a text in which letters between quotes stand for themselves: `7E '0012' 0D`.
fn bytes(text: &str) -> Vec<u8> {
    let part = |(number, part): (usize, &str)| match number % 2 {
        0 => hex::decode(part.replace(' ', "")).unwrap(),
        _ => part.as_bytes().to_vec(),
    };
    text.split('\'').enumerate().flat_map(part).collect()
}

fn outcome(template: &Value, rules: &Value, sent: &str) -> Outcome {
    let mut product = product(template, rules).unwrap_or_else(|wrong| panic!("{wrong:?}\n{template}"));
    product.respond(&bytes(sent), Clock::parse(NOW))
}

/// The request and the reply to it, or the reason that there is none.
fn check(template: &Value, rules: Value, sent: &str, expected: &str) {
    let got = match outcome(template, &rules, sent) {
        Outcome::Reply(reply, _) => hex::encode_upper(reply),
        Outcome::Silent => "silent".to_owned(),
        Outcome::Dropped(reason) => reason.to_owned(),
    };
    let wanted = if expected.contains('_') || expected.chars().all(char::is_alphabetic) {
        expected.into()
    } else {
        hex::encode_upper(bytes(expected))
    };
    assert_eq!(got, wanted, "{sent} to {template} {rules}");
}

/// What is wrong with a template or its rules, in order.
fn errors(template: &Value, rules: &Value, expected: &[&str]) {
    let told = product(template, rules).err().unwrap_or_default();
    let texts: Vec<&str> = told.lines().filter_map(|line| line.split_once("error: ").map(|(_, text)| text)).collect();
    assert_eq!(texts, expected, "{template} {rules}");
}

/// The fields of a request as people read them: the header's behind the start, then the data frame's.
fn read(template: &Value, sent: &str) -> Vec<String> {
    let product = product(template, &json!({"01": {}})).unwrap();
    let plan = &product.fleet.fsus[0].devices[0].template;
    let wire = bytes(sent);
    let mut raw = Vec::new();
    let frame = parse(plan, &wire, &mut raw).unwrap();
    let about = fsu_core::about::About { command: 0, ..fsu_core::about::About::of(0) };
    let inner = Inner::new(plan, frame, Reading::of(plan, true, about));
    let text = |piece: fsu_core::dissect::inner::Piece<'_>| {
        let mut text = String::new();
        piece.text(&mut text);
        text
    };
    let walked = inner.walked().0.into_iter().map(|element| element.value);
    inner.header().skip(1).chain(inner.fields()).map(text).chain(walked).collect()
}

/// What a client sends of the first command with these values.
fn asks(template: &Value, values: &[(&str, &str)], expected: &str) {
    let product = product(template, &json!({"01": {}})).unwrap();
    let plan = &product.fleet.fsus[0].devices[0].template;
    let values: Vec<(String, String)> = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let (_, mut raw) = request::build_any(plan, &plan.commands[0].key_text, &values).unwrap();
    let mut wire = Vec::new();
    request::finish(plan, &mut raw, &mut wire);
    assert_eq!(hex::encode_upper(wire), hex::encode_upper(bytes(expected)), "{values:?}");
}

fn one(kind: &str, length: u32) -> Value {
    json!([field("a", kind, length, json!({}))])
}

#[test]
fn values_in_characters() {
    let reply = |kind: &str, length: u32, value: Value, expected: &str| {
        let own = json!([field("a", kind, length, json!({"value": value}))]);
        check(&plain(json!([]), own), json!({"01": {}}), "7E 00 01 0D", &format!("7E {length:02X} 01 {expected} 0D"));
        let rules = json!({"01": {"data": {"a": value}}});
        check(&plain(json!([]), one(kind, length)), rules, "7E 00 01 0D", &format!("7E {length:02X} 01 {expected} 0D"));
    };
    reply("dec", 4, json!(12), "'0012'");
    reply("dec", 4, json!("12"), "'0012'");
    reply("dec", 4, json!(""), "'0000'");
    reply("dec", 14, json!("${datetime(yyyyMMddHHmmss)}$"), "'20260112173003'");
    reply("dec", 12, json!("${year(yyyy)}$"), "'000000002026'");
    reply("dec", 3, json!("${rand(7,7)}$"), "'007'");
    reply("dec", 3, json!("${choice(7)}$"), "'007'");
    // A text is hex digits, a number is written in them.
    reply("hexdigits", 4, json!("1f"), "'001F'");
    reply("hexdigits", 4, json!("0x1F"), "'001F'");
    reply("hexdigits", 4, json!("12"), "'0012'");
    reply("hexdigits", 4, json!(26), "'001A'");
    reply("hexdigits", 4, json!("${rand(255,255)}$"), "'00FF'");
    reply("hexdigits", 4, json!("${choice(ab)}$"), "'00AB'");
    reply("hexdigits", 4, json!("${fsuid()}$"), "'3031'");
    // Without a value they are zeros.
    let rules = json!({"01": {}});
    check(&plain(json!([]), one("dec", 3)), rules.clone(), "7E 00 01 0D", "7E 03 01 '000' 0D");
    check(&plain(json!([]), one("hexdigits", 2)), rules, "7E 00 01 0D", "7E 02 01 '00' 0D");
    // The low byte's digits first.
    let low = json!([field("a", "hexdigits", 4, json!({"endian": "little", "value": "12AB"}))]);
    check(&plain(low.clone(), low), json!({"01": {"when": {"a": "12AB"}}}), "7E 04 01 'ab12' 0D", "7E 04 01 'AB12' 0D");
}

#[test]
fn counters_in_characters_wrap_at_their_size() {
    let counter = |kind: &str, expected: &str| {
        let mut product =
            product(&plain(json!([]), one(kind, 1)), &json!({"01": {"data": {"a": "${seq()}$"}}})).unwrap();
        let sent = (0..17).map(|_| match product.respond(&bytes("7E 00 01 0D"), Clock::parse(NOW)) {
            Outcome::Reply(reply, _) => char::from(reply[3]),
            other => panic!("{other:?}"),
        });
        assert_eq!(sent.collect::<String>(), expected);
    };
    counter("dec", "12345678901234567");
    counter("hexdigits", "123456789ABCDEF01");
}

#[test]
fn request_fields_in_characters() {
    let both = |asked: Value, replied: Value, rule: Value, sent: &str, expected: &str| {
        check(&plain(json!([asked]), json!([replied])), json!({"01": rule}), sent, expected);
    };
    let of = |name: &str, kind: &str, length: u32| field(name, kind, length, json!({}));
    both(of("a", "dec", 3), of("a", "dec", 3), json!({}), "7E 03 01 '042' 0D", "7E 03 01 '042' 0D");
    // Read in either case, sent in upper case; what is no digits has no value.
    both(of("a", "hexdigits", 4), of("a", "hexdigits", 4), json!({}), "7E 04 01 '0abC' 0D", "7E 04 01 '0ABC' 0D");
    both(of("a", "hexdigits", 4), of("a", "hexdigits", 4), json!({}), "7E 04 01 '0xyz' 0D", "7E 04 01 '0000' 0D");
    let copy = |kind: &str, length: u32| (of("b", kind, length), json!({"data": {"b": "#{a}#"}}));
    let number = |asked: (&str, u32), (replied, rule): (Value, Value), sent: &str, expected: &str| {
        both(of("a", asked.0, asked.1), replied, rule, sent, expected);
    };
    number(("uint", 1), copy("dec", 3), "7E 01 01 2A 0D", "7E 03 01 '042' 0D");
    number(("dec", 3), copy("uint", 2), "7E 03 01 '300' 0D", "7E 02 01 012C 0D");
    number(("dec", 3), copy("str", 3), "7E 03 01 '042' 0D", "7E 03 01 '042' 0D");
    number(("bcd", 2), copy("dec", 4), "7E 02 01 0042 0D", "7E 04 01 '0042' 0D");
    number(("uint", 2), copy("hexdigits", 4), "7E 02 01 0102 0D", "7E 04 01 '0102' 0D");
    number(("hex", 2), copy("hexdigits", 4), "7E 02 01 0AFE 0D", "7E 04 01 '0AFE' 0D");
    number(("hexdigits", 4), copy("hex", 2), "7E 04 01 '0aFe' 0D", "7E 02 01 0AFE 0D");
    // `when`, also in lower case.
    let when = |value: Value| json!([{"when": {"a": value}, "data": {"b": 1}}]);
    both(of("a", "dec", 2), of("b", "uint", 1), when(json!(7)), "7E 02 01 '07' 0D", "7E 01 01 01 0D");
    both(of("a", "dec", 2), of("b", "uint", 1), when(json!(7)), "7E 02 01 '70' 0D", "unmatched");
    both(of("a", "hexdigits", 2), of("b", "uint", 1), when(json!("AB")), "7E 02 01 'aB' 0D", "7E 01 01 01 0D");
    both(of("a", "hexdigits", 2), of("b", "uint", 1), when(json!(171)), "7E 02 01 'ab' 0D", "7E 01 01 01 0D");
    // A register keeps the notation.
    let set = json!({"01": {"set": {"r": "#{a}#"}, "data": {"b": "${reg(r)}$"}}});
    check(&plain(one("hexdigits", 2), json!([of("b", "hexdigits", 4)])), set, "7E 02 01 'ab' 0D", "7E 04 01 '00AB' 0D");
}

#[test]
fn keys_in_characters() {
    let of = |kind: &str, key: Value, rule: &str, sent: &str, expected: &str| {
        let left = [field("len", "length", 1, json!({})), field("cmd", kind, 4, json!({}))];
        let command =
            json!({"data_frame_type": key, "req_data_list": [], "resp_data_list": [field("x", "hex", 1, json!({}))]});
        let template = template(&left, &[], command);
        check(&template, json!({rule: {"data": {"x": "11"}}}), sent, expected);
        let wire = if expected.contains('_') { "7E 00 '2011' 0D" } else { sent };
        asks(&template, &[], &wire.to_uppercase());
        assert_eq!(
            read(&template, sent)[1],
            bytes(sent)[2..6].iter().map(|b| char::from(*b)).collect::<String>().to_uppercase()
        );
    };
    of("dec", json!("2011"), "2011", "7E 00 '2011' 0D", "7E 01 '2011' 11 0D");
    of("dec", json!("11"), "11", "7E 00 '0011' 0D", "7E 01 '0011' 11 0D");
    of("dec", json!(["2011"]), "0x2011", "7E 00 '2011' 0D", "7E 01 '2011' 11 0D");
    // The same in bytes.
    of("dec", json!("32303131"), "32303131", "7E 00 '2011' 0D", "7E 01 '2011' 11 0D");
    of("dec", json!("2011"), "2011", "7E 00 '2012' 0D", "unknown_command");
    of("hexdigits", json!("1A2b"), "1a2B", "7E 00 '1A2B' 0D", "7E 01 '1A2B' 11 0D");
    // Either case comes in, upper case goes out.
    let left = [field("len", "length", 1, json!({})), field("cmd", "hexdigits", 4, json!({}))];
    let command = json!({"data_frame_type": "1A2B", "req_data_list": [], "resp_data_list": []});
    check(&template(&left, &[], command), json!({"1A2B": {}}), "7E 00 '1a2B' 0D", "7E 00 '1A2B' 0D");
}

#[test]
fn lengths_in_characters() {
    let of = |kind: &str, length: u32, size: u32| {
        let len = field("len", kind, length, json!({"value": "{{data_frame_length}}"}));
        let command = json!({"data_frame_type": "01", "req_data_list": [field("a", "hex", 12, json!({}))],
            "resp_data_list": [field("b", "hex", size, json!({}))]});
        template(&[len, field("cmd", "hex", 1, json!({}))], &[], command)
    };
    let (data, zeros) = ("00".repeat(12), "00".repeat(17));
    let sent = |length: &str| format!("7E '{length}' 01 {data} 0D");
    check(&of("dec", 3, 17), json!({"01": {}}), &sent("013"), &format!("7E '018' 01 {zeros} 0D"));
    check(&of("hexdigits", 2, 17), json!({"01": {}}), &sent("0d"), &format!("7E '12' 01 {zeros} 0D"));
    check(&of("hexdigits", 2, 17), json!({"01": {}}), &sent("0D"), &format!("7E '12' 01 {zeros} 0D"));
    // Another number, and characters that are no digits.
    for wrong in ["012", " 13", "0D ", "13\0"] {
        check(&of("dec", 3, 17), json!({"01": {}}), &sent(wrong), "bad_length");
    }
    check(&of("hexdigits", 2, 17), json!({"01": {}}), &sent("0G"), "bad_length");
    asks(&of("dec", 3, 17), &[], &sent("013"));
    // In the data frame, also by `of`.
    let inside = |more: Value, expected: &str| {
        let n = field("n", "dec", 3, more);
        check(
            &plain(json!([]), json!([n, field("b", "hex", 2, json!({}))])),
            json!({"01": {}}),
            "7E 00 01 0D",
            expected,
        );
    };
    inside(json!({"value": "{{data_frame_length}}"}), "7E 05 01 '005' 0000 0D");
    inside(json!({"of": ["b"]}), "7E 05 01 '002' 0000 0D");
    inside(json!({"of": ["b"], "add": 10}), "7E 05 01 '012' 0000 0D");
    // What the digits cannot hold.
    let text = "the length `len` may be 1001, and 3 bytes of dec hold 3 digits (4 bytes would hold it)";
    errors(&of("dec", 3, 1000), &json!({"01": {}}), &[text]);
    let text = "the length `len` may be 18, and 1 byte of hexdigits holds 1 digit (2 bytes would hold it)";
    errors(&of("hexdigits", 1, 17), &json!({"01": {}}), &[text]);
}

#[test]
fn checksums_in_characters() {
    let of = |kind: &str, length: u32, algorithm: &str, more: Value| {
        let left = [field("len", "length", 1, json!({})), field("cmd", "hex", 1, json!({}))];
        let a = json!([field("a", "hex", 1, json!({}))]);
        let command = json!({"data_frame_type": "01", "req_data_list": a, "resp_data_list": a});
        let mut out = template(&left, &[field("checksum", kind, length, more)], command);
        out["protocol"]["checksum"] = json!({"algorithm": algorithm});
        out
    };
    let same = |template: &Value, frame: &str| check(template, json!({"01": {}}), frame, frame);
    same(&of("dec", 5, "sum", json!({})), "7E 01 01 FE '00256' 0D");
    same(&of("dec", 3, "xor", json!({})), "7E 01 01 FE '254' 0D");
    same(&of("hexdigits", 2, "xor", json!({})), "7E 01 01 FE 'FE' 0D");
    // A sum is cut to its digits, as it is to bytes.
    same(&of("hexdigits", 2, "sum", json!({})), "7E 01 01 FE '00' 0D");
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(&[1, 1, 0xFE]);
    same(&of("dec", 5, "crc16", json!({})), &format!("7E 01 01 FE '{crc:05}' 0D"));
    same(&of("hexdigits", 4, "crc16", json!({})), &format!("7E 01 01 FE '{crc:04X}' 0D"));
    let low = crc.swap_bytes();
    same(&of("hexdigits", 4, "crc16", json!({"endian": "little"})), &format!("7E 01 01 FE '{low:04X}' 0D"));
    // Lower case is read.
    let (lower, upper) = (format!("7E 01 01 FE '{crc:04x}' 0D"), format!("7E 01 01 FE '{crc:04X}' 0D"));
    check(&of("hexdigits", 4, "crc16", json!({})), json!({"01": {}}), &lower, &upper);
    for wrong in ["00255", "  256", "0x100"] {
        check(&of("dec", 5, "sum", json!({})), json!({"01": {}}), &format!("7E 01 01 FE '{wrong}' 0D"), "bad_checksum");
    }
    let wrong = |template: Value, text: &str| errors(&template, &json!({"01": {}}), &[text]);
    let crc = "crc:CRC-16/MODBUS";
    wrong(
        of("dec", 4, "crc16", json!({})),
        &format!("`checksum` may be 65535, and 4 bytes of dec hold 4 digits (5 bytes would hold it): {crc}"),
    );
    wrong(
        of("hexdigits", 2, "crc16", json!({})),
        &format!("`checksum` may be 65535, and 2 bytes of hexdigits hold 2 digits (4 bytes would hold it): {crc}"),
    );
    wrong(of("dec", 4, "sum", json!({"endian": "little"})), "`endian` at a dec field (its digits have one order)");
}

#[test]
fn sizes_and_counts_in_characters() {
    for (kind, two) in [("dec", "02"), ("hexdigits", "02")] {
        let list = json!([
            field("n", kind, 2, json!({})),
            {"name": "all", "type": "list", "count": {"field": "n"}, "items": [field("id", kind, 2, json!({}))]},
            {"name": "m", "type": kind, "length": 2},
            {"name": "text", "type": "str", "length": {"field": "m"}},
        ]);
        let frame = format!("7E 0A 01 '{two}1122{two}ab' 0D");
        check(&plain(list.clone(), list.clone()), json!({"01": {}}), &frame, &frame);
        let rules =
            json!({"01": {"data": {"all": [{"id": 1}, {"id": 2}, {"id": 3}], "text": "#{text}#-#{all.1.id}#"}}});
        check(&plain(list.clone(), list.clone()), rules, &frame, "7E 0F 01 '0301020305ab-22' 0D");
        check(&plain(list.clone(), list), json!({"01": {}}), "7E 0A 01 'x2112202ab' 0D", "bad_length");
    }
    // A choice by characters, in either case.
    let choice = json!([
        field("tag", "hexdigits", 2, json!({})),
        {"name": "body", "type": "choice", "by": "tag", "cases": {"A1": [field("v", "dec", 2, json!({}))], "else": []}},
        {"name": "end", "type": "dec", "until": "2C"},
    ]);
    let t = plain(choice.clone(), choice);
    check(
        &t,
        json!({"01": {"data": {"tag": "A1", "body": {"v": 7}, "end": "123"}}}),
        "7E 07 01 'a142' '1,' 2C 0D".replace("'1,' 2C", "'77,'").as_str(),
        "7E 08 01 'A107123,' 0D",
    );
    assert_eq!(read(&t, "7E 07 01 'a14277,' 0D")[2..], ["A1", "42", "77"]);
}

#[test]
fn characters_that_are_no_digits_are_shown_as_they_are() {
    assert_eq!(read(&plain(one("dec", 3), json!([])), "7E 03 01 '042' 0D")[2], "042");
    assert_eq!(read(&plain(one("dec", 3), json!([])), "7E 03 01 ' 42' 0D")[2], " 42");
    assert_eq!(read(&plain(one("hexdigits", 3), json!([])), "7E 03 01 '0aF' 0D")[2], "0AF");
    assert_eq!(read(&plain(one("hexdigits", 3), json!([])), "7E 03 01 'x' FF '1' 0D")[2], "x\\xFF1");
}

/// A length in digits, text, a CRC in digits, and a line's end: as HJ 212 has it.
#[test]
fn a_protocol_of_characters() {
    let mut template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "cn",
        "checksum": {"field": "crc", "algorithm": "crc16", "from": "cn", "to": "data_frame"},
        "pdu_left": [field("start", "str", 2, json!({"value": "##"})), field("len", "dec", 4, json!({"value": "{{data_frame_length}}"})),
            field("cn", "dec", 4, json!({}))],
        "pdu_tailer": [field("crc", "hexdigits", 4, json!({})), field("end", "hex", 2, json!({"value": "0D0A"}))],
        "data_frame": [{"data_frame_type": "2011", "req_data_list": [{"name": "text", "type": "str", "length": "rest"}],
            "resp_data_list": [{"name": "text", "type": "str", "length": "rest"}]}],
    }});
    let crc = |text: &str| format!("{:04X}", crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(text.as_bytes()));
    let (asked, replied) = (crc("2011a=1"), crc("2011a=1;b=2"));
    let rules = || json!({"2011": {"data": {"text": "#{text}#;b=2"}}});
    let sent = format!("'##00072011a=1{asked}' 0D0A");
    check(&template, rules(), &sent, &format!("'##00112011a=1;b=2{replied}' 0D0A"));
    check(&template, rules(), &sent.replace("0007", "0008"), "bad_length");
    // Three digits do not hold the longest reply.
    template["protocol"]["pdu_left"][1]["length"] = json!(1);
    let told = product(&template, &json!({"2011": {"data": {"text": "0123456789"}}})).err().unwrap_or_default();
    assert!(told.contains("room for 5"), "{told}");
}

#[test]
fn scaled_numbers() {
    let of = |kind: &str, length: u32, more: Value| json!([field("a", kind, length, more)]);
    let reply = |list: Value, value: Value, expected: &str| {
        let length = list[0]["length"].as_u64().unwrap();
        let rules = json!({"01": {"data": {"a": value}}});
        check(&plain(json!([]), list.clone()), rules, "7E 00 01 0D", &format!("7E {length:02X} 01 {expected} 0D"));
        asks(
            &plain(list, json!([])),
            &[("a", &value.as_str().map_or_else(|| value.to_string(), str::to_owned))],
            &format!("7E {length:02X} 01 {expected} 0D"),
        );
    };
    let tenths = || json!({"scale": 0.1, "unit": "°C"});
    reply(of("uint", 2, tenths()), json!(25.5), "00FF");
    reply(of("uint", 2, tenths()), json!("25.5"), "00FF");
    reply(of("uint", 2, tenths()), json!(25), "00FA");
    reply(of("uint", 2, tenths()), json!(0.3), "0003");
    reply(of("uint", 2, json!({"scale": 0.1, "endian": "little"})), json!(25.5), "FF00");
    reply(of("int", 2, tenths()), json!(-0.1), "FFFF");
    reply(of("int_le", 2, tenths()), json!(-0.2), "FEFF");
    reply(of("uint", 1, json!({"offset": -40})), json!(25), "41");
    reply(of("uint", 1, json!({"scale": 0.5, "offset": -40})), json!(-39.5), "01");
    reply(of("bcd", 2, json!({"scale": 0.01})), json!(12.34), "1234");
    reply(of("dec", 4, json!({"scale": 0.01})), json!(1.5), "'0150'");
    reply(of("hexdigits", 4, tenths()), json!(25.5), "'00FF'");
    reply(of("f32", 4, json!({"scale": 10})), json!(15), "3FC00000");
    // The nearest, and of two the one farther from zero.
    reply(of("uint", 2, tenths()), json!(25.54), "00FF");
    reply(of("uint", 2, tenths()), json!(25.55), "0100");
    let dynamic = |list: Value, value: &str, expected: &str| {
        let rules = json!({"01": {"data": {"a": value}}});
        check(&plain(json!([]), list), rules, "7E 00 01 0D", &format!("7E 02 01 {expected} 0D"));
    };
    dynamic(of("uint", 2, tenths()), "${rand(25,25)}$", "00FA");
    dynamic(of("uint", 2, tenths()), "${choice(25.5)}$", "00FF");
    dynamic(of("uint", 2, tenths()), "${rand(25,25)}$.5", "00FF");
    // What the file and the functions may not give.
    let wrong = |list: Value, value: Value, text: &str| {
        errors(&plain(json!([]), list), &json!({"01": {"data": {"a": value}}}), &[text]);
    };
    wrong(of("uint", 1, tenths()), json!(25.6), "`25.6` is out of range (0 to 25.5 °C in 1 byte)");
    wrong(of("int", 1, tenths()), json!(12.8), "`12.8` is out of range (-12.8 to 12.7 °C in 1 byte)");
    wrong(of("uint", 1, tenths()), json!("warm"), "`warm` is not a number");
    wrong(of("uint", 1, tenths()), json!("${rand(20,30)}$"), "`${rand(20,30)}$` is no number of this field");
    let keys = |kind: &str, length: u32, more: Value, text: &str| {
        errors(&plain(json!([]), of(kind, length, more)), &json!({"01": {}}), &[text])
    };
    keys(
        "hex",
        2,
        json!({"scale": 0.1}),
        "`scale` and `offset` at a hex field (int, uint, bcd, sbcd, dec, hexdigits, f32, f64)",
    );
    keys("uint", 2, json!({"scale": 0}), "scale 0 (every value would be the same)");
    keys("dec", 30, json!({"scale": 0.1}), "30 bytes with a scale (at most 18)");
    keys("uint", 2, json!({"unit": "bytes"}), "`unit` needs `\"type\": \"length\"`");
}

#[test]
fn scaled_numbers_of_a_request() {
    let tenths = |name: &str, kind: &str, length: u32| field(name, kind, length, json!({"scale": 0.1, "unit": "V"}));
    let both = |asked: Value, replied: Value, rule: Value, sent: &str, expected: &str| {
        check(&plain(json!([asked]), json!([replied])), json!({"01": rule}), sent, expected);
    };
    let when = |value: Value| json!([{"when": {"a": value}, "data": {"b": 1}}]);
    let b = || field("b", "uint", 1, json!({}));
    both(tenths("a", "uint", 2), b(), when(json!(25.5)), "7E 02 01 00FF 0D", "7E 01 01 01 0D");
    both(tenths("a", "uint", 2), b(), when(json!(25.5)), "7E 02 01 00FE 0D", "unmatched");
    // The engineering value in text, and in a field of another scale; the bytes in one of the same.
    let copy = || json!({"data": {"b": "#{a}#"}});
    both(
        tenths("a", "int", 2),
        field("b", "str", 7, json!({})),
        copy(),
        "7E 02 01 FF01 0D",
        "7E 07 01 '-25.5' 0000 0D",
    );
    both(
        tenths("a", "uint", 1),
        field("b", "uint", 2, json!({"scale": 0.01})),
        copy(),
        "7E 01 01 FF 0D",
        "7E 02 01 09F6 0D",
    );
    both(tenths("a", "uint", 2), tenths("a", "uint", 2), json!({}), "7E 02 01 00FF 0D", "7E 02 01 00FF 0D");
    both(
        tenths("a", "uint", 2),
        field("a", "uint", 2, json!({"scale": 0.5})),
        json!({}),
        "7E 02 01 00FF 0D",
        "7E 02 01 0033 0D",
    );
    both(tenths("a", "uint", 2), tenths("b", "dec", 5), copy(), "7E 02 01 00FF 0D", "7E 05 01 '00255' 0D");
    assert_eq!(read(&plain(json!([tenths("a", "uint", 2)]), json!([])), "7E 02 01 00FF 0D")[2], "25.5 V");
    assert_eq!(read(&plain(json!([tenths("a", "dec", 2)]), json!([])), "7E 02 01 ' 1' 0D")[2], " 1 V");
    let wrong = |asked: Value, replied: Value, text: &str| {
        errors(&plain(json!([asked]), json!([replied])), &json!({"01": copy()}), &[text])
    };
    wrong(
        tenths("a", "uint", 2),
        field("b", "uint", 2, json!({})),
        "`#{a}#` has a scale and may have a fraction, and the field holds whole numbers (a field of the same scale, or text)",
    );
    wrong(
        tenths("a", "uint", 2),
        tenths("b", "uint", 1),
        "`#{a}#` may be 6553.5, and the field holds 0 to 25.5 V in 1 byte",
    );
    // Behind a field of variable size, and of variable size itself.
    let list = json!([{"name": "n", "type": "uint", "length": 1}, {"name": "v", "type": "dec", "until": "2C", "scale": 0.1},
        {"name": "all", "type": "list", "count": {"field": "n"}, "items": [field("t", "int", 1, json!({"scale": 0.5, "unit": "°C"}))]}]);
    let t = plain(list.clone(), list);
    check(
        &t,
        json!({"01": {"when": {"v": 25.5, "all.0.t": -1}, "data": {"v": 1.5, "all": [{"t": 2.5}, {"t": "#{all.0.t}#"}]}}}),
        "7E 06 01 01 '255,' FE 0D",
        "7E 06 01 02 '15,' 05 FE 0D",
    );
    assert_eq!(read(&t, "7E 06 01 01 '255,' FE 0D")[2..], ["1", "25.5", "-1 °C"]);
}

#[test]
fn names_of_values() {
    let door = |name: &str| field(name, "hex", 1, json!({"enum": {"00": "closed", "01": "open"}}));
    let level = |name: &str| field(name, "uint", 2, json!({"enum": {"0": "low", "300": "high"}}));
    let both = |asked: Value, replied: Value, rule: Value, sent: &str, expected: &str| {
        check(&plain(json!([asked]), json!([replied])), json!({"01": rule}), sent, expected);
    };
    let data = |value: &str| json!({"data": {"b": value}});
    let nothing = || field("x", "hex", 1, json!({}));
    both(nothing(), door("b"), data("open"), "7E 01 01 55 0D", "7E 01 01 01 0D");
    both(nothing(), door("b"), data("07"), "7E 01 01 55 0D", "7E 01 01 07 0D");
    both(nothing(), level("b"), data("high"), "7E 01 01 55 0D", "7E 02 01 012C 0D");
    both(nothing(), level("b"), data("${choice(high)}$"), "7E 01 01 55 0D", "7E 02 01 012C 0D");
    both(
        nothing(),
        level("b"),
        json!({"set": {"r": "high"}, "data": {"b": "${reg(r)}$"}}),
        "7E 01 01 55 0D",
        "7E 02 01 012C 0D",
    );
    let when = |value: &str| json!([{"when": {"a": value}, "data": {"b": "1"}}]);
    both(door("a"), field("b", "uint", 1, json!({})), when("open"), "7E 01 01 01 0D", "7E 01 01 01 0D");
    both(door("a"), field("b", "uint", 1, json!({})), when("open"), "7E 01 01 00 0D", "unmatched");
    let matched =
        json!([field("a", "hex", 1, json!({"enum": {"00": "closed", "01": "open"}, "value": "open", "match": true}))]);
    let mut twice = plain(matched, json!([field("b", "hex", 1, json!({"value": "11"}))]));
    check(&twice, json!({"01": {}}), "7E 01 01 01 0D", "7E 01 01 11 0D");
    twice["protocol"]["data_frame"].as_array_mut().unwrap().push(json!({"data_frame_type": "01", "req_data_list": [
        field("a", "hex", 1, json!({"enum": {"00": "closed"}, "value": "closed", "match": true}))], "resp_data_list": []}));
    check(&twice, json!({"01": {}}), "7E 01 01 00 0D", "7E 00 01 0D");
    asks(&plain(json!([level("a")]), json!([])), &[("a", "high")], "7E 02 01 012C 0D");
    let shown = |asked: Value, sent: &str, expected: &str| {
        assert_eq!(read(&plain(json!([asked]), json!([])), sent)[2], expected)
    };
    shown(door("a"), "7E 01 01 01 0D", "01 (open)");
    shown(door("a"), "7E 01 01 07 0D", "07");
    shown(level("a"), "7E 02 01 012C 0D", "300 (high)");
    // In a copy the value counts, and a choice's cases may be named.
    both(door("a"), field("a", "hex", 1, json!({})), json!({}), "7E 01 01 01 0D", "7E 01 01 01 0D");
    let choice = json!([door("tag"), {"name": "body", "type": "choice", "by": "tag", "cases": {"open": [field("v", "uint", 1, json!({}))], "closed": []}}]);
    check(
        &plain(choice.clone(), choice),
        json!({"01": {"data": {"tag": "open", "body": {"v": 9}}}}),
        "7E 01 01 00 0D",
        "7E 02 01 01 09 0D",
    );
    let wrong = |names: Value, text: &str| {
        errors(&plain(json!([]), json!([field("a", "hex", 1, json!({"enum": names}))])), &json!({"01": {}}), &[text])
    };
    wrong(json!({"0001": "open"}), "`0001` for a field of 1 byte (2 hex digits)");
    wrong(json!({"0G": "open"}), "`0G` for a field of 1 byte (2 hex digits)");
    wrong(json!({"0a": "open", "0A": "closed"}), "`0A` is the same value as `0a`");
    wrong(json!({"00": "open", "01": "open"}), "a second value named `open`");
    wrong(json!({"00": "bb"}), "the name `bb` also reads as a value of this field (another name)");
    wrong(json!({"00": ""}), "a value without a name");
    let told = json!({"01": data("opened")});
    errors(
        &plain(json!([]), json!([door("b")])),
        &told,
        &["`opened` is not hex (digits 0-9 and A-F, an optional 0x, spaces)"],
    );
    errors(
        &plain(json!([]), json!([field("a", "bit", 1, json!({"enum": {"0": "no"}}))])),
        &json!({"01": {}}),
        &["`enum` at a bit field (`bits` names bits; lengths and times have no names)"],
    );
}

#[test]
fn signed_decimal_digits() {
    let reply = |value: Value, more: Value, expected: &str| {
        let list = json!([field("a", "sbcd", 2, more)]);
        let rules = json!({"01": {"data": {"a": value}}});
        check(&plain(json!([]), list), rules, "7E 00 01 0D", &format!("7E 02 01 {expected} 0D"));
    };
    reply(json!(1234), json!({}), "1234");
    reply(json!(-1234), json!({}), "9234");
    reply(json!("-1"), json!({}), "8001");
    reply(json!(-7999), json!({}), "F999");
    reply(json!(-1234), json!({"endian": "little"}), "3492");
    reply(json!(-12.5), json!({"scale": 0.1}), "8125");
    reply(json!("${rand(-5,-5)}$"), json!({}), "8005");
    let own = |more: Value| plain(json!([field("a", "sbcd", 2, more)]), json!([field("b", "str", 6, json!({}))]));
    let copy = || json!({"01": {"data": {"b": "#{a}#"}}});
    check(&own(json!({})), copy(), "7E 02 01 8012 0D", "7E 06 01 '-12' 000000 0D");
    check(&own(json!({})), copy(), "7E 02 01 8000 0D", "7E 06 01 '0' 0000000000 0D");
    check(&own(json!({"scale": 0.1})), copy(), "7E 02 01 8012 0D", "7E 06 01 '-1.2' 0000 0D");
    // What is no digits has no value, and is shown as bytes.
    check(&own(json!({})), copy(), "7E 02 01 801A 0D", "7E 06 01 000000000000 0D");
    assert_eq!(read(&own(json!({})), "7E 02 01 801A 0D")[2], "801A");
    let wrong = |value: Value, text: &str| {
        errors(
            &plain(json!([]), json!([field("a", "sbcd", 2, json!({}))])),
            &json!({"01": {"data": {"a": value}}}),
            &[text],
        );
    };
    wrong(json!(8000), "`8000` is out of range (-7999 to 7999 in 2 bytes)");
    wrong(json!("${rand(0,9000)}$"), "`${rand(0,9000)}$` may be 0 to 9000, and the field holds -7999 to 7999");
}

/// The test's clock is 2026-01-12T17:30:03 in UTC.
#[test]
fn times() {
    let reply = |kind: &str, length: u32, more: Value, value: Value, expected: &str| {
        let list = json!([field("a", kind, length, more)]);
        let rules = json!({"01": {"data": {"a": value}}});
        check(&plain(json!([]), list.clone()), rules, "7E 00 01 0D", &format!("7E {length:02X} 01 {expected} 0D"));
    };
    let clock = || json!("${datetime()}$");
    reply("epoch", 4, json!({}), clock(), "69652F9B");
    reply("epoch", 4, json!({"endian": "little"}), clock(), "9B2F6569");
    reply("epoch", 4, json!({"offset_h": 8}), clock(), "6965A01B");
    reply("epoch", 6, json!({"unit": "ms"}), json!("${datetime(yyyyMMddHHmmss)}$"), "019BB341F578");
    reply("epoch", 4, json!({}), json!("2026-01-12T17:30:03"), "69652F9B");
    reply("epoch", 4, json!({}), json!(1_768_239_003), "69652F9B");
    reply("cp56time2a", 7, json!({}), clock(), "B80B1E110C011A");
    reply("cp56time2a", 7, json!({}), json!("2026-01-12T17:30:03.250 IV"), "B20C9E110C011A");
    // From a request, through the civil time; and by clients.
    let copy = || json!({"01": {"data": {"b": "#{a}#"}}});
    let both = |asked: Value, replied: Value, sent: &str, expected: &str| {
        check(&plain(json!([asked]), json!([replied])), copy(), sent, expected)
    };
    let of = |name: &str, kind: &str, length: u32| field(name, kind, length, json!({}));
    both(of("a", "epoch", 4), of("b", "cp56time2a", 7), "7E 04 01 69652F9B 0D", "7E 07 01 B80B1E110C011A 0D");
    both(of("a", "bcd", 6), of("b", "epoch", 4), "7E 06 01 260112173003 0D", "7E 04 01 69652F9B 0D");
    both(
        of("a", "cp56time2a", 7),
        of("b", "str", 29),
        "7E 07 01 B80B1E116C011A 0D",
        "7E 1D 01 '2026-01-12T17:30:03.000' 000000000000 0D",
    );
    let made = field("a", "epoch", 4, json!({"value": "${datetime()}$"}));
    check(
        &plain(json!([made.clone()]), json!([])),
        json!({"01": [{"when": {"a": "2026-01-12T17:30:03"}}]}),
        "7E 04 01 69652F9B 0D",
        "7E 00 01 0D",
    );
    asks(&plain(json!([of("a", "epoch", 4)]), json!([])), &[("a", "2026-01-12 17:30:03")], "7E 04 01 69652F9B 0D");
    let shown = |asked: Value, sent: &str, expected: &str| {
        assert_eq!(read(&plain(json!([asked]), json!([])), sent)[2], expected)
    };
    shown(of("a", "epoch", 4), "7E 04 01 69652F9B 0D", "2026-01-12T17:30:03");
    shown(of("a", "cp56time2a", 7), "7E 07 01 B80B9E110C011A 0D", "2026-01-12T17:30:03.000 IV");
    shown(of("a", "cp56time2a", 7), "7E 07 01 00000000000000 0D", "00000000000000");
    let wrong = |kind: &str, length: u32, more: Value, text: &str| {
        let told = &json!({"01": {}});
        errors(&plain(json!([]), json!([field("a", kind, length, more)])), told, &[text]);
    };
    wrong("epoch", 4, json!({"value": "17:30"}), "`17:30` is not a time (such as 2026-01-12T17:30:03, or its digits)");
    wrong("epoch", 4, json!({"value": "2107-01-01"}), "`2107-01-01` is out of range (a time since 1970 in 4 bytes)");
    wrong("epoch", 4, json!({"unit": "h"}), "unknown `h` (did you mean `s`?)");
    wrong("epoch", 4, json!({"offset_h": 8.1}), "offset_h 8.1 (-24 to 24, in quarters of an hour)");
    wrong("uint", 4, json!({"offset_h": 8}), "`offset_h` needs `\"type\": \"epoch\"`");
    wrong("cp56time2a", 6, json!({}), "length 6 for type cp56time2a (7 bytes)");
    wrong("cp56time2a", 7, json!({"endian": "little"}), "`endian` at a cp56time2a field (its bytes have one order)");
    let partly = "is no time of this field (the clock is `${datetime()}$`, a constant such as 2026-01-12T17:30:03)";
    wrong("epoch", 4, json!({"value": "${datetime(yyyyMMdd)}$"}), &format!("`${{datetime(yyyyMMdd)}}$` {partly}"));
    wrong("cp56time2a", 7, json!({"value": "${rand(1,9)}$"}), &format!("`${{rand(1,9)}}$` {partly}"));
}

#[test]
fn text_in_character_sets() {
    let of = |name: &str, length: u32, charset: &str| field(name, "str", length, json!({"charset": charset}));
    let reply = |field: Value, value: &str, expected: &str| {
        let length = field["length"].as_u64().unwrap();
        let rules = json!({"01": {"data": {"b": value}}});
        check(&plain(json!([]), json!([field])), rules, "7E 00 01 0D", &format!("7E {length:02X} 01 {expected} 0D"));
    };
    reply(of("b", 6, "gbk"), "京A1", "BEA941310000");
    reply(of("b", 6, "GB2312"), "京${choice(A)}$1", "BEA941310000");
    reply(of("b", 6, "utf-16le"), "京A", "AC4E41000000");
    reply(of("b", 6, "utf-8"), "京A", "E4BAAC410000");
    reply(of("b", 2, "gbk"), "", "0000");
    reply(field("b", "str", 4, json!({"pad": " "})), "ab", "'ab  '");
    reply(field("b", "str", 6, json!({"pad": " ", "charset": "gbk"})), "京", "BEA9 '    '");
    check(
        &plain(json!([]), json!([field("b", "str", 3, json!({"pad": " "}))])),
        json!({"01": {}}),
        "7E 00 01 0D",
        "7E 03 01 '   ' 0D",
    );
    let mut right = plain(json!([]), json!([of("b", 6, "utf-16be")]));
    right["protocol"]["data_frame"][0]["align"] = json!("right");
    check(&right, json!({"01": {"data": {"b": "A"}}}), "7E 00 01 0D", "7E 06 01 00000000 0041 0D");
    // Read, compared, copied as it is, and turned into another character set.
    let both = |asked: Value, replied: Value, rule: Value, sent: &str, expected: &str| {
        check(&plain(json!([asked]), json!([replied])), json!({"01": rule}), sent, expected);
    };
    let copy = || json!({"data": {"b": "#{a}#"}});
    both(
        of("a", 4, "gbk"),
        of("b", 12, "utf-8"),
        copy(),
        "7E 04 01 BEA94100 0D",
        "7E 0C 01 E4BAAC410000000000000000 0D",
    );
    both(of("a", 4, "gbk"), of("a", 4, "gbk"), json!({}), "7E 04 01 FFFF4100 0D", "7E 04 01 FFFF4100 0D");
    both(
        of("a", 4, "gbk"),
        of("b", 1, "gbk"),
        json!({"when": {"a": "京A"}, "data": {"b": "1"}}),
        "7E 04 01 BEA94100 0D",
        "7E 01 01 31 0D",
    );
    let set = json!({"set": {"r": "#{a}#"}, "data": {"b": "${reg(r)}$"}});
    both(of("a", 4, "gbk"), of("b", 12, "gbk"), set, "7E 04 01 BEA94100 0D", "7E 0C 01 BEA941000000000000000000 0D");
    let shown = |asked: Value, sent: &str, expected: &str| {
        assert_eq!(read(&plain(json!([asked]), json!([])), sent)[2], expected)
    };
    shown(of("a", 4, "gbk"), "7E 04 01 BEA94100 0D", "京A");
    shown(of("a", 4, "gbk"), "7E 04 01 FF07 4100 0D", "\u{FFFD}\\u{7}A");
    shown(field("a", "str", 4, json!({"pad": " "})), "7E 04 01 'ab  ' 0D", "ab");
    asks(&plain(json!([of("a", 4, "gbk")]), json!([])), &[("a", "京A")], "7E 04 01 BEA94100 0D");
    // As long as the text needs, and up to an end.
    let list = json!([field("n", "uint", 1, json!({})), {"name": "a", "type": "str", "charset": "gbk", "length": {"field": "n"}},
        {"name": "c", "type": "str", "charset": "gbk", "until": "7C"}]);
    let t = plain(list.clone(), list);
    check(
        &t,
        json!({"01": {"data": {"a": "温度", "c": "#{a}#!"}}}),
        "7E 06 01 03 BEA941 7C 0D 0D".replace(" 0D 0D", " 0D").replace("06", "05").as_str(),
        "7E 0A 01 04 CEC2B6C8 BEA94121 7C 0D",
    );
    assert_eq!(read(&t, "7E 05 01 03 BEA941 7C 0D")[2..], ["3", "京A", ""]);
    let wrong = |field: Value, value: Value, text: &str| {
        errors(&plain(json!([]), json!([field])), &json!({"01": {"data": {"b": value}}}), &[text]);
    };
    wrong(of("b", 8, "gbk"), json!("\u{1F600}"), "`\u{1F600}` is no text of gbk (it lacks a character)");
    wrong(of("b", 3, "gbk"), json!("京A1"), "`京A1` is longer than the field (3 bytes)");
    wrong(
        of("b", 8, "klingon"),
        json!("a"),
        "`klingon`: no character set has this label (such as gbk, big5, utf-16le)",
    );
    wrong(field("b", "hex", 2, json!({"charset": "gbk"})), json!("00"), "`charset` needs `\"type\": \"str\"`");
    wrong(field("b", "str", 2, json!({"pad": "ab"})), json!("a"), "pad `ab` (one character of one byte)");
    wrong(
        of("b", 8, "gbk"),
        json!("${choice(a,\u{1F600})}$"),
        "`${choice(a,\u{1F600})}$` has a character in `\u{1F600}` that the character set of this field lacks",
    );
}
