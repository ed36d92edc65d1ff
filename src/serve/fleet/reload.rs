//! What is served, and how a reload changes it without a restart (spec templates.md, Reload).
//!
//! Everything that can fail comes first: reading, compiling, limits, sockets, the shards taking them over. The running
//! fleet is not touched until all of it has succeeded; then every shard swaps between two messages.

use super::claims::Claims;
use super::crew::{Crew, CrewError, Finished};
use super::error::lines;
use super::machine::{self, Missing};
use super::prepare::Prepared;
use super::read::{Configuration, exit_of, read, summary};
use super::snapshot::{Gone, Reloads, Snapshot};
use super::sockets::{self, BindError, Sockets};
use crate::devlog::{LogTotals, LoggerHandle};
use crate::driver::WayCounts;
use crate::shard::Swap;
use crate::shard::accounts::Accounts;
use crate::shard::late::Late;
use crate::syslog::ON_STDERR;
use crossbeam_channel::{Receiver, bounded};
use fsu_core::moment::RunContext;
use fsu_core::state::Counters;
use fsu_plan::config::diag::Diags;
use fsu_plan::exit::Exit;
use fsu_plan::model::fleet::{Fleet, LogPlan};
use fsu_plan::model::reload::{Change, Fate};
use fsu_plan::words::count;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum number of a configuration's errors in the system log; stderr has all of them.
pub(super) const ERRORS_LOGGED_MAX: usize = 100;

/// A configuration that was read.
#[derive(Debug)]
pub struct Read {
    configuration: Configuration,
    begun: Instant,
}

/// Stack of the thread that reads a configuration; as main's.
const READ_STACK_BYTES: usize = 8 << 20;

/// Longest wait for the logger's totals: it may be writing to a slow disk.
const TOTALS_WAIT: Duration = Duration::from_secs(5);

/// Why another configuration is not served; the old one keeps running.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It has errors, or its files cannot be read.
    #[error("{summary} (exit code {} at a start)", *exit as u8)]
    Configuration {
        /// How many errors and warnings.
        summary: String,
        /// The exit code of a start with it.
        exit: Exit,
    },
    /// The thread that reads it has ended; the reason for the reload.
    #[error("{0}: the thread that reads the configuration has ended")]
    NotRead(&'static str),
    /// The machine.
    #[error("this machine lacks what it needs:{}", lines(.0))]
    Lacking(Vec<Missing>),
    /// Its new sockets.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The shards.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// The logger.
    #[error("{0}")]
    Logger(String),
}

/// The result of a reload.
#[derive(Debug)]
pub struct ReloadOutcome {
    /// What changed, or why nothing did.
    pub done: Result<Reloaded, ReloadError>,
    /// Errors and warnings of the configuration.
    pub diags: Diags,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// A running fleet.
#[derive(Debug)]
pub struct Serving<'a> {
    prepared: &'a Prepared,
    logger: &'a mut LoggerHandle,
    crew: Crew,
    /// As at the start, from which schedules count.
    run: RunContext,
    /// What is served now.
    pub fleet: Arc<Fleet>,
    /// By FSU number: where it listens, if it asked for any free port. The others listen where their plan says.
    free: BTreeMap<u32, SocketAddr>,
    /// By FSU number: its shard.
    pub(super) shards: Vec<u16>,
    /// The number of what is served.
    pub(super) epoch: u32,
    /// Names for the addresses that have no socket of their own.
    claims: Claims,
    /// Counts.
    pub reloads: Reloads,
    /// What is not served any more.
    pub gone: Gone,
}

/// A reload that went well.
#[derive(Debug)]
pub struct Reloaded {
    /// A line for each new FSU that asked for any free port.
    pub listening: String,
    /// What changed, for people.
    pub summary: String,
}

impl<'a> Serving<'a> {
    /// These shards, which serve the fleet of the start at these addresses.
    pub fn new(
        prepared: &'a Prepared,
        logger: &'a mut LoggerHandle,
        crew: Crew,
        run: RunContext,
        (addresses, claims): (Vec<SocketAddr>, Claims),
    ) -> Self {
        let shards = (0..addresses.len()).map(|fsu| (fsu % prepared.cpus.len().max(1)) as u16).collect();
        let fleet = prepared.fleet.clone();
        let free = free(&fleet, &addresses);
        let (reloads, gone) = (Reloads::default(), Gone::default());
        Self { prepared, logger, crew, run, fleet, free, shards, epoch: 0, claims, reloads, gone }
    }

    /// Sets what the system log takes, until a reload.
    pub(super) fn set_log_level(&self, level: log::LevelFilter) {
        self.logger.set_level(level);
    }

    /// Its shards.
    pub fn crew(&self) -> &Crew {
        &self.crew
    }

    /// Reads the configuration on a thread of its own, so that the run can end meanwhile. The result comes through the channel.
    pub fn read(&self) -> Receiver<Read> {
        let (sender, receiver) = bounded(1);
        let config = self.prepared.config.clone();
        let work = move || {
            let begun = Instant::now();
            let configuration = read(&config);
            let _ = sender.send(Read { configuration, begun });
        };
        let inline = work.clone();
        let thread = std::thread::Builder::new().name("reload".into()).stack_size(READ_STACK_BYTES).spawn(work);
        if thread.is_err() {
            inline();
        }
        receiver
    }

    /// Serves what was read, or keeps the old configuration. The first errors and warnings go to the system log.
    pub fn reload(&mut self, read: Read) -> ReloadOutcome {
        let Read { configuration: Configuration { fleet, diags, files }, begun } = read;
        for line in diags.lines().take(ERRORS_LOGGED_MAX) {
            log::warn!(target: ON_STDERR, "reload: {line}");
        }
        let done = match fleet {
            Some(fleet) if !diags.has_errors() => self.serve(fleet, begun),
            _ => Err(ReloadError::Configuration { summary: summary(&diags), exit: exit_of(&diags) }),
        };
        match &done {
            Ok(_) => self.reloads.done += 1,
            Err(_) => self.reloads.failed += 1,
        }
        ReloadOutcome { done, diags, files }
    }

    fn serve(&mut self, mut fleet: Fleet, begun: Instant) -> Result<Reloaded, ReloadError> {
        self.prepared.overlay.lay(&mut fleet);
        let fleet = Arc::new(fleet);
        machine::check(&self.prepared.needs_of(&fleet)).map_err(ReloadError::Lacking)?;
        let change = Change::between(&self.fleet, &fleet);
        let lent = self.prepared.one_socket;
        let Sockets { bound, addresses: new_addresses, .. } = sockets::bind_some(&fleet, &change.new, lent)?;
        let (addresses, shards) = self.places(&fleet, &change, &new_addresses);
        if lent {
            sockets::claim(&mut self.claims, &fleet, &addresses)?;
        }
        let mut hands: Vec<(Vec<u32>, Vec<_>)> = self.prepared.cpus.iter().map(|_| Default::default()).collect();
        for (&number, bound) in change.new.iter().zip(bound) {
            let hand = &mut hands[usize::from(shards[number as usize])];
            hand.0.push(number);
            hand.1.push(bound);
        }
        let (new, bound): (Vec<_>, Vec<_>) = hands.into_iter().unzip();
        if let Err(error) = self.crew.stage(bound) {
            self.claim_again();
            return Err(error.into());
        }
        let epoch = match self.logger.reload(fleet.clone()) {
            Ok(epoch) => epoch,
            Err(error) => {
                self.crew.unstage();
                self.claim_again();
                return Err(ReloadError::Logger(words(&error)));
            }
        };
        // From here on nothing can fail but the program itself.
        let run = RunContext { skip_delay: fleet.performance.skip_delay, ..self.run };
        let own = Arc::new(sockets::own(&fleet, &addresses));
        let fates: Arc<[Fate]> = change.fates.clone().into();
        let swap = Swap { fleet: fleet.clone(), run, epoch, fates, new: Vec::new(), own };
        let swaps = new.into_iter().map(|new| Swap { new, ..swap.clone() }).collect();
        for counters in self.crew.swap(swaps)? {
            self.gone.fsus += 1;
            self.gone.counters.add(&counters);
        }
        for what in needs_restart(&self.fleet, &fleet) {
            log::warn!("reload: {what} has changed, which takes a restart");
        }
        let (stay, new, gone) = change.counts();
        let took_ms = begun.elapsed().as_millis();
        let summary = format!(
            "reloaded: {} {}, {new} new, {gone} gone, {took_ms} ms",
            count(stay, "FSU"),
            if stay == 1 { "stays" } else { "stay" }
        );
        let fresh = change.new.iter().map(|&number| (&fleet.fsus[number as usize], addresses[number as usize]));
        let listening = fresh.filter(|(fsu, _)| fsu.bind.port() == 0 && fsu.listens()).fold(
            String::new(),
            |mut text, (fsu, address)| {
                let _ = writeln!(text, "listening {} {} {address}", fsu.name, fsu.transport.name());
                text
            },
        );
        self.free = free(&fleet, &addresses);
        (self.fleet, self.shards, self.epoch) = (fleet, shards, epoch);
        Ok(Reloaded { listening, summary })
    }

    /// Another configuration is not served after all: the names are those of the old one.
    fn claim_again(&mut self) {
        if self.prepared.one_socket {
            // They were ours a moment ago.
            let addresses = self.addresses();
            let _ = sockets::claim(&mut self.claims, &self.fleet, &addresses);
        }
    }

    /// By FSU number: where it listens.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let all = (0..).zip(&self.fleet.fsus);
        all.map(|(number, fsu)| self.free.get(&number).copied().unwrap_or(fsu.bind)).collect()
    }

    /// Where each FSU of the next fleet listens, and its shard: new ones go to the shard with the fewest.
    fn places(&self, fleet: &Fleet, change: &Change, new: &[SocketAddr]) -> (Vec<SocketAddr>, Vec<u16>) {
        let mut addresses: Vec<SocketAddr> = fleet.fsus.iter().map(|fsu| fsu.bind).collect();
        let mut shards = vec![0; fleet.fsus.len()];
        let before = self.addresses();
        let mut many = vec![0usize; self.prepared.cpus.len().max(1)];
        for ((fate, &address), &shard) in change.fates.iter().zip(&before).zip(&self.shards) {
            if let Fate::Stays(number) | Fate::Handed(number) = *fate {
                (addresses[number as usize], shards[number as usize]) = (address, shard);
                many[usize::from(shard)] += 1;
            }
        }
        for (&number, &address) in change.new.iter().zip(new) {
            let shard = (0..many.len()).min_by_key(|&shard| many[shard]).unwrap_or(0);
            (addresses[number as usize], shards[number as usize]) = (address, shard as u16);
            many[shard] += 1;
        }
        (addresses, shards)
    }

    /// What is counted so far.
    ///
    /// # Errors
    /// A shard has ended, or does not answer.
    pub fn snapshot(&self) -> Result<Snapshot, CrewError> {
        let mut counters = vec![Counters::default(); self.fleet.fsus.len()];
        let (mut late, mut ways, mut accounts) = (Vec::new(), Vec::new(), Accounts::default());
        for shard in self.crew.figures()? {
            late.push(shard.late);
            accounts.merge(&shard.accounts);
            ways.push(shard.ways);
            for (fsu, own) in shard.counters {
                if let Some(place) = counters.get_mut(fsu) {
                    *place = own;
                }
            }
        }
        let log = self.logger.totals().recv_timeout(TOTALS_WAIT).unwrap_or_default();
        Ok(self.snapshot_of(counters, (late, ways, accounts), log))
    }

    fn snapshot_of(
        &self,
        counters: Vec<Counters>,
        (late, ways, accounts): (Vec<Late>, Vec<WayCounts>, Accounts),
        log: LogTotals,
    ) -> Snapshot {
        Snapshot {
            fleet: self.fleet.clone(),
            cpus: self.prepared.cpus.clone(),
            shards: self.shards.iter().copied().map(usize::from).collect(),
            counters,
            late,
            accounts,
            ways,
            late_limit_us: self.prepared.late_limit_us,
            gone: self.gone.clone(),
            reloads: self.reloads,
            log,
        }
    }

    /// Stops reading, sends what is due, and waits for the end of all shards. The snapshot has no counts of the logger yet, and the
    /// errors are those of the shards.
    pub fn stop(mut self) -> (Snapshot, Vec<CrewError>) {
        let Finished { counters, late, accounts, ways, errors } = self.crew.stop(self.fleet.fsus.len());
        (self.snapshot_of(counters, (late, ways, accounts), LogTotals::default()), errors)
    }
}

/// By FSU number: where those listen that asked for any free port.
fn free(fleet: &Fleet, addresses: &[SocketAddr]) -> BTreeMap<u32, SocketAddr> {
    let all = (0..).zip(&fleet.fsus).zip(addresses);
    all.filter(|((_, fsu), _)| fsu.bind.port() == 0).map(|((number, _), &address)| (number, address)).collect()
}

/// What an error says.
fn words(error: &impl std::fmt::Display) -> String {
    error.to_string()
}

/// Changed settings that take effect only at a start.
fn needs_restart(before: &Fleet, now: &Fleet) -> Vec<&'static str> {
    let logs = |fleet: &Fleet| {
        let LogPlan { level: _, dir, file, bytes_max, age_days_max, async_write, language, on_full } =
            fleet.log.clone();
        (dir, file, bytes_max, age_days_max, async_write, language, on_full)
    };
    let mut changed = Vec::new();
    if logs(before) != logs(now) {
        changed.push("`log` (all but its level)");
    }
    if before.performance.skip_device_log != now.performance.skip_device_log {
        changed.push("whether there is a device log");
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devlog::{Logger, LoggerConfig};
    use crate::fleet::crew::Ways;
    use crate::fleet::fixtures::fleet;
    use crate::fleet::options::{DriverChoice, FleetOptions};
    use std::net::UdpSocket;

    #[test]
    fn a_snapshot_is_what_was_counted_so_far() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut fleet = fleet();
        fleet.log.dir = dir.path().to_owned();
        let cpus = Some(vec![crate::fleet::cpus::allowed()[0]]);
        let options =
            FleetOptions { driver: DriverChoice::Poll, cpus, seed: Some(1), gso: true, ..FleetOptions::default() };
        let prepared = Prepared::new(options, fleet, Vec::new()).expect("good options");
        let chosen = prepared.choose_driver().expect("epoll is everywhere");
        let config = LoggerConfig::of(&prepared.fleet);
        let mut logger = Logger::start(config, prepared.fleet.clone(), 0).expect("a thread");
        let Sockets { bound, addresses, .. } = sockets::bind(&prepared.fleet).expect("free ports");
        let context = prepared.context();
        let crew = Crew::start(
            &prepared,
            &chosen,
            &logger,
            (bound, Ways::default()),
            ((context, crate::shard::Own::default()), None),
        );
        let serving = Serving::new(
            &prepared,
            &mut logger,
            crew.expect("started"),
            context,
            (addresses.clone(), Claims::default()),
        );
        let counted = |snapshot: &Snapshot| (snapshot.totals().dropped_total(), snapshot.counters[2].dropped_total());
        assert_eq!(counted(&serving.snapshot().expect("it runs")), (0, 0));
        let centre = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        centre.send_to(b"anything", addresses[2]).expect("sent");
        let deadline = Instant::now() + Duration::from_secs(20);
        while counted(&serving.snapshot().expect("it runs")) != (1, 1) {
            assert!(Instant::now() < deadline, "the datagram is not counted");
        }
        let live = serving.snapshot().expect("it runs");
        assert_eq!((live.of_shard(0).0, live.late.len(), live.lateness().replies), (3, 1, 0));
        let (last, errors) = serving.stop();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(counted(&last), (1, 1));
    }
}
