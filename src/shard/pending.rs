//! Replies that wait for their time: a pool of slots with buffers that are reused.

use super::io::{ConnId, Datagram};
use super::wheel::Key;
use crate::responder::Cut;
use crate::responder::about::About;

/// Replies of one shard that may wait at once.
///
/// 100,000 is what a fleet with slow devices comes to (10,000 requests a second answered after 10 s); this leaves
/// room to spare. A slot takes 136 bytes and the buffer of its reply: 262,144 replies of 100 bytes are 62 MB. Taken
/// as they come, and kept for the next. Past it a reply is dropped and counted `pending_full`.
pub const PENDING_REPLIES_MAX: usize = 262_144;

/// Bytes of replies of one shard that may wait at once; the bound where replies are large.
pub const PENDING_BYTES_MAX: usize = 256 << 20;

/// A buffer larger than this is given back when its reply has left, so that a few large replies do not stay for good.
const KEPT_BUFFER_BYTES_MAX: usize = 1_024;

const NONE: u32 = u32::MAX;

/// Where a waiting reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// Out of a socket.
    Datagram(Datagram),
    /// Into a connection.
    Stream(ConnId, About),
    /// The same: a piece of a reply, but for its last one.
    Piece(ConnId, About),
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
struct Slot {
    /// `None`: free.
    dest: Option<Dest>,
    /// On the monotonic clock, in nanoseconds.
    due_ns: u64,
    key: Key,
    /// The next free slot; or the next reply of the same connection.
    next: u32,
    /// The reply before it of the same connection, unless it is the first.
    before: u32,
    bytes: Vec<u8>,
}

/// The waiting replies of one connection, first due first.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    head: u32,
    tail: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

impl Queue {
    /// Whether none waits.
    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

/// The pool.
#[derive(Debug)]
pub struct Pending {
    slots: Vec<Slot>,
    free: u32,
    len: usize,
    bytes: usize,
    replies_max: usize,
}

impl Default for Pending {
    fn default() -> Self {
        Self::with_limit(PENDING_REPLIES_MAX)
    }
}

impl Pending {
    /// A pool with another limit than [`PENDING_REPLIES_MAX`].
    pub fn with_limit(replies_max: usize) -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0, bytes: 0, replies_max }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a reply; `None`: there is no room. Its wheel entry is told by [`Pending::set_key`].
    pub fn add(&mut self, dest: Dest, due_ns: u64, bytes: &[u8]) -> Option<u32> {
        if self.len >= self.replies_max || self.bytes + bytes.len() > PENDING_BYTES_MAX {
            return None;
        }
        if self.free == NONE {
            self.free = self.slots.len() as u32;
            self.slots.push(Slot {
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
        slot.bytes.extend_from_slice(bytes);
        self.len += 1;
        self.bytes += bytes.len();
        Some(index)
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
    }

    /// Takes the first of a connection's queue out of the queue (not out of the pool).
    pub fn pop(&self, queue: &mut Queue) -> Option<u32> {
        let index = queue.head;
        if index == NONE {
            return None;
        }
        queue.head = self.slots[index as usize].next;
        Some(index)
    }

    /// Takes `index`, which is in it, out of a connection's queue, wherever it stands there.
    pub fn remove(&mut self, queue: &mut Queue, index: u32) {
        let Slot { before, next, .. } = self.slots[index as usize];
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

    /// Lets go of a reply that has left or never will.
    pub fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        self.len -= 1;
        self.bytes -= slot.bytes.len();
        if slot.bytes.capacity() > KEPT_BUFFER_BYTES_MAX {
            slot.bytes = Vec::new();
        }
        slot.bytes.clear();
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

    fn dest(index: u32) -> Dest {
        Dest::Stream(ConnId { index, generation: 0 }, About::UNKNOWN)
    }

    #[test]
    fn slots_and_their_buffers_are_reused_up_to_the_limit() {
        let mut pending = Pending::with_limit(2);
        let first = pending.add(dest(1), 10, b"first").unwrap();
        let second = pending.add(dest(2), 20, b"second").unwrap();
        assert_eq!(pending.add(dest(3), 30, b"third"), None);
        assert_eq!((pending.bytes(first), pending.bytes(second)), (&b"first"[..], &b"second"[..]));
        pending.release(first);
        assert_eq!(pending.get(first), None);
        let third = pending.add(dest(3), 30, b"third").unwrap();
        assert_eq!((third, pending.get(third)), (first, Some((dest(3), 30, Key::NONE))));
        assert_eq!((pending.bytes(third), pending.len(), pending.slots()), (&b"third"[..], 2, 2));
    }

    #[test]
    fn limit_pending_bytes_max_bytes_are_bounded_too() {
        let mut pending = Pending::default();
        let large = vec![0; PENDING_BYTES_MAX / 2];
        let first = pending.add(dest(1), 1, &large).unwrap();
        pending.add(dest(1), 1, &large).unwrap();
        assert_eq!(pending.add(dest(1), 1, b"x"), None);
        pending.release(first);
        assert!(pending.add(dest(1), 1, b"x").is_some());
    }

    #[test]
    fn a_queue_keeps_its_order_and_lets_any_go() {
        let mut pending = Pending::default();
        let mut queue = Queue::default();
        let indexes: Vec<u32> = (0..5).map(|n| pending.add(dest(0), n, b"").unwrap()).collect();
        for &index in &indexes {
            pending.append(&mut queue, index);
        }
        pending.remove(&mut queue, indexes[0]);
        pending.remove(&mut queue, indexes[2]);
        pending.remove(&mut queue, indexes[3]);
        pending.remove(&mut queue, indexes[4]);
        let next = pending.add(dest(0), 9, b"").unwrap();
        pending.append(&mut queue, next);
        let left: Vec<u32> = std::iter::from_fn(|| pending.pop(&mut queue)).collect();
        assert_eq!(left, [indexes[1], next]);
        assert!(queue.is_empty());
        // Empty, and filled again.
        let two = [20, 30].map(|due_ns| pending.add(dest(0), due_ns, b"").unwrap());
        for index in two {
            pending.append(&mut queue, index);
        }
        for index in two {
            pending.remove(&mut queue, index);
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn a_slot_is_as_large_as_documented() {
        assert!(size_of::<Slot>() <= 136, "{}", size_of::<Slot>());
    }

    #[test]
    fn limit_pending_replies_max() {
        let mut pending = Pending::default();
        let kept = (0..2 * PENDING_REPLIES_MAX).take_while(|_| pending.add(dest(1), 1, b"x").is_some()).count();
        assert_eq!((kept, PENDING_REPLIES_MAX), (262_144, 262_144));
        pending.release(0);
        assert!(pending.add(dest(1), 1, b"x").is_some());
    }

    #[test]
    fn limit_kept_buffer_bytes_max() {
        let check = |bytes: usize, kept: bool| {
            let mut pending = Pending::default();
            let buffer = vec![0; bytes];
            let index = pending.add(dest(1), 1, &buffer).unwrap();
            pending.slots[index as usize].bytes = buffer;
            pending.release(index);
            assert_eq!(pending.slots[index as usize].bytes.capacity() > 0, kept, "{bytes}");
        };
        check(KEPT_BUFFER_BYTES_MAX, true);
        check(KEPT_BUFFER_BYTES_MAX + 1, false);
    }
}
