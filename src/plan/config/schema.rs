//! JSON Schemas of the file kinds, so that editors complete and check.
//!
//! Keys, types and texts come from [`super::raw`]; what those types do not say (which words a text
//! may be, which keys are required) is in the tables below. The schemas are kept under
//! `config/schema/` and say `draft-07`, which every editor understands.

use super::at::{At, Json, Map, OneOrMany};
use super::raw::{RawDevices, RawRules, RawSysConfig, RawTemplate, RawVendors};
use crate::model::conversation::{EVERY_MS_MAX, RETRIES_MAX, To, WAIT_MS_MAX};
use crate::model::fleet::{Language, OnFull, VerifyChecksum};
use crate::model::message::Transport;
use crate::model::template::{Complement, Encoding};
use crate::words;
use crate::words::{
    AlgorithmName, Align, Direction, Endian, FieldType, Itself, LengthCheck, LogLevel, Over, Shift, names,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map as JsonMap, Value, json};
use std::borrow::Cow;

words! {
    /// A kind of configuration file, as the command line and the schema's file name spell it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        SysConfig = "sys_config": "sys_config.json: the fleet",
        FsuDevices = "fsu_devices": "fsu_devices.json: the devices behind an FSU",
        Template = "template": "A protocol template",
        Rules = "rules": "A rule file: how each command is answered",
        Vendor = "vendor": "vendor.json: what a vendor's templates may leave out",
    }
}

/// The words of a set.
type Words = fn() -> Vec<&'static str>;

/// The texts a key may hold: type, key, words.
pub const WORDS: &[(&str, &str, Words)] = &[
    ("Log", "level", names::<LogLevel>),
    ("Log", "language", names::<Language>),
    ("Log", "on_full", names::<OnFull>),
    ("Fsu", "protocol_type", names::<Transport>),
    ("Device", "verify_checksum", names::<VerifyChecksum>),
    ("Vendor", "encoding", names::<Encoding>),
    ("Protocol", "encoding", names::<Encoding>),
    ("Command", "align", names::<Align>),
    ("Command", "direction", names::<Direction>),
    ("Message", "to", names::<To>),
    ("Field", "endian", names::<Endian>),
    ("Field", "type", names::<FieldType>),
    ("Field", "check", names::<LengthCheck>),
    ("Checksum", "complement", names::<Complement>),
    ("Checksum", "over", names::<Over>),
    ("Checksum", "self", names::<Itself>),
    ("Checksum", "endian", names::<Endian>),
    ("Crc", "shift", names::<Shift>),
    ("ChecksumConfig", "complement", names::<Complement>),
];

/// The names of algorithms: those of the set, and `crc:NAME`.
pub(super) fn algorithms() -> [Value; 2] {
    [json!({ "enum": names::<AlgorithmName>() }), json!({ "type": "string", "pattern": "^crc:." })]
}

/// Whole numbers with bounds: type, key, least, most.
const BOUNDS: &[(&str, &str, u64, u64)] = &[
    ("Fsu", "port", 0, 65535),
    ("Fsu", "count", 1, u64::MAX),
    ("Center", "port", 1, 65535),
    ("FaultDelay", "ms", 1, 3_600_000),
    ("Split", "pieces", 2, 64),
    ("Split", "gap_ms", 1, 60_000),
    ("Rule", "burst", 1, 1_000),
    ("Message", "every_ms", 1, EVERY_MS_MAX),
    ("Ack", "within_ms", 1, WAIT_MS_MAX),
    ("Ack", "retries", 0, RETRIES_MAX as u64),
    ("Crc", "width", 8, 64),
    ("Checksum", "blocks", 1, 65_000),
    ("Checksum", "length", 1, 8),
];

/// Keys without which a file cannot be served.
const REQUIRED: &[(&str, &[&str])] = &[
    ("Center", &["port"]),
    ("Devices", &["device_list"]),
    ("Device", &["protocol_template"]),
    ("Template", &["protocol"]),
    ("Transfer", &["data_cmd", "next_cmd"]),
    ("DataBytes", &["bytes"]),
    ("FaultDelay", &["p", "ms"]),
    ("Split", &["p"]),
    ("Counted", &["field"]),
    ("BurstKeys", &["count"]),
    ("Crc", &["width", "poly"]),
    ("Ack", &["frame"]),
];

/// The same where one of several sets of keys will do.
const ONE_OF: &[(&str, &[&[&str]])] = &[
    ("SysConfig", &[&["fsu_list"], &["fsu_csv"]]),
    (
        "Fsu",
        &[
            &["fsuname", "port", "protocol_type", "config_dir"],
            &["fsuname", "ports", "protocol_type", "config_dir"],
            &["fsuname", "connect", "protocol_type", "config_dir"],
            &["template"],
        ],
    ),
];

/// Keys that are comments in any object; `$schema` is what editors read.
const COMMENTS: &str = "^(_|x-|\\$schema$)";

/// The schema of a kind of file.
pub fn schema(kind: Kind) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let (schema, root) = match kind {
        Kind::SysConfig => (generator.into_root_schema_for::<RawSysConfig>(), "SysConfig"),
        Kind::FsuDevices => (generator.into_root_schema_for::<RawDevices>(), "Devices"),
        Kind::Template => (generator.into_root_schema_for::<RawTemplate>(), "Template"),
        Kind::Rules => (generator.into_root_schema_for::<RawRules>(), "Rules"),
        Kind::Vendor => (generator.into_root_schema_for::<RawVendors>(), "Vendors"),
    };
    let mut schema = schema.to_value();
    tidy(&mut schema);
    if let Some(types) = schema.get_mut("definitions").and_then(Value::as_object_mut) {
        let named = std::mem::take(types).into_iter();
        types.extend(named.map(|(name, schema)| (name.trim_start_matches("Raw").to_owned(), schema)));
        for (name, schema) in types {
            restrict(name, schema);
        }
    }
    restrict(root, &mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), format!("fsu-mock {}", kind.name()).into());
    }
    if let Some(keys) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        // So that editors offer it; as a comment it may be in any object.
        keys.insert("$schema".into(), true.into());
    }
    schema
}

/// The schema as its file holds it.
pub fn text(kind: Kind) -> String {
    format!("{:#}\n", schema(kind))
}

/// Drops what only Rust's types need: number formats, names. `null` stays: it is the same as an
/// absent key.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            if object.get("default").is_some_and(|d| d.is_null() || d.is_object()) {
                object.remove("default");
            }
            if let Some(Value::String(format)) = object.remove("format") {
                within(object, &format);
            }
            if let Some(Value::String(path)) = object.get_mut("$ref") {
                *path = path.replace("/Raw", "/");
            }
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                close(object);
            }
        }
        _ => {}
    }
}

/// A whole number has the range of its type.
fn within(object: &mut JsonMap<String, Value>, format: &str) {
    let (least, most): (Value, Value) = match format {
        "uint64" => (0.into(), u64::MAX.into()),
        "int64" => (i64::MIN.into(), i64::MAX.into()),
        _ => return,
    };
    object.insert("minimum".into(), least);
    object.insert("maximum".into(), most);
}

/// A required key is no null: that is the same as an absent one.
fn without_null(object: &mut JsonMap<String, Value>) {
    if !["type", "anyOf", "$ref", "allOf"].iter().any(|key| object.contains_key(*key)) {
        object.insert("not".into(), json!({ "type": "null" }));
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(list)) = object.get_mut("anyOf") {
        list.retain(|s| *s != json!({ "type": "null" }));
        if let [Value::Object(one)] = list.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            // Beside `$ref`, draft-07 reads nothing else.
            if one.contains_key("$ref") && !object.is_empty() {
                object.insert("allOf".into(), json!([one]));
            } else {
                object.extend(one);
            }
        }
    }
}

/// A flat struct: these keys, and comments.
fn close(object: &mut JsonMap<String, Value>) {
    if let Some(Value::Object(keys)) = object.get_mut("properties") {
        for comment in ["desc", "description"] {
            keys.insert(comment.into(), true.into());
        }
    }
    object.insert("patternProperties".into(), json!({ COMMENTS: true }));
    object.insert("additionalProperties".into(), false.into());
}

/// Adds the restrictions from the tables.
fn restrict(name: &str, schema: &mut Value) {
    let mut set = |key: &str, part: Value| {
        let property = schema.pointer_mut(&format!("/properties/{key}")).and_then(Value::as_object_mut);
        if let (Some(property), Value::Object(part)) = (property, part) {
            property.extend(part);
        }
    };
    for (_, key, words) in WORDS.iter().filter(|w| w.0 == name) {
        let words: Vec<Value> = words().into_iter().map(Value::from).chain([Value::Null]).collect();
        set(key, json!({ "enum": words }));
    }
    for &(_, key, least, most) in BOUNDS.iter().filter(|b| b.0 == name) {
        set(key, json!({ "minimum": least }));
        if most < u64::MAX {
            set(key, json!({ "maximum": most }));
        }
    }
    let Some(object) = schema.as_object_mut() else { return };
    if let Some((_, keys)) = REQUIRED.iter().find(|r| r.0 == name) {
        object.insert("required".into(), json!(keys));
        for key in *keys {
            let property =
                object.get_mut("properties").and_then(|all| all.get_mut(*key)).and_then(Value::as_object_mut);
            property.map(without_null);
        }
    }
    for (_, sets) in ONE_OF.iter().filter(|(of, _)| *of == name) {
        let set = |keys: &&[&str]| {
            let given = keys.iter().map(|&key| (key.to_owned(), json!({ "not": { "type": "null" } })));
            json!({ "required": keys, "properties": given.collect::<serde_json::Map<_, _>>() })
        };
        object.insert("anyOf".into(), sets.iter().map(set).collect());
    }
    if name == "Fsu" {
        object.insert(
            "if".into(),
            json!({ "properties": { "protocol_type": { "const": "udp" } }, "not": { "required": ["template"] } }),
        );
        object.insert("then".into(), json!({ "required": ["fsuid"], "properties": { "fsuid": { "type": "string" } } }));
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": { "desc": true, "description": true },
            "patternProperties": { COMMENTS: true },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        if one.as_bool() == Some(true) {
            return one;
        }
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_row_names_a_key() {
        let mut keys = std::collections::HashSet::new();
        let mut add = |name: &str, schema: &Value| {
            let found = schema.get("properties").and_then(Value::as_object);
            keys.extend(found.into_iter().flatten().map(|(key, _)| format!("{name}.{key}")));
        };
        for (kind, root) in Kind::ALL.into_iter().zip(["SysConfig", "Devices", "Template", "Rules", "Vendors"]) {
            let schema = schema(kind);
            add(root, &schema);
            for (name, schema) in schema["definitions"].as_object().into_iter().flatten() {
                add(name, schema);
            }
        }
        let rows = WORDS.iter().map(|r| (r.0, r.1));
        let rows = rows.chain(BOUNDS.iter().map(|r| (r.0, r.1)));
        let one_of = ONE_OF.iter().flat_map(|(name, sets)| sets.iter().map(move |keys| (*name, *keys)));
        let rows = rows.chain(one_of.flat_map(|(name, keys)| keys.iter().map(move |&key| (name, key))));
        let rows = rows.chain(REQUIRED.iter().flat_map(|(name, keys)| keys.iter().map(|&key| (*name, key))));
        for (name, key) in rows {
            assert!(keys.contains(&format!("{name}.{key}")), "{name}.{key}: {keys:?}");
        }
    }
}
