//! Datagrams queued to be sent with as few calls as possible.

use super::local::Local;
use super::message::mapped;
use std::net::SocketAddr;

/// Datagrams that may be queued between two flushes.
const DATAGRAMS_MAX: usize = 512;
/// Their bytes; more than the longest datagram.
const BYTES_MAX: usize = 512 << 10;
/// Datagrams in one parcel: the kernel's limit of segments.
const SEGMENTS_MAX: usize = 64;
/// Bytes of one parcel: below what a datagram may have.
const PARCEL_BYTES_MAX: usize = 65_000;
/// Longer datagrams go alone: the kernel refuses segments that do not fit into a packet of the interface.
const SEGMENT_BYTES_MAX: usize = 1_400;

/// What a queued datagram must know: the socket it leaves by, and its receiver. The rest is up to its owner.
pub trait Addressed: Copy {
    /// The socket it leaves from: its owner's number.
    fn socket(&self) -> u32;
    /// The receiver.
    fn peer(&self) -> SocketAddr;
    /// The source address of this machine.
    fn local(&self) -> Local;
}

/// A datagram of a sender with one socket: routing decides from which address it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct To(pub SocketAddr);

impl Addressed for To {
    #[inline]
    fn socket(&self) -> u32 {
        0
    }

    #[inline]
    fn peer(&self) -> SocketAddr {
        self.0
    }

    #[inline]
    fn local(&self) -> Local {
        Local::ANY
    }
}

/// The queue. Memory is kept for the next flush: at most 560 KiB.
#[derive(Debug)]
pub struct Outbox<D> {
    queued: Vec<(D, usize)>,
    bytes: Vec<u8>,
}

/// Datagrams that go to the kernel as one buffer: of one socket, from one address to one peer, equally long; the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel<'a> {
    /// The receiver.
    pub peer: SocketAddr,
    /// The source address of this machine.
    pub local: Local,
    /// All their bytes.
    pub bytes: &'a [u8],
    /// How many there are.
    pub datagrams: usize,
    /// Bytes of each but the last; 0 if there is only one.
    pub segment_bytes: u16,
    /// The socket is connected to the receiver.
    pub is_connected: bool,
}

/// Iterates over queued datagrams parcel by parcel.
#[derive(Clone, Debug)]
pub struct Parcels<'a, D> {
    outbox: &'a Outbox<D>,
    at: usize,
    end: usize,
    datagrams_max: usize,
    is_mapped: bool,
    is_connected: bool,
}

impl<D> Parcels<'_, D> {
    /// The same for a socket of IPv6, which takes IPv4 addresses mapped.
    #[must_use]
    pub fn mapped(self) -> Self {
        Self { is_mapped: true, ..self }
    }

    /// The same for a socket that is connected to the receiver of all.
    #[must_use]
    pub fn connected(self) -> Self {
        Self { is_connected: true, ..self }
    }
}

impl<'a, D: Addressed> Iterator for Parcels<'a, D> {
    type Item = Parcel<'a>;

    #[inline]
    fn next(&mut self) -> Option<Parcel<'a>> {
        if self.at >= self.end {
            return None;
        }
        let (first, bytes) = self.outbox.get(self.at)?;
        let start = self.outbox.start(self.at);
        let len = bytes.len();
        let (mut datagrams, mut end) = (1, start + len);
        if (1..=SEGMENT_BYTES_MAX).contains(&len) {
            for &(next, next_end) in &self.outbox.queued[self.at + 1..self.end] {
                let more = next_end - end;
                let fits = datagrams < self.datagrams_max && (1..=len).contains(&more);
                let is_same = next.peer() == first.peer() && next.local() == first.local();
                if !fits || !is_same || next_end - start > PARCEL_BYTES_MAX {
                    break;
                }
                (datagrams, end) = (datagrams + 1, next_end);
                if more < len {
                    break;
                }
            }
        }
        self.at += datagrams;
        let segment_bytes = if datagrams > 1 { len as u16 } else { 0 };
        let bytes = &self.outbox.bytes[start..end];
        let peer = if self.is_mapped { mapped(first.peer()) } else { first.peer() };
        Some(Parcel { peer, local: first.local(), bytes, datagrams, segment_bytes, is_connected: self.is_connected })
    }
}

impl<D> Default for Outbox<D> {
    fn default() -> Self {
        Self { queued: Vec::new(), bytes: Vec::new() }
    }
}

impl<D: Addressed> Outbox<D> {
    /// Queues one; false: the queue is full.
    #[inline]
    pub fn push(&mut self, datagram: D, bytes: &[u8]) -> bool {
        if self.queued.len() >= DATAGRAMS_MAX || self.bytes.len() + bytes.len() > BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        self.queued.push((datagram, self.bytes.len()));
        true
    }

    /// Whether it is more than half full and should be flushed.
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

    #[inline]
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.queued[before].1)
    }

    /// One of them.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(D, &[u8])> {
        let &(datagram, end) = self.queued.get(index)?;
        Some((datagram, &self.bytes[self.start(index)..end]))
    }

    /// How many from `index` on leave by the same socket, and either all to that peer or none.
    #[inline]
    pub fn run_beside(&self, index: usize, peer: SocketAddr) -> usize {
        let rest = &self.queued[index.min(self.queued.len())..];
        let Some((first, _)) = rest.first() else { return 0 };
        let is_to = |datagram: &D| datagram.peer() == peer;
        let is_same = |datagram: &D| datagram.socket() == first.socket() && is_to(datagram) == is_to(first);
        rest.iter().take_while(|(datagram, _)| is_same(datagram)).count()
    }

    /// How many from `index` on leave by the same socket.
    #[inline]
    pub fn run(&self, index: usize) -> usize {
        let rest = &self.queued[index.min(self.queued.len())..];
        let Some((first, _)) = rest.first() else { return 0 };
        rest.iter().take_while(|(datagram, _)| datagram.socket() == first.socket()).count()
    }

    /// The `count` datagrams from `index` on, all of one socket. `together`: equally long ones share a parcel.
    #[inline]
    pub fn parcels(&self, index: usize, count: usize, together: bool) -> Parcels<'_, D> {
        let end = (index + count).min(self.queued.len());
        let datagrams_max = if together { SEGMENTS_MAX } else { 1 };
        Parcels { outbox: self, at: index, end, datagrams_max, is_mapped: false, is_connected: false }
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

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Datagram {
        socket: u32,
        peer: SocketAddr,
        local: Local,
    }

    impl Addressed for Datagram {
        fn socket(&self) -> u32 {
            self.socket
        }

        fn peer(&self) -> SocketAddr {
            self.peer
        }

        fn local(&self) -> Local {
            self.local
        }
    }

    fn datagram(socket: u32, port: u16) -> Datagram {
        Datagram { socket, peer: ([127, 0, 0, 1], port).into(), local: Local::ANY }
    }

    #[test]
    fn runs_of_one_socket_go_together() {
        let mut outbox = Outbox::default();
        for (socket, bytes) in [(1, "a"), (1, ""), (1, "cc"), (2, "d"), (1, "e")] {
            assert!(outbox.push(datagram(socket, 1), bytes.as_bytes()));
        }
        let runs: Vec<usize> = (0..6).map(|index| outbox.run(index)).collect();
        assert_eq!(runs, [3, 2, 1, 1, 1, 0]);
        let bytes: Vec<&[u8]> = (0..5).filter_map(|index| Some(outbox.get(index)?.1)).collect();
        assert_eq!(bytes, [&b"a"[..], b"", b"cc", b"d", b"e"]);
    }

    /// The parcels of datagrams given by port and length: how many in each, and the segments' length.
    fn check(queued: &[(u16, usize)], together: bool, expected: &[(usize, u16)]) {
        let mut outbox = Outbox::default();
        for &(port, len) in queued {
            assert!(outbox.push(datagram(0, port), &vec![port as u8; len]));
        }
        let parcels: Vec<Parcel<'_>> = outbox.parcels(0, outbox.run(0), together).collect();
        let got: Vec<(usize, u16)> = parcels.iter().map(|parcel| (parcel.datagrams, parcel.segment_bytes)).collect();
        assert_eq!(got, expected);
        let bytes: Vec<u8> = parcels.iter().flat_map(|parcel| parcel.bytes).copied().collect();
        assert_eq!(bytes, outbox.bytes);
        for parcel in parcels {
            assert!(parcel.bytes.iter().all(|&byte| u16::from(byte) == parcel.peer.port()));
        }
    }

    #[test]
    fn limit_segments_max_and_segment_bytes_max_and_parcel_bytes_max() {
        check(&[(1, 5), (1, 5), (1, 5)], true, &[(3, 5)]);
        check(&[(1, 5), (1, 5), (1, 5)], false, &[(1, 0), (1, 0), (1, 0)]);
        check(&[(1, 5), (1, 5), (1, 3), (1, 3)], true, &[(3, 5), (1, 0)]);
        check(&[(1, 5), (1, 6), (1, 6)], true, &[(1, 0), (2, 6)]);
        check(&[(1, 5), (2, 5), (1, 5)], true, &[(1, 0), (1, 0), (1, 0)]);
        check(&[(1, 0), (1, 0), (1, 5), (1, 0)], true, &[(1, 0), (1, 0), (1, 0), (1, 0)]);
        check(&[(1, 1_401), (1, 1_401)], true, &[(1, 0), (1, 0)]);
        check(&[(1, 70); 100], true, &[(64, 70), (36, 70)]);
        check(&[(1, 1_400); 100], true, &[(46, 1_400), (46, 1_400), (8, 1_400)]);
    }

    #[test]
    fn h05_datagrams_from_two_addresses_do_not_go_together() {
        let mut outbox = Outbox::default();
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|ip| Local::new(ip.parse().unwrap(), 0));
        for local in [one, one, two, two, one, Local::ANY] {
            assert!(outbox.push(Datagram { local, ..datagram(0, 1) }, b"abc"));
        }
        let parcels: Vec<_> =
            outbox.parcels(0, outbox.run(0), true).map(|parcel| (parcel.local, parcel.datagrams)).collect();
        assert_eq!(parcels, [(one, 2), (two, 2), (one, 1), (Local::ANY, 1)]);
    }

    #[test]
    fn limit_datagrams_max_and_bytes_max() {
        let mut outbox = Outbox::default();
        let count = (0..10_000).take_while(|_| outbox.push(datagram(0, 1), b"x")).count();
        assert_eq!(count, DATAGRAMS_MAX);
        outbox.clear();
        let longest = vec![0; 65_536];
        let count = (0..10_000).take_while(|_| outbox.push(datagram(0, 1), &longest)).count();
        assert_eq!(count, BYTES_MAX / longest.len());
    }
}
