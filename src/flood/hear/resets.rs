//! Connections that a centre reset on purpose (`--reset-at`), and the devices that come back: what a thread counts.

use crate::latency::{Latency, latency};

/// One moment at which all connections are reset, as a thread counts it.
#[derive(Clone, Debug)]
pub struct Reset {
    /// When it was to be, in nanoseconds since the start.
    pub at_ns: u64,
    /// Connections that were reset.
    pub reset: u64,
    /// How long that took, in nanoseconds.
    pub took_ns: u64,
    /// Connections accepted after it, up to the next one: since it, in nanoseconds.
    pub back: Latency,
}

impl Reset {
    /// At that moment.
    pub fn new(at_ns: u64) -> Self {
        Self { at_ns, reset: 0, took_ns: 0, back: latency() }
    }

    /// Adds another thread's of the same moment.
    pub fn add(&mut self, other: &Self) {
        self.reset += other.reset;
        self.took_ns = self.took_ns.max(other.took_ns);
        // Same bounds: it always fits.
        let _ = self.back.add(&other.back);
    }
}
