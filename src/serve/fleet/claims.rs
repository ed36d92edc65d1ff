//! Who has which addresses, where the kernel cannot tell (`--one-socket`).
//!
//! With one socket for many addresses the kernel knows of none of them, and would let another program bind any. So such a run holds a name
//! in the network namespace (an abstract unix socket) for each range of ports, and every run looks at those names before it serves. It
//! looks at the kernel's own table of UDP sockets as well.

use super::ranges::{Range, ranges};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

/// What a name begins with; address, first and last port follow.
const PREFIX: &str = "fsu-mock/udp/";

/// Names that are held, by what they say. They go with the process.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<String, UnixDatagram>);

impl Claims {
    /// Holds names for these addresses, and lets go of others.
    ///
    /// # Errors
    /// The system's: EADDRINUSE where another run holds the same name.
    pub fn hold(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<()> {
        let names: BTreeSet<String> = ranges(addresses).iter().map(name_of).collect();
        let fresh = names.iter().filter(|name| !self.0.contains_key(*name));
        let fresh = fresh.map(|name| {
            let held = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(name)?)?;
            Ok((name.clone(), held))
        });
        let fresh: Vec<(String, UnixDatagram)> = fresh.collect::<io::Result<_>>()?;
        self.0.retain(|name, _| names.contains(name));
        self.0.extend(fresh);
        Ok(())
    }

    /// Those of other runs, as the kernel lists them now.
    pub fn of_others(&self) -> Vec<Range> {
        let listed = std::fs::read_to_string("/proc/thread-self/net/unix").unwrap_or_default();
        let names = listed.lines().filter_map(|line| Some(line.rsplit_once('@')?.1));
        names.filter(|name| !self.0.contains_key(*name)).filter_map(range_of).collect()
    }
}

fn name_of(range: &Range) -> String {
    format!("{PREFIX}{}/{}-{}", range.first.ip(), range.first.port(), range.last_port)
}

fn range_of(name: &str) -> Option<Range> {
    let (ip, ports) = name.strip_prefix(PREFIX)?.split_once('/')?;
    let (first, last) = ports.split_once('-')?;
    Some(Range { first: SocketAddr::new(ip.parse().ok()?, first.parse().ok()?), last_port: last.parse().ok()? })
}

/// The addresses of all UDP sockets of this network namespace.
pub fn bound_udp() -> Vec<Range> {
    let read = |name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let tables = [read("udp"), read("udp6")];
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| one(address_of(line.split_whitespace().nth(1)?)?)).collect()
}

fn one(address: SocketAddr) -> Option<Range> {
    (address.port() > 0).then_some(Range { first: address, last_port: address.port() })
}

/// `0100007F:2328`: 32-bit words as they are in memory, and the port.
fn address_of(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = (0..ip.len() / 8).map(|at| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip: IpAddr = match *bytes.as_slice() {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// By port: who has it. For a look-up of many addresses.
#[derive(Debug, Default)]
pub struct Taken(HashMap<u16, Vec<IpAddr>>);

impl Taken {
    /// These.
    pub fn new(ranges: Vec<Range>) -> Self {
        let mut taken = Self::default();
        for range in ranges {
            for port in range.first.port()..=range.last_port {
                taken.0.entry(port).or_default().push(range.first.ip());
            }
        }
        taken
    }

    /// One more.
    pub fn add(&mut self, address: SocketAddr) {
        self.0.entry(address.port()).or_default().push(address.ip());
    }

    /// Whether one of them has this address, or a part of it.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.0.get(&address.port()).is_some_and(|all| all.iter().any(|&ip| meet(ip, address.ip())))
    }
}

/// Whether two sockets at one port would get the same datagrams.
fn meet(a: IpAddr, b: IpAddr) -> bool {
    let all = |any: IpAddr, other: IpAddr| match any {
        IpAddr::V4(four) => four.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(six) => six == Ipv6Addr::UNSPECIFIED,
    };
    a == b || all(a, b) || all(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_meet_as_the_kernel_has_it() {
        let check = |a: &str, b: &str, expected: bool| {
            let taken = Taken::new(vec![one(at(a)).expect("a port")]);
            assert_eq!(taken.has(at(b)), expected, "{a} {b}");
            let taken = Taken::new(vec![one(at(b)).expect("a port")]);
            assert_eq!(taken.has(at(a)), expected, "{b} {a}");
        };
        check("127.0.0.1:9000", "127.0.0.1:9000", true);
        check("127.0.0.1:9000", "127.0.0.1:9001", false);
        check("127.0.0.1:9000", "127.0.0.2:9000", false);
        check("0.0.0.0:9000", "127.0.0.1:9000", true);
        check("0.0.0.0:9000", "[::1]:9000", false);
        check("[::]:9000", "127.0.0.1:9000", true);
        check("[::]:9000", "[::1]:9000", true);
        check("[::]:9000", "0.0.0.0:9000", true);
        let many = Taken::new(vec![
            range_of("fsu-mock/udp/10.9.0.1/100-200").expect("a range"),
            one(at("10.9.0.1:150")).expect("a port"),
        ]);
        let has = [99, 100, 150, 200, 201].map(|port| many.has(SocketAddr::new(at("10.9.0.1:1").ip(), port)));
        assert_eq!(has, [false, true, true, true, false]);
    }

    #[test]
    fn names_come_back_and_others_are_none() {
        let range = Range { first: at("[fd00::1]:9000"), last_port: 9_010 };
        assert_eq!(name_of(&range), "fsu-mock/udp/fd00::1/9000-9010");
        assert_eq!(range_of(&name_of(&range)), Some(range));
        for none in ["", "fsu-mock/udp/", "fsu-mock/udp/x/1-2", "fsu-mock/udp/10.9.0.1/1", "other"] {
            assert_eq!(range_of(none), None, "{none}");
        }
    }

    #[test]
    fn the_kernels_table_is_read() {
        assert_eq!(
            address_of(if cfg!(target_endian = "little") { "0100007F:2328" } else { "7F000001:2328" }),
            Some(at("127.0.0.1:9000"))
        );
        assert_eq!(address_of("nonsense"), None);
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        assert!(Taken::new(bound_udp()).has(socket.local_addr().expect("bound")));
    }

    #[test]
    fn a_name_is_had_once_and_others_see_it() {
        // A port that no other test has.
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let address = socket.local_addr().expect("bound");
        let (mut ours, mut theirs) = (Claims::default(), Claims::default());
        ours.hold([address]).expect("free");
        assert!(theirs.hold([address]).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        assert!(Taken::new(theirs.of_others()).has(address) && !Taken::new(ours.of_others()).has(address));
        ours.hold([address]).expect("still ours");
        ours.hold([]).expect("nothing");
        assert!(!Taken::new(theirs.of_others()).has(address));
        theirs.hold([address]).expect("free again");
    }
}
