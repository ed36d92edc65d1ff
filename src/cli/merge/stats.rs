//! `run --stats` of several parts.
//!
//! Counts are added. Histograms are made again from their steps and added, so that percentiles are exactly those of all replies
//! together. What each FSU counted is taken over as it is written.

use super::MergeError;
use super::files::on_threads;
use super::numbers::{add, rows};
use fsu_core::lateness::Lateness;
use fsu_plan::words::count;
use fsu_serve::fleet::stats::{Times, VERSION};
use fsu_serve::shard::accounts::{late_of, waits_of};
use fsu_serve::shard::late::{Late, Steps};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

type Object = Map<String, Value>;

#[derive(Deserialize)]
struct Part<'a> {
    version: u32,
    run: Object,
    totals: Object,
    lateness: Lateness,
    lateness_steps: Steps,
    #[serde(rename = "part")]
    head: Option<Head>,
    #[serde(default)]
    messages: Vec<Object>,
    transports: Vec<Object>,
    shards: Vec<Object>,
    #[serde(borrow)]
    fsus: Vec<&'a RawValue>,
    gone: Object,
    log: Object,
}

#[derive(Clone, Debug, Deserialize)]
struct Head {
    part: u32,
    of: u32,
    fsus_of: u32,
    numbers: Vec<u32>,
}

/// What the parts together were.
#[derive(Serialize)]
pub(super) struct Merged {
    /// Parts that are in it.
    parts: usize,
    /// Parts of the fleet.
    of: u32,
    /// Those that are not in it.
    missing: Vec<u32>,
    /// FSUs that are in it.
    fsus: usize,
    /// FSUs of the undivided fleet.
    fsus_of: u32,
    /// Since when all parts ran: RFC 3339.
    common_started: Value,
    /// Until when.
    common_ended: Value,
    /// Milliseconds between the two; 0: they never ran together.
    common_ms: u64,
}

#[derive(Serialize)]
pub(super) struct Whole<'a> {
    version: u32,
    run: Object,
    merged: Merged,
    totals: Object,
    lateness: Lateness,
    lateness_steps: Steps,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Object>,
    transports: Vec<Object>,
    shards: Vec<Object>,
    fsus: Vec<&'a RawValue>,
    gone: Object,
    log: Object,
}

/// A part, and where it was read.
struct From<'a> {
    path: &'a PathBuf,
    head: Head,
    part: Part<'a>,
}

/// The merged statistics, what to say of them, and whether the run is not valid.
pub(super) fn merge<'a>(
    name: &str,
    texts: &[(&'a PathBuf, &'a str)],
    allow_missing: bool,
) -> Result<(Whole<'a>, String, bool), MergeError> {
    let parts = on_threads(texts, |&(path, text)| read(path, text));
    let mut parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|from| from.head.part);
    belong_together(&parts)?;
    let missing = missing(&parts);
    if !missing.is_empty() && !allow_missing {
        let which = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(MergeError::Missing { name: name.to_owned(), which });
    }
    let whole = whole(parts, missing)?;
    let Merged { parts, of, fsus, fsus_of, .. } = whole.merged;
    let percent = 100.0 * (f64::from(fsus_of) - fsus as f64) / f64::from(fsus_of.max(1));
    let lacking = if whole.merged.missing.is_empty() { String::new() } else { format!(", {percent:.1} % missing") };
    let line = format!(
        "{parts} of {of} parts, {fsus} of {}{lacking}; {}",
        count(fsus_of as usize, "FSU"),
        whole.lateness.verdict(None)
    );
    let is_failed = !whole.lateness.is_valid();
    Ok((whole, line, is_failed))
}

fn content(path: &Path, what: impl Into<String>) -> MergeError {
    MergeError::Content { path: path.to_owned(), what: what.into() }
}

fn read<'a>(path: &'a PathBuf, text: &'a str) -> Result<From<'a>, MergeError> {
    let part: Part<'a> = serde_json::from_str(text).map_err(|error| content(path, error.to_string()))?;
    if part.version != VERSION {
        return Err(content(
            path,
            format!("statistics of version {} (this program merges version {VERSION})", part.version),
        ));
    }
    let Some(head) = part.head.clone() else {
        return Err(content(path, "statistics of a run without --partition"));
    };
    if head.numbers.len() != part.fsus.len() {
        return Err(content(path, format!("{} numbers of {}", head.numbers.len(), count(part.fsus.len(), "FSU"))));
    }
    Ok(From { path, head, part })
}

/// Parts of one run have the same configuration, seed and limit, and no FSU in common.
fn belong_together(parts: &[From<'_>]) -> Result<(), MergeError> {
    let Some(first) = parts.first() else { return Err(MergeError::Nothing) };
    let key = |from: &From<'_>, name: &str| from.part.run.get(name).cloned().unwrap_or_default().to_string();
    for from in parts {
        let both = |what, of: &dyn Fn(&From<'_>) -> String| {
            let (found, expected) = (of(from), of(first));
            if found == expected {
                return Ok(());
            }
            Err(MergeError::Differs { path: from.path.clone(), what, found, expected, first: first.path.clone() })
        };
        both("the hash of the configuration", &|from| key(from, "config_hash"))?;
        both("the number of parts", &|from| from.head.of.to_string())?;
        both("the number of all FSUs", &|from| from.head.fsus_of.to_string())?;
        both("the seed", &|from| key(from, "seed"))?;
        both("performance mode", &|from| key(from, "performance"))?;
        both("the limit of lateness", &|from| format!("{} us", from.part.lateness.limit_us))?;
        both("the program", &|from| key(from, "program"))?;
    }
    for pair in parts.windows(2) {
        if let [a, b] = pair
            && a.head.part == b.head.part
        {
            return Err(MergeError::Twice { path: b.path.clone(), part: b.head.part, first: a.path.clone() });
        }
    }
    Ok(())
}

fn missing(parts: &[From<'_>]) -> Vec<u32> {
    let of = parts.first().map_or(0, |from| from.head.of);
    (0..of).filter(|part| !parts.iter().any(|from| from.head.part == *part)).collect()
}

fn whole(parts: Vec<From<'_>>, missing: Vec<u32>) -> Result<Whole<'_>, MergeError> {
    let (of, fsus_of) = parts.first().map_or((0, 0), |from| (from.head.of, from.head.fsus_of));
    let run = run(&parts);
    let (common_started, common_ended, common_ms) = common(&parts);
    let (mut totals, mut gone, mut log) = (Object::new(), Object::new(), Object::new());
    let mut late = Late::default();
    let (mut lost, mut limit_us) = (0, 0);
    let (mut messages, mut transports, mut shards) = (Vec::new(), Vec::new(), Vec::new());
    let mut fsus = Vec::with_capacity(fsus_of as usize);
    let many = parts.len();
    for From { path, head, part } in parts {
        add(&mut totals, &part.totals);
        add(&mut gone, &part.gone);
        add(&mut log, &part.log);
        late.add_steps(&part.lateness_steps, part.lateness.stream_replies);
        lost += part.lateness.lost;
        limit_us = part.lateness.limit_us;
        messages.extend(part.messages);
        transports.extend(part.transports);
        shards.extend(part.shards.into_iter().map(|shard| {
            let mut row = Object::from_iter([("part".to_owned(), Value::from(head.part))]);
            row.extend(shard);
            row
        }));
        fsus.extend(head.numbers.into_iter().zip(part.fsus).map(|(number, own)| (number, own, path)));
    }
    fsus.sort_by_key(|&(number, ..)| number);
    if let Some([a, b]) = fsus.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(content(b.2, format!("FSU number {} is also in {}", b.0, a.2.display())));
    }
    let fsus: Vec<&RawValue> = fsus.into_iter().map(|(_, own, _)| own).collect();
    let merged =
        Merged { parts: many, of, missing, fsus: fsus.len(), fsus_of, common_started, common_ended, common_ms };
    let (lateness, lateness_steps) = (late.told(limit_us, lost), late.steps());
    let messages = rows_of_messages(&messages);
    let transports = rows(transports, &["transport"]);
    Ok(Whole {
        version: VERSION,
        run,
        merged,
        totals,
        lateness,
        lateness_steps,
        messages,
        transports,
        shards,
        fsus,
        gone,
        log,
    })
}

/// The run as a whole: from the first start to the last end.
fn run(parts: &[From<'_>]) -> Object {
    let mut run = parts.first().map(|from| from.part.run.clone()).unwrap_or_default();
    let texts =
        |key: &str| parts.iter().filter_map(|from| Some(from.part.run.get(key)?.as_str()?.to_owned())).collect();
    let (started, ended): (Vec<String>, Vec<String>) = (texts("started"), texts("ended"));
    let (started, ended) = (started.into_iter().min(), ended.into_iter().max());
    let duration_ms = between_ms(started.as_deref(), ended.as_deref());
    for key in ["config", "driver", "executor", "ended_by"] {
        let mut different: Vec<String> = texts(key);
        different.sort_unstable();
        different.dedup();
        if different.len() > 1 {
            run.insert(key.to_owned(), different.join(", ").into());
        }
    }
    for key in ["reloads", "reloads_failed"] {
        let most = parts.iter().filter_map(|from| from.part.run.get(key)?.as_u64()).max();
        run.insert(key.to_owned(), most.into());
    }
    run.insert("started".to_owned(), started.into());
    run.insert("ended".to_owned(), ended.into());
    run.insert("duration_ms".to_owned(), duration_ms.into());
    run
}

/// The time in which all parts ran.
fn common(parts: &[From<'_>]) -> (Value, Value, u64) {
    let texts = |key: &str| parts.iter().filter_map(|from| from.part.run.get(key)?.as_str()).collect::<Vec<_>>();
    let (started, ended) = (texts("started").into_iter().max(), texts("ended").into_iter().min());
    (json!(started), json!(ended), between_ms(started, ended))
}

fn between_ms(from: Option<&str>, to: Option<&str>) -> u64 {
    let time = |text: Option<&str>| text?.parse::<jiff::Timestamp>().ok();
    match (time(from), time(to)) {
        (Some(from), Some(to)) => (to.as_millisecond() - from.as_millisecond()).max(0) as u64,
        _ => 0,
    }
}

/// Messages of one template and name, added up, with their histograms.
fn rows_of_messages(all: &[Object]) -> Vec<Object> {
    let steps = |row: &Object, key: &str| -> Steps {
        row.get(key).and_then(|steps| Steps::deserialize(steps).ok()).unwrap_or_default()
    };
    let key = |row: &Object| (row.get("vendor").cloned(), row.get("message").cloned());
    let mut sums = rows(all.iter().cloned(), &["vendor", "message"]);
    for sum in &mut sums {
        let own = key(sum);
        for (told, raw, of) in [
            ("acknowledged_us", "acknowledged_steps", waits_of as fn(&[Steps]) -> Option<Histogram<u64>>),
            ("late_us", "late_steps", late_of),
        ] {
            let all: Vec<Steps> = all.iter().filter(|row| key(row) == own).map(|row| steps(row, raw)).collect();
            let histogram = of(&all);
            let Some(histogram) = histogram.filter(|histogram| !histogram.is_empty()) else { continue };
            sum.insert(told.to_owned(), json!(Times::from(&histogram)));
            sum.insert(raw.to_owned(), json!(Steps::from(&histogram)));
        }
    }
    sums
}
