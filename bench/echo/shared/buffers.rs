//! A ring of buffers that the kernel fills and that are given back to it.

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The group's number in the kernel.
pub(crate) const GROUP: u16 = 0;
const PAGE_BYTES: usize = 4_096;

/// The buffers. They live until the program ends, as the kernel may write to them until then.
pub(crate) struct Buffers {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    count: u16,
    size: usize,
    tail: u16,
}

impl Buffers {
    /// `count` (a power of two) buffers of `size` bytes, all of them the kernel's.
    pub(crate) fn register(ring: &IoUring, count: u16, size: usize) -> io::Result<Self> {
        let entries = pages(usize::from(count) * size_of::<BufRingEntry>()).cast();
        let mut buffers = Self { entries, bytes: pages(usize::from(count) * size), count, size, tail: 0 };
        // SAFETY: `count` entries that are never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, count, GROUP, 0)? };
        for id in 0..count {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Where a buffer begins.
    pub(crate) fn start(&self, id: u16) -> *mut u8 {
        // SAFETY: within the one allocation: ids are below `count`.
        unsafe { self.bytes.as_ptr().add(usize::from(id % self.count) * self.size) }
    }

    /// A whole buffer that the kernel has given out.
    pub(crate) fn get(&self, id: u16) -> &[u8] {
        // SAFETY: initialised memory that the kernel does not write while the buffer is ours.
        unsafe { std::slice::from_raw_parts(self.start(id), self.size) }
    }

    /// The kernel may have it again, from the next [`Buffers::publish`] on.
    pub(crate) fn give_back(&mut self, id: u16) {
        let at = usize::from(self.tail & (self.count - 1));
        // SAFETY: within the entries; the kernel reads none at or past the tail.
        let entry = unsafe { &mut *self.entries.as_ptr().add(at) };
        entry.set_addr(self.start(id) as u64);
        entry.set_len(self.size as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    pub(crate) fn publish(&self) {
        // SAFETY: the tail lies in the first entry; only this thread writes it, the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// Zeroed memory that begins at a page and is never freed.
fn pages(size: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(size.max(1), PAGE_BYTES).unwrap_or(Layout::new::<u8>());
    // SAFETY: the layout's size is not 0.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
