//! Replies into connections, and the end of a connection.

use super::conn::UnsentReply;
use super::end::{By, Lost};
use super::tls;
use crate::shard::clock::Clock;
use crate::shard::effort::{CONN_EFFORT, FRAME_EFFORT};
use crate::shard::io::{ConnId, Interest, Io, Written};
use crate::shard::protocol::Protocol;
use crate::shard::recorder::{RecordKind, Recorder, Traffic};
use crate::shard::serve::Serve;
use crate::shard::talk::message_left;
use crate::shard::tide::Move;
use crate::shard::timers::pending::Dest;
use fsu_core::about::{About, What};
use fsu_core::sink::{Cut, Outgoing};
use fsu_core::state::Counters;
use fsu_plan::model::fault::{FaultKind, Struck};
use fsu_plan::wire::reason::Reason;
use std::net::SocketAddr;

/// Replies to send into a connection, one after another.
#[derive(Clone, Copy)]
struct Replies<'a> {
    bytes: &'a [u8],
    lens: &'a [UnsentReply],
    /// When they were due, wall clock in nanoseconds.
    due_ns: i64,
}

/// A delayed reply of a connection whose time has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueReply {
    pub(crate) id: ConnId,
    /// [`PIECE`](super::conn::PIECE), or 0.
    pub(crate) mark: u32,
    /// On the monotonic clock, in nanoseconds.
    pub(crate) due_ns: u64,
    /// How long its request waited to be read: without that wait, the reply was due that much earlier.
    pub(crate) waited_us: u32,
    pub(crate) about: About,
}

impl<P: Protocol, T: Recorder> Serve<P, T> {
    /// Sends what the stage left in `buffers.out`. False: the connection is closed.
    pub(crate) fn send_out(&mut self, id: ConnId, now: Clock, io: &mut impl Io) -> bool {
        if self.buffers.out_lens.is_empty() {
            self.hold(id);
            return true;
        }
        let mut out = std::mem::take(&mut self.buffers.out);
        let mut lens = std::mem::take(&mut self.buffers.out_lens);
        let alive = self.put(id, Replies { bytes: &out, lens: &lens, due_ns: now.arrived_ns }, now, io);
        out.clear();
        lens.clear();
        (self.buffers.out, self.buffers.out_lens) = (out, lens);
        self.hold(id);
        alive
    }

    /// Sends replies, after those that wait already. False: the connection is closed.
    fn put(&mut self, id: ConnId, replies: Replies<'_>, now: Clock, io: &mut impl Io) -> bool {
        let Replies { bytes, lens, due_ns } = replies;
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let (socket, peer) = (conn.socket, conn.peer);
        let Some(slot) = self.slots.get_mut(socket as usize) else { return false };
        let mut taken = 0;
        if conn.unsent.is_empty() {
            match tls::write(conn, id, bytes, io) {
                Written::Bytes(count) => taken = count.min(bytes.len()),
                failed => {
                    let replies = lens.iter().filter(|sent| sent.is_reply()).count();
                    slot.state.counters.dropped[Reason::PeerGone as usize] += replies as u64;
                    let mut start = 0;
                    for sent in lens {
                        let bytes = &bytes[start..start + sent.bytes()];
                        self.unsent((socket, peer), sent.about.drop(Reason::PeerGone), bytes, io);
                        start += sent.bytes();
                    }
                    self.fail(id, failed, now, io);
                    return false;
                }
            }
        }
        let (mut start, mut whole) = (0, 0);
        // Bytes that the peer does not take yet were ready in time.
        let unix_ns = io.unix_ns();
        let unix_ms = unix_ns / 1_000_000;
        self.late.record_streams(due_ns, unix_ns, lens.iter().filter(|sent| sent.is_reply()).count() as u64);
        if let Some(steer) = &mut self.steer {
            for sent in lens.iter().filter(|sent| sent.is_reply() && sent.about.what != What::Message) {
                steer.replied(unix_ns.saturating_sub(due_ns), &sent.about);
            }
        }
        if let [sent] = lens
            && sent.about.what == What::Message
            && sent.is_reply()
        {
            let fsu = slot.fsu;
            message_left(&self.fleet, &mut self.accounts, (fsu, sent.about), unix_ns.saturating_sub(due_ns));
        }
        for sent in lens {
            let end = start + sent.bytes();
            if end > taken {
                break;
            }
            count_sent(&mut slot.state.counters, sent);
            if self.tap.is_on()
                && !self.tap.record(Traffic {
                    kind: kind_of(sent.about),
                    fsu: slot.fsu,
                    peer,
                    unix_ms,
                    abouts: &[sent.about],
                    bytes: &bytes[start..end],
                })
            {
                slot.state.counters.log_records_lost += 1;
            }
            (start, whole) = (end, whole + 1);
        }
        if whole < lens.len() {
            if conn.unsent.is_empty() {
                conn.stalled_since_ms = now.mono_ms;
                self.unsent_conns += 1;
            }
            conn.unsent.push(&bytes[start..], &lens[whole..], taken - start);
        }
        true
    }

    /// Sends a frame that is due into a connection, behind what the kernel had no room for.
    pub(crate) fn put_one(
        &mut self,
        id: ConnId,
        (bytes, sent): (&[u8], UnsentReply),
        due_ns: i64,
        (now, io): (Clock, &mut impl Io),
    ) {
        self.put(id, Replies { bytes, lens: &[sent], due_ns }, now, io);
        self.hold(id);
    }

    /// A delayed reply of a connection is due: `index` is its place in the pool.
    pub(crate) fn on_stream_reply_due(&mut self, index: u32, reply: DueReply, now: Clock, io: &mut impl Io) {
        let DueReply { id, mark, due_ns, waited_us, about } = reply;
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.active_ms = now.mono_ms;
        self.later.pending.remove(&mut conn.delayed, index);
        let mut bytes = std::mem::take(&mut self.buffers.out);
        bytes.clear();
        bytes.extend_from_slice(self.later.pending.bytes(index));
        self.later.pending.release(index);
        let sent = UnsentReply { marked_len: bytes.len() as u32 | mark, about };
        self.effort.add(FRAME_EFFORT + bytes.len());
        let free_ns = now.unix_of(due_ns).saturating_sub(i64::from(waited_us) * 1_000);
        self.put(id, Replies { bytes: &bytes, lens: &[sent], due_ns: free_ns }, now, io);
        bytes.clear();
        self.buffers.out = bytes;
        self.hold(id);
        self.resume(id, due_ns, now, io);
        self.settle(id, io);
    }

    /// The end of a connection on purpose is due. The replies before it are sent, as far as the peer takes them.
    pub(crate) fn on_cut_due(&mut self, index: u32, (id, how): (ConnId, Cut), now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        self.later.pending.remove(&mut conn.delayed, index);
        self.later.pending.release(index);
        match how {
            Cut::Reset => {
                let kind = conn.muted.unwrap_or(FaultKind::Reset);
                return self.lose(id, Lost::Fault(kind), By::Fault(kind), io);
            }
            Cut::HalfClose => conn.half_closing = true,
            Cut::Stall => {}
        }
        self.resume(id, now.mono_ns, now, io);
        self.settle(id, io);
    }

    /// A connection has room again.
    pub fn on_writable(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        if !conn.unsent.is_empty() {
            let written = match &mut conn.tls {
                None => io.write(id, conn.unsent.waiting()),
                Some(session) => {
                    // There was room, hence the peer has taken some, though not a whole record.
                    conn.stalled_since_ms = now.mono_ms;
                    tls::seal(session, id, conn.unsent.waiting(), io)
                }
            };
            match written {
                Written::Bytes(0) => return,
                Written::Bytes(count) => {
                    self.effort.add(count);
                    let (tap, counters) = (&mut self.tap, &mut slot.state.counters);
                    let unix_ms = io.unix_ns() / 1_000_000;
                    let peer = conn.peer;
                    conn.stalled_since_ms = now.mono_ms;
                    conn.unsent.advance(count, |reply, sent| {
                        count_sent(counters, sent);
                        if tap.is_on()
                            && !tap.record(Traffic {
                                kind: kind_of(sent.about),
                                fsu: slot.fsu,
                                peer,
                                unix_ms,
                                abouts: &[sent.about],
                                bytes: reply,
                            })
                        {
                            counters.log_records_lost += 1;
                        }
                    });
                    self.unsent_conns -= usize::from(conn.unsent.is_empty());
                }
                failed => return self.fail(id, failed, now, io),
            }
        } else if let Some(session) = &mut conn.tls {
            tls::flush(session, id, io);
        }
        self.resume(id, now.mono_of(now.arrived_ns), now, io);
        self.settle(id, io);
    }

    /// A write failed.
    fn fail(&mut self, id: ConnId, failed: Written, now: Clock, io: &mut impl Io) {
        let errno = if let Written::Failed(errno) = failed { Some(errno) } else { None };
        self.on_closed(id, errno, now, io);
    }

    /// Tells the driver what the connection waits for, if that has changed.
    pub(crate) fn update_interest(&mut self, id: ConnId, io: &mut impl Io) {
        let draining = self.drain_end_ms.is_some();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let interest = Interest { read: !(conn.eof || conn.stalled || draining), write: conn.wants_write() };
        if interest != conn.interest {
            conn.interest = interest;
            io.set_interest(id, interest);
        }
    }

    /// Closes a connection; replies that were still to come count as `lost`.
    pub(crate) fn shut(&mut self, id: ConnId, lost: Reason, by: By, io: &mut impl Io) {
        self.lose(id, Lost::Drop(lost), by, io);
    }

    /// A line about the end of a connection.
    #[cold]
    fn tell_closed(&self, socket: u32, peer: SocketAddr, by: By) {
        let Some(slot) = self.slots.get(socket as usize) else { return };
        let name = &self.fleet.fsus[slot.fsu as usize].name;
        match by {
            By::Centre => log::info!("{name}: centre {peer} closed its connection"),
            By::Reset => log::info!("{name}: centre {peer} reset its connection"),
            By::Error(errno) => log::info!("{name}: connection of centre {peer} closed: socket error {errno}"),
            By::Reason(reason) | By::Handshake(reason) => {
                log::info!("{name}: connection of centre {peer} closed: {}", reason.meaning().trim());
            }
            By::Fault(kind) => {
                log::info!("{name}: connection of centre {peer} closed: fault {} ({})", kind.name(), kind.meaning());
            }
            By::Reload => log::info!("{name}: connection of centre {peer} closed: reload, the FSU is gone"),
            By::Moved => log::info!("{name}: connection to centre {peer} closed: reload, it dials elsewhere"),
            By::Reconnect => log::info!("{name}: connection of centre {peer} closed: it reconnects"),
            By::Dialling => {}
            By::Shutdown => log::info!("{name}: connection of centre {peer} closed: shutdown"),
        }
    }

    /// Closes or resets a connection.
    pub(crate) fn lose(&mut self, id: ConnId, lost: Lost, by: By, io: &mut impl Io) {
        let Some(mut conn) = self.conns.remove(id) else { return };
        self.effort.add(CONN_EFFORT);
        if conn.is_told && self.tide.tells(Move::Closed, self.later.now_ms, &mut self.later) {
            self.tell_closed(conn.socket, conn.peer, by);
        }
        match lost {
            Lost::Drop(_) => {
                tls::say_goodbye(&mut conn, id, io);
                io.close(id);
            }
            Lost::Fault(_) => io.reset(id),
        }
        self.later.wheel.cancel(conn.timer.0);
        let mut count = conn.unsent.replies() as u64;
        let (socket, peer) = (conn.socket, conn.peer);
        let mut struck: Vec<Struck> = match lost {
            Lost::Fault(_) => conn.unsent.replies_about().map(|about| self.struck(socket, about)).collect(),
            Lost::Drop(_) => Vec::new(),
        };
        if self.tap.is_on() {
            for (bytes, about) in conn.unsent.iter() {
                self.unsent((socket, peer), lost.of(about), bytes, io);
            }
        }
        self.unsent_conns -= usize::from(!conn.unsent.is_empty());
        while let Some(index) = self.later.pending.pop(&mut conn.delayed) {
            if let Some((dest, ..)) = self.later.pending.get(index) {
                count += u64::from(dest.is_reply());
                if let Dest::Stream(_, about, _) | Dest::Piece(_, about, _) = dest {
                    if matches!(lost, Lost::Fault(_)) && dest.is_reply() {
                        struck.push(self.struck(socket, about));
                    }
                    self.unsent_at(index, (socket, peer), lost.of(about), io);
                }
            }
            self.later.forget(index);
        }
        let key = (conn.socket, conn.peer.ip());
        if let Some(of_peer) = self.peers.get_mut(&key).filter(|_| conn.is_of_peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.peers.remove(&key);
            }
        }
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        slot.disconnect();
        match lost {
            Lost::Drop(reason) => slot.state.counters.dropped[reason as usize] += count,
            Lost::Fault(kind) => {
                for frame in struck {
                    self.fault(conn.socket, kind, frame, io);
                }
            }
        }
        self.on_down(id, (&conn, by), io);
    }
}

/// Counts a frame that was handed to the kernel.
#[inline]
fn count_sent(counters: &mut Counters, sent: &UnsentReply) {
    if sent.is_reply() {
        counters.sent(if sent.about.what == What::Message { Outgoing::Message } else { Outgoing::Reply });
    }
}

/// As the log calls it.
#[inline]
fn kind_of(about: About) -> RecordKind {
    if about.what == What::Message { RecordKind::Message } else { RecordKind::Reply }
}
