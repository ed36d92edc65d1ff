//! A configuration, read and compiled.

use fsu_plan::compile::compile;
use fsu_plan::config::diag::Diags;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{GALLERY_DIR, MAIN_FILE, Source};
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

/// Where a configuration is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The one in the binary.
    #[default]
    Embedded,
    /// The gallery of public protocols in the binary.
    Gallery,
    /// A `sys_config.json` or its directory.
    Path(PathBuf),
}

impl Origin {
    /// The path of one that is not in the binary.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Embedded | Self::Gallery => None,
            Self::Path(path) => Some(path),
        }
    }
}

/// Reads and compiles a configuration.
pub fn read(origin: &Origin) -> Configuration {
    let (source, path) = match origin {
        Origin::Embedded => (Source::Embedded, Path::new(MAIN_FILE)),
        Origin::Gallery => (Source::Embedded, Path::new(GALLERY_DIR)),
        Origin::Path(path) => (Source::Directory, path.as_path()),
    };
    let mut loader = Loader::new(source);
    loader.make_tls = Some(fsu_tls::make);
    let main_file = loader.main_file(path);
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
