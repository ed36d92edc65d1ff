//! Serving allocates nothing once its buffers have grown: a counting allocator watches request to reply.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::dissect::inner::{Content, Inner, Reading};
use fsu_core::dissect::outer::{Outer, Way};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults, Scheduled};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::envelope::{Frames, Head};
use fsu_plan::wire::{inner, value};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

fn shipped() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config/sys_config.json");
    compile(&mut loader, &root).expect("the shipped configuration compiles")
}

/// One request of every command of an FSU's devices: header and data bytes zero but for what frames and selects it.
fn requests(fsu: &Fsu) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for device in fsu.devices.iter() {
        let template = &device.template;
        for command in &template.commands {
            let data_len = template.data_len_fixed.unwrap_or(command.request_len);
            let mut raw = vec![0; template.left_len + data_len + template.tail_len];
            let len = raw.len();
            raw[..template.start.len()].copy_from_slice(&template.start);
            raw[len - template.end.len()..].copy_from_slice(&template.end);
            for constant in command.constants.iter().chain(&template.versions) {
                let at = constant.at.in_frame(len);
                raw[at..at + constant.bytes.len()].copy_from_slice(&constant.bytes);
            }
            let shape =
                template.keys.iter().find(|shape| shape.table.iter().any(|(key, _)| *key == command.key)).unwrap();
            let mut key = command.key;
            for part in shape.parts.iter().rev() {
                let at = part.at.in_frame(len);
                let value = (key & ((1 << (8 * part.len)) - 1)) as u64;
                fsu_plan::wire::checksum::write_number(value, part.little, &mut raw[at..at + part.len]);
                key >>= 8 * part.len;
            }
            for field in &template.lengths {
                let at = field.at.in_frame(len);
                let value = inner::length_value(field, data_len);
                fsu_plan::wire::checksum::write_number(value, field.little, &mut raw[at..at + field.len]);
            }
            if let Some(checksum) = template.checksum.as_ref().filter(|checksum| !checksum.over_wire) {
                let value = fsu_plan::wire::checksum::compute(checksum, template, &raw, &raw);
                let at = checksum.at.in_frame(len);
                fsu_plan::wire::checksum::write_number(value, checksum.little, &mut raw[at..at + checksum.len]);
            }
            let mut wire = Vec::new();
            inner::encode_wire(template, &raw, &mut wire);
            if fsu.transport == Transport::Udp {
                let head = Head::request(&fsu.id.bytes, &[0; 8], device.sub_dev_type, device.sub_dev_addr);
                let (mut framed, mut escaped) = (Vec::new(), Vec::new());
                head.build(Some(&wire), &mut framed).unwrap();
                wire = fsu_plan::wire::envelope::escape(&framed, &mut escaped).to_vec();
            }
            out.push(wire);
        }
    }
    out
}

#[test]
fn no_allocation_from_request_to_reply() {
    assert_no_allocation(&shipped(), 500);
}

#[test]
fn nor_with_faults_made_on_purpose() {
    let mut base =
        FaultSet { split_pieces: 3, split_gap_ms: 1, reorder_ms: 1, extra_delay_ms: 1, ..FaultSet::default() };
    for kind in FaultKind::ALL {
        base.set_p(kind, 0.3);
    }
    base.set_p(FaultKind::Drop, 0.05);
    let (from_ms, to_ms, faults) = (0, u64::MAX, FaultSet::default());
    let schedule = [Scheduled { from_ms, to_ms, faults }].into();
    let faults = Arc::new(FsuFaults { base, schedule });
    let mut fleet = shipped();
    for fsu in &mut fleet.fsus {
        fsu.faults = Some(faults.clone());
    }
    assert_no_allocation(&fleet, 500);
}

#[test]
fn nor_with_numbers_and_text_of_every_type() {
    let dir = tempfile::tempdir().unwrap();
    let field = |name: &str, kind: &str, length: u32, more: &str| {
        format!(r#"{{"name": "{name}", "type": "{kind}", "length": {length}{more}}}"#)
    };
    let types = [
        ("dec", 6, "", "${rand(1,9)}$"),
        ("hexdigits", 6, "", "${rand(1,9)}$"),
        ("sbcd", 3, "", "${rand(-9,9)}$"),
        ("uint", 2, r#", "scale": 0.1, "offset": -4, "unit": "V""#, "${rand(1,9)}$"),
        ("hex", 1, r#", "enum": {"00": "closed", "01": "open"}"#, "${choice(open,closed)}$"),
        ("epoch", 6, r#", "unit": "ms""#, "${datetime()}$"),
        ("cp56time2a", 7, "", "${datetime()}$"),
        ("str", 9, r#", "charset": "gbk", "pad": " ""#, "京${choice(A,B)}$"),
    ];
    let of = |what: &str| -> Vec<String> {
        types
            .iter()
            .enumerate()
            .map(|(n, (kind, len, more, _))| field(&format!("{what}{n}"), kind, *len, more))
            .collect()
    };
    let (asked, made, copied) = (of("a"), of("b"), of("c"));
    let values =
        types.iter().enumerate().map(|(n, (_, _, _, value))| format!(r##""b{n}": "{value}", "c{n}": "#{{a{n}}}#""##));
    let values: Vec<String> = values.collect();
    let template = format!(
        r#"{{"vendor": "v", "rule_file_list": ["default.json"], "protocol": {{"data_frame_type_flag": "cmd",
        "checksum": {{"algorithm": "crc16"}}, "pdu_left": [{}, {}, {}], "pdu_tailer": [{}],
        "data_frame": [{{"data_frame_type": "0A", "req_data_list": [{}], "resp_data_list": [{}, {}]}}]}}}}"#,
        field("start", "hex", 1, r#", "value": "7E""#),
        field("len", "dec", 4, r#", "value": "{{data_frame_length}}""#),
        field("cmd", "hexdigits", 2, ""),
        field("checksum", "hexdigits", 4, ""),
        asked.join(", "),
        made.join(", "),
        copied.join(", "),
    );
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("protocol.json", &template);
    write("default.json", &format!(r#"{{"0A": {{"data": {{{}}}}}}}"#, values.join(", ")));
    write(
        "fsu_devices.json",
        r#"{"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "protocol.json"}]}"#,
    );
    write(
        "sys_config.json",
        r#"{"fsu_list": [{"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "tcp", "config_dir": "."}]}"#,
    );
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    assert_no_allocation(&fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>())), 3);
}

#[test]
fn a_dissected_frame_allocates_nothing() {
    let mut pieces = 0;
    for fsu in &shipped().fsus {
        let requests = requests(fsu);
        let (mut plain, mut raw, mut text) = (Vec::new(), Vec::new(), Vec::new());
        let mut dissect = || {
            for wire in &requests {
                let mut through = Some(&wire[..]);
                if fsu.transport == Transport::Udp {
                    let frame = Frames::new(wire).next().unwrap().unwrap();
                    let outer = Outer { plain: frame.plain(&mut plain).unwrap(), way: Way::Down, fsu };
                    outer.visit(|_| pieces += 1);
                    through = outer.through();
                }
                let device = fsu.devices.iter().find_map(|device| {
                    inner::parse(&device.template, through?, &mut raw).ok().map(|_| &device.template)
                });
                let template = &**device.unwrap();
                let frame = inner::parse(template, through.unwrap(), &mut raw).unwrap();
                let command = inner::command(template, &frame).map(|number| &template.commands[number]);
                let read = Inner::new(template, frame, Reading { command, content: Content::Request });
                for piece in read.pieces() {
                    text.clear();
                    if let Some(field) = piece.field() {
                        value::decode_into(&field.slot, piece.bytes, &mut text);
                    }
                    std::hint::black_box(read.right(&piece).holds(piece.bytes));
                    pieces += 1;
                }
            }
        };
        dissect();
        let counted = allocation_counter::measure(dissect);
        assert_eq!(counted.count_total, 0, "{} allocated {} times", fsu.name, counted.count_total);
    }
    assert!(pieces > 10_000, "{pieces} pieces are no proof");
}

/// The requests of bench/walked over TCP and, in outer frames, over UDP.
#[test]
fn nor_where_fields_vary_in_size() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("bench/walked");
    let read =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&std::fs::read(root.join(name)).unwrap()).unwrap() };
    let asked = read("requests.json");
    for transport in ["tcp", "udp"] {
        let dir = tempfile::tempdir().unwrap();
        let mut main = read("sys_config.json");
        for fsu in main["fsu_list"].as_array_mut().unwrap() {
            let config_dir = root.join(fsu["config_dir"].as_str().unwrap()).canonicalize().unwrap();
            (fsu["config_dir"], fsu["port"]) = (json!(config_dir), json!(0));
            (fsu["fsuid"], fsu["protocol_type"]) = (json!("3031"), json!(transport));
        }
        std::fs::write(dir.path().join("sys_config.json"), main.to_string()).unwrap();
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
        let fleet = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()));
        let requests = |fsu: &Fsu| -> Vec<Vec<u8>> {
            let own = asked.as_array().unwrap().iter().filter(|one| one["fsu"] == *fsu.name);
            own.map(|one| travelling(fsu, &hex::decode(one["request"].as_str().unwrap()).unwrap())).collect()
        };
        assert_none_of(&fleet, 4 * fleet.fsus.len() - 1, requests);
    }
}

/// A request to an FSU's first device as it travels.
fn travelling(fsu: &Fsu, inner: &[u8]) -> Vec<u8> {
    if fsu.transport != Transport::Udp {
        return inner.to_vec();
    }
    let device = &fsu.devices[0];
    let head = Head::request(&fsu.id.bytes, &[0; 8], device.sub_dev_type, device.sub_dev_addr);
    let (mut framed, mut escaped) = (Vec::new(), Vec::new());
    head.build(Some(inner), &mut framed).unwrap();
    fsu_plan::wire::envelope::escape(&framed, &mut escaped).to_vec()
}

/// More than `least` requests are answered, without an allocation.
fn assert_no_allocation(fleet: &Fleet, least: usize) {
    assert_none_of(fleet, least, requests);
}

/// The same of these requests of each FSU.
fn assert_none_of(fleet: &Fleet, least: usize, requests: impl Fn(&Fsu) -> Vec<Vec<u8>>) {
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let now = Now { unix_ms: 1_768_239_003_000, utc_offset_s: 28_800 };
    let moment = Moment::at(now, 0);
    let mut scratch = Scratch::default();
    let mut answered = 0;
    for fsu in &fleet.fsus {
        let mut state = FsuState::new(fsu);
        let requests = requests(fsu);
        // What it keeps of one request is not the mock's to allocate.
        let mut replies = Replies::with_capacity(1_024, 1 << 20);
        let mut serve = |times: usize| {
            let mut answered = 0;
            for request in (0..times).flat_map(|_| &requests) {
                // As on a new connection: the one before may have been cut.
                replies.reset();
                let (run, state, scratch) = (&run, &mut state, &mut scratch);
                let mut turn = Turn { run, fsu, state, scratch, moment };
                stage::on_request(&mut turn, request[..].into(), &mut replies);
                answered += replies.sent().count();
            }
            answered
        };
        // Warm-up: every cycle place has its turn, every register its longest text.
        serve(16);
        let mut here = 0;
        let counted = allocation_counter::measure(|| here = serve(4));
        assert_eq!(counted.count_total, 0, "{} allocated {} times", fsu.name, counted.count_total);
        assert!(here > 0, "{} answered nothing", fsu.name);
        answered += here;
    }
    assert!(answered > least, "{answered} replies are no proof");
}

/// One FSU whose device has an area, a keyed register, a counter, and rules that use all of it.
fn remembering(dir: &Path) -> Fleet {
    let field = |name: &str, kind: &str, length: u32| json!({"name": name, "type": kind, "length": length});
    let counted = json!({"name": "values", "length": {"field": "many"}});
    let files = [
        (
            "sys_config.json",
            json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast",
            "config_dir": ".", "params": {"imei": "860000000000001"}}]}),
        ),
        (
            "fsu_devices.json",
            json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01",
            "protocol_template": "t.json", "memory": {"holding": {"bytes": 400, "init": {"0": "0001"}}},
            "registers": {"cards": {"entries_max": 3}}}]}),
        ),
        (
            "t.json",
            json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
            "dynamic_length": true,
            "data_frame_type_flag": "cmd",
            "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, field("cmd", "hex", 1)],
            "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
            "data_frame": [{"data_frame_type": "01", "req_data_list": [field("addr", "uint", 2), field("n", "uint", 2)],
                "resp_data_list": [field("s", "str", 30), field("u", "uint", 2), field("many", "uint", 1), counted]}]}}),
        ),
        (
            "default.json",
            json!({"01": [
            {"when": "n > 9000 && reg(total) > 5", "timeout": true},
            {"when": "in_area(holding, addr * 2, n * 2) || has(cards[addr])",
                "set": {"total": "${reg(total) % 7 + n}$", "cards[#{addr}#]": "#{n}#", "cards[addr + 1]": null},
                "store": [{"area": "holding", "at": "addr * 2", "value": "n"}, {"area": "holding", "bit": "addr", "value": 1}],
                "data": {"s": "${cat(param(imei), hex(crc(CRC-16/MODBUS, mem(holding, 0, 8)), 4))}$",
                    "u": "${count(calls, 1) + entries(cards) * 256}$",
                    "values": "${mem(holding, addr * 2, n * 2)}$"}}]}),
        ),
    ];
    for (name, content) in files {
        std::fs::write(dir.join(name), content.to_string()).unwrap();
    }
    compile(&mut Loader::new(Source::Directory), &dir.join("sys_config.json")).expect("it compiles")
}

#[test]
fn nor_where_values_are_computed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = remembering(dir.path());
    let fsu = &fleet.fsus[0];
    let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
    let moment = Moment::at(Now { unix_ms: 1_768_239_003_000, utc_offset_s: 28_800 }, 0);
    let (mut scratch, mut state) = (Scratch::default(), FsuState::new(fsu));
    let mut serve = |rounds: u16| {
        let mut answered = 0;
        for addr in (0..rounds).flat_map(|_| 0..40_u16) {
            let (high, low) = (addr.to_be_bytes()[0], addr.to_be_bytes()[1]);
            let mut turn = Turn { run: &run, fsu, state: &mut state, scratch: &mut scratch, moment };
            let request = [0x7E, 0x01, high, low, 0, 40, 0x0D];
            answered += usize::from(matches!(respond(&mut turn, 0, &request), Verdict::Reply { .. }));
        }
        answered
    };
    serve(4);
    let mut answered = 0;
    let counted = allocation_counter::measure(|| answered = serve(4));
    assert_eq!((counted.count_total, answered), (0, 160));
    assert_eq!((state.counters.expression_failures, state.counters.value_misfits), (0, 0));
}
