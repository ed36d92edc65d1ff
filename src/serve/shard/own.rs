//! The peers that a shard never answers: its own fleet, and addresses that are not a single host.
//!
//! A forged sender's address could otherwise make two FSUs answer each other for ever, or make one answer a whole network.

use fsu_plan::wire::reason::Reason;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const WORDS: usize = 65_536 / 64;

/// The fleet's own datagram sockets. About 8 KiB, and 48 bytes a socket; one for all shards.
#[derive(Debug)]
pub struct Own {
    /// A bit for each port that any of them has. Most peers differ already in that.
    ports: Box<[u64]>,
    bound: HashSet<(IpAddr, u16)>,
    /// This machine's addresses, where a socket has all of them.
    local: HashSet<IpAddr>,
}

impl Default for Own {
    fn default() -> Self {
        Self { ports: vec![0; WORDS].into(), bound: HashSet::new(), local: HashSet::new() }
    }
}

impl Own {
    /// Sockets bound to these addresses, on a machine with those.
    pub fn new(bound: impl IntoIterator<Item = SocketAddr>, local: HashSet<IpAddr>) -> Self {
        let mut own = Self { local, ..Self::default() };
        for address in bound {
            own.ports[usize::from(address.port()) / 64] |= 1 << (address.port() % 64);
            own.bound.insert((address.ip(), address.port()));
        }
        own
    }

    /// Why an address is not answered; `None` if it is.
    #[inline]
    pub fn refuses(&self, peer: SocketAddr) -> Option<Reason> {
        let port = peer.port();
        if !is_one_host(peer.ip()) || port == 0 {
            return Some(Reason::NotUnicast);
        }
        let maybe = self.ports[usize::from(port) / 64] >> (port % 64) & 1 == 1;
        (maybe && self.is_own(peer.ip(), port)).then_some(Reason::OwnPort)
    }

    #[cold]
    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        let all = |any: IpAddr| self.bound.contains(&(any, port));
        // [::] is all addresses of both families.
        let any = || all(Ipv6Addr::UNSPECIFIED.into()) || (ip.is_ipv4() && all(Ipv4Addr::UNSPECIFIED.into()));
        let here = || ip.is_loopback() || self.local.contains(&ip);
        self.bound.contains(&(ip, port)) || (any() && here())
    }
}

/// Not multicast, not broadcast, not unspecified. The kernel refuses the broadcast address of a network.
fn is_one_host(ip: IpAddr) -> bool {
    let all = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(all || ip.is_multicast() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bound: &[&str], peer: &str, expected: Option<Reason>) {
        let local = HashSet::from(["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let own = Own::new(bound.iter().map(|text| text.parse().unwrap()), local);
        assert_eq!(own.refuses(peer.parse().unwrap()), expected, "{bound:?} {peer}");
    }

    #[test]
    fn who_is_refused() {
        use Reason::{NotUnicast, OwnPort};
        let one = ["127.0.0.1:9000", "127.0.0.1:9001"];
        check(&one, "127.0.0.1:9001", Some(OwnPort));
        check(&one, "127.0.0.1:9002", None);
        check(&one, "127.0.0.2:9001", None);
        check(&one, "192.0.2.1:9001", None);
        let all = ["0.0.0.0:9000", "[::]:9001"];
        check(&all, "127.0.0.7:9000", Some(OwnPort));
        check(&all, "192.0.2.1:9000", Some(OwnPort));
        check(&all, "192.0.2.2:9000", None);
        check(&all, "192.0.2.2:9001", None);
        check(&all, "[::1]:9000", None);
        check(&all, "[::1]:9001", Some(OwnPort));
        check(&all, "[2001:db8::1]:9001", Some(OwnPort));
        check(&all, "[2001:db8::2]:9001", None);
        // n20: [::] has the IPv4 addresses too.
        check(&all, "192.0.2.1:9001", Some(OwnPort));
        check(&all, "127.0.0.1:9001", Some(OwnPort));
        for peer in ["224.0.0.1:5", "255.255.255.255:5", "0.0.0.0:5", "127.0.0.1:0", "[ff02::1]:5", "[::]:5"] {
            check(&one, peer, Some(NotUnicast));
        }
    }
}
