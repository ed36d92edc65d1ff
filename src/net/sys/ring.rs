//! io_uring: operations, their completions, and the buffers that the kernel fills.

mod departing;

use super::DATAGRAM_BYTES_MAX;
use crate::message::{CONTROL_BYTES, Control, NAME_BYTES, Received, address};
use crate::outbox::{Addressed, Outbox};
use departing::Departing;
pub use departing::{By, Unsent};
use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The kind of an operation of a [`Ring`]. Its completions carry it, with 56 bits of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Something was cancelled.
    Cancel,
    /// A descriptor is readable: completes again and again.
    Readable,
    /// A descriptor is writable: completes once.
    Writable,
    /// Datagrams, until it ends.
    Datagrams,
    /// Connections, until it ends.
    Accept,
    /// Bytes of a connection, as many as fit into a buffer: completes once.
    Bytes,
    /// A datagram that leaves: completes only if it does not ([`Ring::unsent`]).
    Send,
}

const OPS: [Op; 7] = [Op::Cancel, Op::Readable, Op::Writable, Op::Datagrams, Op::Accept, Op::Bytes, Op::Send];
const OP_SHIFT: u32 = 56;

/// A buffer that the kernel has filled and given back.
#[derive(Debug)]
pub struct Filled {
    id: u16,
    len: usize,
}

/// A completion.
#[derive(Debug)]
pub struct Done {
    /// Of which operation.
    pub op: Op,
    /// The caller's own bits.
    pub data: u64,
    /// What came of it: an error number, or a result that is not negative.
    pub result: Result<u32, i32>,
    /// The operation goes on.
    pub more: bool,
    /// The buffer that was filled; to be given back to the [`Pool`].
    pub filled: Option<Filled>,
    /// The connection that was accepted.
    pub accepted: Option<OwnedFd>,
}

/// Memory that the kernel knows the address of: a ring of entries, then the buffers.
#[derive(Debug)]
struct Memory {
    base: NonNull<u8>,
    len: usize,
    count: u16,
    kind: Buffers,
}

/// The kernel wants the entries at the beginning of a page; buffers begin behind the largest page there is.
const PAGE_BYTES: usize = 65_536;
/// What the kernel says first of a datagram (`io_uring_recvmsg_out`).
const OUT_BYTES: usize = size_of::<[u32; 4]>();
/// Bytes that the kernel puts before a datagram; they count as received.
pub const BESIDE_BYTES: usize = OUT_BYTES + NAME_BYTES + CONTROL_BYTES;
const BUFFER_BYTES: usize = BESIDE_BYTES + DATAGRAM_BYTES_MAX;
/// Distance of the buffers, as `STRIDE` in the parent module.
const BUFFER_STRIDE: usize = BUFFER_BYTES + 192;
/// Bytes received from a connection at once. It has its next turn after the others.
pub const READ_BYTES: usize = 16 << 10;

/// A group of buffers. Datagrams never wait for one that a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
enum Buffers {
    Datagrams,
    Bytes,
}

impl Buffers {
    /// How long each is, and how far the next is from it.
    const fn size(self) -> (usize, usize) {
        match self {
            Self::Datagrams => (BUFFER_BYTES, BUFFER_STRIDE),
            Self::Bytes => (READ_BYTES, READ_BYTES),
        }
    }
}

impl Memory {
    /// Pages that are the process's own, and none before it is touched: an allocator would write zeros for such an alignment.
    fn new(count: u16, kind: Buffers) -> io::Result<Self> {
        let entries = (usize::from(count) * size_of::<types::BufRingEntry>()).next_multiple_of(PAGE_BYTES);
        let (_, stride) = kind.size();
        let len = entries + usize::from(count) * stride;
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new pages, at no address in particular.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        match NonNull::new(base.cast::<u8>()) {
            Some(at) if base != libc::MAP_FAILED => Ok(Self { base: at, len, count, kind }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    #[allow(clippy::cast_ptr_alignment, reason = "the entries begin at a page")]
    fn entry(&self, index: u16) -> *mut types::BufRingEntry {
        // SAFETY: the memory begins with `count` entries, and the index is below that.
        unsafe { self.base.as_ptr().cast::<types::BufRingEntry>().add(usize::from(index % self.count)) }
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        let (_, stride) = self.kind.size();
        let buffers = self.len - usize::from(self.count) * stride;
        // SAFETY: `count` buffers of this stride follow the entries, and the id is below that.
        unsafe { self.base.as_ptr().add(buffers + usize::from(id % self.count) * stride) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and neither the ring nor the pool is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Buffers of a [`Ring`], of one [`Buffers`] kind: shared by all its sockets or connections, each the kernel's or, while there is a
/// [`Filled`] for it, ours.
#[derive(Debug)]
pub struct Pool {
    memory: Rc<Memory>,
    tail: u16,
}

impl Pool {
    /// All of them the kernel's.
    fn new(memory: &Rc<Memory>) -> Self {
        let mut pool = Self { memory: Rc::clone(memory), tail: 0 };
        (0..memory.count).for_each(|id| pool.provide(id));
        pool
    }

    /// The bytes received into a buffer.
    #[inline]
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: the kernel has given the buffer back, and gets it again only by `give`, which wants the pool to itself: not while
        // these bytes are borrowed from it. It has filled `len` bytes at most, and all of it was zeroed at first.
        unsafe { std::slice::from_raw_parts(self.memory.buffer(filled.id), filled.len.min(self.memory.kind.size().0)) }
    }

    /// A datagram that was received into a buffer.
    #[inline]
    pub fn datagram(&self, filled: &Filled) -> Option<Received<'_>> {
        let out = RecvMsgOut::parse(self.bytes(filled), &template()).ok()?;
        // The parts' lengths were bounded by the buffer; they are borrowed from `out`, so they are found again by their lengths.
        let bytes = &self.bytes(filled)[BESIDE_BYTES..BESIDE_BYTES + out.payload_data().len()];
        Some(Received { bytes, peer: address(out.name_data())?, control: Control::parse(out.control_data()) })
    }

    /// Gives a buffer back to the kernel.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "it is not ours any more")]
    pub fn give(&mut self, filled: Filled) {
        self.provide(filled.id);
    }

    fn provide(&mut self, id: u16) {
        let entry = self.memory.entry(self.tail);
        // SAFETY: the entry is within the memory, and not the kernel's to read before the tail is moved past it. Only these fields
        // are written: the tail is in a field of the first entry.
        unsafe {
            (*entry).set_addr(self.memory.buffer(id) as u64);
            (*entry).set_len(self.memory.kind.size().0 as u32);
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
pub struct Ring {
    // Dropped before what its operations point to.
    uring: IoUring,
    template: Box<libc::msghdr>,
    _memory: [Rc<Memory>; 2],
    /// Operations that have not ended.
    running: usize,
    error: Option<io::Error>,
    /// What sends point to, until the kernel has taken them.
    departing: Departing,
    unsent: Vec<Unsent>,
    /// By place: whether the kernel knows the descriptor there.
    files: Vec<bool>,
}

/// Operations that may wait for the next submission; more are submitted at once.
const SUBMISSIONS: u32 = 512;
/// How often a full queue is submitted again while the kernel has no memory for it; then the shard ends.
const SUBMITS_MAX: usize = 8;
/// Completions that may wait; those that find no room are kept by the kernel.
const COMPLETIONS: u32 = 4_096;
/// How often the end of all operations is waited for, 10 ms each, when a ring is given up.
const END_WAITS_MAX: usize = 100;

impl Ring {
    /// A ring with this many buffers for datagrams, and for bytes of connections: each a power of 2.
    pub fn new(datagrams: u16, bytes: u16) -> io::Result<(Self, Pool, Pool)> {
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
        let memory =
            [Rc::new(Memory::new(datagrams, Buffers::Datagrams)?), Rc::new(Memory::new(bytes, Buffers::Bytes)?)];
        for group in &memory {
            let address = group.base.as_ptr() as u64;
            // SAFETY: the ring keeps the memory for as long as it lives itself.
            unsafe {
                ring.submitter().register_buf_ring_with_flags(address, group.count, group.kind as u16, 0)?;
            }
        }
        let (datagrams, bytes) = (Pool::new(&memory[0]), Pool::new(&memory[1]));
        let template = Box::new(template());
        let ring = Self {
            uring: ring,
            template,
            _memory: memory,
            running: 0,
            error: None,
            departing: Departing::default(),
            unsent: Vec::new(),
            files: Vec::new(),
        };
        Ok((ring, datagrams, bytes))
    }

    /// Begins an operation on a descriptor.
    pub fn begin(&mut self, op: Op, data: u64, fd: BorrowedFd<'_>) {
        let fd = Fd(fd.as_raw_fd());
        let entry = match op {
            Op::Cancel | Op::Send => return,
            Op::Readable => opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build(),
            Op::Writable => opcode::PollAdd::new(fd, libc::POLLOUT as u32).build(),
            Op::Datagrams => {
                opcode::RecvMsgMulti::new(fd, &raw const *self.template, Buffers::Datagrams as u16).build()
            }
            Op::Accept => opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).build(),
            Op::Bytes => opcode::Recv::new(fd, ptr::null_mut(), READ_BYTES as u32)
                .buf_group(Buffers::Bytes as u16)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT),
        };
        self.running += 1;
        self.push(&entry.user_data(user_data(op, data)));
    }

    /// Ends an operation; its last completion tells when it has.
    pub fn cancel(&mut self, op: Op, data: u64) {
        self.push(&opcode::AsyncCancel::new(user_data(op, data)).build().user_data(user_data(Op::Cancel, 0)));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        let uring = &mut self.uring;
        // SAFETY: what an entry points to is the template or the buffers, which live as long as the ring; none points elsewhere.
        let put = |uring: &mut IoUring| unsafe { uring.submission().push(entry) }.is_ok();
        if let Err(error) = put_in(uring, put, |uring| uring.submit().map(drop)) {
            self.error.get_or_insert(error);
        }
    }

    /// Whether the kernel has taken all submissions. If it lacks memory it takes less.
    pub fn is_submitted(&mut self) -> bool {
        let is_submitted = self.uring.submission().is_empty();
        if is_submitted {
            self.departing.clear();
        }
        is_submitted
    }

    /// Submits, without waiting or looking for completions: sends leave now. True: the kernel has taken all. Operations make no progress
    /// meanwhile (`IORING_ENTER_GETEVENTS` is not set): they would fill buffers that nobody looks at before the next wait.
    pub fn submit(&mut self) -> bool {
        for _ in 0..SUBMITS_MAX {
            if self.is_submitted() {
                return true;
            }
            let count = self.uring.submission().len() as u32;
            // SAFETY: no argument is passed, and what the entries point to lives until they are taken, as for all submissions.
            let submitted = unsafe { self.uring.submitter().enter::<libc::sigset_t>(count, 0, 0, None) };
            if let Err(error) = submitted
                && !is_for_now(&error)
            {
                self.error.get_or_insert(error);
                return false;
            }
        }
        self.is_submitted()
    }

    /// Sends a datagram of an outbox, which stays as it is until the kernel has taken the send. It is sent, or refused, at that moment: it
    /// never waits for room. `data`: 56 bits of the caller's, for [`Ring::unsent`]. False: the queue has no room, and nothing was taken.
    #[inline]
    pub fn send<D: Addressed + 'static>(&mut self, data: u64, outbox: &Rc<Outbox<D>>, at: usize, by: &By<'_>) -> bool {
        let file = by.file.filter(|&file| self.files.get(file as usize) == Some(&true));
        let Some(entry) = self.departing.entry(outbox, at, by, file) else { return true };
        let entry = entry.user_data(user_data(Op::Send, data));
        // SAFETY: the entry points to bytes of the outbox and to the slot that `departing` keeps until all submissions are taken.
        if unsafe { self.uring.submission().push(&entry) }.is_ok() {
            return true;
        }
        // SAFETY: as above.
        self.submit() && unsafe { self.uring.submission().push(&entry) }.is_ok()
    }

    /// Sends that the kernel refused, in their order, of the completions taken so far.
    pub fn unsent(&mut self) -> &mut Vec<Unsent> {
        &mut self.unsent
    }

    /// Whether completions found no place and are the kernel's: the next wait brings them.
    pub fn is_overflowing(&mut self) -> bool {
        self.uring.submission().cq_overflow()
    }

    /// Makes room for that many descriptors that the kernel need not look up with each send. An error changes nothing.
    pub fn keep_files(&mut self, count: u32) -> io::Result<()> {
        self.uring.submitter().register_files_sparse(count)?;
        self.files = vec![false; count as usize];
        Ok(())
    }

    /// Puts a descriptor at a place for [`By::file`], or takes it away. A place that there is not, or that is refused, stays empty.
    pub fn set_file(&mut self, place: u32, fd: Option<BorrowedFd<'_>>) {
        let number = fd.map_or(-1, |fd| fd.as_raw_fd());
        let Some(known) = self.files.get_mut(place as usize).filter(|known| **known || fd.is_some()) else { return };
        *known = self.uring.submitter().register_files_update(place, &[number]).is_ok() && fd.is_some();
    }

    /// Submits, and waits for a completion, but not longer than `at_most`. Zero: does not wait.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<()> {
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
    pub fn ready(&mut self) -> usize {
        self.uring.completion().len()
    }

    /// Takes completions, up to `max`, in their order.
    pub fn take(&mut self, done: &mut Vec<Done>, max: usize) {
        for entry in self.uring.completion().take(max) {
            let (user_data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            let op = OPS.get((user_data >> OP_SHIFT) as usize).copied().unwrap_or(Op::Cancel);
            let more = cqueue::more(flags);
            if op == Op::Send {
                self.unsent.push(Unsent { data: user_data & ((1 << OP_SHIFT) - 1), errno: -result });
                continue;
            }
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
        if !self.files.is_empty() {
            // The kernel would let go of them some time after the ring has ended, and so of their ports.
            let _ = self.uring.submitter().unregister_files();
        }
    }
}

/// Puts something into a queue, which is submitted to make room; why there is none.
fn put_in<Q>(
    queue: &mut Q,
    mut put: impl FnMut(&mut Q) -> bool,
    mut submit: impl FnMut(&mut Q) -> io::Result<()>,
) -> io::Result<()> {
    let mut full = io::Error::from(io::ErrorKind::WouldBlock);
    for _ in 0..SUBMITS_MAX {
        if put(queue) {
            return Ok(());
        }
        match submit(queue) {
            Ok(()) => {}
            Err(error) if is_for_now(&error) => full = error,
            Err(error) => return Err(error),
        }
    }
    if put(queue) {
        return Ok(());
    }
    Err(full)
}

/// The kernel was interrupted, or has no room at the moment.
fn is_for_now(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

fn user_data(op: Op, data: u64) -> u64 {
    (op as u64) << OP_SHIFT | data & ((1 << OP_SHIFT) - 1)
}

#[cfg(test)]
mod limits;
#[cfg(feature = "simulated")]
pub mod simulated;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// How much of the memory there is, by the process's page map.
    fn touched_bytes(memory: &Memory) -> u64 {
        let (map, page) = (File::open("/proc/self/pagemap").unwrap(), 4_096);
        let pages = memory.base.as_ptr() as u64 / page..(memory.base.as_ptr() as u64 + memory.len as u64) / page;
        let is_there = |number: &u64| {
            let mut entry = [0; 8];
            map.read_exact_at(&mut entry, number * 8).unwrap();
            u64::from_ne_bytes(entry) >> 63 == 1
        };
        pages.filter(is_there).count() as u64 * page
    }

    #[test]
    fn h12_buffers_that_were_never_filled_cost_no_memory() {
        let memory = Rc::new(Memory::new(256, Buffers::Datagrams).unwrap());
        assert!(memory.len > 16 << 20);
        let _pool = Pool::new(&memory);
        // The entries; the system may give some pages at once.
        assert!(touched_bytes(&memory) <= 4 << 20, "{} bytes", touched_bytes(&memory));
    }
}
