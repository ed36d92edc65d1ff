//! FSUs over TLS: with OpenSSL at the other end, and with many connections.

mod tools;

use crate::dial::{accept, centre, dialling};
use crate::harness::{PATIENCE, PROGRAM, Run, Tcp, Tree, fsu, run_to_end, until};
use crate::wire::meter;
use fsu_plan::model::tls::Files;
use fsu_tls::fixtures::{Authority, Identity, plan, self_signed};
use fsu_tls::stream::Stream;
use fsu_tls::{Client, Server};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const DRIVERS: [&[&str]; 3] = [&["--driver", "poll"], &["--driver", "ring"], &["--driver", "auto", "--shards", "2"]];

fn asked(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag])
}

fn answer(tag: u8) -> Vec<u8> {
    meter(1, 1, &[0, tag, 2, 1])
}

/// Puts PEM files into a tree: of a CA, and of a certificate that it signed.
fn write(tree: &Tree, ca: &Authority, own: &Identity) {
    tree.write("tls/ca.pem", &ca.cert);
    tree.write("tls/own.pem", &own.cert);
    tree.write("tls/own.key", &own.key);
}

fn own() -> Value {
    json!({"cert": "tls/own.pem", "key": "tls/own.key"})
}

/// A tree with one FSU that listens: its `tls`, and more.
fn listening(tls: &Value, more: &Value) -> (Tree, Authority) {
    let mut one = fsu("door", "20250125", "tcp", more);
    one["tls"] = tls.clone();
    let tree = Tree::new(&[one], &json!({}));
    let ca = Authority::new("ca");
    write(&tree, &ca, &ca.leaf(&["door.example", "127.0.0.1"]));
    (tree, ca)
}

fn trusting(ca: &str, name: &str, own: Option<&Identity>) -> Client {
    let (cert, key) = (own.map(|own| own.cert.as_bytes()), own.map(|own| own.key.as_bytes()));
    let files = Files { dials: true, cert, key, ca: Some(ca.as_bytes()), name };
    plan(&files).made::<Client>().expect("a client").clone()
}

fn serving(own: &Identity) -> Server {
    let files = Files { cert: Some(own.cert.as_bytes()), key: Some(own.key.as_bytes()), ..Files::default() };
    plan(&files).made::<Server>().expect("a server").clone()
}

fn open(to: SocketAddr, client: &Client) -> std::io::Result<Stream> {
    let socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Stream::open(socket, Some(client))
}

fn ask(stream: &mut (impl Read + Write), tag: u8) {
    stream.write_all(&asked(tag)).expect("sent");
    let mut got = vec![0; answer(tag).len()];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(got, answer(tag));
}

/// `openssl`, with its standard input and output as the plain side of a connection.
struct Openssl(Child);

impl Openssl {
    fn new(tree: &Tree, args: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(args).current_dir(tree.path("."));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().expect("openssl is there"))
    }
}

impl Read for Openssl {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.stdout.as_mut().expect("piped").read(bytes)
    }
}

impl Write for Openssl {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.stdin.as_mut().expect("piped").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.stdin.as_mut().expect("piped").flush()
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's images have it; where it is not, rustls speaks with itself in the other tests.
fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|ended| ended.status.success())
}

#[test]
fn openssl_asks_an_fsu_that_listens() {
    if !has_openssl() {
        return;
    }
    for driver in DRIVERS {
        let (tree, ca) =
            listening(&json!({"cert": "tls/own.pem", "key": "tls/own.key", "client_ca": "tls/ca.pem"}), &json!({}));
        let client = ca.leaf(&["centre"]);
        tree.write("tls/client.pem", &client.cert);
        tree.write("tls/client.key", &client.key);
        let run = Run::start(&tree, driver);
        let to = run.address("door").to_string();
        for version in ["-tls1_2", "-tls1_3"] {
            let args =
                ["s_client", "-quiet", "-connect", &to, version, "-CAfile", "tls/ca.pem", "-verify_return_error"];
            let shown = ["-verify_hostname", "door.example", "-cert", "tls/client.pem", "-key", "tls/client.key"];
            let mut peer = Openssl::new(&tree, &[&args[..], &shown].concat());
            for tag in 1..=3 {
                ask(&mut peer, tag);
            }
        }
        let ended = run.stop();
        let counts = ["connections", "answered", "dropped_total"].map(|of| ended.count(&format!("/totals/{of}")));
        assert_eq!(counts, [2, 6, 0], "{driver:?}");
    }
}

#[test]
fn an_fsu_dials_openssl() {
    if !has_openssl() {
        return;
    }
    for driver in DRIVERS {
        let ca = Authority::new("ca");
        let to = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string();
        let tls =
            json!({"ca": "tls/ca.pem", "server_name": "centre.example", "cert": "tls/own.pem", "key": "tls/own.key"});
        let tree = Tree::new(
            &[dialling("pile", &json!({"to": to, "reconnect_ms": [20, 100], "tls": tls}), &json!({}))],
            &json!({}),
        );
        write(&tree, &ca, &ca.leaf(&["pile"]));
        let centre = ca.leaf(&["centre.example"]);
        tree.write("tls/centre.pem", &centre.cert);
        tree.write("tls/centre.key", &centre.key);
        let args = ["s_server", "-quiet", "-accept", &to, "-cert", "tls/centre.pem", "-key", "tls/centre.key"];
        let checks = ["-Verify", "1", "-verify_return_error", "-CAfile", "tls/ca.pem"];
        let mut peer = Openssl::new(&tree, &[&args[..], &checks].concat());
        let run = Run::start(&tree, driver);
        tree.until_logged("connected to centre");
        ask(&mut peer, 1);
        ask(&mut peer, 2);
        drop(peer);
        let ended = run.stop();
        assert_eq!((ended.count("/totals/connections"), ended.count("/totals/answered")), (1, 2), "{driver:?}");
    }
}

#[test]
fn garbage_and_plain_text_are_counted_and_the_next_one_is_served() {
    for driver in DRIVERS {
        let (tree, ca) = listening(&own(), &json!({}));
        let run = Run::start(&tree, driver);
        let to = run.address("door");
        let mut noise = fastrand::Rng::with_seed(7);
        for number in 0..50 {
            let mut bytes = match number {
                0 => asked(1),
                1 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                _ => (0..noise.usize(6..400)).map(|_| noise.u8(..)).collect(),
            };
            if (0x14..=0x18).contains(&bytes[0]) {
                bytes[0] = 0xA5;
            }
            let mut stream = TcpStream::connect(to).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("set");
            stream.write_all(&bytes).expect("sent");
            // An alert at most, then the end; with what it did not read, a reset.
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard);
            assert!(heard.len() < 20, "{heard:?}");
        }
        // One that leaves early.
        drop(TcpStream::connect(to).expect("it listens"));
        let mut stream = open(to, &trusting(&ca.cert, "door.example", None)).expect("a handshake");
        ask(&mut stream, 1);
        drop(stream);
        let ended = run.stop();
        let count = |what: &str| ended.count(&format!("/totals/dropped/{what}"));
        assert_eq!((count("tls_plain"), count("tls_closed")), (50, 1), "{driver:?}");
        assert_eq!((ended.count("/totals/answered"), ended.count("/totals/dropped_total")), (1, 51));
    }
}

/// Faults change plain bytes: they arrive over TLS as they do without it.
#[test]
fn faults_are_those_without_tls() {
    let faults = json!({"faults": {"split": {"p": 1, "pieces": 3, "gap_ms": 1}, "duplicate": 1, "bad_checksum": 1}});
    let heard = |tls: bool| {
        let (tree, ca) = listening(&own(), &faults);
        if !tls {
            tree.set_fsus(&[fsu("door", "20250125", "tcp", &faults)], &json!({}));
        }
        let run = Run::start(&tree, &["--seed", "5"]);
        let mut got = vec![0; 6 * answer(1).len()];
        let to = run.address("door");
        if tls {
            let mut stream = open(to, &trusting(&ca.cert, "127.0.0.1", None)).expect("a handshake");
            (1..=3).for_each(|tag| stream.write_all(&asked(tag)).expect("sent"));
            stream.read_exact(&mut got).expect("answers");
        } else {
            let mut stream = Tcp::new(to);
            (1..=3).for_each(|tag| stream.send(&asked(tag)));
            got = stream.next(got.len());
        }
        let ended = run.stop();
        (got, ended.count("/totals/faults_total"))
    };
    assert_eq!(heard(true), heard(false));
}

#[test]
fn a_thousand_dial_over_tls() {
    const MANY: usize = 1_000;
    for driver in &DRIVERS[1..] {
        let (listener, to) = centre();
        let tls = json!({"ca": "tls/centre.pem"});
        let connect = json!({"to": to.to_string(), "tls": tls});
        let tree = Tree::new(&[dialling("pile", &connect, &json!({"count": MANY}))], &json!({}));
        let identity = self_signed(&["127.0.0.1"]);
        tree.write("tls/centre.pem", &identity.cert);
        let server = serving(&identity);
        let run = Run::start(&tree, driver);
        let mut streams: Vec<Stream> = Vec::new();
        for _ in 0..MANY {
            let (socket, _) = accept(&listener);
            let mut stream = Stream::accept(socket, Some(&server)).expect("memory");
            // The handshake is done while it is read, before the answer to a request.
            stream.socket().set_nonblocking(true).expect("set");
            until("a handshake", || {
                let _ = stream.read(&mut []);
                stream.is_up()
            });
            stream.socket().set_nonblocking(false).expect("set");
            streams.push(stream);
        }
        for (tag, stream) in streams.iter_mut().enumerate() {
            ask(stream, tag as u8);
        }
        let ended = run.stop();
        let counts = ["connections", "answered", "dial_failures_total", "dropped_total"];
        let counts = counts.map(|of| ended.count(&format!("/totals/{of}")));
        assert_eq!(counts, [MANY as u64, MANY as u64, 0, 0], "{driver:?}");
    }
}

#[test]
fn a_centre_with_another_certificate_is_not_accepted() {
    let (listener, to) = centre();
    let connect = json!({"to": to.to_string(), "reconnect_ms": [10, 20], "tls": {"ca": "tls/ca.pem"}});
    let tree = Tree::new(&[dialling("pile", &connect, &json!({}))], &json!({}));
    let ca = Authority::new("ca");
    write(&tree, &ca, &ca.leaf(&["127.0.0.1"]));
    let run = Run::start(&tree, &[]);
    // A name that is not asked for, a CA that is not trusted, no TLS at all; then the right one.
    let others = [ca.leaf(&["10.0.0.1"]), Authority::new("ca").leaf(&["127.0.0.1"])];
    for other in &others {
        let mut stream = Stream::accept(accept(&listener).0, Some(&serving(other))).expect("memory");
        let told = stream.read(&mut [0]).expect_err("refused").to_string();
        assert!(told.contains("alert"), "{told}");
    }
    accept(&listener).0.write_all(b"hello, hello").expect("sent");
    let mut stream = Stream::accept(accept(&listener).0, Some(&serving(&ca.leaf(&["127.0.0.1"])))).expect("memory");
    stream.socket().set_nonblocking(true).expect("set");
    until("a handshake", || {
        let _ = stream.read(&mut []);
        stream.is_up()
    });
    stream.socket().set_nonblocking(false).expect("set");
    ask(&mut stream, 1);
    tree.until_logged("dialling");
    let ended = run.stop();
    let count = |what: &str| ended.count(&format!("/totals/{what}"));
    assert_eq!((count("dial_failures/tls"), count("dial_failures_total"), count("connections")), (3, 3, 1));
    assert_eq!((count("dropped/tls_certificate"), count("dropped/tls_plain")), (2, 1));
}

#[test]
fn a_changed_certificate_serves_new_connections() {
    let (tree, ca) = listening(&own(), &json!({}));
    let mut run = Run::start(&tree, &[]);
    let to = run.address("door");
    let mut before = open(to, &trusting(&ca.cert, "door.example", None)).expect("a handshake");
    ask(&mut before, 1);
    let other = Authority::new("other");
    write(&tree, &other, &other.leaf(&["door.example"]));
    run.reload();
    assert!(open(to, &trusting(&ca.cert, "door.example", None)).is_err());
    let mut after = open(to, &trusting(&other.cert, "door.example", None)).expect("a handshake");
    ask(&mut after, 2);
    ask(&mut before, 3);
    // A key that does not fit keeps what is served.
    tree.write("tls/own.key", &ca.leaf(&["door.example"]).key);
    run.signal(Signal::HUP);
    tree.until_logged("reload failed");
    ask(&mut open(to, &trusting(&other.cert, "door.example", None)).expect("a handshake"), 4);
    let ended = run.stop();
    assert_eq!((ended.count("/totals/answered"), ended.count("/totals/dropped/tls_certificate")), (4, 1));
}

/// What is wrong with `tls`, and where.
#[test]
fn mistakes_are_told_at_their_places() {
    let (tree, ca) = listening(&own(), &json!({}));
    let other = ca.leaf(&["x"]);
    tree.write("tls/other.key", &other.key);
    tree.write("tls/empty.pem", "");
    let old = ca.leaf_between(&["x"], (2020, 1, 1), (2021, 1, 1));
    tree.write("tls/old.pem", &old.cert);
    tree.write("tls/old.key", &old.key);
    let check = |entry: &Value, code: i32, expected: &[&str]| {
        tree.set_fsus(std::slice::from_ref(entry), &json!({}));
        let ended = run_to_end(Command::new(PROGRAM).arg("check").arg(tree.path("sys_config.json")));
        let told = ended.stdout.join("\n");
        for expected in expected {
            assert!(told.contains(expected), "{entry}: {told}");
        }
        assert_eq!(ended.code, Some(code), "{entry}: {told}");
    };
    let listens = |transport: &str, tls: &Value| fsu("door", "20250125", transport, &json!({"tls": tls}));
    let dials = |tls: &Value| dialling("pile", &json!({"to": "127.0.0.1:9", "tls": tls}), &json!({}));
    check(&listens("tcp", &own()), 0, &["ok: 1 FSU"]);
    check(&listens("tcp", &json!({})), 1, &["/fsu_list/0/tls: error: \"cert\" is missing", "\"key\" is missing"]);
    check(&listens("tcp", &json!({"cert": "tls/own.pem"})), 1, &["\"key\" is missing"]);
    let bad = json!({"cert": "tls/none.pem", "key": "tls/empty.pem", "client_ca": "tls/empty.pem"});
    check(&listens("tcp", &bad), 1, &["/fsu_list/0/tls/cert: error: ", "none.pem cannot be read: No such file"]);
    let bad = json!({"cert": "tls/empty.pem", "key": "tls/empty.pem", "client_ca": "tls/empty.pem"});
    check(
        &listens("tcp", &bad),
        1,
        &[
            "/fsu_list/0/tls/cert: error: no certificate in it",
            "/fsu_list/0/tls/key: error: no private key in it",
            "/fsu_list/0/tls/client_ca: error: no certificate in it",
        ],
    );
    let bad = json!({"cert": "tls/own.pem", "key": "tls/other.key"});
    let unfit = "tls/key: error: the private key does not belong to the certificate of `cert`";
    check(&listens("tcp", &bad), 1, &[unfit]);
    let old = json!({"cert": "tls/old.pem", "key": "tls/old.key"});
    check(&listens("tcp", &old), 0, &["tls/cert: warning: the certificate expired on 2021-01-01", "ok: 1 FSU"]);
    for transport in ["udp", "datagram"] {
        let text = format!("/fsu_list/0/tls: error: `tls` is for tcp: a {transport} FSU has no connections");
        check(&listens(transport, &own()), 1, &[&text]);
    }
    check(&dials(&json!({"ca": "tls/ca.pem"})), 0, &["ok: 1 FSU"]);
    check(
        &dials(&json!({"ca": "tls/ca.pem", "server_name": "a b"})),
        1,
        &["/fsu_list/0/connect/tls/server_name: error: `a b` is no name"],
    );
    check(
        &dials(&json!({"ca": "tls/ca.pem", "cert": "tls/own.pem"})),
        1,
        &["/fsu_list/0/connect/tls: error: \"key\" is missing"],
    );
    check(&dials(&json!({"ca": "tls/ca.pem", "client_ca": "x"})), 0, &["client_ca"]);
    let mut only_dials = dials(&json!({"ca": "tls/ca.pem"}));
    only_dials["tls"] = own();
    check(&only_dials, 1, &["/fsu_list/0/tls: error: `tls` here is for connections that the FSU accepts"]);
    let mut sends = fsu("pile", "20250125", "udp", &json!({"connect": {"to": "127.0.0.1:9", "tls": {}}}));
    sends.as_object_mut().expect("an object").remove("port");
    check(&sends, 1, &["/fsu_list/0/connect/tls: error: `tls` is for tcp"]);
}
