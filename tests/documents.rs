//! What the documents say is so.
//!
//! docs/add-a-vendor.md shows the files of docs/examples/meter as they are, and its exchanges (`FSU REQUEST -> REPLY`) are
//! what they answer, in that order. Every key, limit and reason stands in the document that lists them.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use fsu_core::mock::Mock;
use fsu_core::replies::Replies;
use fsu_core::responder::{Incoming, Moment, RunContext};
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::schema::{Kind, WORDS, schema};
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Fleet, Transport};
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::{AlgorithmName, names};
use std::fs;
use std::path::{Path, PathBuf};

/// 2026-01-12 17:30:03 at UTC: the clock of the exchanges.
const NOW: Moment = Moment::at(Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 }, 0);

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("docs")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("the document")
}

fn document() -> String {
    read("add-a-vendor.md")
}

fn example() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &root().join("examples/meter/sys_config.json"));
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [""; 0]);
    fleet.expect("the example compiles")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_document_shows_every_file_as_it_is() {
    let document = document();
    let example = root().join("examples/meter");
    let files = files(&example);
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let name = path.strip_prefix(&example).expect("a path below").display();
        let text = fs::read_to_string(&path).expect("a file");
        let shown = format!("`{name}`:\n\n```json\n{text}```\n");
        assert!(document.contains(&shown), "{name} is not in the document as it is");
    }
}

#[test]
fn the_example_answers_what_the_document_says() {
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let mut mock = Mock::new(example().into(), run);
    let peer = ([127, 0, 0, 1], 9).into();
    let mut played = Vec::new();
    for line in document().lines() {
        let Some((asked, expected)) = line.split_once(" -> ") else { continue };
        let Some((name, request)) = asked.split_once(' ') else { continue };
        let Some(fsu) = mock.find(name) else { continue };
        let bytes = hex::decode(request.trim()).expect("a request in hex");
        let mut replies = Replies::default();
        mock.on_request(fsu, Incoming { peer, bytes: &bytes }, NOW, &mut replies);
        let replies: Vec<String> = replies.frames().into_iter().map(hex::encode_upper).collect();
        assert_eq!(replies, [expected.trim()], "{line}");
        played.push(mock.fleet().fsus[fsu].transport);
    }
    let many = |transport| played.iter().filter(|&&played| played == transport).count();
    assert!(many(Transport::Udp) >= 1 && many(Transport::Tcp) >= 6, "{played:?}");
}

/// Those of `words` that stand nowhere in the document as code.
fn missing<'a>(document: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let spans: Vec<&str> = document.split('`').skip(1).step_by(2).collect();
    let names = |span: &str, word: &str| {
        span.split(|c: char| !c.is_alphanumeric() && !"_$".contains(c)).any(|part| part == word)
    };
    words.into_iter().filter(|word| !spans.iter().any(|span| names(span, word))).collect()
}

#[test]
fn every_key_is_documented() {
    for kind in Kind::ALL {
        let schema = schema(kind);
        let types = schema["definitions"].as_object().into_iter().flat_map(|types| types.values());
        let keys = types.chain([&schema]).filter_map(|one| one["properties"].as_object()).flat_map(|keys| keys.keys());
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        for document in ["configuration.md", "zh/configuration.md"] {
            assert_eq!(missing(&read(document), keys.iter().copied()), [""; 0], "{document}, {}", kind.name());
        }
    }
}

#[test]
fn every_word_is_documented() {
    let words = WORDS.iter().flat_map(|(_, _, words)| words()).chain(names::<AlgorithmName>());
    let words: Vec<&str> = words.collect();
    for document in ["configuration.md", "zh/configuration.md"] {
        assert_eq!(missing(&read(document), words.iter().copied()), [""; 0], "{document}");
    }
}

#[test]
fn every_reason_is_documented() {
    let reasons = Reason::ALL.iter().map(|reason| reason.reason());
    assert_eq!(missing(&read("stats.md"), reasons), [""; 0]);
}

#[test]
fn every_limit_is_documented() {
    let document = read("configuration.md");
    let mut absent = Vec::new();
    for path in files(&root().join("../src")) {
        let is_test = path.to_string_lossy().contains("/tests") || path.ends_with("testing.rs");
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        // At the beginning of a line: what stands inside a function is its own affair.
        let constants = text.lines().filter_map(|line| {
            let line =
                line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let name = line.strip_prefix("const ")?.split(':').next()?;
            name.split('_').any(|part| part == "MAX").then_some(name)
        });
        absent.extend(missing(&document, constants).into_iter().map(str::to_owned));
    }
    assert_eq!(absent, [""; 0]);
}
