//! A fleet of field supervision units (FSUs) from JSON alone.
//!
//! The layers stand in the order that data flows; each knows only those above it:
//!
//! - [`config`]: JSON files to raw values, every value with its place in the file; all errors at once.
//! - [`plan`]: raw values to an immutable plan: offsets, byte order, checksum spans, rule tables,
//!   prebuilt replies. Knows no serde while serving.
//! - [`codec`]: bytes to checked views and back: outer frame, inner frame, stream framer. Pure.
//! - [`responder`]: a checked request to the bytes of its reply. Pure.
//! - [`client`]: requests, and what comes back: the other end. Pure.
//! - [`shard`]: sockets, connections, clients, timing wheel and counters of one pinned executor.
//! - [`log`]: the logger thread: device log and system log.
//! - [`flood`]: the load generator: requests after the same templates, replies verified.
//! - [`cli`]: arguments, and the commands that stand beside `run`.
//!
//! `config`, `plan`, `codec` and `responder` know no socket, clock, thread or executor; a test
//! (`tests/layers.rs`) keeps it so.

pub mod cli;
pub mod client;
pub mod codec;
pub mod config;
pub mod flood;
pub mod gate;
pub mod lateness;
pub mod log;
pub mod memory;
pub mod plan;
pub mod responder;
pub mod shard;
mod sync;
pub mod unblocked;
pub mod words;
