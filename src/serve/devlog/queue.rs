//! A bounded queue of bytes between a shard and the logger thread, without locks.
//!
//! Everything that both threads touch is in this file. It also runs under loom, which tries every order of their steps
//! (docs/internals/models.md).

use crate::sync::{Arc, Mutex, Ordering, PoisonError, Thread, fence, park_timeout, sleep};
use rtrb::{Consumer, Producer, RingBuffer};
use std::time::Duration;

/// How long the writer sleeps at a time while it waits for room.
const BLOCK_SLEEP: Duration = Duration::from_micros(200);

/// Creates both ends of a queue of this many bytes, read by the thread `reader`.
pub(super) fn queue<L>(bytes: usize, reader: Thread) -> (Writer<L>, Reader<L>) {
    let (mut producer, consumer) = RingBuffer::new(bytes);
    // A chunk is filled with zeros, and none of it is committed: the queue's memory would grow for as long as the first round takes otherwise.
    drop(producer.write_chunk(bytes));
    let left = Arc::new(Mutex::new(None));
    let writer = Writer { ring: producer, reader: Woken(reader), capacity: bytes, left: left.clone() };
    (writer, Reader { ring: consumer, left })
}

/// The shard's end. Dropping it closes the queue.
#[derive(Debug)]
pub(super) struct Writer<L> {
    ring: Producer<u8>,
    /// Below the ring, so that it is dropped after it: woken at the end, the reader sees that it is the end.
    reader: Woken,
    capacity: usize,
    left: Arc<Mutex<Option<L>>>,
}

/// Wakes a thread when it is dropped.
#[derive(Debug)]
struct Woken(Thread);

impl Drop for Woken {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl<L> Writer<L> {
    /// Lets `put` write `len` bytes. False if there is no room, or no reader. `waits`: waits for room while there is a reader and the
    /// queue is large enough.
    #[inline]
    pub(super) fn push(&mut self, len: usize, waits: bool, put: impl FnOnce(&mut Producer<u8>) -> bool) -> bool {
        if !self.make_room(len, waits) {
            return false;
        }
        let pushed = put(&mut self.ring);
        self.wake_past_half(len);
        pushed
    }

    /// Whether `len` bytes fit, after waiting if requested.
    fn make_room(&mut self, len: usize, waits: bool) -> bool {
        if len > self.capacity || self.ring.is_abandoned() {
            return false;
        }
        while self.ring.cached_slots() < len && self.ring.slots() < len {
            if !waits || self.ring.is_abandoned() {
                return false;
            }
            self.reader.0.unpark();
            sleep(BLOCK_SLEEP);
        }
        true
    }

    /// Wakes the reader when the last `len` bytes took the queue past half full, so once per filling.
    fn wake_past_half(&mut self, len: usize) {
        let half = self.capacity / 2;
        // The cached number never exceeds the true one, and reading it causes no traffic between cores.
        if self.ring.cached_slots() < half {
            // The bytes are published before this looks at what was read; a reader that goes to sleep does the reverse ([`rest`]). So
            // it sees the bytes, or it is seen here that it had read all.
            fence(Ordering::SeqCst);
            let free = self.ring.slots();
            if free < half && free + len >= half {
                self.reader.0.unpark();
            }
        }
    }

    /// How many bytes wait, and for how many there is room in all.
    pub(super) fn filled(&self) -> (usize, usize) {
        (self.capacity - self.ring.slots().min(self.capacity), self.capacity)
    }

    /// Leaves this for the reader at the end of the queue.
    pub(super) fn leave(&mut self, left: L) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    }
}

/// The logger's end.
#[derive(Debug)]
pub(super) struct Reader<L> {
    ring: Consumer<u8>,
    left: Arc<Mutex<Option<L>>>,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// There was something.
    pub(super) any: bool,
    /// It was the last: the writer is gone.
    pub(super) ended: bool,
}

impl<L> Reader<L> {
    /// Appends up to `max` bytes of the queue.
    pub(super) fn take(&mut self, max: usize, into: &mut Vec<u8>) -> Taken {
        // Checked first: once it is true nothing is added.
        let closed = self.is_closed();
        let len = self.waiting().min(max);
        let any = len > 0;
        if let Ok(chunk) = self.ring.read_chunk(len) {
            let (first, second) = chunk.as_slices();
            into.extend_from_slice(first);
            into.extend_from_slice(second);
            chunk.commit_all();
        }
        Taken { any, ended: closed && self.ring.is_empty() }
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.ring.slots()
    }

    /// The writer is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Takes what the writer has left.
    pub(super) fn left(&self) -> Option<L> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sleeps until a writer wakes this thread, at most this long; not at all if a queue has bytes or has ended. A queue wakes it when
/// it becomes half full, and when it ends.
pub(super) fn rest<'a, L: 'a>(readers: impl IntoIterator<Item = &'a Reader<L>>, at_most: Duration) {
    // Publishes what was read before it looks for more: see the writer.
    fence(Ordering::SeqCst);
    if readers.into_iter().all(|reader| reader.ring.is_empty() && !reader.is_closed()) {
        park_timeout(at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// A queue of 100 bytes, and what tells each time that its reader is woken.
    fn watched() -> (Writer<u8>, Reader<u8>, Receiver<()>) {
        let (tell, woken) = channel();
        let reader = std::thread::spawn(move || {
            loop {
                std::thread::park();
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        let (writer, reader) = queue(100, reader.thread().clone());
        (writer, reader, woken)
    }

    fn put(writer: &mut Writer<u8>, len: usize) -> bool {
        writer.push(len, false, |ring| ring.push_entire_slice(&vec![7; len]).is_ok())
    }

    fn take(reader: &mut Reader<u8>, max: usize) -> (usize, Taken) {
        let mut bytes = Vec::new();
        let taken = reader.take(max, &mut bytes);
        (bytes.len(), taken)
    }

    const WOKEN_MAX: Duration = Duration::from_secs(20);

    #[test]
    fn the_reader_is_woken_past_half_each_time_that_it_fills() {
        for lens in [&[51][..], &[50, 1], &[20, 20, 20], &[100]] {
            let (mut writer, mut reader, woken) = watched();
            for _ in 0..3 {
                assert!(lens.iter().all(|&len| put(&mut writer, len)));
                woken.recv_timeout(WOKEN_MAX).expect("woken");
                assert_eq!(take(&mut reader, usize::MAX).0, lens.iter().sum::<usize>());
            }
        }
    }

    #[test]
    fn the_reader_is_woken_once_and_not_before_half() {
        let (mut writer, mut reader, woken) = watched();
        for _ in 0..50 {
            // Half full is not past half.
            assert!(put(&mut writer, 50));
            assert_eq!(take(&mut reader, 50).0, 50);
        }
        assert!(put(&mut writer, 60));
        woken.recv_timeout(WOKEN_MAX).expect("woken");
        // More, past half: it is awake.
        assert!((0..30).all(|_| put(&mut writer, 1)));
        drop(writer);
        woken.recv_timeout(WOKEN_MAX).expect("woken at the end");
        assert!(woken.try_recv().is_err());
        assert_eq!(take(&mut reader, 60), (60, Taken { any: true, ended: false }));
        assert_eq!(take(&mut reader, 60), (30, Taken { any: true, ended: true }));
        assert_eq!(take(&mut reader, 60), (0, Taken { any: false, ended: true }));
    }

    #[test]
    fn what_has_room_is_taken_and_nothing_else() {
        let (mut writer, mut reader, _woken) = watched();
        assert!(!put(&mut writer, 101) && put(&mut writer, 60) && !put(&mut writer, 41) && put(&mut writer, 40));
        assert_eq!((reader.waiting(), reader.is_closed()), (100, false));
        assert_eq!(take(&mut reader, 70), (70, Taken { any: true, ended: false }));
        assert!(put(&mut writer, 70) && !put(&mut writer, 1));
        writer.leave(9);
        drop(writer);
        assert!(reader.is_closed());
        assert_eq!((reader.left(), reader.left()), (Some(9), None));
    }

    #[test]
    fn a_rest_is_none_where_there_is_something_or_an_end() {
        let this = std::thread::current;
        let (mut writer, reader) = queue::<u8>(100, this());
        assert!(put(&mut writer, 1));
        // Would last for ever.
        rest([&reader], Duration::MAX);
        let (writer, closed) = queue::<u8>(100, this());
        drop(writer);
        rest([&closed], Duration::MAX);
        let (_writer, empty) = queue::<u8>(100, this());
        rest([&empty, &reader], Duration::MAX);
        rest([&empty], Duration::ZERO);
    }
}
