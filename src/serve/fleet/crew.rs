//! The shards of a run: started together, watched, ended together.

use super::prepare::{Chosen, Prepared};
use crate::devlog::LoggerHandle;
use crate::driver::handle::Line;
use crate::driver::one::Shared;
use crate::driver::port::Queue;
use crate::driver::{DriverKind, Executor, Handle, ShardError, ShardFigures, ShardSpec, Tuning, WayCounts, spawn};
use crate::shard::accounts::Accounts;
use crate::shard::late::Late;
use crate::shard::recorder::{Recorder, Traffic};
use crate::shard::serve::DRAIN_MS;
use crate::shard::steer::SteerSpec;
use crate::shard::steer::listen::Listener;
use crate::shard::tide::Tide;
use crate::shard::{Own, Swap};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, unbounded};
use fsu_core::answer::talk::Happened;
use fsu_core::moment::RunContext;
use fsu_core::state::Counters;
use fsu_net::bind::Bound;
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::reload::Fate;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time within which a shard must answer after its start.
const START_MAX: Duration = Duration::from_secs(30);
/// How often to check whether a shard has ended while waiting for its answer.
const LOOK: Duration = Duration::from_millis(50);
/// Grace after the drain time; then a running shard is abandoned.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// What keeps shards from starting, or what went wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// One shard's own error.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A shard ended before it served.
    #[error("shard {0}: ended at its start")]
    EndedAtStart(usize),
    /// A shard does not answer after its start.
    #[error("shard {shard}: does not run {} s after its start", START_MAX.as_secs())]
    NotRunning {
        /// The shard.
        shard: usize,
    },
    /// Several of them.
    #[error("{}", joined(.0))]
    Several(Vec<CrewError>),
    /// A new socket could not be taken over.
    #[error("shard {shard}: a socket cannot be watched: {error}")]
    Watch {
        /// The shard.
        shard: usize,
        /// The system's error.
        error: io::Error,
    },
    /// A shard ended before it answered.
    #[error("shard {0} has ended")]
    Ended(usize),
    /// A shard does not answer.
    #[error("shard {shard} does not answer: {error}")]
    Silent {
        /// The shard.
        shard: usize,
        /// The channel's error.
        error: RecvTimeoutError,
    },
    /// A shard did not end when asked to.
    #[error("shard {0}: has not ended {DRAIN_MS} ms and more after it was told to")]
    NotEnded(usize),
    /// The run ended without a request.
    #[error("unasked: {0}")]
    Unasked(super::run::EndedBy),
}

impl CrewError {
    /// A defect of this program, not the system's refusal.
    pub fn is_defect(&self) -> bool {
        match self {
            Self::Shard(error) => !matches!(error, ShardError::System { .. }),
            Self::Several(errors) => errors.iter().any(Self::is_defect),
            Self::NotEnded(_) | Self::Unasked(_) => true,
            _ => false,
        }
    }
}

fn joined(errors: &[CrewError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What a shard needs to start, without its sockets.
#[derive(Clone, Debug)]
struct Common {
    executor: Executor,
    driver: DriverKind,
    fleet: Arc<Fleet>,
    run: RunContext,
    own: Arc<Own>,
    tide: Arc<Tide>,
    tuning: Tuning,
    steer: Option<SteerSpec>,
}

/// Ways beside the FSUs' own sockets: one for each shard, or none.
#[derive(Debug, Default)]
pub struct Ways {
    /// Queues of a network device.
    pub queues: Vec<Queue>,
    /// Sockets for all udp FSUs of a shard.
    pub shared: Vec<Shared>,
}

/// Running shards.
#[derive(Debug)]
pub struct Crew {
    /// By shard number.
    handles: Vec<Handle>,
    /// By shard number: it has ended.
    ended: Arc<[AtomicBool]>,
    /// Receives the number of each shard that ends.
    ends: Receiver<usize>,
}

/// What the shards returned.
#[derive(Debug)]
pub struct Finished {
    /// By FSU number; zeros if a shard could not report.
    pub counters: Vec<Counters>,
    /// By shard: lateness of its replies; empty if it could not report.
    pub late: Vec<Late>,
    /// What has become of messages, of all shards.
    pub accounts: Accounts,
    /// By shard: what it counted of other ways than sockets.
    pub ways: Vec<WayCounts>,
    /// What went wrong, one shard after the other.
    pub errors: Vec<CrewError>,
}

/// A shard's device-log tap that reports when the shard drops it, however the shard ended.
#[derive(Debug)]
struct Watched<T> {
    tap: T,
    shard: usize,
    ended: Arc<[AtomicBool]>,
    ends: Sender<usize>,
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.get(self.shard) {
            ended.store(true, Ordering::Release);
        }
        // The receiver is gone only when the program is ending.
        let _ = self.ends.send(self.shard);
    }
}

impl<T: Recorder> Recorder for Watched<T> {
    #[inline]
    fn is_on(&self) -> bool {
        self.tap.is_on()
    }

    #[inline]
    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        self.tap.record(traffic)
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        self.tap.fault(fsu, unix_ms, kind, place)
    }

    fn message(&mut self, fsu: u32, unix_ms: i64, happened: &Happened) -> bool {
        self.tap.message(fsu, unix_ms, happened)
    }

    fn wants_keys(&self) -> bool {
        self.tap.wants_keys()
    }

    fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        self.tap.reload(epoch, fates, fsu_count);
    }

    fn filled(&self) -> Option<(usize, usize)> {
        self.tap.filled()
    }
}

impl Crew {
    /// Starts a shard on each processor and waits until all of them run. FSUs are assigned round robin.
    ///
    /// # Errors
    /// Why a shard does not start; the others are stopped again.
    pub fn start(
        prepared: &Prepared,
        chosen: &Chosen,
        logger: &LoggerHandle,
        (bound, ways): (Vec<Bound>, Ways),
        ((run, own), steer): ((RunContext, Own), Option<SteerSpec>),
    ) -> Result<Self, CrewError> {
        let (fleet, own) = (prepared.fleet.clone(), Arc::new(own));
        let (executor, driver) = (chosen.executor, chosen.driver);
        let (tide, tuning) = (Arc::default(), prepared.tuning);
        let common = Common { executor, driver, fleet, run, own, tide, tuning, steer };
        let fsus = bound.len();
        Self::start_with(&common, &prepared.cpus, (bound, ways), |shard| logger.tap(shard, fsus))
    }

    fn start_with<T: Recorder + Send + 'static>(
        common: &Common,
        cpus: &[usize],
        (bound, ways): (Vec<Bound>, Ways),
        tap: impl Fn(usize) -> T,
    ) -> Result<Self, CrewError> {
        let mut hands: Vec<Vec<(usize, Bound)>> = cpus.iter().map(|_| Vec::new()).collect();
        let fsus = bound.len();
        for (fsu, bound) in bound.into_iter().enumerate() {
            hands[fsu % cpus.len()].push((fsu, bound));
        }
        // One message per shard.
        let (sender, ends) = unbounded();
        let ended: Arc<[AtomicBool]> = cpus.iter().map(|_| AtomicBool::new(false)).collect();
        let mut crew = Self { handles: Vec::with_capacity(cpus.len()), ended: ended.clone(), ends };
        let (mut queues, mut shared) = (ways.queues.into_iter(), ways.shared.into_iter());
        for (index, (fsus, &cpu)) in hands.into_iter().zip(cpus).enumerate() {
            let tap =
                Listener::new(Watched { tap: tap(index), shard: index, ended: ended.clone(), ends: sender.clone() });
            let Common { executor, driver, fleet, run, own, tide, tuning, steer } = common.clone();
            let (cpu, queue, shared) = (Some(cpu), queues.next(), shared.next());
            match spawn(ShardSpec {
                index,
                cpu,
                executor,
                driver,
                fleet,
                fsus,
                run,
                tap,
                own,
                tide,
                tuning,
                queue,
                shared,
                steer,
            }) {
                Ok(handle) => crew.handles.push(handle),
                Err(error) => {
                    crew.abandon();
                    return Err(error.into());
                }
            }
        }
        match crew.wait_until_running() {
            Ok(()) => Ok(crew),
            Err(error) => {
                let errors = crew.stop(fsus).errors;
                Err(if errors.is_empty() { error } else { CrewError::Several(errors) })
            }
        }
    }

    /// Stops the shards that have started, because one could not.
    fn abandon(self) {
        self.handles.iter().for_each(Handle::stop);
    }

    /// Waits until every shard answers a command: its executor runs and its driver serves.
    fn wait_until_running(&self) -> Result<(), CrewError> {
        let deadline = Instant::now() + START_MAX;
        let answers: Vec<_> = self.handles.iter().map(Handle::counters).collect();
        for (shard, answer) in answers.iter().enumerate() {
            select! {
                recv(answer) -> answer => answer.map_err(|_| CrewError::EndedAtStart(shard))?,
                recv(self.ends) -> shard => {
                    return Err(CrewError::EndedAtStart(shard.unwrap_or_default()));
                }
                default(deadline.saturating_duration_since(Instant::now())) => {
                    return Err(CrewError::NotRunning { shard });
                }
            };
        }
        Ok(())
    }

    /// Gives each shard sockets for the next [`Crew::swap`]: all of them or none.
    ///
    /// # Errors
    /// Why a shard could not take them over; none has then.
    pub fn stage(&self, sockets: Vec<Vec<Bound>>) -> Result<(), CrewError> {
        let answers = self.handles.iter().zip(sockets).map(|(handle, sockets)| handle.stage(sockets)).collect();
        let staged = self.answers(answers).and_then(|staged| {
            let failed = staged.into_iter().enumerate().find_map(|(shard, staged)| Some((shard, staged.err()?)));
            failed.map_or(Ok(()), |(shard, error)| Err(CrewError::Watch { shard, error }))
        });
        if staged.is_err() {
            self.unstage();
        }
        staged
    }

    /// Closes them again.
    pub fn unstage(&self) {
        self.handles.iter().for_each(Handle::unstage);
    }

    /// Makes each shard serve the next fleet; returns the counters of the FSUs that are gone.
    ///
    /// # Errors
    /// A shard has ended, or does not answer.
    pub fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Counters>, CrewError> {
        let answers = self.handles.iter().zip(swaps).map(|(handle, swap)| handle.swap(swap)).collect();
        Ok(self.answers(answers)?.into_iter().flatten().collect())
    }

    /// Waits for every shard's answer. One that has ended is not waited for, even if the command is still in its queue.
    fn answers<A>(&self, answers: Vec<Receiver<A>>) -> Result<Vec<A>, CrewError> {
        let deadline = Instant::now() + START_MAX;
        let has_ended = |shard: usize| self.ended.get(shard).is_some_and(|ended| ended.load(Ordering::Acquire));
        let wait = |(shard, answer): (usize, Receiver<A>)| loop {
            // Checked before receiving: an answer was sent before the end.
            let is_last = has_ended(shard) || Instant::now() >= deadline;
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) if !is_last => {}
                Err(_) if has_ended(shard) => return Err(CrewError::Ended(shard)),
                Err(error) => return Err(CrewError::Silent { shard, error }),
            }
        };
        answers.into_iter().enumerate().map(wait).collect()
    }

    /// The counters of each shard so far, by its number.
    ///
    /// # Errors
    /// A shard has ended, or does not answer.
    pub fn figures(&self) -> Result<Vec<ShardFigures>, CrewError> {
        self.answers(self.handles.iter().map(Handle::figures).collect())
    }

    /// Ways to its shards for whoever steers the run.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.handles.iter().map(Handle::line).collect()
    }

    /// Receives the number of each shard that has ended.
    pub fn ends(&self) -> &Receiver<usize> {
        &self.ends
    }

    /// Stops reading, sends what is due, and waits for the end of all shards.
    pub fn stop(&mut self, fsus: usize) -> Finished {
        for handle in &self.handles {
            handle.drain();
        }
        let mut counters = vec![Counters::default(); fsus];
        let mut late = vec![Late::default(); self.handles.len()];
        let mut ways = vec![WayCounts::default(); self.handles.len()];
        let mut accounts = Accounts::default();
        let mut errors = Vec::new();
        let running = self.wait_until_ended();
        for (shard, handle) in std::mem::take(&mut self.handles).into_iter().enumerate() {
            if running.contains(&shard) {
                errors.push(CrewError::NotEnded(shard));
                continue;
            }
            match handle.join() {
                Ok(left) => {
                    (late[shard], ways[shard]) = (left.late, left.ways);
                    accounts.merge(&left.accounts);
                    for (fsu, own) in left.counters {
                        if let Some(place) = counters.get_mut(fsu) {
                            *place = own;
                        }
                    }
                }
                Err(error) => errors.push(error.into()),
            }
        }
        Finished { counters, late, accounts, ways, errors }
    }

    /// Shards that have not ended in time.
    fn wait_until_ended(&self) -> Vec<usize> {
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS) + STOP_MARGIN;
        loop {
            let ended = self.ended.iter().map(|ended| ended.load(Ordering::Acquire)).enumerate();
            let running: Vec<usize> =
                ended.filter(|&(shard, ended)| !ended && shard < self.handles.len()).map(|(shard, _)| shard).collect();
            if running.is_empty() || self.ends.recv_deadline(deadline).is_err() {
                return running;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::fleet;
    use crate::fleet::sockets::{Sockets, bind};
    use std::net::{SocketAddr, UdpSocket};

    /// Fails at its first record.
    struct Failing;

    impl Recorder for Failing {
        fn is_on(&self) -> bool {
            true
        }

        fn record(&mut self, _: Traffic<'_>) -> bool {
            panic!("on purpose")
        }

        fn message(&mut self, _: u32, _: i64, _: &Happened) -> bool {
            true
        }
    }

    /// Three FSUs on two shards, and where they listen.
    fn crew() -> (Crew, Vec<SocketAddr>) {
        let fleet = Arc::new(fleet());
        let Sockets { bound, addresses, .. } = bind(&fleet).expect("free ports");
        let (run, own) = (RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 }, Arc::default());
        let tuning = Tuning { gather: Duration::ZERO, gso: true };
        let (executor, driver) = (Executor::Glommio, DriverKind::Poll);
        let common = Common { executor, driver, fleet, run, own, tide: Arc::default(), tuning, steer: None };
        let cpu = crate::fleet::cpus::allowed()[0];
        (Crew::start_with(&common, &[cpu, cpu], (bound, Ways::default()), |_| Failing).expect("started"), addresses)
    }

    #[test]
    fn shards_end_when_they_are_told_to() {
        let (mut crew, _) = crew();
        assert!(crew.ends().is_empty());
        let finished = crew.stop(3);
        assert_eq!(finished.counters.len(), 3);
        assert!(finished.errors.is_empty(), "{:?}", finished.errors);
    }

    #[test]
    fn hk_a_shard_that_dies_with_a_question_unseen_is_not_waited_for() {
        let (mut crew, addresses) = crew();
        let centre = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        centre.send_to(b"anything", addresses[0]).expect("sent");
        // Whether it is asked before or after it died.
        while crew.stage(vec![Vec::new(), Vec::new()]).is_ok() {}
        let told = crew.stage(vec![Vec::new(), Vec::new()]).expect_err("it has died");
        assert_eq!(told.to_string(), "shard 0 has ended");
        crew.stop(3);
    }

    #[test]
    fn a_shard_that_dies_is_noticed_and_the_others_end_well() {
        let (mut crew, addresses) = crew();
        let centre = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        centre.send_to(b"anything", addresses[0]).expect("sent");
        let died = crew.ends().recv_timeout(START_MAX);
        assert_eq!(died, Ok(0));
        let finished = crew.stop(3);
        let errors: Vec<(String, bool)> =
            finished.errors.iter().map(|error| (error.to_string(), error.is_defect())).collect();
        assert!(matches!(&errors[..], [(text, true)] if text.contains("shard 0")), "{errors:?}");
    }
}
