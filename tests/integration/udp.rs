//! The B interface over UDP.

use crate::harness::{Run, Tree, assert_bytes, fsu};
use crate::wire::{heartbeat, lamp, meter, reply, request};
use serde_json::json;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const LAMP: [u8; 2] = [1, 2];

fn one(more: &serde_json::Value) -> Tree {
    Tree::new(&[fsu("site", ID, "udp", more)], &json!({}))
}

#[test]
fn requests_are_answered_byte_for_byte() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let centre = run.udp("site");
    let check = |device, asked: &[u8], expected: &[u8]| {
        assert_bytes(&centre.ask(&request(ID, device, asked)), &reply(ID, device, expected));
    };
    check(METER, &meter(7, 1, &[0x12, 0x34]), &meter(7, 1, &[0x12, 0x34, 0x02, 0x01]));
    check(METER, &meter(0xFE, 5, &[0xFF, 0xFE, 0xFD, 0x00]), &meter(0xFE, 5, &[0xFF, 0xFE, 0xFD, 0x00]));
    check(LAMP, &lamp(1, 0x55), &lamp(1, 0x80));
    check(METER, &meter(7, 3, &[0, 9]), &meter(7, 3, &[0, 9]));
    let ended = run.stop();
    assert_eq!(ended.count("/totals/received"), 4);
    assert_eq!(ended.count("/fsus/0/answered"), 4);
    assert_eq!(ended.count("/totals/dropped_total"), 0);
}

#[test]
fn two_frames_in_one_datagram_are_both_answered() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let centre = run.udp("site");
    let both = [request(ID, METER, &meter(1, 1, &[0, 1])), request(ID, METER, &meter(1, 1, &[0, 2]))].concat();
    let expected =
        [reply(ID, METER, &meter(1, 1, &[0, 1, 2, 1])), reply(ID, METER, &meter(1, 1, &[0, 2, 2, 1]))].concat();
    let mut got = centre.ask(&both);
    while got.len() < expected.len() {
        got.extend(centre.receive());
    }
    assert_bytes(&got, &expected);
    run.stop();
}

#[test]
fn what_is_not_answered_is_counted() {
    let tree = one(&json!({}));
    let run = Run::start(&tree, &[]);
    let centre = run.udp("site");
    let good = request(ID, METER, &meter(1, 1, &[0, 1]));
    centre.send(&request("20250126", METER, &meter(1, 1, &[0, 0])));
    centre.send(&request(ID, [1, 9], &meter(1, 1, &[0, 0])));
    centre.send(&request(ID, METER, &meter(1, 2, &[])));
    centre.send(&request(ID, METER, &meter(1, 0x77, &[])));
    let mut wrong = good.clone();
    let verify = wrong.len() - 2;
    wrong[verify] ^= 0x01;
    centre.send(&wrong);
    // Datagrams of one sender are read in their order: nothing before this one was answered.
    assert_bytes(&centre.ask(&good), &reply(ID, METER, &meter(1, 1, &[0, 1, 2, 1])));
    let ended = run.stop();
    for (pointer, expected) in [
        ("/totals/answered", 1),
        ("/totals/silent", 1),
        ("/totals/dropped/wrong_fsu", 1),
        ("/totals/dropped/unknown_device", 1),
        ("/totals/dropped/unknown_command", 1),
        ("/totals/dropped/outer_bad_verify", 1),
        ("/transports/0/dropped_total", 4),
    ] {
        assert_eq!(ended.count(pointer), expected, "{pointer}");
    }
}

#[test]
fn heartbeats_go_to_the_static_centre_and_to_those_that_asked() {
    let center = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    center.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    let beating = fsu("site", ID, "udp", &json!({"heartbeat_enable": true, "heartbeat_interval": 1}));
    let port = center.local_addr().unwrap().port();
    let tree = Tree::new(&[beating], &json!({"sc_iot_center": {"host": "127.0.0.1", "port": port}}));
    let run = Run::start(&tree, &[]);
    let asking = run.udp("site");
    asking.ask(&request(ID, METER, &meter(1, 1, &[0, 1])));
    let mut buffer = [0; 2048];
    for _ in 0..2 {
        let (size, from) = center.recv_from(&mut buffer).expect("a heartbeat");
        assert_bytes(&buffer[..size], &heartbeat(ID, 1));
        assert_eq!(from, run.address("site"), "from its own listening socket");
    }
    assert_bytes(&asking.receive(), &heartbeat(ID, 1));
    let ended = run.stop();
    assert!(ended.count("/totals/heartbeats_sent") >= 3);
    assert_eq!(ended.count("/totals/centres_online"), 1);
}

#[test]
fn a_silent_centre_gets_no_more_heartbeats() {
    let settings = json!({"heartbeat_enable": true, "heartbeat_interval": 1, "client_timeout": 2});
    let tree = one(&settings);
    let run = Run::start(&tree, &[]);
    let centre = run.udp("site");
    centre.ask(&request(ID, METER, &meter(1, 1, &[0, 1])));
    // Beats come every second while the centre is online; three seconds without one: it is not any more.
    centre.0.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let started = Instant::now();
    let mut buffer = [0; 2048];
    while centre.0.recv(&mut buffer).is_ok() {
        assert!(started.elapsed() < crate::harness::PATIENCE, "it is never offline");
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/centres_online"), 1);
    assert_eq!(ended.count("/totals/centres_offline"), 1);
}
