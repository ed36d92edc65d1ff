//! How late replies leave: from the moment each was due to the moment it was handed to the kernel (docs/use/lateness.md).
//!
//! Due is arrival plus the delay that its rule draws; a datagram's arrival is the kernel's own stamp, so that its time in the
//! socket's buffer counts against the mock. Bytes of a connection have none: theirs is bounded from below by [`super::look`].

use super::look::UNSEEN_NS_MAX;
use fsu_core::lateness::Lateness;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest lateness that is recorded; more counts as this.
const LATE_US_MAX: u64 = 60_000_000;
/// Significant digits: values are exact to 0.1 %.
const DIGITS: u8 = 3;
/// Datagrams sent between two readings of the clock. The last of them may have left later than recorded, by the time that the sends take.
/// If one call takes this many or more, all of them count as sent at its end.
pub(crate) const SENDS_A_STAMP: usize = 16;

/// Steps of a histogram that have values: the end of the step, and how many are in it. Exact: a histogram of the same digits is the
/// same again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps(pub Vec<(u64, u64)>);

impl Steps {
    /// Puts them into a histogram of the same digits.
    pub fn record(&self, histogram: &mut Histogram<u64>) {
        for &(value, count) in &self.0 {
            histogram.saturating_record_n(value, count);
        }
    }
}

impl From<&Histogram<u64>> for Steps {
    fn from(histogram: &Histogram<u64>) -> Self {
        let steps = histogram.iter_recorded();
        Self(steps.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect())
    }
}

/// A histogram of microseconds, one a shard: 139 KiB.
#[derive(Clone, Debug)]
pub struct Late {
    histogram: Histogram<u64>,
    /// Replies into connections among them.
    streams: u64,
}

impl Default for Late {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATE_US_MAX, DIGITS);
        let histogram = histogram.unwrap_or_else(|_| unreachable!("the bounds are constants that the type takes"));
        Self { histogram, streams: 0 }
    }
}

impl Late {
    /// `count` replies that were due and sent at these moments, in nanoseconds on one clock. Early is not late: 0.
    #[inline]
    pub fn record(&mut self, due_ns: i64, sent_ns: i64, count: u64) {
        let late_ns = sent_ns.saturating_sub(due_ns).max(0) as u64;
        self.histogram.saturating_record_n(late_ns.div_ceil(1_000), count);
    }

    /// The same of replies into connections.
    #[inline]
    pub fn record_streams(&mut self, due_ns: i64, sent_ns: i64, count: u64) {
        self.record(due_ns, sent_ns, count);
        self.streams += count;
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so it does not fail.
        let _ = self.histogram.add(&other.histogram);
        self.streams += other.streams;
    }

    /// Adds what another process measured, `streams` of it into connections.
    pub fn add_steps(&mut self, steps: &Steps, streams: u64) {
        steps.record(&mut self.histogram);
        self.streams += streams;
    }

    /// The histogram's steps.
    pub fn steps(&self) -> Steps {
        Steps::from(&self.histogram)
    }

    /// All of them, in microseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// Replies measured.
    fn replies(&self) -> u64 {
        self.histogram.len()
    }

    /// The latest one, in microseconds; rounded up as the histogram's steps are.
    fn max_us(&self) -> u64 {
        self.histogram.max()
    }

    /// The figures to report. `lost`: datagrams that the mock itself lost.
    pub fn told(&self, limit_us: u64, lost: u64) -> Lateness {
        let [p50_us, p99_us, p999_us] =
            [50.0, 99.0, 99.9].map(|percent| self.histogram.value_at_percentile(percent).min(self.max_us()));
        let (replies, max_us, over_limit) = (self.replies(), self.max_us(), self.later_than(limit_us));
        let (stream_replies, stream_unseen_us) =
            (self.streams, if self.streams > 0 { UNSEEN_NS_MAX / 1_000 } else { 0 });
        Lateness {
            replies,
            p50_us,
            p99_us,
            p999_us,
            max_us,
            limit_us,
            over_limit,
            lost,
            stream_replies,
            stream_unseen_us,
        }
    }

    /// Replies later than that.
    fn later_than(&self, limit_us: u64) -> u64 {
        let within = self.histogram.iter_recorded().take_while(|step| step.value_iterated_to() <= limit_us);
        self.histogram.len() - within.map(|step| step.count_since_last_iteration()).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_late_us_max_from_due_to_sent() {
        // due and sent in nanoseconds -> microseconds
        for (due_ns, sent_ns, expected_us) in [
            (0, 0, 0),
            (5_000, 4_000, 0),
            (0, 1, 1),
            (0, 1_000, 1),
            (0, 1_001, 2),
            (-3_000, 4_000, 7),
            (0, i64::MAX, 60_000_000),
        ] {
            let mut late = Late::default();
            late.record(due_ns, sent_ns, 1);
            let told_us = late.max_us();
            assert!(
                told_us >= expected_us && told_us <= expected_us + expected_us / 1_000,
                "{told_us} for {expected_us}"
            );
        }
    }

    #[test]
    fn shards_add_up() {
        let (mut one, mut other) = (Late::default(), Late::default());
        one.record(0, 1_000_000, 990);
        other.record_streams(0, 50_000_000, 10);
        one.add(&other);
        assert_eq!(
            (one.replies(), one.later_than(1_000), one.later_than(999), one.later_than(50_100)),
            (1_000, 10, 1_000, 0)
        );
        let told = one.told(5_000, 3);
        assert_eq!(
            (told.replies, told.p50_us / 10, told.p999_us / 1_000, told.over_limit, told.lost),
            (1_000, 100, 50, 10, 3)
        );
        assert_eq!((told.stream_replies, told.stream_unseen_us), (10, 5_000));
        assert_eq!(Late::default().told(7, 0), Lateness { limit_us: 7, ..Lateness::default() });
    }
}
