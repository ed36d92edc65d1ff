//! `--message-ledger`: what happened to each message, a line of JSON each; and two of them compared ([`mod@compare`]).
//!
//! `run` and `flood` write the same lines. A message has a key, a hash of its first frame ([`key`]). So the lines of both ends belong
//! together without a number on the wire.

mod compare;

pub use compare::{Compared, Difference, LedgerError, compare};

pub use fsu_core::answer::talk::key;

use fsu_plan::words;
use serde::Deserialize;
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

/// A line, as it is read; keys that only one end writes are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Line {
    /// The FSU; empty where the centre does not know it.
    pub fsu: String,
    /// The message.
    pub message: String,
    /// What happened: a word of [`Event`].
    pub event: String,
    /// Its key: FNV-1a, 64 bits, of its first frame as it travels inside outer frames, as 16 hex digits.
    pub key: String,
    /// In place of the others: how many lines are missing here.
    pub lost: Option<u64>,
}

/// Appends a line of the centre.
pub fn write(out: &mut Vec<u8>, unix_ms: u64, (fsu, message): (&str, &str), event: Event, key: u64) {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).unwrap_or(0)).unwrap_or_default();
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        out,
        "{{\"time\":\"{time:.3}\",\"fsu\":{},\"message\":{},\"event\":\"{}\",\"key\":\"{key:016x}\"}}",
        quoted(fsu),
        quoted(message),
        event.name()
    );
}
