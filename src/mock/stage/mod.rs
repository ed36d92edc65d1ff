//! The protocol stages, by transport. All have one shape: bytes in, [`Sink`] calls out.
//!
//! - [`b_interface`]: one datagram of the B interface: outer frames, devices, heartbeats.
//! - [`stream`]: the bytes of a TCP connection: frames, devices.
//! - [`datagram`]: one datagram that is one inner frame.
//! - [`say`]: what a device says unasked.
//! - [`transfer`]: data that follows an answer in separate frames.

pub mod b_interface;
pub mod datagram;
pub mod say;
pub mod stream;
pub mod transfer;

use crate::answer::turn::Turn;
use crate::sink::Sink;
use fsu_plan::model::message::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stream::Step;

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A datagram whose sender does not matter. All of them count as one client.
impl<'a> From<&'a [u8]> for Incoming<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), bytes }
    }
}

/// What a datagram says about its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// At least one frame was valid and for this FSU: the sender is a centre.
    pub valid: bool,
}

/// Answers one datagram by the FSU's transport. An FSU on TCP ignores datagrams.
#[inline]
pub fn on_datagram(turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard {
    match turn.fsu.transport {
        Transport::Udp => b_interface::on_datagram(turn, incoming.bytes, sink),
        Transport::Broadcast | Transport::Datagram => datagram::on_datagram(turn, incoming, sink),
        Transport::Tcp => Heard::default(),
    }
}

/// Answers all whole frames in the bytes of a connection. The caller sets
/// [`Scratch::progress`](crate::answer::turn::Scratch::progress) to the connection's before, and saves it after.
#[inline]
pub fn on_bytes(turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
    stream::on_bytes(turn, bytes, sink)
}

/// Answers one whole request, whatever the transport: a datagram, or the first bytes of a connection.
pub fn on_request(turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) {
    if turn.fsu.transport == Transport::Tcp {
        on_bytes(turn, incoming.bytes, sink);
    } else {
        on_datagram(turn, incoming, sink);
    }
}
