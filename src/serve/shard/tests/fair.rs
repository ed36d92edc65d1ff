//! Nobody takes what the neighbours need: one peer or connection asks for more than its share, others ask as ever.

use super::*;
use crate::shard::Swap;
use crate::shard::timers::pending::Pending;
use crate::shard::timers::share::Shares;
use fsu_plan::model::reload::Fate;

/// `count` FSUs of one transport on a shard whose pool holds this many datagrams.
fn world(transport: Transport, count: usize, replies_max: usize) -> World {
    let mut world = World::new(&fleet(count, transport, |_| {}));
    world.serve.later.pending = Pending::with(Shares::with(replies_max, 1 << 20));
    world
}

/// What each FSU has answered, and dropped because there was no room: full, its share, its peer's share, no memory.
fn told(world: &World) -> Vec<(u64, [u64; 4])> {
    let no_room = |counters: &Counters| Reason::NO_ROOM.map(|reason| counters.dropped[reason as usize]);
    world.serve.counters().iter().map(|(_, counters)| (counters.answered, no_room(counters))).collect()
}

/// Who got replies, by port, and how many.
fn sent_to(world: &World, port: u16) -> usize {
    world.io.sent.iter().filter(|(_, _, to, _)| *to == port).count()
}

#[test]
fn h01_one_peer_cannot_fill_the_pool() {
    let mut world = world(Transport::Udp, 3, 1_200);
    for ms in 0..20 {
        world.run_to(ms * 10);
        // Many frames a datagram, more than the pool has room for.
        world.datagram(0, 7, &"[a5]".repeat(500));
        // Another centre of the same FSU, and the neighbours.
        for (socket, port) in [(0, 8), (1, 8), (2, 9)] {
            world.datagram(socket, port, "[b5]");
        }
    }
    world.run_to(1_000);
    assert_eq!((sent_to(&world, 8), sent_to(&world, 9), world.serve.pending()), (40, 20, 0));
    let told = told(&world);
    let [mine, neighbours @ ..] = &told[..] else { panic!() };
    assert_eq!(neighbours, [(20, [0; 4]), (20, [0; 4])]);
    // Every request is answered or counted, and the counter says whose fault it was.
    assert_eq!((mine.0 + mine.1[2], mine.1[0], mine.1[1]), (20 * 501, 0, 0));
    assert!(mine.0 >= 600 * 3, "{mine:?}");
}

#[test]
fn h01_one_fsu_cannot_fill_the_pool_whoever_asks() {
    let mut world = world(Transport::Udp, 2, 1_200);
    for port in 1_000..1_050 {
        world.datagram(0, port, &"[a5]".repeat(50));
        world.datagram(1, port, "[b5]");
    }
    world.run_to(1_000);
    let told = told(&world);
    assert_eq!(told[1], (50, [0; 4]));
    assert_eq!((told[0].0 + told[0].1[1], told[0].1[0], told[0].1[2]), (2_500, 0, 0));
    assert!((700..=800).contains(&told[0].0), "{told:?}");
}

#[test]
fn h01_a_reply_that_is_refused_is_told_of_with_its_reason() {
    let mut world = World::logged(&fleet(1, Transport::Udp, |_| {}), true);
    world.serve.later.pending = Pending::with(Shares::with(200, 1 << 20));
    for _ in 0..101 {
        world.datagram(0, 7, "[a5]");
    }
    assert_eq!((world.dropped(Reason::PendingPeerShare), world.serve.pending()), (1, 100));
}

/// What an attacker on one connection sends: more delayed requests than any pool holds.
fn flood(world: &mut World, id: ConnId, requests: usize) {
    world.bytes(id, &"[a5]".repeat(requests));
}

#[test]
fn h01_a_connection_that_is_owed_too_much_is_not_read() {
    let mut world = World::new(&fleet(1, Transport::Tcp, |fsu| fsu.limits.write_buffer_bytes_max = 4_096));
    let (id, other) = (world.connect(1), world.connect(2));
    flood(&mut world, id, 1_000);
    let reading = |world: &mut World, id| world.serve.conns.get(id).unwrap().interest.read;
    // A slot and a byte each.
    assert_eq!((world.serve.pending(), reading(&mut world, id)), (4_096 / 137 + 1, false));
    world.bytes(other, "[b5][c0]");
    assert!(reading(&mut world, other));
    world.run_to(49);
    assert_eq!(world.text(), "");
    world.run_to(50);
    assert_eq!(world.text().replace('a', ""), "bc");
    // Nothing is lost; each batch has its delay from when it is read on.
    world.run_to(10_000);
    assert_eq!(world.text().replace('a', "").len() + 1_000, world.text().len());
    assert_eq!((world.counters().answered, world.counters().dropped_total()), (1_002, 0));
    assert!(reading(&mut world, id));
    assert!(world.io.written.iter().filter(|(ms, _)| *ms == 100).count() >= 16);
}

#[test]
fn h01_one_connection_leaves_the_pool_to_others() {
    // No place for datagrams at all: connections need none.
    let mut world = world(Transport::Tcp, 2, 0);
    let id = world.connect(1);
    let other = world.serve.on_accept(1, address(2), world.now()).unwrap();
    flood(&mut world, id, 20_000);
    assert!(world.serve.pending() <= 65_536 / 137 + 1);
    for ms in 1..=10 {
        world.run_to(ms * 10);
        world.bytes(other, "[b1]");
    }
    world.run_to(10_000);
    assert_eq!(told(&world), [(20_000, [0; 4]), (10, [0; 4])]);
}

#[test]
fn h01_a_connection_that_ends_or_drains_gives_back_what_it_held() {
    let held = |world: &World, id| world.serve.conns.get(id).map(|conn| conn.delayed.bytes());
    // The peer goes.
    let mut world = World::new(&fleet(1, Transport::Tcp, |fsu| fsu.limits.write_buffer_bytes_max = 4_096));
    let id = world.connect(1);
    flood(&mut world, id, 1_000);
    let waiting = world.serve.pending() as u64;
    world.serve.on_closed(id, None, world.now(), &mut world.io);
    assert_eq!((world.serve.pending(), world.dropped(Reason::PeerGone)), (0, waiting));

    // It has sent all: what was read before is still answered.
    let id = world.connect(1);
    flood(&mut world, id, 100);
    world.serve.on_eof(id, world.now(), &mut world.io);
    world.run_to(1_000);
    assert_eq!((world.text().len(), &world.io.closed[1..]), (100, &[id][..]));

    // The drain: what waits is sent, what was not looked at is not.
    let id = world.connect(1);
    flood(&mut world, id, 100);
    let waiting = world.serve.pending();
    world.serve.begin_drain(world.now(), &mut world.io);
    world.run_to(10_000);
    assert_eq!((world.text().len(), held(&world, id)), (100 + waiting, Some(0)));
}

#[test]
fn h01_a_reload_keeps_the_counts() {
    let with = |bytes_max| fleet(1, Transport::Tcp, move |fsu| fsu.limits.write_buffer_bytes_max = bytes_max);
    let swap = |world: &mut World, fleet: &Arc<Fleet>, fates: &[Fate]| {
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
        let swap =
            Swap { fleet: Arc::clone(fleet), run, epoch: 1, fates: fates.into(), new: vec![], own: Arc::default() };
        world.serve.swap(swap, &[], world.now(), &mut world.io);
    };
    let mut world = World::new(&with(4_096));
    let id = world.connect(1);
    flood(&mut world, id, 1_000);
    swap(&mut world, &with(1_024), &[Fate::Stays(0)]);
    world.run_to(20_000);
    assert_eq!((world.counters().answered, world.counters().dropped_total(), world.serve.pending()), (1_000, 0, 0));

    // An FSU that goes leaves its places to the next at its socket.
    let mut world = self::world(Transport::Udp, 2, 200);
    world.datagram(0, 7, &"[a5]".repeat(150));
    assert_eq!(world.serve.pending(), 100);
    swap(&mut world, &fleet(2, Transport::Udp, |_| {}), &[Fate::Handed(0), Fate::Stays(1)]);
    assert_eq!(world.serve.pending(), 0);
    world.datagram(0, 7, &"[a5]".repeat(150));
    assert_eq!(world.serve.pending(), 100);
    world.run_to(1_000);
    assert_eq!(world.serve.pending(), 0);
}

/// Small requests for long replies: what is read is looked at as far as that may cost, and then when it is its turn again.
#[test]
fn h02_a_connection_that_costs_much_is_interrupted_between_two_requests() {
    let mut world = World::new(&fleet(2, Transport::Tcp, |_| {}));
    let (id, other) = (world.connect(1), world.serve.on_accept(1, address(2), world.now()).unwrap());
    let reading = |world: &World, id| world.serve.conns.get(id).unwrap().interest.read;
    world.serve.effort.allow(64 << 10);
    world.bytes(id, &"[!0]".repeat(1_000));
    // A frame is 1,024, and its reply 1,000; what was received counts, too.
    let first = world.text().len() / 1_000;
    assert!((20..=40).contains(&first), "{first}");
    assert_eq!((&world.serve.resting[..], reading(&world, id)), (&[id][..], false));
    // Neither its end nor more bytes change that; the others are heard.
    world.bytes(id, "[z0]");
    world.serve.on_eof(id, world.now(), &mut world.io);
    world.serve.effort.allow(64 << 10);
    world.bytes(other, "[b0]");
    assert_eq!((world.text().len(), &world.text()[first * 1_000..]), (first * 1_000 + 1, "b"));
    let mut turns = 0;
    while let Some(id) = world.serve.resting.pop() {
        turns += 1;
        world.serve.effort.allow(64 << 10);
        world.serve.go_on(id, world.now(), &mut world.io);
    }
    assert!((25..=50).contains(&turns), "{turns}");
    assert_eq!(world.text().replacen('b', "", 1), "!".repeat(1_000_000) + "z");
    assert_eq!((told(&world)[0], told(&world)[1]), ((1_001, [0; 4]), (1, [0; 4])));
    assert_eq!(world.io.closed, [id]);
}

#[test]
fn h02_an_interrupted_connection_that_is_owed_too_much_or_goes_is_not_gone_on_with() {
    let mut world = World::new(&fleet(1, Transport::Tcp, |fsu| fsu.limits.write_buffer_bytes_max = 4_096));
    let id = world.connect(1);
    world.io.room = 30_000;
    world.serve.effort.allow(20 << 10);
    world.bytes(id, &"[!0]".repeat(100));
    assert_eq!(world.serve.resting, [id]);
    world.io.room = 0;
    world.serve.effort.allow_all();
    world.serve.resting.clear();
    world.serve.go_on(id, world.now(), &mut world.io);
    // What was looked at is owed; the rest waits until that has left.
    let answered = world.text().len();
    assert!(answered < 100_000 && world.serve.resting.is_empty());
    world.io.room = usize::MAX;
    while world.text().len() < 100_000 {
        let before = world.text().len();
        world.serve.on_writable(id, world.now(), &mut world.io);
        assert!(world.text().len() > before);
    }
    world.serve.effort.allow(20 << 10);
    world.bytes(id, &"[!0]".repeat(100));
    assert_eq!(world.serve.resting, [id]);
    world.serve.on_closed(id, None, world.now(), &mut world.io);
    world.serve.go_on(id, world.now(), &mut world.io);
    assert_eq!(world.serve.conns.get(id).map(|_| ()), None);
}

/// Timers that are due all at once cost others no more than what is read.
#[test]
fn h02_what_is_due_at_once_is_done_in_parts() {
    let mut world = World::new(&fleet(64, Transport::Tcp, |fsu| fsu.limits.write_buffer_bytes_max = 1 << 20));
    for socket in 0..64 {
        let id = world.serve.on_accept(socket, address(socket as u16 + 1), world.now()).unwrap();
        world.bytes(id, &"[!1]".repeat(100));
    }
    world.io.ms = 10;
    let mut parts = 0;
    while world.serve.on_tick(world.now(), &mut world.io) {
        parts += 1;
    }
    // 6,400 replies of 2,024: a quantum, and no more timers than ever, at a time.
    assert!((12..=60).contains(&parts), "{parts}");
    assert_eq!(world.text().len(), 64 * 100 * 1_000);
}
