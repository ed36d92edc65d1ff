//! Tokens to a tree: C's operators with C's precedence.

use super::error::{CalcError, Wrong};
use super::functions::{Called, Name};
use super::lex::{Lexer, Token};
use crate::model::calc::{Binary, CALC_DEPTH_MAX, CALC_OPS_MAX, Compare, Unary};
use crate::wire::calc::Num;

/// An expression with its place.
#[derive(Debug)]
pub(super) struct Node<'t> {
    /// Its first character, in the text of the whole value.
    pub(super) column: usize,
    pub(super) what: What<'t>,
}

/// What an expression is.
#[derive(Debug)]
pub(super) enum What<'t> {
    Number(Num),
    Text(&'t str),
    /// A field of the request.
    Field(&'t str),
    Unary(Unary, Box<Node<'t>>),
    Binary(Binary, Box<[Node<'t>; 2]>),
    Compare(Compare, Box<[Node<'t>; 2]>),
    And(Box<[Node<'t>; 2]>),
    Or(Box<[Node<'t>; 2]>),
    /// Condition, value if it is true, value if not.
    Choose(Box<[Node<'t>; 3]>),
    /// A function, the name that it is given first, the key of that name, and the other arguments.
    Call {
        called: Called,
        name: Option<(&'t str, usize)>,
        key: Option<Box<Node<'t>>>,
        given: Vec<Node<'t>>,
    },
}

/// Binary operators from the weakest on.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", "<=", ">", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Makes the tree.
pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    /// The next token and its place.
    next: (Token<'t>, usize),
    depth: usize,
    nodes: usize,
}

impl<'t> Parser<'t> {
    /// Of a text that begins behind that many characters of the value.
    pub(super) fn new(text: &'t str, before: usize) -> Result<Self, CalcError> {
        let mut lexer = Lexer::new(text, before);
        let next = lexer.next()?;
        Ok(Self { lexer, next, depth: 0, nodes: 0 })
    }

    /// A whole expression, and where what follows its end begins: a `}` if `braced`, else nothing may follow.
    pub(super) fn whole(mut self, braced: bool) -> Result<(Node<'t>, usize), CalcError> {
        let node = self.expression()?;
        match (self.next, braced) {
            ((Token::End, _), false) => Ok((node, self.lexer.at())),
            ((Token::Brace, at), true) => Ok((node, at + 1)),
            ((Token::End, at), true) => Err(self.lexer.error(at, Wrong::OpenValue)),
            (_, _) => Err(self.unexpected("an operator or the end")),
        }
    }

    fn unexpected(&self, expected: &'static str) -> CalcError {
        let (token, at) = self.next;
        let what = match token {
            Token::End | Token::Brace => Wrong::Ends,
            token => Wrong::Unexpected { found: token.shown().into(), expected },
        };
        self.lexer.error(at, what)
    }

    fn advance(&mut self) -> Result<Token<'t>, CalcError> {
        let token = self.next.0;
        self.next = self.lexer.next()?;
        Ok(token)
    }

    /// Takes a sign if it is the next token.
    fn takes(&mut self, sign: &str) -> Result<bool, CalcError> {
        let is = matches!(self.next.0, Token::Sign(next) if next == sign);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn expect(&mut self, sign: &str, expected: &'static str) -> Result<(), CalcError> {
        if self.takes(sign)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn node(&mut self, at: usize, what: What<'t>) -> Result<Node<'t>, CalcError> {
        self.nodes += 1;
        if self.nodes > CALC_OPS_MAX {
            return Err(self.lexer.error(at, Wrong::TooLarge));
        }
        Ok(Node { column: self.lexer.column(at), what })
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, CalcError>) -> Result<T, CalcError> {
        if self.depth >= CALC_DEPTH_MAX {
            return Err(self.lexer.error(self.next.1, Wrong::TooLarge));
        }
        self.depth += 1;
        let got = inner(self);
        self.depth -= 1;
        got
    }

    fn expression(&mut self) -> Result<Node<'t>, CalcError> {
        self.deeper(|parser| {
            let at = parser.next.1;
            let condition = parser.binary(0)?;
            if !parser.takes("?")? {
                return Ok(condition);
            }
            let yes = parser.expression()?;
            parser.expect(":", "`:`")?;
            let no = parser.expression()?;
            parser.node(at, What::Choose(Box::new([condition, yes, no])))
        })
    }

    fn binary(&mut self, level: usize) -> Result<Node<'t>, CalcError> {
        let Some(signs) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let (token, at) = self.next;
            let Token::Sign(sign) = token else { return Ok(left) };
            if !signs.contains(&sign) {
                return Ok(left);
            }
            self.advance()?;
            let both = Box::new([left, self.binary(level + 1)?]);
            left = self.node(at, operator(sign, both))?;
        }
    }

    fn unary(&mut self) -> Result<Node<'t>, CalcError> {
        let (token, at) = self.next;
        let op = match token {
            Token::Sign("-") => Unary::Minus,
            Token::Sign("~") => Unary::Not,
            Token::Sign("!") => Unary::Negate,
            // Like the other signs it is one of a number.
            Token::Sign("+") => {
                self.advance()?;
                let zero = self.node(at, What::Number(Num::Int(0)))?;
                let both = Box::new([zero, self.deeper(Self::unary)?]);
                return self.node(at, What::Binary(Binary::Add, both));
            }
            _ => return self.single(),
        };
        self.advance()?;
        if let (Token::Least(_), Unary::Minus) = (self.next.0, op) {
            self.advance()?;
            return self.node(at, What::Number(Num::Int(i64::MIN)));
        }
        let inner = self.deeper(Self::unary)?;
        self.node(at, What::Unary(op, Box::new(inner)))
    }

    fn single(&mut self) -> Result<Node<'t>, CalcError> {
        let (token, at) = self.next;
        match token {
            Token::Number(number) => {
                self.advance()?;
                self.node(at, What::Number(number))
            }
            Token::Text(text) => {
                self.advance()?;
                self.node(at, What::Text(text))
            }
            Token::Field(name) => {
                self.advance()?;
                self.node(at, What::Field(name))
            }
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.expression()?;
                self.expect(")", "`)`")?;
                Ok(inner)
            }
            Token::Name(name) => self.named(name, at),
            Token::Least(text) => Err(self.lexer.error(at, Wrong::Number(text.into()))),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Digits alone before a closing parenthesis, as a text.
    fn digits(&mut self) -> Result<Option<Node<'t>>, CalcError> {
        let (Token::Number(_), at) = self.next else { return Ok(None) };
        let Some(digits) = self.lexer.digits(at) else { return Ok(None) };
        if !matches!(self.lexer.clone().next()?.0, Token::Sign(")")) {
            return Ok(None);
        }
        self.advance()?;
        self.node(at, What::Text(digits)).map(Some)
    }

    /// A field, or a function's call.
    fn named(&mut self, name: &'t str, at: usize) -> Result<Node<'t>, CalcError> {
        let before = self.lexer.clone();
        self.advance()?;
        if !matches!(self.next.0, Token::Sign("(")) {
            return self.node(at, What::Field(name));
        }
        let called = Called::named(name).map_err(|what| self.lexer.error(at, what))?;
        let (mut first, mut key) = (None, None);
        if called.takes_name() == Name::None {
            self.advance()?;
        } else {
            // The parenthesis, and behind it the name as it is written.
            self.lexer = before;
            self.lexer.next()?;
            let (text, at) = self.lexer.name()?;
            first = (!text.is_empty()).then(|| (text, self.lexer.column(at)));
            self.next = self.lexer.next()?;
            if self.takes("[")? {
                key = Some(Box::new(self.expression()?));
                self.expect("]", "`]`")?;
            }
        }
        let mut given = Vec::new();
        let has_more = if first.is_some() { self.takes(",")? } else { !matches!(self.next.0, Token::Sign(")")) };
        if has_more {
            loop {
                // What a trigger gives, or a register has, is a text: digits alone mean the same as there.
                let is_text = matches!(called, Called::Arg | Called::Reg);
                let digits = if is_text { self.digits()? } else { None };
                given.push(match digits {
                    Some(digits) => digits,
                    None => self.expression()?,
                });
                if !self.takes(",")? {
                    break;
                }
            }
        }
        self.expect(")", "`,` or `)`")?;
        self.node(at, What::Call { called, name: first, key, given })
    }
}

fn operator<'t>(sign: &str, both: Box<[Node<'t>; 2]>) -> What<'t> {
    let binary = match sign {
        "||" => return What::Or(both),
        "&&" => return What::And(both),
        "==" => return What::Compare(Compare::Equal, both),
        "!=" => return What::Compare(Compare::Differs, both),
        "<" => return What::Compare(Compare::Less, both),
        "<=" => return What::Compare(Compare::AtMost, both),
        ">" => return What::Compare(Compare::Greater, both),
        ">=" => return What::Compare(Compare::AtLeast, both),
        "|" => Binary::Or,
        "^" => Binary::Xor,
        "&" => Binary::And,
        "<<" => Binary::Left,
        ">>" => Binary::Right,
        "+" => Binary::Add,
        "-" => Binary::Sub,
        "*" => Binary::Mul,
        "/" => Binary::Div,
        _ => Binary::Rem,
    };
    What::Binary(binary, both)
}
