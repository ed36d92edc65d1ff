//! Samples of a fleet, for rates.

use super::scan::Scan;
use crate::api::snapshot::Amounts;
use fsu_core::state::Counters;
use fsu_serve::shard::late::Late;
use fsu_serve::steer::Replies;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The shortest time for a rate.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);
/// The time that rates are over, about.
const OVER: Duration = Duration::from_millis(950);
/// An older sample says nothing about now.
const OLDEST: Duration = Duration::from_secs(5);
/// Between two samples that are kept.
const APART: Duration = Duration::from_millis(300);

/// What a rate is taken from.
pub(super) struct Sample {
    pub(super) at: Instant,
    epoch: u32,
    /// By FSU number: received and dropped.
    pub(super) fsus: Vec<(u64, u64)>,
    pub(super) totals: Amounts,
    /// By shard.
    pub(super) late: Vec<Late>,
    /// Of all shards.
    pub(super) replies: Replies,
    /// By shard: received and answered.
    pub(super) shards: Vec<(u64, u64)>,
    /// By shard: its processor time, in nanoseconds.
    pub(super) cpu_ns: Vec<u64>,
}

impl Sample {
    pub(super) fn of(scan: &Scan) -> Self {
        let of = |counters: &Counters| (counters.received, counters.dropped_total());
        let mut shards = vec![(0, 0); scan.view.about.cpus.len()];
        for (now, &shard) in scan.fsus.iter().zip(&scan.view.shards) {
            if let (Some(now), Some(sum)) = (now, shards.get_mut(usize::from(shard))) {
                sum.0 += now.counters.received;
                sum.1 += now.counters.answered;
            }
        }
        Self {
            at: scan.at,
            epoch: scan.view.epoch,
            fsus: scan.fsus.iter().map(|now| now.as_ref().map_or((0, 0), |now| of(&now.counters))).collect(),
            totals: super::summary::amounts(&super::summary::totals(scan)),
            late: scan.figures.shards.iter().map(|shard| shard.late.clone()).collect(),
            replies: super::summary::replies(scan),
            shards,
            cpu_ns: scan.figures.shards.iter().map(|shard| shard.cpu_ns).collect(),
        }
    }

    /// What an FSU counted since then: received, dropped. After a reload its number is another's.
    pub(super) fn since(&self, number: usize, epoch: u32, now: (u64, u64)) -> (u64, u64) {
        let before = self.fsus.get(number).filter(|_| self.epoch == epoch).copied().unwrap_or(now);
        (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
    }
}

/// The last few samples.
#[derive(Default)]
pub(super) struct Samples(VecDeque<Sample>);

impl Samples {
    /// One more; those that nothing is compared with any more go.
    pub(super) fn add(&mut self, sample: Sample) {
        while self.0.front().is_some_and(|first| sample.at - first.at > OLDEST) {
            self.0.pop_front();
        }
        // The second one is old enough.
        while self.0.get(1).is_some_and(|second| sample.at - second.at >= OVER) {
            self.0.pop_front();
        }
        if self.0.back().is_none_or(|last| sample.at - last.at >= APART) || self.0.len() < 2 {
            self.0.push_back(sample);
        }
    }

    /// The one that a scan of that moment is compared with.
    pub(super) fn before(&self, at: Instant) -> Option<&Sample> {
        self.0.iter().find(|sample| at.saturating_duration_since(sample.at) >= SHORTEST)
    }
}
