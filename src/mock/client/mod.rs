//! The other end of a conversation: requests after a template, and what comes back. Pure, as the responder is: the
//! time is an argument, bytes go in and out.
//!
//! - [`request`]: a request from the template's values and some of one's own.
//! - [`exchange`]: one command: its answer and, where data follows, its transfer, with a bounded number of retries.
//! - [`commands`]: the commands of one device, one at a time.
//! - [`verify`]: what the plan says that the payload should have been.

pub mod commands;
pub mod exchange;
pub mod request;
pub mod verify;
