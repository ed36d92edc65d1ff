//! What can be read and changed.

use crate::harness::{fsu, until};
use crate::http::{get, request};
use crate::world::{call, done, frame, read_frame, speed, start, tree};
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;

fn names(at: SocketAddr, query: &str) -> (Vec<String>, u64) {
    let page = get(at, &format!("/v1/fsus{query}")).json();
    let names = page["fsus"].as_array().unwrap().iter().map(|fsu| fsu["name"].as_str().unwrap().to_owned());
    (names.collect(), page["matching"].as_u64().unwrap())
}

#[test]
fn fsus_are_listed_filtered_sorted_and_in_pages() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let check = |query: &str, expected: &[&str], matching: u64| {
        let (got, all) = names(at, query);
        assert_eq!((got.iter().map(String::as_str).collect::<Vec<_>>(), all), (expected.to_vec(), matching), "{query}");
    };
    let all = ["site_1", "site_2", "tracker_1", "tracker_2"];
    check("", &all, 4);
    check("?name=site_*", &all[..2], 2);
    check("?name=%3F%3F%3F%3F_2", &["site_2"], 1);
    check("?transport=tcp", &all[2..], 2);
    check("?state=idle", &all, 4);
    check("?state=offline", &[], 0);
    check("?per_page=3&page=1", &["tracker_2"], 4);
    check("?page=9", &[], 4);
    check("?sort=name&desc=1&per_page=2", &["tracker_2", "tracker_1"], 4);
    for wrong in ["?per_page=0", "?per_page=1001", "?state=asleep", "?sort=age", "?colour=1", "?desc=2", "?page=-1"] {
        let got = get(at, &format!("/v1/fsus{wrong}"));
        assert_eq!((got.status, &got.code()[..]), (400, "bad_request"), "{wrong}");
    }
    let long = "x".repeat(257);
    assert_eq!(get(at, &format!("/v1/fsus?name={long}")).json()["error"]["pointer"], "name");
    run.stop();
}

#[test]
fn limit_over_ms_max_and_ttl_s_max() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let trigger =
        |over: u64| call(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm", "over_ms": over })).status;
    assert_eq!((trigger(3_600_000), trigger(3_600_001)), (200, 400));
    let arm = |ttl: f64| call(at, "PUT /v1/fsus/site_1/faults", &json!({ "drop": 1, "ttl_s": ttl })).status;
    assert_eq!((arm(86_400_000.0), arm(86_400_000.5), arm(0.0), arm(-1.0)), (200, 400, 400, 400));
    run.stop();
}

#[test]
fn limit_per_page_max_and_metrics_fsus_max_and_refused_told_max() {
    let tree = tree();
    let fsus: Vec<Value> =
        (0..1_001).map(|n| fsu(&format!("f{n:04}"), &format!("{n:04}"), "udp", &json!({}))).collect();
    tree.set_fsus(&fsus, &json!({}));
    let (run, at) = start(&tree, &["--metrics-per-fsu", "f*"]);
    assert_eq!(names(at, "?per_page=1000").0.len(), 1_000);
    assert_eq!(names(at, "?per_page=1000&page=1").0, ["f1000"]);
    assert_eq!(get(at, "/v1/fsus?per_page=1001").status, 400);
    let metrics = get(at, "/metrics").body;
    assert_eq!(metrics.matches("fsu_mock_fsu_requests_total{fsu=").count(), 1_000);
    let got = call(at, "POST /v1/fsus/*/trigger", &json!({ "message": "alarm" }));
    assert_eq!(got.status, 400, "{got:?}");
    let told = done(at, "PUT /v1/fsus/*/faults", &json!({ "reset": 1 }));
    assert_eq!((told["armed"].as_u64(), told["refused_total"].as_u64()), (Some(0), Some(1_001)));
    assert_eq!(told["refused"].as_array().map(Vec::len), Some(10));
    run.stop();
}

#[test]
fn an_alarm_reaches_a_centre() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    // It is heard.
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    read_frame(&mut centre);
    let told = done(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm", "args": { "kind": "2" } }));
    assert_eq!(told, json!({ "matched": 1, "triggered": 1, "refused": [], "refused_total": 0 }));
    let alarm = read_frame(&mut centre);
    assert_eq!((&alarm[1..3], alarm[10]), (&[3, 0][..], 2), "{alarm:02X?}");
    let serial = u16::from_be_bytes([alarm[7], alarm[8]]);
    centre.write_all(&frame("8300", "86000001", 2, &format!("{serial:04X}"))).unwrap();
    until("it is acknowledged", || get(at, "/v1/messages").json()["messages"][0]["acknowledged"] == 1);
    let got = call(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm", "args": { "kin": "2" } }));
    assert_eq!((got.status, &got.json()["error"]["pointer"]), (400, &json!("/args")), "{got:?}");
    run.stop();
}

#[test]
fn a_register_is_set() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    assert_eq!(speed(&run, "tracker_2", "86000002"), 7);
    let told = done(at, "PUT /v1/fsus/tracker_*/registers/speed", &json!({ "value": "42" }));
    assert_eq!((&told["matched"], &told["set"]), (&json!(2), &json!(2)));
    assert_eq!(speed(&run, "tracker_2", "86000002"), 42);
    // Those that have none are told.
    let told = done(at, "PUT /v1/fsus/*/registers/speed", &json!({ "value": "43" }));
    assert_eq!((&told["matched"], &told["set"], &told["refused_total"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(told["refused"][0], json!({ "fsu": "site_1", "why": "none of its devices has it" }));
    let got = call(at, "PUT /v1/fsus/tracker_1/registers/speed", &json!({ "value": "1", "device": 5 }));
    assert_eq!(got.status, 404, "{got:?}");
    run.stop();
}

#[test]
fn power_goes_and_comes_back() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let state = || get(at, "/v1/fsus?name=tracker_1").json()["fsus"][0]["state"].clone();
    let told = done(at, "PUT /v1/fsus/tracker_1/faults", &json!({ "offline": true, "ttl_s": 600 }));
    assert_eq!((&told["matched"], &told["armed"]), (&json!(1), &json!(1)));
    until("it is offline", || state() == "offline");
    assert_eq!(names(at, "?state=offline").0, ["tracker_1"]);
    let told = done(at, "DELETE /v1/fsus/*/faults", &Value::Null);
    assert_eq!(told, json!({ "matched": 4, "cleared": 1 }));
    until("it is back", || state() != "offline");
    assert_eq!(speed(&run, "tracker_1", "86000001"), 7);
    done(at, "PUT /v1/fsus/site_*/faults", &json!({ "drop": 1, "extra_delay_ms": { "p": 0.5, "ms": 20 } }));
    let armed = get(at, "/v1/fsus?name=site_2").json()["fsus"][0].clone();
    assert_eq!((&armed["state"], &armed["armed"]["drop"]), (&json!("faulty"), &json!(1.0)), "{armed}");
    let got = call(at, "PUT /v1/fsus/site_*/faults", &json!({ "drop": 7 }));
    assert_eq!((got.status, &got.json()["error"]["pointer"]), (400, &json!("/drop")), "{got:?}");
    run.stop();
}

#[test]
fn a_reload_is_done_or_not_and_why() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let told = done(at, "POST /v1/reload", &json!({}));
    assert_eq!(told["done"], true);
    assert_eq!(get(at, "/readyz").status, 200);
    tree.write("tracker/default.json", "{ \"8200\": { \"data\": { \"sped\": 1 } } }");
    let got = request(at, "POST /v1/reload", &[], "");
    assert_eq!((got.status, &got.code()[..]), (409, "conflict"), "{got:?}");
    let lines = got.json()["error"]["diagnostics"].to_string();
    assert!(lines.contains("tracker/default.json") && lines.contains("sped"), "{lines}");
    let ready = get(at, "/readyz");
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("reload_failed")));
    assert_eq!(get(at, "/v1/run").json()["reloads_failed"], 1);
    // What was served is served.
    assert_eq!(speed(&run, "tracker_1", "86000001"), 7);
    run.stop();
}

#[test]
fn it_says_that_the_run_ends() {
    let tree = tree();
    tree.write("tracker/default.json", r#"{ "8200": { "delay": { "fixed": 3000 } } }"#);
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    until("the reply waits", || get(at, "/v1/snapshot").json()["pending"] == 1);
    run.signal(rustix::process::Signal::TERM);
    until("it ends", || {
        let ready = get(at, "/readyz");
        ready.status == 503 && ready.json()["status"] == "stopping"
    });
    read_frame(&mut centre);
    assert_eq!(run.wait().code, Some(0));
}

#[test]
fn a_server_that_is_read_only_changes_nothing() {
    let tree = tree();
    let (run, at) = start(&tree, &["--control-read-only"]);
    for (line, body) in [
        ("POST /v1/fsus/*/trigger", json!({ "message": "alarm" })),
        ("PUT /v1/fsus/*/registers/speed", json!({ "value": "1" })),
        ("PUT /v1/fsus/*/memory/holding", json!({ "hex": "00" })),
        ("PUT /v1/fsus/*/faults", json!({ "offline": true })),
        ("DELETE /v1/fsus/*/faults", Value::Null),
        ("POST /v1/reload", json!({})),
        ("POST /v1/log-level", json!({ "level": "off" })),
    ] {
        let got = call(at, line, &body);
        assert_eq!((got.status, &got.code()[..]), (403, "forbidden"), "{line}");
    }
    assert_eq!(get(at, "/v1/run").json()["read_only"], true);
    assert_eq!(get(at, "/v1/fsus").status, 200);
    run.stop();
}

#[test]
fn hostile_names_are_texts() {
    let names = ["'quoted' & &amp; `so`", "a\u{202E}b", "100% x=#1;", "站点 1", "{{7+7}}${7}"];
    let tree = tree();
    let fsus: Vec<Value> = (0..).zip(names).map(|(n, name)| fsu(name, &format!("{n}"), "udp", &json!({}))).collect();
    tree.set_fsus(&fsus, &json!({}));
    let (run, at) = start(&tree, &[]);
    for name in names {
        let path = format!("/v1/fsus/{}", fsu_control::client::escaped(name));
        let got = get(at, &path);
        assert_eq!(got.status, 200, "{path}: {got:?}");
        assert_eq!(got.json()["name"], *name);
        assert_eq!(got.header("content-type"), Some("application/json"));
    }
    run.stop();
}

#[test]
fn rates_come_from_what_is_asked() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    until("requests are counted", || {
        speed(&run, "tracker_1", "86000001");
        let now = get(at, "/v1/snapshot?map=1").json();
        assert_eq!((now["fsus"].as_u64(), now["map"].as_str().map(str::len)), (Some(4), Some(4)));
        now["rates"]["received"].as_f64().unwrap() > 0.0
            && now["busiest"][0]["name"] == "tracker_1"
            && now["late_us"]["max"].as_u64().unwrap() > 0
    });
    let counted = get(at, "/v1/snapshot").json()["totals"]["received"].as_f64().unwrap() as u64;
    assert_eq!(names(at, "?sort=received&desc=1&per_page=1").0, ["tracker_1"]);
    let ended = run.stop();
    assert_eq!(ended.count("/totals/received"), counted);
}
