//! A request filled with values: the template's sample, and values in the notation of their fields. Pure.

use super::request::{finish, named};
use fsu_plan::model::template::{Command, Computed, Field, Template};
use fsu_plan::wire::value::{self, Misfit};

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

/// A field of a command's request, as rules spell names; nothing that is computed.
pub fn field<'a>(template: &'a Template, command: &'a Command, name: &str) -> Option<&'a Field> {
    named(template, command, name).filter(|field| field.computed == Computed::No)
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
    let mut raw = command.sample.to_vec();
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
