//! What a centre, or an attacker, may do to the program: die in the middle of a frame, send a byte now and then,
//! come ten thousand times, flood a port, end it under full load. Other peers are still served, and everything is counted.

use crate::harness::{PATIENCE, PROGRAM, Run, Tcp, Tree, fsu, until};
use crate::wire::{meter, reply, request};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ID: &str = "20250125";

fn asked(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag])
}

fn answer(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag, 2, 1])
}

/// What was received was answered, dropped for a reason, or silent.
#[track_caller]
fn assert_balanced(ended: &crate::harness::Ended) {
    let count = |name: &str| ended.count(&format!("/totals/{name}"));
    let lost = ["pending_full", "pending_share", "pending_peer_share", "peer_gone", "send_failed", "drain_ended"];
    let lost: u64 = lost.iter().map(|reason| count(&format!("dropped/{reason}"))).sum();
    assert_eq!(count("received"), count("answered") + count("silent") + lost, "{:#}", ended.stats["totals"]);
}

/// Descriptors that a process has open.
fn descriptors(pid: Pid) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("it runs").count()
}

/// Waits until a process has its previous number of open descriptors, except two per shard that vary.
fn until_let_go(pid: Pid, shards: usize, before: usize) {
    let mut now = usize::MAX;
    let deadline = Instant::now() + PATIENCE;
    while now > before + 2 * shards {
        assert!(Instant::now() < deadline, "{now} descriptors are open, {before} were");
        std::thread::sleep(Duration::from_millis(5));
        now = descriptors(pid);
    }
}

#[test]
fn a_client_killed_in_the_middle_of_a_frame_harms_nobody() {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &["--shards", "1"]);
    let mut other = run.tcp("site");
    other.send(&asked(0));
    other.expect(&answer(0));
    let before = descriptors(run.pid());
    let port = run.address("site").port();
    let octal = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"));
    for tag in 0..10 {
        // A request, a slow one, and half of another; then it waits to be killed.
        let bytes = [asked(tag), meter(1, 4, &[]), asked(tag)[..3].to_vec()].concat();
        let script =
            format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{}' >&3; echo sent; read -r line", octal(&bytes));
        let mut client = Command::new("bash")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash");
        let mut line = String::new();
        BufReader::new(client.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        assert_eq!(line, "sent\n");
        kill_process(Pid::from_child(&client), Signal::KILL).expect("it runs");
        client.wait().expect("it is ours");
        other.send(&asked(tag));
        other.expect(&answer(tag));
    }
    until_let_go(run.pid(), 1, before);
    let ended = run.stop();
    assert_eq!(ended.count("/totals/connections"), 11);
    assert!(ended.count("/totals/dropped/peer_gone") > 0, "{:#}", ended.stats["totals"]);
    assert_balanced(&ended);
}

#[test]
fn clients_that_send_a_byte_now_and_then_do_not_stay() {
    const CLIENTS: usize = 100;
    let limits = json!({"limits": {"frame_deadline_ms": 200, "idle_timeout_ms": 1_000, "connections_max": 200}});
    let tree = Tree::new(&[fsu("site", "1", "tcp", &limits)], &json!({}));
    let run = Run::start(&tree, &["--shards", "1"]);
    let mut clients: Vec<Option<Tcp>> = (0..CLIENTS).map(|_| Some(run.tcp("site"))).collect();
    for client in clients.iter().flatten() {
        client.0.set_nonblocking(true).expect("a socket");
    }
    let mut other = run.tcp("site");
    let frame = asked(1);
    let mut turn = 0;
    // Each frame takes far longer than it may: a byte every 100 ms.
    until("they stay", || {
        let byte = &frame[turn % frame.len()..][..1];
        for client in &mut clients {
            let Some(stream) = client else { continue };
            let is_open = match (stream.0.write(byte), stream.0.read(&mut [0; 64])) {
                (Err(error), _) if error.kind() != ErrorKind::WouldBlock => false,
                (_, Ok(0)) => false,
                (_, Err(error)) => error.kind() == ErrorKind::WouldBlock,
                (_, Ok(count)) => panic!("{count} bytes in answer to no frame"),
            };
            if !is_open {
                *client = None;
            }
        }
        other.send(&asked(turn as u8));
        other.expect(&answer(turn as u8));
        turn += 1;
        std::thread::sleep(Duration::from_millis(95));
        clients.iter().all(Option::is_none)
    });
    let ended = run.stop();
    assert_eq!(ended.count("/totals/dropped/idle_timeout"), CLIENTS as u64);
    assert!(ended.count("/totals/dropped/frame_deadline") >= CLIENTS as u64);
    assert_eq!(ended.count("/totals/answered"), turn as u64);
    assert_balanced(&ended);
}

#[test]
fn ten_thousand_connections_are_served_and_let_go() {
    connections_are_served_and_let_go("auto");
    // epoll reports a connection that has ended until it is closed.
    connections_are_served_and_let_go("poll");
}

fn connections_are_served_and_let_go(driver: &str) {
    const FSUS: usize = 10;
    // This process holds their other ends, beside what other tests need; where its limit is lower there are fewer.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("raised");
    let room = limit.maximum.map_or(usize::MAX, |limit| limit as usize).saturating_sub(1_000);
    let connections = room.min(10_000) / FSUS * FSUS;
    assert!(connections >= 1_000, "open files are limited to {limit:?}: too few to try this");
    let fsus: Vec<Value> = (0..FSUS).map(|n| fsu(&format!("site{n}"), &n.to_string(), "tcp", &json!({}))).collect();
    let tree = Tree::new(&fsus, &json!({}));
    let run = Run::start(&tree, &["--performance", "--shards", "2", "--driver", driver]);
    let before = descriptors(run.pid());
    for _ in 0..2 {
        let mut all: Vec<Tcp> = (0..connections).map(|n| run.tcp(&format!("site{}", n % FSUS))).collect();
        for round in 0..2 {
            for (n, one) in all.iter_mut().enumerate() {
                one.send(&asked((n + round) as u8));
            }
            for (n, one) in all.iter_mut().enumerate() {
                one.expect(&answer((n + round) as u8));
            }
        }
        drop(all);
        until_let_go(run.pid(), 2, before);
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/connections"), 2 * connections as u64);
    assert_eq!(ended.count("/totals/answered"), 4 * connections as u64);
    assert_eq!(ended.count("/totals/dropped_total"), 0);
}

#[test]
fn a_flooded_port_is_counted_to_the_last_datagram_and_its_neighbours_are_served() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 20_000;
    let fsus = [fsu("flooded", "1", "udp", &json!({})), fsu("neighbour", ID, "udp", &json!({}))];
    let tree = Tree::new(&fsus, &json!({}));
    let run = Run::start(&tree, &["--performance", "--shards", "1"]);
    let to = run.address("flooded");
    let senders: Vec<_> = (0..SENDERS)
        .map(|seed| {
            std::thread::spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
                socket.set_nonblocking(true).expect("a socket");
                // A frame and what is none; a datagram without FF and FE is one thing to be counted.
                let good = request("1", [1, 1], &asked(7));
                let mut sent = 0;
                while sent < EACH {
                    let noise: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..0xFD)).collect();
                    let bytes = if rng.bool() { &good } else { &noise };
                    sent += u64::from(socket.send_to(bytes, to).is_ok());
                    // What comes back is not looked at; the buffer is not to fill up.
                    let _ = socket.recv(&mut [0; 256]);
                }
            })
        })
        .collect();
    let neighbour = run.udp("neighbour");
    let mut tag = 0u8;
    while !senders.iter().all(std::thread::JoinHandle::is_finished) {
        assert_eq!(
            neighbour.ask(&request(ID, [1, 1], &asked(tag))),
            reply(ID, [1, 1], &answer(tag)),
            "while its neighbour is flooded"
        );
        tag = tag.wrapping_add(1);
    }
    for sender in senders {
        sender.join().expect("it sends");
    }
    // Datagrams are read in their order: with this answer all before it are counted. The socket may be full for a moment.
    let last = run.udp("flooded");
    last.0.set_read_timeout(Some(Duration::from_millis(100))).expect("not zero");
    let mut more = 0;
    until("the flooded one does not answer any more", || {
        more += 1;
        last.send(&request("1", [1, 1], &asked(9)));
        last.0.recv(&mut [0; 256]).is_ok()
    });
    let ended = run.stop();
    let flooded =
        ended.stats["fsus"].as_array().expect("FSUs").iter().find(|fsu| fsu["name"] == "flooded").expect("it");
    let count = |name: &str| flooded.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("{name}: {flooded:#}"));
    assert_eq!(count("received") + count("kernel_drops"), SENDERS * EACH + more);
    assert_eq!(count("received"), count("answered") + count("dropped_total"));
}

/// Records in the device logs: received, sent.
fn records(dir: &Path) -> (u64, u64) {
    let (mut received, mut sent) = (0, 0);
    for file in std::fs::read_dir(dir.join("devices")).expect("device logs") {
        let text = std::fs::read_to_string(file.expect("listed").path()).expect("UTF-8");
        received += text.lines().filter(|line| line.contains("] [RECV] ")).count() as u64;
        sent += text.lines().filter(|line| line.contains("] [SEND] ")).count() as u64;
    }
    (received, sent)
}

#[test]
fn ended_under_full_load_it_has_a_record_of_every_reply() {
    let fsus = [
        fsu("udp", ID, "udp", &json!({})),
        fsu("tcp", "2", "tcp", &json!({})),
        fsu("more", "3", "udp", &json!({"heartbeat_enable": false})),
    ];
    let tree = Tree::new(&fsus, &json!({"log": {"on_full": "block", "language": "en", "maxSize": 1_000_000_000}}));
    let run = Run::start(&tree, &["--shards", "2"]);
    tree.write("ports.txt", &run.said.join("\n"));
    let floods: Vec<_> = [&["--fsu", "udp", "--window", "64"][..], &["--fsu", "tcp", "--tcp", "--pipelining", "16"]]
        .into_iter()
        .map(|args| {
            let mut flood = Command::new(PROGRAM);
            flood.arg("flood").arg("--config").arg(tree.path("sys_config.json"));
            flood.arg("--ports").arg(tree.path("ports.txt")).args(["--quiet", "--seconds", "25", "--mix", "01=1"]);
            flood.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            flood.spawn().expect("the program can be started")
        })
        .collect();
    let size = |name: &str| {
        let files = std::fs::read_dir(tree.path("logs/devices")).into_iter().flatten().flatten();
        let own = files.filter(|file| file.file_name().to_string_lossy().starts_with(name));
        own.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum::<u64>()
    };
    until("there is no load", || size("udp_") > 1_000_000 && size("tcp_") > 1_000_000);
    let ended = run.stop();
    for mut flood in floods {
        let _ = kill_process(Pid::from_child(&flood), Signal::KILL);
        flood.wait().expect("it is ours");
    }
    assert_eq!(ended.count("/log/device_records_lost"), 0);
    assert_eq!(ended.count("/totals/log_records_lost"), 0);
    let (received, sent) = records(&tree.path("logs"));
    assert_eq!(sent, ended.count("/totals/answered"));
    assert!(sent > 1_000, "{sent}");
    assert_eq!(received, ended.count("/totals/received"));
    assert_balanced(&ended);
}
