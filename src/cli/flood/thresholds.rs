//! `--fail-if`: from words to thresholds.

use super::usage;
use crate::args::FloodArgs;
use crate::exit::CliError;
use fsu_flood::report::FloodReport;
use fsu_flood::report::thresholds::{METRICS, is_of_loss, is_of_mock};
use fsu_flood::threshold::{Metrics, Threshold};

/// The expressions of the command line, about these metrics.
///
/// # Errors
/// One is none; with its place.
pub(super) fn given(args: &FloodArgs, metrics: &Metrics) -> Result<Vec<Threshold>, CliError> {
    let parse =
        |text: &String| Threshold::parse(text, metrics).map_err(|error| usage(format!("--fail-if {text:?}: {error}")));
    args.aim.fail_if.iter().map(parse).collect()
}

/// Those of a load. `knows_mock`: the mock's own lateness is in the report, or will be.
///
/// # Errors
/// One is none, or compares what will not be known.
pub(super) fn of_load(args: &FloodArgs, knows_mock: bool) -> Result<Vec<Threshold>, CliError> {
    let all = given(args, &METRICS)?;
    match all.iter().find(|of| is_of_mock(of)).filter(|_| !knows_mock) {
        Some(of) => Err(usage(format!(
            "--fail-if {}: only the mock knows its own lateness; read the report again with --from and --mock-stats, and give it there",
            of.expression
        ))),
        None => Ok(all),
    }
}

/// Loss that is accepted, 0 to 1: `--max-loss`; else any, where thresholds say which; else none.
pub(super) fn loss_max(args: &FloodArgs, thresholds: &[Threshold]) -> f64 {
    let default = if thresholds.iter().any(is_of_loss) { 100.0 } else { 0.0 };
    args.max_loss.unwrap_or(default) / 100.0
}

/// Holds a report to the thresholds that are given, else to its own again.
///
/// # Errors
/// Its own are none of this program.
pub(super) fn hold(report: &mut FloodReport, given: &[Threshold]) -> Result<(), CliError> {
    let own = report.thresholds.iter().map(|of| Threshold::parse(&of.expression, &METRICS));
    let own: Vec<Threshold> = own
        .collect::<Result<_, _>>()
        .map_err(|error| usage(format!("the report's own thresholds cannot be read: {error}")))?;
    report.hold_to(if given.is_empty() { &own } else { given });
    Ok(())
}
