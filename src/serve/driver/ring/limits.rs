//! How much the ring driver receives and takes at a time, each reached and passed by one: `limit_NAME`.

use super::*;
use crate::driver::base::{Base, wake_up};
use crate::driver::fair::Share;
use crate::shard::serve::{Portion, Serve};
use crate::shard::tests::{Letters, Records, address, fleet};
use fsu_core::moment::RunContext;
use fsu_net::bind::{Bound, bind_tcp, bind_udp};
use fsu_net::probe::ring_missing;
use fsu_plan::model::message::Transport;
use std::net::{TcpListener, TcpStream, UdpSocket};

/// A driver with an FSU at each socket, which does nothing by itself.
fn driver(transport: Transport, sockets: Vec<Bound>) -> Uring<Letters, Records> {
    let count = sockets.len();
    let mut base = Base::new(sockets, wake_up().unwrap(), true);
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let numbers: Vec<usize> = (0..count).collect();
    let serve = Serve::new(
        Portion { fleet: fleet(count, transport, |_| {}), fsus: &numbers },
        run,
        Letters,
        Records::default(),
        base.clocks.now(),
    );
    let mut turn = Turn::new(serve, count, flume::bounded(1).1, base.clocks.now(), Duration::ZERO);
    // These limits count. On a busy machine the time of a turn would end it first.
    turn.share = Share::new(u64::MAX);
    Uring::new(turn, RingIo::new(base).unwrap())
}

/// The same with `sockets` UDP sockets, each with short datagrams waiting.
fn with_datagrams(sockets: usize, each: usize) -> Uring<Letters, Records> {
    let sockets: Vec<Bound> = (0..sockets).map(|_| Bound::Udp(bind_udp(address(0)).unwrap())).collect();
    let client = UdpSocket::bind(address(0)).unwrap();
    for socket in sockets.iter().flat_map(|socket| std::iter::repeat_n(socket, each)) {
        assert_eq!(client.send_to(b"[a0]", socket.local_addr().unwrap()).unwrap(), 4);
    }
    driver(Transport::Udp, sockets)
}

/// What all sockets have received.
fn received(driver: &Uring<Letters, Records>) -> u64 {
    driver.turn.serve.counters().iter().map(|(_, counters)| counters.received).sum()
}

/// Nothing has gone to the kernel yet: what comes is received without a buffer of the ring.
#[test]
fn limit_starved_receives_max_of_a_socket() {
    if ring_missing().is_some() {
        return;
    }
    let mut driver = with_datagrams(1, 9);
    driver.receive_light(0);
    assert_eq!(received(&driver), 8);
    driver.receive_light(0);
    assert_eq!(received(&driver), 9);
}

/// Most sockets a turn. They are received from with buffers again if fewer buffers than this are held.
#[test]
fn limit_starved_sockets_max_and_held_buffers_max() {
    if ring_missing().is_some() {
        return;
    }
    let mut driver = with_datagrams(33, 1);
    driver.io.starved = (0..33).collect();
    driver.buffers_held = 128;
    driver.serve_starved();
    assert_eq!((received(&driver), driver.io.starved.len(), driver.io.starved[0]), (32, 33, 32));
    driver.buffers_held = 127;
    driver.serve_starved();
    assert_eq!((received(&driver), &driver.io.starved[..]), (33, &[31][..]));
    driver.serve_starved();
    assert_eq!((received(&driver), driver.io.starved.len()), (33, 0));
}

/// A few connections are accepted at once, then up to the limit are queued; the rest are not.
#[test]
fn limit_accepts_light_and_accepts_held_max() {
    if ring_missing().is_some() {
        return;
    }
    let clients = TcpListener::bind(address(0)).unwrap();
    let mut driver = driver(Transport::Tcp, vec![Bound::Tcp(bind_tcp(address(0)).unwrap())]);
    let mut peers = Vec::new();
    for number in 1..=4 + 256 + 2 {
        peers.push(TcpStream::connect(clients.local_addr().unwrap()).unwrap());
        let accepted = Some(clients.accept().unwrap().0.into());
        driver.on_done(Done { op: Op::Accept, data: 0, result: Ok(0), more: true, filled: None, accepted });
        let at_once = driver.turn.serve.counters()[0].1.connections;
        let expected = match number {
            1..=4 => (number, 0),
            5..=260 => (4, number - 4),
            _ => (number - 256, 256),
        };
        assert_eq!((at_once, driver.accepts_held as u64), expected);
    }
}

/// Datagrams wait at a socket: as many as there are buffers are received with one wait, and then one completion more says that there is
/// none left.
#[test]
fn limit_buffers_and_completions_max_of_a_turn() {
    if ring_missing().is_some() {
        return;
    }
    let socket = Bound::Udp(bind_udp(address(0)).unwrap());
    let client = UdpSocket::bind(address(0)).unwrap();
    for _ in 0..300 {
        assert_eq!(client.send_to(b"[a0]", socket.local_addr().unwrap()).unwrap(), 4);
    }
    let mut driver = driver(Transport::Udp, vec![socket]);
    // It may take more than one look for all that is there.
    while driver.io.ring.ready() < 257 {
        driver.io.wait(Duration::from_millis(1)).unwrap();
    }
    let taken = |driver: &mut Uring<Letters, Records>| {
        driver.done.clear();
        driver.take().unwrap();
        let done = &driver.done;
        (done.len(), done.iter().filter(|done| done.filled.is_some()).count(), done.iter().all(|done| done.more))
    };
    assert_eq!(taken(&mut driver), (256, 256, true));
    // No buffer.
    assert_eq!(taken(&mut driver), (1, 0, false));
    driver.io.wait(Duration::ZERO).unwrap();
    assert_eq!(driver.io.ring.ready(), 0);
}

/// Of fewer sockets datagrams leave by calls.
#[test]
fn limit_sends_min_from_so_many_sockets_on_datagrams_leave_through_the_ring() {
    if ring_missing().is_some() {
        return;
    }
    assert_eq!([511, 512].map(|sockets| with_datagrams(sockets, 0).io.sends), [false, true]);
}
