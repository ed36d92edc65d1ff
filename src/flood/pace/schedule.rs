//! When each request of an open loop is due. Pure: times are nanoseconds since the start.
//!
//! The plan does not depend on replies, so a slow mock cannot lower the offered load, and latencies counted from these times have
//! no coordinated omission.

use fastrand::Rng;

const NS_PER_S: f64 = 1e9;
/// Requests per second at which a ramp begins, so that the first one is not infinitely far away.
const RAMP_START_PER_S: f64 = 1.0;

/// Planned send times, one after another.
#[derive(Clone, Debug)]
pub struct SendTimes {
    per_s: f64,
    ramp_s: f64,
    poisson: Option<Rng>,
    /// Requests planned so far, in the unit of the integral of the rate.
    passed: f64,
}

impl SendTimes {
    /// `per_s` requests a second, reached in a straight line after `ramp_s` seconds; evenly spaced, or with
    /// exponentially distributed distances (`poisson`) drawn from that seed.
    ///
    /// `first` (0 to 1) is the first request's place in its interval: threads that share a rate take turns by it.
    pub fn new(per_s: f64, ramp_s: f64, poisson: Option<u64>, first: f64) -> Self {
        let mut schedule = Self { per_s, ramp_s, poisson: poisson.map(Rng::with_seed), passed: first };
        if schedule.poisson.is_some() {
            schedule.passed = 0.0;
            schedule.step();
        }
        schedule
    }

    fn step(&mut self) {
        self.passed += match &mut self.poisson {
            None => 1.0,
            // The distance of a Poisson process; 1 - f64() is never 0.
            Some(rng) => -(1.0 - rng.f64()).ln(),
        };
    }

    /// When the next request is due.
    pub fn next_ns(&self) -> u64 {
        (self.time_s(self.passed) * NS_PER_S) as u64
    }

    /// Goes on to the request after it.
    pub fn advance(&mut self) {
        self.step();
    }

    /// When that many requests are due: the inverse of the rate's integral.
    fn time_s(&self, requests: f64) -> f64 {
        if self.ramp_s <= 0.0 {
            return requests / self.per_s;
        }
        let low = RAMP_START_PER_S.min(self.per_s);
        let slope = (self.per_s - low) / self.ramp_s;
        let in_ramp = low * self.ramp_s + slope * self.ramp_s * self.ramp_s / 2.0;
        if requests >= in_ramp {
            return self.ramp_s + (requests - in_ramp) / self.per_s;
        }
        if slope <= 0.0 {
            return requests / low;
        }
        ((low * low + 2.0 * slope * requests).sqrt() - low) / slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(mut schedule: SendTimes, count: usize) -> Vec<u64> {
        std::iter::repeat_with(|| {
            let at = schedule.next_ns();
            schedule.advance();
            at
        })
        .take(count)
        .collect()
    }

    #[test]
    fn evenly_spaced() {
        assert_eq!(times(SendTimes::new(4.0, 0.0, None, 0.0), 4), [0, 250_000_000, 500_000_000, 750_000_000]);
        // The second of two threads that share 8 a second.
        assert_eq!(times(SendTimes::new(4.0, 0.0, None, 0.5), 2), [125_000_000, 375_000_000]);
    }

    #[test]
    fn far_out_nothing_drifts() {
        let mut schedule = SendTimes::new(250_000.0, 0.0, None, 0.0);
        for _ in 0..2_500_000 {
            schedule.advance();
        }
        assert!(schedule.next_ns().abs_diff(10_000_000_000) <= 1, "{}", schedule.next_ns());
    }

    #[test]
    fn a_ramp_offers_half_of_the_requests() {
        // 1/s to 1,001/s over 2 s: 1,002 requests, then one a millisecond, nearly.
        let all = times(SendTimes::new(1001.0, 2.0, None, 0.0), 3000);
        let within = |from: f64, to: f64| all.iter().filter(|&&at| (from..to).contains(&(at as f64 / 1e9))).count();
        assert_eq!(within(0.0, 2.0), 1002);
        assert!(within(0.0, 1.0).abs_diff(251) <= 1, "{}", within(0.0, 1.0));
        assert!(within(2.0, 3.0).abs_diff(1001) <= 1, "{}", within(2.0, 3.0));
        assert!(all.is_sorted());
    }

    #[test]
    fn poisson_keeps_the_rate_and_not_the_distances() {
        let all = times(SendTimes::new(1000.0, 0.0, Some(7), 0.0), 100_000);
        assert!(all.is_sorted());
        let seconds = all[99_999] as f64 / 1e9;
        assert!((98.5..101.5).contains(&seconds), "{seconds}");
        let gaps: Vec<f64> = all.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        // As large as the mean: what makes it exponential.
        assert!((0.98..1.02).contains(&(deviation / mean)), "{deviation} {mean}");
        assert_eq!(all[..10], times(SendTimes::new(1000.0, 0.0, Some(7), 0.0), 10));
    }
}
