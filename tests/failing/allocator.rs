//! An allocator that fails on request, below the program's own; the program then runs in a process of this test's binary.
#![allow(unsafe_code)]

use fsu_mock::exit::Exit;
use fsu_net::sys::Careful;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read as _;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[global_allocator]
static ALLOCATOR: Careful<Failing, { Exit::Machine as i32 }> = Careful(Failing);

/// Allocations until the one that fails; of none where it is negative.
static LEFT: AtomicI64 = AtomicI64::new(-1);
static IS_LASTING: AtomicBool = AtomicBool::new(false);
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

struct Failing;

fn fails() -> bool {
    // Below 0 nothing is counted; at 0 what lasts has begun.
    let count = |left: i64| (left > 0).then(|| left - 1);
    let fails = match LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) {
        Ok(before) => before == 1,
        Err(left) => left == 0 && IS_LASTING.load(Ordering::Relaxed),
    };
    if fails {
        HAS_FAILED.store(true, Ordering::Relaxed);
    }
    fails
}

// SAFETY: every call is the system allocator's own, or returns null, as one may that has no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if fails() { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, allocated: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(allocated, layout) }
    }

    unsafe fn realloc(&self, before: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if fails() { ptr::null_mut() } else { unsafe { System.realloc(before, layout, bytes) } }
    }
}

/// Obeys lines of eight digits and a mark on standard input: the how many-th allocation from now on fails, or (`+`) all from it on as well;
/// 0: none. Says on standard error whether one has failed. Allocates nothing itself.
fn obey() {
    let (mut line, mut stdin) = ([0; 10], std::io::stdin());
    while stdin.read_exact(&mut line).is_ok() {
        let nth = line[..8].iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
        LEFT.store(-1, Ordering::Relaxed);
        if nth == 0 {
            let told: &[u8] = if HAS_FAILED.load(Ordering::Relaxed) {
                b"allocations: failed\n"
            } else {
                b"allocations: none failed\n"
            };
            let _ = rustix::io::write(std::io::stderr(), told);
        } else {
            HAS_FAILED.store(false, Ordering::Relaxed);
            IS_LASTING.store(line[8] == b'+', Ordering::Relaxed);
            LEFT.store(nth, Ordering::Relaxed);
        }
    }
}

/// Names the arguments of the program, one a line, for a process that is to be one.
pub(crate) const ARGS: &str = "FSU_MOCK_FAILING_ARGS";

/// In a process that was started for that, the program. Else nothing: it is no test.
#[test]
fn the_program() {
    let Ok(args) = std::env::var(ARGS) else { return };
    let args: Vec<String> = std::iter::once("fsu-mock").chain(args.lines()).map(str::to_owned).collect();
    let mut first = [0; 1];
    // What fails at the start has to be known before it begins: the first line comes with a mark before it.
    let _ = std::io::stdin().read_exact(&mut first);
    std::thread::spawn(obey);
    while first[0] == b'!' && LEFT.load(Ordering::Relaxed) < 0 {
        std::thread::yield_now();
    }
    std::process::exit(fsu_mock::program(args.into_iter().map(Into::into)) as i32);
}
