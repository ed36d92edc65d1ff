//! Requests as bytes.

use crate::harness::{PATIENCE, Run, Tree, fsu};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    /// Lines of the head after the first, in lower case up to the colon.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// Reads an answer that ends with the connection.
pub(crate) fn answer(stream: &mut TcpStream) -> Got {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    parsed(&bytes)
}

pub(crate) fn parsed(bytes: &[u8]) -> Got {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { unchunked(body) } else { body.to_owned() };
    Got { status, headers, body }
}

fn unchunked(mut rest: &str) -> String {
    let mut out = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = after.get(..size) else { break };
        out.push_str(chunk);
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    out
}

/// Sends these bytes and reads the answer.
pub(crate) fn raw(to: SocketAddr, bytes: &[u8]) -> Got {
    let mut stream = connect(to);
    // A server that refuses what it has read may close before the rest is written.
    let _ = stream.write_all(bytes);
    answer(&mut stream)
}

/// A request with these lines more in its head.
pub(crate) fn request(to: SocketAddr, line: &str, head: &[&str], body: &str) -> Got {
    let more: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    raw(to, format!("{line} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{length}{more}\r\n{body}").as_bytes())
}

pub(crate) fn get(to: SocketAddr, path: &str) -> Got {
    request(to, &format!("GET {path}"), &[], "")
}

/// A tree with one FSU.
pub(crate) fn tree() -> Tree {
    Tree::new(&[fsu("site", "31", "udp", &json!({}))], &json!({}))
}

/// Where the control server of a run listens.
pub(crate) fn control(run: &Run) -> SocketAddr {
    let line = run.said.iter().find_map(|line| line.strip_prefix("control: http://")?.strip_suffix('/'));
    line.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no control server: {:?}", run.said))
}
