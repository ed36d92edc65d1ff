//! When bytes of a connection may have arrived at the earliest, from the moments at which the loop polled its sockets (docs/use/lateness.md).
//!
//! A stream has no arrival stamp for each request. The loop knows only when it polled: what one poll brings and the poll before did not
//! have arrived in between. A poll is called a look here. All moments are on the monotonic clock, in nanoseconds.

use std::time::Duration;

/// The longest wait while a connection is open: a stop that ends within a wait is not seen.
const OPEN_WAIT_NS_MAX: u64 = 4_000_000;
/// After a longer turn, the sockets are polled before the next wait.
const TURN_NS_MAX: u64 = 1_000_000;
/// A wait that ends sooner may not have waited at all: its events may have been there when it began.
const BRIEF_NS: u64 = 50_000;
/// How much longer than reported the bytes of an open connection may have waited at most: a wait, and the turn before it.
pub(crate) const UNSEEN_NS_MAX: u64 = OPEN_WAIT_NS_MAX + TURN_NS_MAX;

/// The looks of one loop.
#[derive(Debug)]
pub(crate) struct Looks {
    /// All that was there at this moment has been handed over.
    seen_ns: u64,
    /// What this look has handed over was all that its socket had then.
    this_ns: u64,
    /// What this look brings was not there before.
    arrived_ns: u64,
    /// What had come by then into a connection that was watched was handed over before this look.
    known_ns: u64,
    /// When the wait began, and how long it was to last at the most.
    before_ns: u64,
    asked_ns: u64,
    /// The last look was full: since when, and after how many more looks all of that has been reported.
    behind: Option<(u64, u32)>,
}

/// What a look left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// The look was full. All that was there is reported after this many looks.
    Some(u32),
}

impl Looks {
    /// Of a loop that has looked just now.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self {
            seen_ns: now_ns,
            this_ns: now_ns,
            arrived_ns: now_ns,
            known_ns: now_ns,
            before_ns: now_ns,
            asked_ns: 0,
            behind: None,
        }
    }

    /// Before a wait of that length: how long it may be. After a long turn, or a look that could not tell of all, it is a look only:
    /// what is there then has come meanwhile.
    #[inline]
    pub(crate) fn before(&mut self, now_ns: u64, wait: Duration, is_open: bool) -> Duration {
        let longest_ns = if self.behind.is_some() || now_ns.saturating_sub(self.seen_ns) > TURN_NS_MAX {
            0
        } else if is_open {
            OPEN_WAIT_NS_MAX
        } else {
            u64::MAX
        };
        let wait = wait.min(Duration::from_nanos(longest_ns));
        (self.before_ns, self.asked_ns) = (now_ns, wait.as_nanos() as u64);
        wait
    }

    /// The wait has not begun before that.
    #[inline]
    pub(crate) fn begins(&mut self, now_ns: u64) {
        self.before_ns = now_ns;
    }

    /// The wait has ended; since when what it brings may have been there.
    #[inline]
    pub(crate) fn after(&mut self, now_ns: u64, left: Left) -> u64 {
        // It ought to have ended by then. If it lasted longer, it may have been kept from telling what came after that.
        self.this_ns = now_ns.min(self.before_ns.saturating_add(self.asked_ns));
        // Then nothing was there when it began, and the first that came has ended it.
        let has_waited = self.asked_ns > 0 && now_ns.saturating_sub(self.before_ns) >= BRIEF_NS;
        self.arrived_ns = if has_waited { self.this_ns } else { self.seen_ns };
        self.known_ns = if has_waited { self.before_ns } else { self.seen_ns };
        match (left, self.behind) {
            (Left::Nothing, _) => (self.seen_ns, self.behind) = (self.this_ns, None),
            (Left::Some(looks), Some((since_ns, 0 | 1))) => {
                (self.seen_ns, self.behind) = (since_ns, Some((self.this_ns, looks)));
            }
            (Left::Some(_), Some((since_ns, more))) => self.behind = Some((since_ns, more - 1)),
            (Left::Some(looks), None) => {
                if has_waited {
                    self.seen_ns = self.this_ns;
                }
                self.behind = Some((self.this_ns, looks));
            }
        }
        self.arrived_ns
    }

    /// Since when the next bytes of a connection, which this look brings, may have been there, or its end.
    #[inline]
    pub(crate) fn arrived(&self, unread: &Unread) -> u64 {
        match unread.left {
            0 => unread.since_ns.max(self.arrived_ns),
            // It was watched, and had nothing then.
            UNKNOWN if unread.later_ns < self.known_ns => unread.since_ns.max(self.arrived_ns),
            _ => unread.since_ns,
        }
    }

    /// Bytes of a connection were read with this look, of which the kernel has `left` more; since when the first of them may have been
    /// there. `now_ns`: not after `left` was asked for.
    #[inline]
    pub(crate) fn read(&self, unread: &mut Unread, count: usize, left: usize, now_ns: u64) -> u64 {
        let arrived_ns = self.arrived(unread);
        let left = left.min(HELD as usize - 1) as u32;
        if unread.left == HELD {
            // It was not watched meanwhile.
            let since_ns = if left == 0 { unread.later_ns } else { arrived_ns };
            *unread = Unread { since_ns, left: if left == 0 { UNKNOWN } else { left }, later_ns: now_ns };
        } else if left == 0 {
            *unread = Unread { since_ns: self.this_ns, left: 0, later_ns: 0 };
        } else if unread.left == 0 || unread.left == UNKNOWN {
            *unread = Unread { since_ns: arrived_ns, left, later_ns: now_ns };
        } else if unread.left as usize > count {
            unread.left -= count as u32;
        } else {
            *unread = Unread { since_ns: unread.later_ns, left, later_ns: now_ns };
        }
        arrived_ns
    }

    /// How many bytes of a connection the kernel certainly has, after `count` were read; `None`: ask the kernel.
    #[inline]
    pub(crate) fn left(unread: &Unread, count: usize) -> Option<usize> {
        match unread.left {
            0 | UNKNOWN | HELD => None,
            left => (left as usize).checked_sub(count).filter(|left| *left > 0),
        }
    }

    /// This look reported bytes of a connection that was not read.
    pub(crate) fn leave(&self, unread: &mut Unread, now_ns: u64) {
        if unread.left == 0 || unread.left == UNKNOWN {
            *unread = Unread::since(self.arrived(unread), now_ns);
        }
    }

    /// This look reported bytes of a connection that are read or handled later.
    pub(crate) fn hold(&self, unread: &mut Unread) {
        if unread.left == 0 || unread.left == UNKNOWN {
            *unread = Unread { since_ns: self.arrived(unread), left: HELD, later_ns: self.this_ns };
        }
    }
}

const UNKNOWN: u32 = u32::MAX;
/// Some are there.
const HELD: u32 = UNKNOWN - 1;

/// What is known of the bytes that the kernel has of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The next bytes are not from before.
    since_ns: u64,
    /// How many the kernel had when it was last asked, minus those read since; 0: none.
    left: u32,
    /// Those behind them are not from before; where it is not known how many were there: it is watched since then.
    later_ns: u64,
}

impl Unread {
    /// Of a connection that is watched from now on, whose bytes may have been there since `since_ns`.
    pub fn since(since_ns: u64, now_ns: u64) -> Self {
        Self { since_ns, left: UNKNOWN, later_ns: now_ns }
    }

    /// The connection was not watched, and is from now on.
    pub fn watch(&mut self, now_ns: u64) {
        if self.left == 0 || self.left == UNKNOWN {
            *self = Self::since(self.since_ns, now_ns);
        }
    }
}
