//! Connections begin, are refused, or are cut off by an outage.

use super::conn::Conn;
use super::end::{By, Lost};
use super::tls;
use crate::shard::clock::Clock;
use crate::shard::effort::CONN_EFFORT;
use crate::shard::io::{ConnId, Io};
use crate::shard::look::Unread;
use crate::shard::notes::Input;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::{ACCEPT_RETRY_MS, Serve};
use crate::shard::tide::Move;
use crate::shard::timers::later::Timer;
use crate::shard::timers::pending::Dest;
use fsu_core::admit::{Unheard, admit};
use fsu_core::sink::Cut;
use fsu_plan::memory;
use fsu_plan::model::fault::{FaultKind, Place, Struck};
use fsu_plan::wire::reason::Reason;

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// A connection was accepted on an FSU's socket. `None`: one too many, to be closed. Once the driver has it, it calls
    /// [`Serve::on_up`].
    pub fn on_accept(&mut self, socket: u32, peer: std::net::SocketAddr, now: Clock) -> Option<ConnId> {
        let fsu = &self.fleet.fsus[self.slots.get(socket as usize)?.fsu as usize];
        let heard = admit(fsu, peer, self.since_start_ms(now), |_| None);
        if heard == Err(Unheard::Offline) {
            return self.accept_to_refuse(socket, peer, now);
        }
        let has_room = self.has_room_for_a_connection();
        let slot = self.slots.get_mut(socket as usize)?;
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let of_peer = self.peers.get(&(socket, peer.ip())).copied().unwrap_or(0);
        let refused = if let Err(Unheard::Refused(reason)) = heard {
            Some(reason)
        } else if slot.connections() >= fsu.limits.connections_max {
            Some(Reason::ConnectionLimit)
        } else if of_peer >= fsu.limits.connections_per_peer_max {
            Some(Reason::PeerConnectionLimit)
        } else {
            (!has_room).then_some(Reason::NoMemory)
        };
        let tls = if refused.is_none() { tls::accepted(fsu) } else { Ok(None) };
        if let Some(reason) = refused.or(tls.as_ref().err().copied()) {
            slot.state.counters.drop(reason);
            self.notes.note(reason, now.mono_ms, &Input { fsu: &fsu.name, peer, bytes: &[] });
            return None;
        }
        self.effort.add(CONN_EFFORT);
        self.peers.insert((socket, peer.ip()), of_peer + 1);
        slot.connect();
        slot.state.counters.connections += 1;
        self.later.now_ms = now.mono_ms;
        if self.tide.tells(Move::Connected, now.mono_ms, &mut self.later) {
            log::info!("{}: centre {peer} connected", fsu.name);
        }
        // Its first bytes may be as old as the connection.
        let unread = Unread::since(now.mono_of(now.arrived_ns), now.mono_ns);
        let tls = tls.unwrap_or_default();
        let id = self.conns.add(Conn { unread, is_of_peer: true, tls, ..Conn::new(socket, peer, now.mono_ms) });
        self.arm(id);
        Some(id)
    }

    fn has_room_for_a_connection(&mut self) -> bool {
        let peers = &mut self.peers;
        (!memory::is_low() || self.conns.has_free())
            && self.conns.has_room()
            && self.later.wheel.has_room(1)
            && memory::fallible(|| peers.try_reserve(1)).is_ok()
    }

    /// No memory is left for what a connection holds: it is closed if it holds anything.
    #[cold]
    pub(super) fn let_go(&mut self, id: ConnId, io: &mut impl Io) {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.owed() > 0 || !conn.partial.is_empty()) else { return };
        let (socket, peer, is_owed) = (conn.socket, conn.peer, conn.owed() > 0);
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        if !is_owed {
            // What is owed is counted with its end.
            slot.state.counters.drop(Reason::NoMemory);
        }
        let name = &self.fleet.fsus[slot.fsu as usize].name;
        self.notes.note(Reason::NoMemory, self.later.now_ms, &Input { fsu: name, peer, bytes: &[] });
        self.shut(id, Reason::NoMemory, By::Reason(Reason::NoMemory), io);
    }

    /// In an outage: a connection that is reset as soon as the driver has it.
    #[cold]
    fn accept_to_refuse(&mut self, socket: u32, peer: std::net::SocketAddr, now: Clock) -> Option<ConnId> {
        let slot = self.slots.get_mut(socket as usize)?;
        Unheard::Offline.count(&mut slot.state.counters);
        self.tap.fault(slot.fsu, now.unix_ms, FaultKind::Offline, Place::apart(Struck::Connection));
        let id = self.conns.add(Conn {
            muted: Some(FaultKind::Offline),
            is_told: false,
            ..Conn::new(socket, peer, now.mono_ms)
        });
        let conn = self.conns.get_mut(id)?;
        self.later.owed(&mut conn.delayed, Dest::Cut(id, Cut::Reset), now.mono_ns, &[]);
        slot.connect();
        Some(id)
    }

    /// An outage begins, or ends: the connections of FSUs that are silent now are reset, some at a time.
    pub(crate) fn on_outage(&mut self, now: Clock, io: &mut impl Io) {
        self.on_talkers_outage(now, io);
        for index in 0..self.conns.places() {
            if self.effort.is_over() {
                self.later.at(now.mono_ms, Timer::Outage);
                return;
            }
            let Some(id) = self.conns.at(index) else { continue };
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let socket = conn.socket;
            if self.is_offline(socket, now) {
                self.cut_off(id, io);
            }
        }
        self.dial_after_outage(now);
    }

    /// Resets a connection of an FSU that is silent.
    #[cold]
    pub(super) fn cut_off(&mut self, id: ConnId, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let socket = conn.socket;
        // If it was accepted during the outage, that was recorded then.
        if conn.muted.replace(FaultKind::Offline) != Some(FaultKind::Offline) {
            self.fault(socket, FaultKind::Offline, Struck::Connection, io);
        }
        self.lose(id, Lost::Fault(FaultKind::Offline), By::Fault(FaultKind::Offline), io);
    }

    /// Accepting failed because a resource is used up that may be free again: it pauses for a moment.
    pub fn on_accept_failed(&mut self, socket: u32, errno: i32, now: Clock, io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.drop(Reason::AcceptFailed);
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        self.notes.note(
            Reason::AcceptFailed,
            now.mono_ms,
            &Input { fsu: &fsu.name, peer: format_args!("error {errno}"), bytes: &[] },
        );
        io.set_accepting(socket, false);
        self.later.at(now.mono_ms + ACCEPT_RETRY_MS, Timer::Accept(socket));
    }
}
