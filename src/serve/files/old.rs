//! Files that are too old.

use super::trouble::Trouble;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Deletes the files of `dir` that `chosen` accepts and that were last written more than `age_days_max` days before `now`; 0 keeps all.
pub(crate) fn delete_old(
    dir: &Path,
    age_days_max: u64,
    now: SystemTime,
    trouble: &mut Trouble,
    chosen: impl Fn(&str) -> bool,
) {
    let age_max = Duration::from_secs(age_days_max.saturating_mul(86_400));
    let Some(oldest) = now.checked_sub(age_max).filter(|_| age_days_max > 0) else { return };
    // A missing or unreadable directory has nothing to delete.
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let old = |entry: &std::fs::DirEntry| {
            entry.metadata().is_ok_and(|data| data.is_file() && data.modified().is_ok_and(|modified| modified < oldest))
        };
        if name.to_str().is_some_and(&chosen)
            && old(&entry)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            trouble.note(&entry.path(), &error, 0);
        }
    }
}
