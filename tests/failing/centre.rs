//! A centre that asks every FSU of the tree, and believes nothing: a reply is that of a request it has sent, once, byte for byte.

use crate::harness::{PATIENCE, Tree, fsu};
use crate::program::Program;
use crate::wire::{heartbeat, meter, reply, request};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const ID: &str = "20250125";
const BEATS_ID: &str = "4";

/// A reply over UDP that has not come after this time may be one that a failed call has cost: another request is sent.
const AGAIN: Duration = Duration::from_millis(100);

/// One FSU of each transport, one with heartbeats, and one with a fault that does not change what it says; `more`: one beside them.
pub(crate) fn tree(more: bool) -> Tree {
    let tree = Tree::new(&[], &json!({}));
    set_fsus(&tree, more);
    tree
}

/// The same with or without one more FSU, for a reload.
pub(crate) fn set_fsus(tree: &Tree, more: bool) {
    let beats = json!({"heartbeat_enable": true, "heartbeat_interval": 0.05});
    let mut fsus = vec![
        fsu("udp", ID, "udp", &json!({"faults": {"extra_delay_ms": {"p": 1.0, "ms": 1}}})),
        fsu("tcp", "2", "tcp", &json!({})),
        fsu("broadcast", "3", "broadcast", &json!({})),
        fsu("beats", BEATS_ID, "udp", &beats),
    ];
    if more {
        fsus.push(fsu("more", "5", "udp", &json!({})));
        fsus.push(fsu("more-tcp", "6", "tcp", &json!({})));
    }
    tree.set_fsus(&fsus, &json!({}));
}

fn asked(tag: u16) -> Vec<u8> {
    meter(1, 1, &tag.to_be_bytes())
}

fn answer(tag: u16) -> Vec<u8> {
    let [high, low] = tag.to_be_bytes();
    meter(1, 1, &[high, low, 2, 1])
}

/// A socket that asks one FSU over datagrams.
struct Datagrams {
    socket: UdpSocket,
    /// Its id and P_subDevType of the frames around; none over BroadCast.
    id: Option<&'static str>,
    /// Asked and not answered yet.
    open: BTreeSet<u16>,
}

impl Datagrams {
    fn new(address: SocketAddr, id: Option<&'static str>) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.connect(address).expect("a local address");
        socket.set_read_timeout(Some(AGAIN)).expect("not zero");
        Self { socket, id, open: BTreeSet::new() }
    }

    fn send(&mut self, tag: u16) {
        let bytes = self.id.map_or_else(|| asked(tag), |id| request(id, [1, 1], &asked(tag)));
        self.open.insert(tag);
        // Nobody may listen there any more.
        let _ = self.socket.send(&bytes);
    }

    /// What the next datagram answers; `None`: nothing came.
    fn receive(&mut self) -> Result<Option<u16>, String> {
        let mut buffer = [0; 2_048];
        let Ok(size) = self.socket.recv(&mut buffer) else { return Ok(None) };
        let got = &buffer[..size];
        if self.id == Some(BEATS_ID) && got == heartbeat(BEATS_ID, 1) {
            return Ok(None);
        }
        let expected = |tag: u16| self.id.map_or_else(|| answer(tag), |id| reply(id, [1, 1], &answer(tag)));
        let tag = self.open.iter().copied().find(|&tag| expected(tag) == got);
        let tag = tag.ok_or_else(|| format!("a datagram that answers nothing: {}", hex::encode_upper(got)))?;
        self.open.remove(&tag);
        Ok(Some(tag))
    }
}

/// The centre.
pub(crate) struct Centre {
    datagrams: Vec<Datagrams>,
    stream_to: SocketAddr,
    /// A connection that is kept for as long as it lasts.
    kept: Option<TcpStream>,
    tag: u16,
    /// Replies that it got.
    pub(crate) replies: u64,
}

impl Centre {
    /// It has heard nothing yet.
    pub(crate) fn new(program: &Program) -> Self {
        let ids = [("udp", Some(ID)), ("broadcast", None), ("beats", Some(BEATS_ID))];
        let datagrams = ids.map(|(name, id)| Datagrams::new(program.address(name), id)).into();
        Self { datagrams, stream_to: program.address("tcp"), kept: None, tag: 0, replies: 0 }
    }

    fn next_tag(&mut self) -> u16 {
        self.tag += 1;
        self.tag
    }

    /// Whether its tags are used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.tag > 60_000
    }

    /// Asks everybody until everybody has answered. The error: what is wrong; `Ok(false)`: the program has ended.
    pub(crate) fn round(&mut self, program: &mut Program) -> Result<bool, String> {
        let deadline = Instant::now() + PATIENCE;
        for at in 0..self.datagrams.len() {
            loop {
                let tag = self.next_tag();
                self.datagrams[at].send(tag);
                if self.hear(at, tag)? {
                    break;
                }
                if !program.runs() {
                    return Ok(false);
                }
                if Instant::now() > deadline {
                    return Err(format!("no reply over {}", ["udp", "broadcast", "udp"][at]));
                }
            }
        }
        for keeps in [true, false] {
            while !self.ask_stream(keeps)? {
                // It may be refused for a while.
                std::thread::sleep(Duration::from_millis(5));
                if !program.runs() {
                    return Ok(false);
                }
                if Instant::now() > deadline {
                    return Err("no reply over tcp".to_owned());
                }
            }
        }
        Ok(true)
    }

    /// Whether the reply comes; those to earlier requests before it.
    fn hear(&mut self, at: usize, tag: u16) -> Result<bool, String> {
        let since = Instant::now();
        while since.elapsed() < AGAIN {
            if let Some(answered) = self.datagrams[at].receive()? {
                self.replies += 1;
                if answered == tag {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a connection is answered; it may be refused or closed instead, but never left without both.
    fn ask_stream(&mut self, keeps: bool) -> Result<bool, String> {
        let stream = self.kept.take().filter(|_| keeps).map_or_else(|| TcpStream::connect(self.stream_to), Ok);
        let Ok(mut stream) = stream else { return Ok(false) };
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let tag = self.next_tag();
        let expected = answer(tag);
        let mut got = vec![0; expected.len()];
        if stream.write_all(&asked(tag)).is_err() {
            return Ok(false);
        }
        match stream.read_exact(&mut got) {
            Ok(()) if got == expected => self.replies += 1,
            Ok(()) => return Err(format!("a connection's reply is {}", hex::encode_upper(got))),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("a connection is neither answered nor closed".to_owned());
            }
            Err(_) => return Ok(false),
        }
        if keeps {
            self.kept = Some(stream);
        }
        Ok(true)
    }

    /// Requests this many replies of each kind, delayed by 4 s, from a separate socket. Returns the number of requests sent.
    pub(crate) fn ask_for_late_replies(&self, many: usize) -> usize {
        let mut sent = 0;
        let asks: Vec<_> = self
            .datagrams
            .iter()
            .map(|asked| {
                let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
                socket.connect(asked.socket.peer_addr().expect("connected")).expect("a local address");
                let frame = meter(1, 4, &[]);
                (socket, asked.id.map_or_else(|| frame.clone(), |id| request(id, [1, 1], &frame)))
            })
            .collect();
        for _ in 0..many {
            for (socket, bytes) in &asks {
                sent += usize::from(socket.send(bytes).is_ok());
            }
        }
        sent
    }

    /// What comes when nothing is asked any more; to be called after the end.
    pub(crate) fn hear_the_rest(&mut self) -> Result<(), String> {
        for at in 0..self.datagrams.len() {
            self.datagrams[at].socket.set_nonblocking(true).expect("a socket");
            let mut buffer = [0; 2_048];
            while self.datagrams[at].socket.peek(&mut buffer).is_ok() {
                self.replies += u64::from(self.datagrams[at].receive()?.is_some());
            }
        }
        Ok(())
    }
}
