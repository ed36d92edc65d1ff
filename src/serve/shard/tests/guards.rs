//! Which senders a shard does not answer, and how many requests it drops.

use super::*;
use crate::shard::Own;
use fsu_plan::model::network::Network;
use std::collections::HashSet;

fn ask(world: &mut World, peer: &str, text: &str) {
    world.serve.on_datagram(
        0,
        Arrived::new(peer.parse::<SocketAddr>().unwrap(), text.as_bytes(), world.now().unix_ns),
        world.now(),
        &mut world.io,
    );
    world.flush();
}

/// Replies to each datagram, and drops.
fn check(with: impl Fn(&mut Fsu), asked: &[(&str, &str, usize)], reason: Reason, drops: u64) {
    let mut world = World::new(&fleet(1, Transport::Udp, with));
    world.serve.own = Arc::new(Own::new([address(9), address(0)], HashSet::new()));
    for &(peer, text, replies) in asked {
        let before = world.io.sent.len();
        ask(&mut world, peer, text);
        world.run_to(world.io.ms + 1_000);
        assert_eq!(world.io.sent.len() - before, replies, "{peer} {text}");
    }
    assert_eq!((world.dropped(reason), world.counters().dropped_total()), (drops, drops));
}

#[test]
fn own_sockets_and_whole_networks_are_not_answered() {
    let asked = [("127.0.0.1:9", "[a0]", 0), ("127.0.0.1:8", "[a0]", 1)];
    check(|_| {}, &asked, Reason::OwnPort, 1);
    let asked = [("224.0.0.1:8", "[a0]", 0), ("255.255.255.255:8", "[a0]", 0), ("[ff02::1]:8", "[a0]", 0)];
    check(|_| {}, &asked, Reason::NotUnicast, 3);
}

#[test]
fn only_centres_that_may_ask_are_answered() {
    let allow = |fsu: &mut Fsu| {
        fsu.allow = ["127.0.0.2/31", "192.0.2.0/24"].map(|text| Network::parse(text).unwrap()).into();
    };
    let asked = [
        ("127.0.0.1:8", "[a0]", 0),
        ("127.0.0.2:8", "[a0]", 1),
        ("127.0.0.3:8", "[a0]", 1),
        ("127.0.0.4:8", "[a0]", 0),
        ("192.0.2.9:8", "[a0]", 1),
        ("[::1]:8", "[a0]", 0),
    ];
    check(allow, &asked, Reason::NotAllowed, 3);
}

#[test]
fn limit_amplification_max_longer_replies_stay_on_this_machine() {
    // Four bytes ask for one, or for a thousand.
    let asked = [
        ("127.0.0.1:8", "[!0]", 1),
        ("[::1]:8", "[!0]", 1),
        ("192.0.2.1:8", "[!0]", 0),
        ("192.0.2.1:8", "[a0]", 1),
        ("192.0.2.1:8", "[a0][!1][b2]", 2),
    ];
    check(|_| {}, &asked, Reason::Amplification, 2);
    let fleet = Arc::into_inner(fleet(1, Transport::Udp, |_| {})).unwrap();
    let mut world = World::new(&Arc::new(Fleet { allow_amplification: true, ..fleet }));
    ask(&mut world, "192.0.2.1:8", "[!0]");
    assert_eq!((world.io.sent.len(), world.counters().dropped_total()), (1, 0));
}

#[test]
fn limit_connections_per_peer_max_one_address_does_not_get_all_connections() {
    let mut world = World::new(&fleet(1, Transport::Tcp, |fsu| {
        (fsu.limits.connections_max, fsu.limits.connections_per_peer_max) = (4, 2);
    }));
    let mut accept = |peer: &str| world.serve.on_accept(0, peer.parse().unwrap(), clock(0, 0));
    let ids = [accept("127.0.0.1:1"), accept("127.0.0.1:2"), accept("127.0.0.1:3"), accept("127.0.0.2:1")];
    assert_eq!(ids.map(|id| id.is_some()), [true, true, false, true]);
    // One that has ended makes room.
    world.serve.on_closed(ids[0].unwrap(), None, world.now(), &mut world.io);
    let mut accept = |peer: &str| world.serve.on_accept(0, peer.parse().unwrap(), clock(0, 0)).is_some();
    assert_eq!(
        [accept("127.0.0.1:4"), accept("127.0.0.1:5"), accept("127.0.0.3:1"), accept("127.0.0.4:1")],
        [true, false, true, false]
    );
    assert_eq!((world.dropped(Reason::PeerConnectionLimit), world.dropped(Reason::ConnectionLimit)), (2, 1));
    assert_eq!(world.serve.peers.len(), 3);
}
