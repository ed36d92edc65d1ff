//! Binds the whole fleet before anything is served, and reports every address that cannot be bound.

use super::claims::{Claims, Taken, bound_udp};
use super::local;
use super::ranges::ranges;
use crate::shard::Own;
use fsu_net::bind::{Bound, bind_broadcast, bind_tcp, bind_udp, try_source};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::words::count;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// Most addresses that an error lists one by one; a second instance of a large fleet would fill the screen.
const REFUSED_TOLD_MAX: usize = 100;
/// Most system log lines about listening; further ranges are only counted, so that they cannot fill its queue.
const LISTENING_LINES_MAX: usize = 1_000;

/// Addresses that cannot be bound: how many of how many, and a line for each, with the FSU's name, transport, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{} of {} cannot be bound:{}", refused, count(*of, "socket"), lines)]
pub struct BindError {
    refused: usize,
    of: usize,
    /// Each begins with a newline; at most [`REFUSED_TOLD_MAX`] and one that counts the others.
    lines: String,
}

/// The sockets of a fleet, by FSU number.
#[derive(Debug)]
pub struct Sockets {
    /// The sockets.
    pub bound: Vec<Bound>,
    /// Where they listen; the real port where 0 was asked for.
    pub addresses: Vec<SocketAddr>,
    /// The smallest receive buffer that the kernel gave a datagram socket; absent if there is no such socket.
    pub receive_buffer_bytes: Option<usize>,
}

/// An FSU, an address that cannot be had for it, and why.
type Refused<'f> = (&'f Fsu, SocketAddr, io::Error);

/// Binds every FSU's socket.
///
/// # Errors
/// A line for each address that cannot be bound, with the FSU's name, transport, and the reason.
pub fn bind(fleet: &Fleet) -> Result<Sockets, BindError> {
    bind_all(fleet, (0..).zip(&fleet.fsus), fleet.fsus.len(), false)
}

/// The same; udp FSUs have no socket of their own. Their addresses are to be had with [`claim`].
///
/// # Errors
/// As [`bind`].
pub fn bind_lent(fleet: &Fleet) -> Result<Sockets, BindError> {
    bind_all(fleet, (0..).zip(&fleet.fsus), fleet.fsus.len(), true)
}

/// Holds the addresses of udp FSUs that have no socket of their own, and lets go of others.
///
/// # Errors
/// As [`bind`], for those that another run has; then nothing changes.
pub fn claim(claims: &mut Claims, fleet: &Fleet, addresses: &[SocketAddr]) -> Result<(), BindError> {
    let udp = || fleet.fsus.iter().zip(addresses).filter(|(fsu, _)| fsu.transport == Transport::Udp);
    // Held before others are looked at: of two that start together at least one sees the other.
    let held = claims.hold(udp().map(|(_, &address)| address));
    let taken = Taken::new(claims.of_others());
    let in_use = || io::Error::from(ErrorKind::AddrInUse);
    let mut refused: Vec<Refused<'_>> =
        udp().filter(|&(_, &address)| taken.has(address)).map(|(fsu, _)| (fsu, fsu.bind, in_use())).collect();
    if let (Err(error), true, Some((first, _))) = (held, refused.is_empty(), udp().next()) {
        refused.push((first, first.bind, error));
    }
    if refused.is_empty() { Ok(()) } else { Err(tell(&refused, addresses.len())) }
}

/// Binds the sockets of these FSUs, by their numbers.
///
/// # Errors
/// As [`bind`]; then none of them is bound.
pub fn bind_some(fleet: &Fleet, numbers: &[u32], lent: bool) -> Result<Sockets, BindError> {
    let fsus = numbers.iter().filter_map(|&number| Some((number, fleet.fsus.get(number as usize)?)));
    bind_all(fleet, fsus, numbers.len(), lent)
}

/// Sources that must not be answered: the fleet's own addresses.
pub fn own(fleet: &Fleet, addresses: &[SocketAddr]) -> Own {
    let all = fleet.fsus.iter().zip(addresses).filter(|(fsu, _)| fsu.transport != Transport::Tcp);
    let bound: Vec<SocketAddr> = all.map(|(_, &address)| address).collect();
    let any = bound.iter().any(|address| address.ip().is_unspecified());
    Own::new(bound, if any { local::addresses() } else { HashSet::new() })
}

fn bind_all<'a>(
    fleet: &Fleet,
    fsus: impl Iterator<Item = (u32, &'a Fsu)>,
    many: usize,
    lent: bool,
) -> Result<Sockets, BindError> {
    let mut binder = Binder::new(lent);
    let mut sockets =
        Sockets { bound: Vec::with_capacity(many), addresses: Vec::with_capacity(many), receive_buffer_bytes: None };
    let mut refused = Vec::new();
    for (number, fsu) in fsus {
        if let Some(ip) = fleet.source(number as usize)
            && let Err(error) = binder.try_source(ip)
        {
            refused.push((fsu, SocketAddr::new(ip, 0), error));
        }
        let bound = binder.bind(fsu).and_then(|bound| Ok((bound.local_addr()?, bound)));
        match bound {
            Ok((address, bound)) => {
                sockets.addresses.push(address);
                let least = sockets.receive_buffer_bytes.into_iter().chain(bound.receive_buffer_bytes()).min();
                sockets.receive_buffer_bytes = least;
                sockets.bound.push(bound);
            }
            Err(error) => refused.push((fsu, fsu.bind, error)),
        }
    }
    if refused.is_empty() { Ok(sockets) } else { Err(tell(&refused, many)) }
}

/// Binds one after the other.
struct Binder {
    /// Udp FSUs have no socket of their own.
    lent: bool,
    /// Addresses that the kernel would let us bind, although a run without sockets of its own has them; with `lent` also those of the
    /// kernel's own sockets, and those that were given here.
    taken: Taken,
    /// Addresses of this machine, each tried once.
    ours: HashSet<IpAddr>,
    /// Source addresses of connections, the same.
    sources: HashSet<IpAddr>,
}

impl Binder {
    fn new(lent: bool) -> Self {
        let mut taken = Claims::default().of_others();
        if lent {
            // Its own names are looked at when they are held.
            taken = bound_udp();
        }
        Self { lent, taken: Taken::new(taken), ours: HashSet::new(), sources: HashSet::new() }
    }

    fn bind(&mut self, fsu: &Fsu) -> io::Result<Bound> {
        let bound = match fsu.transport {
            Transport::Tcp if !fsu.listens() => return Ok(Bound::Dials(Box::new(fsu.bind))),
            Transport::Tcp => return bind_tcp(fsu.bind).map(Bound::Tcp),
            Transport::Udp if self.lent => return self.lend(fsu.bind).map(|address| Bound::Lent(Box::new(address))),
            Transport::Udp => bind_udp(fsu.bind).map(Bound::Udp),
            Transport::Broadcast | Transport::Datagram => bind_broadcast(fsu.bind).map(Bound::Udp),
        }?;
        if self.taken.has(bound.local_addr()?) { Err(ErrorKind::AddrInUse.into()) } else { Ok(bound) }
    }

    /// Whether connections can be opened from that address.
    fn try_source(&mut self, ip: IpAddr) -> io::Result<()> {
        if !self.sources.contains(&ip) {
            try_source(ip)?;
            self.sources.insert(ip);
        }
        Ok(())
    }

    /// An address that may be given to the one socket.
    fn lend(&mut self, mut address: SocketAddr) -> io::Result<SocketAddr> {
        if address.port() == 0 {
            // Closed again at once: the port is free, and whoever binds it later gets nothing.
            address.set_port(bind_udp(address)?.local_addr()?.port());
        } else if !self.ours.contains(&address.ip()) {
            bind_udp(SocketAddr::new(address.ip(), 0))?;
            self.ours.insert(address.ip());
        }
        if self.taken.has(address) {
            return Err(ErrorKind::AddrInUse.into());
        }
        self.taken.add(address);
        Ok(address)
    }
}

fn tell(refused: &[Refused<'_>], of: usize) -> BindError {
    let mut text = String::new();
    for (fsu, address, error) in refused.iter().take(REFUSED_TOLD_MAX) {
        let why = refusal(*address, error);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {} {} {address}: {why}", fsu.name, fsu.transport.name());
    }
    if refused.len() > REFUSED_TOLD_MAX {
        let _ = write!(text, "\n  ... and {} more", refused.len() - REFUSED_TOLD_MAX);
    }
    BindError { refused: refused.len(), of, lines: text }
}

/// Why an address cannot be bound, and what helps.
fn refusal(bind: SocketAddr, error: &io::Error) -> String {
    let is_local = matches!(bind, SocketAddr::V6(six) if six.ip().is_unicast_link_local() && six.scope_id() == 0);
    match error.kind() {
        ErrorKind::AddrInUse => "the address is in use (ss -lntup shows by whom)".to_owned(),
        ErrorKind::AddrNotAvailable => "no interface of this machine has that address (ip addr)".to_owned(),
        ErrorKind::PermissionDenied => format!("not permitted: ports below 1024 need a privilege ({error})"),
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && bind.is_ipv6() => {
            "this system has no IPv6 (`host` 0.0.0.0, or --bind 0.0.0.0, is all of IPv4)".to_owned()
        }
        _ if is_local => {
            format!("{error}: a link-local address needs its interface's number, {}%2 (ip link)", bind.ip())
        }
        _ => error.to_string(),
    }
}

impl Sockets {
    /// A line for each FSU that asked for any free port: `listening NAME udp 127.0.0.1:40001`.
    pub fn free_ports(&self, fleet: &Fleet) -> String {
        let mut text = String::new();
        for (fsu, address) in
            fleet.fsus.iter().zip(&self.addresses).filter(|(fsu, _)| fsu.bind.port() == 0 && fsu.listens())
        {
            let _ = writeln!(text, "listening {} {} {address}", fsu.name, fsu.transport.name());
        }
        text
    }

    /// Writes to the system log where the fleet listens, consecutive ports in one line. `target`: see [`crate::syslog::ON_STDOUT`].
    pub fn log(&self, fleet: &Fleet, target: &str) {
        for line in self.listening(fleet) {
            log::info!(target: target, "{line}");
        }
    }

    fn listening(&self, fleet: &Fleet) -> Vec<String> {
        let (mut told, mut lines) = (Vec::new(), 0);
        for transport in Transport::ALL {
            let fsus = || {
                fleet.fsus.iter().zip(&self.addresses).filter(|(fsu, _)| fsu.transport == transport && fsu.listens())
            };
            let mut names = fsus().map(|(fsu, _)| &fsu.name);
            for range in ranges(fsus().map(|(_, &address)| address)) {
                let many = usize::from(range.last_port - range.first.port()) + 1;
                let Some(first) = names.next() else { break };
                let last = if many > 1 { names.nth(many - 2) } else { None };
                lines += 1;
                if lines <= LISTENING_LINES_MAX {
                    let last = last.map(|last| format!(" … {last}")).unwrap_or_default();
                    told.push(format!("listening {first}{last} {} {range}", transport.name()));
                }
            }
        }
        if lines > LISTENING_LINES_MAX {
            told.push(format!("listening at {} more", count(lines - LISTENING_LINES_MAX, "address")));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::fleet;

    #[test]
    fn n20_a_system_without_ipv6_is_told_of() {
        let check = |bind: &str, errno: i32, expected: &str| {
            let told = refusal(bind.parse().expect("an address"), &io::Error::from_raw_os_error(errno));
            assert!(told.contains(expected), "{told}");
        };
        check(
            "[::]:9000",
            libc::EAFNOSUPPORT,
            "this system has no IPv6 (`host` 0.0.0.0, or --bind 0.0.0.0, is all of IPv4)",
        );
        check("[fe80::1]:9000", libc::EINVAL, "needs its interface's number, fe80::1%2 (ip link)");
        check("[::1]:9000", libc::EADDRNOTAVAIL, "no interface of this machine has that address");
        check("[::]:9000", libc::EADDRINUSE, "the address is in use");
        check("127.0.0.1:9000", libc::EINVAL, "Invalid argument");
    }

    #[test]
    fn limit_listening_lines_max_more_are_counted() {
        let lines = |n: u16| {
            let mut fleet = fleet();
            fleet.fsus = (0..n).map(|_| crate::fleet::fixtures::fleet().fsus.swap_remove(0)).collect();
            // No two ports in a row: a line each.
            let addresses = (0..n).map(|i| SocketAddr::from(([127, 0, 0, 1], 10_000 + 2 * i))).collect();
            Sockets { bound: Vec::new(), addresses, receive_buffer_bytes: None }.listening(&fleet)
        };
        let all = lines(1_000);
        assert_eq!((all.len(), all[999].ends_with(":11998")), (1_000, true), "{}", all[999]);
        let more = lines(1_003);
        assert_eq!((more.len(), &*more[1_000]), (1_001, "listening at 3 addresses more"));
    }

    #[test]
    fn limit_refused_told_max() {
        let fleet =
            crate::fleet::read::read(&crate::fleet::read::Origin::Embedded).fleet.expect("the embedded one is good");
        let lines = |n: usize| {
            let refused = (0..n).map(|i| &fleet.fsus[i % fleet.fsus.len()]);
            let refused = refused.map(|fsu| (fsu, fsu.bind, io::Error::from(ErrorKind::AddrInUse)));
            tell(&refused.collect::<Vec<_>>(), 200).to_string().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(100).len(), 101);
        let more = lines(103);
        assert_eq!((more.len(), more[101].as_str()), (102, "  ... and 3 more"));
    }
}
