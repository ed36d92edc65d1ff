//! Tests for a difference beyond noise. Pure.

/// What a test of two samples says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// The chance of a difference at least as large if there were none, 0 to 1 (two-sided).
    pub p: f64,
    /// How far the samples are apart: -1 (all of the second are smaller) to 1; Cliff's delta.
    pub effect: f64,
}

/// The Mann-Whitney U test of two samples, by the normal approximation, with corrections for ties and continuity. It compares ranks, so that
/// it assumes no distribution. None: one of them has fewer than [`SAMPLES_MIN`] values.
pub fn mann_whitney(before: &[f64], after: &[f64]) -> Option<Tested> {
    if before.len().min(after.len()) < SAMPLES_MIN {
        return None;
    }
    let first = before.iter().map(|value| (*value, false));
    let mut all: Vec<(f64, bool)> = first.chain(after.iter().map(|value| (*value, true))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let is_equal = |(value, _): &&(f64, bool)| value.total_cmp(&all[at].0).is_eq();
        let equal = all[at..].iter().take_while(is_equal).count();
        // Equal values share the mean of their ranks, which begin at 1.
        let rank = at as f64 + f64::midpoint(equal as f64, 1.0);
        rank_sum += rank * all[at..at + equal].iter().filter(|(_, is_after)| *is_after).count() as f64;
        ties += (equal as f64).powi(3) - equal as f64;
        at += equal;
    }
    let (first, second) = (before.len() as f64, after.len() as f64);
    let (pairs, total) = (first * second, first + second);
    let larger = rank_sum - second * (second + 1.0) / 2.0;
    let variance = pairs / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let effect = 2.0 * larger / pairs - 1.0;
    if variance <= 0.0 {
        return Some(Tested { p: 1.0, effect });
    }
    let z = ((larger - pairs / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    Some(Tested { p: two_sided(z), effect })
}

/// Values of each sample below which a rank test cannot tell much.
pub const SAMPLES_MIN: usize = 8;
/// Events up to which their chances are added up one by one.
const EXACT: u64 = 10_000;

/// Whether the second share is another than the first, each as events and of how many: given all events together, how many fall to the second is binomial if the shares are
/// equal. Exact for rare events, careful for frequent ones. The chance of so large a difference, 0 to 1.
pub fn shares((before, of_before): (u64, u64), (after, of_after): (u64, u64)) -> Option<f64> {
    if of_before == 0 || of_after == 0 {
        return None;
    }
    let events = before + after;
    if events == 0 {
        return Some(1.0);
    }
    let share = of_after as f64 / (of_before as f64 + of_after as f64);
    if events > EXACT {
        let mean = events as f64 * share;
        let z = ((after as f64 - mean).abs() - 0.5).max(0.0) / (mean * (1.0 - share)).sqrt();
        return Some(two_sided(z));
    }
    // Chances by their logarithms, from one to the next.
    let log = |count: u64| ((events - count) as f64 / (count + 1) as f64).ln() + (share / (1.0 - share)).ln();
    let mut chances = vec![events as f64 * (1.0 - share).ln()];
    for count in 0..events {
        chances.push(chances[count as usize] + log(count));
    }
    let sum = |range: std::ops::RangeInclusive<usize>| chances[range].iter().map(|log| log.exp()).sum::<f64>();
    let (below, above) = (sum(0..=after as usize), sum(after as usize..=events as usize));
    Some((2.0 * below.min(above)).min(1.0))
}

/// The chance of a normal value at least so far from its mean.
fn two_sided(z: f64) -> f64 {
    erfc(z / std::f64::consts::SQRT_2).min(1.0)
}

/// The complementary error function for x >= 0, to 1.2e-7 of its value (Numerical Recipes, 6.2).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let all = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let sum = all.iter().rev().fold(0.0, |sum, factor| sum * t + factor);
    t * (-x * x + sum).exp()
}

/// Which of these chances are small enough, where several tests share one risk (Holm).
pub fn significant(chances: &[Option<f64>], risk: f64) -> Vec<bool> {
    let mut order: Vec<(usize, f64)> = chances.iter().enumerate().filter_map(|(at, p)| Some((at, (*p)?))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let tests = order.len();
    let mut out = vec![false; chances.len()];
    for (number, (at, p)) in order.into_iter().enumerate() {
        if p > risk / (tests - number) as f64 {
            break;
        }
        out[at] = true;
    }
    out
}

/// The middle value.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => sorted.get(middle).copied(),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    #[test]
    fn chances_are_those_of_tables() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        near(two_sided(0.0), 1.0);
        near(two_sided(1.959_964), 0.05);
        near(two_sided(2.575_829), 0.01);
        // U is 87.5 of 100; its variance is 175 less 5 ties of two.
        let of = |from: i32| (from..from + 10).map(f64::from).collect::<Vec<_>>();
        let tested = mann_whitney(&of(1), &of(6)).unwrap();
        near(tested.p, 0.005_075);
        near(tested.effect, 0.75);
        assert_eq!(mann_whitney(&of(1)[..7], &of(6)), None);
        let same = mann_whitney(&[5.0; 9], &[5.0; 9]).unwrap();
        near(same.p + same.effect, 1.0);
        // binom.test(5, 5, 0.5) and binom.test(9, 10, 0.5) of R.
        near(shares((0, 1_000_000), (5, 1_000_000)).unwrap(), 0.0625);
        near(shares((1, 1_000), (9, 1_000)).unwrap(), 0.021_484);
        near(shares((0, 10), (0, 10)).unwrap(), 1.0);
        assert_eq!(shares((0, 0), (1, 10)), None);
        // Both ways of counting agree.
        near(shares((4_900, 1 << 40), (5_100, 1 << 40)).unwrap(), shares((4_901, 1 << 40), (5_101, 1 << 40)).unwrap());
    }

    #[test]
    fn one_risk_is_shared_by_all_tests() {
        let check = |chances: &[Option<f64>], expected: &[bool]| {
            assert_eq!(significant(chances, 0.01), expected, "{chances:?}");
        };
        check(&[Some(0.009)], &[true]);
        check(&[Some(0.009), Some(0.009)], &[false, false]);
        check(&[Some(0.004), None, Some(0.009)], &[true, false, true]);
        check(&[Some(0.5), Some(0.004), Some(0.006)], &[false, false, false]);
    }

    #[test]
    fn noise_alone_is_rarely_a_difference() {
        let mut rng = Rng::with_seed(7);
        let mut sample = |shift: f64| (0..30).map(|_| rng.f64() + rng.f64() + shift).collect::<Vec<_>>();
        let found = |shift: f64, sample: &mut dyn FnMut(f64) -> Vec<f64>| {
            (0..500).filter(|_| mann_whitney(&sample(0.0), &sample(shift)).unwrap().p < 0.01).count()
        };
        let (none, much) = (found(0.0, &mut sample), found(0.5, &mut sample));
        assert!(none <= 12 && much >= 450, "{none} {much}");
    }
}
