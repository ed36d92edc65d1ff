//! FSUs that dial out, on virtual time.

use super::{FakeIo, IpAddr, World, address, fleet};
use crate::shard::dial::{DIAL_TIMEOUT_MS, DIALS_AT_ONCE_MAX};
use crate::shard::io::ConnId;
use crate::shard::reload::Swap;
use fsu_core::moment::RunContext;
use fsu_plan::model::connect::{Connect, DialFailure};
use fsu_plan::model::fault::{FaultSet, FsuFaults, Scheduled};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reload::Fate;
use fsu_plan::model::share::Partition;
use fsu_plan::wire::reason::Reason;
use std::num::NonZeroU32;
use std::sync::Arc;

const CENTRE: u16 = 900;

fn connect(reconnect_ms: (u64, u64), per_second: u32) -> Connect {
    Connect {
        to: address(CENTRE),
        from: Box::default(),
        first: 0,
        reconnect_ms,
        per_second: NonZeroU32::new(per_second),
        tls: None,
        listens: false,
    }
}

fn dialling(count: usize, connect: &Connect, with: impl Fn(&mut Fsu)) -> Arc<Fleet> {
    fleet(count, Transport::Tcp, |fsu| {
        fsu.connect = Some(Arc::new(connect.clone()));
        with(fsu);
    })
}

impl FakeIo {
    fn dials_ms(&self) -> Vec<u64> {
        self.dialled.iter().map(|&(ms, ..)| ms).collect()
    }
}

impl World {
    /// The latest dial's connection.
    fn latest(&self) -> ConnId {
        self.io.dialled.last().expect("a dial").1
    }

    fn ends(&mut self, id: ConnId, result: Result<(), i32>) {
        self.serve.on_dialled(id, result, self.now(), &mut self.io);
    }

    /// Goes on to `ms`; all dials that are made meanwhile end so.
    fn dials_to(&mut self, ms: u64, result: Result<(), i32>) {
        let mut ended = self.io.dialled.len();
        for ms in self.io.ms..=ms {
            self.run_to(ms);
            while let Some(&(_, id, ..)) = self.io.dialled.get(ended) {
                ended += 1;
                self.ends(id, result);
            }
        }
    }
}

#[test]
fn a_dialled_connection_is_one_as_any_other() {
    let mut world = World::new(&dialling(1, &connect((1_000, 60_000), 0), |_| {}));
    world.tick();
    assert_eq!(world.io.dials_ms(), [0]);
    let id = world.latest();
    world.ends(id, Ok(()));
    world.bytes(id, "[a0][b1]");
    world.run_to(20);
    assert_eq!(world.io.written, [(0, "a".to_owned()), (10, "b".to_owned())]);
    let counters = world.counters();
    assert_eq!((counters.connections, counters.answered, *counters.dial_failures), (1, 2, [0; DialFailure::COUNT]));
}

/// After the first failure within the first bound, then within twice that, up to the second.
#[test]
fn it_dials_again_within_a_bound_that_doubles() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut world = World::seeded(&dialling(1, &connect((100, 800), 0), |_| {}), seed);
        world.dials_to(8_000, Err(libc::ECONNREFUSED));
        let dials_ms = world.io.dials_ms();
        let waits: Vec<u64> = dials_ms.windows(2).map(|two| two[1] - two[0]).collect();
        for (wait, bound) in waits.iter().zip([100, 200, 400, 800, 800, 800, 800]) {
            assert!((1..=bound).contains(wait), "seed {seed}: {waits:?}");
        }
        assert_eq!(world.counters().dial_failures[DialFailure::Refused as usize], dials_ms.len() as u64);
        seen.insert(waits[..4].to_vec());
        // The same again.
        let mut again = World::seeded(&dialling(1, &connect((100, 800), 0), |_| {}), seed);
        again.dials_to(8_000, Err(libc::ECONNREFUSED));
        assert_eq!(again.io.dials_ms(), dials_ms);
    }
    assert_eq!(seen.len(), 40, "every seed has waits of its own");
}

#[test]
fn failures_are_counted_by_what_they_are() {
    let check = |errno: i32, expected: DialFailure| {
        let mut world = World::new(&dialling(1, &connect((60_000, 60_000), 0), |_| {}));
        world.tick();
        world.ends(world.latest(), Err(errno));
        let mut counts = [0; DialFailure::COUNT];
        counts[expected as usize] = 1;
        assert_eq!(world.counters().dial_failures, counts, "{errno}");
        assert_eq!((world.counters().connections, world.counters().dropped_total()), (0, 0));
        // The same where it cannot even begin.
        let mut world = World::new(&dialling(1, &connect((60_000, 60_000), 0), |_| {}));
        world.io.dial_error = Some(errno);
        world.tick();
        assert_eq!(world.counters().dial_failures, counts, "{errno}");
    };
    check(libc::ECONNREFUSED, DialFailure::Refused);
    check(libc::ECONNRESET, DialFailure::Reset);
    check(libc::ETIMEDOUT, DialFailure::TimedOut);
    check(libc::ENETUNREACH, DialFailure::Unreachable);
    check(libc::EHOSTUNREACH, DialFailure::Unreachable);
    check(libc::EADDRNOTAVAIL, DialFailure::NoPort);
    check(libc::EMFILE, DialFailure::Other);
}

#[test]
fn limit_dial_timeout_ms() {
    let mut world = World::new(&dialling(1, &connect((60_000, 60_000), 0), |_| {}));
    world.tick();
    let id = world.latest();
    world.run_to(DIAL_TIMEOUT_MS - 1);
    assert_eq!(world.io.closed, []);
    world.run_to(DIAL_TIMEOUT_MS);
    assert_eq!(world.io.closed, [id]);
    assert_eq!(world.counters().dial_failures[DialFailure::TimedOut as usize], 1);
    // What the driver reports later belongs to no dial.
    world.ends(id, Ok(()));
    assert_eq!(world.counters().connections, 0);
}

/// All are reset at once: all are back within the bound, and none before its time.
#[test]
fn a_storm_is_back_within_the_bound() {
    const FSUS: usize = 2_000;
    let mut world = World::new(&dialling(FSUS, &connect((100, 1_000), 0), |_| {}));
    world.dials_to(100, Ok(()));
    assert_eq!(world.io.dialled.len(), FSUS);
    world.run_to(5_000);
    let all: Vec<ConnId> = world.io.dialled.iter().map(|&(_, id, ..)| id).collect();
    for id in all {
        world.serve.on_closed(id, None, world.now(), &mut world.io);
    }
    world.dials_to(6_200, Ok(()));
    let again: Vec<u64> = world.io.dials_ms()[FSUS..].to_vec();
    assert_eq!((again.len(), *again.iter().max().unwrap() <= 5_100), (FSUS, true));
    // Spread over the bound: each tenth of it has its part.
    for tenth in 0..10 {
        let within = |&&ms: &&u64| (ms - 5_000).saturating_sub(1) / 10 == tenth;
        let many = again.iter().filter(within).count();
        assert!((FSUS / 20..FSUS / 5).contains(&many), "{many} in tenth {tenth}");
    }
}

/// A centre that takes every connection and resets it at once is dialled more and more seldom.
#[test]
fn a_connection_that_does_not_last_is_a_failure() {
    let mut world = World::new(&dialling(1, &connect((100, 3_200), 0), |_| {}));
    let mut dials = Vec::new();
    for ms in 0..40_000 {
        world.run_to(ms);
        if world.io.dialled.len() > dials.len() {
            dials.push(ms);
            let id = world.latest();
            world.ends(id, Ok(()));
            world.serve.on_closed(id, None, world.now(), &mut world.io);
        }
    }
    assert!((10..60).contains(&dials.len()), "{dials:?}");
}

#[test]
fn limit_per_second_of_a_shard() {
    let mut world = World::new(&dialling(300, &connect((10, 10), 100), |_| {}));
    world.dials_to(4_000, Ok(()));
    let dials_ms = world.io.dials_ms();
    assert_eq!(dials_ms.len(), 300);
    assert!(dials_ms.windows(2).all(|two| two[1] - two[0] >= 8), "{dials_ms:?}");
    assert!((2_980..3_000).contains(dials_ms.last().unwrap()), "{:?}", dials_ms.last());
    // In their order.
    let order: Vec<u32> = world.io.dialled.iter().map(|&(_, id, ..)| id.index).collect();
    assert!(order.is_sorted());
}

/// Between dials that are due at once there is time for connections that are up.
#[test]
fn limit_dials_at_once_max() {
    let mut world = World::new(&dialling(100, &connect((1_000, 1_000), 0), |_| {}));
    let mut dials = Vec::new();
    for ms in 0..6 {
        world.run_to(ms);
        dials.push(world.io.dialled.len());
    }
    assert_eq!(dials, [32, 64, 96, 100, 100, 100]);
    assert_eq!(DIALS_AT_ONCE_MAX, 32);
    let order: Vec<u32> = world.io.dialled.iter().map(|&(_, id, ..)| id.index).collect();
    assert!(order.is_sorted());
    // Dials take half of the time at most, however long each takes.
    let mut world = World::new(&dialling(100, &connect((1_000, 1_000), 0), |_| {}));
    world.io.dial_takes_ns = 1_000_000;
    let mut dials = Vec::new();
    for ms in [0, 63, 64, 127, 128, 191, 192] {
        world.run_to(ms);
        dials.push(world.io.dialled.len());
    }
    assert_eq!(dials, [32, 32, 64, 64, 96, 96, 100]);
}

#[test]
fn sources_are_taken_in_turn() {
    let from = [fsu_plan::model::network::Network::parse("127.0.0.8/30").unwrap()].into();
    let mut world = World::new(&dialling(3, &Connect { from, ..connect((10, 10), 0) }, |_| {}));
    world.tick();
    let sources: Vec<String> = world.io.dialled.iter().map(|(.., from)| from.unwrap().to_string()).collect();
    assert_eq!(sources, ["127.0.0.9", "127.0.0.10", "127.0.0.9"]);
}

/// A part of a fleet dials from the addresses that these FSUs have in the whole.
#[test]
fn sources_of_a_part_are_those_of_the_whole() {
    let from: Box<[_]> = [fsu_plan::model::network::Network::parse("127.0.8.0/24").unwrap()].into();
    let sources = |partition: Option<Partition>| {
        let mut whole =
            Arc::unwrap_or_clone(dialling(30, &Connect { from: from.clone(), ..connect((10, 10), 0) }, |_| {}));
        if let Some(partition) = partition {
            whole.keep(partition);
        }
        let of: Vec<Option<IpAddr>> = (0..whole.fsus.len()).map(|number| whole.source(number)).collect();
        let mut world = World::new(&Arc::new(whole));
        world.tick();
        let dialled: Vec<Option<IpAddr>> = world.io.dialled.iter().map(|&(.., from)| from).collect();
        assert_eq!(dialled, of);
        dialled
    };
    let whole = sources(None);
    let mut parts: Vec<_> = (0..3).flat_map(|part| sources(Some(Partition { part, of: 3 }))).collect();
    assert_ne!(parts, whole, "the parts are drawn by name");
    parts.sort();
    assert_eq!(parts, whole);
}

fn outage(from_ms: u64, to_ms: u64) -> Arc<FsuFaults> {
    let faults = FaultSet { offline: Some(true), ..FaultSet::default() };
    let schedule = [Scheduled { from_ms, to_ms, faults }].into();
    Arc::new(FsuFaults { base: FaultSet::default(), schedule })
}

#[test]
fn an_outage_cuts_it_and_holds_it_back() {
    let mut world = World::new(&dialling(1, &connect((100, 1_000), 0), |fsu| fsu.faults = Some(outage(1_000, 5_000))));
    world.dials_to(8_000, Ok(()));
    let dials_ms = world.io.dials_ms();
    assert_eq!((dials_ms.len(), dials_ms[0]), (2, 0));
    assert!((5_000..=5_100).contains(&dials_ms[1]), "{dials_ms:?}");
    // One that begins in it.
    let mut world = World::new(&dialling(1, &connect((100, 1_000), 0), |fsu| fsu.faults = Some(outage(0, 300))));
    world.dials_to(1_000, Ok(()));
    assert!(matches!(world.io.dials_ms()[..], [ms] if (300..=400).contains(&ms)));
    // One that is dialling when it begins.
    let mut world = World::new(&dialling(1, &connect((100, 1_000), 0), |fsu| fsu.faults = Some(outage(10, 300))));
    world.run_to(1_000);
    assert!(matches!(world.io.dials_ms()[..], [0, ms] if (300..=400).contains(&ms)), "{:?}", world.io.dials_ms());
}

#[test]
fn nothing_dials_in_a_drain() {
    let mut world = World::new(&dialling(2, &connect((100, 1_000), 0), |_| {}));
    world.tick();
    let [first, second] = [world.io.dialled[0].1, world.io.dialled[1].1];
    world.ends(first, Ok(()));
    world.serve.begin_drain(world.now(), &mut world.io);
    assert_eq!(world.io.closed, [second]);
    world.serve.on_closed(first, None, world.now(), &mut world.io);
    world.run_to(10_000);
    assert_eq!(world.io.dialled.len(), 2);
}

fn swap(world: &mut World, fleet: &Arc<Fleet>, fates: &[Fate]) {
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: super::START_MS };
    let swap = Swap { fleet: fleet.clone(), run, epoch: 1, fates: fates.into(), new: Vec::new(), own: Arc::default() };
    let now = world.now();
    world.serve.swap(swap, &[], now, &mut world.io);
}

#[test]
fn a_reload_keeps_what_dials_to_the_same_place() {
    let first = connect((100, 1_000), 0);
    let elsewhere = Connect { to: address(901), ..first.clone() };
    let check = |next: Option<&Connect>, fate: Fate, closed: usize, dials: usize| {
        let mut world = World::new(&dialling(1, &first, |_| {}));
        world.dials_to(2_000, Ok(()));
        let fleet = fleet(1, Transport::Tcp, |fsu| fsu.connect = next.cloned().map(Arc::new));
        swap(&mut world, &fleet, &[fate]);
        world.dials_to(4_000, Ok(()));
        assert_eq!((world.io.closed.len(), world.io.dialled.len()), (closed, dials), "{next:?} {fate:?}");
        assert_eq!(world.io.dialled.last().map(|dial| dial.2), Some(next.map_or(first.to, |next| next.to)));
    };
    check(Some(&first), Fate::Stays(0), 0, 1);
    check(Some(&Connect { reconnect_ms: (5, 5), ..first.clone() }), Fate::Stays(0), 0, 1);
    check(Some(&elsewhere), Fate::Stays(0), 1, 2);
    check(None, Fate::Stays(0), 1, 1);
    check(Some(&first), Fate::Handed(0), 1, 2);
}

/// The wait for the next dial goes on over a reload.
#[test]
fn a_reload_does_not_shorten_a_wait() {
    let plan = connect((60_000, 60_000), 0);
    let waits = |reloads: bool| {
        let mut world = World::new(&dialling(1, &plan, |_| {}));
        world.dials_to(5, Err(libc::ECONNREFUSED));
        if reloads {
            swap(&mut world, &dialling(1, &plan, |_| {}), &[Fate::Stays(0)]);
        }
        world.dials_to(60_010, Ok(()));
        world.io.dials_ms()
    };
    assert_eq!(waits(true), waits(false));
}

#[test]
fn reconnect_ends_the_connection_and_dials_again() {
    let mut world = World::new(&dialling(1, &connect((100, 1_000), 0), |_| {}));
    world.dials_to(10, Ok(()));
    let id = world.latest();
    world.bytes(id, "[a9]");
    world.serve.reconnect(id, &mut world.io);
    assert_eq!((world.io.closed.clone(), world.dropped(Reason::PeerGone)), (vec![id], 1));
    world.dials_to(500, Ok(()));
    assert_eq!(world.io.dialled.len(), 2);
}

/// What a message does whose acknowledgement does not come: the wait grows, however long the connection was up.
#[test]
fn a_connection_that_is_given_up_is_dialled_again_later_and_later() {
    let mut world = World::new(&dialling(1, &connect((100, 6_400), 0), |_| {}));
    let mut waits = Vec::new();
    for _ in 0..12 {
        world.dials_to(world.io.ms + 7_000, Ok(()));
        world.serve.reconnect(world.latest(), &mut world.io);
        let ended_ms = world.io.ms;
        world.dials_to(ended_ms + 7_000, Ok(()));
        waits.push(world.io.dialled.last().unwrap().0 - ended_ms);
    }
    assert!(waits[0] <= 100 && waits[1] <= 200 && waits.iter().any(|&wait| wait > 3_200), "{waits:?}");
}

#[test]
fn a_udp_fsu_beats_to_the_centre_of_connect_at_once() {
    use fsu_plan::model::message::Message;
    let fleet = fleet(1, Transport::Udp, |fsu| {
        fsu.connect = Some(Arc::new(Connect { listens: true, ..connect((100, 1_000), 0) }));
        fsu.messages = Message::heartbeats(Some(1_000));
    });
    let mut world = World::new(&fleet);
    world.run_to(2_500);
    let beat = |ms, port| (ms, 0, port, "beat f0".to_owned());
    assert_eq!(world.io.sent, [0, 1_000, 2_000].map(|ms| beat(ms, CENTRE)));
    // Once where it has asked as well, and to others as ever.
    world.datagram(0, CENTRE, "[a0]");
    world.datagram(0, 7, "[b0]");
    world.io.sent.clear();
    world.run_to(3_500);
    assert_eq!(world.io.sent, [beat(3_000, CENTRE), beat(3_000, 7)]);
    assert!(world.io.dialled.is_empty());
}
