//! The real program: the commands other than `run`, and their exit codes.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use fsu_plan::texts::chinese;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fsu_mock(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fsu-mock"));
    command.args(args).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it; returns stdout, after checking the exit code.
fn check(args: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } = fsu_mock(args).output().expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    if code == 2 && stdout.is_empty() {
        assert!(!stderr.is_empty(), "{args:?} says nothing");
    }
    stdout.into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn help_tells_the_exit_codes() {
    assert!(check(&["--help"], 0).contains("Exit codes:"));
    assert!(check(&["help", "run"], 0).contains("--shards"));
    assert!(check(&["--version"], 0).starts_with("fsu-mock "));
}

#[test]
fn wrong_arguments_are_usage_errors() {
    check(&[], 2);
    check(&["check"], 2);
    check(&["serve"], 2);
    check(&["schema", "rule"], 2);
    check(&["run", "--shards", "0"], 2);
    check(&["run", "--bind", "localhost:1"], 2);
    check(&["explain", "--fsu", "a", "--now", "noon", "FF"], 2);
}

#[test]
fn check_tells_what_cannot_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = text(dir.path());
    let out = check(&["check", dir], 2);
    let reason = "error: cannot be read: No such file or directory (os error 2)";
    assert_eq!(out, format!("{dir}/sys_config.json: {reason}\n1 error, 0 warnings\n"));
}

#[test]
fn check_tells_errors_with_their_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sys_config.json");
    std::fs::write(&path, "{\n  \"fsu_list\": [],\n}\n").expect("a file");
    let out = check(&["check", text(&path)], 1);
    assert_eq!(out, format!("{}:3:1: /: error: trailing comma\n1 error, 0 warnings\n", path.display()));

    std::fs::write(&path, "{\n  \"log\": {\"maxSize\": \"big\"}\n}\n").expect("a file");
    let out = check(&["check", text(dir.path())], 1);
    let line = format!("{}:2:22: /log/maxSize: error: expected a whole number, found \"big\"", path.display());
    assert!(out.lines().any(|l| l == line), "{out}");
}

#[test]
fn init_writes_what_check_accepts() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("new/fleet");
    check(&["init", text(&dir)], 0);
    let main = dir.join("sys_config.json");
    let embedded = std::fs::read_to_string(&main).expect("the main file");
    assert!(check(&["check", text(&dir)], 0).contains("ok: "));

    // Nothing is overwritten without --force.
    std::fs::write(&main, "mine").expect("a file");
    check(&["init", text(&dir)], 2);
    assert_eq!(std::fs::read_to_string(&main).ok().as_deref(), Some("mine"));
    check(&["init", "--force", text(&dir)], 0);
    assert_eq!(std::fs::read_to_string(&main).ok(), Some(embedded.clone()));

    // An unknown key is a warning, or an error with --strict.
    let odd = embedded.replacen('{', "{\"fsu_lists\": [],", 1);
    std::fs::write(&main, odd).expect("a file");
    let line = |severity: &str| {
        let text = "unknown key \"fsu_lists\" (did you mean \"fsu_list\"?)";
        format!("{}:1:2: /fsu_lists: {severity}: {text}\n", main.display())
    };
    let out = check(&["check", text(&dir)], 0);
    assert!(out.contains(&line("warning")) && out.ends_with(", 1 warning\n"), "{out}");
    let out = check(&["check", "--strict", text(&dir)], 1);
    assert!(out.contains(&line("error")) && out.ends_with("1 error, 0 warnings\n"), "{out}");
}

#[test]
fn schema_prints_the_kept_file() {
    let kept = include_str!("../config/schema/rules.schema.json");
    assert_eq!(check(&["schema", "rules"], 0), kept);
}

#[test]
fn completions_name_the_program() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(check(&["completions", shell], 0).contains("fsu-mock"));
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = fsu_mock(&["schema", "template"]).stdout(writer).output().expect("the program runs");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// `68 length cmd data.. 16` over TCP: command 01 lists one byte of data.
fn longer(dir: &Path, bytes_max: serde_json::Value) {
    use serde_json::json;
    let byte = |name: &str| json!({"name": name, "length": 1});
    let mut protocol = json!({
        "dynamic_length": true, "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "len", "length": 1, "type": "length"}, byte("cmd")],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": [byte("a")], "resp_data_list": [byte("a")]}],
    });
    if !bytes_max.is_null() {
        protocol["request_bytes_max"] = bytes_max;
    }
    let files = [
        (
            "sys_config.json",
            json!({"fsu_list": [{"fsuname": "dev", "port": 0, "protocol_type": "tcp", "config_dir": "."}]}),
        ),
        (
            "fsu_devices.json",
            json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}]}),
        ),
        ("t.json", json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol})),
        ("default.json", json!({"01": {}})),
    ];
    for (name, content) in files {
        std::fs::write(dir.join(name), content.to_string()).expect("written");
    }
}

#[test]
fn n11_a_longer_request_is_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let explain = |hex: &str| check(&["explain", "--config", text(dir.path()), "--fsu", "dev", hex], 0);
    longer(dir.path(), serde_json::Value::Null);
    let told = explain("68 03 01 AABBCC 16");
    assert!(told.replace(' ', "").contains("reply:680101AA16"), "{told}");
    longer(dir.path(), 6.into());
    let told = explain("68 03 01 AABBCC 16");
    assert!(told.contains("reply: none") && told.contains("wrong: "), "{told}");
    assert!(told.contains("at most 6 bytes (request_bytes_max)") && told.contains("7 bytes"), "{told}");
    let told = explain("68 01 02 AA 16");
    assert!(told.contains("wrong: ") && told.contains("key 02"), "{told}");
}

#[test]
fn limit_request_bytes_max_has_bounds_n11() {
    let dir = tempfile::tempdir().expect("a directory");
    for (bytes_max, expected) in [
        (serde_json::json!(4), Some("error: 4 bytes: a request of the template has 5 (at least those)")),
        (serde_json::json!(65_536), Some("error: 65536 bytes (at most 65535)")),
        (serde_json::json!("many"), Some("error")),
        (serde_json::json!(5), None),
        (serde_json::json!(65_535), None),
    ] {
        longer(dir.path(), bytes_max.clone());
        let out = check(&["check", text(dir.path())], i32::from(expected.is_some()));
        assert_eq!(out.contains("/protocol/request_bytes_max"), expected.is_some(), "{out}");
        assert!(expected.is_none_or(|expected| out.contains(expected)), "{out}");
    }
}

/// What `flood` with these arguments says, and does not: a wrong --timeout-ms ends it behind the other arguments.
fn flood(args: &[&str]) -> String {
    let all = [&["flood", "--timeout-ms", "0"], args].concat();
    let output = fsu_mock(&all).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2), "{all:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn limit_rate_max() {
    assert!(flood(&["--rate", "1e8"]).contains("--timeout-ms 0"));
    assert!(flood(&["--rate", "100000001"]).contains("--rate 100000001: a number above 0, at most 100000000"));
}

#[test]
fn limit_threads_max() {
    assert!(flood(&["--threads", "1024"]).contains("--timeout-ms 0"));
    assert!(flood(&["--threads", "1025"]).contains("--threads 1025: at most 1024"));
}

#[test]
fn limit_values_bytes_max() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("values.json");
    let values = |bytes: usize| {
        std::fs::write(&path, " ".repeat(bytes - 2) + "{}").expect("a file");
        flood(&["--values", text(&path)])
    };
    assert!(values(1 << 20).contains("--timeout-ms 0"));
    assert!(values((1 << 20) + 1).contains("is longer than 1048576 bytes"));
}

/// Every JSON file below a directory.
fn json_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let all = entries.flat_map(|path| if path.is_dir() { json_files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect()
}

#[test]
fn n19_every_file_that_init_writes_names_its_schema() {
    for args in [&["init"][..], &["init", "--minimal"]] {
        let dir = tempfile::tempdir().expect("a directory");
        check(&[args, &[text(dir.path())]].concat(), 0);
        let files = json_files(dir.path());
        assert!(files.len() >= 9, "{files:?}");
        for path in files {
            let json: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(&path).expect("text")).expect("JSON");
            if path.ends_with("vendor.json") {
                assert!(json.is_array());
                continue;
            }
            let named = json["$schema"].as_str().unwrap_or_else(|| panic!("{} names none", path.display()));
            if path.parent().is_some_and(|parent| parent.ends_with("schema")) {
                assert!(named.starts_with("http://json-schema.org/"), "{named}");
                continue;
            }
            // The right one, and there: an editor needs no network.
            let schema = path.parent().expect("has one").join(named);
            assert!(schema.is_file(), "{}: {named}", path.display());
            let kind = match path.file_name().and_then(|name| name.to_str()) {
                Some("sys_config.json") => "sys_config",
                Some("fsu_devices.json") => "fsu_devices",
                Some("protocol.json" | "template.json") => "template",
                _ => "rules",
            };
            assert!(named.ends_with(&format!("/{kind}.schema.json")), "{}: {named}", path.display());
        }
        assert!(check(&["check", "--strict", text(dir.path())], 0).starts_with("ok: "));
    }
}

#[test]
fn n19_the_small_configuration_is_small_and_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("small");
    let out = check(&["init", "--minimal", text(&dir)], 0);
    assert!(out.contains("wrote 9 files") && out.contains("fsu-mock ask --config"), "{out}");
    assert_eq!(check(&["check", "--strict", text(&dir)], 0), "ok: 1 FSU, 1 device, 1 template\n");
    check(&["init", "--minimal", text(&dir)], 2);
    check(&["init", "--minimal", "--force", text(&dir)], 0);
    // 01 reads what 02 sets, and the template's own value before that.
    let out = check(&["explain", "--config", text(&dir), "--fsu", "site", "--seed", "1", READ], 0);
    let reply = out.lines().find(|line| line.starts_with("reply: ")).expect("a reply");
    assert!(reply.contains("7E010104") && reply.contains("0BB8"), "{reply}");
}

/// 01 of the small configuration's device: 7E 01 01 00 02 0D in an outer frame.
const READ: &str = "FF3230323630303031000000000000000000000000000000000000000001010B00EE010006007E010100020D94FE";

/// A configuration of one entry of `fsu_list` over a template whose commands carry no data and have replies of this size.
fn amplifying(replies: &[(&str, usize)], fsu: &serde_json::Value, top: &serde_json::Value) -> tempfile::TempDir {
    use serde_json::json;
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, value: &serde_json::Value| {
        std::fs::write(dir.path().join(name), value.to_string()).expect("a file");
    };
    let command = |&(key, bytes): &(&str, usize)| {
        let field = json!([{"name": "v", "length": bytes}]);
        json!({"data_frame_type": key, "req_data_list": [], "resp_data_list": field})
    };
    let commands: Vec<_> = replies.iter().map(command).collect();
    let protocol = json!({
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "7E"},
            {"name": "len", "length": 2, "type": "length"},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": commands
    });
    let mut rules = json!({"F0": {"burst": 20, "cycle": [{"v": "01"}, {"v": "02"}]}});
    for (key, _) in replies.iter().filter(|(key, _)| *key != "F0") {
        rules[key] = json!({});
    }
    if !replies.iter().any(|(key, _)| *key == "F0") {
        rules.as_object_mut().expect("an object").remove("F0");
    }
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "protocol.json"});
    let mut entry =
        json!({"fsuname": "dev", "fsuid": "30303031", "port": 20000, "protocol_type": "udp", "config_dir": "."});
    entry.as_object_mut().expect("an object").extend(fsu.as_object().expect("an object").clone());
    let mut main = json!({ "fsu_list": [entry] });
    main.as_object_mut().expect("an object").extend(top.as_object().expect("an object").clone());
    write("protocol.json", &json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol}));
    write("default.json", &rules);
    write("fsu_devices.json", &json!({"device_list": [device]}));
    write("sys_config.json", &main);
    dir
}

/// The warnings that `check` has about such a configuration's long replies.
fn told_of_amplification(replies: &[(&str, usize)], fsu: &serde_json::Value, top: &serde_json::Value) -> Vec<String> {
    let dir = amplifying(replies, fsu, top);
    let out = check(&["check", text(dir.path())], 0);
    out.lines().filter(|line| line.contains("another host")).map(str::to_owned).collect()
}

#[test]
fn limit_named_max_of_long_replies() {
    let keys: Vec<String> = (1..=10).map(|key| format!("{key:02}")).collect();
    let many: Vec<(&str, usize)> = keys.iter().map(|key| (&**key, 200)).collect();
    let check = |commands: usize, expected: &str| {
        let all = serde_json::json!({"host": "0.0.0.0"});
        let found = told_of_amplification(&many[..commands], &all, &serde_json::json!({}));
        assert!(found[0].contains(expected), "{found:?}");
    };
    check(8, "07 (5.5 times), 08 (5.5 times) (");
    check(9, "08 (5.5 times), and 1 more (");
    check(10, "08 (5.5 times), and 2 more (");
}

#[test]
fn limit_replies_shown_max() {
    let fsu = serde_json::json!({"protocol_type": "broadcast"});
    let dir = amplifying(&[("F0", 1)], &fsu, &serde_json::json!({}));
    let args = ["explain", "--json", "--config", text(dir.path()), "--fsu", "dev", "--as", "request", "7E0000F00D"];
    let all: serde_json::Value = serde_json::from_str(&check(&args, 0)).expect("JSON");
    let length = |pointer: &str| all.pointer(pointer).and_then(|list| list.as_array()).map(Vec::len);
    // Of a burst of 20.
    assert_eq!((length("/replies"), length("/items/0/replies")), (Some(20), Some(8)), "{all}");
}

#[test]
fn n16_check_names_the_commands_that_may_be_cut_off() {
    use serde_json::json;
    let warnings = |replies: &[(&str, usize)], fsu: serde_json::Value, top: serde_json::Value| {
        told_of_amplification(replies, &fsu, &top)
    };
    // A request of 45 bytes may have 135; a reply has 45 and its data.
    let replies = [("01", 90), ("02", 91), ("F0", 1)];
    let all = json!({"host": "0.0.0.0"});
    let found = warnings(&replies, all.clone(), json!({}));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(": 02 (3.1 times), F0 (20.5 times, a burst of 20) ("), "{found:?}");
    assert!(found[0].contains("/fsu_list/0/host: warning: "), "{found:?}");
    // Once for a count, for any address but this machine's, and not where it is allowed or a stream.
    assert_eq!(warnings(&replies, json!({"host": "0.0.0.0", "count": 100}), json!({})).len(), 1);
    assert_eq!(warnings(&replies, json!({"host": "192.0.2.1"}), json!({})).len(), 1);
    assert_eq!(warnings(&replies, json!({"host": "::"}), json!({})).len(), 1);
    assert_eq!(warnings(&replies, json!({}), json!({})).len(), 0);
    assert_eq!(warnings(&replies, json!({"host": "::1"}), json!({})).len(), 0);
    assert_eq!(warnings(&replies, json!({"host": "0.0.0.0", "protocol_type": "tcp"}), json!({})).len(), 0);
    assert_eq!(warnings(&replies, all.clone(), json!({"allow_amplification": true})).len(), 0);
    // What is sent twice counts twice; a datagram without an outer frame is shorter.
    let twice = warnings(&[("01", 90)], all, json!({"faults": {"duplicate": 0.1}}));
    assert!(twice[0].contains(": 01 (6.0 times) ("), "{twice:?}");
    let broadcast = json!({"host": "0.0.0.0", "protocol_type": "broadcast"});
    assert!(warnings(&[("01", 11)], broadcast, json!({}))[0].contains(": 01 (3.2 times) ("));
}

/// `explain` with that on stdin: the exit code, and all that it says.
fn explain_from_stdin(args: &[&str], input: &[u8]) -> (Option<i32>, String) {
    use std::io::Write as _;
    let mut command = fsu_mock(&["explain", "--fsu", "bangsun_tcp"]);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    // It may have read enough before all is written.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn limit_input_chars_max() {
    let mut input = b"7E0100".to_vec();
    let said = |input: &[u8]| explain_from_stdin(&["-"], input);
    input.resize(1 << 20, b' ');
    let (code, text) = said(&input);
    assert_eq!(code, Some(0), "{text}");
    input.push(b' ');
    let (code, text) = said(&input);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("HEX: stdin has more than 1048576 characters"), "{text}");
}

#[test]
fn n17_explain_reads_stdin_and_says_where_it_is_no_hex() {
    let record = "[2026-01-13 20:12:03.184] [RECV] fsu[a:32] \u{63a5}\u{6536}\u{5230}SC\u{6570}\u{636e} 127.0.0.1:1\n  \
                  HEX: 7E 01 00 8B 10 26 01 12 01 17 30 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 01 0D\n  \
                  Parsed:\n    start: 7E\n";
    for args in [&[][..], &["-"]] {
        let (code, said) = explain_from_stdin(args, record.as_bytes());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("taken for: an inner frame from a centre to the FSU (a request)"), "{said}");
        assert!(said.contains("\nreply: 7E01008B10"), "{said}");
    }
    let check = |args: &[&str], input: &[u8], expected: &str| {
        let (code, said) = explain_from_stdin(args, input);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&[], b"", "HEX: no hex digits");
    check(&["-"], b"7E\n01 0G\n", "HEX: line 2, character 5: 0G: 'G' is no hex digit");
    check(&["7E", "1"], b"", "HEX: character 4: 1: an odd number of hex digits (1)");
    check(&["--as", "outer", "7E"], b"", "--as outer: a tcp FSU has no outer frames");
    check(&["--cmd", "9999", "7E"], b"", "--cmd: the template has no command `9999`");
    check(&["--device", "0909", "7E"], b"", "--device: `0909` is none of its devices");
}

/// Runs it in an environment of that locale; both outputs.
fn in_locale(locale: &str, args: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } = fsu_mock(args).env("LC_ALL", locale).output().expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    format!("{stdout}{stderr}")
}

#[test]
fn the_language_is_that_of_the_option_else_of_the_environment() {
    let check = |locale: &str, args: &[&str], code: i32, expected: &[&str]| {
        let out = in_locale(locale, args, code);
        for text in expected {
            assert!(out.contains(text), "{args:?} in {locale}: {text:?} is not in\n{out}");
        }
    };
    let chinese = ["用法：", "退出码：", "对监控中心压测", "101  本程序的缺陷"];
    check("C", &["--lang", "zh", "--help"], 0, &chinese);
    check("zh_CN.UTF-8", &["--help"], 0, &chinese);
    check(
        "zh_CN.UTF-8",
        &["--lang", "en", "--help"],
        0,
        &["Usage:", "Exit codes:", "to load-test a supervision centre"],
    );
    check(
        "C",
        &["run", "--help", "--lang=zh"],
        0,
        &["[默认：内置配置]", "[可用的值：auto, ring, poll, xdp]", "- poll: epoll"],
    );
    check("C", &["--lang", "zh", "run", "--nonsense"], 2, &["错误：不认识的参数 --nonsense", "更多信息见 --help。"]);
    check("C", &["--lang", "xx", "run"], 2, &["error: invalid value 'xx' for '--lang <LANG>'"]);
    check("C", &["--lang", "zh", "check", "/nowhere"], 2, &[": 错误：无法读取", "1 个错误，0 个警告"]);
}

#[test]
fn check_speaks_chinese_and_keeps_places_and_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("fleet");
    check(&["init", text(&dir)], 0);
    let out = check(&["--lang", "zh", "check", text(&dir)], 0);
    assert!(out.starts_with("正常：") && out.contains(" 个 FSU，") && out.contains(" 台设备，"), "{out}");
    let main = dir.join("sys_config.json");
    let broken = std::fs::read_to_string(&main).expect("there").replacen('{', "{\"perfromance\": 1,", 1);
    std::fs::write(&main, broken).expect("written");
    let english = check(&["check", text(&dir)], 0);
    let chinese = check(&["--lang", "zh", "check", text(&dir)], 0);
    let place = |out: &str, word: &str| out.split(word).next().map(str::to_owned);
    assert!(english.contains("sys_config.json:1:2: /perfromance: warning: unknown key \"perfromance\""), "{english}");
    assert_eq!(place(&english, "warning: "), place(&chinese, "警告："));
    let expected = "警告：未知的键 \"perfromance\"（是否为 \"performance\"？）";
    assert!(chinese.contains(expected) && chinese.ends_with("，1 个警告\n"), "{chinese}");
}

/// What every command prints in Chinese over the embedded configuration, and what it says of wrong arguments.
#[test]
fn no_command_speaks_english_when_asked_for_chinese() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let (small, log) = (dir.path().join("small"), text(dir.path()));
    let small = text(&small);
    in_locale("C", &["init", "--minimal", small], 0);
    // Names of both configurations, options, and commands of the system.
    let mut names = chinese::names_below(&files);
    names.extend(chinese::names_below(Path::new(small)));
    names.extend(chinese::names_in("--help --cpus ip addr"));
    let mut left = Vec::new();
    let mut check = |args: &[&str], code: i32| {
        let out = in_locale("zh_CN.UTF-8", args, code);
        assert_eq!(
            in_locale("C", &[args, &["--lang=zh"]].concat(), code).lines().count(),
            out.lines().count(),
            "{args:?}"
        );
        let names = names.iter().cloned().chain(args.iter().map(|&arg| arg.to_owned())).collect();
        let english = |line: &&str| !chinese::left(line, &names).is_empty();
        left.extend(out.lines().filter(english).map(|line| format!("{}: {line}", args.join(" "))));
    };
    check(&["init", "--force", "--minimal", small], 0);
    check(&["init", small], 2);
    check(&["check", small], 0);
    check(&["check", "--verbose", text(&files)], 0);
    check(&["plan", "--list"], 0);
    check(&["plan", "--config", small, "--fsu", "site"], 0);
    check(&["plan", "--config", small, "--fsu", "sita"], 2);
    check(&["plan", "--config", small, "--fsu", "site", "--cmd", "7"], 2);
    let mut explain =
        |more: &[&str], code: i32| check(&[&["explain", "--config", small, "--fsu", "site"], more].concat(), code);
    explain(&["FF"], 0);
    explain(&["F"], 2);
    explain(&["zz"], 2);
    explain(&["--as", "request", "--as", "reply", "FF"], 2);
    explain(&["--cmd", "77", "FF"], 2);
    explain(&["--device", "0909", "FF"], 2);
    let mut ask =
        |more: &[&str], code: i32| check(&[&["ask", "--config", small, "--fsu", "site"], more].concat(), code);
    ask(&["--cmd", "77"], 2);
    ask(&["--cmd", "01", "--set", "x=1"], 2);
    ask(&["--cmd", "01", "--did", "1"], 2);
    ask(&["--cmd", "01", "--to", "127.0.0.1:1", "--retries", "0", "--timeout-ms", "50"], 5);
    let mut flood = |more: &[&str], code: i32| check(&[&["flood", "--config", small], more].concat(), code);
    flood(&["--tcp"], 2);
    flood(&["--mix", "77"], 2);
    flood(&["--mix", "01=x"], 2);
    flood(&["--rate", "-1"], 2);
    flood(&["--from", small], 2);
    flood(&["--fsu", "nobody"], 2);
    let mut run =
        |more: &[&str], code: i32| check(&[&["run", "--config", small, "--log-dir", log], more].concat(), code);
    run(&["--cpus", "x"], 2);
    run(&["--cpus", "99999"], 2);
    run(&["--bind", "192.0.2.1"], 3);
    run(&["--late-limit-ms", "-1"], 2);
    assert_eq!(left, [""; 0], "{}", left.join("\n"));
}
