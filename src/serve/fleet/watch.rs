//! Looks for changes of the configuration's files (`run --watch`).
//!
//! Directories are watched, not files: an editor that saves by renaming creates a new file. Events only trigger a check: after a
//! quiet moment, the files are compared with their earlier state.

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Quiet time after an event before the files are compared.
const REST: Duration = Duration::from_millis(200);
/// Longest wait for quiet while events keep coming.
const REST_MAX: Duration = Duration::from_secs(2);
/// Most files compared in one directory; in a larger one only changes of the files that were read are noticed for certain.
const ENTRIES_MAX: usize = 10_000;

/// Identifies a state of a file: size, time of the last change, inode.
type Print = (u64, i64, i64, u64);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    files: Vec<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    prints: BTreeMap<PathBuf, Option<Print>>,
    happened: Receiver<()>,
}

impl Watch {
    /// Watches the directories of these files, there or not.
    ///
    /// # Errors
    /// The system has no room for another watcher.
    pub fn new(files: Vec<PathBuf>) -> Result<Self, notify::Error> {
        // One token is enough.
        let (sender, happened): (Sender<()>, _) = bounded(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = sender.try_send(());
            }
        })?;
        let mut watch = Self { watcher, files, dirs: BTreeSet::new(), prints: BTreeMap::new(), happened };
        watch.follow();
        watch.prints = watch.look();
        Ok(watch)
    }

    /// Receives a token when something has happened.
    pub fn happened(&self) -> &Receiver<()> {
        &self.happened
    }

    /// After an event: waits for quiet, then tells whether any file differs.
    pub fn has_changed(&mut self) -> bool {
        let deadline = Instant::now() + REST_MAX;
        while self.happened.recv_timeout(REST).is_ok() && Instant::now() < deadline {}
        // Directories may have come back under their names.
        self.follow();
        let prints = self.look();
        let changed = prints != self.prints;
        self.prints = prints;
        changed
    }

    /// Remembers the state of the files, which are about to be read.
    pub fn mark(&mut self) {
        self.prints = self.look();
    }

    /// Watches these files from now on. A difference since [`Watch::mark`] counts as a change.
    pub fn set_files(&mut self, files: Vec<PathBuf>) {
        if files == self.files {
            return;
        }
        let dirs = self.dirs.clone();
        self.files = files;
        self.follow();
        let mut prints = self.look();
        prints.retain(|path, print| match self.prints.get(path) {
            Some(known) => {
                *print = *known;
                true
            }
            // A directory that was watched before: the file came meanwhile.
            None => !path.parent().is_some_and(|dir| dirs.contains(dir)),
        });
        self.prints = prints;
    }

    /// Watches the directories of all files; of one that is not there, the nearest that is.
    fn follow(&mut self) {
        let dirs: BTreeSet<PathBuf> = self.files.iter().filter_map(|file| nearest_dir(file)).collect();
        for gone in self.dirs.difference(&dirs) {
            // It may not be there any more.
            let _ = self.watcher.unwatch(gone);
        }
        for dir in &dirs {
            if let Err(error) = self.watcher.watch(dir, RecursiveMode::NonRecursive) {
                log::warn!("--watch: {} cannot be watched: {error}; SIGHUP still reloads", dir.display());
            }
        }
        self.dirs = dirs;
    }

    /// The files that were read, and those beside them that could be.
    fn look(&self) -> BTreeMap<PathBuf, Option<Print>> {
        let beside = self.dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flat_map(|entries| {
            let paths = entries.take(ENTRIES_MAX).flatten().map(|entry| entry.path());
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        });
        let print_of = |path: PathBuf| {
            let print = print(&path);
            (path, print)
        };
        beside.chain(self.files.iter().cloned()).map(print_of).collect()
    }
}

fn print(path: &Path) -> Option<Print> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.mtime(), data.mtime_nsec(), data.ino()))
}

fn nearest_dir(file: &Path) -> Option<PathBuf> {
    let dir = file.ancestors().skip(1).find(|dir| dir.as_os_str().is_empty() || dir.is_dir())?;
    Some(if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Whether `change` is seen as one; that something happened is waited for where it is.
    fn check(change: impl FnOnce(&Path), expected: bool) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("a.json"), "1").expect("written");
        let files = vec![dir.path().join("a.json"), dir.path().join("below/b.json")];
        let mut watch = Watch::new(files).expect("a watcher");
        change(dir.path());
        watch.happened().recv_timeout(PATIENCE).expect("something happened");
        assert_eq!(watch.has_changed(), expected);
        assert!(!watch.has_changed(), "once");
    }

    #[test]
    fn what_is_a_change() {
        let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("written");
        check(|dir| write(dir.join("a.json"), "23"), true);
        // As editors save.
        check(
            |dir| {
                write(dir.join(".a.json.swp"), "2");
                std::fs::rename(dir.join(".a.json.swp"), dir.join("a.json")).expect("renamed");
            },
            true,
        );
        check(|dir| std::fs::remove_file(dir.join("a.json")).expect("removed"), true);
        check(|dir| write(dir.join("new.json"), "{}"), true);
        check(|dir| write(dir.join("run.log"), "line"), false);
    }

    #[test]
    fn limit_entries_max_files_of_one_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let read = dir.path().join("read.json");
        std::fs::write(&read, "1").expect("written");
        (0..10_100).for_each(|n| std::fs::write(dir.path().join(format!("{n}.json")), "").expect("written"));
        let mut watch = Watch::new(vec![read.clone()]).expect("a watcher");
        // The file that was read is looked at in any case.
        assert!((10_000..=10_001).contains(&watch.prints.len()), "{}", watch.prints.len());
        std::fs::write(&read, "23").expect("written");
        watch.happened().recv_timeout(PATIENCE).expect("something happened");
        assert!(watch.has_changed());
    }

    /// A directory in which something happens all the time is looked at all the same.
    #[test]
    fn limit_rest_max_a_change_without_rest_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let (changing, file) = (std::sync::atomic::AtomicBool::new(true), dir.path().join("a.json"));
        let mut watch = Watch::new(vec![file.clone()]).expect("a watcher");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let deadline = Instant::now() + PATIENCE;
                for number in 0u64.. {
                    if !changing.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    assert!(Instant::now() < deadline, "it is not looked at");
                    std::fs::write(&file, number.to_string()).expect("written");
                    std::thread::sleep(REST / 10);
                }
            });
            watch.happened().recv_timeout(PATIENCE).expect("something happened");
            assert!(watch.has_changed());
            changing.store(false, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_directory_that_comes_later_is_watched_then() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut watch = Watch::new(vec![dir.path().join("below/b.json")]).expect("a watcher");
        std::fs::create_dir(dir.path().join("below")).expect("made");
        watch.happened().recv_timeout(PATIENCE).expect("something happened");
        assert!(!watch.has_changed());
        std::fs::write(dir.path().join("below/b.json"), "1").expect("written");
        watch.happened().recv_timeout(PATIENCE).expect("something happened");
        assert!(watch.has_changed());
    }
}
