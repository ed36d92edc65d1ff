//! The run itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `/healthz`: the server listens.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: String,
}

/// Whether a run serves as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Sockets are being bound.
    Starting,
    /// Every socket is bound, and the last reload stood.
    Ready,
    /// The last reload failed; the configuration before it is served.
    ReloadFailed,
    /// The run is about to end.
    Stopping,
}

/// `/readyz`: with 200 if it is `ready`, else with 503.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether it is ready.
    pub status: Readiness,
    /// FSUs that are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsus: Option<usize>,
    /// Reloads that were done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reloads: Option<u64>,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What the program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It serves a fleet.
    Run,
    /// It loads one.
    Flood,
}

/// A shard.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShardInfo {
    /// Its number, from 0.
    pub shard: usize,
    /// The processor that it is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<usize>,
    /// How many FSUs it has.
    pub fsus: usize,
}

/// `/v1/run`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// `fsu-mock`
    pub program: String,
    /// The program's version.
    pub version: String,
    /// What it is doing.
    pub kind: Kind,
    /// The configuration's path; null where an embedded one is used.
    pub config: Option<String>,
    /// The seed of all random values.
    pub seed: Option<u64>,
    /// Since when it serves: RFC 3339, UTC.
    pub started: String,
    /// Seconds since then.
    pub uptime_s: f64,
    /// What carries the sockets.
    pub driver: Option<String>,
    /// What runs the shards.
    pub executor: Option<String>,
    /// Its threads.
    pub shards: Vec<ShardInfo>,
    /// Performance mode is on.
    pub performance: bool,
    /// Device logs are written.
    pub device_log: bool,
    /// The server takes no changes.
    pub read_only: bool,
    /// Reloads that were done.
    pub reloads: u64,
    /// Reloads that failed.
    pub reloads_failed: u64,
    /// FSUs.
    pub fsus: usize,
    /// Languages of the page.
    pub languages: Vec<String>,
}
