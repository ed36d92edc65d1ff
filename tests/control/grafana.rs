//! The dashboard for Grafana (deploy/grafana): its metrics are those of a run, its expressions are PromQL.

use crate::harness::until;
use crate::http::get;
use crate::world::{frame, read_frame, start, tree};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

const DASHBOARD: &str = include_str!("../../deploy/grafana/fsu-mock.json");

/// All values under that key, at any depth.
fn all<'v>(value: &'v Value, key: &str, out: &mut Vec<&'v Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| all(value, key, out)),
        Value::Object(map) => {
            out.extend(map.get(key));
            map.values().for_each(|value| all(value, key, out));
        }
        _ => {}
    }
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let mut found = Vec::new();
    all(dashboard, "expr", &mut found);
    found.into_iter().map(|expr| expr.as_str().unwrap().to_owned()).collect()
}

/// The names of metrics in an expression.
fn metrics(expr: &str) -> BTreeSet<&str> {
    let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("fsu_mock_")).collect()
}

/// What promtool says of rules with these expressions; Grafana's variables are what it puts in their places.
fn checked(expressions: &[String]) -> (Option<i32>, String) {
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expr) in expressions.iter().enumerate() {
        let expr = expr.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*");
        writeln!(rules, "  - record: dashboard:panel:{number}\n    expr: {}", json!(expr)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    let tool = Command::new("promtool").args(["check", "rules"]).arg(&file).output();
    let tool = tool.expect("promtool is needed (Debian: apt-get install prometheus)");
    (tool.status.code(), String::from_utf8_lossy(&[tool.stdout, tool.stderr].concat()).into_owned())
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let tree = tree();
    // The device log is on.
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    read_frame(&mut centre);
    crate::world::done(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm" }));
    let alarm = read_frame(&mut centre);
    // It is acknowledged by the serial that it came with.
    centre.write_all(&frame("8300", "86000001", 2, &hex::encode(&alarm[7..9]))).unwrap();
    run.udp("site_1").send(b"\xFFnonsense\xFE");
    let text = || get(at, "/metrics").body;
    let is_there = |part: &str| text().contains(part);
    until("something is dropped", || is_there("fsu_mock_dropped_total{"));
    until("the alarm is acknowledged", || is_there("fsu_mock_message_ack_seconds_bucket{"));
    let text = text();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let asked = expressions(&dashboard);
    assert!(asked.len() >= 25, "{}", asked.len());
    let known: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let named: BTreeSet<&str> = asked.iter().flat_map(|expr| metrics(expr)).collect();
    assert!(named.len() >= 18, "{named:?}");
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}\n{text}");
    // Panels do not lie on each other, and each has its own number.
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut cells = BTreeSet::new();
    for panel in panels {
        let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in of("x")..of("x") + of("w") {
            assert!(x < 24, "{panel}");
            for y in of("y")..of("y") + of("h") {
                assert!(cells.insert((x, y)), "{x} {y}: {}", panel["title"]);
            }
        }
    }
    run.stop();
}

#[test]
fn every_expression_is_promql() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (code, said) = checked(&expressions(&dashboard));
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(checked(&["sum(rate(x[5m])".to_owned()]).0, Some(0), "a check that cannot fail is none");
    // Every panel reads the chosen Prometheus.
    let mut sources = Vec::new();
    all(&dashboard["panels"], "uid", &mut sources);
    assert!(sources.iter().all(|uid| *uid == "${datasource}"), "{sources:?}");
    let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert_eq!(variables, ["datasource", "job", "instance"]);
}
