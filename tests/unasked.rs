//! Messages of every template of the gallery: no frame of a message has anything of a request. And the tracker of
//! docs/describe/messages.md says what that page shows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use fsu_core::mock::{Connection, Mock};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::sink::Outgoing;
use fsu_core::speak::Audience;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Device, Fleet};
use fsu_plan::model::reply::{Expr, Part, Patch, Payload, Reply};
use fsu_plan::model::walk::{Measure, Put};
use fsu_plan::wire::civil::Now;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config/gallery")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether a value reads a request.
fn reads(value: &Expr) -> bool {
    value.parts.iter().any(|part| match part {
        Part::Field { .. } | Part::Walked(_) => true,
        Part::Calc(calc) => !calc.fields.is_empty(),
        _ => false,
    })
}

/// Whether a step writes something of a request.
fn copies(put: &Put) -> bool {
    match put {
        Put::Copy { .. } | Put::Element { .. } | Put::Each(_) => true,
        Put::Text(text) => reads(&text.value),
        Put::Length(length) => matches!(&length.what, Measure::Items { copied: Some(_), .. }),
        Put::Choose(choose) => {
            let cases = choose.cases.iter().map(|(_, steps)| steps).chain(&choose.otherwise);
            cases.flat_map(|steps| steps.iter()).any(copies)
        }
        Put::Bytes { .. } | Put::Number { .. } | Put::Mark(_) => false,
    }
}

/// Whether a frame has something of a request.
fn asks(reply: &Reply) -> bool {
    let patch = |patch: &Patch| match patch {
        Patch::Copy { .. } | Patch::CopyReversed { .. } => true,
        Patch::Text { value, .. } => reads(value),
        Patch::Number { .. } => false,
    };
    let walked = if let Payload::Walked(steps) = &reply.payload { steps.ops.iter().any(copies) } else { false };
    walked || reply.refusal.is_some() || reply.patches.iter().any(patch)
}

/// The names of all entries of a device, as `frame` takes them.
fn entries(device: &Device) -> Vec<String> {
    let keys = |layout: Option<&str>, template: &fsu_plan::model::template::Template| -> Vec<String> {
        let name = |key: &str| layout.map_or_else(|| key.to_owned(), |layout| format!("{layout}/{key}"));
        template.commands.iter().map(|command| name(&command.key_text)).collect()
    };
    if device.layouts.all.is_empty() {
        return keys(None, &device.template);
    }
    device.layouts.all.iter().flat_map(|layout| keys(Some(&layout.name), &layout.template)).collect()
}

/// The gallery's fleet with these messages in the rule file of a protocol; or the errors: the message's name and the text.
fn with(name: &str, messages: &BTreeMap<String, Value>) -> Result<Fleet, Vec<(String, String)>> {
    let dir = tempfile::tempdir().unwrap();
    let from = root().join(name);
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let mut rules = json(&from.join("default.json"));
    rules["messages"] = json!(messages);
    std::fs::write(dir.path().join("default.json"), rules.to_string()).unwrap();
    let fleet = json(&root().join("sys_config.json"));
    let of = |fsu: &&Value| fsu["config_dir"] == format!("./{name}");
    let mut fsu = fleet["fsu_list"].as_array().unwrap().iter().find(of).unwrap().clone();
    fsu["config_dir"] = json!(".");
    std::fs::write(dir.path().join("sys_config.json"), json!({"fsu_list": [fsu]}).to_string()).unwrap();
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let errors = loader.diags.list().iter().filter(|one| one.severity == fsu_plan::config::diag::Severity::Error);
    let told = errors.map(|one| (loader.diags.steps(one).get(1).cloned().unwrap_or_default(), one.text.clone()));
    fleet.ok_or_else(|| told.collect())
}

/// Every entry of every protocol as a message: a frame is made, or told to need a request.
#[test]
fn no_message_has_anything_of_a_request() {
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &root().join("sys_config.json")).unwrap();
    let (mut made, mut left_out) = (0, 0);
    for fsu in &fleet.fsus {
        if !Path::new(&root().join(&*fsu.name).join("default.json")).is_file() {
            continue;
        }
        for device in fsu.devices.iter().filter(|device| device.layouts.home.is_none()).take(1) {
            let names = entries(device).into_iter().take(200).enumerate();
            let mut messages: BTreeMap<String, Value> =
                names.map(|(number, entry)| (format!("m{number}"), json!({"frame": entry, "on": "trigger"}))).collect();
            let fleet = loop {
                match with(&fsu.name, &messages) {
                    Ok(fleet) => break fleet,
                    Err(errors) => {
                        let before = messages.len();
                        for (name, text) in errors {
                            assert!(
                                text.contains("needs a request, and a message answers none"),
                                "{}: {text}",
                                fsu.name
                            );
                            left_out += usize::from(messages.remove(&name).is_some());
                        }
                        assert!(messages.len() < before, "{}", fsu.name);
                    }
                }
            };
            let conversation = fleet.fsus[0].devices[0].conversation.as_ref().unwrap();
            assert_eq!(conversation.messages.len(), messages.len());
            for message in &conversation.messages {
                let rule = &message.rule;
                assert_eq!(rule.frames.len(), rule.replies.len());
                assert!(!rule.replies.iter().any(|reply| asks(reply)), "{} {}: {rule:?}", fsu.name, message.name);
                made += 1;
            }
        }
    }
    assert!(made >= 145 && left_out < made / 8, "{made} made, {left_out} left out");
}

fn docs() -> PathBuf {
    root().join("../../docs")
}

/// The tracker of docs/describe/messages.md: what it says and hears, as the page has it.
struct Played {
    mock: Mock,
    connection: Option<Connection>,
    next_ms: Option<u64>,
    replies: Replies,
    lines: Vec<String>,
}

impl Played {
    fn new() -> Self {
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &docs().join("examples/tracker/sys_config.json"));
        assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [""; 0]);
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
        let mut mock = Mock::new(Arc::new(fleet.unwrap()), run);
        let mut replies = Replies::default();
        let next_ms = mock.on_start(0, Audience::None, moment(0), &mut replies);
        Self { mock, connection: None, next_ms, replies, lines: Vec::new() }
    }

    /// Writes down what was sent.
    fn told(&mut self, ms: u64) {
        for sent in self.replies.sent() {
            let what = if sent.what == Outgoing::Message { "says" } else { "replies" };
            self.lines.push(format!("{ms} {what} {}", hex::encode_upper(sent.bytes)));
        }
        self.replies.reset();
    }

    /// Everything that is due up to a moment is said.
    fn until(&mut self, ms: u64) {
        while let Some(due_ms) = self.next_ms.filter(|&due_ms| due_ms <= ms) {
            let audience = if self.connection.is_some() { Audience::Some } else { Audience::None };
            self.next_ms = self.mock.speak(0, audience, moment(due_ms), &mut self.replies);
            self.told(due_ms);
        }
    }

    /// Something happens to it: `connects`, `hears FRAME`, `trigger NAME ARGUMENT=VALUE...`.
    fn does(&mut self, ms: u64, what: &str) {
        self.until(ms);
        self.lines.push(format!("{ms} {what}"));
        match what.split(' ').collect::<Vec<_>>()[..] {
            ["connects"] => {
                self.connection = self.mock.open(0, ([127, 0, 0, 1], 9).into(), moment(ms), &mut self.replies);
                self.next_ms = self.mock.on_connected(0, moment(ms), &mut self.replies);
            }
            ["hears", frame] => {
                let (connection, bytes) = (self.connection.as_mut().unwrap(), hex::decode(frame).unwrap());
                self.mock.on_bytes(connection, &bytes, moment(ms), &mut self.replies);
                self.next_ms = self.mock.speak(0, Audience::Some, moment(ms), &mut self.replies);
            }
            ["trigger", name, ref args @ ..] => {
                let args: Vec<(&str, &str)> = args.iter().map(|arg| arg.split_once('=').unwrap()).collect();
                self.mock.trigger(0, name, &args, moment(ms)).unwrap();
                self.next_ms = self.mock.speak(0, Audience::Some, moment(ms), &mut self.replies);
            }
            _ => panic!("{what}"),
        }
        self.told(ms);
    }
}

/// 2026-01-12 17:30:03 at UTC, and so long after the start.
fn moment(ms: u64) -> Moment {
    Moment::at(Now { unix_ms: 1_768_239_003_000 + ms as i64, utc_offset_s: 0 }, ms)
}

/// What the page shows is what the tracker of its files says.
#[test]
fn the_tracker_says_what_its_page_shows() {
    for page in ["describe/messages.md", "zh/describe/messages.md"] {
        let text = std::fs::read_to_string(docs().join(page)).unwrap();
        let (_, block) = text.split_once("```text\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let mut played = Played::new();
        let mut end_ms = 0;
        for line in block.lines() {
            let (ms, what) = line.split_once(' ').unwrap();
            end_ms = ms.parse().unwrap();
            if !what.starts_with("says") && !what.starts_with("replies") {
                played.does(end_ms, what);
            }
        }
        played.until(end_ms);
        assert_eq!(played.lines.join("\n"), block.trim_end(), "{page}");
    }
}

/// The page shows the files of the tracker as they are.
#[test]
fn the_page_shows_every_file_as_it_is() {
    let example = docs().join("examples/tracker");
    for name in ["sys_config.json", "site/fsu_devices.json", "site/protocol.json", "site/default.json"] {
        let text = std::fs::read_to_string(example.join(name)).unwrap();
        for (page, colon) in [("describe/messages.md", ":"), ("zh/describe/messages.md", "：")] {
            let shown = format!("`{name}`{colon}\n\n```json\n{text}```\n");
            let page_text = std::fs::read_to_string(docs().join(page)).unwrap();
            assert!(page_text.contains(&shown), "{name} is not in {page} as it is");
        }
    }
}
