//! Parts of a fleet on hosts of their own: together they are the undivided fleet, and so is what `merge` makes of what they left.

use crate::harness::{PROGRAM, Run, Tree, Udp, fsu};
use crate::spaces::ip;
use crate::wire::{meter, request};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

const FSUS: usize = 40;
const ROUNDS: u8 = 4;
const METER: [u8; 2] = [1, 1];

/// Network namespaces as hosts, each with a loopback device alone; gone when they are dropped. None: all parts on this host.
struct Hosts(Vec<String>);

impl Hosts {
    fn new(many: usize) -> Self {
        let names = (0..many).map(|n| format!("fsu-{}-part-{many}-{n}", std::process::id()));
        let mut hosts = Self(Vec::new());
        for name in names {
            if !ip(&format!("netns add {name}")) {
                eprintln!("no network namespaces can be made here: all parts run on this host");
                return Self(Vec::new());
            }
            hosts.0.push(name);
            assert!(ip(&format!("-n {} link set lo up", hosts.0[hosts.0.len() - 1])));
        }
        hosts
    }

    /// The program, as that host runs it.
    fn program(&self, number: usize) -> Command {
        let Some(name) = self.0.get(number) else { return Command::new(PROGRAM) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name, PROGRAM]);
        command
    }

    /// Does something on that host.
    fn on<R: Send>(&self, number: usize, work: impl FnOnce() -> R + Send) -> R {
        let Some(name) = self.0.get(number) else { return work() };
        let space = File::open(format!("/var/run/netns/{name}")).expect("a namespace");
        let inside = move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).expect("it is ours");
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().expect("done"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.0 {
            // What is left is the machine's to see.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// Random replies, some of them damaged; the meter says hello to whoever comes.
fn tree() -> Tree {
    let tree = Tree::new(&[fsu("site", "10000000", "udp", &json!({"count": FSUS}))], &json!({}));
    let rules = json!({
        "messages": {"hello": {"frame": "05", "on": "connect", "data": {"tag": "01020304"}}},
        "01": {"data": {"level": "${rand(1, 60000)}$"}, "faults": {"bad_checksum": 0.3}},
        "02": {"timeout": true}, "03": {}, "05": {},
    });
    tree.write("meter/rules/default.json", &rules.to_string());
    tree
}

/// What the FSUs of a run sent, by name: in the order in which it was asked for.
type Said = BTreeMap<String, Vec<Vec<u8>>>;

/// Serves a part (`None`: all), asks each of its FSUs, and leaves its files in that directory.
fn serve(tree: &Tree, (hosts, number): (&Hosts, usize), part: Option<&str>, dir: &Path) -> Said {
    std::fs::create_dir_all(dir).expect("a directory");
    let file = |name: &str| dir.join(name);
    let mut command = hosts.program(number);
    command.arg("run").arg("--config").arg(tree.path("sys_config.json")).args(["--seed", "7"]);
    command.arg("--stats").arg(file("stats.json")).arg("--fault-ledger").arg(file("faults.jsonl"));
    command.arg("--message-ledger").arg(file("messages.jsonl")).arg("--log-dir").arg(file("logs"));
    if let Some(part) = part {
        command.args(["--partition", part]);
    }
    let run = Run::ready(&mut command, file("stats.json"));
    let names: Vec<String> = (0..FSUS).map(|n| format!("site_{:05}", n + 1)).collect();
    let names = names.into_iter().filter(|name| run.has(name));
    let said = names.map(|name| {
        let (address, id) = (run.address(&name), id_of(&name));
        let frames = hosts.on(number, move || {
            let centre = Udp::new(address);
            let ask = |round: u8| {
                centre.send(&request(&id, METER, &meter(1, 1, &[0, round])));
                // The hello comes with the first reply.
                (0..if round == 0 { 2 } else { 1 }).map(|_| centre.receive()).collect::<Vec<_>>()
            };
            (0..ROUNDS).flat_map(ask).collect::<Vec<_>>()
        });
        (name, frames)
    });
    let said = said.collect();
    assert_eq!(run.stop().code, Some(0));
    said
}

/// The ids count up with the names.
fn id_of(name: &str) -> String {
    let number: u32 = name.rsplit('_').next().expect("a number").parse().expect("a number");
    format!("{:08}", 10_000_000 + number - 1)
}

fn merge(out: &Path, dirs: &[PathBuf], more: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(PROGRAM).arg("merge").args(more).arg(out).args(dirs).output().expect("the program");
    (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

fn json_of(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

/// The lines of a ledger without their times, sorted.
fn lines(path: PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a ledger");
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            line.as_object_mut().expect("an object").remove("time");
            line.to_string()
        })
        .collect();
    lines.sort();
    lines
}

fn parts_are_the_whole(many: usize) {
    let (tree, hosts) = (tree(), Hosts::new(many));
    let whole = tree.path("undivided");
    let undivided = serve(&tree, (&hosts, 0), None, &whole);
    assert_eq!(undivided.len(), FSUS);
    let dirs: Vec<PathBuf> = (0..many).map(|n| tree.path(&format!("part-{n}"))).collect();
    let mut together = Said::new();
    for (number, dir) in dirs.iter().enumerate() {
        let said = serve(&tree, (&hosts, number), Some(&format!("{number}/{many}")), dir);
        assert!(said.keys().all(|name| !together.contains_key(name)));
        together.extend(said);
    }
    assert_eq!(together, undivided, "the replies of {many} parts");
    let out = tree.path("merged");
    // The order of the directories does not matter.
    let turned: Vec<PathBuf> = dirs.iter().rev().cloned().collect();
    let (code, text) = merge(&out, &turned, &[]);
    assert!(code == Some(0) || text.contains("not valid"), "{code:?} {text}");
    let (merged, expected) = (json_of(out.join("stats.json")), json_of(whole.join("stats.json")));
    for key in ["totals", "gone", "transports"] {
        assert_eq!(merged[key], expected[key], "{key} of {many} parts");
    }
    let counts =
        |stats: &Value| stats["fsus"].as_array().expect("a list").iter().map(without_shard).collect::<Vec<_>>();
    assert_eq!(counts(&merged), counts(&expected), "{many} parts");
    for key in ["sent", "acknowledged", "pending"] {
        assert_eq!(merged["messages"][0][key], expected["messages"][0][key]);
    }
    // Times differ from run to run; the histogram of all parts is the sum of theirs.
    let mut steps = BTreeMap::<u64, u64>::new();
    for stats in dirs.iter().map(|dir| json_of(dir.join("stats.json"))) {
        for step in stats["lateness_steps"].as_array().expect("a list") {
            *steps.entry(step[0].as_u64().expect("a step")).or_default() += step[1].as_u64().expect("a count");
        }
    }
    assert_eq!(merged["lateness_steps"], json!(steps.into_iter().collect::<Vec<_>>()));
    assert_eq!(merged["lateness"]["replies"], expected["lateness"]["replies"]);
    assert_eq!(merged["merged"]["missing"], json!([]));
    assert_eq!(merged["merged"]["fsus"], FSUS);
    for ledger in ["faults.jsonl", "messages.jsonl"] {
        let got = lines(out.join(ledger));
        assert!(!got.is_empty());
        assert_eq!(got, lines(whole.join(ledger)), "{ledger} of {many} parts");
    }
}

/// What an FSU counted; which shard of which process it was on may differ.
fn without_shard(fsu: &Value) -> Value {
    let mut fsu = fsu.clone();
    fsu.as_object_mut().expect("an object").remove("shard");
    fsu
}

#[test]
fn two_parts_are_the_whole() {
    parts_are_the_whole(2);
}

#[test]
fn four_parts_are_the_whole() {
    parts_are_the_whole(4);
}

#[test]
fn eight_parts_are_the_whole() {
    parts_are_the_whole(8);
}

#[test]
fn parts_that_do_not_belong_together_are_not_merged() {
    let (tree, hosts) = (tree(), Hosts(Vec::new()));
    let dirs: Vec<PathBuf> = (0..2).map(|n| tree.path(&format!("part-{n}"))).collect();
    for (number, dir) in dirs.iter().enumerate() {
        serve(&tree, (&hosts, 0), Some(&format!("{number}/3")), dir);
    }
    let out = tree.path("merged");
    let check = |dirs: &[PathBuf], more: &[&str], expected: (i32, &str)| {
        let (code, text) = merge(&out, dirs, more);
        assert!(code == Some(expected.0) && text.contains(expected.1), "{code:?} {text}\nexpected {expected:?}");
    };
    check(&dirs, &[], (2, "stats.json: 1 part missing: 2 (--allow-missing merges the others)"));
    assert!(!out.exists());
    check(&dirs, &["--allow-missing"], (0, "2 of 3 parts"));
    let share = json_of(out.join("stats.json"))["merged"].clone();
    assert_eq!((&share["missing"], &share["fsus_of"]), (&json!([2]), &json!(FSUS)));
    let copy = tree.path("copy");
    std::fs::create_dir_all(&copy).expect("a directory");
    std::fs::copy(dirs[0].join("stats.json"), copy.join("stats.json")).expect("copied");
    check(&[dirs[0].clone(), copy], &["--allow-missing"], (2, "part 0 is also in"));
    // Ledgers have no part: the same directory twice would double their lines.
    let ledger = tree.path("ledger");
    std::fs::create_dir_all(&ledger).expect("a directory");
    std::fs::write(ledger.join("messages.jsonl"), "{\"t\":1}\n").expect("written");
    for again in [ledger.clone(), ledger.join("../ledger/.")] {
        check(
            &[dirs[1].clone(), ledger.clone(), again],
            &["--allow-missing"],
            (2, "ledger: its files would count twice"),
        );
    }
    check(&[dirs[0].clone(), out.clone()], &[], (2, "the result goes here"));
    // Another configuration.
    tree.write("meter/rules/default.json", r#"{"01": {}, "02": {}, "03": {}, "05": {}}"#);
    let other = tree.path("other");
    serve_other(&tree, &other);
    check(&[dirs[0].clone(), other], &["--allow-missing"], (2, "the hash of the configuration is"));
    check(&[tree.path("meter")], &[], (2, "nothing to merge"));
    check(&[tree.path("nowhere")], &[], (2, "nowhere: "));
}

/// Part 2 of 3, of whatever the configuration is now.
fn serve_other(tree: &Tree, dir: &Path) {
    std::fs::create_dir_all(dir).expect("a directory");
    let run = Run::with_stats(tree, &["--seed", "7", "--partition", "2/3"], dir.join("stats.json"));
    assert_eq!(run.stop().code, Some(0));
}

#[test]
fn a_generator_asks_its_part() {
    let tree = tree();
    let run = Run::start(&tree, &["--seed", "7"]);
    let ports = tree.path("ports");
    std::fs::write(&ports, run.said.join("\n")).expect("written");
    let sent = (0..3).map(|part| {
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--quiet", "--requests", "1000", "--mix", "01", "--max-loss", "100"]);
        command.args(["--partition", &format!("{part}/3"), "--json", "-"]);
        command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(&ports);
        let done = command.output().expect("the program");
        let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
        let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).expect("a number");
        (number("/run/fsus"), number("/totals/sent_all"))
    });
    let sent: Vec<(u64, u64)> = sent.collect();
    assert_eq!(sent.iter().map(|(fsus, _)| fsus).sum::<u64>(), FSUS as u64, "{sent:?}");
    assert_eq!(sent.iter().map(|(_, sent)| sent).sum::<u64>(), 1_000, "{sent:?}");
    assert_eq!(run.stop().count("/totals/received"), 1_000);
}

#[test]
fn a_part_is_written_as_k_of_n() {
    let tree = tree();
    for (part, expected) in
        [("2/2", "part 2 of 2: the parts are 0 to 1"), ("1", "K/N: the part, from 0"), ("0/0", "0 parts (1 to 4096)")]
    {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(tree.path("sys_config.json")).args(["--partition", part]);
        let done = command.output().expect("the program");
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && text.contains(expected), "{part}: {text}");
    }
}
