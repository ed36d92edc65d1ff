//! What a ring holds, each reached and passed: `limit_NAME`.

use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;

/// A socket has room: each wait for that completes at once.
#[test]
fn limit_submissions_and_completions_of_a_ring() {
    if crate::shard::ring_missing().is_some() {
        return;
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut ring, _datagrams, _bytes) = Ring::new(4, 4).unwrap();
    let begin = |ring: &mut Ring, count: u64| {
        (0..count).for_each(|data| ring.begin(Op::Writable, data, socket.as_fd()));
        ring.uring.submission().len()
    };
    // One more finds no place: all are submitted first.
    assert_eq!(begin(&mut ring, 512), 512);
    assert_eq!(begin(&mut ring, 1), 1);
    begin(&mut ring, 5_000 - 513);
    let (mut done, mut most) = (Vec::new(), 0);
    while done.len() < 5_000 {
        ring.wait(Duration::from_millis(1)).unwrap();
        most = most.max(ring.ready());
        ring.take(&mut done, usize::MAX);
    }
    // What finds no place is kept by the kernel.
    assert_eq!((most, done.len()), (4_096, 5_000));
}
