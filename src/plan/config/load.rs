//! Files to raw values, each read once.

use super::at::{At, Pos};
use super::de;
use super::diag::Diags;
use super::node::Tree;
use super::source::{MAIN_FILE, ReadError, Source};
use crate::model::share::Digest;
use crate::model::tls::Make;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Most files of one configuration. Every FSU may have a rule file of its own.
pub const FILES_MAX: usize = 100_000;

/// Reads files and remembers them, with all that is wrong in them.
#[derive(Debug)]
pub struct Loader {
    /// Where the files come from.
    pub source: Source,
    /// What was found so far.
    pub diags: Diags,
    read: HashMap<PathBuf, Outcome>,
    /// Bytes charged for files that are kept: their texts and trees.
    kept_bytes: u64,
    /// Makes what serves the files of `tls`; without it `tls` is an error.
    pub make_tls: Option<Make>,
    /// Of each file that was read.
    sums: Vec<(PathBuf, Digest)>,
}

/// Makes a file's tree and returns its number; `None`: it cannot, which was reported.
type Parse = fn(&mut Diags, &str, String) -> Option<u32>;

/// The result of reading a file.
#[derive(Clone, Debug)]
enum Outcome {
    /// Index of its tree in [`Diags::files`].
    Parsed(u32),
    /// No JSON; that was reported.
    Broken,
    /// Taken as it is.
    Bytes(Arc<[u8]>),
    /// Why it cannot be read; reported at each place that names it.
    Unreadable(Arc<ReadError>),
}

impl Loader {
    /// A loader that has read nothing.
    pub fn new(source: Source) -> Self {
        let (diags, read, sums) = (Diags::default(), HashMap::new(), Vec::new());
        Self { source, diags, read, kept_bytes: 0, make_tls: None, sums }
    }

    /// The main file of a configuration: `path` itself, or sys_config.json in it if it is a directory.
    pub fn main_file(&self, path: &Path) -> PathBuf {
        if self.source.is_dir(path) { self.source.clean(&path.join(MAIN_FILE)) } else { path.to_path_buf() }
    }

    /// `relative` as seen from the file that names it; absolute paths stay. One file has one path.
    pub fn join(&self, base_file: &Path, relative: &str) -> PathBuf {
        self.source.join(base_file, relative)
    }

    /// The files that were asked for so far, there or not, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.read.keys().cloned().collect();
        files.sort_unstable();
        files
    }

    /// Is there anything of that name? One that is not there counts as asked for, so that a watched run sees it come.
    pub fn is_there(&mut self, path: &Path) -> bool {
        let there = self.source.is_there(path);
        if !there && self.read.len() < FILES_MAX {
            let outcome = || Outcome::Unreadable(ReadError::NotThere.into());
            self.read.entry(self.source.clean(path)).or_insert_with(outcome);
        }
        there
    }

    /// Was it read as a part of the configuration?
    pub fn was_read(&self, path: &Path) -> bool {
        matches!(self.read.get(&self.source.clean(path)), Some(Outcome::Parsed(_) | Outcome::Broken))
    }

    /// Is there such a file?
    pub fn exists(&self, path: &Path) -> bool {
        self.source.is_file(path)
    }

    /// What distinguishes the files that were read from others: their names, as seen from the directory of the main file, and their
    /// texts. The same in any directory, on any machine.
    pub fn digest(&self, main_file: &Path) -> Digest {
        let base = self.source.clean(main_file);
        let base = base.parent().unwrap_or(Path::new(""));
        let mut sums: Vec<_> = self.sums.iter().map(|(path, sum)| (seen_from(base, path), sum)).collect();
        sums.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut all = Vec::new();
        for (name, sum) in sums {
            let name = name.as_os_str().as_encoded_bytes();
            all.extend((name.len() as u64).to_be_bytes());
            all.extend(name);
            all.extend(sum.0.to_be_bytes());
        }
        Digest::of(&all)
    }

    /// Bytes charged for files that are kept until all is read.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// A file's tree; the file is read if it was not yet. `None`: it has none, which is reported by [`Self::load`].
    pub fn tree(&mut self, path: &Path) -> Option<&Tree> {
        match self.outcome(path) {
            Outcome::Parsed(file) => self.diags.files.get(file as usize),
            Outcome::Broken | Outcome::Bytes(_) | Outcome::Unreadable(_) => None,
        }
    }

    /// A file as it is, which is no text of the configuration. `None`: it cannot be read, which was reported at `named_at`.
    pub fn bytes(&mut self, path: &Path, named_at: Pos) -> Option<Arc<[u8]>> {
        let key = self.source.clean(path);
        let outcome = match self.read.get(&key) {
            Some(outcome @ (Outcome::Bytes(_) | Outcome::Unreadable(_))) => outcome.clone(),
            // Something else names it as a text.
            Some(_) => self.read_bytes(&key),
            None => {
                let outcome = self.read_bytes(&key);
                if self.read.len() < FILES_MAX {
                    self.read.insert(key.clone(), outcome.clone());
                }
                outcome
            }
        };
        match outcome {
            Outcome::Bytes(bytes) => Some(bytes),
            Outcome::Unreadable(reason) => {
                let shown = self.source.show(&key);
                self.diags.error(named_at, format!("{shown} cannot be read: {reason}"));
                None
            }
            Outcome::Parsed(_) | Outcome::Broken => None,
        }
    }

    fn read_bytes(&self, path: &Path) -> Outcome {
        if self.read.len() >= FILES_MAX {
            return Outcome::Unreadable(ReadError::TooManyFiles(FILES_MAX).into());
        }
        match self.source.read(path) {
            Ok(bytes) => Outcome::Bytes(bytes.into()),
            Err(reason) => Outcome::Unreadable(reason.into()),
        }
    }

    /// Reads a file as a `T`. All that is wrong in it is put into [`Self::diags`]; what is wrong
    /// below the top is left out of the value. `None`: nothing of it is of use, which was reported, at
    /// `named_at` (the place that names the file) if it cannot be read.
    pub fn load<T: DeserializeOwned>(&mut self, path: &Path, named_at: Option<Pos>) -> Option<At<T>> {
        match self.outcome(path) {
            Outcome::Parsed(file) => lay(&mut self.diags, file),
            Outcome::Broken | Outcome::Bytes(_) => None,
            Outcome::Unreadable(reason) => {
                let shown = self.source.show(&self.source.clean(path));
                match named_at {
                    Some(pos) => self.diags.error(pos, format!("{shown} cannot be read: {reason}")),
                    None => self.diags.error_at_file(&shown, None, format!("cannot be read: {reason}")),
                }
                None
            }
        }
    }

    /// The number of a file's tree, which `parse` makes; errors as in [`Self::load`].
    pub(super) fn file_by(&mut self, path: &Path, named_at: Pos, parse: Parse) -> Option<u32> {
        match self.outcome_by(path, parse) {
            Outcome::Parsed(file) => Some(file),
            Outcome::Broken | Outcome::Bytes(_) => None,
            Outcome::Unreadable(reason) => {
                let shown = self.source.show(&self.source.clean(path));
                self.diags.error(named_at, format!("{shown} cannot be read: {reason}"));
                None
            }
        }
    }

    fn outcome(&mut self, path: &Path) -> Outcome {
        self.outcome_by(path, tree)
    }

    fn outcome_by(&mut self, path: &Path, parse: Parse) -> Outcome {
        let key = self.source.clean(path);
        if let Some(outcome) = self.read.get(&key).filter(|outcome| !matches!(outcome, Outcome::Bytes(_))) {
            return outcome.clone();
        }
        let before = self.diags.budget.used();
        let outcome = self.parse(&key, parse);
        self.kept_bytes += self.diags.budget.used().saturating_sub(before);
        if self.read.len() < FILES_MAX {
            self.read.insert(key, outcome.clone());
        }
        outcome
    }

    fn parse(&mut self, path: &Path, parse: Parse) -> Outcome {
        if self.read.len() >= FILES_MAX {
            return Outcome::Unreadable(ReadError::TooManyFiles(FILES_MAX).into());
        }
        let bytes = match self.source.read(path) {
            Ok(bytes) => bytes,
            Err(reason) => return Outcome::Unreadable(reason.into()),
        };
        self.sums.push((path.to_path_buf(), Digest::of(&bytes)));
        let shown = self.source.show(path);
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
                self.diags.error_at_file(&shown, Some((line, column)), "the text is not UTF-8");
                return Outcome::Broken;
            }
        };
        parse(&mut self.diags, &shown, text).map_or(Outcome::Broken, Outcome::Parsed)
    }
}

/// `path` as seen from a directory; with `..` where it is beside it.
fn seen_from(base: &Path, path: &Path) -> PathBuf {
    let same = base.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().skip(same).map(|_| Component::ParentDir);
    up.chain(path.components().skip(same)).collect()
}

/// A text that was read already as a `T`; `shown` stands for its file. All that is wrong in it is told, as by
/// [`Loader::load`].
pub fn load_text<T: DeserializeOwned>(diags: &mut Diags, shown: &str, text: String) -> Option<At<T>> {
    tree(diags, shown, text).and_then(|file| lay(diags, file))
}

/// The number of the file's tree; `None`: it is no JSON, which was reported.
fn tree(diags: &mut Diags, shown: &str, text: String) -> Option<u32> {
    match Tree::parse(shown, text, &diags.budget) {
        Ok((tree, duplicates)) => {
            let file = diags.files.len() as u32;
            diags.files.push(tree);
            for (node, text) in duplicates {
                diags.error(Pos { file, node }, text);
            }
            Some(file)
        }
        Err(error) => {
            diags.error_at_file(shown, Some((error.line, error.column)), error.text);
            None
        }
    }
}

fn lay<T: DeserializeOwned>(diags: &mut Diags, file: u32) -> Option<At<T>> {
    let (value, found) = de::from_tree(diags.files.get(file as usize)?, file, &diags.budget);
    for diag in found {
        diags.add(diag);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_files_max() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, "[]").unwrap();
            path
        };
        let mut loader = Loader::new(Source::Directory);
        let others = (1..FILES_MAX).map(|n| (PathBuf::from(n.to_string()), Outcome::Broken));
        loader.read.extend(others);
        let last = loader.load::<crate::config::raw::RawVendors>(&file("last"), None);
        assert!(last.is_some() && loader.files().len() == FILES_MAX);
        let past = loader.load::<crate::config::raw::RawVendors>(&file("past"), None);
        assert!(past.is_none() && loader.files().len() == FILES_MAX);
        let told = loader.diags.lines().collect::<String>();
        assert!(told.ends_with("past: error: cannot be read: the configuration has more than 100000 files"), "{told}");
    }
}
