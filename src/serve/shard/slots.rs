//! The FSUs of a shard by their numbers there, which are also their sockets' numbers.

use super::clients::Clients;
use fsu_core::state::FsuState;
use fsu_net::sys::prefetch;
use fsu_plan::model::fleet::Fsu;
use std::num::NonZeroU32;

/// Cache lines of a [`FsuSlot`] that each request touches, from its begin on.
const HOT_LINES: usize = 2;
const _: () = assert!(size_of::<Option<FsuSlot>>() <= 152, "of a large fleet each byte counts");

/// One FSU of the shard. The fields that each request touches come first: with thousands of FSUs, every cache line is a miss.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct FsuSlot {
    /// Its number in the fleet.
    pub(crate) fsu: u32,
    /// [`SET`], open connections above it, and [`TIMED`].
    few: NonZeroU32,
    pub(crate) clients: Clients,
    pub(crate) state: FsuState,
    /// When its next heartbeat is due.
    pub(crate) beat_due_ms: u64,
}

/// [`Timer::Clients`](super::timers::later::Timer::Clients) is in the wheel.
const TIMED: u32 = 1 << 31;
/// Always set: an [`Option`] of a slot takes no more than the slot.
const SET: NonZeroU32 = NonZeroU32::MIN;
/// One connection.
const CONNECTION: u32 = 2;

impl FsuSlot {
    /// An FSU that has heard nothing, by its number in the fleet.
    pub(crate) fn new(number: u32, fsu: &Fsu) -> Self {
        Self { fsu: number, state: FsuState::new(fsu), clients: Clients::default(), beat_due_ms: 0, few: SET }
    }

    /// Open connections.
    pub(crate) fn connections(&self) -> usize {
        ((self.few.get() & !TIMED) / CONNECTION) as usize
    }

    /// A connection is opened.
    pub(crate) fn connect(&mut self) {
        self.few = SET | self.few.get().wrapping_add(CONNECTION);
    }

    /// A connection is closed.
    pub(crate) fn disconnect(&mut self) {
        self.few = SET | self.few.get().wrapping_sub(CONNECTION);
    }

    /// Whether [`Timer::Clients`](super::timers::later::Timer::Clients) is in the wheel.
    pub(crate) fn has_clients_timed(&self) -> bool {
        self.few.get() & TIMED != 0
    }

    /// That timer is in the wheel, or not.
    pub(crate) fn set_clients_timed(&mut self, on: bool) {
        self.few = SET | if on { self.few.get() | TIMED } else { self.few.get() & !TIMED };
    }
}

/// A place for each FSU. A reload that removes an FSU leaves its place empty for the next one.
#[derive(Debug, Default)]
pub(crate) struct Slots(Vec<Option<FsuSlot>>);

impl Slots {
    /// The FSU at a place.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&FsuSlot> {
        self.0.get(place)?.as_ref()
    }

    /// Prefetches what a request touches of the FSU at a place.
    #[inline]
    pub(crate) fn prefetch(&self, place: usize) {
        if let Some(slot) = self.0.get(place) {
            prefetch(slot, HOT_LINES);
        }
    }

    /// The same, mutable.
    #[inline]
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut FsuSlot> {
        self.0.get_mut(place)?.as_mut()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &FsuSlot> {
        self.0.iter().flatten()
    }

    /// All of them with their places.
    pub(crate) fn numbered_mut(&mut self) -> impl Iterator<Item = (u32, &mut FsuSlot)> {
        (0u32..).zip(&mut self.0).filter_map(|(place, slot)| Some((place, slot.as_mut()?)))
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> u32 {
        self.0.len() as u32
    }

    /// Puts one at a place; returns the one before.
    pub(crate) fn put(&mut self, place: u32, slot: FsuSlot) -> Option<FsuSlot> {
        let place = place as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place].replace(slot)
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, place: u32) -> Option<FsuSlot> {
        self.0.get_mut(place as usize)?.take()
    }
}

impl FromIterator<FsuSlot> for Slots {
    fn from_iter<I: IntoIterator<Item = FsuSlot>>(slots: I) -> Self {
        let mut all: Vec<_> = slots.into_iter().map(Some).collect();
        all.shrink_to_fit();
        Self(all)
    }
}
