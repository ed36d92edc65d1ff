//! Files of a directory and of the binary.

use super::super::load::Loader;
use super::super::raw::RawVendors;
use super::super::source::{ReadError, Source, embedded_files, minimal_files};
use super::check;
use crate::config::raw::RawFsu;
use std::path::Path;

const EMBEDDED: Source = Source::Embedded;
const DIRECTORY: Source = Source::Directory;

fn names(source: Source, dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    source.each_file(dir, &mut |name| names.push(name.to_owned()));
    names.sort_unstable();
    names
}

#[test]
fn what_there_is_in_the_binary() {
    let there = |path: &str| {
        let path = Path::new(path);
        (EMBEDDED.is_file(path), EMBEDDED.is_dir(path), EMBEDDED.is_there(path))
    };
    assert_eq!(there("sys_config.json"), (true, false, true));
    assert_eq!(there("./schema/../sys_config.json"), (true, false, true));
    assert_eq!(there("schema"), (false, true, true));
    assert_eq!(there(""), (false, true, true));
    assert_eq!(there("/"), (false, true, true));
    assert_eq!(there("sys_config"), (false, false, false));
    assert!(names(EMBEDDED, Path::new("")).contains(&"sys_config.json".to_owned()));
    assert!(names(EMBEDDED, Path::new("schema")).contains(&"rules.schema.json".to_owned()));
    assert_eq!(names(EMBEDDED, Path::new("no")), Vec::<String>::new());
}

/// What was read, or why nothing was, in words.
fn told(read: Result<Vec<u8>, ReadError>) -> Result<Vec<u8>, String> {
    read.map_err(|error| error.to_string())
}

#[test]
fn files_in_the_binary_are_read_up_to_a_bound() {
    let path = Path::new("sys_config.json");
    let bytes = EMBEDDED.read(path).expect("a file");
    let (_, expected) = embedded_files().into_iter().find(|(name, _)| *name == path).expect("a file");
    assert_eq!(bytes, expected);
    assert_eq!(told(EMBEDDED.read_up_to(path, bytes.len())).as_deref(), Ok(expected));
    let most = bytes.len() - 1;
    assert_eq!(told(EMBEDDED.read_up_to(path, most)), Err(format!("it has more than {most} bytes")));
    assert_eq!(told(EMBEDDED.read(Path::new("no"))), Err("it is not in the embedded configuration".into()));
    let small: Vec<_> = minimal_files().into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(small.is_sorted() && small.iter().any(|path| path.starts_with("schema/")), "{small:?}");
    assert!(small.contains(&"sys_config.json".to_owned()) && !small.iter().any(|path| path.starts_with("vendors/")));
}

#[test]
fn what_there_is_in_a_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("a.json"), "[1]").expect("a file");
    std::fs::create_dir(path("sub")).expect("a directory");
    std::fs::write(path("sub/b.json"), "").expect("a file");
    let there =
        |name: &str| (DIRECTORY.is_file(&path(name)), DIRECTORY.is_dir(&path(name)), DIRECTORY.is_there(&path(name)));
    assert_eq!(there("a.json"), (true, false, true));
    assert_eq!(there("sub"), (false, true, true));
    assert_eq!(there("no"), (false, false, false));
    assert_eq!((names(DIRECTORY, dir.path()), names(DIRECTORY, &path("no"))), (vec!["a.json".to_owned()], vec![]));
    assert_eq!(told(DIRECTORY.read(&path("a.json"))).as_deref(), Ok(&b"[1]"[..]));
    assert_eq!(told(DIRECTORY.read_up_to(&path("a.json"), 3)).as_deref(), Ok(&b"[1]"[..]));
    assert_eq!(told(DIRECTORY.read_up_to(&path("a.json"), 2)), Err("it has more than 2 bytes".into()));
    assert_eq!(told(DIRECTORY.read(&path("sub/b.json"))).as_deref(), Ok(&b""[..]));
    assert!(DIRECTORY.read(&path("sub")).is_err() && DIRECTORY.read(&path("no")).is_err());
    // No more room than the file takes, and one byte to find its end.
    assert_eq!(told(DIRECTORY.read(&path("a.json"))).expect("a file").capacity(), 4);
    let loader = Loader::new(DIRECTORY);
    assert_eq!(loader.main_file(dir.path()), path("sys_config.json"));
    assert_eq!(loader.main_file(&path("a.json")), path("a.json"));
}

#[test]
fn parents_of_links_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("real")).expect("a directory");
    std::os::unix::fs::symlink(path("real"), path("link")).expect("a link");
    assert_eq!(DIRECTORY.clean(&path("real/../a")), path("a"));
    assert_eq!(DIRECTORY.clean(&path("link/../a")), path("link/../a"));
    assert_eq!(DIRECTORY.clean(Path::new("../../a/./b")), Path::new("../../a/b"));
}

/// What was asked for is known, there or not; what was read is another thing.
#[test]
fn a_loader_knows_what_it_was_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    for (name, text) in [("a.json", "[]"), ("b.json", "["), ("c.json", "[]")] {
        std::fs::write(path(name), text).expect("a file");
    }
    let mut loader = Loader::new(DIRECTORY);
    assert!(loader.load::<RawVendors>(&path("a.json"), None).is_some());
    assert!(loader.load::<RawVendors>(&path("b.json"), None).is_none());
    assert_eq!((loader.is_there(&path("c.json")), loader.is_there(&path("no"))), (true, false));
    assert!(loader.tree(&path("c.json")).is_some() && loader.tree(&path("no")).is_none());
    assert_eq!(loader.files(), ["a.json", "b.json", "c.json", "no"].map(path));
    let read = ["a.json", "b.json", "c.json", "no", "other"].map(|name| loader.was_read(&path(name)));
    assert_eq!(read, [true, true, true, false, false]);
}

#[test]
fn where_a_text_is_no_utf_8() {
    let told = |bytes: &[u8], place: &str| {
        check::<RawFsu>(bytes, &[&format!("f.json:{place}: /: error: the text is not UTF-8")]);
    };
    told(b"\xff", "1:1");
    told(b"{\"\xff", "1:3");
    told(b"{\n\n \"\xff\": 1}", "3:3");
    told("{\"海海\": \"".as_bytes().iter().chain(b"\xff").copied().collect::<Vec<_>>().as_slice(), "1:9");
}
