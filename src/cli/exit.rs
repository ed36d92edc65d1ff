//! How a command ends.

use fsu_net::unblocked;
use fsu_plan::config::diag::printable;
pub use fsu_plan::exit::Exit;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::FleetError;
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A message and its exit code.
    #[error("{text}")]
    Failed {
        /// The exit code.
        exit: Exit,
        /// One or more lines, for stderr; empty if everything has been printed already.
        text: String,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Ends with that code, and says why.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self::Failed { exit, text: text.into() }
    }

    /// Reports the reason on stderr and returns the exit code. A closed pipe (`| head`) is not a failure.
    pub fn report(&self, texts: Texts) -> Exit {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => {
                say(&self.to_string(), texts);
                Exit::Usage
            }
            Self::Failed { exit, text } => {
                say(text, texts);
                *exit
            }
        }
    }
}

impl From<FleetError> for CliError {
    fn from(error: FleetError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

/// What an error says.
pub(super) fn words(error: &impl std::fmt::Display) -> String {
    error.to_string()
}

/// Lines on stderr; a failure to write them is ignored.
fn say(text: &str, texts: Texts) {
    if !text.is_empty() {
        let text = texts.lines(text);
        let lines: Vec<String> = text.split('\n').map(printable).collect();
        unblocked::stderr(&format!("fsu-mock: {}\n", lines.join("\n")));
    }
}
