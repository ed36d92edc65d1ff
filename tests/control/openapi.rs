//! Every call of the document is made, and its answer is what the document says; every call of the server is in the document.

use crate::http::{Got, request};
use crate::world::{start, tree};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Method, path as the document has it, what is asked for, the body, the status.
type Case = (&'static str, &'static str, &'static str, Value, u16);

fn cases() -> Vec<Case> {
    let none = Value::Null;
    vec![
        ("get", "/healthz", "/healthz", none.clone(), 200),
        ("get", "/readyz", "/readyz", none.clone(), 200),
        ("get", "/openapi.json", "/openapi.json", none.clone(), 200),
        ("get", "/metrics", "/metrics", none.clone(), 200),
        ("get", "/", "/", none.clone(), 200),
        ("get", "/static/{file}", "/static/main.js", none.clone(), 200),
        ("get", "/static/{file}", "/static/none.js", none.clone(), 404),
        ("get", "/v1/run", "/v1/run", none.clone(), 200),
        ("get", "/v1/snapshot", "/v1/snapshot", none.clone(), 200),
        ("get", "/v1/snapshot", "/v1/snapshot?map=1", none.clone(), 200),
        ("get", "/v1/snapshot", "/v1/snapshot?map=x", none.clone(), 400),
        ("get", "/v1/fsus", "/v1/fsus", none.clone(), 200),
        ("get", "/v1/fsus", "/v1/fsus?name=site*&sort=received&desc=1&page=0&per_page=1", none.clone(), 200),
        ("get", "/v1/fsus", "/v1/fsus?state=idle&transport=udp&sort=name", none.clone(), 200),
        ("get", "/v1/fsus", "/v1/fsus?per_page=1001", none.clone(), 400),
        ("get", "/v1/fsus/{name}", "/v1/fsus/tracker_1", none.clone(), 200),
        ("get", "/v1/fsus/{name}", "/v1/fsus/nobody", none.clone(), 404),
        ("get", "/v1/unanswered", "/v1/unanswered?fsu=site*&n=5", none.clone(), 200),
        ("get", "/v1/messages", "/v1/messages", none.clone(), 200),
        ("post", "/v1/fsus/{glob}/trigger", "/v1/fsus/tracker_*/trigger", json!({ "message": "alarm" }), 200),
        ("post", "/v1/fsus/{glob}/trigger", "/v1/fsus/tracker_*/trigger", json!({ "message": "none" }), 400),
        ("post", "/v1/fsus/{glob}/trigger", "/v1/fsus/nobody/trigger", json!({ "message": "alarm" }), 404),
        ("put", "/v1/fsus/{glob}/registers/{name}", "/v1/fsus/*/registers/speed", json!({ "value": "9" }), 200),
        ("put", "/v1/fsus/{glob}/registers/{name}", "/v1/fsus/*/registers/none", json!({ "value": "9" }), 404),
        ("put", "/v1/fsus/{glob}/memory/{area}", "/v1/fsus/*/memory/holding", json!({ "at": 2, "hex": "0A0B" }), 200),
        ("put", "/v1/fsus/{glob}/memory/{area}", "/v1/fsus/*/memory/holding", json!({ "at": 2, "hex": "0" }), 400),
        ("put", "/v1/fsus/{glob}/faults", "/v1/fsus/site_1/faults", json!({ "drop": 0.5, "ttl_s": 60 }), 200),
        ("put", "/v1/fsus/{glob}/faults", "/v1/fsus/site_1/faults", json!({ "drpo": 0.5 }), 400),
        ("delete", "/v1/fsus/{glob}/faults", "/v1/fsus/*/faults", none.clone(), 200),
        ("post", "/v1/reload", "/v1/reload", json!({}), 200),
        ("post", "/v1/log-level", "/v1/log-level", json!({ "level": "debug" }), 200),
        ("post", "/v1/log-level", "/v1/log-level", json!({ "level": "loud" }), 400),
    ]
}

/// The schema of an answer with that status; `None`: it is no JSON.
fn schema(document: &Value, (method, path, status): (&str, &str, u16)) -> Option<Value> {
    let responses = &document["paths"][path][method]["responses"];
    let response = responses.get(status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{method} {path} has no {status}"));
    let mut schema = response.pointer("/content/application~1json/schema")?.clone();
    // References are to the document.
    schema["components"] = document["components"].clone();
    Some(schema)
}

fn check(document: &Value, (method, path, status): (&str, &str, u16), got: &Got) {
    assert_eq!(got.status, status, "{method} {path}: {got:?}");
    let Some(schema) = schema(document, (method, path, status)) else {
        assert!(got.header("content-type").is_some_and(|of| !of.contains("json")), "{method} {path}: {got:?}");
        return;
    };
    let validator = jsonschema::validator_for(&schema).unwrap();
    let answer = got.json();
    let wrong: Vec<String> =
        validator.iter_errors(&answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {path} {status}: {wrong:?}\n{answer:#}");
}

#[test]
fn answers_are_what_the_document_says() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let document = request(at, "GET /openapi.json", &[], "").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    // Something to tell of each.
    run.udp("site_1").send(b"\xFFnonsense\xFE");
    let mut called = BTreeSet::new();
    for (method, path, target, body, status) in cases() {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let got = request(at, &format!("{} {target}", method.to_uppercase()), &[], &text);
        check(&document, (method, path, status), &got);
        called.insert(format!("{method} {path}"));
    }
    // A stream does not end.
    called.insert("get /v1/events".to_owned());
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .filter(|call| !call.ends_with(" parameters"))
        .collect();
    assert_eq!(called, documented);
    run.stop();
}

/// The source of the server names no path that the document does not have.
#[test]
fn every_call_of_the_server_is_in_the_document() {
    let document = serde_json::to_value(fsu_control::server::document(fsu_control::api::run::Kind::Run)).unwrap();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../control/server");
    let mut routes = 0;
    for entry in std::fs::read_dir(sources).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        // Routes without a description would be made so.
        assert!(!text.contains(".route(\""), "a route that is not in the document");
        routes += text.matches("#[utoipa::path(").count();
    }
    let documented: usize =
        document["paths"].as_object().unwrap().values().map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(routes, documented);
}
