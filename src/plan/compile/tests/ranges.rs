//! `hosts` and `ports`: many FSUs of one entry on several addresses.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check_all, fleet_of};
use crate::model::fleet::Fleet;
use crate::model::share::Partition;
use serde_json::{Value, json};

fn entry(more: &Value) -> Value {
    let mut entry = json!({"fsuname": "a", "fsuid": "303030303031", "protocol_type": "udp", "config_dir": "."});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn fleet(more: Value) -> Fleet {
    fleet_of(&json!({"fsu_list": [entry(&more)]}))
}

#[test]
fn fsus_take_the_places_of_a_range_in_turn() {
    let check = |more: Value, expected: &[&str]| {
        let found: Vec<String> = fleet(more.clone()).fsus.iter().map(|fsu| fsu.bind.to_string()).collect();
        assert_eq!(found, expected, "{more}");
    };
    // As with source addresses, a network's own address and its broadcast address are left out.
    check(
        json!({"count": 3, "hosts": "127.1.0.0/30", "ports": "22001-22002"}),
        &["127.1.0.1:22001", "127.1.0.1:22002", "127.1.0.2:22001"],
    );
    check(json!({"count": 2, "hosts": "127.1.0.0/16", "port": 22_001}), &["127.1.0.1:22001", "127.1.0.2:22001"]);
    check(json!({"count": 2, "hosts": "127.1.0.0/16", "port": 0}), &["127.1.0.1:0", "127.1.0.2:0"]);
    check(json!({"count": 2, "hosts": " 127.1.0.255 - 127.1.1.0 ", "port": 9}), &["127.1.0.255:9", "127.1.1.0:9"]);
    check(json!({"count": 2, "hosts": "127.1.0.6/31", "port": 9}), &["127.1.0.6:9", "127.1.0.7:9"]);
    check(json!({"count": 2, "host": "127.0.0.9", "ports": "7-8"}), &["127.0.0.9:7", "127.0.0.9:8"]);
    check(json!({"count": 2, "ports": "65534-65535"}), &["127.0.0.1:65534", "127.0.0.1:65535"]);
    check(json!({"count": 2, "hosts": "2001:db8::/64", "port": 9}), &["[2001:db8::1]:9", "[2001:db8::2]:9"]);
    check(json!({"count": 2, "hosts": "::ffff:127.1.0.0/112", "port": 9}), &["127.1.0.1:9", "127.1.0.2:9"]);
    check(json!({"count": 1, "hosts": "127.1.0.7", "port": 9}), &["127.1.0.7:9"]);
    check(json!({"count": 2, "hosts": "fe80::fffe-fe80::ffff", "port": 9}), &["[fe80::fffe]:9", "[fe80::ffff]:9"]);
}

/// A part has the addresses, names and ids of the undivided fleet.
#[test]
fn parts_of_a_range_are_those_of_the_whole() {
    let more = json!({"count": 100, "hosts": "127.1.0.0/28", "ports": "22001-22010"});
    let lines = |fleet: &Fleet| -> Vec<String> {
        fleet.fsus.iter().map(|fsu| format!("{} {} {}", fsu.name, fsu.id, fsu.bind)).collect()
    };
    let whole = lines(&fleet(more.clone()));
    let mut parts = Vec::new();
    for part in 0..3 {
        let mut fleet = fleet(more.clone());
        fleet.keep(Partition { part, of: 3 });
        assert!(!fleet.fsus.is_empty());
        parts.extend(lines(&fleet));
    }
    parts.sort();
    assert_eq!(parts, whole);
}

#[test]
fn what_is_wrong_with_a_range() {
    let check = |more: Value, expected: &[&str]| {
        check_all(&json!({"sys_config.json": {"fsu_list": [entry(&more)]}}), expected, &more.to_string());
    };
    let count = |text: &str| format!("/fsu_list/0/count: error: {text}");
    check(
        json!({"count": 7, "hosts": "127.1.0.0/30", "ports": "7-9"}),
        &[&count("count 7, and there are 2 addresses with 3 ports each: 6 FSUs (a wider range has more)")],
    );
    check(
        json!({"count": 3, "hosts": "127.1.0.0/30", "port": 7}),
        &[&count("count 3, and there are 2 addresses with 1 ports each: 2 FSUs (`ports` gives every address several)")],
    );
    check(
        json!({"count": 4, "ports": "7-9"}),
        &[&count(
            "count 4, and there are 1 addresses with 3 ports each: 3 FSUs (`hosts` gives them to several addresses)",
        )],
    );
    check(
        json!({"count": 2, "ports": "7-9", "port": 7, "host": "127.0.0.1", "hosts": "127.0.0.0/8"}),
        &[
            "/fsu_list/0/port: error: `port` and `ports` both say where to listen: leave one out",
            "/fsu_list/0/host: error: `host` and `hosts` both say where to listen: leave one out",
        ],
    );
    check(
        json!({"hosts": "127.0.0.0/8", "ports": "7-9"}),
        &["/fsu_list/0: error: \"count\" is missing (how many FSUs take the addresses of `hosts` and `ports`)"],
    );
    check(
        json!({"count": 2, "hosts": "127.0.0.0/8"}),
        &["/fsu_list/0: error: \"port\" is missing (0 for any free one)"],
    );
    let from = json!({"to": "127.0.0.1:9000"});
    check(
        json!({"count": 2, "hosts": "127.0.0.0/8", "port": 7, "connect": from}),
        &[
            "/fsu_list/0/hosts: error: `hosts` and `ports` are where FSUs listen, and these dial out: `from` of `connect` has their addresses, `port` the first port of those that listen as well",
        ],
    );
    for text in ["host", "127.0.0.1/33", "127.0.0.1/8", ""] {
        let network = crate::model::network::Network::parse(text).unwrap_err();
        let line = format!("/fsu_list/0/hosts: error: {network}");
        check(json!({"count": 2, "hosts": text, "port": 7}), &[&line]);
    }
    for text in ["127.0.0.2-127.0.0.1", "127.0.0.1-::1", "127.0.0.1-9", "-", "a-b"] {
        let what = "is no range of addresses (127.1.0.0/16; 192.0.2.10-192.0.2.99, the first not above the last)";
        check(json!({"count": 2, "hosts": text, "port": 7}), &[&format!("/fsu_list/0/hosts: error: `{text}` {what}")]);
    }
    for text in ["", "7", "0-9", "9-8", "1-65536", "a-b", "1-2-3"] {
        let what = "is no range of ports (22001-42000, from 1 to 65535, the first not above the last)";
        check(json!({"count": 2, "ports": text}), &[&format!("/fsu_list/0/ports: error: `{text}` {what}")]);
    }
}

#[test]
fn a_place_that_another_fsu_has() {
    let other = |host: &str, port: u32| json!({"fsuname": "b", "fsuid": "39", "host": host, "port": port, "protocol_type": "udp", "config_dir": "."});
    let check = |first: Value, second: Value, expected: &[&str]| {
        check_all(&json!({"sys_config.json": {"fsu_list": [first, second]}}), expected, "");
    };
    let ranges = entry(&json!({"count": 4, "hosts": "127.1.0.0/29", "ports": "22001-22002"}));
    check(other("127.1.0.2", 22_003), ranges.clone(), &[]);
    check(
        other("127.1.0.2", 22_002),
        ranges.clone(),
        &["/fsu_list/1/ports: error: udp 127.1.0.2:22002 of `a_00004` is taken by `b`"],
    );
    check(
        ranges,
        other("0.0.0.0", 22_001),
        &["/fsu_list/1/port: error: udp 0.0.0.0:22001 of `b` is taken by `a_00001`"],
    );
}
