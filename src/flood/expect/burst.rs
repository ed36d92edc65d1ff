//! The replies to one request where a rule has a `burst`: which entries of its cycle may come next, and how many. Pure.
//!
//! The first entry of a burst is not known: the cycle belongs to the device, and other requests may have moved it. So the first reply
//! may be any entry, and the ones after it have to be the entries behind that. One that is missing leaves a gap.

/// Possible first entries of a burst that are tracked. If more entries look alike, any entry is accepted.
const BEGINNINGS_MAX: usize = 64;

/// What is known of the replies to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// Replies that the rule gives.
    replies: u32,
    /// Of these, how many are still to come.
    left: u32,
    /// One of those that came was wrong.
    is_spoilt: bool,
    /// Where it may have begun; empty before the first reply.
    beginnings: Vec<Beginning>,
    /// Any entry is accepted.
    any: bool,
}

/// An entry that the first reply may have been.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Beginning {
    entry: usize,
    /// Places that came, counted from there, in their order. One that overtook the first is negative.
    came: Vec<i64>,
}

impl Beginning {
    /// Takes a reply that looks like these entries: for the next place, and where replies may overtake, for one that is
    /// missing. False: none of them has its turn.
    fn take(&mut self, replies: i64, may_overtake: bool, looks_like: &[bool]) -> bool {
        let (Some(&first), Some(&last)) = (self.came.first(), self.came.last()) else { return false };
        let entries = looks_like.len() as i64;
        let fits = |place: &i64| looks_like[(self.entry as i64 + place).rem_euclid(entries) as usize];
        let mut found = (last + 1..first + replies).find(fits);
        if may_overtake && found.is_none() {
            let before = (last - replies + 1..last).rev();
            found = before.filter(|place| self.came.binary_search(place).is_err()).find(fits);
        }
        let Some(place) = found else { return false };
        let at = self.came.partition_point(|came| *came < place);
        self.came.insert(at, place);
        true
    }
}

impl Burst {
    /// Nothing came yet. `is_known`: the entries are those of one rule.
    pub fn new(replies: u32, is_known: bool) -> Self {
        Self { replies, left: replies, is_spoilt: false, beginnings: Vec::new(), any: !is_known }
    }

    /// Replies that are still to come.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Has any reply come?
    pub fn has_begun(&self) -> bool {
        self.left < self.replies
    }

    /// Was one of them wrong?
    pub fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// As it is after a reply that looks like these entries of the cycle; `None`: its turn is another's.
    pub fn after(&self, may_overtake: bool, looks_like: &[bool]) -> Option<Self> {
        let mut after = self.clone();
        after.left = self.left.checked_sub(1)?;
        if after.any {
            return Some(after);
        }
        if after.beginnings.is_empty() {
            let entries = looks_like.iter().enumerate().filter(|(_, looks)| **looks);
            after.beginnings = entries.map(|(entry, _)| Beginning { entry, came: vec![0] }).collect();
            after.any = after.beginnings.len() > BEGINNINGS_MAX;
            if after.any {
                after.beginnings.clear();
                return Some(after);
            }
        } else {
            let replies = i64::from(self.replies);
            after.beginnings.retain_mut(|beginning| beginning.take(replies, may_overtake, looks_like));
        }
        (!after.beginnings.is_empty()).then_some(after)
    }

    /// A wrong reply came: it takes a place, too.
    pub fn spoil(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.is_spoilt = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies as the entries that come, of a cycle whose entries look as the letters say; which of them have their turn.
    fn check(cycle: &str, replies: u32, may_overtake: bool, came: &str, expected: &str) {
        let mut burst = Burst::new(replies, true);
        let mut turns = String::new();
        for entry in came.chars() {
            let looks_like: Vec<bool> = cycle.chars().map(|other| other == entry).collect();
            match burst.after(may_overtake, &looks_like) {
                Some(after) => {
                    burst = after;
                    turns.push('+');
                }
                None => turns.push('-'),
            }
        }
        assert_eq!(turns, expected, "{cycle} {came}");
    }

    #[test]
    fn n15_each_reply_of_a_burst_has_its_turn() {
        check("abcde", 3, false, "abc", "+++");
        check("abcde", 3, false, "dea", "+++");
        check("abcde", 3, false, "aa", "+-");
        check("abcde", 3, false, "ba", "+-");
        check("abcde", 3, false, "abe", "++-");
        // A fourth has no place.
        check("abcde", 3, false, "abcd", "+++-");
        // More replies than entries.
        check("ab", 5, false, "babab", "+++++");
        check("ab", 5, false, "bb", "++");
        check("a", 3, false, "aaa", "+++");
    }

    #[test]
    fn n15_a_reply_may_be_missing_or_overtake() {
        check("abcde", 3, false, "ac", "++");
        check("abcde", 3, false, "acb", "++-");
        check("abcde", 3, true, "acb", "+++");
        check("abcde", 3, true, "bac", "+++");
        check("abcde", 3, true, "cab", "+++");
        check("abcde", 3, true, "aa", "+-");
        // `d` as the first of them, or too far away.
        check("abcde", 3, true, "ad", "++");
        check("abcdefg", 3, true, "ad", "+-");
        check("abcde", 3, true, "ace", "++-");
    }

    #[test]
    fn n15_entries_that_look_alike_are_all_possible() {
        check("aab", 2, false, "ab", "++");
        check("aab", 2, false, "aa", "++");
        check("aab", 2, false, "ba", "++");
        check("aab", 2, false, "bb", "+-");
        check("aabaac", 3, false, "abaa", "+++-");
    }

    #[test]
    fn limit_beginnings_max() {
        // A `b` follows only the last `a`; past the limit anything will do.
        let cycle = |alike: usize| "a".repeat(alike) + "bc";
        check(&cycle(64), 3, false, "aba", "++-");
        check(&cycle(65), 3, false, "aba", "+++");
        check(&cycle(65), 3, false, "abaa", "+++-");
    }

    #[test]
    fn a_burst_that_is_not_known_is_counted_only() {
        let burst = Burst::new(2, false);
        let one = burst.after(false, &[]).unwrap();
        assert!(one.has_begun() && !burst.has_begun());
        let two = one.after(false, &[]).unwrap();
        assert_eq!((two.left(), two.after(false, &[])), (0, None));
    }
}
