//! What the messages of a device look like: their rules' frames, predicted symbolically as replies are.

use crate::expect::Wrong;
use crate::talk::own::{OwnValue, own_values};
use fsu_core::client::layouts::{as_it_is, entry};
use fsu_core::predict::{self, Origin, forms_to};
use fsu_plan::model::conversation::Conversation;
use fsu_plan::model::field::KeyPart;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::{Payload, Reply};
use fsu_plan::model::rule::FrameOf;
use fsu_plan::model::template::{Encoding, Template};
use fsu_plan::model::walk::Walk;
use fsu_plan::wire::{inner, walk};
use std::ops::Range;
use std::sync::Arc;

/// What a frame was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The message of the form with that number, and right.
    Right(u32),
    /// Wrong; the number of the message that it is meant to be, where its key says so.
    Wrong(Option<u16>, Wrong),
}

/// The deepest of what is wrong with a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wrongness(Option<(Option<u16>, Wrong)>);

impl Wrongness {
    pub(super) fn add(&mut self, wrong: Wrong, message: Option<u16>) {
        if self.0.is_none_or(|(_, before)| wrong.depth() > before.depth()) {
            self.0 = Some((message, wrong));
        }
    }

    pub(super) fn said(self) -> Said {
        self.0.map_or(Said::Wrong(None, Wrong::Key), |(message, wrong)| Said::Wrong(message, wrong))
    }
}

/// One form of one message.
#[derive(Debug)]
pub struct Form {
    /// Number of the message in its conversation.
    pub message: u16,
    /// Number of the frame in its message, from 0: a message may be several.
    pub part: u16,
    /// The frame's layout.
    pub template: Arc<Template>,
    /// The entry of the layout; `None`: bytes as they are.
    pub command: Option<usize>,
    /// Values that each FSU has of its own.
    pub own: Box<[OwnValue]>,
    /// Some byte differs from one message to the next: two equal frames are one message sent twice.
    pub varies: bool,
    frame: Box<[u8]>,
    /// Places that are always the same.
    fixed: Box<[Range<usize>]>,
    /// The size varies, by this program.
    walk: Option<Arc<Walk>>,
    /// The program of its entry, also where the size is known.
    elements: Option<Arc<Walk>>,
    /// Bytes as they are, on the wire.
    plain: Option<Box<[u8]>>,
}

impl Form {
    /// The raw frame; bytes that are not always the same are as the template has them.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Bytes that are always the same, the FSU's own included.
    pub fn weight(&self) -> usize {
        self.fixed.iter().map(Range::len).sum::<usize>() + self.own.iter().map(|own| own.slot.len).sum::<usize>()
    }

    /// Bytes on the wire; `None`: they vary.
    pub fn wire_len(&self) -> Option<usize> {
        match (&self.plain, &self.walk) {
            (Some(plain), _) => Some(plain.len()),
            (None, None) => Some(self.template.sent_len(self.frame.len())),
            (None, Some(_)) => None,
        }
    }

    /// The program by which its size varies.
    pub fn walk(&self) -> Option<&Walk> {
        self.walk.as_deref()
    }

    /// The program of its elements behind a field of variable size.
    pub fn elements(&self) -> Option<&Walk> {
        self.elements.as_deref()
    }

    /// On the wire, of bytes as they are.
    pub fn plain(&self) -> Option<&[u8]> {
        self.plain.as_deref()
    }

    /// Is it of bytes as they are, and are these they?
    pub fn is_plain(&self, wire: &[u8]) -> bool {
        self.plain.as_ref().is_some_and(|plain| **plain == *wire)
    }

    /// May a frame that begins so, and has that many bytes in all, become this message?
    pub fn may_become(&self, beginning: &[u8], size: usize) -> bool {
        if self.wire_len().is_some_and(|len| len != size) || self.template.encoding != Encoding::Binary {
            return self.template.encoding == Encoding::Coded || self.wire_len().is_none_or(|len| len == size);
        }
        self.fixed.iter().filter(|place| place.start < beginning.len()).all(|place| {
            let end = place.end.min(beginning.len());
            beginning.get(place.start..end) == self.frame.get(place.start..end)
        })
    }

    /// Does a raw frame have its key? Where the key is not in the header, the entry that the frame fits best is compared.
    pub fn has_key(&self, raw: &[u8]) -> bool {
        let Some(command) = self.command.and_then(|number| self.template.commands.get(number)) else { return false };
        let in_header = |part: &KeyPart| part.at.0 < 0 || part.at.0 as usize + part.len <= self.template.left_len;
        match self.template.keys.first() {
            Some(shape) if shape.parts.iter().all(in_header) => inner::key(shape, raw) == command.key,
            _ => entry(&self.template, raw) == self.command,
        }
    }

    /// Is a raw frame of its layout, whole and with right lengths and checksum, this message? The FSU's own values are not compared.
    pub fn check(&self, raw: &[u8]) -> Result<(), Wrong> {
        let has_size = match &self.walk {
            Some(walk) => walk::check(walk, raw).is_ok_and(|end| end + walk.tail_len == raw.len()),
            None => raw.len() == self.frame.len(),
        };
        if !has_size || self.plain.is_some() {
            return Err(Wrong::Size);
        }
        let same = |place: &Range<usize>| raw.get(place.clone()) == self.frame.get(place.clone());
        if self.fixed.iter().all(same) { Ok(()) } else { Err(Wrong::Static) }
    }
}

/// All forms of all messages of a device.
pub fn forms_of(device: &Device, conversation: &Conversation) -> Vec<Form> {
    let mut forms = Vec::new();
    for (message, number) in conversation.messages.iter().zip(0..) {
        let rule = &message.rule;
        for (reply, index) in rule.replies.iter().zip(0..) {
            // The entries of a cycle may all be of one frame.
            let frame = rule.frames.get(index).or(rule.frames.last()).copied();
            let frame = frame.unwrap_or(FrameOf { layout: device.layouts.own, command: None });
            let part = if rule.frames.len() > 1 && rule.cycle.is_none() { index as u16 } else { 0 };
            forms.extend(of_reply(device, frame, reply).into_iter().map(|form| Form { message: number, part, ..form }));
        }
    }
    forms
}

/// The forms of one frame.
fn of_reply(device: &Device, frame: FrameOf, reply: &Reply) -> Vec<Form> {
    let template = device.layout(frame.layout);
    let command = frame.command.map(|number| number as usize);
    let known = forms_to(template, reply, &[]);
    let walk = command.and_then(|number| template.commands.get(number)).and_then(|command| command.reply_walk());
    let is_open = known.is_err();
    let shapes = known.unwrap_or_else(|_| predict::forms(template, reply));
    let form = |shape: predict::Form| {
        let mut fixed = places(&shape.origins);
        // Behind what varies in size places move.
        let still = walk.map_or(shape.frame.len(), |walk| walk.at);
        let own = own_values(reply, still.min(shape.frame.len()));
        let elements = walk;
        let walk = walk.filter(|_| is_open);
        if let Some(walk) = walk {
            // Behind it places move, and lengths before it say how far.
            let lengths = template.lengths.iter().chain(&*walk.lengths).filter_map(|field| {
                let at = usize::try_from(field.at.0).ok()?;
                Some(at..at + field.len)
            });
            fixed = lengths.fold(within(fixed, walk.at), |fixed, length| without(fixed, &length));
        }
        let is_plain = matches!(reply.payload, Payload::Raw);
        let summed: Vec<Range<usize>> = template
            .checksums()
            .map(|sum| {
                let at = sum.at.in_frame(shape.frame.len());
                at..at + sum.len
            })
            .collect();
        let is_sum = |at: usize| summed.iter().any(|sum| sum.contains(&at));
        let varies = walk.is_some()
            || shape.origins.iter().enumerate().any(|(at, origin)| {
                *origin != Origin::Constant
                    && !is_sum(at)
                    && !own.iter().any(|own: &OwnValue| (own.at..own.at + own.slot.len).contains(&at))
            });
        Form {
            message: 0,
            part: 0,
            template: Arc::clone(template),
            command,
            varies,
            plain: is_plain.then(|| as_it_is(template, &shape.frame).0.into()),
            frame: shape.frame.into(),
            fixed: fixed.into(),
            own: own.into(),
            walk: walk.cloned(),
            elements: elements.cloned(),
        }
    };
    shapes.into_iter().map(form).collect()
}

/// The places whose bytes are always the same.
fn places(origins: &[Origin]) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    for (at, _) in origins.iter().enumerate().filter(|(_, origin)| **origin == Origin::Constant) {
        match places.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => places.push(at..at + 1),
        }
    }
    places
}

/// Of these places, what is before `end`.
fn within(places: Vec<Range<usize>>, end: usize) -> Vec<Range<usize>> {
    let cut = places.into_iter().map(|place| place.start..place.end.min(end));
    cut.filter(|place| place.start < place.end).collect()
}

/// These places without one.
fn without(places: Vec<Range<usize>>, out: &Range<usize>) -> Vec<Range<usize>> {
    let around = |place: Range<usize>| [place.start..place.end.min(out.start), place.start.max(out.end)..place.end];
    places.into_iter().flat_map(around).filter(|place| place.start < place.end).collect()
}
