//! Commands that a run leaves out, and why; and the values that a rule's `when` needs in a request. Pure.

use crate::workload::solve::write_equal;
use fsu_core::answer::rule::candidates;
use fsu_core::client::request::{field, finish};
use fsu_core::predict::Open;
use fsu_plan::model::field::{Constant, Field, Offset};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::rule::Rule;
use fsu_plan::wire::inner;

/// Why a command is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no rule.
    NoRule,
    /// The rule that applies is a `timeout`.
    Timeout,
    /// Every rule asks for values that its request does not carry.
    Values,
    /// The size of a reply is not known.
    Size(Open),
    /// What the device remembers, or the clock, decides whether and how often it is answered.
    State,
}

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoRule => "no rule answers it",
            Self::Timeout => "its rule is a `timeout`",
            Self::Values => "its rules ask for values (`when`) that its request does not carry",
            Self::Size(Open::Beyond) => "the size of its reply depends on more than the request",
            Self::Size(Open::Items) => "its reply makes a list of the request's items, whose size is not predicted",
            Self::Size(Open::Misfit) => "a value of its reply has a size that what counts it cannot say",
            Self::State => "registers, memory or the clock (`when`) decide how many replies it has",
        }
    }

    /// What makes a run ask it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoRule => "give it a rule",
            Self::Timeout => "name it in --mix, and silence is right",
            Self::Values => "give them with --values",
            Self::Size(Open::Beyond) => "give fields of variable size constants, or values of the request",
            Self::Size(Open::Items) => "copy the whole list (`#{list}#`), or give it as an array",
            Self::Size(Open::Misfit) => "give the request other values with --values",
            Self::State => "give all its rules the same number of replies, and the last one no `when`",
        }
    }
}

/// A command that is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its row in reports.
    pub label: usize,
    /// Why.
    pub why: Why,
    /// The first FSU that is not asked it.
    pub fsu: Box<str>,
    /// How many FSUs are not asked it.
    pub fsus: usize,
}

/// Rules between which more than the request decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// All of them send as many replies.
    Rule,
    /// They differ in how many.
    Answers,
}

/// Whether more than the request decides which rule answers it.
pub fn doubt(device: &Device, command: usize, wire: &[u8]) -> Option<Doubt> {
    let mut scratch = Vec::new();
    let frame = inner::parse(&device.template, wire, &mut scratch).ok()?;
    let (rules, is_sure) = candidates(device, command, &frame);
    let many = |rule: &&Rule| if rule.timeout { 0 } else { rule.burst.max(1) };
    let first = rules.first().map(many);
    match rules.len() {
        0 => None,
        1 if is_sure => None,
        _ if is_sure && rules.iter().all(|rule| Some(many(rule)) == first) => Some(Doubt::Rule),
        _ => Some(Doubt::Answers),
    }
}

/// Whether the condition of a rule reads a place of the request.
pub fn tests(rule: &Rule, (at, len): (Offset, usize), raw_len: usize) -> bool {
    let at = at.in_frame(raw_len);
    rule.test.as_ref().is_some_and(|test| {
        test.places().any(|(other, other_len)| {
            let other = other.in_frame(raw_len);
            at < other + other_len && other < at + len
        })
    })
}

/// Why nothing comes back where `rule` applies.
pub fn why(device: &Device, command: usize, rule: Option<&Rule>) -> Why {
    match rule {
        Some(_) => Why::Timeout,
        None if device.rules.get(command).is_none_or(|rules| rules.is_empty()) => Why::NoRule,
        None => Why::Values,
    }
}

/// Writes the `when` values of a rule into a raw request, except in fields that are given: of the first rule that then answers it.
/// `None`: there is no such rule, and the request is unchanged.
pub fn fit<'a>(device: &'a Device, command: usize, given: &[&str], raw: &mut Vec<u8>) -> Option<&'a Rule> {
    let template = &*device.template;
    let fields = given.iter().filter_map(|name| field(template, &template.commands[command], name));
    let given: Vec<&Field> = fields.collect();
    let rules = device.rules.get(command)?;
    rules.iter().filter(|rule| !rule.timeout).find(|rule| {
        let is_given =
            |place: (Offset, usize), len: usize| given.iter().any(|field| meet((field.at, field.slot.len), place, len));
        let mut fitted = raw.clone();
        for when in &rule.when {
            if !is_given((when.at, when.bytes.len()), raw.len()) {
                put(when, &mut fitted);
            }
        }
        let fits = |raw: &mut [u8]| applies(device, command, raw).is_some_and(|found| std::ptr::eq(found, *rule));
        let fits = fits(&mut fitted)
            || rule.test.as_ref().is_some_and(|test| {
                write_equal(test, |place| is_given(place, raw.len()), &mut fitted);
                fits(&mut fitted)
            });
        if fits {
            *raw = fitted;
        }
        fits
    })
}

/// The bits that a constant asks for.
fn put(constant: &Constant, raw: &mut [u8]) {
    let at = constant.at.in_frame(raw.len());
    for (index, want) in constant.bytes.iter().enumerate() {
        let mask = constant.mask.get(index).copied().unwrap_or(0xFF);
        if let Some(byte) = raw.get_mut(at + index) {
            *byte = (*byte & !mask) | (want & mask);
        }
    }
}

/// Do these bytes and those that a rule asks for share a place, in a raw frame of that size?
pub fn overlap((at, len): (Offset, usize), when: &Constant, raw_len: usize) -> bool {
    meet((at, len), (when.at, when.bytes.len()), raw_len)
}

/// Do two places share a byte, in a raw frame of that size?
fn meet((at, len): (Offset, usize), (other, other_len): (Offset, usize), raw_len: usize) -> bool {
    let (at, other) = (at.in_frame(raw_len), other.in_frame(raw_len));
    at < other + other_len && other < at + len
}

/// The rule that answers a raw request, once that is finished; `None` also where the bytes are another command's.
fn applies<'a>(device: &'a Device, command: usize, raw: &mut [u8]) -> Option<&'a Rule> {
    let template = &*device.template;
    let mut wire = Vec::new();
    finish(template, raw, &mut wire);
    let mut scratch = Vec::new();
    let frame = inner::parse(template, &wire, &mut scratch).ok()?;
    inner::lengths_ok(template, &frame).ok()?;
    let is_command = inner::version_ok(template, &frame) && inner::command(template, &frame) == Some(command);
    let carries = |length| inner::carries(length, frame.raw);
    if !is_command || !template.commands[command].lengths.iter().all(carries) {
        return None;
    }
    fsu_core::answer::rule::matching(device, command, &frame).map(|(_, rule)| rule)
}

/// Is a changed raw request still one of its command, and answered by the same rule? Without a rule that is all of it.
pub fn applies_as(device: &Device, command: usize, raw: &[u8], changed: &mut [u8]) -> bool {
    let rule = |raw: &mut [u8]| applies(device, command, raw).map(std::ptr::from_ref);
    rule(&mut raw.to_vec()) == rule(changed)
}
