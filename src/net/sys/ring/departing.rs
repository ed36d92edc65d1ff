//! What sends of a ring point to: bytes of outboxes, addresses and headers.
//!
//! A send is marked so that it never waits (`MSG_DONTWAIT`): the kernel has sent or refused it when it has taken the submission. So all
//! of this may go when all submissions are taken.

use crate::local::Local;
use crate::message::{SentControl, mapped};
use crate::outbox::{Addressed, Outbox};
use io_uring::types::{Fd, Fixed};
use io_uring::{opcode, squeue};
use std::any::Any;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::rc::Rc;

/// A send that the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The caller's own bits.
    pub data: u64,
    /// Why: an error number.
    pub errno: i32,
}

/// By which socket a datagram leaves, and how.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The socket. It stays open until the kernel has taken the send.
    pub fd: BorrowedFd<'a>,
    /// Where the kernel may know it ([`super::Ring::set_file`]).
    pub file: Option<u32>,
    /// It is one of IPv6, which takes IPv4 addresses mapped.
    pub six: bool,
    /// It is connected to the receiver.
    pub is_connected: bool,
}

/// An address as the kernel reads it.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    four: libc::sockaddr_in,
    six: libc::sockaddr_in6,
}

/// What one send points to, besides its bytes.
struct Slot {
    name: Name,
    header: libc::msghdr,
    iov: libc::iovec,
    control: SentControl,
}

/// Slots, as many as submissions may wait.
#[derive(Default)]
pub(super) struct Departing {
    /// Boxed for good: the kernel reads them where they are.
    slots: Vec<Box<[Slot; CHUNK]>>,
    used: usize,
    kept: Vec<Rc<dyn Any>>,
}

/// Slots of one allocation.
const CHUNK: usize = 32;

/// An operation on a descriptor, by the place where the kernel knows it or by its number: these are two types.
macro_rules! on {
    ($file:expr, $number:expr, |$fd:ident| $entry:expr) => {
        match $file {
            Some(file) => {
                let $fd = Fixed(file);
                $entry
            }
            None => {
                let $fd = Fd($number.as_raw_fd());
                $entry
            }
        }
    };
}

impl Departing {
    /// All were taken.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.kept.clear();
    }

    fn keep<D: 'static>(&mut self, outbox: &Rc<Outbox<D>>) {
        let at: *const () = Rc::as_ptr(outbox).cast();
        if self.kept.last().is_none_or(|kept| Rc::as_ptr(kept).cast() != at) {
            self.kept.push(outbox.clone());
        }
    }

    fn slot(&mut self) -> &mut Slot {
        let (chunk, at) = (self.used / CHUNK, self.used % CHUNK);
        if chunk == self.slots.len() {
            self.slots.push(Box::new(std::array::from_fn(|_| Slot::new())));
        }
        self.used += 1;
        &mut self.slots[chunk][at]
    }

    /// The submission of one datagram; `None`: the outbox has none there.
    #[inline]
    pub(super) fn entry<D: Addressed + 'static>(
        &mut self,
        outbox: &Rc<Outbox<D>>,
        at: usize,
        by: &By<'_>,
        file: Option<u32>,
    ) -> Option<squeue::Entry> {
        const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let (datagram, bytes) = outbox.get(at)?;
        self.keep(outbox);
        let (start, len) = (bytes.as_ptr(), bytes.len() as u32);
        let entry = if datagram.local().is_any() || by.is_connected {
            let (name, name_len) =
                if by.is_connected { (ptr::null(), 0) } else { self.slot().name(datagram.peer(), by.six) };
            on!(file, by.fd, |fd| opcode::Send::new(fd, start, len)
                .flags(FLAGS)
                .dest_addr(name)
                .dest_addr_len(name_len)
                .build())
        } else {
            let header = self.slot().header((datagram.peer(), datagram.local()), bytes, by.six);
            on!(file, by.fd, |fd| opcode::SendMsg::new(fd, header).flags(FLAGS as u32).build())
        };
        Some(entry.flags(squeue::Flags::SKIP_SUCCESS))
    }
}

impl Slot {
    fn new() -> Self {
        // SAFETY: integers and pointers, for all of which zero is a value.
        let (name, header, iov) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self { name, header, iov, control: SentControl::NONE }
    }

    /// Writes an address, for a socket of that family; where it is and how long.
    #[inline]
    fn name(&mut self, peer: SocketAddr, six: bool) -> (*const libc::sockaddr, u32) {
        let peer = if six { mapped(peer) } else { peer };
        let len = match peer {
            SocketAddr::V4(four) => {
                self.name.four = libc::sockaddr_in {
                    sin_family: libc::AF_INET as _,
                    sin_port: four.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(four.ip().octets()) },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(six) => {
                self.name.six = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as _,
                    sin6_port: six.port().to_be(),
                    sin6_flowinfo: six.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: six.ip().octets() },
                    sin6_scope_id: six.scope_id(),
                };
                size_of::<libc::sockaddr_in6>()
            }
        };
        ((&raw const self.name).cast(), len as u32)
    }

    /// Writes all that is needed for a datagram that leaves from a certain address.
    fn header(&mut self, (peer, local): (SocketAddr, Local), bytes: &[u8], six: bool) -> *const libc::msghdr {
        let (_, name_len) = self.name(peer, six);
        self.control = SentControl::new(0, local, six);
        self.iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        self.header.msg_name = (&raw mut self.name).cast();
        self.header.msg_namelen = name_len;
        (self.header.msg_iov, self.header.msg_iovlen) = (&raw mut self.iov, 1);
        let control = self.control.bytes_mut();
        let (at, len) = (control.as_mut_ptr(), control.len());
        self.header.msg_control = if len == 0 { ptr::null_mut() } else { at.cast() };
        self.header.msg_controllen = len as _;
        &raw const self.header
    }
}
