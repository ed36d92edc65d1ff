//! FSUs from a table (`fsu_csv`).
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::compile;
use super::{check_all, files};
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::fleet::Fleet;
use serde_json::{Value, json};
use std::sync::Arc;

fn template(more: Value) -> Value {
    let mut entry = json!({"template": true, "protocol_type": "tcp", "config_dir": "."});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn with(csv: &str, entries: &[Value]) -> Value {
    json!({"sys_config.json": {"fsu_csv": "sites.csv", "fsu_list": entries}, "sites.csv": csv})
}

/// The fleet of these files, and all errors with their places.
fn told(with: &Value) -> (Option<Fleet>, Vec<String>) {
    let mut files = files();
    for (name, content) in with.as_object().unwrap() {
        files[name] = content.clone();
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let prefix = format!("{}/", dir.path().display());
    (fleet, loader.diags.lines().map(|line| line.replace(&prefix, "")).collect())
}

fn fleet(csv: &str, entries: &[Value]) -> Fleet {
    let (fleet, found) = told(&with(csv, entries));
    assert_eq!(found, [""; 0]);
    fleet.unwrap()
}

/// What is told with its place, and that it has Chinese texts.
fn check_placed(with: &Value, expected: &[&str]) {
    assert_eq!(told(with).1, expected);
    let place = |line: &&str| line[line.find(": /").map_or(0, |at| at + 2)..].to_owned();
    let expected: Vec<String> = expected.iter().map(place).collect();
    check_all(with, &expected.iter().map(|line| &**line).collect::<Vec<_>>(), "");
}

/// `NAME TRANSPORT ADDRESS ID` of each FSU.
fn lines(fleet: &Fleet) -> Vec<String> {
    let line =
        |fsu: &crate::model::fleet::Fsu| format!("{} {} {} {}", fsu.name, fsu.transport.name(), fsu.bind, fsu.id);
    fleet.fsus.iter().map(line).collect()
}

#[test]
fn an_fsu_a_row() {
    let csv = "\u{feff}fsuname,fsuid,port,protocol_type,heartbeat_enable,desc\r\n\
               north,3031,9001,,TRUE,\"a, \"\"b\"\"\"\r\n\
               \r\n,,,,,\r\n\
               \" south \",3032, 009002 ,udp,false,,\r\n";
    let fleet = fleet(csv, &[template(json!({"host": "127.0.0.2"}))]);
    assert_eq!(lines(&fleet), ["north tcp 127.0.0.2:9001 3031", " south  udp 127.0.0.2:9002 3032"]);
    assert!(fleet.fsus[1].heartbeat().is_none());
}

#[test]
fn rows_beside_entries_and_without_a_template() {
    let plain = json!({"fsuname": "first", "port": 0, "protocol_type": "tcp", "config_dir": "."});
    let csv = "fsuname,port,count\na,7,2\nb,0,";
    let with_template = fleet(csv, &[template(json!({"count": 3})), plain.clone()]);
    let expected = ["first tcp 127.0.0.1:0 ", "a_00001 tcp 127.0.0.1:7 ", "a_00002 tcp 127.0.0.1:8 "];
    assert_eq!((&lines(&with_template)[..3], with_template.fsus.len()), (&expected.map(str::to_owned)[..], 6));
    let alone = fleet("fsuname,port,protocol_type,config_dir\na,7,tcp,.\n", &[]);
    assert_eq!(lines(&alone), ["a tcp 127.0.0.1:7 "]);
}

/// What rows have in common they share, and source addresses go on from row to row.
#[test]
fn rows_share_what_is_equal() {
    let connect = json!({"to": "192.0.2.1:9000", "from": ["192.0.2.8/30"]});
    let faults = json!({"drop": 0.5});
    let allow = json!(["192.0.2.0/24"]);
    let entry = template(json!({"connect": connect, "faults": faults, "allow": allow}));
    let fleet = fleet("fsuname\na\nb\nc\n", &[entry]);
    assert_eq!(lines(&fleet), ["a tcp 192.0.2.9:0 ", "b tcp 192.0.2.10:0 ", "c tcp 192.0.2.9:0 "]);
    assert!(Arc::ptr_eq(&fleet.fsus[0].common, &fleet.fsus[2].common));
    assert_eq!(fleet.fsus[2].dials().unwrap().source(2).unwrap().to_string(), "192.0.2.9");
}

#[test]
fn what_is_wrong_is_told_by_line_and_column() {
    let check = |csv: &str, more: Value, expected: &[&str]| check_placed(&with(csv, &[template(more)]), expected);
    let at = |place: &str, text: &str| format!("sites.csv:{place}: error: {text}");
    check(
        "fsuname,port\n海,x\n\nb,70000\nb,7\nb,8\n",
        json!({}),
        &[
            &at("2:3: /fsu_csv/2/port", "expected a whole number, found \"x\""),
            &at("4:3: /fsu_csv/4/port", "port 70000 (0 for any free one, to 65535)"),
            &at("6:1: /fsu_csv/6/fsuname", "a second FSU named `b`"),
        ],
    );
    check(
        "fsuname,port,heartbeat_enable\na,1,yes\n",
        json!({}),
        &[&at("2:5: /fsu_csv/2/heartbeat_enable", "expected true or false, found \"yes\"")],
    );
    // What the template has is told where it is, once.
    check(
        "fsuname,port\na,1\nb,2\n",
        json!({"host": "here"}),
        &[
            "sys_config.json:1:99: /fsu_list/0/host: error: `here` is no IP address (127.0.0.1; 0.0.0.0 for all of IPv4, :: for all of IPv4 and IPv6; fe80::1%2)",
        ],
    );
}

#[test]
fn what_is_wrong_with_the_columns() {
    let check = |csv: &str, expected: &[&str]| check_placed(&with(csv, &[template(json!({}))]), expected);
    check(
        "fsuname,port,prt,port,,param.\na,1,2,3,4,5\n",
        &[
            "sites.csv:1:14: /fsu_csv/prt: warning: unknown column \"prt\" (did you mean \"port\"?)",
            "sites.csv:1:18: /fsu_csv/port: error: a second column `port`",
            "sites.csv:1:23: /fsu_csv/: error: a column without a name",
            "sites.csv:1:24: /fsu_csv/param.: warning: unknown column \"param.\" (known: fsuname, fsuid, host, hosts, port, ports, protocol_type, heartbeat_interval, heartbeat_enable, heartbeat_reply, config_dir, count, client_timeout, accept_any_id)",
        ],
    );
    check(
        "fsuname,port\na\nb,2,3\nc,4,,\n",
        &[
            "sites.csv:2:1: /fsu_csv/2: error: 1 cells, and the first row has 2",
            "sites.csv:2:1: /fsu_csv/2: error: \"port\" is missing (0 for any free one)",
            "sites.csv:3:1: /fsu_csv/3: error: 3 cells, and the first row has 2",
        ],
    );
    check("", &["sites.csv:1:1: /: error: the file is empty"]);
    check("fsuname\n\n,\n", &["sites.csv:1:1: /: error: no row follows the names of the columns"]);
    check("fsuname\n\"a\nb\n", &["sites.csv:2:1: /: error: a cell begins with a quote and has no second one"]);
    check(
        "fsuname,port\n\"a\"b,1\n",
        &["sites.csv:2:4: /: error: a cell goes on behind its second quote (a quote within a cell is written twice)"],
    );
}

#[test]
fn what_does_not_go_together() {
    let two = json!({"sys_config.json": {"fsu_csv": "sites.csv", "fsu_list": [template(json!({})), template(json!({}))]}, "sites.csv": "fsuname,port\na,1\n"});
    let text =
        "/fsu_list/1: error: a second entry with `template`: the rows of `fsu_csv` take what they leave out from one";
    check_all(&two, &[text], "two");
    let none = json!({"sys_config.json": {"fsu_list": [template(json!({}))]}});
    let text = "/fsu_list/0: error: an entry with `template` is no FSU, and there is no `fsu_csv` whose rows it is for";
    check_all(&none, &[text], "none");
    let missing = json!({"sys_config.json": {"fsu_csv": "no.csv"}});
    check_all(&missing, &["/fsu_csv: error: no.csv cannot be read: No such file or directory (os error 2)"], "missing");
}

/// Fast enough for a large fleet.
#[test]
fn limit_fsus_max_in_a_table() {
    let rows = |many: u32| {
        (0..many).fold(String::from("fsuname,fsuid,port\n"), |text, i| text + &format!("s{i},{i:010X},0\n"))
    };
    let all = fleet(&rows(100_000), &[template(json!({}))]);
    assert!(all.fsus.len() == 100_000 && Arc::ptr_eq(&all.fsus[0].common, &all.fsus[99_999].common));
    let past = "sites.csv:3:5: /fsu_csv/3/count: error: more than 1000000 FSUs";
    let csv = "fsuname,port,count\na,0,1\nb,0,1000000\n";
    check_placed(&with(csv, &[template(json!({}))]), &[past]);
}
