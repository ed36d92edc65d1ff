//! The seam between a shard's logic and what moves its bytes: a driver, or a simulation on virtual time.
//!
//! The driver calls `Serve`'s methods (`on_datagram`, `on_accept`, `on_bytes`, ...); what they want done
//! comes back through [`Io`]. Datagrams are queued and their fate reported later ([`Outcome`]),
//! so that a driver may send many with one call. Writes to a stream are answered at once.

use fsu_core::about::About;
use fsu_core::sink::Outgoing;
use fsu_net::local::{Local, Route};
use fsu_net::outbox::Addressed;
use std::net::{IpAddr, SocketAddr};

/// A connection: its place, and how often the place was used before. Never means another connection later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// The place; places are reused.
    pub index: u32,
    /// Which connection at that place; 24 bits.
    pub generation: u32,
}

/// What a driver event refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An FSU's own socket.
    Socket(u32),
    /// A connection.
    Conn(ConnId),
}

/// A datagram that came to an FSU's socket.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who sent it, and to which address of this machine.
    pub route: Route,
    /// The bytes.
    pub bytes: &'a [u8],
    /// When the kernel had it, wall clock in nanoseconds.
    pub arrived_ns: i64,
}

impl<'a> Arrived<'a> {
    /// A datagram from there.
    #[inline]
    pub fn new(from: impl Into<Route>, bytes: &'a [u8], arrived_ns: i64) -> Self {
        Self { route: from.into(), bytes, arrived_ns }
    }
}

/// A datagram to send, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The socket it leaves from: the FSU's number in the shard.
    pub socket: u32,
    /// The receiver.
    pub peer: SocketAddr,
    /// The source address, if the socket is bound to all addresses.
    pub local: Local,
    /// What it is.
    pub what: Outgoing,
    /// How often the kernel had no room for it.
    pub tries: u16,
    /// When it was due, wall clock in nanoseconds.
    pub due_ns: i64,
    /// What is known of it.
    pub about: About,
}

impl Addressed for Datagram {
    #[inline]
    fn socket(&self) -> u32 {
        self.socket
    }

    #[inline]
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    #[inline]
    fn local(&self) -> Local {
        self.local
    }
}

/// What became of a queued datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed to the kernel.
    Sent,
    /// The kernel has no room now.
    Full,
    /// The kernel refused it, with this error number.
    Failed(i32),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// How many bytes were taken; 0: no room now.
    Bytes(usize),
    /// The peer is gone.
    Gone,
    /// Another error of the socket, with its number.
    Failed(i32),
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// What a shard wants done.
pub trait Io {
    /// Queues a datagram; `Serve::on_sent` gets its outcome. False: the queue is full, nothing was taken.
    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool;
    /// Whether a turn of the timing wheel may go on: the queue has room for some more datagrams.
    fn has_room(&self) -> bool;
    /// Writes to a stream.
    fn write(&mut self, conn: ConnId, bytes: &[u8]) -> Written;
    /// Changes which events of a connection are reported.
    fn set_interest(&mut self, conn: ConnId, interest: Interest);
    /// Closes a connection; no more events of it follow.
    fn close(&mut self, conn: ConnId);
    /// Closes a connection with a reset: what the peer has not taken yet is lost; no more events of it follow.
    fn reset(&mut self, conn: ConnId) {
        self.close(conn);
    }
    /// Closes the sending half of a connection.
    fn shut_write(&mut self, _conn: ConnId) {}
    /// Begins to open a connection, from that address if one is given. `Serve::on_dialled` gets its outcome; until then nothing else is
    /// asked of it but to close it.
    ///
    /// # Errors
    /// The error number, where that cannot even begin.
    fn dial(&mut self, _conn: ConnId, _to: SocketAddr, _from: Option<IpAddr>) -> Result<(), i32> {
        Err(libc::EOPNOTSUPP)
    }
    /// Stops or resumes accepting on a socket.
    fn set_accepting(&mut self, socket: u32, on: bool);
    /// Stops receiving on all sockets, and accepting. Connections are stopped one by one.
    fn stop_receiving(&mut self);
    /// A peer asks this socket often, or has gone: a driver may have a way of its own for it.
    fn set_frequent(&mut self, _socket: u32, _peer: SocketAddr, _on: bool) {}
    /// The wall clock this moment, in nanoseconds: when a reply was written.
    fn unix_ns(&mut self) -> i64;
    /// The monotonic clock this moment, in nanoseconds.
    fn mono_ns(&mut self) -> u64;
}
