//! Lines about centres that come and go: at most ten a second of each kind; one line sums up the rest of that second.

use super::dial::Pace;
use super::timers::later::{Later, Timer};
use crate::gate::{Admitted, Gate};
use fsu_plan::wire::reason::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of one kind within a second, of all shards together.
const LINES_MAX: u32 = 10;

/// Time between two lines of one reason.
const INTERVAL_MS: u64 = 60_000;
/// What a centre does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// It was heard, by datagram.
    Online,
    /// It was silent for too long, or gave its place to another.
    Offline,
    /// It opened a connection.
    Connected,
    /// A connection has ended.
    Closed,
    /// An FSU dialled in vain.
    NotDialled,
}

impl Move {
    const ALL: [Self; 5] = [Self::Online, Self::Offline, Self::Connected, Self::Closed, Self::NotDialled];

    /// The line about that many events that had no line of their own.
    fn sum(self, count: u64) -> String {
        let s = if count == 1 { "" } else { "s" };
        match self {
            Self::Online => format!("{count} more centre{s} online in the last second"),
            Self::Offline => format!("{count} more centre{s} offline in the last second"),
            Self::Connected => format!("{count} more centre{s} connected in the last second"),
            Self::Closed => format!("{count} more connection{s} closed in the last second"),
            Self::NotDialled => format!("{count} more dial{s} failed in the last second"),
        }
    }
}

/// The counts, which all shards share.
#[derive(Debug, Default)]
pub struct Tide {
    kinds: [Gate; 5],
    /// Lines about bad input, of all shards together.
    pub(crate) notes: Common,
    /// Dials, of all shards together.
    pub(crate) pace: Pace,
}

impl Tide {
    fn admit(&self, what: Move, now_ms: u64) -> Admitted {
        self.kinds[what as usize].admit(LINES_MAX, now_ms)
    }

    /// The lines that are due.
    fn sums(&self) -> impl Iterator<Item = String> {
        Move::ALL.into_iter().filter_map(|what| {
            let count = self.kinds[what as usize].take();
            (count > 0).then(|| what.sum(count))
        })
    }

    /// Writes the lines that sum up the rest.
    #[cold]
    pub(crate) fn tell(&self) {
        for sum in self.sums() {
            log::info!("{sum}");
        }
    }

    /// Whether a centre that moves now gets a line.
    pub(crate) fn tells(&self, what: Move, now_ms: u64, later: &mut Later) -> bool {
        if !log::log_enabled!(log::Level::Info) {
            return false;
        }
        match self.admit(what, now_ms) {
            Admitted::Now => true,
            Admitted::Counted => false,
            Admitted::At(due_ms) => {
                later.at(due_ms, Timer::Tide);
                false
            }
        }
    }
}

/// What all shards have in common, by reason.
#[derive(Debug)]
pub struct Common {
    told: [Told; Reason::COUNT],
}

#[derive(Debug, Default)]
struct Told {
    /// When the next line may be written, monotonic.
    next_ms: AtomicU64,
    /// Lines left out since the last one, as far as shards have handed them over.
    untold: AtomicU64,
}

impl Default for Common {
    fn default() -> Self {
        Self { told: std::array::from_fn(|_| Told::default()) }
    }
}

impl Common {
    /// Adds what a shard counted; whether it may write a line now, and how many were left out before it.
    pub(crate) fn admit(&self, reason: Reason, untold: u64, now_ms: u64) -> Option<u64> {
        let told = &self.told[reason as usize];
        let next_ms = told.next_ms.load(Ordering::Relaxed);
        let later_ms = now_ms.saturating_add(INTERVAL_MS);
        let is_due = now_ms >= next_ms
            && told.next_ms.compare_exchange(next_ms, later_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_due {
            return Some(told.untold.swap(0, Ordering::Relaxed).saturating_add(untold));
        }
        // The one that is asked about is not told either.
        told.untold.fetch_add(untold.saturating_add(1), Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_lines_max() {
        let tide = Tide::default();
        let told = (0..25).filter(|_| tide.admit(Move::Connected, 1_000) == Admitted::Now).count();
        assert_eq!(told, 10);
        assert_eq!(tide.sums().collect::<Vec<_>>(), ["15 more centres connected in the last second"]);
    }

    #[test]
    fn n19_past_ten_a_second_they_are_summed_up() {
        let tide = Tide::default();
        let admitted = |what, now_ms| tide.admit(what, now_ms);
        for _ in 0..10 {
            assert_eq!(admitted(Move::Online, 5_000), Admitted::Now);
        }
        assert_eq!(admitted(Move::Online, 5_900), Admitted::At(6_000));
        assert_eq!(admitted(Move::Online, 5_999), Admitted::Counted);
        // The others have their own ten.
        assert_eq!(admitted(Move::Closed, 5_999), Admitted::Now);
        assert_eq!(tide.sums().collect::<Vec<_>>(), ["2 more centres online in the last second"]);
        assert_eq!(tide.sums().count(), 0);
        assert_eq!(admitted(Move::Online, 5_999), Admitted::At(6_000));
        assert_eq!(tide.sums().collect::<Vec<_>>(), ["1 more centre online in the last second"]);
        // The next second begins with the first that comes.
        for _ in 0..10 {
            assert_eq!(admitted(Move::Online, 6_500), Admitted::Now);
        }
        assert_eq!(admitted(Move::Online, 6_500), Admitted::At(7_500));
        assert_eq!(Move::Closed.sum(3), "3 more connections closed in the last second");
    }
}
