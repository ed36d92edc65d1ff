//! Other layouts of a template (`frames`, templates.md): requests and replies with another header, tail and checksum.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::client::layouts::told;
use fsu_core::client::request::{build_any, finish, in_layout};
use fsu_core::predict::forms_to;
use fsu_plan::wire::envelope::{CENTER_BYTES, Comm, Frames, Head, Up, escape};
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Product, Setup};
use serde_json::{Value, json};

/// IEC 60870-5-104 in small: I frames are `protocol`, U and S frames are layouts of their own, and so is a single character.
fn template() -> Value {
    let length = json!({"name": "len", "length": 1, "type": "length", "of": ["send", "recv", "data_frame"]});
    let asdu = |more: Value| {
        let mut list =
            json!([{"name": "type", "length": 1}, {"name": "cot", "length": 1}, {"name": "ca", "length": 1}]);
        list.as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
        list
    };
    let points = json!([{"name": "points", "type": "list", "count": "rest", "items": [{"name": "value", "length": 2, "type": "uint"}]}]);
    json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "type",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"}, length,
            {"name": "send", "length": 2, "type": "uint", "endian": "little"},
            {"name": "recv", "length": 2, "type": "uint", "endian": "little"}
        ],
        "data_frame": [
            {"data_frame_type": "64", "req_data_list": asdu(json!([{"name": "qoi", "length": 1}])),
                "resp_data_list": asdu(json!([{"name": "qoi", "length": 1}]))},
            {"data_frame_type": "01", "name": "M_SP", "direction": "up", "resp_data_list": asdu(points)}
        ]
    }, "frames": {
        "U": {
            "data_frame_type_flag": "control",
            "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "len", "length": 1, "value": "04", "match": true}, {"name": "control", "length": 4}],
            "data_frame": [
                {"data_frame_type": "07000000", "name": "STARTDT", "req_data_list": []},
                {"data_frame_type": "0B000000", "name": "STARTDT_CON", "direction": "up"}
            ]
        },
        "S": {
            "pdu_left": [
                {"name": "start", "length": 1, "value": "68"}, {"name": "len", "length": 1, "value": "04", "match": true},
                {"name": "kind", "length": 2, "value": "0100", "match": true},
                {"name": "recv", "length": 2, "type": "uint", "endian": "little"}
            ],
            "data_frame": [{"data_frame_type": "S", "req_data_list": []}]
        },
        "ack": {
            "pdu_left": [{"name": "start", "length": 1, "value": "02"}, {"name": "recv", "length": 2, "type": "uint"}, {"name": "ca", "length": 1, "value": "77"}],
            "pdu_tailer": [{"name": "sum", "length": 1}],
            "checksum": {"algorithm": "xor", "field": "sum"},
            "data_frame": [{"data_frame_type": "ack", "direction": "up", "resp_data_list": [{"name": "qoi", "length": 1}, {"name": "n", "length": 1, "value": "05"}]}]
        }
    }})
}

fn rules() -> Value {
    json!({
        "64": {"replies": [
            {"data": {"cot": "07"}},
            {"frame": "M_SP", "data": {"points": [{"value": 1}, {"value": 2}], "cot": "14"}},
            {"frame": "S/S", "data": {"recv": 9}},
            {"frame": "ack/ack"},
            {"raw": "E5"}
        ]},
        "U/07000000": {"replies": [{"frame": "STARTDT_CON"}], "set": {"started": "yes"}},
        "S/S": {"timeout": true}
    })
}

const I: &str = "68080100020064060114";
const U: &str = "680407000000";
const S: &str = "680401000200";

/// What answers each of the requests.
const ANSWERS: [(&str, &[&str]); 3] = [
    (I, &["68080100020064070114", "680B01000200011401 00010002", "680401000900", "02000277140564", "E5"]),
    (U, &["68040B000000"]),
    (S, &[]),
];

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

fn product(transport: &str) -> Product {
    let files = [("default.json".to_owned(), rules())];
    let template = template();
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    Product::over(transport, &setup).unwrap_or_else(|told| panic!("{told}"))
}

fn now() -> Clock {
    Clock::parse("2026-01-12T17:30:03")
}

fn expected(answers: &[&str]) -> Vec<String> {
    answers.iter().map(|answer| hex(&bytes(answer))).collect()
}

#[test]
fn requests_and_replies_of_other_layouts() {
    for (request, answers) in ANSWERS {
        let got = product("broadcast").datagram_from(1, &bytes(request), now());
        let got: Vec<String> = got.into_iter().map(|(_, bytes)| hex(&bytes)).collect();
        assert_eq!(got, expected(answers), "{request}");
    }
}

#[test]
fn on_a_stream_at_every_split() {
    let all: Vec<u8> = ANSWERS.iter().flat_map(|(request, _)| bytes(request)).collect();
    let right: Vec<String> = ANSWERS.iter().flat_map(|(_, answers)| expected(answers)).collect();
    for split in 0..=all.len() {
        let got = product("tcp").stream(&[&all[..split], &all[split..]], now());
        let got: Vec<String> = got.iter().map(|bytes| hex(bytes)).collect();
        assert_eq!(got, right, "split at {split}");
    }
}

#[test]
fn in_an_envelope() {
    let mut template = template();
    // The C0 of SLIP; the frames keep their own start.
    template["protocol"]["envelope"] =
        json!({"start": "C0", "end": "C0", "escape": {"C0": "DBDC", "DB": "DBDD", "68": "DBDE"}});
    let files = [("default.json".to_owned(), rules())];
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    let slip = |frame: &str| {
        // In an envelope no field is the frame's start: the checksum covers the first one too.
        let escaped = frame.replace(' ', "").replace("68", "DBDE").replace("140564", "140566");
        format!("C0{escaped}C0")
    };
    for (request, answers) in ANSWERS {
        let wire = bytes(&slip(request));
        let right: Vec<String> = answers.iter().map(|answer| slip(answer)).collect();
        let got =
            Product::over("datagram", &setup).unwrap_or_else(|told| panic!("{told}")).datagram_from(1, &wire, now());
        assert_eq!(got.iter().map(|(_, bytes)| hex(bytes)).collect::<Vec<_>>(), right, "{request}");
        for split in 0..=wire.len() {
            let mut product = Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}"));
            let got = product.stream(&[&wire[..split], &wire[split..]], now());
            assert_eq!(got.iter().map(|bytes| hex(bytes)).collect::<Vec<_>>(), right, "{request} {split}");
        }
    }
}

/// Checksums of blocks are those of the template's own layout: another one has the bytes as they came.
#[test]
fn blocks_of_the_own_layout_alone() {
    let rest = json!([{"name": "rest", "length": "rest"}]);
    let header = json!([{"name": "cmd", "length": 1}]);
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "envelope": {"start": "7E", "end": "7E", "escape": {"7D": "7D01", "7E": "7D02"}},
        "checksum": {"blocks": 3, "algorithm": "sum"},
        "pdu_left": header,
        "data_frame": [{"data_frame_type": "31", "req_data_list": rest, "resp_data_list": rest}]
    }, "frames": {"x": {
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": header,
        "data_frame": [{"data_frame_type": "32", "req_data_list": rest, "resp_data_list": rest}]
    }}});
    let files = [("default.json".to_owned(), json!({"31": {}, "x/32": {}}))];
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    let frames = [
        ("7E 31 AABBCC 31 7D02 7D02 7E", true),
        ("7E 32 AABBCC DD EE 7D02 7D01 7E", true),
        ("7E 32 7E", true),
        ("7E 31 AABBCC 32 7E", false),
    ];
    for (frame, is_right) in frames {
        let right = if is_right { expected(&[frame]) } else { vec![] };
        let product = || Product::over("datagram", &setup).unwrap_or_else(|told| panic!("{told}"));
        let got = product().datagram_from(1, &bytes(frame), now());
        assert_eq!(got.iter().map(|(_, bytes)| hex(bytes)).collect::<Vec<_>>(), right, "{frame}");
        let mut product = Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}"));
        let got = product.stream(&[&bytes(frame)], now());
        assert_eq!(got.iter().map(|bytes| hex(bytes)).collect::<Vec<_>>(), right, "{frame} on a stream");
    }
}

/// The through data of a datagram of the B interface.
fn through(datagram: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let frame = Frames::new(datagram).next().unwrap().unwrap();
    match Up::new_checked(frame.plain(&mut plain).unwrap()).unwrap().comm {
        Comm::Through(data) => data.to_vec(),
        Comm::Heartbeat => panic!("a heartbeat"),
    }
}

#[test]
fn in_the_outer_frame() {
    let mut id = [0; 20];
    id[..2].copy_from_slice(b"01");
    for (request, answers) in ANSWERS {
        let (mut plain, mut escaped) = (Vec::new(), Vec::new());
        Head::request(&id, &[0; CENTER_BYTES], 1, 1).build(Some(&bytes(request)), &mut plain).unwrap();
        let got = product("udp").datagram(escape(&plain, &mut escaped), now());
        let got: Vec<String> = got.iter().map(|datagram| hex(&through(datagram))).collect();
        assert_eq!(got, expected(answers), "{request}");
    }
}

#[test]
fn a_client_reads_every_layout() {
    let product = product("tcp");
    let device = &product.fleet.fsus[0].devices[0];
    for (answer, key) in [
        (ANSWERS[0].1[0], Some("64")),
        (ANSWERS[0].1[1], Some("01")),
        (ANSWERS[0].1[2], Some("S")),
        (ANSWERS[0].1[3], Some("ack")),
        (ANSWERS[0].1[4], None),
    ] {
        let told = told(device, 0, &bytes(answer));
        let got = told.command.map(|number| &*told.template.commands[number].key_text);
        assert_eq!(got, key, "{answer}");
    }
    // What the generator compares replies with: all of them, each in its layout.
    let rule = &device.rules[0][0];
    for (number, answer) in ANSWERS[0].1.iter().enumerate() {
        let template = device.layout(rule.frames[number].layout);
        let forms = forms_to(template, &rule.replies[number], &bytes(I)).unwrap();
        assert_eq!(forms[0].frame.len(), bytes(answer).len(), "{answer}");
    }
}

#[test]
fn a_client_asks_in_every_layout() {
    let product = product("tcp");
    let devices = &product.fleet.fsus[0].devices;
    for (key, request) in [
        ("U/07000000", U),
        ("S/S", "680401000000"),
        ("64", "68080000000064000000"),
        ("protocol/64", "68080000000064000000"),
    ] {
        let found = devices.iter().find_map(|device| {
            let (_, mut raw) = build_any(&device.template, in_layout(device, key)?, &[]).ok()?;
            let mut wire = Vec::new();
            finish(&device.template, &mut raw, &mut wire);
            Some(hex(&wire))
        });
        assert_eq!(found.as_deref(), Some(request), "{key}");
    }
}

#[test]
fn registers_belong_to_the_device() {
    let files = [(
        "default.json".to_owned(),
        json!({
            "64": {"data": {"cot": "${reg(cot)}$"}},
            "U/07000000": {"data": {"control": "0B000000"}, "set": {"cot": "2A"}},
            "S/S": {"timeout": true}
        }),
    )];
    let template = template();
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    let mut product = Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}"));
    let got = product.stream(&[&bytes(I), &bytes(U), &bytes(I)], now());
    let got: Vec<String> = got.iter().map(|bytes| hex(bytes)).collect();
    assert_eq!(got, expected(&["68080100020064000114", "68040B000000", "680801000200642A0114"]));
}

/// What a check says of a template with these changes, places left out.
#[test]
fn conditions_of_a_layout_know_what_the_device_remembers() {
    let rules = json!({
        "64": {"set": {"cot": "#{cot}#", "seen[cot]": "1"}, "replies": [{"raw": "E5"}]},
        "U/07000000": [
            {"when": "has(seen['06']) && reg(cot) == 6 && entries(seen) == 1", "replies": [{"raw": "01"}]},
            {"replies": [{"raw": "02"}]}
        ],
        "S/S": {"timeout": true}
    });
    let files = [("default.json".to_owned(), rules)];
    let template = template();
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    let mut product = Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}"));
    let got = product.stream(&[&bytes(U), &bytes(I), &bytes(U)], now());
    let got: Vec<String> = got.iter().map(|bytes| hex(bytes)).collect();
    assert_eq!(got, expected(&["02", "E5", "01"]));
}

fn errors(change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let (mut template, mut rules) = (template(), rules());
    change(&mut template, &mut rules);
    let files = [("default.json".to_owned(), rules)];
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    match Product::over("broadcast", &setup) {
        Ok(_) => String::new(),
        Err(told) => told
            .lines()
            .filter_map(|line| line.split_once(": error: "))
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn what_layouts_may_not_say() {
    let check = |change: fn(&mut Value, &mut Value), expected: &str| assert_eq!(errors(change), expected);
    check(|_, _| {}, "");
    check(
        |_, rules| rules["64"] = json!({"replies": [{"frame": "S/T"}]}),
        "the template has no frame `S/T` (did you mean `S/S`?)",
    );
    check(
        |_, rules| rules["V/07"] = json!({}),
        "`V/07`: `frames` has no such layout (known: `protocol`, `U`, `S`, `ack`)",
    );
    check(
        |template, _| template["frames"]["U"]["encoding"] = json!("ascii_hex"),
        "`encoding` in a layout of `frames` (that of `protocol` is for all layouts)",
    );
    check(
        |template, _| template["frames"]["protocol"] = template["frames"]["U"].clone(),
        "the layout `protocol` is the template's own (another name)",
    );
    check(
        |template, _| template["frames"]["a/b"] = template["frames"]["U"].clone(),
        "`a/b`: a layout's name has no `/` (`layout/KEY` names an entry)",
    );
    check(
        |template, _| template["frames"]["S"]["transfer"] = json!({"data_cmd": "8D", "next_cmd": "80"}),
        "`transfer` in a layout of `frames` (only `protocol` may have it)",
    );
    check(
        |template, _| {
            template["frames"]["S"]["data_frame"] =
                json!([{"data_frame_type": "a", "req_data_list": []}, {"data_frame_type": "b", "req_data_list": []}])
        },
        "the template has no frame `S/S` (did you mean `S/a`?)\nb has the same key, and nothing in its request tells it apart from an entry before it (give one a field with \"match\": true, or another size)",
    );
}

#[test]
fn limit_layouts_max() {
    let with = |layouts: usize| {
        errors(|template, rules| {
            let one = template["frames"]["ack"].take();
            template["frames"] = (0..layouts)
                .map(|number| (format!("l{number}"), one.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            *rules = json!({"64": {}});
        })
    };
    assert_eq!([with(16), with(17)], [String::new(), "17 layouts in `frames` (at most 16)".to_owned()]);
}
