//! One FSU, whole.

use super::fsus::Fsu;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An entry of a keyed register.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Where a command's replies are in their cycle.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Cycle {
    /// The command and rule.
    pub command: String,
    /// The reply that is next, from 0.
    pub place: u64,
    /// How many replies there are.
    pub of: u64,
}

/// What has become of a message of one device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceMessage {
    /// Its name.
    pub message: String,
    /// Names of its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Raised.
    pub sent: u64,
    /// Acknowledged, as far as the run was watched.
    pub acknowledged: u64,
    /// Sent again.
    pub retried: u64,
    /// Refused by the frame for its acknowledgement.
    pub refused: u64,
    /// Given up: not acknowledged after the last retry.
    pub given_up: u64,
    /// Waiting for an acknowledgement.
    pub pending: u64,
}

/// A device of an FSU.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its number, from 0.
    pub device: u16,
    /// Its template's vendor.
    pub vendor: String,
    /// Its address, as hex; null if it has none.
    pub address: Option<String>,
    /// Registers by name; what is no text is hex.
    pub registers: BTreeMap<String, String>,
    /// Memory by area, as hex; at most the first 4096 bytes of each.
    pub memory: BTreeMap<String, String>,
    /// Keyed registers by name; at most 256 entries of each.
    pub keyed: BTreeMap<String, Vec<Entry>>,
    /// Counters of the rules, by name.
    pub counters: BTreeMap<String, u64>,
    /// Parameters of the FSU, by name.
    pub params: BTreeMap<String, String>,
    /// Cycles of replies.
    pub cycles: Vec<Cycle>,
    /// Its states, by the names that the rules have.
    pub states: Vec<String>,
    /// Its messages.
    pub messages: Vec<DeviceMessage>,
}

/// A command of an FSU's devices.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// Its key.
    pub command: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Requests received.
    pub received: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests without a reply.
    pub dropped: u64,
}

/// Something that was received or sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Exchange {
    /// When: RFC 3339 with milliseconds, UTC.
    pub time: String,
    /// The centre's address.
    pub peer: String,
    /// `request`, `reply`, `heartbeat`, `message`, `acknowledgement` or `unanswered`.
    pub kind: String,
    /// Its bytes, as far as they are kept.
    pub hex: String,
    /// How many it has.
    pub bytes: usize,
    /// What `explain` says about it, in one line.
    pub text: String,
    /// What `explain --json` says about it; null where the bytes are not whole.
    pub explain: Option<Value>,
}

/// `/v1/fsus/NAME`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FsuDetail {
    /// As in a list.
    #[serde(flatten)]
    pub fsu: Fsu,
    /// Its devices.
    pub devices: Vec<Device>,
    /// All counters, as `--stats` has them.
    pub counters: Value,
    /// Its commands.
    pub commands: Vec<Command>,
    /// The last that was received and sent, newest first; at most 32.
    pub exchanges: Vec<Exchange>,
}
