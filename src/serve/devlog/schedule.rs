//! Begin and end of outages and fault schedules: a line at that time, with or without traffic.

use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use log::Level;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// FSUs named in a line.
const FSUS_NAMED_MAX: usize = 3;

/// The FSUs of one entry.
#[derive(Debug, Default)]
struct Of {
    count: usize,
    /// The first of them.
    names: Vec<String>,
}

/// From when to when, in milliseconds since the start; an outage; what else it is.
type Entry = (u64, u64, bool, String);

/// Something begins or ends.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    /// Milliseconds since the start of the run.
    ms: u64,
    level: Level,
    line: String,
}

/// Pending beginnings and ends, the next one last.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    edges: Vec<Edge>,
    /// The start of the run.
    started: Option<Instant>,
}

impl Schedule {
    /// That of a fleet.
    pub(super) fn new(fleet: &Fleet) -> Self {
        Self { edges: edges(fleet), started: None }
    }

    /// The run starts: from now on it counts.
    pub(super) fn start(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Another fleet; beginnings and ends so far are not reported again.
    pub(super) fn reload(&mut self, fleet: &Fleet, now: Instant) {
        self.edges = edges(fleet);
        let Some(since) = self.since(now) else { return };
        self.edges.retain(|edge| u128::from(edge.ms) > since.as_millis());
    }

    /// The next line that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Level, String)> {
        let since = self.since(now)?;
        let edge = self.edges.pop_if(|edge| u128::from(edge.ms) <= since.as_millis())?;
        Some((edge.level, edge.line))
    }

    fn since(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.started?))
    }
}

/// All beginnings and ends, the first one last.
fn edges(fleet: &Fleet) -> Vec<Edge> {
    let mut entries: BTreeMap<Entry, Of> = BTreeMap::new();
    // FSUs share what was compiled for several of them.
    let mut known: HashMap<(usize, Transport), Vec<Entry>> = HashMap::new();
    for fsu in &fleet.fsus {
        let Some(faults) = &fsu.faults else { continue };
        let of_fsu = known.entry((std::sync::Arc::as_ptr(faults) as usize, fsu.transport)).or_insert_with(|| {
            let entry = |entry: &fsu_plan::model::fault::Scheduled| {
                let texts = fsu_plan::model::fault::FaultSet { offline: None, ..entry.faults }.texts(fsu.transport);
                let what = match entry.faults.offline {
                    Some(false) => [vec!["offline false".to_owned()], texts].concat(),
                    _ => texts,
                };
                (entry.from_ms, entry.to_ms, entry.faults.offline == Some(true), what.join(", "))
            };
            faults.schedule.iter().map(entry).collect()
        });
        for entry in of_fsu.iter() {
            let of = entries.entry(entry.clone()).or_default();
            of.count += 1;
            if of.names.len() < FSUS_NAMED_MAX {
                of.names.push(fsu.name.to_string());
            }
        }
    }
    let mut edges: Vec<Edge> = entries.iter().flat_map(|(entry, of)| of_entry(entry, of)).collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.ms));
    edges
}

fn of_entry((from_ms, to_ms, outage, what): &Entry, of: &Of) -> Vec<Edge> {
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    let kind = if *outage { "outage" } else { "fault schedule" };
    let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
    let mut names = of.names.join(", ");
    if of.count > of.names.len() {
        names = format!("{names} and {} more", of.count - of.names.len());
    }
    let lasts = if *to_ms == u64::MAX { "to the end".into() } else { format!("until {} s", seconds(*to_ms)) };
    let begins = format!("{kind} begins{what}: {names}; {lasts}");
    let begin = Edge { ms: *from_ms, level: if *outage { Level::Warn } else { Level::Info }, line: begins };
    let end = Edge { ms: *to_ms, level: Level::Info, line: format!("{kind} ends{what}: {names}") };
    [begin].into_iter().chain((*to_ms != u64::MAX).then_some(end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, fsu};
    use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults, Scheduled};
    use std::path::Path;
    use std::sync::Arc;

    fn with(names: usize, schedule: &[(u64, u64, FaultSet)]) -> Fleet {
        let schedule = schedule.iter().map(|&(from_ms, to_ms, faults)| Scheduled { from_ms, to_ms, faults }).collect();
        let faults = Arc::new(FsuFaults { base: FaultSet::default(), schedule });
        let fsus = (0..names).map(|name| {
            let mut fsu = fsu(&format!("f{name}"), Transport::Udp);
            fsu.faults = Some(faults.clone());
            fsu
        });
        fleet(Path::new("unused"), fsus.collect())
    }

    #[test]
    fn limit_fsus_named_max() {
        let outage = FaultSet { offline: Some(true), ..FaultSet::default() };
        let check = |fsus: usize, expected: &str| {
            let lines: Vec<String> =
                edges(&with(fsus, &[(0, u64::MAX, outage)])).into_iter().map(|edge| edge.line).collect();
            assert_eq!(lines, [format!("outage begins: {expected}; to the end")]);
        };
        check(3, "f0, f1, f2");
        check(4, "f0, f1, f2 and 1 more");
    }

    #[test]
    fn n07_schedules_and_outages_are_told_when_they_begin_and_end() {
        let outage = FaultSet { offline: Some(true), ..FaultSet::default() };
        let mut drop = FaultSet::default();
        drop.set_p(FaultKind::Drop, 0.5);
        let fleet = with(5, &[(600, 800, outage), (700, u64::MAX, drop)]);
        let start = Instant::now();
        let mut schedule = Schedule::new(&fleet);
        assert_eq!(schedule.due(start), None);
        schedule.start(start);
        let mut told = |ms| schedule.due(start + Duration::from_millis(ms));
        assert_eq!(told(599), None);
        let line = |level, line: &str| Some((level, line.to_owned()));
        assert_eq!(told(600), line(Level::Warn, "outage begins: f0, f1, f2 and 2 more; until 0.8 s"));
        assert_eq!(told(600), None);
        // However late it is looked for.
        let begins = "fault schedule begins (drop 0.5): f0, f1, f2 and 2 more; to the end";
        assert_eq!(told(9_000), line(Level::Info, begins));
        assert_eq!(told(9_000), line(Level::Info, "outage ends: f0, f1, f2 and 2 more"));
        assert_eq!(told(9_000), None);
        // A reload tells what is still to come.
        schedule.reload(&fleet, start + Duration::from_millis(750));
        let mut told = |ms| schedule.due(start + Duration::from_millis(ms));
        assert_eq!(told(9_000), line(Level::Info, "outage ends: f0, f1, f2 and 2 more"));
        assert_eq!(told(9_000), None);
    }
}
