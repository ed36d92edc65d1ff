//! The metrics of a centre's report that `--fail-if` compares: those of messages, and a few of the whole report.

use super::heard::CentreReport;
use crate::report::messages::{MessagesReport, thresholds as messages};
use crate::threshold::{self, Kind, Metrics, Threshold, ThresholdReport};

/// A metric of the whole report: its name, its kind, and its value.
type Metric = (&'static str, Kind, fn(&CentreReport) -> Option<f64>);

/// Counts and rates of the whole report.
const WHOLE: [Metric; 5] = [
    ("rate", Kind::Rate, |of| {
        let received = of.messages.as_ref()?.received();
        (of.listened_s > 0.0).then(|| received as f64 / of.listened_s)
    }),
    ("heartbeats", Kind::Count, |of| Some(of.heartbeats as f64)),
    ("bad_frames", Kind::Count, |of| Some(of.bad_frames as f64)),
    ("other_frames", Kind::Count, |of| Some(of.other_frames as f64)),
    ("not_heard", Kind::Count, |of| Some(of.not_heard.len() as f64)),
];

/// A metric of messages may be written as a load has it.
const MESSAGE: &str = "message.";

fn find(name: &str) -> Option<Kind> {
    let whole = || WHOLE.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind);
    messages::find(name.strip_prefix(MESSAGE).unwrap_or(name)).or_else(whole)
}

/// The metrics of [`CentreReport`].
pub const METRICS: Metrics = Metrics {
    find,
    known: || {
        let names: Vec<&str> = messages::names().chain(WHOLE.iter().map(|(name, ..)| *name)).collect();
        format!("{}, wrong.REASON, ended.WAY", names.join(", "))
    },
};

impl CentreReport {
    fn measured(&self, name: &str) -> Option<f64> {
        if let Some((.., value)) = WHOLE.iter().find(|(known, ..)| *known == name) {
            return value(self);
        }
        messages::measured(self.messages.as_ref()?, name.strip_prefix(MESSAGE).unwrap_or(name))
    }

    /// Compares the thresholds with this report.
    pub fn hold_to(&mut self, thresholds: &[Threshold]) {
        let received = self.messages.as_ref().map_or(0, MessagesReport::received);
        let judged = thresholds.iter().map(|of| of.judge(self.measured(&of.metric), received));
        let now: Vec<ThresholdReport> = judged.collect();
        threshold::renew(&mut self.failures, &self.thresholds, &now);
        self.passed = self.failures.is_empty();
        self.thresholds = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::heard::{Called, Heard};
    use crate::report::LatencyReport;
    use crate::report::messages::MessageReport;
    use std::collections::BTreeMap;

    fn report() -> CentreReport {
        let message = |received, unacknowledged| MessageReport { received, unacknowledged, ..MessageReport::default() };
        let messages = MessagesReport {
            messages: vec![message(90, 1), message(10, 3)],
            ack_time: LatencyReport { count: 2, curve: vec![(99.0, 1_500.0), (100.0, 9_000.0)], ..Default::default() },
            wrong_by: BTreeMap::from([("size".to_owned(), 2), ("own_value".to_owned(), 1)]),
            ..MessagesReport::default()
        };
        let called = Called { command_line: Vec::new(), config: None };
        CentreReport::new((&Heard::default(), Some(messages)), 20.0, &[], called)
    }

    #[test]
    fn a_centre_is_held_to_thresholds() {
        let check = |text: &str, failed: bool, found: &str| {
            let mut report = report();
            let before = report.failures.len();
            report.hold_to(&[Threshold::parse(text, &METRICS).unwrap()]);
            let of = &report.thresholds[0];
            assert_eq!(
                (of.failed, &*of.found(), report.failures.len() - before),
                (failed, found, failed.into()),
                "{text}"
            );
        };
        check("unacknowledged>3", true, "it is 4");
        check("unacknowledged>4%", false, "it is 4 %");
        check("message.unacknowledged>3.9%", true, "it is 4 %");
        check("messages<100", false, "it is 100");
        check("rate<5/s", false, "it is 5/s");
        check("ack.p99>1ms", true, "it is 1.5 ms");
        check("ack.max>10ms", false, "it is 9 ms");
        check("ack.p50>10ms", true, "nothing was measured");
        check("wrong>2", true, "it is 3");
        check("wrong.own_value>0", true, "it is 1");
        check("wrong.turn>0", false, "it is 0");
        check("ended.slow>0", false, "it is 0");
        check("heartbeats<1", true, "it is 0");
    }

    #[test]
    fn every_name_is_known_once_and_others_are_not() {
        let names = (METRICS.known)();
        let names: Vec<&str> =
            names.split(", ").filter(|name| !name.ends_with("REASON") && !name.ends_with("WAY")).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
        assert!(names.iter().all(|name| (METRICS.find)(name).is_some()));
        assert!(
            ["", "p99", "wrong.", "wrong.none", "ended.", "ended.none"]
                .iter()
                .all(|name| (METRICS.find)(name).is_none())
        );
    }
}
