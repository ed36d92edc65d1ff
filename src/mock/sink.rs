//! The output side of the door: what the mock sends and reports.

use crate::about::About;
use fsu_plan::model::fault::{FaultKind, Kinds, Place};
use fsu_plan::wire::reason::Reason;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A reply to a request.
    Reply,
    /// A heartbeat, scheduled or in answer to a centre's.
    Heartbeat,
    /// The first data frame of a transfer: it follows a reply without a request.
    Data,
    /// A frame of a message that the device says unasked.
    Message,
}

/// Takes what a protocol stage sends and reports.
pub trait Sink {
    /// Sends wire bytes at `due_ns`, on the wall clock in nanoseconds; at or before now means at once.
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]);
    /// Bytes of a stream are one frame, or were dropped for that reason.
    /// Datagram stages do not call it: a datagram is its own record.
    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>);
    /// Describes the replies that follow, until the next call.
    fn about(&mut self, _about: About) {}
    /// The reply that follows has these faults.
    fn faulted(&mut self, _faults: Kinds) {}
    /// A frame, or bytes that are no frame, is done: its replies were sent. Called in the order of the bytes.
    fn understood(&mut self, _about: About, _bytes: &[u8]) {}
    /// Something for a rate-limited line in the system log, and the bytes that it refers to.
    fn note(&mut self, reason: Reason, bytes: &[u8]);
    /// A fault was made on purpose in that frame. It is counted already.
    fn fault(&mut self, _kind: FaultKind, _place: Place) {}
    /// Sends a reply on a connection that later replies may overtake.
    fn send_apart(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send(Outgoing::Reply, due_ns, bytes);
    }
    /// Sends a piece of a reply, except the last piece, which is [`Sink::send`].
    fn send_piece(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send(Outgoing::Reply, due_ns, bytes);
    }
    /// Nothing more is sent on the connection. The peer sees it when it is due, after the replies before it.
    fn cut(&mut self, _how: Cut, _due_ns: i64) {}
    /// Bytes that may still be sent in answer to this datagram.
    fn room_bytes(&self) -> usize {
        usize::MAX
    }
    /// Enough is queued: send it before asking for more.
    fn is_full(&self) -> bool {
        false
    }
    /// The fault by which [`Sink::cut`] ended this connection, if it did.
    fn muted(&self) -> Option<FaultKind> {
        None
    }
}

/// How a connection stops being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is reset.
    Reset,
    /// It stays open and is read.
    Stall,
    /// The FSU's half is closed; the other half is read.
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
