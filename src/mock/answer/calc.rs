//! Expressions, evaluated: a stack of values whose texts are put into one buffer. Nothing is allocated once that has grown.

mod fields;
mod moving;
mod result;
mod texts;

pub(super) use fields::is_current;

use super::build::Inputs;
use crate::state::kept::DeviceKept;
use fsu_plan::model::calc::{CALC_STACK_MAX, CALC_TEXTS_BYTES_MAX, Calc, Compare, Op};
use fsu_plan::wire::calc::{self, NoValue, Num, holds};

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The request lacks a field that it reads. This is not counted.
    Absent,
    /// An operator has no result.
    NoValue(NoValue),
    /// A text where a number is needed.
    NoNumber,
    /// Out of a memory area.
    Outside,
    /// A text that is too long.
    TooLong,
    /// What decides it is not known here.
    Unknown,
}

impl From<NoValue> for Failed {
    fn from(no: NoValue) -> Self {
        Self::NoValue(no)
    }
}

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number.
    Num(Num),
    /// A text.
    Text(Span),
    /// Bytes.
    Bytes(Span),
}

/// Where a text is: in the buffer, or in the program's pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    from: u32,
    to: u32,
    in_pool: bool,
}

/// An evaluation.
pub(crate) struct Machine<'m, 'i> {
    calc: &'m Calc,
    /// The request's raw frame.
    request: &'m [u8],
    /// What else it may read; nothing where only the request is known.
    inputs: Option<&'m mut Inputs<'i>>,
    /// Texts, from `base` on.
    out: &'m mut Vec<u8>,
    base: usize,
    stack: [Value; CALC_STACK_MAX],
    len: usize,
}

const ZERO: Value = Value::Num(Num::Int(0));

/// Appends the text of an expression.
///
/// # Errors
/// It has no value; nothing is appended.
#[cold]
pub(crate) fn append(calc: &Calc, inputs: &mut Inputs<'_>, out: &mut Vec<u8>) -> Result<(), Failed> {
    let base = out.len();
    let done = Machine::new(calc, inputs.request, Some(inputs), out).text();
    if done.is_err() {
        out.truncate(base);
    }
    done
}

/// Appends the text of an expression that the request alone decides.
///
/// # Errors
/// It has no value, or something else decides it.
pub(crate) fn append_known(calc: &Calc, request: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
    let base = out.len();
    let done = Machine::new(calc, request, None, out).text();
    if done.is_err() {
        out.truncate(base);
    }
    done
}

/// Whether a condition holds. `scratch` is overwritten.
///
/// # Errors
/// It has no value.
pub(crate) fn test(
    calc: &Calc,
    request: &[u8],
    inputs: Option<&mut Inputs<'_>>,
    scratch: &mut Vec<u8>,
) -> Result<bool, Failed> {
    Ok(number(calc, request, inputs, scratch)?.is_true())
}

/// The number that an expression gives. `scratch` is overwritten.
///
/// # Errors
/// It has no value.
pub(crate) fn number(
    calc: &Calc,
    request: &[u8],
    inputs: Option<&mut Inputs<'_>>,
    scratch: &mut Vec<u8>,
) -> Result<Num, Failed> {
    scratch.clear();
    let mut machine = Machine::new(calc, request, inputs, scratch);
    let value = machine.run()?;
    machine.as_number(value)
}

/// Writes the bytes of an expression over `out`: numbers as `width` bytes, the high one first.
///
/// # Errors
/// It has no value, or a number does not fit.
pub(crate) fn bytes(calc: &Calc, inputs: &mut Inputs<'_>, width: usize, out: &mut Vec<u8>) -> Result<(), Failed> {
    out.clear();
    Machine::new(calc, inputs.request, Some(inputs), out).bytes(width)
}

impl<'m, 'i> Machine<'m, 'i> {
    fn new(calc: &'m Calc, request: &'m [u8], inputs: Option<&'m mut Inputs<'i>>, out: &'m mut Vec<u8>) -> Self {
        let base = out.len();
        Self { calc, request, inputs, out, base, stack: [ZERO; CALC_STACK_MAX], len: 0 }
    }

    fn push(&mut self, value: Value) {
        if let Some(place) = self.stack.get_mut(self.len) {
            *place = value;
            self.len += 1;
        }
    }

    fn int(&mut self, number: i64) {
        self.push(Value::Num(Num::Int(number)));
    }

    fn truth(&mut self, is: bool) {
        self.int(i64::from(is));
    }

    fn pop(&mut self) -> Value {
        self.len = self.len.saturating_sub(1);
        self.stack.get(self.len).copied().unwrap_or(ZERO)
    }

    fn pop_number(&mut self) -> Result<Num, Failed> {
        let value = self.pop();
        self.as_number(value)
    }

    fn pop_whole(&mut self) -> Result<i64, Failed> {
        Ok(self.pop_number()?.whole()?)
    }

    /// A number of something: never negative.
    fn pop_size(&mut self) -> Result<usize, Failed> {
        usize::try_from(self.pop_whole()?).map_err(|_| Failed::Outside)
    }

    /// The bytes of a text.
    fn slice(&self, span: Span) -> &[u8] {
        let all: &[u8] = if span.in_pool { &self.calc.pool } else { self.out };
        all.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    /// What was appended to the buffer since it had that length.
    fn appended(&self, from: usize) -> Result<Span, Failed> {
        if self.out.len() - self.base > CALC_TEXTS_BYTES_MAX {
            return Err(Failed::TooLong);
        }
        Ok(Span { from: from as u32, to: self.out.len() as u32, in_pool: false })
    }

    /// A value as a number: an empty text is 0, bytes are a number with the high byte first.
    fn as_number(&self, value: Value) -> Result<Num, Failed> {
        match value {
            Value::Num(number) => Ok(number),
            Value::Text(span) => match self.slice(span) {
                [] => Ok(Num::Int(0)),
                text => Num::parse(text).ok_or(Failed::NoNumber),
            },
            Value::Bytes(span) => {
                let bytes = self.slice(span);
                let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
                let bytes = bytes.get(zeros..).filter(|bytes| bytes.len() <= 8).ok_or(NoValue::Overflow)?;
                let number = bytes.iter().fold(0_u64, |number, &byte| (number << 8) | u64::from(byte));
                Ok(Num::Int(i64::try_from(number).map_err(|_| NoValue::Overflow)?))
            }
        }
    }

    /// What the device remembers.
    fn kept(&mut self) -> Result<&mut DeviceKept, Failed> {
        let Some(inputs) = &mut self.inputs else { return Err(Failed::Unknown) };
        inputs.kept().ok_or(Failed::Unknown)
    }

    /// Follows the program. Gives the last value.
    fn run(&mut self) -> Result<Value, Failed> {
        let calc = self.calc;
        let mut pc = 0;
        while let Some(op) = calc.ops.get(pc) {
            // Jumps only go forward.
            pc = match *op {
                Op::Jump(to) => usize::from(to).max(pc + 1),
                Op::IfNot(to) if !self.pop_number()?.is_true() => usize::from(to).max(pc + 1),
                Op::And(to) | Op::Or(to) => {
                    let is_true = self.pop_number()?.is_true();
                    if is_true == matches!(op, Op::Or(_)) {
                        self.truth(is_true);
                        usize::from(to).max(pc + 1)
                    } else {
                        pc + 1
                    }
                }
                Op::OrElse(to) => {
                    let value = self.pop();
                    match value {
                        Value::Text(span) | Value::Bytes(span) if span.from == span.to => pc + 1,
                        _ => {
                            self.push(value);
                            usize::from(to).max(pc + 1)
                        }
                    }
                }
                op => {
                    self.step(op)?;
                    pc + 1
                }
            };
        }
        Ok(self.pop())
    }

    fn step(&mut self, op: Op) -> Result<(), Failed> {
        match op {
            Op::Int(number) => self.int(number),
            Op::Dec(number) => self.push(Value::Num(Num::Dec(number))),
            Op::Text(from, to) => self.push(Value::Text(Span { from, to, in_pool: true })),
            Op::Bytes(from, to) => self.push(Value::Bytes(Span { from, to, in_pool: true })),
            Op::Absent => return Err(Failed::Absent),
            Op::Unary(op) => {
                let number = self.pop_number()?;
                self.push(Value::Num(calc::unary(op, number)?));
            }
            Op::Binary(op) => {
                let b = self.pop_number()?;
                let a = self.pop_number()?;
                self.push(Value::Num(calc::binary(op, a, b)?));
            }
            Op::Compare(compare) => {
                let b = self.pop();
                let a = self.pop();
                let order = self.order(a, b, matches!(compare, Compare::Equal | Compare::Differs));
                self.truth(holds(compare, order));
            }
            Op::Truth => {
                let is_true = self.pop_number()?.is_true();
                self.truth(is_true);
            }
            Op::Min | Op::Max => {
                let b = self.pop_number()?;
                let a = self.pop_number()?;
                let b_is_less = calc::order(b, a).is_lt();
                self.push(Value::Num(if b_is_less == (op == Op::Min) { b } else { a }));
            }
            Op::InArea(bytes) | Op::InBits(bytes) => {
                let many = self.pop_whole()?;
                let from = self.pop_whole()?;
                let all = i64::from(bytes) * if matches!(op, Op::InBits(_)) { 8 } else { 1 };
                let end = from.checked_add(many);
                self.truth(from >= 0 && many >= 0 && end.is_some_and(|end| end <= all));
            }
            // Taken, and no jump.
            Op::IfNot(_) | Op::Jump(_) | Op::And(_) | Op::Or(_) | Op::OrElse(_) => {}
            Op::FieldNumber(_)
            | Op::FieldText(_)
            | Op::FieldBytes(_)
            | Op::FieldRaw(_)
            | Op::FieldBits(..)
            | Op::Items(_) => self.load(op)?,
            Op::Ramp | Op::Sine | Op::Walk(_) | Op::Csv(_) => self.moving(op)?,
            Op::Mem(..)
            | Op::MemBits(..)
            | Op::Entry(_)
            | Op::EntryBytes(_)
            | Op::Has(_)
            | Op::Key(_)
            | Op::Entries(_)
            | Op::Count(..) => self.remembered(op)?,
            _ => self.more(op)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
