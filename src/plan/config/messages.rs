//! `messages` of a rule file: what a device sends unasked (spec conversation.md).

use super::at::{At, Json, Map, OneOrMany};
use super::extent::{RawBurst, RawWhen};
use super::raw::{RawData, RawDelay, RawFaults, RawReply, RawRule, RawStore};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The name by which `de` recognises [`RawRules`].
pub(super) const RULES: &str = "$Rules";
/// The key of a rule file that is no command.
pub const MESSAGES: &str = "messages";
/// The key of a rule file that is a condition of all its rules.
pub const WHEN: &str = "when";

/// The messages of a rule file, by name.
pub type RawMessages = Map<At<RawMessage>>;

/// A rule file: command key -> one rule, or a list of rules with `when`; its messages; and a condition of all its rules.
#[derive(Clone, Debug, Default)]
pub struct RawRules(pub Map<At<OneOrMany<At<RawRule>>>>, pub Option<At<RawMessages>>, pub Option<At<RawWhen>>);

impl<'de> Deserialize<'de> for RawRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RULES, Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = RawRules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of rules")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawRules, A::Error> {
        // Through seeds: what is wrong with the rules as a whole is wrong with the file.
        let rules = seq.next_element_seed(std::marker::PhantomData)?.ok_or_else(|| A::Error::custom("no rules"))?;
        let messages = seq.next_element_seed(std::marker::PhantomData::<Option<At<RawMessages>>>)?;
        let when = seq.next_element_seed(std::marker::PhantomData::<Option<At<RawWhen>>>)?;
        Ok(RawRules(rules, messages.flatten(), when.flatten()))
    }
}

impl JsonSchema for RawRules {
    fn schema_name() -> Cow<'static, str> {
        "RawRules".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Map::<At<OneOrMany<At<RawRule>>>>::json_schema(generator);
        let messages = generator.subschema_for::<Option<RawMessages>>();
        let when = generator.subschema_for::<RawWhen>();
        if let Some(keys) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            keys.insert(MESSAGES.into(), messages.to_value());
            keys.insert(WHEN.into(), when.to_value());
        }
        schema.insert(
            "description".into(),
            "A rule file: command key -> one rule, or a list of rules with `when`. `messages`: what the device sends unasked, by name. `when`: a condition of all its rules."
                .into(),
        );
        schema
    }
}

/// One message: a frame that the device sends unasked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawMessage {
    /// The entry of `data_frame` whose reply it is, by name or key; `layout/KEY`: an entry of that layout of `frames`.
    pub frame: Option<At<String>>,
    /// The layout of `frames` that has `frame`; the same as `layout/KEY` in `frame`.
    pub layout: Option<At<String>>,
    /// Bytes that are sent as they are (hex digits), without header, checksum and encoding.
    pub raw: Option<At<String>>,
    /// The frames that it consists of, in order; in place of `frame`, `raw`, `data` and `cycle`.
    pub replies: Option<At<Vec<At<RawReply>>>>,
    /// Field -> value. `${arg(name, default)}$` is an argument of the trigger.
    pub data: Option<RawData>,
    /// What makes it leave: start, connect, trigger, `ack:NAME`, `after:COMMAND`; one, or several.
    pub on: Option<At<OneOrMany<At<String>>>>,
    /// Milliseconds from one to the next.
    pub every_ms: Option<At<u64>>,
    /// How much later than its time each of them may leave, as a part of `every_ms`: 0 (default) to 1.
    pub jitter: Option<At<f64>>,
    /// true: all FSUs send at the same moment. Default false: their first ones are spread evenly over `every_ms`.
    pub aligned: Option<At<bool>>,
    /// Seconds after the start of the run; one, or several.
    pub at_s: Option<At<OneOrMany<At<f64>>>>,
    /// Times of the calendar in local time: minute, hour, day of the month, month, day of the week.
    pub cron: Option<At<String>>,
    /// The state in which it is sent. Default: always.
    #[serde(rename = "while")]
    pub within: Option<At<String>>,
    /// States that the device is in once it is acknowledged, or was sent where nothing acknowledges it.
    pub enters: Option<OneOrMany<At<String>>>,
    /// States that the device leaves then.
    pub leaves: Option<OneOrMany<At<String>>>,
    /// all (default): every known centre, every connection. latest: the centre heard last, the newest connection.
    pub to: Option<At<String>>,
    /// Only where this condition on registers, parameters and arguments holds.
    pub when: Option<At<String>>,
    /// Data objects, used in turn.
    pub cycle: Option<At<Vec<At<RawData>>>>,
    /// How many are sent each time, back to back: the next entries of `cycle`. Default 1, at most 1000.
    pub burst: Option<At<RawBurst>>,
    /// Sent after a random time in [min(50, delay_ms), delay_ms] ms; 0 or absent: at once.
    pub delay_ms: Option<At<f64>>,
    /// A delay distribution instead.
    pub delay: Option<At<RawDelay>>,
    /// Register -> value, as in a rule.
    pub set: Option<Map<At<Json>>>,
    /// Bytes that are written into a memory area; one, or several in order.
    pub store: Option<OneOrMany<At<RawStore>>>,
    /// Faults made on purpose.
    pub faults: Option<At<RawFaults>>,
    /// What acknowledges it.
    pub ack: Option<At<RawAck>>,
}

impl RawMessage {
    /// What it has in common with a rule.
    pub fn rule(&self) -> RawRule {
        let when = self.when.as_ref().map(|when| At {
            pos: when.pos,
            value: RawWhen { test: Some(when.value.as_str().into()), ..RawWhen::default() },
        });
        RawRule {
            delay_ms: self.delay_ms.clone(),
            delay: self.delay.clone(),
            data: self.data.clone(),
            timeout: None,
            when,
            cycle: self.cycle.clone(),
            burst: self.burst.clone(),
            replies: self.replies.clone(),
            set: self.set.clone(),
            store: self.store.clone(),
            data_file: None,
            data_bytes: None,
            faults: self.faults.clone(),
        }
    }
}

/// `ack` of a message: the frame of the centre that acknowledges it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawAck {
    /// The entry of `data_frame` whose request it is, by name or key; `layout/KEY`: an entry of that layout of `frames`.
    pub frame: Option<At<String>>,
    /// Fields that must be equal: names that both frames have, or field of the acknowledgement -> field of the message.
    #[serde(rename = "match")]
    #[schemars(schema_with = "match_schema")]
    pub matches: Option<At<Json>>,
    /// A condition on the acknowledgement. One that does not fulfil it refuses the message.
    pub when: Option<At<String>>,
    /// Milliseconds to wait for it after each send. Default 5000.
    pub within_ms: Option<At<u64>>,
    /// How often it is sent again. Default 0.
    pub retries: Option<At<u64>>,
    /// Each wait is that many times the one before. Default 1.
    pub backoff: Option<At<f64>>,
    /// What follows the last wait: give_up (default), reconnect, `leave:STATE`.
    #[serde(rename = "else")]
    pub otherwise: Option<At<String>>,
    /// For a centre that is played from these files: field of the acknowledgement -> constant, or `#{field}#` of the message.
    pub data: Option<RawData>,
}

fn match_schema(generator: &mut SchemaGenerator) -> Schema {
    let name = generator.subschema_for::<String>();
    let object = generator.subschema_for::<Map<At<String>>>();
    json_schema!({ "anyOf": [name, { "type": "array", "items": name }, object, { "type": "null" }] })
}
