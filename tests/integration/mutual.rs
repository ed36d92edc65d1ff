//! Two runs of the program and a datagram with a forged sender address: they must not keep answering each other.
//!
//! Nothing is forged here. A socket at the port of the second run asks the first one, which answers later; meanwhile the
//! socket goes and the second run begins. The late reply is then as if the second one had asked.

use crate::harness::{PATIENCE, Run, Tree, fsu};
use crate::wire::{meter, request};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

const ID: &str = "20250125";
/// How often the second run may begin after the reply came.
const TRIES: usize = 4;

/// A frame of the template of tests/vectors: command, parameter.
fn frame(cmd: u8, para: u8) -> Vec<u8> {
    let mut frame = vec![0xFE, 0xE0, 0xA7, 0x8A, 0, 0, 0, 0, 5, 0, 0, 0, cmd, para, 0];
    frame.push(frame.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    frame
}

/// Frames that do not tell a request from an answer: 52 is answered at once, with parameter 07 after 4 s and without it.
fn undirected(port: u16) -> Tree {
    let site = fsu("site", ID, "broadcast", &json!({"config_dir": "./bc", "port": port}));
    let tree = Tree::new(&[site], &json!({}));
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "template.json"});
    let vectors = include_str!("../vectors/broadcast.json");
    let mut template = serde_json::from_str::<Value>(vectors).expect("JSON")["template"].take();
    template["rule_file_list"] = json!(["./default.json"]);
    tree.write("bc/fsu_devices.json", &json!({"device_list": [device]}).to_string());
    tree.write("bc/template.json", &template.to_string());
    let late = json!({"when": {"Para": "07"}, "delay": {"fixed": 4000}, "data": {"Para": "00"}});
    tree.write("bc/default.json", &json!({"52": [late, {}]}).to_string());
    tree
}

/// An FSU that answers as much as it can be told to; 04 of its meter after 4 s.
fn eager(port: u16) -> Tree {
    let more = json!({
        "port": port, "accept_any_id": true, "heartbeat_reply": true, "accept_rtn_flags": ["EE", "00", "ED"],
    });
    Tree::new(&[fsu("site", ID, "udp", &more)], &json!({}))
}

/// Both runs, and what the second one has counted under that reason. `now`: what is answered at once.
fn check(tree: impl Fn(u16) -> Tree, (asked, now): (&[u8], &[u8]), reason: &str, args: &[&str]) {
    for _ in 0..TRIES {
        let first_tree = tree(0);
        let first = Run::start(&first_tree, args);
        let forged = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let at = forged.local_addr().expect("an address");
        let asked_at = Instant::now();
        forged.send_to(asked, first.address("site")).expect("sent");
        let second_tree = tree(at.port());
        drop(forged);
        let second = Run::start(&second_tree, args);
        if asked_at.elapsed().as_secs() >= 4 {
            continue;
        }
        second_tree.until_logged(reason);
        assert!(asked_at.elapsed() < PATIENCE);
        // What either has got before this is dealt with when this is answered.
        for to in [first.address("site"), at] {
            ask(to, now);
        }
        let (first, second) = (first.stop(), second.stop());
        let count = |of: &crate::harness::Ended, what: &str| of.count(&format!("/totals/{what}"));
        assert_eq!(count(&second, &format!("dropped/{reason}")), 1);
        // What came late, and one more each.
        assert_eq!((count(&first, "received"), count(&second, "received")), (2, second_receives(reason)));
        assert_eq!((count(&first, "dropped_total"), count(&second, "dropped_total")), (0, 1));
        return;
    }
    panic!("the second run never began in time");
}

/// A frame that is refused by its layout was received; one that is marked was not even looked at.
fn second_receives(reason: &str) -> u64 {
    if reason == "mock_reply" { 1 } else { 2 }
}

/// Asks, and waits for the answer.
fn ask(to: SocketAddr, bytes: &[u8]) {
    let centre = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    centre.set_read_timeout(Some(PATIENCE)).expect("a limit");
    centre.send_to(bytes, to).expect("sent");
    centre.recv(&mut [0; 256]).expect("an answer");
}

#[test]
fn h04_two_runs_with_undirected_frames_do_not_answer_each_other() {
    for driver in [&[][..], &["--driver", "poll"]] {
        check(undirected, (&frame(0x52, 7), &frame(0x52, 0)), "mock_reply", driver);
    }
}

#[test]
fn h04_two_runs_over_udp_do_not_answer_each_other() {
    let [late, now] = [meter(7, 4, &[]), meter(7, 5, &[1, 2, 3, 4])].map(|asked| request(ID, [1, 1], &asked));
    check(eager, (&late, &now), "outer_bad_rtn_flag", &[]);
}

/// Ids that begin with 00, so that a heartbeat of one reads as one of a centre to another.
#[test]
fn h04_two_runs_do_not_answer_heartbeats_of_each_other() {
    let beating = |port: u16, more: &Value| {
        let mut of = json!({
            "fsuid": "00313131", "port": port, "accept_any_id": true, "heartbeat_reply": true, "heartbeat_enable": true,
            "heartbeat_interval": 1,
        });
        of.as_object_mut().expect("an object").extend([("host".to_owned(), json!("127.0.0.1"))]);
        Tree::new(&[fsu("site", ID, "udp", &of)], more)
    };
    let first_tree = beating(0, &json!({}));
    let first = Run::start(&first_tree, &[]);
    let centre = first.address("site");
    let more = json!({"sc_iot_center": {"host": "127.0.0.1", "port": centre.port()}});
    let second_tree = beating(0, &more);
    let second = Run::start(&second_tree, &[]);
    first_tree.until_logged("wrong_fsu");

    let (first, second) = (first.stop(), second.stop());
    assert!(first.count("/totals/dropped/wrong_fsu") >= 1);
    for what in ["heartbeats_received", "heartbeats_sent", "centres_online"] {
        assert_eq!(first.count(&format!("/totals/{what}")), 0, "{what}");
    }
    assert_eq!(second.count("/totals/received"), 0);
}
