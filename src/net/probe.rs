//! Whether the ring driver can work here: tried, not guessed from the kernel's version, which distributions and containers
//! make mean little.

use crate::sys::{Done, Op, Ring};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// Buffers of the ring that is tried.
const BUFFERS: u16 = 4;
/// How long an answer that is there already is waited for.
const PATIENCE: Duration = Duration::from_millis(100);

/// What keeps the ring driver from working here; `None`: nothing.
pub fn ring_missing() -> Option<String> {
    // On a thread of its own: a ring's late end interrupts system calls of the thread that made it.
    let tried = std::thread::Builder::new().name("probe".to_owned()).spawn(attempt).map(JoinHandle::join);
    match tried {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err((what, error)))) => Some(format!("{what}: {error}")),
        Ok(Err(_)) => Some("trying it has failed".to_owned()),
        Err(error) => Some(format!("it cannot be tried: {error}")),
    }
}

/// Which step failed, and how.
type Failed = (&'static str, io::Error);

fn attempt() -> Result<(), Failed> {
    let set_up = |error| ("io_uring with deferred work and provided buffers (Linux 6.1) cannot be set up", error);
    let (mut ring, mut pool, _bytes) = Ring::new(BUFFERS, BUFFERS).map_err(set_up)?;
    let datagrams = "datagrams are not received with one request for all (Linux 6.0)";
    let (ours, theirs) = UnixDatagram::pair().map_err(|error| (datagrams, error))?;
    for text in ["1", "2"] {
        theirs.send(text.as_bytes()).map_err(|error| (datagrams, error))?;
    }
    for done in received(&mut ring, Op::Datagrams, ours.as_fd(), 2).map_err(|error| (datagrams, error))? {
        done.filled.into_iter().for_each(|filled| pool.give(filled));
    }
    let bytes = "the bytes of a connection are not received into provided buffers (Linux 5.19)";
    let (ours, mut theirs) = UnixStream::pair().map_err(|error| (bytes, error))?;
    theirs.write_all(b"1").map_err(|error| (bytes, error))?;
    received(&mut ring, Op::Bytes, ours.as_fd(), 1).map_err(|error| (bytes, error))?;
    let accept = "connections are not accepted with one request for all (Linux 5.19)";
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| (accept, error))?;
    ring.begin(Op::Accept, 0, listener.as_fd());
    let mut done = Vec::new();
    ring.wait(Duration::ZERO).map_err(|error| (accept, error))?;
    ring.take(&mut done, 1);
    match done.first().map(|done| done.result) {
        Some(Err(errno)) => Err((accept, io::Error::from_raw_os_error(errno))),
        _ => Ok(()),
    }
}

/// Receives from a descriptor that has so much to give: each in a buffer, and the operation goes on where it is one for all.
fn received(ring: &mut Ring, op: Op, fd: BorrowedFd<'_>, count: usize) -> io::Result<Vec<Done>> {
    ring.begin(op, 0, fd);
    let mut all = Vec::new();
    while all.len() < count {
        ring.wait(PATIENCE)?;
        let mut done = Vec::new();
        ring.take(&mut done, count - all.len());
        if done.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        for done in done {
            match done.result {
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
                Ok(_) if done.more != (op == Op::Datagrams) || done.filled.is_none() => {
                    return Err(io::ErrorKind::Unsupported.into());
                }
                Ok(_) => all.push(done),
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_gives_the_same_answer() {
        let first = ring_missing();
        for _ in 0..20 {
            assert_eq!(ring_missing(), first);
        }
    }
}
