//! The `transfer` section of a template: what it compiles to, and its errors.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::compile;
use super::{check_all, files};
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::fleet::Fleet;
use crate::model::reply::Payload;
use crate::model::transfer::Transfer;
use serde_json::{Value, json};

/// `7E Cmd SN(2) DID Accept data.. sum 0D`, the command 10 with data and 20 as the demand, after a change to its protocol; and this
/// rule.
fn with(change: &dyn Fn(&mut Value), rule: Value) -> Value {
    let mut files = files();
    let field = |name: &str, length: u32| json!({"name": name, "type": "uint", "length": length});
    let entry = &mut files["sys_config.json"]["fsu_list"][0];
    entry["protocol_type"] = json!("broadcast");
    let protocol = &mut files["t.json"]["protocol"];
    protocol["pdu_left"] = json!([
        {"name": "start", "length": 1, "value": "7E"}, field("Cmd", 1), field("SN", 2), field("DID", 1), field("Accept", 1),
    ]);
    protocol["data_frame_type_flag"] = json!("Cmd");
    protocol["transfer"] = json!({"data_cmd": 18, "next_cmd": 32});
    protocol["data_frame"] = json!([{"data_frame_type": "10", "req_data_list": [], "resp_data_list": [field("a", 2)]}]);
    change(protocol);
    files["default.json"] = json!({"10": rule});
    files
}

fn told(change: &dyn Fn(&mut Value), expected: &[&str]) {
    check_all(&with(change, json!({})), expected, "transfer");
}

fn fleet(files: &Value) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()))
}

fn look<T>(change: &dyn Fn(&mut Value), look: impl Fn(&Transfer) -> T) -> T {
    let fleet = fleet(&with(change, json!({})));
    look(fleet.fsus[0].devices[0].template.transfer.as_ref().expect("transfers"))
}

/// Sets a key of the section.
fn set(key: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |protocol: &mut Value| protocol["transfer"][key] = value.clone()
}

#[test]
fn places_and_defaults() {
    look(&|_| (), |transfer| {
        assert_eq!((transfer.cmd.clone(), transfer.accept.clone()), (1..2, 5..6));
        let part = |part: &crate::model::field::KeyPart| (part.at.0, part.len, part.little);
        assert_eq!((part(&transfer.sn), part(&transfer.did)), ((2, 2, false), (4, 1, false)));
        assert_eq!((&*transfer.data_cmd, transfer.next.at.0, &*transfer.next.bytes), (&[0x12][..], 1, &[0x20][..]));
        assert_eq!((transfer.last_bit, transfer.chunk_bytes, transfer.timeout_ms), (15, 1_024, 5_000));
        assert_eq!((transfer.transfers_max, transfer.bytes_max), (64, 32_768 * 1_024));
        // The answer to a demand that cannot be met: a refusal, without data.
        let refused = transfer.refused.frame.to_vec();
        assert_eq!((refused.len(), refused[5], transfer.refused.data_len), (8, 0x01, 0));
    });
    let numbers = |transfer: &Transfer| {
        (transfer.last_bit, transfer.chunk_bytes, transfer.timeout_ms, transfer.transfers_max, transfer.bytes_max)
    };
    let given = |protocol: &mut Value| {
        protocol["transfer"] = json!({"data_cmd": 18, "next_cmd": 32, "last_bit": 7, "chunk_bytes": 9,
            "transfer_timeout_ms": 1, "transfers_max": 4096, "bytes_max": 2});
    };
    assert_eq!(look(&given, numbers), (7, 9, 1, 4_096, 2));
}

#[test]
fn what_all_replies_agree_on_is_in_the_refusal() {
    let refused = |lists: [Value; 2], refused: Value| {
        let change = |protocol: &mut Value| {
            let command =
                |key: &str, list: &Value| json!({"data_frame_type": key, "req_data_list": [], "resp_data_list": list});
            protocol["data_frame"] = json!([command("10", &lists[0]), command("11", &lists[1])]);
            protocol["transfer"]["refused"] = refused.clone();
        };
        let mut files = with(&change, json!({}));
        files["default.json"]["11"] = json!({});
        let fleet = fleet(&files);
        let transfer = fleet.fsus[0].devices[0].template.transfer.as_ref().expect("transfers");
        let bytes = transfer.refused.frame.to_vec();
        (bytes[1], bytes[5])
    };
    let cmd = |value: Value| json!([{"name": "{pdu_left}_Cmd", "value": value}]);
    assert_eq!(refused([cmd(json!(7)), cmd(json!(7))], json!({})), (7, 1));
    // They differ, or one does not say: it is the request's.
    assert_eq!(refused([cmd(json!(7)), cmd(json!(8))], json!({})), (0, 1));
    assert_eq!(refused([cmd(json!(7)), json!([])], json!({})), (0, 1));
    assert_eq!(refused([cmd(json!("7")), cmd(json!("7"))], json!({})), (7, 1));
    assert_eq!(refused([cmd(json!(7)), cmd(json!(7))], json!({"Cmd": 9, "Accept": 2})), (9, 2));
}

#[test]
fn numbers_have_their_range() {
    let one = |key: &'static str, fits: [u64; 2], past: [u64; 2]| {
        for value in fits {
            told(&set(key, json!(value)), &[]);
        }
        for value in past {
            let text = format!("/protocol/transfer/{key}: error: {value} ({} to {})", fits[0], fits[1]);
            told(&set(key, json!(value)), &[&text]);
        }
    };
    one("last_bit", [1, 15], [0, 16]);
    one("transfer_timeout_ms", [1, 3_600_000], [0, 3_600_001]);
    one("transfers_max", [1, 4_096], [0, 4_097]);
    let range = |value: u64| format!("/protocol/transfer/bytes_max: error: {value} (1 to 268435456)");
    told(&set("bytes_max", json!(256 << 20)), &[]);
    told(&set("bytes_max", json!((256 << 20) + 1)), &[&range((256 << 20) + 1)]);
    // The reply has 2 bytes of data.
    told(&set("bytes_max", json!(2)), &[]);
    told(&set("bytes_max", json!(1)), &["/10: error: 2 bytes of data (at most 1: `bytes_max`)"]);
}

/// The frame of the largest chunk fits a datagram, and its size the length fields.
#[test]
fn chunks_that_fit() {
    fn most(change: &dyn Fn(&mut Value), room: u64) {
        let check = |bytes: u64, expected: &[&str]| {
            let both = |protocol: &mut Value| {
                change(protocol);
                protocol["transfer"]["chunk_bytes"] = json!(bytes);
            };
            told(&both, expected);
        };
        check(1, &[]);
        check(room, &[]);
        for past in [0, room + 1] {
            let why = "the frame has to fit a datagram, and its size the length fields";
            check(past, &[&format!("/protocol/transfer/chunk_bytes: error: {past} (1 to {room}: {why})")]);
        }
    }
    let length = |protocol: &mut Value, more: Value| {
        let mut field = json!({"name": "n", "type": "length", "length": 1});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        protocol["pdu_left"].as_array_mut().unwrap().push(field);
    };
    // 65,000 less 6 of the header and 2 of the tail.
    most(&|_| (), 64_992);
    // A datagram has 65,507 bytes: two for each but start and end.
    most(&|protocol| protocol["encoding"] = json!("ascii_hex"), (65_507 - 2) / 2 - 6);
    most(&|protocol| length(protocol, json!({})), 255);
    most(&|protocol| length(protocol, json!({"add": 5})), 250);
    most(&|protocol| length(protocol, json!({"of": ["n", "data_frame", "end"]})), 253);
    most(&|protocol| length(protocol, json!({"type": "length", "length": 2, "check": "lchksum"})), 4_095);
    let small = "/protocol/transfer: error: chunks of 1024 bytes do not fit (give `chunk_bytes`, 1 to 255)";
    told(&|protocol| length(protocol, json!({})), &[small]);
}

#[test]
fn what_a_section_needs() {
    let fixed = |protocol: &mut Value| protocol["total_length"] = json!(70);
    told(&fixed, &["/protocol/transfer: error: `transfer` needs frames of any size (\"dynamic_length\": true)"]);
    let without =
        |key: &'static str| move |protocol: &mut Value| drop(protocol["transfer"].as_object_mut().unwrap().remove(key));
    for key in ["data_cmd", "next_cmd"] {
        told(
            &without(key),
            &[&format!("/protocol/transfer: error: `{key}` is missing (a value of the command field)")],
        );
    }
    told(&set("next_cmd", json!(18)), &["/protocol/transfer: error: `data_cmd` and `next_cmd` are the same"]);
    let none = |key: &str, name: &str| {
        let names = "(known: start, Cmd, SN, DID, Accept)";
        format!("/protocol/transfer/{key}: error: `{key}`: no header field `{name}` {names}")
    };
    for key in ["cmd", "sn", "did", "accept"] {
        told(&set(key, json!("zzzzzz")), &[&none(key, "zzzzzz")]);
        let computed = format!("/protocol/transfer/{key}: error: `{key}`: `start` is always computed");
        told(&set(key, json!("start")), &[&computed]);
    }
    let long = |name: &'static str, length: u32| {
        move |protocol: &mut Value| {
            let fields = protocol["pdu_left"].as_array_mut().unwrap();
            let field = fields.iter_mut().find(|field| field["name"] == name).unwrap();
            (field["length"], field["type"]) = (json!(length), json!("hex"));
        }
    };
    told(&long("SN", 8), &[]);
    told(&long("SN", 9), &["/protocol/transfer: error: `SN` has 9 bytes (at most 8)"]);
    told(&long("DID", 9), &["/protocol/transfer: error: `DID` has 9 bytes (at most 8)"]);
    told(&long("SN", 1), &["/protocol/transfer: error: `SN` has no bit 15 (give `last_bit`, 1 to 7)"]);
    let refused = set("refused", json!({"zzzzzz": 1}));
    told(
        &refused,
        &["/protocol/transfer/refused/zzzzzz: error: no header field `zzzzzz` (known: start, Cmd, SN, DID, Accept)"],
    );
}

#[test]
fn data_that_a_transfer_can_carry() {
    let data = |change: &dyn Fn(&mut Value), rule: Value, expected: &[&str]| {
        check_all(&with(change, rule.clone()), expected, &rule.to_string());
    };
    let bytes = |bytes: u64| json!({"data_bytes": {"bytes": bytes}});
    data(&set("bytes_max", json!(100)), bytes(100), &[]);
    let line = "/10/data_bytes/bytes: error: 101 bytes (1 to 100)";
    data(&set("bytes_max", json!(100)), bytes(101), &[line]);
    let few = |protocol: &mut Value| {
        (protocol["transfer"]["last_bit"], protocol["transfer"]["chunk_bytes"]) = (json!(3), json!(4));
    };
    data(&few, bytes(32), &[]);
    let more = "/10/data_bytes: error: 33 bytes of data (at most 32: 8 frames of 4 bytes; a larger `chunk_bytes` carries more)";
    data(&few, bytes(33), &[more]);
    // A reply that is built may be as long as a frame; its data travels in chunks.
    let long = |bytes: u32| {
        move |protocol: &mut Value| {
            protocol["data_frame"][0]["resp_data_list"] = json!([{"name": "a", "length": bytes}]);
        }
    };
    data(&long(64_992), json!({}), &[]);
    let past = "/protocol: error: a data frame of 64993 bytes (at most 64992; `data_file` carries more)";
    data(&long(64_993), json!({}), &[past]);
    let beside = "/10/data/a: warning: `a` means nothing beside data_file or data_bytes";
    data(&|_| (), json!({"data": {"a": 1}, "data_bytes": {"bytes": 5}}), &[beside]);
}

/// What is known now is a payload that all transfers share; what is filled in is built for each.
#[test]
fn payloads() {
    let of_list = |list: Value, rule: Value| {
        let fleet = fleet(&with(&|protocol| protocol["data_frame"][0]["resp_data_list"] = list.clone(), rule));
        let reply = &fleet.fsus[0].devices[0].rules[0][0].replies[0];
        let len = reply.frame.len();
        match &reply.payload {
            Payload::None => ("none".to_owned(), len),
            Payload::Static(bytes) => (hex::encode(bytes), len),
            Payload::Built => ("built".to_owned(), len),
            Payload::Raw | Payload::Walked(_) => ("other".to_owned(), len),
        }
    };
    let of = |rule: Value| of_list(json!([{"name": "a", "type": "uint", "length": 2}]), rule);
    assert_eq!(of(json!({"data": {"a": 258}})), ("0102".into(), 8));
    assert_eq!(of(json!({})), ("0000".into(), 8));
    assert_eq!(of(json!({"data": {"a": "${hour()}$"}})), ("built".into(), 10));
    let generated = of(json!({"data_bytes": {"bytes": 3}}));
    assert_eq!((generated.0.len(), generated.1), (6, 8));
    assert_eq!(of_list(json!([]), json!({})), ("none".into(), 8));
}
