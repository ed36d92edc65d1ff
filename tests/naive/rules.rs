//! Random rule files for a template.

use super::clock::Clock;
use super::fields::{is_alias, is_number, kind, little, name, size};
use super::frame::{Protocol, Verify, key_text};
use super::generate::{Case, PLAIN, request, template, value};
use super::tape::Tape;
use serde_json::{Map, Value, json};

/// The id of every generated FSU: 8 bytes, "20250125".
pub const FSUID: &str = "3230323530313235";

/// What one rule may use once.
struct Once {
    random: bool,
    register: bool,
}

fn list<'a>(command: &'a Value, which: &str) -> &'a [Value] {
    command[which].as_array().map_or(&[], Vec::as_slice)
}

/// The command's request fields in the data frame, then the header's plain ones, each as a rule spells it.
fn askable<'a>(p: &Protocol<'a>, command: &'a Value) -> Vec<(&'a Value, String)> {
    let request = list(command, "req_data_list");
    let data = p.placed(request).into_iter().map(|(f, _)| (f, name(f)));
    let header = p.left().iter().filter(|f| PLAIN.contains(&name(f).as_str()));
    data.chain(header.map(|f| (f, p.spelled(f, request)))).collect()
}

/// Text with functions that fits the field, if there is one.
fn function(t: &mut Tape, p: &Protocol, command: &Value, field: &Value, once: &mut Once) -> Option<Value> {
    let size = size(field);
    let close = |t: &mut Tape| if t.chance(20) { "" } else { "$" };
    let two = |t: &mut Tape| {
        let call = t.one(&[
            "month()",
            "day()",
            "hour()",
            "minute()",
            "second()",
            "week()",
            "week(0)",
            "year()",
            "year(yy)",
            "year",
            " month ",
            "hour( HH )",
            "minute(\"mm\")",
            " second ( ss ) ",
            "year('YY')",
            "datetime(ss)",
        ]);
        format!("${{{call}}}{}", close(t))
    };
    if !once.random && t.chance(15) {
        let text = match kind(field) {
            "uint" | "int" | "bcd" => t.one(&["${rand(3,9)}$", "${rand(1,1)}$", "${choice(1,2,7)}$"]),
            "hex" => t.one(&["${choice(01,7F,A0)}$", "${choice( \"01\" , '7F',A0)}$"]),
            "str" => "${choice(a,b,c)}$",
            _ => return None,
        };
        once.random = true;
        return Some(json!(text));
    }
    Some(json!(match kind(field) {
        "hex" => match size {
            1 => two(t),
            2 if t.chance(50) => t.one(&["${packed_date()}$", "${packed_time()}$", "${packed_date()}"]).to_owned(),
            2 => t.one(&["${year(yyyy)}$", "${month()}$${day()}$", "${hour()}${minute()}"]).to_owned(),
            7 if t.chance(30) => "${datetime(yyyyMMddHHmmss)}$".to_owned(),
            7 => "${year()}$${month()}$${day()}$${week()}$${hour()}$${minute()}$${second()}$".to_owned(),
            8 => "${year(yyyy)}$AB${datetime(%m%d%H%M%S)}$".to_owned(),
            20 => "${fsuid()}$".to_owned(),
            3 => t.one(&["${datetime(%y%m%d)}$", "${datetime(yyMMdd)}", "${ datetime('HHmmss') }$"]).to_owned(),
            _ => "A${hour()}$".to_owned(),
        },
        "dec" if size >= 4 => t.one(&["${year(yyyy)}$", "${month()}$${day()}$", "${seq()}$", "9${hour()}$"]).to_owned(),
        "bcd" if size == 1 => two(t),
        "bcd" if size >= 6 => t.one(&["${datetime()}$", "${datetime}", "${packed_time}$", "${seq}$"]).to_owned(),
        "bcd" => t.one(&["${year(yyyy)}$", "${month()}$${day()}$", "${seq()}$", "9${hour()}$"]).to_owned(),
        "uint" | "int" if size == 1 => two(t),
        "uint" if size == 2 =>
            t.one(&["${year(yyyy)}$", "${packed_date()}$", "${packed_time()}$", "${seq()}$"]).to_owned(),
        "uint" | "int" => t.one(&["${year(yyyy)}$", "${seq()}$", "${datetime(%j)}$", "1${minute()}$"]).to_owned(),
        "str" if size >= 12 => {
            let texts =
                ["at ${hour()}$:${minute()}$", "${datetime(%Y-%m-%d)}$", "n${seq()}$.", "${year(yyyy)}$${month()}$"];
            let asked = askable(p, command).into_iter().find(|(f, _)| match kind(f) {
                "uint" => super::fields::size(f) <= 3,
                "hex" | "bcd" => super::fields::size(f) <= 4,
                _ => false,
            });
            match asked {
                Some((_, named)) if t.chance(50) => format!("<#{{{named}}}#>"),
                _ => t.one(&texts).to_owned(),
            }
        }
        "str" if size >= 2 => two(t),
        _ => return None,
    }))
}

/// A value for one reply field.
fn rule_value(t: &mut Tape, p: &Protocol, command: &Value, field: &Value, once: &mut Once) -> Value {
    let alike = |f: &Value| {
        let wider = kind(f) == "uint" && kind(field) == "uint" && size(f) <= size(field);
        let unpacked = kind(f) == "bcd" && kind(field) == "hex" && !little(field) && size(f) == size(field);
        kind(f) == kind(field) && size(f) == size(field) && f["bits"] == field["bits"] || wider || unpacked
    };
    match t.pick(5) {
        1 => {
            if let Some((asked, named)) = askable(p, command).into_iter().find(|(f, _)| alike(f)) {
                let outside = p.left().iter().any(|f| std::ptr::eq(f, asked));
                let spelled = if outside && t.chance(30) { format!("{{pdu_left}}_{}", name(asked)) } else { named };
                return json!(format!("#{{{spelled}}}#"));
            }
        }
        2 | 3 => {
            if let Some(text) = function(t, p, command, field, once) {
                return text;
            }
        }
        4 if !once.register && kind(field) == "uint" && !is_alias(field) => {
            return json!("${reg(last)}$");
        }
        _ => {}
    }
    value(t, field)
}

fn data(t: &mut Tape, p: &Protocol, command: &Value, once: &mut Once) -> Map<String, Value> {
    let mut out = Map::new();
    let reply = list(command, "resp_data_list");
    for field in reply.iter().filter(|f| !is_number(f)) {
        // Only what a header field is declared to be counts; the list's own copy says the same.
        if t.chance(50) {
            let named = if is_alias(field) && t.chance(50) {
                p.spelled(p.outside(&name(field)).unwrap(), reply)
            } else {
                field["name"].as_str().unwrap().to_owned()
            };
            let value = rule_value(t, p, command, field, once);
            out.insert(named, value);
        }
    }
    out
}

fn rule(t: &mut Tape, p: &Protocol, command: &Value, fallback: bool) -> Value {
    let mut out = Map::new();
    let mut once = Once { random: false, register: false };
    let asked = askable(p, command);
    if !fallback {
        if asked.is_empty() {
            return rule(t, p, command, true);
        }
        let (field, named) = asked[t.pick(asked.len())].clone();
        out.insert("when".into(), json!({named: value(t, field)}));
    }
    if t.chance(5) {
        out.insert("timeout".into(), json!(true));
        return out.into();
    }
    if t.chance(15) {
        if let Some((_, named)) = asked.iter().find(|(f, _)| kind(f) == "uint") {
            out.insert("set".into(), json!({"last": format!("#{{{named}}}#")}));
            once.register = true;
        }
    }
    if t.chance(15) {
        let turns: Vec<Value> = (0..2 + t.pick(2)).map(|_| data(t, p, command, &mut once).into()).collect();
        out.insert("cycle".into(), turns.into());
    } else {
        out.insert("data".into(), data(t, p, command, &mut once).into());
    }
    match t.pick(8) {
        1 => drop(out.insert("delay".into(), json!({"fixed": 1000 * t.pick(3600)}))),
        2 => drop(out.insert("delay_ms".into(), json!(0))),
        _ => {}
    }
    out.into()
}

pub(super) fn file(t: &mut Tape, p: &Protocol, has: usize) -> Value {
    let mut out = Map::new();
    for command in p.commands() {
        let key = match &command["data_frame_type"] {
            Value::String(key) if t.chance(70) => key.clone(),
            other => key_text(other),
        };
        if out.keys().any(|k| key_text(&json!(k)) == key_text(&json!(key))) || t.chance(100 - has) {
            continue;
        }
        let mut entries: Vec<Value> = (0..t.pick(3)).map(|_| rule(t, p, command, false)).collect();
        if entries.is_empty() || !t.chance(15) {
            entries.push(rule(t, p, command, true));
        }
        out.insert(key, if entries.len() == 1 { entries.remove(0) } else { entries.into() });
    }
    out.into()
}

/// A template, its rules, and requests to answer in turn.
pub fn case(numbers: Vec<u32>) -> Case {
    let mut t = Tape::new(numbers);
    let mut template = template(&mut t);
    let mut files = vec![];
    {
        let p = Protocol(&template["protocol"]);
        if t.chance(15) {
            files.push((format!("{FSUID}.json"), file(&mut t, &p, 40)));
        }
        if t.chance(20) {
            files.push(("0101.json".to_owned(), file(&mut t, &p, 40)));
        }
        files.push(("default.json".to_owned(), file(&mut t, &p, 95)));
    }
    if !files.iter().any(|(_, file)| file.to_string().contains("\"set\"")) {
        // A register that nothing sets is an error.
        for (_, file) in &mut files {
            *file = serde_json::from_str(&file.to_string().replace("\"${reg(last)}$\"", "0")).unwrap();
        }
    }
    let mut names: Vec<String> = files.iter().map(|(name, _)| format!("./{name}")).collect();
    if t.chance(50) {
        names.reverse();
    }
    template["rule_file_list"] = json!(names);
    let verify = t.one(&[Verify::Warn, Verify::Strict, Verify::Off]);
    let now = Clock::from_seconds(Clock::parse("2026-01-12T17:30:03").seconds() + t.pick(10_000) as i64 * 86_399);
    let requests = (0..1 + t.pick(6)).map(|_| request(&mut t, &template["protocol"])).collect();
    Case { template, files, verify, now, fsuid: FSUID, requests }
}
