//! Changes of many FSUs, in slices: between two of them the shard serves.

use super::armed::Armed;
use super::ask::{Answer, NoAnswer, Task};
use super::change::{Args, Change, Changed, NotChanged};
use super::record::By;
use crate::shard::clock::Clock;
use crate::shard::io::Io;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use crate::shard::timers::later::Timer;
use flume::Sender;
use fsu_core::answer::outside::{self, Named};
use fsu_plan::model::reload::Fate;
use std::mem::take;
use std::sync::Arc;

/// Tasks of a shard that are not done.
pub(crate) const TASKS_MAX: usize = 64;
/// Time between two slices: a tick of the wheel.
const SLICE_NS: u64 = 250_000;
/// What a slice may cost: each FSU costs what its change does ([`cost`]).
const SLICE_COST: usize = 512;
/// Slices that a shard that is late makes up for at once.
const SLICES_AT_ONCE: u64 = 8;

/// A task that is not done.
#[derive(Debug)]
pub(crate) struct Doing {
    task: Task,
    /// When it came, on the monotonic clock.
    began_ns: u64,
    /// FSUs that have been looked at; a trigger looks at all before it says the first.
    checked: usize,
    /// FSUs that are done.
    next: usize,
    /// What has become of them.
    changed: Vec<Changed>,
    answer: Option<Sender<Answer<Vec<Changed>>>>,
}

impl Doing {
    pub(crate) fn new(task: Task, answer: Sender<Answer<Vec<Changed>>>, now: Clock) -> Self {
        let changed = Vec::with_capacity(task.fsus.len());
        Self { task, began_ns: now.mono_ns, checked: 0, next: 0, changed, answer: Some(answer) }
    }

    fn tell(&mut self) {
        if let Some(answer) = self.answer.take() {
            // Whoever asked may be gone.
            let _ = answer.send(Ok(take(&mut self.changed)));
        }
    }

    /// When an FSU is due, on the monotonic clock.
    fn due_ns(&self, place: u32) -> u64 {
        let Change::Trigger { over_ms, .. } = &*self.task.change else { return self.began_ns };
        let after_ns = u128::from(*over_ms) * 1_000_000 * u128::from(place) / u128::from(self.task.of.max(1));
        self.began_ns.saturating_add(u64::try_from(after_ns).unwrap_or(u64::MAX))
    }

    /// When the next FSU is due; `None`: all are done.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let &(_, place) = self.task.fsus.get(self.next)?;
        // Whoever asked waits until all have been looked at, however late the first is due.
        Some(if self.answer.is_some() { self.began_ns } else { self.due_ns(place) })
    }

    /// The plan has changed. What was not answered is not done; what was said to be done is, by those that stay.
    pub(super) fn reloaded(mut self, fates: &[Fate]) -> Option<Self> {
        if let Some(answer) = self.answer.take() {
            // Whoever asked may be gone.
            let _ = answer.send(Err(NoAnswer::Reloaded));
            return None;
        }
        let now = |fsu: u32| fates.get(fsu as usize).and_then(|fate| fate.stays());
        let left = self.task.fsus.split_off(self.next);
        self.task.fsus = left.into_iter().filter_map(|(fsu, place)| Some((now(fsu)?, place))).collect();
        (self.checked, self.next) = (self.task.fsus.len(), 0);
        (!self.task.fsus.is_empty()).then_some(self)
    }
}

/// What a trigger costs.
pub(super) const TRIGGER_COST: usize = SLICE_COST / 16;

/// What one FSU costs of a slice.
fn cost(change: &Change) -> usize {
    match change {
        Change::Trigger { .. } => TRIGGER_COST,
        _ => SLICE_COST / 64,
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// Lets the next slice be done at that moment, unless it will be before.
    pub(super) fn steer_at(&mut self, mono_ns: u64) {
        let Some(steer) = &mut self.steer else { return };
        if mono_ns < steer.timed_ns {
            steer.timed_ns = mono_ns;
            self.later.at_ns(mono_ns, Timer::Steer);
        }
    }

    /// The next slices of all tasks.
    pub(crate) fn on_steer_due(&mut self, now: Clock, io: &mut impl Io) {
        let Some(steer) = &mut self.steer else { return };
        // An entry of the wheel that another one was set before of has nothing to do.
        if steer.timed_ns > now.mono_ns {
            return;
        }
        let late_ns = now.mono_ns - std::mem::replace(&mut steer.timed_ns, u64::MAX);
        let slices = (1 + late_ns / SLICE_NS).min(SLICES_AT_ONCE) as usize;
        let mut tasks = take(&mut steer.tasks);
        let mut left = slices * SLICE_COST;
        self.play_due(&mut left, now, io);
        self.end_faults(&mut left, now);
        for doing in &mut tasks {
            self.slice(doing, &mut left, now, io);
            // Two equal calls of one moment are two lines: an FSU is in a line once.
            if let Some(steer) = &mut self.steer {
                steer.record.flush();
            }
        }
        tasks.retain(|doing| doing.next_ns().is_some());
        let next_ns = tasks.iter().filter_map(Doing::next_ns).min();
        if next_ns.is_none_or(|next_ns| next_ns > now.mono_ns) {
            self.follow_power(now);
        }
        if let Some(steer) = &mut self.steer {
            steer.tasks = tasks;
            steer.record.flush();
        }
        if let Some(next_ns) = next_ns {
            self.steer_at(next_ns.max(now.mono_ns + SLICE_NS));
        }
        self.time_steering(now);
    }

    /// Sets the timer of what has a time: the ends of faults, changes that are made again.
    pub(super) fn time_steering(&mut self, now: Clock) {
        let now_ms = self.since_start_ms(now);
        let Some(steer) = &self.steer else { return };
        let next_ms = steer.arms.next_end_ms().into_iter().chain(steer.record.next_ms(now_ms)).min();
        if let Some(next_ms) = next_ms {
            let next_ns = self.run.start_mono_ms.saturating_add(next_ms).saturating_mul(1_000_000);
            self.steer_at(next_ns.max(now.mono_ns + SLICE_NS));
        }
    }

    /// Faults whose time is over are those of the configuration again.
    fn end_faults(&mut self, left: &mut usize, now: Clock) {
        let (since_start_ms, change) = (self.since_start_ms(now), Arc::new(Change::ClearFaults));
        while *left > 0
            && let Some(fsu) = self.steer.as_ref().and_then(|steer| steer.arms.ended(since_start_ms))
        {
            let at = self.next_frame(fsu);
            self.disarm_faults(fsu);
            self.note_change((fsu, at), (&change, By::Ttl), now);
            *left = left.saturating_sub(SLICE_COST / 64);
        }
    }

    fn slice(&mut self, doing: &mut Doing, left: &mut usize, now: Clock, io: &mut impl Io) {
        let change = doing.task.change.clone();
        if let Change::Trigger { message, args, .. } = &*change {
            while *left > 0 && doing.checked < doing.task.fsus.len() {
                let (fsu, _) = doing.task.fsus[doing.checked];
                let done = self.may_trigger(fsu, (message, args), now);
                doing.changed.push(Changed { fsu, at: self.next_frame(fsu), done });
                doing.checked += 1;
                *left -= 1;
            }
            if doing.checked < doing.task.fsus.len() {
                return;
            }
            if doing.answer.is_some() {
                let is_done = |place: usize| doing.changed.get(place).is_some_and(|changed| changed.done.is_ok());
                let fsus = doing.task.fsus.iter().enumerate();
                doing.task.fsus = fsus.filter(|&(place, _)| is_done(place)).map(|(_, &fsu)| fsu).collect();
                doing.checked = doing.task.fsus.len();
            }
            doing.tell();
        }
        let cost = cost(&change);
        while let Some(&(fsu, place)) = doing.task.fsus.get(doing.next)
            && *left >= cost
            && doing.due_ns(place) <= now.mono_ns
        {
            let at = self.next_frame(fsu);
            let done = self.change(fsu, &change, now, io);
            if done.is_ok() {
                self.note_change((fsu, at), (&change, By::Api), now);
            }
            if doing.answer.is_some() {
                doing.changed.push(Changed { fsu, at, done });
            }
            doing.next += 1;
            *left -= cost;
        }
        if doing.next == doing.task.fsus.len() {
            doing.tell();
        }
    }

    /// The number of the next frame of an FSU.
    pub(super) fn next_frame(&self, fsu: u32) -> u64 {
        self.tap.ear_now().map_or(0, |ear| ear.frames(fsu)) + 1
    }

    /// Makes a change of one FSU.
    pub(super) fn change(&mut self, fsu: u32, change: &Change, now: Clock, io: &mut impl Io) -> Result<(), NotChanged> {
        let socket = self.steer.as_ref().and_then(|steer| steer.socket(fsu)).ok_or(NotChanged::Gone)?;
        match change {
            Change::Trigger { message, args, .. } => {
                let given: Vec<(&str, &str)> = args.iter().map(|(name, value)| (&**name, &**value)).collect();
                let done = self.trigger(socket, (message, &given), now, io);
                done.map_err(|why| NotChanged::of(why, args))
            }
            Change::Register { device, name, key, value } => {
                let named = Named { device: *device, name, key: key.as_deref() };
                let done = self.with_turn(socket, now, |turn, _| outside::set(turn, named, value));
                Ok(done.ok_or(NotChanged::Gone)??)
            }
            Change::Memory { device, area, at, bytes } => {
                let named = Named { device: *device, name: area, key: None };
                let done = self.with_turn(socket, now, |turn, _| outside::store(turn, named, *at, bytes));
                Ok(done.ok_or(NotChanged::Gone)??)
            }
            Change::Faults { set, ttl_ms } => {
                let until_ms = ttl_ms.map(|ttl_ms| self.since_start_ms(now).saturating_add(ttl_ms));
                self.arm_faults(fsu, Armed { set: Arc::clone(set), until_ms })
            }
            Change::ClearFaults => self.disarm_faults(fsu).then_some(()).ok_or(NotChanged::NotArmed),
        }
    }

    /// Whether a trigger would make an FSU say something now.
    fn may_trigger(&mut self, fsu: u32, (message, args): (&str, &Args), now: Clock) -> Result<(), NotChanged> {
        let socket = self.steer.as_ref().and_then(|steer| steer.socket(fsu)).ok_or(NotChanged::Gone)?;
        let slot = self.slots.get(socket as usize).ok_or(NotChanged::Gone)?;
        let plan = self.fleet.fsus.get(slot.fsu as usize).ok_or(NotChanged::Gone)?;
        let mut why = NotChanged::NoMessage;
        let mut is_said = false;
        for (number, device) in plan.devices.iter().enumerate() {
            let Some(conversation) = &device.conversation else { continue };
            let Some(of) = conversation.message(message).and_then(|of| conversation.messages.get(of)) else { continue };
            let is_known = |name: &str| of.args.iter().any(|arg| **arg == *name);
            if let Some((name, _)) = args.iter().find(|(name, _)| !is_known(name)) {
                return Err(NotChanged::NoArgument(name.clone()));
            }
            let Some(talk) = slot.state.devices.get(number).and_then(|device| device.talk.as_ref()) else { continue };
            match of.within {
                Some(state) if talk.states >> state & 1 == 0 => {
                    why = NotChanged::NotIn(conversation.states.get(usize::from(state)).cloned().unwrap_or_default());
                }
                _ if talk.is_full() => return Err(NotChanged::Full),
                _ => is_said = true,
            }
        }
        if !is_said {
            return Err(why);
        }
        if self.is_offline(socket, now) {
            return Err(NotChanged::Offline);
        }
        if self.is_heard(socket, now) { Ok(()) } else { Err(NotChanged::Unheard) }
    }
}
