//! What the layers must not know (docs/architecture.md, invariants), read off the sources.
#![allow(clippy::pedantic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
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

/// The code of a source file without its comments and, cut at the first `#[cfg(test)]`, without its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.file_name().is_some_and(|n| n == "tests.rs")
}

/// `text` without these plain values of `std::net`.
fn without_plain_addresses(text: &str) -> String {
    let mut out = text.to_owned();
    for plain in ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"] {
        for end in [";", ",", ")", ">", " ", "\n", "::"] {
            out = out.replace(&format!("std::net::{plain}{end}"), end);
        }
    }
    // A braced import is fine when it names nothing else.
    let mut kept = String::new();
    for line in out.lines() {
        let names = line.trim().strip_prefix("use std::net::{").and_then(|l| l.strip_suffix("};"));
        let plain = |n: &str| {
            matches!(n.trim(), "IpAddr" | "Ipv4Addr" | "Ipv6Addr" | "SocketAddr" | "SocketAddrV4" | "SocketAddrV6")
        };
        if !names.is_some_and(|names| names.split(',').all(plain)) {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

fn check_absent(layers: &[&str], words: &[&str]) {
    let mut found = vec![];
    for layer in layers {
        for path in files(&root().join("src").join(layer), "rs").into_iter().filter(|p| !is_test(p)) {
            let code = without_plain_addresses(&code(&path));
            for (i, line) in code.lines().enumerate() {
                found.extend(
                    words
                        .iter()
                        .filter(|w| line.contains(**w))
                        .map(|w| format!("{}: {w}: {line} (~{i})", path.display())),
                );
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn pure_layers_know_no_sockets_clocks_or_threads() {
    check_absent(
        &["config", "plan", "codec", "responder", "client"],
        &[
            "glommio",
            "socket2",
            "rustix",
            "libc::",
            "std::net::",
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "Instant",
            "SystemTime",
            "std::thread",
            "thread::",
            "io_uring",
            "jiff::Zoned::now",
            "Timestamp::now",
        ],
    );
}

#[test]
fn the_codec_and_the_plan_do_not_look_up() {
    check_absent(
        &["codec"],
        &["crate::responder", "crate::shard", "crate::log", "crate::cli", "crate::config", "serde"],
    );
    check_absent(&["responder"], &["crate::shard", "crate::log", "crate::cli", "crate::config", "serde"]);
    check_absent(&["plan"], &["crate::responder", "crate::shard", "crate::log::", "crate::cli"]);
    check_absent(&["config"], &["crate::plan", "crate::responder", "crate::shard", "crate::log::", "crate::cli"]);
}

#[test]
fn unsafe_is_in_one_place() {
    let sys = root().join("src/shard/sys");
    for path in files(&root().join("src"), "rs") {
        if path.starts_with(&sys) || path == sys.with_extension("rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
            let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            assert!(!word, "{}: {line}", path.display());
        }
    }
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
        let template: serde_json::Value = serde_json::from_str(&template).unwrap();
        out.extend(template["vendor"].as_str().map(str::to_lowercase));
    }
    let shared = root().join("config/vendor.json");
    if let Ok(text) = std::fs::read_to_string(shared) {
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
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
