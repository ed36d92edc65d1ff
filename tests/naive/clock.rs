//! A civil date and time, counted the slow way.

/// A local date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Clock {
    /// `2026-01-12T17:30:03`.
    pub fn parse(text: &str) -> Self {
        let n: Vec<i64> = text.split(['-', 'T', ':']).map(|part| part.parse().unwrap()).collect();
        Self { year: n[0], month: n[1], day: n[2], hour: n[3], minute: n[4], second: n[5] }
    }

    /// Days since 1970-01-01 (no earlier date is asked for).
    pub fn days(self) -> i64 {
        let mut days = 0;
        for year in 1970..self.year {
            days += if leap(year) { 366 } else { 365 };
        }
        for month in 1..self.month {
            days += days_of_month(self.year, month);
        }
        days + self.day - 1
    }

    /// Seconds since 1970-01-01 00:00:00 on the same clock.
    pub fn seconds(self) -> i64 {
        self.days() * 86_400 + self.hour * 3_600 + self.minute * 60 + self.second
    }

    pub fn from_seconds(seconds: i64) -> Self {
        let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
        let (mut year, mut month) = (1970, 1);
        while days >= if leap(year) { 366 } else { 365 } {
            days -= if leap(year) { 366 } else { 365 };
            year += 1;
        }
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        Self { year, month, day: days + 1, hour: rest / 3_600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// Sunday 0 to Saturday 6. 1970-01-01 was a Thursday.
    pub fn weekday(self) -> i64 {
        (self.days() + 4) % 7
    }

    pub fn day_of_year(self) -> i64 {
        (1..self.month).map(|month| days_of_month(self.year, month)).sum::<i64>() + self.day
    }

    /// The few strftime directives that tests use.
    pub fn format(self, format: &str) -> String {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next().unwrap() {
                'Y' => out += &format!("{:04}", self.year),
                'y' => out += &format!("{:02}", self.year % 100),
                'm' => out += &format!("{:02}", self.month),
                'd' => out += &format!("{:02}", self.day),
                'H' => out += &format!("{:02}", self.hour),
                'M' => out += &format!("{:02}", self.minute),
                'S' => out += &format!("{:02}", self.second),
                'j' => out += &format!("{:03}", self.day_of_year()),
                '%' => out.push('%'),
                other => panic!("directive %{other} is not for tests"),
            }
        }
        out
    }

    /// (year-2000)*512 + month*32 + day.
    pub fn packed_date(self) -> i64 {
        (self.year - 2000) * 512 + self.month * 32 + self.day
    }

    /// hour*2048 + minute*32 + second/2.
    pub fn packed_time(self) -> i64 {
        self.hour * 2048 + self.minute * 32 + self.second / 2
    }
}
