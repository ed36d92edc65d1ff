//! What becomes of replies, one by one.

use super::flights::NONE;
use super::*;

const TIMEOUT: u64 = 100;

/// Requests are of the class that their number is.
fn flight(request: u32, sent_ns: u64) -> Flight {
    Flight { request, class: u64::from(request), planned_ns: sent_ns, sent_ns, ..Flight::default() }
}

fn lane(requests: &[(u32, u64)]) -> Lane {
    let mut lane = Lane::new(1, TIMEOUT);
    for &(request, sent) in requests {
        lane.push(flight(request, sent));
    }
    lane
}

/// A reply that is right where `check` says so, after such a delay.
struct Is<F> {
    check: F,
    timing: Timing,
}

impl<F: FnMut(&Flight) -> Result<Right, Wrong>> Matcher for Is<F> {
    fn read(&mut self, request: u32, classes: &mut Vec<u64>) -> Result<(), Wrong> {
        if let Err(wrong @ (Wrong::Key | Wrong::Checksum)) = (self.check)(&flight(request, 0)) {
            return Err(wrong);
        }
        classes.push(u64::from(request));
        Ok(())
    }

    fn check(&mut self, flight: &Flight) -> Result<Right, Wrong> {
        (self.check)(flight)
    }

    fn repeats(&mut self, request: u32) -> bool {
        (self.check)(&flight(request, 0)).is_ok()
    }

    fn timing(&self, _: &Flight) -> Timing {
        self.timing
    }
}

fn is<F: FnMut(&Flight) -> Result<Right, Wrong>>(check: F) -> Is<F> {
    Is { check, timing: Timing::default() }
}

/// A reply to request n is n; one that is 10 more is wrong; one from 2,000 on is damaged; any other has another key.
fn reply(lane: &mut Lane, now: u64, which: u32) -> Settled {
    let check = |flight: &Flight| match which.checked_sub(flight.request) {
        _ if which >= 2_000 => Err(Wrong::Checksum),
        Some(0) => Ok(None),
        Some(10) => Err(Wrong::Static),
        _ => Err(Wrong::Key),
    };
    lane.settle(now, &mut is(check))
}

fn equal(flight: Flight) -> Flight {
    Flight { is_equal: true, ..flight }
}

fn expire(lane: &mut Lane, now: u64) -> Vec<u32> {
    let mut lost = Vec::new();
    lane.expire(now, &mut Vec::new(), |gone| match gone {
        Gone::Lost(flight) => lost.push(flight.request),
        Gone::Wrong(flight, _) => lost.push(flight.request + 10),
        Gone::Unexpected(_) => lost.push(u32::MAX),
    });
    lost
}

#[test]
fn replies_find_their_requests() {
    let mut all = lane(&[(1, 0), (2, 10), (1, 20)]);
    assert_eq!(reply(&mut all, 30, 2), Settled::Good(flight(2, 10), false));
    assert_eq!(reply(&mut all, 30, 1), Settled::Good(equal(flight(1, 0)), false));
    assert_eq!(reply(&mut all, 30, 1), Settled::Good(equal(flight(1, 20)), false));
    assert_eq!(reply(&mut all, 30, 1), Settled::Duplicate);
    assert_eq!(reply(&mut all, 30, 3), Settled::Unexpected(None));
}

#[test]
fn a_wrong_reply_takes_the_request_it_is_closest_to() {
    let mut all = lane(&[(1, 0), (2, 10)]);
    let wrong = Settled::Wrong { flight: flight(2, 10), wrong: Wrong::Static, overdue: false };
    assert_eq!(reply(&mut all, 30, 12), wrong);
    assert_eq!(all.open(), 1);
    assert_eq!(reply(&mut all, 30, 5), Settled::Unexpected(Some(Wrong::Key)));
    assert_eq!(all.open(), 1);
    // Once more: that request has its reply.
    assert_eq!(reply(&mut all, 30, 12), Settled::Unexpected(Some(Wrong::Key)));
    assert_eq!(all.open(), 1);
}

/// Too damaged to tell whose it is, among several: time tells it.
#[test]
fn h07_a_damaged_reply_belongs_to_what_is_not_answered() {
    let mut all = lane(&[(1, 0), (2, 10), (3, 10)]);
    assert_eq!(reply(&mut all, 30, 2_000), Settled::Held(Wrong::Checksum));
    assert!(all.hold(30, Wrong::Checksum, &[]));
    assert_eq!(reply(&mut all, 31, 1), Settled::Good(flight(1, 0), false));
    all.push(flight(4, 40));
    assert_eq!(expire(&mut all, 111), [2, 3]);
    // The third is late, so it is the second's.
    assert_eq!(reply(&mut all, 120, 3), Settled::Late(flight(3, 10), Late::Overdue));
    assert_eq!(expire(&mut all, 430), [4]);
    assert_eq!(expire(&mut all, 431), [12]);
    // All that was under way was answered: nothing asked for it.
    let mut all = lane(&[(1, 0), (2, 10)]);
    assert!(all.hold(30, Wrong::Checksum, &[]));
    reply(&mut all, 31, 1);
    reply(&mut all, 31, 2);
    all.push(flight(3, 31));
    assert_eq!(expire(&mut all, 430), [3]);
    assert_eq!(expire(&mut all, 431), [u32::MAX]);
    // Where only one can be meant, it is that one's at once.
    let mut one = lane(&[(1, 0)]);
    let wrong = Settled::Wrong { flight: flight(1, 0), wrong: Wrong::Checksum, overdue: false };
    assert_eq!(reply(&mut one, 30, 2_000), wrong);
}

#[test]
fn limit_held_max() {
    let mut all = lane(&[(1, 0), (2, 0)]);
    assert!((0..held::HELD_MAX).all(|_| all.hold(30, Wrong::Checksum, &[1])));
    assert!(!all.hold(30, Wrong::Checksum, &[1]));
    let whole = all.held.iter().filter(|held| !held.bytes.is_empty()).count();
    assert_eq!(whole, 4);
}

#[test]
fn late_and_lost() {
    let mut all = lane(&[(1, 0), (2, 90), (3, 95)]);
    assert_eq!(expire(&mut all, 100), [0_u32; 0]);
    assert_eq!(expire(&mut all, 191), [1, 2]);
    // Not yet swept, but past its time: late all the same.
    assert_eq!(reply(&mut all, 196, 3), Settled::Late(flight(3, 95), Late::Open));
    assert_eq!(reply(&mut all, 300, 1), Settled::Late(flight(1, 0), Late::Overdue));
    assert_eq!(reply(&mut all, 301, 1), Settled::Duplicate);
    // Late and wrong is wrong, and no longer lost.
    let wrong = Settled::Wrong { flight: flight(2, 90), wrong: Wrong::Static, overdue: true };
    assert_eq!(reply(&mut all, 302, 12), wrong);
    assert_eq!(all.open(), 0);
}

/// A server that always takes longer than the time-out: the first request is given up, and its reply taken for the second's.
#[test]
fn a_reply_that_may_be_a_late_one_is_doubtful() {
    let mut all = lane(&[(1, 0), (2, 0)]);
    expire(&mut all, 101);
    all.push(flight(1, 110));
    all.push(flight(3, 110));
    assert_eq!(reply(&mut all, 150, 1), Settled::Good(equal(flight(1, 110)), true));
    assert_eq!(reply(&mut all, 150, 3), Settled::Good(flight(3, 110), false));
    all.push(Flight { class: 77, ..flight(2, 120) });
    assert_eq!(reply(&mut all, 150, 2), Settled::Late(flight(2, 0), Late::Overdue));
}

/// One request is lost. After a time-out without an equal one under way it is out of the question that replies are its.
#[test]
fn h07_a_doubt_ends_with_a_gap_longer_than_the_time_out() {
    let check = |pause: u64, doubtful: bool| {
        let mut all = lane(&[(1, 0)]);
        assert_eq!(expire(&mut all, 101), [1]);
        let mut now = 100 + pause;
        for _ in 0..3 {
            all.push(flight(1, now));
            let Settled::Good(_, doubt) = reply(&mut all, now + 5, 1) else { panic!("{pause}: it is right") };
            assert_eq!(doubt, doubtful, "{pause} {now}");
            now += 50;
        }
        // Nothing else is under way: it may be the lost one's.
        let last = reply(&mut all, now, 1);
        assert!(matches!(last, Settled::Late(..) | Settled::Duplicate), "{pause}: {last:?}");
    };
    check(10, true);
    check(100, true);
    check(101, false);
    check(5_000, false);
}

/// Requests that go on without a gap keep the doubt; the gap may come later.
#[test]
fn h07_a_doubt_ends_when_the_gap_comes() {
    let mut all = lane(&[(1, 0)]);
    expire(&mut all, 101);
    let mut doubts = Vec::new();
    for now in [110, 150, 250, 351, 460, 470] {
        all.push(flight(1, now));
        doubts.extend(match reply(&mut all, now + 5, 1) {
            Settled::Good(_, doubt) => Some(doubt),
            _ => None,
        });
    }
    assert_eq!(doubts, [true, true, true, true, false, false]);
}

/// The rule delays replies by 150: what comes earlier than that is another's.
#[test]
fn a_reply_that_comes_too_early_is_an_older_requests() {
    let mut all = lane(&[(1, 0)]);
    expire(&mut all, 101);
    all.timeout_ns = 1_000;
    all.push(flight(1, 110));
    let timing = Timing { least_ns: 150, most_ns: 150 };
    let mut reply = |now| all.settle(now, &mut Is { check: |_: &Flight| Ok(None), timing });
    assert_eq!(reply(150), Settled::Late(equal(flight(1, 0)), Late::Overdue));
    // Nothing else is left: the delay may have been skipped.
    assert!(matches!(reply(160), Settled::Good(Flight { sent_ns: 110, .. }, false)));
    assert_eq!(reply(261), Settled::Duplicate);
}

/// Every 10 a request that is answered at once and once more. Before that, the server was away for a while.
#[test]
fn n15_a_second_reply_is_no_late_answer_to_an_older_request() {
    let mut all = Lane::new(1, TIMEOUT);
    (0..20).for_each(|n| all.push(flight(1, n * 10)));
    let (mut late, mut duplicates) = (0, 0);
    for now in (200..2_000).step_by(10) {
        expire(&mut all, now);
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
    let mut all = Lane::new(1, TIMEOUT);
    (0..50).for_each(|n| all.push(flight(1, n * 10)));
    expire(&mut all, 500);
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
    lane.settle(now, &mut is(check))
}

fn bursts(sent: &[u64]) -> Lane {
    let mut lane = Lane::new(1, TIMEOUT);
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
    all.expire(101, &mut Vec::new(), |gone| {
        let Gone::Lost(flight) = gone else { panic!("{gone:?}") };
        left.push(flight.burst.as_ref().unwrap().left());
    });
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

/// A reply finds its request behind any number of unanswered ones; it is compared with a bounded number of equal ones.
#[test]
fn limit_compared_max_replies_may_overtake_many() {
    let many = 10 * COMPARED_MAX as u32;
    let mut all = Lane::new(1, TIMEOUT);
    // Each with bytes of its own, that a reply has: 0 and 1 by turns, then 7.
    let own = |byte: u8, class: u64| Flight { raw: vec![byte], class, ..flight(1, 0) };
    (0..many).for_each(|n| all.push(own(9, u64::from(n) + 100)));
    all.push(own(7, 1));
    let mut compared = 0;
    let mut check = is(|flight: &Flight| {
        compared += usize::from(!flight.raw.is_empty());
        if flight.raw.first().is_none_or(|byte| *byte == 7) { Ok(None) } else { Err(Wrong::Copied) }
    });
    assert!(matches!(all.settle(10, &mut check), Settled::Good(Flight { class: 1, .. }, false)));
    assert_eq!(compared, 1);
    for (before, found) in [(COMPARED_MAX - 1, true), (COMPARED_MAX, false)] {
        let mut equal = Lane::new(1, TIMEOUT);
        (0..before).for_each(|_| equal.push(own(9, 1)));
        equal.push(own(7, 1));
        let check = |flight: &Flight| if flight.raw == [7] { Ok(None) } else { Err(Wrong::Copied) };
        let settled = equal.settle(10, &mut is(check));
        assert_eq!(matches!(settled, Settled::Good(..)), found, "{before}: {settled:?}");
    }
}

#[test]
fn limit_answered_max_and_overdue_max_what_is_remembered_is_bounded() {
    let lanes = OVERDUE_MAX;
    let mut all = Lane::new(lanes, TIMEOUT);
    (0..1000).for_each(|n| all.push(flight(n, 0)));
    assert_eq!(all.expire(1000, &mut Vec::new(), |_| {}), 1000 - OVERDUE_MIN as u64);
    assert_eq!(all.flights.overdue(), OVERDUE_MIN);
    for n in 0..20 {
        all.push(flight(n, 1000));
        reply(&mut all, 1001, n);
    }
    assert_eq!(all.flights.remembered(), ANSWERED_MIN);
    assert_eq!(reply(&mut all, 1002, 15), Settled::Unexpected(None));
    assert_eq!(reply(&mut all, 1002, 16), Settled::Duplicate);
    // With room for more they are remembered for a time-out.
    let mut one = Lane::new(1, TIMEOUT);
    for n in 0..20 {
        one.push(flight(n, 10 * u64::from(n)));
        reply(&mut one, 10 * u64::from(n), n);
    }
    assert_eq!(one.flights.remembered(), 11);
    let mut most = Lane::new(ANSWERED_MAX / 8, TIMEOUT);
    for n in 0..20 {
        most.push(flight(n, 0));
        reply(&mut most, 1, n);
    }
    assert_eq!(most.flights.remembered(), 8);
}

/// What is left of many that came and went is nothing.
#[test]
fn h07_a_lane_keeps_nothing_of_what_is_over() {
    let mut all = Lane::new(1, TIMEOUT);
    for n in 0..1_000_u32 {
        all.push(flight(n % 7, u64::from(n)));
        reply(&mut all, u64::from(n), n % 7);
    }
    assert_eq!((all.open(), all.flights.oldest_open(), all.flights.oldest_overdue()), (0, NONE, NONE));
    assert!(all.flights.asked().len() <= 7);
    all.close(&mut Vec::new(), |gone| panic!("{gone:?}"));
    assert_eq!((all.flights.asked().len(), all.flights.remembered()), (0, 0));
}

#[test]
fn limit_spent_max() {
    let mut spent = Vec::new();
    (0..SPENT_MAX + 5).for_each(|_| recycle(vec![0], &mut spent));
    recycle(Vec::new(), &mut spent);
    assert_eq!(spent.len(), SPENT_MAX);
}
