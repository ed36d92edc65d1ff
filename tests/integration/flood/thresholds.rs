//! `--fail-if`: through the program, for a load and for a centre.

use super::{fleet, flood};
use crate::harness::{PROGRAM, Run, run_to_end};
use serde_json::{Value, json};
use std::process::Command;

/// The expressions of a report, and whether each was true.
fn thresholds(report: &Value) -> Vec<(String, bool)> {
    let all = report["thresholds"].as_array().cloned().unwrap_or_default();
    all.iter().map(|of| (of["expression"].as_str().expect("text").to_owned(), of["failed"] == json!(true))).collect()
}

#[test]
fn a_threshold_that_is_true_fails_the_run_and_says_why() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let page = tree.path("page.html");
    let check = |lang: &str, expressions: &[(&str, bool)], last: &str| {
        let mut args = vec!["--lang", lang, "--fsu", "one", "--mix", "05", "--requests", "50", "--html"];
        args.push(page.to_str().expect("UTF-8"));
        args.extend(expressions.iter().flat_map(|(text, _)| ["--fail-if", text]));
        let (ended, report) = flood(&tree, &run.said, &args);
        let fails = expressions.iter().any(|(_, is_true)| *is_true);
        assert_eq!(ended.code, Some(i32::from(fails)), "{expressions:?} {ended:?}");
        let found = thresholds(&report);
        assert_eq!(found.iter().map(|(text, is_true)| (&**text, *is_true)).collect::<Vec<_>>(), expressions);
        assert_eq!(report["verdict"]["passed"], json!(!fails));
        let stdout = ended.stdout.join("\n");
        assert!(stdout.ends_with(last), "{stdout}");
        (stdout, std::fs::read_to_string(&page).expect("a page"))
    };
    let kept = [("p99>20s", false), ("loss>0.1%", false), ("sent<50", false), ("wrong.checksum>0", false)];
    check("en", &kept, "\n  passed");
    let (text, html) =
        check("en", &[("good>=50", true), ("rate<0.5/s", false)], "FAILED: --fail-if good>=50: it is 50");
    assert!(text.contains("fail if      good>=50: yes; it is 50\n"), "{text}");
    assert!(html.contains("<code>good&gt;=50</code>") && html.contains("--fail-if good&gt;=50: it is 50"), "{html}");
    let (text, html) = check("zh", &[("good>=50", true)], "失败：--fail-if good>=50：实际为 50");
    assert!(text.contains("失败条件     good>=50：是；实际为 50\n"), "{text}");
    assert!(html.contains("<h2>阈值（--fail-if）</h2>") && html.contains("实际为 50"), "{html}");
}

#[test]
fn a_threshold_of_loss_says_which_loss_is_accepted() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    // One in ten is never answered in time.
    let check = |more: &[&str], code: i32, lost: u64| {
        let shape = ["--fsu", "one", "--mix", "05=9,04=1", "--requests", "10", "--timeout-ms", "300"];
        let (ended, report) = flood(&tree, &run.said, &[&shape, more].concat());
        assert_eq!((ended.code, &report["totals"]["counts"]["lost"]), (Some(code), &json!(lost)), "{more:?} {ended:?}");
    };
    check(&[], 1, 1);
    check(&["--fail-if", "loss>10%"], 0, 1);
    check(&["--fail-if", "loss>=10%"], 1, 1);
    check(&["--fail-if", "loss>10%", "--max-loss", "5"], 1, 1);
    check(&["--max-loss", "10", "--fail-if", "p99>30s"], 0, 1);
}

#[test]
fn a_report_is_held_to_the_mocks_lateness_when_it_is_read_again() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let (ended, _) =
        flood(&tree, &run.said, &["--fsu", "one", "--mix", "05", "--requests", "9", "--fail-if", "good<9"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let stats = tree.path("its.json");
    let late = json!({"lateness": {"replies": 100, "p50_us": 10, "p99_us": 2_000, "p999_us": 9_000, "max_us": 9_000,
        "limit_us": 5_000, "over_limit": 0}});
    std::fs::write(&stats, late.to_string()).expect("a file");
    let again = |more: &[&str]| {
        let report = tree.path("report.json");
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--from"]).arg(&report).arg("--json").arg(tree.path("again.json")).args(more);
        let ended = run_to_end(&mut command);
        let read = std::fs::read(tree.path("again.json")).expect("a report");
        (ended, serde_json::from_slice::<Value>(&read).unwrap_or_default())
    };
    let stats = stats.to_str().expect("UTF-8");
    let check = |more: &[&str], code: i32, expected: &[(&str, bool)]| {
        let (ended, report) = again(more);
        assert_eq!(ended.code, Some(code), "{more:?} {ended:?}");
        let found = thresholds(&report);
        assert_eq!(found.iter().map(|(text, is_true)| (&**text, *is_true)).collect::<Vec<_>>(), expected, "{more:?}");
    };
    check(&[], 0, &[("good<9", false)]);
    check(&["--fail-if", "good<10"], 1, &[("good<10", true)]);
    check(&["--mock-stats", stats, "--fail-if", "mock.p99>1.9ms"], 1, &[("mock.p99>1.9ms", true)]);
    check(&["--mock-stats", stats, "--fail-if", "mock.p99>2ms"], 0, &[("mock.p99>2ms", false)]);
    let (ended, _) = again(&["--fail-if", "mock.p99>2ms"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--from and --mock-stats"), "{ended:?}");
}

#[test]
fn an_expression_that_cannot_be_read_is_an_error_at_the_start() {
    let tree = fleet();
    let check = |args: &[&str], expected: &str| {
        let mut command = Command::new(PROGRAM);
        command.arg("flood").arg("--config").arg(tree.path("sys_config.json")).args(args);
        let ended = run_to_end(&mut command);
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?} {}", ended.stderr);
    };
    check(&["--fail-if", "p99>20"], "--fail-if \"p99>20\": column 7: a unit is missing (known: us, ms, s)");
    check(&["--fail-if", "lateness>1ms"], "column 1: no metric `lateness` (known: min, mean, p50,");
    check(&["--listen", "127.0.0.1:0", "--fail-if", "p99>1ms"], "no metric `p99` (known: messages, retried,");
    check(&["--fail-if", "mock.p99>1ms"], "only the mock knows its own lateness");
    check(&["--lang", "zh", "--fail-if", "p99>20"], "--fail-if \"p99>20\"：第 7 列：缺少单位（可用：us, ms, s）");
    check(&["--reconcile", "a", "b", "--fail-if", "p99>20ms"], "cannot be used with");
}

#[test]
fn a_centre_is_held_to_thresholds() {
    let report = tempfile::tempdir().expect("a directory");
    let path = report.path().join("heard.json");
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--centre", "127.0.0.1:0", "--seconds", "0.2", "--quiet", "--json"]).arg(&path);
    command.args(["--fail-if", "heartbeats<1", "--fail-if", "bad_frames>0", "--fail-if", "unacknowledged>0"]);
    let ended = run_to_end(&mut command);
    let read: Value = serde_json::from_slice(&std::fs::read(&path).expect("a report")).expect("JSON");
    let expected = [("heartbeats<1", true), ("bad_frames>0", false), ("unacknowledged>0", true)];
    let found = thresholds(&read);
    assert_eq!(found.iter().map(|(text, is_true)| (&**text, *is_true)).collect::<Vec<_>>(), expected);
    assert_eq!((ended.code, &read["passed"]), (Some(1), &json!(false)));
    // Without messages in a configuration nothing can be acknowledged.
    let last = "--fail-if heartbeats<1: it is 0, --fail-if unacknowledged>0: nothing was measured";
    assert!(ended.stdout.join("\n").ends_with(last), "{ended:?}");
}
