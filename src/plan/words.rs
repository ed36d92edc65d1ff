//! Words: the closed sets that the format knows, each declared once, and numbers in sentences.

use std::fmt::Display;

/// A word of a closed set. [`words!`](crate::words!) implements it.
pub trait Word: Copy + 'static {
    /// The whole set, in order.
    const ALL: &'static [Self];

    /// As the format spells it.
    fn name(self) -> &'static str;
}

/// The words of a set, in order.
pub fn names<W: Word>() -> Vec<&'static str> {
    W::ALL.iter().map(|word| word.name()).collect()
}

/// Declares a closed set of words as an enum: `Item = "word"`, or `Item = "word": "what it means"` for every item.
///
/// The enum gets `ALL`, `COUNT`, `name()`, `from_name()` and [`Word`]; with meanings also `meaning()`.
#[macro_export]
macro_rules! words {
    (
        $(#[$attr:meta])*
        $vis:vis enum $set:ident { $($(#[$item_attr:meta])* $item:ident = $word:literal: $meaning:literal),+ $(,)? }
    ) => {
        $crate::words! {
            $(#[$attr])*
            $vis enum $set { $($(#[$item_attr])* #[doc = $meaning] $item = $word),+ }
        }

        #[allow(dead_code)]
        impl $set {
            /// What it means, in a few words.
            $vis const fn meaning(self) -> &'static str {
                match self { $(Self::$item => $meaning),+ }
            }
        }
    };
    (
        $(#[$attr:meta])*
        $vis:vis enum $set:ident { $($(#[$item_attr:meta])* $item:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$attr])*
        $vis enum $set { $($(#[$item_attr])* $item),+ }

        #[allow(dead_code)]
        impl $set {
            /// All of them, in order.
            $vis const ALL: [Self; [$($word),+].len()] = [$(Self::$item),+];
            /// How many there are.
            $vis const COUNT: usize = Self::ALL.len();

            /// As the format spells it.
            #[inline]
            $vis const fn name(self) -> &'static str {
                match self { $(Self::$item => $word),+ }
            }

            /// The one that is spelled like this.
            $vis fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.name() == name)
            }
        }

        impl $crate::words::Word for $set {
            const ALL: &'static [Self] = &Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }
    };
}

words! {
    /// `level` of the log.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum LogLevel {
        /// No system log.
        Off = "off",
        /// Errors alone.
        Error = "error",
        /// Warnings too.
        Warn = "warn",
        /// The default.
        Info = "info",
        /// More.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// `type` of a field.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FieldType {
        /// The default.
        Hex = "hex",
        /// Two's complement, in the field's byte order.
        Int = "int",
        /// The same, high byte first.
        IntBe = "int_be",
        /// The same, low byte first.
        IntLe = "int_le",
        /// Unsigned.
        Uint = "uint",
        /// Packed decimal digits.
        Bcd = "bcd",
        /// ASCII decimal digits.
        Dec = "dec",
        /// ASCII hex digits.
        HexDigits = "hexdigits",
        /// Packed decimal digits, the sign in the top bit.
        Sbcd = "sbcd",
        /// Time since 1970.
        Epoch = "epoch",
        /// IEC 60870-5: seven bytes.
        Cp56 = "cp56time2a",
        /// Bits.
        Bit = "bit",
        /// Text.
        Str = "str",
        /// The same as `str`.
        Ascii = "ascii",
        /// A computed length.
        Length = "length",
        /// IEEE 754, 4 bytes.
        F32 = "f32",
        /// IEEE 754, 8 bytes.
        F64 = "f64",
        /// Items, each with the same fields.
        List = "list",
        /// The fields of one of several cases.
        Choice = "choice",
    }
}

words! {
    /// `direction` of a command: who sends its frames.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Direction {
        /// A request and its reply.
        Both = "both",
        /// Only the device: replies of other commands, messages.
        Up = "up",
    }
}

words! {
    /// `endian` of a field.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Endian {
        /// High byte first.
        Big = "big",
        /// Low byte first.
        Little = "little",
    }
}

words! {
    /// `align` of a command: the side of short values.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Align {
        /// Padding on the right.
        Left = "left",
        /// Padding on the left.
        Right = "right",
    }
}

words! {
    /// `unit` of a length.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Unit {
        /// Bytes before encoding.
        Bytes = "bytes",
        /// Characters after encoding.
        Chars = "chars",
    }
}

words! {
    /// `unit` of an epoch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum EpochUnit {
        /// Seconds.
        Seconds = "s",
        /// Milliseconds.
        Millis = "ms",
    }
}

words! {
    /// `check` of a length.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum LengthCheck {
        /// None.
        None = "none",
        /// A check nibble in the top 4 of 16 bits.
        Lchksum = "lchksum",
    }
}

words! {
    /// `algorithm` of a checksum, beside `crc:NAME`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AlgorithmName {
        /// Sum of the bytes.
        Sum = "sum",
        /// XOR of the bytes.
        Xor = "xor",
        /// XOR of the two bytes of the 16-bit sum.
        SumXor = "sum_xor",
        /// CRC-16/MODBUS.
        Crc16 = "crc16",
        /// Sum of the 16-bit words.
        Sum16 = "sum16",
        /// The same; what overflows 16 bits is added to the lowest bit.
        Ones16 = "ones16",
        /// XOR of the 16-bit words.
        Xor16 = "xor16",
        /// Sum of the bytes, subtracted from zero, 8 bits.
        Lrc = "lrc",
    }
}

words! {
    /// `self` of a checksum: what its own bytes count as where its span covers them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Itself {
        /// As 00.
        Zero = "zero",
        /// Left out.
        Skip = "skip",
    }
}

words! {
    /// `shift` of a CRC: where each byte goes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Shift {
        /// To the low byte.
        Low = "low",
        /// To the place of the high byte (HJ 212).
        High = "high",
    }
}

words! {
    /// `over` of a checksum: what it is computed over.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Over {
        /// Bytes before encoding.
        Raw = "raw",
        /// Encoded characters.
        Wire = "wire",
    }
}

/// `1 error`, `2 errors`, `0 replies`: a number and what it counts, in its plural where it is not one.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    if n == N::from(1) { format!("{n} {noun}") } else { format!("{n} {}", plural(noun)) }
}

/// `request`, `requests`: the noun alone, as that number has it.
pub fn noun<N: Copy + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    if n == N::from(1) { noun.to_owned() } else { plural(noun) }
}

fn plural(noun: &str) -> String {
    let end = match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => return format!("{stem}ies"),
        _ if noun.ends_with(['s', 'x', 'h']) => "es",
        _ => "s",
    };
    format!("{noun}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n18_one_is_not_plural() {
        let check = |n: u64, noun: &str, expected: &str| assert_eq!(count(n, noun), expected);
        check(0, "request", "0 requests");
        check(1, "request", "1 request");
        check(2, "request", "2 requests");
        check(1, "reply", "1 reply");
        check(2, "reply", "2 replies");
        check(2, "key", "2 keys");
        check(2, "address", "2 addresses");
        check(1, "FSU", "1 FSU");
        check(2, "FSU", "2 FSUs");
        assert_eq!((count(1_usize, "byte"), count(8_u32, "bit")), ("1 byte".into(), "8 bits".into()));
        assert_eq!((noun(1_u64, "reply"), noun(3_u64, "reply")), ("reply".into(), "replies".into()));
    }
}
