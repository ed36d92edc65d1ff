//! One device: a checked request, its rule, and when the reply is due (spec templates.md, Rules).

use crate::about::{self, About, What, told};
use super::build::{Inputs, build, set_register, text};
use crate::faults;
use super::random::{Dice, delay_ns};
use crate::state::{DeviceState, FsuState};
use crate::answer::turn::Scratch;
use crate::moment::{Moment, RunContext};
use fsu_plan::model::fault::{Place, Struck};
use fsu_plan::model::fleet::{Device, Fsu, VerifyChecksum};
use fsu_plan::model::rule::{REGISTER_BYTES_MAX, Reply, Rule};
use fsu_plan::model::template::{ErrorReply, Template};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::reason::Reason;

/// What becomes of a request. Counted in the FSU's state already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reply is in the scratch: [`Scratch::on_wire`].
    Reply {
        /// When it is due, on the wall clock in nanoseconds; at or before now: at once.
        due_ns: i64,
    },
    /// A rule leaves it unanswered.
    Silent,
    /// Not answered.
    Dropped(Reason),
}

/// Replies that follow the first one to a request: see [`next_of_burst`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    /// How many are still to come.
    left: u32,
    /// How many there were.
    done: u32,
    command: usize,
    rule: usize,
    due_ns: i64,
}

/// Sets the generators of a burst's replies apart.
pub(crate) const BURST_SEED: u64 = 0xD1B5_4A32_D192_ED03;

/// What a request was found to be, before any rule.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    /// Good, and this command.
    Command(Frame<'a>, usize),
    /// Wrong, with a header that an error reply can copy.
    Wrong(Frame<'a>, Reason),
}

/// The template's reply to a wrong request, by reason.
pub fn error_reply(template: &Template, reason: Reason) -> Option<(ErrorReply, &Reply)> {
    let which = match reason {
        Reason::BadLengthChecksum => ErrorReply::BadLengthChecksum,
        Reason::BadLength => ErrorReply::BadLength,
        Reason::BadChecksum => ErrorReply::BadChecksum,
        Reason::BadVersion => ErrorReply::BadVersion,
        Reason::UnknownCommand => ErrorReply::UnknownCommand,
        _ => return None,
    };
    Some((which, template.errors[which as usize].as_deref()?))
}

/// Checks a frame in the order of the spec: lengths, checksum, version, command.
///
/// `checksum_wrong` is set when the checksum is, answered or not.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub fn examine<'a>(device: &Device, frame: Frame<'a>, checksum_wrong: &mut bool) -> Finding<'a> {
    let template = &*device.template;
    if let Err(reason) = inner::lengths_ok(template, &frame) {
        return Finding::Wrong(frame, reason);
    }
    if device.verify_checksum != VerifyChecksum::Off && !inner::checksum_ok(template, &frame) {
        *checksum_wrong = true;
        if device.verify_checksum == VerifyChecksum::Strict {
            return Finding::Wrong(frame, Reason::BadChecksum);
        }
    }
    if !inner::version_ok(template, &frame) {
        return Finding::Wrong(frame, Reason::BadVersion);
    }
    let Some(command) = inner::command(template, &frame) else {
        return Finding::Wrong(frame, Reason::UnknownCommand);
    };
    Finding::Command(frame, command)
}

/// The first rule of a command whose `when` fits.
#[inline]
pub fn matching<'a>(device: &'a Device, command: usize, frame: &Frame<'_>) -> Option<(usize, &'a Rule)> {
    let fits = |rule: &Rule| rule.when.iter().all(|constant| inner::carries(constant, frame.raw));
    device.rules.get(command)?.iter().enumerate().find(|(_, rule)| fits(rule))
}

/// Answers one inner frame with device number `device` of the FSU.
pub fn respond(
    run: &RunContext,
    fsu: &Fsu,
    device: usize,
    state: &mut FsuState,
    wire: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
) -> Verdict {
    let mut raw = std::mem::take(&mut scratch.raw);
    let verdict = match inner::parse(&fsu.devices[device].template, wire, &mut raw) {
        Ok(frame) => answer(run, fsu, device, state, frame, moment, scratch).verdict,
        Err(reason) => {
            scratch.about = About::of(device).drop(reason);
            Verdict::Dropped(reason)
        }
    };
    scratch.raw = raw;
    count(state, verdict)
}

/// As [`respond`], for a whole frame of `wire` that was examined already and is that command; raw it is in [`Scratch::raw`] where it
/// travels encoded.
#[inline]
pub(crate) fn respond_to(
    run: &RunContext,
    fsu: &Fsu,
    device: usize,
    state: &mut FsuState,
    (wire, command): (&[u8], usize),
    moment: Moment,
    scratch: &mut Scratch,
) -> Verdict {
    let raw = std::mem::take(&mut scratch.raw);
    scratch.about = About::of(device);
    scratch.burst.left = 0;
    scratch.drawn.clear();
    let frame = inner::parsed(&fsu.devices[device].template, wire, &raw);
    let verdict = answer_command(run, fsu, device, state, (frame, command), moment, scratch).verdict;
    scratch.raw = raw;
    count(state, verdict)
}

#[inline]
fn count(state: &mut FsuState, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Dropped(reason) => state.counters.drop(reason),
        Verdict::Silent => state.counters.silent += 1,
        Verdict::Reply { .. } => {}
    }
    verdict
}

/// What became of a whole frame.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    /// Nothing of it is counted yet.
    pub(crate) verdict: Verdict,
    /// It was a good command, answered or not.
    pub(crate) is_command: bool,
    /// The rule's reply, where one was built.
    pub(crate) reply: Option<&'a Reply>,
}

impl Answered<'_> {
    fn without_reply(verdict: Verdict, is_command: bool) -> Self {
        Self { verdict, is_command, reply: None }
    }
}

/// Answers a frame.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn answer<'a>(
    run: &RunContext,
    fsu: &'a Fsu,
    device_number: usize,
    state: &mut FsuState,
    frame: Frame<'_>,
    moment: Moment,
    scratch: &mut Scratch,
) -> Answered<'a> {
    scratch.burst.left = 0;
    scratch.drawn.clear();
    scratch.about = About::of(device_number);
    let device = &*fsu.devices[device_number];
    let mut checksum_wrong = false;
    let finding = examine(device, frame, &mut checksum_wrong);
    if checksum_wrong {
        state.counters.bad_checksum_seen += 1;
    }
    let (frame, command) = match finding {
        Finding::Command(frame, command) => (frame, command),
        Finding::Wrong(frame, reason) => {
            (scratch.about.what, scratch.about.why) = (What::Dropped, Some(reason));
            let Some((which, reply)) = error_reply(&device.template, reason) else {
                return Answered::without_reply(Verdict::Dropped(reason), false);
            };
            scratch.about.what = What::ErrorReply;
            state.counters.error_replies[which as usize] += 1;
            state.replies += 1;
            let mut dice = Dice::new(run.seed, state.identity, state.messages);
            let due_ns = moment.due_ns(0);
            let mut inputs = Inputs {
                request: frame.raw,
                memory: state.devices.get(device_number),
                id_hex: &fsu.id_hex,
                seq: state.replies,
                due: moment.clock_at(due_ns),
                calendar: &mut scratch.calendar,
                dice: &mut dice,
            };
            let misfits =
                build(&device.template, reply, &mut inputs, &mut scratch.reply, &mut scratch.wire, &mut scratch.text);
            state.counters.value_misfits += misfits;
            return Answered::without_reply(Verdict::Reply { due_ns }, false);
        }
    };
    answer_command(run, fsu, device_number, state, (frame, command), moment, scratch)
}

/// Answers a good frame of that command.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn answer_command<'a>(
    run: &RunContext,
    fsu: &'a Fsu,
    device_number: usize,
    state: &mut FsuState,
    (frame, command): (Frame<'_>, usize),
    moment: Moment,
    scratch: &mut Scratch,
) -> Answered<'a> {
    let device = &*fsu.devices[device_number];
    state.messages += 1;
    scratch.about.command = told(command);
    let Some((rule_number, rule)) = matching(device, command, &frame) else {
        scratch.about = scratch.about.drop(Reason::Unmatched);
        return Answered::without_reply(Verdict::Dropped(Reason::Unmatched), true);
    };
    let mut dice = Dice::new(run.seed, state.identity, state.messages);
    let delay_ns = if run.skip_delay { 0 } else { delay_ns(rule.delay, &mut dice) };
    let due_ns = moment.due_ns(delay_ns);
    (scratch.about.rule, scratch.about.what) = (told(rule_number), What::Answered);
    scratch.about.delay_us = about::us(delay_ns);
    let mut inputs = Inputs {
        request: frame.raw,
        memory: None,
        id_hex: &fsu.id_hex,
        seq: state.replies + 1,
        due: moment.clock_at(due_ns),
        calendar: &mut scratch.calendar,
        dice: &mut dice,
    };
    let memory = &mut state.devices[device_number];
    set_registers(rule, memory, &mut inputs, &mut scratch.text);
    if rule.timeout {
        scratch.about.what = What::Silent;
        return Answered::without_reply(Verdict::Silent, true);
    }
    state.replies += 1;
    let reply = turn(rule, memory);
    inputs.memory = Some(memory);
    let misfits = build(&device.template, reply, &mut inputs, &mut scratch.reply, &mut scratch.wire, &mut scratch.text);
    if misfits > 0 {
        state.counters.value_misfits += misfits;
    }
    if fsu.faults.is_some() {
        let place = place(state.messages, 1, device, rule);
        let of = (place, command);
        faults::draw(fsu, rule.faults.as_deref(), moment.since_start_ms, of, dice.rng(), &mut scratch.drawn);
    }
    if rule.burst > 1 {
        scratch.burst = Burst { left: rule.burst - 1, done: 1, command, rule: rule_number, due_ns };
    }
    Answered { verdict: Verdict::Reply { due_ns }, is_command: true, reply: Some(reply) }
}

/// Which frame the reply of that number to a message is, from 1.
#[cold]
fn place(message: u64, reply: u32, device: &Device, rule: &Rule) -> Place {
    let frame = if device.template.transfer.is_some() { Struck::Answer } else { Struck::Reply };
    Place { message, reply: reply as u16, of: rule.burst.max(1) as u16, frame, sn: None }
}

/// Builds the next reply of a burst as [`respond`] built the first, from the same request: `None` where there is none.
#[inline]
pub fn next_of_burst(
    run: &RunContext,
    fsu: &Fsu,
    device: usize,
    state: &mut FsuState,
    wire: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
) -> Option<i64> {
    if scratch.burst.left == 0 {
        return None;
    }
    another(run, fsu, device, state, wire, moment, scratch)
}

#[cold]
fn another(
    run: &RunContext,
    fsu: &Fsu,
    device_number: usize,
    state: &mut FsuState,
    wire: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
) -> Option<i64> {
    let Burst { done, command, rule, due_ns, .. } = scratch.burst;
    scratch.burst.left -= 1;
    scratch.burst.done += 1;
    let device = fsu.devices.get(device_number)?;
    let rule = device.rules.get(command)?.get(rule)?;
    let Scratch { raw, reply: frame, wire: out, text, drawn, calendar, .. } = scratch;
    let request = inner::parse(&device.template, wire, raw).ok()?;
    // A generator of its own, so that what the faults of one reply draw does not change the values of the next.
    let mut dice = Dice::new(run.seed ^ BURST_SEED.wrapping_mul(u64::from(done)), state.identity, state.messages);
    state.replies += 1;
    let memory = &mut state.devices[device_number];
    let reply = turn(rule, memory);
    let mut inputs = Inputs {
        request: request.raw,
        memory: Some(memory),
        id_hex: &fsu.id_hex,
        seq: state.replies,
        due: moment.clock_at(due_ns),
        calendar,
        dice: &mut dice,
    };
    state.counters.value_misfits += build(&device.template, reply, &mut inputs, frame, out, text);
    if fsu.faults.is_some() {
        let of = (place(state.messages, done + 1, device, rule), command);
        faults::draw(fsu, rule.faults.as_deref(), moment.since_start_ms, of, dice.rng(), drawn);
    }
    Some(due_ns)
}

/// Does what the rule's `set` says. Each entry sees what the ones before it set.
fn set_registers(rule: &Rule, memory: &mut DeviceState, inputs: &mut Inputs<'_>, scratch: &mut Vec<u8>) {
    for set in &rule.sets {
        scratch.clear();
        let (dice, calendar) = (&mut *inputs.dice, &mut *inputs.calendar);
        text(&set.value, &mut Inputs { memory: Some(memory), dice, calendar, ..*inputs }, scratch);
        cut_register(scratch);
        set_register(memory, set.register, scratch);
    }
}

/// Cuts what is too long for a register, between two characters.
#[inline]
fn cut_register(text: &mut Vec<u8>) {
    if text.len() > REGISTER_BYTES_MAX {
        let inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
        let end = (0..=REGISTER_BYTES_MAX).rev().find(|at| !inside(at)).unwrap_or(0);
        text.truncate(end);
    }
}

/// The reply whose turn it is.
pub fn turn<'a>(rule: &'a Rule, memory: &mut DeviceState) -> &'a Reply {
    let place = rule.cycle.and_then(|cycle| memory.cycles.get_mut(cycle as usize));
    let number = match place {
        Some(place) => {
            let number = *place as usize % rule.replies.len();
            *place = (number + 1) as u32;
            number
        }
        None => 0,
    };
    &rule.replies[number]
}

#[cfg(test)]
mod tests;
