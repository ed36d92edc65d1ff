//! How much the epoll driver does at a time, each reached and passed by one: `limit_NAME`.

use super::*;
use crate::driver::base::{Base, wake_up};
use crate::driver::fair::Share;
use crate::shard::io::Arrived;
use crate::shard::serve::{Portion, Serve};
use crate::shard::tests::{Letters, Records, address, fleet};
use fsu_core::moment::RunContext;
use fsu_net::bind::{bind_tcp, bind_udp};
use fsu_plan::model::message::Transport;
use std::net::{SocketAddr, TcpStream, UdpSocket};

/// A driver with an FSU at each socket, which does nothing by itself.
fn driver(transport: Transport, sockets: Vec<Bound>) -> Epoll<Letters, Records> {
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
    Epoll::new(turn, PollIo::new(base).unwrap(), count)
}

fn local(socket: &Bound) -> SocketAddr {
    socket.local_addr().unwrap()
}

#[test]
fn limit_accepts_max_connections_of_a_turn() {
    let listener = Bound::Tcp(bind_tcp(address(0)).unwrap());
    let at = local(&listener);
    let mut driver = driver(Transport::Tcp, vec![listener]);
    // Each is in the listener's queue once this side of it is there.
    let clients: Vec<TcpStream> = (0..66).map(|_| TcpStream::connect(at).unwrap()).collect();
    let mut accepted = || {
        driver.on_connections(0, ACCEPTS_MAX);
        driver.turn.serve.counters()[0].1.connections
    };
    assert_eq!((accepted(), accepted(), clients.len()), (64, 66, 66));
}

#[test]
fn limit_accepts_light_connections_before_others_stand_in_line() {
    let listener = Bound::Tcp(bind_tcp(address(0)).unwrap());
    let at = local(&listener);
    let mut driver = driver(Transport::Tcp, vec![listener]);
    let clients: Vec<TcpStream> = (0..6).map(|_| TcpStream::connect(at).unwrap()).collect();
    driver.on_event(Token::Socket(0), EventFlags::IN);
    let accepted = driver.turn.serve.counters()[0].1.connections;
    assert_eq!((accepted, driver.line.has(Subject::Socket(0)), clients.len()), (4, true, 6));
}

/// A long datagram waits for its round: received, or past the limit where it is.
#[test]
fn limit_held_bytes_max_a_socket_keeps_what_it_has() {
    const LONG: usize = 60_000;
    for (held_bytes, expected) in [((16 << 20) - 1, (16 << 20) - 1 + LONG), (16 << 20, 16 << 20)] {
        let socket = Bound::Udp(bind_udp(address(0)).unwrap());
        let client = UdpSocket::bind(address(0)).unwrap();
        assert_eq!(client.send_to(&vec![b'x'; LONG], local(&socket)).unwrap(), LONG);
        let mut driver = driver(Transport::Udp, vec![socket]);
        driver.held_bytes = held_bytes;
        // As many sockets have something: what is longer than 2 KiB is not light.
        driver.turn.open(128);
        driver.on_event(Token::Socket(0), EventFlags::IN);
        assert!(driver.line.has(Subject::Socket(0)));
        let Some(Bound::Udp(socket)) = driver.io.base().socket(0) else { panic!() };
        let unread = kernel::unread(socket.as_fd());
        assert_eq!((driver.held_bytes, unread), (expected, if expected > held_bytes { 0 } else { LONG }));
    }
}

#[test]
fn limit_events_of_a_wait() {
    let sockets: Vec<Bound> = (0..130).map(|_| Bound::Udp(bind_udp(address(0)).unwrap())).collect();
    let client = UdpSocket::bind(address(0)).unwrap();
    for socket in &sockets {
        assert_eq!(client.send_to(b"[a0]", local(socket)).unwrap(), 4);
    }
    let mut driver = driver(Transport::Udp, sockets);
    driver.look(Duration::ZERO).unwrap();
    assert_eq!(driver.left(), 128);
}

/// Replies that are all due at once: a bounded number of timer-wheel turns, then the sockets are polled again. Where nothing is due the wait has an
/// end all the same.
#[test]
fn limit_ticks_max_and_wait_ns_max_of_a_shard() {
    let socket = Bound::Udp(bind_udp(address(0)).unwrap());
    let client = UdpSocket::bind(address(0)).unwrap();
    let peer = client.local_addr().unwrap();
    let mut driver = driver(Transport::Udp, vec![socket]);
    let Epoll { turn, io, .. } = &mut driver;
    for _ in 0..8 * 128 + 6 {
        turn.serve.on_datagram(0, Arrived::new(peer, b"[a1]", turn.now.unix_ns), turn.now, io);
    }
    assert_eq!(turn.serve.pending(), 1_030);
    // The wheel's tick after that.
    turn.now.mono_ns += 11_000_000;
    turn.now.mono_ms += 11;
    turn.now.unix_ns += 11_000_000;
    assert_eq!((turn.tick(io), turn.serve.pending()), (Duration::ZERO, 6));
    // The centre's own timer is due in some minutes.
    assert_eq!((turn.tick(io), turn.serve.pending()), (Duration::from_millis(10), 0));
}

#[test]
fn h16_a_wait_ends_when_there_is_something_or_with_its_time() {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    wait_readable(ours.as_fd(), Duration::from_micros(1)).unwrap();
    theirs.send(b"1").unwrap();
    wait_readable(ours.as_fd(), Duration::from_secs(1_000)).unwrap();
}
