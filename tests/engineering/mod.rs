//! Engineering values, names of values, signed bcd, times and character sets.
#![allow(clippy::pedantic, clippy::unwrap_used)]

use super::{asks, check, errors, field, plain, read};
use serde_json::{Value, json};

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
    let many = |count: u32| {
        (0..count).map(|n| (n.to_string(), json!(format!("n{n}")))).collect::<serde_json::Map<String, Value>>()
    };
    let of = |count: u32| plain(json!([]), json!([field("a", "uint", 2, json!({"enum": many(count)}))]));
    errors(&of(1_024), &json!({"01": {}}), &[]);
    errors(&of(1_025), &json!({"01": {}}), &["1025 names (at most 1024)"]);
    errors(
        &plain(json!([]), json!([field("a", "hex", 1, json!({"unit": "V"}))])),
        &json!({"01": {}}),
        &["`unit` at a hex field (numbers, epoch and length have one)"],
    );
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
