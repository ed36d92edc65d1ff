//! Times as both logs write them: local time zone, milliseconds.

use fsu_plan::wire::civil::Now;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Writes times. It keeps the text of the last second, so that most times cost three digits.
#[derive(Debug)]
pub(crate) struct Stamp {
    zone: TimeZone,
    /// The second of `text`.
    second: i64,
    /// `2026-01-13 20:12:03`
    text: String,
}

impl Stamp {
    /// In the given time zone.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, second: i64::MIN, text: String::new() }
    }

    /// The zone.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Appends `[2026-01-13 20:12:03.184] `.
    pub(crate) fn write(&mut self, unix_ms: i64, out: &mut Vec<u8>) {
        let second = unix_ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            let at = self.at(unix_ms).civil();
            self.text.clear();
            let date = format_args!("{:04}-{:02}-{:02}", at.year, at.month, at.day);
            // Writing to a String does not fail.
            let _ = std::fmt::write(
                &mut self.text,
                format_args!("{date} {:02}:{:02}:{:02}", at.hour, at.minute, at.second),
            );
        }
        let ms = unix_ms.rem_euclid(1000) as u16;
        let digit = |n: u16| b'0' + (n % 10) as u8;
        out.push(b'[');
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms), b']', b' ']);
    }

    /// `20260113_201203`, as file names have it.
    pub(crate) fn file_name_part(&self, unix_ms: i64) -> String {
        let at = self.at(unix_ms).civil();
        format!("{:04}{:02}{:02}_{:02}{:02}{:02}", at.year, at.month, at.day, at.hour, at.minute, at.second)
    }

    fn at(&self, unix_ms: i64) -> Now {
        let utc_offset_s =
            Timestamp::from_millisecond(unix_ms).map_or(0, |moment| self.zone.to_offset(moment).seconds());
        Now { unix_ms, utc_offset_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz;

    fn check(unix_ms: i64, hours_east: i8, expected: &str) {
        let mut stamp = Stamp::new(TimeZone::fixed(tz::offset(hours_east)));
        let mut out = Vec::new();
        stamp.write(unix_ms, &mut out);
        stamp.write(unix_ms, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}{expected}"));
    }

    #[test]
    fn moments() {
        check(1_768_306_323_184, 8, "[2026-01-13 20:12:03.184] ");
        check(1_768_306_323_005, 0, "[2026-01-13 12:12:03.005] ");
        check(-1, 0, "[1969-12-31 23:59:59.999] ");
        let stamp = Stamp::new(TimeZone::fixed(tz::offset(8)));
        assert_eq!(stamp.file_name_part(1_768_306_323_184), "20260113_201203");
        stamp.file_name_part(i64::MAX);
        stamp.file_name_part(i64::MIN);
    }
}
