//! Networks of centres that may ask (`allow`).

use std::fmt;
use std::net::IpAddr;
use thiserror::Error;

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// No address.
    #[error("`{0}` is no network (192.0.2.0/24, 2001:db8::/32, an address)")]
    Address(Box<str>),
    /// What follows the `/` is no number, or more than an address has bits.
    #[error("`{text}`: /{bits} (0 to {all})")]
    Bits {
        /// The network as written.
        text: Box<str>,
        /// What follows the `/`.
        bits: Box<str>,
        /// Bits of an address of that family.
        all: u8,
    },
    /// The address has bits that are not of the network.
    #[error("`{text}`: bits past the first {bits} are set (an address is followed by /{all}, or by nothing)")]
    Host {
        /// The network as written.
        text: Box<str>,
        /// Bits of the network.
        bits: u8,
        /// Bits of an address of that family.
        all: u8,
    },
}

/// An address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    bits: u8,
}

/// As it is written in a configuration.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.ip.is_ipv4() { 32 } else { 128 };
        if self.bits == all { write!(f, "{}", self.ip) } else { write!(f, "{}/{}", self.ip, self.bits) }
    }
}

impl Network {
    /// From `192.0.2.0/24`, or an address alone; what is wrong with it otherwise. One within `::ffff:0:0/96` is one of IPv4.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (ip, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().map_err(|_| NetworkError::Address(text.into()))?;
        let all = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) => {
                let number = bits.parse().ok().filter(|&bits| bits <= all);
                number.ok_or_else(|| NetworkError::Bits { text: text.into(), bits: bits.into(), all })?
            }
        };
        let network = Self { ip, bits };
        if network.head(ip) == number(ip) {
            Ok(network.canonical())
        } else {
            Err(NetworkError::Host { text: text.into(), bits, all })
        }
    }

    /// As addresses of centres are known: IPv4 ones as such.
    fn canonical(self) -> Self {
        match (self.ip.to_canonical(), self.bits.checked_sub(96)) {
            (ip @ IpAddr::V4(_), Some(bits)) if self.ip.is_ipv6() => Self { ip, bits },
            _ => self,
        }
    }

    /// Whether an address belongs to it.
    #[inline]
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.ip.is_ipv4() && self.head(ip) == number(self.ip)
    }

    /// How many addresses a host may have in it: without the network's own, and without the broadcast address of IPv4.
    pub fn hosts(&self) -> u128 {
        let width = if self.ip.is_ipv4() { 32 } else { 128 };
        let all = 1_u128.checked_shl(width - u32::from(self.bits)).unwrap_or(u128::MAX);
        match all {
            1 | 2 => all,
            _ if self.ip.is_ipv4() => all - 2,
            _ => all - 1,
        }
    }

    /// One of them, from 0.
    pub fn host(&self, place: u128) -> Option<IpAddr> {
        let first = u128::from(self.hosts() > 2 || (self.ip.is_ipv4() && self.bits == 30));
        let number = number(self.ip).checked_add(place.checked_add(first)?)?;
        if place >= self.hosts() {
            return None;
        }
        match self.ip {
            IpAddr::V4(_) => u32::try_from(number).ok().map(|number| IpAddr::V4(number.into())),
            IpAddr::V6(_) => Some(IpAddr::V6(number.into())),
        }
    }

    /// Whether its addresses are those of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.ip.is_ipv4()
    }

    /// The first bits of an address, the others 0.
    fn head(&self, ip: IpAddr) -> u128 {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let rest = width - u32::from(self.bits);
        number(ip).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let network = Network::parse(network).expect("a network");
        let contains = |ip: &&&str| network.contains(ip.parse().expect("an address"));
        assert_eq!(inside.iter().filter(contains).count(), inside.len(), "{network:?}");
        assert_eq!(outside.iter().filter(contains).count(), 0, "{network:?}");
    }

    #[test]
    fn what_is_inside() {
        check("192.0.2.0/24", &["192.0.2.0", "192.0.2.255"], &["192.0.3.0", "::192.0.2.1", "0.0.0.0"]);
        check("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]);
        check("0.0.0.0/0", &["1.2.3.4", "255.255.255.255"], &["::", "2001:db8::1"]);
        check("2001:db8::/33", &["2001:db8::1", "2001:db8:7fff::"], &["2001:db8:8000::", "10.0.0.1"]);
        check("::/0", &["::1", "2001:db8::"], &["0.0.0.1"]);
    }

    #[test]
    fn n20_mapped_networks_are_those_of_ipv4() {
        check("::ffff:192.0.2.0/120", &["192.0.2.0", "192.0.2.255"], &["192.0.3.0", "::1"]);
        check("::ffff:192.0.2.7", &["192.0.2.7"], &["192.0.2.8"]);
        check("::ffff:0:0/96", &["0.0.0.1", "255.255.255.255"], &["::1"]);
        check("::/0", &["::1"], &["127.0.0.1"]);
    }

    #[test]
    fn what_is_none() {
        for text in ["", "host", "192.0.2.0/33", "192.0.2.0/x", "192.0.2.0/", "192.0.2.1/24", "::/129", "1.2.3/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
