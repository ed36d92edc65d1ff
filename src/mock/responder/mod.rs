//! A request to the bytes of its reply. Pure: `&Plan`, slices, `now` and a generator in, bytes out.
//!
//! - [`about`]: what is known of a frame, for the logs.
//! - [`reply`]: one device: a checked request, its rule, when it is due.
//! - [`build`]: the patched reply.
//! - [`random`]: the generator of one message.
//! - [`faults`]: faults made on purpose, a layer around the reply.
//! - [`b_interface`]: one datagram of the B interface: outer frames, devices, heartbeats.
//! - [`stream`]: the bytes of a TCP connection: frames, devices.
//! - [`datagram`]: one datagram that is one inner frame.
//! - [`transfer`]: data that follows an answer in frames of its own.
//! - [`state`]: what an FSU remembers between messages. [`carry`]: across a reload.
//!
//! The three protocol stages have one shape, so that a shard need not know which it serves:
//! bytes in, [`Sink`] calls out.

pub mod about;
pub mod b_interface;
pub mod build;
pub mod carry;
pub mod datagram;
pub mod faults;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod random;
pub mod reply;
pub mod state;
pub mod stream;
pub mod transfer;

use about::About;
use fsu_plan::model::fault::{FaultKind, Kinds, Place};
use fsu_plan::model::template::Template;
use fsu_plan::wire::civil::{Calendar, Now};
use fsu_plan::wire::framer::Search;
use fsu_plan::wire::reason::Reason;

/// Nanoseconds of a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;

/// What is common to all messages of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunContext {
    /// Seed of the run: same seed, same delays and random values, with any number of shards.
    pub seed: u64,
    /// Replies leave at once (performance mode).
    pub skip_delay: bool,
    /// When the run started, on the monotonic clock: from then on `faults_at` counts.
    pub start_mono_ms: u64,
}

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A reply to a request.
    Reply,
    /// A heartbeat, in answer to a centre's.
    Heartbeat,
    /// The first data frame of a transfer: it follows a reply, and no request asks for it.
    Data,
}

/// Where a protocol stage puts what it has to say.
pub trait Sink {
    /// `bytes`, as they go on the wire, are due at `due_ns`, on the wall clock in nanoseconds (at or before now: at once).
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]);
    /// A stream was cut: these bytes were one frame, or were dropped for that reason.
    /// Stages on datagrams do not call it: a datagram is its own record.
    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>);
    /// What the replies that follow are, as far as the log tells; until the next call.
    fn about(&mut self, _about: About) {}
    /// The reply that follows has these faults.
    fn faulted(&mut self, _faults: Kinds) {}
    /// All is done for a frame, or for bytes that are none, in their order: its replies were sent.
    fn understood(&mut self, _about: About, _bytes: &[u8]) {}
    /// Something worth a rate-limited line in the system log: what, and the bytes it is about.
    fn note(&mut self, reason: Reason, bytes: &[u8]);
    /// A fault was made on purpose, in that frame; counted already.
    fn fault(&mut self, _kind: FaultKind, _place: Place) {}
    /// As [`Sink::send`] of a reply on a connection, which other replies may pass.
    fn send_apart(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send(Outgoing::Reply, due_ns, bytes);
    }
    /// A piece of a reply, but for its last one.
    fn send_piece(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send(Outgoing::Reply, due_ns, bytes);
    }
    /// Nothing more is sent on the connection; what that looks like to the peer begins when it is due, after the replies
    /// before it.
    fn cut(&mut self, _how: Cut, _due_ns: i64) {}
    /// Bytes that may still be sent in answer to this datagram.
    fn room_bytes(&self) -> usize {
        usize::MAX
    }
    /// So much is to be sent that it should leave before more is made.
    fn is_full(&self) -> bool {
        false
    }
    /// The kind of fault that [`Sink::cut`] was, on this connection.
    fn muted(&self) -> Option<FaultKind> {
        None
    }
}

/// How a connection ends to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is reset.
    Reset,
    /// It stays, and is read.
    Stall,
    /// The FSU's half is closed; it is read.
    HalfClose,
}

impl Cut {
    /// The fault it is.
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Reset => FaultKind::Reset,
            Self::Stall => FaultKind::Stall,
            Self::HalfClose => FaultKind::HalfClose,
        }
    }
}

/// Buffers of one shard, grown once and then reused by every message.
#[derive(Debug, Default)]
pub struct Scratch {
    /// An unescaped outer frame, received.
    pub outer: Vec<u8>,
    /// A raw inner frame, received (ascii_hex only).
    pub raw: Vec<u8>,
    /// A raw inner frame, to send.
    pub reply: Vec<u8>,
    /// The reply as it travels, before the outer frame, where that is not as it is: [`Self::on_wire`].
    pub wire: Vec<u8>,
    /// The outer frame before escaping.
    pub framed: Vec<u8>,
    /// The outer frame on the wire.
    pub escaped: Vec<u8>,
    /// The time that replies tell.
    pub calendar: Calendar,
    /// The text of a value; then the data frame that a reply leaves out, for a transfer to carry.
    pub text: Vec<u8>,
    /// What the framers saw in the bytes of a stream, by device.
    pub searches: Vec<Search>,
    /// How far the search for frames has come in the current connection.
    pub progress: stream::Progress,
    /// The faults of the reply at hand.
    pub drawn: faults::Drawn,
    /// What is known about the current request.
    pub about: About,
    /// What is left of a burst.
    pub burst: reply::Burst,
}

impl Scratch {
    /// The reply as it travels, before the outer frame.
    #[inline]
    pub fn on_wire(&self, template: &Template) -> &[u8] {
        build::on_wire(template, &self.reply, &self.wire)
    }
}

/// What a datagram showed of its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// At least one frame was valid and meant for this FSU: the sender is a centre.
    pub valid: bool,
}

/// The time a message is handled at, and the earliest moment its reply may leave. Nanoseconds are on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Now,
    /// When the request came: its delay counts from then.
    pub arrived_ns: i64,
    /// Replies before this one on the same connection are due then; 0: none.
    pub not_before_ns: i64,
    /// Time since the start of the run, on the monotonic clock: what lasts is measured by this.
    pub since_start_ms: u64,
}

impl Moment {
    /// Of a request that came just now, on a connection without other replies.
    pub const fn at(now: Now, since_start_ms: u64) -> Self {
        Self { now, arrived_ns: now.unix_ms.saturating_mul(NS_PER_MS), not_before_ns: 0, since_start_ms }
    }

    /// When a reply with that delay is due.
    #[inline]
    pub fn due_ns(&self, delay_ns: i64) -> i64 {
        self.arrived_ns.saturating_add(delay_ns).max(self.not_before_ns)
    }

    /// The same moment as one that is due then, on the clock that nobody sets: milliseconds since the start of the run.
    #[inline]
    pub fn since_start_at(&self, due_ns: i64) -> u64 {
        let wait_ms = self.clock_at(due_ns).unix_ms.saturating_sub(self.now.unix_ms);
        self.since_start_ms.saturating_add(wait_ms.max(0) as u64)
    }

    /// What the clock says to a reply that is due then. One that is due already leaves now.
    #[inline]
    pub fn clock_at(&self, due_ns: i64) -> Now {
        Now { unix_ms: due_ns.div_euclid(NS_PER_MS).max(self.now.unix_ms), ..self.now }
    }
}
