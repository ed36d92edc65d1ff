//! What a reply may belong to.

use super::flights::NONE;
use super::{COMPARED_MAX, Lane, Late, Matcher, PROMPT_SHARE, Right};
use crate::expect::Wrong;

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// A request under way, within its time-out.
    Good {
        /// Which.
        at: u32,
        /// The state of its burst then.
        after: Right,
        /// An equal one that was given up may be meant.
        doubtful: bool,
    },
    /// One under way, past its time-out.
    Late {
        /// Which.
        at: u32,
        /// Of its burst.
        after: Right,
    },
    /// One that was given up.
    Overdue {
        /// Which.
        at: u32,
        /// Of its burst.
        after: Right,
        /// How sure that is.
        late: Late,
    },
    /// One that was answered.
    Repeated,
    /// A request to which it is wrong.
    Wrong {
        /// Which.
        at: u32,
        /// What is wrong.
        wrong: Wrong,
    },
    /// It is wrong for one of several.
    Unclear(Wrong),
    /// It belongs to nothing.
    Nothing(Option<Wrong>),
}

/// Requests found so far in the classes that a reply may belong to: the oldest of each kind.
#[derive(Debug, Default)]
struct Sight {
    good: Option<(u32, Right, bool)>,
    late: Option<(u32, Right)>,
    /// Sooner than its rule lets a reply to the request under way come.
    early: Option<(u32, Right)>,
    overdue: Option<(u32, Right)>,
    repeated: bool,
    /// The request with the same bytes, and what is wrong with the frame as its reply.
    wrong: Option<(u32, Wrong)>,
    /// It has the bytes of a request that was answered.
    is_known: bool,
    /// The deepest reason.
    deepest: Option<Wrong>,
}

impl Sight {
    fn note(&mut self, wrong: Wrong) {
        if self.deepest.is_none_or(|deepest| wrong.depth() > deepest.depth()) {
            self.deepest = Some(wrong);
        }
    }

    /// The first of these that is there.
    fn right(&mut self) -> Option<Found> {
        if let Some((at, after, doubtful)) = self.good.take() {
            return Some(Found::Good { at, after, doubtful });
        }
        if let Some((at, after)) = self.late.take() {
            return Some(Found::Late { at, after });
        }
        let (at, after) = self.overdue.take()?;
        Some(Found::Overdue { at, after, late: Late::Overdue })
    }
}

impl Lane {
    /// What a reply belongs to.
    #[inline]
    pub(super) fn find(&mut self, now_ns: u64, matcher: &mut impl Matcher) -> Found {
        let mut sight = self.look(now_ns, matcher, true);
        if let Some((at, after)) = sight.early.take() {
            return Found::Overdue { at, after, late: Late::Overdue };
        }
        if let Some(found) = sight.right() {
            return self.repeats(found, now_ns, matcher);
        }
        if !sight.repeated {
            let answered = self.look(now_ns, matcher, false);
            sight.repeated = answered.repeated;
            sight.is_known |= answered.is_known;
            answered.deepest.into_iter().for_each(|wrong| sight.note(wrong));
        }
        if sight.repeated { Found::Repeated } else { self.find_wrong(&sight, now_ns, matcher) }
    }

    /// Only what it is right for.
    pub(super) fn find_right(&mut self, now_ns: u64, matcher: &mut impl Matcher) -> Option<Found> {
        let mut sight = self.look(now_ns, matcher, true);
        let repeated = |sight: &Sight| sight.repeated.then_some(Found::Repeated);
        if let Some((at, after)) = sight.early.take() {
            return Some(Found::Overdue { at, after, late: Late::Overdue });
        }
        sight.right().or_else(|| repeated(&sight)).or_else(|| repeated(&self.look(now_ns, matcher, false)))
    }

    /// Searches the commands with waiting requests, or the others.
    #[inline]
    fn look(&mut self, now_ns: u64, matcher: &mut impl Matcher, waiting: bool) -> Sight {
        let mut sight = Sight::default();
        let mut classes = std::mem::take(&mut self.classes);
        for asked in self.flights.asked().iter().filter(|asked| (asked.waiting > 0) == waiting) {
            classes.clear();
            match matcher.read(asked.request, &mut classes) {
                Ok(()) => {
                    for &class in &classes {
                        self.look_at((class, asked.request), now_ns, matcher, &mut sight);
                    }
                }
                Err(wrong) => sight.note(wrong),
            }
        }
        self.classes = classes;
        sight
    }

    /// Looks at a class of a command.
    #[inline]
    fn look_at(&self, (class, request): (u64, u32), now_ns: u64, matcher: &mut impl Matcher, sight: &mut Sight) {
        let Some(class) = self.flights.class(class) else { return };
        let is_doubted = class.doubted > 0;
        let is_older =
            |at: u32, there: Option<u32>| there.is_none_or(|there| self.flights.order(at) < self.flights.order(there));
        let (mut was_late, mut is_early, mut is_good) = (false, false, false);
        self.chain((class.oldest_open, false), matcher, sight, |at, after, matcher, sight| {
            let flight = self.flights.at(at);
            let age_ns = now_ns.saturating_sub(flight.sent_ns);
            if is_doubted && age_ns < matcher.timing(flight).least_ns {
                is_early = true;
                return true;
            }
            if age_ns > self.timeout_ns {
                was_late = true;
                if is_older(at, sight.late.as_ref().map(|late| late.0)) {
                    sight.late = Some((at, after));
                }
                return false;
            }
            is_good = true;
            if is_older(at, sight.good.as_ref().map(|good| good.0)) {
                sight.good = Some((at, after, is_doubted || was_late));
            }
            true
        });
        if class.overdue > 0 && !is_good {
            self.chain((class.oldest, true), matcher, sight, |at, after, _, sight| {
                let place = if is_early { &mut sight.early } else { &mut sight.overdue };
                if is_older(at, place.as_ref().map(|there| there.0)) {
                    *place = Some((at, after));
                }
                true
            });
        }
        sight.is_known |= class.answered > 0;
        sight.repeated |= class.answered > 0 && matcher.repeats(request);
    }

    /// Compares a reply with the requests of a class from `at` on, as long as they are of that kind, until `right` says that one
    /// which it is right for will do. Did it say so?
    #[inline]
    fn chain<J: Matcher>(
        &self,
        (mut at, overdue): (u32, bool),
        matcher: &mut J,
        sight: &mut Sight,
        mut right: impl FnMut(u32, Right, &mut J, &mut Sight) -> bool,
    ) -> bool {
        for _ in 0..COMPARED_MAX {
            if at == NONE || self.flights.is_overdue(at) != overdue {
                break;
            }
            let flight = self.flights.at(at);
            match matcher.check(flight) {
                Ok(after) => {
                    if right(at, after, matcher, sight) {
                        return true;
                    }
                }
                Err(wrong) => {
                    sight.note(wrong);
                    if sight.wrong.is_none_or(|(_, before)| wrong.depth() > before.depth()) {
                        sight.wrong = Some((at, wrong));
                    }
                    // Others without bytes of their own are the same, except for their turn in a burst.
                    if flight.raw.is_empty() && wrong != Wrong::Turn {
                        break;
                    }
                }
            }
            at = self.flights.newer_equal(at);
        }
        false
    }

    /// A reply answers a request that was given up, or repeats what came to a later, equal one: which? It may answer it as well where
    /// there is nothing that it could repeat, or where its rule's delay may have taken so long.
    fn repeats(&self, found: Found, now_ns: u64, matcher: &impl Matcher) -> Found {
        let Found::Overdue { at, after, late: Late::Overdue } = found else { return found };
        let flight = self.flights.at(at);
        let class = self.flights.class(flight.class);
        let has_later = class.is_some_and(|class| class.answered > 0 && class.answered_sent_ns > flight.sent_ns);
        if !has_later || self.age_ns(at, now_ns) <= self.prompt_ns(at, matcher) {
            return Found::Overdue { at, after, late: Late::Overdue };
        }
        // A time-out without an equal one under way has shown that it is lost.
        if class.is_some_and(|class| class.doubted == 0) {
            return Found::Repeated;
        }
        let since_ns = self.prompt_since_ns.map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        if since_ns > self.timeout_ns / PROMPT_SHARE {
            return Found::Repeated;
        }
        Found::Overdue { at, after, late: Late::Doubtful }
    }

    /// What a reply that is right for nothing is wrong for.
    #[cold]
    fn find_wrong(&self, sight: &Sight, now_ns: u64, matcher: &mut impl Matcher) -> Found {
        if let Some((at, wrong)) = sight.wrong {
            return Found::Wrong { at, wrong };
        }
        if sight.is_known {
            return Found::Nothing(sight.deepest);
        }
        match self.closest(matcher) {
            // Another command's key: it is no reply to anything under way.
            Some((_, Wrong::Key)) => Found::Nothing(Some(Wrong::Key)),
            None => Found::Nothing(None),
            Some((at, wrong)) if self.in_order || self.is_only(at, now_ns) => Found::Wrong { at, wrong },
            Some((_, wrong)) => Found::Unclear(wrong),
        }
    }

    /// The oldest request under way for which it is the least wrong.
    fn closest(&self, matcher: &mut impl Matcher) -> Option<(u32, Wrong)> {
        let mut closest: Option<(u32, Wrong)> = None;
        let mut failed: Vec<u32> = Vec::new();
        let mut at = self.flights.oldest_open();
        let mut compared = 0;
        while at != NONE && compared < COMPARED_MAX {
            let flight = self.flights.at(at);
            let is_prepared = flight.raw.is_empty();
            if !(is_prepared && failed.contains(&flight.request)) {
                compared += 1;
                if let Err(wrong) = matcher.check(flight) {
                    if closest.is_none_or(|(_, best)| wrong.depth() > best.depth()) {
                        closest = Some((at, wrong));
                    }
                    if is_prepared && wrong != Wrong::Turn {
                        failed.push(flight.request);
                    }
                }
            }
            at = self.flights.newer(at);
        }
        closest
    }

    /// Are all requests to which a reply may come now equal to this one?
    fn is_only(&self, at: u32, now_ns: u64) -> bool {
        let flight = self.flights.at(at);
        let newest = self.flights.newest_overdue();
        let is_fresh = newest != NONE && self.age_ns(newest, now_ns) <= 2 * self.timeout_ns;
        self.flights.class(flight.class).is_some_and(|class| class.open as usize == self.flights.open()) && !is_fresh
    }
}
