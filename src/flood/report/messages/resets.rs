//! Connections that were reset on purpose, as reports tell it.

use crate::hear::resets::Reset;
use crate::numbers::{counted, thousands, time};
use crate::report::LatencyReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    fn threads_add_up_and_a_line_tells_it() {
        let (mut first, mut other) = (Reset::new(5), Reset::new(5));
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
