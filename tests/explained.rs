//! What `explain` and `plan` say of computed fields: a template, a frame, and the text.
#![allow(clippy::pedantic, clippy::unwrap_used)]

use serde_json::{Value, json};

/// What `explain` says of a frame.
fn explained(template: &Value, sent: &str) -> String {
    explained_by(template, &json!({"01": {}}), sent)
}

/// The same with these rules. Further arguments are behind a `|`.
fn explained_by(template: &Value, rules: &Value, sent: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, file: &Value| std::fs::write(dir.path().join(name), file.to_string()).unwrap();
    let fsu = json!({"fsuname": "one", "port": 0, "protocol_type": "tcp", "config_dir": "."});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    write("sys_config.json", &json!({"fsu_list": [fsu]}));
    write("fsu_devices.json", &json!({"device_list": [device]}));
    write("t.json", template);
    write("default.json", rules);
    let config = dir.path().to_str().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fsu-mock"));
    let output = command.args(["explain", "--config", config, "--fsu", "one"]).args(sent.split('|')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn n05_explain_shows_the_right_number_in_its_digits() {
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "type": "hex", "length": 1, "value": "7E"},
            {"name": "len", "type": "bcd", "length": 1, "value": "{{data_frame_length}}"},
            {"name": "cmd", "type": "hex", "length": 1}
        ],
        "pdu_tailer": [
            {"name": "checksum", "type": "bcd", "length": 2},
            {"name": "end", "type": "hex", "length": 1, "value": "0D"}
        ],
        "checksum_config": {"algorithm": "sum", "start": 1, "end": -1},
        "data_frame": [{
            "data_frame_type": "01",
            "req_data_list": [{"name": "a", "type": "hex", "length": 12}],
            "resp_data_list": []
        }]
    }});
    let zeros = "00".repeat(12);
    // 0D and 01 are 14; 13 (hex) and 01 are 20.
    for (length, expected) in [("0D", ["expected 13", "expected 0014"]), ("13", ["ok", "expected 0020"])] {
        let text = explained(&template, &format!("7E {length} 01 {zeros} 9999 0D"));
        assert!(expected.iter().all(|expected| text.contains(expected)), "{text}");
    }
}

#[test]
fn n02_explain_and_plan_say_what_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let command = |key: &str, number: u64| {
        json!({
            "data_frame_type": key,
            "data_frame_length": number,
            "req_data_list": [{"name": "asked", "length": 3}],
            "resp_data_list": [{"name": "replied", "length": 3}]
        })
    };
    let counted = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "address", "length": 1},
            {"name": "length", "length": 1, "value": "{{data_frame_length}}"},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": [command("83", 3), command("84", 4)]
    }});
    let main = json!({"fsu_list": [{"fsuname": "a", "port": 4000, "protocol_type": "tcp", "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let files = [
        ("sys_config.json", main),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", counted),
        ("default.json", json!({"83": {}, "84": {}})),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let config = dir.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_fsu-mock")).args(args).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let check = |args: &[&str], expected: &[&str]| {
        let text = run(args);
        for line in expected {
            assert!(text.contains(line), "{args:?}: no `{line}` in\n{text}");
        }
    };
    let explain = |frame: &str, expected: &[&str]| check(&["explain", "-c", config, "--fsu", "a", frame], expected);
    explain("680103830200010D", &["data_frame_length counts the data frame alone", "reply: 680103830000000D"]);
    explain("680104840200010D", &["data_frame_length counts the data frame and cmd", "reply: 680104840000000D"]);
    let formula = "0 + 1 x data frame bytes";
    check(
        &["plan", "-c", config, "--fsu", "a"],
        &[formula, "data_frame_length counts the data frame alone", "data_frame_length counts the data frame and cmd"],
    );
}

/// A reply of raw bytes that is shorter than header and tail is one of the shapes that a frame is compared with.
#[test]
fn a_frame_is_compared_with_a_raw_reply_that_is_shorter_than_its_tail() {
    let hex = |name: &str| json!({"name": name, "length": 1});
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, hex("cmd")],
        "pdu_tailer": [hex("cs"), {"name": "end", "length": 1, "value": "16"}],
        "checksum": {"field": "cs", "algorithm": "sum", "to": "data_frame"},
        "data_frame": [{"data_frame_type": "01", "req_data_list": []}]
    }});
    let text = explained_by(&template, &json!({"01": {"replies": [{"raw": "E5"}]}}), "68010116");
    assert!(text.contains("reply: E5"), "{text}");
}

/// Where the whole key is behind a field of variable size, it is said which constant rules an entry out.
#[test]
fn a_key_behind_a_text_is_explained() {
    let entry =
        |key: &str| json!({"data_frame_type": key, "req_data_list": [{"name": "verb", "type": "str", "until": "20"}]});
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "verb", "pdu_left": [], "pdu_tailer": [{"name": "end", "length": 1, "value": "0A"}],
        "data_frame": [entry("474F"), entry("5550")]
    }});
    let text = explained_by(&template, &json!({"474F": {}, "5550": {}}), "5550200A");
    let said = [
        "key 5550: at no fixed place",
        "is not command 1 of the template: verb = 474F, the request has 5550",
        "is command 2 of the template",
    ];
    assert!(said.iter().all(|said| text.contains(said)), "{text}");
}

/// What `explain` says of a frame of the tracker of docs/describe/messages.md, in both languages: the lines that have these.
fn tracker(sent: &str, expected: &[&str]) {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/tracker");
    let explain = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fsu-mock"));
        let output =
            command.args(["explain", "--config", config, "--fsu", "tracker"]).args(more).arg(sent).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = explain(&["--lang", "en"]);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for expected in expected {
        assert!(lines.contains(expected), "{expected}\n{text}");
    }
    fsu_plan::texts::chinese::check(&explain(&["--lang", "zh"]), Some(std::path::Path::new(config)));
}

#[test]
fn explain_knows_messages() {
    tracker(
        "7E 0100 86000001 0001 02 0102 8E 0D",
        &[
            "the message login, by the size and the constants of its frame 0100",
            "verdict: a message of the FSU: 8100 acknowledges it",
        ],
    );
    tracker(
        "7E 0200 86000001 0002 01 05 91 0D",
        &[
            "the message position, by the size and the constants of its frame 0200",
            "verdict: a message of the FSU: nothing answers it",
        ],
    );
    tracker(
        "7E 8100 86000001 0001 01 00 0A 0D",
        &["acknowledges the message login, where that waits for it", "verdict: an acknowledgement: it is not answered"],
    );
}

/// `68 cmd data.. 16`, with a data frame that varies in size; a reply is a byte alone, in a layout that only replies have.
fn varying() -> Value {
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "cmd", "length": 1},
            {"name": "len", "length": 1, "type": "length", "of": ["data_frame"]}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": [
            {"name": "n", "type": "uint", "length": 1}, {"name": "text", "type": "str", "length": {"field": "n"}, "max": 9},
            {"name": "b", "length": 2}], "resp_data_list": []}]
    }, "frames": {"short": {
        "pdu_left": [{"name": "ack", "length": 1, "value": "E5"}],
        "data_frame": [{"data_frame_type": "ack", "direction": "up"}]
    }}})
}

#[test]
fn explain_says_where_fields_of_variable_size_stop_fitting() {
    let check = |sent: &str, expected: &[&str]| {
        let text = explained(&varying(), sent);
        assert!(expected.iter().all(|expected| text.contains(expected)), "{sent}: {text}");
        assert!(!text.contains("key, size and constants fit"), "{sent}: {text}");
    };
    let not = "key and constants fit, and its fields do not";
    check("68 01 03 02 41 42 16", &["expected: more bytes behind `text`", "found:    0 bytes", not]);
    check("68 01 04 05 41 42 43 16", &["expected: more bytes behind `n`", "found:    3 bytes: 414243", not]);
    check("68 01 03 0A 41 42 16", &["expected: a size, count or case that the template allows behind `n`", not]);
    assert!(explained(&varying(), "68 01 05 02 41 42 00 00 16").contains("key, size and constants fit"));
}

#[test]
fn explain_reads_what_only_replies_have() {
    let rules = json!({"01": {"replies": [{"frame": "short/ack"}]}});
    let check = |sent: &str, expected: &[&str]| {
        let text = explained_by(&varying(), &rules, sent);
        assert!(expected.iter().all(|expected| text.contains(expected)), "{sent}: {text}");
    };
    let reply = "by its layout, which only replies have";
    check("E5", &[reply]);
    check("E5|--cmd|01", &[reply]);
    check("E5|--as|reply", &[reply]);
    check("FF FF FF FF|--as|reply", &["no reply of the FSU", "bad_start"]);
    check("68 01 00|--as|reply", &["no reply of the FSU", "(short)"]);
}
