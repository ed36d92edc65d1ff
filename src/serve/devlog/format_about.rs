//! What the responder recorded, as text: reasons, delays, faults.

use super::page::Page;
use super::record::{Record, RecordKind};
use fsu_core::about::{About, What};
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::rule::{Delay, Rule};
use std::io::Write;

/// The rule that matched, whether or not it replied.
fn rule(fsu: &Fsu, about: About) -> Option<&Rule> {
    let device = fsu.devices.get(usize::from(about.device))?;
    device.rules.get(usize::from(about.command))?.get(usize::from(about.rule))
}

/// The name of the message that it is a frame of.
fn message(fsu: &Fsu, about: About) -> Option<&str> {
    let device = fsu.devices.get(usize::from(about.device)).filter(|_| about.what == What::Message)?;
    Some(&device.conversation.as_ref()?.messages.get(usize::from(about.rule))?.name)
}

/// Appends why a request has no reply, or what is wrong with it.
pub(super) fn reasons(fsu: &Fsu, about: About, indent: usize, page: &mut Page<'_>) {
    let labels = page.labels;
    if let Some(why) = about.why.filter(|_| about.what != What::Acknowledgement) {
        page.reason(indent, why);
    }
    match about.what {
        What::Silent => {
            let (rule, before) = rule(fsu, about).map_or(("", ""), |rule| (&*rule.origin, " "));
            page.line(indent, labels.reason, &["silent (", labels.silent, before, rule, ")"]);
        }
        What::Acknowledgement => {
            let why = if about.why.is_some() { labels.fits_none } else { labels.acknowledges };
            page.line(indent, labels.reason, &["acknowledgement (", why, ")"]);
        }
        What::Heartbeat if !about.is_met => page.line(indent, labels.reason, &["heartbeat (", labels.heard, ")"]),
        _ => {}
    }
    for kind in about.faults.iter() {
        page.line(indent, labels.reason, &["fault ", kind.name(), " (", kind.meaning(), ")"]);
    }
}

/// Appends notes on a reply: why it was delayed, what was changed, why it was not sent.
pub(super) fn sent_lines(fsu: &Fsu, record: &Record<'_>, page: &mut Page<'_>) {
    let (labels, about) = (page.labels, record.told.first());
    if let Some(message) = message(fsu, about) {
        page.line(2, labels.name, &[message]);
    }
    if about.held_us > 0 {
        page.name(2, labels.due);
        // Writing to a Vec does not fail.
        let _ = write!(page.out, "{} {} ms", labels.after, ms(about.held_us));
        held_by(fsu, about, page);
        page.end();
    }
    if record.kind == RecordKind::Unsent {
        return reasons(fsu, about, 2, page);
    }
    for kind in about.faults.iter() {
        page.line(2, labels.fault, &[kind.name(), " (", kind.meaning(), ")"]);
    }
}

/// ` (delay 60 ms, fixed 60, rules.json:3:5: /0)`
fn held_by(fsu: &Fsu, about: About, page: &mut Page<'_>) {
    let labels = page.labels;
    let by_fault = [FaultKind::ExtraDelay, FaultKind::Reorder, FaultKind::Split];
    let mut open = " (";
    if about.delay_us > 0 {
        let _ = write!(page.out, "{open}{} {} ms", labels.delay, ms(about.delay_us));
        if let Some(rule) = rule(fsu, about) {
            delay(rule.delay, page);
            let _ = write!(page.out, ", {}", rule.origin);
        }
        open = ", ";
    }
    if about.held_us > about.delay_us {
        let mut is_faulty = false;
        for kind in by_fault.into_iter().filter(|&kind| about.faults.has(kind)) {
            let _ = write!(page.out, "{open}{} {}", labels.fault, kind.name());
            (open, is_faulty) = (", ", true);
        }
        if !is_faulty {
            let _ = write!(page.out, "{open}{}", labels.in_turn);
            open = ", ";
        }
    }
    if open == ", " {
        page.text(")");
    }
}

/// Converts microseconds to milliseconds.
fn ms(us: u32) -> f64 {
    f64::from(us) / 1_000.0
}

/// `, uniform 10 to 20`: the delay as the rule states it.
fn delay(delay: Delay, page: &mut Page<'_>) {
    let _ = match delay {
        Delay::None => Ok(()),
        Delay::Fixed(ms) => write!(page.out, ", fixed {ms}"),
        Delay::Uniform(low, high) => write!(page.out, ", uniform {low} to {high}"),
        Delay::Normal(mean, sd) => write!(page.out, ", normal {mean}, {sd}"),
        Delay::Lognormal(mu, sigma) => write!(page.out, ", lognormal {mu}, {sigma}"),
    };
}
