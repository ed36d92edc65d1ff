//! Random templates with a `transfer` section, their rules, and what clients send.

use super::clock::Clock;
use super::fields::{Fill, decode, encode, name, number, order, size};
use super::frame::{Frame, Protocol, Verify, key_parts, key_text, wire};
use super::generate::{Request, request, template};
use super::rules::{FSUID, file};
use super::tape::Tape;
use super::transfer::Transfers;
use serde_json::{Value, json};

/// An FSU with transfers.
#[derive(Clone, Debug)]
pub struct Served {
    pub template: Value,
    pub files: Vec<(String, Value)>,
    pub verify: Verify,
    pub now: Clock,
    pub fsuid: &'static str,
    /// Clients mostly ask for the same frame again, second by second.
    pub is_slow: bool,
    /// Clients mostly begin transfers.
    pub is_crowded: bool,
}

/// Bytes of the data that a template's commands have, at most.
const ROOM: usize = 300;

/// A value of a field, as people write it, from a number.
fn spelled(field: &Value, value: usize) -> Value {
    let bytes = order(field, number(value as i128, size(field), false).unwrap());
    let value = decode(field, &bytes, Fill::NONE);
    assert_eq!(encode(field, &value, Fill::NONE), Some(bytes));
    value
}

/// Puts the transfer's fields into a template whose commands are selected by `cmd` in the header.
fn with_transfer(t: &mut Tape, template: &mut Value) {
    let protocol = &mut template["protocol"];
    let left = protocol["pdu_left"].as_array_mut().unwrap();
    let sn_len = t.one(&[2, 1, 4, 3]);
    let more = [
        json!({"name": "SN", "length": sn_len, "type": t.one(&["uint", "hex"]), "endian": t.one(&["little", "big"])}),
        json!({"name": "DID", "length": t.one(&[4, 1, 2, 8]), "type": t.one(&["hex", "uint"]), "endian": t.one(&["little", "big"])}),
        json!({"name": "Accept", "length": t.one(&[1, 1, 2]), "type": "hex"}),
    ];
    for field in more {
        // A length may count all that follows it.
        let end = left.iter().position(super::fields::is_number).unwrap_or(left.len());
        let end = if left.last().is_some_and(|f| ["checksum", "check", "cs"].contains(&name(f).as_str())) {
            end.min(left.len() - 1)
        } else {
            end
        };
        left.insert(1 + t.pick(end), field);
    }
    let accept = left.iter().find(|f| name(f) == "Accept").unwrap().clone();
    let cmd = left.iter().find(|f| name(f) == "cmd").unwrap().clone();
    for command in protocol["data_frame"].as_array_mut().unwrap() {
        if t.chance(85) {
            let mut listed = accept.clone();
            listed["name"] = json!("{pdu_left}_Accept");
            listed["value"] = json!("00");
            command["resp_data_list"].as_array_mut().unwrap().push(listed);
        }
    }
    let least = ROOM;
    let bit_max = (8 * sn_len - 1).min(31);
    let mut chunk_bytes = 1 + t.pick(40);
    let mut last_bit = 1 + t.pick(bit_max);
    while chunk_bytes << last_bit.min(16) < least {
        if last_bit < bit_max { last_bit += 1 } else { chunk_bytes += 1 }
    }
    let commands = protocol["data_frame"].as_array().unwrap();
    let of = |command: &Value| key_parts(&Protocol(protocol), command)["cmd"].clone();
    // A demand has no data: a command that asks for none may be one.
    let bare: Vec<&Value> =
        commands.iter().filter(|c| c["req_data_list"].as_array().is_none_or(Vec::is_empty)).collect();
    let next = if !bare.is_empty() && t.chance(40) { of(bare[t.pick(bare.len())]) } else { spelled(&cmd, 0x80) };
    let mut transfer = json!({
        "data_cmd": spelled(&cmd, 0x8D), "next_cmd": next, "cmd": "cmd", "last_bit": last_bit, "chunk_bytes": chunk_bytes,
        "transfer_timeout_ms": 1000 * (1 + t.pick(4)), "transfers_max": t.one(&[2, 1, 3, 64]),
    });
    if t.chance(20) {
        transfer["refused"] = json!({"Accept": t.one(&["02", "FF", "00"])});
    }
    protocol["transfer"] = transfer;
}

/// What one FSU is.
pub fn served(t: &mut Tape) -> Served {
    let fits = |template: &Value| {
        let protocol = &template["protocol"];
        let left = protocol["pdu_left"].as_array().unwrap();
        let fits_chunks = left.iter().all(|f| f["check"] != "lchksum" && (!super::frame::is_length(f) || size(f) > 1));
        protocol["dynamic_length"] == true && fits_chunks && left.iter().any(|f| name(f) == "cmd")
    };
    // Past its end the tape says the simplest, and that fits.
    let mut template = loop {
        let tried = template(t);
        if fits(&tried) {
            break tried;
        }
    };
    with_transfer(t, &mut template);
    let (is_slow, is_crowded) = (t.chance(15), t.chance(25));
    if is_crowded {
        template["protocol"]["transfer"]["transfers_max"] = json!(2 + t.pick(3));
    }
    let mut rules = {
        let p = Protocol(&template["protocol"]);
        file(t, &p, 95)
    };
    let section = &template["protocol"]["transfer"];
    let most = (section["chunk_bytes"].as_u64().unwrap() << section["last_bit"].as_u64().unwrap()).min(1_000_000);
    let demand = demand_key(&template["protocol"]);
    for (key, entry) in rules.as_object_mut().unwrap() {
        let all = match entry {
            Value::Array(all) => all.iter_mut().collect(),
            one => vec![one],
        };
        for rule in all {
            if rule["delay"]["fixed"].is_number() {
                rule["delay"]["fixed"] = json!(1000 * t.pick(4));
            }
            if demand.as_ref() == Some(&key_text(&json!(key))) && t.chance(30) {
                *rule = json!({"timeout": true});
            }
            if rule["timeout"] != true && t.chance(if is_crowded { 90 } else { 40 }) {
                let bytes = if t.chance(20) && most <= 4_000 { most } else { 1 + t.pick(200) as u64 };
                rule["data_bytes"] = json!({"bytes": bytes, "seed": t.pick(3)});
            }
        }
    }
    let mut text = rules.to_string();
    // What is drawn shows only in the frame that carries it.
    for (drawn, fixed) in [
        ("${rand(3,9)}$", "3"),
        ("${rand(1,1)}$", "1"),
        ("${choice(1,2,7)}$", "7"),
        ("${choice(01,7F,A0)}$", "7F"),
        (r#"${choice( \"01\" , '7F',A0)}$"#, "7F"),
        ("${choice(a,b,c)}$", "b"),
    ] {
        text = text.replace(drawn, fixed);
    }
    assert!(!text.contains("rand(") && !text.contains("choice("));
    if !text.contains("\"set\"") {
        // A register that nothing sets is an error.
        text = text.replace("\"${reg(last)}$\"", "0");
    }
    let rules: Value = serde_json::from_str(&text).unwrap();
    template["rule_file_list"] = json!(["./default.json"]);
    let verify = t.one(&[Verify::Strict, Verify::Warn, Verify::Off]);
    let now = Clock::from_seconds(Clock::parse("2026-01-12T17:30:03").seconds() + t.pick(10_000) as i64 * 86_399);
    let files = vec![("default.json".to_owned(), rules)];
    Served { template, files, verify, now, fsuid: FSUID, is_slow, is_crowded }
}

/// The key of the command that a demand is, where the template has one for it.
fn demand_key(protocol: &Value) -> Option<String> {
    let p = Protocol(protocol);
    let next = &protocol["transfer"]["next_cmd"];
    let found = p.commands().iter().find(|command| key_parts(&p, command)["cmd"] == *next)?;
    Some(key_text(&found["data_frame_type"]))
}

/// One datagram of a client, and the seconds since the one before.
#[derive(Clone, Debug)]
pub struct Step {
    pub after_s: i64,
    pub client: u16,
    pub wire: Vec<u8>,
}

/// What comes next, where the judge's transfers are these.
pub fn step(t: &mut Tape, served: &Served, transfers: &Transfers) -> Step {
    let protocol = &served.template["protocol"];
    let p = Protocol(protocol);
    let mut client = if served.is_crowded && t.chance(60) { 1 } else { 1 + t.pick(5) as u16 };
    let after_s = if served.is_slow && t.chance(90) {
        1
    } else if t.chance(12) {
        1 + t.pick(4) as i64
    } else {
        0
    };
    let Request { wire: made, good } = request(t, protocol);
    if good.is_none() && t.chance(if served.is_slow { 10 } else { 70 }) {
        return Step { after_s, client, wire: made };
    }
    let Ok(mut frame) = p.cut(&made) else { return Step { after_s, client, wire: made } };
    let transfer = &protocol["transfer"];
    let field = |name: &str| p.outside(name).unwrap();
    let mut did = order(field("DID"), number(t.pick(4) as i128, size(field("DID")), false).unwrap());
    let begun = transfers.begun();
    let goes_on = !begun.is_empty()
        && t.chance(if served.is_slow {
            97
        } else if served.is_crowded {
            15
        } else {
            85
        });
    if goes_on && t.chance(90) {
        (client, did) = t.one(&begun);
    }
    put(&p, &mut frame, "DID", did.clone());
    let sn_size = size(field("SN"));
    if goes_on || t.chance(10) {
        let mark = 1_i128 << transfer["last_bit"].as_u64().unwrap();
        let next = transfers.next(client, &did).unwrap_or(0) as i128;
        let wanted = match t.pick(10) {
            0..9 if served.is_slow => next - 1,
            0..6 => next,
            6 | 7 => next - 1,
            8 => next + 1,
            _ => t.pick(4) as i128,
        };
        let top = if t.chance(10) { mark } else { 0 };
        let sn = wanted.rem_euclid(mark) + top;
        put(&p, &mut frame, "SN", order(field("SN"), number(sn, sn_size, false).unwrap()));
        put(&p, &mut frame, "cmd", encode(field("cmd"), &transfer["next_cmd"], Fill::NONE).unwrap());
        if t.chance(8) {
            // As a refusal has it.
            let given = &transfer["refused"]["Accept"];
            let refused = if given.is_null() { json!("01") } else { given.clone() };
            put(&p, &mut frame, "Accept", encode(field("Accept"), &refused, Fill::NONE).unwrap());
        }
        let kept = frame.clone();
        let outside = |field: &Value| kept.iter().find(|s| s.name == name(field)).unwrap().raw.clone();
        frame = p.build(&outside, if t.chance(90) { vec![] } else { vec![7] }).unwrap();
    } else {
        let sn = t.pick(1 << (8 * sn_size).min(16)) as i128;
        put(&p, &mut frame, "SN", order(field("SN"), number(sn, sn_size, false).unwrap()));
        put(&p, &mut frame, "Accept", vec![if t.chance(10) { 1 } else { 0 }; size(field("Accept"))]);
    }
    p.seal(&mut frame);
    Step { after_s, client, wire: wire(&frame) }
}

fn put(p: &Protocol, frame: &mut Frame, wanted: &str, raw: Vec<u8>) {
    let at = frame.iter().position(|segment| segment.name == wanted).unwrap();
    frame[at].wire = p.travel(at, &raw);
    frame[at].raw = raw;
}
