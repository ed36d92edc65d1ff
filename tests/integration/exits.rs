//! How a run ends, and what it prints if it does not start.

use crate::harness::{Ended, PROGRAM, Run, Tree, Udp, assert_bytes, fsu, run_to_end, until};
use crate::wire::{meter, reply, request};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

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

/// Starts it with its text on stderr, and ends it after `ready`. Returns exit code, stdout, stderr.
fn words_on_stderr(tree: &Tree, args: &[&str]) -> (Option<i32>, String, String) {
    let mut child = Command::new(PROGRAM)
        .args(["run", "--config", "sys_config.json"])
        .args(args)
        .current_dir(tree.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.lines().any(|line| line.starts_with("ready: ") || line.starts_with("就绪：")) {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap(), said)
}

/// Names of an object and of those below it.
fn names(json: &Value, out: &mut Vec<String>) {
    for (name, value) in json.as_object().into_iter().flatten() {
        out.push(name.clone());
        names(value, out);
    }
}

#[test]
fn a_run_speaks_chinese_and_its_json_stays_as_it_is() {
    let tree = one();
    let of = |lang: &str| {
        let (code, stdout, stderr) = words_on_stderr(&tree, &["--lang", lang, "--stats", "-", "--seed", "7"]);
        assert_eq!(code, Some(0), "{stderr}");
        let stats: Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
        let mut all = Vec::new();
        names(&stats, &mut all);
        (all, stderr)
    };
    let ((english, told), (chinese, said)) = (of("en"), of("zh"));
    assert_eq!(english, chinese);
    assert!(english.len() > 100, "{english:?}");
    // For programs.
    for text in ["listening site udp ", "udp"] {
        assert!(told.contains(text) && said.contains(text), "{text}: {said}");
    }
    for (english, chinese) in [
        (" serves ", " 运行"),
        ("transport  ", "传输方式"),
        ("\n  shards       1 on processor", "\n  分片         1 个，位于处理器"),
        ("\n  seed         7 (--seed 7 repeats", "\n  种子         7（--seed 7 重现"),
        ("\nready: 1 FSU on 1 shard, driver ", "\n就绪：1 个 FSU，1 个分片，驱动 "),
        ("beats sent", "发出心跳"),
    ] {
        assert!(told.contains(english), "{english:?} is not in\n{told}");
        assert!(said.contains(chinese), "{chinese:?} is not in\n{said}");
    }
}

#[test]
fn n18_a_dash_is_standard_output_and_carries_nothing_else() {
    let tree = one();
    let (code, stdout, stderr) = words_on_stderr(&tree, &["--stats", "-"]);
    assert_eq!(code, Some(0), "{stderr}");
    let stats: Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    assert_eq!(stats["version"], 1);
    assert!(stderr.contains("listening site udp ") && stderr.contains("received"), "{stderr}");
    assert!(!tree.path("-").exists());
    let (code, stdout, stderr) = words_on_stderr(&tree, &["--fault-ledger", "-"]);
    assert_eq!((code, &*stdout), (Some(0), ""), "{stderr}");
    let ended = run(&tree, &["--stats", "-", "--fault-ledger", "-"]);
    assert_exit(&ended, 2, &["--stats, --fault-ledger: only one of them can be `-`"]);
}

#[test]
fn n18_logs_that_cannot_be_written_stop_the_start() {
    let tree = one();
    tree.write("file", "");
    assert_exit(&run(&tree, &["--log-dir", "file"]), 2, &["--log-dir: no log can be written in file: "]);
    assert_exit(&run(&tree, &["--log-dir", "file/below"]), 2, &["Not a directory"]);
    assert_exit(&run(&tree, &["--fault-ledger", "file/x"]), 2, &["--fault-ledger file/x: cannot be written: "]);
    assert_exit(&run(&tree, &["--stats", "file/x"]), 2, &["--stats file/x: cannot be written: "]);
    let path = tree.path("file").display().to_string();
    tree.set_fsus(&[fsu("site", ID, "udp", &json!({}))], &json!({"log": {"dir": path}}));
    assert_exit(&run(&tree, &[]), 2, &["log.dir: no log can be written in "]);
    // The device log's own directory.
    tree.write("logs/devices", "");
    assert_exit(&run(&tree, &["--log-dir", "logs"]), 2, &["--log-dir: no log can be written in logs/devices: "]);
    // What is not written is not asked for.
    tree.set_fsus(&[fsu("site", ID, "udp", &json!({}))], &json!({"log": {"dir": path, "level": "off"}}));
    Run::start(&tree, &["--performance"]).stop();
}

#[test]
fn n19_a_terminal_shows_each_thing_once() {
    let tree = one();
    let terminal = Terminal::new();
    let mut child =
        terminal.start(Command::new(PROGRAM).args(["run", "--config", "sys_config.json"]).current_dir(tree.path("")));
    tree.until_logged("ready: ");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let shown = terminal.read_to_end();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown}");
    for once in ["serves sys_config.json", "driver ", "ready: ", "listening site ", "SIGTERM: stopping", "ended after"]
    {
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains(once) && !line.starts_with("ready")).collect();
        let ready = shown.lines().filter(|line| once == "ready: " && line.starts_with(once));
        assert_eq!(lines.len() + ready.count(), 1, "{once}:\n{shown}");
    }
    let log = tree.system_log();
    for kept in ["serves sys_config.json", "driver ", "ready: ", "listening site ", "SIGTERM: stopping", "ended after"]
    {
        assert!(log.contains(kept), "{kept}:\n{log}");
    }
}

/// A standard error that is full and is not read while the first of these is kept.
fn full_stderr() -> (std::io::PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4_096]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer.into())
}

#[test]
fn h14_stderr_that_nobody_reads_keeps_nothing_from_being_served_and_ended() {
    let tree = one();
    let (reader, stderr) = full_stderr();
    let out = std::fs::File::create(tree.path("out.txt")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config", "sys_config.json"]).current_dir(tree.path(""));
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(stderr).spawn().unwrap();
    tree.until_logged("ready: ");
    let said = std::fs::read_to_string(tree.path("out.txt")).unwrap();
    let address = said.lines().find_map(|line| line.strip_prefix("listening site udp ")).expect("it listens");
    let centre = Udp::new(address.parse().unwrap());
    let asked = request(ID, [1, 1], &meter(1, 1, &[0, 1]));
    let answer = centre.ask(&asked);
    let good = std::fs::read_to_string(tree.path("sys_config.json")).unwrap();
    tree.write("sys_config.json", "{");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    tree.until_logged("reload failed");
    assert_eq!(centre.ask(&asked), answer);
    tree.write("sys_config.json", &good);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    tree.until_logged("reloaded: ");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", tree.system_log());
    drop(reader);
}

#[test]
fn h14_errors_that_nobody_reads_are_exit_codes_all_the_same() {
    let tree = one();
    tree.write("bad.json", "{");
    for (args, code) in [(&["run", "--nonsense"][..], 2), (&["run", "--config", "bad.json"], 1), (&["check", "no"], 2)]
    {
        let (_reader, stderr) = full_stderr();
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(tree.path("")).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        until("it ends", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?}");
    }
}

/// A terminal; this is the user's end.
struct Terminal(std::fs::File);

impl Terminal {
    fn new() -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&end).unwrap();
        unlockpt(&end).unwrap();
        Self(end.into())
    }

    /// Starts a command with stdout and stderr on it.
    fn start(&self, command: &mut Command) -> std::process::Child {
        let path = ptsname(&self.0, Vec::new()).unwrap().into_string().unwrap();
        let other = std::fs::File::options().read(true).write(true).open(path).unwrap();
        command.stdin(Stdio::null()).stdout(other.try_clone().unwrap()).stderr(other).spawn().unwrap()
    }

    /// What is shown until the other end is closed.
    fn read_to_end(mut self) -> String {
        let mut bytes = Vec::new();
        // Its end is an error (EIO).
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap().replace('\r', "")
    }
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

/// `run`, after a shell has set a limit.
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
