//! `scale`, `offset`, `unit` and `enum` of a field.

use super::field::{self, counts_of};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::model::decimal::Decimal;
use crate::model::field::{Kind, Slot};
use crate::model::shown::{Named, Scale, Shown};
use crate::wire::shown::ends;
use crate::wire::{value, varied};
use crate::words::{Unit, count};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Digits of a scale or an offset, and places behind its point.
const SCALE_DIGITS: u32 = 12;
/// Names of one field.
const ENUM_NAMES: usize = 1_024;

/// Is `unit` that of an engineering value? Otherwise it is what a length counts.
pub(super) fn is_engineering(raw: &RawField, kind: &Kind) -> bool {
    let word = raw.unit.as_ref().and_then(|unit| Unit::from_name(&unit.value));
    is_number(kind) && word.is_none() && !counts_of(raw, kind)
}

/// Is it a number that may have a scale?
fn is_number(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Int | Kind::Uint | Kind::Bcd | Kind::Dec | Kind::HexDigits { .. } | Kind::Sbcd | Kind::F32 | Kind::F64
    )
}

/// Lays `scale`, `offset`, `unit` and `enum` over a field's type. Errors are reported. `varies`: the field has a variable size.
pub(super) fn lay_over(diags: &mut Diags, raw: &At<RawField>, slot: &mut Slot, varies: bool) {
    let scale = scale(diags, raw, slot, varies);
    let unit = raw.unit.as_ref().filter(|_| is_engineering(raw, &slot.kind)).map_or("", |unit| &unit.value);
    let mut shown = Shown { base: slot.kind.clone(), scale, unit: unit.trim().into(), names: Box::default() };
    if let Some(names) = raw.names.as_ref() {
        let at = Slot { kind: plain(&shown), ..slot.clone() };
        shown.names = self::names(diags, (raw.pos, &names.0), &at, varies);
    }
    if shown.scale.is_some() || !shown.unit.is_empty() || !shown.names.is_empty() {
        slot.kind = Kind::Shown(Arc::new(shown));
    }
}

/// The type without names.
fn plain(shown: &Shown) -> Kind {
    if shown.scale.is_none() {
        return shown.base.clone();
    }
    let Shown { base, scale, .. } = shown;
    Kind::Shown(Arc::new(Shown { base: base.clone(), scale: *scale, unit: Box::default(), names: Box::default() }))
}

fn scale(diags: &mut Diags, raw: &At<RawField>, slot: &Slot, varies: bool) -> Option<Scale> {
    let pos = raw.scale.as_ref().map(|at| at.pos).or(raw.offset.as_ref().map(|at| at.pos))?;
    if !is_number(&slot.kind) {
        let word = slot.kind.word().name();
        let text = format!("`scale` and `offset` at a {word} field (int, uint, bcd, sbcd, dec, hexdigits, f32, f64)");
        diags.error(pos, text);
        return None;
    }
    let mut number = |at: Option<&At<f64>>, what: &str, default: i128| match at {
        None => Some(Decimal::whole(default)),
        Some(at) => {
            let number = Decimal::parse(format!("{}", at.value).as_bytes());
            let most = 10_u128.pow(SCALE_DIGITS);
            let fits = number.filter(|number| number.places <= SCALE_DIGITS && number.mantissa.unsigned_abs() < most);
            if fits.is_none() {
                diags.error(at.pos, format!("{what} {} (at most {SCALE_DIGITS} digits)", at.value));
            }
            fits
        }
    };
    let (factor, offset) = (number(raw.scale.as_ref(), "scale", 1)?, number(raw.offset.as_ref(), "offset", 0)?);
    if factor.mantissa == 0 {
        diags.error(pos, "scale 0 (every value would be the same)");
        return None;
    }
    let most = match slot.kind {
        Kind::Dec => 18,
        Kind::HexDigits { .. } => 16,
        _ => 8,
    };
    // One of variable size may have more digits; these have no value.
    if slot.len > most && !varies {
        let text = format!("{} with a scale (at most {most})", count(slot.len, "byte"));
        diags.error(pos, text);
        return None;
    }
    let scale = Scale { scale: factor, offset };
    let is_float = matches!(slot.kind, Kind::F32 | Kind::F64);
    if !is_float && ends(&slot.kind, &scale, slot.len.min(most)).is_none() {
        diags.error(pos, "scale and offset have too many digits for this field");
        return None;
    }
    Some(scale)
}

/// Values and their names, as the file has them.
type Pairs = [(At<String>, At<String>)];

/// The values with a name.
fn names(diags: &mut Diags, (pos, given): (Pos, &Pairs), slot: &Slot, varies: bool) -> Box<[Named]> {
    if matches!(slot.kind, Kind::Bit(_) | Kind::Length | Kind::Epoch(_) | Kind::Cp56) {
        let text = format!(
            "`enum` at a {} field (`bits` names bits; lengths and times have no names)",
            slot.kind.word().name()
        );
        diags.error(pos, text);
        return Box::default();
    }
    if given.len() > ENUM_NAMES {
        diags.error(pos, format!("{} names (at most {ENUM_NAMES})", given.len()));
        return Box::default();
    }
    let mut out: Vec<Named> = Vec::new();
    // By bytes and by name: the number of the value.
    let (mut values, mut seen) = (HashMap::new(), HashSet::new());
    for (key, name) in given {
        if !diags.charge(key.pos, size_of::<Named>() + 2 * key.value.len() + name.value.len() + 32, "a name of a value")
        {
            break;
        }
        let text = name.value.trim();
        let Some(bytes) = bytes(diags, slot, key, varies) else { continue };
        if text.is_empty() {
            diags.error(name.pos, "a value without a name");
        } else if let Some(other) = values.get(&bytes) {
            diags.error(key.pos, format!("`{}` is the same value as `{other}`", key.value));
        } else if !seen.insert(text) {
            diags.error(name.pos, format!("a second value named `{text}`"));
        } else if reads_as_another(slot, text, &bytes, varies) {
            diags.error(name.pos, format!("the name `{text}` also reads as a value of this field (another name)"));
        } else {
            values.insert(bytes.clone(), key.value.trim());
            out.push(Named { bytes, name: text.into(), value: key.value.trim().into() });
        }
    }
    out.into()
}

/// The bytes of a value that is given as a key. Hex digits are all of the field's.
fn bytes(diags: &mut Diags, slot: &Slot, key: &At<String>, varies: bool) -> Option<Box<[u8]>> {
    if varies {
        let mut bytes = Vec::new();
        let result = varied::encode(slot, key.value.as_bytes(), &mut bytes);
        if let Err(misfit) = result {
            diags.error(key.pos, format!("`{}` is {}", key.value, misfit.explain(slot)));
        }
        return result.is_ok().then(|| bytes.into());
    }
    let digits = key.value.trim().bytes().filter(u8::is_ascii_hexdigit).count();
    let has_prefix = key.value.trim().starts_with("0x") || key.value.trim().starts_with("0X");
    let wanted = slot.len * 2 + usize::from(has_prefix);
    if slot.kind == Kind::Hex && digits != wanted {
        diags.error(
            key.pos,
            format!("`{}` for a field of {} ({} hex digits)", key.value, count(slot.len, "byte"), slot.len * 2),
        );
        return None;
    }
    field::encode_constant(diags, slot, &key.value, key.pos)
}

/// Is a name also the notation of other bytes?
fn reads_as_another(slot: &Slot, name: &str, bytes: &[u8], varies: bool) -> bool {
    if varies {
        let mut other = Vec::new();
        return varied::encode(slot, name.as_bytes(), &mut other).is_ok() && *other != *bytes;
    }
    let mut other = vec![0; slot.len];
    value::encode(slot, name.as_bytes(), &mut other).is_ok() && *other != *bytes
}
