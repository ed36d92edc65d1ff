//! Reads the clocks for a driver.

use super::clock::Clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

/// Reads both clocks; knows the distance from UTC, looked up once a minute (it changes at whole minutes only).
#[derive(Debug)]
pub struct Watch {
    zone: TimeZone,
    minute: i64,
    utc_offset_s: i32,
}

impl Watch {
    /// In the system's time zone.
    pub fn new() -> Self {
        Self { zone: TimeZone::system(), minute: i64::MIN, utc_offset_s: 0 }
    }

    /// Both clocks, now.
    #[inline]
    pub fn now(&mut self) -> Clock {
        let mono_ms = nanos(ClockId::Monotonic) / 1_000_000;
        let unix_ns = nanos(ClockId::Realtime);
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
            mono_ms: mono_ms.unsigned_abs(),
            utc_offset_s: self.utc_offset_s,
        }
    }

    /// The wall clock alone, in nanoseconds.
    #[inline]
    pub fn unix_ns(&self) -> i64 {
        nanos(ClockId::Realtime)
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward() {
        let mut watch = Watch::new();
        let first = watch.now();
        let second = watch.now();
        assert!(first.unix_ms > 1_600_000_000_000 && first.mono_ms > 0);
        assert!(second.mono_ms >= first.mono_ms);
        assert_eq!(first.utc_offset_s, jiff::Zoned::now().offset().seconds());
    }
}
