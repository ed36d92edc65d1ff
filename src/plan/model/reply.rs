//! Replies, compiled: bytes that are known beforehand, and what is written into them for each request.

use super::calc::Calc;
use super::field::{Epoch, Offset, Slot};
use super::prebuilt::Prebuilt;
use super::walk::{Encode, Walked};
use std::sync::Arc;

/// A reply: raw frame bytes, right but for what the patches write and the checksum.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The raw frame, lengths and static values in place.
    pub frame: Prebuilt,
    /// What is written into it, in order.
    pub patches: Box<[Patch]>,
    /// Data-frame bytes.
    pub data_len: usize,
    /// What its `{{data_frame_length}}` fields leave out ([`super::template::Command::less`]).
    pub less: i64,
    /// Which header values keep the data frame.
    pub refusal: Option<Refusal>,
    /// What follows in frames of its own; then `frame` goes out without its data frame.
    pub payload: Payload,
}

impl Reply {
    /// Bytes of the longest raw frame that it may be.
    pub fn longest(&self) -> usize {
        let more = match &self.payload {
            Payload::Walked(steps) if !steps.in_place => steps.most,
            _ => 0,
        };
        self.frame.len() + more
    }
}

/// A reply whose header has a refusal carries an empty data frame.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The header field, in the reply's raw frame.
    pub at: usize,
    /// Bytes of it.
    pub len: usize,
    /// The values that are no refusal.
    pub ok: Arc<[Box<[u8]>]>,
    /// What fills the data frame of a fixed frame.
    pub padding: u8,
}

/// One write into a reply.
#[derive(Clone, Debug)]
pub enum Patch {
    /// Request bytes as they are.
    Copy {
        /// In the request.
        from: Offset,
        /// In the reply's raw frame.
        to: usize,
        /// Bytes.
        len: usize,
    },
    /// Request bytes, the last first: the fields differ in byte order.
    CopyReversed {
        /// In the request.
        from: Offset,
        /// In the reply's raw frame.
        to: usize,
        /// Bytes.
        len: usize,
    },
    /// A number that a function gives, straight into an integer or digit field.
    Number {
        /// Which.
        number: Number,
        /// In the reply's raw frame.
        to: usize,
        /// Bytes.
        len: usize,
        /// How.
        form: Form,
    },
    /// A text, encoded into the field as a JSON value would be.
    Text {
        /// The text.
        value: Expr,
        /// In the reply's raw frame.
        to: usize,
        /// The field.
        slot: Slot,
    },
}

/// How a [`Number`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Decimal digits, two a byte, high first.
    Bcd,
    /// Decimal digits, two a byte, low first.
    BcdLittle,
    /// Decimal digits without leading zeros, two a byte, and padding.
    BcdPadded {
        /// Low first.
        little: bool,
        /// The digits are on the right.
        right: bool,
        /// The padding byte.
        padding: u8,
    },
    /// Decimal characters, with leading zeros.
    Dec,
    /// Hex characters, with leading zeros.
    HexDigits {
        /// The digits of the low byte first.
        low: bool,
    },
    /// Binary, high byte first.
    Big,
    /// Binary, low byte first.
    Little,
}

/// A number that a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// `year(yy)`
    Year2,
    /// `year(yyyy)`
    Year4,
    /// `month()`
    Month,
    /// `day()`
    Day,
    /// `week()`: Monday 1 to Sunday 7
    Week1,
    /// `week(0)`: Sunday 0 to Saturday 6
    Week0,
    /// `hour()`
    Hour,
    /// `minute()`
    Minute,
    /// `second()`
    Second,
    /// `packed_date()`: (year - 2000) * 512 + month * 32 + day
    PackedDate,
    /// `packed_time()`: hour * 2048 + minute * 32 + second / 2
    PackedTime,
    /// `seq()`: this FSU's replies, from 1
    Seq,
    /// `rand(a,b)`, both included
    Rand(i64, i64),
}

/// A text made of parts.
#[derive(Clone, Debug)]
pub struct Expr {
    /// In order.
    pub parts: Box<[Part]>,
    /// Longest text it can make, in bytes.
    pub bytes_max: usize,
}

/// One part of an [`Expr`].
#[derive(Clone, Debug)]
pub enum Part {
    /// Written as it is.
    Literal(Box<str>),
    /// A request field in its JSON notation.
    Field {
        /// In the request.
        at: Offset,
        /// Its type and size.
        slot: Slot,
    },
    /// An element of the request behind a field of variable size, in its JSON notation; empty where the request has none.
    Walked(Box<Walked>),
    /// A number, with at least that many digits.
    Number {
        /// Which.
        number: Number,
        /// Leading zeros up to this many.
        digits: u8,
    },
    /// A number from 0 as hex digits.
    Hex(Number),
    /// A packed date or time as four hex digits, low byte first.
    Packed(Number),
    /// `datetime(FORMAT)`, as strftime items.
    Datetime(Box<[TimeItem]>),
    /// `fsuid()`: upper-case hex.
    FsuId,
    /// `choice(a,b,c)`
    Choice(Box<[Box<str>]>),
    /// `reg(name)`, by number; empty before it is set.
    Register(u32),
    /// An expression; empty if it has no value.
    Calc(Box<Calc>),
}

/// One item of a `datetime` format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeItem {
    /// Written as it is.
    Literal(Box<str>),
    /// A number with that many digits.
    Number(Number, u8),
    /// `%f`-like: milliseconds, three digits
    Millis,
    /// `%j`: day of the year, three digits
    DayOfYear,
    /// The number of an epoch field
    Epoch(Epoch),
}

/// The data that follows an answer.
#[derive(Clone, Debug, Default)]
pub enum Payload {
    /// None: the template has no transfer, or the command no data.
    #[default]
    None,
    /// Known when the configuration was read; shared by all transfers.
    Static(Arc<[u8]>),
    /// The data frame that the reply builds.
    Built,
    /// None: the reply's bytes travel as they are, without header, checksum and encoding.
    Raw,
    /// None: the reply's own data frame goes on with what varies in size.
    Walked(Box<Encode>),
}
