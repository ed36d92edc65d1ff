//! A request to its reply: errors, commands, rules, values (templates.md, Reply values and Rules).

use super::clock::Clock;
use super::fields::{
    Fill, bare, blank, decode, encode, is_alias, is_number, kind, little, name, same, says_outside, size,
};
use super::frame::{Frame, Protocol, Verify, key_text, wire};
use super::text::{World, replaced};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Reply(Vec<u8>),
    /// A rule says `timeout`.
    Silent,
    Refused(&'static str),
}

type Values = Map<String, Value>;

/// What a device with that template and those rule files (in the order in which they are looked at) does with a request.
/// `world.now` is the time the request comes.
pub fn answer(protocol: &Value, files: &[Value], request: &[u8], verify: Verify, world: &mut World) -> Answer {
    answer_after(protocol, files, request, verify, world).0
}

/// The same, and the milliseconds after which a reply is due (fixed delays only).
pub fn answer_after(
    protocol: &Value,
    files: &[Value],
    request: &[u8],
    verify: Verify,
    world: &mut World,
) -> (Answer, i64) {
    let mut delay_ms = 0;
    let answer = answer_now(protocol, files, request, verify, world, &mut delay_ms);
    (answer, delay_ms)
}

fn answer_now(
    protocol: &Value,
    files: &[Value],
    request: &[u8],
    verify: Verify,
    world: &mut World,
    delay_ms: &mut i64,
) -> Answer {
    let p = Protocol(protocol);
    let frame = match p.cut(request) {
        Ok(frame) => frame,
        Err(reason) => return Answer::Refused(reason),
    };
    for fault in p.faults(&frame) {
        if fault != "bad_checksum" || verify == Verify::Strict {
            return error_reply(&p, &frame, fault, world);
        }
    }
    let Some(at) = p.command(&frame) else { return error_reply(&p, &frame, "unknown_command", world) };
    let command = &p.commands()[at];
    let Some((place, rule)) = files.iter().enumerate().find_map(|(i, file)| {
        let (entry, rule) = rule_of(&p, &frame, command, file)?;
        Some((format!("{i}/{}/{entry}", key_text(&command["data_frame_type"])), rule))
    }) else {
        return Answer::Refused("unmatched");
    };
    if rule["timeout"] == true {
        return Answer::Silent;
    }
    let asked = world.now;
    *delay_ms = rule["delay"]["fixed"].as_i64().unwrap_or(0);
    world.now = Clock::from_seconds(asked.seconds() + *delay_ms / 1000);
    let mut values = rule["data"].as_object().cloned().unwrap_or_default();
    if let Some(turns) = rule["cycle"].as_array() {
        let turn = world.cycles.entry(place).or_default();
        for (name, value) in turns[*turn % turns.len()].as_object().unwrap() {
            values.insert(name.clone(), value.clone());
        }
        *turn += 1;
    }
    if let Some(set) = rule["set"].as_object() {
        for (register, value) in set {
            let text = replaced(value.as_str().unwrap(), None, world, &|name| said(&p, &frame, Some(command), name));
            world.registers.insert(register.clone(), text);
        }
    }
    let list = command["resp_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    let reply = reply(&p, &frame, Some(command), list, &values, command, world);
    world.now = asked;
    finish(reply, world)
}

fn finish(reply: Option<Frame>, world: &mut World) -> Answer {
    match reply {
        Some(frame) => {
            world.replies += 1;
            Answer::Reply(wire(&frame))
        }
        None => Answer::Refused("value_misfit"),
    }
}

fn error_reply(p: &Protocol, frame: &Frame, reason: &'static str, world: &mut World) -> Answer {
    let Some(error) = p.0["errors"].get(reason) else { return Answer::Refused(reason) };
    let values = error["data"].as_object().cloned().unwrap_or_default();
    let list = error["resp_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    let reply = reply(p, frame, None, list, &values, error, world);
    finish(reply, world)
}

/// A request field in its JSON notation.
fn said<'a>(p: &Protocol<'a>, frame: &Frame, command: Option<&'a Value>, wanted: &str) -> Option<Value> {
    let (field, bytes) = p.request_field(frame, command, wanted)?;
    Some(decode(field, &bytes, command.map_or(Fill::NONE, Fill::of)))
}

/// The first entry of that command whose `when` fits, with its number.
pub(super) fn rule_of<'f>(p: &Protocol, frame: &Frame, command: &Value, file: &'f Value) -> Option<(usize, &'f Value)> {
    let own = key_text(&command["data_frame_type"]);
    let entry = file
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| !key.starts_with('_') && key_text(&Value::from(key.as_str())) == own)?
        .1;
    let entries = entry.as_array().map_or(std::slice::from_ref(entry), Vec::as_slice);
    entries.iter().enumerate().find(|(_, rule)| {
        rule["when"].as_object().is_none_or(|when| {
            when.iter().all(|(wanted, value)| match p.request_field(frame, Some(command), wanted) {
                Some((field, bytes)) => {
                    encode(field, value, fill_of(p, command, field)).is_some_and(|right| same(field, &right, &bytes))
                }
                None => false,
            })
        })
    })
}

/// `align` and `padding` are the data frame's; header fields have neither.
fn fill_of(p: &Protocol, command: &Value, field: &Value) -> Fill {
    let outside = p.left().iter().chain(p.tail()).any(|other| std::ptr::eq(other, field));
    if outside { Fill::NONE } else { Fill::of(command) }
}

/// The bytes of a value in a field. An empty register leaves the field's own value, else padding.
fn bytes_of(
    p: &Protocol,
    frame: &Frame,
    command: Option<&Value>,
    field: &Value,
    value: &Value,
    fill: Fill,
    world: &World,
) -> Option<Vec<u8>> {
    let Value::String(template) = value else { return encode(field, value, fill) };
    let whole = template.strip_prefix("#{").and_then(|t| t.strip_suffix("}#")).filter(|t| !t.contains("}#"));
    if let Some(wanted) = whole {
        let Some((asked, bytes)) = p.request_field(frame, command, wanted) else {
            // A field that only another entry of a shared key has: nothing is given.
            return own_or_padding(field, fill);
        };
        if kind(asked) == "str" && kind(field) == "str" && size(asked) == size(field) {
            // Also what is no text.
            return Some(bytes);
        }
        let said = said(p, frame, command, wanted).unwrap();
        // What is no digits has no value.
        if said == "" && matches!(kind(asked), "dec" | "hexdigits" | "sbcd") {
            return own_or_padding(field, fill);
        }
        return encode(field, &said, fill);
    }
    let text = replaced(template, Some(field), world, &|name| said(p, frame, command, name));
    if text.is_empty() && template.starts_with("${reg(") {
        return own_or_padding(field, fill);
    }
    encode(field, &Value::from(text), fill)
}

fn raw_of(frame: &Frame, name: &str) -> Option<Vec<u8>> {
    frame.iter().find(|segment| segment.name == name).map(|segment| segment.raw.clone())
}

/// `#{field}#` of a field that only another entry of a shared key has.
fn names_nothing(p: &Protocol, frame: &Frame, command: Option<&Value>, value: &Value) -> bool {
    let whole = value.as_str().and_then(|text| text.strip_prefix("#{")?.strip_suffix("}#"));
    whole.is_some_and(|wanted| !wanted.contains("}#") && p.request_field(frame, command, wanted).is_none())
}

fn own_or_padding(field: &Value, fill: Fill) -> Option<Vec<u8>> {
    match field.get("value") {
        Some(own) => encode(field, own, fill),
        None => Some(vec![blank(field, fill); size(field)]),
    }
}

pub(super) fn reply(
    p: &Protocol,
    frame: &Frame,
    command: Option<&Value>,
    list: &[Value],
    values: &Values,
    owner: &Value,
    world: &World,
) -> Option<Frame> {
    let fill = Fill::of(owner);
    let data_has = |wanted: &str| list.iter().any(|f| !is_alias(f) && name(f) == wanted);
    let ruled = |wanted: &str, outside: bool| {
        let is_it = |n: &str| bare(n) == wanted && outside == (says_outside(n) || !data_has(wanted));
        values.iter().find(|(n, _)| is_it(n)).map(|(_, v)| v)
    };
    let mut misfit = false;
    let mut outside = std::collections::HashMap::new();
    for field in p.left().iter().chain(p.tail()) {
        let own = name(field);
        let listed = list.iter().find(|f| is_alias(f) && name(f) == own).and_then(|f| f.get("value"));
        let bytes = match ruled(&own, true).or(listed) {
            // Nothing is given, so what a header field is without: the request's.
            Some(value) if names_nothing(p, frame, command, value) => raw_of(frame, &own),
            Some(value) => bytes_of(p, frame, command, field, value, Fill::NONE, world),
            None => raw_of(frame, &own),
        };
        misfit |= bytes.is_none();
        outside.insert(own, bytes.unwrap_or_default());
    }
    let mut data = vec![];
    for (field, _) in p.placed(list) {
        let request = command.and_then(|c| {
            let placed = p.placed(c["req_data_list"].as_array().map_or(&[], Vec::as_slice));
            let (asked, at) = placed.into_iter().find(|(f, _)| name(f) == name(field) && size(f) == size(field))?;
            let all = &frame[p.left().len()].raw;
            Some((asked, all.get(at..at + size(asked))?.to_vec()))
        });
        let whole = p.data_size(owner, p.room(list));
        let bytes = match (ruled(&name(field), false), request) {
            _ if is_number(field) => p.number_in(field, command, whole),
            (Some(value), _) => bytes_of(p, frame, command, field, value, fill, world),
            (None, Some((asked, bytes)))
                if kind(asked) == kind(field) && little(asked) == little(field) && kind(field) != "hexdigits" =>
            {
                Some(bytes)
            }
            (None, Some((asked, bytes))) => encode(field, &decode(asked, &bytes, fill), fill),
            (None, None) => match field.get("value") {
                Some(value) => encode(field, value, fill),
                None => Some(vec![blank(field, fill); size(field)]),
            },
        };
        misfit |= bytes.is_none();
        data.extend(bytes.unwrap_or_default());
    }
    if misfit {
        return None;
    }
    if let Some(refusal) = p.0.get("refusal") {
        let field = p.outside(&bare(refusal["field"].as_str().unwrap())).unwrap();
        let ok = refusal["ok"].as_array().unwrap();
        if !ok.iter().any(|v| encode(field, v, Fill::NONE).as_ref() == outside.get(&name(field))) {
            let size = if p.0["dynamic_length"] == true { 0 } else { p.data_size(owner, 0) };
            return p.build_of(command, &|field| outside[&name(field)].clone(), vec![fill.byte; size]);
        }
    }
    let size = if command.is_none() && list.is_empty() && p.0["dynamic_length"] == true {
        0
    } else {
        p.data_size(owner, data.len())
    };
    data.resize(size, fill.byte);
    p.build_of(command, &|field| outside[&name(field)].clone(), data)
}
