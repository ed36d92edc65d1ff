//! What `explain` can be told.

use super::which::Which;
use clap::{Args, ValueEnum};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Which configuration.
    #[command(flatten)]
    pub which: Which,
    /// The FSU that receives the frame
    #[arg(long, value_name = "NAME")]
    pub fsu: String,
    /// The reply's clock, e.g. '2026-01-12 11:17:30' [default: now]
    #[arg(long, value_name = "LOCALTIME")]
    pub now: Option<jiff::civil::DateTime>,
    /// Seed of delays and random values, as for `run`
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// What the frame is, if its own bytes do not say: request or reply, outer or inner
    #[arg(long = "as", value_name = "WHAT", value_delimiter = ',')]
    pub take_as: Vec<TakeAs>,
    /// The device of an inner frame or a reply, by type and address as four hex digits, e.g. 0102 [default: the first it fits]
    #[arg(long, value_name = "TTAA")]
    pub device: Option<String>,
    /// The command that a reply answers [default: by its key, else its size and constants]
    #[arg(long, value_name = "KEY")]
    pub cmd: Option<String>,
    /// The frame: hex digits; 0x, spaces, commas and colons allowed, any number of arguments; or a record of the device log;
    /// `-`, or none: from stdin
    #[arg(value_name = "HEX")]
    pub hex: Vec<String>,
}

/// What a frame is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TakeAs {
    /// From a centre to the FSU
    Request,
    /// From the FSU to a centre: a reply, an answer, a heartbeat
    Reply,
    /// An outer frame (udp)
    Outer,
    /// An inner frame
    Inner,
}
