//! One device's answer: the check, the rule, and when the reply is due (spec templates.md, Rules).

use super::examine::{Finding, error_reply, examine_traced};
use super::layouts;
use super::random::{Dice, delay_ns};
use super::rule::{matching_now, reply_of, set_registers};
use super::talk;
use super::turn::{Asked, Burst, Form, Turn};
use crate::about::{self, About, What, told};
use crate::faults::{self, Target};
use crate::moment::NS_PER_MS;
use fsu_plan::model::fault::{Place, Struck};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::Encoding;
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::reason::Reason;

/// What becomes of a request. The FSU's state has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reply is in the scratch: [`Scratch::on_wire`](super::turn::Scratch::on_wire).
    Reply {
        /// When it is due, on the wall clock in nanoseconds; at or before now: at once.
        due_ns: i64,
    },
    /// The same, and more may follow ([`next_of_burst`]), or it is a frame of another layout, or none
    /// ([`Turn::reply_on_wire`]).
    Replies {
        /// When the first is due.
        due_ns: i64,
    },
    /// A rule leaves it unanswered.
    Silent,
    /// It acknowledges a message, or nothing that waits: it is no request.
    Heard,
    /// Not answered.
    Dropped(Reason),
}

/// Makes the generators of a burst's replies differ.
pub(crate) const BURST_SEED: u64 = 0xD1B5_4A32_D192_ED03;

/// Answers one inner frame by the FSU's device number `device`.
pub fn respond(turn: &mut Turn<'_>, device: usize, wire: &[u8]) -> Verdict {
    let mut raw = std::mem::take(&mut turn.scratch.raw);
    let verdict = match inner::parse(&turn.fsu.devices[device].template, wire, &mut raw) {
        Ok(frame) => answer(turn, device, frame).verdict,
        Err(reason) => layouts::answer_other(turn, device, wire).map_or_else(
            || {
                turn.scratch.about = About::of(device).drop(reason);
                Verdict::Dropped(reason)
            },
            |answered| answered.verdict,
        ),
    };
    turn.scratch.raw = raw;
    count(turn, verdict)
}

/// As [`respond`], for a frame that was examined before and has that command. If it travels encoded,
/// [`Scratch::raw`](super::turn::Scratch::raw) holds the decoded frame.
#[inline]
pub(crate) fn respond_to(turn: &mut Turn<'_>, device: usize, wire: &[u8], command: usize) -> Verdict {
    let raw = std::mem::take(&mut turn.scratch.raw);
    turn.scratch.begin(device);
    let frame = inner::parsed(&turn.fsu.devices[device].template, wire, &raw);
    let verdict = answer_command(turn, device, frame, command).verdict;
    turn.scratch.raw = raw;
    count(turn, verdict)
}

#[inline]
fn count(turn: &mut Turn<'_>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Dropped(reason) => turn.state.counters.drop(reason),
        Verdict::Silent => turn.state.counters.silent += 1,
        Verdict::Reply { .. } | Verdict::Replies { .. } | Verdict::Heard => {}
    }
    verdict
}

/// What became of a whole frame.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    /// Not counted yet.
    pub(crate) verdict: Verdict,
    /// The frame was a good command, answered or not.
    pub(crate) is_command: bool,
    /// The rule's reply, if one was built.
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
pub(crate) fn answer<'a>(turn: &mut Turn<'a>, device: usize, frame: Frame<'_>) -> Answered<'a> {
    turn.scratch.begin(device);
    let mut checksum_wrong = false;
    let finding = examine_traced(&turn.fsu.devices[device], frame, &mut checksum_wrong, &mut turn.scratch.trace);
    match finding {
        Finding::Command(frame, command) => {
            if checksum_wrong {
                turn.state.counters.bad_checksum_seen += 1;
            }
            answer_command(turn, device, frame, command)
        }
        Finding::Wrong(frame, reason) => answer_wrong(turn, device, frame, (reason, checksum_wrong)),
    }
}

/// Answers a wrong frame, if it is a right one of another layout, or the template has a reply for it.
#[cold]
fn answer_wrong<'a>(
    turn: &mut Turn<'a>,
    device: usize,
    frame: Frame<'_>,
    (reason, checksum_wrong): (Reason, bool),
) -> Answered<'a> {
    if let Some(answered) = layouts::answer_again(turn, device, frame) {
        return answered;
    }
    turn.state.counters.bad_checksum_seen += u64::from(checksum_wrong);
    (turn.scratch.about.what, turn.scratch.about.why) = (What::Dropped, Some(reason));
    let fsu: &Fsu = turn.fsu;
    let Some((which, reply)) = error_reply(&fsu.devices[device].template, reason) else {
        return Answered::without_reply(Verdict::Dropped(reason), false);
    };
    turn.scratch.about.what = What::ErrorReply;
    turn.state.counters.error_replies[which as usize] += 1;
    turn.state.replies += 1;
    let mut dice = turn.dice();
    let due_ns = turn.moment.due_ns(0);
    let asked = Asked { device: turn.home(device), request: frame.raw, due: turn.moment.clock_at(due_ns) };
    turn.compose(&fsu.devices[device].template, reply, asked, &mut dice);
    Answered::without_reply(Verdict::Reply { due_ns }, false)
}

/// Answers a good frame of that command, unless it is an acknowledgement.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(super) fn answer_command<'a>(turn: &mut Turn<'a>, device: usize, frame: Frame<'_>, command: usize) -> Answered<'a> {
    if turn.fsu.talks {
        heed_command(turn, device, frame, command)
    } else {
        answer_request(turn, device, frame, command)
    }
}

#[cold]
fn heed_command<'a>(turn: &mut Turn<'a>, device: usize, frame: Frame<'_>, command: usize) -> Answered<'a> {
    turn.scratch.about.command = told(command);
    if talk::heed(turn, device, &frame, command) {
        return Answered::without_reply(Verdict::Heard, true);
    }
    let answered = answer_request(turn, device, frame, command);
    if matches!(answered.verdict, Verdict::Reply { .. } | Verdict::Replies { .. }) {
        talk::answered(turn, device, command);
    }
    answered
}

/// Answers a good request of that command.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn answer_request<'a>(turn: &mut Turn<'a>, device_number: usize, frame: Frame<'_>, command: usize) -> Answered<'a> {
    let fsu: &'a Fsu = turn.fsu;
    let device = &*fsu.devices[device_number];
    turn.state.messages += 1;
    turn.scratch.about.command = told(command);
    let Some((rule_number, rule)) = matching_now(turn, (device_number, device), command, &frame) else {
        turn.scratch.about = turn.scratch.about.drop(Reason::Unmatched);
        return Answered::without_reply(Verdict::Dropped(Reason::Unmatched), true);
    };
    let mut dice = turn.dice();
    let mut delay_ns = if turn.run.skip_delay { 0 } else { delay_ns(rule.delay, &mut dice) };
    if !rule.gaps_ms.is_empty() {
        delay_ns += gap_ns(turn, rule, 0);
    }
    let due_ns = turn.moment.due_ns(delay_ns);
    let about = &mut turn.scratch.about;
    (about.rule, about.what, about.delay_us) = (told(rule_number), What::Answered, about::us(delay_ns));
    let home = turn.home(device_number);
    let asked = Asked { device: home, request: frame.raw, due: turn.moment.clock_at(due_ns) };
    if !rule.sets.is_empty() {
        set_registers(turn, rule, asked, &mut dice);
    }
    if rule.timeout {
        turn.scratch.about.what = What::Silent;
        return Answered::without_reply(Verdict::Silent, true);
    }
    turn.state.replies += 1;
    if !rule.frames.is_empty() {
        turn.scratch.burst = Burst { left: rule.burst, done: 0, command, rule: rule_number, due_ns };
        let reply = build_next(turn, (device, rule), asked, dice);
        return Answered { verdict: Verdict::Replies { due_ns }, is_command: true, reply: Some(reply) };
    }
    let reply = reply_of(turn, rule, home, 0);
    turn.compose(&device.template, reply, asked, &mut dice);
    if fsu.faults.is_some() {
        draw(turn, device, rule, (1, command), &mut dice);
    }
    let mut verdict = Verdict::Reply { due_ns };
    if rule.burst > 1 {
        turn.scratch.burst = Burst { left: rule.burst - 1, done: 1, command, rule: rule_number, due_ns };
        turn.scratch.form = Form::Own;
        verdict = Verdict::Replies { due_ns };
    }
    Answered { verdict, is_command: true, reply: Some(reply) }
}

/// The time before a reply of a burst, in nanoseconds.
pub(super) fn gap_ns(turn: &Turn<'_>, rule: &Rule, number: u32) -> i64 {
    let gap_ms = rule.gaps_ms.get(number as usize).filter(|_| !turn.run.skip_delay);
    i64::from(gap_ms.copied().unwrap_or(0)) * NS_PER_MS
}

/// Draws the faults of a command's reply; replies are numbered from 1.
#[cold]
fn draw(turn: &mut Turn<'_>, device: &Device, rule: &Rule, (number, command): (u32, usize), dice: &mut Dice) {
    let frame = if device.template.transfer.is_some() { Struck::Answer } else { Struck::Reply };
    let (message, of) = (turn.state.messages, rule.burst.max(1) as u16);
    let place = Place { message, reply: number as u16, of, frame, sn: None };
    let target = Target { place, command, since_start_ms: turn.moment.since_start_ms };
    faults::draw(turn.fsu, rule.faults.as_deref(), target, dice.rng(), &mut turn.scratch.drawn);
}

/// Builds the next reply of a burst from the same request; `None` if there is no more. [`respond`] built the first.
#[inline]
pub fn next_of_burst(turn: &mut Turn<'_>, device: usize, wire: &[u8]) -> Option<i64> {
    if turn.scratch.burst.left == 0 {
        return None;
    }
    another(turn, device, wire)
}

/// Builds the next of several replies, and draws its faults.
#[cold]
fn build_next<'a>(
    turn: &mut Turn<'a>,
    (device, rule): (&'a Device, &'a Rule),
    asked: Asked<'_>,
    mut dice: Dice,
) -> &'a Reply {
    let Burst { done, command, .. } = turn.scratch.burst;
    turn.scratch.burst.left -= 1;
    turn.scratch.burst.done += 1;
    let reply = reply_of(turn, rule, asked.device, done);
    let (form, command) = layouts::form(turn, rule, (reply, command), done);
    turn.scratch.form = form;
    turn.compose(layouts::template_of(device, form), reply, asked, &mut dice);
    if turn.fsu.faults.is_some() {
        draw(turn, device, rule, (done + 1, command), &mut dice);
    }
    reply
}

#[cold]
fn another(turn: &mut Turn<'_>, device_number: usize, wire: &[u8]) -> Option<i64> {
    let Burst { done, command, rule, mut due_ns, .. } = turn.scratch.burst;
    let fsu: &Fsu = turn.fsu;
    // The request may have been of another layout than the frame was offered to.
    let device_number = turn.scratch.about.asked(device_number);
    let device = fsu.devices.get(device_number)?;
    let rule = device.rules.get(command)?.get(rule)?;
    due_ns += gap_ns(turn, rule, done);
    turn.scratch.burst.due_ns = due_ns;
    let mut raw = std::mem::take(&mut turn.scratch.raw);
    let request = match device.template.encoding {
        // It was parsed when the first reply was built.
        Encoding::Binary => Some(inner::parsed(&device.template, wire, &[])),
        Encoding::AsciiHex | Encoding::Coded => inner::parse(&device.template, wire, &mut raw).ok(),
    };
    let next = request.map(|request| {
        // Its own generator: the faults of one reply must not change the values of the next.
        let seed = turn.run.seed ^ BURST_SEED.wrapping_mul(u64::from(done));
        let dice = Dice::new(seed, turn.state.identity, turn.state.messages);
        turn.state.replies += 1;
        let home = turn.home(device_number);
        let asked = Asked { device: home, request: request.raw, due: turn.moment.clock_at(due_ns) };
        build_next(turn, (device, rule), asked, dice);
        due_ns
    });
    turn.scratch.raw = raw;
    next
}

#[cfg(test)]
mod tests;
