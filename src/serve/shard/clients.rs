//! The centres that an FSU knows (spec b-interface.md, Clients and heartbeats).

use fsu_net::local::{Local, Route};
use std::net::SocketAddr;

/// One centre: 64 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    heard_ms: u64,
    /// The address of this machine at which it was heard last: heartbeats leave from there.
    local: Local,
    /// Valid requests so far, wrapping around.
    requests: u32,
}

/// Every so many requests a centre is told as [`Seen::Often`].
const OFTEN: u32 = 64;

/// What hearing from an address changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: a centre that was known.
    Known,
    /// The same, of one that asks often.
    Often,
    /// A centre came.
    New,
    /// A centre came, and the longest-silent one went to make room.
    Replaced(SocketAddr),
}

/// The set of one FSU, bounded. Times are monotonic milliseconds. No memory before the first centre.
#[derive(Debug, Default)]
pub struct Clients {
    list: Vec<Client>,
    /// Whoever was heard last is the likeliest to be heard next.
    last: usize,
}

impl Clients {
    /// A valid frame came that way. The set never holds more than `clients_max` (at least one).
    #[inline]
    pub fn heard(&mut self, from: impl Into<Route>, now_ms: u64, clients_max: usize) -> Seen {
        let from = from.into();
        match self.list.get_mut(self.last) {
            Some(client) if client.address == from.peer => client.again(now_ms, from.local),
            _ => self.heard_from_another(from, now_ms, clients_max),
        }
    }

    fn heard_from_another(&mut self, from: Route, now_ms: u64, clients_max: usize) -> Seen {
        let Route { peer: address, local } = from;
        if let Some(index) = self.list.iter().position(|client| client.address == address) {
            self.last = index;
            return self.list[index].again(now_ms, local);
        }
        let mut seen = Seen::New;
        if self.list.len() >= clients_max.max(1)
            && let Some(silent) = (0..self.list.len()).min_by_key(|&index| self.list[index].heard_ms)
        {
            seen = Seen::Replaced(self.list.remove(silent).address);
        }
        if self.list.is_empty() {
            // One is what most FSUs ever hear from.
            self.list.reserve_exact(1);
        }
        self.list.push(Client { address, heard_ms: now_ms, local, requests: 1 });
        self.last = self.list.len() - 1;
        seen
    }

    /// Removes those not heard for `timeout_ms`, and calls `gone` for each.
    pub fn expire(&mut self, now_ms: u64, timeout_ms: u64, mut gone: impl FnMut(SocketAddr)) {
        self.list.retain(|client| {
            let live = client.is_live(now_ms, timeout_ms);
            if !live {
                gone(client.address);
            }
            live
        });
        self.last = 0;
    }

    /// Removes the longest silent ones until at most `clients_max` (at least one) are left, and calls `gone` for each.
    pub fn shrink(&mut self, clients_max: usize, mut gone: impl FnMut(SocketAddr)) {
        while self.list.len() > clients_max.max(1)
            && let Some(silent) = (0..self.list.len()).min_by_key(|&index| self.list[index].heard_ms)
        {
            gone(self.list.remove(silent).address);
        }
        self.last = 0;
    }

    /// When the next one goes if it stays silent; `None` where none is known.
    pub fn next_expiry(&self, timeout_ms: u64) -> Option<u64> {
        self.list.iter().map(|client| client.heard_ms.saturating_add(timeout_ms)).min()
    }

    /// The way to the centre at `index` in the order of coming, if it is live; `None` past the end.
    pub fn get(&self, index: usize, now_ms: u64, timeout_ms: u64) -> Option<Option<Route>> {
        let route = |client: &Client| Route { peer: client.address, local: client.local };
        self.list.get(index).map(|client| client.is_live(now_ms, timeout_ms).then(|| route(client)))
    }

    /// The entry of the one heard last, to prefetch it.
    pub(crate) fn latest(&self) -> *const Client {
        self.list.as_ptr().wrapping_add(self.last)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Client {
    #[inline]
    fn again(&mut self, now_ms: u64, local: Local) -> Seen {
        (self.heard_ms, self.local, self.requests) = (now_ms, local, self.requests.wrapping_add(1));
        if self.requests.is_multiple_of(OFTEN) { Seen::Often } else { Seen::Known }
    }

    fn is_live(&self, now_ms: u64, timeout_ms: u64) -> bool {
        now_ms < self.heard_ms.saturating_add(timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn known(clients: &Clients, now_ms: u64, timeout_ms: u64) -> Vec<u16> {
        (0..clients.len())
            .filter_map(|index| clients.get(index, now_ms, timeout_ms)?)
            .map(|route| route.peer.port())
            .collect()
    }

    /// (port, time) heard in turn with room for three; what each changed; who is left.
    fn check(heard: &[(u16, u64)], expected: &[Seen], left: &[u16]) {
        let mut clients = Clients::default();
        let seen: Vec<Seen> = heard.iter().map(|&(port, ms)| clients.heard(address(port), ms, 3)).collect();
        assert_eq!(seen, expected);
        assert_eq!(known(&clients, 10, 100), left);
    }

    #[test]
    fn limit_often_every_so_many_requests_a_centre_is_told_as_one_that_asks_often() {
        let mut clients = Clients::default();
        let often = |clients: &mut Clients, port, count: u32| {
            (0..count).filter(|_| clients.heard(address(port), 0, 4) == Seen::Often).count()
        };
        assert_eq!([often(&mut clients, 1, 63), often(&mut clients, 1, 1), often(&mut clients, 1, 128)], [0, 1, 2]);
        // Each by itself.
        assert_eq!([often(&mut clients, 2, 63), often(&mut clients, 1, 63), often(&mut clients, 2, 1)], [0, 0, 1]);
    }

    #[test]
    fn limit_clients_max_the_longest_silent_one_makes_room() {
        use Seen::{Known, New, Replaced};
        check(&[(1, 1), (2, 2), (1, 3)], &[New, New, Known], &[1, 2]);
        check(&[(1, 1), (2, 2), (3, 3), (1, 4), (4, 5)], &[New, New, New, Known, Replaced(address(2))], &[1, 3, 4]);
        check(
            &[(1, 1), (2, 2), (3, 3), (4, 4), (4, 5), (1, 6)],
            &[New, New, New, Replaced(address(1)), Known, Replaced(address(2))],
            &[3, 4, 1],
        );
    }

    #[test]
    fn a_silent_one_goes_when_its_time_is_over_and_not_before() {
        let mut clients = Clients::default();
        clients.heard(address(1), 1_000, 3);
        clients.heard(address(2), 1_500, 3);
        assert_eq!(clients.next_expiry(360), Some(1_360));
        assert_eq!(known(&clients, 1_359, 360), [1, 2]);
        assert_eq!(known(&clients, 1_360, 360), [2]);
        let mut gone = Vec::new();
        clients.expire(1_359, 360, |address| gone.push(address.port()));
        assert!(gone.is_empty());
        clients.expire(1_360, 360, |address| gone.push(address.port()));
        assert_eq!(gone, [1]);
        assert_eq!(clients.next_expiry(360), Some(1_860));
        clients.expire(9_999, 360, |address| gone.push(address.port()));
        assert!(clients.is_empty() && clients.next_expiry(360).is_none());
        assert_eq!(clients.heard(address(1), 10_000, 3), Seen::New);
    }

    #[test]
    fn a_lower_limit_lets_the_longest_silent_go() {
        let mut clients = Clients::default();
        for (port, heard_ms) in [(1, 4), (2, 2), (3, 3)] {
            clients.heard(address(port), heard_ms, 3);
        }
        let mut gone = Vec::new();
        clients.shrink(1, |address| gone.push(address.port()));
        assert_eq!((gone, known(&clients, 10, 100)), (vec![2, 3], vec![1]));
        assert_eq!(clients.heard(address(1), 5, 1), Seen::Known);
    }

    #[test]
    fn h05_a_centre_is_answered_where_it_was_heard_last() {
        let mut clients = Clients::default();
        let at = |ip: &str| Local::new(ip.parse().unwrap(), 0);
        let heard = [(1, "192.0.2.1"), (2, "192.0.2.1"), (1, "192.0.2.2"), (1, "192.0.2.3"), (2, "2001:db8::1")];
        for (ms, (port, ip)) in (1..).zip(heard) {
            clients.heard(Route { peer: address(port), local: at(ip) }, ms, 3);
        }
        let known = |index| clients.get(index, 10, 100).flatten().map(|route| (route.peer.port(), route.local));
        assert_eq!((known(0), known(1)), (Some((1, at("192.0.2.3"))), Some((2, at("2001:db8::1")))));
    }

    #[test]
    fn a_centre_is_as_large_as_documented() {
        assert!(size_of::<Client>() <= 64, "{}", size_of::<Client>());
    }

    #[test]
    fn a_limit_of_none_still_knows_one() {
        let mut clients = Clients::default();
        assert_eq!(clients.heard(address(1), 1, 0), Seen::New);
        assert_eq!(clients.heard(address(2), 2, 0), Seen::Replaced(address(1)));
        assert_eq!(clients.len(), 1);
    }
}
