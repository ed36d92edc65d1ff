//! `messages` of rule files to what a device says unasked (spec conversation.md, Messages).
//!
//! - `frame`: the frames of a message, made without a request.
//! - `on`: what makes it leave, its schedules, its states.
//! - `ack`: what acknowledges it.
//! - `cron`: times of the calendar.
//! - `heeded`: the commands that the device waits for.

mod ack;
mod cron;
mod frame;
mod heeded;
mod on;

use super::effects::{self, Effects};
use super::expr::nearest;
use super::faults::Limited;
use super::fields::Requests;
use super::layouts::Family;
use super::rules::{self, RulesOf, delay};
use super::scope::{Args, CommandScope, Key, NO_COMMAND, Registers};
use super::sequence::{self, Burst};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::messages::RawMessage;
use crate::config::raw::{RawRule, RawRules};
use crate::model::conversation::{ARGS_MAX, Conversation, DeviceMessage, Heeded, MESSAGES_MAX, STATES_MAX, To};
use crate::model::rule::{FrameOf, Rule};
use frame::Frames;
use std::collections::HashSet;
use std::path::PathBuf;

/// Longest name of a message or a state, in bytes: it is in ledgers and reports.
pub(super) const WORD_BYTES_MAX: usize = 64;

/// The messages of a device by name, as its files have them: one named in an earlier file replaces that of a later one.
pub(super) fn applied(files: &[(PathBuf, At<RawRules>)]) -> Vec<(&At<String>, &At<RawMessage>)> {
    let mut seen = HashSet::new();
    let all = files.iter().filter_map(|(_, file)| file.value.1.as_ref()).flat_map(|messages| &messages.value.0);
    all.filter(|(name, _)| seen.insert(name.value.trim())).map(|(name, message)| (name, message)).collect()
}

/// What messages are compiled from.
pub(super) struct MessagesOf<'a> {
    /// The device's rules.
    pub(super) of: &'a RulesOf<'a>,
    /// All layouts of its template.
    pub(super) family: Family<'a>,
    /// Its registers.
    pub(super) registers: &'a Registers,
    /// By layout.
    pub(super) requests: &'a [Requests<'a>],
    /// The compiled rules, by layout and command.
    pub(super) rules: &'a [Vec<Vec<Rule>>],
}

/// The words that name the states of a device, in the order in which they are met.
#[derive(Default)]
struct States {
    names: Vec<Box<str>>,
    /// A mask of those that some message enters.
    entered: u64,
    /// Where a state is waited for or left: its number.
    used: Vec<(Pos, usize)>,
}

impl States {
    /// The number of a state; `None`: it is wrong, which was reported.
    fn number(&mut self, diags: &mut Diags, name: &str, pos: Pos) -> Option<usize> {
        let name = name.trim();
        if name.is_empty() || name.len() > WORD_BYTES_MAX {
            diags.error(pos, format!("`{name}` is no state (a word of 1 to {WORD_BYTES_MAX} bytes)"));
            return None;
        }
        if let Some(known) = self.names.iter().position(|known| **known == *name) {
            return Some(known);
        }
        if self.names.len() == STATES_MAX {
            diags.error(pos, format!("`{name}` is one state too many (at most {STATES_MAX} of a device)"));
            return None;
        }
        self.names.push(name.into());
        Some(self.names.len() - 1)
    }

    /// Reports states that are waited for and never begin.
    fn tell_idle(&self, diags: &mut Diags) {
        for &(pos, number) in &self.used {
            if self.entered & (1 << number) == 0 {
                let entered = self.names.iter().enumerate().filter(|(number, _)| self.entered & (1 << number) != 0);
                let near = nearest(&self.names[number], entered.map(|(_, name)| &**name));
                diags.warn(pos, format!("no message enters the state `{}`{near}", self.names[number]));
            }
        }
    }
}

/// A compiled conversation; `None`: the device has no messages.
pub(super) fn messages(
    diags: &mut Diags,
    from: &MessagesOf<'_>,
    cycles: &mut u32,
    limited: &mut Vec<Limited>,
) -> Option<Conversation> {
    let all = applied(from.of.files);
    if let Some((name, _)) = all.get(MESSAGES_MAX) {
        diags.error(name.pos, format!("{} messages (at most {MESSAGES_MAX} of a device)", all.len()));
        return None;
    }
    if all.is_empty() {
        return None;
    }
    let mut compiler =
        Compiler { from, all: &all, states: States::default(), heeded: heeded::Draft::default(), cycles, limited };
    let mut messages = Vec::with_capacity(all.len());
    for (number, (name, raw)) in all.iter().enumerate() {
        if diags.is_over() || !check_name(diags, name) {
            continue;
        }
        messages.extend(compiler.message(diags, (number, name, raw)));
    }
    let Compiler { states, heeded, .. } = compiler;
    states.tell_idle(diags);
    let heeded: Box<[Heeded]> = heeded.finish(diags, from);
    Some(Conversation { states: states.names.into(), messages: messages.into(), heeded })
}

/// Acknowledgements and the frames of messages need no rule.
pub(super) fn name(conversation: Option<&Conversation>, named: &mut [Vec<bool>]) {
    let Some(conversation) = conversation else { return };
    let acks = conversation.heeded.iter().filter(|heeded| !heeded.acknowledges.is_empty()).map(|heeded| heeded.frame);
    let sent = conversation.messages.iter().flat_map(|message| message.rule.frames.iter().copied());
    for frame in acks.chain(sent) {
        let commands = named.get_mut(usize::from(frame.layout));
        let place = commands.zip(frame.command).and_then(|(commands, number)| commands.get_mut(number as usize));
        if let Some(named) = place {
            *named = true;
        }
    }
}

/// Whether a message may have that name.
fn check_name(diags: &mut Diags, name: &At<String>) -> bool {
    let plain = name.value.trim();
    let is_right = !plain.is_empty() && plain.len() <= WORD_BYTES_MAX && !plain.contains(char::is_whitespace);
    if !is_right {
        diags.error(name.pos, format!("`{plain}` is no name of a message (a word of 1 to {WORD_BYTES_MAX} bytes)"));
    }
    is_right
}

/// What was compiled so far, and what it is compiled with.
struct Compiler<'c, 'a> {
    from: &'c MessagesOf<'a>,
    all: &'c [(&'c At<String>, &'c At<RawMessage>)],
    states: States,
    heeded: heeded::Draft,
    /// Places of cycles of the device so far.
    cycles: &'c mut u32,
    /// Fault keys that not every transport can do.
    limited: &'c mut Vec<Limited>,
}

impl Compiler<'_, '_> {
    /// One message.
    fn message(
        &mut self,
        diags: &mut Diags,
        (number, name, raw): (usize, &At<String>, &At<RawMessage>),
    ) -> Option<DeviceMessage> {
        let from = self.from;
        let args = Args::default();
        let key = Key::new((from.family, 0), &[], from.requests);
        let scope = CommandScope { key: &key, number: NO_COMMAND, registers: from.registers, args: Some(&args) };
        let rule = At { pos: raw.pos, value: raw.rule() };
        let frames = frame::frames(diags, from.family, &scope, raw);
        let first = frames.as_ref().and_then(|frames| frames.of.first().copied());
        let rule = frames.and_then(|frames| self.rule(diags, (raw, &rule), &scope, frames));
        let to = super::field::word(diags, raw.to.as_ref(), To::All);
        let (on, schedules) = (self.on(diags, number, raw), on::schedules(diags, raw));
        let (within, enters, leaves) = self.states(diags, raw);
        if !["on", "every_ms", "at_s", "cron"].iter().any(|key| diags.written(raw.pos, key).is_some()) {
            let right = "`on`, `every_ms`, `at_s` or `cron`";
            diags.error(raw.pos, format!("nothing sends the message `{}` ({right})", name.value));
        }
        let ack = raw.ack.as_ref().and_then(|ack| self.ack(diags, (number, ack), first));
        for register in std::mem::take(&mut *from.registers.unset.borrow_mut()) {
            let near = nearest(&register, from.registers.numbers.keys().map(String::as_str));
            let text = format!("no rule of this device sets register `{register}`, so it is always empty{near}");
            diags.warn(raw.pos, text);
        }
        let args: Box<[Box<str>]> = args.names().into_iter().map(String::into_boxed_str).collect();
        if args.len() > ARGS_MAX {
            diags.error(raw.pos, format!("{} arguments of a message (at most {ARGS_MAX})", args.len()));
        }
        diags.charge(raw.pos, size_of::<DeviceMessage>() + 256, "a message");
        Some(DeviceMessage {
            name: name.value.trim().into(),
            account: 0,
            rule: rule?,
            on,
            repeat: schedules.repeat,
            at_ms: schedules.at_ms,
            cron: schedules.cron,
            within,
            enters,
            leaves,
            to,
            args,
            ack: ack.map(Box::new),
        })
    }

    /// Its frames as a rule.
    fn rule(
        &mut self,
        diags: &mut Diags,
        (raw, rule): (&At<RawMessage>, &At<RawRule>),
        scope: &CommandScope<'_, '_, '_>,
        frames: Frames,
    ) -> Option<Rule> {
        let layout = frames.of.first().map_or(0, |frame| usize::from(frame.layout));
        let draft = self.from.family.draft(layout);
        super::effect::rule(diags, rule, &draft.plan);
        let Burst { count: burst, gaps_ms } = sequence::burst(diags, draft, rule);
        let cycle = raw.cycle.as_ref().map(|_| {
            *self.cycles += 1;
            *self.cycles - 1
        });
        let faults = rules::rule_faults(diags, rule, self.from.of.faults, self.limited);
        let test = effects::test(diags, rule, scope);
        let Effects { sets, effects } = effects::effects(diags, rule, scope);
        let room = size_of::<Rule>() + frames.of.len() * (size_of::<FrameOf>() + 32);
        diags.charge(raw.pos, room, "this message").then_some(())?;
        Some(Rule {
            when: Box::default(),
            walked: Box::default(),
            asks_more: test.is_some(),
            test,
            timeout: false,
            delay: delay(diags, rule),
            cycle,
            burst,
            gaps_ms,
            frames: frames.of,
            faults: faults.map(Box::new),
            replies: frames.replies,
            sets,
            effects,
            origin: diags.place(raw.pos).into(),
        })
    }
}
