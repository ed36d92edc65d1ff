//! Which rule files are there, apply, and answer.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check_all, files, told_by};
use crate::config::diag::Diags;
use serde_json::{Value, json};

/// The template of [`files`] with this in its `rule_file_list`.
fn listing(list: &[&str]) -> Value {
    let mut template = files()["t.json"].clone();
    template["rule_file_list"] = json!(list);
    template
}

/// [`files`] with `list` as the template's rule files, and these files beside it.
fn check(list: &[&str], beside: &[&str], expected: &[&str]) {
    let mut with = json!({"t.json": listing(list)});
    for name in beside {
        with[*name] = json!({"01": {}});
    }
    check_all(&with, expected, &format!("{list:?} {beside:?}"));
}

const NEVER: &str =
    "can apply to no FSU and no device here (<fsuid>.json of an FSU, 0101.json of a device, default.json)";

#[test]
fn n03_rule_file_is_one_more_file() {
    let with = |list: Option<&[&str]>, file: &str| {
        let mut template = listing(list.unwrap_or_default());
        template["rule_file"] = json!(file);
        if list.is_none() {
            template.as_object_mut().unwrap().remove("rule_file_list");
        }
        json!({"t.json": template, "0101.json": {"01": {}}})
    };
    check_all(
        &with(None, "default.json"),
        &["/rule_file: warning: beside `default.json`, not listed, though it would \
        apply by its name: 0101.json"],
        "alone",
    );
    check_all(
        &with(Some(&[]), "0101.json"),
        &["/rule_file: warning: beside `0101.json`, not listed, though it would apply \
        by its name: default.json"],
        "beside an empty list",
    );
    check_all(&with(Some(&["default.json"]), "0101.json"), &[], "both");
    check_all(
        &with(Some(&["0101.json", "default.json"]), "./default.json"),
        &["/rule_file: warning: `./default.json` is listed twice"],
        "the same",
    );
}

#[test]
fn n03_an_own_file_that_is_missing_falls_through() {
    let all = |list: &[&str]| told_by(&json!({"t.json": listing(list)}), |diags| diags.all_lines().collect());
    let info = |name: &str| vec![format!("/rule_file_list/0: info: `{name}` is not there: the next file applies")];
    assert_eq!(all(&["3031.json", "default.json"]), info("3031.json"));
    // No error under --strict.
    let strict = |diags: &mut Diags| {
        diags.make_strict();
        diags.lines().collect()
    };
    assert_eq!(told_by(&json!({"t.json": listing(&["3031.json", "default.json"])}), strict), [""; 0]);
    // One that is there is read, and a directory is no file.
    check(&["3031.json", "default.json"], &["3031.json"], &[]);
    check_all(
        &json!({"t.json": listing(&["3031.json", "default.json"]), "3031.json": null}),
        &["/rule_file_list/0: error: 3031.json cannot be read: Is a directory (os error 21)"],
        "a directory",
    );
}

#[test]
fn n03_an_own_file_that_is_missing_of_counted_fsus() {
    let fsu =
        json!({"fsuname": "a", "fsuid": "46303031", "count": 3, "port": 0, "protocol_type": "udp", "config_dir": "."});
    let with = json!({
        "sys_config.json": {"fsu_list": [fsu]},
        "t.json": listing(&["46303032.json", "46303033.json", "46303034.json", "default.json"]),
        "46303032.json": {"01": {"data": {"power": 2}}},
    });
    let told = told_by(&with, |diags| diags.all_lines().collect());
    assert_eq!(
        told,
        [
            "/rule_file_list/1: info: `46303033.json` is not there: the next file applies",
            "/rule_file_list/2: warning: `46303034.json` is not there, and no FSU with this template has that id",
        ]
    );
}

#[test]
fn n03_another_listed_file_that_is_missing_is_an_error() {
    check(
        &["default.json", "0102.json"],
        &[],
        &["/rule_file_list/1: error: 0102.json is no file (only an <fsuid>.json may be missing)"],
    );
    check(
        &["default.json", "0101.json"],
        &[],
        &["/rule_file_list/1: error: 0101.json cannot be read: No such file or directory (os error 2)"],
    );
    // Too long for an id, or no whole bytes.
    for name in [&*format!("{}.json", "3".repeat(42)), "303.json", "30313.json"] {
        let told = format!("/rule_file_list/1: error: {name} is no file (only an <fsuid>.json may be missing)");
        check(&["default.json", name], &[], &[&told]);
    }
}

#[test]
fn n03_a_listed_file_that_never_applies_is_a_warning() {
    for name in ["303132.json", "0102.json", "other.json"] {
        check(&["default.json", name], &[name], &[&format!("/rule_file_list/1: warning: `{name}` {NEVER}")]);
    }
    check(
        &["default.json", "303132.json"],
        &[],
        &["/rule_file_list/1: warning: `303132.json` is not there, and no FSU with this template has that id"],
    );
    check(&["default.json", "0101.json", "3031.json"], &["0101.json", "3031.json"], &[]);
}

#[test]
fn n03_an_unlisted_file_that_would_apply_is_a_warning() {
    let beside = |names: &str| {
        format!(
            "/rule_file_list/0: warning: beside `default.json`, not listed, though it would apply by its name: {names}"
        )
    };
    check(
        &["default.json"],
        &["3031.json", "0101.json", "303132.json", "0102.json", "other.json"],
        &[&beside("0101.json, 3031.json")],
    );
    check(&["default.json"], &["0101.txt", "0102.json"], &[]);
    // Each folder that a listed file lies in, and no other.
    check(
        &["default.json", "rules/0101.json"],
        &["rules/0101.json", "rules/default.json", "more/0101.json"],
        &[
            "/rule_file_list/1: warning: beside `rules/0101.json`, not listed, though it would apply by its name: default.json",
        ],
    );
}

#[test]
fn n03_an_unlisted_file_of_another_template_is_none() {
    let device =
        |addr: &str, template: &str| json!({"sub_dev_type": "01", "sub_dev_addr": addr, "protocol_template": template});
    let with = json!({
        "fsu_devices.json": {"device_list": [device("01", "t.json"), device("02", "u.json")]},
        "u.json": listing(&["0102.json"]),
        "0102.json": {"01": {}},
    });
    check_all(&with, &[], "two templates in one folder");
}

/// The template with these commands, and the rules for `01` alone.
fn unanswered(keys: &[String], rules: Value) -> Vec<String> {
    let mut template = listing(&["default.json"]);
    let command = template["protocol"]["data_frame"][0].clone();
    let commands = keys.iter().map(|key| {
        let mut command = command.clone();
        command["data_frame_type"] = json!(key);
        command
    });
    template["protocol"]["data_frame"] = commands.collect();
    told_by(&json!({"t.json": template, "default.json": rules}), |diags| diags.lines().collect())
}

#[test]
fn n03_commands_without_a_rule_are_one_warning() {
    let keys = |n: usize| (1..=n).map(|key| format!("{key:02X}")).collect::<Vec<_>>();
    let right = "(a rule for each, `{\"timeout\": true}` for one that is never answered)";
    let told = |keys: &str| vec![format!("/protocol/data_frame/1: warning: no rule file has {keys} {right}")];
    assert_eq!(unanswered(&keys(3), json!({"01": {}})), told("02, 03"));
    // Silence on purpose, and rules that need a `when`, are an answer.
    let rules = json!({"01": {}, "02": {"timeout": true}, "03": [{"when": {"phase": 1}}]});
    assert_eq!(unanswered(&keys(3), rules), [""; 0]);
}

#[test]
fn limit_names_told_max() {
    let keys = |n: usize| (1..=n).map(|key| format!("{key:02X}")).collect::<Vec<_>>();
    let told = |n: usize| unanswered(&keys(n), json!({"01": {}})).concat();
    assert!(told(13).contains("has 02, 03, 04, 05, 06, 07, 08, 09, 0A, 0B, 0C, 0D ("), "{}", told(13));
    assert!(told(14).contains("0C, 0D and 1 more ("), "{}", told(14));
}

#[test]
fn n03_a_command_that_some_devices_lack_is_told_as_such() {
    let device = |addr: &str| json!({"sub_dev_type": "01", "sub_dev_addr": addr, "protocol_template": "t.json"});
    let with = json!({
        "fsu_devices.json": {"device_list": [device("01"), device("02")]},
        "t.json": listing(&["0102.json"]),
        "0102.json": {"01": {}},
        "default.json": {},
    });
    let told = told_by(&with, |diags| diags.lines().collect());
    assert!(told.iter().any(|line| line.contains("no rule file of some FSU or device has 01 (")), "{told:?}");
}

#[test]
fn n03_the_transfer_answers_the_demand_for_data() {
    let shipped = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut template = shipped(include_str!("../../../../config/broadcast/template.json"));
    let commands = template["protocol"]["data_frame"].as_array_mut().unwrap();
    for key in ["80", "8D", "77"] {
        let mut command = commands[0].clone();
        command["data_frame_type"] = json!(key);
        commands.push(command);
    }
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "b.json"});
    let with = json!({
        "sys_config.json": {"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]},
        "fsu_devices.json": {"device_list": [device]},
        "b.json": template,
        "rules/default.json": shipped(include_str!("../../../../config/broadcast/rules/default.json")),
        "data/events.hex": "00",
    });
    let told = told_by(&with, |diags| diags.lines().collect());
    assert!(matches!(&told[..], [line] if line.contains("no rule file has 77 (")), "{told:?}");
}
