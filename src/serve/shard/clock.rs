//! The two clocks of a shard, read together once for a batch of work.

use fsu_plan::wire::civil::Now;

/// One reading. Deadlines are kept on the monotonic clock, so that setting the wall clock moves none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The wall clock, milliseconds since 1970.
    pub unix_ms: i64,
    /// The same in nanoseconds.
    pub unix_ns: i64,
    /// The arrival time of the current event if the kernel gives no timestamp: the earliest possible one (see [`super::look`]). Wall clock,
    /// nanoseconds.
    pub arrived_ns: i64,
    /// The monotonic clock, milliseconds.
    pub mono_ms: u64,
    /// The same in nanoseconds. Read after the wall clock, so that what is past on that clock is past on this one.
    pub mono_ns: u64,
    /// How far the wall clock was set forward just before, in nanoseconds; 0: it was not.
    pub stepped_ns: i64,
    /// Seconds east of UTC.
    pub utc_offset_s: i32,
}

/// A datagram may arrive this long after the clocks were read. A stamp further ahead is from before the wall clock was set back, and is
/// ignored.
const AHEAD_NS_MAX: i64 = 100_000_000;

impl Clock {
    /// The same reading, with the wall clock read again: nanoseconds.
    #[must_use]
    pub fn at_unix(self, unix_ns: i64) -> Self {
        Self { unix_ns, unix_ms: unix_ns.div_euclid(1_000_000), ..self }
    }

    /// As the responder takes it.
    pub fn now(self) -> Now {
        Now { unix_ms: self.unix_ms, utc_offset_s: self.utc_offset_s }
    }

    /// A wall-clock moment on the monotonic clock. Both in nanoseconds.
    #[inline]
    pub fn mono_of(self, unix_ns: i64) -> u64 {
        self.mono_ns.saturating_add_signed(unix_ns.saturating_sub(self.unix_ns))
    }

    /// A monotonic moment on the wall clock. Both in nanoseconds.
    #[inline]
    pub fn unix_of(self, mono_ns: u64) -> i64 {
        let after_ns = i128::from(mono_ns) - i128::from(self.mono_ns);
        self.unix_ns.saturating_add(after_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// The same; 0 where it is not after now.
    #[inline]
    pub fn unix_of_later(self, mono_ns: u64) -> i64 {
        if mono_ns > self.mono_ns { self.unix_of(mono_ns) } else { 0 }
    }

    /// The same reading, of what has been there since that moment on the monotonic clock, which is not after it.
    #[inline]
    #[must_use]
    pub fn with_arrival(self, mono_ns: u64) -> Self {
        Self { arrived_ns: self.unix_of(mono_ns.min(self.mono_ns)), ..self }
    }

    /// When a datagram came at the latest, which the kernel stamped so: a stamp from before the clock was set is of another time.
    #[inline]
    pub fn arrival(self, stamp_ns: i64) -> i64 {
        let set_ns = stamp_ns.saturating_add(self.stepped_ns).min(self.unix_ns);
        let came_ns = stamp_ns.max(set_ns);
        if came_ns > self.unix_ns.saturating_add(AHEAD_NS_MAX) { self.unix_ns } else { came_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(stepped_ns: i64) -> Clock {
        let unix_ns = 1_000_000_000_000;
        let mono_ns = 50_000_000;
        Clock { unix_ms: 1_000_000, unix_ns, arrived_ns: unix_ns, mono_ms: 50, mono_ns, stepped_ns, utc_offset_s: 0 }
    }

    #[test]
    fn moments_go_over_and_back() {
        let clock = clock(0);
        for (after_ns, mono_ns) in [(7, 50_000_007), (0, 50_000_000), (-9, 49_999_991)] {
            let unix_ns = clock.unix_ns + after_ns;
            assert_eq!((clock.mono_of(unix_ns), clock.unix_of(mono_ns)), (mono_ns, unix_ns));
            assert_eq!(clock.unix_of_later(mono_ns), if after_ns > 0 { unix_ns } else { 0 });
        }
        assert_eq!((clock.mono_of(0), clock.mono_of(i64::MIN)), (0, 0));
    }

    #[test]
    fn n09_a_stamp_from_before_the_clock_was_set_makes_no_reply_early() {
        // set forward, stamp (both against now, in ns) -> when it came at the latest
        for (stepped_ns, stamp_ns, expected_ns) in
            [(0, -5, -5), (0, 5, 5), (1_000, -1_005, -5), (1_000, -5, 0), (1_000, 5, 5)]
        {
            let clock = clock(stepped_ns);
            assert_eq!(clock.arrival(clock.unix_ns + stamp_ns), clock.unix_ns + expected_ns);
        }
    }

    #[test]
    fn limit_ahead_ns_max() {
        for (stamp_ns, expected_ns) in [(100_000_000, 100_000_000), (100_000_001, 0), (1 << 50, 0)] {
            let clock = clock(0);
            assert_eq!(clock.arrival(clock.unix_ns + stamp_ns), clock.unix_ns + expected_ns);
        }
    }
}
