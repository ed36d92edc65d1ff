//! Places for transfers: who has them, for how long, and what another host is refused. On virtual time.
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

mod naive;
mod product;

use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::stage::Incoming;
use fsu_core::state::FsuState;
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fleet};
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;
use naive::frame::Verify;
use product::{Product, Setup};
use serde_json::{Value, json};
use std::net::SocketAddr;

const RUN: RunContext = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
/// The wall clock at the start.
const UNIX_MS: i64 = 1_768_239_003_000;
const ACCEPT: usize = 14;

/// An FSU that nobody has asked yet, and the time.
struct World {
    fleet: Fleet,
    state: FsuState,
    scratch: Scratch,
    /// Since the start.
    ms: u64,
    /// How far the wall clock was set.
    set_ms: i64,
}

impl World {
    /// The template of tests/vectors with 31 answered by `bytes` of data in frames of 64, and this in its `transfer` section.
    fn new(transfer: Value, bytes: u64) -> Self {
        let mut template: Value = serde_json::from_str(include_str!("vectors/broadcast.json")).unwrap();
        let mut template = template["template"].take();
        for (key, value) in transfer.as_object().unwrap() {
            template["protocol"]["transfer"][key] = value.clone();
        }
        template["rule_file_list"] = json!(["./default.json"]);
        let rules = json!({"31": {"data_bytes": {"bytes": bytes}}, "52": {}});
        let files = [("default.json".to_owned(), rules)];
        let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "31", device: (1, 1) };
        let Product { fleet, state, .. } = Product::over("broadcast", &setup).unwrap();
        Self { fleet, state, scratch: Scratch::default(), ms: 0, set_ms: 0 }
    }

    /// What answers a datagram.
    fn deliver(&mut self, client: &str, wire: &[u8]) -> Vec<Vec<u8>> {
        let client: SocketAddr = client.parse().unwrap();
        let is_here = client.ip().is_loopback();
        let room_bytes = if is_here { usize::MAX } else { wire.len() * AMPLIFICATION_MAX };
        let mut replies = Replies::with_room(room_bytes);
        let now = Now { unix_ms: UNIX_MS + self.ms as i64 + self.set_ms, utc_offset_s: 0 };
        let moment = Moment::at(now, self.ms);
        let Self { fleet, state, scratch, .. } = self;
        let mut turn = Turn { run: &RUN, fsu: &fleet.fsus[0], state, scratch, moment };
        stage::on_datagram(&mut turn, Incoming { peer: client, bytes: wire }, &mut replies);
        assert_eq!(replies.unsent(), 0, "nothing that would not be sent");
        replies.sent().map(|sent| sent.bytes.to_vec()).collect()
    }

    /// Whether a command with data is accepted; of which device.
    fn begins(&mut self, client: &str, did: u8) -> bool {
        let frames = self.deliver(client, &frame(0x31, did, 0, &[]));
        let accepted = frames[0][ACCEPT] == 0;
        assert_eq!(frames.len(), if accepted { 2 } else { 1 });
        accepted
    }

    /// Whether a demand for that frame is met.
    fn demands(&mut self, client: &str, did: u8, number: u16) -> bool {
        let frames = self.deliver(client, &frame(0x80, did, number, &[]));
        frames[0][ACCEPT] == 0
    }
}

fn frame(cmd: u8, did: u8, sn: u16, data: &[u8]) -> Vec<u8> {
    let [low, high] = sn.to_le_bytes();
    let mut frame = vec![0xFE, 0xE0, 0xA7, 0x8A, did, 0, 0, 0, low, high, data.len() as u8, 0, cmd, 0, 0];
    frame.push(frame.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    frame.extend(data);
    frame
}

#[test]
fn h03_one_client_cannot_hold_all_places() {
    let mut world = World::new(json!({"transfers_max": 8}), 1_000);
    assert!((0..8).all(|did| world.begins("127.0.0.1:1", did)));
    // It goes on asking, and gets no more by that.
    world.ms = 10;
    assert!((1..8).all(|did| world.demands("127.0.0.1:1", did, 1)));
    assert!(!world.begins("127.0.0.1:1", 9));
    // Others do, up to the same share: of the largest holder, what has been idle for longest goes first.
    assert!((0..4).all(|did| world.begins("127.0.0.1:2", did)));
    assert!(!world.begins("127.0.0.1:2", 9));
    assert_eq!(world.state.transfers.len(), 8);
    let kept = (0..8).filter(|&did| world.demands("127.0.0.1:1", did, 1)).collect::<Vec<_>>();
    assert_eq!(kept, [4, 5, 6, 7]);
    assert!((0..4).all(|did| world.demands("127.0.0.1:2", did, 1)));
    let counters = &world.state.counters;
    assert_eq!((counters.transfers_aborted, counters.transfers_opened), (4, 12));
}

#[test]
fn h03_many_addresses_of_one_host_share_what_a_host_has() {
    let mut world = World::new(json!({"transfers_max": 8}), 1_000);
    assert!((1..=8).all(|port| world.begins(&format!("127.0.0.1:{port}"), 0)));
    assert!(!world.begins("127.0.0.1:9", 0));
    assert!((0..4).all(|did| world.begins("127.0.0.2:1", did)));
    assert!(!world.begins("127.0.0.2:1", 9) && !world.begins("127.0.0.1:9", 0));
    // A third host has its share of both.
    assert!((0..2).all(|did| world.begins("127.0.0.3:1", did)));
    assert!(!world.begins("127.0.0.3:1", 9));
}

#[test]
fn h03_a_place_that_others_do_not_need_is_not_taken() {
    let mut world = World::new(json!({"transfers_max": 2}), 1_000);
    assert!(world.begins("127.0.0.1:1", 0) && world.begins("127.0.0.2:1", 0));
    assert!(!world.begins("127.0.0.3:1", 0) && !world.begins("127.0.0.1:2", 0));
    assert!(world.demands("127.0.0.1:1", 0, 1) && world.demands("127.0.0.2:1", 0, 1));
}

#[test]
fn h03_asking_again_does_not_hold_a_place_for_ever() {
    let mut world = World::new(json!({"transfers_max": 1, "transfer_timeout_ms": 1_000}), 1_000);
    assert!(world.begins("127.0.0.1:1", 0));
    // Three timeouts long it is kept by this, and ends with the fourth.
    let mut held = 0;
    while world.demands("127.0.0.1:1", 0, 0) {
        held = world.ms;
        world.ms += 500;
        assert_eq!(world.ms < 3_500, !world.begins("127.0.0.2:1", 0), "{} ms", world.ms);
        if world.ms >= 3_500 {
            break;
        }
    }
    assert_eq!(held, 3_000);
    // The next frame starts its own count.
    let mut world = World::new(json!({"transfers_max": 1, "transfer_timeout_ms": 1_000}), 1_000);
    assert!(world.begins("127.0.0.1:1", 0));
    for ms in (0..30).map(|step| step * 500) {
        world.ms = ms;
        assert!(world.demands("127.0.0.1:1", 0, (ms / 2_500) as u16), "{ms} ms");
    }
}

#[test]
fn h03_the_wall_clock_ends_no_transfer_and_keeps_none() {
    for set_ms in [3_600_000, -3_600_000] {
        let mut world = World::new(json!({"transfers_max": 1, "transfer_timeout_ms": 1_000}), 1_000);
        assert!(world.begins("127.0.0.1:1", 0));
        (world.ms, world.set_ms) = (10, set_ms);
        assert!(world.demands("127.0.0.1:1", 0, 1), "set by {set_ms} ms");
        assert!(!world.begins("127.0.0.2:1", 0), "set by {set_ms} ms");
        world.ms += 1_000;
        assert!(!world.demands("127.0.0.1:1", 0, 2), "set by {set_ms} ms");
        assert!(world.begins("127.0.0.2:1", 0), "set by {set_ms} ms");
    }
}

/// (client, data bytes, chunk, request data) -> frames that answer, accept of the first.
#[test]
fn h17_another_host_is_refused_what_it_would_not_get() {
    let check = |client: &str, bytes: u64, chunk: u64, asked: &[u8], expected: (usize, u8)| {
        let mut world = World::new(json!({"chunk_bytes": chunk}), bytes);
        let frames = world.deliver(client, &frame(0x31, 0, 0, asked));
        assert_eq!((frames.len(), frames[0][ACCEPT]), expected, "{client} {bytes} {chunk}");
        let counters = &world.state.counters;
        let refused = u64::from(expected.1 != 0);
        assert_eq!((counters.transfers_refused, counters.transfers_refused_amplification), (refused, refused));
        assert_eq!((counters.transfers_opened, counters.dropped_total()), (1 - refused, 0));
        assert_eq!(world.state.transfers.len() as u64, 1 - refused);
        // What is accepted comes, to its last byte.
        for number in 1..bytes.div_ceil(chunk) {
            assert_eq!(world.demands(client, 0, number as u16), refused == 0, "{client} {number}");
        }
    };
    check("127.0.0.1:9", 1_000, 64, &[], (2, 0));
    check("[::1]:9", 1_000, 64, &[], (2, 0));
    check("192.0.2.1:9", 1_000, 64, &[], (1, 1));
    // Three times 16 bytes: an answer of 16, a header of 16, and 16 of data.
    check("192.0.2.1:9", 16, 64, &[], (2, 0));
    check("192.0.2.1:9", 17, 64, &[], (1, 1));
    check("192.0.2.1:9", 1_000, 16, &[], (2, 0));
    // A longer command has more room, but a demand has not.
    check("192.0.2.1:9", 64, 64, &[0; 20], (2, 0));
    check("192.0.2.1:9", 65, 64, &[0; 20], (1, 1));
    check("192.0.2.1:9", 65, 32, &[0; 20], (2, 0));
}

#[test]
fn h17_what_a_reload_forbids_is_refused_in_its_midst() {
    let mut world = World::new(json!({}), 1_000);
    // Opened while it was allowed.
    let client: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let mut replies = Replies::default();
    let moment = Moment::at(Now { unix_ms: UNIX_MS, utc_offset_s: 0 }, 0);
    let wire = frame(0x31, 0, 0, &[]);
    let World { fleet, state, scratch, .. } = &mut world;
    let mut turn = Turn { run: &RUN, fsu: &fleet.fsus[0], state, scratch, moment };
    stage::on_datagram(&mut turn, Incoming { peer: client, bytes: &wire }, &mut replies);
    assert_eq!(replies.frames().len(), 2);
    assert!(!world.demands("192.0.2.1:9", 0, 1));
    assert_eq!(world.state.counters.transfers_refused_amplification, 1);
}

/// Without the mark of its socket, too.
#[test]
fn h04_a_refusal_is_not_refused() {
    let mut world = World::new(json!({}), 1_000);
    let refusal = world.deliver("127.0.0.1:1", &frame(0x80, 0, 0, &[])).remove(0);
    assert_eq!(refusal[ACCEPT], 1);
    assert_eq!(world.deliver("127.0.0.1:2", &refusal), [[0; 0]; 0]);
    let counters = &world.state.counters;
    assert_eq!((counters.transfers_refused, counters.dropped[Reason::MockReply as usize]), (1, 1));
}
