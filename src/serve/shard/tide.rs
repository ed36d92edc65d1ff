//! Lines about centres that come and go: past ten a second of a kind, the others of that second are one line.

use super::notes::Common;
use super::serve::{Later, Timer};
use crate::gate::{Admitted, Gate};

/// Lines of one kind within a second, of all shards together.
const LINES_MAX: u32 = 10;

/// What a centre does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// It was heard, by datagram.
    Online,
    /// It was silent for too long, or others took its place.
    Offline,
    /// It opened a connection.
    Connected,
    /// A connection has ended.
    Closed,
}

impl Move {
    const ALL: [Self; 4] = [Self::Online, Self::Offline, Self::Connected, Self::Closed];

    /// The line about that many events that had no line of their own.
    fn sum(self, count: u64) -> String {
        let s = if count == 1 { "" } else { "s" };
        match self {
            Self::Online => format!("{count} more centre{s} online in the last second"),
            Self::Offline => format!("{count} more centre{s} offline in the last second"),
            Self::Connected => format!("{count} more centre{s} connected in the last second"),
            Self::Closed => format!("{count} more connection{s} closed in the last second"),
        }
    }
}

/// The counts, which all shards share.
#[derive(Debug, Default)]
pub struct Tide {
    kinds: [Gate; 4],
    /// Lines about bad input, of all shards together.
    pub(crate) notes: Common,
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

    /// Says how many have moved of which nothing was said.
    #[cold]
    pub(crate) fn tell(&self) {
        for sum in self.sums() {
            log::info!("{sum}");
        }
    }

    /// Whether a line is to be said of a centre that moves now.
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
