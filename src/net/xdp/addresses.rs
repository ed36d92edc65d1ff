//! The BPF maps that both programs use: address and port to a number.
//!
//! Most FSUs have ports of one address. So those of the first IPv4 address are in a table by port, which takes a step to look up. All others
//! are in a hash map.

use super::bpf::{self, MAP_HASH, MAP_TABLE};
use super::writer::{ADD_NUMBER, CALL, GO_IF_EQUAL, GO_IF_OTHER, LOOK_UP, MOVE, STACK, Size, Writer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

/// Capacity of the hash map. An entry is one address of this machine with one port.
pub const ADDRESSES_MAX: u32 = 262_144;
/// Addresses put into the map with one call.
const ADDRESSES_A_CALL: usize = 4_096;
/// Ports of an address.
const PORTS: u32 = 65_536;

/// Address (IPv4 as IPv4-mapped IPv6), port in network byte order, two zero bytes.
pub(super) type Key = [u8; 20];
/// Of the table by port: the address as its bytes are in memory, and the number plus 1; 0: none.
type Entry = [u32; 2];

/// The addresses.
#[derive(Debug)]
pub struct Addresses {
    /// By address and port.
    pub(super) hash: OwnedFd,
    /// By port.
    table: OwnedFd,
    /// The address whose ports are in the table.
    first: OnceLock<u32>,
}

impl Addresses {
    pub(super) fn new() -> io::Result<Self> {
        let hash = bpf::map::<Key, u32>(MAP_HASH, ADDRESSES_MAX)?;
        let table = bpf::map::<u32, Entry>(MAP_TABLE, PORTS)?;
        Ok(Self { hash, table, first: OnceLock::new() })
    }

    /// Directs datagrams for these addresses to the queue or socket with that number.
    ///
    /// # Errors
    /// The system's error; E2BIG above [`ADDRESSES_MAX`] entries of the hash map.
    pub fn add(&self, addresses: &[SocketAddr], number: u32) -> io::Result<()> {
        for part in addresses.chunks(ADDRESSES_A_CALL) {
            let (mut ports, mut entries, mut keys) = (Vec::with_capacity(part.len()), Vec::new(), Vec::<Key>::new());
            for &address in part {
                match four(address).filter(|ip| self.first.get_or_init(|| *ip) == ip) {
                    Some(ip) => {
                        ports.push(u32::from(address.port()));
                        entries.push([ip, number + 1]);
                    }
                    None => keys.push(key(address)),
                }
            }
            bpf::put_all(self.table.as_fd(), &ports, &entries)?;
            bpf::put_all(self.hash.as_fd(), &keys, &vec![number; keys.len()])?;
        }
        Ok(())
    }

    /// Leaves datagrams for this address to the kernel from now on.
    ///
    /// # Errors
    /// The system's error; ENOENT if the address is not there.
    pub fn remove(&self, address: SocketAddr) -> io::Result<()> {
        if four(address).is_none_or(|ip| self.first.get() != Some(&ip)) {
            return bpf::take(self.hash.as_fd(), &key(address));
        }
        let port = u32::from(address.port());
        match bpf::get::<u32, Entry>(self.table.as_fd(), &port)? {
            [_, 0] => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            _ => bpf::put::<u32, Entry>(self.table.as_fd(), &port, &[0, 0]),
        }
    }

    /// Code that looks up an IPv4 address in the table. The port is in register 3, in this machine's byte order; `load` loads the address
    /// as it is in memory into register 3. If there is an entry, its number is in register 2 and the code goes to `found`, else to
    /// `other`. Changes registers 0 to 5 and four bytes of the stack at `at`.
    pub(super) fn look_up<L: Copy + PartialEq>(
        &self,
        to: &mut Writer<L>,
        at: i16,
        load: impl FnOnce(&mut Writer<L>),
        (found, other): (L, L),
    ) {
        to.store(Size::Four, 3, at);
        to.map(1, self.table.as_fd());
        to.put(MOVE, (2, STACK), 0, 0);
        to.put(ADD_NUMBER, (2, 0), 0, at.into());
        to.put(CALL, (0, 0), 0, LOOK_UP);
        to.jump(GO_IF_EQUAL, (0, 0), 0, other);
        to.load(Size::Four, 4, 0, 0);
        to.load(Size::Four, 2, 0, 4);
        to.jump(GO_IF_EQUAL, (2, 0), 0, other);
        load(to);
        to.jump(GO_IF_OTHER, (3, 4), 0, other);
        to.put(ADD_NUMBER, (2, 0), 0, -1);
        to.jump(super::writer::GO, (0, 0), 0, found);
    }
}

/// The address as the table has it; `None`: it may not be there.
fn four(address: SocketAddr) -> Option<u32> {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(_) => None,
        IpAddr::V4(four) => Some(u32::from_ne_bytes(four.octets())),
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
