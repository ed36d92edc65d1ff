//! Changes as they were made, for the journal; and changes of a journal, made again.
//!
//! Each FSU counts the frames that it handles ([`super::listen::Ear::frames`]). A change is made before the frame of a number, and is made again
//! before the frame of the same number. So what follows does not depend on the time, nor on the shard.

use super::change::Change;
use crate::shard::clock::Clock;
use crate::shard::io::Io;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use flume::Sender;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::reload::Fate;
use fsu_plan::words;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

words! {
    /// Who made a change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum By {
        /// A call.
        Api = "api",
        /// A journal that is played.
        Play = "play",
        /// The end of the time for which faults were armed.
        Ttl = "ttl",
        /// A signal.
        Signal = "signal",
    }
}

/// What a journal has a line of.
#[derive(Clone, Debug)]
pub enum Noted {
    /// A change of FSUs.
    Fsus(Entry),
    /// Something of the whole run.
    Run(OfRun),
}

/// A change of the whole run. It is told, and not made again: a journal has no configurations.
#[derive(Clone, Debug)]
pub struct OfRun {
    /// When, in milliseconds since the start of the run.
    pub t_ms: u64,
    /// The path of the call that does it.
    pub path: &'static str,
    /// Its body.
    pub body: serde_json::Value,
    /// Who made it.
    pub by: By,
}

/// One change of some FSUs, made within a millisecond.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, in milliseconds since the start of the run.
    pub t_ms: u64,
    /// What.
    pub change: Arc<Change>,
    /// Who made it.
    pub by: By,
    /// The FSUs by their numbers, and the number of the frame before which each was changed.
    pub at: Vec<(u32, u64)>,
    /// The plan that has these numbers.
    pub fleet: Arc<Fleet>,
}

/// A change of an FSU that is to be made again.
#[derive(Clone, Debug)]
pub struct Due {
    /// Before the frame of this number.
    pub at: u64,
    /// When it was made, in milliseconds since the start of the run: then or later, where that frame does not come before.
    pub t_ms: u64,
    /// What.
    pub change: Arc<Change>,
}

/// What is to be made again, by FSU number: each in its order.
pub type Plays = HashMap<u32, VecDeque<Due>>;

/// The journal of a shard.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Where changes go; `None`: there is no journal.
    pub(super) sender: Option<Sender<Noted>>,
    /// The changes of this slice.
    entry: Option<Entry>,
    /// Those to be made again.
    pub(super) plays: Plays,
    /// When the first of each FSU is due, while that time is to come.
    times: BTreeSet<(u64, u32)>,
    /// Changes that could not be handed over.
    pub(super) lost: u64,
}

impl Record {
    pub(super) fn new(sender: Option<Sender<Noted>>, plays: Plays) -> Self {
        let times = first_times(&plays);
        Self { sender, entry: None, plays, times, lost: 0 }
    }

    /// Whether a change of an FSU is to be made again before its next frame, or as soon as its time has come.
    fn is_due(&self, fsu: u32, next_frame: u64, since_start_ms: Option<u64>) -> bool {
        let due = self.plays.get(&fsu).and_then(VecDeque::front);
        due.is_some_and(|due| due.at <= next_frame && since_start_ms.is_none_or(|now_ms| due.t_ms <= now_ms))
    }

    /// The next moment at which something is to be made again, in milliseconds since the start of the run, after `now_ms`.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        self.times.range((now_ms + 1, 0)..).next().map(|&(t_ms, _)| t_ms)
    }

    /// Hands over what was made.
    pub(super) fn flush(&mut self) {
        let entry = self.entry.take();
        if let Some((sender, entry)) = self.sender.as_ref().zip(entry) {
            let many = entry.at.len() as u64;
            self.lost += if sender.try_send(Noted::Fsus(entry)).is_err() { many } else { 0 };
        }
    }

    /// Another plan is served.
    pub(super) fn reload(&mut self, fates: &[Fate]) {
        self.flush();
        let now = |fsu: u32| fates.get(fsu as usize).and_then(|fate| fate.stays());
        let plays = std::mem::take(&mut self.plays);
        self.plays = plays.into_iter().filter_map(|(fsu, due)| Some((now(fsu)?, due))).collect();
        self.times = first_times(&self.plays);
    }

    /// Takes the next change of an FSU out.
    fn take(&mut self, fsu: u32) -> Option<Due> {
        let dues = self.plays.get_mut(&fsu)?;
        let due = dues.pop_front()?;
        self.times.remove(&(due.t_ms, fsu));
        match dues.front() {
            Some(next) => drop(self.times.insert((next.t_ms, fsu))),
            None => drop(self.plays.remove(&fsu)),
        }
        Some(due)
    }
}

/// When the first change of each FSU is due.
fn first_times(plays: &Plays) -> BTreeSet<(u64, u32)> {
    plays.iter().filter_map(|(&fsu, dues)| Some((dues.front()?.t_ms, fsu))).collect()
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The run ends: tells what is missing in the journal, and what was not made again.
    pub(crate) fn end_journal(&mut self) {
        let Some(steer) = &mut self.steer else { return };
        steer.record.flush();
        let unplayed: usize = steer.record.plays.values().map(VecDeque::len).sum();
        if unplayed > 0 {
            let changes = words::count(unplayed, "change");
            log::warn!("--play: {changes} not made again: neither their frames nor their times have come");
        }
        if steer.record.lost > 0 {
            let changes = words::count(steer.record.lost, "change");
            log::error!("--journal: incomplete: {changes} could not be written in time");
        }
    }

    /// A change of an FSU was made before its frame of that number.
    pub(super) fn note_change(&mut self, (fsu, at): (u32, u64), (change, by): (&Arc<Change>, By), now: Clock) {
        let t_ms = self.since_start_ms(now);
        let Some(steer) = self.steer.as_mut().filter(|steer| steer.record.sender.is_some()) else { return };
        let record = &mut steer.record;
        let is_same = |entry: &Entry| {
            entry.t_ms == t_ms && entry.by == by && (Arc::ptr_eq(&entry.change, change) || entry.change == *change)
        };
        // One FSU once in an entry: its changes have an order.
        if let Some(entry) =
            record.entry.as_mut().filter(|entry| is_same(entry) && entry.at.last().is_none_or(|last| last.0 != fsu))
        {
            entry.at.push((fsu, at));
            return;
        }
        record.flush();
        let fleet = steer.arms.shared().cloned().unwrap_or_else(|| Arc::clone(&self.fleet));
        steer.record.entry = Some(Entry { t_ms, change: Arc::clone(change), by, at: vec![(fsu, at)], fleet });
    }

    /// Makes changes again that are due before the next frame of an FSU.
    #[cold]
    fn play_before(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        self.play(socket, None, now, io);
    }

    /// A frame of an FSU is about to be handled.
    #[inline]
    pub(crate) fn before_frame(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        if self.steer.as_ref().is_some_and(|steer| !steer.record.plays.is_empty()) {
            self.play_before(socket, now, io);
        }
    }

    /// Frames of an FSU were handled: what was due in time before that is made again now.
    #[inline]
    pub(crate) fn after_frame(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        if self.steer.as_ref().is_some_and(|steer| !steer.record.plays.is_empty()) {
            self.play(socket, Some(self.since_start_ms(now)), now, io);
        }
    }

    /// How many frames of an FSU may be handled before a change of it is made again.
    pub(crate) fn frames_until_play(&self, socket: u32) -> u64 {
        let Some(steer) = self.steer.as_ref().filter(|steer| !steer.record.plays.is_empty()) else { return u64::MAX };
        let Some(slot) = self.slots.get(socket as usize) else { return u64::MAX };
        let due = steer.record.plays.get(&slot.fsu).and_then(VecDeque::front);
        due.map_or(u64::MAX, |due| due.at.saturating_sub(self.next_frame(slot.fsu)))
    }

    fn play(&mut self, socket: u32, since_start_ms: Option<u64>, now: Clock, io: &mut impl Io) {
        let Some(fsu) = self.slots.get(socket as usize).map(|slot| slot.fsu) else { return };
        let mut is_played = false;
        loop {
            let at = self.next_frame(fsu);
            let Some(steer) = &mut self.steer else { return };
            if !steer.record.is_due(fsu, at, since_start_ms) {
                break;
            }
            let Some(due) = steer.record.take(fsu) else { break };
            is_played = true;
            match self.change(fsu, &due.change, now, io) {
                Ok(()) => self.note_change((fsu, at), (&due.change, By::Play), now),
                Err(why) => {
                    let name = self.fleet.fsus.get(fsu as usize).map(|fsu| fsu.name.clone());
                    log::warn!("journal: {}: not made again: {why}", name.as_deref().unwrap_or_default());
                }
            }
        }
        if is_played {
            if let Some(steer) = &mut self.steer {
                steer.record.flush();
            }
            self.follow_power(now);
            self.time_steering(now);
        }
    }

    /// Makes changes again whose time has come.
    pub(super) fn play_due(&mut self, left: &mut usize, now: Clock, io: &mut impl Io) {
        let now_ms = self.since_start_ms(now);
        while *left > 0 {
            let Some(steer) = &mut self.steer else { return };
            let Some(&(t_ms, fsu)) = steer.record.times.first().filter(|&&(t_ms, _)| t_ms <= now_ms) else { return };
            // If frames before it are missing, the last of them makes it.
            steer.record.times.remove(&(t_ms, fsu));
            *left = left.saturating_sub(super::task::TRIGGER_COST);
            if let Some(socket) = steer.socket(fsu) {
                self.play(socket, Some(now_ms), now, io);
            }
        }
        self.steer_at(now.mono_ns + 1);
    }
}
