//! What is served, and how it changes without an end (spec templates.md, Reload).
//!
//! Everything that can fail comes first: reading, compiling, limits, sockets, the shards taking them over. What is served
//! is not touched before all of that went well; then every shard swaps between two messages.

use super::crew::{Crew, Finished};
use super::fleet::{exit_of, read_files, summary};
use super::machine;
use super::prepare::Prepared;
use super::sockets::{self, Sockets};
use super::stats::add;
use crossbeam_channel::{Receiver, bounded};
use fsu_core::responder::RunContext;
use fsu_core::responder::state::Counters;
use fsu_plan::config::diag::Diags;
use fsu_plan::model::fleet::{Fleet, LogPlan};
use fsu_plan::model::reload::{Change, Fate};
use fsu_plan::words::count;
use fsu_serve::log::{LoggerHandle, ON_STDERR};
use fsu_serve::shard::Swap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Errors of a configuration that the system log repeats; stderr has all of them.
const ERRORS_LOGGED_MAX: usize = 100;

/// How often the configuration was read anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// It is served since.
    pub done: u64,
    /// It could not be served: what was served went on.
    pub failed: u64,
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Read {
    fleet: Option<Fleet>,
    diags: Diags,
    files: Vec<PathBuf>,
    begun: Instant,
}

/// Stack of the thread that reads a configuration; as main's.
const READ_STACK_BYTES: usize = 8 << 20;

/// What those left that are served no more.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// How many they were.
    pub fsus: u64,
    /// Their counters, added up.
    pub counters: Counters,
}

/// A running fleet.
#[derive(Debug)]
pub struct Serving<'a> {
    prepared: &'a Prepared,
    logger: &'a mut LoggerHandle,
    crew: Crew,
    /// As at the start, which schedules count from.
    run: RunContext,
    /// What is served now.
    pub fleet: Arc<Fleet>,
    /// By FSU number: where it listens.
    addresses: Vec<SocketAddr>,
    /// By FSU number: its shard.
    pub shards: Vec<usize>,
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
        addresses: Vec<SocketAddr>,
    ) -> Self {
        let shards = (0..addresses.len()).map(|fsu| fsu % prepared.cpus.len().max(1)).collect();
        let fleet = prepared.fleet.clone();
        let (reloads, gone) = (Reloads::default(), Gone::default());
        Self { prepared, logger, crew, run, fleet, addresses, shards, reloads, gone }
    }

    /// Its shards.
    pub fn crew(&self) -> &Crew {
        &self.crew
    }

    /// Begins to read the configuration, on a thread of its own: who waits for it can be told to end meanwhile. What was
    /// read comes out of the channel.
    pub fn read(&self) -> Receiver<Read> {
        let (sender, receiver) = bounded(1);
        let config = self.prepared.config.clone();
        let read = move || {
            let begun = Instant::now();
            let (fleet, diags, files) = read_files(config.as_deref());
            let _ = sender.send(Read { fleet, diags, files, begun });
        };
        let inline = read.clone();
        let thread = std::thread::Builder::new().name("reload".into()).stack_size(READ_STACK_BYTES).spawn(read);
        if thread.is_err() {
            inline();
        }
        receiver
    }

    /// Serves what was read, or goes on with what there is. Also tells the files that were read.
    ///
    /// # Errors
    /// Why it is not served; errors of the configuration were told already.
    pub fn reload(&mut self, read: Read) -> (Result<Reloaded, String>, Vec<PathBuf>) {
        let Read { fleet, diags, files, begun } = read;
        tell(&diags);
        let done = match fleet {
            Some(fleet) if !diags.has_errors() => self.serve(fleet, begun),
            _ => Err(format!("{} (exit code {} at a start)", summary(&diags), exit_of(&diags) as u8)),
        };
        match &done {
            Ok(_) => self.reloads.done += 1,
            Err(_) => self.reloads.failed += 1,
        }
        (done, files)
    }

    fn serve(&mut self, mut fleet: Fleet, begun: Instant) -> Result<Reloaded, String> {
        self.prepared.overlay.lay(&mut fleet);
        let fleet = Arc::new(fleet);
        machine::check(&self.prepared.needs_of(&fleet)).map_err(|missing| {
            let lines: Vec<String> = missing.iter().map(|one| format!("\n  {one}")).collect();
            format!("this machine lacks what it needs:{}", lines.concat())
        })?;
        let change = Change::between(&self.fleet, &fleet);
        let Sockets { bound, addresses: new_addresses, .. } = sockets::bind_some(&fleet, &change.new)?;
        let (addresses, shards) = self.places(&fleet, &change, &new_addresses);
        let mut hands: Vec<(Vec<u32>, Vec<_>)> = self.prepared.cpus.iter().map(|_| Default::default()).collect();
        for (&number, bound) in change.new.iter().zip(bound) {
            let hand = &mut hands[shards[number as usize]];
            hand.0.push(number);
            hand.1.push(bound);
        }
        let (new, bound): (Vec<_>, Vec<_>) = hands.into_iter().unzip();
        self.crew.stage(bound)?;
        let epoch = match self.logger.reload(fleet.clone()) {
            Ok(epoch) => epoch,
            Err(text) => {
                self.crew.unstage();
                return Err(text);
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
            add(&mut self.gone.counters, &counters);
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
        let listening =
            fresh.filter(|(fsu, _)| fsu.bind.port() == 0).fold(String::new(), |mut text, (fsu, address)| {
                let _ = writeln!(text, "listening {} {} {address}", fsu.name, fsu.transport.name());
                text
            });
        (self.fleet, self.addresses, self.shards) = (fleet, addresses, shards);
        Ok(Reloaded { listening, summary })
    }

    /// Where each FSU of the next fleet listens, and its shard: new ones go where the fewest are.
    fn places(&self, fleet: &Fleet, change: &Change, new: &[SocketAddr]) -> (Vec<SocketAddr>, Vec<usize>) {
        let mut addresses: Vec<SocketAddr> = fleet.fsus.iter().map(|fsu| fsu.bind).collect();
        let mut shards = vec![0; fleet.fsus.len()];
        let mut many = vec![0usize; self.prepared.cpus.len().max(1)];
        for ((fate, &address), &shard) in change.fates.iter().zip(&self.addresses).zip(&self.shards) {
            if let Fate::Stays(number) | Fate::Handed(number) = *fate {
                (addresses[number as usize], shards[number as usize]) = (address, shard);
                many[shard] += 1;
            }
        }
        for (&number, &address) in change.new.iter().zip(new) {
            let shard = (0..many.len()).min_by_key(|&shard| many[shard]).unwrap_or(0);
            (addresses[number as usize], shards[number as usize]) = (address, shard);
            many[shard] += 1;
        }
        (addresses, shards)
    }

    /// Stops reading, sends what is due, and waits for the end of all shards.
    pub fn stop(self) -> Stopped {
        let finished = self.crew.stop(self.fleet.fsus.len());
        Stopped { finished, fleet: self.fleet, shards: self.shards, reloads: self.reloads, gone: self.gone }
    }
}

/// What a fleet left at its end.
#[derive(Debug)]
pub struct Stopped {
    /// Of the shards.
    pub finished: Finished,
    /// What was served last.
    pub fleet: Arc<Fleet>,
    /// By FSU number: its shard.
    pub shards: Vec<usize>,
    /// Counts.
    pub reloads: Reloads,
    /// What was not served any more.
    pub gone: Gone,
}

/// Errors and warnings to stderr, and the first of them to the system log.
fn tell(diags: &Diags) {
    super::fleet::tell(diags);
    for line in diags.lines().take(ERRORS_LOGGED_MAX) {
        log::warn!(target: ON_STDERR, "reload: {line}");
    }
}

/// Settings that differ and that only a start looks at.
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
