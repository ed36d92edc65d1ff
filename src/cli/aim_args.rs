//! What `flood` can be held to.

use clap::Args;

/// Options that say when a run fails.
#[derive(Debug, Args)]
pub struct AimArgs {
    /// Fail if this is true of the report, e.g. 'p99>20ms', 'loss>0.1%', 'rate<5000/s'; may be repeated
    ///
    /// METRIC OPERATOR NUMBER UNIT. Metrics: p50 p90 p95 p99 p99.9 max, loss, rate, wrong, late, and what an unknown one lists; with
    /// --listen those of messages. Operators: > >= < <= ==. What was not measured fails. With --from these replace the report's own.
    #[arg(long, value_name = "EXPR", conflicts_with = "reconcile")]
    pub fail_if: Vec<String>,
}
