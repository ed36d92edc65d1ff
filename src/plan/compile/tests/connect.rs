//! `connect` of an FSU: what it compiles to, and what is wrong with it.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check_all, fleet_of};
use crate::model::fleet::{Fleet, Fsu};
use serde_json::{Value, json};

/// An entry with these keys beside, or in place of, those that it needs.
fn entry(more: Value) -> Value {
    let mut entry = json!({"fsuname": "a", "fsuid": "3031", "protocol_type": "tcp", "config_dir": "."});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn fleet(entries: &[Value]) -> Fleet {
    fleet_of(&json!({"fsu_list": entries}))
}

fn fsus(more: Value) -> Vec<Fsu> {
    fleet(&[entry(more)]).fsus
}

#[test]
fn an_fsu_that_only_dials() {
    let given = json!({"to": "192.0.2.1:9000", "from": ["192.0.2.8/30"], "reconnect_ms": [5, 7], "per_second": 500});
    let all = fsus(json!({"count": 3, "connect": given}));
    let binds: Vec<String> = all.iter().map(|fsu| fsu.bind.to_string()).collect();
    assert_eq!(binds, ["192.0.2.9:0", "192.0.2.10:0", "192.0.2.9:0"]);
    let connect = all[1].dials().unwrap();
    assert_eq!(
        (connect.to.to_string(), connect.reconnect_ms, all[1].listens()),
        ("192.0.2.1:9000".into(), (5, 7), false)
    );
    assert!(std::sync::Arc::ptr_eq(&all[0].common, &all[2].common));
    let plain = &fsus(json!({"connect": {"to": "[2001:db8::1]:9000"}}))[0];
    assert_eq!((plain.bind.to_string(), plain.dials().unwrap().reconnect_ms), ("[::]:0".into(), (1_000, 60_000)));
}

#[test]
fn an_fsu_that_listens_as_well() {
    let check = |more: Value, bind: &str, dials: bool| {
        let fsu = &fsus(more.clone())[0];
        assert_eq!((&*fsu.bind.to_string(), fsu.listens(), fsu.dials().is_some()), (bind, true, dials), "{more}");
    };
    let to = json!({"to": "192.0.2.1:9000", "from": ["192.0.2.8"]});
    check(json!({"port": 7, "connect": to}), "127.0.0.1:7", true);
    check(json!({"port": 7, "host": "192.0.2.2", "connect": to}), "192.0.2.2:7", true);
    // Datagrams have one socket for both.
    let udp = |more: Value| {
        let mut udp = json!({"protocol_type": "udp"});
        udp.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        udp
    };
    check(udp(json!({"connect": to})), "192.0.2.8:0", false);
    check(udp(json!({"port": 7, "connect": to})), "192.0.2.8:7", false);
    check(udp(json!({"connect": {"to": "192.0.2.1:9000"}})), "0.0.0.0:0", false);
    check(udp(json!({"connect": {"to": "127.0.0.1:9000"}})), "127.0.0.1:0", false);
    check(udp(json!({"connect": {"to": "[::1]:9000"}})), "[::1]:0", false);
    check(udp(json!({"connect": {"to": "[2001:db8::1]:9000"}})), "[::]:0", false);
    check(udp(json!({"host": "192.0.2.2", "connect": {"to": "192.0.2.1:9000"}})), "192.0.2.2:0", false);
    check(json!({"protocol_type": "datagram", "connect": {"to": "192.0.2.1:9000"}}), "0.0.0.0:0", false);
}

#[test]
fn the_pace_is_one_for_the_fleet() {
    let with = |name: &str, per_second: Value| {
        entry(json!({"fsuname": name, "connect": {"to": "192.0.2.1:9000", "per_second": per_second}}))
    };
    let pace = |entries: &[Value]| fleet(entries).dials_per_second().map(std::num::NonZeroU32::get);
    assert_eq!(pace(&[with("a", json!(null)), with("b", json!(7)), with("c", json!(7))]), Some(7));
    assert_eq!(pace(&[with("a", json!(null))]), None);
    let main = json!({"fsu_list": [with("a", json!(7)), with("b", json!(8))]});
    let expected = "/fsu_list/1/connect/per_second: error: `per_second` bounds the dials of the whole fleet, and an entry before has 7: write the same, or leave it out here";
    check_all(&json!({"sys_config.json": main}), &[expected], "pace");
}

fn check(more: Value, expected: &[&str]) {
    let main = json!({"fsu_list": [entry(more.clone())]});
    check_all(&json!({"sys_config.json": main}), expected, &more.to_string());
}

#[test]
fn what_is_wrong_by_itself() {
    let of = |connect: Value, expected: &[&str]| check(json!({"connect": connect}), expected);
    of(
        json!({}),
        &["/fsu_list/0/connect: error: \"to\" is missing (address and port of the centre, \"192.0.2.1:9000\")"],
    );
    for to in ["", "centre:9000", "192.0.2.1", "192.0.2.1:0", "0.0.0.0:1", "[::]:1", "192.0.2.1:65536"] {
        let text = format!(
            "/fsu_list/0/connect/to: error: `{to}` is no address and port of a centre (192.0.2.1:9000, [2001:db8::1]:9000; names are not looked up)"
        );
        of(json!({"to": to}), &[&text]);
    }
    let to = "192.0.2.1:9000";
    of(
        json!({"to": to, "from": []}),
        &["/fsu_list/0/connect/from: error: 0 networks (1 to 64; without `from` the system chooses)"],
    );
    of(
        json!({"to": to, "from": ["192.0.2.1/24"]}),
        &[
            "/fsu_list/0/connect/from/0: error: `192.0.2.1/24`: bits past the first 24 are set (an address is followed by /32, or by nothing)",
        ],
    );
    of(
        json!({"to": to, "from": ["::1"]}),
        &[
            "/fsu_list/0/connect/from: error: addresses of another family than `to`: nothing can be sent there from these",
        ],
    );
    for wrong in [json!([]), json!([1]), json!([0, 5]), json!([6, 5]), json!([1, 3_600_001]), json!([1, 2, 3])] {
        let text = "/fsu_list/0/connect/reconnect_ms: error: expected two numbers of milliseconds: the wait after the first failure, and the most (1 to 3600000, the first not above the second; [1000, 60000])";
        of(json!({"to": to, "reconnect_ms": wrong}), &[text]);
    }
    of(json!({"to": to, "per_second": 0}), &["/fsu_list/0/connect/per_second: error: 0 (1 to 1000000)"]);
}

#[test]
fn what_does_not_go_together() {
    let to = "192.0.2.1:9000";
    check(
        json!({"host": "127.0.0.1", "connect": {"to": to}}),
        &[
            "/fsu_list/0/host: error: `host` is the address to listen on, and without `port` this FSU does not listen: the source address is `from` of `connect`",
        ],
    );
    check(
        json!({"allow": ["10.0.0.0/8"], "connect": {"to": to}}),
        &[
            "/fsu_list/0/connect: error: `to` is 192.0.2.1:9000, which `allow` excludes: nothing from there would be answered",
        ],
    );
    check(
        json!({"protocol_type": "udp", "connect": {"to": to, "reconnect_ms": [1, 2], "per_second": 1}}),
        &[
            "/fsu_list/0/connect/reconnect_ms: error: `reconnect_ms` is for tcp: a udp FSU opens no connection (leave it out)",
            "/fsu_list/0/connect/per_second: error: `per_second` is for tcp: a udp FSU opens no connection (leave it out)",
        ],
    );
    check(
        json!({"protocol_type": "udp", "host": "192.0.2.2", "connect": {"to": to, "from": ["192.0.2.2"]}}),
        &[
            "/fsu_list/0/host: error: `host` and `from` of `connect` are both the address that this FSU is bound to: leave one out",
        ],
    );
    check(
        json!({"protocol_type": "udp", "host": "192.0.2.2", "connect": {"to": "[::1]:1"}}),
        &[
            "/fsu_list/0/host: error: an IPv4 address, and `to` of `connect` is [::1]:1 (`host` :: has both IPv4 and IPv6)",
        ],
    );
    check(
        json!({"protocol_type": "broadcast", "connect": {"to": to}}),
        &[
            "/fsu_list/0/connect: error: `connect` is for tcp, udp and datagram: a broadcast FSU only answers (write `\"protocol_type\": \"datagram\"` for frames without transfers)",
        ],
    );
}
