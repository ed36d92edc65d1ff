//! Where the FSUs of an entry listen: `host` and `port`, or the ranges `hosts` and `ports`.
//!
//! FSUs take the places of a range in turn: all ports of the first address, then those of the next one.

use super::address::{address, with_port};
use crate::config::at::{At, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::raw::RawFsu;
use crate::model::network::Network;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;

/// The addresses of an entry, in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    hosts: Hosts,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
enum Hosts {
    /// `host`, with port 0: all FSUs have it.
    One(SocketAddr),
    /// A network of `hosts`.
    Network(Network),
    /// `FIRST-LAST` of `hosts`.
    Range(IpAddr, u128),
}

#[derive(Clone, Copy, Debug)]
enum Ports {
    /// `port` without ranges: it counts up, 0 stays 0.
    Up(u64),
    /// `port` beside `hosts`: every address has it.
    Same(u16),
    /// `ports`: the first, and how many.
    Range(u16, NonZeroU64),
}

/// What an entry says about its places. `None`: something is wrong, which was reported.
pub(super) fn places(diags: &mut Diags, raw: &At<RawFsu>) -> Option<Places> {
    if let Some(at) = raw.hosts.as_ref().or(raw.ports.as_ref()) {
        only_alone(diags, raw, at.pos);
        if raw.connect.is_some() {
            // Its addresses mean nothing.
            return None;
        }
    }
    let hosts = match &raw.hosts {
        Some(text) => hosts(diags, text),
        None => address(diags, raw.host.as_ref()).map(Hosts::One),
    };
    let ports = match &raw.ports {
        Some(text) => ports(diags, text),
        None => {
            port(diags, raw).map(|port| if raw.hosts.is_some() { Ports::Same(port) } else { Ports::Up(port.into()) })
        }
    };
    Some(Places { hosts: hosts?, ports: ports? })
}

/// Keys that a range does not go with.
fn only_alone(diags: &mut Diags, raw: &At<RawFsu>, pos: Pos) {
    if let (Some(host), Some(_)) = (&raw.host, &raw.hosts) {
        diags.error(host.pos, "`host` and `hosts` both say where to listen: leave one out");
    }
    if let (Some(port), Some(_)) = (&raw.port, &raw.ports) {
        diags.error(port.pos, "`port` and `ports` both say where to listen: leave one out");
    }
    if raw.connect.is_some() {
        let text = "`hosts` and `ports` are where FSUs listen, and these dial out: `from` of `connect` has their addresses, `port` the \
                    first port of those that listen as well";
        diags.error(pos, text);
    }
    if raw.count.is_none() {
        diags.missing(raw.pos, "count", "how many FSUs take the addresses of `hosts` and `ports`");
    }
}

fn hosts(diags: &mut Diags, text: &At<String>) -> Option<Hosts> {
    let range = text.value.split_once('-').map(|(first, last)| (ip(first), ip(last)));
    match range {
        None => match Network::parse(&text.value) {
            Ok(network) => return Some(Hosts::Network(network)),
            Err(what) => diags.error(text.pos, what),
        },
        Some((Some(first), Some(last))) if first.is_ipv4() == last.is_ipv4() && first <= last => {
            return Some(Hosts::Range(first, (number(last) - number(first)).saturating_add(1)));
        }
        Some(_) => {
            let what = "is no range of addresses (127.1.0.0/16; 192.0.2.10-192.0.2.99, the first not above the last)";
            diags.error(text.pos, format!("`{}` {what}", shown(&text.value)));
        }
    }
    None
}

fn ip(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

fn ports(diags: &mut Diags, text: &At<String>) -> Option<Ports> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port > 0);
    let range = text.value.split_once('-').and_then(|(first, last)| Some((port(first)?, port(last)?)));
    if let Some((first, last)) = range
        && let Some(many) = (u64::from(last) + 1).checked_sub(first.into()).and_then(NonZeroU64::new)
    {
        return Some(Ports::Range(first, many));
    }
    let what = "is no range of ports (22001-42000, from 1 to 65535, the first not above the last)";
    diags.error(text.pos, format!("`{}` {what}", shown(&text.value)));
    None
}

fn port(diags: &mut Diags, entry: &At<RawFsu>) -> Option<u16> {
    let Some(port) = &entry.port else {
        if entry.connect.is_some() {
            return Some(0);
        }
        diags.missing(entry.pos, "port", "0 for any free one");
        return None;
    };
    let given = u16::try_from(port.value).ok();
    if given.is_none() {
        diags.error(port.pos, format!("port {} (0 for any free one, to 65535)", port.value));
    }
    given
}

impl Hosts {
    fn many(&self) -> u128 {
        match self {
            Self::One(_) => 1,
            Self::Network(network) => network.hosts(),
            Self::Range(_, many) => *many,
        }
    }

    /// One of them, with port 0.
    fn at(&self, place: u128) -> Option<SocketAddr> {
        let ip = match *self {
            Self::One(address) => return Some(address),
            Self::Network(network) => network.host(place)?,
            Self::Range(IpAddr::V4(first), _) => {
                IpAddr::V4(u32::from(first).checked_add(u32::try_from(place).ok()?)?.into())
            }
            Self::Range(IpAddr::V6(first), _) => IpAddr::V6(u128::from(first).checked_add(place)?.into()),
        };
        Some(SocketAddr::new(ip, 0))
    }
}

impl Places {
    /// The one address that all FSUs have, with port 0; of a range the first.
    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.hosts.at(0)
    }

    /// The address of an FSU of the entry, by its number.
    pub(super) fn at(&self, number: u64) -> Option<SocketAddr> {
        let (host, port) = match self.ports {
            Ports::Up(0) => (u128::from(number), 0),
            Ports::Up(port) => (0, u16::try_from(port.checked_add(number)?).ok()?),
            Ports::Same(port) => (u128::from(number), port),
            Ports::Range(first, many) => (u128::from(number / many), first + (number % many) as u16),
        };
        self.hosts.at(host).map(|address| with_port(address, port))
    }

    /// Whether they are enough for that many FSUs; reported at `pos` if not.
    pub(super) fn suffice(&self, diags: &mut Diags, count: u64, raw: &RawFsu, pos: Pos) -> bool {
        let hosts = self.hosts.many();
        let each = match self.ports {
            Ports::Up(0) => return true,
            Ports::Up(port) if port + (count - 1) <= 65_535 => return true,
            Ports::Up(port) => {
                diags.error(pos, format!("ports {port} to {} run past 65535", port + (count - 1)));
                return false;
            }
            Ports::Same(_) => 1,
            Ports::Range(_, many) => many.get(),
        };
        let all = hosts.saturating_mul(each.into());
        if u128::from(count) <= all {
            return true;
        }
        let more = match (&raw.hosts, &raw.ports) {
            (Some(_), None) => "`ports` gives every address several",
            (None, _) => "`hosts` gives them to several addresses",
            _ => "a wider range has more",
        };
        diags.error(
            pos,
            format!("count {count}, and there are {hosts} addresses with {each} ports each: {all} FSUs ({more})"),
        );
        false
    }
}

/// Where what is said of an entry's addresses belongs.
pub(super) fn pos(raw: &At<RawFsu>) -> Pos {
    let port = raw.port.as_ref().map(|port| port.pos);
    let ranges = raw.ports.as_ref().or(raw.hosts.as_ref()).map(|range| range.pos);
    port.or(ranges).unwrap_or(raw.pos)
}
