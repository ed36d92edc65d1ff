//! Datagrams that leave through the ring: together with the submission that waits.
//!
//! The kernel sends them when it takes the submission, and completes only those that it refuses. So the fate of all is known after a wait:
//! what was not refused by then is sent. Datagrams that go to the kernel as one buffer, and many of one socket in a row, are sent by one call
//! (`sendmmsg`). A datagram never overtakes one before it of the same socket.

use crate::driver::base::{Base, Fate, tell};
use crate::driver::clocks;
use crate::driver::kernel::Ring;
use crate::shard::io::{Datagram, Outcome};
use crate::shard::late::SENDS_A_STAMP;
use fsu_net::outbox::Outbox;
use std::rc::Rc;

/// Fewest datagrams in a row of one socket that are sent by a call: below it, operations of the ring cost less.
const RUN_MIN: usize = 8;
/// Most operations that are submitted at once. All of them count as sent when that is done.
const BATCH: usize = 64;

/// A batch of them.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// The ring has a share of it while it sends.
    outbox: Rc<Outbox<Datagram>>,
    /// Those whose fate is not told, in their order.
    under_way: Vec<UnderWay>,
    /// How many of these are submitted.
    submitted: usize,
    /// Distinguishes this batch from those before it.
    number: u32,
}

/// A datagram whose fate is not told.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    /// Its place in the outbox.
    at: usize,
    /// When it left, wall clock in nanoseconds.
    left_ns: i64,
    /// What became of it, if a call has sent it.
    known: Option<Outcome>,
}

/// A datagram as the user data of its send: the batch, and the place in the outbox. 56 bits.
#[inline]
fn data(number: u32, at: usize) -> u64 {
    u64::from(number & 0x00FF_FFFF) << 32 | at as u64
}

impl Leaving {
    /// No fate is open.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Takes over what is queued, and leaves an empty queue.
    #[inline]
    pub(crate) fn begin(&mut self, queued: &mut Outbox<Datagram>) {
        let empty = match Rc::get_mut(&mut self.outbox) {
            Some(outbox) => {
                outbox.clear();
                std::mem::take(outbox)
            }
            // The ring has not let go of it.
            None => Outbox::default(),
        };
        self.number = self.number.wrapping_add(1);
        let queued = std::mem::replace(queued, empty);
        match Rc::get_mut(&mut self.outbox) {
            Some(outbox) => *outbox = queued,
            None => self.outbox = Rc::new(queued),
        }
    }

    /// Sends all of it: the last ones with the next submission, which is to follow at once.
    #[inline]
    pub(crate) fn push_all(&mut self, base: &mut Base, ring: &mut Ring, fate: &mut impl Fate) {
        let outbox = Rc::clone(&self.outbox);
        let mut at = 0;
        while at < outbox.len() {
            let run = at..at + base.run(&outbox, at);
            at = if run.len() < RUN_MIN && base.joined(&outbox, run) == 1 {
                self.push(at, base, ring, fate)
            } else {
                self.call(at, base, ring, fate)
            };
            if self.under_way.len() >= self.submitted + BATCH {
                self.submit(ring);
            }
        }
        if self.under_way.len() > self.submitted + SENDS_A_STAMP {
            self.submit(ring);
        }
        self.stamp();
    }

    /// Those that are not submitted leave now.
    fn stamp(&mut self) {
        let left_ns = clocks::unix_ns();
        let leaving = self.under_way[self.submitted..].iter_mut().filter(|one| one.known.is_none());
        leaving.for_each(|one| one.left_ns = left_ns);
    }

    /// Submits what is not submitted yet.
    fn submit(&mut self, ring: &mut Ring) {
        ring.submit();
        self.stamp();
        self.submitted = self.under_way.len();
    }

    /// Puts one into the ring; the next one's place.
    #[inline]
    fn push(&mut self, at: usize, base: &mut Base, ring: &mut Ring, fate: &mut impl Fate) -> usize {
        let Some((datagram, bytes)) = self.outbox.get(at) else { return at + 1 };
        match base.by(datagram) {
            Some(by) if ring.send(data(self.number, at), &self.outbox, at, &by) => {
                self.under_way.push(UnderWay { at, left_ns: 0, known: None });
            }
            // The kernel takes no more now.
            Some(_) => fate(datagram, bytes, Outcome::Full, clocks::unix_ns()),
            None => return self.call(at, base, ring, fate),
        }
        at + 1
    }

    /// Sends several with a call of their own; the next one's place.
    fn call(&mut self, at: usize, base: &mut Base, ring: &mut Ring, fate: &mut impl Fate) -> usize {
        let socket = |at| self.outbox.get(at).map(|(datagram, _)| datagram.socket);
        let first = socket(at);
        if self.under_way[self.submitted..].iter().any(|one| one.known.is_none() && socket(one.at) == first) {
            self.submit(ring);
        }
        let (count, outcome) = base.send(&self.outbox, at);
        let end = at + count.max(1);
        let left_ns = clocks::unix_ns();
        if self.under_way.is_empty() {
            tell(&self.outbox, at..end, outcome, left_ns, fate);
        } else {
            // After those before it: a log has replies in their order.
            self.under_way.extend((at..end).map(|at| UnderWay { at, left_ns, known: Some(outcome) }));
        }
        end
    }

    /// Tells the fate of all: the kernel has taken them, and all completions that there are were taken from the ring.
    #[inline]
    pub(crate) fn settle(&mut self, base: &mut Base, ring: &mut Ring, fate: &mut impl Fate) {
        self.submitted = 0;
        let unsent = ring.unsent();
        // Of a batch before, if the kernel did not take all of it in time: those were told as sent.
        unsent.retain(|unsent| unsent.data >> 32 == data(self.number, 0) >> 32);
        let mut unsent = unsent.drain(..).peekable();
        for UnderWay { at, left_ns, known } in self.under_way.drain(..) {
            let Some((datagram, bytes)) = self.outbox.get(at) else { continue };
            let outcome = match unsent.next_if(|unsent| unsent.data == data(self.number, at)) {
                Some(unsent) => base.on_refused(datagram, bytes, unsent.errno),
                None => known.unwrap_or(Outcome::Sent),
            };
            fate(datagram, bytes, outcome, left_ns);
        }
    }
}
