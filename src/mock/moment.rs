//! When a message is handled, and what is common to all messages of a run.

use fsu_plan::wire::civil::Now;

/// Nanoseconds of a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;

/// What is common to all messages of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunContext {
    /// Seed of the run: same seed, same delays and random values, with any number of shards.
    pub seed: u64,
    /// Replies leave at once (performance mode).
    pub skip_delay: bool,
    /// When the run started, on the monotonic clock: from then on `faults_at` counts.
    pub start_mono_ms: u64,
}

/// The time a message is handled at, and the earliest moment its reply may leave. Nanoseconds are on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Now,
    /// When the request came: its delay counts from then.
    pub arrived_ns: i64,
    /// Replies before this one on the same connection are due then; 0: none.
    pub not_before_ns: i64,
    /// Time since the start of the run, on the monotonic clock: what lasts is measured by this.
    pub since_start_ms: u64,
}

impl Moment {
    /// Of a request that came just now, on a connection without other replies.
    pub const fn at(now: Now, since_start_ms: u64) -> Self {
        Self { now, arrived_ns: now.unix_ms.saturating_mul(NS_PER_MS), not_before_ns: 0, since_start_ms }
    }

    /// When a reply with that delay is due.
    #[inline]
    pub fn due_ns(&self, delay_ns: i64) -> i64 {
        self.arrived_ns.saturating_add(delay_ns).max(self.not_before_ns)
    }

    /// The same moment as one that is due then, on the clock that nobody sets: milliseconds since the start of the run.
    #[inline]
    pub fn since_start_at(&self, due_ns: i64) -> u64 {
        let wait_ms = self.clock_at(due_ns).unix_ms.saturating_sub(self.now.unix_ms);
        self.since_start_ms.saturating_add(wait_ms.max(0) as u64)
    }

    /// What the clock says to a reply that is due then. One that is due already leaves now.
    #[inline]
    pub fn clock_at(&self, due_ns: i64) -> Now {
        Now { unix_ms: due_ns.div_euclid(NS_PER_MS).max(self.now.unix_ms), ..self.now }
    }
}
