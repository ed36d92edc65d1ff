//! Devices that speak while they are asked: what they say is verified, acknowledged and counted, and is never a wrong reply.

use super::{counts, flood, total};
use crate::harness::{Run, Tree, fsu};
use serde_json::{Value, json};

/// The meter greets, and raises alarms as long as they are acknowledged, three in all. 03 acknowledges both by the tag.
pub(super) const RULES: &str = r#"{
  "01": {"data": {"level": 513}}, "02": {"timeout": true}, "04": {}, "05": {},
  "messages": {
    "hello": {"frame": "01", "on": "connect", "data": {"{pdu_left}address": "${param(at)}$", "tag": "AAAA", "level": 1},
      "ack": {"frame": "03", "match": "tag", "within_ms": 10000, "retries": 1}},
    "alarm": {"frame": "01", "on": ["ack:hello", "ack:alarm"], "when": "reg(alarms) < 3", "set": {"alarms": "${reg(alarms) + 1}$"}, "data": {"{pdu_left}address": "${param(at)}$", "tag": "${hex(count(alarms, 4096), 4)}$", "level": 2},
      "ack": {"frame": "03", "match": "tag", "within_ms": 10000, "retries": 1}}
  }
}"#;

/// received, acked, wrong of a message
pub(super) fn message(report: &Value, name: &str) -> [u64; 3] {
    let all = report["messages"]["messages"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let of = all.iter().find(|one| one["message"] == name).expect("the message");
    ["received", "acked", "wrong"].map(|key| of[key].as_u64().expect("a count"))
}

#[test]
fn what_is_said_between_replies_is_acknowledged_and_counted() {
    for (transport, option) in [("tcp", "--tcp"), ("datagram", "--datagram"), ("udp", "--plain")] {
        let of = |at: &str| json!({"params": {"at": at}});
        let fsus = [fsu("one", "20250127", transport, &of("11")), fsu("two", "20250128", transport, &of("12"))];
        let tree = Tree::new(&fsus, &json!({}));
        tree.write("meter/rules/default.json", RULES);
        let run = Run::start(&tree, &[]);
        let ledger = tree.path("flood.jsonl").display().to_string();
        let page = tree.path("page.html").display().to_string();
        let args = ["--mix", "01=3,05", "--rate", "400", "--seconds", "2", option];
        let more = ["--message-ledger", &ledger, "--html", &page];
        let (ended, report) = flood(&tree, &run.said, &[&args[..], &more].concat());
        assert_eq!(ended.code, Some(0), "{transport}: {ended:?}\n{report:#}");
        let [sent, good, ..] = counts(&report);
        assert_eq!((sent, total(&report, "unexpected"), total(&report, "duplicate")), (good, 0, 0), "{transport}");
        let (hello, alarm) = (message(&report, "hello"), message(&report, "alarm"));
        assert_eq!((hello, alarm), ([2, 2, 0], [6, 6, 0]), "{transport}: {report:#}");
        assert_eq!(report["messages"]["fsus"], 2, "{transport}");
        let lines = std::fs::read_to_string(&ledger).expect("a ledger");
        assert_eq!(lines.lines().filter(|line| line.contains("\"acked\"")).count(), 8, "{transport}: {lines}");
        assert!(std::fs::read_to_string(&page).expect("a page").contains("<h2>Messages</h2>"));
        let text = ended.stdout.join("\n");
        assert!(text.contains("  2 FSUs said something"), "{text}");
        assert_eq!(run.stop().count("/totals/messages_acknowledged"), 8, "{transport}");
    }
}

/// A header field's own value is what messages carry; without `match` requests are answered whatever they have there.
#[test]
fn a_parameter_as_a_header_fields_value_is_said() {
    let of = |at: &str| json!({"params": {"at": at}});
    let fsus = [fsu("one", "20250127", "tcp", &of("11")), fsu("two", "20250128", "tcp", &of("12"))];
    let tree = Tree::new(&fsus, &json!({}));
    let template = std::fs::read(tree.path("meter/template.json")).expect("a file");
    let mut template: Value = serde_json::from_slice(&template).expect("JSON");
    let left = template["protocol"]["pdu_left"].as_array_mut().expect("fields");
    let address = left.iter_mut().find(|field| field["name"] == "address").expect("the field");
    address["value"] = json!("${param(at)}$");
    tree.write("meter/template.json", &template.to_string());
    tree.write("meter/rules/default.json", &RULES.replace("\"{pdu_left}address\": \"${param(at)}$\", ", ""));
    let run = Run::start(&tree, &[]);
    let (ended, report) = flood(&tree, &run.said, &["--mix", "01", "--rate", "400", "--seconds", "1", "--tcp"]);
    assert_eq!(ended.code, Some(0), "{ended:?}\n{report:#}");
    assert_eq!((message(&report, "hello"), &report["messages"]["fsus"]), ([2, 2, 0], &json!(2)), "{report:#}");
}

#[test]
fn a_ledger_needs_something_to_tell() {
    let tree = super::fleet();
    let run = Run::start(&tree, &[]);
    let ledger = tree.path("flood.jsonl").display().to_string();
    let (ended, _) = flood(&tree, &run.said, &["--requests", "1", "--message-ledger", &ledger]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--message-ledger: no FSU that is asked has messages"), "{}", ended.stderr);
    let (ended, _) = flood(&tree, &run.said, &["--requests", "1", "--ack-drop", "0.5"]);
    assert!(ended.stderr.contains("--ack-drop is for a centre: give --listen ADDR, too"), "{}", ended.stderr);
}
