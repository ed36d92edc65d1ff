//! `cron`: five fields to times of the calendar.

use crate::model::cron::Cron;
use crate::wire::civil::Now;
use crate::wire::cron::next_after;
use std::fmt::Display;
use thiserror::Error;

/// Why a text is no time of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum CronError {
    /// Too few or too many fields.
    #[error("{0} fields (five: minute, hour, day of the month, month, day of the week)")]
    Fields(usize),
    /// A part of a field is nothing of it.
    #[error("`{part}` is no {field} ({right})")]
    Part { part: Box<str>, field: &'static str, right: Box<str> },
    /// A range that ends before it begins.
    #[error("`{part}` ends before it begins (two ranges, `a-b,c-d`)")]
    Backward { part: Box<str> },
    /// A step of nothing.
    #[error("`{part}`: a step is 1 or more, behind `*` or a range (`*/15`, `0-30/10`)")]
    Step { part: Box<str> },
    /// No day has that date.
    #[error("no day of any year is that")]
    Never,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of its values, from `least` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: MONTHS },
    // 7 is Sunday too.
    Field { name: "day of the week", least: 0, most: 7, names: DAYS },
];

/// A time of the calendar from its text.
pub(super) fn parse(text: &str) -> Result<Cron, CronError> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let &[minute, hour, day, month, weekday] = &*parts else { return Err(CronError::Fields(parts.len())) };
    let [minutes, hours, days, months, weekdays] = [minute, hour, day, month, weekday];
    let mut masks = [0_u64; 5];
    for ((mask, field), text) in masks.iter_mut().zip(&FIELDS).zip([minutes, hours, days, months, weekdays]) {
        *mask = field.parse(text)?;
    }
    let [minutes, hours, days, months, mut weekdays] = masks;
    weekdays = (weekdays | (weekdays >> 7)) & 0x7F;
    let cron = Cron {
        text: text.trim().into(),
        minutes,
        hours: hours as u32,
        days: days as u32,
        months: months as u16,
        weekdays: weekdays as u8,
        is_either: !day.starts_with('*') && !weekday.starts_with('*'),
    };
    let ever = next_after(&cron, Now { unix_ms: 0, utc_offset_s: 0 });
    ever.map(|_| cron).ok_or(CronError::Never)
}

impl Field {
    /// A mask of the values that a list names.
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        let mut mask = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (self.least, self.most),
                (_, Some((from, to))) => (self.value(from, part)?, self.value(to, part)?),
                (one, None) if step.is_none() => (self.value(one, part)?, self.value(one, part)?),
                _ => return Err(CronError::Step { part: part.into() }),
            };
            if from > to {
                return Err(CronError::Backward { part: part.into() });
            }
            let step = match step.map(str::parse::<usize>) {
                None => 1,
                Some(Ok(step)) if step > 0 => step,
                Some(_) => return Err(CronError::Step { part: part.into() }),
            };
            mask |= (from..=to).step_by(step).fold(0, |mask, value| mask | 1 << value);
        }
        Ok(mask)
    }

    fn value(&self, text: &str, part: &str) -> Result<u32, CronError> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = || {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|number| digits && (self.least..=self.most).contains(number))
        };
        named.map(|at| at as u32 + self.least).or_else(number).ok_or_else(|| CronError::Part {
            part: part.into(),
            field: self.name,
            right: self.right(),
        })
    }

    fn right(&self) -> Box<str> {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        let numbers: &dyn Display = &format_args!("{} to {}", self.least, self.most);
        format!("{numbers}{names}; lists, ranges, steps, `*`").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a field's text names a number, read in the plainest way.
    fn names(text: &str, number: u32, least: u32, most: u32, words: &[&str]) -> bool {
        let value = |text: &str| {
            let word = words.iter().position(|word| *word == text.to_lowercase());
            word.map_or_else(|| text.parse::<u32>().unwrap(), |at| at as u32 + least)
        };
        text.split(',').any(|part| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let (from, to) = match range.split_once('-') {
                Some((from, to)) => (value(from), value(to)),
                None if range == "*" => (least, most),
                None => (value(range), value(range)),
            };
            (from..=to).contains(&number) && (number - from).is_multiple_of(step.parse::<u32>().unwrap())
        })
    }

    /// Whether the minute of that moment is one of them.
    fn is_one(fields: [&str; 5], now: Now) -> bool {
        let civil = now.civil();
        let [minute, hour, day, month, weekday] = fields;
        let by_day = names(day, civil.day.into(), 1, 31, &[]);
        let sunday = civil.weekday == 0 && names(weekday, 7, 0, 7, DAYS);
        let by_weekday = sunday || names(weekday, civil.weekday.into(), 0, 7, DAYS);
        let is_either = !day.starts_with('*') && !weekday.starts_with('*');
        names(minute, civil.minute.into(), 0, 59, &[])
            && names(hour, civil.hour.into(), 0, 23, &[])
            && names(month, civil.month.into(), 1, 12, MONTHS)
            && if is_either { by_day || by_weekday } else { by_day && by_weekday }
    }

    /// The next ones after a moment are those that a walk over all minutes finds.
    #[test]
    fn the_next_one_is_what_a_walk_over_all_minutes_finds() {
        let check = |text: &str, unix_s: i64, utc_offset_s: i32, days: i64| {
            let cron = parse(text).unwrap();
            let fields: Vec<&str> = text.split(' ').collect();
            let fields: [&str; 5] = fields.try_into().unwrap();
            let (mut now, end_ms) =
                (Now { unix_ms: unix_s * 1_000 + 17, utc_offset_s }, (unix_s + days * 86_400) * 1_000);
            // Minutes of the clock on the wall.
            let offset_ms = i64::from(utc_offset_s) * 1_000;
            let mut walk = ((now.unix_ms + offset_ms).div_euclid(60_000) + 1) * 60_000 - offset_ms;
            let mut found = 0;
            while walk < end_ms {
                if is_one(fields, Now { unix_ms: walk, utc_offset_s }) {
                    assert_eq!(next_after(&cron, now), Some(walk), "`{text}` after {now:?}");
                    now.unix_ms = walk;
                    found += 1;
                }
                walk += 60_000;
            }
            assert!(found > 0, "`{text}`: none within {days} days of {unix_s}");
        };
        // 2026-11-30, a Monday; +8 h, -3.5 h, +5.75 h.
        let start = 1_796_000_000;
        for offset in [0, 28_800, -12_600, 20_700] {
            check("* * * * *", start, offset, 1);
            check("*/15 0-8/4 * * *", start, offset, 10);
            check("30 6,18 * * MON-fri", start, offset, 15);
            check("0 0 1 * mon", start, offset, 70);
            check("0 0 */2 * sun", start, offset, 70);
            check("59 23 31 * *", start, offset, 100);
            check("5 4 * jan,FEB 7", start, offset, 100);
            check("0 12 * * 0,6", start, offset, 20);
        }
        // 2028-02-28: a leap year.
        check("1 0 29 2 *", 1_835_300_000, 28_800, 3);
    }

    #[test]
    fn the_29th_of_february_may_be_eight_years_away() {
        let cron = parse("0 0 29 2 *").unwrap();
        // 2096-03-01 and 2104-02-29; 2100 is no leap year.
        let now = Now { unix_ms: 3_981_312_000_000, utc_offset_s: 0 };
        let next = next_after(&cron, now).unwrap();
        let civil = Now { unix_ms: next, utc_offset_s: 0 }.civil();
        assert_eq!((civil.year, civil.month, civil.day), (2104, 2, 29));
    }
}
