//! A running fleet as a source.
//!
//! - [`scan`]: what all FSUs do now, read once for all who ask. `sample`: what a second brought.
//! - `state`, `list`: FSUs in short. `detail`: one FSU, whole; `shown`: its exchanges.
//! - `change`: changes. `faults`: faults as JSON.

mod change;
mod detail;
mod events;
mod faults;
mod list;
mod sample;
mod scan;
mod shown;
mod state;
mod summary;

use crate::api::error::{Code, Failure};
use crate::api::fsus::{FsuPage, FsuQuery, Messages, UnansweredList, UnansweredQuery};
use crate::api::run::{Kind, Readiness, Ready, Run, ShardInfo};
use crate::api::snapshot::Snapshot;
use crate::api::{changes, detail as whole};
use crate::explain::Explain;
use crate::metrics::Families;
use crate::metrics::steady::Steady;
use crate::source::{Answer, FleetSource, Happened, Source};
use fsu_serve::steer::{SteerError, Steering, View};
use scan::Scans;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wildmatch::WildMatch;

/// How long a shard has to answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// A running fleet.
pub struct Running {
    steering: Steering,
    explain: Arc<dyn Explain>,
    scans: Scans,
    /// Which FSUs have metrics of their own.
    metrics_per_fsu: Option<WildMatch>,
    steady: Mutex<Steady>,
}

impl Running {
    /// That fleet. `metrics_per_fsu`: a pattern of the names of FSUs with metrics of their own.
    pub fn new(steering: Steering, explain: Arc<dyn Explain>, metrics_per_fsu: Option<&str>) -> Self {
        let metrics_per_fsu = metrics_per_fsu.map(WildMatch::new);
        Self { scans: Scans::new(steering.clone()), steering, explain, metrics_per_fsu, steady: Mutex::default() }
    }

    /// What is served, and the numbers of the FSUs whose names match.
    fn matching(&self, glob: &str) -> (Arc<View>, Vec<u32>) {
        let (view, wanted) = (self.steering.view(), WildMatch::new(glob));
        let all = (0..).zip(&view.fleet.fsus);
        let numbers = all.filter(|(_, fsu)| wanted.matches(&fsu.name)).map(|(number, _)| number).collect();
        (view, numbers)
    }
}

/// An answer of shards, within the time that they have.
async fn within<T>(answer: impl Future<Output = Result<T, SteerError>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_TIME, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => {
            Err(Failure::new(Code::Internal, format!("a shard has not answered for {} s", ANSWER_TIME.as_secs())))
        }
    }
}

fn failure(error: &SteerError) -> Failure {
    use fsu_serve::steer::NoAnswer;
    let code = match error {
        SteerError::NoFsu => Code::NotFound,
        SteerError::NoAnswer(NoAnswer::Reloaded) => Code::Conflict,
        SteerError::NoAnswer(NoAnswer::Busy | NoAnswer::Ending) | SteerError::Ended(_) => Code::Busy,
    };
    Failure::new(code, error.to_string())
}

/// There is no FSU of that name.
fn no_fsu(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("no FSU has the name `{name:.200}`"))
}

impl Source for Running {
    fn run(&self) -> Run {
        let view = self.steering.view();
        let about = &view.about;
        let shards = about.cpus.iter().enumerate().map(|(shard, &cpu)| {
            let fsus = view.shards.iter().filter(|&&of| usize::from(of) == shard).count();
            ShardInfo { shard, cpu: Some(cpu), fsus }
        });
        Run {
            program: "fsu-mock".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind: Kind::Run,
            config: about.config.as_ref().map(|path| path.display().to_string()),
            seed: Some(about.seed),
            started: shown::time(about.started),
            uptime_s: about.since.elapsed().as_secs_f64(),
            driver: Some(about.driver.to_owned()),
            executor: Some(about.executor.to_owned()),
            shards: shards.collect(),
            performance: about.performance,
            device_log: !view.fleet.performance.skip_device_log,
            read_only: false,
            reloads: view.reloads,
            reloads_failed: view.reloads_failed,
            fsus: view.fleet.fsus.len(),
            languages: vec!["en".to_owned(), "zh".to_owned()],
        }
    }

    fn ready(&self) -> Ready {
        let view = self.steering.view();
        let status = if view.reload_failure.is_some() { Readiness::ReloadFailed } else { Readiness::Ready };
        let message = view.reload_failure.clone();
        Ready { status, fsus: Some(view.fleet.fsus.len()), reloads: Some(view.reloads), message }
    }

    fn snapshot(&self, map: bool) -> Answer<'_, Arc<Snapshot>> {
        Box::pin(async move {
            let scanned = self.scans.sampled().await?;
            if !map {
                return Ok(scanned.snapshot.clone());
            }
            let map = Some(scanned.scan.map());
            Ok(Arc::new(Snapshot { map, ..(*scanned.snapshot).clone() }))
        })
    }

    fn metrics(&self) -> Answer<'_, Families> {
        Box::pin(async move {
            let scan = self.scans.scan().await?;
            let mut families = summary::families(&scan, self.metrics_per_fsu.as_ref());
            self.steady.lock().unwrap_or_else(PoisonError::into_inner).hold(&mut families);
            Ok(families)
        })
    }

    fn happened(&self) -> Answer<'_, Happened> {
        Box::pin(async move {
            let (told, seen) = (self.steering.events(), self.scans.outages());
            let happened = tokio::select! {
                told = told.recv_async() => told.map(events::happened),
                seen = seen.recv_async() => seen,
            };
            happened.map_err(|_| Failure::new(Code::Busy, "the run is ending"))
        })
    }

    fn fleet(&self) -> Option<&dyn FleetSource> {
        Some(self)
    }
}

impl FleetSource for Running {
    fn fsus(&self, asked: FsuQuery) -> Answer<'_, FsuPage> {
        Box::pin(self.list(asked))
    }

    fn fsu(&self, name: String) -> Answer<'_, whole::FsuDetail> {
        Box::pin(self.detail(name))
    }

    fn unanswered(&self, asked: UnansweredQuery) -> Answer<'_, UnansweredList> {
        Box::pin(self.silent(asked))
    }

    fn messages(&self) -> Answer<'_, Messages> {
        Box::pin(async move { Ok(summary::messages(&*self.scans.scan().await?)) })
    }

    fn trigger(&self, glob: String, asked: changes::Trigger) -> Answer<'_, changes::Triggered> {
        Box::pin(self.send(glob, asked))
    }

    fn set_register(&self, glob: String, name: String, asked: changes::SetRegister) -> Answer<'_, changes::Set> {
        Box::pin(self.put_register(glob, name, asked))
    }

    fn set_memory(&self, glob: String, area: String, asked: changes::SetMemory) -> Answer<'_, changes::Set> {
        Box::pin(self.put_memory(glob, area, asked))
    }

    fn arm(&self, glob: String, asked: changes::ArmFaults) -> Answer<'_, changes::Armed> {
        Box::pin(self.put_faults(glob, asked))
    }

    fn clear(&self, glob: String) -> Answer<'_, changes::Cleared> {
        Box::pin(self.clear_faults(glob))
    }

    fn reload(&self) -> Answer<'_, changes::ReloadDone> {
        Box::pin(async move {
            let done = self.steering.reload().await;
            let summary = done.map_err(|refused| Failure {
                diagnostics: refused.diagnostics,
                ..Failure::new(Code::Conflict, refused.message)
            })?;
            Ok(changes::ReloadDone { done: true, summary })
        })
    }

    fn log_level(&self, level: changes::Level) -> Answer<'_, changes::Level> {
        let set = self.steering.set_log_level(change::filter(level)).map_err(|error| failure(&error));
        Box::pin(async move { set.map(|()| level) })
    }
}
