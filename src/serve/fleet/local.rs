//! The addresses of this machine, as the kernel lists them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

/// All of them; those that cannot be read are left out.
pub fn addresses() -> HashSet<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut addresses = four(&read("/proc/net/fib_trie"));
    addresses.extend(six(&read("/proc/net/if_inet6")));
    addresses
}

/// `|-- 192.0.2.1`, followed by `/32 host LOCAL`.
fn four(table: &str) -> HashSet<IpAddr> {
    let lines = table.lines().zip(table.lines().skip(1));
    let local = lines.filter(|(_, kind)| kind.trim() == "/32 host LOCAL");
    local.filter_map(|(line, _)| line.trim().strip_prefix("|-- ")?.parse().ok()).collect()
}

/// 32 hex digits, then other columns.
fn six(table: &str) -> HashSet<IpAddr> {
    let first = |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok();
    table.lines().filter_map(first).map(|bits| Ipv6Addr::from(bits).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_read() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.1\n        \
                     /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let expected = ["192.0.2.1", "127.0.0.1"].map(|text| text.parse().expect("an address"));
        assert_eq!(four(table), HashSet::from(expected));
        let table = "20010db8000000000000000000000001 02 40 00 80 eth0\nnonsense\n";
        assert_eq!(six(table), HashSet::from(["2001:db8::1".parse().expect("an address")]));
        assert!(four("").is_empty());
    }

    #[test]
    fn this_machine_has_itself() {
        assert!(addresses().contains(&"127.0.0.1".parse().expect("an address")));
    }
}
