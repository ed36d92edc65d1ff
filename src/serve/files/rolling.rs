//! A file that is followed by the next one when it is full: `name.log`, `name.1.log`, `name.2.log` …
//!
//! Both logs write through it. It only appends whole chunks (lines, records), so a chunk is never
//! split over two files. If a chunk cannot be written completely, its written part is cut off again.
//! A file that is removed or renamed is replaced by a new one with the same name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How often a chunk is written if its file is removed each time.
const REMOVED_TRIES: usize = 3;

/// The parts of one log, one of which is written to.
#[derive(Debug)]
pub(crate) struct Rolling {
    /// The name of part 0.
    base: PathBuf,
    /// The current part; `None` before the first write.
    part: Option<u32>,
    /// Bytes of that part.
    bytes: u64,
    /// Size at which the next part begins; 0: never.
    bytes_max: u64,
    file: Option<File>,
}

impl Rolling {
    /// Nothing is touched before the first write. An existing part is appended to.
    pub(crate) fn new(base: PathBuf, bytes_max: u64) -> Self {
        Self { base, part: None, bytes: 0, bytes_max, file: None }
    }

    /// A file that is never rotated.
    pub(crate) fn single(path: PathBuf) -> Self {
        Self { part: Some(0), ..Self::new(path, 0) }
    }

    /// The name of part 0.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The file that is written to.
    pub(crate) fn current(&self) -> PathBuf {
        part_path(&self.base, self.part.unwrap_or(0))
    }

    /// Appends a chunk, to the next part if this one would become larger than allowed.
    ///
    /// On an error nothing of the chunk counts as written, and the file is closed; the next call opens it again.
    pub(crate) fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.notice();
        for _ in 0..REMOVED_TRIES {
            self.write(chunk)?;
            if !self.file.as_ref().is_some_and(is_nameless) {
                self.bytes += chunk.len() as u64;
                return Ok(());
            }
            // The file was removed meanwhile, and the chunk with it.
            self.file = None;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed while it was written"))
    }

    /// Creates the file again if it was open and has lost its name.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        if self.notice() { self.open() } else { Ok(()) }
    }

    /// Closes a file that was removed, renamed or replaced. Returns whether it was.
    fn notice(&mut self) -> bool {
        let Some(file) = &self.file else { return false };
        let is_gone = !is_at(file, &self.current());
        if is_gone {
            self.file = None;
        }
        is_gone
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.open()?;
        while !self.has_room(chunk.len()) {
            self.file = None;
            self.part = self.part.map(|part| part.saturating_add(1));
            self.open()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(chunk) {
            // A device or a pipe cannot be truncated: then the piece remains.
            let _ = file.set_len(self.bytes);
            self.file = None;
            return Err(error);
        }
        Ok(())
    }

    /// How many more bytes this part takes before the next begins.
    pub(crate) fn room(&self) -> u64 {
        if self.bytes_max == 0 { u64::MAX } else { self.bytes_max.saturating_sub(self.bytes) }
    }

    /// Gives the file descriptor back; the next write opens it again.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Whether it holds a file descriptor.
    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// An empty part takes any chunk, even one larger than allowed.
    fn has_room(&self, len: usize) -> bool {
        self.bytes == 0 || len as u64 <= self.room()
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let part = self.part.unwrap_or_else(|| last_part(&self.base));
        let path = part_path(&self.base, part);
        let open = || OpenOptions::new().append(true).create(true).open(&path);
        let file = match (open(), path.parent()) {
            (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(dir)?;
                open()?
            }
            (opened, _) => opened?,
        };
        self.bytes = file.metadata()?.len();
        self.part = Some(part);
        self.file = Some(file);
        Ok(())
    }
}

/// Whether the file has no name any more.
fn is_nameless(file: &File) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.nlink() == 0)
}

/// Whether the path names that file. Unknown counts as yes; so does a device or a pipe.
fn is_at(file: &File, path: &Path) -> bool {
    let Ok(open) = file.metadata() else { return true };
    if !open.is_file() {
        return true;
    }
    match std::fs::metadata(path) {
        Ok(named) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

/// `dir/name.log` and 2 make `dir/name.2.log`; a name without an extension gets the number at its end.
pub(crate) fn part_path(base: &Path, part: u32) -> PathBuf {
    if part == 0 {
        return base.to_path_buf();
    }
    let name = base.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = split_extension(&name);
    base.with_file_name(format!("{stem}.{part}{extension}"))
}

/// The name of part 0 for the name of any part, and the part's number: the reverse of [`part_path`].
pub(crate) fn split_part(name: &str) -> (String, u32) {
    let (stem, extension) = split_extension(name);
    let number = |digits: &str| digits.parse().ok().filter(|&part: &u32| part > 0 && part.to_string() == digits);
    match stem.rsplit_once('.').and_then(|(stem, digits)| Some((stem, number(digits)?))) {
        Some((stem, part)) => (format!("{stem}{extension}"), part),
        // `name.3` is part 3 of `name`.
        None => match number(extension.trim_start_matches('.')) {
            Some(part) => (stem.to_owned(), part),
            None => (name.to_owned(), 0),
        },
    }
}

/// The extension with its dot; a leading dot does not begin one.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    }
}

/// The number of the last existing part; 0 if there is none.
fn last_part(base: &Path) -> u32 {
    let mut part = 0;
    while part < u32::MAX && part_path(base, part + 1).exists() {
        part += 1;
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(dir: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn check(bytes_max: u64, chunks: &[&str], expected: &[(&str, &str)]) {
        let dir = tempfile::tempdir().unwrap();
        let mut rolling = Rolling::new(dir.path().join("a.log"), bytes_max);
        for chunk in chunks {
            rolling.append(chunk.as_bytes()).unwrap();
        }
        let expected: Vec<_> = expected.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
        assert_eq!(contents(dir.path()), expected);
    }

    #[test]
    fn the_next_part_begins_between_chunks() {
        check(0, &["one", "two"], &[("a.log", "onetwo")]);
        check(6, &["one", "two", "three"], &[("a.1.log", "three"), ("a.log", "onetwo")]);
        check(4, &["larger", "x", "y"], &[("a.1.log", "xy"), ("a.log", "larger")]);
        check(1, &["a", "b", "c"], &[("a.1.log", "b"), ("a.2.log", "c"), ("a.log", "a")]);
        check(9, &["", ""], &[]);
    }

    #[test]
    fn goes_on_where_an_earlier_run_stopped() {
        let dir = tempfile::tempdir().unwrap();
        for chunk in ["aaa", "bbb", "cc", "d"] {
            Rolling::new(dir.path().join("a.log"), 4).append(chunk.as_bytes()).unwrap();
        }
        let expected = [("a.1.log", "bbb"), ("a.2.log", "ccd"), ("a.log", "aaa")];
        assert_eq!(contents(dir.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn part_names_and_back() {
        for (base, part, name) in [
            ("d/a.log", 0, "d/a.log"),
            ("d/a.log", 1, "d/a.1.log"),
            ("d/a_1.b.log", 12, "d/a_1.b.12.log"),
            ("d/plain", 3, "d/plain.3"),
            ("d/.dot", 3, "d/.dot.3"),
        ] {
            let path = part_path(Path::new(base), part);
            assert_eq!(path, Path::new(name));
            let (back, number) = split_part(path.file_name().unwrap().to_str().unwrap());
            assert_eq!((Path::new(base), part), (&*Path::new("d").join(back), number));
        }
        for name in ["a.log", "a.0.log", "a.01.log", "a.x.log", ""] {
            assert_eq!(split_part(name), (name.to_owned(), 0));
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a.log");
        std::os::unix::fs::symlink("/dev/full", &base).unwrap();
        let mut rolling = Rolling::new(base.clone(), 100);
        assert_eq!(rolling.append(b"x").unwrap_err().raw_os_error(), Some(28));
        std::fs::remove_file(&base).unwrap();
        rolling.append(b"y").unwrap();
        assert_eq!(contents(dir.path()), [("a.log".to_owned(), "y".to_owned())]);
    }

    #[test]
    fn h14_a_file_that_is_removed_or_renamed_is_followed_by_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("logs/a.log");
        let mut rolling = Rolling::new(base.clone(), 5);
        let mut append = |text: &str| rolling.append(text.as_bytes()).unwrap();
        append("one");
        std::fs::remove_file(&base).unwrap();
        append("two");
        std::fs::rename(&base, base.with_extension("old")).unwrap();
        append("3");
        append("4");
        std::fs::remove_dir_all(dir.path().join("logs")).unwrap();
        append("five");
        append("six");
        // Another one in its place: it is appended to.
        std::fs::write(dir.path().join("new"), "x").unwrap();
        std::fs::rename(dir.path().join("new"), base.with_extension("1.log")).unwrap();
        append("7");
        let expected = [("a.1.log", "x7"), ("a.log", "five")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(contents(&dir.path().join("logs")), expected);
    }

    #[test]
    fn h14_what_is_looked_at_is_made_anew_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a.log");
        let mut rolling = Rolling::new(base.clone(), 0);
        rolling.look().unwrap();
        assert!(!base.exists(), "not before the first write");
        rolling.append(b"x").unwrap();
        rolling.look().unwrap();
        std::fs::remove_file(&base).unwrap();
        rolling.look().unwrap();
        assert_eq!(contents(dir.path()), [("a.log".to_owned(), String::new())]);
        rolling.close();
        std::fs::remove_file(&base).unwrap();
        rolling.look().unwrap();
        assert!(!base.exists(), "it is not open");
        let mut device = Rolling::single("/dev/null".into());
        device.append(b"x").unwrap();
        device.look().unwrap();
        assert!(device.is_open());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(Rolling::new(dir.path().join("file/a.log"), 0).append(b"x").is_err());
    }
}
