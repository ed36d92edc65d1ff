//! The functions of expressions, and what they take.

use super::super::expr::nearest;
use super::error::Wrong;
use crate::words;
use crate::words::names;

words! {
    /// A function of expressions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Called {
        /// `year()`, `year(yyyy)`
        Year = "year",
        /// `month()`
        Month = "month",
        /// `day()`
        Day = "day",
        /// `week()`, `week(0)`
        Week = "week",
        /// `hour()`
        Hour = "hour",
        /// `minute()`
        Minute = "minute",
        /// `second()`
        Second = "second",
        /// `datetime(FORMAT)`
        Datetime = "datetime",
        /// `packed_date()`
        PackedDate = "packed_date",
        /// `packed_time()`
        PackedTime = "packed_time",
        /// `fsuid()`
        FsuId = "fsuid",
        /// `seq()`
        Seq = "seq",
        /// `rand(a, b)`
        Rand = "rand",
        /// `choice(a, b, c)`
        Choice = "choice",
        /// `reg(name)`, `reg(name, default)`, `reg(name[key])`
        Reg = "reg",
        /// `index()`
        Index = "index",
        /// `has(name[key])`
        Has = "has",
        /// `entries(name)`
        Entries = "entries",
        /// `key(name, number)`
        Key = "key",
        /// `mem(area, from, bytes)`
        Mem = "mem",
        /// `bits(area, from, count)`
        Bits = "bits",
        /// `in_area(area, from, bytes)`
        InArea = "in_area",
        /// `in_bits(area, from, count)`
        InBits = "in_bits",
        /// `count(name, first)`
        Count = "count",
        /// `param(name)`
        Param = "param",
        /// `arg(name)`, `arg(name, default)`
        Arg = "arg",
        /// `ramp(from, to, period_s)`
        Ramp = "ramp",
        /// `sine(min, max, period_s)`
        Sine = "sine",
        /// `walk(min, max, step)`
        Walk = "walk",
        /// `csv(file, column)`
        Csv = "csv",
        /// `min(a, b)`
        Min = "min",
        /// `max(a, b)`
        Max = "max",
        /// `abs(x)`
        Abs = "abs",
        /// `round(x, digits)`
        Round = "round",
        /// `hex(x, digits)`
        Hex = "hex",
        /// `dec(x, digits)`
        Dec = "dec",
        /// `int(text, base)`
        Int = "int",
        /// `len(x)`
        Len = "len",
        /// `substr(text, from, count)`
        Substr = "substr",
        /// `cat(a, b)`
        Cat = "cat",
        /// `crc(name, text)`
        Crc = "crc",
        /// `be(x, bytes)`
        Be = "be",
        /// `le(x, bytes)`
        Le = "le",
    }
}

impl Called {
    /// Whether it may be alone in a value, with arguments that are no expressions: `${datetime(%Y-%m-%d)}$`.
    pub fn is_alone(self) -> bool {
        self as u8 <= Self::Index as u8
    }
}

/// What the first argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// An expression like the others.
    None,
    /// A name or a word, which may be left out.
    May,
    /// A name.
    Must,
}

impl Called {
    /// The function of that name.
    pub(super) fn named(name: &str) -> Result<Self, Wrong> {
        Self::from_name(name).ok_or_else(|| {
            let near = nearest(name, names::<Self>().into_iter());
            Wrong::UnknownFunction { name: name.into(), near }
        })
    }

    /// What its first argument is.
    pub(super) fn takes_name(self) -> Name {
        use Called as C;
        match self {
            C::Year | C::Month | C::Day | C::Week | C::Hour | C::Minute | C::Second | C::Datetime => Name::May,
            C::Reg
            | C::Has
            | C::Entries
            | C::Key
            | C::Mem
            | C::Bits
            | C::InArea
            | C::InBits
            | C::Count
            | C::Param
            | C::Arg
            | C::Csv
            | C::Crc => Name::Must,
            _ => Name::None,
        }
    }

    /// The fewest and the most arguments behind the name, and all of them in words.
    pub(super) fn takes(self) -> (usize, usize, &'static str) {
        use Called as C;
        match self {
            C::PackedDate | C::PackedTime | C::FsuId | C::Seq | C::Index => (0, 0, "no argument"),
            C::Year | C::Month | C::Day | C::Week | C::Hour | C::Minute | C::Second => (0, 0, "nothing or the unit"),
            C::Datetime => (0, 0, "a format"),
            C::Rand => (2, 2, "two whole numbers, the smaller first (`rand(a, b)`)"),
            C::Choice => (1, 255, "values (`choice(a, b, c)`)"),
            C::Reg => (0, 1, "a register and a default (`reg(name)`, `reg(name, 0)`, `reg(name[key])`)"),
            C::Has => (0, 0, "a keyed register with its key (`has(name[key])`)"),
            C::Entries => (0, 0, "a keyed register (`entries(name)`)"),
            C::Key => (1, 1, "a keyed register and a number from 0 (`key(name, 0)`)"),
            C::Mem => (2, 2, "an area, the first byte and the number of bytes (`mem(area, from, bytes)`)"),
            C::Bits => (2, 2, "an area, the first bit and the number of bits (`bits(area, from, count)`)"),
            C::InArea => (2, 2, "an area, the first byte and the number of bytes (`in_area(area, from, bytes)`)"),
            C::InBits => (2, 2, "an area, the first bit and the number of bits (`in_bits(area, from, count)`)"),
            C::Count => (0, 1, "a name and the first value (`count(name, 0)`)"),
            C::Arg => (0, 1, "a name and a default (`arg(name)`, `arg(name, 0)`)"),
            C::Param => (0, 0, "a name (`param(name)`)"),
            C::Ramp => (3, 3, "two values and seconds (`ramp(from, to, period_s)`)"),
            C::Sine => (3, 3, "two values and seconds (`sine(min, max, period_s)`)"),
            C::Walk => (3, 3, "two values and the most that it changes in a second (`walk(min, max, step)`)"),
            C::Csv => (1, 1, "a file and a column (`csv(file, column)`)"),
            C::Min | C::Max => (2, 255, "numbers"),
            C::Abs | C::Len => (1, 1, "one value"),
            C::Round | C::Hex | C::Dec => (1, 2, "a value and a number of digits"),
            C::Int => (1, 2, "a text and a base of 2 to 36"),
            C::Substr => (2, 3, "a text, the first character from 0, and the number of characters"),
            C::Cat => (1, 255, "values"),
            C::Crc => (1, 1, "an algorithm and a value (`crc(CRC-16/MODBUS, x)`)"),
            C::Be | C::Le => (2, 2, "a number and the number of bytes"),
        }
    }
}
