//! `flood`: arguments to a run of the load generator.

mod alike;
mod asking;
mod find_max;
mod listen;
mod mock;
mod part;
mod thresholds;
mod watched;

use self::mock::Mock;
use self::watched::Watch;
mod tls;

use super::args::FloodArgs;
use super::exit::{CliError, Exit};
use super::fleet;
use super::outfile::{OutFile, Words};
use fsu_flood::capacity::run::LookAtMock as _;
use fsu_flood::html::html;
use fsu_flood::link::frames::XdpError;
use fsu_flood::mix::Mix;
use fsu_flood::options::{Options, Pace};
use fsu_flood::profile::{Profiles, Wanted};
use fsu_flood::report::FloodReport;
use fsu_flood::run::Show;
#[cfg(feature = "screen")]
use fsu_flood::screen::Screen;
use fsu_flood::targets::{Choice, ports};
use fsu_flood::text::{Lines, text};
use fsu_flood::threshold::Threshold;
use fsu_flood::values::{FloodValues, VALUES_BYTES_MAX};
use fsu_flood::{broadcast, run};
use fsu_plan::config::diag::Diags;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::Template;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::read::summary;
use fsu_serve::fleet::signals::{self, Asked as Signal};
use fsu_serve::fleet::{cpus, machine};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `--seconds` of a load, where it is not given.
const SECONDS: f64 = 10.0;
/// Maximum of any time argument: a day is long, a month is a mistake.
const SECONDS_MAX: f64 = 30.0 * 86_400.0;
/// Maximum rate, above what any machine sends.
const RATE_MAX: f64 = 1e8;
/// Most threads; each has 2 MiB of receive buffers.
const THREADS_MAX: usize = 1024;
/// Longest report that is read.
pub(super) const REPORT_BYTES_MAX: u64 = 256 << 20;
/// Longest file of the mock's counters.
const STATS_BYTES_MAX: u64 = 256 << 20;
/// Longest file of printed ports.
const PORTS_BYTES_MAX: u64 = 64 << 20;

/// Where reports go, tested before the run.
struct Reports {
    json: Option<OutFile>,
    html: Option<OutFile>,
    /// Where the text goes.
    words: Words,
    say: Texts,
}

impl Reports {
    /// Prints the text.
    fn tell(&self, text: &str) -> Result<(), CliError> {
        if self.words == Words::Stdout {
            return super::print(text.as_bytes()).map(drop);
        }
        self.words.print(text);
        Ok(())
    }

    fn claim(args: &FloodArgs, say: Texts) -> Result<Self, CliError> {
        let claim = |name: &str, path: &Option<PathBuf>| {
            let claimed = path.as_deref().map(OutFile::claim).transpose();
            claimed.map_err(|error| {
                usage(format!("--{name} {}: {error}", path.as_deref().unwrap_or(Path::new("")).display()))
            })
        };
        let words = Words::beside(&[("--json", args.json.as_deref()), ("--html", args.html.as_deref())]);
        let words = words.map_err(|error| usage(error.to_string()))?;
        if args.json.is_some() && args.json == args.html {
            return Err(usage("--json and --html name the same file"));
        }
        Ok(Self { json: claim("json", &args.json)?, html: claim("html", &args.html)?, words, say })
    }
}

/// Floods, and reports.
pub fn flood(args: &FloodArgs, say: Texts) -> Result<Exit, CliError> {
    screen_is_built(args.screen, HAS_SCREEN)?;
    let reports = Reports::claim(args, say)?;
    if let [mock, centre] = &*args.at.reconcile {
        return listen::reconcile((mock, centre), &reports);
    }
    if let Some(path) = &args.from {
        let report = earlier(path)?;
        let knows_mock = args.mock_stats.is_some() || report.mock_lateness.is_some();
        return finish(args, &reports, report, &thresholds::of_load(args, knows_mock)?);
    }
    let asked = signals::listen().map_err(|error| CliError::new(Exit::Machine, format!("signals: {error}")))?;
    let mut stop = || matches!(asked.try_recv(), Ok(Signal::Stop(_)));
    let send_for = seconds("--seconds", args.seconds.unwrap_or(SECONDS))?;
    if args.at.centre.is_some() || !args.at.listen.is_empty() {
        let of_load = |is_asked: bool| if is_asked { asking::thresholds(args) } else { Ok(Vec::new()) };
        let loss_max = thresholds::loss_max(args, &of_load(asking::is_asked(args))?);
        return listen::centre(&Asked { args, say, loss_max }, &reports, &mut stop);
    }
    listen::needs_centre(args)?;
    if args.aim.find_max {
        return find_max::find_max(args, &reports, &mut stop);
    }
    let thresholds = thresholds::of_load(args, args.mock_stats.is_some() || args.aim.mock.is_some())?;
    let loss_max = thresholds::loss_max(args, &thresholds);
    let fleet = fleet::load(&args.which.origin(), say)?;
    let options = Asked { args, say, loss_max }.options(send_for, &fleet)?;
    machine::files(options.files()).map_err(|missing| CliError::new(Exit::Machine, missing.to_string()))?;
    let mut mock = Mock::of(args)?;
    let watch = Watch::load(args, &options, say)?;
    let mut show = watch.beside(show(args, say)?);
    let report = run::run(options, &mut *show, &mut stop);
    // Restores the terminal before anything is printed.
    drop(show);
    let mut report = report.map_err(|error| run_error(&error))?;
    if let Some(mock) = &mut mock {
        report.judge(mock.end().map_err(|error| usage(error.to_string()))?);
    }
    finish(args, &reports, report, &thresholds)
}

/// Why a run could not be made.
fn run_error(error: &io::Error) -> CliError {
    let is_xdp = if let Some(inner) = error.get_ref() { inner.is::<XdpError>() } else { false };
    CliError::new(if is_xdp { Exit::Machine } else { Exit::Bind }, error.to_string())
}

/// What shows the run: the screen on a terminal, else lines.
fn show(args: &FloodArgs, say: Texts) -> Result<Box<dyn Show>, CliError> {
    let lines = Lines { quiet: args.quiet, say };
    if args.plain || args.quiet || !(args.screen || io::stdout().is_terminal()) {
        return Ok(Box::new(lines));
    }
    match screen(say) {
        Ok(screen) => Ok(screen),
        Err(error) if args.screen => Err(usage(format!("--screen: {error}"))),
        Err(_) => Ok(Box::new(lines)),
    }
}

/// Whether this build has a live screen.
const HAS_SCREEN: bool = cfg!(feature = "screen");

/// An error if a screen is wanted from a build that has none.
fn screen_is_built(wanted: bool, built: bool) -> Result<(), CliError> {
    if wanted && !built {
        return Err(usage("--screen: this build has no screen (cargo feature `screen`)"));
    }
    Ok(())
}

#[cfg(feature = "screen")]
fn screen(say: Texts) -> io::Result<Box<dyn Show>> {
    Ok(Box::new(Screen::new(say)?))
}

#[cfg(not(feature = "screen"))]
fn screen(_say: Texts) -> io::Result<Box<dyn Show>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes and prints a report; its verdict is the exit code. An error in one output does not stop the others.
fn finish(
    args: &FloodArgs,
    reports: &Reports,
    mut report: FloodReport,
    thresholds: &[Threshold],
) -> Result<Exit, CliError> {
    let read = args.mock_stats.as_deref().map(mock_stats).transpose();
    let stats = read.as_ref().ok().and_then(Option::as_ref);
    if let Some(stats) = stats {
        let told = stats.get("lateness").and_then(|told| serde_json::from_value(told.clone()).ok());
        if let Some(lateness) = told.or_else(|| report.mock_lateness.take()) {
            report.judge(lateness);
        }
    } else if let Some(lateness) = report.mock_lateness.take() {
        report.judge(lateness);
    }
    if let Some(path) = &args.judged {
        let judged = report.judge_by(&earlier(path)?);
        judged.map_err(|error| usage(format!("--judged {}: {error}", path.display())))?;
    }
    thresholds::hold(&mut report, thresholds)?;
    let json = reports.json.as_ref().map(|file| written(file, &json(&report)?)).transpose();
    let html = reports.html.as_ref().map(|file| written(file, &html(&report, stats, reports.say))).transpose();
    let printed = reports.tell(&text(&report, reports.say));
    read.and(json).and(html).and(printed)?;
    Ok(if report.verdict.passed { Exit::Ok } else { Exit::Configuration })
}

/// The report of an earlier run.
fn earlier(path: &Path) -> Result<FloodReport, CliError> {
    serde_json::from_str(&read(path, REPORT_BYTES_MAX)?)
        .map_err(|error| usage(format!("{} is no report of flood: {error}", path.display())))
}

/// What a mock wrote with `--stats`.
fn mock_stats(path: &Path) -> Result<serde_json::Value, CliError> {
    serde_json::from_str(&read(path, STATS_BYTES_MAX)?)
        .map_err(|error| usage(format!("{} holds no statistics of run: {error}", path.display())))
}

fn json(report: &impl Serialize) -> Result<String, CliError> {
    let json = serde_json::to_string_pretty(report).map_err(|error| usage(format!("--json: {error}")))?;
    Ok(format!("{json}\n"))
}

fn written(file: &OutFile, text: &str) -> Result<(), CliError> {
    let written = file.write(|out| out.write_all(text.as_bytes()));
    written.map_err(|error| usage(format!("{} cannot be written: {error}", file.path().display())))
}

fn usage(text: impl Into<String>) -> CliError {
    CliError::new(Exit::Usage, text)
}

/// An error's own words.
fn told(error: &impl ToString) -> CliError {
    usage(error.to_string())
}

fn seconds(name: &str, value: f64) -> Result<Duration, CliError> {
    if (0.0..=SECONDS_MAX).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(usage(format!("{name} {value}: 0 to {SECONDS_MAX} seconds")))
    }
}

/// A whole file, `-` being standard input.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<String, CliError> {
    let input: io::Result<(Box<dyn Read>, u64)> = if path == Path::new("-") {
        Ok((Box::new(io::stdin().lock()), 0))
    } else {
        // The length avoids reading a file that is too long.
        File::open(path).map(|file| {
            let bytes = file.metadata().map_or(0, |data| data.len());
            (Box::new(file) as Box<dyn Read>, bytes)
        })
    };
    let too_long = || usage(format!("{} is longer than {bytes_max} bytes", path.display()));
    let unread = |error| usage(format!("{} cannot be read: {error}", path.display()));
    let (input, bytes) = input.map_err(unread)?;
    if bytes > bytes_max {
        return Err(too_long());
    }
    let mut text = String::new();
    input.take(bytes_max + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > bytes_max { Err(too_long()) } else { Ok(text) }
}

/// What is asked for.
struct Asked<'a> {
    args: &'a FloodArgs,
    say: Texts,
    /// Loss that is accepted, 0 to 1.
    loss_max: f64,
}

impl Asked<'_> {
    fn options(&self, send_for: Duration, fleet: &Fleet) -> Result<Options, CliError> {
        let args = self.args;
        let printed = args.ports.as_deref().map(|path| read(path, PORTS_BYTES_MAX)).transpose()?;
        let choice = Choice {
            globs: args.fsu.clone(),
            ports: printed.map(|text| ports(&text)).unwrap_or_default(),
            host: args.host,
            listens: false,
        };
        let transport = self.transport();
        let chosen = choice.chosen(fleet, transport).map_err(|error| told(&error))?;
        let (chosen, share) = part::take(args.partition, chosen)?;
        let mut options = self.load(send_for, (&chosen, share), &choice, transport)?;
        tls::lay(&args.tls, (&chosen, transport), &mut options.targets)?;
        (options.heard, options.heard_notes) = listen::between(args, (fleet, &chosen), &options.targets, options.seed)?;
        options.config_hash = Some(fleet.share.config.to_string());
        options.check().map_err(|error| told(&error))?;
        if transport == Transport::Broadcast {
            broadcast::check(&options).map_err(|error| told(&error))?;
        }
        Ok(options)
    }

    /// The load of these FSUs.
    fn load(
        &self,
        send_for: Duration,
        (chosen, share): (&[&Fsu], part::Share),
        choice: &Choice,
        transport: Transport,
    ) -> Result<Options, CliError> {
        let args = self.args;
        let mix = args.mix.as_deref().map(Mix::parse).transpose();
        let mix = mix.map_err(|error| usage(format!("--mix: {error}")))?.unwrap_or_default();
        let values = args.values.as_deref().map(|path| self.values(path, chosen)).transpose()?.unwrap_or_default();
        let wanted = Wanted { mix, values, echo: args.echo, equal: args.equal };
        let mut profiles = Profiles::default();
        let targets = choice.targets(chosen, &wanted, &mut profiles).map_err(|error| told(&error))?;
        let (threads, cpus) = threads(self.args)?;
        let pace = share.of_pace(self.pace()?);
        self.check_ranges()?;
        Ok(Options {
            connections: args.connections.map_or(targets.len(), |many| share.of_connections(many)),
            unasked: chosen.len() - targets.len(),
            targets,
            labels: profiles.labels,
            left_out: profiles.left_out,
            transport,
            pace,
            send_for,
            requests: args.requests.map(|many| share.of(many)),
            warmup: seconds("--warmup", args.warmup)?,
            timeout: Duration::from_secs_f64(args.timeout_ms / 1000.0),
            threads,
            cpus,
            echo: args.echo,
            equal: args.equal,
            sockets: args.sockets.into(),
            gso: !args.no_gso,
            xdp: args.xdp.clone(),
            retries: args.retries,
            drop: args.drop / 100.0,
            seed: args.seed.unwrap_or_else(|| fastrand::u64(..1 << 53)),
            loss_max: self.loss_max,
            heard: None,
            heard_notes: Vec::new(),
            command_line: std::env::args().collect(),
            config: args.which.to_string(),
            config_hash: None,
            part: share.report(args.partition),
            mix: alike::mix(args)?,
        })
    }

    /// The values of `--values` for these FSUs. Its errors go to stderr.
    fn values(&self, path: &Path, chosen: &[&Fsu]) -> Result<FloodValues, CliError> {
        let file = read(path, VALUES_BYTES_MAX)?;
        let mut templates: Vec<&Template> = Vec::new();
        let mut seen = HashSet::new();
        for device in chosen.iter().flat_map(|fsu| fsu.devices.iter()) {
            let template = &*device.template;
            templates.extend(seen.insert(std::ptr::from_ref(template)).then_some(template));
        }
        let mut diags = Diags::default();
        let values = FloodValues::read(&mut diags, &path.display().to_string(), file, &templates);
        fleet::tell(&diags, self.say);
        if diags.has_errors() {
            return Err(usage(format!("--values: {}; nobody is asked", summary(&diags))));
        }
        Ok(values)
    }

    fn transport(&self) -> Transport {
        match self.args {
            FloodArgs { tcp: true, .. } => Transport::Tcp,
            FloodArgs { broadcast: true, .. } => Transport::Broadcast,
            FloodArgs { datagram: true, .. } => Transport::Datagram,
            _ => Transport::Udp,
        }
    }

    fn pace(&self) -> Result<Pace, CliError> {
        let args = self.args;
        match args.rate {
            Some(per_s) if per_s.is_finite() && per_s > 0.0 && per_s <= RATE_MAX => {
                let ramp_s = seconds("--ramp", args.ramp)?.as_secs_f64();
                Ok(Pace::Open { per_s, ramp_s, poisson: args.poisson })
            }
            Some(per_s) => Err(usage(format!("--rate {per_s}: a number above 0, at most {RATE_MAX}"))),
            None => Ok(Pace::Closed { window: args.window.or(args.pipelining).map_or(1, usize::from) }),
        }
    }

    /// Numbers that have a range.
    fn check_ranges(&self) -> Result<(), CliError> {
        let FloodArgs { timeout_ms, max_loss, drop, .. } = *self.args;
        let timeout_ms_max = SECONDS_MAX * 1000.0;
        if !(1.0..=timeout_ms_max).contains(&timeout_ms) {
            return Err(usage(format!("--timeout-ms {timeout_ms}: 1 to {timeout_ms_max}")));
        }
        if let Some(max_loss) = max_loss.filter(|max_loss| !(0.0..=100.0).contains(max_loss)) {
            return Err(usage(format!("--max-loss {max_loss}: 0 to 100 percent")));
        }
        if !(0.0..100.0).contains(&drop) {
            return Err(usage(format!("--drop {drop}: 0 to less than 100 percent")));
        }
        Ok(())
    }
}

/// Threads, and the processors that they are pinned to.
fn threads(args: &FloodArgs) -> Result<(usize, Vec<usize>), CliError> {
    let listed = args.cpus.as_deref().map(|list| cpus::parse(list, &cpus::allowed())).transpose();
    let cpus = listed.map_err(|error| told(&error))?.unwrap_or_default();
    let threads = args.threads.map_or(cpus.len().max(1), usize::from);
    if threads > THREADS_MAX {
        return Err(usage(format!("--threads {threads}: at most {THREADS_MAX}")));
    }
    Ok((threads, cpus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::fleet::Language;

    #[test]
    fn a_screen_that_was_not_built_is_a_usage_error() {
        let check = |wanted: bool, built: bool, expected: Option<&str>| {
            let error = screen_is_built(wanted, built).err();
            assert_eq!(error.as_ref().map(ToString::to_string).as_deref(), expected, "{wanted} {built}");
            assert!(error.is_none_or(|error| matches!(error, CliError::Failed { exit: Exit::Usage, .. })));
        };
        let missing = "--screen: this build has no screen (cargo feature `screen`)";
        check(true, false, Some(missing));
        check(true, true, None);
        check(false, false, None);
        let said = "--screen：这个版本没有实时画面（cargo feature `screen`）";
        assert_eq!(Texts::of(Language::Zh).say(missing), said);
    }
}
