//! What the mock says, and where it says it.

use crate::about::About;
use fsu_plan::model::fault::{FaultKind, Kinds, Place};
use fsu_plan::wire::reason::Reason;

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
