//! Where the threads of a run wait for each other.

use crate::book::live::Live;
use crate::clock::Clock;
use std::sync::{Barrier, OnceLock};
use std::time::Instant;

/// Where threads wait for each other before the clock starts, so that preparing requests is not part of the run.
#[derive(Debug)]
pub struct Gate {
    barrier: Barrier,
    start: OnceLock<Instant>,
}

impl Gate {
    /// For that many threads.
    pub fn new(threads: usize) -> Self {
        Self { barrier: Barrier::new(threads), start: OnceLock::new() }
    }

    /// Waits for the others, and starts the common clock. Every thread must call this once, even if it failed.
    pub fn open(&self) -> Clock {
        self.barrier.wait();
        Clock(*self.start.get_or_init(Instant::now))
    }
}

/// Guards a thread of the run: if it panics, it still passes the gate and counts as ended, so that no other thread waits for it.
#[derive(Debug)]
pub struct Present<'a>(pub &'a Gate, pub &'a Live);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.stop();
            self.1.end();
            // Without a start time, the gate has not opened yet.
            if self.0.start.get().is_none() {
                self.0.open();
            }
        }
    }
}
