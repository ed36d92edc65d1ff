//! What makes requests of one command differ: a counter in bytes that every reply copies. Pure.
//!
//! The plan shows these bytes: those that the rules copy from the request, except those that decide anything. Number 0 is the
//! request as the template has it.

use crate::expect::Expect;
use crate::workload::left_out::{self, overlap};
use crate::workload::options::OPEN_MAX;
use fsu_plan::model::field::{Computed, Field, Kind, Offset, Slot};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::{Expr, Part, Patch, Payload, Reply};
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::{Command, Encoding, Framing, Template};
use fsu_plan::model::walk::{Put, Walk};
use std::sync::Arc;

/// Enough marks: a thread has no more requests under way. No further field is taken then.
pub const MARKS_ENOUGH: u64 = OPEN_MAX as u64;

/// A byte that takes several values.
#[derive(Debug, PartialEq, Eq)]
struct Digit {
    at: usize,
    /// The first is that of the template.
    values: Box<[u8]>,
}

/// How requests differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Marks {
    /// The one that changes most often first.
    digits: Box<[Digit]>,
    count: u64,
}

/// The request to be marked.
#[derive(Clone, Copy, Debug)]
pub struct Marked<'a> {
    /// The device.
    pub device: &'a Device,
    /// Number of the command.
    pub command: usize,
    /// The raw request, finished.
    pub raw: &'a [u8],
    /// What its replies look like.
    pub expect: &'a Expect,
}

impl Marks {
    /// How requests can differ, except in these places (given, or made for each request). `None`: no reply copies a byte that may
    /// differ.
    pub fn new(asked: Marked<'_>, fixed: &[(Offset, usize)]) -> Option<Self> {
        let Marked { device, command, raw, .. } = asked;
        let template = &*device.template;
        let rules = device.rules.get(command).map_or(&[][..], |rules| rules);
        // What a request has may select a case of the reply.
        let chooses = |reply: &Arc<Reply>| matches!(&reply.payload, Payload::Walked(steps) if steps.chooses());
        if rules.iter().flat_map(|rule| rule.replies.iter()).any(chooses) {
            return None;
        }
        let fields = template.commands[command].request.iter().flatten();
        let is_free = |field: &&Field| {
            let place = (field.at, field.slot.len);
            let is_fixed = fixed.iter().any(|other| meet(place, *other, raw.len()));
            field.computed == Computed::No && !is_fixed && !decides(template, command, rules, place, raw.len())
        };
        let mut free: Vec<&Field> = fields.chain(&template.left).chain(&template.tail).filter(is_free).collect();
        // What a rule only copies goes before what it also reads: registers and texts have sizes of their own.
        free.sort_by_key(|field| is_read(rules, (field.at, field.slot.len), raw.len()));
        let mut marks = Self { digits: Box::default(), count: 1 };
        for field in free {
            if marks.count >= MARKS_ENOUGH {
                break;
            }
            marks.take(asked, field);
        }
        (marks.count > 1).then_some(marks)
    }

    /// Takes those bytes of a field that come back, if the request stays one of its command and its rule with them.
    fn take(&mut self, asked: Marked<'_>, field: &Field) {
        let Marked { device, command, raw, expect } = asked;
        let template = &*device.template;
        let at = field.at.in_frame(raw.len());
        let ends: &[u8] = match (template.framing, template.encoding) {
            // An end within a frame may cut a stream.
            (Framing::Delimited, Encoding::Binary) => template.delimiter().0,
            _ => &[],
        };
        let digit = |place: usize| {
            let first = *raw.get(at + place)?;
            let mut values = vec![first];
            values.extend(values_after(&field.slot, first).filter(|value| *value != first && !ends.contains(value)));
            (expect.echoes(at + place) && values.len() > 1).then(|| Digit { at: at + place, values: values.into() })
        };
        let mut more: Vec<Digit> = low_first(&field.slot).filter_map(digit).collect();
        let free = |digit: &Digit| {
            let sample = [1, digit.values.len() / 2, digit.values.len() - 1].map(|number| digit.values[number]);
            sample.iter().all(|value| {
                let mut changed = raw.to_vec();
                changed[digit.at] = *value;
                left_out::applies_as(device, command, raw, &mut changed)
            })
        };
        more.retain(free);
        let count = more.iter().fold(self.count, |count, digit| count.saturating_mul(digit.values.len() as u64));
        let digits = std::mem::take(&mut self.digits);
        *self = Self { digits: digits.into_iter().chain(more).collect(), count };
    }

    /// How many there are, at least 2.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Writes mark number `number` (they repeat after [`Self::count`]) into a raw request.
    #[inline]
    pub fn write(&self, mut number: u64, raw: &mut [u8]) {
        for digit in &self.digits {
            let values = digit.values.len() as u64;
            if let Some(byte) = raw.get_mut(digit.at) {
                *byte = digit.values[(number % values) as usize];
            }
            number /= values;
        }
    }
}

/// Do two places share a byte?
fn meet((at, len): (Offset, usize), (other, other_len): (Offset, usize), raw_len: usize) -> bool {
    let (at, other) = (at.in_frame(raw_len), other.in_frame(raw_len));
    at < other + other_len && other < at + len
}

/// Does anything but the reply's copies depend on this place: which command it is, its lengths, which rule answers?
fn decides(template: &Template, command: usize, rules: &[Rule], place: (Offset, usize), raw_len: usize) -> bool {
    let is_key = template.keys.iter().flat_map(|shape| shape.parts.iter());
    let mut keys = is_key.map(|part| (part.at, part.len));
    let command: &Command = &template.commands[command];
    let lengths = template.lengths.iter().chain(command.counts.iter().map(|count| &count.length));
    let constants = template.versions.iter().chain(&command.constants).chain(&command.lengths);
    let when = rules.iter().flat_map(|rule| rule.when.iter());
    keys.any(|key| meet(place, key, raw_len))
        || lengths.map(|length| (length.at, length.len)).any(|length| meet(place, length, raw_len))
        || constants.chain(when).any(|constant| overlap(place, constant, raw_len))
        || command.made.iter().any(|made| meet(place, (made.field.at, made.field.slot.len), raw_len))
        || rules.iter().any(|rule| tells_form(rule, place, raw_len) || left_out::tests(rule, place, raw_len))
        || command.request_walk().is_some_and(|walk| shapes(walk, place, raw_len))
}

/// Does a size, count or case of the request depend on this place?
fn shapes(walk: &Walk, place: (Offset, usize), raw_len: usize) -> bool {
    walk.fixed_sources().any(|source| meet(place, source, raw_len))
}

/// Is this place copied to the field that marks a refusal?
fn tells_form(rule: &Rule, place: (Offset, usize), raw_len: usize) -> bool {
    rule.replies.iter().any(|reply| {
        let Some(refusal) = &reply.refusal else { return false };
        reply.patches.iter().any(|patch| match patch {
            Patch::Copy { from, to, len } | Patch::CopyReversed { from, to, len } => {
                meet(place, (*from, *len), raw_len) && *to < refusal.at + refusal.len && refusal.at < to + len
            }
            Patch::Number { .. } | Patch::Text { .. } => false,
        })
    })
}

/// Does a register or a text of these rules take this place's value?
fn is_read(rules: &[Rule], place: (Offset, usize), raw_len: usize) -> bool {
    let reads = |value: &Expr| {
        value.parts.iter().any(|part| match part {
            Part::Field { at, slot } => meet(place, (*at, slot.len), raw_len),
            Part::Calc(calc) => calc.places().any(|other| meet(place, other, raw_len)),
            _ => false,
        })
    };
    let walked = |reply: &Arc<Reply>| {
        let steps = if let Payload::Walked(steps) = &reply.payload { Some(steps) } else { None };
        steps.is_some_and(|steps| steps.ops.iter().any(|op| matches!(op, Put::Text(text) if reads(&text.value))))
    };
    rules.iter().any(|rule| {
        let patches = rule.replies.iter().flat_map(|reply| reply.patches.iter());
        let mut texts = patches.filter_map(|patch| match patch {
            Patch::Text { value, .. } => Some(value),
            _ => None,
        });
        texts.any(reads) || rule.replies.iter().any(walked) || rule.sets.iter().any(|set| reads(&set.value))
    })
}

/// The bytes of a field that may differ, the low ones first.
fn low_first(slot: &Slot) -> impl Iterator<Item = usize> + use<> {
    let len = slot.len;
    // Of a float only those below the exponent: every value stays a small number.
    let free = match slot.kind.base() {
        Kind::F32 | Kind::F64 => len.saturating_sub(2),
        _ => len,
    };
    let is_text = *slot.kind.base() == Kind::Str;
    let little = slot.little || is_text;
    (0..free).map(move |place| if little { place } else { len - 1 - place })
}

/// What a byte of a field may be, from what it is in the template on. Nothing, where its notation has no value for such a byte.
fn values_after(slot: &Slot, first: u8) -> Box<dyn Iterator<Item = u8>> {
    match slot.kind.base() {
        Kind::Bcd => {
            let number = |byte: u8| (byte >> 4 <= 9 && byte & 15 <= 9).then_some((byte >> 4) * 10 + (byte & 15));
            match number(first) {
                Some(first) => Box::new((1..100).map(move |more| {
                    let number = (first + more) % 100;
                    ((number / 10) << 4) | (number % 10)
                })),
                None => Box::new(std::iter::empty()),
            }
        }
        Kind::Dec if first.is_ascii_digit() => Box::new(b'0'..=b'9'),
        Kind::HexDigits { .. } if first.is_ascii_hexdigit() => Box::new((b'0'..=b'9').chain(b'A'..=b'F')),
        Kind::Str => Box::new((b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z')),
        Kind::Dec | Kind::HexDigits { .. } | Kind::Sbcd | Kind::Cp56 | Kind::Coded(_) | Kind::Length => {
            Box::new(std::iter::empty())
        }
        _ => Box::new((1..=255).map(move |more| first.wrapping_add(more))),
    }
}
