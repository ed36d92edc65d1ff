//! Numbers and times as people read them.

use fsu_plan::words::noun;

/// `1,234,567`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 FSU`, `1,000 FSUs`
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {}", thousands(number), noun(number, what))
}

/// [`time`]; `-` where none of `count` was measured.
pub fn time_of(count: u64, us: f64) -> String {
    if count == 0 { "-".into() } else { time(us) }
}

/// Microseconds in a unit that fits.
pub fn time(us: f64) -> String {
    match us {
        us if us < 0.1 => "<0.1 us".into(),
        us if us < 10.0 => format!("{us:.1} us"),
        us if us < 1000.0 => format!("{us:.0} us"),
        us if us < 10_000.0 => format!("{:.2} ms", us / 1000.0),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1000.0),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |number: u64, expected: &str| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn n18_one_is_not_plural_and_nothing_has_no_time() {
        let all = [0, 1, 2, 1234].map(|number| counted(number, "FSU"));
        assert_eq!(all, ["0 FSUs", "1 FSU", "2 FSUs", "1,234 FSUs"]);
        assert_eq!((time_of(0, 0.0), time_of(1, 123.4)), ("-".to_owned(), "123 us".to_owned()));
    }

    #[test]
    fn times_have_units() {
        let check = |us: f64, expected: &str| assert_eq!(time(us), expected);
        check(0.0, "<0.1 us");
        check(0.25, "0.2 us");
        check(123.4, "123 us");
        check(1234.5, "1.23 ms");
        check(123_456.0, "123 ms");
        check(1_234_567.0, "1.23 s");
    }
}
