//! FSUs that dial out, to a centre that the test plays.

use crate::harness::{PATIENCE, PROGRAM, Run, Tree, fsu, run_to_end};
use crate::wire::meter;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

const DRIVERS: [&[&str]; 2] = [&["--driver", "poll"], &["--driver", "ring"]];

/// An FSU that only dials out.
pub(crate) fn dialling(name: &str, connect: &Value, more: &Value) -> Value {
    let mut fsu = fsu(name, "20250125", "tcp", more);
    let fields = fsu.as_object_mut().expect("an object");
    fields.remove("port");
    fields.remove("host");
    fields.insert("connect".to_owned(), connect.clone());
    fsu
}

fn asked(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag])
}

fn answer(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag, 2, 1])
}

/// A centre that listens.
pub(crate) fn centre() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // More may wait than by default.
    socket2::SockRef::from(&listener).listen(4_096).expect("it listens");
    let to = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("set");
    (listener, to)
}

/// The next connection.
pub(crate) fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(false).expect("set");
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                return (stream, peer);
            }
            Err(_) => assert!(Instant::now() < deadline, "no connection comes"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ask(stream: &mut TcpStream, tag: u8) {
    stream.write_all(&asked(tag)).expect("sent");
    let mut got = vec![0; answer(tag).len()];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(got, answer(tag));
}

#[test]
fn it_dials_answers_and_dials_again() {
    for driver in DRIVERS {
        let (listener, to) = centre();
        let connect = json!({"to": to.to_string(), "reconnect_ms": [20, 100]});
        let tree = Tree::new(&[dialling("site", &connect, &json!({"count": 3}))], &json!({}));
        let run = Run::start(&tree, driver);
        assert_eq!(run.addresses(), 0);
        let mut streams: Vec<TcpStream> = (0..3).map(|_| accept(&listener).0).collect();
        for (tag, stream) in (1..).zip(&mut streams) {
            ask(stream, tag);
        }
        // They end in both ways, and come again.
        drop(streams.pop());
        socket2::SockRef::from(&streams[1]).set_linger(Some(Duration::ZERO)).expect("set");
        drop(streams.pop());
        for tag in 4..6 {
            let (mut stream, _) = accept(&listener);
            ask(&mut stream, tag);
            streams.push(stream);
        }
        ask(&mut streams[0], 7);
        let ended = run.stop();
        assert_eq!((ended.count("/totals/connections"), ended.count("/totals/answered")), (5, 6), "{driver:?}");
        assert_eq!(ended.count("/totals/dial_failures_total"), 0);
    }
}

#[test]
fn refused_dials_are_counted_and_tried_again() {
    for driver in DRIVERS {
        let to = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let connect = json!({"to": to.to_string(), "reconnect_ms": [5, 50]});
        let tree = Tree::new(&[dialling("site", &connect, &json!({}))], &json!({}));
        let run = Run::start(&tree, driver);
        tree.until_logged("failed: nobody listens there (error 111)");
        let listener = TcpListener::bind(to).expect("still free");
        listener.set_nonblocking(true).expect("set");
        let (mut stream, _) = accept(&listener);
        ask(&mut stream, 1);
        let ended = run.stop();
        let refused = ended.count("/totals/dial_failures/refused");
        assert!(refused > 0 && refused == ended.count("/totals/dial_failures_total"), "{driver:?}");
        assert_eq!(ended.count("/totals/connections"), 1);
    }
}

/// Sources in turn, and `port` beside `connect`.
#[test]
fn it_dials_from_addresses_in_turn_and_listens_as_well() {
    for driver in DRIVERS {
        let (listener, to) = centre();
        let connect = json!({"to": to.to_string(), "from": ["127.0.1.0/30", "127.0.2.7"]});
        let mut fsu = fsu("site", "20250125", "tcp", &json!({"count": 4}));
        fsu["connect"] = connect;
        let tree = Tree::new(&[fsu], &json!({}));
        let run = Run::start(&tree, driver);
        let mut all: Vec<(TcpStream, SocketAddr)> = (0..4).map(|_| accept(&listener)).collect();
        let sources: HashSet<IpAddr> = all.iter().map(|(_, peer)| peer.ip()).collect();
        let expected = ["127.0.1.1", "127.0.1.2", "127.0.2.7"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
        assert_eq!(sources, expected.into());
        ask(&mut all[2].0, 9);
        let mut other = run.tcp("site_00003");
        other.send(&asked(3));
        other.expect(&answer(3));
        assert_eq!(run.stop().count("/totals/connections"), 5);
    }
}

#[test]
fn an_address_that_is_not_here_is_an_error_at_startup() {
    let (_listener, to) = centre();
    let connect = json!({"to": to.to_string(), "from": ["192.0.2.128/25"]});
    let tree = Tree::new(&[dialling("site", &connect, &json!({}))], &json!({}));
    let ended = run_to_end(Command::new(PROGRAM).arg("run").arg("--config").arg(tree.path("sys_config.json")));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let expected = "site tcp 192.0.2.129:0: no interface of this machine has that address";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_reload_begins_keeps_and_ends_connections() {
    let [(first, to), (second, elsewhere)] = [centre(), centre()];
    let entry = |name: &str, to: SocketAddr| {
        dialling(name, &json!({"to": to.to_string(), "reconnect_ms": [10, 50]}), &json!({}))
    };
    let tree = Tree::new(&[entry("stays", to), entry("moves", to), entry("goes", to)], &json!({}));
    let mut run = Run::start(&tree, &[]);
    let streams: Vec<TcpStream> = (0..3).map(|_| accept(&first).0).collect();
    tree.set_fsus(&[entry("stays", to), entry("moves", elsewhere), entry("comes", elsewhere)], &json!({}));
    run.reload();
    let mut moved: Vec<TcpStream> = (0..2).map(|_| accept(&second).0).collect();
    for stream in &mut moved {
        ask(stream, 1);
    }
    let mut kept = 0;
    for mut stream in streams {
        let _ = stream.write_all(&asked(2));
        let mut got = vec![0; answer(2).len()];
        kept += usize::from(stream.read_exact(&mut got).is_ok());
    }
    assert_eq!((kept, first.accept().is_err()), (1, true));
    run.stop();
}

#[test]
fn a_udp_fsu_beats_without_being_asked() {
    let centre = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    centre.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut fsu = fsu("site", "20250125", "udp", &json!({"heartbeat_enable": true}));
    let fields = fsu.as_object_mut().expect("an object");
    fields.remove("port");
    fields.insert("connect".to_owned(), json!({"to": centre.local_addr().expect("bound").to_string()}));
    let tree = Tree::new(&[fsu], &json!({}));
    let run = Run::start(&tree, &[]);
    let mut buffer = [0; 256];
    let (size, from) = centre.recv_from(&mut buffer).expect("a heartbeat");
    assert_eq!((buffer[0], buffer[size - 1], from), (0xFF, 0xFE, run.address("site")));
    run.stop();
}

/// 2,000 come, are reset at once, and are all back.
#[test]
fn a_storm_comes_back() {
    const FSUS: usize = 2_000;
    for driver in DRIVERS {
        let (listener, to) = centre();
        let connect = json!({"to": to.to_string(), "reconnect_ms": [200, 1_000]});
        let tree =
            Tree::new(&[dialling("site", &connect, &json!({"count": FSUS}))], &json!({"log": {"level": "warn"}}));
        let run = Run::start(&tree, driver);
        // Whoever answers is up for both sides.
        let all = || {
            let mut all: Vec<TcpStream> = (0..FSUS).map(|_| accept(&listener).0).collect();
            for stream in &mut all {
                ask(stream, 1);
            }
            all
        };
        for stream in all() {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set");
        }
        let again = all();
        assert!(listener.accept().is_err(), "no more come");
        let ended = run.stop();
        drop(again);
        let counts =
            ["connections", "answered", "dial_failures_total"].map(|name| ended.count(&format!("/totals/{name}")));
        assert_eq!(counts, [2 * FSUS as u64, 2 * FSUS as u64, 0], "{driver:?}");
    }
}
