//! What is left of English in a text that should be Chinese, for tests.

use crate::config::schema;
use crate::wire::reason::Reason;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

/// Letters of the longest word that needs no reason: units, and names like `crc`.
const SHORT_LETTERS: usize = 3;
/// Words that stay: the program, its commands and its output for programs; names of the protocol; what the system says.
const SAME: [&str; 23] = [
    "fsu",
    "mock",
    "check",
    "run",
    "ask",
    "config",
    "reply",
    "none",
    "broadcast",
    "RtnFlag",
    "CommType",
    "embedded",
    "little",
    "right",
    "true",
    "false",
    "offline",
    "partial",
    "heartbeat",
    "timeout",
    "vendors",
    "stdin",
    "yyyy",
];
/// Words in capitals that are not names.
const LOUD: [&str; 2] = ["WRONG", "FAILED"];
/// Short words that are not names.
const SMALL: [&str; 14] =
    ["of", "the", "and", "not", "has", "its", "are", "or", "by", "is", "it", "was", "for", "with"];
/// Before a list of names, to its bracket.
const KNOWN: &str = "可用：";

/// Every word of the text is Chinese, short, quoted, in `files` (a directory of configuration files), or the same in every language.
///
/// # Panics
/// Another word is left.
pub fn check(text: &str, files: Option<&Path>) {
    check_with(text, &files.map(names_below).unwrap_or_default());
}

/// The same with these names.
///
/// # Panics
/// Another word is left.
pub fn check_with(text: &str, names: &BTreeSet<String>) {
    let left = left(text, names);
    assert!(left.is_empty(), "English: {left:?} in\n{text}");
}

/// The words that are left.
pub fn left(text: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    // A word of the command line.
    let plain = unquoted(text).replace("--as request", "");
    let (plain, lists) = plain.split_once(KNOWN).map_or((&*plain, ""), |(plain, lists)| (plain, lists));
    let plain = [plain, lists.split_once('）').map_or("", |(_, rest)| rest)].concat();
    let is_known = |word: &str| names.contains(word) || same().contains(word);
    words(&plain).filter(|word| SMALL.contains(word) || !is_known(word)).map(str::to_owned).collect()
}

/// The names in a configuration file.
pub fn names_in(json: &str) -> BTreeSet<String> {
    words(json).map(str::to_owned).collect()
}

/// The text without what is in backquotes or quotes on one line.
fn unquoted(text: &str) -> String {
    let mut plain = String::new();
    for line in text.split_inclusive('\n') {
        for (_, quoted) in line.split('`').enumerate().filter(|(number, _)| number % 2 == 0) {
            let outside = quoted.split('"').enumerate().filter(|(number, _)| number % 2 == 0);
            plain.extend(outside.map(|(_, part)| part));
            plain.push(' ');
        }
    }
    plain
}

/// English words, and names of letters alone.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // Hex, and names of checksums.
    let is_name = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase()) && !LOUD.contains(&word);
    let is_word = move |word: &str| word.bytes().all(|byte| byte.is_ascii_alphabetic()) && !is_name(word);
    words.filter(move |word| (word.len() > SHORT_LETTERS && is_word(word)) || SMALL.contains(word))
}

/// Keys, reasons and the words above.
fn same() -> &'static BTreeSet<String> {
    static SAME_WORDS: OnceLock<BTreeSet<String>> = OnceLock::new();
    SAME_WORDS.get_or_init(|| {
        let mut all: BTreeSet<String> = SAME.map(str::to_owned).into();
        all.extend(Reason::ALL.iter().map(|reason| reason.reason().to_owned()));
        for kind in schema::Kind::ALL {
            all.extend(quoted(&schema::text(kind)));
        }
        all
    })
}

/// Keys and single words in quotes.
fn quoted(json: &str) -> impl Iterator<Item = String> {
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    json.split('"').skip(1).step_by(2).filter(is_word).map(str::to_owned)
}

/// The names in the configuration files below a directory, and their paths.
pub fn names_below(dir: &Path) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = words(&dir.display().to_string()).map(str::to_owned).collect();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        all.extend(words(&path.display().to_string()).map(str::to_owned));
        if path.is_dir() {
            all.extend(names_below(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            all.extend(names_in(&text));
        }
    }
    all
}
