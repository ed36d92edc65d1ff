//! Commands whose replies may be cut off: FSUs that listen for other hosts, and replies past what a request may set off.

use crate::config::at::Pos;
use crate::config::diag::Diags;
use crate::model::amplification::{Around, Exchange, exchanges};
use crate::model::fleet::{AMPLIFICATION_MAX, Device, Fsu};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Commands that one warning names; the rest is only counted.
pub const NAMED_MAX: usize = 8;

/// What a template's commands are named by, and the worst exchange of each.
type Found = BTreeMap<String, Exchange>;

/// Warns once for each entry of `fsu_list` and template. `entries`: the number of each entry's first FSU, and where its
/// host stands.
pub fn check(diags: &mut Diags, fsus: &[Fsu], entries: &[(usize, Pos)]) {
    for (index, &(first, pos)) in entries.iter().enumerate() {
        let end = entries.get(index + 1).map_or(fsus.len(), |&(next, _)| next);
        let mut seen = HashSet::new();
        let mut by_template: BTreeMap<&str, Found> = BTreeMap::new();
        for fsu in fsus[first..end].iter().filter(|fsu| !fsu.bind.ip().to_canonical().is_loopback()) {
            let Some(around) = Around::of(fsu) else { continue };
            for device in fsu.devices.iter().filter(|device| seen.insert((Arc::as_ptr(device), around))) {
                note(device, around, by_template.entry(&device.template.path).or_default());
            }
        }
        for (template, found) in by_template.iter().filter(|(_, found)| !found.is_empty()) {
            diags.warn(pos, text(template, found));
        }
    }
}

fn note(device: &Device, around: Around, found: &mut Found) {
    for (command, exchange) in exchanges(device, around).filter(|(_, exchange)| exchange.is_cut()) {
        let known = found.entry(command).or_insert(exchange);
        if exchange.factor() > known.factor() {
            *known = exchange;
        }
    }
}

/// `…: what answers 01 (4.8 times), 02 (20.5 times, a burst of 20) is past 3 times its request …`
fn text(template: &str, found: &Found) -> String {
    // Rounded up, so that all of them are past it.
    let times = |exchange: &Exchange| (exchange.factor() * 10.0).ceil() / 10.0;
    let name = |(command, exchange): (&String, &Exchange)| match exchange.burst {
        _ if exchange.is_refused => format!("{command} ({:.1} times, refused)", times(exchange)),
        1 => format!("{command} ({:.1} times)", times(exchange)),
        many => format!("{command} ({:.1} times, a burst of {many})", times(exchange)),
    };
    let mut names: Vec<String> = found.iter().take(NAMED_MAX).map(name).collect();
    if found.len() > NAMED_MAX {
        names.push(format!("and {} more", found.len() - NAMED_MAX));
    }
    let any_refused = found.values().any(|exchange| exchange.is_refused);
    let refused = if any_refused { "; a command with data in frames of its own is refused there" } else { "" };
    format!(
        "replies of {template} are not sent to another host past {AMPLIFICATION_MAX} times their request, which a burst's \
         replies share: {} (`allow_amplification` sends them){refused}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h17_commands_that_are_refused_are_told() {
        let exchange = |answered_bytes, is_refused| Exchange { asked_bytes: 16, answered_bytes, burst: 1, is_refused };
        let check = |found: &[(&str, Exchange)], expected: &str| {
            let found = found.iter().map(|(key, exchange)| ((*key).to_owned(), *exchange)).collect();
            let begin = "replies of t.json are not sent to another host past 3 times their request, which a burst's replies share: ";
            assert_eq!(text("t.json", &found).strip_prefix(begin), Some(expected));
        };
        check(&[("01", exchange(64, false))], "01 (4.0 times) (`allow_amplification` sends them)");
        check(
            &[("01", exchange(64, false)), ("31", exchange(1_072, true))],
            "01 (4.0 times), 31 (67.0 times, refused) (`allow_amplification` sends them); a command with data in frames of \
             its own is refused there",
        );
    }
}
