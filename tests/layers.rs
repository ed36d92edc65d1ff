//! What the walls between crates cannot keep (docs/internals/architecture.md), and that the walls are where the document says.
#![allow(clippy::pedantic, clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Every file below a directory with that extension.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut out = vec![];
    let mut entries: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            out.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
    out
}

/// A file that is built for tests alone: its parent says so, or its place does.
fn is_test(path: &Path) -> bool {
    if path.components().any(|part| part.as_os_str() == "tests") {
        return true;
    }
    let (dir, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
    let parents = [dir.join("lib.rs"), dir.join("mod.rs"), dir.with_extension("rs")];
    parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(|text| {
        ["#[cfg(test)]", "#[cfg(any(test, feature = \"fixtures\"))]", "#[cfg(feature = \"simulated\")]"]
            .iter()
            .flat_map(|cfg| ["", "pub ", "pub(crate) ", "pub(super) "].map(|how| format!("{cfg}\n{how}mod {stem};")))
            .any(|line| text.contains(&line))
    })
}

/// Crates by name: those that each needs in order to be built, directly.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let run = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let metadata: Value = serde_json::from_slice(&run.stdout).unwrap();
    let name_of: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let mut out = BTreeMap::<String, BTreeSet<String>>::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let needs = node["deps"].as_array().unwrap().iter().filter(|dep| {
            dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null() || kind["kind"] == "build")
        });
        let names = needs.map(|dep| name_of[dep["pkg"].as_str().unwrap()].to_owned());
        out.entry(name_of[node["id"].as_str().unwrap()].to_owned()).or_default().extend(names);
    }
    out
}

/// All that a crate needs, however far away.
fn reached(of: &str, dependencies: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut out, mut open) = (BTreeSet::new(), vec![of.to_owned()]);
    while let Some(name) = open.pop() {
        for next in dependencies.get(&name).into_iter().flatten() {
            if out.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    out
}

/// Crates that are a socket, a clock, a runtime, a thread or a terminal.
const OUTSIDE: &[&str] = &[
    "clap",
    "comfy-table",
    "crossbeam-channel",
    "crossterm",
    "flume",
    "futures-io",
    "glommio",
    "io-uring",
    "jiff",
    "libc",
    "mio",
    "nix",
    "notify",
    "ratatui",
    "rtrb",
    "rustix",
    "signal-hook",
    "socket2",
    "tokio",
];

#[test]
fn the_format_and_the_conversation_reach_nothing_outside() {
    let dependencies = dependencies();
    for name in ["fsu-plan", "fsu-core"] {
        let reached = reached(name, &dependencies);
        let outside: Vec<_> = OUTSIDE.iter().filter(|crate_name| reached.contains(**crate_name)).collect();
        assert!(outside.is_empty(), "{name} reaches {outside:?}");
        assert!(reached.contains("serde"), "{name}: {reached:?}");
    }
    let all = reached("fsu-mock", &dependencies);
    assert!(OUTSIDE.iter().filter(|name| all.contains(**name)).count() >= 10, "names that nobody uses: {all:?}");
}

/// The table of crates in docs/internals/architecture.md: by crate, the crates of this project that it may name.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/internals/architecture.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `fsu-")).map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let name = format!("fsu-{}", cells[0].trim().trim_end_matches('`'));
        let knows = cells[3].split('`').filter(|word| word.starts_with("fsu-")).map(str::to_owned);
        (name, knows.collect())
    });
    rows.collect()
}

#[test]
fn the_crates_know_each_other_as_documented() {
    let of_ours = |names: &BTreeSet<String>| names.iter().filter(|name| name.starts_with("fsu-")).cloned().collect();
    let actual: BTreeMap<String, BTreeSet<String>> = dependencies()
        .iter()
        .filter(|(name, _)| name.starts_with("fsu-"))
        .map(|(name, needs)| (name.clone(), of_ours(needs)))
        .collect();
    assert_eq!(actual, documented());
}

/// Words that code without clocks and sockets does not have: the standard library has them too.
const STANDARD: &[&str] = &[
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::os::",
    "Instant",
    "SystemTime",
    "std::thread::",
    "thread::spawn",
    "std::process",
];

#[test]
fn the_format_and_the_conversation_know_no_clock_or_socket_of_the_standard_library() {
    let mut found = vec![];
    for dir in ["src/plan", "src/mock"] {
        for path in files(&root().join(dir), "rs").into_iter().filter(|path| !is_test(path)) {
            if path.ends_with("build.rs") {
                continue;
            }
            for (number, line) in code(&path).lines().enumerate() {
                let words = STANDARD.iter().filter(|word| line.contains(**word));
                found.extend(words.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

/// The code of a source file without its comments and, cut at the first module of tests, without those.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn unsafe_is_in_one_crate() {
    let net = root().join("src/net");
    for path in files(&root().join("src"), "rs").into_iter().filter(|path| !path.starts_with(&net)) {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
            let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            assert!(!word, "{}: {line}", path.display());
        }
    }
}

#[test]
fn glommio_is_in_one_file() {
    let naming: Vec<_> = files(&root().join("src"), "rs")
        .into_iter()
        .filter(|path| std::fs::read_to_string(path).unwrap().lines().any(|line| line.contains("glommio::")))
        .collect();
    assert_eq!(naming, [root().join("src/serve/driver/executor.rs")]);
}

/// Of the tests: what a test does with system calls and memory that has no safe call.
#[test]
fn unsafe_of_tests_is_in_two_small_files() {
    for path in files(&root().join("tests"), "rs") {
        let may = ["tests/failing/kernel.rs", "tests/failing/allocator.rs"].iter().any(|name| path.ends_with(name));
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//") && !l.contains('"')) {
            let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            assert!(may || !word, "{}: {line}", path.display());
        }
        let (blocks, reasons) = (text.matches("unsafe {").count(), text.matches("// SAFETY: ").count());
        assert!(!may || blocks <= reasons, "{}: {blocks} unsafe, {reasons} reasons", path.display());
    }
}

/// The rooms of a crate: folders, and files beside them. By room, the rooms whose names its files use.
fn rooms(dir: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let room_of = |path: &Path| {
        let first = path.strip_prefix(dir).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    let all: BTreeSet<String> = files(dir, "rs").iter().map(|path| room_of(path)).collect();
    let mut out = BTreeMap::<String, BTreeSet<String>>::new();
    for path in files(dir, "rs").into_iter().filter(|path| !is_test(path)) {
        let (code, room) = (code(&path), room_of(&path));
        if ["lib", "main", "build"].contains(&&*room) {
            continue;
        }
        // `super` from a file of the first level, `crate` from everywhere.
        let depth = path.strip_prefix(dir).unwrap().components().count();
        let named = |other: &&String| {
            let after = |start: &str| {
                code.match_indices(&format!("{start}{other}"))
                    .any(|(at, found)| !code[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            **other != room && (after("crate::") || depth == 1 && after("super::"))
        };
        out.entry(room.clone()).or_default().extend(all.iter().filter(named).cloned());
    }
    out
}

#[test]
fn rooms_are_in_no_circle() {
    for of in ["plan", "mock", "net", "serve", "flood", "control", "cli"] {
        let rooms = rooms(&root().join("src").join(of));
        for name in rooms.keys() {
            let reached = reached(name, &rooms);
            assert!(!reached.contains(name), "src/{of}: {name} knows {reached:?}");
        }
    }
}

/// A file that is longer wants to be two (CONTRIBUTING.md).
const LINES_MAX: usize = 700;

#[test]
fn no_source_file_is_too_long() {
    for path in ["src", "tests"].iter().flat_map(|dir| files(&root().join(dir), "rs")) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines", path.display());
    }
}

/// Directory names of the shipped vendors, with and without an edition, and what the templates call them.
fn vendors() -> Vec<String> {
    let mut out = vec![];
    for entry in std::fs::read_dir(root().join("config/vendors")).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue;
        }
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        out.push(name.split('_').next().unwrap().to_owned());
        out.push(name);
        let template = std::fs::read_to_string(dir.join("protocol.json")).unwrap();
        let template: Value = serde_json::from_str(&template).unwrap();
        out.extend(template["vendor"].as_str().map(str::to_lowercase));
    }
    let shared = root().join("config/vendor.json");
    if let Ok(text) = std::fs::read_to_string(shared) {
        let list: Value = serde_json::from_str(&text).unwrap();
        out.extend(list.as_array().into_iter().flatten().filter_map(|v| v["vendor"].as_str()).map(str::to_lowercase));
    }
    out.sort();
    out.dedup();
    // "demo" is what an example calls itself; it names no one.
    out.retain(|name| name != "demo" && !name.is_empty());
    out
}

#[test]
fn no_vendor_decides_anything_in_the_code() {
    let vendors = vendors();
    assert!(vendors.len() >= 6, "{vendors:?}");
    for path in files(&root().join("src"), "rs").into_iter().filter(|p| !is_test(p)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap().to_lowercase();
        for vendor in &vendors {
            assert!(!text.contains(vendor.as_str()), "{} names {vendor}", path.display());
        }
    }
}
