//! Values with a scale, a unit or names, to bytes and back ([`crate::model::shown`]).

use super::value::{self, Misfit};
use super::varied;
use crate::model::decimal::Decimal;
use crate::model::field::{Kind, Slot};
use crate::model::shown::{Scale, Shown};
use std::io::{Cursor, Write as _};

/// The field without what is shown of it.
pub fn plain(slot: &Slot, shown: &Shown) -> Slot {
    Slot { kind: shown.base.clone(), ..*slot }
}

/// Bytes of the longest raw number as text.
const RAW_BYTES: usize = 48;

/// Encodes a text into `out`, of the slot's length.
pub fn encode(slot: &Slot, shown: &Shown, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let plain = plain(slot, shown);
    let result = with_raw(slot, shown, text, |raw| value::encode(&plain, raw, out));
    match (result, shown.of_name(text.trim_ascii())) {
        (Err(_), Some(named)) if named.bytes.len() == out.len() => {
            out.copy_from_slice(&named.bytes);
            Ok(())
        }
        (result, _) => result,
    }
}

/// Appends the bytes of a text, as many as it needs.
pub fn encode_varied(slot: &Slot, shown: &Shown, text: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
    let plain = plain(slot, shown);
    let result = with_raw(slot, shown, text, |raw| varied::encode(&plain, raw, out));
    match (result, shown.of_name(text.trim_ascii())) {
        (Err(_), Some(named)) if named.bytes.len() <= slot.len => {
            out.extend_from_slice(&named.bytes);
            Ok(())
        }
        (result, _) => result,
    }
}

/// Hands on the text of the raw value.
fn with_raw(
    slot: &Slot,
    shown: &Shown,
    text: &[u8],
    encode: impl FnOnce(&[u8]) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    let Some(scale) = &shown.scale else { return encode(text) };
    if text.trim_ascii().is_empty() {
        return Err(Misfit::Empty);
    }
    let number = Decimal::parse(text).ok_or(Misfit::Digit)?;
    let mut buffer = Cursor::new([0; RAW_BYTES]);
    if matches!(shown.base, Kind::F32 | Kind::F64) {
        let raw = (number.to_f64() - scale.offset.to_f64()) / scale.scale.to_f64();
        write!(buffer, "{raw:e}").map_err(|_| Misfit::Range)?;
    } else {
        let raw = scale.raw(number).ok_or(Misfit::Range)?;
        let (low, high) = raw_range(&shown.base, slot.len);
        if raw < low || raw > high {
            return Err(Misfit::Range);
        }
        let written = match shown.base {
            Kind::HexDigits { .. } => write!(buffer, "{raw:X}"),
            _ => match i64::try_from(raw) {
                Ok(small) => write!(buffer, "{small}"),
                Err(_) => write!(buffer, "{raw}"),
            },
        };
        written.map_err(|_| Misfit::Range)?;
    }
    let len = buffer.position() as usize;
    encode(buffer.get_ref().get(..len).unwrap_or_default())
}

/// The least and the most raw number of a field of whole numbers. A signed one has no other meaning for its upper half.
pub fn raw_range(base: &Kind, len: usize) -> (i128, i128) {
    let digits = |base: i128, digits: usize| base.checked_pow(digits as u32).map_or(i128::MAX, |all| all - 1);
    match base {
        Kind::Int => {
            let half = 1_i128 << (8 * len.clamp(1, 8) - 1);
            (-half, half - 1)
        }
        Kind::Bcd => (0, digits(10, 2 * len)),
        Kind::Dec => (0, digits(10, len)),
        Kind::HexDigits { .. } => (0, digits(16, len)),
        _ => value::range(base, len),
    }
}

/// The engineering values at both ends of a field, the smaller first. `None`: it has none.
pub fn ends(base: &Kind, scale: &Scale, len: usize) -> Option<(Decimal, Decimal)> {
    if matches!(base, Kind::F32 | Kind::F64) {
        return None;
    }
    let (low, high) = raw_range(base, len);
    let ends = (scale.value(Decimal::whole(low))?, scale.value(Decimal::whole(high))?);
    Some(if scale.scale.mantissa < 0 { (ends.1, ends.0) } else { ends })
}

/// Appends the notation of these bytes: the engineering value.
pub fn decode_into(slot: &Slot, shown: &Shown, bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    value::decode_into(&plain(slot, shown), bytes, out);
    scaled(shown, from, out);
}

/// The same of a field of varying size.
pub fn decode_varied(slot: &Slot, shown: &Shown, bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    varied::decode_into(&plain(slot, shown), bytes, out);
    scaled(shown, from, out);
}

/// Replaces the raw value that was appended by the engineering value. Bytes that are no number have none.
fn scaled(shown: &Shown, from: usize, out: &mut Vec<u8>) {
    let Some(scale) = &shown.scale else { return };
    let raw = out.get(from..).unwrap_or_default();
    let number = match shown.base {
        Kind::HexDigits { .. } => from_hex(raw),
        Kind::Bcd if !raw.iter().all(u8::is_ascii_digit) => None,
        _ => Decimal::parse(raw),
    };
    let value = number.and_then(|number| scale.value(number));
    let float =
        if value.is_none() && matches!(shown.base, Kind::F32 | Kind::F64) { from_float(raw, scale) } else { None };
    out.truncate(from);
    // Writing to a Vec does not fail.
    let _ = match (value, float) {
        (Some(value), _) => write!(out, "{value}"),
        (None, Some(float)) => write!(out, "{float}"),
        (None, None) => Ok(()),
    };
}

fn from_hex(digits: &[u8]) -> Option<Decimal> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_i128, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(i128::from(digit))
    });
    value.map(Decimal::whole)
}

/// A float that has too many digits to be exact.
fn from_float(raw: &[u8], scale: &Scale) -> Option<f64> {
    let raw: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    Some(raw * scale.scale.to_f64() + scale.offset.to_f64())
}

/// Appends what people read beside the value: `01 (open)`, `25.5 °C`.
pub fn describe(shown: &Shown, bytes: &[u8], out: &mut String) {
    if let Some(named) = shown.named(bytes) {
        out.push_str(" (");
        out.push_str(&named.name);
        out.push(')');
    }
    if !shown.unit.is_empty() && !out.is_empty() {
        out.push(' ');
        out.push_str(&shown.unit);
    }
}

/// See [`value::notation_bytes_max`].
pub fn notation_bytes_max(slot: &Slot, shown: &Shown) -> usize {
    let plain = value::notation_bytes_max(&plain(slot, shown));
    let Some(scale) = &shown.scale else { return plain };
    let Some((low, high)) = ends(&shown.base, scale, slot.len) else { return plain + FLOAT_BYTES };
    // The places of either may be used up by a value between the ends.
    let places = scale.scale.places.max(scale.offset.places) as usize;
    let point = if places > 0 { 1 + places } else { 0 };
    let whole = |end: Decimal| (end.mantissa / 10_i128.pow(end.places)).unsigned_abs().to_string().len();
    usize::from(low.mantissa < 0) + whole(low).max(whole(high)) + point
}

/// What a scale and an offset may add to a float: sign, point and their digits.
const FLOAT_BYTES: usize = 28;

/// What a number should be, of a scaled field: `-40 to 215 °C in 1 byte`.
pub fn range(shown: &Shown, len: usize) -> Option<String> {
    let (low, high) = ends(&shown.base, shown.scale.as_ref()?, len)?;
    let unit = if shown.unit.is_empty() { String::new() } else { format!(" {}", shown.unit) };
    Some(format!("{low} to {high}{unit} in {}", crate::words::count(len, "byte")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shown::Named;
    use std::sync::Arc;

    fn slot(base: Kind, len: usize, scale: &str, offset: &str) -> Slot {
        let decimal = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        let scale = Some(Scale { scale: decimal(scale), offset: decimal(offset) });
        let shown = Shown { base, scale, unit: "V".into(), names: Box::default() };
        Slot { kind: Kind::Shown(Arc::new(shown)), len, little: false, right: false, padding: 0 }
    }

    /// An engineering value, the bytes it becomes, and what they are read as.
    fn check(slot: &Slot, text: &str, expected: Result<(&str, &str), Misfit>) {
        let mut out = vec![0xA5; slot.len];
        let got = value::encode(slot, text.as_bytes(), &mut out).map(|()| {
            let mut back = Vec::new();
            value::decode_into(slot, &out, &mut back);
            (hex::encode_upper(&out), String::from_utf8(back).unwrap())
        });
        assert_eq!(got, expected.map(|(bytes, back)| (bytes.to_owned(), back.to_owned())), "{text:?} in {slot:?}");
    }

    #[test]
    fn engineering_values() {
        let tenths = |base: Kind, len: usize| slot(base, len, "0.1", "0");
        check(&tenths(Kind::Uint, 2), "25.5", Ok(("00FF", "25.5")));
        check(&tenths(Kind::Uint, 2), "0.3", Ok(("0003", "0.3")));
        check(&tenths(Kind::Uint, 2), "25", Ok(("00FA", "25")));
        check(&tenths(Kind::Uint, 2), "25.04", Ok(("00FA", "25")));
        check(&tenths(Kind::Uint, 2), "25.05", Ok(("00FB", "25.1")));
        check(&tenths(Kind::Uint, 1), "25.55", Err(Misfit::Range));
        check(&tenths(Kind::Uint, 1), "-0.1", Err(Misfit::Range));
        check(&tenths(Kind::Uint, 1), "x", Err(Misfit::Digit));
        check(&tenths(Kind::Uint, 1), "", Err(Misfit::Empty));
        check(&tenths(Kind::Int, 2), "-25.5", Ok(("FF01", "-25.5")));
        // The upper half of a signed field is negative, and nothing else.
        check(&tenths(Kind::Int, 1), "12.8", Err(Misfit::Range));
        check(&slot(Kind::Uint, 1, "1", "-40"), "25", Ok(("41", "25")));
        check(&slot(Kind::Uint, 1, "0.5", "-40"), "-40", Ok(("00", "-40")));
        check(&slot(Kind::Bcd, 2, "0.01", "0"), "12.34", Ok(("1234", "12.34")));
        check(&slot(Kind::Dec, 4, "0.01", "0"), "1.5", Ok(("30313530", "1.5")));
        check(&slot(Kind::HexDigits { low: false }, 4, "0.1", "0"), "25.5", Ok(("30304646", "25.5")));
        check(&slot(Kind::F32, 4, "0.1", "0"), "15", Ok(("43160000", "15")));
        check(
            &slot(Kind::Uint, 8, "0.001", "0"),
            "18446744073709551.615",
            Ok(("FFFFFFFFFFFFFFFF", "18446744073709551.615")),
        );
        check(&slot(Kind::Uint, 1, "-1", "100"), "20", Ok(("50", "20")));
    }

    #[test]
    fn bytes_that_are_no_number_have_no_value() {
        let mut out = Vec::new();
        value::decode_into(&slot(Kind::Dec, 2, "0.1", "0"), b" 1", &mut out);
        value::decode_into(&slot(Kind::Bcd, 1, "0.1", "0"), &[0x1A], &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn names() {
        let named = |byte: u8, name: &str| Named {
            bytes: [byte].into(),
            name: name.into(),
            value: format!("{byte:02X}").into(),
        };
        let names = [named(0, "closed"), named(1, "open")].into();
        let shown = Shown { base: Kind::Hex, scale: None, unit: Box::default(), names };
        let slot = Slot { kind: Kind::Shown(Arc::new(shown)), len: 1, little: false, right: false, padding: 0 };
        check(&slot, "open", Ok(("01", "01")));
        check(&slot, "07", Ok(("07", "07")));
        check(&slot, "opened", Err(Misfit::Digit));
        let people = |byte: u8| {
            let mut text = String::new();
            value::decode(&slot, &[byte], &mut text);
            text
        };
        assert_eq!((people(1), people(7)), ("01 (open)".into(), "07".into()));
    }
}
