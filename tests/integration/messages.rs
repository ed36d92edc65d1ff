//! Devices that speak first, over real sockets, with both drivers: what a centre gets, what it acknowledges, and what the reports say.

use crate::harness::{Run, Tree, fsu};
use crate::wire::{meter, reply, request, through};
use serde_json::{Value, json};

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const DRIVERS: [&[&str]; 2] = [&["--driver", "poll"], &["--driver", "ring"]];

/// The meter says hello to whoever comes, until 04 acknowledges it; then it says that it is ready. A read (01) is followed by a report.
fn rules() -> Value {
    json!({
        "messages": {
            "hello": {"frame": "05", "on": "connect", "data": {"address": "09", "tag": "000000${hex(count(hello, 1), 2)}$"},
                "ack": {"frame": "04", "match": ["address"], "within_ms": 300, "retries": 50}},
            "ready": {"frame": "03", "on": "ack:hello", "data": {"tag": "AAAA"}},
            "report": {"frame": "03", "on": "after:01", "data": {"tag": "BBBB"}},
        },
        "01": {"data": {"level": 513}}, "02": {"timeout": true}, "03": {}, "05": {},
    })
}

/// What a centre sees of one FSU.
trait Centre {
    fn send(&mut self, inner: &[u8]);
    fn receive(&mut self) -> Vec<u8>;
}

struct Udp(crate::harness::Udp);
struct Datagram(crate::harness::Udp);
struct Tcp(crate::harness::Tcp);

impl Centre for Udp {
    fn send(&mut self, inner: &[u8]) {
        self.0.send(&request(ID, METER, inner));
    }

    fn receive(&mut self) -> Vec<u8> {
        let datagram = self.0.receive();
        let inner = through(&datagram);
        assert_eq!(datagram, reply(ID, METER, &inner));
        inner
    }
}

impl Centre for Datagram {
    fn send(&mut self, inner: &[u8]) {
        self.0.send(inner);
    }

    fn receive(&mut self) -> Vec<u8> {
        self.0.receive()
    }
}

impl Centre for Tcp {
    fn send(&mut self, inner: &[u8]) {
        self.0.send(inner);
    }

    fn receive(&mut self) -> Vec<u8> {
        // Start, address, command, size; data, sum, end.
        let mut frame = self.0.next(4);
        frame.extend(self.0.next(usize::from(frame[3]) + 2));
        frame
    }
}

/// The next frame that is not hello once more.
fn next(centre: &mut impl Centre, hello: &[u8]) -> Vec<u8> {
    loop {
        let frame = centre.receive();
        if frame != hello {
            return frame;
        }
    }
}

fn talk(transport: &str, driver: &[&str], centre: impl Fn(&Run) -> Box<dyn Centre>, asks_first: bool) {
    let tree = Tree::new(&[fsu("site", ID, transport, &json!({}))], &json!({}));
    tree.write("meter/rules/default.json", &rules().to_string());
    let (ledger, stats) = (tree.path("messages.jsonl"), tree.path("logs/devices"));
    let args = [driver, &["--message-ledger", ledger.to_str().expect("a plain path")]].concat();
    let run = Run::start(&tree, &args);
    let mut centre = Boxed(centre(&run));
    let hello = meter(9, 5, &[0, 0, 0, 1]);
    let report = meter(0, 3, &[0xBB, 0xBB]);
    let asked = meter(1, 1, &[0, 7]);
    let answered = meter(1, 1, &[0, 7, 2, 1]);
    if asks_first {
        // Over datagrams a centre is one that has asked.
        centre.send(&asked);
        let mut frames: Vec<_> = (0..3).map(|_| centre.receive()).collect();
        frames.sort();
        let mut expected = vec![hello.clone(), report.clone(), answered.clone()];
        expected.sort();
        assert_eq!(frames, expected, "{transport}");
    } else {
        assert_eq!(centre.receive(), hello, "{transport}");
    }
    // Not acknowledged: the same again.
    assert_eq!(centre.receive(), hello);
    // Another address is no acknowledgement of it.
    centre.send(&meter(8, 4, &[]));
    assert_eq!(centre.receive(), hello);
    centre.send(&meter(9, 4, &[]));
    assert_eq!(next(&mut centre, &hello), meter(0, 3, &[0xAA, 0xAA]));
    centre.send(&asked);
    let mut both = [next(&mut centre, &hello), next(&mut centre, &hello)];
    both.sort();
    let mut expected = [answered, report];
    expected.sort();
    assert_eq!(both, expected, "{transport}");
    let ended = run.stop();
    let reports = if asks_first { 2 } else { 1 };
    let counts = |pointers: &[&str]| pointers.iter().map(|pointer| ended.count(pointer)).collect::<Vec<_>>();
    let totals = [
        "answered",
        "acknowledgements",
        "acknowledgements_unexpected",
        "messages_acknowledged",
        "messages_given_up",
        "messages_sent",
    ];
    assert_eq!(
        counts(&totals.map(|name| format!("/totals/{name}")).each_ref().map(String::as_str)),
        [reports, 1, 1, 1, 0, 2 + reports],
        "{transport} {driver:?}"
    );
    assert!(ended.count("/totals/messages_retried") >= 2);
    // The accounts are in the order of the file.
    let of = |number: u64, name: &str| ended.count(&format!("/messages/{number}/{name}"));
    assert_eq!(
        [of(0, "sent"), of(0, "acknowledged"), of(0, "acknowledged_us/count"), of(1, "sent"), of(2, "sent")],
        [1, 1, 1, 1, reports]
    );
    check_ledger(&std::fs::read_to_string(ledger).expect("a ledger"), reports as usize);
    let log = std::fs::read_dir(stats).expect("device logs").next().expect("one").expect("an entry").path();
    let log = std::fs::read_to_string(log).expect("UTF-8");
    assert!(
        log.contains("] [SEND] fsu[site:3230323530313235] 主动上报SC数据 ") && log.contains("  消息: hello\n"),
        "{log}"
    );
    assert!(
        log.contains("acknowledgement (确认了等待中的消息)") && log.contains("acknowledgement (没有等待它的消息)"),
        "{log}"
    );
}

struct Boxed(Box<dyn Centre>);

impl Centre for Boxed {
    fn send(&mut self, inner: &[u8]) {
        self.0.send(inner);
    }

    fn receive(&mut self) -> Vec<u8> {
        self.0.receive()
    }
}

/// A line for each thing that has become of a message; all of one message have its key.
fn check_ledger(text: &str, reports: usize) {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |name: &str| lines.iter().filter(|line| line["message"] == name).collect::<Vec<_>>();
    let events = |name: &str| of(name).iter().map(|line| line["event"].as_str().expect("a word")).collect::<Vec<_>>();
    let hello = events("hello");
    assert_eq!((hello[0], hello[1], hello[hello.len() - 1]), ("sent", "retried", "acknowledged"), "{text}");
    assert_eq!((events("ready"), events("report")), (vec!["sent"], vec!["sent"; reports]), "{text}");
    assert!(
        of("hello")
            .iter()
            .all(|line| line["key"] == of("hello")[0]["key"] && line["number"] == 1 && line["fsu"] == "site")
    );
    assert!(of("hello")[hello.len() - 1]["after_ms"].as_f64().expect("a time") >= 300.0);
}

#[test]
fn over_the_b_interface() {
    for driver in DRIVERS {
        talk("udp", driver, |run| Box::new(Udp(run.udp("site"))), true);
    }
}

#[test]
fn over_bare_datagrams() {
    for driver in DRIVERS {
        talk("datagram", driver, |run| Box::new(Datagram(run.udp("site"))), true);
    }
}

#[test]
fn over_an_accepted_connection() {
    for driver in DRIVERS {
        talk("tcp", driver, |run| Box::new(Tcp(run.tcp("site"))), false);
    }
}

/// A device that dials out: its hello is not acknowledged, so it hangs up and dials again, until the centre is willing.
#[test]
fn over_a_dialled_connection_that_it_ends_itself() {
    for driver in DRIVERS {
        let (listener, to) = crate::dial::centre();
        let connect = json!({"to": to.to_string(), "reconnect_ms": [1, 20]});
        let tree = Tree::new(&[crate::dial::dialling("site", &connect, &json!({}))], &json!({}));
        let hello = json!({"frame": "05", "on": "connect", "data": {"tag": "00000007"}, "enters": "in",
            "ack": {"frame": "04", "within_ms": 100, "else": "reconnect"}});
        let beat = json!({"frame": "03", "every_ms": 50, "while": "in"});
        let mut rules = rules();
        rules["messages"] = json!({"hello": hello, "beat": beat});
        tree.write("meter/rules/default.json", &rules.to_string());
        let run = Run::start(&tree, driver);
        let hello = meter(0, 5, &[0, 0, 0, 7]);
        let next = || Tcp(crate::harness::Tcp(crate::dial::accept(&listener).0));
        for _ in 0..2 {
            let mut centre = next();
            assert_eq!(centre.receive(), hello);
            centre.0.expect_end();
        }
        let mut centre = next();
        assert_eq!(centre.receive(), hello);
        centre.send(&meter(0, 4, &[]));
        let beat = meter(0, 3, &[0, 0]);
        assert_eq!((centre.receive(), centre.receive()), (beat.clone(), beat));
        drop(centre);
        // In no state any more: the next connection begins with a hello.
        assert_eq!(next().receive(), hello);
        let ended = run.stop();
        assert_eq!([ended.count("/messages/0/acknowledged"), ended.count("/messages/0/retried")], [1, 0]);
        assert!(ended.count("/messages/0/given_up") >= 2 && ended.count("/messages/1/sent") >= 2, "{driver:?}");
    }
}

/// Over datagrams, `connect` names a centre that has not asked.
#[test]
fn datagrams_go_to_the_centre_of_connect() {
    for (transport, driver) in
        ["udp", "datagram"].into_iter().flat_map(|transport| DRIVERS.map(|driver| (transport, driver)))
    {
        let centre = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        centre.set_read_timeout(Some(crate::harness::PATIENCE)).expect("set");
        let connect = json!({"to": centre.local_addr().expect("bound").to_string()});
        let tree =
            Tree::new(&[crate::dial::dialling("site", &connect, &json!({"protocol_type": transport}))], &json!({}));
        tree.write("meter/rules/default.json", &rules().to_string());
        let run = Run::start(&tree, driver);
        let mut bytes = [0; 200];
        let (size, from) = centre.recv_from(&mut bytes).expect("a hello");
        let hello = meter(9, 5, &[0, 0, 0, 1]);
        let ack = meter(9, 4, &[]);
        if transport == "udp" {
            assert_eq!(bytes[..size], reply(ID, METER, &hello));
            centre.send_to(&request(ID, METER, &ack), from).expect("sent");
        } else {
            assert_eq!(bytes[..size], hello);
            centre.send_to(&ack, from).expect("sent");
        }
        let (size, _) = centre.recv_from(&mut bytes).expect("it is ready");
        let ready = meter(0, 3, &[0xAA, 0xAA]);
        assert!(bytes[..size].ends_with(&ready) || transport == "udp", "{:?}", &bytes[..size]);
        let ended = run.stop();
        // The centre was known before it was heard: there is one hello.
        assert_eq!([ended.count("/messages/0/sent"), ended.count("/messages/0/acknowledged")], [1, 1], "{transport}");
    }
}

/// An outage: the device says nothing, what waited is given up, and it begins again when its power is back.
#[test]
fn after_an_outage_devices_begin_again() {
    std::thread::scope(|scope| {
        for (transport, driver) in ["datagram", "tcp"].into_iter().flat_map(|name| DRIVERS.map(|driver| (name, driver)))
        {
            scope.spawn(move || outage(transport, driver));
        }
    });
}

fn outage(transport: &str, driver: &[&str]) {
    let (listener, tcp) = crate::dial::centre();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    udp.set_read_timeout(Some(crate::harness::PATIENCE)).expect("set");
    let to = if transport == "tcp" { tcp } else { udp.local_addr().expect("bound") };
    let mut connect = json!({"to": to.to_string()});
    if transport == "tcp" {
        connect["reconnect_ms"] = json!([1, 20]);
    }
    let fsu = crate::dial::dialling("site", &connect, &json!({"protocol_type": transport}));
    let tree = Tree::new(&[fsu], &json!({"faults_at": [{"from_s": 4, "to_s": 4.5, "offline": true}]}));
    let mut rules = rules();
    rules["messages"] = json!({
            "boot": {"frame": "05", "on": "start", "data": {"tag": "000000B0"}},
            "hello": {"frame": "05", "on": "connect", "data": {"tag": "000000C0"}, "enters": "up", "ack": {"frame": "04", "within_ms": 60000}},
            "tick": {"frame": "03", "every_ms": 200, "while": "up"}});
    tree.write("meter/rules/default.json", &rules.to_string());
    let run = Run::start(&tree, driver);
    let (boot, hello) = (meter(0, 5, &[0, 0, 0, 0xB0]), meter(0, 5, &[0, 0, 0, 0xC0]));
    // Open until the end: a connection that is closed is dialled again.
    let mut open = Vec::new();
    if transport == "tcp" {
        for _ in 0..2 {
            let mut centre = Tcp(crate::harness::Tcp(crate::dial::accept(&listener).0));
            // After the outage it is started, then connected: what its start says has nobody to go to yet.
            assert_eq!(centre.receive(), hello);
            open.push(centre);
        }
    } else {
        let mut bytes = [0; 100];
        let mut next = || {
            let (size, from) = udp.recv_from(&mut bytes).expect("a message");
            (bytes[..size].to_vec(), from)
        };
        assert_eq!((next().0, next().0), (boot.clone(), hello.clone()));
        assert_eq!((next().0, next().0), (boot, hello));
    }
    let ended = run.stop();
    let of = |name: &str| ended.count(&format!("/messages/1/{name}"));
    assert_eq!(
        [of("sent"), of("given_up"), of("pending"), ended.count("/messages/2/sent")],
        [2, 1, 1, 0],
        "{transport} {driver:?}"
    );
}

/// A reload is no start, and no new centre unless `connect` names another one.
#[test]
fn a_reload_says_nothing_again() {
    for driver in DRIVERS {
        let [here, there] = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let entry = |centre: &std::net::UdpSocket| {
            centre.set_read_timeout(Some(crate::harness::PATIENCE)).expect("set");
            let connect = json!({"to": centre.local_addr().expect("bound").to_string()});
            [crate::dial::dialling("site", &connect, &json!({"protocol_type": "datagram"}))]
        };
        let tree = Tree::new(&entry(&here), &json!({}));
        let mut rules = rules();
        rules["messages"] = json!({
            "boot": {"frame": "05", "on": "start", "data": {"tag": "000000B0"}},
            "hello": {"frame": "05", "on": "connect", "data": {"tag": "000000C0"}}});
        tree.write("meter/rules/default.json", &rules.to_string());
        let mut run = Run::start(&tree, driver);
        let next = |centre: &std::net::UdpSocket| {
            let mut bytes = [0; 100];
            let (size, _) = centre.recv_from(&mut bytes).expect("a message");
            bytes[..size].to_vec()
        };
        let (boot, hello) = (meter(0, 5, &[0, 0, 0, 0xB0]), meter(0, 5, &[0, 0, 0, 0xC0]));
        assert_eq!((next(&here), next(&here)), (boot, hello.clone()), "{driver:?}");
        run.reload();
        tree.set_fsus(&entry(&there), &json!({}));
        run.reload();
        assert_eq!(next(&there), hello, "{driver:?}");
        let ended = run.stop();
        assert_eq!([ended.count("/messages/0/sent"), ended.count("/messages/1/sent")], [1, 2], "{driver:?}");
    }
}
