//! What the documents say is so.
//!
//! docs/describe/add-a-vendor.md shows the files of docs/examples/meter, station and gate as they are, and its exchanges
//! (`FSU REQUEST -> REPLY`) are what they answer, in that order. Every key, limit and reason is in the page that lists them, in both languages. Every link
//! leads somewhere. docs/zh is the same tree as docs.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use fsu_core::mock::Mock;
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage::Incoming;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::schema::{Kind, WORDS, schema};
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
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

/// The worked examples, in both languages.
const EXAMPLES: [&str; 2] = ["describe/add-a-vendor.md", "zh/describe/add-a-vendor.md"];

/// Their directories, and how many exchanges over udp and over other transports the document has of each.
const WORKED: [(&str, usize, usize); 3] = [("meter", 1, 7), ("station", 0, 6), ("gate", 1, 5)];

fn example(name: &str) -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &root().join("examples").join(name).join("sys_config.json"));
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [""; 0]);
    fleet.expect("the example compiles")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_document_shows_every_file_as_it_is() {
    for (example, ..) in WORKED {
        shows(&root().join("examples").join(example));
    }
}

fn shows(example: &Path) {
    let files = files(example);
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let name = path.strip_prefix(example).expect("a path below").display();
        let text = fs::read_to_string(&path).expect("a file");
        for (document, colon) in EXAMPLES.into_iter().zip([":", "："]) {
            let shown = format!("`{name}`{colon}\n\n```json\n{text}```\n");
            assert!(read(document).contains(&shown), "{name} is not in {document} as it is");
        }
    }
}

#[test]
fn the_examples_answer_what_the_document_says() {
    let exchanges =
        EXAMPLES.map(|name| read(name).lines().filter(|line| line.contains(" -> ")).collect::<Vec<_>>().join("\n"));
    assert_eq!(exchanges[0], exchanges[1]);
    for (name, over_udp, others) in WORKED {
        let played = play(name, &exchanges[0]);
        let many = played.iter().filter(|&&played| played == Transport::Udp).count();
        assert_eq!((many, played.len() - many), (over_udp, others), "{name}: {played:?}");
    }
}

/// Plays the exchanges of one example on a fresh run: the transport of each.
fn play(name: &str, exchanges: &str) -> Vec<Transport> {
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let mut mock = Mock::new(example(name).into(), run);
    let peer = ([127, 0, 0, 1], 9).into();
    let mut played = Vec::new();
    for line in exchanges.lines() {
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
    played
}

/// Those of `words` that the document does not have as code.
fn missing<'a>(document: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let spans: Vec<&str> = document.split('`').skip(1).step_by(2).collect();
    let names = |span: &str, word: &str| {
        span.split(|c: char| !c.is_alphanumeric() && !"_$".contains(c)).any(|part| part == word)
    };
    words.into_iter().filter(|word| !spans.iter().any(|span| names(span, word))).collect()
}

/// The two languages: what comes before a page's path.
const LANGUAGES: [&str; 2] = ["", "zh/"];

#[test]
fn every_key_is_documented() {
    for language in LANGUAGES {
        let pages = ["configuration", "templates", "rules"].map(|name| read(&format!("{language}reference/{name}.md")));
        let document = pages.join("\n");
        for kind in Kind::ALL {
            let schema = schema(kind);
            let types = schema["definitions"].as_object().into_iter().flat_map(|types| types.values());
            let keys =
                types.chain([&schema]).filter_map(|one| one["properties"].as_object()).flat_map(|keys| keys.keys());
            assert_eq!(missing(&document, keys.map(String::as_str)), [""; 0], "{language}reference, {}", kind.name());
        }
    }
}

#[test]
fn every_word_is_documented() {
    let words = WORDS.iter().flat_map(|(_, _, words)| words()).chain(names::<AlgorithmName>());
    let words: Vec<&str> = words.collect();
    for language in LANGUAGES {
        let pages = ["configuration", "templates", "rules", "behaviour"];
        let text: String = pages.iter().map(|page| read(&format!("{language}reference/{page}.md"))).collect();
        assert_eq!(missing(&text, words.iter().copied()), [""; 0], "{language}");
    }
}

#[test]
fn every_reason_is_documented() {
    for language in LANGUAGES {
        let reasons = Reason::ALL.iter().map(|reason| reason.reason());
        assert_eq!(missing(&read(&format!("{language}reference/stats.md")), reasons), [""; 0], "{language}");
    }
}

#[test]
fn every_limit_is_documented() {
    let documents = LANGUAGES.map(|language| {
        ["internals/limits.md", "reference/configuration.md"].map(|page| read(&format!("{language}{page}"))).join("\n")
    });
    let mut absent = Vec::new();
    for path in files(&root().join("../src")) {
        let is_test = path.to_string_lossy().contains("/tests") || path.ends_with("testing.rs");
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        // At the beginning of a line: a constant inside a function is that function's own affair.
        let constants = text.lines().filter_map(|line| {
            let line =
                line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let name = line.strip_prefix("const ")?.split(':').next()?;
            name.split('_').any(|part| part == "MAX").then_some(name)
        });
        let constants: Vec<&str> = constants.collect();
        absent.extend(
            documents.iter().flat_map(|document| missing(document, constants.iter().copied())).map(str::to_owned),
        );
    }
    assert_eq!(absent, [""; 0]);
}

/// A page without what is in fences, with its headings: (level, anchor).
fn page(text: &str) -> (String, Vec<(usize, String)>) {
    let (mut prose, mut headings, mut fenced) = (String::new(), Vec::<(usize, String)>::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let level = line.chars().take_while(|&c| c == '#').count();
            if level > 0 && line[level..].starts_with(' ') {
                let anchor = anchor(&line[level..]);
                let same = headings.iter().filter(|(_, other)| *other == anchor).count();
                headings.push((level, if same == 0 { anchor } else { format!("{anchor}-{same}") }));
            }
            prose.push_str(line);
            prose.push('\n');
        }
    }
    (prose, headings)
}

/// What a heading is linked by: its words in lower case, blanks as hyphens, without the rest.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The targets of links and pictures in a page, without what is code.
fn targets(prose: &str) -> Vec<String> {
    let plain: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("`");
    plain.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn pages() -> Vec<PathBuf> {
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join("..").join(name));
    let docs = files(&root()).into_iter().filter(|path| is_page(path));
    docs.chain(top).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let (mut links, mut dead) = (0, Vec::new());
    for path in pages() {
        let (prose, own) = page(&fs::read_to_string(&path).expect("a page"));
        for target in targets(&prose).into_iter().filter(|target| !target.contains("://")) {
            links += 1;
            let (file, wanted) = target.split_once('#').unwrap_or((&target, ""));
            let there = path.parent().expect("a directory").join(file);
            let exists = file.is_empty() || there.exists();
            let headings = match file {
                "" => own.clone(),
                file if is_page(Path::new(file)) && exists => page(&fs::read_to_string(&there).expect("a page")).1,
                _ => Vec::new(),
            };
            if !exists || !wanted.is_empty() && !headings.iter().any(|(_, anchor)| anchor == wanted) {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(links > 200, "{links}");
    assert_eq!(dead, [""; 0]);
}

#[test]
fn an_anchor_is_what_a_heading_is_linked_by() {
    let check = |heading: &str, expected: &str| assert_eq!(anchor(heading), expected, "{heading}");
    check(" Where a reply's bytes come from", "where-a-replys-bytes-come-from");
    check(" `fsu_devices.json`", "fsu_devicesjson");
    check(" TCP 的到达时刻", "tcp-的到达时刻");
}

/// Pages that are named in code, scripts and configuration files: a page that moves takes its mentions along.
#[test]
fn every_page_that_is_named_in_the_sources_is_there() {
    let top = root().join("..");
    let mut dead = Vec::new();
    for folder in ["src", "tests", "bench", "scripts", "config", "models/src", "fuzz/fuzz_targets"] {
        for path in files(&top.join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for rest in text.split("docs/").skip(1) {
                let name = rest.split(|c: char| !c.is_alphanumeric() && !"-_/.".contains(c)).next().unwrap_or_default();
                let name = name.trim_end_matches(['.', '/']);
                if is_page(Path::new(name)) && !root().join(name).exists() {
                    dead.push(format!("{}: docs/{name}", path.display()));
                }
            }
        }
    }
    assert_eq!(dead, [""; 0]);
}

/// The walks name files that are there, at most four of them each.
#[test]
fn the_walks_lead_to_files() {
    for language in LANGUAGES {
        let walks = read(&format!("{language}internals/walks.md"));
        let mut steps = 0;
        for line in walks.lines() {
            let is_step = line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            steps = if is_step { steps + 1 } else { 0 };
            assert!(steps <= 4, "{language}: {line}");
            let paths = line.split('`').skip(1).step_by(2).filter(|word| {
                ["src/", "tests/", "docs/"].iter().any(|folder| word.starts_with(folder)) && !word.contains(' ')
            });
            for path in paths {
                assert!(root().join("..").join(path).exists(), "{language}internals/walks.md: {path}");
            }
        }
    }
}

#[test]
fn the_chinese_tree_is_the_english_one() {
    let below = |dir: PathBuf| -> Vec<PathBuf> {
        let all = files(&dir).into_iter().filter(|path| is_page(path));
        let mut all: Vec<PathBuf> = all.map(|path| path.strip_prefix(&dir).expect("a path below").to_owned()).collect();
        all.sort();
        all
    };
    let english: Vec<PathBuf> = below(root()).into_iter().filter(|path| !path.starts_with("zh")).collect();
    assert!(english.len() > 20, "{english:?}");
    assert_eq!(english, below(root().join("zh")));
    let mut unlike = Vec::new();
    for path in english {
        let levels = |path: PathBuf| -> Vec<usize> {
            page(&fs::read_to_string(path).expect("a page")).1.iter().map(|(level, _)| *level).collect()
        };
        let (here, there) = (levels(root().join(&path)), levels(root().join("zh").join(&path)));
        if here != there {
            unlike.push(format!("{}: {here:?}, in Chinese {there:?}", path.display()));
        }
    }
    assert_eq!(unlike, [""; 0]);
}

/// Punctuation beside a Chinese character is full-width.
#[test]
fn chinese_pages_have_chinese_punctuation() {
    let is_chinese = |c: char| ('\u{4E00}'..='\u{9FFF}').contains(&c);
    let mut narrow = Vec::new();
    for path in files(&root().join("zh")).into_iter().filter(|path| is_page(path)) {
        let (prose, _) = page(&fs::read_to_string(&path).expect("a page"));
        for line in prose.lines().filter(|line| !line.starts_with("    ")) {
            // Code, and the targets of links, are no prose.
            let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            let line = line.split("](").enumerate();
            let line: String = line
                .map(|(at, part)| if at == 0 { part } else { part.split_once(')').map_or(part, |two| two.1) })
                .collect();
            let chars: Vec<char> = line.chars().collect();
            let wrong = chars.windows(2).any(|two| {
                is_chinese(two[0]) && ",;:?!(".contains(two[1]) || "),;:?!".contains(two[0]) && is_chinese(two[1])
            });
            if wrong {
                narrow.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert_eq!(narrow, [""; 0]);
}
