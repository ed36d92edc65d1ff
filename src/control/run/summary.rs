//! The whole fleet at a moment: totals, rates, messages.

use super::sample::Sample;
use super::scan::Scan;
use super::state::state;
use crate::api::fsus::{Message, Messages, State, TimesUs};
use crate::api::snapshot::{Amounts, Busy, LogState, Noisy, Percentiles, ShardNow, Snapshot, StateCounts};
use crate::metrics::Families;
use crate::metrics::fleet::{self, Facts};
use fsu_core::state::Counters;
use fsu_plan::wire::reason::Reason;
use fsu_serve::fleet::stats::Times;
use fsu_serve::fleet::stats::messages as stats_of;
use fsu_serve::shard::late::Late;
use fsu_serve::steer::Replies;
use hdrhistogram::Histogram;
use wildmatch::WildMatch;

/// FSUs that are named as the busiest and the noisiest.
const NAMED: usize = 10;

/// All counters added up, with those of FSUs that are gone.
pub(super) fn totals(scan: &Scan) -> Counters {
    let mut sum = scan.view.gone_counters.clone();
    scan.fsus.iter().flatten().for_each(|now| sum.add(&now.counters));
    sum
}

/// The numbers of a snapshot.
pub(super) fn amounts(counters: &Counters) -> Amounts {
    Amounts {
        received: counters.received as f64,
        answered: counters.answered as f64,
        dropped: counters.dropped_total() as f64,
        faults: counters.faults.iter().sum::<u64>() as f64,
        heartbeats: counters.heartbeats_sent as f64,
        messages: counters.messages_sent as f64,
        acknowledged: counters.messages_acknowledged as f64,
        sent: None,
        wrong: None,
        late: None,
    }
}

/// The difference, per second.
fn rates(now: &Amounts, before: &Amounts, seconds: f64) -> Amounts {
    let rate = |of: fn(&Amounts) -> f64| per_second(of(now) - of(before), seconds);
    Amounts {
        received: rate(|of| of.received),
        answered: rate(|of| of.answered),
        dropped: rate(|of| of.dropped),
        faults: rate(|of| of.faults),
        heartbeats: rate(|of| of.heartbeats),
        messages: rate(|of| of.messages),
        acknowledged: rate(|of| of.acknowledged),
        sent: None,
        wrong: None,
        late: None,
    }
}

/// With one digit after the point: more says nothing.
fn per_second(amount: f64, seconds: f64) -> f64 {
    (amount.max(0.0) / seconds * 10.0).round() / 10.0
}

/// Of all shards together.
pub(super) fn late(scan: &Scan) -> Late {
    let mut all = Late::default();
    scan.figures.shards.iter().for_each(|shard| all.add(&shard.late));
    all
}

/// What came since then.
fn late_since(now: &Late, before: Option<&Late>) -> Histogram<u64> {
    let mut since = now.histogram().clone();
    // A reload keeps it, so what was before is in it.
    if let Some(before) = before {
        let _ = since.subtract(before.histogram());
    }
    since
}

fn percentiles(times: &Histogram<u64>) -> Percentiles {
    if times.is_empty() {
        return Percentiles::default();
    }
    let max = times.value_at_quantile(1.0);
    let at = |quantile| times.value_at_quantile(quantile).min(max);
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max }
}

/// What the fleet did in the time since that sample.
pub(super) fn snapshot(scan: &Scan, before: Option<&Sample>) -> Snapshot {
    let over = before.map_or_else(|| scan.view.about.since.elapsed(), |before| scan.at - before.at);
    let seconds = over.as_secs_f64().max(0.001);
    let totals = totals(scan);
    let now = amounts(&totals);
    let (mut since, mut all) = (late_since(&Late::default(), None), Late::default());
    for (shard, now) in scan.figures.shards.iter().enumerate() {
        all.add(&now.late);
        // Both have the same bounds.
        let _ = since.add(late_since(&now.late, before.and_then(|before| before.late.get(shard))));
    }
    let lateness = all.told(scan.view.about.late_limit_us, fsu_serve::fleet::snapshot::lost(&totals));
    let replies = replies_since(scan, before);
    let (states, centres) = states(scan);
    let (busiest, noisiest) = outstanding(scan, before, seconds);
    Snapshot {
        t_ms: scan.now_ms(),
        over_ms: over.as_millis() as u64,
        fsus: scan.view.fleet.fsus.len(),
        states: Some(states),
        map: None,
        rates: before.map_or_else(Amounts::default, |before| rates(&now, &before.totals, seconds)),
        totals: now,
        late_us: percentiles(&since),
        reply_us: Some(percentiles(&replies)),
        mock_late_us: None,
        target_per_s: None,
        is_valid: lateness.is_valid(),
        verdict: lateness.verdict(None),
        pending: scan.figures.shards.iter().map(|shard| shard.pending).sum(),
        centres: Some(centres),
        connections: Some(scan.figures.shards.iter().map(|shard| shard.connections).sum()),
        log: log(scan, totals.log_records_lost),
        shards: shards(scan, before, seconds),
        reasons: reasons(&totals),
        busiest,
        noisiest,
    }
}

/// The device log; `None`: it is off.
fn log(scan: &Scan, lost: u64) -> Option<LogState> {
    let shards = || scan.figures.shards.iter().filter_map(|shard| shard.log);
    let queue_fill = shards().map(|(bytes, of)| bytes as f64 / of.max(1) as f64).reduce(f64::max)?;
    let queue_bytes = shards().map(|(_, of)| of as u64).sum();
    Some(LogState { queue_fill: (queue_fill * 1e4).round() / 1e4, queue_bytes, lost })
}

/// How long replies took since that sample.
fn replies_since(scan: &Scan, before: Option<&Sample>) -> Histogram<u64> {
    let mut since = replies(scan).histogram().clone();
    if let Some(before) = before {
        // Both have the same bounds, and a reload keeps it.
        let _ = since.subtract(before.replies.histogram());
    }
    since
}

/// How long replies took, of all shards together.
pub(super) fn replies(scan: &Scan) -> Replies {
    let mut all = Replies::default();
    scan.figures.shards.iter().for_each(|shard| all.add(&shard.replies));
    all
}

/// Requests without a reply by reason; only those that occurred.
fn reasons(totals: &Counters) -> std::collections::BTreeMap<String, u64> {
    let all = Reason::ALL.iter().zip(totals.dropped.iter());
    all.filter(|&(_, &count)| count > 0).map(|(reason, &count)| (reason.reason().to_owned(), count)).collect()
}

/// FSUs by state, and centres that are known.
pub(super) fn states(scan: &Scan) -> (StateCounts, u64) {
    let (mut counts, mut centres, now_ms) = (StateCounts::default(), 0, scan.now_ms());
    for (number, now) in scan.fsus.iter().enumerate() {
        centres += now.as_ref().map_or(0, |now| u64::from(now.centres));
        let place = match state(scan.view.fsu(number as u32), now.as_ref(), now_ms) {
            State::Idle => &mut counts.idle,
            State::Serving => &mut counts.serving,
            State::Offline => &mut counts.offline,
            State::Faulty => &mut counts.faulty,
            State::Dialling => &mut counts.dialling,
        };
        *place += 1;
    }
    (counts, centres)
}

/// The FSUs with the most requests, and those with the most that got no reply.
fn outstanding(scan: &Scan, before: Option<&Sample>, seconds: f64) -> (Vec<Busy>, Vec<Noisy>) {
    let Some(before) = before else { return (Vec::new(), Vec::new()) };
    let (mut busy, mut noisy) = (Vec::new(), Vec::new());
    for (number, now) in scan.fsus.iter().enumerate() {
        let Some(now) = now else { continue };
        let counts = (now.counters.received, now.counters.dropped_total());
        let (received, dropped) = before.since(number, scan.view.epoch, counts);
        keep(&mut busy, received, number);
        keep(&mut noisy, dropped, number);
    }
    let name = |number: usize| scan.view.fsu(number as u32).map_or_else(String::new, |fsu| fsu.name.to_string());
    let busy = busy.into_iter().map(|(count, at)| Busy { name: name(at), per_s: per_second(count as f64, seconds) });
    let noisy =
        noisy.into_iter().map(|(count, at)| Noisy { name: name(at), dropped_per_s: per_second(count as f64, seconds) });
    (busy.collect(), noisy.collect())
}

/// Keeps the most, in order.
fn keep(most: &mut Vec<(u64, usize)>, count: u64, number: usize) {
    if count == 0 || (most.len() == NAMED && most[NAMED - 1].0 >= count) {
        return;
    }
    let place = most.partition_point(|&(other, _)| other >= count);
    most.insert(place, (count, number));
    most.truncate(NAMED);
}

fn shards(scan: &Scan, before: Option<&Sample>, seconds: f64) -> Vec<ShardNow> {
    let now = Sample::of(scan);
    let all = scan.view.about.cpus.iter().enumerate();
    all.map(|(shard, &cpu)| {
        let count = |of: &Sample| of.shards.get(shard).copied().unwrap_or_default();
        let (now_at, then) = (count(&now), before.map_or_else(|| count(&now), count));
        let rate = |now: u64, then: u64| per_second(now.saturating_sub(then) as f64, seconds);
        let late = scan
            .figures
            .shards
            .get(shard)
            .map(|now| late_since(&now.late, before.and_then(|before| before.late.get(shard))));
        let busy = before.and_then(|before| {
            let (now, then) = (*now.cpu_ns.get(shard)?, *before.cpu_ns.get(shard)?);
            (now > 0).then(|| (now.saturating_sub(then) as f64 / 1e9 / seconds).clamp(0.0, 1.0))
        });
        ShardNow {
            shard,
            cpu: Some(cpu),
            fsus: scan.view.shards.iter().filter(|&&of| usize::from(of) == shard).count(),
            received_per_s: rate(now_at.0, then.0),
            answered_per_s: rate(now_at.1, then.1),
            busy: busy.map(|busy| (busy * 1_000.0).round() / 1_000.0),
            late_p99_us: late.map_or(0, |late| percentiles(&late).p99),
        }
    })
    .collect()
}

/// `/v1/messages`
pub(super) fn messages(scan: &Scan) -> Messages {
    let times =
        |times: Times| TimesUs { count: times.count, min: times.min, p50: times.p50, p99: times.p99, max: times.max };
    let all = stats_of(&scan.view.fleet, &scan.figures.accounts).into_iter();
    let messages = all.map(|of| Message {
        vendor: of.vendor,
        message: of.message,
        is_acknowledged: of.is_acknowledged,
        sent: of.sent,
        acknowledged: of.acknowledged,
        retried: of.retried,
        refused: of.refused,
        given_up: of.given_up,
        pending: of.pending,
        acknowledged_us: of.acknowledged_us.map(times),
        late_us: of.late_us.map(times),
    });
    Messages { messages: messages.collect() }
}

/// All metrics. `each`: the names of FSUs that have their own.
pub(super) fn families(scan: &Scan, each: Option<&WildMatch>) -> Families {
    let facts = Facts {
        view: &scan.view,
        fsus: &scan.fsus,
        shards: &scan.figures.shards,
        states: states(scan).0,
        late: &late(scan),
        replies: &replies(scan),
        accounts: &scan.figures.accounts,
        up_s: scan.now_ms() as f64 / 1_000.0,
    };
    fleet::families(&facts, each)
}
