//! What a thread hands over at its end.

use super::spread::Spread;
use super::tally::Tally;
use crate::book::account::Account;

/// How a thread ended.
#[derive(Debug)]
pub struct ThreadReport {
    /// What it counted.
    pub tally: Tally,
    /// By FSU or connection: the target's number, and its account.
    pub accounts: Vec<(usize, Account)>,
    /// The same with its latencies.
    pub spreads: Vec<(usize, Spread)>,
    /// From the end of the warm-up to the end of sending.
    pub measured_ns: u64,
    /// When the first reply came that is counted, and the last; on the run's clock.
    pub replies_ns: Option<(u64, u64)>,
    /// From the end of the warm-up to when the end of sending was found.
    pub busy_ns: u64,
    /// CPU time in that.
    pub cpu_ns: u64,
    /// The processor it was pinned to.
    pub cpu: Option<usize>,
    /// Bytes that the kernel gave the receive buffer of its first socket.
    pub receive_buffer_bytes: u64,
    /// Why it ended before its time.
    pub given_up: Option<String>,
}
