//! What makes a message leave: `on`, its schedules, and the states of its device.

use super::Compiler;
use super::heeded;
use crate::compile::field::known;
use crate::compile::number::SECONDS_MAX;
use crate::config::at::At;
use crate::config::diag::Diags;
use crate::config::messages::RawMessage;
use crate::model::conversation::{AT_MAX, EVERY_MS_MAX, On, Repeat};
use crate::model::cron::Cron;

/// The words of `on` that stand alone.
const ALONE: [(&str, On); 3] = [("start", On::Start), ("connect", On::Connect), ("trigger", On::Trigger)];
/// What is before the name of a message in `on`.
const ACK: &str = "ack:";
/// What is before a command in `on`.
const AFTER: &str = "after:";

/// The schedules of a message.
pub(super) struct Schedules {
    pub(super) repeat: Option<Repeat>,
    pub(super) at_ms: Box<[u64]>,
    pub(super) cron: Option<Box<Cron>>,
}

pub(super) fn schedules(diags: &mut Diags, raw: &At<RawMessage>) -> Schedules {
    let cron = raw.cron.as_ref().and_then(|text| match super::cron::parse(&text.value) {
        Ok(cron) => Some(Box::new(cron)),
        Err(wrong) => {
            diags.error(text.pos, format!("`{}`: {wrong}", text.value));
            None
        }
    });
    Schedules { repeat: repeat(diags, raw), at_ms: at_ms(diags, raw), cron }
}

fn repeat(diags: &mut Diags, raw: &At<RawMessage>) -> Option<Repeat> {
    let jitter = raw.jitter.as_ref().map_or(0.0, |jitter| {
        if !(0.0..=1.0).contains(&jitter.value) {
            diags.error(jitter.pos, format!("jitter {} (0 to 1, a part of `every_ms`)", jitter.value));
        }
        jitter.value.clamp(0.0, 1.0)
    });
    let Some(every) = &raw.every_ms else {
        let given =
            [("jitter", raw.jitter.as_ref().map(|at| at.pos)), ("aligned", raw.aligned.as_ref().map(|at| at.pos))];
        for (key, pos) in given {
            if let Some(pos) = pos.filter(|_| diags.written(raw.pos, "every_ms").is_none()) {
                diags.error(pos, format!("`{key}` without `every_ms` (it is about a message that is repeated)"));
            }
        }
        return None;
    };
    if !(1..=EVERY_MS_MAX).contains(&every.value) {
        diags.error(every.pos, format!("{} ms (1 to {EVERY_MS_MAX})", every.value));
    }
    let is_aligned = raw.aligned.as_ref().is_some_and(|aligned| aligned.value);
    Some(Repeat { every_ms: every.value.clamp(1, EVERY_MS_MAX), jitter, is_aligned })
}

fn at_ms(diags: &mut Diags, raw: &At<RawMessage>) -> Box<[u64]> {
    let Some(list) = &raw.at_s else { return Box::default() };
    if list.value.0.is_empty() && diags.is_empty_list(list.pos) {
        diags.error(list.pos, "`at_s` is empty (seconds after the start of the run)");
    }
    if list.value.0.len() > AT_MAX {
        diags.error(list.pos, format!("{} moments (at most {AT_MAX}; `every_ms` repeats)", list.value.0.len()));
        return Box::default();
    }
    let mut out: Vec<u64> = Vec::with_capacity(list.value.0.len());
    for at in &list.value.0 {
        if !(0.0..=SECONDS_MAX).contains(&at.value) {
            diags.error(at.pos, format!("{} s (0 to {SECONDS_MAX})", at.value));
            continue;
        }
        let ms = (at.value * 1_000.0).round() as u64;
        if out.contains(&ms) {
            diags.error(at.pos, format!("{} s is given twice", at.value));
        }
        out.push(ms);
    }
    out.sort_unstable();
    out.into()
}

impl Compiler<'_, '_> {
    /// `on` of the message with that number.
    pub(super) fn on(&mut self, diags: &mut Diags, number: usize, raw: &At<RawMessage>) -> Box<[On]> {
        let Some(list) = &raw.on else { return Box::default() };
        if list.value.0.is_empty() && diags.is_empty_list(list.pos) {
            diags.error(list.pos, "`on` is empty (start, connect, trigger, ack:NAME, after:COMMAND)");
        }
        let (mut out, mut seen): (Vec<On>, Vec<&str>) = (Vec::new(), Vec::new());
        for word in &list.value.0 {
            let text = word.value.trim();
            if seen.contains(&text) {
                diags.error(word.pos, format!("`{text}` is given twice in `on`"));
                continue;
            }
            seen.push(text);
            let found = if let Some((_, on)) = ALONE.iter().find(|(alone, _)| *alone == text) {
                Some(*on)
            } else if let Some(name) = text.strip_prefix(ACK) {
                self.on_ack(diags, &At { pos: word.pos, value: name.trim() })
            } else if let Some(command) = text.strip_prefix(AFTER) {
                let command = At { pos: word.pos, value: command.trim().to_owned() };
                let found = heeded::asked(diags, self.from.family, &command, 0);
                found.map(|(layout, numbers)| {
                    self.heeded.follows(layout, &numbers, (number, word.pos));
                    On::After
                })
            } else {
                let words = ALONE.iter().map(|(word, _)| *word).chain(["ack:NAME", "after:COMMAND"]);
                diags.error(word.pos, format!("`on` has no word `{text}`{}", known(text, words)));
                None
            };
            out.extend(found.filter(|on| *on != On::After || !out.contains(on)));
        }
        out.into()
    }

    fn on_ack(&self, diags: &mut Diags, name: &At<&str>) -> Option<On> {
        let Some(number) = self.all.iter().position(|(known, _)| known.value.trim() == name.value) else {
            let names = self.all.iter().map(|(name, _)| name.value.trim());
            diags.error(name.pos, format!("no message `{}`{}", name.value, known(name.value, names)));
            return None;
        };
        if self.all[number].1.ack.is_none() {
            diags.error(name.pos, format!("`{}` is never acknowledged (it has no `ack`)", name.value));
            return None;
        }
        Some(On::Ack(number as u16))
    }

    /// `while`, `enters`, `leaves`: a state's number, and two masks.
    pub(super) fn states(&mut self, diags: &mut Diags, raw: &At<RawMessage>) -> (Option<u8>, u64, u64) {
        let within = raw.within.as_ref().and_then(|name| {
            let number = self.states.number(diags, &name.value, name.pos)?;
            self.states.used.push((name.pos, number));
            Some(number as u8)
        });
        let mut enters = 0;
        for name in raw.enters.iter().flat_map(|list| &list.0) {
            enters |= self.states.number(diags, &name.value, name.pos).map_or(0, |number| 1 << number);
        }
        self.states.entered |= enters;
        let mut leaves = 0;
        for name in raw.leaves.iter().flat_map(|list| &list.0) {
            let Some(number) = self.states.number(diags, &name.value, name.pos) else { continue };
            if enters & (1 << number) != 0 {
                diags.error(name.pos, format!("`{}` is in `enters` and in `leaves` (one of them)", name.value));
            }
            self.states.used.push((name.pos, number));
            leaves |= 1 << number;
        }
        (within, enters, leaves)
    }
}
