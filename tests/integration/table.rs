//! FSUs from a table (`fsu_csv`).

use crate::harness::{PROGRAM, Run, Tree, run_to_end};
use crate::wire::{meter, reply, request};
use serde_json::json;
use std::process::Command;

const METER: [u8; 2] = [1, 1];

fn tree(csv: &str) -> Tree {
    let template = json!({
        "template": true, "protocol_type": "udp", "config_dir": "./site", "port": 0, "heartbeat_enable": false,
    });
    let tree = Tree::new(&[template], &json!({"fsu_csv": "sites.csv"}));
    tree.write("sites.csv", csv);
    tree
}

#[test]
fn rows_are_served_and_reloaded() {
    let id = hex::encode("20250125");
    let tree = tree(&format!("fsuname,fsuid\r\nnorth,{id}\r\nsouth,{id}\r\n"));
    let mut run = Run::start(&tree, &[]);
    let asked = request("20250125", METER, &meter(1, 1, &[0, 1]));
    let answer = reply("20250125", METER, &meter(1, 1, &[0, 1, 2, 1]));
    let north = run.udp("north");
    north.send(&asked);
    assert_eq!((north.receive(), run.addresses()), (answer.clone(), 2));
    tree.write("sites.csv", &format!("fsuname,fsuid\nwest,{id}\nnorth,{id}\n"));
    assert!(run.reload().starts_with("reloaded: 1 FSU stays, 1 new, 1 gone"), "{:?}", run.said);
    for name in ["north", "west"] {
        let centre = run.udp(name);
        centre.send(&asked);
        assert_eq!(centre.receive(), answer, "{name}");
    }
    assert_eq!(run.stop().count("/totals/answered"), 3);
}

#[test]
fn check_tells_line_and_column() {
    let tree = tree("fsuname,fsuid,port\nnorth,3031,x\nsouth,zz,7\n");
    let ended = run_to_end(Command::new(PROGRAM).arg("check").arg(tree.path("sys_config.json")));
    let all = ended.stdout.join("\n") + &ended.stderr;
    assert_eq!(ended.code, Some(1), "{all}");
    for expected in ["sites.csv:2:12: /fsu_csv/2/port: error: ", "sites.csv:3:7: /fsu_csv/3/fsuid: error: "] {
        assert!(all.contains(expected), "{all}");
    }
}
