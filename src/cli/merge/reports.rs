//! Reports of `flood --json` of several parts.

use super::MergeError;
use super::files::on_threads;
use fsu_flood::html::html;
use fsu_flood::merge::{self, MergeError as ReportError};
use fsu_flood::numbers::counted;
use fsu_flood::report::{FloodReport, VERSION};
use fsu_flood::text::text;
use fsu_plan::texts::Texts;
use fsu_plan::words::count;
use std::path::{Path, PathBuf};

/// What becomes of them.
pub(super) struct Whole {
    /// The report, as JSON.
    pub(super) json: Vec<u8>,
    /// The same as a page.
    pub(super) html: String,
    /// The same as text.
    pub(super) text: String,
    /// What to say of it.
    pub(super) line: String,
    /// Not everything passed.
    pub(super) failed: bool,
}

/// Merges the reports of that name.
///
/// # Errors
/// Parts are missing, there twice, or do not belong together.
pub(super) fn merge(
    name: &str,
    texts: &[(&PathBuf, &str)],
    (allow_missing, say): (bool, Texts),
) -> Result<Whole, MergeError> {
    let parts = on_threads(texts, |&(path, text)| read(path, text));
    let mut parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|(_, report)| number(report));
    for pair in parts.windows(2) {
        if let [(first, a), (path, b)] = pair
            && number(a) == number(b)
        {
            return Err(MergeError::Twice { path: path.clone(), part: number(b), first: first.clone() });
        }
    }
    let (paths, reports): (Vec<PathBuf>, Vec<FloodReport>) = parts.into_iter().unzip();
    let of = reports.first().and_then(|one| one.part.as_ref()).map_or(0, |part| part.of);
    let missing: Vec<u32> = (0..of).filter(|part| !reports.iter().any(|one| number(one) == *part)).collect();
    if !missing.is_empty() && !allow_missing {
        let which = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(MergeError::Missing { name: name.to_owned(), which });
    }
    let whole = merge::merge(&reports, missing).map_err(|error| named(&error, &paths))?;
    let json = serde_json::to_vec_pretty(&whole).map_err(|error| content(Path::new(name), error.to_string()))?;
    let merged = whole.merged.clone().unwrap_or_default();
    let verdict = if whole.verdict.passed { "passed".to_owned() } else { whole.verdict.failures.join("; ") };
    let line = format!(
        "{} of {} parts, {} of {}; {}, {}: {verdict}",
        merged.parts,
        merged.of,
        whole.run.fsus,
        count(merged.fsus_of, "FSU"),
        counted(whole.totals.counts.sent, "request"),
        counted(whole.totals.replies, "reply"),
    );
    let failed = !whole.verdict.passed;
    Ok(Whole { json, html: html(&whole, None, say), text: text(&whole, say), line, failed })
}

fn number(report: &FloodReport) -> u32 {
    report.part.as_ref().map_or(0, |part| part.part)
}

fn read(path: &Path, text: &str) -> Result<(PathBuf, FloodReport), MergeError> {
    let report: FloodReport = serde_json::from_str(text).map_err(|error| content(path, error.to_string()))?;
    if report.version != VERSION {
        let what = format!("a report of version {} (this program merges version {VERSION})", report.version);
        return Err(content(path, what));
    }
    if report.part.is_none() {
        return Err(content(path, ReportError::NoPart(0).to_string()));
    }
    Ok((path.to_owned(), report))
}

/// The error, with the file that it is about.
fn named(error: &ReportError, paths: &[PathBuf]) -> MergeError {
    let path = |index: usize| paths.get(index).cloned().unwrap_or_default();
    match error {
        ReportError::Differs { index, what, found, expected } => MergeError::Differs {
            path: path(*index),
            what,
            found: found.clone(),
            expected: expected.clone(),
            first: path(0),
        },
        other => content(&path(other.index()), other.to_string()),
    }
}

fn content(path: &Path, what: impl Into<String>) -> MergeError {
    MergeError::Content { path: path.to_owned(), what: what.into() }
}
