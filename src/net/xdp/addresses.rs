//! The BPF map that both programs use: address and port to a number.

use super::bpf::{self, MAP_HASH};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Capacity of the map. An entry is one address of this machine with one port.
pub const ADDRESSES_MAX: u32 = 262_144;
/// Addresses put into the map with one call.
const ADDRESSES_A_CALL: usize = 4_096;

/// Address (IPv4 as IPv4-mapped IPv6), port in network byte order, two zero bytes.
pub(super) type Key = [u8; 20];

/// The addresses.
#[derive(Debug)]
pub struct Addresses(pub(super) OwnedFd);

impl Addresses {
    pub(super) fn new() -> io::Result<Self> {
        bpf::map::<Key, u32>(MAP_HASH, ADDRESSES_MAX).map(Self)
    }

    /// Directs datagrams for these addresses to the queue or socket with that number.
    ///
    /// # Errors
    /// The system's error; E2BIG above [`ADDRESSES_MAX`] entries.
    pub fn add(&self, addresses: &[SocketAddr], number: u32) -> io::Result<()> {
        for part in addresses.chunks(ADDRESSES_A_CALL) {
            let keys: Vec<Key> = part.iter().copied().map(key).collect();
            bpf::put_all(self.0.as_fd(), &keys, &vec![number; keys.len()])?;
        }
        Ok(())
    }

    /// Leaves datagrams for this address to the kernel from now on.
    ///
    /// # Errors
    /// The system's error; ENOENT if the address is not in the map.
    pub fn remove(&self, address: SocketAddr) -> io::Result<()> {
        bpf::take(self.0.as_fd(), &key(address))
    }
}

fn key(address: SocketAddr) -> Key {
    let ip = match address.ip() {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    };
    let mut key = [0; 20];
    key[..16].copy_from_slice(&ip.octets());
    key[16..18].copy_from_slice(&address.port().to_be_bytes());
    key
}
