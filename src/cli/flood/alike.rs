//! What tells runs of the same load from others, in their reports.

use super::read;
use crate::args::FloodArgs;
use crate::exit::CliError;
use fsu_flood::values::VALUES_BYTES_MAX;
use fsu_plan::model::share::Digest;
use std::path::Path;

/// What is sent, as it was asked for: `--mix` and a hash of `--values`.
pub(super) fn mix(args: &FloodArgs) -> Result<Option<String>, CliError> {
    let values = args.values.as_deref().filter(|path| *path != Path::new("-"));
    let values = values.map(|path| read(path, VALUES_BYTES_MAX)).transpose()?;
    let values = values.map(|text| format!("values {}", Digest::of(text.as_bytes())));
    let all: Vec<String> = args.mix.clone().into_iter().chain(values).collect();
    Ok((!all.is_empty()).then(|| all.join(", ")))
}
