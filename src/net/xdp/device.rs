//! A network device: index, hardware address, queues, MTU, IP addresses.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;

// linux/sockios.h, linux/ethtool.h.
const GET_FLAGS: u64 = 0x8913;
const GET_MTU: u64 = 0x8921;
const GET_HARDWARE: u64 = 0x8927;
const ETHTOOL: u64 = 0x8946;
const GET_CHANNELS: u32 = 0x3C;
/// Hardware type of an Ethernet device (linux/if_arp.h).
const KIND_ETHERNET: u16 = 1;
/// Maximum length of a device name, including the terminating zero.
const NAME_BYTES: usize = 16;

/// The current state of a network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// Its hardware address.
    pub hardware: [u8; 6],
    /// Number of receive queues.
    pub queues: u32,
    /// MTU: the longest packet, in bytes.
    pub mtu: usize,
    /// Whether the device is up.
    pub is_up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// `struct ifreq`.
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES],
    data: [u64; 3],
}

/// `struct ethtool_channels`.
#[derive(Default)]
#[repr(C)]
struct Channels {
    command: u32,
    maxima: [u32; 4],
    receiving: u32,
    sending: u32,
    other: u32,
    combined: u32,
}

impl Device {
    /// Finds a device by name.
    ///
    /// # Errors
    /// No device has that name, or it is not an Ethernet device.
    pub fn find(name: &str) -> io::Result<Self> {
        let text = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the text is zero-terminated and outlives the call.
        let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
        if index == 0 || name.len() >= NAME_BYTES {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        let ask = |what: u64, data: u64| request(&socket, name, what, data);
        let [kind @ .., _, _, _, _, _, _] = ask(GET_HARDWARE, 0)?[0].to_ne_bytes();
        if u16::from_ne_bytes(kind) != KIND_ETHERNET {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is not an Ethernet device"));
        }
        let [_, _, hardware @ ..] = ask(GET_HARDWARE, 0)?[0].to_ne_bytes();
        let mtu = ask(GET_MTU, 0)?[0].to_ne_bytes();
        let flags = ask(GET_FLAGS, 0)?[0].to_ne_bytes();
        Ok(Self {
            name: name.to_owned(),
            index,
            hardware,
            queues: queues(&socket, name),
            mtu: u32::from_ne_bytes([mtu[0], mtu[1], mtu[2], mtu[3]]) as usize,
            is_up: u16::from_ne_bytes([flags[0], flags[1]]) & libc::IFF_UP as u16 != 0,
            addresses: addresses(&text)?,
        })
    }
}

/// Runs one ioctl on a device. Passes three words of data and returns them as the call left them.
fn request(socket: &UdpSocket, name: &str, what: u64, data: u64) -> io::Result<[u64; 3]> {
    let mut request = Request { name: [0; NAME_BYTES], data: [data, 0, 0] };
    request.name.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    // SAFETY: each of these requests reads the name and reads or writes the 24 bytes behind it. Only `queues` passes a pointer in those
    // bytes, to memory of the size that its command requires.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what as _, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(request.data) }
}

/// Number of receive queues; 1 if the driver does not report it.
fn queues(socket: &UdpSocket, name: &str) -> u32 {
    let mut channels = Channels { command: GET_CHANNELS, ..Channels::default() };
    let told = request(socket, name, ETHTOOL, (&raw mut channels).expose_provenance() as u64);
    // SAFETY: this reads after the call, which wrote through the exposed pointer.
    let channels = unsafe { (&raw const channels).read_volatile() };
    told.map_or(1, |_| channels.receiving.saturating_add(channels.combined).max(1))
}

/// The addresses of a device.
fn addresses(name: &CStr) -> io::Result<Vec<IpAddr>> {
    let mut first = std::ptr::null_mut();
    // SAFETY: the list is written to `first` and freed below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut out, mut next) = (Vec::new(), first);
    // SAFETY: each entry is valid until the list is freed.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: the name of an entry is zero-terminated.
        if entry.ifa_addr.is_null() || unsafe { CStr::from_ptr(entry.ifa_name) } != name {
            continue;
        }
        // SAFETY: an address begins with its family, which determines its length.
        match i32::from(unsafe { (*entry.ifa_addr).sa_family }) {
            libc::AF_INET => {
                // SAFETY: as above.
                let four = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
                out.push(IpAddr::from(four.sin_addr.s_addr.to_ne_bytes()));
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let six = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
                out.push(IpAddr::from(six.sin6_addr.s6_addr));
            }
            _ => {}
        }
    }
    // SAFETY: this is the list that the call above created; nothing refers to it any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_no_ethernet_device_and_there_is_not_every_device() {
        assert_eq!(Device::find("lo").unwrap_err().kind(), io::ErrorKind::Unsupported);
        for name in ["", "no-such-device", "a-name-that-is-too-long-for-any"] {
            assert_eq!(Device::find(name).unwrap_err().raw_os_error(), Some(libc::ENODEV), "{name}");
        }
        let loopback = addresses(c"lo").unwrap();
        assert!(loopback.is_empty() || loopback.contains(&IpAddr::from([127, 0, 0, 1])), "{loopback:?}");
    }
}
