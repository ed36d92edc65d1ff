//! The checksum of a template to spans.

use super::crc;
use super::field::{self, known, outside, split_name};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::{RawChecksum, RawChecksumConfig, RawProtocol, RawVendor};
use crate::plan::template::{Algorithm, Checksum, Complement, Computed, Encoding, Field, Offset, Template};
use crate::words::count;

/// The name of the checksum field: as declared, else the tail field named `checksum` or `check`.
pub fn field_name(protocol: &RawProtocol, tail: &[Field]) -> Option<Box<str>> {
    let declared = protocol.checksum.as_ref().and_then(|checksum| checksum.field.as_ref());
    let declared = declared.or_else(|| protocol.checksum_config.as_ref().and_then(|config| config.field.as_ref()));
    declared.map(|name| split_name(&name.value).1.into()).or_else(|| {
        tail.iter().find(|field| matches!(&*field.name, "checksum" | "check")).map(|field| field.name.clone())
    })
}

const COMPLEMENTS: [(&str, Complement); 3] =
    [("none", Complement::None), ("ones", Complement::Ones), ("twos", Complement::Twos)];
const OVER: [(&str, bool); 2] = [("raw", false), ("wire", true)];

/// Tells of wrong words in a checksum, wherever it is to stand.
pub fn check_words(diags: &mut Diags, raw: &At<RawChecksum>) {
    algorithm(diags, raw.algorithm.as_ref(), raw.pos, usize::MAX / 8);
    field::word(diags, raw.complement.as_ref(), Complement::None, &COMPLEMENTS);
    field::word(diags, raw.over.as_ref(), false, &OVER);
}

/// The algorithm, and what it is called.
fn algorithm(
    diags: &mut Diags,
    given: Option<&At<String>>,
    pos: Pos,
    field_len: usize,
) -> Option<(Algorithm, Box<str>)> {
    let Some(given) = given else {
        diags.missing(pos, "algorithm", "sum, xor, sum_xor, crc16 or crc:NAME");
        return None;
    };
    let name = given.value.trim();
    let lower = name.to_ascii_lowercase();
    let crc_name = match lower.as_str() {
        "sum" => return Some((Algorithm::Sum, lower.into())),
        "xor" => return Some((Algorithm::Xor, lower.into())),
        "sum_xor" => return Some((Algorithm::SumXor, lower.into())),
        "crc16" => "CRC-16/MODBUS",
        _ if lower.starts_with("crc:") => name[4..].trim(),
        _ => {
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

/// What is wrong with a word that names no algorithm; a CRC may only lack its `crc:`.
fn no_algorithm(name: &str) -> String {
    if let Some(names) = crc::ambiguous(name) {
        return format!("`{name}` is ambiguous: write {names}");
    }
    let near = crc::find(name).map_or_else(
        || known(name, &["sum", "xor", "sum_xor", "crc16", "crc:CRC-16/MODBUS"]),
        |found| format!(" (did you mean `crc:{}`?)", found.name),
    );
    format!("unknown algorithm `{name}`{near}")
}

/// Compiles the checksum and marks its field. `None`: there is none, or errors were told.
pub fn compile(
    diags: &mut Diags,
    protocol: &At<RawProtocol>,
    vendor: Option<&RawVendor>,
    plan: &mut Template,
) -> Option<Checksum> {
    let declared = protocol.checksum.as_ref();
    let config = protocol.checksum_config.as_ref();
    if let (Some(declared), Some(_)) = (declared, config) {
        diags.warn(declared.pos, "`checksum` and `checksum_config` are both given; `checksum` is taken");
    }
    let default = vendor.and_then(|vendor| vendor.checksum.as_ref()).filter(|_| declared.is_none() && config.is_none());
    let name = default
        .and_then(|default| default.field.as_ref())
        .map(|name| Box::from(split_name(&name.value).1))
        .or_else(|| field_name(protocol, &plan.tail));
    let declared = declared.or(default);
    let pos = declared.map(|at| at.pos).or(config.map(|at| at.pos));
    let Some(pos) = pos else {
        if let Some(name) = name {
            let what = format!("nothing says how `{name}` is computed; it is copied from the request");
            diags.warn(protocol.pos, format!("{what} (`checksum` here, or in vendor.json)"));
        }
        return None;
    };
    let Some(name) = name else {
        diags.error(pos, "no tail field is named `checksum` or `check` (name it with `field`)");
        return None;
    };
    let fields = plan.left.iter_mut().chain(plan.tail.iter_mut());
    let Some(field) = fields.into_iter().find(|field| field.name == name) else {
        let names: Vec<&str> = plan.left.iter().chain(&plan.tail).map(|field| &*field.name).collect();
        diags.error(pos, format!("no header or tail field `{name}`{}", known(&name, &names)));
        return None;
    };
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
    let complement = field::word(diags, complement_at, Complement::None, &COMPLEMENTS);
    let algorithm = algorithm(diags, algorithm_at, pos, field.slot.len);
    let (from, to, over_wire) = match (declared, config) {
        (Some(declared), _) => named_span(diags, declared, plan, &field)?,
        (None, Some(config)) => byte_span(diags, config, plan, &field)?,
        (None, None) => return None,
    };
    let (algorithm, name) = algorithm?;
    let checksum = Checksum {
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
    check_span(diags, &checksum, plan, pos);
    Some(checksum)
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
        let mut names: Vec<&str> = plan.left.iter().chain(&plan.tail).map(|field| &*field.name).collect();
        names.push("data_frame");
        diags.error(at.pos, format!("no field `{}`{}", at.value, known(plain, &names)));
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
    let over_wire = field::word(diags, declared.over.as_ref(), false, &OVER);
    Some((from, to, over_wire))
}

fn byte_span(
    diags: &mut Diags,
    config: &At<RawChecksumConfig>,
    plan: &Template,
    field: &Field,
) -> Option<(Offset, Offset, bool)> {
    let around = (plan.left_len + plan.tail_len) as i64;
    let longest = around + plan.data_len_fixed.unwrap_or(0) as i64;
    let mut place = |at: &At<i64>, what: &str| {
        // A positive place past the header is sure only where all frames have one size.
        let high = if plan.data_len_fixed.is_some() { longest } else { plan.left_len as i64 };
        if at.value > high || at.value < -longest {
            diags.error(at.pos, format!("{what} {} lies outside the frame ({} to {high})", at.value, -longest));
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

/// A span must not be empty the wrong way round, nor hold the checksum itself.
fn check_span(diags: &mut Diags, checksum: &Checksum, plan: &Template, pos: Pos) {
    let len = plan.left_len + plan.tail_len + plan.data_len_fixed.unwrap_or(0);
    let (from, to) = crate::codec::checksum::span(checksum, len);
    if from > to {
        diags.error(pos, "the checksum's span ends before it begins");
        return;
    }
    // An empty data frame may leave nothing; any other must not.
    let filled = if plan.data_len_fixed.is_some() { len } else { len + 1 };
    let (from_filled, to_filled) = crate::codec::checksum::span(checksum, filled);
    if from_filled >= to_filled {
        diags.error(pos, "the checksum's span is empty");
        return;
    }
    let at = checksum.at.in_frame(len);
    if at < to && from < at + checksum.len {
        diags.error(pos, "the checksum's span holds the checksum itself");
    }
}
