//! The stream of events.

use crate::harness::PATIENCE;
use crate::http::connect;
use crate::world::{done, frame, read_frame, start, tree};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(at: SocketAddr, query: &str) -> Self {
        let mut stream = connect(at);
        write!(stream, "GET /v1/events{query} HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
        let mut all = Self(BufReader::new(stream));
        assert!(all.line().starts_with("HTTP/1.1 200"));
        all
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "it ended");
        line.trim_end().to_owned()
    }

    /// The data of the next event of that name.
    fn next(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no event {name}");
            if self.line() == format!("event: {name}") {
                let line = self.line();
                return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn what_happens_is_told() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut events = Stream::open(at, "?map=1");
    let first = events.next("snapshot");
    assert_eq!(first["map"], "iiii");
    // The next second may begin within the time that one look at the fleet is shared for.
    assert!((0..3).any(|_| events.next("snapshot")["t_ms"].as_u64() > first["t_ms"].as_u64()));
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    read_frame(&mut centre);
    let came = events.next("centre");
    let peer = centre.local_addr().unwrap().to_string();
    assert_eq!(came, json!({ "fsu": "tracker_1", "peer": peer, "came": true }));
    done(at, "PUT /v1/fsus/site_*/faults", &json!({ "offline": true }));
    let change = events.next("change");
    assert_eq!((&change["by"], &change["matched"]), (&json!("api"), &json!(2)), "{change}");
    let outage = events.next("outage");
    assert_eq!(outage, json!({ "fsus": 2, "begun": true, "names": ["site_1", "site_2"] }));
    assert_eq!(events.next("snapshot")["states"]["offline"], 2);
    done(at, "DELETE /v1/fsus/*/faults", &Value::Null);
    assert_eq!(events.next("outage")["begun"], false);
    drop(centre);
    assert_eq!(events.next("centre")["came"], false);
    done(at, "POST /v1/reload", &json!({}));
    assert_eq!(events.next("reload")["done"], true);
    // Snapshots without a map are for those who did not ask for one.
    assert!(Stream::open(at, "").next("snapshot").get("map").is_none());
    run.stop();
}
