//! What devices say unasked, on virtual time: from a rule file to the bytes that leave (conversation.md).
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::mock::{Connection, Mock};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::sink::Outgoing;
use fsu_core::speak::{Audience, NotTriggered};
use fsu_plan::wire::civil::Now;
use product::compiled;
use serde_json::{Value, json};
use std::sync::Arc;

/// Monday 2026-01-12 15:30:03, in UTC+8.
const START: Now = Now { unix_ms: 1_768_203_003_000, utc_offset_s: 28_800 };

fn field(name: &str, kind: &str, length: u32) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

fn valued(name: &str, value: &str) -> Value {
    json!({"name": name, "type": "hex", "length": 1, "value": value})
}

/// `7E command serial data checksum 0D`: a device that logs in, reports, raises alarms, and answers 9000.
fn tracker() -> Value {
    json!({"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command",
        "dynamic_length": true,
        "checksum": {"algorithm": "sum"},
        "pdu_left": [valued("start", "7E"), field("command", "hex", 2), field("serial", "uint", 1), field("len", "length", 1)],
        "pdu_tailer": [field("checksum", "hex", 1), valued("end", "0D")],
        "data_frame": [
            {"data_frame_type": "0100", "direction": "up", "name": "login", "resp_data_list": [field("imei", "str", 2)]},
            {"data_frame_type": "0200", "direction": "up", "resp_data_list": [field("kind", "hex", 1)]},
            {"data_frame_type": "8100", "req_data_list": [field("result", "uint", 1)]},
            {"data_frame_type": "8001", "req_data_list": [field("of", "uint", 1)]},
            {"data_frame_type": "9000", "req_data_list": [], "resp_data_list": []}
        ]
    }})
}

/// A fleet of one tracker on virtual time.
struct World {
    mock: Mock,
    since_start_ms: u64,
    next_ms: Option<u64>,
    connection: Option<Connection>,
    replies: Replies,
}

impl World {
    fn new(transport: &str, messages: Value) -> Self {
        Self::with(transport, json!({"messages": messages, "9000": {}}), |_| {})
    }

    fn with(transport: &str, rules: Value, change: impl Fn(&mut Value)) -> Self {
        let mut main = json!({"fsu_list": [{"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": transport,
            "heartbeat_enable": false, "config_dir": "."}]});
        if transport != "udp" {
            main["fsu_list"][0].as_object_mut().unwrap().remove("heartbeat_enable");
        }
        change(&mut main);
        let device = json!({"sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "t.json"});
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &Value| std::fs::write(dir.path().join(name), content.to_string()).unwrap();
        write("sys_config.json", &main);
        write("fsu_devices.json", &json!({"device_list": [device]}));
        write("t.json", &tracker());
        write("default.json", &rules);
        let (fleet, lines) = compiled(&dir.path().join("sys_config.json"));
        let fleet = fleet.unwrap_or_else(|| panic!("{lines:#?}"));
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
        let mock = Mock::new(Arc::new(fleet), run);
        Self { mock, since_start_ms: 0, next_ms: None, connection: None, replies: Replies::default() }
    }

    fn moment(&self) -> Moment {
        let unix_ms = START.unix_ms + self.since_start_ms as i64;
        Moment::at(Now { unix_ms, ..START }, self.since_start_ms)
    }

    /// What left since, each as `ms bytes`.
    fn said(&mut self) -> Vec<String> {
        let start_ns = START.unix_ms * 1_000_000;
        let line = |sent: fsu_core::replies::Sent<'_>| {
            let what = if sent.what == Outgoing::Message { "" } else { "reply " };
            format!("{} {what}{}", (sent.due_ns - start_ns) / 1_000_000, hex::encode_upper(sent.bytes))
        };
        let lines = self.replies.sent().map(line).collect();
        self.replies.reset();
        lines
    }

    fn start(&mut self, audience: Audience) {
        let moment = self.moment();
        self.next_ms = self.mock.on_start(0, audience, moment, &mut self.replies);
    }

    fn connect(&mut self) {
        let moment = self.moment();
        let peer = ([127, 0, 0, 1], 9).into();
        self.connection = self.mock.open(0, peer, moment, &mut self.replies);
        self.next_ms = self.mock.on_connected(0, moment, &mut self.replies);
    }

    /// Time passes; everything that is due is said in time.
    fn until(&mut self, ms: u64) {
        self.until_heard_by(ms, Audience::Some);
    }

    fn until_heard_by(&mut self, ms: u64, audience: Audience) {
        while let Some(next_ms) = self.next_ms.filter(|&next_ms| next_ms <= ms) {
            self.since_start_ms = self.since_start_ms.max(next_ms);
            let moment = self.moment();
            self.next_ms = self.mock.speak(0, audience, moment, &mut self.replies);
        }
        self.since_start_ms = ms;
    }

    fn hear(&mut self, frame: &str) {
        let (moment, bytes) = (self.moment(), hex::decode(frame.replace(' ', "")).unwrap());
        match &mut self.connection {
            Some(connection) => drop(self.mock.on_bytes(connection, &bytes, moment, &mut self.replies)),
            None => drop(self.mock.on_datagram(0, bytes[..].into(), moment, &mut self.replies)),
        }
        self.next_ms = self.mock.speak(0, Audience::Some, moment, &mut self.replies);
    }

    fn trigger(&mut self, name: &str, args: &[(&str, &str)]) -> Result<(), NotTriggered> {
        let moment = self.moment();
        self.mock.trigger(0, name, args, moment)?;
        self.next_ms = self.mock.speak(0, Audience::Some, moment, &mut self.replies);
        Ok(())
    }

    /// What has become of messages since: `message number event`.
    fn happened(&mut self) -> Vec<String> {
        let fleet = self.mock.fleet().clone();
        let happened: Vec<_> = self.mock.happened().collect();
        let line = |one: &fsu_core::answer::talk::Happened| {
            format!("{} {} {}", fleet.accounts[one.account as usize].name, one.number, one.event.name())
        };
        happened.iter().map(line).collect()
    }

    /// Sent, acknowledged, retried, given up.
    fn counted(&self) -> [u64; 4] {
        let counters = self.mock.counters(0).unwrap();
        [counters.messages_sent, counters.messages_acknowledged, counters.messages_retried, counters.messages_given_up]
    }
}

/// A frame of the tracker: command, serial, data.
fn frame(command: &str, serial: u8, data: &str) -> String {
    let mut bytes = hex::decode(format!("7E{command}{serial:02X}{:02X}{data}", data.len() / 2)).unwrap();
    let sum = bytes[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend([sum, 0x0D]);
    hex::encode_upper(bytes)
}

fn lines(lines: &[(u64, String)]) -> Vec<String> {
    lines.iter().map(|(ms, frame)| format!("{ms} {frame}")).collect()
}

#[test]
fn the_frame_of_this_test_is_the_templates() {
    let mut world =
        World::new("datagram", json!({"m": {"frame": "0200", "on": "start", "data": {"kind": "07", "serial": 3}}}));
    world.start(Audience::Some);
    assert_eq!(world.said(), lines(&[(0, frame("0200", 3, "07"))]));
}

#[test]
fn a_tracker_logs_in_then_reports() {
    let mut world = World::new(
        "tcp",
        json!({
            "login": {"frame": "0100", "on": "connect", "data": {"imei": "ab", "serial": "${count(serial)}$"}, "enters": "online",
                "ack": {"frame": "8100", "when": "result == 0", "within_ms": 1000, "retries": 1}},
            "position": {"frame": "0200", "every_ms": 3000, "while": "online", "data": {"kind": "02", "serial": "${count(serial)}$"}},
        }),
    );
    world.start(Audience::None);
    // Not online: nothing at 0 and 3,000.
    world.until(4_000);
    assert!(world.said().is_empty());
    world.connect();
    assert_eq!(world.said(), lines(&[(4_000, frame("0100", 0, "6162"))]));
    world.until(5_000);
    // The same frame again.
    assert_eq!(world.said(), lines(&[(5_000, frame("0100", 0, "6162"))]));
    world.hear(&frame("8100", 9, "00"));
    assert!(world.said().is_empty());
    world.until(9_500);
    assert_eq!(world.said(), lines(&[(6_000, frame("0200", 1, "02")), (9_000, frame("0200", 2, "02"))]));
    assert_eq!(
        world.happened(),
        ["login 1 sent", "login 1 retried", "login 1 acknowledged", "position 1 sent", "position 2 sent"]
    );
    assert_eq!(world.counted(), [3, 1, 1, 0]);
    // A request between is answered as ever.
    world.hear(&frame("9000", 5, ""));
    assert_eq!(world.said(), [format!("9500 reply {}", frame("9000", 5, ""))]);
    // An acknowledgement that nothing waits for is neither answered nor dropped.
    world.hear(&frame("8100", 9, "00"));
    let counters = world.mock.counters(0).unwrap();
    assert_eq!((counters.acknowledgements, counters.acknowledgements_unexpected, counters.dropped_total()), (1, 1, 0));
    assert_eq!((counters.received, counters.answered), (3, 0));
}

#[test]
fn a_wait_ends_in_what_else_says() {
    let message = |otherwise: &str| {
        json!({"alarm": {"frame": "0200", "on": ["trigger", "start"], "data": {"kind": "${arg(kind, 01)}$"}, "enters": "told",
            "ack": {"frame": "8001", "match": {"of": "serial"}, "within_ms": 100, "retries": 2, "backoff": 2, "else": otherwise}},
            "after": {"frame": "0200", "on": "ack:alarm", "data": {"kind": "99"}}})
    };
    let mut world = World::new("datagram", message("give_up"));
    world.start(Audience::Some);
    world.until(5_000);
    let again = |ms: u64| (ms, frame("0200", 0, "01"));
    assert_eq!(world.said(), lines(&[again(0), again(100), again(300)]));
    assert_eq!(world.happened(), ["alarm 1 sent", "alarm 1 retried", "alarm 1 retried", "alarm 1 given_up"]);
    assert_eq!(world.counted(), [1, 0, 2, 1]);
    // Another serial is no acknowledgement of it.
    assert_eq!(world.trigger("alarm", &[("kind", "2A")]), Ok(()));
    world.hear(&frame("8001", 0, "05"));
    assert_eq!(world.said(), lines(&[(5_000, frame("0200", 0, "2A"))]));
    world.hear(&frame("8001", 0, "00"));
    assert_eq!(world.said(), lines(&[(5_000, frame("0200", 0, "99"))]));
    assert_eq!(world.happened(), ["alarm 2 sent", "alarm 2 acknowledged", "after 1 sent"]);
    assert_eq!(world.trigger("alarm", &[("kind", "2A"), ("none", "1")]), Err(NotTriggered::NoArgument(1)));
    assert_eq!(world.trigger("none", &[]), Err(NotTriggered::NoMessage));
}

#[test]
fn nobody_hears_and_nothing_is_raised() {
    let mut world = World::new("datagram", json!({"m": {"frame": "0200", "on": "start", "at_s": [1, 2.5]}}));
    world.start(Audience::None);
    assert_eq!((world.said().len(), world.counted(), world.next_ms), (0, [0; 4], Some(1_000)));
    assert_eq!(world.mock.counters(0).unwrap().messages_unsent, 1);
    world.until(9_000);
    assert_eq!(world.said(), lines(&[(1_000, frame("0200", 0, "00")), (2_500, frame("0200", 0, "00"))]));
    assert_eq!(world.next_ms, None);
}

/// A retry that nobody would hear does not leave and is none: its wait begins again, and the last one is given up as ever.
#[test]
fn retries_are_not_used_up_while_nobody_hears() {
    let alarm = json!({"alarm": {"frame": "0200", "on": "start", "data": {"kind": "07"},
        "ack": {"frame": "8001", "match": {"of": "serial"}, "within_ms": 100, "retries": 2, "backoff": 2}}});
    // Nobody hears from the first moment to the second: when it leaves, and when it is given up.
    let check = |deaf: (u64, u64), leaves: &[u64], ended_ms: u64| {
        let mut world = World::new("datagram", alarm.clone());
        world.start(Audience::Some);
        let mut ended = 0;
        for ms in 0..3_000 {
            let audience = if (deaf.0..deaf.1).contains(&ms) { Audience::None } else { Audience::Some };
            world.until_heard_by(ms, audience);
            if ended == 0 && world.counted()[3] == 1 {
                ended = ms;
            }
        }
        let left: Vec<(u64, String)> = leaves.iter().map(|&ms| (ms, frame("0200", 0, "07"))).collect();
        assert_eq!((world.said(), ended), (lines(&left), ended_ms), "{deaf:?}");
        let retries = leaves.len() as u64 - 1;
        assert_eq!(world.counted(), [1, 0, retries, 1], "{deaf:?}");
    };
    check((0, 0), &[0, 100, 300], 700);
    // The first wait begins again until there is somebody.
    check((50, 1_050), &[0, 1_100, 1_300], 1_700);
    check((150, 650), &[0, 100, 700], 1_100);
    // The last wait is over whoever hears.
    check((350, 2_500), &[0, 100, 300], 700);
}

#[test]
fn in_the_b_interface_it_is_through_data_of_its_device() {
    let mut world = World::new("udp", json!({"m": {"frame": "0200", "on": "start"}}));
    world.start(Audience::Some);
    let inner = frame("0200", 0, "00");
    let said = world.said();
    let [line] = &said[..] else { panic!("{said:?}") };
    let bytes = hex::decode(line.split_once(' ').unwrap().1).unwrap();
    // Header, P_dest_addr (20, none), P_src_addr (8, the id), device, length, RtnFlag 00, CommType 0001, data length, data.
    let expected = format!("FF{}3031{}0102", "00".repeat(8), "00".repeat(18));
    assert!(hex::encode_upper(&bytes).starts_with(&expected), "{line}\n{expected}");
    assert!(hex::encode_upper(&bytes).contains(&inner), "{line}");
}

#[test]
fn an_answered_request_is_followed_and_bursts_have_gaps() {
    let mut world = World::new(
        "datagram",
        json!({
            "done": {"frame": "0200", "on": "after:9000", "cycle": [{"kind": "01"}, {"kind": "02"}], "burst": 3, "data": {"serial": 1}},
            "two": {"on": "ack:two", "replies": [{"frame": "0100"}, {"raw": "AABB", "delay_ms": 20}], "at_s": 1,
                "ack": {"frame": "8001", "within_ms": 50, "retries": 1}},
        }),
    );
    world.start(Audience::Some);
    world.hear(&frame("9000", 5, ""));
    let said = |kind: &str| format!("0 {}", frame("0200", 1, kind));
    assert_eq!(world.said(), [format!("0 reply {}", frame("9000", 5, "")), said("01"), said("02"), said("01")]);
    world.until(1_060);
    let (first, second) = (frame("0100", 0, "0000"), "AABB".to_owned());
    // The wait begins with the last frame.
    assert_eq!(world.said(), lines(&[(1_000, first.clone()), (1_020, second.clone())]));
    world.until(1_100);
    assert_eq!(world.said(), lines(&[(1_070, first), (1_070, second)]));
}

#[test]
fn schedules_are_spread_aligned_and_jittered() {
    let at = |message: Value, number: usize| {
        let rules = json!({"messages": {"m": message}, "9000": {}});
        let mut world = World::with("datagram", rules, |main| main["fsu_list"][0]["count"] = json!(4));
        let moment = world.moment();
        let mut due = Vec::new();
        let mut next_ms = world.mock.on_start(number, Audience::Some, moment, &mut world.replies);
        while let Some(ms) = next_ms.filter(|&ms| ms < 10_000) {
            world.since_start_ms = ms;
            let moment = world.moment();
            next_ms = world.mock.speak(number, Audience::Some, moment, &mut world.replies);
        }
        for line in world.said() {
            due.push(line.split_once(' ').unwrap().0.parse::<u64>().unwrap());
        }
        due
    };
    let every = json!({"frame": "0200", "every_ms": 4000});
    assert_eq!(at(every.clone(), 0), [0, 4_000, 8_000]);
    assert_eq!(at(every.clone(), 1), [1_000, 5_000, 9_000]);
    assert_eq!(at(every, 3), [3_000, 7_000]);
    let aligned = json!({"frame": "0200", "every_ms": 4000, "aligned": true});
    assert_eq!((at(aligned.clone(), 0), at(aligned, 3)), (vec![4_000, 8_000], vec![4_000, 8_000]));
    let jittered = json!({"frame": "0200", "every_ms": 4000, "jitter": 0.5});
    let (one, other) = (at(jittered.clone(), 1), at(jittered.clone(), 2));
    assert_eq!(one, at(jittered, 1));
    let within = |due: &[u64], base: u64| {
        due.iter().zip(0..).all(|(due, n)| (base + n * 4_000..base + n * 4_000 + 2_001).contains(due))
    };
    assert!(within(&one, 1_000) && within(&other, 2_000), "{one:?} {other:?}");
    assert!(one[0] != 1_000 && one[1] - one[0] != 4_000, "{one:?}");
    // 15:30:03 local time, so 15:31:00 is 57 s later.
    let rules = json!({"messages": {"m": {"frame": "0200", "cron": "31 15 * * *"}}, "9000": {}});
    let mut world = World::with("datagram", rules, |_| {});
    world.start(Audience::Some);
    world.until(200_000);
    assert_eq!(world.said(), lines(&[(57_000, frame("0200", 0, "00"))]));
}

#[test]
fn limit_wanted_max_and_waiting_max_of_one_device() {
    use fsu_core::state::talk::{WAITING_MAX, WANTED_MAX};
    let mut world = World::new(
        "datagram",
        json!({
        "m": {"frame": "0200", "on": "trigger", "ack": {"frame": "8001", "match": {"of": "serial"}, "within_ms": 60000}}}),
    );
    world.start(Audience::Some);
    let moment = world.moment();
    for _ in 0..WANTED_MAX {
        assert_eq!(world.mock.trigger(0, "m", &[], moment), Ok(()));
    }
    assert_eq!(world.mock.trigger(0, "m", &[], moment), Err(NotTriggered::Full));
    while world.next_ms.is_none_or(|ms| ms == 0) {
        world.next_ms = world.mock.speak(0, Audience::Some, moment, &mut world.replies);
    }
    assert_eq!(world.counted(), [WANTED_MAX as u64, 0, 0, 0]);
    assert_eq!(WAITING_MAX, WANTED_MAX);
    world.trigger("m", &[]).unwrap();
    // The oldest is given up.
    assert_eq!(world.counted(), [WANTED_MAX as u64 + 1, 0, 0, 1]);
}

#[test]
fn a_delayed_message_waits_and_is_timed_from_when_it_leaves() {
    let mut world = World::new(
        "datagram",
        json!({"m": {"frame": "0200", "on": "start", "delay": {"fixed": 500},
        "ack": {"frame": "8001", "within_ms": 100, "retries": 1}}}),
    );
    world.start(Audience::Some);
    assert_eq!(world.said(), lines(&[(500, frame("0200", 0, "00"))]));
    assert_eq!(world.next_ms, Some(600));
    world.until(550);
    world.hear(&frame("8001", 0, "00"));
    let happened: Vec<_> = world.mock.happened().map(|one| (one.event.name(), one.since_first_ns)).collect();
    assert_eq!(happened, [("sent", 0), ("acknowledged", 50_000_000)]);
}

#[test]
fn a_device_without_power_says_nothing() {
    let rules = json!({"messages": {
        "boot": {"frame": "0100", "on": "start", "enters": "up", "ack": {"frame": "8001", "within_ms": 60000}},
        "tick": {"frame": "0200", "every_ms": 1000, "while": "up"}}, "9000": {}});
    let mut world = World::with("datagram", rules, |main| {
        main["faults_at"] = json!([{"from_s": 3.5, "to_s": 5.5, "offline": true}]);
    });
    world.start(Audience::Some);
    world.hear(&frame("8001", 0, "00"));
    world.until(3_400);
    let tick = |ms: u64| (ms, frame("0200", 0, "00"));
    assert_eq!(world.said(), lines(&[(0, frame("0100", 0, "0000")), tick(1_000), tick(2_000), tick(3_000)]));
    world.until(5_400);
    // Nothing leaves in an outage.
    assert_eq!((world.said().len(), world.counted()[0]), (0, 4));
}

#[test]
fn limit_said_max_then_others_have_their_turn() {
    let mut world = World::new("datagram", json!({"m": {"frame": "0200", "on": "trigger"}}));
    world.start(Audience::Some);
    let moment = world.moment();
    for _ in 0..65 {
        assert_eq!(world.mock.trigger(0, "m", &[], moment), Ok(()));
    }
    world.next_ms = world.mock.speak(0, Audience::Some, moment, &mut world.replies);
    assert_eq!((world.counted()[0], world.next_ms), (64, Some(0)));
    world.until(1);
    assert_eq!((world.counted()[0], world.next_ms), (65, None));
}

/// What is written as the default is what a trigger would give.
#[test]
fn a_default_of_digits_means_what_a_trigger_means() {
    let mut world = World::new(
        "datagram",
        json!({"m": {"frame": "0200", "on": "trigger",
        "data": {"kind": "${arg(kind, 10)}$", "serial": "${arg(serial, 010) + 1}$"}}}),
    );
    world.start(Audience::Some);
    world.trigger("m", &[]).unwrap();
    world.trigger("m", &[("kind", "10"), ("serial", "010")]).unwrap();
    let same = (0, frame("0200", 11, "10"));
    assert_eq!(world.said(), lines(&[same.clone(), same]));
}
