//! The certificate as one page of HTML that needs nothing else.

use super::run::rate;
use super::text::{facts, outcome};
use super::{CapacityReport, StepReport};
use crate::numbers::{thousands, time, time_of};
use crate::report::html::{escaped, page, said};
use crate::report::svg::{Axis, Line, chart, tick};
use fsu_plan::texts::Texts;
use std::fmt::Write as _;

/// The page in that language.
pub fn html(report: &CapacityReport, say: Texts) -> String {
    let page = english(report);
    if say.is_english() { page } else { said(&page, say) }
}

fn english(report: &CapacityReport) -> String {
    let mut out = page::begin("fsu-mock flood: capacity of this machine", &report.started);
    // Writing to a String cannot fail.
    let class = if report.passed { "verdict" } else { "verdict failed" };
    let _ = writeln!(out, "<p class=\"{class}\"><strong>{}</strong></p>", escaped(&report.verdict));
    for why in &report.broke_by {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(why));
    }
    tiles(report, &mut out);
    steps_chart(&report.steps, &mut out);
    latency_chart(&report.steps, &mut out);
    steps(&report.steps, &mut out);
    out.push_str("<section>\n<h2>Machine and search</h2>\n<dl>\n");
    let command = ("called as", report.command_line.join(" "));
    let more = [command, ("configuration", report.config.clone()), ("program", report.program.clone())];
    for (name, value) in facts(report).into_iter().chain(more).chain([("ended", report.ended.clone())]) {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    out.push_str("</dl>\n</section>\n");
    page::end(&mut out);
    out
}

fn tiles(report: &CapacityReport, out: &mut String) {
    let last = report.steps.iter().rfind(|step| step.held && report.capacity_per_s == Some(step.rate_per_s));
    let of = |value: Option<f64>| value.map_or("-".to_owned(), rate);
    let us = |of: fn(&StepReport) -> f64| last.map_or("-".to_owned(), |step| time_of(step.sent, of(step)));
    let all = [
        (of(report.capacity_per_s), "requests a second, confirmed"),
        (of(report.replies_per_s), "replies a second there"),
        (us(|step| step.p50_us), "median latency there"),
        (us(|step| step.p99_us), "p99 latency there"),
        (of(report.broke_per_s), "requests a second that broke"),
        (report.steps.len().to_string(), "steps"),
    ];
    page::tiles(all.map(|(value, name)| (value, name, false)), out);
}

/// Steps and a value of theirs, of those that held or of the others.
fn points(steps: &[StepReport], held: bool, of: fn(&StepReport) -> (f64, f64)) -> Vec<(f64, f64)> {
    steps.iter().filter(|step| step.held == held).map(of).collect()
}

fn steps_chart(steps: &[StepReport], out: &mut String) {
    let Some(last) = steps.len().checked_sub(1) else { return };
    let least = steps.iter().map(|step| step.rate_per_s).fold(f64::INFINITY, f64::min);
    let most = steps.iter().map(|step| step.rate_per_s).fold(1.0, f64::max);
    let at = |step: &StepReport| (step.step as f64, step.rate_per_s.max(0.1).log10());
    let lines = [Line::dots("held", "a", points(steps, true, at)), Line::dots("broke", "b", points(steps, false, at))];
    let every = (last / 12).max(1);
    let ticks = (1..=steps.len()).step_by(every).map(|step| (step as f64, step.to_string())).collect();
    let x = Axis { title: "step", ticks, range: (0.5, steps.len() as f64 + 0.5) };
    let chart = chart("Rate of each step", &x, &Axis::log("requests per second", least, most, tick), &lines);
    let _ = writeln!(out, "<section>\n<h2>Rate of each step</h2>\n{chart}</section>");
}

fn latency_chart(steps: &[StepReport], out: &mut String) {
    let some: Vec<StepReport> = steps.iter().filter(|step| step.p99_us > 0.0).cloned().collect();
    if some.is_empty() {
        return;
    }
    let least = some.iter().map(|step| step.p99_us).fold(f64::INFINITY, f64::min);
    let most = some.iter().map(|step| step.p99_us).fold(0.0, f64::max);
    let widest = some.iter().map(|step| step.rate_per_s).fold(1.0, f64::max);
    let at = |step: &StepReport| (step.rate_per_s, step.p99_us.max(0.1).log10());
    let lines = [Line::dots("held", "a", points(&some, true, at)), Line::dots("broke", "b", points(&some, false, at))];
    let x = Axis::linear("requests per second", widest, tick);
    let chart = chart("p99 latency by rate", &x, &Axis::log("latency", least, most, time), &lines);
    let _ = writeln!(out, "<section>\n<h2>p99 latency by rate</h2>\n{chart}</section>");
}

fn steps(steps: &[StepReport], out: &mut String) {
    out.push_str("<section>\n<h2>Steps</h2>\n<table>\n<tr><th>step</th><th class=\"t\">why</th>");
    for name in ["requests/s", "replies/s", "lost", "late", "wrong", "p50", "p99", "max", "own lag", "own CPU"] {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("<th>mock p99.9</th><th class=\"t\">outcome</th></tr>\n");
    for step in steps {
        let _ = write!(out, "<tr><td>{}</td><td class=\"t\">{}</td>", step.step, escaped(&step.purpose));
        let counts = [step.lost, step.late, step.wrong].map(thousands);
        let us = [step.p50_us, step.p99_us, step.max_us, step.lag_p99_us].map(|us| time_of(step.sent, us));
        let mock = step.mock_lateness.as_ref().map_or("-".to_owned(), |mock| time(mock.p999_us as f64));
        let rates = [rate(step.rate_per_s), rate(step.replies_per_s)];
        let cpu = format!("{:.0} %", step.cpu_share * 100.0);
        for text in rates.iter().chain(&counts).chain(&us).chain([&cpu, &mock]) {
            let _ = write!(out, "<td>{}</td>", escaped(text));
        }
        let class = if step.held { "t" } else { "t bad" };
        let _ = writeln!(out, "<td class=\"{class}\">{}</td></tr>", escaped(&outcome(step)));
    }
    out.push_str("</table>\n</section>\n");
}
