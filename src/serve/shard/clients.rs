//! The centres that an FSU knows (spec b-interface.md, Clients and heartbeats).
//!
//! Many FSUs know few centres. So a shard keeps each way to a centre once ([`Routes`]), and an FSU has the number of it: 24 bytes for
//! one centre, and no memory of its own.

use super::routes::{RouteId, Routes};
use fsu_net::local::Route;
use std::net::SocketAddr;
use std::slice::{from_mut, from_ref};

/// One centre: 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Client {
    heard_ms: u64,
    /// Its address, and the address of this machine at which it was heard last: heartbeats leave from there.
    route: RouteId,
    /// Valid requests so far, wrapping around.
    requests: u32,
}

/// Number of requests after which a centre is reported as [`Seen::Often`].
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

/// The set of one FSU, bounded. Times are monotonic milliseconds. Each call gets the routes of the shard, the same every time.
#[derive(Debug)]
pub struct Clients {
    /// The only one, if there are not several.
    one: Client,
    several: Option<Box<Several>>,
}

/// More than one centre, or what is left of that: not empty.
#[derive(Debug)]
struct Several {
    list: Vec<Client>,
    /// Whoever was heard last is the likeliest to be heard next.
    last: usize,
}

const _: () = assert!(size_of::<Clients>() == 24 && size_of::<Client>() == 16);

impl Default for Clients {
    fn default() -> Self {
        Self { one: Client { heard_ms: 0, route: RouteId::NONE, requests: 0 }, several: None }
    }
}

impl Clients {
    /// A valid frame came that way. The set never holds more than `clients_max` (at least one).
    #[inline]
    pub fn heard(&mut self, from: impl Into<Route>, now_ms: u64, clients_max: usize, routes: &mut Routes) -> Seen {
        let from = from.into();
        let latest = match &mut self.several {
            None => Some(&mut self.one),
            Some(several) => several.list.get_mut(several.last),
        };
        match latest {
            Some(client) if routes.get(client.route) == Some(from) => client.again(now_ms),
            _ => self.heard_from_another(from, now_ms, clients_max, routes),
        }
    }

    fn heard_from_another(&mut self, from: Route, now_ms: u64, clients_max: usize, routes: &mut Routes) -> Seen {
        if let Some(index) = self.list().iter().position(|client| routes.peer(client.route) == Some(from.peer)) {
            if let Some(several) = &mut self.several {
                several.last = index;
            }
            let client = &mut self.list_mut()[index];
            if routes.get(client.route) != Some(from) {
                let before = std::mem::replace(&mut client.route, routes.enter(from));
                routes.leave(before);
            }
            return client.again(now_ms);
        }
        let mut seen = Seen::New;
        if self.len() >= clients_max.max(1)
            && let Some(peer) = self.silent().and_then(|index| self.remove(index, routes))
        {
            seen = Seen::Replaced(peer);
        }
        self.push(Client { heard_ms: now_ms, route: routes.enter(from), requests: 1 });
        seen
    }

    /// Removes those not heard for `timeout_ms`, and calls `gone` for each.
    pub fn expire(&mut self, now_ms: u64, timeout_ms: u64, routes: &mut Routes, mut gone: impl FnMut(SocketAddr)) {
        let mut index = 0;
        while let Some(client) = self.list().get(index) {
            if client.is_live(now_ms, timeout_ms) {
                index += 1;
            } else if let Some(peer) = self.remove(index, routes) {
                gone(peer);
            }
        }
    }

    /// Removes the longest silent ones until at most `clients_max` (at least one) are left, and calls `gone` for each.
    pub fn shrink(&mut self, clients_max: usize, routes: &mut Routes, mut gone: impl FnMut(SocketAddr)) {
        while self.len() > clients_max.max(1)
            && let Some(peer) = self.silent().and_then(|index| self.remove(index, routes))
        {
            gone(peer);
        }
    }

    /// When the next one goes if it stays silent; `None` where none is known.
    pub fn next_expiry(&self, timeout_ms: u64) -> Option<u64> {
        self.list().iter().map(|client| client.heard_ms.saturating_add(timeout_ms)).min()
    }

    /// The way to the centre at `index` in the order of coming, if it is live; `None` past the end.
    pub fn get(&self, index: usize, now_ms: u64, timeout_ms: u64, routes: &Routes) -> Option<Option<Route>> {
        let client = self.list().get(index)?;
        Some(routes.get(client.route).filter(|_| client.is_live(now_ms, timeout_ms)))
    }

    /// The index of the one heard last; `None` where none is known.
    pub fn latest(&self) -> Option<usize> {
        match &self.several {
            Some(several) => Some(several.last),
            None => (!self.is_empty()).then_some(0),
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// All of them, in the order of coming.
    #[inline]
    fn list(&self) -> &[Client] {
        match &self.several {
            Some(several) => &several.list,
            None if self.one.route == RouteId::NONE => &[],
            None => from_ref(&self.one),
        }
    }

    fn list_mut(&mut self) -> &mut [Client] {
        match &mut self.several {
            Some(several) => &mut several.list,
            None if self.one.route == RouteId::NONE => &mut [],
            None => from_mut(&mut self.one),
        }
    }

    /// The one that has been silent for longest.
    fn silent(&self) -> Option<usize> {
        (0..self.len()).min_by_key(|&index| self.list()[index].heard_ms)
    }

    fn push(&mut self, client: Client) {
        match &mut self.several {
            Some(several) => {
                several.last = several.list.len();
                several.list.push(client);
            }
            None if self.one.route == RouteId::NONE => self.one = client,
            None => self.several = Some(Box::new(Several { list: vec![self.one, client], last: 1 })),
        }
    }

    /// Takes one out, and returns its address.
    fn remove(&mut self, index: usize, routes: &mut Routes) -> Option<SocketAddr> {
        let gone = self.list().get(index)?.route;
        match &mut self.several {
            Some(several) if several.list.len() > 1 => {
                several.list.remove(index);
                several.last = 0;
            }
            _ => *self = Self::default(),
        }
        let peer = routes.peer(gone);
        routes.leave(gone);
        peer
    }
}

impl Client {
    #[inline]
    fn again(&mut self, now_ms: u64) -> Seen {
        (self.heard_ms, self.requests) = (now_ms, self.requests.wrapping_add(1));
        if self.requests.is_multiple_of(OFTEN) { Seen::Often } else { Seen::Known }
    }

    fn is_live(&self, now_ms: u64, timeout_ms: u64) -> bool {
        now_ms < self.heard_ms.saturating_add(timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_net::local::Local;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// A set with the routes of its shard.
    #[derive(Default)]
    struct Set(Clients, Routes);

    impl Set {
        fn heard(&mut self, from: impl Into<Route>, now_ms: u64, clients_max: usize) -> Seen {
            self.0.heard(from, now_ms, clients_max, &mut self.1)
        }

        fn expire(&mut self, now_ms: u64, timeout_ms: u64, gone: impl FnMut(SocketAddr)) {
            self.0.expire(now_ms, timeout_ms, &mut self.1, gone);
        }

        fn shrink(&mut self, clients_max: usize, gone: impl FnMut(SocketAddr)) {
            self.0.shrink(clients_max, &mut self.1, gone);
        }

        /// A centre that is there.
        fn get(&self, index: usize, now_ms: u64, timeout_ms: u64) -> Option<Route> {
            self.0.get(index, now_ms, timeout_ms, &self.1).flatten()
        }
    }

    /// Routes are those of the centres that are known, and no others.
    impl Drop for Set {
        fn drop(&mut self) {
            self.0.expire(u64::MAX, 0, &mut self.1, |_| {});
            assert!(self.1.is_empty() || std::thread::panicking());
        }
    }

    fn known(clients: &Set, now_ms: u64, timeout_ms: u64) -> Vec<u16> {
        (0..clients.0.len())
            .filter_map(|index| clients.get(index, now_ms, timeout_ms))
            .map(|route| route.peer.port())
            .collect()
    }

    /// (port, time) heard in turn with room for three; what each changed; who is left.
    fn check(heard: &[(u16, u64)], expected: &[Seen], left: &[u16]) {
        let mut clients = Set::default();
        let seen: Vec<Seen> = heard.iter().map(|&(port, ms)| clients.heard(address(port), ms, 3)).collect();
        assert_eq!(seen, expected);
        assert_eq!(known(&clients, 10, 100), left);
    }

    #[test]
    fn limit_often_every_so_many_requests_a_centre_is_told_as_one_that_asks_often() {
        let mut clients = Set::default();
        let often = |clients: &mut Set, port, count: u32| {
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
        let mut clients = Set::default();
        clients.heard(address(1), 1_000, 3);
        clients.heard(address(2), 1_500, 3);
        assert_eq!(clients.0.next_expiry(360), Some(1_360));
        assert_eq!(known(&clients, 1_359, 360), [1, 2]);
        assert_eq!(known(&clients, 1_360, 360), [2]);
        let mut gone = Vec::new();
        clients.expire(1_359, 360, |address| gone.push(address.port()));
        assert!(gone.is_empty());
        clients.expire(1_360, 360, |address| gone.push(address.port()));
        assert_eq!(gone, [1]);
        assert_eq!(clients.0.next_expiry(360), Some(1_860));
        clients.expire(9_999, 360, |address| gone.push(address.port()));
        assert!(clients.0.is_empty() && clients.0.next_expiry(360).is_none());
        assert_eq!(clients.heard(address(1), 10_000, 3), Seen::New);
    }

    #[test]
    fn a_lower_limit_lets_the_longest_silent_go() {
        let mut clients = Set::default();
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
        let mut clients = Set::default();
        let at = |ip: &str| Local::new(ip.parse().unwrap(), 0);
        let heard = [(1, "192.0.2.1"), (2, "192.0.2.1"), (1, "192.0.2.2"), (1, "192.0.2.3"), (2, "2001:db8::1")];
        for (ms, (port, ip)) in (1..).zip(heard) {
            clients.heard(Route { peer: address(port), local: at(ip) }, ms, 3);
        }
        let known = |index| clients.get(index, 10, 100).map(|route| (route.peer.port(), route.local));
        assert_eq!((known(0), known(1)), (Some((1, at("192.0.2.3"))), Some((2, at("2001:db8::1")))));
    }

    #[test]
    fn a_limit_of_none_still_knows_one() {
        let mut clients = Set::default();
        assert_eq!(clients.heard(address(1), 1, 0), Seen::New);
        assert_eq!(clients.heard(address(2), 2, 0), Seen::Replaced(address(1)));
        assert_eq!(clients.0.len(), 1);
    }
}
