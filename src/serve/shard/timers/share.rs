//! Shares of the pool of datagrams that wait: nobody takes what the others need.
//!
//! A peer may have as many replies waiting as places are free, an FSU twice as many; a few always pass. So one peer gets half of
//! the pool at most, one FSU two thirds, and whoever comes after them has as much of what is left. Bytes go by the same rule.

use crate::shard::io::Datagram;
use fsu_plan::wire::reason::Reason;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

/// Datagrams of one shard that may wait at once.
///
/// 100,000 is what a fleet with slow devices comes to (10,000 requests a second answered after 10 s); one centre may have as many. A slot
/// takes 136 bytes and the buffer of its reply: 262,144 replies of 100 bytes are 62 MB. Taken as they come, and kept for the next.
/// Past it a reply is dropped and counted `pending_full`.
pub const PENDING_REPLIES_MAX: usize = 262_144;

/// Bytes of datagrams of one shard that may wait at once; the bound where replies are large.
pub const PENDING_BYTES_MAX: usize = 256 << 20;

/// This many waiting replies of an FSU or a peer are always within its share: it is not they who fill the pool.
const SHARE_MIN: usize = 64;

/// Places of an FSU, for each that is free.
const FSU_TIMES: usize = 2;

/// Counters of peers, by a keyed hash of their addresses: peers that meet in one, a chance of 1 in 8,192 for two of them, have one share.
/// No peer costs more memory. 64 KiB a shard.
const PEER_COUNTERS: usize = 8_192;

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    replies: u32,
    bytes: u32,
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.replies += 1;
        self.bytes += bytes as u32;
    }

    fn remove(&mut self, bytes: usize) {
        self.replies -= 1;
        self.bytes -= bytes as u32;
    }

    /// Whether one more is within `times` the free space, or within the minimum.
    fn has_room(self, bytes: usize, times: usize, (free, free_bytes): (usize, usize)) -> bool {
        let (replies, bytes) = (self.replies as usize + 1, self.bytes as usize + bytes);
        replies <= SHARE_MIN || (replies <= times * free && bytes <= times * free_bytes)
    }
}

/// Who has how much of the pool.
#[derive(Debug)]
pub struct Shares {
    replies_max: usize,
    bytes_max: usize,
    all: Amount,
    /// By socket, as far as any was ever needed.
    fsus: Vec<Amount>,
    /// By hash of the address; none before the first reply waits.
    peers: Vec<Amount>,
    hasher: RandomState,
}

impl Default for Shares {
    fn default() -> Self {
        Self::with(PENDING_REPLIES_MAX, PENDING_BYTES_MAX)
    }
}

impl Shares {
    /// A pool of that many replies and bytes: less than 4 GiB.
    pub fn with(replies_max: usize, bytes_max: usize) -> Self {
        let (fsus, peers) = (Vec::new(), Vec::new());
        Self { replies_max, bytes_max, all: Amount::default(), fsus, peers, hasher: RandomState::new() }
    }

    /// Takes a place for a reply; the counter of its peer, or why there is none.
    pub(crate) fn take(&mut self, datagram: &Datagram, bytes: usize) -> Result<u32, Reason> {
        let free = self.free_after(bytes)?;
        let (fsu, peer) = self.of(datagram);
        if !self.peers[peer as usize].has_room(bytes, 1, free) {
            return Err(Reason::PendingPeerShare);
        }
        if !self.fsus[fsu].has_room(bytes, FSU_TIMES, free) {
            return Err(Reason::PendingShare);
        }
        self.count(fsu, peer, bytes);
        Ok(peer)
    }

    /// The same, for one that had its place before.
    pub(crate) fn take_again(&mut self, datagram: &Datagram, bytes: usize) -> Result<u32, Reason> {
        self.free_after(bytes)?;
        let (fsu, peer) = self.of(datagram);
        self.count(fsu, peer, bytes);
        Ok(peer)
    }

    /// Gives a place back; `peer` is the counter that it was taken from.
    pub(crate) fn give_back(&mut self, socket: u32, peer: u32, bytes: usize) {
        self.all.remove(bytes);
        self.fsus[socket as usize].remove(bytes);
        self.peers[peer as usize].remove(bytes);
    }

    /// What is free when one more waits: replies, bytes.
    fn free_after(&self, bytes: usize) -> Result<(usize, usize), Reason> {
        let free = self.replies_max.checked_sub(self.all.replies as usize + 1);
        let free_bytes = self.bytes_max.checked_sub(self.all.bytes as usize + bytes);
        free.zip(free_bytes).ok_or(Reason::PendingFull)
    }

    /// The counters of an FSU and of a peer.
    fn of(&mut self, datagram: &Datagram) -> (usize, u32) {
        let fsu = datagram.socket as usize;
        if self.fsus.len() <= fsu {
            self.fsus.resize(fsu + 1, Amount::default());
        }
        if self.peers.is_empty() {
            self.peers.resize(PEER_COUNTERS, Amount::default());
        }
        (fsu, self.peer(datagram.peer))
    }

    fn peer(&self, peer: SocketAddr) -> u32 {
        (self.hasher.hash_one((peer.ip(), peer.port())) % PEER_COUNTERS as u64) as u32
    }

    fn count(&mut self, fsu: usize, peer: u32, bytes: usize) {
        self.all.add(bytes);
        self.fsus[fsu].add(bytes);
        self.peers[peer as usize].add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_core::about::About;
    use fsu_core::sink::Outgoing;
    use fsu_net::local::Local;

    fn datagram(socket: u32, port: u16) -> Datagram {
        let peer = ([127, 0, 0, 1], port).into();
        Datagram { socket, peer, local: Local::ANY, what: Outgoing::Reply, tries: 0, due_ns: 0, about: About::UNKNOWN }
    }

    /// How many replies these get in turn, each asking until it is refused, and why it was.
    fn check(shares: &mut Shares, bytes: usize, asking: &[(u32, u16)], expected: &[(usize, Reason)]) {
        for (&(socket, port), &(count, why)) in asking.iter().zip(expected) {
            let mut got = 0;
            let refused = loop {
                match shares.take(&datagram(socket, port), bytes) {
                    Ok(_) => got += 1,
                    Err(reason) => break reason,
                }
            };
            assert_eq!((got, refused), (count, why), "socket {socket}, port {port}");
        }
    }

    #[test]
    fn h01_a_peer_has_half_of_the_pool_and_an_fsu_two_thirds() {
        use Reason::{PendingPeerShare, PendingShare};
        let all = || Shares::with(12_000, 1 << 20);
        // Another peer of the same FSU, then other FSUs.
        check(
            &mut all(),
            0,
            &[(0, 1), (0, 2), (1, 3), (2, 4)],
            &[(6_000, PendingPeerShare), (2_000, PendingShare), (2_000, PendingPeerShare), (1_000, PendingPeerShare)],
        );
        // One peer, at every FSU.
        check(
            &mut all(),
            0,
            &[(0, 1), (1, 1), (1, 2)],
            &[(6_000, PendingPeerShare), (0, PendingPeerShare), (3_000, PendingPeerShare)],
        );
    }

    #[test]
    fn limit_share_min_and_fsu_times_few_are_never_too_many() {
        use Reason::{PendingFull, PendingPeerShare, PendingShare};
        let mut shares = Shares::with(200, 1 << 20);
        check(
            &mut shares,
            0,
            &[(0, 1), (0, 2), (1, 3), (2, 4)],
            &[(100, PendingPeerShare), (33, PendingShare), (64, PendingPeerShare), (3, PendingFull)],
        );
        // What had its place has it again while there is any.
        assert_eq!(shares.take_again(&datagram(0, 1), 0), Err(PendingFull));
        let peer = shares.peer(datagram(0, 1).peer);
        shares.give_back(0, peer, 0);
        assert_eq!(shares.take(&datagram(0, 1), 0), Err(PendingPeerShare));
        assert_eq!(shares.take_again(&datagram(0, 1), 0), Ok(peer));
    }

    #[test]
    fn h01_large_replies_share_the_bytes() {
        use Reason::{PendingPeerShare, PendingShare};
        check(
            &mut Shares::with(1 << 20, 1_200_000),
            1_000,
            &[(0, 1), (0, 2), (1, 3)],
            &[(600, PendingPeerShare), (200, PendingShare), (200, PendingPeerShare)],
        );
    }

    #[test]
    fn limit_pending_replies_max_and_peer_counters() {
        let mut shares = Shares::default();
        let (mut taken, mut number) = (Vec::new(), 0u32);
        // Another peer and FSU each time: nobody has more than its share.
        let mut next = datagram(0, 1);
        while let Ok(peer) = shares.take(&next, 1) {
            taken.push((next.socket, peer));
            number += 1;
            let [_, a, b, c] = number.to_be_bytes();
            (next.socket, next.peer) = (number % 5_000, ([127, a, b, c], 1).into());
        }
        assert_eq!((taken.len(), PENDING_REPLIES_MAX), (262_144, 262_144));
        assert_eq!((shares.peers.len(), shares.fsus.len()), (8_192, 5_000));
        for (socket, peer) in taken {
            shares.give_back(socket, peer, 1);
        }
        let empty = |held: &Amount| *held == Amount::default();
        assert!(empty(&shares.all) && shares.fsus.iter().all(empty) && shares.peers.iter().all(empty));
    }

    #[test]
    fn limit_pending_bytes_max() {
        let mut shares = Shares::default();
        let half = PENDING_BYTES_MAX / 2;
        let peer = shares.take(&datagram(1, 1), half).unwrap();
        shares.take(&datagram(2, 2), half).unwrap();
        assert_eq!(shares.take(&datagram(3, 3), 1), Err(Reason::PendingFull));
        shares.give_back(1, peer, half);
        assert!(shares.take(&datagram(3, 3), 1).is_ok());
    }
}
