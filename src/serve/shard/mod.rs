//! What one shard does, without a system call, clock or executor: all of it runs on virtual time as well.
//!
//! - [`serve`], [`udp`], [`tcp`], [`reload`]: the logic.
//! - [`io`]: the seam between that and a driver ([`crate::driver`]). [`protocol`], [`recorder`]: the same to the responder and to the log.
//! - [`timers`]: what is done later.
//! - [`late`]: how late replies leave, [`look`]: since when bytes of a connection may have been there.
//! - [`steer`]: watching and steering a shard while it serves.
//! - `talk`: what FSUs say unasked, [`accounts`]: what became of it.
//! - [`clients`], [`routes`]: the centres an FSU knows. [`dial`]: FSUs that dial out. [`slots`]: the FSUs. [`own`]: which peers are never answered. [`effort`]: what work costs. [`notes`], [`tide`]: lines about
//!   bad input, and about centres that come and go.

pub mod accounts;
pub mod clients;
pub mod clock;
pub mod dial;
pub(crate) mod effort;
pub mod io;
pub mod late;
pub(crate) mod look;
pub mod notes;
pub mod own;
pub mod protocol;
pub mod recorder;
pub mod reload;
mod routes;
pub mod serve;
mod slots;
pub mod steer;
mod talk;
pub mod tcp;
#[cfg(test)]
pub(crate) mod tests;
pub mod tide;
pub mod timers;
mod udp;

pub use own::Own;
pub use reload::Swap;
