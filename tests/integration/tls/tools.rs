//! `flood` and `ask` over TLS.

use super::{listening, own, write};
use crate::dial::dialling;
use crate::harness::{Ended, PROGRAM, Run, Tree, run_to_end, until};
use fsu_tls::fixtures::Authority;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn flood(tree: &Tree, run: &Run, args: &[&str]) -> Ended {
    tree.write("ports.txt", &run.said.join("\n"));
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--tcp", "--quiet", "--requests", "300", "--connections", "3", "--mix", "01"]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    run_to_end(command.args(args).current_dir(tree.path(".")))
}

#[test]
fn flood_asks_fsus_that_listen_with_tls() {
    let (tree, ca) = listening(&own(), &json!({}));
    tree.write("tls/other.pem", &Authority::new("other").cert);
    let run = Run::start(&tree, &[]);
    let check = |args: &[&str], code: i32, text: &str| {
        let ended = flood(&tree, &run, args);
        let said = format!("{}{}", ended.stdout.join("\n"), ended.stderr);
        assert!(ended.code == Some(code) && said.contains(text), "{args:?}: {said}");
    };
    // It trusts the certificate that the configuration names.
    check(&[], 0, "passed");
    check(&["--tls-ca", "tls/ca.pem"], 0, "passed");
    check(&["--tls-ca", "tls/ca.pem", "--tls-server-name", "door.example"], 0, "passed");
    check(&["--tls-server-name", "door.example"], 0, "passed");
    check(&["--tls-server-name", "other.example"], 3, "TLS: ");
    check(&["--tls-ca", "tls/other.pem"], 3, "TLS: ");
    check(&["--tls-ca", "tls/none.pem"], 2, "--tls-ca: tls/none.pem cannot be read");
    check(&["--tls-ca", "tls/own.key"], 2, "--tls-ca: no certificate in it");
    check(&["--tls-server-name", "a b"], 2, "--tls-server-name: `a b` is no name");
    check(
        &["--tls-client-ca", "tls/ca.pem", "--tls-cert", "x", "--tls-key", "x"],
        2,
        "--tls-client-ca is for a centre",
    );
    let ended = run.stop();
    assert_eq!(ended.count("/totals/answered"), 4 * 300);
    assert!(ca.cert.len() > 100);
}

#[test]
fn flood_and_ask_show_a_certificate_where_they_have_to() {
    let (tree, ca) =
        listening(&json!({"cert": "tls/own.pem", "key": "tls/own.key", "client_ca": "tls/ca.pem"}), &json!({}));
    let client = ca.leaf(&["centre"]);
    tree.write("tls/client.pem", &client.cert);
    tree.write("tls/client.key", &client.key);
    let run = Run::start(&tree, &[]);
    let shown = ["--tls-cert", "tls/client.pem", "--tls-key", "tls/client.key"];
    let ended = flood(&tree, &run, &[]);
    assert!(ended.stderr.contains("door asks for a certificate of ") && ended.code == Some(2), "{}", ended.stderr);
    assert_eq!(flood(&tree, &run, &shown).code, Some(0));
    let to = run.address("door").to_string();
    let ask = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["ask", "--fsu", "door", "--cmd", "01", "--set", "tag=0007", "--to", &to]);
        command.arg("--config").arg(tree.path("sys_config.json")).args(args).current_dir(tree.path("."));
        run_to_end(&mut command)
    };
    let ended = ask(&shown);
    assert!(ended.code == Some(0) && ended.stdout.join("\n").contains("513"), "{:?}{}", ended.stdout, ended.stderr);
    assert_eq!(ask(&[]).code, Some(2));
    assert_eq!(run.stop().count("/totals/answered"), 301);
}

const RULES: &str = r#"{
  "01": {"data": {"level": 513}}, "02": {"timeout": true}, "03": {}, "04": {}, "05": {},
  "messages": {
    "hello": {"frame": "01", "on": "connect", "data": {"{pdu_left}address": "01", "tag": "AAAA", "level": 1},
      "ack": {"frame": "03", "match": "tag", "within_ms": 3000, "retries": 9}}
  }
}"#;

#[test]
fn flood_listens_to_fsus_that_dial_with_tls() {
    hears(&[]);
}

#[test]
fn flood_asks_fsus_that_dial_with_tls() {
    let report = hears(&["--rate", "200", "--mix", "05", "--seconds", "3"]);
    let counts = &report["totals"]["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap_or(u64::MAX);
    assert!(count("sent") > 0 && count("good") == count("sent"), "{report:#}");
}

/// Devices that dial a centre over TLS, each of which is acknowledged; `args`: what else the centre does. Returns its report.
fn hears(args: &[&str]) -> Value {
    const MANY: u64 = 40;
    let connect = json!({"to": "127.0.0.1:1", "reconnect_ms": [20, 200], "tls": {"ca": "tls/ca.pem", "cert": "tls/own.pem", "key": "tls/own.key"}});
    let fleet = |connect: &Value| [dialling("pile", connect, &json!({"count": MANY}))];
    let tree = Tree::new(&fleet(&connect), &json!({}));
    tree.write("meter/rules/default.json", RULES);
    let ca = Authority::new("ca");
    write(&tree, &ca, &ca.leaf(&["127.0.0.1"]));
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--listen", "127.0.0.1:0", "--tls-cert", "tls/own.pem", "--tls-key", "tls/own.key"]);
    command.args(["--tls-client-ca", "tls/ca.pem", "--config"]).arg(tree.path("sys_config.json"));
    command.arg("--json").arg(tree.path("report.json")).args(args).current_dir(tree.path("."));
    let mut centre = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(centre.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let to = line.trim().strip_prefix("listening ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let mut connect = connect;
    connect["to"] = to.clone().into();
    tree.set_fsus(&fleet(&connect), &json!({}));
    // Plain text there is no device.
    drop(std::io::Write::write_all(&mut std::net::TcpStream::connect(&*to).expect("it listens"), b"hello, hello"));
    let ledger = tree.path("messages.jsonl");
    let run = Run::start(&tree, &["--message-ledger", ledger.to_str().expect("UTF-8")]);
    let acknowledged =
        || std::fs::read_to_string(&ledger).map_or(0, |text| text.matches("\"acknowledged\"").count() as u64);
    until("every device is acknowledged", || acknowledged() >= MANY);
    if args.is_empty() {
        kill_process(Pid::from_child(&centre), Signal::INT).expect("it runs");
    }
    let code = centre.wait().expect("it ends").code();
    let ended = run.stop();
    let report: Value =
        serde_json::from_slice(&std::fs::read(tree.path("report.json")).expect("a report")).expect("JSON");
    assert_eq!(ended.count("/totals/messages_acknowledged"), MANY);
    assert_eq!((ended.count("/totals/dial_failures/tls"), ended.count("/totals/connections")), (0, MANY));
    assert!(report.to_string().contains("\"tls\":1"), "{code:?} {report:#}");
    report
}
