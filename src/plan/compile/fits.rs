//! Whether what a text with references becomes can be a value of its field, as far as that is known before any request.

use super::expr::number_range;
use crate::config::de::shown as cut;
use crate::model::decimal::Decimal;
use crate::model::field::{Kind, Notation, Slot};
use crate::model::reply::{Expr, Number, Part, TimeItem};
use crate::wire::changed::plain;
use crate::wire::shown;
use crate::wire::value::{self, Misfit, range};
use thiserror::Error;

/// Why a value may not fit its field. The text follows the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum FitError {
    /// It may be too long.
    #[error("may be {most} {unit} long, and the field holds {holds}")]
    TooLong {
        /// Its longest text.
        most: usize,
        /// What is counted: digits, bytes, bits.
        unit: &'static str,
        /// What the field has room for.
        holds: usize,
    },
    /// A choice is no float.
    #[error("has the choice `{0}`, which is no number of this field")]
    ChoiceNumber(Box<str>),
    /// Some text is no float.
    #[error("is no number of this field")]
    Number,
    /// It has other characters than digits.
    #[error("has `{0}`, which are no digits of this field")]
    Letters(Box<str>),
    /// A choice has other characters than digits.
    #[error("has the choice `{0}`, which are no digits of this field")]
    ChoiceLetters(Box<str>),
    /// A packed time has hex digits.
    #[error("may have the hex digits of a packed time, and the field holds decimal ones")]
    PackedTime,
    /// A number below 0 in digits.
    #[error("may be negative, which this field cannot hold")]
    Negative,
    /// No bits.
    #[error(
        "may be something else than zeros and ones (this field takes them, or a bit field of the same size and names)"
    )]
    Bits,
    /// A choice is no whole number of the field.
    #[error("has the choice `{choice}`, which is no whole number from {low} to {high}")]
    ChoiceRange {
        /// The choice.
        choice: Box<str>,
        /// The least that the field holds.
        low: i128,
        /// The most.
        high: i128,
    },
    /// A number may be out of range.
    #[error("may be {least} to {most}, and the field holds {low} to {high}")]
    Range {
        /// The least that it may be.
        least: i128,
        /// The most.
        most: i128,
        /// The least that the field holds.
        low: i128,
        /// The most.
        high: i128,
    },
    /// A text may be a number out of range.
    #[error("may be {text}, and the field holds {low} to {high}")]
    TextRange {
        /// The text.
        text: Box<str>,
        /// The least that the field holds.
        low: i128,
        /// The most.
        high: i128,
    },
    /// It is not always a time.
    #[error("is no time of this field (the clock is `${{datetime()}}$`, a constant such as 2026-01-12T17:30:03)")]
    Time,
    /// The character set lacks a character.
    #[error("has a character in `{0}` that the character set of this field lacks")]
    Character(Box<str>),
    /// A number with a scale may have a fraction or a sign.
    #[error(
        "has a scale and may have a fraction, and the field holds whole numbers (a field of the same scale, or text)"
    )]
    Fraction,
    /// A number may be out of the range of a field with a scale.
    #[error("may be {text}, and the field holds {holds}")]
    Scaled {
        /// The number.
        text: Box<str>,
        /// [`shown::range`].
        holds: Box<str>,
    },
    /// Some text is no whole number.
    #[error("is no whole number")]
    WholeNumber,
}

/// The same with fields in plain form; `None`: they are.
fn in_plain_form(expr: &Expr) -> Option<Expr> {
    let is_changed = |part: &Part| match part {
        Part::Field { slot, .. } => matches!(slot.kind, Kind::Changed(_)),
        Part::Walked(walked) => matches!(walked.slot.kind, Kind::Changed(_)),
        _ => false,
    };
    if !expr.parts.iter().any(is_changed) {
        return None;
    }
    let mut expr = expr.clone();
    for part in &mut expr.parts {
        let slot = match part {
            Part::Field { slot, .. } => slot,
            Part::Walked(walked) => &mut walked.slot,
            _ => continue,
        };
        if let Kind::Changed(changed) = &slot.kind {
            *slot = plain(slot, changed);
        }
    }
    Some(expr)
}

/// Whether every text that this may become is a value of the field. `id_digits`: of `fsuid()`; 0 where
/// any FSU may be meant.
pub(super) fn fits(expr: &Expr, slot: &Slot, id_digits: usize) -> Result<(), FitError> {
    if let Kind::Changed(changed) = &slot.kind {
        return fits(expr, &plain(slot, changed), id_digits);
    }
    // What the request's fields have is read in plain form, too.
    if let Some(expr) = in_plain_form(expr) {
        return fits(&expr, slot, id_digits);
    }
    let len = slot.len;
    if expr.parts.iter().any(|part| matches!(part, Part::Calc(_))) {
        // What an expression gives is known only with its request.
        return match (slot.kind.notation(), &*expr.parts) {
            (Notation::Digits, _) => fits_digits(expr, slot),
            // A computed number is no time, whatever it is.
            (Notation::Time, [Part::Calc(calc)]) if super::calc::is_number(calc) => Err(FitError::Time),
            _ => Ok(()),
        };
    }
    match slot.kind.notation() {
        Notation::Digits => {
            fits_digits(expr, slot)?;
            // A lone seq() in digits wraps by itself.
            let seq = matches!(&*expr.parts, [Part::Number { number: Number::Seq, .. } | Part::Hex(Number::Seq)]);
            let alone = seq && *slot.kind.plain() != Kind::Hex;
            let packed = matches!(&*expr.parts, [Part::Packed(_)]) && is_decimal(slot);
            let most = if packed { 5 } else { expr.bytes_max };
            let holds = slot.digits();
            if most > holds && !alone {
                return Err(FitError::TooLong { most, unit: "digits", holds });
            }
            Ok(())
        }
        Notation::Text => fits_text(expr, slot, id_digits),
        Notation::Time => fits_time(expr, slot),
        Notation::Whole => fits_integer(expr, slot, id_digits),
        Notation::Float => {
            let wrong = |text: &str| value::encode(slot, text.as_bytes(), &mut vec![0; len]).is_err();
            if let [Part::Choice(choices)] = &*expr.parts
                && let Some(bad) = choices.iter().find(|choice| wrong(choice))
            {
                return Err(FitError::ChoiceNumber(bad.clone()));
            }
            if let [part @ (Part::Field { .. } | Part::Walked(_))] = &*expr.parts {
                return scaled_field(part, slot);
            }
            let texts = Texts::of(&expr.parts, id_digits);
            if !texts.open && texts.all().any(|text| wrong(&text)) {
                return Err(FitError::Number);
            }
            Ok(())
        }
        Notation::Bits => fits_bits(expr, slot),
    }
}

/// Of a character set other than UTF-8 the size shows when the text is encoded; where that is open, its bound counts.
fn fits_text(expr: &Expr, slot: &Slot, id_digits: usize) -> Result<(), FitError> {
    // In the same character set a text has its own size.
    let same = |asked: &Slot| asked.kind.is_like(&slot.kind) && asked.len <= slot.len;
    match &*expr.parts {
        [Part::Field { slot: asked, .. }] if same(asked) => return Ok(()),
        [Part::Walked(walked)] if same(&walked.slot) => return Ok(()),
        _ => {}
    }
    let texts = Texts::of(&expr.parts, id_digits);
    let charset = if let Kind::Coded(charset) = slot.kind.base() { Some(charset) } else { None };
    if let Some(charset) = charset.filter(|_| !texts.open) {
        let mut bytes = vec![0; slot.len];
        for text in texts.all() {
            match charset.encode(text.as_bytes(), &mut bytes) {
                Ok(_) => {}
                Err(Misfit::Character) => return Err(FitError::Character(cut(&text).into())),
                Err(_) => {
                    let most = charset.bytes_max(text.len());
                    return Err(FitError::TooLong { most, unit: "bytes", holds: slot.len });
                }
            }
        }
        return Ok(());
    }
    let most = charset.map_or(expr.bytes_max, |charset| charset.bytes_max(expr.bytes_max));
    if most > slot.len { Err(FitError::TooLong { most, unit: "bytes", holds: slot.len }) } else { Ok(()) }
}

/// A time is the clock, a time of the request, or a text that is one.
fn fits_time(expr: &Expr, slot: &Slot) -> Result<(), FitError> {
    if let [Part::Field { slot: asked, .. }] = &*expr.parts {
        let may_be = matches!(asked.kind.notation(), Notation::Time | Notation::Text)
            || (is_decimal(asked) && matches!(asked.digits(), 12 | 14 | 17));
        return if may_be { Ok(()) } else { Err(FitError::Time) };
    }
    if matches!(&*expr.parts, [Part::Datetime(items)] if matches!(**items, [_, TimeItem::Epoch(_)])) {
        return Ok(());
    }
    let texts = Texts::of(&expr.parts, 0);
    // Of a clock the largest numbers of all parts are no day.
    let is_clock = |part: &Part| matches!(part, Part::Datetime(items) if super::adapt::is_whole(items));
    if matches!(&*expr.parts, [part] if is_clock(part)) {
        return Ok(());
    }
    let mut bytes = vec![0; slot.len];
    let has_clock = expr.parts.iter().any(|part| matches!(part, Part::Datetime(_) | Part::Number { .. }));
    let wrong = texts.all().any(|text| value::encode(slot, text.as_bytes(), &mut bytes).is_err());
    if has_clock || (!texts.open && wrong) { Err(FitError::Time) } else { Ok(()) }
}

/// Bytes that a text without a request may become in this field; `None`: no text is known that fits.
pub(super) fn example(expr: &Expr, slot: &Slot) -> Option<Box<[u8]>> {
    let texts = Texts::of(&expr.parts, 0);
    let all = texts.all().chain(std::iter::once("1".to_owned()));
    let mut bytes = vec![0; slot.len];
    let mut fitting = all.filter(|text| value::encode(slot, text.as_bytes(), &mut bytes).is_ok());
    fitting.next()?;
    Some(bytes.into())
}

/// A text that it may become and that fits this field.
pub(super) fn example_text(expr: &Expr, slot: &Slot) -> Option<String> {
    let texts = Texts::of(&expr.parts, 0);
    let mut bytes = vec![0; slot.len];
    texts.all().chain(["1".to_owned()]).find(|text| value::encode(slot, text.as_bytes(), &mut bytes).is_ok())
}

/// Whether all texts that it may become have one length. Of what depends on an FSU or is calculated that is not known.
pub(super) fn has_one_len(expr: &Expr) -> bool {
    expr.parts.iter().all(|part| stand_in(part).is_some())
}

/// A text of this part, if all that it may become have one length.
pub fn stand_in(part: &Part) -> Option<String> {
    let is_one = match part {
        Part::Literal(_) | Part::Packed(_) => true,
        Part::Number { number, digits } => has_digits(*number, *digits),
        Part::Datetime(items) => items.iter().all(|item| match item {
            TimeItem::Number(number, digits) => has_digits(*number, *digits),
            TimeItem::Literal(_) | TimeItem::Millis | TimeItem::DayOfYear => true,
            TimeItem::Epoch(_) => false,
        }),
        Part::Hex(Number::Rand(low, high)) => *low >= 0 && low.max(&1).ilog2() / 4 == high.max(&1).ilog2() / 4,
        Part::Choice(choices) => choices.windows(2).all(|pair| pair[0].len() == pair[1].len()),
        _ => false,
    };
    if is_one { part_texts(part, 0).into_iter().next() } else { None }
}

/// Whether a number has always as many digits.
fn has_digits(number: Number, digits: u8) -> bool {
    let many = |number: i64| (number.max(1).ilog10() + 1).max(u32::from(digits));
    number_range(number).is_some_and(|(low, high)| low >= 0 && many(low) == many(high))
}

/// A field of decimal digits?
fn is_decimal(slot: &Slot) -> bool {
    matches!(slot.kind.plain(), Kind::Bcd | Kind::Dec)
}

/// Are the characters that are known digits of the field?
fn fits_digits(expr: &Expr, slot: &Slot) -> Result<(), FitError> {
    let is_bcd = is_decimal(slot);
    let ok =
        |text: &str| text.chars().all(|c| c.is_ascii_digit() || !is_bcd && (c.is_ascii_hexdigit() || " x".contains(c)));
    let literal = |item: &TimeItem| match item {
        TimeItem::Literal(text) if !ok(text) => Some(text.clone()),
        _ => None,
    };
    for part in &expr.parts {
        let strange = match part {
            Part::Literal(text) if !ok(text) => Some(text.clone()),
            Part::Datetime(items) => items.iter().find_map(literal),
            _ => None,
        };
        if let Some(text) = strange {
            return Err(FitError::Letters(cut(&text).into()));
        }
        match part {
            Part::Choice(choices) => {
                if let Some(bad) = choices.iter().find(|choice| !ok(choice)) {
                    return Err(FitError::ChoiceLetters(bad.clone()));
                }
            }
            Part::Field { slot: asked, .. } if asked.kind.scale().is_some() => return Err(FitError::Fraction),
            Part::Walked(asked) if asked.slot.kind.scale().is_some() => return Err(FitError::Fraction),
            Part::Packed(_) if is_bcd && expr.parts.len() > 1 => {
                return Err(FitError::PackedTime);
            }
            Part::Number { number: Number::Rand(low, _), .. } | Part::Hex(Number::Rand(low, _)) if *low < 0 => {
                return Err(FitError::Negative);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Bits are written as zeros and ones, one after another.
fn fits_bits(expr: &Expr, slot: &Slot) -> Result<(), FitError> {
    let is_bits = |text: &str| text.bytes().all(|c| matches!(c, b'0' | b'1' | b'[' | b']' | b',' | b' '));
    let count = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    if let [Part::Field { slot: asked, .. }] = &*expr.parts
        && same_bits(asked, slot)
    {
        return Ok(());
    }
    let mut bits = 0;
    for part in &expr.parts {
        bits += match part {
            Part::Literal(text) if is_bits(text) => count(text),
            Part::Choice(choices) if choices.iter().all(|choice| is_bits(choice)) => {
                choices.iter().map(|choice| count(choice)).max().unwrap_or(0)
            }
            // Of numbers that follow each other, only 0 and 1 (10 and 11, …) are zeros and ones alone.
            Part::Number { number: Number::Rand(low, high), .. }
                if high.abs_diff(*low) <= 1 && is_bits(&low.to_string()) && is_bits(&high.to_string()) =>
            {
                count(&high.to_string())
            }
            Part::Field { slot: asked, .. } if matches!(asked.kind.base(), Kind::Bit(names) if names.is_empty()) => {
                asked.len * 8
            }
            Part::Register(_) => 0,
            _ => return Err(FitError::Bits),
        };
    }
    if bits > 8 * slot.len {
        return Err(FitError::TooLong { most: bits, unit: "bits", holds: 8 * slot.len });
    }
    Ok(())
}

fn fits_integer(expr: &Expr, slot: &Slot, id_digits: usize) -> Result<(), FitError> {
    let (low, high) = range(slot.kind.plain(), slot.len);
    let (least, most) = match &*expr.parts {
        [Part::Number { number, .. } | Part::Packed(number)] => match number_range(*number) {
            Some((least, most)) => (i128::from(least), i128::from(most)),
            None => return Ok(()),
        },
        [Part::Field { slot: asked, .. }] if asked.kind.scale().is_some() => return scaled_integer(asked, (low, high)),
        [Part::Field { slot: asked, .. }] if numeric(&asked.kind) => {
            if asked.kind.notation() == Notation::Whole && asked.len <= slot.len {
                return Ok(());
            }
            range(asked.kind.plain(), asked.len)
        }
        [Part::Field { slot: asked, .. }] if is_decimal(asked) => {
            (0, 10_i128.saturating_pow(asked.digits() as u32) - 1)
        }
        [Part::Choice(choices)] => {
            for choice in choices {
                let value = value::parse_int(choice.as_bytes());
                if !value.is_ok_and(|value| (low..=high).contains(&value)) {
                    return Err(FitError::ChoiceRange { choice: choice.clone(), low, high });
                }
            }
            return Ok(());
        }
        parts => return fits_range(parts, id_digits, low, high),
    };
    if least < low || most > high {
        return Err(FitError::Range { least, most, low, high });
    }
    Ok(())
}

/// The least and the most that a field's number may be; `None`: it is no number, or has no end.
fn number_ends(asked: &Slot) -> Option<(Decimal, Decimal)> {
    let base = asked.kind.base();
    if let Some(scale) = asked.kind.scale() {
        return shown::ends(base, scale, asked.len);
    }
    if !is_decimal(asked) && base.notation() != Notation::Whole {
        return None;
    }
    let (low, high) = shown::raw_range(base, asked.len);
    Some((Decimal::whole(low), Decimal::whole(high)))
}

/// A number with a scale in a field of whole numbers.
fn scaled_integer(asked: &Slot, (low, high): (i128, i128)) -> Result<(), FitError> {
    let Some(ends) = number_ends(asked) else { return Ok(()) };
    let has_fraction = asked.kind.scale().is_some_and(|scale| scale.scale.places > 0 || scale.offset.places > 0);
    if has_fraction {
        return Err(FitError::Fraction);
    }
    let (least, most) = (ends.0.mantissa, ends.1.mantissa);
    if least < low || most > high { Err(FitError::Range { least, most, low, high }) } else { Ok(()) }
}

/// A field's number in a field with a scale, or a float.
fn scaled_field(part: &Part, slot: &Slot) -> Result<(), FitError> {
    let asked = match part {
        Part::Field { slot, .. } => slot,
        Part::Walked(walked) => &walked.slot,
        _ => return Ok(()),
    };
    let (Some(ends), Some(scale)) = (number_ends(asked), slot.kind.scale()) else { return Ok(()) };
    let Some(held) = shown::ends(slot.kind.base(), scale, slot.len) else { return Ok(()) };
    let is_less = |one: Decimal, other: Decimal| {
        let difference = one.plus(Decimal { mantissa: -other.mantissa, ..other });
        difference.is_none_or(|difference| difference.mantissa < 0)
    };
    let wrong = if is_less(ends.0, held.0) {
        ends.0
    } else if is_less(held.1, ends.1) {
        ends.1
    } else {
        return Ok(());
    };
    let Kind::Shown(shown) = &slot.kind else { return Ok(()) };
    let holds = shown::range(shown, slot.len).unwrap_or_default();
    Err(FitError::Scaled { text: wrong.to_string().into(), holds: holds.into() })
}

/// Is every text of these parts, as far as they are known, a whole number in that range?
fn fits_range(parts: &[Part], id_digits: usize, low: i128, high: i128) -> Result<(), FitError> {
    let in_number =
        |text: &str| text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, 'x' | 'X' | '+' | '-' | ' '));
    let strange = |part: &Part| matches!(part, Part::Literal(text) if !in_number(text));
    if parts.iter().any(strange) {
        return Err(FitError::WholeNumber);
    }
    let texts = Texts::of(parts, id_digits);
    for text in texts.all() {
        match value::parse_int(text.as_bytes()) {
            Ok(value) if (low..=high).contains(&value) => {}
            Ok(_) | Err(Misfit::Range) => return Err(FitError::TextRange { text: text.into(), low, high }),
            Err(_) if texts.open => {}
            Err(_) => return Err(FitError::WholeNumber),
        }
    }
    Ok(())
}

/// Is it a field of numbers, for which an empty text is 0?
pub(super) fn numeric(kind: &Kind) -> bool {
    matches!(kind.notation(), Notation::Whole | Notation::Float)
}

/// Two bit fields with the same meaning of every bit; alignment and padding do not matter.
pub(super) fn same_bits(asked: &Slot, slot: &Slot) -> bool {
    matches!(slot.kind, Kind::Bit(_)) && (&asked.kind, asked.len, asked.little) == (&slot.kind, slot.len, slot.little)
}

/// Bytes of all texts that are tried of one value.
const TEXTS_BYTES_MAX: usize = 1 << 20;

/// What parts may become: of each the longest text first, and others that may be no number where that one is.
struct Texts {
    parts: Vec<Vec<String>>,
    /// Some part depends on the request, a register or an FSU: other texts are possible.
    open: bool,
}

impl Texts {
    fn of(parts: &[Part], id_digits: usize) -> Self {
        let mut texts = Self { parts: Vec::new(), open: false };
        for part in parts {
            let all = part_texts(part, id_digits);
            texts.open |= all.is_empty();
            texts.parts.extend((!all.is_empty()).then_some(all));
        }
        texts
    }

    /// The longest, and those in which one part is another one.
    fn all(&self) -> impl Iterator<Item = String> {
        let with = |place: usize, other: usize| -> String {
            let each = self.parts.iter().enumerate();
            each.map(|(at, all)| all[if at == place { other } else { 0 }].as_str()).collect()
        };
        let others = self
            .parts
            .iter()
            .enumerate()
            .flat_map(move |(place, all)| (1..all.len()).map(move |other| with(place, other)));
        let longest: String = self.parts.iter().map(|all| all[0].as_str()).collect();
        // With many choices and a long text, the first ones are enough.
        let most = TEXTS_BYTES_MAX / longest.len().max(1);
        std::iter::once(longest).chain(others.take(most))
    }
}

/// The longest text of a part first; none: not known.
fn part_texts(part: &Part, id_digits: usize) -> Vec<String> {
    match part {
        Part::Literal(text) => vec![text.to_string()],
        Part::Number { number, digits } => {
            // `seq()` has no end: its first is the least that has to fit.
            let (least, most) = number_range(*number).unwrap_or((1, 1));
            let width = usize::from(*digits);
            vec![format!("{most:0width$}"), format!("{least:0width$}")]
        }
        Part::Packed(_) => vec!["FFFF".to_owned()],
        Part::Hex(number) => vec![format!("{:X}", number_range(*number).map_or(1, |(_, most)| most))],
        Part::Datetime(items) => vec![items.iter().map(largest_item).collect()],
        Part::FsuId if id_digits > 0 => vec!["9".repeat(id_digits)],
        Part::Choice(choices) => {
            let mut all: Vec<String> = choices.iter().map(ToString::to_string).collect();
            all.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
            all
        }
        Part::Field { slot, .. } if matches!(slot.kind.plain(), Kind::Int | Kind::Uint) => {
            vec![range(slot.kind.plain(), slot.len).1.to_string()]
        }
        Part::Field { slot, .. } if is_decimal(slot) => vec!["9".repeat(slot.digits())],
        Part::Field { .. } | Part::Walked(_) | Part::FsuId | Part::Register(_) | Part::Calc(_) => Vec::new(),
    }
}

fn largest_item(item: &TimeItem) -> String {
    match item {
        TimeItem::Literal(text) => text.to_string(),
        TimeItem::Number(number, digits) => {
            let (_, most) = number_range(*number).unwrap_or_default();
            format!("{most:0width$}", width = usize::from(*digits))
        }
        TimeItem::Millis => "999".to_owned(),
        TimeItem::DayOfYear => "366".to_owned(),
        TimeItem::Epoch(_) => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_texts_bytes_max_of_many_choices_the_first_are_tried() {
        let tried = |beside: usize, choices: usize| {
            let choice = Part::Choice((0..choices).map(|n| format!("{n:04}").into()).collect());
            let parts = [Part::Literal("x".repeat(beside).into()), choice];
            Texts::of(&parts, 0).all().count()
        };
        // 1 MiB is 1,024 texts of 1,024 bytes; the longest is tried in any case.
        assert_eq!((tried(1_020, 1_024), tried(1_020, 1_025), tried(1_020, 2_000)), (1_024, 1_025, 1_025));
        assert_eq!((tried(0, 2_000), tried(1 << 20, 2_000)), (2_000, 1));
    }
}
