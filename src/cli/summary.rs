//! What a run serves, in a few lines however large the fleet.

use super::tables::{right, table};
use comfy_table::Table;
use fsu_net::bind::RECEIVE_BUFFER_BYTES;
use fsu_plan::model::amplification::{Worst, worst};
use fsu_plan::model::fleet::{AMPLIFICATION_MAX, Fleet, Fsu, OnFull, Performance};
use fsu_plan::model::message::Transport;
use fsu_plan::texts::{Texts, padded};
use fsu_plan::words::{count, noun};
use fsu_serve::fleet::cpus;
use fsu_serve::fleet::machine::Room;
use fsu_serve::fleet::prepare::{Chosen, Prepared};
use fsu_serve::fleet::ranges::{Range, ranges};
use fsu_serve::fleet::sockets::Sockets;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

/// Columns of a line's name.
const NAME_COLUMNS: usize = 12;
/// Most ranges of addresses that are written out; the rest is counted.
const RANGES_MAX: usize = 3;

/// What is served and how, for people.
pub fn summary(prepared: &Prepared, sockets: &Sockets, room: &Room, chosen: &Chosen, say: Texts) -> String {
    let fleet = &prepared.fleet;
    let table = fleet_table(fleet, &sockets.addresses, say);
    let mut lines = Lines { say, text: format!("{}\n\n{table}\n\n", say.say(&prepared.heading())) };
    let cpus = &prepared.cpus;
    lines.add("shards", &format!("{} on {} {}", cpus.len(), noun(cpus.len(), "processor"), listed(cpus)));
    lines.add("driver", &format!("{} ({})", chosen.driver.name(), chosen.why));
    if let Some(why) = &chosen.not_glommio {
        lines.add("executor", &format!("{} ({why})", chosen.executor.name()));
    }
    if let Some(given) = sockets.receive_buffer_bytes {
        lines.add("buffers", &receive_buffers(given));
    }
    lines.add("seed", &format!("{0} (--seed {0} repeats this run's random values)", prepared.seed));
    lines.add("device log", &device_log(fleet));
    let faulty = fleet.fsus.iter().filter(|fsu| fsu.faults.is_some()).count();
    if faulty > 0 {
        lines.add("faults", &faults(faulty, prepared.fault_ledger.as_deref()));
    }
    lines.add("system log", &fleet.log.dir.join(&fleet.log.file).display().to_string());
    lines.add("performance", performance(fleet.performance));
    if let Some(worst) = worst(fleet) {
        lines.add("worst factor", &worst_factor(fleet, &worst));
    }
    if fleet.fsus.iter().any(|fsu| fsu.transport == Transport::Tcp) {
        lines.add("open files", &format!("{}, of which {} for TCP connections", room.files, room.connections));
    }
    lines.text.push('\n');
    lines.text
}

/// Lines of a name and a value.
struct Lines {
    say: Texts,
    text: String,
}

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        let (name, value) = (padded(&self.say.say(name), NAME_COLUMNS), self.say.say(value));
        self.text.extend(["  ", &name, " ", &value, "\n"]);
    }
}

fn device_log(fleet: &Fleet) -> String {
    let dir = fleet.log.dir.join("devices");
    match fleet.log.on_full {
        _ if fleet.performance.skip_device_log => "off (performance mode)".to_owned(),
        OnFull::Drop => format!("{}; a full queue loses records", dir.display()),
        OnFull::Block => format!("{}; a full queue is waited for", dir.display()),
    }
}

fn performance(performance: Performance) -> &'static str {
    match (performance.skip_delay, performance.skip_device_log) {
        (false, false) => "off",
        (true, false) => "on: no delays",
        (false, true) => "on: no device log",
        (true, true) => "on: no delays, no device log",
    }
}

fn faults(fsus: usize, ledger: Option<&Path>) -> String {
    let ledger = ledger
        .map_or_else(|| "no ledger (--fault-ledger FILE)".to_owned(), |path| format!("ledger {}", path.display()));
    format!("made on purpose by {}; {ledger}", count(fsus, "FSU"))
}

fn worst_factor(fleet: &Fleet, worst: &Worst) -> String {
    let Worst { exchange, command, fsu } = worst;
    let burst = match exchange.burst {
        1 => String::new(),
        many => format!(", the {many} replies of its burst together"),
    };
    let text = format!("{:.1} times the request at most ({command} of {fsu}{burst})", exchange.factor());
    if fleet.allow_amplification {
        return format!("{text}; allowed (allow_amplification)");
    }
    let and = if has_transfers(fleet) { ", and a BroadCast command with such data is refused there" } else { "" };
    format!("{text}; past {AMPLIFICATION_MAX} times a reply is not sent to another host{and}")
}

/// FSUs with the same transport and vendors, which the summary shows as one row.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    transport: Transport,
    vendors: String,
    first: String,
    last: String,
    /// How many FSUs.
    count: usize,
    /// Where they listen.
    addresses: Vec<SocketAddr>,
    /// The centres that they send to first.
    to: BTreeSet<SocketAddr>,
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
        let here = Some(address).filter(|_| fsu.listens());
        let to = fsu.connect.as_ref().map(|connect| connect.to);
        if let Some(group) = groups.iter_mut().find(same) {
            group.last = fsu.name.to_string();
            group.count += 1;
            group.addresses.extend(here);
            group.to.extend(to);
        } else {
            let name = fsu.name.to_string();
            groups.push(Group {
                transport: fsu.transport,
                vendors,
                first: name.clone(),
                last: name,
                count: 1,
                addresses: here.into_iter().collect(),
                to: to.into_iter().collect(),
            });
        }
    }
    groups
}

/// A line for each transport and vendor.
fn fleet_table(fleet: &Fleet, addresses: &[SocketAddr], say: Texts) -> Table {
    let mut table = table(&["transport", "FSUs", "names", "addresses", "devices"], say);
    for group in groups(fleet, addresses) {
        let names = if group.first == group.last { group.first } else { format!("{} … {}", group.first, group.last) };
        let to: Vec<SocketAddr> = group.to.into_iter().collect();
        let mut shown = shown_ranges(&group.addresses, say);
        if !to.is_empty() {
            let before = if shown.is_empty() { "" } else { ", " };
            shown.extend([before, &say.say("to"), " ", &shown_ranges(&to, say)]);
        }
        let many = group.count.to_string();
        table.add_row([group.transport.name().to_owned(), many, names, shown, group.vendors]);
    }
    right(table, 1..=1)
}

/// The first ranges, and how many more there are.
fn shown_ranges(addresses: &[SocketAddr], say: Texts) -> String {
    let ranges = ranges(addresses.iter().copied());
    let mut shown: Vec<String> = ranges.iter().take(RANGES_MAX).map(Range::to_string).collect();
    if ranges.len() > RANGES_MAX {
        shown.push(format!("… {}", say.say(&count(ranges.len() - RANGES_MAX, "more range"))));
    }
    shown.join(" ")
}

/// Whether an FSU has commands whose data follows in frames of its own.
fn has_transfers(fleet: &Fleet) -> bool {
    let mut devices = fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter());
    devices.any(|device| device.template.transfer.is_some())
}

/// The receive buffer of each socket, and how to get a larger one.
fn receive_buffers(given: usize) -> String {
    let (given, asked) = (given / 1024, RECEIVE_BUFFER_BYTES / 1024);
    if given >= asked {
        return format!("{given} KiB a socket for datagrams that wait");
    }
    format!(
        "{given} KiB a socket for datagrams that wait; {asked} KiB were asked for (sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES})"
    )
}

/// Processors in the order of the shards; as ranges where they ascend.
fn listed(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    cpus::format(&sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_ranges_max() {
        let shown = |ports: &[u16]| {
            let group = ports.iter().map(|port| SocketAddr::new([127, 0, 0, 1].into(), *port));
            shown_ranges(&group.collect::<Vec<_>>(), Texts::ENGLISH)
        };
        assert_eq!(shown(&[1, 3, 5]), "127.0.0.1:1 127.0.0.1:3 127.0.0.1:5");
        assert_eq!(shown(&[1, 3, 5, 7, 8, 10]), "127.0.0.1:1 127.0.0.1:3 127.0.0.1:5 … 2 more ranges");
    }

    #[test]
    fn small_buffers_come_with_the_way_to_larger_ones() {
        assert_eq!(receive_buffers(4 << 20), "4096 KiB a socket for datagrams that wait");
        assert!(
            receive_buffers(212_992).starts_with("208 KiB")
                && receive_buffers(212_992).contains("net.core.rmem_max=4194304")
        );
    }
}
