//! Moments in a field: `epoch` and `cp56time2a` (spec shapes.md, Numbers and text on the wire).
//!
//! In JSON both are a civil time, `2026-01-12T17:30:03`, in the zone of the field. An epoch counts from 1970 on the clock of that zone.

use super::checksum::{read_number, write_number};
use super::civil::{Civil, Now};
use super::value::Misfit;
use crate::model::field::Epoch;
use std::io::Write as _;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A civil time, as milliseconds since 1970 on its own clock, and the marks of a cp56time2a.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    ms: i64,
    is_invalid: bool,
    is_summer: bool,
}

/// Days from 1970-01-01; `None`: there is no such day. Years 1970 to 9999.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1970..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let before: i64 = lengths.iter().take((month - 1) as usize).sum();
    Some(365 * (year - 1970) + leaps(year - 1) - leaps(1969) + before + day - 1)
}

/// Milliseconds since 1970; `None`: there is no such time.
fn millis((year, month, day): (i64, i64, i64), (hour, minute, second, ms): (i64, i64, i64, i64)) -> Option<i64> {
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let of_day = ((hour * 60 + minute) * 60 + second) * 1_000 + ms;
    days(year, month, day).filter(|_| is_time && (0..1_000).contains(&ms)).map(|days| days * DAY_MS + of_day)
}

/// A number of exactly `len` digits at the beginning of a text, and the rest.
fn number(text: &[u8], len: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(len)?;
    let value =
        digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')));
    Some((value?, rest))
}

/// The same behind a separator.
fn behind<'t>(text: &'t [u8], separators: &[u8], len: usize) -> Option<(i64, &'t [u8])> {
    let (first, rest) = text.split_first()?;
    if separators.contains(first) { number(rest, len) } else { None }
}

/// Reads `2026-01-12T17:30:03.250`, with a blank for the T, without milliseconds, seconds or time; or the digits of
/// yyMMddHHmmss, yyyyMMddHHmmss or these and milliseconds. Behind it may be the marks IV and SU.
fn parse(text: &[u8]) -> Option<Moment> {
    let mut moment = Moment::default();
    let mut text = text.trim_ascii();
    for (mark, is) in [(&b" SU"[..], &mut moment.is_summer), (&b" IV"[..], &mut moment.is_invalid)] {
        if let Some(rest) = text.strip_suffix(mark) {
            (text, *is) = (rest.trim_ascii_end(), true);
        }
    }
    moment.ms = if text.iter().all(u8::is_ascii_digit) { in_digits(text)? } else { spelled(text)? };
    Some(moment)
}

fn in_digits(text: &[u8]) -> Option<i64> {
    let (year, rest) = match text.len() {
        12 => number(text, 2).map(|(year, rest)| (2000 + year, rest))?,
        14 | 17 => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    let (ms, _) = if rest.is_empty() { (0, rest) } else { number(rest, 3)? };
    millis((year, month, day), (hour, minute, second, ms))
}

fn spelled(text: &[u8]) -> Option<i64> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = behind(rest, b"-", 2)?;
    let (day, rest) = behind(rest, b"-", 2)?;
    if rest.is_empty() {
        return millis((year, month, day), (0, 0, 0, 0));
    }
    let (hour, rest) = behind(rest, b"T ", 2)?;
    let (minute, rest) = behind(rest, b":", 2)?;
    let (second, rest) = if rest.is_empty() { (0, rest) } else { behind(rest, b":", 2)? };
    let (ms, rest) = if rest.is_empty() { (0, rest) } else { behind(rest, b".", 3)? };
    rest.is_empty().then(|| millis((year, month, day), (hour, minute, second, ms)))?
}

/// Writes a time, or the number behind an `@`.
pub fn encode_epoch(epoch: Epoch, little: bool, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(Misfit::Empty);
    }
    let value = if let Some(digits) = text.strip_prefix(b"@") {
        let value = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        value.ok_or(Misfit::Digit)?
    } else {
        let moment = parse(text).filter(|moment| !moment.is_invalid && !moment.is_summer).ok_or(Misfit::Digit)?;
        let value = if epoch.ms { moment.ms } else { moment.ms / 1_000 };
        value.unsigned_abs()
    };
    if out.len() < 8 && value >> (8 * out.len()) != 0 {
        return Err(Misfit::Range);
    }
    write_number(value, little, out);
    Ok(())
}

/// Appends the time; of numbers past the year 9999 `@` and the number.
pub fn decode_epoch(epoch: Epoch, little: bool, bytes: &[u8], out: &mut Vec<u8>) {
    let value = read_number(bytes, little);
    let ms = if epoch.ms { Some(value) } else { value.checked_mul(1_000) };
    let ms = ms.and_then(|ms| i64::try_from(ms).ok()).filter(|ms| ms / DAY_MS < 2_932_897);
    // Writing to a Vec does not fail.
    let Some(unix_ms) = ms else {
        let _ = write!(out, "@{value}");
        return;
    };
    push(&Now { unix_ms, utc_offset_s: 0 }.civil(), epoch.ms, out);
}

fn push(civil: &Civil, has_ms: bool, out: &mut Vec<u8>) {
    let Civil { year, month, day, hour, minute, second, millisecond, .. } = civil;
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if has_ms {
        let _ = write!(out, ".{millisecond:03}");
    }
}

/// Bytes of a cp56time2a.
pub const CP56_BYTES: usize = 7;
/// The invalid mark, in the byte of the minute; the summer time mark, in that of the hour.
const MARK: u8 = 0x80;

/// Writes a time of the years 2000 to 2099. The bits of the weekday are 0.
pub fn encode_cp56(text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    if text.trim_ascii().is_empty() {
        return Err(Misfit::Empty);
    }
    let moment = parse(text).ok_or(Misfit::Digit)?;
    let civil = Now { unix_ms: moment.ms, utc_offset_s: 0 }.civil();
    let year = u8::try_from(civil.year - 2000).ok().filter(|year| *year < 100).ok_or(Misfit::Range)?;
    let [low, high] = (u16::from(civil.second) * 1_000 + civil.millisecond).to_le_bytes();
    let mark = |is: bool| if is { MARK } else { 0 };
    let minute = civil.minute | mark(moment.is_invalid);
    let hour = civil.hour | mark(moment.is_summer);
    let bytes: [u8; CP56_BYTES] = [low, high, minute, hour, civil.day, civil.month, year];
    let place = out.first_chunk_mut().ok_or(Misfit::TooLong)?;
    *place = bytes;
    Ok(())
}

/// Appends the time, with IV if it is marked invalid and SU for summer time. Bytes that are no time have no value.
pub fn decode_cp56(bytes: &[u8], out: &mut Vec<u8>) {
    let Some(&[low, high, minute, hour, day, month, year]) = bytes.first_chunk() else { return };
    let ms = i64::from(u16::from_le_bytes([low, high]));
    let date = (2000 + i64::from(year & 0x7F), i64::from(month & 0x0F), i64::from(day & 0x1F));
    let time = (i64::from(hour & 0x1F), i64::from(minute & 0x3F), ms / 1_000, ms % 1_000);
    let Some(unix_ms) = millis(date, time).filter(|_| year & 0x7F < 100) else { return };
    push(&Now { unix_ms, utc_offset_s: 0 }.civil(), true, out);
    if minute & MARK != 0 {
        out.extend_from_slice(b" IV");
    }
    if hour & MARK != 0 {
        out.extend_from_slice(b" SU");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(ms: bool, len: usize, text: &str, expected: Result<&str, Misfit>, back: &str) {
        let (epoch, mut out) = (Epoch { ms, offset_s: 0 }, vec![0xA5; len]);
        let got = encode_epoch(epoch, false, text.as_bytes(), &mut out).map(|()| hex::encode_upper(&out));
        assert_eq!(got, expected.map(str::to_owned), "{text}");
        if got.is_ok() {
            let mut text = Vec::new();
            decode_epoch(epoch, false, &out, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), back);
        }
    }

    #[test]
    fn seconds_and_milliseconds_since_1970() {
        let at = "2026-01-12T17:30:03";
        epoch(false, 4, at, Ok("69652F9B"), at);
        epoch(false, 4, "2026-01-12 17:30:03", Ok("69652F9B"), at);
        epoch(false, 4, "260112173003", Ok("69652F9B"), at);
        epoch(false, 4, "20260112173003", Ok("69652F9B"), at);
        epoch(false, 8, "20260112173003250", Ok("0000000069652F9B"), at);
        epoch(false, 4, "@1768239003", Ok("69652F9B"), at);
        epoch(true, 6, "2026-01-12T17:30:03.250", Ok("019BB341F672"), "2026-01-12T17:30:03.250");
        epoch(false, 4, "1970-01-01", Ok("00000000"), "1970-01-01T00:00:00");
        epoch(false, 4, "2024-02-29T23:59", Ok("65E11A44"), "2024-02-29T23:59:00");
        epoch(false, 8, "@18446744073709551615", Ok("FFFFFFFFFFFFFFFF"), "@18446744073709551615");
        epoch(false, 8, "9999-12-31T23:59:59", Ok("0000003AFFF4417F"), "9999-12-31T23:59:59");
        epoch(false, 4, "2107-01-01", Err(Misfit::Range), "");
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-01-12T24:00",
            "1969-12-31",
            "1768239003",
            "noon",
            "2026-01-12T17:30:03Z",
            "260112173003 IV",
        ] {
            epoch(false, 4, wrong, Err(Misfit::Digit), "");
        }
        epoch(false, 4, "", Err(Misfit::Empty), "");
    }

    #[test]
    fn every_day_is_found_again() {
        let mut day = 0;
        for year in 1970..2110 {
            for month in 1..=12 {
                for of_month in (1..=31).filter(|day| days(year, month, *day).is_some()) {
                    assert_eq!(days(year, month, of_month), Some(day));
                    let civil = Now { unix_ms: day * DAY_MS, utc_offset_s: 0 }.civil();
                    assert_eq!((civil.year, i64::from(civil.month), i64::from(civil.day)), (year, month, of_month));
                    day += 1;
                }
            }
        }
    }

    fn cp56(text: &str, expected: Result<&str, Misfit>, back: &str) {
        let mut out = [0xA5; 7];
        let got = encode_cp56(text.as_bytes(), &mut out).map(|()| hex::encode_upper(out));
        assert_eq!(got, expected.map(str::to_owned), "{text}");
        if got.is_ok() {
            let mut text = Vec::new();
            decode_cp56(&out, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), back);
        }
    }

    #[test]
    fn seven_bytes_of_iec_60870_5() {
        cp56("2026-01-12T17:30:03.250", Ok("B20C1E110C011A"), "2026-01-12T17:30:03.250");
        cp56("2026-01-12T17:30:03 IV", Ok("B80B9E110C011A"), "2026-01-12T17:30:03.000 IV");
        cp56("2026-07-12T17:30:03 IV SU", Ok("B80B9E910C071A"), "2026-07-12T17:30:03.000 IV SU");
        cp56("260112173003", Ok("B80B1E110C011A"), "2026-01-12T17:30:03.000");
        cp56("1999-12-31", Err(Misfit::Range), "");
        cp56("2100-01-01", Err(Misfit::Range), "");
        cp56("x", Err(Misfit::Digit), "");
        cp56("", Err(Misfit::Empty), "");
        let read = |bytes: &str| {
            let mut text = Vec::new();
            decode_cp56(&hex::decode(bytes).unwrap(), &mut text);
            String::from_utf8(text).unwrap()
        };
        // The weekday is not read; day 0 and minute 60 are none.
        assert_eq!(read("B20C1E112C011A"), "2026-01-12T17:30:03.250");
        assert_eq!(
            (read("00000000000000"), read("B20C3C110C011A"), read("60EA1E110C011A")),
            (String::new(), String::new(), String::new())
        );
    }
}
