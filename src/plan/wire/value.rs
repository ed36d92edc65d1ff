//! A field's bytes to its JSON notation and back (spec templates.md, Fields).
//!
//! The same [`encode`] serves the compiler, which turns what does not fit into an error of the
//! configuration, and the responder, where a text depends on the request.

use super::changed;
use super::checksum::{read_number, write_number};
use super::inner::hex_pair;
use super::numerals;
use super::shown;
use super::time;
use crate::model::charset::Charset;
use crate::model::digits::from_bcd;
use crate::model::field::{Kind, Slot};
use crate::words::count;
use std::fmt;
use std::io::Write as _;

/// Why a text is not a value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A character that the type does not allow.
    Digit,
    /// More than the field holds.
    TooLong,
    /// A number outside the field's range.
    Range,
    /// Nothing where a number is needed.
    Empty,
    /// A character that the field's character set lacks.
    Character,
}

impl Misfit {
    /// What is wrong and what would be right, for a field of this type and size.
    pub fn explain(self, slot: &Slot) -> String {
        if let Kind::Changed(changed) = &slot.kind {
            return self.explain(&changed::plain(slot, changed));
        }
        let len = slot.len;
        let bytes = count(len, "byte");
        if let Kind::Shown(shown) = &slot.kind {
            return match (self, shown::range(shown, len)) {
                (Self::Range, Some(range)) => format!("out of range ({range})"),
                (Self::Digit, Some(_)) => "not a number".into(),
                _ => self.explain(&shown::plain(slot, shown)),
            };
        }
        let hold = if len == 1 { "holds" } else { "hold" };
        match (self, &slot.kind) {
            (Self::Digit, Kind::Hex) => "not hex (digits 0-9 and A-F, an optional 0x, spaces)".into(),
            (Self::Digit, Kind::Bcd) => "not decimal digits only (bcd has no sign and no point)".into(),
            (Self::Digit, Kind::Dec) => "not decimal digits only (dec has no sign and no point)".into(),
            (Self::Digit, Kind::HexDigits { .. }) => "not hex digits (0-9 and A-F, an optional 0x)".into(),
            (Self::Digit, Kind::Bit(_)) => format!("not a list of {} zeros and ones", len * 8),
            (Self::Digit, Kind::F32 | Kind::F64) => "not a number".into(),
            (Self::Digit, Kind::Epoch(_) | Kind::Cp56) => {
                "not a time (such as 2026-01-12T17:30:03, or its digits)".into()
            }
            (Self::Digit, _) => "not a whole number (decimal or 0x…)".into(),
            (Self::TooLong, Kind::Hex) => format!("longer than the field ({bytes} {hold} {} hex digits)", len * 2),
            (Self::TooLong, Kind::Bcd) => format!("longer than the field ({bytes} {hold} {} digits)", len * 2),
            (Self::TooLong, Kind::Dec | Kind::HexDigits { .. }) => {
                format!("longer than the field ({})", count(len, "digit"))
            }
            (Self::TooLong, Kind::Bit(_)) => format!("longer than the field ({bytes} {hold} {} bits)", len * 8),
            (Self::TooLong, _) => format!("longer than the field ({bytes})"),
            (Self::Range, Kind::F32) => format!("out of range ({:e} to {:e} in 4 bytes)", f32::MIN, f32::MAX),
            (Self::Range, Kind::F64) => format!("out of range ({:e} to {:e} in 8 bytes)", f64::MIN, f64::MAX),
            (Self::Range, Kind::Epoch(_)) => format!("out of range (a time since 1970 in {bytes})"),
            (Self::Range, Kind::Cp56) => "out of range (the years 2000 to 2099)".into(),
            (Self::Range, kind) => {
                let (low, high) = range(kind, len);
                format!("out of range ({low} to {high} in {bytes})")
            }
            (Self::Empty, Kind::Epoch(_) | Kind::Cp56) => "empty where a time is needed".into(),
            (Self::Empty, _) => "empty where a number is needed".into(),
            (Self::Character, Kind::Coded(charset)) => format!("no text of {} (it lacks a character)", charset.name()),
            (Self::Character, _) => "no text".into(),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digit => "a character that the type does not know",
            Self::TooLong => "too long",
            Self::Range => "out of range",
            Self::Empty => "empty",
            Self::Character => "a character that the character set lacks",
        })
    }
}

/// Smallest and largest number of an integer field. A signed field also takes what an unsigned one of its size
/// would: vendors write FFFFFFFF as 4294967295.
pub fn range(kind: &Kind, len: usize) -> (i128, i128) {
    let bits = 8 * len.clamp(1, 8) as u32;
    if *kind == Kind::Sbcd {
        // The top bit is the sign, so the first digit is at most 7.
        let most = 8 * 10_i128.pow(2 * len.clamp(1, 8) as u32 - 1) - 1;
        return (-most, most);
    }
    let low = if *kind == Kind::Int { -(1_i128 << (bits - 1)) } else { 0 };
    (low, (1_i128 << bits) - 1)
}

/// A whole number, decimal or 0x, with an optional sign.
pub fn parse_int(text: &[u8]) -> Result<i128, Misfit> {
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        _ => (10, digits),
    };
    if digits.is_empty() {
        return Err(Misfit::Empty);
    }
    let mut value = 0_i128;
    for &digit in digits {
        let digit = char::from(digit).to_digit(radix).ok_or(Misfit::Digit)?;
        value = value.checked_mul(i128::from(radix)).ok_or(Misfit::Range)? + i128::from(digit);
        if value > i128::from(u64::MAX) {
            return Err(Misfit::Range);
        }
    }
    Ok(if negative { -value } else { value })
}

/// Two decimal digits in a byte, of 0 to 99.
const TWO_DIGITS: [u8; 100] = {
    let mut table = [0; 100];
    let mut value = 0;
    while value < 100 {
        table[value] = (((value / 10) << 4) | (value % 10)) as u8;
        value += 1;
    }
    table
};

/// Writes `value` as `out`'s digits, two a byte; true when it had more digits than fit.
#[inline]
pub fn write_bcd(mut value: u64, little: bool, out: &mut [u8]) -> bool {
    if let ([byte], Some(digits)) = (&mut *out, TWO_DIGITS.get(value as usize)) {
        *byte = *digits;
        return false;
    }
    let mut put = |byte: &mut u8| {
        *byte = TWO_DIGITS[(value % 100) as usize];
        value /= 100;
    };
    if little {
        out.iter_mut().for_each(&mut put);
    } else {
        out.iter_mut().rev().for_each(&mut put);
    }
    value > 0
}

/// Encodes a text, in the notation of the slot's type, into `out` (of the slot's length).
///
/// After an error the contents of `out` are unspecified.
pub fn encode(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    match &slot.kind {
        Kind::Hex => encode_hex(slot, text, out),
        Kind::Shown(shown) => shown::encode(slot, shown, text, out),
        Kind::Sbcd => encode_sbcd(slot, text, out),
        Kind::Epoch(epoch) => time::encode_epoch(*epoch, slot.little, text, out),
        Kind::Cp56 => time::encode_cp56(text, out),
        Kind::Coded(charset) => encode_coded(slot, *charset, text, out),
        Kind::Int | Kind::Uint | Kind::Length => {
            let value = parse_int(text)?;
            let (low, high) = range(&slot.kind, slot.len);
            if value < low || value > high {
                return Err(Misfit::Range);
            }
            write_number(value as u64, slot.little, out);
            Ok(())
        }
        Kind::Bcd => encode_bcd(slot, text, out),
        Kind::Dec => numerals::encode_dec(text, out),
        Kind::HexDigits { low } => numerals::encode_hex(text, *low, out),
        Kind::Bit(_) => encode_bits(slot, text, out),
        Kind::Str => pad(slot, text, out),
        Kind::Changed(changed) => changed::encode(slot, changed, text, out),
        Kind::F32 => {
            let value: f32 = parse_float(text)?;
            in_range(text, value.is_finite())?;
            write_number(u64::from(value.to_bits()), slot.little, out);
            Ok(())
        }
        Kind::F64 => {
            let value: f64 = parse_float(text)?;
            in_range(text, value.is_finite())?;
            write_number(value.to_bits(), slot.little, out);
            Ok(())
        }
    }
}

fn parse_float<T: std::str::FromStr>(text: &[u8]) -> Result<T, Misfit> {
    let text = std::str::from_utf8(text).map_err(|_| Misfit::Digit)?.trim();
    if text.is_empty() { Err(Misfit::Empty) } else { text.parse().map_err(|_| Misfit::Digit) }
}

/// A number that is written with digits must not become an infinity; `inf` may.
fn in_range(text: &[u8], finite: bool) -> Result<(), Misfit> {
    if finite || !text.iter().any(u8::is_ascii_digit) { Ok(()) } else { Err(Misfit::Range) }
}

/// Aligns and pads short bytes.
fn pad(slot: &Slot, bytes: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let fill = out.len().checked_sub(bytes.len()).ok_or(Misfit::TooLong)?;
    if slot.right {
        out[..fill].fill(slot.padding);
        out[fill..].copy_from_slice(bytes);
    } else {
        out[..bytes.len()].copy_from_slice(bytes);
        out[bytes.len()..].fill(slot.padding);
    }
    Ok(())
}

fn encode_hex(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let text = text.trim_ascii();
    let text = match text {
        [b'0', b'x' | b'X', rest @ ..] => rest,
        _ => text,
    };
    let mut count = 0;
    for &c in text {
        match c {
            b' ' => {}
            c if c.is_ascii_hexdigit() => count += 1,
            _ => return Err(Misfit::Digit),
        }
    }
    let bytes = usize::div_ceil(count, 2);
    let value = padded(slot, bytes, out).ok_or(Misfit::TooLong)?;
    value.fill(0);
    // An odd number of digits: the first byte has one.
    let digits = text.iter().filter(|&&c| c != b' ').filter_map(|&c| char::from(c).to_digit(16));
    for (nibble, digit) in (count & 1..).zip(digits) {
        let at = if slot.little { bytes - 1 - nibble / 2 } else { nibble / 2 };
        value[at] |= (digit as u8) << (if nibble & 1 == 0 { 4 } else { 0 });
    }
    Ok(())
}

fn encode_bcd(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let text = text.trim_ascii();
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Misfit::Digit);
    }
    let bytes = usize::div_ceil(text.len(), 2);
    let Some(value) = padded(slot, bytes, out) else { return Err(Misfit::TooLong) };
    value.fill(0);
    // An odd number of digits: the first byte has one.
    for (nibble, &digit) in (text.len() & 1..).zip(text) {
        let at = if slot.little { bytes - 1 - nibble / 2 } else { nibble / 2 };
        value[at] |= (digit - b'0') << (if nibble & 1 == 0 { 4 } else { 0 });
    }
    Ok(())
}

/// Fills all but `bytes` bytes with padding and returns those; `None`: the field is shorter.
fn padded<'o>(slot: &Slot, bytes: usize, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
    let fill = out.len().checked_sub(bytes)?;
    let (padding, value) = if slot.right {
        out.split_at_mut(fill)
    } else {
        let (value, padding) = out.split_at_mut(bytes);
        (padding, value)
    };
    padding.fill(slot.padding);
    Some(value)
}

/// Writes `value` without leading zeros, and pads it; true if it had more digits than fit.
pub fn write_bcd_padded(value: u64, slot: &Slot, out: &mut [u8]) -> bool {
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    let bytes = usize::div_ceil(digits, 2).min(out.len());
    padded(slot, bytes, out).is_some_and(|out| write_bcd(value, slot.little, out))
}

fn encode_bits(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    out.fill(0);
    let mut bit = 0;
    let len = out.len();
    for &c in text {
        match c {
            b'0' | b'1' => {
                let byte = bit / 8;
                if byte >= len {
                    return Err(Misfit::TooLong);
                }
                let at = if slot.little { len - 1 - byte } else { byte };
                out[at] |= (c - b'0') << (7 - bit % 8);
                bit += 1;
            }
            b'[' | b']' | b',' | b' ' => {}
            _ => return Err(Misfit::Digit),
        }
    }
    Ok(())
}

/// Sets bits `from` to `to` (0 the most significant, both inclusive) of a field to `value`.
pub fn set_bits(slot: &Slot, from: u32, to: u32, value: u64, out: &mut [u8]) {
    let len = out.len();
    for bit in from..=to {
        let shift = to - bit;
        let one = shift < 64 && (value >> shift) & 1 == 1;
        let byte = (bit / 8) as usize;
        if byte < len {
            let at = if slot.little { len - 1 - byte } else { byte };
            let mask = 0x80 >> (bit % 8);
            if one { out[at] |= mask } else { out[at] &= !mask }
        }
    }
}

/// Bits `from` to `to` of a field.
pub fn get_bits(slot: &Slot, from: u32, to: u32, bytes: &[u8]) -> u64 {
    (from..=to).fold(0, |value, bit| {
        let byte = (bit / 8) as usize;
        let at = if slot.little { bytes.len().wrapping_sub(1 + byte) } else { byte };
        let one = bytes.get(at).is_some_and(|b| b & (0x80 >> (bit % 8)) != 0);
        (value << 1) | u64::from(one)
    })
}

/// Appends the JSON notation of a field: what [`encode`] would take to make these bytes.
pub fn decode_into(slot: &Slot, bytes: &[u8], out: &mut Vec<u8>) {
    match &slot.kind {
        Kind::Hex => push_hex(bytes, slot.little, out),
        Kind::Shown(shown) => shown::decode_into(slot, shown, bytes, out),
        Kind::Sbcd => decode_sbcd(slot, bytes, out),
        Kind::Epoch(epoch) => time::decode_epoch(*epoch, slot.little, bytes, out),
        Kind::Cp56 => time::decode_cp56(bytes, out),
        Kind::Coded(charset) => charset.decode_into(trim_units(slot, bytes, charset.unit()), out),
        Kind::Changed(changed) => changed::decode_into(slot, changed, bytes, out),
        // Padding that is no digits is not part of the value; other such bytes are shown as they are, so that a log
        // shows what was received.
        Kind::Bcd if is_digits(slot.padding) => push_hex(bytes, slot.little, out),
        Kind::Bcd => push_hex(trim(slot, bytes), slot.little, out),
        Kind::Dec => numerals::decode_dec(bytes, out),
        Kind::HexDigits { low } => numerals::decode_hex(bytes, *low, out),
        Kind::Uint | Kind::Length => {
            let _ = write!(out, "{}", read_number(bytes, slot.little));
        }
        Kind::Int => {
            let shift = 64 - 8 * bytes.len().clamp(1, 8);
            let _ = write!(out, "{}", ((read_number(bytes, slot.little) << shift) as i64) >> shift);
        }
        Kind::Bit(ranges) if ranges.is_empty() => {
            for bit in 0..(bytes.len() * 8) as u32 {
                let one = get_bits(slot, bit, bit, bytes) == 1;
                out.extend_from_slice(if bit == 0 { b"[" } else { b"," });
                out.push(b'0' + u8::from(one));
            }
            out.push(b']');
        }
        Kind::Bit(ranges) => {
            for (index, range) in ranges.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"{" } else { b"," });
                let _ = write!(out, "\"{}\":{}", range.name, get_bits(slot, range.from, range.to, bytes));
            }
            out.push(b'}');
        }
        Kind::Str => out.extend_from_slice(trim(slot, bytes)),
        Kind::F32 => {
            let _ = write!(out, "{}", f32::from_bits(read_number(bytes, slot.little) as u32));
        }
        Kind::F64 => {
            let _ = write!(out, "{}", f64::from_bits(read_number(bytes, slot.little)));
        }
    }
}

fn encode_sbcd(slot: &Slot, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    let value = parse_int(text)?;
    let (low, high) = range(&slot.kind, slot.len);
    if value < low || value > high {
        return Err(Misfit::Range);
    }
    write_bcd(value.unsigned_abs() as u64, slot.little, out);
    let sign = if slot.little { out.last_mut() } else { out.first_mut() };
    if let Some(byte) = sign.filter(|_| value < 0) {
        *byte |= SIGN;
    }
    Ok(())
}

fn encode_coded(slot: &Slot, charset: Charset, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    // Written to the left, and moved where the padding goes first.
    let len = charset.encode(text, out)?;
    let fill = out.len() - len;
    let place = if slot.right {
        out.rotate_right(fill);
        out.get_mut(..fill)
    } else {
        out.get_mut(len..)
    };
    place.unwrap_or_default().fill(slot.padding);
    Ok(())
}

/// The sign in the high byte of an sbcd field.
const SIGN: u8 = 0x80;

/// A signed number; bytes that are no digits have no value.
fn decode_sbcd(slot: &Slot, bytes: &[u8], out: &mut Vec<u8>) {
    let sign = if slot.little { bytes.last() } else { bytes.first() }.copied().unwrap_or(0) & SIGN;
    let bits = 8 * bytes.len().clamp(1, 8) as u32 - 1;
    let digits = read_number(bytes, slot.little) & !(u64::from(sign != 0) << bits);
    if let Some(value) = from_bcd(digits) {
        let _ = write!(out, "{}{value}", if sign != 0 && value > 0 { "-" } else { "" });
    }
}

/// Without padding, which consists of whole units.
fn trim_units<'b>(slot: &Slot, bytes: &'b [u8], unit: usize) -> &'b [u8] {
    let len = trim(slot, bytes).len().next_multiple_of(unit).min(bytes.len());
    let rest = bytes.len() - len;
    bytes.get(if slot.right { rest..bytes.len() } else { 0..len }).unwrap_or_default()
}

/// The same as text for people; bytes that are no UTF-8 show as `\xNN`, control characters escaped.
pub fn decode(slot: &Slot, bytes: &[u8], out: &mut String) {
    if let Kind::Changed(changed) = &slot.kind {
        return changed::decode(slot, changed, bytes, out);
    }
    if slot.kind == Kind::Str {
        // No copy: the text of a str field is its bytes.
        return push_text(trim(slot, bytes), out);
    }
    let mut raw = Vec::new();
    decode_into(slot, bytes, &mut raw);
    // What has no value is shown as it is.
    match slot.kind.base() {
        Kind::Dec | Kind::HexDigits { .. } if raw.is_empty() => push_text(bytes, out),
        Kind::Sbcd | Kind::Cp56 if raw.is_empty() => {
            push_hex(bytes, false, &mut raw);
            push_text(&raw, out);
        }
        _ => push_text(&raw, out),
    }
    if let Kind::Shown(shown) = &slot.kind {
        shown::describe(shown, bytes, out);
    }
}

/// Text for people, as [`decode`] shows it.
pub fn push_text(raw: &[u8], out: &mut String) {
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
        }
        for byte in chunk.invalid() {
            let _ = fmt::Write::write_fmt(out, format_args!("\\x{byte:02X}"));
        }
    }
}

/// Whether it is two decimal digits.
pub fn is_digits(byte: u8) -> bool {
    byte >> 4 < 10 && byte & 0xF < 10
}

fn push_hex(bytes: &[u8], little: bool, out: &mut Vec<u8>) {
    if let [byte] = bytes {
        // The usual size: one store.
        return out.extend_from_slice(&hex_pair(*byte));
    }
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let pairs = out[start..].as_chunks_mut::<2>().0.iter_mut();
    if little {
        pairs.zip(bytes.iter().rev()).for_each(|(pair, byte)| *pair = hex_pair(*byte));
    } else {
        pairs.zip(bytes).for_each(|(pair, byte)| *pair = hex_pair(*byte));
    }
}

fn trim<'a>(slot: &Slot, mut bytes: &'a [u8]) -> &'a [u8] {
    if slot.right {
        while let [first, rest @ ..] = bytes {
            if *first != slot.padding {
                break;
            }
            bytes = rest;
        }
    } else {
        while let [rest @ .., last] = bytes {
            if *last != slot.padding {
                break;
            }
            bytes = rest;
        }
    }
    bytes
}

/// Longest text that [`decode_into`] makes of a field.
pub fn notation_bytes_max(slot: &Slot) -> usize {
    match &slot.kind {
        Kind::Hex | Kind::Bcd => slot.len * 2,
        // Digits of the largest number of that size, and a sign.
        Kind::Int | Kind::Uint | Kind::Length => match slot.len {
            len @ 0..=7 => (1u64 << (8 * len)).ilog10() as usize + 1 + usize::from(slot.kind == Kind::Int),
            _ => 20,
        },
        Kind::Bit(ranges) if ranges.is_empty() => slot.len * 16 + 1,
        Kind::Bit(ranges) => ranges.iter().map(|range| range.name.len() + 24).sum::<usize>() + 2,
        Kind::Str | Kind::Dec | Kind::HexDigits { .. } => slot.len,
        Kind::Shown(shown) => shown::notation_bytes_max(slot, shown),
        Kind::Sbcd => slot.len * 2 + 1,
        Kind::Epoch(_) => "2026-01-12T17:30:03.250".len(),
        Kind::Cp56 => "2026-01-12T17:30:03.250 IV SU".len(),
        // Of one byte or two, a character may have three.
        Kind::Coded(_) => slot.len * 3,
        Kind::Changed(changed) => notation_bytes_max(&changed::plain(slot, changed)),
        // Sign, point and zeros of the smallest numbers, and their digits.
        Kind::F32 => 60,
        Kind::F64 => 340,
    }
}

#[cfg(test)]
mod tests;
