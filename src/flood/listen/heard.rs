//! What a centre heard: heartbeats of each FSU, and messages.

pub use crate::hear::heard::{Heard, hears};
use crate::numbers::{counted, thousands};
use crate::report::messages::MessagesReport;
use crate::threshold::ThresholdReport;
use crate::workload::targets::fits;
use fsu_plan::model::fleet::{Fleet, Fsu, FsuId};
use fsu_plan::texts::Texts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// FSUs that are listed at the end.
const LISTED_MAX: usize = 20;

/// An FSU that sends heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedFsu {
    /// Its name.
    pub name: Box<str>,
    /// Its id.
    pub id: FsuId,
    /// Between two heartbeats.
    pub interval_ms: u64,
}

/// Those of a fleet, with names that fit. `at`: only those that send to one of these addresses by themselves; `None`: all.
pub fn expected(fleet: &Fleet, globs: &[String], at: Option<&[SocketAddr]>) -> Vec<ExpectedFsu> {
    let named = |fsu: &&Fsu| globs.is_empty() || globs.iter().any(|glob| fits(glob, &fsu.name));
    let is_heard = |to: SocketAddr| at.is_none_or(|at| at.iter().any(|here| hears(*here, to)));
    let is_center = at.is_none() || fleet.center.is_some_and(is_heard);
    let sends = |fsu: &&Fsu| is_center || fsu.connect.as_ref().is_some_and(|connect| is_heard(connect.to));
    let all = fleet.fsus.iter().filter(named).filter(sends);
    let beats = all.filter_map(|fsu| Some((fsu, fsu.heartbeat()?.interval_ms)));
    beats.map(|(fsu, interval_ms)| ExpectedFsu { name: (&*fsu.name).into(), id: fsu.id, interval_ms }).collect()
}

/// What a centre heard, as `--json FILE` holds it. `fsu-mock schema flood-centre` prints its JSON Schema.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CentreReport {
    /// Version of this shape.
    pub version: u32,
    /// Name and version of the program.
    pub program: String,
    /// As it was called.
    pub command_line: Vec<String>,
    /// The configuration; none: nothing is expected.
    pub config: Option<String>,
    /// Where it listened.
    pub address: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// For how long it listened.
    pub listened_s: f64,
    /// Heartbeats of all FSUs.
    pub heartbeats: u64,
    /// Good frames that are no heartbeats.
    pub other_frames: u64,
    /// What is no good frame.
    pub bad_frames: u64,
    /// FSUs that were heard, in the order of their ids.
    pub fsus: Vec<HeardFsu>,
    /// FSUs of the configuration that should have been heard and were not.
    pub not_heard: Vec<String>,
    /// FSUs of the configuration that were not heard, and whose interval is longer than the time.
    pub not_due: Vec<String>,
    /// What devices said, where the configuration has messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<MessagesReport>,
    /// What `--fail-if` asked for, and what it came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdReport>,
    /// Did everything pass.
    pub passed: bool,
    /// Why not.
    pub failures: Vec<String>,
}

/// An FSU that was heard.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeardFsu {
    /// Its id, as hex digits.
    pub id: String,
    /// Its name, where the configuration has it.
    pub name: Option<String>,
    /// Its heartbeats.
    pub heartbeats: u64,
}

/// What a run was called with.
#[derive(Clone, Debug)]
pub struct Called {
    /// The command line.
    pub command_line: Vec<String>,
    /// The configuration; none: every FSU is as good.
    pub config: Option<String>,
}

/// The version of [`CentreReport`].
const VERSION: u32 = 1;
/// A heartbeat may come so much later than its interval says.
const LATE: f64 = 1.05;

impl CentreReport {
    /// What was heard in that many seconds, beside what should have been. `messages`: what devices said, where they may.
    pub fn new(
        (heard, messages): (&Heard, Option<MessagesReport>),
        seconds: f64,
        expected: &[ExpectedFsu],
        called: Called,
    ) -> Self {
        let mut all: Vec<(&FsuId, u64)> = heard.by_fsu.iter().map(|(id, count)| (id, *count)).collect();
        all.sort_unstable_by_key(|(id, _)| id.bytes);
        let mut names: HashMap<[u8; FsuId::BYTES], &str> = HashMap::with_capacity(expected.len());
        for fsu in expected {
            names.entry(fsu.id.bytes).or_insert(&fsu.name);
        }
        let name = |id: &FsuId| names.get(&id.bytes).map(|name| (*name).to_owned());
        let fsus =
            all.into_iter().map(|(id, heartbeats)| HeardFsu { id: format!("{id:?}"), name: name(id), heartbeats });
        let ids: HashSet<[u8; FsuId::BYTES]> = heard.by_fsu.keys().map(|id| id.bytes).collect();
        let is_heard = |fsu: &&ExpectedFsu| ids.contains(&fsu.id.bytes);
        let is_due = |fsu: &&ExpectedFsu| fsu.interval_ms as f64 * LATE <= seconds * 1000.0;
        let (due, rest): (Vec<&ExpectedFsu>, Vec<&ExpectedFsu>) = expected.iter().partition(is_due);
        let mute = |fsus: Vec<&ExpectedFsu>| -> Vec<String> {
            fsus.into_iter().filter(|fsu| !is_heard(fsu)).map(|fsu| fsu.name.to_string()).collect()
        };
        let (not_heard, not_due) = (mute(due), mute(rest));
        let mut failures = Vec::new();
        let is_silent = messages.as_ref().is_some_and(|messages| messages.received() == 0);
        if messages.is_some() && expected.is_empty() {
            failures.extend((is_silent && heard.heartbeats == 0).then(|| "nothing was heard".to_owned()));
        } else if heard.heartbeats == 0 {
            failures.push("no heartbeat was heard".to_owned());
        } else if called.config.is_some() && !expected.iter().any(|fsu| is_heard(&fsu)) {
            failures.push("no heartbeat of an FSU of the configuration was heard".to_owned());
        }
        if !not_heard.is_empty() {
            let fsus = counted(not_heard.len() as u64, "FSU");
            failures.push(format!("{fsus} not heard, though the interval fits in the time"));
        }
        failures.extend(messages.iter().flat_map(MessagesReport::failures));
        Self {
            version: VERSION,
            program: concat!("fsu-mock ", env!("CARGO_PKG_VERSION")).into(),
            command_line: called.command_line,
            config: called.config,
            address: String::new(),
            started: String::new(),
            listened_s: (seconds * 1000.0).round() / 1000.0,
            heartbeats: heard.heartbeats,
            other_frames: heard.replies,
            bad_frames: heard.bad,
            fsus: fsus.collect(),
            not_heard,
            not_due,
            messages,
            thresholds: Vec::new(),
            passed: failures.is_empty(),
            failures,
        }
    }

    /// For people.
    pub fn text(&self, say: Texts) -> String {
        let mut out = self.messages.as_ref().map_or(String::new(), |messages| messages.text(say));
        out += &say.lines(&self.heartbeats_text());
        out
    }

    fn heartbeats_text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{} of {} in {:.1} s; {}, {} that were none",
            counted(self.heartbeats, "heartbeat"),
            counted(self.fsus.len() as u64, "FSU"),
            self.listened_s,
            counted(self.other_frames, "other frame"),
            thousands(self.bad_frames),
        );
        for HeardFsu { id, name, heartbeats } in self.fsus.iter().take(LISTED_MAX) {
            let _ = writeln!(out, "  {:>8}  {id}  {}", thousands(*heartbeats), name.as_deref().unwrap_or_default());
        }
        if self.fsus.len() > LISTED_MAX {
            let _ = writeln!(out, "  and {} more", self.fsus.len() - LISTED_MAX);
        }
        for (names, why) in
            [(&self.not_heard, "not heard"), (&self.not_due, "not heard, interval longer than the time")]
        {
            if !names.is_empty() {
                let more = names.len().saturating_sub(LISTED_MAX);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let listed: Vec<&str> = names.iter().take(LISTED_MAX).map(String::as_str).collect();
                let _ = writeln!(out, "  {why}: {}{more}", listed.join(", "));
            }
        }
        for of in &self.thresholds {
            let _ = writeln!(out, "  {}", of.line());
        }
        let _ = match self.failures.as_slice() {
            [] => writeln!(out, "\n  passed"),
            failures => writeln!(out, "\n  FAILED: {}", failures.join(", ")),
        };
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::wire::envelope::{Head, escape_in_place};

    #[test]
    fn heartbeats_are_counted_by_fsu() {
        let beat = |id: u8| {
            let mut bytes = [0; FsuId::BYTES];
            bytes[0] = id;
            let mut out = Vec::new();
            Head::heartbeat(&bytes, 1, 1).build(None, &mut out).unwrap();
            escape_in_place(&mut out);
            out
        };
        let mut heard = Heard::default();
        let two = [beat(1), beat(0xFE)].concat();
        for datagram in [beat(1), two, vec![0xFF, 0xFE], vec![1, 2]] {
            heard.datagram(&datagram, &mut Vec::new());
        }
        assert_eq!((heard.heartbeats, heard.by_fsu.len(), heard.bad), (3, 2, 2));
        let called = Called { command_line: Vec::new(), config: None };
        let report = CentreReport::new((&heard, None), 1.0, &[], called);
        assert!(
            report
                .text(Texts::ENGLISH)
                .starts_with("3 heartbeats of 2 FSUs in 1.0 s; 0 other frames, 2 that were none\n")
        );
        assert!(report.passed);
    }

    /// A look at each of them for each of them would take minutes.
    #[test]
    fn a_report_of_many_fsus_is_one_pass() {
        let id = |number: u32| {
            let mut bytes = [0; FsuId::BYTES];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            FsuId { bytes, len: 4 }
        };
        let many = 100_000;
        let fsu = |number: u32| ExpectedFsu { name: format!("f{number}").into(), id: id(number), interval_ms: 900 };
        let expected: Vec<ExpectedFsu> = (0..many).map(fsu).collect();
        let by_fsu: HashMap<FsuId, u64> = (0..many).filter(|number| number % 2 == 0).map(|n| (id(n), 1)).collect();
        let heard = Heard { heartbeats: by_fsu.len() as u64, by_fsu, ..Heard::default() };
        let called = Called { command_line: Vec::new(), config: Some(String::new()) };
        let report = CentreReport::new((&heard, None), 1.0, &expected, called);
        assert_eq!(report.failures, ["50,000 FSUs not heard, though the interval fits in the time"]);
    }

    #[test]
    fn n15_who_should_have_been_heard_is_told() {
        let id = |first: u8| {
            let mut bytes = [0; FsuId::BYTES];
            bytes[0] = first;
            FsuId { bytes, len: 1 }
        };
        let fsu = |name: &str, first, interval_ms| ExpectedFsu { name: name.into(), id: id(first), interval_ms };
        let expected = [fsu("a", 1, 900), fsu("b", 2, 900), fsu("c", 3, 1_000)];
        let check = |heard: &[u8], is_config: bool, failures: &[&str], not_heard: &[&str], not_due: &[&str]| {
            let by_fsu: HashMap<FsuId, u64> = heard.iter().map(|&first| (id(first), 1)).collect();
            let heard = Heard { heartbeats: by_fsu.len() as u64, by_fsu, ..Heard::default() };
            let called = Called { command_line: Vec::new(), config: is_config.then(String::new) };
            let report = CentreReport::new((&heard, None), 1.0, if is_config { &expected } else { &[] }, called);
            assert_eq!(report.failures, failures, "{heard:?}");
            assert_eq!((report.not_heard, report.not_due), (strings(not_heard), strings(not_due)), "{heard:?}");
        };
        let one = "1 FSU not heard, though the interval fits in the time";
        let two = "2 FSUs not heard, though the interval fits in the time";
        check(&[1, 2], true, &[], &[], &["c"]);
        check(&[1, 2, 3], true, &[], &[], &[]);
        check(&[1], true, &[one], &["b"], &["c"]);
        check(&[9], true, &["no heartbeat of an FSU of the configuration was heard", two], &["a", "b"], &["c"]);
        check(&[], true, &["no heartbeat was heard", two], &["a", "b"], &["c"]);
        check(&[], false, &["no heartbeat was heard"], &[], &[]);
        check(&[9], false, &[], &[], &[]);
    }

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|&one| one.to_owned()).collect()
    }

    #[test]
    fn limit_listed_max() {
        let lines = |fsus: u8| {
            let mut heard = Heard::default();
            let id = |number: u8| FsuId { bytes: [number; FsuId::BYTES], len: 1 };
            heard.by_fsu.extend((0..fsus).map(|number| (id(number), 1)));
            let called = Called { command_line: Vec::new(), config: None };
            let text = CentreReport::new((&heard, None), 1.0, &[], called).text(Texts::ENGLISH);
            (text.lines().count(), text.contains("and 1 more"))
        };
        // Two for the verdict.
        assert_eq!((lines(20), lines(21)), ((23, false), (24, true)));
    }
}
