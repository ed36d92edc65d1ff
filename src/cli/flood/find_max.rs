//! `--find-max`: the search for the highest rate.

use super::mock::Mock;
use super::watched::Watch;
use super::{Asked, RATE_MAX, Reports, SECONDS_MAX, json, run_error, thresholds, usage, written};
use crate::args::FloodArgs;
use crate::exit::{CliError, Exit};
use crate::fleet;
use fsu_flood::capacity::html::html;
use fsu_flood::capacity::run::{LookAtMock, Plan, search};
use fsu_flood::run::Show;
use fsu_flood::search::Bounds;
use fsu_serve::fleet::machine;
use std::time::Duration;

/// The lowest rate that is tried, requests a second.
const LEAST_PER_S: f64 = 1.0;
/// How often in a row the result has to hold.
const CONFIRMATIONS: u32 = 3;
/// The shortest warm-up of a step.
const WARMUP_S: f64 = 1.0;

/// Searches, and writes the certificate.
///
/// # Errors
/// Wrong arguments, and what the machine refuses.
pub(super) fn find_max(args: &FloodArgs, reports: &Reports, stop: &mut dyn FnMut() -> bool) -> Result<Exit, CliError> {
    let (bounds, step) = plan(args)?;
    let thresholds = thresholds::of_load(args, args.aim.mock.is_some())?;
    let loss_max = thresholds::loss_max(args, &thresholds);
    let fleet = fleet::load(&args.which.origin(), reports.say)?;
    let mut options = Asked { args, say: reports.say, loss_max }.options(step, &fleet)?;
    options.warmup = options.warmup.max(Duration::from_secs_f64(WARMUP_S));
    machine::files(options.files()).map_err(|missing| CliError::new(Exit::Machine, missing.to_string()))?;
    let mut mock = Mock::of(args)?;
    let watch = Watch::load(args, &options, reports.say)?;
    let mut show = watch.steps();
    let plan = Plan {
        show: show.as_mut().map(|show| &mut **show as &mut dyn Show),
        bounds,
        thresholds: &thresholds,
        mock: mock.as_mut().map(|mock| mock as &mut dyn LookAtMock),
        say: (!args.quiet).then_some(reports.say),
    };
    let report = search(options, plan, stop).map_err(|error| run_error(&error))?;
    let json = reports.json.as_ref().map(|file| written(file, &json(&report)?)).transpose();
    let page = reports.html.as_ref().map(|file| written(file, &html(&report, reports.say))).transpose();
    json.and(page).and(reports.tell(&report.text(reports.say)))?;
    Ok(if report.passed { Exit::Ok } else { Exit::Configuration })
}

/// Between which rates, and how long a step is.
fn plan(args: &FloodArgs) -> Result<(Bounds, Duration), CliError> {
    let (from, to, precision, step_s) =
        (args.aim.find_from, args.aim.find_to.unwrap_or(RATE_MAX), args.aim.precision, args.aim.step_s);
    for (name, rate) in [("--find-from", from), ("--find-to", to)] {
        if !(LEAST_PER_S..=RATE_MAX).contains(&rate) {
            return Err(usage(format!("{name} {rate}: {LEAST_PER_S} to {RATE_MAX} requests a second")));
        }
    }
    if from > to {
        return Err(usage(format!("--find-from {from}: above --find-to {to}")));
    }
    if !(0.1..=50.0).contains(&precision) {
        return Err(usage(format!("--precision {precision}: 0.1 to 50 percent")));
    }
    if !(1.0..=SECONDS_MAX).contains(&step_s) {
        return Err(usage(format!("--step-s {step_s}: 1 to {SECONDS_MAX} seconds")));
    }
    let bounds = Bounds {
        from_per_s: from,
        least_per_s: LEAST_PER_S,
        most_per_s: to,
        precision: precision / 100.0,
        confirmations: CONFIRMATIONS,
    };
    Ok((bounds, Duration::from_secs_f64(step_s)))
}
