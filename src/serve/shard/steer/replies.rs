//! How long replies take: from the arrival of the request to the moment at which the reply was handed to the kernel.

use hdrhistogram::Histogram;

/// The longest time that is recorded; more counts as this.
const REPLY_US_MAX: u64 = 60_000_000;
/// Significant digits: values are exact to 1 %.
const DIGITS: u8 = 2;

/// A histogram of microseconds, one a shard: 20 KiB.
#[derive(Clone, Debug)]
pub struct Replies(Histogram<u64>);

impl Default for Replies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, REPLY_US_MAX, DIGITS);
        Self(histogram.unwrap_or_else(|_| unreachable!("the bounds are constants that the type takes")))
    }
}

impl Replies {
    /// A reply that was due `held_us` after its request had come, and left `late_ns` after that.
    #[inline]
    pub(crate) fn record(&mut self, late_ns: i64, held_us: u32) {
        let late_us = (late_ns.max(0) as u64).div_ceil(1_000);
        self.0.saturating_record(late_us + u64::from(held_us));
    }

    /// All of them, in microseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so it does not fail.
        let _ = self.0.add(&other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_reply_us_max_from_arrival_to_sent() {
        // late in nanoseconds, held in microseconds -> microseconds, to 1 %
        for (late_ns, held_us, expected) in
            [(0, 0, 0), (1, 0, 1), (-5_000, 90, 90), (10_000, 90, 100), (i64::MAX, u32::MAX, 60_000_000)]
        {
            let mut replies = Replies::default();
            replies.record(late_ns, held_us);
            let got = replies.histogram().max();
            assert!(got >= expected && got <= expected + expected / 100, "{late_ns} {held_us}: {got}");
        }
    }
}
