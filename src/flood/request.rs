//! Requests, made from the same templates that the mock answers after. Pure.

use crate::codec::checksum::write_number;
use crate::codec::inner::length_value;
use crate::codec::value::{self, Misfit};
use crate::plan::template::{Command, Computed, Constant, Field, Template};
use crate::responder::build::finish;

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The command has no such field.
    #[error("no field `{field}` in the request of {command}")]
    Unknown {
        /// The command's key.
        command: Box<str>,
        /// The name.
        field: String,
    },
    /// A value that is none of its field.
    #[error("`{value}` is no value of `{field}` of {command}: {why}")]
    Misfit {
        /// The command's key.
        command: Box<str>,
        /// The field.
        field: String,
        /// The text.
        value: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}

/// A field of a command's request: in the data frame, else in header or tail; nothing that is computed.
pub fn field<'a>(template: &'a Template, command: &'a Command, name: &str) -> Option<&'a Field> {
    let data = command.request.iter().flat_map(|fields| fields.iter());
    let all = data.chain(&template.left).chain(&template.tail);
    all.filter(|field| field.computed == Computed::No).find(|field| *field.name == *name)
}

/// The raw request of a command: constants, key, lengths and the fields' own values in place, zero (or padding)
/// elsewhere. The checksum is not there yet: values may still be written ([`put`]), then [`finish`] is due.
pub fn blank(template: &Template, command: &Command) -> Vec<u8> {
    let data_len = template.data_len_fixed.unwrap_or(command.request_len_padded);
    let mut raw = vec![0; template.left_len + data_len + template.tail_len];
    let len = raw.len();
    raw[..template.start.len()].copy_from_slice(&template.start);
    raw[len - template.end.len()..].copy_from_slice(&template.end);
    let constants = template.defaults.iter().chain(&command.defaults).chain(&template.versions);
    for constant in constants.chain(&command.constants).chain(&command.lengths) {
        lay(constant, &mut raw);
    }
    let shape = template.keys.iter().find(|shape| {
        let row = shape.table.binary_search_by_key(&command.key, |(key, _)| *key);
        row.is_ok_and(|row| shape.table[row].1.iter().any(|&n| is(&template.commands[n as usize], command)))
    });
    let mut key = command.key;
    for part in shape.iter().flat_map(|shape| shape.parts.iter().rev()) {
        let at = part.at.in_frame(len);
        write_number(key as u64, part.little, &mut raw[at..at + part.len]);
        key = key.checked_shr(8 * part.len as u32).unwrap_or(0);
    }
    for field in &template.lengths {
        let at = field.at.in_frame(len);
        write_number(length_value(field, data_len), field.little, &mut raw[at..at + field.len]);
    }
    raw
}

fn is(a: &Command, b: &Command) -> bool {
    std::ptr::eq(a, b)
}

/// Writes a constant's bits.
fn lay(constant: &Constant, raw: &mut [u8]) {
    let at = constant.at.in_frame(raw.len());
    let Some(place) = raw.get_mut(at..at + constant.bytes.len()) else { return };
    for (index, (out, byte)) in place.iter_mut().zip(&constant.bytes).enumerate() {
        let mask = constant.mask.get(index).copied().unwrap_or(0xFF);
        *out = (*out & !mask) | (byte & mask);
    }
}

/// Writes a value, in the notation of the field's type, into a raw request; one that does not fit leaves it as it is.
pub fn put(field: &Field, text: &[u8], raw: &mut [u8]) -> Result<(), Misfit> {
    let at = field.at.in_frame(raw.len());
    let before: Vec<u8> = raw[at..at + field.slot.len].to_vec();
    let place = &mut raw[at..at + field.slot.len];
    value::encode(&field.slot, text, place).inspect_err(|_| place.copy_from_slice(&before))
}

/// The whole request as it travels, with these values (name and text in the notation of the field's type).
pub fn encode(template: &Template, command: &Command, values: &[(&str, &str)]) -> Result<Vec<u8>, RequestError> {
    let mut raw = blank(template, command);
    for (name, text) in values {
        set(template, command, name, text, &mut raw)?;
    }
    let mut wire = Vec::new();
    finish(template, &mut raw, &mut wire);
    Ok(wire)
}

/// [`put`] by name.
pub fn set(template: &Template, command: &Command, name: &str, text: &str, raw: &mut [u8]) -> Result<(), RequestError> {
    let field = field(template, command, name)
        .ok_or_else(|| RequestError::Unknown { command: command.key_text.clone(), field: name.to_owned() })?;
    put(field, text.as_bytes(), raw).map_err(|misfit| RequestError::Misfit {
        command: command.key_text.clone(),
        field: name.to_owned(),
        value: text.to_owned(),
        why: misfit.explain(&field.slot),
    })
}
