//! Two files of a mock's counters (`run --stats`).

use super::Row;
use fsu_core::lateness::Lateness;
use serde_json::Value;

/// A count by its JSON pointer; 0 where it is absent.
fn count(stats: &Value, pointer: &str) -> u64 {
    stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// Whether it is what `run --stats` writes.
pub fn is_stats(value: &Value) -> bool {
    ["/run/ended_by", "/totals/received", "/lateness/replies"].iter().all(|pointer| value.pointer(pointer).is_some())
}

fn read_lateness(stats: &Value) -> Lateness {
    let told = stats.get("lateness").cloned().unwrap_or_default();
    serde_json::from_value(told).unwrap_or_default()
}

/// Why the two are not of the same thing; empty where they are.
pub fn different(a: &Value, b: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let mut compare = |what: &str, of: &dyn Fn(&Value) -> Value| {
        let (a, b) = (of(a), of(b));
        if a != b {
            out.push(format!("{what}: {a} and {b}"));
        }
    };
    let key = |pointer: &'static str| move |stats: &Value| stats.pointer(pointer).cloned().unwrap_or_default();
    let has_hash = |stats: &Value| stats.pointer("/run/config_hash").is_some();
    if has_hash(a) && has_hash(b) {
        compare("the configuration's hash", &key("/run/config_hash"));
    } else {
        compare("the configuration", &key("/run/config"));
    }
    compare("performance mode", &key("/run/performance"));
    compare("the device log", &key("/run/device_log"));
    compare("FSUs", &|stats: &Value| stats.get("fsus").and_then(Value::as_array).map_or(0, Vec::len).into());
    compare("the limit of lateness", &key("/lateness/limit_us"));
    out
}

/// Lateness: a test of the share that was late, and percentiles, of which there is one each.
pub(super) fn lateness(a: &Lateness, b: &Lateness) -> Vec<Row> {
    let of = |late: &Lateness| late.replies + late.lost;
    let late = |late: &Lateness| (late.over_limit + late.lost, of(late));
    let mut rows: Vec<Row> = Row::share("mock late or lost", late(a), late(b)).into_iter().collect();
    if of(a) > 0 && of(b) > 0 {
        let named = [
            ("mock p50", a.p50_us, b.p50_us),
            ("mock p99", a.p99_us, b.p99_us),
            ("mock p99.9", a.p999_us, b.p999_us),
            ("mock max", a.max_us, b.max_us),
        ];
        rows.extend(named.map(|(name, a, b)| Row::new((name, "us"), (a as f64, b as f64))));
    }
    rows
}

/// The metrics of both.
pub fn rows(a: &Value, b: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    let per_s = |stats: &Value| {
        let seconds = count(stats, "/run/duration_ms") as f64 / 1000.0;
        if seconds > 0.0 { count(stats, "/totals/answered") as f64 / seconds } else { 0.0 }
    };
    rows.push(Row::new(("answered", "/s"), (per_s(a), per_s(b))));
    let mut share = |name: &str, pointer: &str, of: &str| {
        rows.extend(Row::share(name, (count(a, pointer), count(a, of)), (count(b, pointer), count(b, of))));
    };
    share("dropped", "/totals/dropped_total", "/totals/received");
    let reasons = [a, b].map(|stats| stats.pointer("/totals/dropped").and_then(Value::as_object));
    let names = reasons.into_iter().flatten().flat_map(|reasons| reasons.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    for name in names {
        share(&format!("dropped: {name}"), &format!("/totals/dropped/{name}"), "/totals/received");
    }
    share("kernel_drops", "/totals/kernel_drops", "/totals/received");
    share("log records lost", "/totals/log_records_lost", "/totals/received");
    share("messages given up", "/totals/messages_given_up", "/totals/messages_sent");
    share("messages retried", "/totals/messages_retried", "/totals/messages_sent");
    rows.extend(lateness(&read_lateness(a), &read_lateness(b)));
    rows
}
