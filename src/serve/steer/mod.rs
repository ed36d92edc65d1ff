//! A running fleet, watched and steered from other threads (docs/internals/architecture.md).
//!
//! [`Steering`] asks shards through their commands, a bounded channel each, and gets answers that a runtime can wait for. It never
//! shares anything with a shard but the plan. [`View`]: what is served. [`journal`]: changes as they were made, and made again.

mod call;
pub mod journal;
mod view;

use crate::driver::handle::Line;
use crate::shard::accounts::Accounts;
use crate::shard::steer::ask::{Ask, Of, Task};
use flume::{Receiver, Sender};
use fsu_plan::model::fleet::Fleet;
use log::LevelFilter;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use crate::shard::steer::Happening;
pub use crate::shard::steer::armed::Armed;
pub use crate::shard::steer::ask::{NoAnswer, PAGE_MAX, ShardNow};
pub use crate::shard::steer::change::{Change, Changed, NotChanged, TTL_S_MAX};
pub use crate::shard::steer::detail::{CommandNow, DeviceNow, FsuDetail, MessageNow, UnansweredNow};
pub use crate::shard::steer::listen::{CommandCounts, Unanswered};
pub use crate::shard::steer::now::FsuNow;
pub use crate::shard::steer::replies::Replies;
pub use crate::shard::steer::ring::Exchange;
pub use call::faults_body;
pub use view::{About, View};

/// What happens and was not received yet; more is lost.
const HAPPENINGS_MAX: usize = 1_024;
/// Requests to the run that may wait.
const REQUESTS_MAX: usize = 8;

/// Where shards and the run tell of what happens.
pub(crate) fn happenings() -> (Sender<Happening>, Receiver<Happening>) {
    flume::bounded(HAPPENINGS_MAX)
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteerError {
    /// A shard has ended.
    #[error("shard {0} has ended")]
    Ended(usize),
    /// A shard has no answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// No FSU has that number.
    #[error("no such FSU")]
    NoFsu,
}

/// What the thread that owns the run is asked.
#[derive(Debug)]
pub enum Request {
    /// Read the configuration again; what came of it.
    Reload(Sender<Result<String, ReloadRefused>>),
    /// What the system log takes from now on.
    LogLevel(LevelFilter),
}

/// Why another configuration is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReloadRefused {
    /// What the system log says.
    pub message: String,
    /// Errors and warnings of the configuration, a line each.
    pub diagnostics: Vec<String>,
}

/// What is counted but by FSUs.
#[derive(Clone, Debug)]
pub struct Figures {
    /// By shard.
    pub shards: Vec<ShardNow>,
    /// What has become of messages, of all shards.
    pub accounts: Accounts,
}

/// Asks and steers a running fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Steering(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Vec<Line>,
    view: RwLock<Arc<View>>,
    requests: crossbeam_channel::Sender<Request>,
    /// By shard: the plan that it got a copy of last, if any.
    copied: Mutex<Vec<Option<u32>>>,
    events: Receiver<Happening>,
    happenings: Sender<Happening>,
}

impl Steering {
    /// Of these shards, which serve that; and where its requests arrive.
    pub(crate) fn new(
        lines: Vec<Line>,
        view: View,
        (happenings, events): (Sender<Happening>, Receiver<Happening>),
    ) -> (Self, crossbeam_channel::Receiver<Request>) {
        let (requests, receiver) = crossbeam_channel::bounded(REQUESTS_MAX);
        let copied = Mutex::new(vec![None; lines.len()]);
        (
            Self(Arc::new(Inner { lines, view: RwLock::new(Arc::new(view)), requests, copied, events, happenings })),
            receiver,
        )
    }

    /// What is served now. A reload replaces it.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.0.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something else is served from now on.
    pub(crate) fn show(&self, change: impl FnOnce(&View) -> View) {
        let mut place = self.0.view.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(change(&place));
    }

    /// What these FSUs of a view do now, in the order of their shards. Each shard is asked for at most [`PAGE_MAX`] at once, and again
    /// when it has answered.
    ///
    /// # Errors
    /// A shard has ended, or a reload has replaced the view.
    pub async fn page(&self, view: &View, fsus: &[u32]) -> Result<Vec<FsuNow>, SteerError> {
        let mut by_shard = view.by_shard(fsus.iter().copied());
        let mut out = Vec::with_capacity(fsus.len());
        while by_shard.iter().any(|fsus| !fsus.is_empty()) {
            let mut answers = Vec::new();
            for (shard, fsus) in by_shard.iter_mut().enumerate().filter(|(_, fsus)| !fsus.is_empty()) {
                let rest = fsus.split_off(fsus.len().min(PAGE_MAX));
                let what = std::mem::replace(fsus, rest);
                let of = Of { epoch: view.epoch, what };
                answers.push((shard, self.ask(shard, |answer| Ask::Page(of, answer)).await?));
            }
            for (shard, answer) in answers {
                out.extend(answered(shard, answer).await??);
            }
        }
        Ok(out)
    }

    /// What the shards have counted, without counters by FSU.
    ///
    /// # Errors
    /// A shard has ended.
    pub async fn figures(&self) -> Result<Figures, SteerError> {
        let mut answers = Vec::new();
        for shard in 0..self.0.lines.len() {
            answers.push(self.ask(shard, Ask::Figures).await?);
        }
        let mut shards = Vec::with_capacity(answers.len());
        for (shard, answer) in answers.into_iter().enumerate() {
            shards.push(answered(shard, answer).await?);
        }
        Ok(Figures { shards, accounts: self.accounts().await? })
    }

    /// What has become of messages. Each shard is asked for a few accounts at once, and again when it has answered.
    async fn accounts(&self) -> Result<Accounts, SteerError> {
        let mut all = Accounts::default();
        for shard in 0..self.0.lines.len() {
            let (mut of_shard, mut next) = (Accounts::default(), 0);
            loop {
                let answer = self.ask(shard, |answer| Ask::Accounts(next, answer)).await?;
                let (some, many) = answered(shard, answer).await?;
                let count = some.len();
                (next..).zip(some).for_each(|(number, tally)| of_shard.put(number, tally));
                next += count;
                if count == 0 || next >= many {
                    break;
                }
            }
            all.merge(&of_shard);
        }
        Ok(all)
    }

    /// All that is known of an FSU of a view.
    ///
    /// # Errors
    /// There is no such FSU, its shard has ended, or a reload has replaced the view.
    pub async fn detail(&self, view: &View, fsu: u32) -> Result<FsuDetail, SteerError> {
        let shard = usize::from(view.shards.get(fsu as usize).copied().ok_or(SteerError::NoFsu)?);
        let of = Of { epoch: view.epoch, what: fsu };
        let answer = self.ask(shard, |answer| Ask::Detail(of, answer)).await?;
        let detail = answered(shard, answer).await??;
        detail.map(|detail| *detail).ok_or(SteerError::NoFsu)
    }

    /// The last requests without a reply, the newest first: that many of each shard at most.
    ///
    /// # Errors
    /// A shard has ended, or a reload has replaced the view.
    pub async fn unanswered(&self, view: &View, n: usize) -> Result<UnansweredNow, SteerError> {
        let mut out = UnansweredNow::default();
        for shard in 0..self.0.lines.len() {
            let of = Of { epoch: view.epoch, what: n };
            let answer = self.ask(shard, |answer| Ask::Unanswered(of, answer)).await?;
            let more = answered(shard, answer).await??;
            out.last.extend(more.last);
            out.total += more.total;
        }
        out.last.sort_by_key(|one| std::cmp::Reverse(one.exchange.unix_ms));
        Ok(out)
    }

    /// What happens from now on. Each is received once, whoever receives; what nobody receives in time is lost.
    pub fn events(&self) -> Receiver<Happening> {
        self.0.events.clone()
    }

    /// Changes these FSUs of a view. A trigger is answered when all of them have been looked at, and said after that.
    ///
    /// # Errors
    /// A shard has ended or takes no more changes, or a reload has replaced the view. Other shards may have made the change.
    pub async fn change(&self, view: &View, fsus: &[u32], change: &Change) -> Result<Vec<Changed>, SteerError> {
        let (change, of) = (Arc::new(change.clone()), fsus.len() as u32);
        let mut by_shard: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.0.lines.len()];
        for (place, &fsu) in (0..).zip(fsus) {
            let shard = view.shards.get(fsu as usize).copied().ok_or(SteerError::NoFsu)?;
            by_shard[usize::from(shard)].push((fsu, place));
        }
        let mut answers = Vec::new();
        for (shard, fsus) in by_shard.into_iter().enumerate().filter(|(_, fsus)| !fsus.is_empty()) {
            let copy = self.copy_for(shard, view, &change);
            let what = Task { change: Arc::clone(&change), fsus, of, copy };
            let of = Of { epoch: view.epoch, what };
            answers.push((shard, self.ask(shard, |answer| Ask::Change(of, answer)).await?));
        }
        let mut out = Vec::with_capacity(fsus.len());
        for (shard, answer) in answers {
            out.extend(answered(shard, answer).await??);
        }
        self.tell(Happening::Change { call: change.name(), matched: fsus.len() });
        Ok(out)
    }

    /// Reports an event.
    pub(crate) fn tell(&self, happening: Happening) {
        let _ = self.0.happenings.try_send(happening);
    }

    /// A copy of the plan for a shard whose FSUs' faults change, the first time. A shard would take too long to make it.
    fn copy_for(&self, shard: usize, view: &View, change: &Change) -> Option<Arc<Fleet>> {
        let mut copied = self.0.copied.lock().unwrap_or_else(PoisonError::into_inner);
        let place = copied.get_mut(shard).filter(|_| matches!(change, Change::Faults { .. }))?;
        (place.replace(view.epoch) != Some(view.epoch)).then(|| Arc::new(Fleet::clone(&view.fleet)))
    }

    /// Reads the configuration again, as SIGHUP does, and waits for what comes of it.
    ///
    /// # Errors
    /// Why it is not served.
    pub async fn reload(&self) -> Result<String, ReloadRefused> {
        let (answer, receiver) = flume::bounded(1);
        let refused = |message: &str| ReloadRefused { message: message.to_owned(), diagnostics: Vec::new() };
        self.0
            .requests
            .try_send(Request::Reload(answer))
            .map_err(|_| refused("too many requests wait, or the run ends"))?;
        receiver.recv_async().await.unwrap_or_else(|_| Err(refused("the run is ending")))
    }

    /// Sets what the system log takes from now on, until a reload sets what the configuration says.
    ///
    /// # Errors
    /// Too many requests wait, as while a reload does, or the run ends.
    pub fn set_log_level(&self, level: LevelFilter) -> Result<(), SteerError> {
        self.0.requests.try_send(Request::LogLevel(level)).map_err(|_| SteerError::NoAnswer(NoAnswer::Busy))
    }

    async fn ask<A>(&self, shard: usize, ask: impl FnOnce(Sender<A>) -> Ask) -> Result<Receiver<A>, SteerError> {
        let (answer, receiver) = flume::bounded(1);
        let line = self.0.lines.get(shard).ok_or(SteerError::Ended(shard))?;
        if line.ask(ask(answer)).await { Ok(receiver) } else { Err(SteerError::Ended(shard)) }
    }
}

/// A shard's answer. One that has ended gives none: its commands are dropped with their channels.
async fn answered<A>(shard: usize, answer: Receiver<A>) -> Result<A, SteerError> {
    answer.recv_async().await.map_err(|_| SteerError::Ended(shard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::fixtures;
    use jiff::Timestamp;
    use std::time::Instant;

    /// A view of no FSU.
    fn view() -> View {
        let about = About {
            config: None,
            seed: 1,
            driver: "poll",
            executor: "thread",
            cpus: Vec::new(),
            performance: false,
            late_limit_us: 0,
            started: Timestamp::UNIX_EPOCH,
            since: Instant::now(),
        };
        View {
            about: Arc::new(about),
            fleet: Arc::new(fixtures::fleet(Vec::new())),
            epoch: 0,
            shards: Vec::new(),
            addresses: Vec::new(),
            reloads: 0,
            reloads_failed: 0,
            reload_failure: None,
            gone: 0,
            gone_counters: fsu_core::state::Counters::default(),
        }
    }

    #[test]
    fn limit_happenings_max_more_are_lost() {
        let (sender, _receiver) = happenings();
        let change = Happening::Change { call: "trigger", matched: 1 };
        assert_eq!((0..2_000).filter(|_| sender.try_send(change.clone()).is_ok()).count(), 1_024);
    }

    #[test]
    fn limit_requests_max_more_do_not_wait() {
        let (steering, requests) = Steering::new(Vec::new(), view(), happenings());
        assert_eq!((0..20).filter(|_| steering.set_log_level(LevelFilter::Debug).is_ok()).count(), 8);
        assert_eq!(requests.len(), 8);
    }
}
