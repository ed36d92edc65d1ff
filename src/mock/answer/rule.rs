//! The rule of a command: finding it, its registers, and its next reply.

use super::build::{Inputs, set_register, text};
use super::calc::{self, Failed};
use super::effects;
use super::random::Dice;
use super::turn::{Asked, Turn};
use crate::state::{DeviceState, FsuState};
use fsu_plan::model::calc::Calc;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::{REGISTER_BYTES_MAX, Rule};
use fsu_plan::model::walk::{Walk, WalkedConstant};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::quick::Trace;
use fsu_plan::wire::walk;

/// The first rule of a command whose `when` fits, as far as the request tells: a condition on something else holds.
#[inline]
pub fn matching<'a>(device: &'a Device, command: usize, frame: &Frame<'_>) -> Option<(usize, &'a Rule)> {
    matching_by(device, command, frame, |rule| {
        walked(device, command, rule, frame, None)
            && rule.test.as_ref().is_none_or(|test| known(test, frame.raw).unwrap_or(true))
    })
}

/// The first rule of a command whose `when` fits, with what the device remembers now.
#[inline]
pub fn matching_now<'a>(
    turn: &mut Turn<'_>,
    (number, device): (usize, &'a Device),
    command: usize,
    frame: &Frame<'_>,
) -> Option<(usize, &'a Rule)> {
    matching_by(device, command, frame, |rule| {
        walked(device, command, rule, frame, Some(&turn.scratch.trace))
            && rule.test.as_ref().is_none_or(|test| holds(turn, number, frame.raw, test))
    })
}

/// The first rule of a command whose `when` fits; `more` says so of what is behind a field of variable size, and of a condition.
#[inline]
fn matching_by<'a>(
    device: &'a Device,
    command: usize,
    frame: &Frame<'_>,
    mut more: impl FnMut(&Rule) -> bool,
) -> Option<(usize, &'a Rule)> {
    let mut fits = |rule: &Rule| {
        rule.when.iter().all(|constant| inner::carries(constant, frame.raw)) && (!rule.asks_more || more(rule))
    };
    device.rules.get(command)?.iter().enumerate().find(|(_, rule)| fits(rule))
}

/// The rules that may answer a request, in order; and whether the last one does if none before it does. What the device remembers
/// and the clock decide between them.
pub fn candidates<'a>(device: &'a Device, command: usize, frame: &Frame<'_>) -> (Vec<&'a Rule>, bool) {
    let mut out = Vec::new();
    let is_known = |rule: &Rule| rule.test.as_ref().is_none_or(|test| known(test, frame.raw).is_some());
    let mut from = 0;
    while let Some(rules) = device.rules.get(command).and_then(|rules| rules.get(from..)) {
        let fits = |rule: &&Rule| {
            rule.when.iter().all(|constant| inner::carries(constant, frame.raw))
                && walked(device, command, rule, frame, None)
                && rule.test.as_ref().is_none_or(|test| known(test, frame.raw).unwrap_or(true))
        };
        let Some((number, rule)) = rules.iter().enumerate().find(|(_, rule)| fits(rule)) else { break };
        out.push(rule);
        if is_known(rule) {
            return (out, true);
        }
        from += number + 1;
    }
    (out, false)
}

/// Whether a condition holds for a request; `None`: something else decides that.
#[cold]
pub fn known(test: &Calc, request: &[u8]) -> Option<bool> {
    match calc::test(test, request, None, &mut Vec::new()) {
        Ok(holds) => Some(holds),
        Err(Failed::Unknown) => None,
        Err(_) => Some(false),
    }
}

/// Whether a condition holds for a request of a device, now.
#[cold]
fn holds(turn: &mut Turn<'_>, device: usize, request: &[u8], test: &Calc) -> bool {
    let device = turn.home(device);
    holds_at(turn, device, (request, true), test)
}

/// The same with what the device with that number remembers. The scratch may have a trace of the frame, or has none of it.
#[cold]
pub(super) fn holds_at(turn: &mut Turn<'_>, device: usize, (request, is_traced): (&[u8], bool), test: &Calc) -> bool {
    turn.with_inputs(device, (request, is_traced), |inputs, text| {
        calc::test(test, request, Some(inputs), text).unwrap_or_else(|why| {
            inputs.failed(why);
            false
        })
    })
}

/// Whether the request has what a rule wants behind its first field of variable size.
fn walked(device: &Device, command: usize, rule: &Rule, frame: &Frame<'_>, trace: Option<&Trace>) -> bool {
    if rule.walked.is_empty() {
        return true;
    }
    let walk = device.template.commands.get(command).and_then(|command| command.request_walk());
    let has = |walk: &Walk, constant: &WalkedConstant| match trace {
        Some(trace) => trace.carries(walk, frame.raw, constant),
        None => walk::carries(walk, frame.raw, constant),
    };
    walk.is_some_and(|walk| rule.walked.iter().all(|constant| has(walk, constant)))
}

/// Executes the rule's `set`. Each entry sees the effect of the ones before it.
#[inline]
pub(crate) fn set_registers(turn: &mut Turn<'_>, rule: &Rule, asked: Asked<'_>, dice: &mut Dice) {
    let Turn { fsu, state, scratch, moment, .. } = turn;
    let seq = state.replies + 1;
    let written = &mut scratch.built.text;
    for set in &rule.sets {
        written.clear();
        let mut inputs = Inputs {
            request: asked.request,
            trace: Some(&scratch.trace),
            state: Some(state),
            device: asked.device,
            id_hex: &fsu.id,
            seq,
            due: asked.due,
            moment: Some(moment),
            calendar: &mut scratch.calendar,
            dice,
            item: None,
        };
        text(&set.value, &mut inputs, written);
        cut_register(written);
        let mut is_set =
            |state: &mut FsuState| set_register(&mut state.devices.made(fsu)[asked.device], set.register, written);
        if !inputs.state.as_deref_mut().is_some_and(&mut is_set) {
            effects::all(rule, &mut inputs, (written, &mut scratch.framed));
        }
    }
}

/// Truncates a text that is too long for a register, between two characters.
#[inline]
pub(super) fn cut_register(text: &mut Vec<u8>) {
    if text.len() > REGISTER_BYTES_MAX {
        let inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
        let end = (0..=REGISTER_BYTES_MAX).rev().find(|at| !inside(at)).unwrap_or(0);
        text.truncate(end);
    }
}

/// The reply with that number, from 0, to one request: the next of the rule's cycle, that of its `replies`, or its only one.
#[inline]
pub fn next_reply<'a>(rule: &'a Rule, memory: &mut DeviceState, number: u32) -> &'a Reply {
    listed(rule, number).unwrap_or_else(|| next_in_cycle(rule, memory))
}

/// The reply with that number of the rule's `replies`, if it has any.
#[inline]
fn listed(rule: &Rule, number: u32) -> Option<&Reply> {
    rule.replies.get(number as usize).map(|reply| &**reply).filter(|_| !rule.frames.is_empty())
}

/// The same for an FSU's device, which has no memory where it needs none.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn reply_of<'a>(turn: &mut Turn<'_>, rule: &'a Rule, device: usize, number: u32) -> &'a Reply {
    match rule.cycle {
        Some(_) => next_reply(rule, &mut turn.state.devices.made(turn.fsu)[device], number),
        None => listed(rule, number).unwrap_or(&rule.replies[0]),
    }
}

/// The next reply of the rule's cycle, or its only one.
pub fn next_in_cycle<'a>(rule: &'a Rule, memory: &mut DeviceState) -> &'a Reply {
    &rule.replies[next_number(rule, memory)]
}

/// Its number.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn next_number(rule: &Rule, memory: &mut DeviceState) -> usize {
    let place = rule.cycle.and_then(|cycle| memory.cycles.get_mut(cycle as usize));
    match place {
        Some(place) => {
            let number = *place as usize % rule.replies.len();
            *place = (number + 1) as u32;
            number
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_cut_between_characters() {
        let cut = |text: String| {
            let mut bytes = text.into_bytes();
            cut_register(&mut bytes);
            String::from_utf8(bytes).expect("whole characters").len()
        };
        let of = |ascii: usize, wide: usize| cut("a".repeat(ascii) + &"海".repeat(wide));
        assert_eq!([of(0, 0), of(4_095, 0), of(4_096, 0), of(4_097, 0)], [0, 4_095, 4_096, 4_096]);
        assert_eq!(
            [of(4_093, 1), of(4_094, 1), of(4_095, 1), of(4_096, 1), of(1, 1_365), of(0, 1_366)],
            [4_096, 4_094, 4_095, 4_096, 4_096, 4_095]
        );
    }
}
