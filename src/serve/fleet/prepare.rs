//! Everything that a run decides before it touches the machine.

use super::cpus::{self, Placement};
use super::error::FleetError;
use super::machine::{self, Missing, Needs, Room};
use super::options::{DriverChoice, FleetOptions};
use super::pinning;
use super::read::Origin;
use super::xdp;
use crate::devlog::{LoggerConfig, OPEN_FILES_MAX, OPEN_FILES_MIN};
use crate::driver::{DriverKind, Executor, Tuning};
use crate::shard::steer::record::Plays;
use crate::steer::journal::{Journal, config_hash};
use fsu_core::moment::RunContext;
use fsu_net::probe::ring_missing;
use fsu_net::xdp::device::Device;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::share::Partition;
use fsu_plan::words::count;
use log::LevelFilter;
use std::fs::{File, create_dir_all, remove_file};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Generated seeds are below 2^53, so that every JSON reader keeps them exact.
const SEED_END: u64 = 1 << 53;

/// The arguments, resolved.
#[derive(Debug)]
pub struct Prepared {
    /// The fleet, with `--bind`, `--performance` and `--log-dir` in it.
    pub fleet: Arc<Fleet>,
    /// Where the configuration was read from.
    pub config: Origin,
    /// The processor of each shard.
    pub cpus: Vec<usize>,
    /// The seed of all random values.
    pub seed: u64,
    /// Performance mode is on.
    pub performance: bool,
    /// The fault ledger; emptied already.
    pub fault_ledger: Option<PathBuf>,
    /// The message ledger; emptied already.
    pub message_ledger: Option<PathBuf>,
    /// The driver that was asked for.
    pub driver: DriverChoice,
    /// The network device of [`DriverChoice::Xdp`].
    pub xdp_dev: String,
    /// One socket a shard for all udp FSUs.
    pub one_socket: bool,
    /// Lateness limit of a reply, in microseconds.
    pub late_limit_us: u64,
    /// How shards save processor time.
    pub tuning: Tuning,
    /// Arguments that override any configuration.
    pub overlay: Overlay,
    /// The files of the configuration, if they are to be watched.
    pub watched: Option<Vec<PathBuf>>,
    /// The run can be watched and steered.
    pub steer: bool,
    /// The file of the journal; emptied already.
    pub journal: Option<PathBuf>,
    /// Changes that are made again, by FSU number.
    pub plays: Plays,
    /// Stands for the configuration's files.
    pub config_hash: String,
    /// Shards share processors: how many, for people.
    pub warning: Option<String>,
}

/// Arguments that override parts of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    bind: Option<IpAddr>,
    log_dir: Option<PathBuf>,
    performance: bool,
    partition: Option<Partition>,
}

impl Overlay {
    /// Applies them to a fleet.
    pub fn lay(&self, fleet: &mut Fleet) {
        if let Some(partition) = self.partition {
            fleet.keep(partition);
        }
        if let Some(ip) = self.bind {
            // Not the source addresses of those that only dial out.
            let listening = fleet.fsus.iter_mut().filter(|fsu| fsu.listens());
            listening.for_each(|fsu| fsu.bind = SocketAddr::new(ip.to_canonical(), fsu.bind.port()));
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
    /// The device of the xdp driver.
    pub device: Option<Arc<Device>>,
}

/// What the ring driver lacks here.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Absent(String);

impl Chosen {
    /// What is asked for, given what the ring driver lacks here. Over TCP epoll is measured to be ahead (docs/internals/performance.md).
    ///
    /// # Errors
    /// What it lacks, where it is asked for.
    fn new(asked: DriverChoice, mostly_tcp: bool, missing: impl FnOnce() -> Option<String>) -> Result<Self, Absent> {
        let (driver, why) = match asked {
            // The other one is chosen by its device.
            DriverChoice::Poll | DriverChoice::Xdp => (DriverKind::Poll, "as asked for".to_owned()),
            DriverChoice::Ring => match missing() {
                Some(missing) => return Err(Absent(missing)),
                None => (DriverKind::Ring, "as asked for".to_owned()),
            },
            DriverChoice::Auto if mostly_tcp => {
                (DriverKind::Poll, "the faster one over TCP, as most FSUs are here".to_owned())
            }
            DriverChoice::Auto => match missing() {
                Some(missing) => (DriverKind::Poll, format!("not ring: {missing}")),
                None => (DriverKind::Ring, "this kernel has all it needs".to_owned()),
            },
        };
        Ok(Self { driver, why, executor: Executor::Glommio, not_glommio: None, device: None })
    }

    /// The poll driver, with one socket.
    fn on_one_socket() -> Self {
        let why = "one socket a shard for all udp FSUs".to_owned();
        Self { driver: DriverKind::Poll, why, executor: Executor::Glommio, not_glommio: None, device: None }
    }

    /// The xdp driver.
    fn on_device(device: Device) -> Self {
        let queues = count(device.queues as usize, "queue");
        let why = format!("as asked for: {} with {queues}; arrival is when a batch is read", device.name);
        let device = Some(Arc::new(device));
        Self { driver: DriverKind::Xdp, why, executor: Executor::Glommio, not_glommio: None, device }
    }
}

impl Chosen {
    /// The same on plain threads, if glommio lacks something.
    fn on_what_is_there(self, lacking: &[Missing]) -> Self {
        if lacking.is_empty() {
            return self;
        }
        let why = lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { executor: Executor::Thread, not_glommio: Some(format!("not glommio: {why}")), ..self }
    }
}

/// `--late-limit-ms` in microseconds: up to a minute, the range of the lateness histogram.
fn late_limit_us(limit_ms: f64) -> Result<u64, FleetError> {
    if (0.0..=60_000.0).contains(&limit_ms) {
        Ok((limit_ms * 1_000.0) as u64)
    } else {
        Err(FleetError::LateLimit(limit_ms))
    }
}

impl Prepared {
    /// Applies the options to a configuration read from these files.
    ///
    /// # Errors
    /// Options that cannot be used.
    pub fn new(options: FleetOptions, mut fleet: Fleet, files: Vec<PathBuf>) -> Result<Self, FleetError> {
        let allowed = cpus::allowed();
        let listed = options.cpus;
        let overlay = Overlay {
            bind: options.bind,
            log_dir: options.log_dir,
            performance: options.performance,
            partition: options.partition,
        };
        overlay.lay(&mut fleet);
        let shards = options.shards.map(usize::from);
        let Placement { cpus, shared } = cpus::place(shards, listed.as_deref(), &allowed, fleet.fsus.len());
        let pool = listed.as_ref().unwrap_or(&allowed).len();
        let warning = shared.then(|| {
            format!("warning: {} on {}: some share one", count(cpus.len(), "shard"), count(pool, "processor"))
        });
        let is_hashed = options.journal.is_some() || options.play.is_some();
        let config_hash = if is_hashed { config_hash(files.iter().map(|file| &**file)) } else { String::new() };
        let played = options.play.as_ref().map(|journal| journal.head.seed);
        let warning =
            warning.into_iter().chain(options.play.iter().flat_map(|journal| about_journal(journal, &config_hash)));
        let warning = warning.reduce(|one, other| format!("{one}\n{other}"));
        let plays = options.play.as_ref().map(|journal| journal.plays(&fleet)).transpose()?.unwrap_or_default();
        if let (Some(seed), Some(journal)) = (options.seed, played)
            && seed != journal
        {
            return Err(FleetError::SeedOfJournal { seed, journal });
        }
        Ok(Self {
            performance: fleet.performance.skip_delay || fleet.performance.skip_device_log,
            fleet: Arc::new(fleet),
            config: options.config,
            cpus,
            seed: options.seed.or(played).unwrap_or_else(|| fastrand::u64(..SEED_END)),
            fault_ledger: options.fault_ledger,
            message_ledger: options.message_ledger,
            driver: options.driver,
            xdp_dev: options.xdp_dev.unwrap_or_default(),
            one_socket: options.one_socket,
            late_limit_us: late_limit_us(options.late_limit_ms)?,
            tuning: Tuning { gather: Duration::from_micros(options.gather_us.into()), gso: options.gso },
            overlay,
            watched: options.watch.then_some(files),
            steer: options.steer || options.journal.is_some() || options.play.is_some(),
            journal: options.journal,
            plays,
            config_hash,
            warning,
        })
    }

    /// Checks that the logs can be written, so that a long run does not end without them.
    ///
    /// # Errors
    /// The directory that cannot be written, and why.
    pub fn claim_logs(&self) -> Result<(), FleetError> {
        let log = &self.fleet.log;
        let system = (log.level != LevelFilter::Off).then(|| log.dir.clone());
        let devices = (!self.fleet.performance.skip_device_log).then(|| log.dir.join("devices"));
        let option = if self.overlay.log_dir.is_some() { "--log-dir" } else { "log.dir" };
        for dir in [system, devices].into_iter().flatten() {
            claim_dir(&dir).map_err(|error| FleetError::Logs { option, dir, error })?;
        }
        Ok(())
    }

    /// Raises limits and checks what is missing.
    ///
    /// # Errors
    /// Everything that is missing.
    pub fn ask_machine(&self) -> Result<Room, FleetError> {
        let checked = machine::check(&self.needs_of(&self.fleet));
        let config = LoggerConfig::of(&self.fleet);
        let more = [
            pinning::missing(&self.cpus),
            machine::address_space(machine::address_bytes(self.cpus.len(), config.queue_bytes)),
        ];
        let more: Vec<Missing> = more.into_iter().flatten().collect();
        match (checked, more.is_empty()) {
            (Ok(_), false) => Err(FleetError::Lacking(more)),
            (Err(missing), _) => Err(FleetError::Lacking(missing.into_iter().chain(more).collect())),
            (Ok(room), true) => Ok(room),
        }
    }

    /// What a fleet needs from the machine.
    pub fn needs_of(&self, fleet: &Fleet) -> Needs {
        let lent = |fsu: &&Fsu| self.one_socket && fsu.transport == Transport::Udp;
        let own = fleet.fsus.iter().filter(|fsu| !lent(fsu) && fsu.listens()).count();
        // One that dials has a connection.
        let sockets = own + fleet.fsus.iter().filter(|fsu| fsu.dials().is_some()).count();
        let listeners = || fleet.fsus.iter().filter(|fsu| fsu.transport == Transport::Tcp && fsu.listens());
        let log_files = if fleet.performance.skip_device_log { 0 } else { fleet.fsus.len() };
        let udp = fleet.fsus.iter().filter(|fsu| !self.one_socket && fsu.transport == Transport::Udp);
        Needs {
            sockets: sockets as u64,
            lent: udp.count() as u64,
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
    pub fn choose_driver(&self) -> Result<Chosen, FleetError> {
        let lacking = machine::lacking_for_glommio();
        if self.driver == DriverChoice::Xdp {
            let device = xdp::look(&self.xdp_dev, self.cpus.len(), &self.fleet).map_err(FleetError::NoXdp)?;
            return Ok(Chosen::on_device(device).on_what_is_there(&lacking));
        }
        if self.one_socket {
            let missing = xdp::lacking();
            if !missing.is_empty() {
                return Err(FleetError::NoOneSocket(missing));
            }
            let chosen = Chosen::on_one_socket().on_what_is_there(&lacking);
            return if self.driver == DriverChoice::Ring { Err(FleetError::OneSocketRing) } else { Ok(chosen) };
        }
        let tcp = self.fleet.fsus.iter().filter(|fsu| fsu.transport == Transport::Tcp).count();
        match Chosen::new(self.driver, tcp > self.fleet.fsus.len() / 2, ring_missing) {
            Ok(chosen) => Ok(chosen.on_what_is_there(&lacking)),
            Err(Absent(missing)) => Err(FleetError::NoRing { missing, remedies: lacking }),
        }
    }

    /// `106 FSUs on 2 shards`
    pub fn size(&self) -> String {
        format!("{} on {}", count(self.fleet.fsus.len(), "FSU"), count(self.cpus.len(), "shard"))
    }

    /// The program, its version, and what it serves.
    pub fn heading(&self) -> String {
        let config = match &self.config {
            Origin::Embedded => "the embedded configuration".into(),
            Origin::Gallery => "the embedded gallery".into(),
            Origin::Path(path) => path.display().to_string(),
        };
        format!("fsu-mock {} serves {config}", env!("CARGO_PKG_VERSION"))
    }
}

/// Warnings where a journal was made with other files, or has what is not made again.
fn about_journal(journal: &Journal, config_hash: &str) -> impl Iterator<Item = String> {
    let path = journal.path.display();
    let is_other = journal.head.config_hash != config_hash;
    let other =
        is_other.then(|| format!("warning: --play {path}: it was made with another configuration; replies may differ"));
    let of_run = (journal.of_run > 0).then(|| {
        format!(
            "warning: --play {path}: not made again: {} or log levels; a journal has no configurations",
            count(journal.of_run, "reload")
        )
    });
    other.into_iter().chain(of_run)
}

/// Creates a directory and its parents, and checks that a file can be created in it.
///
/// # Errors
/// The system's, where it cannot.
pub fn claim_dir(dir: &Path) -> io::Result<()> {
    create_dir_all(dir)?;
    let tried = dir.join(format!(".fsu-mock.{}.tmp", std::process::id()));
    File::create(&tried)?;
    remove_file(&tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_chosen_by_what_is_missing() {
        let check_of = |asked, mostly_tcp, missing: Option<&str>, expected: Result<(DriverKind, &str), &str>| {
            let chosen = Chosen::new(asked, mostly_tcp, || missing.map(str::to_owned));
            let got = chosen.as_ref().map(|chosen| (chosen.driver, &chosen.why[..])).map_err(|why| &why.0[..]);
            assert_eq!(got, expected);
        };
        let check = |asked, missing, expected| check_of(asked, false, missing, expected);
        check_of(
            DriverChoice::Auto,
            true,
            None,
            Ok((DriverKind::Poll, "the faster one over TCP, as most FSUs are here")),
        );
        check_of(DriverChoice::Ring, true, None, Ok((DriverKind::Ring, "as asked for")));
        check(DriverChoice::Auto, None, Ok((DriverKind::Ring, "this kernel has all it needs")));
        check(DriverChoice::Auto, Some("x: y"), Ok((DriverKind::Poll, "not ring: x: y")));
        check(DriverChoice::Ring, None, Ok((DriverKind::Ring, "as asked for")));
        check(DriverChoice::Ring, Some("x: y"), Err("x: y"));
        check(DriverChoice::Poll, Some("x: y"), Ok((DriverKind::Poll, "as asked for")));
    }

    #[test]
    fn h16_plain_threads_are_taken_where_glommio_lacks_something() {
        let chosen = || Chosen::new(DriverChoice::Auto, false, || Some("x".to_owned())).unwrap();
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
    fn n18_a_directory_that_cannot_be_written_is_told_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        claim_dir(&dir.path().join("a/b")).expect("made");
        claim_dir(&dir.path().join("a/b")).expect("there");
        assert_eq!(std::fs::read_dir(dir.path().join("a/b")).expect("a directory").count(), 0);
        std::fs::write(dir.path().join("file"), "").expect("written");
        for path in ["file", "file/below"] {
            assert!(claim_dir(&dir.path().join(path)).is_err(), "{path}");
        }
        assert!(claim_dir(Path::new("/proc/none")).is_err());
    }
}
