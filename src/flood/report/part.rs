//! What a report of a part has beside, so that the reports of all parts can be merged.

use super::round;
use crate::latency::{Latency, latency};
use crate::numbers::counted;
use crate::report::sum::NAMED_MAX;
use crate::report::{Counts, LatencyReport};
pub use crate::workload::part::PartReport;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a merged report was made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MergedReport {
    /// Parts that are in it.
    pub parts: usize,
    /// Parts of the load.
    pub of: u32,
    /// Those that are not in it.
    pub missing: Vec<u32>,
    /// FSUs that the parts in it chose among, asked or not.
    pub fsus_of: usize,
    /// Seconds in which all parts sent, their warm-up left out.
    pub common_s: f64,
}

/// Failures that counts alone tell: `[duplicate, unexpected, refused]`, commands with requests that no rule answers, and the loss beside
/// the one that is allowed.
pub(crate) fn counted_failures(
    (counts, [duplicate, unexpected, refused]): (&Counts, [u64; 3]),
    unmatched: &[&str],
    (loss, loss_max): (f64, f64),
    refused_at: Option<&str>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let named = [(counts.wrong, "wrong reply"), (duplicate, "duplicate reply"), (unexpected, "unexpected reply")];
    failures.extend(named.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)));
    if counts.unmatched > 0 {
        let keys = &unmatched[..unmatched.len().min(NAMED_MAX)];
        let requests = counted(counts.unmatched, "request");
        failures.push(format!("{requests} that no rule answers ({})", keys.join(", ")));
    }
    if counts.sent == 0 {
        failures.push("no request was sent".into());
    }
    if loss > loss_max {
        let (loss, most) = (loss * 100.0, loss_max * 100.0);
        let refused = refused_at.map(|at| format!("; {refused} refused: nobody listens at {at}")).unwrap_or_default();
        failures.push(format!("{} lost, {loss:.4} % (--max-loss {most}){refused}", counts.lost));
    }
    failures
}

impl LatencyReport {
    /// From a histogram, which it holds whole.
    pub fn exact(histogram: &Latency, curve: bool) -> Self {
        let steps = histogram.iter_recorded();
        // Counts of a step are those of a histogram of u32.
        let steps = steps.map(|step| (step.value_iterated_to(), step.count_since_last_iteration() as u32)).collect();
        Self { steps, ..Self::new(histogram, curve) }
    }

    /// All of them together, exactly; `None` if one does not hold its histogram whole.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut histogram = latency();
        let mut curve = false;
        for one in all {
            let in_steps: u64 = one.steps.iter().map(|&(_, count)| u64::from(count)).sum();
            if in_steps != one.count {
                return None;
            }
            for &(value, count) in &one.steps {
                histogram.saturating_record_n(value, count);
            }
            curve |= !one.curve.is_empty();
        }
        Some(Self::exact(&histogram, curve))
    }
}

/// A rate of several parts together: the sum of their own.
pub(super) fn rate(all: impl Iterator<Item = f64>) -> f64 {
    round(all.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A histogram that was taken apart and put together is the same, also in several parts.
    #[test]
    fn parts_of_a_histogram_are_the_whole() {
        let mut random = fastrand::Rng::with_seed(20_261_201);
        let values: Vec<u64> = (0..5_000).map(|_| 10_u64.pow(random.u32(0..13)) + random.u64(..1_000)).collect();
        let of = |values: &[u64]| {
            let mut histogram = latency();
            for &value in values {
                histogram.saturating_record(value);
            }
            LatencyReport::exact(&histogram, true)
        };
        let whole = of(&values);
        for parts in [1, 2, 8] {
            let parts: Vec<LatencyReport> = values.chunks(values.len().div_ceil(parts)).map(of).collect();
            let sum = LatencyReport::sum(&parts).expect("whole histograms");
            assert_eq!(format!("{sum:?}"), format!("{whole:?}"));
        }
        let lacking = LatencyReport { steps: Vec::new(), ..whole };
        assert!(LatencyReport::sum([&lacking]).is_none());
        assert_eq!(LatencyReport::sum([]).expect("nothing").count, 0);
    }
}
