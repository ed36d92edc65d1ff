//! The conversation, without I/O: bytes and a moment in, bytes and a moment out.
//!
//! - [`responder`]: a checked request to the bytes of its reply: the side of an FSU.
//! - [`client`]: requests, and what comes back: the side of a centre.
//! - [`lateness`]: how late replies left, and whether a test with them is valid.

pub mod client;
pub mod lateness;
pub mod responder;

#[cfg(test)]
mod tests;
