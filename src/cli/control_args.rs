//! Arguments of a control server, of whatever command has one.

use clap::{Args, ValueHint};
use fsu_control::server::{Options, Where};
use std::path::PathBuf;

/// Arguments of the control server of `flood`, which changes nothing.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Serve a live page and metrics of the load there while it runs: ADDR:PORT, e.g. 127.0.0.1:9901 [default: off]
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["from", "reconcile"])]
    pub control: Option<Where>,
    /// A file with the token that requests to the control server must have; needed if others reach its address
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "control")]
    pub control_token: Option<PathBuf>,
}

/// Arguments of the control server of `run`.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// Where the control server listens: ADDR:PORT, or off [default: 127.0.0.1:9900, or a free port if that is taken; it is printed]
    ///
    /// It serves a page for the browser, metrics for Prometheus, and everything that `fsu-mock ctl` and `fsu-mock top` do.
    #[arg(long, value_name = "ADDR")]
    pub control: Option<Where>,
    /// A file with the token that requests to the control server must have; needed if others reach its address
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub control_token: Option<PathBuf>,
    /// The control server takes no changes
    #[arg(long)]
    pub control_read_only: bool,
    /// Metrics of each FSU whose name matches, too; * and ? are wildcards; at most 1000 FSUs
    #[arg(long, value_name = "GLOB")]
    pub metrics_per_fsu: Option<String>,
}

impl ControlArgs {
    /// As the server takes them.
    pub fn options(&self) -> Options {
        Options { at: self.control, token: self.control_token.clone(), read_only: self.control_read_only }
    }
}
