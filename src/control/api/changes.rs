//! Changes: what is asked for, and what was done.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An argument of a message: a text, or a number as a text would have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Argument {
    /// As it is.
    Text(String),
    /// In decimal.
    Number(i64),
}

impl Argument {
    /// As a text.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The body of a trigger.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The message's name.
    pub message: String,
    /// Its arguments; those that are absent have their defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Argument>,
    /// The sends are spread evenly over this number of milliseconds.
    #[serde(default)]
    #[schema(maximum = 3_600_000)]
    pub over_ms: u64,
}

/// An FSU that did not do what was asked, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// Its name.
    pub fsu: String,
    /// Why.
    pub why: String,
}

/// What became of a trigger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Triggered {
    /// FSUs whose name matches.
    pub matched: usize,
    /// FSUs that send it.
    pub triggered: usize,
    /// FSUs that do not: the first ten.
    pub refused: Vec<Refused>,
    /// How many do not.
    pub refused_total: usize,
}

/// The body for a register.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRegister {
    /// Its new value, as a rule's `set` has it.
    pub value: String,
    /// Only of the device with that number, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u16>,
    /// The key of a keyed register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The body for an area of memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMemory {
    /// Where it begins.
    #[serde(default)]
    pub at: u64,
    /// The bytes, as hex.
    pub hex: String,
    /// Only of the device with that number, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u16>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Set {
    /// FSUs whose name matches.
    pub matched: usize,
    /// FSUs where it was set.
    pub set: usize,
    /// FSUs where it was not: the first ten.
    pub refused: Vec<Refused>,
    /// How many.
    pub refused_total: usize,
}

/// The body that arms faults: the keys of a `faults` object of sys_config.json, and these.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ArmFaults {
    /// Without power until the end of `ttl_s`, or until they are cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<bool>,
    /// Seconds until they are cleared; without it, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.001, maximum = 86_400_000)]
    pub ttl_s: Option<f64>,
    /// Keys of a `faults` object.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub faults: Map<String, Value>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Armed {
    /// FSUs whose name matches.
    pub matched: usize,
    /// FSUs where they are armed.
    pub armed: usize,
    /// FSUs where they are not: the first ten.
    pub refused: Vec<Refused>,
    /// How many.
    pub refused_total: usize,
}

/// What became of it: the faults of the configuration are back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Cleared {
    /// FSUs whose name matches.
    pub matched: usize,
    /// FSUs that had armed faults.
    pub cleared: usize,
}

/// The body of a reload.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {}

/// A reload that was done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReloadDone {
    /// true
    pub done: bool,
    /// What it changed.
    pub summary: String,
}

/// Levels of the system log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Off,
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    Info,
    /// And details.
    Debug,
    /// And more of them.
    Trace,
}

/// The body that sets the level of the system log, and its answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// The level.
    pub level: Level,
}
