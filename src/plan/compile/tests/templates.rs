//! What a template compiles to: places, spans, lengths, sizes and keys.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::compile;
use super::{check, files};
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::template::{Algorithm, Framing, Template};
use serde_json::{Value, json};
use std::sync::Arc;

/// The template of [`files`] after this change to its protocol.
fn template(change: impl Fn(&mut Value)) -> Arc<Template> {
    let mut files = files();
    change(&mut files["t.json"]["protocol"]);
    files["default.json"] = json!({});
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let fleet = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()));
    fleet.fsus[0].devices[0].template.clone()
}

#[test]
fn places_in_header_and_tail() {
    let plan = template(|protocol| {
        protocol["pdu_left"][1]["length"] = json!(3);
        protocol["pdu_tailer"][0]["length"] = json!(2);
    });
    let places = |fields: &[crate::model::field::Field]| {
        fields.iter().map(|field| (field.name.to_string(), field.at.0, field.slot.len)).collect::<Vec<_>>()
    };
    let named =
        |all: &[(&str, i32, usize)]| all.iter().map(|&(name, at, len)| (name.to_owned(), at, len)).collect::<Vec<_>>();
    assert_eq!(places(&plan.left), named(&[("start", 0, 1), ("address", 1, 3), ("command", 4, 1)]));
    assert_eq!(places(&plan.tail), named(&[("checksum", -3, 2), ("end", -1, 1)]));
    assert_eq!((plan.left_len, plan.tail_len, &*plan.start, &*plan.end), (5, 3, &[0x7E][..], &[0x0D][..]));
    let command = &plan.commands[0];
    let data = |fields: &[crate::model::field::Field]| fields.iter().map(|field| field.at.0).collect::<Vec<_>>();
    assert_eq!(
        (data(command.request.as_deref().unwrap_or_default()), data(&command.response)),
        (vec![5, 6], vec![5, 9])
    );
    assert_eq!((command.request_len, command.request_len_padded, command.response_len), (5, 5, 64));
}

#[test]
fn spans_of_a_checksum() {
    let span = |checksum: Value| {
        let plan = template(|protocol| protocol["checksum"] = checksum.clone());
        let checksum = plan.checksum.as_ref().expect("a checksum");
        (checksum.from.0, checksum.to.0)
    };
    let named = |from: &str, to: &str| span(json!({"algorithm": "sum", "from": from, "to": to}));
    // Without names from behind the start up to itself.
    assert_eq!(span(json!({"algorithm": "sum"})), (1, -2));
    assert_eq!(named("start", "address"), (0, 2));
    assert_eq!(named("{pdu_left}_address", "command"), (1, 3));
    assert_eq!(named("data_frame", "data_frame"), (3, -2));
    assert_eq!(named("data", "data"), (3, -2));
    assert_eq!(named("command", "data_frame"), (2, -2));
    assert_eq!(span(json!({"algorithm": "sum", "from": "address"})), (1, -2));
    assert_eq!(span(json!({"algorithm": "sum", "to": "command"})), (1, 3));
    let bytes = |config: Value| {
        let plan = template(|protocol| {
            protocol.as_object_mut().unwrap().remove("checksum");
            protocol["checksum_config"] = config.clone();
        });
        let checksum = plan.checksum.as_ref().expect("a checksum");
        (checksum.from.0, checksum.to.0)
    };
    assert_eq!(bytes(json!({"algorithm": "sum"})), (1, -2));
    assert_eq!(bytes(json!({"algorithm": "sum", "start": 0})), (0, -2));
    assert_eq!(bytes(json!({"algorithm": "sum", "start": -5, "end": -3})), (-5, -3));
    assert_eq!(bytes(json!({"algorithm": "sum", "start": 2, "end": 5})), (2, 5));
}

/// Width of the field and mask of the checksum that is a number of its own kind; what goes over characters needs some.
#[test]
fn checksums_and_their_fields() {
    let of = |kind: &str, length: u32, how: Value, encoding: &str| {
        let plan = template(|protocol| {
            protocol["pdu_tailer"][0] = json!({"name": "checksum", "type": kind, "length": length});
            protocol["checksum"] = how.clone();
            protocol["encoding"] = json!(encoding);
        });
        let checksum = plan.checksum.as_ref().expect("a checksum");
        let own = match &checksum.algorithm {
            Algorithm::Special(special) => {
                Some((special.digits != crate::model::digits::Digits::Binary, special.holds_itself, special.mask))
            }
            _ => None,
        };
        (checksum.len, checksum.mask, checksum.little, checksum.over_wire, own)
    };
    let sum = || json!({"algorithm": "sum"});
    assert_eq!(of("hex", 1, sum(), "binary"), (1, 0xFF, false, false, None));
    assert_eq!(of("int_le", 3, sum(), "binary"), (3, 0xFF_FFFF, true, false, None));
    assert_eq!(of("uint", 8, sum(), "binary"), (8, u64::MAX, false, false, None));
    let wire = || json!({"algorithm": "sum", "over": "wire"});
    assert_eq!((of("hex", 1, wire(), "binary").3, of("hex", 1, wire(), "ascii_hex").3), (false, true));
    let digits = |length: u32, algorithm: &str| of("bcd", length, json!({"algorithm": algorithm}), "binary").4;
    assert_eq!(digits(4, "sum"), Some((true, false, u64::MAX)));
    assert_eq!(digits(2, "xor"), Some((true, false, 0xFF)));
    assert_eq!(digits(3, "crc16"), Some((true, false, 0xFFFF)));
    assert_eq!(digits(5, "crc:CRC-32/ISO-HDLC"), Some((true, false, 0xFFFF_FFFF)));
    assert_eq!(digits(8, "crc:CRC-24/OPENPGP"), Some((true, false, 0xFF_FFFF)));
}

#[test]
fn lengths_of_the_header() {
    let of = |more: Value, change: &dyn Fn(&mut Value)| {
        let plan = template(|protocol| {
            let mut field = json!({"name": "n", "type": "length", "length": 2});
            field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            protocol["pdu_left"].as_array_mut().unwrap().insert(2, field);
            change(protocol);
        });
        let length = &plan.lengths[0];
        (length.at.0, length.base, length.per_data, length.configured)
    };
    let plain = |more: Value| of(more, &|_| ());
    let hex = |more: Value| of(more, &|protocol| protocol["encoding"] = json!("ascii_hex"));
    assert_eq!(plain(json!({})), (2, 0, 1, false));
    assert_eq!(plain(json!({"add": -0})), (2, 0, 1, false));
    assert_eq!(plain(json!({"add": 7})), (2, 7, 1, false));
    assert_eq!(plain(json!({"of": ["n", "command", "data_frame", "end"]})), (2, 4, 1, false));
    assert_eq!(plain(json!({"of": ["start", "n"], "add": 1})), (2, 4, 0, false));
    // Characters are two a byte, but for start and end.
    assert_eq!(hex(json!({})), (2, 0, 1, false));
    assert_eq!(hex(json!({"unit": "chars"})), (2, 0, 2, false));
    assert_eq!(hex(json!({"unit": "chars", "of": ["start", "n", "data_frame"]})), (2, 5, 2, false));
    assert_eq!(plain(json!({"unit": "chars", "of": ["start", "n", "data_frame"]})), (2, 3, 1, false));
    // The number of a command counts what follows it in the header.
    assert_eq!(plain(json!({"value": "{{data_frame_length}}"})), (2, 1, 1, true));
    assert_eq!(plain(json!({"value": "{{data_frame_length}}", "add": 4})), (2, 5, 1, true));
}

#[test]
fn sizes_of_frames() {
    let of = |change: &dyn Fn(&mut Value)| {
        let plan = template(change);
        (plan.data_len_fixed, plan.data_len_max, plan.data_lens.to_vec(), plan.wire_len_max)
    };
    // 64 bytes of the reply; a request may have 256 bytes, header and tail included.
    assert_eq!(of(&|_| ()), (None, 251, vec![5], 69));
    assert_eq!(of(&|protocol| protocol["total_length"] = json!(70)), (Some(65), 65, vec![65], 70));
    assert_eq!(of(&|protocol| protocol["total_length"] = json!(69)), (Some(64), 64, vec![64], 69));
    let dynamic =
        |protocol: &mut Value| (protocol["total_length"], protocol["dynamic_length"]) = (json!(69), json!(true));
    assert_eq!(of(&dynamic), (None, 251, vec![5], 69));
    assert_eq!(of(&|protocol| protocol["request_bytes_max"] = json!(10)), (None, 5, vec![5], 69));
    assert_eq!(of(&|protocol| protocol["encoding"] = json!("ascii_hex")), (None, 251, vec![5], 2 + 2 * 67));
}

#[test]
fn keys_and_where_they_stand() {
    let field = |name: &str, length: u32| json!({"name": name, "length": length});
    let plan = template(|protocol| {
        protocol["data_frame_type_flag"] = json!("{command}_{kind}");
        protocol["data_frame"] = json!([
            {"data_frame_type": "1_2", "req_data_list": [field("pad", 1), field("kind", 1)]},
            {"data_frame_type": "01_0003", "req_data_list": [field("kind", 2)]},
            {"data_frame_type": "0104", "req_data_list": [field("pad", 1), field("kind", 1)]},
        ]);
    });
    let shapes: Vec<_> = plan
        .keys
        .iter()
        .map(|shape| {
            let parts: Vec<_> = shape.parts.iter().map(|part| (part.at.0, part.len)).collect();
            let table: Vec<_> = shape.table.iter().map(|(key, commands)| (*key, commands.to_vec())).collect();
            (parts, shape.data_len_min, table)
        })
        .collect();
    let first = (vec![(2, 1), (4, 1)], 2, vec![(0x0102, vec![0]), (0x0104, vec![2])]);
    let second = (vec![(2, 1), (3, 2)], 2, vec![(0x01_0003, vec![1])]);
    assert_eq!(shapes, [first, second]);
    let texts: Vec<_> = plan.commands.iter().map(|command| &*command.key_text).collect();
    assert_eq!(texts, ["0102", "010003", "0104"]);
}

/// A name of the flag may say its area, in braces of its own.
#[test]
fn names_of_the_flag() {
    let parts = |flag: &str| {
        let plan = template(|protocol| {
            protocol["pdu_left"][1]["name"] = json!("kind");
            protocol["data_frame_type_flag"] = json!(flag);
            let key = if flag.contains("}_{") { "05_01" } else { "01" };
            protocol["data_frame"][0]["data_frame_type"] = json!(key);
        });
        plan.keys[0].parts.iter().map(|part| part.at.0).collect::<Vec<_>>()
    };
    assert_eq!(parts("command"), [2]);
    assert_eq!(parts("{command}"), [2]);
    assert_eq!(parts("{{pdu_left}_command}"), [2]);
    assert_eq!(parts("{kind}_{command}"), [1, 2]);
    assert_eq!(parts("{{pdu_left}_kind}_{{pdu_left}_command}"), [1, 2]);
}

/// What tells where a frame of a stream ends.
#[test]
fn framing() {
    let of = |change: &dyn Fn(&mut Value)| template(change).framing;
    assert_eq!(of(&|_| ()), Framing::Delimited);
    assert_eq!(of(&|protocol| protocol["total_length"] = json!(69)), Framing::Fixed);
    let length = |protocol: &mut Value| {
        let field = json!({"name": "n", "type": "length", "length": 1});
        protocol["pdu_left"].as_array_mut().unwrap().push(field);
    };
    assert_eq!(of(&length), Framing::Length(0));
    // An end that is made for each request is none; then the command tells it, where all of a key have one size.
    let open = |protocol: &mut Value| {
        let end = &mut protocol["pdu_tailer"][1];
        end.as_object_mut().unwrap().remove("value");
    };
    assert_eq!(of(&open), Framing::Keyed);
    let field = |length: u32| json!([{"name": "a", "length": length}]);
    let two = |first: u32, second: u32| {
        of(&move |protocol: &mut Value| {
            open(protocol);
            protocol["data_frame"] = json!([
                {"data_frame_type": "01", "req_data_list": field(first)},
                {"data_frame_type": "02", "req_data_list": field(second)},
            ]);
        })
    };
    assert_eq!([two(1, 1), two(1, 2)], [Framing::Keyed; 2]);
    let without = |protocol: &mut Value| {
        open(protocol);
        protocol["data_frame"][0].as_object_mut().unwrap().remove("req_data_list");
    };
    assert_eq!(of(&without), Framing::Delimited);
    let hex = |protocol: &mut Value| {
        open(protocol);
        protocol["encoding"] = json!("ascii_hex");
    };
    assert_eq!(of(&hex), Framing::Delimited);
}

/// A field without a name takes its room, up to what header and tail (5 bytes) leave of a frame.
#[test]
fn fields_without_a_name_take_their_room() {
    let list = "/protocol/data_frame/0/req_data_list";
    let missing = |i: usize| format!("{list}/{i}: error: \"name\" is missing (the field's name)");
    let told = |fields: Value, expected: &[&str]| check(&format!("/t.json{list}"), fields, expected);
    told(json!([{"length": u64::MAX}, {"length": u64::MAX}]), &[&missing(0), &missing(1)]);
    let behind = |length: u32| json!([{"length": length}, {"name": "a", "length": 1}]);
    told(behind(64_994), &[&missing(0)]);
    told(behind(64_995), &["/protocol: error: a frame of 65001 bytes (at most 65000)", &missing(0)]);
    told(behind(64_996), &["/protocol: error: a frame of 65001 bytes (at most 65000)", &missing(0)]);
    let past = format!("{list}/2/name: error: the fields up to `b` take 65001 bytes (a frame has at most 65000)");
    let two = json!([{"length": 60_000}, {"name": "a", "length": 5_000}, {"name": "b", "length": 1}]);
    told(two, &["/protocol: error: a frame of 65005 bytes (at most 65000)", &missing(0), &past]);
}
