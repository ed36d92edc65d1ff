//! What all requests share.

use super::events::Feed;
use super::options::Bound;
use super::token::Token;
use crate::api::error::{Code, Failure};
use crate::api::run::{Readiness, Ready};
use crate::source::{FleetSource, Source};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use utoipa::openapi::OpenApi;

/// What all requests share.
pub(super) struct Shared {
    /// What requests must have.
    pub(super) token: Option<Token>,
    /// It takes no changes.
    pub(super) read_only: bool,
    /// The stream of events.
    pub(super) feed: Feed,
    /// All calls.
    pub(super) document: OpenApi,
    source: OnceLock<Arc<dyn Source>>,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(bound: &Bound, document: OpenApi) -> Self {
        Self {
            token: bound.token.clone(),
            read_only: bound.read_only,
            feed: Feed::new(),
            document,
            source: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// From now on it answers from that. Only the first one counts.
    pub(super) fn attach(&self, source: Arc<dyn Source>) {
        let _ = self.source.set(source);
        self.feed.attached.notify_one();
    }

    /// The run is about to end.
    pub(super) fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// What it is about.
    ///
    /// # Errors
    /// It is not there yet.
    pub(super) fn source(&self) -> Result<&Arc<dyn Source>, Failure> {
        self.source.get().ok_or_else(|| Failure::new(Code::Busy, "the program is still starting"))
    }

    /// The calls about FSUs.
    ///
    /// # Errors
    /// It is not there yet, or has none.
    pub(super) fn fleet(&self) -> Result<&dyn FleetSource, Failure> {
        let fleet = self.source()?.fleet();
        fleet.ok_or_else(|| Failure::new(Code::NotFound, "a load generator has no FSUs of its own"))
    }

    /// Whether all is as it should be.
    pub(super) fn ready(&self) -> Ready {
        let not = |status, message: &str| Ready { status, fsus: None, reloads: None, message: Some(message.into()) };
        if self.is_stopping.load(Ordering::Relaxed) {
            return not(Readiness::Stopping, "the run is about to end");
        }
        self.source.get().map_or_else(|| not(Readiness::Starting, "sockets are being bound"), |source| source.ready())
    }
}
