//! From one fleet to the next, between two messages (spec templates.md, Reload).
//!
//! All shards take over the new sockets first; only then each gets the command to swap. A swap itself cannot fail.

use super::clock::Clock;
use super::io::Io;
use super::own::Own;
use super::protocol::Protocol;
use super::recorder::Recorder;
use super::serve::{Serve, start_beat};
use super::slots::FsuSlot;
use super::tcp::conn::Way;
use super::tcp::end::By;
use super::tide::Move;
use super::timers::later::Timer;
use super::timers::pending::Dest;
use fsu_core::moment::RunContext;
use fsu_core::state::Counters;
use fsu_core::state::carry::carry;
use fsu_core::state::transfers as transfer;
use fsu_plan::model::connect::Connect;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::model::reload::Fate;
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::count;
use std::sync::Arc;

/// What a shard serves from now on.
#[derive(Clone, Debug)]
pub struct Swap {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// What is common to all messages from now on.
    pub run: RunContext,
    /// The logger's number of the fleet.
    pub epoch: u32,
    /// What becomes of each FSU, by its number in the fleet before.
    pub fates: Arc<[Fate]>,
    /// Numbers of those that are new to this shard, in the order in which their sockets were taken over.
    pub new: Vec<u32>,
    /// The peers that it never answers.
    pub own: Arc<Own>,
}

/// A shard's own sockets, as far as its logic is concerned with them.
pub trait Sockets: Io {
    /// Closes an FSU's own socket; its place may be another's from now on.
    fn close_socket(&mut self, socket: u32);
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// Serves another fleet; the sockets of new FSUs are at `places`. Returns the counters of FSUs that are gone.
    ///
    /// An FSU that stays keeps everything that the new plan has a place for. An FSU that goes loses its connections and its waiting replies:
    /// `peer_gone`. During a drain nothing is swapped.
    pub fn swap(&mut self, swap: Swap, places: &[u32], now: Clock, io: &mut impl Sockets) -> Vec<Counters> {
        if self.drain_end_ms.is_some() {
            for &place in places {
                io.close_socket(place);
            }
            return Vec::new();
        }
        let Swap { fleet, run, epoch, fates, new, own } = swap;
        let fate = |slot: &FsuSlot| fates.get(slot.fsu as usize).copied().unwrap_or(Fate::Gone);
        self.part(&fate, &fleet, io);
        self.tap.reload(epoch, &fates, fleet.fsus.len());
        let before = std::mem::replace(&mut self.fleet, fleet);
        self.accounts.carry(&before.accounts, &self.fleet.accounts);
        (self.run, self.own) = (run, own);
        let fleet = self.fleet.clone();
        let mut gone = Vec::new();
        for place in 0..self.slots.places() {
            let Some(mut slot) = self.slots.take(place) else { continue };
            match fate(&slot) {
                Fate::Stays(number) => {
                    self.stay((place, &mut slot), number, &before, (now, io));
                    self.slots.put(place, slot);
                }
                Fate::Handed(number) => {
                    self.dials.forget(place);
                    slot.clients.expire(u64::MAX, 0, &mut self.routes, |peer| io.set_frequent(place, peer, false));
                    gone.push(slot.state.counters);
                    if let Some(fsu) = fleet.fsus.get(number as usize) {
                        self.slots.put(place, FsuSlot::new(number, fsu));
                    }
                }
                Fate::Gone => {
                    self.dials.forget(place);
                    slot.clients.expire(u64::MAX, 0, &mut self.routes, |_| {});
                    gone.push(slot.state.counters);
                    io.close_socket(place);
                }
            }
        }
        for (&place, &number) in places.iter().zip(&new) {
            if let Some(fsu) = fleet.fsus.get(number as usize) {
                self.slots.put(place, FsuSlot::new(number, fsu));
            }
        }
        self.steer_reloaded(epoch, &fates);
        self.restart_timers(now, io);
        self.steer_restarted(now);
        for id in self.conns.open() {
            if let Some(conn) = self.conns.get_mut(id) {
                // By the plan from before.
                conn.progress.forget();
            }
            self.on_link_kept(id, now);
            self.settle(id, io);
        }
        gone
    }

    /// Ends connections and replies of FSUs that go, and of centres that are no longer allowed.
    fn part(&mut self, fate: &impl Fn(&FsuSlot) -> Fate, next: &Fleet, io: &mut impl Io) {
        for id in self.conns.open() {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let Some(slot) = self.slots.get_mut(conn.socket as usize) else { continue };
            match fate(slot).stays().and_then(|number| next.fsus.get(number as usize)) {
                Some(fsu) if is_left(conn.way, self.fleet.fsus[slot.fsu as usize].dials(), fsu.dials()) => {
                    self.shut(id, Reason::PeerGone, By::Moved, io);
                }
                Some(fsu) if fsu.allows(conn.peer.ip()) => {}
                Some(_) => {
                    slot.state.counters.drop(Reason::NotAllowed);
                    self.shut(id, Reason::NotAllowed, By::Reason(Reason::NotAllowed), io);
                }
                None => self.shut(id, Reason::PeerGone, By::Reload, io),
            }
        }
        for index in 0..self.later.pending.slots() {
            let Some((Dest::Datagram(datagram), ..)) = self.later.pending.get(index) else { continue };
            let slot = self.slots.get(datagram.socket as usize);
            if slot.is_none_or(|slot| fate(slot).stays().is_none()) {
                self.unsent_pending(index, |about| about.drop(Reason::PeerGone), io);
                self.later.forget(index);
                self.drop(datagram.socket, Reason::PeerGone);
            }
        }
    }

    fn stay(
        &mut self,
        (place, slot): (u32, &mut FsuSlot),
        number: u32,
        before: &Fleet,
        (now, io): (Clock, &mut impl Io),
    ) {
        let (Some(was), Some(is)) = (before.fsus.get(slot.fsu as usize), self.fleet.fsus.get(number as usize)) else {
            return;
        };
        slot.state = carry(std::mem::take(&mut slot.state), was, is);
        slot.fsu = number;
        if was.heartbeat() != is.heartbeat() {
            slot.beat_due_ms = 0;
        }
        let (tide, later, offline) = (&self.tide, &mut self.later, &mut slot.state.counters.centres_offline);
        slot.clients.shrink(is.limits.clients_max, &mut self.routes, |peer| {
            *offline += 1;
            io.set_frequent(place, peer, false);
            if tide.tells(Move::Offline, now.mono_ms, later) {
                log::info!(
                    "{}: centre {peer} forgotten: more than {}",
                    is.name,
                    count(is.limits.clients_max, "centre")
                );
            }
        });
    }

    /// Lets go of transfers that are idle: what they carry may be the data of a plan that is gone.
    pub(crate) fn on_transfers_due(&mut self, socket: u32, now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let Some(fsu) = self.fleet.fsus.get(slot.fsu as usize) else { return };
        if let Some(ms) = transfer::sweep(&mut slot.state, fsu, now.mono_ms.saturating_sub(self.run.start_mono_ms)) {
            self.later.at(now.mono_ms.saturating_add(ms), Timer::Transfers(socket));
        }
    }

    /// Sets all timers of FSUs by the new plan, and receives from all sockets.
    fn restart_timers(&mut self, now: Clock, io: &mut impl Io) {
        self.later.wheel.retain(|timer| matches!(timer, Timer::Reply(_) | Timer::Conn(_) | Timer::Tide));
        for (socket, slot) in self.slots.numbered_mut() {
            start_beat(&self.fleet, socket, slot, now, &mut self.later);
            let fsu = &self.fleet.fsus[slot.fsu as usize];
            if fsu.transport != Transport::Tcp {
                let expiry_ms = slot.clients.next_expiry(fsu.client_timeout_ms);
                slot.set_clients_timed(expiry_ms.is_some());
                if let Some(expiry_ms) = expiry_ms {
                    self.later.at(expiry_ms, Timer::Clients(socket));
                }
            }
            if let Some(ms) = transfer::sweep(&mut slot.state, fsu, now.mono_ms.saturating_sub(self.run.start_mono_ms))
            {
                self.later.at(now.mono_ms.saturating_add(ms), Timer::Transfers(socket));
            }
            io.set_accepting(socket, true);
        }
        self.start_outages();
        self.start_talks(now);
        self.start_dials(now.mono_ms);
    }
}

/// Whether a connection was dialled to where its FSU no longer dials.
fn is_left(way: Way, was: Option<&Connect>, is: Option<&Connect>) -> bool {
    let same = was.zip(is).is_some_and(|(was, is)| was.is_same_way(is));
    way != Way::Accepted && !same
}
