//! When the calendar says so: the next minute that a [`Cron`] names.

use super::civil::{Calendar, Now};
use crate::model::cron::Cron;

/// Minutes of eight years and more: what names no day within them names none. 29 February may be that far.
const AHEAD_MINUTES: i64 = (8 * 366) * 24 * 60;

/// The first such minute after a moment, as milliseconds of the wall clock; `None`: there is none.
pub fn next_after(cron: &Cron, now: Now) -> Option<i64> {
    let offset_ms = i64::from(now.utc_offset_s) * 1_000;
    let first = (now.unix_ms + offset_ms).div_euclid(60_000) + 1;
    let mut minute = first;
    while minute < first + AHEAD_MINUTES {
        let (day, of_day) = (minute.div_euclid(1_440), minute.rem_euclid(1_440));
        if !has_day(cron, day) {
            minute = (day + 1) * 1_440;
        } else if cron.hours & (1 << (of_day / 60)) == 0 {
            minute += 60 - of_day % 60;
        } else if cron.minutes & (1 << (of_day % 60)) == 0 {
            minute += 1;
        } else {
            return Some(minute * 60_000 - offset_ms);
        }
    }
    None
}

/// Whether it names a day, counted from 1970-01-01.
fn has_day(cron: &Cron, day: i64) -> bool {
    let (month, of_month) = month_and_day(day);
    let weekday = (day + 4).rem_euclid(7);
    let by_date = cron.days & (1 << of_month) != 0;
    let by_weekday = cron.weekdays & (1 << weekday) != 0;
    let fits = if cron.is_either { by_date || by_weekday } else { by_date && by_weekday };
    cron.months & (1 << month) != 0 && fits
}

/// Month and day of the month, both from 1, of a day counted from 1970-01-01.
fn month_and_day(day: i64) -> (u32, u32) {
    let mut calendar = Calendar::default();
    let civil = calendar.at(Now { unix_ms: day * 86_400_000, utc_offset_s: 0 });
    (civil.month.into(), civil.day.into())
}
