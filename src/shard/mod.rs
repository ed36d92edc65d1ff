//! Sockets and timers of one executor.
//!
//! A shard is a pinned executor that runs one task: a driver, which owns all of the shard's sockets, and [`serve::Serve`],
//! which knows what to do with what they bring. No task, timer or buffer per socket.
//!
//! - [`serve`], [`udp`], [`tcp`], [`tcp_out`]: the logic, without system calls, clocks or executor.
//! - [`io`]: the seam between that and a driver. [`protocol`], [`tap`]: the same to the responder and to the log.
//! - [`wheel`]: everything that is to be done later. [`pending`]: replies that wait for their time.
//! - [`clients`]: the centres an FSU knows. [`conn`]: what is kept of a connection. [`notes`]: lines about bad input.
//! - [`poll`], [`poll_io`], [`outbox`], [`watch`]: the driver on epoll. [`sys`]: all that is unsafe.
//! - [`bind`], [`handle`]: sockets, and starting a shard.

pub mod bind;
pub mod clients;
pub mod clock;
pub mod conn;
pub mod handle;
pub mod io;
pub mod notes;
pub mod outbox;
pub mod pending;
mod poll;
mod poll_io;
pub mod protocol;
pub mod serve;
mod sys;
pub mod tap;
mod tcp;
mod tcp_out;
#[cfg(test)]
mod tests;
mod udp;
pub mod watch;
pub mod wheel;

pub use bind::{Bound, bind_tcp, bind_udp};
pub use handle::{Handle, ShardError, ShardSpec, spawn};
