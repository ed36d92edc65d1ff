//! What a device says unasked, and what acknowledges it (spec conversation.md).

use super::layouts;
use super::random::{self, Dice};
use super::reply::gap_ns;
use super::rule::{holds_at, next_number, set_registers};
use super::turn::{Asked, Form, Turn};
use super::varying;
use crate::about::{self, About, NO_REPLY, What, told};
use crate::faults::{self, Target};
use crate::state::identity::{STEP, mix};
use crate::state::talk::{Buffers, Talk, WAITING_MAX, Waiting};
use fsu_plan::model::calc as plan;
use fsu_plan::model::conversation::{Conversation, DeviceMessage, On, Otherwise};
use fsu_plan::model::fault::{Place, Struck};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::value;
use fsu_plan::words;
use std::sync::Arc;

words! {
    /// What became of a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Event {
        /// It was sent.
        Sent = "sent",
        /// It was sent again.
        Retried = "retried",
        /// It was acknowledged.
        Acknowledged = "acknowledged",
        /// The frame that should acknowledge it refused it.
        Refused = "refused",
        /// Its last wait is over, or it was given up before.
        GivenUp = "given_up",
    }
}

/// Something that became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Its account: [`DeviceMessage::account`].
    pub account: u32,
    /// The device's number in the FSU. The ledger does not have it: 65,535 where it was read from there.
    pub device: u16,
    /// The message's number in the device's conversation, likewise.
    pub message: u16,
    /// Its number among the device's messages of that name, from 1.
    pub number: u64,
    /// What.
    pub event: Event,
    /// Since it was sent first, in nanoseconds of the wall clock.
    pub since_first_ns: i64,
    /// FNV-1a of its first frame, as it travels inside outer frames: the same at both ends.
    pub key: u64,
}

/// What the conversations of a shard's FSUs have done in the current call, for the owner to take.
#[derive(Debug, Default)]
pub struct Talked {
    /// What became of messages, in order.
    pub happened: Vec<Happened>,
    /// The FSU's conversation has changed: something may be due now.
    pub is_stirred: bool,
    /// The FSU's connections are to be closed.
    pub hangs_up: bool,
    /// Nobody reads the keys of messages: they are 0.
    pub is_unkeyed: bool,
    /// Buffers for what waits.
    spare: Vec<Buffers>,
}

/// Buffers that are kept for the next message.
const SPARE_MAX: usize = 64;
/// Makes the generators of messages differ from those of replies.
const TALK_SEED: u64 = 0x6C62_272E_07BB_0142;

/// A message of a device, and its number in the conversation.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    pub(crate) device: usize,
    pub(crate) number: usize,
    pub(crate) message: &'a DeviceMessage,
}

/// FNV-1a, 64 bits.
pub fn key(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

impl<'a> Turn<'a> {
    /// The conversation of a device, and what it remembers of it.
    pub(crate) fn talk(&mut self, device: usize) -> Option<(&'a Arc<Conversation>, &mut Talk)> {
        let fsu: &'a Fsu = self.fsu;
        let conversation = fsu.devices.get(device)?.conversation.as_ref()?;
        let talk = self.state.devices.get_mut(device)?.talk.as_deref_mut()?;
        Some((conversation, talk))
    }

    fn happened(&mut self, happened: Happened) {
        let counters = &mut self.state.counters;
        *match happened.event {
            Event::Sent => &mut counters.messages_sent,
            Event::Retried => &mut counters.messages_retried,
            Event::Acknowledged => &mut counters.messages_acknowledged,
            Event::Refused => &mut counters.messages_refused,
            Event::GivenUp => &mut counters.messages_given_up,
        } += 1;
        self.scratch.talked.happened.push(happened);
    }
}

/// Whether a message's condition holds now.
pub(crate) fn holds(turn: &mut Turn<'_>, which: Which<'_>) -> bool {
    let Some(test) = &which.message.rule.test else { return true };
    holds_at(turn, which.device, (&[], false), test)
}

/// The delay of a message.
pub(crate) fn delay_ns(turn: &Turn<'_>, which: Which<'_>) -> i64 {
    if turn.run.skip_delay {
        return 0;
    }
    let number = turn.state.devices.get(which.device).and_then(|device| device.talk.as_ref());
    let number = number.and_then(|talk| talk.places.get(which.number)).map_or(0, |place| place.number);
    random::delay_ns(which.message.rule.delay, &mut dice_of(turn, which, (number + 1, u32::MAX)))
}

/// A message is raised: sets what it sets. Gives its number, and how many frames it has.
pub(crate) fn raise(turn: &mut Turn<'_>, which: Which<'_>, due_ns: i64) -> (u64, u32) {
    let rule = &which.message.rule;
    let place = turn.talk(which.device).and_then(|(_, talk)| talk.places.get_mut(which.number));
    let number = place.map_or(1, |place| {
        place.number += 1;
        place.number
    });
    if !rule.sets.is_empty() {
        let mut dice = dice_of(turn, which, (number, 0));
        let asked = Asked { device: which.device, request: &[], due: turn.moment.clock_at(due_ns) };
        set_registers(turn, rule, asked, &mut dice);
    }
    let frames = if rule.cycle.is_some() { rule.burst.max(1) } else { rule.frames.len() as u32 };
    (number, frames)
}

/// A frame of a message, in the scratch.
pub(crate) struct Framed<'a> {
    /// What it is of.
    pub(crate) template: &'a Template,
    pub(crate) form: Form,
    pub(crate) due_ns: i64,
    /// Its number among the replies of the message's rule.
    pub(crate) place: usize,
}

/// Builds a frame of a message into the scratch, and draws its faults; `due_ns`: when the one before it is due.
pub(crate) fn build<'a>(turn: &mut Turn<'a>, which: Which<'a>, (number, frame): (u64, u32), due_ns: i64) -> Framed<'a> {
    let rule = &which.message.rule;
    let fsu: &'a Fsu = turn.fsu;
    let device = &*fsu.devices[which.device];
    let due_ns = due_ns + gap_ns(turn, rule, frame);
    let place = match rule.cycle {
        Some(_) => next_number(rule, &mut turn.state.devices.made(fsu)[which.device]),
        None => frame as usize,
    };
    let reply = &*rule.replies[place.min(rule.replies.len() - 1)];
    turn.state.replies += 1;
    begin(turn, which, place);
    let form = layouts::form_of(rule, reply, place);
    turn.scratch.form = form;
    let mut dice = dice_of(turn, which, (number, frame));
    let asked = Asked { device: which.device, request: &[], due: turn.moment.clock_at(due_ns) };
    turn.compose(layouts::template_of(device, form), reply, asked, &mut dice);
    draw(turn, which, (number, frame, place), &mut dice);
    Framed { template: layouts::template_of(device, form), form, due_ns, place }
}

/// A frame that waits for its acknowledgement is put into the scratch again, and draws its faults.
pub(crate) fn rebuild<'a>(
    turn: &mut Turn<'a>,
    which: Which<'a>,
    waiting: &Waiting,
    index: usize,
) -> Option<Framed<'a>> {
    let (frame, raw) = waiting.frame(index)?;
    let rule = &which.message.rule;
    let fsu: &'a Fsu = turn.fsu;
    let device = fsu.devices.get(which.device)?;
    let reply = rule.replies.get(frame as usize)?;
    begin(turn, which, frame as usize);
    let form = layouts::form_of(rule, reply, frame as usize);
    let template = layouts::template_of(device, form);
    let built = &mut turn.scratch.built;
    built.raw.clear();
    built.raw.extend_from_slice(raw);
    built.wire.clear();
    match form {
        Form::Raw => fsu_plan::wire::coding::send_as_it_is(template, raw, &mut built.wire),
        _ => inner::encode_wire(template, raw, &mut built.wire),
    }
    turn.scratch.form = form;
    let mut dice = dice_of(turn, which, (waiting.number, frame + (waiting.sends << 16)));
    draw(turn, which, (waiting.number, index as u32, frame as usize), &mut dice);
    Some(Framed { template, form, due_ns: turn.moment.arrived_ns, place: frame as usize })
}

fn begin(turn: &mut Turn<'_>, which: Which<'_>, place: usize) {
    turn.scratch.begin_with(About {
        what: What::Message,
        rule: told(which.number),
        reply: u8::try_from(place).unwrap_or(NO_REPLY),
        delay_us: about::us(0),
        ..About::of(which.device)
    });
}

/// The generator of a frame of a message: it does not depend on requests.
fn dice_of(turn: &Turn<'_>, which: Which<'_>, (number, frame): (u64, u32)) -> Dice {
    let of_message = mix(TALK_SEED ^ ((which.device as u64) << 32 | which.number as u64).wrapping_mul(STEP));
    let seed = turn.run.seed ^ of_message ^ mix(u64::from(frame)).wrapping_mul(STEP);
    Dice::new(seed, turn.state.identity, number)
}

fn draw(turn: &mut Turn<'_>, which: Which<'_>, (number, frame, place): (u64, u32, usize), dice: &mut Dice) {
    if turn.fsu.faults.is_none() {
        return;
    }
    let rule = &which.message.rule;
    let command = rule.frames.get(place).and_then(|frame| frame.command).map_or(usize::MAX, |command| command as usize);
    let place = Place { message: number, reply: frame as u16 + 1, of: 0, frame: Struck::Message, sn: None };
    let target = Target { place, command, since_start_ms: turn.moment.since_start_ms };
    faults::draw(turn.fsu, rule.faults.as_deref(), target, dice.rng(), &mut turn.scratch.drawn);
}

/// A buffer for a message that waits; `None`: nothing acknowledges it.
pub(crate) fn waiting(turn: &mut Turn<'_>, which: Which<'_>, number: u64) -> Option<Waiting> {
    which.message.ack.as_ref()?;
    let mut waiting = Waiting::with(turn.scratch.talked.spare.pop().unwrap_or_default());
    (waiting.message, waiting.number, waiting.sends) = (which.number as u16, number, 1);
    Some(waiting)
}

/// Keeps the frame in the scratch for a retry. With the first one the values that must be equal.
pub(crate) fn keep(turn: &Turn<'_>, which: Which<'_>, waiting: &mut Waiting, (place, is_first): (usize, bool)) {
    let raw = &turn.scratch.built.raw;
    if is_first {
        for each in which.message.ack.iter().flat_map(|ack| &ack.matches) {
            waiting.add_value(|out| asked(&each.sent, raw, out));
        }
    }
    waiting.add_frame(place as u32, raw);
}

/// A message was raised; its frames are due from `first_ns` to `last_ns`.
pub(crate) fn sent(
    turn: &mut Turn<'_>,
    which: Which<'_>,
    (number, key): (u64, u64),
    waiting: Option<Waiting>,
    (first_ns, last_ns): (i64, i64),
) {
    let account = which.message.account;
    let (device, message) = (which.device as u16, which.number as u16);
    turn.happened(Happened { account, device, message, number, event: Event::Sent, since_first_ns: 0, key });
    let Some(mut waiting) = waiting else { return settle(turn, which) };
    let wait_ms = which.message.wait_ms(0).unwrap_or(0);
    // The wait begins when the last frame leaves.
    waiting.due_ms = turn.moment.since_start_at(last_ns).saturating_add(wait_ms);
    // What is late leaves now.
    (waiting.first_ns, waiting.key) = (first_ns.max(turn.moment.arrived_ns), key);
    let full = turn.talk(which.device).is_some_and(|(_, talk)| talk.waiting.len() >= WAITING_MAX);
    if full {
        give_up(turn, which.device, 0, Event::GivenUp);
    }
    if let Some((_, talk)) = turn.talk(which.device) {
        talk.wait(waiting);
    }
}

/// What follows a message that needs no more: states, and the messages that its acknowledgement makes leave.
fn settle(turn: &mut Turn<'_>, which: Which<'_>) {
    let mut dropped = 0;
    if let Some((conversation, talk)) = turn.talk(which.device) {
        talk.states = (talk.states & !which.message.leaves) | which.message.enters;
        if which.message.ack.is_some() {
            dropped = talk.want_all(conversation, On::Ack(which.number as u16));
        }
    }
    turn.state.counters.messages_unsent += dropped as u64;
    turn.scratch.talked.is_stirred = true;
}

/// A message waits no more: it is taken out and counted. Then what `else` says.
pub(crate) fn give_up(turn: &mut Turn<'_>, device: usize, index: usize, event: Event) {
    let Some((conversation, waiting)) = take(turn, device, index) else { return };
    let Some(message) = conversation.messages.get(usize::from(waiting.message)) else { return };
    over(turn, (device, message), &waiting, event);
    spare(turn, waiting);
    match message.ack.as_ref().map(|ack| ack.otherwise) {
        Some(Otherwise::Reconnect) => turn.scratch.talked.hangs_up = true,
        Some(Otherwise::Leave(states)) => {
            if let Some((_, talk)) = turn.talk(device) {
                talk.states &= !states;
            }
        }
        Some(Otherwise::GiveUp) | None => {}
    }
    turn.scratch.talked.is_stirred = true;
}

/// The same, and nothing follows: another of its name takes its place, or the device has lost its power.
pub(crate) fn let_go(turn: &mut Turn<'_>, device: usize, index: usize) {
    let Some((conversation, waiting)) = take(turn, device, index) else { return };
    if let Some(message) = conversation.messages.get(usize::from(waiting.message)) {
        over(turn, (device, message), &waiting, Event::GivenUp);
    }
    spare(turn, waiting);
}

fn take<'a>(turn: &mut Turn<'a>, device: usize, index: usize) -> Option<(&'a Arc<Conversation>, Waiting)> {
    let (conversation, talk) = turn.talk(device)?;
    (index < talk.waiting.len()).then(|| (conversation, talk.waiting.remove(index)))
}

fn over(turn: &mut Turn<'_>, (device, message): (usize, &DeviceMessage), waiting: &Waiting, event: Event) {
    let since_first_ns = turn.moment.arrived_ns.saturating_sub(waiting.first_ns).max(0);
    let (account, number, key) = (message.account, waiting.number, waiting.key);
    let (device, message) = (device as u16, waiting.message);
    turn.happened(Happened { account, device, message, number, event, since_first_ns, key });
}

fn spare(turn: &mut Turn<'_>, waiting: Waiting) {
    if turn.scratch.talked.spare.len() < SPARE_MAX {
        turn.scratch.talked.spare.push(waiting.into_buffers());
    }
}

/// A message was sent again.
pub(crate) fn retried(turn: &mut Turn<'_>, which: Which<'_>, waiting: &Waiting) {
    over(turn, (which.device, which.message), waiting, Event::Retried);
}

/// A command that the conversation waits for has come. True: it is an acknowledgement, and no request.
#[cold]
pub(super) fn heed(turn: &mut Turn<'_>, device: usize, frame: &Frame<'_>, command: usize) -> bool {
    let (home, layout) = home(turn, device);
    let Some((conversation, _)) = turn.talk(home) else { return false };
    let Some(heeded) = conversation.heeds(layout, command).filter(|heeded| !heeded.acknowledges.is_empty()) else {
        return false;
    };
    let mut written = std::mem::take(&mut turn.scratch.built.text);
    let found = turn.talk(home).and_then(|(_, talk)| {
        let mut waiting = talk.waiting.iter().enumerate();
        let fits = waiting.find(|(_, waiting)| {
            heeded.acknowledges.contains(&waiting.message)
                && conversation
                    .messages
                    .get(usize::from(waiting.message))
                    .is_some_and(|message| acknowledges(message, waiting, frame.raw, &mut written))
        });
        fits.map(|(index, _)| index)
    });
    turn.scratch.built.text = written;
    turn.scratch.about.what = What::Acknowledgement;
    let Some(index) = found else {
        if !heeded.is_answered {
            turn.scratch.about.why = Some(fsu_plan::wire::reason::Reason::Unmatched);
            turn.state.counters.acknowledgements_unexpected += 1;
        }
        return !heeded.is_answered;
    };
    turn.state.counters.acknowledgements += 1;
    acknowledged(turn, (home, index), conversation, frame.raw);
    true
}

fn acknowledges(message: &DeviceMessage, waiting: &Waiting, frame: &[u8], written: &mut Vec<u8>) -> bool {
    let matches = message.ack.iter().flat_map(|ack| &ack.matches).enumerate();
    matches.into_iter().all(|(number, each)| {
        written.clear();
        asked(&each.acked, frame, written);
        *written == waiting.value(number)
    })
}

fn acknowledged(turn: &mut Turn<'_>, (device, index): (usize, usize), of: &Arc<Conversation>, frame: &[u8]) {
    let Some(waiting) = turn.talk(device).and_then(|(_, talk)| talk.waiting.get(index)) else { return };
    let number = usize::from(waiting.message);
    let Some(message) = of.messages.get(number) else { return };
    let accepts = message
        .ack
        .as_ref()
        .and_then(|ack| ack.when.as_ref())
        .is_none_or(|test| holds_at(turn, device, (frame, false), test));
    if !accepts {
        return give_up(turn, device, index, Event::Refused);
    }
    let Some((_, waiting)) = take(turn, device, index) else { return };
    over(turn, (device, message), &waiting, Event::Acknowledged);
    spare(turn, waiting);
    settle(turn, Which { device, number, message });
}

/// A request was answered: the messages that follow it are to leave.
#[cold]
pub(super) fn answered(turn: &mut Turn<'_>, device: usize, command: usize) {
    let (home, layout) = home(turn, device);
    let Some((conversation, talk)) = turn.talk(home) else { return };
    let Some(heeded) = conversation.heeds(layout, command).filter(|heeded| !heeded.followed_by.is_empty()) else {
        return;
    };
    let dropped = heeded.followed_by.iter().filter(|&&message| !talk.want(message.into(), Box::default())).count();
    turn.state.counters.messages_unsent += dropped as u64;
    turn.scratch.talked.is_stirred = true;
}

/// The device whose conversation it is, and the number of the layout.
fn home(turn: &Turn<'_>, device: usize) -> (usize, u16) {
    (turn.home(device), turn.fsu.devices.get(device).map_or(0, |device| device.layouts.own))
}

/// Appends a field of a frame in its notation.
fn asked(field: &plan::Asked, frame: &[u8], out: &mut Vec<u8>) {
    match field {
        plan::Asked::Fixed { at, slot } => {
            let at = at.in_frame(frame.len());
            let bytes = frame.get(at..).and_then(|rest| rest.get(..slot.len));
            value::decode_into(slot, bytes.unwrap_or_default(), out);
        }
        plan::Asked::Walked(walked) => varying::notation(walked, (frame, None), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::turn::Scratch;
    use crate::fixtures::{fsu, start, turn};

    #[test]
    fn limit_spare_max_buffers_are_kept_for_the_next() {
        let fsu = fsu(Vec::new());
        let (mut state, mut scratch): (_, Scratch) = start(&fsu);
        let mut turn = turn(&fsu, &mut state, &mut scratch);
        for _ in 0..100 {
            spare(&mut turn, Waiting::default());
        }
        assert_eq!(turn.scratch.talked.spare.len(), 64);
    }

    /// As the ledgers of both ends name a message.
    #[test]
    fn keys_are_fnv_1a() {
        assert_eq!(
            [key(b""), key(b"a"), key(b"foobar")],
            [0xCBF2_9CE4_8422_2325, 0xAF63_DC4C_8601_EC8C, 0x8594_4171_F739_67E8]
        );
    }
}
