//! The fleet that `run`, `explain` and `plan` work on.

use super::exit::{CliError, Exit};
use fsu_net::unblocked;
use fsu_plan::compile::compile;
use fsu_plan::config::diag::Diags;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{MAIN_FILE, Source};
use fsu_plan::model::fleet::{Fleet, Fsu};
pub(super) use fsu_plan::words::count;
use std::path::{Path, PathBuf};

/// Compiles the configuration at `path` (a file or a directory; `None`: the embedded one). Errors and warnings go to stderr.
pub fn load(path: Option<&Path>) -> Result<Fleet, CliError> {
    load_files(path).map(|(fleet, _)| fleet)
}

/// The same, with the files that were read.
pub(super) fn load_files(path: Option<&Path>) -> Result<(Fleet, Vec<PathBuf>), CliError> {
    let (fleet, diags, files) = read_files(path);
    tell(&diags);
    match fleet {
        Some(fleet) if !diags.has_errors() => Ok((fleet, files)),
        _ => Err(CliError::new(exit_of(&diags), format!("{}; nothing is served", summary(&diags)))),
    }
}

/// Errors and warnings to stderr.
pub(super) fn tell(diags: &Diags) {
    unblocked::stderr(&diags.lines().map(|line| line + "\n").collect::<String>());
}

/// Reads and compiles; says nothing.
pub(super) fn read(path: Option<&Path>) -> (Option<Fleet>, Diags) {
    let (fleet, diags, _) = read_files(path);
    (fleet, diags)
}

/// The same, with the files that were asked for.
pub(super) fn read_files(path: Option<&Path>) -> (Option<Fleet>, Diags, Vec<PathBuf>) {
    let source = if path.is_some() { Source::Directory } else { Source::Embedded };
    let mut loader = Loader::new(source);
    let main_file = loader.main_file(path.unwrap_or(Path::new(MAIN_FILE)));
    let fleet = compile(&mut loader, &main_file);
    let files = loader.files();
    (fleet, loader.diags, files)
}

/// The exit code that diagnostics call for, where there are errors.
pub(super) fn exit_of(diags: &Diags) -> Exit {
    if diags.has_unreadable() { Exit::Usage } else { Exit::Configuration }
}

/// `3 errors, 1 warning`
pub(super) fn summary(diags: &Diags) -> String {
    format!("{}, {}", count(diags.errors(), "error"), count(diags.warnings(), "warning"))
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
