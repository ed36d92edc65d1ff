//! A connection's life, as far as it concerns what an FSU sends by itself: every connection passes here when it is up and when it is
//! gone, whoever opened it.

use super::conn::{Conn, Way};
use super::end::By;
use crate::shard::clock::Clock;
use crate::shard::io::{ConnId, Io};
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use fsu_plan::model::connect::DialFailure;
use fsu_plan::wire::reason::Reason;

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// A connection is up, accepted or dialled, and the driver has it: from now on it can be written to.
    pub fn on_up(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.muted.is_none()) else { return };
        if conn.is_shaking_hands() {
            return;
        }
        let (socket, peer) = (conn.socket, conn.peer);
        self.tell_centre(socket, peer, true);
        self.on_link_up(socket, id, now, io);
    }

    /// A connection that was up is gone, whoever ended it: `id` is of none any more. A dialled one is dialled again.
    pub(super) fn on_down(&mut self, id: ConnId, (conn, by): (&Conn, By), io: &mut impl Io) {
        if conn.way != Way::Dialling && !conn.is_shaking_hands() {
            self.tell_centre(conn.socket, conn.peer, false);
        }
        self.on_link_down(conn.socket, id, io);
        match conn.way {
            Way::Accepted => {}
            Way::Dialled if matches!(by, By::Handshake(_)) => self.dial_failed(conn.socket, DialFailure::Tls, None),
            Way::Dialling => self.dial_later(conn.socket, false),
            // It never was up: an outage or a reload ended it.
            Way::Dialled if conn.is_shaking_hands() => self.dial_later(conn.socket, false),
            Way::Dialled => self.on_dialled_down(conn.socket, by == By::Reconnect),
        }
    }

    /// Ends a connection on purpose, for example because an acknowledgement did not come. One that the FSU dialled is dialled again, after a
    /// wait that grows as after a failed dial; an accepted one is left to the centre.
    pub(crate) fn reconnect(&mut self, id: ConnId, io: &mut impl Io) {
        self.shut(id, Reason::PeerGone, By::Reconnect, io);
    }
}
