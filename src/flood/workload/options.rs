//! The options of a run, checked.

use crate::hear::Hearing;
use crate::numbers::counted;
use crate::workload::left_out::LeftOut;
use crate::workload::part::PartReport;
use crate::workload::profile::{Label, Profile};
use fsu_plan::model::fleet::FsuId;
use fsu_plan::model::message::Transport;
use fsu_tls::Client;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Requests under way per thread, at most; past it they are not sent and counted. 200 bytes each.
pub const OPEN_MAX: usize = 1 << 20;

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// That many under way per port (UDP) or connection (TCP); a reply makes room for the next request.
    Closed {
        /// Requests under way.
        window: usize,
    },
    /// This number a second in total, whatever comes back.
    Open {
        /// Requests a second.
        per_s: f64,
        /// Seconds until that rate is reached, in a straight line.
        ramp_s: f64,
        /// Exponentially distributed distances.
        poisson: bool,
    },
}

/// A window with which too many requests would be under way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {window} for {ports}: at most {OPEN_MAX} in total")]
pub struct WindowError {
    /// The option.
    pub name: &'static str,
    /// Its value.
    pub window: usize,
    /// How many FSUs or connections have such a window.
    pub ports: String,
}

/// One FSU that is asked.
#[derive(Debug)]
pub struct AskedFsu {
    /// Its name.
    pub name: Box<str>,
    /// Its id.
    pub id: FsuId,
    /// RtnFlag of its requests (udp).
    pub rtn_flag: u8,
    /// A datagram is the inner frame itself.
    pub is_bare: bool,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is asked.
    pub profile: Arc<Profile>,
    /// Its connections are TLS.
    pub tls: Option<Client>,
}

/// Everything about a run.
#[derive(Debug)]
pub struct Options {
    /// The FSUs; never empty.
    pub targets: Vec<AskedFsu>,
    /// Rows of the report.
    pub labels: Vec<Label>,
    /// Commands that are not asked.
    pub left_out: Vec<LeftOut>,
    /// FSUs that were chosen and are not asked anything.
    pub unasked: usize,
    /// The transport of all of them.
    pub transport: Transport,
    /// Pace.
    pub pace: Pace,
    /// How long requests are sent, after the warm-up.
    pub send_for: Duration,
    /// Requests in total, warm-up included; `None`: as many as the time allows.
    pub requests: Option<u64>,
    /// Left out of the figures.
    pub warmup: Duration,
    /// A reply after this long is late; BroadCast: a frame that does not come within it is asked for again.
    pub timeout: Duration,
    /// Threads.
    pub threads: usize,
    /// Processors to pin them to, in turn; empty: not pinned.
    pub cpus: Vec<usize>,
    /// The servers are echoes.
    pub echo: bool,
    /// Requests of a command are equal.
    pub equal: bool,
    /// UDP sockets per thread.
    pub sockets: usize,
    /// Consecutive requests of one size to one port go to the kernel in one call (UDP_SEGMENT), and replies come so, too (UDP_GRO).
    pub gso: bool,
    /// UDP: the network device by whose queues requests leave and replies come; `None`: by sockets.
    pub xdp: Option<String>,
    /// TCP connections in total.
    pub connections: usize,
    /// BroadCast: how often each frame is asked for again.
    pub retries: u32,
    /// BroadCast: share (0 to 1) of our own datagrams that are not sent, on purpose.
    pub drop: f64,
    /// Seed of random values, distances and drops.
    pub seed: u64,
    /// Loss up to this share (0 to 1) is no failure.
    pub loss_max: f64,
    /// What the targets say unasked, each the speaker of its number; `None`: they say nothing.
    pub heard: Option<Arc<Hearing>>,
    /// What of it cannot be acknowledged, for the report.
    pub heard_notes: Vec<String>,
    /// As it was asked for, for the report.
    pub command_line: Vec<String>,
    /// The configuration, for the report.
    pub config: String,
    /// A hash of its files, for the report.
    pub config_hash: Option<String>,
    /// Which part of a load this is, for the report.
    pub part: Option<PartReport>,
    /// The mix as it was asked for, for the report.
    pub mix: Option<String>,
}

impl Options {
    /// Checks that the requests of all windows can be under way together.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn check(&self) -> Result<(), WindowError> {
        let Pace::Closed { window } = self.pace else { return Ok(()) };
        let (name, ports, what) = match self.transport {
            Transport::Tcp => ("--pipelining", self.connections, "connection"),
            Transport::Udp | Transport::Broadcast | Transport::Datagram => ("--window", self.targets.len(), "FSU"),
        };
        if window.saturating_mul(ports) > OPEN_MAX {
            return Err(WindowError { name, window, ports: counted(ports as u64, what) });
        }
        Ok(())
    }

    /// Descriptors that a run opens: sockets or connections, and an epoll set a thread.
    pub fn files(&self) -> u64 {
        let sockets = match self.transport {
            Transport::Tcp => self.connections,
            Transport::Udp | Transport::Broadcast | Transport::Datagram => {
                self.sockets.max(1).saturating_mul(self.threads)
            }
        };
        sockets.saturating_add(self.threads) as u64
    }
}
