//! A socket, and the datagrams that wait to leave by it.

use crate::link::datagram::{Sent, send};
use fsu_net::outbox::{Outbox, To};
use fsu_net::sender::UdpSender;
use std::net::{SocketAddr, UdpSocket};

/// One socket.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) socket: UdpSocket,
    outbox: Outbox<To>,
    /// How many of those in it have left.
    sent: usize,
    /// A host reported an error about a datagram that has left.
    pub(super) is_refused: bool,
}

impl Post {
    /// Nothing waits.
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket, outbox: Outbox::default(), sent: 0, is_refused: false }
    }

    /// Queues a datagram. Returns false if there is no room.
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

    /// Sends what waits, as far as the socket takes it. Returns how many datagrams the system refused.
    pub(super) fn flush(&mut self, sender: &mut UdpSender) -> u64 {
        let mut failed = 0;
        while self.sent < self.outbox.len() {
            match send(sender, &self.socket, &self.outbox, self.sent) {
                Sent::Left(sent) => self.sent += sent,
                Sent::Full => return failed,
                Sent::Again => {}
                Sent::Refused => self.is_refused = true,
                Sent::Failed => {
                    self.sent += 1;
                    failed += 1;
                }
            }
        }
        self.outbox.clear();
        self.sent = 0;
        failed
    }
}
