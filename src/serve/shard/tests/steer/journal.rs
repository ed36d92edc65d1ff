//! Changes that were made, made again: the same bytes, with any number of shards and whatever the time between requests.

use super::super::*;
use super::world::{Steered, alarm, frame, register, tracker};
use crate::shard::steer::SteerSpec;
use crate::shard::steer::change::Change;
use crate::shard::steer::record::{By, Due, Entry, Noted, Plays};
use fastrand::Rng;
use fsu_plan::model::fault::{FaultKind, FaultSet};
use std::collections::BTreeMap;

const FSUS: usize = 8;
const CALLS: usize = 200;

/// What centres do, in order: the FSU, and a datagram to it.
type Requests = Vec<(u32, Vec<u8>)>;

/// By FSU: everything that it sent, in order.
type Sent = BTreeMap<u32, Vec<String>>;

fn faults(rng: &mut Rng) -> Change {
    let mut set = FaultSet::default();
    match rng.u8(..4) {
        0 => set.offline = Some(true),
        1 => set.set_p(FaultKind::Drop, 0.5),
        2 => set.set_p(FaultKind::Corrupt, 0.5),
        _ => set.set_p(FaultKind::Duplicate, 0.5),
    }
    Change::Faults { set: Arc::new(set), ttl_ms: rng.bool().then(|| rng.u64(1..200)) }
}

fn change(rng: &mut Rng) -> Change {
    match rng.u8(..6) {
        0 => alarm(&format!("{:02X}", rng.u8(..)), if rng.bool() { 0 } else { rng.u64(..50) }),
        1 => register("mode", None, &format!("{:02}", rng.u8(..99))),
        2 => Change::Memory { device: None, area: "map".into(), at: rng.usize(..4), bytes: [rng.u8(..)].into() },
        3 | 4 => faults(rng),
        _ => Change::ClearFaults,
    }
}

fn request(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..5) {
        0 => frame("9001", &format!("{:02}", rng.u8(..99))),
        1 => vec![0x7E, rng.u8(..), 0x0D],
        _ => frame("9000", ""),
    }
}

fn add(sent: &mut Sent, world: &mut Steered) {
    for (_, socket, bytes) in world.sent() {
        sent.entry(world.number(socket)).or_default().push(bytes);
    }
}

/// A run with random calls between random requests: the requests, what was sent, the journal.
fn recorded(seed: u64, fleet: &Arc<Fleet>) -> (Requests, Sent, Vec<Entry>) {
    let mut rng = Rng::with_seed(seed);
    let (sender, journal) = flume::unbounded();
    let mut world = Steered::with(fleet, &SteerSpec { journal: Some(sender), ..SteerSpec::default() });
    let (mut requests, mut sent, mut calls) = (Requests::new(), Sent::new(), 0);
    while calls < CALLS {
        if rng.u8(..3) == 0 {
            let fsus: Vec<u32> = (0..FSUS as u32).filter(|_| rng.bool()).collect();
            if !fsus.is_empty() {
                world.change(&fsus, &change(&mut rng)).expect("taken");
                calls += 1;
            }
        } else {
            let (fsu, bytes) = (rng.u32(..FSUS as u32), request(&mut rng));
            world.datagram(fsu, 7, &bytes);
            requests.push((fsu, bytes));
        }
        let ms = world.io.ms;
        world.run_to(ms + rng.u64(..20));
    }
    let ms = world.io.ms;
    world.run_to(ms + 1_000);
    add(&mut sent, &mut world);
    (requests, sent, journal.try_iter().map(of_fsus).collect())
}

fn of_fsus(noted: Noted) -> Entry {
    match noted {
        Noted::Fsus(entry) => entry,
        Noted::Run(of_run) => panic!("{of_run:?}"),
    }
}

fn plays(journal: &[Entry]) -> Plays {
    let mut plays = Plays::new();
    for entry in journal {
        let change = match &*entry.change {
            // The end of their time is in the journal.
            Change::Faults { set, .. } => Arc::new(Change::Faults { set: set.clone(), ttl_ms: None }),
            _ => Arc::clone(&entry.change),
        };
        for &(fsu, at) in &entry.at {
            plays.entry(fsu).or_default().push_back(Due { at, t_ms: entry.t_ms, change: Arc::clone(&change) });
        }
    }
    plays
}

/// The same requests to that many shards, so far apart; what was sent, and the journal of this run.
fn played(
    fleet: &Arc<Fleet>,
    requests: &Requests,
    journal: &[Entry],
    (shards, gap_ms): (usize, u64),
) -> (Sent, Vec<Entry>) {
    let (sender, again) = flume::unbounded();
    let spec = SteerSpec { journal: Some(sender), plays: plays(journal), ..SteerSpec::default() };
    let mut worlds: Vec<Steered> = (0..shards).map(|shard| Steered::shard(fleet, &spec, (shard, shards))).collect();
    let mut sent = Sent::new();
    for (fsu, bytes) in requests {
        let world = &mut worlds[*fsu as usize % shards];
        world.datagram(*fsu / shards as u32, 7, bytes);
        let ms = world.io.ms;
        world.run_to(ms + gap_ms);
    }
    for world in &mut worlds {
        world.run_to(1_000_000);
        add(&mut sent, world);
    }
    (sent, again.try_iter().map(of_fsus).collect())
}

/// By FSU: what was changed before which frame.
fn by_fsu(journal: &[Entry]) -> BTreeMap<u32, Vec<(u64, &'static str)>> {
    let mut out = BTreeMap::<u32, Vec<_>>::new();
    for entry in journal {
        for &(fsu, at) in &entry.at {
            out.entry(fsu).or_default().push((at, entry.change.name()));
        }
    }
    out
}

#[test]
fn two_hundred_calls_are_played_on_one_two_and_four_shards() {
    let fleet = tracker(FSUS);
    for seed in 1..=5 {
        let (requests, expected, journal) = recorded(seed, &fleet);
        assert!(journal.iter().any(|entry| entry.by == By::Ttl) && expected.len() == FSUS);
        for how in [(1, 10), (2, 0), (4, 0), (4, 50)] {
            let (sent, again) = played(&fleet, &requests, &journal, how);
            for (fsu, sent) in &sent {
                assert_eq!(sent, &expected[fsu], "seed {seed}, {how:?}, FSU {fsu}");
            }
            assert_eq!(sent.len(), expected.len());
            assert_eq!(by_fsu(&again), by_fsu(&journal), "seed {seed}, {how:?}");
        }
    }
}

/// A read of a connection is interrupted where a change was made.
#[test]
fn a_change_is_made_between_two_frames_of_a_read() {
    let fleet = super::world::fleet_of(1, "tcp", &serde_json::json!({}));
    let due = Due { at: 3, t_ms: 3_600_000, change: Arc::new(register("mode", None, "07")) };
    let spec = SteerSpec { plays: [(0, [due].into())].into(), ..SteerSpec::default() };
    let mut world = Steered::with(&fleet, &spec);
    let now = world.now();
    let id = world.serve.on_accept(0, address(7), now).expect("accepted");
    world.serve.on_up(id, now, &mut world.io);
    world.serve.on_bytes(id, &frame("9000", "").repeat(4), now, &mut world.io);
    let bytes = world.io.wire.clone();
    let expected = [["000000"; 2], ["070000"; 2]].concat();
    assert_eq!(bytes, expected.iter().flat_map(|data| frame("9000", data)).collect::<Vec<_>>());
}

/// A change whose frame has not come waits for it, and one whose time has come does not wait for more.
#[test]
fn a_change_waits_for_its_frame_and_its_time() {
    let again = |at, t_ms| {
        let due = Due { at, t_ms, change: Arc::new(alarm("0A", 0)) };
        SteerSpec { plays: [(0, [due].into())].into(), ..SteerSpec::default() }
    };
    let said_at = |spec: &SteerSpec, asked_ms: &[u64]| {
        let mut world = Steered::with(&tracker(1), spec);
        for &ms in asked_ms {
            world.run_to(ms);
            world.ask(0, 7);
        }
        world.run_to(10_000);
        world.sent().iter().filter(|sent| sent.2.starts_with("7E0200")).map(|sent| sent.0).collect::<Vec<_>>()
    };
    // Asked once at 100 and again at 2,000.
    assert_eq!(said_at(&again(2, 500), &[100, 2_000]), [500]);
    assert_eq!(said_at(&again(2, 50), &[100, 2_000]), [100]);
    assert_eq!(said_at(&again(2, 5_000), &[100, 2_000]), [2_000]);
    assert_eq!(said_at(&again(3, 50), &[100, 2_000]), [2_000]);
    assert!(said_at(&again(4, 50), &[100, 2_000]).is_empty());
}
