//! Explains a frame from the FSU: which device sent it, and what it answers.
//!
//! A reply need not carry the key of its command. The key is looked up where requests have it. If no command has that key, the size and
//! the constants of the replies that the rules build are compared instead.

use super::answer;
use super::inner::{self as fields, View};
use super::messages::{self, Said};
use super::model::{Answers, Item, Verdict};
use fsu_core::client::layouts;
use fsu_core::predict::{self, Origin};
use fsu_plan::model::field::{Computed, KeyPart};
use fsu_plan::model::fleet::{Device, Fsu, Layout};
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::Reply;
use fsu_plan::model::template::{Command, ErrorReply, Template};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::reason::Reason;
use fsu_plan::wire::walk;
use std::cmp::Reverse;
use std::ops::Range;

/// How strong the evidence is that a frame is a reply, or a request. Later variants are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It is not a frame.
    None,
    /// Size, start and end.
    Framed,
    /// All checks hold and the size is that of a reply, but it has no request's key; replies of that command carry none.
    Keyless,
    /// A command's key, but a check fails or the size is wrong.
    Command,
    /// A command's key and all checks hold, but the size is not one that the command lists.
    Loose,
    /// The size of a reply of the command, but not the bytes that the rules here give.
    Sized,
    /// A complete match with a reply.
    Reply,
    /// A complete match with a request.
    Request,
}

/// What a frame answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum What {
    /// Unknown.
    #[default]
    Unknown,
    /// This command, and how it was recognised.
    Command(usize, &'static str),
    /// An invalid request.
    Error(ErrorReply),
    /// It is the frame of that command, and one of these messages.
    Message(usize, Said),
    /// It carries data of a transfer.
    Data,
    /// A request for transfer data that could not be served.
    Refused,
}

/// A frame, read as a device's reply.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    /// The device's number.
    pub(super) device: usize,
    /// How strong the evidence is.
    pub(super) weight: Weight,
    /// The layout of the device's template.
    layout: u16,
    found: Found,
}

#[derive(Clone, Debug, Default)]
struct Found {
    what: What,
    /// It matches a rule of the command completely, except for bytes that depend on the request.
    is_whole: bool,
    has_key: bool,
    has_size: bool,
    /// A reply that carries no key, and the header has no part of a request's key.
    is_keyless: bool,
    /// Its header has constants of the reply that a request would not have.
    header_says_reply: bool,
    /// Other commands that it may answer equally well.
    others: Vec<usize>,
}

impl Guess {
    /// What the frame is, in words.
    pub(super) fn what(&self) -> &'static str {
        if matches!(self.found.what, What::Message(..)) { "a message" } else { "a reply" }
    }

    /// Whether its header marks it as a reply, however well it would fit a request.
    pub(super) fn is_no_request(&self) -> bool {
        self.weight == Weight::Reply && self.found.header_says_reply
    }
}

/// The best guess at the frame as a reply of one of these devices. `cmd` is the key of the command that it answers.
pub(super) fn guess(fsu: &Fsu, devices: Range<usize>, wire: &[u8], cmd: Option<&str>) -> Option<Guess> {
    // Of each device its other layouts too.
    let (chosen, asked) = (devices.clone(), devices.clone());
    let is_layout = move |number: &usize| {
        let home = fsu.devices.get(*number).and_then(|device| device.layouts.home);
        home.is_some_and(|home| chosen.contains(&usize::from(home))) && !chosen.contains(number)
    };
    let devices = devices.chain((0..fsu.devices.len()).filter(is_layout));
    let guesses = devices.filter_map(|device| of_device(fsu.devices.get(device)?, device, wire, cmd));
    let of_reply = asked.clone();
    let others = (0..fsu.devices.len()).filter(move |number| of_reply.contains(number)).flat_map(|number| {
        let device = &fsu.devices[number];
        reply_layouts(device).filter_map(move |layout| of_layout(device, (number, layout), wire))
    });
    let guesses = guesses.chain(others);
    // Ties go to the first one.
    let best = guesses.reduce(|best, next| if next.weight > best.weight { next } else { best });
    let said = messages::said(fsu, asked, wire).filter(|_| cmd.is_none());
    match (said, best) {
        (Some((device, layout, command, said)), best)
            if best.as_ref().is_none_or(|best| best.weight < Weight::Reply) =>
        {
            let found =
                Found { what: What::Message(command, said), is_whole: true, has_size: true, ..Found::default() };
            Some(Guess { device, weight: Weight::Reply, layout, found })
        }
        (_, best) => best,
    }
}

/// How well a rule's reply matches a frame. Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Agreement {
    key: bool,
    size: bool,
    /// Number of bytes that should be constant and differ.
    wrong: Reverse<usize>,
}

impl Agreement {
    pub(super) fn is_whole(self) -> bool {
        self.size && self.wrong == Reverse(0)
    }
}

fn of_device(device: &Device, number: usize, wire: &[u8], cmd: Option<&str>) -> Option<Guess> {
    let template = &*device.template;
    let mut raw = Vec::new();
    let frame = inner::parse(template, wire, &mut raw).ok()?;
    let is_good = inner::lengths_ok(template, &frame).is_ok() && inner::checksum_ok(template, &frame);
    let found = find(device, &frame, cmd);
    let weight = match (found.is_whole, found.has_key) {
        (true, _) if is_good => Weight::Reply,
        (false, true) if is_good && found.has_size => Weight::Sized,
        (false, true) if is_good => Weight::Loose,
        (true, _) | (_, true) => Weight::Command,
        (false, false) if is_good && found.has_size && found.is_keyless => Weight::Keyless,
        (false, false) => Weight::Framed,
    };
    Some(Guess { device: number, weight, layout: device.layouts.own, found })
}

/// A frame of a layout that only replies have.
fn of_layout(device: &Device, (number, layout): (usize, u16), wire: &[u8]) -> Option<Guess> {
    let template = &**device.layout(layout);
    let mut raw = Vec::new();
    let frame = inner::parse(template, wire, &mut raw).ok()?;
    if inner::lengths_ok(template, &frame).is_err() || !inner::checksum_ok(template, &frame) {
        return None;
    }
    let entry = layouts::entry(template, frame.raw)?;
    let what = What::Command(entry, "by its layout, which only replies have");
    Some(Guess {
        device: number,
        weight: Weight::Sized,
        layout,
        found: Found { what, has_size: true, ..Found::default() },
    })
}

/// The layouts of a device that only replies have.
fn reply_layouts(device: &Device) -> impl Iterator<Item = u16> {
    let all = device.layouts.all.iter().zip(0..);
    let is_asked = |layout: &Layout| layout.template.commands.iter().any(|command| !command.up);
    all.filter(move |(layout, _)| device.is_own() && !is_asked(layout)).map(|(_, number)| number)
}

/// What a frame of a device answers.
fn find(device: &Device, frame: &Frame<'_>, cmd: Option<&str>) -> Found {
    let template = &*device.template;
    if cmd.is_none() && is_data(template, frame) {
        return Found { what: What::Data, is_whole: true, header_says_reply: true, ..Found::default() };
    }
    let exactly = |reply: &Reply| agreement(template, None, reply, frame).is_whole();
    let is_error = |which: &ErrorReply| template.errors[*which as usize].as_deref().is_some_and(exactly);
    let error = ErrorReply::ALL.into_iter().find(is_error).map(What::Error);
    let refused = template.transfer.as_ref().filter(|transfer| exactly(&transfer.refused)).map(|_| What::Refused);
    let other = refused.or(error);
    let best = best_command(device, frame, cmd);
    let counts = |best: &Best<'_>| cmd.is_some() || best.agreement.is_whole() || (other.is_none() && best.is_likely());
    let Some(best) = best.filter(counts) else {
        let is_whole = other.is_some();
        return Found { what: other.unwrap_or_default(), is_whole, ..Found::default() };
    };
    let is_whole = best.agreement.is_whole();
    let differs = |reply: &Reply| header_differs(template, &template.commands[best.number], reply, frame);
    Found {
        what: What::Command(best.number, best.how(cmd)),
        is_whole,
        has_key: best.agreement.key,
        has_size: best.agreement.size,
        is_keyless: !asks(template, frame)
            && best.reply.is_some_and(|reply| !carries_key(template, &template.commands[best.number], reply)),
        header_says_reply: is_whole && best.reply.is_some_and(differs),
        others: best.others,
    }
}

/// Whether it carries data of a transfer.
fn is_data(template: &Template, frame: &Frame<'_>) -> bool {
    let transfer = template.transfer.as_ref();
    transfer.is_some_and(|transfer| frame.raw.get(transfer.cmd.clone()) == Some(&*transfer.data_cmd))
}

/// The command whose replies match a frame best.
struct Best<'a> {
    number: usize,
    reply: Option<&'a Reply>,
    agreement: Agreement,
    others: Vec<usize>,
}

impl Best<'_> {
    /// Whether the key matches, or at least the size.
    fn is_likely(&self) -> bool {
        self.agreement.key || self.agreement.size
    }

    fn how(&self, cmd: Option<&str>) -> &'static str {
        match (cmd, self.agreement) {
            (Some(_), _) => "as --cmd says",
            (None, agreement) if agreement.key && agreement.is_whole() => "by its key, its size and its constants",
            (None, Agreement { key: true, size: true, .. }) => {
                "by its key and its size; the rules here say other bytes"
            }
            (None, Agreement { key: true, .. }) => "by its key; the rules here build another size",
            (None, agreement) if agreement.is_whole() => "by its size and its constants; it carries no command's key",
            _ => "by its size alone; it carries no command's key, and the rules here say other bytes",
        }
    }
}

fn best_command<'a>(device: &'a Device, frame: &Frame<'_>, cmd: Option<&str>) -> Option<Best<'a>> {
    let template = &*device.template;
    let cmd = match cmd {
        Some(key) => Some(fsu_core::client::request::in_layout(device, key)?),
        None => None,
    };
    let wanted = cmd.and_then(|key| fsu_core::client::request::find_command(template, key).ok());
    let key = wanted.map(|number| &template.commands[number].key_text);
    let commands = template.commands.iter().enumerate();
    let commands = commands.filter(|(_, command)| cmd.is_none() || Some(&command.key_text) == key);
    let mut best: Option<Best<'a>> = None;
    for (number, command) in commands {
        let (reply, agreement) = best_reply(device, number, command, frame);
        match &mut best {
            Some(best) if agreement == best.agreement => best.others.push(number),
            Some(best) if agreement < best.agreement => {}
            _ => best = Some(Best { number, reply, agreement, others: Vec::new() }),
        }
    }
    best.map(|mut best| {
        // It does not matter which entry with the same key it is.
        let own = &template.commands[best.number].key_text;
        best.others.retain(|&other| template.commands[other].key_text != *own);
        best
    })
}

fn best_reply<'a>(
    device: &'a Device,
    number: usize,
    command: &Command,
    frame: &Frame<'_>,
) -> (Option<&'a Reply>, Agreement) {
    let template = &*device.template;
    let rules = device.rules.get(number).map(|rules| &**rules).unwrap_or_default();
    let replies = rules.iter().filter(|rule| !rule.timeout).flat_map(|rule| &rule.replies);
    // Raw bytes may be shorter than header and tail: such a reply has nothing in common with a frame.
    let around = template.left_len + template.tail_len;
    let replies = replies.filter(|reply| reply.frame.len() >= around);
    let agreed = replies.map(|reply| (Some(&**reply), agreement(template, Some(command), reply, frame)));
    let unruled = Agreement {
        key: fields::key_is(template, command, frame),
        size: frame.data_len == command.response_len,
        wrong: Reverse(usize::MAX),
    };
    agreed.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or((None, unruled))
}

pub(super) fn agreement(template: &Template, command: Option<&Command>, reply: &Reply, frame: &Frame<'_>) -> Agreement {
    let is_empty = frame.data_len == 0
        && (reply.refusal.is_some() || !matches!(reply.payload, Payload::None | Payload::Walked(_)));
    let walk = command.and_then(|command| command.reply_walk()).filter(|_| matches!(reply.payload, Payload::Walked(_)));
    let walks = walk.is_some_and(|walk| walk::check(walk, frame.raw).is_ok());
    let wrong = |at: &(usize, usize)| is_wrong(template, command, reply, frame, *at);
    Agreement {
        key: command.is_some_and(|command| fields::key_is(template, command, frame)),
        size: walks || (walk.is_none() && frame.data_len == reply.data_len) || is_empty,
        wrong: Reverse(places(template, reply, frame).filter(wrong).count()),
    }
}

/// The bytes that the reply and the frame have in common: header, tail, and the data frame if the lengths are equal. Each as its
/// index in the reply's frame and its index in the frame.
fn places(template: &Template, reply: &Reply, frame: &Frame<'_>) -> impl Iterator<Item = (usize, usize)> {
    let (len, has) = (reply.frame.len(), frame.raw.len());
    let data = if len == has { template.left_len..len - template.tail_len } else { 0..0 };
    let tail = (1..=template.tail_len).rev().map(move |back| (len - back, has - back));
    (0..template.left_len).map(|at| (at, at)).chain(data.map(|at| (at, at))).chain(tail)
}

/// Whether the frame's header has a part of any command's key.
fn asks(template: &Template, frame: &Frame<'_>) -> bool {
    let in_header = |part: &KeyPart| usize::try_from(part.at.0).is_ok_and(|at| at + part.len <= template.left_len);
    let mut parts = template.keys.iter().flat_map(|shape| &shape.parts).filter(|part| in_header(part));
    parts.any(|part| {
        let bytes = |raw: &'_ [u8]| {
            let at = part.at.in_frame(raw.len());
            raw.get(at..at + part.len).map(<[u8]>::to_vec)
        };
        let held = bytes(frame.raw);
        template.commands.iter().any(|command| bytes(&command.sample.to_vec()) == held)
    })
}

/// Whether a reply always carries the key of the command that it answers, where requests have it.
fn carries_key(template: &Template, command: &Command, reply: &Reply) -> bool {
    template.keys.iter().any(|shape| {
        let holds = |part: &KeyPart| {
            let (to, from) = (part.at.in_frame(reply.frame.len()), part.at.in_frame(command.sample.len()));
            (0..part.len).all(|byte| {
                let asked = command.sample.get(from + byte);
                asked.is_some() && known(template, Some(command), reply, to + byte) == asked
            })
        };
        reply.data_len >= shape.data_len_min && shape.parts.iter().all(holds)
    })
}

/// Whether the byte should be constant and differs.
fn is_wrong(
    template: &Template,
    command: Option<&Command>,
    reply: &Reply,
    frame: &Frame<'_>,
    (at, in_frame): (usize, usize),
) -> bool {
    known(template, command, reply, at).is_some_and(|should| frame.raw[in_frame] != should)
}

/// The byte that such a reply always has at this index; `None` if it varies.
fn known(template: &Template, command: Option<&Command>, reply: &Reply, at: usize) -> Option<u8> {
    let len = reply.frame.len();
    let mut computed = template.left.iter().chain(&template.tail).filter(|field| is_computed(field.computed));
    if computed.any(|field| (field.at.in_frame(len)..field.at.in_frame(len) + field.slot.len).contains(&at)) {
        return None;
    }
    match (predict::origin(reply, at), command) {
        (Origin::Constant, _) => reply.frame.get(at),
        // The request's key bytes are those of its command.
        (Origin::Request(from), Some(command)) => {
            let from = usize::try_from(from.0).ok()?;
            let is_key = |part: &KeyPart| {
                usize::try_from(part.at.0).is_ok_and(|place| (place..place + part.len).contains(&from))
            };
            let mut parts = template.keys.iter().flat_map(|shape| &shape.parts);
            parts.any(is_key).then(|| command.sample.get(from)).flatten()
        }
        _ => None,
    }
}

fn is_computed(computed: Computed) -> bool {
    matches!(computed, Computed::Length | Computed::Checksum)
}

/// Whether the header has constants of a reply where a request of the command would have other values.
fn header_differs(template: &Template, command: &Command, reply: &Reply, frame: &Frame<'_>) -> bool {
    let known =
        |at: usize| known(template, Some(command), reply, at).filter(|byte| command.sample.get(at) != Some(*byte));
    let mut differing = (0..template.left_len).filter_map(|at| Some((at, known(at)?))).peekable();
    differing.peek().is_some() && differing.all(|(at, byte)| frame.raw[at] == byte)
}

/// Fills in the explanation of a frame from the FSU.
pub(super) fn fill(item: &mut Item, fsu: &Fsu, guess: &Guess, wire: &[u8]) {
    let Some(device) = fsu.devices.get(guess.device) else { return };
    let template = &**device.layout(guess.layout);
    item.device = Some(answer::device_text(device));
    item.answers = Some(answers(template, guess));
    item.verdict = match &guess.found.what {
        What::Message(_, said) => said.verdict(),
        _ => verdict("a reply of the FSU"),
    };
    let mut raw = Vec::new();
    let Ok(frame) = inner::parse(template, wire, &mut raw) else { return };
    let command = match &guess.found.what {
        What::Command(number, _) | What::Message(number, _) => template.commands.get(*number),
        _ => None,
    };
    item.layers.extend(fields::layers(View { device, template, command, reply: None, is_reply: true }, &frame));
    let lengths = inner::lengths_ok(template, &frame).err();
    let checksum = (!inner::checksum_ok(template, &frame)).then_some(Reason::BadChecksum);
    for reason in lengths.into_iter().chain(checksum) {
        let mut fault = answer::bad_frame(device, &frame, reason);
        if reason == Reason::BadChecksum {
            fault.meaning = "inner: the checksum is wrong".into();
        }
        item.faults.push(fault);
    }
}

fn answers(template: &Template, guess: &Guess) -> Answers {
    let key = |number: &usize| template.commands.get(*number).map(|command| command.key_text.to_string());
    let (command, text) = match &guess.found.what {
        What::Command(number, how) => (key(number), format!("answers {}, {how}", key(number).unwrap_or_default())),
        What::Message(number, said) => (key(number), said.text(&key(number).unwrap_or_default())),
        What::Error(which) => (None, format!("answers a wrong request: the template's errors.{}", which.name())),
        What::Data => (None, "carries data of a transfer".into()),
        What::Refused => (None, "refuses a demand for data".into()),
        What::Unknown => (None, "answers no command that the template shows (--cmd KEY says which)".into()),
    };
    let mut others: Vec<String> = guess.found.others.iter().filter_map(key).collect();
    others.dedup();
    Answers { command, text, others }
}

/// The verdict on a frame from the FSU.
pub(super) fn verdict(what: &str) -> Verdict {
    Verdict { what: "from the FSU", reason: Some("from_the_fsu"), text: format!("{what}: nothing answers it") }
}
