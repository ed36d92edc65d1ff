//! Whether, when and how right a message is acknowledged; and acknowledgements that leave later.

use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Acknowledgements of a thread that wait; past it they do not leave and are counted. Each has its frame and 100 bytes.
pub const LATER_MAX: usize = 1 << 20;
/// Longest `--ack-delay`.
pub const ACK_DELAY_MS_MAX: u64 = 3_600_000;

/// How messages are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AckPolicy {
    /// Milliseconds from a message to its acknowledgement: at least, at most.
    pub delay_ms: (u64, u64),
    /// Share (0 to 1) of acknowledgements that are not sent.
    pub drop: f64,
    /// Share (0 to 1) of those that are sent wrong.
    pub wrong: f64,
}

/// What becomes of one acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not sent.
    Dropped,
    /// It leaves after this many milliseconds.
    Sent {
        /// The wait.
        after_ms: u64,
        /// With a wrong value.
        wrong: bool,
    },
}

impl AckPolicy {
    /// What becomes of the next one.
    pub fn draw(&self, rng: &mut Rng) -> Fate {
        if self.drop > 0.0 && rng.f64() < self.drop {
            return Fate::Dropped;
        }
        let (least, most) = self.delay_ms;
        let after_ms = if most > least { rng.u64(least..=most) } else { least };
        Fate::Sent { after_ms, wrong: self.wrong > 0.0 && rng.f64() < self.wrong }
    }

    /// Reads `--ack-delay`: milliseconds, or two of them as `FROM-TO`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn delay(text: &str) -> Result<(u64, u64), String> {
        let number = |text: &str| {
            let ms: u64 = text.trim().parse().map_err(|_| format!("{text}: milliseconds, or FROM-TO"))?;
            if ms <= ACK_DELAY_MS_MAX { Ok(ms) } else { Err(format!("{ms}: at most {ACK_DELAY_MS_MAX}")) }
        };
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (number(from)?, number(to)?);
        if from <= to { Ok((from, to)) } else { Err(format!("{from}-{to}: the first is larger")) }
    }

    /// Reads `--ack-drop` and `--ack-wrong`: a part from 0 to 1, or percent with `%`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn part(text: &str) -> Result<f64, String> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent, 100.0),
            None => (text, 1.0),
        };
        let value: f64 = number.trim().parse().map_err(|_| format!("{text}: a part from 0 to 1, or 0% to 100%"))?;
        let part = value / whole;
        if (0.0..=1.0).contains(&part) { Ok(part) } else { Err(format!("{text}: a part from 0 to 1, or 0% to 100%")) }
    }
}

/// Things that are due later, those of one time in their order.
#[derive(Debug)]
pub struct Later<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    next: u64,
}

#[derive(Debug)]
struct Due<T> {
    at_ns: u64,
    number: u64,
    what: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ns, self.number) == (other.at_ns, other.number)
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl<T> Default for Later<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next: 0 }
    }
}

impl<T> Later<T> {
    /// Puts something off. False: too many wait.
    pub fn push(&mut self, at_ns: u64, what: T) -> bool {
        if self.heap.len() >= LATER_MAX {
            return false;
        }
        self.heap.push(Reverse(Due { at_ns, number: self.next, what }));
        self.next += 1;
        true
    }

    /// What is due.
    pub fn pop(&mut self, now_ns: u64) -> Option<T> {
        if self.next_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due.what)
    }

    /// When the next one is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(due)| due.at_ns)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_and_parts_as_they_are_written() {
        let delay = |text: &str, expected: Result<(u64, u64), &str>| {
            assert_eq!(AckPolicy::delay(text), expected.map_err(str::to_owned), "{text}");
        };
        delay("0", Ok((0, 0)));
        delay("250", Ok((250, 250)));
        delay("100-900", Ok((100, 900)));
        delay("9-1", Err("9-1: the first is larger"));
        delay("soon", Err("soon: milliseconds, or FROM-TO"));
        let part = |text: &str, expected: Option<f64>| assert_eq!(AckPolicy::part(text).ok(), expected, "{text}");
        part("0", Some(0.0));
        part("0.25", Some(0.25));
        part("1", Some(1.0));
        part("25%", Some(0.25));
        part("100 %", Some(1.0));
        for wrong in ["1.5", "-0.1", "101%", "x", "", "NaN", "inf"] {
            part(wrong, None);
        }
    }

    #[test]
    fn limit_ack_delay_ms_max() {
        assert_eq!(AckPolicy::delay("3600000"), Ok((3_600_000, 3_600_000)));
        assert_eq!(AckPolicy::delay("3600001"), Err("3600001: at most 3600000".to_owned()));
    }

    #[test]
    fn limit_later_max_no_more_waits() {
        let mut later = Later::default();
        assert!((0..LATER_MAX as u64).all(|at| later.push(at, ())) && !later.push(0, ()));
        assert!(later.pop(0).is_some() && later.push(0, ()));
        assert_eq!(later.len(), LATER_MAX);
    }

    #[test]
    fn what_is_due_leaves_in_its_order() {
        let mut later = Later::default();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b')] {
            assert!(later.push(at, what));
        }
        assert_eq!((later.next_ns(), later.pop(2)), (Some(3), None));
        let all: String = std::iter::from_fn(|| later.pop(5)).collect();
        assert_eq!((&*all, later.is_empty()), ("abcd", true));
    }

    #[test]
    fn the_same_seed_has_the_same_fates() {
        let policy = AckPolicy { delay_ms: (10, 20), drop: 0.3, wrong: 0.3 };
        let draws = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..1_000).map(|_| policy.draw(&mut rng)).collect::<Vec<Fate>>()
        };
        let all = draws(7);
        assert_eq!(all, draws(7));
        let dropped = all.iter().filter(|fate| **fate == Fate::Dropped).count();
        let wrong = all.iter().filter(|fate| matches!(fate, Fate::Sent { wrong: true, .. })).count();
        assert!((250..350).contains(&dropped) && (150..270).contains(&wrong), "{dropped} {wrong}");
        assert!(all.iter().all(|fate| !matches!(fate, Fate::Sent { after_ms, .. } if !(10..=20).contains(after_ms))));
        let always = AckPolicy::default();
        assert_eq!(always.draw(&mut Rng::with_seed(1)), Fate::Sent { after_ms: 0, wrong: false });
    }
}
