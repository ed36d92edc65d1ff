//! A request from the template's values and given ones, in the notation of their fields.

use super::varying;
use crate::answer::build::{Inputs, text};
use crate::seal::seal;
use fsu_plan::compile::command::key_digits;
use fsu_plan::compile::expr::{is_dynamic, nearest};
use fsu_plan::compile::field::{Area, outside, split_name};
use fsu_plan::model::field::{Computed, Field};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::template::{Command, Encoding, Made, Template};
use fsu_plan::model::walk::Walk;
use fsu_plan::wire::inner::{self, Frame, encode_wire};
use fsu_plan::wire::value::{self, Misfit};
use fsu_plan::wire::walk;
use std::borrow::Cow;
use std::sync::Arc;

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The template has no such command.
    #[error("the template has no command `{key}`{near}")]
    NoCommand {
        /// The key, as it was written.
        key: String,
        /// ` (did you mean ...?)`, or nothing.
        near: String,
    },
    /// The command has no such field.
    #[error("no field `{field}` in the request of {command}{near}")]
    NoField {
        /// The command's key.
        command: Box<str>,
        /// The name, as it was written.
        field: String,
        /// ` (did you mean ...?)`, or nothing.
        near: String,
    },
    /// The program always computes this field.
    #[error("`{field}` is always computed")]
    Computed {
        /// The name, as it was written.
        field: String,
    },
    /// The value is a function, not a constant.
    #[error("{field}: `{value}` is no constant (a request is made once, from constants)")]
    NoConstant {
        /// The field.
        field: String,
        /// The text.
        value: String,
    },
    /// The field is outside the request's frame.
    #[error("`{field}` does not lie in the request")]
    Outside {
        /// The field.
        field: String,
    },
    /// The values of fields of variable size do not fit.
    #[error("{fields}: {why}")]
    Varying {
        /// Their names.
        fields: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The value does not fit its field.
    #[error("{field}: `{value}` is {why}")]
    Misfit {
        /// The field.
        field: String,
        /// The text.
        value: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}

/// The first command with that key, in the notation of files: `21`, `48_F0_E1`. The error names the nearest key.
pub fn find_command(template: &Template, key: &str) -> Result<usize, RequestError> {
    let digits = key_digits(key).concat();
    // A layout without a key spells its entries as the template does.
    let is = |text: &str| *text == *digits || *text == *key.trim();
    template.commands.iter().position(|command| !command.up && is(&command.key_text)).ok_or_else(|| {
        let near = nearest(&digits, template.commands.iter().map(|command| &*command.key_text));
        RequestError::NoCommand { key: key.to_owned(), near }
    })
}

/// Whether a device is meant by a key that may name a layout (`layout/KEY`), and the key without it.
pub fn in_layout<'k>(device: &Device, key: &'k str) -> Option<&'k str> {
    let Some((layout, rest)) = key.split_once('/') else { return Some(key) };
    let name = device.layout_name().or(device.layouts.all.first().map(|layout| &*layout.name));
    (name == Some(layout.trim())).then_some(rest)
}

/// The raw request of a command with that key, and the index of the command. Several commands may share a key: takes the first
/// whose request is recognised as that command, otherwise the first request that can be built.
pub fn build_any(
    template: &Template,
    key: &str,
    values: &[(String, String)],
) -> Result<(usize, Vec<u8>), RequestError> {
    let first = find_command(template, key)?;
    let key = &template.commands[first].key_text;
    let entries = template.commands.iter().enumerate().filter(|(_, command)| command.key_text == *key);
    let (mut other, mut wrong) = (None, None);
    for (number, command) in entries {
        match build(template, command, values) {
            Ok(raw) => match entry(template, &raw) {
                Some(found) if found == number => return Ok((number, raw)),
                found => drop(other.get_or_insert((found.unwrap_or(number), raw))),
            },
            Err(error) => drop(wrong.get_or_insert(error)),
        }
    }
    let no_command = || RequestError::NoCommand { key: key.to_string(), near: String::new() };
    other.ok_or_else(|| wrong.unwrap_or_else(no_command))
}

/// The command of a raw request.
pub fn entry(template: &Template, raw: &[u8]) -> Option<usize> {
    let data_len = raw.len().checked_sub(template.left_len + template.tail_len)?;
    inner::command(template, &Frame { raw, wire: raw, data_len })
}

/// The raw request: the template's sample with these values, in the notation of JSON files. The data frame's fields come
/// before the header's.
pub fn build(template: &Template, command: &Command, values: &[(String, String)]) -> Result<Vec<u8>, RequestError> {
    let mut raw = command.sample.to_vec();
    // Those whose size varies are put together once, with all that is given of them.
    let walked = |(name, _): &&(String, String)| varying::walk_of(command, name).is_some();
    let fixed = || values.iter().filter(|value| !walked(value));
    for (name, value) in fixed() {
        set(template, command, (name, value), &mut raw)?;
    }
    let given: Vec<(&str, &str)> = values.iter().filter(walked).map(|(name, text)| (&**name, &**text)).collect();
    // A tag or a count that is given selects other fields than the sample has.
    let contradicts = |walk: &&Arc<Walk>| walk::check(walk, &raw).is_err();
    if let Some(walk) = command.request_walk().filter(|walk| !given.is_empty() || contradicts(walk)) {
        varying::set((template, command), walk, &given, &mut raw)?;
        // A size that is given stays, even if the values have another one.
        for (name, value) in fixed() {
            set(template, command, (name, value), &mut raw)?;
        }
    }
    Ok(raw)
}

/// The request's wire bytes, with these values.
pub fn encode(template: &Template, command: &Command, values: &[(&str, &str)]) -> Result<Vec<u8>, RequestError> {
    let mut raw = command.sample.to_vec();
    for (name, value) in values {
        set(template, command, (name, value), &mut raw)?;
    }
    let mut wire = Vec::new();
    finish(template, &mut raw, &mut wire);
    Ok(wire)
}

/// Writes a constant, given with the name of its field, into a raw request.
pub fn set(
    template: &Template,
    command: &Command,
    (name, value): (&str, &str),
    raw: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let (named, text) = (name.to_owned(), value.to_owned());
    if is_dynamic(value) {
        return Err(RequestError::NoConstant { field: named, value: text });
    }
    if let Some(walk) = varying::walk_of(command, name) {
        return varying::set((template, command), walk, &[(name, value)], raw);
    }
    let field = settable(template, command, name)?;
    if place(field, raw).is_none() {
        return Err(RequestError::Outside { field: named });
    }
    put(field, value.as_bytes(), raw).map_err(|misfit| {
        let why = misfit.explain(&field.slot);
        RequestError::Misfit { field: named, value: text, why }
    })
}

/// Writes a value, in the notation of the field's type, into a raw request that holds the field. A value that does not fit
/// leaves the request unchanged.
pub fn put(field: &Field, text: &[u8], raw: &mut [u8]) -> Result<(), Misfit> {
    let at = field.at.in_frame(raw.len());
    let place = &mut raw[at..at + field.slot.len];
    let before = place.to_vec();
    value::encode(&field.slot, text, place).inspect_err(|_| place.copy_from_slice(&before))
}

/// The bytes of a field, if the raw request holds it.
fn place<'r>(field: &Field, raw: &'r [u8]) -> Option<&'r [u8]> {
    let at = field.at.in_frame(raw.len());
    raw.get(at..)?.get(..field.slot.len)
}

/// A field of a command's request, in the rules' notation of names; `None` for a computed field.
pub fn field<'t>(template: &'t Template, command: &'t Command, name: &str) -> Option<&'t Field> {
    named(template, command, name).filter(|field| field.computed == Computed::No)
}

/// The field with that name, in the rules' notation: a plain name is searched in the data frame first, then in header and tail.
pub fn named<'t>(template: &'t Template, command: &'t Command, name: &str) -> Option<&'t Field> {
    let (area, plain) = split_name(name);
    let data = command.request.iter().flatten().filter(|_| area == Area::Plain);
    data.into_iter().find(|field| *field.name == *plain).or_else(|| outside(template, area, plain))
}

/// Writes the values that the template gives as functions, except for the fields in `given`. A value that does not fit leaves
/// the sample's example.
pub fn fill(
    template: &Template,
    command: &Command,
    given: &[(String, String)],
    inputs: &mut Inputs<'_>,
    raw: &mut [u8],
) {
    let mut written = Vec::new();
    for made in &command.made {
        let is_given = given.iter().any(|(name, _)| match made.path {
            Some(_) => varying::covers(command, name, made),
            None => named(template, command, name).is_some_and(|given| given.at == made.field.at),
        });
        let Some(field) = made_in(command, made, raw).filter(|_| !is_given) else { continue };
        written.clear();
        text(&made.value, inputs, &mut written);
        // A value that does not fit leaves the example.
        let _ = put(&field, &written, raw);
    }
}

/// The field of a value that is made for each request, where this raw request has it.
pub fn made_in<'m>(command: &Command, made: &'m Made, raw: &[u8]) -> Option<Cow<'m, Field>> {
    let field = match made.path {
        Some(_) => Cow::Owned(varying::placed(command, made, raw)?),
        None => Cow::Borrowed(&made.field),
    };
    place(&field, raw)?;
    Some(field)
}

/// A field of the request that may be set.
fn settable<'t>(template: &'t Template, command: &'t Command, name: &str) -> Result<&'t Field, RequestError> {
    let (_, plain) = split_name(name);
    let data = command.request.as_deref().unwrap_or_default();
    let all = || data.iter().chain(&template.left).chain(&template.tail);
    match named(template, command, name) {
        Some(field) if field.computed == Computed::No => Ok(field),
        Some(_) => Err(RequestError::Computed { field: name.to_owned() }),
        None => {
            let near = nearest(plain, all().map(|field| &*field.name));
            Err(RequestError::NoField { command: command.key_text.clone(), field: name.to_owned(), near })
        }
    }
}

/// Writes the checksum into a raw frame and, over whatever `wire` holds, the frame as it travels.
pub fn finish(template: &Template, raw: &mut [u8], wire: &mut Vec<u8>) {
    seal(template, raw, wire);
    if template.encoding == Encoding::Binary {
        wire.clear();
        encode_wire(template, raw, wire);
    }
}
