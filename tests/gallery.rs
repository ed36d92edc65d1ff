//! The gallery: every frame of every protocol is answered as its `frames.json` says, whole, in two pieces, and all in one; `explain`
//! knows every byte; and each directory is complete.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "gallery/mod.rs"]
mod gallery;

use clap::Parser as _;
use fsu_mock::args::{Cli, Command};
use fsu_mock::explain::explain;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Language;
use fsu_plan::texts::Texts;
use gallery::says::{Speaker, says};
use gallery::{Exchange, Frames, Talk, frames, hex, json, names, root};
use serde_json::Value;
use std::path::Path;

/// Calls `each` with every protocol of the gallery.
fn each(mut each: impl FnMut(&str, &Frames)) {
    let names = names();
    assert!(!names.is_empty());
    for name in names {
        each(&name, &frames(&name));
    }
}

#[test]
fn the_fleet_is_strictly_right() {
    let (fleet, lines) = gallery::fleet();
    assert_eq!(lines, [""; 0]);
    let fsus: Vec<&str> = fleet.fsus.iter().map(|fsu| &*fsu.name).collect();
    for name in names() {
        assert!(fsus.contains(&&*name), "{name} is not in gallery/sys_config.json: {fsus:?}");
    }
}

#[test]
fn every_directory_is_complete() {
    let documents = ["docs/describe/gallery.md", "docs/zh/describe/gallery.md"]
        .map(|name| std::fs::read_to_string(root().join("../..").join(name)).unwrap());
    for name in names() {
        let dir = root().join(&name);
        for file in ["fsu_devices.json", "template.json", "frames.json", "README.md"] {
            assert!(dir.join(file).is_file(), "{name} has no {file}");
        }
        assert!(gallery::rules(&name).is_object(), "{name}");
        let readme = std::fs::read_to_string(dir.join("README.md")).unwrap();
        let lines = readme.lines().filter(|line| !line.trim().is_empty()).count();
        assert!((6..=16).contains(&lines), "{name}: README.md has {lines} lines");
        let parts = ["Source:", "Covered:", "Not covered:", "fsu-mock ask --gallery", "fsu-mock flood --gallery"];
        for part in parts {
            assert!(readme.contains(part), "{name}: README.md does not have `{part}`");
        }
        assert_eq!(readme.contains("Device side:"), !says(&name).is_empty(), "{name}: README.md and frames.json");
        assert!(!json(&dir.join("frames.json"))["source"].as_str().unwrap().is_empty(), "{name}");
        for document in &documents {
            assert!(document.contains(&format!("`{name}`")), "{name} is not in docs/describe/gallery.md");
        }
        let answered = frames(&name).exchanges.iter().filter(|one| !one.replies.is_empty()).count();
        assert!(answered >= 3, "{name}: {answered} frames are answered");
    }
}

#[track_caller]
fn check(one: &Exchange, got: &[Vec<u8>], how: &str) {
    assert_eq!(hex(got), hex(&one.replies), "{}, {how}", one.name);
}

#[test]
fn every_frame_is_answered() {
    let (fleet, _) = gallery::fleet();
    each(|name, frames| {
        let mut talk = Talk::new(&fleet, name, frames.now_ms);
        for one in &frames.exchanges {
            check(one, &talk.ask(&one.request), "whole");
        }
        assert_eq!(
            talk.failures(),
            [0; 3],
            "{name}: values that do not fit, expressions without a value, entries dropped"
        );
    });
}

#[test]
fn every_frame_is_answered_in_two_pieces() {
    let (fleet, _) = gallery::fleet();
    each(|name, frames| {
        let longest = frames.exchanges.iter().map(|one| one.request.len()).max().unwrap_or(0);
        for split in 1..longest {
            let mut talk = Talk::new(&fleet, name, frames.now_ms);
            if !talk.is_stream() {
                return;
            }
            for one in &frames.exchanges {
                let (first, rest) = one.request.split_at(split.min(one.request.len()));
                let mut got = talk.send(first);
                got.extend(talk.send(rest));
                if got.is_empty() {
                    got = talk.wait();
                }
                check(one, &got, &format!("split after {split}"));
            }
        }
    });
}

#[test]
fn all_frames_in_one_piece_are_answered() {
    let (fleet, _) = gallery::fleet();
    each(|name, frames| {
        let all: Vec<u8> = frames.exchanges.iter().flat_map(|one| one.request.clone()).collect();
        let expected: Vec<Vec<u8>> = frames.exchanges.iter().flat_map(|one| one.replies.clone()).collect();
        // In one piece, and in two at some places; single frames were split at every place.
        for split in (0..all.len()).step_by(13) {
            let mut talk = Talk::new(&fleet, name, frames.now_ms);
            if !talk.is_stream() {
                return;
            }
            let mut got = talk.send(&all[..split]);
            got.extend(talk.send(&all[split..]));
            got.extend(talk.wait());
            assert_eq!(hex(&got), hex(&expected), "{name}, split after {split}");
        }
    });
}

/// A fleet of one protocol: each explanation reads all of its configuration.
fn alone(name: &str) -> tempfile::TempDir {
    let mut main = json(&root().join("sys_config.json"));
    let fsus = main["fsu_list"].as_array_mut().unwrap();
    fsus.retain(|fsu| fsu["fsuname"] == name);
    fsus[0]["config_dir"] = root().join(name).to_str().unwrap().into();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sys_config.json"), main.to_string()).unwrap();
    dir
}

/// What `explain --json` says.
fn explained(name: &str, config: &Path, frame: &[u8], more: &[&str]) -> Value {
    let (config, frame) = (config.to_str().unwrap(), hex::encode_upper(frame));
    let words = ["fsu-mock", "explain", "--json", "--config", config, "--fsu", name].into_iter();
    let cli = Cli::try_parse_from(words.chain(more.iter().copied()).chain([&*frame])).unwrap();
    let Command::Explain(args) = cli.command else { panic!("{cli:?}") };
    let mut out = Vec::new();
    explain(&args, Texts::of(Language::En), &mut out).unwrap_or_else(|error| panic!("{name} {frame}: {error:?}"));
    serde_json::from_slice(&out).unwrap()
}

/// The bytes that end fields, anywhere in a template.
fn untils(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            out.extend(object.get("until").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|one| untils(one, out));
        }
        Value::Array(list) => list.iter().for_each(|one| untils(one, out)),
        _ => {}
    }
}

/// Every byte of a frame is in one field, in order, and every check holds.
fn check_explained(name: &str, what: &str, frame: &[u8], told: &Value) {
    let items = told["items"].as_array().unwrap();
    let [item] = &items[..] else { panic!("{name}, {what}: {told:#}") };
    let template = json(&root().join(name).join("template.json"));
    let mut separators = Vec::new();
    untils(&template, &mut separators);
    let (mut all, mut at) = (String::new(), 0);
    for layer in item["layers"].as_array().unwrap() {
        for field in layer["fields"].as_array().unwrap() {
            let bytes = field["bytes"].as_str().unwrap();
            // What ends a field (`until`) is no part of it.
            let offset = field["offset"].as_u64().unwrap() as usize;
            if offset > at {
                let between = hex::encode_upper(&frame[at..offset]);
                assert!(separators.contains(&between), "{name}, {what}: {between} before {field}");
                at = offset;
                all.push_str(&between);
            }
            assert_eq!(offset, at, "{name}, {what}: {field}");
            assert_ne!(field["ok"], false, "{name}, {what}: {field}");
            at += bytes.len() / 2;
            all.push_str(bytes);
        }
    }
    let protocol = &template["protocol"];
    let bytes_of = |field: &Value| field["length"].as_u64().unwrap() as usize;
    let wire = match protocol["encoding"].as_str() {
        // All but the first and the last field travel as characters.
        Some("ascii_hex") => {
            let end = frame.len() - bytes_of(protocol["pdu_tailer"].as_array().unwrap().last().unwrap());
            let start = bytes_of(&protocol["pdu_left"][0]);
            let inner = String::from_utf8_lossy(&frame[start..end]).to_uppercase();
            format!("{}{inner}{}", hex::encode_upper(&frame[..start]), hex::encode_upper(&frame[end..]))
        }
        _ => hex::encode_upper(frame),
    };
    // What travels stuffed or changed is shown in plain form.
    if protocol["envelope"].is_null() && protocol["data_transform"].is_null() {
        assert_eq!(all, wire, "{name}, {what}");
    }
}

#[test]
fn explain_knows_every_byte() {
    each(|name, frames| {
        let fleet = alone(name);
        for one in &frames.exchanges {
            let told = explained(name, fleet.path(), &one.request, &[]);
            let item = &told["items"][0];
            // A request of another layout is taken for one.
            let has_layouts = json(&root().join(name).join("template.json"))["frames"].is_object();
            let has_replies = !told["replies"].as_array().unwrap().is_empty();
            let is_like = !has_layouts || has_replies != one.replies.is_empty();
            assert!(is_like, "{}: taken for {}", one.name, told["taken_for"]);
            // A request that is wrong on purpose is refused, with a reason, or waits for more.
            let is_right = item["faults"].as_array().is_none_or(Vec::is_empty);
            if is_right && item["verdict"]["what"] != "dropped" && item["verdict"]["what"] != "partial" {
                check_explained(name, &one.name, &one.request, &told);
            }
            for reply in &one.replies {
                check_explained(name, &one.name, reply, &explained(name, fleet.path(), reply, &["--as", "reply"]));
            }
        }
    });
}

#[test]
fn what_devices_say_is_in_the_file() {
    let (fleet, _) = gallery::fleet();
    for name in names() {
        let mut speaker = Speaker::new(&fleet, &name, gallery::NOW_MS);
        let all = says(&name);
        assert_eq!(all.is_empty(), !gallery::rules(&name)["messages"].is_object(), "{name}: messages and frames.json");
        for one in all {
            let (left, events) = speaker.step(&one);
            assert_eq!(hex(&left), hex(&one.leaves()), "{}: {events:?}", one.name);
            assert!(events.contains(&format!("{} sent", one.message)), "{}: {events:?}", one.name);
        }
        assert_eq!(speaker.failures(), [0; 2], "{name}: values that do not fit, expressions without a value");
    }
}

#[test]
fn those_that_dial_are_the_same_devices() {
    let main = |name: &str| json(&root().join(name))["fsu_list"].as_array().unwrap().clone();
    let speaks = |fsu: &&Value| !says(fsu["fsuname"].as_str().unwrap()).is_empty();
    let expected: Vec<Value> = main("sys_config.json")
        .iter()
        .filter(speaks)
        .map(|fsu| {
            let mut fsu = fsu.clone();
            fsu.as_object_mut().unwrap().remove("port");
            fsu["connect"] = serde_json::json!({"to": "127.0.0.1:26100"});
            fsu
        })
        .collect();
    assert_eq!(main("dial.json"), expected);
    let mut loader = Loader::new(Source::Directory);
    let file = loader.main_file(&root().join("dial.json"));
    let fleet = compile(&mut loader, &file);
    loader.diags.make_strict();
    assert_eq!(loader.diags.lines().collect::<Vec<_>>(), [""; 0]);
    assert!(fleet.is_some());
}
