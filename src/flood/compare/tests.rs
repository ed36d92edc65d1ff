use super::*;
use crate::fixtures;
use crate::report::sum::{Course, report};
use crate::report::{FloodReport, Second};
use fastrand::Rng;
use fsu_plan::model::message::Transport;
use serde_json::{Value, json};

/// A run of that many seconds at about that rate and p99, with that number lost of a million.
fn run(seed: u64, seconds: usize, (rate, p99_us): (f64, f64), lost: u64) -> FloodReport {
    let mut report = report(&fixtures::options(Transport::Udp), &[fixtures::thread()], Course::default());
    let mut rng = Rng::with_seed(seed);
    let mut noisy = |value: f64| value * (0.95 + 0.1 * rng.f64());
    let second = |number: usize| {
        let replies = noisy(rate) as u64;
        let (p99_us, p50_us, max_us) = (noisy(p99_us), noisy(100.0), noisy(5_000.0));
        Second {
            at_s: number as f64 + 1.0,
            span_s: 1.0,
            sent: replies,
            replies,
            p50_us,
            p99_us,
            max_us,
            ..Second::default()
        }
    };
    report.seconds = (0..seconds).map(second).collect();
    (report.totals.counts.sent, report.totals.counts.lost) = (1_000_000, lost);
    report
}

/// The metrics that are not the same, and how.
fn found(a: &FloodReport, b: &FloodReport, worse_max: f64) -> (Vec<String>, bool) {
    let told = (load::different(a, b), load::notes(a, b));
    let report = CompareReport::new("flood", ("a", "b"), told, load::rows(a, b), Some(worse_max));
    let tested = report.changes.iter().filter(|change| !["same", "untested"].contains(&&*change.meaning));
    (tested.map(|change| format!("{} {}", change.metric, change.meaning)).collect(), report.passed)
}

#[test]
fn only_what_is_beyond_noise_is_a_change() {
    let check = |a: (f64, f64, u64), b: (f64, f64, u64), expected: &[&str], passed: bool| {
        let of = |seed, (rate, p99_us, lost)| run(seed, 30, (rate, p99_us), lost);
        assert_eq!(
            found(&of(1, a), &of(2, b), 0.05),
            (expected.iter().map(|&of| of.to_owned()).collect(), passed),
            "{a:?} {b:?}"
        );
    };
    check((10_000.0, 800.0, 0), (10_000.0, 800.0, 0), &[], true);
    check((10_000.0, 800.0, 0), (10_080.0, 806.0, 5), &[], true);
    check((10_000.0, 800.0, 0), (10_000.0, 1_000.0, 0), &["p99 worse"], false);
    check((10_000.0, 800.0, 0), (10_000.0, 830.0, 0), &["p99 worse"], true);
    check((10_000.0, 800.0, 0), (10_000.0, 600.0, 0), &["p99 better"], true);
    check((10_000.0, 800.0, 0), (8_000.0, 800.0, 0), &["replies worse"], false);
    check((10_000.0, 800.0, 0), (10_000.0, 800.0, 40), &["loss worse"], false);
    check((10_000.0, 800.0, 400), (10_000.0, 800.0, 100), &["loss better"], true);
}

#[test]
fn few_seconds_are_not_tested() {
    let (a, b) = (run(1, 5, (10_000.0, 800.0), 0), run(2, 30, (5_000.0, 8_000.0), 0));
    assert_eq!(found(&a, &b, 0.05), (Vec::new(), true));
    assert_eq!(load::notes(&a, &b), ["too few seconds for a test: 5 of 8 in the shorter run"]);
}

#[test]
fn other_loads_are_told() {
    let check = |change: fn(&mut FloodReport), expected: &str| {
        let (a, mut b) = (run(1, 9, (1.0, 1.0), 0), run(1, 9, (1.0, 1.0), 0));
        change(&mut b);
        assert_eq!(load::different(&a, &b).join("; "), expected);
    };
    check(|_| {}, "");
    check(|of| of.run.mix = Some("05".into()), "the mix: all commands and 05");
    check(|of| of.config = "other".into(), "the configuration:  and other");
    check(
        |of| (of.run.window, of.run.rate_per_s) = (None, Some(50.0)),
        "the pace: closed loop with 1 under way and 50 requests/s",
    );
    check(|of| of.run.timeout_ms = 5.0, "the time-out: 1000 ms and 5 ms");
    check(|of| of.run.seed = 7, "");
    let (mut a, mut b) = (run(1, 9, (1.0, 1.0), 0), run(1, 9, (1.0, 1.0), 0));
    (a.config_hash, b.config_hash, b.config) = (Some("1".into()), Some("1".into()), "moved".into());
    assert_eq!(load::different(&a, &b), [""; 0]);
    b.config_hash = Some("2".into());
    assert_eq!(load::different(&a, &b), ["the configuration's hash: 1 and 2"]);
}

fn stats(received: u64, dropped: u64, late: u64) -> Value {
    json!({
        "run": {"ended_by": "SIGTERM", "duration_ms": 10_000, "config": "a", "performance": true},
        "totals": {"received": received, "answered": received - dropped, "dropped_total": dropped, "dropped": {"short": dropped}},
        "lateness": {"replies": received, "p50_us": 9, "p99_us": 90, "p999_us": 99, "max_us": 100, "limit_us": 5_000, "over_limit": late},
        "fsus": [{}],
    })
}

#[test]
fn counters_of_a_mock_are_compared_as_shares() {
    let check = |a: Value, b: Value, expected: &[&str]| {
        assert!(mock::is_stats(&a));
        let report =
            CompareReport::new("run", ("a", "b"), (mock::different(&a, &b), Vec::new()), mock::rows(&a, &b), None);
        let tested = report.changes.iter().filter(|change| !["same", "untested"].contains(&&*change.meaning));
        let found: Vec<String> = tested.map(|change| format!("{} {}", change.metric, change.meaning)).collect();
        assert_eq!(found, expected);
    };
    check(stats(100_000, 10, 5), stats(200_000, 22, 9), &[]);
    check(stats(100_000, 10, 5), stats(200_000, 90, 9), &["dropped worse", "dropped: short worse"]);
    check(stats(100_000, 10, 90), stats(100_000, 10, 5), &["mock late or lost better"]);
    assert_eq!(
        mock::different(
            &stats(1, 0, 0),
            &json!({"run": {"config": "b", "performance": true}, "lateness": {"limit_us": 5_000}, "fsus": [1]})
        )
        .len(),
        1
    );
}
