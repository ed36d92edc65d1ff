//! Addresses that a shard serves without a socket of their own to receive from: those of a device's queue and of the one socket.

use foldhash::{HashMap, HashMapExt as _};
use fsu_net::local::Local;
use std::net::{IpAddr, SocketAddr};

/// Which FSU has which address.
#[derive(Debug)]
pub(crate) struct Served {
    /// By place of the FSU: its bound address; `None` if it is not served here.
    bound: Vec<Option<SocketAddr>>,
    by_address: HashMap<(IpAddr, u16), u32>,
}

impl Served {
    /// No address.
    pub(crate) fn new() -> Self {
        Self { bound: Vec::new(), by_address: HashMap::new() }
    }

    /// The bound address of a place; `None` if it is not served here.
    #[inline]
    pub(crate) fn bound(&self, place: u32) -> Option<SocketAddr> {
        *self.bound.get(place as usize)?
    }

    /// The place of an address.
    #[inline]
    pub(crate) fn place(&self, ip: IpAddr, port: u16) -> Option<u32> {
        self.by_address.get(&(ip, port)).copied()
    }

    /// Serves a place with this bound address at these addresses.
    pub(crate) fn add(&mut self, place: u32, bound: SocketAddr, addresses: &[IpAddr]) {
        if self.bound.len() <= place as usize {
            self.bound.resize(place as usize + 1, None);
        }
        self.bound[place as usize] = Some(bound);
        self.by_address.extend(addresses.iter().map(|&ip| ((ip, bound.port()), place)));
    }

    /// Serves a place no longer. Returns its bound address; [`Served::forget`] takes each address that it had.
    pub(crate) fn remove(&mut self, place: u32) -> Option<SocketAddr> {
        self.bound.get_mut(place as usize)?.take()
    }

    /// Forgets an address.
    pub(crate) fn forget(&mut self, address: SocketAddr) {
        self.by_address.remove(&(address.ip(), address.port()));
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
