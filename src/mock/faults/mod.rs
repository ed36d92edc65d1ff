//! Faults made on purpose, as a layer around the finished reply (spec templates.md, Faults). Three steps: draw, change the
//! bytes, deliver. The codec does not know about faults.
//!
//! - [`draw`]: chooses the faults of one reply.
//! - [`bytes`]: changes its bytes.
//! - [`deliver`]: sends it, and reports the faults.
//!
//! All draws come from the message's own generator, after delay and values. Every kind is always drawn, in the order of
//! [`FaultKind::ALL`], twice (whether, and how). So enabling one kind changes no other.
//!
//! A fault that leaves nothing to send (drop, reset, stall, half_close) is the reply's only fault. Garbage replaces all bytes,
//! so no other change of bytes is made. All other faults combine. Only faults that took effect are counted and reach the
//! ledger.

pub mod bytes;
pub mod deliver;

use fastrand::Rng;
use fsu_plan::model::fault::{FaultKind, FaultSet, Kinds, Place};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::message::Transport;

/// The faults drawn for one reply.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// Faults to make.
    made: Kinds,
    /// Faults that took effect.
    done: Kinds,
    /// Detail by kind: chooses the bit, byte or key.
    how: [u64; FaultKind::DRAWN],
    /// The settings for this reply, with their times.
    set: FaultSet,
    /// A fault may have cut the connection before; streams only.
    may_mute: bool,
    /// Which frame it is.
    place: Place,
    /// Number of the message's command.
    command: usize,
}

impl Drawn {
    /// The reply has no fault, and no connection that may be cut.
    #[inline]
    pub fn is_clean(&self) -> bool {
        self.made.is_empty() && !self.may_mute
    }

    /// Faults to make.
    pub fn made(&self) -> Kinds {
        self.made
    }

    /// That many frames answer the message.
    #[inline]
    pub(crate) fn set_of(&mut self, of: u16) {
        self.place.of = of;
    }

    /// Forgets the previous reply's faults.
    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.made, self.done, self.may_mute) = (Kinds::NONE, Kinds::NONE, false);
    }

    /// Detail of a kind.
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

/// Draws the faults of one reply to a good request. Does nothing for an FSU without faults.
#[cold]
pub fn draw(fsu: &Fsu, rule: Option<&FaultSet>, target: Target, rng: &mut Rng, drawn: &mut Drawn) {
    let Some(faults) = &fsu.faults else { return drawn.clear() };
    drawn.set = faults.at(rule, target.since_start_ms);
    (drawn.place, drawn.command) = (target.place, target.command);
    drawn.may_mute = fsu.transport == Transport::Tcp;
    redraw(fsu, rng, drawn);
}

/// Draws the faults of another frame of the same message; `drawn` still holds those of the last one.
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
