//! What `flood` can be held to.

use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Options that say when a run fails.
#[derive(Debug, Args)]
pub struct AimArgs {
    /// Fail if this is true of the report, e.g. 'p99>20ms', 'loss>0.1%', 'rate<5000/s'; may be repeated
    ///
    /// METRIC OPERATOR NUMBER UNIT. Metrics: p50 p90 p95 p99 p99.9 max, loss, rate, wrong, late, and what an unknown one lists; with
    /// --listen those of messages. Operators: > >= < <= ==. What was not measured fails. With --from these replace the report's own.
    #[arg(long, value_name = "EXPR", conflicts_with = "reconcile")]
    pub fail_if: Vec<String>,
    /// Search the highest rate at which every step passes: the capacity of this machine
    ///
    /// From --find-from the rate doubles until a step breaks, then the search narrows to --precision. The result has held three times
    /// in a row. A step breaks if the run would fail, a reply is late, or a threshold of --fail-if is true; if the generator cannot keep
    /// up, it is named as the limit. --json and --html write the certificate (`fsu-mock schema flood-capacity`).
    #[arg(long, conflicts_with_all = [
        "rate", "window", "pipelining", "requests", "seconds", "from", "centre", "listen", "reconcile", "mock_stats", "screen",
    ])]
    pub find_max: bool,
    /// --find-max: seconds of each step, after its warm-up (--warmup, at least 1 s); at least 1
    #[arg(long, value_name = "S", requires = "find_max", default_value_t = 5.0)]
    pub step_s: f64,
    /// --find-max: the first rate, requests per second
    #[arg(long, value_name = "R", requires = "find_max", default_value_t = 1000.0)]
    pub find_from: f64,
    /// --find-max: the highest rate to try [default: no bound]
    #[arg(long, value_name = "R", requires = "find_max")]
    pub find_to: Option<f64>,
    /// --find-max: how close the result must be to a rate that breaks, in percent: 0.1 to 50
    #[arg(long, value_name = "PERCENT", requires = "find_max", default_value_t = 2.0)]
    pub precision: f64,
    /// Read the mock's own lateness during the run from its --control, e.g. http://127.0.0.1:9900
    #[arg(long, value_name = "URL", conflicts_with_all = ["from", "centre", "listen", "reconcile", "mock_stats"])]
    pub mock: Option<String>,
    /// --mock: a file with the token that the mock's --control-token has
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "mock")]
    pub mock_token: Option<PathBuf>,
}
