//! Receives datagrams and echoes them to their senders, with one system call each way.

use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;

/// Datagrams of one call, at most; as many as the mock takes.
pub(crate) const BATCH: usize = 32;
/// Longer datagrams come back cut.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 2_048;

/// Buffers and headers. The pointers between them are made once: neither is ever grown or moved.
pub(crate) struct Batch {
    buffers: Box<[[u8; DATAGRAM_BYTES_MAX]]>,
    names: Box<[libc::sockaddr_in]>,
    iovs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: integers and pointers, for all of which zero is a value.
        let (name, iov, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let mut all = Self {
            buffers: vec![[0; DATAGRAM_BYTES_MAX]; BATCH].into(),
            names: vec![name; BATCH].into(),
            iovs: vec![iov; BATCH].into(),
            headers: vec![header; BATCH].into(),
        };
        for at in 0..BATCH {
            all.iovs[at].iov_base = all.buffers[at].as_mut_ptr().cast();
            let header: &mut libc::msghdr = &mut all.headers[at].msg_hdr;
            header.msg_name = ptr::from_mut(&mut all.names[at]).cast();
            header.msg_iov = &raw mut all.iovs[at];
            header.msg_iovlen = 1;
        }
        all.open(BATCH);
        all
    }

    /// Makes the first ones ready to receive again.
    fn open(&mut self, count: usize) {
        for at in 0..count {
            self.iovs[at].iov_len = DATAGRAM_BYTES_MAX;
            self.headers[at].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
    }

    /// Fills the first buffers with `bytes`, addressed to `to`.
    #[allow(dead_code, reason = "not every program begins")]
    pub(crate) fn fill(&mut self, bytes: &[u8], to: libc::sockaddr_in) {
        for at in 0..BATCH {
            self.buffers[at][..bytes.len()].copy_from_slice(bytes);
            self.names[at] = to;
            self.headers[at].msg_len = bytes.len() as u32;
        }
    }

    /// Receives up to [`BATCH`] datagrams.
    pub(crate) fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        // SAFETY: BATCH headers, each with a name, an iovec and a buffer of its own, that live in `self`.
        let count = unsafe {
            libc::recvmmsg(fd, self.headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Whose the first of those received was.
    #[allow(dead_code, reason = "not every program asks")]
    pub(crate) fn peer(&self) -> std::net::SocketAddr {
        let name = self.names[0];
        let port = u16::from_be(name.sin_port);
        (std::net::Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), port).into()
    }

    /// Sends the first `count` as they are, to the addresses that they have; how many left.
    pub(crate) fn send(&mut self, fd: RawFd, count: usize) -> io::Result<usize> {
        for at in 0..count {
            self.iovs[at].iov_len = self.headers[at].msg_len as usize;
        }
        // SAFETY: as above; `count` is at most BATCH.
        let sent =
            unsafe { libc::sendmmsg(fd, self.headers.as_mut_ptr(), count.min(BATCH) as u32, libc::MSG_DONTWAIT as _) };
        self.open(count);
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}
