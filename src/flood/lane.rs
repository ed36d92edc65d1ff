//! Requests under way on one FSU's port or connection, and which of them a reply belongs to. Pure: times are arguments.
//!
//! A frame carries no request number. A reply belongs to the oldest request under way that it is a right reply to. So
//! where one command is under way several times with the same values, a reply that overtakes another (delays do that) is
//! taken for the older request's: the counts stay right, latencies may be swapped. A reply to a request that was given up
//! is taken for a later, equal one's, if that is under way: nobody can tell whether the first was lost or late. Such
//! replies are marked as doubtful.
//!
//! Where no equal request is under way, a reply answers one that was given up, or repeats the answer to a later one. It
//! repeats one where the server was prompt for a while: a server that keeps later requests' replies short has nothing older
//! left. Where that is not so, it is taken for a late one, and marked as doubtful.

use super::burst::Burst;
use super::expect::Wrong;
use std::collections::VecDeque;

/// Requests under way, oldest first, among which a reply's is looked for: bounds the work of a wrong one. Equal requests cost one
/// comparison.
pub const COMPARED_MAX: usize = 1024;
/// Requests past their time-out that a thread remembers, to know a late reply as one; its lanes share them evenly. 64 bytes each,
/// taken as they come: 16 MiB.
pub const OVERDUE_MAX: usize = 1 << 18;
/// The share of a lane, at the least.
const OVERDUE_MIN: usize = 64;
/// Answered requests that are remembered per lane, to know a duplicate as one; 32 bytes each.
pub const ANSWERED_MAX: usize = 4;

/// A request that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// Its number in the profile.
    pub request: u32,
    /// When it should have been sent.
    pub planned_ns: u64,
    /// When it was.
    pub sent_ns: u64,
    /// The raw request where its values are its own; empty: the prepared one.
    pub raw: Vec<u8>,
    /// No reply is expected.
    pub silent: bool,
    /// That is so because no rule answers it.
    pub unmatched: bool,
    /// More than one reply is expected.
    pub burst: Option<Box<Burst>>,
}

/// That a reply is right; where more are to come, what is known of them after it.
pub type Right = Option<Box<Burst>>;

/// How long a reply takes by its rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// At the least.
    pub least_ns: u64,
    /// At the most, but for one in a thousand, with what faults on purpose add.
    pub most_ns: u64,
}

/// What a reply turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Right and in time; `doubtful`: an equal request that was given up before may be the one that it answers.
    Good(Flight, bool),
    /// Right, but after the time-out; its request may have been given up before.
    Late(Flight, Late),
    /// Wrong; the request it seems to answer is no longer under way.
    Wrong(Flight, Wrong),
    /// One of a burst, of which more is to come; the request stays. `wrong`: what is wrong with it. `overdue`: the request was
    /// given up before.
    Part {
        /// A copy of the request.
        flight: Flight,
        /// What is wrong.
        wrong: Option<Wrong>,
        /// Given up before.
        overdue: bool,
    },
    /// The last one of a burst, right, after a wrong one; the request is no longer under way.
    Spoilt(Flight),
    /// Right for a request that was answered already.
    Duplicate,
    /// Nothing that is under way asked for it.
    Unexpected(Option<Wrong>),
}

/// How a reply is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Its request was still under way.
    Open,
    /// It was given up.
    Overdue,
    /// Likewise, if the reply does not repeat the answer to a later, equal one.
    Doubtful,
}

/// What is remembered of an answered request.
#[derive(Debug)]
struct Answered {
    request: u32,
    sent_ns: u64,
    raw: Vec<u8>,
}

impl Answered {
    /// As the flight that it was, for a comparison.
    fn is(&mut self, check: &mut impl FnMut(&Flight) -> Result<Right, Wrong>) -> bool {
        let flight = Flight { request: self.request, raw: std::mem::take(&mut self.raw), ..Flight::default() };
        let is = check(&flight).is_ok();
        self.raw = flight.raw;
        is
    }
}

/// One lane.
#[derive(Debug)]
pub struct Lane {
    open: VecDeque<Flight>,
    overdue: VecDeque<Flight>,
    overdue_max: usize,
    /// Of those, how many are prepared requests, by their number.
    overdue_of: Vec<u32>,
    answered: VecDeque<Answered>,
    /// Since when every reply was prompt and nothing was given up.
    prompt_since_ns: Option<u64>,
    /// Prepared requests that the reply at hand is no reply to.
    failed: Vec<u32>,
}

impl Lane {
    /// One of so many of a thread.
    pub fn new(lanes: usize) -> Self {
        Self {
            open: VecDeque::new(),
            overdue: VecDeque::new(),
            overdue_max: (OVERDUE_MAX / lanes.max(1)).max(OVERDUE_MIN),
            overdue_of: Vec::new(),
            answered: VecDeque::new(),
            prompt_since_ns: None,
            failed: Vec::new(),
        }
    }

    /// A request leaves.
    #[inline]
    pub fn push(&mut self, flight: Flight) {
        self.open.push_back(flight);
    }

    /// Requests under way.
    #[inline]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The requests under way, oldest first.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.open.iter()
    }

    /// The requests that were given up, oldest first.
    pub fn overdue(&self) -> impl Iterator<Item = &Flight> {
        self.overdue.iter()
    }

    /// A reply came: `check` tells whether it is a right reply to a request, `timing` how long a request's reply takes by its rule.
    /// Flights that are no longer needed give their buffers to `spent`.
    #[inline]
    pub fn settle(
        &mut self,
        now_ns: u64,
        timeout_ns: u64,
        spent: &mut Vec<Vec<u8>>,
        timing: impl Fn(&Flight) -> Timing,
        mut check: impl FnMut(&Flight) -> Result<Right, Wrong>,
    ) -> Settled {
        let mut closest: Option<(usize, Wrong)> = None;
        // The first that it answers after its time-out, unless it answers an equal one within it.
        let mut late: Option<(usize, Right)> = None;
        self.failed.clear();
        for at in 0..self.open.len().min(COMPARED_MAX) {
            let flight = &self.open[at];
            let is_prepared = flight.raw.is_empty();
            if is_prepared && self.failed.contains(&flight.request) {
                continue;
            }
            let wrong = match check(flight) {
                Ok(after) => {
                    let age_ns = now_ns.saturating_sub(flight.sent_ns);
                    let doubtful = is_prepared && self.overdue_of.get(flight.request as usize).is_some_and(|&n| n > 0);
                    if doubtful && age_ns < timing(flight).least_ns {
                        // Too early to be this one's.
                        let request = flight.request;
                        let equal = |other: &Flight| other.request == request && other.raw.is_empty();
                        if let Some(at) = self.overdue.iter().position(equal)
                            && let Ok(after) = check(&self.overdue[at])
                        {
                            return self.answer_overdue(at, after, Late::Overdue, spent);
                        }
                        break;
                    }
                    if age_ns > timeout_ns {
                        late.get_or_insert((at, after));
                        continue;
                    }
                    let is_prompt = age_ns <= prompt_ns(timing(flight), timeout_ns);
                    let (at, after) = match after {
                        Some(_) => self.newest_burst(at, &mut check).unwrap_or((at, after)),
                        None => (at, after),
                    };
                    self.prompt_since_ns = is_prompt.then(|| self.prompt_since_ns.unwrap_or(now_ns));
                    return self.answer_open(at, after, None, doubtful || late.is_some(), spent);
                }
                Err(wrong) => wrong,
            };
            // That another one has its turn says nothing of the next request.
            if is_prepared && wrong != Wrong::Turn {
                self.failed.push(flight.request);
            }
            if closest.is_none_or(|(_, best)| wrong.depth() > best.depth()) {
                closest = Some((at, wrong));
            }
        }
        if let Some((at, after)) = late {
            self.prompt_since_ns = None;
            return self.answer_open(at, after, Some(Late::Open), false, spent);
        }
        if let Some((at, after)) = self.answers_overdue(&mut check) {
            match self.repeats(at, now_ns, timeout_ns, &timing, &mut check) {
                Some(true) => return Settled::Duplicate,
                Some(false) => return self.answer_overdue(at, after, Late::Doubtful, spent),
                None => return self.answer_overdue(at, after, Late::Overdue, spent),
            }
        }
        if self.answered.iter_mut().any(|answered| answered.is(&mut check)) {
            return Settled::Duplicate;
        }
        match closest {
            // Another command's key: it is no reply to anything under way.
            Some((_, Wrong::Key)) | None => Settled::Unexpected(closest.map(|(_, wrong)| wrong)),
            Some((at, wrong)) => self.answer_wrong(at, wrong),
        }
    }

    /// A reply fits a burst that lacks one, and a later, equal one that has begun: it is that one's.
    #[cold]
    fn newest_burst(
        &self,
        at: usize,
        check: &mut impl FnMut(&Flight) -> Result<Right, Wrong>,
    ) -> Option<(usize, Right)> {
        let request = self.open.get(at)?.request;
        let has_begun = |flight: &Flight| flight.burst.as_ref().is_some_and(|burst| burst.has_begun());
        let later = (at + 1..self.open.len().min(COMPARED_MAX)).rev();
        let mut begun = later.filter(|&at| self.open[at].request == request && has_begun(&self.open[at]));
        begun.find_map(|at| check(&self.open[at]).ok().map(|after| (at, after)))
    }

    /// A right reply to a request under way.
    #[inline]
    fn answer_open(
        &mut self,
        at: usize,
        after: Right,
        late: Option<Late>,
        doubtful: bool,
        spent: &mut Vec<Vec<u8>>,
    ) -> Settled {
        if let Some(burst) = after {
            let Some(flight) = self.open.get_mut(at) else { return Settled::Unexpected(None) };
            let has_more = burst.left() > 0;
            flight.burst = Some(burst);
            if has_more {
                return Settled::Part { flight: flight.clone(), wrong: None, overdue: false };
            }
        }
        let Some(flight) = self.open.remove(at) else { return Settled::Unexpected(None) };
        self.remember(&flight, spent);
        match late {
            _ if flight.burst.as_ref().is_some_and(|burst| burst.is_spoilt()) => Settled::Spoilt(flight),
            Some(late) => Settled::Late(flight, late),
            None => Settled::Good(flight, doubtful),
        }
    }

    /// A right reply to a request that was given up.
    fn answer_overdue(&mut self, at: usize, after: Right, late: Late, spent: &mut Vec<Vec<u8>>) -> Settled {
        let Some(flight) = self.overdue.get_mut(at) else { return Settled::Unexpected(None) };
        if let Some(burst) = after {
            let (has_more, is_spoilt) = (burst.left() > 0, burst.is_spoilt());
            flight.burst = Some(burst);
            if has_more || is_spoilt {
                let flight = flight.clone();
                if !has_more {
                    drop(self.take_overdue(at));
                }
                return Settled::Part { flight, wrong: None, overdue: true };
            }
        }
        let Some(flight) = self.take_overdue(at) else { return Settled::Unexpected(None) };
        self.remember(&flight, spent);
        Settled::Late(flight, late)
    }

    /// A wrong reply to a request under way; one of a burst takes its place there.
    fn answer_wrong(&mut self, at: usize, wrong: Wrong) -> Settled {
        if let Some(flight) = self.open.get_mut(at)
            && let Some(burst) = &mut flight.burst
        {
            burst.spoil();
            if burst.left() > 0 {
                return Settled::Part { flight: flight.clone(), wrong: Some(wrong), overdue: false };
            }
        }
        match self.open.remove(at) {
            Some(flight) => Settled::Wrong(flight, wrong),
            None => Settled::Unexpected(Some(wrong)),
        }
    }

    /// A reply answers the request `at` of those given up, or repeats what came to a later, equal one: does it? `None`: there is
    /// nothing that it could repeat, or its rule's delay may have taken so long.
    fn repeats(
        &mut self,
        at: usize,
        now_ns: u64,
        timeout_ns: u64,
        timing: &impl Fn(&Flight) -> Timing,
        check: &mut impl FnMut(&Flight) -> Result<Right, Wrong>,
    ) -> Option<bool> {
        let flight = self.overdue.get(at)?;
        let (sent_ns, prompt_ns) = (flight.sent_ns, prompt_ns(timing(flight), timeout_ns));
        let mut later = self.answered.iter_mut().filter(|answered| answered.sent_ns > sent_ns);
        if now_ns.saturating_sub(sent_ns) <= prompt_ns || !later.any(|answered| answered.is(check)) {
            return None;
        }
        let since_ns = self.prompt_since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        Some(since_ns > timeout_ns / PROMPT_SHARE)
    }

    /// The place of the oldest request given up that this is a right reply to.
    fn answers_overdue(&mut self, check: &mut impl FnMut(&Flight) -> Result<Right, Wrong>) -> Option<(usize, Right)> {
        let Self { overdue, failed, .. } = self;
        let mut compared = 0;
        for (at, flight) in overdue.iter().enumerate() {
            let is_prepared = flight.raw.is_empty();
            if is_prepared && failed.contains(&flight.request) {
                continue;
            }
            if compared == COMPARED_MAX {
                break;
            }
            compared += 1;
            match check(flight) {
                Ok(after) => return Some((at, after)),
                Err(wrong) if is_prepared && wrong != Wrong::Turn => failed.push(flight.request),
                Err(_) => {}
            }
        }
        None
    }

    /// Takes a request out of those that were given up.
    fn take_overdue(&mut self, at: usize) -> Option<Flight> {
        let flight = self.overdue.remove(at)?;
        if flight.raw.is_empty()
            && let Some(count) = self.overdue_of.get_mut(flight.request as usize)
        {
            *count -= 1;
        }
        Some(flight)
    }

    /// Keeps an answered request for a while.
    #[inline]
    fn remember(&mut self, flight: &Flight, spent: &mut Vec<Vec<u8>>) {
        let mut raw = Vec::new();
        if self.answered.len() >= ANSWERED_MAX
            && let Some(old) = self.answered.pop_front()
        {
            raw = old.raw;
        }
        if flight.raw.is_empty() {
            recycle(raw, spent);
            raw = Vec::new();
        } else {
            raw.clear();
            raw.extend_from_slice(&flight.raw);
        }
        self.answered.push_back(Answered { request: flight.request, sent_ns: flight.sent_ns, raw });
    }

    /// Nobody listens where a request went: the oldest under way is given up, and no late reply to it can come.
    pub fn refuse(&mut self) -> Option<Flight> {
        self.open.pop_front()
    }

    /// Gives up what is past its time-out, oldest first. They are told to `lost`, and a late reply to one will still be
    /// known as one, for as many as the lane remembers ([`OVERDUE_MAX`]). How many older ones were forgotten for that.
    pub fn expire(
        &mut self,
        now_ns: u64,
        timeout_ns: u64,
        spent: &mut Vec<Vec<u8>>,
        mut lost: impl FnMut(&Flight),
    ) -> u64 {
        let mut forgotten = 0;
        while let Some(flight) = self.open.front() {
            if now_ns.saturating_sub(flight.sent_ns) <= timeout_ns {
                break;
            }
            let Some(flight) = self.open.pop_front() else { break };
            lost(&flight);
            if flight.silent {
                recycle(flight.raw, spent);
                continue;
            }
            self.prompt_since_ns = None;
            if self.overdue.len() >= self.overdue_max
                && let Some(old) = self.take_overdue(0)
            {
                recycle(old.raw, spent);
                forgotten += 1;
            }
            if flight.raw.is_empty() {
                let request = flight.request as usize;
                if self.overdue_of.len() <= request {
                    self.overdue_of.resize(request + 1, 0);
                }
                self.overdue_of[request] += 1;
            }
            self.overdue.push_back(flight);
        }
        forgotten
    }
}

/// A reply is prompt that comes within what its rule may delay it and this share of the time-out.
const PROMPT_SHARE: u64 = 4;

fn prompt_ns(timing: Timing, timeout_ns: u64) -> u64 {
    timing.most_ns.saturating_add(timeout_ns / PROMPT_SHARE)
}

/// Most buffers that wait to be used again.
const SPENT_MAX: usize = 4096;

/// Keeps a buffer for a later request.
pub fn recycle(buffer: Vec<u8>, spent: &mut Vec<Vec<u8>>) {
    if buffer.capacity() > 0 && spent.len() < SPENT_MAX {
        spent.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: u64 = 100;

    fn flight(request: u32, sent_ns: u64) -> Flight {
        Flight { request, planned_ns: sent_ns, sent_ns, ..Flight::default() }
    }

    fn lane(requests: &[(u32, u64)]) -> Lane {
        let mut lane = Lane::new(OVERDUE_MAX);
        for &(request, sent) in requests {
            lane.push(flight(request, sent));
        }
        lane
    }

    /// A reply to request n is n; one that is 10 more is wrong; any other has another key.
    fn reply(lane: &mut Lane, now: u64, which: u32) -> Settled {
        lane.settle(
            now,
            TIMEOUT,
            &mut Vec::new(),
            |_| Timing::default(),
            |flight| {
                if flight.request == which {
                    Ok(None)
                } else if flight.request + 10 == which {
                    Err(Wrong::Static)
                } else {
                    Err(Wrong::Key)
                }
            },
        )
    }

    #[test]
    fn replies_find_their_requests() {
        let mut all = lane(&[(1, 0), (2, 10), (1, 20)]);
        assert_eq!(reply(&mut all, 30, 2), Settled::Good(flight(2, 10), false));
        assert_eq!(reply(&mut all, 30, 1), Settled::Good(flight(1, 0), false));
        assert_eq!(reply(&mut all, 30, 1), Settled::Good(flight(1, 20), false));
        assert_eq!(reply(&mut all, 30, 1), Settled::Duplicate);
        assert_eq!(reply(&mut all, 30, 3), Settled::Unexpected(None));
    }

    #[test]
    fn a_wrong_reply_takes_the_request_it_is_closest_to() {
        let mut all = lane(&[(1, 0), (2, 10)]);
        assert_eq!(reply(&mut all, 30, 12), Settled::Wrong(flight(2, 10), Wrong::Static));
        assert_eq!(all.open(), 1);
        assert_eq!(reply(&mut all, 30, 5), Settled::Unexpected(Some(Wrong::Key)));
        assert_eq!(all.open(), 1);
    }

    #[test]
    fn late_and_lost() {
        let mut all = lane(&[(1, 0), (2, 90), (3, 95)]);
        let mut lost = Vec::new();
        all.expire(100, TIMEOUT, &mut Vec::new(), |flight| lost.push(flight.request));
        assert_eq!(lost, [0_u32; 0]);
        all.expire(191, TIMEOUT, &mut Vec::new(), |flight| lost.push(flight.request));
        assert_eq!(lost, [1, 2]);
        // Not yet swept, but past its time: late all the same.
        assert_eq!(reply(&mut all, 196, 3), Settled::Late(flight(3, 95), Late::Open));
        assert_eq!(reply(&mut all, 300, 1), Settled::Late(flight(1, 0), Late::Overdue));
        assert_eq!(reply(&mut all, 301, 1), Settled::Duplicate);
        assert_eq!(all.open(), 0);
    }

    /// A server that always takes longer than the time-out: the first request is given up, and its reply taken for the second's.
    #[test]
    fn a_reply_that_may_be_a_late_one_is_doubtful() {
        let mut all = lane(&[(1, 0), (2, 0)]);
        all.expire(101, TIMEOUT, &mut Vec::new(), |_| {});
        all.push(flight(1, 110));
        all.push(flight(3, 110));
        assert_eq!(reply(&mut all, 150, 1), Settled::Good(flight(1, 110), true));
        assert_eq!(reply(&mut all, 150, 3), Settled::Good(flight(3, 110), false));
        all.push(Flight { raw: vec![1], ..flight(2, 120) });
        assert!(matches!(reply(&mut all, 150, 2), Settled::Good(_, false)));
    }

    /// The rule delays replies by 150: what comes earlier than that is another's.
    #[test]
    fn a_reply_that_comes_too_early_is_an_older_requests() {
        let mut all = lane(&[(1, 0)]);
        all.expire(101, TIMEOUT, &mut Vec::new(), |_| {});
        all.push(flight(1, 110));
        let delay = Timing { least_ns: 150, most_ns: 150 };
        let mut reply = |now| all.settle(now, 1_000, &mut Vec::new(), |_| delay, |_| Ok(None));
        assert_eq!(reply(150), Settled::Late(flight(1, 0), Late::Overdue));
        // Nothing else is left: the delay may have been skipped.
        assert_eq!(reply(160), Settled::Good(flight(1, 110), false));
        assert_eq!(reply(261), Settled::Duplicate);
    }

    /// Every 10 a request that is answered at once and once more. Before that, the server was away for a while.
    #[test]
    fn n15_a_second_reply_is_no_late_answer_to_an_older_request() {
        let mut all = Lane::new(OVERDUE_MAX);
        (0..20).for_each(|n| all.push(flight(1, n * 10)));
        let (mut late, mut duplicates) = (0, 0);
        for now in (200..2_000).step_by(10) {
            all.expire(now, TIMEOUT, &mut Vec::new(), |_| {});
            all.push(flight(1, now));
            for _ in 0..2 {
                match reply(&mut all, now, 1) {
                    Settled::Good(..) => {}
                    Settled::Late(_, Late::Doubtful) => late += 1,
                    Settled::Duplicate => duplicates += 1,
                    other => panic!("{now}: {other:?}"),
                }
            }
        }
        // At first a stalled server would look the same.
        assert!(late < 12 && duplicates > 150, "{late} {duplicates}");
    }

    /// The server stalls, and then answers all that waited: none of these is a duplicate.
    #[test]
    fn n15_answers_after_a_stall_are_late() {
        let mut all = Lane::new(OVERDUE_MAX);
        (0..50).for_each(|n| all.push(flight(1, n * 10)));
        all.expire(500, TIMEOUT, &mut Vec::new(), |_| {});
        let settled: Vec<Settled> = (0..50).map(|_| reply(&mut all, 500, 1)).collect();
        let count = |is: fn(&Settled) -> bool| settled.iter().filter(|one| is(one)).count();
        assert_eq!(count(|one| matches!(one, Settled::Good(_, true))), 10);
        assert_eq!(count(|one| matches!(one, Settled::Late(_, Late::Doubtful | Late::Overdue))), 40);
    }

    /// Replies are entries of a cycle of 3, and so long is a burst.
    fn burst(lane: &mut Lane, now: u64, entry: usize) -> Settled {
        let looks_like = [0, 1, 2].map(|other| other == entry);
        let check = |flight: &Flight| {
            let after = flight.burst.as_ref().map(|burst| burst.after(true, &looks_like).map(Box::new));
            after.map_or(Ok(None), |after| after.map(Some).ok_or(Wrong::Turn))
        };
        lane.settle(now, TIMEOUT, &mut Vec::new(), |_| Timing::default(), check)
    }

    fn bursts(sent: &[u64]) -> Lane {
        let mut lane = Lane::new(OVERDUE_MAX);
        for &sent_ns in sent {
            lane.push(Flight { burst: Some(Box::new(Burst::new(3, true))), ..flight(1, sent_ns) });
        }
        lane
    }

    #[test]
    fn n15_the_replies_of_a_burst_answer_one_request() {
        let mut all = bursts(&[0, 10]);
        for sent in [0, 10] {
            for entry in [0, 1] {
                assert!(matches!(burst(&mut all, 20, entry), Settled::Part { wrong: None, overdue: false, .. }));
            }
            let Settled::Good(flight, false) = burst(&mut all, 20, 2) else { panic!("it is whole") };
            assert_eq!((flight.sent_ns, all.open()), (sent, usize::from(sent == 0)));
        }
        assert_eq!(burst(&mut all, 20, 0), Settled::Duplicate);
    }

    #[test]
    fn n15_a_missing_reply_of_a_burst_is_not_taken_from_the_next() {
        let mut all = bursts(&[0, 10]);
        for entry in [0, 2, 0, 1] {
            assert!(matches!(burst(&mut all, 20, entry), Settled::Part { wrong: None, .. }), "{entry}");
        }
        let Settled::Good(flight, _) = burst(&mut all, 20, 2) else { panic!("the second is whole") };
        assert_eq!(flight.sent_ns, 10);
        let mut left = Vec::new();
        all.expire(101, TIMEOUT, &mut Vec::new(), |flight| left.push(flight.burst.as_ref().unwrap().left()));
        assert_eq!(left, [1]);
        // It comes after all, if it is not a second one of the burst after it.
        assert!(matches!(burst(&mut all, 110, 1), Settled::Late(_, Late::Doubtful)));
    }

    #[test]
    fn n15_a_wrong_reply_takes_a_place_of_its_burst() {
        let mut all = bursts(&[0]);
        assert!(matches!(burst(&mut all, 20, 0), Settled::Part { wrong: None, .. }));
        assert!(matches!(burst(&mut all, 20, 0), Settled::Part { wrong: Some(Wrong::Turn), .. }));
        assert!(matches!(burst(&mut all, 20, 2), Settled::Spoilt(_)));
        assert_eq!(all.open(), 0);
    }

    /// Equal requests cost one comparison: a reply finds its request behind many that are not answered yet.
    #[test]
    fn limit_compared_max_replies_may_overtake_many() {
        let waiting: Vec<(u32, u64)> =
            (0..COMPARED_MAX as u32 - 1).map(|n| (n % 3, 0)).chain([(7, 0), (8, 0)]).collect();
        let mut all = lane(&waiting);
        let mut compared = 0;
        let settled = all.settle(
            10,
            TIMEOUT,
            &mut Vec::new(),
            |_| Timing::default(),
            |flight| {
                compared += 1;
                if flight.request == 7 { Ok(None) } else { Err(Wrong::Key) }
            },
        );
        assert_eq!((settled, compared), (Settled::Good(flight(7, 0), false), 4));
        all.push(flight(9, 0));
        assert_eq!(reply(&mut all, 10, 8), Settled::Good(flight(8, 0), false));
        assert_eq!(reply(&mut all, 10, 9), Settled::Good(flight(9, 0), false));
        let mut many = lane(&(0..=COMPARED_MAX as u32).map(|n| (n, 0)).collect::<Vec<_>>());
        let last = |flight: &Flight| if flight.request == COMPARED_MAX as u32 { Ok(None) } else { Err(Wrong::Key) };
        assert_eq!(
            many.settle(10, TIMEOUT, &mut Vec::new(), |_| Timing::default(), last),
            Settled::Unexpected(Some(Wrong::Key))
        );
    }

    #[test]
    fn limit_answered_max_and_overdue_max_what_is_remembered_is_bounded() {
        let mut all = lane(&(0..1000).map(|n| (n, 0)).collect::<Vec<_>>());
        assert_eq!(all.expire(1000, TIMEOUT, &mut Vec::new(), |_| {}), 1000 - OVERDUE_MIN as u64);
        assert_eq!(all.overdue.len(), OVERDUE_MIN);
        assert_eq!(all.overdue_of.iter().sum::<u32>(), OVERDUE_MIN as u32);
        for n in 0..20 {
            all.push(flight(n, 0));
            reply(&mut all, 1, n);
        }
        assert_eq!(all.answered.len(), ANSWERED_MAX);
    }

    #[test]
    fn limit_spent_max() {
        let mut spent = Vec::new();
        (0..SPENT_MAX + 5).for_each(|_| recycle(vec![0], &mut spent));
        recycle(Vec::new(), &mut spent);
        assert_eq!(spent.len(), SPENT_MAX);
    }
}
