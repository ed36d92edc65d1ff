//! `compare`: two reports beside each other.

use super::compare_args::CompareArgs;
use super::exit::{CliError, Exit};
use super::flood::{REPORT_BYTES_MAX, read};
use fsu_flood::compare::{CompareReport, load, mock};
use fsu_flood::report::FloodReport;
use fsu_plan::texts::Texts;
use serde_json::Value;
use std::path::Path;

/// What is in a file.
enum Given {
    Load(Box<FloodReport>),
    Stats(Value),
}

fn given(path: &Path) -> Result<Given, CliError> {
    let text = read(path, REPORT_BYTES_MAX)?;
    let other = || usage(format!("{} is neither a report of flood --json nor one of run --stats", path.display()));
    let value: Value = serde_json::from_str(&text).map_err(|_| other())?;
    if mock::is_stats(&value) {
        return Ok(Given::Stats(value));
    }
    serde_json::from_value(value).map(|report| Given::Load(Box::new(report))).map_err(|_| other())
}

fn usage(text: impl Into<String>) -> CliError {
    CliError::new(Exit::Usage, text)
}

/// Compares, and prints.
///
/// # Errors
/// A file that is no report, or two that are not of the same thing.
pub fn compare(args: &CompareArgs, say: Texts) -> Result<Exit, CliError> {
    let (kind, different, notes, rows) = match (given(&args.before)?, given(&args.after)?) {
        (Given::Load(a), Given::Load(b)) => ("flood", load::different(&a, &b), load::notes(&a, &b), load::rows(&a, &b)),
        (Given::Stats(a), Given::Stats(b)) => ("run", mock::different(&a, &b), Vec::new(), mock::rows(&a, &b)),
        _ => return Err(usage("one is a report of flood, the other of run: compare two of a kind")),
    };
    if !different.is_empty() && !args.force {
        let why = different.join("; ");
        return Err(usage(format!("they are not of the same thing ({why}); --force compares them nevertheless")));
    }
    let names = [&args.before, &args.after].map(|path| path.display().to_string());
    let report = CompareReport::new(kind, (&names[0], &names[1]), (different, notes), rows, args.fail_if_worse);
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| usage(format!("--json: {error}")))?;
        super::print(format!("{json}\n").as_bytes())?;
    } else {
        super::print(report.text(say).as_bytes())?;
    }
    Ok(if report.passed { Exit::Ok } else { Exit::Configuration })
}
