//! How many lines a second the system log accepts from one module: the limit for modules that do not limit themselves.

use crate::gate::{Admitted, Gate};
use log::Level;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Lines of one module and level within a second, over all threads. Lines about input from outside are far rarer
/// (`LINES_MAX`, once a minute for each reason); a reload says up to a hundred.
const MODULE_LINES_MAX: u32 = 200;

/// Modules and levels counted separately; any further ones are counted together. The program has a dozen.
const MODULES_MAX: usize = 64;

/// Lines about frames (`debug`) within a second: some 120 bytes each.
const FRAME_LINES_MAX: u32 = 1_000;

/// Lines about outages and fault schedules within a second.
const SCHEDULE_LINES_MAX: u32 = 10;

/// Lines that the logger thread makes itself and that may be many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// About a frame.
    Frame,
    /// A scheduled beginning or end.
    Schedule,
}

impl Often {
    const ALL: [Self; 2] = [Self::Frame, Self::Schedule];

    fn lines_max(self) -> u32 {
        match self {
            Self::Frame => FRAME_LINES_MAX,
            Self::Schedule => SCHEDULE_LINES_MAX,
        }
    }

    fn sum(self, held: u64) -> String {
        let s = if held == 1 { "" } else { "s" };
        match self {
            Self::Frame => format!("{held} more line{s} about frames in the last second"),
            Self::Schedule => format!("{held} more line{s} about outages and fault schedules in the last second"),
        }
    }
}

/// The counts, shared by all threads.
#[derive(Debug)]
pub(crate) struct LineLimits {
    often: [Gate; Often::ALL.len()],
    /// Not before the run begins: the lines of a start are bounded, and no input causes them.
    holds: AtomicBool,
    begun: Instant,
    kinds: [Allowance; MODULES_MAX],
}

#[derive(Debug, Default)]
struct Allowance {
    /// Level and module; set once.
    of: OnceLock<(Level, Box<str>)>,
    gate: Gate,
}

impl Default for LineLimits {
    fn default() -> Self {
        let kinds = std::array::from_fn(|_| Allowance::default());
        let often = std::array::from_fn(|_| Gate::default());
        Self { often, holds: AtomicBool::new(false), begun: Instant::now(), kinds }
    }
}

impl LineLimits {
    /// Switches the limits on.
    pub(crate) fn hold(&self) {
        self.holds.store(true, Ordering::Relaxed);
    }

    /// Whether a line of that module is accepted.
    pub(crate) fn admit(&self, level: Level, module: &str) -> bool {
        !self.holds.load(Ordering::Relaxed) || self.admit_at(level, module, self.now_ms())
    }

    /// Whether one of those is written.
    pub(crate) fn admit_often(&self, what: Often) -> bool {
        self.admit_often_at(what, self.now_ms())
    }

    fn admit_often_at(&self, what: Often, now_ms: u64) -> bool {
        self.often[what as usize].admit(what.lines_max(), now_ms) == Admitted::Now
    }

    /// Lines about suppressed ones.
    pub(crate) fn often_sums(&self, last: bool) -> Vec<String> {
        self.often_sums_at(if last { u64::MAX } else { self.now_ms() })
    }

    fn often_sums_at(&self, now_ms: u64) -> Vec<String> {
        let sum = |what: Often| match self.often[what as usize].take_due(now_ms) {
            0 => None,
            held => Some(what.sum(held)),
        };
        Often::ALL.into_iter().filter_map(sum).collect()
    }

    fn admit_at(&self, level: Level, module: &str, now_ms: u64) -> bool {
        let is_it = |kind: &&Allowance| {
            let (its_level, its_module) = kind.of.get_or_init(|| (level, module.into()));
            *its_level == level && **its_module == *module
        };
        let last = &self.kinds[MODULES_MAX - 1];
        let kind = self.kinds.iter().find(is_it).unwrap_or(last);
        kind.gate.admit(MODULE_LINES_MAX, now_ms) == Admitted::Now
    }

    /// Lines about rejected ones: level, module, text. `last`: also of the current second.
    pub(crate) fn sums(&self, last: bool) -> Vec<(Level, &str, String)> {
        self.sums_at(if last { u64::MAX } else { self.now_ms() })
    }

    fn sums_at(&self, now_ms: u64) -> Vec<(Level, &str, String)> {
        let known = self.kinds.iter().map_while(|kind| Some((kind.of.get()?, &kind.gate)));
        known
            .filter_map(|((level, module), gate)| {
                let text = match gate.take_due(now_ms) {
                    0 => return None,
                    1 => "1 more line of this module in the last second".to_owned(),
                    many => format!("{many} more lines of this module in the last second"),
                };
                Some((*level, &**module, text))
            })
            .collect()
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_module_lines_max_h11_the_others_are_summed_up() {
        let limits = LineLimits::default();
        let admitted = |level, module, now_ms| (0..500).filter(|_| limits.admit_at(level, module, now_ms)).count();
        assert_eq!(admitted(Level::Info, "a", 5_000), 200);
        assert_eq!(admitted(Level::Warn, "a", 5_000), 200);
        assert_eq!(admitted(Level::Info, "b", 5_000), 200);
        assert_eq!(admitted(Level::Info, "a", 5_999), 0);
        assert_eq!(limits.sums_at(5_999), []);
        let text = |many| format!("{many} more lines of this module in the last second");
        let (info, warn) = (Level::Info, Level::Warn);
        assert_eq!(limits.sums_at(6_000), [(info, "a", text(800)), (warn, "a", text(300)), (info, "b", text(300))]);
        assert_eq!(admitted(Level::Info, "a", 6_000), 200);
        assert_eq!(limits.sums_at(u64::MAX), [(info, "a", text(300))]);
    }

    #[test]
    fn limit_frame_lines_max_and_schedule_lines_max_h11_they_have_their_own() {
        let limits = LineLimits::default();
        for (what, expected) in [(Often::Frame, 1_000), (Often::Schedule, 10)] {
            assert_eq!((0..1_500).filter(|_| limits.admit_often_at(what, 5_000)).count(), expected);
        }
        assert_eq!(limits.often_sums_at(5_999), [""; 0]);
        let expected = [
            "500 more lines about frames in the last second",
            "1490 more lines about outages and fault schedules in the last second",
        ];
        assert_eq!(limits.often_sums_at(6_000), expected);
        assert_eq!(limits.often_sums_at(6_000), [""; 0]);
    }

    #[test]
    fn limit_modules_max_the_last_ones_share_a_count() {
        let limits = LineLimits::default();
        let admitted: usize = (0..MODULES_MAX + 10)
            .map(|n| (0..300).filter(|_| limits.admit_at(Level::Info, &format!("m{n}"), 1_000)).count())
            .sum();
        assert_eq!(admitted, MODULES_MAX * 200);
    }

    #[test]
    fn h11_a_start_says_what_it_has_to() {
        let limits = LineLimits::default();
        let admitted = || (0..1_500).filter(|_| limits.admit(Level::Info, "a")).count();
        assert_eq!(admitted(), 1_500);
        limits.hold();
        assert!(admitted() < 1_500);
    }
}
