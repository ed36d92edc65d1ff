//! The system calls that the drivers make while they serve, one function each: the seam that the simulated kernel of the tests takes.
//!
//! Calls that bind sockets or start threads are not among them.

use super::super::outbox::Parcel;
use super::{Receiver, Sender};
pub use super::{
    lost,
    ring::{Pool, Ring},
};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, sockopt};
use rustix::time::ClockId;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// A clock, now, in nanoseconds.
#[inline]
pub fn clock_ns(clock: ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Sleeps.
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// A descriptor that is readable once it was written to.
pub fn eventfd() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Resets an eventfd: it is unreadable until it is written to again.
pub fn clear_eventfd(fd: BorrowedFd<'_>) {
    let _ = rustix::io::read(fd, &mut [0; 8]);
}

/// Waits until a descriptor is readable, but not longer than `at_most`, to the microsecond.
pub fn poll_readable(fd: BorrowedFd<'_>, at_most: Duration) -> Result<(), Errno> {
    let time = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: at_most.subsec_nanos().into() };
    rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&time)).map(|_| ())
}

/// An empty epoll set.
pub fn epoll_create() -> Result<OwnedFd, Errno> {
    epoll::create(CreateFlags::CLOEXEC)
}

/// Puts a descriptor into a set.
pub fn epoll_add(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, data: EventData, flags: EventFlags) -> Result<(), Errno> {
    epoll::add(set, fd, data, flags)
}

/// Changes which events of a descriptor are reported.
pub fn epoll_modify(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, data: EventData, flags: EventFlags) -> Result<(), Errno> {
    epoll::modify(set, fd, data, flags)
}

/// Takes a descriptor out of a set.
pub fn epoll_delete(set: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    epoll::delete(set, fd)
}

/// Waits for events, but not longer than `at_most`; how many there are.
pub fn epoll_wait(set: BorrowedFd<'_>, events: &mut [Event], at_most: Duration) -> Result<usize, Errno> {
    let time = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: at_most.subsec_nanos().into() };
    epoll::wait(set, events, Some(&time))
}

/// Receives datagrams: see [`Receiver::receive`].
#[inline]
pub fn receive(receiver: &mut Receiver, socket: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
    receiver.receive(socket, max)
}

/// Sends datagrams: see [`Sender::send`].
#[inline]
pub fn send_parcels<'a>(
    sender: &mut Sender,
    socket: BorrowedFd<'_>,
    parcels: impl Iterator<Item = Parcel<'a>>,
) -> io::Result<usize> {
    sender.send(socket, parcels)
}

/// Sends one datagram.
#[inline]
pub fn send_to(socket: BorrowedFd<'_>, bytes: &[u8], peer: &SocketAddr) -> Result<usize, Errno> {
    rustix::net::sendto(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, peer)
}

/// A second socket, connected to a peer: see [`connect_udp`](super::udp::connect_udp).
pub fn connect_udp(first: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket> {
    super::udp::connect_udp(first, peer)
}

/// From now on a UDP socket cuts what does not fit into a packet.
pub fn let_fragment(socket: BorrowedFd<'_>, six: bool) -> io::Result<()> {
    super::set_fragments(socket, six, true)
}

/// The error that a socket was marked with, which is taken off it.
pub fn take_error(socket: BorrowedFd<'_>) -> Option<Errno> {
    sockopt::socket_error(socket).ok()?.err()
}

/// The next waiting connection, and its peer.
pub fn accept(listener: &TcpListener) -> Result<(OwnedFd, Option<SocketAddr>), Errno> {
    let (fd, peer) = rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    Ok((fd, peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// Begins to open a connection: see [`dial`](super::tcp::dial).
pub fn dial(to: SocketAddr, from: Option<IpAddr>) -> Result<OwnedFd, Errno> {
    super::tcp::dial(to, from).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

/// The peer of a connection; `None`: it has gone already.
pub fn peer(stream: BorrowedFd<'_>) -> Option<SocketAddr> {
    rustix::net::getpeername(stream).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok())
}

/// Reads from a stream what is there.
#[inline]
pub fn recv(stream: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(stream, buffer, RecvFlags::DONTWAIT).map(|(count, _)| count)
}

/// Bytes of a socket that can be read: of datagrams, those of the next.
pub fn unread(socket: BorrowedFd<'_>) -> usize {
    rustix::io::ioctl_fionread(socket).map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Writes to a stream what it takes at once.
#[inline]
pub fn send(stream: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

/// Closes the sending half of a stream.
pub fn shutdown_write(stream: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::net::shutdown(stream, Shutdown::Write)
}

/// Closing the stream will reset it.
pub fn linger_none(stream: BorrowedFd<'_>) -> Result<(), Errno> {
    sockopt::set_socket_linger(stream, Some(Duration::ZERO))
}
