//! `--message-ledger`: what happened to each message, a line of JSON each; and two of them compared ([`compare`]).
//!
//! `run` and `flood` write the same lines. A message has a key, a hash of its first frame ([`key`]). So the lines of both ends belong
//! together without a number on the wire.

mod compare;

pub use compare::{Compared, Difference, LedgerError, compare};

use fsu_plan::words;
use serde::{Deserialize, Serialize};
use std::io::Write as _;

words! {
    /// What happened to a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Event {
        /// The device sent it.
        Sent = "sent",
        /// The device sent it again.
        Retried = "retried",
        /// The device got its acknowledgement.
        Acknowledged = "acknowledged",
        /// The device got a frame that refuses it.
        Refused = "refused",
        /// The device waits no longer.
        GivenUp = "given_up",
        /// The centre got it.
        Received = "received",
        /// The centre acknowledged it.
        Acked = "acked",
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970.
    pub t_ms: u64,
    /// The FSU; empty where the centre does not know it.
    pub fsu: String,
    /// The message.
    pub message: String,
    /// How many of this message the FSU has sent before, and one. Only the mock knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What happened: a word of [`Event`].
    pub event: String,
    /// Its key: FNV-1a, 64 bits, of its first frame as it travels inside outer frames, as 16 hex digits.
    pub key: String,
}

/// FNV-1a, 64 bits: the key of a message, of its first frame as it travels inside outer frames.
pub fn key(wire: &[u8]) -> u64 {
    wire.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Appends a line of the centre.
pub fn write(out: &mut Vec<u8>, t_ms: u64, (fsu, message): (&str, &str), event: Event, key: u64) {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        out,
        "{{\"t_ms\":{t_ms},\"fsu\":{},\"message\":{},\"event\":\"{}\",\"key\":\"{key:016x}\"}}",
        quoted(fsu),
        quoted(message),
        event.name()
    );
}
