//! Thousands of connections that one process dials, and all of them reset at once.

use super::listen::{Centre, counts, free_port};
use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end, until};
use serde_json::json;
use std::process::Command;

const FSUS: u64 = 2_000;
/// Long after all are up, whatever else the machine does.
const RESET_AT: &str = "8";

/// Each registers once on each connection, and tries again for as long as it takes.
const RULES: &str = r#"{
  "01": {"timeout": true}, "02": {"timeout": true}, "04": {}, "05": {},
  "messages": {
    "hello": {"frame": "01", "on": "connect", "data": {"{pdu_left}address": "11", "tag": "${param(at)}$", "level": 1},
      "ack": {"frame": "03", "match": "tag", "within_ms": 60000, "retries": 0, "else": "reconnect"}}
  }
}"#;

fn fleet(port: u16) -> Tree {
    let connect = json!({"to": format!("127.0.0.1:{port}"), "reconnect_ms": [200, 1000]});
    let mut entry = fsu("f", "20010000", "tcp", &json!({"count": FSUS, "params": {"at": "0001"}, "connect": connect}));
    entry.as_object_mut().expect("an entry").retain(|key, _| key != "port" && key != "host");
    let tree = Tree::new(&[entry], &json!({}));
    tree.write("meter/rules/default.json", RULES);
    tree
}

#[test]
fn thousands_that_dial_register_once_and_are_back_after_a_reset() {
    let tree = fleet(free_port());
    let args = ["--quiet", "--message-ledger", "centre.jsonl", "--reset-at", RESET_AT, "--html", "page.html"];
    let centre = Centre::listen(&tree, &[], &args);
    let run = Run::start(&tree, &["--message-ledger", "mock.jsonl"]);
    let acked = || {
        let ledger = std::fs::read_to_string(tree.path("centre.jsonl")).unwrap_or_default();
        ledger.lines().filter(|line| line.contains("\"acked\"")).count() as u64
    };
    until("all are back and registered", || acked() >= 2 * FSUS);
    let ended = run.stop();
    let (code, said, report) = centre.stop(&tree);
    assert_eq!(code, Some(0), "{said}");
    let connections = &report["messages"]["connections"];
    assert_eq!((counts(&report, "hello"), &connections["accepted"]), ([2 * FSUS, 0, 0, 2 * FSUS], &json!(2 * FSUS)));
    let reset = &connections["resets"][0];
    let told = [&reset["at_s"], &reset["reset"], &reset["back"], &connections["ended"]["on_purpose"]];
    assert_eq!(told, [&json!(8.0), &json!(FSUS), &json!(FSUS), &json!(FSUS)], "{said}");
    assert!(said.contains("at 8.0 s: 2,000 connections reset within "), "{said}");
    assert!(said.contains(" ms, 2,000 came back: the first after "), "{said}");
    assert!(std::fs::read_to_string(tree.path("page.html")).expect("a page").contains("<dt>reset on purpose</dt>"));
    let mock = ["/totals/connections", "/totals/messages_sent", "/totals/messages_acknowledged"];
    assert_eq!(mock.map(|pointer| ended.count(pointer)), [2 * FSUS; 3]);
    assert_eq!(ended.count("/totals/dial_failures_total"), 0);
    let compared = run_to_end(
        Command::new(PROGRAM).args(["flood", "--reconcile", "mock.jsonl", "centre.jsonl"]).current_dir(tree.path("")),
    );
    assert_eq!(compared.code, Some(0), "{compared:?}");
}

#[test]
fn a_reset_needs_connections_and_a_centre() {
    let tree = Tree::new(&[fsu("f", "20010000", "udp", &json!({}))], &json!({}));
    let check = |args: &[&str], expected: &str| {
        let mut command = Command::new(PROGRAM);
        let ended = run_to_end(command.arg("flood").args(args).current_dir(tree.path("")));
        assert!(ended.code == Some(2) && ended.stderr.contains(expected), "{args:?}: {ended:?}");
    };
    let config = ["--config", "sys_config.json", "--reset-at", "1"];
    check(&config, "--reset-at is for a centre: give --listen ADDR, too");
    check(&[&["--listen", "127.0.0.1:0"], &config[..]].concat(), "--reset-at: no FSU of the configuration is tcp");
    check(&["--listen", "127.0.0.1:0", "--reset-at", "1,x"], "x: seconds from 0 to 86400");
    check(&["--listen", "127.0.0.1:0", "--reset-at", "86401"], "86401: seconds from 0 to 86400");
}
