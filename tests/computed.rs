//! Checksums, lengths and short digits as bytes: a template, a request, and the reply that the base format asks for.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::request::{self, encode};
use fsu_plan::wire::framer;
use naive::clock::Clock;
use naive::frame::Verify;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};

const ID: &str = "3230323530313235";

/// A field; `more` lays keys over it.
fn field(name: &str, kind: &str, length: u32, more: Value) -> Value {
    let mut field = json!({"name": name, "type": kind, "length": length});
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    field
}

/// A protocol with these fields in header and tail, between 7E and 0D, and commands selected by `cmd`.
fn protocol(left: &[Value], tail: &[Value], commands: Value, more: Value) -> Value {
    let start = field("start", "hex", 1, json!({"value": "7E"}));
    let end = field("end", "hex", 1, json!({"value": "0D"}));
    let (left, tail) = ([&[start], left].concat(), [tail, &[end]].concat());
    let mut protocol = json!({
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": left,
        "pdu_tailer": tail,
        "data_frame": commands,
    });
    protocol.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    protocol
}

/// A command `01` with these fields.
fn command(asked: &[Value], replied: &[Value]) -> Value {
    json!([{"data_frame_type": "01", "req_data_list": asked, "resp_data_list": replied}])
}

fn plain(name: &str, length: u32) -> Value {
    field(name, "hex", length, json!({}))
}

fn product(template: &Value, rules: &Value, verify: Verify) -> Product {
    let files = [("default.json".to_owned(), rules.clone())];
    Product::new(&Setup { template, files: &files, verify, fsuid: ID, device: (1, 1) }).unwrap()
}

fn template(protocol: &Value) -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol})
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

/// The request, answered strictly; `expected` is the reply or the reason that there is none.
fn check(template: &Value, rules: Value, sent: &str, expected: &str) {
    let mut product = product(template, &rules, Verify::Strict);
    let got = match product.respond(&bytes(sent), Clock::parse("2026-01-12T17:30:03")) {
        Outcome::Reply(reply, _) => hex::encode_upper(reply),
        Outcome::Silent => "silent".to_owned(),
        Outcome::Dropped(reason) => reason.to_owned(),
    };
    let reply = expected.replace(' ', "");
    assert!(got == expected || got == reply, "{sent} to {template}\n got {got}\nnot {expected}");
    // A stream is cut at the same place; a frame with a wrong length is not.
    let plan = &product.fleet.fsus[0].devices[0].template;
    let cut = framer::cut(plan, &bytes(sent));
    let right = match expected {
        "bad_length" => cut == framer::Cut::No,
        "bad_checksum" => true,
        _ => cut == framer::Cut::Frame(bytes(sent).len()),
    };
    assert!(right, "{sent}: {cut:?}");
    // What clients send of it is answered too.
    for command in &plan.commands {
        let mut raw = request::build(plan, command, &[]).unwrap();
        let mut wire = Vec::new();
        request::finish(plan, &mut raw, &mut wire);
        assert_eq!(encode(plan, command, &[]).unwrap(), wire);
        let outcome =
            self::product(template, &rules, Verify::Strict).respond(&wire, Clock::parse("2026-01-12T17:30:03"));
        assert!(matches!(outcome, Outcome::Reply(..)), "{}: {outcome:?}", hex::encode_upper(wire));
    }
}

fn length() -> Value {
    field("len", "length", 1, json!({}))
}

#[test]
fn n04_checksum_beside_protocol() {
    let protocol =
        protocol(&[length(), plain("cmd", 1)], &[plain("checksum", 1)], command(&[], &[plain("x", 1)]), json!({}));
    let rules = || json!({"01": {"data": {"x": "11"}}});
    let mut by_name = template(&protocol);
    by_name["checksum"] = json!({"algorithm": "xor"});
    check(&by_name, rules(), "7E 00 01 01 0D", "7E 01 01 11 11 0D");
    check(&by_name, rules(), "7E 00 01 02 0D", "bad_checksum");
    let mut by_place = template(&protocol);
    by_place["checksum_config"] = json!({"algorithm": "sum", "start": 1, "end": -2});
    check(&by_place, rules(), "7E 00 01 01 0D", "7E 01 01 11 13 0D");
}

#[test]
fn n04_checksum_around_itself() {
    let check_tail = |config: Value, kind: &str, length: u32, sent: &str, expected: &str| {
        let tail = [field("checksum", kind, length, json!({"endian": "little"}))];
        let more = json!({"checksum_config": config});
        let commands = command(&[plain("a", 2)], &[plain("a", 2)]);
        let left = [self::length(), plain("cmd", 1)];
        check(&template(&protocol(&left, &tail, commands.clone(), more.clone())), json!({"01": {}}), sent, expected);
    };
    let over_all = |algorithm: &str| json!({"algorithm": algorithm, "start": 1, "end": -1});
    check_tail(over_all("sum"), "hex", 2, "7E 02 01 AABB 6801 0D", "7E 02 01 AABB 6801 0D");
    check_tail(over_all("xor"), "hex", 1, "7E 02 01 AABB 12 0D", "7E 02 01 AABB 12 0D");
    check_tail(over_all("sum_xor"), "hex", 1, "7E 02 01 AABB 69 0D", "7E 02 01 AABB 69 0D");
    // Of 02 01 AA BB 00 00.
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(&[2, 1, 0xAA, 0xBB, 0, 0]).to_le_bytes();
    let frame = format!("7E 02 01 AABB {} 0D", hex::encode_upper(crc));
    check_tail(over_all("crc16"), "hex", 2, &frame, &frame);
    check_tail(over_all("crc16"), "hex", 2, "7E 02 01 AABB 0000 0D", "bad_checksum");
    // Half of itself: the other half is no part of the sum.
    let half = json!({"algorithm": "sum", "start": 1, "end": -2});
    check_tail(half, "hex", 2, "7E 02 01 AABB 6801 0D", "7E 02 01 AABB 6801 0D");
    // Itself alone.
    let alone = json!({"algorithm": "sum", "start": -3, "end": -1, "complement": "ones"});
    check_tail(alone, "hex", 2, "7E 02 01 AABB FFFF 0D", "7E 02 01 AABB FFFF 0D");
}

#[test]
fn n04_checksum_around_itself_in_the_header() {
    let left = [length(), field("sum", "hex", 2, json!({})), plain("cmd", 1)];
    let config = json!({"checksum_config": {"field": "sum", "algorithm": "sum", "start": 0, "end": -1}});
    let of = |more: Value| {
        let mut more = more;
        more["checksum_config"] = config["checksum_config"].clone();
        template(&protocol(&left, &[], command(&[plain("a", 1)], &[plain("a", 1)]), more))
    };
    check(&of(json!({})), json!({"01": {}}), "7E 01 0090 01 10 0D", "7E 01 0090 01 10 0D");
    check(&of(json!({})), json!({"01": {}}), "7E 01 0091 01 10 0D", "bad_checksum");
    // In characters the frame is summed before they are made.
    let sent = hex::encode_upper(b"\x7E010090") + &hex::encode_upper(b"0110\x0D");
    check(&of(json!({"encoding": "ascii_hex"})), json!({"01": {}}), &sent, &sent);
}

#[test]
fn n05_length_in_digits() {
    let of = |length: u32, endian: &str, size: u32| {
        let len = field("len", "bcd", length, json!({"endian": endian, "value": "{{data_frame_length}}"}));
        let commands = command(&[field("a", "hex", 12, json!({}))], &[field("b", "hex", size, json!({}))]);
        template(&protocol(&[len, plain("cmd", 1)], &[], commands, json!({})))
    };
    let (data, zeros) = ("00".repeat(12), "00".repeat(17));
    let sent = |length: &str| format!("7E {length} 01 {data} 0D");
    check(&of(1, "big", 17), json!({"01": {}}), &sent("13"), &format!("7E 18 01 {zeros} 0D"));
    check(&of(2, "little", 17), json!({"01": {}}), &sent("1300"), &format!("7E 1800 01 {zeros} 0D"));
    // 13 bytes in binary, digits that are none, and another number.
    for wrong in ["0D", "1A", "12"] {
        check(&of(1, "big", 17), json!({"01": {}}), &sent(wrong), "bad_length");
    }
}

#[test]
fn n05_checksum_in_digits() {
    let of = |algorithm: &str, length: u32, more: Value| {
        let tail = [field("checksum", "bcd", length, more)];
        let more = json!({"checksum": {"algorithm": algorithm}});
        template(&protocol(
            &[self::length(), plain("cmd", 1)],
            &tail,
            command(&[plain("a", 1)], &[plain("a", 1)]),
            more,
        ))
    };
    check(&of("sum", 2, json!({})), json!({"01": {}}), "7E 01 01 FE 0256 0D", "7E 01 01 FE 0256 0D");
    check(&of("sum", 2, json!({})), json!({"01": {}}), "7E 01 01 FE 0100 0D", "bad_checksum");
    check(&of("xor", 2, json!({"endian": "little"})), json!({"01": {}}), "7E 01 01 FE 5402 0D", "7E 01 01 FE 5402 0D");
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(&[1, 1, 0xFE]);
    let frame = format!("7E 01 01 FE {crc:06} 0D");
    check(&of("crc16", 3, json!({})), json!({"01": {}}), &frame, &frame);
}

#[test]
fn n05_short_digits_obey_align_and_padding() {
    let asked = [field("n", "bcd", 2, json!({})), field("u", "uint", 1, json!({}))];
    let check_all = |keys: Value, given: &str, number: &str, expected: &str| {
        let replied = [field("a", "bcd", 3, json!({}))];
        let mut commands = command(&asked, &replied);
        commands[0].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let template = template(&protocol(&[length(), plain("cmd", 1)], &[], commands, json!({})));
        for value in [given, number] {
            let rules = json!({"01": {"data": {"a": value}, "set": {"r": "#{u}#"}}});
            check(&template, rules, "7E 03 01 1234 0C 0D", &format!("7E 03 01 {expected} 0D"));
        }
    };
    let (left, right) = (json!({"align": "left", "padding": "EE"}), json!({"align": "right", "padding": "EE"}));
    check_all(left.clone(), "12", "${reg(r)}$", "12EEEE");
    check_all(right.clone(), "12", "#{u}#", "EEEE12");
    check_all(json!({}), "12", "#{u}#", "000012");
    // One of the two alone: the other's default.
    check_all(json!({"padding": "EE"}), "12", "#{u}#", "12EEEE");
    check_all(json!({"align": "left"}), "12", "${reg(r)}$", "120000");
    check_all(json!({"align": "right"}), "12", "#{u}#", "000012");
    // Another size, functions, and an odd number of digits.
    check_all(left.clone(), "1234", "#{n}#", "1234EE");
    check_all(right.clone(), "17", "${hour}$", "EEEE17");
    check_all(left.clone(), "2026", "${year(yyyy)}$", "2026EE");
    check_all(left.clone(), "1", "${seq()}$", "01EEEE");
    check_all(right.clone(), "123", "${choice(123)}$", "EE0123");
    check_all(left, "260112", "${datetime(yyMMdd)}$", "260112");
}

#[test]
fn n05_padding_of_a_request_is_no_part_of_its_value() {
    let asked = [field("n", "bcd", 2, json!({})), field("little", "bcd", 2, json!({"endian": "little"}))];
    let replied = [
        field("a", "bcd", 3, json!({})),
        field("u", "uint", 2, json!({})),
        field("little", "bcd", 2, json!({})),
        field("n", "bcd", 2, json!({})),
    ];
    let mut commands = command(&asked, &replied);
    commands[0]["padding"] = json!("EE");
    let template = template(&protocol(&[length(), plain("cmd", 1)], &[], commands, json!({})));
    let rules = || json!({"01": [{"when": {"n": "12"}, "data": {"a": "#{n}#", "u": "#{n}#"}}]});
    let sent = "7E 04 01 12EE 34EE 0D";
    let mut product = product(&template, &rules(), Verify::Strict);
    let outcome = product.respond(&bytes(sent), Clock::parse("2026-01-12T17:30:03"));
    assert_eq!(outcome, Outcome::Reply(bytes("7E 09 01 12EEEE 000C 34EE 12EE 0D"), 0));
}

#[test]
fn n05_functions_in_the_header_are_for_requests() {
    let left = [field("yy", "hex", 1, json!({"value": "${year(yy)}$"})), length(), plain("cmd", 1)];
    let asked = [field("at", "bcd", 3, json!({"value": "${datetime(HHmmss)}$"}))];
    let template = template(&protocol(&left, &[], command(&asked, &[plain("x", 1)]), json!({})));
    // A reply has the request's.
    check(&template, json!({"01": {}}), "7E 99 03 01 010203 0D", "7E 99 01 01 00 0D");
    check(&template, json!({"01": {"data": {"yy": "${year}$"}}}), "7E 99 03 01 010203 0D", "7E 26 01 01 00 0D");
    let product = product(&template, &json!({"01": {}}), Verify::Warn);
    let plan = &product.fleet.fsus[0].devices[0].template;
    let made: Vec<&str> = plan.commands[0].made.iter().map(|made| &*made.field.name).collect();
    assert_eq!(made, ["yy", "at"]);
    // The first field may be one; then nothing begins a frame.
    let mut without_start = template.clone();
    without_start["protocol"]["pdu_left"].as_array_mut().unwrap().remove(0);
    check(&without_start, json!({"01": {}}), "26 03 01 010203 0D", "26 01 01 00 0D");
}

#[test]
fn n04_the_field_of_a_checksum_is_the_tails_before_the_headers() {
    let named = |how: Value| {
        let left = [plain("checksum", 1), field("cmd", "hex", 1, json!({}))];
        let more = json!({"checksum": how});
        template(&protocol(&left, &[plain("checksum", 1)], command(&[], &[plain("x", 1)]), more))
    };
    let rules = || json!({"01": {"data": {"x": "11"}}});
    for how in [
        json!({"algorithm": "sum"}),
        json!({"algorithm": "sum", "field": "checksum"}),
        json!({"algorithm": "sum", "field": "{pdu_tailer}_checksum"}),
    ] {
        check(&named(how), rules(), "7E 55 01 56 0D", "7E 55 01 11 67 0D");
    }
    let header =
        json!({"algorithm": "sum", "field": "{pdu_left}.{checksum}", "from": "cmd", "to": "{pdu_tailer}_checksum"});
    check(&named(header), rules(), "7E 57 01 56 0D", "7E 68 01 11 56 0D");
}

#[test]
fn n04_the_last_field_of_the_tail_may_be_the_vendors_checksum() {
    let left = [field("len", "length", 1, json!({})), field("cmd", "hex", 1, json!({}))];
    let mut protocol = protocol(&left, &[], command(&[], &[plain("x", 1)]), json!({}));
    // A value of its own makes no end of it.
    protocol["pdu_tailer"] = json!([field("crc", "hex", 1, json!({"value": "00"}))]);
    let vendor = json!([{"vendor": "v", "checksum": {"field": "crc", "algorithm": "sum"}}]);
    let files = [("default.json".to_owned(), json!({"01": {"data": {"x": "11"}}})), ("vendor.json".to_owned(), vendor)];
    let template = template(&protocol);
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: ID, device: (1, 1) };
    let outcome = Product::new(&setup).unwrap().respond(&bytes("7E 00 01 01"), Clock::parse("2026-01-12T17:30:03"));
    let Outcome::Reply(reply, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reply, bytes("7E 01 01 11 13"));
}

#[test]
fn n02_a_computed_header_field_in_a_list_stays_what_it_is() {
    let listed = |name: &str| field(name, "hex", 1, json!({"value": "{{data_frame_length}}"}));
    let left = [field("len", "length", 1, json!({"of": ["cmd", "data_frame"]})), field("cmd", "hex", 1, json!({}))];
    let asked = [listed("{pdu_left}_len"), listed("{pdu_tailer}_checksum"), plain("a", 1)];
    let replied = [listed("{pdu_left}_len"), plain("x", 1)];
    let protocol =
        protocol(&left, &[plain("checksum", 1)], command(&asked, &replied), json!({"checksum": {"algorithm": "sum"}}));
    check(&template(&protocol), json!({"01": {"data": {"x": "11"}}}), "7E 02 01 22 25 0D", "7E 02 01 11 14 0D");
}

#[test]
fn n05_start_and_end_are_one_character_a_byte() {
    let count =
        |name: &str| field(name, "length", 1, json!({"unit": "chars", "of": ["start", "cmd", "data_frame", "end"]}));
    let more = json!({"encoding": "ascii_hex"});
    // One byte of start and end each, two of the others: cmd, the length itself, x.
    let data = protocol(&[plain("cmd", 1)], &[], command(&[], &[count("n"), plain("x", 1)]), more.clone());
    let text = |text: &str| format!("7E {} 0D", hex::encode_upper(text));
    check(&template(&data), json!({"01": {"data": {"x": "11"}}}), &text("01"), &text("010811"));
    let header = protocol(&[count("n"), plain("cmd", 1)], &[], command(&[], &[plain("x", 1)]), more);
    check(&template(&header), json!({"01": {"data": {"x": "11"}}}), &text("0401"), &text("060111"));
}
