//! A value as its field needs it: what a number means in a field of another notation is decided here, before any request.

use super::expr::number_range;
use crate::model::field::{Kind, Slot};
use crate::model::reply::{Expr, Number, Part, TimeItem};
use crate::model::shown::Shown;
use crate::wire::value::notation_bytes_max;

/// The value for that field.
pub(super) fn adapt(expr: Expr, slot: &Slot) -> Expr {
    let expr = match &slot.kind {
        Kind::Shown(shown) if !shown.names.is_empty() => with_values(expr, shown),
        _ => expr,
    };
    match slot.kind.plain() {
        Kind::HexDigits { .. } => in_hex(expr),
        Kind::Epoch(epoch) => clock(expr, &|| [TimeItem::Literal("@".into()), TimeItem::Epoch(*epoch)].into(), 21),
        Kind::Cp56 => clock(expr, &iso, "2026-01-12T17:30:03.250".len()),
        _ => expr,
    }
}

/// The clock, whatever the digits of a `datetime()` that is all of the value.
fn clock(expr: Expr, items: &dyn Fn() -> Box<[TimeItem]>, bytes_max: usize) -> Expr {
    match &*expr.parts {
        [Part::Datetime(whole)] if is_whole(whole) => Expr { parts: [Part::Datetime(items())].into(), bytes_max },
        _ => expr,
    }
}

/// Does a format name a moment, to the second?
pub(super) fn is_whole(items: &[TimeItem]) -> bool {
    let has =
        |wanted: Number| items.iter().any(|item| matches!(item, TimeItem::Number(number, _) if *number == wanted));
    let rest = [Number::Month, Number::Day, Number::Hour, Number::Minute, Number::Second];
    (has(Number::Year2) || has(Number::Year4)) && rest.into_iter().all(has)
}

/// `2026-01-12T17:30:03.250`
fn iso() -> Box<[TimeItem]> {
    let literal = |text: &str| TimeItem::Literal(text.into());
    let number = |number| TimeItem::Number(number, 2);
    [
        TimeItem::Number(Number::Year4, 4),
        literal("-"),
        number(Number::Month),
        literal("-"),
        number(Number::Day),
        literal("T"),
        number(Number::Hour),
        literal(":"),
        number(Number::Minute),
        literal(":"),
        number(Number::Second),
        literal("."),
        TimeItem::Millis,
    ]
    .into()
}

/// Names of values in a lone text or choice become the values.
fn with_values(expr: Expr, shown: &Shown) -> Expr {
    let Expr { mut parts, mut bytes_max } = expr;
    let value = |text: &str| shown.of_name(text.trim().as_bytes()).map(|named| named.value.clone());
    if let [part] = &mut *parts {
        match part {
            Part::Literal(text) => *text = value(text).unwrap_or_else(|| text.clone()),
            Part::Choice(choices) => {
                choices.iter_mut().for_each(|choice| *choice = value(choice).unwrap_or_else(|| choice.clone()));
                bytes_max = choices.iter().map(|choice| choice.len()).max().unwrap_or(0);
            }
            _ => {}
        }
    }
    Expr { parts, bytes_max }
}

/// A lone number becomes hex digits; texts are digits already.
fn in_hex(expr: Expr) -> Expr {
    let Expr { mut parts, mut bytes_max } = expr;
    if let [part] = &mut *parts {
        match part {
            Part::Number { number, .. } => {
                let number = *number;
                bytes_max = hex_digits(number);
                *part = Part::Hex(number);
            }
            Part::Field { slot, .. } => bytes_max = to_hex(slot, bytes_max),
            Part::Walked(walked) => bytes_max = to_hex(&mut walked.slot, bytes_max),
            _ => {}
        }
    }
    Expr { parts, bytes_max }
}

/// Reads the bytes of a number as hex digits, and gives how many these are; what is no number stays as it is.
fn to_hex(slot: &mut Slot, bytes_max: usize) -> usize {
    if matches!(slot.kind.plain(), Kind::Int | Kind::Uint | Kind::Length) {
        slot.kind = Kind::Hex;
        return notation_bytes_max(slot);
    }
    bytes_max
}

/// The most hex digits of a number.
fn hex_digits(number: Number) -> usize {
    number_range(number).map_or(8, |(_, high)| format!("{:X}", high.max(0)).len())
}
