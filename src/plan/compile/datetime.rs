//! Formats of `datetime()`: strftime's directives, or runs of letters (spec templates.md, Rules).

use crate::model::reply::{Number, TimeItem};
use thiserror::Error;

/// The format of `datetime()` without one.
const DEFAULT: &str = "yyMMddHHmmss";
const DIRECTIVES: &str = "%Y %y %m %d %H %M %S %j %u %w %F %T %R %D %f %3f %%";
/// Runs of letters that stand for a part of the time.
const LETTERS: [(&str, Number, u8); 7] = [
    ("yyyy", Number::Year4, 4),
    ("yy", Number::Year2, 2),
    ("MM", Number::Month, 2),
    ("dd", Number::Day, 2),
    ("HH", Number::Hour, 2),
    ("mm", Number::Minute, 2),
    ("ss", Number::Second, 2),
];

/// Why a text is no format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Letters that mean no part of the time.
    #[error("unknown letters `{0}` in datetime() (known: {known}, or directives: {DIRECTIVES})", known = known_letters())]
    Letters(Box<str>),
    /// It is the same text at any time.
    #[error("`{0}` names no part of the time (letters {known}, or {DIRECTIVES})", known = known_letters())]
    NoTime(Box<str>),
    /// A directive that is unknown, or has no fixed width. Nothing: the format ends at the `%`.
    #[error("unknown directive `%{0}` in datetime() (known: {DIRECTIVES})")]
    Directive(Box<str>),
}

fn known_letters() -> String {
    LETTERS.map(|(letters, ..)| letters).join(" ")
}

/// Parses a format.
pub(super) fn format(format: &str) -> Result<Box<[TimeItem]>, FormatError> {
    match format {
        "" => letters(DEFAULT),
        _ if format.contains('%') => strftime(format),
        _ => letters(format),
    }
}

/// A format in letters. Others than those known are errors, but for the T of ISO 8601: they would hide a slip.
fn letters(format: &str) -> Result<Box<[TimeItem]>, FormatError> {
    let mut items: Vec<TimeItem> = Vec::new();
    let mut literal = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let (run, after) = rest.split_at(rest.find(|other| other != c).unwrap_or(rest.len()));
        rest = after;
        if let Some(&(_, number, digits)) = LETTERS.iter().find(|(letters, ..)| *letters == run) {
            flush(&mut literal, &mut items);
            items.push(TimeItem::Number(number, digits));
        } else if c.is_ascii_alphabetic() && run != "T" {
            return Err(FormatError::Letters(run.into()));
        } else {
            literal.push_str(run);
        }
    }
    flush(&mut literal, &mut items);
    if !items.iter().any(|item| matches!(item, TimeItem::Number(..))) {
        return Err(FormatError::NoTime(format.into()));
    }
    Ok(items.into())
}

/// The strftime directives that have a fixed width, so that what they make is known before any clock is read.
fn strftime(format: &str) -> Result<Box<[TimeItem]>, FormatError> {
    let mut items: Vec<TimeItem> = Vec::new();
    let mut chars = format.chars();
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c != '%' {
            literal.push(c);
            continue;
        }
        let mut directive = chars.next();
        if directive == Some('3') {
            directive = chars.next().filter(|&c| c == 'f');
        }
        let new: &[TimeItem] = match directive {
            Some('%') => {
                literal.push('%');
                continue;
            }
            Some('Y') => &[TimeItem::Number(Number::Year4, 4)],
            Some('y') => &[TimeItem::Number(Number::Year2, 2)],
            Some('m') => &[TimeItem::Number(Number::Month, 2)],
            Some('d') => &[TimeItem::Number(Number::Day, 2)],
            Some('H') => &[TimeItem::Number(Number::Hour, 2)],
            Some('M') => &[TimeItem::Number(Number::Minute, 2)],
            Some('S') => &[TimeItem::Number(Number::Second, 2)],
            Some('u') => &[TimeItem::Number(Number::Week1, 1)],
            Some('w') => &[TimeItem::Number(Number::Week0, 1)],
            Some('j') => &[TimeItem::DayOfYear],
            Some('f') => &[TimeItem::Millis],
            Some(short @ ('F' | 'T' | 'R' | 'D')) => {
                let long = match short {
                    'F' => "%Y-%m-%d",
                    'T' => "%H:%M:%S",
                    'R' => "%H:%M",
                    _ => "%m/%d/%y",
                };
                flush(&mut literal, &mut items);
                items.extend(strftime(long)?);
                continue;
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(FormatError::Directive(other.into()));
            }
        };
        flush(&mut literal, &mut items);
        items.extend_from_slice(new);
    }
    flush(&mut literal, &mut items);
    Ok(items.into())
}

fn flush(literal: &mut String, items: &mut Vec<TimeItem>) {
    if !literal.is_empty() {
        items.push(TimeItem::Literal(std::mem::take(literal).into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let shown = |items: Box<[TimeItem]>| -> String {
            let item = |item: &TimeItem| match item {
                TimeItem::Literal(text) => text.to_string(),
                TimeItem::Number(number, digits) => format!("<{number:?} {digits}>"),
                other => format!("<{other:?}>"),
            };
            items.iter().map(item).collect()
        };
        let got = format(text).map(shown).map_err(|wrong| wrong.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn n05_formats_in_letters_and_directives() {
        check("", Ok("<Year2 2><Month 2><Day 2><Hour 2><Minute 2><Second 2>"));
        check("yyyy-MM-ddTHH:mm:ss", Ok("<Year4 4>-<Month 2>-<Day 2>T<Hour 2>:<Minute 2>:<Second 2>"));
        check("yyyyMM", Ok("<Year4 4><Month 2>"));
        check("%Y.%m yy", Ok("<Year4 4>.<Month 2> yy"));
        let known =
            "(known: yyyy yy MM dd HH mm ss, or directives: %Y %y %m %d %H %M %S %j %u %w %F %T %R %D %f %3f %%)";
        check("hh:mm", Err(&format!("unknown letters `hh` in datetime() {known}")));
        check("yyy", Err(&format!("unknown letters `yyy` in datetime() {known}")));
        let none = "names no part of the time (letters yyyy yy MM dd HH mm ss, or %Y %y %m %d %H %M %S %j %u %w %F %T %R %D %f %3f %%)";
        check("20-1", Err(&format!("`20-1` {none}")));
    }
}
