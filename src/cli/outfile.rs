//! A file that is written at the end of a run, tried at its start: a long run does not end with nowhere to write.

use std::fs::{File, remove_file, rename};
use std::io::{self, BufWriter, ErrorKind, IntoInnerError, Write};
use std::path::{Path, PathBuf};

/// Such a file.
#[derive(Debug)]
pub struct OutFile {
    path: PathBuf,
    /// Written first, beside the file; `None`: a pipe or a device, which is written as it is.
    temporary: Option<PathBuf>,
}

impl OutFile {
    /// Tries that the file's directory can be written. A pipe or a device is not tried: that might wait for a reader.
    ///
    /// # Errors
    /// The system's, where it cannot.
    pub fn claim(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => return Ok(Self { path: path.to_owned(), temporary: None }),
            _ => {}
        }
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        File::create(&temporary)?;
        remove_file(&temporary)?;
        Ok(Self { path: path.to_owned(), temporary: Some(temporary) })
    }

    /// Writes the file whole or not at all: a reader never sees half of it.
    ///
    /// # Errors
    /// The system's, or `text`'s own; the file that was there before is then still there.
    pub fn write(&self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let Some(temporary) = &self.temporary else {
            return fill(&self.path, text).map(drop);
        };
        let written =
            fill(temporary, text).and_then(|file| file.sync_all()).and_then(|()| rename(temporary, &self.path));
        if written.is_err() {
            // Best effort: the error that is told is the first one.
            let _ = remove_file(temporary);
        }
        written
    }

    /// Where it goes.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn fill(path: &Path, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<File> {
    let mut file = BufWriter::new(File::create(path)?);
    text(&mut file)?;
    file.into_inner().map_err(IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{read_dir, read_to_string};

    #[test]
    fn a_file_is_written_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stats.json");
        std::fs::write(&path, "old").expect("written");
        let file = OutFile::claim(&path).expect("claimed");
        assert_eq!(read_to_string(&path).expect("still there"), "old");
        file.write(|_| Err(ErrorKind::Other.into())).expect_err("its own error");
        assert_eq!(read_to_string(&path).expect("still there"), "old");
        file.write(|out| out.write_all(b"new")).expect("written");
        assert_eq!(read_to_string(&path).expect("there"), "new");
        assert_eq!(read_dir(dir.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        for path in [&dir.path().join("no/such/stats.json"), dir.path(), Path::new("/")] {
            assert!(OutFile::claim(path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_device_stays_one() {
        let file = OutFile::claim(Path::new("/dev/null")).expect("claimed");
        file.write(|out| out.write_all(b"gone")).expect("written");
        assert!(!Path::new("/dev/null").metadata().expect("there").is_file());
    }
}
