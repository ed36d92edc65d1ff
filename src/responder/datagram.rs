//! One datagram that is one inner frame (spec broadcast.md): no outer frame, no heartbeats.
//!
//! Counting: a datagram is one `received`, and then exactly one of a reply, `silent` or a drop by reason.

#[cfg(test)]
mod tests;

use super::reply::{Verdict, respond};
use super::state::FsuState;
use super::stream::{Fit, fit};
use super::transfer;
use super::{Heard, Moment, Outgoing, RunContext, Scratch, Sink};
use crate::codec::outer::DATAGRAM_BYTES_MAX;
use crate::codec::reason::Reason;
use crate::plan::fleet::Fsu;
use std::net::{Ipv4Addr, SocketAddr};

/// A sender that is not told.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// As [`on_datagram_from`], where who sent it does not matter: all such are one client.
pub fn on_datagram(
    run: &RunContext,
    fsu: &Fsu,
    state: &mut FsuState,
    datagram: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Heard {
    on_datagram_from(run, fsu, state, NOBODY, datagram, moment, scratch, sink)
}

/// Answers a datagram, by the device that it fits best; by the first where it fits none.
pub fn on_datagram_from(
    run: &RunContext,
    fsu: &Fsu,
    state: &mut FsuState,
    peer: SocketAddr,
    datagram: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Heard {
    state.counters.received += 1;
    let device = choose(fsu, datagram, &mut scratch.raw);
    if fsu.devices[device].template.transfer.is_some() {
        let result = transfer::on_frame(run, fsu, device, state, peer, datagram, moment, scratch, sink);
        if let Err(reason) = result {
            sink.note(reason, datagram);
        }
        return Heard { valid: result.is_ok() };
    }
    let dropped = match respond(run, fsu, device, state, datagram, moment, scratch) {
        Verdict::Reply { due_unix_ms } if scratch.wire.len() <= DATAGRAM_BYTES_MAX => {
            sink.send(Outgoing::Reply, due_unix_ms, &scratch.wire);
            None
        }
        Verdict::Reply { .. } => {
            state.counters.drop(Reason::TooLong);
            Some(Reason::TooLong)
        }
        Verdict::Silent => None,
        Verdict::Dropped(reason) => Some(reason),
    };
    if let Some(reason) = dropped {
        sink.note(reason, datagram);
    }
    Heard { valid: dropped.is_none() }
}

/// Of several devices the one that the frame fits best, and among equals the first.
#[inline]
pub(crate) fn choose(fsu: &Fsu, wire: &[u8], raw: &mut Vec<u8>) -> usize {
    let (mut best, mut best_fit) = (0, Fit::Not);
    if fsu.devices.len() > 1 {
        for (number, device) in fsu.devices.iter().enumerate() {
            let fit = fit(device, wire, raw);
            if fit > best_fit {
                (best, best_fit) = (number, fit);
            }
        }
    }
    best
}
