//! The report, as `--json FILE` holds it. `fsu-mock schema flood-report` prints its JSON Schema.

pub mod html;
pub mod judge;
pub mod machine;
pub mod merge;
pub mod messages;
mod outliers;
pub mod part;
mod reconcile;
pub mod schema;
#[cfg(feature = "screen")]
pub mod screen;
pub mod show;
pub mod sum;
pub mod svg;
pub mod text;
pub mod thresholds;

use crate::book::account::Requests;
use crate::book::tally::{CommandCounts, Latency};
use crate::report::messages::MessagesReport;
use crate::report::part::{MergedReport, PartReport};
use crate::threshold::ThresholdReport;
use fsu_core::lateness::Lateness;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the shape; grows when a key changes its meaning or goes, not when one is added.
pub const VERSION: u32 = 2;
/// A thread above this share of a processor is what limits the run.
pub const CPU_SHARE_MAX: f64 = 0.90;

/// A run of the load generator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FloodReport {
    /// Version of this shape.
    pub version: u32,
    /// Name and version of the program.
    pub program: String,
    /// As it was called.
    pub command_line: Vec<String>,
    /// The configuration's path, or `embedded`.
    pub config: String,
    /// A hash of the configuration's files, as 16 hex digits; none: an earlier report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub ended: String,
    /// Where it ran.
    pub machine: MachineReport,
    /// What was asked for.
    pub run: RunReport,
    /// Did everything pass, and if not, why.
    pub verdict: Verdict,
    /// All commands together.
    pub totals: Totals,
    /// All commands together.
    pub latency: LatencyReport,
    /// Planned to actual send: the generator's own lateness.
    pub lag: LatencyReport,
    /// The generator's threads.
    pub generator: Generator,
    /// By command.
    pub commands: Vec<CommandReport>,
    /// By vendor.
    pub vendors: Vec<VendorReport>,
    /// FSUs with failures, those with most first; at most 100.
    #[serde(default)]
    pub fsus: Vec<FsuReport>,
    /// How many there are.
    #[serde(default)]
    pub fsus_not_right: usize,
    /// FSUs that answer slower than the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<OutlierReport>,
    /// Commands that were not asked.
    #[serde(default)]
    pub left_out: Vec<LeftOutReport>,
    /// Wrong replies by what is wrong with them.
    pub wrong_by: BTreeMap<String, u64>,
    /// The first of each kind of what was not right.
    pub samples: Vec<SampleReport>,
    /// By second, warm-up included.
    pub seconds: Vec<Second>,
    /// Whole transfers; broadcast only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfers: Option<TransferReport>,
    /// How late the mock's replies left, as it told itself (`--mock-stats`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_lateness: Option<Lateness>,
    /// What that says of the mock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_verdict: Option<MockVerdict>,
    /// What devices said unasked, where the configuration has messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<MessagesReport>,
    /// Which part of a load this is (`--partition`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartReport>,
    /// What parts this was merged from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergedReport>,
    /// What `--fail-if` asked for, and what it came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdReport>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Where it ran.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MachineReport {
    /// Processor model.
    pub model: String,
    /// Processors that could be used.
    pub processors: usize,
    /// Kernel name and release.
    pub kernel: String,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// `udp`, `tcp` or `broadcast`.
    pub transport: String,
    /// `--mix`, and a hash of `--values`; none: all commands that are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<String>,
    /// `closed` or `open`.
    pub pace: String,
    /// Closed: requests under way per port or connection.
    pub window: Option<usize>,
    /// Open: requests a second.
    pub rate_per_s: Option<f64>,
    /// Open: seconds until that rate.
    pub ramp_s: Option<f64>,
    /// Open: exponentially distributed distances.
    pub poisson: bool,
    /// FSUs that were asked.
    pub fsus: usize,
    /// TCP connections; 0 for UDP.
    pub connections: usize,
    /// UDP sockets of the generator; 0 for TCP.
    pub sockets: usize,
    /// Seconds before the figures begin.
    pub warmup_s: f64,
    /// Seconds from there to the end of sending, measured.
    pub measured_s: f64,
    /// A reply after this is late; broadcast: the wait for each frame.
    pub timeout_ms: f64,
    /// Seed of random values and distances.
    pub seed: u64,
}

/// Earlier reports do not tell it.
fn yes() -> bool {
    true
}

/// Did everything pass.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// No wrong, duplicate or unexpected reply, and no more loss than allowed.
    pub passed: bool,
    /// Loss that was allowed, 0 to 1.
    pub loss_max: f64,
    /// Every reply was told apart from those to equal requests. Else a run that passed may have lost replies, and as many doubled.
    #[serde(default = "yes")]
    pub certain: bool,
    /// Why not.
    pub failures: Vec<String>,
    /// The generator was the limit: its figures say nothing about the mock's.
    pub generator_limited: bool,
}

/// Counts of requests and their replies.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Requests sent.
    pub sent: u64,
    /// Right replies in time.
    pub good: u64,
    /// Right replies after the time-out.
    pub late: u64,
    /// Wrong replies.
    pub wrong: u64,
    /// Requests without a reply.
    pub lost: u64,
    /// Requests that should have no reply, and had none.
    pub silent: u64,
    /// Of these, those that no rule answers.
    #[serde(default)]
    pub unmatched: u64,
    /// Requests that no reply distinguishes from equal ones: a lost and a duplicate reply may cancel each other out there.
    #[serde(default)]
    pub uncertain: u64,
}

impl From<&CommandCounts> for Counts {
    fn from(row: &CommandCounts) -> Self {
        let CommandCounts { requests, unmatched, uncertain } = *row;
        let Requests { sent, good, late, wrong, lost, silent } = requests;
        Self { sent, good, late, wrong, lost, silent, unmatched, uncertain }
    }
}

/// All commands together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Requests and replies.
    pub counts: Counts,
    /// Lost of those that should be answered, 0 to 1.
    pub loss: f64,
    /// Requests sent, warm-up included.
    #[serde(default)]
    pub sent_all: u64,
    /// Requests sent a second.
    pub sent_per_s: f64,
    /// Replies a second, over the time of sending, or over that in which they came where that is longer.
    pub replies_per_s: f64,
    /// Replies to these requests: more than one to a request where a rule has a `burst`.
    #[serde(default)]
    pub replies: u64,
    /// Replies that bursts lack, those of lost requests included.
    #[serde(default)]
    pub burst_missing: u64,
    /// Datagrams that found nobody listening, as their host told; warm-up included.
    #[serde(default)]
    pub refused: u64,
    /// Right replies to requests that were answered already.
    pub duplicate: u64,
    /// What nothing asked for.
    pub unexpected: u64,
    /// Heartbeats received.
    pub heartbeats: u64,
    /// Requests that were due and not sent, because too many were under way or the generator was behind its plan.
    pub not_sent: u64,
    /// Good replies that may be late ones, and late ones that may repeat another's: an equal request was given up before, and a
    /// reply does not tell which it answers.
    #[serde(default)]
    pub doubtful: u64,
    /// Sends that the system refused.
    pub send_errors: u64,
    /// Random values that did not fit their field; the field kept what the template gives it.
    pub value_misfits: u64,
    /// TCP connections that were made again.
    pub reconnects: u64,
    /// Datagrams that the kernel dropped at the generator's own sockets; also in `lost`.
    pub own_drops: u64,
    /// Bytes sent, without IP, UDP and TCP headers; warm-up included.
    pub bytes_out: u64,
    /// Bytes received, likewise.
    pub bytes_in: u64,
}

/// Whole transfers of BroadCast: a command, its answer, and all data frames. Rows count them, too, as one request each.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TransferReport {
    /// Transfers put together, and right.
    pub whole: u64,
    /// The same, a second.
    pub whole_per_s: f64,
    /// Their data bytes.
    pub payload_bytes: u64,
    /// The same, a second.
    pub payload_bytes_per_s: f64,
    /// Commands with data that ended without all of it, however often it was asked for; also in `lost`.
    pub failed: u64,
    /// Commands that the FSU refused though its rules do not: no place for one more transfer, or too much data for another
    /// host; also in `wrong`.
    #[serde(default)]
    pub refused: u64,
    /// Frames requested again after a timeout.
    pub retries: u64,
    /// Transfers restarted because the FSU had given them up.
    pub restarts: u64,
    /// Frames skipped: seen before, out of order, or after the end.
    pub passed_over: u64,
    /// Datagrams that the generator did not send, on purpose (`--drop`); warm-up included.
    pub dropped: u64,
    /// Exchanges under way when the run was ended early; in no other count.
    pub abandoned: u64,
    /// Seconds from the end of the warm-up to the end of sending, or of the last transfer that was whole, if that is later.
    pub elapsed_s: f64,
    /// How often each frame is requested again, at most.
    pub retries_max: u32,
    /// Share of its own datagrams that the generator is told not to send, 0 to 1.
    pub drop: f64,
    /// From the (planned) command to the last byte.
    pub latency: LatencyReport,
}

/// A distribution of times, in microseconds, to three digits.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct LatencyReport {
    /// Times measured.
    pub count: u64,
    /// Least.
    pub min_us: f64,
    /// Mean.
    pub mean_us: f64,
    /// Half are below.
    pub p50_us: f64,
    /// 90 of 100 are below.
    pub p90_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// 999 of 1,000 are below.
    pub p999_us: f64,
    /// 9,999 of 10,000 are below.
    pub p9999_us: f64,
    /// Most.
    pub max_us: f64,
    /// Percentile (0 to 100) and microseconds.
    pub curve: Vec<(f64, f64)>,
    /// The whole histogram, in a report of a part and in a merged one: ends of steps in nanoseconds, and how many times are in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(u64, u32)>,
}

/// Percentiles of [`LatencyReport::curve`], denser towards the end.
const CURVE: [f64; 28] = [
    0.0, 1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0, 99.0,
    99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.999, 100.0,
];

impl LatencyReport {
    /// From a histogram of nanoseconds.
    pub fn new(histogram: &Latency, curve: bool) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let us = |ns: u64| round(ns as f64 / 1000.0);
        let at = |percentile: f64| us(histogram.value_at_quantile(percentile / 100.0).min(histogram.max()));
        let curve = if curve { CURVE.map(|percentile| (percentile, at(percentile))).to_vec() } else { Vec::new() };
        Self {
            count: histogram.len(),
            min_us: us(histogram.min()),
            mean_us: round(histogram.mean() / 1000.0),
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            p9999_us: at(99.99),
            max_us: us(histogram.max()),
            curve,
            steps: Vec::new(),
        }
    }
}

pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The generator's own load.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// By thread.
    pub threads: Vec<ThreadLoad>,
    /// What the kernel gave the receive buffer of a UDP socket; 0 for TCP.
    pub receive_buffer_bytes: u64,
}

/// Load of one thread.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ThreadLoad {
    /// The processor it was pinned to.
    pub cpu: Option<usize>,
    /// CPU time over elapsed time, 0 to 1.
    pub cpu_share: f64,
}

/// One command.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CommandReport {
    /// The device's vendor.
    pub vendor: String,
    /// The command's key.
    pub command: String,
    /// Requests and replies.
    pub counts: Counts,
    /// Its latency.
    pub latency: LatencyReport,
}

/// One vendor.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VendorReport {
    /// Its name.
    pub vendor: String,
    /// Requests and replies.
    pub counts: Counts,
    /// Its latency.
    pub latency: LatencyReport,
}

/// An FSU with which not all was right, warm-up included. Each request sent is in one column: sent = good + late + wrong + lost + silent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FsuReport {
    /// Its name.
    pub fsu: String,
    /// Requests sent.
    pub sent: u64,
    /// With a right reply in time.
    pub good: u64,
    /// With a right reply after the time-out.
    pub late: u64,
    /// With a wrong reply.
    pub wrong: u64,
    /// Without a reply.
    pub lost: u64,
    /// That should have no reply, and had none.
    pub silent: u64,
    /// Second replies.
    pub duplicate: u64,
    /// What nothing asked for.
    pub unexpected: u64,
}

/// How the FSUs' latencies compare. Times are the ends of steps that are at most a quarter wide.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OutlierReport {
    /// FSUs with at least 20 replies.
    pub compared: usize,
    /// Half of them have a p99 up to this, in microseconds.
    pub usual_p99_us: f64,
    /// Those whose p99 is at least twice that.
    pub found: usize,
    /// The slowest of them; at most 20.
    pub fsus: Vec<SlowFsu>,
}

/// An FSU that answers slower than the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SlowFsu {
    /// Its name.
    pub fsu: String,
    /// Replies measured.
    pub replies: u64,
    /// Half are below.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// All are below.
    pub max_us: f64,
}

/// An example of what was not right.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SampleReport {
    /// `wrong`, `late`, `duplicate`, `unexpected` or `lost`.
    pub kind: String,
    /// What is wrong with it.
    pub why: String,
    /// The FSU; empty where the sender is not known.
    pub fsu: String,
    /// The command, where one is known.
    pub command: Option<String>,
    /// The request as it travels, over udp with its outer frame, as hex digits, up to 65,536 bytes; empty where it is not known.
    pub request: String,
    /// What came, likewise.
    pub reply: String,
}

/// A command that was not asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutReport {
    /// The device's vendor.
    pub vendor: String,
    /// The command's key.
    pub command: String,
    /// Why.
    pub why: String,
    /// What makes a run ask it.
    pub remedy: String,
    /// The first FSU of which it was left out.
    pub fsu: String,
    /// Of how many.
    pub fsus: usize,
}

/// What the mock's own lateness says of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MockVerdict {
    /// `valid`, `not_valid`, `saturated` (late in a closed loop, which says nothing of it) or `none` (no reply).
    pub state: String,
    /// For people.
    pub text: String,
    /// Saturated: the rate that it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturated_per_s: Option<f64>,
    /// Saturated: the rate at which to judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_per_s: Option<f64>,
    /// Saturated: what a run of its own at a part of that rate says (`--judged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<JudgedRun>,
}

/// A second run, at a part of the rate at which the first one saturated the mock: it judges the mock.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JudgedRun {
    /// Requests a second.
    pub rate_per_s: f64,
    /// `valid`, `not_valid` or `none`, as in [`MockVerdict`].
    pub state: String,
    /// For people.
    pub text: String,
    /// The mock's own lateness in that run.
    pub lateness: Lateness,
    /// Requests and replies.
    pub counts: Counts,
    /// Why that run did not pass; also in [`Verdict::failures`].
    pub failures: Vec<String>,
}

/// What happened within a second, or the part of one that sending ended with.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Its end, in seconds since the start.
    pub at_s: f64,
    /// How long it was; 0: not told.
    #[serde(default)]
    pub span_s: f64,
    /// Sending had ended before.
    #[serde(default)]
    pub is_rest: bool,
    /// Requests sent.
    pub sent: u64,
    /// Replies.
    pub replies: u64,
    /// Wrong ones.
    pub wrong: u64,
    /// Requests given up.
    pub lost: u64,
    /// Half of the latencies are below.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// Most.
    pub max_us: f64,
}

impl Second {
    /// Requests and replies a second.
    pub fn per_s(&self) -> [f64; 2] {
        let span_s = if self.span_s > 0.0 { self.span_s } else { 1.0 };
        [self.sent, self.replies].map(|count| count as f64 / span_s)
    }
}
