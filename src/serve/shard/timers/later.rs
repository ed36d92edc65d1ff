//! Everything that is to be done later, and when.

use super::pending::{Dest, Pending, Queue};
use super::wheel::{Key, TICKS_PER_MS, Wheel, tick_from};
use crate::shard::io::Datagram;
use fsu_plan::memory;
use fsu_plan::wire::reason::Reason;

/// What the wheel holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    /// A waiting reply, by its place in the pool.
    Reply(u32),
    /// An FSU's next heartbeat.
    Heartbeat(u32),
    /// The next moment at which a centre of an FSU may have been silent for too long.
    Clients(u32),
    /// A connection's next deadline, by its place.
    Conn(u32),
    /// Accept again.
    Accept(u32),
    /// An outage of some FSUs may begin or end.
    Outage,
    /// Transfers with data of an old plan may be idle.
    Transfers(u32),
    /// Something that an FSU says unasked may be due.
    Talk(u32),
    /// An FSU's next dial.
    Dial(u32),
    /// The next turn of those that wait to dial.
    Dials,
    /// Lines about centres have been left out and are due as one.
    Tide,
    /// A slice of changes that were asked for.
    Steer,
}

/// Everything that is to be done later.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) pending: Pending,
    /// The time of the last [`Serve::on_tick`](crate::shard::serve::Serve::on_tick), monotonic.
    pub(crate) now_ms: u64,
}

impl Later {
    /// Makes room for `more` replies; false: there is no memory.
    #[inline]
    pub(crate) fn has_room(&mut self, more: usize) -> bool {
        self.pending.has_room(more) && self.wheel.has_room(more)
    }

    /// Makes room for one more reply. If memory is low, only a free place counts.
    #[inline]
    pub(crate) fn has_place(&mut self) -> bool {
        if memory::is_low() { self.pending.has_free() && self.wheel.has_free() } else { self.has_room(1) }
    }

    /// Whether one more datagram may be kept.
    #[inline]
    fn admit(&mut self) -> Result<(), Reason> {
        if self.has_place() { Ok(()) } else { Err(Reason::NoMemory) }
    }

    /// Keeps a datagram until `due_ns`, on the monotonic clock; or why not.
    pub(crate) fn reply(&mut self, datagram: Datagram, due_ns: u64, bytes: &[u8]) -> Result<(), Reason> {
        self.admit()?;
        let index = self.pending.add(datagram, due_ns, bytes)?;
        self.time(index, due_ns);
        Ok(())
    }

    /// Keeps a datagram that the kernel had no room for.
    pub(crate) fn again(&mut self, datagram: Datagram, due_ns: u64, bytes: &[u8]) -> Result<(), Reason> {
        self.admit()?;
        let index = self.pending.add_again(datagram, due_ns, bytes)?;
        self.time(index, due_ns);
        Ok(())
    }

    /// Keeps a reply for a connection until it is due, at the end of the connection's queue.
    pub(crate) fn owed(&mut self, queue: &mut Queue, dest: Dest, due_ns: u64, bytes: &[u8]) {
        let index = self.pending.add_owed(dest, due_ns, bytes);
        self.pending.append(queue, index);
        self.time(index, due_ns);
    }

    fn time(&mut self, index: u32, due_ns: u64) {
        let key = self.wheel.insert(tick_from(due_ns), Timer::Reply(index));
        self.pending.set_key(index, key);
    }

    /// Sets a timer, on the monotonic clock.
    pub(crate) fn at(&mut self, ms: u64, timer: Timer) -> Key {
        self.wheel.insert(ms.saturating_mul(TICKS_PER_MS), timer)
    }

    /// The same, in nanoseconds.
    pub(crate) fn at_ns(&mut self, ns: u64, timer: Timer) {
        self.wheel.insert(tick_from(ns), timer);
    }

    /// Drops a reply that will not be sent.
    pub(crate) fn forget(&mut self, index: u32) {
        if let Some((_, _, key)) = self.pending.get(index) {
            self.wheel.cancel(key);
            self.pending.release(index);
        }
    }
}
