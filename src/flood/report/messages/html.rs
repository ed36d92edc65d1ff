//! Messages in a report of HTML.

use crate::hear::count::Closed;
use crate::numbers::{thousands, time_of};
use crate::report::html::escaped;
use crate::report::messages::MessagesReport;
use std::fmt::Write as _;

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
    for reset in &of.resets {
        let _ = writeln!(out, "<dt>reset on purpose</dt><dd>{}</dd>", reset.text());
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
