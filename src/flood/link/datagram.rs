//! What links with UDP sockets have in common: sockets, sending, receiving.

use crate::clock::wait_for;
use crate::engine::worker::Worker;
use crate::workload::options::Options;
use fsu_net::outbox::{Outbox, To};
use fsu_net::sender::{Departing, UdpSender};
use fsu_net::sys::{BATCH, Receiver, keep_errors, lost, turn_on};
use rustix::event::epoll;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Asked for each socket; holds some ten thousand replies. Kernel memory, taken only while datagrams wait.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Batches received from one socket before requests are sent again.
const BATCHES_MAX: usize = 4;
/// Requests gathered before they are sent.
pub(super) const GATHERED_MAX: usize = 4 * BATCH;

/// Sockets of a thread, bound to any free port: for IPv4 peers, or for IPv6 ones if any is.
///
/// # Errors
/// What the system refuses.
pub fn bind(options: &Options) -> io::Result<Vec<UdpSocket>> {
    let six = options.targets.iter().any(|target| target.address.is_ipv6());
    (0..options.sockets.max(1)).map(|_| open(six, options.gso)).collect()
}

fn open(six: bool, gro: bool) -> io::Result<UdpSocket> {
    let (domain, any): (_, SocketAddr) = if six {
        (Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())
    } else {
        (Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into())
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel may give less, without an error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER_BYTES);
    if gro {
        // A kernel without it delivers datagrams one by one.
        let _ = turn_on(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO);
    }
    if six {
        socket.set_only_v6(false)?;
    }
    // A kernel without it does not report that nobody listens: such requests are lost.
    let _ = keep_errors(socket.as_fd(), six);
    socket.bind(&any.into())?;
    Ok(socket.into())
}

/// An epoll set of all sockets, and of a device's queue beside them.
pub(super) fn watch(sockets: &[UdpSocket], queue: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, socket) in sockets.iter().enumerate() {
        epoll::add(&epoll, socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
    }
    if let Some(queue) = queue {
        epoll::add(&epoll, queue, epoll::EventData::new_u64(sockets.len() as u64), epoll::EventFlags::IN)?;
    }
    Ok(epoll)
}

/// Waits for one of them. A zero time does not look.
pub(super) fn wait(epoll: &OwnedFd, at_most: Duration) -> io::Result<()> {
    if at_most.is_zero() { Ok(()) } else { wait_for(epoll, at_most) }
}

/// Datagrams that the kernel dropped at these sockets.
pub(super) fn drops<'s>(sockets: impl Iterator<Item = &'s UdpSocket>) -> u64 {
    sockets.filter_map(|socket| lost(socket.as_fd())).map(u64::from).sum()
}

/// Bytes of a socket's receive buffer; 0 where it is not known.
pub(super) fn receive_buffer_bytes(socket: Option<&UdpSocket>) -> u64 {
    let bytes = socket.map(|socket| SockRef::from(socket).recv_buffer_size());
    bytes.and_then(Result::ok).unwrap_or(0) as u64
}

/// What became of the first of the datagrams that were to be sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// This many have left.
    Left(usize),
    /// The socket takes no more now.
    Full,
    /// Nothing yet: try again.
    Again,
    /// An earlier datagram found nobody listening; nothing has left yet.
    Refused,
    /// The system refuses the first one.
    Failed,
}

/// Sends the datagrams of an outbox from number `first` on.
pub(super) fn send(sender: &mut UdpSender, socket: &UdpSocket, outbox: &Outbox<To>, first: usize) -> Sent {
    let departing = Departing { outbox, range: first..outbox.len(), six: false, is_connected: false };
    match sender.send(socket.as_fd(), &departing) {
        Ok(sent) => Sent::Left(sent),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Sent::Full,
            io::ErrorKind::Interrupted => Sent::Again,
            io::ErrorKind::ConnectionRefused => Sent::Refused,
            _ => Sent::Failed,
        },
    }
}

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) from: SocketAddr,
    /// Number of the socket.
    pub(super) socket: usize,
    pub(super) now_ns: u64,
}

/// A link that receives datagrams.
pub(super) trait Datagrams {
    /// How many sockets there are.
    fn sockets(&self) -> usize;
    fn socket(&self, number: usize) -> &UdpSocket;
    fn on_datagram(&mut self, worker: &mut Worker, arrived: Arrived<'_>);
    /// A host reported something about an earlier datagram of a socket.
    fn on_refused(&mut self, worker: &mut Worker, socket: usize);
    /// All datagrams of a batch were handled.
    fn on_batch(&mut self, worker: &mut Worker, socket: usize);
}

/// Receives from every socket, a few batches each. Returns how many times the kernel handed something over.
pub(super) fn receive(link: &mut impl Datagrams, worker: &mut Worker, receiver: &mut Receiver) -> io::Result<usize> {
    let mut total = 0;
    for socket in 0..link.sockets() {
        for _ in 0..BATCHES_MAX {
            let count = match receiver.receive(link.socket(socket).as_fd(), BATCH) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What an earlier datagram met, port unreachable, say; reported once.
                Err(error) if is_passing(&error) => {
                    link.on_refused(worker, socket);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let now_ns = worker.clock.now_ns();
            for at in 0..count {
                let Some(received) = receiver.get(at) else { continue };
                let from = received.peer;
                received
                    .datagrams()
                    .for_each(|bytes| link.on_datagram(worker, Arrived { bytes, from, socket, now_ns }));
            }
            link.on_batch(worker, socket);
            total += count;
            if count < BATCH {
                break;
            }
        }
    }
    Ok(total)
}

/// Errors that say nothing about the socket itself.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | Interrupted)
}
