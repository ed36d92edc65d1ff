//! A configuration, read and compiled.

use fsu_plan::compile::compile;
use fsu_plan::config::diag::Diags;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{MAIN_FILE, Source};
use fsu_plan::exit::Exit;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::words::count;
use std::path::{Path, PathBuf};

/// What was read.
#[derive(Debug)]
pub struct Configuration {
    /// The plan. It may exist despite errors; then it must not be served.
    pub fleet: Option<Fleet>,
    /// Every error and warning.
    pub diags: Diags,
    /// The files that were requested, whether or not they exist.
    pub files: Vec<PathBuf>,
}

/// Reads and compiles the configuration at `path`: a file or a directory; `None`: the embedded one.
pub fn read(path: Option<&Path>) -> Configuration {
    let source = if path.is_some() { Source::Directory } else { Source::Embedded };
    let mut loader = Loader::new(source);
    let main_file = loader.main_file(path.unwrap_or(Path::new(MAIN_FILE)));
    let fleet = compile(&mut loader, &main_file);
    let files = loader.files();
    Configuration { fleet, diags: loader.diags, files }
}

/// The exit code for diagnostics with errors.
pub fn exit_of(diags: &Diags) -> Exit {
    if diags.has_unreadable() { Exit::Usage } else { Exit::Configuration }
}

/// `3 errors, 1 warning`
pub fn summary(diags: &Diags) -> String {
    format!("{}, {}", count(diags.errors(), "error"), count(diags.warnings(), "warning"))
}
