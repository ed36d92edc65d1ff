//! What a control server is about: a running fleet, or a load generator.

use crate::api::changes::{
    ArmFaults, Armed, Cleared, Level, ReloadDone, Set, SetMemory, SetRegister, Trigger, Triggered,
};
use crate::api::detail::FsuDetail;
use crate::api::error::Failure;
use crate::api::fsus::{FsuPage, FsuQuery, Messages, UnansweredList, UnansweredQuery};
use crate::api::run::{Ready, Run};
use crate::api::snapshot::Snapshot;
use crate::metrics::Families;
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;

/// An answer that takes time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Something that happened: an event of the stream besides `snapshot`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happened {
    /// The event's name.
    pub event: &'static str,
    /// Its data.
    pub data: serde_json::Value,
}

/// What every program with a control server tells.
pub trait Source: Send + Sync {
    /// The run itself. `read_only` is filled in by the server.
    fn run(&self) -> Run;

    /// Whether it serves as it should.
    fn ready(&self) -> Ready;

    /// What the last second brought; `map`: with the states of all FSUs.
    fn snapshot(&self, map: bool) -> Answer<'_, Arc<Snapshot>>;

    /// The metrics.
    fn metrics(&self) -> Answer<'_, Families>;

    /// The next thing that happens.
    fn happened(&self) -> Answer<'_, Happened> {
        Box::pin(std::future::pending())
    }

    /// The calls about FSUs, where there are any.
    fn fleet(&self) -> Option<&dyn FleetSource> {
        None
    }
}

/// What a running fleet tells besides, and what it can be told. `glob` is a pattern of names.
pub trait FleetSource: Send + Sync {
    /// A page of FSUs.
    fn fsus(&self, asked: FsuQuery) -> Answer<'_, FsuPage>;
    /// One FSU, whole.
    fn fsu(&self, name: String) -> Answer<'_, FsuDetail>;
    /// Requests without a reply.
    fn unanswered(&self, asked: UnansweredQuery) -> Answer<'_, UnansweredList>;
    /// Messages.
    fn messages(&self) -> Answer<'_, Messages>;
    /// Sends a message.
    fn trigger(&self, glob: String, asked: Trigger) -> Answer<'_, Triggered>;
    /// Sets a register.
    fn set_register(&self, glob: String, name: String, asked: SetRegister) -> Answer<'_, Set>;
    /// Sets bytes of memory.
    fn set_memory(&self, glob: String, area: String, asked: SetMemory) -> Answer<'_, Set>;
    /// Arms faults.
    fn arm(&self, glob: String, asked: ArmFaults) -> Answer<'_, Armed>;
    /// Puts those of the configuration back.
    fn clear(&self, glob: String) -> Answer<'_, Cleared>;
    /// Reads the configuration again.
    fn reload(&self) -> Answer<'_, ReloadDone>;
    /// Sets the level of the system log.
    fn log_level(&self, level: Level) -> Answer<'_, Level>;
}
