//! Where files come from: a directory or the binary itself.

use super::node::FILE_BYTES_MAX;
use crate::memory::fallible;
use include_dir::{Dir, include_dir};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// The configuration tree in the binary.
static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../config");

/// A small configuration to begin with.
static MINIMAL: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/examples/minimal");

/// The file that a configuration begins with.
pub const MAIN_FILE: &str = "sys_config.json";

/// The directory of the gallery in the embedded tree: public protocols, with a main file of its own.
pub const GALLERY_DIR: &str = "gallery";
/// The directory of the scenarios, which `scripts/scenario.sh` plays from the sources.
const SCENARIOS_DIR: &str = "scenarios";

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
    /// It is longer than this many bytes.
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    /// The binary has no such file.
    #[error("it is not in the embedded configuration")]
    NotEmbedded,
    /// It was looked for and is not there.
    #[error("No such file")]
    NotThere,
    /// This many files were read before it.
    #[error("the configuration has more than {0} files")]
    TooManyFiles(usize),
}

/// Where files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file system.
    Directory,
    /// The binary; paths are relative to its root.
    Embedded,
}

impl Source {
    /// All bytes of a file. Files longer than [`FILE_BYTES_MAX`] are refused.
    pub fn read(self, path: &Path) -> Result<Vec<u8>, ReadError> {
        self.read_up_to(path, FILE_BYTES_MAX)
    }

    /// As [`Self::read`], with a bound of its own.
    pub fn read_up_to(self, path: &Path, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Directory => read_file(path, bytes_max),
            Self::Embedded => match EMBEDDED.get_file(self.clean(path)) {
                Some(file) if file.contents().len() <= bytes_max => Ok(file.contents().to_vec()),
                Some(_) => Err(ReadError::TooLong(bytes_max)),
                None => Err(ReadError::NotEmbedded),
            },
        }
    }

    /// Is there such a file?
    pub fn is_file(self, path: &Path) -> bool {
        match self {
            Self::Directory => path.is_file(),
            Self::Embedded => EMBEDDED.get_file(self.clean(path)).is_some(),
        }
    }

    /// Is there anything of that name?
    pub fn is_there(self, path: &Path) -> bool {
        match self {
            Self::Directory => path.exists(),
            Self::Embedded => self.is_file(path) || self.is_dir(path),
        }
    }

    /// Is there such a directory?
    pub fn is_dir(self, path: &Path) -> bool {
        match self {
            Self::Directory => path.is_dir(),
            Self::Embedded => {
                let path = self.clean(path);
                path.as_os_str().is_empty() || EMBEDDED.get_dir(path).is_some()
            }
        }
    }

    /// Calls `each` with the name of every file of a directory; of none, if it cannot be read.
    pub fn each_file(self, dir: &Path, each: &mut dyn FnMut(&str)) {
        match self {
            Self::Directory => {
                let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
                for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                    if let Some(name) = entry.file_name().to_str().filter(|_| entry.path().is_file()) {
                        each(name);
                    }
                }
            }
            Self::Embedded => {
                let dir = self.clean(dir);
                let found = if dir.as_os_str().is_empty() { Some(&EMBEDDED) } else { EMBEDDED.get_dir(dir) };
                let names = found.into_iter().flat_map(Dir::files).filter_map(|file| file.path().file_name()?.to_str());
                names.for_each(each);
            }
        }
    }

    /// What is shown for a path.
    pub fn show(self, path: &Path) -> String {
        match self {
            Self::Directory => path.display().to_string(),
            Self::Embedded => format!("embedded:{}", path.display()),
        }
    }

    /// `relative` as seen from the file that names it; absolute paths stay (embedded: from the root).
    pub fn join(self, base_file: &Path, relative: &str) -> PathBuf {
        self.clean(&base_file.parent().unwrap_or(Path::new("")).join(relative))
    }

    /// The path without `.` and `..`, so that one file has one path. A `..` after a symbolic link stays.
    pub fn clean(self, path: &Path) -> PathBuf {
        let mut out = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    let plain = matches!(out.components().next_back(), Some(Component::Normal(_)));
                    match self {
                        Self::Directory if !plain || out.is_symlink() => out.push(part),
                        _ => drop(out.pop()),
                    }
                }
                Component::RootDir | Component::Prefix(_) if self == Self::Embedded => {}
                _ => out.push(part),
            }
        }
        out
    }
}

fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let read = || -> io::Result<Vec<u8>> {
        // Opening a pipe would wait for its writer, and a device may have no end.
        let kind = fs::metadata(path)?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(io::Error::other("it is no regular file, but a pipe, a socket or a device"));
        }
        let mut bytes = Vec::new();
        let mut file = fs::File::open(path)?;
        // One more byte than the file has: finding its end needs no more room.
        let room = file.metadata()?.len().min(bytes_max as u64) as usize + 1;
        fallible(|| bytes.try_reserve_exact(room)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        file.by_ref().take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read()?;
    if bytes.len() > bytes_max {
        return Err(ReadError::TooLong(bytes_max));
    }
    Ok(bytes)
}

/// A file in the binary: its path from the root of its configuration, and its contents.
pub type EmbeddedFile = (&'static Path, &'static [u8]);

/// Every file of the embedded configuration, sorted by path. The gallery is another configuration: [`gallery_files`]. Scenarios are
/// none of it.
pub fn embedded_files() -> Vec<EmbeddedFile> {
    let is_apart = |path: &Path| path.starts_with(GALLERY_DIR) || path.starts_with(SCENARIOS_DIR);
    files_of(&EMBEDDED).into_iter().filter(|(path, _)| !is_apart(path)).collect()
}

/// Every file of the small configuration, and the schemas that its files name, sorted by path.
pub fn minimal_files() -> Vec<EmbeddedFile> {
    with_schemas(files_of(&MINIMAL))
}

/// Every file of the gallery, and the schemas that its files name, sorted by path.
pub fn gallery_files() -> Vec<EmbeddedFile> {
    let all = files_of(&EMBEDDED).into_iter();
    with_schemas(all.filter_map(|(path, contents)| Some((path.strip_prefix(GALLERY_DIR).ok()?, contents))).collect())
}

fn with_schemas(mut files: Vec<EmbeddedFile>) -> Vec<EmbeddedFile> {
    files.extend(embedded_files().into_iter().filter(|(path, _)| path.starts_with("schema")));
    files.sort_unstable();
    files
}

fn files_of(root: &'static Dir<'static>) -> Vec<EmbeddedFile> {
    let mut files = Vec::new();
    let mut dirs = vec![root];
    while let Some(dir) = dirs.pop() {
        dirs.extend(dir.dirs());
        files.extend(dir.files().map(|file| (file.path(), file.contents())));
    }
    files.sort_unstable();
    files
}
