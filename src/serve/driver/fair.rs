//! Whose turn it is. Short work comes first, in order of arrival; longer work waits in a line.
//!
//! A turn is what a driver does between two polls of its sockets. An event is **light** if it brings few bytes: one request, or a few.
//! Light events are handled first, for at most [`TURN_NS`]; the rest of them come first in the next turn. Then the [`Line`] gets the same
//! time: a deficit round robin of sockets and connections, each of which may cost [`ROUND_EFFORT`] a round. A subject that costs more
//! skips as many rounds. So a subject that asks little waits only for other light events and for one turn, whatever the others send.
//!
//! This file knows neither sockets nor clocks.

use crate::shard::effort::QUANTUM;
use crate::shard::io::Subject;
use foldhash::{HashMap, HashMapExt as _};
use std::collections::VecDeque;

/// Time for light work in a turn, and again for the line. Then replies are sent, timers fire and the sockets are polled again.
/// A tenth of the 20 ms within which a neighbour must be answered, whatever others send.
pub(crate) const TURN_NS: u64 = 2_000_000;
/// What each subject in line may cost a round. Few reads of one connection in a row: if its buffer is emptied every time, the kernel
/// sends more window updates.
const ROUND_EFFORT: usize = QUANTUM / 8;
/// The most rounds that a subject skips for what it has cost. Debt beyond that is forgiven.
const DEBT_ROUNDS_MAX: usize = 512;
/// Bytes that count as light: of all ready subjects together, and the minimum for each. With their replies they cost some milliseconds at
/// worst, if every event is light.
const LIGHT_BYTES: usize = 256 << 10;
const LIGHT_BYTES_MIN: usize = 4 << 10;
/// What light work may cost: of all ready subjects together, and the minimum for each. The rest of it waits in line.
const LIGHT_EFFORT: usize = 4 << 20;
const LIGHT_EFFORT_MIN: usize = 96 << 10;

/// The budget of a turn. Times are monotonic nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    turn_ns: u64,
    end_ns: u64,
    /// Up to this many bytes are light.
    pub(crate) light_bytes: usize,
    /// What light work of a subject may cost.
    pub(crate) light_effort: usize,
}

impl Share {
    /// For turns of this length.
    pub(crate) fn new(turn_ns: u64) -> Self {
        Self { turn_ns, end_ns: u64::MAX, light_bytes: LIGHT_BYTES, light_effort: LIGHT_EFFORT }
    }

    /// Divides the budget by the number of ready subjects. `read_max`: bytes that one receive takes.
    #[inline]
    pub(crate) fn divide(&mut self, ready: usize, read_max: usize) {
        let ready = ready.max(1);
        self.light_bytes = (LIGHT_BYTES / ready).clamp(LIGHT_BYTES_MIN, read_max);
        self.light_effort = (LIGHT_EFFORT / ready).max(LIGHT_EFFORT_MIN);
    }

    /// Light work begins, or the line.
    #[inline]
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.end_ns = now_ns.saturating_add(self.turn_ns);
    }

    /// The time is over: start nothing more.
    #[inline]
    pub(crate) fn is_spent(&self, now_ns: u64) -> bool {
        now_ns >= self.end_ns
    }
}

/// One piece of work in line.
#[derive(Debug)]
pub(crate) struct Held<W> {
    pub(crate) what: W,
    /// Upper bound for its arrival time, wall clock in nanoseconds.
    pub(crate) arrived_ns: i64,
}

/// A subject in line.
#[derive(Debug)]
struct Member<W> {
    /// What it may still cost in this round; negative: its debt.
    left: i64,
    held: VecDeque<Held<W>>,
}

impl<W> Member<W> {
    /// After how many rounds its turn comes.
    fn rounds(&self) -> i64 {
        1 + -self.left.min(0) / ROUND_EFFORT as i64
    }
}

/// Sockets and connections with more work than fits into a turn, each with its work in order.
///
/// At most one entry for each socket and connection. Whoever adds work bounds it.
#[derive(Debug)]
pub(crate) struct Line<W> {
    order: VecDeque<Subject>,
    members: HashMap<Subject, Member<W>>,
    /// Pieces of work of all of them.
    held: usize,
    /// Empty queues, kept for the next.
    spare: Vec<VecDeque<Held<W>>>,
}

/// Empty queues kept by a line.
const SPARE_QUEUES_MAX: usize = 256;

impl<W> Line<W> {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self { order: VecDeque::new(), members: HashMap::new(), held: 0, spare: Vec::new() }
    }

    /// Whether no work waits.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.held == 0
    }

    /// How many subjects are in line, with or without work.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether a subject is in line: then its new work goes behind its old work.
    #[inline]
    pub(crate) fn has(&self, subject: Subject) -> bool {
        !self.order.is_empty() && self.members.contains_key(&subject)
    }

    /// Whether a subject has work in line.
    pub(crate) fn is_held(&self, subject: Subject) -> bool {
        self.members.get(&subject).is_some_and(|member| !member.held.is_empty())
    }

    /// Appends work to a subject, and the subject to the line if it is not in it.
    pub(crate) fn push(&mut self, subject: Subject, what: W, arrived_ns: i64) {
        self.held += 1;
        self.member(subject).held.push_back(Held { what, arrived_ns });
    }

    /// Charges a subject for work; one that is not in line joins it.
    pub(crate) fn charge(&mut self, subject: Subject, effort: usize) {
        let member = self.member(subject);
        let least = -((DEBT_ROUNDS_MAX * ROUND_EFFORT) as i64);
        member.left = member.left.saturating_sub_unsigned(effort as u64).max(least);
    }

    /// The next piece of work.
    pub(crate) fn next(&mut self) -> Option<(Subject, Held<W>)> {
        let mut passed = 0;
        while self.held > 0 {
            if passed > self.order.len() {
                self.skip_rounds();
                passed = 0;
            }
            passed += 1;
            let &subject = self.order.front()?;
            let member = self.members.get_mut(&subject)?;
            if member.left <= 0 {
                member.left += ROUND_EFFORT as i64;
            }
            if member.left > 0 {
                if let Some(held) = member.held.pop_front() {
                    self.held -= 1;
                    return Some((subject, held));
                }
                // It has no work and no debt.
                self.order.pop_front();
                self.remove(subject);
                continue;
            }
            self.order.rotate_left(1);
        }
        self.clear();
        None
    }

    /// A whole round passed and every subject was in debt. Skips the rounds in which that stays so: each subject gets its share of them, and
    /// leaves the line if that pays its debt and it has no work.
    fn skip_rounds(&mut self) {
        let Self { order, members, .. } = self;
        let due = members.values().filter(|member| !member.held.is_empty()).map(Member::rounds).min();
        let Some(skipped) = due.map(|rounds| rounds - 1).filter(|&rounds| rounds > 0) else { return };
        let mut paid = Vec::new();
        order.retain(|&subject| {
            let Some(member) = members.get_mut(&subject) else { return false };
            let stays = member.rounds() > skipped;
            member.left += skipped * ROUND_EFFORT as i64;
            if !stays {
                paid.push(subject);
            }
            stays
        });
        for subject in paid {
            self.remove(subject);
        }
    }

    /// The work of [`Line::next`] is done at this cost. A subject that has used its share of the round goes to the end of the line.
    pub(crate) fn done(&mut self, subject: Subject, effort: usize) {
        self.charge(subject, effort);
        let is_over = self.members.get(&subject).is_some_and(|member| member.left <= 0);
        if is_over && self.order.front() == Some(&subject) {
            self.order.rotate_left(1);
        }
    }

    fn member(&mut self, subject: Subject) -> &mut Member<W> {
        let Self { order, members, spare, .. } = self;
        members.entry(subject).or_insert_with(|| {
            order.push_back(subject);
            Member { left: 0, held: spare.pop().unwrap_or_default() }
        })
    }

    fn remove(&mut self, subject: Subject) {
        if let Some(member) = self.members.remove(&subject)
            && self.spare.len() < SPARE_QUEUES_MAX
        {
            self.spare.push(member.held);
        }
    }

    /// Nobody waits, so all debts are forgiven.
    fn clear(&mut self) {
        while let Some(subject) = self.order.pop_front() {
            self.remove(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = ROUND_EFFORT;

    #[test]
    fn limit_spare_queues_max_of_a_line() {
        for (subjects, kept) in [(255, 255), (256, 256), (257, 256)] {
            let mut line = Line::new();
            (0..subjects).for_each(|socket| line.push(Subject::Socket(socket), (), 0));
            while let Some((subject, _)) = line.next() {
                line.done(subject, 0);
            }
            assert_eq!((line.spare.len(), line.len()), (kept, 0));
        }
    }

    /// Serves clients whose work is given as the cost of each piece. Returns who was served, in order.
    fn check(work: &[(u32, &[usize])], expected: &[u32]) {
        let mut line = Line::new();
        for &(socket, costs) in work {
            for &cost in costs {
                line.push(Subject::Socket(socket), cost, 0);
            }
        }
        let mut order = Vec::new();
        while let Some((subject, held)) = line.next() {
            let Subject::Socket(socket) = subject else { panic!() };
            order.push(socket);
            line.done(subject, held.what);
        }
        assert_eq!(order, expected);
        assert!(line.is_idle() && line.len() == 0 && line.members.is_empty());
    }

    #[test]
    fn h02_a_round_gives_everybody_as_much() {
        check(&[(1, &[MANY; 3]), (2, &[MANY; 2]), (3, &[MANY])], &[1, 2, 3, 1, 2, 1]);
        // Small pieces until they are as much, in their order.
        check(&[(1, &[MANY / 2; 4]), (2, &[MANY; 2])], &[1, 1, 2, 1, 1, 2]);
        // Who has cost three times as much waits for as many rounds.
        check(&[(1, &[3 * MANY, 1]), (2, &[MANY; 5])], &[1, 2, 2, 2, 1, 2, 2]);
        // A little too much is carried on.
        check(&[(1, &[3 * MANY / 2; 3]), (2, &[MANY; 5])], &[1, 2, 1, 2, 2, 1, 2, 2]);
    }

    #[test]
    fn limit_debt_rounds_max() {
        let mut expected = vec![1; 1];
        expected.extend([2; DEBT_ROUNDS_MAX]);
        expected.push(1);
        check(&[(1, &[usize::MAX / 2, 1]), (2, &[MANY; DEBT_ROUNDS_MAX])], &expected);
    }

    /// As [`Line::next`] has it, but for one round after the other.
    fn next_by_rounds(line: &mut Line<u32>) -> Option<(Subject, u32)> {
        while line.held > 0 {
            let &subject = line.order.front()?;
            let member = line.members.get_mut(&subject)?;
            if member.left <= 0 {
                member.left += ROUND_EFFORT as i64;
            }
            if member.left <= 0 {
                line.order.rotate_left(1);
            } else if let Some(held) = member.held.pop_front() {
                line.held -= 1;
                return Some((subject, held.what));
            } else {
                line.order.pop_front();
                line.remove(subject);
            }
        }
        line.clear();
        None
    }

    /// Anybody with any debt, with or without something to do, and more that comes meanwhile.
    #[test]
    fn h02_rounds_in_which_nobody_has_a_turn_are_over_at_once() {
        let mut skips = 0;
        for seed in 0..400 {
            let rng = &mut fastrand::Rng::with_seed(seed);
            let mut lines = [Line::new(), Line::new()];
            let subjects = rng.u32(1..12);
            for number in 0..200 {
                let (subject, cost) = (Subject::Socket(rng.u32(..subjects)), rng.usize(..100 * MANY));
                match rng.u8(..4) {
                    0 => lines.iter_mut().for_each(|line| line.push(subject, number, 0)),
                    1 => lines.iter_mut().for_each(|line| line.charge(subject, cost)),
                    _ => {
                        let [line, by_rounds] = &mut lines;
                        let least = line.members.values().map(Member::rounds).min().unwrap_or(0);
                        skips += u32::from(least > 2 && !line.is_idle());
                        let next = line.next().map(|(subject, held)| (subject, held.what));
                        assert_eq!(next, next_by_rounds(by_rounds), "seed {seed}");
                        if let Some((subject, _)) = next {
                            for line in &mut lines {
                                line.done(subject, cost);
                            }
                        }
                    }
                }
                let told = |line: &Line<u32>| {
                    (line.order.clone(), line.order.iter().map(|who| line.members[who].left).collect::<Vec<_>>())
                };
                assert_eq!(told(&lines[0]), told(&lines[1]), "seed {seed}");
            }
        }
        assert!(skips > 1_000, "{skips}");
    }

    #[test]
    fn h02_what_was_light_and_cost_much_is_charged() {
        let [noisy, other] = [1, 2].map(Subject::Socket);
        let mut line = Line::new();
        line.charge(noisy, 3 * MANY);
        assert!(line.has(noisy) && !line.has(other) && line.is_idle());
        line.push(other, 'b', 0);
        line.push(noisy, 'a', 0);
        (0..4).for_each(|_| line.push(other, 'b', 0));
        let mut order = String::new();
        while let Some((subject, held)) = line.next() {
            order.push(held.what);
            line.done(subject, MANY);
        }
        assert_eq!(order, "bbbabb");
        // Where nobody waits all is forgiven.
        line.charge(noisy, 3 * MANY);
        assert!(line.next().is_none() && !line.has(noisy));
    }

    #[test]
    fn limit_light_bytes_and_light_bytes_min_and_light_effort_and_light_effort_min_and_quantum_and_round_effort() {
        let mut share = Share::new(TURN_NS);
        for (ready, bytes, effort) in [
            (0, 16_384, 4 << 20),
            (1, 16_384, 4 << 20),
            (16, 16_384, 256 << 10),
            (32, 8_192, 128 << 10),
            (64, 4_096, 96 << 10),
            (5_000, 4_096, 96 << 10),
        ] {
            share.divide(ready, 16 << 10);
            assert_eq!((share.light_bytes, share.light_effort), (bytes, effort), "{ready}");
        }
        assert_eq!((QUANTUM, ROUND_EFFORT), (1 << 20, 1 << 17));
    }

    #[test]
    fn limit_turn_ns() {
        let mut share = Share::new(TURN_NS);
        share.begin(7);
        assert_eq!([7, 2_000_006, 2_000_007].map(|now_ns| share.is_spent(now_ns)), [false, false, true]);
    }
}
