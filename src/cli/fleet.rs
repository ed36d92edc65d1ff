//! The fleet that `run`, `explain` and `plan` work on.

use super::exit::{CliError, Exit};
use fsu_net::unblocked;
use fsu_plan::config::diag::Diags;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::share::Partition;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::read::{Configuration, Origin, exit_of, read, summary};
use std::path::PathBuf;

/// Compiles a configuration. Errors and warnings go to stderr.
pub fn load(origin: &Origin, say: Texts) -> Result<Fleet, CliError> {
    load_files(origin, say).map(|(fleet, _)| fleet)
}

/// The same, of one part.
pub fn load_part(origin: &Origin, partition: Option<Partition>, say: Texts) -> Result<Fleet, CliError> {
    let mut fleet = load(origin, say)?;
    if let Some(partition) = partition {
        fleet.keep(partition);
    }
    Ok(fleet)
}

/// The same as [`load`], with the files that were read.
pub(super) fn load_files(origin: &Origin, say: Texts) -> Result<(Fleet, Vec<PathBuf>), CliError> {
    let Configuration { fleet, diags, files } = read(origin);
    tell(&diags, say);
    match fleet {
        Some(fleet) if !diags.has_errors() => Ok((fleet, files)),
        _ => Err(CliError::new(exit_of(&diags), format!("{}; nothing is served", summary(&diags)))),
    }
}

/// Errors and warnings to stderr.
pub(super) fn tell(diags: &Diags, say: Texts) {
    let mut lines = String::new();
    for line in diags.lines() {
        lines.extend([&*say.diag(&line), "\n"]);
    }
    unblocked::stderr(&lines);
}

/// The FSU of that name; else an error with the nearest one.
pub(super) fn find<'a>(fleet: &'a Fleet, name: &str) -> Result<&'a Fsu, CliError> {
    if let Some(fsu) = fleet.fsus.iter().find(|fsu| *fsu.name == *name) {
        return Ok(fsu);
    }
    let distance = |fsu: &&Fsu| strsim::osa_distance(&fsu.name, name);
    let near = match fleet.fsus.iter().min_by_key(distance) {
        Some(nearest) => format!(" (nearest of {}: `{}`)", fleet.fsus.len(), nearest.name),
        None => String::new(),
    };
    Err(CliError::new(Exit::Usage, format!("--fsu: no FSU `{name:.80}`{near}")))
}
