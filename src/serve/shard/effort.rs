//! What work costs. It is counted, not timed, so that a turn can be shared without reading the clock for each frame.

/// What a frame costs besides its bytes, in copied bytes: to find it, to choose its reply and to build that.
pub(crate) const FRAME_EFFORT: usize = 1 << 10;
/// What it costs to accept a connection, or to end one.
pub(crate) const CONN_EFFORT: usize = 16 << 10;
/// What a subject may cost before it is interrupted: half a millisecond. A connection's read of short requests is below that.
pub(crate) const QUANTUM: usize = 1 << 20;

/// The work so far: bytes in, bytes out and [`FRAME_EFFORT`] for each frame. A unit is about 0.4 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    done: u64,
    /// Where the current work is interrupted.
    until: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { done: 0, until: u64::MAX }
    }
}

impl Effort {
    /// Counts work.
    #[inline]
    pub(crate) fn add(&mut self, effort: usize) {
        self.done = self.done.wrapping_add(effort as u64);
    }

    /// All work so far; never reset.
    #[inline]
    pub(crate) fn done(self) -> u64 {
        self.done
    }

    /// Done since then.
    #[inline]
    pub(crate) fn since(self, then: u64) -> usize {
        self.done.wrapping_sub(then) as usize
    }

    /// Allows the work that starts now to cost this much.
    #[inline]
    pub(crate) fn allow(&mut self, effort: usize) {
        self.until = self.done.saturating_add(effort as u64);
    }

    /// Allows any cost.
    #[inline]
    pub(crate) fn allow_all(&mut self) {
        self.until = u64::MAX;
    }

    /// What the current work may still cost.
    #[inline]
    pub(crate) fn left(self) -> usize {
        self.until.saturating_sub(self.done) as usize
    }

    /// Whether the current work has used up its allowance.
    #[inline]
    pub(crate) fn is_over(self) -> bool {
        self.done >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_frame_effort_and_conn_effort() {
        let mut effort = Effort::default();
        effort.add(FRAME_EFFORT);
        assert!(!effort.is_over());
        effort.allow(10);
        effort.add(9);
        assert!(!effort.is_over());
        effort.add(1);
        assert!(effort.is_over() && effort.since(1_024) == 10);
        effort.allow_all();
        assert!(!effort.is_over());
        assert_eq!((FRAME_EFFORT, CONN_EFFORT), (1_024, 16_384));
    }
}
