//! Connections that an FSU opens: when it dials, what came of it, when it dials again.

use super::conn::{Conn, Way};
use super::end::By;
use crate::shard::clock::Clock;
use crate::shard::dial::{DIAL_TIMEOUT_MS, DIALS_AT_ONCE_MAX, State};
use crate::shard::effort::CONN_EFFORT;
use crate::shard::io::{ConnId, Io};
use crate::shard::look::Unread;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use crate::shard::serve::Serve;
use crate::shard::tide::Move;
use crate::shard::timers::later::Timer;
use fsu_core::answer::random::Dice;
use fsu_plan::memory;
use fsu_plan::model::connect::DialFailure;
use fsu_plan::wire::reason::Reason;
use rustix::io::Errno;

/// Sets the generators of waits apart from those of messages.
const WAITS: u64 = 0x6469_616C_0000_0000;

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// Every FSU that dials does so as soon as it may; what goes on already does so.
    pub(crate) fn start_dials(&mut self, now_ms: u64) {
        self.tide.pace.set(self.fleet.dials_per_second());
        self.dials.clear_queue();
        for socket in 0..self.slots.places().max(self.dials.places()) {
            let slot = self.slots.get(socket as usize);
            if slot.and_then(|slot| self.fleet.fsus[slot.fsu as usize].dials()).is_none() {
                self.dials.forget(socket);
                continue;
            }
            let due_ms = match self.dials.state(socket) {
                State::Dialling(_) | State::Up(..) => continue,
                State::Waits(due_ms) => due_ms,
                State::Off | State::Queued | State::Held => now_ms,
            };
            self.dials.set(socket, State::Waits(due_ms));
            self.later.at(due_ms, Timer::Dial(socket));
        }
    }

    /// An FSU's dial is due. It waits for its turn.
    pub(crate) fn on_dial_due(&mut self, socket: u32, now: Clock) {
        let State::Waits(due_ms) = self.dials.state(socket) else { return };
        if self.drain_end_ms.is_some() || due_ms > now.mono_ms {
            return;
        }
        if self.is_offline(socket, now) {
            return self.dials.set(socket, State::Held);
        }
        if self.dials.enqueue(socket) {
            // Behind all that are due now.
            self.later.at(now.mono_ms, Timer::Dials);
        }
    }

    /// Those that wait for their turn dial, as many as may.
    pub(crate) fn on_turn_to_dial(&mut self, now: Clock, io: &mut impl Io) {
        self.dials.set_timed(false);
        if self.drain_end_ms.is_some() {
            return self.dials.clear_queue();
        }
        let began_ns = io.mono_ns();
        for _ in 0..DIALS_AT_ONCE_MAX {
            let Some(socket) = self.dials.next_due() else { return };
            if let Err(next_ns) = self.tide.pace.take(now.mono_ns) {
                return self.dial_at(next_ns);
            }
            self.dials.leave_queue();
            if self.is_offline(socket, now) {
                self.dials.set(socket, State::Held);
            } else {
                self.dial(socket, now, io);
            }
        }
        if self.dials.next_due().is_some() {
            let ended_ns = io.mono_ns();
            let took_ns = ended_ns.saturating_sub(began_ns);
            self.dial_at(ended_ns.saturating_add(took_ns.max(1)));
        }
    }

    fn dial_at(&mut self, ns: u64) {
        self.dials.set_timed(true);
        self.later.at_ns(ns, Timer::Dials);
    }

    /// Opens a connection.
    fn dial(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let Some(connect) = self.fleet.fsus[slot.fsu as usize].dials() else { return };
        let (to, from) = (connect.to, self.fleet.source(slot.fsu as usize));
        self.effort.add(CONN_EFFORT);
        self.later.now_ms = now.mono_ms;
        if !self.has_room_to_dial() {
            return self.dial_failed(socket, DialFailure::Other, None);
        }
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.connect();
        let id = self.conns.add(Conn::dialling(socket, to, now.mono_ms));
        self.dials.set(socket, State::Dialling(id));
        match io.dial(id, to, from) {
            Ok(()) => self.arm(id),
            Err(errno) => self.give_up_dial(id, failure(errno), Some(errno), io),
        }
    }

    fn has_room_to_dial(&mut self) -> bool {
        (!memory::is_low() || self.conns.has_free()) && self.conns.has_room() && self.later.wheel.has_room(1)
    }

    /// What came of a dial: a connection, or an error number.
    pub fn on_dialled(&mut self, id: ConnId, result: Result<(), i32>, now: Clock, io: &mut impl Io) {
        self.later.now_ms = now.mono_ms;
        match result {
            Ok(()) => self.on_connected(id, now, io),
            Err(errno) => self.give_up_dial(id, failure(errno), Some(errno), io),
        }
    }

    /// The connection of a dial is there.
    fn on_connected(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.way == Way::Dialling) else { return };
        (conn.way, conn.active_ms) = (Way::Dialled, now.mono_ms);
        conn.unread = Unread::since(now.mono_ns, now.mono_ns);
        if self.begins_tls(id, io) {
            return self.settle(id, io);
        }
        self.on_dial_done(id, now, io);
    }

    /// The connection of a dial is up, and so is its TLS session, if it has one.
    pub(super) fn on_dial_done(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.is_told = true;
        let (socket, peer) = (conn.socket, conn.peer);
        self.dials.set(socket, State::Up(id, now.mono_ms));
        self.effort.add(CONN_EFFORT);
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.connections += 1;
        if self.tide.tells(Move::Connected, now.mono_ms, &mut self.later) {
            log::info!("{}: connected to centre {peer}", self.fleet.fsus[slot.fsu as usize].name);
        }
        self.settle(id, io);
        self.on_up(id, now, io);
    }

    /// A dial had no answer in time.
    pub(super) fn on_dial_timed_out(&mut self, id: ConnId, io: &mut impl Io) {
        self.give_up_dial(id, DialFailure::TimedOut, None, io);
    }

    fn give_up_dial(&mut self, id: ConnId, why: DialFailure, errno: Option<i32>, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.way == Way::Dialling) else { return };
        let socket = conn.socket;
        // It never was a connection.
        conn.way = Way::Accepted;
        self.shut(id, Reason::PeerGone, By::Dialling, io);
        self.dial_failed(socket, why, errno);
    }

    /// Counts a dial that failed, and sets the time of the next.
    #[cold]
    pub(super) fn dial_failed(&mut self, socket: u32, why: DialFailure, errno: Option<i32>) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.dial_failures[why as usize] += 1;
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        if let Some(connect) = fsu.dials()
            && self.tide.tells(Move::NotDialled, self.later.now_ms, &mut self.later)
        {
            let errno = errno.map(|errno| format!(" (error {errno})")).unwrap_or_default();
            log::info!("{}: dialling {} failed: {}{errno}", fsu.name, connect.to, why.meaning());
        }
        self.dial_later(socket, true);
    }

    /// A dialled connection is gone. One that did not last as long as the first wait is a failure, or a centre that resets every
    /// connection would be dialled again and again; `in_vain`: so is one that the FSU gave up because the centre did not acknowledge.
    pub(super) fn on_dialled_down(&mut self, socket: u32, in_vain: bool) {
        let State::Up(_, since_ms) = self.dials.state(socket) else { return };
        let Some(slot) = self.slots.get(socket as usize) else { return };
        let least_ms = self.fleet.fsus[slot.fsu as usize].dials().map_or(0, |connect| connect.reconnect_ms.0);
        let lasted = !in_vain && self.later.now_ms.saturating_sub(since_ms) >= least_ms;
        if let Some(dial) = self.dials.get_mut(socket).filter(|_| lasted) {
            dial.failures = 0;
        }
        self.dial_later(socket, !lasted);
    }

    /// Dials again after a wait: drawn evenly from 0 to a bound that doubles with each failure.
    pub(super) fn dial_later(&mut self, socket: u32, is_failure: bool) {
        let Some(slot) = self.slots.get(socket as usize) else { return };
        let Some(connect) = self.fleet.fsus[slot.fsu as usize].dials() else { return self.dials.forget(socket) };
        let Some(dial) = self.dials.get_mut(socket) else { return };
        dial.failures = dial.failures.saturating_add(u32::from(is_failure));
        dial.draws = dial.draws.wrapping_add(1);
        let mut dice = Dice::new(self.run.seed ^ WAITS, slot.state.identity, u64::from(dial.draws));
        let wait_ms = dice.rng().f64() * connect.window_ms(dial.failures) as f64;
        let due_ms = self.later.now_ms.saturating_add(wait_ms.ceil() as u64);
        dial.state = State::Waits(due_ms);
        self.later.at(due_ms, Timer::Dial(socket));
    }

    /// An outage may have ended: those that it held dial again, as after a connection that was lost.
    pub(crate) fn dial_after_outage(&mut self, now: Clock) {
        self.later.now_ms = now.mono_ms;
        for socket in 0..self.dials.places() {
            if self.dials.state(socket) == State::Held && !self.is_offline(socket, now) {
                if let Some(dial) = self.dials.get_mut(socket) {
                    dial.failures = 0;
                }
                self.dial_later(socket, false);
            }
        }
    }

    /// Dials that are under way are given up: the program ends.
    pub(crate) fn end_dials(&mut self, io: &mut impl Io) {
        self.dials.clear_queue();
        for socket in 0..self.dials.places() {
            if let State::Dialling(id) = self.dials.state(socket) {
                self.shut(id, Reason::DrainEnded, By::Dialling, io);
            }
        }
    }
}

/// When a dial has failed, in milliseconds.
pub(super) fn deadline_ms(conn: &Conn) -> u64 {
    conn.active_ms.saturating_add(DIAL_TIMEOUT_MS)
}

/// What an error number says about a dial.
fn failure(errno: i32) -> DialFailure {
    match Errno::from_raw_os_error(errno) {
        Errno::CONNREFUSED => DialFailure::Refused,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN => DialFailure::Reset,
        Errno::TIMEDOUT => DialFailure::TimedOut,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN | Errno::ACCESS | Errno::PERM => {
            DialFailure::Unreachable
        }
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => DialFailure::NoPort,
        _ => DialFailure::Other,
    }
}
