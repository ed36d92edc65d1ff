//! A shard that is watched and steered while it serves (docs/internals/architecture.md).
//!
//! - [`ask`]: what may be asked, and what is answered. [`change`]: changes of FSUs. [`now`]: what FSUs do now.
//! - [`armed`]: faults that are armed while it serves.
//! - `task`: changes of many FSUs, in slices.
//! - [`replies`]: how long replies take.
//! - [`record`]: changes as they were made, and made again.
//! - [`listen`]: what a shard hears of its FSUs, [`ring`]: the bytes. [`detail`]: all that is known of one.

pub mod armed;
pub mod ask;
pub mod change;
pub mod detail;
pub mod listen;
pub mod now;
pub mod record;
pub mod replies;
pub mod ring;
mod task;

use super::clock::Clock;
use super::protocol::Protocol;
use super::recorder::Recorder;
use super::serve::Serve;
use armed::Arms;
use ask::{ACCOUNTS_A_QUESTION, Ask, NoAnswer, PAGE_MAX, ShardNow};
use detail::UnansweredNow;
use flume::Sender;
use fsu_core::about::About;
use fsu_plan::model::fleet::Name;
use fsu_plan::model::reload::Fate;
use listen::Ear;
use record::{Noted, Plays, Record};
use replies::Replies;
use std::net::SocketAddr;
use task::{Doing, TASKS_MAX};

/// How a shard is steered from its start on.
#[derive(Clone, Debug, Default)]
pub struct SteerSpec {
    /// Where changes go that are made; `None`: there is no journal.
    pub journal: Option<Sender<Noted>>,
    /// Changes that are to be made again, of FSUs of any shard.
    pub plays: Plays,
    /// Where events go; `None`: nowhere.
    pub happenings: Option<Sender<Happening>>,
}

/// Something that happens in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A centre was heard for the first time or opened a connection; or it is gone.
    Centre {
        /// The FSU.
        fsu: Name,
        /// The centre.
        peer: SocketAddr,
        /// It came.
        came: bool,
    },
    /// The configuration was read again.
    Reload {
        /// It is served.
        done: bool,
        /// What changed, or why it is not served.
        summary: String,
    },
    /// FSUs were changed by a call.
    Change {
        /// What was done.
        call: &'static str,
        /// How many FSUs were meant.
        matched: usize,
    },
}

/// What a shard keeps so that it can be steered.
#[derive(Debug)]
pub(crate) struct Steer {
    /// The number of the plan.
    epoch: u32,
    /// By FSU number: its place in the shard; [`NOT_HERE`]: it has none.
    numbers: Vec<u32>,
    /// Faults that are armed.
    pub(crate) arms: Arms,
    /// Changes as they are made, and made again.
    record: Record,
    /// Where events go.
    happenings: Option<Sender<Happening>>,
    /// Changes that are not done.
    tasks: Vec<Doing>,
    /// When the next slice is due, on the monotonic clock; the greatest: there is none.
    timed_ns: u64,
    /// How long replies took.
    replies: Replies,
    /// The longest time that a question has held the shard up.
    pub(crate) held_ns: u64,
}

/// Stands for no place.
const NOT_HERE: u32 = u32::MAX;

impl Steer {
    /// The number of the plan.
    #[cfg(test)]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A reply has left: how late, and how long after its request it was due.
    #[inline]
    pub(crate) fn replied(&mut self, late_ns: i64, about: &About) {
        self.replies.record(late_ns, about.held_us);
    }

    /// The place of an FSU in the shard.
    pub(crate) fn socket(&self, fsu: u32) -> Option<u32> {
        self.numbers.get(fsu as usize).copied().filter(|&socket| socket != NOT_HERE)
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The shard can be watched and steered from now on.
    pub(crate) fn attach(&mut self, spec: &SteerSpec) {
        let SteerSpec { journal, plays, happenings } = spec;
        let here: Vec<u32> = self.slots.iter().map(|slot| slot.fsu).collect();
        let plays = here.iter().filter_map(|fsu| Some((*fsu, plays.get(fsu)?.clone()))).collect();
        let record = Record::new(journal.clone(), plays);
        self.tap.listen(Ear::new(&self.fleet, here.into_iter()));
        self.steer = Some(Box::new(Steer {
            epoch: 0,
            numbers: Vec::new(),
            arms: Arms::default(),
            record,
            happenings: happenings.clone(),
            tasks: Vec::new(),
            timed_ns: u64::MAX,
            replies: Replies::default(),
            held_ns: 0,
        }));
        self.number_fsus();
        if self.steer.as_ref().is_some_and(|steer| !steer.record.plays.is_empty()) {
            // Some may be due from the start.
            self.steer_at(self.run.start_mono_ms.saturating_mul(1_000_000));
        }
    }

    fn number_fsus(&mut self) {
        let Some(steer) = &mut self.steer else { return };
        steer.numbers.clear();
        steer.numbers.resize(self.fleet.fsus.len(), NOT_HERE);
        for socket in 0..self.slots.places() {
            let place = self.slots.get(socket as usize).and_then(|slot| steer.numbers.get_mut(slot.fsu as usize));
            if let Some(place) = place {
                *place = socket;
            }
        }
    }

    /// Another plan is served.
    pub(crate) fn steer_reloaded(&mut self, epoch: u32, fates: &[Fate]) {
        let Some(steer) = &mut self.steer else { return };
        steer.epoch = epoch;
        steer.timed_ns = u64::MAX;
        let tasks = std::mem::take(&mut steer.tasks);
        steer.tasks = tasks.into_iter().filter_map(|doing| doing.reloaded(fates)).collect();
        steer.record.reload(fates);
        self.number_fsus();
        let here: Vec<u32> = self.slots.iter().map(|slot| slot.fsu).collect();
        if let Some(ear) = self.tap.ear() {
            ear.count_commands(&self.fleet, here.into_iter());
        }
        self.arm_again(fates);
    }

    /// All timers were set again, by the new plan.
    pub(crate) fn steer_restarted(&mut self, now: Clock) {
        let next_ns = self.steer.as_ref().and_then(|steer| steer.tasks.iter().filter_map(Doing::next_ns).min());
        if let Some(next_ns) = next_ns {
            self.steer_at(next_ns.max(now.mono_ns));
        }
        self.time_steering(now);
    }

    /// Reports a centre that came or went.
    #[cold]
    pub(crate) fn tell_centre(&self, socket: u32, peer: SocketAddr, came: bool) {
        let Some(happenings) = self.steer.as_ref().and_then(|steer| steer.happenings.as_ref()) else { return };
        let slot = self.slots.get(socket as usize);
        if let Some(fsu) = slot.and_then(|slot| self.fleet.fsus.get(slot.fsu as usize)) {
            // What nobody reads in time is not told.
            let _ = happenings.try_send(Happening::Centre { fsu: fsu.name.clone(), peer, came });
        }
    }

    /// A question has held the shard up for that long.
    pub(crate) fn was_held(&mut self, ns: u64) {
        if let Some(steer) = &mut self.steer {
            steer.held_ns = steer.held_ns.max(ns);
        }
    }

    fn shard_now(&self, cpu_ns: u64) -> ShardNow {
        let (replies, held_ns) =
            self.steer.as_ref().map(|steer| (steer.replies.clone(), steer.held_ns)).unwrap_or_default();
        ShardNow {
            late: self.late.clone(),
            replies,
            pending: self.pending() as u64,
            connections: self.conns.many(),
            log: self.tap.filled(),
            held_ns,
            cpu_ns,
        }
    }

    /// Answers a question.
    pub(crate) fn on_ask(&mut self, ask: Ask, now: Clock, cpu_ns: u64) {
        let epoch = self.steer.as_ref().map_or(u32::MAX, |steer| steer.epoch);
        // Whoever asked may be gone.
        match ask {
            Ask::Page(of, answer) if of.epoch == epoch => {
                drop(answer.send(Ok(self.page(&of.what[..of.what.len().min(PAGE_MAX)], now))));
            }
            Ask::Page(_, answer) => drop(answer.send(Err(NoAnswer::Reloaded))),
            Ask::Figures(answer) => drop(answer.send(self.shard_now(cpu_ns))),
            Ask::Accounts(from, answer) => {
                drop(answer.send((self.accounts.some(from, ACCOUNTS_A_QUESTION), self.accounts.len())));
            }
            Ask::Detail(of, answer) if of.epoch == epoch => {
                drop(answer.send(Ok(self.detail(of.what, now).map(Box::new))));
            }
            Ask::Detail(_, answer) => drop(answer.send(Err(NoAnswer::Reloaded))),
            Ask::Unanswered(of, answer) if of.epoch == epoch => {
                let (last, total) = self.tap.ear().map(|ear| ear.last_unanswered(of.what)).unwrap_or_default();
                drop(answer.send(Ok(UnansweredNow { last, total })));
            }
            Ask::Unanswered(_, answer) => drop(answer.send(Err(NoAnswer::Reloaded))),
            Ask::Change(of, answer) => {
                let refused = match &self.steer {
                    _ if of.epoch != epoch => Some(NoAnswer::Reloaded),
                    _ if self.drain_end_ms.is_some() => Some(NoAnswer::Ending),
                    Some(steer) if steer.tasks.len() >= TASKS_MAX => Some(NoAnswer::Busy),
                    _ => None,
                };
                match (refused, &mut self.steer) {
                    (None, Some(steer)) => {
                        let mut task = of.what;
                        let copy = task.copy.take();
                        steer.tasks.push(Doing::new(task, answer, now));
                        if let Some(copy) = copy {
                            self.own(copy);
                        }
                        self.steer_at(now.mono_ns);
                    }
                    (refused, _) => drop(answer.send(Err(refused.unwrap_or(NoAnswer::Ending)))),
                }
            }
        }
    }
}
