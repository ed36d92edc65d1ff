//! The report of a centre as one page of HTML that needs nothing else.

use super::count::Closed;
use super::heard::CentreReport;
use super::report::{MessageReport, MessagesReport};
use crate::numbers::{counted, thousands, time_of};
use crate::report::html::{STYLE, escaped, said};
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
    let mut out = String::new();
    let title = format!("fsu-mock flood: a centre at {}", escaped(&report.address));
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><span class=\"when\">{}</span></header>\n",
        escaped(&report.started)
    );
    let _ = match report.failures.as_slice() {
        [] => writeln!(out, "<p class=\"verdict\"><strong>Passed</strong>: all that was heard was right.</p>"),
        failures => {
            let why = escaped(&failures.join(", "));
            writeln!(out, "<p class=\"verdict failed\"><strong>Failed</strong>: {why}.</p>")
        }
    };
    tiles(report, &mut out);
    if let Some(messages) = &report.messages {
        section(messages, &mut out);
    }
    heartbeats(report, &mut out);
    out.push_str("</main>\n</body>\n</html>\n");
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
    out.push_str("<div class=\"tiles\">\n");
    for (value, name, bad) in all {
        let class = if bad { "tile bad" } else { "tile" };
        let _ = writeln!(out, "<div class=\"{class}\"><b>{}</b><span>{name}</span></div>", thousands(value));
    }
    out.push_str("</div>\n");
}

/// The alarm contract at this end.
pub(crate) fn section(messages: &MessagesReport, out: &mut String) {
    out.push_str("<section>\n<h2>Messages</h2>\n<table>\n<tr><th class=\"t\">vendor</th><th class=\"t\">message</th>");
    for name in
        ["received", "retried", "duplicate", "wrong", "acked", "dropped", "spoilt", "failed", "p50", "p99", "max"]
    {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr>\n");
    for of in &messages.messages {
        let _ = write!(
            out,
            "<tr><td class=\"t\">{}</td><td class=\"t\">{}</td>",
            escaped(&of.vendor),
            escaped(&of.message)
        );
        let counts = [
            (of.received, false),
            (of.retried, false),
            (of.duplicate, false),
            (of.wrong, true),
            (of.acked, false),
            (of.ack_dropped, false),
            (of.ack_wrong, false),
            (of.ack_failed, true),
        ];
        for (count, bad) in counts {
            let class = if bad && count > 0 { " class=\"bad\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", thousands(count));
        }
        for us in [of.ack_time.p50_us, of.ack_time.p99_us, of.ack_time.max_us] {
            let _ = write!(out, "<td>{}</td>", time_of(of.ack_time.count, us));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n</section>\n");
    connections(messages, out);
    wrong(messages, out);
}

fn connections(messages: &MessagesReport, out: &mut String) {
    let of = &messages.connections;
    if of.accepted == 0 && of.ended.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Connections</h2>\n<dl>\n");
    for (name, count) in [("accepted", of.accepted), ("at one time", of.most), ("open at the end", of.open)] {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", thousands(count));
    }
    for why in Closed::ALL {
        if let Some(count) = of.ended.get(why.name()) {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", why.meaning(), thousands(*count));
        }
    }
    out.push_str("</dl>\n</section>\n");
}

fn wrong(messages: &MessagesReport, out: &mut String) {
    if messages.wrong_by.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Failures</h2>\n<dl>\n");
    for (why, count) in &messages.wrong_by {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(why), thousands(*count));
    }
    for sample in &messages.samples {
        let about = escaped(&format!("{} ({})", sample.message, sample.fsu));
        let _ = write!(out, "<dt>first {}</dt><dd>{about}", escaped(&sample.why));
        let _ = writeln!(out, "<br><span class=\"hex\">{}</span></dd>", sample.frame);
    }
    out.push_str("</dl>\n</section>\n");
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
