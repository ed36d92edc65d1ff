//! A load generator as a source: what it shows of itself while it runs.
//!
//! - `now`: what is known at a moment. `metrics`: that as metrics.

mod metrics;
mod now;

use crate::api::error::Failure;
use crate::api::run::{Kind, Readiness, Ready, Run, ShardInfo};
use crate::api::snapshot::Snapshot;
use crate::metrics::Families;
use crate::source::{Answer, Happened, Source};
use fsu_core::lateness::Lateness;
use fsu_flood::book::live::Look;
use fsu_flood::listen::thread::Glance;
use fsu_flood::options::{Options, Pace};
use fsu_flood::report::Second;
use jiff::{Timestamp, Unit};
use now::Now;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A load generator, or a centre that listens.
pub struct Loading {
    about: Run,
    since: Instant,
    /// Requests a second that are wanted; `None`: as many as are answered.
    target_per_s: Option<f64>,
    now: Mutex<Now>,
}

impl Loading {
    /// One that sends this.
    pub fn new(options: &Options) -> Self {
        let target_per_s = match options.pace {
            Pace::Open { per_s, .. } => Some(per_s),
            Pace::Closed { .. } => None,
        };
        let shares = (0..options.threads).map(|number| ShardInfo {
            shard: number,
            cpu: options.cpus.get(number % options.cpus.len().max(1)).copied(),
            fsus: 0,
        });
        let about = about((Some(options.config.clone()), Some(options.seed), options.targets.len()), shares.collect());
        Self { target_per_s, ..Self::of(about) }
    }

    /// A centre that listens for these FSUs and asks nothing.
    pub fn centre(config: Option<String>, fsus: usize) -> Self {
        Self::of(about((config, None, fsus), Vec::new()))
    }

    fn of(about: Run) -> Self {
        Self { about, since: Instant::now(), target_per_s: None, now: Mutex::default() }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn t_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }

    /// A second has passed.
    pub fn second(&self, second: &Second, look: &Look) {
        let t_ms = self.t_ms();
        self.now().second(t_ms, second, look);
    }

    /// Another step begins, whose counts begin again.
    pub fn again(&self) {
        self.now().again();
    }

    /// A second of a centre has passed.
    pub fn heard(&self, glance: &Glance) {
        let t_ms = self.t_ms();
        self.now().heard(t_ms, glance);
    }

    /// The mock's lateness of the last second, from its metrics.
    pub fn mock(&self, late: &Lateness) {
        self.now().mock(late);
    }
}

fn about((config, seed, fsus): (Option<String>, Option<u64>, usize), shards: Vec<ShardInfo>) -> Run {
    let started = Timestamp::now();
    Run {
        program: "fsu-mock".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: Kind::Flood,
        config,
        seed,
        started: format!("{:.3}", started.round(Unit::Millisecond).unwrap_or(started)),
        uptime_s: 0.0,
        driver: None,
        executor: None,
        shards,
        performance: false,
        device_log: false,
        read_only: true,
        reloads: 0,
        reloads_failed: 0,
        fsus,
        languages: vec!["en".to_owned(), "zh".to_owned()],
    }
}

impl Source for Loading {
    fn run(&self) -> Run {
        Run { uptime_s: self.since.elapsed().as_secs_f64(), ..self.about.clone() }
    }

    fn ready(&self) -> Ready {
        Ready { status: Readiness::Ready, fsus: Some(self.about.fsus), reloads: None, message: None }
    }

    fn snapshot(&self, _map: bool) -> Answer<'_, Arc<Snapshot>> {
        let snapshot = self.now().snapshot(self.t_ms(), self.about.fsus, self.target_per_s);
        Box::pin(async move { Ok(Arc::new(snapshot)) })
    }

    fn metrics(&self) -> Answer<'_, Families> {
        let families = metrics::families(&self.now(), self);
        Box::pin(async move { Ok(families) })
    }

    fn happened(&self) -> Answer<'_, Happened> {
        Box::pin(std::future::pending::<Result<Happened, Failure>>())
    }
}
