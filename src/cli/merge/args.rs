//! What `merge` can be told.

use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Merge the parts that are there; the result tells the share that is missing
    #[arg(long)]
    pub allow_missing: bool,
    /// The directory of the result; made if it is not there
    #[arg(value_name = "OUT", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// What each part left: files of the same name in each directory (*.json, *.jsonl) become one
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, required = true)]
    pub dirs: Vec<PathBuf>,
}
