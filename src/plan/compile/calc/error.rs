//! What is wrong with an expression, and where in it.

use super::super::expr::ExprError;
use crate::wire::calc::NoValue;
use std::fmt;
use thiserror::Error;

/// An error in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalcError {
    /// The character of the text at which it is, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: Wrong,
}

impl fmt::Display for CalcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for CalcError {}

/// What is wrong with an expression; what would be right is in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Wrong {
    /// It ends too early.
    #[error("the expression ends here (a value is missing)")]
    Ends,
    /// There is something else than expected.
    #[error("`{found}` where {expected} is expected")]
    Unexpected {
        /// What is there.
        found: Box<str>,
        /// What would be right.
        expected: &'static str,
    },
    /// A character that no expression has.
    #[error("`{0}` is no part of an expression (texts are in quotes)")]
    Character(char),
    /// One `=`.
    #[error("`=` compares nothing (`==` does)")]
    Assign,
    /// A text without its second quote.
    #[error("the text has no closing {0}")]
    OpenQuote(char),
    /// `#{` without its end.
    #[error("`#{{` is not closed (would be `#{{field}}#`)")]
    OpenField,
    /// `${` without its end.
    #[error("`${{` is not closed (would be `${{expression}}$`)")]
    OpenValue,
    /// A number that is none.
    #[error("`{0}` is no number (whole numbers have 64 bits: 12, 0x1F, 1.5)")]
    Number(Box<str>),
    /// Too long.
    #[error("the expression has {bytes} bytes (at most {max})")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// Too many parentheses, or too much in it.
    #[error("the expression is nested too deep, or too large (several rules or registers)")]
    TooLarge,
    /// A text where a number is needed.
    #[error("a text where {place} takes a number (`int(text)` makes one)")]
    NoNumber {
        /// What takes it.
        place: Box<str>,
    },
    /// A text that cannot be a value of the field.
    #[error("`{text}` is never equal to {field}: it is {why}")]
    NeverEqual {
        /// The text.
        text: Box<str>,
        /// The field.
        field: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// A constant operation without a result.
    #[error("{0}")]
    NoValue(NoValue),
    /// A function whose constant arguments have no result.
    #[error("{function}() never has a value: {why}")]
    Never {
        /// The function.
        function: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Other arguments.
    #[error("{function}() takes {takes}, found {found}")]
    Arguments {
        /// The function.
        function: &'static str,
        /// What it takes.
        takes: &'static str,
        /// How many there are.
        found: usize,
    },
    /// No such function.
    #[error("unknown function `{name}`{near}")]
    UnknownFunction {
        /// The name.
        name: Box<str>,
        /// ` (did you mean ...?)`, or nothing.
        near: String,
    },
    /// A function that is not for this place.
    #[error("{function}() cannot stand here: {why}")]
    NotHere {
        /// The function.
        function: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A keyed register without its key, or another one with a key.
    #[error("`{name}` is {what}")]
    Keyed {
        /// The register.
        name: Box<str>,
        /// What it is, and what to write.
        what: &'static str,
    },
    /// The device has nothing of that name.
    #[error("the device has no {what} `{name}`{near}")]
    Unknown {
        /// A memory area, a keyed register.
        what: &'static str,
        /// The name.
        name: Box<str>,
        /// What to write.
        near: String,
    },
    /// A list or choice as a value.
    #[error("`{0}` is no single value (`len(list)` counts items; `{0}.0.name` is one value)")]
    Nest(Box<str>),
    /// A table.
    #[error("{0}")]
    Table(Box<str>),
    /// The algorithm of `crc`.
    #[error("unknown CRC `{name}`{near}")]
    Sum {
        /// The name.
        name: Box<str>,
        /// What to write.
        near: String,
    },
    /// A name or function that the language of values knows.
    #[error("{0}")]
    Value(Box<ExprError>),
}
