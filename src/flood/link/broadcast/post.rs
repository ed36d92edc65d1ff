//! A socket, and the datagrams that wait to leave by it.

use fsu_net::outbox::{Outbox, To};
use fsu_net::sender::{Departing, UdpSender};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// One socket.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) socket: UdpSocket,
    outbox: Outbox<To>,
    /// How many of those in it have left.
    sent: usize,
    /// A host told something of a datagram that left.
    pub(super) is_refused: bool,
}

impl Post {
    /// Nothing waits.
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket, outbox: Outbox::default(), sent: 0, is_refused: false }
    }

    /// One datagram more; false: there is no room for it.
    pub(super) fn push(&mut self, peer: SocketAddr, bytes: &[u8]) -> bool {
        self.outbox.push(To(peer), bytes)
    }

    /// It is time to flush.
    pub(super) fn is_filling(&self) -> bool {
        self.outbox.is_filling()
    }

    /// The socket takes no more now.
    pub(super) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends what waits, as far as the socket takes it; how many datagrams the system refused.
    pub(super) fn flush(&mut self, sender: &mut UdpSender) -> u64 {
        let mut refused = 0;
        while self.sent < self.outbox.len() {
            let departing = Departing { outbox: &self.outbox, range: self.sent..self.outbox.len(), six: false };
            match sender.send(self.socket.as_fd(), &departing) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return refused,
                // The second: what an earlier datagram met; this one has not left yet.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused) => {
                    self.is_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                }
                Err(_) => {
                    // That of the first one.
                    self.sent += 1;
                    refused += 1;
                }
            }
        }
        self.outbox.clear();
        self.sent = 0;
        refused
    }
}
