//! The options of a run, independent of the command line.

use super::read::Origin;
use crate::steer::journal::Journal;
use fsu_plan::model::share::Partition;
use fsu_plan::words;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

words! {
    /// How the sockets are driven, as `--driver` says it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum DriverChoice {
        #[default]
        Auto = "auto": "ring if this kernel has what it needs and most FSUs are not tcp, else poll; the summary at the start says which, and why",
        Ring = "ring": "io_uring",
        Poll = "poll": "epoll",
        Xdp = "xdp": "AF_XDP: the datagrams of udp FSUs on the device of --xdp-dev pass the kernel by, the rest is as with poll; needs privileges",
    }
}

/// All options of a run.
#[derive(Clone, Debug, Default)]
pub struct FleetOptions {
    /// Where the configuration is read from, for reloads.
    pub config: Origin,
    /// Shards; absent: as many as [`super::cpus::place`] chooses.
    pub shards: Option<NonZeroUsize>,
    /// Processors to pin to ([`super::cpus::parse`]); absent: the first ones allowed here.
    pub cpus: Option<Vec<usize>>,
    /// The driver.
    pub driver: DriverChoice,
    /// The network device of [`DriverChoice::Xdp`].
    pub xdp_dev: Option<String>,
    /// One socket a shard for all udp FSUs.
    pub one_socket: bool,
    /// No delays and no device log, unless the configuration turns one of them off.
    pub performance: bool,
    /// How late a reply may leave, in milliseconds: 0 to 60,000.
    pub late_limit_ms: f64,
    /// How long requests may gather before they are read, in microseconds.
    pub gather_us: u32,
    /// Replies of one size are sent as one datagram that the kernel segments.
    pub gso: bool,
    /// The seed of all random values; absent: a new one.
    pub seed: Option<u64>,
    /// Replaces every FSU's `host`.
    pub bind: Option<IpAddr>,
    /// The part of the fleet that is served; absent: all of it.
    pub partition: Option<Partition>,
    /// Reload when a file of the configuration changes.
    pub watch: bool,
    /// Replaces `log.dir`.
    pub log_dir: Option<PathBuf>,
    /// The file for a JSON line per fault; the caller empties it.
    pub fault_ledger: Option<PathBuf>,
    /// The file for a JSON line per thing that becomes of a message; the caller empties it.
    pub message_ledger: Option<PathBuf>,
    /// The run can be watched and steered ([`crate::steer`]).
    pub steer: bool,
    /// The file for a JSON line per change that is made; the caller empties it.
    pub journal: Option<PathBuf>,
    /// A journal whose changes are made again.
    pub play: Option<Journal>,
}
