//! The real program with one system call after the other made to fail: while it starts, serves, reloads and ends.
//!
//! Whatever fails, it ends by itself with a documented exit code and words, or goes on and answers correctly: no panic, no signal, no hang, no
//! wrong reply, and no count that is not true. A plain run takes samples; with `FSU_MOCK_THOROUGH` set (scripts/nightly.sh) it takes all.
//! `FSU_MOCK_FAILING_CLASS` names one kind of call.
//!
//! - [`calls`]: which calls, and with which errors. [`kernel`]: how they are made to fail. [`allocator`]: how allocations are.
//! - [`program`]: the program, started so. [`centre`]: who asks it. [`phases`], [`allocations`]: what is done, and what must hold.

// A test that cannot go on says so with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::pedantic)]

mod allocations;
mod allocator;
mod calls;
mod centre;
#[allow(dead_code)]
#[path = "../integration/harness.rs"]
mod harness;
mod kernel;
mod phases;
mod program;
#[allow(dead_code)]
#[path = "../integration/wire.rs"]
mod wire;

use calls::{CLASSES, Class};
use std::io::Write as _;

/// How the shards run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    name: &'static str,
    args: &'static [&'static str],
    /// Calls that are refused all the time.
    forbidden: &'static [i64],
}

const RING: Way = Way { name: "ring", args: &["--shards", "1", "--driver", "ring"], forbidden: &[] };
const POLL: Way = Way { name: "poll", args: &["--shards", "1", "--driver", "poll"], forbidden: &[] };
const THREAD: Way = Way {
    name: "poll on a plain thread",
    args: &["--shards", "1", "--driver", "poll"],
    forbidden: &[libc::SYS_io_uring_setup],
};

impl Way {
    /// Whether its shards wait in io_uring.
    pub(crate) fn is_ring(self) -> bool {
        self.name == RING.name
    }
}

/// Whether everything is to be tried.
pub(crate) fn is_thorough() -> bool {
    std::env::var_os("FSU_MOCK_THOROUGH").is_some()
}

/// What makes calls of one kind fail while a phase lasts, and tells what is wrong.
type Phase = fn(Way, &'static Class, &mut Vec<String>) -> std::io::Result<()>;

/// Every kind of call in turn, for the length of a phase; all failures are reported together.
fn check(phase: Phase, way: Way) {
    let only = std::env::var("FSU_MOCK_FAILING_CLASS").ok();
    let (mut wrong, begun) = (Vec::new(), std::time::Instant::now());
    // Files are the same to all drivers.
    let is_wanted = |class: &&Class| !class.of_logs || way.name == POLL.name || is_thorough();
    let is_start = std::ptr::fn_addr_eq(phase, phases::start as Phase);
    let is_now = |class: &&Class| is_start || !class.is_of_the_start();
    let is_asked = |class: &&Class| only.as_deref().is_none_or(|only| only == class.name);
    for class in CLASSES.iter().filter(is_wanted).filter(is_now).filter(is_asked) {
        if let Err(error) = phase(way, class, &mut wrong) {
            assert!(!is_thorough(), "no system calls can be made to fail here: {error}");
            // Not `eprintln`, which only a failed test shows.
            let _ = writeln!(std::io::stderr(), "NOT RUN: no system calls can be made to fail here (seccomp): {error}");
            return;
        }
        println!("{}, {}: {} wrong, {} ms", way.name, class.name, wrong.len(), begun.elapsed().as_millis());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hk_any_call_may_fail_at_the_start_ring() {
    check(phases::start, RING);
}

#[test]
fn hk_any_call_may_fail_at_the_start_poll() {
    check(phases::start, POLL);
}

#[test]
fn hk_any_call_may_fail_at_the_start_thread() {
    check(phases::start, THREAD);
}

#[test]
fn hk_any_call_may_fail_while_serving_ring() {
    check(phases::serve, RING);
}

#[test]
fn hk_any_call_may_fail_while_serving_poll() {
    check(phases::serve, POLL);
}

#[test]
fn hk_any_call_may_fail_while_serving_thread() {
    check(phases::serve, THREAD);
}

#[test]
fn hk_any_call_may_fail_at_a_reload_ring() {
    check(phases::reload, RING);
}

#[test]
fn hk_any_call_may_fail_at_a_reload_poll() {
    check(phases::reload, POLL);
}

#[test]
fn hk_any_wait_may_be_refused_in_a_calm_ring() {
    check(phases::calm, RING);
}

#[test]
fn hk_any_wait_may_be_refused_in_a_calm_poll() {
    check(phases::calm, POLL);
}

#[test]
fn hk_any_wait_may_be_refused_in_a_calm_thread() {
    check(phases::calm, THREAD);
}

#[test]
fn hk_any_call_may_fail_at_the_end_ring() {
    check(phases::end, RING);
}

#[test]
fn hk_any_call_may_fail_at_the_end_poll() {
    check(phases::end, POLL);
}

#[test]
fn hk_any_call_may_fail_at_the_end_thread() {
    check(phases::end, THREAD);
}
