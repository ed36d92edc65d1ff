//! FSUs that answer slower than the others.

use crate::book::spread::Spread;
use crate::book::thread::ThreadReport;
use crate::report::{OutlierReport, SlowFsu, round};
use crate::workload::options::Options;

/// FSUs that are named.
const NAMED: usize = 20;
/// With fewer replies, a p99 is chance.
const REPLIES: u64 = 20;
/// An FSU is an outlier if its p99 is that many times the usual one.
const TIMES: f64 = 2.0;

/// Those of a run; `None`: there are fewer than two FSUs to compare.
pub(super) fn outliers(options: &Options, threads: &[ThreadReport]) -> Option<OutlierReport> {
    let mut all: Vec<Option<Spread>> = vec![None; options.targets.len()];
    for (target, spread) in threads.iter().flat_map(|thread| &thread.spreads) {
        if let Some(place) = all.get_mut(*target) {
            place.get_or_insert_default().add(spread);
        }
    }
    let us = |ns: u64| round(ns as f64 / 1_000.0);
    let mut fsus: Vec<SlowFsu> = options
        .targets
        .iter()
        .zip(&all)
        .filter_map(|(target, spread)| Some((target, spread.as_ref()?)))
        .filter(|(_, spread)| spread.count() >= REPLIES)
        .map(|(target, spread)| SlowFsu {
            fsu: target.name.to_string(),
            replies: spread.count(),
            p50_us: us(spread.at(0.5)),
            p99_us: us(spread.at(0.99)),
            max_us: us(spread.at(1.0)),
        })
        .collect();
    if fsus.len() < 2 {
        return None;
    }
    fsus.sort_by(|one, other| other.p99_us.total_cmp(&one.p99_us));
    let (compared, usual_p99_us) = (fsus.len(), fsus[fsus.len() / 2].p99_us);
    fsus.retain(|fsu| fsu.p99_us >= usual_p99_us * TIMES);
    let found = fsus.len();
    fsus.truncate(NAMED);
    Some(OutlierReport { compared, usual_p99_us, found, fsus })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::report::html::html;
    use crate::report::sum::{Course, report};
    use crate::workload::options::AskedFsu;
    use crate::workload::profile::Profile;
    use fsu_plan::model::fleet::{FsuId, Language};
    use fsu_plan::model::message::Transport;
    use fsu_plan::texts::Texts;
    use std::sync::Arc;

    /// That many FSUs, each with these latencies in microseconds -> names of the outliers.
    fn check(fsus: &[(&str, &[u64])], expected: Option<&[&str]>) -> String {
        let profile = Arc::new(Profile::new(Vec::new(), Vec::new()));
        let target = |name: &str| AskedFsu {
            tls: None,
            name: name.into(),
            id: FsuId::default(),
            rtn_flag: 0,
            is_bare: false,
            address: ([127, 0, 0, 1], 9).into(),
            profile: profile.clone(),
        };
        let targets = fsus.iter().map(|(name, _)| target(name)).collect();
        let options = Options { targets, ..fixtures::options(Transport::Udp) };
        let spread = |all: &[u64]| {
            let mut spread = Spread::default();
            for us in all {
                spread.record(us * 1_000);
            }
            spread
        };
        let spreads = fsus.iter().enumerate().map(|(number, (_, all))| (number, spread(all))).collect();
        let report = report(&options, &[ThreadReport { spreads, ..fixtures::thread() }], Course::default());
        let found = report.outliers.as_ref().map(|of| of.fsus.iter().map(|fsu| &*fsu.fsu).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected);
        html(&report, None, Texts::of(Language::En))
    }

    #[test]
    fn those_at_least_twice_as_slow_are_named() {
        let (usual, slow, few) = ([100; 30], [[100; 29].as_slice(), &[9_000]].concat(), [9_000; 3]);
        let page = check(&[("a", &usual), ("<b>", &slow), ("c", &usual), ("d", &few)], Some(&["<b>"]));
        assert!(page.contains("<h2>Slow FSUs</h2>") && page.contains("The p99 of half of the 3 FSUs"), "{page}");
        assert!(page.contains(">&lt;b&gt;</td>") && page.contains("1 is at least twice as slow."), "{page}");
        let page = check(&[("a", &usual), ("b", &usual)], Some(&[]));
        assert!(page.contains("None is at least twice as slow."), "{page}");
        assert!(!check(&[("a", &usual)], None).contains("Slow FSUs"));
        let many: Vec<String> = (0..70).map(|number| format!("f{number:02}")).collect();
        let all: Vec<(&str, &[u64])> =
            many.iter().map(|name| (&**name, if name.as_str() < "f30" { &*slow } else { &usual[..] })).collect();
        let named: Vec<&str> = many[..20].iter().map(|name| &**name).collect();
        assert!(check(&all, Some(&named)).contains("And 10 more."));
    }
}
