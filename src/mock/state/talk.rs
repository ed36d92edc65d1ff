//! What a device's conversation remembers (spec conversation.md): its states, when its messages are due, and which of them wait
//! for an acknowledgement. Times are milliseconds since the start of the run, unless they say otherwise.

use super::identity::{STEP, mix};
use fsu_plan::model::conversation::{Conversation, DeviceMessage, On, Repeat};
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::cron::next_after;
use std::collections::VecDeque;
use std::ops::Range;

/// Messages of one device that are to leave and were not looked at yet. More are dropped and counted.
pub const WANTED_MAX: usize = 256;
/// Messages of one device that wait for an acknowledgement. One more gives the oldest up.
pub const WAITING_MAX: usize = 256;
/// Never.
pub const NEVER_MS: u64 = u64::MAX;

/// The conversation of one device of one FSU.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// The states that it is in: a mask.
    pub states: u64,
    /// Arguments of the message that is being built, by number.
    pub args: Box<[Box<str>]>,
    /// When each message is due, by its number.
    pub(crate) places: Box<[Place]>,
    /// What is to leave at once, in order.
    pub(crate) wanted: VecDeque<Wanted>,
    /// What waits for an acknowledgement, the oldest first.
    pub(crate) waiting: Vec<Waiting>,
    /// Its schedules run.
    pub(crate) is_started: bool,
    /// What it has from before a reload.
    pub(crate) past: Past,
}

/// What a conversation has behind it when its schedules begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nothing: what the start of the FSU makes leave is to leave, and what its first centre does.
    #[default]
    None,
    /// It had started by the plan from before, and its centre is another now.
    Started,
    /// The same, and its centre is the same.
    Connected,
}

/// When a message is due by its schedules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// How often it was raised.
    pub(crate) number: u64,
    /// How often its repeat was due.
    repeats: u64,
    /// When it is due next.
    repeat_due_ms: u64,
    /// When the calendar names it next.
    cron_due_ms: u64,
    /// How many of its moments are over.
    moments: u32,
}

/// A message that is to leave at once.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) message: u16,
    pub(crate) args: Box<[Box<str>]>,
}

/// The buffers of a message that waits: bytes, and where each part ends with the number of the frame that it is.
pub(crate) type Buffers = (Vec<u8>, Vec<(u32, u32)>);

/// A message that waits for an acknowledgement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) message: u16,
    /// Its number among the device's messages of that name, from 1.
    pub(crate) number: u64,
    /// How often it was sent.
    pub(crate) sends: u32,
    /// Until when.
    pub(crate) due_ms: u64,
    /// When it was sent first, on the wall clock in nanoseconds.
    pub(crate) first_ns: i64,
    /// [`Happened::key`](crate::answer::talk::Happened::key).
    pub(crate) key: u64,
    /// The values that must be equal, then the raw frames.
    bytes: Vec<u8>,
    /// Their ends in `bytes`, and the number of each frame among the replies of its rule.
    parts: Vec<(u32, u32)>,
    values: u16,
}

/// The place of an FSU in its fleet: what spreads the first messages.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// Its number.
    pub number: usize,
    /// How many FSUs there are.
    pub of: usize,
}

impl Talk {
    /// That of a device that has said nothing.
    pub fn new(conversation: &Conversation) -> Self {
        let place = Place { number: 0, repeats: 0, repeat_due_ms: NEVER_MS, cron_due_ms: NEVER_MS, moments: 0 };
        Self { places: vec![place; conversation.messages.len()].into(), ..Self::default() }
    }

    /// Whether the centre that it has from the start is new to it.
    pub(crate) fn meets_centre(&self) -> bool {
        !self.is_started && self.past != Past::Connected
    }

    /// Its schedules begin. `of_fsu` distinguishes the FSU and the run. Gives how many messages found no room.
    pub(crate) fn start(&mut self, conversation: &Conversation, whose: Whose, now: (Now, u64), of_fsu: u64) -> usize {
        self.is_started = true;
        for (number, (message, place)) in conversation.messages.iter().zip(&mut self.places).enumerate() {
            place.cron_due_ms = cron_due(message, now);
            if let Some(repeat) = message.repeat {
                let base_ms = first_ms(repeat, whose);
                // Those of the past are left out.
                place.repeats = now.1.saturating_sub(base_ms).div_ceil(repeat.every_ms.max(1));
                place.repeat_due_ms = repeat_ms(repeat, whose, place.repeats, jitter_of(of_fsu, number));
            }
            let over = message.at_ms.iter().take_while(|&&at_ms| at_ms < now.1).count();
            place.moments = over as u32;
        }
        if self.past == Past::None { self.want_all(conversation, On::Start) } else { 0 }
    }

    /// All messages that something makes leave are to leave.
    pub(crate) fn want_all(&mut self, conversation: &Conversation, on: On) -> usize {
        let fits = |(_, message): &(usize, &DeviceMessage)| message.on.contains(&on);
        let wanted = conversation.messages.iter().enumerate().filter(fits);
        wanted.filter(|&(number, _)| !self.want(number, Box::default())).count()
    }

    /// A message is to leave. False: too many are.
    pub(crate) fn want(&mut self, message: usize, args: Box<[Box<str>]>) -> bool {
        let has_room = self.wanted.len() < WANTED_MAX;
        if has_room {
            // One at a time is the rule: no room for four.
            self.wanted.reserve_exact(usize::from(self.wanted.capacity() == 0));
            self.wanted.push_back(Wanted { message: message as u16, args });
        }
        has_room
    }

    /// One more waits for an acknowledgement.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting.reserve_exact(usize::from(self.waiting.capacity() == 0));
        self.waiting.push(waiting);
    }

    /// Messages that wait for an acknowledgement.
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Those of them with that number.
    pub fn pending_of(&self, message: usize) -> usize {
        self.waiting.iter().filter(|waiting| usize::from(waiting.message) == message).count()
    }

    /// How often a message was raised.
    pub fn raised(&self, message: usize) -> u64 {
        self.places.get(message).map_or(0, |place| place.number)
    }

    /// Whether no more messages may be to leave.
    pub fn is_full(&self) -> bool {
        self.wanted.len() >= WANTED_MAX
    }

    /// Whether its schedules run.
    pub fn is_started(&self) -> bool {
        self.is_started
    }

    /// When something is due next; [`NEVER_MS`]: nothing is.
    pub fn next_ms(&self, conversation: &Conversation) -> u64 {
        if !self.wanted.is_empty() {
            return 0;
        }
        let places = conversation.messages.iter().zip(&self.places).map(|(message, place)| place.due_ms(message));
        let waiting = self.waiting.iter().map(|waiting| waiting.due_ms);
        places.chain(waiting).min().unwrap_or(NEVER_MS)
    }

    /// Takes the next moment of a message's schedules that is due; gives when it was due.
    pub(crate) fn take_due(
        &mut self,
        (number, message): (usize, &DeviceMessage),
        whose: Whose,
        now: (Now, u64),
        of_fsu: u64,
    ) -> Option<u64> {
        let place = self.places.get_mut(number)?;
        let due_ms = place.due_ms(message);
        if due_ms > now.1 {
            return None;
        }
        if let Some(repeat) = message.repeat.filter(|_| place.repeat_due_ms == due_ms) {
            // Those that were slept through are left out.
            let missed = (now.1 - due_ms) / repeat.every_ms.max(1);
            place.repeats += missed + 1;
            place.repeat_due_ms = repeat_ms(repeat, whose, place.repeats, jitter_of(of_fsu, number));
        } else if place.cron_due_ms == due_ms {
            place.cron_due_ms = cron_due(message, now);
        } else {
            place.moments += 1;
        }
        Some(due_ms)
    }

    /// Takes over what the new plan has too: states and numbers, by name. What waits for an acknowledgement waits on if its message
    /// has the same name, and what is to leave does. `is_at_same`: its centre is where it was.
    pub(crate) fn carry(&mut self, is: &Conversation, (before, was): (&Self, &Conversation), is_at_same: bool) {
        let knows_centre = is_at_same && (before.is_started || before.past == Past::Connected);
        let had_begun = before.is_started || before.past != Past::None;
        self.past = match (knows_centre, had_begun) {
            (true, _) => Past::Connected,
            (false, true) => Past::Started,
            (false, false) => Past::None,
        };
        for (_, name) in was.states.iter().enumerate().filter(|(number, _)| before.states >> number & 1 == 1) {
            self.states |= is.state(name).unwrap_or(0);
        }
        let number_now = |number: u16| {
            let name = &was.messages.get(usize::from(number))?.name;
            is.message(name).map(|number| number as u16)
        };
        for (old, place) in (0..).zip(&before.places) {
            if let Some(place_now) = number_now(old).and_then(|number| self.places.get_mut(usize::from(number))) {
                place_now.number = place.number;
            }
        }
        let waiting = before.waiting.iter().filter(|waiting| waiting.is_of_same(was, is));
        self.waiting = waiting
            .filter_map(|waiting| Some(Waiting { message: number_now(waiting.message)?, ..waiting.clone() }))
            .collect();
        self.wanted = before
            .wanted
            .iter()
            .filter_map(|wanted| {
                let message = number_now(wanted.message)?;
                let names =
                    |of: &Conversation, number: u16| of.messages.get(usize::from(number)).map(|of| of.args.clone());
                let (was, is) = (names(was, wanted.message)?, names(is, message)?);
                // By name; what was given for an argument that is gone is left out.
                let given = |name: &str| {
                    let place = was.iter().position(|known| **known == *name);
                    place.and_then(|place| wanted.args.get(place)).cloned().unwrap_or_default()
                };
                let args =
                    if wanted.args.is_empty() { Box::default() } else { is.iter().map(|name| given(name)).collect() };
                Some(Wanted { message, args })
            })
            .collect();
    }

    /// The device has lost its power or its last connection: it is in no state, and nothing is to leave at once.
    pub(crate) fn forget(&mut self) {
        self.states = 0;
        self.wanted.clear();
    }
}

impl Place {
    fn due_ms(&self, message: &DeviceMessage) -> u64 {
        let moment_ms = message.at_ms.get(self.moments as usize).copied().unwrap_or(NEVER_MS);
        self.repeat_due_ms.min(self.cron_due_ms).min(moment_ms)
    }
}

impl Waiting {
    /// One with a buffer that was used before.
    pub(crate) fn with((bytes, parts): Buffers) -> Self {
        let mut waiting = Self { bytes, parts, ..Self::default() };
        waiting.bytes.clear();
        waiting.parts.clear();
        waiting
    }

    /// The buffers, for the next one.
    pub(crate) fn into_buffers(self) -> Buffers {
        (self.bytes, self.parts)
    }

    /// Whether its message has as many frames and values to compare in the new plan.
    fn is_of_same(&self, was: &Conversation, is: &Conversation) -> bool {
        let number = usize::from(self.message);
        let now = was.messages.get(number).and_then(|message| is.messages.get(is.message(&message.name)?));
        now.and_then(|message| Some((message.ack.as_ref()?.matches.len(), message.rule.replies.len()))).is_some_and(
            |(values, replies)| {
                let mut frames = (0..self.frames()).filter_map(|index| self.frame(index));
                values == usize::from(self.values) && frames.all(|(number, _)| (number as usize) < replies)
            },
        )
    }

    /// Appends a value that must be equal; before all frames.
    pub(crate) fn add_value(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.parts.push((self.bytes.len() as u32, 0));
        self.values += 1;
    }

    /// Appends a raw frame.
    pub(crate) fn add_frame(&mut self, number: u32, raw: &[u8]) {
        self.bytes.extend_from_slice(raw);
        self.parts.push((self.bytes.len() as u32, number));
    }

    /// A value that must be equal.
    pub(crate) fn value(&self, number: usize) -> &[u8] {
        self.bytes.get(self.range(number)).unwrap_or_default()
    }

    /// How many frames it has.
    pub(crate) fn frames(&self) -> usize {
        self.parts.len() - usize::from(self.values)
    }

    /// The number of a frame among the replies of its rule, and its raw bytes.
    pub(crate) fn frame(&self, index: usize) -> Option<(u32, &[u8])> {
        let part = usize::from(self.values) + index;
        let (_, number) = *self.parts.get(part)?;
        Some((number, self.bytes.get(self.range(part))?))
    }

    fn range(&self, part: usize) -> Range<usize> {
        let end = |part: usize| self.parts.get(part).map_or(0, |&(end, _)| end as usize);
        part.checked_sub(1).map_or(0, end)..end(part)
    }
}

/// When the first repeat of a message is due.
fn first_ms(repeat: Repeat, whose: Whose) -> u64 {
    if repeat.is_aligned {
        return repeat.every_ms;
    }
    (u128::from(repeat.every_ms) * whose.number as u128 / whose.of.max(1) as u128) as u64
}

/// When a repeat is due: up to its jitter after its place in the grid.
fn repeat_ms(repeat: Repeat, whose: Whose, number: u64, seed: u64) -> u64 {
    let base_ms = first_ms(repeat, whose).saturating_add(repeat.every_ms.saturating_mul(number));
    if repeat.jitter <= 0.0 {
        return base_ms;
    }
    let part = mix(seed ^ number.wrapping_mul(STEP)) as f64 / u64::MAX as f64;
    base_ms.saturating_add((repeat.every_ms as f64 * repeat.jitter.min(1.0) * part) as u64)
}

fn jitter_of(of_fsu: u64, message: usize) -> u64 {
    mix(of_fsu.wrapping_add(message as u64 + 1))
}

/// When the calendar names a message next.
fn cron_due(message: &DeviceMessage, (now, since_start_ms): (Now, u64)) -> u64 {
    let next = message.cron.as_ref().and_then(|cron| next_after(cron, now));
    next.map_or(NEVER_MS, |unix_ms| since_start_ms.saturating_add(unix_ms.saturating_sub(now.unix_ms).max(0) as u64))
}
