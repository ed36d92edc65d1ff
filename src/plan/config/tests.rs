//! Files in, diagnostics out.

use super::at::{At, Json};
use super::budget::Budget;
use super::load::Loader;
use super::raw::{RawDevices, RawFsu, RawRules, RawSysConfig, RawTemplate, RawVendors};
use super::source::Source;
use serde::de::DeserializeOwned;
use std::path::Path;

mod charges;
mod sources;
mod told;

/// Reads `text` as a `T` from a file `f.json`; returns it with the lines that are told.
fn load<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> (Option<At<T>>, Vec<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f.json");
    std::fs::write(&path, text).expect("a file");
    let mut loader = Loader::new(Source::Directory);
    let value = loader.load(&path, None);
    let prefix = format!("{}/", dir.path().display());
    (value, loader.diags.lines().map(|line| line.replace(&prefix, "")).collect())
}

fn check<T: DeserializeOwned>(text: impl AsRef<[u8]>, expected: &[&str]) {
    let (_, lines) = load::<T>(text);
    assert_eq!(lines, expected);
}

#[test]
fn control_characters_are_told_as_text() {
    check::<RawSysConfig>(
        r#"{"log": {"x\u001b[31m\r\n/": {}}, "performance": "\u009b2J"}"#,
        &[
            r#"f.json:1:10: /log/x\u{1b}[31m\r\n~1: warning: unknown key "x\u001b[31m\r\n/" (known: level, dir, file, maxSize, maxAge, async_write, language, on_full)"#,
            r#"f.json:1:50: /performance: error: expected an object, found "\u{9b}2J""#,
        ],
    );
}

#[test]
fn places_are_lines_columns_and_pointers() {
    check::<RawSysConfig>(
        "{\n  \"fsu_list\": [\n    {\"fsuname\": \"a\"},\n    {\"fsuname\": \"海能\", \"port\": \"x\"}\n  ]\n}",
        &["f.json:4:31: /fsu_list/1/port: error: expected a whole number, found \"x\""],
    );
}

#[test]
fn all_errors_are_told_at_once() {
    check::<RawSysConfig>(
        r#"{"log": {"level": 3, "maxSize": -1, "maxAge": 1.5, "async_write": "yes"},
            "performance": [], "fsu_list": [7, {"port": {}, "count": "2"}, null], "sc_iot_center": "here"}"#,
        &[
            "f.json:1:19: /log/level: error: expected a text, found 3 (write \"3\", with quotes)",
            "f.json:1:33: /log/maxSize: error: expected a whole number from 0 up, found -1",
            "f.json:1:47: /log/maxAge: error: expected a whole number, found 1.5",
            "f.json:1:67: /log/async_write: error: expected true or false, found \"yes\"",
            "f.json:2:28: /performance: error: expected an object, found a list",
            "f.json:2:45: /fsu_list/0: error: expected an object, found 7",
            "f.json:2:57: /fsu_list/1/port: error: expected a whole number, found an object",
            "f.json:2:70: /fsu_list/1/count: error: expected a whole number, found \"2\" (write 2, without quotes)",
            "f.json:2:76: /fsu_list/2: error: expected an object, found null",
            "f.json:2:100: /sc_iot_center: error: expected an object, found \"here\"",
        ],
    );
}

#[test]
fn what_is_right_is_kept_beside_what_is_wrong() {
    let (value, lines) = load::<RawSysConfig>(r#"{"fsu_list": [{"fsuname": "a", "port": "x"}, 1, {"fsuname": "b"}]}"#);
    let list = value.and_then(|v| v.value.fsu_list).expect("a list");
    let names: Vec<_> = list.iter().map(|f| f.fsuname.as_ref().map_or("", |n| n.value.as_str())).collect();
    assert_eq!((names, lines.len()), (vec!["a", "b"], 2));
}

#[test]
fn unknown_keys_are_warnings_with_a_suggestion() {
    check::<RawSysConfig>(
        r#"{"fsu-list": [], "Performance": {}, "log": {"max_size": 1, "colour": 2}}"#,
        &[
            "f.json:1:2: /fsu-list: warning: unknown key \"fsu-list\" (did you mean \"fsu_list\"?)",
            "f.json:1:18: /Performance: warning: unknown key \"Performance\" (did you mean \"performance\"?)",
            "f.json:1:45: /log/max_size: warning: unknown key \"max_size\" (did you mean \"maxSize\"?)",
            "f.json:1:60: /log/colour: warning: unknown key \"colour\" \
             (known: level, dir, file, maxSize, maxAge, async_write, language, on_full)",
        ],
    );
}

#[test]
fn comments_are_no_unknown_keys() {
    check::<RawSysConfig>(
        r#"{"desc": 1, "description": [], "_a": {}, "x-b": null, "$schema": "s.json", "fsu_list": [{"_": 0}]}"#,
        &[],
    );
    check::<RawSysConfig>(
        r#"{"Desc": 1, "X-b": 2}"#,
        &[
            "f.json:1:2: /Desc: warning: unknown key \"Desc\" \
             (known: log, performance, sc_iot_center, allow, allow_amplification, limits, fsu_csv, fsu_list, faults, faults_at)",
            "f.json:1:13: /X-b: warning: unknown key \"X-b\" \
             (known: log, performance, sc_iot_center, allow, allow_amplification, limits, fsu_csv, fsu_list, faults, faults_at)",
        ],
    );
}

#[test]
fn pointers_are_escaped() {
    check::<RawRules>(
        r#"{"a/b~c": {"delay_ms": true}}"#,
        &["f.json:1:24: /a~1b~0c/delay_ms: error: expected a number, found true"],
    );
}

#[test]
fn duplicate_keys_are_errors_at_the_second() {
    check::<RawDevices>(
        "{\"device_list\": [],\n \"x-a\": {\"k\": 1, \"k\": 2},\n \"device_list\": []}",
        &[
            "f.json:2:18: /x-a/k: error: the key \"k\" is given twice (first at 2:10)",
            "f.json:3:2: /device_list: error: the key \"device_list\" is given twice (first at 1:2)",
        ],
    );
}

#[test]
fn wrong_types_in_nested_lists() {
    check::<RawTemplate>(
        r#"{"rule_file_list": ["a", 1], "protocol": {"data_frame": [
            {"resp_data_list": [{"name": "a", "bits": {"b": [0, "1"], "c": 5}}, "x"], "data_frame_type": ["1", 2]}
        ], "data_frame_type_flag": {}, "checksum_config": {"start": 99999999999999999999}}}"#,
        &[
            "f.json:1:26: /rule_file_list/1: error: expected a text, found 1 (write \"1\", with quotes)",
            "f.json:2:65: /protocol/data_frame/0/resp_data_list/0/bits/b/1: error: \
             expected a whole number, found \"1\" (write 1, without quotes)",
            "f.json:2:76: /protocol/data_frame/0/resp_data_list/0/bits/c: error: expected a list, found 5",
            "f.json:2:81: /protocol/data_frame/0/resp_data_list/1: error: expected an object, found \"x\"",
            "f.json:2:112: /protocol/data_frame/0/data_frame_type/1: error: \
             expected a text, found 2 (write \"2\", with quotes)",
            "f.json:3:36: /protocol/data_frame_type_flag: error: expected a text, found an object",
            "f.json:3:69: /protocol/checksum_config/start: error: \
             expected a whole number of at most 64 bits, found 1e+20",
        ],
    );
}

#[test]
fn numbers_may_be_written_either_way() {
    let (value, lines) = load::<RawFsu>(r#"{"port": 6001.0, "heartbeat_interval": 5, "count": 18446744073709551615}"#);
    let fsu = value.expect("an FSU").value;
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(fsu.port.map(|p| p.value), Some(6001));
    assert_eq!(fsu.heartbeat_interval.map(|p| p.value), Some(5.0));
    assert_eq!(fsu.count.map(|p| p.value), Some(u64::MAX));
}

#[test]
fn null_is_absent() {
    let (value, lines) = load::<RawFsu>(r#"{"port": null, "limits": null, "faults": null}"#);
    let fsu = value.expect("an FSU").value;
    assert!(lines.is_empty() && fsu.port.is_none() && fsu.limits.is_none() && fsu.faults.is_none());
}

#[test]
fn rules_are_in_file_order_and_one_or_many() {
    let (value, lines) = load::<RawRules>(
        r#"{"desc": "comment", "_c": 1, "$schema": "s", "48_F0": {"data": {"desc": "kept", "_no": 1, "a": [1, {"b": null}]}},
            "description": ["a", "b"], "108B": [{"when": {"x": "01"}}, {"timeout": true}]}"#,
    );
    assert_eq!(lines, Vec::<String>::new());
    let rules = value.expect("rules").value.0.0;
    let keys: Vec<_> = rules.iter().map(|(k, list)| (k.value.as_str(), list.0.len())).collect();
    // A list that holds no rule is an empty entry only where it is no description.
    assert_eq!(keys, [("48_F0", 1), ("108B", 2)]);
    let data = &rules[0].1.0[0].data.as_ref().expect("data").0;
    let keys: Vec<_> = data.iter().map(|(k, _)| k.value.as_str()).collect();
    assert_eq!(keys, ["desc", "a"]);
    let Json::Arr(list) = &data[1].1.value else { panic!("no list: {data:?}") };
    assert_eq!(list[0].value, Json::Num(1.into()));
}

#[test]
fn a_list_at_the_root() {
    let (value, lines) = load::<RawVendors>(r#"[{"vendor": "a", "checksum": {"algorithm": "sum"}}, 3]"#);
    assert_eq!(value.map(|v| v.value.0.len()), Some(1));
    assert_eq!(lines, ["f.json:1:53: /1: error: expected an object, found 3"]);
    check::<RawVendors>("{}", &["f.json:1:1: /: error: expected a list, found an object"]);
}

#[test]
fn a_byte_order_mark_is_tolerated() {
    check::<RawFsu>("\u{feff}{\"port\": true}", &["f.json:1:10: /port: error: expected a whole number, found true"]);
}

#[test]
fn syntax_errors_have_a_place() {
    for text in ["", " \n\t\n", "\u{feff}"] {
        check::<RawFsu>(text, &["f.json:1:1: /: error: the file is empty"]);
    }
    check::<RawFsu>("{\n  \"a\": 1,\n}", &["f.json:3:1: /: error: trailing comma"]);
    check::<RawFsu>("[1,]", &["f.json:1:4: /: error: trailing comma"]);
    check::<RawFsu>("{} x", &["f.json:1:4: /: error: trailing characters"]);
    check::<RawFsu>("{\"海\": [1,\n \"海\" 2]}", &["f.json:2:6: /: error: expected `,` or `]`"]);
    // Only seen when the value itself is opened.
    check::<RawFsu>("{\"a\": 1,\n \"b\": [\n  1e999]}", &["f.json:3:7: /: error: number out of range"]);
    check::<RawFsu>("{\"a\":\n \"\\ud800\"}", &["f.json:2:9: /: error: unexpected end of hex escape"]);
    check::<RawFsu>(b"{\n\"\xff\": 1}", &["f.json:2:2: /: error: the text is not UTF-8"]);
}

#[test]
fn n19_a_comment_is_refused_as_one() {
    let comment = |line_column: &str, mark: &str| {
        let text =
            format!("a `{mark}` comment, which JSON does not have (the keys `desc` and `_anything` hold comments)");
        format!("f.json:{line_column}: /: error: {text}")
    };
    let told = |text: &str, line_column: &str, mark: &str| check::<RawFsu>(text, &[&comment(line_column, mark)]);
    told("// first\n{}", "1:1", "//");
    told("{\n  // before a key\n  \"port\": 1}", "2:3", "//");
    told("{\"port\": // before a value\n 1}", "1:10", "//");
    told("{\"port\": 1 // behind a value\n}", "1:12", "//");
    told("{\"port\": 1, // behind a comma\n}", "1:13", "//");
    told("{\"port\": 1 /* between */, \"count\": 1}", "1:12", "/*");
    told("{\"x\": [1, # in a list\n 2]}", "1:11", "#");
    told("{}\n// last", "2:1", "//");
    // In a text they are text; a division is no comment.
    check::<RawFsu>("{\"host\": \"// /* #\"}", &[]);
    check::<RawFsu>("{\"host\": 1 / 2}", &["f.json:1:12: /: error: expected `,` or `}`"]);
}

#[test]
fn limit_depth_max_deep_nesting_is_an_error() {
    check::<RawFsu>(
        "{\"a\":".to_owned() + &"[".repeat(63) + &"]".repeat(63) + "}",
        &[
            "f.json:1:2: /a: warning: unknown key \"a\" (known: template, fsuname, fsuid, host, hosts, port, ports, protocol_type, \
         heartbeat_interval, heartbeat_enable, heartbeat_reply, config_dir, count, client_timeout, accept_any_id, \
         accept_rtn_flags, allow, connect, tls, limits, params, faults)",
        ],
    );
    for depth in [65, 1_000_000] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        check::<RawFsu>(text, &["f.json:1:65: /: error: objects and lists are nested deeper than 64"]);
    }
}

#[test]
fn limit_file_bytes_max_large_files_are_an_error() {
    check::<RawFsu>(" ".repeat(super::node::FILE_BYTES_MAX - 2) + "{}", &[]);
    let text = " ".repeat(super::node::FILE_BYTES_MAX - 1) + "{}";
    check::<RawFsu>(text, &["f.json: error: cannot be read: it has more than 16777216 bytes"]);
}

#[test]
fn an_unreadable_file_is_told_where_it_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let main = dir.path().join("main.json");
    std::fs::write(&main, "{\"config_dir\":\n  \"x\"}").expect("a file");
    let mut loader = Loader::new(Source::Directory);
    let fsu = loader.load::<RawFsu>(&main, None).expect("an FSU");
    let named_at = fsu.config_dir.as_ref().map(|d| d.pos);
    let path = loader.join(&main, "./y/../x.json");
    assert!(!loader.exists(&path) && loader.exists(&main));
    for _ in 0..2 {
        assert!(loader.load::<RawFsu>(&path, named_at).is_none());
    }
    let dir = dir.path().display();
    let line = format!(
        "{dir}/main.json:2:3: /config_dir: error: {dir}/x.json cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [line]);
    assert!(!loader.diags.has_unreadable());
    assert!(loader.load::<RawFsu>(&path, None).is_none());
    assert!(loader.diags.has_unreadable());
}

#[test]
fn a_missing_key_is_not_one_with_a_wrong_value() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f.json");
    std::fs::write(&path, r#"{"port": "x", "host": null}"#).expect("a file");
    let mut loader = Loader::new(Source::Directory);
    let fsu = loader.load::<RawFsu>(&path, None).expect("an FSU");
    for key in ["port", "host", "fsuname"] {
        loader.diags.missing(fsu.pos, key, "a value");
    }
    let path = path.display();
    let expected = [
        format!("{path}:1:1: /: error: \"host\" is missing (a value)"),
        format!("{path}:1:1: /: error: \"fsuname\" is missing (a value)"),
        format!("{path}:1:10: /port: error: expected a whole number, found \"x\""),
    ];
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_is_read_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("f.json");
    std::fs::write(&path, r#"{"port": "x"}"#).expect("a file");
    let mut loader = Loader::new(Source::Directory);
    for _ in 0..3 {
        assert!(loader.load::<RawFsu>(&path, None).is_some());
        assert!(loader.load::<RawDevices>(&dir.path().join("./f.json"), None).is_some());
    }
    assert_eq!(loader.diags.files.len(), 1);
    // The wrong port, and a key that fsu_devices.json does not know.
    assert_eq!((loader.diags.errors(), loader.diags.warnings()), (1, 1));
}

#[test]
fn paths_are_cleaned() {
    let check = |base: &str, relative: &str, expected: &str| {
        assert_eq!(Source::Embedded.join(Path::new(base), relative), Path::new(expected), "{base} {relative}");
    };
    check("sys_config.json", "fsu/a", "fsu/a");
    check("fsu/fsu_devices.json", "../template/./x.json", "template/x.json");
    check("fsu/fsu_devices.json", "../../../x.json", "x.json");
    check("fsu/fsu_devices.json", "/x.json", "x.json");
    assert_eq!(Source::Directory.join(Path::new("a/b.json"), "../c.json"), Path::new("c.json"));
    assert_eq!(Source::Directory.join(Path::new("a/b.json"), "../../c.json"), Path::new("../c.json"));
    assert_eq!(Source::Directory.join(Path::new("a/b.json"), "/c.json"), Path::new("/c.json"));
    assert_eq!(Source::Embedded.show(Path::new("a.json")), "embedded:a.json");
}

#[test]
fn limit_nodes_max() {
    use super::node::{NODES_MAX, Tree};
    // The list itself is one.
    let list = |elements: usize| format!("[{}0]", "0,".repeat(elements - 1));
    let parsed = |elements: usize| {
        Tree::parse("f.json", list(elements), &Budget::default()).map(|_| ()).map_err(|error| error.text)
    };
    assert_eq!(parsed(NODES_MAX - 1), Ok(()));
    assert_eq!(parsed(NODES_MAX), Err("the file holds more than 2000000 keys and values".into()));
}

#[test]
fn limit_diags_max() {
    use super::at::Pos;
    use super::diag::{DIAGS_MAX, Diags};
    let told = |n: usize| {
        let mut diags = Diags::default();
        for i in 0..n {
            diags.warn(Pos::default(), format!("{i:05}"));
            diags.info(Pos::default(), format!("{i:05}"));
        }
        assert_eq!((diags.errors(), diags.warnings()), (0, n));
        (diags.lines().count(), diags.lines().last(), diags.all_lines().count())
    };
    assert_eq!(told(DIAGS_MAX), (DIAGS_MAX, Some("?: warning: 09999".into()), 2 * DIAGS_MAX));
    let more = Some("... and 10 more".into());
    assert_eq!(told(DIAGS_MAX + 10), (DIAGS_MAX + 1, more, 2 * DIAGS_MAX + 1));
}
