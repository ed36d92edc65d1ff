//! What FSUs say unasked (spec conversation.md): when a shard lets them speak, and who gets it.

use super::accounts::Accounts;
use super::clock::Clock;
use super::io::{ConnId, Io};
use super::protocol::Protocol;
use super::recorder::Recorder;
use super::serve::Serve;
use super::tcp::conn::{PIECE, UnsentReply};
use super::timers::later::Timer;
use super::timers::pending::Dest;
use super::timers::wheel::Key;
use super::udp::Speech;
use crate::shard::effort::FRAME_EFFORT;
use fsu_core::about::About;
use fsu_core::answer::turn::Turn;
use fsu_core::moment::Moment;
use fsu_core::replies::{How, Replies, Said, Sent};
use fsu_core::sink::Cut;
use fsu_core::speak::{self, Audience, NotTriggered};
use fsu_core::state::talk::{NEVER_MS, Whose};
use fsu_plan::model::conversation::To;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::reason::Reason;
use std::mem::take;
use std::net::SocketAddr;

/// What a shard keeps of an FSU that talks. FSUs that do not have none.
#[derive(Debug, Default)]
pub(crate) struct Talker {
    /// Its only entry in the wheel, and when that fires, on the monotonic clock in milliseconds.
    timed: Option<(Key, u64)>,
    /// Its connections, the oldest first.
    conns: Vec<ConnId>,
    /// It was in an outage when that was looked at last.
    is_offline: bool,
}

/// Those of a shard, by socket; empty if no FSU talks.
#[derive(Debug, Default)]
pub(crate) struct Talkers(Vec<Option<Box<Talker>>>);

impl Talkers {
    fn get_mut(&mut self, socket: u32) -> Option<&mut Talker> {
        self.0.get_mut(socket as usize)?.as_deref_mut()
    }

    /// That of an FSU that talks.
    fn made(&mut self, socket: u32) -> &mut Talker {
        let place = socket as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place].get_or_insert_default()
    }

    fn forget_timers(&mut self) {
        self.0.iter_mut().flatten().for_each(|talker| talker.timed = None);
    }
}

/// What makes an FSU speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Something is due.
    Due,
    /// It begins.
    Start,
    /// A centre was heard for the first time, or a connection is up.
    Connect,
    /// Its last connection is gone.
    Disconnect,
    /// An outage begins.
    PowerLost,
    /// An outage is over.
    PowerBack,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// FSUs that talk begin to, as soon as the shard turns.
    pub(crate) fn start_talks(&mut self, now: Clock) {
        self.talkers.forget_timers();
        for socket in 0..self.slots.places() {
            if self.fsu_that_talks(socket).is_some() {
                self.talk_at(socket, now.mono_ms.max(1));
            }
        }
    }

    /// The FSU of a socket, if it talks.
    fn fsu_that_talks(&self, socket: u32) -> Option<&Fsu> {
        let slot = self.slots.get(socket as usize)?;
        self.fleet.fsus.get(slot.fsu as usize).filter(|fsu| fsu.talks)
    }

    /// Lets an FSU speak at that moment, unless it will before.
    fn talk_at(&mut self, socket: u32, mono_ms: u64) {
        let talker = self.talkers.made(socket);
        if talker.timed.is_none_or(|(_, timed_ms)| mono_ms < timed_ms) {
            // One that stays would fire as well: each acknowledged message would leave one behind.
            if let Some((key, _)) = talker.timed.take() {
                self.later.wheel.cancel(key);
            }
            talker.timed = Some((self.later.at(mono_ms, Timer::Talk(socket)), mono_ms));
        }
    }

    /// An entry of an FSU in the wheel has fired.
    pub(crate) fn on_talk_due(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        if let Some(talker) = self.talkers.get_mut(socket) {
            talker.timed = None;
        }
        let is_started = self.slots.get(socket as usize).is_some_and(|slot| {
            slot.state.devices.iter().filter_map(|device| device.talk.as_ref()).all(|talk| talk.is_started())
        });
        if !is_started {
            // Who begins in an outage begins when it is over.
            let is_offline = self.is_offline(socket, now);
            self.talkers.made(socket).is_offline = is_offline;
        }
        self.talk(socket, if is_started { Cause::Due } else { Cause::Start }, now, io);
    }

    /// A conversation was changed by what came in: what follows leaves at once.
    #[cold]
    pub(crate) fn on_stirred(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        self.talk(socket, Cause::Due, now, io);
    }

    /// A centre was heard for the first time. The one of `connect` was known from the start.
    pub(crate) fn on_centre_heard(&mut self, socket: u32, peer: SocketAddr, now: Clock, io: &mut impl Io) {
        let is_new = |fsu: &Fsu| fsu.connect.as_ref().is_none_or(|connect| connect.to != peer);
        if self.fsu_that_talks(socket).is_some_and(is_new) {
            self.talk(socket, Cause::Connect, now, io);
        }
    }

    /// A connection is up: accepted, or dialled.
    pub(crate) fn on_link_up(&mut self, socket: u32, id: ConnId, now: Clock, io: &mut impl Io) {
        if self.fsu_that_talks(socket).is_some() {
            self.talkers.made(socket).conns.push(id);
            self.talk(socket, Cause::Connect, now, io);
        }
    }

    /// After a reload: a connection that was up before its FSU talked is up for it now.
    pub(crate) fn on_link_kept(&mut self, id: ConnId, now: Clock) {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.is_up()) else { return };
        let socket = conn.socket;
        if self.fsu_that_talks(socket).is_none() {
            return;
        }
        let conns = &mut self.talkers.made(socket).conns;
        if !conns.contains(&id) {
            conns.push(id);
            self.prompt(socket, Cause::Connect, now);
            self.scratch.talked.is_stirred = false;
        }
    }

    /// A connection is gone.
    pub(crate) fn on_link_down(&mut self, socket: u32, id: ConnId, io: &mut impl Io) {
        let Some(talker) = self.talkers.get_mut(socket) else { return };
        let before = talker.conns.len();
        talker.conns.retain(|&conn| conn != id);
        if before > 0 && talker.conns.is_empty() {
            let (unix_ns, mono_ns) = (io.unix_ns(), io.mono_ns());
            let now = Clock {
                unix_ms: unix_ns.div_euclid(1_000_000),
                unix_ns,
                arrived_ns: unix_ns,
                mono_ms: mono_ns / 1_000_000,
                mono_ns,
                stepped_ns: 0,
                utc_offset_s: 0,
            };
            self.disconnect(socket, now);
        }
    }

    /// The last connection is gone. It may have ended while a frame was handled, whose stir stays.
    fn disconnect(&mut self, socket: u32, now: Clock) {
        let is_stirred = self.scratch.talked.is_stirred;
        self.prompt(socket, Cause::Disconnect, now);
        self.scratch.talked.is_stirred = is_stirred;
    }

    /// An outage may have begun or ended for some FSUs that talk.
    pub(crate) fn on_talkers_outage(&mut self, now: Clock, io: &mut impl Io) {
        for socket in 0..self.talkers.0.len() as u32 {
            if self.fsu_that_talks(socket).is_none() {
                continue;
            }
            let is_offline = self.is_offline(socket, now);
            let talker = self.talkers.made(socket);
            if std::mem::replace(&mut talker.is_offline, is_offline) == is_offline {
                continue;
            }
            let cause = if is_offline { Cause::PowerLost } else { Cause::PowerBack };
            self.talk(socket, cause, now, io);
        }
    }

    /// A trigger from outside: says a message of an FSU now.
    ///
    /// # Errors
    /// No device says it.
    pub fn trigger(
        &mut self,
        socket: u32,
        (name, args): (&str, &[(&str, &str)]),
        now: Clock,
        io: &mut impl Io,
    ) -> Result<(), NotTriggered> {
        let done = self.with_turn(socket, now, |turn, _| speak::trigger(turn, name, args));
        done.unwrap_or(Err(NotTriggered::NoMessage))?;
        self.talk(socket, Cause::Due, now, io);
        Ok(())
    }

    /// Notes what has happened; what follows is said later.
    fn prompt(&mut self, socket: u32, cause: Cause, now: Clock) {
        let is_heard = self.is_heard(socket, now);
        self.with_turn(socket, now, |turn, whose| match cause {
            Cause::Due => {}
            Cause::Start => {
                // Over datagrams, an FSU with an address to send to has a centre from the start.
                let has_centre = turn.fsu.connect.is_some() && turn.fsu.transport != Transport::Tcp;
                speak::start(turn, whose, has_centre);
            }
            Cause::Connect => speak::connect(turn),
            Cause::Disconnect => speak::disconnect(turn),
            Cause::PowerLost => speak::lose_power(turn),
            Cause::PowerBack => speak::regain_power(turn, is_heard),
        });
        self.take_happened(socket, now);
    }

    /// Whether somebody hears an FSU.
    pub(super) fn is_heard(&mut self, socket: u32, now: Clock) -> bool {
        let Some(slot) = self.slots.get(socket as usize) else { return false };
        let Some(fsu) = self.fleet.fsus.get(slot.fsu as usize) else { return false };
        if fsu.transport == Transport::Tcp {
            let talker = self.talkers.0.get(socket as usize).and_then(Option::as_deref);
            return talker.is_some_and(|talker| talker.conns.iter().any(|&id| self.takes(id)));
        }
        let mut clients = 0..slot.clients.len();
        let is_live = |index| slot.clients.get(index, now.mono_ms, fsu.client_timeout_ms, &self.routes).flatten();
        self.static_centres(fsu).iter().flatten().next().is_some() || clients.any(|index| is_live(index).is_some())
    }

    /// Whether a connection gets messages: nothing more is said into one whose peer is owed more than `write_buffer_bytes_max`.
    fn takes(&self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(id) else { return false };
        let fsu = self.slots.get(conn.socket as usize).and_then(|slot| self.fleet.fsus.get(slot.fsu as usize));
        fsu.is_some_and(|fsu| conn.owed() <= fsu.limits.write_buffer_bytes_max)
    }

    /// An FSU speaks: everything that is due is said.
    fn talk(&mut self, socket: u32, cause: Cause, now: Clock, io: &mut impl Io) {
        if self.drain_end_ms.is_some() || self.fsu_that_talks(socket).is_none() {
            // Nothing more leaves; what was acknowledged counts.
            (self.scratch.talked.is_stirred, self.scratch.talked.hangs_up) = (false, false);
            return self.take_happened(socket, now);
        }
        self.later.now_ms = now.mono_ms;
        if cause != Cause::Due {
            self.prompt(socket, cause, now);
        }
        let audience = if self.is_heard(socket, now) { Audience::Some } else { Audience::None };
        let mut said = take(&mut self.buffers.said);
        said.reset();
        let next_ms = self.with_turn(socket, now, |turn, whose| speak::speak(turn, whose, audience, &mut said));
        self.deliver(socket, &said, now, io);
        said.reset();
        self.buffers.said = said;
        self.take_happened(socket, now);
        if take(&mut self.scratch.talked.hangs_up) {
            self.hang_up(socket, io);
        }
        let next_ms = if self.scratch.talked.is_stirred { Some(0) } else { next_ms };
        self.scratch.talked.is_stirred = false;
        if let Some(next_ms) = next_ms.filter(|&next_ms| next_ms != NEVER_MS) {
            let mono_ms = self.run.start_mono_ms.saturating_add(next_ms).max(now.mono_ms).max(1);
            self.talk_at(socket, mono_ms);
        }
    }

    /// Runs something with an FSU's state, as the conversation sees it.
    pub(super) fn with_turn<R>(
        &mut self,
        socket: u32,
        now: Clock,
        what: impl FnOnce(&mut Turn<'_>, Whose) -> R,
    ) -> Option<R> {
        let since_start_ms = self.since_start_ms(now);
        let slot = self.slots.get_mut(socket as usize)?;
        let fsu = self.fleet.fsus.get(slot.fsu as usize)?;
        let (number, of) = self.fleet.place(slot.fsu as usize);
        let whose = Whose { number, of };
        let moment = Moment { now: now.now(), arrived_ns: now.unix_ns, not_before_ns: 0, since_start_ms };
        let (run, state, scratch) = (&self.run, &mut slot.state, &mut self.scratch);
        Some(what(&mut Turn { run, fsu, state, scratch, moment }, whose))
    }

    /// Hands what was said to everyone who gets it.
    fn deliver(&mut self, socket: u32, said: &Replies, now: Clock, io: &mut impl Io) {
        let Some(fsu) = self.fsu_that_talks(socket) else { return };
        if fsu.transport == Transport::Tcp {
            return self.deliver_streams(socket, said, now, io);
        }
        for sent in said.sent() {
            let to = self.receivers_of(socket, sent.about);
            self.say_datagram(socket, Speech { to, sent }, now, io);
        }
        self.tell_faults(socket, said, now);
    }

    /// Who gets a message.
    fn receivers_of(&self, socket: u32, about: About) -> To {
        let message = self.fsu_that_talks(socket).and_then(|fsu| {
            let conversation = fsu.devices.get(usize::from(about.device))?.conversation.as_ref()?;
            conversation.messages.get(usize::from(about.rule))
        });
        message.map_or(To::All, |message| message.to)
    }

    fn deliver_streams(&mut self, socket: u32, said: &Replies, now: Clock, io: &mut impl Io) {
        if said.said().next().is_some() {
            let conns = self.talkers.get_mut(socket).map(|talker| take(&mut talker.conns)).unwrap_or_default();
            let latest = conns.last().copied();
            for &id in &conns {
                if !self.takes(id) {
                    continue;
                }
                for said in said.said() {
                    match said {
                        Said::Sent(sent) if self.receivers_of(socket, sent.about) == To::All || Some(id) == latest => {
                            self.say_stream(id, sent, now, io);
                        }
                        Said::Cut(how, due_ns) => self.cut_stream(id, (how, due_ns), now),
                        _ => {}
                    }
                }
                self.settle(id, io);
            }
            let conns_now = |id: &ConnId| self.conns.get(*id).is_some();
            let left: Vec<ConnId> =
                if conns.iter().all(conns_now) { conns } else { conns.into_iter().filter(conns_now).collect() };
            // The last connection may have ended while it was written to: its end found no connection of this FSU.
            let is_alone = latest.is_some() && left.is_empty();
            if let Some(talker) = self.talkers.get_mut(socket) {
                talker.conns = left;
            }
            if is_alone {
                self.disconnect(socket, now);
            }
        }
        self.tell_faults(socket, said, now);
    }

    /// Sends a frame on a connection, behind what waits there.
    fn say_stream(&mut self, id: ConnId, sent: Sent<'_>, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.muted.is_some() {
            return;
        }
        self.effort.add(FRAME_EFFORT + sent.bytes.len());
        let mark = if sent.how == How::Piece { PIECE } else { 0 };
        let own_ns = now.mono_of(sent.due_ns);
        if own_ns <= now.mono_ns && (conn.delayed.is_empty() || sent.how == How::Apart) {
            let reply = UnsentReply { marked_len: sent.bytes.len() as u32 | mark, about: sent.about };
            self.put_one(id, (sent.bytes, reply), sent.due_ns, (now, io));
            return;
        }
        if !self.later.has_place() {
            let socket = conn.socket;
            return self.drop(socket, Reason::NoMemory);
        }
        let due_ns = if sent.how == How::Apart { own_ns } else { own_ns.max(conn.last_due_ns) };
        let to = if sent.how == How::Piece { Dest::Piece } else { Dest::Stream };
        self.later.owed(&mut conn.delayed, to(id, sent.about, 0), due_ns, sent.bytes);
        if sent.how != How::Apart {
            conn.last_due_ns = due_ns;
        }
    }

    /// A fault ends a connection with what was said on it.
    fn cut_stream(&mut self, id: ConnId, (how, due_ns): (Cut, i64), now: Clock) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.muted.is_none()) else { return };
        conn.muted = Some(how.kind());
        if how != Cut::Stall {
            let due_ns = now.mono_of(due_ns).max(conn.last_due_ns);
            self.later.owed(&mut conn.delayed, Dest::Cut(id, how), due_ns, &[]);
            conn.last_due_ns = due_ns;
        }
    }

    /// Faults of what was said, for the ledger.
    fn tell_faults(&mut self, socket: u32, said: &Replies, now: Clock) {
        let Some(slot) = self.slots.get(socket as usize) else { return };
        for (kind, place) in said.faults() {
            // The log counts and reports a lost one.
            self.tap.fault(slot.fsu, now.unix_ms, kind, place);
        }
    }

    /// Counts what has become of messages, and tells the ledger.
    fn take_happened(&mut self, socket: u32, now: Clock) {
        let Some(slot) = self.slots.get(socket as usize) else { return };
        let number = slot.fsu;
        let mut happened = take(&mut self.scratch.talked.happened);
        for happened in happened.drain(..) {
            self.accounts.add(&happened);
            self.tap.message(number, now.unix_ms, &happened);
        }
        self.scratch.talked.happened = happened;
    }

    /// Closes the connections of an FSU; one that dials dials again.
    fn hang_up(&mut self, socket: u32, io: &mut impl Io) {
        let conns = self.talkers.get_mut(socket).map(|talker| talker.conns.clone()).unwrap_or_default();
        for id in conns {
            self.reconnect(id, io);
        }
    }
}

/// A frame of a message of an FSU was handed to the kernel: how long after it was due.
pub(crate) fn message_left(fleet: &Fleet, accounts: &mut Accounts, (fsu, about): (u32, About), late_ns: i64) {
    let device = fleet.fsus.get(fsu as usize).and_then(|fsu| fsu.devices.get(usize::from(about.device)));
    let conversation = device.and_then(|device| device.conversation.as_ref());
    if let Some(message) = conversation.and_then(|all| all.messages.get(usize::from(about.rule))) {
        accounts.late(message.account, late_ns);
    }
}
