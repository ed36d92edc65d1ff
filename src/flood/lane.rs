//! Requests under way on one FSU's port or connection, and which of them a reply belongs to. Pure: times are arguments.
//!
//! - [`flights`]: the requests, and chains of those that replies cannot distinguish.
//! - [`find`]: what a reply may belong to.
//! - [`held`]: wrong replies whose request is not known yet.
//!
//! A frame carries no request number. So requests of a command differ in bytes that its replies copy ([`crate::workload::mark`]), and a
//! reply belongs to the request with the same bytes. Requests that replies cannot distinguish form a class: all requests of a
//! command whose replies copy nothing, and those that a flood file makes equal. Within a class, a reply belongs to the oldest request
//! under way. There, one lost reply and one doubled reply cancel each other out, so these requests are marked as equal.
//!
//! After a request was given up, its late reply is taken for the reply to an equal request, if one is under way: a late reply and a
//! lost one look the same. Such replies are marked as doubtful, until no equal request was under way for a whole time-out.
//!
//! If no equal request is under way, the reply either answers the request that was given up, or repeats the answer to a later one. It
//! counts as a repetition if the server was prompt for a while: a server that answers later requests promptly has nothing older
//! left. Otherwise it counts as late, and as doubtful.

mod classes;
mod find;
mod flights;
mod held;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod tests;

use crate::expect::Wrong;
use crate::expect::burst::Burst;
use find::Found;
use flights::Flights;
pub use held::Held;
use std::collections::VecDeque;

/// Equal requests that a reply is compared with, oldest first: bounds the work of a wrong one. Those without bytes of their own cost one
/// comparison.
pub const COMPARED_MAX: usize = 1024;
/// Requests past their time-out that a thread remembers, to know a late reply as one; its lanes share them evenly. 128 bytes each,
/// taken as they come: 32 MiB.
pub const OVERDUE_MAX: usize = 1 << 18;
/// The share of a lane, at least.
const OVERDUE_MIN: usize = 64;
/// Answered requests that a thread remembers for a time-out, to know a second reply as one; its lanes share them evenly. 96 bytes each,
/// taken as they come: 6 MiB.
pub const ANSWERED_MAX: usize = 1 << 16;
/// The share of a lane, at least; this many are remembered even longer.
pub const ANSWERED_MIN: usize = 4;

/// A request that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Its number in the profile.
    pub request: u32,
    /// Replies tell it apart from requests of other classes.
    pub class: u64,
    /// When it should have been sent.
    pub planned_ns: u64,
    /// When it was.
    pub sent_ns: u64,
    /// The raw request where its values are its own; empty: the prepared one.
    pub raw: Vec<u8>,
    /// No reply is expected.
    pub silent: bool,
    /// That is so because no rule answers it.
    pub unmatched: bool,
    /// Replies cannot distinguish it from another request that was under way, given up or just answered.
    pub is_equal: bool,
    /// More than one reply is expected.
    pub burst: Option<Box<Burst>>,
}

/// A reply is right; in a burst, the state of the burst after it.
pub type Right = Option<Box<Burst>>;

/// How long a reply takes by its rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// At least.
    pub least_ns: u64,
    /// At most, except for one in a thousand; includes what intended faults add.
    pub most_ns: u64,
}

/// Compares a received frame with requests.
pub trait Matcher {
    /// Is it a whole frame with this command's key? Appends the classes that it may belong to.
    fn read(&mut self, request: u32, classes: &mut Vec<u64>) -> Result<(), Wrong>;
    /// Is it a right reply to this request?
    fn check(&mut self, flight: &Flight) -> Result<Right, Wrong>;
    /// Would what was read last be right for some request of its class?
    fn repeats(&mut self, request: u32) -> bool;
    /// How long a reply to it takes.
    fn timing(&self, flight: &Flight) -> Timing;
}

/// How a reply was classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Right and in time; `doubtful`: an equal request that was given up before may be the one that it answers.
    Good(Flight, bool),
    /// Right, but after the time-out; its request may have been given up before.
    Late(Flight, Late),
    /// Wrong; the request it answers is no longer under way. `overdue`: it was given up before.
    Wrong {
        /// The request.
        flight: Flight,
        /// What is wrong.
        wrong: Wrong,
        /// Given up before.
        overdue: bool,
    },
    /// Wrong, and its request is not known yet: see [`Lane::hold`].
    Held(Wrong),
    /// One of a burst, of which more is to come; the request stays. `wrong`: what is wrong with it. `overdue`: the request was
    /// given up before.
    Part {
        /// A copy of the request.
        flight: Flight,
        /// What is wrong.
        wrong: Option<Wrong>,
        /// Given up before.
        overdue: bool,
    },
    /// The last one of a burst, right, after a wrong one; the request is no longer under way.
    Spoilt(Flight),
    /// Right for a request that was answered already.
    Duplicate,
    /// No request under way asked for it.
    Unexpected(Option<Wrong>),
}

/// How a reply is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Its request was still under way.
    Open,
    /// It was given up.
    Overdue,
    /// Likewise, if the reply does not repeat the answer to a later, equal one.
    Doubtful,
}

/// How a request or a held reply ended without a matching reply.
#[derive(Debug)]
pub enum Gone<'a> {
    /// It was not answered.
    Lost(&'a Flight),
    /// It was counted as lost, but a held reply is assigned to it.
    Wrong(&'a Flight, &'a Held),
    /// No request is left that a held reply could answer.
    Unexpected(&'a Held),
}

/// One lane.
#[derive(Debug)]
pub struct Lane {
    flights: Flights,
    overdue_max: usize,
    timeout_ns: u64,
    /// Replies come in the order of the requests.
    in_order: bool,
    held: VecDeque<Held>,
    /// Since when every reply was prompt and nothing was given up.
    prompt_since_ns: Option<u64>,
    /// Of the reply being examined.
    classes: Vec<u64>,
}

impl Lane {
    /// One of `lanes` of a thread. Replies after `timeout_ns` are late.
    pub fn new(lanes: usize, timeout_ns: u64) -> Self {
        let lanes = lanes.max(1);
        Self {
            flights: Flights::new(timeout_ns, (ANSWERED_MAX / lanes).max(ANSWERED_MIN)),
            overdue_max: (OVERDUE_MAX / lanes).max(OVERDUE_MIN),
            timeout_ns,
            in_order: false,
            held: VecDeque::new(),
            prompt_since_ns: None,
            classes: Vec::new(),
        }
    }

    /// The lane of a stream: replies come in the order of the requests.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// A request leaves.
    #[inline]
    pub fn push(&mut self, flight: Flight) {
        self.flights.push(flight);
    }

    /// Prefetches what a reply touches.
    #[inline]
    pub fn prefetch(&self) {
        self.flights.prefetch();
    }

    /// Requests under way.
    #[inline]
    pub fn open(&self) -> usize {
        self.flights.open()
    }

    /// The requests under way, oldest first.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// The commands of which a reply may come.
    pub fn requests(&self) -> impl Iterator<Item = u32> {
        self.flights.asked().iter().map(|asked| asked.request)
    }

    /// The commands of which requests are under way or given up.
    pub fn waiting(&self) -> impl Iterator<Item = u32> {
        self.flights.asked().iter().filter(|asked| asked.waiting > 0).map(|asked| asked.request)
    }

    /// A reply came.
    #[inline]
    pub fn settle(&mut self, now_ns: u64, matcher: &mut impl Matcher) -> Settled {
        let found = self.find(now_ns, matcher);
        match found {
            Found::Good { at, after, doubtful } => {
                let is_prompt = self.age_ns(at, now_ns) <= self.prompt_ns(at, matcher);
                let (at, after) = match after {
                    Some(_) => self.newest_burst(at, matcher).unwrap_or((at, after)),
                    None => (at, after),
                };
                self.prompt_since_ns = is_prompt.then(|| self.prompt_since_ns.unwrap_or(now_ns));
                self.answer_open(at, after, doubtful, now_ns)
            }
            Found::Late { at, after } => {
                self.prompt_since_ns = None;
                match self.answer_open(at, after, false, now_ns) {
                    Settled::Good(flight, _) => Settled::Late(flight, Late::Open),
                    other => other,
                }
            }
            Found::Overdue { at, after, late } => self.answer_overdue(at, after, late, now_ns),
            Found::Repeated => Settled::Duplicate,
            Found::Wrong { at, wrong } => self.answer_wrong(at, wrong, now_ns),
            Found::Unclear(wrong) => Settled::Held(wrong),
            Found::Nothing(wrong) => Settled::Unexpected(wrong),
        }
    }

    /// Would a reply be right for a request that is known, whatever became of it?
    pub fn knows(&mut self, now_ns: u64, matcher: &mut impl Matcher) -> bool {
        let found = self.find_right(now_ns, matcher);
        found.is_some()
    }

    fn age_ns(&self, at: u32, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.flights.at(at).sent_ns)
    }

    /// A reply is prompt that comes within what its rule may delay it and a share of the time-out.
    fn prompt_ns(&self, at: u32, matcher: &impl Matcher) -> u64 {
        matcher.timing(self.flights.at(at)).most_ns.saturating_add(self.timeout_ns / PROMPT_SHARE)
    }

    /// A reply fits a burst that lacks one, and a later, equal one that has begun: it is that one's.
    #[cold]
    fn newest_burst(&self, at: u32, matcher: &mut impl Matcher) -> Option<(u32, Right)> {
        let mut newest = None;
        let mut later = self.flights.newer_equal(at);
        for _ in 0..COMPARED_MAX {
            if later == flights::NONE {
                break;
            }
            let flight = self.flights.at(later);
            if flight.burst.as_ref().is_some_and(|burst| burst.has_begun())
                && let Ok(after) = matcher.check(flight)
            {
                newest = Some((later, after));
            }
            later = self.flights.newer_equal(later);
        }
        newest
    }

    /// A right reply to a request under way.
    #[inline]
    fn answer_open(&mut self, at: u32, after: Right, doubtful: bool, now_ns: u64) -> Settled {
        if let Some(burst) = after {
            let has_more = burst.left() > 0;
            let flight = self.flights.at_mut(at);
            flight.burst = Some(burst);
            if has_more {
                return Settled::Part { flight: flight.clone(), wrong: None, overdue: false };
            }
        }
        let flight = self.flights.answer(at, now_ns);
        if flight.burst.as_ref().is_some_and(|burst| burst.is_spoilt()) {
            return Settled::Spoilt(flight);
        }
        Settled::Good(flight, doubtful)
    }

    /// A right reply to a request that was given up.
    fn answer_overdue(&mut self, at: u32, after: Right, late: Late, now_ns: u64) -> Settled {
        if let Some(burst) = after {
            let (has_more, is_spoilt) = (burst.left() > 0, burst.is_spoilt());
            let flight = self.flights.at_mut(at);
            flight.burst = Some(burst);
            if has_more || is_spoilt {
                let flight = flight.clone();
                if !has_more {
                    drop(self.flights.answer(at, now_ns));
                }
                return Settled::Part { flight, wrong: None, overdue: true };
            }
        }
        Settled::Late(self.flights.answer(at, now_ns), late)
    }

    /// A wrong reply to a request; one of a burst takes its place there.
    fn answer_wrong(&mut self, at: u32, wrong: Wrong, now_ns: u64) -> Settled {
        let overdue = self.flights.is_overdue(at);
        let flight = self.flights.at_mut(at);
        if let Some(burst) = &mut flight.burst {
            burst.spoil();
            let has_more = burst.left() > 0;
            if has_more || overdue {
                let flight = flight.clone();
                if !has_more {
                    drop(self.flights.answer(at, now_ns));
                }
                return Settled::Part { flight, wrong: Some(wrong), overdue };
            }
        }
        Settled::Wrong { flight: self.flights.answer(at, now_ns), wrong, overdue }
    }

    /// Nobody listens where a request went: gives up the oldest one under way and calls `lost` with it. Returns false if there is none.
    pub fn refuse(&mut self, lost: impl FnOnce(&Flight)) -> bool {
        let oldest = self.flights.oldest_open();
        if oldest == flights::NONE {
            return false;
        }
        lost(self.flights.at(oldest));
        // Which one was refused is not known: a reply to this one may come.
        self.flights.give_up(false);
        true
    }

    /// Gives up requests past their time-out, oldest first, and calls `gone` with each. The lane remembers a number of them
    /// ([`OVERDUE_MAX`]), to recognise late replies. Returns how many older ones were forgotten to make room.
    pub fn expire(&mut self, now_ns: u64, spent: &mut Vec<Vec<u8>>, mut gone: impl FnMut(Gone<'_>)) -> u64 {
        let mut forgotten = 0;
        loop {
            let oldest = self.flights.oldest_open();
            if oldest == flights::NONE || self.age_ns(oldest, now_ns) <= self.timeout_ns {
                break;
            }
            let flight = self.flights.at(oldest);
            if flight.silent {
                let flight = self.flights.remove(oldest, now_ns);
                gone(Gone::Lost(&flight));
                recycle(flight.raw, spent);
                continue;
            }
            self.prompt_since_ns = None;
            self.flights.give_up(true);
            gone(Gone::Lost(self.flights.at(oldest)));
            if self.flights.overdue() > self.overdue_max {
                self.flights.forget(spent);
                forgotten += 1;
            }
        }
        self.settle_held(now_ns, false, &mut gone);
        forgotten
    }

    /// Gives up all requests under way, and forgets everything.
    pub fn close(&mut self, spent: &mut Vec<Vec<u8>>, mut gone: impl FnMut(Gone<'_>)) {
        while self.flights.oldest_open() != flights::NONE {
            let oldest = self.flights.oldest_open();
            gone(Gone::Lost(self.flights.at(oldest)));
            if self.flights.at(oldest).silent {
                recycle(self.flights.remove(oldest, u64::MAX).raw, spent);
            } else {
                self.flights.give_up(true);
            }
        }
        self.settle_held(u64::MAX, true, &mut gone);
        *self = Self {
            flights: self.flights.anew(),
            held: std::mem::take(&mut self.held),
            classes: std::mem::take(&mut self.classes),
            prompt_since_ns: None,
            ..*self
        };
    }
}

/// The share of the time-out within which a reply is prompt.
const PROMPT_SHARE: u64 = 4;

/// Most buffers that wait to be used again.
const SPENT_MAX: usize = 4096;

/// Keeps a buffer for a later request.
pub fn recycle(buffer: Vec<u8>, spent: &mut Vec<Vec<u8>>) {
    if buffer.capacity() > 0 && spent.len() < SPENT_MAX {
        spent.push(buffer);
    }
}
