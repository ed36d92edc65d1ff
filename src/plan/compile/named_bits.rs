//! Named bits of which some are computed, `{"door": "${state & 3}$", "lock": 1}`: they become one expression for the whole field.

use super::expr::{self, Scope, is_function};
use super::field::constant;
use crate::config::at::{At, Json};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::model::field::{Kind, Slot};
use crate::wire::value::get_bits;
use std::fmt::Write as _;

/// The largest field: an expression has 63 bits and a sign.
const BYTES: usize = 7;

/// Whether a value names bits, and some of them are computed.
pub(super) fn are_computed(slot: &Slot, json: &At<Json>) -> bool {
    let Json::Obj(entries) = &json.value else { return false };
    matches!(slot.kind.base(), Kind::Bit(_)) && entries.iter().any(|(_, value)| is_function(&value.value))
}

/// The value of the whole field as a text. `base` has the bits without a name in the object. `None` after an error that was reported.
pub(super) fn whole(
    diags: &mut Diags,
    (slot, base): (&Slot, &[u8]),
    json: &At<Json>,
    scope: &dyn Scope,
) -> Option<At<Json>> {
    let Json::Obj(entries) = &json.value else { return None };
    if slot.len > BYTES {
        let text = format!("computed bits of a field of {} bytes (at most {BYTES})", slot.len);
        diags.error(json.pos, text);
        return None;
    }
    let (computed, known): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(_, value)| is_function(&value.value));
    let mut bytes = base.to_vec();
    // Their names and values are looked at like those of a constant.
    let names = computed.iter().map(|(name, value)| (name.clone(), At { pos: value.pos, value: Json::Bool(false) }));
    let known = At { pos: json.pos, value: Json::Obj(known.into_iter().chain(names).collect()) };
    let (given, mask) = constant(diags, slot, &known)?;
    for ((out, given), mask) in bytes.iter_mut().zip(&given).zip(&mask) {
        *out = (*out & !mask) | given & mask;
    }
    let bits = slot.len as u32 * 8;
    let mut text = format!("${{{}", get_bits(slot, 0, bits - 1, &bytes));
    for (name, value) in &computed {
        let Kind::Bit(ranges) = slot.kind.base() else { return None };
        let range = ranges.named(&name.value)?;
        let Json::Str(given) = &value.value else { return None };
        if let Err(wrong) = expr::parse(given, scope) {
            diags.error(value.pos, wrong);
            return None;
        }
        let Some(one) = alone(given) else {
            let what = shown(given);
            diags.error(value.pos, format!("`{what}` for bits: one `${{...}}$` or one `#{{field}}#`"));
            return None;
        };
        let most = (1_u64 << (range.to - range.from + 1)) - 1;
        let _ = write!(text, " | (({one}) & {most}) << {}", bits - 1 - range.to);
    }
    text += "}$";
    Some(At { pos: json.pos, value: Json::Str(text) })
}

/// The expression of a text that is nothing but one reference.
fn alone(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.starts_with("#{") {
        return (text.ends_with("}#") && text.matches("#{").count() == 1).then_some(text);
    }
    let inner = text.strip_prefix("${")?;
    let inner = inner.strip_suffix("}$").or_else(|| inner.strip_suffix('}'))?;
    (!inner.contains("${")).then_some(inner)
}
