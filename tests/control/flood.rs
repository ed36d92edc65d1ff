//! The control server of a load: its page's numbers, its metrics, and who may look.

use crate::harness::{PROGRAM, Run, Tree, fsu, until};
use crate::http::{get, request};
use crate::load::Load;
use serde_json::{Value, json};
use std::process::Command;

/// A fleet that is served, with the file of its ports.
fn served() -> (Tree, Run) {
    let tree = Tree::new(&[fsu("one", "31", "udp", &json!({})), fsu("two", "32", "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &["--control", "127.0.0.1:0"]);
    tree.write("ports.txt", &run.said.join("\n"));
    (tree, run)
}

const AT: [&str; 4] = ["--config", "sys_config.json", "--ports", "ports.txt"];

#[test]
fn a_load_tells_what_it_does() {
    let (tree, run) = served();
    let mock = format!("http://{}", crate::http::control(&run));
    let load = Load::start(
        &tree,
        &[&AT[..], &["--rate", "200", "--seconds", "600", "--timeout-ms", "60000", "--mock", &mock]].concat(),
    );
    let at = load.at;
    let facts = get(at, "/v1/run").json();
    let told = ["kind", "fsus", "read_only"].map(|key| facts[key].clone());
    assert_eq!(told, [json!("flood"), json!(2), json!(true)], "{facts}");
    assert_eq!(get(at, "/readyz").json()["status"], "ready");
    let snapshot = || get(at, "/v1/snapshot?map=1").json();
    let count = |of: &Value, key: &str| of["totals"][key].as_f64().unwrap();
    until("it has answers", || count(&snapshot(), "answered") > 100.0);
    let first = snapshot();
    until("they grow", || count(&snapshot(), "answered") > count(&first, "answered"));
    until("the mock has told how late it is", || snapshot()["mock_late_us"]["max"].is_u64());
    let now = snapshot();
    assert_eq!((&now["target_per_s"], &now["totals"]["dropped"]), (&json!(200.0), &json!(0.0)), "{now}");
    assert!(now["rates"]["sent"].as_f64().unwrap() > 100.0 && now["reply_us"]["p99"].as_u64().unwrap() > 0, "{now}");
    assert!(now.get("map").is_none() && now.get("states").is_none() && now["busiest"] == json!([]), "{now}");
    let metrics = request(at, "GET /metrics", &["Accept: text/plain;version=0.0.4"], "").body;
    for name in ["requests_total ", "latency_seconds_bucket{le=", "lag_seconds_count ", "outcomes{outcome=\"right\"} "]
    {
        assert!(metrics.contains(&format!("\nfsu_mock_flood_{name}")), "{name}\n{metrics}");
    }
    assert_eq!(crate::metrics::checked(&metrics), "Some(0) ");
    // It is only looked at.
    assert_eq!(get(at, "/v1/fsus").status, 404);
    assert_eq!(crate::world::call(at, "POST /v1/reload", &json!({})).status, 403);
    let other = request(at, "GET /v1/snapshot", &["Origin: http://example.org"], "");
    assert_eq!((other.status, other.code()), (403, "forbidden".to_owned()));
    assert_eq!(get(at, "/").header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(load.stop(), Some(0));
    run.stop();
}

#[test]
fn why_replies_are_wrong_and_missing() {
    let (tree, run) = served();
    let control = crate::http::control(&run);
    crate::world::done(control, "PUT /v1/fsus/one/faults", &json!({ "drop": 1.0 }));
    let load = Load::start(&tree, &[&AT[..], &["--rate", "50", "--seconds", "600", "--timeout-ms", "200"]].concat());
    let snapshot = || get(load.at, "/v1/snapshot").json();
    until("requests are lost", || snapshot()["reasons"]["no_reply"].as_u64() > Some(5));
    until("the rate tells it, too", || snapshot()["rates"]["dropped"].as_f64() > Some(0.0));
    // Requests were lost, hence the verdict is bad.
    assert_eq!(load.stop(), Some(1));
    run.stop();
}

#[test]
fn a_centre_and_what_does_not_go_together() {
    let tree = crate::world::tree();
    let load = Load::start(&tree, &["--config", "sys_config.json", "--listen", "127.0.0.1:0"]);
    until("a second has passed", || get(load.at, "/v1/snapshot").json()["over_ms"].as_u64() > Some(0));
    let now = get(load.at, "/v1/snapshot").json();
    assert_eq!((&now["connections"], now["totals"].get("sent")), (&json!(0), None), "{now}");
    drop(load);
    let said = |args: &[&str]| {
        let out = Command::new(PROGRAM).arg("flood").args(args).current_dir(tree.path("")).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for (args, why) in [
        (&["--control", "127.0.0.1:0", "--from", "x"][..], "cannot be used with"),
        (&["--control-token", "x"], "--control"),
        (
            &["--config", "sys_config.json", "--listen", "127.0.0.1:0", "--control", "0.0.0.0:0"],
            "needs --control-token FILE",
        ),
    ] {
        let (code, text) = said(args);
        assert!(code == Some(2) && text.contains(why), "{args:?}: {code:?} {text}");
    }
}
