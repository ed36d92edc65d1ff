//! How long something is: a number, an earlier field, or the rest.

use super::at::{At, Json, Map};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// The name by which `de` recognises [`RawExtent`].
pub(super) const EXTENT: &str = "$Extent";
/// The word for what is left.
pub const REST: &str = "rest";

/// `length`, `count` or `bytes` of a field.
#[derive(Clone, Debug)]
pub enum RawExtent {
    /// A number of bytes.
    Number(u64),
    /// What is left.
    Rest,
    /// As an earlier field says.
    Counted(Box<RawCounted>),
}

impl RawExtent {
    /// The number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Rest | Self::Counted(_) => None,
        }
    }
}

/// An earlier field that says a length or a count.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawCounted {
    /// The field.
    pub field: Option<At<String>>,
    /// What its number is multiplied by. Default 1.
    pub times: Option<At<u64>>,
    /// What is then added. Default 0.
    pub add: Option<At<i64>>,
}

/// `burst`: how many replies, and the time between two.
#[derive(Clone, Debug, Default)]
pub struct RawBurst {
    /// How many; `None`: not given.
    pub count: Option<u64>,
    /// Milliseconds between two.
    pub gap_ms: Option<At<u64>>,
}

/// The keys of a `burst` that is an object.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct RawBurstKeys {
    /// How many replies.
    count: Option<At<u64>>,
    /// Milliseconds between two. Default 0.
    gap_ms: Option<At<u64>>,
}

impl<'de> Deserialize<'de> for RawBurst {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(EXTENT, BurstParts)
    }
}

struct BurstParts;

impl<'de> Visitor<'de> for BurstParts {
    type Value = RawBurst;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or {\"count\": n, \"gap_ms\": ms}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RawBurst, E> {
        Ok(RawBurst { count: Some(number), gap_ms: None })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawBurst, D::Error> {
        let RawBurstKeys { count, gap_ms } = RawBurstKeys::deserialize(deserializer)?;
        Ok(RawBurst { count: count.map(|count| count.value), gap_ms })
    }
}

impl JsonSchema for RawBurst {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Burst".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<RawBurstKeys>();
        let number = generator.subschema_for::<u64>();
        json_schema!({ "anyOf": [number, keys] })
    }
}

/// The name by which `de` recognises [`RawWhen`].
pub(super) const WHEN: &str = "$When";

/// `when` of a rule: values that a request has to have, or a condition as a text.
#[derive(Clone, Debug, Default)]
pub struct RawWhen {
    /// Field -> value; empty beside a text.
    pub fields: Map<At<Json>>,
    /// The condition.
    pub test: Option<Box<str>>,
    /// A second one, that of the whole file.
    pub of_file: Option<At<Box<str>>>,
}

impl Deref for RawWhen {
    type Target = Map<At<Json>>;
    fn deref(&self) -> &Map<At<Json>> {
        &self.fields
    }
}

impl<'de> Deserialize<'de> for RawWhen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(WHEN, WhenParts)
    }
}

struct WhenParts;

impl<'de> Visitor<'de> for WhenParts {
    type Value = RawWhen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields, or a condition")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawWhen, E> {
        Ok(RawWhen { test: Some(text.into()), ..RawWhen::default() })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawWhen, D::Error> {
        Ok(RawWhen { fields: Map::deserialize(deserializer)?, ..RawWhen::default() })
    }
}

impl JsonSchema for RawWhen {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<Map<At<Json>>>();
        let text = generator.subschema_for::<String>();
        json_schema!({ "anyOf": [fields, text] })
    }
}

struct Parts;

impl<'de> Deserialize<'de> for RawExtent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(EXTENT, Parts)
    }
}

impl<'de> Visitor<'de> for Parts {
    type Value = RawExtent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, \"rest\", or {\"field\": name}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RawExtent, E> {
        Ok(RawExtent::Number(number))
    }

    fn visit_unit<E: Error>(self) -> Result<RawExtent, E> {
        Ok(RawExtent::Rest)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawExtent, D::Error> {
        RawCounted::deserialize(deserializer).map(|counted| RawExtent::Counted(Box::new(counted)))
    }
}

impl JsonSchema for RawExtent {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Extent".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let counted = generator.subschema_for::<RawCounted>();
        let number = generator.subschema_for::<u64>();
        json_schema!({ "anyOf": [number, { "enum": [REST] }, counted] })
    }
}
