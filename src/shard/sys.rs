//! All that is unsafe: batches of datagrams with one system call, and the executor's wait for a foreign descriptor.

#![allow(unsafe_code)]

use futures_io::AsyncRead;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

/// Datagrams received or sent with one call, at most: bounds what one socket may take of a turn.
pub(super) const BATCH: usize = 32;
/// No datagram is longer.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Distance of the buffers: three cache lines more than a datagram, so that their beginnings do not
/// share the sets of the cache.
const STRIDE: usize = DATAGRAM_BYTES_MAX + 192;

/// Buffers for datagrams received with one call. 2 MiB of addresses; memory for as much as datagrams are long.
pub(super) struct Receiver {
    buffers: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

impl Receiver {
    /// Empty buffers.
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![0; BATCH * STRIDE],
            names: vec![no_name(); BATCH],
            iovs: vec![no_iov(); BATCH],
            headers: vec![no_header(); BATCH],
            received: 0,
        }
    }

    /// Receives what is there, up to [`BATCH`] datagrams.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        let slots =
            self.buffers.chunks_exact_mut(STRIDE).zip(&mut self.names).zip(&mut self.iovs).zip(&mut self.headers);
        for (((buffer, name), iov), header) in slots {
            *iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: DATAGRAM_BYTES_MAX };
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: there are BATCH headers; each points to a name and an iovec of its own, and that to DATAGRAM_BYTES_MAX
        // bytes of its own, all of which live in `self` and are not otherwise touched during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).map_err(|_| io::Error::last_os_error())?.min(BATCH);
        Ok(self.received)
    }

    /// One of those just received: its bytes and who sent it.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], SocketAddr)> {
        let header = self.headers[..self.received].get(index)?;
        let len = (header.msg_len as usize).min(DATAGRAM_BYTES_MAX);
        Some((&self.buffers[index * STRIDE..][..len], address(&self.names[index])?))
    }

    /// A buffer for a datagram received alone.
    pub(super) fn single(&mut self) -> &mut [u8] {
        &mut self.buffers[..DATAGRAM_BYTES_MAX]
    }
}

/// Headers for datagrams sent with one call.
pub(super) struct Sender {
    names: Vec<socket2::SockAddr>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Sender {
    /// Empty headers.
    pub(super) fn new() -> Self {
        Self { names: Vec::with_capacity(BATCH), iovs: vec![no_iov(); BATCH], headers: vec![no_header(); BATCH] }
    }

    /// Sends up to [`BATCH`] datagrams; how many were taken. An error is that of the first one.
    pub(super) fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])> + Clone,
    ) -> io::Result<usize> {
        self.names.clear();
        self.names.extend(datagrams.clone().take(BATCH).map(|(peer, _)| socket2::SockAddr::from(peer)));
        let slots = self.names.iter().zip(datagrams).zip(&mut self.iovs).zip(&mut self.headers);
        for (((name, (_, bytes)), iov), header) in slots {
            *iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: there are at least as many headers as names (both are bounded by BATCH), and so many point to a name, an iovec
        // and bytes that outlive the call, which only reads them.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.names.len() as u32,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

fn no_iov() -> libc::iovec {
    libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers, for all of which zero is a value.
    unsafe { mem::zeroed() }
}

fn no_name() -> libc::sockaddr_storage {
    // SAFETY: integers, for all of which zero is a value.
    unsafe { mem::zeroed() }
}

/// An address as the kernel wrote it; `None` for another family.
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage is large enough and aligned for any address, and the family says it is this one.
            let four = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(four.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(four.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let six = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(six.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(six.sin6_port), six.sin6_flowinfo, six.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Tells the executor's reactor to watch a descriptor that it did not make.
///
/// glommio has no call for that. Its `TcpStream` arms a poll on its descriptor as soon as it is made, and once that has
/// fired it tries to receive; on what is no socket that fails, which here means ready. A stream is used for one firing only, as
/// the next read would not wait again; it owns a duplicate of the descriptor, and cancels its poll when dropped.
pub(super) struct Readiness {
    stream: Option<glommio::net::TcpStream>,
}

impl Readiness {
    /// Nothing is watched before the first poll.
    pub(super) fn new() -> Self {
        Self { stream: None }
    }

    /// Ready when `fd`, which is no socket and always the same, is readable; may be ready too early, never too late.
    pub(super) fn poll(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = if let Some(stream) = &mut self.stream {
            stream
        } else {
            let owned = fd.try_clone_to_owned()?.into_raw_fd();
            // SAFETY: the descriptor was just duplicated and is owned by nothing else.
            self.stream.insert(unsafe { glommio::net::TcpStream::from_raw_fd(owned) })
        };
        match Pin::new(stream).poll_read(cx, &mut [0]) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.stream = None;
                Poll::Ready(Ok(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn check(address: &str) {
        let Ok(a) = UdpSocket::bind(address) else { return };
        let b = UdpSocket::bind(address).unwrap();
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let sent: Vec<Vec<u8>> = (0..BATCH + 8).map(|n| vec![n as u8; n * 3]).collect();
        let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
        let mut got = Vec::new();
        for part in sent.chunks(BATCH) {
            let count = sender.send(a.as_fd(), part.iter().map(|bytes| (to, &bytes[..]))).unwrap();
            assert_eq!(count, part.len());
            assert_eq!(receiver.receive(b.as_fd()).unwrap(), part.len());
            for index in 0..part.len() {
                let (bytes, peer) = receiver.get(index).unwrap();
                assert_eq!(peer, from);
                got.push(bytes.to_vec());
            }
            assert!(receiver.get(part.len()).is_none());
        }
        assert_eq!(got, sent);
        assert_eq!(receiver.receive(b.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn batches_arrive_whole_and_in_order() {
        check("127.0.0.1:0");
        check("[::1]:0");
    }
}
