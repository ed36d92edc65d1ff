//! Addresses and networks, and which of them collide.

use crate::config::at::At;
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::steps::step;
use crate::model::message::Transport;
use crate::model::network::Network;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

/// Networks of one `allow`: each is looked at for each datagram. 18 bytes each.
pub(super) const ALLOW_MAX: usize = 64;
/// The networks of an `allow`, where there is one.
pub(super) fn allow(diags: &mut Diags, raw: Option<&At<Vec<At<String>>>>) -> Option<Arc<[Network]>> {
    let list = raw?;
    if list.is_empty() || list.len() > ALLOW_MAX {
        diags
            .error(list.pos, format!("{} networks (1 to {ALLOW_MAX}; without `allow` any centre may ask)", list.len()));
    }
    let networks = list.iter().filter_map(|text| {
        let parsed = Network::parse(&text.value);
        parsed.map_err(|what| diags.error(text.pos, what)).ok()
    });
    Some(networks.collect())
}

/// The address of a `host`, with port 0. An IPv4 one is one, also where it is written `::ffff:192.0.2.1`.
pub(super) fn address(diags: &mut Diags, host: Option<&At<String>>) -> Option<SocketAddr> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let Some(host) = host else { return Some(here) };
    match host.value.trim() {
        "localhost" => Some(here),
        text => parse_address(text).or_else(|| {
            let what = "is no IP address (127.0.0.1; 0.0.0.0 for all of IPv4, :: for all of IPv4 and IPv6; fe80::1%2)";
            diags.error(host.pos, format!("`{}` {what}", shown(text)));
            None
        }),
    }
}

/// An IP address; one of IPv6 may have a `%` and the number of an interface.
fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => Some(SocketAddr::new(text.parse::<IpAddr>().ok()?.to_canonical(), 0)),
        Some((ip, scope)) => Some(SocketAddrV6::new(ip.parse().ok()?, 0, 0, scope.parse().ok()?).into()),
    }
}

pub(super) fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// The ports that are taken, by transport.
#[derive(Default)]
pub(super) struct Ports(HashMap<(bool, u16), Port>);

/// The addresses at which one port of a transport is taken, numbered in file order.
#[derive(Default)]
struct Port {
    names: Vec<String>,
    /// The first at each address.
    exact: HashMap<SocketAddr, usize>,
    first: Option<usize>,
    first_v4: Option<usize>,
    /// The first at `0.0.0.0`.
    all_v4: Option<usize>,
    /// The first at `::`, which is every address of both families.
    all: Option<usize>,
}

impl Port {
    /// Whose address this one gets in the way of: of several, the first.
    fn claim(&mut self, bind: SocketAddr, name: &str) -> Option<String> {
        step(1);
        let unspecified = bind.ip().is_unspecified();
        let others = match (bind.is_ipv4(), unspecified) {
            (true, true) => [self.first_v4, self.all],
            (true, false) => [self.all_v4, self.all],
            (false, true) => [self.first, None],
            (false, false) => [self.all, None],
        };
        let exact = self.exact.get(&bind).copied();
        let other = others.into_iter().flatten().chain(exact).min().and_then(|number| self.names.get(number)).cloned();
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.exact.entry(bind).or_insert(number);
        self.first.get_or_insert(number);
        if bind.is_ipv4() {
            self.first_v4.get_or_insert(number);
        }
        if unspecified {
            let all = if bind.is_ipv4() { &mut self.all_v4 } else { &mut self.all };
            all.get_or_insert(number);
        }
        other
    }
}

impl Ports {
    /// Whose address this one collides with; of several, the first.
    pub(super) fn claim(&mut self, transport: Transport, bind: SocketAddr, name: &str) -> Option<String> {
        if bind.port() == 0 {
            return None;
        }
        self.0.entry((transport == Transport::Tcp, bind.port())).or_default().claim(bind, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n20_which_addresses_get_in_each_others_way() {
        let check = |one: &str, other: &str, expected: bool| {
            let [one, other] = [one, other].map(|text| with_port(parse_address(text).expect("an address"), 9000));
            let collide = |one, other| {
                let mut port = Port::default();
                assert_eq!(port.claim(one, "first"), None);
                port.claim(other, "second").is_some()
            };
            assert_eq!((collide(one, other), collide(other, one)), (expected, expected), "{one} {other}");
        };
        check("::", "0.0.0.0", true);
        check("::", "127.0.0.1", true);
        check("::", "::1", true);
        check("::", "::", true);
        check("0.0.0.0", "127.0.0.1", true);
        check("0.0.0.0", "::1", false);
        check("127.0.0.1", "::1", false);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("::ffff:0.0.0.0", "127.0.0.2", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("fe80::1%2", "fe80::1%2", true);
        check("fe80::1%2", "fe80::1%3", false);
    }

    #[test]
    fn n20_addresses_are_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(parse_address(text), expected.map(|text| text.parse().expect("an address")), "{text}");
        };
        check("::", Some("[::]:0"));
        check("::ffff:192.0.2.1", Some("192.0.2.1:0"));
        check("fe80::1%2", Some("[fe80::1%2]:0"));
        for none in ["", "host", "[::1]", "127.0.0.1%2", "fe80::1%", "fe80::1%eth0", "fe80::1%-1", "::1:"] {
            check(none, None);
        }
    }
}
