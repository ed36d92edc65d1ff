//! What the kernel reports besides a datagram's bytes: its sender, and control messages. Plain bytes in the kernel's layout.

use super::local::Local;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the longest address, a `sockaddr_in6`, rounded up so that what follows is aligned.
pub const NAME_BYTES: usize = 32;
/// Room for the control messages asked for: drops (24), segment size (24), arrival (32), the address it came to, as IPv4 (32) and
/// as IPv6 (40) tell it, and the traffic class, as each tells it (24). Rounded up so that bytes behind it and a name begin with a
/// cache line.
pub const CONTROL_BYTES: usize = 208;
/// Room for those sent: segment size (24), the address to leave from (40).
pub const SENT_CONTROL_BYTES: usize = 64;
/// What a datagram of a broadcast FSU has as its traffic class: DSCP 17, which nothing else uses (pool 3 of RFC 2474, without a
/// meaning), and to Linux's queues no more urgent than others. Its frames need not tell a request from a reply: this does.
pub const REPLY_CLASS: u8 = 17 << 2;
/// The bits of a traffic class that are no DSCP: those of congestion.
const ECN_BITS: u8 = 3;
/// Length, level and type before the data of a control message.
const CONTROL_HEADER_BYTES: usize = 16;

/// One receive: a datagram, or several of one peer that the kernel put together.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Who sent them.
    pub peer: SocketAddr,
    /// Its control messages.
    pub control: Control,
}

/// Control messages that came with a receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Datagrams that the socket has dropped so far because it was full, wrapping around; `None` if there were none.
    pub lost: Option<u32>,
    /// Length of each datagram but the last, where several came together; else 0.
    pub segment_bytes: usize,
    /// When the kernel had it, wall clock in nanoseconds.
    pub arrived_ns: Option<i64>,
    /// The address of this machine that it came to, if the socket reports it.
    pub local: Local,
    /// Address and port that it came to, if the socket reports both.
    pub asked_at: Option<SocketAddr>,
    /// It is marked as a reply ([`REPLY_CLASS`]).
    pub is_reply: bool,
}

impl Control {
    /// Reads control messages; of what is cut off or unknown, nothing is taken.
    #[inline]
    pub fn parse(mut bytes: &[u8]) -> Self {
        let mut control = Self::default();
        while let Some((level, kind, data, rest)) = next_message(bytes) {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => control.lost = word(data),
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    control.segment_bytes = word(data).map_or(0, |bytes| bytes as usize);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => control.arrived_ns = time_ns(data),
                // Of a datagram of IPv4 a socket of IPv6 tells both; this one has an address of our own also for a broadcast.
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => control.local = local_four(data).unwrap_or_default(),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if control.local.is_any() => {
                    control.local = local_six(data).unwrap_or_default();
                }
                (libc::IPPROTO_IP, libc::IP_ORIGDSTADDR) | (libc::IPPROTO_IPV6, libc::IPV6_ORIGDSTADDR) => {
                    let mut name = [0; NAME_BYTES];
                    name.iter_mut().zip(data).for_each(|(place, &byte)| *place = byte);
                    control.asked_at = address(&name);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    control.is_reply = data.first().is_some_and(|&class| is_reply(class));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    control.is_reply = word(data).and_then(|class| class.try_into().ok()).is_some_and(is_reply);
                }
                _ => {}
            }
            bytes = rest;
        }
        control
    }
}

/// Level, type and data of the first message, and what comes behind it.
#[inline]
fn next_message(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let (header, _) = bytes.split_at_checked(CONTROL_HEADER_BYTES)?;
    let (len, header) = header.split_first_chunk::<8>()?;
    let (level, header) = header.split_first_chunk::<4>()?;
    let kind = header.first_chunk::<4>()?;
    let len = usize::from_ne_bytes(*len);
    let data = bytes.get(CONTROL_HEADER_BYTES..len)?;
    let rest = bytes.get(len.next_multiple_of(8)..).unwrap_or_default();
    Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data, rest))
}

fn is_reply(class: u8) -> bool {
    class & !ECN_BITS == REPLY_CLASS
}

fn word(data: &[u8]) -> Option<u32> {
    data.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

/// A `timespec`, in nanoseconds.
fn time_ns(data: &[u8]) -> Option<i64> {
    let (seconds, rest) = data.split_first_chunk()?;
    let nanos = rest.first_chunk()?;
    Some(i64::from_ne_bytes(*seconds).wrapping_mul(1_000_000_000).wrapping_add(i64::from_ne_bytes(*nanos)))
}

/// The address of ours in an `in_pktinfo`: interface, that address, the one in the datagram's header.
fn local_four(data: &[u8]) -> Option<Local> {
    let address: &[u8; 4] = data.get(4..)?.first_chunk()?;
    Some(Local::new(Ipv4Addr::from(*address).into(), 0))
}

/// The address in an `in6_pktinfo`, which the interface follows.
fn local_six(data: &[u8]) -> Option<Local> {
    let (address, rest) = data.split_first_chunk::<16>()?;
    Some(Local::new(Ipv6Addr::from(*address).into(), word(rest)?))
}

/// Control messages to be sent with a datagram, or several that go as one.
#[derive(Clone, Copy, Debug)]
pub struct SentControl {
    bytes: [u8; SENT_CONTROL_BYTES],
    len: usize,
}

impl SentControl {
    /// None.
    pub const NONE: Self = Self { bytes: [0; SENT_CONTROL_BYTES], len: 0 };

    /// One buffer leaves as datagrams of this length (0: as one), from that address (none: as routing decides), by a socket of IPv6 or
    /// of IPv4. An address of the other family is left out: such a datagram has no way to its peer either.
    #[inline]
    pub fn new(segment_bytes: u16, local: Local, six: bool) -> Self {
        let mut sent = Self::NONE;
        if segment_bytes > 0 {
            sent.push(&segment_control(segment_bytes));
        }
        match local.mapped().to_ipv4_mapped() {
            _ if local.is_any() => {}
            _ if six => sent.push(&control_six(local)),
            Some(four) => sent.push(&control_four(four)),
            None => {}
        }
        sent
    }

    fn push(&mut self, message: &[u8]) {
        let end = self.len + message.len();
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(message);
            self.len = end;
        }
    }

    /// As the kernel reads them.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// An `in_pktinfo` to send: no interface, so that routing decides on that, and the address.
fn control_four(address: Ipv4Addr) -> [u8; 32] {
    let mut message = [0; 32];
    message[..8].copy_from_slice(&(CONTROL_HEADER_BYTES + 12).to_ne_bytes());
    message[8..12].copy_from_slice(&libc::IPPROTO_IP.to_ne_bytes());
    message[12..16].copy_from_slice(&libc::IP_PKTINFO.to_ne_bytes());
    message[20..24].copy_from_slice(&address.octets());
    message
}

/// An `in6_pktinfo` to send: the address, one of IPv4 mapped, and the interface of a link-local one.
fn control_six(local: Local) -> [u8; 40] {
    let mut message = [0; 40];
    message[..8].copy_from_slice(&(CONTROL_HEADER_BYTES + 20).to_ne_bytes());
    message[8..12].copy_from_slice(&libc::IPPROTO_IPV6.to_ne_bytes());
    message[12..16].copy_from_slice(&libc::IPV6_PKTINFO.to_ne_bytes());
    message[16..32].copy_from_slice(&local.mapped().octets());
    message[32..36].copy_from_slice(&local.scope().to_ne_bytes());
    message
}

/// A control message that tells the kernel to send one buffer as datagrams of this length.
fn segment_control(bytes: u16) -> [u8; 24] {
    let mut message = [0; 24];
    message[..8].copy_from_slice(&(CONTROL_HEADER_BYTES + 2).to_ne_bytes());
    message[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    message[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    message[16..18].copy_from_slice(&bytes.to_ne_bytes());
    message
}

impl<'a> Received<'a> {
    /// The datagrams, one by one.
    #[inline]
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let whole = match self.control.segment_bytes {
            // An empty one is one, too.
            0 => self.bytes.len().max(1),
            bytes => bytes,
        };
        let (first, rest) = self.bytes.split_at(whole.min(self.bytes.len()));
        std::iter::once(first).chain(rest.chunks(whole))
    }
}

/// An address as everything here knows it: an IPv4 one is an IPv4 one, also where an IPv6 socket shows it as `::ffff:192.0.2.1`.
#[inline]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(six) => match six.ip().to_ipv4_mapped() {
            Some(four) => SocketAddrV4::new(four, six.port()).into(),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// An address as a socket of IPv6 takes it, the reverse of [`canonical`].
#[inline]
pub fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(four) => SocketAddrV6::new(four.ip().to_ipv6_mapped(), four.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

/// An address as the kernel wrote it, [`canonical`]; `None` for another family, or one that is cut off.
#[inline]
pub fn address(name: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = name.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(*rest.first_chunk::<4>()?), port).into()),
        libc::AF_INET6 => {
            let (flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope = rest.first_chunk::<4>()?;
            let (flow, scope) = (u32::from_ne_bytes(*flow), u32::from_ne_bytes(*scope));
            Some(canonical(SocketAddrV6::new(Ipv6Addr::from(*ip), port, flow, scope).into()))
        }
        _ => None,
    }
}

/// The error number that a host reported for a datagram (`sock_extended_err`), among control messages.
pub fn error_of(mut bytes: &[u8]) -> Option<i32> {
    loop {
        let (len, rest) = bytes.split_first_chunk::<8>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, data) = rest.split_first_chunk::<4>()?;
        let of = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind));
        if [(libc::IPPROTO_IP, libc::IP_RECVERR), (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)].contains(&of) {
            return Some(i32::from_ne_bytes(*data.first_chunk::<4>()?));
        }
        bytes = bytes.get(usize::from_ne_bytes(*len).max(CONTROL_HEADER_BYTES).next_multiple_of(8)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (CONTROL_HEADER_BYTES + data.len()).to_ne_bytes().to_vec();
        bytes.extend([level.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn control_messages_are_read() {
        let lost = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes());
        let segment = message(libc::SOL_UDP, libc::UDP_GRO, &70i32.to_ne_bytes());
        let other = message(libc::SOL_IP, 1, &[1, 2, 3]);
        let check = |bytes: &[u8], lost, segment_bytes| {
            assert_eq!(Control::parse(bytes), Control { lost, segment_bytes, ..Control::default() });
        };
        let time = [1_768_239_003i64.to_ne_bytes(), 5i64.to_ne_bytes()].concat();
        let arrived = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time);
        let class = message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &u32::from(REPLY_CLASS).to_ne_bytes());
        assert!([&lost[..], &segment, &arrived, &class].concat().len() <= CONTROL_BYTES);
        let control = Control::parse(&[&arrived[..], &lost].concat());
        assert_eq!((control.arrived_ns, control.lost), (Some(1_768_239_003_000_000_005), Some(7)));
        assert_eq!(Control::parse(&message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time[..15])).arrived_ns, None);
        check(&[], None, 0);
        check(&[&lost[..], &segment].concat(), Some(7), 70);
        check(&[&other[..], &segment, &lost].concat(), Some(7), 70);
        check(&lost[..lost.len() - 5], None, 0);
        check(&[0; 64], None, 0);
        check(&[0xFF; 64], None, 0);
        check(&segment_control(70), None, 0);
        assert_eq!(&segment_control(70)[..], message(libc::SOL_UDP, libc::UDP_SEGMENT, &70u16.to_ne_bytes()));
    }

    #[test]
    fn h05_the_address_asked_at_is_read() {
        let four = |spec: [u8; 4], header: [u8; 4]| {
            message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[&[3, 0, 0, 0][..], &spec, &header].concat())
        };
        let six = |ip: &str, interface: u32| {
            let ip: Ipv6Addr = ip.parse().unwrap();
            message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[&ip.octets()[..], &interface.to_ne_bytes()].concat())
        };
        let check = |bytes: &[u8], expected: &str| {
            assert!(bytes.len() <= CONTROL_BYTES);
            assert_eq!(format!("{:?}", Control::parse(bytes).local), expected);
        };
        check(&[], "::");
        check(&four([192, 0, 2, 2], [192, 0, 2, 2]), "192.0.2.2");
        check(&four([192, 0, 2, 2], [192, 0, 2, 255]), "192.0.2.2");
        check(&six("2001:db8::2", 3), "2001:db8::2");
        check(&six("fe80::2", 3), "fe80::2%3");
        check(&six("ff02::1", 3), "::");
        check(&six("::ffff:192.0.2.2", 3), "192.0.2.2");
        // Both of them, in either order: the address that is our own for sure.
        let (own, header) = (four([192, 0, 2, 2], [192, 0, 2, 255]), six("::ffff:192.0.2.255", 3));
        check(&[&own[..], &header].concat(), "192.0.2.2");
        check(&[&header[..], &own].concat(), "192.0.2.2");
        // Cut off.
        for len in 0..own.len() - 8 {
            check(&own[..len], "::");
        }
        for len in 0..header.len() - 4 {
            check(&header[..len], "::");
        }
        let all = [
            message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7u32.to_ne_bytes()),
            message(libc::SOL_UDP, libc::UDP_GRO, &70i32.to_ne_bytes()),
            message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[0; 16]),
            own,
            header,
            message(libc::IPPROTO_IP, libc::IP_TOS, &[REPLY_CLASS]),
            message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &u32::from(REPLY_CLASS).to_ne_bytes()),
        ];
        let control = Control::parse(&all.concat());
        assert_eq!((control.lost, control.segment_bytes, control.arrived_ns), (Some(7), 70, Some(0)));
        assert!(control.is_reply);
        check(&all.concat(), "192.0.2.2");
    }

    #[test]
    fn h05_the_address_to_leave_from_is_written() {
        let check = |segment_bytes, ip: &str, interface, six, expected: &[u8]| {
            let local = Local::new(ip.parse().unwrap(), interface);
            assert_eq!(SentControl::new(segment_bytes, local, six).bytes_mut(), expected, "{ip} {six}");
        };
        let four = |ip: [u8; 4]| message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[&[0; 4][..], &ip, &[0; 4]].concat());
        let six = |ip: &str, interface: u32| {
            let ip: Ipv6Addr = ip.parse().unwrap();
            message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[&ip.octets()[..], &interface.to_ne_bytes()].concat())
        };
        let segment = message(libc::SOL_UDP, libc::UDP_SEGMENT, &70u16.to_ne_bytes());
        check(0, "::", 0, false, &[]);
        check(0, "::", 0, true, &[]);
        check(70, "::", 0, true, &segment);
        check(0, "192.0.2.2", 3, false, &four([192, 0, 2, 2]));
        check(0, "192.0.2.2", 3, true, &six("::ffff:192.0.2.2", 0));
        check(0, "2001:db8::2", 3, true, &six("2001:db8::2", 0));
        check(0, "2001:db8::2", 3, false, &[]);
        check(0, "fe80::2", 3, true, &six("fe80::2", 3));
        check(70, "192.0.2.2", 3, false, &[segment.clone(), four([192, 0, 2, 2])].concat());
        check(70, "fe80::2", 3, true, &[segment, six("fe80::2", 3)].concat());
    }

    #[test]
    fn h04_a_reply_is_known_by_its_traffic_class() {
        let check = |message: Vec<u8>, expected: bool| assert_eq!(Control::parse(&message).is_reply, expected);
        for (class, expected) in
            [(REPLY_CLASS, true), (REPLY_CLASS | 3, true), (0, false), (0x40, false), (0xFF, false)]
        {
            check(message(libc::IPPROTO_IP, libc::IP_TOS, &[class]), expected);
            check(message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &u32::from(class).to_ne_bytes()), expected);
        }
        check(message(libc::IPPROTO_IP, libc::IP_TOS, &[]), false);
        check(message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &(256 + u32::from(REPLY_CLASS)).to_ne_bytes()), false);
        check(message(libc::IPPROTO_IP, libc::IP_TTL, &u32::from(REPLY_CLASS).to_ne_bytes()), false);
    }

    #[test]
    fn what_came_together_is_taken_apart() {
        let check = |bytes: &[u8], segment_bytes, expected: &[&[u8]]| {
            let control = Control { segment_bytes, ..Control::default() };
            let received = Received { bytes, peer: ([127, 0, 0, 1], 1).into(), control };
            assert_eq!(received.datagrams().collect::<Vec<_>>(), expected);
        };
        check(b"", 0, &[b""]);
        check(b"abcd", 0, &[b"abcd"]);
        check(b"abcd", 2, &[b"ab", b"cd"]);
        check(b"abcde", 2, &[b"ab", b"cd", b"e"]);
        check(b"a", 2, &[b"a"]);
        check(b"", 2, &[b""]);
    }

    #[test]
    fn n20_an_address_of_ipv4_is_one_on_every_socket() {
        let check = |shown: &str, expected: &str| {
            let (shown, expected): (SocketAddr, SocketAddr) = (shown.parse().unwrap(), expected.parse().unwrap());
            assert_eq!(canonical(shown), expected);
            assert_eq!(canonical(mapped(expected)), expected);
        };
        check("[::ffff:127.0.0.1]:7", "127.0.0.1:7");
        check("192.0.2.1:65535", "192.0.2.1:65535");
        check("[::1]:7", "[::1]:7");
        check("[::127.0.0.1]:7", "[::127.0.0.1]:7");
        check("[fe80::1%3]:8", "[fe80::1%3]:8");
    }

    #[test]
    fn addresses_are_read() {
        for text in ["127.0.0.1:9000", "[::1]:7", "[fe80::1%3]:8"] {
            let expected: SocketAddr = text.parse().unwrap();
            let name = socket2::SockAddr::from(expected);
            let mut bytes = match expected {
                SocketAddr::V4(four) => {
                    [&2u16.to_ne_bytes()[..], &four.port().to_be_bytes(), &four.ip().octets()].concat()
                }
                SocketAddr::V6(six) => [
                    &10u16.to_ne_bytes()[..],
                    &six.port().to_be_bytes(),
                    &six.flowinfo().to_ne_bytes(),
                    &six.ip().octets(),
                    &six.scope_id().to_ne_bytes(),
                ]
                .concat(),
            };
            bytes.resize(name.len() as usize, 0);
            assert!(bytes.len() <= NAME_BYTES);
            assert_eq!(address(&bytes), Some(expected));
            assert_eq!(address(&bytes[..7]), None);
        }
        assert_eq!(address(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
