//! What a run serves, in a few lines however large the fleet.

use super::tables::{right, table};
use comfy_table::Table;
use fsu_plan::model::fleet::{Fleet, Fsu, Transport};
use fsu_plan::words::count;
use std::net::SocketAddr;

/// Ranges of addresses that are written out; of more, the first ones and how many there are.
const RANGES_MAX: usize = 3;

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

/// FSUs that differ in nothing but name, id and address, as far as the summary tells.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    transport: Transport,
    vendors: String,
    first: String,
    last: String,
    addresses: Vec<SocketAddr>,
}

/// The names of an FSU's vendors, each once.
fn vendors(fsu: &Fsu) -> String {
    let mut names: Vec<&str> = Vec::new();
    for device in fsu.devices.iter() {
        if !names.contains(&&*device.vendor) {
            names.push(&device.vendor);
        }
    }
    names.join(", ")
}

/// `addresses`: where each FSU listens, by its number.
fn groups(fleet: &Fleet, addresses: &[SocketAddr]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (fsu, &address) in fleet.fsus.iter().zip(addresses) {
        let vendors = vendors(fsu);
        let same = |group: &&mut Group| group.transport == fsu.transport && group.vendors == vendors;
        if let Some(group) = groups.iter_mut().find(same) {
            group.last = fsu.name.to_string();
            group.addresses.push(address);
        } else {
            let name = fsu.name.to_string();
            groups.push(Group {
                transport: fsu.transport,
                vendors,
                first: name.clone(),
                last: name,
                addresses: vec![address],
            });
        }
    }
    groups
}

/// A line for each transport and vendor.
pub fn fleet_table(fleet: &Fleet, addresses: &[SocketAddr]) -> Table {
    let mut table = table(&["transport", "FSUs", "names", "addresses", "devices"]);
    for group in groups(fleet, addresses) {
        let names = if group.first == group.last { group.first } else { format!("{} … {}", group.first, group.last) };
        let shown = shown_ranges(&group.addresses);
        let many = group.addresses.len().to_string();
        table.add_row([group.transport.name().to_owned(), many, names, shown, group.vendors]);
    }
    right(table, 1..=1)
}

/// The first ranges, and how many more there are.
fn shown_ranges(addresses: &[SocketAddr]) -> String {
    let ranges = ranges(addresses.iter().copied());
    let mut shown: Vec<String> = ranges.iter().take(RANGES_MAX).map(Range::to_string).collect();
    if ranges.len() > RANGES_MAX {
        shown.push(format!("… {}", count(ranges.len() - RANGES_MAX, "more range")));
    }
    shown.join(" ")
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

    #[test]
    fn limit_ranges_max() {
        let shown = |ports: &[u16]| {
            let group = ports.iter().map(|port| SocketAddr::new([127, 0, 0, 1].into(), *port));
            shown_ranges(&group.collect::<Vec<_>>())
        };
        assert_eq!(shown(&[1, 3, 5]), "127.0.0.1:1 127.0.0.1:3 127.0.0.1:5");
        assert_eq!(shown(&[1, 3, 5, 7, 8, 10]), "127.0.0.1:1 127.0.0.1:3 127.0.0.1:5 … 2 more ranges");
    }
}
