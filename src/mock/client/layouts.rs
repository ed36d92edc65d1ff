//! Replies of other layouts, as a client reads them (`frames` of a template, spec shapes.md).

use fsu_plan::model::field::KeyPart;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::{self, Payload};
use fsu_plan::model::rule::{FrameOf, Rule};
use fsu_plan::model::template::{Command, Template};
use fsu_plan::model::walk::Walk;
use fsu_plan::wire::checksum::write_number;
use fsu_plan::wire::coding;
use fsu_plan::wire::inner::{self, encode_wire};
use fsu_plan::wire::walk;
use std::sync::Arc;

/// A reply of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'d> {
    /// The layout that it has; of bytes as they are that of the request, which does not matter.
    pub template: &'d Arc<Template>,
    /// The reply.
    pub reply: &'d reply::Reply,
}

/// All replies of a rule of a device, each with its layout; none of a `timeout`.
pub fn replies_of<'d>(device: &'d Device, rule: &'d Rule) -> impl Iterator<Item = Reply<'d>> {
    let replies = rule.replies.iter().filter(|_| !rule.timeout).enumerate();
    replies.map(|(number, reply)| {
        let layout = rule.frames.get(number).map(|frame| frame.layout);
        Reply { template: layout.map_or(&device.template, |layout| device.layout(layout)), reply }
    })
}

/// Bytes that a reply is as they are: on the wire, where an envelope may be around them, and the bytes.
pub fn as_it_is(template: &Template, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut wire = Vec::new();
    coding::send_as_it_is(template, plain, &mut wire);
    (wire, plain.to_vec())
}

/// Whether the bytes are a whole frame of this layout, with right lengths and checksum.
pub fn is_whole(template: &Template, wire: &[u8], raw: &mut Vec<u8>) -> bool {
    inner::parse(template, wire, raw)
        .is_ok_and(|frame| inner::reply_lengths_ok(template, &frame).is_ok() && inner::checksum_ok(template, &frame))
}

/// What the replies to one command of a device may be, besides frames of the request's layout.
#[derive(Clone, Debug, Default)]
pub struct Others<'d> {
    layouts: Vec<&'d Template>,
    /// Bytes as they are: on the wire, and the bytes.
    plain: Vec<(Vec<u8>, Vec<u8>)>,
    walks: Vec<(&'d Template, &'d Walk)>,
}

impl<'d> Others<'d> {
    /// Of the command's rules.
    pub fn of(device: &'d Device, command: usize) -> Self {
        let mut others = Self::default();
        let rules = || device.rules.get(command).into_iter().flatten();
        for rule in rules().filter(|rule| !rule.timeout) {
            let own = FrameOf { layout: device.layouts.own, command: Some(command as u32) };
            let frames = if rule.frames.is_empty() { std::slice::from_ref(&own) } else { &*rule.frames };
            for frame in frames {
                let template = &**device.layout(frame.layout);
                let entry = frame.command.and_then(|number| template.commands.get(number as usize));
                let walk = entry.and_then(|entry| entry.reply_walk());
                others.walks.extend(walk.map(|walk| (template, &**walk)));
            }
        }
        for Reply { template, reply } in rules().flat_map(|rule| replies_of(device, rule)) {
            if matches!(reply.payload, Payload::Raw) {
                others.plain.push(as_it_is(template, &reply.frame.to_vec()));
            } else if !Arc::ptr_eq(template, &device.template)
                && !others.layouts.iter().any(|known| std::ptr::eq(*known, Arc::as_ptr(template)))
            {
                others.layouts.push(template);
            }
        }
        others
    }

    /// Reads a reply: the raw frame, or the bytes as they are. `None`: it is none of these.
    pub fn read<'w>(&self, wire: &'w [u8], scratch: &'w mut Vec<u8>) -> Option<&'w [u8]> {
        if let Some((_, plain)) = self.plain.iter().find(|(plain, _)| **plain == *wire) {
            scratch.clone_from(plain);
            return Some(scratch);
        }
        // A layout without length and end takes any bytes: some entry has to have their size.
        let mut fits = |template: &Template| {
            is_whole(template, wire, scratch) && {
                let raw = inner::parsed(template, wire, scratch).raw;
                template.commands.iter().any(|command| has_size(template, command, raw))
            }
        };
        let template = self.layouts.iter().find(|template| fits(template))?;
        Some(inner::parsed(template, wire, scratch).raw)
    }

    /// The size of a reply at the beginning of a stream whose fields vary in size: the fewest bytes that are one, whole.
    pub fn walked_len(&self, stream: &[u8], scratch: &mut Vec<u8>) -> Option<usize> {
        let mut fits = |template: &Template, walk: &Walk, wire: &[u8]| {
            is_whole(template, wire, scratch) && {
                let raw = inner::parsed(template, wire, scratch).raw;
                walk::check(walk, raw).is_ok_and(|end| end + walk.tail_len == raw.len())
            }
        };
        (1..=stream.len()).find(|&len| self.walks.iter().any(|(template, walk)| fits(template, walk, &stream[..len])))
    }

    /// Whether it is one of these.
    pub fn is_whole(&self, wire: &[u8], scratch: &mut Vec<u8>) -> bool {
        self.read(wire, scratch).is_some()
    }
}

/// How a client reads a raw reply.
#[derive(Clone, Copy, Debug)]
pub struct Told<'d> {
    /// Its layout.
    pub template: &'d Template,
    /// The number of its entry; `None`: bytes as they are.
    pub command: Option<usize>,
}

/// Which layout and entry a raw reply to a command is of: of the replies that the command's rules have, the first layout that it fits
/// whole, and in it the entry that it fits best. Without such a reply it is read as the command's own.
pub fn told<'d>(device: &'d Device, command: usize, raw: &[u8]) -> Told<'d> {
    let own = Told { template: &device.template, command: Some(command) };
    let rules = || device.rules.get(command).into_iter().flatten().filter(|rule| !rule.frames.is_empty());
    let frames = || rules().flat_map(|rule| rule.frames.iter().zip(&rule.replies));
    let mut layouts: Vec<u16> = frames().map(|(frame, _)| frame.layout).collect();
    layouts.sort_by_key(|&layout| (layout != device.layouts.own, layout));
    layouts.dedup();
    for layout in layouts {
        let template = &**device.layout(layout);
        let (mut wire, mut scratch) = (Vec::new(), Vec::new());
        encode_wire(template, raw, &mut wire);
        if !is_whole(template, &wire, &mut scratch) {
            continue;
        }
        let entries = frames().filter(|(frame, _)| frame.layout == layout).filter_map(|(frame, _)| frame.command);
        let fitting = entries.map(|entry| (fit(template, entry as usize, raw), entry as usize));
        // Of equals the first.
        let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((_, entry)) = best.filter(|(fit, _)| *fit > Fit::Not) {
            return Told { template, command: Some(entry) };
        }
    }
    let is_plain =
        |(frame, reply): (&FrameOf, &Arc<reply::Reply>)| frame.command.is_none() && *reply.frame.to_vec() == *raw;
    if frames().any(is_plain) { Told { command: None, ..own } } else { own }
}

/// The entry of a layout that a raw reply fits best; the first of equals. `None`: it fits none.
pub fn entry(template: &Template, raw: &[u8]) -> Option<usize> {
    let fitting = (0..template.commands.len()).map(|number| (fit(template, number, raw), number));
    let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.filter(|(fit, _)| *fit > Fit::Not).map(|(_, number)| number)
}

/// Whether a raw frame has the size of a reply of this entry.
fn has_size(template: &Template, command: &Command, raw: &[u8]) -> bool {
    match command.reply_walk() {
        Some(walk) => walk::check(walk, raw).is_ok_and(|end| end + walk.tail_len == raw.len()),
        None => raw.len() == template.left_len + command.response_len + template.tail_len,
    }
}

/// How well a raw frame fits an entry of its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Not at all.
    Not,
    /// It has the key or the size.
    Half,
    /// It has both.
    Whole,
}

fn fit(template: &Template, entry: usize, raw: &[u8]) -> Fit {
    let Some(command) = template.commands.get(entry) else { return Fit::Not };
    let has_size = has_size(template, command, raw);
    let has = |key: bool, size: bool| match (key, size) {
        (true, true) => Fit::Whole,
        (false, false) => Fit::Not,
        _ => Fit::Half,
    };
    // Entries that only replies have are in no table of keys: all shapes are tried.
    let in_frame = |part: &&KeyPart| part.at.0 < 0 || part.at.0 as usize + part.len <= template.left_len;
    let Some(shape) = template.keys.first().filter(|shape| shape.parts.iter().all(|part| in_frame(&part))) else {
        return has(false, has_size);
    };
    let mut rest = command.key;
    let mut has_key = true;
    for part in shape.parts.iter().rev() {
        let mut bytes = [0; 8];
        let Some(bytes) = bytes.get_mut(..part.len) else { return Fit::Not };
        write_number(rest as u64, part.little, bytes);
        rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
        let at = part.at.in_frame(raw.len());
        has_key &= raw.get(at..at + part.len) == Some(bytes);
    }
    has(has_key, has_size)
}
