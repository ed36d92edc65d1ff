//! A request from the template's values and some of one's own.

use crate::answer::build::{Inputs, text};
use fsu_plan::compile::command::key_digits;
use fsu_plan::compile::expr::{is_dynamic, nearest};
use fsu_plan::compile::field::{Area, outside, split_name};
use fsu_plan::model::template::{Command, Computed, Field, Made, Template};
use fsu_plan::wire::checksum::{compute, write_number};
use fsu_plan::wire::inner::{self, Frame, encode_wire};
use fsu_plan::wire::value;

/// The first command with that key, as people write keys: `21`, `48_F0_E1`. The error names the nearest.
pub fn find_command(template: &Template, key: &str) -> Result<usize, String> {
    let digits = key_digits(key).concat();
    template.commands.iter().position(|command| *command.key_text == *digits).ok_or_else(|| {
        let near = nearest(&digits, template.commands.iter().map(|command| &*command.key_text));
        format!("the template has no command `{key}`{near}")
    })
}

/// The raw request of a command with that key, and which entry of the key it is: the first that its own values make it,
/// else that which the request turned out to be.
pub fn build_any(template: &Template, key: &str, values: &[(String, String)]) -> Result<(usize, Vec<u8>), String> {
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
            Err(text) => drop(wrong.get_or_insert(text)),
        }
    }
    other.ok_or_else(|| wrong.unwrap_or_default())
}

/// What a raw request asks for.
pub fn entry(template: &Template, raw: &[u8]) -> Option<usize> {
    let data_len = raw.len().checked_sub(template.left_len + template.tail_len)?;
    inner::command(template, &Frame { raw, wire: raw, data_len })
}

/// The raw request: the template's sample with these values, in the notation of JSON files. The data frame's fields come
/// before the header's.
pub fn build(template: &Template, command: &Command, values: &[(String, String)]) -> Result<Vec<u8>, String> {
    let mut raw = command.sample.to_vec();
    for (name, text) in values {
        if is_dynamic(text) {
            return Err(format!("{name}: `{text}` is no constant (a request is made once, from constants)"));
        }
        let field = field(template, command, name)?;
        let at = field.at.in_frame(raw.len());
        let out = raw.get_mut(at..at + field.slot.len);
        let out = out.ok_or_else(|| format!("`{name}` does not lie in the request"))?;
        value::encode(&field.slot, text.as_bytes(), out)
            .map_err(|misfit| format!("{name}: `{text}` is {}", misfit.explain(&field.slot)))?;
    }
    Ok(raw)
}

/// The field of a request that a name is, as rules spell names: a plain one the data frame's, else the header's or the
/// tail's.
pub fn named<'t>(template: &'t Template, command: &'t Command, name: &str) -> Option<&'t Field> {
    let (area, plain) = split_name(name);
    let data = command.request.iter().flatten().filter(|_| area == Area::Plain);
    data.into_iter().find(|field| *field.name == *plain).or_else(|| outside(template, area, plain))
}

/// Makes the values that the template gives as functions, but for the fields that are `given`; one that does not fit
/// leaves the sample's example.
pub fn fill(
    template: &Template,
    command: &Command,
    given: &[(String, String)],
    inputs: &mut Inputs<'_>,
    raw: &mut [u8],
) {
    let mut written = Vec::new();
    for Made { field, value } in &command.made {
        if given.iter().any(|(name, _)| named(template, command, name).is_some_and(|given| given.at == field.at)) {
            continue;
        }
        written.clear();
        text(value, inputs, &mut written);
        let at = field.at.in_frame(raw.len());
        let Some(out) = raw.get_mut(at..at + field.slot.len) else { continue };
        let before = out.to_vec();
        if value::encode(&field.slot, &written, out).is_err() {
            out.copy_from_slice(&before);
        }
    }
}

/// A field of the request that may be set.
fn field<'t>(template: &'t Template, command: &'t Command, name: &str) -> Result<&'t Field, String> {
    let (_, plain) = split_name(name);
    let data = command.request.as_deref().unwrap_or_default();
    let all = || data.iter().chain(&template.left).chain(&template.tail);
    match named(template, command, name) {
        Some(field) if field.computed == Computed::No => Ok(field),
        Some(_) => Err(format!("`{name}` is always computed")),
        None => {
            let near = nearest(plain, all().map(|field| &*field.name));
            Err(format!("no field `{name}` in the request of {}{near}", command.key_text))
        }
    }
}

/// Writes the checksum into a raw frame and, over whatever `wire` holds, the frame as it travels.
pub fn finish(template: &Template, raw: &mut [u8], wire: &mut Vec<u8>) {
    wire.clear();
    if let Some(checksum) = &template.checksum {
        if checksum.over_wire {
            encode_wire(template, raw, wire);
        }
        let value = compute(checksum, template, raw, wire);
        let at = checksum.at.in_frame(raw.len());
        if let Some(out) = raw.get_mut(at..at + checksum.len) {
            write_number(value, checksum.little, out);
        }
        wire.clear();
    }
    encode_wire(template, raw, wire);
}
