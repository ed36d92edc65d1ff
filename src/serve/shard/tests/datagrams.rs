//! Delays, centres, heartbeats, the kernel's refusals, the drain: over datagrams.

use super::*;
use crate::shard::serve::DRAIN_MS;
use crate::shard::timers::pending::Pending;
use crate::shard::timers::share::Shares;
use fsu_net::local::Route;
use fsu_plan::model::message::Message;

fn sent(world: &World) -> Vec<(u64, u16, &str)> {
    world.io.sent.iter().map(|(ms, _, port, text)| (*ms, *port, &text[..])).collect()
}

#[test]
fn replies_leave_when_they_are_due() {
    let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
    world.datagram(0, 7, "[a3][b0][c3][d1]");
    assert_eq!(world.serve.pending(), 3);
    world.run_to(1_000);
    assert_eq!(sent(&world), [(0, 7, "b"), (10, 7, "d"), (30, 7, "a"), (30, 7, "c")]);
    assert_eq!((world.counters().received, world.counters().answered), (4, 4));
}

#[test]
fn setting_the_wall_clock_moves_no_delay() {
    for set_ms in [-3_600_000, 3_600_000] {
        let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
        world.datagram(0, 7, "[a3]");
        world.run_to(10);
        world.set_ms = set_ms;
        world.datagram(0, 7, "[b1]");
        world.run_to(1_000);
        assert_eq!(sent(&world), [(20, 7, "b"), (30, 7, "a")]);
    }
}

#[test]
fn a_full_queue_or_kernel_delays_and_loses_nothing() {
    let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
    world.io.outcomes = vec![Outcome::Full, Outcome::Sent, Outcome::Full, Outcome::Failed(1), Outcome::Full];
    world.datagram(0, 7, "[a0][b0][c0][d0][e0][f0]");
    world.run_to(1_000);
    let mut letters: Vec<&str> = world.io.sent.iter().map(|(.., text)| &text[..]).collect();
    letters.sort_unstable();
    assert_eq!(letters, ["a", "b", "c", "e", "f"]);
    assert_eq!((world.counters().answered, world.dropped(Reason::SendFailed)), (5, 1));
}

#[test]
fn limit_send_tries_max_a_kernel_that_stays_full_is_given_up() {
    for (full, expected) in [(2_000, (1, 0)), (2_001, (0, 1))] {
        let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
        world.io.outcomes = vec![Outcome::Full; full];
        world.datagram(0, 7, "[a0]");
        world.run_to(60_000);
        assert_eq!((sent(&world).len(), world.dropped(Reason::SendFailed)), expected, "{full}");
        assert_eq!(world.serve.pending(), 0);
    }
}

#[test]
fn a_hundred_thousand_replies_wait() {
    let mut world = World::new(&fleet(10, Transport::Udp, |_| {}));
    for n in 0..100_000u32 {
        world.datagram(n % 10, 7, ["[a9]", "[b5]", "[c7]"][n as usize % 3]);
    }
    assert_eq!(world.serve.pending(), 100_000);
    world.run_to(1_000);
    let answered: u64 = world.serve.counters().iter().map(|(_, counters)| counters.answered).sum();
    assert_eq!((world.serve.pending(), answered, world.io.sent.len()), (0, 100_000, 100_000));
    assert!(world.io.sent.is_sorted_by_key(|(ms, ..)| *ms));
}

#[test]
fn past_the_limit_of_waiting_replies_they_are_counted() {
    let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
    world.serve.later.pending = Pending::with(Shares::with(2, 1_000));
    world.datagram(0, 7, "[a3][b3][c3]");
    world.run_to(100);
    assert_eq!((sent(&world).len(), world.dropped(Reason::PendingFull)), (2, 1));
}

#[test]
fn heartbeats_are_spread_and_exact() {
    let mut world = World::new(&fleet(4, Transport::Udp, |fsu| fsu.messages = Message::heartbeats(Some(1_000))));
    for socket in 0..4 {
        world.datagram(socket, 7, "[a0]");
    }
    world.io.sent.clear();
    world.run_to(2_999);
    let beats: Vec<(u64, u32)> = world.io.sent.iter().map(|(ms, socket, ..)| (*ms, *socket)).collect();
    let expected: Vec<(u64, u32)> = (0..12).map(|n| (n * 250, n as u32 % 4)).collect();
    assert_eq!(beats, expected);
    assert_eq!((&world.io.sent[1].3[..], world.counters().heartbeats_sent), ("beat f1", 3));
}

#[test]
fn a_late_turn_moves_no_later_beat() {
    let mut world = World::new(&fleet(1, Transport::Udp, |fsu| fsu.messages = Message::heartbeats(Some(100))));
    world.datagram(0, 7, "[a0]");
    world.io.sent.clear();
    world.run_to(50);
    world.io.ms = 130;
    world.tick();
    world.run_to(250);
    world.io.ms = 570;
    world.tick();
    world.run_to(700);
    let beats: Vec<u64> = world.io.sent.iter().map(|(ms, ..)| *ms).collect();
    assert_eq!(beats, [0, 130, 200, 570, 600, 700]);
}

#[test]
fn beats_go_to_live_centres_and_once_to_the_static_one() {
    let mut fleet = fleet(1, Transport::Udp, |fsu| {
        fsu.messages = Message::heartbeats(Some(1_000));
        fsu.client_timeout_ms = 2_500;
    });
    Arc::get_mut(&mut fleet).unwrap().center = Some(address(9));
    let mut world = World::new(&fleet);
    world.run_to(500);
    world.datagram(0, 7, "[a0]");
    world.run_to(1_500);
    world.datagram(0, 9, "[a0]");
    world.datagram(0, 8, "junk");
    world.run_to(4_500);
    world.io.sent.retain(|(.., text)| text != "a");
    let beats: Vec<(u64, u16)> = world.io.sent.iter().map(|(ms, _, port, _)| (*ms, *port)).collect();
    assert_eq!(beats, [(0, 9), (1_000, 7), (1_000, 9), (2_000, 7), (2_000, 9), (3_000, 9), (4_000, 9)]);
    let counters = world.counters();
    assert_eq!((counters.centres_online, counters.centres_offline, counters.heartbeats_sent), (2, 2, 7));
    assert_eq!(world.dropped(Reason::BadStart), 1);
}

#[test]
fn only_the_b_interface_beats() {
    let mut world = World::new(&fleet(1, Transport::Broadcast, |fsu| fsu.messages = Message::heartbeats(Some(10))));
    world.datagram(0, 7, "[a0]");
    world.run_to(1_000);
    assert_eq!(sent(&world), [(0, 7, "a")]);
}

#[test]
fn a_pushed_out_centre_is_offline() {
    let mut world = World::new(&fleet(1, Transport::Udp, |fsu| fsu.limits.clients_max = 2));
    for port in 1..=5 {
        world.datagram(0, port, "[a0]");
    }
    let counters = world.counters();
    assert_eq!((counters.centres_online, counters.centres_offline), (5, 3));
}

#[test]
fn limit_drain_ms_a_drain_sends_what_is_due_in_time() {
    let mut world = World::new(&fleet(1, Transport::Udp, |fsu| {
        fsu.messages = Message::heartbeats(Some(20));
    }));
    world.datagram(0, 7, "[a9][b1]");
    let late = Datagram {
        socket: 0,
        peer: address(7),
        local: Local::ANY,
        what: Outgoing::Reply,
        tries: 0,
        due_ns: 0,
        about: About::UNKNOWN,
    };
    world.serve.later.reply(late, (START_MS + DRAIN_MS) * 1_000_000 + 1, b"late").unwrap();
    world.serve.begin_drain(world.now(), &mut world.io);
    assert!(!world.io.receiving && !world.serve.is_drained(world.now()));
    assert_eq!(world.dropped(Reason::DrainEnded), 1);
    world.run_to(10_000);
    assert_eq!(sent(&world), [(10, 7, "b"), (90, 7, "a")]);
    assert_eq!(world.io.ms, 90, "with nothing due it has ended");
}

#[test]
fn a_drain_with_nothing_due_ends_at_once_and_a_stuck_one_in_time() {
    let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
    world.serve.begin_drain(world.now(), &mut world.io);
    assert!(world.serve.is_drained(world.now()));

    let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
    world.io.outcomes = vec![Outcome::Full; 1_900];
    world.datagram(0, 7, "[a0]");
    world.serve.begin_drain(world.now(), &mut world.io);
    world.run_to(1_000);
    assert!(!world.serve.is_drained(world.now()));
    world.serve.finish(&mut world.io);
    assert_eq!((world.serve.pending(), world.dropped(Reason::DrainEnded)), (0, 1));
}

#[test]
fn records_stand_in_the_order_and_at_the_time_of_the_wire() {
    let mut world = World::logged(&fleet(1, Transport::Udp, |_| {}), true);
    world.io.outcomes = vec![Outcome::Full];
    world.datagram(0, 7, "[a0][b2]");
    world.run_to(100);
    let records = world.records.taken.lock().unwrap().clone();
    assert_eq!(
        records,
        [
            (0, RecordKind::Received, None, "[a0][b2]".into()),
            (1, RecordKind::Reply, None, "a".into()),
            (20, RecordKind::Reply, None, "b".into()),
        ]
    );
}

/// A clock that is that many nanoseconds past a whole millisecond.
fn past(ms: u64, ns: u64) -> Clock {
    let now = clock(ms, 0);
    let unix_ns = now.unix_ns + ns as i64;
    Clock { unix_ns, arrived_ns: unix_ns, mono_ns: now.mono_ns + ns, ..now }
}

/// What left at each of these moments, all in nanoseconds from the start.
fn left_at(world: &mut World, moments: &[u64]) -> Vec<(u64, String)> {
    let mut left = Vec::new();
    for &ns in moments {
        let now = past(ns / 1_000_000, ns % 1_000_000);
        while world.serve.on_tick(now, &mut world.io) {}
        for (datagram, bytes) in std::mem::take(&mut world.io.queued) {
            world.serve.on_sent(datagram, &bytes, Outcome::Sent, now);
            left.push((ns, String::from_utf8(bytes).unwrap()));
        }
    }
    left
}

#[test]
fn n09_a_delay_counts_from_the_nanosecond_of_the_arrival() {
    // stamped against the clock's reading, which is 0.9 ms past a millisecond -> when it leaves, both in ns
    for (stamp_ns, expected_ns) in
        [(0, 31_000_000), (-400_000, 30_500_000), (250_000, 31_250_000), (-900_001, 30_000_000)]
    {
        let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
        let now = past(0, 900_000);
        world.serve.on_datagram(0, Arrived::new(address(7), b"[a3]", now.unix_ns + stamp_ns), now, &mut world.io);
        let due_ns = (30_900_000 + stamp_ns) as u64;
        let ticks: Vec<u64> = (29_000..33_000).map(|us| us * 1_000).chain([due_ns - 1, due_ns]).collect();
        let mut ticks = ticks;
        ticks.sort_unstable();
        let left = left_at(&mut world, &ticks);
        assert_eq!(left, [(expected_ns, "a".to_owned())], "stamped at {stamp_ns}");
        assert!(expected_ns >= due_ns);
        let late_us = world.serve.late.told(5_000, 0).max_us;
        assert_eq!(late_us, (expected_ns - due_ns).div_ceil(1_000));
    }
}

#[test]
fn n09_no_reply_waits_for_a_clock_that_was_set() {
    // the stamp of a datagram against now, and how far the clock was set forward, in ms -> waits
    for (stamp_ms, stepped_ms, waits_ms) in
        [(-3_600_000, 3_600_000, 30), (-3_600_010, 3_600_000, 20), (3_600_000, 0, 30)]
    {
        let mut world = World::new(&fleet(1, Transport::Udp, |_| {}));
        let now = Clock { stepped_ns: stepped_ms * 1_000_000, ..world.now() };
        let stamp_ns = now.unix_ns + stamp_ms * 1_000_000;
        world.serve.on_datagram(0, Arrived::new(address(7), b"[a3]", stamp_ns), now, &mut world.io);
        world.serve.on_datagram(0, Arrived::new(address(7), b"[b0]", stamp_ns), now, &mut world.io);
        world.flush();
        world.run_to(1_000);
        assert_eq!(sent(&world), [(0, 7, "b"), (waits_ms, 7, "a")]);
    }
}

/// Datagrams that came to one of two addresses; what was sent, and from where.
fn check_left(
    asked: &[(u16, &str, &str)],
    beats_ms: Option<u64>,
    outcomes: &[Outcome],
    expected: &[(u16, &str, &str)],
) {
    let mut world = World::new(&fleet(1, Transport::Udp, |fsu| fsu.messages = Message::heartbeats(beats_ms)));
    world.io.outcomes = outcomes.to_vec();
    for &(port, ip, text) in asked {
        let from = Route { peer: address(port), local: Local::new(ip.parse().unwrap(), 0) };
        let now = world.now();
        world.serve.on_datagram(0, Arrived::new(from, text.as_bytes(), now.unix_ns), now, &mut world.io);
    }
    world.run_to(90);
    let left: Vec<String> = world.io.left.iter().map(|local| format!("{local:?}")).collect();
    let sent = world.io.sent.iter().zip(&left).map(|((_, _, port, text), left)| (*port, &left[..], &text[..]));
    assert_eq!(sent.collect::<Vec<_>>(), expected);
}

#[test]
fn h05_replies_leave_from_where_they_were_asked_for() {
    let (one, two) = ("192.0.2.1", "2001:db8::2");
    check_left(&[(7, one, "[a0]"), (7, two, "[b0]")], None, &[], &[(7, one, "a"), (7, two, "b")]);
    check_left(&[(7, one, "[a3][b0]"), (7, two, "[c1]")], None, &[], &[(7, one, "b"), (7, two, "c"), (7, one, "a")]);
    // Tried again, as the kernel had no room.
    check_left(&[(7, one, "[a0]")], None, &[Outcome::Full], &[(7, one, "a")]);
    check_left(&[(7, "::", "[a0]")], None, &[], &[(7, "::", "a")]);
}

#[test]
fn h05_heartbeats_leave_from_where_a_centre_was_heard_last() {
    let (one, two) = ("192.0.2.1", "192.0.2.2");
    let replies = [(7, one, "a"), (8, one, "b"), (8, two, "c")];
    check_left(
        &[(7, one, "[a0]"), (8, one, "[b0]"), (8, two, "[c0]")],
        Some(100),
        &[],
        &[&replies[..], &[(7, one, "beat f0"), (8, two, "beat f0")]].concat(),
    );
}
