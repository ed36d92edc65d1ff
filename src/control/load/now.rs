//! What is known of a load at a moment.

use crate::api::snapshot::{Amounts, MockLateness, Percentiles, Snapshot};
use crate::metrics::Histo;
use fsu_core::lateness::Lateness;
use fsu_flood::account::Requests;
use fsu_flood::book::live::Look;
use fsu_flood::listen::thread::Glance;
use fsu_flood::report::Second;
use fsu_flood::sum::LAG_US_MAX;
use fsu_flood::tally::{CommandCounts, Latency, Other};
use std::collections::BTreeMap;

/// What is known.
#[derive(Default)]
pub(super) struct Now {
    /// When that was, in milliseconds since the start, and how long the last second was.
    at_ms: u64,
    span_s: f64,
    /// Of the current step.
    pub(super) requests: Requests,
    pub(super) other: Other,
    /// Of the steps before it.
    past: Requests,
    past_other: Other,
    pub(super) wrong_by: BTreeMap<&'static str, u64>,
    past_wrong_by: BTreeMap<&'static str, u64>,
    /// Latencies since the start.
    pub(super) latency: Option<Histo>,
    /// Lags behind the plan in the current step, and since the start of all.
    lag_before: Option<Latency>,
    pub(super) lag: Option<Histo>,
    pub(super) under_way: u64,
    /// Messages that came, those acknowledged, heartbeats, connections.
    heard: Heard,
    before: Heard,
    /// In the steps before it.
    past_heard: Heard,
    /// Of the last second.
    rates: Amounts,
    latency_us: Percentiles,
    lag_us: Percentiles,
    /// From planned to sent at p99, of the whole step.
    step_lag_us: u64,
    pub(super) mock: Option<Lateness>,
    /// It asks nobody.
    is_centre: bool,
}

/// What devices say unasked.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    pub(super) messages: u64,
    pub(super) acknowledged: u64,
    pub(super) heartbeats: u64,
    pub(super) connections: u64,
}

fn percentiles(times: &Latency) -> Percentiles {
    if times.is_empty() {
        return Percentiles::default();
    }
    let us = |ns: u64| ns.div_ceil(1_000);
    let at = |quantile| us(times.value_at_quantile(quantile).min(times.max()));
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: us(times.max()) }
}

fn per_second(count: u64, span_s: f64) -> f64 {
    (count as f64 / span_s.max(0.001) * 10.0).round() / 10.0
}

impl Now {
    pub(super) fn second(&mut self, t_ms: u64, second: &Second, look: &Look) {
        let total = look.rows.iter().fold(CommandCounts::default(), |mut total, row| {
            total.add(row);
            total
        });
        let before = (self.requests, self.other);
        (self.at_ms, self.span_s) = (t_ms, second.span_s);
        (self.requests, self.other) = (total.requests, look.other);
        self.wrong_by.clone_from(&look.more.wrong_by);
        self.under_way = look.more.open;
        let [messages, acknowledged] = look.more.heard;
        let heard = Heard { messages, acknowledged, heartbeats: look.other.heartbeats, connections: 0 };
        let was = std::mem::replace(&mut self.heard, heard);
        self.latency_us = percentiles(&look.interval);
        add(&mut self.latency, &Histo::of_ns(&look.interval));
        let mut lag = look.more.lag.clone();
        if let Some(before) = &self.lag_before {
            // Both have the same bounds, and it only grows within a step.
            let _ = lag.subtract(before);
        }
        self.lag_us = percentiles(&lag);
        self.step_lag_us = percentiles(&look.more.lag).p99;
        add(&mut self.lag, &Histo::of_ns(&lag));
        self.lag_before = Some(look.more.lag.clone());
        let rate = |now: u64, before: u64| per_second(now.saturating_sub(before), second.span_s);
        self.rates = Amounts {
            sent: Some(rate(look.other.sent, before.1.sent)),
            received: rate(look.other.replies, before.1.replies),
            answered: rate(total.requests.good, before.0.good),
            dropped: rate(total.requests.lost, before.0.lost),
            wrong: Some(rate(total.requests.wrong, before.0.wrong)),
            late: Some(rate(total.requests.late, before.0.late)),
            messages: rate(messages, was.messages),
            acknowledged: rate(acknowledged, was.acknowledged),
            heartbeats: rate(look.other.heartbeats, was.heartbeats),
            faults: 0.0,
        };
    }

    pub(super) fn again(&mut self) {
        self.past.add(&self.requests);
        self.past_other.add(&self.other);
        for (why, count) in std::mem::take(&mut self.wrong_by) {
            *self.past_wrong_by.entry(why).or_default() += count;
        }
        self.past_heard = self.all_heard();
        self.heard = Heard::default();
        (self.requests, self.other, self.lag_before) = (Requests::default(), Other::default(), None);
        self.under_way = 0;
    }

    pub(super) fn heard(&mut self, t_ms: u64, glance: &Glance) {
        self.is_centre = true;
        let span_s = (t_ms.saturating_sub(self.at_ms)) as f64 / 1_000.0;
        (self.at_ms, self.span_s) = (t_ms, span_s);
        self.before = self.heard;
        self.heard = Heard {
            messages: glance.messages,
            acknowledged: glance.acked,
            heartbeats: glance.heartbeats,
            connections: glance.open,
        };
        self.other.unexpected = glance.wrong + glance.bad;
        let rate = |now: u64, before: u64| per_second(now.saturating_sub(before), span_s);
        self.rates = Amounts {
            messages: rate(self.heard.messages, self.before.messages),
            acknowledged: rate(self.heard.acknowledged, self.before.acknowledged),
            heartbeats: rate(self.heard.heartbeats, self.before.heartbeats),
            ..Amounts::default()
        };
    }

    pub(super) fn mock(&mut self, late: &Lateness) {
        self.mock = Some(late.clone());
    }

    /// Requests of all steps.
    pub(super) fn all(&self) -> (Requests, Other) {
        let (mut requests, mut other) = (self.past, self.past_other);
        requests.add(&self.requests);
        other.add(&self.other);
        (requests, other)
    }

    /// What devices said unasked, in all steps; connections are those that are open.
    pub(super) fn all_heard(&self) -> Heard {
        let (past, now) = (self.past_heard, self.heard);
        Heard {
            messages: past.messages + now.messages,
            acknowledged: past.acknowledged + now.acknowledged,
            heartbeats: past.heartbeats + now.heartbeats,
            connections: now.connections,
        }
    }

    /// What is wrong with replies, of all steps.
    pub(super) fn wrong(&self) -> BTreeMap<&'static str, u64> {
        let mut all = self.past_wrong_by.clone();
        for (why, count) in &self.wrong_by {
            *all.entry(why).or_default() += count;
        }
        all
    }

    pub(super) fn snapshot(&self, t_ms: u64, fsus: usize, target_per_s: Option<f64>) -> Snapshot {
        let ((requests, other), heard) = (self.all(), self.all_heard());
        let of_load = |count: u64| (!self.is_centre).then_some(count as f64);
        let totals = Amounts {
            sent: of_load(other.sent),
            received: other.replies as f64,
            answered: requests.good as f64,
            dropped: requests.lost as f64,
            wrong: of_load(requests.wrong),
            late: of_load(requests.late),
            messages: heard.messages as f64,
            acknowledged: heard.acknowledged as f64,
            heartbeats: heard.heartbeats as f64,
            faults: 0.0,
        };
        let (is_valid, verdict) = self.verdict(&other);
        Snapshot {
            t_ms,
            over_ms: (self.span_s * 1_000.0) as u64,
            fsus,
            rates: self.rates,
            totals,
            late_us: self.lag_us,
            reply_us: (!self.is_centre).then_some(self.latency_us),
            mock_late_us: self.mock.as_ref().map(|late| MockLateness {
                p50: late.p50_us,
                p99: late.p99_us,
                max: late.max_us,
            }),
            target_per_s,
            is_valid,
            verdict,
            pending: self.under_way,
            connections: self.is_centre.then_some(self.heard.connections),
            reasons: self.reasons(&requests, &other),
            ..Snapshot::default()
        }
    }

    /// Whether the figures are those of the FSUs: the generator and the mock kept their times.
    fn verdict(&self, other: &Other) -> (bool, String) {
        let lag_ms = self.step_lag_us as f64 / 1_000.0;
        let mock = self.mock.as_ref().filter(|late| !late.is_valid());
        if other.not_sent > 0 {
            (false, format!("{} requests were due and not sent: the generator is behind its plan", other.not_sent))
        } else if lag_ms * 1_000.0 > LAG_US_MAX {
            (false, format!("the generator is behind its plan: {lag_ms:.1} ms at p99"))
        } else if let Some(late) = mock {
            (false, late.verdict(None))
        } else {
            (true, "the generator keeps its plan".to_owned())
        }
    }

    /// What is not right, by reason; only what occurred.
    fn reasons(&self, requests: &Requests, other: &Other) -> BTreeMap<String, u64> {
        let own = [("no_reply", requests.lost), ("late", requests.late), ("missing", other.missing)];
        let own = own.into_iter().chain(odd(other)).map(|(why, count)| (why.to_owned(), count));
        let wrong = self.wrong().into_iter().map(|(why, count)| (why.to_owned(), count));
        own.chain(wrong).filter(|&(_, count)| count > 0).collect()
    }
}

/// What is not right besides wrong and lost replies, by kind.
pub(super) fn odd(other: &Other) -> [(&'static str, u64); 6] {
    [
        ("duplicate", other.duplicate),
        ("unexpected", other.unexpected),
        ("refused", other.refused),
        ("not_sent", other.not_sent),
        ("send_errors", other.send_errors),
        ("own_drops", other.own_drops),
    ]
}

fn add(all: &mut Option<Histo>, more: &Histo) {
    match all {
        None => *all = Some(more.clone()),
        Some(all) => all.add(more),
    }
}
