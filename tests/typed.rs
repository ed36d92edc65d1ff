//! Numbers and text on the wire: a template, a request, and the reply, in each type.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod engineering;
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
