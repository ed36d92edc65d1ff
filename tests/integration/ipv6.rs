//! IPv6, and `::`, which is every address of both families: each transport, both drivers, the load generator and `ask`.

use crate::harness::{PATIENCE, PROGRAM, Run, Tcp, Tree, Udp, assert_bytes, fsu, run_to_end};
use crate::wire::{heartbeat, lamp, meter, reply, request};
use fsu_net::probe::ring_missing;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The drivers of this machine; empty without IPv6, and then nothing is tested.
fn drivers() -> Vec<&'static str> {
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return Vec::new();
    }
    if ring_missing().is_none() { vec!["poll", "ring"] } else { vec!["poll"] }
}

/// FSUs named after their transports; `more` is merged into the configuration, `own` into each FSU.
fn tree_of(hosts: &[(&str, &str)], more: &Value, own: &Value) -> Tree {
    let one = |&(transport, host): &(&str, &str)| {
        let mut fsu = fsu(transport, ID, transport, own);
        fsu["host"] = host.into();
        fsu
    };
    Tree::new(&hosts.iter().map(one).collect::<Vec<_>>(), more)
}

fn tree(hosts: &[(&str, &str)], more: &Value) -> Tree {
    tree_of(hosts, more, &json!({}))
}

fn all(host: &str) -> [(&str, &str); 3] {
    ["udp", "tcp", "broadcast"].map(|transport| (transport, host))
}

/// The content of the device logs.
fn device_logs(tree: &Tree) -> String {
    let files = std::fs::read_dir(tree.path("logs/devices")).expect("a directory").flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("text")).collect()
}

/// A socket of that family that talks with one FSU, wherever it listens.
fn udp(run: &Run, name: &str, ip: IpAddr) -> Udp {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.connect((ip, run.address(name).port())).expect("a local address");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    Udp(socket)
}

/// Asks all three, with several requests at once: replies of one size go to the kernel together.
fn ask_all(run: &Run, ip: IpAddr) {
    let tagged = |tag: u8| (meter(7, 1, &[0, tag]), meter(7, 1, &[0, tag, 2, 1]));
    let (centre, peer) = (udp(run, "udp", ip), udp(run, "broadcast", ip));
    let mut stream = Tcp::new(SocketAddr::new(ip, run.address("tcp").port()));
    for tags in [0..1, 1..40] {
        for (asked, _) in tags.clone().map(tagged) {
            centre.send(&request(ID, METER, &asked));
            peer.send(&asked);
            stream.send(&asked);
        }
        for (_, expected) in tags.map(tagged) {
            assert_bytes(&centre.receive(), &reply(ID, METER, &expected));
            assert_bytes(&peer.receive(), &expected);
            stream.expect(&expected);
        }
    }
}

#[test]
fn n20_all_addresses_are_reached_over_both_families() {
    for driver in drivers() {
        for (args, host) in [(&[][..], "::"), (&["--bind", "::"], "127.0.0.1")] {
            let tree = tree(&all(host), &json!({"log": {"level": "debug"}}));
            let run = Run::start(&tree, &[&["--driver", driver, "--shards", "1"], args].concat());
            ask_all(&run, SIX);
            ask_all(&run, FOUR);
            let ended = run.stop();
            assert_eq!(ended.count("/totals/answered"), 240, "{driver} {host}");
            assert_eq!(ended.count("/totals/dropped_total"), 0);
            let logs = [tree.system_log(), device_logs(&tree)].concat();
            assert!(logs.contains("127.0.0.1:") && logs.contains("[::1]:"), "{logs}");
            assert!(!logs.contains("ffff:"), "{logs}");
        }
    }
}

#[test]
fn n20_one_address_of_ipv6_is_that_alone() {
    for driver in drivers() {
        let tree = tree(&all("::1"), &json!({}));
        let run = Run::start(&tree, &["--driver", driver]);
        ask_all(&run, SIX);
        assert!(std::net::TcpStream::connect((FOUR, run.address("tcp").port())).is_err());
        run.stop();
    }
}

#[test]
fn n20_allowed_networks_are_those_of_the_centres_own_address() {
    for driver in drivers() {
        for (allow, allowed, refused) in
            [("127.0.0.0/8", FOUR, SIX), ("::ffff:127.0.0.1", FOUR, SIX), ("::/0", SIX, FOUR)]
        {
            let tree = tree(&all("::"), &json!({"allow": [allow]}));
            let run = Run::start(&tree, &["--driver", driver]);
            let (centre, peer) = (udp(&run, "udp", refused), udp(&run, "broadcast", refused));
            centre.send(&request(ID, METER, &meter(7, 1, &[0, 1])));
            peer.send(&meter(7, 1, &[0, 1]));
            Tcp::new(SocketAddr::new(refused, run.address("tcp").port())).expect_end();
            ask_all(&run, allowed);
            let ended = run.stop();
            assert_eq!(ended.count("/totals/dropped/not_allowed"), 3, "{driver} {allow}");
            assert_eq!(ended.count("/totals/answered"), 120);
        }
    }
}

#[test]
fn n20_a_reply_to_this_host_is_not_bounded_by_its_request() {
    for driver in drivers() {
        let tree = tree(&[("broadcast", "::")], &json!({}));
        tree.write("meter/rules/default.json", r#"{"01": {"cycle": [{"level": 513}], "burst": 9}}"#);
        let run = Run::start(&tree, &["--driver", driver]);
        for ip in [FOUR, SIX] {
            let peer = udp(&run, "broadcast", ip);
            peer.send(&meter(7, 1, &[0, 1]));
            (0..9).for_each(|_| assert_bytes(&peer.receive(), &meter(7, 1, &[0, 1, 2, 1])));
        }
        run.stop();
    }
}

#[test]
fn n20_heartbeats_go_to_centres_of_both_families() {
    for driver in drivers() {
        for ip in [FOUR, SIX] {
            let centre = UdpSocket::bind((ip, 0)).expect("a free port");
            centre.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let at = centre.local_addr().expect("bound");
            let more = json!({"sc_iot_center": {"host": ip.to_string(), "port": at.port()}});
            let own = json!({"heartbeat_enable": true, "heartbeat_interval": 0.05});
            let tree = tree_of(&[("udp", "::")], &more, &own);
            let run = Run::start(&tree, &["--driver", driver]);
            let mut bytes = [0; 100];
            let (len, from) = centre.recv_from(&mut bytes).expect("a heartbeat");
            assert_bytes(&bytes[..len], &heartbeat(ID, 1));
            assert_eq!(from, SocketAddr::new(ip, run.address("udp").port()));
            centre.send_to(&request(ID, METER, &meter(7, 1, &[0, 1])), from).expect("sent");
            tree.until_logged(&format!("centre {at} online"));
            run.stop();
        }
    }
}

#[test]
fn n20_the_load_generator_and_ask_reach_them() {
    let Some(driver) = drivers().pop() else { return };
    for host in ["::", "::1"] {
        let tree = tree(&all(host), &json!({}));
        let run = Run::start(&tree, &["--driver", driver]);
        tree.write("ports.txt", &run.said.join("\n"));
        let program = |args: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command.args(args).arg("--config").arg(tree.path("sys_config.json"));
            command
        };
        for transport in [&["--fsu", "udp"][..], &["--tcp"], &["--broadcast"]] {
            let ports = tree.path("ports.txt");
            let mut command = program(&["flood", "--quiet", "--mix", "01", "--requests", "40", "--seconds", "20"]);
            command.args(transport).arg("--ports").arg(&ports);
            let ended = run_to_end(&mut command);
            assert_eq!(ended.code, Some(0), "{host} {transport:?}: {ended:?}");
        }
        for name in ["udp", "tcp", "broadcast"] {
            let to = SocketAddr::new(SIX, run.address(name).port()).to_string();
            let ended = run_to_end(&mut program(&["ask", "--fsu", name, "--cmd", "01", "--to", &to]));
            assert_eq!(ended.code, Some(0), "{host} {name}: {ended:?}");
        }
        // The lamp too, whose frames have no checksum.
        let centre = udp(&run, "udp", SIX);
        assert_bytes(&centre.ask(&request(ID, [1, 2], &lamp(1, 0x55))), &reply(ID, [1, 2], &lamp(1, 0x80)));
        run.stop();
    }
}

#[test]
fn n20_the_load_generator_asks_both_families_from_one_socket() {
    if drivers().is_empty() {
        return;
    }
    let fsus = [("four", "127.0.0.1"), ("six", "::1")].map(|(name, host)| fsu(name, ID, "udp", &json!({"host": host})));
    let tree = Tree::new(&fsus, &json!({}));
    let run = Run::start(&tree, &[]);
    tree.write("ports.txt", &run.said.join("\n"));
    let mut command = Command::new(PROGRAM);
    command.args(["flood", "--quiet", "--mix", "01", "--requests", "80", "--seconds", "20", "--config"]);
    command.arg(tree.path("sys_config.json")).arg("--ports").arg(tree.path("ports.txt"));
    let ended = run_to_end(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = run.stop();
    assert!(ended.count("/fsus/0/answered") > 0 && ended.count("/fsus/1/answered") > 0);
    assert_eq!(ended.count("/totals/answered"), 80);
}
