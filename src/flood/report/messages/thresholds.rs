//! The metrics of what devices said that `--fail-if` compares.

use crate::expect::Wrong;
use crate::hear::count::Closed;
use crate::hear::desk::OWN_VALUE;
use crate::report::messages::{MessageReport, MessagesReport};
use crate::threshold::Kind;

/// A metric of what devices said: its name, its kind, and its value; no value: nothing was measured.
type Metric = (&'static str, Kind, fn(&MessagesReport) -> Option<f64>);

/// The sum of a count of all messages.
macro_rules! sums {
    ($($name:literal: $field:ident),+ $(,)?) => {
        [$(($name, Kind::Count, |of| Some(sum(of, |message| message.$field)))),+]
    };
}

/// Counts of messages, and of their acknowledgements.
const SUMS: [Metric; 8] = sums![
    "messages": received,
    "retried": retried,
    "duplicate": duplicate,
    "acked": acked,
    "unacknowledged": unacknowledged,
    "ack_dropped": ack_dropped,
    "ack_wrong": ack_wrong,
    "ack_failed": ack_failed,
];

const MEASURES: [Metric; 17] = [
    ("ack.p50", Kind::Time, |of| ack(of, 50.0)),
    ("ack.p90", Kind::Time, |of| ack(of, 90.0)),
    ("ack.p95", Kind::Time, |of| ack(of, 95.0)),
    ("ack.p99", Kind::Time, |of| ack(of, 99.0)),
    ("ack.p99.9", Kind::Time, |of| ack(of, 99.9)),
    ("ack.max", Kind::Time, |of| ack(of, 100.0)),
    ("wrong", Kind::Count, |of| Some(of.wrong_by.values().sum::<u64>() as f64)),
    ("fsus", Kind::Count, |of| Some(of.fsus as f64)),
    ("silent", Kind::Count, |of| Some(of.silent_fsus as f64)),
    ("unidentified", Kind::Count, |of| Some(of.unidentified as f64)),
    ("strangers", Kind::Count, |of| Some(of.strangers as f64)),
    ("own_drops", Kind::Count, |of| Some(of.own_drops as f64)),
    ("ledger_lost", Kind::Count, |of| Some(of.ledger_lost as f64)),
    ("connections", Kind::Count, |of| Some(of.connections.accepted as f64)),
    ("connections.open", Kind::Count, |of| Some(of.connections.open as f64)),
    ("garbage_bytes", Kind::Count, |of| Some(of.connections.garbage_bytes as f64)),
    ("accept_errors", Kind::Count, |of| Some(of.connections.accept_errors as f64)),
];

/// Wrong messages for one reason: this and the reason's name.
const WRONG: &str = "wrong.";
/// Connections that ended in one way: this and the way's name.
const ENDED: &str = "ended.";

fn sum(of: &MessagesReport, field: fn(&MessageReport) -> u64) -> f64 {
    of.messages.iter().map(field).sum::<u64>() as f64
}

/// That percentile of the time from a message to its acknowledgement.
fn ack(of: &MessagesReport, percentile: f64) -> Option<f64> {
    let found = of.ack_time.curve.iter().find(|(at, _)| (at - percentile).abs() < 1e-9);
    found.map(|(_, us)| *us)
}

/// The kind of the metric of that name.
pub fn find(name: &str) -> Option<Kind> {
    if let Some(reason) = name.strip_prefix(WRONG) {
        return (reason == OWN_VALUE || Wrong::names().any(|known| known == reason)).then_some(Kind::Count);
    }
    if let Some(way) = name.strip_prefix(ENDED) {
        return Closed::from_name(way).map(|_| Kind::Count);
    }
    SUMS.iter().chain(&MEASURES).find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind)
}

/// All names, but for those of reasons and ways.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUMS.iter().chain(&MEASURES).map(|(name, ..)| *name)
}

/// Its value; none: nothing was measured.
pub fn measured(of: &MessagesReport, name: &str) -> Option<f64> {
    let count = |count: Option<&u64>| Some(count.copied().unwrap_or(0) as f64);
    if let Some(reason) = name.strip_prefix(WRONG) {
        return count(of.wrong_by.get(reason));
    }
    if let Some(way) = name.strip_prefix(ENDED) {
        return count(of.connections.ended.get(way));
    }
    SUMS.iter().chain(&MEASURES).find(|(known, ..)| *known == name).and_then(|(.., value)| value(of))
}
