//! The generator of one message: everything random in a run comes from (run seed, fsuid, number of the message).

use crate::plan::fleet::Fsu;
use crate::plan::rule::{DELAY_MS_MAX, Delay};
use fastrand::Rng;

/// Spreads every bit of `x` over the result (the finalizer of splitmix64).
#[inline]
fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The generator of message number `message` (from 1) of an FSU. An FSU without an id goes by its name.
#[inline]
pub fn generator(seed: u64, fsu: &Fsu, message: u64) -> Rng {
    let identity = if fsu.id.len == 0 { fsu.name.as_bytes() } else { fsu.id.given() };
    let identity = identity.chunks(8).fold(seed, |hash, chunk| {
        let word = match chunk.first_chunk() {
            Some(whole) => u64::from_be_bytes(*whole),
            None => chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
        };
        mix(hash ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15)
    });
    Rng::with_seed(mix(identity ^ message.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A standard normal value (Box-Muller; one of the pair is thrown away to keep the draw count fixed).
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Draws a delay, in whole milliseconds, 0 to [`DELAY_MS_MAX`].
#[inline]
pub fn delay_ms(delay: Delay, rng: &mut Rng) -> u64 {
    let ms = match delay {
        Delay::None => return 0,
        Delay::Fixed(ms) => ms,
        Delay::Uniform(low, high) => low + (high - low) * rng.f64(),
        Delay::Normal(mean, sd) => mean + sd * standard_normal(rng),
        Delay::Lognormal(mu, sigma) => (mu + sigma * standard_normal(rng)).exp(),
    };
    // A cast saturates: NaN and negatives become 0.
    (ms.round() as u64).min(DELAY_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delay: Delay, low: u64, high: u64) {
        let mut rng = Rng::with_seed(7);
        for _ in 0..10_000 {
            let ms = delay_ms(delay, &mut rng);
            assert!((low..=high).contains(&ms), "{delay:?} gave {ms}");
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
    fn distributions_have_their_centre() {
        let mut rng = Rng::with_seed(1);
        let mut draw = |delay| {
            let mut all: Vec<u64> = (0..10_001).map(|_| delay_ms(delay, &mut rng)).collect();
            all.sort_unstable();
            (all[5_000], all[9_900])
        };
        let (median, _) = draw(Delay::Normal(200.0, 20.0));
        assert!((197..=203).contains(&median), "{median}");
        // [median 100, p99 400]: mu = ln 100, sigma = ln(4) / 2.3263
        let (median, p99) = draw(Delay::Lognormal(100_f64.ln(), 4_f64.ln() / 2.326_347_9));
        assert!((95..=105).contains(&median) && (350..=450).contains(&p99), "{median} {p99}");
    }
}
