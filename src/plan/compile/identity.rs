//! FSU ids: hex to bytes, counting up, and hints for ids that were written as text.

use crate::config::at::At;
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::model::fleet::FsuId;

/// The bytes of an id; `None` after an error that was reported.
pub(super) fn fsu_id(diags: &mut Diags, raw: &At<String>) -> Option<FsuId> {
    let digits: String = raw.value.chars().filter(|c| *c != ' ').collect();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(&digits);
    let wrong = match hex::decode(digits) {
        Ok(given) if !given.is_empty() && given.len() <= FsuId::BYTES => {
            let mut bytes = [0; FsuId::BYTES];
            bytes[..given.len()].copy_from_slice(&given);
            return Some(FsuId { bytes, len: given.len() as u8 });
        }
        Ok(given) if !given.is_empty() => format!("has {} bytes (an FSU id has 1 to {})", given.len(), FsuId::BYTES),
        Err(hex::FromHexError::OddLength) if digits.bytes().all(|c| c.is_ascii_hexdigit()) => {
            format!("has an odd number of hex digits (an FSU id has 1 to {} bytes{})", FsuId::BYTES, hint(&raw.value))
        }
        _ => {
            let hint = hint(&raw.value);
            let example = if hint.is_empty() { "; \"3230323530313235\" is 20250125" } else { &hint };
            format!("is no FSU id (hex, 1 to {} bytes{example})", FsuId::BYTES)
        }
    };
    diags.error(raw.pos, format!("fsuid `{}` {wrong}", shown(&raw.value)));
    None
}

/// `; as a text it is "3230…"`, where the text would be an id; else empty.
fn hint(text: &str) -> String {
    let fits = (1..=FsuId::BYTES).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    if fits { format!("; as a text it is \"{}\"", hex::encode_upper(text)) } else { String::new() }
}

/// Reports an id that is hex, and most likely meant as text: decimal digits whose bytes are no letters and digits.
pub(super) fn looks_like_text(diags: &mut Diags, raw: &At<String>, id: FsuId, count: u64) {
    let decimal = raw.value.bytes().all(|c| c.is_ascii_digit());
    if !decimal || id.given().iter().all(u8::is_ascii_alphanumeric) || hint(&raw.value).is_empty() {
        return;
    }
    let text = format!("fsuid `{}` is {} bytes of hex{}", raw.value, id.len, hint(&raw.value));
    // An id that cannot count up is reported elsewhere, with the same hint.
    if count == 1 {
        diags.info(raw.pos, text);
    } else if id_plus(id, count - 1).is_some() {
        diags.warn(raw.pos, text);
    }
}

/// The error for an id that cannot count up to `count` FSUs.
pub(super) fn run_out(raw: &str, id: FsuId, count: u64) -> String {
    let text_like = !id.given().iter().all(u8::is_ascii_alphanumeric);
    let hint = if text_like { hint(raw).replacen("; ", " (", 1) } else { String::new() };
    let hint = if hint.is_empty() { hint } else { hint + ")" };
    if id.given().last().is_some_and(u8::is_ascii_digit) {
        format!("the trailing digits of fsuid `{raw}` run out before {count} FSUs{hint}")
    } else {
        format!("fsuid `{raw}` ends in no decimal digit that could count up to {count} FSUs{hint}")
    }
}

/// The id with its trailing decimal digits raised by `i`, in the same width.
pub(super) fn id_plus(id: FsuId, i: u64) -> Option<FsuId> {
    if i == 0 {
        return Some(id);
    }
    let digits = id.given().iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(id.len) - digits;
    let mut out = id;
    let mut carry = i;
    for byte in out.bytes[start..usize::from(id.len)].iter_mut().rev() {
        let sum = u64::from(*byte - b'0') + carry;
        *byte = b'0' + (sum % 10) as u8;
        carry = sum / 10;
    }
    (carry == 0).then_some(out)
}
