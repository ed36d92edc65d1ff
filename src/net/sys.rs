//! All unsafe code, together with its folder: batches of datagrams with one system call, socket options without a safe call, io_uring
//! ([`ring`]) and the program's allocator ([`memory`]).

#![allow(unsafe_code)]

pub mod calls;
mod memory;
#[cfg(feature = "simulated")]
mod narrow;
mod ports;
mod ring;
pub(crate) mod tcp;
pub(crate) mod udp;

use super::message::{CONTROL_BYTES, Control, NAME_BYTES, Received, SentControl, address, error_of};
use super::outbox::Parcel;
pub use memory::{Careful, RESERVE_BYTES, RESERVE_BYTES_MIN, map_large, reserve};
pub use ring::{BESIDE_BYTES, By, Done, Op, Pool, READ_BYTES, Ring, Unsent};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Most datagrams received or sent with one call. It bounds what one socket takes of a turn.
pub const BATCH: usize = 32;
/// No datagram is longer.
pub const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Distance of the buffers: three cache lines more than a datagram, so that their beginnings do not
/// share the sets of the cache.
const STRIDE: usize = DATAGRAM_BYTES_MAX + 192;

/// Buffers for datagrams received with one call. 2 MiB of addresses; memory for as much as datagrams are long.
pub struct Receiver {
    buffers: Vec<u8>,
    names: Vec<[u8; NAME_BYTES]>,
    controls: Vec<[u8; CONTROL_BYTES]>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Empty buffers.
    pub fn new() -> Self {
        Self {
            buffers: vec![0; BATCH * STRIDE],
            names: vec![[0; NAME_BYTES]; BATCH],
            controls: vec![[0; CONTROL_BYTES]; BATCH],
            iovs: vec![no_iov(); BATCH],
            headers: vec![no_header(); BATCH],
            received: 0,
        }
    }

    /// Receives waiting datagrams, up to `max` and [`BATCH`].
    pub fn receive(&mut self, socket: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        self.received = 0;
        let max = max.min(BATCH);
        let places = self.buffers.chunks_exact_mut(STRIDE).zip(&mut self.names).zip(&mut self.controls);
        let slots = places.zip(&mut self.iovs).zip(&mut self.headers);
        for ((((buffer, name), control), iov), header) in slots.take(max) {
            *iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: DATAGRAM_BYTES_MAX };
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_BYTES as _;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
        }
        if max == 1 {
            return self.receive_one(socket);
        }
        // SAFETY: there are at least `max` headers; each points to a name, a control buffer and an iovec of its own, and that to
        // DATAGRAM_BYTES_MAX bytes of its own, all of which live in `self` and are not otherwise touched during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                max as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).map_err(|_| io::Error::last_os_error())?.min(max);
        Ok(self.received)
    }

    /// Receives one datagram into the first buffer, whose header is prepared: a cheaper call than that for several.
    fn receive_one(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let header = &mut self.headers[0];
        // SAFETY: as in `receive`, of which this is the end.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header.msg_hdr, libc::MSG_DONTWAIT) };
        header.msg_len = u32::try_from(len).map_err(|_| io::Error::last_os_error())?;
        self.received = 1;
        Ok(1)
    }

    /// One of those just received.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        let header = self.headers[..self.received].get(index)?;
        let len = (header.msg_len as usize).min(DATAGRAM_BYTES_MAX);
        let control_len = header.msg_hdr.msg_controllen.min(CONTROL_BYTES);
        Some(Received {
            bytes: &self.buffers[index * STRIDE..][..len],
            peer: address(&self.names[index])?,
            control: Control::parse(&self.controls[index][..control_len]),
        })
    }
}

/// Headers for parcels of datagrams sent with one call.
pub struct Sender {
    names: Vec<socket2::SockAddr>,
    controls: Vec<SentControl>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// Datagrams in each parcel.
    datagrams: Vec<usize>,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// Empty headers.
    pub fn new() -> Self {
        Self {
            names: vec![socket2::SockAddr::from(SocketAddr::from(([0; 4], 0))); BATCH],
            controls: vec![SentControl::NONE; BATCH],
            iovs: vec![no_iov(); BATCH],
            headers: vec![no_header(); BATCH],
            datagrams: vec![0; BATCH],
        }
    }

    /// Sends up to [`BATCH`] parcels; how many datagrams were taken. An error is that of the first one.
    pub fn send<'a>(&mut self, socket: BorrowedFd<'_>, parcels: impl Iterator<Item = Parcel<'a>>) -> io::Result<usize> {
        let mut count = 0;
        let places = self.names.iter_mut().zip(&mut self.controls).zip(&mut self.iovs).zip(&mut self.headers);
        for ((((name, control), iov), header), (datagrams, parcel)) in
            places.zip(self.datagrams.iter_mut().zip(parcels))
        {
            *name = parcel.peer.into();
            *iov = libc::iovec { iov_base: parcel.bytes.as_ptr().cast_mut().cast(), iov_len: parcel.bytes.len() };
            (header.msg_hdr.msg_name, header.msg_hdr.msg_namelen) =
                if parcel.is_connected { (ptr::null_mut(), 0) } else { (name.as_ptr().cast_mut().cast(), name.len()) };
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
            (header.msg_hdr.msg_control, header.msg_hdr.msg_controllen) = (ptr::null_mut(), 0);
            if parcel.segment_bytes > 0 || !parcel.local.is_any() {
                *control = SentControl::new(parcel.segment_bytes, parcel.local, parcel.peer.is_ipv6());
                let bytes = control.bytes_mut();
                header.msg_hdr.msg_control = bytes.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = bytes.len() as _;
            }
            *datagrams = parcel.datagrams;
            count += 1;
        }
        // SAFETY: the first `count` headers (of which there are BATCH) were just made to point to a name, an iovec, bytes and perhaps
        // control messages that outlive the call, which only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        Ok(self.datagrams.iter().take(sent).sum())
    }
}

fn no_iov() -> libc::iovec {
    libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers, for all of which zero is a value.
    unsafe { mem::zeroed() }
}

/// Turns a socket option on that is an `int`.
pub fn turn_on(socket: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<()> {
    set_option(socket, level, option, 1)
}

/// Sets a socket option that is an `int`.
fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the option's value is one `int`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), size_of_val(&value) as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a UDP socket cuts a datagram that is longer than a packet of its way into fragments. If not, such a datagram is refused with
/// EMSGSIZE, and the kernel need not number the packets (`IP_MTU_DISCOVER`, ip(7)). A socket of IPv6 sends to both families.
pub fn set_fragments(socket: BorrowedFd<'_>, six: bool, on: bool) -> io::Result<()> {
    let four = if on { libc::IP_PMTUDISC_WANT } else { libc::IP_PMTUDISC_DO };
    if six {
        let value = if on { libc::IPV6_PMTUDISC_WANT } else { libc::IPV6_PMTUDISC_DO };
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, value)?;
    }
    set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, four)
}

/// Makes a UDP socket keep the errors that hosts report for its datagrams, for [`refused`].
pub fn keep_errors(socket: BorrowedFd<'_>, six: bool) -> io::Result<()> {
    if six {
        turn_on(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?;
    }
    turn_on(socket, libc::IPPROTO_IP, libc::IP_RECVERR)
}

/// The next report of a host about a datagram: where that went, and whether nobody listens there. `None`: nothing is left.
pub fn refused(socket: BorrowedFd<'_>) -> Option<(SocketAddr, bool)> {
    let (mut name, mut control) = ([0_u8; NAME_BYTES], [0_u64; CONTROL_BYTES / 8]);
    let mut header = no_header().msg_hdr;
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = NAME_BYTES as _;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the header points to `name` and `control`, which are as long as it says and outlive the call, and to no bytes.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if len < 0 {
        return None;
    }
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let told = bytes.get(..header.msg_controllen.min(CONTROL_BYTES)).unwrap_or_default();
    Some((address(&name)?, error_of(told) == Some(libc::ECONNREFUSED)))
}

/// Datagrams that a socket has dropped because it was full, wrapping around.
pub fn lost(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut info = [0u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is how long `info` is.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            ptr::from_mut(&mut len),
        )
    };
    if result == 0 && len as usize == size_of_val(&info) { info.last().copied() } else { None }
}

/// Gives the system memory back that was freed, as far as the allocator can: it keeps it otherwise.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Prefetches the cache lines of a value. Does nothing on a processor without such an instruction.
#[inline]
pub fn prefetch<T>(value: *const T, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: it reads nothing, and any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast::<i8>().wrapping_add(line * 64)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, lines);
}

#[cfg(feature = "simulated")]
pub use narrow::narrow_network;
#[cfg(feature = "simulated")]
pub use ring::{Filled, simulated};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Local;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn n15_a_host_tells_that_nobody_listens() {
        for (any, six) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            let (Ok(socket), Ok(gone)) = (UdpSocket::bind(any), UdpSocket::bind(any)) else { continue };
            let at = gone.local_addr().unwrap();
            drop(gone);
            keep_errors(socket.as_fd(), six).unwrap();
            assert_eq!(refused(socket.as_fd()), None);
            socket.send_to(&[1, 2, 3], at).unwrap();
            assert_eq!(refused(socket.as_fd()), Some((at, true)));
            assert_eq!(refused(socket.as_fd()), None);
        }
    }

    fn parcels(to: SocketAddr, datagrams: &[Vec<u8>]) -> impl Iterator<Item = Parcel<'_>> {
        datagrams.iter().map(move |bytes| Parcel {
            peer: to,
            local: Local::ANY,
            bytes,
            datagrams: 1,
            segment_bytes: 0,
            is_connected: false,
        })
    }

    fn check(address: &str) {
        let Ok(a) = UdpSocket::bind(address) else { return };
        let b = UdpSocket::bind(address).unwrap();
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let sent: Vec<Vec<u8>> = (0..BATCH + 8).map(|n| vec![n as u8; n * 3]).collect();
        let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
        let mut got = Vec::new();
        for part in sent.chunks(BATCH) {
            assert_eq!(sender.send(a.as_fd(), parcels(to, part)).unwrap(), part.len());
            assert_eq!(receiver.receive(b.as_fd(), BATCH).unwrap(), part.len());
            for index in 0..part.len() {
                let received = receiver.get(index).unwrap();
                assert_eq!(received.peer, from);
                got.push(received.bytes.to_vec());
            }
            assert!(receiver.get(part.len()).is_none());
        }
        assert_eq!(got, sent);
        assert_eq!(receiver.receive(b.as_fd(), 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn batches_arrive_whole_and_in_order() {
        check("127.0.0.1:0");
        check("[::1]:0");
    }

    #[test]
    fn a_parcel_arrives_as_its_datagrams() {
        let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let peer = b.local_addr().unwrap();
        let parcel = Parcel {
            peer,
            local: Local::ANY,
            bytes: b"aaabbbcccd",
            datagrams: 4,
            segment_bytes: 3,
            is_connected: false,
        };
        // A kernel without segmentation has nothing to show.
        if Sender::new().send(a.as_fd(), [parcel].into_iter()).is_err() {
            return;
        }
        let mut receiver = Receiver::new();
        assert_eq!(receiver.receive(b.as_fd(), BATCH).unwrap(), 4);
        let got: Vec<&[u8]> = (0..4).map(|index| receiver.get(index).unwrap().bytes).collect();
        assert_eq!(got, [&b"aaa"[..], b"bbb", b"ccc", b"d"]);
        turn_on(b.as_fd(), libc::SOL_UDP, libc::UDP_GRO).unwrap();
        Sender::new().send(a.as_fd(), [parcel].into_iter()).unwrap();
        assert_eq!(receiver.receive(b.as_fd(), BATCH).unwrap(), 1);
        let received = receiver.get(0).unwrap();
        assert_eq!((received.bytes, received.control.segment_bytes), (&b"aaabbbcccd"[..], 3));
    }

    #[test]
    fn losses_are_told_with_the_next_datagram_and_when_asked_for() {
        let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        b.set_nonblocking(true).unwrap();
        turn_on(b.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL).unwrap();
        socket2::SockRef::from(&b).set_recv_buffer_size(4_096).unwrap();
        for _ in 0..100 {
            a.send_to(&[0; 1_000], b.local_addr().unwrap()).unwrap();
        }
        let (mut receiver, mut got) = (Receiver::new(), 0);
        while let Ok(count) = receiver.receive(b.as_fd(), BATCH) {
            got += count as u32;
        }
        a.send_to(b"last", b.local_addr().unwrap()).unwrap();
        assert_eq!(receiver.receive(b.as_fd(), BATCH).unwrap(), 1);
        assert!(got < 100);
        assert_eq!(receiver.get(0).unwrap().control.lost, Some(100 - got));
        assert_eq!(lost(b.as_fd()), Some(100 - got));
    }
}
