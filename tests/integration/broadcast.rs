//! Whole transfers between the program and its load generator: verified, under loss, recorded in ledger and device log.

use crate::harness::{Ended, PROGRAM, Run, Tree, fsu, run_to_end};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::process::Command;

/// The template of tests/vectors: data frames of 64 bytes.
fn template() -> Value {
    let vectors = include_str!("../vectors/broadcast.json");
    let mut template = serde_json::from_str::<Value>(vectors).expect("JSON")["template"].take();
    template["rule_file_list"] = json!(["./default.json"]);
    template
}

/// 21: generated, 150 bytes, some known only when sent. 22: from the request. 31: 1,000 bytes. 52: no data.
fn rules() -> Value {
    json!({
        "21": {"data": {"payload": "01${hour()}$${minute()}$"}},
        "22": {},
        "31": {"data_bytes": {"bytes": 1000, "seed": 7}},
        "52": {"data": {"Accept": "00"}},
    })
}

pub(crate) fn tree(fsus: u32, more: &Value) -> Tree {
    let of = |n: u32| fsu(&format!("site{n}"), &format!("2025012{n}"), "broadcast", &json!({"config_dir": "./bc"}));
    let tree = Tree::new(&(0..fsus).map(of).collect::<Vec<_>>(), more);
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "template.json"});
    tree.write("bc/fsu_devices.json", &json!({"device_list": [device]}).to_string());
    tree.write("bc/template.json", &template().to_string());
    tree.write("bc/default.json", &rules().to_string());
    tree
}

/// Floods the FSUs in `printed` with the configuration of `tree`. Returns the exit and the JSON report.
pub(crate) fn flood(tree: &Tree, printed: &[String], args: &[&str]) -> (Ended, Value) {
    tree.write("ports.txt", &printed.join("\n"));
    let report = tree.path("report.json");
    let _ = std::fs::remove_file(&report);
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--broadcast", "--quiet", "--seconds", "20"]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    command.arg("--json").arg(&report).args(args);
    if !args.contains(&"--timeout-ms") {
        command.args(["--timeout-ms", "5000"]);
    }
    let ended = run_to_end(&mut command);
    let report = std::fs::read(&report).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("JSON"));
    (ended, report)
}

/// sent, good, late, wrong, lost, silent
pub(crate) fn counts(report: &Value) -> [u64; 6] {
    let count = |name: &str| report["totals"]["counts"][name].as_u64().unwrap_or(u64::MAX);
    ["sent", "good", "late", "wrong", "lost", "silent"].map(count)
}

fn transfers(report: &Value, name: &str) -> u64 {
    report["transfers"][name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[test]
fn every_transfer_is_verified() {
    let tree = tree(2, &json!({}));
    let run = Run::start(&tree, &[]);
    let check = |args: &[&str], sent: u64, whole: u64, bytes: u64| {
        let (ended, report) = flood(&tree, &run.said, args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        assert_eq!(counts(&report), [sent, sent, 0, 0, 0, 0], "{args:?}");
        assert_eq!((transfers(&report, "whole"), transfers(&report, "payload_bytes")), (whole, bytes), "{args:?}");
        assert_eq!(report["transfers"]["latency"]["count"], whole);
        assert_eq!((transfers(&report, "failed"), transfers(&report, "restarts")), (0, 0));
        assert_eq!(report["totals"]["unexpected"], 0, "{report:#}");
    };
    check(&["--mix", "31", "--requests", "40"], 40, 40, 40_000);
    check(&["--mix", "31", "--requests", "200", "--window", "16", "--threads", "2"], 200, 200, 200_000);
    check(&["--mix", "31", "--requests", "100", "--window", "7", "--sockets", "3", "--no-gso"], 100, 100, 100_000);
    // One FSU: of two, the quicker one is asked more often, and each goes through the mix on its own.
    let mix = ["--mix", "21=1,22=1,31=1,52=1", "--fsu", "site1"];
    check(&[&mix[..], &["--requests", "80", "--window", "4"]].concat(), 80, 60, 20 * (150 + 4 + 1000));
    check(&["--mix", "52", "--requests", "300", "--window", "32"], 300, 0, 0);
    check(&["--mix", "31,22", "--fsu", "site1", "--requests", "60", "--rate", "600"], 60, 60, 30 * 1004);
    tree.write("values.json", r#"{"22": {"echo": "${rand(10000000,99999999)}$"}}"#);
    let values = tree.path("values.json").display().to_string();
    check(&["--mix", "22", "--requests", "60", "--window", "4", "--values", &values], 60, 60, 240);
    let ended = run.stop();
    assert_eq!(ended.count("/totals/dropped_total"), 0);
    assert_eq!(ended.count("/totals/transfers_refused"), 0);
}

#[test]
fn data_that_is_not_the_rules_is_wrong() {
    let tree = tree(1, &json!({}));
    let run = Run::start(&tree, &[]);
    let check = |more: Value, mix: &str, why: &str| {
        let other = self::tree(1, &json!({}));
        let mut rules = rules();
        rules.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        other.write("bc/default.json", &rules.to_string());
        let (ended, report) = flood(&other, &run.said, &["--mix", mix, "--requests", "10", "--window", "2"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!((counts(&report), &report["wrong_by"]), ([10, 0, 0, 10, 0, 0], &json!({why: 10})));
        assert_eq!(transfers(&report, "whole"), 0);
    };
    check(json!({"31": {"data_bytes": {"bytes": 1000, "seed": 8}}}), "31", "payload");
    check(json!({"31": {"data_bytes": {"bytes": 999, "seed": 7}}}), "31", "payload");
    check(json!({"52": {"data": {"Accept": "02"}}}), "52", "static_value");
    run.stop();
}

/// 10 % of the datagrams lost each way, some doubled: every transfer is whole, and everything is recorded.
#[test]
fn transfers_survive_loss() {
    let faults = json!({"faults": {"drop": 0.1, "duplicate": 0.05}});
    let tree = tree(2, &faults);
    let ledger = tree.path("ledger.jsonl");
    let run = Run::start(&tree, &["--fault-ledger", &ledger.display().to_string(), "--seed", "1"]);
    let args = ["--mix", "31", "--requests", "60", "--window", "8", "--drop", "10", "--timeout-ms", "20"];
    let args = [&args[..], &["--retries", "40", "--seed", "2"]].concat();
    let (ended, report) = flood(&tree, &run.said, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(counts(&report), [60, 60, 0, 0, 0, 0]);
    assert_eq!((transfers(&report, "whole"), transfers(&report, "payload_bytes")), (60, 60_000));
    // Of 1,000 datagrams each way some 100 are lost.
    assert!(transfers(&report, "retries") > 50 && transfers(&report, "dropped") > 20, "{report:#}");
    let ended = run.stop();
    let made = ended.count("/totals/faults/drop") + ended.count("/totals/faults/duplicate");
    assert!(ended.count("/totals/faults/drop") > 20, "{:#}", ended.stats["totals"]);
    let text = std::fs::read_to_string(&ledger).expect("written");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len() as u64, ended.count("/totals/faults_total")), (made, made));
    for kind in ["drop", "duplicate"] {
        let told = lines.iter().filter(|line| line["kind"] == kind).count() as u64;
        assert_eq!(told, ended.count(&format!("/totals/faults/{kind}")), "{kind}");
    }
    assert!(lines.iter().all(|line| line["message"].as_u64() > Some(0)), "{text}");
}

/// A transfer without an answer, or whose server dies midway, is reported as failed.
#[test]
fn what_does_not_come_is_told_as_failed() {
    let tree = tree(1, &json!({}));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let said = [format!("listening site0 broadcast {}", silent.local_addr().expect("bound"))];
    let args = ["--mix", "31", "--requests", "4", "--window", "2", "--timeout-ms", "20", "--retries", "2"];
    let (ended, report) = flood(&tree, &said, &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(counts(&report), [4, 0, 0, 0, 4, 0]);
    assert_eq!((transfers(&report, "failed"), transfers(&report, "retries")), (4, 8));
    let (ended, report) = flood(&tree, &said, &[&args[..], &["--max-loss", "100"]].concat());
    assert_eq!((ended.code, &report["totals"]["loss"]), (Some(0), &json!(1.0)), "{ended:?}");
    let mut command = Command::new(PROGRAM);
    command.arg("flood").arg("--from").arg(tree.path("report.json")).arg("--html").arg(tree.path("report.html"));
    assert_eq!(run_to_end(&mut command).stdout, ended.stdout);
    let page = std::fs::read_to_string(tree.path("report.html")).expect("written");
    assert!(page.contains("<h2>Transfers</h2>"), "{page}");
}

#[test]
fn windows_that_cannot_be_are_told() {
    let tree = tree(1, &json!({}));
    tree.write("values.json", r#"{"31": {"DID": "${choice(01,02)}$"}}"#);
    let values = tree.path("values.json").display().to_string();
    let said = ["listening site0 broadcast 127.0.0.1:9".to_owned()];
    let check = |args: &[&str], text: &str| {
        let (ended, _) = flood(&tree, &said, args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    };
    let own = "the device id of 31 is its own, so its exchanges cannot share a socket (--sockets 2)";
    check(&["--mix", "31", "--window", "2", "--values", &values], own);
    check(&["--mix", "31", "--window", "2000000"], "at most 1048576 in total");
    check(&["--mix", "31", "--drop", "100"], "--drop 100: 0 to less than 100 percent");
}

/// An FSU without a free place refuses, and the report says so.
#[test]
fn h17_flood_shows_refusals() {
    let tree = tree(1, &json!({}));
    let mut template = template();
    template["protocol"]["transfer"]["transfers_max"] = json!(1);
    tree.write("bc/template.json", &template.to_string());
    let run = Run::start(&tree, &[]);
    let (ended, report) = flood(&tree, &run.said, &["--mix", "31", "--requests", "200", "--window", "8"]);
    let [sent, good, _, wrong, lost, _] = counts(&report);
    let refused = transfers(&report, "refused");
    assert!(refused > 0, "{ended:?}");
    assert_eq!((sent, lost, refused), (good + wrong, 0, wrong));
    assert!(ended.stdout.iter().any(|line| line.trim_start().starts_with("refused")), "{:?}", ended.stdout);
    let served = run.stop();
    assert_eq!(served.count("/totals/transfers_refused"), refused);
    assert_eq!(served.count("/totals/transfers_refused_amplification"), 0);
}

/// An echo returns a single frame unchanged.
#[test]
fn an_echo_is_verified_as_what_it_is() {
    let tree = tree(1, &json!({}));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let said = [format!("listening site0 broadcast {}", socket.local_addr().expect("bound"))];
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((count, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..count], from);
        }
    });
    let args = ["--echo", "--mix", "22,52", "--requests", "200", "--window", "8", "--no-gso"];
    let (ended, report) = flood(&tree, &said, &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(counts(&report), [200, 200, 0, 0, 0, 0]);
}

/// The device log holds every frame of a transfer, as it was on the wire.
#[test]
fn the_device_log_has_every_frame() {
    let tree = tree(1, &json!({"log": {"on_full": "block", "maxSize": 100_000_000}}));
    let run = Run::start(&tree, &[]);
    let (ended, report) = flood(&tree, &run.said, &["--mix", "31", "--requests", "10"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(transfers(&report, "whole"), 10);
    run.stop();
    let files =
        std::fs::read_dir(tree.path("logs/devices")).expect("device logs").map(|file| file.expect("one").path());
    let text: String = files.map(|path| std::fs::read_to_string(path).expect("UTF-8")).collect();
    let heads = |what: &str| text.lines().filter(|line| line.contains(&format!("] [{what}] fsu[site0:"))).count();
    // A command and 15 demands; an answer and 16 data frames, the last of 40 bytes.
    assert_eq!((heads("RECV"), heads("SEND")), (10 * 16, 10 * 17));
    let hex = |start: &str| text.lines().filter(|line| line.starts_with(&format!("  HEX: {start}"))).count();
    assert_eq!(hex("FE E0 A7 8B 00 00 00 00 00 00 40 00 8D"), 10);
    assert_eq!(hex("FE E0 A7 8B 00 00 00 00 0F 80 28 00 8D"), 10);
    assert_eq!(text.lines().filter(|line| line.trim() == "Len: 64").count(), 10 * 15);
}
