//! Finding what parts left, and reading it.

use super::MergeError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `run --stats`.
    Stats,
    /// `flood --json`.
    Report,
    /// JSON lines by time: ledgers, journals.
    Lines,
}

/// Files of one name.
#[derive(Debug)]
pub(super) struct Left {
    /// Their name.
    pub(super) name: String,
    /// What they are.
    pub(super) kind: Kind,
    /// In the order of the directories.
    pub(super) paths: Vec<PathBuf>,
}

/// Bytes at a file's start by which its kind is known.
const HEAD_BYTES: usize = 4_096;

/// The files of these directories that can be merged, by name. Others are left alone.
pub(super) fn find(dirs: &[PathBuf], out: &Path) -> Result<Vec<Left>, MergeError> {
    let mut found = BTreeMap::<String, Left>::new();
    for (number, dir) in dirs.iter().enumerate() {
        if let Some(first) = dirs[..number].iter().find(|first| is_same(first, dir)) {
            let what = format!("the same directory as {}: its files would count twice", first.display());
            return Err(MergeError::Content { path: dir.clone(), what });
        }
        let failed = |error: std::io::Error| MergeError::File { path: dir.clone(), error: error.to_string() };
        if is_same(dir, out) {
            return Err(MergeError::Content { path: dir.clone(), what: "the result goes here".to_owned() });
        }
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(kind) = kind(&path)? else { continue };
            let left =
                found.entry(name.to_owned()).or_insert_with(|| Left { name: name.to_owned(), kind, paths: vec![] });
            if left.kind != kind {
                let what = format!("not of the same kind as {}", left.paths[0].display());
                return Err(MergeError::Content { path, what });
            }
            left.paths.push(path);
        }
    }
    Ok(found.into_values().collect())
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// What a file is, by its name's end and its first bytes; `None`: nothing that a part leaves.
fn kind(path: &Path) -> Result<Option<Kind>, MergeError> {
    let is_named = |end: &str| path.extension().is_some_and(|extension| extension == end);
    if is_named("jsonl") {
        return Ok(Some(Kind::Lines));
    }
    if !is_named("json") || !path.is_file() {
        return Ok(None);
    }
    let failed = |error: std::io::Error| MergeError::File { path: path.to_owned(), error: error.to_string() };
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head)).map_err(failed)?;
    let head = String::from_utf8_lossy(&head);
    let is_stats = ["\"run\"", "\"ended_by\"", "\"config_hash\""].iter().all(|key| head.contains(key));
    if is_stats {
        return Ok(Some(Kind::Stats));
    }
    let has = |keys: &[&str]| keys.iter().all(|key| head.contains(key));
    if has(&["\"command_line\"", "\"machine\"", "\"transport\"", "\"pace\""]) {
        return Ok(Some(Kind::Report));
    }
    if has(&["\"command_line\"", "\"machine\"", "\"step_s\""]) {
        let what = "--find-max searches for a rate by itself, so the searches of parts have no common result: search with one \
                    generator, or give all parts a --rate";
        return Err(MergeError::Content { path: path.to_owned(), what: what.to_owned() });
    }
    if has(&["\"command_line\"", "\"address\"", "\"listened_s\""]) {
        let what = "a report of a centre that only listens: each heard devices of its own, so these reports stay as they are (its \
                    ledgers can be merged without them)";
        return Err(MergeError::Content { path: path.to_owned(), what: what.to_owned() });
    }
    Ok(None)
}

/// All of them, on as many threads as there are processors.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<String>, MergeError> {
    let one = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| MergeError::File { path: path.clone(), error: error.to_string() })
    };
    on_threads(paths, one).into_iter().collect()
}

/// The results of `work` in the order of `items`.
pub(super) fn on_threads<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            items.chunks(share).map(|some| scope.spawn(|| some.iter().map(&work).collect::<Vec<R>>())).collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, Vec<R>>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().flat_map(join).collect()
    })
}
