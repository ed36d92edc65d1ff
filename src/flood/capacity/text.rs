//! The certificate as text.

use super::run::rate;
use super::{CapacityReport, StepReport};
use crate::numbers::{counted, thousands, time_of};
use crate::report::text::table;
use fsu_plan::texts::{Texts, padded};
use std::fmt::Write as _;

/// Columns of a line's name.
const NAME_COLUMNS: usize = 12;

/// What is known beside the steps: names and values, for people.
pub(super) fn facts(report: &CapacityReport) -> Vec<(&'static str, String)> {
    let (machine, run) = (&report.machine, &report.run);
    let mib = |bytes: u64| format!("{} MiB", thousands(bytes >> 20));
    let bytes = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| counted(bytes, "byte"));
    let mut out = Vec::new();
    let kind = if machine.is_virtual { ", under a hypervisor" } else { "" };
    out.push(("machine", format!("{}; {}{kind}", machine.model, counted(machine.processors as u64, "processor"))));
    out.push(("kernel", machine.kernel.clone()));
    out.extend(machine.memory_bytes.map(|bytes| ("memory", mib(bytes))));
    out.extend(machine.governor.as_ref().map(|governor| ("governor", governor.clone())));
    out.push((
        "buffers",
        format!(
            "rmem_max {}, wmem_max {}",
            bytes(machine.receive_buffer_bytes_max),
            bytes(machine.send_buffer_bytes_max)
        ),
    ));
    let here = if run.is_local { "on this machine" } else { "on another machine" };
    out.push(("fleet", format!("{} over {}, {here}", counted(run.fsus as u64, "FSU"), run.transport)));
    let cpus: Vec<String> = run.cpus.iter().map(ToString::to_string).collect();
    let pinned = if cpus.is_empty() { "not pinned".to_owned() } else { format!("pinned to {}", cpus.join(", ")) };
    out.push(("generator", format!("{}; {pinned}", counted(run.threads as u64, "thread"))));
    let (step_s, warmup_s, percent) = (run.step_s, run.warmup_s, run.precision * 100.0);
    out.push(("a step", format!("{step_s} s after {warmup_s} s of warm-up; precision {percent} %")));
    let loss = run.loss_max * 100.0;
    out.push(("held means", format!("loss at most {loss} %, no wrong and no late reply, the generator on time")));
    for expression in &run.thresholds {
        out.push(("fail if", expression.clone()));
    }
    out.push(match &run.mock {
        Some(at) => ("mock", format!("its own lateness was read at {at}")),
        None => ("mock", "its own lateness was not read (--mock)".to_owned()),
    });
    out
}

/// What came of a step, for people.
pub(super) fn outcome(step: &StepReport) -> String {
    match (&step.limit, step.held) {
        (_, true) => "held".into(),
        (Some(limit), _) => format!("{limit}: {}", step.why.join(", ")),
        (None, _) => step.why.join(", "),
    }
}

impl CapacityReport {
    /// For people: the steps, what is known of the machine and the search, the capacity.
    pub fn text(&self, say: Texts) -> String {
        let mut rows = table(
            &["step", "why", "requests/s", "replies/s", "lost", "p50", "p99", "max", "own lag", "own CPU", "outcome"],
            say,
        );
        for (name, column) in
            ["step", "why", "", "", "", "", "", "", "", "", "outcome"].iter().zip(rows.column_iter_mut())
        {
            if matches!(*name, "why" | "outcome") {
                column.set_cell_alignment(comfy_table::CellAlignment::Left);
            }
        }
        for step in &self.steps {
            let measured = step.sent - step.lost.min(step.sent);
            let [p50, p99, max] = [step.p50_us, step.p99_us, step.max_us].map(|us| time_of(measured, us));
            rows.add_row([
                step.step.to_string(),
                say.say(&step.purpose).into_owned(),
                rate(step.rate_per_s),
                rate(step.replies_per_s),
                thousands(step.lost),
                p50,
                p99,
                max,
                time_of(step.sent, step.lag_p99_us),
                format!("{:.0} %", step.cpu_share * 100.0),
                say.lines(&outcome(step)).into_owned(),
            ]);
        }
        // Writing to a String cannot fail.
        let mut out = format!("{rows}\n\n");
        for (name, value) in facts(self) {
            let _ = writeln!(out, "  {} {}", padded(&say.say(name), NAME_COLUMNS), say.say(&value));
        }
        let _ = writeln!(out, "\n  {}", say.say(&self.verdict));
        for why in &self.broke_by {
            let _ = writeln!(out, "    {}", say.say(why));
        }
        out
    }
}
