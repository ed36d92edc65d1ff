//! The requests that are timed and counted: of every shipped vendor, each command that the golden vectors have, over UDP
//! (in the outer frame) and over TCP; and how one is served.

use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::sink::{Outgoing, Sink};
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::envelope::{Head, escape_in_place};
use fsu_plan::wire::reason::Reason;
use std::hint::black_box;
use std::path::Path;

/// 2026-01-12 17:30:03 UTC.
const UNIX_MS: i64 = 1_768_239_003_000;
const RUN: RunContext = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };

/// A request as it travels.
pub(crate) struct Request {
    /// Its command's key.
    pub(crate) command: String,
    /// Its bytes.
    pub(crate) wire: Vec<u8>,
}

/// The FSUs of bench/vendors, each vendor over UDP and over TCP.
pub(crate) fn fleet() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let main_file = loader.main_file(&root().join("bench/vendors"));
    compile(&mut loader, &main_file).expect("bench/vendors is a good configuration")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// An FSU's vendor: its name without the transport.
pub(crate) fn vendor(fsu: &Fsu) -> &str {
    fsu.name.rsplit_once('_').map_or(&*fsu.name, |(vendor, _)| vendor)
}

/// The first vector of every command that this FSU answers.
pub(crate) fn requests(fsu: &Fsu) -> Vec<Request> {
    let path = root().join("tests/vectors").join(vendor(fsu)).with_extension("json");
    let text = std::fs::read(path).expect("the vendor's vectors");
    let vectors: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
    let mut out: Vec<Request> = Vec::new();
    for vector in &vectors {
        let text = |key: &str| vector[key].as_str().map(str::to_owned);
        let (Some("inner"), Some(command), Some(hex)) = (vector["kind"].as_str(), text("command"), text("request"))
        else {
            continue;
        };
        let wire = on_the_wire(fsu, &hex::decode(hex).expect("hex digits"));
        if out.iter().all(|request| request.command != command) && !Server::new(fsu).serve(&wire).is_empty() {
            out.push(Request { command, wire });
        }
    }
    assert!(!out.is_empty(), "{}: no command is answered", fsu.name);
    out
}

fn on_the_wire(fsu: &Fsu, inner: &[u8]) -> Vec<u8> {
    if fsu.transport != Transport::Udp {
        return inner.to_vec();
    }
    let device = &fsu.devices[0];
    let head = Head::request(&fsu.id.bytes, &[0; 8], device.sub_dev_type, device.sub_dev_addr);
    let mut wire = Vec::new();
    head.build(Some(inner), &mut wire).expect("a frame that is not too long");
    escape_in_place(&mut wire);
    wire
}

/// Keeps the reply to one request.
#[derive(Default)]
struct Last(Vec<u8>);

impl Sink for Last {
    #[inline]
    fn send(&mut self, _what: Outgoing, _due_unix_ms: i64, bytes: &[u8]) {
        self.0.extend_from_slice(black_box(bytes));
    }
    fn received(&mut self, _bytes: &[u8], _dropped: Option<Reason>) {}
    fn note(&mut self, _reason: Reason, _bytes: &[u8]) {}
}

/// Serves one FSU; the clock goes on by a millisecond with every request.
pub(crate) struct Server<'a> {
    fsu: &'a Fsu,
    state: FsuState,
    pub(crate) scratch: Scratch,
    last: Last,
    unix_ms: i64,
}

impl<'a> Server<'a> {
    /// With nothing remembered.
    pub(crate) fn new(fsu: &'a Fsu) -> Self {
        let (state, scratch) = (FsuState::new(fsu), Scratch::default());
        Self { fsu, state, scratch, last: Last::default(), unix_ms: UNIX_MS }
    }

    /// The reply; empty if there is none.
    #[inline]
    pub(crate) fn serve(&mut self, wire: &[u8]) -> &[u8] {
        self.unix_ms += 1;
        self.last.0.clear();
        let now = Now { unix_ms: self.unix_ms, utc_offset_s: 0 };
        let moment = Moment::at(now, 0);
        let Self { fsu, state, scratch, last, .. } = self;
        let mut turn = Turn { run: &RUN, fsu, state, scratch, moment };
        stage::on_request(&mut turn, black_box(wire).into(), last);
        &self.last.0
    }
}
