//! The shards of a run: started together, watched, ended together.

use super::prepare::Prepared;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, unbounded};
use fsu_core::responder::RunContext;
use fsu_core::responder::about::About;
use fsu_core::responder::state::Counters;
use fsu_net::bind::Bound;
use fsu_plan::model::fault::{FaultKind, Place};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::reload::Fate;
use fsu_serve::log::LoggerHandle;
use fsu_serve::shard::late::Late;
use fsu_serve::shard::serve::DRAIN_MS;
use fsu_serve::shard::tap::{Kind, Tap};
use fsu_serve::shard::tide::Tide;
use fsu_serve::shard::{DriverKind, Executor, Handle, Own, ShardError, ShardSpec, Swap, Tuning, spawn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A shard that does not answer within this time after its start has failed.
const START_MAX: Duration = Duration::from_secs(30);
/// While a shard's answer is waited for, it is looked this often whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// A shard that has not ended so long after the drain time is given up.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// What a shard gets in order to start, without its sockets.
#[derive(Clone, Debug)]
struct Common {
    executor: Executor,
    driver: DriverKind,
    fleet: Arc<Fleet>,
    run: RunContext,
    own: Arc<Own>,
    tide: Arc<Tide>,
    tuning: Tuning,
}

/// Running shards.
#[derive(Debug)]
pub struct Crew {
    /// By shard number.
    handles: Vec<Handle>,
    /// By shard number: it has ended.
    ended: Arc<[AtomicBool]>,
    /// Gets the number of each shard when it ends.
    ends: Receiver<usize>,
}

/// What the shards left.
#[derive(Debug)]
pub struct Finished {
    /// By FSU number; zeros where a shard could not tell.
    pub counters: Vec<Counters>,
    /// By shard: how late its replies were; nothing where it could not tell.
    pub late: Vec<Late>,
    /// What went wrong, one shard after the other.
    pub errors: Vec<String>,
    /// Something of it is a defect of this program: not the system's refusal.
    pub is_defect: bool,
}

/// The device log's end of a shard, which tells when the shard lets go of it: at its end, whatever ended it.
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
        // Nobody listens any more only where the program ends anyway.
        let _ = self.ends.send(self.shard);
    }
}

impl<T: Tap> Tap for Watched<T> {
    #[inline]
    fn is_on(&self) -> bool {
        self.tap.is_on()
    }

    #[inline]
    fn record(&mut self, kind: Kind, fsu: u32, peer: SocketAddr, unix_ms: i64, abouts: &[About], bytes: &[u8]) -> bool {
        self.tap.record(kind, fsu, peer, unix_ms, abouts, bytes)
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        self.tap.fault(fsu, unix_ms, kind, place)
    }

    fn reload(&mut self, epoch: u32, fates: &[Fate], fsu_count: usize) {
        self.tap.reload(epoch, fates, fsu_count);
    }
}

impl Crew {
    /// Starts a shard on each processor and waits until all of them run. FSUs are dealt out one by one.
    ///
    /// # Errors
    /// Why a shard does not start; the others are stopped again.
    pub fn start(
        prepared: &Prepared,
        (executor, driver): (Executor, DriverKind),
        logger: &LoggerHandle,
        bound: Vec<Bound>,
        run: RunContext,
        own: Own,
    ) -> Result<Self, String> {
        let (fleet, own) = (prepared.fleet.clone(), Arc::new(own));
        let common = Common { executor, driver, fleet, run, own, tide: Arc::default(), tuning: prepared.tuning };
        let fsus = bound.len();
        Self::start_with(&common, &prepared.cpus, bound, |shard| logger.tap(shard, fsus))
    }

    fn start_with<T: Tap + Send + 'static>(
        common: &Common,
        cpus: &[usize],
        bound: Vec<Bound>,
        tap: impl Fn(usize) -> T,
    ) -> Result<Self, String> {
        let mut hands: Vec<Vec<(usize, Bound)>> = cpus.iter().map(|_| Vec::new()).collect();
        let fsus = bound.len();
        for (fsu, bound) in bound.into_iter().enumerate() {
            hands[fsu % cpus.len()].push((fsu, bound));
        }
        // One message a shard.
        let (sender, ends) = unbounded();
        let ended: Arc<[AtomicBool]> = cpus.iter().map(|_| AtomicBool::new(false)).collect();
        let mut crew = Self { handles: Vec::with_capacity(cpus.len()), ended: ended.clone(), ends };
        for (index, (fsus, &cpu)) in hands.into_iter().zip(cpus).enumerate() {
            let tap = Watched { tap: tap(index), shard: index, ended: ended.clone(), ends: sender.clone() };
            let Common { executor, driver, fleet, run, own, tide, tuning } = common.clone();
            match spawn(ShardSpec { index, cpu: Some(cpu), executor, driver, fleet, fsus, run, tap, own, tide, tuning })
            {
                Ok(handle) => crew.handles.push(handle),
                Err(error) => return Err(crew.abandon(&error)),
            }
        }
        match crew.wait_until_running() {
            Ok(()) => Ok(crew),
            Err(text) => {
                let errors = crew.stop(fsus).errors;
                Err(if errors.is_empty() { text } else { errors.join("\n") })
            }
        }
    }

    /// Ends those that have started, because one could not.
    fn abandon(self, error: &ShardError) -> String {
        for handle in self.handles {
            handle.stop();
        }
        error.to_string()
    }

    /// Every shard answers a question: its executor runs and its driver serves.
    fn wait_until_running(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        let answers: Vec<_> = self.handles.iter().map(Handle::counters).collect();
        for (shard, answer) in answers.iter().enumerate() {
            select! {
                recv(answer) -> answer => answer.map_err(|_| format!("shard {shard}: ended at its start"))?,
                recv(self.ends) -> shard => {
                    return Err(format!("shard {}: ended at its start", shard.unwrap_or_default()));
                }
                default(deadline.saturating_duration_since(Instant::now())) => {
                    return Err(format!("shard {shard}: does not run {} s after its start", START_MAX.as_secs()));
                }
            };
        }
        Ok(())
    }

    /// Gives each shard sockets for the next [`Crew::swap`]: all of them or none.
    ///
    /// # Errors
    /// Why a shard could not take them over; none has then.
    pub fn stage(&self, sockets: Vec<Vec<Bound>>) -> Result<(), String> {
        let answers = self.handles.iter().zip(sockets).map(|(handle, sockets)| handle.stage(sockets)).collect();
        let staged = self.answers(answers).and_then(|staged| {
            let failed = staged.into_iter().enumerate().find_map(|(shard, staged)| Some((shard, staged.err()?)));
            failed.map_or(Ok(()), |(shard, error)| Err(format!("shard {shard}: a socket cannot be watched: {error}")))
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

    /// Tells each shard what it serves from now on; the counters of those that are gone.
    ///
    /// # Errors
    /// A shard has ended, or does not answer.
    pub fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Counters>, String> {
        let answers = self.handles.iter().zip(swaps).map(|(handle, swap)| handle.swap(swap)).collect();
        Ok(self.answers(answers)?.into_iter().flatten().collect())
    }

    /// Waits for what each shard says; one that has ended is not waited for, though its question may lie there unseen.
    fn answers<A>(&self, answers: Vec<Receiver<A>>) -> Result<Vec<A>, String> {
        let deadline = Instant::now() + START_MAX;
        let has_ended = |shard: usize| self.ended.get(shard).is_some_and(|ended| ended.load(Ordering::Acquire));
        let wait = |(shard, answer): (usize, Receiver<A>)| loop {
            // Looked at first: whatever it said, it said before.
            let is_last = has_ended(shard) || Instant::now() >= deadline;
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) if !is_last => {}
                Err(_) if has_ended(shard) => return Err(format!("shard {shard} has ended")),
                Err(error) => return Err(format!("shard {shard} does not answer: {error}")),
            }
        };
        answers.into_iter().enumerate().map(wait).collect()
    }

    /// Gets the number of each shard that has ended.
    pub fn ends(&self) -> &Receiver<usize> {
        &self.ends
    }

    /// Stops reading, sends what is due, and waits for the end of all shards.
    pub fn stop(self, fsus: usize) -> Finished {
        for handle in &self.handles {
            handle.drain();
        }
        let mut counters = vec![Counters::default(); fsus];
        let mut late = vec![Late::default(); self.handles.len()];
        let (mut errors, mut is_defect) = (Vec::new(), false);
        let running = self.wait_until_ended();
        for (shard, handle) in self.handles.into_iter().enumerate() {
            if running.contains(&shard) {
                errors.push(format!("shard {shard}: has not ended {DRAIN_MS} ms and more after it was told to"));
                is_defect = true;
                continue;
            }
            match handle.join() {
                Ok(left) => {
                    late[shard] = left.late;
                    for (fsu, own) in left.counters {
                        if let Some(place) = counters.get_mut(fsu) {
                            *place = own;
                        }
                    }
                }
                Err(error) => {
                    is_defect |= !matches!(error, ShardError::System { .. });
                    errors.push(error.to_string());
                }
            }
        }
        Finished { counters, late, errors, is_defect }
    }

    /// Those that have not ended in time.
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
    use crate::sockets::{Sockets, bind};
    use crate::stats::tests::fleet;
    use std::net::UdpSocket;

    /// Fails at its first record.
    struct Failing;

    impl Tap for Failing {
        fn is_on(&self) -> bool {
            true
        }

        fn record(&mut self, _: Kind, _: u32, _: SocketAddr, _: i64, _: &[About], _: &[u8]) -> bool {
            panic!("on purpose")
        }
    }

    /// Three FSUs on two shards, and where they listen.
    fn crew() -> (Crew, Vec<SocketAddr>) {
        let fleet = Arc::new(fleet());
        let Sockets { bound, addresses, .. } = bind(&fleet).expect("free ports");
        let (run, own) = (RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 }, Arc::default());
        let tuning = Tuning { gather: Duration::ZERO, gso: true };
        let (executor, driver) = (Executor::Glommio, DriverKind::Poll);
        let common = Common { executor, driver, fleet, run, own, tide: Arc::default(), tuning };
        let cpu = crate::cpus::allowed()[0];
        (Crew::start_with(&common, &[cpu, cpu], bound, |_| Failing).expect("started"), addresses)
    }

    #[test]
    fn shards_end_when_they_are_told_to() {
        let (crew, _) = crew();
        assert!(crew.ends().is_empty());
        let finished = crew.stop(3);
        assert_eq!(finished.counters.len(), 3);
        assert_eq!(finished.errors, [""; 0]);
    }

    #[test]
    fn hk_a_shard_that_dies_with_a_question_unseen_is_not_waited_for() {
        let (crew, addresses) = crew();
        let centre = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        centre.send_to(b"anything", addresses[0]).expect("sent");
        // Whether it is asked before or after it died.
        while crew.stage(vec![Vec::new(), Vec::new()]).is_ok() {}
        let told = crew.stage(vec![Vec::new(), Vec::new()]).expect_err("it has died");
        assert_eq!(told, "shard 0 has ended");
        crew.stop(3);
    }

    #[test]
    fn a_shard_that_dies_is_noticed_and_the_others_end_well() {
        let (crew, addresses) = crew();
        let centre = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        centre.send_to(b"anything", addresses[0]).expect("sent");
        let died = crew.ends().recv_timeout(START_MAX);
        assert_eq!(died, Ok(0));
        let finished = crew.stop(3);
        assert_eq!((finished.errors.len(), finished.is_defect), (1, true), "{:?}", finished.errors);
        assert!(finished.errors[0].contains("shard 0"), "{:?}", finished.errors);
    }
}
