//! The checksum of a template to spans.

use super::crc;
use super::field::{self, Area, known, outside, raw_at, split_name};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawChecksum, RawChecksumConfig, RawField, RawProtocol, RawTemplate, RawVendor};
use crate::model::digits::Digits;
use crate::model::field::{Computed, FRAME_BYTES_MAX, Field, Offset};
use crate::model::template::{Algorithm, Checksum, Complement, Encoding, Special, Template};
use crate::words::{AlgorithmName, Over, count, names};
use std::borrow::Cow;

/// `protocol`, with the checksum that the file has next to it; both places mean the same.
pub fn from_top<'r>(diags: &mut Diags, raw: &RawTemplate, protocol: &'r At<RawProtocol>) -> Cow<'r, At<RawProtocol>> {
    let top = [raw.checksum.as_ref().map(|at| at.pos), raw.checksum_config.as_ref().map(|at| at.pos)];
    let own = [protocol.checksum.as_ref().map(|at| at.pos), protocol.checksum_config.as_ref().map(|at| at.pos)];
    let (Some(top), own) = (top.into_iter().flatten().next(), own.into_iter().flatten().next()) else {
        return Cow::Borrowed(protocol);
    };
    if let Some(own) = own {
        let text = format!("a second checksum: `protocol` has one too, at {} (one of them)", diags.place(own));
        diags.error(top, text);
        return Cow::Borrowed(protocol);
    }
    let mut protocol = protocol.clone();
    protocol.value.checksum.clone_from(&raw.checksum);
    protocol.value.checksum_config.clone_from(&raw.checksum_config);
    Cow::Owned(protocol)
}

/// Names of checksums, as templates of the field have them. A field with such a name that nothing computes is a warning.
const USUAL_NAMES: [&str; 7] = ["checksum", "check", "crc", "cs", "lrc", "bcc", "fcs"];

fn has_usual_name(field: &Field) -> bool {
    USUAL_NAMES.iter().any(|usual| field.name.eq_ignore_ascii_case(usual))
}

/// Reports a tail field that looks like a checksum where none is configured. An unreadable one was reported already.
fn not_configured(diags: &mut Diags, top: Pos, protocol: &At<RawProtocol>, plan: &Template) {
    let written = |key| [top, protocol.pos].iter().any(|object| diags.written(*object, key).is_some());
    if written("checksum") || written("checksum_config") {
        return;
    }
    let copied = |field: &&Field| field.computed == Computed::No && has_usual_name(field);
    let Some(field) = plan.tail.iter().find(copied) else { return };
    let mut raw = protocol.pdu_tailer.iter().flatten();
    let named = |raw: &&At<RawField>| raw.name.as_ref().is_some_and(|at| split_name(&at.value).1 == &*field.name);
    let Some(raw) = raw.find(named) else { return };
    let what = format!("nothing says how `{}` is computed, so every reply repeats the request's value", field.name);
    let default = if matches!(&*field.name, "checksum" | "check") {
        String::new()
    } else {
        format!(" with \"field\": \"{}\"", field.name)
    };
    diags.warn(raw.pos, format!("{what} (`checksum` in `protocol`{default}, or in vendor.json)"));
}

/// The configuration of the checksum: the template's, else its vendor's.
fn source<'r>(
    protocol: &'r RawProtocol,
    vendor: Option<&'r RawVendor>,
) -> (Option<&'r At<RawChecksum>>, Option<&'r At<RawChecksumConfig>>) {
    match (&protocol.checksum, &protocol.checksum_config) {
        (None, None) => (vendor.and_then(|vendor| vendor.checksum.as_ref()), None),
        (declared, config) => (declared.as_ref(), config.as_ref()),
    }
}

/// The name that it gives its field.
fn field_name<'r>(
    (declared, config): (Option<&'r At<RawChecksum>>, Option<&'r At<RawChecksumConfig>>),
) -> Option<&'r At<String>> {
    declared.map_or_else(|| config.and_then(|config| config.field.as_ref()), |declared| declared.field.as_ref())
}

/// The place of the field with that name: a plain name is looked for in the tail before the header. Without a name it is the
/// tail field named `checksum` or `check`.
fn place(name: Option<&At<String>>, left: &[Field], tail: &[Field]) -> Option<Offset> {
    let found = if let Some(name) = name {
        let (area, plain) = split_name(&name.value);
        let (left, tail) = (left.iter().filter(|_| area != Area::Tail), tail.iter().filter(|_| area != Area::Left));
        tail.chain(left).find(|field| *field.name == *plain)
    } else {
        tail.iter().find(|field| matches!(&*field.name, "checksum" | "check"))
    };
    found.map(|field| field.at)
}

/// Is the last field of the tail the checksum?
pub fn is_last(protocol: &RawProtocol, vendor: Option<&RawVendor>, left: &[Field], tail: &[Field]) -> bool {
    let at = place(field_name(source(protocol, vendor)), left, tail);
    tail.last().is_some_and(|field| Some(field.at) == at)
}

/// Reports unknown words in a checksum.
pub fn check_words(diags: &mut Diags, raw: &At<RawChecksum>) {
    algorithm(diags, raw.algorithm.as_ref(), raw.pos, usize::MAX / 8);
    field::word(diags, raw.complement.as_ref(), Complement::None);
    field::word(diags, raw.over.as_ref(), Over::Raw);
}

/// What `crc16` is, as the catalogue spells it.
const MODBUS: &str = "CRC-16/MODBUS";

/// The algorithm, and what it is called.
fn algorithm(
    diags: &mut Diags,
    given: Option<&At<String>>,
    pos: Pos,
    field_len: usize,
) -> Option<(Algorithm, Box<str>)> {
    let Some(given) = given else {
        diags.missing(pos, "algorithm", &format!("{} or crc:NAME", names::<AlgorithmName>().join(", ")));
        return None;
    };
    let name = given.value.trim();
    let lower = name.to_ascii_lowercase();
    let crc_name = match AlgorithmName::from_name(&lower) {
        Some(AlgorithmName::Sum) => return Some((Algorithm::Sum, lower.into())),
        Some(AlgorithmName::Xor) => return Some((Algorithm::Xor, lower.into())),
        Some(AlgorithmName::SumXor) => return Some((Algorithm::SumXor, lower.into())),
        Some(AlgorithmName::Crc16) => MODBUS,
        None if lower.starts_with("crc:") => name[4..].trim(),
        None => {
            diags.error(given.pos, no_algorithm(name));
            return None;
        }
    };
    let Some(found) = crc::find(crc_name) else {
        diags.error(
            given.pos,
            crc::ambiguous(crc_name).map_or_else(
                || format!("no CRC of the catalogue is named `{crc_name}`{}", crc::nearest_name(crc_name)),
                |names| format!("`{crc_name}` is ambiguous: write {names}"),
            ),
        );
        return None;
    };
    if found.bits as usize > field_len * 8 {
        diags.error(given.pos, format!("a CRC of {} bits in a field of {}", found.bits, count(field_len, "byte")));
        return None;
    }
    Some((found.algorithm, format!("crc:{}", found.name).into()))
}

/// The error for a word that names no algorithm; perhaps only the `crc:` is missing.
fn no_algorithm(name: &str) -> String {
    if let Some(names) = crc::ambiguous(name) {
        return format!("`{name}` is ambiguous: write {names}");
    }
    let near = crc::find(name).map_or_else(
        || known(name, names::<AlgorithmName>().into_iter().chain(["crc:CRC-16/MODBUS"])),
        |found| format!(" (did you mean `crc:{}`?)", found.name),
    );
    format!("unknown algorithm `{name}`{near}")
}

/// The error for a missing checksum field.
fn no_field(name: Option<&At<String>>, plan: &Template) -> String {
    let Some(name) = name else {
        let usual = plan.tail.iter().find(|field| has_usual_name(field));
        let near = usual.map_or(String::new(), |field| format!(": \"field\": \"{}\"?", field.name));
        return format!("no tail field is named `checksum` or `check` (name it with `field`{near})");
    };
    let names = plan.left.iter().chain(&plan.tail).map(|field| &*field.name);
    format!("no header or tail field `{}`{}", name.value, known(split_name(&name.value).1, names))
}

/// Compiles the checksum and marks its field. `top` is the object that has `protocol`. `None`: there is none, or errors were reported.
pub fn compile(
    diags: &mut Diags,
    top: Pos,
    protocol: &At<RawProtocol>,
    vendor: Option<&RawVendor>,
    plan: &mut Template,
) -> Option<Checksum> {
    let (declared, config) = source(protocol, vendor);
    if let (Some(declared), Some(_)) = (declared, config) {
        diags.warn(declared.pos, "`checksum` and `checksum_config` are both given; `checksum` is taken");
    }
    let Some(pos) = declared.map(|at| at.pos).or(config.map(|at| at.pos)) else {
        not_configured(diags, top, protocol, plan);
        return None;
    };
    let name = field_name((declared, config));
    let Some(at) = place(name, &plan.left, &plan.tail) else {
        diags.error(pos, no_field(name, plan));
        return None;
    };
    let field = plan.left.iter_mut().chain(plan.tail.iter_mut()).find(|field| field.at == at)?;
    let name = field.name.clone();
    if let Err(wrong) = field::holds_number(&field.slot) {
        diags.error(pos, format!("`{name}` cannot be the checksum: {wrong}"));
        return None;
    }
    if field.slot.len > 8 || field.computed != Computed::No {
        diags.error(pos, format!("`{name}` cannot be the checksum (1 to 8 bytes, not the first or last field)"));
        return None;
    }
    field.computed = Computed::Checksum;
    let field = field.clone();
    let (algorithm_at, complement_at) = match (declared, config) {
        (Some(declared), _) => (declared.algorithm.as_ref(), declared.complement.as_ref()),
        (None, Some(config)) => (config.algorithm.as_ref(), config.complement.as_ref()),
        (None, None) => (None, None),
    };
    let complement = field::word(diags, complement_at, Complement::None);
    let digits = Digits::of(&field.slot.kind);
    // The digits that a CRC needs are checked by `check_digits`.
    let is_binary = digits == Digits::Binary;
    let algorithm = algorithm(diags, algorithm_at, pos, if is_binary { field.slot.len } else { 8 });
    let (from, to, over_wire) = match (declared, config) {
        (Some(declared), _) => named_span(diags, declared, plan, &field)?,
        (None, Some(config)) => byte_span(diags, config, plan, &field)?,
        (None, None) => return None,
    };
    let (algorithm, name) = algorithm?;
    let mut checksum = Checksum {
        algorithm,
        name,
        complement,
        from,
        to,
        over_wire: over_wire && plan.encoding == Encoding::AsciiHex,
        at: field.at,
        len: field.slot.len,
        mask: u64::MAX.checked_shr(64 - 8 * field.slot.len as u32).unwrap_or(0),
        little: field.slot.little,
    };
    let holds_itself = check_span(diags, &checksum, plan, pos);
    if holds_itself && declared.is_some() {
        diags.error(pos, "the checksum's span holds the checksum itself");
    }
    if holds_itself || !is_binary {
        let own = own_mask(&checksum.algorithm);
        let mask = match digits {
            Digits::Binary => checksum.mask,
            // A sum is cut to the digits, as it is cut to bytes.
            Digits::Hex { .. } if matches!(checksum.algorithm, Algorithm::Sum) => digits.most(checksum.len),
            Digits::Bcd | Digits::Dec | Digits::Hex { .. } => own,
        };
        let algorithm = std::mem::replace(&mut checksum.algorithm, Algorithm::Sum);
        checksum.algorithm = Algorithm::Special(Box::new(Special { algorithm, holds_itself, digits, mask }));
    }
    Some(checksum)
}

/// The bits of an algorithm's result; a sum is not bounded.
fn own_mask(algorithm: &Algorithm) -> u64 {
    let bits = match algorithm {
        Algorithm::Sum => 64,
        Algorithm::Xor | Algorithm::SumXor => 8,
        Algorithm::Crc8(crc) => crc.algorithm.width,
        Algorithm::Crc16(crc) => crc.algorithm.width,
        Algorithm::Crc32(crc) => crc.algorithm.width,
        Algorithm::Crc64(crc) => crc.algorithm.width,
        Algorithm::Special(special) => return own_mask(&special.algorithm),
    };
    u64::MAX.checked_shr(64 - u32::from(bits)).unwrap_or(0)
}

/// Do the digits of a field hold every checksum of frames of up to `raw_len` bytes?
pub fn check_digits(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template, raw_len: usize) {
    let Some(checksum) = &plan.checksum else { return };
    let Algorithm::Special(special) = &checksum.algorithm else { return };
    let digits = special.digits;
    if digits == Digits::Binary {
        return;
    }
    let named = plan.left.iter().chain(&plan.tail).find(|field| field.at == checksum.at);
    let name = named.map_or("", |field| &field.name);
    let pos = raw_at(protocol, plan, checksum.at).map_or(protocol.pos, |raw| raw.pos);
    let is_sum = matches!(special.algorithm, Algorithm::Sum);
    if is_sum && matches!(digits, Digits::Hex { .. }) {
        return;
    }
    if is_sum && checksum.complement != Complement::None {
        let text = format!(
            "`{name}` is the complement of a sum, which in decimal digits has no end (no complement, or another type)"
        );
        diags.error(pos, text);
        return;
    }
    let (from, to) = crate::wire::checksum::span(checksum, raw_len);
    let each = if checksum.over_wire { 2 * u64::from(b'F') } else { 255 };
    let itself = if special.holds_itself { checksum.at.in_frame(raw_len).min(to)..to } else { to..to };
    let own = itself.len().min(checksum.len);
    let most = if is_sum { each * to.saturating_sub(from + own) as u64 } else { special.mask };
    let what = if is_sum { "the sum of the longest frame" } else { &*checksum.name };
    if let Err(wrong) = field::digits_hold(digits, most, checksum.len) {
        diags.error(pos, format!("`{name}` may be {wrong}: {what}"));
    }
}

fn named_span(
    diags: &mut Diags,
    declared: &At<RawChecksum>,
    plan: &Template,
    field: &Field,
) -> Option<(Offset, Offset, bool)> {
    let tail_begins = Offset(-(plan.tail_len as i32));
    let mut place = |at: &At<String>, end: bool| {
        let (area, plain) = split_name(&at.value);
        if let Some(field) = outside(plan, area, plain) {
            return Some(Offset(field.at.0 + if end { field.slot.len as i32 } else { 0 }));
        }
        if plain == "data_frame" || plain == "data" {
            return Some(if end { tail_begins } else { Offset(plan.left_len as i32) });
        }
        let names = plan.left.iter().chain(&plan.tail).map(|field| &*field.name).chain(["data_frame"]);
        diags.error(at.pos, format!("no field `{}`{}", at.value, known(plain, names)));
        None
    };
    let from = match &declared.from {
        Some(at) => place(at, false)?,
        None => Offset(plan.start.len() as i32),
    };
    let to = match &declared.to {
        Some(at) => place(at, true)?,
        None => field.at,
    };
    let over_wire = field::word(diags, declared.over.as_ref(), Over::Raw) == Over::Wire;
    Some((from, to, over_wire))
}

fn byte_span(
    diags: &mut Diags,
    config: &At<RawChecksumConfig>,
    plan: &Template,
    field: &Field,
) -> Option<(Offset, Offset, bool)> {
    // The bytes of every frame.
    let least = plan.raw_len_min() as i64;
    let mut place = |at: &At<i64>, what: &str| {
        if at.value > least || at.value < -least {
            diags.error(at.pos, format!("{what} {} lies outside the frame ({} to {least})", at.value, -least));
            return None;
        }
        Some(Offset(at.value as i32))
    };
    let from = match &config.start {
        Some(at) => place(at, "start")?,
        None => Offset(plan.start.len() as i32),
    };
    let to = match &config.end {
        Some(at) if at.value == 0 => {
            diags.error(at.pos, "end 0 spans nothing (it is exclusive; negative counts from the frame's end)");
            return None;
        }
        Some(at) => place(at, "end")?,
        None => field.at,
    };
    Some((from, to, false))
}

/// A span must not be empty, nor the wrong way round. Does it, in some frame, hold the checksum itself?
fn check_span(diags: &mut Diags, checksum: &Checksum, plan: &Template, pos: Pos) -> bool {
    let len = plan.raw_len_min();
    // If one end is counted from the start and the other from the end, the longest frame may differ.
    let longest = if plan.data_len_fixed.is_some() { len } else { FRAME_BYTES_MAX };
    let span = |len| crate::wire::checksum::span(checksum, len);
    let turned = |len| span(len).0 > span(len).1;
    if turned(len) || turned(longest) {
        diags.error(pos, "the checksum's span ends before it begins");
        return false;
    }
    // An empty data frame may leave nothing; any other must not.
    let filled = if plan.data_len_fixed.is_some() { len } else { len + 1 };
    if span(filled).0 >= span(filled).1 {
        diags.error(pos, "the checksum's span is empty");
        return false;
    }
    [len, longest].into_iter().any(|len| {
        let ((from, to), at) = (span(len), checksum.at.in_frame(len));
        at < to && from < at + checksum.len
    })
}
