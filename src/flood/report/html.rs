//! The report as one page of HTML that needs nothing else: styles and charts are in it.

mod more;
pub(crate) mod page;
mod slow;

use crate::numbers::{counted, thousands, time, time_of};
use crate::report::messages::html::section;
use crate::report::svg::{Axis, Line, chart, tick};
use crate::report::text::uncertain;
use crate::report::{Counts, FloodReport, FsuReport, LatencyReport, Second};
use crate::threshold::ThresholdReport;
use fsu_plan::texts::Texts;
use serde_json::Value;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

/// Text escaped for HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page in that language. `mock` is what the mock wrote with `--stats`, if it is known.
pub fn html(report: &FloodReport, mock: Option<&Value>, say: Texts) -> String {
    let page = english(report, mock);
    if say.is_english() { page } else { said(&page, say) }
}

/// A page's texts in another language: whatever is between two tags, but for the style.
pub(crate) fn said(page: &str, say: Texts) -> String {
    let (before, after) = page.split_once("</style>").unwrap_or(("", page));
    let mut out = String::with_capacity(page.len());
    for (rest, is_style) in [(before, true), (after, false)] {
        for (number, part) in rest.split('<').enumerate() {
            if number > 0 {
                out.push('<');
            }
            match part.split_once('>') {
                Some((tag, text)) if number > 0 && !(is_style && tag == "style") => {
                    out.extend([tag, ">", &escaped(&say.lines(&plain(text)))]);
                }
                _ => out.push_str(part),
            }
        }
        if is_style && !before.is_empty() {
            out.push_str("</style>");
        }
    }
    out.replace("<html lang=\"en\">", "<html lang=\"zh-CN\">")
}

/// Text as it stood before [`escaped`].
fn plain(html: &str) -> String {
    html.replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
}

fn english(report: &FloodReport, mock: Option<&Value>) -> String {
    let title = format!("fsu-mock flood: {} over {}", counted(report.run.fsus as u64, "FSU"), report.run.transport);
    let mut out = page::begin(&title, &report.started);
    verdict(report, &mut out);
    thresholds(&report.thresholds, &mut out);
    tiles(report, &mut out);
    throughput(report, &mut out);
    more::loss_over_time(report, &mut out);
    latency_over_time(report, &mut out);
    percentiles(report, &mut out);
    more::both_sides(report, &mut out);
    commands(report, &mut out);
    transfers(report, &mut out);
    if let Some(messages) = &report.messages {
        section(messages, &mut out);
    }
    if let Some(mock) = mock {
        mock_section(mock, &mut out);
    }
    slow::slow(report, &mut out);
    fsus(report, &mut out);
    left_out(report, &mut out);
    samples(report, &mut out);
    configuration(report, &mut out);
    page::end(&mut out);
    out
}

fn verdict(report: &FloodReport, out: &mut String) {
    let _ = if report.verdict.passed && !report.verdict.certain {
        let why = uncertain(report);
        writeln!(out, "<p class=\"verdict\"><strong>Passed, but uncertain</strong>: {why}.</p>")
    } else if report.verdict.passed {
        let right = "every reply was right, and no more were lost than allowed";
        writeln!(out, "<p class=\"verdict\"><strong>Passed</strong>: {right}.</p>")
    } else {
        let why = escaped(&report.verdict.failures.join(", "));
        writeln!(out, "<p class=\"verdict failed\"><strong>Failed</strong>: {why}.</p>")
    };
    if let Some(verdict) = &report.mock_verdict {
        let state = verdict.judged.as_ref().map_or(&verdict.state, |judged| &judged.state);
        let class = if state == "not_valid" { "verdict failed" } else { "verdict" };
        let text = escaped(&verdict.text);
        let _ = writeln!(out, "<p class=\"{class}\"><strong>The mock itself</strong>: {text}.</p>");
    }
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
}

/// What `--fail-if` asked for.
pub(crate) fn thresholds(all: &[ThresholdReport], out: &mut String) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section>\n<h2>Thresholds (--fail-if)</h2>\n<table class=\"thresholds\">");
    let _ = writeln!(out, "<tr><th class=\"t\">fail if</th><th class=\"t\">failed</th><th class=\"t\">found</th></tr>");
    for of in all {
        let (class, failed) = if of.failed { ("t bad", "yes") } else { ("t", "no") };
        let (expression, found) = (escaped(&of.expression), escaped(&of.found()));
        let _ = writeln!(
            out,
            "<tr><td class=\"t\"><code>{expression}</code></td><td class=\"{class}\">{failed}</td><td class=\"t\">{found}</td></tr>"
        );
    }
    out.push_str("</table>\n</section>\n");
}

fn tiles(report: &FloodReport, out: &mut String) {
    let totals = &report.totals;
    let per_s = |rate: f64| thousands(rate.round() as u64);
    let wrong = totals.counts.wrong + totals.duplicate + totals.unexpected;
    let measured = |us: f64| time_of(report.latency.count, us);
    let own = report.generator.threads.iter().map(|load| load.cpu_share).fold(0.0, f64::max);
    let all = [
        (per_s(totals.replies_per_s), "replies a second", false),
        (measured(report.latency.p50_us), "median latency", false),
        (measured(report.latency.p99_us), "p99 latency", false),
        (measured(report.latency.max_us), "longest", false),
        (thousands(totals.counts.lost), "lost", totals.loss > report.verdict.loss_max),
        (thousands(wrong), "wrong, duplicate or unexpected", wrong > 0),
        (thousands(totals.counts.late), "late", false),
        (thousands(totals.counts.uncertain), "uncertain", totals.counts.uncertain > 0),
        (format!("{:.0} %", own * 100.0), "generator's CPU", report.verdict.generator_limited),
    ];
    page::tiles(all, out);
}

/// A shorter part of a second makes no rate, and is not drawn.
const PART_S_MIN: f64 = 0.2;

/// The seconds of the charts: without those after the end of sending, which would only show that end.
fn drawn(report: &FloodReport) -> Vec<Second> {
    let mut before = 0.0;
    let mut all = report.seconds.clone();
    for second in &mut all {
        if second.span_s <= 0.0 {
            second.span_s = second.at_s - before;
        }
        before = second.at_s;
    }
    let whole = all.iter().any(|second| !second.is_rest && second.span_s >= PART_S_MIN);
    all.retain(|second| !second.is_rest && (!whole || second.span_s >= PART_S_MIN));
    all
}

fn seconds_axis(seconds: &[Second]) -> Axis {
    let last = seconds.last().map_or(1.0, |second| second.at_s);
    Axis::linear("seconds", last, tick)
}

fn throughput(report: &FloodReport, out: &mut String) {
    let seconds = drawn(report);
    let rates = |which: usize| -> Vec<(f64, f64)> {
        seconds.iter().map(|second| (second.at_s, second.per_s()[which])).collect()
    };
    let (sent, replies) = (rates(0), rates(1));
    let most = sent.iter().chain(&replies).map(|(_, rate)| *rate).fold(0.0, f64::max);
    let y = Axis::linear("per second", most, tick);
    let lines = [Line::joined("replies", "a", replies), Line::joined("requests", "b", sent)];
    let chart = chart("Throughput over time", &seconds_axis(&seconds), &y, &lines);
    let rest = match report.seconds.len() - seconds.len() {
        0 => "",
        _ => {
            "<p class=\"note\">Not drawn: what came after the end of sending, and parts of a second below 0.2 s.</p>\n"
        }
    };
    let _ = writeln!(out, "<section>\n<h2>Throughput over time</h2>\n{chart}{rest}</section>");
}

fn latency_over_time(report: &FloodReport, out: &mut String) {
    let drawn = drawn(report);
    let some: Vec<_> = drawn.iter().filter(|second| second.max_us > 0.0).collect();
    let least = some.iter().map(|second| second.p50_us).fold(f64::INFINITY, f64::min);
    let most = some.iter().map(|second| second.max_us).fold(1.0, f64::max);
    if some.is_empty() {
        return;
    }
    let points =
        |of: fn(&Second) -> f64| some.iter().map(|second| (second.at_s, of(second).max(0.1).log10())).collect();
    let lines = [
        Line::joined("median", "a", points(|second| second.p50_us)),
        Line::joined("p99", "b", points(|second| second.p99_us)),
        Line::joined("longest", "c", points(|second| second.max_us)),
    ];
    let chart = chart("Latency over time", &seconds_axis(&drawn), &Axis::log("latency", least, most, time), &lines);
    let _ = writeln!(out, "<section>\n<h2>Latency over time</h2>\n{chart}</section>");
}

/// Nines are equally far apart: 0, 90 %, 99 %, 99.9 %, ...
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).max(1e-6).log10()
}

fn percentiles(report: &FloodReport, out: &mut String) {
    let counted = if report.run.rate_per_s.is_some() {
        "from the moment each request was planned for"
    } else {
        "from the moment each request was sent"
    };
    percentile_chart(&report.latency, "all commands", &format!("Latency by percentile, counted {counted}"), out);
}

fn percentile_chart(latency: &LatencyReport, name: &'static str, heading: &str, out: &mut String) {
    if latency.curve.is_empty() {
        return;
    }
    // No further than there are values to speak of.
    let most = (latency.count as f64).log10().clamp(1.0, 6.0);
    let named = [(0.0, "0"), (50.0, "50 %"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %")];
    let more = [(99.999, "99.999 %"), (99.9999, "99.9999 %")];
    let ticks = named.iter().chain(&more).map(|(at, text)| (nines(*at), (*text).to_owned()));
    let x = Axis { title: "percentile", ticks: ticks.filter(|(at, _)| *at <= most).collect(), range: (0.0, most) };
    let curve = latency.curve.iter().filter(|(at, _)| nines(*at) <= most);
    let points: Vec<(f64, f64)> = curve.map(|(at, us)| (nines(*at), us.max(0.1).log10())).collect();
    let y = Axis::log("latency", latency.min_us, latency.max_us, time);
    let chart = chart("Latency by percentile", &x, &y, &[Line::joined(name, "a", points)]);
    let _ = writeln!(out, "<section>\n<h2>{heading}</h2>\n{chart}</section>");
}

fn row(class: &str, first: [&str; 2], counts: &Counts, latency: &LatencyReport, out: &mut String) {
    let _ = write!(out, "<tr class=\"{class}\">");
    for text in first {
        let _ = write!(out, "<td class=\"t\">{}</td>", escaped(text));
    }
    let Counts { sent, good, late, wrong, lost, silent, .. } = *counts;
    for (count, bad) in [(sent, false), (good, false), (late, false), (wrong, true), (lost, true), (silent, false)] {
        let class = if bad && count > 0 { " class=\"bad\"" } else { "" };
        let _ = write!(out, "<td{class}>{}</td>", thousands(count));
    }
    for us in [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us] {
        let _ = write!(out, "<td>{}</td>", time_of(latency.count, us));
    }
    out.push_str("</tr>\n");
}

fn head(first: [&str; 2], out: &mut String) {
    let _ = write!(out, "<table>\n<tr><th class=\"t\">{}</th><th class=\"t\">{}</th>", first[0], first[1]);
    for name in ["sent", "good", "late", "wrong", "lost", "silent", "p50", "p90", "p99", "p99.9", "max"] {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr>\n");
}

fn commands(report: &FloodReport, out: &mut String) {
    out.push_str("<section>\n<h2>By command</h2>\n");
    head(["vendor", "command"], out);
    for command in &report.commands {
        row("", [&command.vendor, &command.command], &command.counts, &command.latency, out);
    }
    row("sum", ["all", ""], &report.totals.counts, &report.latency, out);
    out.push_str("</table>\n</section>\n");
    if report.vendors.len() > 1 {
        out.push_str("<section>\n<h2>By vendor</h2>\n");
        head(["vendor", ""], out);
        for vendor in &report.vendors {
            row("", [&vendor.vendor, ""], &vendor.counts, &vendor.latency, out);
        }
        out.push_str("</table>\n</section>\n");
    }
}

fn transfers(report: &FloodReport, out: &mut String) {
    let Some(transfers) = &report.transfers else { return };
    let rows = [
        ("whole and right", format!("{} ({:.1} a second)", thousands(transfers.whole), transfers.whole_per_s)),
        (
            "data",
            format!("{} bytes ({:.2} MB/s)", thousands(transfers.payload_bytes), transfers.payload_bytes_per_s / 1e6),
        ),
        ("failed", thousands(transfers.failed)),
        ("refused", thousands(transfers.refused)),
        ("frames requested again", thousands(transfers.retries)),
        ("restarted", thousands(transfers.restarts)),
        ("frames skipped", thousands(transfers.passed_over)),
        ("not sent on purpose", format!("{} ({} %)", thousands(transfers.dropped), transfers.drop * 100.0)),
        ("abandoned", thousands(transfers.abandoned)),
        ("a frame is requested again", format!("{} times at most", transfers.retries_max)),
        ("until the last one ended", format!("{:.3} s", transfers.elapsed_s)),
    ];
    out.push_str("<section>\n<h2>Transfers</h2>\n<dl>\n");
    for (name, value) in rows {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
    }
    out.push_str("</dl>\n</section>\n");
    percentile_chart(&transfers.latency, "whole transfers", "Whole transfers, by percentile", out);
}

/// Plain values of an object, one below the other; one level of objects is opened.
fn pairs(object: &Value, out: &mut String) {
    out.push_str("<dl>\n");
    for (name, value) in object.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), thousands),
            Value::Bool(yes) => yes.to_string(),
            Value::Object(inner) => {
                let some = inner.iter().filter(|(_, value)| value.as_f64().is_some_and(|number| number != 0.0));
                let all: Vec<String> = some.map(|(name, value)| format!("{name} {value}")).collect();
                if all.is_empty() {
                    continue;
                }
                all.join(", ")
            }
            Value::Null | Value::Array(_) => continue,
        };
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&text));
    }
    out.push_str("</dl>\n");
}

fn mock_section(mock: &Value, out: &mut String) {
    for (name, heading) in [("lateness", "The mock's own lateness"), ("totals", "The mock's own counts")] {
        if let Some(found) = mock.get(name).filter(|found| found.is_object()) {
            let _ = writeln!(out, "<section>\n<h2>{heading}</h2>");
            pairs(found, out);
            out.push_str("</section>\n");
        }
    }
}

fn fsus(report: &FloodReport, out: &mut String) {
    if report.fsus.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>FSUs with failures</h2>\n<table>\n<tr><th class=\"t\">FSU</th>");
    for name in ["sent", "good", "late", "wrong", "lost", "silent", "duplicate", "unexpected"] {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr>\n");
    for of in &report.fsus {
        let FsuReport { fsu, sent, good, late, wrong, lost, silent, duplicate, unexpected } = of;
        let _ = write!(out, "<tr><td class=\"t\">{}</td>", escaped(fsu));
        for count in [sent, good, late, wrong, lost, silent, duplicate, unexpected] {
            let _ = write!(out, "<td>{}</td>", thousands(*count));
        }
        out.push_str("</tr>\n");
    }
    let more = report.fsus_not_right.saturating_sub(report.fsus.len());
    let rest =
        if more > 0 { format!("<p class=\"note\">And {} more.</p>\n", thousands(more as u64)) } else { String::new() };
    let _ = writeln!(out, "</table>\n{rest}</section>");
}

fn left_out(report: &FloodReport, out: &mut String) {
    if report.left_out.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Commands left out</h2>\n<table>\n<tr>");
    for name in ["vendor", "command", "why", "what makes a run ask it", "first FSU", "FSUs"] {
        let _ = write!(out, "<th class=\"t\">{name}</th>");
    }
    out.push_str("</tr>\n");
    for left in &report.left_out {
        out.push_str("<tr>");
        for text in [&left.vendor, &left.command, &left.why, &left.remedy, &left.fsu, &left.fsus.to_string()] {
            let _ = write!(out, "<td class=\"t\">{}</td>", escaped(text));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n</section>\n");
}

fn samples(report: &FloodReport, out: &mut String) {
    if report.samples.is_empty() && report.wrong_by.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Failures</h2>\n<dl>\n");
    for (why, count) in &report.wrong_by {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(why), thousands(*count));
    }
    for sample in &report.samples {
        let command = sample.command.as_deref().unwrap_or("-");
        let about = escaped(&format!("{} ({}, command {command})", sample.why, sample.fsu));
        let _ = write!(out, "<dt>first {}</dt><dd>{about}", escaped(&sample.kind));
        for (name, hex) in [("request", &sample.request), ("reply", &sample.reply)] {
            if !hex.is_empty() {
                let _ = write!(out, "<br><span class=\"hex\">{name} {hex}</span>");
            }
        }
        out.push_str("</dd>\n");
    }
    out.push_str("</dl>\n</section>\n");
}

fn configuration(report: &FloodReport, out: &mut String) {
    let run = &report.run;
    let pace = match (run.window, run.rate_per_s) {
        (Some(window), _) => format!("closed loop, {window} under way"),
        (_, Some(rate)) => {
            let ramp = run.ramp_s.filter(|ramp| *ramp > 0.0).map_or(String::new(), |ramp| format!(", ramp {ramp} s"));
            let poisson = if run.poisson { ", Poisson" } else { "" };
            format!("open loop, {} requests/s{ramp}{poisson}", thousands(rate.round() as u64))
        }
        _ => String::new(),
    };
    let way = if run.connections > 0 {
        format!("tcp, {}", counted(run.connections as u64, "connection"))
    } else {
        format!("{}, {}", run.transport, counted(run.sockets as u64, "socket"))
    };
    let loads = report.generator.threads.iter().map(|load| {
        let cpu = load.cpu.map_or(String::new(), |cpu| format!(" on processor {cpu}"));
        format!("{:.0} %{cpu}", load.cpu_share * 100.0)
    });
    let lag = &report.lag;
    let own = |us: f64| time_of(lag.count, us);
    let totals = &report.totals;
    let rows = [
        ("called as", report.command_line.join(" ")),
        ("configuration", report.config.clone()),
        ("FSUs", thousands(run.fsus as u64)),
        ("way", way),
        ("pace", pace),
        ("measured", format!("{:.3} s after {} s of warm-up", run.measured_s, run.warmup_s)),
        ("time-out", format!("{} ms", run.timeout_ms)),
        ("seed", run.seed.to_string()),
        ("requests", format!("{} sent, {} bytes", thousands(totals.counts.sent), thousands(totals.bytes_out))),
        ("heartbeats", thousands(totals.heartbeats)),
        ("generator", loads.collect::<Vec<_>>().join(", ")),
        ("its lag", format!("median {}, p99 {}, longest {}", own(lag.p50_us), own(lag.p99_us), own(lag.max_us))),
        (
            "machine",
            format!("{} ({} processors), {}", report.machine.model, report.machine.processors, report.machine.kernel),
        ),
        ("program", report.program.clone()),
        ("ended", report.ended.clone()),
    ];
    out.push_str("<section>\n<h2>Configuration and machine</h2>\n<dl>\n");
    for (name, value) in rows {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    out.push_str("</dl>\n</section>\n");
}
