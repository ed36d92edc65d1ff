//! The key of a command: which fields are it, and what each command has there.

use super::field::{Area, known, outside, split_name};
use super::fields::FieldList;
use crate::config::at::At;
use crate::config::diag::Diags;
use crate::config::raw::{RawCommand, RawProtocol};
use crate::model::field::{Computed, Constant, KEY_BYTES_MAX, KeyPart};
use crate::model::template::Template;
use std::collections::HashSet;

/// The names in data_frame_type_flag. `None`: no command can be recognised by them, which was reported.
///
/// `may_lack_key`: a template of one layout among several needs no key. Its entries differ in size and constants then, and `[]` is
/// returned.
pub(super) fn flag(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    plan: &Template,
    may_lack_key: bool,
) -> Option<Vec<At<String>>> {
    const KEY: &str = "data_frame_type_flag";
    let written = diags.written(protocol.pos, KEY);
    let given = protocol.data_frame_type_flag.as_ref().map_or(&[][..], |flag| &flag.0);
    let mut names = flag_names(given);
    if names.is_empty() {
        if let Some(broken) = given.iter().find(|at| !at.value.trim().is_empty()) {
            diags.error(broken.pos, format!("`{}` names no field (a name, `{{a}}_{{b}}`, or a list)", broken.value));
            return None;
        }
        // An empty flag counts as absent; one that could not be read was reported.
        if given.is_empty() && written.is_some_and(|pos| !diags.is_empty_list(pos)) {
            return None;
        }
        names.push(At { pos: written.unwrap_or(protocol.pos), value: "data_frame_type".to_owned() });
    }
    if names.len() > KEY_BYTES_MAX {
        let pos = names[KEY_BYTES_MAX].pos;
        diags.error(pos, format!("a key of {} parts (at most {KEY_BYTES_MAX} bytes)", names.len()));
        return None;
    }
    let header = plan.left.iter().chain(&plan.tail).map(|field| &*field.name);
    let requests = protocol.data_frame.iter().flatten().filter_map(|command| command.req_data_list.as_ref()).flatten();
    let asked = requests.filter_map(|field| field.name.as_ref()).map(|name| split_name(&name.value));
    let asked: HashSet<&str> = asked.filter(|(area, _)| *area == Area::Plain).map(|(_, plain)| plain).collect();
    let unknown = names.iter().find(|name| {
        let (area, plain) = split_name(&name.value);
        outside(plan, area, plain).is_none() && !(area == Area::Plain && asked.contains(plain))
    });
    let Some(name) = unknown else { return Some(names) };
    if may_lack_key && written.is_none() {
        return Some(Vec::new());
    }
    let what = "is neither a header field nor in any req_data_list, so no command can be told";
    let near = known(split_name(&name.value).1, header);
    let of = match written {
        None => " (`data_frame_type_flag` is not given)",
        Some(_) if given.iter().all(|at| at.value.trim().is_empty()) => " (`data_frame_type_flag` is empty)",
        Some(_) => "",
    };
    diags.error(name.pos, format!("`{}`{of} {what}{near}", name.value));
    None
}

fn flag_names(flag: &[At<String>]) -> Vec<At<String>> {
    let mut names = Vec::new();
    for at in flag.iter().filter(|at| !at.value.trim().is_empty()) {
        let text = at.value.trim();
        if text.starts_with("{pdu_") || !text.contains('{') {
            names.push(At { pos: at.pos, value: text.to_owned() });
            continue;
        }
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            // `{{pdu_left}_cid2}` closes twice.
            let nested = rest[open + 1..].starts_with("{pdu_");
            let inner = &rest[open + 1..];
            let skip = if nested { inner.find('}').map_or(0, |close| close + 1) } else { 0 };
            let Some(close) = inner[skip..].find('}').map(|close| close + skip) else { break };
            names.push(At { pos: at.pos, value: inner[..close].to_owned() });
            rest = &inner[close + 1..];
        }
    }
    names
}

/// The key of a command.
pub(super) struct CommandKey {
    /// Where it is.
    pub(super) parts: Vec<KeyPart>,
    /// See [`Command::key`].
    ///
    /// [`Command::key`]: crate::model::template::Command::key
    pub(super) key: u128,
    /// Its hex digits.
    pub(super) text: Box<str>,
}

impl CommandKey {
    /// The key of this command; `flag`: the names of its parts, `request`: the fields of its requests.
    pub(super) fn new(
        diags: &mut Diags,
        template: &Template,
        flag: &[At<String>],
        request: &FieldList,
        raw: &At<RawCommand>,
    ) -> Option<Self> {
        let parts = key_parts(diags, template, flag, request, raw)?;
        let (key, text) = key(diags, raw, &parts)?;
        Some(Self { parts, key, text })
    }

    /// Reports a key that no request can have: a constant of every frame, or of every request of this entry, has
    /// another value at its place.
    pub(super) fn check_comes(&self, diags: &mut Diags, template: &Template, raw: &At<RawCommand>, own: &[Constant]) {
        let ends = template.left.iter().chain(&template.tail).filter_map(|field| match field.computed {
            Computed::Start => Some((field.at, &field.name, &template.start)),
            Computed::End => Some((field.at, &field.name, &template.end)),
            _ => None,
        });
        let matched = template.versions.iter().chain(own).filter(|constant| constant.mask.is_empty());
        let constants = ends.chain(matched.map(|constant| (constant.at, &constant.name, &constant.bytes)));
        let pos = raw.data_frame_type.as_ref().and_then(|given| given.0.first()).map_or(raw.pos, |given| given.pos);
        for (at, name, bytes) in constants {
            let mut rest = self.key;
            for part in self.parts.iter().rev() {
                let mut wanted = rest.to_be_bytes()[size_of::<u128>() - part.len..].to_vec();
                rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
                if part.little {
                    wanted.reverse();
                }
                if part.at == at && part.len == bytes.len() && *wanted != **bytes {
                    diags.error(
                        pos,
                        format!("no request has this key: `{name}` is always {}", hex::encode_upper(bytes)),
                    );
                }
            }
        }
    }
}

/// Where the parts of the key are: looked for in the header, then the data frame, then the tail.
fn key_parts(
    diags: &mut Diags,
    template: &Template,
    flag: &[At<String>],
    request: &FieldList,
    raw: &At<RawCommand>,
) -> Option<Vec<KeyPart>> {
    let mut parts = Vec::new();
    for name in flag {
        let (area, plain) = split_name(&name.value);
        let left = template.left.iter().filter(|_| area != Area::Tail).find(|field| *field.name == *plain);
        let data = || request.data(plain).map(|number| &request[number].field);
        let tail = || template.tail.iter().find(|field| *field.name == *plain);
        let found = match area {
            Area::Left => left,
            Area::Tail => tail(),
            Area::Plain => left.or_else(data).or_else(tail),
        };
        let Some(field) = found else {
            let what = "is neither a header field nor in this req_data_list, so the command cannot be told";
            diags.error(raw.pos, format!("`{plain}` of data_frame_type_flag {what}"));
            return None;
        };
        if matches!(field.computed, Computed::Length | Computed::Checksum) {
            let what = "is computed and tells no command from another (entries of one key may differ in size)";
            diags.error(name.pos, format!("`{plain}` of data_frame_type_flag {what}"));
            return None;
        }
        parts.push(KeyPart { at: field.at, len: field.slot.len, little: field.slot.little });
    }
    let len: usize = parts.iter().map(|part| part.len).sum();
    if len > KEY_BYTES_MAX || parts.iter().any(|part| part.len > 8) {
        diags.error(raw.pos, format!("a key of {len} bytes (at most {KEY_BYTES_MAX}, 8 a part)"));
        return None;
    }
    Some(parts)
}

/// Splits a key as people write it into its digits: upper case, without separators or 0x.
pub fn key_digits(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .map(|part| part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")).unwrap_or(part).to_uppercase())
        .filter(|part| !part.is_empty())
        .collect()
}

/// The digits of a key, each part with the leading zeros of its field.
pub(super) fn padded_key(digits: &[String], parts: &[KeyPart]) -> String {
    digits.iter().zip(parts).fold(String::new(), |mut key, (digits, part)| {
        let zeros = (part.len * 2).saturating_sub(digits.len());
        key.extend(std::iter::repeat_n('0', zeros));
        key + digits
    })
}

fn key(diags: &mut Diags, raw: &At<RawCommand>, parts: &[KeyPart]) -> Option<(u128, Box<str>)> {
    let Some(given) = raw.data_frame_type.as_ref().filter(|given| !given.0.is_empty()) else {
        diags.missing(raw.pos, "data_frame_type", "the command's key");
        return None;
    };
    let pos = given.0[0].pos;
    if parts.is_empty() {
        // Told by its size and constants; its name for rules is what is written.
        let text: Vec<&str> = given.0.iter().map(|text| text.value.trim()).collect();
        return Some((0, text.join("_").into()));
    }
    let digits: Vec<String> = given.0.iter().flat_map(|text| key_digits(&text.value)).collect();
    let wanted: usize = parts.iter().map(|part| part.len * 2).sum();
    let text = if digits.len() == parts.len() {
        // Part by part: a short one gets its leading zeros.
        padded_key(&digits, parts)
    } else {
        digits.concat()
    };
    match u128::from_str_radix(&text, 16) {
        Ok(key) if text.len() == wanted => Some((key, text.into())),
        _ => {
            diags.error(pos, format!("`{}` is no key here ({wanted} hex digits)", digits.join("_")));
            None
        }
    }
}
