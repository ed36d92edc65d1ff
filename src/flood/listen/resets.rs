//! Connections that are reset on purpose (`--reset-at`), and the devices that come back.

use crate::latency::{Latency, latency};
use crate::numbers::{counted, thousands, time};
use crate::report::LatencyReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One moment at which all connections are reset, as a thread counts it.
#[derive(Clone, Debug)]
pub struct Reset {
    /// When it was to be, in nanoseconds since the start.
    pub at_ns: u64,
    /// Connections that were reset.
    pub reset: u64,
    /// How long that took, in nanoseconds.
    pub took_ns: u64,
    /// Connections accepted after it, up to the next one: since it, in nanoseconds.
    pub back: Latency,
}

impl Reset {
    /// At that moment.
    pub fn new(at_ns: u64) -> Self {
        Self { at_ns, reset: 0, took_ns: 0, back: latency() }
    }

    /// Adds another thread's of the same moment.
    pub fn add(&mut self, other: &Self) {
        self.reset += other.reset;
        self.took_ns = self.took_ns.max(other.took_ns);
        // Same bounds: it always fits.
        let _ = self.back.add(&other.back);
    }
}

/// The moments of a thread.
#[derive(Debug, Default)]
pub struct Resets {
    at_ns: Vec<u64>,
    next: usize,
}

impl Resets {
    /// In this order.
    pub fn new(at_ns: &[u64]) -> Self {
        Self { at_ns: at_ns.to_vec(), next: 0 }
    }

    /// When the next one is.
    #[inline]
    pub fn next_ns(&self) -> u64 {
        self.at_ns.get(self.next).copied().unwrap_or(u64::MAX)
    }

    /// The one that is due, once.
    pub fn take(&mut self, now_ns: u64) -> Option<Reset> {
        let at_ns = *self.at_ns.get(self.next).filter(|&&at_ns| at_ns <= now_ns)?;
        self.next += 1;
        Some(Reset::new(at_ns))
    }
}

/// What came of one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ResetReport {
    /// Seconds since the start.
    pub at_s: f64,
    /// Connections that were reset.
    pub reset: u64,
    /// How long it took to reset them, in milliseconds.
    pub took_ms: f64,
    /// Connections that devices opened after it, up to the next one or the end.
    pub back: u64,
    /// How long after it they came.
    pub back_after: LatencyReport,
}

impl ResetReport {
    /// Of all threads.
    pub fn new(of: &Reset) -> Self {
        let back_after = LatencyReport::new(&of.back, false);
        let (at_s, took_ms) = (of.at_ns as f64 / 1e9, (of.took_ns / 1_000) as f64 / 1e3);
        Self { at_s, reset: of.reset, took_ms, back: back_after.count, back_after }
    }

    /// Connections that did not come back.
    pub fn missing(&self) -> u64 {
        self.reset.saturating_sub(self.back)
    }

    /// For people.
    pub fn text(&self) -> String {
        let LatencyReport { min_us, p50_us, max_us, .. } = self.back_after;
        let reset =
            format!("at {:.1} s: {} reset within {:.0} ms", self.at_s, counted(self.reset, "connection"), self.took_ms);
        if self.back == 0 {
            return format!("{reset}, none came back");
        }
        let [first, half, last] = [min_us, p50_us, max_us].map(time);
        format!(
            "{reset}, {} came back: the first after {first}, half after {half}, the last after {last}",
            thousands(self.back)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_comes_once_and_threads_add_up() {
        let mut resets = Resets::new(&[5, 9]);
        assert_eq!((resets.next_ns(), resets.take(4).is_none()), (5, true));
        let mut first = resets.take(20).expect("due");
        let second = resets.take(20).expect("due, too");
        assert_eq!((first.at_ns, second.at_ns, resets.next_ns(), resets.take(99).is_none()), (5, 9, u64::MAX, true));
        let mut other = Reset::new(5);
        (first.reset, other.reset) = (3, 2);
        for (of, ms) in [(&mut first, 10), (&mut other, 400)] {
            of.back.saturating_record(ms * 1_000_000);
        }
        first.add(&other);
        let report = ResetReport::new(&first);
        assert_eq!((report.reset, report.back, report.missing()), (5, 2, 3));
        assert_eq!(
            ResetReport { at_s: 2.5, ..report }.text(),
            "at 2.5 s: 5 connections reset within 0 ms, 2 came back: the first after 9.99 ms, half after 10 ms, the last after 400 ms"
        );
        assert_eq!(
            ResetReport { reset: 1, ..Default::default() }.text(),
            "at 0.0 s: 1 connection reset within 0 ms, none came back"
        );
    }
}
