//! The text of an expression, as a tree.

use super::V;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Whole(i128),
    /// Digits alone, as they were written.
    Digits(String, i128),
    Part(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Number(V),
    Text(String),
    Field(String),
    Call(String, Vec<Vec<Token>>),
    One(&'static str, Box<Node>),
    Two(&'static str, Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
}

/// Operators by strength, the weakest first.
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

const SIGNS: [&str; 25] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">", "?",
    ":", "(", ")", ",",
];

pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut out, mut rest) = (vec![], text.trim_start());
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(digits) = rest.strip_prefix("0x") {
            let len = digits.find(|c: char| !c.is_alphanumeric()).unwrap_or(digits.len());
            out.push(Token::Whole(i128::from_str_radix(&digits[..len], 16).ok()?));
            2 + len
        } else if first.is_ascii_digit() {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap_or(rest.len());
            let written = &rest[..len];
            if !written.chars().all(|c| c.is_ascii_digit() || c == '.') || written.ends_with('.') {
                return None;
            }
            out.push(match written.contains('.') {
                true => Token::Part(written.parse().ok()?),
                false => Token::Digits(written.to_owned(), written.parse().ok()?),
            });
            len
        } else if first == '\'' || first == '"' {
            let len = rest[1..].find(first)?;
            out.push(Token::Text(rest[1..1 + len].to_owned()));
            len + 2
        } else if rest.starts_with("#{") {
            let len = rest.find("}#")?;
            out.push(Token::Name(rest[2..len].trim().to_owned()));
            len + 2
        } else if first.is_ascii_alphabetic() || first == '_' {
            let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
            out.push(Token::Name(rest[..len].to_owned()));
            len
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            out.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[taken..].trim_start();
    }
    Some(out)
}

/// `tokens` as a whole.
pub(super) fn parsed(tokens: &[Token]) -> Option<Node> {
    let mut at = 0;
    let node = choice(tokens, &mut at)?;
    (at == tokens.len()).then_some(node)
}

pub(super) fn takes(tokens: &[Token], at: &mut usize, sign: &str) -> bool {
    let is = matches!(tokens.get(*at), Some(Token::Sign(found)) if *found == sign);
    *at += usize::from(is);
    is
}

pub(super) fn choice(tokens: &[Token], at: &mut usize) -> Option<Node> {
    let condition = level(tokens, at, 0)?;
    if !takes(tokens, at, "?") {
        return Some(condition);
    }
    let yes = choice(tokens, at)?;
    let no = takes(tokens, at, ":").then(|| choice(tokens, at))??;
    Some(Node::If(condition.into(), yes.into(), no.into()))
}

pub(super) fn level(tokens: &[Token], at: &mut usize, strength: usize) -> Option<Node> {
    let Some(signs) = LEVELS.get(strength) else { return one(tokens, at) };
    let mut left = level(tokens, at, strength + 1)?;
    while let Some(sign) = signs.iter().find(|sign| takes(tokens, at, sign)) {
        left = Node::Two(sign, left.into(), level(tokens, at, strength + 1)?.into());
    }
    Some(left)
}

pub(super) fn one(tokens: &[Token], at: &mut usize) -> Option<Node> {
    if let Some(sign) = ["-", "+", "~", "!"].into_iter().find(|sign| takes(tokens, at, sign)) {
        return Some(Node::One(sign, one(tokens, at)?.into()));
    }
    if takes(tokens, at, "(") {
        let inner = choice(tokens, at)?;
        return takes(tokens, at, ")").then_some(inner);
    }
    let token = tokens.get(*at)?.clone();
    *at += 1;
    Some(match token {
        Token::Whole(number) | Token::Digits(_, number) => Node::Number(V::Whole(number)),
        Token::Part(number) => Node::Number(V::Part(number)),
        Token::Text(text) => Node::Text(text),
        Token::Name(name) if takes(tokens, at, "(") => Node::Call(name, arguments(tokens, at)?),
        Token::Name(name) => Node::Field(name),
        Token::Sign(_) => return None,
    })
}

/// Up to the closing parenthesis, taken apart at the commas.
pub(super) fn arguments(tokens: &[Token], at: &mut usize) -> Option<Vec<Vec<Token>>> {
    let (mut out, mut depth) = (vec![vec![]], 0);
    loop {
        let token = tokens.get(*at)?;
        *at += 1;
        match token {
            Token::Sign(")") if depth == 0 => break,
            Token::Sign(",") if depth == 0 => {
                out.push(vec![]);
                continue;
            }
            Token::Sign("(") => depth += 1,
            Token::Sign(")") => depth -= 1,
            _ => {}
        }
        out.last_mut().unwrap().push(token.clone());
    }
    Some(if out == [vec![]] { vec![] } else { out })
}
