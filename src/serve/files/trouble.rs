//! Write errors, reported once a minute however often they occur.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two lines.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Write errors not reported yet.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    errors: u64,
    lost: u64,
    last: String,
    told: Option<Instant>,
}

impl Trouble {
    /// Notes one error that lost this many records or lines.
    pub(crate) fn note(&mut self, path: &Path, error: &io::Error, lost: u64) {
        self.errors += 1;
        self.lost += lost;
        self.last = format!("{}: {error}", path.display());
    }

    /// The line that is due now, if any. `unit`: what was lost, in the plural.
    pub(crate) fn tell(&mut self, now: Instant, unit: &str) -> Option<String> {
        let recently = self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_INTERVAL);
        if self.errors == 0 || recently {
            return None;
        }
        self.told = Some(now);
        let (errors, lost) = (std::mem::take(&mut self.errors), std::mem::take(&mut self.lost));
        Some(format!("write errors: {errors}, {unit} lost by them: {lost}, last error: {}", self.last))
    }

    /// The same at the end, regardless of the time since the last line.
    pub(crate) fn tell_last(&mut self, now: Instant, unit: &str) -> Option<String> {
        self.told = None;
        self.tell(now, unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_once_then_once_a_minute_then_at_the_end() {
        let mut trouble = Trouble::default();
        let start = Instant::now();
        let error = io::Error::other("no");
        assert_eq!(trouble.tell(start, "records"), None);
        trouble.note(Path::new("a"), &error, 2);
        let text = |errors, lost, path| {
            format!("write errors: {errors}, records lost by them: {lost}, last error: {path}: no")
        };
        assert_eq!(trouble.tell(start, "records"), Some(text(1, 2, "a")));
        trouble.note(Path::new("b"), &error, 3);
        trouble.note(Path::new("c"), &error, 4);
        assert_eq!(trouble.tell(start + TELL_INTERVAL / 2, "records"), None);
        assert_eq!(trouble.tell(start + TELL_INTERVAL, "records"), Some(text(2, 7, "c")));
        assert_eq!(trouble.tell_last(start + TELL_INTERVAL, "records"), None);
        trouble.note(Path::new("d"), &error, 1);
        assert_eq!(trouble.tell_last(start + TELL_INTERVAL, "records"), Some(text(1, 1, "d")));
    }
}
