//! Which FSUs of a plan are those of the next one (spec templates.md, Reload).

use super::fleet::{Fleet, Fsu};
use super::message::Transport;
use std::collections::HashMap;

/// What happens to an FSU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, with this number: it keeps its socket, centres, connections and state.
    Stays(u32),
    /// It ends; the one with this number takes over its socket, and nothing else.
    Handed(u32),
    /// It ends, and so does its socket.
    Gone,
}

impl Fate {
    /// Its number in the next fleet, if it is still there.
    pub fn stays(self) -> Option<u32> {
        match self {
            Self::Stays(number) => Some(number),
            Self::Handed(_) | Self::Gone => None,
        }
    }
}

/// From one fleet to the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// By number in the fleet before.
    pub fates: Box<[Fate]>,
    /// Numbers in the next fleet of those that need a socket of their own, ascending.
    pub new: Vec<u32>,
}

/// Sockets of one kind exclude each other on an address.
fn is_stream(fsu: &Fsu) -> bool {
    fsu.transport == Transport::Tcp
}

impl Change {
    /// An FSU is the same if name, transport, id and listen address are equal. Of the others, one that listens where one that ends
    /// listened gets its socket, so that an address can change hands; with port 0 that is the one with its name.
    pub fn between(before: &Fleet, next: &Fleet) -> Self {
        let mut named: HashMap<&str, u32> = (0u32..).zip(&next.fsus).map(|(n, fsu)| (&*fsu.name, n)).collect();
        let mut fates = vec![Fate::Gone; before.fsus.len()];
        for (fate, was) in fates.iter_mut().zip(&before.fsus) {
            let same = |number: &u32| {
                let is = &next.fsus[*number as usize];
                let same_place = is.bind == was.bind && is.listens() == was.listens();
                is.transport == was.transport && is.id == was.id && same_place
            };
            if let Some(number) = named.get(&*was.name).copied().filter(same) {
                *fate = Fate::Stays(number);
                named.remove(&*was.name);
            }
        }
        let place = |fsu: &Fsu| {
            let name = if fsu.bind.port() == 0 { fsu.name.clone() } else { "".into() };
            (is_stream(fsu), fsu.listens(), fsu.bind, name)
        };
        let mut left: HashMap<_, u32> = named.values().map(|&n| (place(&next.fsus[n as usize]), n)).collect();
        for (fate, was) in fates.iter_mut().zip(&before.fsus).filter(|(fate, _)| **fate == Fate::Gone) {
            if let Some(number) = left.remove(&place(was)) {
                *fate = Fate::Handed(number);
            }
        }
        let mut new: Vec<u32> = left.into_values().collect();
        new.sort_unstable();
        Self { fates: fates.into(), new }
    }

    /// How many stay, are new, end.
    pub fn counts(&self) -> (usize, usize, usize) {
        let stays = self.fates.iter().filter(|fate| fate.stays().is_some()).count();
        let handed = self.fates.iter().filter(|fate| matches!(fate, Fate::Handed(_))).count();
        (stays, self.new.len() + handed, self.fates.len() - stays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::fsu;

    /// `name transport id port`
    fn one(text: &str) -> Fsu {
        let mut words = text.split_whitespace();
        let mut word = || words.next().expect("four words");
        let mut fsu = fsu(Vec::new());
        fsu.name = word().into();
        fsu.transport = match word() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => Transport::Broadcast,
        };
        fsu.id.bytes[0] = word().as_bytes()[0];
        fsu.bind.set_port(word().parse().expect("a port"));
        fsu
    }

    fn fleet(fsus: &[&str]) -> Fleet {
        crate::model::fixtures::fleet(fsus.iter().map(|text| one(text)).collect())
    }

    fn check(before: &[&str], next: &[&str], fates: &[Fate], new: &[u32]) {
        let change = Change::between(&fleet(before), &fleet(next));
        assert_eq!((&*change.fates, &*change.new), (fates, new), "{before:?} {next:?}");
    }

    #[test]
    fn who_is_who() {
        use Fate::{Gone, Handed, Stays};
        check(&["a udp 1 1", "b udp 2 2"], &["b udp 2 2", "a udp 1 1"], &[Stays(1), Stays(0)], &[]);
        check(&["a udp 1 1"], &["c udp 3 3", "a udp 1 1", "b udp 2 2"], &[Stays(1)], &[0, 2]);
        check(&["a udp 1 1", "b udp 2 2"], &["b udp 2 2"], &[Gone, Stays(0)], &[]);
        // Another id, name or kind of datagrams: another FSU, at the same socket.
        check(&["a udp 1 1"], &["a udp 2 1"], &[Handed(0)], &[]);
        check(&["a udp 1 1"], &["b udp 1 1"], &[Handed(0)], &[]);
        check(&["a udp 1 1"], &["a broadcast 1 1"], &[Handed(0)], &[]);
        check(&["a udp 1 1"], &["a tcp 1 1"], &[Gone], &[0]);
        check(&["a udp 1 1"], &["a udp 1 2"], &[Gone], &[0]);
        check(&["a udp 1 1", "b udp 2 2"], &["a udp 1 2", "b udp 2 1"], &[Handed(1), Handed(0)], &[]);
        // Any free port: the name decides whose it was.
        check(&["a udp 1 0", "b udp 2 0"], &["b udp 2 0", "a udp 1 0"], &[Stays(1), Stays(0)], &[]);
        check(&["a udp 1 0"], &["b udp 1 0"], &[Gone], &[0]);
        check(&["a udp 1 0"], &["a udp 2 0"], &[Handed(0)], &[]);
    }

    #[test]
    fn they_are_counted() {
        let change = Change::between(
            &fleet(&["a udp 1 1", "b udp 2 2", "c udp 3 3"]),
            &fleet(&["a udp 1 1", "x udp 9 2", "y udp 8 4"]),
        );
        assert_eq!(change.counts(), (1, 2, 2));
    }
}
