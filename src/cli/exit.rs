//! How a command ends.

use fsu_net::unblocked;
use fsu_plan::config::diag::printable;
pub use fsu_plan::exit::Exit;
use fsu_plan::texts::Texts;
use fsu_serve::fleet::FleetError;
use std::io;

/// Why a command cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What is told, and the exit code that goes with it.
    #[error("{text}")]
    Failed {
        /// The exit code.
        exit: Exit,
        /// One or more lines, for stderr; empty: all is said already.
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

    /// Says why on stderr, and gives the exit code. A reader that has gone (`| head`) is no failure.
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

/// Lines on stderr; nobody can be told if that fails.
fn say(text: &str, texts: Texts) {
    if !text.is_empty() {
        let text = texts.lines(text);
        let lines: Vec<String> = text.split('\n').map(printable).collect();
        unblocked::stderr(&format!("fsu-mock: {}\n", lines.join("\n")));
    }
}
