//! `faults` and `faults_at` to what is drawn from (spec templates.md, Faults).

use super::number::{milliseconds, whole};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::load::load_text;
use crate::config::raw::{RawFaultDelay, RawFaults, RawFaultsAt, RawSysConfig};
use crate::config::steps::step;
use crate::model::fault::{FaultKind, FaultSet, FsuFaults, PIECES_MAX, Scheduled};
use crate::model::fleet::Device;
use crate::model::message::Transport;
use crate::model::rule::DELAY_MS_MAX;
use std::collections::HashMap;
use std::sync::Arc;

/// Longest time between two pieces of a split reply.
const GAP_MS_MAX: u64 = 60_000;
/// Entries of `faults_at`: every message of an FSU looks at those that its name fits.
const SCHEDULE_ENTRIES_MAX: usize = 1_000;

/// A key for FSUs of one transport alone, and its place.
#[derive(Clone, Copy, Debug)]
pub struct Limited {
    pos: Pos,
    kind: FaultKind,
    only: Transport,
}

/// The level of a `faults` object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// sys_config.json, an FSU, or an entry of `faults_at`.
    Fleet,
    /// A device or a rule, which has no outages.
    Device,
}

/// Compiles one `faults` object. `limited` gets the keys that not every transport can do.
pub fn set(diags: &mut Diags, raw: &At<RawFaults>, place: Level, limited: &mut Vec<Limited>) -> FaultSet {
    let mut set = FaultSet::default();
    let plain = [
        (FaultKind::Drop, &raw.drop),
        (FaultKind::Reset, &raw.reset),
        (FaultKind::Stall, &raw.stall),
        (FaultKind::HalfClose, &raw.half_close),
        (FaultKind::Garbage, &raw.garbage),
        (FaultKind::WrongType, &raw.wrong_type),
        (FaultKind::BadChecksum, &raw.bad_checksum),
        (FaultKind::BadVerify, &raw.bad_verify),
        (FaultKind::Corrupt, &raw.corrupt),
        (FaultKind::Truncate, &raw.truncate),
        (FaultKind::Duplicate, &raw.duplicate),
    ];
    let mut limit = |kind: FaultKind, pos| {
        limited.extend(kind.only().map(|only| Limited { pos, kind, only }));
    };
    for (kind, at) in plain {
        if let Some(at) = at {
            limit(kind, at.pos);
            set.set_p(kind, probability(diags, at.pos, Some(at)));
        }
    }
    if let Some(at) = &raw.reorder_ms {
        set.set_p(FaultKind::Reorder, probability(diags, at.pos, at.p.as_ref()));
        set.reorder_ms = delay(diags, at);
    }
    if let Some(at) = &raw.extra_delay_ms {
        set.set_p(FaultKind::ExtraDelay, probability(diags, at.pos, at.p.as_ref()));
        set.extra_delay_ms = delay(diags, at);
    }
    if let Some(at) = &raw.split {
        limit(FaultKind::Split, at.pos);
        set.set_p(FaultKind::Split, probability(diags, at.pos, at.p.as_ref()));
        set.split_pieces = whole(diags, at.pieces.as_ref(), 2..=u64::from(PIECES_MAX), 2) as u32;
        set.split_gap_ms = whole(diags, at.gap_ms.as_ref(), 1..=GAP_MS_MAX, 20);
    }
    if let Some(at) = &raw.offline {
        if place == Level::Device {
            diags.error(at.pos, "an FSU is offline, not a device or a rule (its `faults`, or `faults_at`)");
        }
        set.offline = Some(at.value);
    }
    set
}

/// A `faults` object as of sys_config.json, from its text; or all that is wrong with it, a line each.
///
/// # Errors
/// What is wrong; an unknown key is.
pub fn from_text(text: &str) -> Result<FaultSet, Vec<String>> {
    let mut diags = Diags::default();
    let raw = load_text::<RawFaults>(&mut diags, "faults", text.to_owned());
    let faults = raw.map(|raw| set(&mut diags, &raw, Level::Fleet, &mut Vec::new()));
    diags.make_strict();
    faults.filter(|_| !diags.has_errors()).ok_or_else(|| diags.all_lines().collect())
}

fn probability(diags: &mut Diags, pos: Pos, p: Option<&At<f64>>) -> f64 {
    match p {
        Some(at) if (0.0..=1.0).contains(&at.value) => return at.value,
        Some(at) => diags.error(at.pos, format!("probability {} (0 to 1)", at.value)),
        None => diags.missing(pos, "p", "a probability, 0 to 1"),
    }
    0.0
}

fn delay(diags: &mut Diags, at: &At<RawFaultDelay>) -> u64 {
    if at.ms.is_none() {
        diags.missing(at.pos, "ms", &format!("1 to {DELAY_MS_MAX}"));
    }
    whole(diags, at.ms.as_ref(), 1..=DELAY_MS_MAX, 1)
}

/// Every key must apply to some of these FSUs; `whose` describes them.
pub fn check_transports(diags: &mut Diags, limited: &[Limited], transports: &[Transport], whose: &str) {
    for key in limited.iter().filter(|key| !transports.contains(&key.only)) {
        let text = format!("`{}` is for {} FSUs only, and {whose}", key.kind.key(), key.only.name());
        diags.error(key.pos, text);
    }
}

/// One entry of `faults_at`.
struct Entry {
    pos: Pos,
    pattern: String,
    scheduled: Scheduled,
    limited: Vec<Limited>,
    /// Transports of the FSUs whose names fit.
    transports: Vec<Transport>,
}

impl Entry {
    /// What every name that fits begins with.
    fn prefix(&self) -> &str {
        self.pattern.split(['*', '?']).next().unwrap_or_default()
    }
}

/// The faults of sys_config.json.
pub struct FleetFaults {
    base: FaultSet,
    limited: Vec<Limited>,
    entries: Vec<Entry>,
    /// Those of the last FSU, shared with the next if equal.
    last: Option<Arc<FsuFaults>>,
    /// By address of the devices, which the plan holds: whether a rule has faults.
    of_rules: HashMap<usize, bool>,
}

impl FleetFaults {
    /// Compiles `faults` and `faults_at`.
    pub fn new(diags: &mut Diags, raw: &RawSysConfig) -> Self {
        let mut limited = Vec::new();
        let base = raw.faults.as_ref().map(|raw| set(diags, raw, Level::Fleet, &mut limited)).unwrap_or_default();
        let listed = raw.faults_at.as_deref().unwrap_or_default();
        if let Some(one_too_many) = listed.get(SCHEDULE_ENTRIES_MAX) {
            diags.error(one_too_many.pos, format!("more than {SCHEDULE_ENTRIES_MAX} entries"));
        }
        let entries = listed.iter().take(SCHEDULE_ENTRIES_MAX).map(|raw| entry(diags, raw)).collect();
        Self { base, limited, entries, last: None, of_rules: HashMap::new() }
    }

    /// The faults of one FSU; `own`: those of its entry of `fsu_list`.
    pub fn of(
        &mut self,
        name: &str,
        transport: Transport,
        own: Option<&FaultSet>,
        devices: &Arc<[Arc<Device>]>,
    ) -> Option<Arc<FsuFaults>> {
        let mut base = self.base;
        if let Some(own) = own {
            base.overlay(own);
        }
        let mut schedule = Vec::new();
        step(self.entries.len());
        for entry in
            self.entries.iter_mut().filter(|entry| name.starts_with(entry.prefix()) && fits(&entry.pattern, name))
        {
            if !entry.transports.contains(&transport) {
                entry.transports.push(transport);
            }
            schedule.push(entry.scheduled);
        }
        if base.is_empty() && schedule.is_empty() && !self.of_a_rule(devices) {
            return None;
        }
        let faults = FsuFaults { base, schedule: schedule.into() };
        match &self.last {
            Some(last) if **last == faults => {}
            _ => self.last = Some(Arc::new(faults)),
        }
        self.last.clone()
    }

    /// Has any rule of these devices faults of its own? Looked for once.
    fn of_a_rule(&mut self, devices: &Arc<[Arc<Device>]>) -> bool {
        step(1);
        let address = Arc::as_ptr(devices).cast::<()>() as usize;
        *self.of_rules.entry(address).or_insert_with(|| {
            let mut rules = devices.iter().flat_map(|device| &device.rules).flatten();
            rules.any(|rule| {
                step(1);
                rule.faults.is_some()
            })
        })
    }

    /// Reports keys that apply to no FSU, once all are known.
    pub fn check(&self, diags: &mut Diags, fleet: &[Transport]) {
        check_transports(diags, &self.limited, fleet, "the fleet has none");
        for entry in &self.entries {
            if entry.transports.is_empty() {
                diags.warn(entry.pos, format!("no FSU's name fits `{}`", entry.pattern));
            } else {
                let whose = format!("none whose name fits `{}` is one", entry.pattern);
                check_transports(diags, &entry.limited, &entry.transports, &whose);
            }
        }
    }
}

fn entry(diags: &mut Diags, raw: &At<RawFaultsAt>) -> Entry {
    let mut limited = Vec::new();
    let mut faults = raw.faults.as_ref().map(|raw| set(diags, raw, Level::Fleet, &mut limited)).unwrap_or_default();
    if let Some(offline) = &raw.offline {
        faults.offline = Some(offline.value);
    }
    if faults.is_empty() {
        diags.warn(raw.pos, "nothing is made then (`faults`, or `\"offline\": true`)");
    }
    let from_ms = milliseconds(diags, raw.from_s.as_ref(), 0.0, 0);
    let to_ms = milliseconds(diags, raw.to_s.as_ref(), 0.0, u64::MAX);
    if from_ms >= to_ms {
        let pos = raw.to_s.as_ref().map_or(raw.pos, |to| to.pos);
        diags.error(pos, "it ends before it begins (`to_s` after `from_s`)");
    }
    let pattern = raw.fsu.as_ref().map_or("*".to_owned(), |fsu| fsu.value.clone());
    let scheduled = Scheduled { from_ms, to_ms, faults };
    Entry { pos: raw.pos, pattern, scheduled, limited, transports: Vec::new() }
}

/// Whether a name matches a pattern of `*` (any characters) and `?` (one).
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to resume after a mismatch: at the last star, one character later.
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                back = Some((p, n));
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, tried)) = back else { return false };
                p = star;
                n = tried + 1;
                back = Some((star, n));
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        let check = |pattern: &str, name: &str, expected| assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("site_1*", "site_1"),
            ("site_1*", "site_12"),
            ("*_1?", "a_b_12"),
            ("a*b*c", "axbybc"),
        ] {
            check(pattern, name, true);
        }
        for (pattern, name) in
            [("", "a"), ("site_1*", "site_2"), ("*_1?", "a_1"), ("a*b", "abc"), ("?", ""), ("A", "a")]
        {
            check(pattern, name, false);
        }
        // No pattern takes long.
        check(&"*a".repeat(100), &"a".repeat(10_000), true);
        check(&("*a".repeat(100) + "b"), &"a".repeat(10_000), false);
    }
}
