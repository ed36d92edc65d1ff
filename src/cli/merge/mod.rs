//! `merge`: what the parts of a run left becomes one (spec scale.md).
//!
//! Each directory has what one part left. Files of the same name are merged, each kind in its way: [`stats`], [`reports`], [`lines`].

pub(super) mod args;
mod files;
mod lines;
mod numbers;
mod reports;
mod stats;

use super::args::MergeArgs;
use super::exit::{CliError, Exit};
use files::{Kind, Left};
use fsu_plan::texts::Texts;
use fsu_plan::words::count;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Bytes that are handed to the system at once.
const WRITE_BYTES: usize = 1 << 18;

/// Why parts cannot be merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    /// The file system's words.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Not what a part leaves.
    #[error("{path}: {what}", path = path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Two parts do not belong together.
    #[error("{path}: {what} is {found}, and {expected} in {first}", path = path.display(), first = first.display())]
    Differs {
        /// Which.
        path: PathBuf,
        /// In what.
        what: &'static str,
        /// There.
        found: String,
        /// In the first part.
        expected: String,
        /// The file of the first part.
        first: PathBuf,
    },
    /// A part is there twice.
    #[error("{path}: part {part} is also in {first}", path = path.display(), first = first.display())]
    Twice {
        /// Which.
        path: PathBuf,
        /// The part.
        part: u32,
        /// Where it was before.
        first: PathBuf,
    },
    /// Parts are missing.
    #[error("{name}: {missing} missing: {which} (--allow-missing merges the others)", missing = count(which.split(", ").count(), "part"))]
    Missing {
        /// The file.
        name: String,
        /// Their numbers.
        which: String,
    },
    /// No file is of a kind that can be merged.
    #[error("nothing to merge: no directory has statistics, reports, ledgers or journals (*.json, *.jsonl)")]
    Nothing,
}

/// What was merged, for people.
#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    /// A verdict is that the run is not valid, or failed.
    failed: bool,
}

/// Merges, and says what came out.
///
/// # Errors
/// Parts are missing, overlap or do not belong together; a file cannot be read or written.
pub fn merge(args: &MergeArgs, say: Texts) -> Result<Exit, CliError> {
    let told = merged(args, say).map_err(|error| CliError::new(Exit::Usage, error.to_string()))?;
    super::print(format!("{}\n", told.lines.join("\n")).as_bytes())?;
    Ok(if told.failed { Exit::Configuration } else { Exit::Ok })
}

fn merged(args: &MergeArgs, say: Texts) -> Result<Told, MergeError> {
    let found = files::find(&args.dirs, &args.out)?;
    if found.is_empty() {
        return Err(MergeError::Nothing);
    }
    let file_error =
        |path: &PathBuf, error: io::Error| MergeError::File { path: path.clone(), error: error.to_string() };
    let mut told = Told::default();
    let mut read = Vec::with_capacity(found.len());
    for Left { name, paths, .. } in &found {
        if !args.allow_missing && paths.len() < args.dirs.len() {
            let lacking = args.dirs.iter().filter(|dir| !paths.iter().any(|path| path.starts_with(dir)));
            let which = lacking.map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(MergeError::Missing { name: name.clone(), which });
        }
        read.push(files::read(paths)?);
    }
    // All that can be wrong is found before anything is written.
    let mut results = Vec::new();
    for (Left { name, kind, paths }, texts) in found.iter().zip(&read) {
        let texts: Vec<(&PathBuf, &str)> = paths.iter().zip(texts.iter().map(String::as_str)).collect();
        let (content, line, failed) = match kind {
            Kind::Stats => {
                let (whole, line, failed) = stats::merge(name, &texts, args.allow_missing)?;
                (Content::Stats(Box::new(whole)), line, failed)
            }
            Kind::Lines => {
                let (bytes, line, failed) = lines::merge(&texts)?;
                (Content::Bytes(bytes), line, failed)
            }
            Kind::Report => {
                let whole = reports::merge(name, &texts, (args.allow_missing, say))?;
                let beside = |end: &str| args.out.join(name).with_extension(end);
                results.push((beside("html"), Content::Bytes(whole.html.into_bytes())));
                results.push((beside("txt"), Content::Bytes(whole.text.into_bytes())));
                (Content::Bytes(whole.json), whole.line, whole.failed)
            }
        };
        told.lines.push(format!("{name}: {line}"));
        told.failed |= failed;
        results.push((args.out.join(name), content));
    }
    std::fs::create_dir_all(&args.out).map_err(|error| file_error(&args.out, error))?;
    for (path, content) in results {
        content.write(&path).map_err(|error| file_error(&path, error))?;
    }
    Ok(told)
}

/// What a file of the result holds.
enum Content<'a> {
    Bytes(Vec<u8>),
    /// Written piece by piece: with many FSUs it is as long as the parts' together.
    Stats(Box<stats::Whole<'a>>),
}

impl Content<'_> {
    fn write(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => std::fs::write(path, bytes),
            Self::Stats(whole) => {
                let mut out = BufWriter::with_capacity(WRITE_BYTES, File::create(path)?);
                serde_json::to_writer_pretty(&mut out, whole)?;
                out.flush()
            }
        }
    }
}
