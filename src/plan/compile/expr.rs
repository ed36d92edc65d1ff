//! The language of values: `#{field}#` and `${function(arguments)}$` in the middle of text (spec templates.md, Rules).

use crate::codec::value::notation_bytes_max;
use crate::plan::rule::{Expr, Number, Part, TimeItem};
use crate::plan::template::{Offset, Slot};

/// Longest text a register keeps; longer ones are cut. One such buffer per register that was ever set.
pub const REGISTER_BYTES_MAX: usize = 4096;

/// What a value may refer to.
pub trait Scope {
    /// The request field of that name: data frame first, then header.
    /// `Ok(None)`: another entry of the same key has it, this one does not.
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, String>;
    /// The number of the register of that name.
    fn register(&self, name: &str) -> Result<u32, String>;
    /// Longest text of a register.
    fn register_bytes_max(&self, number: u32) -> usize;
    /// Hex digits of the FSU's id.
    fn id_digits(&self) -> usize;
}

/// Does this text need an [`Expr`]?
pub fn is_dynamic(text: &str) -> bool {
    text.contains("#{") || text.contains("${")
}

/// Parses a text; the error says what is wrong and what would be right.
pub fn parse(text: &str, scope: &dyn Scope) -> Result<Expr, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = [rest.find("#{"), rest.find("${")].into_iter().flatten().min();
        let Some(at) = next else {
            parts.push(Part::Literal(rest.into()));
            break;
        };
        if at > 0 {
            parts.push(Part::Literal(rest[..at].into()));
        }
        let (open, tail) = rest[at..].split_at(2);
        if open == "#{" {
            let end = tail.find("}#").ok_or_else(|| format!("`#{{{tail}` is not closed (would be `#{{field}}#`)"))?;
            if tail[..end].trim().is_empty() {
                return Err(format!("`#{{{}}}#` names no field (would be `#{{field}}#`)", &tail[..end]));
            }
            if let Some((at, slot)) = scope.field(tail[..end].trim())? {
                parts.push(Part::Field { at, slot });
            }
            rest = &tail[end + 2..];
        } else {
            if let Some(call) = tail.find('}').map(|close| &tail[..close]).filter(|call| !call.contains('(')) {
                return Err(no_call(call));
            }
            let end = tail.find(")}").ok_or_else(|| format!("`${{{tail}` is not closed (would be `${{name()}}$`)"))?;
            parts.push(function(&tail[..end], scope)?);
            rest = &tail[end + 2..];
            // The closing `$` may be missing; one that opens the next function is not it.
            rest = rest.strip_prefix('$').filter(|_| !rest.starts_with("${")).unwrap_or(rest);
        }
    }
    let bytes_max = parts.iter().map(|part| part_bytes_max(part, scope)).sum();
    Ok(Expr { parts: parts.into(), bytes_max })
}

const FUNCTIONS: &[&str] = &[
    "year",
    "month",
    "day",
    "week",
    "hour",
    "minute",
    "second",
    "datetime",
    "packed_date",
    "packed_time",
    "fsuid",
    "seq",
    "rand",
    "choice",
    "reg",
];

fn function(call: &str, scope: &dyn Scope) -> Result<Part, String> {
    let (name, arguments) = call.split_once('(').ok_or_else(|| no_call(call))?;
    let (name, arguments) = (name.trim(), arguments.trim());
    let none = |part: Part| {
        if arguments.is_empty() { Ok(part) } else { Err(format!("{name}() takes no argument, found `{arguments}`")) }
    };
    let number = |number, digits| Part::Number { number, digits };
    match name {
        "year" => match arguments {
            "" | "yy" => Ok(number(Number::Year2, 2)),
            "yyyy" => Ok(number(Number::Year4, 4)),
            _ => Err(format!("year() takes yy or yyyy, found `{arguments}`")),
        },
        "month" => none(number(Number::Month, 2)),
        "day" => none(number(Number::Day, 2)),
        "week" => match arguments {
            "" | "1" => Ok(number(Number::Week1, 2)),
            "0" => Ok(number(Number::Week0, 2)),
            _ => Err(format!("week() takes nothing (Monday 01 to Sunday 07) or 0 (Sunday 00), found `{arguments}`")),
        },
        "hour" => none(number(Number::Hour, 2)),
        "minute" => none(number(Number::Minute, 2)),
        "second" => none(number(Number::Second, 2)),
        "datetime" => Ok(Part::Datetime(strftime(arguments.trim_matches(['"', '\'']))?)),
        "packed_date" => none(Part::Packed(Number::PackedDate)),
        "packed_time" => none(Part::Packed(Number::PackedTime)),
        "fsuid" => none(Part::FsuId),
        "seq" => none(number(Number::Seq, 1)),
        "rand" => rand(arguments),
        "choice" => {
            let choices: Box<[Box<str>]> = arguments.split(',').map(|choice| choice.trim().into()).collect();
            if arguments.is_empty() {
                return Err("choice() needs at least one value (choice(a,b,c))".into());
            }
            Ok(Part::Choice(choices))
        }
        "reg" => {
            if arguments.is_empty() {
                return Err("reg() needs a register's name (reg(name))".into());
            }
            Ok(Part::Register(scope.register(arguments)?))
        }
        "" => Err(no_call("")),
        _ => Err(format!("unknown function `{name}`{}", nearest(name, FUNCTIONS.iter().copied()))),
    }
}

/// What stands in `${}$` calls nothing.
fn no_call(call: &str) -> String {
    match call.trim() {
        "" => format!("`${{}}$` names no function (known: {})", FUNCTIONS.join(", ")),
        name => format!("`${{{name}}}$` is no function call (would be `${{{name}()}}$`)"),
    }
}

fn rand(arguments: &str) -> Result<Part, String> {
    let wrong = || format!("rand() takes two whole numbers, the smaller first (rand(a,b)), found `{arguments}`");
    let (low, high) = arguments.split_once(',').ok_or_else(wrong)?;
    let parse = |text: &str| crate::codec::value::parse_int(text.as_bytes()).ok().and_then(|n| i64::try_from(n).ok());
    match (parse(low), parse(high)) {
        (Some(low), Some(high)) if low <= high => Ok(Part::Number { number: Number::Rand(low, high), digits: 1 }),
        _ => Err(wrong()),
    }
}

/// The strftime directives that have a fixed width, so that what they make is known before any clock is read.
fn strftime(format: &str) -> Result<Box<[TimeItem]>, String> {
    const KNOWN: &str = "%Y %y %m %d %H %M %S %j %u %w %F %T %R %D %f %3f %%";
    if format.is_empty() {
        return Err(format!("datetime() needs a format ({KNOWN})"));
    }
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
                return Err(format!("unknown directive `%{other}` in datetime() (known: {KNOWN})"));
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

/// Smallest and largest value of a number; `seq` wraps, so it has no bound of its own.
pub fn number_range(number: Number) -> Option<(i64, i64)> {
    Some(match number {
        Number::Year2 => (0, 99),
        Number::Year4 => (1970, 9999),
        Number::Month => (1, 12),
        Number::Day => (1, 31),
        Number::Week1 => (1, 7),
        Number::Week0 => (0, 6),
        Number::Hour => (0, 23),
        Number::Minute | Number::Second => (0, 59),
        Number::PackedDate | Number::PackedTime => (0, 65_535),
        Number::Rand(low, high) => (low, high),
        Number::Seq => return None,
    })
}

fn decimal_digits(number: Number) -> usize {
    // A run of ten thousand million replies is longer than any test.
    number_range(number).map_or(10, |(low, high)| low.to_string().len().max(high.to_string().len()))
}

fn part_bytes_max(part: &Part, scope: &dyn Scope) -> usize {
    match part {
        Part::Literal(text) => text.len(),
        Part::Field { slot, .. } => notation_bytes_max(slot),
        Part::Number { number, digits } => decimal_digits(*number).max(usize::from(*digits)),
        Part::Packed(_) => 4,
        Part::Datetime(items) => items
            .iter()
            .map(|item| match item {
                TimeItem::Literal(text) => text.len(),
                TimeItem::Number(_, digits) => usize::from(*digits),
                TimeItem::Millis | TimeItem::DayOfYear => 3,
            })
            .sum(),
        Part::FsuId => scope.id_digits(),
        Part::Choice(choices) => choices.iter().map(|choice| choice.len()).max().unwrap_or(0),
        Part::Register(number) => scope.register_bytes_max(*number),
    }
}

/// ` (did you mean …?)`, or nothing.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}
