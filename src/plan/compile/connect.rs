//! `connect` of an FSU (spec conversation.md, Dialling out).

use super::address::with_port;
use super::number::whole;
use crate::config::at::At;
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::raw::{RawConnect, RawFsu};
use crate::model::connect::Connect;
use crate::model::message::Transport;
use crate::model::network::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

/// Networks of one `from`: 18 bytes each.
pub(super) const FROM_MAX: usize = 64;
/// Bounds of the backoff where none are given, in milliseconds.
const RECONNECT_MS: (u64, u64) = (1_000, 60_000);
/// The longest backoff.
const HOUR_MS: u64 = 3_600_000;

/// Where the FSUs of an entry dial out to. `first`: the number of the first of them. `None`: nowhere, or it is wrong, which was reported.
pub(super) fn connect(
    diags: &mut Diags,
    entry: &At<RawFsu>,
    transport: Option<Transport>,
    first: u32,
) -> Option<Connect> {
    let raw = entry.connect.as_ref()?;
    let to = to(diags, raw);
    let from = from(diags, raw, to);
    let reconnect_ms = reconnect_ms(diags, raw);
    let most = raw.per_second.as_ref().map(|at| whole(diags, Some(at), 1..=1_000_000, 1));
    let per_second = most.and_then(|most| NonZeroU32::new(most as u32));
    let transport = transport?;
    let is_tcp = transport == Transport::Tcp;
    if transport == Transport::Broadcast {
        diags.error(raw.pos, "`connect` is for tcp, udp and datagram: a broadcast FSU only answers (write `\"protocol_type\": \"datagram\"` for frames without transfers)");
    } else if !is_tcp {
        only_tcp(diags, raw, transport);
    }
    let (to, from) = (to?, from?);
    if let Some(host) = &entry.host {
        let is_listening = entry.port.is_some();
        if is_tcp && !is_listening {
            diags.error(host.pos, "`host` is the address to listen on, and without `port` this FSU does not listen: the source address is `from` of `connect`");
        } else if !is_tcp && !from.is_empty() {
            diags.error(
                host.pos,
                "`host` and `from` of `connect` are both the address that this FSU is bound to: leave one out",
            );
        } else if !is_tcp && host.value.trim().parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() && to.is_ipv6()) {
            diags.error(
                host.pos,
                format!("an IPv4 address, and `to` of `connect` is {to} (`host` :: has both IPv4 and IPv6)"),
            );
        }
    }
    let listens = !is_tcp || entry.port.is_some();
    Some(Connect { to, from, first, reconnect_ms, per_second, tls: None, listens })
}

/// The address that the FSU of this number is bound to, with port 0; `host`: that of the entry, where one is given.
pub(super) fn bind(connect: &Connect, transport: Transport, number: u32, host: Option<SocketAddr>) -> SocketAddr {
    let own = if transport == Transport::Tcp && connect.listens { None } else { connect.source(number) };
    let any: IpAddr = match connect.to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let here = if connect.to.ip().is_loopback() { connect.to.ip() } else { any };
    match (own, host, transport) {
        (Some(ip), ..) => SocketAddr::new(ip, 0),
        (None, Some(host), _) => with_port(host, 0),
        // It listens as every FSU does, or not at all.
        (None, None, Transport::Tcp) if connect.listens => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        (None, None, Transport::Tcp) => SocketAddr::new(any, 0),
        (None, None, _) => SocketAddr::new(here, 0),
    }
}

fn only_tcp(diags: &mut Diags, raw: &At<RawConnect>, transport: Transport) {
    let keys = [
        ("reconnect_ms", raw.reconnect_ms.as_ref().map(|at| at.pos)),
        ("per_second", raw.per_second.as_ref().map(|at| at.pos)),
    ];
    for (key, at) in keys {
        if let Some(pos) = at {
            let text = format!("`{key}` is for tcp: a {} FSU opens no connection (leave it out)", transport.name());
            diags.error(pos, text);
        }
    }
}

fn to(diags: &mut Diags, raw: &At<RawConnect>) -> Option<SocketAddr> {
    let Some(to) = &raw.to else {
        diags.missing(raw.pos, "to", "address and port of the centre, \"192.0.2.1:9000\"");
        return None;
    };
    let parsed = to.value.trim().parse::<SocketAddr>().ok().map(|to| match to {
        SocketAddr::V6(six) if six.scope_id() == 0 => SocketAddr::new(six.ip().to_canonical(), six.port()),
        other => other,
    });
    let Some(address) = parsed.filter(|to| to.port() != 0 && !to.ip().is_unspecified()) else {
        let what = "is no address and port of a centre (192.0.2.1:9000, [2001:db8::1]:9000; names are not looked up)";
        diags.error(to.pos, format!("`{}` {what}", shown(&to.value)));
        return None;
    };
    Some(address)
}

fn from(diags: &mut Diags, raw: &At<RawConnect>, to: Option<SocketAddr>) -> Option<Box<[Network]>> {
    let Some(list) = &raw.from else { return Some(Box::default()) };
    if list.is_empty() || list.len() > FROM_MAX {
        diags.error(list.pos, format!("{} networks (1 to {FROM_MAX}; without `from` the system chooses)", list.len()));
        return None;
    }
    let mut networks = Vec::with_capacity(list.len());
    for text in &list.value {
        match Network::parse(&text.value) {
            Err(what) => diags.error(text.pos, what),
            Ok(network) if to.is_some_and(|to| to.is_ipv4() != network.is_ipv4()) => {
                let text = "addresses of another family than `to`: nothing can be sent there from these";
                diags.error(list.pos, text);
            }
            Ok(network) => networks.push(network),
        }
    }
    (networks.len() == list.len()).then(|| networks.into())
}

fn reconnect_ms(diags: &mut Diags, raw: &At<RawConnect>) -> (u64, u64) {
    let Some(at) = &raw.reconnect_ms else { return RECONNECT_MS };
    match at.value[..] {
        [first, most] if (1..=most).contains(&first) && most <= HOUR_MS => (first, most),
        _ => {
            let what = "two numbers of milliseconds: the wait after the first failure, and the most";
            diags.error(
                at.pos,
                format!("expected {what} (1 to {HOUR_MS}, the first not above the second; [1000, 60000])"),
            );
            RECONNECT_MS
        }
    }
}
