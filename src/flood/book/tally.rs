//! Counts and histograms of one thread, and their sums.

use crate::book::account::Requests;
pub use crate::latency::{Latency, cut, latency};
use fsu_plan::words;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The unit of [`Tally::arrivals`]: a histogram of that many holds 115 days.
pub const ARRIVAL_NS: u64 = 100_000;
/// Counts of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Its requests.
    pub requests: Requests,
    /// Of the silent ones, those that no rule answers.
    pub unmatched: u64,
    /// Of all, those that replies cannot distinguish from equal ones: a lost and a doubled reply may cancel each other out.
    pub uncertain: u64,
}

impl CommandCounts {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        self.unmatched += other.unmatched;
        self.uncertain += other.uncertain;
    }
}

/// Counts that belong to no command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// Requests sent, warm-up included.
    pub sent: u64,
    /// Replies that belong to a request, warm-up included.
    pub replies: u64,
    /// Replies that belong to a request that is part of the figures: more than one to a request where there is a burst.
    pub counted: u64,
    /// Replies that bursts lack.
    pub missing: u64,
    /// Datagrams that reached a host where nobody listens, as that host reported.
    pub refused: u64,
    /// Right replies to requests answered already.
    pub duplicate: u64,
    /// Frames that no request asked for.
    pub unexpected: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// Requests that were due and not sent: too many under way, or the generator was behind its plan.
    pub not_sent: u64,
    /// Replies that may answer another request, or none: an equal request was given up before.
    pub doubtful: u64,
    /// Requests past their time-out that could not be remembered.
    pub forgotten: u64,
    /// Sends that the system refused.
    pub send_errors: u64,
    /// Values that did not fit their field.
    pub misfits: u64,
    /// Bytes sent, without headers of IP and below.
    pub bytes_out: u64,
    /// Bytes received, without headers of IP and below.
    pub bytes_in: u64,
    /// TCP connections that were made again.
    pub reconnects: u64,
    /// Datagrams dropped at our own sockets, as the kernel counts them.
    pub own_drops: u64,
}

impl Other {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.replies += other.replies;
        self.counted += other.counted;
        self.missing += other.missing;
        self.refused += other.refused;
        self.duplicate += other.duplicate;
        self.unexpected += other.unexpected;
        self.heartbeats += other.heartbeats;
        self.not_sent += other.not_sent;
        self.doubtful += other.doubtful;
        self.forgotten += other.forgotten;
        self.send_errors += other.send_errors;
        self.misfits += other.misfits;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.reconnects += other.reconnects;
        self.own_drops += other.own_drops;
    }
}

/// Counts of BroadCast exchanges that belong to no command. Exchanges begun in the warm-up are left out.
#[derive(Clone, Debug)]
pub struct Transfers {
    /// Transfers put together, and right.
    pub whole: u64,
    /// Their data bytes.
    pub bytes: u64,
    /// Commands with data that ended without all of it.
    pub failed: u64,
    /// Commands that the FSU refused though its rules do not.
    pub refused: u64,
    /// Frames requested again because none came in time.
    pub retries: u64,
    /// Transfers started again.
    pub restarts: u64,
    /// Frames that were ignored.
    pub passed_over: u64,
    /// Datagrams of ours that were not sent, on purpose; warm-up included.
    pub dropped: u64,
    /// Exchanges under way when the run was stopped.
    pub abandoned: u64,
    /// When the last one of these ended.
    pub ended_ns: u64,
    /// From the (planned) command to the last byte.
    pub latency: Latency,
}

impl Transfers {
    fn new() -> Self {
        let latency = latency();
        Self {
            whole: 0,
            bytes: 0,
            failed: 0,
            refused: 0,
            retries: 0,
            restarts: 0,
            passed_over: 0,
            dropped: 0,
            abandoned: 0,
            ended_ns: 0,
            latency,
        }
    }

    fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.bytes += other.bytes;
        self.failed += other.failed;
        self.refused += other.refused;
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.passed_over += other.passed_over;
        self.dropped += other.dropped;
        self.abandoned += other.abandoned;
        self.ended_ns = self.ended_ns.max(other.ended_ns);
        // Same bounds: it always fits.
        let _ = self.latency.add(&other.latency);
    }
}

words! {
    /// Kinds of samples, as reports spell them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum SampleKind {
        /// A wrong reply.
        Wrong = "wrong",
        /// A late one.
        Late = "late",
        /// A second one.
        Duplicate = "duplicate",
        /// One that no request asked for.
        Unexpected = "unexpected",
        /// A request without one.
        Lost = "lost",
    }
}

/// The first of its kind that a thread saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// CommandCounts of the command, where one is known.
    pub label: Option<usize>,
    /// The FSU.
    pub fsu: Box<str>,
    /// What is wrong.
    pub why: &'static str,
    /// The request, as it travels; empty where none is known.
    pub request: Vec<u8>,
    /// The received frame, as it travels; empty if there was none.
    pub reply: Vec<u8>,
}

/// Everything one thread counts.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By command.
    pub rows: Vec<CommandCounts>,
    /// Latency by command.
    pub latency: Vec<Latency>,
    /// Planned to actual send.
    pub lag: Latency,
    /// The rest.
    pub other: Other,
    /// BroadCast's transfers.
    pub transfers: Transfers,
    /// Wrong replies by what is wrong.
    pub wrong_by: BTreeMap<&'static str, u64>,
    /// The first of each kind.
    pub samples: BTreeMap<SampleKind, Sample>,
    /// When replies came that are counted, in units of 100 us since the end of the warm-up.
    pub arrivals: Latency,
    /// The first address where nobody listens.
    pub refused_at: Option<SocketAddr>,
}

impl Tally {
    /// Nothing counted, for that many commands.
    pub fn new(commands: usize) -> Self {
        Self {
            rows: vec![CommandCounts::default(); commands],
            latency: vec![latency(); commands],
            lag: latency(),
            other: Other::default(),
            transfers: Transfers::new(),
            wrong_by: BTreeMap::new(),
            samples: BTreeMap::new(),
            arrivals: latency(),
            refused_at: None,
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        self.rows.iter_mut().zip(&other.rows).for_each(|(to, from)| to.add(from));
        for (to, from) in self.latency.iter_mut().zip(&other.latency) {
            // Same bounds: it always fits.
            let _ = to.add(from);
        }
        let _ = self.lag.add(&other.lag);
        self.other.add(&other.other);
        self.transfers.add(&other.transfers);
        for (why, count) in &other.wrong_by {
            *self.wrong_by.entry(why).or_default() += count;
        }
        for (kind, sample) in &other.samples {
            self.samples.entry(*kind).or_insert_with(|| sample.clone());
        }
        let _ = self.arrivals.add(&other.arrivals);
        self.refused_at = self.refused_at.or(other.refused_at);
    }

    /// All commands together.
    pub fn total(&self) -> CommandCounts {
        let mut total = CommandCounts::default();
        self.rows.iter().for_each(|row| total.add(row));
        total
    }
}
