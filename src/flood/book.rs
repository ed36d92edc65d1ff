//! What a thread records of requests and replies: the counts after the warm-up, and an account per FSU.

pub mod account;
pub mod live;
pub mod spread;
pub mod tally;
pub mod thread;

use crate::book::account::Account;
use crate::book::spread::Spread;
use crate::book::tally::{ARRIVAL_NS, Latency, Sample, SampleKind, Tally, cut, latency};
use crate::expect::Wrong;
use crate::lane::{Flight, Gone, Late, Settled};
use std::net::SocketAddr;

/// No FSU that was asked.
pub const NOBODY: u32 = u32::MAX;

/// A received frame, for a sample; of a request without a reply, the bytes are empty.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The FSU.
    pub fsu: &'a str,
    /// Its account, or [`NOBODY`].
    pub account: u32,
    /// The received bytes.
    pub bytes: &'a [u8],
    /// When.
    pub now_ns: u64,
}

/// A thread's book.
#[derive(Debug)]
pub struct Book {
    /// The counts.
    pub tally: Tally,
    /// Latencies since the last look.
    pub interval: Latency,
    /// Requests planned before this are not counted.
    pub measure_from_ns: u64,
    /// When the first reply came that is counted, and the last.
    pub replies_ns: Option<(u64, u64)>,
    /// By FSU or connection of the thread, warm-up included.
    pub accounts: Vec<Account>,
    /// Latencies, by the same number, as far as they are kept apart.
    pub spreads: Vec<Spread>,
    /// Messages that came unasked, and right acknowledgements of them.
    pub heard: [u64; 2],
}

impl Book {
    /// An empty one.
    pub fn new(commands: usize, measure_from_ns: u64) -> Self {
        let tally = Tally::new(commands);
        Self {
            tally,
            interval: latency(),
            measure_from_ns,
            replies_ns: None,
            accounts: Vec::new(),
            spreads: Vec::new(),
            heard: [0; 2],
        }
    }

    /// The account of an FSU, where there is one.
    #[inline]
    fn account(&mut self, account: u32, enter: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(account as usize) {
            enter(account);
        }
    }

    /// A frame from an FSU was classified.
    #[inline]
    fn tell(&mut self, account: u32, enter: impl FnOnce(&mut Account)) {
        self.account(account, |account| {
            account.told += 1;
            enter(account);
        });
    }

    /// A frame came from an FSU that is no heartbeat.
    #[inline]
    pub fn received(&mut self, account: u32) {
        self.account(account, |account| account.received += 1);
    }

    /// Whether a request counts: it was planned after the warm-up.
    #[inline]
    pub fn counts(&self, flight: &Flight) -> bool {
        flight.planned_ns >= self.measure_from_ns
    }

    /// A request was sent.
    #[inline]
    pub fn sent(&mut self, label: usize, account: u32, flight: &Flight) {
        self.tally.other.sent += 1;
        self.account(account, |account| account.requests.sent += 1);
        if self.counts(flight) {
            self.tally.rows[label].requests.sent += 1;
            self.tally.lag.saturating_record(flight.sent_ns.saturating_sub(flight.planned_ns));
        }
    }

    /// A reply was settled. `label` and `wire` give a flight's row, and its request as it travels.
    /// Returns the flight that is no longer under way; its place is free, unless it was given up before.
    #[inline]
    pub fn settled(
        &mut self,
        settled: Settled,
        seen: Seen<'_>,
        label: impl Fn(&Flight) -> usize,
        wire: impl Fn(&Flight) -> Vec<u8>,
    ) -> Option<Flight> {
        match settled {
            Settled::Good(flight, doubtful) => {
                let label = label(&flight);
                self.tell(seen.account, |account| account.requests.good += 1);
                if self.came(&flight, seen.now_ns) {
                    let row = &mut self.tally.rows[label];
                    row.requests.good += 1;
                    row.uncertain += u64::from(flight.is_equal);
                    self.tally.other.doubtful += u64::from(doubtful);
                }
                self.took((label, seen.account), &flight, seen.now_ns);
                Some(flight)
            }
            Settled::Late(flight, late) => self.late(flight, late, seen, (label, wire)),
            Settled::Wrong { flight, wrong, overdue } => self.wrong(flight, (wrong, overdue), seen, (label, wire)),
            Settled::Part { flight, wrong, overdue } => {
                self.tell(seen.account, |_| ());
                if self.came(&flight, seen.now_ns) {
                    self.tally.other.missing -= u64::from(overdue);
                    if let Some(wrong) = wrong {
                        self.why(label(&flight), seen, wrong, || wire(&flight));
                    }
                }
                None
            }
            Settled::Spoilt(flight) => {
                self.tell(seen.account, |account| account.requests.wrong += 1);
                if self.came(&flight, seen.now_ns) {
                    let row = &mut self.tally.rows[label(&flight)];
                    row.requests.wrong += 1;
                    row.uncertain += u64::from(flight.is_equal);
                }
                Some(flight)
            }
            Settled::Duplicate => {
                self.tell(seen.account, |account| account.duplicate += 1);
                if seen.now_ns >= self.measure_from_ns {
                    self.tally.other.duplicate += 1;
                    self.sample((SampleKind::Duplicate, None), seen, "answered already", Vec::new);
                }
                None
            }
            Settled::Unexpected(wrong) => {
                self.unexpected(seen, wrong.map_or("nothing under way", |wrong| wrong.name()));
                None
            }
            // It is settled later, when its request has shown itself.
            Settled::Held(_) => None,
        }
    }

    /// A right reply after the time-out.
    fn late(
        &mut self,
        flight: Flight,
        late: Late,
        seen: Seen<'_>,
        (label, wire): (impl Fn(&Flight) -> usize, impl Fn(&Flight) -> Vec<u8>),
    ) -> Option<Flight> {
        let label = label(&flight);
        let overdue = late != Late::Open;
        self.tell(seen.account, |account| {
            account.requests.late += 1;
            account.requests.lost -= u64::from(overdue);
        });
        if self.came(&flight, seen.now_ns) {
            let row = &mut self.tally.rows[label];
            row.requests.late += 1;
            row.requests.lost -= u64::from(overdue);
            row.uncertain += u64::from(!overdue && flight.is_equal);
            self.tally.other.doubtful += u64::from(late == Late::Doubtful);
            self.tally.other.missing -= u64::from(overdue && flight.burst.is_some());
            self.sample((SampleKind::Late, Some(label)), seen, "after the time-out", || wire(&flight));
        }
        // How long it took is not known where it may be none.
        if late != Late::Doubtful {
            self.took((label, seen.account), &flight, seen.now_ns);
        }
        if overdue { None } else { Some(flight) }
    }

    /// A wrong reply to a request that is under way, or was given up.
    #[cold]
    fn wrong(
        &mut self,
        flight: Flight,
        (wrong, overdue): (Wrong, bool),
        seen: Seen<'_>,
        (label, wire): (impl Fn(&Flight) -> usize, impl Fn(&Flight) -> Vec<u8>),
    ) -> Option<Flight> {
        self.tell(seen.account, |account| {
            account.requests.wrong += 1;
            account.requests.lost -= u64::from(overdue);
        });
        if self.came(&flight, seen.now_ns) {
            let label = label(&flight);
            let row = &mut self.tally.rows[label];
            row.requests.wrong += 1;
            row.requests.lost -= u64::from(overdue);
            row.uncertain += u64::from(!overdue && flight.is_equal);
            self.why(label, seen, wrong, || wire(&flight));
        }
        if overdue { None } else { Some(flight) }
    }

    /// A request was given up, or a held reply was assigned; see [`Self::settled`]. `seen` has no bytes. Returns whether a request
    /// is no longer under way.
    pub fn gone(
        &mut self,
        gone: &Gone<'_>,
        seen: Seen<'_>,
        label: impl Fn(&Flight) -> usize,
        wire: impl Fn(&Flight) -> Vec<u8>,
    ) -> bool {
        match gone {
            Gone::Lost(flight) => self.gave_up(label(flight), seen, flight, || wire(flight)),
            Gone::Wrong(flight, held) => {
                let seen = Seen { bytes: &held.bytes, now_ns: held.at_ns, ..seen };
                self.tally.other.missing -= u64::from(flight.burst.is_some() && self.counts(flight));
                self.wrong((*flight).clone(), (held.wrong, true), seen, (label, wire));
            }
            Gone::Unexpected(held) => {
                self.unexpected(Seen { bytes: &held.bytes, now_ns: held.at_ns, ..seen }, held.wrong.name());
            }
        }
        matches!(gone, Gone::Lost(_))
    }

    /// Counts what is wrong with a reply.
    #[cold]
    fn why(&mut self, label: usize, seen: Seen<'_>, wrong: Wrong, request: impl FnOnce() -> Vec<u8>) {
        *self.tally.wrong_by.entry(wrong.name()).or_default() += 1;
        self.sample((SampleKind::Wrong, Some(label)), seen, wrong.name(), request);
    }

    /// A reply to a request came. Returns whether it counts.
    #[inline]
    fn came(&mut self, flight: &Flight, now_ns: u64) -> bool {
        self.tally.other.replies += 1;
        let counts = self.counts(flight);
        if counts {
            self.tally.other.counted += 1;
            self.tally.arrivals.saturating_record(now_ns.saturating_sub(self.measure_from_ns) / ARRIVAL_NS);
            let first_ns = self.replies_ns.map_or(now_ns, |(first_ns, _)| first_ns);
            self.replies_ns = Some((first_ns, now_ns));
        }
        counts
    }

    /// A frame came that no request asked for.
    pub fn unexpected(&mut self, seen: Seen<'_>, why: &'static str) {
        self.tell(seen.account, |account| account.unexpected += 1);
        if seen.now_ns >= self.measure_from_ns {
            self.tally.other.unexpected += 1;
            self.sample((SampleKind::Unexpected, None), seen, why, Vec::new);
        }
    }

    /// A request is given up. `request` gives it as it travels.
    pub fn gave_up(&mut self, label: usize, seen: Seen<'_>, flight: &Flight, request: impl FnOnce() -> Vec<u8>) {
        let is_spoilt = !flight.silent && flight.burst.as_ref().is_some_and(|burst| burst.is_spoilt());
        self.account(seen.account, |account| match (flight.silent, is_spoilt) {
            (true, _) => account.requests.silent += 1,
            (false, true) => account.requests.wrong += 1,
            (false, false) => account.requests.lost += 1,
        });
        if !self.counts(flight) {
            return;
        }
        let row = &mut self.tally.rows[label];
        if flight.silent {
            row.requests.silent += 1;
            row.unmatched += u64::from(flight.unmatched);
            return;
        }
        row.uncertain += u64::from(flight.is_equal);
        let why = match &flight.burst {
            Some(burst) => {
                self.tally.other.missing += u64::from(burst.left());
                if is_spoilt {
                    row.requests.wrong += 1;
                    return;
                }
                if burst.has_begun() { "replies of its burst are missing" } else { "no reply" }
            }
            None => "no reply",
        };
        row.requests.lost += 1;
        self.sample((SampleKind::Lost, Some(label)), Seen { bytes: &[], now_ns: 0, ..seen }, why, request);
    }

    /// Takes a sent request out of all figures: the run was stopped before its reply could come.
    pub fn abandon(&mut self, label: usize, account: u32, flight: &Flight) {
        self.account(account, |account| account.requests.sent -= 1);
        if self.counts(flight) {
            self.tally.rows[label].requests.sent -= 1;
            self.tally.transfers.abandoned += 1;
        }
    }

    /// A host reported that nobody listens there.
    pub fn refused(&mut self, at: SocketAddr) {
        self.tally.other.refused += 1;
        self.tally.refused_at.get_or_insert(at);
    }

    /// Records a latency; of a burst, until its last reply.
    #[inline]
    fn took(&mut self, (label, account): (usize, u32), flight: &Flight, now_ns: u64) {
        let took_ns = now_ns.saturating_sub(flight.planned_ns);
        if self.counts(flight) {
            self.tally.latency[label].saturating_record(took_ns);
            if let Some(spread) = self.spreads.get_mut(account as usize) {
                spread.record(took_ns);
            }
        }
        self.interval.saturating_record(took_ns);
    }

    fn sample(
        &mut self,
        (kind, label): (SampleKind, Option<usize>),
        seen: Seen<'_>,
        why: &'static str,
        request: impl FnOnce() -> Vec<u8>,
    ) {
        self.tally.samples.entry(kind).or_insert_with(|| Sample {
            label,
            fsu: seen.fsu.into(),
            why,
            request: cut(request()),
            reply: cut(seen.bytes.to_vec()),
        });
    }
}
