//! The commands of a key: one look-up for each request.

use std::fmt::Write as _;
use std::ops::Deref;

/// The commands of one key, in file order.
pub type Row = (u128, Box<[u32]>);

/// Keys and their commands, sorted by key. A key is found through a table of places, at least half of them free, by a
/// product's upper bits; where two keys want the same place the later one has the next free one.
#[derive(Clone, Debug)]
pub struct KeyTable {
    rows: Box<[Row]>,
    /// Row number + 1; 0: free. The length is a power of two.
    places: Box<[u32]>,
    /// Bits of a product that are not part of the index.
    shift: u32,
    /// 20 at every byte that may be a hex digit of either case; the table has upper case.
    either_case: u128,
    /// FF at every byte that is a character.
    chars: u128,
}

impl KeyTable {
    /// The same for keys with characters. The bytes of both masks are the key's: FF at characters, and at those that are hex digits.
    #[must_use]
    pub fn with_chars(self, chars: u128, hex: u128) -> Self {
        Self { chars, either_case: hex & (u128::MAX / 0xFF * 0x20), ..self }
    }

    /// The commands that have that key.
    #[inline]
    pub fn find(&self, key: u128) -> Option<&[u32]> {
        let found = self.find_exact(key);
        if found.is_none() && self.either_case != 0 { self.find_upper(key) } else { found }
    }

    /// The commands of a key whose hex digits may be in lower case.
    #[cold]
    fn find_upper(&self, key: u128) -> Option<&[u32]> {
        // Letters have the bit 40, digits do not.
        self.find_exact(key & !((key >> 1) & self.either_case))
    }

    /// A key of `bytes` bytes as people write it: characters as they are, other bytes as hex digits.
    pub fn spell(&self, key: u128, bytes: usize) -> String {
        (0..bytes).rev().fold(String::new(), |mut text, place| {
            let (byte, is_char) = ((key >> (8 * place)) as u8, (self.chars >> (8 * place)) & 0xFF != 0);
            let _ = if is_char && byte.is_ascii_graphic() {
                write!(text, "{}", char::from(byte))
            } else {
                write!(text, "{byte:02X}")
            };
            text
        })
    }

    #[inline]
    fn find_exact(&self, key: u128) -> Option<&[u32]> {
        let mut place = start(key, self.shift);
        loop {
            // One place is free, so this ends.
            let number = *self.places.get(place & (self.places.len() - 1))?;
            let (found, commands) = self.rows.get((number as usize).checked_sub(1)?)?;
            if *found == key {
                return Some(commands);
            }
            place += 1;
        }
    }
}

/// Where the search for a key begins.
#[inline]
fn start(key: u128, shift: u32) -> usize {
    /// 2^64 over the golden ratio: neighbouring keys are spread apart.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    (((key as u64) ^ (key >> 64) as u64).wrapping_mul(SPREAD) >> shift) as usize
}

impl From<Vec<Row>> for KeyTable {
    /// Of duplicate keys one is found.
    fn from(mut rows: Vec<Row>) -> Self {
        rows.sort_unstable_by_key(|(key, _)| *key);
        let count = (rows.len() * 2).next_power_of_two().max(2);
        let shift = u64::BITS - count.trailing_zeros();
        let mut places = vec![0; count].into_boxed_slice();
        for (number, (key, _)) in (1..).zip(&rows) {
            let from = start(*key, shift);
            let free = (from..from + count).map(|place| place % count).find(|&place| places[place] == 0);
            if let Some(free) = free {
                places[free] = number;
            }
        }
        Self { rows: rows.into(), places, shift, either_case: 0, chars: 0 }
    }
}

impl<const N: usize> From<[Row; N]> for KeyTable {
    fn from(rows: [Row; N]) -> Self {
        Vec::from(rows).into()
    }
}

impl FromIterator<Row> for KeyTable {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Vec::from_iter(rows).into()
    }
}

impl Deref for KeyTable {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(keys: &BTreeMap<u128, u32>, asked: &[u128]) {
        let table: KeyTable = keys.iter().rev().map(|(&key, &number)| (key, Box::from([number]))).collect();
        assert!(table.iter().map(|(key, _)| *key).eq(keys.keys().copied()));
        for key in asked.iter().chain(keys.keys()) {
            let expected = keys.get(key).map(std::slice::from_ref);
            assert_eq!(table.find(*key), expected, "{key:X}");
        }
    }

    #[test]
    fn none_and_neighbours() {
        check(&BTreeMap::new(), &[0, 1, u128::MAX]);
        check(&(0..300).map(|key| (key, key as u32)).collect(), &[300, u128::from(u64::MAX), u128::MAX]);
        // All want the same place: the two halves cancel out.
        let twice = |half: u128| (half << 64) | half;
        check(&(0..50).map(|half| (twice(half), half as u32)).collect(), &[0, twice(50)]);
    }

    /// At least half of the places are free, so that few are looked at for a key.
    #[test]
    fn places_for_twice_as_many_keys() {
        let places = |keys: u32| {
            let table: KeyTable = (0..keys).map(|key| (u128::from(key), Box::from([key]))).collect();
            let used = table.places.iter().filter(|&&number| number > 0).count();
            assert_eq!((used, 1 << (u64::BITS - table.shift)), (keys as usize, table.places.len()), "{keys}");
            table.places.len()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 100, 128, 129].map(places), [2, 2, 4, 8, 8, 16, 256, 256, 512]);
    }

    proptest! {
        #[test]
        fn it_finds_what_is_there(keys: BTreeMap<u128, u32>, asked: Vec<u128>) {
            check(&keys, &asked);
        }
    }
}
