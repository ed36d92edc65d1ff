//! `run`: serves the fleet until it is told to stop.
//!
//! The order is the point: everything that can be wrong is looked at before a socket is bound, every socket is bound before
//! a shard starts, and `ready` is said when all of them run. At the end the shards go first, then the logger, so that
//! nothing they logged is lost.

use super::args::RunArgs;
use super::crew::{Crew, Finished};
use super::exit::{CliError, Exit};
use super::outfile::Words;
use super::prepare::Prepared;
use super::reload::{Read, Reloaded, Serving, Stopped};
use super::signals::Asked;
use super::sockets::{self, Sockets};
use super::stats::{self, Counted, RunStats};
use super::watch::Watch;
use super::{panics, signals};
use crossbeam_channel::{Receiver, never, select};
use fsu_core::responder::state::Counters;
use fsu_net::unblocked;
use fsu_plan::words::count;
use fsu_serve::log::{Logger, LoggerConfig, LoggerHandle, ON_STDERR};
use fsu_serve::shard::{DriverKind, Executor};
use jiff::{SignedDuration, Timestamp, Unit};
use std::io;
use std::time::Instant;

/// Serves what the arguments say, to the end.
///
/// # Errors
/// What keeps it from serving, before anything is served; a shard that died; statistics that cannot be written.
pub fn run(args: RunArgs) -> Result<Exit, CliError> {
    let begun = Instant::now();
    panics::log_them();
    fsu_net::sys::reserve();
    // First of all, so that a signal during a long start is not lost.
    let asked = signals::listen().map_err(|error| failed(Exit::Machine, "signals", &error))?;
    let prepared = Prepared::new(args)?;
    let words = prepared.words;
    prepared.claim_logs()?;
    let room = prepared.ask_machine()?;
    let chosen = prepared.choose_driver()?;
    let fleet = &prepared.fleet;
    let config = LoggerConfig {
        ledger: prepared.fault_ledger.clone(),
        open_files_max: room.log_files as usize,
        ..LoggerConfig::of(fleet)
    };
    let mut logger = Logger::start(config, fleet.clone(), Timestamp::now().as_millisecond())
        .map_err(|error| failed(Exit::Machine, "the logger's thread", &error))?;
    // There is one already only in tests.
    let _ = logger.install();
    log::info!(target: words.log_target(), "{}", prepared.heading());
    log::info!(target: words.log_target(), "driver {}: {}", chosen.driver.name(), chosen.why);
    if let Some(why) = &chosen.not_glommio {
        log::info!(target: words.log_target(), "executor {}: {why}", chosen.executor.name());
    }
    let served = bind(&prepared).and_then(|sockets| {
        let summary = prepared.summary(&sockets, &room, &chosen);
        words.print(&summary);
        words.print(&sockets.free_ports(fleet));
        serve(&prepared, (chosen.executor, chosen.driver), &mut logger, sockets, &asked, begun)
    });
    if let Err(error) = &served {
        log::error!(target: ON_STDERR, "{error}");
    }
    let log_totals = logger.stop();
    let Served { stopped, run } = served?;
    let Stopped { finished: Finished { counters, late, errors, is_defect }, fleet, shards, gone, .. } = stopped;
    let counted = Counted {
        fleet: &fleet,
        cpus: &prepared.cpus,
        shards: &shards,
        counters: &counters,
        gone: &gone,
        late: &late,
        late_limit_us: prepared.late_limit_us,
    };
    let stats = counted.stats(run, log_totals.into());
    words.print(&stats.tables());
    if let Some(file) = &prepared.stats {
        let what = format!("--stats {}", file.path().display());
        file.write(|out| stats::write(&stats, out)).map_err(|error| failed(Exit::Usage, &what, &error))?;
    }
    let exit = if is_defect { Exit::Defect } else { Exit::Machine };
    if errors.is_empty() { Ok(Exit::Ok) } else { Err(CliError::new(exit, errors.join("\n"))) }
}

fn bind(prepared: &Prepared) -> Result<Sockets, CliError> {
    let sockets = sockets::bind(&prepared.fleet).map_err(|text| CliError::new(Exit::Bind, text))?;
    sockets.log(&prepared.fleet, prepared.words.log_target());
    Ok(sockets)
}

/// What a run left.
struct Served {
    stopped: Stopped,
    run: RunStats,
}

fn serve(
    prepared: &Prepared,
    (executor, driver): (Executor, DriverKind),
    logger: &mut LoggerHandle,
    sockets: Sockets,
    asked: &Receiver<Asked>,
    begun: Instant,
) -> Result<Served, CliError> {
    let watch = prepared.watched.clone().map(Watch::new).transpose();
    let mut watch = watch.map_err(|error| CliError::new(Exit::Machine, format!("--watch: {error}")))?;
    let own = sockets::own(&prepared.fleet, &sockets.addresses);
    let context = prepared.context();
    logger.run_starts(Instant::now());
    let crew = Crew::start(prepared, (executor, driver), logger, sockets.bound, context, own)
        .map_err(|text| CliError::new(Exit::Machine, text))?;
    let mut serving = Serving::new(prepared, logger, crew, context, sockets.addresses);
    let (started, since) = (Timestamp::now(), Instant::now());
    let ready = format!("ready: {}, driver {}, {} ms", prepared.size(), driver.name(), begun.elapsed().as_millis());
    log::info!(target: prepared.words.log_target(), "{ready}");
    prepared.words.print(&format!("{ready}\n"));
    let waited = wait(asked, &mut serving, watch.as_mut(), prepared.words);
    let (Ok(ended_by) | Err(ended_by)) = waited.clone();
    log::info!("{ended_by}: stopping; what is due is sent before the end");
    let mut stopped = serving.stop();
    let finished = &mut stopped.finished;
    if waited.is_err() && finished.errors.is_empty() {
        finished.errors.push(format!("unasked: {ended_by}"));
        finished.is_defect = true;
    }
    let duration = since.elapsed();
    let totals = &finished.counters;
    let sum = |count: fn(&Counters) -> u64| totals.iter().chain([&stopped.gone.counters]).map(count).sum::<u64>();
    log::info!(
        "ended after {} s: {} received, {} answered, {} dropped, {} sent, {} lost",
        duration.as_secs(),
        count(sum(|one| one.received), "request"),
        sum(|one| one.answered),
        sum(Counters::dropped_total),
        count(sum(|one| one.heartbeats_sent), "heartbeat"),
        count(sum(|one| one.log_records_lost), "device-log record"),
    );
    let ended = started.checked_add(SignedDuration::try_from(duration).unwrap_or_default()).unwrap_or(started);
    let run = RunStats {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        config: prepared.config.clone(),
        seed: prepared.seed,
        started: stamp(started),
        ended: stamp(ended),
        duration_ms: duration.as_millis() as u64,
        ended_by,
        driver: driver.name().to_owned(),
        executor: executor.name().to_owned(),
        performance: prepared.performance,
        device_log: !prepared.fleet.performance.skip_device_log,
        reloads: stopped.reloads.done,
        reloads_failed: stopped.reloads.failed,
    };
    Ok(Served { stopped, run })
}

/// Waits for the signal that ends the run; its name. The error: something else ended it.
fn wait(
    asked: &Receiver<Asked>,
    serving: &mut Serving<'_>,
    mut watch: Option<&mut Watch>,
    words: Words,
) -> Result<String, String> {
    let mut reading: Option<(Receiver<Read>, &str)> = None;
    let mut again: Option<&str> = None;
    loop {
        if reading.is_none()
            && let Some(why) = again.take()
        {
            if let Some(watch) = &mut watch {
                watch.mark();
            }
            log::info!("{why}: the configuration is read anew");
            reading = Some((serving.read(), why));
        }
        let read = reading.as_ref().map_or_else(never, |(read, _)| read.clone());
        let happened = watch.as_ref().map_or_else(never, |watch| watch.happened().clone());
        let ends = serving.crew().ends().clone();
        select! {
            recv(asked) -> asked => match asked {
                Ok(Asked::Stop(signal)) => return Ok(signals::name(signal).to_owned()),
                Ok(Asked::Reload) => again = Some("SIGHUP"),
                Err(_) => return Err("the end of the thread that waits for signals".to_owned()),
            },
            recv(happened) -> _ => {
                if watch.as_mut().is_some_and(|watch| watch.has_changed()) {
                    again.get_or_insert("a file has changed");
                }
            }
            recv(read) -> read => {
                let why = reading.take().map_or("", |(_, why)| why);
                match read {
                    Ok(read) => reload(serving, watch.as_deref_mut(), read, words),
                    Err(_) => failed_reload(&format!("{why}: the thread that reads the configuration has ended")),
                }
            }
            recv(ends) -> shard => return Err(format!("the end of shard {}", shard.unwrap_or_default())),
        }
    }
}

fn failed_reload(text: &str) {
    log::error!(target: ON_STDERR, "reload failed, what was served is served on: {text}");
    unblocked::stderr(&format!("fsu-mock: reload failed, what was served is served on: {text}\n"));
}

/// Serves the configuration that was just read, and reports the result.
fn reload(serving: &mut Serving<'_>, watch: Option<&mut Watch>, read: Read, words: Words) {
    let (done, files) = serving.reload(read);
    match done {
        Ok(Reloaded { listening, summary }) => {
            listening.lines().for_each(|line| log::info!(target: words.log_target(), "{line}"));
            log::info!(target: words.log_target(), "{summary}");
            words.print(&format!("{listening}{summary}\n"));
        }
        Err(text) => failed_reload(&text),
    }
    if let Some(watch) = watch {
        watch.set_files(files);
    }
}

/// RFC 3339, UTC, with milliseconds.
fn stamp(time: Timestamp) -> String {
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}

fn failed(exit: Exit, what: &str, error: &io::Error) -> CliError {
    CliError::new(exit, format!("{what}: {error}"))
}
