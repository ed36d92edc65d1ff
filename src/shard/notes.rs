//! Lines for the system log about bad input: per reason at most one a minute (spec b-interface.md).

use crate::codec::reason::Reason;
use std::fmt::{Display, Write};

/// Time between two lines of one reason.
const INTERVAL_MS: u64 = 60_000;
/// Bytes of the input that a line shows.
const SHOWN_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// When the next line may be written, monotonic.
    next_ms: u64,
    /// How many were not told since the last line.
    untold: u64,
}

/// One shard's table. Fixed size.
#[derive(Debug)]
pub struct Notes {
    told: [Told; Reason::COUNT],
}

impl Default for Notes {
    fn default() -> Self {
        Self { told: [Told::default(); Reason::COUNT] }
    }
}

impl Notes {
    /// Whether to write a line now, and how many were left out before it.
    #[inline]
    pub fn admit(&mut self, reason: Reason, now_ms: u64) -> Option<u64> {
        let told = &mut self.told[reason as usize];
        if now_ms < told.next_ms {
            told.untold += 1;
            return None;
        }
        told.next_ms = now_ms.saturating_add(INTERVAL_MS);
        Some(std::mem::take(&mut told.untold))
    }

    /// Writes a line about input from `peer` to the FSU named `fsu`, unless the reason had one within the minute.
    #[inline]
    pub fn note(&mut self, reason: Reason, now_ms: u64, fsu: &str, peer: impl Display, bytes: &[u8]) {
        if let Some(untold) = self.admit(reason, now_ms) {
            warn(reason, untold, fsu, &peer, bytes);
        }
    }
}

#[cold]
fn warn(reason: Reason, untold: u64, fsu: &str, peer: &dyn Display, bytes: &[u8]) {
    let mut line = format!("{fsu}: {} from {peer}: {}", reason.reason(), reason.meaning().trim());
    line.push_str(&shown(bytes));
    if untold > 0 {
        let _ = write!(line, "; {untold} more since the last such line");
    }
    log::warn!("{line}");
}

/// The first bytes, and how many there are.
fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let hex = hex::encode_upper(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]);
    let more = if bytes.len() > SHOWN_BYTES_MAX { "..." } else { "" };
    format!("; bytes {hex}{more} ({})", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_one_line_a_minute() {
        let mut notes = Notes::default();
        let asked = [
            (Reason::Short, 5, Some(0)),
            (Reason::Short, 5, None),
            (Reason::BadEnd, 6, Some(0)),
            (Reason::Short, 60_004, None),
            (Reason::Short, 60_005, Some(2)),
            (Reason::Short, 60_006, None),
        ];
        for (reason, now_ms, expected) in asked {
            assert_eq!(notes.admit(reason, now_ms), expected, "{reason:?} at {now_ms}");
        }
    }

    #[test]
    fn limit_shown_bytes_max() {
        let shown = |bytes: usize| shown(&vec![0xA5; bytes]);
        assert_eq!(shown(64), format!("; bytes {} (64)", "A5".repeat(64)));
        assert_eq!(shown(65), format!("; bytes {}... (65)", "A5".repeat(64)));
        assert_eq!(shown(0), "");
    }
}
