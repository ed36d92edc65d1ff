//! The value of an expression as the text or the bytes that are wanted.

use super::texts::push_number;
use super::{Failed, Machine, Value};
use fsu_plan::model::calc::{Calc, Shape};
use fsu_plan::wire::calc::{NoValue, Num, rounded};
use fsu_plan::wire::inner::encode_hex;
use std::io::Write as _;

impl Machine<'_, '_> {
    /// Runs the program, and leaves nothing behind `base` but the text of its value.
    pub(super) fn text(mut self) -> Result<(), Failed> {
        let value = self.run()?;
        let Calc { shape, .. } = *self.calc;
        match (shape, value) {
            (Shape::Plain | Shape::Number | Shape::Raw, Value::Num(number)) => {
                self.only(|out| push_number(number, out));
            }
            (Shape::Whole, Value::Num(_)) => {
                let number = self.whole(value)?;
                self.only(|out| push_number(Num::Int(number), out));
            }
            (Shape::Hex(_) | Shape::Digits | Shape::Bits(_), Value::Num(_)) => {
                let number = u64::try_from(self.whole(value)?).map_err(|_| NoValue::Overflow)?;
                self.only(|out| digits(shape, number, out));
            }
            (Shape::Whole | Shape::Number, Value::Bytes(_)) => {
                let number = self.as_number(value)?;
                self.only(|out| push_number(number, out));
            }
            (Shape::Bits(_), Value::Bytes(_)) => {
                let Num::Int(number) = self.as_number(value)? else { return Err(Failed::NoNumber) };
                self.only(|out| digits(shape, number as u64, out));
            }
            (Shape::Raw, Value::Bytes(span)) => self.keep(span),
            (Shape::Plain | Shape::Hex(_) | Shape::Digits, Value::Bytes(_)) | (_, Value::Text(_)) => {
                let span = self.as_text(value)?;
                self.keep(span);
            }
        }
        Ok(())
    }

    /// Runs the program, and leaves nothing behind `base` but the bytes of its value; a number takes `width`.
    pub(super) fn bytes(mut self, width: usize) -> Result<(), Failed> {
        match self.run()? {
            Value::Text(span) | Value::Bytes(span) => self.keep(span),
            Value::Num(number) => {
                let number = number.whole()?;
                self.out.truncate(self.base);
                self.wide(number, width)?;
            }
        }
        Ok(())
    }

    /// The nearest whole number.
    fn whole(&self, value: Value) -> Result<i64, Failed> {
        Ok(match self.as_number(value)? {
            Num::Int(number) => number,
            Num::Dec(number) => rounded(number)?,
        })
    }

    /// Writes the text over all others.
    fn only(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.truncate(self.base);
        write(self.out);
    }

    /// Keeps one text of all.
    fn keep(&mut self, span: super::Span) {
        if span.in_pool {
            self.out.truncate(self.base);
            self.out.extend_from_slice(self.calc.pool.get(span.from as usize..span.to as usize).unwrap_or_default());
            return;
        }
        let (from, to) = (span.from as usize, span.to as usize);
        if from <= to && to <= self.out.len() {
            self.out.copy_within(from..to, self.base);
            self.out.truncate(self.base + (to - from));
        }
    }
}

/// Appends hex or binary digits.
fn digits(shape: Shape, number: u64, out: &mut Vec<u8>) {
    match shape {
        Shape::Hex(digits) => {
            let bytes = number.to_be_bytes();
            let needed = (64 - number.leading_zeros() as usize).div_ceil(8).max(1);
            let wanted = needed.max(digits as usize / 2);
            // More zeros than a number has bytes.
            (8..wanted).for_each(|_| out.extend_from_slice(b"00"));
            encode_hex(bytes.get(8_usize.saturating_sub(wanted)..).unwrap_or_default(), out);
        }
        Shape::Digits => drop(write!(out, "{number:X}")),
        Shape::Bits(0) => {
            let width = 8 * (64 - number.leading_zeros() as usize).div_ceil(8).max(1);
            drop(write!(out, "{number:0width$b}"));
        }
        Shape::Bits(bits) => drop(write!(out, "{number:0width$b}", width = bits as usize)),
        _ => {}
    }
}
