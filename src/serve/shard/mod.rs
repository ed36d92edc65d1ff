//! Sockets and timers of one executor.
//!
//! A shard is a pinned thread with an executor that runs one task: a driver, which owns all of the shard's sockets, and [`serve::Serve`],
//! which knows what to do with what they bring. No task, timer or buffer per socket.
//!
//! - [`serve`], [`udp`], [`tcp`], [`tcp_out`]: the logic, without system calls, clocks or executor.
//! - [`io`]: the seam between that and a driver. [`protocol`], [`tap`]: the same to the responder and to the log.
//! - [`wheel`]: everything that is to be done later. [`pending`]: replies that wait for their time, [`share`]: of whom how
//!   many.
//! - [`late`]: how late replies leave, [`look`]: since when bytes of a connection may have been there. [`gather`]: whether a wake-up serves several of them at part load.
//! - [`clients`]: the centres an FSU knows. [`local`]: at which address of this machine. [`conn`]: what is kept of a connection. [`notes`]: lines about bad input.
//! - [`base`], [`turn`], [`fair`], [`outbox`], [`message`], [`watch`]: what the drivers have in common. [`poll`], [`poll_io`]: the one on
//!   epoll. [`ring`], [`ring_io`]: the one on io_uring.
//!   Drivers make the system calls ([`fsu_net::sys::calls`]) as `kernel`.
//! - [`bind`], [`handle`]: sockets, and starting a shard. `mail`: how commands reach it. [`executor`]: what runs it.

mod base;
pub mod clients;
pub mod clock;
pub mod conn;
pub mod executor;
mod fair;
pub mod gather;
pub mod handle;
pub mod io;
pub mod late;
mod look;
mod mail;
pub mod notes;
pub mod own;
pub mod pending;
mod poll;
mod poll_io;
pub mod protocol;
pub mod reload;
mod ring;
mod ring_io;
pub mod serve;
pub mod share;
mod slots;
pub mod tap;
mod tcp;
mod tcp_out;
#[cfg(test)]
mod tests;
pub mod tide;
mod turn;
mod udp;
pub mod watch;
pub mod wheel;

#[cfg(not(test))]
use fsu_net::sys::calls as kernel;
#[cfg(test)]
use tests::kernel::calls as kernel;

pub use executor::Executor;
pub use handle::{DriverKind, Ended, Handle, ShardError, ShardSpec, Tuning, spawn};
pub use own::Own;
pub use reload::Swap;
