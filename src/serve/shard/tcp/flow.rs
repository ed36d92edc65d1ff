//! Whether a connection is read from, and its deadlines.

use super::conn::{NEVER_MS, Way};
use super::dial;
use super::end::By;
use super::tls::TLS_HANDSHAKE_MS;
use crate::shard::clock::Clock;
use crate::shard::io::{ConnId, Io};
use crate::shard::look::Unread;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use crate::shard::timers::later::Timer;
use crate::shard::timers::wheel::Key;
use fsu_core::state::progress::Patience;
use fsu_plan::wire::reason::Reason;

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// If too much is owed to a peer, nothing is read from its connection until half of that is sent.
    pub(crate) fn hold(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(slot) = self.slots.get(conn.socket as usize) else { return };
        conn.stalled |= conn.owed() > self.fleet.fsus[slot.fsu as usize].limits.write_buffer_bytes_max;
    }

    /// The connection has used up its allowance: nothing is read from it until [`Serve::go_on`].
    pub(super) fn rest(&mut self, id: ConnId, now: Clock) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stalled = true;
            conn.rested_ns = now.mono_of(now.arrived_ns);
            self.resting.push(id);
        }
    }

    /// Continues an interrupted connection. If too much is owed to its peer by now, it continues when that is sent.
    pub(crate) fn go_on(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        self.later.now_ms = now.mono_ms;
        self.resume(id, now.mono_ns, now, io);
        self.settle(id, io);
    }

    /// Some has left, or may have since `since_ns`, on the monotonic clock: goes on with what was read before, if that was enough. Time for
    /// which requests were held back is not lateness, but that of a rest is.
    pub(crate) fn resume(&mut self, id: ConnId, since_ns: u64, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.stalled) else { return };
        let socket = conn.socket;
        let Some(slot) = self.slots.get(socket as usize) else { return };
        let limit = self.fleet.fsus[slot.fsu as usize].limits.write_buffer_bytes_max;
        if conn.owed() > limit / 2 || self.drain_end_ms.is_some() {
            return;
        }
        conn.stalled = false;
        conn.partial_since_ms = now.mono_ms;
        let rested_ns = std::mem::replace(&mut conn.rested_ns, u64::MAX);
        if rested_ns == u64::MAX {
            conn.unread = Unread::since(since_ns, now.mono_ns);
        } else {
            conn.unread.watch(now.mono_ns);
        }
        let now = now.with_arrival(since_ns.min(rested_ns));
        if !conn.partial.is_empty() {
            self.on_plain(id, &[], now, io);
        }
        if self.conns.get_mut(id).is_some_and(|conn| conn.eof && !conn.stalled) {
            self.decide(id, Patience::End, now, io);
            self.after_heard(socket, now, io);
        }
    }

    /// After anything happened to a connection: closes it if it is finished, else sets its timer and interest.
    pub(crate) fn settle(&mut self, id: ConnId, io: &mut impl Io) {
        if let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.half_closing && conn.unsent.is_empty())
            && conn.may_end(id, io)
        {
            conn.half_closing = false;
            io.shut_write(id);
        }
        match self.conns.get_mut(id) {
            Some(conn) if conn.is_finished() => self.shut(id, Reason::PeerGone, By::Centre, io),
            Some(_) => {
                self.arm(id);
                self.update_interest(id, io);
            }
            None => {}
        }
    }

    /// Sets the timer: the wheel fires at the connection's earliest deadline, or before.
    pub(super) fn arm(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(slot) = self.slots.get(conn.socket as usize) else { return };
        let deadline_ms = conn.deadline_ms(&self.fleet.fsus[slot.fsu as usize].limits);
        if deadline_ms < conn.timer.1 {
            self.later.wheel.cancel(conn.timer.0);
            conn.timer = (self.later.at(deadline_ms, Timer::Conn(id.index)), deadline_ms);
        }
    }

    /// A deadline of a connection may have passed.
    pub(crate) fn on_conn_due(&mut self, index: u32, now: Clock, io: &mut impl Io) {
        let Some(id) = self.conns.at(index) else { return };
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.timer = (Key::NONE, NEVER_MS);
        if conn.way == Way::Dialling {
            return if dial::deadline_ms(conn) <= now.mono_ms { self.on_dial_timed_out(id, io) } else { self.arm(id) };
        }
        if conn.is_shaking_hands() {
            return if conn.active_ms.saturating_add(TLS_HANDSHAKE_MS) <= now.mono_ms {
                self.on_tls_late(id, io);
            } else {
                self.arm(id);
            };
        }
        let (doubtful, socket) = (conn.doubtful, conn.socket);
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let ended = if conn.write_deadline_ms(&fsu.limits) <= now.mono_ms {
            Some(Reason::WriteDeadline)
        } else if conn.idle_deadline_ms(&fsu.limits) <= now.mono_ms {
            Some(Reason::IdleTimeout)
        } else {
            None
        };
        if let Some(reason) = ended {
            slot.state.counters.drop(reason);
            self.shut(id, Reason::PeerGone, By::Reason(reason), io);
            return;
        }
        let deadline_ms = conn.frame_deadline_ms(&fsu.limits);
        if deadline_ms <= now.mono_ms && self.drain_end_ms.is_none() {
            // Until then it waited on purpose.
            let now = now.with_arrival(deadline_ms.saturating_mul(1_000_000));
            if doubtful {
                self.decide(id, Patience::Decide, now, io);
            } else {
                self.skip_start(id, now, io);
            }
            self.settle(id, io);
            return self.after_heard(socket, now, io);
        }
        self.settle(id, io);
    }
}
