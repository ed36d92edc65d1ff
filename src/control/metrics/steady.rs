//! Counters that never fall: a reload takes FSUs away, and what they counted goes from the sums.
//!
//! A reader takes a counter that falls for one that began again, and would count what is left once more.

use super::families::{Families, Labels};
use std::collections::HashMap;

/// What each counter was.
#[derive(Debug, Default)]
pub struct Steady(HashMap<(String, Labels), Was>);

#[derive(Clone, Copy, Debug, Default)]
struct Was {
    /// What the sum said.
    last: u64,
    /// What is added to it.
    gone: u64,
}

impl Steady {
    /// Makes up for what is gone. Counters that are not there any more are forgotten.
    pub fn hold(&mut self, families: &mut Families) {
        let mut before = std::mem::take(&mut self.0);
        families.each_counter(|name, labels, count| {
            let key = (name.to_owned(), labels.clone());
            let mut was = before.remove(&key).unwrap_or_default();
            was.gone += was.last.saturating_sub(*count);
            was.last = *count;
            *count += was.gone;
            self.0.insert(key, was);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_fall() {
        let mut steady = Steady::default();
        let mut told = |sums: &[(&str, u64)]| {
            let mut families = Families::new("x");
            let series = sums.iter().map(|&(name, sum)| (vec![("of", name.to_owned())], sum));
            families.counter("n", "N", series);
            steady.hold(&mut families);
            let mut out = Vec::new();
            families.each_counter(|_, _, count| out.push(*count));
            out
        };
        assert_eq!(told(&[("a", 5), ("b", 1)]), [5, 1]);
        assert_eq!(told(&[("a", 3), ("b", 2)]), [5, 2]);
        assert_eq!(told(&[("a", 4)]), [6]);
        assert_eq!(told(&[("a", 0), ("b", 1)]), [6, 1]);
        assert_eq!(told(&[("a", 9), ("b", 1)]), [15, 1]);
    }
}
