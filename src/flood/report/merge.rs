//! One report of those of all parts of a load (spec scale.md).
//!
//! Counts are added, histograms are put together exactly, rates are added. The verdict is that of the whole: losses of all parts against
//! the loss that is allowed, and whatever failed in a part.

use super::part::{MergedReport, PartReport, counted_failures, rate};
use super::reconcile::FSUS_TOLD_MAX;
use super::{
    CommandReport, Counts, FloodReport, FsuReport, Generator, LatencyReport, LeftOutReport, MachineReport, RunReport,
    SampleReport, Totals, TransferReport, VendorReport, Verdict, round,
};
use crate::numbers::counted;
use std::collections::BTreeMap;

mod course;
mod heard;

/// The common time, as a share of the longest part's, below which the report warns.
const COMMON_SHARE_MIN: f64 = 0.9;

/// Why reports cannot be merged; each names the report by its index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It is no part.
    #[error("a report of a load without --partition")]
    NoPart(usize),
    /// It belongs to another load.
    #[error("{what} is {found}, and {expected} in another part")]
    Differs {
        /// Which.
        index: usize,
        /// In what.
        what: &'static str,
        /// There.
        found: String,
        /// In the first.
        expected: String,
    },
    /// It was held to thresholds of its own.
    #[error(
        "--fail-if held one part's figures to what was meant for all: leave it out of the parts, and hold the merged report to it \
         (fsu-mock flood --from REPORT --fail-if ...)"
    )]
    Thresholds(usize),
    /// It has the verdict of a second run.
    #[error("--judged belongs to the whole: leave it out of the parts (fsu-mock flood --from REPORT --judged ...)")]
    Judged(usize),
    /// A histogram is not whole.
    #[error("a histogram in it is not whole")]
    Histogram(usize),
}

impl MergeError {
    /// The index of the report.
    pub fn index(&self) -> usize {
        match *self {
            Self::NoPart(index)
            | Self::Thresholds(index)
            | Self::Judged(index)
            | Self::Histogram(index)
            | Self::Differs { index, .. } => index,
        }
    }
}

/// Merges the reports of different parts; those in `missing` are not among them. There is at least one.
///
/// # Errors
/// They do not belong together, or are of a kind that cannot be merged.
pub fn merge(parts: &[FloodReport], missing: Vec<u32>) -> Result<FloodReport, MergeError> {
    belong_together(parts)?;
    let Some(first) = parts.first() else { return Err(MergeError::NoPart(0)) };
    let whole = |of: fn(&FloodReport) -> &LatencyReport| {
        let lacking = parts.iter().position(|part| LatencyReport::sum([of(part)]).is_none()).unwrap_or(0);
        LatencyReport::sum(parts.iter().map(of)).ok_or(MergeError::Histogram(lacking))
    };
    let commands = commands(parts)?;
    let transfers = transfers(parts)?;
    let messages = heard::messages(parts)?;
    let mut totals = totals(parts);
    let asked = totals.counts.sent.saturating_sub(totals.counts.silent);
    totals.loss = if asked == 0 { 0.0 } else { totals.counts.lost as f64 / asked as f64 };
    let own = PartReport { part: 0, of: 0, fsus_of: 0, refused_at: None };
    let head = first.part.as_ref().unwrap_or(&own);
    let common_s = course::common_s(parts);
    let merged = MergedReport { parts: parts.len(), of: head.of, missing, fsus_of: head.fsus_of, common_s };
    Ok(FloodReport {
        version: first.version,
        program: first.program.clone(),
        command_line: first.command_line.clone(),
        config: first.config.clone(),
        config_hash: first.config_hash.clone(),
        started: parts.iter().map(|part| part.started.clone()).min().unwrap_or_default(),
        ended: parts.iter().map(|part| part.ended.clone()).max().unwrap_or_default(),
        machine: machine(parts),
        run: run(parts),
        verdict: verdict(parts, &totals, &commands, messages.as_ref()),
        latency: whole(|part| &part.latency)?,
        lag: whole(|part| &part.lag)?,
        generator: Generator {
            threads: parts.iter().flat_map(|part| part.generator.threads.iter().cloned()).collect(),
            receive_buffer_bytes: parts.iter().map(|part| part.generator.receive_buffer_bytes).min().unwrap_or(0),
        },
        vendors: vendors(&commands),
        fsus_not_right: parts.iter().map(|part| part.fsus_not_right).sum(),
        fsus: fsus(parts),
        // What is usual is a median over the FSUs of all parts, whose times a report does not have.
        outliers: None,
        left_out: left_out(parts),
        wrong_by: sums(parts.iter().map(|part| &part.wrong_by)),
        samples: samples(parts),
        seconds: course::seconds(parts),
        mock_lateness: None,
        mock_verdict: None,
        part: None,
        thresholds: Vec::new(),
        notes: notes(parts, &merged),
        merged: Some(merged),
        totals,
        commands,
        transfers,
        messages,
    })
}

/// What has to be the same in all parts, and where a report tells it.
type Of<'a> = (&'static str, &'a dyn Fn(&FloodReport) -> String);

fn belong_together(parts: &[FloodReport]) -> Result<(), MergeError> {
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let all: [Of<'_>; 13] = [
        ("the program", &|one| one.program.clone()),
        ("the hash of the configuration", &|one| one.config_hash.clone().unwrap_or_default()),
        ("the number of parts", &|one| text(&one.part.as_ref().map(|part| part.of))),
        ("the number of FSUs that all parts chose", &|one| text(&one.part.as_ref().map(|part| part.fsus_of))),
        ("the transport", &|one| one.run.transport.clone()),
        ("--mix or --values", &|one| one.run.mix.clone().unwrap_or_else(|| "none".to_owned())),
        ("the pace", &|one| one.run.pace.clone()),
        ("--window", &|one| text(&one.run.window)),
        ("--ramp", &|one| text(&one.run.ramp_s)),
        ("--poisson", &|one| text(&one.run.poisson)),
        ("--warmup", &|one| text(&one.run.warmup_s)),
        ("--timeout-ms", &|one| text(&one.run.timeout_ms)),
        ("--max-loss", &|one| text(&one.verdict.loss_max)),
    ];
    for (index, one) in parts.iter().enumerate() {
        if one.part.is_none() {
            return Err(MergeError::NoPart(index));
        }
        if !one.thresholds.is_empty() {
            return Err(MergeError::Thresholds(index));
        }
        if one.mock_verdict.as_ref().is_some_and(|verdict| verdict.judged.is_some()) {
            return Err(MergeError::Judged(index));
        }
        for (what, of) in all {
            let (found, expected) = (of(one), parts.first().map(of).unwrap_or_default());
            if found != expected {
                return Err(MergeError::Differs { index, what, found, expected });
            }
        }
    }
    Ok(())
}

fn add(to: &mut Counts, from: &Counts) {
    let Counts { sent, good, late, wrong, lost, silent, unmatched, uncertain } = *from;
    for (to, more) in [
        (&mut to.sent, sent),
        (&mut to.good, good),
        (&mut to.late, late),
        (&mut to.wrong, wrong),
        (&mut to.lost, lost),
        (&mut to.silent, silent),
        (&mut to.unmatched, unmatched),
        (&mut to.uncertain, uncertain),
    ] {
        *to += more;
    }
}

fn sum(parts: &[FloodReport], of: impl Fn(&Totals) -> u64) -> u64 {
    parts.iter().map(|part| of(&part.totals)).sum()
}

fn totals(parts: &[FloodReport]) -> Totals {
    let mut counts = Counts::default();
    for part in parts {
        add(&mut counts, &part.totals.counts);
    }
    Totals {
        counts,
        loss: 0.0,
        sent_all: sum(parts, |one| one.sent_all),
        sent_per_s: rate(parts.iter().map(|part| part.totals.sent_per_s)),
        replies_per_s: rate(parts.iter().map(|part| part.totals.replies_per_s)),
        replies: sum(parts, |one| one.replies),
        burst_missing: sum(parts, |one| one.burst_missing),
        refused: sum(parts, |one| one.refused),
        duplicate: sum(parts, |one| one.duplicate),
        unexpected: sum(parts, |one| one.unexpected),
        heartbeats: sum(parts, |one| one.heartbeats),
        not_sent: sum(parts, |one| one.not_sent),
        doubtful: sum(parts, |one| one.doubtful),
        send_errors: sum(parts, |one| one.send_errors),
        value_misfits: sum(parts, |one| one.value_misfits),
        reconnects: sum(parts, |one| one.reconnects),
        own_drops: sum(parts, |one| one.own_drops),
        bytes_out: sum(parts, |one| one.bytes_out),
        bytes_in: sum(parts, |one| one.bytes_in),
    }
}

/// Rows of one command of all parts, with the latency of all of them.
fn commands(parts: &[FloodReport]) -> Result<Vec<CommandReport>, MergeError> {
    let mut rows: BTreeMap<(&str, &str), Vec<&CommandReport>> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        for row in &part.commands {
            if LatencyReport::sum([&row.latency]).is_none() {
                return Err(MergeError::Histogram(index));
            }
            rows.entry((&row.vendor, &row.command)).or_default().push(row);
        }
    }
    let row = |((vendor, command), rows): ((&str, &str), Vec<&CommandReport>)| {
        let mut counts = Counts::default();
        for row in &rows {
            add(&mut counts, &row.counts);
        }
        let latency = LatencyReport::sum(rows.iter().map(|row| &row.latency)).unwrap_or_default();
        CommandReport { vendor: vendor.to_owned(), command: command.to_owned(), counts, latency }
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The vendors of these commands, whose histograms are whole.
fn vendors(commands: &[CommandReport]) -> Vec<VendorReport> {
    let mut rows: BTreeMap<&str, Vec<&CommandReport>> = BTreeMap::new();
    for row in commands {
        rows.entry(&row.vendor).or_default().push(row);
    }
    let row = |(vendor, rows): (&str, Vec<&CommandReport>)| {
        let mut counts = Counts::default();
        for row in &rows {
            add(&mut counts, &row.counts);
        }
        let latency = LatencyReport::sum(rows.iter().map(|row| &row.latency)).unwrap_or_default();
        VendorReport { vendor: vendor.to_owned(), counts, latency }
    };
    rows.into_iter().map(row).collect()
}

fn transfers(parts: &[FloodReport]) -> Result<Option<TransferReport>, MergeError> {
    let all: Vec<&TransferReport> = parts.iter().filter_map(|part| part.transfers.as_ref()).collect();
    let Some(first) = all.first() else { return Ok(None) };
    let sum = |of: fn(&TransferReport) -> u64| all.iter().map(|one| of(one)).sum::<u64>();
    let Some(latency) = LatencyReport::sum(all.iter().map(|one| &one.latency)) else {
        return Err(MergeError::Histogram(0));
    };
    Ok(Some(TransferReport {
        whole: sum(|one| one.whole),
        whole_per_s: rate(all.iter().map(|one| one.whole_per_s)),
        payload_bytes: sum(|one| one.payload_bytes),
        payload_bytes_per_s: rate(all.iter().map(|one| one.payload_bytes_per_s)),
        failed: sum(|one| one.failed),
        refused: sum(|one| one.refused),
        retries: sum(|one| one.retries),
        restarts: sum(|one| one.restarts),
        passed_over: sum(|one| one.passed_over),
        dropped: sum(|one| one.dropped),
        abandoned: sum(|one| one.abandoned),
        elapsed_s: all.iter().map(|one| one.elapsed_s).fold(0.0, f64::max),
        retries_max: first.retries_max,
        drop: first.drop,
        latency,
    }))
}

fn machine(parts: &[FloodReport]) -> MachineReport {
    let different = |of: fn(&MachineReport) -> &String| {
        let mut all: Vec<&str> = parts.iter().map(|part| of(&part.machine).as_str()).collect();
        all.sort_unstable();
        all.dedup();
        all.join(", ")
    };
    MachineReport {
        model: different(|machine| &machine.model),
        processors: parts.iter().map(|part| part.machine.processors).sum(),
        kernel: different(|machine| &machine.kernel),
    }
}

/// What was asked of all parts together.
fn run(parts: &[FloodReport]) -> RunReport {
    let Some(first) = parts.first() else { unreachable!("there is a part") };
    let sum = |of: fn(&RunReport) -> usize| parts.iter().map(|part| of(&part.run)).sum::<usize>();
    let rates = parts.iter().map(|part| part.run.rate_per_s);
    RunReport {
        rate_per_s: rates.sum::<Option<f64>>().map(round),
        fsus: sum(|run| run.fsus),
        connections: sum(|run| run.connections),
        sockets: sum(|run| run.sockets),
        measured_s: parts.iter().map(|part| part.run.measured_s).fold(0.0, f64::max),
        ..first.run.clone()
    }
}

/// The failures of a part that its own counts tell.
fn own_counted(part: &FloodReport) -> Vec<String> {
    let refused_at = part.part.as_ref().and_then(|own| own.refused_at.as_deref());
    let mut all = of_counts(&part.totals, &part.commands, part.verdict.loss_max, refused_at);
    all.extend(part.messages.iter().flat_map(super::MessagesReport::failures));
    all
}

fn of_counts(totals: &Totals, commands: &[CommandReport], loss_max: f64, refused_at: Option<&str>) -> Vec<String> {
    let unmatched = commands.iter().filter(|row| row.counts.unmatched > 0).map(|row| &*row.command);
    let counts = (&totals.counts, [totals.duplicate, totals.unexpected, totals.refused]);
    counted_failures(counts, &unmatched.collect::<Vec<_>>(), (totals.loss, loss_max), refused_at)
}

fn verdict(
    parts: &[FloodReport],
    totals: &Totals,
    commands: &[CommandReport],
    messages: Option<&super::MessagesReport>,
) -> Verdict {
    let loss_max = parts.first().map_or(0.0, |part| part.verdict.loss_max);
    let refused_at = parts.iter().find_map(|part| part.part.as_ref()?.refused_at.as_deref());
    let mut failures = of_counts(totals, commands, loss_max, refused_at);
    failures.extend(messages.iter().flat_map(|messages| messages.failures()));
    for part in parts {
        // Failures that follow from counts are judged over all parts. Other failures are copied.
        let counted = own_counted(part);
        // The order of keys in such a line is the configuration's there, and the alphabet's here.
        let is_counted = |why: &&String| counted.contains(why) || why.contains(" that no rule answers (");
        let number = part.part.as_ref().map_or(0, |own| own.part);
        let rest = part.verdict.failures.iter().filter(|why| !is_counted(why));
        failures.extend(rest.map(|why| format!("part {number}: {why}")));
    }
    Verdict {
        passed: failures.is_empty(),
        loss_max,
        certain: totals.counts.uncertain == 0,
        failures,
        generator_limited: parts.iter().any(|part| part.verdict.generator_limited),
    }
}

/// Those with most faults of all parts. Each part names as many, so none that belongs here is missing.
fn fsus(parts: &[FloodReport]) -> Vec<FsuReport> {
    let mut all: Vec<&FsuReport> = parts.iter().flat_map(|part| &part.fsus).collect();
    let faults = |one: &FsuReport| one.late + one.wrong + one.lost + one.duplicate + one.unexpected;
    all.sort_by_key(|one| std::cmp::Reverse(faults(one)));
    all.into_iter().take(FSUS_TOLD_MAX).cloned().collect()
}

fn left_out(parts: &[FloodReport]) -> Vec<LeftOutReport> {
    let mut rows: BTreeMap<(&str, &str, &str), LeftOutReport> = BTreeMap::new();
    for row in parts.iter().flat_map(|part| &part.left_out) {
        let key = (&*row.vendor, &*row.command, &*row.why);
        rows.entry(key).and_modify(|sum| sum.fsus += row.fsus).or_insert_with(|| row.clone());
    }
    rows.into_values().collect()
}

/// The first of each kind.
fn samples(parts: &[FloodReport]) -> Vec<SampleReport> {
    let mut all: Vec<SampleReport> = Vec::new();
    for sample in parts.iter().flat_map(|part| &part.samples) {
        if !all.iter().any(|one| one.kind == sample.kind) {
            all.push(sample.clone());
        }
    }
    all
}

/// Counts by name, added.
fn sums<'a>(all: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (name, count) in all.flatten() {
        *sums.entry(name.clone()).or_default() += count;
    }
    sums
}

fn notes(parts: &[FloodReport], merged: &MergedReport) -> Vec<String> {
    let mut notes = Vec::new();
    let longest = parts.iter().map(|part| part.run.measured_s).fold(0.0, f64::max);
    if merged.common_s < longest * COMMON_SHARE_MIN {
        notes.push(format!(
            "The parts sent together for {:.1} of {longest:.1} s only: rates are those of each part's own time, added.",
            merged.common_s
        ));
    }
    if !merged.missing.is_empty() {
        let missing: Vec<String> = merged.missing.iter().map(ToString::to_string).collect();
        notes.push(format!("{} missing: {}.", counted(missing.len() as u64, "part"), missing.join(", ")));
    }
    if parts.iter().any(|part| part.mock_lateness.is_some()) {
        notes.push(
            "The parts' figures of the mock are left out: merge its statistics, and add them with --from and --mock-stats.".into(),
        );
    }
    for part in parts {
        let number = part.part.as_ref().map_or(0, |own| own.part);
        notes.extend(part.notes.iter().map(|note| format!("Part {number}: {note}")));
    }
    notes
}
