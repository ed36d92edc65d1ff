//! The protocol stages behind one interface: bytes in, [`Sink`] calls out.

use fsu_core::responder::state::FsuState;
use fsu_core::responder::stream::{self, Step};
use fsu_core::responder::{Heard, Moment, RunContext, Scratch, Sink, b_interface, datagram};
use fsu_plan::model::fleet::{Fsu, Transport};
use std::net::SocketAddr;

/// What a shard serves. The state it works on is the shard's.
pub trait Protocol {
    /// Answers one datagram of `peer`.
    fn on_datagram(
        &self,
        run: &RunContext,
        fsu: &Fsu,
        state: &mut FsuState,
        peer: SocketAddr,
        bytes: &[u8],
        moment: Moment,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Heard;

    /// Answers all whole frames in the bytes of a connection.
    fn on_bytes(
        &self,
        run: &RunContext,
        fsu: &Fsu,
        state: &mut FsuState,
        bytes: &[u8],
        moment: Moment,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Step;

    /// Appends one heartbeat of the FSU, as it goes on the wire.
    fn heartbeat(&self, fsu: &Fsu, out: &mut Vec<u8>);

    /// Bytes of a stream that wait at most.
    fn held_max(&self, fsu: &Fsu) -> usize;
}

/// The real one: an FSU's transport decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Responder;

impl Protocol for Responder {
    #[inline]
    fn on_datagram(
        &self,
        run: &RunContext,
        fsu: &Fsu,
        state: &mut FsuState,
        peer: SocketAddr,
        bytes: &[u8],
        moment: Moment,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Heard {
        match fsu.transport {
            Transport::Udp => b_interface::on_datagram(run, fsu, state, bytes, moment, scratch, sink),
            Transport::Broadcast => datagram::on_datagram_from(run, fsu, state, peer, bytes, moment, scratch, sink),
            Transport::Tcp => Heard::default(),
        }
    }

    #[inline]
    fn on_bytes(
        &self,
        run: &RunContext,
        fsu: &Fsu,
        state: &mut FsuState,
        bytes: &[u8],
        moment: Moment,
        scratch: &mut Scratch,
        sink: &mut impl Sink,
    ) -> Step {
        stream::on_bytes(run, fsu, state, bytes, moment, scratch, sink)
    }

    fn heartbeat(&self, fsu: &Fsu, out: &mut Vec<u8>) {
        b_interface::heartbeat(fsu, out);
    }

    fn held_max(&self, fsu: &Fsu) -> usize {
        stream::held_max(fsu)
    }
}
