//! FSUs with one inner frame a datagram, and no outer frame.

use crate::broadcast::counts;
use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::meter;
use serde_json::{Value, json};
use std::process::Command;

fn tree() -> Tree {
    let of = |n: u32| fsu(&format!("site{n}"), "1", "datagram", &json!({}));
    Tree::new(&(0..4).map(of).collect::<Vec<_>>(), &json!({}))
}

fn check(driver: &str) {
    let tree = tree();
    let run = Run::start(&tree, &["--driver", driver, "--performance"]);
    let centre = run.udp("site1");
    centre.send(&meter(0x07, 1, &[0xAB, 0xCD])[1..]);
    assert_eq!(centre.ask(&meter(0x07, 1, &[0xAB, 0xCD])), meter(0x07, 1, &[0xAB, 0xCD, 0x02, 0x01]));

    tree.write("ports.txt", &run.said.join("\n"));
    let report = tree.path("report.json");
    let mut command = Command::new(PROGRAM);
    command.args([
        "flood",
        "--datagram",
        "--quiet",
        "--seconds",
        "5",
        "--requests",
        "200",
        "--window",
        "4",
        "--mix",
        "01,05",
    ]);
    command.arg("--config").arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(command.arg("--json").arg(&report));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(counts(&report), [200, 200, 0, 0, 0, 0], "{report:#}");

    let to = run.address("site2").to_string();
    let mut ask = Command::new(PROGRAM);
    ask.args(["ask", "--fsu", "site2", "--cmd", "01", "--to", &to, "--config"]).arg(tree.path("sys_config.json"));
    let ended = run_to_end(&mut ask);
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let ended = run.stop();
    let of = ended.stats.pointer("/transports/0").expect("a transport").clone();
    let of = ["transport", "fsus"].map(|key| of[key].to_string()).join(" ");
    assert_eq!(of, "\"datagram\" 4");
    assert_eq!((ended.count("/totals/received"), ended.count("/totals/answered")), (203, 202), "{ended:?}");
}

#[test]
fn datagrams_are_answered_flooded_and_asked() {
    check("poll");
    check("ring");
}

#[test]
fn transfers_need_broadcast() {
    let tree = crate::broadcast::tree(1, &json!({}));
    let site = fsu("site", "1", "datagram", &json!({"config_dir": "./bc"}));
    tree.set_fsus(&[site], &json!({}));
    let ended = run_to_end(Command::new(PROGRAM).arg("check").arg(tree.path("")));
    assert!(
        ended.code == Some(1) && ended.stdout.join("\n").contains("has transfers, which only broadcast carries"),
        "{ended:?}"
    );
}
