//! When a certificate is valid: the one part of X.509 that is looked at here. Everything else is left to rustls.

/// Seconds since 1970 between which a certificate is valid. `None`: it is no certificate.
pub fn validity(der: &[u8]) -> Option<(i64, i64)> {
    // Certificate, its first part, and in it: version (if given), serial number, algorithm, issuer, validity.
    let (mut body, _) = take(take(der, SEQUENCE)?.0, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        body = take(body, VERSION)?.1;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        body = take(body, tag)?.1;
    }
    let (both, _) = take(body, SEQUENCE)?;
    let (first, rest) = time(both)?;
    let (last, _) = time(rest)?;
    Some((first, last))
}

/// What is to be said about a certificate at this moment, in seconds since 1970: it is not valid yet, or no more.
pub fn complaint(der: &[u8], now_s: i64) -> Option<String> {
    let (first, last) = validity(der)?;
    if now_s < first {
        return Some(format!("is not valid before {}", date(first)));
    }
    (now_s > last).then(|| format!("expired on {}", date(last)))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The contents of the value at the beginning, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, short], rest) = bytes.split_first_chunk()?;
    let (len, rest) = match short {
        0..=0x7F => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
            (digits.iter().fold(0, |len, &digit| len << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    if found == tag { rest.split_at_checked(len) } else { None }
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, digits) = if *bytes.first()? == GENERALIZED_TIME { (GENERALIZED_TIME, 4) } else { (UTC_TIME, 2) };
    let (text, rest) = take(bytes, tag)?;
    let number = |from: usize, to: usize| std::str::from_utf8(text.get(from..to)?).ok()?.parse::<i64>().ok();
    let at = |place: usize| number(digits + 2 * place, digits + 2 * place + 2);
    let year = match number(0, digits)? {
        short @ 0..50 if digits == 2 => 2000 + short,
        short if digits == 2 => 1900 + short,
        year => year,
    };
    let seconds = at(2)? * 3_600 + at(3)? * 60 + at(4)?;
    Some((days(year, at(0)?, at(1)?) * DAY_S + seconds, rest))
}

const DAY_S: i64 = 86_400;

/// Days since 1970 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469
}

/// `2026-11-30`
fn date(seconds: i64) -> String {
    let day = seconds.div_euclid(DAY_S);
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|&month| days(year, month, 1) <= day).unwrap_or(1);
    format!("{year:04}-{month:02}-{:02}", day - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Authority;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
            (4_102_444_799, "2099-12-31"),
        ] {
            assert_eq!(date(seconds), expected);
        }
        assert_eq!((days(1970, 1, 1), days(2000, 2, 29), days(2027, 1, 1)), (0, 11_016, 20_819));
    }

    #[test]
    fn a_certificate_says_when_it_is_valid() {
        let of = |from: (i32, u8, u8), to: (i32, u8, u8)| {
            let one = Authority::new("ca").leaf_between(&["a.example"], from, to);
            crate::pem::certificates(one.cert.as_bytes()).expect("a certificate").remove(0)
        };
        let check = |from, to, now_s: i64, expected: Option<&str>| {
            assert_eq!(complaint(&of(from, to), now_s).as_deref(), expected);
        };
        let (from, to) = ((2020, 1, 1), (2020, 2, 29));
        check(from, to, 1_577_836_799, Some("is not valid before 2020-01-01"));
        check(from, to, 1_577_836_800, None);
        check(from, to, 1_582_934_400, None);
        check(from, to, 1_582_934_401, Some("expired on 2020-02-29"));
        // Past 2049 the year has four digits.
        check((1975, 1, 1), (4096, 1, 1), 1_582_934_400, None);
        check((1975, 1, 1), (2051, 6, 30), 2_571_782_400, Some("expired on 2051-06-30"));
        for text in [&b""[..], &[0x30], &[0x30, 0x80, 0, 0], &[0x30, 2, 0x30, 0], b"hello, this is no certificate"] {
            assert_eq!(validity(text), None);
        }
        let whole = of(from, to);
        for len in 0..whole.len().min(200) {
            assert_eq!(validity(&whole[..len]), None, "{len} bytes");
        }
    }
}
