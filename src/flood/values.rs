//! The flood file (`--values`): which values requests carry, by command and field.
//!
//! ```json
//! { "108B": { "year": "${rand(20,26)}$", "month": "01" }, "109D": { "door_no": 3 } }
//! ```
//!
//! Values are written as in rules, with the functions of rules that need no request: `year()`, `month()`, `day()`, `week()`,
//! `hour()`, `minute()`, `second()`, `datetime(FORMAT)`, `packed_date()`, `packed_time()`, `fsuid()`, `seq()` (counts
//! this FSU's requests), `rand(a,b)` and `choice(a,b,c)`. A field that is not named keeps its `value`, else zero.

use crate::plan::compile::command::key_digits;
use crate::plan::compile::expr::{self, Scope, is_dynamic};
use crate::plan::rule::Expr;
use crate::plan::template::{Offset, Slot};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Longest flood file.
pub const VALUES_BYTES_MAX: u64 = 1 << 20;

/// The file: command key -> field name -> value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FloodValues(pub BTreeMap<String, BTreeMap<String, FieldValue>>);

/// A field's value.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldValue {
    /// In the notation of the field's type, with functions.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// Bits, the most significant first.
    Bits(Vec<u8>),
}

impl FieldValue {
    /// In the notation of the field's type.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bits(bits) => bits.iter().map(|bit| if *bit == 0 { '0' } else { '1' }).collect(),
        }
    }
}

/// What a value is.
#[derive(Debug)]
pub enum Value {
    /// The same in every request.
    Static(String),
    /// Made anew for each request.
    Dynamic(Expr),
}

/// A command's key as people write it, as the plan spells it.
pub fn key(text: &str) -> String {
    key_digits(text).concat()
}

impl FloodValues {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The values of a command, by field.
    pub fn of(&self, key_text: &str) -> Result<Vec<(&str, Value)>, String> {
        let mut out = Vec::new();
        for (_, fields) in self.0.iter().filter(|(name, _)| key(name) == key_text) {
            for (name, value) in fields {
                let text = value.text();
                let value = if is_dynamic(&text) {
                    let parsed = expr::parse(&text, &NoRequest);
                    Value::Dynamic(parsed.map_err(|wrong| format!("{key_text}.{name}: {wrong}"))?)
                } else {
                    Value::Static(text)
                };
                out.push((name.as_str(), value));
            }
        }
        Ok(out)
    }

    /// The keys of the file, as the plan spells them.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|name| key(name))
    }
}

/// A request refers to no request.
struct NoRequest;

impl Scope for NoRequest {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, String> {
        Err(format!("`#{{{name}}}#` needs a request, and this is one"))
    }

    fn register(&self, name: &str) -> Result<u32, String> {
        Err(format!("register `{name}` belongs to a device and cannot be read here"))
    }

    fn register_bytes_max(&self, _number: u32) -> usize {
        0
    }

    fn id_digits(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_command() {
        let file = r#"{"48_f0_E1": {"a": 3, "b": "${rand(1,2)}$", "c": [1, 0]}, "108B": {}}"#;
        let values = FloodValues::parse(file).unwrap();
        let of = values.of("48F0E1").unwrap();
        let shown: Vec<String> = of.iter().map(|(name, value)| format!("{name} {value:.6?}")).collect();
        assert_eq!(shown.len(), 3);
        assert!(matches!(&of[0], ("a", Value::Static(text)) if text == "3"));
        assert!(matches!(&of[1], ("b", Value::Dynamic(_))));
        assert!(matches!(&of[2], ("c", Value::Static(text)) if text == "10"));
        assert!(values.of("1081").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_is_told() {
        let check = |value: &str, expected: &str| {
            let values = FloodValues::parse(&format!("{{\"01\": {{\"a\": \"{value}\"}}}}")).unwrap();
            assert_eq!(values.of("01").map(|_| ()), Err(expected.to_owned()), "{value}");
        };
        check("#{b}#", "01.a: `#{b}#` needs a request, and this is one");
        check("${reg(b)}$", "01.a: register `b` belongs to a device and cannot be read here");
        check("${rand(2,1)}$", "01.a: rand() takes two whole numbers, the smaller first (rand(a,b)), found `2,1`");
    }
}
