//! Datagram sockets.

use crate::driver::tests::kernel::{CALL_NS, Kernel, MESSAGE_NS, What};
use fsu_net::bind::Bound;
use fsu_net::outbox::Parcel;
use fsu_net::sys::Receiver;
use fsu_net::sys::simulated::Told;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// A datagram in a socket.
#[derive(Debug)]
struct Waiting {
    peer: SocketAddr,
    bytes: Vec<u8>,
    /// When it came, on the wall clock and on the monotonic one, in nanoseconds.
    unix_ns: i64,
    ns: u64,
    /// How many the socket had lost by then.
    lost: u32,
}

/// A datagram that the shard has received: when it had come.
#[derive(Debug)]
pub(in crate::driver) struct Taken {
    pub(in crate::driver) peer: SocketAddr,
    pub(in crate::driver) bytes: Vec<u8>,
    pub(in crate::driver) ns: u64,
}

/// A datagram that the shard has sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::driver) struct Left {
    pub(in crate::driver) socket: usize,
    pub(in crate::driver) peer: SocketAddr,
    pub(in crate::driver) bytes: Vec<u8>,
    pub(in crate::driver) ns: u64,
}

/// A datagram socket.
#[derive(Debug, Default)]
pub(in crate::driver) struct Udp {
    queue: VecDeque<Waiting>,
    pub(crate) error: Option<Errno>,
    /// Came when there was no room.
    pub(in crate::driver) lost: u32,
    pub(in crate::driver) taken: Vec<Taken>,
    /// Times that the kernel did not take a datagram of this socket.
    pub(in crate::driver) refusals: u64,
}

/// So many at most the kernel puts together, and so long apart in nanoseconds: they have one time.
const JOINED_MAX: usize = 16;
pub(in crate::driver) const JOINED_NS_MAX: u64 = 20_000;

impl Kernel {
    /// A datagram socket for the shard.
    pub(in crate::driver) fn udp_socket(&mut self) -> Bound {
        let fd = self.hand_out(What::Udp(self.udp.len())).expect("a pipe");
        self.udp.push(Udp::default());
        Bound::Udp(UdpSocket::from(fd))
    }

    /// Datagrams that wait in all sockets.
    pub(in crate::driver) fn waiting(&self) -> usize {
        self.udp.iter().map(|socket| socket.queue.len()).sum()
    }

    fn udp_of(&self, fd: impl AsFd) -> usize {
        match self.what(fd) {
            What::Udp(socket) => socket,
            other => panic!("datagrams of {other:?}"),
        }
    }

    /// A datagram has come.
    pub(crate) fn arrive(&mut self, socket: usize, peer: SocketAddr, bytes: Vec<u8>) {
        let (unix_ns, ns) = (self.unix_ns(), self.ns);
        let udp = &mut self.udp[socket];
        if udp.queue.len() >= self.weather.queue_max {
            udp.lost += 1;
            return self.trouble("queue_max");
        }
        udp.queue.push_back(Waiting { peer, bytes, unix_ns, ns, lost: udp.lost });
    }

    pub(crate) fn is_udp_ready(&self, socket: usize) -> bool {
        !self.udp[socket].queue.is_empty() || self.udp[socket].error.is_some()
    }

    /// Bytes of the datagram that is received next.
    pub(crate) fn next_bytes(&self, socket: usize) -> usize {
        self.udp[socket].queue.front().map_or(0, |next| next.bytes.len())
    }

    /// What one receive brings: the first that waits, perhaps with those behind it of the same peer and length.
    pub(crate) fn receive_one(&mut self, socket: usize) -> Result<Told, Errno> {
        if let Some(errno) = self.udp[socket].error.take() {
            return Err(errno);
        }
        let joins = self.chance("joined", self.weather.joined);
        let udp = &mut self.udp[socket];
        let first = udp.queue.pop_front().ok_or(Errno::AGAIN)?;
        let segment_bytes = first.bytes.len();
        let (peer, unix_ns, lost) = (first.peer, first.unix_ns, first.lost);
        let mut bytes = first.bytes.clone();
        udp.taken.push(Taken { peer, bytes: first.bytes, ns: first.ns });
        let mut segments = 1;
        while joins && segments < JOINED_MAX && bytes.len() == segments * segment_bytes {
            let fits = |next: &Waiting| {
                let is_at_once = next.ns - first.ns <= JOINED_NS_MAX;
                is_at_once && next.peer == peer && (1..=segment_bytes).contains(&next.bytes.len())
            };
            let Some(next) = udp.queue.front().is_some_and(fits).then(|| udp.queue.pop_front()).flatten() else {
                break;
            };
            bytes.extend_from_slice(&next.bytes);
            udp.taken.push(Taken { peer, bytes: next.bytes, ns: next.ns });
            segments += 1;
        }
        let mut control = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time(unix_ns));
        if lost > 0 {
            control.extend(message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &lost.to_ne_bytes()));
        }
        if segments > 1 {
            control.extend(message(libc::SOL_UDP, libc::UDP_GRO, &(segment_bytes as i32).to_ne_bytes()));
        }
        Ok(Told { name: name(peer), control, bytes })
    }

    pub(in crate::driver) fn receive(
        &mut self,
        receiver: &mut Receiver,
        fd: BorrowedFd<'_>,
        max: usize,
    ) -> io::Result<usize> {
        self.enter(CALL_NS);
        receiver.fill(&[]);
        let socket = self.udp_of(fd);
        if self.chance("interrupted", self.weather.interrupted) {
            return Err(if self.rng.bool() { Errno::INTR } else { Errno::AGAIN }.into());
        }
        let max = if self.chance("partial", self.weather.partial) { self.rng.usize(1..=max) } else { max };
        let mut all = Vec::new();
        while all.len() < max {
            match self.receive_one(socket) {
                Ok(told) => all.push(told),
                Err(errno) if all.is_empty() => return Err(errno.into()),
                // Told by the next call.
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    self.udp[socket].error = Some(errno);
                    break;
                }
            }
        }
        self.owed_ns += MESSAGE_NS * all.len() as u64;
        receiver.fill(&all);
        Ok(all.len())
    }

    /// Whether the kernel takes a datagram now.
    fn may_send(&mut self, socket: usize) -> Result<(), Errno> {
        let errno = if let Some(errno) = self.udp[socket].error.take() {
            errno
        } else if self.chance("full", self.weather.full) {
            [Errno::AGAIN, Errno::NOBUFS, Errno::INTR, Errno::NOMEM][self.rng.usize(..4)]
        } else if self.chance("refused", self.weather.refused) {
            [Errno::PERM, Errno::NETUNREACH, Errno::CONNREFUSED][self.rng.usize(..3)]
        } else {
            return Ok(());
        };
        self.udp[socket].refusals += 1;
        Err(errno)
    }

    pub(in crate::driver) fn send_to(
        &mut self,
        fd: BorrowedFd<'_>,
        bytes: &[u8],
        peer: &SocketAddr,
    ) -> Result<usize, Errno> {
        self.enter(CALL_NS);
        let socket = self.udp_of(fd);
        self.may_send(socket)?;
        self.left.push(Left { socket, peer: *peer, bytes: bytes.to_vec(), ns: self.ns });
        Ok(bytes.len())
    }

    pub(in crate::driver) fn send_parcels<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        parcels: impl Iterator<Item = Parcel<'a>>,
    ) -> io::Result<usize> {
        self.enter(CALL_NS);
        let socket = self.udp_of(fd);
        let mut count = 0;
        for parcel in parcels.take(fsu_net::sys::BATCH) {
            if count > 0 && self.chance("partial", self.weather.partial) {
                break;
            }
            let refused = match self.may_send(socket) {
                Ok(()) if parcel.segment_bytes > 0 && self.weather.no_segmentation => Err(Errno::INVAL),
                other => other,
            };
            if let Err(errno) = refused {
                // Another than the first is tried again by the next call.
                return if count > 0 { Ok(count) } else { Err(errno.into()) };
            }
            let len = if parcel.segment_bytes > 0 { parcel.segment_bytes.into() } else { parcel.bytes.len().max(1) };
            let before = self.left.len();
            for bytes in parcel.bytes.chunks(len) {
                self.left.push(Left { socket, peer: parcel.peer, bytes: bytes.to_vec(), ns: self.ns });
            }
            assert_eq!(self.left.len() - before, parcel.datagrams, "datagrams of a parcel");
            count += parcel.datagrams;
        }
        Ok(count)
    }

    pub(in crate::driver) fn lost(&mut self, fd: BorrowedFd<'_>) -> Option<u32> {
        self.enter(CALL_NS);
        Some(self.udp[self.udp_of(fd)].lost)
    }
}

/// An address as the kernel writes it (`sockaddr_in`).
fn name(peer: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(peer) = peer else { panic!("an address of IPv4") };
    let mut name = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    name.extend(peer.port().to_be_bytes());
    name.extend(peer.ip().octets());
    name.resize(16, 0);
    name
}

fn time(unix_ns: i64) -> [u8; 16] {
    let mut time = [0; 16];
    time[..8].copy_from_slice(&(unix_ns / 1_000_000_000).to_ne_bytes());
    time[8..].copy_from_slice(&(unix_ns % 1_000_000_000).to_ne_bytes());
    time
}

/// A control message (`cmsghdr`).
fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut message = (16 + data.len()).to_ne_bytes().to_vec();
    message.extend(level.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend_from_slice(data);
    message.resize(message.len().next_multiple_of(8), 0);
    message
}
