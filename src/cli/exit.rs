//! How a command ends.

use fsu_net::unblocked;
use fsu_plan::config::diag::printable;
use std::io;
use std::process::ExitCode;

/// Exit codes; part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// The configuration has errors.
    Configuration = 1,
    /// Wrong arguments, or a file that cannot be read or written.
    Usage = 2,
    /// A socket cannot be bound.
    Bind = 3,
    /// The machine lacks something: io_uring, locked memory, open files, memory.
    Machine = 4,
    /// An FSU that was asked did not answer, or refused.
    NoAnswer = 5,
    /// A shard ended by itself: a defect of this program (the code that a panic gives).
    Defect = 101,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

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
    pub fn report(&self) -> Exit {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => {
                say(&self.to_string());
                Exit::Usage
            }
            Self::Failed { exit, text } => {
                say(text);
                *exit
            }
        }
    }
}

/// Lines on stderr; nobody can be told if that fails.
fn say(text: &str) {
    if !text.is_empty() {
        let lines: Vec<String> = text.split('\n').map(printable).collect();
        unblocked::stderr(&format!("fsu-mock: {}\n", lines.join("\n")));
    }
}
