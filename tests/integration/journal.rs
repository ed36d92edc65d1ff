//! Changes of a journal, made again by the real program: before the frames that it names, with any number of shards and both drivers.

use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::meter;
use serde_json::{Value, json};
use std::process::Command;

const ID: &str = "20250125";
const HEAD: &str = r#"{"journal":1,"seed":7,"config_hash":"0"}"#;

/// A meter that answers 01, and says a report when it is told to.
fn tree() -> Tree {
    let tree = Tree::new(&[fsu("site", ID, "datagram", &json!({}))], &json!({}));
    let rules = json!({
        "messages": {"report": {"frame": "03", "on": "trigger", "data": {"tag": "${arg(tag)}$"}}},
        "01": {"data": {"level": 513}}, "02": {"timeout": true}, "03": {}, "05": {},
    });
    tree.write("meter/rules/default.json", &rules.to_string());
    tree
}

fn line(at: u64, method: &str, path: &str, body: &Value) -> String {
    let path = format!("/v1/fsus/site/{path}");
    json!({"t_ms": 3_600_000, "call": {"method": method, "path": path, "body": body}, "at": {"site": at}}).to_string()
}

#[test]
fn changes_are_made_again_before_their_frames() {
    for (driver, shards) in [("poll", "1"), ("ring", "1"), ("poll", "2")] {
        let tree = tree();
        let lines = [
            HEAD.to_owned(),
            line(3, "POST", "trigger", &json!({"message": "report", "args": {"tag": "CAFE"}})),
            line(4, "PUT", "faults", &json!({"drop": 1.0})),
            line(5, "DELETE", "faults", &Value::Null),
        ];
        tree.write("journal", &lines.join("\n"));
        let again = tree.path("again");
        let args = ["--driver", driver, "--shards", shards, "--play", "journal", "--journal"];
        let run = Run::start(&tree, &[&args[..], &[again.to_str().expect("a plain path")]].concat());
        let centre = run.udp("site");
        let asked = |number: u8| meter(1, 1, &[0, number]);
        let answered = |number: u8| meter(1, 1, &[0, number, 2, 1]);
        for number in [1, 2] {
            assert_eq!(centre.ask(&asked(number)), answered(number));
        }
        assert_eq!(centre.ask(&asked(3)), meter(0, 3, &[0xCA, 0xFE]), "driver {driver}");
        assert_eq!(centre.receive(), answered(3));
        // The fourth is not answered.
        centre.send(&asked(4));
        assert_eq!(centre.ask(&asked(5)), answered(5));
        let ended = run.stop();
        assert_eq!((ended.stats["run"]["seed"].as_u64(), ended.count("/totals/faults/drop")), (Some(7), 1));
        let text = std::fs::read_to_string(&again).expect("a journal");
        let made: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((&made[0]["journal"], &made[0]["seed"]), (&json!(1), &json!(7)));
        let told: Vec<_> =
            made[1..].iter().map(|line| (&line["call"]["method"], &line["by"], &line["at"]["site"])).collect();
        let (play, [post, put, delete]) = (json!("play"), ["POST", "PUT", "DELETE"].map(|method| json!(method)));
        assert_eq!(told, [(&post, &play, &json!(3)), (&put, &play, &json!(4)), (&delete, &play, &json!(5))]);
        // Itself played, it does the same: its lines are as the first one's.
        assert_eq!(made[1]["call"]["body"], json!({"message": "report", "args": {"tag": "CAFE"}}));
    }
}

#[test]
fn what_cannot_be_played_ends_the_start() {
    let check = |journal: &str, args: &[&str], said: &str| {
        let tree = tree();
        tree.write("journal", journal);
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--config").arg(tree.path("sys_config.json")).args(["--play", "journal"]);
        let ended = run_to_end(command.args(args).current_dir(tree.path("")));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(said), "{said:?} is not in:\n{}", ended.stderr);
    };
    check("{}", &[], "--play journal:1: not the first line of a journal");
    let other = line(1, "DELETE", "faults", &Value::Null).replace(r#"{"site":1}"#, r#"{"sit":1}"#);
    check(&format!("{HEAD}\n{other}"), &[], "--play journal:2: the configuration has no FSU `sit`");
    check(HEAD, &["--seed", "8"], "--seed 8: the journal of --play has seed 7; leave --seed out");
}
