//! What a ring holds, each reached and passed: `limit_NAME`.

use super::*;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Instant;

/// A socket has room: each wait for that completes at once.
#[test]
fn limit_submissions_and_completions_of_a_ring() {
    // Where there is no io_uring there is nothing to reach.
    let Ok((mut ring, _datagrams, _bytes)) = Ring::new(4, 4) else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
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

/// A full queue whose first submissions are refused for now: how often it was submitted, and the result.
fn check(refused: usize, errno: i32, expected: (usize, Result<(), i32>)) {
    let (mut submits, mut has_room) = (0, false);
    let mut room = |submits: &mut usize| {
        *submits += 1;
        if *submits <= refused {
            return Err(io::Error::from_raw_os_error(errno));
        }
        has_room = true;
        Ok(())
    };
    let is_put = std::cell::Cell::new(false);
    let put = |_: &mut usize| is_put.get();
    let submit = |submits: &mut usize| room(submits).inspect(|()| is_put.set(true));
    let put = put_in(&mut submits, put, submit).map_err(|error| error.raw_os_error().unwrap());
    assert_eq!((submits, put), expected, "{refused} refused");
    assert_eq!(has_room, put.is_ok());
}

#[test]
fn limit_submits_max_a_full_ring_is_submitted_so_often() {
    for errno in [libc::EAGAIN, libc::EBUSY, libc::EINTR] {
        check(0, errno, (1, Ok(())));
        check(7, errno, (8, Ok(())));
        check(8, errno, (8, Err(errno)));
    }
    // What will not pass is not asked for again.
    check(1, libc::ENXIO, (1, Err(libc::ENXIO)));
}

/// An operation that the kernel never ends.
#[test]
fn limit_end_waits_max_of_a_ring() {
    let Ok((mut ring, _datagrams, _bytes)) = Ring::new(4, 4) else { return };
    ring.running = 1;
    let began = Instant::now();
    drop(ring);
    // The first wait may end with the completion of the cancellation itself.
    assert!(began.elapsed() >= Duration::from_millis(98 * 10), "{:?}", began.elapsed());
}
