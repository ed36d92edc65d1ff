//! When a centre resets all connections on purpose (`--reset-at`).

use crate::hear::resets::Reset;

/// The moments of a thread.
#[derive(Debug, Default)]
pub struct Resets {
    at_ns: Vec<u64>,
    next: usize,
}

impl Resets {
    /// In this order.
    pub fn new(at_ns: &[u64]) -> Self {
        Self { at_ns: at_ns.to_vec(), next: 0 }
    }

    /// When the next one is.
    #[inline]
    pub fn next_ns(&self) -> u64 {
        self.at_ns.get(self.next).copied().unwrap_or(u64::MAX)
    }

    /// The one that is due, once.
    pub fn take(&mut self, now_ns: u64) -> Option<Reset> {
        let at_ns = *self.at_ns.get(self.next).filter(|&&at_ns| at_ns <= now_ns)?;
        self.next += 1;
        Some(Reset::new(at_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_comes_once() {
        let mut resets = Resets::new(&[5, 9]);
        assert_eq!((resets.next_ns(), resets.take(4).is_none()), (5, true));
        let [first, second] = [resets.take(20), resets.take(20)].map(|reset| reset.map(|reset| reset.at_ns));
        assert_eq!((first, second, resets.next_ns(), resets.take(99).is_none()), (Some(5), Some(9), u64::MAX, true));
    }
}
