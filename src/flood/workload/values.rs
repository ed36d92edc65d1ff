//! The flood file (`--values`): which values requests carry, by command and field.
//!
//! ```json
//! { "108B": { "year": "${rand(20,26)}$", "month": "01" }, "109D": { "door_no": 3 } }
//! ```
//!
//! Values are written as in rules, with the functions of rules that need no request: `year()`, `month()`, `day()`, `week()`,
//! `hour()`, `minute()`, `second()`, `datetime(FORMAT)`, `packed_date()`, `packed_time()`, `fsuid()`, `seq()` (counts
//! this FSU's requests), `rand(a,b)` and `choice(a,b,c)`. A field that is not named keeps its `value`, else zero. Where
//! several devices or entries have a command, each takes the fields that it has.

use fsu_core::client::request::field;
use fsu_core::client::varying::walk_of;
use fsu_plan::compile::command::key_digits;
use fsu_plan::compile::expr::{self, is_dynamic, nearest};
use fsu_plan::compile::field::{encode, split_name, text};
use fsu_plan::compile::sample::NoRequest;
use fsu_plan::config::at::{At, Json, Map};
use fsu_plan::config::diag::Diags;
use fsu_plan::config::load::load_text;
use fsu_plan::model::field::{Field, Slot};
use fsu_plan::model::reply::Expr;
use fsu_plan::model::template::{Command, Template};
use fsu_plan::model::walk::What;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Longest flood file.
pub const VALUES_BYTES_MAX: u64 = 1 << 20;

/// The file: command key -> field name -> value.
#[derive(Debug, JsonSchema)]
#[schemars(transparent)]
pub struct ValuesFile(pub BTreeMap<String, BTreeMap<String, FieldValue>>);

/// A field's value.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum FieldValue {
    /// In the notation of the field's type, with functions.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// Bits, the most significant first.
    Bits(Vec<u8>),
}

/// [`ValuesFile`] with the place of each value.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct RawValues(Map<At<Map<At<Json>>>>);

/// What a value is.
#[derive(Debug)]
pub enum Value {
    /// The same in every request.
    Static(String),
    /// Generated for each request.
    Dynamic(Expr),
}

/// A value of the file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}.{field}: {why}")]
pub struct ValueError {
    /// The command's key.
    pub key: String,
    /// The field.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

/// A command's key as people write it, as the plan spells it.
///
/// `layout/KEY` keeps its layout.
pub fn key(text: &str) -> String {
    match text.split_once('/') {
        Some((layout, key)) => format!("{}/{}", layout.trim(), self::key(key)),
        None => key_digits(text).concat(),
    }
}

/// A field's name and its value as text.
type Assigned = (String, String);

/// What requests carry: by command, as the plan spells its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FloodValues(Vec<(String, Vec<Assigned>)>);

impl FloodValues {
    /// Reads the file's text for FSUs with these templates; `shown` is its name in messages. All errors are reported.
    pub fn read(diags: &mut Diags, shown: &str, file: String, templates: &[&Template]) -> Self {
        let raw = load_text::<RawValues>(diags, shown, file).map(|raw| raw.value).unwrap_or_default();
        let mut out: Vec<(String, Vec<Assigned>)> = Vec::new();
        for (name, fields) in &raw.0.0 {
            let key = key(&name.value);
            if out.iter().any(|(there, _)| *there == key) {
                diags.error(name.pos, format!("a second entry for {key}"));
                continue;
            }
            let all =
                || templates.iter().flat_map(|template| template.commands.iter().map(move |one| (*template, one)));
            let asked: Vec<_> = all().filter(|(_, command)| *command.key_text == *key).collect();
            if asked.is_empty() {
                let near = nearest(&key, all().map(|(_, command)| &*command.key_text));
                diags.error(name.pos, format!("no FSU that is asked has a command `{}`{near}", name.value));
            }
            let fields = fields.0.iter().filter(|_| !asked.is_empty());
            let assigned = fields.filter_map(|(name, value)| assigned(diags, &asked, name, value)).collect();
            out.push((key, assigned));
        }
        Self(out)
    }

    /// The values of a command, by field.
    ///
    /// # Errors
    /// A value whose functions cannot be read.
    pub fn of(&self, key_text: &str) -> Result<Vec<(&str, Value)>, ValueError> {
        let fields = self.0.iter().filter(|(key, _)| key == key_text).flat_map(|(_, fields)| fields);
        let value = |(name, text): &'_ Assigned| {
            if !is_dynamic(text) {
                return Ok(Value::Static(text.clone()));
            }
            let value = expr::parse(text, &NoRequest).map(Value::Dynamic);
            value.map_err(|wrong| ValueError { key: key_text.to_owned(), field: name.clone(), why: wrong.to_string() })
        };
        fields.map(|field| Ok((field.0.as_str(), value(field)?))).collect()
    }
}

/// One value for these commands, all of one key; `None` after a reported error.
fn assigned(
    diags: &mut Diags,
    commands: &[(&Template, &Command)],
    name: &At<String>,
    value: &At<Json>,
) -> Option<Assigned> {
    let (_, plain) = split_name(&name.value);
    if commands.iter().any(|(_, command)| walk_of(command, &name.value).is_some()) {
        // Whether it fits shows when the request is made.
        let of = commands.iter().find_map(|(_, command)| walked_slot(command, &name.value));
        let text = match (of, &value.value) {
            // A number may be written in another way than its digits.
            (Some(slot), Json::Num(_)) => text(diags, slot, value)?,
            _ => value.value.to_text(),
        };
        if is_dynamic(&text) {
            diags.error(value.pos, "a function in a field behind one of variable size (a constant)");
            return None;
        }
        return Some((name.value.trim().to_owned(), text));
    }
    let places: Vec<&Field> =
        commands.iter().filter_map(|(template, command)| field(template, command, &name.value)).collect();
    let Some(first) = places.first() else {
        // A comment, where no field has that name.
        if !matches!((plain, &value.value), ("desc" | "description", Json::Str(_))) {
            diags.error(name.pos, no_field(commands, &name.value, plain));
        }
        return None;
    };
    let text = text(diags, &first.slot, value)?;
    if is_dynamic(&text) {
        expr::parse(&text, &NoRequest).map_err(|wrong| diags.error(value.pos, wrong)).ok()?;
    } else {
        for place in &places {
            encode(diags, &place.slot, &text, value.pos)?;
        }
    }
    Some((name.value.trim().to_owned(), text))
}

/// The type of a field behind one of variable size.
fn walked_slot<'c>(command: &'c Command, name: &str) -> Option<&'c Slot> {
    let walk = walk_of(command, name)?;
    match &walk.nodes.get(walk.path(name.trim())?.node as usize)?.what {
        What::Field { slot, .. } => Some(slot),
        _ => None,
    }
}

/// What is wrong with a name that none of these requests has a value for.
fn no_field(commands: &[(&Template, &Command)], written: &str, plain: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for (template, command) in commands {
        let data = command.request.iter().flatten();
        all.extend(data.chain(&template.left).chain(&template.tail).map(|field| &*field.name));
    }
    let key = commands.first().map_or("", |(_, command)| &command.key_text);
    if all.contains(&plain) {
        return format!("`{written}` of {key} is always computed");
    }
    format!("no field `{written}` in the request of {key}{}", nearest(plain, all.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use fsu_plan::compile::compile;
    use fsu_plan::config::load::Loader;
    use fsu_plan::config::source::{MAIN_FILE, Source};
    use std::path::Path;

    /// Reads a file for the embedded fleet. Returns the diagnostics.
    fn read(file: &str) -> (FloodValues, Vec<String>) {
        let fleet = compile(&mut Loader::new(Source::Embedded), Path::new(MAIN_FILE)).unwrap();
        let templates: Vec<&Template> =
            fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter()).map(|device| &*device.template).collect();
        let mut diags = Diags::default();
        let values = FloodValues::read(&mut diags, "v.json", file.to_owned(), &templates);
        (values, diags.lines().collect())
    }

    #[test]
    fn values_by_command() {
        let (values, told) = read(r#"{"10_9d": {"door_no": 3, "address": "${rand(10,20)}$", "desc": "door"}, "_": 0}"#);
        assert_eq!(told, [""; 0]);
        let of = values.of("109D").unwrap();
        assert_eq!(of.len(), 2);
        assert!(matches!(&of[0], ("door_no", Value::Static(text)) if text == "3"));
        assert!(matches!(&of[1], ("address", Value::Dynamic(_))));
        assert!(values.of("1081").unwrap().is_empty());
    }

    #[test]
    fn everything_wrong_is_told_with_its_place() {
        let check = |file: &str, expected: &[&str]| assert_eq!(read(file).1, expected, "{file}");
        check(
            r#"{"109E": {"x": 1}, "109D": {"dor_no": 1, "door_no": 256, "start": "7E"}}"#,
            &[
                "v.json:1:2: /109E: error: no FSU that is asked has a command `109E` (did you mean `109D`?)",
                "v.json:1:29: /109D/dor_no: error: no field `dor_no` in the request of 109D (did you mean `door_no`?)",
                "v.json:1:53: /109D/door_no: error: `256` is out of range (0 to 255 in 1 byte)",
                "v.json:1:58: /109D/start: error: `start` of 109D is always computed",
            ],
        );
        let value = |value: &str, expected: &str| {
            let line = format!("v.json:1:20: /109D/door_no: error: {expected}");
            check(&format!("{{\"109D\":{{\"door_no\":{value}}}}}"), &[&line]);
        };
        value("\"#{b}#\"", "`#{b}#` needs a request, and this is one");
        value("\"${reg(b)}$\"", "register `b` belongs to a device and cannot be read here");
        value("\"${rand(2,1)}$\"", "rand() takes two whole numbers, the smaller first (rand(a,b)), found `2,1`");
        value("{}", "an object is no value of this field (a whole number)");
        check(r#"{"109D": {}, "10 9D": {}}"#, &["v.json:1:14: /10 9D: error: a second entry for 109D"]);
        check(r#"{"109D": 5}"#, &["v.json:1:10: /109D: error: expected an object, found 5"]);
        check("[]", &["v.json:1:1: /: error: expected an object, found a list"]);
        check("{", &["v.json:1:1: /: error: EOF while parsing an object"]);
    }
}
