//! Values of fields whose size varies: as many bytes as the value needs, without padding.

use super::changed;
use super::shown;
use super::value::{self, Misfit, parse_int};
use crate::model::field::{Kind, Slot};

/// Bytes that a text needs in a field of this type. [`Misfit::Digit`] is found when it is encoded.
fn needed(slot: &Slot, text: &[u8]) -> Result<usize, Misfit> {
    let digits = |of: &[u8]| of.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
    Ok(match &slot.kind {
        Kind::Hex => {
            let text = text.trim_ascii();
            digits(text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text)).div_ceil(2)
        }
        Kind::Bcd => digits(text.trim_ascii()).div_ceil(2),
        Kind::Dec => text.trim_ascii().len(),
        Kind::HexDigits { .. } => {
            let text = text.trim_ascii();
            text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text).len()
        }
        Kind::Bit(_) => text.iter().filter(|byte| matches!(byte, b'0' | b'1')).count().div_ceil(8),
        Kind::Int | Kind::Uint => {
            let number = parse_int(text)?;
            // As few bytes as hold it; a signed field needs its sign's bit.
            let signed = |len: &usize| number >= -(1_i128 << (8 * len - 1)) && number < 1_i128 << (8 * len - 1);
            let plain = |len: &usize| number >= 0 && number < 1_i128 << (8 * len);
            let fits = |len: &usize| if slot.kind == Kind::Int { signed(len) } else { plain(len) };
            (1..=8).find(fits).ok_or(Misfit::Range)?
        }
        _ => text.len(),
    })
}

/// Appends a text, in the notation of the field's type. After an error nothing is appended.
pub fn encode(slot: &Slot, text: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
    if let Kind::Changed(changed) = &slot.kind {
        return changed::encode_varied(slot, changed, text, out);
    }
    if let Kind::Shown(shown) = &slot.kind {
        return shown::encode_varied(slot, shown, text, out);
    }
    if let Kind::Coded(charset) = slot.kind {
        return charset.append(text, slot.len, out);
    }
    let len = needed(slot, text)?;
    if len > slot.len {
        return Err(Misfit::TooLong);
    }
    let from = out.len();
    if slot.kind == Kind::Str {
        out.extend_from_slice(text);
        return Ok(());
    }
    out.resize(from + len, 0);
    if len == 0 {
        return Ok(());
    }
    let whole = Slot { kind: slot.kind.clone(), len, little: slot.little, right: !slot.little, padding: 0 };
    let encoded = out.get_mut(from..).map_or(Ok(()), |place| value::encode(&whole, text, place));
    encoded.inspect_err(|_| out.truncate(from))
}

/// Appends the JSON notation of these bytes: what [`encode`] would take to make them.
pub fn decode_into(slot: &Slot, bytes: &[u8], out: &mut Vec<u8>) {
    match &slot.kind {
        // There is no padding that could be left out.
        Kind::Str => out.extend_from_slice(bytes),
        Kind::Changed(changed) => changed::decode_varied(slot, changed, bytes, out),
        Kind::Int | Kind::Uint if bytes.is_empty() => {}
        Kind::Coded(charset) => charset.decode_into(bytes, out),
        Kind::Shown(shown) => shown::decode_varied(slot, shown, bytes, out),
        _ => value::decode_into(slot, bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text and the bytes it becomes, and back.
    fn check(kind: Kind, little: bool, text: &str, expected: Result<&str, Misfit>) {
        let slot = Slot { kind, len: 8, little, right: false, padding: 0 };
        let mut out = vec![0xA5];
        let got = encode(&slot, text.as_bytes(), &mut out).map(|()| hex::encode_upper(&out[1..]));
        assert_eq!(got, expected.map(str::to_owned), "{text:?} in {slot:?}");
        if got.is_err() {
            assert_eq!(out, [0xA5]);
            return;
        }
        let mut back = Vec::new();
        decode_into(&slot, &out[1..], &mut back);
        let mut again = Vec::new();
        encode(&slot, &back, &mut again).expect("its own notation");
        assert_eq!(hex::encode_upper(again), hex::encode_upper(&out[1..]), "{text:?}");
    }

    #[test]
    fn as_many_bytes_as_a_value_needs() {
        check(Kind::Str, false, "", Ok(""));
        check(Kind::Str, false, "AB", Ok("4142"));
        check(Kind::Str, false, "A\0", Ok("4100"));
        check(Kind::Hex, false, "", Ok(""));
        check(Kind::Hex, false, "0x1 23", Ok("0123"));
        check(Kind::Hex, true, "123", Ok("2301"));
        check(Kind::Bcd, false, "123", Ok("0123"));
        check(Kind::Dec, false, "", Ok(""));
        check(Kind::Dec, false, "0012", Ok("30303132"));
        check(Kind::HexDigits { low: false }, false, "0x1f", Ok("3146"));
        check(Kind::Uint, false, "0", Ok("00"));
        check(Kind::Uint, false, "255", Ok("FF"));
        check(Kind::Uint, false, "256", Ok("0100"));
        check(Kind::Uint, true, "256", Ok("0001"));
        check(Kind::Int, false, "-1", Ok("FF"));
        check(Kind::Int, false, "128", Ok("0080"));
        check(Kind::Uint, false, "0xFFFFFFFFFFFFFFFF", Ok("FFFFFFFFFFFFFFFF"));
        check(Kind::Bit(crate::model::field::Bits::default()), false, "[1,0,0,0,0,0,0,1]", Ok("81"));
        check(Kind::Str, false, "123456789", Err(Misfit::TooLong));
        check(Kind::Hex, false, "G1", Err(Misfit::Digit));
        check(Kind::Uint, false, "", Err(Misfit::Empty));
        check(Kind::Uint, false, "-1", Err(Misfit::Range));
    }
}
