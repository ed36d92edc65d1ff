//! The system calls that the drivers make ([`real`]), where a test has installed a simulated kernel: there. It has the same
//! functions, so the drivers are the same code.

use super::ring::Simulated;
use super::simulated;
use fsu_net::outbox::{Addressed, Outbox, Parcel};
use fsu_net::sys::calls as real;
use fsu_net::sys::{By, Done, Op, Receiver, Sender, Unsent};
use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::ClockId;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

pub(in crate::driver) use real::Pool;

/// Each of these by the simulated kernel if there is one, else by the real one.
macro_rules! calls {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)+) => {
        $(#[allow(dead_code)]
        pub(in crate::driver) fn $name($($arg: $type),*) -> $result {
            match simulated() {
                Some(kernel) => kernel.borrow_mut().$name($($arg),*),
                None => real::$name($($arg),*),
            }
        })+
    };
}

calls! {
    clock_ns(clock: ClockId) -> i64;
    sleep(time: Duration) -> ();
    eventfd() -> io::Result<OwnedFd>;
    clear_eventfd(fd: BorrowedFd<'_>) -> ();
    poll_readable(fd: BorrowedFd<'_>, at_most: Duration) -> Result<(), Errno>;
    epoll_create() -> Result<OwnedFd, Errno>;
    epoll_add(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, data: EventData, flags: EventFlags) -> Result<(), Errno>;
    epoll_modify(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, data: EventData, flags: EventFlags) -> Result<(), Errno>;
    epoll_delete(set: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno>;
    epoll_wait(set: BorrowedFd<'_>, events: &mut [Event], at_most: Duration) -> Result<usize, Errno>;
    receive(receiver: &mut Receiver, socket: BorrowedFd<'_>, max: usize) -> io::Result<usize>;
    send_to(socket: BorrowedFd<'_>, bytes: &[u8], peer: &SocketAddr) -> Result<usize, Errno>;
    lost(socket: BorrowedFd<'_>) -> Option<u32>;
    connect_udp(first: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket>;
    let_fragment(socket: BorrowedFd<'_>, six: bool) -> io::Result<()>;
    take_error(socket: BorrowedFd<'_>) -> Option<Errno>;
    dial(to: SocketAddr, from: Option<IpAddr>) -> Result<OwnedFd, Errno>;
    accept(listener: &TcpListener) -> Result<(OwnedFd, Option<SocketAddr>), Errno>;
    peer(stream: BorrowedFd<'_>) -> Option<SocketAddr>;
    recv(stream: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno>;
    unread(socket: BorrowedFd<'_>) -> usize;
    send(stream: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno>;
    shutdown_write(stream: BorrowedFd<'_>) -> Result<(), Errno>;
    linger_none(stream: BorrowedFd<'_>) -> Result<(), Errno>;
}

pub(in crate::driver) fn send_parcels<'a>(
    sender: &mut Sender,
    socket: BorrowedFd<'_>,
    parcels: impl Iterator<Item = Parcel<'a>>,
) -> io::Result<usize> {
    match simulated() {
        Some(kernel) => kernel.borrow_mut().send_parcels(socket, parcels),
        None => real::send_parcels(sender, socket, parcels),
    }
}

/// io_uring, or a simulated one.
#[allow(clippy::large_enum_variant, reason = "the real one is what it is for")]
pub(in crate::driver) enum Ring {
    Real(real::Ring),
    Simulated(Simulated),
}

/// Each of these by the one that it is.
macro_rules! ring {
    ($($name:ident(&mut self $(, $arg:ident: $type:ty)*) $(-> $result:ty)?;)+) => {
        $(pub(in crate::driver) fn $name(&mut self $(, $arg: $type)*) $(-> $result)? {
            match self {
                Self::Real(ring) => ring.$name($($arg),*),
                Self::Simulated(ring) => ring.$name($($arg),*),
            }
        })+
    };
}

impl Ring {
    pub(in crate::driver) fn new(datagrams: u16, bytes: u16) -> io::Result<(Self, Pool, Pool)> {
        if let Some(kernel) = simulated() {
            let (ring, datagrams, bytes) = Simulated::new(kernel, datagrams, bytes);
            return Ok((Self::Simulated(ring), datagrams, bytes));
        }
        let (ring, datagrams, bytes) = real::Ring::new(datagrams, bytes)?;
        Ok((Self::Real(ring), datagrams, bytes))
    }

    pub(in crate::driver) fn send<D: Addressed + 'static>(
        &mut self,
        data: u64,
        outbox: &Rc<Outbox<D>>,
        at: usize,
        by: &By<'_>,
    ) -> bool {
        match self {
            Self::Real(ring) => ring.send(data, outbox, at, by),
            Self::Simulated(ring) => ring.send(data, outbox, at, by),
        }
    }

    pub(in crate::driver) fn unsent(&mut self) -> &mut Vec<Unsent> {
        match self {
            Self::Real(ring) => ring.unsent(),
            Self::Simulated(ring) => ring.unsent(),
        }
    }

    ring! {
        submit(&mut self) -> bool;
        is_overflowing(&mut self) -> bool;
        keep_files(&mut self, count: u32) -> io::Result<()>;
        set_file(&mut self, place: u32, fd: Option<BorrowedFd<'_>>);
        begin(&mut self, op: Op, data: u64, fd: BorrowedFd<'_>);
        cancel(&mut self, op: Op, data: u64);
        is_submitted(&mut self) -> bool;
        wait(&mut self, at_most: Duration) -> io::Result<()>;
        ready(&mut self) -> usize;
        take(&mut self, done: &mut Vec<Done>, max: usize);
    }
}

/// A descriptor by its number.
pub(crate) fn number(fd: impl AsFd) -> i32 {
    use std::os::fd::AsRawFd;
    fd.as_fd().as_raw_fd()
}
