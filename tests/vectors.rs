//! The golden vectors (`tests/vectors/`) against the judge of `tests/naive` and against the program.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::frame::{Protocol, Verify, key_text};
use naive::reply::{Answer, answer};
use naive::text::World;
use naive::vectors::{NOW, VENDORS, bytes, rule_file, template, text, vectors};
use naive::{fields, outer};
use product::{Outcome, Product, Setup};
use serde_json::{Map, Value};

fn world(vector: &Value) -> World {
    World::new(Clock::parse(vector["now"].as_str().unwrap_or(NOW)), "3230323530313235")
}

/// The vectors spell numbers as numbers, where a bcd field's notation is its digits, and some sheets spell a
/// little-endian checksum in wire order; text in fields filled with spaces they spell with the spaces, and a length
/// with a check as hex.
fn same(field: &str, vector: &Value, ours: &Value) -> bool {
    let number = vector.as_u64().is_some_and(|n| ours.as_str().is_some_and(|text| text.parse() == Ok(n)));
    let swapped = |ours: &str| fields::hex(&fields::unhex(ours).unwrap().into_iter().rev().collect::<Vec<_>>());
    let wire = field == "checksum" && ours.as_str().is_some_and(|ours| *vector == swapped(ours));
    let filled = vector.as_str().zip(ours.as_str()).is_some_and(|(a, b)| a.trim_end() == b);
    let length = ours.as_u64().is_some_and(|n| *vector == format!("{n:04X}"));
    vector == ours || number || wire || filled || length
}

fn check_fields(name: &str, expected: &Map<String, Value>, got: &Map<String, Value>) {
    for (field, value) in expected {
        let ours = got.get(field).unwrap_or_else(|| panic!("{name}: no field {field} in {got:?}"));
        assert!(same(field, value, ours), "{name}: {field} is {ours}, the vector says {value}");
    }
}

#[test]
fn judge_knows_the_crc_catalogue() {
    for (name, _, _, _, _, _, check) in naive::checksum::CRCS {
        assert_eq!(naive::checksum::crc(name, b"123456789"), *check, "{name}");
    }
}

#[test]
fn judge_answers_every_pair() {
    for vendor in VENDORS {
        let template = template(vendor);
        let protocol = &template["protocol"];
        for vector in vectors(vendor).iter().filter(|v| v.get("rule").is_some()) {
            let name = text(vector, "name");
            let request = bytes(vector, "request");
            for verify in [Verify::Strict, Verify::Warn, Verify::Off] {
                let got = answer(protocol, &[rule_file(vector)], &request, verify, &mut world(vector));
                assert_eq!(got, Answer::Reply(bytes(vector, "reply")), "{name}");
            }
            let p = Protocol(protocol);
            let frame = p.cut(&request).unwrap();
            let command = &p.commands()[p.command(&frame).unwrap()];
            assert_eq!(key_text(&command["data_frame_type"]), key_text(&vector["command"]), "{name}");
            check_fields(
                name,
                vector["request_fields"].as_object().unwrap(),
                &p.decode(&frame, command, "req_data_list"),
            );
            let reply = p.cut(&bytes(vector, "reply")).unwrap();
            assert_eq!(p.faults_of_reply(&reply), [""; 0], "{name}");
            check_fields(
                name,
                vector["reply_fields"].as_object().unwrap(),
                &p.decode(&reply, command, "resp_data_list"),
            );
        }
    }
}

#[test]
fn judge_reads_every_single_frame() {
    for vendor in VENDORS {
        let template = template(vendor);
        let p = Protocol(&template["protocol"]);
        for vector in vectors(vendor).iter().filter(|v| v.get("fields").is_some()) {
            let name = text(vector, "name");
            let frame = p.cut(&bytes(vector, "hex")).unwrap();
            assert_eq!(p.faults(&frame), [""; 0], "{name}");
            let expected = vector["fields"].as_object().unwrap();
            if vector["expect"] == "framing_only" {
                assert_eq!(p.command(&frame), None, "{name}");
                assert_eq!(fields::hex(&frame[p.left().len()].raw), expected["data"].as_str().unwrap(), "{name}");
            } else if vector["direction"] == "request" {
                let command = &p.commands()[p.command(&frame).unwrap()];
                check_fields(name, expected, &p.decode(&frame, command, "req_data_list"));
            } else {
                let command =
                    p.commands().iter().find(|c| key_text(&c["data_frame_type"]) == key_text(&vector["command"]));
                check_fields(name, expected, &p.decode(&frame, command.unwrap(), "resp_data_list"));
            }
        }
    }
}

/// The vectors' reasons in the words of templates.md.
fn reason(vector: &Value) -> &str {
    match text(vector, "reason") {
        "length_mismatch" => "bad_length",
        other => other,
    }
}

/// Error answers that the templates cannot give: `errors` has no entry for a character that is no digit, and none that
/// tells an unknown cid2 from an unknown type.
const NOT_OURS: [&str; 2] = ["es1000_bad_hex", "es1000_unknown_cid2"];

#[test]
fn judge_refuses_every_invalid_request() {
    for vendor in VENDORS {
        let template = template(vendor);
        let protocol = &template["protocol"];
        for vector in vectors(vendor).iter().filter(|v| v.get("reason").is_some()) {
            let name = text(vector, "name");
            let got = answer(protocol, &[], &bytes(vector, "hex"), Verify::Strict, &mut world(vector));
            let mut bare = protocol.clone();
            bare.as_object_mut().unwrap().remove("errors");
            let silent = answer(&bare, &[], &bytes(vector, "hex"), Verify::Strict, &mut world(vector));
            assert_eq!(silent, Answer::Refused(naive_reason(reason(vector))), "{name}");
            if vector.get("error_reply").is_some() && !NOT_OURS.contains(&name) {
                assert_eq!(got, Answer::Reply(bytes(vector, "error_reply")), "{name}");
            }
        }
    }
}

fn naive_reason(reason: &str) -> &'static str {
    let known = [
        "short",
        "bad_start",
        "bad_end",
        "bad_hex",
        "bad_length_checksum",
        "bad_length",
        "bad_checksum",
        "bad_version",
        "unknown_command",
    ];
    known.into_iter().find(|r| *r == reason).unwrap_or_else(|| panic!("reason {reason}"))
}

#[test]
fn judge_reads_and_builds_every_outer_frame() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("fields").is_some()) {
        let name = text(vector, "name");
        let wire = bytes(vector, "hex");
        let frame = outer::parse(&wire, vector["direction"] == "request").unwrap();
        let expected = &vector["fields"];
        assert_eq!(outer::unescaped(&frame), bytes(vector, "unescaped"), "{name}");
        assert_eq!(outer::build(&frame), wire, "{name}");
        assert_eq!(fields::hex(&frame.dest), expected["dest_addr"], "{name}");
        assert_eq!(fields::hex(&frame.src), expected["src_addr"], "{name}");
        assert_eq!(frame.sub_dev_type, expected["sub_dev_type"], "{name}");
        assert_eq!(frame.sub_dev_addr, expected["sub_dev_addr"], "{name}");
        assert_eq!(fields::hex(&[frame.rtn_flag]), expected["rtn_flag"], "{name}");
        assert_eq!(format!("{:04X}", frame.comm_type), expected["comm_type"], "{name}");
        assert_eq!(frame.data.map(|d| Value::from(fields::hex(&d))).as_ref(), expected.get("data"), "{name}");
    }
}

#[test]
fn judge_answers_every_outer_pair() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("rule").is_some()) {
        let name = text(vector, "name");
        let id = fields::unhex(text(&vector["request_fields"], "dest_addr")).unwrap();
        let request = outer::receive(&bytes(vector, "request"), &id, &[0xEE], false).unwrap();
        let template = template(text(vector, "inner_vendor"));
        let inner = answer(
            &template["protocol"],
            &[rule_file(vector)],
            request.data.as_ref().unwrap(),
            Verify::Strict,
            &mut world(vector),
        );
        let Answer::Reply(data) = inner else { panic!("{name}: {inner:?}") };
        let got = outer::build(&outer::reply(&request, &id, data));
        assert_eq!(fields::hex(&got), text(vector, "reply"), "{name}");
    }
}

#[test]
fn judge_refuses_every_invalid_outer_frame() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("reason").is_some()) {
        let got = outer::receive(&bytes(vector, "hex"), b"20250125", &[0xEE], false).unwrap_err();
        let also: Vec<&str> =
            vector["reason_or"].as_array().into_iter().flatten().map(|r| r.as_str().unwrap()).collect();
        assert!(got == vector["reason"] || also.contains(&got), "{}: {got}", text(vector, "name"));
    }
}

fn product(vendor: &str, file: Value, verify: Verify, fsuid: &str, device: (u8, u8)) -> Product {
    let template = template(vendor);
    let files = [("default.json".to_owned(), file)];
    Product::new(&Setup { template: &template, files: &files, verify, fsuid, device })
        .unwrap_or_else(|e| panic!("{vendor}: {e}"))
}

fn clock(vector: &Value) -> Clock {
    Clock::parse(vector["now"].as_str().unwrap_or(NOW))
}

#[test]
fn program_answers_every_pair() {
    for vendor in VENDORS {
        for vector in vectors(vendor).iter().filter(|v| v.get("rule").is_some()) {
            let mut product = product(vendor, rule_file(vector), Verify::Strict, "3230323530313235", (1, 1));
            let got = product.respond(&bytes(vector, "request"), clock(vector));
            let Outcome::Reply(got, _) = got else { panic!("{}: {got:?}", text(vector, "name")) };
            assert_eq!(fields::hex(&got), text(vector, "reply"), "{}", text(vector, "name"));
        }
    }
}

#[test]
fn program_refuses_every_invalid_request() {
    for vendor in VENDORS {
        for vector in vectors(vendor).iter().filter(|v| v.get("reason").is_some()) {
            let name = text(vector, "name");
            let wire = bytes(vector, "hex");
            let file = serde_json::json!({});
            let got = product(vendor, file.clone(), Verify::Strict, "31", (1, 1)).respond(&wire, Clock::parse(NOW));
            match vector.get("error_reply").filter(|_| !NOT_OURS.contains(&name)) {
                Some(reply) => {
                    assert_eq!(got, Outcome::Reply(fields::unhex(reply.as_str().unwrap()).unwrap(), 0), "{name}")
                }
                None if !NOT_OURS.contains(&name) => {
                    assert_eq!(got, Outcome::Dropped(naive_reason(reason(vector))), "{name}")
                }
                None => {}
            }
        }
    }
}

/// The vectors' reasons in the words of the program's counters; any of them will do.
fn outer_reasons(vector: &Value) -> Vec<&'static str> {
    let also = vector["reason_or"].as_array().into_iter().flatten();
    let mut out = vec![];
    for reason in [&vector["reason"]].into_iter().chain(also) {
        out.extend(match reason.as_str().unwrap() {
            "short" => vec!["outer_short"],
            "bad_start" => vec!["outer_bad_header"],
            "bad_end" => vec!["outer_bad_tailer"],
            "bad_escape" => vec!["outer_bad_escape"],
            "bad_checksum" => vec!["outer_bad_verify"],
            "length_mismatch" => vec!["outer_bad_p_len", "outer_bad_data_len"],
            "unknown_command" => vec!["outer_bad_comm_type"],
            "wrong_direction" => vec!["outer_bad_rtn_flag"],
            "wrong_fsu" => vec!["wrong_fsu"],
            other => panic!("reason {other}"),
        });
    }
    out
}

#[test]
fn program_answers_every_outer_pair() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("rule").is_some()) {
        let asked = &vector["request_fields"];
        let device = ["sub_dev_type", "sub_dev_addr"].map(|key| u8::try_from(asked[key].as_u64().unwrap()).unwrap());
        let id = text(asked, "dest_addr").trim_end_matches("00");
        let mut product =
            product(text(vector, "inner_vendor"), rule_file(vector), Verify::Strict, id, (device[0], device[1]));
        let got = product.datagram(&bytes(vector, "request"), clock(vector));
        assert_eq!(got.len(), 1, "{}", text(vector, "name"));
        assert_eq!(fields::hex(&got[0]), text(vector, "reply"), "{}", text(vector, "name"));
        let counted = product.state.counters.big_endian_lengths > 0;
        assert_eq!(counted, vector.get("big_endian").is_some(), "{}", text(vector, "name"));
    }
}

#[test]
fn program_answers_two_frames_in_one_datagram() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("replies").is_some()) {
        let echo = serde_json::json!({"108B": {}, "109D": {"data": {"result": "00"}}});
        let mut product = product("bangsun_old", echo, Verify::Strict, "3230323530313235", (1, 1));
        let got: Vec<String> =
            product.datagram(&bytes(vector, "hex"), Clock::parse(NOW)).iter().map(|b| fields::hex(b)).collect();
        let expected: Vec<&str> = vector["replies"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn program_refuses_every_invalid_outer_frame() {
    for vector in vectors("b_interface").iter().filter(|v| v.get("reason").is_some()) {
        let name = text(vector, "name");
        let mut product = product("bangsun_old", serde_json::json!({}), Verify::Strict, "3230323530313235", (1, 1));
        assert_eq!(product.datagram(&bytes(vector, "hex"), Clock::parse(NOW)), Vec::<Vec<u8>>::new(), "{name}");
        let allowed = outer_reasons(vector);
        let got = product.dropped();
        assert!(got.iter().any(|r| allowed.contains(r)), "{name}: {got:?}, not {allowed:?}");
    }
}

#[test]
fn program_takes_every_good_outer_request() {
    for vector in vectors("b_interface").iter().filter(|v| v["direction"] == "request" && v.get("fields").is_some()) {
        let name = text(vector, "name");
        let id = text(&vector["fields"], "dest_addr").trim_end_matches("00");
        let mut product = product("bangsun_old", serde_json::json!({}), Verify::Strict, id, (1, 1));
        product.datagram(&bytes(vector, "hex"), Clock::parse(NOW));
        let got = product.dropped();
        assert!(got.iter().all(|r| !r.starts_with("outer_") && *r != "wrong_fsu"), "{name}: {got:?}");
    }
}
