//! One field: its type, size, byte order, and values in its notation.

use super::coding;
use super::expr::{is_dynamic, nearest};
use super::moved::area_in;
use super::shown;
use super::special;
use super::walk;
use crate::config::at::{At, Json, Pos};
use crate::config::de::shown as cut;
use crate::config::diag::Diags;
use crate::config::raw::{RawField, RawProtocol};
use crate::config::steps::step;
use crate::model::digits::Digits;
use crate::model::field::{
    BitRange, Bits, Epoch, FIELD_BYTES_MAX, FRAME_BYTES_MAX, Field, Kind, Notation, Offset, Slot,
};
use crate::model::template::Template;
use crate::wire::changed::plain;
use crate::wire::time::CP56_BYTES;
use crate::wire::value::{self, set_bits};
use crate::words::{Endian, FieldType, LengthCheck, Unit, Word, count, names};
use std::collections::HashMap;
use thiserror::Error;

/// Where a name points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// None given: the data frame; in rules and flags also header or tail if the data frame has no such field.
    Plain,
    /// `{pdu_left}_x`, `{pdu_left}.{x}`
    Left,
    /// `{pdu_tailer}_x`, `{pdu_tailer}.{x}`
    Tail,
}

/// Takes the spellings of a name apart: they are one name.
pub fn split_name(name: &str) -> (Area, &str) {
    step(1);
    let name = name.trim();
    for (prefix, area) in [("{pdu_left}", Area::Left), ("{pdu_tailer}", Area::Tail)] {
        if let Some(rest) = name.strip_prefix(prefix) {
            let rest = rest.strip_prefix(['_', '.']).unwrap_or(rest);
            let rest = rest.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(rest);
            return (area, rest);
        }
    }
    (Area::Plain, name)
}

/// The header or tail field of that name, in its area; without one, the header goes before the tail.
pub fn outside<'a>(plan: &'a Template, area: Area, plain: &str) -> Option<&'a Field> {
    step(plan.left.len() + plan.tail.len());
    let left = plan.left.iter().filter(|_| area != Area::Tail);
    let tail = plan.tail.iter().filter(|_| area != Area::Left);
    left.chain(tail).find(|field| *field.name == *plain)
}

/// The header or tail field at that place, as the file has it.
pub fn raw_at<'r>(protocol: &'r RawProtocol, plan: &Template, at: Offset) -> Option<&'r At<RawField>> {
    let raw = protocol.pdu_left.iter().chain(&protocol.pdu_tailer).flatten();
    plan.left.iter().chain(&plan.tail).zip(raw).find(|(field, _)| field.at == at).map(|(_, raw)| raw)
}

/// The key of the area that has this header or tail field, as names spell it.
pub fn area_key(field: &Field) -> &'static str {
    if field.at.0 >= 0 { "pdu_left" } else { "pdu_tailer" }
}

/// Warns of a data-frame field with the name of a header or tail field: only the spelling tells them apart.
pub fn check_apart(diags: &mut Diags, plan: &Template, name: &At<String>) {
    let (area, plain) = split_name(&name.value);
    let Some(field) = outside(plan, area, plain).filter(|_| area == Area::Plain) else { return };
    let whose = if field.at.0 >= 0 { "header" } else { "tail" };
    let other = format!("`{{{}}}_{plain}` would be the {whose}'s", area_key(field));
    diags.warn(name.pos, format!("`{plain}` is a field of the data frame; {other}"));
}

/// Reports a name that is not allowed for a field.
pub fn check_name(diags: &mut Diags, name: &At<String>) {
    match split_name(&name.value).1 {
        "" => diags.error(name.pos, "a field without a name"),
        plain if is_dynamic(plain) => {
            diags.error(name.pos, format!("`{plain}` as a name (`#{{` and `${{` begin a value)"));
        }
        "data_frame" => diags.error(name.pos, "`data_frame` means the whole data frame; a field has another name"),
        _ => {}
    }
}

/// Has a frame room for `bytes` bytes of fields, this one the last? If not, that is an error.
pub fn has_room(diags: &mut Diags, name: &At<String>, bytes: usize) -> bool {
    let fit = bytes <= FRAME_BYTES_MAX;
    if !fit {
        let text =
            format!("the fields up to `{}` take {bytes} bytes (a frame has at most {FRAME_BYTES_MAX})", name.value);
        diags.error(name.pos, text);
    }
    fit
}

/// A value that was given: the area it was given with, the place that it means there, and how it was written.
type Given<'a> = (Area, Option<Offset>, &'a str);

/// Reports names that occur twice among values, in whatever spelling: only one could apply. `is_data`: has
/// the data frame that they are about such a field?
pub fn check_once(
    diags: &mut Diags,
    plan: &Template,
    values: &[(At<String>, At<Json>)],
    is_data: impl Fn(&str) -> bool,
) {
    // By plain name.
    let mut seen: HashMap<&str, Vec<Given<'_>>> = HashMap::with_capacity(values.len());
    for (name, _) in values {
        let (area, plain) = area_in(plan, &name.value);
        let field = outside(plan, area, plain).filter(|_| !(area == Area::Plain && is_data(plain)));
        let place = field.map(|field| field.at);
        let before = seen.entry(plain).or_default();
        let same = |(other, at, _): &&Given<'_>| area == *other || (place.is_some() && place == *at);
        if let Some((_, _, other)) = before.iter().find(same) {
            diags.error(name.pos, format!("the same field as `{other}`"));
        } else {
            before.push((area, place, &name.value));
        }
    }
}

/// Alignment and padding of short values in a data frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Padding {
    /// On the right.
    pub right: bool,
    /// The byte.
    pub byte: u8,
    /// Somebody asked for it: then digits are padded too, instead of leading zeros.
    pub given: bool,
}

/// Is the value of this field `{{data_frame_length}}`, with or without blanks inside?
pub fn is_data_frame_length(raw: &RawField) -> bool {
    matches!(raw.value.as_ref().map(|at| &at.value), Some(Json::Str(text)) if placeholder(text) == Some("data_frame_length"))
}

/// Does the program compute it from the sizes that `of` names?
pub fn counts_of(raw: &RawField, kind: &Kind) -> bool {
    let in_digits = matches!(kind, Kind::Bcd | Kind::Dec | Kind::HexDigits { .. });
    *kind == Kind::Length || (in_digits && raw.of.is_some() && !is_data_frame_length(raw))
}

/// The name in a text that is a placeholder, `{{name}}`, and nothing else.
pub fn placeholder(text: &str) -> Option<&str> {
    text.trim().strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}")).map(str::trim)
}

/// The type of that name; an unknown one is an error.
fn field_type(diags: &mut Diags, name: &str, pos: Pos) -> Option<FieldType> {
    let found = FieldType::from_name(name);
    if found.is_none() {
        diags.error(pos, format!("unknown type `{name}`{}", known(name, names::<FieldType>())));
    }
    found
}

fn kind(of: FieldType) -> Kind {
    match of {
        // A list or choice is reported by `walk::varies` wherever a field of one place is wanted.
        FieldType::Hex | FieldType::List | FieldType::Choice => Kind::Hex,
        FieldType::Int | FieldType::IntBe | FieldType::IntLe => Kind::Int,
        FieldType::Uint => Kind::Uint,
        FieldType::Bcd => Kind::Bcd,
        FieldType::Dec => Kind::Dec,
        FieldType::HexDigits => Kind::HexDigits { low: false },
        FieldType::Sbcd => Kind::Sbcd,
        FieldType::Epoch => Kind::Epoch(Epoch { ms: false, offset_s: 0 }),
        FieldType::Cp56 => Kind::Cp56,
        FieldType::Bit => Kind::Bit(Bits::default()),
        FieldType::Str | FieldType::Ascii => Kind::Str,
        FieldType::Length => Kind::Length,
        FieldType::F32 => Kind::F32,
        FieldType::F64 => Kind::F64,
    }
}

/// Checks keys at a reference to a header or tail field: they may only repeat what the field itself has.
pub fn restated(diags: &mut Diags, raw: &RawField, field: &Field) {
    let kind_at = raw.kind.as_ref();
    let said = kind_at.and_then(|at| field_type(diags, &at.value, at.pos)).map(kind);
    if let (Some(at), Some(said)) = (kind_at, said)
        && std::mem::discriminant(&said) != std::mem::discriminant(&field.slot.kind)
    {
        let text = format!("`{}` has its type where it is defined; `{}` here means nothing", field.name, at.value);
        diags.warn(at.pos, text);
    }
    if let Some(transform) = &raw.transform {
        diags.idle(transform.pos, format!("`{}` has its transform where it is defined", field.name));
    }
    word(diags, raw.endian.as_ref(), Endian::Big);
    word(diags, raw.unit.as_ref(), Unit::Bytes);
    word(diags, raw.check.as_ref(), LengthCheck::None);
}

/// Type, size and byte order of a field; `None` after an error that was reported.
pub fn slot(diags: &mut Diags, raw: &At<RawField>, padding: Padding) -> Option<Slot> {
    sized_slot(diags, raw, padding, false)
}

/// The same; `varies`: of a field of variable size, as one of its most bytes.
pub fn sized_slot(diags: &mut Diags, raw: &At<RawField>, padding: Padding, varies: bool) -> Option<Slot> {
    let kind_name = raw.kind.as_ref().map_or("hex", |kind| kind.value.as_str());
    let kind_pos = raw.kind.as_ref().map_or(raw.pos, |kind| kind.pos);
    let field_type = field_type(diags, kind_name, kind_pos);
    // Taken as bytes, so that one wrong word does not hide what else is wrong.
    let mut kind = field_type.map_or(Kind::Hex, kind);
    special::complete(diags, raw, &mut kind);
    let little = is_little(diags, raw, field_type);
    let fixed = match kind {
        Kind::F32 => Some(4),
        Kind::F64 => Some(8),
        Kind::Cp56 => Some(CP56_BYTES as u64),
        _ => None,
    };
    if let Some(pos) = walk::varies(raw) {
        diags.error(pos, walk::ONLY_IN_DATA);
        return None;
    }
    if let Some(max) = &raw.max {
        diags.error(max.pos, "`max` at a field of fixed size");
    }
    let Some(length) = raw.length.as_ref().and_then(|at| at.number()).or(fixed) else {
        diags.missing(raw.pos, "length", "bytes, before encoding");
        return None;
    };
    let length_pos = raw.length.as_ref().map_or(raw.pos, |at| at.pos);
    let most = match kind {
        Kind::Int | Kind::Uint | Kind::Length | Kind::Sbcd | Kind::Epoch(_) => 8,
        _ => FIELD_BYTES_MAX as u64,
    };
    if length == 0 || length > most {
        diags.error(length_pos, format!("length {length} for type {kind_name} (1 to {most} bytes)"));
        return None;
    }
    if let Some(fixed) = fixed.filter(|&fixed| fixed != length) {
        diags.error(length_pos, format!("length {length} for type {kind_name} ({})", count(fixed, "byte")));
        return None;
    }
    // With an unknown type these keys cannot be judged.
    let known_type = field_type.is_some() && (raw.kind.is_some() || diags.written(raw.pos, "type").is_none());
    if known_type {
        length_only(diags, raw, &kind);
    }
    let mut slot = Slot { kind, len: length as usize, little, right: padding.right, padding: padding.byte };
    if slot.kind == Kind::Bcd && !padding.given {
        slot.right = !little;
    }
    special::pad(diags, raw, &mut slot);
    if let Some(endian) = raw.endian.as_ref().filter(|_| slot.little) {
        little_digits(diags, &mut slot, endian);
    }
    if let Some(ranges) = raw.bits.as_ref().filter(|_| known_type) {
        slot.kind = Kind::Bit(bit_ranges(diags, raw, &slot, &ranges.0)?);
    }
    if known_type {
        shown::lay_over(diags, raw, &mut slot, varies);
    }
    coding::changed(diags, raw, slot)
}

/// `endian` little at digits in characters: hex digits go in pairs, decimal ones have one order.
fn little_digits(diags: &mut Diags, slot: &mut Slot, endian: &At<String>) {
    match &mut slot.kind {
        Kind::Dec => diags.error(endian.pos, "`endian` at a dec field (its digits have one order)"),
        Kind::Cp56 => diags.error(endian.pos, "`endian` at a cp56time2a field (its bytes have one order)"),
        Kind::HexDigits { .. } if slot.len % 2 == 1 => {
            let text = format!("`endian` at a hexdigits field of {} digits (two digits are a byte)", slot.len);
            diags.error(endian.pos, text);
        }
        Kind::HexDigits { low } => *low = true,
        _ => return,
    }
    slot.little = false;
}

/// The byte order of a field.
fn is_little(diags: &mut Diags, raw: &At<RawField>, of: Option<FieldType>) -> bool {
    let Some(at) = &raw.endian else { return of == Some(FieldType::IntLe) };
    let endian = Endian::from_name(&at.value);
    match (of, endian) {
        (_, None) => diags.error(at.pos, format!("unknown endian `{}` (big or little)", at.value)),
        (Some(of @ FieldType::IntLe), Some(other @ Endian::Big))
        | (Some(of @ FieldType::IntBe), Some(other @ Endian::Little)) => {
            diags.error(at.pos, format!("{} with endian `{}` (leave one out)", of.name(), other.name()));
        }
        _ => {}
    }
    endian == Some(Endian::Little)
}

/// Reports length keys at a field that is no length, or that is a `{{data_frame_length}}`.
fn length_only(diags: &mut Diags, raw: &At<RawField>, kind: &Kind) {
    let is_length = counts_of(raw, kind);
    let configured = is_data_frame_length(raw);
    if is_length && !configured {
        return;
    }
    let add = raw.add.as_ref().map(|add| add.pos).filter(|_| !configured);
    let needs = if is_length {
        "means nothing beside `{{data_frame_length}}` (one of them)"
    } else {
        "needs `\"type\": \"length\"`"
    };
    let given = [
        ("of", raw.of.as_ref().map(|of| of.pos)),
        (
            "unit",
            raw.unit
                .as_ref()
                .map(|unit| unit.pos)
                .filter(|_| !shown::is_engineering(raw, kind) && !matches!(kind, Kind::Epoch(_))),
        ),
        ("add", add),
        ("check", raw.check.as_ref().map(|check| check.pos)),
    ];
    for (key, pos) in given {
        if let Some(pos) = pos {
            let is_word = raw.unit.as_ref().is_some_and(|unit| Unit::from_name(&unit.value).is_some());
            if key == "unit" && !is_length && !is_word {
                diags.error(
                    pos,
                    format!("`unit` at a {} field (numbers, epoch and length have one)", kind.word().name()),
                );
                continue;
            }
            diags.error(pos, format!("`{key}` {needs}"));
        }
    }
}

fn bit_ranges(
    diags: &mut Diags,
    raw: &At<RawField>,
    slot: &Slot,
    ranges: &[(At<String>, At<Vec<u64>>)],
) -> Option<Bits> {
    if !matches!(slot.kind, Kind::Bit(_)) {
        diags.error(raw.pos, "`bits` needs `\"type\": \"bit\"`");
        return None;
    }
    let last = slot.len as u64 * 8 - 1;
    let mut out: Vec<BitRange> = Vec::new();
    // By bit: the first range that has it.
    let mut owners: HashMap<u32, usize> = HashMap::new();
    for (name, range) in ranges {
        if name.value.is_empty() {
            diags.error(name.pos, "bits without a name");
        }
        match range.value[..] {
            [from, to] if from <= to && to <= last && to - from < 64 => {
                let range_here = BitRange { name: name.value.as_str().into(), from: from as u32, to: to as u32 };
                let number = out.len();
                let first = (range_here.from..=range_here.to).map(|bit| *owners.entry(bit).or_insert(number)).min();
                step(1);
                if let Some(other) = first.and_then(|first| out.get(first)) {
                    let text = format!("bits `{}` and `{}` overlap", other.name, name.value);
                    diags.warn(range.pos, format!("{text} (where both are given, the later one stands)"));
                }
                if !diags.charge(
                    range.pos,
                    size_of::<BitRange>() + name.value.len() + BIT_INDEX_BYTES,
                    "a name of bits",
                ) {
                    return None;
                }
                out.push(range_here);
            }
            _ => diags.error(
                range.pos,
                format!(
                    "bits `{}` should be [from, to], both 0 (most significant) to {last}, at most 64 bits",
                    name.value
                ),
            ),
        }
    }
    Some(Bits::new(out))
}

/// What a name of bits takes to be found by.
const BIT_INDEX_BYTES: usize = 4;
/// Known names that one message lists.
const KNOWN_NAMES_MAX: usize = 64;

/// ` (did you mean …?)` or ` (known: …)`.
pub fn known<'n>(name: &str, all: impl IntoIterator<Item = &'n str, IntoIter: Clone>) -> String {
    let mut all = all.into_iter();
    let near = nearest(name, all.clone());
    if !near.is_empty() {
        return near;
    }
    let listed: Vec<&str> = all.by_ref().take(KNOWN_NAMES_MAX).collect();
    let more = if all.next().is_some() { ", ..." } else { "" };
    format!(" (known: {}{more})", listed.join(", "))
}

/// A JSON value as text in the notation of a field; `None` after an error that was reported.
/// Objects (named bits) have no text: see [`constant`].
pub fn text(diags: &mut Diags, slot: &Slot, json: &At<Json>) -> Option<String> {
    if let Kind::Changed(changed) = &slot.kind {
        return text(diags, &plain(slot, changed), json);
    }
    match &json.value {
        Json::Str(text) => Some(text.clone()),
        Json::Num(number) => {
            if number.is_f64() && !matches!(slot.kind.notation(), Notation::Float | Notation::Text) {
                let float = number.as_f64().unwrap_or_default();
                let whole =
                    if float.fract() == 0.0 && float.abs() < 1e15 { format!(": {float}") } else { String::new() };
                let text = format!(
                    "{number} is no value of this field ({}, without point and exponent{whole})",
                    notation(slot)
                );
                diags.error(json.pos, text);
                return None;
            }
            if *slot.kind.plain() == Kind::Hex {
                let text = number.to_string();
                if !text.bytes().all(|c| c.is_ascii_digit()) {
                    diags.error(json.pos, format!("{text} for a hex field (hex digits in quotes)"));
                    return None;
                }
                diags.warn(json.pos, format!("the number {text} is taken as hex digits (write \"{text}\")"));
            }
            if let Kind::Epoch(_) = slot.kind.plain() {
                // The number that the field counts.
                return Some(format!("@{number}"));
            }
            if matches!(slot.kind.plain(), Kind::HexDigits { .. }) {
                return hex_number(diags, number, json.pos);
            }
            Some(number.to_string())
        }
        Json::Arr(items) if matches!(slot.kind, Kind::Bit(_)) => {
            let mut text = String::new();
            for item in items {
                match &item.value {
                    Json::Num(number) if number.as_u64() == Some(0) => text.push('0'),
                    Json::Num(number) if number.as_u64() == Some(1) => text.push('1'),
                    Json::Bool(bit) => text.push(if *bit { '1' } else { '0' }),
                    _ => {
                        diags.error(item.pos, "a bit is 0 or 1");
                        return None;
                    }
                }
            }
            Some(text)
        }
        other => {
            let found = match other {
                Json::Null => "null",
                Json::Bool(_) => "true or false",
                Json::Arr(_) => "a list",
                _ => "an object",
            };
            diags.error(json.pos, format!("{found} is no value of this field ({})", notation(slot)));
            None
        }
    }
}

/// A number as the hex digits that it is.
fn hex_number(diags: &mut Diags, number: &serde_json::Number, pos: Pos) -> Option<String> {
    let digits = number.as_u64().map(|number| format!("{number:X}"));
    if digits.is_none() {
        diags.error(pos, format!("{number} for a hexdigits field (0 to {})", u64::MAX));
    }
    digits
}

fn notation(slot: &Slot) -> &'static str {
    match slot.kind.plain() {
        Kind::Hex => "hex digits in quotes",
        Kind::Int | Kind::Uint | Kind::Length | Kind::Sbcd => "a whole number",
        Kind::Epoch(_) | Kind::Cp56 => "a time such as 2026-01-12T17:30:03",
        Kind::Bcd | Kind::Dec => "decimal digits",
        Kind::HexDigits { .. } => "a whole number, or hex digits in quotes",
        Kind::Bit(ranges) if ranges.is_empty() => "a list of zeros and ones",
        Kind::Bit(_) => "an object of named bits, or a list of zeros and ones",
        Kind::Str | Kind::Coded(_) => "text",
        Kind::F32 | Kind::F64 | Kind::Shown(_) => "a number",
        Kind::Changed(changed) => notation(&plain(slot, changed)),
    }
}

/// The bytes of a text in a field; `None` after an error that was reported.
pub fn encode(diags: &mut Diags, slot: &Slot, text: &str, pos: Pos) -> Option<Box<[u8]>> {
    let mut bytes = vec![0; slot.len];
    match value::encode(slot, text.as_bytes(), &mut bytes) {
        Ok(()) => Some(bytes.into()),
        Err(misfit) => {
            diags.error(pos, format!("`{}` is {}", cut(text), misfit.explain(slot)));
            None
        }
    }
}

/// Bytes, and which bits of them count (empty: all).
pub type Masked = (Box<[u8]>, Box<[u8]>);

/// A field is of a type that holds no computed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("its field is {0}, and a computed number needs hex, uint, bcd, dec or hexdigits")]
pub struct NoNumber(&'static str);

/// Can a field of this type hold a computed number?
pub fn holds_number(slot: &Slot) -> Result<(), NoNumber> {
    let kind = match slot.kind.plain() {
        Kind::Shown(_) => "a number with a scale",
        Kind::Sbcd => "a signed number",
        Kind::Epoch(_) | Kind::Cp56 => "a time",
        Kind::Hex | Kind::Int | Kind::Uint | Kind::Length | Kind::Bcd | Kind::Dec | Kind::HexDigits { .. } => {
            return Ok(());
        }
        Kind::Str | Kind::Coded(_) => "text",
        Kind::Bit(_) => "bits",
        Kind::F32 | Kind::F64 => "a float",
        Kind::Changed(_) => "changed by `transform`",
    };
    Err(NoNumber(kind))
}

/// A number has more digits than its field. The text follows a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{most}, and {bytes} of {kind} {hold} {digits} ({needed_bytes} would hold it)",
    bytes = count(*.len, "byte"),
    kind = .kind.name(),
    hold = if *.len == 1 { "holds" } else { "hold" },
    digits = count(if *.kind == FieldType::Bcd { 2 * *.len } else { *.len }, "digit"),
    needed_bytes = count(*.needed, "byte")
)]
pub struct TooManyDigits {
    /// The number.
    most: u64,
    /// The field's type.
    kind: FieldType,
    /// Bytes of the field.
    len: usize,
    /// Bytes that the number needs.
    needed: usize,
}

/// Do the digits of a field of `len` bytes hold numbers up to `most`? A binary field is looked at elsewhere.
pub fn digits_hold(digits: Digits, most: u64, len: usize) -> Result<(), TooManyDigits> {
    let kind = match digits {
        Digits::Binary => return Ok(()),
        Digits::Bcd => FieldType::Bcd,
        Digits::Dec => FieldType::Dec,
        Digits::Hex { .. } => FieldType::HexDigits,
    };
    let needed = digits.needed(most);
    if needed > len { Err(TooManyDigits { most, kind, len, needed }) } else { Ok(()) }
}

/// The bytes of a constant, and the mask of its bits (empty: all); `None` after an error that was reported.
pub fn constant(diags: &mut Diags, slot: &Slot, json: &At<Json>) -> Option<Masked> {
    if let (Json::Obj(entries), Kind::Bit(ranges)) = (&json.value, &slot.kind) {
        let mut bytes = vec![0; slot.len];
        let mut mask = vec![0; slot.len];
        for (name, number) in entries {
            let Some(range) = ranges.named(&name.value) else {
                let near = nearest(&name.value, ranges.iter().map(|range| &*range.name));
                diags.error(name.pos, format!("no bits are named `{}`{near}", name.value));
                return None;
            };
            let width = range.to - range.from + 1;
            let most = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
            let number = match &number.value {
                Json::Num(n) => n.as_u64(),
                Json::Str(text) => value::parse_int(text.as_bytes()).ok().and_then(|n| u64::try_from(n).ok()),
                Json::Bool(bit) => Some(u64::from(*bit)),
                _ => None,
            };
            let Some(number) = number.filter(|&number| number <= most) else {
                diags.error(name.pos, format!("bits `{}` hold a whole number from 0 to {most}", name.value));
                return None;
            };
            set_bits(slot, range.from, range.to, number, &mut bytes);
            set_bits(slot, range.from, range.to, u64::MAX, &mut mask);
        }
        return Some((bytes.into(), mask.into()));
    }
    let text = text(diags, slot, json)?;
    let bytes = encode_constant(diags, slot, &text, json.pos)?;
    let mask = if matches!(slot.kind.base(), Kind::HexDigits { .. }) { either_case(&bytes) } else { Box::default() };
    Some((bytes, mask))
}

/// The mask of hex digits in either case; empty if there are no letters.
pub fn either_case(digits: &[u8]) -> Box<[u8]> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    if !digits.iter().any(is_letter) {
        return Box::default();
    }
    digits.iter().map(|byte| if is_letter(byte) { !0x20 } else { 0xFF }).collect()
}

/// As [`encode`], where a value that depends on a request or a clock makes no sense: it would be taken letter by letter.
pub fn encode_constant(diags: &mut Diags, slot: &Slot, text: &str, pos: Pos) -> Option<Box<[u8]>> {
    if is_dynamic(text) {
        diags.error(pos, format!("`{text}` where a constant is needed (no function and no `#{{field}}#`)"));
        return None;
    }
    encode(diags, slot, text, pos)
}

/// A word of a set; `default` where none is given, and after an error that was reported.
pub fn word<W: Word>(diags: &mut Diags, at: Option<&At<String>>, default: W) -> W {
    at.and_then(|at| given_word(diags, at)).unwrap_or(default)
}

/// A word of a set; `None` after an error that was reported.
pub fn given_word<W: Word>(diags: &mut Diags, at: &At<String>) -> Option<W> {
    let found = W::ALL.iter().copied().find(|word| word.name() == at.value);
    if found.is_none() {
        diags.error(at.pos, format!("unknown `{}`{}", cut(&at.value), known(&at.value, names::<W>())));
    }
    found
}
