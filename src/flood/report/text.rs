//! The report for people, and the line of each second.

use crate::book::live::Look;
use crate::numbers::{counted, thousands, time, time_of};
use crate::report::show::Show;
use crate::report::{Counts, FloodReport, FsuReport, LatencyReport, LeftOutReport, Second, TransferReport};
use crate::workload::options::Options;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use fsu_core::lateness::Lateness;
use fsu_plan::texts::{Texts, padded};
use std::fmt::Write as _;

/// Commands up to which the printed report has a line for each; beyond, a line per vendor.
const COMMANDS_PRINTED_MAX: usize = 24;

/// Columns of a line's name.
const NAME_COLUMNS: usize = 12;

/// Commands left out that the printed report names.
const LEFT_OUT_PRINTED_MAX: usize = 12;

/// A line a second on stderr.
#[derive(Debug)]
pub struct Lines {
    /// Say nothing.
    pub quiet: bool,
    /// The language.
    pub say: Texts,
}

impl Show for Lines {
    fn second(&mut self, _options: &Options, second: &Second, look: &Look) {
        if self.quiet {
            return;
        }
        let Second { at_s, is_rest, wrong, lost, p50_us, p99_us, max_us, .. } = *second;
        let more = look.other.heartbeats;
        let [sent, replies] = second.per_s().map(|rate| thousands(rate.round() as u64));
        let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| time_of(u64::from(max_us > 0.0), us));
        let rest = if is_rest { "  (sending has ended)" } else { "" };
        let line = format!(
            "{at_s:6.1} s  sent {sent:>9}/s  replies {replies:>9}/s  p50 {p50:>9}  p99 {p99:>9}  max {max:>9}  \
             lost {lost}  wrong {wrong}  heartbeats {more}{rest}"
        );
        fsu_net::unblocked::stderr(&format!("{}\n", self.say.lines(&line)));
    }

    fn end(&mut self) {}
}

/// Tables have a line below their header and nothing else: they survive a log file and a narrow terminal.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

pub(crate) fn table(head: &[&str], say: Texts) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(head.iter().map(|&name| say.say(name)));
    for (name, column) in head.iter().zip(table.column_iter_mut()) {
        if !matches!(*name, "vendor" | "command" | "message") {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn counts(counts: &Counts) -> [String; 6] {
    let Counts { sent, good, late, wrong, lost, silent, .. } = *counts;
    [sent, good, late, wrong, lost, silent].map(thousands)
}

fn times(latency: &LatencyReport) -> [String; 5] {
    let all = [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us];
    all.map(|us| time_of(latency.count, us))
}

/// Hex digits of a sample that are printed; a report's JSON has all.
const HEX_PRINTED_MAX: usize = 4096;

/// Hex digits of a frame, cut only where a page of them would follow.
pub(crate) fn hex(digits: &str) -> String {
    match digits.get(..HEX_PRINTED_MAX) {
        Some(first) if digits.len() > HEX_PRINTED_MAX => {
            let more = counted(((digits.len() - HEX_PRINTED_MAX) / 2) as u64, "more byte");
            format!("{first}... {more} (--json has them)")
        }
        _ => digits.to_owned(),
    }
}

/// A command that was not asked, in one line.
pub fn left_out(left: &LeftOutReport) -> String {
    let LeftOutReport { vendor, command, why, remedy, fsu, fsus } = left;
    let more = match fsus.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "more FSU")),
    };
    format!("{command} of {vendor} ({fsu}{more}): {why}; {remedy}")
}

/// FSUs with which not all was right that the printed report has a line for.
const FSUS_LINES_MAX: usize = 8;

/// An FSU with which not all was right, in one line.
fn account(of: &FsuReport) -> String {
    let FsuReport { fsu, sent, good, late, wrong, lost, silent, duplicate, unexpected } = of;
    let columns = [("late", late), ("wrong", wrong), ("lost", lost), ("silent", silent)];
    let beside = [("duplicate", duplicate), ("unexpected", unexpected)];
    let some = |all: &[(&str, &u64)], before: &str| -> String {
        let some = all.iter().filter(|(_, count)| **count > 0);
        let each: Vec<String> = some.map(|(name, count)| format!("{before}{} {name}", thousands(**count))).collect();
        each.concat()
    };
    let (columns, beside) = (some(&columns, " + "), some(&beside, "; "));
    format!("{fsu}: {} sent = {} good{columns}{beside}", thousands(*sent), thousands(*good))
}

/// How much of a run is not known.
pub fn uncertain(report: &FloodReport) -> String {
    let Counts { sent, uncertain, .. } = report.totals.counts;
    format!(
        "{} of {} equal others, and their lost and duplicate replies cancel each other out",
        thousands(uncertain),
        counted(sent, "request")
    )
}

/// The report as text.
pub fn text(report: &FloodReport, say: Texts) -> String {
    // Writing to a String cannot fail.
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", rows(report, say));
    out += &report.messages.as_ref().map_or(String::new(), |messages| messages.text(say));
    let mut pair = |name: &str, value: String| {
        let _ = writeln!(out, "  {} {}", padded(&say.say(name), NAME_COLUMNS), say.say(&value));
    };
    totals(report, &mut pair);
    if let Some(of) = &report.transfers {
        transfers(of, &mut pair);
    }
    own(report, &mut pair);
    not_right(report, &mut pair);
    for of in &report.thresholds {
        pair("fail if", of.told());
    }
    let mut rest = String::new();
    samples(report, &mut rest);
    verdict(report, &mut rest);
    out += &say.lines(&rest);
    out
}

/// A line for each command, or for each vendor.
fn rows(report: &FloodReport, say: Texts) -> Table {
    let head =
        ["vendor", "command", "sent", "good", "late", "wrong", "lost", "silent", "p50", "p90", "p99", "p99.9", "max"];
    let mut rows = table(&head, say);
    let mut add = |vendor: &str, command: &str, of: &Counts, latency: &LatencyReport| {
        let mut row = vec![vendor.to_owned(), command.to_owned()];
        row.extend(counts(of));
        row.extend(times(latency));
        rows.add_row(row);
    };
    if report.commands.len() <= COMMANDS_PRINTED_MAX {
        for command in &report.commands {
            add(&command.vendor, &command.command, &command.counts, &command.latency);
        }
    } else {
        for vendor in &report.vendors {
            let commands = report.commands.iter().filter(|command| command.vendor == vendor.vendor).count();
            let commands = counted(commands as u64, "command");
            add(&vendor.vendor, &say.say(&commands), &vendor.counts, &vendor.latency);
        }
    }
    add(&say.say("all"), "", &report.totals.counts, &report.latency);
    rows
}

/// Takes a line: a name, and a value.
type Pair<'a> = &'a mut dyn FnMut(&str, String);

/// The run, its rates and counts.
fn totals(report: &FloodReport, pair: Pair<'_>) {
    let totals = &report.totals;
    let run = &report.run;
    let pace = match (run.window, run.rate_per_s) {
        (Some(window), _) => {
            format!("closed loop, {window} under way per {}", if run.connections > 0 { "connection" } else { "port" })
        }
        (_, Some(rate)) => format!("open loop, {} requests/s", thousands(rate.round() as u64)),
        _ => String::new(),
    };
    let fsus = counted(run.fsus as u64, "FSU");
    pair("run", format!("{fsus} over {}, {pace}, {:.3} s measured", run.transport, run.measured_s));
    pair("sent", format!("{} requests/s", thousands(totals.sent_per_s.round() as u64)));
    pair("answered", format!("{} replies/s", thousands(totals.replies_per_s.round() as u64)));
    pair("loss", format!("{} ({:.4} %)", thousands(totals.counts.lost), totals.loss * 100.0));
    let others: [(&str, u64); 12] = [
        ("uncertain", totals.counts.uncertain),
        ("refused", totals.refused),
        ("missing", totals.burst_missing),
        ("duplicate", totals.duplicate),
        ("unexpected", totals.unexpected),
        ("heartbeats", totals.heartbeats),
        ("not sent", totals.not_sent),
        ("doubtful", totals.doubtful),
        ("send errors", totals.send_errors),
        ("misfits", totals.value_misfits),
        ("reconnects", totals.reconnects),
        ("own drops", totals.own_drops),
    ];
    for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
        pair(name, thousands(count));
    }
}

/// Whole transfers of BroadCast.
fn transfers(transfers: &TransferReport, pair: Pair<'_>) {
    let rate = transfers.whole_per_s;
    let whole = thousands(transfers.whole);
    pair("transfers", format!("{whole} whole, {rate:.1}/s; {} failed", thousands(transfers.failed)));
    if transfers.refused > 0 {
        let refused = thousands(transfers.refused);
        pair("refused", format!("{refused} commands, by an FSU without a place, or with too much data for this host"));
    }
    let (bytes, per_s) = (thousands(transfers.payload_bytes), transfers.payload_bytes_per_s / 1e6);
    pair("data", format!("{bytes} bytes, {per_s:.2} MB/s"));
    let TransferReport { retries, restarts, passed_over, .. } = *transfers;
    let [retries, restarts, passed_over] = [retries, restarts, passed_over].map(thousands);
    pair("frames", format!("{retries} requested again, {passed_over} skipped; {restarts} transfers restarted"));
    for (name, count) in [("dropped", transfers.dropped), ("abandoned", transfers.abandoned)] {
        if count > 0 {
            pair(name, thousands(count));
        }
    }
    if transfers.whole > 0 {
        let [p50, p90, p99, _, max] = times(&transfers.latency);
        pair("a transfer", format!("p50 {p50}, p90 {p90}, p99 {p99}, max {max}"));
    }
}

/// Latency, and the generator itself.
fn own(report: &FloodReport, pair: Pair<'_>) {
    let run = &report.run;
    let from = if run.rate_per_s.is_some() { "from the planned send" } else { "from the send" };
    pair("latency", format!("counted {from}; mean {}", time_of(report.latency.count, report.latency.mean_us)));
    if run.rate_per_s.is_some() && report.lag.count > 0 {
        let lag = &report.lag;
        pair("own lag", format!("p50 {}, p99 {}, max {}", time(lag.p50_us), time(lag.p99_us), time(lag.max_us)));
    }
    let shares: Vec<String> =
        report.generator.threads.iter().map(|load| format!("{:.0} %", load.cpu_share * 100.0)).collect();
    pair("own CPU", shares.join(", "));
}

/// What was wrong, and where; what was not asked.
fn not_right(report: &FloodReport, pair: Pair<'_>) {
    for (why, count) in &report.wrong_by {
        pair("wrong", format!("{} {why}", thousands(*count)));
    }
    for fsu in report.fsus.iter().take(FSUS_LINES_MAX) {
        pair("FSU", account(fsu));
    }
    if report.fsus_not_right > FSUS_LINES_MAX {
        pair("FSU", format!("and {} more (--json)", thousands((report.fsus_not_right - FSUS_LINES_MAX) as u64)));
    }
    for left in report.left_out.iter().take(LEFT_OUT_PRINTED_MAX) {
        pair("left out", left_out(left));
    }
    if report.left_out.len() > LEFT_OUT_PRINTED_MAX {
        pair("left out", format!("and {} more (--json has all)", report.left_out.len() - LEFT_OUT_PRINTED_MAX));
    }
}

/// The first of each kind that was not right.
fn samples(report: &FloodReport, out: &mut String) {
    for sample in &report.samples {
        let command = sample.command.as_deref().unwrap_or("-");
        let _ = writeln!(out, "\n  first {}: {} ({}, {command})", sample.kind, sample.why, sample.fsu);
        if !sample.request.is_empty() {
            let _ = writeln!(out, "    request  {}", hex(&sample.request));
        }
        if !sample.reply.is_empty() {
            let _ = writeln!(out, "    reply    {}", hex(&sample.reply));
        }
    }
}

/// Notes, what the mock says of itself, and the verdict.
fn verdict(report: &FloodReport, out: &mut String) {
    for note in &report.notes {
        let _ = writeln!(out, "\n  note: {note}");
    }
    if let Some(late) = &report.mock_lateness {
        let Lateness { p50_us, p99_us, p999_us, max_us, .. } = late;
        let told = [p50_us, p99_us, p999_us, max_us].map(|us| time(*us as f64));
        let [p50, p99, p999, max] = told;
        let _ = writeln!(out, "\n  mock's own lateness: p50 {p50}, p99 {p99}, p99.9 {p999}, latest {max}");
    }
    if let Some(verdict) = &report.mock_verdict {
        let _ = writeln!(out, "  {}", verdict.text);
    }
    let _ = match report.verdict.failures.as_slice() {
        [] if !report.verdict.certain => writeln!(out, "\n  passed, but uncertain: {}", uncertain(report)),
        [] => writeln!(out, "\n  passed"),
        failures => writeln!(out, "\n  FAILED: {}", failures.join(", ")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_hex_printed_max() {
        let check = |digits: usize, expected: &str| {
            let printed = hex(&"A".repeat(digits));
            assert_eq!((&printed[..4_096], &printed[4_096..]), (&*"A".repeat(4_096), expected));
        };
        check(4_096, "");
        check(4_098, "... 1 more byte (--json has them)");
        check(4_100, "... 2 more bytes (--json has them)");
    }
}
