//! Everything that is wrong with a configuration, collected.

use super::at::Pos;
use super::node::Tree;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is served.
    Error,
    /// Served all the same; an error under `--strict`.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diag {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub pos: Pos,
    /// What is wrong, and in brackets what would be right.
    pub text: String,
}

/// All files read so far, and what was found in them.
#[derive(Debug, Default)]
pub struct Diags {
    /// The files, by [`Pos::file`].
    pub files: Vec<Tree>,
    list: Vec<Diag>,
}

impl Diags {
    /// Says that something is wrong.
    pub fn error(&mut self, pos: Pos, text: impl Into<String>) {
        self.list.push(Diag { severity: Severity::Error, pos, text: text.into() });
    }

    /// Says that something is odd.
    pub fn warn(&mut self, pos: Pos, text: impl Into<String>) {
        self.list.push(Diag { severity: Severity::Warning, pos, text: text.into() });
    }
}
