//! The program's allocator, and the reserve that it gives up when the system has no more memory ([`fsu_plan::memory`]).

use crate::unblocked;
use fsu_plan::memory;
use std::alloc::{GlobalAlloc, Layout};
use std::io::Write as _;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The reserve: as much as a run takes to notice, with what is on its way. Address space, and what a strict system commits; no page of it
/// is ever touched. Where there is no room for it any more, half of it will do, down to [`RESERVE_BYTES_MIN`].
pub const RESERVE_BYTES: usize = 8 << 20;
/// With less than that memory stays low.
pub const RESERVE_BYTES_MIN: usize = 1 << 20;

/// Where it is, and in the bits below a page how often it was halved; 0: nowhere.
static RESERVE: AtomicUsize = AtomicUsize::new(0);
/// No page is smaller.
const PAGE_BYTES: usize = 4_096;

/// An allocator that does not abort the program when it has no memory, but ends it with exit code `EXIT`.
#[derive(Debug)]
pub struct Careful<A, const EXIT: i32>(pub A);

impl<A, const EXIT: i32> Careful<A, EXIT> {
    /// Tries again with the reserve's memory, or ends the program. Null only where whoever asked looks at it.
    #[cold]
    fn again(bytes: usize, mut allocate: impl FnMut() -> *mut u8) -> *mut u8 {
        if memory::is_fallible() {
            return ptr::null_mut();
        }
        // Another thread may have just given it up.
        give_up();
        let allocated = allocate();
        if allocated.is_null() { end(bytes, EXIT) } else { allocated }
    }
}

// SAFETY: every call is the same call of the allocator behind it, once or twice, and what that returns; the second is made only when
// the first has failed, which leaves everything as it was. Nothing here allocates or unwinds.
unsafe impl<A: GlobalAlloc, const EXIT: i32> GlobalAlloc for Careful<A, EXIT> {
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

/// Allocations from this size on are mappings of their own, so that freeing one gives its memory back and a new one takes none before it is
/// written to. By itself glibc raises the limit to the largest that was freed.
const MAPPED_BYTES_MIN: libc::c_int = 256 << 10;
/// Free memory at the end of a heap that is kept.
const KEPT_BYTES_MAX: libc::c_int = 1 << 20;

/// Makes large allocations mappings of their own. At the start of the program.
pub fn map_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: both take numbers, and no other thread runs yet. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = (MAPPED_BYTES_MIN, KEPT_BYTES_MAX);
}

/// Takes the reserve, if there is memory for it. From then on memory is not low.
pub fn reserve() {
    if RESERVE.load(Ordering::Acquire) != 0 {
        return;
    }
    let Some(reserve) = largest(map) else { return };
    if RESERVE.compare_exchange(0, reserve, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        memory::set_low(false);
    } else {
        unmap(reserve);
    }
}

/// The largest reserve that there is room for, as [`RESERVE`] has it. `map` returns the address of that many bytes.
fn largest(map: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let mut halves = (0..).take_while(|&halved| RESERVE_BYTES >> halved >= RESERVE_BYTES_MIN);
    halves.find_map(|halved| map(RESERVE_BYTES >> halved).map(|at| at | halved))
}

fn give_up() {
    let reserve = RESERVE.swap(0, Ordering::AcqRel);
    if reserve != 0 {
        memory::set_low(true);
        unmap(reserve);
    }
}

/// The end with that exit code, when there is no reserve any more. Neither allocates nor waits.
fn end(bytes: usize, exit: i32) -> ! {
    let mut text = [0; 200];
    let mut rest = &mut text[..];
    // It fits.
    let _ = writeln!(
        rest,
        "fsu-mock: no memory: {bytes} bytes more were refused, the run ends (ulimit -v unlimited; under systemd LimitAS=infinity)"
    );
    let len = 200 - rest.len();
    unblocked::stderr_at_once(&text[..len]);
    signal_hook::low_level::exit(exit)
}

/// Maps that many bytes.
fn map(bytes: usize) -> Option<usize> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, anywhere.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    (mapped != libc::MAP_FAILED).then(|| mapped.expose_provenance())
}

/// What `reserve` had there.
fn unmap(reserve: usize) {
    let (at, halved) = (reserve & !(PAGE_BYTES - 1), reserve & (PAGE_BYTES - 1));
    // SAFETY: it was mapped with this size, is mapped still, and nobody has a reference into it.
    unsafe { libc::munmap(ptr::with_exposed_provenance_mut(at), RESERVE_BYTES >> halved) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_reserve_bytes_and_reserve_bytes_min_half_will_do() {
        const AT: usize = 7 << 20;
        for (room, expected) in [
            (usize::MAX, Some(AT)),
            (8 << 20, Some(AT)),
            ((8 << 20) - 1, Some(AT | 1)),
            (2 << 20, Some(AT | 2)),
            (1 << 20, Some(AT | 3)),
            ((1 << 20) - 1, None),
        ] {
            assert_eq!(largest(|bytes| (bytes <= room).then_some(AT)), expected, "room for {room}");
        }
    }
}
