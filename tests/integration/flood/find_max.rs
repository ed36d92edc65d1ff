//! `--find-max`: through the program.

use super::fleet;
use crate::harness::{Ended, PROGRAM, Run, Tree, run_to_end};
use serde_json::{Value, json};
use std::process::Command;

/// The exit, the certificate, and the page.
fn find_max(tree: &Tree, printed: &[String], args: &[&str]) -> (Ended, Value, String) {
    tree.write("ports.txt", &printed.join("\n"));
    let (json, html) = (tree.path("capacity.json"), tree.path("capacity.html"));
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    command.args(["--find-max", "--step-s", "1", "--json"]).arg(&json).arg("--html").arg(&html).args(args);
    let ended = run_to_end(&mut command);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let report = serde_json::from_str(&read(json)).unwrap_or_default();
    (ended, report, read(html))
}

#[test]
fn a_rate_that_always_holds_is_certified() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let args = ["--fsu", "one", "--mix", "05", "--find-from", "40", "--find-to", "40", "--fail-if", "p99>5s"];
    let (ended, report, page) = find_max(&tree, &run.said, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // On a busy machine the generator may be late, which is no fault of the server.
    let (capacity, limit) = (report["capacity_per_s"].as_f64().expect("a rate"), report["limit"].as_str());
    assert!(
        (limit == Some("allowed") && capacity > 39.9) || (limit == Some("generator") && capacity < 40.0),
        "{report}"
    );
    let steps = report["steps"].as_array().expect("steps");
    let told = |step: &Value| {
        (step["purpose"] == "confirm", step["rate_per_s"].as_f64() == Some(capacity), step["held"] == true)
    };
    assert!(steps.len() >= 4 && steps.iter().rev().take(3).all(|step| told(step) == (true, true, true)), "{report}");
    let verdict = report["verdict"].as_str().expect("text");
    assert!(
        verdict.starts_with("capacity: at least ") && verdict.contains(" requests/s, held 3 times in a row; "),
        "{verdict}"
    );
    assert_eq!(report["run"]["thresholds"], json!(["p99>5s"]));
    assert!(report["machine"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{report}");
    assert!(ended.stdout.join("\n").contains(verdict) && page.contains(verdict), "{ended:?}");
    // A line for each step.
    assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("step ")).count(), steps.len());
}

#[test]
fn a_server_that_always_loses_is_not_certified() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let args = ["--lang", "zh", "--fsu", "one", "--mix", "04", "--find-from", "1", "--timeout-ms", "200"];
    let (ended, report, page) = find_max(&tree, &run.said, &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!([&report["capacity_per_s"], &report["passed"]], [&Value::Null, &json!(false)]);
    assert_eq!(report["verdict"], "no capacity: not even 1 requests/s held");
    let stdout = ended.stdout.join("\n");
    for text in ["没有容量：每秒 1 个请求也没有通过", "上升", "处理器", "没有固定"] {
        assert!(stdout.contains(text), "{text}\n{stdout}");
    }
    assert!(page.contains("本机的容量") && page.contains("没有容量：每秒 1 个请求也没有通过"), "{page}");
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let tree = fleet();
    let check = |args: &[&str], expected: &str| {
        let (ended, report, _) =
            find_max(&tree, &["listening one udp 127.0.0.1:9".to_owned()], &[&["--fsu", "one"], args].concat());
        assert_eq!((ended.code, report), (Some(2), Value::Null), "{args:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    };
    check(&["--rate", "5"], "cannot be used with");
    check(&["--seconds", "5"], "cannot be used with");
    check(&["--find-from", "0"], "--find-from 0: 1 to 100000000 requests a second");
    check(&["--find-from", "9", "--find-to", "8"], "--find-from 9: above --find-to 8");
    check(&["--precision", "60"], "--precision 60: 0.1 to 50 percent");
    check(&["--mock", "127.0.0.1:1"], "it is http://ADDRESS:PORT of the mock's --control");
    check(&["--fail-if", "mock.p99>1ms"], "only the mock knows its own lateness");
    let ended = run_to_end(Command::new(PROGRAM).args(["flood", "--find-from", "9"]));
    assert!(ended.stderr.contains("--find-max"), "{ended:?}");
}
