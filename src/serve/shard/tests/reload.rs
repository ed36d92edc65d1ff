//! From one fleet to the next, on virtual time.

use super::*;
use crate::shard::Swap;
use fsu_plan::model::message::Message;
use fsu_plan::model::network::Network;
use fsu_plan::model::reload::Fate;

impl World {
    /// Serves another fleet; these are the slots of the new FSUs' sockets.
    fn swap(&mut self, fleet: &Arc<Fleet>, fates: &[Fate], new: &[(u32, u32)]) -> Vec<u64> {
        let (new, places): (Vec<u32>, Vec<u32>) = new.iter().copied().unzip();
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
        let swap = Swap { fleet: Arc::clone(fleet), run, epoch: 1, fates: fates.into(), new, own: Arc::default() };
        let gone = self.serve.swap(swap, &places, self.now(), &mut self.io);
        gone.iter().map(|counters| counters.received).collect()
    }

    fn sent_since(&self, ms: u64) -> Vec<(u64, u32, u16, &str)> {
        let sent = self.io.sent.iter().filter(|(at, ..)| *at >= ms);
        sent.map(|(ms, socket, port, text)| (*ms, *socket, *port, &text[..])).collect()
    }
}

const UDP: Transport = Transport::Udp;

#[test]
fn those_that_stay_keep_replies_centres_and_counters() {
    let mut world = World::new(&fleet(3, UDP, |_| {}));
    for socket in 0..3 {
        world.datagram(socket, 7, "[a0][b9]");
    }
    // f0 goes, f1 becomes number 1 of two, f2 number 0.
    let gone = world.swap(&fleet(2, UDP, |_| {}), &[Fate::Gone, Fate::Stays(1), Fate::Stays(0)], &[]);
    assert_eq!((gone, &world.io.closed_sockets[..]), (vec![2], &[0][..]));
    world.datagram(0, 7, "[c0]");
    world.datagram(1, 7, "[c0]");
    world.run_to(1_000);
    assert_eq!(world.sent_since(0)[3..], [(0, 1, 7, "c"), (90, 1, 7, "b"), (90, 2, 7, "b")]);
    let counters = world.serve.counters();
    let told: Vec<_> =
        counters.iter().map(|(fsu, own)| (*fsu, own.received, own.answered, own.centres_online)).collect();
    assert_eq!(told, [(1, 3, 3, 1), (0, 2, 2, 1)]);
}

#[test]
fn a_place_is_had_again_and_another_at_the_same_socket_begins_anew() {
    let mut world = World::new(&fleet(2, UDP, |_| {}));
    world.datagram(0, 7, "[a9]");
    world.datagram(1, 7, "[a9]");
    world.swap(&fleet(1, UDP, |_| {}), &[Fate::Gone, Fate::Handed(0)], &[]);
    world.run_to(1_000);
    assert_eq!(world.sent_since(0), []);
    world.swap(&fleet(2, UDP, |_| {}), &[Fate::Stays(0)], &[(1, 0)]);
    world.datagram(0, 7, "[b0]");
    world.datagram(1, 7, "[c0]");
    assert_eq!(world.sent_since(0), [(1_000, 0, 7, "b"), (1_000, 1, 7, "c")]);
    let received: Vec<_> = world.serve.counters().iter().map(|(fsu, own)| (*fsu, own.received)).collect();
    assert_eq!(received, [(1, 1), (0, 1)]);
}

#[test]
fn heartbeats_and_timeouts_are_the_new_ones() {
    let with = |interval_ms, timeout_ms| {
        fleet(1, UDP, move |fsu| {
            (fsu.messages, fsu.client_timeout_ms) = (Message::heartbeats(interval_ms), timeout_ms);
        })
    };
    let beats = |world: &World, from_ms| world.sent_since(from_ms).iter().map(|sent| sent.0).collect::<Vec<_>>();
    let mut world = World::new(&with(Some(1_000), 360_000));
    world.run_to(100);
    world.datagram(0, 7, "x");
    world.datagram(0, 7, "[a0]");
    world.run_to(2_500);
    assert_eq!(beats(&world, 101), [1_000, 2_000]);
    // The same interval: as if nothing had been.
    world.swap(&with(Some(1_000), 360_000), &[Fate::Stays(0)], &[]);
    world.run_to(4_500);
    assert_eq!(beats(&world, 2_500), [3_000, 4_000]);
    // Another one, from now on; each beat once.
    world.swap(&with(Some(400), 360_000), &[Fate::Stays(0)], &[]);
    world.run_to(5_500);
    assert_eq!(beats(&world, 4_500), [4_500, 4_900, 5_300]);
    world.swap(&with(None, 360_000), &[Fate::Stays(0)], &[]);
    world.run_to(9_000);
    assert_eq!(beats(&world, 5_500), [0; 0]);
    // The centre was heard last at 100.
    world.swap(&with(Some(1_000), 9_500), &[Fate::Stays(0)], &[]);
    world.run_to(20_000);
    assert_eq!(beats(&world, 9_000), [9_000]);
    assert_eq!(world.counters().centres_offline, 1);
}

#[test]
fn connections_stay_with_their_fsu_and_its_new_limits() {
    let with = |idle_timeout_ms| fleet(1, Transport::Tcp, move |fsu| fsu.limits.idle_timeout_ms = idle_timeout_ms);
    let mut world = World::new(&with(600_000));
    let id = world.connect(1);
    world.bytes(id, "[a0][b5][c");
    world.swap(&with(10_000), &[Fate::Stays(0)], &[]);
    world.bytes(id, "0]");
    world.run_to(1_000);
    assert_eq!((&world.text()[..], world.counters().answered), ("abc", 3));
    world.run_to(10_500);
    assert_eq!((world.io.closed.len(), world.dropped(Reason::IdleTimeout)), (1, 1));
}

#[test]
fn connections_of_one_that_goes_are_closed_and_of_a_centre_that_may_not_ask() {
    let mut world = World::new(&fleet(1, Transport::Tcp, |_| {}));
    let id = world.connect(1);
    world.bytes(id, "[a5]");
    let other = |fsu: &mut Fsu| fsu.allow = [Network::parse("127.0.0.2").unwrap()].into();
    world.swap(&fleet(1, Transport::Tcp, other), &[Fate::Stays(0)], &[]);
    // The connection, and its reply.
    assert_eq!((world.io.closed.len(), world.dropped(Reason::NotAllowed)), (1, 2));
    assert!(world.serve.peers.is_empty());
    world.swap(&fleet(1, Transport::Tcp, |_| {}), &[Fate::Stays(0)], &[]);
    let id = world.connect(2);
    world.bytes(id, "[a5]");
    assert_eq!(world.swap(&fleet(0, Transport::Tcp, |_| {}), &[Fate::Gone], &[]), [2]);
    assert_eq!((world.io.closed.len(), world.serve.pending()), (2, 0));
    world.run_to(1_000_000);
    assert_eq!(world.text(), "");
}

#[test]
fn a_drain_is_not_disturbed() {
    let mut world = World::new(&fleet(1, UDP, |_| {}));
    world.datagram(0, 7, "[a9]");
    world.serve.begin_drain(world.now(), &mut world.io);
    world.swap(&fleet(2, UDP, |_| {}), &[Fate::Gone], &[(1, 5)]);
    assert_eq!(world.io.closed_sockets, [5]);
    world.run_to(1_000);
    assert_eq!(world.sent_since(0), [(90, 0, 7, "a")]);
}
