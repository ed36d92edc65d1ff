//! Times of the calendar, as five fields name them.

use crate::wire::civil::Now;

/// When something happens by the clock on the wall: minutes, hours, days of the month, months, days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// As it was written.
    pub text: Box<str>,
    /// Bit n: minute n.
    pub minutes: u64,
    /// Bit n: hour n.
    pub hours: u32,
    /// Bit n: day n of the month, from 1.
    pub days: u32,
    /// Bit n: month n, from 1.
    pub months: u16,
    /// Bit n: day n of the week, Sunday 0.
    pub weekdays: u8,
    /// `days` and `weekdays` both name some: either is enough.
    pub is_either: bool,
}

/// Minutes of four years and a day: what names no day within them names none.
const AHEAD_MINUTES: i64 = (4 * 366) * 24 * 60;

impl Cron {
    /// The first such minute after a moment, as milliseconds of the wall clock; `None`: there is none.
    pub fn next_after(&self, now: Now) -> Option<i64> {
        let offset_ms = i64::from(now.utc_offset_s) * 1_000;
        let first = (now.unix_ms + offset_ms).div_euclid(60_000) + 1;
        let mut minute = first;
        while minute < first + AHEAD_MINUTES {
            let (day, of_day) = (minute.div_euclid(1_440), minute.rem_euclid(1_440));
            if !self.has_day(day) {
                minute = (day + 1) * 1_440;
            } else if self.hours & (1 << (of_day / 60)) == 0 {
                minute += 60 - of_day % 60;
            } else if self.minutes & (1 << (of_day % 60)) == 0 {
                minute += 1;
            } else {
                return Some(minute * 60_000 - offset_ms);
            }
        }
        None
    }

    /// Whether it names a day, counted from 1970-01-01.
    fn has_day(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day(day);
        let weekday = (day + 4).rem_euclid(7);
        let by_date = self.days & (1 << of_month) != 0;
        let by_weekday = self.weekdays & (1 << weekday) != 0;
        let fits = if self.is_either { by_date || by_weekday } else { by_date && by_weekday };
        self.months & (1 << month) != 0 && fits
    }
}

/// Month and day of the month, both from 1, of a day counted from 1970-01-01.
fn month_and_day(day: i64) -> (u32, u32) {
    let mut calendar = crate::wire::civil::Calendar::default();
    let civil = calendar.at(Now { unix_ms: day * 86_400_000, utc_offset_s: 0 });
    (civil.month.into(), civil.day.into())
}
