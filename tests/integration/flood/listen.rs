//! `flood` as a centre: devices that are played by hand, and the program's own.

use super::METER;
use crate::harness::{PATIENCE, PROGRAM, Run, Tree, fsu, run_to_end, until};
use crate::wire::{meter, reply, through};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread::{JoinHandle, spawn};

/// The meter greets whoever connects, and raises alarms, which differ in the level. 03 acknowledges both by the tag, and answers nothing.
const RULES: &str = r#"{
  "01": {"data": {"level": 513}}, "02": {"timeout": true}, "04": {}, "05": {},
  "messages": {
    "hello": {"frame": "01", "on": "connect", "data": {"{pdu_left}address": "${param(at)}$", "tag": "AAAA", "level": 1},
      "ack": {"frame": "03", "match": "tag", "within_ms": 300, "retries": 9}},
    "alarm": {"frame": "01", "on": ["ack:hello", "ack:alarm"], "when": "reg(alarms) < 3", "set": {"alarms": "${reg(alarms) + 1}$"}, "data": {"{pdu_left}address": "${param(at)}$", "tag": "${hex(count(alarms, 4096), 4)}$", "level": 2},
      "ack": {"frame": "03", "match": "tag", "within_ms": 300, "retries": 8}}
  }
}"#;

fn fleet() -> Tree {
    let of = |at: &str| json!({"params": {"at": at}});
    let tree = Tree::new(
        &[
            fsu("stream", "20250127", "tcp", &of("11")),
            fsu("other", "20250128", "tcp", &of("12")),
            fsu("outer", "20250129", "udp", &of("13")),
            fsu("bare", "20250130", "datagram", &of("14")),
        ],
        &json!({}),
    );
    tree.write("meter/rules/default.json", RULES);
    tree
}

/// A centre that listens.
pub(super) struct Centre {
    child: Child,
    address: SocketAddr,
    rest: JoinHandle<String>,
}

impl Centre {
    fn start(tree: &Tree, args: &[&str]) -> Self {
        Self::listen(tree, &["127.0.0.1:0"], args)
    }

    pub(super) fn listen(tree: &Tree, at: &[&str], args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--listen"]).args(at).arg("--config").arg(tree.path("sys_config.json"));
        command.arg("--json").arg(tree.path("report.json")).args(args).current_dir(tree.path(""));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening ").unwrap_or_else(|| panic!("{line}")).parse();
        let rest = spawn(move || {
            let mut rest = String::new();
            errors.read_to_string(&mut rest).expect("text");
            rest
        });
        Self { child, address: address.expect("an address"), rest }
    }

    pub(super) fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream
    }

    /// Waits until it ends by itself. Returns its exit code, what it printed, and its report.
    pub(super) fn end(mut self, tree: &Tree) -> (Option<i32>, String, Value) {
        let mut said = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
        let code = self.child.wait().expect("it ends").code();
        let errors = self.rest.join().expect("read");
        let report = std::fs::read_to_string(tree.path("report.json")).unwrap_or_else(|_| panic!("{said}{errors}"));
        (code, said, serde_json::from_str(&report).expect("JSON"))
    }

    /// Ends it. Returns its exit code, what it printed, and its report.
    pub(super) fn stop(self, tree: &Tree) -> (Option<i32>, String, Value) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
        self.end(tree)
    }
}

fn expect(stream: &mut impl Read, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).expect("an acknowledgement");
    assert_eq!(hex::encode(found), hex::encode(expected));
}

/// received, retried, wrong, acked of a message
pub(super) fn counts(report: &Value, message: &str) -> [u64; 4] {
    let all = report["messages"]["messages"].as_array().expect("messages");
    let of = all.iter().find(|one| one["message"] == message).expect("the message");
    ["received", "retried", "wrong", "acked"].map(|name| of[name].as_u64().expect("a count"))
}

#[test]
fn devices_by_hand_are_verified_and_acknowledged() {
    let tree = fleet();
    let centre = Centre::start(&tree, &["--message-ledger", "centre.jsonl", "--html", "page.html"]);
    let mut stream = centre.dial();
    let hello = meter(0x11, 1, &[0xAA, 0xAA, 0, 1]);
    stream.write_all(&hello[..3]).expect("written");
    stream.write_all(&hello[3..]).expect("written");
    expect(&mut stream, &meter(0x11, 3, &[0xAA, 0xAA]));
    // Another level, noise, and an alarm.
    let wrong = meter(0x11, 1, &[0xAA, 0xAA, 0, 3]);
    stream.write_all(&[&*wrong, b"noise", &*meter(0x11, 1, &[1, 2, 0, 2])].concat()).expect("written");
    expect(&mut stream, &meter(0x11, 3, &[1, 2]));
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    udp.set_read_timeout(Some(PATIENCE)).expect("not zero");
    udp.connect(centre.address).expect("an address");
    let mut buffer = [0; 2048];
    udp.send(&reply("20250129", METER, &meter(0x13, 1, &[0, 9, 0, 2]))).expect("sent");
    let len = udp.recv(&mut buffer).expect("an acknowledgement");
    assert_eq!(through(&buffer[..len]), meter(0x13, 3, &[0, 9]));
    udp.send(&meter(0x14, 1, &[0, 8, 0, 2])).expect("sent");
    let len = udp.recv(&mut buffer).expect("an acknowledgement");
    assert_eq!(buffer[..len], *meter(0x14, 3, &[0, 8]));
    drop(stream);
    let (code, said, report) = centre.stop(&tree);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!((counts(&report, "hello"), counts(&report, "alarm")), ([1, 0, 1, 1], [3, 0, 0, 3]));
    assert_eq!(report["failures"], json!(["1 wrong message", "5 bytes of connections are no frame"]));
    assert_eq!((&report["messages"]["fsus"], &report["messages"]["connections"]["accepted"]), (&json!(3), &json!(1)));
    assert_eq!(report["messages"]["wrong_by"], json!({"static_value": 1}));
    assert!(said.ends_with("FAILED: 1 wrong message, 5 bytes of connections are no frame\n"), "{said}");
    assert!(std::fs::read_to_string(tree.path("page.html")).expect("a page").contains("<h2>Messages</h2>"));
    let ledger = std::fs::read_to_string(tree.path("centre.jsonl")).expect("a ledger");
    let lines: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<String> =
        lines.iter().map(|line| format!("{} {} {}", line["fsu"], line["message"], line["event"])).collect();
    let expected = ["stream hello", "stream alarm", "outer alarm", "bare alarm"].into_iter().flat_map(|whose| {
        let (fsu, message) = whose.split_once(' ').expect("two words");
        ["received", "acked"].map(|event| format!("\"{fsu}\" \"{message}\" \"{event}\""))
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
}

/// Connects an FSU that listens with the centre, both ways.
fn splice(fsu: SocketAddr, centre: SocketAddr) -> Vec<JoinHandle<()>> {
    let (one, other) = (TcpStream::connect(fsu).expect("it accepts"), TcpStream::connect(centre).expect("it accepts"));
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        spawn(move || {
            // The end of either is the end of both.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        })
    };
    let copies = (one.try_clone().expect("a copy"), other.try_clone().expect("a copy"));
    vec![pump(one, other), pump(copies.1, copies.0)]
}

/// The mock's devices with a centre that leaves half of the acknowledgements out and sends others wrong: every message is acknowledged
/// in the end, and both ends tell the same of each.
#[test]
fn what_a_centre_leaves_out_is_sent_again_and_both_ends_agree() {
    let tree = fleet();
    let args =
        ["--ack-drop", "40%", "--ack-wrong", "0.3", "--seed", "7", "--message-ledger", "centre.jsonl", "--quiet"];
    let centre = Centre::start(&tree, &args);
    let run = Run::start(&tree, &["--message-ledger", "mock.jsonl"]);
    let pumps: Vec<JoinHandle<()>> =
        ["stream", "other"].into_iter().flat_map(|name| splice(run.address(name), centre.address)).collect();
    let acked = || {
        let ledger = std::fs::read_to_string(tree.path("centre.jsonl")).unwrap_or_default();
        ledger.lines().filter(|line| line.contains("\"acked\"")).count()
    };
    until("all messages are acknowledged", || acked() >= 8);
    let ended = run.stop();
    let (code, said, report) = centre.stop(&tree);
    for pump in pumps {
        pump.join().expect("it ends");
    }
    assert_eq!(code, Some(0), "{said}");
    let ([hello, _, _, greeted], [alarms, again, wrong, acked]) = (counts(&report, "hello"), counts(&report, "alarm"));
    assert_eq!((hello, greeted, alarms, wrong, acked), (2, 2, 6, 0, 6), "{said}\n{}", ended.stdout.join("\n"));
    assert!(again > 0, "{said}");
    let both = ["flood", "--reconcile", "mock.jsonl", "centre.jsonl", "--json", "-"];
    let compared = run_to_end(Command::new(PROGRAM).args(both).current_dir(tree.path("")));
    let told: Value = serde_json::from_str(&compared.stdout.join("\n")).expect("JSON");
    assert_eq!((compared.code, &told["sent"], &told["received"]), (Some(0), &json!(8), &json!(8)), "{compared:?}");
    // A line that is missing is found.
    let ledger = std::fs::read_to_string(tree.path("centre.jsonl")).expect("a ledger");
    let mut lines: Vec<&str> = ledger.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"acked\"")).expect("one");
    lines.remove(at);
    tree.write("centre.jsonl", &(lines.join("\n") + "\n"));
    let compared = run_to_end(Command::new(PROGRAM).args(&both[..4]).current_dir(tree.path("")));
    assert_eq!(compared.code, Some(1), "{compared:?}");
    assert!(compared.stdout.join("\n").contains("unacked: "), "{compared:?}");
}

/// A port that is free for both kinds of sockets at the moment.
pub(super) fn free_port() -> u16 {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = udp.local_addr().expect("bound").port();
    let tcp = TcpListener::bind(("127.0.0.1", port));
    tcp.map_or_else(|_| free_port(), |_| port)
}

/// Devices of every transport that connect by themselves; and those that should and do not.
#[test]
fn a_centre_listens_where_devices_connect_to_and_misses_those_that_do_not() {
    let port = free_port();
    let of = |at: &str, count: u64| json!({"params": {"at": at}, "connect": {"to": format!("127.0.0.1:{port}")}, "count": count});
    let tree = Tree::new(
        &[
            fsu("stream", "20250100", "tcp", &of("10", 20)),
            fsu("outer", "20250130", "udp", &of("40", 3)),
            fsu("bare", "20250140", "datagram", &of("50", 3)),
        ],
        &json!({}),
    );
    tree.write("meter/rules/default.json", RULES);
    let args = ["--quiet", "--message-ledger", "centre.jsonl"];
    let centre = Centre::listen(&tree, &[], &args);
    assert_eq!(centre.address.port(), port);
    let run = Run::start(&tree, &["--message-ledger", "mock.jsonl"]);
    let acked = || {
        let ledger = std::fs::read_to_string(tree.path("centre.jsonl")).unwrap_or_default();
        ledger.lines().filter(|line| line.contains("\"acked\"")).count()
    };
    until("all messages are acknowledged", || acked() >= 26 * 4);
    run.stop();
    let (code, said, report) = centre.stop(&tree);
    assert_eq!(
        (code, &report["messages"]["fsus"], &report["messages"]["silent_fsus"]),
        (Some(0), &json!(26), &json!(0)),
        "{said}"
    );
    let [hellos, alarms] = ["hello", "alarm"].map(|name| counts(&report, name)[0]);
    assert!(hellos >= 26 && alarms == 78, "{said}");
    let compared = run_to_end(
        Command::new(PROGRAM).args(["flood", "--reconcile", "mock.jsonl", "centre.jsonl"]).current_dir(tree.path("")),
    );
    assert_eq!(compared.code, Some(0), "{compared:?}");
    // Nobody connects now.
    let (code, said, report) = Centre::listen(&tree, &[], &["--quiet", "--fsu", "stream*"]).stop(&tree);
    assert_eq!((code, &report["messages"]["silent_fsus"]), (Some(1), &json!(20)), "{said}");
    assert!(said.contains("20 FSUs that should have connected and spoken said nothing"), "{said}");
}

#[test]
fn a_centre_says_what_it_cannot_do() {
    let tree = fleet();
    let check = |args: &[&str], expected: &str| {
        let mut command = Command::new(PROGRAM);
        let ended = run_to_end(command.arg("flood").args(args).current_dir(tree.path("")));
        assert!(ended.code == Some(2) && ended.stderr.contains(expected), "{args:?}: {ended:?}");
    };
    let config = ["--config", "sys_config.json"];
    check(&[&["--ack-drop", "0.5"], &config[..]].concat(), "--ack-drop is for a centre: give --listen ADDR, too");
    check(&["--listen", "127.0.0.1:0", "--ack-drop", "2"], "a part from 0 to 1, or 0% to 100%");
    check(&["--listen", "127.0.0.1:0", "--ack-delay", "9-1"], "9-1: the first is larger");
    check(&["--listen", "127.0.0.1:0", "--echo"], "--echo");
    check(&["--listen", "127.0.0.1:0"], "no FSU of the configuration sends heartbeats or messages");
    check(&[&["--listen"], &config[..]].concat(), "--listen: no FSU of the configuration connects to this machine");
    check(&["--listen", "nowhere"], "nowhere: ADDRESS:PORT");
    check(&[&["--listen", "127.0.0.1:0", "--fsu", "nobody"], &config[..]].concat(), "or none has such a name");
    check(&["--reconcile", "none.jsonl", "none.jsonl"], "none.jsonl cannot be read");
    tree.write("bad.jsonl", "{}\n");
    check(&["--reconcile", "bad.jsonl", "/dev/null"], "bad.jsonl: line 1: no event of a message: ``");
}
