//! Texts kept as files under `tests/golden`.

use std::path::Path;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Compares the text, with paths relative to the repository, with the file. With `UPDATE_GOLDEN` set it writes the file instead.
pub(crate) fn check(file: &str, text: &str) {
    let path = Path::new(ROOT).join("tests/golden").join(file);
    // Loaded files have no `..` in their names.
    let root = Path::new(ROOT).canonicalize().expect("the repository is there");
    let text = &*text.replace(&format!("{}/", root.display()), "");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(&path, text).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(text.lines()).position(|(kept, text)| kept != text);
    assert!(kept == text, "{} differs, first in line {differs:?} (from 0); now it is\n{text}", path.display());
}
