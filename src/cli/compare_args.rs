//! What `compare` can be told.

use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The first report: what flood --json or run --stats wrote
    #[arg(value_name = "BEFORE", value_hint = ValueHint::FilePath)]
    pub before: PathBuf,
    /// The second one, of the same kind
    #[arg(value_name = "AFTER", value_hint = ValueHint::FilePath)]
    pub after: PathBuf,
    /// Exit with code 1 if anything is worse beyond noise, and by more than this, e.g. 5%
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub fail_if_worse: Option<f64>,
    /// Compare although the two are not of the same thing: another configuration, mix, pace or fleet
    #[arg(long)]
    pub force: bool,
    /// Print JSON, for programs (`fsu-mock schema compare`)
    #[arg(long)]
    pub json: bool,
}

/// `5%`, `5`: as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    let number = number.filter(|number| (0.0..=1e6).contains(number));
    number.map(|number| number / 100.0).ok_or_else(|| "a percentage from 0, e.g. 5%".to_owned())
}
