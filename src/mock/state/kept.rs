//! What a device remembers beside registers: memory areas, keyed registers, counters. Made when it is first used.

use fsu_plan::model::fleet::Device;
use fsu_plan::model::kept::{ENTRY_KEY_BYTES_MAX, Keeps, Keyed};
use std::collections::HashMap;
use std::sync::Arc;

/// What one device remembers.
#[derive(Clone, Debug)]
pub struct DeviceKept {
    /// What there is.
    pub plan: Arc<Keeps>,
    /// The parameters of its FSU, by their number in the fleet.
    pub params: Arc<[Box<str>]>,
    live: Option<Box<Live>>,
}

#[derive(Clone, Debug, Default)]
struct Live {
    areas: Box<[Box<[u8]>]>,
    entries: Box<[Entries]>,
    counts: Box<[u64]>,
}

impl DeviceKept {
    /// Of a device that has heard nothing; `None`: it remembers nothing of this kind.
    pub fn new(device: &Device, params: &Arc<[Box<str>]>) -> Option<Box<Self>> {
        let is_empty = device.keeps.is_empty() && device.keeps.params.is_empty();
        let new = || Self { plan: Arc::clone(&device.keeps), params: Arc::clone(params), live: None };
        (!is_empty).then(|| Box::new(new()))
    }

    /// Whether its memory was made.
    pub fn is_made(&self) -> bool {
        self.live.is_some()
    }

    /// Makes the memory. `init` writes what an area has at the start.
    pub fn make(&mut self, mut init: impl FnMut(usize, &mut [u8])) {
        let areas = self.plan.areas.iter().enumerate().map(|(number, area)| {
            let mut bytes = vec![0; area.bytes as usize];
            init(number, &mut bytes);
            bytes.into()
        });
        let areas = areas.collect();
        let entries = self.plan.keyed.iter().map(Entries::new).collect();
        self.live = Some(Box::new(Live { areas, entries, counts: vec![0; self.plan.counters.len()].into() }));
    }

    /// The bytes of an area; none before [`Self::make`].
    pub fn area(&self, number: u16) -> &[u8] {
        self.live.as_ref().and_then(|live| live.areas.get(usize::from(number))).map_or(&[], |area| area)
    }

    /// The same, to be written.
    pub fn area_mut(&mut self, number: u16) -> &mut [u8] {
        self.live.as_mut().and_then(|live| live.areas.get_mut(usize::from(number))).map_or(&mut [], |area| area)
    }

    /// A keyed register.
    pub fn entries(&self, number: u16) -> &Entries {
        static NONE: Entries = Entries { most: 0, hashes: Vec::new(), list: Vec::new(), spare: Vec::new() };
        self.live.as_ref().and_then(|live| live.entries.get(usize::from(number))).unwrap_or(&NONE)
    }

    /// The same, to be changed.
    pub fn entries_mut(&mut self, number: u16) -> Option<&mut Entries> {
        self.live.as_mut()?.entries.get_mut(usize::from(number))
    }

    /// The next value of a counter: `first`, then one more each time; after `many` values (0: 2^63) it begins again at 0.
    pub fn count(&mut self, number: u16, first: i64, many: u64) -> i64 {
        let count = self.live.as_mut().and_then(|live| live.counts.get_mut(usize::from(number)));
        let Some(count) = count else { return first };
        let used = *count;
        *count = used.wrapping_add(1);
        let value = i128::from(first) + i128::from(used);
        let many = if many == 0 { 1_i128 << 63 } else { i128::from(many) };
        value.rem_euclid(many) as i64
    }

    /// How often a counter was drawn since it began.
    pub fn drawn(&self, number: u16) -> u64 {
        self.live.as_ref().and_then(|live| live.counts.get(usize::from(number))).copied().unwrap_or(0)
    }

    /// A counter begins again.
    pub fn restart(&mut self, number: u16) {
        if let Some(count) = self.live.as_mut().and_then(|live| live.counts.get_mut(usize::from(number))) {
            *count = 0;
        }
    }

    /// Takes over what the new plan has too: areas of the same size, keyed registers and counters, by name.
    pub fn carry(&mut self, old: &Self) {
        let Some(before) = &old.live else { return };
        let mut live = Live {
            areas: Box::default(),
            entries: self.plan.keyed.iter().map(Entries::new).collect(),
            counts: vec![0; self.plan.counters.len()].into(),
        };
        let areas: HashMap<&str, &[u8]> =
            old.plan.areas.iter().zip(&before.areas).map(|(area, bytes)| (&*area.name, &**bytes)).collect();
        let same = |area: &fsu_plan::model::kept::Area| {
            areas.get(&*area.name).filter(|bytes| bytes.len() == area.bytes as usize).map(|bytes| Box::from(*bytes))
        };
        let kept: Option<Box<[Box<[u8]>]>> = self.plan.areas.iter().map(same).collect();
        // An area that is new or has another size: all start with what `init` says.
        let Some(kept) = kept else { return };
        live.areas = kept;
        for (keyed, entries) in self.plan.keyed.iter().zip(&mut live.entries) {
            let number = old.plan.keyed.iter().position(|before| before.name == keyed.name);
            if let Some(kept) = number.and_then(|number| before.entries.get(number)) {
                for (key, value) in kept.iter() {
                    entries.set(key, value);
                }
            }
        }
        for (name, count) in self.plan.counters.iter().zip(&mut live.counts) {
            let number = old.plan.counters.iter().position(|before| before == name);
            *count = number.and_then(|number| before.counts.get(number)).copied().unwrap_or(0);
        }
        self.live = Some(Box::new(live));
    }
}

/// The entries of a keyed register, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    most: usize,
    /// By entry: of its key, for a fast search.
    hashes: Vec<u32>,
    list: Vec<Entry>,
    /// Buffers of entries that are gone, at most [`SPARE_ENTRIES`].
    spare: Vec<Entry>,
}

/// Entries whose buffers are kept for the next ones.
const SPARE_ENTRIES: usize = 16;

#[derive(Clone, Debug, Default)]
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Entries {
    /// None yet.
    pub fn new(keyed: &Keyed) -> Self {
        Self { most: keyed.entries_max as usize, ..Self::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All keys and values, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|entry| (&*entry.key, &*entry.value))
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(key).and_then(|at| self.list.get(at)).map(|entry| &*entry.value)
    }

    /// The key of an entry, by its number from 0.
    pub fn key(&self, number: usize) -> Option<&[u8]> {
        self.list.get(number).map(|entry| &*entry.key)
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        let wanted = hash(key);
        let mut all = self.hashes.iter().enumerate().filter(|(_, hash)| **hash == wanted);
        all.find(|(at, _)| self.list.get(*at).is_some_and(|entry| *entry.key == *key)).map(|(at, _)| at)
    }

    /// Sets the value of a key, which keeps its place. A key that is too long has no entry. Returns whether the oldest entry had
    /// to go.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> bool {
        if key.len() > ENTRY_KEY_BYTES_MAX || self.most == 0 {
            return true;
        }
        if let Some(entry) = self.find(key).and_then(|at| self.list.get_mut(at)) {
            entry.value.clear();
            entry.value.extend_from_slice(value);
            return false;
        }
        let is_full = self.list.len() >= self.most;
        let mut entry = if is_full { self.take(0) } else { self.spare.pop().unwrap_or_default() };
        entry.key.clear();
        entry.key.extend_from_slice(key);
        entry.value.clear();
        entry.value.extend_from_slice(value);
        self.hashes.push(hash(key));
        self.list.push(entry);
        is_full
    }

    fn take(&mut self, at: usize) -> Entry {
        self.hashes.remove(at);
        self.list.remove(at)
    }

    /// Takes a key and its value out.
    pub fn delete(&mut self, key: &[u8]) {
        if let Some(at) = self.find(key) {
            let entry = self.take(at);
            if self.spare.len() < SPARE_ENTRIES {
                self.spare.push(entry);
            }
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.list.clear();
    }
}

/// FNV-1a.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(most: u32) -> Entries {
        Entries::new(&Keyed { name: "cards".into(), entries_max: most })
    }

    fn all(entries: &Entries) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs: Vec<String> = entries.iter().map(|(key, value)| format!("{}={} ", text(key), text(value))).collect();
        pairs.concat()
    }

    #[test]
    fn limit_keyed_entries_max_the_oldest_entry_goes() {
        let mut cards = entries(2);
        assert!(!cards.set(b"a", b"1") && !cards.set(b"b", b"2") && !cards.set(b"a", b"3"));
        assert_eq!(all(&cards), "a=3 b=2 ");
        assert!(cards.set(b"c", b"4"));
        assert_eq!((all(&cards).as_str(), cards.get(b"a"), cards.get(b"c")), ("b=2 c=4 ", None, Some(&b"4"[..])));
        cards.delete(b"b");
        cards.delete(b"x");
        assert_eq!((all(&cards).as_str(), cards.key(0), cards.key(1)), ("c=4 ", Some(&b"c"[..]), None));
        cards.clear();
        assert!(cards.is_empty());
    }

    #[test]
    fn limit_entry_key_bytes_max_a_longer_key_has_no_entry() {
        let mut cards = entries(2);
        assert!(!cards.set(&[b'k'; ENTRY_KEY_BYTES_MAX], b"1"));
        assert!(cards.set(&[b'k'; ENTRY_KEY_BYTES_MAX + 1], b"1"));
        assert_eq!(cards.len(), 1);
    }

    #[test]
    fn counters_begin_where_they_are_told_and_begin_again() {
        let plan = Keeps { counters: ["n".into()].into(), ..Keeps::default() };
        let mut kept = DeviceKept { plan: Arc::new(plan), params: Arc::default(), live: None };
        kept.make(|_, _| ());
        let drawn: Vec<i64> = (0..5).map(|_| kept.count(0, 254, 256)).collect();
        assert_eq!(drawn, [254, 255, 0, 1, 2]);
        kept.restart(0);
        assert_eq!([kept.count(0, 254, 256), kept.count(0, 254, 256)], [254, 255]);
    }
}
