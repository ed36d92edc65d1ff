//! What a configuration may take in memory.

use super::super::compile;
use crate::config::load::Loader;
use crate::config::source::Source;

/// Compiles a template with frames of `total` bytes and these rules; the lines that are told, and what was charged.
fn compiled(total: usize, rules: &str, top: &str) -> (Vec<String>, u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = [
        (
            "protocol.json",
            format!(
                r#"{{"rule_file_list":["./default.json"],"protocol":{{"total_length":{total},"data_frame_type_flag":"command",
                    "pdu_left":[{{"name":"command","length":1}}],"pdu_tailer":[{{"name":"end","length":1,"value":"0D"}}],
                    "data_frame":[{{"data_frame_type":"01","resp_data_list":[{{"name":"v","length":2,"type":"uint"}}]}}]}}}}"#
            ),
        ),
        ("default.json", rules.to_owned()),
        (
            "fsu_devices.json",
            r#"{"device_list":[{"sub_dev_type":"01","sub_dev_addr":"01","protocol_template":"./protocol.json"}]}"#
                .into(),
        ),
        (
            "sys_config.json",
            format!(
                r#"{{{top}"fsu_list":[{{"fsuname":"a","fsuid":"3031","port":0,"protocol_type":"udp","config_dir":"."}}]}}"#
            ),
        ),
    ];
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    assert_eq!(fleet.is_none(), loader.diags.has_errors());
    let prefix = format!("{}/", dir.path().display());
    let lines = loader.diags.lines().map(|line| line.replace(&prefix, "")).collect();
    (lines, loader.diags.budget.used())
}

fn cycle(turns: usize) -> String {
    let turns: Vec<String> = (0..turns).map(|turn| format!(r#"{{"v":{turn}}}"#)).collect();
    format!(r#"{{"01":{{"cycle":[{}]}}}}"#, turns.join(","))
}

/// 3,600 replies of 65,000 bytes that differ in two.
#[test]
fn h09_a_cycle_of_long_frames_is_kept_as_what_differs() {
    let (lines, bytes) = compiled(65_000, &cycle(3_600), "");
    assert_eq!(lines, [] as [&str; 0]);
    assert!(bytes < 24 << 20, "{bytes}");
}

#[test]
fn limit_plan_bytes_max_h09_what_is_past_it_is_told_once() {
    let top = r#""limits":{"plan_bytes_max":1048576},"#;
    let (lines, bytes) = compiled(65_000, &cycle(300), top);
    let [line] = &*lines else { panic!("{lines:?}") };
    let (place, what) = line.split_once(": error: ").expect("an error");
    assert_eq!(place, "default.json:1:7: /01");
    assert!(what.starts_with("a reply that is made beforehand would take 65"), "{what}");
    assert!(what.contains("past `limits.plan_bytes_max` (1048576, of which "), "{what}");
    assert!(bytes <= 1 << 20, "{bytes}");
}

#[test]
fn h09_files_are_charged_before_they_are_read_into_a_tree() {
    let top = r#""limits":{"plan_bytes_max":1048576},"#;
    let (lines, _) = compiled(100, &format!(r#"{{"_":[{}0]}}"#, "0,".repeat(100_000)), top);
    let line = lines.iter().find(|line| line.starts_with("default.json")).expect("told");
    assert!(line.contains("the tree of this file would take"), "{line}");
}

#[test]
fn h09_the_budget_itself_is_checked() {
    let (lines, _) = compiled(100, "{}", r#""limits":{"plan_bytes_max":5},"#);
    assert_eq!(lines[0], "sys_config.json:1:29: /limits/plan_bytes_max: error: 5 (1048576 to 1099511627776)");
}
