//! What all FSUs do now. It is read once for all who ask within a moment, so that a fleet is not read more often because more look.

use super::sample::{Sample, Samples};
use super::state::state;
use super::{failure, within};
use crate::api::error::{Code, Failure};
use crate::api::fsus::State;
use crate::api::snapshot::Snapshot;
use crate::limits::MAP_FSUS_MAX;
use crate::source::Happened;
use fsu_serve::steer::{Figures, FsuNow, NoAnswer, SteerError, Steering, View};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// So long a scan serves all who ask.
const SCAN_FOR: Duration = Duration::from_millis(250);
/// Outages that nobody has read yet; more are not told.
const OUTAGES: usize = 64;
/// A reload while a fleet is read begins it again; so often at most.
const TRIES: usize = 5;

/// What all FSUs did at a moment.
pub(super) struct Scan {
    /// When.
    pub(super) at: Instant,
    /// What was served.
    pub(super) view: Arc<View>,
    /// By FSU number; one that is missing has just gone.
    pub(super) fsus: Vec<Option<FsuNow>>,
    /// What is counted but by FSUs.
    pub(super) figures: Figures,
}

impl Scan {
    /// A letter for each FSU.
    pub(super) fn map(&self) -> String {
        let now = self.now_ms();
        let all = self.fsus.iter().enumerate();
        letters(all.map(|(number, fsu)| state(self.view.fsu(number as u32), fsu.as_ref(), now)))
    }

    /// The moment, in milliseconds since the start.
    pub(super) fn now_ms(&self) -> u64 {
        self.at.saturating_duration_since(self.view.about.since).as_millis() as u64
    }
}

fn letters(states: impl Iterator<Item = State>) -> String {
    states.take(MAP_FSUS_MAX).map(State::letter).collect()
}

/// A scan, and what the second before it brought.
pub(super) struct Scanned {
    pub(super) scan: Arc<Scan>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// The last scan.
pub(super) struct Scans {
    steering: Steering,
    /// FSUs that lost their power, or have it again, between two scans.
    outages: (flume::Sender<Happened>, flume::Receiver<Happened>),
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    scan: Option<Arc<Scan>>,
    snapshot: Option<(Instant, Arc<Snapshot>)>,
    samples: Samples,
}

impl Scans {
    pub(super) fn new(steering: Steering) -> Self {
        Self { steering, outages: flume::bounded(OUTAGES), last: Mutex::default() }
    }

    /// Outages that began or ended, as they are seen.
    pub(super) fn outages(&self) -> &flume::Receiver<Happened> {
        &self.outages.1
    }

    /// What all FSUs do now, or did within [`SCAN_FOR`].
    pub(super) async fn scan(&self) -> Result<Arc<Scan>, Failure> {
        self.fresh(&mut *self.last.lock().await).await
    }

    async fn fresh(&self, last: &mut Last) -> Result<Arc<Scan>, Failure> {
        if let Some(scan) = last.scan.as_ref().filter(|scan| scan.at.elapsed() < SCAN_FOR) {
            return Ok(scan.clone());
        }
        let scan = Arc::new(self.read().await?);
        if let Some(before) = &last.scan {
            for outage in super::events::outages(before, &scan) {
                // Nobody may look.
                let _ = self.outages.0.try_send(outage);
            }
        }
        last.samples.add(Sample::of(&scan));
        last.scan = Some(scan.clone());
        Ok(scan)
    }

    /// The same, with what a second brought. Where nobody has looked for a while, it is what a tenth of a second brings.
    pub(super) async fn sampled(&self) -> Result<Scanned, Failure> {
        let mut last = self.last.lock().await;
        let mut scan = self.fresh(&mut last).await?;
        if last.samples.before(scan.at).is_none() {
            tokio::time::sleep(super::sample::SHORTEST).await;
            last.scan = None;
            scan = self.fresh(&mut last).await?;
        }
        if let Some((_, snapshot)) = last.snapshot.as_ref().filter(|(at, _)| *at == scan.at) {
            return Ok(Scanned { scan, snapshot: snapshot.clone() });
        }
        let snapshot = Arc::new(super::summary::snapshot(&scan, last.samples.before(scan.at)));
        last.snapshot = Some((scan.at, snapshot.clone()));
        Ok(Scanned { scan, snapshot })
    }

    async fn read(&self) -> Result<Scan, Failure> {
        for _ in 0..TRIES {
            let view = self.steering.view();
            let all: Vec<u32> = (0..view.fleet.fsus.len() as u32).collect();
            let at = Instant::now();
            let pages = tokio::time::timeout(super::ANSWER_TIME, self.steering.page(&view, &all)).await;
            let pages = match pages {
                Ok(Ok(pages)) => pages,
                Ok(Err(SteerError::NoAnswer(NoAnswer::Reloaded))) => continue,
                Ok(Err(error)) => return Err(failure(&error)),
                Err(_) => return Err(Failure::new(Code::Internal, "a shard has not answered in time")),
            };
            let mut fsus: Vec<Option<FsuNow>> = all.iter().map(|_| None).collect();
            for now in pages {
                if let Some(place) = fsus.get_mut(now.number as usize) {
                    *place = Some(now);
                }
            }
            let figures = within(self.steering.figures()).await?;
            return Ok(Scan { at, view, fsus, figures });
        }
        Err(Failure::new(Code::Conflict, "the configuration is being reloaded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_map_fsus_max() {
        assert_eq!(letters([State::Idle, State::Offline, State::Dialling].into_iter()), "iod");
        assert_eq!(letters(std::iter::repeat_n(State::Serving, 100_001)).len(), 100_000);
    }
}
