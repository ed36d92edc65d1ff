//! What whoever watches a run asks of the thread that owns it.

use super::prepare::{Chosen, Prepared};
use super::reload::{ERRORS_LOGGED_MAX, ReloadOutcome, Serving};
use crate::shard::steer::record::{By, Noted, OfRun};
use crate::steer::journal::{LOG_LEVEL, RELOAD};
use crate::steer::{About, Happening, ReloadRefused, Request, Steering, View};
use crossbeam_channel::{Receiver, never};
use fsu_plan::config::diag::Diags;
use jiff::Timestamp;
use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

/// Where requests arrive, and who waits for what comes of them. Nobody can ask: it is empty.
#[derive(Debug, Default)]
pub(super) struct Desk {
    steering: Option<Steering>,
    requests: Option<Receiver<Request>>,
    /// Those who wait for the next reading of the configuration, and for the current one.
    waiting: Vec<Answer>,
    reading: Vec<Answer>,
    /// Where it is noted what was done, and since when.
    journal: Option<(flume::Sender<Noted>, Instant)>,
}

/// Both ends of where it is told what happens.
pub(super) type Happenings = (flume::Sender<Happening>, flume::Receiver<Happening>);

type Answer = flume::Sender<Result<String, ReloadRefused>>;

impl Desk {
    /// That of a run whose shards serve since then.
    pub(super) fn new(
        prepared: &Prepared,
        chosen: &Chosen,
        serving: &Serving<'_>,
        ((started, since), happenings): ((Timestamp, Instant), Happenings),
    ) -> Self {
        if !prepared.steer {
            return Self::default();
        }
        let about = About {
            config: prepared.config.path().map(Into::into),
            seed: prepared.seed,
            driver: chosen.driver.name(),
            executor: chosen.executor.name(),
            cpus: prepared.cpus.clone(),
            performance: prepared.performance,
            late_limit_us: prepared.late_limit_us,
            started,
            since,
        };
        let (steering, requests) =
            Steering::new(serving.crew().lines(), view(Arc::new(about), serving, None), happenings);
        Self { steering: Some(steering), requests: Some(requests), ..Self::default() }
    }

    /// That notes in a journal what is done.
    pub(super) fn with_journal(self, journal: Option<flume::Sender<Noted>>) -> Self {
        let since = self.steering.as_ref().map(|steering| steering.view().about.since);
        Self { journal: journal.zip(since), ..self }
    }

    fn note(&self, path: &'static str, body: serde_json::Value, by: By) {
        if let Some((journal, since)) = &self.journal {
            let of_run = OfRun { t_ms: since.elapsed().as_millis() as u64, path, body, by };
            // It is only told: nothing follows from a line that is missing.
            let _ = journal.try_send(Noted::Run(of_run));
        }
    }

    /// What others steer it by.
    pub(super) fn steering(&self) -> Option<&Steering> {
        self.steering.as_ref()
    }

    /// Receives requests.
    pub(super) fn requests(&self) -> Receiver<Request> {
        self.requests.clone().unwrap_or_else(never)
    }

    /// A request has come. True: the configuration is to be read again.
    pub(super) fn take(&mut self, request: Request, serving: &Serving<'_>) -> bool {
        match request {
            Request::Reload(answer) => {
                self.waiting.push(answer);
                true
            }
            Request::LogLevel(level) => {
                serving.set_log_level(level);
                let level = level.as_str().to_ascii_lowercase();
                self.note(LOG_LEVEL, serde_json::json!({ "level": level }), By::Api);
                false
            }
        }
    }

    /// The configuration is being read: what comes of it is for those who waited until now.
    pub(super) fn reads(&mut self) {
        self.reading.append(&mut self.waiting);
    }

    /// It was read, and is served or not.
    pub(super) fn reloaded(&mut self, serving: &Serving<'_>, outcome: &ReloadOutcome) {
        let done = match &outcome.done {
            Ok(reloaded) => Ok(reloaded.summary.clone()),
            Err(error) => Err(ReloadRefused { message: error.to_string(), diagnostics: lines(&outcome.diags) }),
        };
        self.tell(serving, &done);
    }

    /// It could not be read.
    pub(super) fn not_read(&mut self, serving: &Serving<'_>, message: String) {
        self.tell(serving, &Err(ReloadRefused { message, diagnostics: Vec::new() }));
    }

    fn tell(&mut self, serving: &Serving<'_>, done: &Result<String, ReloadRefused>) {
        let failure = done.as_ref().err().map(|refused| refused.message.clone());
        if let Some(steering) = &self.steering {
            let summary = done.as_ref().map_or_else(|refused| refused.message.clone(), Clone::clone);
            steering.tell(Happening::Reload { done: done.is_ok(), summary });
            steering.show(|before| view(Arc::clone(&before.about), serving, failure));
        }
        if done.is_ok() {
            let by = if self.reading.is_empty() { By::Signal } else { By::Api };
            self.note(RELOAD, serde_json::json!({}), by);
        }
        // Whoever asked may be gone.
        for answer in take(&mut self.reading) {
            let _ = answer.send(done.clone());
        }
    }
}

fn lines(diags: &Diags) -> Vec<String> {
    diags.lines().take(ERRORS_LOGGED_MAX).collect()
}

fn view(about: Arc<About>, serving: &Serving<'_>, reload_failure: Option<String>) -> View {
    View {
        about,
        fleet: Arc::clone(&serving.fleet),
        epoch: serving.epoch,
        shards: serving.shards.clone(),
        addresses: serving.addresses(),
        reloads: serving.reloads.done,
        reloads_failed: serving.reloads.failed,
        reload_failure,
        gone: serving.gone.fsus,
        gone_counters: serving.gone.counters.clone(),
    }
}
