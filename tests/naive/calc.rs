//! Expressions of whole numbers, slowly: the text is taken apart again for each value, and only texts and `i128` are used.

/// The value of an expression of numbers, `a`, `b` and operators; `None`: it has none.
pub fn value(text: &str, fields: &dyn Fn(&str) -> i128) -> Option<i128> {
    let text = text.trim();
    if let Some((at, _)) = last(text, &["?"], true) {
        let (yes, no) = parted(&text[at + 1..])?;
        let condition = value(&text[..at], fields)?;
        return value(if condition != 0 { yes } else { no }, fields);
    }
    let levels: [&[&str]; 10] = [
        &["||"],
        &["&&"],
        &["|"],
        &["^"],
        &["&"],
        &["==", "!="],
        &["<=", ">=", "<", ">"],
        &["<<", ">>"],
        &["+", "-"],
        &["*", "/", "%"],
    ];
    for signs in levels {
        if let Some((at, sign)) = last(text, signs, false) {
            let left = value(&text[..at], fields)?;
            match (sign, left != 0) {
                ("||", true) => return Some(1),
                ("&&", false) => return Some(0),
                _ => {}
            }
            return of(sign, left, value(&text[at + sign.len()..], fields)?);
        }
    }
    if let Some(rest) = text.strip_prefix('-') {
        return fits(-value(rest, fields)?);
    }
    if let Some(rest) = text.strip_prefix('~') {
        return Some(-value(rest, fields)? - 1);
    }
    if let Some(rest) = text.strip_prefix('!') {
        return Some(i128::from(value(rest, fields)? == 0));
    }
    if let Some(inner) = text.strip_prefix('(') {
        return value(inner.strip_suffix(')')?, fields);
    }
    Some(text.parse().unwrap_or_else(|_| fields(text)))
}

fn fits(number: i128) -> Option<i128> {
    i64::try_from(number).ok().map(i128::from)
}

fn of(sign: &str, a: i128, b: i128) -> Option<i128> {
    let is = |is: bool| Some(i128::from(is));
    match sign {
        "||" | "&&" => is(b != 0),
        "|" => Some(a | b),
        "^" => Some(a ^ b),
        "&" => Some(a & b),
        "==" => is(a == b),
        "!=" => is(a != b),
        "<" => is(a < b),
        "<=" => is(a <= b),
        ">" => is(a > b),
        ">=" => is(a >= b),
        "<<" if (0..64).contains(&b) => fits(a.checked_mul(1 << b)?),
        // The low bits go, also of negative numbers.
        ">>" if (0..64).contains(&b) => Some(a.div_euclid(1 << b)),
        "+" => fits(a + b),
        "-" => fits(a - b),
        "*" => fits(a * b),
        "/" if b != 0 => fits(a / b),
        // C has no rest where the division does not fit.
        "%" if b != 0 && fits(a / b).is_some() => Some(a % b),
        _ => None,
    }
}

/// The last of these operators (or the first) outside of parentheses, with something before it.
fn last<'s>(text: &str, signs: &[&'s str], first: bool) -> Option<(usize, &'s str)> {
    let (mut found, mut depth, mut is_operand, mut at) = (None, 0, false, 0);
    let all =
        ["||", "&&", "==", "!=", "<=", ">=", "<<", ">>", "|", "^", "&", "<", ">", "+", "-", "*", "/", "%", "?", ":"];
    while at < text.len() {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        match c {
            '(' => depth += 1,
            ')' => (depth, is_operand) = (depth - 1, true),
            ' ' => {}
            _ if c.is_alphanumeric() => is_operand = true,
            _ => {
                // Behind an operator, a sign is one of one operand.
                let sign = all.into_iter().find(|sign| rest.starts_with(sign)).filter(|_| is_operand);
                if let Some(sign) = sign {
                    let wanted = signs.iter().find(|wanted| **wanted == sign);
                    if let Some(wanted) = wanted.filter(|_| depth == 0 && !(first && found.is_some())) {
                        found = Some((at, *wanted));
                    }
                    is_operand = false;
                    at += sign.len() - 1;
                }
            }
        }
        at += c.len_utf8();
    }
    found
}

/// `yes : no`, where `yes` may have conditions of its own.
fn parted(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut open) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '?' if depth == 0 => open += 1,
            ':' if depth == 0 && open == 0 => return Some((&text[..at], &text[at + 1..])),
            ':' if depth == 0 => open -= 1,
            _ => {}
        }
    }
    None
}
