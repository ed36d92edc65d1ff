//! How late a mock's replies left, and whether a test with it is valid (docs/use/lateness.md).
//!
//! `run` prints it and writes it to `--stats`; the load generator's report reads it from there.

use fsu_plan::words::count;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The lateness of one shard's replies, or of all, from due to handed to the kernel. Microseconds, rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// Replies measured: all datagrams that were sent, and what was written to connections or waits for their peers.
    pub replies: u64,
    /// Half of them were at most this late.
    pub p50_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// 999 in a thousand.
    pub p999_us: u64,
    /// The latest.
    pub max_us: u64,
    /// The limit of `--late-limit-ms`.
    pub limit_us: u64,
    /// Replies later than that.
    pub over_limit: u64,
    /// Requests that the mock's own sockets had no room for, and replies that it had none for itself. Not in `replies`.
    #[serde(default)]
    pub lost: u64,
    /// Those of `replies` that went into connections. Since when a request there had waited is known from the mock's own looks, not from the
    /// kernel.
    #[serde(default)]
    pub stream_replies: u64,
    /// By up to so much may one of these have left later than is counted; 0 without any.
    #[serde(default)]
    pub stream_unseen_us: u64,
}

impl Lateness {
    /// Whether the mock itself was fast enough: at most one reply in a thousand was late or lost. Otherwise a measurement with it
    /// says nothing about the other side.
    pub fn is_valid(&self) -> bool {
        let told = self.replies.saturating_add(self.lost);
        self.over_limit.saturating_add(self.lost).saturating_mul(1_000) <= told
    }

    /// A sentence for people: what lateness says that was measured at the highest rate that the mock came to, and where to judge it.
    pub fn saturated(&self, rate_per_s: f64, judge_per_s: f64) -> String {
        let saturated = self.at_its_limit(rate_per_s);
        format!("{saturated}; to judge the mock, start it again and flood with --rate {judge_per_s:.0}")
    }

    /// The same, when another run has judged the mock at `judged_per_s`: `judged` is what that one says.
    pub fn saturated_and_judged(&self, rate_per_s: f64, judged_per_s: f64, judged: &str) -> String {
        format!("{}; at {judged_per_s:.0} requests/s, in a run of its own: {judged}", self.at_its_limit(rate_per_s))
    }

    fn at_its_limit(&self, rate_per_s: f64) -> String {
        let Self { p999_us, lost, .. } = self;
        let lost = if *lost == 0 { String::new() } else { format!(", {} lost by it", count(*lost, "request")) };
        format!(
            "saturated at {rate_per_s:.0} requests/s: a closed loop drives the mock to its limit, and lateness there is queueing \
             ({}.{:03} ms at p99.9{lost})",
            p999_us / 1_000,
            p999_us % 1_000
        )
    }

    /// A sentence for people; `rate_per_s` is what was offered, where that is known and did not change.
    pub fn verdict(&self, rate_per_s: Option<f64>) -> String {
        let ms = |us: u64| format!("{}.{:03} ms", us / 1_000, us % 1_000);
        let Self { over_limit, replies, lost, .. } = self;
        if replies + lost == 0 {
            return "no verdict: the mock sent no reply".to_owned();
        }
        let all = count(replies + lost, "request");
        if *replies == 0 {
            return format!("not valid: the mock lost {lost} of {all} itself");
        }
        let lost = match lost {
            0 => String::new(),
            lost => format!("; it lost {lost} of {all} itself"),
        };
        if self.is_valid() {
            return format!("valid: the mock was at most {} late at p99.9{lost}{}", ms(self.p999_us), self.covers());
        }
        let above = rate_per_s.map_or_else(String::new, |rate| format!(" at {rate:.0} requests/s and above"));
        let limit = ms(self.limit_us);
        let verb = if *over_limit == 1 { "was" } else { "were" };
        let late = format!("{over_limit} of {} {verb}", count(*replies, "reply"));
        let late = if self.p999_us > self.limit_us {
            format!(", past its limit of {limit}; {late} later than that")
        } else if *over_limit > 0 {
            format!("; {late} later than its limit of {limit}")
        } else {
            String::new()
        };
        format!("not valid{above}: the mock was {} late at p99.9{late}{lost}{}", ms(self.p999_us), self.covers())
    }

    /// What the verdict does not see, if anything.
    fn covers(&self) -> String {
        let Self { stream_replies, stream_unseen_us, replies, .. } = self;
        if *stream_replies == 0 {
            return String::new();
        }
        let (all, unseen_ms) = (count(*replies, "reply"), *stream_unseen_us as f64 / 1_000.0);
        format!(
            "; {stream_replies} of {all} went into connections, where a stop of less than {unseen_ms} ms may go unseen"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let late = |replies, p999_us, over_limit| Lateness {
            replies,
            p999_us,
            over_limit,
            limit_us: 5_000,
            ..Lateness::default()
        };
        let check = |late: Lateness, rate, expected| assert_eq!(late.verdict(rate), expected);
        check(late(0, 0, 0), None, "no verdict: the mock sent no reply");
        check(late(10, 912, 0), Some(100.0), "valid: the mock was at most 0.912 ms late at p99.9");
        let lost = |lost, of: Lateness| Lateness { lost, ..of };
        check(
            lost(1, late(999, 912, 0)),
            None,
            "valid: the mock was at most 0.912 ms late at p99.9; it lost 1 of 1000 requests itself",
        );
        check(
            lost(1, late(998, 912, 0)),
            None,
            "not valid: the mock was 0.912 ms late at p99.9; it lost 1 of 999 requests itself",
        );
        check(lost(7, late(0, 0, 0)), None, "not valid: the mock lost 7 of 7 requests itself");
        check(late(10, 5_000, 0), None, "valid: the mock was at most 5.000 ms late at p99.9");
        check(
            late(1_000, 12_001, 2),
            Some(52_000.4),
            "not valid at 52000 requests/s and above: the mock was 12.001 ms late at p99.9, past its limit of 5.000 ms; \
             2 of 1000 replies were later than that",
        );
    }

    #[test]
    fn h06_a_verdict_says_what_it_covers() {
        let check = |over_limit, p999_us, stream_replies, expected: &str| {
            let of = Lateness { replies: 10, limit_us: 5_000, stream_unseen_us: 5_000, ..Lateness::default() };
            assert_eq!(Lateness { p999_us, over_limit, stream_replies, ..of }.verdict(None), expected);
        };
        check(0, 912, 0, "valid: the mock was at most 0.912 ms late at p99.9");
        check(
            0,
            912,
            4,
            "valid: the mock was at most 0.912 ms late at p99.9; 4 of 10 replies went into connections, where a stop of less than \
             5 ms may go unseen",
        );
        check(
            3,
            301_000,
            10,
            "not valid: the mock was 301.000 ms late at p99.9, past its limit of 5.000 ms; 3 of 10 replies were later than that; \
             10 of 10 replies went into connections, where a stop of less than 5 ms may go unseen",
        );
    }
}
