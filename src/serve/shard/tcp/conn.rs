//! What is kept of a TCP connection: nothing but this while it is idle.

use super::tls::TLS_HANDSHAKE_MS;
use crate::shard::io::{ConnId, Interest};
use crate::shard::look::Unread;
use crate::shard::timers::pending::Queue;
use crate::shard::timers::wheel::Key;
use fsu_core::about::About;
use fsu_core::state::progress::Progress;
use fsu_net::sys::prefetch;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Limits;
use fsu_tls::Session;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// One connection. Times are monotonic milliseconds.
#[derive(Debug)]
pub struct Conn {
    /// The FSU's number in the shard.
    pub socket: u32,
    /// The centre.
    pub peer: SocketAddr,
    /// A started frame that waits for more; past the write limit, all that was read and not handled.
    pub partial: Vec<u8>,
    /// When that frame started; where it is [`Conn::doubtful`], when it was whole.
    pub partial_since_ms: u64,
    /// It is whole and not good, and waits for a good one inside it.
    pub doubtful: bool,
    /// Its centre sends wrong frames on purpose: one was answered after it had waited in vain for a good one. The last frame of a read no
    /// longer waits, until there is garbage.
    pub hasty: bool,
    /// What is known of the bytes that are not read yet.
    pub unread: Unread,
    /// It was interrupted, and goes on later with what was read: since when that may have been there, on the monotonic clock in
    /// nanoseconds; else the greatest.
    pub rested_ns: u64,
    /// How far frames were looked for in it.
    pub progress: Progress,
    /// Replies that the kernel had no room for.
    pub unsent: Unsent,
    /// When the kernel last had room.
    pub stalled_since_ms: u64,
    /// When the last whole frame came, or the last delayed reply was due, or the connection came.
    pub active_ms: u64,
    /// When the last of its delayed replies is due, in nanoseconds.
    pub last_due_ns: u64,
    /// The same, had no request waited to be read.
    pub free_due_ns: u64,
    /// Its replies in the pool.
    pub delayed: Queue,
    /// Its entry in the wheel, and when that fires.
    pub timer: (Key, u64),
    /// The peer will send no more.
    pub eof: bool,
    /// Nothing is read until less is owed to the peer.
    pub stalled: bool,
    /// What the driver knows of it.
    pub interest: Interest,
    /// A fault made on purpose, for which nothing more is sent.
    pub muted: Option<FaultKind>,
    /// The FSU's half is to be closed once all is sent.
    pub half_closing: bool,
    /// Its end belongs in the system log, as its beginning was logged.
    pub is_told: bool,
    /// It is one of those that its centre's address may have (`connections_per_peer_max`).
    pub is_of_peer: bool,
    /// Who opened it.
    pub way: Way,
    /// Its TLS session.
    pub tls: Option<Box<Session>>,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The centre.
    Accepted,
    /// The FSU, and it is not up yet: nothing is read or written.
    Dialling,
    /// The FSU.
    Dialled,
}

/// What an unsent reply takes beside its bytes, as documented.
const _: () = assert!(size_of::<UnsentReply>() == 24);

/// Marks a length of a piece of a reply, but for its last one: no reply of its own.
pub const PIECE: u32 = 1 << 31;

/// A reply on its way, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsentReply {
    /// Its length; a [`PIECE`] is marked.
    pub marked_len: u32,
    /// What is known of it.
    pub about: About,
}

impl UnsentReply {
    /// How many bytes it has.
    #[inline]
    pub fn bytes(&self) -> usize {
        (self.marked_len & !PIECE) as usize
    }

    /// Whether it is a reply as a whole, or the last piece of one: what is counted.
    #[inline]
    pub fn is_reply(&self) -> bool {
        self.marked_len & PIECE == 0
    }
}

/// A whole frame that is not good waits for so long for what may make a good one that begins inside it: longer than a message that
/// comes in pieces takes, and short enough for a centre that waits for its answer (`verify_checksum: warn`).
pub const DOUBT_MS: u64 = 250;

/// No deadline.
pub const NEVER_MS: u64 = u64::MAX;

impl Conn {
    /// A connection that was just accepted.
    pub fn new(socket: u32, peer: SocketAddr, now_ms: u64) -> Self {
        Self {
            socket,
            peer,
            partial: Vec::new(),
            partial_since_ms: now_ms,
            doubtful: false,
            hasty: false,
            unread: Unread::default(),
            rested_ns: u64::MAX,
            progress: Progress::default(),
            unsent: Unsent::default(),
            stalled_since_ms: now_ms,
            active_ms: now_ms,
            last_due_ns: 0,
            free_due_ns: 0,
            delayed: Queue::default(),
            timer: (Key::NONE, NEVER_MS),
            eof: false,
            stalled: false,
            interest: Interest { read: true, write: false },
            muted: None,
            half_closing: false,
            is_told: true,
            is_of_peer: false,
            way: Way::Accepted,
            tls: None,
        }
    }

    /// A connection that is being opened.
    pub fn dialling(socket: u32, peer: SocketAddr, now_ms: u64) -> Self {
        let interest = Interest { read: false, write: true };
        Self { interest, is_told: false, way: Way::Dialling, ..Self::new(socket, peer, now_ms) }
    }

    /// It is there, and its TLS session if it has one.
    pub fn is_up(&self) -> bool {
        self.way != Way::Dialling && !self.is_shaking_hands()
    }

    /// When the frame it started must be whole.
    pub fn frame_deadline_ms(&self, limits: &Limits) -> u64 {
        if self.partial.is_empty() || self.stalled || self.eof {
            return NEVER_MS;
        }
        let wait_ms = if self.doubtful { DOUBT_MS.min(limits.frame_deadline_ms) } else { limits.frame_deadline_ms };
        self.partial_since_ms.saturating_add(wait_ms)
    }

    /// When the peer must have taken some of what waits.
    pub fn write_deadline_ms(&self, limits: &Limits) -> u64 {
        if self.unsent.is_empty() {
            return NEVER_MS;
        }
        self.stalled_since_ms.saturating_add(limits.write_deadline_ms)
    }

    /// When it has been idle for too long. Replies that are owed hold it open, and it has its time again once they are out.
    pub fn idle_deadline_ms(&self, limits: &Limits) -> u64 {
        if !(self.delayed.is_empty() && self.unsent.is_empty()) {
            return NEVER_MS;
        }
        self.active_ms.max(self.stalled_since_ms).saturating_add(limits.idle_timeout_ms)
    }

    /// The earliest of these.
    pub fn deadline_ms(&self, limits: &Limits) -> u64 {
        if self.way == Way::Dialling {
            return super::dial::deadline_ms(self);
        }
        if self.is_shaking_hands() {
            return self.active_ms.saturating_add(TLS_HANDSHAKE_MS);
        }
        self.frame_deadline_ms(limits).min(self.write_deadline_ms(limits)).min(self.idle_deadline_ms(limits))
    }

    /// Memory of the replies that it is still to get, be it because they are not due yet or because the kernel has no room.
    #[inline]
    pub fn owed(&self) -> usize {
        self.unsent.memory() + self.delayed.bytes()
    }

    /// Nothing more can come, and nothing is left to send.
    pub fn is_finished(&self) -> bool {
        self.eof && self.partial.is_empty() && self.delayed.is_empty() && self.unsent.is_empty()
    }
}

/// Replies that wait for room in the kernel, whole ones: the first until its last byte was taken.
#[derive(Debug, Default)]
pub struct Unsent {
    bytes: Vec<u8>,
    /// Where the first reply starts.
    start: usize,
    /// How far the kernel has taken.
    taken: usize,
    lens: VecDeque<UnsentReply>,
}

/// Bytes of replies that left before they are moved out of the buffer.
const COMPACT_BYTES: usize = 32 << 10;
/// A buffer that is too small grows by this part of what it holds, and at least by this many bytes or replies. A `Vec` would double
/// instead.
const GROWTH_PART: usize = 8;
const GROWTH_BYTES_MIN: usize = 4 << 10;
const GROWTH_REPLIES_MIN: usize = 32;

impl Unsent {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// How many replies wait.
    pub fn replies(&self) -> usize {
        self.replies_about().count()
    }

    /// What is known of each of them.
    pub fn replies_about(&self) -> impl Iterator<Item = About> {
        self.lens.iter().filter(|sent| sent.is_reply()).map(|sent| sent.about)
    }

    /// Adds replies of these lengths, of which the kernel has taken `taken` bytes already: less than the first.
    pub fn push(&mut self, bytes: &[u8], lens: &[UnsentReply], taken: usize) {
        if self.lens.is_empty() {
            self.taken = taken;
        }
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.compact();
            let more = bytes.len().max((self.bytes.len() + bytes.len()) / GROWTH_PART).max(GROWTH_BYTES_MIN);
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend_from_slice(bytes);
        if self.lens.capacity() - self.lens.len() < lens.len() {
            let more = lens.len().max((self.lens.len() + lens.len()) / GROWTH_PART).max(GROWTH_REPLIES_MIN);
            self.lens.reserve_exact(more);
        }
        self.lens.extend(lens);
    }

    /// What they take: their bytes, the first with all of them, and what is kept of each.
    #[inline]
    pub fn memory(&self) -> usize {
        self.bytes.len() - self.start + self.lens.len() * size_of::<UnsentReply>()
    }

    /// What its buffers take.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.lens.capacity() * size_of::<UnsentReply>()
    }

    /// Moves out what has left.
    fn compact(&mut self) {
        self.bytes.drain(..self.start);
        self.taken -= self.start;
        self.start = 0;
    }

    /// Those that wait, the first with all its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], About)> {
        self.lens.iter().scan(self.start, |at, reply| {
            let start = *at;
            *at += reply.bytes();
            Some((&self.bytes[start..*at], reply.about))
        })
    }

    /// The kernel has taken `count` bytes. Calls `sent` for every reply, or piece of one, that is sent with that.
    pub fn advance(&mut self, count: usize, mut sent: impl FnMut(&[u8], &UnsentReply)) {
        self.taken += count;
        while let Some(&reply) = self.lens.front() {
            let end = self.start + reply.bytes();
            if end > self.taken {
                break;
            }
            sent(&self.bytes[self.start..end], &reply);
            self.start = end;
            self.lens.pop_front();
        }
        if self.lens.is_empty() {
            *self = Self::default();
        } else if self.start >= COMPACT_BYTES {
            self.compact();
        }
    }
}

#[derive(Debug, Default)]
struct ConnPlace {
    generation: u32,
    conn: Option<Box<Conn>>,
}

/// A generation has 24 bits.
const GENERATION_MASK: u32 = 0x00FF_FFFF;

/// The connections of a shard.
#[derive(Debug, Default)]
pub struct Conns {
    places: Vec<ConnPlace>,
    free: Vec<u32>,
}

impl Conns {
    /// Whether a place is free that was used before.
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Room for one more; false: there is no memory for it.
    pub fn has_room(&mut self) -> bool {
        self.has_free() || fsu_plan::memory::has_room(&mut self.places, 1)
    }

    /// Adds one.
    pub fn add(&mut self, conn: Conn) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(ConnPlace::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.conn = Some(Box::new(conn));
        ConnId { index, generation: place.generation }
    }

    /// One that is open.
    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation == id.generation { place.conn.as_deref_mut() } else { None }
    }

    /// The same, to look at.
    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&Conn> {
        let place = self.places.get(id.index as usize)?;
        if place.generation == id.generation { place.conn.as_deref() } else { None }
    }

    /// Prefetches the table entry of a connection.
    #[inline]
    pub(crate) fn prefetch_place(&self, id: ConnId) {
        prefetch(self.places.as_ptr().wrapping_add(id.index as usize), 1);
    }

    /// Prefetches the connection itself.
    #[inline]
    pub(crate) fn prefetch(&self, id: ConnId) {
        if let Some(conn) = self.get(id) {
            prefetch(conn, size_of::<Conn>().div_ceil(64));
        }
    }

    /// The open one at a place.
    pub fn at(&self, index: u32) -> Option<ConnId> {
        let place = self.places.get(index as usize)?;
        place.conn.as_ref().map(|_| ConnId { index, generation: place.generation })
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// How many are open.
    pub(crate) fn many(&self) -> u64 {
        (self.places.len() - self.free.len()) as u64
    }

    /// Takes one out; its id is of none from then on.
    pub fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let place = self.places.get_mut(id.index as usize).filter(|place| place.generation == id.generation)?;
        let conn = place.conn.take()?;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        self.free.push(id.index);
        Some(conn)
    }

    /// Those that are open now.
    pub fn open(&self) -> Vec<ConnId> {
        (0..self.places()).filter_map(|index| self.at(index)).collect()
    }

    /// How many places there are: with [`Conns::at`] every open one is found.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // With its place in the table, its entry in the wheel and its place in the driver: well below 1 KiB.
        assert!(size_of::<Conn>() + size_of::<ConnPlace>() <= 320, "{}", size_of::<Conn>());
    }

    #[test]
    fn an_id_never_means_the_next_connection_at_its_place() {
        let mut conns = Conns::default();
        let peer = ([127, 0, 0, 1], 1).into();
        let first = conns.add(Conn::new(0, peer, 0));
        assert!(conns.remove(first).is_some() && conns.remove(first).is_none());
        let second = conns.add(Conn::new(0, peer, 0));
        assert_eq!(second.index, first.index);
        assert!(conns.get_mut(first).is_none() && conns.get_mut(second).is_some());
    }

    /// Replies of these lengths, with a kernel that takes this many bytes at a time: which have been sent after each write.
    fn check(lens: &[u32], taken: usize, steps: &[usize], expected: &[&[usize]]) {
        let bytes: Vec<u8> = (0u8..).zip(lens).flat_map(|(n, &len)| vec![n; len as usize]).collect();
        let mut unsent = Unsent::default();
        let sent: Vec<UnsentReply> =
            lens.iter().map(|&marked_len| UnsentReply { marked_len, about: About::UNKNOWN }).collect();
        unsent.push(&bytes, &sent, taken);
        for (&step, &expected) in steps.iter().zip(expected) {
            let mut out = Vec::new();
            unsent.advance(step, |reply, _| {
                assert!(reply.iter().all(|&byte| byte == reply[0]) && reply.len() == lens[reply[0] as usize] as usize);
                out.push(reply[0] as usize);
            });
            assert_eq!(out, expected);
        }
        assert!(unsent.is_empty() && unsent.waiting().is_empty());
    }

    #[test]
    fn a_reply_is_out_with_its_last_byte() {
        check(&[3, 2, 4], 0, &[2, 1, 5, 1], &[&[], &[0], &[1], &[2]]);
        check(&[3, 2, 4], 2, &[1, 6], &[&[0], &[1, 2]]);
        check(&[40_000, 40_000], 0, &[39_999, 2, 39_999], &[&[], &[0], &[1]]);
    }
}
