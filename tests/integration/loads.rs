//! A load in parts: `merge` makes of their reports what one generator would have told.

use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const FSUS: usize = 24;
const REQUESTS: u64 = 1_200;

/// FSUs at several addresses; one command, whose replies differ from FSU to FSU.
fn tree() -> Tree {
    let ranges = json!({"count": FSUS, "hosts": "127.1.0.0/24", "port": 0});
    let mut site = fsu("site", "10000000", "udp", &ranges);
    site.as_object_mut().expect("an object").remove("host");
    let tree = Tree::new(&[site], &json!({}));
    let rules = json!({"01": {"data": {"level": "${rand(1, 60000)}$"}}, "02": {}, "03": {}, "05": {}});
    tree.write("meter/rules/default.json", &rules.to_string());
    tree
}

/// Loads a part (`None`: all) and leaves the report in that directory.
fn load(tree: &Tree, part: Option<&str>, dir: &Path, more: &[&str]) -> (Option<i32>, Value) {
    std::fs::create_dir_all(dir).expect("a directory");
    let report = dir.join("flood.json");
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports"));
    command.args(["--quiet", "--mix", "01", "--warmup", "0", "--seconds", "20", "--requests", &REQUESTS.to_string()]);
    command.args(["--timeout-ms", "5000", "--seed", "3", "--json"]).arg(&report).args(more);
    if let Some(part) = part {
        command.args(["--partition", part]);
    }
    let ended = run_to_end(&mut command);
    (ended.code, json_of(&report))
}

fn json_of(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn merge(out: &Path, dirs: &[PathBuf], more: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(PROGRAM).arg("merge").args(more).arg(out).args(dirs).output().expect("the program");
    (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

fn serving(tree: &Tree) -> Run {
    let run = Run::start(tree, &["--seed", "7"]);
    std::fs::write(tree.path("ports"), run.said.join("\n")).expect("written");
    run
}

fn parts(tree: &Tree, many: usize, more: &[&str]) -> Vec<PathBuf> {
    let one = |number: usize| {
        let dir = tree.path(&format!("part-{number}-of-{many}"));
        let (code, report) = load(tree, Some(&format!("{number}/{many}")), &dir, more);
        assert_eq!((code, &report["part"]["part"]), (Some(0), &json!(number)), "{}", report["verdict"]);
        dir
    };
    (0..many).map(one).collect()
}

/// The histogram at a place of several reports, added up step by step.
fn steps(reports: &[Value], pointer: &str) -> Value {
    let mut sum = BTreeMap::<u64, u64>::new();
    for step in reports.iter().flat_map(|report| report.pointer(pointer).and_then(Value::as_array).expect("steps")) {
        *sum.entry(step[0].as_u64().expect("a step")).or_default() += step[1].as_u64().expect("a count");
    }
    json!(sum.into_iter().collect::<Vec<_>>())
}

#[test]
fn the_reports_of_parts_become_one() {
    let tree = tree();
    let run = serving(&tree);
    let (code, whole) = load(&tree, None, &tree.path("whole"), &[]);
    assert_eq!(code, Some(0));
    assert!(whole.pointer("/latency/steps").is_none() && whole.get("part").is_none());
    for many in [2, 8] {
        let dirs = parts(&tree, many, &[]);
        let out = tree.path(&format!("merged-{many}"));
        let (code, text) = merge(&out, &dirs.iter().rev().cloned().collect::<Vec<_>>(), &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&format!("flood.json: {many} of {many} parts, 24 of 24 FSUs; 1,200 requests")), "{text}");
        let merged = json_of(&out.join("flood.json"));
        let reports: Vec<Value> = dirs.iter().map(|dir| json_of(&dir.join("flood.json"))).collect();
        // Which device is asked how often is chance in a closed loop; what they are asked together is not.
        for key in
            ["counts/sent", "counts/good", "counts/late", "counts/wrong", "counts/lost", "counts/silent", "replies"]
        {
            let at = format!("/totals/{key}");
            assert_eq!(merged.pointer(&at), whole.pointer(&at), "{key} of {many}");
        }
        assert_eq!(merged.pointer("/run/fsus"), whole.pointer("/run/fsus"));
        for key in ["/totals/counts/uncertain", "/totals/bytes_out", "/totals/bytes_in", "/commands/0/counts/sent"] {
            let of = |report: &Value| report.pointer(key).and_then(Value::as_u64).expect("a count");
            assert_eq!(of(&merged), reports.iter().map(of).sum::<u64>(), "{key} of {many}");
        }
        for key in ["/latency", "/lag", "/commands/0/latency", "/vendors/0/latency"] {
            let at = format!("{key}/steps");
            assert_eq!(merged.pointer(&at), Some(&steps(&reports, &at)), "{key} of {many}");
        }
        assert_eq!(merged.pointer("/latency/count"), whole.pointer("/latency/count"));
        let max = reports.iter().filter_map(|one| one.pointer("/latency/max_us")?.as_f64()).fold(0.0, f64::max);
        assert_eq!(merged.pointer("/latency/max_us").and_then(Value::as_f64), Some(max));
        let rates: f64 = reports.iter().filter_map(|one| one.pointer("/totals/sent_per_s")?.as_f64()).sum();
        let rate = merged.pointer("/totals/sent_per_s").and_then(Value::as_f64).expect("a rate");
        assert!((rate - rates).abs() < 0.01, "{rate} {rates}");
        assert_eq!((&merged["verdict"]["passed"], &merged["merged"]["parts"]), (&json!(true), &json!(many)));
        // For people, and by the program itself.
        let page = std::fs::read_to_string(out.join("flood.html")).expect("a page");
        assert!(page.starts_with("<!doctype html>"));
        assert!(std::fs::read_to_string(out.join("flood.txt")).expect("a text").contains("1,200"));
        let mut again = Command::new(PROGRAM);
        again.args(["flood", "--from"]).arg(out.join("flood.json")).args(["--fail-if", "loss>0.1%"]);
        assert_eq!(run_to_end(&mut again).code, Some(0));
    }
    assert_eq!(run.stop().count("/totals/received"), 3 * REQUESTS);
}

#[test]
fn reports_that_do_not_belong_together_are_not_merged() {
    let tree = tree();
    let run = serving(&tree);
    let dirs = parts(&tree, 3, &[]);
    let out = tree.path("merged");
    let check = |dirs: &[&PathBuf], more: &[&str], expected: (i32, &str)| {
        let dirs: Vec<PathBuf> = dirs.iter().map(|dir| (*dir).clone()).collect();
        let (code, text) = merge(&out, &dirs, more);
        assert!(code == Some(expected.0) && text.contains(expected.1), "{code:?} {text}\nexpected {expected:?}");
    };
    check(&[&dirs[0], &dirs[2]], &[], (2, "flood.json: 1 part missing: 1 (--allow-missing merges the others)"));
    assert!(!out.exists());
    check(&[&dirs[0], &dirs[2]], &["--allow-missing"], (0, "2 of 3 parts"));
    assert_eq!(json_of(&out.join("flood.json"))["merged"]["missing"], json!([1]));
    check(&[&dirs[0], &dirs[0]], &["--allow-missing"], (2, "its files would count twice"));
    let copy = tree.path("copy");
    std::fs::create_dir(&copy).expect("a directory");
    std::fs::copy(dirs[0].join("flood.json"), copy.join("flood.json")).expect("copied");
    check(&[&dirs[0], &copy], &["--allow-missing"], (2, "part 0 is also in"));
    let other = tree.path("other");
    load(&tree, Some("1/3"), &other, &["--window", "2"]);
    check(&[&dirs[0], &other, &dirs[2]], &[], (2, "--window is Some(2), and Some(1) in"));
    load(&tree, Some("1/3"), &other, &["--fail-if", "loss>0.1%"]);
    check(&[&dirs[0], &other, &dirs[2]], &[], (2, "hold the merged report to it"));
    load(&tree, None, &other, &[]);
    check(&[&dirs[0], &other, &dirs[2]], &[], (2, "a report of a load without --partition"));
    assert_eq!(run.stop().code, Some(0));
}

/// One verdict: losses are those of all parts against what is allowed, and a failure of one part fails the whole.
#[test]
fn a_loss_is_judged_over_all_parts() {
    let tree = tree();
    let run = serving(&tree);
    let dirs = parts(&tree, 2, &["--max-loss", "40"]);
    let edit = |lost: u64| {
        let path = dirs[0].join("flood.json");
        let mut report = json_of(&path);
        let counts = &mut report["totals"]["counts"];
        let moved = counts["good"].as_u64().expect("a count") + counts["lost"].as_u64().expect("a count") - lost;
        (counts["good"], counts["lost"]) = (json!(moved), json!(lost));
        report["totals"]["loss"] = json!(lost as f64 / report["totals"]["counts"]["sent"].as_f64().expect("a count"));
        let sent = report["totals"]["counts"]["sent"].as_u64().expect("a count");
        let share = lost as f64 / sent as f64 * 100.0;
        let failures =
            if share > 40.0 { vec![format!("{lost} lost, {share:.4} % (--max-loss 40)")] } else { Vec::new() };
        report["verdict"]["passed"] = json!(failures.is_empty());
        report["verdict"]["failures"] = json!(failures);
        std::fs::write(&path, report.to_string()).expect("written");
        let out = tree.path("merged");
        let (code, text) = merge(&out, &dirs, &[]);
        (code, text, json_of(&out.join("flood.json"))["verdict"].clone())
    };
    let first = json_of(&dirs[0].join("flood.json"));
    let answered = first["totals"]["counts"]["good"].as_u64().expect("a count");
    // More than allowed of one part, less of both together.
    let (code, text, verdict) = edit(answered * 45 / 100);
    assert_eq!((code, &verdict["passed"]), (Some(0), &json!(true)), "{text}");
    let (code, text, verdict) = edit(answered);
    assert_eq!((code, &verdict["passed"]), (Some(1), &json!(false)), "{text}");
    assert!(verdict["failures"][0].as_str().expect("a text").contains(" lost, "), "{verdict}");
    assert_eq!(run.stop().code, Some(0));
}
