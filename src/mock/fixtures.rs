//! A run, a moment, a state, and the small fleet of [`fsu_plan::model::fixtures`].

use crate::answer::build::Built;
use crate::answer::turn::{Scratch, Turn};
use crate::moment::{Moment, NS_PER_MS, RunContext};
use crate::replies::Replies;
use crate::sink::Outgoing;
use crate::state::FsuState;
pub use fsu_plan::model::fixtures::{device, fleet, fsu};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;

/// A run with seed 1.
pub const RUN: RunContext = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
/// A moment of the year 2026, in Beijing.
pub const NOW: Moment = Moment::at(Now { unix_ms: 1_768_210_203_000, utc_offset_s: 28_800 }, 0);

/// What a stage said, in a form that tests compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What was sent: what it is, when it is due in milliseconds from [`NOW`], its bytes.
    pub sent: Vec<(Outgoing, i64, Vec<u8>)>,
    /// Frames of a stream, and why each was dropped.
    pub received: Vec<(Vec<u8>, Option<Reason>)>,
    /// Reasons that were noted.
    pub notes: Vec<Reason>,
}

impl From<&Replies> for Said {
    fn from(replies: &Replies) -> Self {
        let due_ms = |due_ns: i64| due_ns.saturating_sub(NOW.arrived_ns).div_euclid(NS_PER_MS);
        Self {
            sent: replies.sent().map(|sent| (sent.what, due_ms(sent.due_ns), sent.bytes.to_vec())).collect(),
            received: replies.received().map(|(bytes, dropped)| (bytes.to_vec(), dropped)).collect(),
            notes: replies.notes().collect(),
        }
    }
}

/// A message at [`NOW`] in the run [`RUN`].
pub fn turn<'a>(fsu: &'a Fsu, state: &'a mut FsuState, scratch: &'a mut Scratch) -> Turn<'a> {
    Turn { run: &RUN, fsu, state, scratch, moment: NOW }
}

/// A new state, and a scratch whose buffers hold stale bytes.
pub fn start(fsu: &Fsu) -> (FsuState, Scratch) {
    let stale = || vec![0xA5; 11];
    let scratch = Scratch {
        outer: stale(),
        raw: stale(),
        built: Built { raw: stale(), wire: stale(), text: stale() },
        framed: stale(),
        escaped: stale(),
        ..Scratch::default()
    };
    (FsuState::new(fsu), scratch)
}

/// Drops by reason, in the order of [`Reason::ALL`].
pub fn drops(state: &FsuState) -> Vec<(Reason, u64)> {
    let counted = Reason::ALL.iter().map(|reason| (*reason, state.counters.dropped[*reason as usize]));
    counted.filter(|(_, count)| *count > 0).collect()
}
