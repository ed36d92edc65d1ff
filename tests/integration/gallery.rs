//! The gallery over its transports: the program, with both drivers, against `frames.json`, `ask` and the load generator.

#[path = "../gallery/mod.rs"]
mod files;

use crate::harness::{PROGRAM, Run, run_to_end};
use files::says::{Cause, Said, said_at, says};
use files::{Exchange, frames, names, replies_at, root};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const DRIVERS: [&str; 2] = ["poll", "auto"];

/// A copy of the gallery whose FSUs have free ports.
struct Copy {
    dir: TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap() };
        copy_files(&root(), copy.dir.path());
        let mut main = files::json(&root().join("sys_config.json"));
        main["log"]["dir"] = json!(copy.path("logs"));
        for fsu in main["fsu_list"].as_array_mut().unwrap() {
            fsu["port"] = json!(0);
        }
        std::fs::write(copy.path("sys_config.json"), main.to_string()).unwrap();
        copy
    }

    /// Changes the rules of every protocol.
    fn with_rules(self, change: impl Fn(&str, &mut Value)) -> Self {
        for name in names() {
            let mut rules = files::rules(&name);
            if rules["messages"].is_object() {
                change(&name, &mut rules);
                std::fs::write(self.path(&name).join("default.json"), rules.to_string()).unwrap();
            }
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, driver: &str) -> Run {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--driver", driver, "--config"]).arg(self.dir.path());
        command.args(["--seed", "1"]).arg("--stats").arg(self.path("stats.json")).current_dir(self.dir.path());
        Run::ready(&mut command, self.path("stats.json"))
    }
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_files(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).unwrap();
        }
    }
}

/// Other times, in ms since 1970: a byte that depends on the clock differs at one of them.
fn other_times() -> impl Iterator<Item = i64> {
    (1..48_i64).map(|n| files::NOW_MS + n * 3_727 * 86_400_000 / 10 + n * 7_411_137)
}

/// The mark around frames whose inside is escaped. A byte that depends on the clock, such as the sum, may need an escape at times, and
/// the frame is longer then.
const MARK: u8 = 0x7E;

/// Whether a frame is between two of them.
fn is_marked(frame: &[u8]) -> bool {
    frame.len() > 1 && frame.first() == Some(&MARK) && frame.last() == Some(&MARK)
}

/// The next frame of a stream, where that one is expected.
fn next_frame(stream: &mut crate::harness::Tcp, expected: &[u8]) -> Vec<u8> {
    if !is_marked(expected) {
        return stream.next(expected.len());
    }
    let mut frame = stream.next(2);
    while frame.last() != Some(&MARK) {
        frame.extend(stream.next(1));
    }
    frame
}

/// A frame without its escapes.
fn without_escapes(frame: &[u8]) -> Vec<u8> {
    if !is_marked(frame) {
        return frame.to_vec();
    }
    let mut bytes = frame.iter().copied();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == MARK - 1).then(|| bytes.next()).flatten();
        plain.push(escaped.map_or(byte, |code| MARK - 2 + code));
    }
    plain
}

/// Compares replies with the right ones, except for bytes that are not the same at all times.
fn compare(one: &Exchange, got: &[Vec<u8>], at_times: &[Vec<Vec<u8>>]) {
    let plain = |frames: &[Vec<u8>]| frames.iter().map(|frame| without_escapes(frame)).collect::<Vec<_>>();
    let (got, replies) = (plain(got), plain(&one.replies));
    let at_times: Vec<_> = at_times.iter().map(|frames| plain(frames)).collect();
    let sizes = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&got), sizes(&replies), "{}: {:?}", one.name, files::hex(&got));
    for (number, (got, expected)) in got.iter().zip(&replies).enumerate() {
        let differ = |pair: &[Vec<Vec<u8>>], at: usize| pair[0][number].get(at) != pair[1][number].get(at);
        let moves = |at: usize| one.has_clock && at_times.windows(2).any(|pair| differ(pair, at));
        let masked = |frame: &[u8]| -> Vec<u8> {
            frame.iter().enumerate().map(|(at, &byte)| if moves(at) { 0 } else { byte }).collect()
        };
        let still = (0..expected.len()).filter(|&at| !moves(at)).count();
        assert!(still > 0, "{}: all depends on the clock", one.name);
        assert_eq!(hex::encode_upper(masked(got)), hex::encode_upper(masked(expected)), "{}", one.name);
    }
}

#[test]
fn every_frame_is_answered_over_its_transport() {
    // What devices say unasked is below.
    let copy = Copy::new().with_rules(|_, rules| drop(rules.as_object_mut().unwrap().remove("messages")));
    let (fleet, _) = files::fleet();
    for driver in DRIVERS {
        let run = copy.run(driver);
        for name in names() {
            let frames = frames(&name);
            let times: Vec<_> = other_times().map(|now| replies_at(&fleet, &name, &frames, now)).collect();
            let is_stream = files::Talk::new(&fleet, &name, 0).is_stream();
            let (mut stream, datagrams) = (is_stream.then(|| run.tcp(&name)), (!is_stream).then(|| run.udp(&name)));
            for (number, one) in frames.exchanges.iter().enumerate() {
                let got: Vec<Vec<u8>> = match (&mut stream, &datagrams) {
                    (Some(stream), _) => {
                        stream.send(&one.request);
                        one.replies.iter().map(|reply| next_frame(stream, reply)).collect()
                    }
                    (None, Some(socket)) => {
                        socket.send(&one.request);
                        one.replies.iter().map(|_| socket.receive()).collect()
                    }
                    (None, None) => Vec::new(),
                };
                let at_times: Vec<_> = times.iter().map(|all| all[number].clone()).collect();
                compare(one, &got, &at_times);
            }
            // Nothing was sent that is not in the file.
            if let Some(mut stream) = stream {
                stream.0.shutdown(std::net::Shutdown::Write).unwrap();
                stream.expect_end();
            }
        }
        run.stop();
    }
}

/// A step of what a device says as an [`Exchange`], to compare what it sends.
fn sent(one: &Said) -> Exchange {
    Exchange { name: one.name.clone(), request: Vec::new(), replies: one.leaves(), has_clock: one.has_clock }
}

/// The steps that the program can take without triggers and without time: what is triggered follows what was said before it. They end
/// at a trigger that has arguments or is not the only one of its message, or that nothing but a request goes before.
fn steps(name: &str) -> Vec<Said> {
    let all = says(name);
    let times = |message: &str, before: usize| all[..before].iter().filter(|one| one.message == message).count();
    let is_last = |number: usize| match &all[number].cause {
        Cause::Trigger(args) => {
            let before = number.checked_sub(1).map(|before| &all[before]);
            let follows = before.is_none_or(|before| before.ack.is_some() || times(&before.message, all.len()) == 1);
            !args.is_empty() || times(&all[number].message, number) > 0 || !follows
        }
        Cause::Connect(_) => number > 0,
        Cause::Request(_) | Cause::Follows => false,
    };
    let mut steps = Vec::new();
    for (number, one) in all.iter().enumerate() {
        if is_last(number) {
            break;
        }
        let mut one = one.clone();
        // A wrong acknowledgement would be a right one.
        if CLOCK_IN_ACK.contains(&name) {
            one.ack = None;
        }
        steps.push(one);
        if CLOCK_IN_ACK.contains(&name) {
            break;
        }
    }
    steps
}

/// Their acknowledgements repeat a time of the message, so those of the file are right at one time only.
const CLOCK_IN_ACK: [&str; 1] = ["hj212"];

/// Rules with which the program takes those steps. No wait ends.
fn follow(name: &str, rules: &mut Value) {
    let messages = rules["messages"].as_object_mut().unwrap();
    let taken: Vec<String> = steps(name).into_iter().map(|one| one.message).collect();
    for (message, rule) in messages.iter_mut() {
        let rule = rule.as_object_mut().unwrap();
        rule.remove("every_ms");
        rule.entry("on").or_insert(json!("trigger"));
        // What is behind the last step does not follow its acknowledgement.
        if !taken.contains(message) {
            rule.insert("on".to_owned(), json!("trigger"));
        }
        if let Some(ack) = rule.get_mut("ack") {
            ack["within_ms"] = json!(3_600_000);
        }
    }
    let mut before: Option<(String, Value, bool)> = None;
    for one in steps(name) {
        if let Cause::Trigger(_) = one.cause {
            messages[&one.message]["on"] = match &before {
                None => json!("connect"),
                Some((before, _, true)) => json!(format!("ack:{before}")),
                Some((_, on, false)) => on.clone(),
            };
        }
        before = Some((one.message.clone(), messages[&one.message]["on"].clone(), one.ack.is_some()));
    }
}

#[test]
fn what_devices_say_leaves_over_its_transport() {
    let copy = Copy::new().with_rules(follow);
    let (fleet, _) = files::fleet();
    for driver in DRIVERS {
        let run = copy.run(driver);
        let mut acknowledged = 0;
        for name in names() {
            let at_times: Vec<_> = other_times().map(|now| said_at(&fleet, &name, now)).collect();
            let steps = steps(&name);
            let is_stream = files::Talk::new(&fleet, &name, 0).is_stream();
            let (mut stream, datagrams) = (is_stream.then(|| run.tcp(&name)), (!is_stream).then(|| run.udp(&name)));
            let send = |bytes: &[u8], stream: &mut Option<crate::harness::Tcp>| match (stream, &datagrams) {
                (Some(stream), _) => stream.send(bytes),
                (None, Some(socket)) => socket.send(bytes),
                (None, None) => {}
            };
            for (number, one) in steps.iter().enumerate() {
                if let Some((request, _)) = one.request() {
                    send(request, &mut stream);
                }
                let expected = sent(one);
                let got: Vec<Vec<u8>> = match (&mut stream, &datagrams) {
                    (Some(stream), _) => expected.replies.iter().map(|frame| next_frame(stream, frame)).collect(),
                    (None, Some(socket)) => expected.replies.iter().map(|_| socket.receive()).collect(),
                    (None, None) => Vec::new(),
                };
                compare(&expected, &got, &at_times.iter().map(|all| all[number].clone()).collect::<Vec<_>>());
                for frame in one.not_acks.iter().chain(&one.ack) {
                    send(frame, &mut stream);
                }
                acknowledged += u64::from(one.ack.is_some());
            }
            if let Some(mut stream) = stream {
                stream.0.shutdown(std::net::Shutdown::Write).unwrap();
                stream.expect_end();
            }
        }
        let ended = run.stop();
        assert_eq!(ended.count("/totals/messages_acknowledged"), acknowledged, "{driver}");
        assert!(acknowledged > 10, "{driver}");
    }
}

/// What `flood` reports of the FSUs of a transport.
fn flooded(copy: &Copy, run: &Run, more: &[&str]) -> (Option<i32>, Value) {
    std::fs::write(copy.path("ports.txt"), run.said.join("\n")).unwrap();
    let report = copy.path("report.json");
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--config").arg(copy.dir.path()).arg("--ports").arg(copy.path("ports.txt"));
    command.args(["--requests", "1000", "--seconds", "60", "--timeout-ms", "10000", "--quiet", "--json"]).arg(&report);
    let ended = run_to_end(command.args(more));
    (ended.code, files::json(&report))
}

#[test]
fn the_generator_verifies_every_command() {
    let copy = Copy::new();
    let run = copy.run("auto");
    let main = files::json(&copy.path("sys_config.json"));
    for (transport, option) in [("tcp", "--tcp"), ("broadcast", "--broadcast"), ("datagram", "--datagram")] {
        let fsus = main["fsu_list"].as_array().unwrap().iter().filter(|fsu| fsu["protocol_type"] == transport);
        for name in fsus.map(|fsu| fsu["fsuname"].as_str().unwrap()) {
            let (code, report) = flooded(&copy, &run, &[option, "--fsu", name]);
            assert_eq!(code, Some(0), "{name}: {:#}\n{:#}", report["verdict"], report["samples"]);
            let by_command = |key: &str| {
                let all = report["commands"].as_array().unwrap();
                all.iter().find(|one| one["command"] == key).map(|one| one["counts"]["good"].as_u64().unwrap())
            };
            let rules = files::rules(name);
            for key in commands(name) {
                let is_silent = |rule: &Value| rule["timeout"] == true;
                let rule = &rules[&key];
                let silent = is_silent(rule) || rule.as_array().is_some_and(|all| all.iter().all(is_silent));
                let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
                if !silent {
                    assert!(
                        by_command(&plain) > Some(0),
                        "{name} {key}: {:#}\n{:#}",
                        report["commands"],
                        report["left_out"]
                    );
                }
            }
        }
    }
    run.stop();
}

/// The keys of a protocol's commands that are requests.
fn commands(name: &str) -> Vec<String> {
    let template = files::json(&root().join(name).join("template.json"));
    let all = template["protocol"]["data_frame"].as_array().unwrap().iter();
    let all = all.filter(|command| command["direction"] != "up");
    all.map(|command| match &command["data_frame_type"] {
        Value::Array(parts) => parts.iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join("_"),
        key => key.as_str().unwrap().to_owned(),
    })
    .collect()
}

#[test]
fn the_gallery_is_inside_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let check = |args: &[&str], code: i32, expected: &str| {
        let ended = run_to_end(Command::new(PROGRAM).args(args).current_dir(dir.path()));
        let said = format!("{}\n{}", ended.stdout.join("\n"), ended.stderr);
        assert_eq!(ended.code, Some(code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    };
    let all = names().len();
    check(&["check", "--strict", "--gallery"], 0, &format!("ok: {all} FSUs, {all} devices, {all} templates"));
    check(&["init", "--gallery", "mine"], 0, "wrote ");
    check(&["check", "--strict", "mine"], 0, "ok: ");
    check(&["plan", "--list", "--gallery"], 0, "yd1363");
    check(&["run", "--gallery", "--config", "mine"], 2, "cannot be used with");
    check(&["check", "--gallery", "mine"], 2, "cannot be used with");
    check(&["check"], 2, "required");
    check(&["init", "--gallery", "--minimal", "other"], 2, "cannot be used with");
    let written = std::fs::read(dir.path().join("mine/schema/template.schema.json")).unwrap();
    assert_eq!(written, std::fs::read(root().join("../schema/template.schema.json")).unwrap());
}
