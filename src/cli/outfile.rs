//! A file that is written at the end of a run and tested at its start, so that the result of a long run is not lost.
//! `-` is standard output, which then carries nothing else ([`is_stdout`], [`Words`]).

use fsu_net::unblocked;
use fsu_serve::syslog::{ON_STDERR, ON_STDOUT};
use std::fs::{File, remove_file, rename};
use std::io::{self, BufWriter, ErrorKind, IntoInnerError, Write};
use std::path::{Path, PathBuf};

/// Standard output, where a path is asked for; a file of that name is `./-`.
const STDOUT: &str = "-";

/// Whether a path given as an argument means standard output.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == STDOUT
}

/// Where a command's text for people goes: standard output, or standard error if the former carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Nothing else is written there.
    Stdout,
    /// Standard output carries the JSON, the data or the like.
    Stderr,
}

/// More than one output is standard output; their options.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}: only one of them can be `-`, standard output")]
pub struct TwoOnStdout(String);

impl Words {
    /// Beside outputs that go to these paths.
    ///
    /// # Errors
    /// More than one of them is standard output: which, by the names of their options.
    pub fn beside(outputs: &[(&str, Option<&Path>)]) -> Result<Self, TwoOnStdout> {
        let dashes = outputs.iter().filter(|(_, path)| path.is_some_and(is_stdout));
        let names: Vec<&str> = dashes.map(|&(name, _)| name).collect();
        match names[..] {
            [] => Ok(Self::Stdout),
            [_] => Ok(Self::Stderr),
            _ => Err(TwoOnStdout(names.join(", "))),
        }
    }

    /// The target of system-log lines about the same.
    pub fn log_target(self) -> &'static str {
        match self {
            Self::Stdout => ON_STDOUT,
            Self::Stderr => ON_STDERR,
        }
    }

    /// Writes at once. A closed pipe is not a failure, and slow readers are not waited for.
    pub fn print(self, text: &str) {
        match self {
            Self::Stdout => unblocked::stdout(text),
            Self::Stderr => unblocked::stderr(text),
        }
    }
}

/// Such a file.
#[derive(Debug)]
pub struct OutFile {
    path: PathBuf,
    by: By,
}

/// How it is written.
#[derive(Debug)]
enum By {
    /// To this temporary file beside it, which then replaces it.
    Rename(PathBuf),
    /// Directly: a pipe or a device.
    Itself,
    /// To standard output.
    Stdout,
}

impl OutFile {
    /// Checks that the file's directory can be written. A pipe or a device is not tested: that might wait for a reader.
    ///
    /// # Errors
    /// The system's, where it cannot.
    pub fn claim(path: &Path) -> io::Result<Self> {
        if is_stdout(path) {
            return Ok(Self { path: path.to_owned(), by: By::Stdout });
        }
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => return Ok(Self { path: path.to_owned(), by: By::Itself }),
            _ => {}
        }
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        File::create(&temporary)?;
        remove_file(&temporary)?;
        Ok(Self { path: path.to_owned(), by: By::Rename(temporary) })
    }

    /// Writes the file whole or not at all: a reader never sees half of it. A reader of standard output that is gone is no failure.
    ///
    /// # Errors
    /// The system's, or that of `text`; the previous file is then unchanged.
    pub fn write(&self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let temporary = match &self.by {
            By::Rename(temporary) => temporary,
            By::Itself => return fill(&self.path, text).map(drop),
            By::Stdout => {
                let mut out = BufWriter::new(io::stdout().lock());
                return match text(&mut out).and_then(|()| out.flush()) {
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                    _ => Ok(()),
                };
            }
        };
        let written =
            fill(temporary, text).and_then(|file| file.sync_all()).and_then(|()| rename(temporary, &self.path));
        if written.is_err() {
            // Best effort; the first error is the one reported.
            let _ = remove_file(temporary);
        }
        written
    }

    /// Where it goes; `-` for standard output.
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
    fn n18_a_dash_is_standard_output_once() {
        let check = |outputs: &[(&str, Option<&str>)], expected: Result<Words, &str>| {
            let outputs: Vec<_> = outputs.iter().map(|&(name, path)| (name, path.map(Path::new))).collect();
            let got = Words::beside(&outputs).map_err(|error| error.to_string());
            assert_eq!(got, expected.map_err(str::to_owned), "{outputs:?}");
        };
        check(&[], Ok(Words::Stdout));
        check(&[("--json", None), ("--html", Some("./-"))], Ok(Words::Stdout));
        check(&[("--json", Some("-")), ("--html", Some("a"))], Ok(Words::Stderr));
        let both = "--json, --html: only one of them can be `-`, standard output";
        check(&[("--json", Some("-")), ("--html", Some("-"))], Err(both));
        assert!(matches!(OutFile::claim(Path::new("-")).expect("claimed").by, By::Stdout));
        assert!(!Path::new("-").exists());
    }

    #[test]
    fn a_device_stays_one() {
        let file = OutFile::claim(Path::new("/dev/null")).expect("claimed");
        file.write(|out| out.write_all(b"gone")).expect("written");
        assert!(!Path::new("/dev/null").metadata().expect("there").is_file());
    }
}
