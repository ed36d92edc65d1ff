//! The ways to all centres that a shard's FSUs know, each once.

use foldhash::{HashMap, HashMapExt as _};
use fsu_net::local::Route;
use std::net::SocketAddr;

/// The number of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteId(u32);

impl RouteId {
    /// Of no route.
    pub const NONE: Self = Self(u32::MAX);
}

/// The routes of a shard: about 130 bytes each, for as long as an FSU has its number.
#[derive(Debug)]
pub struct Routes {
    numbers: HashMap<Route, u32>,
    /// By number: the route, and how many have the number; 0: it is free.
    all: Vec<(Route, u32)>,
    free: Vec<u32>,
}

impl Default for Routes {
    fn default() -> Self {
        Self { numbers: HashMap::new(), all: Vec::new(), free: Vec::new() }
    }
}

impl Routes {
    /// The route with a number.
    #[inline]
    pub fn get(&self, id: RouteId) -> Option<Route> {
        self.all.get(id.0 as usize).map(|&(route, _)| route)
    }

    /// The centre that it leads to.
    #[inline]
    pub fn peer(&self, id: RouteId) -> Option<SocketAddr> {
        self.get(id).map(|route| route.peer)
    }

    /// The number of a route, for one more centre of an FSU.
    pub fn enter(&mut self, route: Route) -> RouteId {
        let Self { numbers, all, free } = self;
        let number = *numbers.entry(route).or_insert_with(|| {
            if let Some(number) = free.pop() {
                all[number as usize] = (route, 0);
                return number;
            }
            all.push((route, 0));
            (all.len() - 1) as u32
        });
        all[number as usize].1 += 1;
        RouteId(number)
    }

    /// A centre of an FSU is gone that had the number.
    pub fn leave(&mut self, id: RouteId) {
        let Some((route, many)) = self.all.get_mut(id.0 as usize).filter(|(_, many)| *many > 0) else { return };
        *many -= 1;
        if *many == 0 {
            self.numbers.remove(route);
            self.free.push(id.0);
        }
    }

    /// Whether there is none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.free.len() == self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_kept_once_and_as_long_as_someone_has_it() {
        let route = |port: u16| Route::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut routes = Routes::default();
        let ids = [1, 2, 1].map(|port| routes.enter(route(port)));
        assert_eq!((ids[0] == ids[2], ids[0] == ids[1]), (true, false));
        routes.leave(ids[0]);
        assert_eq!(ids.map(|id| routes.get(id)), [Some(route(1)), Some(route(2)), Some(route(1))]);
        routes.leave(ids[2]);
        // Its number is the next one's, and it is entered again under another.
        assert_eq!(routes.enter(route(3)), ids[0]);
        assert_ne!(routes.enter(route(1)), ids[0]);
        assert_eq!(routes.get(RouteId::NONE), None);
        routes.leave(RouteId::NONE);
        assert!(!routes.is_empty());
    }
}
