//! Expressions: `${#{addr}# * 2}$`, and `when` as a text (spec shapes.md, Expressions).
//!
//! - `lex`: the text to tokens with their places.
//! - `parse`: tokens to a tree, by C's precedence.
//! - `emit`, `names`, `call`: the tree to a program over a stack ([`crate::model::calc`]).

mod call;
mod emit;
mod error;
mod functions;
mod known;
mod lex;
mod names;
mod parse;

pub use error::{CalcError, Wrong};
pub use functions::Called;

use super::expr::Scope;
use crate::model::calc::{Binary, CALC_BYTES_MAX, Calc, Op, Shape, ValueKind};
use crate::model::field::{Kind, Notation, Slot};
use crate::model::reply::{Expr, Part};
use crate::wire::walk::says;
use emit::{Emitter, Want};
use parse::{Parser, What};

/// An expression of a value, and where what follows its `}` begins.
pub(super) enum Parsed {
    /// One field and nothing else.
    Field(String),
    /// A program.
    Calc(Box<Calc>),
}

/// What follows `${`; `before` is the number of characters of the value before it.
pub(super) fn braced(text: &str, before: usize, scope: &dyn Scope) -> Result<(Parsed, usize), CalcError> {
    limit(text, before)?;
    let (node, end) = Parser::new(text, before)?.whole(true)?;
    let emitter = Emitter::new(scope);
    if let What::Field(name) = node.what
        && !emitter.is_bits(name)
    {
        return Ok((Parsed::Field(name.to_owned()), end));
    }
    let source = text.get(..end - 1).unwrap_or_default().trim();
    let calc = emitter.whole(&node, source, Want::Value)?;
    Ok((Parsed::Calc(Box::new(calc)), end))
}

/// A whole text: `when`, and the places of `store`.
pub fn alone(text: &str, scope: &dyn Scope) -> Result<Calc, CalcError> {
    limit(text, 0)?;
    let (node, _) = Parser::new(text, 0)?.whole(false)?;
    let calc = Emitter::new(scope).whole(&node, text.trim(), Want::Number)?;
    if calc.kind == ValueKind::Text {
        return Err(CalcError { column: node.column, what: Wrong::NoNumber { place: "a condition".into() } });
    }
    Ok(calc)
}

/// A whole text whose value is bytes: the value of `store`. A field gives its bytes as they travel.
pub fn bytes(text: &str, scope: &dyn Scope) -> Result<Calc, CalcError> {
    limit(text, 0)?;
    let (node, _) = Parser::new(text, 0)?.whole(false)?;
    Emitter::new(scope).whole(&node, text.trim(), Want::Raw)
}

/// A whole text as text: the key of a keyed register.
pub fn key(text: &str, scope: &dyn Scope) -> Result<Calc, CalcError> {
    limit(text, 0)?;
    let (node, _) = Parser::new(text, 0)?.whole(false)?;
    Emitter::new(scope).whole(&node, text.trim(), Want::Text)
}

fn limit(text: &str, before: usize) -> Result<(), CalcError> {
    let end = text.find("}$").unwrap_or(text.len());
    if end > CALC_BYTES_MAX {
        let what = Wrong::TooLong { bytes: end, max: CALC_BYTES_MAX };
        return Err(CalcError { column: before + 1, what });
    }
    Ok(())
}

/// Gives the expressions of a value the form that its field takes. A field whose size varies takes as few digits as the number has.
pub(super) fn fitted(mut expr: Expr, slot: &Slot, varies: bool) -> Expr {
    let alone = expr.parts.len() == 1;
    for part in &mut expr.parts {
        let Part::Calc(calc) = part else { continue };
        calc.shape = if varies { shortest(slot, alone) } else { shape(slot, alone) };
        if let [_, Op::Count(_, many)] = &mut *calc.ops
            && alone
        {
            *many = values(slot);
        }
        if let Some(text) = constant(calc) {
            *part = Part::Literal(text.into());
        }
    }
    expr
}

/// How the values of a field are written.
fn shape(slot: &Slot, alone: bool) -> Shape {
    match slot.kind.notation() {
        Notation::Digits if *slot.kind.base() == Kind::Hex => Shape::Hex(if alone { 2 * slot.len as u32 } else { 0 }),
        Notation::Digits if matches!(slot.kind.base(), Kind::HexDigits { .. }) => {
            if alone {
                Shape::Hex(slot.len as u32)
            } else {
                Shape::Digits
            }
        }
        Notation::Digits | Notation::Whole => Shape::Whole,
        Notation::Float => Shape::Number,
        Notation::Bits if alone => Shape::Bits(8 * slot.len as u32),
        Notation::Bits | Notation::Time => Shape::Plain,
        Notation::Text => Shape::Raw,
    }
}

/// The same in a field whose size varies.
fn shortest(slot: &Slot, alone: bool) -> Shape {
    match shape(slot, alone) {
        Shape::Hex(_) if matches!(slot.kind.base(), Kind::HexDigits { .. }) => Shape::Digits,
        Shape::Hex(_) => Shape::Hex(0),
        Shape::Bits(_) => Shape::Bits(0),
        other => other,
    }
}

/// How many values a field has; 0: 2^63 or more, or not known.
fn values(slot: &Slot) -> u64 {
    let most = match slot.kind.notation() {
        Notation::Digits if slot.kind == Kind::Hex && slot.len < 8 => (1 << (8 * slot.len)) - 1,
        Notation::Digits if *slot.kind.base() != Kind::Hex && slot.len < 9 => says(slot),
        Notation::Whole if slot.len < 8 => says(slot),
        _ => return 0,
    };
    most.saturating_add(1)
}

/// The text of an expression that is a number and nothing else, in its shape.
fn constant(calc: &Calc) -> Option<String> {
    let [Op::Int(number)] = *calc.ops else { return None };
    Some(match calc.shape {
        Shape::Hex(digits) if number >= 0 => {
            let text = format!("{number:0width$X}", width = digits as usize);
            if text.len() % 2 == 1 { format!("0{text}") } else { text }
        }
        Shape::Digits if number >= 0 => format!("{number:X}"),
        Shape::Bits(bits) if number >= 0 => {
            let whole = 8 * (64 - number.leading_zeros() as usize).div_ceil(8).max(1);
            format!("{number:0width$b}", width = if bits == 0 { whole } else { bits as usize })
        }
        _ => number.to_string(),
    })
}

/// The registers that a value reads.
pub(super) fn registers(calc: &Calc) -> impl Iterator<Item = u32> {
    calc.ops.iter().filter_map(|op| match op {
        Op::Register(number) | Op::RegisterBytes(number) => Some(*number),
        _ => None,
    })
}

/// What an expression takes in memory.
pub fn memory(calc: &Calc) -> usize {
    size_of::<Calc>()
        + size_of_val(&*calc.ops)
        + size_of_val(&*calc.fields)
        + calc.pool.len()
        + calc.source.len()
        + calc.formats.iter().map(|format| size_of_val(&**format) + 16).sum::<usize>()
        + calc.sums.len() * 1_024
        + calc.size.as_ref().map_or(0, |size| memory(size))
}

/// Whether more than fields and their difference is in it: two fields with a dash between them are as often a text.
pub(super) fn computes(calc: &Calc) -> bool {
    calc.ops.iter().any(|op| match op {
        Op::Binary(binary) => *binary != Binary::Sub,
        Op::Register(_)
        | Op::RegisterBytes(_)
        | Op::Entry(_)
        | Op::EntryBytes(_)
        | Op::Mem(..)
        | Op::MemBits(..)
        | Op::Count(..)
        | Op::Param(_)
        | Op::Arg(_)
        | Op::Clock(_) => true,
        _ => false,
    })
}

/// Whether the value is a number in any case.
pub(super) fn is_number(calc: &Calc) -> bool {
    matches!(calc.kind, ValueKind::Whole | ValueKind::Number)
}

/// Whether the value is bytes in any case.
pub(super) fn is_bytes(calc: &Calc) -> bool {
    calc.kind == ValueKind::Bytes
}
