//! `flood --listen … --rate N`: a centre that also asks those that come.

use super::thresholds::of_load;
use super::watched::Watch;
use super::{Asked as Wish, Reports, SECONDS_MAX, finish, part, show, told, usage};
use crate::args::FloodArgs;
use crate::exit::{CliError, Exit};
use fsu_flood::centre::{Called, CentreReport, ExpectedFsu};
use fsu_flood::listen::Options;
use fsu_flood::listen::ask::Asked;
use fsu_flood::options::Options as Load;
use fsu_flood::run;
use fsu_flood::targets::Choice;
use fsu_flood::threshold::Threshold;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Whether a centre asks, too.
pub(super) fn is_asked(args: &FloodArgs) -> bool {
    match args.rate {
        Some(rate) => rate != 0.0,
        None => args.window.is_some() || args.requests.is_some() || args.mix.is_some() || args.values.is_some(),
    }
}

/// The thresholds of a centre that asks: those of a load.
///
/// # Errors
/// One is none, or compares what will not be known.
pub(super) fn thresholds(args: &FloodArgs) -> Result<Vec<Threshold>, CliError> {
    of_load(args, args.mock_stats.is_some())
}

/// Options of a load that are nothing without one.
fn needs_load(args: &FloodArgs) -> Result<(), CliError> {
    let given = [
        ("--equal", args.equal),
        ("--warmup", args.warmup > 0.0),
        ("--max-loss", args.max_loss.is_some()),
        ("--timeout-ms", (args.timeout_ms - 1000.0).abs() > f64::EPSILON),
        ("--ramp", args.ramp > 0.0),
        ("--poisson", args.poisson),
        ("--screen", args.screen),
        ("--mock-stats", args.mock_stats.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(usage(format!(
            "{name} is about requests, and a centre only listens: give --rate, --window, --requests, --mix or --values, too"
        ))),
        None => Ok(()),
    }
}

/// What a centre asks beside; `None`: it only listens. Puts the FSUs that it asks into `options`.
///
/// # Errors
/// Options that do not fit the configuration.
pub(super) fn load(
    wish: &Wish<'_>,
    fleet: Option<&Fleet>,
    (fsus, choice): (&[&Fsu], &Choice),
    options: &mut Options,
) -> Result<Option<Load>, CliError> {
    let args = wish.args;
    if !is_asked(args) {
        needs_load(args)?;
        return Ok(None);
    }
    if fleet.is_none() {
        return Err(usage("a centre that asks needs --config: it says what is asked of which FSUs"));
    }
    let is_exchange = |fsu: &&&Fsu| {
        let transfers = fsu.devices.iter().any(|device| device.template.transfer.is_some());
        fsu.transport == Transport::Broadcast && transfers
    };
    let askable: Vec<&Fsu> = fsus.iter().filter(|fsu| !is_exchange(fsu)).copied().collect();
    let exchanges = fsus.len() - askable.len();
    if askable.is_empty() {
        let what =
            if exchanges > 0 { "only broadcast FSUs with transfers, which flood --broadcast asks" } else { "no FSU" };
        return Err(usage(format!("a centre has nobody to ask: these names are those of {what}")));
    }
    // Without an end, it goes on until it is stopped.
    let send_for = options.time.unwrap_or(Duration::from_secs_f64(SECONDS_MAX));
    let transports: BTreeSet<&str> = askable.iter().map(|fsu| fsu.transport.name()).collect();
    let transport = askable.first().map_or(Transport::Udp, |fsu| fsu.transport);
    let transport = if transports.len() == 1 && transport != Transport::Broadcast { transport } else { Transport::Udp };
    if args.partition.is_some() {
        return Err(usage(
            "a centre that asks takes no --partition: choose the FSUs with --fsu, and give each part a --rate of its own",
        ));
    }
    let (askable, share) = part::take(None, askable)?;
    let mut load = wish.load(send_for, (&askable, share), choice, transport)?;
    load.config_hash = fleet.map(|fleet| fleet.share.config.to_string());
    load.check().map_err(|error| told(&error))?;
    options.asked = Some(Asked::new((fsus, &options.hearing.cast), &load.targets, choice));
    load.heard = Some(Arc::clone(&options.hearing));
    if exchanges > 0 {
        load.heard_notes
            .push(format!("{exchanges} broadcast FSUs with transfers are not asked: flood --broadcast asks them."));
    }
    Ok(Some(load))
}

/// Listens and asks, and reports.
///
/// # Errors
/// What the machine refuses.
pub(super) fn centre(
    wish: &Wish<'_>,
    reports: &Reports,
    (load, options): (Load, &Arc<Options>),
    expected: &[ExpectedFsu],
    stop: &mut dyn FnMut() -> bool,
) -> Result<Exit, CliError> {
    let watch = Watch::load(wish.args, &load, reports.say)?;
    let mut show = watch.beside(show(wish.args, reports.say)?);
    let transports: BTreeSet<&str> = options.hearing.cast.speakers.iter().map(|of| of.transport.name()).collect();
    let transports: Vec<&str> = transports.into_iter().collect();
    let ran = run::listening(load, (options, reports.say), &mut *show, stop);
    // Restores the terminal before anything is printed.
    drop(show);
    let (mut report, addresses, count) = ran.map_err(|error| CliError::new(Exit::Bind, error.to_string()))?;
    let listened_s = report.seconds.last().map_or(0.0, |second| second.at_s);
    let called = Called { command_line: Vec::new(), config: Some(String::new()) };
    // Messages are judged with the replies.
    if !expected.is_empty() {
        report.verdict.failures.extend(CentreReport::new((&count.heard, None), listened_s, expected, called).failures);
    }
    report.verdict.passed = report.verdict.failures.is_empty();
    report.run.transport = transports.join(", ");
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    report.notes.push(format!("A centre at {}.", at.join(", ")));
    finish(wish.args, reports, report, &thresholds(wish.args)?)
}
