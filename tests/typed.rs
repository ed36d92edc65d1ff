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
    both(tenths("a", "int", 2), field("b", "str", 6, json!({})), copy(), "7E 02 01 FF01 0D", "7E 06 01 '-25.5' 00 0D");
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
        &["`enum` at a bit field (`bits` names bits; a length is computed)"],
    );
}
