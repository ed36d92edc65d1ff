//! Which configuration a command works on.

use clap::{Args, ValueHint};
use fsu_serve::fleet::read::Origin;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// Which configuration a command works on.
#[derive(Debug, Args)]
pub struct Which {
    /// sys_config.json, or the directory that holds it [default: the embedded configuration]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub config: Option<PathBuf>,
    /// The embedded gallery of public protocols instead
    #[arg(long, conflicts_with = "config")]
    pub gallery: bool,
}

impl Which {
    /// Where it is read from.
    pub fn origin(&self) -> Origin {
        match &self.config {
            Some(path) => Origin::Path(path.clone()),
            None if self.gallery => Origin::Gallery,
            None => Origin::Embedded,
        }
    }

    /// Whether an argument says which.
    pub fn is_given(&self) -> bool {
        self.gallery || self.config.is_some()
    }
}

/// Its path, `embedded` or `gallery`.
impl Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin() {
            Origin::Embedded => f.write_str("embedded"),
            Origin::Gallery => f.write_str("gallery"),
            Origin::Path(path) => path.display().fmt(f),
        }
    }
}
