//! `ask`: which entry of a key a request is, and replies that refuse it.

use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::{self, meter};
use fsu_plan::texts::chinese;
use serde_json::{Value, json};
use std::process::Command;

/// Two entries of one key, told apart by `kind`, and replies to wrong requests.
const TEMPLATE: &str = r#"{
  "rule_file_list": ["./rules/default.json"],
  "protocol": {
    "pdu_left": [
      {"name": "start", "length": 1, "value": "68"},
      {"name": "command", "length": 1},
      {"name": "code", "length": 1}
    ],
    "pdu_tailer": [{"name": "checksum", "length": 1}, {"name": "end", "length": 1, "value": "16"}],
    "data_frame_type_flag": "command",
    "checksum": {"algorithm": "sum"},
    "errors": {
      "bad_checksum": {"data": {"code": "02"}},
      "unknown_command": {"data": {"code": "04"}}
    },
    "data_frame": [
      {
        "data_frame_type": "01",
        "req_data_list": [{"name": "kind", "length": 1, "value": "01", "match": true}, {"name": "door", "length": 1}],
        "resp_data_list": [{"name": "open", "length": 1}]
      },
      {
        "data_frame_type": "01",
        "req_data_list": [{"name": "kind", "length": 1, "value": "02", "match": true}, {"name": "lamp", "length": 1}],
        "resp_data_list": [{"name": "bright", "length": 1, "type": "uint"}]
      },
      {"data_frame_type": "05", "req_data_list": [], "resp_data_list": []}
    ]
  }
}"#;

const RULES: &str = r#"{
  "01": [{"when": {"lamp": "07"}, "data": {"bright": 10}}, {"data": {"open": "0A", "bright": 16}}],
  "05": {"data": {"code": "04"}}
}"#;

#[test]
fn the_entry_that_was_sent_answers_or_refuses() {
    let tree = Tree::new(&[fsu("site", "20250125", "udp", &json!({}))], &json!({}));
    tree.write("meter/template.json", TEMPLATE);
    tree.write("meter/rules/default.json", RULES);
    let run = Run::start(&tree, &[]);
    let to = run.address("site").to_string();
    let check = |args: &[&str], code: i32, said: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["ask", "--fsu", "site", "--timeout-ms", "5000", "--to", &to, "--config"]);
        let ended = run_to_end(command.arg(tree.path("sys_config.json")).args(args));
        let stdout = ended.stdout.join("\n");
        assert_eq!(ended.code, Some(code), "{args:?}: {stdout} {}", ended.stderr);
        for line in said {
            assert!(stdout.contains(line) || ended.stderr.contains(line), "{args:?}: {stdout} {}", ended.stderr);
        }
        let ended = run_to_end(command.args(["--lang", "zh"]));
        chinese::check(&[ended.stdout.join("\n"), ended.stderr].concat(), Some(&tree.path("")));
    };
    check(&["--cmd", "01"], 0, &["01 of site: answered after", "  open  0A"]);
    check(&["--cmd", "01", "--set", "door=02"], 0, &["  open  0A"]);
    check(&["--cmd", "01", "--set", "kind=02"], 0, &["  bright  16"]);
    check(&["--cmd", "01", "--set", "lamp=07"], 0, &["  bright  10"]);
    check(&["--cmd", "01", "--set", "lam=07"], 2, &["no field `lam` in the request of 01"]);
    let refused = "01 of site: refused: the template's error reply `unknown_command`, after";
    check(&["--cmd", "01", "--set", "kind=03"], 5, &[refused, "  code      04"]);
    check(&["--cmd", "01", "--set", "kind=03", "--repeat", "3"], 5, &["refused  3"]);
    // What a rule says is an answer, whatever it looks like.
    check(&["--cmd", "05"], 0, &["05 of site: answered after", "  code      04"]);
    run.stop();
}

#[test]
fn n19_the_small_configuration_is_served_and_asked() {
    let tree = Tree::new(&[fsu("site", "1", "udp", &json!({}))], &json!({}));
    let small = tree.path("small");
    let ended = run_to_end(Command::new(PROGRAM).args(["init", "--minimal"]).arg(&small));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Any free port, so that tests can run side by side.
    let main = std::fs::read_to_string(small.join("sys_config.json")).unwrap().replace("24001", "0");
    tree.write("small/sys_config.json", &main);
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--log-dir", "logs", "--config"]).arg(&small).current_dir(tree.path(""));
    let run = Run::ready(&mut command, tree.path("none"));
    let to = run.address("site").to_string();
    let check = |args: &[&str], said: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["ask", "--fsu", "site", "--timeout-ms", "5000", "--to", &to, "--config"]).arg(&small).args(args);
        let ended = run_to_end(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(
            ended.stdout.iter().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == said),
            "{ended:?}"
        );
    };
    check(&["--cmd", "01"], "limit 3000");
    check(&["--cmd", "02", "--set", "limit=2000"], "limit 2000");
    check(&["--cmd", "01"], "limit 2000");
    run.stop();
}

#[test]
fn n17_ask_prints_both_frames_as_they_travel() {
    let fsus = ["udp", "tcp", "broadcast"].map(|name| fsu(name, "20250125", name, &json!({})));
    let tree = Tree::new(&fsus, &json!({}));
    let run = Run::start(&tree, &[]);
    for name in ["udp", "tcp", "broadcast"] {
        let ask = |more: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command.args(["ask", "--fsu", name, "--cmd", "01", "--to", &run.address(name).to_string(), "--config"]);
            run_to_end(command.arg(tree.path("sys_config.json")).args(more))
        };
        let (request, answer) = (meter(0, 1, &[0, 0]), meter(0, 1, &[0, 0, 2, 1]));
        let outer = name == "udp";
        let request = if outer { wire::request("20250125", [1, 1], &request) } else { request };
        let answer = if outer { wire::reply("20250125", [1, 1], &answer) } else { answer };
        let [request, answer] = [request, answer].map(hex::encode_upper);
        let ended = ask(&["--timeout-ms", "5000"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(&format!("  request  {request}")), "{name}: {ended:?}");
        assert!(ended.stdout.contains(&format!("  answer   {answer}")), "{name}: {ended:?}");
        let told: Value = serde_json::from_str(&ask(&["--json"]).stdout.join("\n")).expect("JSON");
        assert_eq!((&told["request"], &told["answer"]), (&json!(request), &json!(answer)), "{name}");
        assert_eq!((&told["outcome"], &told["fields"]["level"]), (&json!("answered"), &json!("513")), "{name}");
        let ended = ask(&["--lang", "zh"]);
        chinese::check(&ended.stdout.join("\n"), Some(&tree.path("")));
        assert!(ended.stdout.contains(&format!("  请求     {request}")), "{name}: {ended:?}");
        assert!(ended.stdout.contains(&format!("  应答     {answer}")), "{name}: {ended:?}");
    }
    run.stop();
}
