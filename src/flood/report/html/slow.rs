//! The part of the page about FSUs that answer slower than the others.

use crate::numbers::{thousands, time};
use crate::report::FloodReport;
use std::fmt::Write as _;

/// FSUs whose p99 is far from the usual one.
pub(super) fn slow(report: &FloodReport, out: &mut String) {
    let Some(of) = &report.outliers else { return };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<section>\n<h2>Slow FSUs</h2>");
    let _ = writeln!(
        out,
        "<p>The p99 of half of the {} FSUs is up to {}. {} at least twice as slow.</p>",
        thousands(of.compared as u64),
        super::escaped(&time(of.usual_p99_us)),
        match of.found {
            0 => "None is".to_owned(),
            1 => "1 is".to_owned(),
            many => format!("{} are", thousands(many as u64)),
        }
    );
    if !of.fsus.is_empty() {
        out.push_str("<table>\n<tr><th class=\"t\">FSU</th>");
        for name in ["replies", "p50", "p99", "max"] {
            let _ = write!(out, "<th>{name}</th>");
        }
        out.push_str("</tr>\n");
        for fsu in &of.fsus {
            let name = super::escaped(&fsu.fsu);
            let _ = write!(out, "<tr><td class=\"t\">{name}</td><td>{}</td>", thousands(fsu.replies));
            for us in [fsu.p50_us, fsu.p99_us, fsu.max_us] {
                let _ = write!(out, "<td>{}</td>", super::escaped(&time(us)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table>\n");
    }
    let more = of.found - of.fsus.len();
    if more > 0 {
        let _ = writeln!(out, "<p class=\"note\">And {} more.</p>", thousands(more as u64));
    }
    out.push_str("</section>\n");
}
