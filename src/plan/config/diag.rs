//! Errors and warnings of a configuration, collected.

use super::at::Pos;
use super::budget::Budget;
use super::node::{Content, Tree};
use std::collections::HashSet;
use std::fmt::Display;

pub use super::budget::DIAGS_MAX;

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing is served.
    Error,
    /// Served nevertheless; an error under `--strict`.
    Warning,
    /// A key that does nothing where it is. An error under `--strict`; else only `check -v` shows it.
    Idle,
    /// A decision, for `check -v`.
    Info,
}

/// The place of a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At a value or key.
    Node(Pos),
    /// In a file that has no tree: it cannot be read, or is no JSON.
    File {
        /// What is shown for it.
        path: Box<str>,
        /// Line and column, from 1.
        line_column: Option<(usize, usize)>,
    },
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diag {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong; what would be right is in brackets.
    pub text: String,
}

/// A moment in the collection of diagnostics.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    listed: usize,
    errors: usize,
    warnings: usize,
}

/// All files read so far, and what was found in them.
#[derive(Debug, Default)]
pub struct Diags {
    /// The files, by [`Pos::file`].
    pub files: Vec<Tree>,
    /// The memory that all of it may take.
    pub budget: Budget,
    /// It is past the budget, which was reported.
    over: bool,
    list: Vec<Diag>,
    /// Shown by `check -v` and `--strict` only; at most [`DIAGS_MAX`].
    asides: Vec<Diag>,
    seen: HashSet<Diag>,
    errors: usize,
    warnings: usize,
    unreadable: bool,
}

impl Diags {
    /// Adds an error.
    pub fn error(&mut self, pos: Pos, text: impl Display) {
        self.add(Diag { severity: Severity::Error, place: Place::Node(pos), text: text.to_string() });
    }

    /// Adds a warning.
    pub fn warn(&mut self, pos: Pos, text: impl Display) {
        self.add(Diag { severity: Severity::Warning, place: Place::Node(pos), text: text.to_string() });
    }

    /// Reports that a key does nothing here, and why; an error under `--strict`.
    pub fn idle(&mut self, pos: Pos, text: impl Display) {
        self.add(Diag { severity: Severity::Idle, place: Place::Node(pos), text: text.to_string() });
    }

    /// Adds a remark for `check -v`.
    pub fn info(&mut self, pos: Pos, text: impl Display) {
        self.add(Diag { severity: Severity::Info, place: Place::Node(pos), text: text.to_string() });
    }

    /// Takes bytes from the budget for something about to be made. `false`: it must not be made, which is reported once.
    pub fn charge(&mut self, pos: Pos, bytes: usize, what: &str) -> bool {
        if self.over {
            return false;
        }
        let Err(over) = self.budget.charge(bytes) else { return true };
        self.over = true;
        self.error(pos, over.text(what, bytes));
        false
    }

    /// Whether the system has that much memory, for what has a bound of its own outside the budget. `false`: that was reported.
    pub fn has_memory(&mut self, pos: Pos, bytes: usize, what: &str) -> bool {
        let Err(over) = self.budget.probe(bytes) else { return true };
        self.over = true;
        self.error(pos, over.text(what, bytes));
        false
    }

    /// Is it past the budget? Then nothing is served, and nothing more needs to be looked at.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Reports that an object lacks a key, and what it would hold. A key with a wrong value was
    /// reported already, and is ignored.
    pub fn missing(&mut self, object: Pos, key: &str, what: &str) {
        if self.written(object, key).is_none() {
            self.error(object, format!("\"{key}\" is missing ({what})"));
        }
    }

    /// The place of that key's value in the file, right or wrong.
    pub fn written(&self, object: Pos, key: &str) -> Option<Pos> {
        let tree = self.files.get(object.file as usize)?;
        let node = tree.child(object.node, key)?;
        (*tree.content(node) != Content::Null).then_some(Pos { node, ..object })
    }

    /// Whether the file has an empty list there. A list whose elements are all wrong is not empty.
    pub fn is_empty_list(&self, pos: Pos) -> bool {
        let tree = self.files.get(pos.file as usize);
        tree.is_some_and(|tree| matches!(tree.content(pos.node), Content::Arr(list) if list.is_empty()))
    }

    /// Whether the file's list at that key has that many elements. With fewer here the rest is wrong, which was reported.
    pub fn is_whole_list(&self, object: Pos, key: &str, elements: usize) -> bool {
        let Some(pos) = self.written(object, key) else { return elements == 0 };
        let tree = self.files.get(pos.file as usize);
        tree.is_some_and(|tree| matches!(tree.content(pos.node), Content::Arr(list) if list.len() == elements))
    }

    /// The keys and numbers on the way from the root to a diagnostic, as in a JSON pointer; empty without a tree.
    pub fn steps(&self, diag: &Diag) -> Vec<String> {
        let Place::Node(pos) = diag.place else { return Vec::new() };
        let pointer = self.files.get(pos.file as usize).map(|tree| tree.pointer(pos.node)).unwrap_or_default();
        pointer.split('/').skip(1).map(str::to_owned).collect()
    }

    /// Reports that a file has no tree, and why; without a place in it, nothing of it could be read.
    pub fn error_at_file(&mut self, path: &str, line_column: Option<(usize, usize)>, text: impl Display) {
        self.unreadable |= line_column.is_none();
        let place = Place::File { path: path.into(), line_column };
        self.add(Diag { severity: Severity::Error, place, text: text.to_string() });
    }

    /// Adds a diagnostic; duplicates are dropped.
    pub fn add(&mut self, diag: Diag) {
        if matches!(diag.severity, Severity::Idle | Severity::Info) {
            if self.asides.len() < DIAGS_MAX && self.seen.insert(diag.clone()) {
                self.asides.push(diag);
            }
            return;
        }
        let full = self.list.len() >= DIAGS_MAX;
        if if full { self.seen.contains(&diag) } else { !self.seen.insert(diag.clone()) } {
            return;
        }
        match diag.severity {
            Severity::Error => self.errors += 1,
            _ => self.warnings += 1,
        }
        if !full {
            self.list.push(diag);
        }
    }

    /// Turns warnings and keys without effect into errors (`check --strict`).
    pub fn make_strict(&mut self) {
        let (idle, rest) =
            std::mem::take(&mut self.asides).into_iter().partition(|diag| diag.severity == Severity::Idle);
        self.asides = rest;
        for diag in Vec::into_iter(idle) {
            self.add(Diag { severity: Severity::Warning, ..diag });
        }
        for diag in &mut self.list {
            diag.severity = Severity::Error;
        }
        self.errors += std::mem::take(&mut self.warnings);
    }

    /// How much was found so far; for [`Self::take_since`].
    pub fn mark(&self) -> Mark {
        Mark { listed: self.list.len(), errors: self.errors, warnings: self.warnings }
    }

    /// Takes back the errors and warnings since a mark. Those past [`DIAGS_MAX`] are no longer counted.
    pub fn take_since(&mut self, mark: Mark) -> Vec<Diag> {
        let taken = self.list.split_off(mark.listed.min(self.list.len()));
        (self.errors, self.warnings) = (mark.errors, mark.warnings);
        for diag in &taken {
            self.seen.remove(diag);
        }
        taken
    }

    /// Whether there is an error: then nothing is served.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// A file that nothing names (the main one) cannot be read.
    pub fn has_unreadable(&self) -> bool {
        self.unreadable
    }

    /// How many errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// What was found, in the order in which it was.
    pub fn list(&self) -> &[Diag] {
        &self.list
    }

    /// `file:line:column: /pointer`
    pub fn place(&self, pos: Pos) -> String {
        let Some(tree) = self.files.get(pos.file as usize) else { return "?".into() };
        let (line, column) = tree.line_column(pos.node);
        printable(&format!("{}:{line}:{column}: {}", tree.path(), tree.pointer(pos.node)))
    }

    /// `file:line:column: /pointer: error: text` for everything found, by file, line and column.
    pub fn lines(&self) -> impl Iterator<Item = String> + use<> {
        self.sorted(self.list.iter())
    }

    /// The same, with the remarks for `check -v`.
    pub fn all_lines(&self) -> impl Iterator<Item = String> + use<> {
        self.sorted(self.list.iter().chain(&self.asides))
    }

    fn sorted<'a>(&'a self, diags: impl Iterator<Item = &'a Diag>) -> std::vec::IntoIter<String> {
        let mut sorted: Vec<_> = diags.map(|diag| (self.sort_key(diag), self.line(diag))).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let more = self.errors + self.warnings - self.list.len();
        let more = (more > 0).then(|| format!("... and {more} more"));
        let lines: Vec<_> = sorted.into_iter().map(|(_, line)| line).chain(more).collect();
        lines.into_iter()
    }

    fn sort_key(&self, diag: &Diag) -> (String, (usize, usize)) {
        match &diag.place {
            Place::Node(pos) => match self.files.get(pos.file as usize) {
                Some(tree) => (tree.path().into(), tree.line_column(pos.node)),
                None => (String::new(), (0, 0)),
            },
            Place::File { path, line_column } => (path.to_string(), line_column.unwrap_or((0, 0))),
        }
    }

    fn line(&self, diag: &Diag) -> String {
        let place = match &diag.place {
            Place::Node(pos) => self.place(*pos),
            Place::File { path, line_column: Some((line, column)) } => format!("{path}:{line}:{column}: /"),
            Place::File { path, line_column: None } => path.to_string(),
        };
        let severity = match diag.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Idle | Severity::Info => "info",
        };
        printable(&format!("{place}: {severity}: {}", diag.text))
    }
}

/// Escapes control characters: text from a file must not move the cursor, and stays on one line.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
