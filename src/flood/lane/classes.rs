//! The classes of a lane by their number. Most lanes have one: it is kept beside the lane, not in the table.

use super::flights::{Class, Same, UNKNOWN};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// All classes of a lane.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// One of them.
    first: Option<(u64, Class)>,
    others: HashMap<u64, Class, BuildHasherDefault<Same>>,
}

impl Classes {
    /// A class.
    #[inline]
    pub(super) fn get(&self, class: u64) -> Option<&Class> {
        match &self.first {
            Some((first, known)) if *first == class => Some(known),
            _ => self.others.get(&class),
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, class: u64) -> Option<&mut Class> {
        match &mut self.first {
            Some((first, known)) if *first == class => Some(known),
            _ => self.others.get_mut(&class),
        }
    }

    /// A class, which is new if it was not there.
    #[inline]
    pub(super) fn entry(&mut self, class: u64) -> &mut Class {
        let is_first = match &self.first {
            Some((first, _)) => *first == class,
            None => !self.others.contains_key(&class),
        };
        if is_first {
            &mut self.first.get_or_insert((class, UNKNOWN)).1
        } else {
            self.others.entry(class).or_insert(UNKNOWN)
        }
    }

    /// Forgets a class.
    #[inline]
    pub(super) fn remove(&mut self, class: u64) {
        if self.first.take_if(|(first, _)| *first == class).is_none() {
            self.others.remove(&class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_and_others_are_known_by_their_numbers() {
        let mut classes = Classes::default();
        for class in [5, 6, 7] {
            classes.entry(class).open = class as u32;
        }
        let open = |classes: &Classes| [5, 6, 7, 8].map(|class| classes.get(class).map(|known| known.open));
        assert_eq!(open(&classes), [Some(5), Some(6), Some(7), None]);
        classes.remove(5);
        // The place is free, and 6 stays where it is.
        classes.entry(6).open += 10;
        classes.entry(8).open = 8;
        assert_eq!(open(&classes), [None, Some(16), Some(7), Some(8)]);
        classes.get_mut(8).unwrap().open = 9;
        classes.remove(6);
        classes.remove(6);
        assert_eq!(open(&classes), [None, None, Some(7), Some(9)]);
    }
}
