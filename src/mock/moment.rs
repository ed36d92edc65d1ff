//! The moment at which a message is handled, and the settings of a run.

use fsu_plan::wire::civil::Now;

/// Nanoseconds of a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;

/// The settings of a run: the same for all messages.
#[derive(Clone, Copy, Debug)]
pub struct RunContext {
    /// Seed of the run: same seed, same delays and random values, with any number of shards.
    pub seed: u64,
    /// Replies leave at once (performance mode).
    pub skip_delay: bool,
    /// When the run started, on the monotonic clock. `faults_at` counts from then.
    pub start_mono_ms: u64,
}

/// When a message is handled, and the earliest moment for its reply. Nanoseconds are on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Now,
    /// When the request came. Its delay counts from then.
    pub arrived_ns: i64,
    /// When the previous reply on the same connection is due; 0 if there is none.
    pub not_before_ns: i64,
    /// Milliseconds since the start of the run, on the monotonic clock. Durations are measured with this.
    pub since_start_ms: u64,
}

impl Moment {
    /// The moment of a request that came just now, with no reply before it.
    pub const fn at(now: Now, since_start_ms: u64) -> Self {
        Self { now, arrived_ns: now.unix_ms.saturating_mul(NS_PER_MS), not_before_ns: 0, since_start_ms }
    }

    /// When a reply with that delay is due.
    #[inline]
    pub fn due_ns(&self, delay_ns: i64) -> i64 {
        self.arrived_ns.saturating_add(delay_ns).max(self.not_before_ns)
    }

    /// Converts a due time to milliseconds since the start of the run, on the monotonic clock.
    #[inline]
    pub fn since_start_at(&self, due_ns: i64) -> u64 {
        let wait_ms = self.clock_at(due_ns).unix_ms.saturating_sub(self.now.unix_ms);
        self.since_start_ms.saturating_add(wait_ms.max(0) as u64)
    }

    /// The clock's time in a reply that is due then. A reply that is overdue leaves now.
    #[inline]
    pub fn clock_at(&self, due_ns: i64) -> Now {
        // Most replies leave now, and a division takes its time.
        let next_ns = self.now.unix_ms.checked_add(1).and_then(|ms| ms.checked_mul(NS_PER_MS));
        if next_ns.is_some_and(|next_ns| due_ns < next_ns) {
            return self.now;
        }
        Now { unix_ms: due_ns.div_euclid(NS_PER_MS).max(self.now.unix_ms), ..self.now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::NOW;

    #[test]
    fn a_moment_and_what_is_due_then() {
        let moment = Moment { not_before_ns: NOW.arrived_ns + 7, since_start_ms: 100, ..NOW };
        let arrived = NOW.arrived_ns;
        assert_eq!([moment.due_ns(0), moment.due_ns(7), moment.due_ns(8)], [7, 7, 8].map(|ns| arrived + ns));
        assert_eq!(moment.due_ns(i64::MAX), i64::MAX);
        let clock = |ns: i64| moment.clock_at(arrived + ns).unix_ms - moment.now.unix_ms;
        assert_eq!([-5, 0, NS_PER_MS - 1, NS_PER_MS, 2 * NS_PER_MS].map(clock), [0, 0, 0, 1, 2]);
        let since = |ms: i64| moment.since_start_at(arrived + ms * NS_PER_MS);
        assert_eq!([-9, 0, 1, 50].map(since), [100, 100, 101, 150]);
    }
}
