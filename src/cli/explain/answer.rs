//! What a device does with an inner frame: checks, command, rules, reply.

use super::inner::{self as fields, View};
use super::model::{Answers, Condition, Fault, Item, Layer, REPLIES_SHOWN_MAX, RuleView, Verdict};
use super::walk::dropped;
use crate::describe::{self, Names};
use fsu_core::answer::examine::{Finding, error_reply, examine};
use fsu_core::answer::rule::{known, matching_now, next_reply};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::state::{DeviceState, FsuState};
use fsu_plan::model::fault::FsuFaults;
use fsu_plan::model::fleet::{Device, Fsu, VerifyChecksum};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::rule::{EFFECTS, Rule};
use fsu_plan::model::template::{Command, Template};
use fsu_plan::wire::inner::{self, Frame, carries};
use fsu_plan::wire::reason::Reason;

/// The context of a frame.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    /// The FSU that received it.
    pub(super) fsu: &'a Fsu,
    /// The faults configured for the FSU.
    pub(super) faults: Option<&'a FsuFaults>,
    /// Number of the device.
    pub(super) device: usize,
    /// The FSU's state before the frame.
    pub(super) before: &'a FsuState,
    /// The FSU's state after the frame.
    pub(super) after: &'a FsuState,
    /// Delay of its reply in milliseconds; `None` if there is no reply.
    pub(super) after_ms: Option<i64>,
    /// The run that is played.
    pub(super) run: RunContext,
    /// When the frame arrives.
    pub(super) moment: Moment,
}

impl About<'_> {
    /// The device whose registers and cycle places are used.
    fn home(&self) -> usize {
        let home = self.fsu.devices.get(self.device).and_then(|device| device.layouts.home);
        home.map_or(self.device, usize::from)
    }
}

/// What a reply was built from.
#[derive(Default)]
pub(super) struct Built<'a> {
    command: Option<&'a Command>,
    /// By reply: its layout, and the command whose frame it is, which may be none. A reply without an entry belongs to `command`.
    commands: Vec<(&'a Template, Option<&'a Command>)>,
    /// The replies that are shown, in the order of sending.
    replies: Vec<&'a Reply>,
}

/// `01 01: vendor, template file`
pub(super) fn device_text(device: &Device) -> String {
    let (kind, address) = (device.sub_dev_type, device.sub_dev_addr);
    format!("type {kind:02X}, address {address:02X}: {}, {}", device.vendor, device.template.path)
}

/// Why the bytes are no inner frame.
pub(super) fn no_frame(device: &Device, reason: Reason, wire: &[u8]) -> Fault {
    fields::no_frame(&device.template, reason, wire)
}

/// Like [`no_frame`], for bytes that may be a frame.
pub(super) fn why_no_frame(device: &Device, wire: &[u8]) -> Option<Fault> {
    inner::parse(&device.template, wire, &mut Vec::new()).err().map(|reason| no_frame(device, reason, wire))
}

/// What is wrong with an inner frame.
pub(super) fn bad_frame(device: &Device, frame: &Frame<'_>, reason: Reason) -> Fault {
    fields::bad_frame(&device.template, frame, reason)
}

/// Why a stream is not cut there: the first check that fails, or else the size.
pub(super) fn not_cut(device: &Device, frame: &Frame<'_>) -> Fault {
    let mut checksum_wrong = false;
    let wrong = match examine(device, *frame, &mut checksum_wrong) {
        Finding::Wrong(_, reason) => Some(reason),
        Finding::Command(..) => checksum_wrong.then_some(Reason::BadChecksum),
    };
    match wrong {
        Some(reason) => bad_frame(device, frame, reason),
        None => fields::no_size(&device.template, frame),
    }
}

/// The fields of a request, by the command that it carries.
pub(super) fn request_layers(device: &Device, frame: &Frame<'_>) -> Vec<Layer> {
    let command = inner::command(&device.template, frame).map(|number| &device.template.commands[number]);
    fields::layers(View { device, template: &device.template, command, reply: None, is_reply: false }, frame)
}

/// The fields of reply number `number` on the wire. A data frame of a transfer, which no rule built, has a number above the last one.
pub(super) fn reply_layers(device: &Device, built: &Built<'_>, number: usize, wire: &[u8]) -> Vec<Layer> {
    let mut raw = Vec::new();
    let (template, command) = built.commands.get(number).copied().unwrap_or((&device.template, built.command));
    let Ok(frame) = inner::parse(template, wire, &mut raw) else { return Vec::new() };
    let reply = built.replies.get(number).copied();
    let command = command.filter(|command| reply.is_some() || frame.data_len == command.response_len);
    fields::layers(View { device, template, command, reply, is_reply: true }, &frame)
}

/// Fills in what a device does with a request. `reason` is why it gets no reply, as reported by the stages that serve.
pub(super) fn request<'a>(item: &mut Item, about: About<'a>, wire: &[u8], reason: Option<Reason>) -> Built<'a> {
    let device: &Device = &about.fsu.devices[about.device];
    item.device = Some(device_text(device));
    let mut raw = Vec::new();
    let frame = match inner::parse(&device.template, wire, &mut raw) {
        Ok(frame) => frame,
        Err(reason) => {
            item.faults.push(no_frame(device, reason, wire));
            item.verdict = dropped(reason);
            return Built::default();
        }
    };
    item.layers.extend(request_layers(device, &frame));
    let mut checksum_wrong = false;
    let finding = examine(device, frame, &mut checksum_wrong);
    let chosen = inner::command(&device.template, &frame);
    item.command = fields::command(&device.template, &frame, chosen);
    if checksum_wrong {
        item.faults.push(wrong_checksum(device, &frame));
    }
    let number = match finding {
        Finding::Command(_, number) => number,
        Finding::Wrong(_, wrong) => {
            if wrong != Reason::BadChecksum {
                item.faults.push(bad_frame(device, &frame, wrong));
            }
            let reply = error_reply(&device.template, wrong).map(|(_, reply)| reply);
            item.verdict = match (reply, reason) {
                (Some(_), None) => Verdict {
                    what: "error reply",
                    reason: None,
                    text: format!("answered with the template's errors.{}", wrong.reason()),
                },
                (_, reason) => dropped(reason.unwrap_or(wrong)),
            };
            return Built { command: None, commands: Vec::new(), replies: reply.into_iter().collect() };
        }
    };
    let command = &device.template.commands[number];
    let mut state = about.before.clone();
    let (mut scratch, moment) = (Scratch::default(), about.moment);
    let mut turn = Turn { run: &about.run, fsu: about.fsu, state: &mut state, scratch: &mut scratch, moment };
    let matched = matching_now(&mut turn, (about.device, device), number, &frame);
    let rules = device.rules.get(number).map(|rules| &**rules).unwrap_or_default();
    let names = Names { device, command: Some(command) };
    let at = matched.map(|(index, _)| index);
    let view = |(index, rule)| rule_view(names, about, rule, outcome(index, at), &frame);
    item.rules = rules.iter().enumerate().map(view).collect();
    if is_only_acknowledged(item, about, number, rules) {
        return Built::default();
    }
    let Some((_, rule)) = matched else {
        let unmatched = reason.unwrap_or(Reason::Unmatched);
        item.verdict = dropped(unmatched);
        let why = if rules.is_empty() { "no rule file has" } else { "no rule matches" };
        item.verdict.text = format!("{why} {}: {}", command.key_text, item.verdict.text);
        return Built::default();
    };
    item.verdict = verdict_of(rule, reason, about);
    built((device, command), rule, memory(about))
}

/// What the rule that matched does.
fn verdict_of(rule: &Rule, reason: Option<Reason>, about: About<'_>) -> Verdict {
    match reason {
        Some(reason) => dropped(reason),
        None if rule.timeout => Verdict {
            what: "no reply",
            reason: Some("timeout"),
            text: "left unanswered on purpose (the rule's timeout)".into(),
        },
        None => Verdict { what: "reply", reason: None, text: when_due(rule, about) },
    }
}

fn wrong_checksum(device: &Device, frame: &Frame<'_>) -> Fault {
    let meaning = match device.verify_checksum {
        VerifyChecksum::Strict => "inner: the checksum is wrong (verify_checksum strict)".into(),
        _ => "inner: the checksum is wrong; answered as if right, and counted (verify_checksum warn)".into(),
    };
    Fault { meaning, ..bad_frame(device, frame, Reason::BadChecksum) }
}

/// Fills in what a command acknowledges. True: that is all that it does.
fn is_only_acknowledged(item: &mut Item, about: About<'_>, number: usize, rules: &[Rule]) -> bool {
    let Some(text) = super::messages::acknowledges(about.fsu, about.device, number) else { return false };
    item.answers = Some(Answers { command: None, text, others: Vec::new() });
    let is_all = rules.iter().all(|rule| rule.timeout);
    if is_all {
        let text = "an acknowledgement: it is not answered".into();
        item.verdict = Verdict { what: "acknowledgement", reason: None, text };
    }
    is_all
}

/// The replies of a rule that are shown, and the commands whose frames they are.
fn built<'a>((device, command): (&'a Device, &'a Command), rule: &'a Rule, mut memory: DeviceState) -> Built<'a> {
    let shown = (rule.burst as usize).min(REPLIES_SHOWN_MAX);
    let commands = (0..shown).map(|reply| match rule.frames.get(reply) {
        Some(frame) => {
            let template = &**device.layout(frame.layout);
            (template, frame.command.and_then(|number| template.commands.get(number as usize)))
        }
        None => (&*device.template, Some(command)),
    });
    let replies = (0..shown).map(|reply| next_reply(rule, &mut memory, reply as u32));
    Built { command: Some(command), commands: commands.collect(), replies: replies.collect() }
}

/// The faults that may affect the rule's replies: random ones and scheduled ones.
fn may_happen(faults: &FsuFaults, rule: &Rule, transport: Transport) -> Vec<String> {
    let mut always = faults.base;
    if let Some(own) = &rule.faults {
        always.overlay(own);
    }
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let timed = faults.schedule.iter().flat_map(|entry| {
        let span = match entry.to_ms {
            u64::MAX => format!("from {} s", seconds(entry.from_ms)),
            to_ms => format!("from {} s to {} s", seconds(entry.from_ms), seconds(to_ms)),
        };
        entry.faults.texts(transport).into_iter().map(move |text| format!("{text}, {span} after the start"))
    });
    always.texts(transport).into_iter().chain(timed).collect()
}

fn when_due(rule: &Rule, about: About<'_>) -> String {
    match about.after_ms.unwrap_or(0) {
        ms if ms <= 0 => "answered at once".into(),
        ms => format!("answered after {ms} ms (delay: {})", describe::delay(rule.delay)),
    }
}

/// What the device remembered before the frame.
fn memory(about: About<'_>) -> DeviceState {
    let home = about.home();
    let made = || about.fsu.devices.get(home).map(|device| DeviceState::new(device, &about.fsu.params));
    about.before.devices.get(home).cloned().or_else(made).unwrap_or_default()
}

/// The outcome of a rule, given which rule of its command matched.
fn outcome(index: usize, matched: Option<usize>) -> &'static str {
    match matched {
        Some(matched) if matched == index => "matched",
        Some(matched) if matched < index => "not reached",
        _ => "does not match",
    }
}

fn rule_view(names: Names<'_>, about: About<'_>, rule: &Rule, outcome: &'static str, frame: &Frame<'_>) -> RuleView {
    let constants = rule.when.iter().map(|constant| Condition {
        wants: describe::constant(constant),
        has: fields::held(constant, frame.raw),
        fits: carries(constant, frame.raw),
    });
    let test = rule.test.as_ref().map(|test| Condition {
        wants: test.source.to_string(),
        has: names.values(test, frame.raw),
        fits: outcome == "matched" || known(test, frame.raw).unwrap_or(false),
    });
    let when = constants.chain(test);
    let place = |cycle: u32| memory(about).cycles.get(cycle as usize).copied().unwrap_or(0);
    let entries = rule.replies.len();
    let cycle = rule.cycle.map(|cycle| match outcome {
        "matched" => format!("entry {} of {entries}", place(cycle) as usize % entries.max(1) + 1),
        _ => format!("{entries} entries"),
    });
    let plain = rule.sets.iter().filter(|set| set.register != EFFECTS).map(|set| {
        let text = names.set(set);
        match about.after.devices.get(about.home()).and_then(|device| device.registers.get(set.register as usize)) {
            Some(now) if outcome == "matched" => format!("{text} = \"{}\"", String::from_utf8_lossy(now)),
            _ => text,
        }
    });
    let set = if rule.effects.is_empty() { plain.collect() } else { names.effects(rule) };
    RuleView {
        origin: rule.origin.to_string(),
        outcome,
        when: when.collect(),
        timeout: rule.timeout,
        delay: describe::delay(rule.delay),
        cycle,
        set,
        burst: (rule.burst > 1).then_some(rule.burst),
        may_happen: about.faults.map(|faults| may_happen(faults, rule, about.fsu.transport)).unwrap_or_default(),
    }
}
