//! The corpora under `fuzz/corpus`, replayed: what fuzzing has come across stays right.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod fuzzing;
mod naive;
mod serving;

use std::path::{Path, PathBuf};

/// Bytes of all corpora together at most: they are part of every clone.
const CORPORA_BYTES_MAX: usize = 1 << 20;

/// All of them.
fn targets() -> impl Iterator<Item = &'static (&'static str, fuzzing::Target)> {
    fuzzing::TARGETS.iter().chain(serving::TARGETS)
}

fn corpora() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("fuzz/corpus")
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(corpora().join(target)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

fn replay(target: &str) {
    let (_, run) = targets().find(|(name, _)| *name == target).unwrap();
    run(&[]);
    let inputs = corpus(target);
    assert!(inputs.len() >= 10, "{target} has a corpus of {}", inputs.len());
    for (name, input) in inputs {
        if let Err(panic) = std::panic::catch_unwind(|| run(&input)) {
            eprintln!("{name}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn outer() {
    replay("outer");
}

#[test]
fn inner() {
    replay("inner");
}

#[test]
fn framer() {
    replay("framer");
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn replies() {
    replay("replies");
}

#[test]
fn envelopes() {
    replay("envelopes");
}

#[test]
fn expressions() {
    replay("expressions");
}

#[test]
fn shapes() {
    replay("shapes");
}

#[test]
fn log_text() {
    replay("log_text");
}

#[test]
fn sockets() {
    replay("sockets");
}

/// Every target has a corpus and a file for libFuzzer, there are no others, and all is small.
#[test]
fn corpora_are_those_of_the_targets() {
    let mut targets: Vec<&str> = targets().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(names(&corpora()), targets);
    let sources: Vec<String> = targets.iter().map(|target| format!("{target}.rs")).collect();
    assert_eq!(names(&corpora().with_file_name("fuzz_targets")), sources);
    let bytes: usize = targets.iter().flat_map(|target| corpus(target)).map(|(_, input)| input.len()).sum();
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes");
}

/// Every target is described, has figures, and has a bound of its inputs.
#[test]
fn targets_are_documented() {
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)).unwrap()
    };
    let (document, script) = (read("docs/internals/reliability.md"), read("scripts/fuzz.sh"));
    let (described, figures) = document.split_once("| target | executions |").unwrap();
    let bounds = script.lines().find(|line| line.starts_with("declare -A bytes_max=")).unwrap();
    for (target, _) in targets() {
        assert!(described.contains(&format!("| `{target}` |")), "{target} is not described");
        assert!(figures.contains(&format!("| `{target}` |")), "{target} has no figures");
        assert!(bounds.contains(&format!("[{target}]=")), "inputs of {target} have no bound");
    }
}
