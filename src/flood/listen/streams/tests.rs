//! Connections of devices that behave, and of those that do not.

use super::*;
use crate::hear::acks::AckPolicy;
use crate::listen::tests::{desk, options};
use crate::talk::tests::frame;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

const MS: u64 = 1_000_000;

/// A centre, turned by hand.
struct Hall<'a> {
    streams: Streams<'a>,
    desk: Centre<'a>,
    shared: Shared,
    address: SocketAddr,
}

impl<'a> Hall<'a> {
    fn new(options: &'a Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
        Self {
            streams: Streams::new(options, vec![listener], epoll),
            desk: desk(options),
            shared: Shared {
                stop: AtomicBool::new(false),
                glances: Vec::new(),
                open: AtomicUsize::new(0),
                busy: AtomicUsize::new(0),
                untold: AtomicU64::new(0),
            },
            address,
        }
    }

    fn dial(&mut self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let before = self.told();
        while self.told() == before {
            self.streams.accept(&mut self.desk, 0, &self.shared).unwrap();
        }
        stream
    }

    fn told(&self) -> u64 {
        self.desk.count.accepted + self.desk.count.closed.values().sum::<u64>()
    }

    /// Handles what the connections have, until that holds.
    fn until(&mut self, what: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !what(self) {
            assert!(Instant::now() < deadline, "{:?} {:?}", self.desk.count.total(), self.desk.count.closed);
            self.turn();
        }
    }

    /// Handles what the connections have.
    fn turn(&mut self) {
        let mut events = Vec::with_capacity(16);
        let at_most = crate::clock::timespec(Duration::from_millis(50));
        epoll::wait(&self.streams.epoll, rustix::buffer::spare_capacity(&mut events), Some(&at_most)).unwrap();
        for event in &events {
            let at = (event.data.u64() & 0xFFFF_FFFF) as u32;
            self.streams.on_event(&mut self.desk, at, event.flags, &self.shared).unwrap();
        }
    }

    fn closed(&self, why: Closed) -> u64 {
        self.desk.count.closed.get(&why).copied().unwrap_or(0)
    }
}

fn expect(stream: &mut TcpStream, middle: &str) {
    let expected = frame(middle);
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).unwrap();
    assert_eq!(hex::encode(found), hex::encode(expected));
}

#[test]
fn a_message_is_acknowledged_however_it_comes() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let mut stream = hall.dial();
    let login = frame("860000000001000101020007");
    stream.write_all(&login[..7]).unwrap();
    hall.until(|hall| hall.desk.count.bytes_in == 7);
    stream.write_all(&[&login[7..], &*frame("8600000000010002030142")].concat()).unwrap();
    expect_after(&mut hall, &mut stream, &["8600000000010001810100", "860000000001000283054200343201"], 2);
    // The connection is that FSU's from now on.
    stream.write_all(&frame("860000000002000101020007")).unwrap();
    hall.until(|hall| hall.desk.count.wrong_by.get("own_value") == Some(&1));
    drop(stream);
    hall.until(|hall| hall.closed(Closed::Peer) == 1);
    assert_eq!((hall.desk.count.open, hall.desk.count.most, hall.shared.open.load(Ordering::Relaxed)), (0, 1, 0));
}

fn expect_after(hall: &mut Hall<'_>, stream: &mut TcpStream, all: &[&str], acked: u64) {
    hall.until(|hall| hall.desk.count.total().acked == acked);
    for middle in all {
        expect(stream, middle);
    }
}

/// Nothing is half there: a connection takes its place, and no buffer.
#[test]
fn an_idle_connection_is_small() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let mut stream = hall.dial();
    stream.write_all(&frame("86000000000100000202001C")).unwrap();
    hall.until(|hall| hall.desk.count.total().received == 1);
    let conn = hall.streams.conns[0].as_ref().unwrap();
    assert_eq!((conn.begun.capacity(), conn.out.capacity(), conn.recent.bytes()), (0, 0, 0));
    assert!(size_of::<Conn>() <= 200, "{}", size_of::<Conn>());
}

#[test]
fn an_acknowledgement_that_is_put_off_goes_to_its_connection_or_nowhere() {
    let options = options(AckPolicy { delay_ms: (100, 100), ..AckPolicy::default() });
    let mut hall = Hall::new(&options);
    let (mut one, mut other) = (hall.dial(), hall.dial());
    one.write_all(&frame("860000000001000101020007")).unwrap();
    hall.until(|hall| hall.desk.later.len() == 1);
    other.write_all(&frame("860000000002000101020007")).unwrap();
    hall.until(|hall| hall.desk.later.len() == 2);
    drop(one);
    hall.until(|hall| hall.closed(Closed::Peer) == 1);
    // Another one takes its place.
    let mut third = hall.dial();
    assert!(hall.desk.later.pop(99 * MS).is_none());
    while let Some(pending) = hall.desk.later.pop(100 * MS) {
        hall.streams.send_later(&mut hall.desk, pending);
    }
    expect(&mut other, "8600000000020001810100");
    let total = hall.desk.count.total();
    assert_eq!((total.acked, total.failed), (1, 1));
    third.set_nonblocking(true).unwrap();
    assert_eq!(third.read(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

/// What a connection does not take is not sent: neither at once, nor put off, nor if it ends before.
#[test]
fn an_acknowledgement_that_never_leaves_is_none() {
    let options = options(AckPolicy::default());
    // Whether the device reads what it is sent: acknowledged, failed.
    let check = |reads: bool, expected: (u64, u64)| {
        let mut hall = Hall::new(&options);
        let mut stream = hall.dial();
        let mut conn = hall.streams.conns[0].take().unwrap();
        // The kernel takes no more, and some waits here.
        let mut filled = 0;
        while conn.out.is_empty() {
            assert_eq!(hall.streams.write(&mut hall.desk, &mut conn, 0, &[b'x'; 4_096]).unwrap(), None);
            filled += 4_096;
        }
        hall.streams.conns[0] = Some(conn);
        stream.write_all(&frame("860000000001000101020007")).unwrap();
        hall.until(|hall| hall.desk.count.total().received == 1);
        let total = hall.desk.count.total();
        assert_eq!((total.acked, total.failed), (0, 0), "{reads}");
        if reads {
            stream.set_nonblocking(true).unwrap();
            let (mut bytes, mut read) = (vec![0; 65_536], 0);
            while read < filled + frame("8600000000010001810100").len() {
                match stream.read(&mut bytes) {
                    Ok(count) => read += count,
                    Err(_) => hall.turn(),
                }
            }
            hall.until(|hall| hall.desk.count.total().acked == 1);
            let conn = hall.streams.conns[0].as_ref().unwrap();
            assert!(conn.out.capacity() == 0 && conn.owed.is_empty());
        } else {
            drop(stream);
            hall.until(|hall| hall.desk.count.open == 0);
        }
        let total = hall.desk.count.total();
        assert_eq!((total.acked, total.failed), expected, "{reads}");
    };
    check(true, (1, 0));
    check(false, (0, 1));
}

/// A retry over the next connection of its FSU is one.
#[test]
fn a_message_over_the_next_connection_is_a_retry() {
    let options = options(AckPolicy { drop: 1.0, ..AckPolicy::default() });
    let check = |again: &str, expected: (u64, u64)| {
        let mut hall = Hall::new(&options);
        let mut first = hall.dial();
        first.write_all(&frame("8600000000010007030142")).unwrap();
        hall.until(|hall| hall.desk.count.total().received == 1);
        drop(first);
        hall.until(|hall| hall.desk.count.open == 0);
        let mut second = hall.dial();
        second.write_all(&frame(again)).unwrap();
        hall.until(|hall| hall.desk.count.total().received + hall.desk.count.total().retried == 2);
        let total = hall.desk.count.total();
        assert_eq!((total.received, total.retried), expected, "{again}");
        // It is remembered by this connection now.
        second.write_all(&frame(again)).unwrap();
        hall.until(|hall| hall.desk.count.total().retried == expected.1 + 1);
    };
    check("8600000000010007030142", (1, 1));
    check("8600000000010008030142", (2, 0));
    check("8600000000020007030142", (2, 0));
}

/// The system refuses an accept: the listener, which stays readable, is looked at again with the next sweep and not before.
#[test]
fn a_listener_that_cannot_accept_is_left_for_a_while() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    watch_listener(&hall.streams.epoll, 0, &hall.streams.listeners[0]).unwrap();
    let ready = |hall: &Hall<'_>| {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(16);
        let now = crate::clock::timespec(Duration::ZERO);
        epoll::wait(&hall.streams.epoll, rustix::buffer::spare_capacity(&mut events), Some(&now)).unwrap();
        events.len()
    };
    // An accept on it is an error from now on.
    rustix::net::shutdown(&hall.streams.listeners[0], rustix::net::Shutdown::Both).unwrap();
    for round in 1..4 {
        assert_eq!(ready(&hall), 1);
        hall.streams.accept(&mut hall.desk, 0, &hall.shared).unwrap();
        assert_eq!((ready(&hall), hall.desk.count.accept_errors), (0, round));
        hall.streams.accept_again().unwrap();
    }
}

#[test]
fn limit_half_frame_ms_a_frame_that_is_begun_becomes_whole_or_its_connection_ends() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let mut stream = hall.dial();
    hall.desk.now_ns = 5 * MS;
    stream.write_all(&frame("860000000001000101020007")[..9]).unwrap();
    hall.until(|hall| hall.desk.count.bytes_in == 9);
    hall.desk.now_ns = (5 + HALF_FRAME_MS) * MS;
    hall.streams.sweep(&mut hall.desk, &hall.shared);
    assert_eq!(hall.closed(Closed::Half), 0);
    hall.desk.now_ns += 1;
    hall.streams.sweep(&mut hall.desk, &hall.shared);
    assert_eq!((hall.closed(Closed::Half), hall.desk.count.garbage_bytes, hall.desk.count.open), (1, 9, 0));
}

#[test]
fn limit_no_frame_bytes_max_of_bytes_that_are_no_frame() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let mut stream = hall.dial();
    stream.write_all(&vec![b'x'; NO_FRAME_BYTES_MAX]).unwrap();
    hall.until(|hall| hall.desk.count.garbage_bytes == NO_FRAME_BYTES_MAX as u64);
    // A message between them begins a new count.
    stream.write_all(&frame("860000000001000101020007")).unwrap();
    hall.until(|hall| hall.desk.count.total().acked == 1);
    stream.write_all(&vec![b'x'; NO_FRAME_BYTES_MAX]).unwrap();
    hall.until(|hall| hall.desk.count.garbage_bytes == 2 * NO_FRAME_BYTES_MAX as u64);
    assert_eq!(hall.closed(Closed::Garbage), 0);
    stream.write_all(b"x").unwrap();
    hall.until(|hall| hall.closed(Closed::Garbage) == 1);
}

#[test]
fn limit_effort_min_and_effort_per_byte_of_a_stream() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let mut stream = hall.dial();
    let position = frame("86000000000100000202001C");
    let mut effort = 0;
    // Without a message, one look takes one byte's worth.
    for (begins_with, is_closed) in [(EFFORT_MIN, false), (EFFORT_MIN + 2 * EFFORT_PER_BYTE * 15, true)] {
        let conn = hall.streams.conns[0].as_mut().unwrap();
        conn.effort = begins_with;
        effort = effort.max(conn.effort);
        let before = hall.desk.count.bytes_in;
        stream.write_all(&position).unwrap();
        hall.until(|hall| hall.desk.count.bytes_in > before);
        assert_eq!(hall.closed(Closed::Garbage), u64::from(is_closed), "{begins_with}");
    }
}

#[test]
fn limit_unread_bytes_max_of_acknowledgements() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let _stream = hall.dial();
    let mut conn = hall.streams.conns[0].take().unwrap();
    let chunk = vec![0; 32_768];
    let ended = loop {
        match hall.streams.write(&mut hall.desk, &mut conn, 0, &chunk).unwrap() {
            Some(ended) => break ended,
            None => assert!(conn.out.len() <= UNREAD_BYTES_MAX),
        }
    };
    assert_eq!(ended, Closed::Slow);
    assert!((UNREAD_BYTES_MAX + 1..=UNREAD_BYTES_MAX + chunk.len()).contains(&conn.out.len()));
}

#[test]
fn limit_dialled_max_one_more_is_refused() {
    let options = options(AckPolicy::default());
    let mut hall = Hall::new(&options);
    let _two = (hall.dial(), hall.dial());
    assert_eq!((hall.desk.count.open, hall.closed(Closed::TooMany)), (2, 0));
    let mut third = hall.dial();
    assert_eq!((hall.desk.count.open, hall.closed(Closed::TooMany)), (2, 1));
    assert!(matches!(third.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(crate::listen::DIALLED_MAX, 100_000);
}
