//! At which of this machine's addresses an FSU was asked, where it listens on all of them: its replies leave from there.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address of this machine, or none: then routing decides. 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Local {
    /// One of IPv4 is mapped; `::` for none.
    ip: Ipv6Addr,
    /// The interface of a link-local address, which is one of that link alone; else 0.
    scope: u32,
}

impl Local {
    /// None.
    pub const ANY: Self = Self { ip: Ipv6Addr::UNSPECIFIED, scope: 0 };

    /// An address at which a datagram came, on that interface. None if it is no address that a reply can leave from: a group's,
    /// everybody's.
    #[inline]
    pub fn new(ip: IpAddr, interface: u32) -> Self {
        let is_none = match ip {
            IpAddr::V4(four) => four.is_unspecified() || four.is_multicast() || four.is_broadcast(),
            IpAddr::V6(six) => six.is_multicast(),
        };
        if is_none {
            return Self::ANY;
        }
        match ip {
            IpAddr::V4(four) => Self { ip: four.to_ipv6_mapped(), scope: 0 },
            IpAddr::V6(six) => Self { ip: six, scope: if six.is_unicast_link_local() { interface } else { 0 } },
        }
    }

    /// Whether routing decides.
    #[inline]
    pub fn is_any(self) -> bool {
        self == Self::ANY
    }

    /// The address, one of IPv4 mapped; `::` for none.
    #[inline]
    pub fn mapped(self) -> Ipv6Addr {
        self.ip
    }

    /// The interface that a link-local address is of; else 0.
    #[inline]
    pub fn scope(self) -> u32 {
        self.scope
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::ANY
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            0 => write!(f, "{}", self.ip.to_canonical()),
            scope => write!(f, "{}%{scope}", self.ip),
        }
    }
}

/// The peer of a datagram, and the address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The other end.
    pub peer: SocketAddr,
    /// This end; none where the socket is bound to one address alone.
    pub local: Local,
}

impl From<SocketAddr> for Route {
    /// From wherever routing says.
    fn from(peer: SocketAddr) -> Self {
        Self { peer, local: Local::ANY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h05_a_reply_leaves_from_an_address_of_one_host_or_as_routed() {
        let check = |ip: &str, interface: u32, expected: &str| {
            let local = Local::new(ip.parse().unwrap(), interface);
            assert_eq!((format!("{local:?}"), local.is_any()), (expected.to_owned(), expected == "::"));
        };
        check("192.0.2.1", 3, "192.0.2.1");
        check("127.0.0.2", 1, "127.0.0.2");
        check("2001:db8::1", 3, "2001:db8::1");
        check("fe80::1", 3, "fe80::1%3");
        check("::ffff:192.0.2.1", 3, "192.0.2.1");
        for none in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"] {
            check(none, 3, "::");
        }
        assert_eq!(Route::from(SocketAddr::from(([127, 0, 0, 1], 7))).local, Local::ANY);
    }

    #[test]
    fn h05_an_address_is_as_large_as_documented() {
        assert_eq!(size_of::<Local>(), 20);
    }
}
