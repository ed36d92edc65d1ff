//! One field: JSON value to bytes and back (templates.md, Fields).

use serde_json::{Value, json};

/// How a short value is filled: `align` and `padding` of the command.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// `align: right`: the padding precedes the value.
    pub right: bool,
    pub byte: u8,
    /// The command has one of the two; then short bcd is filled as well, instead of getting leading zeros.
    pub given: bool,
}

impl Fill {
    pub const NONE: Fill = Fill { right: false, byte: 0, given: false };

    pub fn of(command: &Value) -> Self {
        let byte = command.get("padding").map_or(0, |p| u8::from_str_radix(strip(p.as_str().unwrap()), 16).unwrap());
        let given = command.get("align").is_some() || command.get("padding").is_some();
        Self { right: command["align"] == "right", byte, given }
    }

    fn pad(self, bytes: Vec<u8>, size: usize) -> Vec<u8> {
        let fill = vec![self.byte; size - bytes.len()];
        if self.right { [fill, bytes].concat() } else { [bytes, fill].concat() }
    }

    fn trim(self, mut bytes: &[u8]) -> &[u8] {
        while !self.right && bytes.last() == Some(&self.byte) {
            bytes = &bytes[..bytes.len() - 1];
        }
        while self.right && bytes.first() == Some(&self.byte) {
            bytes = &bytes[1..];
        }
        bytes
    }
}

fn strip(text: &str) -> &str {
    text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text)
}

pub fn name(field: &Value) -> String {
    bare(field["name"].as_str().unwrap())
}

/// Does this spelling say header or tail? Then it is no field of the data frame, and a plain name is none of them.
pub fn says_outside(name: &str) -> bool {
    name.starts_with("{pdu_left}") || name.starts_with("{pdu_tailer}")
}

/// The same of a field in a list.
pub fn is_alias(field: &Value) -> bool {
    says_outside(field["name"].as_str().unwrap())
}

/// Is the value of this field the command's data_frame_length?
pub fn is_number(field: &Value) -> bool {
    let text = field["value"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<String>() == "{{data_frame_length}}"
}

/// `cid2`, `{pdu_left}_cid2` and `{pdu_left}.{cid2}` are one name.
pub fn bare(name: &str) -> String {
    if !name.contains('{') {
        return name.to_owned();
    }
    let rest = name.strip_prefix("{pdu_left}").or(name.strip_prefix("{pdu_tailer}"));
    let rest = rest.map(|rest| rest.trim_start_matches(['_', '.']));
    rest.unwrap_or(name).trim_start_matches('{').trim_end_matches('}').to_owned()
}

pub fn size(field: &Value) -> usize {
    usize::try_from(field["length"].as_u64().unwrap()).unwrap()
}

pub fn sizes(fields: &[Value]) -> usize {
    fields.iter().map(size).sum()
}

pub fn kind(field: &Value) -> &str {
    match field["type"].as_str().unwrap() {
        "int_be" | "int_le" | "int" => "int",
        "ascii" => "str",
        other => other,
    }
}

pub fn little(field: &Value) -> bool {
    match field["type"].as_str().unwrap() {
        "int_le" => true,
        "int_be" => false,
        _ => field["endian"] == "little",
    }
}

/// In the order that the field says, from the order that people read in.
pub fn order(field: &Value, mut bytes: Vec<u8>) -> Vec<u8> {
    if little(field) {
        bytes.reverse();
    }
    bytes
}

/// Pairs of hex digits to bytes; an odd number of digits gets a leading zero.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// A number, high byte first, or `None` when it needs more than `size` bytes.
pub fn number(value: i128, size: usize, signed: bool) -> Option<Vec<u8>> {
    let limit = 1i128 << (8 * size);
    let fits = if signed { value >= -limit / 2 && value < limit / 2 } else { value >= 0 && value < limit };
    let wrapped = if value < 0 { value + limit } else { value };
    fits.then(|| (0..size).rev().map(|i| (wrapped >> (8 * i)) as u8).collect())
}

/// A computed number in a field: digits in bcd, dec and hexdigits, else binary. `None`: it does not fit.
pub fn computed(field: &Value, value: i128) -> Option<Vec<u8>> {
    match kind(field) {
        "bcd" | "dec" => return encode(field, &json!(value.to_string()), Fill::NONE),
        "hexdigits" => return encode(field, &json!(format!("{value:X}")), Fill::NONE),
        _ => {}
    }
    Some(order(field, number(value, size(field), false)?))
}

/// The number that [`computed`] writes so; `None`: digits that are none.
pub fn computed_number(field: &Value, bytes: &[u8]) -> Option<i128> {
    let ordered = order(field, bytes.to_vec());
    match kind(field) {
        "bcd" => hex(&ordered).parse().ok(),
        "dec" => chars(bytes, 10)?.parse().ok(),
        "hexdigits" => i128::from_str_radix(&chars(bytes, 16)?, 16).ok(),
        _ => Some(unsigned(&ordered)),
    }
}

/// Characters that are all digits.
fn chars(bytes: &[u8], radix: u32) -> Option<String> {
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    text.chars().all(|c| c.is_digit(radix)).then_some(text)
}

/// Digits with leading zeros up to a size; zeros that are too many go.
fn zeros(digits: &str, size: usize) -> Option<Vec<u8>> {
    let digits = digits.trim_start_matches('0');
    (digits.len() <= size).then(|| format!("{digits:0>size$}").into_bytes())
}

pub fn unsigned(bytes: &[u8]) -> i128 {
    bytes.iter().fold(0, |n, b| n * 256 + i128::from(*b))
}

/// The text that a value is in the middle of other text.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether two values of a field are the same: hex digits may be in either case.
pub fn same(field: &Value, one: &[u8], other: &[u8]) -> bool {
    one == other || (kind(field) == "hexdigits" && one.eq_ignore_ascii_case(other))
}

/// The byte that fills a field without a value.
pub fn blank(field: &Value, fill: Fill) -> u8 {
    if matches!(kind(field), "dec" | "hexdigits") { b'0' } else { fill.byte }
}

/// A JSON value to the field's bytes on the (raw) wire; `None`: it does not fit.
pub fn encode(field: &Value, value: &Value, fill: Fill) -> Option<Vec<u8>> {
    let size = size(field);
    let text = text(value);
    let bytes = match kind(field) {
        "hex" => {
            let digits: String = text.split_whitespace().collect();
            let bytes = order(field, unhex(strip(&digits))?);
            (bytes.len() <= size).then(|| fill.pad(bytes, size))?
        }
        "int" | "uint" => {
            let digits = text.trim();
            let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
                Some(digits) => i128::from_str_radix(digits, 16).ok()?,
                None => digits.parse().ok()?,
            };
            order(field, number(value, size, kind(field) == "int")?)
        }
        "bcd" => {
            if text.len() > 2 * size || !text.bytes().all(|c| c.is_ascii_digit()) {
                return None;
            }
            if fill.given {
                fill.pad(order(field, unhex(&text)?), size)
            } else {
                order(field, unhex(&format!("{text:0>width$}", width = 2 * size))?)
            }
        }
        "dec" => {
            let digits = text.trim();
            if !digits.bytes().all(|c| c.is_ascii_digit()) {
                return None;
            }
            zeros(digits, size)?
        }
        // A number is written in hex; a text is hex digits already.
        "hexdigits" => {
            let digits =
                if value.is_number() { format!("{:X}", value.as_u64()?) } else { strip(text.trim()).to_uppercase() };
            if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            zeros(&digits, size)?
        }
        "sbcd" => {
            let value: i128 = text.trim().parse().ok()?;
            let mut bytes = unhex(&format!("{:0width$}", value.abs(), width = 2 * size))?;
            if bytes.len() > size || bytes[0] >= 0x80 {
                return None;
            }
            bytes[0] |= if value < 0 { 0x80 } else { 0 };
            order(field, bytes)
        }
        "bit" => bits_in(field, value)?,
        "str" => {
            let bytes = text.into_bytes();
            (bytes.len() <= size).then(|| fill.pad(bytes, size))?
        }
        "f32" => order(field, text.parse::<f32>().ok()?.to_be_bytes().to_vec()),
        "f64" => order(field, text.parse::<f64>().ok()?.to_be_bytes().to_vec()),
        other => panic!("no values for type {other}"),
    };
    assert_eq!(bytes.len(), size);
    Some(bytes)
}

fn bits_in(field: &Value, value: &Value) -> Option<Vec<u8>> {
    let mut bits = vec![0u8; 8 * size(field)];
    match value {
        Value::Array(given) => {
            for (i, bit) in given.iter().enumerate() {
                *bits.get_mut(i)? = u8::try_from(bit.as_u64()?).ok().filter(|b| *b < 2)?;
            }
        }
        Value::Object(given) => {
            for (name, number) in given {
                let span = field["bits"].get(name)?;
                let (from, to) = (span[0].as_u64()? as usize, span[1].as_u64()? as usize);
                let number = number.as_u64()?;
                for i in from..=to {
                    bits[i] = (number >> (to - i) & 1) as u8;
                }
                if to - from < 63 && number >> (to - from + 1) != 0 {
                    return None;
                }
            }
        }
        _ => return None,
    }
    let bytes = bits.chunks(8).map(|chunk| chunk.iter().fold(0, |n, bit| n * 2 + bit)).collect();
    Some(order(field, bytes))
}

/// The field's bytes to the notation that [`encode`] reads.
pub fn decode(field: &Value, bytes: &[u8], fill: Fill) -> Value {
    let ordered = order(field, bytes.to_vec());
    match kind(field) {
        // Padding digits can't be distinguished from the value.
        "bcd" if fill.given && hex(&[fill.byte]).bytes().any(|c| !c.is_ascii_digit()) => {
            json!(hex(&order(field, fill.trim(bytes).to_vec())))
        }
        "hex" | "bcd" => json!(hex(&ordered)),
        // What is no digits has no value.
        "dec" => json!(chars(bytes, 10).unwrap_or_default()),
        "hexdigits" => json!(chars(bytes, 16).unwrap_or_default().to_uppercase()),
        "sbcd" => {
            let (sign, mut bytes) = (ordered[0] & 0x80 != 0, ordered);
            bytes[0] &= 0x7F;
            match hex(&bytes).parse::<i64>() {
                Ok(value) => json!(if sign { -value } else { value }),
                Err(_) => json!(""),
            }
        }
        "uint" | "length" => json!(u64::try_from(unsigned(&ordered)).unwrap()),
        "int" => {
            let value = unsigned(&ordered);
            let limit = 1i128 << (8 * ordered.len());
            json!(i64::try_from(if value >= limit / 2 { value - limit } else { value }).unwrap())
        }
        "bit" => {
            let bits: Vec<u64> = (0..8 * ordered.len()).map(|i| u64::from(ordered[i / 8] >> (7 - i % 8) & 1)).collect();
            let Some(names) = field["bits"].as_object() else { return json!(bits) };
            names
                .iter()
                .map(|(name, span)| {
                    let (from, to) = (span[0].as_u64().unwrap() as usize, span[1].as_u64().unwrap() as usize);
                    (name.clone(), json!(bits[from..=to].iter().fold(0u64, |n, bit| n * 2 + bit)))
                })
                .collect()
        }
        "str" => {
            json!(String::from_utf8_lossy(fill.trim(bytes)))
        }
        "f32" => json!(f32::from_be_bytes(ordered.try_into().unwrap()).to_string().parse::<f64>().unwrap()),
        "f64" => json!(f64::from_be_bytes(ordered.try_into().unwrap())),
        other => panic!("no values for type {other}"),
    }
}
