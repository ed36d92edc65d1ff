//! A machine with several addresses: an FSU that listens on all of them answers from the one that received the request.

use crate::broadcast::{counts, flood, tree as transfers};
use crate::harness::{PATIENCE, PROGRAM, Run, Tree, assert_bytes, fsu, run_to_end, until};
use crate::wire::{heartbeat, meter, reply, request};
use fsu_net::probe::ring_missing;
use serde_json::json;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
/// Set in a test that runs itself in a separate network.
const INSIDE: &str = "FSU_MOCK_NETWORK";
/// That network: two addresses of each family, and two ends of a link, one with two link-local addresses.
const NETWORK: &str = "
    link set lo up
    link add near type veth peer name far
    addr add 192.0.2.1/24 brd 192.0.2.255 dev near
    addr add 192.0.2.2/24 dev near
    addr add 192.0.2.9/24 dev near
    addr add 2001:db8::1/64 dev near nodad
    addr add 2001:db8::2/64 dev near nodad
    addr add 2001:db8::9/64 dev near nodad
    addr add fe80::a1/64 dev near nodad
    addr add fe80::a2/64 dev near nodad
    addr add fe80::b1/64 dev far nodad
    link set near up
    link set far up";

fn drivers() -> Vec<&'static str> {
    if ring_missing().is_none() { vec!["poll", "ring"] } else { vec!["poll"] }
}

fn ip(arguments: &str) -> bool {
    let ended = Command::new("ip").args(arguments.split_whitespace()).output();
    ended.is_ok_and(|ended| ended.status.success())
}

/// Runs the test with that name again in a separate network; false if this is that run, or if it is impossible.
fn is_inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        let lines = NETWORK.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.for_each(|line| assert!(ip(line), "ip {line}"));
        return true;
    }
    let alone = ["--map-root-user", "--net", "--"];
    let tried = Command::new("unshare").args(alone).args(["ip", "link", "add", "type", "veth"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("skipped: no network of its own to be had (`unshare` and `ip`, and the right to a veth)");
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(alone).arg(std::env::current_exe().expect("a path")).args(["--exact", name, "--nocapture"]);
    let ended = run_to_end(command.env(INSIDE, "1"));
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout.join("\n"), ended.stderr);
    assert!(ended.stdout.iter().any(|line| line.contains("1 passed")), "{ended:?}");
    false
}

/// An FSU of each kind on all addresses of that family: a delayed reply, nine at once, a second copy of each.
fn tree(host: &str) -> Tree {
    let fsu = |name: &str, transport: &str, more: serde_json::Value| {
        let mut fsu = fsu(name, ID, transport, &more);
        fsu["host"] = host.into();
        fsu
    };
    let fsus = [
        fsu("udp", "udp", json!({})),
        fsu("twice", "udp", json!({"faults": {"duplicate": 1}})),
        fsu("broadcast", "broadcast", json!({})),
        fsu("beats", "udp", json!({"heartbeat_enable": true, "heartbeat_interval": 0.05})),
    ];
    let tree = Tree::new(&fsus, &json!({"allow_amplification": true}));
    tree.write(
        "meter/rules/default.json",
        r#"{"01": {"data": {"level": 513}}, "03": {"delay": {"fixed": 50}}, "05": {"cycle": [{}], "burst": 9}}"#,
    );
    tree
}

/// An unconnected socket at that address.
fn at(ip: &str) -> UdpSocket {
    let scope = ip.split_once('%').map_or(ip.to_owned(), |(ip, interface)| format!("{ip}%{}", number(interface)));
    let socket = UdpSocket::bind(address(&scope, 0)).expect("an address of this network");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

/// The number of an interface.
fn number(interface: &str) -> u32 {
    // /sys may show another network.
    let listed = Command::new("ip").args(["-o", "link", "show", interface]).output().expect("an interface").stdout;
    String::from_utf8_lossy(&listed).split(':').next().and_then(|number| number.parse().ok()).expect("a number")
}

fn address(ip: &str, port: u16) -> SocketAddr {
    match ip.split_once('%') {
        Some(_) => format!("[{ip}]:{port}").parse().expect("an address"),
        None => SocketAddr::new(ip.parse::<IpAddr>().expect("an address"), port),
    }
}

/// The next datagram and the sender's address.
fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 4_096];
    let (len, from) = socket.recv_from(&mut bytes).expect("a datagram in time");
    (bytes[..len].to_vec(), from)
}

/// Sends requests from one address to others in turn. Each reply must come from the requested address.
fn check(run: &Run, from: &str, homes: &[&str]) {
    let socket = at(from);
    let ask = |name: &str, wrap: &dyn Fn(&[u8]) -> Vec<u8>, command: u8, requests: u8, replies: usize| {
        let home = |tag: u8| address(homes[usize::from(tag / 4) % homes.len()], run.address(name).port());
        for tag in 0..requests {
            let tag_bytes: &[u8] = if command == 5 { &[0, 0, 0, tag] } else { &[0, tag] };
            socket.send_to(&wrap(&meter(7, command, tag_bytes)), home(tag)).expect("sent");
        }
        let mut got = vec![0; usize::from(requests)];
        for _ in 0..usize::from(requests) * replies {
            let (bytes, sender) = next(&socket);
            // The frame begins with 68, the address and the command; the tag follows the size.
            let frame = bytes.windows(3).position(|part| part == [0x68, 7, command]).expect("a frame");
            let tag = bytes[frame + if command == 5 { 7 } else { 5 }];
            assert_eq!(sender, home(tag), "{name} {command} {tag}");
            got[usize::from(tag)] += 1;
        }
        assert!(got.iter().all(|&count| count == replies), "{name} {command}: {got:?}");
    };
    let outer = |frame: &[u8]| request(ID, METER, frame);
    ask("udp", &outer, 1, 1, 1);
    // Runs of four of the same length to one address: they go to the kernel together.
    ask("udp", &outer, 1, 40, 1);
    ask("udp", &outer, 3, 40, 1);
    ask("udp", &outer, 5, 8, 9);
    ask("twice", &outer, 1, 16, 2);
    ask("broadcast", &<[u8]>::to_vec, 1, 40, 1);
    ask("broadcast", &<[u8]>::to_vec, 3, 40, 1);
    ask("broadcast", &<[u8]>::to_vec, 5, 8, 9);
}

/// A heartbeat comes from that address from now on, or soon.
fn check_beats(run: &Run, centre: &UdpSocket, home: &str) {
    let home = address(home, run.address("beats").port());
    centre.send_to(&request(ID, METER, &meter(7, 1, &[0, 1])), home).expect("sent");
    let beat_from = || {
        let (bytes, sender) = next(centre);
        (bytes == heartbeat(ID, 1)).then_some(sender)
    };
    until("its reply is from there", || {
        let (bytes, sender) = next(centre);
        bytes == reply(ID, METER, &meter(7, 1, &[0, 1, 2, 1])) && sender == home
    });
    until("a heartbeat is from there", || beat_from() == Some(home));
    until("and the next", || beat_from() == Some(home));
}

#[test]
fn h05_replies_come_from_the_loopback_address_that_was_asked() {
    for driver in drivers() {
        for host in ["0.0.0.0", "::"] {
            if host == "::" && UdpSocket::bind("[::1]:0").is_err() {
                continue;
            }
            let tree = tree(host);
            let run = Run::start(&tree, &["--driver", driver, "--shards", "1"]);
            check(&run, "127.0.0.1", &["127.0.0.2"]);
            check(&run, "127.0.0.1", &["127.0.0.2", "127.0.0.3", "127.0.0.1"]);
            let centre = at("127.0.0.1");
            check_beats(&run, &centre, "127.0.0.2");
            check_beats(&run, &centre, "127.0.0.3");
            let ended = run.stop();
            assert_eq!(ended.count("/totals/dropped_total"), 0, "{driver} {host}");
        }
    }
}

/// With one listen address there is no choice.
#[test]
fn h05_one_address_is_left_from_as_before() {
    for driver in drivers() {
        let tree = tree("127.0.0.2");
        let run = Run::start(&tree, &["--driver", driver]);
        check(&run, "127.0.0.1", &["127.0.0.2"]);
        run.stop();
    }
}

/// The load generator counts replies from other addresses as unexpected.
#[test]
fn h05_transfers_come_from_the_address_that_was_asked() {
    for driver in drivers() {
        let tree = transfers(2, &json!({}));
        let run = Run::start(&tree, &["--driver", driver, "--bind", "0.0.0.0"]);
        let args = ["--mix", "31,22", "--fsu", "site0", "--requests", "40", "--window", "4", "--host", "127.0.0.2"];
        let (ended, report) = flood(&tree, &run.said, &args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(counts(&report), [40, 40, 0, 0, 0, 0]);
        assert_eq!(report["totals"]["unexpected"], 0, "{report:#}");
        run.stop();
    }
}

#[test]
fn h05_a_machine_with_two_addresses_answers_from_the_one_asked() {
    if !is_inside("homes::h05_a_machine_with_two_addresses_answers_from_the_one_asked") {
        return;
    }
    let far = number("far");
    for driver in drivers() {
        for host in ["0.0.0.0", "::"] {
            let tree = tree(host);
            let run = Run::start(&tree, &["--driver", driver, "--shards", "1"]);
            check(&run, "192.0.2.9", &["192.0.2.1", "192.0.2.2"]);
            check(&run, "127.0.0.1", &["192.0.2.2"]);
            let centre = at("192.0.2.9");
            check_beats(&run, &centre, "192.0.2.1");
            check_beats(&run, &centre, "192.0.2.2");
            check_beats(&run, &centre, "192.0.2.1");
            if host == "::" {
                check(&run, "2001:db8::9", &["2001:db8::1", "2001:db8::2"]);
                check(&run, "fe80::b1%far", &[&format!("fe80::a2%{far}"), &format!("fe80::a1%{far}")]);
                let centre = at("2001:db8::9");
                check_beats(&run, &centre, "2001:db8::2");
                check_beats(&run, &centre, "2001:db8::1");
            }
            let ended = run.stop();
            assert_eq!(ended.count("/totals/dropped_total"), 0, "{driver} {host}");
        }
    }
}

/// A broadcast address, or one that was removed, cannot be a source address: routing decides.
#[test]
fn h05_where_there_is_no_address_to_leave_from_routing_decides() {
    if !is_inside("homes::h05_where_there_is_no_address_to_leave_from_routing_decides") {
        return;
    }
    for driver in drivers() {
        for host in ["0.0.0.0", "::"] {
            let tree = tree(host);
            let run = Run::start(&tree, &["--driver", driver, "--shards", "1"]);
            let port = run.address("udp").port();
            let request = request(ID, METER, &meter(7, 1, &[0, 1]));
            let socket = at("192.0.2.9");
            socket.set_broadcast(true).expect("a UDP socket");
            socket.send_to(&request, ("192.0.2.255", port)).expect("sent");
            let (bytes, from) = next(&socket);
            assert_bytes(&bytes, &reply(ID, METER, &meter(7, 1, &[0, 1, 2, 1])));
            assert_eq!(from, address("192.0.2.1", port));
            check_beats(&run, &socket, "192.0.2.2");
            assert!(ip("addr del 192.0.2.2/24 dev near"));
            until("heartbeats go on", || next(&socket).1.ip() != IpAddr::from([192, 0, 2, 2]));
            assert!(ip("addr add 192.0.2.2/24 dev near"));
            until("and from there", || next(&socket).1.ip() == IpAddr::from([192, 0, 2, 2]));
            // Several at once are cut up by the kernel as before.
            check(&run, "192.0.2.9", &["192.0.2.1", "192.0.2.2"]);
            let ended = run.stop();
            assert_eq!(ended.count("/totals/dropped_total"), 0, "{driver} {host}");
        }
    }
}

#[test]
fn h05_ask_and_flood_reach_a_second_address() {
    let tree = tree("0.0.0.0");
    let run = Run::start(&tree, &[]);
    let to = SocketAddr::from(([127, 0, 0, 2], run.address("udp").port())).to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["ask", "--fsu", "udp", "--cmd", "01", "--to", &to, "--config"]).arg(tree.path("sys_config.json"));
    assert_eq!(run_to_end(&mut command).code, Some(0));
    tree.write("ports.txt", &run.said.join("\n"));
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--quiet", "--mix", "01", "--requests", "80", "--seconds", "20", "--fsu", "udp"]);
    command.args(["--host", "127.0.0.2", "--config"]).arg(tree.path("sys_config.json"));
    command.arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    run.stop();
}
