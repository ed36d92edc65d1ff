//! Replies that wait for their time: a pool of slots with buffers that are reused.
//!
//! The receiver decides which limit applies. Replies into a connection count there ([`Queue::bytes`]); past the limit of the connection
//! nothing more is read from it. Datagrams share the pool: every FSU and every peer has a share ([`super::share`]).

use super::share::Shares;
use super::wheel::Key;
use crate::shard::io::{ConnId, Datagram};
use fsu_core::about::About;
use fsu_core::sink::Cut;
use fsu_plan::memory;
use fsu_plan::wire::reason::Reason;

/// A buffer larger than this is given back when its reply has left, so that a few large replies do not stay for good.
const KEPT_BUFFER_BYTES_MAX: usize = 1_024;

/// Room in buffers beyond what their replies have, kept for the next ones; past it a buffer is given back when its reply has left. As
/// much as 262,144 replies of 250 bytes have.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What a waiting reply takes beside its bytes.
const SLOT_BYTES: usize = 136;
const _: () = assert!(size_of::<Waiting>() <= SLOT_BYTES);

const NONE: u32 = u32::MAX;

/// Where a waiting reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// Out of a socket.
    Datagram(Datagram),
    /// Into a connection; and how many microseconds its request may have waited before it was read.
    Stream(ConnId, About, u32),
    /// The same: a piece of a reply, but for its last one.
    Piece(ConnId, About, u32),
    /// No reply: what ends a connection for the peer, on purpose.
    Cut(ConnId, Cut),
}

impl Dest {
    /// Whether it is a reply as a whole, or the last of one: what is counted.
    pub fn is_reply(self) -> bool {
        matches!(self, Self::Datagram(_) | Self::Stream(..))
    }
}

#[derive(Debug)]
struct Waiting {
    /// `None`: free.
    dest: Option<Dest>,
    /// On the monotonic clock, in nanoseconds.
    due_ns: u64,
    key: Key,
    /// The next free slot; or the next reply of the same connection.
    next: u32,
    /// The reply before it of the same connection, unless it is the first. Of a datagram: which counter is its peer's.
    before: u32,
    bytes: Vec<u8>,
}

/// The waiting replies of one connection, first due first.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    head: u32,
    tail: u32,
    bytes: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NONE, tail: NONE, bytes: 0 }
    }
}

impl Queue {
    /// Whether none waits.
    pub fn is_empty(self) -> bool {
        self.head == NONE
    }

    /// Memory of its replies: their bytes, and the slot of each.
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

/// The pool.
#[derive(Debug)]
pub struct Pending {
    slots: Vec<Waiting>,
    free: u32,
    len: usize,
    shares: Shares,
    /// Room in buffers beyond what is in them.
    kept_bytes: usize,
}

impl Default for Pending {
    fn default() -> Self {
        Self::with(Shares::default())
    }
}

impl Pending {
    /// A pool with these shares for datagrams.
    pub fn with(shares: Shares) -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0, shares, kept_bytes: 0 }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a slot is free that was used before.
    pub fn has_free(&self) -> bool {
        self.free != NONE
    }

    /// Makes room for `more` slots; false: there is no memory.
    pub fn has_room(&mut self, more: usize) -> bool {
        let free = self.slots.len() - self.len;
        memory::has_room(&mut self.slots, more.saturating_sub(free))
    }

    /// Slots that there is memory for and nothing in.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.slots.capacity() - self.len
    }

    /// Keeps a datagram; or why not: there is no room, or its FSU or its peer has more than its share. [`Pending::set_key`] sets its
    /// wheel entry.
    pub fn add(&mut self, datagram: Datagram, due_ns: u64, bytes: &[u8]) -> Result<u32, Reason> {
        let peer = self.shares.take(&datagram, bytes.len())?;
        Ok(self.keep_datagram(datagram, peer, due_ns, bytes))
    }

    /// Keeps a datagram that had its place before, and is tried again.
    pub fn add_again(&mut self, datagram: Datagram, due_ns: u64, bytes: &[u8]) -> Result<u32, Reason> {
        let peer = self.shares.take_again(&datagram, bytes.len())?;
        Ok(self.keep_datagram(datagram, peer, due_ns, bytes))
    }

    /// Keeps what goes into a connection, to be put into its queue by [`Pending::append`].
    pub fn add_owed(&mut self, dest: Dest, due_ns: u64, bytes: &[u8]) -> u32 {
        self.keep(dest, due_ns, bytes)
    }

    fn keep_datagram(&mut self, datagram: Datagram, peer: u32, due_ns: u64, bytes: &[u8]) -> u32 {
        let index = self.keep(Dest::Datagram(datagram), due_ns, bytes);
        self.slots[index as usize].before = peer;
        index
    }

    fn keep(&mut self, dest: Dest, due_ns: u64, bytes: &[u8]) -> u32 {
        if self.free == NONE {
            self.free = self.slots.len() as u32;
            self.slots.push(Waiting {
                dest: None,
                due_ns: 0,
                key: Key::NONE,
                next: NONE,
                before: NONE,
                bytes: Vec::new(),
            });
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next;
        (slot.dest, slot.due_ns, slot.key, slot.next) = (Some(dest), due_ns, Key::NONE, NONE);
        self.kept_bytes -= slot.bytes.capacity();
        if slot.bytes.capacity() < bytes.len() {
            slot.bytes.reserve_exact(bytes.len());
        }
        slot.bytes.extend_from_slice(bytes);
        self.kept_bytes += slot.bytes.capacity() - bytes.len();
        self.len += 1;
        index
    }

    /// The wheel entry that fires it.
    pub fn set_key(&mut self, index: u32, key: Key) {
        self.slots[index as usize].key = key;
    }

    /// Puts it at the end of a connection's queue.
    pub fn append(&mut self, queue: &mut Queue, index: u32) {
        if queue.is_empty() {
            queue.head = index;
        } else {
            self.slots[queue.tail as usize].next = index;
        }
        self.slots[index as usize].before = queue.tail;
        queue.tail = index;
        queue.bytes += self.memory(index);
    }

    /// Takes the first of a connection's queue out of the queue (not out of the pool).
    pub fn pop(&self, queue: &mut Queue) -> Option<u32> {
        let index = queue.head;
        if index == NONE {
            return None;
        }
        queue.head = self.slots[index as usize].next;
        queue.bytes -= self.memory(index);
        Some(index)
    }

    /// What a reply takes.
    fn memory(&self, index: u32) -> usize {
        SLOT_BYTES + self.slots[index as usize].bytes.len()
    }

    /// Removes `index`, which must be in it, from a connection's queue.
    pub fn remove(&mut self, queue: &mut Queue, index: u32) {
        let Waiting { before, next, .. } = self.slots[index as usize];
        queue.bytes -= self.memory(index);
        if queue.head == index {
            queue.head = next;
            return;
        }
        self.slots[before as usize].next = next;
        if next == NONE {
            queue.tail = before;
        } else {
            self.slots[next as usize].before = before;
        }
    }

    /// Where a waiting reply goes, when it is due (on the monotonic clock, in nanoseconds) and its wheel entry; `None` for a free slot.
    pub fn get(&self, index: u32) -> Option<(Dest, u64, Key)> {
        let slot = self.slots.get(index as usize)?;
        slot.dest.map(|dest| (dest, slot.due_ns, slot.key))
    }

    /// Its bytes.
    pub fn bytes(&self, index: u32) -> &[u8] {
        &self.slots[index as usize].bytes
    }

    /// Frees the slot of a reply that was sent or never will be.
    pub fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if let Some(Dest::Datagram(datagram)) = &slot.dest {
            self.shares.give_back(datagram.socket, slot.before, slot.bytes.len());
        }
        self.len -= 1;
        self.kept_bytes -= slot.bytes.capacity() - slot.bytes.len();
        let capacity = slot.bytes.capacity();
        if capacity > KEPT_BUFFER_BYTES_MAX || self.kept_bytes + capacity > KEPT_BYTES_MAX {
            slot.bytes = Vec::new();
        }
        slot.bytes.clear();
        self.kept_bytes += slot.bytes.capacity();
        (slot.dest, slot.next) = (None, self.free);
        self.free = index;
    }

    /// One past the highest slot in use: with [`Pending::get`] every waiting reply is found.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_core::sink::Outgoing;
    use fsu_net::local::Local;

    fn dest(index: u32) -> Dest {
        Dest::Stream(ConnId { index, generation: 0 }, About::UNKNOWN, 0)
    }

    fn datagram(socket: u32) -> Datagram {
        let peer = ([127, 0, 0, 1], 1).into();
        Datagram { socket, peer, local: Local::ANY, what: Outgoing::Reply, tries: 0, due_ns: 0, about: About::UNKNOWN }
    }

    #[test]
    fn slots_and_their_buffers_are_reused_up_to_the_limit() {
        let mut pending = Pending::with(Shares::with(2, 1_000));
        let first = pending.add(datagram(1), 10, b"first").unwrap();
        let second = pending.add(datagram(2), 20, b"second").unwrap();
        assert_eq!(pending.add(datagram(3), 30, b"third"), Err(Reason::PendingFull));
        assert_eq!(pending.add_again(datagram(3), 30, b"third"), Err(Reason::PendingFull));
        assert_eq!((pending.bytes(first), pending.bytes(second)), (&b"first"[..], &b"second"[..]));
        pending.release(first);
        assert_eq!(pending.get(first), None);
        let third = pending.add(datagram(3), 30, b"third").unwrap();
        assert_eq!((third, pending.get(third)), (first, Some((Dest::Datagram(datagram(3)), 30, Key::NONE))));
        assert_eq!((pending.bytes(third), pending.len(), pending.slots()), (&b"third"[..], 2, 2));
        // What goes into a connection is bounded there.
        pending.add_owed(dest(1), 30, b"fourth");
        assert_eq!((pending.len(), pending.slots()), (3, 3));
    }

    #[test]
    fn a_queue_keeps_its_order_and_lets_any_go() {
        let mut pending = Pending::default();
        let mut queue = Queue::default();
        let indexes: Vec<u32> = (0..5).map(|n| pending.add_owed(dest(0), n, b"")).collect();
        for &index in &indexes {
            pending.append(&mut queue, index);
        }
        pending.remove(&mut queue, indexes[0]);
        pending.remove(&mut queue, indexes[2]);
        pending.remove(&mut queue, indexes[3]);
        pending.remove(&mut queue, indexes[4]);
        let next = pending.add_owed(dest(0), 9, b"abc");
        pending.append(&mut queue, next);
        assert_eq!(queue.bytes(), 2 * SLOT_BYTES + 3);
        let left: Vec<u32> = std::iter::from_fn(|| pending.pop(&mut queue)).collect();
        assert_eq!(left, [indexes[1], next]);
        assert!(queue.is_empty());
        // Empty, and filled again.
        let two = [20, 30].map(|due_ns| pending.add_owed(dest(0), due_ns, b""));
        for index in two {
            pending.append(&mut queue, index);
        }
        for index in two {
            pending.remove(&mut queue, index);
        }
        assert!(queue.is_empty());
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_slot_is_as_large_as_documented() {
        assert_eq!(SLOT_BYTES, 136);
    }

    #[test]
    fn limit_kept_buffer_bytes_max() {
        let check = |bytes: usize, kept: bool| {
            let mut pending = Pending::default();
            let index = pending.add_owed(dest(1), 1, &vec![0; bytes]);
            assert_eq!(pending.slots[index as usize].bytes.capacity(), bytes);
            pending.release(index);
            assert_eq!(pending.slots[index as usize].bytes.capacity() > 0, kept, "{bytes}");
        };
        check(KEPT_BUFFER_BYTES_MAX, true);
        check(KEPT_BUFFER_BYTES_MAX + 1, false);
    }

    #[test]
    fn limit_kept_bytes_max() {
        let mut pending = Pending::default();
        let count = KEPT_BYTES_MAX / KEPT_BUFFER_BYTES_MAX + 10;
        let fill = |pending: &mut Pending, bytes: &[u8]| {
            let all: Vec<u32> = (0..count).map(|_| pending.add_owed(dest(1), 1, bytes)).collect();
            for index in all {
                pending.release(index);
            }
        };
        for bytes in [&[0; KEPT_BUFFER_BYTES_MAX][..], b"x", &[0; KEPT_BUFFER_BYTES_MAX]] {
            fill(&mut pending, bytes);
            let kept: usize = pending.slots.iter().map(|slot| slot.bytes.capacity()).sum();
            assert_eq!((kept, pending.len()), (pending.kept_bytes, 0));
            assert!((KEPT_BYTES_MAX - (32 << 10)..=KEPT_BYTES_MAX).contains(&kept), "{kept}");
        }
    }
}
