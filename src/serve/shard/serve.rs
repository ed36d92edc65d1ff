//! What one shard does, without a system call, clock or executor: its FSUs, timers and drain.
//!
//! A driver feeds it (`on_datagram`, `on_accept`, `on_bytes`, ..., `on_tick`) and does what it asks through
//! [`Io`]. Times come in as [`Clock`]; so all of it runs on virtual time as well.

use super::accounts::Accounts;
use super::clock::Clock;
use super::dial::Dials;
use super::io::{ConnId, Datagram, Io, Outcome, Subject};
use super::late::Late;
use super::look::Unread;
use super::notes::{Input, Notes};
use super::own::Own;
use super::protocol::Protocol;
use super::recorder::{RecordKind, Recorder, Traffic};
use super::routes::Routes;
use super::slots::FsuSlot;
use super::slots::Slots;
use super::steer::Steer;
use super::talk::{Talkers, message_left};
use super::tcp::DueReply;
use super::tcp::conn::{Conns, PIECE, UnsentReply};
use super::tcp::end::By;
use super::tide::Tide;
use super::timers::later::{Later, Timer};
use super::timers::pending::{Dest, Pending};
use super::timers::wheel::{Wheel, tick_by, tick_ns};
use crate::shard::effort::{Effort, FRAME_EFFORT, QUANTUM};
use fsu_core::about::{About, What};
use fsu_core::answer::turn::Scratch;
use fsu_core::faults::is_offline;
use fsu_core::moment::RunContext;
use fsu_core::replies::Replies;
use fsu_core::sink::Outgoing;
use fsu_core::state::Counters;
use fsu_net::sys::prefetch;
use fsu_plan::model::fault::{FaultKind, FsuFaults, Place, Struck};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::reason::Reason;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Replies due within this time after a drain began are still sent (spec device-log.md).
pub const DRAIN_MS: u64 = 5_000;
/// Timers fired in one turn: what a turn may take stays below a millisecond.
const FIRED_MAX: usize = 128;
/// A datagram for which the kernel has no room is tried again after this time.
const SEND_RETRY_MS: u64 = 1;
/// How often it is tried: for about as long as a peer waits for a reply. Then it is counted `send_failed`.
const SEND_TRIES_MAX: u16 = 2_000;
/// Accepting is tried again this long after it failed because no descriptor was left.
pub(crate) const ACCEPT_RETRY_MS: u64 = 100;

/// Buffers that are used within one call, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// A heartbeat.
    pub(crate) beat: Vec<u8>,
    /// A started frame and what came after it.
    pub(crate) joined: Vec<u8>,
    /// Replies to one read from a connection.
    pub(crate) out: Vec<u8>,
    /// What they are.
    pub(crate) out_lens: Vec<UnsentReply>,
    /// What is known of the frames of a datagram.
    pub(crate) told: Vec<About>,
    /// What an FSU says unasked.
    pub(crate) said: Replies,
    /// What encrypted bytes of a connection say.
    pub(crate) plain: Vec<u8>,
    /// Empty buffers for started frames.
    pub(crate) spare: Vec<Vec<u8>>,
}

/// The FSUs that a shard serves.
#[derive(Clone, Debug)]
pub struct Portion<'a> {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Their numbers in it; those past its end are left out.
    pub fsus: &'a [usize],
}

/// One shard's logic. An FSU's number in the shard is its place in `fsus`, also its socket's number.
#[derive(Debug)]
pub struct Serve<P, T> {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) run: RunContext,
    pub(crate) protocol: P,
    pub(crate) tap: T,
    pub(crate) slots: Slots,
    /// The ways to the centres that they know.
    pub(crate) routes: Routes,
    pub(crate) later: Later,
    pub(crate) conns: Conns,
    pub(crate) notes: Notes,
    pub(crate) scratch: Scratch,
    pub(crate) buffers: Buffers,
    /// Connections with replies that the kernel had no room for.
    pub(crate) unsent_conns: usize,
    /// The end of the drain, once it has begun.
    pub(crate) drain_end_ms: Option<u64>,
    /// The peers that it never answers.
    pub(crate) own: Arc<Own>,
    /// Lines about centres that come and go.
    pub(crate) tide: Arc<Tide>,
    /// Connections of one address to one FSU; none are not kept. As many entries as connections at most.
    pub(crate) peers: HashMap<(u32, IpAddr), usize>,
    /// Due to sent, of all its replies.
    pub(crate) late: Late,
    /// The work so far, and where the current work is interrupted.
    pub(crate) effort: Effort,
    /// FSUs that talk.
    pub(crate) talkers: Talkers,
    /// What has become of messages.
    pub(crate) accounts: Accounts,
    /// Interrupted connections, which continue in their turn ([`Serve::go_on`]).
    pub(crate) resting: Vec<ConnId>,
    /// FSUs that dial out.
    pub(crate) dials: Dials,
    /// What it needs to be steered; `None`: it cannot be.
    pub(crate) steer: Option<Box<Steer>>,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// The shard that serves these FSUs, from `now` on.
    pub fn new(portion: Portion<'_>, run: RunContext, protocol: P, tap: T, now: Clock) -> Self {
        let Portion { fleet, fsus } = portion;
        let slots = fsus
            .iter()
            .filter_map(|&number| Some((number, fleet.fsus.get(number)?)))
            .map(|(number, fsu)| FsuSlot::new(number as u32, fsu))
            .collect();
        let mut serve = Self {
            fleet,
            run,
            protocol,
            tap,
            slots,
            routes: Routes::default(),
            later: Later { wheel: Wheel::new(tick_by(now.mono_ns)), pending: Pending::default(), now_ms: now.mono_ms },
            conns: Conns::default(),
            notes: Notes::new(Arc::default()),
            scratch: Scratch::default(),
            buffers: Buffers::default(),
            unsent_conns: 0,
            drain_end_ms: None,
            own: Arc::default(),
            tide: Arc::default(),
            peers: HashMap::new(),
            late: Late::default(),
            effort: Effort::default(),
            talkers: Talkers::default(),
            accounts: Accounts::default(),
            resting: Vec::new(),
            dials: Dials::default(),
            steer: None,
        };
        serve.scratch.talked.is_unkeyed = !serve.tap.wants_keys();
        serve.start_heartbeats(now);
        serve.start_dials(now.mono_ms);
        serve.start_outages();
        serve.start_talks(now);
        serve
    }

    /// Shares the limits of the system log with other shards, before anything arrives.
    pub(crate) fn share(&mut self, tide: Arc<Tide>) {
        (self.notes, self.tide) = (Notes::new(tide.clone()), tide);
        self.tide.pace.set(self.fleet.dials_per_second());
    }

    /// Outages of FSUs with connections, which have to be reset when one begins, and of FSUs that talk.
    pub(crate) fn start_outages(&mut self) {
        let fsus = self.slots.iter().map(|slot| &self.fleet.fsus[slot.fsu as usize]);
        let faults =
            fsus.filter(|fsu| fsu.transport == Transport::Tcp || fsu.talks).filter_map(|fsu| fsu.faults.as_deref());
        let edges_ms: BTreeSet<u64> = faults.flat_map(FsuFaults::outage_edges).collect();
        for edge_ms in edges_ms {
            self.later.at(self.run.start_mono_ms.saturating_add(edge_ms), Timer::Outage);
        }
    }

    /// Prefetches what the next events touch; `ahead` returns them by their distance. It takes steps: each step needs an address that the
    /// step before has fetched.
    #[inline]
    pub(crate) fn expect(&self, ahead: impl Fn(usize) -> Option<Subject>) {
        if let Some(Subject::Conn(id)) = ahead(4) {
            self.conns.prefetch_place(id);
        }
        if let Some(Subject::Conn(id)) = ahead(3) {
            self.conns.prefetch(id);
        }
        if let Some(second) = ahead(2) {
            self.prefetch_slot(second);
        }
        if let Some(next) = ahead(1) {
            self.prefetch_fsu(next);
        }
    }

    /// Whether any of its FSUs has connections.
    pub(crate) fn has_streams(&self) -> bool {
        self.slots.iter().any(|slot| self.fleet.fsus[slot.fsu as usize].transport == Transport::Tcp)
    }

    /// Whether a connection is open.
    pub(crate) fn has_connections(&self) -> bool {
        !self.conns.is_empty()
    }

    /// How many events a driver may report at once: one for each socket, two for each connection (readable, writable).
    pub(crate) fn sources(&self) -> usize {
        self.slots.places() as usize + 2 * self.conns.places() as usize
    }

    /// What is known of the bytes of a connection that are not read yet.
    #[inline]
    pub(crate) fn unread(&mut self, id: ConnId) -> Option<&mut Unread> {
        self.conns.get_mut(id).map(|conn| &mut conn.unread)
    }

    /// Prefetches the slot of the FSU that an event refers to.
    #[inline]
    pub(crate) fn prefetch_slot(&self, subject: Subject) {
        if let Some(socket) = self.socket_of(subject) {
            self.slots.prefetch(socket as usize);
        }
    }

    /// Prefetches the plan of that FSU and its latest centre. Its slot should be fetched already.
    #[inline]
    pub(crate) fn prefetch_fsu(&self, subject: Subject) {
        let slot = self.socket_of(subject).and_then(|socket| self.slots.get(socket as usize));
        if let Some(slot) = slot {
            prefetch(&raw const self.fleet.fsus[slot.fsu as usize], 2);
        }
    }

    #[inline]
    fn socket_of(&self, subject: Subject) -> Option<u32> {
        match subject {
            Subject::Socket(socket) => Some(socket),
            Subject::Conn(id) => self.conns.get(id).map(|conn| conn.socket),
        }
    }

    /// Whether an FSU is silent on purpose.
    #[inline]
    pub(crate) fn is_offline(&self, socket: u32, now: Clock) -> bool {
        let Some(slot) = self.slots.get(socket as usize) else { return false };
        is_offline(&self.fleet.fsus[slot.fsu as usize], self.since_start_ms(now))
    }

    /// The moment of the run that outages count from its start.
    #[inline]
    pub(crate) fn since_start_ms(&self, now: Clock) -> u64 {
        now.mono_ms.saturating_sub(self.run.start_mono_ms)
    }

    /// A fault was made that belongs to no message, or to one no longer known.
    pub(crate) fn fault(&mut self, socket: u32, kind: FaultKind, frame: Struck, io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.faults[kind as usize] += 1;
        // The log counts and reports a lost one.
        self.tap.fault(slot.fsu, io.unix_ns() / 1_000_000, kind, Place::apart(frame));
    }

    /// What a reply is, as far as that is still known.
    #[cold]
    pub(crate) fn struck(&self, socket: u32, about: About) -> Struck {
        let slot = self.slots.get(socket as usize);
        let fsu = slot.and_then(|slot| self.fleet.fsus.get(slot.fsu as usize));
        let device = fsu.and_then(|fsu| fsu.devices.get(usize::from(about.device)));
        match about.what {
            What::Data => Struck::Data,
            What::ErrorReply | What::Refused => Struck::Error,
            What::Heartbeat => Struck::Heartbeat,
            What::Message => Struck::Message,
            _ if device.is_some_and(|device| device.template.transfer.is_some()) => Struck::Answer,
            _ => Struck::Reply,
        }
    }

    /// Records input that an FSU in an outage ignores.
    #[cold]
    pub(crate) fn unheard(&mut self, socket: u32, peer: SocketAddr, bytes: &[u8], now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        let about = About::UNKNOWN.lost(FaultKind::Offline);
        if self.tap.is_on()
            && !self.tap.record(Traffic {
                kind: RecordKind::Received,
                fsu: slot.fsu,
                peer,
                unix_ms: now.unix_ms,
                abouts: &[about],
                bytes,
            })
        {
            slot.state.counters.log_records_lost += 1;
        }
    }

    /// Records a reply that is never sent.
    #[cold]
    pub(crate) fn unsent(&mut self, (socket, peer): (u32, SocketAddr), about: About, bytes: &[u8], io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize).filter(|_| self.tap.is_on()) else { return };
        if !self.tap.record(Traffic {
            kind: RecordKind::Unsent,
            fsu: slot.fsu,
            peer,
            unix_ms: io.unix_ns() / 1_000_000,
            abouts: &[about],
            bytes,
        }) {
            slot.state.counters.log_records_lost += 1;
        }
    }

    /// The same for one in the pool; `lost` changes what is known of it.
    #[cold]
    pub(crate) fn unsent_pending(&mut self, index: u32, lost: impl Fn(About) -> About, io: &mut impl Io) {
        let Some((dest, ..)) = self.later.pending.get(index).filter(|_| self.tap.is_on()) else { return };
        let (socket, peer, about) = match dest {
            Dest::Datagram(datagram) => (datagram.socket, datagram.peer, datagram.about),
            Dest::Stream(id, about, _) | Dest::Piece(id, about, _) => {
                let Some(conn) = self.conns.get(id) else { return };
                (conn.socket, conn.peer, about)
            }
            Dest::Cut(..) => return,
        };
        self.unsent_at(index, (socket, peer), lost(about), io);
    }

    /// The same, with a known socket and peer.
    #[cold]
    pub(crate) fn unsent_at(&mut self, index: u32, (socket, peer): (u32, SocketAddr), about: About, io: &mut impl Io) {
        let Some(slot) = self.slots.get_mut(socket as usize).filter(|_| self.tap.is_on()) else { return };
        let (unix_ms, bytes) = (io.unix_ns() / 1_000_000, self.later.pending.bytes(index));
        if !self.tap.record(Traffic { kind: RecordKind::Unsent, fsu: slot.fsu, peer, unix_ms, abouts: &[about], bytes })
        {
            slot.state.counters.log_records_lost += 1;
        }
    }

    /// First beats are spread evenly over the interval by the FSU's number in the fleet.
    fn start_heartbeats(&mut self, now: Clock) {
        for (socket, slot) in self.slots.numbered_mut() {
            start_beat(&self.fleet, socket, slot, now, &mut self.later);
        }
    }

    /// Does what has become due, up to a bound. True: call again, after sending what is queued.
    pub fn on_tick(&mut self, now: Clock, io: &mut impl Io) -> bool {
        self.effort.allow(QUANTUM);
        let more = self.fire(now, io);
        self.effort.allow_all();
        more
    }

    fn fire(&mut self, now: Clock, io: &mut impl Io) -> bool {
        self.later.now_ms = now.mono_ms;
        if let Some(ear) = self.tap.ear() {
            ear.clock(now.mono_ms);
        }
        for _ in 0..FIRED_MAX {
            if !io.has_room() || self.effort.is_over() {
                return true;
            }
            let Some(timer) = self.later.wheel.pop(tick_by(now.mono_ns)) else { return false };
            match timer {
                Timer::Reply(index) => self.on_reply_due(index, now, io),
                Timer::Heartbeat(socket) => self.on_beat_due(socket, now, io),
                Timer::Clients(socket) => self.on_clients_due(socket, now, io),
                Timer::Transfers(socket) => self.on_transfers_due(socket, now),
                Timer::Conn(index) => self.on_conn_due(index, now, io),
                Timer::Accept(socket) if self.drain_end_ms.is_none() => io.set_accepting(socket, true),
                Timer::Accept(_) => {}
                Timer::Talk(socket) => self.on_talk_due(socket, now, io),
                Timer::Outage => self.on_outage(now, io),
                Timer::Dial(socket) => self.on_dial_due(socket, now),
                Timer::Dials => self.on_turn_to_dial(now, io),
                Timer::Tide => self.tide.tell(),
                Timer::Steer => self.on_steer_due(now, io),
            }
        }
        true
    }

    /// When [`Serve::on_tick`] should be called next, on the monotonic clock in nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let timer = self.later.wheel.next_deadline().map(tick_ns);
        match (timer, self.drain_end_ms.map(|end_ms| end_ms.saturating_mul(1_000_000))) {
            (Some(timer), Some(end)) => Some(timer.min(end)),
            (timer, end) => timer.or(end),
        }
    }

    fn on_reply_due(&mut self, index: u32, now: Clock, io: &mut impl Io) {
        match self.later.pending.get(index) {
            Some((Dest::Datagram(datagram), due_ns, _)) => {
                // The wall clock may have been set since. A retry keeps its first due time.
                let due_ns = if datagram.tries == 0 { now.unix_of(due_ns) } else { datagram.due_ns };
                let datagram = Datagram { due_ns, ..datagram };
                if self.is_offline(datagram.socket, now) {
                    self.unsent_pending(index, |about| about.lost(FaultKind::Offline), io);
                    self.later.pending.release(index);
                    let frame = self.struck(datagram.socket, datagram.about);
                    self.fault(datagram.socket, FaultKind::Offline, frame, io);
                } else if io.send_datagram(datagram, self.later.pending.bytes(index)) {
                    self.effort.add(FRAME_EFFORT + self.later.pending.bytes(index).len());
                    self.later.pending.release(index);
                } else {
                    let key = self.later.at(now.mono_ms + SEND_RETRY_MS, Timer::Reply(index));
                    self.later.pending.set_key(index, key);
                }
            }
            Some((Dest::Stream(id, about, waited_us), due_ns, _)) => {
                self.on_stream_reply_due(index, DueReply { id, mark: 0, due_ns, waited_us, about }, now, io);
            }
            Some((Dest::Piece(id, about, waited_us), due_ns, _)) => {
                self.on_stream_reply_due(index, DueReply { id, mark: PIECE, due_ns, waited_us, about }, now, io);
            }
            Some((Dest::Cut(id, how), ..)) => self.on_cut_due(index, (id, how), now, io),
            None => {}
        }
    }

    /// A queued datagram was sent, or not; `now` has the wall clock of that moment.
    pub fn on_sent(&mut self, datagram: Datagram, bytes: &[u8], outcome: Outcome, now: Clock) {
        let unix_ns = now.unix_ns;
        let Some(slot) = self.slots.get_mut(datagram.socket as usize) else { return };
        match outcome {
            Outcome::Sent => {
                let counters = &mut slot.state.counters;
                counters.sent(datagram.what);
                if datagram.what != Outgoing::Heartbeat {
                    self.late.record(datagram.due_ns, unix_ns, 1);
                    if let Some(steer) = self.steer.as_mut().filter(|_| datagram.what == Outgoing::Reply) {
                        steer.replied(unix_ns.saturating_sub(datagram.due_ns), &datagram.about);
                    }
                }
                if datagram.what == Outgoing::Message {
                    let fsu = slot.fsu;
                    message_left(
                        &self.fleet,
                        &mut self.accounts,
                        (fsu, datagram.about),
                        unix_ns.saturating_sub(datagram.due_ns),
                    );
                }
                self.record_sent(kind(datagram.what), datagram, bytes, unix_ns);
            }
            Outcome::Full if datagram.tries < SEND_TRIES_MAX => {
                let again = Datagram { tries: datagram.tries + 1, ..datagram };
                if self.later.again(again, now.mono_ns + SEND_RETRY_MS * 1_000_000, bytes).is_err() {
                    slot.state.counters.drop(Reason::SendFailed);
                    let about = datagram.about.drop(Reason::SendFailed);
                    self.record_sent(RecordKind::Unsent, Datagram { about, ..datagram }, bytes, unix_ns);
                }
            }
            Outcome::Full | Outcome::Failed(_) => {
                slot.state.counters.drop(Reason::SendFailed);
                let name = &self.fleet.fsus[slot.fsu as usize].name;
                let errno = if let Outcome::Failed(errno) = outcome { errno } else { 0 };
                let peer = format_args!("{} (error {errno})", datagram.peer);
                self.notes.note(Reason::SendFailed, now.mono_ms, &Input { fsu: name, peer, bytes });
                let about = datagram.about.drop(Reason::SendFailed);
                self.record_sent(RecordKind::Unsent, Datagram { about, ..datagram }, bytes, unix_ns);
            }
        }
    }

    /// Records a datagram that was sent, or never will be.
    #[inline]
    fn record_sent(&mut self, kind: RecordKind, datagram: Datagram, bytes: &[u8], unix_ns: i64) {
        let Some(slot) = self.slots.get_mut(datagram.socket as usize).filter(|_| self.tap.is_on()) else { return };
        if !self.tap.record(Traffic {
            kind,
            fsu: slot.fsu,
            peer: datagram.peer,
            unix_ms: unix_ns / 1_000_000,
            abouts: &[datagram.about],
            bytes,
        }) {
            slot.state.counters.log_records_lost += 1;
        }
    }

    /// The kernel reported an error on an FSU's own socket.
    pub fn on_socket_error(&mut self, socket: u32, errno: i32, now: Clock) {
        let Some(slot) = self.slots.get_mut(socket as usize) else { return };
        slot.state.counters.drop(Reason::SocketError);
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        self.notes.note(
            Reason::SocketError,
            now.mono_ms,
            &Input { fsu: &fsu.name, peer: format_args!("{} (error {errno})", fsu.bind), bytes: &[] },
        );
    }

    /// The kernel lost datagrams to an FSU: its socket had no room for them.
    pub fn on_kernel_drops(&mut self, socket: u32, count: u32) {
        if let Some(slot) = self.slots.get_mut(socket as usize) {
            slot.state.counters.kernel_drops += u64::from(count);
        }
    }

    /// Stops reading; what is due within [`DRAIN_MS`] is still sent, what is due later is given up now.
    pub fn begin_drain(&mut self, now: Clock, io: &mut impl Io) {
        if self.drain_end_ms.is_some() {
            return;
        }
        self.later.now_ms = now.mono_ms;
        let end_ms = now.mono_ms.saturating_add(DRAIN_MS);
        self.drain_end_ms = Some(end_ms);
        io.stop_receiving();
        self.give_up_replies(end_ms.saturating_mul(1_000_000), io);
        self.end_dials(io);
        for id in self.conns.open() {
            self.keep(id, &[], now.mono_ms);
            self.update_interest(id, io);
        }
    }

    /// The drain has nothing left to do, or no time.
    pub fn is_drained(&self, now: Clock) -> bool {
        let Some(end_ms) = self.drain_end_ms else { return false };
        now.mono_ms >= end_ms || (self.later.pending.is_empty() && self.unsent_conns == 0)
    }

    /// Ends everything: what still waits counts as `drain_ended`, connections are closed.
    pub fn finish(&mut self, io: &mut impl Io) {
        self.drain_end_ms.get_or_insert(0);
        self.end_journal();
        self.give_up_replies(0, io);
        for id in self.conns.open() {
            self.shut(id, Reason::DrainEnded, By::Shutdown, io);
        }
        self.tide.tell();
    }

    /// Gives up waiting replies that are due after `end_ns`.
    fn give_up_replies(&mut self, end_ns: u64, io: &mut impl Io) {
        for index in 0..self.later.pending.slots() {
            let Some((dest, ..)) = self.later.pending.get(index).filter(|&(_, due_ns, _)| due_ns > end_ns) else {
                continue;
            };
            self.unsent_pending(index, |about| about.drop(Reason::DrainEnded), io);
            let socket = match dest {
                Dest::Datagram(datagram) => datagram.socket,
                Dest::Stream(id, ..) | Dest::Piece(id, ..) | Dest::Cut(id, _) => {
                    let Some(conn) = self.conns.get_mut(id) else { continue };
                    self.later.pending.remove(&mut conn.delayed, index);
                    conn.socket
                }
            };
            self.later.forget(index);
            if dest.is_reply() {
                self.drop(socket, Reason::DrainEnded);
            }
        }
    }

    /// Counts a drop.
    pub(crate) fn drop(&mut self, socket: u32, reason: Reason) {
        if let Some(slot) = self.slots.get_mut(socket as usize) {
            slot.state.counters.drop(reason);
        }
    }

    /// How many replies wait for their time.
    pub fn pending(&self) -> usize {
        self.later.pending.len()
    }

    /// The counters of each FSU, by its number in the fleet.
    pub fn counters(&self) -> Vec<(usize, Counters)> {
        self.slots.iter().map(|slot| (slot.fsu as usize, slot.state.counters.clone())).collect()
    }
}

/// Puts an FSU's next heartbeat into the wheel: when it was due already (0: never), else at its place within the interval.
pub(crate) fn start_beat(fleet: &Fleet, socket: u32, slot: &mut FsuSlot, now: Clock, later: &mut Later) {
    let fsu = &fleet.fsus[slot.fsu as usize];
    let Some(schedule) = fsu.heartbeat() else {
        slot.beat_due_ms = 0;
        return;
    };
    if slot.beat_due_ms == 0 {
        let (number, of) = fleet.place(slot.fsu as usize);
        let phase_ms = schedule.phase_ms(number, of);
        slot.beat_due_ms = now.mono_ms.saturating_add(phase_ms);
    }
    later.at(slot.beat_due_ms, Timer::Heartbeat(socket));
}

/// As the log calls it.
fn kind(what: Outgoing) -> RecordKind {
    match what {
        Outgoing::Reply | Outgoing::Data => RecordKind::Reply,
        Outgoing::Heartbeat => RecordKind::Heartbeat,
        Outgoing::Message => RecordKind::Message,
    }
}
