//! JSON changed here and there: what bytes changed at random seldom leave whole.

use super::input::Input;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Changes of one file at most.
const EDITS_MAX: usize = 12;

/// What a value may be replaced by: edges of ranges, words of the format, and what is of another type.
static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut out = vec![
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([1, 0]),
        json!([0, 7]),
        json!({"p": 1, "ms": 1}),
        json!({"bytes": 40_000, "seed": 1}),
        json!("A".repeat(5_000)),
        json!("#{a}#".repeat(200)),
    ];
    out.extend(
        [0, 1, -1, 2, 3, 4, 7, 8, 9, 15, 16, 63, 64, 255, 256, 1_000, 4_096, 65_000, 65_535, 65_536].map(|n| json!(n)),
    );
    out.extend([i64::MIN, i64::MAX, 1 << 32, 100_000_000].map(|n| json!(n)));
    out.extend([json!(u64::MAX), json!(0.5), json!(1e300), json!(-0.0)]);
    let words = "00 FF FFFF FFFFFFFFFFFFFFFF 0x1 7E 0D hex int int_be int_le uint bcd dec hexdigits sbcd epoch cp56time2a gbk ms bit str ascii length f32 f64 big little \
        binary ascii_hex bytes chars raw wire none ones twos lchksum left right sum xor sum_xor crc16 crc:CRC-8/SMBUS \
        crc:CRC-32/BZIP2 crc:CRC-64/ECMA-182 start end checksum check data_frame {pdu_left}_length {pdu_left}.{start} \
        {{data_frame_length}} #{data_frame_type}# #{start}# ${seq()}$ ${fsuid()}$ ${rand(1,9)}$ ${rand(9,1)}$ ${choice(a,b)}$ \
        ${year(yyyy)}$ ${reg(x)}$ ${ x udp tcp broadcast warn strict off en block debug protocol.json default.json .. /";
    out.extend(words.split_whitespace().map(|word| json!(word)));
    out.push(json!(""));
    out
});

/// Keys that may take another's place.
const KEYS: &[&str] = &[
    "value",
    "match",
    "length",
    "type",
    "name",
    "bits",
    "of",
    "add",
    "unit",
    "scale",
    "offset",
    "enum",
    "charset",
    "pad",
    "offset_h",
    "check",
    "endian",
    "transfer",
    "errors",
    "refusal",
    "checksum",
    "checksum_config",
    "encoding",
    "dynamic_length",
    "total_length",
    "data_frame_length",
    "padding",
    "align",
    "when",
    "cycle",
    "burst",
    "set",
    "data",
    "data_file",
    "data_bytes",
    "delay",
    "delay_ms",
    "timeout",
    "faults",
    "faults_at",
    "limits",
    "count",
    "offline",
    "split",
    "from",
    "to",
    "over",
    "complement",
    "field",
    "req_data_list",
    "resp_data_list",
];

/// Makes the changes that the input tells, as many as it has.
pub fn edit(file: &mut Value, mut input: Input<'_>) {
    for _ in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        change(file, &mut input);
    }
}

fn change(file: &mut Value, input: &mut Input<'_>) {
    let how = input.byte() % 8;
    let other = if how == 1 { descend(file, input).clone() } else { Value::Null };
    let here = descend(file, input);
    match how {
        0 => *here = input.one(&VALUES).clone(),
        // Content from elsewhere.
        1 => *here = other,
        // One entry less, one more, one under another name, two in each other's place.
        2 => match here {
            Value::Array(list) if !list.is_empty() => drop(list.remove(input.pick(list.len().min(256)))),
            Value::Object(map) if !map.is_empty() => drop(map.shift_remove(&key(map, input))),
            _ => {}
        },
        3 => match here {
            Value::Array(list) if !list.is_empty() => list.push(list[input.pick(list.len().min(256))].clone()),
            Value::Object(map) => drop(map.insert((*input.one(KEYS)).to_owned(), input.one(&VALUES).clone())),
            _ => {}
        },
        4 => {
            if let Value::Object(map) = here
                && let Some(value) = map.shift_remove(&key(map, input))
            {
                map.insert((*input.one(KEYS)).to_owned(), value);
            }
        }
        5 => {
            if let Value::Array(list) = here
                && !list.is_empty()
            {
                let (a, b) = (input.pick(list.len().min(256)), input.pick(list.len().min(256)));
                list.swap(a, b);
            }
        }
        6 => {
            if let Some(n) = here.as_i64() {
                *here = json!(n.wrapping_add(i64::from(input.byte() as i8)));
            }
        }
        _ => {
            if let Value::String(text) = here {
                let at = text.char_indices().map(|(at, _)| at).nth(input.pick(16)).unwrap_or(text.len());
                text.insert_str(at, &String::from_utf8_lossy(input.take(2)));
            }
        }
    }
}

/// A key of the object; empty where it has none.
fn key(map: &Map<String, Value>, input: &mut Input<'_>) -> String {
    let n = input.pick(map.len().clamp(1, 256));
    map.keys().nth(n).cloned().unwrap_or_default()
}

/// A value at some depth.
fn descend<'v>(mut at: &'v mut Value, input: &mut Input<'_>) -> &'v mut Value {
    loop {
        let children = match at {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        };
        let byte = usize::from(input.byte());
        if children == 0 || byte % 8 == 0 {
            return at;
        }
        let n = byte % children;
        at = match at {
            Value::Array(list) => &mut list[n],
            Value::Object(map) => map.values_mut().nth(n).unwrap(),
            _ => unreachable!("it has children"),
        };
    }
}
