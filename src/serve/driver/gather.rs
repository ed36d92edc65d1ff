//! At part load: whether to let requests gather for a moment, so that one wake-up serves several.
//!
//! A shard that is neither idle nor busy is woken for one or two requests at a time, and being woken costs as much as what it is
//! woken for. Network cards have the same trouble, and the same remedy: interrupts are moderated. A peer that waits for its reply
//! before it asks again would ask less often, though. So it is tried for one window, kept only while no fewer requests come than
//! without, and compared again from time to time.

use std::time::Duration;

/// How long requests gather, by default, in microseconds. The kernel's timer slack, 50 us, comes on top of it.
pub const GATHER_US: u32 = 50;
/// The longest time that may be asked for, in microseconds.
pub const GATHER_US_MAX: u32 = 1_000;

/// Requests are counted for so long before it is decided.
const WINDOW_MS: u64 = 20;
/// Requests a second from which on it can pay: two or three come meanwhile.
const RATE_MIN: u64 = 30_000;
/// With this many requests a wait on average, they gather by themselves.
const BATCH: u64 = 8;
/// After a turn with this many requests do not pause: there may be much to do.
const TURN_MAX: usize = 16;
/// Do not pause if this many completions are already queued.
const READY_MAX: usize = 4;
/// Fewer requests than this share of those without it: it is what keeps them away.
const SHARE: (u64, u64) = (7, 8);
/// Windows after which one without is compared again: some 1.6 % of the time.
const WINDOWS: u32 = 64;
/// Not tried again for so long after it kept requests away; twice as long each time, up to the second.
const BACKOFF_MS: (u64, u64) = (1_000, 64_000);

/// What is known of the traffic, and what was decided.
#[derive(Debug)]
pub(crate) struct Gather {
    /// How long; zero: never.
    pub(crate) pause: Duration,
    is_on: bool,
    /// Of this turn.
    taken: usize,
    /// Of this window.
    began_ms: u64,
    messages: u64,
    waits: u64,
    /// Requests a second in the last window without, and the average of those with it; 0: none yet.
    without: u64,
    with: u64,
    /// Windows with it, since the last one without.
    windows: u32,
    not_before_ms: u64,
    backoff_ms: u64,
}

impl Gather {
    /// Not yet, from `now_ms` on.
    pub(crate) fn new(pause: Duration, now_ms: u64) -> Self {
        Self {
            pause,
            is_on: false,
            taken: 0,
            began_ms: now_ms,
            messages: 0,
            waits: 0,
            without: 0,
            with: 0,
            windows: 0,
            not_before_ms: 0,
            backoff_ms: BACKOFF_MS.0,
        }
    }

    /// Number of messages that came.
    #[inline]
    pub(crate) fn took(&mut self, messages: usize) {
        self.taken += messages;
    }

    /// A turn is over. Whether to pause before the next wait.
    #[inline]
    pub(crate) fn is_due(&mut self, now_ms: u64) -> bool {
        let taken = std::mem::take(&mut self.taken);
        self.messages += taken as u64;
        self.waits += 1;
        if now_ms.saturating_sub(self.began_ms) >= WINDOW_MS {
            self.judge(now_ms);
        }
        self.is_on && (1..TURN_MAX).contains(&taken)
    }

    /// A window is over.
    #[inline(never)]
    fn judge(&mut self, now_ms: u64) {
        let rate = self.messages * 1_000 / (now_ms - self.began_ms);
        let is_small = self.messages < self.waits * BATCH;
        (self.began_ms, self.messages, self.waits) = (now_ms, 0, 0);
        let fewer = |with: u64, without: u64| with * SHARE.1 < without * SHARE.0;
        if self.is_on {
            self.with = if self.with == 0 { rate } else { (7 * self.with + rate) / 8 };
            self.windows += 1;
            if fewer(self.with, self.without) {
                self.end(now_ms);
            } else if self.windows == WINDOWS {
                (self.is_on, self.backoff_ms) = (false, BACKOFF_MS.0);
            }
            return;
        }
        if self.with > 0 && fewer(self.with, rate) {
            self.end(now_ms);
        }
        let may = !self.pause.is_zero() && now_ms >= self.not_before_ms;
        self.is_on = may && is_small && rate >= RATE_MIN;
        (self.without, self.with, self.windows) = (rate, 0, 0);
    }

    /// It kept requests away.
    fn end(&mut self, now_ms: u64) {
        (self.is_on, self.with) = (false, 0);
        self.not_before_ms = now_ms + self.backoff_ms;
        self.backoff_ms = (2 * self.backoff_ms).min(BACKOFF_MS.1);
    }
}

/// Whether few enough requests are queued for a pause.
#[inline]
pub(crate) fn is_few(ready: usize) -> bool {
    ready < READY_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traffic for some time, in turns that each last as long as what they take and the wait for more.
    struct Peers {
        gather: Gather,
        now_us: u64,
    }

    impl Peers {
        fn new() -> Self {
            Self { gather: Gather::new(Duration::from_micros(100), 0), now_us: 0 }
        }

        /// Runs for so long; `next` tells what comes in a turn and how many microseconds it takes, with or without a pause
        /// before it. Per cent of the turns with one, and requests a second.
        fn run(&mut self, seconds: u64, next: impl Fn(bool) -> (usize, u64)) -> (u64, u64) {
            let (end_us, mut turns, mut paused, mut requests) = (self.now_us + seconds * 1_000_000, 0, 0, 0);
            while self.now_us < end_us {
                let is_due = self.gather.is_due(self.now_us / 1_000);
                let (count, took_us) = next(is_due);
                self.gather.took(count);
                self.now_us += took_us;
                (turns, paused, requests) = (turns + 1, paused + u64::from(is_due), requests + count as u64);
            }
            (paused * 100 / turns, requests / seconds)
        }
    }

    #[test]
    fn where_peers_do_not_wait_it_stays() {
        // 100,000 a second, whatever is done.
        let (paused, rate) = Peers::new().run(10, |pause| if pause { (10, 100) } else { (1, 10) });
        assert!(paused > 80 && rate == 100_000, "{paused} % {rate}");
    }

    #[test]
    fn where_peers_wait_for_replies_it_is_given_up() {
        // Four under way: as soon as they have their replies they ask again.
        let mut peers = Peers::new();
        let (_, rate) = peers.run(10, |pause| if pause { (4, 140) } else { (4, 40) });
        assert!(rate > 98_000, "{rate} of 100,000");
        let (_, rate) = peers.run(100, |pause| if pause { (4, 140) } else { (4, 40) });
        assert!(rate > 99_800, "{rate} of 100,000");
    }

    #[test]
    fn a_loss_that_shows_only_later_ends_it() {
        // As many as without at first, later they ask only when they have their replies.
        let mut peers = Peers::new();
        assert!(peers.run(2, |pause| if pause { (6, 100) } else { (1, 16) }).0 > 50);
        let (_, rate) = peers.run(20, |pause| if pause { (6, 130) } else { (1, 16) });
        assert!(rate > 61_000, "{rate} of 62,500");
    }

    #[test]
    fn neither_idle_nor_busy() {
        let check = |next: fn(bool) -> (usize, u64)| assert_eq!(Peers::new().run(5, next).0, 0);
        // Seldom; nothing; much at a time.
        check(|_| (1, 50));
        check(|_| (0, 10_000));
        check(|_| (20, 60));
        let mut off = Peers { gather: Gather::new(Duration::ZERO, 0), now_us: 0 };
        assert_eq!(off.run(5, |_| (1, 10)).0, 0, "it was not asked for");
    }

    #[test]
    fn limit_ready_max_where_so_many_are_there_nothing_is_gathered() {
        assert_eq!([0, 3, 4, 9].map(is_few), [true, true, false, false]);
    }

    #[test]
    fn limit_turn_max_a_busy_turn_is_followed_by_the_next_at_once() {
        let mut peers = Peers::new();
        peers.run(1, |_| (1, 10));
        assert!(peers.gather.is_on && peers.gather.is_due(peers.now_us / 1_000));
        for (taken, expected) in [(0, false), (1, true), (15, true), (16, false)] {
            peers.gather.took(taken);
            assert_eq!(peers.gather.is_due(peers.now_us / 1_000), expected, "{taken}");
        }
    }
}
