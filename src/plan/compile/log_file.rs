//! `log.file`: a name of the system log's file, with directives of strftime in it.

use thiserror::Error;

/// Longest name that a pattern may make, in bytes: with the number of a later part behind it, it is a file name (255 bytes on Linux).
pub const LOG_FILE_BYTES_MAX: usize = 240;

/// The directory of the device logs, next to the file.
const DEVICES: &str = "devices";

/// The directives that a pattern may have, each with the most bytes that it makes. Those that may make a `/`, a space or no text at
/// all, and flags and widths (`%-d`, `%9Y`), are none of them: old files are found by the pattern, too.
pub const DIRECTIVES: &[(char, usize)] = &[
    ('Y', 4),
    ('y', 2),
    ('m', 2),
    ('d', 2),
    ('j', 3),
    ('H', 2),
    ('I', 2),
    ('M', 2),
    ('S', 2),
    ('p', 2),
    ('b', 3),
    ('B', 9),
    ('a', 3),
    ('A', 9),
    ('u', 1),
    ('G', 4),
    ('V', 2),
    ('F', 10),
    ('T', 8),
    ('%', 1),
];

/// Why a pattern makes no file name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It has a `/` or a control character.
    #[error("a `/` or a control character is none of a file's name")]
    Character,
    /// It is empty, or names a directory.
    #[error("there is a directory of that name, or none can be")]
    Directory,
    /// A directive that is unknown, with its `%`.
    #[error("{0} is none of {known}", known = known_directives())]
    Directive(Box<str>),
    /// It may make a name of this many bytes.
    #[error("it may be {0} bytes long, {LOG_FILE_BYTES_MAX} at most")]
    TooLong(usize),
}

fn known_directives() -> String {
    DIRECTIVES.iter().map(|directive| format!("%{}", directive.0)).collect::<Vec<_>>().join(" ")
}

/// Why a pattern makes no file name; `None`: it does.
pub fn wrong(pattern: &str) -> Option<PatternError> {
    if pattern.contains(['/', '\0']) || pattern.contains(char::is_control) {
        return Some(PatternError::Character);
    }
    if matches!(pattern, "" | "." | ".." | DEVICES) {
        return Some(PatternError::Directory);
    }
    let (mut bytes, mut chars) = (0usize, pattern.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            bytes += c.len_utf8();
            continue;
        }
        let after = chars.next();
        let Some(directive) = DIRECTIVES.iter().find(|directive| Some(directive.0) == after) else {
            let shown = after.map_or_else(|| "%".to_owned(), |after| format!("%{after}"));
            return Some(PatternError::Directive(shown.into()));
        };
        bytes += directive.1;
    }
    (bytes > LOG_FILE_BYTES_MAX).then_some(PatternError::TooLong(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h14_patterns_that_make_a_file_name() {
        let check = |pattern: &str, expected: &str| {
            let told = wrong(pattern).map(|wrong| wrong.to_string()).unwrap_or_default();
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{pattern}: {told}");
        };
        for good in ["system_%Y%m%d.log", "s.log", "100%%.log", "系统日志_%F", "%A %B.log", ".hidden", "devices.log"]
        {
            check(good, "");
        }
        check("a/b.log", "a `/` or a control character");
        check("a\nb", "a `/` or a control character");
        check("%D.log", "%D is none of %Y %y %m");
        check("%Q.log", "%Q is none of");
        check("%-d.log", "%- is none of");
        check("%99Y.log", "%9 is none of");
        check("log%", "% is none of");
        for name in ["", ".", "..", "devices"] {
            check(name, "a directory of that name");
        }
    }

    #[test]
    fn limit_log_file_bytes_max() {
        assert_eq!(wrong(&"x".repeat(LOG_FILE_BYTES_MAX)), None);
        let too_long = format!("{}%B", "x".repeat(LOG_FILE_BYTES_MAX - 8));
        let told = wrong(&too_long).map(|wrong| wrong.to_string());
        assert_eq!(told.as_deref(), Some("it may be 241 bytes long, 240 at most"));
    }
}
