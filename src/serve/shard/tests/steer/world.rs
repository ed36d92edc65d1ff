//! A steered shard of trackers, and its virtual world.

use super::super::*;
use crate::shard::Swap;
use crate::shard::protocol::Responder;
use crate::shard::steer::SteerSpec;
use crate::shard::steer::ask::{Answer, Ask, Of, Task};
use crate::shard::steer::change::{Change, Changed};
use crate::shard::steer::listen::Listener;
use crate::shard::steer::now::FsuNow;
use flume::Receiver;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::reload::Fate;
use serde_json::{Value, json};

fn field(name: &str, kind: &str, length: u32) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

fn valued(name: &str, value: &str) -> Value {
    json!({"name": name, "type": "hex", "length": 1, "value": value})
}

/// `7E command length data sum 0D`: a device with alarms; 9000 tells a register and two bytes of memory, 9001 sets the register.
fn template() -> Value {
    json!({"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command",
        "dynamic_length": true,
        "checksum": {"algorithm": "sum"},
        "pdu_left": [valued("start", "7E"), field("command", "hex", 2), field("len", "length", 1)],
        "pdu_tailer": [field("checksum", "hex", 1), valued("end", "0D")],
        "data_frame": [
            {"data_frame_type": "0200", "direction": "up", "resp_data_list": [field("kind", "hex", 1)]},
            {"data_frame_type": "9000", "req_data_list": [], "resp_data_list": [field("mode", "hex", 1), field("map", "hex", 2)]},
            {"data_frame_type": "9001", "req_data_list": [field("mode", "hex", 1)], "resp_data_list": []}
        ]
    }})
}

fn rules() -> Value {
    json!({
        "messages": {
            "alarm": {"frame": "0200", "on": "trigger", "data": {"kind": "${arg(kind)}$"}},
            "late": {"frame": "0200", "on": "trigger", "data": {"kind": "01"}, "while": "online"},
            "login": {"frame": "0200", "on": "trigger", "data": {"kind": "02"}, "enters": "online"},
        },
        "9000": {"data": {"mode": "${reg(mode)}$", "map": "${hex(mem(map, 2, 2))}$"}},
        "9001": {"set": {"mode": "${mode}$", "cards[mode]": "1"}},
    })
}

/// A fleet of that many trackers on datagrams, with this in sys_config.json.
pub(super) fn fleet_of(count: usize, transport: &str, more: &Value) -> Arc<Fleet> {
    let mut main = json!({"fsu_list": [{"fsuname": "a", "fsuid": "3230303030", "port": 9000, "protocol_type": transport,
        "count": count, "config_dir": "."}]});
    if let (Some(main), Some(more)) = (main.as_object_mut(), more.as_object()) {
        main.extend(more.clone());
    }
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "t.json",
        "memory": {"map": {"bytes": 4}}});
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &Value| std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    write("sys_config.json", &main);
    write("fsu_devices.json", &json!({"device_list": [device]}));
    write("t.json", &template());
    write("default.json", &rules());
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let lines: Vec<String> = loader.diags.lines().collect();
    assert!(!loader.diags.has_errors(), "{lines:#?}");
    Arc::new(fleet.unwrap())
}

pub(super) fn tracker(count: usize) -> Arc<Fleet> {
    fleet_of(count, "datagram", &json!({}))
}

pub(super) fn alarm(kind: &str, over_ms: u64) -> Change {
    Change::Trigger { message: "alarm".into(), args: vec![("kind".into(), kind.into())], over_ms }
}

pub(super) fn register(name: &str, key: Option<&str>, value: &str) -> Change {
    Change::Register { device: None, name: name.into(), key: key.map(Into::into), value: value.into() }
}

/// A frame of the tracker.
pub(super) fn frame(command: &str, data: &str) -> Vec<u8> {
    let mut bytes = hex::decode(format!("7E{command}{:02X}{data}", data.len() / 2)).unwrap();
    let sum = bytes[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend([sum, 0x0D]);
    bytes
}

/// The reply to 9000, in hex.
pub(super) fn answer(data: &str) -> String {
    hex::encode_upper(frame("9000", data))
}

/// A shard and its virtual world.
pub(super) struct Steered {
    pub(super) serve: Serve<Responder, Listener<Records>>,
    pub(super) io: FakeIo,
    sent: Vec<(u64, u32, String)>,
}

impl Steered {
    pub(super) fn new(fleet: &Arc<Fleet>) -> Self {
        Self::with(fleet, &SteerSpec::default())
    }

    pub(super) fn with(fleet: &Arc<Fleet>, spec: &SteerSpec) -> Self {
        Self::shard(fleet, spec, (0, 1))
    }

    /// One of several shards that share a fleet.
    pub(super) fn shard(fleet: &Arc<Fleet>, spec: &SteerSpec, (shard, of): (usize, usize)) -> Self {
        let numbers: Vec<usize> = (shard..fleet.fsus.len()).step_by(of).collect();
        let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: START_MS };
        let portion = Portion { fleet: Arc::clone(fleet), fsus: &numbers };
        let tap = Listener::new(Records::default());
        let mut serve = Serve::new(portion, run, Responder, tap, clock(0, 0));
        serve.attach(spec);
        let mut world = Self { serve, io: FakeIo::new(), sent: Vec::new() };
        world.tick();
        world
    }

    /// The FSU of a socket.
    pub(super) fn number(&self, socket: u32) -> u32 {
        self.serve.slots.get(socket as usize).expect("an FSU").fsu
    }

    pub(super) fn now(&self) -> Clock {
        clock(self.io.ms, 0)
    }

    fn flush(&mut self) {
        for (datagram, bytes) in std::mem::take(&mut self.io.queued) {
            self.sent.push((self.io.ms, datagram.socket, hex::encode_upper(&bytes)));
            let unix_ns = self.io.unix_ns();
            self.serve.on_sent(datagram, &bytes, Outcome::Sent, self.now().at_unix(unix_ns));
        }
    }

    fn tick(&mut self) {
        while self.serve.on_tick(self.now(), &mut self.io) {
            self.flush();
        }
        self.flush();
    }

    /// Time passes.
    pub(super) fn run_to(&mut self, ms: u64) {
        while let Some(next_ns) = self.serve.next_deadline() {
            let next_ms = next_ns.div_ceil(1_000_000).saturating_sub(START_MS);
            if next_ms > ms {
                break;
            }
            self.io.ms = self.io.ms.max(next_ms);
            self.tick();
        }
        self.io.ms = ms;
    }

    /// What was sent since: when, by which FSU's socket, in hex.
    pub(super) fn sent(&mut self) -> Vec<(u64, u32, String)> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn datagram(&mut self, socket: u32, port: u16, bytes: &[u8]) {
        let arrived = Arrived::new(address(port), bytes, self.now().unix_ns);
        self.serve.on_datagram(socket, arrived, self.now(), &mut self.io);
        self.flush();
    }

    /// A centre asks an FSU with 9000.
    pub(super) fn ask(&mut self, socket: u32, port: u16) {
        self.datagram(socket, port, &frame("9000", ""));
    }

    /// Begins to change FSUs.
    pub(super) fn begin(&mut self, fsus: &[u32], change: &Change) -> Receiver<Answer<Vec<Changed>>> {
        let places = (0..).zip(fsus).map(|(place, &fsu)| (fsu, place)).collect();
        let copy = matches!(change, Change::Faults { .. }).then(|| Arc::new(Fleet::clone(&self.serve.fleet)));
        let what = Task { change: Arc::new(change.clone()), fsus: places, of: fsus.len() as u32, copy };
        let (answer, receiver) = flume::bounded(1);
        let ask = Ask::Change(Of { epoch: self.serve.steer.as_ref().unwrap().epoch(), what }, answer);
        self.serve.on_ask(ask, self.now(), 0);
        receiver
    }

    /// Changes FSUs, and waits for the answer.
    pub(super) fn change(&mut self, fsus: &[u32], change: &Change) -> Answer<Vec<Changed>> {
        let answer = self.begin(fsus, change);
        for _ in 0..1_000 {
            if let Ok(answer) = answer.try_recv() {
                return answer;
            }
            let next_ns = self.serve.next_deadline().expect("something is due");
            self.io.ms = self.io.ms.max(next_ns.div_ceil(1_000_000).saturating_sub(START_MS));
            self.tick();
        }
        panic!("no answer");
    }

    pub(super) fn change_all(&mut self, change: &Change) -> Answer<Vec<Changed>> {
        let all: Vec<u32> = (0..self.serve.fleet.fsus.len() as u32).collect();
        self.change(&all, change)
    }

    pub(super) fn page(&mut self, epoch: u32, fsus: &[u32]) -> Answer<Vec<FsuNow>> {
        let (answer, receiver) = flume::bounded(1);
        self.serve.on_ask(Ask::Page(Of { epoch, what: fsus.to_vec() }, answer), self.now(), 0);
        receiver.try_recv().expect("at once")
    }

    /// Serves another fleet.
    pub(super) fn swap(&mut self, fleet: &Arc<Fleet>, fates: &[Fate]) {
        let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: START_MS };
        let (new, own) = (Vec::new(), Arc::default());
        let swap = Swap { fleet: Arc::clone(fleet), run, epoch: 1, fates: fates.into(), new, own };
        self.serve.swap(swap, &[], self.now(), &mut self.io);
    }
}
