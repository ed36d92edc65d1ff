//! Limits of configuration files, each reached and passed by one: `limit_NAME`. docs/internals/limits.md has their list.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::{expr, field};
use super::{check, files, told_by};
use crate::config::near;
use serde_json::{Value, json};

/// `at` that many `one`s the file is right, one more is told with this line.
fn list(pointer: &str, most: usize, one: impl Fn(usize) -> Value, line: &str) {
    check(pointer, (0..most).map(&one).collect(), &[]);
    check(pointer, (0..=most).map(&one).collect(), &[line]);
}

/// The value fits, the next one is told with this line.
fn value(pointer: &str, fits: Value, past: Value, line: &str) {
    check(pointer, fits, &[]);
    check(pointer, past, &[line]);
}

fn lines(with: &Value) -> Vec<String> {
    told_by(with, |diags| diags.lines().collect())
}

/// A key of `limits`: from `low` to `high`.
fn of_limits(key: &str, low: u64, high: u64) {
    let at = "/sys_config.json/fsu_list/0/limits";
    let told = |n: u64| format!("/fsu_list/0/limits/{key}: error: {n} ({low} to {high})");
    for (fits, past) in [(low, low - 1), (high, high + 1)] {
        value(at, json!({key: fits}), json!({key: past}), &told(past));
    }
}

#[test]
fn limit_clients_max_range() {
    of_limits("clients_max", 1, 65_536);
}

#[test]
fn limit_connections_max_range() {
    of_limits("connections_max", 1, 1_000_000);
}

#[test]
fn limit_connections_per_peer_max_range() {
    of_limits("connections_per_peer_max", 1, 1_000_000);
}

#[test]
fn limit_frame_deadline_ms_range() {
    of_limits("frame_deadline_ms", 10, 3_600_000);
}

#[test]
fn limit_idle_timeout_ms_range() {
    of_limits("idle_timeout_ms", 10, 86_400_000);
}

#[test]
fn limit_write_deadline_ms_range() {
    of_limits("write_deadline_ms", 10, 3_600_000);
}

#[test]
fn limit_write_buffer_bytes_max_range() {
    of_limits("write_buffer_bytes_max", 1_024, 1 << 30);
}

#[test]
fn limit_fsus_max() {
    let fsu = |name: &str, count: u32| json!({"fsuname": name, "port": 0, "protocol_type": "broadcast", "config_dir": ".", "count": count});
    let told = |list: Value| lines(&json!({"sys_config.json": {"fsu_list": list}}));
    let past = "/fsu_list/1/count: error: more than 1000000 FSUs";
    assert_eq!(told(json!([fsu("a", 1), fsu("b", 1_000_000)])), [past]);
    // As many as there may be: it is read, and only then there is something else that it lacks.
    let mut most = fsu("a", 1_000_000);
    most["protocol_type"] = json!("udp");
    let lacks = "/fsu_list/0: error: \"fsuid\" is missing (hex, up to 20 bytes; required for udp)";
    assert_eq!(told(json!([most])), [lacks]);
    assert_eq!(told(json!([fsu("a", 1_000_001)])), ["/fsu_list/0/count: error: count 1000001 (1 to 1000000)"]);
}

#[test]
fn limit_allow_max() {
    let one = |i: usize| json!(format!("192.0.2.{i}"));
    let line = |at: &str| format!("{at}/allow: error: 65 networks (1 to 64; without `allow` any centre may ask)");
    list("/sys_config.json/allow", 64, one, &line(""));
    list("/sys_config.json/fsu_list/0/allow", 64, one, &line("/fsu_list/0"));
}

#[test]
fn limit_from_max() {
    let with = |many: usize| {
        let from: Vec<Value> = (0..many).map(|i| json!(format!("192.0.2.{i}"))).collect();
        let connect = json!({"to": "192.0.2.1:9000", "from": from});
        let fsu = json!({"fsuname": "a", "protocol_type": "tcp", "config_dir": ".", "connect": connect});
        lines(&json!({"sys_config.json": {"fsu_list": [fsu]}}))
    };
    assert_eq!(with(64), [""; 0]);
    assert_eq!(with(65), ["/fsu_list/0/connect/from: error: 65 networks (1 to 64; without `from` the system chooses)"]);
}

#[test]
fn limit_devices_max() {
    let one =
        |i: usize| json!({"sub_dev_type": "01", "sub_dev_addr": format!("{i:02X}"), "protocol_template": "t.json"});
    check("/fsu_devices.json/device_list", (0..256).map(one).collect(), &[]);
    let more = (0..257).map(|i| one(i % 256)).collect();
    check("/fsu_devices.json/device_list", more, &["/: error: 257 devices (at most 256)"]);
}

#[test]
fn limit_name_bytes_max() {
    let what = "is not safe as a file name (letters, digits, _ - and the like, at most 200 bytes)";
    let line = format!("/fsu_list/0/fsuname: error: `{}...` {what}", "n".repeat(40));
    value("/sys_config.json/fsu_list/0/fsuname", json!("n".repeat(200)), json!("n".repeat(201)), &line);
    // Bytes, not characters.
    let told = format!("/fsu_list/0/fsuname: error: `{}...` {what}", "海".repeat(40));
    value("/sys_config.json/fsu_list/0/fsuname", json!("海".repeat(66)), json!("海".repeat(67)), &told);
}

#[test]
fn limit_seconds_max() {
    for key in ["heartbeat_interval", "client_timeout"] {
        let line = format!("/fsu_list/0/{key}: error: 31536000.5 s (0.01 to 31536000)");
        value(&format!("/sys_config.json/fsu_list/0/{key}"), json!(31_536_000), json!(31_536_000.5), &line);
    }
    let entry = |to: f64| json!([{"to_s": to, "offline": true}]);
    let line = "/faults_at/0/to_s: error: 31536001 s (0 to 31536000)";
    value("/sys_config.json/faults_at", entry(31_536_000.0), entry(31_536_001.0), line);
}

#[test]
fn limit_delay_ms_max() {
    let at = "/default.json/01";
    let most = 3_600_000;
    value(
        at,
        json!({"delay_ms": most}),
        json!({"delay_ms": most + 1}),
        "/01/delay_ms: error: 3600001 ms (0 to 3600000)",
    );
    let fixed = |ms: u32| json!({"delay": {"fixed": ms}});
    value(at, fixed(most), fixed(most + 1), "/01/delay/fixed: error: 3600001 ms (0 to 3600000)");
    for (key, what) in [
        ("uniform", "[least, most]"),
        ("normal", "[mean, standard deviation]"),
        ("lognormal", "[median, 99th percentile]"),
    ] {
        let pair = |ms: u32| json!({"delay": {key: [1, ms]}});
        let line = format!("/01/delay/{key}: error: should be {what}, in ms, 0 to 3600000");
        value(at, pair(most), pair(most + 1), &line);
    }
    let late = |ms: u32| json!({"faults": {"extra_delay_ms": {"p": 1, "ms": ms}}});
    value(at, late(most), late(most + 1), "/01/faults/extra_delay_ms/ms: error: 3600001 (1 to 3600000)");
}

#[test]
fn limit_burst_max() {
    let burst = |n: u32| json!({"cycle": [{}], "burst": n});
    value("/default.json/01", burst(1_000), burst(1_001), "/01/burst: error: burst 1001 (1 to 1000)");
}

/// `split` of an FSU's faults.
fn split(split: Value) -> Vec<String> {
    let mut main = files()["sys_config.json"].clone();
    main["fsu_list"][0]["protocol_type"] = json!("tcp");
    main["fsu_list"][0]["faults"] = json!({"split": split});
    lines(&json!({"sys_config.json": main}))
}

#[test]
fn limit_pieces_max() {
    assert_eq!(split(json!({"p": 1, "pieces": 64})), [""; 0]);
    assert_eq!(split(json!({"p": 1, "pieces": 65})), ["/fsu_list/0/faults/split/pieces: error: 65 (2 to 64)"]);
}

#[test]
fn limit_gap_ms_max() {
    assert_eq!(split(json!({"p": 1, "gap_ms": 60_000})), [""; 0]);
    assert_eq!(
        split(json!({"p": 1, "gap_ms": 60_001})),
        ["/fsu_list/0/faults/split/gap_ms: error: 60001 (1 to 60000)"]
    );
}

#[test]
fn limit_schedule_entries_max() {
    let one = |i: usize| json!({"from_s": i, "offline": true});
    list("/sys_config.json/faults_at", 1_000, one, "/faults_at/1000: error: more than 1000 entries");
}

/// The template with a reply of one field of that many bytes.
fn reply_of(field: usize) -> Value {
    let mut template = files()["t.json"].clone();
    template["protocol"]["data_frame"][0]["resp_data_list"] = json!([{"name": "power", "length": field}]);
    json!({"t.json": template, "default.json": {"01": {}}})
}

#[test]
fn limit_field_bytes_max() {
    let line = "/protocol/data_frame/0/resp_data_list/0/length: error: length 65001 for type hex (1 to 65000 bytes)";
    assert_eq!(lines(&reply_of(65_001)), [line]);
    // The field itself fits; the frame around it does not.
    assert_eq!(lines(&reply_of(65_000)), ["/protocol: error: a frame of 65005 bytes (at most 65000)"]);
}

#[test]
fn limit_frame_bytes_max() {
    // Header and tail take 5.
    assert_eq!(lines(&reply_of(64_995)), [""; 0]);
    assert_eq!(lines(&reply_of(64_996)), ["/protocol: error: a frame of 65001 bytes (at most 65000)"]);
    let fixed = "/t.json/protocol/total_length";
    let line = "/protocol/total_length: error: total_length 65001 (header and tail take 5, at most 65000)";
    value(fixed, json!(65_000), json!(65_001), line);
}

#[test]
fn limit_key_bytes_max() {
    let keyed = |sizes: [usize; 3]| {
        let mut template = files()["t.json"].clone();
        let names = ["a", "b", "c"];
        let field = |(name, size): (&str, usize)| json!({"name": name, "length": size});
        let parts = names.into_iter().zip(sizes).filter(|(_, size)| *size > 0);
        let fields: Vec<Value> = parts.clone().map(field).collect();
        template["protocol"]["pdu_left"].as_array_mut().unwrap().extend(fields);
        template["protocol"]["data_frame_type_flag"] = parts.clone().map(|(name, _)| json!(name)).collect();
        let keys: Vec<String> = parts.map(|(_, size)| "00".repeat(size)).collect();
        template["protocol"]["data_frame"][0]["data_frame_type"] = json!(keys);
        let rules = json!({keys.join("_"): {}});
        lines(&json!({"t.json": template, "default.json": rules}))
    };
    assert_eq!(keyed([8, 8, 0]), [""; 0]);
    let line = |n: usize| format!("/protocol/data_frame/0: error: a key of {n} bytes (at most 16, 8 a part)");
    assert_eq!(keyed([8, 8, 1]), [line(17)]);
    assert_eq!(keyed([9, 0, 0]), [line(9)]);
}

#[test]
fn limit_text_bytes_max_n14() {
    let line = |at: &str| format!("{at}: error: a text of 130001 bytes (a value has at most 130000)");
    let long = |n: usize| json!(format!("{}2B34", " ".repeat(n - 4)));
    let mut template = files()["t.json"].clone();
    template["protocol"]["data_frame"][0]["resp_data_list"] = json!([{"name": "power", "length": 2}]);
    let with = |rule: Value| lines(&json!({"t.json": template, "default.json": {"01": rule}}));
    assert_eq!(with(json!({"data": {"power": long(130_000)}})), [""; 0]);
    assert_eq!(with(json!({"data": {"power": long(130_001)}})), [line("/01/data/power")]);
    // Wherever a value is: in a cycle, a condition, a register, a list, a field of the template.
    assert_eq!(with(json!({"cycle": [{"power": long(130_001)}]})), [line("/01/cycle/0/power")]);
    assert_eq!(with(json!([{"when": {"phase": long(130_001)}}])), [line("/01/0/when/phase")]);
    assert_eq!(with(json!({"set": {"a": long(130_001)}})), [line("/01/set/a")]);
    let header = "/t.json/protocol/pdu_left/1/value";
    check(header, long(130_001), &[&line("/protocol/pdu_left/1/value")]);
    // A field as long as one may be, in hex, is written with a text as long as one may be.
    let mut template = reply_of(64_995);
    template["default.json"] = json!({"01": {"data": {"power": "A5".repeat(64_995)}}});
    assert_eq!(lines(&template), [""; 0]);
}

#[test]
fn limit_transfers_max() {
    transfer("transfers_max", 4_096);
}

#[test]
fn limit_transfer_bytes_max() {
    transfer("bytes_max", 256 << 20);
}

/// A key of `transfer`, from 1 to this.
fn transfer(key: &str, most: u64) {
    let told = |n: u64| {
        let shipped = include_str!("../../../../config/broadcast/template.json");
        let mut template: Value = serde_json::from_str(shipped).unwrap();
        template["protocol"]["transfer"][key] = json!(n);
        template["rule_file_list"] = json!(["none.json"]);
        let fsu = json!({"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."});
        let told = lines(&json!({"sys_config.json": {"fsu_list": [fsu]}, "t.json": template, "none.json": {}}));
        told.into_iter().filter(|line| line.contains("error")).collect::<Vec<_>>()
    };
    let line = |n: u64| format!("/protocol/transfer/{key}: error: {n} (1 to {most})");
    assert_eq!([told(1), told(most)].concat(), ["/rule_file_list/0: error"; 0]);
    assert_eq!(told(most + 1), [line(most + 1)]);
    assert_eq!(told(0), [line(0)]);
}

#[test]
fn limit_exact_max() {
    let port = |n: Value| {
        lines(&json!({"sys_config.json": {"log": {"maxSize": n}, "fsu_list": files()["sys_config.json"]["fsu_list"]}}))
    };
    // As an integer up to 64 bits; with a point or exponent as far as a double is exact.
    assert_eq!(port(json!(u64::MAX)), [""; 0]);
    let written = |text: &str| port(serde_json::from_str(text).unwrap());
    assert_eq!(written("9007199254740991.0"), [""; 0]);
    let told = "/log/maxSize: error: expected a whole number of at most 64 bits, found 9007199254740992.0";
    assert_eq!(written("9007199254740992.0"), [told]);
}

#[test]
fn limit_shown_chars_max() {
    let shown = |n: usize| lines(&json!({"default.json": {"01": {"data": {"power": "x".repeat(n)}}}})).concat();
    assert!(shown(40).contains(&format!("`{}` is", "x".repeat(40))), "{}", shown(40));
    assert!(shown(41).contains(&format!("`{}...` is", "x".repeat(40))), "{}", shown(41));
    let shown = |n: usize| lines(&json!({"default.json": {"01": {"delay_ms": "x".repeat(n)}}})).concat();
    assert!(shown(40).ends_with(&format!("found \"{}\"", "x".repeat(40))), "{}", shown(40));
    assert!(shown(41).ends_with(&format!("found \"{}...\"", "x".repeat(40))), "{}", shown(41));
    // The line is short however long the text is, and wherever it occurs.
    for value in [json!("y".repeat(100_000)), json!(format!("#{{power}}#{}", "y".repeat(100_000)))] {
        let told = lines(&json!({"default.json": {"01": {"data": {"shown": value}}}})).concat();
        assert!(!told.is_empty() && told.len() < 500, "{} bytes", told.len());
    }
}

#[test]
fn limit_area_fields_max() {
    let header = |n: usize| {
        let more = (3..n).map(|i| json!({"name": format!("f{i}"), "length": 1}));
        let first = files()["t.json"]["protocol"]["pdu_left"].as_array().unwrap().clone();
        Value::Array(first.into_iter().chain(more).collect())
    };
    let line = "/protocol/pdu_left/128: error: 129 fields of the header (at most 128)";
    value("/t.json/protocol/pdu_left", header(128), header(129), line);
}

#[test]
fn limit_refusal_ok_max() {
    let refusal = |n: usize| {
        let ok: Vec<String> = (0..n).map(|i| format!("{:02X}", i % 256)).collect();
        json!({"field": "address", "ok": ok})
    };
    let line = "/protocol/refusal: error: 257 values in `ok` (at most 256)";
    value("/t.json/protocol/refusal", refusal(256), refusal(257), line);
}

#[test]
fn limit_pointer_key_chars_max() {
    let told = |n: usize| lines(&json!({"default.json": {"01": {"k".repeat(n): 1}}})).concat();
    assert!(told(100).contains(&format!("/01/{}: warning", "k".repeat(100))), "{}", told(100));
    assert!(told(101).contains(&format!("/01/{}...: warning", "k".repeat(100))), "{}", told(101));
}

#[test]
fn limit_grown_max() {
    // Set from each other without growing, and growing each time.
    let rule = |text: &str| json!({"01": {"set": {"a": text, "b": "${reg(a)}$"}, "data": {"shown": "${reg(b)}$"}}});
    assert_eq!(lines(&json!({"default.json": rule("${reg(b)}$")})), [""; 0]);
    let told = lines(&json!({"default.json": rule("${reg(b)}$x")})).concat();
    assert!(told.ends_with("`${reg(b)}$` may be 4096 bytes long, and the field holds 60"), "{told}");
}

#[test]
fn limit_known_names_max_more_are_not_listed() {
    let check = |count: usize, more: &str| {
        let names: Vec<String> = (0..count).map(|n| format!("q{n}")).collect();
        let expected = format!(" (known: {}{more})", names[..count.min(64)].join(", "));
        // As long as nothing that it may be a misspelling of.
        assert_eq!(field::known("xxxxxxxxxxxx", names.iter().map(String::as_str)), expected);
    };
    check(64, "");
    check(65, ", ...");
}

#[test]
fn limit_names_max_and_looks_max_names_that_may_be_meant() {
    let (other, meant) = ("q", "level");
    let found = |before: usize| {
        let names = std::iter::repeat_n(other, before).chain([meant]);
        expr::nearest("levle", names)
    };
    let told = " (did you mean `level`?)";
    near::reset();
    assert_eq!((found(999), found(1_000)), (told.to_owned(), String::new()));
    near::reset();
    for number in 0..199 {
        assert_eq!(found(999), told, "{number}");
    }
    // 1,000 are left, and then none.
    assert_eq!((found(999), found(0)), (told.to_owned(), String::new()));
    near::reset();
    assert_eq!(found(0), told);
}

/// Commands of one key, each with its values in eight bytes: a third of them shares any of those.
fn of_one_key(count: usize) -> Vec<Value> {
    let entry = |number: usize| {
        let field = |place: u32| {
            let value = format!("{:02X}", number / 3usize.pow(place) % 3);
            json!({"name": format!("f{place}"), "length": 1, "value": value, "match": true})
        };
        json!({"data_frame_type": "01", "req_data_list": (0..8).map(field).collect::<Vec<_>>(), "resp_data_list": []})
    };
    (0..count).map(entry).collect()
}

#[test]
fn limit_same_key_compared_max_of_many_the_last_are_not_compared() {
    let told = |count: usize| {
        let mut entries = of_one_key(count);
        // The same as the first.
        entries.push(entries[0].clone());
        let mut t = files()["t.json"].take();
        t["protocol"]["data_frame"] = entries.into();
        let lines = lines(&json!({"t.json": t, "default.json": {}}));
        lines.iter().filter(|line| line.contains("has the same key")).count()
    };
    assert_eq!(told(500), 1);
    // A third of 6,000 for each, half of them before it: 6,000,000.
    assert_eq!(told(6_000), 0);
}
