//! The seccomp profile of deploy/seccomp: the program serves, loads and ends under it, and any other system call would kill it.

use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// What [`launcher`] runs: a JSON list of arguments.
const ARGUMENTS: &str = "FSU_MOCK_TEST_ARGUMENTS";
/// Calls that it takes out of the profile.
const WITHOUT: &str = "FSU_MOCK_TEST_WITHOUT";

/// The calls that the profile allows.
fn allowed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/seccomp/fsu-mock.json");
    let profile: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a profile")).expect("JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let one = &profile["syscalls"];
    assert!(one.as_array().is_some_and(|all| all.len() == 1) && one[0]["action"] == "SCMP_ACT_ALLOW");
    serde_json::from_value(one[0]["names"].clone()).expect("names")
}

/// Becomes the program, under the profile, where every other call kills. Only ever started by [`under`].
#[test]
#[ignore = "a part of the tests below"]
fn launcher() {
    let arguments: Vec<String> = serde_json::from_str(&std::env::var(ARGUMENTS).expect("arguments")).expect("a list");
    let without = std::env::var(WITHOUT).unwrap_or_default();
    let calls: Vec<Value> =
        allowed().iter().filter(|name| **name != without).map(|name| json!({"syscall": name})).collect();
    let filter = json!({"main": {"mismatch_action": "kill_process", "match_action": "allow", "filter": calls}});
    let arch = std::env::consts::ARCH.try_into().expect("an architecture");
    let programs = seccompiler::compile_from_json(filter.to_string().as_bytes(), arch).expect("a filter");
    seccompiler::apply_filter(&programs["main"]).expect("a thread may give up what it wants");
    // What comes back is the reason why it did not become the program.
    panic!("{}", Command::new(PROGRAM).args(arguments).exec());
}

/// The program with these arguments, under the profile.
fn under(arguments: &[&str], without: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["seccomp::launcher", "--exact", "--ignored", "--nocapture"]);
    command.env(ARGUMENTS, json!(arguments).to_string()).env(WITHOUT, without);
    command
}

fn serve_and_load(driver: &str) {
    let fsus = [fsu("site", "10000000", "udp", &json!({"count": 3})), fsu("line", "20000000", "tcp", &json!({}))];
    let tree = Tree::new(&fsus, &json!({}));
    tree.write("meter/rules/default.json", r#"{"01": {}, "02": {}, "03": {}, "05": {}}"#);
    let file = |name: &str| tree.path(name).display().to_string();
    let config = file("sys_config.json");
    let (stats, ledger, logs) = (file("stats.json"), file("faults.jsonl"), file("logs"));
    let (messages, journal) = (file("messages.jsonl"), file("journal.jsonl"));
    let run = ["run", "--config", &config, "--driver", driver, "--stats", &stats, "--fault-ledger", &ledger];
    let more = ["--message-ledger", &messages, "--journal", &journal, "--log-dir", &logs];
    let arguments: Vec<&str> = run.into_iter().chain(more).chain(["--control", "127.0.0.1:0", "--watch"]).collect();
    let mut run = Run::ready(&mut under(&arguments, ""), tree.path("stats.json"));
    std::fs::write(tree.path("ports"), run.said.join("\n")).expect("written");
    let (ports, json, html) = (file("ports"), file("flood.json"), file("flood.html"));
    for transport in [None, Some("--tcp")] {
        let flood = ["flood", "--config", &config, "--ports", &ports, "--json", &json, "--html", &html, "--quiet"];
        let bounds = ["--requests", "500", "--seconds", "20", "--timeout-ms", "5000"];
        let arguments: Vec<&str> = flood.into_iter().chain(bounds).chain(transport).collect();
        let ended = run_to_end(&mut under(&arguments, ""));
        assert_eq!(ended.code, Some(0), "{driver} {transport:?}: {}", ended.stderr);
    }
    let to = run.address("site_00001").to_string();
    let ask = ["ask", "--config", &config, "--fsu", "site_00001", "--cmd", "01", "--to", &to];
    let ended = run_to_end(&mut under(&ask, ""));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    run.reload();
    let ended = run.stop();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.count("/totals/received"), 1_001);
}

#[test]
fn the_profile_is_enough_with_epoll() {
    serve_and_load("poll");
}

#[test]
fn the_profile_is_enough_with_io_uring() {
    // The seccomp profile of a container may forbid it to the test itself.
    if io_uring::IoUring::new(8).is_err() {
        eprintln!("no io_uring here");
        return;
    }
    serve_and_load("ring");
}

/// The test above can fail: without one call the program ends.
#[test]
fn a_call_that_the_profile_lacks_ends_the_program() {
    let tree = Tree::new(&[fsu("site", "10000000", "udp", &json!({}))], &json!({}));
    let config = tree.path("sys_config.json").display().to_string();
    let check = |without: &str, expected: Option<i32>| {
        let ended = run_to_end(&mut under(&["check", &config], without));
        assert_eq!(ended.code, expected, "without {without:?}: {}", ended.stderr);
    };
    check("", Some(0));
    // Killed by a signal: no code.
    check("openat", None);
}
