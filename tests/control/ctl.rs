//! `ctl`, its exit codes, and the completions of shells.

use crate::harness::{PROGRAM, until};
use crate::http::get;
use crate::world::{frame, read_frame, speed, start, tree};
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

fn ctl(at: SocketAddr, args: &[&str]) -> Output {
    Command::new(PROGRAM).args(["ctl", "--at", &at.to_string()]).args(args).output().unwrap()
}

/// The words of what it prints, with that exit code.
fn said(at: SocketAddr, args: &[&str], code: i32) -> String {
    let out = ctl(at, args);
    let text = String::from_utf8_lossy(if code == 0 { &out.stdout } else { &out.stderr }).into_owned();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {out:?}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn calls_are_made_and_told() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let check = |args: &[&str], code: i32, expected: &str| {
        let text = said(at, args, code);
        assert!(text.contains(expected), "{args:?}: {text}");
    };
    check(&["status"], 0, "FSUs 4 states 4 idle");
    check(&["fsus"], 0, "name transport state address shard received answered dropped faults site_1 udp idle");
    check(&["fsus", "tracker_*", "-n", "1"], 0, "1 of 2 FSUs are shown (-n N)");
    check(&["fsus", "--transport", "tcp", "--sort", "name", "--desc"], 0, "faults tracker_2 tcp");
    check(&["fsus", "--state", "asleep"], 2, "invalid value 'asleep'");
    check(&["show", "tracker_1"], 0, "message alarm(kind) = 0 sent, 0 pending");
    check(&["show", "nobody"], 5, "no FSU has the name `nobody`");
    check(&["set", "tracker_*", "speed=42"], 0, "2 of 2 FSUs: set");
    assert_eq!(speed(&run, "tracker_1", "86000001"), 42);
    check(&["set", "tracker_1", "sped=42"], 5, "has a register `sped`");
    check(&["set", "tracker_1", "speed"], 2, "it is NAME=VALUE");
    check(&["memory", "tracker_1", "holding", "2", "0A", "0B"], 0, "1 of 1 FSUs: set");
    check(&["memory", "tracker_1", "holding", "99", "0A"], 5, "");
    check(&["offline", "site_*", "--for", "10m"], 0, "2 of 2 FSUs: armed");
    until("they are offline", || said(at, &["fsus", "--state", "offline"], 0).contains("site_2 udp offline"));
    check(&["online", "*"], 0, "2 of 4 FSUs: cleared");
    check(&["faults", "site_1", "drop=0.5", "extra_delay_ms.p=1", "extra_delay_ms.ms=5", "--for", "1h"], 0, "armed");
    check(&["show", "site_1"], 0, r#"armed faults {"drop":0.5,"extra_delay_ms":{"p":1.0,"ms":5},"#);
    check(&["faults", "site_1", "drop=2"], 5, "probability 2 (0 to 1) (/drop)");
    check(&["faults", "site_1", "drop=often"], 2, "a fault has a number, or true or false");
    check(&["clear", "site_1"], 0, "1 of 1 FSUs: cleared");
    // Nobody did it.
    check(&["clear", "site_1"], 5, "");
    check(&["online", "*"], 5, "");
    check(&["clear", "none*"], 5, "no FSU has a name like `none*`");
    check(&["metrics"], 0, "fsu_mock_fsus{state=\"idle\"}");
    check(&["reload"], 0, "reloaded");
    check(&["log-level", "debug"], 0, "system log: debug");
    check(&["events", "-n", "1"], 0, "snapshot {\"t_ms\":");
    check(&["names", "tracker"], 0, "tracker_1 tracker_2");
    check(&["fsus", "--json"], 0, "\"matching\": 4");
    run.stop();
}

#[test]
fn a_trigger_from_the_shell_reaches_a_centre() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let mut centre = crate::harness::tcp(run.address("tracker_1"));
    centre.write_all(&frame("8200", "86000001", 1, "")).unwrap();
    read_frame(&mut centre);
    assert!(said(at, &["trigger", "tracker_1", "alarm", "kind=9"], 0).contains("1 of 1 FSUs: triggered"));
    assert_eq!(read_frame(&mut centre)[10], 9);
    let json: Value = serde_json::from_str(&said(at, &["messages", "--json"], 0)).unwrap();
    assert_eq!(json["messages"][0]["sent"], 1);
    assert!(said(at, &["messages"], 0).contains("demo_tracker alarm 1 0 0 0 0 1"));
    assert!(said(at, &["trigger", "tracker_1", "alarm", "king=9"], 5).contains("no such argument (/args)"));
    run.stop();
}

#[test]
fn no_server_and_a_token() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(said(nobody, &["status"], 5).contains("no control server answers"));
    let tree = tree();
    tree.write("token", "s3cret\n");
    let token = tree.path("token").display().to_string();
    let (run, at) = start(&tree, &["--control-token", &token]);
    assert!(said(at, &["status"], 5).contains("`Bearer TOKEN` is needed"));
    assert!(said(at, &["status", "--token", &token], 0).contains("FSUs 4"));
    assert!(said(at, &["status", "--token", "none"], 2).contains("--token none: it cannot be read"));
    run.stop();
}

#[test]
fn limit_names_max() {
    let tree = tree();
    let fsus: Vec<Value> = (0..250)
        .map(|n| crate::harness::fsu(&format!("f{n:04}"), &format!("{n:04}"), "udp", &serde_json::json!({})))
        .collect();
    tree.set_fsus(&fsus, &serde_json::json!({}));
    let (run, at) = start(&tree, &[]);
    assert_eq!(said(at, &["names", "f"], 0).split(' ').count(), 200);
    assert_eq!(get(at, "/v1/run").json()["fsus"], 250);
    run.stop();
}

/// What bash completes a line to: its last word is what is completed.
fn completed(at: SocketAddr, words: &[&str]) -> Vec<String> {
    let script = Command::new(PROGRAM).args(["completions", "bash"]).output().unwrap().stdout;
    let words: Vec<String> = words.iter().map(|word| word.replace("AT", &at.to_string())).collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "\nfsu-mock() {{ {PROGRAM} \"$@\"; }}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n\
         _fsu_mock_ctl fsu-mock \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words.len() - 1,
    );
    let mut bash = Command::new("bash").arg("--norc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(&[script, ask.into_bytes()].concat()).unwrap();
    let out = bash.wait_with_output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_names_of_fsus() {
    let tree = tree();
    let (run, at) = start(&tree, &[]);
    let check = |words: &[&str], expected: &[&str]| assert_eq!(completed(at, words), expected, "{words:?}");
    check(&["fsu-mock", "ctl", "--at", "AT", "show", "tra"], &["tracker_1", "tracker_2"]);
    check(&["fsu-mock", "ctl", "--at", "AT", "trigger", "site_1"], &["site_1"]);
    check(&["fsu-mock", "ctl", "--at", "AT", "--json", "offline", "--for", "3s", "si"], &["site_1", "site_2"]);
    check(&["fsu-mock", "ctl", "--at", "AT", "show", "nobody"], &[]);
    check(&["fsu-mock", "--lang", "zh", "ctl", "--at", "AT", "clear", "tracker_2"], &["tracker_2"]);
    // Other words are clap's.
    check(&["fsu-mock", "ctl", "unansw"], &["unanswered"]);
    check(&["fsu-mock", "ctl", "fsus", "--stat"], &["--state"]);
    check(&["fsu-mock", "compl"], &["completions"]);
    run.stop();
}
