//! A value as its field needs it: what a number means in a field of another notation is decided here, before any request.

use super::expr::number_range;
use crate::model::field::{Kind, Notation, Slot};
use crate::model::reply::{Expr, Number, Part};
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
        _ => expr,
    }
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
    if slot.kind.scale().is_none() && slot.kind.notation() == Notation::Whole {
        slot.kind = Kind::Hex;
        return notation_bytes_max(slot);
    }
    bytes_max
}

/// The most hex digits of a number.
fn hex_digits(number: Number) -> usize {
    number_range(number).map_or(8, |(_, high)| format!("{:X}", high.max(0)).len())
}
