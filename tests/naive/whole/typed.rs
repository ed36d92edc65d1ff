//! Values of typed fields, and bytes that are changed in transit.

use super::super::clock::Clock;
use super::super::fields::{self, Fill, hex, order, unhex};
use serde_json::{Value, json};

/// Characters of a character set, for the texts of these tests.
const GBK: [(char, &str); 3] = [('京', "BEA9"), ('中', "D6D0"), ('é', "A8A6")];

pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn is_computed_text(text: &str) -> bool {
    text.starts_with("#{")
}

/// Thousandths of a number with at most three places.
pub(super) fn thousandths(number: &Value) -> i128 {
    (number.as_f64().unwrap() * 1000.0).round() as i128
}

/// The bytes of a value in a field of `size` bytes, or of as many as it needs.
pub fn enc(field: &Value, value: &Value, size: Option<usize>) -> Option<Vec<u8>> {
    let mut spec = field.clone();
    let text = fields::text(value);
    let names = field["enum"].as_object();
    if let Some((key, _)) = names.and_then(|names| names.iter().find(|(_, name)| **name == *value)) {
        return enc(&without(field, "enum"), &json!(key), size);
    }
    if field.get("scale").is_some() {
        let offset = field.get("offset").map_or(0, thousandths);
        let (above, below) = (thousandths(value) - offset, thousandths(&field["scale"]));
        let raw = (2 * above.abs() + below) / (2 * below) * above.signum();
        let plain = without(&without(field, "scale"), "offset");
        let is_hex = field["type"] == "hexdigits";
        return enc(&plain, &if is_hex { json!(raw as i64) } else { json!(raw.to_string()) }, size);
    }
    let pad = field["pad"].as_str().map_or(0, |pad| pad.as_bytes()[0]);
    let kind = field["type"].as_str().unwrap_or("hex");
    spec["type"] = json!(kind);
    let bytes = match kind {
        "str" => {
            let bytes: Vec<u8> = match field["charset"].as_str() {
                Some("gbk") => text.chars().flat_map(gbk).collect(),
                Some("utf-16le") => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                Some("iso-8859-1") => text.chars().map(|c| u8::try_from(c as u32).unwrap()).collect(),
                _ => text.into_bytes(),
            };
            let size = size.unwrap_or(bytes.len());
            (bytes.len() <= size).then(|| [bytes.clone(), vec![pad; size - bytes.len()]].concat())?
        }
        "epoch" => {
            let seconds = i128::from(Clock::parse(&text[..19]).seconds());
            let ms = text.get(20..).map_or(0, |ms| ms.parse::<i128>().unwrap());
            let raw = if field["unit"] == "ms" { seconds * 1000 + ms } else { seconds };
            order(field, fields::number(raw, size?, false)?)
        }
        "cp56time2a" => cp56(&text),
        _ => {
            let size = size.unwrap_or_else(|| needed(kind, &text));
            if size == 0 {
                return Some(vec![]);
            }
            spec["length"] = json!(size);
            fields::encode(&spec, value, Fill::NONE)?
        }
    };
    Some(bytes)
}

pub(super) fn without(field: &Value, key: &str) -> Value {
    let mut field = field.clone();
    field.as_object_mut().unwrap().remove(key);
    field
}

pub(super) fn gbk(c: char) -> Vec<u8> {
    if c.is_ascii() {
        return vec![c as u8];
    }
    unhex(GBK.iter().find(|(known, _)| *known == c).unwrap().1).unwrap()
}

/// Bytes that a value of that type takes where the field's size varies.
pub(super) fn needed(kind: &str, text: &str) -> usize {
    match kind {
        "dec" | "hexdigits" => text.len(),
        "hex" | "bcd" => text.len().div_ceil(2),
        _ => panic!("no variable size for {kind}"),
    }
}

/// `2026-01-12T17:30:03.250`: milliseconds of the minute, minute, hour, day, month, year.
pub(super) fn cp56(text: &str) -> Vec<u8> {
    let clock = Clock::parse(&text[..19]);
    let ms = clock.second * 1000 + text.get(20..).map_or(0, |ms| ms.parse::<i64>().unwrap());
    let rest = [clock.minute, clock.hour, clock.day, clock.month, clock.year - 2000];
    [ms % 256, ms / 256].into_iter().chain(rest).map(|byte| byte as u8).collect()
}

/// The value that a field's bytes are; `None`: they are none.
pub fn dec(field: &Value, bytes: &[u8]) -> Option<Value> {
    let kind = field["type"].as_str().unwrap_or("hex");
    let mut spec = field.clone();
    spec["type"] = json!(kind);
    spec["length"] = json!(bytes.len());
    if field.get("scale").is_some() {
        let raw = dec(&without(&without(field, "scale"), "offset"), bytes)?;
        let radix = if kind == "hexdigits" { 16 } else { 10 };
        let raw = i128::from_str_radix(&fields::text(&raw), radix).ok()?;
        let value = raw * thousandths(&field["scale"]) + field.get("offset").map_or(0, thousandths);
        return Some(json!(value as f64 / 1000.0));
    }
    Some(match kind {
        "str" => {
            let pad = field["pad"].as_str().map_or(0, |pad| pad.as_bytes()[0]);
            let wide = field["charset"] == "utf-16le";
            let end = bytes.iter().rposition(|byte| *byte != pad).map_or(0, |at| at + 1);
            let end = if wide { end.next_multiple_of(2) } else { end };
            let trimmed = &bytes[..end.min(bytes.len())];
            match field["charset"].as_str() {
                Some("gbk") => json!(from_gbk(trimmed)?),
                Some("utf-16le") => {
                    let units: Vec<u16> =
                        trimmed.chunks(2).map(|two| u16::from_le_bytes([two[0], *two.get(1).unwrap_or(&0)])).collect();
                    json!(String::from_utf16(&units).ok()?)
                }
                Some("iso-8859-1") => json!(trimmed.iter().map(|byte| char::from(*byte)).collect::<String>()),
                _ => json!(String::from_utf8(trimmed.to_vec()).ok()?),
            }
        }
        "epoch" => {
            let raw = fields::unsigned(&order(field, bytes.to_vec()));
            let (seconds, ms) = if field["unit"] == "ms" { (raw / 1000, raw % 1000) } else { (raw, 0) };
            if seconds > 4_000_000_000 {
                return None;
            }
            let tail = if field["unit"] == "ms" { format!(".{ms:03}") } else { String::new() };
            json!(written(Clock::from_seconds(seconds as i64)) + &tail)
        }
        "cp56time2a" => {
            let ms = i64::from(bytes[0]) + 256 * i64::from(bytes[1]);
            let [minute, hour, day, month, year] = [2, 3, 4, 5, 6].map(|at| i64::from(bytes[at]));
            let is_plain = ms < 60_000
                && minute < 60
                && hour < 24
                && (1..29).contains(&day)
                && (1..13).contains(&month)
                && year < 100;
            if !is_plain {
                return None;
            }
            let clock = Clock { year: 2000 + year, month, day, hour, minute, second: ms / 1000 };
            json!(format!("{}.{:03}", written(clock), ms % 1000))
        }
        "sbcd" if fields::decode(&spec, bytes, Fill::NONE) == "" => return None,
        "dec" | "hexdigits" if bytes.is_empty() || fields::decode(&spec, bytes, Fill::NONE) == "" => return None,
        "bcd" if !hex(bytes).bytes().all(|c| c.is_ascii_digit()) => return None,
        "f32" if f32::from_be_bytes(order(field, bytes.to_vec()).try_into().unwrap()).is_nan() => return None,
        _ => fields::decode(&spec, bytes, Fill::NONE),
    })
}

pub(super) fn from_gbk(bytes: &[u8]) -> Option<String> {
    let (mut out, mut rest) = (String::new(), bytes);
    while let Some(first) = rest.first() {
        let many = if *first < 0x80 { 1 } else { 2 };
        let taken = rest.get(..many)?;
        let known = GBK.iter().find(|(_, known)| unhex(known).unwrap() == taken).map(|(c, _)| *c);
        out.push(if many == 1 { char::from(*first) } else { known? });
        rest = &rest[many..];
    }
    Some(out)
}

pub(super) fn written(clock: Clock) -> String {
    let Clock { year, month, day, hour, minute, second } = clock;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// `transform` or `data_transform` of bytes, or its reverse.
pub fn changed(how: &Value, bytes: &[u8], back: bool) -> Vec<u8> {
    let number = |key: &str| how[key].as_str().map_or(0, |digits| u8::from_str_radix(digits, 16).unwrap());
    let (add, xor) = (number("add"), number("xor"));
    bytes.iter().map(|byte| if back { (byte ^ xor).wrapping_sub(add) } else { byte.wrapping_add(add) ^ xor }).collect()
}
