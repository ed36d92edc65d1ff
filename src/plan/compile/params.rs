//! `params` of an FSU (spec conversation.md, Parameters): texts whose trailing digits count up with `count`.

use super::kept::Params;
use crate::config::at::{At, Map, Pos};
use crate::config::diag::Diags;
use crate::model::fleet::Device;
use std::sync::Arc;

/// Longest parameter, in bytes.
pub(super) const PARAM_BYTES_MAX: usize = 255;

/// The parameters of FSU number `number` of its entry, as far as its devices read them.
///
/// # Errors
/// One is missing, too long or cannot count up so far; that was reported.
pub(super) fn params(
    diags: &mut Diags,
    (raw, pos): (Option<&Map<At<String>>>, Pos),
    number: u64,
    devices: &[Arc<Device>],
    known: &Params,
) -> Result<Arc<[Box<str>]>, ()> {
    let most = devices.iter().flat_map(|device| device.keeps.params.iter()).max().copied();
    let Some(most) = most else { return Ok(Arc::default()) };
    let mut out: Vec<Box<str>> = vec![Box::default(); most as usize + 1];
    let names = known.names();
    for &read in devices.iter().flat_map(|device| device.keeps.params.iter()) {
        let Some(name) = names.get(read as usize) else { continue };
        let given = raw.and_then(|raw| raw.0.iter().find(|(key, _)| key.value.trim() == name));
        let Some((_, given)) = given else {
            diags.error(pos, format!("the rules read param({name}), and this FSU has no such parameter (\"params\": {{\"{name}\": \"...\"}})"));
            return Err(());
        };
        if given.value.len() > PARAM_BYTES_MAX {
            diags.error(given.pos, format!("a parameter of {} bytes (at most {PARAM_BYTES_MAX})", given.value.len()));
            return Err(());
        }
        let Some(text) = plus(&given.value, number) else {
            diags.error(given.pos, format!("the trailing digits of `{}` run out at FSU {}", given.value, number + 1));
            return Err(());
        };
        if let Some(place) = out.get_mut(read as usize) {
            *place = text.into();
        }
    }
    let bytes = out.iter().map(|text| size_of::<Box<str>>() + text.len() + 16).sum();
    if diags.charge(pos, bytes, "parameters of an FSU") { Ok(out.into()) } else { Err(()) }
}

/// The text with its trailing digits raised by `i`, in the same width. A text without such digits is the same for all.
fn plus(text: &str, i: u64) -> Option<String> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (head, tail) = text.split_at(text.len() - digits);
    if i == 0 || digits == 0 {
        return Some(text.to_owned());
    }
    let mut out: Vec<u8> = tail.as_bytes().to_vec();
    let mut carry = i;
    for byte in out.iter_mut().rev() {
        let sum = u64::from(*byte - b'0') + carry % 10;
        carry = carry / 10 + sum / 10;
        *byte = b'0' + (sum % 10) as u8;
    }
    (carry == 0).then(|| format!("{head}{}", String::from_utf8_lossy(&out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_digits_count_up() {
        let check = |text: &str, i: u64, expected: Option<&str>| assert_eq!(plus(text, i).as_deref(), expected);
        check("860000000000001", 0, Some("860000000000001"));
        check("860000000000009", 1, Some("860000000000010"));
        check("A-09", 91, None);
        check("A-09", 90, Some("A-99"));
        check("plain", 7, Some("plain"));
        check("9", 1, None);
    }
}
