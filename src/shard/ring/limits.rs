//! How much the ring driver receives and takes at a time, each reached and passed by one: `limit_NAME`.

use super::super::base::{Base, wake_up};
use super::super::bind::{Bound, bind_udp};
use super::super::ring_missing;
use super::super::tests::{Letters, Records, address, fleet};
use super::*;
use crate::plan::fleet::Transport;
use crate::responder::RunContext;
use crossbeam_channel::bounded;
use std::net::UdpSocket;

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
    let mut base = Base::new(vec![socket], wake_up().unwrap(), true);
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let serve = Serve::new(fleet(1, Transport::Udp, |_| {}), &[0], run, Letters, Records::default(), base.watch.now());
    let mut driver = Driver::new(serve, RingIo::new(base).unwrap(), 1, bounded(1).1, Duration::ZERO);
    // It may take more than one look for all that is there.
    while driver.io.ring.ready() < 257 {
        driver.io.wait(Duration::from_millis(1)).unwrap();
    }
    let mut done = Vec::new();
    let mut taken = |driver: &mut Driver<Letters, Records>| {
        done.clear();
        driver.take(&mut done);
        (done.len(), done.iter().filter(|done| done.filled.is_some()).count(), done.iter().all(|done| done.more))
    };
    assert_eq!(taken(&mut driver), (256, 256, true));
    // No buffer.
    assert_eq!(taken(&mut driver), (1, 0, false));
    driver.io.wait(Duration::ZERO).unwrap();
    assert_eq!(driver.io.ring.ready(), 0);
}
