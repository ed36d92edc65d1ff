//! The calendar that reply functions read: a moment in the local time zone, taken apart.

/// A moment: Unix time in milliseconds, and the local zone's distance from UTC then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: i64,
    /// Seconds east of UTC.
    pub utc_offset_s: i32,
}

impl Now {
    /// Milliseconds on the local clock since it was 1970-01-01.
    #[inline]
    pub(super) fn local_ms(self) -> i64 {
        self.unix_ms.saturating_add(i64::from(self.utc_offset_s) * 1000)
    }

    /// Taken apart.
    pub fn civil(self) -> Civil {
        Civil::new(self)
    }
}

/// A local date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, e.g. 2026.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// Sunday 0 to Saturday 6.
    pub weekday: u8,
    /// 1 to 366.
    pub day_of_year: u16,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999.
    pub millisecond: u16,
}

/// The last moment that was taken apart: most that follow are in the same second.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    /// Start of the local second of `last`, in milliseconds.
    from_ms: i64,
    last: Civil,
    /// A moment that `last` cannot keep.
    edge: Civil,
}

impl Default for Calendar {
    fn default() -> Self {
        let first = Civil::new(Now { unix_ms: 0, utc_offset_s: 0 });
        Self { from_ms: 0, last: first, edge: first }
    }
}

impl Calendar {
    /// As [`Civil::new`]. By reference: a copy would cost more than the look at it.
    #[inline]
    pub fn at(&mut self, now: Now) -> &Civil {
        match now.local_ms().checked_sub(self.from_ms) {
            Some(ms @ 0..1_000) => {
                self.last.millisecond = ms as u16;
                &self.last
            }
            _ => self.turn_to(now),
        }
    }

    #[cold]
    fn turn_to(&mut self, now: Now) -> &Civil {
        let civil = Civil::new(now);
        // The first second of all begins before what an i64 can hold.
        let Some(from_ms) = now.local_ms().checked_sub(i64::from(civil.millisecond)) else {
            self.edge = civil;
            return &self.edge;
        };
        (self.from_ms, self.last) = (from_ms, civil);
        &self.last
    }
}

const MS_PER_DAY: i64 = 86_400_000;

impl Civil {
    /// Takes a moment apart: proleptic Gregorian calendar, days counted from 0000-03-01 so that a leap day ends its year.
    pub fn new(now: Now) -> Self {
        let local_ms = now.local_ms();
        let days = local_ms.div_euclid(MS_PER_DAY);
        let ms = local_ms.rem_euclid(MS_PER_DAY);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][(month - 1) as usize];
        let day_of_year = before + day + i64::from(leap && month > 2);
        Self {
            year,
            month: month as u8,
            day: day as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
            day_of_year: day_of_year as u16,
            hour: (ms / 3_600_000) as u8,
            minute: (ms / 60_000 % 60) as u8,
            second: (ms / 1_000 % 60) as u8,
            millisecond: (ms % 1_000) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_ms: i64, utc_offset_s: i32, expected: (i64, u8, u8, u8, u16, u8, u8, u8, u16)) {
        let c = Now { unix_ms, utc_offset_s }.civil();
        let got = (c.year, c.month, c.day, c.weekday, c.day_of_year, c.hour, c.minute, c.second, c.millisecond);
        assert_eq!(got, expected);
    }

    #[test]
    fn known_moments() {
        check(0, 0, (1970, 1, 1, 4, 1, 0, 0, 0, 0));
        check(-1, 0, (1969, 12, 31, 3, 365, 23, 59, 59, 999));
        check(951_782_400_000, 0, (2000, 2, 29, 2, 60, 0, 0, 0, 0));
        check(1_768_239_003_000, 0, (2026, 1, 12, 1, 12, 17, 30, 3, 0));
        check(1_768_239_003_000, 28_800, (2026, 1, 13, 2, 13, 1, 30, 3, 0));
        check(4_107_542_399_000, 0, (2100, 2, 28, 0, 59, 23, 59, 59, 0));
    }

    #[test]
    fn the_calendar_remembers_no_wrong_moment() {
        let mut calendar = Calendar::default();
        let edges = [0, 999, 1_000, -1, -1_000, -1_001, 59_999, 60_000, i64::MIN, i64::MAX, 951_782_400_000];
        for unix_ms in edges.into_iter().flat_map(|ms: i64| [ms, ms.saturating_add(1), ms.saturating_sub(999), ms]) {
            for utc_offset_s in [0, 28_800, -12_600] {
                let now = Now { unix_ms, utc_offset_s };
                assert_eq!(*calendar.at(now), now.civil(), "{now:?}");
            }
        }
    }
}
