//! Lists of FSUs, and of messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// The state of an FSU: the first that fits, in this order: offline, dialling, faulty, serving, idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Without power, or in an outage.
    Offline,
    /// It dials out, and has no connection.
    Dialling,
    /// Faults were armed while serving.
    Faulty,
    /// Asked within the last ten seconds, or with a centre or connection.
    Serving,
    /// None of these.
    Idle,
}

impl State {
    /// Its letter in the map of a snapshot.
    pub fn letter(self) -> char {
        match self {
            Self::Offline => 'o',
            Self::Dialling => 'd',
            Self::Faulty => 'f',
            Self::Serving => 's',
            Self::Idle => 'i',
        }
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Dialling => "dialling",
            Self::Faulty => "faulty",
            Self::Serving => "serving",
            Self::Idle => "idle",
        }
    }
}

/// How an FSU talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// Outer frames in datagrams.
    Udp,
    /// Inner frames in a stream.
    Tcp,
    /// Inner frames in datagrams.
    Datagram,
    /// Datagrams with transfers.
    Broadcast,
}

/// An FSU, in short.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fsu {
    /// Its name.
    pub name: String,
    /// Its id, as hex; empty if it has none.
    pub id: String,
    /// Its number in the configuration, from 0.
    pub number: u32,
    /// Where it listens; null if it does not.
    pub address: Option<String>,
    /// Where it dials; null if it does not.
    pub connect: Option<String>,
    /// How it talks.
    pub transport: Carrier,
    /// The vendors of its devices, each once.
    pub vendor: Vec<String>,
    /// The shard that serves it.
    pub shard: u16,
    /// Its state.
    pub state: State,
    /// The states of its devices by the names that the rules have, each once.
    pub states: Vec<String>,
    /// Centres that it knows.
    pub centres: u32,
    /// Its connections.
    pub connections: u32,
    /// Requests received.
    pub received: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests that a rule leaves unanswered on purpose.
    pub silent: u64,
    /// Requests dropped.
    pub dropped: u64,
    /// Messages raised.
    pub messages_sent: u64,
    /// Messages acknowledged.
    pub messages_acknowledged: u64,
    /// Messages sent again.
    pub messages_retried: u64,
    /// Messages given up.
    pub messages_given_up: u64,
    /// Messages that wait for their acknowledgement.
    pub messages_pending: u64,
    /// Faults made on purpose.
    pub faults: u64,
    /// Faults that were armed while serving; null: none.
    pub armed: Option<Value>,
}

/// `/v1/fsus`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FsuPage {
    /// FSUs of the fleet.
    pub total: usize,
    /// Of these, those that were asked for.
    pub matching: usize,
    /// Which page of those, from 0.
    pub page: usize,
    /// FSUs of a page.
    pub per_page: usize,
    /// The page.
    pub fsus: Vec<Fsu>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// By name.
    Name,
    /// By requests received.
    Received,
    /// By requests dropped.
    Dropped,
    /// By faults made on purpose.
    Faults,
}

/// Which FSUs are listed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FsuQuery {
    /// Only FSUs whose name matches; `*` and `?` are wildcards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only FSUs in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<State>,
    /// Only FSUs that talk so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub transport: Option<Carrier>,
    /// What it is sorted by; the order of the configuration if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub sort: Option<Sort>,
    /// 1: the other way round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 1)]
    pub desc: Option<u8>,
    /// Which page, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// FSUs of a page: 1 to 1000, 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub per_page: Option<usize>,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct TimesUs {
    /// How many.
    pub count: u64,
    /// The least.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// The messages of one name of one template.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The template's vendor.
    pub vendor: String,
    /// The message's name.
    pub message: String,
    /// Something acknowledges it.
    pub is_acknowledged: bool,
    /// Raised: sent at least once.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Sent again.
    pub retried: u64,
    /// Refused by the frame that should acknowledge it.
    pub refused: u64,
    /// Given up.
    pub given_up: u64,
    /// Still waiting.
    pub pending: u64,
    /// From send to acknowledgement; absent where nothing was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_us: Option<TimesUs>,
    /// From due to sent; absent where nothing left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_us: Option<TimesUs>,
}

/// `/v1/messages`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Messages {
    /// By template and name.
    pub messages: Vec<Message>,
}

/// Which requests without a reply are listed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnansweredQuery {
    /// Only of FSUs whose name matches; `*` and `?` are wildcards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsu: Option<String>,
    /// How many, 1 to 1000; 50 if absent. A shard keeps 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub n: Option<usize>,
}

/// A request that got no reply.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// When it came: RFC 3339 with milliseconds, UTC.
    pub time: String,
    /// The FSU; null where the bytes reached none.
    pub fsu: Option<String>,
    /// Who sent it.
    pub peer: Option<String>,
    /// Its bytes, as far as they are kept.
    pub hex: String,
    /// How many it has.
    pub bytes: usize,
    /// Why, in the word of the counters; `silent` where a rule leaves it unanswered on purpose; or the kind of a fault.
    pub reason: String,
    /// What `explain` says about it, in lines.
    pub explain: String,
}

/// `/v1/unanswered`
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UnansweredList {
    /// Kept.
    pub held: usize,
    /// Since the start.
    pub total: u64,
    /// Newest first.
    pub unanswered: Vec<Unanswered>,
}
