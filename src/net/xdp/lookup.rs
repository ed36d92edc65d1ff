//! `--one-socket`: a BPF `sk_lookup` program that delivers the datagrams of many addresses to a few sockets. Also the raw sockets that send
//! replies from ports other than the socket's own.

use super::addresses::Addresses;
use super::bpf::{self, Instruction, MAP_SOCKETS, PROGRAM_LOOKUP};
use super::frame::{write_four, write_udp};
use super::writer::{
    ADD_NUMBER, CALL, EXIT, GO, GO_IF_EQUAL, GO_IF_OTHER_NUMBER, LOOK_UP, MOVE, MOVE_NUMBER, NETWORK_ORDER, STACK,
    STORE, Size, Writer,
};
use crate::local::Local;
use crate::outbox::Parcel;
use crate::sys::{BATCH, Sender, turn_on};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Requested receive buffer for the datagrams of all FSUs of a shard.
const SHARED_BUFFER_BYTES: usize = 64 << 20;

/// An attached program. It is detached when the process ends.
#[derive(Debug)]
pub struct LookUp {
    addresses: Addresses,
    _sockets: OwnedFd,
    _loaded: OwnedFd,
    _link: OwnedFd,
}

impl LookUp {
    /// Loads the program and attaches it to the network namespace of this thread. Datagrams for an address with number *n* go to the *n*th
    /// of these sockets. The map has no addresses yet.
    ///
    /// # Errors
    /// The step that failed, and why: EPERM without CAP_BPF and CAP_NET_ADMIN, EINVAL before Linux 5.9.
    pub fn attach(sockets: &[BorrowedFd<'_>]) -> Result<Self, (&'static str, io::Error)> {
        let map = |error| ("a map of BPF", error);
        let addresses = Addresses::new().map_err(map)?;
        let all = bpf::map::<u32, u32>(MAP_SOCKETS, sockets.len().max(1) as u32).map_err(map)?;
        for (number, socket) in (0_u32..).zip(sockets) {
            bpf::put(all.as_fd(), &number, &socket.as_raw_fd().unsigned_abs()).map_err(map)?;
        }
        let code = instructions(&addresses, all.as_fd());
        let loaded = bpf::load(PROGRAM_LOOKUP, &code).map_err(|error| ("the program of BPF", error))?;
        let space = File::open("/proc/thread-self/ns/net").map_err(|error| ("the network namespace", error))?;
        let target = space.as_raw_fd().unsigned_abs();
        let link = bpf::attach(loaded.as_fd(), PROGRAM_LOOKUP, target, 0)
            .map_err(|error| ("attaching the program to the network namespace", error))?;
        Ok(Self { addresses, _sockets: all, _loaded: loaded, _link: link })
    }

    /// The addresses whose datagrams come here, each with the number of its socket.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// Helper functions that the program calls (linux/bpf.h).
const RELEASE: i32 = 86;
const ASSIGN: i32 = 124;
/// `SK_PASS`: continue with the assigned socket; if none was assigned, continue as without a program.
const GO_ON: i32 = 1;
const UDP: i32 = 17;
const FAMILY_SIX: i32 = 10;
/// Offsets in `struct bpf_sk_lookup`.
const AT_FAMILY: i16 = 8;
const AT_PROTOCOL: i16 = 12;
const AT_FOUR: i16 = 40;
const AT_SIX: i16 = 44;
const AT_PORT: i16 = 60;
/// Registers for the context and a socket, and stack offsets for the key and a number.
const CONTEXT: u8 = 6;
const SOCKET: u8 = 7;
const KEY: i16 = -24;
const NUMBER: i16 = -28;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Six,
    Other,
    Any,
    Found,
    Number,
    Pass,
}

fn instructions(addresses: &Addresses, sockets: BorrowedFd<'_>) -> Vec<Instruction> {
    let mut to = Writer::new();
    // Same precedence as the kernel: the exact address, the family's wildcard, the wildcard of both families.
    let zero = |to: &mut Writer<Label>, at: i16| to.put(STORE, (STACK, 0), KEY + at, 0);
    let look_up = |to: &mut Writer<Label>| {
        to.map(1, addresses.hash.as_fd());
        to.put(MOVE, (2, STACK), 0, 0);
        to.put(ADD_NUMBER, (2, 0), 0, KEY.into());
        to.put(CALL, (0, 0), 0, LOOK_UP);
        to.jump(GO_IF_OTHER_NUMBER, (0, 0), 0, Label::Found);
    };
    to.put(MOVE, (CONTEXT, 1), 0, 0);
    to.load(Size::Four, 3, CONTEXT, AT_PROTOCOL);
    to.jump(GO_IF_OTHER_NUMBER, (3, 0), UDP, Label::Pass);
    zero(&mut to, 16);
    to.load(Size::Four, 3, CONTEXT, AT_PORT);
    to.put(NETWORK_ORDER, (3, 0), 0, 16);
    to.store(Size::Two, 3, KEY + 16);
    to.load(Size::Four, 3, CONTEXT, AT_FAMILY);
    to.jump(GO_IF_EQUAL, (3, 0), FAMILY_SIX, Label::Six);
    zero(&mut to, 0);
    zero(&mut to, 4);
    to.load(Size::Four, 3, CONTEXT, AT_PORT);
    addresses.look_up(&mut to, NUMBER, |to| to.load(Size::Four, 3, CONTEXT, AT_FOUR), (Label::Number, Label::Other));
    to.label(Label::Other);
    to.put(STORE, (STACK, 0), KEY + 8, i32::from_ne_bytes([0, 0, 0xFF, 0xFF]));
    to.load(Size::Four, 3, CONTEXT, AT_FOUR);
    to.store(Size::Four, 3, KEY + 12);
    look_up(&mut to);
    zero(&mut to, 12);
    look_up(&mut to);
    to.jump(GO, (0, 0), 0, Label::Any);
    to.label(Label::Six);
    for at in [0, 4, 8, 12] {
        to.load(Size::Four, 3, CONTEXT, AT_SIX + at);
        to.store(Size::Four, 3, KEY + at);
    }
    look_up(&mut to);
    to.label(Label::Any);
    for at in [0, 4, 8, 12] {
        zero(&mut to, at);
    }
    look_up(&mut to);
    to.jump(GO, (0, 0), 0, Label::Pass);
    to.label(Label::Found);
    to.load(Size::Four, 2, 0, 0);
    to.label(Label::Number);
    to.store(Size::Four, 2, NUMBER);
    to.map(1, sockets);
    to.put(MOVE, (2, STACK), 0, 0);
    to.put(ADD_NUMBER, (2, 0), 0, NUMBER.into());
    to.put(CALL, (0, 0), 0, LOOK_UP);
    to.jump(GO_IF_EQUAL, (0, 0), 0, Label::Pass);
    to.put(MOVE, (SOCKET, 0), 0, 0);
    to.put(MOVE, (1, CONTEXT), 0, 0);
    to.put(MOVE, (2, SOCKET), 0, 0);
    to.put(MOVE_NUMBER, (3, 0), 0, 0);
    to.put(CALL, (0, 0), 0, ASSIGN);
    to.put(MOVE, (1, SOCKET), 0, 0);
    to.put(CALL, (0, 0), 0, RELEASE);
    to.label(Label::Pass);
    to.put(MOVE_NUMBER, (0, 0), 0, GO_ON);
    to.put(EXIT, (0, 0), 0, 0);
    to.finish()
}

/// A socket that receives the datagrams of many addresses, of both families if the system has IPv6. Each datagram carries its destination
/// address and port ([`crate::message::Control`]).
///
/// # Errors
/// The system's error.
pub fn socket() -> io::Result<UdpSocket> {
    let made = open(Domain::IPV6, Type::DGRAM, (Ipv6Addr::UNSPECIFIED, 0).into())
        .or_else(|_| open(Domain::IPV4, Type::DGRAM, (Ipv4Addr::UNSPECIFIED, 0).into()))?;
    // The kernel may silently grant less. With CAP_NET_ADMIN it may exceed `net.core.rmem_max`.
    if sockopt::set_socket_recv_buffer_size_force(&made, SHARED_BUFFER_BYTES).is_err() {
        let _ = made.set_recv_buffer_size(SHARED_BUFFER_BYTES);
    }
    turn_on(made.as_fd(), libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR)?;
    let _ = turn_on(made.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR);
    let _ = turn_on(made.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
    Ok(made.into())
}

fn open(domain: Domain, kind: Type, at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 && kind == Type::DGRAM {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// Packets of IPv4 up to this length are sent with headers written here. Every way takes them whole. For longer ones the kernel writes the
/// IP header, and cuts what is too long for the way.
const WHOLE_BYTES_MAX: usize = 576;

/// Which raw socket a datagram leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// IPv4, the IP header is written here: the cheapest. The socket is of no protocol, so that the kernel hands no datagram to it.
    Whole,
    /// IPv4, the kernel writes the IP header. It copies every datagram of this machine to such a socket, whose filter drops it. So it is
    /// opened when it is needed first.
    Four,
    /// The same of IPv6.
    Six,
}

/// Sends datagrams with UDP headers written here, so that each leaves from the port of its FSU.
pub struct RawSender {
    whole: Socket,
    four: Option<Socket>,
    six: Option<Socket>,
    by: By,
    /// Packets that leave by [`By::Whole`] are no longer: [`WHOLE_BYTES_MAX`], or 0 where a device takes less.
    whole_bytes_max: usize,
    sender: Sender,
    bytes: Vec<u8>,
    parcels: Vec<(SocketAddr, Local, usize)>,
}

impl RawSender {
    /// Opens the raw sockets. They receive nothing.
    ///
    /// # Errors
    /// The system's error: EPERM without CAP_NET_RAW.
    pub fn open() -> io::Result<Self> {
        // This protocol means that the program writes the IP header (raw(7)).
        let whole = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
        whole.set_nonblocking(true)?;
        Ok(Self {
            whole,
            four: None,
            six: None,
            by: By::Whole,
            whole_bytes_max: WHOLE_BYTES_MAX,
            sender: Sender::new(),
            bytes: Vec::new(),
            parcels: Vec::new(),
        })
    }

    /// Empties the queue.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.parcels.clear();
    }

    /// Queues a datagram. False if it cannot join the queued ones: it leaves by another socket, or the queue is full.
    #[inline]
    pub fn push(&mut self, from: SocketAddr, peer: SocketAddr, bytes: &[u8]) -> bool {
        let header = if peer.is_ipv6() { 0 } else { 20 };
        let by = match (peer.is_ipv6(), header + 8 + bytes.len()) {
            (true, _) => By::Six,
            (false, len) if len <= self.whole_bytes_max => By::Whole,
            (false, _) => By::Four,
        };
        if self.parcels.is_empty() {
            self.by = by;
        } else if self.by != by || self.parcels.len() >= BATCH {
            return false;
        }
        let start = self.bytes.len();
        if by == By::Whole {
            self.bytes.resize(start + header + 8 + bytes.len(), 0);
            write_four(&mut self.bytes[start..], from, peer, bytes);
        } else {
            self.bytes.resize(start + 8 + bytes.len(), 0);
            write_udp(&mut self.bytes[start..], from, peer, bytes);
        }
        let scope = if let SocketAddr::V6(six) = from { six.scope_id() } else { 0 };
        // For a raw socket, the port of the peer address means the protocol.
        let mut to = peer;
        to.set_port(0);
        self.parcels.push((to, Local::new(from.ip(), scope), self.bytes.len()));
        true
    }

    /// Sends the queued datagrams and returns how many were sent.
    ///
    /// # Errors
    /// The error of the first datagram.
    pub fn send(&mut self) -> io::Result<usize> {
        let socket = match self.by {
            By::Whole => &self.whole,
            By::Four => opened(&mut self.four, Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into())?,
            By::Six => opened(&mut self.six, Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())?,
        };
        let (bytes, mut start) = (&self.bytes, 0);
        let parcels = self.parcels.iter().map(|&(peer, local, end)| {
            let bytes = &bytes[std::mem::replace(&mut start, end)..end];
            Parcel { peer, local, bytes, datagrams: 1, segment_bytes: 0, is_connected: false }
        });
        match self.sender.send(socket.as_fd(), parcels) {
            Err(error) if self.by == By::Whole && error.raw_os_error() == Some(libc::EMSGSIZE) => {
                // A device takes less than any should: the kernel has to cut. They are tried again.
                self.whole_bytes_max = 0;
                Err(io::Error::from_raw_os_error(libc::EAGAIN))
            }
            sent => sent,
        }
    }
}

/// The raw socket at a place; opens it if there is none.
fn opened(place: &mut Option<Socket>, domain: Domain, at: SocketAddr) -> io::Result<&Socket> {
    let socket = if let Some(socket) = place.take() {
        socket
    } else {
        let socket = open(domain, Type::RAW, at)?;
        // `ret 0`: without this filter every datagram would wait in the socket.
        socket.attach_filter(&[socket2::SockFilter::new(0x06, 0, 0, 0)])?;
        let _ = socket.set_recv_buffer_size(0);
        socket
    };
    Ok(place.insert(socket))
}

/// The local address that a datagram to this peer would leave from; `None` if there is no route.
pub fn source_to(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_whole_bytes_max_longer_packets_have_the_kernels_header() {
        // It takes CAP_NET_RAW.
        let Ok(mut raw) = RawSender::open() else { return };
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut by = |peer: &str, len: usize| {
            raw.clear();
            let from = if peer.starts_with('[') { at("[::1]:9000") } else { at("127.0.0.1:9000") };
            assert!(raw.push(from, at(peer), &vec![7; len]));
            (raw.by, raw.bytes.len())
        };
        assert_eq!(by("127.0.0.1:9", 576 - 28), (By::Whole, 576));
        assert_eq!(by("127.0.0.1:9", 577 - 28), (By::Four, 577 - 20));
        assert_eq!(by("[::1]:9", 10), (By::Six, 18));
        // Only those of one way leave together.
        raw.clear();
        let pushed = [10, 10, 1_000].map(|len| raw.push(at("127.0.0.1:9000"), at("127.0.0.1:9"), &vec![7; len]));
        assert_eq!(pushed, [true, true, false]);
        // A device that takes less: the kernel cuts.
        raw.whole_bytes_max = 0;
        raw.clear();
        assert!(raw.push(at("127.0.0.1:9000"), at("127.0.0.1:9"), &[7; 10]));
        assert_eq!(raw.by, By::Four);
    }
}
