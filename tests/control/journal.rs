//! A journal of calls over HTTP, and the same run once more.

use crate::harness::{Run, until};
use crate::http::control;
use crate::world::{done, frame, read_frame, start, tree};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

/// Asks for the speed; the reply's bytes.
fn asked(centre: &mut TcpStream, serial: u16) -> Vec<u8> {
    centre.write_all(&frame("8200", "86000001", serial, "")).unwrap();
    read_frame(centre)
}

#[test]
fn calls_are_noted_and_made_again() {
    let tree = tree();
    let journal = tree.path("journal");
    let path = journal.display().to_string();
    let (run, at) = start(&tree, &["--journal", &path]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    let mut first = vec![asked(&mut centre, 1)];
    done(at, "PUT /v1/fsus/tracker_1/registers/speed", &json!({ "value": "42" }));
    first.push(asked(&mut centre, 2));
    done(at, "POST /v1/log-level", &json!({ "level": "debug" }));
    done(at, "POST /v1/reload", &json!({}));
    first.push(asked(&mut centre, 3));
    done(at, "POST /v1/fsus/tracker_1/trigger", &json!({ "message": "alarm", "args": { "kind": 9 } }));
    first.push(read_frame(&mut centre));
    first.push(asked(&mut centre, 4));
    assert_eq!((first[0][10], first[1][10], first[3][10]), (7, 42, 9));
    // A call that is refused changes nothing, and has no line.
    assert_eq!(crate::world::call(at, "PUT /v1/fsus/nobody/registers/speed", &json!({ "value": "1" })).status, 404);
    run.stop();
    let lines: Vec<Value> = std::fs::read_to_string(&journal)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told: Vec<(&str, &str, &Value)> = lines[1..]
        .iter()
        .map(|line| (line["call"]["path"].as_str().unwrap(), line["by"].as_str().unwrap(), &line["at"]))
        .collect();
    let (two, four, none) = (json!({ "tracker_1": 2 }), json!({ "tracker_1": 4 }), json!({}));
    let expected = [
        ("/v1/fsus/tracker_1/registers/speed", "api", &two),
        ("/v1/log-level", "api", &none),
        ("/v1/reload", "api", &none),
        ("/v1/fsus/tracker_1/trigger", "api", &four),
    ];
    assert_eq!(told, expected, "{lines:#?}");
    assert_eq!(lines[2]["call"]["body"], json!({ "level": "debug" }));
    for shards in ["1", "2"] {
        let run = Run::start(&tree, &["--control", "127.0.0.1:0", "--shards", shards, "--play", &path]);
        let warned = "not made again: 2 reloads or log levels; a journal has no configurations";
        let mut centre = crate::harness::tcp(run.address("tracker_1"));
        let mut again = vec![asked(&mut centre, 1), asked(&mut centre, 2), asked(&mut centre, 3)];
        // The fourth request comes with the alarm before its reply.
        centre.write_all(&frame("8200", "86000001", 4, "")).unwrap();
        again.extend([read_frame(&mut centre), read_frame(&mut centre)]);
        assert_eq!(again, first, "{shards} shards");
        until("it is told", || crate::http::get(control(&run), "/v1/messages").json()["messages"][0]["sent"] == 1);
        let ended = run.stop();
        assert!(ended.stderr.contains(warned), "{ended:?}");
    }
}
