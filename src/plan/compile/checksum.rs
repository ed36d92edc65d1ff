//! The checksum of a template to spans.

use super::field::{self, Area, known, outside, raw_at, split_name};
use super::{crc, sums};
use crate::config::algorithm::RawAlgorithm;
use crate::config::at::{At, OneOrMany, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawChecksum, RawChecksumConfig, RawField, RawProtocol, RawTemplate, RawVendor};
use crate::model::digits::Digits;
use crate::model::field::{Computed, FRAME_BYTES_MAX, Field, Offset};
use crate::model::sums::{FreeCrc, WordSum, Words};
use crate::model::template::{Algorithm, Blocks, Checksum, Complement, Encoding, Special, Template};
use crate::words::{AlgorithmName, Endian, Itself, Over, count, names};
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

/// Is a checksum written, even if an unreadable one?
fn is_written(diags: &Diags, top: Pos, protocol: &At<RawProtocol>) -> bool {
    let written = |key| [top, protocol.pos].iter().any(|object| diags.written(*object, key).is_some());
    written("checksum") || written("checksum_config")
}

/// Reports a tail field that looks like a checksum and has none.
fn not_configured(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template) {
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

/// What describes a checksum.
#[derive(Clone, Copy)]
pub(super) enum Said<'r> {
    /// By names.
    Named(&'r At<RawChecksum>),
    /// By places.
    Places(&'r At<RawChecksumConfig>),
}

impl<'r> Said<'r> {
    pub(super) fn pos(self) -> Pos {
        match self {
            Self::Named(at) => at.pos,
            Self::Places(at) => at.pos,
        }
    }

    /// The name that it gives its field.
    fn field(self) -> Option<&'r At<String>> {
        match self {
            Self::Named(at) => at.field.as_ref(),
            Self::Places(at) => at.field.as_ref(),
        }
    }

    pub(super) fn blocks(self) -> Option<&'r At<u64>> {
        match self {
            Self::Named(at) => at.blocks.as_ref(),
            Self::Places(_) => None,
        }
    }
}

/// The checksums that are configured: the template's, else its vendor's; and whether the template has both kinds.
pub(super) fn said<'r>(protocol: &'r RawProtocol, vendor: Option<&'r RawVendor>) -> (Vec<Said<'r>>, bool) {
    let named = |list: &'r At<OneOrMany<At<RawChecksum>>>| list.value.0.iter().map(Said::Named).collect();
    match (&protocol.checksum, &protocol.checksum_config) {
        (None, None) => {
            let vendors = vendor.and_then(|vendor| vendor.checksum.as_ref());
            (vendors.map(named).unwrap_or_default(), false)
        }
        (Some(declared), config) => (named(declared), config.is_some()),
        (None, Some(config)) => (vec![Said::Places(config)], false),
    }
}

/// The place of the field with that name: a plain name is looked for in the tail before the header. Without a name it is the
/// tail field named `checksum` or `check`.
pub(super) fn place(name: Option<&At<String>>, left: &[Field], tail: &[Field]) -> Option<Offset> {
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
    let last = tail.last().map(|field| field.at);
    let named = |said: &Said<'_>| said.blocks().is_none() || said.field().is_some();
    said(protocol, vendor).0.iter().filter(|said| named(said)).any(|said| {
        let at = place(said.field(), left, tail);
        at.is_some() && at == last
    })
}

/// Reports unknown words in a checksum.
pub fn check_words(diags: &mut Diags, raw: &At<RawChecksum>) {
    algorithm(diags, raw.algorithm.as_ref(), (raw.pos, false), usize::MAX / 8);
    field::word(diags, raw.complement.as_ref(), Complement::None);
    field::word(diags, raw.over.as_ref(), Over::Raw);
    field::word(diags, raw.itself.as_ref(), Itself::Zero);
    field::word(diags, raw.endian.as_ref(), Endian::Big);
}

/// What `crc16` is, as the catalogue spells it.
const MODBUS: &str = "CRC-16/MODBUS";

/// The algorithm, and what it is called. `little`: of the words that it may be of.
fn algorithm(
    diags: &mut Diags,
    given: Option<&At<RawAlgorithm>>,
    (pos, little): (Pos, bool),
    field_len: usize,
) -> Option<(Algorithm, Box<str>)> {
    let Some(given) = given else {
        diags.missing(pos, "algorithm", &format!("{} or crc:NAME", names::<AlgorithmName>().join(", ")));
        return None;
    };
    let name = match &given.value {
        RawAlgorithm::Name(name) => name.trim(),
        RawAlgorithm::Crc(raw) => {
            let spec = sums::crc(diags, given.pos, raw)?;
            holds_bits(diags, given.pos, spec.width, field_len)?;
            return Some((Algorithm::Free(Box::new(FreeCrc::new(spec))), sums::crc_name(&spec).into()));
        }
    };
    let lower = name.to_ascii_lowercase();
    let words = |how| Algorithm::Words(Words { how, little });
    let known = |algorithm| Some((algorithm, lower.as_str().into()));
    let crc_name = match AlgorithmName::from_name(&lower) {
        Some(AlgorithmName::Sum) => return known(Algorithm::Sum),
        Some(AlgorithmName::Xor) => return known(Algorithm::Xor),
        Some(AlgorithmName::SumXor) => return known(Algorithm::SumXor),
        Some(AlgorithmName::Lrc) => return known(Algorithm::Lrc),
        Some(AlgorithmName::Sum16) => return known(words(WordSum::Sum)),
        Some(AlgorithmName::Ones16) => return known(words(WordSum::Ones)),
        Some(AlgorithmName::Xor16) => return known(words(WordSum::Xor)),
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
    holds_bits(diags, given.pos, found.bits, field_len)?;
    Some((found.algorithm, format!("crc:{}", found.name).into()))
}

/// A CRC has to fit its field; `None` after an error.
fn holds_bits(diags: &mut Diags, pos: Pos, bits: u32, field_len: usize) -> Option<()> {
    if bits as usize > field_len * 8 {
        diags.error(pos, format!("a CRC of {bits} bits in a field of {}", count(field_len, "byte")));
        return None;
    }
    Some(())
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

/// Compiles the checksums and marks their fields. `top` is the object that has `protocol`. `None`: there is none, or errors were
/// reported.
pub fn compile(
    diags: &mut Diags,
    top: Pos,
    protocol: &At<RawProtocol>,
    vendor: Option<&RawVendor>,
    plan: &mut Template,
) -> Option<Checksum> {
    let (all, both) = said(protocol, vendor);
    let Some(first) = all.first() else {
        if !is_written(diags, top, protocol) {
            not_configured(diags, protocol, plan);
        }
        return None;
    };
    if both {
        diags.warn(first.pos(), "`checksum` and `checksum_config` are both given; `checksum` is taken");
    }
    let compiled: Vec<_> = all.iter().map(|said| (one(diags, *said, plan), said.pos())).collect();
    let list = compiled.into_iter().map(|(checksum, pos)| Some((checksum?, pos))).collect::<Option<Vec<_>>>()?;
    not_configured(diags, protocol, plan);
    sums::join(diags, list, plan.raw_len_min())
}

/// Compiles one checksum and marks its field.
fn one(diags: &mut Diags, said: Said<'_>, plan: &mut Template) -> Option<Checksum> {
    let pos = said.pos();
    if let (Said::Named(declared), Some(every)) = (said, said.blocks()) {
        return blocks(diags, declared, every, plan);
    }
    let field = own_field(diags, said, plan)?;
    let (algorithm_at, complement_at) = match said {
        Said::Named(declared) => (declared.algorithm.as_ref(), declared.complement.as_ref()),
        Said::Places(config) => (config.algorithm.as_ref(), config.complement.as_ref()),
    };
    let complement = field::word(diags, complement_at, Complement::None);
    let digits = Digits::of(&field.slot.kind);
    let is_binary = digits == Digits::Binary;
    let little = word_order(diags, said);
    // The digits that a CRC needs are checked by `check_digits`.
    let algorithm = algorithm(diags, algorithm_at, (pos, little), if is_binary { field.slot.len } else { 8 });
    let (from, to, over_wire) = match said {
        Said::Named(declared) => named_span(diags, declared, plan, field.at, plan.start.len())?,
        Said::Places(config) => byte_span(diags, config, plan, &field)?,
    };
    let (algorithm, name) = algorithm?;
    let mut checksum = Checksum {
        algorithm,
        name,
        complement,
        from,
        to,
        over_wire: over_wire && plan.encoding != Encoding::Binary,
        at: field.at,
        len: field.slot.len,
        mask: u64::MAX.checked_shr(64 - 8 * field.slot.len as u32).unwrap_or(0),
        little: field.slot.little,
    };
    let holds_itself = check_span(diags, &checksum, plan, pos);
    let skips_itself = itself(diags, said, &checksum, holds_itself);
    if holds_itself || !is_binary {
        let mask = match digits {
            Digits::Binary => checksum.mask,
            // A sum is cut to the digits, as it is cut to bytes.
            Digits::Hex { .. } if is_sum(&checksum.algorithm) => digits.most(checksum.len),
            Digits::Bcd | Digits::Dec | Digits::Hex { .. } => own_mask(&checksum.algorithm),
        };
        let algorithm = std::mem::replace(&mut checksum.algorithm, Algorithm::Sum);
        let special = Special { holds_itself, skips_itself, digits, mask, ..sums::special(algorithm) };
        checksum.algorithm = Algorithm::Special(Box::new(special));
    }
    Some(checksum)
}

/// The field of a checksum, marked as such; `None` after an error.
fn own_field(diags: &mut Diags, said: Said<'_>, plan: &mut Template) -> Option<Field> {
    let (pos, name) = (said.pos(), said.field());
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
    if field.computed == Computed::Checksum {
        diags.error(pos, format!("`{name}` is another checksum already (each entry names a field of its own)"));
        return None;
    }
    if field.slot.len > 8 || field.computed != Computed::No {
        diags.error(pos, format!("`{name}` cannot be the checksum (1 to 8 bytes, not the first or last field)"));
        return None;
    }
    field.computed = Computed::Checksum;
    Some(field.clone())
}

/// Does the low byte of a word come first?
fn word_order(diags: &mut Diags, said: Said<'_>) -> bool {
    let Said::Named(declared) = said else { return false };
    let is_of_words = |name: &str| name.trim().ends_with("16") && !name.trim().starts_with("crc");
    let of_words = matches!(declared.algorithm.as_ref().map(|at| &at.value),
        Some(RawAlgorithm::Name(name)) if is_of_words(&name.to_ascii_lowercase()));
    if let Some(endian) = declared.endian.as_ref().filter(|_| !of_words && declared.blocks.is_none()) {
        diags.idle(endian.pos, "only `sum16`, `ones16`, `xor16` and `blocks` use it; the field has its own `endian`");
    }
    if let Some(length) = declared.length.as_ref().filter(|_| declared.blocks.is_none()) {
        diags.idle(length.pos, "only `blocks` uses it; the field has its own `length`");
    }
    field::word(diags, declared.endian.as_ref(), Endian::Big) == Endian::Little
}

/// Are the checksum's own bytes left out of its span? Without `self` a span over them is an error.
fn itself(diags: &mut Diags, said: Said<'_>, checksum: &Checksum, holds_itself: bool) -> bool {
    let Said::Named(declared) = said else { return false };
    let itself = declared.itself.as_ref();
    match itself {
        None if holds_itself => diags.error(
            declared.pos,
            "the checksum's span holds the checksum itself (`self`: \"zero\" counts its bytes as 00, \"skip\" leaves them out)",
        ),
        Some(given) if !holds_itself => diags.idle(given.pos, "the checksum's span does not hold the checksum"),
        Some(given) if checksum.over_wire => {
            diags.error(given.pos, "`self` beside `\"over\": \"wire\"` (a span that does not hold the checksum, or `raw`)");
        }
        _ => {}
    }
    field::word(diags, itself, Itself::Zero) == Itself::Skip
}

/// Compiles a checksum behind each block of the data frame.
fn blocks(diags: &mut Diags, declared: &At<RawChecksum>, every: &At<u64>, plan: &mut Template) -> Option<Checksum> {
    if every.value == 0 || every.value > FRAME_BYTES_MAX as u64 {
        diags.error(every.pos, format!("blocks of {} bytes (1 to {FRAME_BYTES_MAX})", every.value));
        return None;
    }
    if plan.is_hex() {
        diags.error(
            every.pos,
            "`blocks` in a template with `\"encoding\": \"ascii_hex\"` (only binary frames have blocks)",
        );
        return None;
    }
    if let Some(itself) = &declared.itself {
        diags.idle(itself.pos, "the checksums of blocks are behind them, never within");
    }
    let field = match &declared.field {
        Some(_) => Some(own_field(diags, Said::Named(declared), plan)?),
        None => None,
    };
    if let Some(field) = field.as_ref().filter(|field| Digits::of(&field.slot.kind) != Digits::Binary) {
        let text = format!("`{}` cannot be the checksum of a block: it is written in digits (type hex)", field.name);
        diags.error(declared.pos, text);
        return None;
    }
    let tail_begins = Offset(-(plan.tail_len as i32));
    let (from, to, over_wire) = named_span(diags, declared, plan, tail_begins, plan.left_len)?;
    if from != Offset(plan.left_len as i32) || to != tail_begins {
        diags.error(declared.pos, "the span of `blocks` is the data frame (leave out `from` and `to`)");
        return None;
    }
    if let Some(field) = field.as_ref().filter(|field| field.at != to) {
        let text = format!("`{}` does not follow the data frame; the checksum of the last block does", field.name);
        diags.error(declared.pos, text);
        return None;
    }
    let little = word_order(diags, Said::Named(declared));
    let given = declared.length.as_ref().map(|length| length.value as usize);
    if let Some(length) = declared.length.as_ref().filter(|length| !(1..=8).contains(&length.value)) {
        diags.error(length.pos, format!("a checksum of {} bytes (1 to 8)", length.value));
        return None;
    }
    let len = field.as_ref().map(|field| field.slot.len).or(given);
    let (algorithm, name) = algorithm(diags, declared.algorithm.as_ref(), (declared.pos, little), len.unwrap_or(8))?;
    let len = len.unwrap_or_else(|| own_mask(&algorithm).count_ones().div_ceil(8) as usize);
    // A sum has no size of its own: one byte.
    let len = if matches!(algorithm, Algorithm::Sum) && field.is_none() && given.is_none() { 1 } else { len };
    let complement = field::word(diags, declared.complement.as_ref(), Complement::None);
    let mask = u64::MAX.checked_shr(64 - 8 * len as u32).unwrap_or(0);
    let little = field.as_ref().map_or(little, |field| field.slot.little);
    let blocks = Blocks { every: every.value as usize, len, little, in_field: field.is_some() };
    let special = Special { mask, blocks: Some(blocks), ..sums::special(algorithm) };
    Some(Checksum {
        algorithm: Algorithm::Special(Box::new(special)),
        name,
        complement,
        from,
        to,
        over_wire,
        at: to,
        len: if field.is_some() { len } else { 0 },
        mask,
        little,
    })
}

/// A sum, which gets as wide as the frame is long.
fn is_sum(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Sum | Algorithm::Words(Words { how: WordSum::Sum, .. }))
}

/// The bits of an algorithm's result; a sum is not bounded.
fn own_mask(algorithm: &Algorithm) -> u64 {
    let bits = match algorithm {
        Algorithm::Sum | Algorithm::Words(Words { how: WordSum::Sum, .. }) => 64,
        Algorithm::Xor | Algorithm::SumXor | Algorithm::Lrc => 8,
        Algorithm::Words(_) => 16,
        Algorithm::Free(crc) => crc.spec().width as u8,
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
    for checksum in plan.checksums() {
        if let Algorithm::Special(special) = &checksum.algorithm
            && special.digits != Digits::Binary
        {
            check_digits_of(diags, protocol, plan, (checksum, special), raw_len);
        }
    }
}

fn check_digits_of(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    plan: &Template,
    (checksum, special): (&Checksum, &Special),
    raw_len: usize,
) {
    let named = plan.left.iter().chain(&plan.tail).find(|field| field.at == checksum.at);
    let name = named.map_or("", |field| &field.name);
    let pos = raw_at(protocol, plan, checksum.at).map_or(protocol.pos, |raw| raw.pos);
    let is_sum = is_sum(&special.algorithm);
    if is_sum && matches!(special.digits, Digits::Hex { .. }) {
        return;
    }
    let is_of_words = matches!(special.algorithm, Algorithm::Words(_));
    if is_sum && checksum.complement != Complement::None {
        let text = format!(
            "`{name}` is the complement of a sum, which in decimal digits has no end (no complement, or another type)"
        );
        diags.error(pos, text);
        return;
    }
    let (from, to) = crate::wire::checksum::span(checksum, raw_len);
    let each = match (is_of_words, checksum.over_wire && plan.is_hex()) {
        (true, _) => 0xFFFF,
        (false, true) => 2 * u64::from(b'F'),
        (false, false) => 255,
    };
    let itself = if special.holds_itself { checksum.at.in_frame(raw_len).min(to)..to } else { to..to };
    let own = itself.len().min(checksum.len);
    let most = if is_sum { each * to.saturating_sub(from + own) as u64 } else { special.mask };
    let what = if is_sum { "the sum of the longest frame" } else { &*checksum.name };
    if let Err(wrong) = field::digits_hold(special.digits, most, checksum.len) {
        diags.error(pos, format!("`{name}` may be {wrong}: {what}"));
    }
}

/// The span, from byte `begin` of the frame to `end` unless names say otherwise; and whether it is of what travels.
fn named_span(
    diags: &mut Diags,
    declared: &At<RawChecksum>,
    plan: &Template,
    end: Offset,
    begin: usize,
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
        None => Offset(begin as i32),
    };
    let to = match &declared.to {
        Some(at) => place(at, true)?,
        None => end,
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
