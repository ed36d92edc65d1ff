//! The peers that a shard never answers: its own fleet, and addresses that are not a single host.
//!
//! A forged sender's address could otherwise make two FSUs answer each other for ever, or make one answer a whole network.

use fsu_plan::wire::reason::Reason;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const WORDS: usize = 65_536 / 64;

/// A bit for each port.
type Ports = Box<[u64]>;
/// Addresses with bits for their ports; sockets at further ones are kept one by one.
const OWN_HOSTS_MAX: usize = 8;

/// The fleet's own datagram sockets. About 8 KiB, and as much for each of their first 8 addresses; 48 bytes for each socket at another;
/// one for all shards.
#[derive(Debug)]
pub struct Own {
    /// The ports that any of them has. Most peers differ already in that.
    ports: Ports,
    hosts: Vec<(IpAddr, Ports)>,
    others: HashSet<(IpAddr, u16)>,
    /// This machine's addresses, where a socket has all of them.
    local: HashSet<IpAddr>,
}

impl Default for Own {
    fn default() -> Self {
        Self { ports: vec![0; WORDS].into(), hosts: Vec::new(), others: HashSet::new(), local: HashSet::new() }
    }
}

impl Own {
    /// Sockets bound to these addresses, on a machine with those.
    pub fn new(bound: impl IntoIterator<Item = SocketAddr>, local: HashSet<IpAddr>) -> Self {
        let mut own = Self { local, ..Self::default() };
        for address in bound {
            own.add(address.ip(), address.port());
        }
        own
    }

    fn add(&mut self, ip: IpAddr, port: u16) {
        set(&mut self.ports, port);
        match self.hosts.iter().position(|(host, _)| *host == ip) {
            Some(at) => set(&mut self.hosts[at].1, port),
            None if self.hosts.len() < OWN_HOSTS_MAX => {
                let mut ports = vec![0; WORDS].into();
                set(&mut ports, port);
                self.hosts.push((ip, ports));
            }
            None => {
                self.others.insert((ip, port));
            }
        }
    }

    /// Whether one of the sockets is bound to exactly this.
    fn has(&self, ip: IpAddr, port: u16) -> bool {
        match self.hosts.iter().find(|(host, _)| *host == ip) {
            Some((_, ports)) => is_set(ports, port),
            None => self.others.contains(&(ip, port)),
        }
    }

    /// Why an address is not answered; `None` if it is.
    #[inline]
    pub fn refuses(&self, peer: SocketAddr) -> Option<Reason> {
        let port = peer.port();
        if !is_one_host(peer.ip()) || port == 0 {
            return Some(Reason::NotUnicast);
        }
        (is_set(&self.ports, port) && self.is_own(peer.ip(), port)).then_some(Reason::OwnPort)
    }

    #[cold]
    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        let all = |any: IpAddr| self.has(any, port);
        // [::] is all addresses of both families.
        let any = || all(Ipv6Addr::UNSPECIFIED.into()) || (ip.is_ipv4() && all(Ipv4Addr::UNSPECIFIED.into()));
        let here = || ip.is_loopback() || self.local.contains(&ip);
        self.has(ip, port) || (any() && here())
    }
}

fn set(ports: &mut Ports, port: u16) {
    ports[usize::from(port) / 64] |= 1 << (port % 64);
}

#[inline]
fn is_set(ports: &Ports, port: u16) -> bool {
    ports[usize::from(port) / 64] >> (port % 64) & 1 == 1
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

    #[test]
    fn limit_own_hosts_max_further_addresses_are_known_as_well() {
        let at = |host: u8, port: u16| SocketAddr::from(([10, 0, 0, host], port));
        let all = || (1..=10).flat_map(|host| [1, 9_000, 65_535].map(|port| at(host, port)));
        let own = Own::new(all(), HashSet::new());
        assert_eq!((own.hosts.len(), own.others.len()), (8, 6));
        assert!(all().all(|address| own.refuses(address) == Some(Reason::OwnPort)));
        assert_eq!([at(11, 1), at(1, 2), at(10, 2)].map(|address| own.refuses(address)), [None; 3]);
    }
}
