//! Wrong replies that are too damaged to show which of several requests they answer.
//!
//! Such a reply is held until its request is known: one that was under way when the reply came, and got no other reply within
//! a few time-outs. That request then counts as wrong, not as lost. If all of them were answered otherwise, the reply is unexpected.

use super::flights::NONE;
use super::{COMPARED_MAX, Flight, Gone, Lane};
use crate::expect::Wrong;

/// Replies that a lane holds; past it one counts as unexpected. 48 bytes each, taken as they come.
pub(super) const HELD_MAX: usize = 4096;
/// How many of these keep their bytes, for a sample.
const WITH_BYTES: usize = 4;
/// Time-outs for which one is held.
const HELD_TIMEOUTS: u64 = 4;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it came.
    pub at_ns: u64,
    /// What is wrong.
    pub wrong: Wrong,
    /// The frame; empty if enough others are held already.
    pub bytes: Vec<u8>,
}

impl Lane {
    /// Keeps a wrong reply ([`super::Settled::Held`]). Returns false if there is no room.
    #[cold]
    pub fn hold(&mut self, at_ns: u64, wrong: Wrong, bytes: &[u8]) -> bool {
        let has_room = self.held.len() < HELD_MAX;
        if has_room {
            let bytes = if self.held.len() < WITH_BYTES { bytes.to_vec() } else { Vec::new() };
            self.held.push_back(Held { at_ns, wrong, bytes });
        }
        has_room
    }

    /// Assigns replies that were held long enough, or all, to their requests, and calls `gone` with each.
    pub(super) fn settle_held(&mut self, now_ns: u64, all: bool, gone: &mut impl FnMut(Gone<'_>)) {
        let long_ns = self.timeout_ns.saturating_mul(HELD_TIMEOUTS);
        let is_due = |held: &Held| all || now_ns.saturating_sub(held.at_ns) > long_ns;
        while self.held.front().is_some_and(is_due)
            && let Some(held) = self.held.pop_front()
        {
            match self.unanswered(held.at_ns) {
                NONE => gone(Gone::Unexpected(&held)),
                at => {
                    let flight = self.flights.answer(at, now_ns);
                    gone(Gone::Wrong(&flight, &held));
                }
            }
        }
    }

    /// The oldest unanswered request that was under way at that time, else the youngest one before it. Examines at most
    /// [`COMPARED_MAX`] of the oldest and of the youngest.
    fn unanswered(&self, at_ns: u64) -> u32 {
        let was_open =
            |flight: &Flight| flight.sent_ns <= at_ns && at_ns <= flight.sent_ns.saturating_add(self.timeout_ns);
        let is_lost = |flight: &Flight| !flight.burst.as_ref().is_some_and(|burst| burst.is_spoilt());
        let (mut at, mut before) = (self.flights.oldest_overdue(), NONE);
        for _ in 0..COMPARED_MAX {
            if at == NONE || self.flights.at(at).sent_ns > at_ns {
                return before;
            }
            let flight = self.flights.at(at);
            if is_lost(flight) {
                if was_open(flight) {
                    return at;
                }
                before = at;
            }
            at = self.flights.newer(at);
        }
        let mut at = self.flights.newest_overdue();
        for _ in 0..COMPARED_MAX {
            if at == NONE {
                break;
            }
            let flight = self.flights.at(at);
            if is_lost(flight) && was_open(flight) {
                return at;
            }
            at = self.flights.older(at);
        }
        before
    }
}
