//! Texts: comparisons, conversions, and the rest of the functions.

use super::{Failed, Machine, Span, Value};
use crate::answer::build::{push_decimal, push_time};
use fsu_plan::model::calc::{CALC_TEXTS_BYTES_MAX, Op};
use fsu_plan::wire::calc::{self, NoValue, Num, order_bytes, rounded};
use fsu_plan::wire::checksum;
use fsu_plan::wire::inner::encode_hex;
use std::cmp::Ordering;
use std::io::Write as _;

/// Digits after the point that `round` keeps at most.
const ROUND_DIGITS: i64 = 15;
/// Digits of `hex` and `dec` at most.
const TEXT_DIGITS: usize = 64;

impl Machine<'_, '_> {
    /// A value as a text. Bytes become hex digits.
    pub(super) fn as_text(&mut self, value: Value) -> Result<Span, Failed> {
        let from = self.out.len();
        match value {
            Value::Text(span) => return Ok(span),
            Value::Num(number) => push_number(number, self.out),
            Value::Bytes(span) => {
                let many = span.to.saturating_sub(span.from) as usize;
                for place in 0..many {
                    let byte = self.slice(span).get(place).copied().unwrap_or_default();
                    encode_hex(&[byte], self.out);
                }
            }
        }
        self.appended(from)
    }

    /// Which of two values is larger. Texts are equal only as texts, and otherwise compare as numbers if both are some.
    pub(super) fn order(&self, a: Value, b: Value, is_equality: bool) -> Ordering {
        match (a, b) {
            (Value::Num(a), Value::Num(b)) => calc::order(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => order_bytes(self.slice(a), self.slice(b)),
            (Value::Text(a), Value::Text(b)) => {
                let (a, b) = (self.slice(a), self.slice(b));
                match Num::parse(a).zip(Num::parse(b)) {
                    Some((a, b)) if !is_equality => calc::order(a, b),
                    _ => a.cmp(b),
                }
            }
            (Value::Bytes(bytes), Value::Text(text)) => self.order_hex(bytes, text),
            (Value::Text(text), Value::Bytes(bytes)) => self.order_hex(bytes, text).reverse(),
            (Value::Bytes(bytes), Value::Num(number)) => self.order_number(bytes, number),
            (Value::Num(number), Value::Bytes(bytes)) => self.order_number(bytes, number).reverse(),
            (Value::Text(text), Value::Num(number)) => self.order_text(text, number),
            (Value::Num(number), Value::Text(text)) => self.order_text(text, number).reverse(),
        }
    }

    /// Bytes beside a text of hex digits. What is no hex differs.
    fn order_hex(&self, bytes: Span, text: Span) -> Ordering {
        let (bytes, text) = (self.slice(bytes), self.slice(text));
        let digit = |c: &u8| char::from(*c).to_digit(16);
        if !text.iter().all(|c| digit(c).is_some()) {
            return Ordering::Less;
        }
        let zeros = text.iter().take_while(|&&c| c == b'0').count();
        let text = text.get(zeros..).unwrap_or_default();
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default();
        let nibbles = bytes.iter().flat_map(|byte| [u32::from(byte >> 4), u32::from(byte & 15)]);
        let skip = usize::from(bytes.first().is_some_and(|byte| byte >> 4 == 0));
        let many = 2 * bytes.len() - skip;
        many.cmp(&text.len()).then_with(|| nibbles.skip(skip).cmp(text.iter().filter_map(digit)))
    }

    /// Bytes of any length beside a number.
    fn order_number(&self, bytes: Span, number: Num) -> Ordering {
        match self.as_number(Value::Bytes(bytes)) {
            Ok(bytes) => calc::order(bytes, number),
            Err(_) => Ordering::Greater,
        }
    }

    /// A text beside a number. What is no number differs; an empty text is 0.
    fn order_text(&self, text: Span, number: Num) -> Ordering {
        match self.as_number(Value::Text(text)) {
            Ok(text) => calc::order(text, number),
            Err(_) => Ordering::Greater,
        }
    }

    /// The functions of the calendar and the run, and those of texts.
    pub(super) fn more(&mut self, op: Op) -> Result<(), Failed> {
        match op {
            Op::Clock(which) => {
                let number = self.inputs.as_mut().ok_or(Failed::Unknown)?.number(which);
                self.int(number);
            }
            Op::Rand => {
                let high = self.pop_whole()?;
                let low = self.pop_whole()?;
                if low > high {
                    return Err(Failed::NoValue(NoValue::Overflow));
                }
                let number = self.inputs.as_mut().ok_or(Failed::Unknown)?.dice.rng().i64(low..=high);
                self.int(number);
            }
            Op::Choice(many) => {
                let many = usize::from(many);
                let inputs = self.inputs.as_mut().ok_or(Failed::Unknown)?;
                let chosen = inputs.dice.rng().usize(..many.max(1));
                let first = self.len.saturating_sub(many);
                let value = self.stack.get(first + chosen).copied().ok_or(Failed::Unknown)?;
                self.len = first;
                self.push(value);
            }
            Op::Datetime(_) | Op::FsuId | Op::Param(_) | Op::Arg(_) | Op::Register(_) | Op::RegisterBytes(_) => {
                self.read(op)?;
            }
            Op::Round => {
                let digits = self.pop_whole()?.clamp(0, ROUND_DIGITS);
                let number = match self.pop_number()? {
                    Num::Dec(number) if digits == 0 => Num::Int(rounded(number)?),
                    Num::Dec(number) => {
                        let scale = 10_f64.powi(digits as i32);
                        let scaled = (number * scale).round();
                        Num::Dec(if scaled.is_finite() { scaled / scale } else { number })
                    }
                    whole @ Num::Int(_) => whole,
                };
                self.push(Value::Num(number));
            }
            Op::Len => {
                let many = match self.pop() {
                    Value::Bytes(span) => self.slice(span).len(),
                    Value::Text(span) => self.slice(span).iter().filter(|&&byte| byte & 0xC0 != 0x80).count(),
                    number @ Value::Num(_) => {
                        let span = self.as_text(number)?;
                        self.slice(span).len()
                    }
                };
                self.int(many as i64);
            }
            Op::Crc(sum) => {
                let value = self.pop();
                let span = if let Value::Bytes(span) = value { span } else { self.as_text(value)? };
                let algorithm = self.calc.sums.get(usize::from(sum)).ok_or(Failed::Unknown)?;
                let number = checksum::crc(algorithm, self.slice(span));
                self.int(i64::try_from(number).map_err(|_| NoValue::Overflow)?);
            }
            _ => self.made(op)?,
        }
        Ok(())
    }

    /// A text that something else than the request has.
    fn read(&mut self, op: Op) -> Result<(), Failed> {
        let from = self.out.len();
        let inputs = self.inputs.as_mut().ok_or(Failed::Unknown)?;
        match op {
            Op::Datetime(format) => {
                let items = self.calc.formats.get(usize::from(format)).map(|items| &**items);
                push_time(items.unwrap_or_default(), inputs, self.out);
            }
            Op::FsuId => inputs.id_hex.push_hex(self.out),
            Op::Param(number) => self.out.extend_from_slice(inputs.param(number).as_bytes()),
            Op::Arg(number) => self.out.extend_from_slice(inputs.arg(number).as_bytes()),
            Op::Register(number) => self.out.extend_from_slice(inputs.register(number)),
            Op::RegisterBytes(number) => unhex(inputs.register(number), self.out),
            _ => {}
        }
        let span = self.appended(from)?;
        self.push(if let Op::RegisterBytes(_) = op { Value::Bytes(span) } else { Value::Text(span) });
        Ok(())
    }

    /// Texts and bytes that are made of other values.
    fn made(&mut self, op: Op) -> Result<(), Failed> {
        let from = self.out.len();
        match op {
            Op::Hex | Op::Decimal => {
                let digits = usize::try_from(self.pop_whole()?).unwrap_or(0).min(TEXT_DIGITS);
                let number = self.pop_number()?;
                let _ = match number {
                    Num::Int(number) if op == Op::Hex => write!(self.out, "{number:0digits$X}"),
                    Num::Int(number) => write!(self.out, "{number:0digits$}"),
                    Num::Dec(_) if op == Op::Hex => write!(self.out, "{:0digits$X}", number.whole()?),
                    Num::Dec(number) => write!(self.out, "{number:0digits$}"),
                };
                let span = self.appended(from)?;
                self.push(Value::Text(span));
            }
            Op::Parse => {
                let base = self.pop_whole()?;
                let value = self.pop();
                let span = self.as_text(value)?;
                let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).ok_or(Failed::NoNumber)?;
                let text = std::str::from_utf8(self.slice(span).trim_ascii()).map_err(|_| Failed::NoNumber)?;
                let number = i64::from_str_radix(text, base).map_err(|_| Failed::NoNumber)?;
                self.int(number);
            }
            Op::Substr => {
                let many = usize::try_from(self.pop_whole()?).map_err(|_| Failed::Outside)?;
                let begin = usize::try_from(self.pop_whole()?).map_err(|_| Failed::Outside)?;
                let value = self.pop();
                let span = self.as_text(value)?;
                let part = part(self.slice(span), begin, many);
                self.push(Value::Text(Span {
                    from: span.from + part.0 as u32,
                    to: span.from + part.1 as u32,
                    in_pool: span.in_pool,
                }));
            }
            Op::Cat(many) => self.cat(many)?,
            Op::Be | Op::Le => {
                let many = self.pop_size()?;
                let number = self.pop_whole()?;
                if many > CALC_TEXTS_BYTES_MAX {
                    return Err(Failed::TooLong);
                }
                // More bytes than a number has: its sign goes on.
                self.out.resize(from + many.saturating_sub(8), if number < 0 { 0xFF } else { 0 });
                self.wide(number, many.min(8))?;
                if op == Op::Le {
                    self.out[from..].reverse();
                }
                let span = self.appended(from)?;
                self.push(Value::Bytes(span));
            }
            _ => return Err(Failed::Unknown),
        }
        Ok(())
    }

    /// The texts of the topmost values, one after another.
    fn cat(&mut self, many: u8) -> Result<(), Failed> {
        let first = self.len.saturating_sub(usize::from(many));
        for place in first..self.len {
            let value = self.stack.get(place).copied().ok_or(Failed::Unknown)?;
            let span = self.as_text(value)?;
            if let Some(place) = self.stack.get_mut(place) {
                *place = Value::Text(span);
            }
        }
        let from = self.out.len();
        for place in first..self.len {
            let Some(Value::Text(span)) = self.stack.get(place).copied() else { continue };
            let (a, b) = (span.from as usize, span.to as usize);
            if span.in_pool {
                self.out.extend_from_slice(self.calc.pool.get(a..b).unwrap_or_default());
            } else {
                self.out.extend_from_within(a..b);
            }
        }
        self.len = first;
        let span = self.appended(from)?;
        self.push(Value::Text(span));
        Ok(())
    }

    /// Appends a number in that many bytes, the high one first. Negative numbers are in two's complement.
    pub(super) fn wide(&mut self, number: i64, many: usize) -> Result<(), Failed> {
        let fits = match many {
            0 => false,
            1..=7 => number >> (8 * many) == 0 || number >> (8 * many - 1) == -1,
            _ => true,
        };
        let bytes = number.to_be_bytes();
        let bytes = bytes.get(8_usize.saturating_sub(many)..).filter(|_| fits).ok_or(NoValue::Overflow)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where characters `begin` to `begin + many` of a text are.
fn part(text: &[u8], begin: usize, many: usize) -> (usize, usize) {
    let mut starts = text.iter().enumerate().filter(|(_, byte)| *byte & 0xC0 != 0x80).map(|(at, _)| at);
    let from = starts.nth(begin).unwrap_or(text.len());
    let to = match many {
        0 => from,
        _ => starts.nth(many - 1).unwrap_or(text.len()),
    };
    (from, to.max(from))
}

/// Appends a number in decimal.
pub(super) fn push_number(number: Num, out: &mut Vec<u8>) {
    match number {
        Num::Int(number) => push_decimal(number, 1, out),
        // No negative zero.
        Num::Dec(number) => drop(write!(out, "{}", number + 0.0)),
    }
}

/// Appends the bytes of hex digits, as far as they are some.
pub(super) fn unhex(digits: &[u8], out: &mut Vec<u8>) {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => (digit(high) << 4) | digit(low),
        [low] => digit(low),
        _ => 0,
    });
    out.extend(pairs);
}
