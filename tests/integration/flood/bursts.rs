//! Bursts, commands that are left out, lengths that are read in two ways, and no listener: over all three transports, by
//! `flood` and `ask`.

use super::{counts, flood, total};
use crate::harness::{Ended, PATIENCE, PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

/// A template of these data frames, whose second field is the length.
fn template(length: &Value, tailer: &Value, frames: &[Value]) -> Value {
    json!({
        "vendor": "v",
        "rule_file_list": ["./rules/default.json"],
        "protocol": {
            "dynamic_length": true,
            "data_frame_type_flag": "cmd",
            "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, length, {"name": "cmd", "length": 1}],
            "pdu_tailer": tailer,
            "data_frame": frames,
        },
    })
}

/// A template of one data byte, and rules; served over all three transports.
pub(super) fn small(rules: &str, requests: &str) -> Tree {
    let transports = ["udp", "tcp", "broadcast"];
    let fsus: Vec<Value> = transports.iter().map(|name| fsu(name, "20250125", name, &json!({}))).collect();
    let tree = Tree::new(&fsus, &json!({}));
    let devices = json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "../meter/template.json"}]});
    tree.write("site/fsu_devices.json", &devices.to_string());
    let commands: Value = serde_json::from_str(requests).expect("JSON");
    let frame = |(key, request): (&String, &Value)| json!({"data_frame_type": key, "req_data_list": request, "resp_data_list": [{"name": "v", "length": 1}]});
    let frames: Vec<Value> = commands.as_object().expect("commands").iter().map(frame).collect();
    let length = json!({"name": "len", "length": 1, "type": "length"});
    let template = template(&length, &json!([{"name": "end", "length": 1, "value": "0D"}]), &frames);
    tree.write("meter/template.json", &template.to_string());
    tree.write("meter/rules/default.json", rules);
    tree
}

const WAYS: [&[&str]; 6] = [
    &["--fsu", "udp"],
    &["--fsu", "udp", "--window", "8"],
    &["--tcp"],
    &["--tcp", "--pipelining", "8"],
    &["--broadcast"],
    &["--broadcast", "--window", "4", "--sockets", "4"],
];

#[test]
fn n15_all_replies_of_a_burst_are_expected() {
    let rules = r#"{"01": {"burst": 3, "cycle": [{"v": "01"}, {"v": "02"}, {"v": "03"}, {"v": "04"}]}, "02": {"data": {"v": "55"}}}"#;
    let tree = small(rules, r#"{"01": [], "02": []}"#);
    let run = Run::start(&tree, &[]);
    for way in WAYS {
        let (ended, report) = flood(&tree, &run.said, &[&["--requests", "80"], way].concat());
        assert_eq!(ended.code, Some(0), "{way:?}: {ended:?}");
        assert_eq!(counts(&report), [80, 80, 0, 0, 0, 0], "{way:?}");
        let [replies, missing] = ["replies", "burst_missing"].map(|name| total(&report, name));
        assert_eq!((replies, missing), (40 * 3 + 40, 0), "{way:?}");
    }
    run.stop();
}

/// The mock's cycle turns another way than the one that is expected: its entries are right, and their turns are not.
#[test]
fn n15_a_burst_out_of_turn_is_wrong() {
    let rules = |cycle: &str| format!(r#"{{"01": {{"burst": 3, "cycle": {cycle}}}}}"#);
    let mock = small(&rules(r#"[{"v": "03"}, {"v": "02"}, {"v": "01"}, {"v": "04"}]"#), r#"{"01": []}"#);
    let run = Run::start(&mock, &[]);
    let tree = small(&rules(r#"[{"v": "01"}, {"v": "02"}, {"v": "05"}, {"v": "03"}, {"v": "04"}]"#), r#"{"01": []}"#);
    for way in [&["--fsu", "udp"][..], &["--tcp"], &["--broadcast"]] {
        let (ended, report) = flood(&tree, &run.said, &[&["--requests", "8", "--timeout-ms", "200"], way].concat());
        assert_eq!(ended.code, Some(1), "{way:?}: {ended:?}");
        assert!(report["wrong_by"]["turn"].as_u64().is_some_and(|wrong| wrong > 0), "{way:?}: {report:#}");
    }
    run.stop();
}

#[test]
fn n15_a_missing_reply_of_a_burst_is_told() {
    let burst = r#"{"01": {"burst": 4, "cycle": [{"v": "01"}, {"v": "02"}, {"v": "03"}, {"v": "04"}]}}"#;
    let tree = small(burst, r#"{"01": []}"#);
    let less = small(&burst.replace("\"burst\": 4", "\"burst\": 3"), r#"{"01": []}"#);
    let run = Run::start(&less, &[]);
    for way in [&["--fsu", "udp"][..], &["--tcp"], &["--broadcast"]] {
        let args = ["--requests", "1", "--timeout-ms", "200"];
        let (ended, report) = flood(&tree, &run.said, &[&args[..], way].concat());
        assert_eq!(ended.code, Some(1), "{way:?}: {ended:?}");
        assert_eq!(counts(&report), [1, 0, 0, 0, 1, 0], "{way:?}");
        assert_eq!(total(&report, "burst_missing"), 1, "{way:?}");
        assert_eq!(report["samples"][0]["why"], "replies of its burst are missing", "{way:?}");
    }
    run.stop();
}

/// `ask` of the FSU with that name at that address.
fn ask(tree: &Tree, name: &str, to: &str, args: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(["ask", "--fsu", name, "--to", to, "--config"]).arg(tree.path("sys_config.json"));
    if !args.contains(&"--timeout-ms") {
        command.args(["--timeout-ms", "5000"]);
    }
    run_to_end(command.args(args))
}

#[test]
fn n15_ask_shows_all_replies_of_a_burst() {
    let rules = r#"{"01": {"burst": 3, "cycle": [{"v": "01"}, {"v": "02"}, {"v": "03"}]}, "02": {"data": {"v": "55"}},
        "03": {"burst": 12, "cycle": [{"v": "0A"}]}}"#;
    let tree = small(rules, r#"{"01": [], "02": [], "03": []}"#);
    let run = Run::start(&tree, &[]);
    for name in ["udp", "tcp", "broadcast"] {
        let to = run.address(name).to_string();
        let ended = ask(&tree, name, &to, &["--cmd", "01"]);
        let text = ended.stdout.join("\n");
        assert!(ended.code == Some(0) && text.contains(", 3 replies of a burst of 3"), "{name}: {ended:?}");
        for said in ["answer 1 of 3", "answer 2 of 3", "answer 3 of 3", "  v      01", "  v      02", "  v      03"] {
            let said: Vec<&str> = said.split_whitespace().collect();
            let mut lines = ended.stdout.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
            assert!(lines.any(|line| line == said), "{name}: {said:?} in {text}");
        }
        let told: Value =
            serde_json::from_str(&ask(&tree, name, &to, &["--cmd", "03", "--json"]).stdout.join("\n")).expect("JSON");
        assert_eq!((told["others"].as_array().map(Vec::len), &told["missing"]), (Some(11), &json!(0)), "{name}");
        assert_eq!((&told["fields"]["v"], &told["others"][10]["fields"]["v"]), (&json!("0A"), &json!("0A")), "{name}");
        assert_eq!(told["answer"], told["others"][10]["answer"], "{name}");
        let text = ask(&tree, name, &to, &["--cmd", "03"]).stdout.join("\n");
        assert!(text.contains("answer 8 of 12") && !text.contains("answer 9 of 12"), "{name}: {text}");
        assert!(text.contains("... 4 more (--json has all)"), "{name}: {text}");
        let ended = ask(&tree, name, &to, &["--cmd", "02"]);
        assert!(ended.code == Some(0) && !ended.stdout.join("\n").contains("burst"), "{name}: {ended:?}");
        let ended = ask(&tree, name, &to, &["--cmd", "01", "--repeat", "20"]);
        assert!(ended.code == Some(0) && ended.stdout.join("\n").contains("whole    20"), "{name}: {ended:?}");
    }
    run.stop();
}

/// A peer that answers four requests, each with this many replies; where the requests came from, and whether one came before the one
/// before it had all its replies.
fn replies(count: usize) -> (String, std::thread::JoinHandle<(Vec<SocketAddr>, bool)>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let to = socket.local_addr().expect("bound").to_string();
    let peer = std::thread::spawn(move || {
        let (mut buffer, mut from, mut early) = ([0; 2048], Vec::new(), false);
        while from.len() < 4 {
            socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let (_, asker) = socket.recv_from(&mut buffer).expect("a request");
            from.push(asker);
            socket.set_read_timeout(Some(Duration::from_millis(30))).expect("not zero");
            for number in 0..count {
                early |= number > 0 && socket.peek_from(&mut buffer).is_ok();
                let answer = wire::reply("20250125", [1, 1], &[0x7E, 1, 1, 0x55, 0x0D]);
                socket.send_to(&answer, asker).expect("sent");
            }
        }
        (from, early)
    });
    (to, peer)
}

#[test]
fn n15_no_reply_of_a_burst_answers_the_next_request() {
    let tree = small(r#"{"01": {"burst": 3, "cycle": [{"v": "55"}]}}"#, r#"{"01": []}"#);
    let (to, peer) = replies(3);
    let ended = ask(&tree, "udp", &to, &["--cmd", "01", "--repeat", "4"]);
    assert!(ended.code == Some(0) && ended.stdout.join("\n").contains("whole    4"), "{ended:?}");
    let (from, early) = peer.join().expect("the peer");
    assert!(!early && from.iter().all(|asker| *asker == from[0]), "{from:?}");
    // One is missing: it may come yet, and would come to another port.
    let (to, peer) = replies(2);
    let ended = ask(&tree, "udp", &to, &["--cmd", "01", "--repeat", "4", "--timeout-ms", "200"]);
    assert!(ended.code == Some(5) && ended.stdout.join("\n").contains("failed   4"), "{ended:?}");
    let (mut from, _) = peer.join().expect("the peer");
    from.sort_unstable();
    from.dedup();
    assert_eq!(from.len(), 4);
    let (to, peer) = replies(2);
    let ended = ask(&tree, "udp", &to, &["--cmd", "01", "--timeout-ms", "200"]);
    assert!(ended.code == Some(5) && ended.stdout[0].contains(", 2 replies of a burst of 3"), "{ended:?}");
    // The peer waits for three more.
    for _ in 0..3 {
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[0], &to)).expect("sent");
    }
    peer.join().expect("the peer");
}

/// Two commands of one template: in the first the number counts the data frame, in the second the command byte behind it, too.
#[test]
fn n15_lengths_of_two_readings_are_asked_and_flooded() {
    let tree =
        small(r#"{"83": {"data": {"v": "112233"}}, "84": {"data": {"v": "445566"}}}"#, r#"{"83": [], "84": []}"#);
    let command = |key: &str, number: u64| {
        json!({"data_frame_type": key, "data_frame_length": number,
            "req_data_list": [{"name": "a", "length": 3, "value": "0A0B0C"}], "resp_data_list": [{"name": "v", "length": 3}]})
    };
    let length = json!({"name": "len", "length": 1, "value": "{{data_frame_length}}"});
    let tailer = json!([{"name": "sum", "length": 1}, {"name": "end", "length": 1, "value": "0D"}]);
    let mut template = template(&length, &tailer, &[command("83", 3), command("84", 4)]);
    template["protocol"]["checksum"] = json!({"algorithm": "sum", "field": "sum"});
    tree.write("meter/template.json", &template.to_string());
    let run = Run::start(&tree, &[]);
    for name in ["udp", "tcp", "broadcast"] {
        for (key, request, answer) in
            [("83", "7E03830A0B0CA70D", "7E0383112233EC0D"), ("84", "7E04840A0B0CA90D", "7E0484445566870D")]
        {
            let ended = ask(&tree, name, &run.address(name).to_string(), &["--cmd", key, "--json"]);
            let told: Value = serde_json::from_str(&ended.stdout.join("\n")).expect("JSON");
            let [sent, came] = ["request", "answer"].map(|what| told[what].as_str().unwrap_or_default());
            assert!(sent.contains(request) && came.contains(answer), "{name} {key}: {told:#}");
            assert_eq!((ended.code, &told["fields"]["v"]), (Some(0), &json!(&answer[6..12])), "{name} {key}: {told:#}");
        }
    }
    for way in WAYS {
        let (ended, report) = flood(&tree, &run.said, &[&["--requests", "80"], way].concat());
        assert_eq!((ended.code, counts(&report)), (Some(0), [80, 80, 0, 0, 0, 0]), "{way:?}: {ended:?}");
    }
    run.stop();
}

#[test]
fn n15_what_is_left_out_is_named() {
    let rules = r#"{"01": [{"when": {"phase": "07"}, "data": {"v": "11"}}], "02": {}, "04": {"timeout": true},
        "05": [{"when": {"phase": "01", "kind": "02"}, "timeout": true}, {"when": {"phase": "08"}, "burst": 2, "cycle": [{}, {}]}]}"#;
    let phase = r#"[{"name": "phase", "length": 1}, {"name": "kind", "length": 1}]"#;
    let requests = format!(r#"{{"01": {phase}, "02": [], "03": [], "04": [], "05": {phase}}}"#);
    let tree = small(rules, &requests);
    tree.write("values.json", r#"{"01": {"phase": "06"}}"#);
    let values = tree.path("values.json").display().to_string();
    let run = Run::start(&tree, &[]);
    let check = |args: &[&str], code: i32, sent: u64, left_out: &[(&str, &str)]| {
        for way in [&["--fsu", "udp"][..], &["--tcp"], &["--broadcast", "--retries", "0"]] {
            let (ended, report) = flood(&tree, &run.said, &[args, way, &["--timeout-ms", "200"]].concat());
            assert_eq!((ended.code, counts(&report)[0]), (Some(code), sent), "{args:?} {way:?}: {ended:?}");
            let named: Vec<(&str, &str)> = report["left_out"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|left| (left["command"].as_str().unwrap_or_default(), left["why"].as_str().unwrap_or_default()))
                .collect();
            assert_eq!(named, left_out, "{args:?} {way:?}");
            let text = ended.stdout.join("\n");
            assert!(left_out.iter().all(|(key, _)| text.contains(&format!("left out     {key} of v"))), "{text}");
        }
    };
    let none = ("03", "no rule answers it");
    let silent = ("04", "its rule is a `timeout`");
    // 01 and 05 carry what their rules ask for.
    check(&["--requests", "6"], 0, 6, &[none, silent]);
    let values_of = ("01", "its rules ask for values (`when`) that its request does not carry");
    check(&["--requests", "6", "--values", &values], 0, 6, &[values_of, none, silent]);
    check(&["--mix", "01,05", "--requests", "4"], 0, 4, &[]);
    check(&["--mix", "04", "--requests", "2"], 0, 2, &[]);
    // Asked for by name, a command that no rule answers is no success.
    check(&["--mix", "03", "--requests", "2"], 1, 2, &[]);
    check(&["--mix", "01", "--requests", "2", "--values", &values], 1, 2, &[]);
    let (ended, _) = flood(&tree, &run.said, &["--mix", "03", "--tcp", "--requests", "2", "--timeout-ms", "100"]);
    assert!(ended.stdout.join("\n").contains("FAILED: 2 requests that no rule answers (03)"), "{ended:?}");
    run.stop();
}

#[test]
fn n15_nobody_listens_is_told() {
    let tree = small(r#"{"01": {}}"#, r#"{"01": []}"#);
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let said = ["udp", "broadcast"].map(|name| format!("listening {name} {name} {gone}"));
    for way in [&["--fsu", "udp"][..], &["--broadcast"]] {
        for pace in [&["--rate", "1000"][..], &["--window", "1"]] {
            let (ended, report) = flood(&tree, &said, &[way, pace].concat());
            assert_eq!(ended.code, Some(1), "{way:?}: {ended:?}");
            let refused = format!(
                "ended early: {} at {gone}: refused, nobody listens there",
                &way[way.len() - 1].trim_start_matches('-')
            );
            assert!(report["verdict"]["failures"][0] == refused, "{report:#}");
            assert!(total(&report, "refused") >= 10, "{report:#}");
        }
    }
    let mut command = Command::new(PROGRAM);
    let to = gone.to_string();
    command.args(["ask", "--fsu", "udp", "--cmd", "01", "--timeout-ms", "20000", "--to", &to, "--config"]);
    let ended = run_to_end(command.arg(tree.path("sys_config.json")));
    let refused = format!("refused: nobody listens at {gone} (udp)");
    assert!(ended.code == Some(5) && ended.stderr.contains(&refused), "{ended:?}");
}
