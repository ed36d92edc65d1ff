//! A sink that remembers, and the small fleet of [`fsu_plan::model::fixtures`].

use crate::state::FsuState;
use crate::answer::turn::Scratch;
use crate::moment::{Moment, NS_PER_MS, RunContext};
use crate::sink::{Outgoing, Sink};
pub use fsu_plan::model::fixtures::{device, fleet, fsu};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;

/// A run with seed 1.
pub const RUN: RunContext = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
/// A moment of the year 2026, in Beijing.
pub const NOW: Moment = Moment::at(Now { unix_ms: 1_768_210_203_000, utc_offset_s: 28_800 }, 0);

/// What a stage said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What was sent: what it is, when it is due in milliseconds from [`NOW`], its bytes.
    pub sent: Vec<(Outgoing, i64, Vec<u8>)>,
    /// Frames of a stream, and why each was dropped.
    pub received: Vec<(Vec<u8>, Option<Reason>)>,
    /// Reasons that were noted.
    pub notes: Vec<Reason>,
}

impl Sink for Said {
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.sent.push((what, due_ns.saturating_sub(NOW.arrived_ns).div_euclid(NS_PER_MS), bytes.to_vec()));
    }

    fn received(&mut self, bytes: &[u8], dropped: Option<Reason>) {
        self.received.push((bytes.to_vec(), dropped));
    }

    fn note(&mut self, reason: Reason, _: &[u8]) {
        self.notes.push(reason);
    }
}

/// A state with a scratch whose buffers hold something from before.
pub fn start(fsu: &Fsu) -> (FsuState, Scratch) {
    let stale = || vec![0xA5; 11];
    let scratch = Scratch {
        outer: stale(),
        raw: stale(),
        reply: stale(),
        wire: stale(),
        framed: stale(),
        escaped: stale(),
        text: stale(),
        ..Scratch::default()
    };
    (FsuState::new(fsu), scratch)
}

/// Drops by reason, in the order of [`Reason::ALL`].
pub fn drops(state: &FsuState) -> Vec<(Reason, u64)> {
    let counted = Reason::ALL.iter().map(|reason| (*reason, state.counters.dropped[*reason as usize]));
    counted.filter(|(_, count)| *count > 0).collect()
}
