//! The generator of one message: everything random in a run comes from (run seed, fsuid, number of the message).

use crate::moment::NS_PER_MS;
use crate::state::identity::{STEP, mix};
use fastrand::Rng;
use fsu_plan::model::rule::{DELAY_MS_MAX, Delay};

/// The generator of one message. Created on first use, because most replies draw nothing.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    identity: u64,
    message: u64,
    rng: Option<Rng>,
}

impl Dice {
    /// The generator of message number `message`, from 1, of the FSU with this [`identity`](crate::state::identity::identity).
    #[inline]
    pub fn new(seed: u64, identity: u64, message: u64) -> Self {
        Self { seed, identity, message, rng: None }
    }

    /// The generator of the FSU before its first message.
    pub(crate) fn first(&self) -> Self {
        Self::new(self.seed, self.identity, 0)
    }

    /// What distinguishes the FSU and the run from others.
    pub(crate) fn of_fsu(&self) -> u64 {
        mix(self.seed ^ self.identity)
    }

    /// The generator.
    #[inline]
    pub fn rng(&mut self) -> &mut Rng {
        let (seed, identity, message) = (self.seed, self.identity, self.message);
        self.rng.get_or_insert_with(|| generator(seed, identity, message))
    }
}

/// A generator that continues from message to message.
impl From<Rng> for Dice {
    fn from(rng: Rng) -> Self {
        Self { seed: 0, identity: 0, message: 0, rng: Some(rng) }
    }
}

#[cold]
fn generator(seed: u64, identity: u64, message: u64) -> Rng {
    Rng::with_seed(mix(mix(seed ^ identity).wrapping_add(STEP) ^ message.wrapping_mul(STEP)))
}

/// A standard normal value (Box-Muller; the second of the pair is discarded so that the number of draws is fixed).
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Draws a delay, in nanoseconds, 0 to [`DELAY_MS_MAX`]. Not rounded to milliseconds: no reply leaves before a rule's minimum.
#[inline]
pub fn delay_ns(delay: Delay, dice: &mut Dice) -> i64 {
    let ms = match delay {
        Delay::None => return 0,
        Delay::Fixed(ms) => ms,
        Delay::Uniform(low, high) => low + (high - low) * dice.rng().f64(),
        Delay::Normal(mean, sd) => mean + sd * standard_normal(dice.rng()),
        Delay::Lognormal(mu, sigma) => (mu + sigma * standard_normal(dice.rng())).exp(),
    };
    // Casts saturate: NaN and negative values become 0.
    ((ms * 1e6).round() as i64).clamp(0, DELAY_MS_MAX as i64 * NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delay: Delay, low: u64, high: u64) {
        let mut dice = Dice::new(7, 0, 1);
        for _ in 0..10_000 {
            let ns = delay_ns(delay, &mut dice) as u64;
            assert!((low * 1_000_000..=high * 1_000_000).contains(&ns), "{delay:?} gave {ns} ns");
        }
    }

    #[test]
    fn delays_stay_in_their_range() {
        check(Delay::None, 0, 0);
        check(Delay::Fixed(30.0), 30, 30);
        check(Delay::Uniform(50.0, 100.0), 50, 100);
        check(Delay::Normal(1.0, 50.0), 0, 1_000);
        check(Delay::Lognormal(1e9, 1.0), DELAY_MS_MAX, DELAY_MS_MAX);
        check(Delay::Fixed(f64::NAN), 0, 0);
    }

    #[test]
    fn n09_a_part_of_a_millisecond_is_no_less() {
        let mut dice = Dice::new(7, 0, 1);
        assert_eq!(delay_ns(Delay::Fixed(80.4), &mut dice), 80_400_000);
        for _ in 0..1_000 {
            let ns = delay_ns(Delay::Uniform(50.4, 50.45), &mut dice);
            assert!((50_400_000..=50_450_000).contains(&ns), "{ns}");
        }
    }

    #[test]
    fn distributions_have_their_centre() {
        let mut dice = Dice::new(1, 0, 1);
        let mut draw = |delay| {
            let mut all: Vec<i64> = (0..10_001).map(|_| delay_ns(delay, &mut dice) / NS_PER_MS).collect();
            all.sort_unstable();
            (all[5_000], all[9_900])
        };
        let (median, _) = draw(Delay::Normal(200.0, 20.0));
        assert!((197..=203).contains(&median), "{median}");
        // [median 100, p99 400]: mu = ln 100, sigma = ln(4) / 2.3263
        let (median, p99) = draw(Delay::Lognormal(100_f64.ln(), 4_f64.ln() / 2.326_347_9));
        assert!((95..=105).contains(&median) && (350..=450).contains(&p99), "{median} {p99}");
    }

    /// A seed that was written down gives the same run for good.
    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let drawn = |seed, identity, message| Dice::new(seed, identity, message).rng().u64(..);
        let all = [drawn(0, 0, 1), drawn(7, 0, 1), drawn(7, 9, 1), drawn(7, 9, 2), drawn(u64::MAX, 1 << 40, 1_000)];
        let expected: [u64; 5] = [
            11_116_517_241_604_665_558,
            9_289_781_592_432_531_903,
            12_444_568_543_800_296_246,
            16_127_386_641_711_667_501,
            14_406_093_605_403_320_437,
        ];
        assert_eq!(all, expected);
        // The first numbers of splitmix64 from 0, as its authors give them.
        assert_eq!([mix(STEP), mix(STEP.wrapping_mul(2))], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    }
}
