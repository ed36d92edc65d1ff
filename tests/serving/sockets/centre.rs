//! Centres: sockets of their own, and what is owed to them.

use super::model::{Line, Model, Reply};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Long enough for any machine; nothing waits for its end when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// One that sends datagrams.
pub struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
    pub expected: Vec<Reply>,
}

impl Datagrams {
    pub fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, to, expected: vec![] }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.to).unwrap();
    }

    /// All that is owed comes; in its order where nothing is delayed.
    pub fn receive(&mut self, model: &Model<'_>) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut owed = std::mem::take(&mut self.expected);
        while !owed.is_empty() {
            let (len, from) = match self.socket.recv_from(&mut buffer) {
                // A fuzzer has a timer.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                came => came.expect("a reply that is owed"),
            };
            assert_eq!(from, self.to, "who answers");
            let at = if model.run.skip_delay { 0 } else { model.find(&owed, &buffer[..len]) };
            model.assert_same(&owed.remove(at), &buffer[..len]);
        }
    }

    /// The shard has ended: what is here now is too much.
    pub fn expect_no_more(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let more = self.socket.recv_from(&mut [0; 16]);
        assert!(more.is_err(), "a reply that nobody asked for");
    }
}

/// One with a connection.
pub struct Stream {
    socket: TcpStream,
    pub line: Line,
    pub expected: Vec<Reply>,
}

impl Stream {
    pub fn connect(to: SocketAddr) -> Self {
        let socket = TcpStream::connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, line: Line::default(), expected: vec![] }
    }

    /// A connection that the FSU has ended by a fault takes nothing more.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// All that is owed comes.
    pub fn read(&mut self, model: &Model<'_>) {
        for reply in std::mem::take(&mut self.expected) {
            let mut bytes = vec![0; reply.len()];
            self.socket.read_exact(&mut bytes).expect("a reply that is owed");
            model.assert_same(&reply, &bytes);
        }
    }

    /// Says that no more comes; all that is owed comes, and the end.
    pub fn finish(mut self, model: &Model<'_>, exact: bool) {
        let _ = self.socket.shutdown(Shutdown::Write);
        if exact {
            self.read(model);
            let mut rest = vec![];
            self.socket.read_to_end(&mut rest).expect("the end of the connection");
            assert!(rest.is_empty(), "more than is owed: {}", hex::encode(&rest));
        }
    }

    /// Ends the connection without more ado: what is on its way is lost.
    pub fn reset(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
