//! Lines for the system log about bad input: per reason at most one a minute (spec b-interface.md), of all shards together.

use super::tide::Tide;
use fsu_plan::wire::reason::Reason;
use std::fmt::{Display, Write};
use std::sync::Arc;

/// Bytes of the input that a line shows.
const SHOWN_BYTES_MAX: usize = 64;

/// How often a shard checks whether the minute is over and hands over its counts, so that a flood of bad input does not make the shards
/// contend for the shared counters.
const ASK_MS: u64 = 1_000;

/// Input that a line is about.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, P> {
    /// The name of the FSU that it came to.
    pub fsu: &'a str,
    /// Where it came from.
    pub peer: P,
    /// What came; empty where nothing is to be shown.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// When to ask next, monotonic.
    ask_ms: u64,
    /// Lines left out that are not handed over yet.
    untold: u64,
}

/// One shard's table. Fixed size.
#[derive(Debug)]
pub struct Notes {
    counted: [Counted; Reason::COUNT],
    common: Arc<Tide>,
}

impl Notes {
    /// That of a shard, beside others that have the same `common`.
    pub fn new(common: Arc<Tide>) -> Self {
        Self { counted: [Counted::default(); Reason::COUNT], common }
    }

    /// Whether to write a line now, and how many were left out before it.
    #[inline]
    pub fn admit(&mut self, reason: Reason, now_ms: u64) -> Option<u64> {
        let counted = &mut self.counted[reason as usize];
        if now_ms < counted.ask_ms {
            counted.untold += 1;
            return None;
        }
        counted.ask_ms = now_ms.saturating_add(ASK_MS);
        self.common.notes.admit(reason, std::mem::take(&mut counted.untold), now_ms)
    }

    /// Writes a line about bad input, unless the reason had one within the minute.
    #[inline]
    pub fn note(&mut self, reason: Reason, now_ms: u64, input: &Input<'_, impl Display>) {
        if let Some(untold) = self.admit(reason, now_ms) {
            warn(reason, untold, input.fsu, &input.peer, input.bytes);
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
    fn limit_interval_ms_and_ask_ms_h11_each_reason_has_one_line_a_minute_of_all_shards() {
        let tide = Arc::<Tide>::default();
        let mut shards = [Notes::new(tide.clone()), Notes::new(tide)];
        let asked = [
            (0, Reason::Short, 5, Some(0)),
            (0, Reason::Short, 5, None),
            (1, Reason::BadEnd, 6, Some(0)),
            (1, Reason::Short, 7, None),
            (1, Reason::Short, 8, None),
            (1, Reason::Short, 1_007, None),
            (0, Reason::Short, 60_004, None),
            (0, Reason::Short, 60_005, None),
            // The shards hand over what they counted once a second.
            (1, Reason::Short, 60_006, Some(5)),
            (1, Reason::Short, 60_007, None),
            (0, Reason::Short, 61_004, None),
            (0, Reason::Short, 120_006, Some(2)),
        ];
        for (shard, reason, now_ms, expected) in asked {
            assert_eq!(shards[shard].admit(reason, now_ms), expected, "{reason:?} at {now_ms}");
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
