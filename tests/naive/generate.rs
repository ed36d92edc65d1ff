//! Random templates and requests.

use super::clock::Clock;
use super::fields::{self, kind, name, size, sizes};
use super::frame::{Protocol, Verify, key_parts, key_text, wire};
use super::tape::Tape;
use serde_json::{Map, Value, json};

/// Everything that one property case needs.
#[derive(Clone, Debug)]
pub struct Case {
    pub template: Value,
    /// Rule files by name, in the order in which they are looked at.
    pub files: Vec<(String, Value)>,
    pub verify: Verify,
    pub now: Clock,
    pub fsuid: &'static str,
    pub requests: Vec<Request>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub wire: Vec<u8>,
    /// Nothing was done to it: the command it was made for, and the values it carries.
    pub good: Option<(usize, Map<String, Value>)>,
}

/// A header field that no other part of the template uses.
pub const PLAIN: [&str; 3] = ["addr", "rtn", "aux"];

pub fn data_field(t: &mut Tape, name: &str) -> Value {
    let kind = t.one(&[
        "hex",
        "uint",
        "str",
        "bcd",
        "int",
        "int_le",
        "int_be",
        "ascii",
        "bit",
        "f32",
        "f64",
        "dec",
        "hexdigits",
        "sbcd",
    ]);
    let length = match kind {
        "f32" => 4,
        "f64" => 8,
        "bit" => 1 + t.pick(2),
        "str" | "ascii" => t.one(&[4, 1, 12, 24]),
        "hex" => t.one(&[1, 2, 3, 4, 7, 8, 20]),
        _ => t.one(&[1, 2, 4, 3, 8, 6]),
    };
    let mut field = json!({"name": name, "length": length, "type": kind});
    if kind == "bit" && length == 1 && t.chance(50) {
        field["bits"] = json!({"low": [0, 2], "mid": [3, 6], "one": [7, 7]});
    } else if !["str", "ascii", "int_le", "int_be", "bit", "dec", "hexdigits"].contains(&kind) && t.chance(40) {
        field["endian"] = json!("little");
    }
    field
}

/// A value that fits the field, often one of a few, so that `when` is met.
pub fn value(t: &mut Tape, field: &Value) -> Value {
    let size = size(field);
    let few = t.chance(40);
    match kind(field) {
        "hex" => {
            let length = if few {
                1
            } else if t.chance(30) {
                1 + t.pick(size)
            } else {
                size
            };
            let digits = if few { format!("0{}", t.pick(3)) } else { t.hex(length) };
            match t.pick(8) {
                1 => json!(format!("0x{digits}")),
                2 => json!(digits.to_lowercase()),
                3 => json!(
                    digits.as_bytes().chunks(2).map(|c| std::str::from_utf8(c).unwrap()).collect::<Vec<_>>().join(" ")
                ),
                4 if digits.len() > 1 => json!(digits[1..]),
                _ => json!(digits),
            }
        }
        "uint" if few => json!(t.pick(3)),
        "uint" => {
            let bytes: Vec<u8> = (0..size).map(|_| t.byte()).collect();
            let number = fields::unsigned(&bytes) as u64;
            match t.pick(4) {
                1 => json!(format!("0x{number:X}")),
                2 => json!(number.to_string()),
                _ => json!(number),
            }
        }
        "int" if few => json!(-(t.pick(3) as i64)),
        "int" => {
            let limit = 1i128 << (8 * size - 1);
            let bytes: Vec<u8> = (0..size).map(|_| t.byte()).collect();
            let number = (fields::unsigned(&bytes) - limit) as i64;
            if t.chance(30) { json!(number.to_string()) } else { json!(number) }
        }
        "dec" if few => json!(t.pick(10)),
        "dec" => {
            let length = 1 + t.pick(size);
            json!(t.digits(length))
        }
        "hexdigits" if few => json!(t.pick(10)),
        "hexdigits" => {
            let digits = t.hex(size.div_ceil(2))[..size].to_owned();
            if t.chance(30) { json!(digits.to_lowercase()) } else { json!(digits) }
        }
        "sbcd" if few => json!(-(t.pick(10) as i64)),
        "sbcd" => {
            let digits: i64 = t.digits(2 * size - 1).parse().unwrap();
            json!(if t.chance(50) { -digits } else { digits })
        }
        "bcd" if few => json!(t.pick(10).to_string()),
        "bcd" => {
            let length = if t.chance(30) { 1 + t.pick(2 * size) } else { 2 * size };
            json!(t.digits(length))
        }
        "str" => {
            let length = if t.chance(50) { 1 + t.pick(size) } else { size };
            json!(t.text(length))
        }
        "bit" if field.get("bits").is_some() => json!({"low": t.pick(8), "mid": t.pick(16), "one": t.pick(2)}),
        "bit" => json!((0..8 * size).map(|_| t.pick(2)).collect::<Vec<_>>()),
        _ => json!(t.one(&[0.0, 1.5, -2.25, 100.0, 0.1])),
    }
}

fn spelled(t: &mut Tape, name: &str) -> String {
    match t.pick(3) {
        0 => name.to_owned(),
        1 => format!("{{pdu_left}}_{name}"),
        _ => format!("{{pdu_left}}.{{{name}}}"),
    }
}

/// The header field again, as a request or reply list names it.
fn alias(t: &mut Tape, field: &Value) -> Value {
    let mut out = field.clone();
    let area = if name(field) == "trail" { "{pdu_tailer}" } else { "{pdu_left}" };
    let (open, close) = t.one(&[("_", ""), (".", ""), ("_{", "}"), (".{", "}")]);
    out["name"] = json!(format!("{area}{open}{}{close}", name(field)));
    out.as_object_mut().unwrap().remove("value");
    out.as_object_mut().unwrap().remove("match");
    out
}

/// A field that holds the command's data_frame_length.
fn counted(t: &mut Tape, name: &str) -> Value {
    let value = t.one(&["{{data_frame_length}}", "{{ data_frame_length }}"]);
    let (kind, length) = t.one(&[("uint", 2), ("hex", 2), ("bcd", 2), ("int", 2), ("dec", 4), ("hexdigits", 4)]);
    json!({"name": name, "length": length, "type": kind, "value": value})
}

fn header(t: &mut Tape, ascii: bool, keys: &[String]) -> Vec<Value> {
    let mut out = vec![];
    for plain in PLAIN {
        if t.chance(50) {
            let mut field = json!({"name": plain, "length": 1 + t.pick(2), "type": t.one(&["hex", "uint"])});
            if t.chance(30) {
                field["endian"] = json!("little");
            }
            if t.chance(15) {
                // What clients send; a reply has the request's.
                let values: &[&str] = if size(&field) == 1 { &["${hour}$", "${week(0)}"] } else { &["${year(yyyy)}$"] };
                field["value"] = json!(t.one(values));
            }
            out.push(field);
        }
    }
    if t.chance(30) {
        out.push(json!({"name": "ver", "length": 1, "type": "hex", "value": "10", "match": true}));
    }
    for key in keys {
        let length = t.one(&[1, 2]);
        let at = t.pick(out.len() + 1);
        out.insert(at, json!({"name": key, "length": length, "type": t.one(&["hex", "uint"]), "endian": t.one(&["big", "little"])}));
    }
    let at = out.len() - t.pick(out.len() + 1);
    let endian = t.one(&["big", "little"]);
    match t.pick(6) {
        1 if t.chance(20) => out.insert(at, json!({"name": "length", "length": 4 + t.pick(2), "type": t.one(&["dec", "hexdigits"]), "value": "{{data_frame_length}}"})),
        1 if t.chance(30) => out.insert(at, json!({"name": "length", "length": 2 + t.pick(2), "type": "bcd", "endian": endian, "value": "{{data_frame_length}}"})),
        1 => out.insert(at, json!({"name": "length", "length": 1 + t.pick(3), "type": t.one(&["uint", "hex"]), "endian": endian, "value": "{{data_frame_length}}"})),
        2 | 3 => {
            let mut of = vec!["data_frame".to_owned()];
            if t.chance(30) {
                of.extend(out.iter().map(name).take(1));
            }
            let mut field = json!({"name": "length", "length": 2 + t.pick(3), "type": "length", "endian": endian, "of": of});
            if t.chance(50) {
                field["unit"] = json!(t.one(&["bytes", "chars"]));
            }
            if t.chance(30) {
                field["add"] = json!(t.pick(5));
            }
            out.insert(at, field);
        }
        4 => {
            let unit = if ascii { "chars" } else { "bytes" };
            out.insert(at, json!({"name": "length", "length": 2, "type": "length", "endian": endian, "of": ["data_frame"], "unit": unit, "check": "lchksum"}));
        }
        _ => {}
    }
    let start = t.one(&["7E", "68", "FA55FA55"]);
    out.insert(0, json!({"name": "start", "length": start.len() / 2, "type": "hex", "value": start}));
    out
}

/// The checksum's field, and its description's key and value.
fn checksum(t: &mut Tape, protocol: &mut Map<String, Value>, ascii: bool) {
    if t.chance(15) {
        return;
    }
    let (algorithm, length) = t.one(&[
        ("sum", 1),
        ("sum", 2),
        ("sum", 4),
        ("xor", 1),
        ("sum_xor", 1),
        ("crc16", 2),
        ("crc:CRC-16/MODBUS", 2),
        ("crc:CRC-16/XMODEM", 2),
        ("crc:CRC-16/IBM-3740", 2),
        ("crc:CRC-16/KERMIT", 2),
        ("crc:CRC-16/IBM-SDLC", 2),
        ("crc:CRC-8/SMBUS", 1),
        ("crc:CRC-8/MAXIM-DOW", 1),
        ("crc:CRC-32/ISO-HDLC", 4),
        ("crc:CRC-32/BZIP2", 4),
        ("crc:CRC-64/ECMA-182", 8),
    ]);
    let field_name = t.one(&["checksum", "check", "cs"]);
    let mut field = json!({"name": field_name, "length": length, "type": t.one(&["hex", "uint"]), "endian": t.one(&["big", "little"])});
    // In decimal digits it needs more of them, and has to have an end.
    let digits = |bits: usize| ((1_u128 << bits) - 1).to_string().len().div_ceil(2);
    let in_digits = match algorithm {
        "sum" => 4,
        "xor" | "sum_xor" => 2,
        _ => digits(8 * length),
    };
    let is_bcd = in_digits <= 8 && t.chance(15);
    if is_bcd {
        (field["type"], field["length"]) = (json!("bcd"), json!(in_digits));
    }
    // In characters: hex digits hold all of a checksum of up to 32 bits, and cut a sum.
    let in_dec = if algorithm == "sum" { 7 } else { ((1_u128 << (8 * length.min(8))) - 1).to_string().len() };
    let is_dec = !is_bcd && in_dec <= 8 && t.chance(10);
    let is_hex = !is_bcd && !is_dec && length <= 4 && t.chance(10);
    if is_dec || is_hex {
        field.as_object_mut().unwrap().remove("endian");
        (field["type"], field["length"]) =
            if is_dec { (json!("dec"), json!(in_dec)) } else { (json!("hexdigits"), json!(2 * length)) };
    }
    let is_bcd = is_bcd || is_dec;
    let length = size(&field);
    let left: Vec<String> = protocol["pdu_left"].as_array().unwrap().iter().map(name).collect();
    let tail: Vec<String> = protocol["pdu_tailer"].as_array().unwrap().iter().map(name).collect();
    if field_name != "cs" && t.chance(20) {
        let end = length + protocol["pdu_tailer"].as_array().unwrap().last().map_or(0, size);
        let tail = protocol["pdu_tailer"].as_array_mut().unwrap();
        let at = tail.len() - usize::from(tail.last().is_some_and(|f| name(f) == "end"));
        tail.insert(at, field);
        let start = t.pick(2);
        // Up to itself, or over some of itself or all, where bytes follow.
        let over = if t.chance(40) { 1 + t.pick(length) } else { 0 };
        let end = if over < end { end - over } else { end };
        protocol
            .insert("checksum_config".into(), json!({"algorithm": algorithm, "start": start, "end": -(end as i64)}));
        return;
    }
    let mut how = json!({"algorithm": algorithm});
    if field_name == "cs" || t.chance(50) {
        how["field"] = json!(field_name);
    }
    if t.chance(40) && !(is_bcd && algorithm == "sum") {
        how["complement"] = json!(t.one(&["none", "ones", "twos"]));
    }
    if t.chance(if ascii { 50 } else { 10 }) {
        how["over"] = json!(t.one(&["raw", "wire"]));
    }
    if !tail.is_empty() && how.get("over").is_none() && t.chance(8) {
        // In the header, over the whole frame but its last byte, and itself as 00.
        how["field"] = json!(field_name);
        (how["start"], how["end"]) = (json!(t.pick(2)), json!(-1));
        let header = protocol["pdu_left"].as_array_mut().unwrap();
        let at = 1 + t.pick(header.len());
        header.insert(at, field);
        protocol.insert("checksum_config".into(), how);
        return;
    }
    if left.len() > 2 && t.chance(10) {
        // In the header, over what precedes it.
        how["field"] = json!(field_name);
        how["from"] = json!(left[t.pick(2)]);
        how["to"] = json!(left[left.len() - 1]);
        protocol["pdu_left"].as_array_mut().unwrap().push(field);
    } else {
        let before = tail.len() - usize::from(tail.last().is_some_and(|n| n == "end"));
        protocol["pdu_tailer"].as_array_mut().unwrap().insert(before, field);
        if t.chance(60) {
            let covered: Vec<String> =
                left.into_iter().chain(["data_frame".into()]).chain(tail[..before].iter().cloned()).collect();
            let from = t.pick(covered.len());
            how["from"] = json!(covered[from]);
            how["to"] = json!(covered[covered.len() - 1 - t.pick(covered.len() - from)]);
        }
    }
    protocol.insert("checksum".into(), how);
}

/// A template that a check passes.
pub fn template(t: &mut Tape) -> Value {
    let ascii = t.chance(35);
    let mut protocol = Map::new();
    if ascii {
        protocol.insert("encoding".into(), json!("ascii_hex"));
    }
    let key_names: Vec<(String, &str)> = match t.pick(7) {
        0 | 1 => vec![("cmd".into(), "left")],
        2 => vec![("cmd".into(), "left"), ("sub".into(), "left")],
        3 => vec![("cmd".into(), "left"), ("group".into(), "data")],
        4 => vec![("cmd".into(), "left"), ("group".into(), "data"), ("type".into(), "data")],
        5 => vec![("group".into(), "data")],
        _ => vec![("group".into(), "data"), ("kind".into(), "tail")],
    };
    let of = |place: &str| -> Vec<String> { key_names.iter().filter(|k| k.1 == place).map(|k| k.0.clone()).collect() };
    protocol.insert("pdu_left".into(), header(t, ascii, &of("left")).into());
    let mut tail = vec![];
    if t.chance(15) {
        tail.push(json!({"name": "trail", "length": 1, "type": "hex"}));
    }
    if t.chance(10) {
        let kind = t.one(&["uint", "hex"]);
        tail.push(json!({"name": "count", "length": 2, "type": kind, "value": "{{data_frame_length}}"}));
    }
    for key in of("tail") {
        tail.push(json!({"name": key, "length": 1, "type": "hex"}));
    }
    if ascii || !t.chance(10) {
        let end = t.one(&["0D", "FD22", "AA"]);
        tail.push(json!({"name": "end", "length": end.len() / 2, "type": "hex", "value": end}));
    }
    protocol.insert("pdu_tailer".into(), tail.into());
    checksum(t, &mut protocol, ascii);

    let names: Vec<&str> = key_names.iter().map(|k| k.0.as_str()).collect();
    let flag = match t.pick(3) {
        1 => json!(names),
        2 => json!(names.iter().map(|n| format!("{{{n}}}")).collect::<Vec<_>>().join("_")),
        _ if names.len() == 1 => json!(names[0]),
        _ => json!(names.iter().map(|n| format!("{{{n}}}")).collect::<String>()),
    };
    protocol.insert("data_frame_type_flag".into(), flag);
    let outside: Vec<Value> =
        [&protocol["pdu_left"], &protocol["pdu_tailer"]].iter().flat_map(|l| l.as_array().unwrap().clone()).collect();
    let fixed = t.chance(30);
    let mut commands = commands(t, &key_names, &outside, fixed);

    let plain: Vec<&Value> = outside.iter().filter(|f| PLAIN.contains(&name(f).as_str())).collect();
    let refused = plain.iter().find(|f| name(f) == "rtn").filter(|_| t.chance(50));
    if let Some(field) = refused {
        let field = json!({"name": "rtn", "length": size(field), "type": field["type"].clone(), "endian": field["endian"].clone()});
        let ok: Vec<Value> =
            (0..1 + t.pick(2)).map(|i| if kind(&field) == "hex" { json!(format!("0{i}")) } else { json!(i) }).collect();
        protocol.insert("refusal".into(), json!({"field": spelled(t, "rtn"), "ok": ok}));
    }
    if t.chance(40) && !plain.is_empty() {
        let mut errors = Map::new();
        for reason in ["bad_length_checksum", "bad_length", "bad_checksum", "bad_version", "unknown_command"] {
            if t.chance(60) {
                let field = plain[t.pick(plain.len())];
                let mut named = spelled(t, &name(field));
                let set = value(t, field);
                let mut data = json!({});
                let mut error = json!({});
                if refused.is_none() && t.chance(30) {
                    error["resp_data_list"] = json!([{"name": "code", "length": 1, "type": "uint", "value": 7}, {"name": "why", "length": 2, "type": "hex"}]);
                    if t.chance(50) {
                        data["code"] = json!(t.pick(200));
                    }
                    if t.chance(30) {
                        // The same name in the data frame: the header's is spelled out.
                        error["resp_data_list"][1]["name"] = json!(name(field));
                        named = format!("{{pdu_left}}_{}", name(field));
                    }
                    if t.chance(20) {
                        error["resp_data_list"].as_array_mut().unwrap().push(counted(t, "n0"));
                    }
                }
                data[&named] = set;
                error["data"] = data;
                errors.insert(reason.into(), error);
            }
        }
        protocol.insert("errors".into(), errors.into());
    }

    let around = outside.iter().map(size).sum::<usize>();
    if fixed {
        let probe = json!(protocol.clone());
        let p = Protocol(&probe);
        let lists = commands.iter().flat_map(|c| [&c["req_data_list"], &c["resp_data_list"]]);
        let room = lists.map(|l| l.as_array().map_or(0, |l| p.room(l))).max();
        let errors = if protocol.contains_key("errors") { 5 } else { 0 };
        // A checksum over the data frame alone needs one: a frame that never has data is refused then.
        let summed = protocol.get("checksum").filter(|how| how["from"] == "data_frame" && how["to"] == "data_frame");
        let data = room.unwrap_or(0).max(errors).max(usize::from(summed.is_some()));
        protocol.insert("dynamic_length".into(), json!(false));
        let data = data + t.pick(4);
        protocol.insert("total_length".into(), json!(around + data));
        for command in &mut commands {
            if t.chance(25) {
                // Another number than the frame has is a warning, and is written.
                let number = t.one(&[data, data + 1, data + 2, 3]);
                command["data_frame_length"] = json!(number.min(255));
            }
        }
    } else {
        protocol.insert("dynamic_length".into(), json!(true));
        let probe = json!(protocol.clone());
        let p = Protocol(&probe);
        let carrier = p.left().iter().position(fields::is_number);
        let after = carrier.map_or(0, |at| sizes(&p.left()[at + 1..]));
        let shared = |i: usize, all: &[Value]| {
            all.iter().filter(|c| key_text(&c["data_frame_type"]) == key_text(&all[i]["data_frame_type"])).count() > 1
        };
        for i in 0..commands.len() {
            let room = p.room(commands[i]["resp_data_list"].as_array().unwrap());
            if !shared(i, &commands) && t.chance(40) {
                let padded = t.pick(after + 4);
                commands[i]["data_frame_length"] = json!(room + t.one(&[0, after, padded]));
            }
        }
    }
    protocol.insert("data_frame".into(), commands.into());
    json!({"vendor": "demo", "rule_file_list": [], "protocol": protocol})
}

fn commands(t: &mut Tape, keys: &[(String, &str)], outside: &[Value], fixed: bool) -> Vec<Value> {
    let key_size = |n: &str| outside.iter().find(|f| name(f) == n).map_or(1, size);
    let plain: Vec<&Value> =
        outside.iter().filter(|f| PLAIN.contains(&name(f).as_str()) || name(f) == "trail").collect();
    let mut out: Vec<Value> = vec![];
    for i in 0..1 + t.pick(4) {
        let parts: Vec<String> =
            keys.iter().map(|(n, _)| format!("{:02X}{}", 0x11 * (i + 1), t.hex(key_size(n) - 1))).collect();
        let mut request: Vec<Value> = (0..t.pick(5)).map(|j| data_field(t, &format!("f{j}"))).collect();
        let moved = t.chance(15);
        for (at, (j, (key, _))) in keys.iter().enumerate().filter(|(_, k)| k.1 == "data").enumerate() {
            let field = json!({"name": key, "length": 1, "type": "hex", "value": parts[j]});
            let place = if moved && request.len() > at { at + 1 } else { at };
            request.insert(place, field);
        }
        if t.chance(10) {
            request.push(counted(t, "n0"));
        }
        if !plain.is_empty() && t.chance(20) {
            // A field of the data frame with the name of one outside it.
            let own = name(plain[t.pick(plain.len())]);
            if request.iter().all(|f| name(f) != own) {
                request.push(data_field(t, &own));
            }
        }
        let mut reply = vec![];
        for field in &plain {
            if t.chance(25) {
                let mut listed = alias(t, field);
                if t.chance(60) {
                    listed["value"] = value(t, field);
                }
                reply.push(listed);
            }
        }
        for field in &request {
            if t.chance(40) {
                reply.push(other_notation(t, field));
            }
        }
        for j in 0..t.pick(4) {
            let mut field = data_field(t, &format!("g{j}"));
            if t.chance(40) {
                field["value"] = value(t, &field);
            }
            reply.push(field);
        }
        if t.chance(10) {
            reply.push(counted(t, "n1"));
        }
        if !plain.is_empty() && t.chance(20) {
            let own = name(plain[t.pick(plain.len())]);
            if reply.iter().all(|f| fields::is_alias(f) || name(f) != own) {
                reply.push(data_field(t, &own));
            }
        }
        if reply.len() > 1 && t.chance(30) {
            reply.rotate_left(1);
        }
        let mut command = json!({"data_frame_type": if t.chance(30) { json!(parts) } else { json!(parts.join("_")) }});
        if !plain.is_empty() && t.chance(15) {
            let field = plain[t.pick(plain.len())];
            let listed = alias(t, field);
            request.insert(t.pick(request.len() + 1), listed);
        }
        if keys.iter().any(|k| k.1 == "data") || !t.chance(15) {
            command["req_data_list"] = request.clone().into();
        }
        command["resp_data_list"] = reply.clone().into();
        if t.chance(40) {
            command["align"] = json!(t.one(&["left", "right"]));
        }
        if t.chance(40) {
            command["padding"] = json!(t.one(&["00", "20", "FF", "2a"]));
        }
        if command.get("req_data_list").is_some() && t.chance(25) {
            // A second entry of the same key: another size, another selector, or both.
            let mut twin = command.clone();
            if fixed || t.chance(50) {
                let at = t.pick(2) * request.len();
                for (entry, selector) in [(&mut command, "00"), (&mut twin, "01")] {
                    let list = entry["req_data_list"].as_array_mut().unwrap();
                    // Keys in the data frame stay where they are: the selector follows all fields, or is the first of none.
                    let at = if at == 0 && keys.iter().any(|k| k.1 == "data") { list.len() } else { at };
                    list.insert(
                        at,
                        json!({"name": "selector", "length": 1, "type": "hex", "value": selector, "match": true}),
                    );
                }
            }
            if !twin["req_data_list"].as_array().unwrap().iter().any(|f| f["match"] == true) || t.chance(50) {
                twin["req_data_list"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "more", "length": 1 + t.pick(3), "type": "hex"}));
            }
            if t.chance(50) {
                let field = data_field(t, "h0");
                twin["resp_data_list"].as_array_mut().unwrap().push(field);
            }
            out.push(command);
            out.push(twin);
        } else {
            out.push(command);
        }
    }
    out
}

/// The request field in a reply: the same, or read in another byte order, or another size.
fn other_notation(t: &mut Tape, field: &Value) -> Value {
    let mut out = field.clone();
    let object = out.as_object_mut().unwrap();
    if object.contains_key("match") || (object.contains_key("value") && t.chance(50)) {
        object.remove("value");
        object.remove("match");
    }
    match (t.pick(8), kind(field)) {
        (1, "hex" | "uint" | "bcd") => {
            let turned = if field["endian"] == "little" { "big" } else { "little" };
            out["endian"] = json!(turned);
        }
        (2, "uint") if size(field) < 8 => out["length"] = json!(size(field) + 1),
        (3, "bcd") => out["type"] = json!(t.one(&["hex", "uint"])),
        (3, "hex") if size(field) <= 8 => out["type"] = json!(t.one(&["bcd", "hex"])),
        (3, "uint") => out["type"] = json!(t.one(&["bcd", "hex", "int"])),
        (6, "hex") => out["type"] = json!("str"),
        (4, "str") => out["type"] = json!("ascii"),
        (5, "int") => out["type"] = json!(t.one(&["int_le", "int_be"])),
        _ => {}
    }
    if kind(&out) != kind(field) {
        // Its constant is written in another notation.
        out.as_object_mut().unwrap().remove("value");
        out.as_object_mut().unwrap().remove("match");
    }
    if out["type"] != field["type"] && kind(&out) == "int" {
        out.as_object_mut().unwrap().remove("endian");
    }
    out
}

/// A request for a random command, sometimes spoilt.
pub fn request(t: &mut Tape, protocol: &Value) -> Request {
    let p = Protocol(protocol);
    let at = t.pick(p.commands().len());
    let command = &p.commands()[at];
    let mut values = Map::new();
    let parts = key_parts(&p, command);
    let list = command["req_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    for field in p.left().iter().chain(p.tail()) {
        let own = name(field);
        if ["start", "end", "ver", "length", "count", "checksum", "check", "cs"].contains(&own.as_str()) {
            continue;
        }
        let chosen = parts.get(&own).cloned().unwrap_or_else(|| value(t, field));
        values.insert(p.spelled(field, list), chosen);
    }
    for (field, _) in p.placed(list) {
        if field.get("value").is_none() {
            values.insert(name(field), value(t, field));
        }
    }
    let extra: Vec<u8> = if t.chance(8) { (0..1 + t.pick(3)).map(|_| t.byte()).collect() } else { vec![] };
    let mut frame = p.request(command, &values, &extra).unwrap();
    let data_at = p.left().len();
    match t.pick(24) {
        1 => {
            if let Some(i) = p.checksum_at() {
                frame[i].raw[0] ^= 1;
                frame[i].wire = p.travel(i, &frame[i].raw);
            }
        }
        2 | 3 => {
            if let Some(i) = frame.iter().position(|s| s.name == "length") {
                let last = frame[i].raw.len() - 1;
                frame[i].raw[t.pick(last + 1)] ^= 1 << t.pick(8);
                frame[i].wire = p.travel(i, &frame[i].raw);
                p.seal(&mut frame);
            }
        }
        4 => {
            if let Some(i) = frame.iter().position(|s| s.name == "ver") {
                frame[i].raw[0] ^= 1;
                frame[i].wire = p.travel(i, &frame[i].raw);
                p.seal(&mut frame);
            }
        }
        5 => {
            // Lower-case characters are accepted; a checksum over them is of what was sent.
            for i in 1..frame.len() - 1 {
                frame[i].wire = if p.ascii() { frame[i].wire.to_ascii_lowercase() } else { frame[i].wire.clone() };
            }
            p.seal(&mut frame);
        }
        6 => {
            // One data byte less; lengths made right.
            let mut data = frame[data_at].raw.clone();
            data.pop();
            let kept = frame.clone();
            let outside = |field: &Value| kept.iter().find(|s| s.name == name(field)).unwrap().raw.clone();
            frame = p.build_of(Some(command), &outside, data).unwrap();
        }
        7 => {
            let i = t.pick(frame.len());
            if !frame[i].raw.is_empty() {
                let byte = t.pick(frame[i].raw.len());
                frame[i].raw[byte] ^= 1 << t.pick(8);
                frame[i].wire = p.travel(i, &frame[i].raw);
                p.seal(&mut frame);
            }
        }
        8 => {
            let mut bytes = wire(&frame);
            let byte = t.pick(bytes.len());
            bytes[byte] ^= 1 << t.pick(8);
            return Request { wire: bytes, good: None };
        }
        9 => {
            let mut bytes = wire(&frame);
            bytes.truncate(t.pick(bytes.len()));
            return Request { wire: bytes, good: None };
        }
        10 => {
            let mut bytes = wire(&frame);
            bytes.insert(t.pick(bytes.len()), t.byte());
            return Request { wire: bytes, good: None };
        }
        _ => {
            if extra.is_empty() {
                return Request { wire: wire(&frame), good: Some((at, values)) };
            }
        }
    }
    Request { wire: wire(&frame), good: None }
}
