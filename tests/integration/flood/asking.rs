//! A centre that asks: requests on the connections that devices opened, and to where their datagrams come from.

use super::between::{RULES, message};
use super::counts;
use super::listen::{Centre, free_port};
use crate::harness::{PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::meter;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// What the meter answers where it says nothing by itself.
const SILENT: &str = r#"{"01": {"data": {"level": 513}}, "02": {"timeout": true}, "03": {}, "04": {}, "05": {}}"#;

/// FSUs that connect to that port, three of a transport.
fn fleet(port: u16, transport: &str, rules: &str) -> Tree {
    let of = json!({"count": 3, "params": {"at": "11"}, "connect": {"to": format!("127.0.0.1:{port}")}});
    let mut entry = fsu("f", "2001", transport, &of);
    entry.as_object_mut().expect("an entry").retain(|key, _| key != "port" && key != "host");
    let tree = Tree::new(&[entry], &json!({}));
    tree.write("meter/rules/default.json", rules);
    tree
}

#[test]
fn devices_that_connect_are_asked_and_what_they_say_is_acknowledged() {
    for transport in ["tcp", "udp", "datagram"] {
        let port = free_port();
        let tree = fleet(port, transport, RULES);
        let at = format!("127.0.0.1:{port}");
        let pace = ["--rate", "300", "--requests", "400", "--mix", "01=3,05", "--timeout-ms", "10000", "--quiet"];
        let centre = Centre::listen(&tree, &[&at], &pace);
        let run = Run::start(&tree, &[]);
        let (code, said, report) = centre.end(&tree);
        assert_eq!(code, Some(0), "{transport}: {said}\n{report:#}");
        assert_eq!(counts(&report), [400, 400, 0, 0, 0, 0], "{transport}: {said}");
        let (hello, alarm) = (message(&report, "hello"), message(&report, "alarm"));
        assert_eq!((hello, alarm), ([3, 3, 0], [9, 9, 0]), "{transport}: {said}");
        assert_eq!((&report["run"]["transport"], &report["run"]["fsus"]), (&json!(transport), &json!(3)));
        assert_eq!(report["latency"]["count"], 400, "{said}");
        assert_eq!(run.stop().count("/totals/answered"), 400, "{transport}");
    }
}

/// A device that dials and says nothing is asked at once; so is one that is bound to its own address.
#[test]
fn devices_that_say_nothing_are_asked() {
    for (transport, args) in [("tcp", ["--window", "4"]), ("udp", ["--rate", "500"])] {
        let port = free_port();
        let mut tree = fleet(port, transport, SILENT);
        if transport == "udp" {
            let of = json!({"params": {"at": "11"}, "port": free_port()});
            tree = Tree::new(&[fsu("f", "2001", "udp", &of)], &json!({}));
            tree.write("meter/rules/default.json", SILENT);
        }
        let run = Run::start(&tree, &[]);
        let at = format!("127.0.0.1:{port}");
        let more = ["--mix", "01,05", "--requests", "200", "--timeout-ms", "10000"];
        let centre = Centre::listen(&tree, &[&at], &[&args[..], &more].concat());
        let (code, said, report) = centre.end(&tree);
        assert_eq!(code, Some(0), "{transport}: {said}\n{report:#}");
        assert_eq!(counts(&report), [200, 200, 0, 0, 0, 0], "{transport}: {said}");
        drop(run);
    }
}

/// The tag of the next request for 01 on a connection.
fn tag(stream: &mut TcpStream) -> [u8; 2] {
    let mut request = [0; 8];
    stream.read_exact(&mut request).expect("a request");
    assert_eq!(request, *meter(0, 1, &request[4..6]), "the address is 00");
    [request[4], request[5]]
}

/// Devices by hand: a wrong reply is counted and ends its connection, and one too many is a duplicate.
#[test]
fn replies_on_dialled_connections_are_verified() {
    let tree = fleet(free_port(), "tcp", SILENT);
    let mut devices: Value =
        serde_json::from_slice(&std::fs::read(tree.path("site/fsu_devices.json")).expect("a file")).expect("JSON");
    devices["device_list"].as_array_mut().expect("devices").truncate(1);
    tree.write("site/fsu_devices.json", &devices.to_string());
    let start = || {
        let args = ["--requests", "2", "--mix", "01", "--timeout-ms", "20000"];
        let centre = Centre::listen(&tree, &["127.0.0.1:0"], &args);
        let stream = centre.dial();
        (centre, stream)
    };
    let right = |[a, b]: [u8; 2]| meter(0, 1, &[a, b, 2, 1]);
    let (centre, mut stream) = start();
    let reply = right(tag(&mut stream));
    stream.write_all(&[&*reply, &reply].concat()).expect("written");
    let reply = right(tag(&mut stream));
    stream.write_all(&reply).expect("written");
    let (code, said, report) = centre.end(&tree);
    assert_eq!((code, counts(&report)), (Some(1), [2, 2, 0, 0, 0, 0]), "{said}");
    assert_eq!(report["totals"]["duplicate"], 1, "{said}");
    let (centre, mut stream) = start();
    let [a, b] = tag(&mut stream);
    stream.write_all(&meter(0, 1, &[a, b, 2, 2])).expect("written");
    assert_eq!(stream.read(&mut [0; 8]).expect("closed"), 0);
    let mut again = centre.dial();
    let reply = right(tag(&mut again));
    again.write_all(&reply).expect("written");
    let (code, said, report) = centre.end(&tree);
    assert_eq!((code, counts(&report)), (Some(1), [2, 1, 0, 1, 0, 0]), "{said}\n{report:#}");
}

#[test]
fn what_does_not_go_together_is_said() {
    let tree = fleet(free_port(), "tcp", SILENT);
    let check = |args: &[&str], expected: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["flood", "--listen", "127.0.0.1:0", "--config"]).arg(tree.path("sys_config.json")).args(args);
        let ended = run_to_end(&mut command);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    };
    check(&["--max-loss", "1"], "--max-loss is about requests, and a centre only listens: give --rate");
    check(&["--rate", "0"], "no FSU of the configuration sends heartbeats or messages");
    check(&["--rate", "1", "--tcp"], "cannot be used with");
    check(&["--rate", "1", "--mix", "99"], "--mix: no device of these FSUs has the command 99");
}
