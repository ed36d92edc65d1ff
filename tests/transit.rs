//! What becomes of a frame on its way: checksums of every kind, changed bytes, envelopes (shapes.md, Bytes changed in transit, Checksums).
#![allow(clippy::pedantic, clippy::unwrap_used)]

#[path = "transit/fields.rs"]
mod changed_fields;
mod naive;
mod product;
#[path = "transit/random.rs"]
mod random;

use fsu_core::client::request::{build_any, finish};
use fsu_core::mock::Mock;
use fsu_core::moment::RunContext;
use fsu_core::replies::Replies;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::wire::envelope::{Comm, Frames, Head, Up, escape};
use fsu_plan::wire::reason::Reason;
use naive::clock::Clock;
use naive::fields::{hex, unhex};
use naive::frame::Verify;
use product::{Outcome, Product, Setup, compiled, moment};
use serde_json::{Value, json};
use std::sync::Arc;

fn bytes(text: &str) -> Vec<u8> {
    unhex(&text.replace(' ', "")).unwrap()
}

fn now() -> Clock {
    Clock::parse("2026-01-12T17:30:03")
}

/// What a device with this template and the rule `{}` for every command makes of a datagram.
fn answer(template: &Value, request: &str) -> String {
    match Product::strict(template, rules(template)).respond(&bytes(request), now()) {
        Outcome::Reply(got, _) => hex(&got),
        Outcome::Dropped(reason) => reason.to_owned(),
        Outcome::Silent => "silent".to_owned(),
    }
}

fn rules(template: &Value) -> Value {
    let commands = template["protocol"]["data_frame"].as_array().unwrap();
    commands.iter().map(|one| (one["data_frame_type"].as_str().unwrap().to_owned(), json!({}))).collect()
}

#[track_caller]
fn check(template: &Value, request: &str, expected: &str) {
    assert_eq!(answer(template, request), expected.replace(' ', ""), "{request}");
}

/// A request that is answered by itself, a wrong one for each of its checksums' bytes, and what a client makes of the same command.
#[track_caller]
fn check_echo(template: &Value, wire: &str, checksum_bytes: &[usize]) {
    check(template, wire, wire);
    for &at in checksum_bytes {
        let mut wrong = bytes(wire);
        wrong[at] ^= 0x10;
        check(template, &hex(&wrong), "bad_checksum");
    }
}

/// What `check` says of a template, from the pointer on.
fn told(template: &Value) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let main = json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let mut template = template.clone();
    template["rule_file_list"] = json!(["default.json"]);
    let files = [
        ("sys_config.json", main),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("default.json", rules(&template)),
        ("t.json", template),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let (_, lines) = compiled(&dir.path().join("sys_config.json"));
    lines.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

/// `68 cmd data.. tail 16`, any data, which the reply repeats.
fn template(tail: Value, checksum: Value) -> Value {
    let mut fields = tail.as_array().unwrap().clone();
    fields.push(json!({"name": "end", "length": 1, "value": "16"}));
    json!({"vendor": "v", "rule_file_list": ["./rules/default.json"], "protocol": {
        "data_frame_type_flag": "cmd",
        "checksum": checksum,
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "cmd", "length": 1}],
        "pdu_tailer": fields,
        "data_frame": [{"data_frame_type": "01", "req_data_list": any(), "resp_data_list": any()}]
    }})
}

/// A data frame of any size.
fn any() -> Value {
    json!([{"name": "data", "length": "rest"}])
}

#[test]
fn algorithms() {
    let check = |algorithm: Value, more: Value, len: usize, wire: &str| {
        let mut checksum = json!({"algorithm": algorithm});
        checksum.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut field = json!({"name": "check", "length": len});
        if let Some(endian) = checksum.as_object_mut().unwrap().remove("_field_endian") {
            field["endian"] = endian;
        }
        let wire = wire.replace(' ', "");
        let end = wire.len() / 2 - 1;
        check_echo(&template(json!([field]), checksum), &wire, &(end - len..end).collect::<Vec<_>>());
    };
    let data = "68 01 FFFE0380";
    check(json!("sum16"), json!({}), 2, &format!("{data} 8002 16"));
    check(json!("sum16"), json!({"endian": "little"}), 2, &format!("{data} 037F 16"));
    check(json!("ones16"), json!({}), 2, &format!("{data} 8003 16"));
    check(json!("ones16"), json!({"complement": "ones"}), 2, &format!("{data} 7FFC 16"));
    check(json!("xor16"), json!({}), 2, &format!("{data} 7FFC 16"));
    check(json!("lrc"), json!({}), 1, &format!("{data} 7F 16"));
    let modbus = json!({"width": 16, "poly": "8005", "init": "FFFF", "refin": true, "refout": true});
    check(modbus, json!({"_field_endian": "little"}), 2, &format!("{data} 4974 16"));
    let openpgp = json!({"width": 24, "poly": "864CFB", "init": "B704CE"});
    check(openpgp, json!({}), 3, &format!("{data} D5F3BD 16"));
    let umts = json!({"width": 12, "poly": "80F", "refin": false, "refout": true});
    check(umts, json!({}), 2, &format!("{data} 02EB 16"));
}

#[test]
fn a_span_over_the_checksum_itself() {
    let of = |itself: Value| {
        let mut template = template(
            json!([{"name": "check", "length": 2, "endian": "little"}]),
            json!({"algorithm": "crc16", "to": "check"}),
        );
        template["protocol"]["checksum"]["self"] = itself;
        template
    };
    check_echo(&of(json!("zero")), "68 01AABB 483D 16", &[4, 5]);
    check_echo(&of(json!("skip")), "68 01AABB 1ED3 16", &[4, 5]);
    assert_eq!(
        told(&of(json!(null))),
        [
            "/protocol/checksum: error: the checksum's span holds the checksum itself (`self`: \"zero\" counts its bytes as 00, \"skip\" leaves them out)"
        ]
    );
}

/// `68 cmd n sum_of_header data.. crc 16`.
fn two(checksum: Value) -> Value {
    let mut template = template(json!([{"name": "crc", "length": 2, "endian": "little"}]), checksum);
    let left = template["protocol"]["pdu_left"].as_array_mut().unwrap();
    left.push(json!({"name": "n", "length": 1, "type": "length"}));
    left.push(json!({"name": "hcs", "length": 1}));
    template
}

#[test]
fn several_checksums_the_inner_one_first() {
    let header = json!({"field": "hcs", "algorithm": "sum", "to": "n"});
    let all = json!({"field": "crc", "algorithm": "crc16"});
    for list in [json!([header, all]), json!([all, header])] {
        check_echo(&two(list.clone()), "68 01 02 03 AABB D6AB 16", &[3, 6, 7]);
        check_echo(&two(list), "68 01 00 01 E1C0 16", &[3]);
    }
    // Each over the other.
    let header = json!({"field": "hcs", "algorithm": "sum", "to": "crc", "self": "zero"});
    let tail = told(&two(json!([header, all])));
    assert!(tail[0].contains("/protocol/checksum/0: error: checksums whose spans hold each other"), "{tail:?}");
    let twice = told(&two(json!([all, all])));
    assert!(twice[0].contains("`crc` is another checksum already"), "{twice:?}");
    // One that is left out.
    let warned = told(&two(json!([{"field": "hcs", "algorithm": "sum", "to": "n"}])));
    assert!(warned[0].contains("nothing says how `crc` is computed"), "{warned:?}");
}

/// DNP3: `0564 len ctrl dst src crc`, then blocks of 16 bytes with a CRC each.
fn dnp3() -> Value {
    json!({"vendor": "v", "rule_file_list": ["./rules/default.json"], "protocol": {
        "data_frame_type_flag": "ctrl",
        "checksum": [
            {"field": "crc", "algorithm": "crc:CRC-16/DNP", "from": "start", "to": "src"},
            {"blocks": 16, "algorithm": "crc:CRC-16/DNP", "endian": "little"}
        ],
        "pdu_left": [
            {"name": "start", "length": 2, "value": "0564"},
            {"name": "len", "length": 1, "type": "length", "of": ["data_frame"], "add": 5},
            {"name": "ctrl", "length": 1},
            {"name": "dst", "length": 2, "endian": "little"},
            {"name": "src", "length": 2, "endian": "little"},
            {"name": "crc", "length": 2, "endian": "little"}
        ],
        "data_frame": [
            {"data_frame_type": "C4", "req_data_list": any(), "resp_data_list": any()},
            {"data_frame_type": "C9", "req_data_list": [], "resp_data_list": []}
        ]
    }})
}

const DNP3: [&str; 4] = [
    "056405C901000004A657",
    "05640AC40100000413E9C0C0013C02D8A5",
    "056415C40100000430D5000102030405060708090A0B0C0D0E0FEC10",
    "056419C4010000048202000102030405060708090A0B0C0D0E0FEC1010111213DDBB",
];

#[test]
fn a_checksum_behind_each_block() {
    check_echo(&dnp3(), DNP3[0], &[8, 9]);
    check_echo(&dnp3(), DNP3[1], &[8, 9, 15, 16]);
    check_echo(&dnp3(), DNP3[2], &[8, 9, 26, 27]);
    check_echo(&dnp3(), DNP3[3], &[8, 9, 26, 27, 32, 33]);
    // A byte of the data, and a size that no blocks have.
    check(&dnp3(), "05640AC40100000413E9C0C0013C03D8A5", "bad_checksum");
    check(&dnp3(), "05640AC40100000413E9C0C0", "bad_length");
    let mut header = dnp3();
    header["protocol"]["checksum"][1]["from"] = json!("dst");
    assert!(told(&header)[0].contains("the span of `blocks` is the data frame"), "{:?}", told(&header));
}

/// The last block's checksum in a field of the tail.
#[test]
fn the_last_blocks_checksum_in_a_field() {
    let template =
        template(json!([{"name": "bcc", "length": 1}]), json!({"field": "bcc", "blocks": 2, "algorithm": "xor"}));
    check_echo(&template, "68 01 AABB 11 CC CC 16", &[4, 6]);
    check_echo(&template, "68 01 AABB 11 16", &[4]);
    check_echo(&template, "68 01 00 16", &[]);
}

/// DL/T 645: `68 address 68 control length data sum 16`, the data + 33.
fn meter(over: &str) -> Value {
    json!({"vendor": "v", "rule_file_list": ["./rules/default.json"], "protocol": {
        "data_frame_type_flag": "{control}_{di}",
        "data_transform": {"add": "33"},
        "envelope": {"skip": "FE", "preamble": "FEFEFEFE"},
        "checksum": {"algorithm": "sum", "from": "start", "over": over},
        "pdu_left": [
            {"name": "start", "length": 1, "value": "68"},
            {"name": "address", "length": 6, "endian": "little"},
            {"name": "start2", "length": 1, "value": "68", "match": true},
            {"name": "control", "length": 1},
            {"name": "size", "length": 1, "type": "length"}
        ],
        "pdu_tailer": [{"name": "check", "length": 1}, {"name": "end", "length": 1, "value": "16"}],
        "data_frame": [{
            "data_frame_type": "1100010000",
            "req_data_list": [{"name": "di", "length": 4, "endian": "little"}],
            "resp_data_list": [
                {"name": "{pdu_left}_control", "length": 1, "value": "91"},
                {"name": "di", "length": 4, "endian": "little"},
                {"name": "energy", "length": 4, "type": "bcd", "endian": "little", "value": "12345678"}
            ]
        }]
    }})
}

#[test]
fn every_byte_of_the_data_frame_is_changed() {
    // The request is a published example.
    let reply = "FEFEFEFE 68AAAAAAAAAAAA68 91 08 33333433 AB896745 12 16";
    check(&meter("wire"), "68AAAAAAAAAAAA68 11 04 33333433 AE 16", reply);
    check(&meter("wire"), "FEFEFE 68AAAAAAAAAAAA68 11 04 33333433 AE 16", reply);
    check(&meter("wire"), "68AAAAAAAAAAAA68 11 04 33333433 E2 16", "bad_checksum");
    let reply = "FEFEFEFE 68AAAAAAAAAAAA68 91 08 33333433 AB896745 7A 16";
    check(&meter("raw"), "68AAAAAAAAAAAA68 11 04 33333433 E2 16", reply);
    check(&meter("raw"), "68AAAAAAAAAAAA68 11 04 33333533 E3 16", "unknown_command");
    let mut both = meter("raw");
    both["protocol"]["data_transform"] = json!({"add": "01", "xor": "FF"});
    check(&both, "68AAAAAAAAAAAA68 11 04 FEFEFDFE E2 16", "FEFEFEFE 68AAAAAAAAAAAA68 91 08 FEFEFDFE 86A8CAEC 7A16");
}

/// JT/T 808: `id length sequence data xor` between 7E, the data with a result behind it in the reply.
fn tracker() -> Value {
    json!({"vendor": "v", "rule_file_list": ["./rules/default.json"], "protocol": {
        "data_frame_type_flag": "id",
        "envelope": {"start": "7E", "end": "7E", "escape": {"7D": "7D01", "7E": "7D02"}},
        "checksum": {"field": "bcc", "algorithm": "xor"},
        "pdu_left": [
            {"name": "id", "length": 2},
            {"name": "size", "length": 2, "type": "length"},
            {"name": "sequence", "length": 2, "type": "uint"}
        ],
        "pdu_tailer": [{"name": "bcc", "length": 1}],
        "data_frame": [{
            "data_frame_type": "0002",
            "req_data_list": any(),
            "resp_data_list": [{"name": "data", "length": "rest"}, {"name": "result", "length": 1}]
        }]
    }})
}

/// Requests and their replies.
const TRACKER: [(&str, &str); 4] = [
    ("7E000200007D027D01017E", "7E000200017D027D0100007E"),
    ("7E0002000400017D027D017D02304A7E", "7E0002000500017D027D017D0230004B7E"),
    ("7E00020001007F037F7E", "7E00020002007F03007C7E"),
    ("7E0002000100007D027D017E", "7E0002000200007D02007D027E"),
];

#[test]
fn bytes_between_marks_are_escaped() {
    for (request, reply) in TRACKER {
        check(&tracker(), request, reply);
        // The marks may be the frame's own first and last field.
        let mut marked = tracker();
        let protocol = &mut marked["protocol"];
        let mark = |name: &str| json!({"name": name, "length": 1, "value": "7e"});
        protocol["pdu_left"].as_array_mut().unwrap().insert(0, mark("begin"));
        protocol["pdu_tailer"].as_array_mut().unwrap().push(mark("finish"));
        check(&marked, request, reply);
    }
    check(&tracker(), "7E0002000100007D037D017E", "bad_escape");
    check(&tracker(), "7E0002000100007D", "bad_escape");
    check(&tracker(), "7E00020001007F03", "bad_end");
    check(&tracker(), "7E00020001007F037E7F7E", "bad_end");
    check(&tracker(), "7E00020001007F037E7E", "bad_end");
    check(&tracker(), "7E0002007E", "short");
}

/// `DLE STX cmd data sum DLE ETX`, DLE doubled.
fn dle() -> Value {
    let mut template = template(json!([{"name": "sum", "length": 1}]), json!({"field": "sum", "algorithm": "sum"}));
    let protocol = &mut template["protocol"];
    protocol["envelope"] = json!({"start": "1002", "end": "1003", "escape": {"10": "1010"}});
    protocol["pdu_left"].as_array_mut().unwrap().remove(0);
    protocol["pdu_tailer"].as_array_mut().unwrap().pop();
    let mut ten = protocol["data_frame"][0].clone();
    ten["data_frame_type"] = json!("10");
    protocol["data_frame"].as_array_mut().unwrap().push(ten);
    template
}

#[test]
fn marks_of_several_bytes() {
    let template = dle();
    for wire in ["100201101003101002261003", "1002010E0F1003", "1002101010101003"] {
        check(&template, wire, wire);
    }
    check(&template, "1002011005", "bad_escape");
}

#[test]
fn envelopes_that_cannot_be_told_apart() {
    let check = |envelope: Value, expected: &str| {
        let mut template = tracker();
        template["protocol"]["envelope"] = envelope;
        let told = told(&template);
        assert!(told.iter().any(|line| line.contains(expected)), "{expected}: {told:#?}");
    };
    let with = |escape: Value| json!({"start": "7E", "end": "7E", "escape": escape});
    check(with(json!({"7D": "7D01"})), "7E begins the start and may be in a frame (give it an escape)");
    check(with(json!({"7E": "7D02"})), "7D begins an escape and may be in a frame (give it an escape)");
    check(with(json!({"7D": "7D02", "7E": "7D02"})), "`7D02` also begins another escape, or a mark");
    check(with(json!({"7D": "7D01", "7E": "7E01"})), "`7E01` also begins another escape, or a mark");
    check(with(json!({"7D": "7D01", "7E": "00"})), "`00` (at least 2 bytes");
    check(with(json!({"7D7D": "7D01", "7E": "7D02"})), "`7D7D` has 2 bytes (an escape is of one byte)");
    check(json!({"escape": {"7D": "7D01"}}), "`escape` without `start` and `end`");
    check(json!({"start": "7E", "end": "7E", "skip": "7E"}), "7E is also the first byte of a frame");
    check(json!({"skip": "FE"}), "nothing marks where a frame begins behind it");
    check(json!({"start": "7Z", "end": "7E"}), "`7Z` (hex digits of 1 to 16 bytes)");
}

/// A tcp FSU with one device of this template.
fn fleet(template: &Value, verify: Verify) -> Arc<Fleet> {
    let files = [("default.json".to_owned(), rules(template))];
    let setup = Setup { template, files: &files, verify, fsuid: "3031", device: (1, 1) };
    Arc::new(Product::over("tcp", &setup).unwrap_or_else(|told| panic!("{told}")).fleet)
}

fn mock(fleet: &Arc<Fleet>) -> Mock {
    Mock::new(fleet.clone(), RunContext { seed: 7, skip_delay: true, start_mono_ms: 0 })
}

/// What a connection that ends then sent, and what was dropped. Reads end after each of `splits`.
fn stream(fleet: &Arc<Fleet>, wire: &[u8], splits: &[usize]) -> (Vec<String>, Vec<(&'static str, u64)>) {
    let mut mock = mock(fleet);
    let (mut replies, now) = (Replies::default(), moment(now()));
    let peer = ([127, 0, 0, 1], 9).into();
    let mut connection = mock.open(0, peer, now, &mut replies).unwrap();
    let mut done = 0;
    for &end in splits.iter().chain([&wire.len()]) {
        while !mock.on_bytes(&mut connection, &wire[done..end], now, &mut replies) {}
        done = end;
    }
    while !mock.on_end(&mut connection, now, &mut replies) {}
    let sent = replies.sent().map(|sent| hex(sent.bytes)).collect();
    let dropped = &mock.counters(0).unwrap().dropped;
    let dropped = Reason::ALL.iter().map(|reason| (reason.reason(), dropped[*reason as usize]));
    (sent, dropped.filter(|(_, count)| *count > 0).collect())
}

/// At once, at every split point, and byte by byte.
#[track_caller]
fn check_stream(template: &Value, wire: &str, sent: &[&str], dropped: &[(&'static str, u64)]) {
    check_stream_as(template, Verify::Strict, wire, sent, dropped);
}

#[track_caller]
fn check_stream_as(template: &Value, verify: Verify, wire: &str, sent: &[&str], dropped: &[(&'static str, u64)]) {
    let (wire, fleet) = (bytes(wire), fleet(template, verify));
    let every: Vec<usize> = (1..wire.len()).collect();
    let splits = (0..wire.len()).map(|at| vec![at]).chain([every]);
    for splits in splits {
        let (got, counts) = stream(&fleet, &wire, &splits);
        let sent: Vec<String> = sent.iter().map(|sent| (*sent).to_owned()).collect();
        assert_eq!((got, counts), (sent, dropped.to_vec()), "{} split at {splits:?}", hex(&wire));
    }
}

#[test]
fn streams_of_enveloped_frames() {
    let [(one, _), (two, _), ..] = TRACKER;
    let all: Vec<&str> = TRACKER.iter().map(|(_, reply)| *reply).collect();
    let whole: String = TRACKER.iter().map(|(request, _)| *request).collect();
    let check =
        |wire: &str, sent: &[&str], dropped: &[(&'static str, u64)]| check_stream(&tracker(), wire, sent, dropped);
    check(&whole, &all, &[]);
    // Frames that share marks, and marks that are more than needed.
    check(&whole.replace("7E7E", "7E"), &all, &[]);
    check(&format!("7E7E7E {one} 7E7E {two} 7E"), &all[..2], &[]);
    // Bytes before, between and behind them.
    check(&format!("AABB {one} CC {two}"), &all[..2], &[("garbage_bytes", 3)]);
    // Half a frame, its tail, and a broken escape; each is given up at the next mark.
    check(&format!("7E000200 {one}"), &all[..1], &[("garbage_bytes", 4)]);
    check(&format!("{one} 007D017E {two}"), &all[..2], &[("short", 1)]);
    check(&format!("7E00027D55007E {one}"), &all[..1], &[("bad_escape", 1)]);
    check(&format!("{one} 00027D55007E {}", &two[2..]), &all[..2], &[("bad_escape", 1)]);
}

/// Under `warn` a frame with a wrong checksum is answered if no good frame begins inside it; its mark may be one's start.
#[test]
fn wrong_checksums_in_an_envelope() {
    let [(one, reply), ..] = TRACKER;
    let (wrong, answer) = ("7E00020001007F03557E", "7E00020002007F03007C7E");
    let check = |wire: &str, sent: &[&str], dropped: &[(&'static str, u64)]| {
        check_stream_as(&tracker(), Verify::Warn, wire, sent, dropped);
    };
    check(wrong, &[answer], &[]);
    check(&format!("{wrong} {one}"), &[answer, reply], &[]);
    // The wrong one's end is the good one's start.
    check(&format!("{} {one}", &wrong[..wrong.len() - 2]), &[reply], &[("garbage_bytes", 9)]);
}

#[test]
fn streams_with_fill_and_changed_bytes() {
    let (request, reply) = ("68AAAAAAAAAAAA68110433333433AE16", "FEFEFEFE68AAAAAAAAAAAA68910833333433AB8967451216");
    let check =
        |wire: &str, sent: &[&str], dropped: &[(&'static str, u64)]| check_stream(&meter("wire"), wire, sent, dropped);
    check(request, &[reply], &[]);
    check(&format!("FEFE {request} FEFEFEFE {request} FE"), &[reply; 2], &[]);
    check(&format!("FE68FE {request} 1668 {request}"), &[reply; 2], &[("garbage_bytes", 3)]);
    let frames: String = DNP3.concat();
    check_stream(&dnp3(), &frames, &DNP3, &[]);
    check_stream(&dnp3(), &format!("0564 {frames} 05 {frames}"), &[DNP3, DNP3].concat(), &[("garbage_bytes", 3)]);
}

/// A stray byte, half a frame, a frame's tail, a wrong frame: two good frames behind them are answered, however the bytes are split.
#[test]
fn a_stray_byte_costs_no_good_frame() {
    let check = |template: &Value, good: &str, reply: &str| {
        let good = bytes(good);
        let mut wrong = good.clone();
        let at = good.len() - 2;
        wrong[at] ^= 1;
        let mut befores: Vec<Vec<u8>> =
            vec![vec![0x33], good[..1].to_vec(), wrong.clone(), [&wrong[..], &good[..1]].concat()];
        befores.extend((1..good.len()).flat_map(|at| [good[..at].to_vec(), good[at..].to_vec()]));
        for verify in [Verify::Warn, Verify::Strict] {
            let fleet = fleet(template, verify);
            for before in &befores {
                let all = [&before[..], &good, &good].concat();
                let whole = stream(&fleet, &all, &[]);
                let answered = whole.0.iter().filter(|sent| *sent == &reply.replace(' ', "")).count();
                assert!(answered >= 2, "{} before {}, {verify:?}: {whole:?}", hex(before), hex(&good));
                let every: Vec<usize> = (1..all.len()).collect();
                for splits in (1..all.len()).map(|at| vec![at]).chain([every]) {
                    assert_eq!(stream(&fleet, &all, &splits), whole, "{} split at {splits:?}, {verify:?}", hex(&all));
                }
            }
        }
    };
    for (request, reply) in TRACKER {
        check(&tracker(), request, reply);
    }
    let reply = "FEFEFEFE 68AAAAAAAAAAAA68 91 08 33333433 AB896745 12 16";
    check(&meter("wire"), "68AAAAAAAAAAAA68110433333433AE16", reply);
    check(&dnp3(), DNP3[1], DNP3[1]);
    check(&dle(), "100201101003101002261003", "100201101003101002261003");
}

/// Inside the outer frame the envelope is part of the through data.
#[test]
fn an_envelope_in_the_outer_frame() {
    let files = [("default.json".to_owned(), rules(&tracker()))];
    let template = tracker();
    let setup = Setup { template: &template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
    let mut product = Product::over("udp", &setup).unwrap();
    let id = product.fleet.fsus[0].id.bytes;
    let (mut framed, mut escaped, mut plain) = (vec![], vec![], vec![]);
    for (request, reply) in TRACKER {
        Head::request(&id, &[0; 8], 1, 1).build(Some(&bytes(request)), &mut framed).unwrap();
        let datagram = escape(&framed, &mut escaped).to_vec();
        let replies = product.datagram(&datagram, now());
        let up = Frames::new(&replies[0]).next().unwrap().unwrap().plain(&mut plain).and_then(Up::new_checked).unwrap();
        let Comm::Through(data) = up.comm else { panic!("{up:?}") };
        assert_eq!(hex(data), reply);
    }
}

/// Nothing is allocated from request to reply.
#[test]
fn what_is_changed_on_the_way_allocates_nothing() {
    let frames: Vec<(Value, Vec<u8>)> = vec![
        (tracker(), TRACKER.map(|(request, _)| request).concat()),
        (meter("wire"), "FEFE68AAAAAAAAAAAA68110433333433AE16".to_owned()),
        (dnp3(), DNP3.concat()),
        (dle(), "100201101003101002261003".to_owned()),
    ]
    .into_iter()
    .map(|(template, wire)| (template, bytes(&wire)))
    .collect();
    for (template, wire) in frames {
        let mut mock = mock(&fleet(&template, Verify::Strict));
        let (mut replies, now) = (Replies::with_capacity(1_024, 1 << 20), moment(now()));
        let mut connection = mock.open(0, ([127, 0, 0, 1], 9).into(), now, &mut replies).unwrap();
        let mut serve = || {
            replies.reset();
            assert!(mock.on_bytes(&mut connection, &wire, now, &mut replies));
            replies.sent().count()
        };
        let mut answered = 0;
        (0..16).for_each(|_| _ = serve());
        let counted = allocation_counter::measure(|| answered = serve());
        assert_eq!((counted.count_total, answered > 0), (0, true), "{template}");
    }
}

/// Clients send what a device understands.
#[test]
fn requests_of_clients() {
    let check = |template: &Value, key: &str, values: &[(&str, &str)], expected: &str| {
        let product = Product::strict(template, rules(template));
        let template = &product.fleet.fsus[0].devices[0].template;
        let values: Vec<(String, String)> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (_, mut raw) = build_any(template, key, &values).unwrap();
        let mut wire = Vec::new();
        finish(template, &mut raw, &mut wire);
        assert_eq!(hex(&wire), expected.replace(' ', ""));
    };
    check(&tracker(), "0002", &[("sequence", "127"), ("data", "03")], TRACKER[2].0);
    check(&tracker(), "0002", &[("data", "7E")], TRACKER[3].0);
    check(
        &meter("wire"),
        "1100010000",
        &[("address", "AAAAAAAAAAAA")],
        "FEFEFEFE 68AAAAAAAAAAAA68 11 04 33333433 AE 16",
    );
    let dnp3 = dnp3();
    check(&dnp3, "C4", &[("dst", "0001"), ("src", "0400"), ("data", "C0C0013C02")], DNP3[1]);
}

/// A mark or an escape of the longest size, and one byte more.
#[test]
fn limit_mark_bytes_max_bytes_of_marks_and_escapes() {
    let of = |bytes: usize| {
        let mut template = tracker();
        template["protocol"]["envelope"]["preamble"] = json!("FE".repeat(bytes));
        told(&template)
    };
    assert_eq!(of(16), [""; 0]);
    assert!(of(17)[0].ends_with("(hex digits of 1 to 16 bytes)"), "{:?}", of(17));
}

/// A fault makes all checksums wrong, those of blocks too.
#[test]
fn a_fault_spoils_all_checksums() {
    let check = |template: &Value, wire: &str, spoiled: &[usize]| {
        let files = [("default.json".to_owned(), rules(template))];
        let setup = Setup { template, files: &files, verify: Verify::Strict, fsuid: "3031", device: (1, 1) };
        let mut product = Product::with("broadcast", &setup, &json!({"faults": {"bad_checksum": 1}})).unwrap();
        let mut wrong = bytes(wire);
        spoiled.iter().for_each(|&at| wrong[at] = !wrong[at]);
        assert_eq!(product.datagram_from(1, &bytes(wire), now())[0].1, wrong);
    };
    check(&dnp3(), DNP3[3], &[8, 9, 26, 27, 32, 33]);
    check(&dnp3(), DNP3[0], &[8, 9]);
    let header = json!({"field": "hcs", "algorithm": "sum", "to": "n"});
    let all = json!({"field": "crc", "algorithm": "crc16"});
    check(&two(json!([header, all])), "68010203AABBD6AB16", &[3, 6, 7]);
}

/// Bytes as they are go out in the envelope.
#[test]
fn raw_replies_in_an_envelope() {
    let mut product = Product::strict(&tracker(), json!({"0002": {"replies": [{"raw": "E57E"}]}}));
    let reply = product.respond(&bytes(TRACKER[0].0), now());
    assert_eq!(reply, Outcome::Reply(bytes("7E E5 7D02 7E"), 0));
}
