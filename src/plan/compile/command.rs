//! One command of a template: its key, the request's fields and sizes, the reply's fields.

use super::data_list::{data_lengths, data_list, response_lengths};
use super::field::{self, Area, Padding, encode, split_name};
use super::fields::{DataList, FieldList, ResponseField, listed_index};
use super::length::{self, Counted};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::RawCommand;
use crate::config::steps::step;
use crate::model::field::{Computed, Constant, Field, KEY_BYTES_MAX, KeyPart, Kind, Offset, Slot};
use crate::model::prebuilt::Prebuilt;
use crate::model::template::{Command, Count, Template};
use crate::words::count;
use std::collections::{HashMap, HashSet};

/// What rules need of a command beside the plan.
#[derive(Debug)]
pub struct CommandDraft {
    /// The reply's fields, header fields included.
    pub response: FieldList,
    /// What fills the data frame.
    pub padding: u8,
    /// Where its key stands.
    pub parts: Vec<KeyPart>,
    /// Where the command stands in its file.
    pub pos: Pos,
}

fn constant(diags: &mut Diags, field: &ResponseField) -> Option<Constant> {
    let value = field.value.as_ref()?;
    let (bytes, mask) = field::constant(diags, &field.field.slot, value)?;
    let room = size_of::<Constant>() + bytes.len() + mask.len() + field.field.name.len();
    diags.charge(value.pos, room, "a constant of requests").then_some(())?;
    Some(Constant { name: field.field.name.clone(), at: field.field.at, bytes, mask })
}

/// Compiles one command, with its request's fields. `flag` are the names of the key's parts (`None`: it is broken, which was
/// told).
pub fn command(
    diags: &mut Diags,
    template: &Template,
    flag: Option<&[At<String>]>,
    raw: &At<RawCommand>,
) -> Option<(Command, CommandDraft, Option<DataList>)> {
    let right = field::word(diags, raw.align.as_ref(), false, &[("left", false), ("right", true)]);
    let byte = match &raw.padding {
        None => 0,
        Some(text) => {
            let one = Slot { kind: Kind::Hex, len: 1, little: false, right: true, padding: 0 };
            encode(diags, &one, &text.value, text.pos).map_or(0, |bytes| bytes[0])
        }
    };
    let padding = Padding { right, byte, given: raw.align.is_some() || raw.padding.is_some() };
    let fixed = template.data_len_fixed;
    let too_long = |diags: &mut Diags, which: &str, len: usize, most: Option<usize>| {
        if let Some(most) = most.filter(|&most| len > most) {
            diags.error(raw.pos, format!("the {which} fields take {}, the data frame has {most}", count(len, "byte")));
        }
    };

    let mut request = raw.req_data_list.as_ref().map(|list| data_list(diags, template, list, padding));
    let request_len = request.as_ref().map_or(0, |request| request.len);
    too_long(diags, "request", request_len, fixed);
    let mut response = data_list(diags, template, raw.resp_data_list.as_deref().unwrap_or_default(), padding);
    let asked = request.as_ref().map(|request| request.len);
    let Counted { data_len: declared, less } = length::counted(diags, template, raw, asked, response.len);
    let request_len_padded = declared.unwrap_or(request_len).max(request_len);
    if let (Some(request), Some(list)) = (&mut request, &raw.req_data_list) {
        data_lengths(diags, template, list, &mut request.fields, fixed.unwrap_or(request_len));
        let number = length::number(template, fixed.unwrap_or(request_len_padded), less);
        length::fill(diags, template, list, &mut request.fields, number);
    }
    let most = fixed.or(declared);
    too_long(diags, "reply", response.len, most);
    let response_len = most.unwrap_or(response.len).max(response.len);
    if let Some(list) = &raw.resp_data_list {
        response_lengths(diags, template, list, &mut response.fields, response_len, less);
    }

    let mut constants = Vec::new();
    let mut lengths = Vec::new();
    let mut counts: Box<[Count]> = Box::default();
    if let (Some(request), Some(list)) = (&request, &raw.req_data_list) {
        for listed in list.iter().filter(|listed| listed.matches.as_ref().is_some_and(|matches| matches.value)) {
            let Some(field) = listed_index(template, listed, &request.fields) else { continue };
            let field = &request.fields[field];
            if field.value.is_none() {
                diags.error(listed.pos, format!("`{}` is marked match and has no value to match", field.field.name));
            }
            constants.extend(constant(diags, field));
        }
        counts = length::counts(template, list, request);
        let counted: HashSet<Offset> = counts.iter().map(|count| count.length.at).collect();
        let computed = |field: &&ResponseField| !field.header && field.field.computed == Computed::Length;
        for field in request.fields.iter().filter(computed).filter(|field| !counted.contains(&field.field.at)) {
            lengths.extend(constant(diags, field));
        }
    }

    let empty = FieldList::default();
    let fields = request.as_ref().map_or(&empty, |request| &request.fields);
    let parts = key_parts(diags, template, flag?, fields, raw)?;
    let (key, key_text) = key(diags, raw, &parts)?;
    check_comes(diags, template, raw, &constants, &parts, key);
    let plain = |list: &DataList| -> Box<[Field]> {
        list.fields.iter().filter(|field| !field.header).map(|field| field.field.clone()).collect()
    };
    let command = Command {
        key,
        key_text,
        request: request.as_ref().map(&plain),
        response: plain(&response),
        request_len,
        request_len_padded,
        exact: false,
        constants: constants.into(),
        lengths: lengths.into(),
        counts,
        less,
        response_len,
        sample: Prebuilt::default(),
        made: Box::default(),
    };
    Some((command, CommandDraft { response: response.fields, padding: byte, parts, pos: raw.pos }, request))
}

/// Where the parts of the key stand: header first, then the data frame, then the tail.
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
pub fn padded_key(digits: &[String], parts: &[KeyPart]) -> String {
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

/// Tells of a key that no request can have: what is the same in every frame, or in every request of this entry, is
/// another value there.
fn check_comes(
    diags: &mut Diags,
    template: &Template,
    raw: &At<RawCommand>,
    own: &[Constant],
    parts: &[KeyPart],
    key: u128,
) {
    let ends = template.left.iter().chain(&template.tail).filter_map(|field| match field.computed {
        Computed::Start => Some((field.at, &field.name, &template.start)),
        Computed::End => Some((field.at, &field.name, &template.end)),
        _ => None,
    });
    let matched = template.versions.iter().chain(own).filter(|constant| constant.mask.is_empty());
    let constants = ends.chain(matched.map(|constant| (constant.at, &constant.name, &constant.bytes)));
    let pos = raw.data_frame_type.as_ref().and_then(|given| given.0.first()).map_or(raw.pos, |given| given.pos);
    for (at, name, bytes) in constants {
        let mut rest = key;
        for part in parts.iter().rev() {
            let mut wanted = rest.to_be_bytes()[size_of::<u128>() - part.len..].to_vec();
            rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
            if part.little {
                wanted.reverse();
            }
            if part.at == at && part.len == bytes.len() && *wanted != **bytes {
                diags.error(pos, format!("no request has this key: `{name}` is always {}", hex::encode_upper(bytes)));
            }
        }
    }
}

/// Comparisons of commands with one key that a template takes; past them those that nothing can tell apart are not looked for.
const SAME_KEY_COMPARED_MAX: usize = 4_000_000;

/// Marks commands that share a key, and tells of those that nothing can tell apart.
pub fn share(diags: &mut Diags, template: &Template, commands: &mut [(Command, CommandDraft)]) {
    let mut groups: HashMap<(u128, Vec<KeyPart>), Vec<usize>> = HashMap::new();
    for (number, (command, draft)) in commands.iter().enumerate() {
        step(1);
        groups.entry((command.key, draft.parts.clone())).or_default().push(number);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|numbers| numbers.len() > 1).collect();
    groups.sort_unstable();
    let mut left = SAME_KEY_COMPARED_MAX;
    for numbers in &groups {
        for &number in numbers {
            let command = &mut commands[number].0;
            command.exact = command.request.is_some();
        }
        for (pos, key_text) in alike(template, commands, numbers, &mut left) {
            let what = "has the same key, and nothing in its request tells it apart from an entry before it";
            let right = "give one a field with \"match\": true, or another size";
            diags.error(pos, format!("{key_text} {what} ({right})"));
        }
    }
}

/// What makes a constant the same as another one.
type Name<'c> = (&'c str, Offset, &'c [u8], &'c [u8]);

fn constant_name(constant: &Constant) -> Name<'_> {
    (&*constant.name, constant.at, &*constant.bytes, &*constant.mask)
}

/// The commands of a group that nothing tells apart from one before: all constants of that one are theirs too, and the sizes
/// do not differ. Each command is kept by the constant of it that the fewest have, so that few are compared.
fn alike(
    template: &Template,
    commands: &[(Command, CommandDraft)],
    numbers: &[usize],
    left: &mut usize,
) -> Vec<(Pos, Box<str>)> {
    let mut many: HashMap<Name<'_>, usize> = HashMap::new();
    for constant in numbers.iter().flat_map(|&number| &commands[number].0.constants) {
        *many.entry(constant_name(constant)).or_default() += 1;
    }
    let size = |command: &Command| {
        let fixed = template.data_len_fixed.is_some();
        (!fixed && command.request.is_some()).then_some(command.request_len)
    };
    let mut kept: HashMap<Option<Name<'_>>, HashMap<Option<usize>, Vec<usize>>> = HashMap::new();
    let mut out = Vec::new();
    for &number in numbers {
        let (command, draft) = &commands[number];
        let own: HashSet<Name<'_>> = command.constants.iter().map(constant_name).collect();
        let names = own.iter().copied().map(Some).chain([None]);
        let lists = names.filter_map(|name| kept.get(&name));
        let mut before = lists.flat_map(|sizes| match size(command) {
            Some(size) => {
                [sizes.get(&Some(size)), sizes.get(&None)].into_iter().flatten().flatten().collect::<Vec<_>>()
            }
            None => sizes.values().flatten().collect(),
        });
        let always = |earlier: &&usize| {
            step(1);
            *left = left.saturating_sub(1);
            let constants = &commands[**earlier].0.constants;
            constants.iter().all(|constant| own.contains(&constant_name(constant)))
        };
        if before.find(always).is_some() {
            out.push((draft.pos, command.key_text.clone()));
        }
        if *left == 0 {
            break;
        }
        let rarest = command.constants.iter().min_by_key(|constant| many.get(&constant_name(constant)).copied());
        let rarest = rarest.map(constant_name);
        kept.entry(rarest).or_default().entry(size(command)).or_default().push(number);
    }
    out
}

/// A template's commands by the keys that rules name them with.
#[derive(Debug, Default)]
pub struct CommandIndex {
    /// By all digits.
    joined: HashMap<Box<str>, Vec<usize>>,
    /// By the digits of each part, without leading zeros.
    parts: HashMap<String, Vec<usize>>,
}

impl CommandIndex {
    /// Of these commands.
    pub fn new<'c>(commands: impl Iterator<Item = (&'c Command, &'c CommandDraft)>) -> Self {
        let mut index = Self::default();
        for (number, (command, draft)) in commands.enumerate() {
            step(1);
            index.joined.entry(command.key_text.clone()).or_default().push(number);
            let mut rest = &*command.key_text;
            let digits = draft.parts.iter().map(|part| {
                let (digits, after) = rest.split_at_checked(2 * part.len).unwrap_or((rest, ""));
                rest = after;
                digits
            });
            index.parts.entry(short(digits)).or_default().push(number);
        }
        index
    }

    /// The numbers of the commands that a rule key may name, in order: all digits, or each part with its leading zeros.
    pub fn named(&self, digits: &[String]) -> Vec<usize> {
        step(1);
        let joined = self.joined.get(&*digits.concat()).into_iter().flatten();
        let parts = self.parts.get(&short(digits.iter().map(String::as_str))).into_iter().flatten();
        let mut numbers: Vec<usize> = joined.chain(parts).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// The digits of parts without leading zeros.
fn short<'d>(digits: impl Iterator<Item = &'d str>) -> String {
    digits.fold(String::new(), |text, part| text + part.trim_start_matches('0') + "_")
}
