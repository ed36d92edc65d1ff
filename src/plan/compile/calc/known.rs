//! What constants in an expression decide: the value of a call, or that there is never one.

use super::emit::constant;
use super::error::{CalcError, Wrong};
use super::functions::Called;
use super::parse::{Node, What};
use crate::model::calc::{Binary, CALC_TEXTS_BYTES_MAX, Unary};
use crate::wire::calc::{self as arithmetic, NoValue, Num};

/// Bases of `int`.
const BASES: std::ops::RangeInclusive<i64> = 2..=36;

/// The number that a call of constants gives; `None`: it depends on more, or is no number.
pub(super) fn number(called: Called, given: &[Node<'_>], column: usize) -> Result<Option<Num>, CalcError> {
    let wrong = |what: NoValue| CalcError { column, what: Wrong::NoValue(what) };
    match (called, given) {
        (Called::Abs, [of]) => {
            constant(of)?.map(|number| arithmetic::unary(Unary::Abs, number)).transpose().map_err(wrong)
        }
        (Called::Round, [of]) => match constant(of)? {
            Some(Num::Dec(number)) => arithmetic::rounded(number).map(|number| Some(Num::Int(number))).map_err(wrong),
            other => Ok(other),
        },
        (Called::Min | Called::Max, [first, more @ ..]) => {
            let Some(mut best) = constant(first)? else { return Ok(None) };
            for node in more {
                let Some(next) = constant(node)? else { return Ok(None) };
                let is_less = arithmetic::order(next, best).is_lt();
                best = if is_less == (called == Called::Min) { next } else { best };
            }
            Ok(if more.is_empty() { None } else { Some(best) })
        }
        (Called::Int, [of] | [of, _]) => int(of, given.get(1), column),
        _ => Ok(None),
    }
}

/// `int` of a constant text.
fn int(of: &Node<'_>, base: Option<&Node<'_>>, column: usize) -> Result<Option<Num>, CalcError> {
    let base = base.map_or(Ok(Some(Num::Int(10))), constant)?;
    let (What::Text(text), Some(Num::Int(base))) = (&of.what, base) else { return Ok(None) };
    let base = u32::try_from(base).ok().filter(|base| BASES.contains(&i64::from(*base)));
    let base = base.ok_or_else(|| never(Called::Int, column, "a base is 2 to 36"))?;
    let number = i64::from_str_radix(text.trim_ascii(), base);
    let number = number.map_err(|_| never(Called::Int, of.column, "the text is no whole number of that base"))?;
    Ok(Some(Num::Int(number)))
}

fn never(called: Called, column: usize, why: &'static str) -> CalcError {
    CalcError { column, what: Wrong::Never { function: called.name(), why } }
}

/// Reports an operator or a call that has no value whatever the request has.
pub(super) fn check(node: &Node<'_>) -> Result<(), CalcError> {
    match &node.what {
        What::Binary(op, both) => operands(*op, both, node.column),
        What::Call { called, given, .. } => call(*called, given, node.column),
        _ => Ok(()),
    }
}

/// A constant operand that an operator never takes.
fn operands(op: Binary, both: &[Node<'_>; 2], column: usize) -> Result<(), CalcError> {
    let [left, right] = both;
    let wrong = |what: NoValue| Err(CalcError { column, what: Wrong::NoValue(what) });
    let number = constant(right)?;
    match op {
        Binary::Div | Binary::Rem if number.is_some_and(|number| !number.is_true()) => wrong(NoValue::Zero),
        Binary::And | Binary::Or | Binary::Xor | Binary::Left | Binary::Right => {
            let given = if let What::Number(number) = left.what { Some(number) } else { None };
            if given.into_iter().chain(number).any(|number| number.whole().is_err()) {
                return wrong(NoValue::Fraction);
            }
            let by = number.and_then(|number| number.whole().ok()).unwrap_or(0);
            let shifts = matches!(op, Binary::Left | Binary::Right);
            if shifts && !(0..64).contains(&by) { wrong(NoValue::Shift) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// A constant argument that a function never takes.
fn call(called: Called, given: &[Node<'_>], column: usize) -> Result<(), CalcError> {
    // What follows the first argument.
    let numbers = match called {
        Called::Be | Called::Le | Called::Substr | Called::Int | Called::Hex | Called::Dec | Called::Round => {
            given.get(1..).unwrap_or_default()
        }
        _ => return Ok(()),
    };
    for node in numbers {
        let Some(number) = constant(node)? else { continue };
        let whole = number.whole();
        let number = whole.map_err(|what| CalcError { column: node.column, what: Wrong::NoValue(what) })?;
        let why = match called {
            Called::Be | Called::Le if !(1..=CALC_TEXTS_BYTES_MAX as i64).contains(&number) => {
                "a number takes 1 to 262,144 bytes"
            }
            Called::Int if !BASES.contains(&number) => "a base is 2 to 36",
            Called::Substr if number < 0 => "a place and a number of characters are at least 0",
            _ => continue,
        };
        return Err(never(called, node.column, why));
    }
    fits(called, given, column)
}

/// A constant number in fewer bytes than it needs.
fn fits(called: Called, given: &[Node<'_>], column: usize) -> Result<(), CalcError> {
    let [of, more @ ..] = given else { return Ok(()) };
    if !matches!(called, Called::Be | Called::Le | Called::Hex) {
        return Ok(());
    }
    let Some(number) = constant(of)? else { return Ok(()) };
    let whole = number.whole();
    let number = whole.map_err(|what| CalcError { column: of.column, what: Wrong::NoValue(what) })?;
    let Some(Num::Int(many @ 1..8)) = more.first().map(constant).transpose()?.flatten() else { return Ok(()) };
    if called == Called::Hex || number >> (8 * many) == 0 || number >> (8 * many - 1) == -1 {
        return Ok(());
    }
    Err(never(called, column, "the number needs more bytes"))
}
