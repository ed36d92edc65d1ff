//! Lets at most a given number of each kind pass in a second. The rest are counted, for one line about all of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What is called a second.
const SECOND_MS: u64 = 1_000;

/// One kind. Several threads may share it: nothing is exact to the line where they count at the same moment, but nothing is lost.
#[derive(Debug, Default)]
pub struct Gate {
    /// When this second began, monotonic.
    since_ms: AtomicU64,
    /// How many passed in it.
    passed: AtomicU32,
    /// How many did not pass and are in no sum yet.
    held: AtomicU64,
}

/// What becomes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It passes.
    Now,
    /// It is counted, with others.
    Counted,
    /// It is the first one that is counted: the sum is due then, monotonic milliseconds.
    At(u64),
}

impl Gate {
    /// Lets `max` pass in a second. A second begins with the first that comes after the one before.
    pub fn admit(&self, max: u32, now_ms: u64) -> Admitted {
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(since_ms) >= SECOND_MS {
            self.since_ms.store(now_ms, Ordering::Relaxed);
            self.passed.store(0, Ordering::Relaxed);
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) < max {
            return Admitted::Now;
        }
        // So that it never begins again.
        self.passed.store(max, Ordering::Relaxed);
        if self.held.fetch_add(1, Ordering::Relaxed) > 0 {
            return Admitted::Counted;
        }
        Admitted::At(self.since_ms.load(Ordering::Relaxed).saturating_add(SECOND_MS))
    }

    /// How many did not pass since the last sum; 0: none. Starts the next sum.
    pub fn take(&self) -> u64 {
        self.held.swap(0, Ordering::Relaxed)
    }

    /// The same once their second is over; before that 0.
    pub fn take_due(&self, now_ms: u64) -> u64 {
        let due_ms = self.since_ms.load(Ordering::Relaxed).saturating_add(SECOND_MS);
        if self.held.load(Ordering::Relaxed) == 0 || now_ms < due_ms { 0 } else { self.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h11_past_so_many_a_second_they_are_counted() {
        let gate = Gate::default();
        assert_eq!([5_000, 5_000, 5_900, 5_999].map(|now_ms| gate.admit(2, now_ms)), {
            [Admitted::Now, Admitted::Now, Admitted::At(6_000), Admitted::Counted]
        });
        assert_eq!([5_999, 6_000, 6_000].map(|now_ms| gate.take_due(now_ms)), [0, 2, 0]);
        // The next second begins with the first that comes.
        assert_eq!([6_500, 6_500, 7_499].map(|now_ms| gate.admit(2, now_ms)), {
            [Admitted::Now, Admitted::Now, Admitted::At(7_500)]
        });
        assert_eq!((gate.take(), gate.take()), (1, 0));
    }

    #[test]
    fn h11_nothing_is_lost_between_threads() {
        let gate = Gate::default();
        let one = || (0..10_000).filter(|&n| gate.admit(3, n / 100) == Admitted::Now).count() as u64;
        let passed: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
        });
        assert_eq!(passed + gate.take(), 40_000);
    }
}
