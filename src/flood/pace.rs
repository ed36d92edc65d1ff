//! How long and how fast one thread may send. Pure: times are arguments.

pub mod schedule;

use crate::pace::schedule::SendTimes;
use crate::workload::options::Pace;

/// Open pace: how long after its end requests planned before it are still sent. The rest is reported as not sent.
const BEHIND_NS_MAX: u64 = 1_000_000_000;

/// A thread's share of the pace.
#[derive(Debug)]
pub struct Pacer {
    schedule: Option<SendTimes>,
    end_ns: u64,
    left: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A request that was planned for then.
    Now(u64),
    /// Nothing before then.
    At(u64),
    /// Nothing any more.
    Never,
}

impl Pacer {
    /// The share of thread number `thread` of `threads`: until `end_ns`, at most `requests` in total.
    pub fn new(pace: Pace, (thread, threads): (usize, usize), end_ns: u64, requests: Option<u64>, seed: u64) -> Self {
        let threads = threads.max(1);
        let schedule = match pace {
            Pace::Closed { .. } => None,
            Pace::Open { per_s, ramp_s, poisson } => {
                let seed = poisson.then_some(seed.wrapping_add(thread as u64));
                Some(SendTimes::new(per_s / threads as f64, ramp_s, seed, thread as f64 / threads as f64))
            }
        };
        let share = |total: u64| total / threads as u64 + u64::from((thread as u64) < total % threads as u64);
        Self { schedule, end_ns, left: requests.map_or(u64::MAX, share) }
    }

    /// Is the pace open: planned, not driven by replies?
    #[inline]
    pub fn is_open(&self) -> bool {
        self.schedule.is_some()
    }

    /// Has sending ended?
    #[inline]
    pub fn is_over(&self, now_ns: u64) -> bool {
        self.left == 0
            || match &self.schedule {
                None => now_ns >= self.end_ns,
                Some(schedule) => {
                    schedule.next_ns() >= self.end_ns || now_ns >= self.end_ns.saturating_add(BEHIND_NS_MAX)
                }
            }
    }

    /// When sending ended: at an open pace, when the next request would be due.
    pub fn ended_ns(&self, now_ns: u64) -> u64 {
        self.schedule.as_ref().map_or(now_ns, |schedule| schedule.next_ns().min(self.end_ns).max(now_ns))
    }

    /// Ends sending. Returns how many planned requests are not sent.
    pub fn give_up(&mut self) -> u64 {
        let mut planned = 0;
        if let Some(schedule) = &mut self.schedule {
            while planned < self.left && schedule.next_ns() < self.end_ns {
                schedule.advance();
                planned += 1;
            }
        }
        self.stop();
        planned
    }

    /// No more requests.
    pub fn stop(&mut self) {
        self.left = 0;
    }

    /// Open pace: the next planned request, if it is due. Behind schedule, requests keep the times they were planned for.
    #[inline]
    pub fn due(&mut self, now_ns: u64) -> Due {
        let Some(schedule) = &mut self.schedule else { return Due::Never };
        let planned = schedule.next_ns();
        if self.left == 0 || planned >= self.end_ns {
            return Due::Never;
        }
        if planned > now_ns {
            return Due::At(planned);
        }
        schedule.advance();
        self.left -= 1;
        Due::Now(planned)
    }

    /// Open pace: what was due was not sent, and does not count.
    pub fn put_back(&mut self) {
        self.left = self.left.saturating_add(1);
    }

    /// Closed pace: may one more be sent now?
    #[inline]
    pub fn take(&mut self, now_ns: u64) -> bool {
        if self.left == 0 || now_ns >= self.end_ns {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn threads_share_a_rate_and_take_turns() {
        let pace = Pace::Open { per_s: 8.0, ramp_s: 0.0, poisson: false };
        let mut planned = Vec::new();
        for thread in 0..2 {
            let mut pacer = Pacer::new(pace, (thread, 2), SECOND, None, 0);
            while let Due::Now(at) = pacer.due(10 * SECOND) {
                planned.push(at / 1_000_000);
            }
        }
        planned.sort_unstable();
        assert_eq!(planned, [0, 125, 250, 375, 500, 625, 750, 875]);
    }

    #[test]
    fn behind_schedule_planned_times_stay() {
        let pace = Pace::Open { per_s: 1000.0, ramp_s: 0.0, poisson: false };
        let mut pacer = Pacer::new(pace, (0, 1), SECOND, None, 0);
        assert_eq!(pacer.due(500_000), Due::Now(0));
        assert_eq!(pacer.due(500_000), Due::At(1_000_000));
        assert_eq!(pacer.due(3_000_000), Due::Now(1_000_000));
        assert_eq!(pacer.due(3_000_000), Due::Now(2_000_000));
        assert!(!pacer.is_over(3_000_000));
        // Those of the last 996 ms are still sent for a while, and then given up.
        assert!(!pacer.is_over(SECOND));
        assert_eq!(pacer.due(SECOND), Due::Now(3_000_000));
        assert!(pacer.is_over(SECOND + BEHIND_NS_MAX));
        assert_eq!(pacer.give_up(), 996);
        assert_eq!((pacer.due(3 * SECOND), pacer.give_up()), (Due::Never, 0));
    }

    #[test]
    fn what_was_sent_in_time_is_not_given_up() {
        let pace = Pace::Open { per_s: 4.0, ramp_s: 0.0, poisson: false };
        let mut pacer = Pacer::new(pace, (0, 1), SECOND, None, 0);
        (0..4).for_each(|_| assert!(matches!(pacer.due(SECOND), Due::Now(_))));
        assert!(pacer.is_over(800_000_000));
        assert_eq!(pacer.give_up(), 0);
        let mut few = Pacer::new(pace, (0, 1), SECOND, Some(3), 0);
        assert_eq!((few.due(0), few.give_up()), (Due::Now(0), 2));
        assert_eq!(Pacer::new(Pace::Closed { window: 1 }, (0, 1), SECOND, None, 0).give_up(), 0);
    }

    /// Four requests a second for a second are four a second, though the last one leaves after three quarters.
    #[test]
    fn n15_sending_lasts_until_the_next_one_would_be_due() {
        let pace = Pace::Open { per_s: 4.0, ramp_s: 0.0, poisson: false };
        for (requests, expected) in [(None, SECOND), (Some(3), 3 * SECOND / 4)] {
            let mut pacer = Pacer::new(pace, (0, 1), SECOND, requests, 0);
            while let Due::Now(_) = pacer.due(SECOND / 2 + SECOND / 4) {}
            assert_eq!(pacer.ended_ns(SECOND / 2), expected);
        }
        assert_eq!(Pacer::new(Pace::Closed { window: 1 }, (0, 1), SECOND, None, 0).ended_ns(7), 7);
    }

    #[test]
    fn a_number_of_requests_is_shared() {
        let count = |thread| {
            let mut pacer = Pacer::new(Pace::Closed { window: 1 }, (thread, 3), SECOND, Some(8), 0);
            (0..100).filter(|_| pacer.take(0)).count()
        };
        assert_eq!([count(0), count(1), count(2)], [3, 3, 2]);
        let mut pacer = Pacer::new(Pace::Closed { window: 1 }, (0, 1), SECOND, Some(8), 0);
        assert!(!pacer.take(SECOND));
    }
}
