//! The highest rate that a server holds, and how it was found: the capacity certificate of a machine (`flood --find-max`).
//!
//! - [`run`]: a step at each rate that [`crate::search`] asks for.
//! - [`judge`]: whether a step held, and if not, who was the limit.
//! - [`mock`]: the mock's own lateness in a step. [`machine`]: the machine. [`text`], [`html`]: the report for people. [`CapacityReport`] is what `--json` writes.

pub mod html;
pub mod judge;
pub mod machine;
pub mod mock;
pub mod run;
pub mod text;

use crate::report::schema;
use crate::threshold::ThresholdReport;
use fsu_core::lateness::Lateness;
use machine::MachineFacts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the shape; grows when a key changes its meaning or goes, not when one is added.
pub const VERSION: u32 = 1;

/// What the search found. `fsu-mock schema flood-capacity` prints its JSON Schema.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CapacityReport {
    /// Version of this shape.
    pub version: u32,
    /// Name and version of the program.
    pub program: String,
    /// As it was called.
    pub command_line: Vec<String>,
    /// The configuration's path, `embedded` or `gallery`.
    pub config: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub ended: String,
    /// Where the generator ran.
    pub machine: MachineFacts,
    /// What was asked for.
    pub run: SearchReport,
    /// Was a rate found, and confirmed.
    pub passed: bool,
    /// The highest rate that held as often as it had to, requests a second; none: no rate did.
    pub capacity_per_s: Option<f64>,
    /// Replies a second at that rate, the least of the confirmations.
    pub replies_per_s: Option<f64>,
    /// What kept it from more: `server`, `generator` (the server can do at least this) or `allowed` (`--find-to`).
    pub limit: String,
    /// The lowest rate that did not hold.
    pub broke_per_s: Option<f64>,
    /// Why that rate did not hold.
    pub broke_by: Vec<String>,
    /// The search was ended by a signal.
    pub stopped: bool,
    /// What was found, in one sentence.
    pub verdict: String,
    /// Each step, in the order of time.
    pub steps: Vec<StepReport>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchReport {
    /// `udp`, `tcp`, `datagram` or `broadcast`.
    pub transport: String,
    /// FSUs that were asked.
    pub fsus: usize,
    /// All of them are on this machine.
    pub is_local: bool,
    /// TCP connections; 0 for UDP.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Processors that they are pinned to; empty: not pinned.
    pub cpus: Vec<usize>,
    /// The first rate, requests a second.
    pub from_per_s: f64,
    /// The highest rate that was allowed.
    pub to_per_s: f64,
    /// The result is within this share of the lowest rate that broke, 0 to 1.
    pub precision: f64,
    /// Seconds of a step, without its warm-up.
    pub step_s: f64,
    /// Seconds of a step before its figures begin.
    pub warmup_s: f64,
    /// How often in a row the result must have held.
    pub confirmations: u32,
    /// Loss that was accepted, 0 to 1.
    pub loss_max: f64,
    /// A reply after this is late, and breaks a step.
    pub timeout_ms: f64,
    /// Where the mock's own lateness was read; none: it is not known.
    pub mock: Option<String>,
    /// What `--fail-if` asked of every step.
    pub thresholds: Vec<String>,
    /// Seed of random values.
    pub seed: u64,
}

/// One step.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// From 1.
    pub step: usize,
    /// `rise`, `fall`, `narrow` or `confirm`.
    pub purpose: String,
    /// Requests a second that were planned.
    pub rate_per_s: f64,
    /// Did it hold.
    pub held: bool,
    /// If not: `server` or `generator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// If not: why.
    pub why: Vec<String>,
    /// Requests sent.
    pub sent: u64,
    /// The same, a second.
    pub sent_per_s: f64,
    /// Replies a second.
    pub replies_per_s: f64,
    /// Requests without a reply.
    pub lost: u64,
    /// Replies after the time-out.
    pub late: u64,
    /// Wrong, duplicate and unexpected replies.
    pub wrong: u64,
    /// Half of the latencies are below, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// 999 of 1,000 are below.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// The generator's own lateness, 99 of 100 are below.
    pub lag_p99_us: f64,
    /// Share of a processor, the generator's busiest thread, 0 to 1.
    pub cpu_share: f64,
    /// The mock's own lateness in this step, rounded up to the bounds of its histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_lateness: Option<Lateness>,
    /// What `--fail-if` came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdReport>,
}

/// The schema of `--find-max --json`.
pub fn schema() -> String {
    schema::text::<CapacityReport>("flood-capacity")
}
