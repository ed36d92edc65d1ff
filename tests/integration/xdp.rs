//! `--driver xdp` over a pair of virtual devices: the same bytes as the other drivers, and what stays with the kernel.
//!
//! By root; skipped with a line where there are no network namespaces.

use crate::drivers::{ID, TRIES, outer_frames, root, vendors};
use crate::harness::{Ended, Run, Tree, assert_bytes, fsu, until};
use crate::spaces::{CENTRE_FOUR, FOUR, SIX, Spaces};
use crate::wire::{heartbeat, meter, reply, request};
use fsu_net::probe::ring_missing;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const METER: [u8; 2] = [1, 1];
const XDP: [&str; 4] = ["--driver", "xdp", "--xdp-dev", "v0"];
/// FSUs of the test with many addresses.
const FSUS: u16 = 5_000;
const QUEUE: &str = "/shards/0/xdp";

/// An FSU of the meter at that address of the device.
fn at(host: &str, name: &str, more: &Value) -> Value {
    let mut fsu = fsu(name, ID, "udp", more);
    fsu["host"] = host.into();
    fsu
}

/// The meter's reply to its first command with that tag, on the wire.
fn asked(tag: u8) -> (Vec<u8>, Vec<u8>) {
    (request(ID, METER, &meter(7, 1, &[0, tag])), reply(ID, METER, &meter(7, 1, &[0, tag, 2, 1])))
}

fn queue(ended: &Ended, counter: &str) -> u64 {
    ended.count(&format!("{QUEUE}/{counter}"))
}

/// Everything that a driver answers, by FSU, and what it counts of each FSU.
struct Side {
    run: Run,
    sockets: Vec<UdpSocket>,
}

impl Side {
    fn new(spaces: &Spaces, tree: &Tree, driver: &[&str], names: &[String]) -> Self {
        let run = spaces.run(tree, driver, &format!("{}.json", driver.join("")));
        let sockets = names.iter().map(|name| spaces.udp(run.address(name)).0).collect();
        Self { run, sockets }
    }

    fn finish(self) -> (Vec<Vec<Vec<u8>>>, Value, Value) {
        // What was sent before the signal is in the queue or in the sockets; what is due later is sent in the drain.
        self.run.signal(Signal::TERM);
        let mut ended = self.run.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let got = self.sockets.iter().map(|socket| {
            socket.set_nonblocking(true).expect("a socket");
            let (mut got, mut buffer) = (Vec::new(), [0; 4_096]);
            while let Ok(size) = socket.recv(&mut buffer) {
                got.push(buffer[..size].to_vec());
            }
            // Delayed replies overtake each other by chance of the millisecond.
            got.sort();
            got
        });
        let got = got.collect();
        (got, ended.stats["fsus"].take(), ended.stats["shards"][0]["xdp"].take())
    }
}

/// Sends these datagrams to each FSU, driven by each driver, and compares what comes back.
fn twins(spaces: &Spaces, tree: &Tree, names: &[String], datagrams: &dyn Fn(usize) -> Vec<Vec<u8>>) {
    let poll = ["--driver", "poll"];
    let one = ["--driver", "poll", "--one-socket"];
    let ring: &[&str] = &["--driver", "ring"];
    let ring = ring_missing().is_none().then_some(ring);
    let drivers: Vec<&[&str]> = [&poll[..], &one].into_iter().chain(ring).chain([&XDP[..]]).collect();
    for left in (0..TRIES).rev() {
        let sides: Vec<Side> = drivers.iter().map(|driver| Side::new(spaces, tree, driver, names)).collect();
        let mut sent = 0;
        for at in 0..names.len() {
            for datagram in datagrams(at) {
                for side in &sides {
                    assert_eq!(side.sockets[at].send(&datagram).expect("sent"), datagram.len());
                }
                sent += 1;
            }
        }
        // Behind all others on their way: then they are in the queue, or in their sockets.
        for side in &sides {
            let (last, (request, expected)) = (side.sockets.last().expect("one"), asked(0xA5));
            last.send(&request).expect("sent");
            let mut buffer = [0; 4_096];
            let size = last.recv(&mut buffer).expect("a reply");
            assert_bytes(&buffer[..size], &expected);
        }
        until("requests are not received", || spaces.is_read());
        let mut all: Vec<_> = sides.into_iter().map(Side::finish).collect();
        let (got, counts, queue) = all.pop().expect("xdp");
        let is_same = all.iter().all(|(others, other_counts, _)| *others == got && *other_counts == counts);
        assert_eq!((queue["received"].as_u64(), queue["unusable"].as_u64()), (Some(sent + 1), Some(0)), "{queue}");
        if is_same {
            return;
        }
        if left == 0 {
            assert_eq!((&all[0].0, &all[0].1), (&got, &counts));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_vendor_is_answered_with_the_bytes_of_the_other_drivers() {
    let Some(spaces) = Spaces::new("twins") else { return };
    let vendors = vendors();
    let site = |name: &str| root().join("config/sites").join(name);
    let mut names: Vec<String> = vendors.iter().map(|(name, _)| name.clone()).collect();
    let mut fsus: Vec<Value> =
        vendors.iter().map(|(name, _)| at(FOUR, name, &json!({"config_dir": site(name)}))).collect();
    names.push("last".to_owned());
    fsus.push(at(FOUR, "last", &json!({})));
    // No reply is left out, as over loopback, or many are: both are the same with every driver.
    for allow in [true, false] {
        let tree = Tree::new(&fsus, &json!({"log": {"level": "warn"}, "allow_amplification": allow}));
        twins(&spaces, &tree, &names, &|at| match vendors.get(at) {
            Some((_, frames)) => frames.iter().map(|frame| request(ID, METER, frame)).chain(outer_frames()).collect(),
            None => Vec::new(),
        });
    }
}

#[test]
fn faults_and_delays_are_those_of_the_other_drivers() {
    let Some(spaces) = Spaces::new("faults") else { return };
    let faults = json!({"drop": 0.2, "duplicate": 0.2, "corrupt": 0.2, "truncate": 0.1});
    let fsus = [at(FOUR, "faulty", &json!({"faults": faults})), at(SIX, "last", &json!({}))];
    let tree = Tree::new(&fsus, &json!({"log": {"level": "warn"}}));
    let names = ["faulty", "last"].map(str::to_owned);
    twins(&spaces, &tree, &names, &|at| {
        let command = |tag: u8| if tag.is_multiple_of(3) { 3 } else { 1 };
        let tags = if at == 0 { 0..120 } else { 0..0 };
        tags.map(|tag| request(ID, METER, &meter(7, command(tag), &[0, tag]))).collect()
    });
}

#[test]
fn heartbeats_go_by_the_queue_where_the_hardware_address_is_known() {
    let Some(spaces) = Spaces::new("beats") else { return };
    let centre = spaces.socket(&format!("{CENTRE_FOUR}:9999"));
    let beating = at(FOUR, "site", &json!({"heartbeat_enable": true, "heartbeat_interval": 1}));
    let tree = Tree::new(&[beating], &json!({"sc_iot_center": {"host": CENTRE_FOUR, "port": 9_999}}));
    let run = spaces.run(&tree, &XDP, "stats.json");
    let mut buffer = [0; 2_048];
    // The centre has not asked: by the kernel.
    let (size, from) = centre.recv_from(&mut buffer).expect("a heartbeat");
    assert_bytes(&buffer[..size], &heartbeat(ID, 1));
    assert_eq!(from, run.address("site"));
    let asking = spaces.udp(run.address("site"));
    let (request, expected) = asked(1);
    assert_bytes(&asking.ask(&request), &expected);
    assert_bytes(&asking.receive(), &heartbeat(ID, 1));
    let (size, from) = centre.recv_from(&mut buffer).expect("a heartbeat");
    assert_bytes(&buffer[..size], &heartbeat(ID, 1));
    assert_eq!(from, run.address("site"));
    let log = tree.path("logs/devices");
    let ended = run.stop();
    assert!(ended.count("/totals/heartbeats_sent") >= 3);
    assert_eq!(ended.count("/totals/centres_online"), 1);
    assert!(queue(&ended, "sent_by_kernel") >= 1 && queue(&ended, "sent") >= 3, "{:#}", ended.stats);
    let text: String = std::fs::read_dir(log)
        .expect("logs")
        .flatten()
        .map(|file| std::fs::read_to_string(file.path()).expect("text"))
        .collect();
    assert!(
        text.contains(&format!("{CENTRE_FOUR}:9999"))
            && text.replace([' ', '\n'], "").to_uppercase().contains(&hex::encode_upper(&expected)),
        "{text}"
    );
}

#[test]
fn all_addresses_are_those_of_the_device_over_both_families() {
    let Some(spaces) = Spaces::new("any") else { return };
    for (host, asked_at) in [("0.0.0.0", &[FOUR][..]), ("::", &[FOUR, SIX]), (SIX, &[SIX])] {
        let tree = Tree::new(&[at(host, "site", &json!({}))], &json!({}));
        let run = spaces.run(&tree, &XDP, "stats.json");
        for ip in asked_at {
            let centre = spaces.udp(SocketAddr::new(ip.parse().expect("an address"), run.address("site").port()));
            for tag in 0..20 {
                let (request, expected) = asked(tag);
                assert_bytes(&centre.ask(&request), &expected);
            }
        }
        let ended = run.stop();
        let expected = 20 * asked_at.len() as u64;
        assert_eq!([queue(&ended, "received"), queue(&ended, "sent")], [expected; 2], "{host}");
    }
}

#[test]
fn what_is_no_whole_frame_stays_with_the_kernel() {
    let Some(spaces) = Spaces::new("kernel") else { return };
    let (request, expected) = asked(1);
    // The reply is two bytes longer than a packet may be: the kernel cuts it.
    let mtu = request.len() + 28;
    assert!(expected.len() > request.len());
    spaces.ours("addr flush dev v0");
    spaces.ours(&format!("link set v0 mtu {mtu}"));
    spaces.ours(&format!("addr add {FOUR}/24 dev v0"));
    let tree = Tree::new(
        &[at(FOUR, "site", &json!({})), at(FOUR, "broadcast", &json!({"protocol_type": "broadcast"}))],
        &json!({}),
    );
    let run = spaces.run(&tree, &XDP, "stats.json");
    let centre = spaces.udp(run.address("site"));
    assert_bytes(&centre.ask(&request), &expected);
    // In fragments, so long that it is nothing: only counted. And another transport.
    centre.send(&vec![0x11; mtu]);
    let frame = meter(7, 1, &[0, 9]);
    assert_bytes(&spaces.udp(run.address("broadcast")).ask(&frame), &meter(7, 1, &[0, 9, 2, 1]));
    assert_bytes(&centre.ask(&request), &expected);
    let ended = run.stop();
    assert_eq!([queue(&ended, "received"), queue(&ended, "sent"), queue(&ended, "sent_by_kernel")], [2, 0, 2]);
    assert_eq!(ended.count("/fsus/0/answered"), 2);
}

#[test]
fn a_reload_changes_which_addresses_come_by_the_queue() {
    let Some(spaces) = Spaces::new("reload") else { return };
    let tree = Tree::new(&[at(FOUR, "stays", &json!({})), at(FOUR, "goes", &json!({}))], &json!({}));
    let mut run = spaces.run(&tree, &XDP, "stats.json");
    let [stays, goes] = ["stays", "goes"].map(|name| spaces.udp(run.address(name)));
    let (request, expected) = asked(1);
    assert_bytes(&stays.ask(&request), &expected);
    assert_bytes(&goes.ask(&request), &expected);
    tree.set_fsus(&[at(FOUR, "stays", &json!({})), at(FOUR, "comes", &json!({"port": 21_000}))], &json!({}));
    run.reload();
    let comes = spaces.udp(SocketAddr::new(FOUR.parse().expect("an address"), 21_000));
    assert_bytes(&comes.ask(&request), &expected);
    assert_bytes(&stays.ask(&request), &expected);
    goes.send(&request);
    // Nobody listens there: the kernel says so.
    assert!(goes.0.recv(&mut [0; 8]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    let ended = run.stop();
    assert_eq!([queue(&ended, "received"), queue(&ended, "sent"), queue(&ended, "not_opened")], [4, 4, 0]);
    assert_eq!(ended.count("/gone/fsus"), 1);
}

#[test]
fn five_thousand_addresses_are_answered() {
    let Some(spaces) = Spaces::new("many") else { return };
    let tree = Tree::new(
        &[at(FOUR, "site", &json!({"port": 20_000, "count": FSUS}))],
        &json!({"log": {"level": "warn"}, "performance": {"enabled": true}}),
    );
    let run = spaces.run(&tree, &XDP, "stats.json");
    let centre = spaces.socket(&format!("{CENTRE_FOUR}:0"));
    let id = |number: u16| String::from_utf8(expand(ID, number)).expect("digits");
    let mut buffer = [0; 2_048];
    for first in (0..FSUS).step_by(50) {
        for number in first..first + 50 {
            let to: SocketAddr = format!("{FOUR}:{}", 20_000 + number).parse().expect("an address");
            centre.send_to(&request(&id(number), METER, &meter(7, 1, &[0, 1])), to).expect("sent");
        }
        for _ in first..first + 50 {
            let (size, from) = centre.recv_from(&mut buffer).expect("a reply");
            assert_bytes(&buffer[..size], &reply(&id(from.port() - 20_000), METER, &meter(7, 1, &[0, 1, 2, 1])));
        }
    }
    let ended = run.stop();
    assert_eq!([queue(&ended, "received"), queue(&ended, "sent")], [u64::from(FSUS); 2]);
}

/// The id of the FSU of that number in an entry with `count`.
fn expand(id: &str, number: u16) -> Vec<u8> {
    let number = id.parse::<u64>().expect("digits") + u64::from(number);
    format!("{number:08}").into_bytes()
}

#[test]
fn a_second_instance_is_refused_and_so_is_a_device_that_will_not_do() {
    let Some(spaces) = Spaces::new("second") else { return };
    let one = |port: u16| Tree::new(&[at(FOUR, "site", &json!({"port": port}))], &json!({}));
    let (tree, other) = (one(9_000), one(9_001));
    let run = spaces.run(&tree, &XDP, "stats.json");
    let check = |tree: &Tree, args: &[&str], code: i32, expected: &str| {
        let (got, text) = spaces.refused(tree, args);
        assert!(got == Some(code) && text.contains(expected), "{args:?}: {got:?} {text}");
    };
    check(&tree, &XDP, 3, "the address is in use");
    check(&tree, &["--driver", "poll"], 3, "the address is in use");
    check(&other, &["--driver", "xdp", "--xdp-dev", "lo"], 4, "device lo: it is not an Ethernet device");
    check(&other, &["--driver", "xdp", "--xdp-dev", "v9"], 4, "device v9: No such device");
    check(&other, &["--driver", "xdp"], 2, "--xdp-dev");
    check(&other, &["--driver", "poll", "--xdp-dev", "v0"], 2, "--xdp-dev is the device of --driver xdp");
    let queues = "device v0 receives by 1 queue, and 2 shards need as many (ethtool -L v0 combined 2; or --shards 1)";
    let two = Tree::new(&[at(FOUR, "a", &json!({})), at(FOUR, "b", &json!({}))], &json!({}));
    check(&two, &[&XDP[..], &["--shards", "2"]].concat(), 4, queues);
    check(
        &other,
        &[&XDP[..], &["--bind", "127.0.0.1"]].concat(),
        4,
        "no udp FSU listens on an address of device v0: 10.9.0.1",
    );
    check(&other, &XDP, 4, "device v0 has an XDP program already");
    run.stop();
    // The program went with the process.
    spaces.run(&other, &XDP, "stats.json").stop();
}

#[test]
fn one_socket_has_all_addresses_over_both_families() {
    let Some(spaces) = Spaces::new("one") else { return };
    for (host, asked_at) in [("0.0.0.0", &[FOUR][..]), ("::", &[FOUR, SIX]), (SIX, &[SIX]), (FOUR, &[FOUR])] {
        for args in [&["--one-socket"][..], &[&XDP[..], &["--one-socket"]].concat()] {
            let tree = Tree::new(&[at(host, "site", &json!({})), at(FOUR, "other", &json!({}))], &json!({}));
            let run = spaces.run(&tree, args, "stats.json");
            let port = run.address("site").port();
            for ip in asked_at {
                let centre = spaces.udp(SocketAddr::new(ip.parse().expect("an address"), port));
                for tag in 0..20 {
                    let (request, expected) = asked(tag);
                    assert_bytes(&centre.ask(&request), &expected);
                }
            }
            let ended = run.stop();
            let counts = if args.len() == 1 { "/shards/0/one_socket" } else { QUEUE };
            let expected = 20 * asked_at.len() as u64;
            let got = ["received", "sent"].map(|name| ended.count(&format!("{counts}/{name}")));
            assert_eq!(got, [expected; 2], "{host} {args:?}");
        }
    }
}

#[test]
fn one_socket_beats_delays_reloads_and_has_long_datagrams() {
    let Some(spaces) = Spaces::new("onebeats") else { return };
    let centre = spaces.socket(&format!("{CENTRE_FOUR}:9999"));
    let centers = json!({"sc_iot_center": {"host": CENTRE_FOUR, "port": 9_999}});
    let beating =
        |port: u16| at("0.0.0.0", "site", &json!({"heartbeat_enable": true, "heartbeat_interval": 1, "port": port}));
    let tree = Tree::new(&[beating(9_000), at(FOUR, "goes", &json!({"port": 9_001}))], &centers);
    let mut run = spaces.run(&tree, &["--one-socket"], "stats.json");
    let at_port = |port: u16| SocketAddr::new(FOUR.parse().expect("an address"), port);
    let mut buffer = [0; 2_048];
    let (size, from) = centre.recv_from(&mut buffer).expect("a heartbeat");
    assert_bytes(&buffer[..size], &heartbeat(ID, 1));
    assert_eq!(from, at_port(9_000), "from its own port, and the address that leads there");
    let asking = spaces.udp(at_port(9_000));
    let (request_now, expected) = asked(1);
    let delayed = request(ID, METER, &meter(7, 3, &[0, 9]));
    assert_bytes(&asking.ask(&request_now), &expected);
    // In fragments: nothing that is answered, but it is counted.
    asking.send(&[0x11; 4_000]);
    let delayed = asking.ask(&delayed);
    assert!(delayed == reply(ID, METER, &meter(7, 3, &[0, 9])) || delayed == heartbeat(ID, 1));
    let goes = spaces.udp(at_port(9_001));
    assert_bytes(&goes.ask(&request_now), &expected);
    tree.set_fsus(&[beating(9_000), at(FOUR, "comes", &json!({"port": 9_002}))], &centers);
    run.reload();
    assert_bytes(&spaces.udp(at_port(9_002)).ask(&request_now), &expected);
    goes.send(&request_now);
    assert!(goes.0.recv(&mut buffer).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    let ended = run.stop();
    assert_eq!(ended.count("/shards/0/one_socket/unusable"), 0);
    assert_eq!(ended.count("/totals/answered"), 4);
    assert!(ended.count("/totals/dropped_total") >= 1, "{:#}", ended.stats["totals"]);
}

#[test]
fn one_socket_refuses_a_second_instance_of_either_kind_and_what_the_kernel_has() {
    let Some(spaces) = Spaces::new("onesecond") else { return };
    let one = |host: &str, port: u16| Tree::new(&[at(host, "site", &json!({"port": port}))], &json!({}));
    let check = |tree: &Tree, args: &[&str], code: i32, expected: &str| {
        let (got, text) = spaces.refused(tree, args);
        assert!(got == Some(code) && text.contains(expected), "{args:?}: {got:?} {text}");
    };
    let (tree, all, other) = (one(FOUR, 9_000), one("0.0.0.0", 9_000), one(FOUR, 9_001));
    for first in [&["--one-socket"][..], &["--driver", "poll"]] {
        let run = spaces.run(&tree, first, "stats.json");
        for second in [&["--one-socket"][..], &["--driver", "poll"]] {
            check(&tree, second, 3, "the address is in use");
            check(&all, second, 3, "the address is in use");
            spaces.run(&other, second, "other.json").stop();
        }
        run.stop();
    }
    check(&tree, &["--one-socket", "--driver", "ring"], 2, "--one-socket goes with --driver poll or xdp");
    check(&one("10.9.0.77", 9_000), &["--one-socket"], 3, "no interface of this machine has that address");
}

#[test]
fn twenty_thousand_addresses_of_one_socket_need_no_descriptors() {
    let Some(spaces) = Spaces::new("onemany") else { return };
    let tree = Tree::new(
        &[at(FOUR, "site", &json!({"port": 20_000, "count": 20_000}))],
        &json!({"log": {"level": "warn"}, "performance": {"enabled": true}}),
    );
    let run = spaces.run(&tree, &["--one-socket"], "stats.json");
    let descriptors =
        std::fs::read_dir(format!("/proc/{}/fd", run.pid().as_raw_nonzero())).expect("it is ours").count();
    assert!(descriptors < 100, "{descriptors}");
    let centre = spaces.socket(&format!("{CENTRE_FOUR}:0"));
    let mut buffer = [0; 2_048];
    for number in (0..20_000_u16).step_by(97) {
        let id = String::from_utf8(expand(ID, number)).expect("digits");
        let to = SocketAddr::new(FOUR.parse().expect("an address"), 20_000 + number);
        centre.send_to(&request(&id, METER, &meter(7, 1, &[0, 1])), to).expect("sent");
        let (size, from) = centre.recv_from(&mut buffer).expect("a reply");
        assert_eq!(from, to);
        assert_bytes(&buffer[..size], &reply(&id, METER, &meter(7, 1, &[0, 1, 2, 1])));
    }
    run.stop();
}

#[test]
fn the_load_generator_sends_and_verifies_the_same_way() {
    let Some(spaces) = Spaces::new("flood") else { return };
    let fsus = [at(FOUR, "site", &json!({"port": 9_000, "count": 50})), at(SIX, "six", &json!({"port": 9_000}))];
    let tree = Tree::new(&fsus, &json!({"log": {"level": "warn"}, "performance": {"enabled": true}}));
    let run = spaces.run(&tree, &XDP, "stats.json");
    let args =
        ["--xdp", "v1", "--mix", "01,03", "--window", "2", "--requests", "5000", "--json", "report.json", "--quiet"];
    let flooded = spaces.flood(&tree, &args);
    assert_eq!(flooded.code, Some(0), "{:?} {}", flooded.stdout, flooded.stderr);
    let ended = run.stop();
    assert_eq!(ended.count("/totals/answered"), 5_000);
    // The first requests find the way by the kernel; they come as frames all the same.
    assert_eq!([queue(&ended, "received"), queue(&ended, "sent")], [5_000; 2]);
    for (args, code, expected) in [
        (&["--xdp", "lo"][..], 4, "--xdp lo: it is not an Ethernet device"),
        (&["--xdp", "v1", "--threads", "2"], 4, "it receives by 1 queue, and 2 threads need as many"),
        (&["--xdp", "v1", "--tcp"], 2, "cannot be used with"),
    ] {
        let refused = spaces.flood(&tree, args);
        assert!(refused.code == Some(code) && refused.stderr.contains(expected), "{args:?}: {refused:?}");
    }
}
