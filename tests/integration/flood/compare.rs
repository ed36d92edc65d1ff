//! `compare`: through the program.

use super::{fleet, flood};
use crate::harness::{Ended, PROGRAM, Run, run_to_end};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn compare(before: &Path, after: &Path, args: &[&str]) -> Ended {
    run_to_end(Command::new(PROGRAM).arg("compare").args([before, after]).args(args))
}

#[test]
fn two_reports_of_a_load_are_compared() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let one = |name: &str, mix: &str| {
        let (ended, mut report) = flood(&tree, &run.said, &["--fsu", "one", "--mix", mix, "--requests", "50"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        report["seconds"] = Value::Array(Vec::new());
        (tree.path(name), report)
    };
    let (path, report) = one("before.json", "05");
    let (worse_path, mut worse) = one("after.json", "05");
    let (other_path, other) = one("other.json", "01");
    let counts = |report: &mut Value, lost: u64| {
        report["totals"]["counts"]["sent"] = 1_000_000.into();
        report["totals"]["counts"]["lost"] = lost.into();
    };
    let mut report = report;
    counts(&mut report, 0);
    counts(&mut worse, 40);
    for (path, report) in [(&path, &report), (&worse_path, &worse), (&other_path, &other)] {
        std::fs::write(path, report.to_string()).expect("a file");
    }
    let same = compare(&path, &path, &["--fail-if-worse", "0%"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    let found = compare(&path, &worse_path, &["--json", "--fail-if-worse", "5%"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let json: Value = serde_json::from_str(&found.stdout.join("\n")).expect("JSON");
    let loss = json["changes"].as_array().expect("changes").iter().find(|of| of["metric"] == "loss").expect("loss");
    assert_eq!(
        (&loss["meaning"], &json["failures"][0]),
        (&"worse".into(), &"loss 0.0000 % -> 0.0040 % (from 0)".into())
    );
    assert_eq!(compare(&path, &worse_path, &[]).code, Some(0));
    let refused = compare(&path, &other_path, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("they are not of the same thing (the mix: 05 and 01)"), "{refused:?}");
    let forced = compare(&path, &other_path, &["--force"]);
    assert!(
        forced.code == Some(0) && forced.stdout.join("\n").contains("not the same: the mix: 05 and 01"),
        "{forced:?}"
    );
    let chinese = compare(&path, &worse_path, &["--lang", "zh", "--fail-if-worse", "5"]).stdout.join("\n");
    assert!(chinese.contains("变差") && chinese.contains("超出噪声：变好 0 项，变差 1 项"), "{chinese}");
}

#[test]
fn other_files_are_refused() {
    let tree = fleet();
    let (path, config) = (tree.path("none.json"), tree.path("sys_config.json"));
    let ended = compare(&path, &config, &[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("cannot be read"), "{ended:?}");
    let ended = compare(&config, &config, &[]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("neither a report of flood --json nor one of run --stats"),
        "{ended:?}"
    );
}
