//! A snapshot: what a second brought.

use super::error::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// FSUs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCounts {
    /// Nothing was asked of them for ten seconds, and no centre is known.
    pub idle: usize,
    /// Asked within the last ten seconds, or with a centre or connection.
    pub serving: usize,
    /// Without power, or in an outage.
    pub offline: usize,
    /// With faults that were armed while serving.
    pub faulty: usize,
    /// FSUs that dial out, and have no connection.
    pub dialling: usize,
}

/// Numbers of the whole fleet: totals, or per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Amounts {
    /// Requests received; of a load generator, replies received.
    pub received: f64,
    /// Requests answered; of a load generator, right replies.
    pub answered: f64,
    /// Requests without a reply, whatever the reason; of a load generator, requests lost.
    pub dropped: f64,
    /// Faults made on purpose.
    pub faults: f64,
    /// Heartbeats sent.
    pub heartbeats: f64,
    /// Messages sent unasked.
    pub messages: f64,
    /// Messages acknowledged.
    pub acknowledged: f64,
    /// Requests sent; only of a load generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<f64>,
    /// Wrong replies; only of a load generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<f64>,
    /// Right replies after the time-out; only of a load generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<f64>,
}

/// Percentiles of the last second, in microseconds; zeros where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// 90 in a hundred.
    pub p90: u64,
    /// 99 in a hundred.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// A mock's lateness in its own metrics, in microseconds. Each value is the bound of a bucket of its histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MockLateness {
    /// The median.
    pub p50: u64,
    /// 99 in a hundred.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// The device log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogState {
    /// How full the fullest shard's queue is: 0 to 1.
    pub queue_fill: f64,
    /// Bytes for which all shards' queues have room.
    pub queue_bytes: u64,
    /// Records that were lost.
    pub lost: u64,
}

/// A shard, or a thread of a load generator.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShardNow {
    /// Its number, from 0.
    pub shard: usize,
    /// Its processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<usize>,
    /// How many FSUs it has.
    pub fsus: usize,
    /// Requests received a second.
    pub received_per_s: f64,
    /// Requests answered a second.
    pub answered_per_s: f64,
    /// The share of the time in which it worked: 0 to 1; null where that is not known.
    pub busy: Option<f64>,
    /// Lateness of its replies at p99, in microseconds.
    pub late_p99_us: u64,
}

/// An FSU and requests a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Busy {
    /// Its name.
    pub name: String,
    /// Requests a second.
    pub per_s: f64,
}

/// An FSU and requests without a reply a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Noisy {
    /// Its name.
    pub name: String,
    /// Requests without a reply a second.
    pub dropped_per_s: f64,
}

/// `/v1/snapshot`, and the event `snapshot` once a second. What does not apply is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Milliseconds since the start.
    pub t_ms: u64,
    /// Milliseconds over which the rates and percentiles were taken.
    pub over_ms: u64,
    /// FSUs.
    pub fsus: usize,
    /// FSUs by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<StateCounts>,
    /// With `map=1`: a letter for each FSU in the order of their numbers, `i`dle, `s`erving, `o`ffline, `f`aulty, `d`ialling; at most
    /// 100,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// Per second.
    pub rates: Amounts,
    /// Since the start.
    pub totals: Amounts,
    /// From due to handed to the kernel; of a load generator, from planned to sent.
    pub late_us: Percentiles,
    /// From arrival to handed to the kernel; of a load generator, from planned to the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_us: Option<Percentiles>,
    /// Of a load generator with `--mock`: the mock's own lateness, as it tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mock_late_us: Option<MockLateness>,
    /// Of a load generator with `--rate`: requests a second that are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_per_s: Option<f64>,
    /// Whether the mock itself was fast enough, since the start.
    pub is_valid: bool,
    /// The same as a sentence.
    pub verdict: String,
    /// Replies and messages that wait for their time; of a load generator, requests under way.
    pub pending: u64,
    /// Centres that are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centres: Option<u64>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// The device log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogState>,
    /// By shard.
    pub shards: Vec<ShardNow>,
    /// Requests without a reply since the start, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// FSUs with the most requests; at most 10.
    pub busiest: Vec<Busy>,
    /// FSUs with the most requests that got no reply; at most 10.
    pub noisiest: Vec<Noisy>,
}

/// What a stream has.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// 1: snapshots have the states of all FSUs.
    #[param(minimum = 0, maximum = 1)]
    pub map: Option<u8>,
}

impl StreamQuery {
    /// Whether there is to be a map.
    ///
    /// # Errors
    /// A number that says neither.
    pub fn map(&self) -> Result<bool, Failure> {
        match self.map {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(_) => Err(Failure::bad("map is 0 or 1").at("map")),
        }
    }
}
