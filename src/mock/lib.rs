//! The conversation, without I/O: bytes and a moment in, bytes and a moment out.
//!
//! - [`stage`]: from bytes as they travel to answers, by transport.
//! - [`answer`]: one device: a checked request to the bytes of its reply.
//! - [`faults`]: what is broken on purpose, around a reply that is done.
//! - [`state`]: what an FSU remembers between messages, and its counters.
//! - [`moment`], [`sink`], [`about`]: when a message is handled, where the answers go, and what is known of them.
//! - [`client`]: requests, and what comes back: the side of a centre.
//! - [`lateness`]: how late replies left, and whether a test with them is valid.

pub mod about;
pub mod answer;
pub mod client;
pub mod faults;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod lateness;
pub mod moment;
pub mod sink;
pub mod stage;
pub mod state;

/// Where all of it was before.
pub mod responder {
    pub use crate::answer::turn::Scratch;
    pub use crate::answer::{build, random, reply};
    #[cfg(any(test, feature = "fixtures"))]
    pub use crate::fixtures;
    pub use crate::moment::{Moment, NS_PER_MS, RunContext};
    pub use crate::sink::{Cut, Outgoing, Sink};
    pub use crate::stage::{Heard, b_interface, datagram, stream, transfer};
    pub use crate::state::carry;
    pub use crate::{about, faults, state};
}

#[cfg(test)]
mod tests;
