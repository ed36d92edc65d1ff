//! Data frames whose fields vary in size, read and written by the document: values are JSON, one field at a time.
//! An element is found by its name in a map; nothing is compiled.

use super::fields::{hex, unhex};
use serde_json::{Map, Value, json};

/// What a number field can say at most.
fn says(len: u64) -> u64 {
    (1 << (8 * len)) - 1
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Bytes of the fields seen so far, the innermost block last.
type Seen = Vec<Vec<(String, Vec<u8>)>>;

fn seen(seen: &Seen, name: &str) -> Vec<u8> {
    let all = seen.iter().rev().flat_map(|block| block.iter());
    all.filter(|(known, _)| known == name).map(|(_, bytes)| bytes.clone()).next().unwrap()
}

/// A size or count that an earlier field says; `None`: more than `max`, or less than nothing.
fn counted(by: &Value, field: &Value, default: u64, known: &Seen) -> Option<usize> {
    let bytes = seen(known, by["field"].as_str().unwrap());
    let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
    let says = says(bytes.len() as u64) as i64 * times + add;
    let max = field["max"].as_i64().unwrap_or(default as i64).min(says);
    let many = number(&bytes) as i64 * times + add;
    (many >= 0 && many <= max).then_some(many as usize)
}

/// Bytes of the fields behind one that takes what is left.
fn after(fields: &[Value]) -> usize {
    fields.iter().map(|field| field["length"].as_u64().unwrap() as usize).sum()
}

/// The values of the fields; `None`: the bytes do not fit.
pub fn decode(fields: &[Value], bytes: &[u8], at: &mut usize, end: usize, known: &mut Seen) -> Option<Value> {
    let mut out = Map::new();
    known.push(Vec::new());
    for (place, field) in fields.iter().enumerate() {
        let name = field["name"].as_str().unwrap();
        let value = match field["type"].as_str() {
            Some("list") => list(field, &fields[place + 1..], bytes, at, end, known)?,
            Some("choice") => choice(field, bytes, at, end, known)?,
            _ => {
                let got = plain(field, &fields[place + 1..], bytes, at, end, known)?;
                known.last_mut().unwrap().push((name.to_owned(), got.clone()));
                json!(hex(&got))
            }
        };
        out.insert(name.to_owned(), value);
    }
    known.pop();
    Some(out.into())
}

fn plain(field: &Value, behind: &[Value], bytes: &[u8], at: &mut usize, end: usize, known: &Seen) -> Option<Vec<u8>> {
    let from = *at;
    if let Some(until) = field["until"].as_str() {
        let until = unhex(until).unwrap();
        let max = field["max"].as_u64().unwrap_or(1024) as usize;
        let len = (0..=max).find(|len| from + len + until.len() <= end && bytes[from + len..].starts_with(&until))?;
        *at = from + len + until.len();
        return Some(bytes[from..from + len].to_vec());
    }
    let len = match &field["length"] {
        Value::Number(len) => len.as_u64().unwrap() as usize,
        Value::String(_) => (end - from).checked_sub(after(behind))?,
        by => counted(by, field, 1024, known)?,
    };
    if from + len > end {
        return None;
    }
    *at = from + len;
    Some(bytes[from..from + len].to_vec())
}

fn list(field: &Value, behind: &[Value], bytes: &[u8], at: &mut usize, end: usize, known: &mut Seen) -> Option<Value> {
    let items = field["items"].as_array().unwrap();
    let mut out = Vec::new();
    if field["count"] == "rest" {
        let end = end.checked_sub(after(behind)).filter(|end| *at <= *end)?;
        while *at < end {
            if out.len() as u64 >= field["max"].as_u64().unwrap_or(1024) {
                return None;
            }
            out.push(decode(items, bytes, at, end, known)?);
        }
        return Some(out.into());
    }
    let count = match &field["count"] {
        Value::Number(count) => count.as_u64().unwrap() as usize,
        by => counted(by, field, 1024, known)?,
    };
    for _ in 0..count {
        out.push(decode(items, bytes, at, end, known)?);
    }
    Some(out.into())
}

fn choice(field: &Value, bytes: &[u8], at: &mut usize, end: usize, known: &mut Seen) -> Option<Value> {
    let tag = hex(&seen(known, field["by"].as_str().unwrap()));
    let cases = &field["cases"];
    let case = cases.get(&tag).or_else(|| cases.get("else"));
    let own = match &field["bytes"] {
        Value::Null => None,
        by => Some(*at + counted(by, field, 65_000, known)?),
    };
    if own.is_some_and(|own| own > end) {
        return None;
    }
    let value = match case {
        Some(case) => decode(case.as_array().unwrap(), bytes, at, own.unwrap_or(end), known)?,
        None => own.map(|_| json!({}))?,
    };
    *at = own.unwrap_or(*at);
    Some(value)
}

/// The bytes of values; numbers that count what follows are computed.
pub fn encode(fields: &[Value], values: &Value, known: &mut Seen) -> Vec<u8> {
    let mut parts: Vec<(&Value, Vec<u8>)> = Vec::new();
    known.push(Vec::new());
    // What is counted comes before what counts it: back to front, with the tags known.
    for field in fields {
        let name = field["name"].as_str().unwrap();
        if let Some(text) = values[name].as_str() {
            known.last_mut().unwrap().push((name.to_owned(), unhex(text).unwrap()));
        }
    }
    for field in fields {
        let name = field["name"].as_str().unwrap();
        let bytes = match field["type"].as_str() {
            Some("list") => {
                let items = field["items"].as_array().unwrap();
                let all = values[name].as_array().into_iter().flatten();
                all.flat_map(|item| encode(items, item, known)).collect()
            }
            Some("choice") => {
                let tag = hex(&seen(known, field["by"].as_str().unwrap()));
                let case = field["cases"].get(&tag).or_else(|| field["cases"].get("else"));
                case.map_or(Vec::new(), |case| encode(case.as_array().unwrap(), &values[name], known))
            }
            _ => {
                let mut bytes = unhex(values[name].as_str().unwrap_or_default()).unwrap();
                if let Some(len) = field["length"].as_u64() {
                    bytes.resize(len as usize, 0);
                }
                bytes.extend(field["until"].as_str().map_or(Vec::new(), |until| unhex(until).unwrap()));
                bytes
            }
        };
        parts.push((field, bytes));
    }
    known.pop();
    let mut out = Vec::new();
    for (place, (field, bytes)) in parts.iter().enumerate() {
        let name = &field["name"];
        let by = |other: &Value| ["length", "count", "bytes"].iter().any(|key| other[*key]["field"] == *name);
        let counts =
            parts[place..].iter().find(|(other, _)| by(other)).filter(|_| values[name.as_str().unwrap()].is_null());
        let Some((what, written)) = counts else {
            out.extend(bytes);
            continue;
        };
        let many = match what["type"].as_str() {
            Some("list") => values[what["name"].as_str().unwrap()].as_array().map_or(0, Vec::len),
            _ => written.len(),
        };
        let by = ["length", "count", "bytes"].iter().map(|key| &what[*key]).find(|by| by["field"] == *name).unwrap();
        let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
        let said = (many as i64 - add) / times;
        let len = field["length"].as_u64().unwrap() as usize;
        out.extend(&said.to_be_bytes()[8 - len..]);
    }
    out
}

/// A random template's fields, and values for them.
pub struct Maker {
    pub rng: fastrand::Rng,
    names: usize,
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), names: 0 }
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    /// Fields of one block; `may_rest`: what is left is known.
    pub fn fields(&mut self, depth: usize, may_rest: bool) -> Vec<Value> {
        let mut out = vec![json!({"name": self.name("fixed"), "length": 1})];
        for _ in 0..self.rng.usize(1..3) {
            let number = self.name("n");
            let counter = json!({"name": number, "length": self.rng.u64(1..3), "type": "uint"});
            match self.rng.usize(..if depth > 0 { 7 } else { 3 }) {
                0 => out.push(json!({"name": self.name("fixed"), "length": self.rng.u64(1..4)})),
                1 => {
                    let (times, add) = ([1, 1, 2][self.rng.usize(..3)], self.rng.i64(-2..3));
                    let by = json!({"field": number, "times": times, "add": add});
                    out.extend([counter, json!({"name": self.name("data"), "length": by, "max": 20})]);
                }
                2 => {
                    let until = ["7C", "0D0A"][self.rng.usize(..2)];
                    out.push(json!({"name": self.name("text"), "until": until, "max": 10}));
                }
                3 | 4 => {
                    let list = json!({"name": self.name("list"), "type": "list", "count": {"field": number}, "max": 5,
                        "items": self.fields(depth - 1, false)});
                    out.extend([counter, list]);
                }
                5 => {
                    let tag = self.name("tag");
                    let cases = json!({"01": self.fields(depth - 1, false), "02": self.fields(depth - 1, false)});
                    out.extend([
                        json!({"name": tag, "length": 1}),
                        json!({"name": self.name("choice"), "type": "choice", "by": tag, "cases": cases}),
                    ]);
                }
                _ => {
                    let tag = self.name("tag");
                    let cases = json!({"01": self.fields(depth - 1, true), "else": self.fields(depth - 1, true)});
                    let bytes = json!({"field": number});
                    out.extend([
                        json!({"name": tag, "length": 1}),
                        counter,
                        json!({"name": self.name("choice"), "type": "choice", "by": tag, "bytes": bytes, "cases": cases}),
                    ]);
                }
            }
        }
        if may_rest && self.rng.bool() {
            out.push(json!({"name": self.name("rest"), "length": "rest"}));
            out.push(json!({"name": self.name("fixed"), "length": 1}));
        }
        out
    }

    fn bytes(&mut self, len: usize) -> String {
        // No end mark inside.
        (0..len).map(|_| format!("{:02X}", self.rng.u8(0x80..))).collect()
    }

    /// Values for fields; those that are computed are left out.
    pub fn values(&mut self, fields: &[Value]) -> Value {
        let mut out = Map::new();
        for field in fields {
            let name = field["name"].as_str().unwrap();
            let value = match field["type"].as_str() {
                Some("uint") => continue,
                Some("list") => {
                    let items = field["items"].as_array().unwrap();
                    (0..self.rng.usize(..4)).map(|_| self.values(items)).collect::<Vec<_>>().into()
                }
                Some("choice") => {
                    let tag = out[field["by"].as_str().unwrap()].as_str().unwrap().to_owned();
                    let case = field["cases"].get(&tag).or_else(|| field["cases"].get("else")).unwrap();
                    self.values(case.as_array().unwrap())
                }
                _ if name.starts_with("tag") => ["01", "02"][self.rng.usize(..2)].into(),
                _ => {
                    let len = match &field["length"] {
                        Value::Number(len) => len.as_u64().unwrap() as usize,
                        by if by.is_object() => {
                            let (times, add) = (by["times"].as_i64().unwrap(), by["add"].as_i64().unwrap());
                            (self.rng.i64(2..5) * times + add) as usize
                        }
                        _ => self.rng.usize(..6),
                    };
                    json!(self.bytes(len))
                }
            };
            out.insert(name.to_owned(), value);
        }
        out.into()
    }
}
