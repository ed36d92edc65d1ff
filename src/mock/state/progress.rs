//! How far the search for frames has come in the bytes of one connection.

/// Bytes that may be checked inside other frames for each byte received: the length of a short frame without start bytes, in
/// which every place may begin a frame.
const CREDIT_PER_BYTE: u32 = 32;
/// Initial credit of a connection, for a doubtful frame at its start.
const CREDIT_MIN: u32 = 64 << 10;
/// Most credit that may accumulate: 4 ms of checking.
const CREDIT_MAX: u32 = 4 << 20;

/// How to treat a doubtful frame inside which a good one may still appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// As wide as what is beside it in `Progress`: both are set at once for every frame.
#[repr(u16)]
pub enum Patience {
    /// Wait for more bytes.
    #[default]
    Wait,
    /// Wait only if something has already come behind it.
    Brief,
    /// Do not wait any longer.
    Decide,
    /// The same, and no more bytes will come: an incomplete frame is no frame.
    End,
}

/// How far the search has come in a connection's waiting bytes.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// For the next call only.
    patience: Patience,
    /// How many of the waiting bytes the last call saw.
    seen: u32,
    /// No good frame begins after the first byte and before this one.
    searched: u32,
    /// Credit: bytes that may still be checked inside other frames.
    credit: u32,
    /// The byte before the waiting ones ended a frame of the device with this number, counted from 1, and may begin the next; 0: it did not.
    ended: u16,
}

impl Default for Progress {
    fn default() -> Self {
        Self { patience: Patience::Wait, seen: 0, searched: 0, credit: CREDIT_MIN, ended: 0 }
    }
}

impl Progress {
    /// The same, with that patience for the next call.
    #[must_use]
    pub fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The patience of the next call.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// The device a frame of which ended with the byte before the waiting ones, if that byte may begin the next frame.
    pub(crate) fn ended(&self) -> Option<usize> {
        usize::from(self.ended).checked_sub(1)
    }

    /// Notes that.
    pub(crate) fn set_ended(&mut self, device: Option<usize>) {
        self.ended = device.and_then(|device| u16::try_from(device + 1).ok()).unwrap_or(0);
    }

    /// The first waiting byte was given up.
    pub fn skip_first(&mut self) {
        self.ended = 0;
        (self.seen, self.searched) = (self.seen.saturating_sub(1), self.searched.saturating_sub(1));
    }

    /// The waiting bytes are gone, or another plan will search them.
    pub fn forget(&mut self) {
        (self.seen, self.searched, self.ended) = (0, 0, 0);
    }

    /// Begins a search through `len` bytes. Returns the place before which no good frame begins.
    pub(crate) fn begin(&mut self, len: usize) -> usize {
        if self.seen as usize > len {
            self.forget();
        }
        let new = (len - self.seen as usize).min(u32::MAX as usize) as u32;
        self.credit = self.credit.saturating_add(new.saturating_mul(CREDIT_PER_BYTE)).min(CREDIT_MAX);
        self.searched as usize
    }

    /// A search through `len` bytes, all of which are one frame.
    #[inline]
    pub(crate) fn whole(&mut self, len: usize) {
        if (self.seen, self.searched) == (0, 0) {
            // The same, with what most connections have: nothing waits. More brings no more credit.
            let new = len.min(CREDIT_MAX as usize) as u32;
            self.credit = (self.credit + new * CREDIT_PER_BYTE).min(CREDIT_MAX);
            (self.patience, self.ended) = (Patience::Wait, 0);
            return;
        }
        let searched = self.begin(len);
        self.end(0, searched.saturating_sub(len));
    }

    /// Pays for checking that many bytes. False if the credit does not cover it: then no credit is left.
    pub(crate) fn pay(&mut self, bytes: usize) -> bool {
        let left = u32::try_from(bytes).ok().and_then(|bytes| self.credit.checked_sub(bytes));
        self.credit = left.unwrap_or(0);
        left.is_some()
    }

    /// Ends a search: `left` bytes wait, searched up to `searched`.
    pub(crate) fn end(&mut self, left: usize, searched: usize) {
        let bounded = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (self.seen, self.searched, self.patience) = (bounded(left), bounded(searched), Patience::Wait);
        self.ended = 0;
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

    #[test]
    fn a_whole_frame_is_a_search_that_ends_with_it() {
        let check = |progress: Progress, len: usize| {
            let (mut whole, mut search) = (progress, progress);
            whole.whole(len);
            let searched = search.begin(len);
            search.end(0, searched.saturating_sub(len));
            assert_eq!(format!("{whole:?}"), format!("{search:?}"), "{progress:?} {len}");
        };
        for (seen, searched) in [(0, 0), (3, 0), (3, 2), (30, 20), (0, 7)] {
            for credit in [0, CREDIT_MIN, CREDIT_MAX - 1, CREDIT_MAX] {
                let progress = Progress { patience: Patience::End, seen, searched, credit, ended: 1 };
                for len in [0, 1, 10, CREDIT_MAX as usize / 32, usize::MAX] {
                    check(progress, len);
                }
            }
        }
    }

    #[test]
    fn progress_is_of_the_bytes_that_wait() {
        let at = |progress: &Progress| (progress.seen, progress.searched, progress.patience());
        let mut progress = Progress::default().with(Patience::Brief);
        assert_eq!((at(&progress), progress.begin(9)), ((0, 0, Patience::Brief), 0));
        // Patience is for once.
        progress.end(9, 5);
        assert_eq!((at(&progress), progress.begin(9)), ((9, 5, Patience::Wait), 5));
        progress.skip_first();
        assert_eq!(at(&progress), (8, 4, Patience::Wait));
        // Fewer than waited: they are others.
        assert_eq!((progress.begin(7), at(&progress)), (0, (0, 0, Patience::Wait)));
        progress.skip_first();
        assert_eq!(at(&progress), (0, 0, Patience::Wait));
        progress.end(3, 2);
        progress.forget();
        assert_eq!(at(&progress), (0, 0, Patience::Wait));
        progress.end(usize::MAX, usize::MAX);
        assert_eq!(at(&progress), (u32::MAX, u32::MAX, Patience::Wait));
    }
}
