//! Whether a step of the search held, and if not, who was the limit.

use crate::numbers::{counted, time};
use crate::report::FloodReport;
use crate::report::sum::LAG_US_MAX;
use crate::search::Limit;
use fsu_core::lateness::Lateness;

/// A step that sent less than this share of its plan did not test the rate.
const SENT_SHARE_MIN: f64 = 0.99;

/// Why a step did not hold; empty where it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Who was the limit.
    pub limit: Option<Limit>,
    /// Why, for people.
    pub why: Vec<String>,
}

/// Judges a step by its report, already held to its thresholds. `rate_per_s`: the plan; `mock`: the mock's own lateness in this step.
///
/// If the generator was too slow, nothing is known of the server: then the generator is the limit, whatever else went wrong.
pub fn judged(report: &FloodReport, rate_per_s: f64, mock: Option<&Lateness>) -> Judged {
    let own = generator(report, rate_per_s);
    if !own.is_empty() {
        return Judged { limit: Some(Limit::Generator), why: own };
    }
    let mut why = report.verdict.failures.clone();
    let counts = &report.totals.counts;
    why.extend((counts.late > 0).then(|| counted(counts.late, "late reply")));
    // The generator was on time: what had no room was waiting for replies.
    let waited = report.totals.not_sent;
    why.extend(
        (waited > 0).then(|| format!("{} not sent, because too many were under way", counted(waited, "request"))),
    );
    why.extend(mock.filter(|mock| mock.replies + mock.lost > 0 && !mock.is_valid()).map(|mock| mock.verdict(None)));
    Judged { limit: (!why.is_empty()).then_some(Limit::Server), why }
}

/// Why the generator did not test the rate.
fn generator(report: &FloodReport, rate_per_s: f64) -> Vec<String> {
    let mut why = Vec::new();
    let busiest = report.generator.threads.iter().map(|load| load.cpu_share).fold(0.0, f64::max);
    if report.verdict.generator_limited {
        why.push(format!("a thread of the generator used {:.0} % of its processor", busiest * 100.0));
    }
    if report.lag.p99_us > LAG_US_MAX {
        why.push(format!("the generator was {} behind its plan at p99", time(report.lag.p99_us)));
    }
    if report.totals.own_drops > 0 {
        why.push(format!("{} dropped at the generator's own sockets", counted(report.totals.own_drops, "reply")));
    }
    let sent = report.totals.sent_per_s;
    if sent < rate_per_s * SENT_SHARE_MIN && report.totals.not_sent == 0 {
        why.push(format!("the generator sent {sent:.0} requests/s of {rate_per_s:.0}"));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::report::ThreadLoad;
    use crate::report::sum::{Course, report};
    use fsu_plan::model::message::Transport;

    /// A step at 1,000 requests/s in which nothing is wrong.
    fn step() -> FloodReport {
        let mut report = report(&fixtures::options(Transport::Udp), &[fixtures::thread()], Course::default());
        (report.totals.counts.sent, report.totals.counts.good, report.totals.sent_per_s) = (5_000, 5_000, 1_000.0);
        report.verdict.failures.clear();
        report
    }

    #[test]
    fn who_was_the_limit() {
        let check = |change: fn(&mut FloodReport), limit: Option<Limit>, why: &str| {
            let mut report = step();
            change(&mut report);
            let judged = judged(&report, 1_000.0, None);
            assert_eq!((judged.limit, &*judged.why.join(", ")), (limit, why));
        };
        let (server, generator) = (Some(Limit::Server), Some(Limit::Generator));
        check(|_| {}, None, "");
        check(|of| of.verdict.failures.push("3 lost".into()), server, "3 lost");
        check(|of| of.totals.counts.late = 1, server, "1 late reply");
        check(|of| of.totals.not_sent = 2, server, "2 requests not sent, because too many were under way");
        check(|of| of.totals.sent_per_s = 991.0, None, "");
        check(|of| of.totals.sent_per_s = 980.0, generator, "the generator sent 980 requests/s of 1000");
        check(|of| of.lag.p99_us = 12_000.0, generator, "the generator was 12 ms behind its plan at p99");
        check(|of| of.totals.own_drops = 1, generator, "1 reply dropped at the generator's own sockets");
        // What a slow generator makes of the server does not count.
        let both = |of: &mut FloodReport| {
            of.verdict.failures.push("3 lost".into());
            of.verdict.generator_limited = true;
            of.generator.threads.push(ThreadLoad { cpu: None, cpu_share: 0.97 });
        };
        check(both, generator, "a thread of the generator used 97 % of its processor");
    }

    #[test]
    fn a_mock_that_was_late_did_not_hold() {
        let late = |over_limit| Lateness {
            replies: 1_000,
            p999_us: 10_000,
            limit_us: 5_000,
            over_limit,
            ..Lateness::default()
        };
        let of = |over_limit| judged(&step(), 1_000.0, Some(&late(over_limit)));
        assert_eq!(of(1), Judged::default());
        assert_eq!(of(2).limit, Some(Limit::Server));
        assert!(of(2).why[0].starts_with("not valid: the mock was 10.000 ms late at p99.9"), "{:?}", of(2));
        assert_eq!(judged(&step(), 1_000.0, Some(&Lateness::default())), Judged::default());
    }
}
