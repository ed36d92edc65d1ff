//! What changed between two reports beyond noise (`fsu-mock compare`): two of the load generator, or two of a mock's counters.

pub mod load;
pub mod mock;
pub mod stats;
pub mod text;

use crate::report::schema;
use fsu_plan::words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the shape.
const VERSION: u32 = 1;
/// The risk that any of the differences is noise, 0 to 1.
const RISK: f64 = 0.01;
/// A median that changed by less, as a share of what it was, is no difference.
const CHANGE_MIN: f64 = 0.02;
/// How far samples must be apart (Cliff's delta): the usual bound of a medium effect.
const EFFECT_MIN: f64 = 0.33;
/// A share that changed by less, 0 to 1, is no difference.
const SHARE_MIN: f64 = 1e-5;

words! {
    /// What a difference means.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Meaning {
        /// Beyond noise, for the better.
        Better = "better",
        /// Beyond noise, for the worse.
        Worse = "worse",
        /// Within noise, or too small to matter.
        Same = "same",
        /// There is no test of it: one figure a run, or too few seconds.
        Untested = "untested",
    }
}

/// Two reports beside each other.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CompareReport {
    /// Version of this shape.
    pub version: u32,
    /// `flood` or `run`: whose reports they are.
    pub kind: String,
    /// The first report's file.
    pub before: String,
    /// The second one's.
    pub after: String,
    /// Why the two are not of the same thing; compared in spite of it (`--force`).
    pub different: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// Each metric.
    pub changes: Vec<Change>,
    /// What is worse by more than `--fail-if-worse` allows.
    pub failures: Vec<String>,
    /// Nothing is.
    pub passed: bool,
}

/// One metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its name, as in the reports.
    pub metric: String,
    /// `us`, `/s`, `%` or empty.
    pub unit: String,
    /// In the first report; of a series, the median of its seconds.
    pub before: f64,
    /// In the second one.
    pub after: f64,
    /// By how many per cent of `before`; none: that was 0.
    pub change_percent: Option<f64>,
    /// The chance of such a difference by noise alone, 0 to 1; none: not tested.
    pub p: Option<f64>,
    /// Of series: how far the seconds are apart, -1 to 1.
    pub effect: Option<f64>,
    /// `better`, `worse`, `same` or `untested`.
    pub meaning: String,
}

/// A metric before all tests are known.
#[derive(Clone, Debug, Default)]
pub struct Row {
    change: Change,
    is_large: bool,
    higher_is_better: bool,
}

impl Row {
    fn new((metric, unit): (&str, &str), (before, after): (f64, f64)) -> Self {
        let change_percent = (before != 0.0).then(|| (after - before) / before * 100.0);
        let change =
            Change { metric: metric.into(), unit: unit.into(), before, after, change_percent, ..Change::default() };
        Self { change, ..Self::default() }
    }

    /// Two series of seconds.
    fn series(named: (&str, &str), higher_is_better: bool, (a, b): (&[f64], &[f64])) -> Option<Self> {
        let row = Self::new(named, (stats::median(a)?, stats::median(b)?));
        let tested = stats::mann_whitney(a, b);
        let is_large = row.change.change_percent.is_none_or(|percent| percent.abs() >= CHANGE_MIN * 100.0)
            && tested.is_some_and(|tested| tested.effect.abs() >= EFFECT_MIN);
        let (p, effect) = (tested.map(|tested| tested.p), tested.map(|tested| tested.effect));
        Some(Self { change: Change { p, effect, ..row.change }, is_large, higher_is_better })
    }

    /// Two shares; fewer are better.
    fn share(metric: &str, a: (u64, u64), b: (u64, u64)) -> Option<Self> {
        let share = |(count, of): (u64, u64)| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let row = Self::new((metric, "%"), (share(a) * 100.0, share(b) * 100.0));
        let p = stats::shares(a, b);
        let is_large = (share(a) - share(b)).abs() >= SHARE_MIN;
        (a.0 + b.0 > 0).then_some(Self { change: Change { p, ..row.change }, is_large, higher_is_better: false })
    }
}

/// Puts the rows together: the tests share one risk.
fn judged(rows: Vec<Row>) -> Vec<Change> {
    let chances: Vec<Option<f64>> = rows.iter().map(|row| row.change.p).collect();
    let significant = stats::significant(&chances, RISK);
    let meaning = |row: &Row, is_significant: bool| match row.change.p {
        None => Meaning::Untested,
        Some(_) if !is_significant || !row.is_large => Meaning::Same,
        Some(_) if (row.change.after > row.change.before) == row.higher_is_better => Meaning::Better,
        Some(_) => Meaning::Worse,
    };
    let rows = rows.into_iter().zip(significant);
    rows.map(|(row, is_significant)| Change { meaning: meaning(&row, is_significant).name().into(), ..row.change })
        .collect()
}

impl CompareReport {
    /// Of two reports; `worse_max`: what may be worse by how much, 0 to 1.
    pub fn new(
        kind: &str,
        (before, after): (&str, &str),
        (different, notes): (Vec<String>, Vec<String>),
        rows: Vec<Row>,
        worse_max: Option<f64>,
    ) -> Self {
        let changes = judged(rows);
        let is_too_bad = |change: &&Change| {
            let by = change.change_percent.map_or(f64::INFINITY, |percent| percent.abs() / 100.0);
            change.meaning == Meaning::Worse.name() && worse_max.is_some_and(|most| by > most)
        };
        let failures: Vec<String> = changes.iter().filter(is_too_bad).map(Change::told).collect();
        Self {
            version: VERSION,
            kind: kind.into(),
            before: before.into(),
            after: after.into(),
            different,
            notes,
            passed: failures.is_empty(),
            changes,
            failures,
        }
    }
}

/// The schema of `compare --json`.
pub fn schema() -> String {
    schema::text::<CompareReport>("compare")
}

#[cfg(test)]
mod tests;
