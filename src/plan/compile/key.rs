//! The key of a command: which fields are it, and what each command has there.

use super::field::{Area, known, outside, split_name};
use super::fields::FieldList;
use super::moved::area_in;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawCommand, RawProtocol};
use crate::model::digits::Digits;
use crate::model::field::{Computed, Constant, KEY_BYTES_MAX, KeyPart, Kind, Slot};
use crate::model::template::Template;
use crate::model::walk::{Path, Walk, WalkedConstant, What};
use crate::wire::{value, varied};
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
        let (area, plain) = area_in(plan, &name.value);
        let first = plain.split('.').next().unwrap_or_default();
        outside(plan, area, plain).is_none() && !(area == Area::Plain && asked.contains(first))
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
    /// Where it is, as far as that place is fixed.
    pub(super) parts: Vec<KeyPart>,
    /// How each part at a fixed place is written.
    pub(super) digits: Vec<Digits>,
    /// The parts behind a field of variable size: what a request has there.
    pub(super) walked: Vec<WalkedConstant>,
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
        (request, walk): (&FieldList, Option<&Walk>),
        raw: &At<RawCommand>,
    ) -> Option<Self> {
        let parts = key_parts(diags, template, flag, (request, walk), raw)?;
        if parts.iter().all(|part| matches!(part, Part::Fixed(..))) {
            let (parts, digits): (Vec<KeyPart>, Vec<Digits>) = parts.into_iter().filter_map(Part::fixed).unzip();
            let (key, text) = key(diags, raw, &parts, &digits)?;
            return Some(Self { parts, digits, walked: Vec::new(), key, text });
        }
        walked_key(diags, raw, parts)
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

/// A part of a key.
enum Part {
    /// At a fixed place, and how it is written.
    Fixed(KeyPart, Digits),
    /// Behind a field of variable size: its name, its element, its type.
    Walked(Box<str>, Path, Slot, bool),
}

impl Part {
    fn fixed(self) -> Option<(KeyPart, Digits)> {
        if let Self::Fixed(part, digits) = self { Some((part, digits)) } else { None }
    }
}

/// A key with parts behind a field of variable size: those are constants that a request has to have.
fn walked_key(diags: &mut Diags, raw: &At<RawCommand>, parts: Vec<Part>) -> Option<CommandKey> {
    let (given, digits) = written(diags, raw)?;
    let texts: Option<Vec<String>> = match &*parts {
        _ if digits.len() == parts.len() => Some(digits.clone()),
        [_] => Some(vec![digits.concat()]),
        _ => None,
    };
    let wrong = |diags: &mut Diags, what: &str| diags.error(given, no_key(&raw.value, &digits, what));
    let Some(texts) = texts else {
        wrong(diags, &format!("{} parts: write them apart, as in `48_F0`", parts.len()));
        return None;
    };
    let mut key =
        CommandKey { parts: Vec::new(), digits: Vec::new(), walked: Vec::new(), key: 0, text: Box::default() };
    let mut whole = String::new();
    for (part, text) in parts.into_iter().zip(texts) {
        let kind = match &part {
            Part::Fixed(_, digits) => *digits,
            Part::Walked(_, _, slot, _) => Digits::of(&slot.kind),
        };
        let of_one = if kind.is_text() { 1 } else { 2 };
        let len = match &part {
            Part::Fixed(part, _) => part.len,
            Part::Walked(_, _, slot, false) => slot.len,
            Part::Walked(.., true) => text.len().div_ceil(of_one),
        };
        let padded = format!("{text:0>width$}", width = of_one * len);
        let bytes = if kind.is_text() { Some(padded.as_bytes().to_vec()) } else { hex::decode(&padded).ok() };
        let Some(mut bytes) = bytes.filter(|bytes| bytes.len() == len && len > 0) else {
            wrong(diags, &format!("{} {}", of_one * len, if kind.is_text() { "digits" } else { "hex digits" }));
            return None;
        };
        whole += &padded;
        match part {
            Part::Fixed(part, digits) => {
                key.digits.push(digits);
                key.key = bytes.iter().fold(key.key, |key, byte| (key << 8) | u128::from(*byte));
                key.parts.push(part);
            }
            Part::Walked(name, path, slot, _) => {
                if slot.little {
                    bytes.reverse();
                }
                key.walked.push(WalkedConstant { name, path, bytes: bytes.into(), mask: Box::default() });
            }
        }
    }
    key.text = whole.into();
    Some(key)
}

/// Where the parts of the key are: looked for in the header, then the data frame, then the tail.
fn key_parts(
    diags: &mut Diags,
    template: &Template,
    flag: &[At<String>],
    (request, walk): (&FieldList, Option<&Walk>),
    raw: &At<RawCommand>,
) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for name in flag {
        let (area, plain) = area_in(template, &name.value);
        let left = template.left.iter().filter(|_| area != Area::Tail).find(|field| *field.name == *plain);
        let data = || request.data(plain).map(|number| &request[number].field);
        let tail = || template.tail.iter().find(|field| *field.name == *plain);
        if left.is_none()
            && area == Area::Plain
            && data().is_none()
            && let Some((path, slot, varies)) = walk.and_then(|walk| element(walk, plain))
        {
            parts.push(Part::Walked(plain.into(), path, slot, varies));
            continue;
        }
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
        if let Kind::HexDigits { low: true } = *field.slot.kind.base() {
            diags.error(
                name.pos,
                format!("`{plain}` of data_frame_type_flag has `endian` little (a key's hex digits go high first)"),
            );
            return None;
        }
        if matches!(field.slot.kind, Kind::Changed(_)) {
            let what = "has a `transform` (`data_transform` in `protocol` changes the whole data frame)";
            diags.error(name.pos, format!("`{plain}` of data_frame_type_flag {what}"));
            return None;
        }
        let part = KeyPart { at: field.at, len: field.slot.len, little: field.slot.little };
        parts.push(Part::Fixed(part, Digits::of(&field.slot.kind)));
    }
    let lens = || parts.iter().filter_map(|part| if let Part::Fixed(part, _) = part { Some(part.len) } else { None });
    let len: usize = lens().sum();
    if len > KEY_BYTES_MAX || lens().any(|len| len > 8) {
        diags.error(raw.pos, format!("a key of {len} bytes (at most {KEY_BYTES_MAX}, 8 a part)"));
        return None;
    }
    Some(parts)
}

/// A field of a program: where it is, its type, whether its size varies.
fn element(walk: &Walk, name: &str) -> Option<(Path, Slot, bool)> {
    let path = walk.path(name)?;
    match &walk.nodes.get(path.node as usize)?.what {
        What::Field { slot, varies } => Some((path, slot.clone(), *varies)),
        _ => None,
    }
}

/// The parts of a key behind a field of variable size, as a rule would give them.
pub(super) fn values(walk: &Walk, parts: &[WalkedConstant]) -> Vec<(At<String>, At<Json>)> {
    parts.iter().filter_map(|part| value(walk, part)).collect()
}

fn value(walk: &Walk, part: &WalkedConstant) -> Option<(At<String>, At<Json>)> {
    let (_, slot, varies) = element(walk, &part.name)?;
    let mut text = Vec::new();
    if varies {
        varied::decode_into(&slot, &part.bytes, &mut text);
    } else {
        value::decode_into(&slot, &part.bytes, &mut text);
    }
    let mut names: Vec<&str> = part.name.split('.').collect();
    let first = names.remove(0);
    let mut json = Json::Str(String::from_utf8_lossy(&text).into_owned());
    // `alarms.0.id` is an array of objects, `body.lat` an object.
    for name in names.into_iter().rev() {
        json = match name.parse::<usize>() {
            Ok(index) => {
                let empty = (0..index).map(|_| At::nowhere(Json::Obj(Vec::new())));
                Json::Arr(empty.chain([At::nowhere(json)]).collect())
            }
            Err(_) => Json::Obj(vec![(At::nowhere(name.to_owned()), At::nowhere(json))]),
        };
    }
    Some((At::nowhere(first.to_owned()), At::nowhere(json)))
}

/// Splits a key as people write it into its digits: upper case, without separators or 0x.
pub fn key_digits(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .map(|part| part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")).unwrap_or(part).to_uppercase())
        .filter(|part| !part.is_empty())
        .collect()
}

/// A key as the plan spells it, from its digits as people write them: each part with the leading zeros of its field. A part in
/// characters is those; of others each byte is two hex digits. `None`: it is no key of such fields.
pub(super) fn spelled(digits: &[String], parts: &[KeyPart], kinds: &[Digits]) -> Option<String> {
    let width = |(part, kind): (&KeyPart, &Digits)| if kind.is_text() { part.len } else { 2 * part.len };
    let widths: Vec<usize> = parts.iter().zip(kinds).map(width).collect();
    if digits.len() != parts.len() {
        let joined = digits.concat();
        return (joined.len() == widths.iter().sum::<usize>() && is_spelled(&joined, &widths, kinds)).then_some(joined);
    }
    let mut out = String::new();
    for ((digits, part), (width, kind)) in digits.iter().zip(parts).zip(widths.iter().zip(kinds)) {
        let as_bytes = kind.is_text() && digits.len() == 2 * part.len;
        let chars =
            as_bytes.then(|| hex::decode(digits).ok().and_then(|bytes| String::from_utf8(bytes).ok())).flatten();
        let digits = chars.as_deref().unwrap_or(digits);
        out.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
        out.push_str(digits);
    }
    (out.len() == widths.iter().sum::<usize>() && is_spelled(&out, &widths, kinds)).then_some(out)
}

/// Does each part of a spelled key consist of its digits?
fn is_spelled(text: &str, widths: &[usize], kinds: &[Digits]) -> bool {
    let mut rest = text;
    widths.iter().zip(kinds).all(|(width, kind)| {
        let Some((part, after)) = rest.split_at_checked(*width) else { return false };
        rest = after;
        let is_digit = |byte: u8| if *kind == Digits::Dec { byte.is_ascii_digit() } else { byte.is_ascii_hexdigit() };
        part.bytes().all(is_digit)
    })
}

/// The key as a command has it: its place, and its digits.
fn written(diags: &mut Diags, raw: &At<RawCommand>) -> Option<(Pos, Vec<String>)> {
    let Some(given) = raw.data_frame_type.as_ref().filter(|given| !given.0.is_empty()) else {
        diags.missing(raw.pos, "data_frame_type", "the command's key");
        return None;
    };
    Some((given.0[0].pos, given.0.iter().flat_map(|text| key_digits(&text.value)).collect()))
}

fn key(diags: &mut Diags, raw: &At<RawCommand>, parts: &[KeyPart], kinds: &[Digits]) -> Option<(u128, Box<str>)> {
    let (pos, digits) = written(diags, raw)?;
    if parts.is_empty() {
        // Told by its size and constants; its name for rules is what is written.
        let text = raw.data_frame_type.iter().flat_map(|given| &given.0).map(|text| text.value.trim());
        return Some((0, text.collect::<Vec<_>>().join("_").into()));
    }
    let Some(text) = spelled(&digits, parts, kinds) else {
        diags.error(pos, no_key(&raw.value, &digits, &wanted(parts, kinds)));
        return None;
    };
    let (mut key, mut rest) = (0_u128, &*text);
    for (part, kind) in parts.iter().zip(kinds) {
        let (own, after) = rest.split_at_checked(if kind.is_text() { part.len } else { 2 * part.len })?;
        rest = after;
        let bytes = if kind.is_text() { own.as_bytes().to_vec() } else { hex::decode(own).ok()? };
        key = bytes.iter().fold(key, |key, byte| (key << 8) | u128::from(*byte));
    }
    Some((key, text.into()))
}

/// What is wrong with a key. If it has the characters of a text field, their hex digits are said.
fn no_key(raw: &RawCommand, digits: &[String], wanted: &str) -> String {
    let given = raw.data_frame_type.iter().flat_map(|given| &given.0).map(|text| text.value.trim());
    let given = given.collect::<Vec<_>>().concat();
    let as_hex = hex::encode_upper(&given);
    let is_hex = given.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_size = wanted == format!("{} hex digits", as_hex.len());
    let is_text = is_size || (!is_hex && wanted.starts_with(&format!("{} hex digits", given.len())));
    let characters = if is_text { format!("; the characters `{given}` are {as_hex}") } else { String::new() };
    format!("`{}` is no key here ({wanted}{characters})", digits.join("_"))
}

/// What a key of these parts looks like.
fn wanted(parts: &[KeyPart], kinds: &[Digits]) -> String {
    let of = |part: &KeyPart, kind: &Digits| match kind {
        Digits::Dec => format!("{} decimal digits", part.len),
        Digits::Hex { .. } => format!("{} hex digits", part.len),
        _ => format!("{} hex digits", 2 * part.len),
    };
    if kinds.iter().any(|kind| kind.is_text()) {
        return parts.iter().zip(kinds).map(|(part, kind)| of(part, kind)).collect::<Vec<_>>().join(", ");
    }
    format!("{} hex digits", parts.iter().map(|part| part.len * 2).sum::<usize>())
}
