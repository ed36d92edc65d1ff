use super::*;

fn find(name: &str) -> Option<Kind> {
    let all = [("p99", Kind::Time), ("loss", Kind::Share), ("rate", Kind::Rate), ("late", Kind::Count)];
    all.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
}

const METRICS: Metrics = Metrics { find, known: || "p99, loss, rate, late".to_owned() };

#[test]
fn expressions_are_compared() {
    // value in us, percent, per second or a count; of 1,000 that were sent
    let check = |text: &str, value: f64, failed: bool, found: &str| {
        let report = Threshold::parse(text, &METRICS).unwrap().judge(Some(value), 1_000);
        assert_eq!((report.failed, &*report.found()), (failed, found), "{text} of {value}");
    };
    check("p99>20ms", 20_000.0, false, "it is 20 ms");
    check("p99>20ms", 20_000.1, true, "it is 20.0001 ms");
    check("p99>=20ms", 20_000.0, true, "it is 20 ms");
    check(" p99 > 0.5 s ", 499_999.0, false, "it is 0.5 s");
    check("p99>1500us", 1_500.25, true, "it is 1500.25 us");
    check("p99<1us", 0.5, true, "it is 0.5 us");
    check("loss>0.1%", 0.1, false, "it is 0.1 %");
    check("loss>0", 0.1, true, "it is 0.1 %");
    check("rate<5000/s", 4_999.9, true, "it is 4999.9/s");
    check("rate<5000", 5_000.0, false, "it is 5000/s");
    check("rate<=5000 /s", 5_000.0, true, "it is 5000/s");
    check("late>10", 11.0, true, "it is 11");
    check("late>1%", 11.0, true, "it is 1.1 %");
    check("late>1.1%", 11.0, false, "it is 1.1 %");
    check("late==1.1%", 11.0, true, "it is 1.1 %");
    check("late==0", 0.0, true, "it is 0");
}

#[test]
fn what_was_not_measured_fails() {
    let of = |text: &str, value, sent| Threshold::parse(text, &METRICS).unwrap().judge(value, sent);
    for (text, value, sent) in [("p99>20ms", None, 9), ("p99<20ms", None, 9), ("late>1%", Some(0.0), 0)] {
        let report = of(text, value, sent);
        let failure = format!("--fail-if {text}: nothing was measured");
        assert_eq!((report.value, report.failure()), (None, Some(failure)), "{text}");
    }
    assert_eq!(of("late>1", Some(0.0), 0).failure(), None);
}

#[test]
fn errors_have_their_place() {
    let check = |text: &str, expected: &str| {
        let error = Threshold::parse(text, &METRICS).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    };
    check("", "column 1: an operator is missing: > >= < <= ==");
    check("p99", "column 4: an operator is missing: > >= < <= ==");
    check(">20ms", "column 1: a metric is missing (known: p99, loss, rate, late)");
    check("  p98>20ms", "column 3: no metric `p98` (known: p99, loss, rate, late)");
    check("P99>20ms", "column 1: no metric `P99` (known: p99, loss, rate, late)");
    check("p99=20ms", "column 4: no operator (known: > >= < <= ==)");
    check("p99!=20ms", "column 4: no operator (known: > >= < <= ==)");
    check("p99>=", "column 6: a number from 0 to 1000000000000000 is expected");
    check("p99> -5ms", "column 6: a number from 0 to 1000000000000000 is expected");
    check("p99>1.2.3ms", "column 5: a number from 0 to 1000000000000000 is expected");
    check("p99>20", "column 7: a unit is missing (known: us, ms, s)");
    check("p99>20 MS", "column 8: no unit `MS` of p99 (known: us, ms, s)");
    check("p99>20ms && loss>1%", "column 7: no unit `ms && loss>1%` of p99 (known: us, ms, s)");
    check("loss>1", "column 7: a unit is missing (known: %)");
    check("rate<5%", "column 7: no unit `%` of rate (known: /s)");
    check("late>5ms", "column 7: no unit `ms` of late (known: %)");
    check("时延>5ms", "column 1: no metric `时延` (known: p99, loss, rate, late)");
    check("p99＞20ms", "column 9: an operator is missing: > >= < <= ==");
}

#[test]
fn limit_expression_bytes_max() {
    let long = |bytes: usize| format!("{}late>1", " ".repeat(bytes - 6));
    assert!(Threshold::parse(&long(EXPRESSION_BYTES_MAX), &METRICS).is_ok());
    let error = Threshold::parse(&long(EXPRESSION_BYTES_MAX + 1), &METRICS).unwrap_err();
    assert_eq!(error.to_string(), "column 257: longer than 256 bytes");
}

#[test]
fn limit_number_max() {
    assert!(Threshold::parse("late>1000000000000000", &METRICS).is_ok());
    let error = Threshold::parse("late>1000000000000001", &METRICS).unwrap_err();
    assert_eq!(error.to_string(), "column 6: a number from 0 to 1000000000000000 is expected");
}

#[test]
fn failures_of_thresholds_are_renewed() {
    let of = |text: &str, value: f64| Threshold::parse(text, &METRICS).unwrap().judge(Some(value), 0);
    let (before, now) = ([of("late>1", 2.0), of("late>3", 2.0)], [of("late>0", 2.0)]);
    let mut failures = vec!["1 wrong reply".to_owned()];
    renew(&mut failures, &[], &before);
    assert_eq!(failures, ["1 wrong reply", "--fail-if late>1: it is 2"]);
    renew(&mut failures, &before, &now);
    assert_eq!(failures, ["1 wrong reply", "--fail-if late>0: it is 2"]);
}
