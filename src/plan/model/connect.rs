//! Where an FSU dials out to (`connect`).

use super::network::Network;
use super::tls::Tls;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

crate::words! {
    /// Why a dial failed, as the statistics spell it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum DialFailure {
        /// ECONNREFUSED.
        Refused = "refused": "nobody listens there",
        /// ECONNRESET and the like.
        Reset = "reset": "the connection was reset before it was up",
        /// No answer within the time limit.
        TimedOut = "timed_out": "no answer in time",
        /// No route to the network or host.
        Unreachable = "unreachable": "no way to that address",
        /// No local port or address was free (EADDRNOTAVAIL, EADDRINUSE).
        NoPort = "no_port": "no local port was free, or the source address is none of this machine",
        /// The connection was there, and no TLS came of it.
        Tls = "tls": "no TLS handshake came of it",
        /// Anything else, for example no descriptor.
        Other = "other": "another error of the system",
    }
}

/// Where an FSU dials out to: one for all FSUs of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// The centre.
    pub to: SocketAddr,
    /// Networks whose addresses are source addresses in turn; empty: the system chooses.
    pub from: Box<[Network]>,
    /// The number in the fleet of the FSU that has the first of them.
    pub first: u32,
    /// Bounds of the backoff, in milliseconds: after the first failure, and the most. tcp only.
    pub reconnect_ms: (u64, u64),
    /// Dials a second of the whole fleet; `None`: no bound. tcp only.
    pub per_second: Option<NonZeroU32>,
    /// Its connections are TLS.
    pub tls: Option<Arc<Tls>>,
    /// It listens as well (`port` beside `connect`). Always so for datagrams, which come by the same socket.
    pub listens: bool,
}

impl Connect {
    /// The source address of an FSU, by its number in the fleet; `None`: the system chooses.
    pub fn source(&self, number: u32) -> Option<IpAddr> {
        let all: u128 = self.from.iter().map(Network::hosts).fold(0, u128::saturating_add);
        let mut place = u128::from(number.wrapping_sub(self.first)).checked_rem(all)?;
        for network in &self.from {
            match place.checked_sub(network.hosts()) {
                None => return network.host(place),
                Some(rest) => place = rest,
            }
        }
        None
    }

    /// Whether a connection that was dialled by this plan is one of the other as well.
    pub fn is_same_way(&self, other: &Self) -> bool {
        (self.to, &self.from, self.tls.is_some()) == (other.to, &other.from, other.tls.is_some())
    }

    /// How long a dial waits at most after this many failures in a row, in milliseconds: exponential, bounded. The time itself is drawn
    /// evenly from 0 to that (full jitter).
    pub fn window_ms(&self, failures: u32) -> u64 {
        let (first, most) = self.reconnect_ms;
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).and_then(|times| first.checked_mul(times));
        doubled.unwrap_or(u64::MAX).min(most).max(first.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(from: &[&str], first: u32) -> Connect {
        let from = from.iter().map(|text| Network::parse(text).expect("a network")).collect();
        let to = ([192, 0, 2, 1], 9000).into();
        Connect { to, from, first, reconnect_ms: (1_000, 60_000), per_second: None, tls: None, listens: false }
    }

    #[test]
    fn sources_are_taken_in_turn() {
        let check = |from: &[&str], expected: &[&str]| {
            let connect = connect(from, 5);
            let sources = (5..).map(|number| connect.source(number).map(|ip| ip.to_string()));
            let sources: Vec<String> = sources.map(Option::unwrap_or_default).take(expected.len()).collect();
            assert_eq!(sources, expected, "{from:?}");
        };
        check(&[], &["", ""]);
        check(&["192.0.2.7"], &["192.0.2.7", "192.0.2.7"]);
        check(&["192.0.2.8/30", "10.0.0.1"], &["192.0.2.9", "192.0.2.10", "10.0.0.1", "192.0.2.9"]);
        check(&["192.0.2.8/31"], &["192.0.2.8", "192.0.2.9", "192.0.2.8"]);
        check(&["2001:db8::/126"], &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::1"]);
        check(&["127.0.0.0/8"], &["127.0.0.1", "127.0.0.2"]);
    }

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let connect = connect(&[], 0);
        let windows = [0, 1, 2, 3, 6, 7, 64, u32::MAX].map(|failures| connect.window_ms(failures));
        assert_eq!(windows, [1_000, 1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
    }
}
