//! A shard that is watched and steered while it serves (docs/internals/architecture.md).
//!
//! - [`ask`]: what may be asked, and what is answered. [`change`]: changes of FSUs. [`now`]: what FSUs do now.
//! - [`armed`]: faults that are armed while it serves.
//! - `task`: changes of many FSUs, in slices.
//! - [`listen`]: what a shard hears of its FSUs.

pub mod armed;
pub mod ask;
pub mod change;
pub mod listen;
pub mod now;
mod task;

use super::clock::Clock;
use super::protocol::Protocol;
use super::recorder::Recorder;
use super::serve::Serve;
use armed::Arms;
use ask::{Ask, NoAnswer, PAGE_MAX, ShardNow};
use fsu_plan::model::reload::Fate;
use listen::Ear;
use task::{Doing, TASKS_MAX};

/// How a shard is steered from its start on.
#[derive(Clone, Debug, Default)]
pub struct SteerSpec {}

/// What a shard keeps so that it can be steered.
#[derive(Debug)]
pub(crate) struct Steer {
    /// The number of the plan.
    epoch: u32,
    /// By FSU number: its place in the shard; [`NOT_HERE`]: it has none.
    numbers: Vec<u32>,
    /// Faults that are armed.
    pub(crate) arms: Arms,
    /// Changes that are not done.
    tasks: Vec<Doing>,
    /// When the next slice is due, on the monotonic clock; the greatest: there is none.
    timed_ns: u64,
}

/// Stands for no place.
const NOT_HERE: u32 = u32::MAX;

impl Steer {
    /// The number of the plan.
    #[cfg(test)]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The place of an FSU in the shard.
    pub(crate) fn socket(&self, fsu: u32) -> Option<u32> {
        self.numbers.get(fsu as usize).copied().filter(|&socket| socket != NOT_HERE)
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The shard can be watched and steered from now on.
    pub(crate) fn attach(&mut self, spec: &SteerSpec) {
        let SteerSpec {} = spec;
        self.tap.listen(Ear::new(self.fleet.fsus.len()));
        self.steer = Some(Box::new(Steer {
            epoch: 0,
            numbers: Vec::new(),
            arms: Arms::default(),
            tasks: Vec::new(),
            timed_ns: u64::MAX,
        }));
        self.number_fsus();
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
        for doing in std::mem::take(&mut steer.tasks) {
            doing.give_up(NoAnswer::Reloaded);
        }
        self.number_fsus();
        self.arm_again(fates);
    }

    /// All timers were set again, by the new plan.
    pub(crate) fn steer_restarted(&mut self) {
        let end_ms = self.steer.as_ref().and_then(|steer| steer.arms.next_end_ms());
        if let Some(end_ms) = end_ms {
            self.steer_at(self.run.start_mono_ms.saturating_add(end_ms).saturating_mul(1_000_000));
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
            Ask::Figures(answer) => drop(answer.send(ShardNow {
                late: self.late.clone(),
                accounts: self.accounts.clone(),
                pending: self.pending() as u64,
                connections: self.slots.iter().map(|slot| slot.connections() as u64).sum(),
                cpu_ns,
            })),
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
