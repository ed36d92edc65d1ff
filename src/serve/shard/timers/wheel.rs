//! A hierarchical timing wheel: everything a shard has to do later, in one place.
//!
//! Ticks are quarters of a millisecond of the monotonic clock. Seven levels of 64 slots reach 2^42 ticks (34 years) from
//! boot. A moment between two ticks fires at the later one: nothing fires before its time. Level 0 has a slot for each tick; a slot of
//! level n covers 64 slots of level n-1. An entry is at the level of the highest digit (base 64) in which its deadline differs from the
//! tick reached so far. It moves down when the wheel reaches the first tick of its slot. Thus entries with one deadline are always in one list, and
//! lists are appended to and walked in order: equal deadlines fire in the order of their insertion.
//!
//! Inserting, cancelling and firing are O(1) (a move down at most six times). Entries live in a slab that grows
//! to the most that ever waited and is then reused: no allocation after warm-up.

/// Slots a level; a digit of the tick.
const SLOTS: usize = 64;
const DIGIT_BITS: u32 = 6;
const LEVELS: usize = 7;
/// Deadlines past this fire then: 34 years after boot.
const DEADLINE_MAX: u64 = (1 << (DIGIT_BITS * LEVELS as u32)) - 1;
/// Ticks a millisecond. A reply waits at most one tick too long, and a shard wakes up at most once a tick for replies alone.
pub const TICKS_PER_MS: u64 = 4;
const TICK_NS: u64 = 1_000_000 / TICKS_PER_MS;

/// The first tick at or after a moment, in nanoseconds.
#[inline]
pub fn tick_from(ns: u64) -> u64 {
    ns.div_ceil(TICK_NS)
}

/// The last tick at or before a moment, in nanoseconds.
#[inline]
pub fn tick_by(ns: u64) -> u64 {
    ns / TICK_NS
}

/// A tick's moment, in nanoseconds.
#[inline]
pub fn tick_ns(tick: u64) -> u64 {
    tick.saturating_mul(TICK_NS)
}

/// No entry.
const NONE: u32 = u32::MAX;
/// The list of entries that are due.
const DUE: u16 = (LEVELS * SLOTS) as u16;
/// The list of no entry: it is free.
const FREE: u16 = DUE + 1;

/// An entry, to cancel it. Valid until it fires or is cancelled; the owner forgets it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u32);

impl Key {
    /// Of no entry.
    pub const NONE: Self = Self(NONE);
}

/// 24 bytes with a payload of 8: a large fleet has two for each FSU.
#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    /// The deadline, and above it the number of its list.
    deadline_list: u64,
    payload: T,
    next: u32,
    prev: u32,
}

/// Bits of a deadline.
const DEADLINE_BITS: u32 = DIGIT_BITS * LEVELS as u32;
const _: () = assert!((FREE as u64) < 1 << (u64::BITS - DEADLINE_BITS) && size_of::<Entry<u64>>() == 24);

impl<T> Entry<T> {
    /// `deadline`: at most [`DEADLINE_MAX`].
    fn new(deadline: u64, payload: T) -> Self {
        Self { deadline_list: deadline | u64::from(FREE) << DEADLINE_BITS, payload, next: NONE, prev: NONE }
    }

    #[inline]
    fn deadline(&self) -> u64 {
        self.deadline_list & DEADLINE_MAX
    }

    #[inline]
    fn list(&self) -> u16 {
        (self.deadline_list >> DEADLINE_BITS) as u16
    }

    #[inline]
    fn set_list(&mut self, list: u16) {
        self.deadline_list = self.deadline() | u64::from(list) << DEADLINE_BITS;
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY: List = List { head: NONE, tail: NONE };

/// The wheel. `T` is what is to be done.
#[derive(Debug)]
pub struct Wheel<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    /// Everything up to this tick has been moved to the due list.
    reached: u64,
    /// A bit for each slot that has entries, by level.
    occupied: [u64; LEVELS],
    lists: Box<[List]>,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel that starts at `now`.
    pub fn new(now: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: NONE,
            len: 0,
            reached: now.min(DEADLINE_MAX),
            occupied: [0; LEVELS],
            lists: vec![EMPTY; LEVELS * SLOTS + 1].into(),
        }
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether an entry is free that was used before.
    pub fn has_free(&self) -> bool {
        self.free != NONE
    }

    /// Makes room for `more` entries; false: there is no memory.
    pub fn has_room(&mut self, more: usize) -> bool {
        let free = self.entries.len() - self.len;
        fsu_plan::memory::has_room(&mut self.entries, more.saturating_sub(free))
    }

    /// Adds an entry. A deadline that has passed fires at the next [`Wheel::pop`], after those already due.
    pub fn insert(&mut self, deadline: u64, payload: T) -> Key {
        let deadline = deadline.min(DEADLINE_MAX);
        let entry = Entry::new(deadline, payload);
        let index = if self.free == NONE {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.len += 1;
        self.place(index);
        Key(index)
    }

    /// Takes an entry out; false where the key is of none.
    pub fn cancel(&mut self, key: Key) -> bool {
        match self.entries.get(key.0 as usize) {
            Some(entry) if entry.list() != FREE => {
                self.unlink(key.0);
                self.release(key.0);
                true
            }
            _ => false,
        }
    }

    /// Takes out every entry whose payload is not to be kept. Keys of those that stay remain theirs.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for index in 0..self.entries.len() as u32 {
            let entry = &self.entries[index as usize];
            if entry.list() != FREE && !keep(&entry.payload) {
                self.unlink(index);
                self.release(index);
            }
        }
    }

    /// The next entry whose deadline is at or before `now`: earliest deadline first, then earliest inserted.
    pub fn pop(&mut self, now: u64) -> Option<T> {
        while self.lists[DUE as usize].head == NONE {
            if !self.step(now) {
                return None;
            }
        }
        let index = self.lists[DUE as usize].head;
        self.unlink(index);
        self.release(index);
        Some(self.entries[index as usize].payload)
    }

    /// The tick at which [`Wheel::pop`] should next be called: never later than the earliest deadline, and earlier
    /// at most six times for it (entries have to be moved down then). `None`: nothing waits.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.lists[DUE as usize].head != NONE {
            return Some(self.reached);
        }
        self.next_slot().map(|(_, _, start)| start)
    }

    /// The first slot with entries: level, slot, its first tick.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        // A lower level lies wholly within the slot that the level above has reached, hence before all others.
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = DIGIT_BITS * level as u32;
        let above = self.reached >> shift >> DIGIT_BITS << DIGIT_BITS;
        Some((level, slot, (above | slot as u64) << shift))
    }

    /// Goes to the next slot with entries, if its first tick is not past `now`: due, or moved down.
    fn step(&mut self, now: u64) -> bool {
        let Some((level, slot, start)) = self.next_slot().filter(|&(_, _, start)| start <= now) else {
            self.reached = self.reached.max(now.min(DEADLINE_MAX));
            return false;
        };
        self.reached = start;
        self.occupied[level] &= !(1 << slot);
        let mut index = std::mem::replace(&mut self.lists[level * SLOTS + slot], EMPTY).head;
        while index != NONE {
            let next = self.entries[index as usize].next;
            self.place(index);
            index = next;
        }
        true
    }

    /// Appends an entry to the list where its deadline belongs.
    fn place(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline();
        let list = if deadline <= self.reached {
            DUE
        } else {
            let level = (u64::BITS - 1 - (deadline ^ self.reached).leading_zeros()) / DIGIT_BITS;
            let slot = (deadline >> (DIGIT_BITS * level)) as usize % SLOTS;
            self.occupied[level as usize] |= 1 << slot;
            (level as usize * SLOTS + slot) as u16
        };
        let tail = std::mem::replace(&mut self.lists[list as usize].tail, index);
        if tail == NONE {
            self.lists[list as usize].head = index;
        } else {
            self.entries[tail as usize].next = index;
        }
        let entry = &mut self.entries[index as usize];
        (entry.prev, entry.next) = (tail, NONE);
        entry.set_list(list);
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (next, prev, list) = (entry.next, entry.prev, entry.list());
        let ends = &mut self.lists[list as usize];
        if prev == NONE {
            ends.head = next;
        }
        if next == NONE {
            ends.tail = prev;
        }
        let emptied = ends.head == NONE;
        if prev != NONE {
            self.entries[prev as usize].next = next;
        }
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
        if emptied && list != DUE {
            self.occupied[list as usize / SLOTS] &= !(1 << (list as usize % SLOTS));
        }
    }

    /// Puts an entry on the free list.
    fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.set_list(FREE);
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64),
        Cancel(usize),
        Advance(u64),
        Pop,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let far = prop_oneof![8 => 0u64..200, 4 => 0u64..10_000, 2 => 0u64..1_000_000, 1 => any::<u64>()];
        let step = prop_oneof![6 => 0u64..70, 3 => 0u64..5_000, 1 => 0u64..500_000];
        let op = prop_oneof![
            5 => far.prop_map(Op::Insert),
            1 => any::<usize>().prop_map(Op::Cancel),
            3 => step.prop_map(Op::Advance),
            2 => Just(Op::Pop),
        ];
        proptest::collection::vec(op, 1..300)
    }

    proptest! {
        /// The wheel against a list sorted by (deadline as it counted when inserted, order of insertion).
        #[test]
        fn fires_as_a_sorted_list_does(start in prop_oneof![Just(0), 0u64..1 << 40], ops in ops()) {
            let mut wheel = Wheel::new(start);
            let mut naive: Vec<(u64, usize, Key)> = Vec::new();
            let mut now = start;
            // The deadline of what fired last: what is inserted before it counts as due then.
            let mut fired = start;
            for (number, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert(after) => {
                        let deadline = now.saturating_add(after).min(DEADLINE_MAX);
                        let key = wheel.insert(deadline, number);
                        naive.push((deadline.max(fired), number, key));
                        naive.sort_by_key(|&(deadline, number, _)| (deadline, number));
                    }
                    Op::Cancel(which) if !naive.is_empty() => {
                        let (_, _, key) = naive.remove(which % naive.len());
                        prop_assert!(wheel.cancel(key));
                        prop_assert!(!wheel.cancel(key));
                    }
                    Op::Cancel(_) => prop_assert!(!wheel.cancel(Key::NONE)),
                    Op::Advance(by) => {
                        now += by;
                        while let Some(number) = wheel.pop(now) {
                            let (deadline, expected, _) = naive.remove(0);
                            prop_assert!(deadline <= now);
                            prop_assert_eq!(number, expected);
                        }
                        fired = now;
                        prop_assert!(naive.first().is_none_or(|&(deadline, ..)| deadline > now));
                    }
                    Op::Pop => {
                        let due = naive.first().is_some_and(|&(deadline, ..)| deadline <= now);
                        let expected = due.then(|| naive.remove(0));
                        prop_assert_eq!(wheel.pop(now), expected.map(|(_, number, _)| number));
                        fired = expected.map_or(now, |(deadline, ..)| deadline);
                    }
                }
                prop_assert_eq!(wheel.len(), naive.len());
                prop_assert_eq!(wheel.next_deadline().is_some(), !naive.is_empty());
                if let (Some(told), Some(&(deadline, ..))) = (wheel.next_deadline(), naive.first()) {
                    prop_assert!(told <= deadline, "told {} for {}", told, deadline);
                }
            }
        }
    }

    #[test]
    fn n09_a_moment_between_two_ticks_fires_at_the_later_one() {
        // moment in ns -> the tick that fires it, and the last one that has passed then
        for (ns, from, by) in
            [(0, 0, 0), (1, 1, 0), (249_999, 1, 0), (250_000, 1, 1), (250_001, 2, 1), (80_000_000, 320, 320)]
        {
            assert_eq!((tick_from(ns), tick_by(ns)), (from, by), "{ns}");
            assert!(tick_ns(tick_from(ns)) >= ns && tick_ns(tick_by(ns)) <= ns);
        }
        assert_eq!(tick_ns(TICKS_PER_MS), 1_000_000);
    }

    #[test]
    fn equal_deadlines_keep_their_order_across_levels() {
        let mut wheel = Wheel::new(0);
        wheel.insert(5_000, 'a');
        assert_eq!(wheel.pop(4_500), None);
        wheel.insert(5_000, 'b');
        assert_eq!(wheel.pop(4_999), None);
        wheel.insert(5_000, 'c');
        assert_eq!([wheel.pop(5_000), wheel.pop(5_000), wheel.pop(5_000)], [Some('a'), Some('b'), Some('c')]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn what_is_inserted_late_fires_after_what_is_due() {
        let mut wheel = Wheel::new(100);
        wheel.insert(110, 'a');
        wheel.insert(110, 'b');
        assert_eq!(wheel.pop(120), Some('a'));
        wheel.insert(105, 'c');
        wheel.insert(115, 'd');
        assert_eq!([wheel.pop(120), wheel.pop(120), wheel.pop(120)], [Some('b'), Some('c'), Some('d')]);
    }

    #[test]
    fn few_wake_ups_lead_to_a_deadline() {
        let mut wheel = Wheel::new(1);
        wheel.insert(3_600_000, ());
        let mut wake_ups = 0;
        while let Some(at) = wheel.next_deadline() {
            wake_ups += 1;
            if wheel.pop(at).is_some() {
                assert_eq!(at, 3_600_000);
            }
        }
        assert!(wake_ups <= LEVELS, "{wake_ups}");
    }

    #[test]
    fn slots_are_reused() {
        let mut wheel = Wheel::new(0);
        for now in 0..10_000 {
            wheel.insert(now + 50, now);
            while wheel.pop(now).is_some() {}
        }
        assert!(wheel.entries.len() <= 51, "{}", wheel.entries.len());
    }

    #[test]
    fn limit_deadline_max() {
        let mut wheel = Wheel::new(0);
        wheel.insert(u64::MAX, "never");
        wheel.insert(DEADLINE_MAX, "last");
        assert_eq!(wheel.pop(DEADLINE_MAX - 1), None);
        assert_eq!([wheel.pop(DEADLINE_MAX), wheel.pop(u64::MAX)], [Some("never"), Some("last")]);
    }
}
