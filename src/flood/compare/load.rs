//! Two reports of the load generator.

use super::Row;
use crate::report::{FloodReport, Second};

/// A shorter part of a second makes no rate.
const PART_S_MIN: f64 = 0.5;

/// The seconds after the warm-up and before the end of sending.
fn seconds(report: &FloodReport) -> Vec<Second> {
    let is_measured = |second: &&Second| {
        let begins = second.at_s - second.span_s;
        !second.is_rest && second.span_s >= PART_S_MIN && begins >= report.run.warmup_s - 0.1
    };
    report.seconds.iter().filter(is_measured).copied().collect()
}

/// Why the two are not of the same thing; empty where they are.
pub fn different(a: &FloodReport, b: &FloodReport) -> Vec<String> {
    let mut out = Vec::new();
    let mut compare = |what: &str, a: String, b: String| {
        if a != b {
            out.push(format!("{what}: {a} and {b}"));
        }
    };
    let of = |value: &Option<String>, other: &str| value.clone().unwrap_or_else(|| other.to_owned());
    if a.config_hash.is_some() && b.config_hash.is_some() {
        compare("the configuration's hash", of(&a.config_hash, ""), of(&b.config_hash, ""));
    } else {
        compare("the configuration", a.config.clone(), b.config.clone());
    }
    compare("the mix", of(&a.run.mix, "all commands"), of(&b.run.mix, "all commands"));
    compare("the transport", a.run.transport.clone(), b.run.transport.clone());
    let pace = |report: &FloodReport| {
        let (run, poisson) = (&report.run, if report.run.poisson { ", Poisson" } else { "" });
        match (run.window, run.rate_per_s) {
            (Some(window), _) => format!("closed loop with {window} under way"),
            (None, rate) => format!("{} requests/s{poisson}", rate.unwrap_or_default()),
        }
    };
    compare("the pace", pace(a), pace(b));
    compare("FSUs", a.run.fsus.to_string(), b.run.fsus.to_string());
    compare("connections", a.run.connections.to_string(), b.run.connections.to_string());
    compare("the time-out", format!("{} ms", a.run.timeout_ms), format!("{} ms", b.run.timeout_ms));
    out
}

/// What a reader should know.
pub fn notes(a: &FloodReport, b: &FloodReport) -> Vec<String> {
    let mut notes = Vec::new();
    let machine =
        |of: &FloodReport| format!("{}, {} processors, {}", of.machine.model, of.machine.processors, of.machine.kernel);
    if machine(a) != machine(b) {
        notes.push(format!("different machines: {}; {}", machine(a), machine(b)));
    }
    for (report, which) in [(a, "first"), (b, "second")] {
        if report.verdict.generator_limited {
            notes.push(format!("in the {which} run the generator was the limit: its rate is not the server's"));
        }
    }
    let least = seconds(a).len().min(seconds(b).len());
    if least < super::stats::SAMPLES_MIN {
        notes.push(format!("too few seconds for a test: {least} of {} in the shorter run", super::stats::SAMPLES_MIN));
    }
    notes
}

/// The metrics of both.
pub fn rows(a: &FloodReport, b: &FloodReport) -> Vec<Row> {
    let (before, after) = (seconds(a), seconds(b));
    let of = |seconds: &[Second], value: fn(&Second) -> f64| seconds.iter().map(value).collect::<Vec<f64>>();
    let series = |named, higher_is_better, value: fn(&Second) -> f64| {
        Row::series(named, higher_is_better, (&of(&before, value), &of(&after, value)))
    };
    let all = [
        series(("replies", "/s"), true, |second| second.per_s()[1]),
        series(("p50", "us"), false, |second| second.p50_us),
        series(("p99", "us"), false, |second| second.p99_us),
        series(("max", "us"), false, |second| second.max_us),
    ];
    let mut rows: Vec<Row> = all.into_iter().flatten().collect();
    let (x, y) = (&a.totals, &b.totals);
    let asked = |of: &FloodReport| of.totals.counts.sent.saturating_sub(of.totals.counts.silent);
    let share = |name: &str, a_count: u64, b_count: u64| Row::share(name, (a_count, asked(a)), (b_count, asked(b)));
    rows.extend(share("loss", x.counts.lost, y.counts.lost));
    rows.extend(share("wrong", x.counts.wrong, y.counts.wrong));
    rows.extend(share("late", x.counts.late, y.counts.late));
    rows.extend(share("duplicate", x.duplicate, y.duplicate));
    rows.extend(share("unexpected", x.unexpected, y.unexpected));
    rows.extend(share("not sent", x.not_sent, y.not_sent));
    if let (Some(x), Some(y)) = (&a.mock_lateness, &b.mock_lateness) {
        rows.extend(super::mock::lateness(x, y));
    }
    let lag = (a.lag.p99_us, b.lag.p99_us);
    rows.extend((lag != (0.0, 0.0)).then(|| Row::new(("own lag p99", "us"), lag)));
    let cpu = |of: &FloodReport| of.generator.threads.iter().map(|load| load.cpu_share * 100.0).fold(0.0, f64::max);
    rows.push(Row::new(("own CPU", "%"), (cpu(a), cpu(b))));
    rows
}
