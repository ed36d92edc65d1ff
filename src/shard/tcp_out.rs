//! Replies into connections, and the end of a connection.

use super::clock::Clock;
use super::conn::{PIECE, len_of};
use super::io::{ConnId, Interest, Io, Written};
use super::protocol::Protocol;
use super::serve::Serve;
use super::tap::{Kind, Tap};
use crate::codec::reason::Reason;
use crate::plan::fault::FaultKind;
use crate::responder::Cut;

/// Why replies that were still to come are lost with their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Dropped for that reason.
    Drop(Reason),
    /// A fault made on purpose; the connection is reset.
    Fault(FaultKind),
}

impl<P: Protocol, T: Tap> Serve<P, T> {
    /// Sends what the stage left in `buffers.out`. False: the connection is closed.
    pub(super) fn send_out(&mut self, id: ConnId, now: Clock, io: &mut impl Io) -> bool {
        if self.buffers.out_lens.is_empty() {
            return true;
        }
        let mut out = std::mem::take(&mut self.buffers.out);
        let mut lens = std::mem::take(&mut self.buffers.out_lens);
        let alive = self.put(id, &out, &lens, now.arrived_ns, now, io);
        out.clear();
        lens.clear();
        (self.buffers.out, self.buffers.out_lens) = (out, lens);
        alive
    }

    /// Sends replies of these lengths that were due at `due_ns`, after those that wait already. False: the connection is closed.
    fn put(&mut self, id: ConnId, bytes: &[u8], lens: &[u32], due_ns: i64, now: Clock, io: &mut impl Io) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return false };
        let mut taken = 0;
        if conn.unsent.is_empty() {
            match io.write(id, bytes) {
                Written::Bytes(count) => taken = count.min(bytes.len()),
                failed => {
                    let replies = lens.iter().filter(|&len| len & PIECE == 0).count();
                    slot.state.counters.dropped[Reason::PeerGone as usize] += replies as u64;
                    self.fail(id, failed, now, io);
                    return false;
                }
            }
        }
        let (mut start, mut whole) = (0, 0);
        // What the peer does not take yet was there in time.
        let unix_ns = io.unix_ns();
        let unix_ms = unix_ns / 1_000_000;
        self.late.record(due_ns, unix_ns, lens.iter().filter(|&len| len & PIECE == 0).count() as u64);
        for &len in lens {
            let end = start + len_of(len);
            if end > taken {
                break;
            }
            slot.state.counters.answered += u64::from(len & PIECE == 0);
            if self.tap.is_on() && !self.tap.record(Kind::Reply, slot.fsu, conn.peer, unix_ms, None, &bytes[start..end])
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
            let limits = &self.fleet.fsus[slot.fsu as usize].limits;
            conn.stalled |= conn.unsent.waiting().len() > limits.write_buffer_bytes_max;
        }
        true
    }

    /// A delayed reply of a connection is due; `mark`: as [`PIECE`], or 0.
    pub(super) fn on_stream_reply_due(
        &mut self,
        index: u32,
        id: ConnId,
        mark: u32,
        due_ns: i64,
        now: Clock,
        io: &mut impl Io,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.active_ms = now.mono_ms;
        self.later.pending.remove(&mut conn.delayed, index);
        let mut bytes = std::mem::take(&mut self.buffers.out);
        bytes.clear();
        bytes.extend_from_slice(self.later.pending.bytes(index));
        self.later.pending.release(index);
        self.put(id, &bytes, &[bytes.len() as u32 | mark], due_ns, now, io);
        bytes.clear();
        self.buffers.out = bytes;
        self.settle(id, io);
    }

    /// What ends a connection on purpose is due: the replies before it are out, as far as the peer takes them.
    pub(super) fn on_cut_due(&mut self, index: u32, id: ConnId, how: Cut, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        self.later.pending.remove(&mut conn.delayed, index);
        self.later.pending.release(index);
        match how {
            Cut::Reset => {
                let kind = conn.muted.unwrap_or(FaultKind::Reset);
                return self.lose(id, Lost::Fault(kind), io);
            }
            Cut::HalfClose => conn.half_closing = true,
            Cut::Stall => {}
        }
        self.settle(id, io);
    }

    /// A connection has room again.
    pub fn on_writable(&mut self, id: ConnId, now: Clock, io: &mut impl Io) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        if !conn.unsent.is_empty() {
            match io.write(id, conn.unsent.waiting()) {
                Written::Bytes(0) => return,
                Written::Bytes(count) => {
                    let (tap, counters) = (&mut self.tap, &mut slot.state.counters);
                    let unix_ms = io.unix_ns() / 1_000_000;
                    let peer = conn.peer;
                    conn.stalled_since_ms = now.mono_ms;
                    conn.unsent.advance(count, |reply, is_whole| {
                        counters.answered += u64::from(is_whole);
                        if tap.is_on() && !tap.record(Kind::Reply, slot.fsu, peer, unix_ms, None, reply) {
                            counters.log_records_lost += 1;
                        }
                    });
                    self.unsent_conns -= usize::from(conn.unsent.is_empty());
                }
                failed => return self.fail(id, failed, now, io),
            }
        }
        let limit = self.fleet.fsus[slot.fsu as usize].limits.write_buffer_bytes_max;
        if conn.stalled && conn.unsent.waiting().len() <= limit / 2 && self.drain_end_ms.is_none() {
            self.resume(id, now, io);
        }
        self.settle(id, io);
    }

    /// A write failed.
    fn fail(&mut self, id: ConnId, failed: Written, now: Clock, io: &mut impl Io) {
        let errno = if let Written::Failed(errno) = failed { Some(errno) } else { None };
        self.on_closed(id, errno, now, io);
    }

    /// Tells the driver what the connection waits for, if that has changed.
    pub(super) fn update_interest(&mut self, id: ConnId, io: &mut impl Io) {
        let draining = self.drain_end_ms.is_some();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let interest = Interest { read: !(conn.eof || conn.stalled || draining), write: !conn.unsent.is_empty() };
        if interest != conn.interest {
            conn.interest = interest;
            io.set_interest(id, interest);
        }
    }

    /// Closes a connection; replies that were still to come count as `lost`.
    pub(super) fn shut(&mut self, id: ConnId, lost: Reason, io: &mut impl Io) {
        self.lose(id, Lost::Drop(lost), io);
    }

    /// Closes or resets a connection.
    pub(super) fn lose(&mut self, id: ConnId, lost: Lost, io: &mut impl Io) {
        let Some(mut conn) = self.conns.remove(id) else { return };
        match lost {
            Lost::Drop(_) => io.close(id),
            Lost::Fault(_) => io.reset(id),
        }
        self.later.wheel.cancel(conn.timer.0);
        let mut count = conn.unsent.replies() as u64;
        self.unsent_conns -= usize::from(!conn.unsent.is_empty());
        while let Some(index) = self.later.pending.pop(&mut conn.delayed) {
            count += u64::from(self.later.pending.get(index).is_some_and(|(dest, ..)| dest.is_reply()));
            self.later.forget(index);
        }
        let key = (conn.socket, conn.peer.ip());
        if let Some(of_peer) = self.peers.get_mut(&key) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.peers.remove(&key);
            }
        }
        let Some(slot) = self.slots.get_mut(conn.socket as usize) else { return };
        slot.connections -= 1;
        match lost {
            Lost::Drop(reason) => slot.state.counters.dropped[reason as usize] += count,
            Lost::Fault(kind) => {
                for _ in 0..count {
                    self.fault(conn.socket, kind, io);
                }
            }
        }
    }
}
