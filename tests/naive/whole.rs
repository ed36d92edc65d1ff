//! Frames of any shape by the document (templates.md): typed fields of fixed and variable size, lists, choices, several checksums,
//! blocks, changed bytes and envelopes. Values are JSON, and every element is found by its name.

mod typed;

use super::checksum::checksum;
use super::fields::{self, hex, name, unhex};
use serde_json::{Map, Value, json};
use typed::*;
pub use typed::{changed, dec, enc};

/// Why a frame is no request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum No {
    /// It is wrong.
    Wrong,
    /// The document does not say what it is.
    Open,
}

/// The innermost block last: fields seen so far, with their plain bytes.
type Seen = Vec<Vec<(Value, Vec<u8>)>>;

fn seen<'s>(seen: &'s Seen, wanted: &str) -> &'s (Value, Vec<u8>) {
    seen.iter()
        .rev()
        .flat_map(|block| block.iter())
        .find(|(field, _)| field["name"] == wanted)
        .unwrap_or_else(|| panic!("no {wanted}"))
}

fn counted(by: &Value, field: &Value, default: i128, known: &Seen) -> Option<usize> {
    let number = match by["field"].as_str().unwrap().split_once('.') {
        Some((of, bits)) => i128::from(some_bits(seen(known, of), bits)),
        None => {
            let (spec, bytes) = seen(known, by["field"].as_str().unwrap());
            fields::computed_number(&typed(spec), bytes)?
        }
    };
    let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
    let many = number * i128::from(times) + i128::from(add);
    let max = field["max"].as_i64().map_or(default, i128::from);
    (many >= 0 && many <= max).then_some(many as usize)
}

/// What comes out of a data frame: its plain bytes, and the values of its fields, `null` where the bytes are none.
pub struct Read<'b> {
    pub raw: Vec<u8>,
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Read<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { raw: vec![], bytes, at: 0 }
    }

    fn take(&mut self, field: &Value, len: usize, end: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes.get(self.at..self.at + len).filter(|_| self.at + len <= end)?;
        self.at += len;
        let plain =
            if field["transform"].is_object() { changed(&field["transform"], bytes, true) } else { bytes.to_vec() };
        self.raw.extend(&plain);
        Some(plain)
    }

    pub fn fields(&mut self, list: &[Value], end: usize, known: &mut Seen) -> Option<Value> {
        known.push(vec![]);
        let mut out = Map::new();
        for (place, field) in list.iter().enumerate() {
            let behind: usize =
                list[place + 1..].iter().map(|field| field["length"].as_u64().unwrap_or(0) as usize).sum();
            let value = match field["type"].as_str() {
                Some("list") => self.list(field, behind, end, known)?,
                Some("choice") => self.choice(field, behind, end, known)?,
                _ => {
                    let bytes = self.plain(field, behind, end, known)?;
                    let value = dec(field, &bytes).unwrap_or(Value::Null);
                    known.last_mut().unwrap().push((field.clone(), bytes));
                    value
                }
            };
            out.insert(name(field), value);
        }
        known.pop();
        Some(out.into())
    }

    fn plain(&mut self, field: &Value, behind: usize, end: usize, known: &Seen) -> Option<Vec<u8>> {
        if let Some(until) = field["until"].as_str() {
            let until = unhex(until).unwrap();
            let max = field["max"].as_u64().unwrap_or(1024) as usize;
            let from = self.at;
            let len = (0..=max)
                .find(|len| from + len + until.len() <= end && self.bytes[from + len..].starts_with(&until))?;
            let bytes = self.take(field, len, end)?;
            self.take(&json!({}), until.len(), end)?;
            return Some(bytes);
        }
        let len = match &field["length"] {
            Value::Number(len) => len.as_u64().unwrap() as usize,
            Value::String(_) => {
                let len = end.checked_sub(self.at)?.checked_sub(behind)?;
                if len > field["max"].as_u64().unwrap_or(1024) as usize {
                    return None;
                }
                len
            }
            by => counted(by, field, 1024, known)?,
        };
        self.take(field, len, end)
    }

    fn list(&mut self, field: &Value, behind: usize, end: usize, known: &mut Seen) -> Option<Value> {
        let items = list(field, "items");
        let max = field["max"].as_u64().unwrap_or(1024) as usize;
        let mut out = vec![];
        if field["count"] == "rest" {
            let end = end.checked_sub(behind).filter(|end| self.at <= *end)?;
            while self.at < end {
                if out.len() >= max {
                    return None;
                }
                out.push(self.fields(items, end, known)?);
            }
            return Some(out.into());
        }
        let count = match &field["count"] {
            Value::Number(count) => count.as_u64().unwrap() as usize,
            by => counted(by, field, 1024, known)?,
        };
        for _ in 0..count {
            out.push(self.fields(items, end, known)?);
        }
        Some(out.into())
    }

    fn choice(&mut self, field: &Value, behind: usize, end: usize, known: &mut Seen) -> Option<Value> {
        let case = case(field, known);
        let own = match &field["bytes"] {
            Value::Null => None,
            Value::String(_) => Some(end.checked_sub(behind)?),
            Value::Number(bytes) => Some(self.at + bytes.as_u64().unwrap() as usize),
            by => Some(self.at + counted(by, field, 65_000, known)?),
        };
        if own.is_some_and(|own| own > end || own < self.at) {
            return None;
        }
        let value = match case {
            Some(case) => self.fields(case.as_array().unwrap(), own.unwrap_or(end), known)?,
            None => own.map(|_| json!({}))?,
        };
        if let Some(own) = own {
            self.take(&json!({}), own - self.at, end)?;
        }
        Some(value)
    }

    /// What is behind the last field.
    pub fn rest(&mut self) {
        self.raw.extend(&self.bytes[self.at..]);
    }
}

/// Named bits of a bit field.
fn some_bits((spec, bytes): &(Value, Vec<u8>), named: &str) -> u64 {
    dec(spec, bytes).unwrap()[named].as_u64().unwrap()
}

/// The items of a list with one for each item of the request's: what the rule's `data` says, else the field of the same name.
fn each(value: &Value, items: &[Value], copies: &Value) -> Option<Vec<Value>> {
    let list = referred(&json!(value["each"].as_str()?), copies);
    let of = |item: &Value, field: &Value| {
        let (own, same) = (&value["data"][name(field)], &item[name(field)]);
        match own.as_str().and_then(|text| text.strip_prefix("#{item.")) {
            Some(text) => item[text.trim_end_matches("}#")].clone(),
            None if own.is_null() => same.clone(),
            None => own.clone(),
        }
    };
    let item = |item: &Value| items.iter().map(|field| (name(field), of(item, field))).collect::<Map<_, _>>().into();
    Some(list.as_array().unwrap().iter().map(item).collect())
}

/// The fields of the case that the field's tag selects.
fn case<'f>(field: &'f Value, known: &Seen) -> Option<&'f Value> {
    let by = field["by"].as_str().unwrap();
    let key = match by.split_once('.') {
        Some((of, bits)) => json!(some_bits(seen(known, of), bits)),
        None => {
            let (spec, bytes) = seen(known, by);
            dec(spec, bytes).unwrap_or(Value::Null)
        }
    };
    let cases = field["cases"].as_object().unwrap();
    let same =
        |written: &str| fields::text(&key) == written || key.as_u64().is_some_and(|key| written.parse() == Ok(key));
    cases.iter().find(|(written, _)| same(written)).map(|(_, case)| case).or(cases.get("else"))
}

/// Plain and travelling bytes.
#[derive(Clone, Debug, Default)]
pub struct Two {
    pub raw: Vec<u8>,
    pub wire: Vec<u8>,
}

impl Two {
    fn of(field: &Value, raw: Vec<u8>) -> Self {
        let wire = if field["transform"].is_object() { changed(&field["transform"], &raw, false) } else { raw.clone() };
        Self { raw, wire }
    }

    fn extend(&mut self, other: &Self) {
        self.raw.extend(&other.raw);
        self.wire.extend(&other.wire);
    }
}

/// What a field has where nothing gives it a value.
fn blank(field: &Value) -> Vec<u8> {
    let size = field["length"].as_u64();
    if let Some(value) = field.get("value") {
        return enc(field, value, size.map(|size| size as usize)).unwrap();
    }
    let byte = match field["type"].as_str() {
        Some("dec" | "hexdigits") => b'0',
        Some("str") => field["pad"].as_str().map_or(0, |pad| pad.as_bytes()[0]),
        _ => 0,
    };
    vec![byte; size.unwrap_or(0) as usize]
}

/// The bytes of values. `copies`: what the request has, for values that are references.
pub fn encode(list_of: &[Value], values: &Value, copies: &Value, known: &mut Seen) -> Option<Two> {
    known.push(vec![]);
    for field in list_of {
        let value = referred(&values[name(field)], copies);
        let is_nest = matches!(field["type"].as_str(), Some("list" | "choice"));
        if !is_nest && (!value.is_null() || field["length"].is_number()) {
            let bytes = if value.is_null() {
                blank(field)
            } else {
                enc(field, &value, field["length"].as_u64().map(|n| n as usize))?
            };
            known.last_mut().unwrap().push((field.clone(), bytes));
        }
    }
    let mut parts: Vec<(&Value, Two, usize)> = vec![];
    for field in list_of {
        let value = referred(&values[name(field)], copies);
        let (two, items) = match field["type"].as_str() {
            Some("list") => {
                let items = list(field, "items");
                let given =
                    each(&value, items, copies).unwrap_or_else(|| value.as_array().cloned().unwrap_or_default());
                let many = field["count"].as_u64().map_or(given.len(), |count| count as usize);
                let mut all = Two::default();
                for number in 0..many {
                    all.extend(&encode(items, given.get(number).unwrap_or(&json!({})), copies, known)?);
                }
                (all, many)
            }
            Some("choice") => {
                let two = match case(field, known) {
                    Some(case) => encode(case.as_array().unwrap(), &value, copies, known)?,
                    None => Two::default(),
                };
                let mut two = two;
                if let Some(bytes) = field["bytes"].as_u64() {
                    two.raw.resize(bytes as usize, 0);
                    two.wire.resize(bytes as usize, 0);
                }
                (two, 0)
            }
            _ => {
                let size = field["length"].as_u64().map(|size| size as usize);
                let bytes = if value.is_null() { blank(field) } else { enc(field, &value, size)? };
                let mut two = Two::of(field, bytes);
                if let Some(until) = field["until"].as_str() {
                    two.extend(&Two::of(&json!({}), unhex(until).unwrap()));
                }
                (two, 0)
            }
        };
        parts.push((field, two, items));
    }
    known.pop();
    let mut out = Two::default();
    for (place, (field, two, _)) in parts.iter().enumerate() {
        let own = &field["name"];
        let by = |other: &Value| {
            let is_it = |by: &Value| by["field"].as_str().is_some_and(|by| by.split('.').next() == own.as_str());
            ["length", "count", "bytes"].iter().map(|key| other[*key].clone()).find(is_it)
        };
        let counts = parts[place + 1..].iter().find_map(|(other, two, items)| {
            let many = if other["type"] == "list" { *items } else { two.raw.len() };
            by(other).map(|by| (by, many))
        });
        let given = &values[name(field)];
        let bits = |by: &Value| by["field"].as_str().and_then(|by| by.split_once('.')).map(|(_, bits)| bits.to_owned());
        // Bits are computed alone: the rule may give the others.
        let is_open = |by: &Value| bits(by).map_or(given.is_null(), |bits| given[bits].is_null());
        let Some((by, many)) = counts.filter(|(by, _)| is_open(by)) else {
            out.extend(two);
            continue;
        };
        let (times, add) = (by["times"].as_i64().unwrap_or(1), by["add"].as_i64().unwrap_or(0));
        let said = many as i64 - add;
        if said % times != 0 || said < 0 {
            return None;
        }
        let raw = match bits(&by) {
            Some(bits) => {
                let mut all = given.as_object().cloned().unwrap_or_default();
                all.insert(bits, json!(said / times));
                enc(field, &all.into(), Some(size(field)))?
            }
            None => fields::computed(&typed(field), i128::from(said / times))?,
        };
        out.extend(&Two::of(field, raw));
    }
    Some(out)
}

/// `#{name}#` is the request's value.
fn referred(value: &Value, copies: &Value) -> Value {
    match value.as_str().filter(|text| is_computed_text(text)) {
        Some(text) => copies[text.trim_start_matches("#{").trim_end_matches("}#")].clone(),
        None => value.clone(),
    }
}

/// A template's `protocol` with one shape of frame.
pub struct Shape<'a>(pub &'a Value);

/// A frame in parts, header and tail by name.
pub struct Parts {
    pub outside: Vec<(Value, Two)>,
    pub data: Two,
}

impl<'a> Shape<'a> {
    /// Header and tail, with the marks of the envelope.
    pub fn left(&self) -> Vec<Value> {
        let mut left = list(self.0, "pdu_left").to_vec();
        if let Some(mark) = self.0["envelope"]["start"].as_str()
            && left.first().is_none_or(|first| first["value"] != mark)
        {
            left.insert(0, json!({"name": "start", "length": mark.len() / 2, "value": mark}));
        }
        left
    }

    pub fn tail(&self) -> Vec<Value> {
        let mut tail = list(self.0, "pdu_tailer").to_vec();
        if let Some(mark) = self.0["envelope"]["end"].as_str()
            && tail.last().is_none_or(|last| last["value"] != mark)
        {
            tail.push(json!({"name": "end", "length": mark.len() / 2, "value": mark}));
        }
        tail
    }

    fn sums(&self) -> Vec<Value> {
        match &self.0["checksum"] {
            Value::Array(all) => all.clone(),
            Value::Null => vec![],
            one => vec![one.clone()],
        }
    }

    fn blocks(&self) -> Option<(usize, Value)> {
        self.sums()
            .into_iter()
            .find(|sum| sum["blocks"].is_number())
            .map(|sum| (sum["blocks"].as_u64().unwrap() as usize, sum))
    }

    /// The bytes of a sum over some bytes.
    fn sum(how: &Value, field: &Value, bytes: &[u8]) -> Vec<u8> {
        // A sum is cut to the digits.
        let size = field["length"].as_u64().unwrap() as usize / if field["type"] == "hexdigits" { 2 } else { 1 };
        let words = |of: fn(u64, u64) -> u64| {
            let word = |two: &[u8]| {
                let (one, other) = (u64::from(two[0]), u64::from(*two.get(1).unwrap_or(&0)));
                if how["endian"] == "little" { one + 256 * other } else { 256 * one + other }
            };
            bytes.chunks(2).map(word).fold(0, of)
        };
        let complement = how["complement"].as_str().unwrap_or("none");
        let finished = |value: u64| match complement {
            "ones" => !value & 0xFFFF,
            "twos" => value.wrapping_neg() & 0xFFFF,
            _ => value,
        };
        let value = match how["algorithm"].as_str() {
            Some("sum16") => finished(words(|sum, word| (sum + word) & 0xFFFF)),
            Some("ones16") => finished(words(|sum, word| (sum + word) % 0x10000 + (sum + word) / 0x10000)),
            Some("xor16") => finished(words(|sum, word| sum ^ word)),
            Some("lrc") => bytes.iter().fold(0_u64, |sum, byte| (sum + 256 - u64::from(*byte)) % 256),
            Some(other) => checksum(other, complement, bytes, size),
            None => crc(&how["algorithm"], bytes),
        };
        let mut typed = field.clone();
        typed["type"] = json!(field["type"].as_str().unwrap_or("hex"));
        fields::computed(&typed, i128::from(value)).unwrap()
    }

    /// The data frame as it travels.
    fn travel(&self, data: &Two) -> Vec<u8> {
        let wire = if self.0["data_transform"].is_object() {
            changed(&self.0["data_transform"], &data.raw, false)
        } else {
            data.wire.clone()
        };
        let Some((many, how)) = self.blocks() else { return wire };
        let field = json!({"length": how["length"].as_u64().unwrap_or(block_size(&how)), "endian": how["endian"]});
        data.raw
            .chunks(many)
            .zip(wire.chunks(many))
            .flat_map(|(raw, wire)| [wire.to_vec(), Self::sum(&how, &field, raw)].concat())
            .collect()
    }

    /// The other way; `None`: no blocks have this size, or a checksum of one is wrong.
    fn arrived(&self, wire: &[u8]) -> Option<Vec<u8>> {
        let plain = |wire: &[u8]| {
            if self.0["data_transform"].is_object() {
                changed(&self.0["data_transform"], wire, true)
            } else {
                wire.to_vec()
            }
        };
        let Some((many, how)) = self.blocks() else { return Some(plain(wire)) };
        let size = how["length"].as_u64().unwrap_or(block_size(&how)) as usize;
        let field = json!({"length": size, "endian": how["endian"]});
        let mut out = vec![];
        for block in wire.chunks(many + size) {
            let (data, sum) = block.split_at(block.len().checked_sub(size).filter(|len| *len > 0)?);
            let data = plain(data);
            if Self::sum(&how, &field, &data) != sum {
                return None;
            }
            out.extend(data);
        }
        Some(out)
    }

    /// What each checksum of a frame has to be: the part's number and the bytes. `wire`: the data frame as it travels.
    fn seals(&self, parts: &[(Value, Two)], left: usize, data: &Two) -> Vec<(usize, Vec<u8>)> {
        let mut parts = parts.to_vec();
        let mut sums: Vec<Value> = self.sums().into_iter().filter(|sum| sum["blocks"].is_null()).collect();
        let at =
            |parts: &[(Value, Two)], wanted: &str| parts.iter().position(|(field, _)| field["name"] == wanted).unwrap();
        // One in the header is covered by one behind it.
        sums.sort_by_key(|sum| at(&parts, sum["field"].as_str().unwrap()));
        let mut out = vec![];
        for how in sums {
            let own = at(&parts, how["field"].as_str().unwrap());
            let over = |two: &Two| if how["over"] == "wire" { two.wire.clone() } else { two.raw.clone() };
            let mut names: Vec<(String, Vec<u8>)> = vec![];
            for (number, (field, two)) in parts.iter().enumerate() {
                if number == left {
                    names.push(("data_frame".into(), over(data)));
                }
                let bytes = match how["self"].as_str() {
                    Some("skip") if number == own => vec![],
                    _ if number == own => vec![0; two.raw.len()],
                    _ => over(two),
                };
                names.push((name(field), bytes));
            }
            if parts.len() == left {
                names.push(("data_frame".into(), over(data)));
            }
            let place = |wanted: &str| names.iter().position(|(name, _)| name == wanted).unwrap();
            let from = how["from"].as_str().map_or(usize::from(is_start(&parts[0].0)), place);
            let to = how["to"].as_str().map_or_else(|| place(how["field"].as_str().unwrap()).wrapping_sub(1), place);
            let covered: Vec<u8> = names[from..=to].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let bytes = Self::sum(&how, &parts[own].0, &covered);
            parts[own].1 = Two::of(&parts[own].0, bytes.clone());
            out.push((own, bytes));
        }
        out
    }

    fn length(field: &Value, data: &Two) -> Option<Vec<u8>> {
        let add = field["add"].as_i64().unwrap_or(0);
        fields::computed(field, data.raw.len() as i128 + i128::from(add))
    }

    /// A whole frame, in its envelope: header and tail as `outside` says, constants, lengths and checksums computed.
    pub fn build(&self, outside: &dyn Fn(&Value) -> Vec<u8>, data: &Two) -> Option<Vec<u8>> {
        let (left, tail) = (self.left(), self.tail());
        let all: Vec<Value> = left.iter().chain(&tail).cloned().collect();
        let mut parts = vec![];
        for (number, field) in all.iter().enumerate() {
            let is_mark = (number == 0 && is_start(field)) || (number + 1 == all.len() && field.get("value").is_some());
            let raw = if is_mark {
                blank(field)
            } else if field.get("of").is_some() || field["type"] == "length" {
                Self::length(field, data)?
            } else {
                outside(field)
            };
            parts.push((field.clone(), Two::of(field, raw)));
        }
        let travelling = Two { raw: data.raw.clone(), wire: self.travel(data) };
        for (at, bytes) in self.seals(&parts, left.len(), &travelling) {
            parts[at].1 = Two::of(&parts[at].0, bytes);
        }
        let mut plain: Vec<Vec<u8>> = parts.iter().map(|(_, two)| two.wire.clone()).collect();
        plain.insert(left.len(), travelling.wire);
        let ends = |field: Option<&Value>| field.and_then(|field| field["length"].as_u64()).unwrap_or(0) as usize;
        Some(self.enveloped(&plain.concat(), ends(left.first()), ends(tail.last())))
    }

    /// Everything between the marks, escaped.
    fn enveloped(&self, frame: &[u8], start: usize, end: usize) -> Vec<u8> {
        let envelope = &self.0["envelope"];
        let mut out = unhex(envelope["preamble"].as_str().unwrap_or_default()).unwrap();
        let Some(escapes) = envelope["escape"].as_object() else { return [out, frame.to_vec()].concat() };
        let marks = (
            unhex(envelope["start"].as_str().unwrap()).unwrap().len(),
            unhex(envelope["end"].as_str().unwrap()).unwrap().len(),
        );
        assert!(marks == (start, end) && frame.len() >= start + end);
        out.extend(&frame[..start]);
        for byte in &frame[start..frame.len() - end] {
            match escapes.get(&hex(&[*byte])) {
                Some(escape) => out.extend(unhex(escape.as_str().unwrap()).unwrap()),
                None => out.push(*byte),
            }
        }
        out.extend(&frame[frame.len() - end..]);
        out
    }

    /// A frame without its envelope's escapes and preamble.
    pub fn plain(&self, wire: &[u8]) -> Result<Vec<u8>, No> {
        let envelope = &self.0["envelope"];
        let preamble = unhex(envelope["preamble"].as_str().unwrap_or_default()).unwrap();
        let wire = wire.strip_prefix(&preamble[..]).unwrap_or(wire);
        let Some(escapes) = envelope["escape"].as_object() else { return Ok(wire.to_vec()) };
        let mark = |key: &str| unhex(envelope[key].as_str().unwrap()).unwrap();
        let (start, end) = (mark("start"), mark("end"));
        let inside = wire.strip_prefix(&start[..]).and_then(|rest| rest.strip_suffix(&end[..])).ok_or(No::Open)?;
        let (mut out, mut rest) = (start.clone(), inside);
        while let Some(byte) = rest.first() {
            let escape = escapes.iter().find(|(_, escape)| rest.starts_with(&unhex(escape.as_str().unwrap()).unwrap()));
            if let Some((plain, escape)) = escape {
                out.extend(unhex(plain).unwrap());
                rest = &rest[escape.as_str().unwrap().len() / 2..];
            } else if escapes.keys().any(|key| key.starts_with(&hex(&[*byte]))) {
                // A mark or half an escape inside.
                return Err(No::Open);
            } else {
                out.push(*byte);
                rest = &rest[1..];
            }
        }
        out.extend(end);
        Ok(out)
    }

    /// A right request: its parts, its command and its values.
    pub fn request(&self, wire: &[u8]) -> Result<(Parts, &'a Value, Value), No> {
        let frame = self.plain(wire)?;
        let (left, tail) = (self.left(), self.tail());
        // From the first one of variable size on, the header's fields are at the beginning of what varies.
        let fixed = left.iter().position(|field| !field["length"].is_number()).unwrap_or(left.len());
        let (before, behind) = (left[..fixed].iter().map(size).sum::<usize>(), tail.iter().map(size).sum::<usize>());
        let data = frame.len().checked_sub(before + behind).ok_or(No::Wrong)?;
        let mut at = 0;
        let mut outside = vec![];
        for (number, field) in left[..fixed].iter().chain(&tail).enumerate() {
            at += if number == fixed { data } else { 0 };
            let wire = frame[at..at + size(field)].to_vec();
            at += size(field);
            let raw =
                if field["transform"].is_object() { changed(&field["transform"], &wire, true) } else { wire.clone() };
            outside.push((field.clone(), Two { raw, wire }));
        }
        let travelling = frame[before..before + data].to_vec();
        let arrived = self.arrived(&travelling).ok_or(No::Wrong)?;
        let mut read = Read::new(&arrived);
        for (number, field) in left.iter().enumerate().skip(fixed) {
            let (from, known) = (read.at, vec![pairs(&outside)]);
            read.plain(field, 0, arrived.len(), &known).ok_or(No::Wrong)?;
            let raw = arrived[from..read.at].to_vec();
            outside.insert(number, (field.clone(), Two { raw: raw.clone(), wire: raw }));
        }
        let varying = std::mem::take(&mut read.raw).len();
        // The key is in the header.
        let key = &outside.iter().find(|(field, _)| field["name"] == "cmd").unwrap().1.raw;
        let command = list(self.0, "data_frame")
            .iter()
            .find(|c| c["data_frame_type"] == hex(key) && c["direction"] != "up")
            .ok_or(No::Wrong)?;
        let mut known: Seen = vec![pairs(&outside)];
        let values = read.fields(list(command, "req_data_list"), arrived.len(), &mut known).ok_or(No::Wrong)?;
        read.rest();
        let data = Two { raw: read.raw, wire: travelling[varying..].to_vec() };
        for (number, (field, two)) in outside.iter().enumerate() {
            let is_end = number + 1 == outside.len() && number >= left.len() && field.get("value").is_some();
            let is_constant = (number == 0 && is_start(field)) || is_end || field["match"] == true;
            if is_constant && two.raw != blank(field) {
                return Err(No::Wrong);
            }
            let is_length = field.get("of").is_some() || field["type"] == "length";
            if is_length && !Self::length(field, &data).is_some_and(|right| fields::same(field, &right, &two.raw)) {
                return Err(No::Wrong);
            }
        }
        for (at, bytes) in self.seals(&outside, left.len(), &data) {
            if !fields::same(&typed(&outside[at].0), &bytes, &outside[at].1.raw) {
                return Err(No::Wrong);
            }
        }
        Ok((Parts { outside, data }, command, values))
    }
}

/// Fields with their plain bytes.
fn pairs(parts: &[(Value, Two)]) -> Vec<(Value, Vec<u8>)> {
    parts.iter().map(|(field, two)| (field.clone(), two.raw.clone())).collect()
}

fn typed(field: &Value) -> Value {
    let mut field = field.clone();
    field["type"] = json!(field["type"].as_str().unwrap_or("hex"));
    field
}

fn block_size(how: &Value) -> u64 {
    match how["algorithm"].as_str() {
        Some("crc16" | "crc:CRC-16/XMODEM") => 2,
        Some("sum" | "xor" | "lrc") => 1,
        _ => how["algorithm"]["width"].as_u64().unwrap().div_ceil(8),
    }
}

fn size(field: &Value) -> usize {
    field["length"].as_u64().unwrap() as usize
}

/// The first field is the start if it has a value.
fn is_start(field: &Value) -> bool {
    field.get("value").is_some()
}

/// A CRC by its parameters, bit by bit.
fn crc(how: &Value, bytes: &[u8]) -> u64 {
    let width = how["width"].as_u64().unwrap();
    let number = |key: &str| how[key].as_str().map_or(0, |digits| u64::from_str_radix(digits, 16).unwrap());
    let refin = how["refin"] == true;
    let refout = how["refout"].as_bool().unwrap_or(refin);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let mut register = number("init");
    for byte in bytes {
        if how["shift"] == "high" {
            // HJ 212: the register moves on by a byte, and the byte comes to where the eight steps then begin.
            register =
                (register << 8 & mask) ^ (0..8).fold(0, |out, at| out | u64::from(byte >> at & 1) << (width - 1 - at));
            for _ in 0..8 {
                let top = register >> (width - 1) & 1;
                register = (register << 1 & mask) ^ (top * number("poly"));
            }
            continue;
        }
        for at in 0..8 {
            let bit = u64::from(if refin { byte >> at & 1 } else { byte >> (7 - at) & 1 });
            let top = register >> (width - 1) & 1;
            register = register << 1 & mask;
            if bit != top {
                register ^= number("poly");
            }
        }
    }
    let out = if refout { (0..width).fold(0, |out, at| out << 1 | (register >> at & 1)) } else { register };
    out ^ number("xorout")
}
