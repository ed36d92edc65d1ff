//! What a mock's own lateness says of it, and the second run that judges one which a closed loop has saturated.

use crate::report::{FloodReport, JudgedRun, MockVerdict};
use fsu_core::lateness::Lateness;

/// The share of a closed loop's rate at which a mock is judged.
pub const JUDGE_SHARE: f64 = 0.5;

/// Why one run cannot judge another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The first run did not saturate the mock, or does not tell.
    #[error("this run did not saturate the mock (--mock-stats says whether it did): nothing is left to judge")]
    NotSaturated,
    /// The second run had no rate.
    #[error("its run was a closed loop; judge the mock by one with --rate")]
    ClosedLoop,
    /// The second run's report lacks the mock's statistics.
    #[error("it does not have the mock's own lateness; add that first: --from it, with --mock-stats")]
    NoLateness,
}

impl FloodReport {
    /// Takes over the mock's own lateness, and says what that means. A second run that has judged the mock stays.
    pub fn judge(&mut self, lateness: Lateness) {
        let judged = self.mock_verdict.take().and_then(|verdict| verdict.judged);
        let is_closed = self.run.rate_per_s.is_none();
        let mut verdict = MockVerdict {
            state: state(&lateness).into(),
            text: String::new(),
            saturated_per_s: None,
            judge_per_s: None,
            judged: None,
        };
        if verdict.state == "not_valid" && is_closed {
            let rate = self.totals.sent_per_s;
            let judge_per_s = (rate * JUDGE_SHARE).max(1.0).round();
            verdict.state = "saturated".into();
            (verdict.saturated_per_s, verdict.judge_per_s) = (Some(rate), Some(judge_per_s));
            verdict.text = match &judged {
                Some(judged) => lateness.saturated_and_judged(rate, judged.rate_per_s, &judged.text),
                None => lateness.saturated(rate, judge_per_s),
            };
            verdict.judged = judged;
        } else {
            verdict.text = lateness.verdict(self.offered_per_s());
            self.forget(judged.as_ref());
        }
        self.mock_verdict = Some(verdict);
        self.mock_lateness = Some(lateness);
    }

    /// Takes over the verdict of a second run, at a part of the rate at which this one saturated the mock. What failed there fails this
    /// report, too.
    ///
    /// # Errors
    /// The two are no such pair of runs.
    pub fn judge_by(&mut self, second: &Self) -> Result<(), JudgeError> {
        let saturated = self.mock_verdict.as_ref().is_some_and(|verdict| verdict.state == "saturated");
        let (true, Some(first)) = (saturated, self.mock_lateness.clone()) else {
            return Err(JudgeError::NotSaturated);
        };
        let Some(planned_per_s) = second.run.rate_per_s else {
            return Err(JudgeError::ClosedLoop);
        };
        let Some(lateness) = second.mock_lateness.clone() else {
            return Err(JudgeError::NoLateness);
        };
        let rate_per_s = if second.totals.not_sent == 0 { planned_per_s } else { second.totals.sent_per_s };
        let failures = second.verdict.failures.iter();
        let judged = JudgedRun {
            rate_per_s,
            state: state(&lateness).into(),
            text: lateness.verdict(None),
            counts: second.totals.counts,
            failures: failures.map(|why| format!("at {rate_per_s:.0} requests/s: {why}")).collect(),
            lateness,
        };
        let before = self.mock_verdict.as_mut().and_then(|verdict| verdict.judged.take());
        self.forget(before.as_ref());
        self.verdict.failures.extend(judged.failures.iter().cloned());
        self.verdict.passed = self.verdict.failures.is_empty();
        if let Some(verdict) = &mut self.mock_verdict {
            verdict.judged = Some(judged);
        }
        self.judge(first);
        Ok(())
    }

    /// Drops the failures of a second run.
    fn forget(&mut self, judged: Option<&JudgedRun>) {
        if let Some(judged) = judged {
            self.verdict.failures.retain(|why| !judged.failures.contains(why));
            self.verdict.passed = self.verdict.failures.is_empty();
        }
    }

    /// The rate that the mock was asked at, where it was the same all the time.
    fn offered_per_s(&self) -> Option<f64> {
        let is_steady = self.run.ramp_s.is_none_or(|ramp_s| ramp_s == 0.0);
        is_steady.then_some(self.totals.sent_per_s)
    }
}

fn state(lateness: &Lateness) -> &'static str {
    match lateness {
        none if none.replies + none.lost == 0 => "none",
        valid if valid.is_valid() => "valid",
        _ => "not_valid",
    }
}
