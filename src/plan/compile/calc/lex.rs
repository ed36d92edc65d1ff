//! The tokens of an expression, with their places.

use super::error::{CalcError, Wrong};
use crate::config::steps::step;
use crate::wire::calc::Num;

/// A piece of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// The end of the text.
    End,
    /// `}`, which ends `${`.
    Brace,
    /// A number.
    Number(Num),
    /// A number whose negative alone has 64 bits.
    Least(&'t str),
    /// A text in quotes.
    Text(&'t str),
    /// A name, points included.
    Name(&'t str),
    /// The name in `#{name}#`.
    Field(&'t str),
    /// An operator or a parenthesis.
    Sign(&'static str),
}

impl Token<'_> {
    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::End => "the end".into(),
            Self::Brace => "}".into(),
            Self::Number(Num::Int(number)) => number.to_string(),
            Self::Number(Num::Dec(number)) => number.to_string(),
            Self::Least(text) => (*text).into(),
            Self::Text(text) => format!("'{text}'"),
            Self::Name(name) => (*name).into(),
            Self::Field(name) => format!("#{{{name}}}#"),
            Self::Sign(sign) => (*sign).into(),
        }
    }
}

/// Operators and parentheses, the longer ones first.
const SIGNS: [&str; 25] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">", "?",
    ":", "(", ")", ",",
];

/// Takes a text apart from left to right.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Where the next token begins, blanks included.
    at: usize,
    /// Characters of the whole value before the text.
    before: usize,
}

impl<'t> Lexer<'t> {
    /// Over a text that begins behind that many characters of the value.
    pub(super) fn new(text: &'t str, before: usize) -> Self {
        Self { text, at: 0, before }
    }

    /// Where the next token begins, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The column of a byte.
    pub(super) fn column(&self, at: usize) -> usize {
        let text = self.text.get(..at).unwrap_or(self.text);
        self.before + text.chars().count() + 1
    }

    pub(super) fn error(&self, at: usize, what: Wrong) -> CalcError {
        CalcError { column: self.column(at), what }
    }

    /// The next token, and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'t>, usize), CalcError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blanks = rest.len() - rest.trim_start().len();
        self.at += blanks;
        let (rest, at) = (rest.trim_start(), self.at);
        let (token, len) = self.token(rest)?;
        step(len);
        self.at += len;
        Ok((token, at))
    }

    fn token(&self, rest: &'t str) -> Result<(Token<'t>, usize), CalcError> {
        let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
        match first {
            '}' => return Ok((Token::Brace, 1)),
            '\'' | '"' => {
                let end = rest[1..].find(first).ok_or_else(|| self.error(self.at, Wrong::OpenQuote(first)))?;
                return Ok((Token::Text(&rest[1..=end]), end + 2));
            }
            '#' if rest.starts_with("#{") => {
                let end = rest.find("}#").ok_or_else(|| self.error(self.at, Wrong::OpenField))?;
                return Ok((Token::Field(rest[2..end].trim()), end + 2));
            }
            '0'..='9' => return self.number(rest),
            '[' => return Ok((Token::Sign("["), 1)),
            ']' => return Ok((Token::Sign("]"), 1)),
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
                let name = rest[..end].trim_end_matches('.');
                return Ok((Token::Name(name), name.len()));
            }
            _ => {}
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            return Ok((Token::Sign(sign), sign.len()));
        }
        let wrong = if first == '=' { Wrong::Assign } else { Wrong::Character(first) };
        Err(self.error(self.at, wrong))
    }

    /// The digits at a place, if nothing else belongs to the number there.
    pub(super) fn digits(&self, at: usize) -> Option<&'t str> {
        let rest = self.text.get(at..)?;
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
        rest.get(..end).filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))
    }

    fn number(&self, rest: &'t str) -> Result<(Token<'t>, usize), CalcError> {
        let bytes = rest.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_');
        let mut end = (0..rest.len()).find(|&at| !digit(at)).unwrap_or(rest.len());
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = (end + 1..rest.len()).find(|&at| !digit(at)).unwrap_or(rest.len());
        }
        let text = &rest[..end];
        if let Some(number) = Num::parse(text.as_bytes()) {
            return Ok((Token::Number(number), end));
        }
        match Num::parse(format!("-{text}").as_bytes()) {
            Some(_) => Ok((Token::Least(text), end)),
            None => Err(self.error(self.at, Wrong::Number(text.into()))),
        }
    }

    /// A name that is written as it is: up to a comma, a parenthesis or a bracket; or in quotes.
    pub(super) fn name(&mut self) -> Result<(&'t str, usize), CalcError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let at = self.at + (rest.len() - rest.trim_start().len());
        if rest.trim_start().starts_with(['\'', '"'])
            && let (Token::Text(text), at) = self.next()?
        {
            return Ok((text, at));
        }
        let end = rest.find([',', '(', ')', '[', ']', '}', '#', '$']).unwrap_or(rest.len());
        self.at += end;
        Ok((rest[..end].trim(), at))
    }
}
