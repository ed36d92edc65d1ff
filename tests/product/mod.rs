//! The program as a library: a configuration of one FSU with one device, compiled, answering frames.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used)]

use crate::naive::clock::Clock;
use crate::naive::frame::Verify;
use crate::naive::transfer::host;
use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::stage::Incoming;
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;
use serde_json::{Value, json};
use std::path::Path;

/// One device of one FSU.
pub struct Setup<'a> {
    /// The whole template; its rule files are the ones given here.
    pub template: &'a Value,
    pub files: &'a [(String, Value)],
    pub verify: Verify,
    pub fsuid: &'a str,
    pub device: (u8, u8),
}

/// The program, set up as `Setup` says.
pub struct Product {
    pub fleet: Fleet,
    pub state: FsuState,
    scratch: Scratch,
}

const RUN: RunContext = RunContext { seed: 7, skip_delay: false, start_mono_ms: 0 };

/// The clock's time as a moment of a zone that is UTC.
pub fn moment(now: Clock) -> Moment {
    let unix_ms = now.seconds() * 1000;
    // What lasts is measured by the other clock; it began before any time of these tests.
    Moment::at(Now { unix_ms, utc_offset_s: 0 }, (unix_ms + (1 << 50)) as u64)
}

/// Compiles a main file: the fleet if there is no error, and every line that a check prints.
pub fn compiled(main: &Path) -> (Option<Fleet>, Vec<String>) {
    let mut loader = Loader::new(Source::Directory);
    let main = loader.main_file(main);
    let fleet = compile(&mut loader, &main);
    let errors = loader.diags.has_errors();
    (fleet.filter(|_| !errors), loader.diags.lines().collect())
}

impl Product {
    /// The program with that configuration, or what a check says of it.
    pub fn new(setup: &Setup<'_>) -> Result<Self, String> {
        Self::over("udp", setup)
    }

    /// The same with another `protocol_type`.
    pub fn over(transport: &str, setup: &Setup<'_>) -> Result<Self, String> {
        Self::with(transport, setup, &json!({}))
    }

    /// One device whose frames are datagrams: its template and its rules, checksums checked. Panics with what a check says of them.
    pub fn strict(template: &Value, rules: Value) -> Self {
        let files = [("default.json".to_owned(), rules)];
        let setup = Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
        Self::over("broadcast", &setup).unwrap_or_else(|told| panic!("{told}"))
    }

    /// The same with more keys of the FSU.
    pub fn with(transport: &str, setup: &Setup<'_>, more: &Value) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| {
            std::fs::write(dir.path().join(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
        };
        let mut template = setup.template.clone();
        if !setup.files.is_empty() {
            let named = |n: &String| {
                template["rule_file_list"].as_array().unwrap().iter().any(|l| l.as_str().unwrap().ends_with(n.as_str()))
            };
            if !setup.files.iter().all(|(name, _)| named(name))
                || template["rule_file_list"][0] == "./rules/default.json"
            {
                template["rule_file_list"] = setup.files.iter().map(|(name, _)| json!(name)).collect();
            }
        }
        let mut fsu =
            json!({"fsuname": "one", "fsuid": setup.fsuid, "port": 0, "protocol_type": transport, "config_dir": "."});
        fsu.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        write("sys_config.json", &json!({"fsu_list": [fsu]}));
        let verify = match setup.verify {
            Verify::Warn => "warn",
            Verify::Strict => "strict",
            Verify::Off => "off",
        };
        write(
            "fsu_devices.json",
            &json!({"device_list": [{
                "vendor": template["vendor"].clone(),
                "sub_dev_type": format!("{:02X}", setup.device.0),
                "sub_dev_addr": format!("{:02X}", setup.device.1),
                "protocol_template": "protocol.json",
                "verify_checksum": verify,
            }]}),
        );
        write("protocol.json", &template);
        for (name, file) in setup.files {
            write(name, file);
        }
        let (fleet, lines) = compiled(&dir.path().join("sys_config.json"));
        let fleet = fleet.filter(|fleet| !fleet.fsus.is_empty()).ok_or_else(|| lines.join("\n"))?;
        let state = FsuState::new(&fleet.fsus[0]);
        Ok(Self { fleet, state, scratch: Scratch::default() })
    }

    /// What becomes of an inner frame: the reply and the milliseconds until it is due.
    pub fn respond(&mut self, wire: &[u8], now: Clock) -> Outcome {
        let moment = moment(now);
        let due_ms = |due_ns: i64| ((due_ns - moment.arrived_ns) / 1_000_000).max(0);
        let mut turn = self.turn(moment);
        match respond(&mut turn, 0, wire) {
            Verdict::Reply { due_ns } => {
                Outcome::Reply(turn.scratch.on_wire(&turn.fsu.devices[0].template).to_vec(), due_ms(due_ns))
            }
            Verdict::Replies { due_ns } => Outcome::Reply(turn.reply_on_wire(0).to_vec(), due_ms(due_ns)),
            Verdict::Silent | Verdict::Heard => Outcome::Silent,
            Verdict::Dropped(reason) => Outcome::Dropped(reason.reason()),
        }
    }

    /// The replies to a datagram of the B interface.
    pub fn datagram(&mut self, wire: &[u8], now: Clock) -> Vec<Vec<u8>> {
        let mut replies = Replies::default();
        stage::on_datagram(&mut self.turn(moment(now)), wire.into(), &mut replies);
        replies.sent().map(|sent| sent.bytes.to_vec()).collect()
    }

    /// What a client's datagram is answered with, and the milliseconds until each is due (no outer frame).
    pub fn datagram_from(&mut self, client: u16, wire: &[u8], now: Clock) -> Vec<(i64, Vec<u8>)> {
        let mut replies = Replies::default();
        let (peer, moment) = (([127, 0, 0, host(client)], client).into(), moment(now));
        stage::on_datagram(&mut self.turn(moment), Incoming { peer, bytes: wire }, &mut replies);
        let due_ms = |due_ns: i64| ((due_ns - moment.arrived_ns) / 1_000_000).max(0);
        replies.sent().map(|sent| (due_ms(sent.due_ns), sent.bytes.to_vec())).collect()
    }

    /// What the bytes of a new connection are answered with, each call a piece of it.
    pub fn stream(&mut self, pieces: &[&[u8]], now: Clock) -> Vec<Vec<u8>> {
        self.scratch.progress = Default::default();
        let (mut waiting, mut out) = (Vec::new(), Vec::new());
        for piece in pieces {
            waiting.extend_from_slice(piece);
            let mut replies = Replies::default();
            let step = stage::on_bytes(&mut self.turn(moment(now)), &waiting, &mut replies);
            waiting.drain(..step.consumed);
            out.extend(replies.sent().map(|sent| sent.bytes.to_vec()));
        }
        out
    }

    /// What the search in the bytes of a new connection costs, besides copying them.
    pub fn effort(&mut self, wire: &[u8]) -> usize {
        self.scratch.progress = Default::default();
        let now = Clock::parse("2026-01-12T17:30:03");
        stage::on_bytes(&mut self.turn(moment(now)), wire, &mut Replies::default()).effort
    }

    fn turn(&mut self, moment: Moment) -> Turn<'_> {
        Turn { run: &RUN, fsu: &self.fleet.fsus[0], state: &mut self.state, scratch: &mut self.scratch, moment }
    }

    /// The reasons counted so far.
    pub fn dropped(&self) -> Vec<&'static str> {
        let all = Reason::ALL.iter().filter(|r| self.state.counters.dropped[**r as usize] > 0);
        all.map(|r| r.reason()).collect()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Reply(Vec<u8>, i64),
    Silent,
    Dropped(&'static str),
}
