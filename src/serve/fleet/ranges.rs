//! Addresses for people: consecutive ports as one range.

use std::net::SocketAddr;

/// A run of consecutive ports on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub first: SocketAddr,
    /// The last port.
    pub last_port: u16,
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last_port == self.first.port() { Ok(()) } else { write!(f, "-{}", self.last_port) }
    }
}

/// Addresses in order, consecutive ports taken together.
pub fn ranges(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for address in addresses {
        match ranges.last_mut() {
            Some(last) if last.first.ip() == address.ip() && last.last_port.checked_add(1) == Some(address.port()) => {
                last.last_port = address.port();
            }
            _ => ranges.push(Range { first: address, last_port: address.port() }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ports_are_one_range() {
        let check = |addresses: &[&str], expected: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse().expect("an address"));
            let shown: Vec<String> = ranges(addresses).iter().map(Range::to_string).collect();
            assert_eq!(shown, expected);
        };
        check(&[], &[]);
        check(&["127.0.0.1:9000"], &["127.0.0.1:9000"]);
        check(&["127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"], &["127.0.0.1:9000-9002"]);
        check(&["127.0.0.1:9000", "127.0.0.2:9001"], &["127.0.0.1:9000", "127.0.0.2:9001"]);
        check(&["127.0.0.1:65535", "127.0.0.1:1"], &["127.0.0.1:65535", "127.0.0.1:1"]);
        check(&["[::1]:7", "[::1]:8", "[::1]:10"], &["[::1]:7-8", "[::1]:10"]);
    }
}
