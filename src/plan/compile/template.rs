//! A template file to a [`Template`].

use super::checksum;
use super::command::{self, CommandDraft, CommandIndex};
use super::data_list::{data_list, response_lengths};
use super::effect;
use super::expr::is_dynamic;
use super::field::{self, Area, Padding, is_data_frame_length, known, outside, raw_at, split_name};
use super::fields::Values;
use super::length;
use super::reply::{self, Bases, HeaderScope, RefusalSpec, Sources};
use super::sample::{self, sample};
use super::transfer;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawErrorReply, RawField, RawProtocol, RawTemplate, RawVendor};
use crate::config::steps::step;
use crate::model::field::{
    Computed, Constant, FRAME_BYTES_MAX, Field, KEY_BYTES_MAX, KeyPart, Kind, LengthField, Offset, Slot,
};
use crate::model::template::{Command, Encoding, ErrorReply, Framing, KeyShape, Template};
use crate::words::count;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fields of the header, and as many of the tail: each reply and each request has them all.
pub const AREA_FIELDS_MAX: usize = 128;
/// Values of a refusal's `ok`: each reply of which not all is known beforehand is compared with them.
pub const REFUSAL_OK_MAX: usize = 256;
/// The least that `request_bytes_max` is where it is not given: requests may have some bytes more than their commands list.
pub const REQUEST_BYTES_DEFAULT_MIN: usize = 256;
/// The most that `request_bytes_max` may be, and what it is where a command lists no request fields: such a request may have any
/// size. A stream needs a bound to tell a length from garbage. Costs nothing until a frame of that size has begun.
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
    /// Commands are missing here, for errors that were told.
    pub incomplete: bool,
    /// Something is wrong in its file, which was told; set by whoever has read it.
    pub wrong: bool,
    /// The template's refusal.
    pub refusal: Option<RefusalSpec>,
    /// As written: `rule_file_list`, then `rule_file`.
    pub rule_files: Vec<At<String>>,
    /// The template file.
    pub path: PathBuf,
}

/// What a command takes beside its fields: in the plan, and to be found by its key.
const COMMAND_BYTES: usize = 2 * size_of::<(Command, CommandDraft)>() + 512;

/// Compiles a template. `None` after errors that were told.
pub fn template(
    diags: &mut Diags,
    raw: &At<RawTemplate>,
    path: &Path,
    vendor: Option<&RawVendor>,
) -> Option<TemplateDraft> {
    let Some(protocol) = &raw.protocol else {
        diags.missing(raw.pos, "protocol", "the frame and its commands");
        return None;
    };
    let protocol = &*checksum::from_top(diags, raw, protocol);
    let encoding = protocol.encoding.as_ref().or_else(|| vendor.and_then(|vendor| vendor.encoding.as_ref()));
    let encoding = field::word(diags, encoding, Encoding::Binary, &encodings());
    let no_fields = Vec::new();
    let raw_left = protocol.pdu_left.as_ref().unwrap_or(&no_fields);
    let raw_tail = protocol.pdu_tailer.as_ref().unwrap_or(&no_fields);
    let whole = |key: &str, list: &[At<RawField>], diags: &Diags| diags.is_whole_list(protocol.pos, key, list.len());
    if !whole("pdu_left", raw_left, diags) || !whole("pdu_tailer", raw_tail, diags) {
        return None; // what else seems wrong may only follow from that
    }
    if raw_left.is_empty() {
        diags.error(protocol.pos, "`pdu_left` is missing or empty (the header fields)");
        return None;
    }
    let (mut left, left_len) = area(diags, raw_left, false);
    let (mut tail, tail_len) = area(diags, raw_tail, true);
    if left.len() != raw_left.len() || tail.len() != raw_tail.len() {
        return None; // told by `area`
    }
    let start = boundary(diags, raw_left.first(), left.first_mut(), Computed::Start).unwrap_or_default();
    let last_is_checksum = checksum::is_last(protocol, vendor, &left, &tail);
    let end = if last_is_checksum { None } else { boundary(diags, raw_tail.last(), tail.last_mut(), Computed::End) };
    let (fixed, size_known) = match fixed_len(diags, protocol, left_len + tail_len) {
        Ok(fixed) => (fixed, true),
        Err(Told) => (None, false),
    };
    let mut plan = Template {
        vendor: raw.vendor.as_ref().map_or("", |vendor| &vendor.value).into(),
        path: path.display().to_string().into(),
        encoding,
        start,
        end: end.unwrap_or_default(),
        left: left.into(),
        tail: tail.into(),
        left_len,
        tail_len,
        data_len_fixed: fixed,
        data_len_max: fixed.unwrap_or(0),
        data_lens: Box::default(),
        lengths: Box::default(),
        readings: [0].into(),
        less: 0,
        command_lengths: false,
        checksum: None,
        versions: Box::default(),
        framing: Framing::Delimited,
        keys: Box::default(),
        commands: Box::default(),
        errors: Default::default(),
        transfer: None,
        wire_len_max: 0,
    };
    plan.checksum = checksum::compile(diags, raw.pos, protocol, vendor, &mut plan);
    lengths(diags, raw_left, raw_tail, &mut plan);
    plan.versions = versions(diags, raw_left, raw_tail, &plan);

    let flag = flag(diags, protocol, &plan);
    let mut commands: Vec<(Command, CommandDraft)> = Vec::new();
    let around = sample::Around::new(&plan, raw_left, raw_tail);
    let bases = Bases::default();
    for raw in protocol.data_frame.iter().flatten() {
        if !diags.charge(raw.pos, COMMAND_BYTES, "a command") {
            return None;
        }
        let compiled = command::command(diags, &plan, flag.as_deref(), raw);
        commands.extend(compiled.map(|(mut command, draft, request)| {
            sample(diags, &plan, &around, &bases, request.as_ref(), &mut command, &draft);
            (command, draft)
        }));
    }
    let has_commands = protocol.data_frame.as_ref().is_some_and(|list| !list.is_empty());
    if !has_commands && diags.is_whole_list(protocol.pos, "data_frame", 0) {
        diags.error(protocol.pos, "`data_frame` is missing or empty (the commands)");
    }
    let incomplete = !has_commands || !diags.is_whole_list(protocol.pos, "data_frame", commands.len());
    command::share(diags, &plan, &mut commands);
    length::readings(&mut plan, commands.iter().map(|(command, _)| command));
    plan.transfer = transfer::compile(diags, protocol, &plan, &commands);
    sizes(diags, protocol, &mut plan, &commands);
    plan.keys = shapes(plan.left_len, &commands);
    let (compiled, drafts): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
    plan.commands = compiled.into();
    if is_keyed(&plan) {
        plan.framing = Framing::Keyed;
    }
    if !size_known || incomplete {
        // Nothing is served; that a stream cannot be cut, neither, would only follow from that.
        plan.framing = Framing::Fixed;
    }
    effect::template(diags, protocol, &plan);
    let refusal = refusal(diags, protocol, &plan);
    errors(diags, protocol, &mut plan);
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
    })
}

/// The words of `encoding`.
pub fn encodings() -> [(&'static str, Encoding); 2] {
    [("binary", Encoding::Binary), ("ascii_hex", Encoding::AsciiHex)]
}

/// The fields of the header or the tail, with their places.
fn area(diags: &mut Diags, list: &[At<RawField>], tail: bool) -> (Vec<Field>, usize) {
    let mut fields: Vec<Field> = Vec::new();
    let mut len = 0;
    for (number, raw) in list.iter().enumerate() {
        if number == AREA_FIELDS_MAX {
            let what = if tail { "tail" } else { "header" };
            diags.error(raw.pos, format!("{} fields of the {what} (at most {AREA_FIELDS_MAX})", list.len()));
            break;
        }
        let Some(name) = &raw.name else {
            diags.missing(raw.pos, "name", "the field's name");
            continue;
        };
        field::check_name(diags, name);
        let Some(slot) = field::slot(diags, raw, Padding::default()) else { continue };
        let (_, plain) = split_name(&name.value);
        if fields.iter().any(|field| *field.name == *plain) {
            diags.error(name.pos, format!("a second field `{plain}`"));
        }
        let length = slot.kind == Kind::Length || is_data_frame_length(raw);
        if !length {
            check_value(diags, raw, &slot);
        } else if let Some(value) = raw.value.value.as_ref().filter(|_| !is_data_frame_length(raw)) {
            diags.warn(value.pos, format!("`{plain}` is always computed; its value here means nothing"));
        }
        let at = Offset(len as i32);
        if !field::has_room(diags, name, len + slot.len) {
            break;
        }
        len += slot.len;
        let computed = if length { Computed::Length } else { Computed::No };
        fields.push(Field { name: plain.into(), at, slot, computed });
    }
    if tail {
        for field in &mut fields {
            field.at.0 -= len as i32;
        }
    }
    (fields, len)
}

/// A header or tail field's value must fit, whether a frame ever shows it or not.
fn check_value(diags: &mut Diags, raw: &At<RawField>, slot: &Slot) {
    match &raw.value.value {
        Some(value) if matches!(&value.value, Json::Str(text) if text.contains("{{")) => {
            diags.error(value.pos, "an unknown placeholder (known: {{data_frame_length}})");
        }
        // An empty text is zero, or padding.
        Some(value) if is_function(value) => {
            sample::function(diags, slot, value);
            if raw.matches.as_ref().is_some_and(|matches| matches.value) {
                diags.error(value.pos, "a field that is marked match needs a constant, and this is a function");
            }
        }
        Some(value) if !matches!(&value.value, Json::Str(text) if text.is_empty()) => {
            field::constant(diags, slot, value);
        }
        _ => {}
    }
}

/// Is this value made for each request?
fn is_function(value: &At<Json>) -> bool {
    matches!(&value.value, Json::Str(text) if is_dynamic(text))
}

/// The constant first or last field.
fn boundary(
    diags: &mut Diags,
    raw: Option<&At<RawField>>,
    field: Option<&mut Field>,
    computed: Computed,
) -> Option<Box<[u8]>> {
    let (raw, field) = (raw?, field?);
    if field.computed != Computed::No {
        return None;
    }
    // A function is no constant that a frame could be known by: the field is one like others.
    let value = raw.value.value.as_ref().filter(|value| !is_function(value))?;
    let (bytes, _) = field::constant(diags, &field.slot, value)?;
    field.computed = computed;
    Some(bytes)
}

/// An error that was told already.
struct Told;

/// Data-frame bytes, where they are always the same.
fn fixed_len(diags: &mut Diags, protocol: &At<RawProtocol>, around: usize) -> Result<Option<usize>, Told> {
    let dynamic = protocol.dynamic_length.as_ref().map(|dynamic| dynamic.value);
    match (&protocol.total_length, dynamic) {
        (None, None) if diags.written(protocol.pos, "total_length").is_some() => Err(Told),
        (_, Some(true)) | (None, None) => Ok(None),
        (Some(total), _) => {
            let len = usize::try_from(total.value).unwrap_or(usize::MAX);
            if len < around || len > FRAME_BYTES_MAX {
                let text = format!("total_length {len} (header and tail take {around}, at most {FRAME_BYTES_MAX})");
                diags.error(total.pos, text);
                return Err(Told);
            }
            Ok(Some(len - around))
        }
        (None, Some(false)) => {
            diags.missing(protocol.pos, "total_length", "bytes of the frame; dynamic_length is false");
            Err(Told)
        }
    }
}

/// Length fields of header and tail.
fn lengths(diags: &mut Diags, raw_left: &[At<RawField>], raw_tail: &[At<RawField>], plan: &mut Template) {
    // All `{{data_frame_length}}` of a frame are one number: what the first counts in the header.
    let mut after_length = None;
    let mut out = Vec::new();
    let fields = plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail));
    for (field, raw) in fields.filter(|(field, _)| field.computed == Computed::Length) {
        let mut length = LengthField {
            at: field.at,
            len: field.slot.len,
            little: field.slot.little,
            base: raw.add.as_ref().map_or(0, |add| add.value),
            per_data: 0,
            lchksum: false,
            configured: is_data_frame_length(raw),
            bcd: field.slot.kind == Kind::Bcd,
        };
        if let Err(wrong) = field::holds_number(&field.slot) {
            diags.error(raw.pos, format!("`{}` cannot be a length: {wrong}", field.name));
            continue;
        }
        if field.slot.len > 8 {
            diags.error(raw.pos, "a length has 1 to 8 bytes");
            continue;
        }
        if length.configured {
            let in_header = field.at.0 >= 0;
            let behind = || if in_header { plan.left_len - (field.at.0 as usize + field.slot.len) } else { 0 };
            length.base = length.base.saturating_add(*after_length.get_or_insert_with(behind) as i64);
            length.per_data = 1;
            out.push(length);
            continue;
        }
        let chars = field::word(diags, raw.unit.as_ref(), false, &[("bytes", false), ("chars", true)]);
        let coded = if chars && plan.encoding == Encoding::AsciiHex { 2 } else { 1 };
        let default = [At { pos: raw.pos, value: "data_frame".to_owned() }];
        let of = raw.of.as_ref().map_or(&default[..], |of| &of.value.0);
        for name in of {
            let (area, plain) = split_name(&name.value);
            match outside(plan, area, plain) {
                Some(field) if matches!(field.computed, Computed::Start | Computed::End) => {
                    length.base = length.base.saturating_add(field.slot.len as i64);
                }
                Some(field) => length.base = length.base.saturating_add(field.slot.len as i64 * coded),
                None if plain == "data_frame" => length.per_data += coded,
                None => {
                    let header = plan.left.iter().chain(&plan.tail).map(|field| &*field.name);
                    let names = header.chain(["data_frame"]);
                    diags.error(name.pos, format!("no field `{}`{}", name.value, known(plain, names)));
                }
            }
        }
        length.lchksum = field::word(diags, raw.check.as_ref(), false, &[("none", false), ("lchksum", true)]);
        if length.lchksum && length.len != 2 {
            diags.error(raw.pos, "lchksum needs a length of 2 bytes");
            length.lchksum = false;
        }
        out.push(length);
    }
    plan.lengths = out.into();
}

/// Header and tail constants marked `match`.
fn versions(
    diags: &mut Diags,
    raw_left: &[At<RawField>],
    raw_tail: &[At<RawField>],
    plan: &Template,
) -> Box<[Constant]> {
    let mut out = Vec::new();
    for (field, raw) in plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail)) {
        if !raw.matches.as_ref().is_some_and(|matches| matches.value) || field.computed != Computed::No {
            continue;
        }
        match &raw.value.value {
            None => diags.error(raw.pos, format!("`{}` is marked match and has no value to match", field.name)),
            Some(value) if is_function(value) => {} // told where the field was read
            Some(value) => out.extend(field::constant(diags, &field.slot, value).map(|(bytes, mask)| Constant {
                name: field.name.clone(),
                at: field.at,
                bytes,
                mask,
            })),
        }
    }
    out.into()
}

/// The names in data_frame_type_flag. `None`: no command can be told by it, which was said.
fn flag(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template) -> Option<Vec<At<String>>> {
    const KEY: &str = "data_frame_type_flag";
    let written = diags.written(protocol.pos, KEY);
    let given = protocol.data_frame_type_flag.as_ref().map_or(&[][..], |flag| &flag.0);
    let mut names = flag_names(given);
    if names.is_empty() {
        if let Some(broken) = given.iter().find(|at| !at.value.trim().is_empty()) {
            diags.error(broken.pos, format!("`{}` names no field (a name, `{{a}}_{{b}}`, or a list)", broken.value));
            return None;
        }
        // An empty one is none; one that could not be read was told.
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

/// How large frames can be, and how a stream is cut.
fn sizes(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &mut Template, commands: &[(Command, CommandDraft)]) {
    let around = plan.left_len + plan.tail_len;
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
        let open = commands.iter().any(|(command, _)| command.request.is_none());
        let listed = commands.iter().map(|(command, _)| command.request_len_padded).max().unwrap_or(0);
        plan.data_len_max = request_bytes_max(diags, protocol, around + listed, open) - around;
        asked = listed;
        if !open {
            let mut lens: Vec<usize> =
                commands.iter().flat_map(|(command, _)| [command.request_len, command.request_len_padded]).collect();
            lens.sort_unstable();
            lens.dedup();
            plan.data_lens = lens.into();
        }
    } else {
        request_bytes_max(diags, protocol, around + plan.data_len_max, false);
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
    plan.wire_len_max = plan.wire_len(around + replies);
}

/// Bytes of the longest request; `listed`: of the longest that a command lists; `open`: a command lists none.
fn request_bytes_max(diags: &mut Diags, protocol: &At<RawProtocol>, listed: usize, open: bool) -> usize {
    let default = if open { REQUEST_BYTES_MAX } else { REQUEST_BYTES_DEFAULT_MIN };
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

/// Does a length hold whatever it counts, up to a data frame of `data_len` bytes?
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
    let digits = if field.bcd { field::digits_hold(most.max(0) as u64, field.len) } else { Ok(()) };
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

/// Can a stream be cut by the commands' keys, where nothing else tells where a frame ends? Where the key stands in the
/// header, and all requests with one key have the same fields' size (data_frame_length is the reply's).
fn is_keyed(plan: &Template) -> bool {
    let [shape] = &*plan.keys else { return false };
    let in_header = |part: &KeyPart| part.at.0 >= 0 && part.at.0 as usize + part.len <= plan.left_len;
    let size = |number: &u32| {
        let command = plan.commands.get(*number as usize)?;
        command.request.as_ref().map(|_| command.request_len)
    };
    let one_size = |numbers: &[u32]| {
        let mut sizes = numbers.iter().map(size);
        sizes.next().flatten().is_some_and(|first| sizes.all(|size| size == Some(first)))
    };
    plan.framing == Framing::Delimited
        && plan.end.is_empty()
        && plan.encoding == Encoding::Binary
        && shape.parts.iter().all(in_header)
        && shape.table.iter().all(|(_, numbers)| one_size(numbers))
}

/// Parts of a key, fewest data-frame bytes, key -> commands.
type ShapeDraft = (Vec<KeyPart>, usize, Vec<(u128, Vec<u32>)>);

/// Commands by where their key stands.
fn shapes(left_len: usize, commands: &[(Command, CommandDraft)]) -> Box<[KeyShape]> {
    let mut shapes: Vec<ShapeDraft> = Vec::new();
    let mut numbers: HashMap<&[KeyPart], usize> = HashMap::new();
    let mut places: HashMap<(usize, u128), usize> = HashMap::new();
    for (number, (command, draft)) in commands.iter().enumerate() {
        let ends = draft.parts.iter().filter(|part| part.at.0 >= 0).map(|part| part.at.0 as usize + part.len);
        let min = ends.max().unwrap_or(0).saturating_sub(left_len);
        step(1);
        let shape = *numbers.entry(&draft.parts).or_insert(shapes.len());
        if shape == shapes.len() {
            shapes.push((draft.parts.clone(), min, Vec::new()));
        }
        let table = &mut shapes[shape].2;
        let place = *places.entry((shape, command.key)).or_insert(table.len());
        match table.get_mut(place) {
            Some((_, numbers)) => numbers.push(number as u32),
            None => table.push((command.key, vec![number as u32])),
        }
    }
    let compile = |(parts, data_len_min, table): ShapeDraft| {
        let table = table.into_iter().map(|(key, numbers)| (key, numbers.into())).collect();
        KeyShape { parts: parts.into(), data_len_min, table }
    };
    shapes.into_iter().map(compile).collect()
}

fn refusal(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template) -> Option<RefusalSpec> {
    let raw = protocol.refusal.as_ref()?;
    let Some(name) = &raw.field else {
        diags.missing(raw.pos, "field", "the header field that tells a refusal");
        return None;
    };
    let (area, plain) = split_name(&name.value);
    let Some(field) = outside(plan, area, plain) else {
        let names = plan.left.iter().map(|field| &*field.name);
        diags.error(name.pos, format!("no header field `{}`{}", name.value, known(plain, names)));
        return None;
    };
    if field.computed != Computed::No {
        diags.error(name.pos, format!("`{plain}` is always computed and cannot tell a refusal"));
        return None;
    }
    let Some(ok) = raw.ok.as_ref().filter(|ok| !ok.0.is_empty()) else {
        diags.missing(raw.pos, "ok", "the values that are no refusal");
        return None;
    };
    if ok.0.len() > REFUSAL_OK_MAX {
        diags.error(raw.pos, format!("{} values in `ok` (at most {REFUSAL_OK_MAX})", ok.0.len()));
        return None;
    }
    let ok =
        ok.0.iter().filter_map(|value| field::constant(diags, &field.slot, value)).map(|(bytes, _)| bytes).collect();
    Some(RefusalSpec { field: field.clone(), ok })
}

/// The replies to wrong requests.
fn errors(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &mut Template) {
    let Some(raw) = &protocol.errors else { return };
    let all = [
        (ErrorReply::BadLengthChecksum, &raw.bad_length_checksum),
        (ErrorReply::BadLength, &raw.bad_length),
        (ErrorReply::BadChecksum, &raw.bad_checksum),
        (ErrorReply::BadVersion, &raw.bad_version),
        (ErrorReply::UnknownCommand, &raw.unknown_command),
    ];
    for (which, raw) in all {
        let Some(raw) = raw else { continue };
        plan.errors[which as usize] = Some(Arc::new(error_reply(diags, raw, plan)));
    }
}

fn error_reply(diags: &mut Diags, raw: &At<RawErrorReply>, plan: &Template) -> crate::model::reply::Reply {
    let raw_list = raw.resp_data_list.as_deref().unwrap_or_default();
    let mut list = data_list(diags, plan, raw_list, Padding::default());
    let values = raw.data.as_ref().map(|data| data.0.as_slice()).unwrap_or_default();
    let is_data = |plain: &str| list.fields.data(plain).is_some();
    field::check_once(diags, plan, values, is_data);
    for (name, value) in values {
        let (area, plain) = split_name(&name.value);
        let data = area == Area::Plain && is_data(plain);
        let header = outside(plan, area, plain).is_some();
        if !data && !header && !matches!((plain, &value.value), ("desc" | "description", Json::Str(_))) {
            let names = plan.left.iter().map(|field| &*field.name);
            diags.error(name.pos, format!("no field `{}` in this reply{}", name.value, known(plain, names)));
        }
    }
    let fixed = plan.data_len_fixed;
    if let Some(fixed) = fixed.filter(|&fixed| list.len > fixed) {
        diags.error(raw.pos, format!("the reply fields take {}, the data frame has {fixed}", count(list.len, "byte")));
    }
    let response_len = fixed.unwrap_or(list.len).max(list.len);
    response_lengths(diags, plan, raw_list, &mut list.fields, response_len, plan.less);
    let sources = Sources {
        template: plan,
        refusal: None,
        request: None,
        response: &list.fields,
        response_len,
        less: plan.less,
        padding: 0,
        values: &[&Values::new(values)],
        scope: &HeaderScope(plan),
        bases: &Bases::default(),
        pos: raw.pos,
    };
    reply::build(diags, &sources)
}
