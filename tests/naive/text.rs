//! Values with `#{field}#` and `${function()}$` in them (templates.md, Rules).

use super::clock::Clock;
use super::fields::{kind, little, text};
use serde_json::Value;
use std::collections::HashMap;

/// What functions read.
#[derive(Clone, Debug)]
pub struct World {
    /// The time the reply is due.
    pub now: Clock,
    /// The id's hex.
    pub fsuid: String,
    /// Replies so far.
    pub replies: u64,
    pub registers: HashMap<String, String>,
    /// Place of each `cycle`, by command and entry.
    pub cycles: HashMap<String, usize>,
    /// Which value `rand` and `choice` take, from 0; past the end it is counted over.
    pub pick: usize,
}

impl World {
    pub fn new(now: Clock, fsuid: &str) -> Self {
        let (registers, cycles) = (HashMap::new(), HashMap::new());
        Self { now, fsuid: fsuid.to_owned(), replies: 0, registers, cycles, pick: 0 }
    }
}

/// More than any generated `rand` or `choice` has values.
pub const PICKS_MAX: usize = 8;

/// `name(a,b)` taken apart; parentheses, blanks and quotes may be missing.
fn call(text: &str) -> (String, Vec<String>) {
    let (function, rest) = text.split_once('(').unwrap_or((text, ""));
    let inside = rest.trim().trim_end_matches(')');
    let plain = |a: &str| a.trim().trim_matches(['"', '\'']).to_owned();
    let arguments = inside.split(',').map(plain).filter(|a| !a.is_empty()).collect();
    (function.trim().to_owned(), arguments)
}

/// A format of `datetime` as strftime writes it.
fn directives(format: &str) -> String {
    if format.contains('%') {
        return format.to_owned();
    }
    let letters = [("yyyy", "%Y"), ("yy", "%y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")];
    let format = if format.is_empty() { "yyMMddHHmmss" } else { format };
    letters.iter().fold(format.to_owned(), |format, (letters, directive)| format.replace(letters, directive))
}

/// The text with everything in it replaced. `field` is where it goes; `None` for a register.
pub fn replaced(
    template: &str,
    field: Option<&Value>,
    world: &World,
    request: &dyn Fn(&str) -> Option<Value>,
) -> String {
    let mut out = String::new();
    let mut rest = template;
    loop {
        if let Some(after) = rest.strip_prefix("#{") {
            let (name, after) = after.split_once("}#").unwrap();
            out += &request(name).map_or(String::new(), |value| text(&value));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let (inside, after) = after.split_once('}').unwrap();
            let (function, arguments) = call(inside);
            out += &function_text(&function, &arguments, field, world);
            // The closing `$` may be missing; one that begins the next function is not it.
            rest = after.strip_prefix('$').filter(|_| !after.starts_with("${")).unwrap_or(after);
        } else if let Some(c) = rest.chars().next() {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            return out;
        }
    }
}

fn function_text(function: &str, arguments: &[String], field: Option<&Value>, world: &World) -> String {
    let now = world.now;
    let first = arguments.first().map(String::as_str);
    match function {
        "year" if first.is_some_and(|unit| unit.eq_ignore_ascii_case("yyyy")) => now.format("%Y"),
        "year" => now.format("%y"),
        "month" => now.format("%m"),
        "day" => now.format("%d"),
        "hour" => now.format("%H"),
        "minute" => now.format("%M"),
        "second" => now.format("%S"),
        "week" => match (now.weekday(), first) {
            (0, Some("0")) => "00".to_owned(),
            (0, _) => "07".to_owned(),
            (day, _) => format!("{day:02}"),
        },
        "datetime" => now.format(&directives(&arguments.join(","))),
        "packed_date" => packed(now.packed_date(), field),
        "packed_time" => packed(now.packed_time(), field),
        "fsuid" => world.fsuid.clone(),
        "seq" => (world.replies + 1).to_string(),
        "reg" => world.registers.get(first.unwrap()).cloned().unwrap_or_default(),
        "choice" => arguments[world.pick % arguments.len()].clone(),
        "rand" => {
            let (a, b): (i64, i64) = (arguments[0].parse().unwrap(), arguments[1].parse().unwrap());
            (a + (world.pick as i64) % (b - a + 1)).to_string()
        }
        other => panic!("function {other}"),
    }
}

/// In a hex field two bytes, low byte first on the wire; elsewhere the number.
fn packed(value: i64, field: Option<&Value>) -> String {
    match field {
        Some(field) if kind(field) == "hex" && little(field) => format!("{value:04X}"),
        Some(field) if kind(field) == "hex" => format!("{:02X}{:02X}", value & 0xFF, value >> 8),
        _ => value.to_string(),
    }
}
