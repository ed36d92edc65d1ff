//! `run`: serves the fleet until a signal ends it.
//!
//! Arguments to [`FleetOptions`], and what happens to text. [`fsu_serve::fleet::run`] does the rest.

use super::args::RunArgs;
use super::exit::{CliError, Exit};
use super::fleet::{self, load_files};
use super::outfile::{OutFile, Words, is_stdout};
use super::{control, panics, summary, tables};
use fsu_control::api::run::Kind;
use fsu_control::server::{Control, Where};
use fsu_net::unblocked;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::prepare::Prepared;
use fsu_serve::fleet::run::{Event, RunEnd, Show};
use fsu_serve::fleet::{DriverChoice, FleetError, FleetOptions, cpus, signals, stats};
use fsu_serve::steer::journal::Journal;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Serves what the arguments say, to the end.
///
/// # Errors
/// What keeps it from serving, before anything is served; a shard that died; statistics that cannot be written.
pub fn run(args: RunArgs, say: Texts) -> Result<Exit, CliError> {
    let begun = Instant::now();
    panics::log_them();
    fsu_net::sys::reserve();
    // First of all, so that a signal during a long start is not lost.
    let asked = signals::listen().map_err(|error| failed(Exit::Machine, "signals", &error))?;
    let (options, metrics_per_fsu) = (args.control.options(), args.control.metrics_per_fsu.clone());
    let (prepared, outputs) = prepare(args, say)?;
    let control = control::start(&options, &prepared.cpus, Kind::Run, say)?;
    let mut shown =
        Shown { prepared: &prepared, control: control.as_ref(), metrics_per_fsu, words: outputs.words, say };
    let ended = fsu_serve::fleet::run::run(&prepared, &asked, begun, &mut shown)?;
    drop(control);
    finish(ended, &outputs, say)
}

/// Where what a run leaves goes.
struct Outputs {
    stats: Option<OutFile>,
    words: Words,
}

/// Reads and compiles the configuration, and lays the arguments over it. Warnings go to stderr.
fn prepare(args: RunArgs, say: Texts) -> Result<(Prepared, Outputs), CliError> {
    let usage = |text: String| CliError::new(Exit::Usage, text);
    if args.xdp_dev.is_some() && args.driver != DriverChoice::Xdp {
        return Err(usage("--xdp-dev is the device of --driver xdp".to_owned()));
    }
    let listed = args.cpus.as_deref().map(|list| cpus::parse(list, &cpus::allowed())).transpose();
    let listed = listed.map_err(|error| usage(error.to_string()))?;
    let ledgers = [
        ("--fault-ledger", args.fault_ledger.as_deref()),
        ("--message-ledger", args.message_ledger.as_deref()),
        ("--journal", args.journal.as_deref()),
    ];
    let words = Words::beside(&[("--stats", args.stats.as_deref()), ledgers[0], ledgers[1], ledgers[2]]);
    let words = words.map_err(|error| usage(error.to_string()))?;
    let claim = |path: &PathBuf| {
        OutFile::claim(path).map_err(|error| usage(format!("--stats {}: cannot be written: {error}", path.display())))
    };
    let stats = args.stats.as_ref().map(claim).transpose()?;
    let (fleet, files) = load_files(&args.which.origin(), say)?;
    let claim = |(option, path): (&str, Option<&Path>)| path.map(|path| claim_ledger(option, path)).transpose();
    // Before the file is emptied, if it is the same.
    let play = args.play.as_deref().map(Journal::read).transpose().map_err(FleetError::from)?;
    let [fault_ledger, message_ledger, journal] = ledgers.map(claim);
    let (fault_ledger, message_ledger, journal) = (fault_ledger?, message_ledger?, journal?);
    let options = FleetOptions {
        config: args.which.origin(),
        shards: args.shards,
        cpus: listed,
        driver: args.driver,
        xdp_dev: args.xdp_dev,
        one_socket: args.one_socket,
        performance: args.performance,
        late_limit_ms: args.late_limit_ms,
        gather_us: args.gather_us,
        gso: !args.no_gso,
        seed: args.seed,
        bind: args.bind,
        partition: args.partition,
        watch: args.watch,
        log_dir: args.log_dir,
        fault_ledger,
        message_ledger,
        steer: args.control.control != Some(Where::Off),
        journal,
        play,
    };
    let prepared = Prepared::new(options, fleet, files)?;
    if let Some(warning) = &prepared.warning {
        unblocked::stderr(&format!("fsu-mock: {}\n", say.say(warning)));
    }
    Ok((prepared, Outputs { stats, words }))
}

/// Empties the ledger now, so that a missing directory is found before the run, not after it. `-` is standard output, as a file.
fn claim_ledger(option: &str, path: &Path) -> Result<PathBuf, CliError> {
    let (path, opened) = if is_stdout(path) {
        let stdout = Path::new("/dev/stdout");
        (stdout, std::fs::OpenOptions::new().append(true).open(stdout))
    } else {
        (path, std::fs::File::create(path))
    };
    let text = |error| format!("{option} {}: cannot be written: {error}", path.display());
    opened.map_err(|error| CliError::new(Exit::Usage, text(error)))?;
    Ok(path.to_owned())
}

/// A run on standard output and standard error.
struct Shown<'a> {
    prepared: &'a Prepared,
    control: Option<&'a Control>,
    metrics_per_fsu: Option<String>,
    words: Words,
    say: Texts,
}

impl Show for Shown<'_> {
    fn log_target(&self) -> &'static str {
        self.words.log_target()
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Bound(sockets, room, chosen) => {
                self.words.print(&summary::summary(self.prepared, sockets, room, chosen, self.say));
                // For programs: in every language the same.
                self.words.print(&sockets.free_ports(&self.prepared.fleet));
                if let Some(control) = self.control {
                    self.words.print(&format!("control: {}\n", control.url()));
                }
            }
            Event::Steering(steering) => {
                if let Some(control) = self.control {
                    control.attach(control::running(steering, self.metrics_per_fsu.as_deref()));
                }
            }
            Event::Stopping => {
                if let Some(control) = self.control {
                    control.stopping();
                }
            }
            Event::Ready(ready) => self.words.print(&format!("{}\n", self.say.say(ready))),
            Event::Read(diags) => fleet::tell(diags, self.say),
            Event::Reloaded(reloaded) => {
                let summary = self.say.say(&reloaded.summary);
                self.words.print(&format!("{}{summary}\n", reloaded.listening));
            }
            Event::NotReloaded(error) => {
                let text = format!("reload failed, the old configuration keeps running: {error}");
                unblocked::stderr(&format!("fsu-mock: {}\n", self.say.lines(&text)));
            }
        }
    }
}

/// The counts, for people and for programs; what went wrong.
fn finish(ended: RunEnd, outputs: &Outputs, say: Texts) -> Result<Exit, CliError> {
    outputs.words.print(&tables::tables(&ended.snapshot, say));
    let exit = ended.exit();
    if let Some(file) = &outputs.stats {
        let what = format!("--stats {}", file.path().display());
        let stats = ended.snapshot.stats(ended.run);
        file.write(|out| stats::write(&stats, out)).map_err(|error| failed(Exit::Usage, &what, &error))?;
    }
    let errors: Vec<String> = ended.errors.iter().map(ToString::to_string).collect();
    if errors.is_empty() { Ok(Exit::Ok) } else { Err(CliError::new(exit, errors.join("\n"))) }
}

fn failed(exit: Exit, what: &str, error: &io::Error) -> CliError {
    CliError::new(exit, format!("{what}: {error}"))
}
