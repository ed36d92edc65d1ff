//! The door to the conversation, as a seam for tests: bytes in, [`Sink`] calls out.

use fsu_core::answer::turn::Turn;
use fsu_core::sink::Sink;
use fsu_core::stage::stream::Step;
use fsu_core::stage::{self, b_interface, stream};
use fsu_core::stage::{Heard, Incoming};
use fsu_plan::model::fleet::Fsu;

/// What a shard serves. The state it works on is the shard's.
pub trait Protocol {
    /// Answers one datagram.
    fn on_datagram(&self, turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard;

    /// Answers all whole frames in the bytes of a connection.
    fn on_bytes(&self, turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step;

    /// Writes one heartbeat of the FSU, as it goes on the wire, over whatever `out` holds.
    fn heartbeat(&self, fsu: &Fsu, out: &mut Vec<u8>);

    /// Bytes of a stream that wait at most.
    fn held_max(&self, fsu: &Fsu) -> usize;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Responder;

impl Protocol for Responder {
    #[inline]
    fn on_datagram(&self, turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard {
        stage::on_datagram(turn, incoming, sink)
    }

    #[inline]
    fn on_bytes(&self, turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
        stage::on_bytes(turn, bytes, sink)
    }

    fn heartbeat(&self, fsu: &Fsu, out: &mut Vec<u8>) {
        b_interface::heartbeat(fsu, out);
    }

    fn held_max(&self, fsu: &Fsu) -> usize {
        stream::held_max(fsu)
    }
}
