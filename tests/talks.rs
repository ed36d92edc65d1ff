//! Conversations in bad weather, on virtual time: acknowledgements are lost, late, doubled and wrong, connections break, and devices
//! come back. One seed is one run.
//!
//! Of every run: each message is sent, and acknowledged, refused or given up exactly once; the accounts are the ledger's; what left is
//! what the centre's side of the network got; and the same seed says the same, however the FSUs are shared out.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fastrand::Rng;
use fsu_core::answer::talk::{Event, Happened};
use fsu_core::mock::{Connection, Mock};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::sink::Outgoing;
use fsu_core::speak::Audience;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::wire::civil::Now;
use product::compiled;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SEEDS: u64 = 1_000;
/// Runs one seed only.
const SEED_VARIABLE: &str = "FSU_MOCK_TALKS_SEED";
const FSUS: usize = 4;
/// Connections break and triggers come within this time; what waits then has the rest.
const TRAFFIC_MS: u64 = 6_000;
const END_MS: u64 = 60_000;
const START: Now = Now { unix_ms: 1_768_203_003_000, utc_offset_s: 28_800 };

fn field(name: &str, kind: &str, length: u32) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

fn valued(name: &str, value: &str) -> Value {
    json!({"name": name, "type": "hex", "length": 1, "value": value})
}

/// `7E command serial len data checksum 0D`.
fn template() -> Value {
    json!({"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command", "dynamic_length": true, "checksum": {"algorithm": "sum"},
        "pdu_left": [valued("start", "7E"), field("command", "hex", 2), field("serial", "uint", 2), field("len", "length", 1)],
        "pdu_tailer": [field("checksum", "hex", 1), valued("end", "0D")],
        "data_frame": [
            {"data_frame_type": "0100", "direction": "up", "resp_data_list": [field("imei", "str", 2)]},
            {"data_frame_type": "0200", "direction": "up", "resp_data_list": [field("kind", "hex", 1)]},
            {"data_frame_type": "8100", "req_data_list": [field("result", "uint", 1)]},
            {"data_frame_type": "8001", "req_data_list": [field("of", "uint", 2)]},
            {"data_frame_type": "9000", "req_data_list": [], "resp_data_list": []}
        ]
    }})
}

fn rules() -> Value {
    let serial = "${count(serial, 1)}$";
    json!({"9000": {}, "messages": {
        "login": {"frame": "0100", "on": "connect", "data": {"imei": "ab", "serial": serial}, "enters": "online",
            "ack": {"frame": "8100", "when": "result == 0", "within_ms": 500, "retries": 2, "else": "reconnect"}},
        "position": {"frame": "0200", "every_ms": 700, "jitter": 0.5, "while": "online", "data": {"kind": "02", "serial": serial}},
        "alarm": {"frame": "0200", "on": "trigger", "data": {"kind": "${rand(10, 99)}$", "serial": serial},
            "ack": {"frame": "8001", "match": {"of": "serial"}, "within_ms": 400, "retries": 3, "backoff": 2, "else": "leave:online"}},
        "note": {"frame": "0200", "on": "ack:alarm", "delay": {"uniform": [0, 300]}, "data": {"kind": "77", "serial": serial},
            "ack": {"frame": "8001", "match": {"of": "serial"}, "within_ms": 300, "retries": 1}}
    }})
}

fn fleet() -> Arc<Fleet> {
    let main = json!({"fsu_list": [{"fsuname": "f", "fsuid": "3031", "port": 0, "protocol_type": "tcp", "count": FSUS, "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "t.json"});
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &Value| std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    write("sys_config.json", &main);
    write("fsu_devices.json", &json!({"device_list": [device]}));
    write("t.json", &template());
    write("default.json", &rules());
    let (fleet, lines) = compiled(&dir.path().join("sys_config.json"));
    Arc::new(fleet.unwrap_or_else(|| panic!("{lines:#?}")))
}

/// A frame of the centre.
fn frame(command: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7E];
    bytes.extend(command.to_be_bytes());
    bytes.extend([0, 0, data.len() as u8]);
    bytes.extend(data);
    let sum = bytes[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend([sum, 0x0D]);
    bytes
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// What happens to an FSU.
enum Turn {
    Connect,
    /// Of the connection with that number.
    Break(u32),
    Trigger,
    /// Bytes from the centre, on that connection.
    Hear(u32, Vec<u8>),
    Request,
}

/// How bad it is.
#[derive(Clone, Copy)]
struct Weather {
    lost: f64,
    wrong: f64,
    doubled: f64,
    refused: f64,
    late_ms: u64,
    breaks: usize,
}

/// An FSU, and its centre.
struct Device {
    rng: Rng,
    weather: Weather,
    events: BTreeMap<(u64, u32), Turn>,
    number: u32,
    connection: Option<Connection>,
    /// How many connections there were.
    connections: u32,
    next_ms: Option<u64>,
    /// By message and number: what became of it.
    fates: BTreeMap<(u32, u64), Vec<Event>>,
    /// Of each message's first frame: how often the device sent it.
    keys: BTreeMap<(u32, u64), u64>,
    /// Frames that left, by key.
    left: BTreeMap<u64, u64>,
    /// Keys of what the centre acknowledged, right or wrong in what it says.
    answered: BTreeSet<u64>,
    trace: Vec<(u64, Vec<u8>)>,
}

impl Device {
    fn new(seed: u64, fsu: usize) -> Self {
        let mut rng = Rng::with_seed(seed * FSUS as u64 + fsu as u64);
        let mut p = |most: f64| if rng.bool() { 0.0 } else { rng.f64() * most };
        let (lost, wrong, doubled, refused) = (p(0.8), p(0.4), p(0.5), p(0.5));
        let weather = Weather { lost, wrong, doubled, refused, late_ms: rng.u64(1..1_500), breaks: rng.usize(..6) };
        let mut new = Self {
            rng,
            weather,
            events: BTreeMap::new(),
            number: 0,
            connection: None,
            connections: 0,
            next_ms: None,
            fates: BTreeMap::new(),
            keys: BTreeMap::new(),
            left: BTreeMap::new(),
            answered: BTreeSet::new(),
            trace: Vec::new(),
        };
        let at = new.rng.u64(..1_000);
        new.plan(at, Turn::Connect);
        for _ in 0..new.rng.usize(..8) {
            let at = new.rng.u64(..TRAFFIC_MS);
            new.plan(at, Turn::Trigger);
            let at = new.rng.u64(..TRAFFIC_MS);
            new.plan(at, Turn::Request);
        }
        for _ in 0..weather.breaks {
            let at = new.rng.u64(..TRAFFIC_MS);
            let of = new.rng.u32(1..4);
            new.plan(at, Turn::Break(of));
        }
        new
    }

    fn plan(&mut self, ms: u64, turn: Turn) {
        self.number += 1;
        self.events.insert((ms, self.number), turn);
    }

    fn next(&self) -> Option<u64> {
        let event = self.events.keys().next().map(|(ms, _)| *ms);
        event.into_iter().chain(self.next_ms).min()
    }

    fn audience(&self) -> Audience {
        if self.connection.is_some() { Audience::Some } else { Audience::None }
    }

    /// The centre got a frame: it acknowledges it as the weather is.
    fn centre(&mut self, ms: u64, bytes: &[u8]) {
        let (command, serial) = (u16::from_be_bytes([bytes[1], bytes[2]]), [bytes[3], bytes[4]]);
        let Weather { lost, wrong, doubled, refused, late_ms, .. } = self.weather;
        if self.rng.f64() < lost {
            return;
        }
        let mut serial = serial;
        // A login is acknowledged by any 8100.
        if self.rng.f64() < wrong && command != 0x0100 {
            serial[0] ^= 0x80;
        } else {
            self.answered.insert(fnv(bytes));
        }
        let ack = match command {
            0x0100 => frame(0x8100, &[u8::from(self.rng.f64() < refused)]),
            _ if bytes[6] == 0x02 => return,
            _ => frame(0x8001, &serial),
        };
        for _ in 0..if self.rng.f64() < doubled { 2 } else { 1 } {
            let at = ms + self.rng.u64(1..=late_ms);
            self.plan(at, Turn::Hear(self.connections, ack.clone()));
        }
    }
}

/// Some of a fleet's FSUs, as a shard has them.
struct Shard {
    mock: Mock,
    devices: BTreeMap<usize, Device>,
    replies: Replies,
}

impl Shard {
    fn new(fleet: &Arc<Fleet>, seed: u64, (number, of): (usize, usize)) -> Self {
        let run = RunContext { seed, skip_delay: false, start_mono_ms: 0 };
        let devices = (number..FSUS).step_by(of).map(|fsu| (fsu, Device::new(seed, fsu))).collect();
        let mut shard = Self { mock: Mock::new(Arc::clone(fleet), run), devices, replies: Replies::default() };
        for fsu in (number..FSUS).step_by(of) {
            let next = shard.mock.on_start(fsu, Audience::None, moment(0), &mut shard.replies);
            shard.take(fsu, 0, next);
        }
        shard
    }

    fn run(&mut self) {
        for round in 0.. {
            assert!(round < 100_000, "it goes round in circles");
            let next = self.devices.iter().filter_map(|(fsu, device)| Some((device.next()?, *fsu))).min();
            let Some((ms, fsu)) = next.filter(|(ms, _)| *ms <= END_MS) else { return };
            self.step(fsu, ms);
        }
    }

    fn step(&mut self, fsu: usize, ms: u64) {
        let (now, peer) = (moment(ms), ([127, 0, 0, 1], 9).into());
        let Self { mock, devices, replies } = self;
        let device = devices.get_mut(&fsu).unwrap();
        let due = device.events.first_key_value().filter(|((at, _), _)| *at <= ms).map(|(key, _)| *key);
        let turn = due.and_then(|key| device.events.remove(&key));
        match turn {
            Some(Turn::Connect) if device.connection.is_none() => {
                device.connection = mock.open(fsu, peer, now, replies);
                device.connections += 1;
                mock.on_connected(fsu, now, replies);
            }
            Some(Turn::Break(of)) if of == device.connections => self.hang_up(fsu, ms),
            Some(Turn::Trigger) => drop(mock.trigger(fsu, "alarm", &[], now)),
            Some(Turn::Hear(of, bytes)) if of == device.connections => {
                if let Some(connection) = &mut device.connection {
                    mock.on_bytes(connection, &bytes, now, replies);
                }
            }
            Some(Turn::Request) => {
                if let Some(connection) = &mut device.connection {
                    mock.on_bytes(connection, &frame(0x9000, &[]), now, replies);
                }
            }
            _ => {}
        }
        let audience = self.devices[&fsu].audience();
        let next = self.mock.speak(fsu, audience, now, &mut self.replies);
        self.take(fsu, ms, next);
    }

    fn hang_up(&mut self, fsu: usize, ms: u64) {
        let device = self.devices.get_mut(&fsu).unwrap();
        if device.connection.take().is_some() {
            self.mock.on_disconnected(fsu, moment(ms));
            let at = ms + device.rng.u64(1..2_000);
            device.plan(at, Turn::Connect);
        }
    }

    /// What a call has said and done.
    fn take(&mut self, fsu: usize, ms: u64, next_ms: Option<u64>) {
        let happened: Vec<Happened> = self.mock.happened().collect();
        let hangs_up = self.mock.hangs_up();
        let mut sent: Vec<(u64, Vec<u8>)> = Vec::new();
        for said in self.replies.sent().filter(|said| said.what == Outgoing::Message) {
            let due_ms = ((said.due_ns - START.unix_ms * 1_000_000) / 1_000_000) as u64;
            sent.push((due_ms, said.bytes.to_vec()));
        }
        self.replies.reset();
        let device = self.devices.get_mut(&fsu).unwrap();
        device.next_ms = next_ms;
        for one in happened {
            let whose = (one.account, one.number);
            device.fates.entry(whose).or_default().push(one.event);
            if one.event == Event::Sent {
                assert!(device.keys.insert(whose, one.key).is_none(), "FSU {fsu}: {whose:?} was sent twice");
            }
            assert_eq!(device.keys.get(&whose), Some(&one.key), "FSU {fsu}: the key of {whose:?} changed");
            if one.event == Event::Acknowledged {
                assert!(device.answered.contains(&one.key), "FSU {fsu}: nobody acknowledged {whose:?}");
            }
        }
        for (due_ms, bytes) in sent {
            assert!(device.connection.is_some(), "FSU {fsu} said something without a connection");
            *device.left.entry(fnv(&bytes)).or_default() += 1;
            device.trace.push((due_ms, bytes.clone()));
            device.centre(due_ms.max(ms), &bytes);
        }
        if hangs_up {
            self.hang_up(fsu, ms);
        }
    }

    /// Each message once, and the accounts as the ledger.
    fn check(&self, fleet: &Fleet) {
        for (fsu, device) in &self.devices {
            let mut counted = [0_u64; 5];
            for (whose, events) in &device.fates {
                let count = |of: Event| events.iter().filter(|event| **event == of).count() as u64;
                let all = [Event::Sent, Event::Retried, Event::Acknowledged, Event::Refused, Event::GivenUp].map(count);
                let [sent, retried, acknowledged, refused, given_up] = all;
                let account = &fleet.accounts[whose.0 as usize];
                let ended = acknowledged + refused + given_up;
                let expected = u64::from(account.is_acknowledged);
                assert_eq!(
                    (sent, ended, events[0]),
                    (1, expected, Event::Sent),
                    "FSU {fsu}: {} {events:?}",
                    account.name
                );
                assert_eq!(
                    device.left.get(&device.keys[whose]),
                    Some(&(1 + retried)),
                    "FSU {fsu}: {} {events:?}",
                    account.name
                );
                counted.iter_mut().zip(all).for_each(|(sum, one)| *sum += one);
            }
            let of = self.mock.counters(*fsu).unwrap();
            let accounts = [
                of.messages_sent,
                of.messages_retried,
                of.messages_acknowledged,
                of.messages_refused,
                of.messages_given_up,
            ];
            assert_eq!(accounts, counted, "FSU {fsu}");
            assert_eq!(
                device.left.values().sum::<u64>(),
                counted[0] + counted[1],
                "FSU {fsu}: what left is what was told"
            );
        }
    }
}

fn moment(ms: u64) -> Moment {
    Moment::at(Now { unix_ms: START.unix_ms + ms as i64, ..START }, ms)
}

/// All that was said, by FSU.
fn run(fleet: &Arc<Fleet>, seed: u64, shards: usize) -> BTreeMap<usize, Vec<(u64, Vec<u8>)>> {
    let mut all = BTreeMap::new();
    for number in 0..shards {
        let mut shard = Shard::new(fleet, seed, (number, shards));
        shard.run();
        shard.check(fleet);
        all.extend(shard.devices.into_iter().map(|(fsu, device)| (fsu, device.trace)));
    }
    all
}

#[test]
fn every_message_has_one_fate_in_any_weather() {
    let fleet = fleet();
    let one = std::env::var(SEED_VARIABLE).ok().map(|seed| seed.parse().expect("a number"));
    let seeds: Vec<u64> = one.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed]);
    let mut said = 0;
    for seed in seeds {
        let all = run(&fleet, seed, 1);
        said += all.values().map(Vec::len).sum::<usize>();
        for shards in [2, 4] {
            assert_eq!(run(&fleet, seed, shards), all, "seed {seed}: {shards} shards say something else");
        }
    }
    assert!(one.is_some() || said > 100_000, "{said} frames are too few to tell anything");
}
