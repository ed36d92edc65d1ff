//! FSUs that dial out: what a shard keeps of each, and how many dials a second all shards make.

use super::io::ConnId;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// A dial that has no answer after this time has failed, in milliseconds. The kernel by itself takes two minutes.
pub const DIAL_TIMEOUT_MS: u64 = 10_000;

/// Dials begun before the shard looks at what else there is to do. They then pause for as long as they took: thousands that are due at
/// once leave half of the shard's time to connections that are up.
pub const DIALS_AT_ONCE_MAX: usize = 32;

/// What an FSU that dials does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not dial.
    Off,
    /// Its next dial is due then, on the monotonic clock in milliseconds.
    Waits(u64),
    /// Its dial is due, and it waits for its turn.
    Queued,
    /// It is in an outage, which ends the wait.
    Held,
    /// Its connection is being opened.
    Dialling(ConnId),
    /// Its connection is up since then, in milliseconds.
    Up(ConnId, u64),
}

/// One FSU that dials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dial {
    pub(crate) state: State,
    /// Dials in a row that brought no lasting connection.
    pub(crate) failures: u32,
    /// Waits drawn so far: the number of the next one's generator.
    pub(crate) draws: u32,
}

const OFF: Dial = Dial { state: State::Off, failures: 0, draws: 0 };
const _: () = assert!(size_of::<Dial>() <= 32, "of a large fleet each byte counts");

/// The FSUs of a shard that dial, by their places; empty where none does.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    all: Vec<Dial>,
    /// Those whose dials are due, in that order.
    queue: VecDeque<u32>,
    /// The turn of the first of them is in the wheel.
    is_timed: bool,
}

impl Dials {
    /// How many places there are.
    pub(crate) fn places(&self) -> u32 {
        self.all.len() as u32
    }

    /// One of them.
    #[inline]
    pub(crate) fn get_mut(&mut self, socket: u32) -> Option<&mut Dial> {
        self.all.get_mut(socket as usize)
    }

    /// What one does now.
    #[inline]
    pub(crate) fn state(&self, socket: u32) -> State {
        self.all.get(socket as usize).map_or(State::Off, |dial| dial.state)
    }

    /// The next one whose dial is due. Those that do something else by now are left out.
    pub(crate) fn next_due(&mut self) -> Option<u32> {
        while let Some(&socket) = self.queue.front() {
            if self.state(socket) == State::Queued {
                return Some(socket);
            }
            self.queue.pop_front();
        }
        None
    }

    /// One's dial is due: it is the last in the queue. True: the queue's turn has to be put into the wheel.
    pub(crate) fn enqueue(&mut self, socket: u32) -> bool {
        self.set(socket, State::Queued);
        self.queue.push_back(socket);
        !std::mem::replace(&mut self.is_timed, true)
    }

    /// The first of the queue has left it.
    pub(crate) fn leave_queue(&mut self) {
        self.queue.pop_front();
    }

    /// The queue's turn is in the wheel, or not.
    pub(crate) fn set_timed(&mut self, on: bool) {
        self.is_timed = on;
    }

    /// Nobody waits for a turn any more, and the wheel holds none.
    pub(crate) fn clear_queue(&mut self) {
        self.queue = VecDeque::new();
        self.is_timed = false;
    }

    /// Whether its connection is up.
    pub(crate) fn is_up(&self, socket: u32) -> bool {
        matches!(self.state(socket), State::Up(..))
    }

    /// Changes that.
    pub(crate) fn set(&mut self, socket: u32, state: State) {
        let place = socket as usize;
        if self.all.len() <= place {
            if state == State::Off {
                return;
            }
            self.all.resize(place + 1, OFF);
        }
        self.all[place].state = state;
    }

    /// The place is another FSU's.
    pub(crate) fn forget(&mut self, socket: u32) {
        if let Some(dial) = self.all.get_mut(socket as usize) {
            *dial = OFF;
        }
    }
}

/// The dials of all shards, at most `per_second` a second: they are at least a gap apart, but for those of the last two milliseconds,
/// which a shard that wakes up late makes together.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// 0: no bound.
    gap_ns: AtomicU64,
    /// When the next one may be, on the monotonic clock.
    next_ns: AtomicU64,
}

/// How late a dial may be without a loss of pace.
const SLACK_NS: u64 = 2_000_000;

impl Pace {
    /// Sets it; every shard does.
    pub(crate) fn set(&self, per_second: Option<NonZeroU32>) {
        let gap_ns = per_second.map_or(0, |many| 1_000_000_000_u64.div_ceil(many.get().into()));
        self.gap_ns.store(gap_ns, Ordering::Relaxed);
    }

    /// Takes one dial.
    ///
    /// # Errors
    /// When to ask again, where none may be made now.
    pub(crate) fn take(&self, now_ns: u64) -> Result<(), u64> {
        let gap_ns = self.gap_ns.load(Ordering::Relaxed);
        if gap_ns == 0 {
            return Ok(());
        }
        let after = |next_ns: u64| next_ns.max(now_ns.saturating_sub(SLACK_NS)).saturating_add(gap_ns);
        let taken = self
            .next_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next_ns| (next_ns <= now_ns).then(|| after(next_ns)));
        taken.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When dials are made that are asked for as soon as they may be, looking each `look_ns`.
    fn dials(per_second: u32, look_ns: u64, until_ns: u64) -> Vec<u64> {
        let pace = Pace::default();
        pace.set(NonZeroU32::new(per_second));
        let start_ns = 1_000_000_000;
        let mut made = Vec::new();
        for now_ns in (start_ns..start_ns + until_ns).step_by(look_ns as usize) {
            while pace.take(now_ns).is_ok() {
                made.push(now_ns - start_ns);
            }
        }
        made
    }

    #[test]
    fn limit_per_second_is_exact_and_has_no_burst() {
        for (per_second, look_ns) in
            [(1, 250_000), (500, 250_000), (500, 1_000), (10_000, 250_000), (10_000, 3_000_000)]
        {
            let made = dials(per_second, look_ns, 2_000_000_000);
            let gap_ns = 1_000_000_000 / u64::from(per_second);
            for (first, &at_ns) in made.iter().enumerate() {
                let within = |ns: u64| made[first..].iter().take_while(|&&later| later < at_ns + ns).count() as u64;
                for ns in [1_000_000, 100_000_000, 1_000_000_000] {
                    let most = (ns + SLACK_NS) / gap_ns + 1;
                    assert!(within(ns) <= most, "{per_second} a second: {} within {ns} ns", within(ns));
                }
            }
            // A shard that looks often enough makes all of them.
            if look_ns < SLACK_NS {
                let many = made.len() as u64;
                assert!((2 * u64::from(per_second)..=2 * u64::from(per_second) + 21).contains(&many), "{many}");
            }
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let pace = Pace::default();
        pace.set(NonZeroU32::new(100));
        assert_eq!(pace.take(1_000_000_000), Ok(()));
        assert_eq!(pace.take(1_000_000_000), Err(1_008_000_000));
        assert_eq!([pace.take(9_000_000_000), pace.take(9_000_000_000)], [Ok(()), Err(9_008_000_000)]);
    }
}
