//! The drivers over loopback: whatever one does, the other does as well.

use super::*;
use crate::driver::gather::GATHER_US;
use crate::driver::handle::spawn_with;
use crate::driver::{DriverKind, Executor, Handle, ShardSpec, Tuning};
use crate::shard::tcp::conn::UnsentReply;
use fsu_net::bind::{Bound, bind_tcp, bind_udp};
use fsu_net::probe::ring_missing;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

/// Long enough for any machine; nothing waits for its end when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// What runs a shard, and what drives its sockets.
type How = (Executor, DriverKind);

/// Each of these as a test with either driver; the ring one where the machine has it. The same on a plain thread.
macro_rules! with_both_drivers {
    ($($name:ident),+ $(,)?) => {
        mod poll {
            $(#[test] fn $name() { super::$name((super::Executor::Glommio, super::DriverKind::Poll)); })+
        }
        mod h16_poll_on_a_plain_thread {
            $(#[test] fn $name() { super::$name((super::Executor::Thread, super::DriverKind::Poll)); })+
        }
        mod ring {
            $(#[test] fn $name() {
                if super::ring_missing().is_none() { super::$name((super::Executor::Glommio, super::DriverKind::Ring)); }
            })+
        }
        mod h16_ring_on_a_plain_thread {
            $(#[test] fn $name() {
                if super::ring_missing().is_none() { super::$name((super::Executor::Thread, super::DriverKind::Ring)); }
            })+
        }
    };
}

with_both_drivers!(
    datagrams_are_answered_by_bursts_after_rest_and_in_the_drain,
    bursts_on_one_socket_are_answered_whole,
    connections_are_answered_finished_and_reset,
    a_slow_reader_gets_everything,
    h12_a_peer_that_does_not_read_costs_what_is_documented,
    h02_connections_that_never_rest_leave_a_neighbour_its_turns,
    h06_what_comes_while_a_turn_lasts_has_waited_for_its_end,
    a_centre_that_asks_often_has_its_own_socket_and_others_are_served_beside_it,
    a_centre_goes_and_comes_back,
    on_all_addresses_no_socket_is_connected,
);

/// Requests after which a centre has its own socket for sure.
const OFTEN: usize = 200;

/// Sockets of this process bound to that port, and how many of them are connected: the kernel's own list.
fn sockets_at(port: u16) -> (usize, usize) {
    let text = std::fs::read_to_string("/proc/net/udp").unwrap();
    let mine = format!(":{port:04X}");
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let at: Vec<_> = rows.filter(|row| row[1].ends_with(&mine)).collect();
    (at.len(), at.iter().filter(|row| !row[2].ends_with(":0000")).count())
}

fn ask(client: &UdpSocket, to: SocketAddr, count: usize) {
    for _ in 0..count {
        client.send_to(b"[a0]", to).unwrap();
        assert_eq!(receive(client), b'a');
    }
}

fn a_centre_that_asks_often_has_its_own_socket_and_others_are_served_beside_it(how: How) {
    let (handle, addresses, _) = start(how, Transport::Udp, vec![Bound::Udp(bind_udp(address(0)).unwrap())]);
    let (to, centre, strangers) = (addresses[0], udp_client(), [(); 3].map(|()| udp_client()));
    let refused = |at: &str| assert_eq!(bind_udp(to).unwrap_err().kind(), std::io::ErrorKind::AddrInUse, "{at}");
    assert_eq!(sockets_at(to.port()), (1, 0));
    refused("before");
    for _ in 0..OFTEN {
        ask(&centre, to, 1);
        // Its datagrams and theirs are told apart whichever socket has them.
        for stranger in &strangers {
            ask(stranger, to, 1);
        }
        refused("meanwhile");
    }
    assert_eq!(sockets_at(to.port()), (2, 1), "one for whoever was first");
    // A burst of each, and runs of equal replies.
    for client in strangers.iter().chain([&centre]) {
        for request in ["[a0][b0]", "[c0]", "[d0]"] {
            client.send_to(request.as_bytes(), to).unwrap();
        }
    }
    for client in strangers.iter().chain([&centre]) {
        assert_eq!([(); 4].map(|()| receive(client)), *b"abcd");
    }
    handle.drain();
    let ended = handle.join().unwrap();
    let counters = &ended.counters[0].1;
    let expected = (4 * (OFTEN as u64 + 4), 0);
    assert_eq!((counters.answered, counters.dropped_total()), expected);
    bind_udp(to).unwrap();
}

fn a_centre_goes_and_comes_back(how: How) {
    let (handle, addresses, _) = start(how, Transport::Udp, vec![Bound::Udp(bind_udp(address(0)).unwrap())]);
    let (to, mut centre) = (addresses[0], udp_client());
    let at = centre.local_addr().unwrap();
    ask(&centre, to, OFTEN);
    assert_eq!(sockets_at(to.port()), (2, 1));
    let mut expected = OFTEN as u64;
    for _ in 0..5 {
        // It does not wait for its replies: the first finds nobody, and each of the others meets that.
        for _ in 0..3 {
            centre.send_to(b"[b3]", to).unwrap();
        }
        while handle.counters().recv_timeout(PATIENCE).unwrap()[0].1.received < expected + 3 {}
        drop(centre);
        while handle.counters().recv_timeout(PATIENCE).unwrap()[0].1.answered < expected + 3 {}
        centre = UdpSocket::bind(at).unwrap();
        centre.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(&centre, to, 10);
        expected += 13;
    }
    assert_eq!(sockets_at(to.port()), (2, 1));
    handle.drain();
    let counters = handle.join().unwrap().counters.remove(0).1;
    assert_eq!((counters.answered, counters.dropped_total()), (expected, 0));
}

fn on_all_addresses_no_socket_is_connected(how: How) {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let (handle, addresses, _) = start(how, Transport::Udp, vec![Bound::Udp(bind_udp(any).unwrap())]);
    let (port, centre) = (addresses[0].port(), udp_client());
    ask(&centre, ([127, 0, 0, 1], port).into(), OFTEN);
    ask(&centre, ([127, 0, 0, 2], port).into(), OFTEN);
    assert_eq!(sockets_at(port), (1, 0));
    handle.drain();
    handle.join().unwrap();
}

/// A shard with an FSU at each socket; `None` where the machine forbids io_uring.
fn start(how: How, transport: Transport, sockets: Vec<Bound>) -> (Handle, Vec<SocketAddr>, Records) {
    start_logged(how, transport, sockets, true)
}

fn start_logged(how: How, transport: Transport, sockets: Vec<Bound>, on: bool) -> (Handle, Vec<SocketAddr>, Records) {
    start_told(how, transport, sockets, Records { on, ..Records::default() })
}

fn start_told(
    (executor, driver): How,
    transport: Transport,
    sockets: Vec<Bound>,
    records: Records,
) -> (Handle, Vec<SocketAddr>, Records) {
    let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let handle = spawn_with(
        ShardSpec {
            index: 0,
            cpu: None,
            executor,
            driver,
            fleet: fleet(sockets.len(), transport, |_| {}),
            fsus: sockets.into_iter().enumerate().collect(),
            run: RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 },
            tap: records.clone(),
            own: Arc::default(),
            tide: Arc::default(),
            tuning: Tuning { gather: Duration::from_micros(GATHER_US.into()), gso: true },
            queue: None,
            shared: None,
            steer: None,
        },
        Letters,
    )
    .unwrap();
    (handle, addresses, records)
}

fn udp_client() -> UdpSocket {
    let client = UdpSocket::bind(address(0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn tcp_client(to: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(to).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn receive(client: &UdpSocket) -> u8 {
    let mut buffer = [0; 16];
    let (len, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(len, 1);
    buffer[0]
}

fn datagrams_are_answered_by_bursts_after_rest_and_in_the_drain(how: How) {
    let sockets = (0..20).map(|_| Bound::Udp(bind_udp(address(0)).unwrap())).collect();
    let (handle, addresses, records) = start(how, Transport::Udp, sockets);
    let client = udp_client();
    let mut expected = 0;
    for round in 0..10 {
        for &to in &addresses {
            for request in ["[a0]", "[b0][c0]", "[d0]"] {
                client.send_to(request.as_bytes(), to).unwrap();
                expected += request.len() / 4;
            }
        }
        for _ in 0..20 * 4 {
            receive(&client);
        }
        // Past the time in which more is expected at once: there is a calm by then.
        std::thread::sleep(Duration::from_millis(round * 5));
    }
    // A socket that had bursts, one reply at a time.
    for delay in ["[e0]", "[f3]", "[g0]"] {
        client.send_to(delay.as_bytes(), addresses[0]).unwrap();
        assert_eq!(receive(&client), delay.as_bytes()[1]);
        expected += 1;
    }
    let counters = handle.counters().recv_timeout(PATIENCE).unwrap();
    assert_eq!(counters.iter().map(|(_, counters)| counters.answered).sum::<u64>(), expected as u64);
    client.send_to(b"[z9]", addresses[3]).unwrap();
    while handle.counters().recv_timeout(PATIENCE).unwrap()[3].1.received < 41 {}
    handle.drain();
    assert_eq!(receive(&client), b'z');
    let counters = handle.join().unwrap().counters;
    assert_eq!(counters.len(), 20);
    assert_eq!((counters[3].0, counters[3].1.answered, counters[3].1.dropped_total()), (3, 41, 0));
    let replies = records.taken.lock().unwrap().iter().filter(|(_, kind, ..)| *kind == RecordKind::Reply).count();
    assert_eq!(replies, expected + 1);
}

fn bursts_on_one_socket_are_answered_whole(how: How) {
    let (handle, addresses, _) = start(how, Transport::Udp, vec![Bound::Udp(bind_udp(address(0)).unwrap())]);
    let client = udp_client();
    for _ in 0..50 {
        for _ in 0..100 {
            client.send_to(b"[a0]", addresses[0]).unwrap();
        }
        for _ in 0..100 {
            receive(&client);
        }
    }
    handle.stop();
    let counters = handle.join().unwrap().counters;
    assert_eq!((counters[0].1.received, counters[0].1.answered), (5_000, 5_000));
}

fn connections_are_answered_finished_and_reset(how: How) {
    let (handle, addresses, _) = start(how, Transport::Tcp, vec![Bound::Tcp(bind_tcp(address(0)).unwrap())]);
    let mut clients: Vec<TcpStream> = (0..50).map(|_| tcp_client(addresses[0])).collect();
    for client in &mut clients {
        client.write_all(b"[a0]x[b").unwrap();
    }
    for client in &mut clients {
        client.write_all(b"1][c0]").unwrap();
        let mut got = [0; 3];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"abc");
    }
    for mut client in clients.drain(..25) {
        client.write_all(b"[d2]").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"d");
    }
    // Closed with a reply unread: the kernel resets these.
    for mut client in clients.drain(..) {
        client.write_all(b"[e0]").unwrap();
        let mut got = [0];
        client.peek(&mut got).unwrap();
    }
    let mut last = tcp_client(addresses[0]);
    last.write_all(b"[y0][z9]").unwrap();
    let mut got = [0; 2];
    last.read_exact(&mut got[..1]).unwrap();
    handle.drain();
    last.read_exact(&mut got[1..]).unwrap();
    assert_eq!(&got, b"yz");
    let counters = handle.join().unwrap().counters.remove(0).1;
    assert_eq!((counters.connections, counters.received, counters.answered), (51, 50 * 3 + 50 + 2, 50 * 3 + 50 + 2));
    assert_eq!((counters.dropped[Reason::Garbage as usize], counters.dropped_total()), (50, 50));
}

fn a_slow_reader_gets_everything(how: How) {
    let (handle, addresses, _) = start(how, Transport::Tcp, vec![Bound::Tcp(bind_tcp(address(0)).unwrap())]);
    let mut client = tcp_client(addresses[0]);
    let mut writer = client.try_clone().unwrap();
    let requests = 20_000;
    let thread = std::thread::spawn(move || writer.write_all(&b"[!0]".repeat(requests)).unwrap());
    let (mut got, mut buffer) = (0, vec![0; 1 << 16]);
    while got < requests * 1_000 {
        std::thread::sleep(Duration::from_micros(200));
        got += client.read(&mut buffer).unwrap();
    }
    thread.join().unwrap();
    handle.drain();
    let counters = handle.join().unwrap().counters.remove(0).1;
    assert_eq!((counters.answered, counters.dropped_total()), (requests as u64, 0));
}

/// It is sent what the kernels take and kept what is documented, whatever it asks; a neighbour is answered all the while.
fn h12_a_peer_that_does_not_read_costs_what_is_documented(how: How) {
    let (handle, addresses, _) = start(how, Transport::Tcp, vec![Bound::Tcp(bind_tcp(address(0)).unwrap())]);
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    client.set_recv_buffer_size(64 << 10).unwrap();
    client.connect(&addresses[0].into()).unwrap();
    let mut writer: TcpStream = client.try_clone().unwrap().into();
    let thread = std::thread::spawn(move || while writer.write_all(&b"[!0]".repeat(1_000)).is_ok() {});
    // What is read and not looked at is not received yet.
    let waiting_max = 65_536 / (1_000 + size_of::<UnsentReply>() as u64) + 1;
    let mut neighbour = tcp_client(addresses[0]);
    let mut asked = 0;
    let mut ask = || {
        neighbour.write_all(b"[a0]").unwrap();
        let mut got = [0];
        neighbour.read_exact(&mut got).unwrap();
        asked += 1;
        let counters = handle.counters().recv_timeout(PATIENCE).unwrap().remove(0).1;
        assert!(counters.received - counters.answered <= waiting_max, "{counters:?}");
        // In the two kernels' buffers: each is twice what was asked for, and one segment may be past that. Else it would be some MiB.
        assert!((counters.answered - asked) * 1_000 <= 2 * (128 << 10) + 2 * (128 << 10), "{counters:?}");
        counters.received - counters.answered
    };
    while ask() < waiting_max {}
    (0..50).for_each(|_| assert_eq!(ask(), waiting_max));
    handle.stop();
    let counters = handle.join().unwrap().counters.remove(0).1;
    assert_eq!(counters.dropped_total(), waiting_max);
    drop(client);
    thread.join().unwrap();
}

/// More connections than there are buffers send garbage as fast as they can; a neighbour has its turns.
fn h02_connections_that_never_rest_leave_a_neighbour_its_turns(how: How) {
    let sockets = vec![Bound::Tcp(bind_tcp(address(0)).unwrap())];
    let (handle, addresses, _) = start_logged(how, Transport::Tcp, sockets, false);
    let mut noisy: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(addresses[0]).unwrap()).collect();
    for client in &noisy {
        client.set_nonblocking(true).unwrap();
    }
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let thread = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let garbage = vec![b'x'; 64 << 10];
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for client in &mut noisy {
                    let _ = client.write(&garbage);
                }
            }
        }
    });
    let mut neighbour = tcp_client(addresses[0]);
    for _ in 0..5 {
        neighbour.write_all(b"[a0]").unwrap();
        let mut got = [0];
        neighbour.read_exact(&mut got).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
    handle.stop();
    let counters = handle.join().unwrap().counters.remove(0).1;
    assert_eq!((counters.received, counters.answered), (5, 5));
    assert_eq!(counters.dropped_total(), counters.dropped[Reason::Garbage as usize]);
}

/// A turn that lasts for 100 ms: what was read before, what comes meanwhile, and a connection that is made meanwhile.
fn h06_what_comes_while_a_turn_lasts_has_waited_for_its_end(how: How) {
    let pause = Arc::new(Barrier::new(2));
    let records = Records { on: true, pause: Some(Arc::clone(&pause)), ..Records::default() };
    let (handle, addresses, _) =
        start_told(how, Transport::Tcp, vec![Bound::Tcp(bind_tcp(address(0)).unwrap())], records);
    let ask = |client: &mut TcpStream, request: &[u8; 4]| client.write_all(request).unwrap();
    let hear = |client: &mut TcpStream, letter: u8| {
        let mut reply = [0];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(reply, [letter]);
    };
    let (mut slow, mut old) = (tcp_client(addresses[0]), tcp_client(addresses[0]));
    ask(&mut old, b"[a0]");
    hear(&mut old, b'a');
    ask(&mut slow, b"[~0]");
    pause.wait();
    ask(&mut old, b"[b0]");
    let mut new = tcp_client(addresses[0]);
    ask(&mut new, b"[c0]");
    std::thread::sleep(Duration::from_millis(100));
    pause.wait();
    for (client, letter) in [(&mut slow, b'~'), (&mut old, b'b'), (&mut new, b'c')] {
        hear(client, letter);
    }
    handle.stop();
    let told = handle.join().unwrap().late.told(99_999, 0);
    // The first may be late as well, on a slow machine.
    assert!((3..=4).contains(&told.over_limit) && told.stream_replies == 4, "{told:?}");
}
