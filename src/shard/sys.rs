//! All that is unsafe: batches of datagrams with one system call, socket options that have no safe call, io_uring, and the
//! executor's wait for a foreign descriptor.

#![allow(unsafe_code)]

use super::message::{CONTROL_BYTES, Control, NAME_BYTES, Received, address, error_of, segment_control};
use super::outbox::Parcel;
use futures_io::AsyncRead;
use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering, fence};
use std::task::{Context, Poll};
use std::time::Duration;

/// Datagrams received or sent with one call, at most: bounds what one socket may take of a turn.
pub(crate) const BATCH: usize = 32;
/// No datagram is longer.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Distance of the buffers: three cache lines more than a datagram, so that their beginnings do not
/// share the sets of the cache.
const STRIDE: usize = DATAGRAM_BYTES_MAX + 192;

/// Buffers for datagrams received with one call. 2 MiB of addresses; memory for as much as datagrams are long.
pub(crate) struct Receiver {
    buffers: Vec<u8>,
    names: Vec<[u8; NAME_BYTES]>,
    controls: Vec<[u8; CONTROL_BYTES]>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

impl Receiver {
    /// Empty buffers.
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![0; BATCH * STRIDE],
            names: vec![[0; NAME_BYTES]; BATCH],
            controls: vec![[0; CONTROL_BYTES]; BATCH],
            iovs: vec![no_iov(); BATCH],
            headers: vec![no_header(); BATCH],
            received: 0,
        }
    }

    /// Receives what is there, up to `max` datagrams and [`BATCH`].
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
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
    pub(crate) fn get(&self, index: usize) -> Option<Received<'_>> {
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
pub(crate) struct Sender {
    names: Vec<socket2::SockAddr>,
    controls: Vec<[u8; 24]>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// Datagrams in each parcel.
    datagrams: Vec<usize>,
}

impl Sender {
    /// Empty headers.
    pub(crate) fn new() -> Self {
        Self {
            names: vec![socket2::SockAddr::from(SocketAddr::from(([0; 4], 0))); BATCH],
            controls: vec![[0; 24]; BATCH],
            iovs: vec![no_iov(); BATCH],
            headers: vec![no_header(); BATCH],
            datagrams: vec![0; BATCH],
        }
    }

    /// Sends up to [`BATCH`] parcels; how many datagrams were taken. An error is that of the first one.
    pub(crate) fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        parcels: impl Iterator<Item = Parcel<'a>>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let places = self.names.iter_mut().zip(&mut self.controls).zip(&mut self.iovs).zip(&mut self.headers);
        for ((((name, control), iov), header), (datagrams, parcel)) in
            places.zip(self.datagrams.iter_mut().zip(parcels))
        {
            *name = parcel.peer.into();
            *iov = libc::iovec { iov_base: parcel.bytes.as_ptr().cast_mut().cast(), iov_len: parcel.bytes.len() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
            (header.msg_hdr.msg_control, header.msg_hdr.msg_controllen) = (ptr::null_mut(), 0);
            if parcel.segment_bytes > 0 {
                *control = segment_control(parcel.segment_bytes);
                header.msg_hdr.msg_control = control.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = control.len() as _;
            }
            *datagrams = parcel.datagrams;
            count += 1;
        }
        // SAFETY: the first `count` headers (of which there are BATCH) were just made to point to a name, an iovec, bytes and perhaps
        // a control message that outlive the call, which only reads them.
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
pub(crate) fn turn_on(socket: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is one `int`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&on).cast(), size_of_val(&on) as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a UDP socket keep what hosts tell of its datagrams, for [`refused`].
pub(crate) fn keep_errors(socket: BorrowedFd<'_>, six: bool) -> io::Result<()> {
    if six {
        turn_on(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?;
    }
    turn_on(socket, libc::IPPROTO_IP, libc::IP_RECVERR)
}

/// The next report of a host about a datagram: where that went, and whether nobody listens there. `None`: nothing is left.
pub(crate) fn refused(socket: BorrowedFd<'_>) -> Option<(SocketAddr, bool)> {
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

/// Datagrams that a socket has lost for want of room, wrapping around.
pub(crate) fn lost(socket: BorrowedFd<'_>) -> Option<u32> {
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

/// Asks for the cache lines of a value, without waiting for them. Nothing where the processor has no such instruction.
#[inline]
pub(super) fn prefetch<T>(value: *const T, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: it reads nothing, and any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(value.cast::<i8>().wrapping_add(line * 64)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, lines);
}

/// What an operation of a [`Ring`] is; told again with its completions, beside 56 bits of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    /// Something was cancelled.
    Cancel,
    /// A descriptor is readable: told again and again.
    Readable,
    /// A descriptor is writable: told once.
    Writable,
    /// Datagrams, until it ends.
    Datagrams,
    /// Connections, until it ends.
    Accept,
    /// Bytes of a connection, until it ends.
    Bytes,
}

const OPS: [Op; 6] = [Op::Cancel, Op::Readable, Op::Writable, Op::Datagrams, Op::Accept, Op::Bytes];
const OP_SHIFT: u32 = 56;

/// A buffer that the kernel has filled and given back.
#[derive(Debug)]
pub(super) struct Filled {
    id: u16,
    len: usize,
}

/// A completion.
#[derive(Debug)]
pub(super) struct Done {
    /// Of which operation.
    pub(super) op: Op,
    /// The caller's own bits.
    pub(super) data: u64,
    /// What came of it: an error number, or a result that is not negative.
    pub(super) result: Result<u32, i32>,
    /// The operation goes on.
    pub(super) more: bool,
    /// The buffer that was filled; to be given back to the [`Pool`].
    pub(super) filled: Option<Filled>,
    /// The connection that was accepted.
    pub(super) accepted: Option<OwnedFd>,
}

/// Memory that the kernel knows the address of: a ring of entries, then the buffers.
#[derive(Debug)]
struct Memory {
    base: NonNull<u8>,
    layout: Layout,
    count: u16,
}

/// The kernel wants the entries at the beginning of a page; the largest ones there are.
const PAGE_BYTES: usize = 65_536;
/// What the kernel says first of a datagram (`io_uring_recvmsg_out`).
const OUT_BYTES: usize = size_of::<[u32; 4]>();
/// A datagram with what the kernel says beside it, which stands before it.
const BUFFER_BYTES: usize = OUT_BYTES + NAME_BYTES + CONTROL_BYTES + DATAGRAM_BYTES_MAX;
/// Distance of the buffers, as [`STRIDE`].
const BUFFER_STRIDE: usize = BUFFER_BYTES + 192;
/// The only group of buffers.
const GROUP: u16 = 0;

impl Memory {
    fn new(count: u16) -> Self {
        let entries = (usize::from(count) * size_of::<types::BufRingEntry>()).next_multiple_of(PAGE_BYTES);
        let layout = Layout::from_size_align(entries + usize::from(count) * BUFFER_STRIDE, PAGE_BYTES);
        let layout = layout.unwrap_or_else(|_| handle_alloc_error(Layout::new::<u8>()));
        // SAFETY: the layout's size is not zero: there are entries.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Self { base, layout, count }
    }

    #[allow(clippy::cast_ptr_alignment, reason = "the entries begin at a page")]
    fn entry(&self, index: u16) -> *mut types::BufRingEntry {
        // SAFETY: the memory begins with `count` entries, and the index is below that.
        unsafe { self.base.as_ptr().cast::<types::BufRingEntry>().add(usize::from(index % self.count)) }
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        let buffers = self.layout.size() - usize::from(self.count) * BUFFER_STRIDE;
        // SAFETY: behind the entries stand `count` buffers, and the id is below that.
        unsafe { self.base.as_ptr().add(buffers + usize::from(id % self.count) * BUFFER_STRIDE) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and neither the ring nor the pool is left.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

/// Buffers of a [`Ring`]: shared by all its sockets, each the kernel's or, while there is a [`Filled`] for it, ours.
#[derive(Debug)]
pub(super) struct Pool {
    memory: Rc<Memory>,
    tail: u16,
}

impl Pool {
    /// What was received into a buffer, as it stands there.
    #[inline]
    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: the kernel has given the buffer back, and gets it again only by `give`, which wants the pool to itself: not while
        // these bytes are borrowed from it. It has filled `len` bytes at most, and all of it was zeroed at first.
        unsafe { std::slice::from_raw_parts(self.memory.buffer(filled.id), filled.len.min(BUFFER_BYTES)) }
    }

    /// A datagram that was received into a buffer.
    #[inline]
    pub(super) fn datagram(&self, filled: &Filled) -> Option<Received<'_>> {
        let out = RecvMsgOut::parse(self.bytes(filled), &template()).ok()?;
        // The parts' lengths were bounded by the buffer; they are borrowed from `out`, so they are found again by their lengths.
        let start = OUT_BYTES + NAME_BYTES + CONTROL_BYTES;
        let bytes = &self.bytes(filled)[start..start + out.payload_data().len()];
        Some(Received { bytes, peer: address(out.name_data())?, control: Control::parse(out.control_data()) })
    }

    /// Gives a buffer back to the kernel.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "it is not ours any more")]
    pub(super) fn give(&mut self, filled: Filled) {
        self.provide(filled.id);
    }

    fn provide(&mut self, id: u16) {
        let entry = self.memory.entry(self.tail);
        // SAFETY: the entry is within the memory, and not the kernel's to read before the tail is moved past it. Only these fields
        // are written: the tail stands in a field of the first entry.
        unsafe {
            (*entry).set_addr(self.memory.buffer(id) as u64);
            (*entry).set_len(BUFFER_BYTES as u32);
            (*entry).set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is a u16 within the memory, aligned, and read by the kernel alone.
        unsafe { AtomicU16::from_ptr(types::BufRingEntry::tail(self.memory.entry(0)).cast_mut()) }
            .store(self.tail, Ordering::Release);
    }
}

/// What every receive of datagrams asks for: a name, control messages, and the bytes.
fn template() -> libc::msghdr {
    // SAFETY: integers and pointers, for all of which zero is a value.
    let mut template: libc::msghdr = unsafe { mem::zeroed() };
    (template.msg_namelen, template.msg_controllen) = (NAME_BYTES as _, CONTROL_BYTES as _);
    template
}

/// io_uring, for one thread. Operations go to the kernel with the next [`Ring::wait`]; until then their descriptor has to stay open.
pub(super) struct Ring {
    // Dropped before what its operations point to.
    uring: IoUring,
    template: Box<libc::msghdr>,
    _memory: Rc<Memory>,
    /// Operations that have not ended.
    running: usize,
    error: Option<io::Error>,
}

/// Operations that may wait for the next submission; more are submitted at once.
const SUBMISSIONS: u32 = 512;
/// So often what was begun is submitted to make room for more, where the kernel has no memory for it now; then the shard ends.
const SUBMITS_MAX: usize = 8;
/// Completions that may wait; those that find no room are kept by the kernel.
const COMPLETIONS: u32 = 4_096;
/// How often the end of all operations is waited for, 10 ms each, when a ring is given up.
const END_WAITS_MAX: usize = 100;

impl Ring {
    /// A ring with so many buffers: a power of 2.
    pub(super) fn new(buffers: u16) -> io::Result<(Self, Pool)> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let memory = Rc::new(Memory::new(buffers));
        // SAFETY: the ring keeps the memory for as long as it lives itself.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(memory.base.as_ptr() as u64, buffers, GROUP, 0)?;
        }
        let mut pool = Pool { memory: Rc::clone(&memory), tail: 0 };
        (0..buffers).for_each(|id| pool.provide(id));
        let template = Box::new(template());
        Ok((Self { uring: ring, template, _memory: memory, running: 0, error: None }, pool))
    }

    /// Begins an operation on a descriptor.
    pub(super) fn begin(&mut self, op: Op, data: u64, fd: BorrowedFd<'_>) {
        let fd = Fd(fd.as_raw_fd());
        let entry = match op {
            Op::Cancel => return,
            Op::Readable => opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build(),
            Op::Writable => opcode::PollAdd::new(fd, libc::POLLOUT as u32).build(),
            Op::Datagrams => opcode::RecvMsgMulti::new(fd, &raw const *self.template, GROUP).build(),
            Op::Accept => opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).build(),
            Op::Bytes => opcode::RecvMulti::new(fd, GROUP).build(),
        };
        self.running += 1;
        self.push(&entry.user_data(user_data(op, data)));
    }

    /// Ends an operation; its last completion tells when it has.
    pub(super) fn cancel(&mut self, op: Op, data: u64) {
        self.push(&opcode::AsyncCancel::new(user_data(op, data)).build().user_data(user_data(Op::Cancel, 0)));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        let mut full = io::Error::from(io::ErrorKind::WouldBlock);
        for _ in 0..SUBMITS_MAX {
            // SAFETY: what an entry points to is the template or the buffers, which live as long as the ring; none points elsewhere.
            if unsafe { self.uring.submission().push(entry) }.is_ok() {
                return;
            }
            match self.uring.submit() {
                Ok(_) => {}
                Err(error) if is_for_now(&error) => full = error,
                Err(error) => {
                    full = error;
                    break;
                }
            }
        }
        self.error.get_or_insert(full);
    }

    /// Has the kernel taken all that was begun? Without memory to spare it takes less.
    pub(super) fn is_submitted(&mut self) -> bool {
        self.uring.submission().is_empty()
    }

    /// Submits, and waits for a completion, but not longer than `at_most`. No time: looks only.
    pub(super) fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let time = Timespec::from(at_most);
        let want = usize::from(!at_most.is_zero());
        match self.uring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&time)) {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) || is_for_now(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Completions that can be taken.
    pub(super) fn ready(&mut self) -> usize {
        self.uring.completion().len()
    }

    /// Takes completions, up to `max`, in their order.
    pub(super) fn take(&mut self, done: &mut Vec<Done>, max: usize) {
        for entry in self.uring.completion().take(max) {
            let (user_data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            let op = OPS.get((user_data >> OP_SHIFT) as usize).copied().unwrap_or(Op::Cancel);
            let more = cqueue::more(flags);
            if op != Op::Cancel && !more {
                self.running -= 1;
            }
            let filled =
                cqueue::buffer_select(flags).map(|id| Filled { id, len: usize::try_from(result).unwrap_or(0) });
            let accepted = (op == Op::Accept && result >= 0).then(|| {
                // SAFETY: the kernel has just opened this descriptor for us.
                unsafe { OwnedFd::from_raw_fd(result) }
            });
            let data = user_data & ((1 << OP_SHIFT) - 1);
            let result = u32::try_from(result).map_err(|_| -result);
            done.push(Done { op, data, result, more, filled, accepted });
        }
    }

    /// Has this eventfd signalled when something completes, while [`Ring::signal`] is on.
    pub(super) fn register_signal(&mut self, eventfd: BorrowedFd<'_>) -> io::Result<()> {
        self.uring.completion().disable_eventfd();
        self.uring.submitter().register_eventfd(eventfd.as_raw_fd())
    }

    /// Turns signals on or off. What completed before they were turned on is not signalled: see [`Ring::is_quiet`].
    pub(super) fn signal(&mut self, on: bool) {
        let queue = self.uring.completion();
        if on {
            queue.enable_eventfd();
            // What completes after this is signalled, what completed before is seen.
            fence(Ordering::SeqCst);
        } else {
            queue.disable_eventfd();
        }
    }

    /// Nothing has completed, and nothing waits to be submitted or completed by us.
    pub(super) fn is_quiet(&mut self) -> bool {
        let queue = self.uring.submission();
        let nothing = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        nothing && self.uring.completion().is_empty()
    }
}

impl Drop for Ring {
    /// Ends all operations: until then the kernel keeps their sockets, and so their ports.
    fn drop(&mut self) {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(&cancel.user_data(user_data(Op::Cancel, 0)));
        for _ in 0..END_WAITS_MAX {
            if self.running == 0 || self.wait(Duration::from_millis(10)).is_err() {
                break;
            }
            self.take(&mut Vec::new(), COMPLETIONS as usize);
        }
    }
}

/// The kernel was interrupted, or has no room at the moment.
fn is_for_now(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

fn user_data(op: Op, data: u64) -> u64 {
    (op as u64) << OP_SHIFT | data & ((1 << OP_SHIFT) - 1)
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
        datagrams.iter().map(move |bytes| Parcel { peer: to, bytes, datagrams: 1, segment_bytes: 0 })
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
        let parcel = Parcel { peer, bytes: b"aaabbbcccd", datagrams: 4, segment_bytes: 3 };
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
