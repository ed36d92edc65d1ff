//! The server with a source that says what the test wants.

use super::{Bound, Control, Options};
use crate::api::error::Failure;
use crate::api::run::{Kind, Readiness, Ready, Run};
use crate::api::snapshot::Snapshot;
use crate::metrics::Families;
use crate::source::{Answer, Happened, Source};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A program that does nothing.
struct Idle {
    happenings: flume::Receiver<Happened>,
}

impl Source for Idle {
    fn run(&self) -> Run {
        Run {
            program: "fsu-mock".to_owned(),
            version: String::new(),
            kind: Kind::Flood,
            config: None,
            seed: Some(7),
            started: String::new(),
            uptime_s: 0.0,
            driver: None,
            executor: None,
            shards: Vec::new(),
            performance: false,
            device_log: false,
            read_only: false,
            reloads: 0,
            reloads_failed: 0,
            fsus: 3,
            languages: Vec::new(),
        }
    }

    fn ready(&self) -> Ready {
        Ready { status: Readiness::Ready, fsus: Some(3), reloads: Some(0), message: None }
    }

    fn snapshot(&self, map: bool) -> Answer<'_, Arc<Snapshot>> {
        let map = map.then(|| "iso".to_owned());
        Box::pin(async { Ok(Arc::new(Snapshot { fsus: 3, map, ..Snapshot::default() })) })
    }

    fn metrics(&self) -> Answer<'_, Families> {
        Box::pin(async { Err(Failure::bad("none")) })
    }

    fn happened(&self) -> Answer<'_, Happened> {
        Box::pin(async { self.happenings.recv_async().await.map_err(|error| Failure::bad(error.to_string())) })
    }
}

/// A server on a free port, and what tells it what happens.
fn start() -> (Control, flume::Sender<Happened>) {
    let options = Options { at: "127.0.0.1:0".parse().ok(), ..Options::default() };
    let bound = Bound::new(&options).expect("bound").expect("a server");
    let control = Control::start(bound, &[], Kind::Flood).expect("started");
    (control, flume::bounded(10_000).0)
}

fn attached() -> (Control, flume::Sender<Happened>) {
    let (control, _) = start();
    let (sender, happenings) = flume::bounded(10_000);
    control.attach(Arc::new(Idle { happenings }));
    (control, sender)
}

/// A connection with a request on it.
fn asked(control: &Control, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(control.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", control.address());
    stream.write_all(head.as_bytes()).expect("sent");
    BufReader::new(stream)
}

/// The first line of the answer, without the rest.
fn status(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn whole(control: &Control, path: &str) -> String {
    let mut text = String::new();
    asked(control, path).read_to_string(&mut text).expect("an answer");
    text
}

/// The next line that begins so, without that.
fn line(stream: &mut BufReader<TcpStream>, beginning: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).expect("a line") > 0, "it ended");
        if let Some(rest) = line.strip_prefix(beginning) {
            return rest.trim_end().to_owned();
        }
    }
}

#[test]
fn it_says_what_it_can_before_there_is_anything() {
    let (control, _) = start();
    assert!(whole(&control, "/healthz").ends_with(r#"{"status":"ok"}"#));
    let ready = whole(&control, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(r#""status":"starting""#), "{ready}");
    assert!(whole(&control, "/v1/run").contains(r#""code":"busy""#));
}

#[test]
fn it_answers_from_its_source_until_the_end() {
    let (control, _sender) = attached();
    assert!(whole(&control, "/readyz").ends_with(r#"{"status":"ready","fsus":3,"reloads":0}"#));
    assert!(whole(&control, "/v1/run").contains(r#""kind":"flood""#));
    assert!(!whole(&control, "/v1/snapshot").contains("\"map\""));
    assert!(whole(&control, "/v1/snapshot?map=1").contains(r#""map":"iso""#));
    assert!(whole(&control, "/v1/snapshot?map=2").contains(r#""pointer":"map""#));
    assert!(whole(&control, "/v1/snapshot?mop=2").contains(r#""code":"bad_request""#));
    // A load generator has no calls about FSUs.
    assert!(whole(&control, "/v1/fsus").contains(r#""code":"not_found""#));
    control.stopping();
    assert!(whole(&control, "/readyz").contains(r#""status":"stopping""#));
    let address = control.address();
    drop(control);
    assert!(TcpStream::connect(address).is_err(), "it has ended");
}

#[test]
fn a_stream_has_snapshots_and_what_happens() {
    let (control, sender) = attached();
    let mut stream = asked(&control, "/v1/events?map=1");
    assert_eq!(status(&mut stream), "HTTP/1.1 200 OK");
    assert_eq!(line(&mut stream, "event: "), "snapshot");
    assert!(line(&mut stream, "data: ").contains(r#""map":"iso""#));
    sender.send(Happened { event: "reload", data: serde_json::json!({ "done": true }) }).expect("sent");
    loop {
        match &line(&mut stream, "event: ")[..] {
            "snapshot" => {}
            other => break assert_eq!(other, "reload"),
        }
    }
    assert_eq!(line(&mut stream, "data: "), r#"{"done":true}"#);
}

#[test]
fn limit_streams_max() {
    let (control, _sender) = attached();
    let mut streams: Vec<_> = (0..32).map(|_| asked(&control, "/v1/events")).collect();
    for stream in &mut streams {
        assert_eq!(status(stream), "HTTP/1.1 200 OK");
    }
    assert!(whole(&control, "/v1/events").contains("32 streams of events are open already"));
    drop(streams);
    // The server sees that they are gone when it writes the next snapshot.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while status(&mut asked(&control, "/v1/events")) != "HTTP/1.1 200 OK" {
        assert!(std::time::Instant::now() < deadline, "they stay");
    }
}
