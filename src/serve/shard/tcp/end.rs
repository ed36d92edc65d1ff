//! How a connection ends.

use fsu_core::about::About;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::wire::reason::Reason;

/// Why replies that were still to come are lost with their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Dropped for that reason.
    Drop(Reason),
    /// A fault made on purpose; the connection is reset.
    Fault(FaultKind),
}

/// Who ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The centre, after its last request.
    Centre,
    /// The centre, with a reset.
    Reset,
    /// An error of the socket.
    Error(i32),
    /// This side, for that reason.
    Reason(Reason),
    /// A fault made on purpose.
    Fault(FaultKind),
    /// A reload took the FSU away.
    Reload,
    /// A reload changed where the FSU dials out to.
    Moved,
    /// This side, to dial again.
    #[allow(dead_code, reason = "see `Serve::reconnect`")]
    Reconnect,
    /// Its TLS handshake failed, for that reason.
    Handshake(Reason),
    /// It was not up yet: its end is not reported.
    Dialling,
    /// The program ends.
    Shutdown,
}

impl Lost {
    /// What is known of a reply that is lost so.
    pub(crate) fn of(self, about: About) -> About {
        match self {
            Self::Drop(reason) => about.drop(reason),
            Self::Fault(kind) => about.lost(kind),
        }
    }
}
