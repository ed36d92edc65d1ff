//! Parts of the page: loss over time, and the lateness of both sides.

use super::{drawn, seconds_axis};
use crate::numbers::{thousands, time, time_of};
use crate::report::svg::{Axis, Line, chart, tick};
use crate::report::{FloodReport, Second};
use std::fmt::Write as _;

/// Requests given up and wrong replies, by second. A request is given up a time-out after it was sent.
pub(super) fn loss_over_time(report: &FloodReport, out: &mut String) {
    let seconds = drawn(report);
    let per_s = |of: fn(&Second) -> u64| -> Vec<(f64, f64)> {
        let rate = |second: &Second| of(second) as f64 / if second.span_s > 0.0 { second.span_s } else { 1.0 };
        seconds.iter().map(|second| (second.at_s, rate(second))).collect()
    };
    let (lost, wrong) = (per_s(|second| second.lost), per_s(|second| second.wrong));
    let most = lost.iter().chain(&wrong).map(|(_, rate)| *rate).fold(0.0, f64::max);
    out.push_str("<section>\n<h2>Loss over time</h2>\n");
    if most > 0.0 {
        let lines = [Line::joined("lost", "c", lost), Line::joined("wrong", "b", wrong)];
        let y = Axis::linear("per second", most, tick);
        let _ = write!(out, "{}", chart("Loss over time", &seconds_axis(&seconds), &y, &lines));
        let after = report.seconds.iter().filter(|second| second.is_rest).map(|second| second.lost).sum::<u64>();
        let late = "A request counts as lost a time-out after it was sent.";
        let rest = match after {
            0 => String::new(),
            after => format!(" {} were given up after the end of sending, and are not drawn.", thousands(after)),
        };
        let _ = writeln!(out, "<p class=\"note\">{late}</p>");
        if !rest.is_empty() {
            let _ = writeln!(out, "<p class=\"note\">{}</p>", rest.trim());
        }
    } else {
        let none = if report.totals.counts.lost + report.totals.counts.wrong == 0 {
            "No request was lost, and no reply was wrong."
        } else {
            "Lost requests were given up after the end of sending."
        };
        let _ = writeln!(out, "<p>{none}</p>");
    }
    out.push_str("</section>\n");
}

/// The generator's own lateness, and the mock's where it is known.
pub(super) fn both_sides(report: &FloodReport, out: &mut String) {
    let lag = &report.lag;
    let own = [lag.p50_us, lag.p99_us, lag.p999_us, lag.max_us].map(|us| time_of(lag.count, us));
    let mut rows = vec![("generator: planned to sent", own)];
    if let Some(late) = &report.mock_lateness {
        let told = [late.p50_us, late.p99_us, late.p999_us, late.max_us].map(|us| time(us as f64));
        rows.push(("mock: due to sent", told));
    }
    out.push_str("<section>\n<h2>Lateness of both sides</h2>\n<table>\n<tr><th class=\"t\">side</th>");
    for name in ["p50", "p99", "p99.9", "max"] {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr>\n");
    for (name, times) in rows {
        let _ = write!(out, "<tr><td class=\"t\">{name}</td>");
        for text in times {
            let _ = write!(out, "<td>{}</td>", super::escaped(&text));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    if report.mock_lateness.is_none() {
        out.push_str(
            "<p class=\"note\">The mock's own lateness is not known: --mock, or --from with --mock-stats.</p>\n",
        );
    }
    out.push_str("</section>\n");
}
