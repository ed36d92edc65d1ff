//! The metrics of a load's report that `--fail-if` compares.

use crate::expect::Wrong;
use crate::report::messages::{MessagesReport, thresholds as messages};
use crate::report::{FloodReport, LatencyReport};
use crate::threshold::{self, Kind, Metrics, Threshold, ThresholdReport};

/// A metric: its name, its kind, and its value in a report; no value: nothing was measured.
struct Metric {
    name: &'static str,
    kind: Kind,
    value: fn(&FloodReport) -> Option<f64>,
}

const fn metric(name: &'static str, kind: Kind, value: fn(&FloodReport) -> Option<f64>) -> Metric {
    Metric { name, kind, value }
}

/// A count that every report has.
macro_rules! counts {
    ($($name:literal: $($field:ident).+),+ $(,)?) => {
        [$(metric($name, Kind::Count, |report| Some(report.$($field).+ as f64))),+]
    };
}

/// Times, shares and rates.
const MEASURES: [Metric; 31] = [
    metric("min", Kind::Time, |report| some(&report.latency, report.latency.min_us)),
    metric("mean", Kind::Time, |report| some(&report.latency, report.latency.mean_us)),
    metric("p50", Kind::Time, |report| at(&report.latency, 50.0)),
    metric("p75", Kind::Time, |report| at(&report.latency, 75.0)),
    metric("p90", Kind::Time, |report| at(&report.latency, 90.0)),
    metric("p95", Kind::Time, |report| at(&report.latency, 95.0)),
    metric("p99", Kind::Time, |report| at(&report.latency, 99.0)),
    metric("p99.9", Kind::Time, |report| at(&report.latency, 99.9)),
    metric("p99.99", Kind::Time, |report| at(&report.latency, 99.99)),
    metric("max", Kind::Time, |report| some(&report.latency, report.latency.max_us)),
    metric("loss", Kind::Share, |report| Some(report.totals.loss * 100.0)),
    metric("rate", Kind::Rate, |report| Some(report.totals.replies_per_s)),
    metric("sent_rate", Kind::Rate, |report| Some(report.totals.sent_per_s)),
    metric("lag.p50", Kind::Time, |report| some(&report.lag, report.lag.p50_us)),
    metric("lag.p90", Kind::Time, |report| some(&report.lag, report.lag.p90_us)),
    metric("lag.p99", Kind::Time, |report| some(&report.lag, report.lag.p99_us)),
    metric("lag.p99.9", Kind::Time, |report| some(&report.lag, report.lag.p999_us)),
    metric("lag.max", Kind::Time, |report| some(&report.lag, report.lag.max_us)),
    metric("cpu", Kind::Share, |report| {
        let shares = report.generator.threads.iter().map(|load| load.cpu_share * 100.0);
        shares.reduce(f64::max)
    }),
    metric("mock.p50", Kind::Time, |report| Some(report.mock_lateness.as_ref()?.p50_us as f64)),
    metric("mock.p99", Kind::Time, |report| Some(report.mock_lateness.as_ref()?.p99_us as f64)),
    metric("mock.p99.9", Kind::Time, |report| Some(report.mock_lateness.as_ref()?.p999_us as f64)),
    metric("mock.max", Kind::Time, |report| Some(report.mock_lateness.as_ref()?.max_us as f64)),
    metric("mock.late", Kind::Share, |report| {
        let late = report.mock_lateness.as_ref().filter(|late| late.replies > 0)?;
        Some(late.over_limit as f64 * 100.0 / late.replies as f64)
    }),
    metric("mock.lost", Kind::Count, |report| Some(report.mock_lateness.as_ref()?.lost as f64)),
    metric("transfer.p50", Kind::Time, |report| at(&report.transfers.as_ref()?.latency, 50.0)),
    metric("transfer.p95", Kind::Time, |report| at(&report.transfers.as_ref()?.latency, 95.0)),
    metric("transfer.p99", Kind::Time, |report| at(&report.transfers.as_ref()?.latency, 99.0)),
    metric("transfer.max", Kind::Time, |report| {
        let latency = &report.transfers.as_ref()?.latency;
        some(latency, latency.max_us)
    }),
    metric("transfer.rate", Kind::Rate, |report| Some(report.transfers.as_ref()?.whole_per_s)),
    metric("transfer.failed", Kind::Count, |report| Some(report.transfers.as_ref()?.failed as f64)),
];

/// Counts, as the report names them.
const COUNTS: [Metric; 18] = counts![
    "sent": totals.counts.sent,
    "good": totals.counts.good,
    "late": totals.counts.late,
    "wrong": totals.counts.wrong,
    "lost": totals.counts.lost,
    "silent": totals.counts.silent,
    "unmatched": totals.counts.unmatched,
    "uncertain": totals.counts.uncertain,
    "duplicate": totals.duplicate,
    "unexpected": totals.unexpected,
    "doubtful": totals.doubtful,
    "refused": totals.refused,
    "missing": totals.burst_missing,
    "not_sent": totals.not_sent,
    "send_errors": totals.send_errors,
    "misfits": totals.value_misfits,
    "reconnects": totals.reconnects,
    "own_drops": totals.own_drops,
];

/// Wrong replies for one reason: this and the reason's name.
const WRONG: &str = "wrong.";
/// Of what devices said unasked: this and a centre's metric.
const MESSAGE: &str = "message.";
/// What the mock told itself.
const MOCK: &str = "mock.";

fn some(latency: &LatencyReport, us: f64) -> Option<f64> {
    (latency.count > 0).then_some(us)
}

/// That percentile of the curve.
fn at(latency: &LatencyReport, percentile: f64) -> Option<f64> {
    let found = latency.curve.iter().find(|(at, _)| (at - percentile).abs() < 1e-9);
    found.filter(|_| latency.count > 0).map(|(_, us)| *us)
}

fn named(name: &str) -> Option<&'static Metric> {
    MEASURES.iter().chain(&COUNTS).find(|metric| metric.name == name)
}

/// Is it a reason of wrong replies?
fn is_reason(name: &str) -> bool {
    Wrong::names().any(|known| known == name)
}

fn find(name: &str) -> Option<Kind> {
    if let Some(reason) = name.strip_prefix(WRONG) {
        return is_reason(reason).then_some(Kind::Count);
    }
    if let Some(name) = name.strip_prefix(MESSAGE) {
        return messages::find(name);
    }
    named(name).map(|metric| metric.kind)
}

/// The metrics of [`FloodReport`].
pub const METRICS: Metrics = Metrics {
    find,
    known: || {
        let names: Vec<&str> = MEASURES.iter().chain(&COUNTS).map(|metric| metric.name).collect();
        format!("{}, wrong.REASON, message.METRIC", names.join(", "))
    },
};

/// Whether it compares what only the mock itself knows.
pub fn is_of_mock(threshold: &Threshold) -> bool {
    threshold.metric.starts_with(MOCK)
}

/// Whether it says which loss is accepted.
pub fn is_of_loss(threshold: &Threshold) -> bool {
    matches!(&*threshold.metric, "loss" | "lost")
}

impl FloodReport {
    /// The value of a metric.
    fn measured(&self, name: &str) -> Option<f64> {
        if let Some(reason) = name.strip_prefix(WRONG) {
            return Some(self.wrong_by.get(reason).copied().unwrap_or(0) as f64);
        }
        if let Some(name) = name.strip_prefix(MESSAGE) {
            return messages::measured(self.messages.as_ref()?, name);
        }
        named(name).and_then(|metric| (metric.value)(self))
    }

    /// Compares the thresholds with this report. Results of an earlier comparison are replaced.
    pub fn hold_to(&mut self, thresholds: &[Threshold]) {
        let received = self.messages.as_ref().map_or(0, MessagesReport::received);
        let judge = |of: &Threshold| {
            let whole = if of.metric.starts_with(MESSAGE) { received } else { self.totals.counts.sent };
            of.judge(self.measured(&of.metric), whole)
        };
        let judged = thresholds.iter().map(judge);
        let now: Vec<ThresholdReport> = judged.collect();
        threshold::renew(&mut self.verdict.failures, &self.thresholds, &now);
        self.verdict.passed = self.verdict.failures.is_empty();
        self.thresholds = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::report::sum::{Course, report};
    use fsu_core::lateness::Lateness;
    use fsu_plan::model::message::Transport;

    /// A run with 1,000 requests, 995 good replies from 1 us to 995 us, 5 lost ones, and 2 wrong by their size.
    fn run() -> FloodReport {
        let mut report = report(&fixtures::options(Transport::Udp), &[fixtures::thread()], Course::default());
        (report.totals.counts.sent, report.totals.counts.good, report.totals.counts.lost) = (1_000, 995, 5);
        (report.totals.counts.wrong, report.totals.loss, report.totals.replies_per_s) = (2, 0.005, 4_000.0);
        report.wrong_by.insert("size".into(), 2);
        report.latency = LatencyReport {
            count: 995,
            max_us: 995.0,
            curve: vec![(50.0, 500.0), (99.0, 985.0), (99.9, 994.0)],
            ..LatencyReport::default()
        };
        report
    }

    #[test]
    fn a_load_is_held_to_thresholds() {
        let check = |text: &str, expected: Option<&str>| {
            let mut report = run();
            let before = report.verdict.failures.len();
            report.hold_to(&[Threshold::parse(text, &METRICS).unwrap()]);
            let failure = report.verdict.failures.get(before).map(String::as_str);
            assert_eq!(failure, expected, "{text}");
        };
        check("p50>0.5ms", None);
        check("p99>0.9ms", Some("--fail-if p99>0.9ms: it is 0.985 ms"));
        check("p99.9>994us", None);
        check("max>=995us", Some("--fail-if max>=995us: it is 995 us"));
        check("loss>0.5%", None);
        check("loss>0.4%", Some("--fail-if loss>0.4%: it is 0.5 %"));
        check("lost>0.4%", Some("--fail-if lost>0.4%: it is 0.5 %"));
        check("rate<4000/s", None);
        check("wrong>0", Some("--fail-if wrong>0: it is 2"));
        check("wrong.size>1", Some("--fail-if wrong.size>1: it is 2"));
        check("wrong.checksum>0", None);
        check("transfer.p99>1s", Some("--fail-if transfer.p99>1s: nothing was measured"));
        check("mock.p99>1ms", Some("--fail-if mock.p99>1ms: nothing was measured"));
    }

    #[test]
    fn the_mocks_lateness_is_compared_once_it_is_known() {
        let mut report = run();
        let all = ["mock.p99>1ms", "mock.late>1%"].map(|text| Threshold::parse(text, &METRICS).unwrap());
        let built_in = report.verdict.failures.len();
        report.hold_to(&all);
        assert_eq!(report.verdict.failures.len(), built_in + 2);
        report.mock_lateness = Some(Lateness { replies: 100, p99_us: 900, over_limit: 1, ..Lateness::default() });
        report.hold_to(&all);
        assert_eq!(report.verdict.failures.len(), built_in, "{:?}", report.verdict);
    }

    #[test]
    fn every_name_is_known_once_and_others_are_not() {
        let names = (METRICS.known)();
        let names: Vec<&str> = names.split(", ").filter(|name| !name.ends_with(|c: char| c.is_uppercase())).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
        assert!(names.iter().all(|name| (METRICS.find)(name).is_some()));
        let others = ["", "p42", "wrong.", "wrong.none", "wrong.pending_full", "message.", "message.p99"];
        assert_eq!((METRICS.find)("message.ack.p99"), Some(Kind::Time));
        assert!(others.iter().all(|name| (METRICS.find)(name).is_none()));
    }
}
