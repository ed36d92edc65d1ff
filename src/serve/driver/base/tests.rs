use super::*;
use crate::driver::epoll::sockets::PollIo;
use crate::driver::ring::sockets::RingIo;
use crate::shard::io::Datagram;
use fsu_core::about::About;
use fsu_core::sink::Outgoing;
use fsu_net::bind::bind_udp;
use fsu_net::local::Local;

/// Equal datagrams from an address that this machine does not have, and how they arrive.
fn check(host: &str, peer: &str, gone: &str) {
    let (Ok(ours), Ok(theirs)) = (bind_udp(host.parse().unwrap()), UdpSocket::bind(peer)) else { return };
    let mut base = Base::new(vec![Bound::Udp(ours)], wake_up().unwrap(), true);
    let datagram = Datagram {
        socket: 0,
        peer: theirs.local_addr().unwrap(),
        local: Local::new(gone.parse().unwrap(), 0),
        what: Outgoing::Reply,
        tries: 0,
        due_ns: 0,
        about: About::UNKNOWN,
    };
    let mut outbox = Outbox::default();
    (0..3).for_each(|_| assert!(outbox.push(datagram, b"abc")));
    for at in 0..3 {
        assert_eq!(base.send(&outbox, at), (1, Outcome::Sent), "{host} {gone}");
        let mut bytes = [0; 8];
        assert_eq!(theirs.recv(&mut bytes).unwrap(), 3);
    }
    assert!(base.sender.sends_segments(), "segments are not at fault");
}

/// Whether a driver sends a datagram of this length where 1,400 bytes fit into a packet, and whether the socket fragments then.
fn check_length<I: DriverIo>(mut io: I, (host, to): (&str, &UdpSocket), len: usize, expected: (Outcome, bool)) {
    let datagram = Datagram {
        socket: 0,
        peer: to.local_addr().unwrap(),
        local: if host.starts_with('[') { Local::ANY } else { Local::new(host.parse().unwrap(), 0) },
        what: Outgoing::Reply,
        tries: 0,
        due_ns: 0,
        about: About::UNKNOWN,
    };
    let (mut fates, mut got) = (Vec::new(), vec![0; 65_536]);
    assert!(io.base().outbox.push(datagram, &vec![7; len]));
    let mut fate = |_: Datagram, bytes: &[u8], outcome, _| fates.push((bytes.len(), outcome));
    io.flush(&mut fate);
    io.depart(&mut fate);
    assert_eq!(fates, [(len, expected.0)], "{host}");
    assert_eq!(io.base().places[0].fragments, expected.1, "{host} {len}");
    if expected.0 == Outcome::Sent {
        assert_eq!(to.recv(&mut got).unwrap(), len);
    }
}

#[test]
fn what_does_not_fit_into_a_packet_leaves_in_fragments() {
    let tried = std::thread::spawn(|| {
        if let Err(error) = fsu_net::sys::narrow_network(1_400) {
            return eprintln!("skipped: no network namespace ({error})");
        }
        // The address bound to, the address that the datagram leaves from; another of this machine's where that is told.
        for (bound, local, peer) in [
            ("127.0.0.1:0", "0.0.0.0", "127.0.0.1:0"),
            ("0.0.0.0:0", "127.0.0.1", "127.0.0.1:0"),
            ("[::1]:0", "[]", "[::1]:0"),
        ] {
            let too_long = Outcome::Failed(Errno::MSGSIZE.raw_os_error());
            for (len, expected) in
                [(100, (Outcome::Sent, false)), (3_000, (Outcome::Sent, true)), (65_530, (too_long, true))]
            {
                let Ok(theirs) = UdpSocket::bind(peer) else { continue };
                let base = || {
                    let ours = bind_udp(bound.parse().unwrap()).unwrap();
                    Base::new(vec![Bound::Udp(ours)], wake_up().unwrap(), true)
                };
                check_length(PollIo::new(base()).unwrap(), (local, &theirs), len, expected);
                if fsu_net::probe::ring_missing().is_none() {
                    for sends in [false, true] {
                        let mut io = RingIo::new(base()).unwrap().0;
                        io.sends = sends;
                        check_length(io, (local, &theirs), len, expected);
                    }
                }
            }
        }
    });
    tried.join().unwrap();
}

/// A connected socket is there while its centre is, and for as long as something of it waits. `turn`: what a driver does between.
fn check_centre<I: DriverIo>(mut io: I, turn: impl Fn(&mut I)) {
    let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), SocketAddr::from(([127, 0, 0, 1], 9)));
    let (peer, to) = (one.local_addr().unwrap(), io.base().socket(0).unwrap().local_addr().unwrap());
    // Nothing is received, so that what is sent waits.
    io.set_accepting(0, false);
    let mut check = |peer, on, expected: bool| {
        io.set_frequent(0, peer, on);
        turn(&mut io);
        assert_eq!(io.base().udp(0, Which::Centre).is_some(), expected, "{peer} {on}");
        assert_eq!(bind_udp(to).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    };
    check(peer, false, false);
    check(peer, true, true);
    check(other, true, true);
    check(other, false, true);
    check(peer, false, false);
    check(peer, true, true);
    one.send_to(b"x", to).unwrap();
    check(peer, false, true);
    drop(io);
    bind_udp(to).unwrap();
}

#[test]
fn a_centre_has_its_socket_until_it_is_silent() {
    let base =
        || Base::new(vec![Bound::Udp(bind_udp("127.0.0.1:0".parse().unwrap()).unwrap())], wake_up().unwrap(), true);
    check_centre(PollIo::new(base()).unwrap(), |_| {});
    if fsu_net::probe::ring_missing().is_none() {
        // What was cancelled has ended.
        check_centre(RingIo::new(base()).unwrap().0, |io| (0..3).for_each(|_| io.turn_for_tests()));
    }
}

#[test]
fn limit_centres_max_beyond_it_no_socket_is_connected() {
    let sockets: Vec<_> = (0..3).map(|_| Bound::Udp(bind_udp("127.0.0.1:0".parse().unwrap()).unwrap())).collect();
    let mut base = Base::new(sockets, wake_up().unwrap(), true);
    assert_eq!(base.centres_max, 2_048);
    base.centres_max = 2;
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    assert_eq!([0, 1, 2].map(|index| base.connect(index, peer)), [true, true, false]);
    assert!(base.part(1, Some(peer)).is_some());
    assert!(base.connect(2, peer));
}

#[test]
fn h05_from_an_address_that_is_gone_datagrams_leave_as_routed() {
    check("0.0.0.0:0", "127.0.0.1:0", "192.0.2.77");
    check("[::]:0", "127.0.0.1:0", "192.0.2.77");
    check("[::]:0", "[::1]:0", "2001:db8::77");
    check("[::]:0", "[::1]:0", "fe80::77");
}
