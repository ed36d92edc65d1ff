//! The account of an FSU: every sent request and every received frame is in exactly one column, so that a lost and a doubled reply
//! do not cancel each other out.

/// Requests and their outcomes: each settled request is in exactly one column after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All that were sent.
    pub sent: u64,
    /// With a right reply in time.
    pub good: u64,
    /// With a right reply after the time-out.
    pub late: u64,
    /// With a wrong reply.
    pub wrong: u64,
    /// Without a reply.
    pub lost: u64,
    /// Without one that should have none.
    pub silent: u64,
}

impl Requests {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.good += other.good;
        self.late += other.late;
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.silent += other.silent;
    }

    /// Those with a reply.
    pub fn replies(&self) -> u64 {
        self.good + self.late + self.wrong
    }

    /// Those whose outcome is known.
    pub fn settled(&self) -> u64 {
        self.replies() + self.lost + self.silent
    }
}

/// Requests to an FSU and frames from it, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it was asked.
    pub requests: Requests,
    /// Frames that came and are no heartbeats.
    pub received: u64,
    /// Of these, those that were classified.
    pub told: u64,
    /// Second replies.
    pub duplicate: u64,
    /// Frames that no request asked for.
    pub unexpected: u64,
}

impl Account {
    /// Adds another connection's to the same FSU.
    pub fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        self.received += other.received;
        self.told += other.told;
        self.duplicate += other.duplicate;
        self.unexpected += other.unexpected;
    }

    /// Is every request in one column?
    pub fn balances(&self) -> bool {
        self.requests.sent == self.requests.settled()
    }

    /// Is every frame that came one reply to one request, a second one or an unexpected one?
    pub fn has_all_received(&self) -> bool {
        self.received == self.told
    }

    /// Requests and frames with a fault.
    pub fn faults(&self) -> u64 {
        self.requests.late + self.requests.wrong + self.requests.lost + self.duplicate + self.unexpected
    }

    /// Is nothing wrong?
    pub fn is_right(&self) -> bool {
        self.faults() == 0 && self.balances()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h07_a_lost_and_a_doubled_reply_are_not_a_good_one() {
        // sent, good, late, wrong, lost, silent; received, told, duplicate, unexpected
        let check = |requests: [u64; 6], frames: [u64; 4], expected: [bool; 3]| {
            let [sent, good, late, wrong, lost, silent] = requests;
            let [received, told, duplicate, unexpected] = frames;
            let requests = Requests { sent, good, late, wrong, lost, silent };
            let account = Account { requests, received, told, duplicate, unexpected };
            let found = [account.balances(), account.has_all_received(), account.is_right()];
            assert_eq!(found, expected, "{requests:?} {frames:?}");
        };
        check([9, 9, 0, 0, 0, 0], [9, 9, 0, 0], [true, true, true]);
        check([9, 7, 0, 0, 0, 2], [7, 7, 0, 0], [true, true, true]);
        check([9, 8, 0, 0, 1, 0], [9, 9, 1, 0], [true, true, false]);
        check([9, 5, 1, 2, 1, 0], [9, 9, 0, 1], [true, true, false]);
        check([9, 8, 0, 0, 0, 0], [9, 9, 1, 0], [false, true, false]);
        check([9, 9, 0, 0, 0, 0], [10, 9, 0, 0], [true, false, true]);
    }
}
