//! A whole fleet: what it needs of the machine, its sockets, its shards together, reload, and its counts. Nothing here prints, and nothing
//! parses arguments.
//!
//! - [`options`]: the options of a run. [`prepare`]: decisions before the machine is touched.
//! - [`cpus`], [`machine`], [`pinning`], [`local`], [`xdp`]: the machine.
//! - [`claims`]: who has which addresses, where the kernel cannot tell.
//! - [`sockets`], [`crew`], [`signals`], [`watch`]: what a run starts and watches.
//! - [`read`], [`reload`]: a configuration, at the start and while serving.
//! - [`run`]: serves until a signal. `desk`: what others ask of it meanwhile. [`snapshot`]: the counters at any time; [`stats`]: the same as JSON.
//! - [`error`]: why a fleet cannot be served, with the exit code.

pub mod claims;
pub mod cpus;
pub mod crew;
mod desk;
pub mod error;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod local;
pub mod machine;
pub mod options;
pub mod pinning;
pub mod prepare;
pub mod ranges;
pub mod read;
pub mod reload;
pub mod run;
pub mod signals;
pub mod snapshot;
pub mod sockets;
pub mod stats;
pub mod watch;
pub mod xdp;

pub use error::FleetError;
pub use options::{DriverChoice, FleetOptions};
pub use snapshot::Snapshot;
