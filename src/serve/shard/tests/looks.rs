//! Since when bytes of a connection may have been there: the loop's looks and gaps, on virtual time.

use super::*;
use crate::shard::look::{Left, Looks, UNSEEN_NS_MAX, Unread};
use std::time::Duration;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const START_NS: u64 = 777 * MS;

/// A turn: how long it takes to serve what the wait before has brought, how long the wait that follows may be, how long that lasts, what it
/// leaves; and how long what it brings may have been there. In microseconds.
type Looked = (u64, u64, u64, Left, u64);

const ALL: Left = Left::Nothing;

/// One turn after the other, of a shard that has a connection open.
fn check(what: &str, turns: &[Looked]) {
    let mut now_ns = START_NS;
    let mut looks = Looks::new(now_ns);
    for (number, &(turn_us, wait_us, lasted_us, left, expected_us)) in turns.iter().enumerate() {
        now_ns += turn_us * US;
        looks.before(now_ns, Duration::from_micros(wait_us), true);
        now_ns += lasted_us * US;
        let told_us = (now_ns - looks.after(now_ns, left)) / US;
        assert_eq!(told_us, expected_us, "{what}, turn {number}");
    }
}

#[test]
fn h06_without_stops_what_ends_a_wait_has_just_come() {
    check(
        "light traffic",
        &[(20, 4_000, 700, ALL, 0), (20, 4_000, 3_900, ALL, 0), (15, 800, 60, ALL, 0), (300, 4_000, 100, ALL, 0)],
    );
    check("nothing for a while", &[(1, 10_000, 4_060, ALL, 60), (1, 10_000, 4_060, ALL, 60), (1, 4_000, 900, ALL, 0)]);
    // It was there when the wait began: it came while the turn before was served.
    check("a busy shard", &[(200, 4_000, 5, ALL, 205), (150, 4_000, 4, ALL, 154), (20, 0, 3, ALL, 23)]);
    check("woken late", &[(20, 4_000, 7_000, ALL, 3_000)]);
}

/// Less what the wait may have lasted anyway.
#[test]
fn h06_a_stop_within_a_wait_counts_from_when_it_ought_to_have_ended() {
    check("the wait brings what came", &[(20, 4_000, 300_000, ALL, 296_000), (30, 4_000, 3, ALL, 296_033)]);
    // As epoll does: it is interrupted, and the next look brings what came meanwhile, and the one behind that does not.
    let stop = [(20, 4_000, 300_000, ALL, 296_000), (1, 4_000, 3, ALL, 296_004), (30, 4_000, 3, ALL, 36)];
    check("the wait brings nothing", &stop);
    let stop = [(20, 4_000, 300_000, ALL, 296_000), (1, 4_000, 3, ALL, 296_004), (1, 4_000, 700, ALL, 0)];
    check("three stops", &stop.repeat(3));
    check("the wait is none", &[(20, 0, 300_000, ALL, 300_020), (1, 4_000, 3, ALL, 300_004)]);
}

#[test]
fn h06_a_stop_within_a_turn_counts_from_the_look_before_it() {
    check("it has something", &[(20, 4_000, 500, ALL, 0), (300_000, 4_000, 3, ALL, 300_003), (30, 4_000, 3, ALL, 36)]);
    // Then it looks before it waits: what comes after that has just come.
    check("it has nothing", &[(300_000, 4_000, 3, ALL, 300_003), (1, 4_000, 2_000, ALL, 0)]);
}

#[test]
fn limit_open_wait_ns_max_and_turn_ns_max_after_a_long_turn_it_looks_before_it_waits() {
    let wait = Duration::from_millis(10);
    // How long after the look before, a connection is open -> how long it waits, in us
    for (after_us, is_open, expected_us) in
        [(20, true, 4_000), (20, false, 10_000), (1_000, true, 4_000), (1_001, true, 0), (300_000, false, 0)]
    {
        let waits = Looks::new(MS).before(MS + after_us * US, wait, is_open);
        assert_eq!(waits, Duration::from_micros(expected_us), "{after_us}, {is_open}");
    }
}

#[test]
fn limit_unseen_ns_max_a_stop_that_ends_within_a_wait() {
    // The longest turn and the longest wait that are not seen, and one microsecond more of either.
    check("unseen", &[(1_000, 10_000, 4_000, ALL, 0)]);
    check("a longer wait", &[(1_000, 10_000, 4_001, ALL, 1)]);
    check("a longer turn", &[(1_001, 10_000, 4_000, ALL, 5_001)]);
    assert_eq!(UNSEEN_NS_MAX, 5 * MS);
}

#[test]
fn h06_what_a_look_leaves_counts_from_before_it() {
    let left = Left::Some(2);
    check("one look later", &[(20, 3_000, 5, left, 25), (400, 3_000, 5, ALL, 430), (30, 3_000, 3, ALL, 38)]);
    // No poll reports everything; what was there at the first poll is served after this many.
    let turn = |expected_us| (95, 3_000, 5, left, expected_us);
    check("a busy shard", &[100, 200, 300, 300, 400, 305, 405].map(turn));
    // A look that brings what it has waited for leaves what has just come, too.
    check("a burst after rest", &[(20, 3_000, 900, left, 0), (400, 3_000, 5, ALL, 405)]);
}

/// Of one read after the other: how long a turn took, how many bytes, how many the kernel had then; how long they may have waited.
fn check_reads(what: &str, mut unread: Unread, reads: &[(u64, usize, usize, u64)]) {
    let mut now_ns = START_NS;
    let mut looks = Looks::new(now_ns);
    for (number, &(turn_us, count, left, expected_us)) in reads.iter().enumerate() {
        now_ns += turn_us * US;
        looks.before(now_ns, Duration::ZERO, true);
        looks.after(now_ns, ALL);
        let told_us = (now_ns - looks.read(&mut unread, count, left, now_ns)) / US;
        assert_eq!(told_us, expected_us, "{what}, read {number}");
    }
}

#[test]
fn h06_bytes_left_unread_keep_their_bound() {
    check_reads("all is read", Unread::default(), &[(100, 20, 0, 100), (200, 20, 0, 200)]);
    // 50 more are there, and come in two reads; then those that came after the first.
    check_reads(
        "its share is used",
        Unread::default(),
        &[
            (100, 30, 50, 100),
            (100, 30, 70, 200),
            (100, 30, 90, 300),
            (100, 30, 60, 300),
            (100, 30, 0, 400),
            (100, 30, 0, 100),
        ],
    );
    // A connection that was accepted later than it was made: what it had then counts from then.
    let new = Unread::since(START_NS - 300 * MS, START_NS);
    check_reads("new", new, &[(100, 30, 0, 300_100), (100, 30, 0, 100)]);
    check_reads(
        "new, with a lot",
        new,
        &[(100, 30, 60, 300_100), (100, 30, 30, 300_200), (100, 30, 0, 300_300), (100, 30, 0, 100)],
    );
}

/// A connection with bytes that nothing is known of is read at the next look, at a later one, or after a wait.
#[test]
fn h06_a_look_that_brings_nothing_of_a_connection_tells_that_nothing_was_there() {
    let new = Unread::since(START_NS - 300 * MS, START_NS);
    for (waits_us, expected_us) in
        [(&[(0, 5)][..], 300_015), (&[(0, 5), (0, 5)], 20), (&[(4_000, 5)], 300_015), (&[(4_000, 700)], 0)]
    {
        let (mut looks, mut now_ns, mut unread) = (Looks::new(START_NS), START_NS, new);
        for &(wait_us, lasted_us) in waits_us {
            looks.before(now_ns + 10 * US, Duration::from_micros(wait_us), true);
            now_ns += (10 + lasted_us) * US;
            looks.after(now_ns, ALL);
        }
        assert_eq!((now_ns - looks.arrived(&unread)) / US, expected_us, "{waits_us:?}");
        // There was no buffer to read it to.
        looks.leave(&mut unread, now_ns);
        looks.before(now_ns + 10 * US, Duration::ZERO, true);
        looks.after(now_ns + 10 * US, ALL);
        assert_eq!((now_ns - looks.read(&mut unread, 20, 0, now_ns)) / US, expected_us, "{waits_us:?}");
    }
}

/// Bytes that a look brought are looked at two turns later: they count from the look before, and what came behind them from that look, until
/// another has found nothing.
#[test]
fn h06_what_waits_in_line_has_been_there_all_the_time() {
    for (more_turns, left, expected_us) in [(1, 0, 300), (2, 0, 100), (1, 40, 400), (2, 40, 500)] {
        let (mut looks, mut now_ns, mut unread) = (Looks::new(START_NS), START_NS, Unread::default());
        let mut look = |looks: &mut Looks| {
            now_ns += 100 * US;
            looks.before(now_ns, Duration::ZERO, true);
            looks.after(now_ns, ALL);
            now_ns
        };
        look(&mut looks);
        looks.hold(&mut unread);
        look(&mut looks);
        looks.hold(&mut unread);
        let now_ns = look(&mut looks);
        assert_eq!((now_ns - looks.read(&mut unread, 20, left, now_ns)) / US, 300);
        let now_ns = (0..more_turns).map(|_| look(&mut looks)).last().unwrap();
        assert_eq!((now_ns - looks.read(&mut unread, 20, 0, now_ns)) / US, expected_us, "{more_turns}, {left}");
    }
}

fn world() -> World {
    World::new(&fleet(1, Transport::Tcp, |_| {}))
}

/// Now, of what may have been there for so long.
fn since(world: &World, waited_ms: u64) -> Clock {
    let now = world.now();
    now.with_arrival(now.mono_ns - waited_ms * MS)
}

/// The latest reply, in ms, and how many there were.
fn latest(world: &World) -> (u64, u64) {
    let told = world.serve.late.told(5_000, 0);
    assert_eq!((told.stream_replies, told.stream_unseen_us), (told.replies, 5_000));
    (told.max_us / 1_000, told.replies)
}

#[test]
fn h06_a_frame_in_pieces_has_come_with_its_last_byte() {
    let mut world = world();
    let id = world.connect(1);
    world.serve.on_bytes(id, b"[a", since(&world, 300), &mut world.io);
    world.io.ms = 200;
    world.serve.on_bytes(id, b"0]", since(&world, 7), &mut world.io);
    assert_eq!(latest(&world), (7, 1));
}

#[test]
fn h06_what_a_new_connection_has_may_be_as_old_as_itself() {
    let mut world = world();
    world.io.ms = 300;
    let (now, later) = (since(&world, 299), clock(301, 0));
    let id = world.serve.on_accept(0, address(1), now).unwrap();
    let mut looks = Looks::new(now.mono_ns);
    looks.after(later.mono_ns, ALL);
    let arrived_ns = looks.read(world.serve.unread(id).unwrap(), 4, 0, later.mono_ns);
    assert_eq!(later.mono_ns - arrived_ns, 300 * MS);
}

#[test]
fn h06_a_delayed_reply_is_late_by_what_its_request_has_waited() {
    // Requests, how long they may have waited, when the wheel fires -> the latest, in ms
    for (requests, waited_ms, fired_ms, expected_ms) in [
        ("[a5]", 0, &[50][..], 0),
        ("[a5]", 300, &[50], 300),
        ("[a5][b0]", 300, &[50], 300),
        ("[a5][b9]", 300, &[50, 90], 300),
        ("[a5]", 0, &[57], 7),
        ("[a5]", 300, &[57], 307),
    ] {
        let mut world = world();
        let id = world.connect(1);
        world.serve.on_bytes(id, requests.as_bytes(), since(&world, waited_ms), &mut world.io);
        for &ms in fired_ms {
            world.io.ms = ms;
            world.tick();
        }
        assert_eq!(latest(&world), (expected_ms, requests.len() as u64 / 4), "{requests} after {waited_ms} ms");
    }
}

/// A reply behind a delayed one is late by no more than that one.
#[test]
fn h06_a_reply_in_turn_is_late_with_the_one_before_it() {
    let mut world = world();
    let id = world.connect(1);
    world.serve.on_bytes(id, b"[a5]", since(&world, 0), &mut world.io);
    world.io.ms = 20;
    // It may have waited for 10 ms, and is due with the one before all the same.
    world.serve.on_bytes(id, b"[b0]", since(&world, 10), &mut world.io);
    world.run_to(50);
    assert_eq!(latest(&world), (0, 2));
}

/// The peer leaves its replies unread for 400 ms: the mock reads nothing meanwhile, and is not late by that.
#[test]
fn h06_what_a_peer_holds_back_itself_is_not_lateness() {
    let mut world = World::new(&fleet(1, Transport::Tcp, |fsu| fsu.limits.write_buffer_bytes_max = 1_000));
    let id = world.connect(1);
    world.io.room = 0;
    world.serve.on_bytes(id, b"[!0][a0][b0]", since(&world, 0), &mut world.io);
    assert!(!world.io.interest.read);
    world.io.ms = 400;
    world.io.room = usize::MAX;
    // There may have been room for 2 ms: so long may the rest have waited.
    world.serve.on_writable(id, since(&world, 2), &mut world.io);
    assert_eq!((world.text().replace('!', ""), latest(&world)), ("ab".to_owned(), (2, 3)));
    let looks = Looks::new(world.now().mono_ns);
    assert_eq!(looks.arrived(world.serve.unread(id).unwrap()), world.now().mono_ns - 2 * MS);
}
