//! The language of values: `#{field}#` and `${function(arguments)}$` in the middle of text (spec templates.md, Rules).

use super::calc::{self, CalcError, Called, Parsed};
use super::datetime::{self, FormatError};
use super::kept::Kept;
use crate::config::at::Json;
use crate::config::near;
use crate::config::steps::step;
use crate::model::field::{Offset, Slot};
use crate::model::reply::{Expr, Number, Part, TimeItem};
use crate::model::walk::{Walk, Walked};
use crate::wire::value::notation_bytes_max;
use crate::words::names;
use std::sync::Arc;
use thiserror::Error;

/// Why a value is wrong; what would be right is in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExprError {
    /// `#{` without its end.
    #[error("`#{{{0}` is not closed (would be `#{{field}}#`)")]
    OpenField(Box<str>),
    /// Several cases have a field of that name.
    #[error("the cases that have `{0}` give it different types (name the case, as in `body.01.value`)")]
    Cases(Box<str>),
    /// `#{}#`
    #[error("`#{{{0}}}#` names no field (would be `#{{field}}#`)")]
    NamelessField(Box<str>),
    /// `${` without its end.
    #[error("`${{{0}` is not closed (would be `${{name()}}$`)")]
    OpenCall(Box<str>),
    /// An argument in quotes has no second one.
    #[error("`{text}` has no closing {quote}")]
    OpenQuote {
        /// The argument and what follows.
        text: Box<str>,
        /// The quote.
        quote: char,
    },
    /// More than a comma follows an argument in quotes.
    #[error("`{text}` goes on behind its closing {quote} (a comma, or the end)")]
    BehindQuote {
        /// The argument and what follows.
        text: Box<str>,
        /// The quote.
        quote: char,
    },
    /// A value inside a name or an argument.
    #[error("`{text}` is {place}, where nothing is filled in (it has to be a constant)")]
    Nested {
        /// The name or argument.
        text: Box<str>,
        /// What it is.
        place: Box<str>,
    },
    /// The name of a register depends on the request.
    #[error("{0}; `name[#{{field}}#]` is an entry of a keyed register")]
    RegisterName(Box<Self>),
    /// A function has other arguments.
    #[error("{function}() takes {takes}, found `{found}`")]
    Arguments {
        /// Its name.
        function: Box<str>,
        /// What it takes.
        takes: Box<str>,
        /// What it was given.
        found: Box<str>,
    },
    /// `choice()`
    #[error("choice() needs at least one value (choice(a,b,c))")]
    NoChoice,
    /// `index()` where nothing is repeated.
    #[error("index() is the number of an item that `repeat` makes")]
    NoIndex,
    /// `reg()`
    #[error("reg() needs a register's name (reg(name))")]
    NamelessRegister,
    /// `${}$`
    #[error("`${{}}$` names no function (known: {})", lone_functions().join(", "))]
    NamelessFunction,
    /// No function has that name.
    #[error("unknown function `{name}`{near}")]
    UnknownFunction {
        /// The name.
        name: Box<str>,
        /// [`nearest`].
        near: String,
    },
    /// An expression.
    #[error(transparent)]
    Calc(#[from] CalcError),
    /// The format of `datetime()`.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No header or tail field has that name.
    #[error("no field `{name}` in the request{near}")]
    UnknownField {
        /// The name.
        name: Box<str>,
        /// [`nearest`].
        near: String,
    },
    /// No field of that name in the requests of a command.
    #[error("no field `{name}` in the request of {command}{near}")]
    UnknownFieldOf {
        /// The name.
        name: Box<str>,
        /// The command's key.
        command: Box<str>,
        /// [`nearest`].
        near: String,
    },
    /// A message refers to a request.
    #[error("`#{{{0}}}#` needs a request, and a message answers none (`reg`, `param`, `arg` have values for it)")]
    FieldInMessage(Box<str>),
    /// A request refers to a request.
    #[error("`#{{{0}}}#` needs a request, and this is one")]
    FieldInRequest(Box<str>),
    /// A request reads a register.
    #[error("register `{0}` belongs to a device and cannot be read here")]
    RegisterInRequest(Box<str>),
    /// A reply that belongs to no device reads a register.
    #[error("register `{0}` cannot be read here")]
    RegisterOfNoDevice(Box<str>),
}

/// What a value may refer to.
pub trait Scope {
    /// The request field of that name: data frame first, then header.
    /// `Ok(None)`: another entry of the same key has it, this one does not.
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError>;
    /// The number of the register of that name.
    fn register(&self, name: &str) -> Result<u32, ExprError>;
    /// Longest text of a register.
    fn register_bytes_max(&self, number: u32) -> usize;
    /// Hex digits of the FSU's id.
    fn id_digits(&self) -> usize;
    /// The request's element of that name, behind a field of variable size.
    fn walked(&self, _name: &str) -> Option<Walked> {
        None
    }
    /// The number of the item that is repeated.
    fn index(&self) -> Option<usize> {
        None
    }
    /// The request's part behind a field of variable size.
    fn walk(&self) -> Option<Arc<Walk>> {
        None
    }
    /// What else the device remembers.
    fn kept(&self) -> Option<&Kept> {
        None
    }
    /// Whether a register keeps nothing but hex digits.
    fn register_is_bytes(&self, _number: u32) -> bool {
        false
    }
    /// The number of an argument of the message's trigger; `None`: this is no message.
    fn arg(&self, _name: &str) -> Option<u16> {
        None
    }
    /// Whether a value may be drawn or counted here.
    fn may_draw(&self) -> bool {
        true
    }
}

/// Does this text need an [`Expr`]?
pub fn is_dynamic(text: &str) -> bool {
    text.contains("#{") || text.contains("${")
}

/// Whether a value is a text that needs an [`Expr`].
pub fn is_function(value: &Json) -> bool {
    matches!(value, Json::Str(text) if is_dynamic(text))
}

/// Parses a text.
pub fn parse(text: &str, scope: &dyn Scope) -> Result<Expr, ExprError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = opening(rest);
        let Some(at) = next else {
            parts.push(Part::Literal(rest.into()));
            break;
        };
        if at > 0 {
            parts.push(Part::Literal(rest[..at].into()));
        }
        let (open, tail) = rest[at..].split_at(2);
        if open == "#{" {
            let end = tail.find("}#").ok_or_else(|| ExprError::OpenField(tail.into()))?;
            if tail[..end].trim().is_empty() {
                return Err(ExprError::NamelessField(tail[..end].into()));
            }
            parts.extend(field(tail[..end].trim(), scope)?);
            rest = &tail[end + 2..];
        } else {
            let before = text.len() - tail.len();
            let (part, end) = braced(tail, || text.get(..before).map_or(0, |text| text.chars().count()), scope)?;
            parts.extend(part);
            rest = &tail[end..];
            // The closing `$` may be missing; one that opens the next function is not it.
            rest = rest.strip_prefix('$').filter(|_| !rest.starts_with("${")).unwrap_or(rest);
        }
    }
    let bytes_max = parts.iter().map(|part| part_bytes_max(part, scope)).sum();
    Ok(Expr { parts: parts.into(), bytes_max })
}

/// A field of the request; `None`: another entry of the same key has it.
fn field(name: &str, scope: &dyn Scope) -> Result<Option<Part>, ExprError> {
    if let Some(walked) = scope.walked(name) {
        same_type(name, &walked)?;
        return Ok(Some(Part::Walked(Box::new(walked))));
    }
    Ok(scope.field(name)?.map(|(at, slot)| Part::Field { at, slot }))
}

/// Cases that share a name share its type; only the size may differ.
pub fn same_type(name: &str, walked: &Walked) -> Result<(), ExprError> {
    let same = |other: &Walked| other.slot.kind == walked.slot.kind && other.slot.little == walked.slot.little;
    if walked.others.iter().all(same) { Ok(()) } else { Err(ExprError::Cases(name.into())) }
}

/// What follows `${`: one of the functions that stand alone, else an expression. Also where that ends.
fn braced(tail: &str, before: impl Fn() -> usize, scope: &dyn Scope) -> Result<(Option<Part>, usize), ExprError> {
    let alone = call(tail);
    let wrong = match &alone {
        Ok((called, end)) if called.is_alone() => match function(called, scope) {
            Ok(part) => return Ok((Some(part), *end)),
            Err(wrong) => Some(wrong),
        },
        _ => None,
    };
    match calc::braced(tail, before(), scope) {
        Ok((Parsed::Field(name), end)) => match field(&name, scope) {
            Ok(part) => Ok((part, end)),
            Err(error) => Err(wrong.unwrap_or(error)),
        },
        Ok((Parsed::Calc(calc), end)) => Ok((Some(Part::Calc(calc)), end)),
        Err(error) => match (wrong, alone) {
            // What was right before there were expressions is reported as before.
            (Some(wrong), Ok((called, _))) if called.is_plain() => Err(wrong),
            // Texts may have parentheses that are no pairs, names have none: `${reg(a) + round('b')}$` is two calls.
            (None, Ok((called, end))) if called.takes_texts() => {
                function(&called, scope).map(|part| (Some(part), end)).map_err(|_| error.into())
            }
            (None, Err(unclosed)) if !tail.contains('}') => Err(unclosed),
            _ => Err(error.into()),
        },
    }
}

/// Where the next value begins.
fn opening(text: &str) -> Option<usize> {
    let at =
        memchr::memchr_iter(b'{', text.as_bytes()).find(|&at| at > 0 && matches!(text.as_bytes()[at - 1], b'#' | b'$'));
    step(at.unwrap_or(text.len()));
    at.map(|at| at - 1)
}

/// What the parts of a value take in memory.
pub fn memory(expr: &Expr) -> usize {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.len(),
        Part::Choice(choices) => choices.iter().map(|choice| size_of_val(choice) + choice.len() + CHOICE_BYTES).sum(),
        Part::Datetime(items) => size_of_val(&**items),
        Part::Walked(walked) => size_of_val(&**walked),
        Part::Calc(calc) => calc::memory(calc),
        _ => 0,
    };
    expr.parts.iter().map(|one| size_of::<Part>() + part(one)).sum()
}

/// Overhead of an allocation.
const CHOICE_BYTES: usize = 16;

/// The functions that may be alone in a value.
fn lone_functions() -> Vec<&'static str> {
    Called::ALL.iter().filter(|called| called.is_alone()).map(|called| called.name()).collect()
}

/// A function's name and its arguments as written; empty without parentheses.
struct Call<'t> {
    name: &'t str,
    arguments: &'t str,
}

impl Call<'_> {
    /// Whether it is one call and nothing else: the parentheses of its arguments are pairs.
    fn is_alone(&self) -> bool {
        let (mut depth, mut quote) = (0_i32, None);
        for c in self.arguments.chars() {
            match (quote, c) {
                (Some(open), _) if open == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return false;
            }
        }
        let is_call = (!self.name.is_empty() || self.arguments.is_empty()) && !self.is_keyed();
        is_call && self.name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '{' | '#'))
    }

    /// `reg(name[key])` is an expression.
    fn is_keyed(&self) -> bool {
        self.name == Called::Reg.name() && self.arguments.contains('[')
    }

    /// Whether its arguments are texts.
    fn takes_texts(&self) -> bool {
        matches!(Called::from_name(self.name), Some(Called::Choice | Called::Datetime))
    }

    /// Whether its arguments are no expressions.
    fn is_plain(&self) -> bool {
        let is_new = Called::from_name(self.name).is_some_and(|called| !called.is_alone());
        let computes = self.name == Called::Rand.name() && self.arguments.contains("#{");
        let has_default = self.name == Called::Reg.name() && self.arguments.contains(',');
        // `#{a}# + 1` begins with a field.
        !is_new
            && !computes
            && !has_default
            && !self.name.starts_with("#{")
            && !self.name.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// Takes what follows `${` apart, up to the closing brace; also where that ends.
fn call(tail: &str) -> Result<(Call<'_>, usize), ExprError> {
    let unclosed = || ExprError::OpenCall(tail.into());
    let at = tail.find(['(', '}']).ok_or_else(unclosed)?;
    let name = tail[..at].trim();
    if tail[at..].starts_with('}') {
        return Ok((Call { name, arguments: "" }, at + 1));
    }
    let open = at + 1;
    let mut closing = tail[open..].match_indices(')').map(|(at, _)| open + at);
    let ends = |close: usize| {
        let rest = tail[close + 1..].trim_start();
        rest.starts_with('}').then(|| tail.len() - rest.len() + 1)
    };
    let (close, end) = closing.find_map(|close| ends(close).map(|end| (close, end))).ok_or_else(unclosed)?;
    Ok((Call { name, arguments: tail[open..close].trim() }, end))
}

/// The arguments, separated by commas; quotes keep blanks and commas.
fn arguments(text: &str) -> Result<Vec<&str>, ExprError> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let (argument, after) = quoted(rest)?.unwrap_or_else(|| {
            let (argument, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            (argument.trim_end(), after)
        });
        out.push(argument);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(out),
        }
    }
}

/// An argument in quotes, and what follows it; `None`: it is in none.
fn quoted(text: &str) -> Result<Option<(&str, &str)>, ExprError> {
    let Some(quote) = text.chars().next().filter(|&c| c == '"' || c == '\'') else { return Ok(None) };
    let end = text[1..].find(quote).ok_or_else(|| ExprError::OpenQuote { text: text.into(), quote })? + 1;
    let after = text[end + 1..].trim_start();
    if !after.is_empty() && !after.starts_with(',') {
        return Err(ExprError::BehindQuote { text: text.into(), quote });
    }
    Ok(Some((&text[1..end], after)))
}

/// Rejects a value inside a name or an argument, which would be taken literally.
pub fn no_value_in(text: &str, what: &str) -> Result<(), ExprError> {
    if is_dynamic(text) {
        return Err(ExprError::Nested { text: text.into(), place: what.into() });
    }
    Ok(())
}

/// Rejects a register whose name depends on the request.
pub fn register_name(name: &str) -> Result<(), ExprError> {
    no_value_in(name, "a register's name").map_err(|wrong| ExprError::RegisterName(Box::new(wrong)))
}

fn function(call: &Call<'_>, scope: &dyn Scope) -> Result<Part, ExprError> {
    let &Call { name, arguments: given } = call;
    no_value_in(name, "a function's name")?;
    if name == Called::Reg.name() {
        register_name(given)?;
    }
    no_value_in(given, &format!("inside {name}()"))?;
    let given = arguments(given)?;
    let one = match *given {
        [one] => Ok(one),
        _ => Err(()),
    };
    let takes = |takes: &str| {
        let (function, found) = (name.into(), call.arguments.into());
        ExprError::Arguments { function, takes: takes.into(), found }
    };
    let none = |part: Part| match one {
        Ok("") => Ok(part),
        _ => Err(takes("no argument")),
    };
    let number = |number, digits| Part::Number { number, digits };
    // The unit may be named again, in either case.
    let unit = |unit: &str, part: Part| match one {
        Ok(again) if again.is_empty() || again.eq_ignore_ascii_case(unit) => Ok(part),
        _ => Err(takes(&format!("nothing or {unit}"))),
    };
    match Called::from_name(name) {
        Some(Called::Year) => match one {
            Ok(yy) if yy.is_empty() || yy.eq_ignore_ascii_case("yy") => Ok(number(Number::Year2, 2)),
            Ok(yyyy) if yyyy.eq_ignore_ascii_case("yyyy") => Ok(number(Number::Year4, 4)),
            _ => Err(takes("yy or yyyy")),
        },
        Some(Called::Month) => unit("MM", number(Number::Month, 2)),
        Some(Called::Day) => unit("dd", number(Number::Day, 2)),
        Some(Called::Week) => match one {
            Ok("" | "1") => Ok(number(Number::Week1, 2)),
            Ok("0") => Ok(number(Number::Week0, 2)),
            _ => Err(takes("nothing (Monday 01 to Sunday 07) or 0 (Sunday 00)")),
        },
        Some(Called::Hour) => unit("HH", number(Number::Hour, 2)),
        Some(Called::Minute) => unit("mm", number(Number::Minute, 2)),
        Some(Called::Second) => unit("ss", number(Number::Second, 2)),
        // A format may have commas.
        Some(Called::Datetime) => Ok(Part::Datetime(datetime::format(one.unwrap_or(call.arguments))?)),
        Some(Called::PackedDate) => none(Part::Packed(Number::PackedDate)),
        Some(Called::PackedTime) => none(Part::Packed(Number::PackedTime)),
        Some(Called::FsuId) => none(Part::FsuId),
        Some(Called::Seq) => none(number(Number::Seq, 1)),
        Some(Called::Index) => {
            let index = scope.index().ok_or(ExprError::NoIndex)?;
            none(Part::Literal(index.to_string().into()))
        }
        Some(Called::Rand) => rand(&given).ok_or_else(|| takes("two whole numbers, the smaller first (rand(a,b))")),
        Some(Called::Choice) if call.arguments.is_empty() => Err(ExprError::NoChoice),
        Some(Called::Choice) => Ok(Part::Choice(given.iter().map(|&choice| choice.into()).collect())),
        Some(Called::Reg) => match one {
            Ok(register) if !register.is_empty() => Ok(Part::Register(scope.register(register)?)),
            _ => Err(ExprError::NamelessRegister),
        },
        _ if name.is_empty() => Err(ExprError::NamelessFunction),
        _ => Err(ExprError::UnknownFunction { name: name.into(), near: nearest(name, names::<Called>().into_iter()) }),
    }
}

fn rand(given: &[&str]) -> Option<Part> {
    let &[low, high] = given else { return None };
    let parse = |text: &str| crate::wire::value::parse_int(text.as_bytes()).ok().and_then(|n| i64::try_from(n).ok());
    let (low, high) = (parse(low)?, parse(high)?);
    (low <= high).then_some(Part::Number { number: Number::Rand(low, high), digits: 1 })
}

/// Smallest and largest value of a number; `seq` wraps, so it has no bound of its own.
pub fn number_range(number: Number) -> Option<(i64, i64)> {
    Some(match number {
        Number::Year2 => (0, 99),
        Number::Year4 => (1970, 9999),
        Number::Month => (1, 12),
        Number::Day => (1, 31),
        Number::Week1 => (1, 7),
        Number::Week0 => (0, 6),
        Number::Hour => (0, 23),
        Number::Minute | Number::Second => (0, 59),
        Number::PackedDate | Number::PackedTime => (0, 65_535),
        Number::Rand(low, high) => (low, high),
        Number::Seq => return None,
    })
}

fn decimal_digits(number: Number) -> usize {
    // A run of ten thousand million replies is longer than any test.
    number_range(number).map_or(10, |(low, high)| low.to_string().len().max(high.to_string().len()))
}

fn part_bytes_max(part: &Part, scope: &dyn Scope) -> usize {
    match part {
        Part::Literal(text) => text.len(),
        Part::Field { slot, .. } => notation_bytes_max(slot),
        Part::Walked(walked) => notation_bytes_max(&walked.slot),
        Part::Calc(calc) => calc.bytes_max,
        Part::Number { number, digits } => decimal_digits(*number).max(usize::from(*digits)),
        Part::Packed(_) => 4,
        Part::Hex(_) => 16,
        Part::Datetime(items) => items
            .iter()
            .map(|item| match item {
                TimeItem::Literal(text) => text.len(),
                TimeItem::Number(_, digits) => usize::from(*digits),
                TimeItem::Millis | TimeItem::DayOfYear => 3,
                TimeItem::Epoch(_) => 20,
            })
            .sum(),
        Part::FsuId => scope.id_digits(),
        Part::Choice(choices) => choices.iter().map(|choice| choice.len()).max().unwrap_or(0),
        Part::Register(number) => scope.register_bytes_max(*number),
    }
}

/// ` (did you mean …?)`, or nothing.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    if name.len() > near::NAME_BYTES_MAX {
        return String::new();
    }
    let name = name.to_lowercase();
    let most = |candidate: &str| 1 + candidate.len() / 3;
    let chars = name.chars().count();
    known
        .take(near::NAMES_MAX)
        .take_while(|_| near::may_look())
        // What differs more in length differs more.
        .filter(|candidate| candidate.chars().count().abs_diff(chars) <= most(candidate))
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= most(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}
