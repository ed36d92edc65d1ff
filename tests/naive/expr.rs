//! Expressions (expressions.md), slowly: a text is parsed for each value, and a value is a number, a text or bytes.
//! What the document leaves open is [`No::Open`]: there is no judgement.

mod parse;

use super::checksum::checksum;
use super::fields::{Fill, encode, hex, unhex};
use parse::{Node, Token, parsed, tokens};
use serde_json::{Value, json};

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    Whole(i128),
    Part(f64),
    /// A text of a str field, in quotes, or made by a function.
    Text(String),
    /// The text of a register or a parameter: a number where one is needed.
    Any(String),
    Bytes(Vec<u8>),
    /// A time is a text without arithmetic, which has notations of its own.
    Time(String),
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum No {
    /// Counted while serving, an error at startup if it is known then.
    Value,
    /// An error at startup.
    Wrong,
    /// An empty text for a field, which is not counted.
    Empty,
    /// The document does not say, or the judge does not know the function.
    Open,
}

/// What an expression may ask for.
pub struct Asked<'a> {
    /// The request's fields, with their bytes.
    pub fields: &'a [(Value, Vec<u8>)],
    /// Registers: what they keep, and whether that is bytes.
    pub registers: &'a [(&'a str, V)],
    pub params: &'a [(&'a str, &'a str)],
    pub fsuid: &'a str,
}

/// The value of a text.
pub fn value(text: &str, asked: &Asked<'_>) -> Result<V, No> {
    let tokens = tokens(text).ok_or(No::Open)?;
    eval(&parsed(&tokens).ok_or(No::Open)?, asked)
}

/// Whether it is one field and nothing else, which is the same as a reference and no expression.
pub fn is_lone_field(text: &str) -> bool {
    tokens(text).and_then(|tokens| parsed(&tokens)).is_some_and(|node| matches!(node, Node::Field(_)))
}

/// Whether it is one call of a function and nothing else, which is no expression if the function is an old one.
pub fn is_lone_call(text: &str) -> bool {
    tokens(text).and_then(|tokens| parsed(&tokens)).is_some_and(|node| matches!(node, Node::Call(..)))
}

fn eval(node: &Node, asked: &Asked<'_>) -> Result<V, No> {
    match node {
        Node::Number(V::Whole(number)) => whole(*number),
        Node::Number(number) => Ok(number.clone()),
        Node::Text(text) => Ok(V::Text(text.clone())),
        Node::Field(name) => field(name, asked),
        Node::Call(name, given) => call(name, given, asked),
        Node::If(condition, yes, no) => {
            let is = is_true(&number(eval(condition, asked)?)?);
            // The other side may be a number.
            Ok(match eval(if is { yes } else { no }, asked)? {
                V::Text(text) => V::Any(text),
                other => other,
            })
        }
        Node::One(sign, of) => {
            let of = number(eval(of, asked)?)?;
            match (*sign, &of) {
                ("+", _) => Ok(of),
                ("-", V::Whole(number)) => whole(-number),
                ("-", V::Part(number)) => Ok(V::Part(-number)),
                ("!", _) => Ok(truth(!is_true(&of))),
                _ => Ok(V::Whole(-int(&of)? - 1)),
            }
        }
        Node::Two("&&", left, right) => match is_true(&number(eval(left, asked)?)?) {
            false => Ok(truth(false)),
            true => Ok(truth(is_true(&number(eval(right, asked)?)?))),
        },
        Node::Two("||", left, right) => match is_true(&number(eval(left, asked)?)?) {
            true => Ok(truth(true)),
            false => Ok(truth(is_true(&number(eval(right, asked)?)?))),
        },
        Node::Two(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">="), left, right) => compare(sign, left, right, asked),
        Node::Two(sign, left, right) => {
            let (left, right) = (eval(left, asked)?, eval(right, asked)?);
            arithmetic(sign, number(left)?, number(right)?)
        }
    }
}

fn truth(is: bool) -> V {
    V::Whole(i128::from(is))
}

fn whole(number: i128) -> Result<V, No> {
    i64::try_from(number).map(|_| V::Whole(number)).map_err(|_| No::Value)
}

fn part(number: f64) -> Result<V, No> {
    if number.is_finite() { Ok(V::Part(number)) } else { Err(No::Value) }
}

fn is_true(number: &V) -> bool {
    !matches!(number, V::Whole(0)) && *number != V::Part(0.0)
}

/// A value where a number is needed.
fn number(value: V) -> Result<V, No> {
    match value {
        V::Whole(_) | V::Part(_) => Ok(value),
        V::Text(_) | V::Time(_) => Err(No::Wrong),
        V::Any(text) if text.is_empty() => Ok(V::Whole(0)),
        V::Any(text) => parse(&text).ok_or(No::Value),
        V::Bytes(bytes) => big(&bytes).ok_or(No::Value),
    }
}

/// Bytes as a number, the high one first.
fn big(bytes: &[u8]) -> Option<V> {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    (digits.len() <= 8)
        .then(|| digits.iter().fold(0_i128, |number, byte| number * 256 + i128::from(*byte)))
        .filter(|number| i64::try_from(*number).is_ok())
        .map(V::Whole)
}

/// The number that a text is, in decimal or 0x.
fn parse(text: &str) -> Option<V> {
    let digits = text.trim().trim_start_matches(['-', '+']);
    if let Some(digits) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        return i64::from_str_radix(digits, 16).ok().map(|number| V::Whole(i128::from(number)));
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.trim().parse::<i64>() {
        return Some(V::Whole(i128::from(number)));
    }
    if digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(V::Part)
}

fn float(number: &V) -> f64 {
    match number {
        V::Whole(number) => *number as f64,
        V::Part(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// A whole number, or a decimal one without a fraction.
fn int(number: &V) -> Result<i128, No> {
    match number {
        V::Whole(number) => Ok(*number),
        V::Part(number) if number.fract() == 0.0 => whole(*number as i128).map(|_| *number as i128),
        _ => Err(No::Value),
    }
}

fn arithmetic(sign: &str, a: V, b: V) -> Result<V, No> {
    if let "&" | "|" | "^" | "<<" | ">>" = sign {
        let (a, b) = (int(&a)?, int(&b)?);
        return match sign {
            "&" => whole(a & b),
            "|" => whole(a | b),
            "^" => whole(a ^ b),
            "<<" if (0..64).contains(&b) => whole(a << b.min(62) << (b - b.min(62))),
            ">>" if (0..64).contains(&b) => whole(a.div_euclid(1 << b)),
            _ => Err(No::Value),
        };
    }
    if let (V::Whole(a), V::Whole(b)) = (&a, &b) {
        return match sign {
            "+" => whole(a + b),
            "-" => whole(a - b),
            "*" => whole(a * b),
            _ if *b == 0 => Err(No::Value),
            "/" => whole(a / b),
            // As in C there is no rest where the division has no value.
            _ => whole(a / b).and_then(|_| whole(a % b)),
        };
    }
    let (a, b) = (float(&a), float(&b));
    match sign {
        "+" => part(a + b),
        "-" => part(a - b),
        "*" => part(a * b),
        _ if b == 0.0 => Err(No::Value),
        "/" => part(a / b),
        _ => part(a % b),
    }
}

fn holds(sign: &str, order: std::cmp::Ordering) -> V {
    truth(match sign {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn compare(sign: &str, left: &Node, right: &Node, asked: &Asked<'_>) -> Result<V, No> {
    let is_equality = ["==", "!="].contains(&sign);
    for (one, other) in [(left, right), (right, left)] {
        if let (Node::Field(name), Node::Text(text), true) = (one, other, is_equality) {
            return field_is(name, text, asked).map(|is| truth(is == (sign == "==")));
        }
    }
    let (a, b) = (eval(left, asked)?, eval(right, asked)?);
    let is_number = |value: &V| matches!(value, V::Whole(_) | V::Part(_));
    let order = match (&a, &b) {
        (V::Time(_), _) | (_, V::Time(_)) => return Err(No::Open),
        (V::Bytes(a), V::Bytes(b)) => order_of_bytes(a, b),
        (V::Bytes(bytes), V::Text(text) | V::Any(text)) | (V::Text(text) | V::Any(text), V::Bytes(bytes)) => {
            let digits = unhex(text).filter(|_| text.len() % 2 == 0 && !text.is_empty()).ok_or(No::Open)?;
            let order = order_of_bytes(bytes, &digits);
            if matches!(a, V::Bytes(_)) { order } else { order.reverse() }
        }
        (V::Text(x) | V::Any(x), V::Text(y) | V::Any(y)) => match (parse(x), parse(y)) {
            (Some(x), Some(y)) if !is_equality => order_of_numbers(&x, &y),
            _ => x.cmp(y),
        },
        _ if is_number(&a) || is_number(&b) => {
            let as_number = |value: &V| match value {
                V::Text(text) | V::Any(text) if text.is_empty() => Err(No::Open),
                V::Text(text) | V::Any(text) => Ok(parse(text)),
                V::Bytes(bytes) => big(bytes).map(Some).ok_or(No::Open),
                other => Ok(Some(other.clone())),
            };
            match (as_number(&a)?, as_number(&b)?) {
                (Some(a), Some(b)) => order_of_numbers(&a, &b),
                // A text that is no number differs.
                _ if is_equality => return Ok(truth(sign == "!=")),
                _ => return Err(No::Open),
            }
        }
        _ => return Err(No::Open),
    };
    Ok(holds(sign, order))
}

fn order_of_numbers(a: &V, b: &V) -> std::cmp::Ordering {
    match (a, b) {
        (V::Whole(a), V::Whole(b)) => a.cmp(b),
        _ => float(a).partial_cmp(&float(b)).unwrap(),
    }
}

fn order_of_bytes(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let size = a.len().max(b.len());
    let wide = |bytes: &[u8]| [vec![0; size - bytes.len()], bytes.to_vec()].concat();
    wide(a).cmp(&wide(b))
}

fn found<'a>(name: &str, asked: &'a Asked<'_>) -> Result<&'a (Value, Vec<u8>), No> {
    asked.fields.iter().find(|(field, _)| field["name"] == name).ok_or(No::Open)
}

/// A field beside a text in quotes: its bytes beside what the text is in its notation.
fn field_is(name: &str, text: &str, asked: &Asked<'_>) -> Result<bool, No> {
    let (spec, bytes) = found(name, asked)?;
    if ["str", "ascii"].contains(&spec["type"].as_str().unwrap()) {
        // Longer than the field is a text that it cannot have.
        return encode(spec, &json!(text), Fill::NONE).map(|written| written == *bytes).ok_or(No::Wrong);
    }
    if spec.get("scale").is_some() || ["bit", "epoch", "f32", "f64"].contains(&spec["type"].as_str().unwrap()) {
        return Err(No::Open);
    }
    // A 0x is of hex digits and of binary numbers; the document does not say what it is in decimal digits.
    if text.starts_with("0x") && ["sbcd", "dec", "bcd"].contains(&spec["type"].as_str().unwrap()) {
        return Err(No::Open);
    }
    let names = spec["enum"].as_object();
    let named = names.and_then(|names| names.iter().find(|(_, name)| *name == text)).map(|(key, _)| key.as_str());
    let written = encode(spec, &json!(named.unwrap_or(text)), Fill::NONE).ok_or(No::Wrong)?;
    Ok(super::fields::same(spec, &written, bytes))
}

/// The value of a field; named bits have a point.
fn field(name: &str, asked: &Asked<'_>) -> Result<V, No> {
    if let Some((field, bits)) = name.split_once('.') {
        let (spec, bytes) = found(field, asked)?;
        let span = spec["bits"].get(bits).ok_or(No::Open)?;
        let (from, to) = (span[0].as_u64().unwrap(), span[1].as_u64().unwrap());
        let bit = |at: u64| i128::from(bytes[at as usize / 8] >> (7 - at % 8) & 1);
        return Ok(V::Whole((from..=to).fold(0, |number, at| number * 2 + bit(at))));
    }
    let (spec, bytes) = found(name, asked)?;
    of_field(spec, bytes)
}

fn ordered(spec: &Value, bytes: &[u8]) -> Vec<u8> {
    super::fields::order(spec, bytes.to_vec())
}

/// The notation of a field, which is its value where a text is wanted.
fn notation(spec: &Value, bytes: &[u8]) -> Result<String, No> {
    let high_first = ordered(spec, bytes);
    let characters = || String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.is_empty());
    match spec["type"].as_str().unwrap() {
        "hex" | "bcd" => Ok(hex(&high_first)),
        "dec" => characters().filter(|text| text.chars().all(|c| c.is_ascii_digit())).ok_or(No::Open),
        "hexdigits" => {
            let text = characters().filter(|text| text.chars().all(|c| c.is_ascii_hexdigit())).ok_or(No::Open)?;
            Ok(text.to_uppercase())
        }
        "bit" => Err(No::Open),
        // Of any size: only its value in an expression has 64 bits.
        "uint" if spec.get("scale").is_none() => Ok(super::fields::unsigned(&high_first).to_string()),
        _ => text_of(&of_field(spec, bytes)?),
    }
}

fn of_field(spec: &Value, bytes: &[u8]) -> Result<V, No> {
    let high_first = ordered(spec, bytes);
    let unsigned = high_first.iter().fold(0_i128, |number, byte| number * 256 + i128::from(*byte));
    let of_digits = |digits: &str, radix: u32| i128::from_str_radix(digits, radix).ok().ok_or(No::Value);
    let raw = match spec["type"].as_str().unwrap() {
        "hex" => return Ok(V::Bytes(high_first)),
        "uint" | "length" | "bit" => unsigned,
        "int" => {
            let limit = 1_i128 << (8 * bytes.len());
            if unsigned >= limit / 2 { unsigned - limit } else { unsigned }
        }
        "bcd" => of_digits(&hex(&high_first), 10)?,
        "dec" | "hexdigits" => {
            let radix = if spec["type"] == "dec" { 10 } else { 16 };
            let text = String::from_utf8(bytes.to_vec()).map_err(|_| No::Value)?;
            if !text.chars().all(|c| c.is_digit(radix)) {
                return Err(No::Value);
            }
            of_digits(&text, radix)?
        }
        "sbcd" => {
            let mut digits = high_first.clone();
            digits[0] &= 0x7F;
            let number = of_digits(&hex(&digits), 10)?;
            if high_first[0] & 0x80 == 0 { number } else { -number }
        }
        "f32" => return part(f64::from(f32::from_be_bytes(high_first.try_into().unwrap()))),
        "f64" => return part(f64::from_be_bytes(high_first.try_into().unwrap())),
        "str" => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            return Ok(V::Text(String::from_utf8_lossy(&bytes[..end]).into_owned()));
        }
        "epoch" => {
            let clock = super::clock::Clock::from_seconds(unsigned as i64);
            let time = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                clock.year, clock.month, clock.day, clock.hour, clock.minute, clock.second
            );
            return Ok(V::Time(time));
        }
        other => panic!("no values for type {other}"),
    };
    let (scale, offset) = (spec["scale"].as_f64(), spec["offset"].as_f64());
    if scale.is_none() && offset.is_none() {
        return whole(raw);
    }
    // A scale with a fraction gives decimal numbers, whatever their value.
    let is_whole = [scale, offset].into_iter().flatten().all(|number| number.fract() == 0.0);
    let value = raw as f64 * scale.unwrap_or(1.0) + offset.unwrap_or(0.0);
    Ok(if is_whole { V::Whole(value as i128) } else { V::Part(value) })
}

/// A value as a text.
pub fn text_of(value: &V) -> Result<String, No> {
    Ok(match value {
        V::Whole(number) => number.to_string(),
        // Digits beyond what the number means are no question of the document.
        V::Part(number) if number.abs() >= 1e15 || (number.fract() != 0.0 && number.abs() < 1e-9) => {
            return Err(No::Open);
        }
        V::Part(number) => number.to_string(),
        V::Text(text) | V::Any(text) | V::Time(text) => text.clone(),
        V::Bytes(bytes) => hex(bytes),
    })
}

/// An argument where a text is wanted: a field in its notation, also one that a condition chooses.
fn text(given: &[Token], asked: &Asked<'_>) -> Result<String, No> {
    text_of_node(&parsed(given).ok_or(No::Open)?, asked)
}

fn text_of_node(node: &Node, asked: &Asked<'_>) -> Result<String, No> {
    match node {
        Node::Field(name) if !name.contains('.') => {
            let (spec, bytes) = found(name, asked)?;
            notation(spec, bytes)
        }
        Node::If(condition, yes, no) => {
            let is = is_true(&number(eval(condition, asked)?)?);
            text_of_node(if is { yes } else { no }, asked)
        }
        node => text_of(&eval(node, asked)?),
    }
}

fn call(name: &str, given: &[Vec<Token>], asked: &Asked<'_>) -> Result<V, No> {
    let any = |at: usize| eval(&parsed(&given[at]).ok_or(No::Open)?, asked);
    let numeric = |at: usize| number(any(at)?);
    let word = |at: usize| match given.get(at).map(Vec::as_slice) {
        Some([Token::Name(name)]) => Ok(name.as_str()),
        _ => Err(No::Open),
    };
    // How many: 0 to 64 here, more is not asked.
    let few = |at: usize| {
        int(&numeric(at)?).and_then(|many| usize::try_from(many).ok().filter(|many| *many <= 64).ok_or(No::Open))
    };
    match (name, given.len()) {
        ("min" | "max", 2..) => {
            let mut best = numeric(0)?;
            for at in 1..given.len() {
                let other = numeric(at)?;
                let order = order_of_numbers(&other, &best);
                if if name == "min" { order.is_lt() } else { order.is_gt() } {
                    best = other;
                }
            }
            Ok(best)
        }
        ("abs", 1) => match numeric(0)? {
            V::Whole(number) => whole(number.abs()),
            other => Ok(V::Part(float(&other).abs())),
        },
        ("round", 1) => match numeric(0)? {
            V::Whole(number) => Ok(V::Whole(number)),
            other => whole(float(&other).round() as i128),
        },
        ("hex", 1 | 2) => {
            let number = int(&numeric(0)?)?;
            let width = if given.len() == 2 { few(1)? } else { 0 };
            if number < 0 { Err(No::Open) } else { Ok(V::Text(format!("{number:0>width$X}"))) }
        }
        ("dec", 1) => text_of(&numeric(0)?).map(V::Text),
        ("dec", 2) => {
            let number = int(&numeric(0)?)?;
            let width = few(1)?;
            if number < 0 { Err(No::Open) } else { Ok(V::Text(format!("{number:0>width$}"))) }
        }
        ("int", 1 | 2) => {
            let written = text(&given[0], asked)?;
            let base = if given.len() == 2 { few(1)? } else { 10 };
            let digits = written.strip_prefix('-').unwrap_or(&written);
            if written.trim() != written || digits.contains(['+', '.', 'x', 'X']) || !(2..=36).contains(&base) {
                return Err(No::Open);
            }
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base as u32)) {
                return Err(No::Value);
            }
            whole(i128::from_str_radix(&written, base as u32).map_err(|_| No::Value)?)
        }
        ("len", 1) => match any(0)? {
            V::Text(text) | V::Any(text) | V::Time(text) => Ok(V::Whole(text.chars().count() as i128)),
            V::Bytes(bytes) => Ok(V::Whole(bytes.len() as i128)),
            _ => Err(No::Open),
        },
        ("substr", 2 | 3) => {
            let (text, from) = (text(&given[0], asked)?, few(1)?);
            let count = if given.len() == 3 { few(2)? } else { usize::MAX };
            Ok(V::Text(text.chars().skip(from).take(count).collect()))
        }
        ("cat", 1..) => {
            let all = given.iter().map(|one| text(one, asked)).collect::<Result<Vec<_>, _>>()?;
            Ok(V::Text(all.concat()))
        }
        ("be" | "le", 2) => {
            let (number, size) = (int(&numeric(0)?)?, few(1)?);
            if !(1..=4_096).contains(&size) {
                return Err(No::Open);
            }
            let limit = 1_i128 << (8 * size.min(8));
            if number >= limit || number < -(limit / 2) {
                return Err(No::Open);
            }
            let mut bytes = vec![if number < 0 { 0xFF } else { 0 }; size.saturating_sub(8)];
            bytes.extend(&(number as u64).to_be_bytes()[8 - size.min(8)..]);
            if name == "le" {
                bytes.reverse();
            }
            Ok(V::Bytes(bytes))
        }
        ("reg", 1 | 2) => {
            let register = word(0)?;
            let kept = asked.registers.iter().find(|(name, _)| *name == register).ok_or(No::Open)?.1.clone();
            let is_empty = matches!(&kept, V::Any(text) if text.is_empty());
            match given.get(1).map(|default| &**default) {
                // What a register has is a text: so are digits alone.
                Some([Token::Digits(written, _)]) if is_empty => Ok(V::Any(written.clone())),
                Some(_) if is_empty => any(1),
                _ => Ok(kept),
            }
        }
        ("param", 1) => {
            let param = word(0)?;
            asked.params.iter().find(|(name, _)| *name == param).map(|(_, text)| V::Any((*text).into())).ok_or(No::Open)
        }
        ("fsuid", 0) => Ok(V::Text(asked.fsuid.into())),
        ("crc", 2) => {
            let bytes = match any(1)? {
                V::Bytes(bytes) => bytes,
                V::Text(text) => text.into_bytes(),
                _ => return Err(No::Open),
            };
            // CRC-16/MODBUS, spelled in names and signs.
            let modbus = [
                Token::Name("CRC".into()),
                Token::Sign("-"),
                Token::Digits("16".into(), 16),
                Token::Sign("/"),
                Token::Name("MODBUS".into()),
            ];
            if given[0] != modbus {
                return Err(No::Open);
            }
            Ok(V::Whole(i128::from(checksum("crc16", "none", &bytes, 2))))
        }
        _ => Err(No::Open),
    }
}

/// What a field of the reply gets from a value. `Err(No::Value)`: the field keeps what the template gives it.
pub fn in_field(spec: &Value, value: &V) -> Result<Vec<u8>, No> {
    let size = spec["length"].as_u64().map_or(1 << 20, |size| size as usize);
    let rounded = |value: &V| match number(value.clone()) {
        // A text is a number here, too.
        Err(No::Wrong) => match parse(&text_of(value)?).ok_or(No::Open)? {
            V::Whole(number) => Ok(number),
            _ => Err(No::Open),
        },
        Ok(V::Part(number)) => whole(number.round() as i128).map(|_| number.round() as i128),
        Ok(number) => int(&number),
        Err(no) => Err(no),
    };
    let written = |value: Value| encode(spec, &value, Fill::NONE).ok_or(No::Value);
    match (spec["type"].as_str().unwrap(), value) {
        (_, V::Time(_)) => Err(No::Open),
        // Nothing, as of a register that was never set: the field keeps its own.
        (_, V::Text(text) | V::Any(text)) if text.is_empty() => Err(No::Empty),
        (_, V::Bytes(bytes)) if bytes.is_empty() => Err(No::Empty),
        ("str", V::Bytes(bytes)) if spec["length"] == "rest" => Ok(bytes.clone()),
        ("str", value) if spec["length"] == "rest" => Ok(text_of(value)?.into_bytes()),
        ("hex", V::Bytes(bytes)) => written(json!(hex(bytes))),
        ("hex", V::Text(text) | V::Any(text)) => match unhex(text).filter(|_| text.len() % 2 == 0) {
            Some(_) if !text.is_empty() => written(json!(text)),
            _ => Err(No::Open),
        },
        ("hex", value) => {
            let number = rounded(value)?;
            if number < 0 { Err(No::Value) } else { written(json!(format!("{number:0>width$X}", width = 2 * size))) }
        }
        ("int" | "uint" | "sbcd" | "dec" | "bcd", value) => {
            let number = rounded(value)?;
            // A number and digits are the same here; what has a sign or blanks is not asked.
            if matches!(value, V::Text(text) | V::Any(text) if text.len() > 18 || !text.chars().all(|c| c.is_ascii_digit()))
            {
                return Err(No::Open);
            }
            if spec["type"] == "int" && number >= 1 << (8 * size - 1) {
                return Err(No::Open);
            }
            match value {
                V::Text(text) | V::Any(text) if spec["type"] == "bcd" => written(json!(text)),
                _ => written(json!(number.to_string())),
            }
        }
        ("hexdigits", V::Text(_) | V::Any(_)) => Err(No::Open),
        ("hexdigits", value) => {
            let number = rounded(value)?;
            if number < 0 { Err(No::Value) } else { written(json!(format!("{number:X}"))) }
        }
        ("f64", V::Text(_) | V::Any(_)) => Err(No::Open),
        ("f64", value) => Ok(float(&number(value.clone())?).to_be_bytes().to_vec()),
        ("bit", V::Text(_) | V::Any(_)) => Err(No::Open),
        ("bit", value) => {
            let number = rounded(value)?;
            let fits = number >= 0 && number < 1 << (8 * size);
            if fits { Ok(vec![number as u8]) } else { Err(No::Value) }
        }
        (other, _) => panic!("no values for type {other}"),
    }
}
