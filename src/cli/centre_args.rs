//! What `flood` can be told as a centre.

use clap::{Args, ValueHint};
use fsu_flood::hear::acks::AckPolicy;
use fsu_flood::listen::DIALLED_MAX;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a centre listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAt {
    /// Where FSUs of the configuration connect to.
    Connect,
    /// There.
    Address(SocketAddr),
}

fn listen_at(text: &str) -> Result<ListenAt, String> {
    let address = || text.parse().map(ListenAt::Address).map_err(|_| format!("{text}: ADDRESS:PORT"));
    if text == CONNECT { Ok(ListenAt::Connect) } else { address() }
}

/// Seconds of `--reset-at`, up to a day.
fn reset_at(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.trim().parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("{text}: seconds from 0 to 86400"))
}

/// `--listen` without an address.
const CONNECT: &str = "connect";

/// Options of a centre.
#[derive(Debug, Args)]
pub struct CentreArgs {
    /// Only listen on this address, as a supervision centre does: count the heartbeats of each FSU, verify and acknowledge messages
    ///
    /// --config says which FSUs are expected; --fsu selects some of them; --seconds, --json and --quiet work as usual. The run fails
    /// if no heartbeat arrives, or none from an FSU whose interval fits in the time.
    #[arg(long, value_name = "ADDR", conflicts_with_all = [
        "host", "tcp", "broadcast", "datagram", "retries", "drop", "connections", "pipelining", "sockets", "echo", "no_gso", "from",
        "judged", "listen",
    ])]
    pub centre: Option<SocketAddr>,
    /// Play the centre on this address, for devices that speak first: accept connections and datagrams, verify and acknowledge messages
    ///
    /// May be given several times; without an address where the configuration's FSUs connect to. The messages and their
    /// acknowledgements are those of the configuration. It goes on until it is stopped, or for --seconds. With --rate, --window, --requests,
    /// --mix or --values it also asks those that come, on their connections and where their datagrams come from.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "connect", value_parser = listen_at,
        conflicts_with_all = [
        "host", "tcp", "broadcast", "datagram", "retries", "drop", "connections", "pipelining", "sockets", "echo", "no_gso", "from",
        "judged", "xdp",
    ])]
    pub listen: Vec<ListenAt>,
    /// Centre: milliseconds from a message to its acknowledgement; a range draws one for each
    #[arg(long, value_name = "MS|FROM-TO", value_parser = AckPolicy::delay, default_value = "0")]
    pub ack_delay: (u64, u64),
    /// Centre: share of acknowledgements that are not sent: 0 to 1, or percent with %
    #[arg(long, value_name = "PART", value_parser = AckPolicy::part, default_value = "0")]
    pub ack_drop: f64,
    /// Centre: share of acknowledgements with another value in a field that must be equal, or with a wrong checksum
    #[arg(long, value_name = "PART", value_parser = AckPolicy::part, default_value = "0")]
    pub ack_wrong: f64,
    /// Centre: reset every connection that many seconds after the start, and report when devices were back; several, separated by commas
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', value_parser = reset_at)]
    pub reset_at: Vec<Duration>,
    /// Centre: most connections at one time
    #[arg(long, value_name = "N", default_value_t = DIALLED_MAX)]
    pub connections_max: usize,
    /// Centre: write a line of JSON for each message that is received and for each acknowledgement
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub message_ledger: Option<PathBuf>,
    /// Centre, with --tls-cert and --tls-key: a device must show a certificate of one of these CAs, as PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Send nothing: compare the message ledger of a mock (`run --message-ledger`) with that of a centre, message by message
    #[arg(long, value_names = ["MOCK", "CENTRE"], num_args = 2, value_hint = ValueHint::FilePath,
        conflicts_with_all = ["config", "centre", "listen", "from", "message_ledger", "html", "mock_stats"])]
    pub reconcile: Vec<PathBuf>,
}
