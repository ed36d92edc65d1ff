//! Serving: shards with their sockets, timers and drivers, and the thread that writes the logs.
//!
//! - [`shard`]: sockets, connections, clients, timing wheel and counters of one pinned executor.
//! - [`log`]: the logger thread: device log, system log and fault ledger.
//! - [`fleet`]: a whole fleet: machine, sockets, shards together, reload, counts.
//! - [`gate`]: how many of a kind pass in a second.

pub mod fleet;
pub mod gate;
pub mod log;
pub mod shard;
mod sync;
