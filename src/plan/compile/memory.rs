//! `memory` and `registers` of a device (spec shapes.md, Memory).

use super::expr::{self, is_dynamic};
use super::kept::{Kept, Params};
use super::sample::NoRequest;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawArea, RawDevice};
use crate::model::field::{Kind, Slot};
use crate::model::kept::{AREA_BYTES_MAX, AREAS_MAX, Area, KEYED_ENTRIES_MAX};
use crate::model::reply::{Expr, Part};
use crate::wire::varied;

/// What the rules of a device may use.
pub(super) fn kept(diags: &mut Diags, raw: &RawDevice, params: &Params) -> Kept {
    let mut kept = Kept::new(params.clone());
    for (name, area) in raw.memory.iter().flat_map(|map| &map.0) {
        if kept.areas.len() >= AREAS_MAX {
            diags.error(name.pos, format!("more than {AREAS_MAX} memory areas"));
            break;
        }
        kept.areas.extend(self::area(diags, name, area));
    }
    for (name, keyed) in raw.registers.iter().flat_map(|map| &map.0) {
        let Some(most) = &keyed.entries_max else { continue };
        if !(1..=u64::from(KEYED_ENTRIES_MAX)).contains(&most.value) {
            diags.error(most.pos, format!("entries_max {} (1 to {KEYED_ENTRIES_MAX})", most.value));
        }
        kept.entries_max.insert(name.value.trim().to_owned(), most.value.clamp(1, u64::from(KEYED_ENTRIES_MAX)) as u32);
    }
    kept
}

fn area(diags: &mut Diags, name: &At<String>, raw: &At<RawArea>) -> Option<Area> {
    let Some(bytes) = &raw.bytes else {
        diags.missing(raw.pos, "bytes", "how large the area is");
        return None;
    };
    if !(1..=AREA_BYTES_MAX as u64).contains(&bytes.value) {
        // The rules that use it are looked at nevertheless.
        diags.error(bytes.pos, format!("{} bytes (1 to {AREA_BYTES_MAX})", bytes.value));
    }
    let bytes = bytes.value.clamp(1, AREA_BYTES_MAX as u64) as u32;
    let mut init = Vec::new();
    for (at, value) in raw.init.iter().flat_map(|map| &map.0) {
        let Ok(from) = at.value.trim().parse::<u32>() else {
            diags.error(at.pos, format!("`{}` is no byte of the area (its number from 0)", at.value));
            continue;
        };
        let Some(expr) = self::init(diags, value) else { continue };
        let len = match &*expr.parts {
            [Part::Literal(digits)] => digits.len().div_ceil(2),
            _ => 1,
        };
        if from as usize + len > bytes as usize {
            diags.error(at.pos, format!("byte {from} and {len} bytes from there, in an area of {bytes}"));
            continue;
        }
        init.push((from, expr));
    }
    Some(Area { name: name.value.trim().into(), bytes, init: init.into() })
}

/// Hex digits, or what gives some.
fn init(diags: &mut Diags, value: &At<Json>) -> Option<Expr> {
    let text = match &value.value {
        Json::Str(text) => text.clone(),
        Json::Num(number) => {
            diags.error(value.pos, format!("{number} without quotes (hex digits: \"0001\")"));
            return None;
        }
        _ => {
            diags.error(value.pos, "hex digits are expected: \"0001\"");
            return None;
        }
    };
    if is_dynamic(&text) {
        return match expr::parse(&text, &NoRequest) {
            Ok(expr) => Some(expr),
            Err(wrong) => {
                diags.error(value.pos, wrong);
                None
            }
        };
    }
    let slot = Slot { kind: Kind::Hex, len: AREA_BYTES_MAX, little: false, right: false, padding: 0 };
    let mut bytes = Vec::new();
    if let Err(misfit) = varied::encode(&slot, text.as_bytes(), &mut bytes) {
        diags.error(value.pos, format!("`{text}` is {}", misfit.explain(&slot)));
        return None;
    }
    diags.charge(value.pos, 2 * bytes.len(), "what a memory area has at the start");
    Some(Expr { parts: Box::new([Part::Literal(hex::encode_upper(bytes).into())]), bytes_max: 0 })
}
