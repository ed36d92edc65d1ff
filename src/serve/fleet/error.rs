//! Why a fleet cannot be served, and the exit code that goes with it.

use super::crew::CrewError;
use super::machine::Missing;
use super::sockets::BindError;
use super::xdp::Lack;
use crate::steer::journal::JournalError;
use fsu_plan::exit::Exit;
use std::fmt::{Display, Write as _};
use std::io;
use std::path::PathBuf;

/// What keeps a fleet from being served.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A lateness limit out of range.
    #[error("--late-limit-ms {0}: 0 to 60000")]
    LateLimit(f64),
    /// A directory of logs that cannot be written.
    #[error("{option}: no log can be written in {}: {error}", dir.display())]
    Logs {
        /// Where it comes from: an option or a key.
        option: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Everything that the machine lacks.
    #[error("this machine lacks what the run needs:{}", lines(.0))]
    Lacking(Vec<Missing>),
    /// The ring driver was asked for.
    #[error("--driver ring is not possible here: {missing} (--driver auto takes poll){}", lines(remedies))]
    NoRing {
        /// What it lacks.
        missing: String,
        /// What helps.
        remedies: Vec<Missing>,
    },
    /// The xdp driver was asked for.
    #[error("--driver xdp is not possible here:{}", lines(.0))]
    NoXdp(Vec<Lack>),
    /// One socket for many FSUs was asked for.
    #[error("--one-socket is not possible here:{}", lines(.0))]
    NoOneSocket(Vec<Lack>),
    /// The ring driver has a socket for each FSU.
    #[error("--one-socket goes with --driver poll or xdp")]
    OneSocketRing,
    /// The logger's thread cannot be made.
    #[error("the logger's thread: {0}")]
    Logger(#[source] io::Error),
    /// Sockets.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The files of the configuration cannot be watched.
    #[error("--watch: {0}")]
    Watch(#[from] notify::Error),
    /// A journal that cannot be played.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The seed of the journal is another one.
    #[error("--seed {seed}: the journal of --play has seed {journal}; leave --seed out")]
    SeedOfJournal {
        /// That of the command line.
        seed: u64,
        /// That of the journal.
        journal: u64,
    },
    /// The journal cannot be begun.
    #[error("--journal: cannot be written: {0}")]
    JournalFile(#[source] io::Error),
    /// Shards that do not start.
    #[error(transparent)]
    Start(#[from] CrewError),
}

impl FleetError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::LateLimit(_)
            | Self::Logs { .. }
            | Self::OneSocketRing
            | Self::Journal(_)
            | Self::SeedOfJournal { .. }
            | Self::JournalFile(_) => Exit::Usage,
            Self::Bind(_) => Exit::Bind,
            Self::Lacking(_)
            | Self::NoRing { .. }
            | Self::NoXdp(_)
            | Self::NoOneSocket(_)
            | Self::Logger(_)
            | Self::Watch(_)
            | Self::Start(_) => Exit::Machine,
        }
    }
}

/// Each on its own indented line.
pub(super) fn lines(all: &[impl Display]) -> String {
    all.iter().fold(String::new(), |mut out, one| {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n  {one}");
        out
    })
}
