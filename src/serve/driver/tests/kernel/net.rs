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
    /// By the socket that is connected to its peer.
    pub(in crate::driver) is_centre: bool,
}

/// A datagram socket, and the one that is connected to a peer.
#[derive(Debug, Default)]
pub(in crate::driver) struct Udp {
    queue: VecDeque<Waiting>,
    pub(crate) error: Option<Errno>,
    own_lost: u32,
    centre: Option<Centre>,
    /// Came to either when there was no room.
    pub(in crate::driver) lost: u32,
    pub(in crate::driver) taken: Vec<Taken>,
    /// Times that the kernel did not take a datagram of this socket.
    pub(in crate::driver) refusals: u64,
    /// It cuts what does not fit.
    fragments: bool,
}

/// One of a datagram socket and the one that is connected.
pub(in crate::driver) type Half = (usize, bool);

/// A connected socket at the same address.
#[derive(Debug)]
struct Centre {
    peer: SocketAddr,
    queue: VecDeque<Waiting>,
    error: Option<Errno>,
    lost: u32,
    /// It is not connected yet to the one that asks: this number of datagrams of any sender still come to it.
    strangers: u32,
}

/// Most datagrams that the kernel puts together, and most nanoseconds between them: they have one time.
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
        let of_centre = |socket: &Udp| socket.centre.as_ref().map_or(0, |centre| centre.queue.len());
        self.udp.iter().map(|socket| socket.queue.len() + of_centre(socket)).sum()
    }

    fn udp_of(&self, fd: impl AsFd) -> Half {
        self.half(self.file(fd))
    }

    pub(crate) fn half(&self, file: usize) -> Half {
        match self.files[file].what {
            What::Udp(socket) => (socket, false),
            What::Centre(socket) => (socket, true),
            other => panic!("datagrams of {other:?}"),
        }
    }

    fn queue(&mut self, (socket, is_centre): Half) -> &mut VecDeque<Waiting> {
        let udp = &mut self.udp[socket];
        if is_centre { &mut udp.centre.as_mut().expect("a connected socket").queue } else { &mut udp.queue }
    }

    /// The error that a socket is marked with.
    pub(crate) fn error_of(&mut self, (socket, is_centre): Half) -> &mut Option<Errno> {
        let udp = &mut self.udp[socket];
        if is_centre { &mut udp.centre.as_mut().expect("a connected socket").error } else { &mut udp.error }
    }

    /// A second socket. Before it is connected it may get what others send; then its peer may not listen for a moment.
    pub(in crate::driver) fn connect_udp(&mut self, first: &UdpSocket, peer: SocketAddr) -> io::Result<UdpSocket> {
        self.enter(5 * CALL_NS);
        let (socket, _) = self.udp_of(first);
        assert!(self.udp[socket].centre.is_none(), "it is connected already");
        if self.chance("unconnected", self.weather.no_descriptors) {
            return Err(Errno::MFILE.into());
        }
        let fd = self.hand_out(What::Centre(socket))?;
        let strangers = if self.chance("strangers", 0.5) { self.rng.u32(1..5) } else { 0 };
        let error = self.chance("deaf", self.weather.refused).then_some(Errno::CONNREFUSED);
        self.udp[socket].centre = Some(Centre { peer, queue: VecDeque::new(), error, lost: 0, strangers });
        Ok(fd.into())
    }

    /// The connected socket is closed: what came to it meanwhile is lost.
    pub(crate) fn close_centre(&mut self, socket: usize) {
        self.udp[socket].centre = None;
    }

    /// A datagram has come.
    pub(crate) fn arrive(&mut self, socket: usize, peer: SocketAddr, bytes: Vec<u8>) {
        let (unix_ns, ns) = (self.unix_ns(), self.ns);
        let udp = &mut self.udp[socket];
        let centre = udp.centre.as_mut().filter(|centre| centre.peer == peer || centre.strangers > 0);
        let (queue, lost) = match centre {
            Some(centre) => {
                centre.strangers = centre.strangers.saturating_sub(1);
                (&mut centre.queue, &mut centre.lost)
            }
            None => (&mut udp.queue, &mut udp.own_lost),
        };
        if queue.len() >= self.weather.queue_max {
            (*lost, udp.lost) = (*lost + 1, udp.lost + 1);
            return self.trouble("queue_max");
        }
        queue.push_back(Waiting { peer, bytes, unix_ns, ns, lost: *lost });
    }

    /// Datagrams that wait in a socket, and the error that it is marked with.
    fn state(&self, (socket, is_centre): Half) -> (&VecDeque<Waiting>, Option<Errno>) {
        let udp = &self.udp[socket];
        match &udp.centre {
            Some(centre) if is_centre => (&centre.queue, centre.error),
            _ => (&udp.queue, udp.error),
        }
    }

    pub(crate) fn is_udp_ready(&self, half: Half) -> bool {
        let (queue, error) = self.state(half);
        !queue.is_empty() || error.is_some()
    }

    pub(crate) fn has_error(&self, half: Half) -> bool {
        self.state(half).1.is_some()
    }

    /// Bytes of the datagram that is received next.
    pub(crate) fn next_bytes(&self, half: Half) -> usize {
        self.state(half).0.front().map_or(0, |next| next.bytes.len())
    }

    /// What one receive brings: the first that waits, perhaps with those behind it of the same peer and length.
    pub(crate) fn receive_one(&mut self, half: Half) -> Result<Told, Errno> {
        if let Some(errno) = self.error_of(half).take() {
            return Err(errno);
        }
        let joins = self.chance("joined", self.weather.joined);
        let first = self.queue(half).pop_front().ok_or(Errno::AGAIN)?;
        let segment_bytes = first.bytes.len();
        let (peer, unix_ns, lost) = (first.peer, first.unix_ns, first.lost);
        let mut bytes = first.bytes.clone();
        self.udp[half.0].taken.push(Taken { peer, bytes: first.bytes, ns: first.ns });
        let mut segments = 1;
        while joins && segments < JOINED_MAX && bytes.len() == segments * segment_bytes {
            let fits = |next: &Waiting| {
                let is_at_once = next.ns - first.ns <= JOINED_NS_MAX;
                is_at_once && next.peer == peer && (1..=segment_bytes).contains(&next.bytes.len())
            };
            let queue = self.queue(half);
            let Some(next) = queue.front().is_some_and(fits).then(|| queue.pop_front()).flatten() else {
                break;
            };
            bytes.extend_from_slice(&next.bytes);
            self.udp[half.0].taken.push(Taken { peer, bytes: next.bytes, ns: next.ns });
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
                    *self.error_of(socket) = Some(errno);
                    break;
                }
            }
        }
        self.owed_ns += MESSAGE_NS * all.len() as u64;
        receiver.fill(&all);
        Ok(all.len())
    }

    /// Whether the kernel takes a datagram now.
    fn may_send(&mut self, half: Half) -> Result<(), Errno> {
        let socket = half.0;
        if half.1 && self.chance("deaf", self.weather.refused) {
            // Of an earlier datagram; this one is sent by the other socket, at once.
            return Err(Errno::CONNREFUSED);
        }
        let errno = if let Some(errno) = self.error_of(half).take() {
            errno
        } else if self.chance("full", self.weather.full) {
            [Errno::AGAIN, Errno::NOBUFS, Errno::INTR, Errno::NOMEM][self.rng.usize(..4)]
        } else if !self.udp[socket].fragments && self.chance("long", self.weather.long) {
            // Tried again at once, so nobody waits for it.
            return Err(Errno::MSGSIZE);
        } else if self.chance("refused", self.weather.refused) {
            [Errno::PERM, Errno::NETUNREACH, Errno::CONNREFUSED][self.rng.usize(..3)]
        } else {
            return Ok(());
        };
        self.udp[socket].refusals += 1;
        Err(errno)
    }

    fn is_of_centre(&self, socket: usize, peer: SocketAddr) -> bool {
        self.udp[socket].centre.as_ref().is_some_and(|centre| centre.peer == peer)
    }

    /// A datagram that leaves by a connected socket.
    pub(crate) fn send_connected(&mut self, socket: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let peer = self.udp[socket].centre.as_ref().expect("a connected socket").peer;
        self.may_send((socket, true))?;
        self.left.push(Left { socket, peer, bytes: bytes.to_vec(), ns: self.ns, is_centre: true });
        Ok(bytes.len())
    }

    /// A datagram that leaves through a ring.
    pub(crate) fn send_one(&mut self, file: usize, peer: SocketAddr, bytes: Vec<u8>) -> Result<(), Errno> {
        self.go_to(self.ns + CALL_NS);
        let half @ (socket, is_centre) = self.half(file);
        self.may_send(half)?;
        assert!(!is_centre || self.is_of_centre(socket, peer), "to another than it is connected to");
        self.left.push(Left { socket, peer, bytes, ns: self.ns, is_centre });
        Ok(())
    }

    pub(in crate::driver) fn send_to(
        &mut self,
        fd: BorrowedFd<'_>,
        bytes: &[u8],
        peer: &SocketAddr,
    ) -> Result<usize, Errno> {
        self.enter(CALL_NS);
        let (socket, is_centre) = self.udp_of(fd);
        assert!(!is_centre, "it has an address");
        self.may_send((socket, false))?;
        self.left.push(Left { socket, peer: *peer, bytes: bytes.to_vec(), ns: self.ns, is_centre: false });
        Ok(bytes.len())
    }

    pub(in crate::driver) fn send_parcels<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        parcels: impl Iterator<Item = Parcel<'a>>,
    ) -> io::Result<usize> {
        self.enter(CALL_NS);
        let half @ (socket, is_centre) = self.udp_of(fd);
        let mut count = 0;
        for parcel in parcels.take(fsu_net::sys::BATCH) {
            if count > 0 && self.chance("partial", self.weather.partial) {
                break;
            }
            assert_eq!(parcel.is_connected, is_centre);
            assert!(!is_centre || self.is_of_centre(socket, parcel.peer), "to another than it is connected to");
            let refused = match self.may_send(half) {
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
                self.left.push(Left { socket, peer: parcel.peer, bytes: bytes.to_vec(), ns: self.ns, is_centre });
            }
            assert_eq!(self.left.len() - before, parcel.datagrams, "datagrams of a parcel");
            count += parcel.datagrams;
        }
        Ok(count)
    }

    pub(in crate::driver) fn let_fragment(&mut self, fd: BorrowedFd<'_>, _six: bool) -> io::Result<()> {
        self.enter(CALL_NS);
        let (socket, _) = self.udp_of(fd);
        self.udp[socket].fragments = true;
        Ok(())
    }

    pub(in crate::driver) fn lost(&mut self, fd: BorrowedFd<'_>) -> Option<u32> {
        self.enter(CALL_NS);
        let (socket, is_centre) = self.udp_of(fd);
        let udp = &self.udp[socket];
        Some(if is_centre { udp.centre.as_ref()?.lost } else { udp.own_lost })
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
