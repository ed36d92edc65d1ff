use super::*;
use fastrand::Rng;
use proptest::prelude::*;

const BOUNDS: Bounds =
    Bounds { from_per_s: 1_000.0, least_per_s: 1.0, most_per_s: 1e8, precision: 0.02, confirmations: 3 };

/// A search on a server that breaks as `breaks` says; its steps, and what it found.
fn search(bounds: Bounds, mut breaks: impl FnMut(f64) -> Option<Limit>) -> (Vec<(f64, Purpose, bool)>, Found) {
    let (mut search, mut steps) = (Search::new(bounds), Vec::new());
    loop {
        match search.next() {
            Next::Done(found) => return (steps, found),
            Next::Try { per_s, purpose } => {
                assert!((bounds.least_per_s..=bounds.most_per_s).contains(&per_s), "{per_s}");
                let broke = breaks(per_s);
                steps.push((per_s, purpose, broke.is_none()));
                search.tried(broke);
            }
        }
        assert!(steps.len() < 300, "{steps:?}");
    }
}

/// The last steps confirm what was found.
fn is_confirmed(steps: &[(f64, Purpose, bool)], found: &Found, times: usize) -> bool {
    let last = &steps[steps.len() - times..];
    last.iter().all(|(per_s, purpose, held)| Some(*per_s) == found.per_s && *purpose == Purpose::Confirm && *held)
}

#[test]
fn a_knee_is_found_within_the_precision() {
    let check = |knee: f64, from_per_s: f64| {
        let bounds = Bounds { from_per_s, ..BOUNDS };
        let (steps, found) = search(bounds, |per_s| (per_s > knee).then_some(Limit::Server));
        let (per_s, broke) = (found.per_s.unwrap(), found.broke_per_s.unwrap());
        assert!(per_s <= knee && knee < broke && broke - per_s <= broke * 0.02 + 0.01, "{knee} {found:?}");
        assert_eq!(found.limit, Limit::Server);
        assert!(is_confirmed(&steps, &found, 3), "{steps:?}");
        assert!(steps.len() <= 75, "{knee}: {} steps", steps.len());
    };
    for knee in [1.0, 3.0, 777.0, 1_000.0, 52_345.0, 1_048_576.0, 99e6] {
        check(knee, 1_000.0);
        check(knee, 1.0);
        check(knee, 1e8);
    }
}

#[test]
fn the_way_up_and_between_is_the_documented_one() {
    let bounds = Bounds { from_per_s: 100.0, precision: 0.1, confirmations: 2, ..BOUNDS };
    let (steps, found) = search(bounds, |per_s| (per_s > 330.0).then_some(Limit::Server));
    let rates: Vec<(f64, &str)> = steps.iter().map(|(per_s, purpose, _)| (*per_s, purpose.name())).collect();
    let rise = [(100.0, "rise"), (200.0, "rise"), (400.0, "rise"), (400.0, "rise")];
    let narrow = [(300.0, "narrow"), (350.0, "narrow"), (350.0, "narrow"), (325.0, "narrow")];
    let confirm = [(325.0, "confirm"), (325.0, "confirm")];
    assert_eq!(rates, [&rise[..], &narrow, &confirm].concat());
    assert_eq!(found, Found { per_s: Some(325.0), limit: Limit::Server, broke_per_s: Some(350.0) });
}

#[test]
fn one_disturbance_does_not_end_the_rise() {
    let mut disturbed = [1_000.0, 8_000.0].to_vec();
    let (_, found) = search(BOUNDS, |per_s| {
        let is_first =
            disturbed.iter().position(|at| (at - per_s).abs() < 1.0).map(|at| disturbed.remove(at)).is_some();
        (is_first || per_s > 60_000.0).then_some(Limit::Server)
    });
    assert!((58_000.0..=60_000.0).contains(&found.per_s.unwrap()), "{found:?}");
}

#[test]
fn a_server_that_never_loses_is_held_at_the_highest_rate() {
    let bounds = Bounds { most_per_s: 50_000.0, ..BOUNDS };
    let (steps, found) = search(bounds, |_| None);
    assert_eq!(found, Found { per_s: Some(50_000.0), limit: Limit::Allowed, broke_per_s: None });
    assert!(is_confirmed(&steps, &found, 3), "{steps:?}");
}

#[test]
fn a_server_that_always_loses_has_no_rate() {
    let (steps, found) = search(BOUNDS, |_| Some(Limit::Server));
    assert_eq!(found, Found { per_s: None, limit: Limit::Server, broke_per_s: Some(1.0) });
    // 1,000 down to 1, each rate twice.
    assert_eq!(steps.len(), 22, "{steps:?}");
}

#[test]
fn a_generator_that_cannot_keep_up_is_named() {
    let (_, found) = search(BOUNDS, |per_s| (per_s > 90_000.0).then_some(Limit::Generator));
    assert_eq!(found.limit, Limit::Generator);
    assert!((88_000.0..=90_000.0).contains(&found.per_s.unwrap()), "{found:?}");
}

/// Between 80 % and 120 % of the knee the chance of a loss grows from nothing to certainty.
#[test]
fn a_noisy_knee_gives_a_rate_that_held_three_times_in_a_row() {
    for seed in 0..200 {
        let (mut rng, knee) = (Rng::with_seed(seed), 40_000.0);
        let (steps, found) = search(BOUNDS, |per_s| {
            let chance = (per_s / knee - 0.8) / 0.4;
            (rng.f64() < chance).then_some(Limit::Server)
        });
        assert!(is_confirmed(&steps, &found, 3), "{seed}: {steps:?}");
        let per_s = found.per_s.unwrap();
        assert!((0.7 * knee..1.2 * knee).contains(&per_s), "{seed}: {per_s}");
    }
}

proptest! {
    #[test]
    fn it_ends_whatever_happens(
        outcomes in prop::collection::vec(prop::option::weighted(0.5, 0..2_u8), 300),
        from_per_s in 1.0..1e8_f64,
        precision in 0.001..0.5_f64,
    ) {
        let mut outcomes = outcomes.into_iter().cycle();
        let bounds = Bounds { from_per_s, precision, ..BOUNDS };
        let limits = [Limit::Server, Limit::Generator];
        let (steps, found) = search(bounds, |_| outcomes.next().flatten().map(|which| limits[usize::from(which)]));
        let is_right = if found.per_s.is_some() { is_confirmed(&steps, &found, 3) } else { found.broke_per_s == Some(1.0) };
        prop_assert!(is_right, "{:?} {:?}", found, steps);
    }
}

#[test]
fn limit_back_max() {
    // Nothing is ever confirmed: the steps back grow to half of the rate, and no further.
    let (mut search, mut last, mut steps) = (Search::new(BOUNDS), None, Vec::new());
    while let Next::Try { per_s, purpose } = search.next() {
        if purpose == Purpose::Confirm {
            steps.extend(last.map(|last: f64| per_s / last));
            last = Some(per_s);
        }
        search.tried((per_s > 50_000.0 || purpose == Purpose::Confirm).then_some(Limit::Server));
    }
    assert!(steps.iter().all(|step| *step >= BACK_MAX - 0.01) && steps.iter().any(|step| *step < 0.51), "{steps:?}");
}
