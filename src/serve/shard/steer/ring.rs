//! The last traffic of a shard, as bytes: one buffer for all FSUs, allocated once. The records of one FSU are a chain, the newest
//! first; those that have been overwritten end it.

use crate::shard::recorder::{RecordKind, Traffic};
use fsu_core::about::About;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the buffer of a shard.
pub(crate) const RING_BYTES: usize = 8 << 20;
/// Bytes of a frame or datagram that are kept; of a longer one the rest is not.
pub const EXCHANGE_BYTES_MAX: usize = 4_096;
/// Bytes before those of the wire: where the record before is (8), length (4), bytes kept (4), milliseconds (8), kind, address family, port
/// (2), address (16), what is known (20).
const HEAD: usize = 8 + 4 + 4 + 8 + 1 + 1 + 2 + 16 + About::BYTES;

/// One piece of traffic of an FSU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it was on the wire, in milliseconds since 1970.
    pub unix_ms: i64,
    /// The centre.
    pub peer: SocketAddr,
    /// What it is.
    pub kind: RecordKind,
    /// What is known of its first frame.
    pub about: About,
    /// Its bytes, the first [`EXCHANGE_BYTES_MAX`] of them.
    pub bytes: Vec<u8>,
    /// How many it had.
    pub len: usize,
}

/// The buffer. Positions count all bytes that were ever written; 0 is none.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    head: u64,
}

impl Ring {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes].into(), head: bytes as u64 }
    }

    /// Appends a record of an FSU whose record before that is at `before`; gives its position.
    pub(super) fn put(&mut self, before: u64, traffic: &Traffic<'_>) -> u64 {
        let kept = &traffic.bytes[..traffic.bytes.len().min(EXCHANGE_BYTES_MAX)];
        let size = HEAD + kept.len();
        let mut at = (self.head % self.bytes.len() as u64) as usize;
        if at + size > self.bytes.len() {
            // A record is whole.
            self.head += (self.bytes.len() - at) as u64;
            at = 0;
        }
        let Some(place) = self.bytes.get_mut(at..at + size) else { return 0 };
        let (head, rest) = place.split_at_mut(HEAD);
        write_head(head, before, traffic, kept.len());
        rest.copy_from_slice(kept);
        let position = self.head;
        self.head += size as u64;
        position
    }

    /// The record at a position, and where the one before it is; `None`: it has been overwritten, or there is none.
    pub(super) fn get(&self, position: u64) -> Option<(u64, Exchange)> {
        if position == 0 || self.head - position > self.bytes.len() as u64 {
            return None;
        }
        let at = (position % self.bytes.len() as u64) as usize;
        let head = self.bytes.get(at..at + HEAD)?;
        let (before, kept, mut exchange) = read_head(head)?;
        exchange.bytes = self.bytes.get(at + HEAD..at + HEAD + kept)?.to_vec();
        Some((before, exchange))
    }
}

fn write_head(head: &mut [u8], before: u64, traffic: &Traffic<'_>, kept: usize) {
    head[..8].copy_from_slice(&before.to_le_bytes());
    head[8..12].copy_from_slice(&(traffic.bytes.len() as u32).to_le_bytes());
    head[12..16].copy_from_slice(&(kept as u32).to_le_bytes());
    head[16..24].copy_from_slice(&traffic.unix_ms.to_le_bytes());
    head[24] = traffic.kind as u8;
    head[26..28].copy_from_slice(&traffic.peer.port().to_le_bytes());
    match traffic.peer.ip() {
        IpAddr::V4(ip) => {
            head[25] = 4;
            head[28..32].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            head[25] = 6;
            head[28..44].copy_from_slice(&ip.octets());
        }
    }
    let about = traffic.abouts.first().copied().unwrap_or_default();
    head[44..].copy_from_slice(&about.encode());
}

fn read_head(head: &[u8]) -> Option<(u64, usize, Exchange)> {
    let four = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let eight = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let ip: IpAddr = match head[25] {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(&head[28..32]).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(&head[28..44]).ok()?).into(),
    };
    let port = u16::from_le_bytes([head[26], head[27]]);
    let exchange = Exchange {
        unix_ms: eight(16)?.cast_signed(),
        peer: SocketAddr::new(ip, port),
        kind: *RecordKind::ALL.get(usize::from(head[24]))?,
        about: About::decode(head[44..].try_into().ok()?)?,
        bytes: Vec::new(),
        len: four(8)? as usize,
    };
    Some((eight(0)?, four(12)? as usize, exchange))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic<'a>(peer: &str, bytes: &'a [u8], abouts: &'a [About]) -> Traffic<'a> {
        Traffic { kind: RecordKind::Reply, fsu: 0, peer: peer.parse().unwrap(), unix_ms: 7, abouts, bytes }
    }

    #[test]
    fn a_chain_ends_where_it_was_overwritten() {
        let mut ring = Ring::new(1_000);
        let (mut newest, abouts) = (0, [About::of(3)]);
        for number in 0..50_u8 {
            newest =
                ring.put(newest, &traffic(["[::1]:9", "1.2.3.4:5"][usize::from(number % 2)], &[number; 100], &abouts));
            let mut at = newest;
            let mut chain = Vec::new();
            while let Some((before, exchange)) = ring.get(at) {
                assert_eq!((exchange.bytes.len(), exchange.len, exchange.about), (100, 100, About::of(3)));
                let port = if exchange.bytes[0] % 2 == 0 { 9 } else { 5 };
                assert_eq!((exchange.peer.port(), exchange.kind, exchange.unix_ms), (port, RecordKind::Reply, 7));
                chain.push(exchange.bytes[0]);
                at = before;
            }
            let expected: Vec<u8> = (0..=number).rev().take(chain.len()).collect();
            assert_eq!(chain, expected);
            assert!(chain.len() >= usize::from(number + 1).min(5), "{chain:?}");
        }
    }

    #[test]
    fn limit_exchange_bytes_max_and_ring_bytes_the_rest_is_not_kept() {
        let mut ring = Ring::new(RING_BYTES);
        let at = ring.put(0, &traffic("1.2.3.4:5", &[7; 5_000], &[]));
        let (_, exchange) = ring.get(at).expect("kept");
        assert_eq!((exchange.bytes.len(), exchange.len, exchange.about), (4_096, 5_000, About::UNKNOWN));
        let many = (0..10_000).map(|_| ring.put(0, &traffic("1.2.3.4:5", &[7; 1_000], &[]))).collect::<Vec<_>>();
        let kept = many.iter().filter(|&&at| ring.get(at).is_some()).count();
        let most = (8 << 20) / (1_000 + HEAD);
        assert!((most - 2..=most).contains(&kept), "{kept} of {most}");
    }
}
