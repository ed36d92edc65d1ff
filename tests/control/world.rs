//! A fleet with everything that can be steered.

use crate::harness::{Run, Tree, fsu};
use crate::http::{Got, control, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const RULES: &str = r#"{
  "messages": {
    "alarm": {
      "frame": "alarm", "on": "trigger",
      "data": { "imei": "${param(imei)}$", "serial": "${count(serial, 1)}$", "kind": "${arg(kind, 1)}$" },
      "ack": { "frame": "alarm_ack", "match": { "alarm_serial": "serial" }, "within_ms": 3000, "retries": 2,
               "data": { "alarm_serial": "\#{serial}#" } }
    }
  },
  "8200": { "set": { "speed": "${reg(speed, 7)}$" }, "data": { "speed": "${reg(speed, 7)}$" } }
}"#;

/// `site_1`, `site_2` (udp) and `tracker_1`, `tracker_2` (tcp), which have a register `speed` and an area `holding`.
pub(crate) fn tree() -> Tree {
    let tracker = |name: &str, imei: &str| {
        json!({ "fsuname": name, "host": "127.0.0.1", "port": 0, "protocol_type": "tcp", "config_dir": "./tracker",
                "params": { "imei": imei } })
    };
    let udp = |name: &str, id: &str| fsu(name, id, "udp", &json!({}));
    let fsus =
        [udp("site_1", "31"), udp("site_2", "32"), tracker("tracker_1", "86000001"), tracker("tracker_2", "86000002")];
    let tree = Tree::new(&fsus, &json!({}));
    let device = json!({ "vendor": "demo_tracker", "sub_dev_type": "01", "sub_dev_addr": "01",
                         "protocol_template": "./protocol.json", "memory": { "holding": { "bytes": 16 } } });
    tree.write("tracker/fsu_devices.json", &json!({ "device_list": [device] }).to_string());
    tree.write("tracker/protocol.json", include_str!("../../docs/examples/tracker/site/protocol.json"));
    tree.write("tracker/default.json", &RULES.replace("\\#", "#"));
    tree
}

/// The fleet, served, and where its control server is.
pub(crate) fn start(tree: &Tree, more: &[&str]) -> (Run, SocketAddr) {
    let run = Run::start(tree, &[&["--control", "127.0.0.1:0", "--seed", "7"], more].concat());
    let at = control(&run);
    (run, at)
}

/// A call with a JSON body.
pub(crate) fn call(at: SocketAddr, line: &str, body: &Value) -> Got {
    request(at, line, &["Content-Type: application/json"], &body.to_string())
}

/// The answer of a call that has to be good.
pub(crate) fn done(at: SocketAddr, line: &str, body: &Value) -> Value {
    let got = call(at, line, body);
    assert_eq!(got.status, 200, "{line}: {got:?}");
    got.json()
}

/// A frame of the tracker.
pub(crate) fn frame(command: &str, imei: &str, serial: u16, data: &str) -> Vec<u8> {
    let data = hex::decode(data).unwrap();
    let mut out = hex::decode(format!("7E{command}{imei}{serial:04X}{:02X}", data.len())).unwrap();
    out.extend(data);
    let sum = out[1..].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    out.extend([sum, 0x0D]);
    out
}

/// The reply's last data byte of a request for the speed.
pub(crate) fn speed(run: &Run, name: &str, imei: &str) -> u8 {
    let mut stream = crate::harness::tcp(run.address(name));
    stream.write_all(&frame("8200", imei, 1, "")).unwrap();
    read_frame(&mut stream)[10]
}

/// The next frame of a connection.
pub(crate) fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 10];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; usize::from(head[9]) + 2];
    stream.read_exact(&mut rest).unwrap();
    [&head[..], &rest].concat()
}
