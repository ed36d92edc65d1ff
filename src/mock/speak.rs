//! Conversations: what makes a device speak, and what it says then (spec conversation.md).
//!
//! A device's messages are raised by moments of its schedules and by what has happened ([`start`], [`connect`], [`trigger`],
//! an acknowledgement, an answered request). What has happened only notes what is to leave; [`speak`] says it. So everything an
//! FSU says leaves at one place, in one order, whatever made it leave.

use crate::answer::talk::{self, Event, Which};
use crate::answer::turn::Turn;
use crate::faults::is_offline;
use crate::moment::NS_PER_MS;
use crate::sink::Sink;
use crate::stage::say::say;
use crate::state::talk::{NEVER_MS, Talk, Whose};
use fsu_plan::model::conversation::{Conversation, DeviceMessage, On};
use std::sync::Arc;

/// Messages of one device said in one call; the rest follows in the next.
const SAID_MAX: usize = 64;

/// Who hears an FSU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// At least one centre or connection.
    Some,
    /// Nobody: what is due is not raised.
    None,
}

/// The schedules of an FSU's messages begin, after a reload once more. `has_centre`: it has a centre from the start.
pub fn start(turn: &mut Turn<'_>, whose: Whose, has_centre: bool) {
    let (now, of_fsu) = ((turn.moment.now, turn.moment.since_start_ms), turn.dice().of_fsu());
    for device in 0..turn.fsu.devices.len() {
        if has_centre && turn.talk(device).is_some_and(|(_, talk)| talk.meets_centre()) {
            supersede(turn, device);
        }
    }
    each(turn, |conversation, talk| {
        let connects = has_centre && talk.meets_centre();
        let dropped = if talk.is_started { 0 } else { talk.start(conversation, whose, now, of_fsu) };
        dropped + if connects { talk.want_all(conversation, On::Connect) } else { 0 }
    });
}

/// A connection is up, or a centre was heard for the first time.
pub fn connect(turn: &mut Turn<'_>) {
    for device in 0..turn.fsu.devices.len() {
        supersede(turn, device);
    }
    each(turn, |conversation, talk| talk.want_all(conversation, On::Connect));
}

/// A login of the connection before this one waits in vain.
fn supersede(turn: &mut Turn<'_>, device: usize) {
    let mut index = 0;
    while let Some((conversation, talk)) = turn.talk(device) {
        let Some(waiting) = talk.waiting.get(index) else { return };
        let message = conversation.messages.get(usize::from(waiting.message));
        if message.is_some_and(|message| message.on.contains(&On::Connect)) {
            talk::let_go(turn, device, index);
        } else {
            index += 1;
        }
    }
}

/// The last connection is gone: the devices are in no state.
pub fn disconnect(turn: &mut Turn<'_>) {
    each(turn, |_, talk| {
        talk.forget();
        0
    });
}

/// An outage begins: the devices have no power. What waits is given up.
pub fn lose_power(turn: &mut Turn<'_>) {
    for device in 0..turn.fsu.devices.len() {
        while turn.talk(device).is_some_and(|(_, talk)| !talk.waiting.is_empty()) {
            talk::let_go(turn, device, 0);
        }
    }
    disconnect(turn);
}

/// An outage is over: the devices start again. `is_heard`: somebody hears them already.
pub fn regain_power(turn: &mut Turn<'_>, is_heard: bool) {
    each(turn, |conversation, talk| {
        let dropped = talk.want_all(conversation, On::Start);
        dropped + if is_heard { talk.want_all(conversation, On::Connect) } else { 0 }
    });
}

/// Why a trigger did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTriggered {
    /// No device of the FSU has such a message.
    NoMessage,
    /// The message has no such argument: its number among those given.
    NoArgument(usize),
    /// Too many messages are to leave.
    Full,
}

/// A trigger from outside: every device of the FSU with a message of that name says it with these arguments.
///
/// # Errors
/// No device says it.
pub fn trigger(turn: &mut Turn<'_>, name: &str, args: &[(&str, &str)]) -> Result<(), NotTriggered> {
    let mut done = Err(NotTriggered::NoMessage);
    for device in 0..turn.fsu.devices.len() {
        let Some((conversation, talk)) = turn.talk(device) else { continue };
        let Some(number) = conversation.message(name) else { continue };
        let names = &conversation.messages[number].args;
        let mut given: Box<[Box<str>]> = vec![Box::default(); names.len()].into();
        for (place, (name, value)) in args.iter().enumerate() {
            let arg = names.iter().position(|arg| **arg == **name).ok_or(NotTriggered::NoArgument(place))?;
            given[arg] = (*value).into();
        }
        if talk.want(number, given) {
            done = done.or(Ok(()));
            turn.scratch.talked.is_stirred = true;
        } else {
            turn.state.counters.messages_unsent += 1;
            done = Err(NotTriggered::Full);
        }
    }
    done
}

/// Says what is due. Gives when something is due next, in milliseconds since the start of the run; [`NEVER_MS`]: nothing is.
///
/// The sink gets [`Outgoing::Message`](crate::sink::Outgoing::Message); who gets it, [`DeviceMessage::to`] says.
pub fn speak(turn: &mut Turn<'_>, whose: Whose, audience: Audience, sink: &mut impl Sink) -> u64 {
    let mut next_ms = NEVER_MS;
    turn.scratch.talked.is_stirred = false;
    let is_offline = is_offline(turn.fsu, turn.moment.since_start_ms);
    for device in 0..turn.fsu.devices.len() {
        if turn.talk(device).is_none_or(|(_, talk)| !talk.is_started) {
            continue;
        }
        let mut speaker = Speaker { device, whose, is_heard: audience == Audience::Some && !is_offline, said: 0 };
        speaker.retry(turn, sink);
        speaker.wanted(turn, sink);
        speaker.due(turn, sink);
        if let Some((conversation, talk)) = turn.talk(device) {
            next_ms = next_ms.min(talk.next_ms(conversation));
        }
    }
    next_ms
}

/// One device that speaks.
struct Speaker {
    device: usize,
    whose: Whose,
    /// Somebody hears it.
    is_heard: bool,
    said: usize,
}

impl Speaker {
    /// Sends again, or gives up, what was not acknowledged in time.
    fn retry(&mut self, turn: &mut Turn<'_>, sink: &mut impl Sink) {
        let (now_ms, mut index) = (turn.moment.since_start_ms, 0);
        while let Some((conversation, talk)) = turn.talk(self.device) {
            let Some(waiting) = talk.waiting.get_mut(index) else { return };
            if waiting.due_ms > now_ms {
                index += 1;
                continue;
            }
            let number = usize::from(waiting.message);
            let Some(message) = conversation.messages.get(number) else { return };
            let most = message.ack.as_ref().map_or(0, |ack| ack.retries);
            if waiting.sends > most {
                talk::give_up(turn, self.device, index, Event::GivenUp);
                continue;
            }
            // Where nobody hears, it is not sent again: the same wait begins once more.
            let wait_ms = message.wait_ms(waiting.sends - u32::from(!self.is_heard)).unwrap_or(NEVER_MS);
            waiting.due_ms = now_ms.saturating_add(wait_ms.max(1));
            index += 1;
            if self.is_heard {
                waiting.sends += 1;
                self.again(turn, Which { device: self.device, number, message }, index - 1, sink);
            }
        }
    }

    fn again<'a>(&mut self, turn: &mut Turn<'a>, which: Which<'a>, index: usize, sink: &mut impl Sink) {
        let Some(waiting) = turn.talk(self.device).and_then(|(_, talk)| talk.waiting.get_mut(index)) else { return };
        let waiting = std::mem::take(waiting);
        for frame in 0..waiting.frames() {
            if let Some(framed) = talk::rebuild(turn, which, &waiting, frame) {
                // What is too long was so the first time.
                let _ = say(turn, (self.device, (framed.template, framed.form)), framed.due_ns, sink);
            }
        }
        talk::retried(turn, which, &waiting);
        if let Some(place) = turn.talk(self.device).and_then(|(_, talk)| talk.waiting.get_mut(index)) {
            *place = waiting;
        }
    }

    /// Says what is to leave at once.
    fn wanted(&mut self, turn: &mut Turn<'_>, sink: &mut impl Sink) {
        while self.said < SAID_MAX
            && let Some((conversation, talk)) = turn.talk(self.device)
            && let Some(wanted) = talk.wanted.pop_front()
        {
            let number = usize::from(wanted.message);
            let Some(message) = conversation.messages.get(number) else { continue };
            talk.args = wanted.args;
            let due_ns = turn.moment.arrived_ns;
            self.raise(turn, Which { device: self.device, number, message }, due_ns, sink);
        }
    }

    /// Says what its schedules name.
    fn due(&mut self, turn: &mut Turn<'_>, sink: &mut impl Sink) {
        let of_fsu = turn.dice().of_fsu();
        let (now, whose) = ((turn.moment.now, turn.moment.since_start_ms), self.whose);
        let Some((conversation, _)) = turn.talk(self.device) else { return };
        for (number, message) in conversation.messages.iter().enumerate() {
            while let Some((_, talk)) = turn.talk(self.device)
                && let Some(due_ms) = talk.take_due((number, message), whose, now, of_fsu)
            {
                talk.args = Box::default();
                let late_ns = i64::try_from(now.1 - due_ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS);
                let due_ns = turn.moment.arrived_ns.saturating_sub(late_ns);
                self.raise(turn, Which { device: self.device, number, message }, due_ns, sink);
            }
        }
    }

    /// Raises a message, if the device is in its state and its condition holds.
    fn raise<'a>(&mut self, turn: &mut Turn<'a>, which: Which<'a>, due_ns: i64, sink: &mut impl Sink) {
        self.said += 1;
        let is_within =
            |message: &DeviceMessage, talk: &Talk| message.within.is_none_or(|state| talk.states >> state & 1 == 1);
        let is_in_state = turn.talk(self.device).is_some_and(|(_, talk)| is_within(which.message, talk));
        if !is_in_state || !talk::holds(turn, which) {
            return;
        }
        if !self.is_heard {
            turn.state.counters.messages_unsent += 1;
            return;
        }
        let delay_ns = talk::delay_ns(turn, which);
        let (number, frames) = talk::raise(turn, which, due_ns);
        let mut waiting = talk::waiting(turn, which, number);
        let (mut due_ns, mut key) = (due_ns.saturating_add(delay_ns), 0);
        let first_ns = due_ns;
        for frame in 0..frames {
            let framed = talk::build(turn, which, (number, frame), due_ns);
            due_ns = framed.due_ns;
            if frame == 0 && !turn.scratch.talked.is_unkeyed {
                key = talk::key(turn.scratch.on_wire(framed.template));
            }
            if let Some(waiting) = &mut waiting {
                talk::keep(turn, which, waiting, (framed.place, frame == 0));
            }
            if let Err(reason) = say(turn, (self.device, (framed.template, framed.form)), due_ns, sink) {
                sink.note(reason, &[]);
            }
        }
        talk::sent(turn, which, (number, key), waiting, (first_ns, due_ns));
    }
}

/// Does something with every conversation of an FSU; it gives how many messages found no room.
fn each(turn: &mut Turn<'_>, mut what: impl FnMut(&Arc<Conversation>, &mut Talk) -> usize) {
    for device in 0..turn.fsu.devices.len() {
        if let Some((conversation, talk)) = turn.talk(device) {
            let dropped = what(conversation, talk);
            turn.state.counters.messages_unsent += dropped as u64;
            turn.scratch.talked.is_stirred = true;
        }
    }
}
