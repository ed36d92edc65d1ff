//! How long a neighbour waits while connections send as fast as they can, in virtual time.

use super::script::{AT_ONCE, DATAGRAM_FSUS, Script, Stop, request};
use crate::driver::DriverKind;
use crate::driver::tests::driven::{Run, run_script};
use crate::driver::tests::kernel::streams::Reads;
use crate::driver::tests::kernel::weather::Weather;
use crate::driver::tests::kernel::{Act, Event};
use fsu_plan::model::fleet::Limits;
use std::rc::Rc;

/// The neighbour asks each millisecond for so long.
const ASKED: u32 = 50;
const MS: u64 = 1_000_000;
/// Connections that send good requests.
const GOOD: [usize; 3] = [1, 64, 256];
/// Nobody waits longer, in microseconds.
const MAY_US: u64 = 20_000;

/// Number of connections that pour while a neighbour asks.
fn pour(connections: usize, pour: &Rc<[u8]>, driver: DriverKind) -> Run {
    let mut script = Script::empty(Weather::fine(), Limits::default(), Stop::Now, (u64::from(ASKED) + 50) * MS);
    for stream in 0..connections {
        script.add_peer(stream, DATAGRAM_FSUS, Reads::Soon, Vec::new());
        script.at(0, Event::Peer(stream, Act::Connect));
        script.at(1, Event::Peer(stream, Act::Pour(Rc::clone(pour))));
    }
    for number in 0..ASKED {
        let from = ([127, 0, 0, 1], 40_000).into();
        script.at((5 + u64::from(number)) * MS, Event::Datagram(0, from, request(0, AT_ONCE, number)));
    }
    run_script(script, 0, driver)
}

/// How long each request of the neighbour has waited, in nanoseconds, the shortest first.
fn waits_ns(connections: usize, bytes: &Rc<[u8]>, driver: DriverKind) -> Vec<u64> {
    let Run { kernel, .. } = pour(connections, bytes, driver);
    let kernel = kernel.borrow();
    let mut waits_ns: Vec<u64> =
        kernel.left.iter().zip(&kernel.udp[0].taken).map(|(left, taken)| left.ns - taken.ns).collect();
    assert_eq!((waits_ns.len(), kernel.udp[0].lost), (ASKED as usize, 0), "answers");
    waits_ns.sort_unstable();
    waits_ns
}

fn check(connections: usize, bytes: &[u8]) {
    let bytes = bytes.into();
    for driver in [DriverKind::Poll, DriverKind::Ring] {
        let waits_ns = waits_ns(connections, &bytes, driver);
        let [p50, most] = [waits_ns[waits_ns.len() / 2], waits_ns[waits_ns.len() - 1]].map(|ns| ns / 1_000);
        let name = driver.name();
        assert!(most <= MAY_US, "{name}, {connections} connections: p50 {p50} us, most {most} us");
    }
}

#[test]
fn h02_a_neighbour_waits_a_bounded_time_whatever_connections_send() {
    for connections in [1, 64, 256] {
        check(connections, b"xxxxxxxxxxxxxxxx");
    }
    for connections in GOOD {
        check(connections, &request(DATAGRAM_FSUS, AT_ONCE, 7));
    }
}

/// The set would tell of each connection with each wait.
#[test]
fn h02_connections_that_wait_in_line_are_told_of_twice_at_most() {
    let Run { kernel, .. } = pour(256, &b"xxxxxxxxxxxxxxxx"[..].into(), DriverKind::Poll);
    // Beside the connections: the neighbour's requests, the listener, the end.
    let told = kernel.borrow().told;
    assert!(told <= 2 * 256 + 2 * u64::from(ASKED), "{told}");
}
