//! Counts the places of each holder. Adding one scans all holders, as finding a transfer does.

/// Holders of places. A holder keeps its number while it has a place. The list is as long as the largest number of holders at
/// any time.
#[derive(Clone, Debug)]
pub(super) struct Shares<K> {
    /// A holder and its places; 0: the entry is free.
    holders: Vec<(K, u32)>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { holders: Vec::new() }
    }
}

impl<K: Copy + PartialEq> Shares<K> {
    /// No holder.
    pub(super) const NONE: Self = Self { holders: Vec::new() };

    /// Gives this holder one more place. Returns its number.
    pub(super) fn enter(&mut self, holder: K) -> u32 {
        let mut free = None;
        for (number, (known, places)) in self.holders.iter_mut().enumerate() {
            if *places == 0 {
                free.get_or_insert(number);
            } else if *known == holder {
                *places += 1;
                return number as u32;
            }
        }
        let number = free.unwrap_or_else(|| {
            self.holders.push((holder, 0));
            self.holders.len() - 1
        });
        self.holders[number] = (holder, 1);
        number as u32
    }

    /// Takes one place from the holder with that number.
    pub(super) fn leave(&mut self, number: u32) {
        if let Some((_, places)) = self.holders.get_mut(number as usize) {
            *places = places.saturating_sub(1);
        }
    }

    /// The places of the holder with that number.
    pub(super) fn of(&self, number: u32) -> u32 {
        self.holders.get(number as usize).map_or(0, |&(_, places)| places)
    }

    /// The places of this holder.
    pub(super) fn held(&self, holder: K) -> u32 {
        self.holders.iter().find(|(known, places)| *places > 0 && *known == holder).map_or(0, |&(_, places)| places)
    }

    /// The most places that any of these holders has.
    pub(super) fn most(&self, among: impl Fn(&K) -> bool) -> u32 {
        self.holders.iter().filter(|(holder, _)| among(holder)).map(|&(_, places)| places).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h03_places_are_counted_by_holder() {
        let mut shares = Shares::<char>::NONE;
        assert_eq!("aabca".chars().map(|holder| shares.enter(holder)).collect::<Vec<_>>(), [0, 0, 1, 2, 0]);
        assert_eq!([shares.held('a'), shares.held('b'), shares.held('d'), shares.of(0)], [3, 1, 0, 3]);
        assert_eq!([shares.most(|_| true), shares.most(|&holder| holder != 'a'), shares.most(|_| false)], [3, 1, 0]);
        shares.leave(1);
        assert_eq!((shares.held('b'), shares.enter('d'), shares.held('d'), shares.held('b')), (0, 1, 1, 0));
    }
}
