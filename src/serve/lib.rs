//! Serving: shards with their sockets, timers and drivers, and the thread that writes the logs.
//!
//! - [`shard`]: what a shard does with what its sockets bring. No system call, clock or executor.
//! - [`driver`]: the threads that move a shard's bytes, on epoll or io_uring.
//! - [`devlog`]: the logger thread, the device log and the fault ledger. [`syslog`]: the system log. `files`: what their files have in
//!   common.
//! - [`fleet`]: a whole fleet: machine, sockets, shards together, reload, counts.
//! - [`steer`]: a running fleet, watched and steered from other threads.
//! - [`gate`]: how many of a kind pass in a second.

pub mod devlog;
pub mod driver;
mod files;
pub mod fleet;
pub mod gate;
pub mod shard;
pub mod steer;
mod sync;
pub mod syslog;
#[cfg(test)]
mod testing;
