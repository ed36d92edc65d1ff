//! How far an FSU or connection is in the order of its requests.

use super::profile::Profile;

/// Whose turn a request is.
#[derive(Clone, Copy, Debug)]
pub struct RequestTurn {
    /// How many of its FSU or connection went before, and this one.
    pub seq: u64,
    /// How many of its command went before, or a number that grows like that.
    pub number: u64,
}

/// How far an FSU or connection is in the order of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    at: u32,
    round: u64,
    seq: u64,
}

impl Turns {
    /// Begins at that place of a profile's order.
    pub fn new(at: u32) -> Self {
        Self { at, round: 0, seq: 0 }
    }

    /// The next request.
    #[inline]
    pub fn next(&mut self, profile: &Profile) -> (u32, RequestTurn) {
        let request = profile.sequence[self.at as usize];
        self.seq += 1;
        let turn = RequestTurn { seq: self.seq, number: profile.number(self.at, self.round) };
        self.at += 1;
        if self.at as usize == profile.sequence.len() {
            self.at = 0;
            self.round += 1;
        }
        (request, turn)
    }
}
