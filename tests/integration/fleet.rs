//! Many FSUs, and a vendor added with JSON alone.

use crate::harness::{Run, Tree, assert_bytes, fsu};
use crate::wire::{lamp, meter, reply, request};
use serde_json::json;

#[test]
fn a_thousand_fsus_on_two_shards_answer() {
    let udp = fsu("site", "10000000", "udp", &json!({"count": 1000, "heartbeat_enable": true}));
    let tree = Tree::new(&[udp], &json!({}));
    let run = Run::start(&tree, &["--shards", "2", "--performance"]);
    assert_eq!(run.addresses(), 1000);
    for n in 0..1000 {
        let (name, id) = (format!("site_{:05}", n + 1), format!("{}", 10_000_000 + n));
        let centre = run.udp(&name);
        let tag = [(n >> 8) as u8, n as u8];
        let asked = request(&id, [1, 1], &meter(1, 1, &tag));
        assert_bytes(&centre.ask(&asked), &reply(&id, [1, 1], &meter(1, 1, &[tag[0], tag[1], 2, 1])));
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/answered"), 1000);
    assert_eq!(ended.count("/shards/0/answered"), 500);
    assert_eq!(ended.count("/shards/1/answered"), 500);
    assert!(ended.stats["fsus"].as_array().is_some_and(|fsus| fsus.iter().all(|fsu| fsu["answered"] == 1)));
}

#[test]
fn more_shards_than_processors_serve_all_the_same() {
    let tcp = fsu("site", "1", "tcp", &json!({"count": 6}));
    let tree = Tree::new(&[tcp], &json!({}));
    let run = Run::start(&tree, &["--shards", "3", "--cpus", "0"]);
    for n in 1..=6 {
        let mut centre = run.tcp(&format!("site_{n:05}"));
        centre.send(&meter(1, 1, &[0, 1]));
        centre.expect(&meter(1, 1, &[0, 1, 2, 1]));
    }
    let ended = run.stop();
    assert!(ended.stderr.contains("processor"), "a warning: {}", ended.stderr);
    assert_eq!(ended.count("/shards/2/cpu"), 0);
    assert_eq!(ended.count("/shards/2/answered"), 2);
}

#[test]
fn a_vendor_in_json_alone_answers_over_udp_and_tcp() {
    let fsus = [fsu("u", "77", "udp", &json!({})), fsu("t", "78", "tcp", &json!({}))];
    let tree = Tree::new(&fsus, &json!({}));
    let run = Run::start(&tree, &[]);
    let udp = run.udp("u");
    let mut tcp = run.tcp("t");
    for (device, asked, expected) in
        [(1, meter(9, 1, &[1, 2]), meter(9, 1, &[1, 2, 2, 1])), (2, lamp(1, 0), lamp(1, 0x80))]
    {
        assert_bytes(&udp.ask(&request("77", [1, device], &asked)), &reply("77", [1, device], &expected));
        tcp.send(&asked);
        tcp.expect(&expected);
    }
    let ended = run.stop();
    assert_eq!(ended.count("/transports/0/answered"), 2);
    assert_eq!(ended.count("/transports/1/answered"), 2);
}
