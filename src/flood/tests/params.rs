//! FSUs whose parameters decide what they answer.

use super::{NOW, RUN};
use crate::workload::left_out::Why;
use crate::workload::profile::{Profiles, Wanted};
use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::Moment;
use fsu_core::state::FsuState;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use serde_json::{Value, json};

/// Three meters with addresses of their own. Their frames: 68, the address, the command, a byte, data, 16.
fn meters(rules: &Value, is_matched: bool) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let field = |name: &str, length: usize| json!({"name": name, "length": length});
    let command = |key: &str, response: Value| json!({"data_frame_type": key, "req_data_list": [field("n", 1)], "resp_data_list": [field("n", 1), response]});
    let mut address = field("address", 3);
    if is_matched {
        address["value"] = json!("${param(meter)}$");
        address["match"] = json!(true);
    }
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true,
        "data_frame_type_flag": "fc",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, address, field("fc", 1)],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [command("11", field("v", 2)), command("12", json!({"name": "text", "type": "str", "length": "rest"}))]
    }});
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"});
    let fsu = json!({"fsuname": "m", "count": 3, "port": 0, "protocol_type": "tcp", "config_dir": ".", "params": {"meter": "000008"}});
    let files = [
        ("sys_config.json", json!({"fsu_list": [fsu]})),
        ("fsu_devices.json", json!({"device_list": [device]})),
        ("t.json", template),
        ("default.json", rules.clone()),
    ];
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:#?}", loader.diags.lines().collect::<Vec<_>>()))
}

/// What each of three meters is asked and answers: lists of `request reply`, after a check of each reply. `left_out`: the rest.
#[track_caller]
fn check(rules: &Value, expected: [&[&str]; 3], left_out: &[(&str, Why, usize)]) {
    check_of(&meters(rules, false), expected, left_out);
}

#[track_caller]
fn check_of(fleet: &Fleet, expected: [&[&str]; 3], left_out: &[(&str, Why, usize)]) {
    let mut profiles = Profiles::default();
    for (fsu, expected) in fleet.fsus.iter().zip(expected) {
        let profile = profiles.of(fsu, &Wanted::default()).unwrap();
        let (mut state, mut scratch, mut decoded) = (FsuState::new(fsu), Scratch::default(), Vec::new());
        let mut got = Vec::new();
        for prepared in profile.iter().flat_map(|profile| &profile.requests) {
            let mut turn =
                Turn { run: &RUN, fsu, state: &mut state, scratch: &mut scratch, moment: Moment::at(NOW, 0) };
            let verdict = respond(&mut turn, 0, &prepared.wire);
            assert!(matches!(verdict, Verdict::Reply { .. }), "{verdict:?} {}", hex::encode(&prepared.wire));
            let reply = scratch.on_wire(prepared.template()).to_vec();
            let fits = |reply: &[u8], decoded: &mut Vec<u8>| {
                prepared.expect.check(prepared.template(), &prepared.raw, reply, decoded)
            };
            assert_eq!(fits(&reply, &mut decoded), Ok(()), "{}", hex::encode(&reply));
            let longer = [&reply[..reply.len() - 1], &[0, 0x16]].concat();
            assert!(fits(&longer, &mut decoded).is_err(), "{}", hex::encode(longer));
            got.push(format!("{} {}", hex::encode_upper(&prepared.wire), hex::encode_upper(&reply)));
        }
        assert_eq!(got, expected);
    }
    let out = profiles.left_out.iter();
    let out: Vec<_> = out.map(|out| (&*profiles.labels[out.label].key, out.why, out.fsus)).collect();
    assert_eq!(out, left_out);
}

#[test]
fn a_condition_on_a_parameter_gives_each_fsu_its_own_request() {
    let answer = json!({"data": {"v": "1234"}});
    let own: [&[&str]; 3] = [
        &["68000008110016 680000081100123416"],
        &["68000009110016 680000091100123416"],
        &["68000010110016 680000101100123416"],
    ];
    let left = [("12", Why::NoRule, 3)];
    let when = |when: &str| json!({"11": {"when": when, "data": answer["data"]}});
    check(&when("address == param(meter)"), own, &left);
    check(&when("param(meter) == address && n >= 0"), own, &left);
    check(&json!({"when": "address == param(meter) || address == 'AAAAAA'", "11": answer}), own, &left);
    check(&json!({"11": [{"when": "address == param(meter)", "data": answer["data"]}, {"timeout": true}]}), own, &left);
    // The template says it.
    check_of(&meters(&json!({"11": answer}), true), own, &left);
    check_of(&meters(&when("n == 0"), true), own, &left);
    let state = [("11", Why::State, 3), ("12", Why::NoRule, 3)];
    check(&when("address == param(meter) && reg(a) == 1"), [&[], &[], &[]], &state);
    // The first value that a field is compared with.
    let wild: &[&str] = &["68AAAAAA110116 68AAAAAA1101123416"];
    check(&when("address == 'AAAAAA' && n == 1 || address == param(meter)"), [wild; 3], &left);
    // Only the last FSU has that parameter.
    let last = [("11", Why::Values, 2), ("12", Why::NoRule, 3)];
    check(&when("param(meter) == '000010' && n == 0"), [&[], &[], &["68000000110016 680000001100123416"]], &last);
}

#[test]
fn values_of_varying_size_may_read_parameters() {
    let rules = json!({"12": {"data": {"text": "#{n}#-${param(meter)}$-${substr(param(meter), 4)}$"}}});
    let reply = |digits: &str| {
        let text = format!("00-0000{digits}-{digits}");
        format!("68000000120016 680000001200{}16", hex::encode_upper(text))
    };
    let replies = ["08", "09", "10"].map(reply);
    let all = [[&*replies[0]], [&*replies[1]], [&*replies[2]]];
    check(&rules, [&all[0], &all[1], &all[2]], &[("11", Why::NoRule, 3)]);
}
