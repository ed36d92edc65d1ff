//! The memory that an AF_XDP socket shares with the kernel: frames, and four rings of frame addresses.

#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Size of a frame. The kernel reserves `XDP_PACKET_HEADROOM` bytes before received data, which leaves at most 1,792 bytes.
pub(super) const FRAME_STRIDE: usize = 2_048;
/// Reserved bytes before a received frame (`XDP_PACKET_HEADROOM`).
#[cfg(test)]
const HEADROOM_BYTES: usize = 256;

/// Memory from mmap(2).
#[derive(Debug)]
struct Mapped {
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory is not bound to a thread. All access goes through `Frames` and `Ring`, which state their rules.
unsafe impl Send for Mapped {}
// SAFETY: as above: shared parts are accessed through atomics, or by one owner at a time.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// `fd`: `None` for anonymous memory.
    fn new(bytes: usize, fd: Option<BorrowedFd<'_>>, offset: u64) -> io::Result<Self> {
        let fresh = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let flags = libc::MAP_POPULATE | if fd.is_some() { libc::MAP_SHARED } else { fresh };
        let (read_write, fd) = (libc::PROT_READ | libc::PROT_WRITE, fd.map_or(-1, |fd| fd.as_raw_fd()));
        // SAFETY: the kernel chooses a free address.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, read_write, flags, fd, offset.cast_signed()) };
        match NonNull::new(at.cast::<u8>()) {
            Some(at) if at.as_ptr().cast::<libc::c_void>() != libc::MAP_FAILED => Ok(Self { at, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no pointer into it is left.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.bytes) };
    }
}

/// Frames that the kernel reads and writes.
#[derive(Debug)]
pub(super) struct Frames(Mapped);

impl Frames {
    pub(super) fn new(count: usize) -> io::Result<Self> {
        Mapped::new(count * FRAME_STRIDE, None, 0).map(Self)
    }

    /// Registers the frames with the kernel.
    pub(super) fn register(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let memory = libc::xdp_umem_reg {
            addr: self.0.at.as_ptr().expose_provenance() as u64,
            len: self.0.bytes as u64,
            chunk_size: FRAME_STRIDE as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set(socket, libc::XDP_UMEM_REG, &memory)
    }

    /// The bytes of a frame that this program owns: taken from the receive ring and not returned yet.
    ///
    /// # Safety
    /// The kernel does not own the frame, and nobody writes to it while the result lives.
    pub(super) unsafe fn get(&self, at: u64, len: usize) -> Option<&[u8]> {
        self.fits(at, len).then(|| {
            // SAFETY: within the memory; the caller guarantees the rest.
            unsafe { std::slice::from_raw_parts(self.0.at.as_ptr().add(at as usize), len) }
        })
    }

    /// Like [`Self::get`], for writing.
    ///
    /// # Safety
    /// The kernel does not own the frame, and nobody else reads or writes it while the result lives.
    #[expect(clippy::mut_from_ref, reason = "frames are parts of one memory, each with one owner at a time")]
    pub(super) unsafe fn get_mut(&self, at: u64) -> Option<&mut [u8]> {
        self.fits(at, FRAME_STRIDE).then(|| {
            // SAFETY: within the memory; the caller guarantees the rest.
            unsafe { std::slice::from_raw_parts_mut(self.0.at.as_ptr().add(at as usize), FRAME_STRIDE) }
        })
    }

    fn fits(&self, at: u64, len: usize) -> bool {
        usize::try_from(at).ok().and_then(|at| at.checked_add(len)).is_some_and(|end| end <= self.0.bytes)
    }
}

/// An entry of a ring: a frame's address, or a descriptor.
///
/// # Safety
/// The kernel's layout: plain numbers, for which every bit pattern is valid.
pub(super) unsafe trait Entry: Copy {}
// SAFETY: a number.
unsafe impl Entry for u64 {}
// SAFETY: numbers.
unsafe impl Entry for libc::xdp_desc {}

/// Which ring: its socket option, its mapping offset, and which of the kernel's offsets belong to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fill,
    Completion,
    Receive,
    Send,
}

impl Kind {
    fn option(self) -> (i32, u64) {
        match self {
            Self::Fill => (libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_PGOFF_FILL_RING),
            Self::Completion => (libc::XDP_UMEM_COMPLETION_RING, libc::XDP_UMEM_PGOFF_COMPLETION_RING),
            Self::Receive => (libc::XDP_RX_RING, libc::XDP_PGOFF_RX_RING as u64),
            Self::Send => (libc::XDP_TX_RING, libc::XDP_PGOFF_TX_RING as u64),
        }
    }

    fn offsets(self, all: &libc::xdp_mmap_offsets) -> libc::xdp_ring_offset {
        match self {
            Self::Fill => all.fr,
            Self::Completion => all.cr,
            Self::Receive => all.rx,
            Self::Send => all.tx,
        }
    }
}

/// One ring. This program is its producer or its consumer; the kernel has the other role.
#[derive(Debug)]
pub(super) struct Ring<E> {
    memory: Mapped,
    offsets: libc::xdp_ring_offset,
    mask: u32,
    entries: PhantomData<E>,
}

impl<E: Entry> Ring<E> {
    /// Creates the ring; `count` is a power of two.
    pub(super) fn new(socket: BorrowedFd<'_>, kind: Kind, count: u32) -> io::Result<Self> {
        debug_assert!(count.is_power_of_two());
        let (option, place) = kind.option();
        set(socket, option, &count)?;
        // SAFETY: plain numbers, for which zero is valid.
        let all: libc::xdp_mmap_offsets = get(socket, libc::XDP_MMAP_OFFSETS, unsafe { std::mem::zeroed() })?;
        let offsets = kind.offsets(&all);
        let bytes = offsets.desc as usize + count as usize * size_of::<E>();
        let memory = Mapped::new(bytes, Some(socket), place)?;
        let within = [offsets.producer, offsets.consumer, offsets.flags].iter().all(|&at| at as usize + 4 <= bytes);
        if !within {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { memory, offsets, mask: count - 1, entries: PhantomData })
    }

    fn number(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: within the mapping (see `new`), aligned by the kernel, and accessed only atomically, also by the kernel.
        unsafe { AtomicU32::from_ptr(self.memory.at.as_ptr().add(offset as usize).cast()) }
    }

    fn producer(&self) -> &AtomicU32 {
        self.number(self.offsets.producer)
    }

    fn consumer(&self) -> &AtomicU32 {
        self.number(self.offsets.consumer)
    }

    /// Whether the kernel must be woken to continue with the ring.
    #[inline]
    pub(super) fn needs_wake(&self) -> bool {
        self.number(self.offsets.flags).load(Ordering::Acquire) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    fn place(&self, number: u32) -> *mut E {
        let at = self.offsets.desc as usize + (number & self.mask) as usize * size_of::<E>();
        // SAFETY: within the mapping, which has room for `mask + 1` entries behind `desc`.
        unsafe { self.memory.at.as_ptr().add(at).cast() }
    }

    /// Consumer: number of entries available.
    #[inline]
    pub(super) fn ready(&self) -> u32 {
        let ready = self.producer().load(Ordering::Acquire).wrapping_sub(self.consumer().load(Ordering::Relaxed));
        ready.min(self.mask + 1)
    }

    /// Consumer: the entry at this distance from the next one. It must exist ([`Ring::ready`]).
    #[inline]
    pub(super) fn peek(&self, number: u32) -> E {
        let at = self.consumer().load(Ordering::Relaxed).wrapping_add(number);
        // SAFETY: within the mapping. The kernel wrote the entry before it advanced the producer index that `ready` read.
        unsafe { self.place(at).read() }
    }

    /// Consumer: releases this many entries.
    #[inline]
    pub(super) fn consume(&self, count: u32) {
        let at = self.consumer().load(Ordering::Relaxed).wrapping_add(count);
        self.consumer().store(at, Ordering::Release);
    }

    /// Producer: number of entries that the kernel has not consumed.
    #[inline]
    pub(super) fn waiting(&self) -> u32 {
        let waiting = self.producer().load(Ordering::Relaxed).wrapping_sub(self.consumer().load(Ordering::Acquire));
        waiting.min(self.mask + 1)
    }

    /// Producer: number of free entries.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        self.mask + 1 - self.waiting()
    }

    /// Producer: writes the entry at this distance behind the last published one. There must be room ([`Ring::room`]).
    #[inline]
    pub(super) fn write(&self, number: u32, entry: E) {
        let at = self.producer().load(Ordering::Relaxed).wrapping_add(number);
        // SAFETY: within the mapping, and the kernel does not read the entry before `publish`.
        unsafe { self.place(at).write(entry) };
    }

    /// Producer: publishes this many written entries to the kernel.
    #[inline]
    pub(super) fn publish(&self, count: u32) {
        let at = self.producer().load(Ordering::Relaxed).wrapping_add(count);
        self.producer().store(at, Ordering::Release);
    }
}

/// Sets an option of an AF_XDP socket.
pub(super) fn set<T: Copy>(socket: BorrowedFd<'_>, option: i32, value: &T) -> io::Result<()> {
    let bytes = size_of::<T>() as libc::socklen_t;
    let at = std::ptr::from_ref(value).cast();
    // SAFETY: the value has the length that the call states and outlives it.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, at, bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option of an AF_XDP socket in full.
pub(super) fn get<T: Copy>(socket: BorrowedFd<'_>, option: i32, mut value: T) -> io::Result<T> {
    let mut bytes = size_of::<T>() as libc::socklen_t;
    let at = (&raw mut value).cast();
    // SAFETY: the kernel writes at most the size of the value, which consists of plain numbers.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, at, &raw mut bytes) };
    match result {
        0 if bytes as usize == size_of::<T>() => Ok(value),
        0 => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Binds an AF_XDP socket to a queue of a device.
pub(super) fn bind(socket: BorrowedFd<'_>, device: u32, queue: u32) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: device,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let bytes = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address has the length that the call states and outlives it.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the kernel send what is in the ring; repeats while it makes progress and entries remain.
pub(super) fn wake(socket: BorrowedFd<'_>) -> io::Result<()> {
    let (none, flags) = (std::ptr::null(), libc::MSG_DONTWAIT);
    // SAFETY: no bytes and no address.
    let result = unsafe { libc::sendto(socket.as_raw_fd(), none, 0, flags, std::ptr::null(), 0) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A new AF_XDP socket without memory or rings.
pub(super) fn socket() -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the call takes only numbers.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just created this descriptor, and nothing else owns it.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::super::frame::FRAME_BYTES_MAX;
    use super::*;

    #[test]
    fn the_longest_frame_has_room() {
        const { assert!(FRAME_BYTES_MAX + HEADROOM_BYTES <= FRAME_STRIDE) };
        let frames = Frames::new(2).unwrap();
        let fits = |at, len| frames.fits(at, len);
        assert_eq!((fits(0, 4_096), fits(0, 4_097), fits(4_096, 0), fits(u64::MAX, 1)), (true, false, true, false));
    }
}
