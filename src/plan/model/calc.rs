//! Expressions, compiled: a program over a stack of values. No names, no loops, and jumps only go forward.

use super::field::{Offset, Slot};
use super::reply::{Number, TimeItem};
use super::template::Algorithm;
use super::walk::Walked;
use std::sync::Arc;

/// Values on the stack at one time.
pub const CALC_STACK_MAX: usize = 24;
/// Operations of one expression.
pub const CALC_OPS_MAX: usize = 1_024;
/// Parentheses, conditions and calls inside each other.
pub const CALC_DEPTH_MAX: usize = 32;
/// Longest expression, in bytes.
pub const CALC_BYTES_MAX: usize = 8_192;
/// Bytes that all texts of one evaluation may take, the result included.
pub const CALC_TEXTS_BYTES_MAX: usize = 262_144;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Calc {
    /// As it was written; for people.
    pub source: Box<str>,
    /// The program.
    pub ops: Box<[Op]>,
    /// Bytes of its texts.
    pub pool: Box<[u8]>,
    /// The request's fields that it reads.
    pub fields: Box<[Asked]>,
    /// Formats of `datetime`.
    pub formats: Box<[Box<[TimeItem]>]>,
    /// Algorithms of `crc`.
    pub sums: Box<[Arc<Algorithm>]>,
    /// Tables of `csv`.
    pub tables: Box<[Arc<[f64]>]>,
    /// What its value is.
    pub kind: ValueKind,
    /// How its value becomes text.
    pub shape: Shape,
    /// The value follows from the request alone.
    pub is_of_request: bool,
    /// Bytes of its longest text, about.
    pub bytes_max: usize,
    /// Of bytes of a memory area: how many they are, if the request alone decides that.
    pub size: Option<Box<Calc>>,
}

/// What is known about a value before it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A text that may be a number: a register, a parameter.
    Any,
}

/// How a value becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Numbers in decimal, bytes as hex digits.
    Plain,
    /// Numbers and bytes as a decimal number without a fraction.
    Whole,
    /// Numbers and bytes as a decimal number.
    Number,
    /// Numbers as hex digits, at least this many; bytes as theirs.
    Hex(u32),
    /// Numbers as their hex digits, without leading zeros; bytes as theirs.
    Digits,
    /// Numbers as this many zeros and ones; 0: as many as their bytes have.
    Bits(u32),
    /// Bytes as they are.
    Raw,
}

/// A field of the request.
#[derive(Clone, Debug)]
pub enum Asked {
    /// At a fixed place.
    Fixed {
        /// Where.
        at: Offset,
        /// Its type and size.
        slot: Slot,
    },
    /// Behind a field of variable size.
    Walked(Walked),
}

/// One operation. Operands are taken from the stack, the last one first, and the result is put there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Dec(f64),
    /// A text of the pool.
    Text(u32, u32),
    /// Bytes of the pool.
    Bytes(u32, u32),
    /// A field that only other commands of the same key have: there is no value.
    Absent,
    /// A field's value as a number.
    FieldNumber(u16),
    /// A field's value in its notation.
    FieldText(u16),
    /// A field's bytes, the high one first.
    FieldBytes(u16),
    /// A field's bytes as they travel.
    FieldRaw(u16),
    /// Named bits of a field: which field, first and last bit.
    FieldBits(u16, u16, u16),
    /// The items of a list of the request.
    Items(u16),
    /// A number that a function of the calendar or the run gives.
    Clock(Number),
    /// `datetime(FORMAT)`
    Datetime(u16),
    /// `fsuid()`
    FsuId,
    /// `param(name)`, by number.
    Param(u32),
    /// `arg(name)`, by number: an argument of the message's trigger; empty without one.
    Arg(u16),
    /// `reg(name)`, by number.
    Register(u32),
    /// The same, of one that keeps hex digits: as bytes.
    RegisterBytes(u32),
    /// The value of a key of a keyed register. Takes the key.
    Entry(u16),
    /// The same as bytes.
    EntryBytes(u16),
    /// Whether a keyed register has a key. Takes the key.
    Has(u16),
    /// The key of an entry of a keyed register. Takes its number, from 0, the oldest first.
    Key(u16),
    /// The entries of a keyed register.
    Entries(u16),
    /// If the text on top is not empty: jumps, else takes it away.
    OrElse(u16),
    /// Bytes of an area: which, and how many it has. Takes the first byte and their number.
    Mem(u16, u32),
    /// Bits of an area, eight a byte, the low bit first. Takes the first bit and their number.
    MemBits(u16, u32),
    /// Whether an area of that many bytes has those. Takes the first byte and their number.
    InArea(u32),
    /// Whether an area of that many bytes has those bits.
    InBits(u32),
    /// `count(name, first)`: which counter, and how many values it has (0: 2^63). Takes the first.
    Count(u16, u64),
    /// `rand(low, high)`
    Rand,
    /// One of the topmost values.
    Choice(u8),
    /// `ramp(from, to, period_s)`
    Ramp,
    /// `sine(min, max, period_s)`
    Sine,
    /// `walk(min, max, step)`, with the number of its path.
    Walk(u32),
    /// `csv(file, column)`: the table of that column.
    Csv(u16),
    /// An operator of one operand.
    Unary(Unary),
    /// An operator of two operands.
    Binary(Binary),
    /// A comparison.
    Compare(Compare),
    /// 1 if the value is true, else 0.
    Truth,
    /// Jumps.
    Jump(u16),
    /// Jumps if the value that it takes is false.
    IfNot(u16),
    /// `&&`: if the value on top is false, makes it 0 and jumps; else takes it away.
    And(u16),
    /// `||`: if the value on top is true, makes it 1 and jumps; else takes it away.
    Or(u16),
    /// The smaller number.
    Min,
    /// The larger number.
    Max,
    /// `round(x, digits)`
    Round,
    /// `hex(x, digits)`
    Hex,
    /// `dec(x, digits)`
    Decimal,
    /// `int(text, base)`
    Parse,
    /// The bytes or characters of a value.
    Len,
    /// `substr(text, from, count)`
    Substr,
    /// The texts of the topmost values, one after another.
    Cat(u8),
    /// `crc(name, text)`
    Crc(u16),
    /// `be(x, bytes)`: the number's bytes, the high one first.
    Be,
    /// `le(x, bytes)`: the low one first.
    Le,
}

/// An operator of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Minus,
    /// `~`
    Not,
    /// `!`
    Negate,
    /// `abs()`
    Abs,
}

/// An operator of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    Left,
    /// `>>`
    Right,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Calc {
    /// The places of the request at which it reads fields: where, and how many bytes.
    pub fn places(&self) -> impl Iterator<Item = (Offset, usize)> {
        self.fields.iter().filter_map(|field| match field {
            Asked::Fixed { at, slot } => Some((*at, slot.len)),
            Asked::Walked(_) => None,
        })
    }
}
