//! One command of a template: its key, the request's fields and sizes, the reply's fields.

use super::data_list::{data_lengths, data_list, response_lengths};
use super::field::{self, Padding, encode};
use super::fields::{DataList, FieldList, ResponseField, listed_index};
use super::key::CommandKey;
use super::length::{self, Counted, Size};
use super::walk::{self, Parted, WalkDraft};
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawCommand, RawField};
use crate::config::steps::step;
use crate::model::digits::Digits;
use crate::model::field::{Computed, Constant, Field, KeyPart, Kind, Offset, Slot};
use crate::model::prebuilt::Prebuilt;
use crate::model::template::{Command, Count, Template};
use crate::words::{Align, Direction, count};
use std::collections::{HashMap, HashSet};

pub use super::key::key_digits;

/// What rules need to know about a command, in addition to the plan.
#[derive(Debug)]
pub struct CommandDraft {
    /// The reply's fields, header fields included.
    pub response: FieldList,
    /// What fills the data frame.
    pub padding: u8,
    /// Where its key is.
    pub parts: Vec<KeyPart>,
    /// How each part of its key is written.
    pub digits: Vec<Digits>,
    /// The command's place in its file.
    pub pos: Pos,
    /// Its name, where it has one.
    pub name: Option<Box<str>>,
    /// Parts of the key behind a field of variable size, as a rule would give them.
    pub walked_key: Vec<(At<String>, At<Json>)>,
    /// Values of a reply that its list gives for header and tail fields behind one of variable size.
    pub listed: Vec<(At<String>, At<Json>)>,
    /// The reply's fields from the first of variable size on.
    pub walk: Option<WalkDraft>,
    /// The request's.
    pub asked: Option<WalkDraft>,
}

fn constant(diags: &mut Diags, field: &ResponseField) -> Option<Constant> {
    let value = field.value.as_ref()?;
    let (bytes, mask) = field::constant(diags, &field.field.slot, value)?;
    let room = size_of::<Constant>() + bytes.len() + mask.len() + field.field.name.len();
    diags.charge(value.pos, room, "a constant of requests").then_some(())?;
    Some(Constant { name: field.field.name.clone(), at: field.field.at, bytes, mask })
}

/// The padding of short values, and their alignment.
fn padding(diags: &mut Diags, raw: &At<RawCommand>) -> Padding {
    let right = field::word(diags, raw.align.as_ref(), Align::Left) == Align::Right;
    let byte = match &raw.padding {
        None => 0,
        Some(text) => {
            let one = Slot { kind: Kind::Hex, len: 1, little: false, right: true, padding: 0 };
            encode(diags, &one, &text.value, text.pos).map_or(0, |bytes| bytes[0])
        }
    };
    Padding { right, byte, given: raw.align.is_some() || raw.padding.is_some() }
}

/// The fields of a command's request and reply, and the sizes of both.
struct Lists {
    /// `None`: any.
    request: Option<DataList>,
    response: DataList,
    /// See [`Command::request_len_padded`].
    request_len_padded: usize,
    response_len: usize,
    /// See [`Command::less`].
    less: i64,
    /// The request's fields from the first of variable size on.
    asked: Option<WalkDraft>,
    /// The reply's.
    answered: Option<WalkDraft>,
}

/// The data lists of a command, each in two.
struct PartedLists<'r> {
    request: Option<Parted<'r>>,
    response: Parted<'r>,
}

impl<'r> PartedLists<'r> {
    fn new(template: &Template, raw: &'r At<RawCommand>) -> Self {
        let is_walked = template.moved.is_some();
        Self {
            request: raw.req_data_list.as_ref().map(|list| walk::part(list, is_walked)),
            response: walk::part(raw.resp_data_list.as_deref().unwrap_or_default(), is_walked),
        }
    }
}

fn lists(
    diags: &mut Diags,
    template: &Template,
    (raw, parted): (&At<RawCommand>, &PartedLists<'_>),
    padding: Padding,
) -> Lists {
    let fixed = template.data_len_fixed;
    let too_long = |diags: &mut Diags, which: &str, len: usize, most: Option<usize>| {
        if let Some(most) = most.filter(|&most| len > most) {
            diags.error(raw.pos, format!("the {which} fields take {}, the data frame has {most}", count(len, "byte")));
        }
    };
    let mut request = parted.request.as_ref().map(|list| data_list(diags, template, &list.fixed, padding));
    let request_len = request.as_ref().map_or(0, |request| request.len);
    too_long(diags, "request", request_len, fixed);
    let mut response = data_list(diags, template, &parted.response.fixed, padding);
    let asked_walk = parted.request.as_ref().zip(request.as_ref());
    let asked_walk = asked_walk.and_then(|(list, fields)| walk::varying(diags, template, list, (fields, padding)));
    let answered_walk = walk::varying(diags, template, &parted.response, (&response, padding));
    let asked = request.as_ref().map(|request| request.len);
    let varies = !parted.response.varying.is_empty()
        || parted.request.as_ref().is_some_and(|request| !request.varying.is_empty());
    let Counted { data_len: declared, less } = if varies {
        walk::no_length(diags, raw);
        Counted::default()
    } else {
        length::counted(diags, template, raw, asked, response.len)
    };
    let request_len_padded = declared.unwrap_or(request_len).max(request_len);
    // Where the size varies, lengths are computed for each frame.
    let varying = [(request.as_mut(), parted.request.as_ref()), (Some(&mut response), Some(&parted.response))];
    for (list, parted) in varying {
        let Some((list, _)) = list.zip(parted.filter(|parted| !parted.varying.is_empty())) else { continue };
        let lengths = list.fields.iter_mut().filter(|field| !field.header && field.field.computed == Computed::Length);
        lengths.for_each(|field| field.value = None);
    }
    let fixed_request = parted.request.as_ref().filter(|list| list.varying.is_empty()).map(|list| &*list.fixed);
    if let (Some(request), Some(list)) = (&mut request, fixed_request) {
        data_lengths(diags, template, list, &mut request.fields, fixed.unwrap_or(request_len));
        let size = Size { data_len: fixed.unwrap_or(request_len_padded), less };
        length::fill(diags, template, list, &mut request.fields, length::number(template, size));
    }
    let most = fixed.or(declared);
    too_long(diags, "reply", response.len, most);
    let response_len = most.unwrap_or(response.len).max(response.len);
    let size = Size { data_len: response_len, less };
    if parted.response.varying.is_empty() {
        response_lengths(diags, template, &parted.response.fixed, &mut response.fields, size);
    }
    Lists { request, response, request_len_padded, response_len, less, asked: asked_walk, answered: answered_walk }
}

/// What requests of a command have to carry.
#[derive(Default)]
struct Carried {
    /// See [`Command::constants`].
    constants: Vec<Constant>,
    /// See [`Command::lengths`].
    lengths: Vec<Constant>,
    /// See [`Command::counts`].
    counts: Box<[Count]>,
}

fn carried(
    diags: &mut Diags,
    template: &Template,
    (list, varies): (&[At<RawField>], bool),
    request: &DataList,
) -> Carried {
    let mut out = Carried::default();
    for listed in list.iter().filter(|listed| listed.matches.as_ref().is_some_and(|matches| matches.value)) {
        let Some(field) = listed_index(template, listed, &request.fields) else { continue };
        let field = &request.fields[field];
        if field.value.is_none() {
            diags.error(listed.pos, format!("`{}` is marked match and has no value to match", field.field.name));
        }
        out.constants.extend(constant(diags, field));
    }
    if varies {
        return out;
    }
    out.counts = length::counts(template, list, request);
    let counted: HashSet<Offset> = out.counts.iter().map(|count| count.length.at).collect();
    let computed = |field: &&ResponseField| !field.header && field.field.computed == Computed::Length;
    for field in request.fields.iter().filter(computed).filter(|field| !counted.contains(&field.field.at)) {
        out.lengths.extend(constant(diags, field));
    }
    out
}

/// Compiles one command, with its request's fields. `flag` are the names of the key's parts (`None`: it is wrong, which was
/// reported).
pub fn command(
    diags: &mut Diags,
    template: &Template,
    flag: Option<&[At<String>]>,
    raw: &At<RawCommand>,
) -> Option<(Command, CommandDraft, Option<DataList>)> {
    let padding = padding(diags, raw);
    let parted = PartedLists::new(template, raw);
    let Lists { request, response, request_len_padded, response_len, less, asked, answered } =
        lists(diags, template, (raw, &parted), padding);
    let listed = request.as_ref().zip(parted.request.as_ref().map(|list| &*list.fixed));
    let Carried { constants, lengths, counts } =
        listed.map(|(request, list)| carried(diags, template, (list, asked.is_some()), request)).unwrap_or_default();
    let empty = FieldList::default();
    let up = field::word(diags, raw.direction.as_ref(), Direction::Both) == Direction::Up;
    let fields = if up { &response.fields } else { request.as_ref().map_or(&empty, |request| &request.fields) };
    let program = if up { answered.as_ref() } else { asked.as_ref() };
    let key = CommandKey::new(diags, template, flag?, (fields, program.map(|program| &*program.walk)), raw)?;
    key.check_comes(diags, template, raw, &constants);
    let plain = |list: &DataList| -> Box<[Field]> {
        list.fields.iter().filter(|field| !field.header).map(|field| field.field.clone()).collect()
    };
    let mut walk = walk::walks(diags, (asked.as_ref(), answered.as_ref()), &parted.request);
    let walked_key = program.map(|program| super::key::values(&program.walk, &key.walked)).unwrap_or_default();
    if let Some(walks) = walk.as_mut().filter(|_| !up) {
        walks.constants = key.walked.into_iter().chain(std::mem::take(&mut walks.constants)).collect();
    }
    if let Some(walks) = walk.as_ref().filter(|walks| template.data_len_fixed.is_some() && !walks.constants.is_empty())
    {
        let name = walks.constants.first().map_or("", |constant| &constant.name);
        let right = "in a frame of `total_length` the key and `match` are before the first of them";
        diags.error(raw.pos, format!("`{name}` selects the entry and is behind a field of variable size ({right})"));
    }
    let least = asked.as_ref().map_or(0, |walk| walk.walk.least);
    let exact = walk.as_ref().is_some_and(|walk| !walk.constants.is_empty());
    let command = Command {
        key: key.key,
        key_text: key.text,
        request: request.as_ref().map(&plain),
        response: plain(&response),
        request_len: request.as_ref().map_or(0, |request| request.len) + least,
        request_len_padded: request_len_padded + least,
        exact,
        constants: constants.into(),
        lengths: lengths.into(),
        counts,
        less,
        response_len,
        sample: Prebuilt::default(),
        made: Box::default(),
        up,
        walk,
    };
    let (response, padding, parts, digits) = (response.fields, padding.byte, key.parts, key.digits);
    let draft = CommandDraft {
        response,
        padding,
        parts,
        digits,
        pos: raw.pos,
        name: raw.name.as_ref().map(|name| name.value.as_str().into()),
        walked_key,
        listed: walk::given(parted.response.varying),
        walk: answered,
        asked,
    };
    Some((command, draft, request))
}

/// Comparisons of commands with one key that a template takes; beyond that, indistinguishable ones are not looked for.
const SAME_KEY_COMPARED_MAX: usize = 4_000_000;

/// Marks commands that share a key, and reports those that cannot be told apart.
pub fn share(diags: &mut Diags, template: &Template, commands: &mut [(Command, CommandDraft)]) {
    let mut groups: HashMap<(u128, Vec<KeyPart>), Vec<usize>> = HashMap::new();
    for (number, (command, draft)) in commands.iter().enumerate().filter(|(_, (command, _))| !command.up) {
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
        // In a frame of one size a walk takes what is there, and padding is nothing that it could miss.
        let is_walked = |number: &usize| commands[*number].0.request_walk().is_some();
        if let Some(&number) =
            numbers.iter().skip(1).find(|number| template.data_len_fixed.is_some() && is_walked(number))
        {
            let (command, draft) = &commands[number];
            let right = "a key of its own: padding hides where the fields of a frame of `total_length` end";
            diags.error(
                draft.pos,
                format!(
                    "{} has the same key as an entry before it, and a field of variable size ({right})",
                    command.key_text
                ),
            );
        }
        // The walk of a request decides, where there is one.
        let numbers: Vec<usize> =
            numbers.iter().copied().filter(|&number| commands[number].0.request_walk().is_none()).collect();
        for (pos, key_text) in alike(template, commands, &numbers, &mut left) {
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
            let digits = draft.parts.iter().zip(&draft.digits).map(|(part, kind)| {
                let width = if kind.is_text() { part.len } else { 2 * part.len };
                let (digits, after) = rest.split_at_checked(width).unwrap_or((rest, ""));
                rest = after;
                digits
            });
            let digits: Vec<&str> = digits.collect();
            index.parts.entry(short(digits.iter().copied())).or_default().push(number);
            if draft.digits.iter().any(|kind| kind.is_text()) {
                // The same in bytes.
                let bytes: Vec<String> =
                    digits.iter().zip(&draft.digits).map(|(digits, kind)| in_bytes(digits, *kind)).collect();
                index.parts.entry(short(bytes.iter().map(String::as_str))).or_default().push(number);
            }
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

/// A part of a key as the hex digits of its bytes.
fn in_bytes(part: &str, kind: Digits) -> String {
    if kind.is_text() { hex::encode_upper(part) } else { part.to_owned() }
}

/// The digits of parts without leading zeros.
fn short<'d>(digits: impl Iterator<Item = &'d str>) -> String {
    digits.fold(String::new(), |text, part| text + part.trim_start_matches('0') + "_")
}
