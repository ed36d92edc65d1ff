//! The two clocks of a shard, read together once for a batch of work.

use crate::codec::civil::Now;

/// One reading. Deadlines are kept on the monotonic clock, so that setting the wall clock moves none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The wall clock, milliseconds since 1970.
    pub unix_ms: i64,
    /// The same in nanoseconds.
    pub unix_ns: i64,
    /// When what is at hand had come at the latest, where the kernel does not tell: when the wait ended that told of it, or the one
    /// before, where that could not tell of all. On the wall clock, nanoseconds.
    pub arrived_ns: i64,
    /// The monotonic clock, milliseconds.
    pub mono_ms: u64,
    /// Seconds east of UTC.
    pub utc_offset_s: i32,
}

impl Clock {
    /// As the responder takes it.
    pub fn now(self) -> Now {
        Now { unix_ms: self.unix_ms, utc_offset_s: self.utc_offset_s }
    }

    /// A wall-clock moment on the monotonic clock; one that has passed is now.
    pub fn mono_of(self, unix_ms: i64) -> u64 {
        let after_ms = unix_ms.saturating_sub(self.unix_ms);
        self.mono_ms.saturating_add(u64::try_from(after_ms).unwrap_or(0))
    }

    /// A monotonic moment on the wall clock; 0 where it is not after now.
    pub fn unix_of_later(self, mono_ms: u64) -> i64 {
        match mono_ms.checked_sub(self.mono_ms) {
            None | Some(0) => 0,
            Some(after_ms) => self.unix_ms.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX)),
        }
    }

    /// A monotonic moment on the wall clock, in nanoseconds; one that has passed is now.
    pub fn unix_ns_of(self, mono_ms: u64) -> i64 {
        let after_ms = i64::try_from(mono_ms.saturating_sub(self.mono_ms)).unwrap_or(i64::MAX);
        self.unix_ns.saturating_add(after_ms.saturating_mul(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_over_and_back() {
        let unix_ns = 1_000_000_000_000;
        let clock = Clock { unix_ms: 1_000_000, unix_ns, arrived_ns: unix_ns, mono_ms: 50, utc_offset_s: 0 };
        for (unix_ms, mono_ms, back_ms) in [(1_000_007, 57, 1_000_007), (1_000_000, 50, 0), (3, 50, 0)] {
            assert_eq!((clock.mono_of(unix_ms), clock.unix_of_later(mono_ms)), (mono_ms, back_ms));
        }
    }
}
