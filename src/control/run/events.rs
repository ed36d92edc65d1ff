//! What happens in a fleet, as events of the stream.

use super::scan::Scan;
use crate::source::Happened;
use fsu_serve::steer::Happening;
use serde_json::json;

/// FSUs of an outage that are named.
const NAMED: usize = 10;

/// An event of the stream.
pub(super) fn happened(happening: Happening) -> Happened {
    match happening {
        Happening::Centre { fsu, peer, came } => {
            Happened { event: "centre", data: json!({ "fsu": &*fsu, "peer": peer.to_string(), "came": came }) }
        }
        Happening::Reload { done, summary } => {
            Happened { event: "reload", data: json!({ "done": done, "summary": summary }) }
        }
        Happening::Change { call, matched } => {
            Happened { event: "change", data: json!({ "call": call, "by": "api", "matched": matched }) }
        }
    }
}

/// FSUs that lost their power between two scans, and those that have it again.
pub(super) fn outages(before: &Scan, now: &Scan) -> Vec<Happened> {
    if before.view.epoch != now.view.epoch {
        return Vec::new();
    }
    let both = before.fsus.iter().zip(&now.fsus).enumerate();
    let changed: Vec<(usize, bool)> = both
        .filter_map(|(number, (before, now))| {
            let (before, now) = (before.as_ref()?.is_offline, now.as_ref()?.is_offline);
            (before != now).then_some((number, now))
        })
        .collect();
    let of = |begun: bool| {
        let all = changed.iter().filter(|&&(_, is_offline)| is_offline == begun);
        let name = |number: usize| now.view.fsu(number as u32).map(|fsu| fsu.name.to_string());
        let names: Vec<String> = all.clone().take(NAMED).filter_map(|&(number, _)| name(number)).collect();
        let count = all.count();
        let data = json!({ "fsus": count, "begun": begun, "names": names });
        (count > 0).then_some(Happened { event: "outage", data })
    };
    [of(true), of(false)].into_iter().flatten().collect()
}
