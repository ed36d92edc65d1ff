//! The program's allocator, and the reserve that it gives up when the system has no more memory ([`crate::memory`]).

use crate::memory;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The reserve: as much as a run takes to notice, with what is on its way. Address space, and what a strict system commits; no page of it
/// is ever touched.
pub const RESERVE_BYTES: usize = 8 << 20;

static RESERVE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// An allocator that does not abort the program when it has no memory.
#[derive(Debug)]
pub struct Careful<A>(pub A);

impl<A> Careful<A> {
    /// Tries again with the reserve's memory, or ends the program. Null only where whoever asked looks at it.
    #[cold]
    fn again(bytes: usize, mut allocate: impl FnMut() -> *mut u8) -> *mut u8 {
        if memory::is_fallible() {
            return ptr::null_mut();
        }
        // Another thread may have just given it up.
        give_up();
        let allocated = allocate();
        if allocated.is_null() { memory::end(bytes) } else { allocated }
    }
}

// SAFETY: every call is the same call of the allocator behind it, once or twice, and what that returns; the second is made only when
// the first has failed, which leaves everything as it was. Nothing here allocates or unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Careful<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let allocate = || unsafe { self.0.alloc(layout) };
        let allocated = allocate();
        if allocated.is_null() { Self::again(layout.size(), allocate) } else { allocated }
    }

    unsafe fn dealloc(&self, allocated: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(allocated, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let allocate = || unsafe { self.0.alloc_zeroed(layout) };
        let allocated = allocate();
        if allocated.is_null() { Self::again(layout.size(), allocate) } else { allocated }
    }

    unsafe fn realloc(&self, before: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let allocate = || unsafe { self.0.realloc(before, layout, bytes) };
        let allocated = allocate();
        if allocated.is_null() { Self::again(bytes, allocate) } else { allocated }
    }
}

/// Takes the reserve, if there is memory for it. From then on memory is not low.
pub fn reserve() {
    if !RESERVE.load(Ordering::Acquire).is_null() {
        return;
    }
    let Some(reserve) = map() else { return };
    if RESERVE.compare_exchange(ptr::null_mut(), reserve, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        memory::set_low(false);
    } else {
        unmap(reserve);
    }
}

fn give_up() {
    let reserve = RESERVE.swap(ptr::null_mut(), Ordering::AcqRel);
    if !reserve.is_null() {
        memory::set_low(true);
        unmap(reserve);
    }
}

fn map() -> Option<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, anywhere.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), RESERVE_BYTES, protection, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then_some(mapped.cast())
}

fn unmap(reserve: *mut u8) {
    // SAFETY: it was mapped with this size, is mapped still, and nobody has a reference into it.
    unsafe { libc::munmap(reserve.cast(), RESERVE_BYTES) };
}
