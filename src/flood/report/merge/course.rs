//! What happened when: the time that parts had in common, and the figures of each second.

use crate::report::{FloodReport, Second, round};
use std::collections::BTreeMap;

/// Milliseconds of a moment since 1970; `None`: it is no moment.
fn ms(moment: &str) -> Option<i64> {
    Some(moment.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

/// Seconds in which all parts sent, their warm-up left out.
pub(super) fn common_s(parts: &[FloodReport]) -> f64 {
    let begin = |part: &FloodReport| Some(ms(&part.started)? as f64 / 1_000.0 + part.run.warmup_s);
    let from = parts.iter().filter_map(begin).fold(f64::MIN, f64::max);
    let to = parts.iter().filter_map(|part| Some(begin(part)? + part.run.measured_s)).fold(f64::MAX, f64::min);
    let measured = parts.iter().map(|part| part.run.measured_s).fold(f64::MAX, f64::min);
    // A start is known to the millisecond, a time in which something was sent better than that.
    round((to - from).clamp(0.0, measured.max(0.0)))
}

/// Counts of each second since the first start. Percentiles are those of the part with the highest ones: the histogram of a second is
/// not kept.
pub(super) fn seconds(parts: &[FloodReport]) -> Vec<Second> {
    let first = parts.iter().filter_map(|part| ms(&part.started)).min().unwrap_or(0);
    let mut rows: BTreeMap<i64, Second> = BTreeMap::new();
    for part in parts {
        let after_s = (ms(&part.started).unwrap_or(first) - first) as f64 / 1_000.0;
        for (number, second) in (0..).zip(&part.seconds) {
            let at = number + after_s.round() as i64;
            let row = rows.entry(at).or_insert_with(|| Second { is_rest: true, ..Second::default() });
            row.at_s = row.at_s.max(round(second.at_s + after_s));
            row.span_s = row.span_s.max(second.span_s);
            row.is_rest &= second.is_rest;
            row.sent += second.sent;
            row.replies += second.replies;
            row.wrong += second.wrong;
            row.lost += second.lost;
            row.p50_us = row.p50_us.max(second.p50_us);
            row.p99_us = row.p99_us.max(second.p99_us);
            row.max_us = row.max_us.max(second.max_us);
        }
    }
    rows.into_values().collect()
}
