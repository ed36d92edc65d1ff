//! Converts frames to datagrams and datagrams to frames. Works on plain bytes.

use crate::local::Local;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The longest frame that is received or sent here, in bytes, without the frame checksum.
pub const FRAME_BYTES_MAX: usize = 1_536;
/// A hardware address.
pub type Hardware = [u8; 6];

const ETHERNET_BYTES: usize = 14;
const FOUR_BYTES: usize = 20;
const SIX_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const KIND_FOUR: [u8; 2] = [0x08, 0x00];
const KIND_SIX: [u8; 2] = [0x86, 0xDD];
const PROTOCOL_UDP: u8 = 17;
/// TTL or hop limit; Linux's default.
const HOPS: u8 = 64;
/// `Don't fragment`, Linux's default.
const WHOLE: [u8; 2] = [0x40, 0x00];

/// A datagram received in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Source hardware address: the peer's, or a router's.
    pub hop: Hardware,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Destination address, one of this machine's.
    pub ip: IpAddr,
    /// Destination port.
    pub port: u16,
    /// The datagram.
    pub bytes: &'a [u8],
}

/// Destination and source of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Hardware addresses: destination, source.
    pub hops: (Hardware, Hardware),
    /// The receiver.
    pub peer: SocketAddr,
    /// The sender: an address of this machine, and a port.
    pub from: SocketAddr,
}

impl<'a> Frame<'a> {
    /// Reads a frame received on the interface with that index. Returns `None` for a damaged frame and for a frame that the XDP program
    /// would not redirect. Also returns `None` for a source address that no device may deliver: loopback, or IPv4-mapped IPv6. The kernel
    /// drops those as well, because loopback is trusted more than other addresses.
    ///
    /// The checksum must be correct, with one exception. For a sender on this machine the kernel leaves the checksum to the (virtual)
    /// device, and the field holds only the pseudo-header sum (`CHECKSUM_PARTIAL`). Such a frame is accepted.
    #[inline]
    pub fn parse(frame: &'a [u8], interface: u32) -> Option<Self> {
        let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_BYTES>()?;
        let [_, _, _, _, _, _, hop @ .., _, _] = ethernet;
        let [_, _, _, _, _, _, _, _, _, _, _, _, kind @ ..] = *ethernet;
        let (peer, ip, udp, pseudo) = match kind {
            KIND_FOUR => {
                let (header, rest) = packet.split_first_chunk::<FOUR_BYTES>()?;
                let [0x45, _, len @ .., _, _, _, _, _, PROTOCOL_UDP, _, _, _, _, _, _, _, _, _, _] = header else {
                    return None;
                };
                let len: &[u8; 2] = len.first_chunk()?;
                let udp = rest.get(..usize::from(u16::from_be_bytes(*len)).checked_sub(FOUR_BYTES)?)?;
                if fold(sum(header)) != 0xFFFF {
                    return None;
                }
                let (peer, ip) = (address_four(header, 12)?, address_four(header, 16)?);
                (IpAddr::V4(peer), IpAddr::V4(ip), udp, sum(&header[12..]))
            }
            KIND_SIX => {
                let (header, rest) = packet.split_first_chunk::<SIX_BYTES>()?;
                if header[0] >> 4 != 6 || header[6] != PROTOCOL_UDP {
                    return None;
                }
                let udp = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
                let (peer, ip) = (address_six(header, 8)?, address_six(header, 24)?);
                (IpAddr::V6(peer), IpAddr::V6(ip), udp, sum(&header[8..]))
            }
            _ => return None,
        };
        if is_never_from_outside(peer) {
            return None;
        }
        let (header, bytes) = udp.split_first_chunk::<UDP_BYTES>()?;
        let &[from_high, from_low, to_high, to_low, len_high, len_low, check_high, check_low] = header;
        if usize::from(u16::from_be_bytes([len_high, len_low])) != udp.len() {
            return None;
        }
        let pseudo = pseudo + pseudo_sum(udp.len());
        let check = u16::from_ne_bytes([check_high, check_low]);
        let is_right = match check {
            0 => ip.is_ipv4(),
            _ => check == fold(pseudo) || fold(pseudo + sum(udp)) == 0xFFFF,
        };
        let scope = |six: Ipv6Addr| if six.is_unicast_link_local() { interface } else { 0 };
        let port = u16::from_be_bytes([from_high, from_low]);
        let peer = match peer {
            IpAddr::V4(four) => SocketAddr::from((four, port)),
            IpAddr::V6(six) => SocketAddrV6::new(six, port, 0, scope(six)).into(),
        };
        is_right.then_some(Self { hop: *hop, peer, ip, port: u16::from_be_bytes([to_high, to_low]), bytes })
    }

    /// The destination address on the interface with that index.
    pub fn local(&self, interface: u32) -> Local {
        Local::new(self.ip, interface)
    }
}

/// Source addresses that no device may deliver (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3 and 2.5.5.2).
#[inline]
fn is_never_from_outside(ip: IpAddr) -> bool {
    ip.is_loopback() || matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some())
}

/// Length of a frame with a payload of that many bytes. `None` if the address families differ or the payload is too long.
#[inline]
fn frame_bytes(way: &Way, bytes: usize) -> Option<usize> {
    let header = match (way.peer, way.from) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => FOUR_BYTES,
        (SocketAddr::V6(_), SocketAddr::V6(_)) => SIX_BYTES,
        _ => return None,
    };
    Some(ETHERNET_BYTES + header + UDP_BYTES + bytes).filter(|&len| len <= FRAME_BYTES_MAX)
}

/// Writes a datagram as a frame and returns the frame's length. `mtu` is the device's, in bytes. `None` if the datagram is too long or
/// the address families differ; it must then be sent another way.
#[inline]
pub fn build(out: &mut [u8], way: &Way, mtu: usize, bytes: &[u8]) -> Option<usize> {
    let len = frame_bytes(way, bytes.len()).filter(|len| len - ETHERNET_BYTES <= mtu)?;
    let out = out.get_mut(..len)?;
    let (ethernet, packet) = out.split_first_chunk_mut::<ETHERNET_BYTES>()?;
    ethernet[..6].copy_from_slice(&way.hops.0);
    ethernet[6..12].copy_from_slice(&way.hops.1);
    let udp_bytes = UDP_BYTES + bytes.len();
    let (kind, udp, addresses) = match (way.from.ip(), way.peer.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (header, udp) = packet.split_first_chunk_mut::<FOUR_BYTES>()?;
            header[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, WHOLE[0], WHOLE[1], HOPS, PROTOCOL_UDP, 0, 0]);
            header[2..4].copy_from_slice(&((FOUR_BYTES + udp_bytes) as u16).to_be_bytes());
            header[12..16].copy_from_slice(&from.octets());
            header[16..].copy_from_slice(&to.octets());
            let check = !fold(sum(header));
            header[10..12].copy_from_slice(&check.to_ne_bytes());
            (KIND_FOUR, udp, sum(&header[12..]))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (header, udp) = packet.split_first_chunk_mut::<SIX_BYTES>()?;
            header[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, PROTOCOL_UDP, HOPS]);
            header[4..6].copy_from_slice(&(udp_bytes as u16).to_be_bytes());
            header[8..24].copy_from_slice(&from.octets());
            header[24..].copy_from_slice(&to.octets());
            (KIND_SIX, udp, sum(&header[8..]))
        }
        _ => return None,
    };
    ethernet[12..].copy_from_slice(&kind);
    write_udp_with(udp, (way.from, way.peer), bytes, addresses);
    Some(len)
}

/// Writes a datagram of IPv4 with both headers; the kernel computes the checksum of the IP header. `out` has the packet's length. Other
/// addresses are none of a packet: it stays empty, and the kernel refuses it.
pub(super) fn write_four(out: &mut [u8], from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    let (SocketAddr::V4(from_four), SocketAddr::V4(to_four)) = (from, to) else { return };
    let len = out.len();
    let Some((header, udp)) = out.split_first_chunk_mut::<FOUR_BYTES>() else { return };
    // The kernel would draw a number for a packet with number 0. One that is never cut into fragments needs none (RFC 6864).
    header[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 1, WHOLE[0], WHOLE[1], HOPS, PROTOCOL_UDP, 0, 0]);
    header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    header[12..16].copy_from_slice(&from_four.ip().octets());
    header[16..].copy_from_slice(&to_four.ip().octets());
    write_udp_with(udp, (from, to), bytes, sum(&header[12..]));
}

/// Writes the UDP header and the payload. Both addresses have the same family; `udp` has room for the payload and eight bytes.
pub(super) fn write_udp(udp: &mut [u8], from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    let addresses = [from, to].map(|address| match address.ip() {
        IpAddr::V4(four) => sum(&four.octets()),
        IpAddr::V6(six) => sum(&six.octets()),
    });
    write_udp_with(udp, (from, to), bytes, addresses.iter().sum());
}

/// Like [`write_udp`]; `addresses` is the sum of both addresses.
fn write_udp_with(udp: &mut [u8], (from, to): (SocketAddr, SocketAddr), bytes: &[u8], addresses: u64) {
    let len = UDP_BYTES + bytes.len();
    udp[..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    udp[6..8].copy_from_slice(&[0, 0]);
    udp[UDP_BYTES..len].copy_from_slice(bytes);
    // A checksum field of 0 means that there is no checksum.
    let check = match !fold(addresses + pseudo_sum(len) + sum(&udp[..len])) {
        0 => 0xFFFF,
        check => check,
    };
    udp[6..8].copy_from_slice(&check.to_ne_bytes());
}

/// The protocol and the length in the pseudo header, as [`sum`] adds them.
#[inline]
fn pseudo_sum(udp_bytes: usize) -> u64 {
    u64::from(u16::from(PROTOCOL_UDP).to_be()) + u64::from((udp_bytes as u16).to_be())
}

/// The unfolded sum of 16-bit words in memory order (RFC 1071: the byte order does not matter).
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let (pairs, rest) = rest.as_chunks::<2>();
    sum += pairs.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair))).sum::<u64>();
    sum + rest.first().map_or(0, |&last| u64::from(u16::from_ne_bytes([last, 0])))
}

/// Folds a sum to 16 bits.
#[inline]
fn fold(sum: u64) -> u16 {
    let mut sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
    sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    ((sum & 0xFFFF) + (sum >> 16)) as u16
}

fn address_four(header: &[u8], at: usize) -> Option<Ipv4Addr> {
    header.get(at..)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

fn address_six(header: &[u8], at: usize) -> Option<Ipv6Addr> {
    header.get(at..)?.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOPS: (Hardware, Hardware) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

    fn way(from: &str, peer: &str) -> Way {
        Way { hops: HOPS, peer: peer.parse().unwrap(), from: from.parse().unwrap() }
    }

    fn built(from: &str, peer: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0xEE; 2_048];
        let len = build(&mut out, &way(from, peer), 1_500, bytes).unwrap();
        out.truncate(len);
        out
    }

    /// The expected checksums come from another program.
    fn check(from: &str, peer: &str, bytes: &[u8], expected: &str) {
        let frame = built(from, peer, bytes);
        assert_eq!(hex(&frame), expected);
        let parsed = Frame::parse(&frame, 7).unwrap();
        let (from, peer): (SocketAddr, SocketAddr) = (from.parse().unwrap(), peer.parse().unwrap());
        assert_eq!((parsed.hop, parsed.ip, parsed.port, parsed.bytes), (HOPS.1, peer.ip(), peer.port(), bytes));
        assert_eq!((parsed.peer.ip(), parsed.peer.port()), (from.ip(), from.port()));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|half| char::from_digit(half.into(), 16))
            .collect()
    }

    #[test]
    fn frames_are_as_the_rfcs_have_them() {
        check(
            "10.9.0.1:9000",
            "10.9.0.2:40000",
            b"abc",
            "0200000000010200000000020800\
             4500001f00004000401126ba0a0900010a090002\
             23289c40000b67f8616263",
        );
        check(
            "[fd00::1]:9000",
            "[fd00::2]:40000",
            b"abcd",
            "02000000000102000000000286dd\
             60000000000c1140fd000000000000000000000000000001fd000000000000000000000000000002\
             23289c40000c81a261626364",
        );
    }

    #[test]
    fn every_length_and_byte_comes_back() {
        for (from, peer) in [("10.9.0.1:1", "10.9.0.2:65535"), ("[fd00::1]:9", "[fe80::2]:10")] {
            for len in 0..1_400 {
                let bytes: Vec<u8> = (0..len).map(|at: usize| (at * 7 + len) as u8).collect();
                let frame = built(from, peer, &bytes);
                assert_eq!(Frame::parse(&frame, 1).map(|frame| frame.bytes), Some(&bytes[..]), "{len}");
            }
        }
    }

    #[test]
    fn a_damaged_frame_is_none() {
        for (from, peer) in [("10.9.0.1:9000", "10.9.0.2:40000"), ("[fd00::1]:9000", "[fd00::2]:40000")] {
            let good = built(from, peer, b"abcdefgh");
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x11;
                // No checksum covers the hardware addresses, or the hop limit and traffic class of IPv6.
                let free =
                    at < 12 || good[12] == 0x86 && (14..18).contains(&at) && at != 14 || good[12] == 0x86 && at == 21;
                assert_eq!(Frame::parse(&bad, 1).is_some(), free, "byte {at} of {from}");
            }
            for len in 0..good.len() {
                assert_eq!(Frame::parse(&good[..len], 1), None, "{len} bytes");
            }
            // Padded to the minimum frame length.
            assert!(Frame::parse(&[&good[..], &[0; 20]].concat(), 1).is_some());
        }
    }

    #[test]
    fn a_sum_left_to_the_device_is_taken_and_no_sum_only_over_ipv4() {
        for (from, peer, may_lack) in
            [("10.9.0.1:9000", "10.9.0.2:40000", true), ("[fd00::1]:9000", "[fd00::2]:40000", false)]
        {
            let mut frame = built(from, peer, b"abcdefg");
            let check = frame.len() - 7 - 2;
            let addresses = if may_lack { &frame[26..34] } else { &frame[22..54] };
            let partial = fold(sum(addresses) + pseudo_sum(15));
            frame[check..check + 2].copy_from_slice(&partial.to_ne_bytes());
            assert!(Frame::parse(&frame, 1).is_some(), "{from}");
            frame[check..check + 2].copy_from_slice(&[0, 0]);
            assert_eq!(Frame::parse(&frame, 1).is_some(), may_lack, "{from}");
        }
    }

    #[test]
    fn a_sender_that_no_device_brings_is_none() {
        let check = |from: &str, peer: &str, expected: bool| {
            assert_eq!(Frame::parse(&built(from, peer, b"abc"), 1).is_some(), expected, "{from}");
        };
        check("10.9.0.1:9", "10.9.0.2:10", true);
        check("127.0.0.1:9", "10.9.0.2:10", false);
        check("127.255.0.9:9", "10.9.0.2:10", false);
        check("[::1]:9", "[fd00::2]:10", false);
        check("[::ffff:127.0.0.1]:9", "[fd00::2]:10", false);
        check("[fd00::1]:9", "[fd00::2]:10", true);
    }

    #[test]
    fn a_link_local_peer_is_on_its_interface() {
        let frame = built("[fe80::1]:9", "[fe80::2]:10", b"x");
        let parsed = Frame::parse(&frame, 7).unwrap();
        assert_eq!(parsed.peer.to_string(), "[fe80::1%7]:9");
        assert_eq!(format!("{:?}", parsed.local(7)), "fe80::2%7");
    }

    #[test]
    fn limit_frame_bytes_max_and_mtu_and_two_families() {
        let len = |from, peer, mtu, bytes: usize| build(&mut [0; 2_048], &way(from, peer), mtu, &vec![0; bytes]);
        let (four, six) = (("10.9.0.1:1", "10.9.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2"));
        assert_eq!((len(four.0, four.1, 1_500, 1_472), len(four.0, four.1, 1_500, 1_473)), (Some(1_514), None));
        assert_eq!((len(six.0, six.1, 1_500, 1_452), len(six.0, six.1, 1_500, 1_453)), (Some(1_514), None));
        assert_eq!((len(four.0, four.1, 9_000, 1_494), len(four.0, four.1, 9_000, 1_495)), (Some(1_536), None));
        assert_eq!((len(four.0, six.1, 1_500, 1), len(six.0, four.1, 1_500, 1)), (None, None));
        assert_eq!(build(&mut [0; 40], &way(four.0, four.1), 1_500, b"too long"), None);
    }
}
