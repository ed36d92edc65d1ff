//! Serves a fleet until it is told to stop.
//!
//! Everything that can be wrong is looked at before a socket is bound, every socket is bound before a shard starts, and `ready` is
//! said when all of them run. At the end the shards go first, then the logger, so that nothing they logged is lost.

use super::claims::Claims;
use super::crew::{Crew, CrewError, Ways};
use super::desk::Desk;
use super::error::FleetError;
use super::machine::Room;
use super::prepare::{Chosen, Prepared};
use super::reload::{Read, ReloadError, ReloadOutcome, Reloaded, Serving};
use super::signals::{self, Asked};
use super::snapshot::Snapshot;
use super::sockets::{self, Sockets};
use super::stats::RunStats;
use super::watch::Watch;
use super::xdp;
use crate::devlog::{Logger, LoggerConfig, LoggerHandle};
use crate::shard::steer::SteerSpec;
use crate::shard::steer::record::Noted;
use crate::steer::journal::{Head, Writer};
use crate::steer::{Steering, happenings};
use crate::syslog::ON_STDERR;
use crossbeam_channel::{Receiver, never, select};
use fsu_core::state::Counters;
use fsu_net::sys::trim;
use fsu_plan::config::diag::Diags;
use fsu_plan::exit::Exit;
use fsu_plan::words::count;
use jiff::{SignedDuration, Timestamp, Unit};
use std::fmt;
use std::time::Instant;

/// What happens in a run, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// Every socket is bound.
    Bound(&'a Sockets, &'a Room, &'a Chosen),
    /// Every shard runs, and can be watched and steered. Comes before `ready`.
    Steering(&'a Steering),
    /// Every shard runs. `ready: 106 FSUs on 2 shards, driver ring, 12 ms`
    Ready(&'a str),
    /// The run ends: what is due is sent, and nothing more is read.
    Stopping,
    /// Another configuration was read; what is wrong with it.
    Read(&'a Diags),
    /// It is served.
    Reloaded(&'a Reloaded),
    /// It is not; why. The old one keeps running.
    NotReloaded(&'a ReloadError),
}

/// Whoever shows a run.
pub trait Show {
    /// The target of those lines of the system log that are shown, too: [`crate::syslog::ON_STDOUT`] or [`ON_STDERR`].
    fn log_target(&self) -> &'static str;
    /// Shows it.
    fn show(&mut self, event: &Event<'_>);
}

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// A signal, by its name.
    Signal(&'static str),
    /// The thread that waits for signals is gone.
    Signals,
    /// A shard is gone.
    Shard(usize),
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => f.write_str(name),
            Self::Signals => f.write_str("the end of the thread that waits for signals"),
            Self::Shard(shard) => write!(f, "the end of shard {shard}"),
        }
    }
}

/// A run, ended.
#[derive(Debug)]
pub struct RunEnd {
    /// Everything that it counted.
    pub snapshot: Snapshot,
    /// The run itself.
    pub run: RunStats,
    /// What went wrong with the shards.
    pub errors: Vec<CrewError>,
}

impl RunEnd {
    /// The exit code that the errors call for.
    pub fn exit(&self) -> Exit {
        match self.errors.iter().any(CrewError::is_defect) {
            _ if self.errors.is_empty() => Exit::Ok,
            true => Exit::Defect,
            false => Exit::Machine,
        }
    }
}

/// Serves to the end. `begun`: since when the start is counted.
///
/// # Errors
/// What keeps it from serving.
pub fn run(
    prepared: &Prepared,
    asked: &Receiver<Asked>,
    begun: Instant,
    show: &mut dyn Show,
) -> Result<RunEnd, FleetError> {
    // What reading the configuration took is not needed again.
    trim();
    prepared.claim_logs()?;
    let room = prepared.ask_machine()?;
    let chosen = prepared.choose_driver()?;
    let mut logger = start_logger(prepared, &room)?;
    let target = show.log_target();
    log::info!(target: target, "{}", prepared.heading());
    log::info!(target: target, "driver {}: {}", chosen.driver.name(), chosen.why);
    if let Some(why) = &chosen.not_glommio {
        log::info!(target: target, "executor {}: {why}", chosen.executor.name());
    }
    let served = bind(prepared).and_then(|(sockets, claims)| {
        sockets.log(&prepared.fleet, target);
        show.show(&Event::Bound(&sockets, &room, &chosen));
        Run { prepared, chosen: &chosen, begun }.serve(&mut logger, (sockets, claims), asked, show)
    });
    if let Err(error) = &served {
        log::error!(target: ON_STDERR, "{error}");
    }
    let log = logger.stop();
    let mut ended = served?;
    ended.snapshot.log = log;
    Ok(ended)
}

/// Binds the fleet's sockets, and holds the addresses of FSUs that have none.
fn bind(prepared: &Prepared) -> Result<(Sockets, Claims), FleetError> {
    let mut claims = Claims::default();
    if !prepared.one_socket {
        return Ok((sockets::bind(&prepared.fleet)?, claims));
    }
    let sockets = sockets::bind_lent(&prepared.fleet)?;
    sockets::claim(&mut claims, &prepared.fleet, &sockets.addresses)?;
    Ok((sockets, claims))
}

/// Opens the ways beside sockets that were asked for.
fn open_ways(prepared: &Prepared, chosen: &Chosen) -> Result<Ways, FleetError> {
    let shards = prepared.cpus.len();
    let queues = chosen.device.as_ref().map(|device| xdp::open(device, shards)).transpose();
    let queues = queues.map_err(|lack| FleetError::NoXdp(vec![lack]))?.unwrap_or_default();
    let shared = prepared.one_socket.then(|| xdp::share(shards)).transpose();
    let shared = shared.map_err(|lack| FleetError::NoOneSocket(vec![lack]))?.unwrap_or_default();
    Ok(Ways { queues, shared })
}

fn start_logger(prepared: &Prepared, room: &Room) -> Result<LoggerHandle, FleetError> {
    let fleet = &prepared.fleet;
    let config = LoggerConfig {
        ledger: prepared.fault_ledger.clone(),
        message_ledger: prepared.message_ledger.clone(),
        open_files_max: room.log_files as usize,
        ..LoggerConfig::of(fleet)
    };
    let logger = Logger::start(config, fleet.clone(), Timestamp::now().as_millisecond()).map_err(FleetError::Logger)?;
    // There is one already only in tests.
    let _ = logger.install();
    Ok(logger)
}

/// Begins the journal, if there is one.
fn start_journal(prepared: &Prepared) -> Result<Option<(Writer, flume::Sender<Noted>)>, FleetError> {
    let head = Head { journal: 1, seed: prepared.seed, config_hash: prepared.config_hash.clone() };
    let started = prepared.journal.as_ref().map(|path| Writer::start(path, &head)).transpose();
    started.map_err(FleetError::JournalFile)
}

/// A run about to serve.
struct Run<'a> {
    prepared: &'a Prepared,
    chosen: &'a Chosen,
    begun: Instant,
}

impl Run<'_> {
    fn serve(
        &self,
        logger: &mut LoggerHandle,
        (sockets, claims): (Sockets, Claims),
        asked: &Receiver<Asked>,
        show: &mut dyn Show,
    ) -> Result<RunEnd, FleetError> {
        let Self { prepared, chosen, begun } = *self;
        let mut watch = prepared.watched.clone().map(Watch::new).transpose()?;
        let own = sockets::own(&prepared.fleet, &sockets.addresses);
        let context = prepared.context();
        let ways = open_ways(prepared, chosen)?;
        logger.run_starts(Instant::now());
        let (happenings, journal) = (happenings(), start_journal(prepared)?);
        let (writer, journal) = journal.unzip();
        let spec = SteerSpec {
            journal: journal.clone(),
            plays: prepared.plays.clone(),
            happenings: Some(happenings.0.clone()),
        };
        let spec = prepared.steer.then_some(spec);
        let crew = Crew::start(prepared, chosen, logger, (sockets.bound, ways), ((context, own), spec))?;
        let mut serving = Serving::new(prepared, logger, crew, context, (sockets.addresses, claims));
        // Nor what the start took. No shard has anything to do yet.
        trim();
        let (started, since) = (Timestamp::now(), Instant::now());
        let mut desk = Desk::new(prepared, chosen, &serving, ((started, since), happenings)).with_journal(journal);
        if let Some(steering) = desk.steering() {
            show.show(&Event::Steering(steering));
        }
        let (size, driver) = (prepared.size(), chosen.driver.name());
        let ready = format!("ready: {size}, driver {driver}, {} ms", begun.elapsed().as_millis());
        log::info!(target: show.log_target(), "{ready}");
        show.show(&Event::Ready(&ready));
        let ended_by = wait(asked, &mut serving, (watch.as_mut(), &mut desk), show);
        log::info!("{ended_by}: stopping; what is due is sent before the end");
        show.show(&Event::Stopping);
        let (snapshot, mut errors) = serving.stop();
        // Its end of the journal is the last one.
        drop(desk);
        if let Some(writer) = writer {
            writer.finish();
        }
        if !matches!(ended_by, EndedBy::Signal(_)) && errors.is_empty() {
            errors.push(CrewError::Unasked(ended_by));
        }
        let duration = since.elapsed();
        log_end(&snapshot.totals(), duration.as_secs());
        let ended = started.checked_add(SignedDuration::try_from(duration).unwrap_or_default()).unwrap_or(started);
        let run = RunStats {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            config: prepared.config.path().map(Into::into),
            config_hash: snapshot.fleet.share.config.to_string(),
            seed: prepared.seed,
            started: stamp(started),
            ended: stamp(ended),
            duration_ms: duration.as_millis() as u64,
            ended_by: ended_by.to_string(),
            driver: driver.to_owned(),
            executor: chosen.executor.name().to_owned(),
            performance: prepared.performance,
            device_log: !prepared.fleet.performance.skip_device_log,
            reloads: snapshot.reloads.done,
            reloads_failed: snapshot.reloads.failed,
        };
        Ok(RunEnd { snapshot, run, errors })
    }
}

/// The last line of the system log.
fn log_end(totals: &Counters, seconds: u64) {
    log::info!(
        "ended after {seconds} s: {} received, {} answered, {} dropped, {} sent, {} lost",
        count(totals.received, "request"),
        totals.answered,
        totals.dropped_total(),
        count(totals.heartbeats_sent, "heartbeat"),
        count(totals.log_records_lost, "device-log record"),
    );
}

/// Waits for the end of the run, and reloads meanwhile.
fn wait(
    asked: &Receiver<Asked>,
    serving: &mut Serving<'_>,
    (mut watch, desk): (Option<&mut Watch>, &mut Desk),
    show: &mut dyn Show,
) -> EndedBy {
    let mut reading: Option<(Receiver<Read>, &'static str)> = None;
    let mut again: Option<&'static str> = None;
    loop {
        if reading.is_none()
            && let Some(why) = again.take()
        {
            if let Some(watch) = &mut watch {
                watch.mark();
            }
            log::info!("{why}: reading the configuration again");
            desk.reads();
            reading = Some((serving.read(), why));
        }
        let read = reading.as_ref().map_or_else(never, |(read, _)| read.clone());
        let happened = watch.as_ref().map_or_else(never, |watch| watch.happened().clone());
        let (ends, requests) = (serving.crew().ends().clone(), desk.requests());
        select! {
            recv(asked) -> asked => match asked {
                Ok(Asked::Stop(signal)) => return EndedBy::Signal(signals::name(signal)),
                Ok(Asked::Reload) => again = Some("SIGHUP"),
                Err(_) => return EndedBy::Signals,
            },
            recv(requests) -> request => {
                if request.is_ok_and(|request| desk.take(request, serving)) {
                    again = Some("a request");
                }
            }
            recv(happened) -> _ => {
                if watch.as_mut().is_some_and(|watch| watch.has_changed()) {
                    again.get_or_insert("a file has changed");
                }
            }
            recv(read) -> read => {
                let why = reading.take().map_or("", |(_, why)| why);
                if let Ok(read) = read {
                    reload(serving, (watch.as_deref_mut(), desk), read, show);
                } else {
                    let error = ReloadError::NotRead(why);
                    desk.not_read(serving, error.to_string());
                    not_reloaded(&error, show);
                }
            }
            recv(ends) -> shard => return EndedBy::Shard(shard.unwrap_or_default()),
        }
    }
}

fn not_reloaded(error: &ReloadError, show: &mut dyn Show) {
    show.show(&Event::NotReloaded(error));
    log::error!(target: ON_STDERR, "reload failed, the old configuration keeps running: {error}");
}

/// Serves the configuration that was just read, and reports the result.
fn reload(serving: &mut Serving<'_>, (watch, desk): (Option<&mut Watch>, &mut Desk), read: Read, show: &mut dyn Show) {
    let outcome = serving.reload(read);
    desk.reloaded(serving, &outcome);
    let ReloadOutcome { done, diags, files } = outcome;
    show.show(&Event::Read(&diags));
    match done {
        Ok(reloaded) => {
            let target = show.log_target();
            reloaded.listening.lines().for_each(|line| log::info!(target: target, "{line}"));
            log::info!(target: target, "{}", reloaded.summary);
            show.show(&Event::Reloaded(&reloaded));
        }
        Err(error) => not_reloaded(&error, show),
    }
    if let Some(watch) = watch {
        watch.set_files(files);
    }
}

/// RFC 3339, UTC, with milliseconds.
fn stamp(time: Timestamp) -> String {
    format!("{:.3}", time.round(Unit::Millisecond).unwrap_or(time))
}
