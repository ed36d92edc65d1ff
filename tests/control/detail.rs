//! One FSU, whole, and requests without a reply.

use crate::harness::until;
use crate::http::get;
use crate::world::{done, frame, read_frame, speed, start, tree};
use serde_json::{Value, json};
use std::io::Write;

#[test]
fn the_last_exchanges_are_decoded() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    for serial in 0..20 {
        centre.write_all(&frame("8200", "86000001", serial, "")).unwrap();
        read_frame(&mut centre);
    }
    let detail = || get(at, "/v1/fsus/tracker_1").json();
    until("all of them are known", || detail()["received"] == 20 && detail()["exchanges"][0]["kind"] == "reply");
    let detail = detail();
    let exchanges = detail["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 32);
    let (reply, request) = (&exchanges[0], &exchanges[1]);
    assert_eq!((&reply["kind"], &request["kind"]), (&json!("reply"), &json!("request")));
    assert_eq!(request["hex"], hex::encode_upper(frame("8200", "86000001", 19, "")));
    assert_eq!(request["peer"], centre.local_addr().unwrap().to_string());
    assert!(request["text"].as_str().unwrap().starts_with("8200: "), "{request}");
    assert!(reply["text"].as_str().unwrap().starts_with("8200: "), "{reply}");
    assert_eq!(request["explain"]["items"][0]["command"]["key"], "8200", "{request:#}");
    assert_eq!(detail["counters"]["answered"], 20);
    let command = detail["commands"].as_array().unwrap().iter().find(|command| command["command"] == "8200").unwrap();
    assert_eq!((&command["received"], &command["answered"], &command["dropped"]), (&json!(20), &json!(20), &json!(0)));
    run.stop();
}

#[test]
fn what_a_device_remembers_is_told() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    assert_eq!(speed(&run, "tracker_1", "86000001"), 7);
    done(at, "PUT /v1/fsus/tracker_1/registers/speed", &json!({ "value": "<img src=x onerror=alert(1)>" }));
    done(at, "PUT /v1/fsus/tracker_1/memory/holding", &json!({ "at": 2, "hex": "0A 0b" }));
    let got = get(at, "/v1/fsus/tracker_1");
    assert_eq!(got.header("content-type"), Some("application/json"));
    let device = &got.json()["devices"][0];
    assert_eq!(device["registers"]["speed"], "<img src=x onerror=alert(1)>");
    assert_eq!(device["memory"]["holding"], "00000A0B000000000000000000000000");
    assert_eq!(device["params"], json!({ "imei": "86000001" }));
    assert_eq!((&device["vendor"], &device["address"]), (&json!("demo_tracker"), &Value::Null));
    assert_eq!(
        device["messages"][0],
        json!({ "message": "alarm", "args": ["kind"], "sent": 0, "acknowledged": 0, "retried": 0, "refused": 0, "given_up": 0, "pending": 0 })
    );
    run.stop();
}

#[test]
fn limit_unanswered_told_max_and_what_got_no_reply_is_explained() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    // A command that no rule answers.
    centre.write_all(&frame("8300", "86000001", 5, "0001")).unwrap();
    run.udp("site_2").send(b"\xFFnonsense\xFE");
    let all = |query: &str| get(at, &format!("/v1/unanswered{query}")).json();
    until("both are known", || {
        all("")["held"].as_u64().is_some_and(|held| held >= 1) && all("?fsu=site_2")["unanswered"][0]["fsu"] == "site_2"
    });
    let one = all("?fsu=site_2&n=1")["unanswered"][0].clone();
    assert_eq!(one["hex"], hex::encode_upper(b"\xFFnonsense\xFE"));
    let counters = get(at, "/v1/fsus/site_2").json()["counters"]["dropped"].clone();
    assert!(counters.get(one["reason"].as_str().unwrap()).is_some(), "{one} {counters}");
    assert!(one["explain"].as_str().unwrap().contains("reply: none"), "{one}");
    assert_eq!(get(at, "/v1/unanswered?n=1000").status, 200);
    assert_eq!(get(at, "/v1/unanswered?n=1001").json()["error"]["pointer"], "n");
    run.stop();
}

#[test]
fn what_has_become_of_messages_is_told_by_device() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    read_frame(&mut centre);
    for _ in 0..2 {
        done(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm" }));
    }
    let [first, second] = [read_frame(&mut centre), read_frame(&mut centre)];
    assert_ne!(first[7..9], second[7..9]);
    centre.write_all(&frame("8300", "86000001", 2, &hex::encode(&first[7..9]))).unwrap();
    let message = || get(at, "/v1/fsus/tracker_1").json()["devices"][0]["messages"][0].clone();
    until("one is acknowledged", || message()["acknowledged"] == 1);
    assert_eq!((&message()["sent"], &message()["pending"]), (&json!(2), &json!(1)));
    until("the other one is given up", || message()["given_up"] == 1);
    assert_eq!((&message()["retried"], &message()["pending"]), (&json!(2), &json!(0)));
    let listed = get(at, "/v1/fsus?name=tracker_1").json()["fsus"][0].clone();
    let told = ["messages_sent", "messages_acknowledged", "messages_retried", "messages_given_up"];
    assert_eq!(told.map(|key| listed[key].as_u64()), [2, 1, 2, 1].map(Some));
    run.stop();
}

#[test]
fn the_device_log_s_queue_is_told() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let log = get(at, "/v1/snapshot").json()["log"].clone();
    assert!(log["queue_fill"].as_f64() < Some(0.5) && log["lost"] == 0, "{log}");
    assert!(log["queue_bytes"].as_u64() >= Some(1 << 20), "{log}");
    run.stop();
    let (run, at) = start(&tree, &["--performance"]);
    assert!(get(at, "/v1/snapshot").json().get("log").is_none());
    assert!(!get(at, "/metrics").body.contains("log_queue_fill"));
    run.stop();
}
