//! The requests of a lane, under way and given up, by age; and chains of those that replies cannot distinguish.
//!
//! Every step costs the same however many there are.

use super::classes::Classes;
use super::{ANSWERED_MIN, Flight, recycle};
use fsu_net::sys::prefetch;
use std::collections::VecDeque;
use std::hash::Hasher;

/// No flight.
pub(super) const NONE: u32 = u32::MAX;

/// A class's number is a hash already.
#[derive(Debug, Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A flight in its place.
#[derive(Debug)]
struct Node {
    flight: Flight,
    /// In the order of sending.
    order: u64,
    is_overdue: bool,
    /// The next older and the next younger one under way, or given up.
    list: Links,
    /// The same of its class: those given up first.
    class: Links,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    older: u32,
    newer: u32,
}

const ALONE: Links = Links { older: NONE, newer: NONE };

/// The ends of a list, and how many are in it.
#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    newest: u32,
    len: usize,
}

const EMPTY: List = List { oldest: NONE, newest: NONE, len: 0 };

/// Requests that replies cannot distinguish: all of a command whose replies copy nothing, or those with the same copied values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// The oldest one given up, else the oldest under way.
    pub(super) oldest: u32,
    /// The oldest under way.
    pub(super) oldest_open: u32,
    newest: u32,
    /// How many are under way.
    pub(super) open: u32,
    /// How many were given up and are remembered.
    pub(super) overdue: u32,
    /// Of these, those that may still own a reply to a later request.
    pub(super) doubted: u32,
    /// How many were answered and are remembered.
    pub(super) answered: u32,
    /// When the youngest one that was answered was sent.
    pub(super) answered_sent_ns: u64,
    /// When one was answered last.
    answered_ns: u64,
    /// Since when none is under way.
    idle_since_ns: u64,
}

pub(super) const UNKNOWN: Class = Class {
    oldest: NONE,
    oldest_open: NONE,
    newest: NONE,
    open: 0,
    overdue: 0,
    doubted: 0,
    answered: 0,
    answered_sent_ns: 0,
    answered_ns: 0,
    idle_since_ns: 0,
};

/// A command with known flights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Its number in the profile.
    pub(super) request: u32,
    /// How many are under way or given up.
    pub(super) waiting: u32,
    /// How many were answered and are remembered.
    pub(super) answered: u32,
}

/// An answered request.
#[derive(Clone, Copy, Debug)]
struct Answered {
    request: u32,
    class: u64,
    at_ns: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Flights {
    nodes: Vec<Node>,
    free: Vec<u32>,
    open: List,
    overdue: List,
    classes: Classes,
    asked: Vec<Asked>,
    answered: VecDeque<Answered>,
    answered_max: usize,
    sent: u64,
    timeout_ns: u64,
}

impl Flights {
    /// Empty, for requests with that time-out; remembers up to `answered_max` answered ones.
    pub(super) fn new(timeout_ns: u64, answered_max: usize) -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            open: EMPTY,
            overdue: EMPTY,
            classes: Classes::default(),
            asked: Vec::new(),
            answered: VecDeque::new(),
            answered_max,
            sent: 0,
            timeout_ns,
        }
    }

    /// None, as at the start.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.timeout_ns, self.answered_max)
    }

    /// Prefetches the oldest request under way, and what is known of its kind.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(self.nodes.as_ptr().wrapping_add(self.open.oldest as usize), size_of::<Node>().div_ceil(64));
        prefetch(self.asked.as_ptr(), 1);
        prefetch(self.free.as_ptr(), 1);
        let (old, new) = self.answered.as_slices();
        let new = if new.is_empty() { old } else { new };
        prefetch(old.as_ptr(), 1);
        prefetch(new.as_ptr_range().end, 1);
    }

    /// Adds a request that leaves. It is marked as equal if others of its class are waiting or were answered within the time-out.
    #[inline]
    pub(super) fn push(&mut self, mut flight: Flight) {
        let class = self.classes.entry(flight.class);
        let (now_ns, timeout_ns) = (flight.sent_ns, self.timeout_ns);
        if class.doubted > 0 && class.open == 0 && now_ns.saturating_sub(class.idle_since_ns) > timeout_ns {
            // Nothing came for a whole time-out: they are lost.
            class.doubted = 0;
        }
        let was_answered = class.answered > 0 && now_ns.saturating_sub(class.answered_ns) <= timeout_ns;
        flight.is_equal = class.open > 0 || class.doubted > 0 || was_answered;
        let (older, request) = (class.newest, flight.request);
        let node = Node {
            flight,
            order: self.sent,
            is_overdue: false,
            list: Links { older: self.open.newest, newer: NONE },
            class: Links { older, newer: NONE },
        };
        self.sent += 1;
        let index = if let Some(index) = self.free.pop() {
            self.nodes[index as usize] = node;
            index
        } else {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        };
        class.open += 1;
        class.newest = index;
        for first in [&mut class.oldest, &mut class.oldest_open] {
            if *first == NONE {
                *first = index;
            }
        }
        if older != NONE {
            self.nodes[older as usize].class.newer = index;
        }
        link(&mut self.nodes, &mut self.open, index);
        self.asked_of(request).waiting += 1;
    }

    fn asked_of(&mut self, request: u32) -> &mut Asked {
        let at = self.asked.iter().position(|asked| asked.request == request).unwrap_or_else(|| {
            self.asked.push(Asked { request, waiting: 0, answered: 0 });
            self.asked.len() - 1
        });
        &mut self.asked[at]
    }

    /// Commands with known flights.
    #[inline]
    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// What is known of a class.
    #[inline]
    pub(super) fn class(&self, class: u64) -> Option<&Class> {
        self.classes.get(class)
    }

    /// How many are under way.
    #[inline]
    pub(super) fn open(&self) -> usize {
        self.open.len
    }

    /// How many are given up and remembered.
    pub(super) fn overdue(&self) -> usize {
        self.overdue.len
    }

    /// The oldest under way, or [`NONE`].
    #[inline]
    pub(super) fn oldest_open(&self) -> u32 {
        self.open.oldest
    }

    /// The oldest one given up, or [`NONE`].
    pub(super) fn oldest_overdue(&self) -> u32 {
        self.overdue.oldest
    }

    /// The youngest one given up, or [`NONE`].
    pub(super) fn newest_overdue(&self) -> u32 {
        self.overdue.newest
    }

    /// A flight.
    #[inline]
    pub(super) fn at(&self, index: u32) -> &Flight {
        &self.nodes[index as usize].flight
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, index: u32) -> &mut Flight {
        &mut self.nodes[index as usize].flight
    }

    /// Its place in the order of sending.
    #[inline]
    pub(super) fn order(&self, index: u32) -> u64 {
        self.nodes[index as usize].order
    }

    /// Was it given up?
    pub(super) fn is_overdue(&self, index: u32) -> bool {
        self.nodes[index as usize].is_overdue
    }

    /// The next younger one under way, or given up.
    pub(super) fn newer(&self, index: u32) -> u32 {
        self.nodes[index as usize].list.newer
    }

    /// The next older one under way, or given up.
    pub(super) fn older(&self, index: u32) -> u32 {
        self.nodes[index as usize].list.older
    }

    /// The next younger one of its class.
    #[inline]
    pub(super) fn newer_equal(&self, index: u32) -> u32 {
        self.nodes[index as usize].class.newer
    }

    /// Those under way, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> {
        let mut index = self.open.oldest;
        std::iter::from_fn(move || {
            let node = self.nodes.get(index as usize)?;
            index = node.list.newer;
            Some(&node.flight)
        })
    }

    /// The oldest under way is given up. `is_doubted`: replies to later ones of its class may be its.
    pub(super) fn give_up(&mut self, is_doubted: bool) {
        let index = self.open.oldest;
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        node.is_overdue = true;
        let (class, newer, now_ns) = (node.flight.class, node.class.newer, node.flight.sent_ns + self.timeout_ns);
        unlink(&mut self.nodes, &mut self.open, index);
        link(&mut self.nodes, &mut self.overdue, index);
        let Some(class) = self.classes.get_mut(class) else { return };
        class.open -= 1;
        class.overdue += 1;
        class.doubted += u32::from(is_doubted);
        class.oldest_open = newer;
        if class.open == 0 {
            class.idle_since_ns = now_ns;
        } else {
            self.nodes[index as usize].flight.is_equal = true;
        }
    }

    /// Takes one out, and forgets it.
    pub(super) fn remove(&mut self, index: u32, now_ns: u64) -> Flight {
        let flight = self.take(index, now_ns);
        self.forget_class(flight.request, flight.class);
        flight
    }

    /// Takes one out. Others of its class that wait are marked as equal.
    #[inline]
    fn take(&mut self, index: u32, now_ns: u64) -> Flight {
        let Node { is_overdue, class: links, .. } = self.nodes[index as usize];
        let list = if is_overdue { &mut self.overdue } else { &mut self.open };
        unlink(&mut self.nodes, list, index);
        if links.older != NONE {
            self.nodes[links.older as usize].class.newer = links.newer;
        }
        if links.newer != NONE {
            self.nodes[links.newer as usize].class.older = links.older;
        }
        let mut flight = std::mem::take(&mut self.nodes[index as usize].flight);
        self.free.push(index);
        if let Some(class) = self.classes.get_mut(flight.class) {
            if is_overdue {
                class.overdue -= 1;
                class.doubted = class.doubted.min(class.overdue);
            } else {
                class.open -= 1;
                if class.open == 0 {
                    class.idle_since_ns = now_ns;
                }
            }
            for (end, other) in [
                (&mut class.oldest, links.newer),
                (&mut class.oldest_open, links.newer),
                (&mut class.newest, links.older),
            ] {
                if *end == index {
                    *end = other;
                }
            }
            flight.is_equal |= class.open > 0 || class.doubted > 0;
        }
        self.asked_of(flight.request).waiting -= 1;
        flight
    }

    /// Forgets the oldest one given up.
    pub(super) fn forget(&mut self, spent: &mut Vec<Vec<u8>>) {
        if self.overdue.oldest != NONE {
            let flight = self.remove(self.overdue.oldest, 0);
            recycle(flight.raw, spent);
        }
    }

    /// Takes one out that was answered, and remembers that for a while: a second reply to it is known as one then.
    #[inline]
    pub(super) fn answer(&mut self, index: u32, now_ns: u64) -> Flight {
        let flight = self.take(index, now_ns);
        let class = self.classes.entry(flight.class);
        class.answered += 1;
        class.answered_ns = now_ns;
        class.answered_sent_ns = class.answered_sent_ns.max(flight.sent_ns);
        self.asked_of(flight.request).answered += 1;
        self.answered.push_back(Answered { request: flight.request, class: flight.class, at_ns: now_ns });
        let (timeout_ns, most) = (self.timeout_ns, self.answered_max);
        let is_old = |oldest: &Answered| now_ns.saturating_sub(oldest.at_ns) > timeout_ns;
        while self.answered.len() > most
            || (self.answered.len() > ANSWERED_MIN && self.answered.front().is_some_and(is_old))
        {
            let Some(oldest) = self.answered.pop_front() else { break };
            if let Some(class) = self.classes.get_mut(oldest.class) {
                class.answered -= 1;
            }
            self.asked_of(oldest.request).answered -= 1;
            self.forget_class(oldest.request, oldest.class);
        }
        flight
    }

    /// Answered ones that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.answered.len()
    }

    /// Forgets what nothing is left of.
    #[inline]
    fn forget_class(&mut self, request: u32, class: u64) {
        if self.classes.get(class).is_some_and(|class| class.open + class.overdue + class.answered == 0) {
            self.classes.remove(class);
        }
        let is_gone = |asked: &Asked| asked.request == request && asked.waiting + asked.answered == 0;
        if let Some(at) = self.asked.iter().position(is_gone) {
            self.asked.swap_remove(at);
        }
    }
}

/// Appends a node to a list.
#[inline]
fn link(nodes: &mut [Node], list: &mut List, index: u32) {
    nodes[index as usize].list = Links { older: list.newest, ..ALONE };
    match nodes.get_mut(list.newest as usize) {
        Some(newest) => newest.list.newer = index,
        None => list.oldest = index,
    }
    list.newest = index;
    list.len += 1;
}

/// Takes a node out of its list.
#[inline]
fn unlink(nodes: &mut [Node], list: &mut List, index: u32) {
    let Links { older, newer } = nodes[index as usize].list;
    match nodes.get_mut(older as usize) {
        Some(node) => node.list.newer = newer,
        None => list.oldest = newer,
    }
    match nodes.get_mut(newer as usize) {
        Some(node) => node.list.older = older,
        None => list.newest = older,
    }
    list.len -= 1;
}
