//! docs/add-a-vendor.md is true: its files are those of docs/examples/meter, which load without a word, and its
//! exchanges (`FSU REQUEST -> REPLY`) are what the FSUs answer, in that order.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use fsu_mock::codec::civil::Now;
use fsu_mock::codec::reason::Reason;
use fsu_mock::config::load::Loader;
use fsu_mock::config::source::Source;
use fsu_mock::plan::compile::compile;
use fsu_mock::plan::fleet::{Fleet, Transport};
use fsu_mock::responder::state::FsuState;
use fsu_mock::responder::{Moment, Outgoing, RunContext, Scratch, Sink, b_interface, stream};
use std::fs;
use std::path::{Path, PathBuf};

/// 2026-01-12 17:30:03 at UTC: the clock of the exchanges.
const NOW: Moment = Moment { now: Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 }, not_before_unix_ms: 0 };

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn document() -> String {
    fs::read_to_string(root().join("add-a-vendor.md")).expect("the document")
}

fn example() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &root().join("examples/meter/sys_config.json"));
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [""; 0]);
    fleet.expect("the example compiles")
}

#[derive(Default)]
struct Replies(Vec<String>);

impl Sink for Replies {
    fn send(&mut self, _what: Outgoing, _due_unix_ms: i64, bytes: &[u8]) {
        self.0.push(hex::encode_upper(bytes));
    }
    fn received(&mut self, _bytes: &[u8], _dropped: Option<Reason>) {}
    fn note(&mut self, _reason: Reason, _bytes: &[u8]) {}
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
    let fleet = example();
    let run = RunContext { seed: 1, skip_delay: false };
    let mut states: Vec<FsuState> = fleet.fsus.iter().map(FsuState::new).collect();
    let mut scratch = Scratch::default();
    let mut played = Vec::new();
    for line in document().lines() {
        let Some((asked, expected)) = line.split_once(" -> ") else { continue };
        let Some((name, request)) = asked.split_once(' ') else { continue };
        let Some(number) = fleet.fsus.iter().position(|fsu| *fsu.name == *name) else { continue };
        let (fsu, state) = (&fleet.fsus[number], &mut states[number]);
        let request = hex::decode(request.trim()).expect("a request in hex");
        let mut replies = Replies::default();
        match fsu.transport {
            Transport::Udp => {
                b_interface::on_datagram(&run, fsu, state, &request, NOW, &mut scratch, &mut replies);
            }
            _ => {
                stream::on_bytes(&run, fsu, state, &request, NOW, &mut scratch, &mut replies);
            }
        }
        assert_eq!(replies.0, [expected.trim()], "{line}");
        played.push(fsu.transport);
    }
    let many = |transport| played.iter().filter(|&&played| played == transport).count();
    assert!(many(Transport::Udp) >= 1 && many(Transport::Tcp) >= 6, "{played:?}");
}
