//! What sys_config.json compiles to: FSUs, their addresses, ids, bounds and defaults.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check_all, fleet_of as fleet};
use crate::model::fleet::{Fsu, Limits, Performance, RtnFlags};
use crate::model::message::Transport;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// An entry with these keys beside, or in place of, those that it needs.
fn entry(more: &Value) -> Value {
    let mut entry = json!({"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": "."});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn fsus(more: Value) -> Vec<Fsu> {
    fleet(&json!({"fsu_list": [entry(&more)]})).fsus
}

fn one(more: Value) -> Fsu {
    fsus(more).remove(0)
}

#[test]
fn count_makes_as_many_with_ports_ids_and_names() {
    let all = fsus(json!({"count": 3, "port": 9_000, "fsuid": "3039"}));
    let of = |fsus: &[Fsu]| {
        let one = |fsu: &Fsu| (fsu.name.to_string(), fsu.id.to_string(), fsu.bind.port());
        fsus.iter().map(one).collect::<Vec<_>>()
    };
    let expected = [("a_00001", "3039", 9_000), ("a_00002", "3130", 9_001), ("a_00003", "3131", 9_002)];
    let expected = expected.map(|(name, id, port)| (name.to_owned(), id.to_owned(), port));
    assert_eq!(of(&all), expected);
    assert_eq!(all[1].id.given(), b"10");
    // Any free port stays one; one FSU keeps its name.
    assert_eq!(of(&fsus(json!({"count": 2})))[1], ("a_00002".into(), "3032".into(), 0));
    assert_eq!(of(&fsus(json!({"count": 1, "port": 65_535}))), [("a".into(), "3031".into(), 65_535)]);
    let past = |count: u32, port: u32, expected: &[&str]| {
        let main = json!({"fsu_list": [entry(&json!({"count": count, "port": port}))]});
        check_all(&json!({"sys_config.json": main}), expected, &port.to_string());
    };
    past(3, 65_533, &[]);
    past(3, 65_534, &["/fsu_list/0/count: error: ports 65534 to 65536 run past 65535"]);
    past(1, 65_536, &["/fsu_list/0/port: error: port 65536 (0 for any free one, to 65535)"]);
}

#[test]
fn defaults_and_what_is_given() {
    let fsu = one(json!({}));
    assert_eq!((fsu.heartbeat().map(|schedule| schedule.interval_ms), fsu.client_timeout_ms), (Some(120_000), 360_000));
    assert_eq!((fsu.heartbeat_reply, fsu.accept_any_id, fsu.accept_rtn_flags), (false, false, RtnFlags::default()));
    assert_eq!((fsu.limits, fsu.allow.len(), fsu.transport), (Limits::default(), 0, Transport::Udp));
    let given = json!({"heartbeat_interval": 1.5, "client_timeout": 0.01, "heartbeat_reply": true, "accept_any_id": true,
        "accept_rtn_flags": ["00", "EE"], "allow": ["192.0.2.1", "198.51.100.0/24"]});
    let fsu = one(given);
    assert_eq!((fsu.heartbeat().map(|schedule| schedule.interval_ms), fsu.client_timeout_ms), (Some(1_500), 10));
    assert_eq!((fsu.heartbeat_reply, fsu.accept_any_id, fsu.allow.len()), (true, true, 2));
    assert_eq!(fsu.accept_rtn_flags.iter().collect::<Vec<_>>(), [0x00, 0xEE]);
    let silent = |more: Value| one(more).heartbeat().map(|schedule| schedule.interval_ms);
    assert_eq!(silent(json!({"heartbeat_enable": false})), None);
    assert_eq!(silent(json!({"heartbeat_enable": true})), Some(120_000));
    assert_eq!(silent(json!({"protocol_type": "tcp", "heartbeat_enable": true})), None);
    assert_eq!(silent(json!({"protocol_type": "broadcast"})), None);
    let limits = json!({"clients_max": 1, "connections_max": 2, "connections_per_peer_max": 3, "frame_deadline_ms": 10,
        "idle_timeout_ms": 11, "write_deadline_ms": 12, "write_buffer_bytes_max": 1_024});
    let expected = Limits {
        clients_max: 1,
        connections_max: 2,
        connections_per_peer_max: 3,
        frame_deadline_ms: 10,
        idle_timeout_ms: 11,
        write_deadline_ms: 12,
        write_buffer_bytes_max: 1_024,
    };
    assert_eq!(one(json!({"protocol_type": "tcp", "limits": limits})).limits, expected);
}

#[test]
fn networks_that_may_ask() {
    let main = |more: Value| json!({"allow": ["192.0.2.0/24"], "fsu_list": [entry(&more)]});
    let allows = |more: Value, ip: &str| fleet(&main(more)).fsus[0].allows(ip.parse().unwrap());
    assert!(allows(json!({}), "192.0.2.9") && !allows(json!({}), "198.51.100.1"));
    // The FSU's own replace the fleet's.
    let own = json!({"allow": ["198.51.100.1"]});
    assert!(!allows(own.clone(), "192.0.2.9") && allows(own, "198.51.100.1"));
    assert!(one(json!({})).allows("192.0.2.9".parse().unwrap()));
}

#[test]
fn addresses() {
    let bind = |host: &str| one(json!({"host": host, "port": 9})).bind.to_string();
    assert_eq!(one(json!({"port": 9})).bind.to_string(), "127.0.0.1:9");
    assert_eq!(bind("localhost"), "127.0.0.1:9");
    assert_eq!(bind(" 0.0.0.0 "), "0.0.0.0:9");
    assert_eq!(bind("::"), "[::]:9");
    assert_eq!(bind("::ffff:192.0.2.1"), "192.0.2.1:9");
    assert_eq!(bind("fe80::1%2"), "[fe80::1%2]:9");
    let wrong = |host: &str| {
        let what = "is no IP address (127.0.0.1; 0.0.0.0 for all of IPv4, :: for all of IPv4 and IPv6; fe80::1%2)";
        let line = format!("/fsu_list/0/host: error: `{host}` {what}");
        check_all(&json!({"sys_config.json": {"fsu_list": [entry(&json!({"host": host}))]}}), &[&line], host);
    };
    for host in ["", "example.org", "256.0.0.1", "fe80::1%eth0", "127.0.0.1%1"] {
        wrong(host);
    }
    let center = |center: Value| fleet(&json!({"sc_iot_center": center, "fsu_list": [entry(&json!({}))]})).center;
    let here = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!([center(json!({"port": 1})), center(json!({"port": 65_535}))], [here(1), here(65_535)]);
    assert_eq!(
        center(json!({"host": "192.0.2.1", "port": 9})).map(|at| at.to_string()).as_deref(),
        Some("192.0.2.1:9")
    );
    for port in [0, 65_536] {
        let main = json!({"sc_iot_center": {"port": port}, "fsu_list": [entry(&json!({}))]});
        let line = format!("/sc_iot_center/port: error: port {port} (1 to 65535)");
        check_all(&json!({"sys_config.json": main}), &[&line], &port.to_string());
    }
}

/// Which of several at one port get in the way of which: told is the first of those before it.
#[test]
fn ports_that_are_taken() {
    let check = |hosts: &[&str], expected: &[(usize, &str)]| {
        let list: Vec<Value> = (0..)
            .zip(hosts)
            .map(|(n, host)| entry(&json!({"fsuname": format!("f{n}"), "host": host, "port": 9_000})))
            .collect();
        let shown = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let line = |&(n, by): &(usize, &str)| {
            format!("/fsu_list/{n}/port: error: udp {}:9000 of `f{n}` is taken by `{by}`", shown(hosts[n]))
        };
        let lines: Vec<String> = expected.iter().map(line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check_all(&json!({"sys_config.json": {"fsu_list": list}}), &lines, &hosts.join(" "));
    };
    check(&["127.0.0.1", "127.0.0.2", "::1", "::2"], &[]);
    check(&["127.0.0.1", "127.0.0.2", "127.0.0.1"], &[(2, "f0")]);
    check(&["127.0.0.1", "127.0.0.2", "0.0.0.0"], &[(2, "f0")]);
    check(&["::1", "127.0.0.2", "0.0.0.0"], &[(2, "f1")]);
    check(&["::1", "127.0.0.2", "::"], &[(2, "f0")]);
    check(&["0.0.0.0", "127.0.0.2", "::1"], &[(1, "f0")]);
    check(&["::", "127.0.0.2", "::1", "0.0.0.0"], &[(1, "f0"), (2, "f0"), (3, "f0")]);
    check(&["::1", "::1"], &[(1, "f0")]);
}

#[test]
fn heartbeats_that_reach_nobody_are_counted() {
    let list: Vec<Value> = (0..3).map(|n| entry(&json!({"fsuname": format!("f{n}"), "host": "::1"}))).collect();
    let told = |list: &[Value], who: &str| {
        let text = format!("no heartbeat of {who} reaches 127.0.0.1:9 from ::1 (`host` :: has both IPv4 and IPv6)");
        let main = json!({"sc_iot_center": {"port": 9}, "fsu_list": list});
        check_all(&json!({"sys_config.json": main}), &[&format!("/sc_iot_center: warning: {text}")], who);
    };
    told(&list, "`f0` and 2 more");
    told(&list[..1], "`f0`");
}

#[test]
fn performance_mode() {
    let of = |given: Value| fleet(&json!({"performance": given, "fsu_list": [entry(&json!({}))]})).performance;
    let on = |skip_delay, skip_device_log| Performance {
        skip_delay,
        skip_device_log,
        keeps_delay: !skip_delay,
        keeps_device_log: !skip_device_log,
    };
    assert_eq!(of(Value::Null), Performance::default());
    assert_eq!(of(json!({"enabled": false})), Performance::default());
    assert_eq!(of(json!({"enabled": true})), on(true, true));
    assert_eq!(of(json!({"enabled": true, "skip_delay": false})), on(false, true));
    assert_eq!(of(json!({"enabled": true, "skip_device_log": false})), on(true, false));
    // `run --performance` turns it on with the same settings.
    let off = of(json!({"enabled": false, "skip_delay": false}));
    assert_eq!((off.skip_delay, off.skip_device_log, off.turned_on()), (false, false, on(false, true)));
}

/// A command past three times its request is told for each entry of the list, with its own FSUs.
#[test]
fn replies_that_are_cut_off_are_told_by_entry() {
    let told = |hosts: &[&str], wrong: &[usize]| {
        let list: Vec<Value> = (0..)
            .zip(hosts)
            .map(|(n, host)| entry(&json!({"fsuname": format!("f{n}"), "host": host, "protocol_type": "broadcast"})))
            .collect();
        let what = "replies of t.json are not sent to another host past 3 times their request, which a burst's replies share: \
                    01 (6.9 times) (`allow_amplification` sends them)";
        let lines: Vec<String> = wrong.iter().map(|n| format!("/fsu_list/{n}/host: warning: {what}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check_all(&json!({"sys_config.json": {"fsu_list": list}}), &lines, &hosts.join(" "));
        let main = json!({"fsu_list": list, "allow_amplification": true});
        check_all(&json!({"sys_config.json": main}), &[], "allowed");
    };
    told(&["127.0.0.1", "::1"], &[]);
    told(&["0.0.0.0"], &[0]);
    told(&["127.0.0.1", "0.0.0.0"], &[1]);
    told(&["0.0.0.0", "127.0.0.1", "::"], &[0, 2]);
}
