//! Sums up the threads' counts in a [`FloodReport`].

use crate::book::tally::{ARRIVAL_NS, CommandCounts, Latency, Other, SampleKind, Tally, Transfers, latency};
use crate::book::thread::ThreadReport;
use crate::numbers::counted;
use crate::report::machine::machine;
use crate::report::messages::MessagesReport;
use crate::report::part::{PartReport, counted_failures};
use crate::report::reconcile::{accounts, fsus, uncertain_notes};
use crate::report::{
    CPU_SHARE_MAX, CommandReport, Counts, FloodReport, Generator, LatencyReport, LeftOutReport, MachineReport,
    RunReport, SampleReport, Second, ThreadLoad, Totals, TransferReport, VERSION, VendorReport, Verdict, round,
};
use crate::workload::options::{Options, Pace};
use fsu_plan::model::message::Transport;
use std::collections::BTreeMap;

/// A lag behind the plan, at p99, that the report mentions.
pub const LAG_US_MAX: f64 = 10_000.0;

/// What is known of a run beside its threads' counts.
#[derive(Debug, Default)]
pub struct Course {
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub ended: String,
    /// Figures of each second.
    pub seconds: Vec<Second>,
    /// What devices said unasked, where they may.
    pub messages: Option<MessagesReport>,
    /// Notes for readers of the report.
    pub notes: Vec<String>,
}

/// Sums up what the threads counted.
pub fn report(options: &Options, threads: &[ThreadReport], course: Course) -> FloodReport {
    let Course { started, ended, seconds, mut messages, mut notes } = course;
    let mut tally = Tally::new(options.labels.len());
    for thread in threads {
        tally.add(&thread.tally);
    }
    let measured_s = threads.iter().map(|thread| thread.measured_ns).max().unwrap_or(0) as f64 / 1e9;
    let answered_s = answered_s(threads, &tally).max(measured_s);
    let total = tally.total();
    let all = tally.latency.iter().fold(latency(), |mut all, one| {
        let _ = all.add(one);
        all
    });
    let loads: Vec<ThreadLoad> = threads.iter().map(load).collect();
    let receive_buffer_bytes = threads.first().map_or(0, |thread| thread.receive_buffer_bytes);
    let limited = loads.iter().any(|load| load.cpu_share > CPU_SHARE_MAX);
    notes.extend(own_notes(&tally, limited, receive_buffer_bytes));
    notes.extend(uncertain_notes(options, &tally));
    let accounts = accounts(options, threads);
    if options.part.is_none() {
        messages.iter_mut().for_each(MessagesReport::forget_steps);
    }
    let asked = total.requests.sent.saturating_sub(total.requests.silent);
    let loss = if asked == 0 { 0.0 } else { total.requests.lost as f64 / asked as f64 };
    let machine = machine();
    FloodReport {
        version: VERSION,
        program: concat!("fsu-mock ", env!("CARGO_PKG_VERSION")).into(),
        command_line: options.command_line.clone(),
        config: options.config.clone(),
        config_hash: options.config_hash.clone(),
        started,
        ended,
        machine: MachineReport { model: machine.model, processors: machine.processors, kernel: machine.kernel },
        run: run(options, measured_s),
        verdict: Verdict {
            passed: false,
            loss_max: options.loss_max,
            certain: total.uncertain == 0,
            failures: Vec::new(),
            generator_limited: limited,
        }
        .judge(options, &tally, loss, threads.iter().filter_map(|thread| thread.given_up.as_deref()))
        .reconcile(options, &accounts)
        .hear(messages.as_ref()),
        totals: totals(&total, &tally.other, loss, (measured_s, answered_s)),
        latency: told(options, &all, true),
        lag: told(options, &tally.lag, false),
        generator: Generator { threads: loads, receive_buffer_bytes },
        commands: commands(options, &tally),
        vendors: vendors(options, &tally),
        fsus_not_right: accounts.iter().filter(|account| !account.is_right()).count(),
        fsus: fsus(options, &accounts),
        outliers: super::outliers::outliers(options, threads),
        left_out: left_out(options),
        wrong_by: tally.wrong_by.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
        samples: samples(options, &tally),
        seconds,
        transfers: (options.transport == Transport::Broadcast)
            .then(|| TransferReport::new(options, &tally.transfers, measured_s)),
        mock_lateness: None,
        mock_verdict: None,
        messages,
        part: part(options, &tally),
        merged: None,
        thresholds: Vec::new(),
        notes,
    }
}

/// Which part of a load it is.
fn part(options: &Options, tally: &Tally) -> Option<PartReport> {
    let refused_at = tally.refused_at.map(|at| at.to_string());
    options.part.clone().map(|part| PartReport { refused_at, ..part })
}

/// The load of a thread.
fn load(thread: &ThreadReport) -> ThreadLoad {
    ThreadLoad {
        cpu: thread.cpu,
        cpu_share: if thread.busy_ns == 0 { 0.0 } else { round(thread.cpu_ns as f64 / thread.busy_ns as f64) },
    }
}

/// A distribution; with the whole histogram if this is a part, so that parts can be merged.
fn told(options: &Options, histogram: &Latency, curve: bool) -> LatencyReport {
    if options.part.is_some() { LatencyReport::exact(histogram, curve) } else { LatencyReport::new(histogram, curve) }
}

/// Notes about the generator itself.
fn own_notes(tally: &Tally, limited: bool, receive_buffer_bytes: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if limited {
        notes.push(format!(
            "The generator was the limit: a thread of it used more than {:.0} % of its processor. Use more --threads.",
            CPU_SHARE_MAX * 100.0
        ));
    }
    if tally.other.own_drops > 0 {
        notes.push(format!(
            "{} replies were dropped at the generator's own sockets (receive buffer {} bytes); use more --sockets or threads.",
            tally.other.own_drops,
            receive_buffer_bytes
        ));
    }
    let lag_us = LatencyReport::new(&tally.lag, false).p99_us;
    if lag_us > LAG_US_MAX {
        notes.push(format!(
            "The generator was behind its plan: 1 % of the requests left at least {:.1} ms late. Latencies count from the planned time.",
            lag_us / 1000.0
        ));
    }
    if tally.other.not_sent > 0 {
        notes.push(format!(
            "{} requests of the plan were not sent: too many were under way, or the generator was too slow.",
            tally.other.not_sent
        ));
    }
    if tally.other.forgotten > 0 {
        notes.push(format!(
            "{} timed-out requests were forgotten to make room: late replies to them count as duplicate, unexpected or wrong.",
            tally.other.forgotten
        ));
    }
    if tally.other.doubtful > 0 {
        notes.push(format!(
            "{} may answer equal requests that had timed out, or repeat an answer: some lost requests may be late, some late \
             replies duplicates, and real latencies longer. A longer --timeout-ms tells.",
            counted(tally.other.doubtful, "reply")
        ));
    }
    notes
}

/// Replies from which on the first and the last of them are left out of the time in which they came: few make no rate.
const EDGES_MIN: u64 = 1_000;
/// The share that is left out at each end.
const EDGE: f64 = 0.005;

/// The time span in which replies came. Of many, a few stragglers are left out.
fn answered_s(threads: &[ThreadReport], tally: &Tally) -> f64 {
    if tally.arrivals.len() >= EDGES_MIN {
        let at = |quantile: f64| tally.arrivals.value_at_quantile(quantile) as f64;
        return (at(1.0 - EDGE) - at(EDGE)) * ARRIVAL_NS as f64 / 1e9 / (1.0 - 2.0 * EDGE);
    }
    let times = || threads.iter().filter_map(|thread| thread.replies_ns);
    let first = times().map(|(first, _)| first).min().unwrap_or(0);
    times().map(|(_, last)| last).max().unwrap_or(0).saturating_sub(first) as f64 / 1e9
}

/// Commands that a failure names, at most.
pub(super) const NAMED_MAX: usize = 8;

impl Verdict {
    fn judge<'a>(
        mut self,
        options: &Options,
        tally: &Tally,
        loss: f64,
        given_up: impl Iterator<Item = &'a str>,
    ) -> Self {
        let (total, other) = (tally.total(), &tally.other);
        self.failures.extend(given_up.map(|why| format!("ended early: {why}")));
        let rows = options.labels.iter().zip(&tally.rows).filter(|(_, row)| row.unmatched > 0);
        let unmatched: Vec<&str> = rows.map(|(label, _)| &*label.key).collect();
        let refused_at = tally.refused_at.map(|at| at.to_string());
        let counts = (&Counts::from(&total), [other.duplicate, other.unexpected, other.refused]);
        self.failures.extend(counted_failures(counts, &unmatched, (loss, self.loss_max), refused_at.as_deref()));
        self.passed = self.failures.is_empty();
        self
    }

    /// What devices said has to be right, too.
    fn hear(mut self, messages: Option<&MessagesReport>) -> Self {
        self.failures.extend(messages.iter().flat_map(|messages| messages.failures()));
        self.passed = self.failures.is_empty();
        self
    }
}

impl TransferReport {
    fn new(options: &Options, transfers: &Transfers, measured_s: f64) -> Self {
        let warmup_ns = options.warmup.as_nanos() as u64;
        let elapsed_s = (transfers.ended_ns.saturating_sub(warmup_ns) as f64 / 1e9).max(measured_s);
        let per_s = |count: u64| if elapsed_s > 0.0 { round(count as f64 / elapsed_s) } else { 0.0 };
        Self {
            whole: transfers.whole,
            whole_per_s: per_s(transfers.whole),
            payload_bytes: transfers.bytes,
            payload_bytes_per_s: per_s(transfers.bytes),
            failed: transfers.failed,
            refused: transfers.refused,
            retries: transfers.retries,
            restarts: transfers.restarts,
            passed_over: transfers.passed_over,
            dropped: transfers.dropped,
            abandoned: transfers.abandoned,
            elapsed_s: round(elapsed_s),
            retries_max: options.retries,
            drop: options.drop,
            latency: told(options, &transfers.latency, true),
        }
    }
}

fn left_out(options: &Options) -> Vec<LeftOutReport> {
    let named = options.left_out.iter().filter_map(|left| Some((left, options.labels.get(left.label)?)));
    let mut all: Vec<LeftOutReport> = named
        .map(|(left, label)| LeftOutReport {
            vendor: label.vendor.to_string(),
            command: label.key.to_string(),
            why: left.why.text().into(),
            remedy: left.why.remedy().into(),
            fsu: left.fsu.to_string(),
            fsus: left.fsus,
        })
        .collect();
    all.sort_by(|a, b| (&a.vendor, &a.command).cmp(&(&b.vendor, &b.command)));
    all
}

fn run(options: &Options, measured_s: f64) -> RunReport {
    let (window, rate, ramp, poisson) = match options.pace {
        Pace::Closed { window } => (Some(window), None, None, false),
        Pace::Open { per_s, ramp_s, poisson } => (None, Some(per_s), Some(ramp_s), poisson),
    };
    let tcp = options.transport == Transport::Tcp;
    RunReport {
        transport: options.transport.name().into(),
        mix: options.mix.clone(),
        pace: if window.is_some() { "closed" } else { "open" }.into(),
        window,
        rate_per_s: rate,
        ramp_s: ramp,
        poisson,
        fsus: options.targets.len(),
        connections: if tcp { options.connections } else { 0 },
        sockets: if tcp { 0 } else { options.sockets * options.threads },
        warmup_s: options.warmup.as_secs_f64(),
        measured_s: round(measured_s),
        timeout_ms: options.timeout.as_secs_f64() * 1000.0,
        seed: options.seed,
    }
}

fn totals(total: &CommandCounts, other: &Other, loss: f64, (measured_s, answered_s): (f64, f64)) -> Totals {
    let per_s = |count: u64, seconds: f64| if seconds > 0.0 { round(count as f64 / seconds) } else { 0.0 };
    Totals {
        counts: total.into(),
        loss,
        sent_all: other.sent,
        sent_per_s: per_s(total.requests.sent, measured_s),
        replies_per_s: per_s(other.counted, answered_s),
        replies: other.counted,
        burst_missing: other.missing,
        refused: other.refused,
        duplicate: other.duplicate,
        unexpected: other.unexpected,
        heartbeats: other.heartbeats,
        not_sent: other.not_sent,
        doubtful: other.doubtful,
        send_errors: other.send_errors,
        value_misfits: other.misfits,
        reconnects: other.reconnects,
        own_drops: other.own_drops,
        bytes_out: other.bytes_out,
        bytes_in: other.bytes_in,
    }
}

fn commands(options: &Options, tally: &Tally) -> Vec<CommandReport> {
    let rows = options.labels.iter().zip(&tally.rows).zip(&tally.latency);
    let mut out: Vec<CommandReport> = rows
        .filter(|((_, row), _)| **row != CommandCounts::default())
        .map(|((label, row), latency)| CommandReport {
            vendor: label.vendor.to_string(),
            command: label.key.to_string(),
            counts: row.into(),
            latency: told(options, latency, false),
        })
        .collect();
    out.sort_by(|a, b| (&a.vendor, &a.command).cmp(&(&b.vendor, &b.command)));
    out
}

fn vendors(options: &Options, tally: &Tally) -> Vec<VendorReport> {
    let mut rows: BTreeMap<&str, (CommandCounts, Latency)> = BTreeMap::new();
    for ((label, row), one) in options.labels.iter().zip(&tally.rows).zip(&tally.latency) {
        let (sum, all) = rows.entry(&label.vendor).or_insert_with(|| (CommandCounts::default(), latency()));
        sum.add(row);
        // Same bounds: it always fits.
        let _ = all.add(one);
    }
    let rows = rows.iter().filter(|(_, (row, _))| *row != CommandCounts::default());
    rows.map(|(vendor, (row, latency))| VendorReport {
        vendor: (*vendor).to_owned(),
        counts: row.into(),
        latency: told(options, latency, false),
    })
    .collect()
}

fn samples(options: &Options, tally: &Tally) -> Vec<SampleReport> {
    tally
        .samples
        .iter()
        // If the reply came after all, the request is late, not lost.
        .filter(|(kind, _)| **kind != SampleKind::Lost || tally.total().requests.lost > 0)
        .map(|(kind, sample)| SampleReport {
            kind: kind.name().into(),
            why: sample.why.into(),
            fsu: sample.fsu.to_string(),
            command: sample.label.and_then(|label| options.labels.get(label)).map(|label| label.key.to_string()),
            request: hex::encode_upper(&sample.request),
            reply: hex::encode_upper(&sample.reply),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(replies_ns: Option<(u64, u64)>) -> ThreadReport {
        ThreadReport {
            tally: Tally::new(0),
            accounts: Vec::new(),
            spreads: Vec::new(),
            measured_ns: 0,
            replies_ns,
            busy_ns: 0,
            cpu_ns: 0,
            cpu: None,
            receive_buffer_bytes: 0,
            given_up: None,
        }
    }

    #[test]
    fn n15_replies_are_counted_over_the_time_in_which_they_came() {
        let few =
            [thread(Some((900_000_000, 1_700_000_000))), thread(None), thread(Some((950_000_000, 1_890_000_000)))];
        assert!((answered_s(&few, &Tally::new(0)) - 0.99).abs() < 1e-9);
        // One a millisecond for two seconds, and a few that took long.
        let mut many = Tally::new(0);
        (0..2_000_u64).for_each(|ms| many.arrivals.saturating_record(ms * 1_000_000 / ARRIVAL_NS));
        (0..5).for_each(|_| many.arrivals.saturating_record(9_000_000_000 / ARRIVAL_NS));
        let took_s = answered_s(&few, &many);
        assert!((1.95..2.05).contains(&took_s), "{took_s}");
    }
}
