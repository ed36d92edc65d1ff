//! What comes in on a connection (spec b-interface.md, TCP). Replies go out in [`super::output`].

use super::conn::{Conn, PIECE, UnsentReply};
use super::end::By;
use crate::shard::clock::Clock;
use crate::shard::effort::FRAME_EFFORT;
use crate::shard::io::{ConnId, Io};
use crate::shard::notes::{Input, Notes};
use crate::shard::protocol::Protocol;
use crate::shard::recorder::{RecordKind, Recorder, Traffic};
use crate::shard::serve::Serve;
use crate::shard::timers::later::Later;
use crate::shard::timers::pending::Dest;
use crate::shard::udp::commands_before;
use fsu_core::about::{About, Telling, What};
use fsu_core::answer::turn::Turn;
use fsu_core::moment::Moment;
use fsu_core::sink::{Cut, Outgoing, Sink};
use fsu_core::stage::stream::Step;
use fsu_core::state::progress::Patience;
use fsu_plan::memory;
use fsu_plan::model::fault::{FaultKind, Kinds, Place};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::wire::reason::Reason;

/// Bytes offered to the stage at once. It bounds the replies that are built before the shard checks whether the peer takes them.
const OFFERED_BYTES: usize = 8 << 10;
/// Bytes of replies that are built before they are sent, not counting those of the current request: its reply may be much longer than
/// itself. A shard has one such buffer.
const BUILT_BYTES: usize = 64 << 10;
/// Replies that one read may leave for later, of which each has a slot: as many as a connection may be owed, as its limit is usually set.
const OWED_A_READ: usize = 512;
/// Empty buffers kept for started frames.
const SPARE_BUFFERS_MAX: usize = 64;

/// Bytes of a connection that are to be looked at.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    bytes: &'a [u8],
    /// When a frame that was kept before began: monotonic milliseconds.
    since_ms: Option<u64>,
}

/// Where the stage puts what it has to say about the bytes of one connection.
struct StreamSink<'a, I, T> {
    io: &'a mut I,
    later: &'a mut Later,
    notes: &'a mut Notes,
    tap: &'a mut T,
    out: &'a mut Vec<u8>,
    out_lens: &'a mut Vec<UnsentReply>,
    conn: &'a mut Conn,
    id: ConnId,
    fsu: &'a Fsu,
    fsu_number: u32,
    now: Clock,
    /// Since the start of the run.
    since_start_ms: u64,
    /// Frames that may be handled before a change is made.
    frames_left: u64,
    /// Since when the bytes may have been there, on the monotonic clock in nanoseconds.
    arrived_ns: u64,
    /// When the replies to what came before are due, on the monotonic clock in nanoseconds.
    not_before_ns: u64,
    /// When the bytes had been read, on the monotonic clock in nanoseconds; read with the first delayed reply.
    read_ns: Option<u64>,
    /// How far that moves what is due now, in nanoseconds.
    moved_ns: u64,
    /// Bytes that may be built or wait before more is looked at.
    owed_max: usize,
    records_lost: u64,
    telling: Telling,
    /// A whole frame that is not good has waited for a good one inside it.
    waited_in_vain: bool,
    /// What the frames and their replies cost, and may cost before more is looked at.
    effort: usize,
    effort_max: usize,
}

impl<I: Io, T: Recorder> StreamSink<'_, I, T> {
    /// Sends in the order of the connection; `mark`: as [`PIECE`], or 0.
    #[inline]
    fn send_marked(&mut self, due_ns: i64, bytes: &[u8], mark: u32) {
        self.effort += bytes.len();
        let own_ns = self.due(due_ns);
        let due_ns = own_ns.max(self.conn.last_due_ns);
        let about = self.about_due(due_ns);
        // A reply that is due still waits for those before it, which the wheel may not have fired yet.
        if due_ns <= self.now.mono_ns && self.conn.delayed.is_empty() {
            self.out.extend_from_slice(bytes);
            self.out_lens.push(UnsentReply { marked_len: bytes.len() as u32 | mark, about });
            return;
        }
        let waited_us = self.waited_us(own_ns, due_ns);
        let to = if mark == PIECE { Dest::Piece } else { Dest::Stream };
        self.later.owed(&mut self.conn.delayed, to(self.id, about, waited_us), due_ns, bytes);
        self.conn.last_due_ns = due_ns;
    }

    /// How much earlier than `due_ns` a reply had been due, had no request of its connection waited to be read; `own_ns` is when it is due
    /// by itself.
    fn waited_us(&mut self, own_ns: u64, due_ns: u64) -> u32 {
        // One that is due with the one before it may have been due at any time before.
        if own_ns > self.conn.last_due_ns {
            self.conn.free_due_ns = self.conn.free_due_ns.max(own_ns.saturating_sub(self.waited_ns()));
        }
        micros(due_ns.saturating_sub(self.conn.free_due_ns))
    }

    /// How long a request may have waited to be read.
    fn waited_ns(&self) -> u64 {
        self.moved_ns.saturating_add(self.now.mono_ns.saturating_sub(self.arrived_ns))
    }

    /// What is known of a reply that is due then, on the monotonic clock, after [`StreamSink::due`].
    #[inline]
    fn about_due(&mut self, due_ns: u64) -> About {
        let due_ns = due_ns.saturating_sub(self.moved_ns);
        self.telling.sent(self.now.unix_of(due_ns).saturating_sub(self.now.unix_ns))
    }

    /// When a reply is due, on the monotonic clock. What a read brings may have come after the clocks were read, hence later than
    /// its delay counts from.
    #[inline]
    fn due(&mut self, due_ns: i64) -> u64 {
        let due_ns = self.now.mono_of(due_ns);
        if due_ns <= self.now.mono_ns || due_ns == self.not_before_ns {
            self.moved_ns = 0;
            return due_ns;
        }
        let read_ns = *self.read_ns.get_or_insert_with(|| self.io.mono_ns());
        self.moved_ns = read_ns.saturating_sub(self.now.mono_ns);
        due_ns.saturating_add(self.moved_ns)
    }
}

/// Nanoseconds in microseconds.
fn micros(ns: u64) -> u32 {
    u32::try_from(ns / 1_000).unwrap_or(u32::MAX)
}

impl<I: Io, T: Recorder> Sink for StreamSink<'_, I, T> {
    fn send(&mut self, _: Outgoing, due_ns: i64, bytes: &[u8]) {
        self.send_marked(due_ns, bytes, 0);
    }

    fn send_apart(&mut self, due_ns: i64, bytes: &[u8]) {
        self.effort += bytes.len();
        let due_ns = self.due(due_ns);
        let about = self.about_due(due_ns);
        let waited_us = micros(self.waited_ns());
        self.later.owed(&mut self.conn.delayed, Dest::Stream(self.id, about, waited_us), due_ns, bytes);
    }

    fn send_piece(&mut self, due_ns: i64, bytes: &[u8]) {
        self.send_marked(due_ns, bytes, PIECE);
    }

    fn cut(&mut self, how: Cut, due_ns: i64) {
        self.conn.muted = Some(how.kind());
        let due_ns = self.due(due_ns).max(self.conn.last_due_ns);
        if how != Cut::Stall {
            self.later.owed(&mut self.conn.delayed, Dest::Cut(self.id, how), due_ns, &[]);
            self.conn.last_due_ns = due_ns;
        }
    }

    fn is_full(&self) -> bool {
        let built = self.out.len() + self.out_lens.len() * size_of::<UnsentReply>();
        self.frames_left == 0
            || built >= BUILT_BYTES
            || built + self.conn.owed() > self.owed_max
            || self.effort >= self.effort_max
    }

    fn muted(&self) -> Option<FaultKind> {
        self.conn.muted
    }

    fn about(&mut self, about: About) {
        self.telling.reply = about;
    }

    fn faulted(&mut self, faults: Kinds) {
        self.telling.reply.faults = faults;
    }

    fn understood(&mut self, about: About, bytes: &[u8]) {
        self.effort += FRAME_EFFORT;
        let about = self.telling.settle(about);
        if about.what != What::Dropped || about.why != Some(Reason::Garbage) {
            let since_start_ms = self.since_start_ms;
            self.frames_left = self.frames_left.saturating_sub(1);
            if let Some(ear) = self.tap.ear() {
                ear.frame(self.fsu_number, since_start_ms, Some((&about, commands_before(self.fsu, about))));
            }
        }
        let traffic = Traffic {
            kind: RecordKind::Received,
            fsu: self.fsu_number,
            peer: self.conn.peer,
            unix_ms: self.now.unix_ms,
            abouts: &[about],
            bytes,
        };
        if self.tap.is_on() {
            self.records_lost += u64::from(!self.tap.record(traffic));
        } else if about.what == What::Dropped
            && let Some(ear) = self.tap.ear()
        {
            // As for datagrams: it is kept even where nothing else is.
            ear.unanswered(&traffic);
        }
    }

    fn fault(&mut self, kind: FaultKind, place: Place) {
        self.telling.fault(kind);
        // The log counts and reports a lost one.
        self.tap.fault(self.fsu_number, self.now.unix_ms, kind, place);
    }

    fn received(&mut self, _: &[u8], dropped: Option<Reason>) {
        // All but garbage is a whole frame, if not a good one: the peer speaks the protocol.
        if dropped == Some(Reason::Garbage) {
            self.conn.hasty = false;
            return;
        }
        self.conn.active_ms = self.now.mono_ms;
        self.conn.hasty |= self.waited_in_vain && dropped.is_none();
    }

    fn note(&mut self, reason: Reason, bytes: &[u8]) {
        self.notes.note(reason, self.now.mono_ms, &Input { fsu: &self.fsu.name, peer: self.conn.peer, bytes });
    }
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// Bytes came on a connection.
    pub fn on_bytes(&mut self, id: ConnId, bytes: &[u8], now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.tls.is_some() { self.on_cipher(id, bytes, now, io) } else { self.on_plain(id, bytes, now, io) }
    }

    /// Bytes of frames came.
    pub(super) fn on_plain(&mut self, id: ConnId, bytes: &[u8], now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (socket, muted, peer) = (conn.socket, conn.muted, conn.peer);
        if muted == Some(FaultKind::Offline) || self.is_offline(socket, now) {
            self.unheard(socket, peer, bytes, now);
            return self.cut_off(id, io);
        }
        if !self.later.has_room(OWED_A_READ) {
            self.later.now_ms = now.mono_ms;
            if let Some(slot) = self.slots.get_mut(socket as usize) {
                slot.state.counters.drop(Reason::NoMemory);
            }
            return self.shut(id, Reason::NoMemory, By::Reason(Reason::NoMemory), io);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.stalled {
            // Read before the kernel was told to stop: it waits until less is owed to the peer.
            conn.partial.reserve_exact(bytes.len());
            conn.partial.extend_from_slice(bytes);
            return;
        }
        if conn.partial.is_empty() {
            self.take_in(id, Stretch { bytes, since_ms: None }, now, io);
        } else {
            let mut joined = std::mem::take(&mut self.buffers.joined);
            joined.clear();
            joined.extend_from_slice(&conn.partial);
            joined.extend_from_slice(bytes);
            let since_ms = conn.partial_since_ms;
            self.take_in(id, Stretch { bytes: &joined, since_ms: Some(since_ms) }, now, io);
            self.buffers.joined = joined;
        }
        if memory::is_low() {
            self.let_go(id, io);
        }
        self.settle(id, io);
        self.after_heard(socket, now, io);
    }

    /// Frames of an FSU may have been heard: what its conversation makes of them leaves, is counted and reported for this FSU.
    pub(super) fn after_heard(&mut self, socket: u32, now: Clock, io: &mut impl Io) {
        if self.scratch.talked.is_stirred {
            self.on_stirred(socket, now, io);
        }
        self.after_frame(socket, now, io);
    }

    /// The peer will send no more. What is due to it is still sent.
    pub fn on_eof(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        self.later.now_ms = now.mono_ms;
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.is_shaking_hands() {
            return self.on_tls_gone(id, io);
        }
        self.on_plain_eof(id, now, io);
    }

    /// No more plain bytes come.
    pub(super) fn on_plain_eof(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.eof = true;
        let socket = conn.socket;
        if !conn.stalled {
            self.decide(id, Patience::End, now, io);
        }
        self.settle(id, io);
        self.after_heard(socket, now, io);
    }

    /// The connection broke: by the peer (`None`), or with an error of the socket.
    pub fn on_closed(&mut self, id: ConnId, errno: Option<i32>, now: Clock, io: &mut impl Io) {
        if let (Some(errno), Some(conn)) = (errno, self.conns.get_mut(id)) {
            let socket = conn.socket;
            self.on_socket_error(socket, errno, now);
        }
        self.later.now_ms = now.mono_ms;
        if self.conns.get(id).is_some_and(Conn::is_shaking_hands) {
            return self.on_tls_gone(id, io);
        }
        self.shut(id, Reason::PeerGone, errno.map_or(By::Reset, By::Error), io);
    }

    /// Offers bytes to the stage, beginning with the started frame, if any; keeps what is left.
    fn take_in(&mut self, id: ConnId, stretch: Stretch<'_>, now: Clock, io: &mut impl Io) {
        let Stretch { bytes, since_ms } = stretch;
        let mut start = 0;
        let mut offered = OFFERED_BYTES;
        let mut is_doubtful = false;
        while start < bytes.len() {
            let end = bytes.len().min(start + offered);
            let is_hasty = end == bytes.len() && self.conns.get_mut(id).is_some_and(|conn| conn.hasty);
            let patience = if is_hasty { Patience::Brief } else { Patience::Wait };
            let Some((step, held_max)) = self.run_stage(id, (&bytes[start..end], patience), now, io) else {
                return;
            };
            is_doubtful = step.doubtful;
            let consumed = step.consumed.min(end - start);
            start += consumed;
            if !self.send_out(id, now, io) {
                return;
            }
            if self.conns.get_mut(id).is_some_and(|conn| conn.stalled) {
                break;
            }
            if end == bytes.len() && !step.is_full {
                // No frame can be this long: not what the stage promises, but never kept.
                if start < end && (end - start > held_max.max(1) || !step.partial) {
                    self.drop_bytes(id, Reason::Garbage, (&bytes[start..], &bytes[start..]), now);
                    start = end;
                }
                break;
            }
            if self.effort.is_over() {
                self.rest(id, now);
                break;
            }
            if !step.is_full {
                offered = if consumed == 0 { offered * 2 } else { OFFERED_BYTES };
            }
        }
        let was_doubtful = self.conns.get(id).is_some_and(|conn| conn.doubtful) && start == 0;
        let since_ms = since_ms.filter(|_| start == 0 && is_doubtful == was_doubtful).unwrap_or(now.mono_ms);
        self.keep(id, &bytes[start..], since_ms);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.doubtful = is_doubtful && !conn.stalled;
        }
    }

    /// Keeps a started frame, or no memory where there is none.
    pub(crate) fn keep(&mut self, id: ConnId, rest: &[u8], since_ms: u64) {
        let spare = &mut self.buffers.spare;
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.partial_since_ms = since_ms;
        conn.doubtful = false;
        conn.partial.clear();
        if rest.is_empty() {
            conn.progress.forget();
        }
        if !rest.is_empty() {
            if conn.partial.capacity() == 0 {
                conn.partial = spare.pop().unwrap_or_default();
            }
            conn.partial.reserve_exact(rest.len());
            conn.partial.extend_from_slice(rest);
        } else if conn.partial.capacity() > 0 {
            let buffer = std::mem::take(&mut conn.partial);
            if spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= OFFERED_BYTES {
                spare.push(buffer);
            }
        }
    }

    /// Runs the stage, which leaves replies that are due in `buffers.out`. Also returns how many bytes may wait.
    fn run_stage(
        &mut self,
        id: ConnId,
        (bytes, patience): (&[u8], Patience),
        now: Clock,
        io: &mut impl Io,
    ) -> Option<(Step, usize)> {
        let socket = self.conns.get(id)?.socket;
        self.before_frame(socket, now, io);
        let frames_left = self.frames_until_play(socket);
        let conn = self.conns.get_mut(id)?;
        self.scratch.progress = conn.progress.with(patience);
        let slot = self.slots.get_mut(conn.socket as usize)?;
        let fsu = &self.fleet.fsus[slot.fsu as usize];
        let not_before_ns = conn.last_due_ns;
        let moment = Moment {
            now: now.now(),
            arrived_ns: now.unix_ns,
            not_before_ns: now.unix_of_later(not_before_ns),
            since_start_ms: now.mono_ms.saturating_sub(self.run.start_mono_ms),
        };
        let mut sink = StreamSink {
            io,
            later: &mut self.later,
            notes: &mut self.notes,
            tap: &mut self.tap,
            out: &mut self.buffers.out,
            out_lens: &mut self.buffers.out_lens,
            conn,
            id,
            fsu,
            fsu_number: slot.fsu,
            now,
            since_start_ms: moment.since_start_ms,
            frames_left,
            arrived_ns: now.mono_of(now.arrived_ns),
            not_before_ns,
            read_ns: None,
            moved_ns: 0,
            owed_max: fsu.limits.write_buffer_bytes_max,
            records_lost: 0,
            telling: Telling::default(),
            waited_in_vain: patience == Patience::Decide,
            effort: bytes.len(),
            effort_max: self.effort.left(),
        };
        let (run, state, scratch) = (&self.run, &mut slot.state, &mut self.scratch);
        let mut turn = Turn { run, fsu, state, scratch, moment };
        let step = self.protocol.on_bytes(&mut turn, bytes, &mut sink);
        let records_lost = sink.records_lost;
        self.effort.add(sink.effort + step.effort);
        sink.conn.progress = self.scratch.progress;
        if records_lost > 0 {
            slot.state.counters.log_records_lost += records_lost;
        }
        Some((step, self.protocol.held_max(fsu)))
    }

    /// A started frame was none: its first byte is garbage, and the search continues behind it.
    pub(super) fn skip_start(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let mut started = std::mem::take(&mut self.buffers.joined);
        started.clear();
        started.extend_from_slice(&conn.partial);
        conn.progress.skip_first();
        self.drop_bytes(id, Reason::FrameDeadline, (&started, &started[..1.min(started.len())]), now);
        let bytes = started.get(1..).unwrap_or_default();
        self.take_in(id, Stretch { bytes, since_ms: None }, now, io);
        self.buffers.joined = started;
    }

    /// A whole but wrong frame has waited long enough for a good one inside it, or no more bytes will come: it is decided now.
    pub(super) fn decide(&mut self, id: ConnId, patience: Patience, now: Clock, io: &mut impl Io) {
        // It is a frame or two, which are not kept for later.
        self.effort.allow_all();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let mut left = std::mem::take(&mut self.buffers.joined);
        left.clear();
        left.extend_from_slice(&conn.partial);
        let mut start = 0;
        while start < left.len() {
            let Some((step, _)) = self.run_stage(id, (&left[start..], patience), now, io) else { break };
            start += step.consumed;
            let is_alive = self.send_out(id, now, io);
            if !is_alive || !step.is_full || self.conns.get_mut(id).is_none_or(|conn| conn.stalled) {
                break;
            }
        }
        if self.conns.get_mut(id).is_some() {
            self.keep(id, &left[start.min(left.len())..], now.mono_ms);
        }
        self.buffers.joined = left;
    }

    /// Counts, notes and records bytes that were no frame; each byte is garbage.
    fn drop_bytes(&mut self, id: ConnId, reason: Reason, (about, bytes): (&[u8], &[u8]), now: Clock) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        let counters = &mut slot.state.counters;
        counters.dropped[Reason::Garbage as usize] += bytes.len() as u64;
        if reason != Reason::Garbage {
            counters.drop(reason);
        }
        let name = &self.fleet.fsus[slot.fsu as usize].name;
        self.notes.note(reason, now.mono_ms, &Input { fsu: name, peer: conn.peer, bytes: about });
        if self.tap.is_on()
            && !self.tap.record(Traffic {
                kind: RecordKind::Received,
                fsu: slot.fsu,
                peer: conn.peer,
                unix_ms: now.unix_ms,
                abouts: &[About::dropped(reason)],
                bytes,
            })
        {
            counters.log_records_lost += 1;
        }
    }
}
