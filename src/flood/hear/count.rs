//! What a centre counts.

use super::heard::Heard;
use crate::hear::resets::Reset;
use crate::latency::{Latency, cut, latency};
use fsu_plan::words;
use std::collections::BTreeMap;

/// One account of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Messages that came, each once.
    pub received: u64,
    /// Frames of messages that are several, without the first of each.
    pub further: u64,
    /// The same bytes again before a right acknowledgement was sent.
    pub retried: u64,
    /// The same message again though it was acknowledged.
    pub duplicate: u64,
    /// Frames with its key that are not right.
    pub wrong: u64,
    /// Right acknowledgements sent.
    pub acked: u64,
    /// Messages whose sender got one while it waited, each once.
    pub settled: u64,
    /// Not sent on purpose.
    pub dropped: u64,
    /// Sent wrong on purpose.
    pub spoilt: u64,
    /// Acknowledgements that could not be sent: the connection was gone, a value did not fit, or the system refused.
    pub failed: u64,
}

impl MessageCounts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.further += other.further;
        self.retried += other.retried;
        self.duplicate += other.duplicate;
        self.wrong += other.wrong;
        self.acked += other.acked;
        self.settled += other.settled;
        self.dropped += other.dropped;
        self.spoilt += other.spoilt;
        self.failed += other.failed;
    }
}

words! {
    /// Why a connection ended, or was none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Closed {
        /// The device closed it.
        Peer = "closed": "the device closed it",
        /// It was reset, or another error of the network.
        Reset = "reset": "it was reset",
        /// A frame that was begun did not come whole in time.
        Half = "half_frame": "a frame that was begun did not become whole",
        /// Too many bytes that are no frame.
        Garbage = "garbage": "too many bytes that are no frame",
        /// It did not take its acknowledgements.
        Slow = "slow": "it did not take its acknowledgements",
        /// A reply was wrong.
        Reply = "wrong_reply": "a reply was wrong, and nothing told where the next one begins",
        /// No TLS handshake came of it, or a record was wrong.
        Tls = "tls": "no TLS handshake came of it, or a record was wrong",
        /// The centre reset it (`--reset-at`).
        Purpose = "on_purpose": "the centre reset it on purpose",
        /// Too many connections at one time.
        TooMany = "too_many": "too many connections at one time",
    }
}

/// An example of what was not right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSample {
    /// The FSU; empty where it is not known.
    pub fsu: String,
    /// The message, where its key tells it.
    pub message: String,
    /// The frame on the wire.
    pub bytes: Vec<u8>,
}

/// Everything that one thread counts.
#[derive(Debug)]
pub struct Count {
    /// By account.
    pub messages: Vec<MessageCounts>,
    /// By account: from a message to its right acknowledgement.
    pub ack_time: Vec<Latency>,
    /// By FSU: messages, wrong ones left out.
    pub by_fsu: Vec<u32>,
    /// Heartbeats, and what else the B interface carries.
    pub heard: Heard,
    /// What is wrong with frames, by reason.
    pub wrong_by: BTreeMap<&'static str, u64>,
    /// The first of each reason.
    pub samples: BTreeMap<&'static str, WrongSample>,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections now.
    pub open: u64,
    /// The most at one time.
    pub most: u64,
    /// How connections ended.
    pub closed: BTreeMap<Closed, u64>,
    /// Moments at which all were reset on purpose.
    pub resets: Vec<Reset>,
    /// Bytes of streams that are no frame.
    pub garbage_bytes: u64,
    /// Datagrams of nobody that is known.
    pub strangers: u64,
    /// Accepts that the system refused.
    pub accept_errors: u64,
    /// Datagrams dropped at the sockets, as the kernel counts them.
    pub own_drops: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Lines of the ledger that could not be written.
    pub ledger_lost: u64,
}

impl Count {
    /// Nothing, for that many accounts and FSUs.
    pub fn new(accounts: usize, fsus: usize) -> Self {
        Self {
            messages: vec![MessageCounts::default(); accounts],
            ack_time: vec![latency(); accounts],
            by_fsu: vec![0; fsus],
            heard: Heard::default(),
            wrong_by: BTreeMap::new(),
            samples: BTreeMap::new(),
            accepted: 0,
            open: 0,
            most: 0,
            closed: BTreeMap::new(),
            resets: Vec::new(),
            garbage_bytes: 0,
            strangers: 0,
            accept_errors: 0,
            own_drops: 0,
            bytes_in: 0,
            bytes_out: 0,
            ledger_lost: 0,
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        self.messages.iter_mut().zip(&other.messages).for_each(|(to, from)| to.add(from));
        for (to, from) in self.ack_time.iter_mut().zip(&other.ack_time) {
            // Same bounds: it always fits.
            let _ = to.add(from);
        }
        self.by_fsu.iter_mut().zip(&other.by_fsu).for_each(|(to, from)| *to += from);
        self.heard.add(&other.heard);
        for (why, count) in &other.wrong_by {
            *self.wrong_by.entry(why).or_default() += count;
        }
        for (why, sample) in &other.samples {
            self.samples.entry(why).or_insert_with(|| sample.clone());
        }
        for (why, count) in &other.closed {
            *self.closed.entry(*why).or_default() += count;
        }
        for of in &other.resets {
            match self.resets.iter_mut().find(|own| own.at_ns == of.at_ns) {
                Some(own) => own.add(of),
                None => self.resets.push(of.clone()),
            }
        }
        self.accepted += other.accepted;
        self.open += other.open;
        self.most += other.most;
        self.garbage_bytes += other.garbage_bytes;
        self.strangers += other.strangers;
        self.accept_errors += other.accept_errors;
        self.own_drops += other.own_drops;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.ledger_lost += other.ledger_lost;
    }

    /// All messages together.
    pub fn total(&self) -> MessageCounts {
        let mut total = MessageCounts::default();
        self.messages.iter().for_each(|message| total.add(message));
        total
    }

    /// Counts a frame that is not right. `of`: its account, where its key tells it.
    pub fn wrong(&mut self, why: &'static str, of: Option<u32>, sample: impl FnOnce() -> WrongSample) {
        *self.wrong_by.entry(why).or_default() += 1;
        if let Some(counts) = of.and_then(|account| self.messages.get_mut(account as usize)) {
            counts.wrong += 1;
        }
        self.samples.entry(why).or_insert_with(|| {
            let sample = sample();
            WrongSample { bytes: cut(sample.bytes), ..sample }
        });
    }
}
