//! The gallery (`config/gallery/`) and its frames: `NAME/frames.json` is one conversation with the FSU of that name.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod says;

use fsu_core::mock::{Connection, Mock};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage::Incoming;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2026-01-12 17:30:03, UTC: the clock of frames without `now`.
pub const NOW_MS: i64 = 1_768_239_003_000;

pub fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config/gallery")
}

/// The names of its protocols, sorted.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        entries.filter(|path| path.is_dir()).map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect();
    names.sort();
    names
}

/// The fleet, and what `check --strict` says of it.
pub fn fleet() -> (Arc<Fleet>, Vec<String>) {
    let mut loader = Loader::new(Source::Directory);
    let main = loader.main_file(&root());
    let fleet = compile(&mut loader, &main);
    loader.diags.make_strict();
    let lines: Vec<String> = loader.diags.lines().collect();
    (Arc::new(fleet.unwrap_or_else(|| panic!("{}", lines.join("\n")))), lines)
}

/// One request and its right replies.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub name: String,
    pub request: Vec<u8>,
    pub replies: Vec<Vec<u8>>,
    /// Its replies show the clock.
    pub has_clock: bool,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The clock of all its replies, in ms since 1970, UTC.
    pub now_ms: i64,
    pub exchanges: Vec<Exchange>,
}

pub fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap_or_else(|error| panic!("{hex}: {error}"))
}

pub fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn frames(name: &str) -> Frames {
    let file = json(&root().join(name).join("frames.json"));
    let list = file["frames"].as_array().unwrap();
    let text = |one: &Value| bytes(one.as_str().expect("hex"));
    let mut now = None;
    let exchanges = list
        .iter()
        .map(|one| {
            let known = ["name", "request", "replies", "now", "note"];
            let unknown: Vec<&String> =
                one.as_object().unwrap().keys().filter(|key| !known.contains(&&***key)).collect();
            assert_eq!(unknown, [""; 0], "{name}");
            if let Some(told) = one["now"].as_str() {
                assert_eq!(now.get_or_insert(told), &told, "{name}: one conversation, one clock");
            }
            Exchange {
                name: format!("{name}: {}", one["name"].as_str().expect("a name")),
                request: text(&one["request"]),
                replies: one["replies"].as_array().expect("a list").iter().map(text).collect(),
                has_clock: one["now"].is_string(),
            }
        })
        .collect();
    let at = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    Frames { now_ms: now.map_or(NOW_MS, |text| at(text).timestamp().as_millisecond()), exchanges }
}

/// The rule file of a protocol; it may be another protocol's.
pub fn rules(name: &str) -> Value {
    let template = json(&root().join(name).join("template.json"));
    json(&root().join(name).join(template["rule_file_list"][0].as_str().expect("a rule file")))
}

const RUN: RunContext = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };

/// A conversation with one FSU of the fleet, over its transport, without a socket.
pub struct Talk {
    mock: Mock,
    fsu: usize,
    connection: Option<Connection>,
    moment: Moment,
}

impl Talk {
    pub fn new(fleet: &Arc<Fleet>, name: &str, now_ms: i64) -> Self {
        let mut mock = Mock::new(fleet.clone(), RUN);
        let fsu = mock.find(name).unwrap_or_else(|| panic!("{name} is not in the fleet"));
        let moment = Moment::at(Now { unix_ms: now_ms, utc_offset_s: 0 }, 0);
        let is_stream = mock.fleet().fsus[fsu].transport == Transport::Tcp;
        let connection = is_stream.then(|| mock.open(fsu, peer(), moment, &mut Replies::default()).unwrap());
        Self { mock, fsu, connection, moment }
    }

    pub fn is_stream(&self) -> bool {
        self.connection.is_some()
    }

    /// What comes back for these bytes: of a stream, what they complete.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut replies = Replies::default();
        let Some(connection) = &mut self.connection else {
            self.mock.on_datagram(self.fsu, Incoming { peer: peer(), bytes }, self.moment, &mut replies);
            return taken(&replies);
        };
        let mut more = self.mock.on_bytes(connection, bytes, self.moment, &mut replies);
        while !more {
            more = self.mock.on_bytes(connection, &[], self.moment, &mut replies);
        }
        taken(&replies)
    }

    /// What comes back when nothing more comes for some time.
    pub fn wait(&mut self) -> Vec<Vec<u8>> {
        let mut replies = Replies::default();
        if let Some(connection) = &mut self.connection {
            self.mock.on_quiet(connection, self.moment, &mut replies);
        }
        taken(&replies)
    }

    /// Values that did not fit their fields, expressions without a value, and entries that made room for others.
    pub fn failures(&self) -> [u64; 3] {
        let counters = self.mock.counters(self.fsu).expect("it is in the fleet");
        [counters.value_misfits, counters.expression_failures, counters.entries_dropped]
    }

    /// What comes back for a request, whether or not it is doubtful.
    pub fn ask(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        let replies = self.send(request);
        if replies.is_empty() { self.wait() } else { replies }
    }
}

fn peer() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

fn taken(replies: &Replies) -> Vec<Vec<u8>> {
    replies.frames().into_iter().map(<[u8]>::to_vec).collect()
}

/// For each exchange, the replies at that time.
pub fn replies_at(fleet: &Arc<Fleet>, name: &str, frames: &Frames, now_ms: i64) -> Vec<Vec<Vec<u8>>> {
    let mut talk = Talk::new(fleet, name, now_ms);
    frames.exchanges.iter().map(|one| talk.ask(&one.request)).collect()
}

pub fn hex(frames: &[Vec<u8>]) -> Vec<String> {
    frames.iter().map(hex::encode_upper).collect()
}
