//! The final counts, and as JSON for programs (`--stats FILE`); [`super::tables`] prints them for people.

use super::reload::Gone;
use fsu_core::lateness::Lateness;
use fsu_core::responder::state::{Counters, RareCounters};
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::{Fleet, Transport};
use fsu_plan::model::template::ErrorReply;
use fsu_plan::wire::reason::Reason;
use fsu_serve::log::LogTotals;
use fsu_serve::shard::late::Late;
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
    /// All FSUs of one transport together; only transports that the fleet has.
    pub transports: Vec<TransportStats>,
    /// By shard.
    pub shards: Vec<ShardStats>,
    /// By FSU, in the order of the configuration that was served last.
    pub fsus: Vec<FsuStats>,
    /// Those that went with a reload, all together; in `totals`, but in no transport or shard.
    pub gone: GoneStats,
    /// The logger's own counts.
    pub log: LogStats,
}

/// What the run was.
#[derive(Clone, Debug, Serialize)]
pub struct RunStats {
    /// The program's version.
    pub program: String,
    /// The configuration's path; absent where the embedded one was served.
    pub config: Option<PathBuf>,
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

/// Counters, as [`Counters`] has them.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// Requests that reached an FSU: frames, not datagrams.
    pub received: u64,
    /// Replies handed to the kernel.
    pub answered: u64,
    /// Requests that a rule leaves unanswered on purpose.
    pub silent: u64,
    /// Replies to wrong requests; also in `answered`.
    pub error_replies: u64,
    /// The same by what is wrong.
    pub error_replies_by: ErrorReplies,
    /// Requests with a wrong checksum, answered or not.
    pub bad_checksum_seen: u64,
    /// Outer lengths in high-byte-first order, accepted.
    pub big_endian_lengths: u64,
    /// Heartbeats sent.
    pub heartbeats_sent: u64,
    /// Heartbeats of centres received.
    pub heartbeats_received: u64,
    /// Centres that came.
    pub centres_online: u64,
    /// Centres that fell silent, or were pushed out by a newer one.
    pub centres_offline: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// Multi-frame transfers begun.
    pub transfers_opened: u64,
    /// Transfers whose last frame was sent.
    pub transfers_completed: u64,
    /// Transfers that a new command ended before their last frame.
    pub transfers_aborted: u64,
    /// Transfers that ended before their last frame because nobody asked in time.
    pub transfers_timed_out: u64,
    /// Demands and commands refused for want of a transfer, or of room for one.
    pub transfers_refused: u64,
    /// Of these, of another host, whose data is too long for it.
    pub transfers_refused_amplification: u64,
    /// First data frames, which follow an answer unasked.
    pub data_frames_unasked: u64,
    /// Data frames sent once more.
    pub data_frames_resent: u64,
    /// Device-log records lost because the queue was full.
    pub log_records_lost: u64,
    /// Values that did not fit their field when a reply was built; the field kept what the template gives it.
    pub value_misfits: u64,
    /// Datagrams that the kernel lost because an FSU's socket had no room; not in `received` nor in `dropped`.
    pub kernel_drops: u64,
    /// All drops together.
    pub dropped_total: u64,
    /// Drops by reason.
    pub dropped: Dropped,
    /// Faults made on purpose, all together.
    pub faults_total: u64,
    /// The same by kind.
    pub faults: Faults,
}

/// Faults by kind: an object, kind to count.
#[derive(Clone, Debug)]
pub struct Faults {
    counts: [u64; FaultKind::COUNT],
    zeros: bool,
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.counted().map(|(kind, count)| (kind.name(), count)))
    }
}

impl Faults {
    /// How often that kind.
    pub fn count(&self, kind: FaultKind) -> u64 {
        self.counts[kind as usize]
    }

    /// The kinds that are told, with their counts.
    pub fn counted(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        FaultKind::ALL.into_iter().zip(self.counts).filter(|&(_, count)| self.zeros || count > 0)
    }
}

/// Drops by reason: an object, reason to count.
#[derive(Clone, Debug)]
pub struct Dropped {
    counts: [u64; Reason::COUNT],
    zeros: bool,
}

impl Serialize for Dropped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.counted().map(|(reason, count)| (reason.reason(), count)))
    }
}

impl Dropped {
    /// How often for this reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// The reasons that are told, with their counts, in counting order.
    pub fn counted(&self) -> impl Iterator<Item = (Reason, u64)> {
        let all = Reason::ALL.iter().copied().zip(self.counts);
        all.filter(|&(_, count)| self.zeros || count > 0)
    }
}

/// Replies to wrong requests by what is wrong: an object, reason to count.
#[derive(Clone, Debug)]
pub struct ErrorReplies {
    counts: [u64; ErrorReply::COUNT],
    zeros: bool,
}

impl Serialize for ErrorReplies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.counted().map(|(which, count)| (which.name(), count)))
    }
}

impl ErrorReplies {
    /// How often for this.
    pub fn count(&self, which: ErrorReply) -> u64 {
        self.counts[which as usize]
    }

    /// What is told, with its counts.
    pub fn counted(&self) -> impl Iterator<Item = (ErrorReply, u64)> {
        ErrorReply::ALL.into_iter().zip(self.counts).filter(|&(_, count)| self.zeros || count > 0)
    }
}

impl Totals {
    /// `zeros`: name every reason of a drop, not only those that occurred.
    fn new(counters: &Counters, zeros: bool) -> Self {
        // Every counter by name: a new one cannot be forgotten here.
        let Counters { received, answered, rare } = counters.clone();
        let RareCounters {
            silent,
            error_replies,
            bad_checksum_seen,
            big_endian_lengths,
            heartbeats_sent,
            heartbeats_received,
            centres_online,
            centres_offline,
            connections,
            transfers_opened,
            transfers_completed,
            transfers_aborted,
            transfers_timed_out,
            transfers_refused,
            transfers_refused_amplification,
            data_frames_unasked,
            data_frames_resent,
            log_records_lost,
            value_misfits,
            kernel_drops,
            dropped,
            faults,
        } = *rare;
        Self {
            received,
            answered,
            silent,
            error_replies: error_replies.iter().sum(),
            error_replies_by: ErrorReplies { counts: error_replies, zeros },
            bad_checksum_seen,
            big_endian_lengths,
            heartbeats_sent,
            heartbeats_received,
            centres_online,
            centres_offline,
            connections,
            transfers_opened,
            transfers_completed,
            transfers_aborted,
            transfers_timed_out,
            transfers_refused,
            transfers_refused_amplification,
            data_frames_unasked,
            data_frames_resent,
            log_records_lost,
            value_misfits,
            kernel_drops,
            dropped_total: counters.dropped_total(),
            dropped: Dropped { counts: dropped, zeros },
            faults_total: faults.iter().sum(),
            faults: Faults { counts: faults, zeros },
        }
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

/// What the logger counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LogStats {
    /// Device-log records written to files.
    pub device_records_written: u64,
    /// Device-log records that a full queue refused.
    pub device_records_lost: u64,
    /// Device-log records that write errors cost.
    pub device_records_unwritten: u64,
    /// Write errors of the device log.
    pub device_write_errors: u64,
    /// Lines of the fault ledger written.
    pub ledger_lines_written: u64,
    /// Faults that a full queue kept out of the ledger.
    pub ledger_lines_lost: u64,
    /// Lines of the ledger that write errors cost.
    pub ledger_lines_unwritten: u64,
    /// System log lines written.
    pub system_lines_written: u64,
    /// System log lines that a full queue or write errors cost.
    pub system_lines_lost: u64,
}

/// Counts of all FSUs by their number, and where each was served.
#[derive(Debug)]
pub struct Counted<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// The processor of each shard.
    pub cpus: &'a [usize],
    /// By FSU: its shard.
    pub shards: &'a [usize],
    /// By FSU; [`Counters::default`] where a shard could not tell.
    pub counters: &'a [Counters],
    /// What those left that are served no more.
    pub gone: &'a Gone,
    /// By shard: how late its replies were.
    pub late: &'a [Late],
    /// What is too late, in microseconds.
    pub late_limit_us: u64,
}

impl Counted<'_> {
    /// Everything that is told at the end.
    pub fn stats(&self, run: RunStats, log: LogStats) -> Stats {
        let fsus = || self.fleet.fsus.iter().zip(self.counters).enumerate();
        let transports = [Transport::Udp, Transport::Tcp, Transport::Broadcast].into_iter().filter_map(|transport| {
            let (fsus, sum) = sum(fsus().filter(|(_, (fsu, _))| fsu.transport == transport).map(|(_, (_, own))| own));
            (fsus > 0).then(|| TransportStats { transport: transport.name(), fsus, totals: Totals::new(&sum, false) })
        });
        let by_shard = self.cpus.iter().enumerate().map(|(shard, &cpu)| {
            let own = self.counters.iter().zip(self.shards).filter(|&(_, &on)| on == shard);
            let (fsus, sum) = sum(own.map(|(own, _)| own));
            let told = |late: &Late| late.told(self.late_limit_us, lost(&sum));
            let lateness = self.late.get(shard).map(told).unwrap_or_default();
            ShardStats { shard, cpu, fsus, lateness, totals: Totals::new(&sum, false) }
        });
        let mut late = Late::default();
        self.late.iter().for_each(|of_shard| late.add(of_shard));
        let all = sum(self.counters.iter().chain([&self.gone.counters])).1;
        Stats {
            version: VERSION,
            run,
            lateness: late.told(self.late_limit_us, lost(&all)),
            totals: Totals::new(&all, true),
            gone: GoneStats { fsus: self.gone.fsus, totals: Totals::new(&self.gone.counters, false) },
            transports: transports.collect(),
            shards: by_shard.collect(),
            fsus: fsus()
                .map(|(index, (fsu, own))| FsuStats {
                    name: fsu.name.to_string(),
                    id: fsu.id_hex.to_string(),
                    transport: fsu.transport.name(),
                    shard: self.shards.get(index).copied().unwrap_or(0),
                    totals: Totals::new(own, false),
                })
                .collect(),
            log,
        }
    }
}

/// How many there are, and all of them added up.
fn sum<'a>(all: impl IntoIterator<Item = &'a Counters>) -> (usize, Counters) {
    let mut sum = Counters::default();
    let mut many = 0;
    for one in all {
        many += 1;
        add(&mut sum, one);
    }
    (many, sum)
}

/// What the mock had no room for: requests in its sockets, replies in its own memory.
fn lost(counters: &Counters) -> u64 {
    counters.kernel_drops + Reason::NO_ROOM.iter().map(|&reason| counters.dropped[reason as usize]).sum::<u64>()
}

/// Adds counters up.
pub(super) fn add(sum: &mut Counters, one: &Counters) {
    sum.received += one.received;
    sum.answered += one.answered;
    sum.silent += one.silent;
    sum.bad_checksum_seen += one.bad_checksum_seen;
    sum.big_endian_lengths += one.big_endian_lengths;
    sum.heartbeats_sent += one.heartbeats_sent;
    sum.heartbeats_received += one.heartbeats_received;
    sum.centres_online += one.centres_online;
    sum.centres_offline += one.centres_offline;
    sum.connections += one.connections;
    sum.transfers_opened += one.transfers_opened;
    sum.transfers_completed += one.transfers_completed;
    sum.transfers_aborted += one.transfers_aborted;
    sum.transfers_timed_out += one.transfers_timed_out;
    sum.transfers_refused += one.transfers_refused;
    sum.transfers_refused_amplification += one.transfers_refused_amplification;
    sum.data_frames_unasked += one.data_frames_unasked;
    sum.data_frames_resent += one.data_frames_resent;
    sum.log_records_lost += one.log_records_lost;
    sum.value_misfits += one.value_misfits;
    sum.kernel_drops += one.kernel_drops;
    for (sum, one) in sum.dropped.iter_mut().zip(one.dropped) {
        *sum += one;
    }
    for (sum, one) in sum.error_replies.iter_mut().zip(one.error_replies) {
        *sum += one;
    }
    for (sum, one) in sum.faults.iter_mut().zip(one.faults) {
        *sum += one;
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

impl From<LogTotals> for LogStats {
    fn from(totals: LogTotals) -> Self {
        Self {
            device_records_written: totals.records_written,
            device_records_lost: totals.records_lost,
            device_records_unwritten: totals.records_unwritten,
            device_write_errors: totals.write_errors,
            ledger_lines_written: totals.ledger_written,
            ledger_lines_lost: totals.ledger_lost,
            ledger_lines_unwritten: totals.ledger_unwritten,
            system_lines_written: totals.lines_written,
            system_lines_lost: totals.lines_lost,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use fsu_plan::model::fleet::{Fsu, FsuId, Language, Limits, LogPlan, OnFull, Performance};

    /// Two UDP FSUs with a TCP one between them.
    pub(crate) fn fleet() -> Fleet {
        let fsu = |name: &str, transport| Fsu {
            name: name.into(),
            id: FsuId::default(),
            id_hex: "3031".into(),
            bind: ([127, 0, 0, 1], 0).into(),
            transport,
            heartbeat_interval_ms: None,
            heartbeat_reply: false,
            client_timeout_ms: 1,
            accept_any_id: false,
            accept_rtn_flags: fsu_plan::model::fleet::RtnFlags::default(),
            limits: Limits::default(),
            allow: std::sync::Arc::default(),
            devices: [].into(),
            faults: None,
        };
        Fleet {
            fsus: vec![fsu("a", Transport::Udp), fsu("b", Transport::Tcp), fsu("c", Transport::Udp)],
            center: None,
            log: LogPlan {
                level: log::LevelFilter::Off,
                dir: PathBuf::new(),
                file: String::new(),
                bytes_max: 1,
                age_days_max: 1,
                async_write: true,
                language: Language::En,
                on_full: OnFull::Drop,
            },
            performance: Performance::default(),
            allow_amplification: false,
        }
    }

    /// Three FSUs on two shards, with small numbers.
    pub(crate) fn stats() -> Stats {
        let mut counters = vec![Counters::default(); 3];
        for (number, one) in (1..).zip(&mut counters) {
            one.received = 10 * number;
            one.answered = number;
        }
        counters[0].faults[FaultKind::Corrupt as usize] = 4;
        counters[1].faults[FaultKind::Corrupt as usize] = 2;
        counters[0].error_replies = [0, 1, 2, 0, 0];
        counters[1].error_replies = [0, 0, 3, 0, 0];
        counters[2].drop(Reason::WrongFsu);
        counters[1].drop(Reason::Garbage);
        counters[1].drop(Reason::WrongFsu);
        let run = RunStats {
            program: "1".into(),
            config: None,
            seed: 7,
            started: "s".into(),
            ended: "e".into(),
            duration_ms: 3,
            ended_by: "SIGTERM".into(),
            driver: "poll".into(),
            executor: "glommio".into(),
            performance: false,
            device_log: true,
            reloads: 0,
            reloads_failed: 0,
        };
        let (fleet, gone, mut late) = (fleet(), Gone::default(), [Late::default(), Late::default()]);
        late[1].record(0, 7_000_000, 3);
        let counted = Counted {
            fleet: &fleet,
            cpus: &[4, 5],
            shards: &[0, 1, 0],
            counters: &counters,
            gone: &gone,
            late: &late,
            late_limit_us: 5_000,
        };
        counted.stats(run, LogStats::default())
    }

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
}
