//! Addresses that a shard serves without a socket of their own to receive from: those of a device's queue and of the one socket.
//!
//! 13 bytes for each FSU where most have one address: 8 by its place, 4 by its port, and what is left over.

use foldhash::{HashMap, HashMapExt as _};
use fsu_net::local::Local;
use std::net::{IpAddr, SocketAddr};

/// Which FSU has which address.
#[derive(Debug)]
pub(crate) struct Served {
    /// By place of the FSU: the number of the address that it is bound to, and its port; [`NOT_SERVED`] if it is not served here.
    bound: Vec<(u32, u16)>,
    /// Addresses that FSUs are bound to, with port 0.
    hosts: Vec<SocketAddr>,
    numbers: HashMap<SocketAddr, u32>,
    places: Places,
}

const NOT_SERVED: (u32, u16) = (u32::MAX, 0);

impl Served {
    /// No address.
    pub(crate) fn new() -> Self {
        Self { bound: Vec::new(), hosts: Vec::new(), numbers: HashMap::new(), places: Places::default() }
    }

    /// The bound address of a place; `None` if it is not served here.
    #[inline]
    pub(crate) fn bound(&self, place: u32) -> Option<SocketAddr> {
        let &(host, port) = self.bound.get(place as usize)?;
        let mut address = *self.hosts.get(host as usize)?;
        address.set_port(port);
        Some(address)
    }

    /// Prefetches what sending from a place reads.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32) {
        fsu_net::sys::prefetch(self.bound.as_ptr().wrapping_add(place as usize), 1);
    }

    /// The place of an address.
    #[inline]
    pub(crate) fn place(&self, ip: IpAddr, port: u16) -> Option<u32> {
        self.places.get(ip, port)
    }

    /// How many places there are: none past these is served.
    pub(crate) fn places(&self) -> u32 {
        self.bound.len() as u32
    }

    /// Makes room for places below this.
    pub(crate) fn reserve(&mut self, places: usize) {
        self.bound.reserve_exact(places.saturating_sub(self.bound.len()));
    }

    /// Serves a place with this bound address at these addresses.
    pub(crate) fn add(&mut self, place: u32, bound: SocketAddr, addresses: &[IpAddr]) {
        if self.bound.len() <= place as usize {
            self.bound.resize(place as usize + 1, NOT_SERVED);
        }
        let (mut host, hosts) = (bound, &mut self.hosts);
        host.set_port(0);
        let number = *self.numbers.entry(host).or_insert_with(|| {
            hosts.push(host);
            (hosts.len() - 1) as u32
        });
        self.bound[place as usize] = (number, bound.port());
        for &ip in addresses {
            self.places.put(ip, bound.port(), Some(place));
        }
    }

    /// Serves a place no longer. Returns its bound address; [`Served::forget`] takes each address that it had.
    pub(crate) fn remove(&mut self, place: u32) -> Option<SocketAddr> {
        let bound = self.bound(place)?;
        self.bound[place as usize] = NOT_SERVED;
        Some(bound)
    }

    /// Forgets an address.
    pub(crate) fn forget(&mut self, address: SocketAddr) {
        self.places.put(address.ip(), address.port(), None);
    }
}

/// Ports of an address.
const PORTS: usize = 65_536;
/// Addresses with a table of their ports: 256 KiB each, of which the kernel gives what is used. FSUs at further ones are kept one by one.
const TABLES_MAX: usize = 4;

/// Places by address and port.
#[derive(Debug, Default)]
struct Places {
    /// By port: the place plus 1; 0: none.
    tables: Vec<(IpAddr, Box<[u32]>)>,
    others: HashMap<(IpAddr, u16), u32>,
}

impl Places {
    #[inline]
    fn get(&self, ip: IpAddr, port: u16) -> Option<u32> {
        match self.tables.iter().find(|(host, _)| *host == ip) {
            Some((_, table)) => table.get(usize::from(port))?.checked_sub(1),
            None => self.others.get(&(ip, port)).copied(),
        }
    }

    /// Sets the place of an address, or none.
    fn put(&mut self, ip: IpAddr, port: u16, place: Option<u32>) {
        let at = match self.tables.iter().position(|(host, _)| *host == ip) {
            None if self.tables.len() < TABLES_MAX && place.is_some() => {
                self.tables.push((ip, vec![0; PORTS].into()));
                Some(self.tables.len() - 1)
            }
            at => at,
        };
        match (at, place) {
            (Some(at), place) => self.tables[at].1[usize::from(port)] = place.map_or(0, |place| place + 1),
            (None, Some(place)) => {
                self.others.insert((ip, port), place);
            }
            (None, None) => {
                self.others.remove(&(ip, port));
            }
        }
    }
}

/// The source of a datagram from an FSU with this bound address; `None` if that is the wildcard address and the FSU was not asked at one.
#[inline]
pub(crate) fn source(bound: SocketAddr, local: Local) -> Option<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Some(bound);
    }
    (!local.is_any()).then(|| SocketAddr::new(IpAddr::V6(local.mapped()).to_canonical(), bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_tables_max_addresses_beyond_it_are_served_as_well() {
        let mut served = Served::new();
        let at = |host: u8, port: u16| SocketAddr::from(([127, 0, 0, host], port));
        let all: Vec<SocketAddr> = (1..=6).flat_map(|host| [1, 9_000, 65_535].map(|port| at(host, port))).collect();
        for (place, &address) in (0..).zip(&all) {
            served.add(place, address, &[address.ip()]);
        }
        assert_eq!((served.places.tables.len(), served.places.others.len()), (4, 6));
        for (place, &address) in (0..).zip(&all) {
            assert_eq!((served.place(address.ip(), address.port()), served.bound(place)), (Some(place), Some(address)));
        }
        assert_eq!([(at(1, 2), 0), (at(9, 1), 0)].map(|(at, _)| served.place(at.ip(), at.port())), [None, None]);
        for (place, &address) in (0..).zip(&all) {
            assert_eq!(served.remove(place), Some(address));
            served.forget(address);
            assert_eq!((served.place(address.ip(), address.port()), served.bound(place)), (None, None));
        }
        assert_eq!(served.bound(99), None);
    }
}
