//! Sends every byte of a connection back: io_uring itself, multishot accepts, multishot receives into provided buffers,
//! sends batched. Does no work.
//!
//! `tcp_ring ADDR FIRST_PORT COUNT`, until it is killed.

#![allow(unsafe_code, reason = "what is submitted to a ring points to memory")]

#[path = "shared/buffers.rs"]
mod buffers;
#[path = "shared/sockets.rs"]
mod sockets;

use buffers::{Buffers, GROUP};
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::Type;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const ENTRIES: u32 = 1_024;
const COMPLETIONS: u32 = 16_384;
const BUFFERS: u16 = 2_048;
const BUFFER_BYTES: usize = 4_096;
/// In the upper half of what marks an entry; the lower one is a descriptor.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// Received bytes on their way back.
struct Part {
    buffer: u16,
    at: usize,
    end: usize,
}

/// One send is under way at most: the first part's.
struct Conn {
    fd: OwnedFd,
    parts: VecDeque<Part>,
    is_receiving: bool,
}

struct Echo {
    ring: IoUring,
    buffers: Buffers,
    /// By descriptor.
    conns: Vec<Option<Conn>>,
}

fn main() -> io::Result<()> {
    let (addresses, _) = sockets::arguments()?;
    let listeners = sockets::bind(&addresses, Type::STREAM)?;
    let ring =
        IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_cqsize(COMPLETIONS).build(ENTRIES)?;
    let buffers = Buffers::register(&ring, BUFFERS, BUFFER_BYTES)?;
    let mut echo = Echo { ring, buffers, conns: Vec::new() };
    for listener in &listeners {
        echo.push(&accept(listener.as_raw_fd()))?;
    }
    echo.ring.submit()?;
    sockets::ready(listeners.len())?;
    echo.run()
}

fn accept(fd: RawFd) -> squeue::Entry {
    opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC).build().user_data(mark(ACCEPT, fd))
}

fn mark(what: u64, fd: RawFd) -> u64 {
    what << 32 | fd as u64
}

impl Echo {
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: entries point to buffers only, which live as long as the ring and are not written meanwhile.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn run(mut self) -> io::Result<()> {
        let mut done = Vec::with_capacity(COMPLETIONS as usize);
        loop {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                waited => waited?,
            };
            done.extend(self.ring.completion());
            for entry in done.drain(..) {
                let fd = entry.user_data() as u32 as RawFd;
                match entry.user_data() >> 32 {
                    ACCEPT => self.on_accepted(fd, &entry)?,
                    RECEIVE => self.on_received(fd, &entry)?,
                    _ => self.on_sent(fd, entry.result())?,
                }
            }
            self.buffers.publish();
        }
    }

    fn on_accepted(&mut self, listener: RawFd, entry: &cqueue::Entry) -> io::Result<()> {
        if !cqueue::more(entry.flags()) {
            self.push(&accept(listener))?;
        }
        let Ok(at) = usize::try_from(entry.result()) else { return Ok(()) };
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(entry.result()) };
        rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
        self.conns.resize_with(self.conns.len().max(at + 1), || None);
        self.conns[at] = Some(Conn { fd, parts: VecDeque::new(), is_receiving: true });
        self.receive(at as RawFd)
    }

    fn receive(&mut self, fd: RawFd) -> io::Result<()> {
        self.push(&opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(mark(RECEIVE, fd)))
    }

    fn on_received(&mut self, fd: RawFd, entry: &cqueue::Entry) -> io::Result<()> {
        let Some(conn) = self.conns.get_mut(fd as usize).and_then(Option::as_mut) else { return Ok(()) };
        if let (Some(buffer), Ok(end @ 1..)) = (cqueue::buffer_select(entry.flags()), usize::try_from(entry.result())) {
            conn.parts.push_back(Part { buffer, at: 0, end });
            if conn.parts.len() == 1 {
                self.send(fd)?;
            }
        }
        if cqueue::more(entry.flags()) {
            return Ok(());
        }
        if entry.result() > 0 || entry.result() == -libc::ENOBUFS {
            self.buffers.publish();
            return self.receive(fd);
        }
        let Some(conn) = self.conns.get_mut(fd as usize).and_then(Option::as_mut) else { return Ok(()) };
        conn.is_receiving = false;
        self.drop_ended(fd);
        Ok(())
    }

    /// Sends the first part.
    fn send(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(conn) = self.conns.get(fd as usize).and_then(Option::as_ref) else { return Ok(()) };
        let Some(part) = conn.parts.front() else { return Ok(()) };
        let bytes = &self.buffers.get(part.buffer)[part.at..part.end];
        let entry = opcode::Send::new(Fd(conn.fd.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_NOSIGNAL)
            .build()
            .user_data(mark(SEND, fd));
        self.push(&entry)
    }

    fn on_sent(&mut self, fd: RawFd, result: i32) -> io::Result<()> {
        let Some(conn) = self.conns.get_mut(fd as usize).and_then(Option::as_mut) else { return Ok(()) };
        let Some(part) = conn.parts.front_mut() else { return Ok(()) };
        part.at += usize::try_from(result).unwrap_or(part.end);
        if part.at >= part.end {
            self.buffers.give_back(part.buffer);
            conn.parts.pop_front();
        }
        self.send(fd)?;
        self.drop_ended(fd);
        Ok(())
    }

    /// A connection goes when its peer sends no more and all is sent back.
    fn drop_ended(&mut self, fd: RawFd) {
        let Some(slot) = self.conns.get_mut(fd as usize) else { return };
        if slot.as_ref().is_some_and(|conn| !conn.is_receiving && conn.parts.is_empty()) {
            *slot = None;
        }
    }
}
