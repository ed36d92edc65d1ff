//! Both drivers, given the same traffic, send the same bytes.

use crate::harness::{Run, Tree, fsu, tcp};
use crate::wire::request;
use fsu_net::probe::ring_missing;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const ID: &str = "20250125";
/// Attempts, since two runs may differ if the clock's second changes between them.
pub(crate) const TRIES: usize = 5;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// The shipped vendors that have a site, and every frame of their vectors that a centre might send, good or bad.
pub(crate) fn vendors() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut vendors = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/vectors")).expect("a directory") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if path.extension().is_none_or(|kind| kind != "json") || !root().join("config/sites").join(&name).is_dir() {
            continue;
        }
        let vectors = json_of(&path);
        // Other protocols keep their vectors in another shape.
        let Some(vectors) = vectors.as_array() else { continue };
        let frames = vectors.iter().filter_map(|vector| {
            let hex = vector["request"].as_str().or_else(|| vector["hex"].as_str());
            hex.filter(|_| vector["direction"] != "reply").map(|hex| hex::decode(hex).expect("hex"))
        });
        vendors.push((name, frames.collect()));
    }
    vendors.sort();
    assert!(vendors.len() >= 6, "{vendors:?}");
    vendors
}

/// Outer frames of the B interface's own vectors.
pub(crate) fn outer_frames() -> Vec<Vec<u8>> {
    let vectors = json_of(&root().join("tests/vectors/b_interface.json"));
    let frames = vectors.as_array().expect("an array").iter().filter_map(|vector| vector["hex"].as_str());
    frames.map(|hex| hex::decode(hex).expect("hex")).collect()
}

/// Each vendor over UDP and over TCP.
fn tree(vendors: &[(String, Vec<Vec<u8>>)]) -> Tree {
    let site = |name: &str| root().join("config/sites").join(name);
    let fsus: Vec<Value> = vendors
        .iter()
        .flat_map(|(name, _)| ["udp", "tcp"].map(|kind| (name, kind)))
        .map(|(name, kind)| fsu(&format!("{kind}_{name}"), ID, kind, &json!({"config_dir": site(name)})))
        .collect();
    Tree::new(&fsus, &json!({"log": {"level": "warn"}}))
}

/// The result of a run: each FSU's datagrams, each connection's bytes, and the counters.
type Answers = (Vec<Vec<Vec<u8>>>, Vec<Vec<u8>>, Value);

/// A run and its requests, in the order of the fleet.
struct Side {
    run: Run,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpStream>,
}

impl Side {
    fn new(tree: &Tree, driver: &str, vendors: &[(String, Vec<Vec<u8>>)]) -> Self {
        let stats = tree.path(&format!("{driver}.json"));
        let run = Run::with_stats(tree, &["--driver", driver, "--seed", "5"], stats);
        let client = |address: SocketAddr| {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
            socket.connect(address).expect("a local address");
            socket
        };
        let udp = vendors.iter().map(|(name, _)| client(run.address(&format!("udp_{name}")))).collect();
        let tcp = vendors.iter().map(|(name, _)| tcp(run.address(&format!("tcp_{name}")))).collect();
        Self { run, udp, tcp }
    }

    /// Every reply, by FSU, and what was counted.
    fn finish(self) -> Answers {
        let streams = self.tcp.into_iter().map(|mut stream| {
            stream.shutdown(Shutdown::Write).expect("open");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).expect("closed in order");
            bytes
        });
        let streams: Vec<Vec<u8>> = streams.collect();
        // Everything has been read when the connections, which came later, are answered and closed; what is due later is sent in
        // the drain.
        self.run.signal(Signal::TERM);
        let ended = self.run.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let datagrams = self.udp.iter().map(|socket| {
            socket.set_nonblocking(true).expect("a socket");
            let mut got: Vec<Vec<u8>> = Vec::new();
            let mut buffer = [0; 4_096];
            while let Ok(size) = socket.recv(&mut buffer) {
                got.push(buffer[..size].to_vec());
            }
            // Delayed replies overtake each other by chance of the millisecond.
            got.sort();
            got
        });
        let datagrams = datagrams.collect();
        let mut stats = ended.stats;
        let mut counts = stats["fsus"].take();
        counts.as_array_mut().expect("an array").iter_mut().for_each(|fsu| fsu["shard"] = Value::Null);
        (datagrams, streams, counts)
    }
}

#[test]
fn the_same_traffic_is_answered_with_the_same_bytes() {
    if ring_missing().is_some() {
        return;
    }
    let vendors = vendors();
    let outer = outer_frames();
    let tree = tree(&vendors);
    for left in (0..TRIES).rev() {
        let mut sides = ["poll", "ring"].map(|driver| Side::new(&tree, driver, &vendors));
        for (at, (_, frames)) in vendors.iter().enumerate() {
            for frame in frames {
                let datagram = request(ID, [1, 1], frame);
                for side in &sides {
                    side.udp[at].send(&datagram).expect("sent");
                }
            }
            for datagram in &outer {
                for side in &sides {
                    side.udp[at].send(datagram).expect("sent");
                }
            }
        }
        for (at, (_, frames)) in vendors.iter().enumerate() {
            let stream = frames.concat();
            for piece in stream.chunks(11) {
                for side in &mut sides {
                    side.tcp[at].write_all(piece).expect("open");
                }
            }
        }
        let [poll, ring] = sides.map(Side::finish);
        assert!(poll.0.iter().all(|got| got.len() > 5) && poll.1.iter().all(|got| got.len() > 50));
        if poll == ring {
            return;
        }
        if left == 0 {
            assert_eq!(poll, ring);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A free port that the system does not assign by itself, so that it stays free between two runs.
fn free_port() -> u16 {
    let first = 12_000 + (std::process::id() % 8_000) as u16;
    let is_free = |port: &u16| {
        UdpSocket::bind(("127.0.0.1", *port)).is_ok() && std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    (first..first + 1_000).find(is_free).expect("a free port")
}

#[test]
fn a_run_leaves_its_ports_at_once() {
    let port = free_port();
    let fixed = json!({"port": port});
    let tree = Tree::new(&[fsu("a", ID, "udp", &fixed), fsu("b", "20250126", "tcp", &fixed)], &json!({}));
    for driver in ["auto", "poll", "auto", "poll"] {
        Run::start(&tree, &["--driver", driver]).stop();
    }
}

#[test]
fn the_start_tells_the_driver() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let auto = match ring_missing() {
        None => "ring (this kernel has all it needs)".to_owned(),
        Some(missing) => format!("poll (not ring: {missing})"),
    };
    for (asked, taken) in [("auto", &auto[..]), ("poll", "poll (as asked for)")] {
        let run = Run::start(&tree, &["--driver", asked]);
        let line = run.said.iter().find(|line| line.trim_start().starts_with("driver")).expect("a line").clone();
        assert!(line.ends_with(taken), "{line}");
        let ended = run.stop();
        assert_eq!(ended.stats["run"]["driver"], taken[..4]);
    }
}
