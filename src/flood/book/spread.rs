//! Latencies of one FSU, in few steps: enough to find those that are slower than the others.

/// The shortest latency that is told apart: 2^10 ns.
const FIRST_BIT: u32 = 10;
/// Steps of each octave; a step is at most a quarter wide.
const STEPS: usize = 4;
/// Octaves: up to 137 s; more counts as this.
const OCTAVES: usize = 27;
/// FSUs of a thread whose latencies are kept apart; those of further ones are not.
pub const SPREADS_MAX: usize = 65_536;

/// Latencies of one FSU: 432 bytes.
#[derive(Clone, Debug)]
pub struct Spread([u32; STEPS * OCTAVES]);

impl Default for Spread {
    fn default() -> Self {
        Self([0; STEPS * OCTAVES])
    }
}

impl Spread {
    /// Those of that many FSUs, as far as they are kept apart.
    pub fn of_each(fsus: usize) -> Vec<Self> {
        vec![Self::default(); fsus.min(SPREADS_MAX)]
    }

    /// Counts one.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let ns = ns.max(1 << FIRST_BIT);
        let bit = ns.ilog2();
        let step = (ns >> (bit - 2)) as usize & (STEPS - 1);
        let place = ((bit - FIRST_BIT) as usize * STEPS + step).min(STEPS * OCTAVES - 1);
        self.0[place] = self.0[place].saturating_add(1);
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&count| u64::from(count)).sum()
    }

    /// The end of the step in which that share (0 to 1) of them is, in nanoseconds; 0: there are none.
    pub fn at(&self, share: f64) -> u64 {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, &count) in self.0.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                let (octave, step) = (place / STEPS, place % STEPS);
                return ((STEPS + step + 1) as u64) << (FIRST_BIT as usize + octave - 2);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_at_most_a_quarter_wide() {
        for ns in [1_024, 1_500, 9_999, 123_456, 7_000_000, 1_000_000_000, 60_000_000_000] {
            let mut spread = Spread::default();
            spread.record(ns);
            let got = spread.at(0.99);
            assert!(got > ns && got <= ns + ns / 4 + 1, "{ns}: {got}");
        }
        let mut spread = Spread::default();
        assert_eq!((spread.at(0.5), spread.count()), (0, 0));
        for ns in [0, u64::MAX] {
            spread.record(ns);
        }
        assert_eq!((spread.at(0.5), spread.at(1.0)), (1_280, 1 << 37));
    }

    #[test]
    fn limit_spreads_max_further_ones_are_not_kept_apart() {
        assert_eq!((Spread::of_each(70_000).len(), Spread::of_each(3).len()), (65_536, 3));
    }

    #[test]
    fn shares_are_those_of_all() {
        let (mut spread, mut more) = (Spread::default(), Spread::default());
        (0..98).for_each(|_| spread.record(100_000));
        (0..2).for_each(|_| more.record(5_000_000));
        spread.add(&more);
        assert_eq!(spread.count(), 100);
        assert!(spread.at(0.98) < 131_072 && spread.at(0.99) > 5_000_000, "{} {}", spread.at(0.98), spread.at(0.99));
    }
}
