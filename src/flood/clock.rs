//! The clock of a run, waits, and CPU time.

use rustix::event::{self, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(pub Instant);

impl Clock {
    /// Now.
    #[inline]
    pub fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Waits until a socket, or one of an epoll set, is readable, at most that long. The time-out is precise to the microsecond; with
/// epoll's own milliseconds, requests would leave in bursts.
pub fn wait_for(what: &impl AsFd, at_most: Duration) -> io::Result<()> {
    match event::poll(&mut [PollFd::new(what, PollFlags::IN)], Some(&timespec(at_most))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The kernel's form of a duration.
pub fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}

/// CPU time of the calling thread.
pub fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
