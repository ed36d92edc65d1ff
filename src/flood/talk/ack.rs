//! The frame that acknowledges a message: a request to the device, whose fields of equal name are the message's.

use crate::talk::forms::Form;
use fsu_core::client::request::{RequestError, build, entry, finish, set};
use fsu_core::walked::values;
use fsu_plan::config::at::{At, Json};
use fsu_plan::model::calc::Asked;
use fsu_plan::model::conversation::{self, AckValue, Match};
use fsu_plan::model::field::{Computed, Field, Offset, Slot};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::template::{Command, Template};
use fsu_plan::wire::value::{decode_into, encode};
use fsu_plan::wire::{inner, walk};
use std::ops::Range;
use std::sync::Arc;

/// Why a message cannot be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The acknowledgement is no request of the device.
    #[error("the acknowledgement of {message} is no request of {vendor}")]
    NoRequest {
        /// The message.
        message: String,
        /// The device.
        vendor: String,
    },
    /// A value of `ack.data` does not fit.
    #[error("the acknowledgement of {message}: {why}")]
    Value {
        /// The message.
        message: String,
        /// The field and what is wrong.
        why: RequestError,
    },
    /// A copied value does not fit.
    #[error("the acknowledgement of {message} is taken for another frame: fields of equal name make it {key}")]
    OtherFrame {
        /// The message.
        message: String,
        /// What it is taken for.
        key: String,
    },
}

/// What acknowledges the message of one form.
#[derive(Debug)]
pub struct Ack {
    template: Arc<Template>,
    command: usize,
    /// Bytes that are the message's: from there, to there.
    copies: Box<[(Offset, Offset, usize)]>,
    /// Values that are the message's, in another notation or behind fields of variable size: from there, to the field of that name.
    values: Box<[(From, Box<str>)]>,
    /// Fields that must be equal, where both have a place.
    matches: Box<[(Slot, Offset, Slot, Offset)]>,
    /// Values that are the message's, by `ack.data`.
    asked: Box<[(Asked, Box<str>)]>,
    /// With the constants of `ack.data`.
    sample: Box<[u8]>,
}

/// Where a value of a message is.
#[derive(Clone, Debug)]
enum From {
    Field(Slot, Offset),
    /// The element of that name behind a field of variable size.
    Walked,
}

impl Ack {
    /// Of a message's form.
    ///
    /// # Errors
    /// There is no such request, or a value does not fit it.
    pub fn new(device: &Device, ack: &conversation::Ack, form: &Form, message: &str) -> Result<Self, AckError> {
        let template = Arc::clone(device.layout(ack.frame.layout));
        let number = ack.frame.command.map(|number| number as usize);
        let found = number.and_then(|number| Some((number, template.commands.get(number)?)));
        let Some((number, command)) = found.filter(|(_, command)| !command.up) else {
            return Err(AckError::NoRequest { message: message.into(), vendor: device.vendor.to_string() });
        };
        let wrong = |why| AckError::Value { message: message.into(), why };
        let (mut asked, mut given, mut constants) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in ack.data.iter() {
            given.push(&**name);
            match value {
                AckValue::Constant(value) => constants.push((name.to_string(), text_of(value))),
                AckValue::Copy(field) => asked.push((field.clone(), name.clone())),
            }
        }
        let sample = build(&template, command, &constants).map_err(wrong)?;
        let matches: Vec<_> = ack.matches.iter().filter_map(both_fixed).collect();
        let kept = kept(&template, command, sample.len(), &given);
        let said = said(form);
        let (mut copies, mut values) = (Vec::new(), Vec::new());
        for field in fields(&template, command) {
            let place = span(field, sample.len());
            let is_kept = field.computed != Computed::No || kept.iter().any(|kept| overlap(kept, &place));
            let Some(source) = said.iter().find(|said| said.name == field.name).filter(|_| !is_kept) else { continue };
            if source.slot == field.slot {
                copies.push((source.at, field.at, field.slot.len));
            } else {
                values.push((From::Field(source.slot.clone(), source.at), field.name.clone()));
            }
        }
        values.extend(walked(command, form, &given));
        Ok(Self {
            command: number,
            copies: copies.into(),
            values: values.into(),
            matches: matches.into(),
            asked: asked.into(),
            sample: sample.into(),
            template,
        })
    }

    /// The layout that it has.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Can a wrong one be made: has it a field that must be equal, or a checksum?
    pub fn can_be_wrong(&self) -> bool {
        !self.matches.is_empty() || self.template.checksum.is_some()
    }

    /// Writes the frame on the wire that acknowledges a raw message. `wrong`: with another value in a field that must be equal, or
    /// without such a field with a wrong checksum. False: a value of the message does not fit the acknowledgement; it is left out.
    pub fn write(&self, form: &Form, message: &[u8], wrong: bool, (raw, wire): (&mut Vec<u8>, &mut Vec<u8>)) -> bool {
        raw.clear();
        raw.extend_from_slice(&self.sample);
        let mut fits = self.values(form, message, raw);
        let len = raw.len();
        for (from, to, bytes) in &self.copies {
            let (from, to) = (from.in_frame(message.len()), to.in_frame(len));
            match (message.get(from..from + bytes), raw.get_mut(to..to + bytes)) {
                (Some(from), Some(to)) => to.copy_from_slice(from),
                _ => fits = false,
            }
        }
        for (sent, from, acked, to) in &self.matches {
            let from = from.in_frame(message.len());
            let to = to.in_frame(len);
            let (Some(bytes), Some(place)) = (message.get(from..from + sent.len), raw.get_mut(to..to + acked.len))
            else {
                fits = false;
                continue;
            };
            fits &= copied(sent, bytes, acked, place);
        }
        if wrong {
            self.spoil(raw);
        }
        finish(&self.template, raw, wire);
        if wrong && self.matches.is_empty() {
            break_sum(&self.template, raw, wire);
        }
        fits
    }

    /// Values in notation. They may change the frame's size.
    fn values(&self, form: &Form, message: &[u8], raw: &mut Vec<u8>) -> bool {
        if self.values.is_empty() && self.asked.is_empty() {
            return true;
        }
        let command = &self.template.commands[self.command];
        let elements = form.elements().and_then(|walk| values(walk, message)).unwrap_or_default();
        let mut fits = true;
        for (from, name) in &self.values {
            let text = text_from(from, name, &elements, message);
            fits &= text.is_some_and(|text| self.copied_text(name, &text, raw));
        }
        for (field, name) in &self.asked {
            let text = asked_text(field, message);
            fits &= text.is_some_and(|text| set(&self.template, command, (name, &text), raw).is_ok());
        }
        fits
    }

    /// Writes a value that the message has under the same name. What selects the entry stays: behind a field of variable size, such as
    /// in a text protocol, the key has no place that could be known before. False: it does not fit.
    fn copied_text(&self, name: &str, text: &str, raw: &mut Vec<u8>) -> bool {
        let is_it = |raw: &[u8]| entry(&self.template, raw) == Some(self.command);
        let before = is_it(raw).then(|| raw.clone());
        let fits = set(&self.template, &self.template.commands[self.command], (name, text), raw).is_ok();
        if let Some(before) = before.filter(|_| !is_it(raw)) {
            *raw = before;
        }
        fits
    }

    /// Another value in the first field that must be equal.
    fn spoil(&self, raw: &mut [u8]) {
        let Some((_, _, slot, to)) = self.matches.first() else { return };
        let to = to.in_frame(raw.len());
        let Some(place) = raw.get_mut(to..to + slot.len) else { return };
        let before = place.to_vec();
        // Another number of the same notation, else other bytes.
        let text: Vec<u8> = notation(slot, &before).bytes().map(other).collect();
        if encode(slot, &text, place).is_err() || *place == *before {
            place.copy_from_slice(&before);
            for byte in place {
                *byte ^= 1;
            }
        }
    }

    /// Whether the frame is recognised as the acknowledgement that it is to be.
    ///
    /// # Errors
    /// The device takes it for another frame.
    pub fn probe(&self, form: &Form, message: &str) -> Result<(), AckError> {
        let (mut raw, mut wire) = (Vec::new(), Vec::new());
        self.write(form, form.frame(), false, (&mut raw, &mut wire));
        match entry(&self.template, &raw) {
            Some(found) if found != self.command => {
                let key = self.template.commands[found].key_text.to_string();
                let own = &self.template.commands[self.command].key_text;
                // Entries of one key may differ in values that only a real message has.
                if key == **own { Ok(()) } else { Err(AckError::OtherFrame { message: message.into(), key }) }
            }
            _ => Ok(()),
        }
    }
}

/// A value of a message in notation; `elements`: its values behind a field of variable size.
fn text_from(from: &From, name: &str, elements: &[(At<String>, At<Json>)], message: &[u8]) -> Option<String> {
    match from {
        From::Field(slot, at) => {
            let at = at.in_frame(message.len());
            message.get(at..at + slot.len).map(|bytes| notation(slot, bytes))
        }
        From::Walked => elements.iter().find(|(key, _)| *key.value == *name).map(|(_, value)| json(&value.value)),
    }
}

/// A digit or letter that is another one.
fn other(byte: u8) -> u8 {
    match byte {
        b'0'..=b'8' => byte + 1,
        b'9' => b'0',
        _ => byte,
    }
}

/// Makes the checksum of a frame wrong, and builds its bytes on the wire again.
fn break_sum(template: &Template, raw: &mut [u8], wire: &mut Vec<u8>) {
    let Some(sum) = &template.checksum else { return };
    let at = sum.at.in_frame(raw.len());
    if let Some(last) = raw.get_mut(at..at + sum.len).and_then(<[u8]>::last_mut) {
        // A digit stays one.
        *last ^= 1;
    }
    wire.clear();
    inner::encode_wire(template, raw, wire);
}

/// A field of a message.
struct SaidField {
    name: Box<str>,
    at: Offset,
    slot: Slot,
}

/// The fields of a message that have a place: those of the data frame before those of the header.
fn said(form: &Form) -> Vec<SaidField> {
    let data = form.command.and_then(|number| form.template.commands.get(number)).map(|command| &*command.response);
    let all = data.into_iter().flatten().chain(&form.template.left).chain(&form.template.tail);
    let plain = all.filter(|field| field.computed == Computed::No);
    plain.map(|field| SaidField { name: field.name.clone(), at: field.at, slot: field.slot.clone() }).collect()
}

/// The fields of a request.
fn fields<'t>(template: &'t Template, command: &'t Command) -> impl Iterator<Item = &'t Field> {
    command.request.iter().flatten().chain(&template.left).chain(&template.tail)
}

/// Elements behind a field of variable size that the message has, too.
fn walked(command: &Command, form: &Form, given: &[&str]) -> Vec<(From, Box<str>)> {
    let Some(walk) = command.request_walk() else { return Vec::new() };
    let names = walk.nodes.iter().filter(|node| node.parent.is_none()).map(|node| &node.name);
    let names = names.filter(|name| !given.contains(&&***name));
    let fixed = said(form);
    let elements = form.elements();
    let mut all = Vec::new();
    for name in names {
        if let Some(field) = fixed.iter().find(|field| field.name == *name) {
            all.push((From::Field(field.slot.clone(), field.at), name.clone()));
        } else if elements.is_some_and(|walk| walk.path(name).is_some()) {
            all.push((From::Walked, name.clone()));
        }
    }
    all
}

/// Places that are never copied: the key, what selects the entry, and what `ack.data` gives.
fn kept(template: &Template, command: &Command, len: usize, given: &[&str]) -> Vec<Range<usize>> {
    let keys = template.keys.iter().flat_map(|shape| shape.parts.iter()).map(|part| (part.at, part.len));
    let constants = command.constants.iter().chain(&command.lengths).chain(&template.versions);
    let constants = constants.map(|constant| (constant.at, constant.bytes.len()));
    let counts = command.counts.iter().map(|count| (count.length.at, count.length.len));
    let given = fields(template, command).filter(|field| given.contains(&&*field.name));
    let given = given.map(|field| (field.at, field.slot.len));
    let all = keys.chain(constants).chain(counts).chain(given);
    all.map(|(at, bytes)| at.in_frame(len)..at.in_frame(len) + bytes).collect()
}

fn span(field: &Field, len: usize) -> Range<usize> {
    let at = field.at.in_frame(len);
    at..at + field.slot.len
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// A pair of fields that must be equal, where both have a place.
fn both_fixed(of: &Match) -> Option<(Slot, Offset, Slot, Offset)> {
    let (Asked::Fixed { at: from, slot: sent }, Asked::Fixed { at: to, slot: acked }) = (&of.sent, &of.acked) else {
        return None;
    };
    Some((sent.clone(), *from, acked.clone(), *to))
}

/// Copies a value from one field into another. False: it does not fit.
fn copied(sent: &Slot, bytes: &[u8], acked: &Slot, place: &mut [u8]) -> bool {
    if sent == acked {
        place.copy_from_slice(bytes);
        return true;
    }
    let before = place.to_vec();
    let fits = encode(acked, notation(sent, bytes).as_bytes(), place).is_ok();
    if !fits {
        place.copy_from_slice(&before);
    }
    fits
}

/// A value as JSON files have it.
fn notation(slot: &Slot, bytes: &[u8]) -> String {
    let mut text = Vec::new();
    decode_into(slot, bytes, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The value of a message's field.
fn asked_text(field: &Asked, raw: &[u8]) -> Option<String> {
    match field {
        Asked::Fixed { at, slot } => {
            let at = at.in_frame(raw.len());
            raw.get(at..at + slot.len).map(|bytes| notation(slot, bytes))
        }
        Asked::Walked(walked) => {
            let (bytes, _) = walk::bytes(&walked.walk, raw, &walked.path)?;
            Some(notation(&Slot { len: bytes.len(), ..walked.slot.clone() }, bytes))
        }
    }
}

/// A constant as its field reads it.
fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An element as its field reads it.
fn json(value: &Json) -> String {
    match value {
        Json::Str(text) => text.clone(),
        other => plain(other).to_string(),
    }
}

/// The same without places.
fn plain(value: &Json) -> serde_json::Value {
    match value {
        Json::Null => serde_json::Value::Null,
        Json::Bool(value) => (*value).into(),
        Json::Num(number) => serde_json::Value::Number(number.clone()),
        Json::Str(text) => text.as_str().into(),
        Json::Arr(items) => items.iter().map(|item| plain(&item.value)).collect(),
        Json::Obj(entries) => entries.iter().map(|(key, value)| (key.value.clone(), plain(&value.value))).collect(),
    }
}
