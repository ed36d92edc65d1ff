//! The conversation, without I/O: bytes and a moment in, bytes and a moment out.
//!
//! - [`mock`]: the door: a fleet that answers.
//! - [`replies`]: a sink that keeps what it says.
//! - [`admit`]: who is heard at all.
//! - [`stage`]: from bytes as they travel to answers, by transport.
//! - [`answer`]: one device: a checked request to the bytes of its reply.
//! - [`speak`]: what devices say unasked.
//! - [`faults`]: what is broken on purpose, around a reply that is done.
//! - [`state`]: what an FSU remembers between messages, and its counters.
//! - [`moment`], [`sink`], [`about`]: when a message is handled, where the answers go, and what is known of them.
//! - [`client`]: requests, and what comes back: the side of a centre.
//! - [`dissect`]: a frame taken apart, for everything that shows one.
//! - [`predict`]: what a reply has to be, as far as the plan tells.
//! - [`walked`]: frames whose fields vary in size, by name.
//! - [`lateness`]: how late replies left, and whether a test with them is valid.

pub mod about;
pub mod admit;
pub mod answer;
pub mod client;
pub mod dissect;
pub mod faults;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod lateness;
pub mod mock;
pub mod moment;
pub mod predict;
pub mod replies;
mod seal;
pub mod sink;
pub mod speak;
pub mod stage;
pub mod state;
pub mod walked;

#[cfg(test)]
mod tests;
