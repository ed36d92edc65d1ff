//! Frames, order, deadlines, limits, back-pressure, the ends: over connections.

use super::*;
use crate::shard::tcp::conn::UnsentReply;

fn world(with: impl Fn(&mut Limits)) -> World {
    World::new(&fleet(1, Transport::Tcp, |fsu| with(&mut fsu.limits)))
}

#[test]
fn any_split_is_answered_alike() {
    let all = "xx[a0][b0]]y[[c0][d0]";
    for first in 0..=all.len() {
        for second in first..=all.len() {
            let mut world = world(|_| {});
            let id = world.connect(1);
            for part in [&all[..first], &all[first..second], &all[second..]] {
                world.bytes(id, part);
            }
            assert_eq!(
                (&world.text()[..], world.dropped(Reason::Garbage)),
                ("abcd", 5),
                "split at {first} and {second}"
            );
            assert!(world.serve.conns.get_mut(id).unwrap().partial.capacity() == 0);
        }
    }
}

#[test]
fn limit_fired_max_timers_of_a_turn() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, &"[a1]".repeat(130));
    world.io.ms = 10;
    let now = world.now();
    assert!(world.serve.on_tick(now, &mut world.io), "there is more to do");
    assert_eq!(world.text().len(), 128);
    assert!(!world.serve.on_tick(now, &mut world.io));
    assert_eq!(world.text().len(), 130);
}

#[test]
fn limit_spare_buffers_max_of_started_frames() {
    let mut world = world(|_| {});
    let ids: Vec<ConnId> = (1..=66).map(|port| world.connect(port)).collect();
    for part in ["[a", "0]"] {
        for &id in &ids {
            world.bytes(id, part);
        }
    }
    assert_eq!((world.text().len(), world.serve.buffers.spare.len()), (66, 64));
}

#[test]
fn replies_to_one_read_leave_with_one_write() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, "[a0][b0][c0]");
    assert_eq!(world.io.written, [(0, "abc".to_owned())]);
}

#[test]
fn replies_leave_in_the_order_of_the_requests() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, "[a0][b5][c0]");
    world.run_to(10);
    world.bytes(id, "[d1]");
    // The wheel has not fired yet when the next one comes.
    world.io.ms = 60;
    world.bytes(id, "[e0]");
    world.run_to(1_000);
    assert_eq!(world.text(), "abcde");
    assert_eq!(world.io.written.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [0, 60, 60, 60, 60]);
    assert_eq!(world.counters().answered, 5);
}

#[test]
fn order_holds_when_the_wall_clock_is_set_back() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, "[a5]");
    world.set_ms = -3_600_000;
    world.run_to(10);
    world.bytes(id, "[b0]");
    world.run_to(1_000);
    world.bytes(id, "[c0]");
    let expected: Vec<(u64, String)> = [(50, "a"), (50, "b"), (1_000, "c")].map(|(ms, text)| (ms, text.into())).into();
    assert_eq!(world.io.written, expected);
}

#[test]
fn limit_frame_deadline_ms_a_started_frame_has_its_time() {
    let mut world = world(|limits| limits.frame_deadline_ms = 5_000);
    let id = world.connect(1);
    world.bytes(id, "[");
    world.run_to(4_000);
    world.bytes(id, "[");
    // The second [ makes no frame of the first; its own time begins when the first is given up.
    world.run_to(4_999);
    assert_eq!(world.dropped(Reason::FrameDeadline), 0);
    world.run_to(5_000);
    assert_eq!((world.dropped(Reason::FrameDeadline), world.dropped(Reason::Garbage)), (1, 1));
    world.bytes(id, "a0]");
    assert_eq!(world.text(), "a");
    world.run_to(60_000);
    assert_eq!(world.dropped(Reason::FrameDeadline), 1);
    assert!(world.io.closed.is_empty());
}

#[test]
fn limit_idle_timeout_ms_is_counted_from_the_last_whole_frame() {
    let mut world = world(|limits| limits.idle_timeout_ms = 10_000);
    let (id, other) = (world.connect(1), world.connect(2));
    world.run_to(3_000);
    world.bytes(id, "[a0]");
    world.run_to(9_000);
    world.bytes(other, "x");
    world.run_to(9_999);
    assert_eq!(world.io.closed, []);
    world.run_to(10_000);
    assert_eq!(world.io.closed, [other]);
    world.run_to(12_999);
    assert_eq!(world.io.closed, [other]);
    world.run_to(13_000);
    assert_eq!((&world.io.closed[..], world.dropped(Reason::IdleTimeout)), (&[other, id][..], 2));
    assert!(world.serve.later.wheel.is_empty());
}

#[test]
fn an_owed_reply_holds_a_connection_open() {
    let mut world = world(|limits| limits.idle_timeout_ms = 30);
    let id = world.connect(1);
    world.bytes(id, "[a9]");
    world.run_to(89);
    assert_eq!((&world.text()[..], &world.io.closed[..]), ("", &[][..]));
    world.run_to(119);
    assert_eq!((&world.text()[..], &world.io.closed[..]), ("a", &[][..]));
    world.run_to(140);
    assert_eq!((&world.io.closed[..], world.dropped(Reason::IdleTimeout)), (&[id][..], 1));
    assert_eq!(world.dropped(Reason::PeerGone), 0);

    // What the peer does not take is bounded by its own deadline.
    let mut world = self::world(|limits| (limits.idle_timeout_ms, limits.write_deadline_ms) = (30, 500));
    let id = world.connect(1);
    world.io.room = 0;
    world.bytes(id, "[a0]");
    world.run_to(499);
    assert_eq!(world.io.closed, []);
    world.run_to(500);
    assert_eq!((&world.io.closed[..], world.dropped(Reason::WriteDeadline)), (&[id][..], 1));
}

#[test]
fn limit_connections_max_connections_are_bounded() {
    let mut world = world(|limits| limits.connections_max = 2);
    let first = world.connect(1);
    world.connect(2);
    assert_eq!(world.serve.on_accept(0, address(3), world.now()), None);
    world.serve.on_closed(first, None, world.now(), &mut world.io);
    let third = world.connect(4);
    assert_ne!(third, first);
    assert_eq!((world.dropped(Reason::ConnectionLimit), world.counters().connections), (1, 3));
}

/// Whatever a read brings, its replies have room before the first of them is looked at.
#[test]
fn limit_owed_a_read_replies_to_one_read_have_room() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    assert_eq!(world.serve.later.pending.room(), 0);
    world.bytes(id, "[");
    assert_eq!(world.serve.later.pending.room(), 512);
    world.bytes(id, "a1]");
    assert_eq!((world.serve.pending(), world.serve.later.pending.room()), (1, 511));
    // There is room for as many more once other bytes come.
    world.bytes(id, "[");
    assert!(world.serve.later.pending.room() >= 512);
}

#[test]
fn limit_write_buffer_bytes_max_nothing_is_read_while_a_peer_leaves_too_much_unread() {
    // What is kept of each reply counts, too.
    let each = size_of::<UnsentReply>();
    let mut world = world(|limits| limits.write_buffer_bytes_max = 4_100 + 8 * each);
    let id = world.connect(1);
    world.io.room = 1_500;
    world.bytes(id, "[!0][!0][!0][!0][!0][a0]");
    assert_eq!((world.counters().answered, world.io.interest), (1, Interest { read: true, write: true }));
    world.bytes(id, "[b0][!0][c0]");
    assert_eq!(world.io.interest, Interest { read: false, write: true });
    let waiting = |world: &mut World| world.serve.conns.get_mut(id).unwrap().unsent.waiting().len();
    // [c0] was not looked at.
    assert_eq!(waiting(&mut world), 4_502);
    world.io.room = 2_499;
    world.serve.on_writable(id, world.now(), &mut world.io);
    assert_eq!(world.io.interest, Interest { read: false, write: true });
    world.io.room = 1;
    world.serve.on_writable(id, world.now(), &mut world.io);
    assert_eq!((waiting(&mut world), world.io.interest), (2_003, Interest { read: true, write: true }));
    world.io.room = usize::MAX;
    world.serve.on_writable(id, world.now(), &mut world.io);
    assert_eq!(world.io.interest, Interest { read: true, write: false });
    assert_eq!(world.text().replace(&"!".repeat(1_000), "!"), "!!!!!ab!c");
    assert_eq!(world.counters().answered, 9);
}

#[test]
fn limit_offered_bytes_and_built_bytes_replies_to_one_read_are_bounded() {
    let mut world = world(|limits| limits.write_buffer_bytes_max = 4_000);
    let id = world.connect(1);
    world.io.room = 0;
    world.bytes(id, &"[!0]".repeat(16_384));
    let conn = world.serve.conns.get_mut(id).unwrap();
    assert!(conn.unsent.replies() <= 2_048 && conn.partial.len() > 50_000);
    let (replies, kept) = (conn.unsent.replies(), conn.partial.len());
    // What a driver had read already, too.
    world.bytes(id, &"[!0]".repeat(100));
    let conn = world.serve.conns.get_mut(id).unwrap();
    assert_eq!((conn.unsent.replies(), conn.partial.len()), (replies, kept + 400));
    // What was read is not lost, and its time does not run meanwhile.
    world.run_to(20_000);
    assert_eq!(world.dropped(Reason::FrameDeadline), 0);
    world.io.room = usize::MAX;
    while world.io.interest.write {
        world.serve.on_writable(id, world.now(), &mut world.io);
    }
    assert_eq!((world.counters().answered, world.text().len()), (16_484, 16_484_000));
}

/// Not when the batch comes to it: the time in the shard's own queue counts.
#[test]
fn a_reply_is_due_when_its_request_was_told_of() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    let now = world.now();
    let waited = Clock { arrived_ns: now.arrived_ns - 3_000_000, ..now };
    world.serve.on_bytes(id, b"[a0]", waited, &mut world.io);
    let told = world.serve.late.told(2_000, 0);
    assert_eq!((told.replies, told.over_limit, told.max_us / 10), (1, 1, 300));
}

#[test]
fn limit_write_deadline_ms_a_peer_that_reads_nothing_is_closed() {
    let mut world = world(|limits| limits.write_deadline_ms = 3_000);
    let id = world.connect(1);
    world.io.room = 0;
    world.bytes(id, "[a0][b0]");
    world.run_to(2_000);
    world.io.room = 1;
    world.serve.on_writable(id, world.now(), &mut world.io);
    world.run_to(4_999);
    assert_eq!(world.io.closed, []);
    world.run_to(5_000);
    assert_eq!(world.io.closed, [id]);
    assert_eq!((world.dropped(Reason::WriteDeadline), world.dropped(Reason::PeerGone)), (1, 1));
    assert_eq!((world.counters().answered, world.serve.unsent_conns), (1, 0));
}

#[test]
fn a_peer_that_has_finished_still_gets_what_is_due() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, "[a2][b0][[c0");
    world.serve.on_eof(id, world.now(), &mut world.io);
    assert_eq!(world.io.interest, Interest { read: false, write: false });
    assert_eq!(world.dropped(Reason::Garbage), 4);
    world.io.room = 1;
    world.run_to(100);
    assert_eq!(world.io.closed, []);
    world.io.room = 1;
    world.serve.on_writable(id, world.now(), &mut world.io);
    assert_eq!((&world.text()[..], &world.io.closed[..]), ("ab", &[id][..]));
    assert_eq!((world.counters().answered, world.dropped(Reason::PeerGone)), (2, 0));
}

#[test]
fn a_frame_behind_a_false_start_is_found_at_the_end() {
    struct Case(&'static str, &'static str, u64);
    for Case(sent, answered, garbage) in
        [Case("[", "", 1), Case("[[", "", 2), Case("x[", "", 2), Case("[a0][b0", "a", 3)]
    {
        let mut world = world(|_| {});
        let id = world.connect(1);
        world.bytes(id, sent);
        world.serve.on_eof(id, world.now(), &mut world.io);
        assert_eq!((&world.text()[..], world.dropped(Reason::Garbage)), (answered, garbage), "{sent}");
        assert_eq!(world.io.closed, [id]);
    }
}

#[test]
fn replies_to_a_peer_that_is_gone_are_counted() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.bytes(id, "[a5][b5]");
    world.serve.on_closed(id, None, world.now(), &mut world.io);
    assert_eq!((world.dropped(Reason::PeerGone), world.dropped(Reason::SocketError)), (2, 0));
    assert!(world.serve.later.wheel.is_empty() && world.serve.pending() == 0);

    let id = world.connect(2);
    world.bytes(id, "[a5][b6][c7]");
    world.io.broken = Some(Written::Gone);
    world.run_to(100);
    assert_eq!((world.dropped(Reason::PeerGone), world.serve.pending()), (5, 0));

    let id = world.connect(3);
    world.io.broken = Some(Written::Failed(110));
    world.bytes(id, "[a0]");
    assert_eq!((world.dropped(Reason::PeerGone), world.dropped(Reason::SocketError)), (6, 1));
    assert_eq!(world.io.closed.len(), 3);
}

#[test]
fn accepting_rests_when_descriptors_are_short() {
    let mut world = world(|_| {});
    world.serve.on_accept_failed(0, 24, world.now(), &mut world.io);
    assert!(!world.io.accepting);
    world.run_to(100);
    assert!(world.io.accepting);
    assert_eq!(world.dropped(Reason::AcceptFailed), 1);
}

#[test]
fn a_drain_sends_what_is_due_and_closes() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    world.io.room = 1;
    world.bytes(id, "[a0][b0][c3][");
    world.serve.begin_drain(world.now(), &mut world.io);
    assert_eq!(world.io.interest, Interest { read: false, write: true });
    world.run_to(50);
    world.io.room = 9;
    world.serve.on_writable(id, world.now(), &mut world.io);
    assert_eq!((&world.text()[..], world.serve.is_drained(world.now())), ("abc", true));

    let mut world = self::world(|_| {});
    let id = world.connect(1);
    world.io.room = 1;
    world.bytes(id, "[a0][b0][c3][");
    world.serve.begin_drain(world.now(), &mut world.io);
    world.run_to(10_000);
    assert_eq!(world.io.ms, crate::shard::serve::DRAIN_MS);
    world.serve.finish(&mut world.io);
    assert_eq!((&world.io.closed[..], world.dropped(Reason::DrainEnded)), (&[id][..], 2));
}

#[test]
fn records_stand_by_frames_and_replies() {
    let mut world = World::logged(&fleet(1, Transport::Tcp, |_| {}), true);
    let id = world.connect(1);
    world.io.room = 1;
    world.bytes(id, "x[a0][b0][c2]");
    world.io.ms = 5;
    world.io.room = usize::MAX;
    world.serve.on_writable(id, world.now(), &mut world.io);
    world.run_to(100);
    let records = world.records.taken.lock().unwrap().clone();
    let received = |text: &str| (0, RecordKind::Received, None, text.to_owned());
    assert_eq!(
        records,
        [
            (0, RecordKind::Received, Some(Reason::Garbage), "x".into()),
            received("[a0]"),
            received("[b0]"),
            received("[c2]"),
            (0, RecordKind::Reply, None, "a".into()),
            (5, RecordKind::Reply, None, "b".into()),
            (20, RecordKind::Reply, None, "c".into()),
        ]
    );
}

/// Bytes may have come after the clocks were read for the batch that they are in.
#[test]
fn n09_a_delay_on_a_stream_counts_from_the_read() {
    let mut world = World::logged(&fleet(1, Transport::Tcp, |_| {}), true);
    let id = world.connect(1);
    let now = world.now();
    // Read 2 ms later than the clocks; the second reply waits for the first, not longer.
    world.io.ms += 2;
    world.serve.on_bytes(id, b"[a3][b1]", now, &mut world.io);
    world.serve.on_bytes(id, b"[c0]", now, &mut world.io);
    world.io.ms -= 2;
    world.run_to(1_000);
    let expected: Vec<(u64, String)> = ["a", "b", "c"].map(|letter| (32, letter.to_owned())).into();
    assert_eq!(world.io.written, expected);
    // The log has the delay, not when the clocks were read.
    assert_eq!(world.records.held_us.lock().unwrap()[0], 30_000);
}

#[test]
fn n09_a_stream_reply_leaves_at_the_first_tick_after_its_delay() {
    let mut world = world(|_| {});
    let id = world.connect(1);
    let read = Clock { unix_ns: world.now().unix_ns + 900_001, mono_ns: world.now().mono_ns + 900_001, ..world.now() };
    world.serve.on_bytes(id, b"[a1]", read, &mut world.io);
    let start_ns = world.now().mono_ns;
    let mut at = |ns: u64| {
        let now = Clock { mono_ns: start_ns + ns, ..world.now() };
        world.serve.on_tick(now, &mut world.io);
        world.io.written.len()
    };
    assert_eq!([10_000_000, 10_900_001, 10_999_999, 11_000_000].map(&mut at), [0, 0, 0, 1]);
}

/// Its buffers, whatever the sizes of replies: never more than is documented.
#[test]
fn limit_growth_part_and_growth_bytes_min_and_growth_replies_min() {
    let limit = 65_536;
    // requests of 1-byte replies, of 1,000-byte ones, of both; how many are read at a time, and how much the kernel takes of each
    for (requests, at_once, room) in [
        ("[a0]", 4_096, 0),
        ("[!0]", 4_096, 0),
        ("[a0][!0]", 2_048, 0),
        ("[!0]", 1, 0),
        ("[!0]", 1, 700),
        ("[a0]", 1, 0),
    ] {
        let mut world = world(|_| {});
        let id = world.connect(1);
        let mut sent = 0;
        while world.serve.conns.get(id).unwrap().interest.read {
            world.io.room = room;
            world.bytes(id, &requests.repeat(at_once));
            sent += at_once * requests.len() / 4;
            assert!(sent < 100_000);
        }
        // What a driver had read already.
        world.bytes(id, &requests.repeat(at_once));
        sent += at_once * requests.len() / 4;
        let conn = world.serve.conns.get(id).unwrap();
        let (owed, reply) = (conn.owed(), 1_000 + size_of::<UnsentReply>());
        assert!(owed > limit && owed <= limit + reply, "{owed} for {requests}");
        let capacity = conn.unsent.capacity();
        let most = (limit + reply) / 8 * 9 + 4_096 + 32 * size_of::<UnsentReply>();
        assert!(capacity <= most, "{capacity} for {owed} of {requests}");
        let read = 4 * at_once * (requests.len() / 4);
        assert!(conn.partial.capacity() <= 2 * read, "{} for {read}", conn.partial.capacity());
        // And nothing of it is lost.
        world.io.room = usize::MAX;
        while world.io.interest.write {
            world.serve.on_writable(id, world.now(), &mut world.io);
        }
        let counters = world.counters();
        assert_eq!((counters.answered, counters.dropped_total()), (sent as u64, 0), "{requests}");
        assert_eq!(world.serve.conns.get(id).unwrap().unsent.capacity(), 0);
    }
}

/// Delayed replies that become due while the peer does not read are not counted twice, nor forgotten.
#[test]
fn h12_what_is_not_due_and_what_is_not_read_are_one_bound() {
    let limit = 8_192;
    let mut world = world(|limits| limits.write_buffer_bytes_max = limit);
    let id = world.connect(1);
    world.io.room = 0;
    for _ in 0..50 {
        world.bytes(id, "[!0][a1][!2]");
        let conn = world.serve.conns.get(id).unwrap();
        assert!(conn.owed() <= limit + 1_000 + 136, "{}", conn.owed());
        world.run_to(world.io.ms + 10);
    }
    assert_eq!(world.counters().answered, 0);
    world.io.room = usize::MAX;
    world.serve.on_writable(id, world.now(), &mut world.io);
    world.run_to(5_000);
    assert_eq!((world.counters().answered, world.counters().dropped_total()), (150, 0));
}
