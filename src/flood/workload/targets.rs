//! The FSUs of a run, and where they listen. Pure.

use crate::workload::left_out::LeftOut;
use crate::workload::options::AskedFsu;
use crate::workload::profile::{ProfileError, Profiles, Wanted};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which FSUs, and how they are reached.
#[derive(Debug, Default)]
pub struct Choice {
    /// Names; none: all.
    pub globs: Vec<String>,
    /// Addresses that a mock printed.
    pub ports: HashMap<(String, Transport), SocketAddr>,
    /// Instead of every host.
    pub host: Option<IpAddr>,
    /// They are asked where they come from: no port has to be known.
    pub listens: bool,
}

/// Why there is no FSU to ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No name fits.
    #[error("no FSU has such a name")]
    NoName,
    /// Those with such names have other transports.
    #[error("none of the {fsus} FSUs is a {wanted} one ({instead})")]
    NoTransport {
        /// How many have such a name.
        fsus: usize,
        /// The transport.
        wanted: &'static str,
        /// What to call instead.
        instead: &'static str,
    },
    /// An FSU whose port the kernel chose.
    #[error("{0} has port 0: --ports FILE with what `run` printed tells its port")]
    NoPort(Box<str>),
    /// `--host` puts two FSUs at one address.
    #[error(
        "--host puts `{first}` and `{second}` at {address}: they differ in their hosts alone (leave --host out, or choose FSUs with --fsu)"
    )]
    OneAddress {
        /// The FSU that has it.
        first: Box<str>,
        /// The next one.
        second: Box<str>,
        /// The address.
        address: SocketAddr,
    },
    /// Commands of the mix that no device has.
    #[error("--mix: no device of these FSUs has the command {0}")]
    UnknownCommand(String),
    /// All commands are left out.
    #[error("these FSUs answer no command; {0}")]
    Nothing(String),
    /// A request cannot be prepared.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// Does a name fit a pattern with `*` and `?`?
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Place of the last star, and how much of the name it has matched.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// The lines `listening NAME udp ADDR` among what a mock printed.
pub fn ports(text: &str) -> HashMap<(String, Transport), SocketAddr> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        if words.next() != Some("listening") {
            return None;
        }
        let name = words.next()?.to_owned();
        let transport = Transport::from_name(words.next()?)?;
        Some(((name, transport), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

impl Choice {
    /// Where an FSU is reached; `None` where its port is not known.
    pub fn address(&self, fsu: &Fsu) -> Option<SocketAddr> {
        let printed = self.ports.get(&(fsu.name.to_string(), fsu.transport)).copied();
        let mut address = printed.unwrap_or(fsu.bind);
        if let Some(host) = self.host {
            address.set_ip(host);
        } else if address.ip().is_unspecified() {
            // A wildcard is no address to send to.
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        (address.port() != 0).then_some(address)
    }

    /// The FSUs of that transport.
    ///
    /// # Errors
    /// There is none.
    pub fn chosen<'a>(&self, fleet: &'a Fleet, transport: Transport) -> Result<Vec<&'a Fsu>, TargetError> {
        let named = |fsu: &&Fsu| self.globs.is_empty() || self.globs.iter().any(|glob| fits(glob, &fsu.name));
        let all: Vec<&'a Fsu> = fleet.fsus.iter().filter(named).collect();
        let chosen: Vec<&'a Fsu> = all.iter().copied().filter(|fsu| fsu.transport == transport).collect();
        if chosen.is_empty() {
            let here = transport.name();
            let there = all.first().map_or(Transport::Udp, |fsu| fsu.transport);
            let other = match (transport, there) {
                (Transport::Tcp, Transport::Udp) => "leave out --tcp",
                (Transport::Datagram, Transport::Udp) => "leave out --datagram",
                (_, Transport::Udp) => "leave out --broadcast",
                (_, Transport::Tcp) => "try --tcp",
                (_, Transport::Broadcast) => "try --broadcast",
                (_, Transport::Datagram) => "try --datagram",
            };
            return Err(match all.len() {
                0 => TargetError::NoName,
                fsus => TargetError::NoTransport { fsus, wanted: here, instead: other },
            });
        }
        Ok(chosen)
    }

    /// What is asked of these FSUs, and where.
    ///
    /// # Errors
    /// There is nothing to ask, or a port or a value is missing or wrong.
    pub fn targets(
        &self,
        chosen: &[&Fsu],
        wanted: &Wanted,
        profiles: &mut Profiles,
    ) -> Result<Vec<AskedFsu>, TargetError> {
        let mut targets: Vec<AskedFsu> = Vec::new();
        let mut taken = HashMap::new();
        for &fsu in chosen {
            let Some(profile) = profiles.of(fsu, wanted)? else { continue };
            let nowhere = self.listens.then_some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
            let Some(address) = self.address(fsu).or(nowhere) else {
                return Err(TargetError::NoPort((&*fsu.name).into()));
            };
            if self.host.is_some()
                && let Some(first) = taken.insert(address, &*fsu.name)
            {
                return Err(TargetError::OneAddress { first: first.into(), second: (&*fsu.name).into(), address });
            }
            let rtn_flag = fsu.accept_rtn_flags.asked();
            targets.push(AskedFsu {
                name: (&*fsu.name).into(),
                id: fsu.id,
                rtn_flag,
                is_bare: fsu.transport.is_bare_datagrams(),
                address,
                profile,
                tls: None,
            });
        }
        let keys = wanted.mix.0.iter().map(|(key, _)| key);
        let unknown = keys.filter(|key| !profiles.labels.iter().any(|label| *label.key == ***key));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(TargetError::UnknownCommand(unknown.join(", ")));
        }
        if targets.is_empty() { Err(TargetError::Nothing(nothing(profiles))) } else { Ok(targets) }
    }
}

/// Commands that the message names, at most.
const NAMED_MAX: usize = 8;

/// Why nothing can be asked: the commands that are left out.
fn nothing(profiles: &Profiles) -> String {
    let why = |left: &LeftOut| {
        let key = profiles.labels.get(left.label).map_or("", |label| &label.key);
        format!("{key}: {} ({})", left.why.text(), left.why.remedy())
    };
    let mut all: Vec<String> = profiles.left_out.iter().take(NAMED_MAX).map(why).collect();
    if profiles.left_out.len() > NAMED_MAX {
        all.push(format!("and {} more", profiles.left_out.len() - NAMED_MAX));
    }
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, name, expected| assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        check("a", "a", true);
        check("a", "ab", false);
        check("*", "", true);
        check("a*", "abc", true);
        check("*c", "abcbc", true);
        check("a*b*d", "a1b2c", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("站*", "站点", true);
        check("**x", "x", true);
    }

    #[test]
    fn printed_ports() {
        let text = "ready\nlistening a udp 127.0.0.1:4001\nlistening b tcp [::1]:5\nlistening c udp nowhere\n";
        let found = ports(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&("a".to_owned(), Transport::Udp)], "127.0.0.1:4001".parse().unwrap());
        assert_eq!(found[&("b".to_owned(), Transport::Tcp)], "[::1]:5".parse().unwrap());
    }
}
