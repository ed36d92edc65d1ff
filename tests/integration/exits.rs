//! How a run ends, and what it says when it does not begin.

use crate::harness::{Ended, PROGRAM, Run, Tree, assert_bytes, fsu, run_to_end};
use crate::wire::{meter, reply, request};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

const ID: &str = "20250125";

fn one() -> Tree {
    Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}))
}

/// `run` with the tree's configuration; it has to end by itself.
fn run(tree: &Tree, args: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--config").arg(tree.path("sys_config.json")).args(args).current_dir(tree.path(""));
    run_to_end(&mut command)
}

#[track_caller]
fn assert_exit(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for text in said {
        assert!(ended.stderr.contains(text), "{text:?} is not in:\n{}", ended.stderr);
    }
    assert!(!ended.stdout.iter().any(|line| line.starts_with("ready")), "{ended:?}");
}

#[test]
fn sigterm_and_sigint_end_well() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let tree = one();
        let run = Run::start(&tree, &["--seed", "7", "--shards", "1"]);
        run.signal(signal);
        let ended = run.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stats["version"], 1);
        assert_eq!(ended.stats["run"]["seed"], 7);
        assert_eq!(ended.stats["run"]["ended_by"], name);
        assert_eq!(ended.stats["shards"].as_array().map(Vec::len), Some(1));
        assert_eq!(ended.stats["fsus"][0]["name"], "site");
        assert!(ended.stdout.iter().any(|line| line.contains("received")), "a table: {ended:?}");
    }
}

#[test]
fn what_is_due_is_sent_before_the_end() {
    let tree = one();
    let run = Run::start(&tree, &[]);
    let centre = run.udp("site");
    centre.send(&request(ID, [1, 1], &meter(1, 4, &[])));
    // Datagrams are read in their order: after this answer the slow one is pending.
    centre.ask(&request(ID, [1, 1], &meter(1, 1, &[0, 1])));
    run.signal(Signal::TERM);
    assert_bytes(&centre.receive(), &reply(ID, [1, 1], &meter(1, 4, &[])));
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.count("/totals/answered"), 2);
    assert_eq!(ended.count("/totals/dropped/drain_ended"), 0);
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let tree = one();
        let run = Run::start(&tree, &[]);
        let centre = run.udp("site");
        centre.send(&request(ID, [1, 1], &meter(1, 4, &[])));
        centre.ask(&request(ID, [1, 1], &meter(1, 1, &[0, 1])));
        run.signal(Signal::TERM);
        // Sooner than 200 ms after the first it would be a repeat of that; the slow reply takes 4 s.
        std::thread::sleep(std::time::Duration::from_secs(1));
        run.signal(signal);
        assert_eq!(run.wait().code, Some(code));
    }
}

#[test]
fn errors_of_the_configuration() {
    let tree = one();
    tree.write(
        "meter/rules/default.json",
        "{\n  \"01\": {\"data\": {\"level\": \"${nonsense()}$\", \"colour\": 1}}\n}",
    );
    let ended = run(&tree, &[]);
    assert_exit(&ended, 1, &["default.json:2:", "/01/data/level", "nonsense", "/01/data/colour"]);
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn usage_and_unreadable_files() {
    let tree = one();
    assert_exit(&run(&tree, &["--nonsense"]), 2, &["--nonsense"]);
    assert_exit(&run(&tree, &["--driver", "magic"]), 2, &["magic"]);
    assert_exit(&run(&tree, &["--cpus", "0,x"]), 2, &["--cpus 0,x", "0-3,5"]);
    assert_exit(&run(&tree, &["--cpus", "1023"]), 2, &["processor 1023", "allowed: "]);
    assert_exit(&run(&tree, &["--stats", "no/such/directory/stats.json"]), 2, &["no/such/directory/stats.json"]);
    let mut absent = Command::new(PROGRAM);
    absent.arg("run").arg("--config").arg(tree.path("absent.json")).current_dir(tree.path(""));
    assert_exit(&run_to_end(&mut absent), 2, &["absent.json"]);
}

#[test]
fn every_socket_that_cannot_be_bound_is_named() {
    let taken_udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let taken_tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (udp, tcp) = (taken_udp.local_addr().unwrap(), taken_tcp.local_addr().unwrap());
    let fsus: [Value; 3] = [
        fsu("first", "1", "udp", &json!({"port": udp.port()})),
        fsu("second", "2", "udp", &json!({})),
        fsu("third", "3", "tcp", &json!({"port": tcp.port()})),
    ];
    let ended = run(&Tree::new(&fsus, &json!({})), &[]);
    assert_exit(&ended, 3, &["first", &udp.to_string(), "third", &tcp.to_string(), "in use"]);
    assert!(!ended.stderr.contains("second"), "{ended:?}");
}

#[test]
fn a_second_instance_cannot_take_the_ports_of_the_first() {
    let tree = one();
    let first = Run::start(&tree, &[]);
    let port = first.address("site").port();
    let second = run(&Tree::new(&[fsu("again", ID, "udp", &json!({"port": port}))], &json!({})), &[]);
    assert_exit(&second, 3, &["again", &first.address("site").to_string()]);
    first.stop();
}

/// `run`, after the shell has set a limit.
fn limited(tree: &Tree, limit: &str) -> Ended {
    let script = format!("ulimit {limit} && exec \"$0\" run --config \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, PROGRAM]).arg(tree.path("sys_config.json")).current_dir(tree.path(""));
    run_to_end(&mut command)
}

#[test]
fn requirements_of_the_machine() {
    let fsus: Vec<Value> = (10..60).map(|n| fsu(&format!("site{n}"), &n.to_string(), "tcp", &json!({}))).collect();
    let tree = Tree::new(&fsus, &json!({}));
    assert_exit(&limited(&tree, "-n 70"), 4, &["open files: ", "the limit is 70", "ulimit -n "]);
    let memory = ["locked memory: 512 KiB are needed, the limit is 64 KiB", "ulimit -l 512"];
    assert_exit(&limited(&tree, "-l 64"), 4, &memory);
}

#[test]
fn a_soft_limit_is_raised() {
    let tree = one();
    let script = "ulimit -Sn 64 && ulimit -Sl 64 && exec \"$0\" run --config \"$1\" --stats \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).arg(tree.path("sys_config.json")).arg(tree.path("stats.json"));
    Run::ready(command.current_dir(tree.path("")), tree.path("stats.json")).stop();
}

#[test]
fn the_embedded_configuration_is_served_without_any() {
    let tree = one();
    let mut command = Command::new(PROGRAM);
    // An address of its own: the ports are those of the embedded configuration.
    command.args(["run", "--bind", "127.0.0.77", "--stats"]).arg(tree.path("stats.json")).current_dir(tree.path(""));
    let run = Run::ready(&mut command, tree.path("stats.json"));
    assert!(run.said.iter().any(|line| line.contains("127.0.0.77")), "{:?}", run.said);
    let ended = run.stop();
    assert_eq!(ended.stats["run"]["config"], Value::Null);
    assert!(ended.stats["fsus"].as_array().is_some_and(|fsus| fsus.len() > 1));
}
