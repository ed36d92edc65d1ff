//! Datagrams, centres and heartbeats (spec b-interface.md, Clients and heartbeats).

use super::clients::Seen;
use super::clock::Clock;
use super::io::{Arrived, Datagram, Io};
use super::notes::{Input, Notes};
use super::protocol::Protocol;
use super::recorder::{RecordKind, Recorder, Traffic};
use super::serve::Serve;
use super::slots::FsuSlot;
use super::tide::Move;
use super::timers::later::{Later, Timer};
use crate::devlog::record::FRAMES_TOLD_MAX;
use crate::shard::effort::FRAME_EFFORT;
use fsu_core::about::{About, NONE, Telling, What};
use fsu_core::admit::{Unheard, admit};
use fsu_core::answer::turn::Turn;
use fsu_core::faults::is_offline;
use fsu_core::moment::Moment;
use fsu_core::replies::{How, Sent};
use fsu_core::sink::{Outgoing, Sink};
use fsu_core::stage::Incoming;
use fsu_core::state::Counters;
use fsu_net::local::{Local, Route};
use fsu_plan::model::conversation::To;
use fsu_plan::model::fault::{FaultKind, Kinds, Place, Struck};
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::count;
use std::net::SocketAddr;

/// Where the stage puts what it has to say about one datagram.
struct DatagramSink<'a, I, T> {
    io: &'a mut I,
    later: &'a mut Later,
    notes: &'a mut Notes,
    tap: &'a mut T,
    fsu: &'a Fsu,
    fsu_number: u32,
    socket: u32,
    peer: SocketAddr,
    /// The address of this machine that was asked.
    local: Local,
    now: Clock,
    /// Since the start of the run.
    since_start_ms: u64,
    /// When the request came, wall clock in nanoseconds.
    arrived_ns: i64,
    /// Replies for which there was no room, by [`Reason::NO_ROOM`].
    no_room: [u64; Reason::NO_ROOM.len()],
    /// Bytes that may still be sent in answer.
    room_bytes: usize,
    /// Replies that would have been too long for their request.
    amplified: u64,
    telling: Telling,
    /// What is known of each frame, where a log wants it.
    told: Option<&'a mut Vec<About>>,
    /// A frame that was dropped, where no log wants it.
    dropped: Option<About>,
    /// What the frames and their replies cost.
    effort: usize,
}

impl<I: Io, T: Recorder> DatagramSink<'_, I, T> {
    /// Sends now, or as soon as the queue has room.
    fn send_now(&mut self, datagram: Datagram, bytes: &[u8]) {
        if !self.io.send_datagram(datagram, bytes) {
            self.send_later(datagram, self.now.mono_of(datagram.due_ns), bytes);
        }
    }

    fn datagram(&self, what: Outgoing, due_ns: i64, about: About) -> Datagram {
        Datagram { socket: self.socket, peer: self.peer, local: self.local, what, tries: 0, due_ns, about }
    }

    fn send_later(&mut self, datagram: Datagram, due_ns: u64, bytes: &[u8]) {
        if let Err(reason) = self.later.reply(datagram, due_ns, bytes) {
            self.refuse(reason, bytes);
        }
    }

    /// Sends a frame of a message when it is due.
    fn say(&mut self, sent: Sent<'_>) {
        self.effort += FRAME_EFFORT + sent.bytes.len();
        let datagram = self.datagram(sent.what, sent.due_ns, sent.about);
        if sent.due_ns <= self.now.unix_ns {
            self.send_now(datagram, sent.bytes);
        } else {
            self.send_later(datagram, self.now.mono_of(sent.due_ns), sent.bytes);
        }
    }

    #[cold]
    fn refuse(&mut self, reason: Reason, bytes: &[u8]) {
        for (count, _) in self.no_room.iter_mut().zip(Reason::NO_ROOM).filter(|&(_, of)| of == reason) {
            *count += 1;
        }
        self.telling.refused(reason);
        self.notes.note(reason, self.now.mono_ms, &Input { fsu: &self.fsu.name, peer: self.peer, bytes });
    }
}

impl<I: Io, T: Recorder> Sink for DatagramSink<'_, I, T> {
    #[inline]
    fn send(&mut self, what: Outgoing, due_ns: i64, bytes: &[u8]) {
        if let Some(room_bytes) = self.room_bytes.checked_sub(bytes.len()) {
            self.room_bytes = room_bytes;
        } else {
            self.amplified += 1;
            self.telling.refused(Reason::Amplification);
            return self.note(Reason::Amplification, bytes);
        }
        self.effort += bytes.len();
        let about = self.telling.sent(due_ns.saturating_sub(self.arrived_ns));
        // A delay counts from the arrival: what the request has waited already is part of it.
        // It may have come after the clocks were read.
        if due_ns <= self.now.unix_ns.max(self.arrived_ns) {
            self.send_now(self.datagram(what, due_ns, about), bytes);
        } else {
            self.send_later(self.datagram(what, due_ns, about), self.now.mono_of(due_ns), bytes);
        }
    }

    fn received(&mut self, _: &[u8], _: Option<Reason>) {}

    fn room_bytes(&self) -> usize {
        self.room_bytes
    }

    #[inline]
    fn about(&mut self, about: About) {
        self.telling.reply = about;
    }

    fn faulted(&mut self, faults: Kinds) {
        self.telling.reply.faults = faults;
    }

    #[inline]
    fn understood(&mut self, about: About, _: &[u8]) {
        self.effort += FRAME_EFFORT;
        if let Some(ear) = self.tap.ear() {
            ear.frame(self.fsu_number, self.since_start_ms, Some((&about, commands_before(self.fsu, about))));
        }
        if self.told.is_none() && about.what == What::Dropped {
            self.dropped = Some(about);
        }
        if let Some(told) = self.told.as_mut().filter(|told| told.len() < FRAMES_TOLD_MAX) {
            told.push(self.telling.settle(about));
        }
    }

    fn fault(&mut self, kind: FaultKind, place: Place) {
        self.telling.fault(kind);
        // The log counts and reports a lost one.
        self.tap.fault(self.fsu_number, self.now.unix_ms, kind, place);
    }

    #[inline]
    fn note(&mut self, reason: Reason, bytes: &[u8]) {
        self.notes.note(reason, self.now.mono_ms, &Input { fsu: &self.fsu.name, peer: self.peer, bytes });
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// A datagram came to an FSU's socket.
    #[inline]
    pub fn on_datagram(&mut self, socket: u32, datagram: Arrived<'_>, now: Clock, io: &mut impl Io) {
        let Arrived { route: Route { peer, local }, bytes, arrived_ns } = datagram;
        self.before_frame(socket, now, io);
        let since_start_ms = self.since_start_ms(now);
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        match admit(fsu, peer, since_start_ms, |peer| self.own.refuses(peer)) {
            Ok(()) => {}
            Err(Unheard::Offline) => return self.on_unheard(socket, (peer, bytes), now, io),
            Err(why @ Unheard::Refused(reason)) => {
                // No record either: the device log is about traffic with centres.
                why.count(&mut slot.state.counters);
                return self.notes.note(reason, now.mono_ms, &Input { fsu: &fsu.name, peer, bytes });
            }
        }
        let arrived_ns = now.arrival(arrived_ns);
        let is_bounded = !self.fleet.allow_amplification && !peer.ip().is_loopback();
        let is_told = self.tap.is_on();
        self.buffers.told.clear();
        let mut sink = DatagramSink {
            io,
            later: &mut self.later,
            notes: &mut self.notes,
            tap: &mut self.tap,
            fsu,
            fsu_number: slot.fsu,
            socket,
            peer,
            local,
            now,
            since_start_ms,
            arrived_ns,
            no_room: [0; Reason::NO_ROOM.len()],
            room_bytes: if is_bounded { bytes.len().saturating_mul(AMPLIFICATION_MAX) } else { usize::MAX },
            amplified: 0,
            telling: Telling::default(),
            told: is_told.then_some(&mut self.buffers.told),
            dropped: None,
            effort: bytes.len(),
        };
        let moment = Moment { now: now.now(), arrived_ns, not_before_ns: 0, since_start_ms };
        let (run, state, scratch) = (&self.run, &mut slot.state, &mut self.scratch);
        let mut turn = Turn { run, fsu, state, scratch, moment };
        let heard = self.protocol.on_datagram(&mut turn, Incoming { peer, bytes }, &mut sink);
        let (no_room, amplified, dropped) = (sink.no_room, sink.amplified, sink.dropped);
        self.effort.add(sink.effort);
        if amplified > 0 {
            slot.state.counters.dropped[Reason::Amplification as usize] += amplified;
        }
        count_no_room(&mut slot.state.counters, no_room);
        // Replies are recorded when they have left: after this.
        if is_told {
            let (kind, fsu, unix_ms, abouts) = (RecordKind::Received, slot.fsu, now.unix_ms, &self.buffers.told);
            record(&mut self.tap, slot, Traffic { kind, fsu, peer, unix_ms, abouts, bytes });
        }
        if let Some((about, ear)) = dropped.zip(self.tap.ear()) {
            let (kind, fsu, unix_ms, abouts) = (RecordKind::Received, slot.fsu, now.unix_ms, &[about]);
            ear.unanswered(&Traffic { kind, fsu, peer, unix_ms, abouts, bytes });
        }
        let is_stirred = self.scratch.talked.is_stirred;
        if heard.valid {
            let seen = slot.clients.heard(Route { peer, local }, now.mono_ms, fsu.limits.clients_max, &mut self.routes);
            match seen {
                // Of a socket that is bound to all addresses, the one that it was asked at may change.
                Seen::Often if local.is_any() => io.set_frequent(socket, peer, true),
                Seen::Known | Seen::Often => {}
                Seen::New | Seen::Replaced(_) => self.on_centre_came((socket, peer), seen, now, io),
            }
        }
        if is_stirred {
            self.on_stirred(socket, now, io);
        }
        self.after_frame(socket, now, io);
    }

    /// A datagram came in an outage.
    #[cold]
    fn on_unheard(&mut self, socket: u32, (peer, bytes): (SocketAddr, &[u8]), now: Clock, io: &mut impl Io) {
        let since_start_ms = self.since_start_ms(now);
        let number = self.slots.get(socket as usize).map(|slot| slot.fsu);
        self.unheard(socket, peer, bytes, now);
        if let Some((number, ear)) = number.zip(self.tap.ear()) {
            ear.frame(number, since_start_ms, None);
        }
        self.after_frame(socket, now, io);
        self.fault(socket, FaultKind::Offline, Struck::Request, io);
    }

    /// A datagram is marked as a reply. It is not answered: two FSUs would answer each other for ever.
    #[cold]
    pub fn on_reply(&mut self, socket: u32, peer: SocketAddr, bytes: &[u8], now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.drop(Reason::MockReply);
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        self.notes.note(Reason::MockReply, now.mono_ms, &Input { fsu: &fsu.name, peer, bytes });
    }

    #[cold]
    fn on_centre_came(&mut self, (socket, peer): (u32, SocketAddr), seen: Seen, now: Clock, io: &mut impl Io) {
        if let Seen::Replaced(gone) = seen {
            io.set_frequent(socket, gone, false);
        }
        self.count_centre(socket, peer, seen, now);
        self.tell_centre(socket, peer, true);
        self.on_centre_heard(socket, peer, now, io);
    }

    fn count_centre(&mut self, socket: u32, peer: SocketAddr, seen: Seen, now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        slot.state.counters.centres_online += 1;
        if self.tide.tells(Move::Online, now.mono_ms, &mut self.later) {
            log::info!("{}: centre {peer} online", fsu.name);
        }
        let Seen::Replaced(gone) = seen else { return self.time_clients(socket, now) };
        slot.state.counters.centres_offline += 1;
        if self.tide.tells(Move::Offline, now.mono_ms, &mut self.later) {
            log::info!("{}: centre {gone} forgotten: more than {}", fsu.name, count(fsu.limits.clients_max, "centre"));
        }
        self.time_clients(socket, now);
    }

    /// A centre may be silent for too long from now on.
    fn time_clients(&mut self, socket: u32, now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        if !slot.has_clients_timed() {
            slot.set_clients_timed(true);
            let expiry_ms = now.mono_ms.saturating_add(fsu.client_timeout_ms);
            self.later.at(expiry_ms, Timer::Clients(socket));
        }
    }

    /// Some centre may have been silent for too long.
    pub(crate) fn on_clients_due(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        let is_steered = self.steer.is_some();
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let (tide, later, offline) = (&self.tide, &mut self.later, &mut slot.state.counters.centres_offline);
        let mut gone = Vec::new();
        slot.clients.expire(now.mono_ms, fsu.client_timeout_ms, &mut self.routes, |peer| {
            *offline += 1;
            if is_steered {
                gone.push(peer);
            }
            io.set_frequent(socket, peer, false);
            if tide.tells(Move::Offline, now.mono_ms, later) {
                log::info!("{}: centre {peer} offline: silent for {} ms", fsu.name, fsu.client_timeout_ms);
            }
        });
        let next_ms = slot.clients.next_expiry(fsu.client_timeout_ms);
        slot.set_clients_timed(next_ms.is_some());
        if let Some(next_ms) = next_ms {
            self.later.at(next_ms, Timer::Clients(socket));
        }
        for peer in gone {
            self.tell_centre(socket, peer, false);
        }
    }

    /// One heartbeat to each live centre, to the static one and to the one of `connect`; the next is due an interval after this one was.
    pub(crate) fn on_beat_due(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let Some(schedule) = fsu.heartbeat() else { return };
        if self.drain_end_ms.is_some() {
            return;
        }
        slot.beat_due_ms = schedule.next_ms(slot.beat_due_ms, now.mono_ms);
        self.later.at(slot.beat_due_ms, Timer::Heartbeat(socket));

        if is_offline(fsu, now.mono_ms.saturating_sub(self.run.start_mono_ms)) {
            return;
        }
        if slot.clients.is_empty() && static_centres(self.fleet.center, fsu) == [None; 2] {
            return;
        }
        let mut beat = std::mem::take(&mut self.buffers.beat);
        beat.clear();
        self.protocol.heartbeat(fsu, &mut beat);
        let (what, about) = (Outgoing::Heartbeat, About::HEARTBEAT);
        let sent = Sent { what, how: How::InTurn, due_ns: now.unix_ns, about, bytes: &beat };
        self.say_datagram(socket, Speech { to: To::All, sent }, now, io);
        self.buffers.beat = beat;
    }
}

/// Something that an FSU says unasked, and who gets it.
#[derive(Clone, Copy)]
pub(super) struct Speech<'a> {
    pub(super) to: To,
    pub(super) sent: Sent<'a>,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The centres that get what an FSU says though they have not asked.
    pub(super) fn static_centres(&self, fsu: &Fsu) -> [Option<SocketAddr>; 2] {
        static_centres(self.fleet.center, fsu)
    }

    /// Sends a datagram to those who get it.
    pub(super) fn say_datagram(&mut self, socket: u32, speech: Speech<'_>, now: Clock, io: &mut impl Io) {
        let Speech { to, sent } = speech;
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let mut centres = static_centres(self.fleet.center, fsu);
        let mut sink = DatagramSink {
            io,
            later: &mut self.later,
            notes: &mut self.notes,
            tap: &mut self.tap,
            fsu,
            fsu_number: slot.fsu,
            socket,
            peer: fsu.bind,
            local: Local::ANY,
            now,
            since_start_ms: 0,
            arrived_ns: now.unix_ns,
            no_room: [0; Reason::NO_ROOM.len()],
            room_bytes: usize::MAX,
            amplified: 0,
            telling: Telling::default(),
            told: None,
            dropped: None,
            effort: 0,
        };
        let latest = slot.clients.latest();
        let mut receivers = 0;
        for index in 0..slot.clients.len() {
            if to == To::Latest && Some(index) != latest {
                continue;
            }
            let way = slot.clients.get(index, now.mono_ms, fsu.client_timeout_ms, &self.routes);
            let Some(Some(Route { peer, local })) = way else { continue };
            (sink.peer, sink.local) = (peer, local);
            sink.say(sent);
            centres = centres.map(|centre| centre.filter(|&centre| centre != peer));
            receivers += 1;
        }
        for peer in centres.into_iter().flatten() {
            if to == To::All || receivers == 0 {
                // A static centre has not asked, so no local address is known.
                (sink.peer, sink.local) = (peer, Local::ANY);
                sink.say(sent);
                receivers += 1;
            }
        }
        let no_room = sink.no_room;
        let effort = sink.effort;
        self.effort.add(FRAME_EFFORT + effort);
        count_no_room(&mut slot.state.counters, no_room);
    }
}

/// How many commands the devices of an FSU have that come before the one of a frame.
#[inline]
pub(crate) fn commands_before(fsu: &Fsu, about: About) -> usize {
    let before = if about.device == NONE { 0 } else { usize::from(about.device) };
    fsu.devices.iter().take(before).map(|device| device.template.commands.len()).sum()
}

/// The static centre, and the one of `connect`.
fn static_centres(center: Option<SocketAddr>, fsu: &Fsu) -> [Option<SocketAddr>; 2] {
    let center = center.filter(|_| fsu.transport == Transport::Udp);
    let own = fsu.connect.as_ref().map(|connect| connect.to).filter(|&own| Some(own) != center);
    [own, center]
}

/// Records traffic of an FSU, and counts a record that is lost.
#[inline]
fn record(tap: &mut impl Recorder, slot: &mut FsuSlot, traffic: Traffic<'_>) {
    if !tap.record(traffic) {
        slot.state.counters.log_records_lost += 1;
    }
}

/// Counts replies for which there was no room.
#[inline]
fn count_no_room(counters: &mut Counters, no_room: [u64; Reason::NO_ROOM.len()]) {
    if no_room != [0; Reason::NO_ROOM.len()] {
        for (count, reason) in no_room.into_iter().zip(Reason::NO_ROOM) {
            counters.dropped[reason as usize] += count;
        }
    }
}
