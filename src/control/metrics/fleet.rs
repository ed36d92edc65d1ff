//! The metrics of a running fleet. How many series there are depends on the templates, not on how many FSUs there are.

use super::families::{Families, Histo, Labels};
use crate::api::snapshot::StateCounts;
use crate::limits::METRICS_FSUS_MAX;
use fsu_core::answer::talk::Event;
use fsu_core::state::Counters;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::reason::Reason;
use fsu_serve::shard::accounts::{Accounts, Tally};
use fsu_serve::shard::late::Late;
use fsu_serve::steer::{FsuNow, Replies, ShardNow, View};
use std::collections::BTreeMap;
use wildmatch::WildMatch;

/// What the metrics are made of.
pub struct Facts<'a> {
    /// What is served.
    pub view: &'a View,
    /// By FSU number.
    pub fsus: &'a [Option<FsuNow>],
    /// By shard.
    pub shards: &'a [ShardNow],
    /// FSUs by state.
    pub states: StateCounts,
    /// Lateness of all replies.
    pub late: &'a Late,
    /// How long replies took.
    pub replies: &'a Replies,
    /// What has become of messages.
    pub accounts: &'a Accounts,
    /// Seconds since the start.
    pub up_s: f64,
}

/// All of them. `each`: the names of FSUs that have metrics of their own.
pub fn families(facts: &Facts<'_>, each: Option<&WildMatch>) -> Families {
    let mut out = Families::new("fsu_mock");
    run(&mut out, facts);
    requests(&mut out, facts);
    messages(&mut out, facts);
    shards(&mut out, facts);
    if let Some(each) = each {
        fsus(&mut out, facts, each);
    }
    out
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

fn run(out: &mut Families, facts: &Facts<'_>) {
    let version = label("version", env!("CARGO_PKG_VERSION"));
    out.gauge("build_info", "The program: always 1", [(version, 1.0)]);
    out.gauge("up_seconds", "Time since the start", [(Vec::new(), facts.up_s)]);
    let view = facts.view;
    let reloads = [("true", view.reloads), ("false", view.reloads_failed)];
    let reloads = reloads.map(|(done, count)| (label("done", done), count));
    out.counter("reloads", "Configurations that were read again: whether they are served", reloads);
    let StateCounts { idle, serving, offline, faulty, dialling } = facts.states;
    let states =
        [("idle", idle), ("serving", serving), ("offline", offline), ("faulty", faulty), ("dialling", dialling)];
    let states = states.map(|(state, count)| (label("state", state), count as f64));
    out.gauge("fsus", "FSUs by state", states);
}

/// The vendors of its devices, each once.
fn vendors(fsu: &Fsu) -> String {
    let mut names: Vec<&str> = Vec::new();
    for device in fsu.devices.iter().filter(|device| device.is_own()) {
        if !names.contains(&&*device.vendor) {
            names.push(&device.vendor);
        }
    }
    names.join(",")
}

/// Counters by transport and vendor.
fn by_kind(facts: &Facts<'_>) -> BTreeMap<(&'static str, String), Counters> {
    let mut kinds: BTreeMap<(&'static str, String), Counters> = BTreeMap::new();
    // FSUs of one entry have the same devices.
    let mut last: Option<(*const (), (&'static str, String))> = None;
    for (fsu, now) in facts.view.fleet.fsus.iter().zip(facts.fsus) {
        let Some(now) = now else { continue };
        let common = std::sync::Arc::as_ptr(&fsu.common).cast::<()>();
        let key = match &last {
            Some((of, key)) if *of == common => key.clone(),
            _ => (fsu.transport.name(), vendors(fsu)),
        };
        kinds.entry(key.clone()).or_default().add(&now.counters);
        last = Some((common, key));
    }
    kinds
}

fn requests(out: &mut Families, facts: &Facts<'_>) {
    let kinds = by_kind(facts);
    let kind = |(transport, vendor): &(&'static str, String)| -> Labels {
        vec![("transport", (*transport).to_owned()), ("vendor", vendor.clone())]
    };
    let mut of = |name: &str, help: &'static str, of: fn(&Counters) -> u64| {
        out.counter(name, help, kinds.iter().map(|(key, counters)| (kind(key), of(counters))));
    };
    of("requests", "Requests that reached an FSU", |counters| counters.received);
    of("replies", "Replies handed to the kernel", |counters| counters.answered);
    of("silent", "Requests that a rule leaves unanswered on purpose", |counters| counters.silent);
    let dropped = kinds.iter().flat_map(|(key, counters)| {
        let all = Reason::ALL.iter().zip(counters.dropped.to_vec()).filter(|&(_, count)| count > 0);
        let labels = kind(key);
        all.map(move |(reason, count)| {
            let reason = ("reason", reason.reason().to_owned());
            (labels.iter().cloned().chain([reason]).collect(), count)
        })
    });
    out.counter("dropped", "Requests without a reply, by reason", dropped);
    let mut all = facts.view.gone_counters.clone();
    for counters in kinds.values() {
        all.add(counters);
    }
    let faults = FaultKind::ALL.iter().zip(all.faults.iter());
    let faults = faults.map(|(fault, &count)| (label("kind", fault.name()), count));
    out.counter("faults", "Faults made on purpose", faults);
    out.counter("heartbeats_sent", "Heartbeats sent", [(Vec::new(), all.heartbeats_sent)]);
    out.counter("heartbeats_received", "Heartbeats of centres received", [(Vec::new(), all.heartbeats_received)]);
    out.counter("kernel_drops", "Datagrams that a socket had no room for", [(Vec::new(), all.kernel_drops)]);
    out.counter("log_records_lost", "Device-log records lost", [(Vec::new(), all.log_records_lost)]);
    let times = Histo::from(facts.late.histogram());
    out.times("lateness_seconds", "From due to handed to the kernel, of every reply", [(Vec::new(), times)]);
    let times = Histo::from(facts.replies.histogram());
    out.times("reply_seconds", "From arrival to handed to the kernel, of every reply", [(Vec::new(), times)]);
}

fn messages(out: &mut Families, facts: &Facts<'_>) {
    let none = Tally::default();
    let accounts: Vec<_> = facts.view.fleet.accounts.iter().enumerate().collect();
    let tally = |number: usize| facts.accounts.get(number).unwrap_or(&none);
    let labels = |number: usize| -> Labels {
        let account = &facts.view.fleet.accounts[number];
        vec![("vendor", account.vendor.to_string()), ("message", account.name.to_string())]
    };
    let events = [Event::Sent, Event::Acknowledged, Event::Retried, Event::Refused, Event::GivenUp];
    let series = accounts.iter().flat_map(|&(number, _)| {
        events.map(|event| {
            let event_label = ("event", event.name().to_owned());
            (labels(number).into_iter().chain([event_label]).collect(), tally(number).count(event))
        })
    });
    out.counter("messages", "Messages by what has become of them", series);
    let waits = accounts.iter().filter_map(|&(number, _)| Some((labels(number), Histo::from(tally(number).waits()?))));
    out.times("message_ack_seconds", "From send to acknowledgement", waits);
}

fn shards(out: &mut Families, facts: &Facts<'_>) {
    let all = |of: fn(&FsuNow) -> u32| facts.fsus.iter().flatten().map(|now| u64::from(of(now))).sum::<u64>() as f64;
    out.gauge("centres", "Centres that FSUs know", [(Vec::new(), all(|now| now.centres))]);
    let connections: u64 = facts.shards.iter().map(|shard| shard.connections).sum();
    out.gauge("connections", "Open connections", [(Vec::new(), connections as f64)]);
    let pending: u64 = facts.shards.iter().map(|shard| shard.pending).sum();
    out.gauge("pending", "Replies that wait for their time", [(Vec::new(), pending as f64)]);
    let waiting = all(|now| now.pending);
    out.gauge("messages_pending", "Messages that wait for their acknowledgement", [(Vec::new(), waiting)]);
    let logs = facts.shards.iter().enumerate().filter_map(|(number, shard)| Some((number, shard.log?)));
    let fill = |(number, (bytes, of)): (usize, (usize, usize))| {
        (label("shard", number.to_string()), bytes as f64 / of.max(1) as f64)
    };
    out.gauge("log_queue_fill", "How full a shard's queue of the device log is: 0 to 1", logs.clone().map(fill));
    let room = logs.map(|(number, (_, of))| (label("shard", number.to_string()), of as f64));
    out.gauge("log_queue_bytes", "For how many bytes a shard's queue of the device log has room", room);
    let held = facts.shards.iter().enumerate();
    let held = held.map(|(number, shard)| (label("shard", number.to_string()), shard.held_ns as f64 / 1e9));
    out.gauge("held_seconds_max", "The longest time that a question of the control server has held a shard up", held);
    let cpu = facts.shards.iter().enumerate().filter(|(_, shard)| shard.cpu_ns > 0);
    let cpu = cpu.map(|(number, shard)| (label("shard", number.to_string()), shard.cpu_ns as f64 / 1e9));
    out.seconds("shard_cpu_seconds", "Processor time of a shard's thread", cpu);
}

/// Metrics of single FSUs.
fn fsus(out: &mut Families, facts: &Facts<'_>, each: &WildMatch) {
    let all = facts.view.fleet.fsus.iter().zip(facts.fsus);
    let chosen = all.filter(|(fsu, _)| each.matches(&fsu.name)).take(METRICS_FSUS_MAX);
    let chosen: Vec<(&Fsu, &FsuNow)> = chosen.filter_map(|(fsu, now)| Some((fsu, now.as_ref()?))).collect();
    let name = |fsu: &Fsu| label("fsu", fsu.name.to_string());
    let mut of = |metric: &str, help: &'static str, of: fn(&Counters) -> u64| {
        out.counter(metric, help, chosen.iter().map(|(fsu, now)| (name(fsu), of(&now.counters))));
    };
    of("fsu_requests", "Requests that reached the FSU", |counters| counters.received);
    of("fsu_replies", "Replies of the FSU handed to the kernel", |counters| counters.answered);
    of("fsu_dropped", "Requests to the FSU without a reply", Counters::dropped_total);
    of("fsu_faults", "Faults of the FSU made on purpose", |counters| counters.faults.iter().sum());
    of("fsu_messages_sent", "Messages that the FSU raised", |counters| counters.messages_sent);
    of("fsu_messages_acknowledged", "Messages of the FSU that were acknowledged", |counters| {
        counters.messages_acknowledged
    });
    let offline = chosen.iter().map(|(fsu, now)| (name(fsu), f64::from(u8::from(now.is_offline))));
    out.gauge("fsu_offline", "1: the FSU is without power", offline);
    let centres = chosen.iter().map(|(fsu, now)| (name(fsu), f64::from(now.centres + now.connections)));
    out.gauge("fsu_peers", "Centres and connections of the FSU", centres);
}
