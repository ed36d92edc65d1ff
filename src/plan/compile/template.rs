//! A template file to a [`Template`].

use super::checksum;
use super::coding;
use super::command::{self, CommandDraft, CommandIndex};
use super::effect;
use super::errors;
use super::field::{self, raw_at};
use super::frame::{self, Frame};
use super::key;
use super::layouts;
use super::length;
use super::moved;
use super::reply::{Bases, RefusalSpec};
use super::sample::{Around, sample};
use super::transfer;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawProtocol, RawTemplate, RawVendor};
use crate::config::steps::step;
use crate::model::digits::Digits;
use crate::model::field::{FRAME_BYTES_MAX, KeyPart, LengthField};
use crate::model::keys::KeyTable;
use crate::model::template::{Command, Framing, KeyShape, Template};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The least that `request_bytes_max` is where it is not given: requests may have some bytes more than their commands list.
pub const REQUEST_BYTES_DEFAULT_MIN: usize = 256;
/// The most that `request_bytes_max` may be, and what it is where a command lists no request fields: such a request may have any
/// size. A stream needs a bound to distinguish a length from garbage. It costs nothing until a frame of that size begins.
pub const REQUEST_BYTES_MAX: usize = 65_535;

/// A compiled template and what its rules need.
#[derive(Debug)]
pub struct TemplateDraft {
    /// The plan.
    pub plan: Arc<Template>,
    /// By command number.
    pub commands: Vec<CommandDraft>,
    /// Commands by the keys of rules.
    pub by_key: CommandIndex,
    /// Frames that others are like.
    pub bases: Bases,
    /// Commands are missing because of errors that were reported.
    pub incomplete: bool,
    /// Its file has errors, which were reported; set by the reader of the file.
    pub wrong: bool,
    /// The template's refusal.
    pub refusal: Option<RefusalSpec>,
    /// As written: `rule_file_list`, then `rule_file`.
    pub rule_files: Vec<At<String>>,
    /// The template file.
    pub path: PathBuf,
    /// The values of the header's fields, then of the tail's.
    pub around: Vec<Option<At<Json>>>,
    /// By the same: requests must carry that value.
    pub matched: Vec<bool>,
    /// Its other layouts: the name in `frames`, and what was compiled.
    pub layouts: Vec<(Box<str>, TemplateDraft)>,
}

/// Memory of a command without its fields: in the plan, and in the index of keys.
const COMMAND_BYTES: usize = 2 * size_of::<(Command, CommandDraft)>() + 512;

/// Compiles a template. `None` after errors that were reported.
pub fn template(
    diags: &mut Diags,
    raw: &At<RawTemplate>,
    path: &Path,
    vendor: Option<&RawVendor>,
) -> Option<TemplateDraft> {
    let layouts = layouts::layouts(diags, raw, path);
    let draft = layout(diags, raw, path, vendor, false)?;
    let is_lacking = raw.frames.as_ref().is_some_and(|frames| frames.0.len() != layouts.len());
    Some(TemplateDraft { layouts, incomplete: draft.incomplete || is_lacking, ..draft })
}

/// Compiles one layout: `protocol` of a template. `is_other`: it is one of `frames`, whose commands may have no key.
pub(super) fn layout(
    diags: &mut Diags,
    raw: &At<RawTemplate>,
    path: &Path,
    vendor: Option<&RawVendor>,
    is_other: bool,
) -> Option<TemplateDraft> {
    let Some(protocol) = &raw.protocol else {
        diags.missing(raw.pos, "protocol", "the frame and its commands");
        return None;
    };
    let protocol = checksum::from_top(diags, raw, protocol);
    let protocol = coding::with_marks(diags, protocol);
    let (protocol, handed) = moved::protocol(diags, protocol)?;
    let protocol = &*protocol;
    let Frame { mut plan, size_known } = frame::frame(diags, raw, protocol, vendor, handed.as_ref())?;
    if let Some(handed) = handed
        && !moved::head(diags, &mut plan, handed)
    {
        return None;
    }
    plan.vendor = raw.vendor.as_ref().map_or("", |vendor| &vendor.value).into();
    plan.path = path.display().to_string().into();
    let bases = Bases::default();
    let mut commands = commands(diags, protocol, (&plan, is_other), &bases)?;
    let has_commands = protocol.data_frame.as_ref().is_some_and(|list| !list.is_empty());
    if !has_commands && diags.is_whole_list(protocol.pos, "data_frame", 0) {
        diags.error(protocol.pos, "`data_frame` is missing or empty (the commands)");
    }
    let incomplete = !has_commands || !diags.is_whole_list(protocol.pos, "data_frame", commands.len());
    command::share(diags, &plan, &mut commands);
    length::readings(&mut plan, commands.iter().map(|(command, _)| command));
    plan.transfer = transfer::compile(diags, protocol, &plan, &commands);
    if let Some((_, draft)) = commands.iter().find(|(command, _)| plan.transfer.is_some() && command.walk.is_some()) {
        let right = "a field of fixed size; `data_file` or `data_bytes` of a rule for data of any size";
        diags.error(draft.pos, format!("a field of variable size in a template with `transfer` ({right})"));
    }
    sizes(diags, protocol, &mut plan, &commands);
    plan.keys = shapes(plan.left_len, &commands);
    let (compiled, drafts): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
    plan.commands = compiled.into();
    if is_keyed(&plan) {
        plan.framing = Framing::Keyed;
    }
    if plan.head().is_some_and(|head| !head.has_rest) && !plan.is_hex() && is_plain(&plan) {
        plan.framing = Framing::Headed;
    }
    if plan.coding.as_ref().is_some_and(|coding| coding.is_escaped()) {
        plan.framing = Framing::Enveloped;
    }
    if !size_known || incomplete {
        // Nothing is served; an error about cutting streams would only be a consequence.
        plan.framing = Framing::Fixed;
    }
    coding::check_spans(diags, protocol, &plan);
    effect::template(diags, protocol, &plan);
    let refusal = errors::refusal(diags, protocol, &plan);
    errors::errors(diags, protocol, &mut plan);
    let around = protocol.pdu_left.iter().flatten().chain(protocol.pdu_tailer.iter().flatten());
    let by_key = CommandIndex::new(plan.commands.iter().zip(&drafts));
    Some(TemplateDraft {
        by_key,
        bases,
        plan: Arc::new(plan),
        commands: drafts,
        incomplete,
        wrong: false,
        refusal,
        rule_files: raw.rule_file_list.iter().flatten().chain(&raw.rule_file).cloned().collect(),
        path: path.to_owned(),
        matched: around.clone().map(|field| field.value.matches.as_ref().is_some_and(|is| is.value)).collect(),
        around: around.map(|field| field.value.value.clone()).collect(),
        layouts: Vec::new(),
    })
}

/// The commands, in file order, but those that are wrong. `None`: there is no memory for them, which was reported.
fn commands(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    (plan, may_lack_key): (&Template, bool),
    bases: &Bases,
) -> Option<Vec<(Command, CommandDraft)>> {
    let flag = key::flag(diags, protocol, plan, may_lack_key);
    let around = Around::new(plan, bases, protocol);
    let mut commands: Vec<(Command, CommandDraft)> = Vec::new();
    for raw in protocol.data_frame.iter().flatten() {
        if !diags.charge(raw.pos, COMMAND_BYTES, "a command") {
            return None;
        }
        let compiled = command::command(diags, plan, flag.as_deref(), raw);
        commands.extend(compiled.map(|(mut command, draft, request)| {
            sample(diags, &around, request.as_ref(), &mut command, &draft);
            (command, draft)
        }));
    }
    Some(commands)
}

/// How large frames can be, and how a stream is cut.
fn sizes(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &mut Template, commands: &[(Command, CommandDraft)]) {
    let around = plan.left_len + plan.tail_len;
    let asked_ones = || commands.iter().filter(|(command, _)| !command.up);
    let mut replies = commands.iter().map(|(command, _)| command.response_len).max().unwrap_or(0);
    if around + replies > FRAME_BYTES_MAX && plan.transfer.is_some() {
        let text =
            format!("a data frame of {replies} bytes (at most {}; `data_file` carries more)", FRAME_BYTES_MAX - around);
        diags.error(protocol.pos, text);
    }
    if let Some(transfer) = &plan.transfer {
        // What a reply builds travels in chunks.
        replies = transfer.chunk_bytes;
    }
    let mut asked = plan.data_len_max;
    if plan.data_len_fixed.is_none() {
        let walks = || asked_ones().filter_map(|(command, _)| command.request_walk());
        let open = asked_ones().any(|(command, _)| command.request.is_none() || command.request_walk().is_some());
        let listed = asked_ones().map(|(command, _)| command.request_len_padded).max().unwrap_or(0);
        let any = asked_ones().any(|(command, _)| command.request.is_none());
        // Of requests whose size varies: what their fields take at most, as far as a frame holds it.
        let widest = walks().map(|walk| (walk.at + walk.most + walk.tail_len).min(FRAME_BYTES_MAX)).max();
        plan.data_len_max = request_bytes_max(diags, protocol, (around + listed, widest), any) - around;
        asked = listed;
        if !open {
            let mut lens: Vec<usize> =
                asked_ones().flat_map(|(command, _)| [command.request_len, command.request_len_padded]).collect();
            lens.sort_unstable();
            lens.dedup();
            plan.data_lens = lens.into();
        }
    } else {
        request_bytes_max(diags, protocol, (around + plan.data_len_max, None), false);
        plan.data_lens = plan.data_len_fixed.into_iter().collect();
    }
    let largest = around + replies.max(asked);
    if largest > FRAME_BYTES_MAX {
        diags.error(protocol.pos, format!("a frame of {largest} bytes (at most {FRAME_BYTES_MAX})"));
    }
    checksum::check_digits(diags, protocol, plan, largest);
    for field in &plan.lengths {
        let data_len = replies.max(plan.data_lens.last().copied().unwrap_or(0));
        check_length(diags, protocol, plan, field, data_len);
    }
    let length = plan.lengths.iter().position(|field| field.per_data > 0 && field.at.0 >= 0);
    plan.framing = match (plan.data_len_fixed, length) {
        (Some(_), _) => Framing::Fixed,
        (None, Some(number)) => Framing::Length(number),
        (None, None) => Framing::Delimited,
    };
    plan.wire_len_max = plan.sent_len(around + replies);
}

/// Bytes of the longest request; `listed`: of the longest that a command lists, and of the longest whose size varies;
/// `open`: a command lists none.
fn request_bytes_max(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    (listed, widest): (usize, Option<usize>),
    open: bool,
) -> usize {
    let default = if open { REQUEST_BYTES_MAX } else { REQUEST_BYTES_DEFAULT_MIN.max(widest.unwrap_or(0)) };
    let Some(given) = &protocol.request_bytes_max else { return listed.max(default) };
    let most = listed.max(REQUEST_BYTES_MAX);
    let bytes = usize::try_from(given.value).unwrap_or(usize::MAX);
    if bytes < listed {
        diags.error(given.pos, format!("{bytes} bytes: a request of the template has {listed} (at least those)"));
    } else if bytes > most {
        diags.error(given.pos, format!("{bytes} bytes (at most {most})"));
    }
    bytes.clamp(listed, most)
}

/// Checks that a length field holds every length up to a data frame of `data_len` bytes.
fn check_length(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template, field: &LengthField, data_len: usize) {
    // Numbers that leave least out are the largest, those that leave most out the smallest.
    let less = |of: Option<&i64>| if field.configured { of.copied().unwrap_or(0) } else { 0 };
    let (least, fewest) = (less(plan.readings.first()), less(plan.readings.last()));
    let empty = plan.data_len_fixed.filter(|_| field.configured).unwrap_or(0) as i64;
    let smallest = field.base.saturating_add(field.per_data * empty).saturating_sub(fewest);
    let full = field.base.saturating_add(field.per_data * data_len as i64);
    let most = full.saturating_sub(least);
    let bits = if field.lchksum { 12 } else { 8 * field.len as u32 };
    let named = plan.left.iter().chain(&plan.tail).find(|named| named.at == field.at);
    let name = named.map_or("", |named| &named.name);
    let digits = field::digits_hold(field.digits, most.max(0) as u64, field.len);
    if smallest < 0 {
        let add = raw_at(protocol, plan, field.at).and_then(|raw| raw.add.as_ref());
        let text = format!("`{name}` of an empty data frame would be {smallest}, and a length is never below 0");
        diags.error(add.map_or(protocol.pos, |add| add.pos), text);
    } else if let Err(wrong) = digits {
        diags.error(protocol.pos, format!("the length `{name}` may be {wrong}"));
    } else if (bits < 64 && most >= 1 << bits) || full == i64::MAX {
        diags.error(protocol.pos, format!("a length of up to {most} does not fit its field ({bits} bits)"));
    }
}

/// Whether fields that show a size can be read as they travel.
fn is_plain(plan: &Template) -> bool {
    plan.coding.as_ref().is_none_or(|coding| coding.is_plain())
}

/// Whether a stream can be cut by the commands' keys if nothing else shows where a frame ends: if the key is in the
/// header, and all requests with one key have the same fields' size (data_frame_length is the reply's).
fn is_keyed(plan: &Template) -> bool {
    let [shape] = &*plan.keys else { return false };
    let in_header = |part: &KeyPart| part.at.0 >= 0 && part.at.0 as usize + part.len <= plan.left_len;
    let size = |number: &u32| {
        let command = plan.commands.get(*number as usize)?;
        command.request.as_ref().map(|_| command.request_len)
    };
    let command = |number: &u32| plan.commands.get(*number as usize);
    let one_size = |numbers: &[u32]| {
        if numbers.iter().filter_map(command).any(|command| command.request_walk().is_some()) {
            // Its fields show where it ends; of several what tells them apart shows which it is.
            let tells = |command: &Command| {
                let walks = command.walk.as_deref();
                walks.is_some_and(|walks| walks.request.as_ref().is_some_and(|walk| !walk.has_rest))
                    && (numbers.len() == 1 || walks.is_some_and(|walks| !walks.constants.is_empty()))
            };
            return numbers.iter().filter_map(command).all(tells) && is_plain(plan);
        }
        let mut sizes = numbers.iter().map(size);
        sizes.next().flatten().is_some_and(|first| sizes.all(|size| size == Some(first)))
    };
    plan.framing == Framing::Delimited
        && plan.end.is_empty()
        && !plan.is_hex()
        && shape.parts.iter().all(in_header)
        && shape.table.iter().all(|(_, numbers)| one_size(numbers))
}

/// Parts of a key, fewest data-frame bytes, key -> commands; FF at the key's bytes that are characters, and hex digits.
type ShapeDraft = (Vec<KeyPart>, usize, Vec<(u128, Vec<u32>)>, (u128, u128));

/// FF at those bytes of a key that are characters; at those that are hex digits.
fn chars(draft: &CommandDraft) -> (u128, u128) {
    let mut masks = (0, 0);
    for (part, kind) in draft.parts.iter().zip(&draft.digits) {
        for _ in 0..part.len {
            let of = |is: bool| if is { 0xFF } else { 0 };
            masks.0 = (masks.0 << 8) | of(kind.is_text());
            masks.1 = (masks.1 << 8) | of(matches!(kind, Digits::Hex { .. }));
        }
    }
    masks
}

/// Commands, grouped by the place of their key.
fn shapes(left_len: usize, commands: &[(Command, CommandDraft)]) -> Box<[KeyShape]> {
    let mut shapes: Vec<ShapeDraft> = Vec::new();
    let mut numbers: HashMap<&[KeyPart], usize> = HashMap::new();
    let mut places: HashMap<(usize, u128), usize> = HashMap::new();
    for (number, (command, draft)) in commands.iter().enumerate().filter(|(_, (command, _))| !command.up) {
        let ends = draft.parts.iter().filter(|part| part.at.0 >= 0).map(|part| part.at.0 as usize + part.len);
        let min = ends.max().unwrap_or(0).saturating_sub(left_len);
        step(1);
        let shape = *numbers.entry(&draft.parts).or_insert(shapes.len());
        if shape == shapes.len() {
            shapes.push((draft.parts.clone(), min, Vec::new(), chars(draft)));
        }
        let table = &mut shapes[shape].2;
        let place = *places.entry((shape, command.key)).or_insert(table.len());
        match table.get_mut(place) {
            Some((_, numbers)) => numbers.push(number as u32),
            None => table.push((command.key, vec![number as u32])),
        }
    }
    let compile = |(parts, data_len_min, table, (chars, hex)): ShapeDraft| {
        let table: KeyTable = table.into_iter().map(|(key, numbers)| (key, numbers.into())).collect();
        let table = table.with_chars(chars, hex);
        KeyShape { parts: parts.into(), data_len_min, table }
    };
    shapes.into_iter().map(compile).collect()
}
