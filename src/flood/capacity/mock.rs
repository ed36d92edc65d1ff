//! The mock's own lateness within a step, from two looks at its metrics (`GET /metrics` of `run --control`).

use fsu_core::lateness::Lateness;
use fsu_plan::wire::reason::Reason;

/// A reply later than this is late, as `--late-limit-ms` has it by default; a bound of the histogram.
const LATE_S: f64 = 0.005;
/// The histogram.
const LATENESS: &str = "fsu_mock_lateness_seconds";
/// What was not answered, by reason.
const DROPPED: &str = "fsu_mock_dropped_total";

/// What the mock told at one time, since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Upper bound in seconds, and replies up to it; ascending.
    buckets: Vec<(f64, u64)>,
    /// Replies.
    count: u64,
    /// Requests and replies that it had no room for.
    lost: u64,
}

/// Metrics that do not tell the lateness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// The histogram is not there.
    #[error("no metric {LATENESS}: is it a fsu-mock?")]
    NoHistogram,
    /// It has no bound at the limit.
    #[error("{LATENESS} has no bucket of {LATE_S} s")]
    NoBound,
    /// Counts became less: the mock was started again.
    #[error("its counters went back: it was started again")]
    Restarted,
}

/// The value of a label in `{a="b",c="d"}`.
fn label<'t>(labels: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = labels;
    loop {
        let (found, after) = rest.split_once("=\"")?;
        let end = after.find('"')?;
        if found.trim_start_matches([',', '{', ' ']) == name {
            return after.get(..end);
        }
        rest = after.get(end + 1..)?;
    }
}

impl Look {
    /// From the text of `/metrics`.
    ///
    /// # Errors
    /// The lateness is not there.
    pub fn read(text: &str) -> Result<Self, LookError> {
        let mut look = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name_end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(name_end);
            let labels_end = rest.rfind('}').map_or(0, |at| at + 1);
            let (labels, value) = rest.split_at(labels_end);
            let Some(value) = value.split_whitespace().next().and_then(|value| value.parse::<f64>().ok()) else {
                continue;
            };
            let value = value as u64;
            match name.strip_prefix(LATENESS) {
                Some("_bucket") => {
                    let bound =
                        label(labels, "le").and_then(|le| le.parse().ok()).filter(|bound: &f64| bound.is_finite());
                    look.buckets.extend(bound.map(|bound| (bound, value)));
                }
                Some("_count") => look.count = value,
                _ => {}
            }
            let is_own = |reason: &str| {
                reason == "kernel_drops" || Reason::NO_ROOM.into_iter().any(|known| known.reason() == reason)
            };
            if name == DROPPED && label(labels, "reason").is_some_and(is_own) {
                look.lost += value;
            }
        }
        look.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        match look.buckets.iter().any(|(bound, _)| is_limit(*bound)) {
            true => Ok(look),
            false if look.buckets.is_empty() => Err(LookError::NoHistogram),
            false => Err(LookError::NoBound),
        }
    }

    /// What came after an earlier look. Percentiles are the bounds of the buckets that they are in.
    ///
    /// # Errors
    /// It is another run of the mock.
    pub fn since(&self, before: &Self) -> Result<Lateness, LookError> {
        let less = |now: u64, before: u64| now.checked_sub(before).ok_or(LookError::Restarted);
        let replies = less(self.count, before.count)?;
        let of =
            |bound: f64| before.buckets.iter().find(|(other, _)| same(*other, bound)).map_or(0, |(_, count)| *count);
        let all = self.buckets.iter().map(|(bound, count)| Ok((*bound, less(*count, of(*bound))?)));
        let buckets: Vec<(f64, u64)> = all.collect::<Result<_, LookError>>()?;
        let last_us = buckets.last().map_or(0, |(bound, _)| us(*bound));
        let at = |share: f64| {
            let wanted = (replies as f64 * share).ceil() as u64;
            // Past the last bound nothing is known but that.
            buckets.iter().find(|(_, count)| *count >= wanted).map_or(last_us + 1, |(bound, _)| us(*bound))
        };
        let in_time = buckets.iter().find(|(bound, _)| is_limit(*bound)).map_or(0, |(_, count)| *count);
        let [p50_us, p99_us, p999_us, max_us] = if replies == 0 { [0; 4] } else { [0.5, 0.99, 0.999, 1.0].map(at) };
        Ok(Lateness {
            replies,
            p50_us,
            p99_us,
            p999_us,
            max_us,
            limit_us: us(LATE_S),
            over_limit: replies.saturating_sub(in_time),
            lost: less(self.lost, before.lost)?,
            ..Lateness::default()
        })
    }
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn is_limit(bound: f64) -> bool {
    same(bound, LATE_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(counts: [u64; 4], lost: u64) -> String {
        let [fast, limit, slow, all] = counts;
        format!(
            "# TYPE fsu_mock_lateness_seconds histogram\n\
             fsu_mock_lateness_seconds_sum 0.5\nfsu_mock_lateness_seconds_count {all}\n\
             fsu_mock_lateness_seconds_bucket{{le=\"0.00005\"}} {fast}\n\
             fsu_mock_lateness_seconds_bucket{{le=\"0.005\"}} {limit}\n\
             fsu_mock_lateness_seconds_bucket{{le=\"10.0\"}} {slow}\n\
             fsu_mock_lateness_seconds_bucket{{le=\"+Inf\"}} {all}\n\
             fsu_mock_dropped_total{{transport=\"udp\",vendor=\"a reason=\",reason=\"pending_full\"}} {lost}\n\
             fsu_mock_dropped_total{{transport=\"udp\",vendor=\"b\",reason=\"unmatched\"}} 77\n# EOF\n"
        )
    }

    #[test]
    fn the_lateness_of_a_step_is_what_came_within_it() {
        let before = Look::read(&text([10, 10, 10, 10], 3)).unwrap();
        let check = |counts: [u64; 4], lost: u64, expected: [u64; 7]| {
            let late = Look::read(&text(counts, lost)).unwrap().since(&before).unwrap();
            let Lateness { replies, p50_us, p99_us, p999_us, max_us, over_limit, lost, .. } = late;
            assert_eq!([replies, p50_us, p99_us, p999_us, max_us, over_limit, lost], expected, "{counts:?}");
            assert_eq!(late.limit_us, 5_000);
        };
        check([10, 10, 10, 10], 3, [0, 0, 0, 0, 0, 0, 0]);
        check([1_010, 1_010, 1_010, 1_010], 3, [1_000, 50, 50, 50, 50, 0, 0]);
        check([1_000, 1_008, 1_010, 1_010], 5, [1_000, 50, 50, 10_000_000, 10_000_000, 2, 2]);
        check([10, 10, 11, 12], 3, [2, 10_000_000, 10_000_001, 10_000_001, 10_000_001, 2, 0]);
    }

    #[test]
    fn other_metrics_are_refused() {
        assert_eq!(Look::read("up 1\n"), Err(LookError::NoHistogram));
        assert_eq!(Look::read("fsu_mock_lateness_seconds_bucket{le=\"0.1\"} 5\n"), Err(LookError::NoBound));
        let [early, late] = [[1, 1, 1, 1], [5, 5, 5, 5]].map(|counts| Look::read(&text(counts, 0)).unwrap());
        assert_eq!(early.since(&late), Err(LookError::Restarted));
    }
}
