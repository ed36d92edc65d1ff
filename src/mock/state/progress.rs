//! How far the search for frames has come in the bytes of one connection.

/// Bytes that may be checked inside other frames for each byte received: as many as a short frame without a start has, all of
/// whose places may begin one.
const CREDIT_PER_BYTE: u32 = 32;
/// And these for each connection, for a doubtful frame at its begin.
const CREDIT_MIN: u32 = 64 << 10;
/// What may be saved up: 4 ms of checking.
const CREDIT_MAX: u32 = 4 << 20;

/// What is done about a doubtful frame in which a good one may still come to light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// It waits.
    #[default]
    Wait,
    /// It waits only where something has come behind it already.
    Brief,
    /// It has waited for long enough.
    Decide,
    /// The same, and nothing more comes: what is not whole is no frame.
    End,
}

/// How far the search has come in the bytes that wait. Of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is to be done now.
    patience: Patience,
    /// Bytes of those that wait which were there the last time.
    seen: u32,
    /// Behind the first byte and before this one no good frame begins.
    searched: u32,
    /// Bytes that may still be checked inside other frames.
    credit: u32,
}

impl Default for Progress {
    fn default() -> Self {
        Self { patience: Patience::Wait, seen: 0, searched: 0, credit: CREDIT_MIN }
    }
}

impl Progress {
    /// To go on like that, once.
    #[must_use]
    pub fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// How it is to go on now.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// The first byte of those that wait was given up.
    pub fn skip_first(&mut self) {
        (self.seen, self.searched) = (self.seen.saturating_sub(1), self.searched.saturating_sub(1));
    }

    /// What waited is gone, or is to be looked at by another plan.
    pub fn forget(&mut self) {
        (self.seen, self.searched) = (0, 0);
    }

    /// So many bytes are there now.
    pub(crate) fn begin(&mut self, len: usize) -> usize {
        if self.seen as usize > len {
            self.forget();
        }
        let new = (len - self.seen as usize).min(u32::MAX as usize) as u32;
        self.credit = self.credit.saturating_add(new.saturating_mul(CREDIT_PER_BYTE)).min(CREDIT_MAX);
        self.searched as usize
    }

    /// Takes what checking so many bytes costs; false, and nothing is left, where that is more than there is.
    pub(crate) fn pay(&mut self, bytes: usize) -> bool {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.credit.checked_sub(bytes));
        self.credit = left.unwrap_or(0);
        left.is_some()
    }

    /// So many are left, in which the search has come to `searched`.
    pub(crate) fn end(&mut self, left: usize, searched: usize) {
        let bounded = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (self.seen, self.searched, self.patience) = (bounded(left), bounded(searched), Patience::Wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_credit_min_and_credit_per_byte_and_credit_max() {
        let mut progress = Progress::default();
        let check = |progress: &mut Progress, bytes: usize| {
            assert!(progress.clone().pay(bytes), "{progress:?}");
            assert!(!progress.pay(bytes + 1), "{progress:?}");
            // What was too much took all there was.
            assert!(!progress.pay(1), "{progress:?}");
        };
        check(&mut progress.clone(), 65_536);
        progress.begin(10);
        check(&mut progress.clone(), 65_536 + 320);
        progress.end(10, 0);
        // Bytes that were there before bring nothing.
        progress.begin(11);
        check(&mut progress.clone(), 65_536 + 352);
        progress.begin(1 << 20);
        check(&mut progress, 4_194_304);
    }
}
