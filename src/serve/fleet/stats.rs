//! A [`Snapshot`] as JSON for programs (`--stats FILE`).

use super::snapshot::Snapshot;
use crate::devlog::LogTotals;
use crate::driver::one::OneCounts;
use crate::driver::port::PortCounts;
use crate::shard::accounts::{Accounts, Tally};
use crate::shard::late::Steps;
use fsu_core::answer::talk::Event;
use fsu_core::lateness::Lateness;
use fsu_core::state::Counters;
use fsu_plan::counters::{Counted, Counter, Printed};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::model::share::Partition;
use hdrhistogram::Histogram;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::io::Write;
use std::path::PathBuf;

/// The version of the JSON's shape; grows when a key changes its meaning or goes, not when one is added.
pub const VERSION: u32 = 1;

/// Everything that `--stats FILE` holds.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// [`VERSION`].
    pub version: u32,
    /// The run itself.
    pub run: RunStats,
    /// All FSUs together; its `dropped` has every reason, also those that are 0.
    pub totals: Totals,
    /// How late the replies of all shards left.
    pub lateness: Lateness,
    /// All of it that was measured: steps of its histogram in microseconds, and how many replies were in each. Empty without replies.
    pub lateness_steps: Steps,
    /// The part of a fleet; only with `--partition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartStats>,
    /// What has become of messages, by template and name; only those that the fleet has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageStats>,
    /// All FSUs of one transport together; only transports that the fleet has.
    pub transports: Vec<TransportStats>,
    /// By shard.
    pub shards: Vec<ShardStats>,
    /// By FSU, in the order of the configuration that was served last.
    pub fsus: Vec<FsuStats>,
    /// Those that went with a reload, all together; in `totals`, but in no transport or shard.
    pub gone: GoneStats,
    /// The logger's own counts.
    pub log: LogTotals,
}

/// One part of a fleet (spec scale.md).
#[derive(Clone, Debug, Serialize)]
pub struct PartStats {
    /// Which, from 0.
    pub part: u32,
    /// How many parts there are.
    pub of: u32,
    /// How many FSUs the undivided fleet has.
    pub fsus_of: u32,
    /// By FSU of this part: its number in the undivided fleet.
    pub numbers: Vec<u32>,
}

/// What the run was.
#[derive(Clone, Debug, Serialize)]
pub struct RunStats {
    /// The program's version.
    pub program: String,
    /// The configuration's path; absent where an embedded one was served.
    pub config: Option<PathBuf>,
    /// What distinguishes the configuration that was served last: 16 hex digits, the CRC-64 over its files.
    pub config_hash: String,
    /// The seed of all random values.
    pub seed: u64,
    /// When every socket was bound and every shard ran: RFC 3339 with milliseconds, UTC.
    pub started: String,
    /// When the last shard had ended, likewise.
    pub ended: String,
    /// Milliseconds between the two.
    pub duration_ms: u64,
    /// What ended it: a signal's name, or the error.
    pub ended_by: String,
    /// The driver that carried the sockets.
    pub driver: String,
    /// What ran the shards.
    pub executor: String,
    /// Performance mode was on.
    pub performance: bool,
    /// Device logs were written.
    pub device_log: bool,
    /// How often another configuration was served without an end.
    pub reloads: u64,
    /// How often another one could not be served.
    pub reloads_failed: u64,
}

/// Counters as JSON has them: each by its name; of those by word, their sum and an object, word to count.
#[derive(Clone, Debug)]
pub struct Totals {
    /// The counts.
    pub counters: Counters,
    /// Every word is there, not only those that occurred.
    zeros: bool,
}

impl Totals {
    /// `zeros`: with every word, not only those that occurred.
    pub fn new(counters: Counters, zeros: bool) -> Self {
        Self { counters, zeros }
    }
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.counters, self.zeros, serializer)
    }
}

fn serialize<S: Serializer>(counted: &impl Counted, zeros: bool, serializer: S) -> Result<S::Ok, S::Error> {
    let mut all: Vec<(&'static Counter, &[u64])> = Vec::new();
    counted.each(&mut |counter, counts| all.push((counter, counts)));
    let mut map = serializer.serialize_map(None)?;
    for (counter, counts) in all {
        let sum: u64 = counts.iter().sum();
        match counter.told {
            Printed::By { total, each, word, .. } => {
                map.serialize_entry(total, &sum)?;
                map.serialize_entry(each, &Words { counts, zeros, word })?;
            }
            _ => map.serialize_entry(counter.name, &sum)?,
        }
    }
    map.end()
}

/// An object, word to count.
struct Words<'a> {
    counts: &'a [u64],
    zeros: bool,
    word: fn(usize) -> &'static str,
}

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.counts.iter().enumerate().filter(|&(_, &count)| self.zeros || count > 0);
        serializer.collect_map(all.map(|(number, count)| ((self.word)(number), count)))
    }
}

/// All FSUs of one transport.
#[derive(Clone, Debug, Serialize)]
pub struct TransportStats {
    /// `udp`, `tcp` or `broadcast`.
    pub transport: &'static str,
    /// How many FSUs.
    pub fsus: usize,
    /// Their counters.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The messages of one name of one template.
#[derive(Clone, Debug, Serialize)]
pub struct MessageStats {
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
    /// Still waiting at the end.
    pub pending: u64,
    /// From send to acknowledgement; absent where nothing was acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_us: Option<Times>,
    /// All of them: see [`Stats::lateness_steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_steps: Option<Steps>,
    /// From due to sent, of each frame to each receiver; absent where nothing left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_us: Option<Times>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_steps: Option<Steps>,
}

impl MessageStats {
    /// Of those that are decided, how many were not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.refused + self.given_up
    }
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Times {
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

impl From<&Histogram<u64>> for Times {
    fn from(times: &Histogram<u64>) -> Self {
        let at = |percent| times.value_at_percentile(percent).min(times.max());
        Self { count: times.len(), min: times.min(), p50: at(50.0), p99: at(99.0), max: times.max() }
    }
}

/// FSUs that are served no more.
#[derive(Clone, Debug, Serialize)]
pub struct GoneStats {
    /// How many.
    pub fsus: u64,
    /// Their counters.
    #[serde(flatten)]
    pub totals: Totals,
}

/// One shard.
#[derive(Clone, Debug, Serialize)]
pub struct ShardStats {
    /// Its number, from 0.
    pub shard: usize,
    /// The processor it was pinned to.
    pub cpu: usize,
    /// How many FSUs it had.
    pub fsus: usize,
    /// How late its replies left.
    pub lateness: Lateness,
    /// What it counted of its queue of a network device; only with `--driver xdp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xdp: Option<PortCounts>,
    /// What it counted of the one socket of its udp FSUs; only with `--one-socket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_socket: Option<OneCounts>,
    /// Their counters; what could not be told (a shard that died) is 0.
    #[serde(flatten)]
    pub totals: Totals,
}

/// One FSU.
#[derive(Clone, Debug, Serialize)]
pub struct FsuStats {
    /// Its name.
    pub name: String,
    /// Its id, as hex.
    pub id: String,
    /// `udp`, `tcp` or `broadcast`.
    pub transport: &'static str,
    /// The shard that served it.
    pub shard: usize,
    /// Its counters; its `dropped` has the reasons that occurred.
    #[serde(flatten)]
    pub totals: Totals,
}

impl Serialize for PortCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, true, serializer)
    }
}

impl Serialize for OneCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, true, serializer)
    }
}

impl Serialize for LogTotals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, true, serializer)
    }
}

/// What has become of messages, by account.
pub fn messages(fleet: &Fleet, accounts: &Accounts) -> Vec<MessageStats> {
    let none = Tally::default();
    let all = fleet.accounts.iter().enumerate();
    all.map(|(number, account)| {
        let tally = accounts.get(number).unwrap_or(&none);
        MessageStats {
            vendor: account.vendor.to_string(),
            message: account.name.to_string(),
            is_acknowledged: account.is_acknowledged,
            sent: tally.sent(),
            acknowledged: tally.count(Event::Acknowledged),
            retried: tally.count(Event::Retried),
            refused: tally.count(Event::Refused),
            given_up: tally.count(Event::GivenUp),
            pending: if account.is_acknowledged { tally.pending() } else { 0 },
            acknowledged_us: tally.waits().map(Times::from),
            acknowledged_steps: tally.waits().map(Steps::from),
            late_us: tally.late().map(Times::from),
            late_steps: tally.late().map(Steps::from),
        }
    })
    .collect()
}

impl Snapshot {
    /// What has become of messages, by account.
    pub fn messages(&self) -> Vec<MessageStats> {
        messages(&self.fleet, &self.accounts)
    }

    /// The part of a fleet that is served.
    fn part(&self) -> Option<PartStats> {
        let share = &self.fleet.share;
        let Partition { part, of } = share.partition?;
        Some(PartStats { part, of, fsus_of: share.of, numbers: share.numbers.to_vec() })
    }

    /// Everything that is told at the end.
    pub fn stats(&self, run: RunStats) -> Stats {
        let transports = Transport::ALL.into_iter().filter_map(|transport| {
            let (fsus, sum) = self.of_transport(transport);
            let (transport, totals) = (transport.name(), Totals::new(sum, false));
            (fsus > 0).then_some(TransportStats { transport, fsus, totals })
        });
        let shards = self.cpus.iter().enumerate().map(|(shard, &cpu)| {
            let (fsus, sum) = self.of_shard(shard);
            let (ways, totals) = (self.ways.get(shard).cloned().unwrap_or_default(), Totals::new(sum, false));
            let (xdp, one_socket) = (ways.port, ways.one);
            ShardStats { shard, cpu, fsus, lateness: self.lateness_of(shard), xdp, one_socket, totals }
        });
        let fsus = self.fleet.fsus.iter().zip(&self.counters).enumerate();
        Stats {
            version: VERSION,
            run,
            lateness: self.lateness(),
            lateness_steps: self.lateness_steps(),
            part: self.part(),
            messages: self.messages(),
            totals: Totals::new(self.totals(), true),
            gone: GoneStats { fsus: self.gone.fsus, totals: Totals::new(self.gone.counters.clone(), false) },
            transports: transports.collect(),
            shards: shards.collect(),
            fsus: fsus
                .map(|(index, (fsu, own))| FsuStats {
                    name: fsu.name.to_string(),
                    id: fsu.id.to_string(),
                    transport: fsu.transport.name(),
                    shard: self.shards.get(index).copied().unwrap_or(0),
                    totals: Totals::new(own.clone(), false),
                })
                .collect(),
            log: self.log,
        }
    }
}

/// Writes them as JSON.
///
/// # Errors
/// The system's.
pub fn write(stats: &Stats, out: &mut dyn Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, stats)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::stats;
    use std::path::Path;

    #[test]
    fn everything_adds_up() {
        let json = serde_json::to_value(stats()).expect("plain data");
        let check = |pointer: &str, expected: serde_json::Value| {
            assert_eq!(json.pointer(pointer), Some(&expected), "{pointer}");
        };
        check("/version", 1.into());
        check("/run/seed", 7.into());
        check("/totals/received", 60.into());
        check("/totals/dropped_total", 3.into());
        check("/totals/dropped/wrong_fsu", 2.into());
        check("/totals/dropped/short", 0.into());
        check("/totals/error_replies", 6.into());
        check("/totals/error_replies_by/bad_checksum", 5.into());
        check("/totals/error_replies_by/bad_version", 0.into());
        check("/fsus/1/error_replies_by", serde_json::json!({"bad_checksum": 3}));
        check("/totals/faults_total", 6.into());
        check("/totals/faults/corrupt", 6.into());
        check("/totals/faults/offline", 0.into());
        check("/fsus/0/faults", serde_json::json!({"corrupt": 4}));
        check("/transports/0/transport", "udp".into());
        check("/transports/0/fsus", 2.into());
        check("/transports/0/received", 40.into());
        check("/transports/1/dropped", serde_json::json!({"wrong_fsu": 1, "garbage_bytes": 1}));
        check("/shards/0/received", 40.into());
        check("/lateness/replies", 3.into());
        check("/lateness/over_limit", 3.into());
        check("/shards/0/lateness/replies", 0.into());
        check("/shards/1/lateness/p50_us", 7_003.into());
        check("/shards/1/cpu", 5.into());
        check("/shards/1/fsus", 1.into());
        check("/fsus/2/name", "c".into());
        check("/fsus/2/id", "3031".into());
        check("/fsus/2/shard", 0.into());
        check("/fsus/2/dropped", serde_json::json!({"wrong_fsu": 1}));
    }

    /// Files of that name below a directory.
    fn files(dir: &Path, name: &str, out: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                files(&path, name, out);
            } else if path.file_name().is_some_and(|found| found == name) {
                out.push(path);
            }
        }
    }

    #[test]
    fn every_counter_is_documented() {
        let mut names = Vec::new();
        let mut name = |counter: &'static Counter, _: &[u64]| match counter.told {
            Printed::By { total, each, .. } => names.extend([total, each]),
            _ => names.push(counter.name),
        };
        Counters::default().each(&mut name);
        PortCounts::default().each(&mut name);
        OneCounts::default().each(&mut name);
        assert!(names.len() > 25, "{names:?}");
        let mut pages = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs"), "stats.md", &mut pages);
        assert!(!pages.is_empty(), "no page of counters");
        for page in pages {
            let text = std::fs::read_to_string(&page).expect("a page");
            let missing: Vec<_> = names.iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", page.display());
        }
    }
}
