//! Reads the clocks for a driver.

use super::kernel::clock_ns;
use crate::shard::clock::Clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::ClockId;

/// Reads both clocks. Looks up the offset from UTC once a minute: it changes only at whole minutes.
#[derive(Debug)]
pub(crate) struct Clocks {
    zone: TimeZone,
    minute: i64,
    utc_offset_s: i32,
    step: Step,
}

impl Clocks {
    /// In the system's time zone.
    pub(crate) fn new() -> Self {
        Self { zone: TimeZone::system(), minute: i64::MIN, utc_offset_s: 0, step: Step::default() }
    }

    /// Both clocks, now.
    #[inline]
    pub(crate) fn now(&mut self) -> Clock {
        let unix_ns = clock_ns(ClockId::Realtime);
        let mono_ns = clock_ns(ClockId::Monotonic);
        let unix_ms = unix_ns / 1_000_000;
        let minute = unix_ms.div_euclid(60_000);
        if minute != self.minute {
            self.minute = minute;
            self.utc_offset_s = Timestamp::from_millisecond(unix_ms)
                .map_or(self.utc_offset_s, |now| self.zone.to_offset(now).seconds());
        }
        Clock {
            unix_ms,
            unix_ns,
            arrived_ns: unix_ns,
            mono_ms: mono_ns.unsigned_abs() / 1_000_000,
            mono_ns: mono_ns.unsigned_abs(),
            stepped_ns: self.step.at(unix_ns, mono_ns),
            utc_offset_s: self.utc_offset_s,
        }
    }
}

/// The wall clock alone, in nanoseconds.
#[inline]
pub(crate) fn unix_ns() -> i64 {
    clock_ns(ClockId::Realtime)
}

/// Processor time of this thread so far, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec.unsigned_abs() * 1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs())
}

/// The monotonic clock alone, in nanoseconds.
#[inline]
pub(crate) fn mono_ns() -> u64 {
    clock_ns(ClockId::Monotonic).unsigned_abs()
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new()
    }
}

/// How far the wall clock was set forward. Sockets hold stamps from before that for a while.
#[derive(Debug)]
struct Step {
    /// The smallest recent distance from the monotonic clock to the wall clock, in nanoseconds.
    least_ns: i64,
    /// When that was, on the monotonic clock.
    since_ns: i64,
}

/// How long a step of the clock is remembered.
const STEP_KEPT_NS: i64 = 10_000_000_000;
/// Less than this is no step: the clock is slewed, or the shard was interrupted between the two readings.
const STEP_NS_MIN: i64 = 1_000_000;

impl Default for Step {
    fn default() -> Self {
        Self { least_ns: i64::MAX, since_ns: 0 }
    }
}

impl Step {
    #[inline]
    fn at(&mut self, unix_ns: i64, mono_ns: i64) -> i64 {
        let distance_ns = unix_ns - mono_ns;
        let ahead_ns = distance_ns.saturating_sub(self.least_ns);
        if ahead_ns < STEP_NS_MIN || mono_ns - self.since_ns > STEP_KEPT_NS {
            (self.least_ns, self.since_ns) = (distance_ns, mono_ns);
            return 0;
        }
        ahead_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward() {
        let mut watch = Clocks::new();
        let first = watch.now();
        let second = watch.now();
        assert!(first.unix_ms > 1_600_000_000_000 && first.mono_ms > 0);
        assert!(second.mono_ns >= first.mono_ns && second.mono_ms == second.mono_ns / 1_000_000);
        assert_eq!(first.utc_offset_s, jiff::Zoned::now().offset().seconds());
    }

    #[test]
    fn n09_a_wall_clock_set_forward_is_seen() {
        let mut step = Step::default();
        let second = 1_000_000_000;
        // unix and mono in ns -> how far it was set
        for (unix_ns, mono_ns, expected_ns) in [
            (50 * second, 0, 0),
            (51 * second + 900_000, second, 0),
            (62 * second, 2 * second, 10 * second - 900_000),
            (63 * second, 3 * second, 10 * second - 900_000),
            // Long ago.
            (72 * second, 12 * second, 0),
            // Set back, and a second of slewing.
            (13 * second, 13 * second, 0),
            (14 * second + 500_000, 14 * second, 0),
        ] {
            assert_eq!(step.at(unix_ns, mono_ns), expected_ns, "at {mono_ns}");
        }
    }
}
