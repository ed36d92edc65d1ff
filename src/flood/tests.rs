//! Requests against the golden vectors; replies of the responder, and broken ones, against what is expected of them.

mod params;

use crate::expect::{self, Expect, Wrong};
use crate::workload::left_out::Why;
use crate::workload::profile::{Prepared, Profiles, Wanted};
use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::client::request::{encode, field, finish};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::template::Template;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::inner;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned()
}

fn shipped() -> Fleet {
    let mut loader = Loader::new(Source::Directory);
    compile(&mut loader, &root().join("config/sys_config.json")).expect("the shipped configuration compiles")
}

/// The template of a vendor's directory.
fn template<'a>(fleet: &'a Fleet, vendor: &str) -> &'a Template {
    let devices = fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter());
    let mut templates = devices.map(|device| &*device.template);
    templates.find(|template| template.path.contains(&format!("/{vendor}/"))).expect("a template")
}

fn vectors(vendor: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root().join(format!("tests/vectors/{vendor}.json"))).expect("vectors");
    serde_json::from_str(&text).expect("JSON")
}

/// The notation of a vector's value in a field of ours.
fn notation(value: &Value, bcd_digits: Option<usize>) -> String {
    match (value, bcd_digits) {
        (Value::Number(number), Some(digits)) => format!("{number:0>digits$}"),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}

#[test]
fn requests_are_the_golden_ones() {
    let fleet = shipped();
    let mut compared = 0;
    for vendor in ["bangsun_old", "bangsun_new", "haineng", "yaao", "yingjia", "es1000"] {
        let template = template(&fleet, vendor);
        for vector in vectors(vendor).iter().filter(|vector| vector.get("request_fields").is_some()) {
            let name = vector["name"].as_str().unwrap();
            let wire = hex::decode(vector["request"].as_str().unwrap()).unwrap();
            let mut scratch = Vec::new();
            let frame = inner::parse(template, &wire, &mut scratch).unwrap();
            let command = &template.commands[inner::command(template, &frame).unwrap()];
            let fields = vector["request_fields"].as_object().unwrap();
            let mut values = Vec::new();
            for (name, value) in fields {
                let Some(field) = field(template, command, name) else { continue };
                let digits = (field.slot.kind == fsu_plan::model::field::Kind::Bcd
                    || field.slot.kind == fsu_plan::model::field::Kind::Hex)
                    .then_some(field.slot.len * 2);
                values.push((name.as_str(), notation(value, digits)));
            }
            let values: Vec<(&str, &str)> = values.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let ours = encode(template, command, &values).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(hex::encode_upper(&ours), hex::encode_upper(&wire), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 180, "{compared} requests are no proof");
}

const RUN: RunContext = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
const NOW: Now = Now { unix_ms: 1_768_239_003_000, utc_offset_s: 28_800 };

#[test]
fn replies_of_the_responder_are_right_and_broken_ones_are_not() {
    let fleet = shipped();
    let (mut right, mut broken) = (0, 0);
    let mut profiles = Profiles::default();
    for fsu in &fleet.fsus {
        let profile = profiles.of(fsu, &Wanted::default()).unwrap().expect("something to ask");
        let (mut state, mut scratch) = (FsuState::new(fsu), Scratch::default());
        let mut raw = Vec::new();
        for prepared in &profile.requests {
            let moment = Moment::at(NOW, 0);
            let device = fsu.devices.iter().position(|device| Arc::ptr_eq(device, &prepared.device)).unwrap();
            // More than once: cycles.
            for _ in 0..3 {
                let verdict = respond(
                    &mut Turn { run: &RUN, fsu, state: &mut state, scratch: &mut scratch, moment },
                    device,
                    &prepared.wire,
                );
                assert!(matches!(verdict, Verdict::Reply { .. }), "{verdict:?} {}", hex::encode(&prepared.wire));
                let check = |wire: &[u8], raw: &mut Vec<u8>| {
                    prepared.expect.check(prepared.template(), &prepared.raw, wire, raw)
                };
                let reply = scratch.on_wire(prepared.template());
                assert_eq!(check(reply, &mut raw), Ok(()), "{}", hex::encode_upper(reply));
                right += 1;
                for at in 0..reply.len() {
                    let mut wire = reply.to_vec();
                    wire[at] ^= 0x10;
                    broken += usize::from(check(&wire, &mut raw).is_err());
                }
                let mut short = reply.to_vec();
                short.remove(short.len() / 2);
                assert!(check(&short, &mut raw).is_err());
            }
        }
    }
    assert!(right > 300 && broken > 10 * right, "{right} right, {broken} broken");
}

/// The reply to a raw request, as it travels.
fn answered(fsu: &Fsu, prepared: &Prepared, raw: &mut [u8], state: &mut FsuState, scratch: &mut Scratch) -> Vec<u8> {
    let device = fsu.devices.iter().position(|device| Arc::ptr_eq(device, &prepared.device)).unwrap();
    let mut wire = Vec::new();
    finish(prepared.template(), raw, &mut wire);
    let moment = Moment::at(NOW, 0);
    let verdict = respond(&mut Turn { run: &RUN, fsu, state, scratch, moment }, device, &wire);
    assert!(matches!(verdict, Verdict::Reply { .. }), "{verdict:?} {}", hex::encode(&wire));
    scratch.on_wire(prepared.template()).to_vec()
}

/// Requests with marks are answered by the same rule, and each reply is right for its own and for none of the others.
#[test]
fn h07_marked_requests_are_answered_and_told_apart() {
    let fleet = shipped();
    let mut profiles = Profiles::default();
    let (mut marked, mut equal) = (0, Vec::new());
    for fsu in fleet.fsus.iter().filter(|fsu| fsu.transport != Transport::Broadcast) {
        let profile = profiles.of(fsu, &Wanted::default()).unwrap().expect("something to ask");
        let (mut state, mut scratch, mut decoded) = (FsuState::new(fsu), Scratch::default(), Vec::new());
        for prepared in &profile.requests {
            let key = &prepared.template().commands[prepared.command].key_text;
            let Some(marks) = &prepared.marks else {
                equal.push(format!("{} of {}", key, prepared.device.vendor));
                continue;
            };
            marked += 1;
            let mut before: Option<Vec<u8>> = None;
            for number in [0, 1, 2, 9, 10, 99, 1_000, 65_537, marks.count() - 1].map(|number| number % marks.count()) {
                let mut raw = prepared.raw.to_vec();
                marks.write(number, &mut raw);
                let wire = answered(fsu, prepared, &mut raw, &mut state, &mut scratch);
                let (template, expect) = (prepared.template(), &prepared.expect);
                assert_eq!(expect.check(template, &raw, &wire, &mut decoded), Ok(()), "{key} {number}");
                let mut classes = Vec::new();
                expect.echo().classes(7, expect::raw(template, &wire, &decoded), &mut classes);
                assert!(classes.contains(&expect.echo().class(7, &raw)), "{key} {number}");
                if number == 0 {
                    assert_eq!(raw, *prepared.raw, "{key}");
                } else if let Some(before) = before.filter(|before| *before != raw) {
                    let wrong = expect.check(template, &before, &wire, &mut decoded);
                    assert_eq!(wrong, Err(Wrong::Copied), "{key} {number}");
                }
                before = Some(raw);
            }
            let mut all: Vec<Vec<u8>> = (0..marks.count().min(3_000))
                .map(|number| {
                    let mut raw = prepared.raw.to_vec();
                    marks.write(number, &mut raw);
                    raw
                })
                .collect();
            all.sort_unstable();
            assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{key}");
        }
    }
    equal.sort_unstable();
    equal.dedup();
    assert!(marked > 100, "{marked} marked, not: {equal:?}");
    // It asks for the address: no byte of the request comes back.
    assert_eq!(equal, ["1101 of bangsun_new", "1101 of bangsun_old"]);
}

#[test]
fn what_is_wrong_is_told() {
    let fleet = shipped();
    let template = template(&fleet, "bangsun_old");
    let fsu = fleet.fsus.iter().find(|fsu| std::ptr::eq(&raw const *fsu.devices[0].template, template)).unwrap();
    let command = template.commands.iter().position(|command| &*command.key_text == "108B").unwrap();
    let wire = encode(template, &template.commands[command], &[("address", "4467"), ("year", "26")]).unwrap();
    let expect = Expect::new(&fsu.devices[0], command, &fsu.devices[0].rules[command], &wire);
    // With a right checksum: the change is found by what the rule says, not by the sum.
    let check = |at: usize, byte: u8, expected: Result<(), Wrong>| {
        let mut reply = wire.clone();
        reply[at] = byte;
        let sum: u16 = reply[1..31].iter().map(|&byte| u16::from(byte)).sum();
        reply[31..33].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(expect.check(template, &wire, &reply, &mut Vec::new()), expected, "{at}");
    };
    check(5, 0x26, Ok(()));
    check(5, 0x27, Err(Wrong::Copied));
    check(1, 0x68, Err(Wrong::Copied));
    check(3, 0x8C, Err(Wrong::Key));
    check(20, 0x01, Err(Wrong::Static));
}

/// A register map of 20 registers: command 03 reads any of them, 06 writes one, 07 is answered by what was written.
fn register_map(dir: &Path) -> Fleet {
    let number = |name: &str, value: u32| json!({"name": name, "type": "uint", "length": 2, "value": value});
    let field = |name: &str| json!({"name": name, "length": 1});
    let counted = json!({"name": "values", "length": {"field": "count"}});
    let command = |key: &str, request: Value, response: Value| json!({"data_frame_type": key, "req_data_list": request, "resp_data_list": response});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json",
        "memory": {"holding": {"bytes": 40, "init": {"0": "0001"}}}});
    let rest = json!({"name": "text", "type": "str", "length": "rest"});
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
    "dynamic_length": true,
    "data_frame_type_flag": "fc",
    "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, field("fc")],
    "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
    "data_frame": [
        command("03", json!([number("addr", 4), number("n", 3)]), json!([{"name": "count", "type": "uint", "length": 1}, counted])),
        command("06", json!([number("addr", 4), number("value", 7)]), json!([number("addr", 0), number("value", 0)])),
        command("07", json!([number("addr", 4)]), json!([number("twice", 0)])),
        command("08", json!([number("addr", 4)]), json!([number("twice", 0)])),
        command("09", json!([number("addr", 4)]), json!([rest]))
    ]}});
    let rules = json!({
        "03": [{"when": "in_area(holding, addr * 2, n * 2)", "data": {"values": "${mem(holding, addr * 2, n * 2)}$"}}, {"timeout": true}],
        "06": {"store": {"area": "holding", "at": "addr * 2", "value": "value"}, "set": {"last": "${value}$"}},
        "07": [{"when": "reg(last) == 7", "data": {"twice": "${addr * 2}$"}}, {"data": {"twice": 1}}],
        "08": [{"when": "reg(last) == 7", "timeout": true}, {"data": {"twice": 1}}],
        "09": {"data": {"text": "${addr * 25}$"}}
    });
    let files = [
        (
            "sys_config.json",
            json!({"fsu_list": [{"fsuname": "a", "port": 0, "protocol_type": "broadcast", "config_dir": "."}]}),
        ),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", template),
        ("default.json", rules),
    ];
    for (name, content) in files {
        std::fs::write(dir.join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:#?}", loader.diags.lines().collect::<Vec<_>>()))
}

#[test]
fn values_that_are_computed_are_right_and_what_the_device_remembers_may_be_either() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = register_map(dir.path());
    let fsu = &fleet.fsus[0];
    let mut profiles = Profiles::default();
    let profile = profiles.of(fsu, &Wanted::default()).unwrap().expect("something to ask");
    let keys: Vec<&str> = profile.requests.iter().map(|one| &*one.template().commands[one.command].key_text).collect();
    assert_eq!(keys, ["03", "06", "07", "09"]);
    let left_out: Vec<(&str, Why)> =
        profiles.left_out.iter().map(|out| (&*profiles.labels[out.label].key, out.why)).collect();
    assert_eq!(left_out, [("08", Why::State)]);
    let (mut state, mut scratch, mut decoded) = (FsuState::new(fsu), Scratch::default(), Vec::new());
    // Before and after the register is set.
    for _ in 0..2 {
        for prepared in [2, 0, 1, 3].map(|number| &profile.requests[number]) {
            let mut raw = prepared.raw.to_vec();
            let wire = answered(fsu, prepared, &mut raw, &mut state, &mut scratch);
            let check =
                |wire: &[u8], decoded: &mut Vec<u8>| prepared.expect.check(prepared.template(), &raw, wire, decoded);
            assert_eq!(check(&wire, &mut decoded), Ok(()), "{}", hex::encode_upper(&wire));
            let longer = [&wire[..wire.len() - 1], &[0, 0x0D]].concat();
            assert!(check(&longer, &mut decoded).is_err());
        }
    }
}
