//! Requests and replies of several layouts (`frames`): served, flooded, asked, explained and logged.

use crate::broadcast::counts;
use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use serde_json::{Value, json};
use std::process::Command;

/// I frames, U frames, and single characters.
fn tree(transport: &str) -> Tree {
    let site = fsu("site", "01", transport, &json!({"config_dir": "./iec"}));
    let tree = Tree::new(&[site], &json!({}));
    let asdu = |more: Value| {
        let mut list = vec![json!({"name": "type", "length": 1}), json!({"name": "cot", "length": 1})];
        list.extend(more.as_array().cloned().unwrap_or_default());
        list
    };
    let point = json!([{"name": "points", "type": "list", "count": "rest", "items": [{"name": "value", "length": 2, "type": "uint"}]}]);
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "type",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "len", "length": 1, "type": "length", "of": ["send", "data_frame"]},
            {"name": "send", "length": 2, "type": "uint", "endian": "little"}
        ],
        "data_frame": [
            {"data_frame_type": "64", "req_data_list": asdu(json!([{"name": "qoi", "length": 1}])), "resp_data_list": asdu(json!([{"name": "qoi", "length": 1}]))},
            {"data_frame_type": "01", "name": "M_SP", "direction": "up", "resp_data_list": asdu(point)}
        ]
    }, "frames": {
        "U": {
            "data_frame_type_flag": "control",
            "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "len", "length": 1, "value": "04", "match": true}, {"name": "control", "length": 4}],
            "data_frame": [{"data_frame_type": "07000000", "req_data_list": []}, {"data_frame_type": "0B000000", "name": "CON", "direction": "up"}]
        },
        "ack": {
            "pdu_left": [{"name": "start", "length": 1, "value": "02"}, {"name": "send", "length": 2, "type": "uint", "endian": "little"}],
            "pdu_tailer": [{"name": "sum", "length": 1}], "checksum": {"algorithm": "xor", "field": "sum"},
            "data_frame": [{"data_frame_type": "ack", "direction": "up", "resp_data_list": [{"name": "note", "length": 2, "type": "str", "value": "OK"}]}]
        }
    }});
    let rules = json!({
        "64": {"replies": [{"data": {"cot": "07"}}, {"frame": "M_SP", "data": {"cot": "14", "points": [{"value": 7}, {"value": 258}]}},
            {"frame": "ack/ack"}, {"raw": "E5"}]},
        "U/07000000": {"replies": [{"frame": "CON"}]}
    });
    tree.write("iec/protocol.json", &template.to_string());
    tree.write("iec/default.json", &rules.to_string());
    let device = json!({"vendor": "v", "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "./protocol.json", "verify_checksum": "strict"});
    tree.write("iec/fsu_devices.json", &json!({"device_list": [device]}).to_string());
    tree
}

/// What `args` print about the FSU, after the end of a run where it was.
fn said(tree: &Tree, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    let ended = run_to_end(command.args(args).arg("--config").arg(tree.path("sys_config.json")));
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended.stdout.join("\n")
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} in\n{text}");
    }
}

fn check(transport: &str, flag: &[&str], driver: &str) {
    let tree = tree(transport);
    let run = Run::start(&tree, &["--driver", driver, "--performance"]);
    tree.write("ports.txt", &run.said.join("\n"));
    let report = tree.path("report.json");
    let mut command = Command::new(PROGRAM);
    command.arg("flood").args(flag).args(["--quiet", "--seconds", "5", "--requests", "100", "--window", "4"]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(command.arg("--json").arg(&report));
    assert_eq!(ended.code, Some(0), "{transport} {driver}: {ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(counts(&report)[2..], [0, 0, 0, 0], "{report:#}");
    let ended = run.stop();
    assert_eq!(ended.count("/totals/received"), 100, "{ended:?}");
    assert_eq!(ended.count("/totals/answered"), 250, "{ended:?}");
}

#[test]
fn the_generator_compares_replies_of_every_layout() {
    for driver in ["poll", "ring"] {
        check("tcp", &["--tcp"], driver);
        check("udp", &[], driver);
        check("datagram", &["--datagram"], driver);
    }
}

#[test]
fn people_see_the_fields_of_every_layout() {
    let tree = tree("tcp");
    let run = Run::start(&tree, &[]);
    let to = run.address("site").to_string();
    let asked =
        said(&tree, &["ask", "--fsu", "site", "--cmd", "64", "--to", &to, "--set", "qoi=14", "--set", "send=9"]);
    has(&asked, &["points.1.value", "258", "note", "OK", "E5"]);
    let asked = said(&tree, &["ask", "--fsu", "site", "--cmd", "U/07000000", "--to", &to]);
    has(&asked, &["control", "0B000000"]);
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut logs = std::fs::read_dir(tree.path("logs/devices")).expect("device logs");
    let log = std::fs::read_to_string(logs.next().expect("one").expect("a file").path()).expect("UTF-8");
    has(&log, &["points.1.value: 258", "note: OK", "control: 07000000", "control: 0B000000"]);
    let explained = said(&tree, &["explain", "--fsu", "site", "68 05 0900 64 06 14"]);
    has(&explained, &["points.1.value", "258", "note", "OK", "E5"]);
    let explained = said(&tree, &["explain", "--fsu", "site", "02 0900 4F4B 0D"]);
    has(&explained, &["note", "OK", "by its layout"]);
    let explained = said(&tree, &["explain", "--fsu", "site", "68 04 07000000"]);
    has(&explained, &["0B000000"]);
    let planned = said(&tree, &["plan", "--fsu", "site"]);
    has(&planned, &["v/U", "07000000"]);
}
