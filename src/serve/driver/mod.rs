//! Drivers: what moves a shard's bytes, one loop for all of its sockets.
//!
//! A shard is a pinned thread that runs one driver, which owns all of the shard's sockets, and [`Serve`](crate::shard::serve::Serve),
//! which knows what to do with what they bring. No task, timer or buffer per socket.
//!
//! - [`handle`]: starting a shard, and what may be asked of it. `mail`: how commands reach it. [`executor`]: what makes its thread.
//! - [`turn`], [`fair`]: what a driver does between two looks at its sockets, and whose turn it is. `swap`: a reload. [`gather`]: whether a wake-up serves
//!   several requests at part load.
//! - [`base`], [`clocks`]: sockets, the queue of datagrams to send, clocks. `streams`: connections.
//! - [`port`]: a queue of a network device beside the sockets (`--driver xdp`).
//! - [`one`]: one socket for many FSUs (`--one-socket`).
//! - [`run`]: the loop of both drivers. [`epoll`], [`ring`]: what each adds to it. They make the system calls ([`fsu_net::sys::calls`]) as `kernel`.

#[cfg(feature = "ab")]
mod ab;
mod base;
mod clocks;
mod command;
mod epoll;
pub mod executor;
pub(crate) mod fair;
pub mod gather;
pub mod handle;
mod mail;
pub mod one;
pub mod port;
mod ring;
mod run;
mod served;
mod streams;
mod swap;
#[cfg(test)]
mod tests;
mod turn;
mod ways;

#[cfg(not(test))]
use fsu_net::sys::calls as kernel;
#[cfg(test)]
use tests::kernel::calls as kernel;

pub use command::{ShardFigures, WayCounts};
pub use executor::Executor;
pub use handle::{DriverKind, Handle, ShardError, ShardSpec, Tuning, spawn};
