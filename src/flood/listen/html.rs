//! The report of a centre as one page of HTML that needs nothing else.

use super::heard::CentreReport;
use crate::numbers::{counted, thousands};
use crate::report::html::{escaped, page, said, thresholds};
use crate::report::messages::MessageReport;
use crate::report::messages::html::section;
use fsu_plan::texts::Texts;
use std::fmt::Write as _;

/// FSUs that are named one by one.
const NAMED_MAX: usize = 100;

/// The page in that language.
pub fn html(report: &CentreReport, say: Texts) -> String {
    let page = english(report);
    if say.is_english() { page } else { said(&page, say) }
}

fn english(report: &CentreReport) -> String {
    let mut out = page::begin(&format!("fsu-mock flood: a centre at {}", report.address), &report.started);
    // Writing to a String cannot fail.
    let _ = match report.failures.as_slice() {
        [] => writeln!(out, "<p class=\"verdict\"><strong>Passed</strong>: all that was heard was right.</p>"),
        failures => {
            let why = escaped(&failures.join(", "));
            writeln!(out, "<p class=\"verdict failed\"><strong>Failed</strong>: {why}.</p>")
        }
    };
    thresholds(&report.thresholds, &mut out);
    tiles(report, &mut out);
    if let Some(messages) = &report.messages {
        section(messages, &mut out);
    }
    heartbeats(report, &mut out);
    page::end(&mut out);
    out
}

fn tiles(report: &CentreReport, out: &mut String) {
    let sum = |of: fn(&MessageReport) -> u64| {
        report.messages.iter().flat_map(|messages| &messages.messages).map(of).sum::<u64>()
    };
    let wrong = report.messages.as_ref().map_or(0, |messages| messages.wrong_by.values().sum::<u64>());
    let most = report.messages.as_ref().map_or(0, |messages| messages.connections.most);
    let all = [
        (sum(|of| of.received), "messages", false),
        (sum(|of| of.acked), "acknowledgements", false),
        (sum(|of| of.retried), "received again before the acknowledgement", false),
        (sum(|of| of.duplicate), "received again after it", false),
        (wrong, "wrong", wrong > 0),
        (most, "connections at one time", false),
        (report.heartbeats, "heartbeats", false),
    ];
    page::tiles(all.map(|(value, name, bad)| (thousands(value), name, bad)), out);
}

fn heartbeats(report: &CentreReport, out: &mut String) {
    if report.fsus.is_empty() && report.not_heard.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Heartbeats</h2>\n<table>\n<tr><th class=\"t\">FSU</th><th class=\"t\">id</th><th>heartbeats</th></tr>\n");
    for fsu in report.fsus.iter().take(NAMED_MAX) {
        let name = escaped(fsu.name.as_deref().unwrap_or_default());
        let _ = writeln!(
            out,
            "<tr><td class=\"t\">{name}</td><td class=\"t\">{}</td><td>{}</td></tr>",
            escaped(&fsu.id),
            thousands(fsu.heartbeats)
        );
    }
    for name in report.not_heard.iter().take(NAMED_MAX) {
        let _ = writeln!(
            out,
            "<tr><td class=\"t\">{}</td><td class=\"t\"></td><td class=\"bad\">0</td></tr>",
            escaped(name)
        );
    }
    out.push_str("</table>\n");
    let more = (report.fsus.len() + report.not_heard.len()).saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = writeln!(out, "<p class=\"note\">{} in all.</p>", counted((more + NAMED_MAX) as u64, "FSU"));
    }
    out.push_str("</section>\n");
}
