//! A centre that devices speak to: it accepts connections and datagrams, verifies what is said, and acknowledges it.
//!
//! - [`ask`], [`centre`]: requests on the connections and to the addresses of those that speak.
//! - [`streams`], [`datagrams`]: connections and sockets of a thread.
//! - [`thread`]: a thread: what comes, and what leaves later.
//! - [`run`]: sockets, threads, a line a second.
//! - [`heard`], [`html`], [`schema`]: the end.
//!
//! A connection takes some 200 bytes while nothing is half there; see [`streams::Conn`].

pub mod ask;
pub mod centre;
pub mod datagrams;
pub mod heard;
pub mod html;
pub mod resets;
pub mod run;
pub mod schema;
pub mod streams;
#[cfg(test)]
pub(crate) mod tests;
pub mod thread;
pub mod thresholds;

use crate::hear::Hearing;
use ask::Asked;
use fsu_tls::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Connections at one time, if nothing else is said (`--connections-max`). Each takes some 200 bytes here, and about 3 KB in the kernel.
pub const DIALLED_MAX: usize = 100_000;

/// What a centre is told.
#[derive(Debug)]
pub struct Options {
    /// Where it listens, over datagrams and streams.
    pub addresses: Vec<SocketAddr>,
    /// Accept connections.
    pub accepts: bool,
    /// Who may speak, and what is done with it.
    pub hearing: Arc<Hearing>,
    /// Connections are TLS.
    pub tls: Option<Server>,
    /// For how long; `None`: until it is stopped.
    pub time: Option<Duration>,
    /// Threads.
    pub threads: usize,
    /// Processors to pin them to, in turn; empty: not pinned.
    pub cpus: Vec<usize>,
    /// Connections at one time.
    pub connections_max: usize,
    /// When all connections are reset, in nanoseconds since the start; in order.
    pub resets_ns: Vec<u64>,
    /// The FSUs that it asks as well; `None`: it only listens.
    pub asked: Option<Asked>,
    /// No line a second.
    pub quiet: bool,
}

impl Options {
    /// Descriptors that it opens.
    pub fn files(&self) -> u64 {
        let streams = if self.accepts { self.connections_max.min(self.hearing.cast.speakers.len() + 64) } else { 0 };
        (streams + 2 * self.addresses.len() * (self.threads + 1) + self.threads) as u64
    }
}
