//! A comparison for people.

use super::{Change, CompareReport, Meaning};
use crate::numbers::thousands;
use crate::report::text::table;
use comfy_table::CellAlignment;
use fsu_plan::texts::Texts;
use std::fmt::Write as _;

/// A figure with its unit.
fn figure(value: f64, unit: &str) -> String {
    match unit {
        "us" if value < 1_000.0 => format!("{value:.1} us"),
        "us" => format!("{:.3} ms", value / 1_000.0),
        "/s" if value >= 100.0 => format!("{}/s", thousands(value.round() as u64)),
        "%" => format!("{value:.4} %"),
        unit => format!("{value:.2}{unit}"),
    }
}

impl Change {
    fn percent(&self) -> String {
        match self.change_percent {
            Some(percent) => format!("{percent:+.1} %"),
            None if self.after == 0.0 => "0 %".into(),
            None => "from 0".into(),
        }
    }

    /// In one line: `p99 812.0 us -> 1.204 ms (+48.3 %)`.
    pub(super) fn told(&self) -> String {
        let [before, after] = [self.before, self.after].map(|value| figure(value, &self.unit));
        format!("{} {before} -> {after} ({})", self.metric, self.percent())
    }
}

impl CompareReport {
    /// For people: a line for each metric, notes, what failed.
    pub fn text(&self, say: Texts) -> String {
        let mut rows = table(&["metric", "before", "after", "change", "p", "meaning"], say);
        for (number, column) in rows.column_iter_mut().enumerate() {
            column.set_cell_alignment(if matches!(number, 0 | 5) { CellAlignment::Left } else { CellAlignment::Right });
        }
        for change in &self.changes {
            let [before, after] = [change.before, change.after].map(|value| figure(value, &change.unit));
            let p = change.p.map_or("-".to_owned(), |p| if p < 0.0001 { "<0.0001".into() } else { format!("{p:.4}") });
            let (percent, meaning) = (say.say(&change.percent()).into_owned(), say.say(&change.meaning).into_owned());
            rows.add_row([change.metric.clone(), before, after, percent, p, meaning]);
        }
        let mut rest = String::from("\n");
        // Writing to a String cannot fail.
        for why in &self.different {
            let _ = writeln!(rest, "  not the same: {why}");
        }
        for note in &self.notes {
            let _ = writeln!(rest, "  note: {note}");
        }
        let of = |meaning: Meaning| self.changes.iter().filter(|change| change.meaning == meaning.name()).count();
        let (better, worse, same) = (of(Meaning::Better), of(Meaning::Worse), of(Meaning::Same));
        let _ = writeln!(rest, "  beyond noise: {better} better, {worse} worse; {same} within it");
        for failure in &self.failures {
            let _ = writeln!(rest, "  FAILED: {failure}");
        }
        format!("{rows}\n{}", say.lines(&rest))
    }
}
