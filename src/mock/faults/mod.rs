//! Faults made on purpose, as a layer around the reply (spec templates.md, Faults): first all is drawn, then bytes are
//! changed, then the reply is delivered. The codec knows nothing of it.
//!
//! - [`draw`]: what is to happen to one reply.
//! - [`bytes`]: what happens to its bytes.
//! - [`deliver`]: how it goes out, and what is told of it.
//!
//! Everything comes from the message's own generator, after delay and values: every kind is drawn always, in the order of
//! [`FaultKind::ALL`], twice (whether, and how). So turning one kind on changes nothing of the others.
//!
//! What leaves nothing to send (drop, reset, stall, half_close) comes alone; garbage leaves nothing of the reply's
//! bytes to change. All others add up. Only what was done is counted and stands in the ledger.

pub mod bytes;
pub mod deliver;

use fastrand::Rng;
use fsu_plan::model::fault::{FaultKind, FaultSet, Kinds, Place};
use fsu_plan::model::fleet::{Fsu, Transport};

/// What was drawn for one reply.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// What is to be done.
    made: Kinds,
    /// What was done.
    done: Kinds,
    /// How, by kind: chooses bit, byte, key.
    how: [u64; FaultKind::DRAWN],
    /// What holds for this reply: its times.
    set: FaultSet,
    /// The faults drawn so far may make the connection mute; asked for on streams only.
    may_mute: bool,
    /// Which frame it is.
    place: Place,
    /// Number of the message's command.
    command: usize,
}

impl Drawn {
    /// Nothing is to be done to the reply, whatever the connection is like.
    #[inline]
    pub fn is_clean(&self) -> bool {
        self.made.is_empty() && !self.may_mute
    }

    /// What is to be done.
    pub fn made(&self) -> Kinds {
        self.made
    }

    /// So many frames answer the message.
    #[inline]
    pub(crate) fn set_of(&mut self, of: u16) {
        self.place.of = of;
    }

    /// Forgets what was drawn for the reply before.
    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.made, self.done, self.may_mute) = (Kinds::NONE, Kinds::NONE, false);
    }

    /// How a kind is done.
    fn how(&self, kind: FaultKind) -> u64 {
        self.how.get(kind as usize).copied().unwrap_or(0)
    }
}

/// The frame that faults are drawn for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Which frame it is.
    pub place: Place,
    /// Number of the message's command.
    pub command: usize,
    /// When the message came, since the start of the run.
    pub since_start_ms: u64,
}

/// Draws for one reply to a good request of an FSU that has faults.
#[cold]
pub fn draw(fsu: &Fsu, rule: Option<&FaultSet>, target: Target, rng: &mut Rng, drawn: &mut Drawn) {
    let Some(faults) = &fsu.faults else { return drawn.clear() };
    drawn.set = faults.at(rule, target.since_start_ms);
    (drawn.place, drawn.command) = (target.place, target.command);
    drawn.may_mute = fsu.transport == Transport::Tcp;
    redraw(fsu, rng, drawn);
}

/// Draws for another frame of the same message, of which `drawn` still tells the last.
#[cold]
pub fn draw_next(fsu: &Fsu, place: Place, rng: &mut Rng, drawn: &mut Drawn) {
    drawn.place = place;
    redraw(fsu, rng, drawn);
}

fn redraw(fsu: &Fsu, rng: &mut Rng, drawn: &mut Drawn) {
    (drawn.made, drawn.done) = (Kinds::NONE, Kinds::NONE);
    for (kind, how) in FaultKind::ALL.into_iter().zip(&mut drawn.how) {
        let chance = rng.f64();
        *how = rng.u64(..);
        if kind.is_for(fsu.transport) && drawn.set.p(kind).is_some_and(|p| chance < p) {
            drawn.made.add(kind);
        }
    }
}

/// Whether an FSU is silent: nothing reaches it, nothing leaves it.
#[inline]
pub fn is_offline(fsu: &Fsu, since_start_ms: u64) -> bool {
    fsu.faults.as_ref().is_some_and(|faults| faults.is_offline(since_start_ms))
}

#[cfg(test)]
mod tests;
