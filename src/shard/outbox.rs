//! Datagrams that a driver will send with as few calls as possible.

use super::io::Datagram;

/// Datagrams that may be queued between two flushes.
const DATAGRAMS_MAX: usize = 512;
/// Their bytes; more than the longest datagram.
const BYTES_MAX: usize = 512 << 10;

/// The queue. Memory is kept for the next flush: at most 560 KiB.
#[derive(Debug, Default)]
pub struct Outbox {
    queued: Vec<(Datagram, usize)>,
    bytes: Vec<u8>,
}

impl Outbox {
    /// Adds one; false: it is full.
    #[inline]
    pub fn push(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        if self.queued.len() >= DATAGRAMS_MAX || self.bytes.len() + bytes.len() > BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        self.queued.push((datagram, self.bytes.len()));
        true
    }

    /// More than half full: to be flushed.
    #[inline]
    pub fn is_filling(&self) -> bool {
        self.queued.len() > DATAGRAMS_MAX / 2 || self.bytes.len() > BYTES_MAX / 2
    }

    /// Nothing is queued.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// How many are queued.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// One of them.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(Datagram, &[u8])> {
        let &(datagram, end) = self.queued.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.queued[before].1);
        Some((datagram, &self.bytes[start..end]))
    }

    /// How many from `index` on leave by the same socket, up to `max`.
    #[inline]
    pub fn run(&self, index: usize, max: usize) -> usize {
        let rest = &self.queued[index.min(self.queued.len())..];
        let Some((first, _)) = rest.first() else { return 0 };
        rest.iter().take(max).take_while(|(datagram, _)| datagram.socket == first.socket).count()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.queued.clear();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::Outgoing;

    fn datagram(socket: u32) -> Datagram {
        Datagram { socket, peer: ([127, 0, 0, 1], 1).into(), what: Outgoing::Reply, tries: 0 }
    }

    #[test]
    fn runs_of_one_socket_go_together() {
        let mut outbox = Outbox::default();
        for (socket, bytes) in [(1, "a"), (1, ""), (1, "cc"), (2, "d"), (1, "e")] {
            assert!(outbox.push(datagram(socket), bytes.as_bytes()));
        }
        let runs: Vec<usize> = (0..6).map(|index| outbox.run(index, 2)).collect();
        assert_eq!(runs, [2, 2, 1, 1, 1, 0]);
        let bytes: Vec<&[u8]> = (0..5).filter_map(|index| Some(outbox.get(index)?.1)).collect();
        assert_eq!(bytes, [&b"a"[..], b"", b"cc", b"d", b"e"]);
    }

    #[test]
    fn it_is_bounded_and_takes_the_longest_datagram() {
        let mut outbox = Outbox::default();
        let count = (0..10_000).take_while(|_| outbox.push(datagram(0), b"x")).count();
        assert_eq!(count, DATAGRAMS_MAX);
        outbox.clear();
        let longest = vec![0; 65_536];
        let count = (0..10_000).take_while(|_| outbox.push(datagram(0), &longest)).count();
        assert_eq!(count, BYTES_MAX / longest.len());
    }
}
