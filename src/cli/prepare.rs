//! Everything that a run decides before it asks the machine for anything.

use super::args::{Driver, RunArgs};
use super::cpus::{self, Placement};
use super::exit::{CliError, Exit};
use super::machine::{self, Missing, Needs, Room};
use super::outfile::{self, OutFile, Words, is_stdout};
use super::pinning;
use super::sockets::Sockets;
use super::summary::fleet_table;
use fsu_core::responder::RunContext;
use fsu_net::bind::RECEIVE_BUFFER_BYTES;
use fsu_net::probe::ring_missing;
use fsu_net::unblocked;
use fsu_plan::model::amplification::{Worst, worst};
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fleet, OnFull, Performance, Transport};
use fsu_plan::words::{count, noun};
use fsu_serve::log::{LoggerConfig, OPEN_FILES_MAX, OPEN_FILES_MIN};
use fsu_serve::shard::{DriverKind, Executor, Tuning};
use log::LevelFilter;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Seeds made up for a run stay below 2^53, so that every JSON reader keeps them exact.
const SEED_END: u64 = 1 << 53;

/// The arguments, resolved.
#[derive(Debug)]
pub struct Prepared {
    /// The fleet, with `--bind`, `--performance` and `--log-dir` in it.
    pub fleet: Arc<Fleet>,
    /// The configuration's path; absent where the embedded one is served.
    pub config: Option<PathBuf>,
    /// The processor of each shard.
    pub cpus: Vec<usize>,
    /// The seed of all random values.
    pub seed: u64,
    /// Performance mode is on.
    pub performance: bool,
    /// Where the statistics go.
    pub stats: Option<OutFile>,
    /// Where what is told people goes.
    pub words: Words,
    /// Where the faults made on purpose are told; empty by now.
    pub fault_ledger: Option<PathBuf>,
    /// The driver that was asked for.
    pub driver: Driver,
    /// A reply that leaves more than so many microseconds after it was due is too late.
    pub late_limit_us: u64,
    /// What shards do to save processor time.
    pub tuning: Tuning,
    /// The arguments that lie over any configuration.
    pub overlay: Overlay,
    /// The files of the configuration, where they are to be watched.
    pub watched: Option<Vec<PathBuf>>,
}

/// Arguments that change a configuration.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    bind: Option<IpAddr>,
    log_dir: Option<PathBuf>,
    performance: bool,
}

impl Overlay {
    /// Lays them over it.
    pub fn lay(&self, fleet: &mut Fleet) {
        if let Some(ip) = self.bind {
            fleet.fsus.iter_mut().for_each(|fsu| fsu.bind = SocketAddr::new(ip.to_canonical(), fsu.bind.port()));
        }
        if let Some(dir) = &self.log_dir {
            fleet.log.dir.clone_from(dir);
        }
        if self.performance {
            fleet.performance = fleet.performance.turned_on();
        }
    }
}

/// The driver that is used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub driver: DriverKind,
    /// Why, for people.
    pub why: String,
    /// What runs the shards.
    pub executor: Executor,
    /// Why not glommio, for people.
    pub not_glommio: Option<String>,
}

impl Chosen {
    /// What is asked for, given what the ring driver lacks here. Over TCP epoll is measured to be ahead (docs/performance.md).
    ///
    /// # Errors
    /// What it lacks, where it is asked for.
    fn new(asked: Driver, mostly_tcp: bool, missing: impl FnOnce() -> Option<String>) -> Result<Self, String> {
        let (driver, why) = match asked {
            Driver::Poll => (DriverKind::Poll, "as asked for".to_owned()),
            Driver::Ring => match missing() {
                Some(missing) => return Err(missing),
                None => (DriverKind::Ring, "as asked for".to_owned()),
            },
            Driver::Auto if mostly_tcp => {
                (DriverKind::Poll, "the faster one over TCP, as most FSUs are here".to_owned())
            }
            Driver::Auto => match missing() {
                Some(missing) => (DriverKind::Poll, format!("not ring: {missing}")),
                None => (DriverKind::Ring, "this kernel has all it needs".to_owned()),
            },
        };
        Ok(Self { driver, why, executor: Executor::Glommio, not_glommio: None })
    }
}

impl Chosen {
    /// The same, on plain threads where glommio lacks something.
    fn on_what_is_there(self, lacking: &[Missing]) -> Self {
        if lacking.is_empty() {
            return self;
        }
        let why = lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { executor: Executor::Thread, not_glommio: Some(format!("not glommio: {why}")), ..self }
    }
}

/// `--late-limit-ms` in microseconds: up to a minute, which is as far as lateness is told.
fn late_limit_us(limit_ms: f64) -> Result<u64, CliError> {
    if (0.0..=60_000.0).contains(&limit_ms) {
        Ok((limit_ms * 1_000.0) as u64)
    } else {
        Err(CliError::new(Exit::Usage, format!("--late-limit-ms {limit_ms}: 0 to 60000")))
    }
}

/// Empties the ledger now, so that a run is not found to be without it at its end. `-` is standard output, as a file.
fn claim_ledger(path: &Path) -> Result<PathBuf, CliError> {
    let (path, opened) = if is_stdout(path) {
        let stdout = Path::new("/dev/stdout");
        (stdout, std::fs::OpenOptions::new().append(true).open(stdout))
    } else {
        (path, std::fs::File::create(path))
    };
    let text = |error| format!("--fault-ledger {}: cannot be written: {error}", path.display());
    opened.map_err(|error| CliError::new(Exit::Usage, text(error)))?;
    Ok(path.to_owned())
}

impl Prepared {
    /// Reads and compiles the configuration, and lays the arguments over it. Warnings go to stderr.
    ///
    /// # Errors
    /// Arguments that cannot be used, and errors of the configuration; the latter are on stderr already.
    pub fn new(args: RunArgs) -> Result<Self, CliError> {
        let usage = |text: String| CliError::new(Exit::Usage, text);
        let allowed = cpus::allowed();
        let listed = args.cpus.as_deref().map(|list| cpus::parse(list, &allowed)).transpose();
        let listed = listed.map_err(|error| usage(error.to_string()))?;
        let claim = |path: &PathBuf| {
            OutFile::claim(path)
                .map_err(|error| usage(format!("--stats {}: cannot be written: {error}", path.display())))
        };
        let words =
            Words::beside(&[("--stats", args.stats.as_deref()), ("--fault-ledger", args.fault_ledger.as_deref())]);
        let words = words.map_err(usage)?;
        let stats = args.stats.as_ref().map(claim).transpose()?;
        let (mut fleet, files) = super::fleet::load_files(args.config.as_deref())?;
        let fault_ledger = args.fault_ledger.as_deref().map(claim_ledger).transpose()?;
        let overlay = Overlay { bind: args.bind, log_dir: args.log_dir, performance: args.performance };
        overlay.lay(&mut fleet);
        let shards = args.shards.map(usize::from);
        let Placement { cpus, shared } = cpus::place(shards, listed.as_deref(), &allowed, fleet.fsus.len());
        if shared {
            let pool = listed.as_ref().unwrap_or(&allowed).len();
            let text =
                format!("warning: {} on {}: some share one", count(cpus.len(), "shard"), count(pool, "processor"));
            unblocked::stderr(&format!("fsu-mock: {text}\n"));
        }
        let performance = fleet.performance.skip_delay || fleet.performance.skip_device_log;
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..SEED_END));
        let (fleet, driver) = (Arc::new(fleet), args.driver);
        let watched = args.watch.then_some(files);
        let late_limit_us = late_limit_us(args.late_limit_ms)?;
        let tuning = Tuning { gather: Duration::from_micros(args.gather_us.into()), gso: !args.no_gso };
        let config = args.config;
        Ok(Self {
            fleet,
            config,
            cpus,
            seed,
            performance,
            stats,
            words,
            fault_ledger,
            driver,
            late_limit_us,
            tuning,
            overlay,
            watched,
        })
    }

    /// Tries that the logs can be written: a long run does not end without them.
    ///
    /// # Errors
    /// The directory that cannot be written, and why.
    pub fn claim_logs(&self) -> Result<(), CliError> {
        let log = &self.fleet.log;
        let system = (log.level != LevelFilter::Off).then(|| log.dir.clone());
        let devices = (!self.fleet.performance.skip_device_log).then(|| log.dir.join("devices"));
        let from = if self.overlay.log_dir.is_some() { "--log-dir" } else { "log.dir" };
        for dir in [system, devices].into_iter().flatten() {
            outfile::claim_dir(&dir).map_err(|error| {
                let text = format!("{from}: no log can be written in {}: {error}", dir.display());
                CliError::new(Exit::Usage, text)
            })?;
        }
        Ok(())
    }

    /// Raises limits and looks for what is missing.
    ///
    /// # Errors
    /// Everything that is missing.
    pub fn ask_machine(&self) -> Result<Room, CliError> {
        let checked = machine::check(&self.needs_of(&self.fleet));
        let config = LoggerConfig::of(&self.fleet);
        let more = [
            pinning::missing(&self.cpus),
            machine::address_space(machine::address_bytes(self.cpus.len(), config.queue_bytes)),
        ];
        let more: Vec<Missing> = more.into_iter().flatten().collect();
        let checked = match (checked, more.is_empty()) {
            (Ok(_), false) => Err(more),
            (Err(missing), _) => Err(missing.into_iter().chain(more).collect()),
            (room, true) => room,
        };
        checked.map_err(|missing: Vec<Missing>| {
            let lines: Vec<String> = missing.iter().map(|one| format!("\n  {one}")).collect();
            CliError::new(Exit::Machine, format!("this machine lacks what the run needs:{}", lines.concat()))
        })
    }

    /// What a fleet needs of the machine.
    pub fn needs_of(&self, fleet: &Fleet) -> Needs {
        let listeners = || fleet.fsus.iter().filter(|fsu| fsu.transport == Transport::Tcp);
        let log_files = if fleet.performance.skip_device_log { 0 } else { fleet.fsus.len() };
        Needs {
            sockets: fleet.fsus.len() as u64,
            listeners: listeners().count() as u64,
            connections_max: listeners().map(|fsu| fsu.limits.connections_max as u64).fold(0, u64::saturating_add),
            log_files: log_files.min(OPEN_FILES_MIN) as u64,
            log_files_max: log_files.min(OPEN_FILES_MAX) as u64,
            shards: self.cpus.len() as u64,
        }
    }

    /// What replies are made with.
    pub fn context(&self) -> RunContext {
        let start = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        RunContext {
            seed: self.seed,
            skip_delay: self.fleet.performance.skip_delay,
            start_mono_ms: (start.tv_sec * 1_000 + start.tv_nsec / 1_000_000).unsigned_abs(),
        }
    }

    /// Chooses the driver and what runs it, by trying what they need.
    ///
    /// # Errors
    /// What is missing for the driver that was asked for.
    pub fn choose_driver(&self) -> Result<Chosen, CliError> {
        let lacking = machine::lacking_for_glommio();
        let tcp = self.fleet.fsus.iter().filter(|fsu| fsu.transport == Transport::Tcp).count();
        let chosen = Chosen::new(self.driver, tcp > self.fleet.fsus.len() / 2, ring_missing);
        let chosen = chosen.map_err(|missing| {
            let remedies: Vec<String> = lacking.iter().map(|one| format!("\n  {one}")).collect();
            CliError::new(
                Exit::Machine,
                format!(
                    "--driver ring is not possible here: {missing} (--driver auto takes poll){}",
                    remedies.concat()
                ),
            )
        })?;
        Ok(chosen.on_what_is_there(&lacking))
    }

    /// `106 FSUs on 2 shards`
    pub fn size(&self) -> String {
        format!("{} on {}", count(self.fleet.fsus.len(), "FSU"), count(self.cpus.len(), "shard"))
    }

    /// The program, its version, and what it serves.
    pub fn heading(&self) -> String {
        let config =
            self.config.as_ref().map_or("the embedded configuration".into(), |path| path.display().to_string());
        format!("fsu-mock {} serves {config}", env!("CARGO_PKG_VERSION"))
    }

    /// What is served and how, for people; `sockets` by FSU number.
    pub fn summary(&self, sockets: &Sockets, room: &Room, chosen: &Chosen) -> String {
        let Performance { skip_delay, skip_device_log, .. } = self.fleet.performance;
        let log = &self.fleet.log;
        let device_log = match log.on_full {
            _ if skip_device_log => "off (performance mode)".to_owned(),
            OnFull::Drop => format!("{}; a full queue loses records", log.dir.join("devices").display()),
            OnFull::Block => format!("{}; a full queue is waited for", log.dir.join("devices").display()),
        };
        let performance = match (skip_delay, skip_device_log) {
            (false, false) => "off",
            (true, false) => "on: no delays",
            (false, true) => "on: no device log",
            (true, true) => "on: no delays, no device log",
        };
        let mut text = format!("{}\n\n{}\n\n", self.heading(), fleet_table(&self.fleet, &sockets.addresses));
        let mut line = |key: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {key:<12} {value}");
        };
        line(
            "shards",
            &format!("{} on {} {}", self.cpus.len(), noun(self.cpus.len(), "processor"), listed(&self.cpus)),
        );
        line("driver", &format!("{} ({})", chosen.driver.name(), chosen.why));
        if let Some(why) = &chosen.not_glommio {
            line("executor", &format!("{} ({why})", chosen.executor.name()));
        }
        if let Some(given) = sockets.receive_buffer_bytes {
            line("buffers", &receive_buffers(given));
        }
        line("seed", &format!("{0} (--seed {0} repeats this run's random values)", self.seed));
        line("device log", &device_log);
        if self.fleet.fsus.iter().any(|fsu| fsu.faults.is_some()) {
            let many = self.fleet.fsus.iter().filter(|fsu| fsu.faults.is_some()).count();
            let ledger = self.fault_ledger.as_ref().map_or_else(
                || "no ledger (--fault-ledger FILE)".to_owned(),
                |path| format!("ledger {}", path.display()),
            );
            line("faults", &format!("made on purpose by {}; {ledger}", count(many, "FSU")));
        }
        line("system log", &log.dir.join(&log.file).display().to_string());
        line("performance", performance);
        if let Some(Worst { exchange, command, fsu }) = worst(&self.fleet) {
            let burst = match exchange.burst {
                1 => String::new(),
                many => format!(", the {many} replies of its burst together"),
            };
            let text = format!("{:.1} times the request at most ({command} of {fsu}{burst})", exchange.factor());
            let mut refused = format!("past {AMPLIFICATION_MAX} times a reply is not sent to another host");
            if has_transfers(&self.fleet) {
                refused += ", and a BroadCast command with such data is refused there";
            }
            let past = if self.fleet.allow_amplification { "allowed (allow_amplification)" } else { &refused };
            line("worst factor", &format!("{text}; {past}"));
        }
        if self.fleet.fsus.iter().any(|fsu| fsu.transport == Transport::Tcp) {
            line("open files", &format!("{}, of which {} for TCP connections", room.files, room.connections));
        }
        text.push('\n');
        text
    }
}

/// Whether an FSU has commands whose data follows in frames of its own.
fn has_transfers(fleet: &Fleet) -> bool {
    let mut devices = fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter());
    devices.any(|device| device.template.transfer.is_some())
}

/// What the kernel gave each socket for datagrams that wait, and how to get more.
fn receive_buffers(given: usize) -> String {
    let (given, asked) = (given / 1024, RECEIVE_BUFFER_BYTES / 1024);
    if given >= asked {
        return format!("{given} KiB a socket for datagrams that wait");
    }
    format!(
        "{given} KiB a socket for datagrams that wait; {asked} KiB were asked for (sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES})"
    )
}

/// Processors in the order of the shards; as ranges where they ascend.
fn listed(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    cpus::format(&sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_chosen_by_what_is_missing() {
        let check_of = |asked, mostly_tcp, missing: Option<&str>, expected: Result<(DriverKind, &str), &str>| {
            let chosen = Chosen::new(asked, mostly_tcp, || missing.map(str::to_owned));
            let got = chosen.as_ref().map(|chosen| (chosen.driver, &chosen.why[..])).map_err(|why| &why[..]);
            assert_eq!(got, expected);
        };
        let check = |asked, missing, expected| check_of(asked, false, missing, expected);
        check_of(Driver::Auto, true, None, Ok((DriverKind::Poll, "the faster one over TCP, as most FSUs are here")));
        check_of(Driver::Ring, true, None, Ok((DriverKind::Ring, "as asked for")));
        check(Driver::Auto, None, Ok((DriverKind::Ring, "this kernel has all it needs")));
        check(Driver::Auto, Some("x: y"), Ok((DriverKind::Poll, "not ring: x: y")));
        check(Driver::Ring, None, Ok((DriverKind::Ring, "as asked for")));
        check(Driver::Ring, Some("x: y"), Err("x: y"));
        check(Driver::Poll, Some("x: y"), Ok((DriverKind::Poll, "as asked for")));
    }

    #[test]
    fn h16_plain_threads_are_taken_where_glommio_lacks_something() {
        let chosen = || Chosen::new(Driver::Auto, false, || Some("x".to_owned())).unwrap();
        assert_eq!(chosen().on_what_is_there(&[]), chosen());
        assert_eq!((chosen().executor, chosen().not_glommio), (Executor::Glommio, None));
        let lacking = [
            Missing::LockedMemory { needed: 524_288, limit: 65_536 },
            Missing::IoUringRefused { error: "no".to_owned() },
        ];
        let Chosen { driver, executor, not_glommio, .. } = chosen().on_what_is_there(&lacking);
        assert_eq!((driver, executor), (DriverKind::Poll, Executor::Thread));
        let why = not_glommio.unwrap();
        assert!(why.starts_with("not glommio: locked memory: 512 KiB") && why.contains("; io_uring: "), "{why}");
    }

    #[test]
    fn small_buffers_come_with_the_way_to_larger_ones() {
        assert_eq!(receive_buffers(4 << 20), "4096 KiB a socket for datagrams that wait");
        assert!(
            receive_buffers(212_992).starts_with("208 KiB")
                && receive_buffers(212_992).contains("net.core.rmem_max=4194304")
        );
    }
}
