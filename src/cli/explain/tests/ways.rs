//! Frames in either direction, outer and inner, and what they are read as.

use super::*;
use crate::args::TakeAs;
use fsu_core::client::request::{build, finish};
use fsu_plan::compile::compile;
use fsu_plan::model::fleet::Fleet;
use model::ReplyView;
use serde_json::{Value, json};

/// An FSU with this transport, these commands and rules. Its template has start, length, command, data and end.
fn fleet(transport: &str, commands: &Value, rules: &Value, more: &Value) -> (tempfile::TempDir, Fleet) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    let protocol = json!({
        "dynamic_length": true,
        "data_frame_type_flag": "cmd",
        "pdu_left": [
            {"name": "start", "length": 1, "value": "7E"},
            {"name": "len", "length": 1, "type": "length"},
            {"name": "cmd", "length": 1}
        ],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": commands
    });
    let mut fsu = json!({"fsuname": "dev", "port": 0, "protocol_type": transport, "config_dir": ".", "fsuid": "3132"});
    fsu.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let device =
        |address: &str| json!({"sub_dev_type": "01", "sub_dev_addr": address, "protocol_template": "protocol.json"});
    write("protocol.json", &json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": protocol}));
    write("default.json", rules);
    write("fsu_devices.json", &json!({"device_list": [device("01"), device("02")]}));
    write("sys_config.json", &json!({"fsu_list": [fsu]}));
    let mut loader = fsu_plan::config::load::Loader::new(fsu_plan::config::source::Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    assert!(!loader.diags.has_errors(), "{:?}", loader.diags.lines().collect::<Vec<_>>());
    (dir, fleet.unwrap())
}

/// A request and a reply of one byte each; `02` answers with a burst.
fn simple(transport: &str) -> (tempfile::TempDir, Fleet) {
    let field = json!([{"name": "x", "length": 1}]);
    let commands = json!([
        {"data_frame_type": "01", "req_data_list": [], "resp_data_list": field},
        {"data_frame_type": "02", "req_data_list": [], "resp_data_list": field},
        {"data_frame_type": "03", "req_data_list": field, "resp_data_list": field}
    ]);
    let burst: Vec<Value> = (1..=3).map(|x| json!({"x": format!("{x:02}")})).collect();
    let rules = json!({
        "01": {"data": {"x": "11"}},
        "02": {"burst": 10, "delay_ms": 20, "cycle": burst},
        "03": {"data": {"x": "#{x}#"}}
    });
    fleet(transport, &commands, &rules, &json!({}))
}

fn explained(fsu: &Fsu, said: Said, bytes: &[u8]) -> (Explanation, String) {
    let run = RunContext { seed: 0, skip_delay: false, start_mono_ms: 0 };
    let all = explanation(fsu, About { said, ..About::default() }, run, Now { unix_ms: 0, utc_offset_s: 0 }, bytes);
    let template = fsu.devices.first().map_or(Path::new(""), |device| Path::new(&*device.template.path));
    let files = template.parent().filter(|dir| dir.is_dir()).unwrap_or(Path::new(EMBEDDED));
    chinese::check(&written(&all, Texts::of(Language::Zh)), Some(files));
    let text = written(&all, Texts::ENGLISH);
    (all, text)
}

fn outer_request(fsu: &Fsu, inner: &[u8]) -> Vec<u8> {
    let (mut plain, mut escaped) = (Vec::new(), Vec::new());
    Head::request(&fsu.id.bytes, &[0; 8], 1, 1).build(Some(inner), &mut plain).unwrap();
    escape(&plain, &mut escaped).to_vec()
}

fn has_wrong_rows(all: &Explanation) -> bool {
    all.items.iter().flat_map(|item| &item.layers).flat_map(|layer| &layer.fields).any(|row| row.ok == Some(false))
}

const REQUEST: &str = "7E00010D";
const REPLY: &str = "7E0101110D";

#[test]
fn n17_either_frame_in_either_direction() {
    for transport in ["udp", "tcp", "broadcast"] {
        let (_dir, fleet) = simple(transport);
        let fsu = &fleet.fsus[0];
        let check = |hex: &str, taken_for: &str, reply: Option<&str>| {
            let (all, text) = explained(fsu, Said::default(), &hex::decode(hex).unwrap());
            assert!(all.taken_for.concat().contains(taken_for), "{transport} {hex}: {:?}", all.taken_for);
            assert!(!text.contains("WRONG") && !text.contains("wrong:"), "{text}");
            let replies = all.items.iter().flat_map(|item| &item.replies);
            let inner: Vec<&str> = replies.map(|reply| reply.inner.as_ref().unwrap_or(&reply.hex).as_str()).collect();
            assert_eq!(inner.first().copied(), reply, "{transport} {hex}");
        };
        check(REQUEST, "(a request)", Some(REPLY));
        check(REPLY, "(a reply)", None);
        check("7E0102010D", "(a reply)", None);
        // It fits both; a request takes precedence.
        check("7E0103550D", "it may be a reply as well (--as reply)", Some("7E0103550D"));
        if transport == "udp" {
            let outer = outer_request(fsu, &hex::decode(REQUEST).unwrap());
            let (all, _) = explained(fsu, Said::default(), &outer);
            check(&hex(&outer), "an outer frame from a centre to the FSU (a request)", Some(REPLY));
            check(&all.replies[0], "an outer frame from the FSU to a centre (a reply)", None);
            let mut beat = Vec::new();
            stage::b_interface::heartbeat(fsu, &mut beat);
            check(&hex(&beat), "an outer frame from the FSU to a centre (a heartbeat)", None);
        }
    }
}

#[test]
fn n17_a_reply_without_a_key_and_with_bytes_of_its_own_is_one() {
    let field = json!([{"name": "x", "length": 1}]);
    let commands = json!([{"data_frame_type": "01", "req_data_list": [], "resp_data_list": field}]);
    // The reply has a code in place of the key; a real FSU may send other codes than the rules.
    for (rule, taken_for) in [(json!({"cmd": "E0", "x": "11"}), "(a reply)"), (json!({"x": "11"}), "(a request)")] {
        let (_dir, fleet) = fleet("tcp", &commands, &json!({"01": {"data": rule}}), &json!({}));
        let (all, text) = explained(&fleet.fsus[0], Said::default(), &hex::decode("7E01E2220D").unwrap());
        assert!(all.taken_for.concat().contains(taken_for), "{:?}", all.taken_for);
        assert_eq!(text.contains("wrong:"), taken_for == "(a request)", "{text}");
    }
}

#[test]
fn n17_a_reply_of_another_fsu_or_a_wrong_one_says_what_is_wrong() {
    let (_dir, fleet) = simple("udp");
    let fsu = &fleet.fsus[0];
    let outer = outer_request(fsu, &hex::decode(REQUEST).unwrap());
    let reply = hex::decode(&explained(fsu, Said::default(), &outer).0.replies[0]).unwrap();
    let check = |change: &dyn Fn(&mut Vec<u8>), wrong: &str| {
        let mut bytes = reply.clone();
        change(&mut bytes);
        let text = explained(fsu, Said { way: Some(Way::Up), ..Said::default() }, &bytes).1;
        assert!(text.contains("WRONG") && text.contains(wrong), "{text}");
    };
    check(&|bytes| bytes[43] ^= 1, "wrong: outer: P_verify is wrong");
    let set = |bytes: &mut Vec<u8>, at: usize, to: u8| {
        let verify = bytes.len() - 2;
        bytes[verify] ^= bytes[at] ^ to;
        bytes[at] = to;
    };
    check(&|bytes| set(bytes, 9, b'9'), "wrong: outer: from another FSU");
    check(&|bytes| set(bytes, 33, 0xEE), "wrong: outer: RtnFlag is not 00");
    check(&|bytes| set(bytes, 39, 7), "wrong: inner: the length contradicts the frame");
}

#[test]
fn n17_rtn_flags_that_centres_send_are_those_of_requests() {
    let (_dir, mut fleet) = simple("udp");
    let mut outer = outer_request(&fleet.fsus[0], &hex::decode(REQUEST).unwrap());
    let verify = outer.len() - 2;
    outer[verify] ^= outer[33];
    outer[33] = 0;
    let taken_for = |fleet: &Fleet| explained(&fleet.fsus[0], Said::default(), &outer).0.taken_for.concat();
    // The FSU's id is at the place that a request has it.
    assert!(taken_for(&fleet).ends_with("(a request)"));
    fleet.fsus[0].accept_rtn_flags = fsu_plan::model::fleet::RtnFlags::new(&[0xEE, 0]).unwrap();
    assert!(taken_for(&fleet).ends_with("(a request)"));
    let reply = hex::decode(&explained(&fleet.fsus[0], Said::default(), &outer).0.replies[0]).unwrap();
    let (all, text) = explained(&fleet.fsus[0], Said::default(), &reply);
    assert!(all.taken_for.concat().ends_with("(a reply)") && !text.contains("wrong:"), "{text}");
}

#[test]
fn n17_what_is_said_decides() {
    let (_dir, fleet) = simple("udp");
    let fsu = &fleet.fsus[0];
    let check = |words: &[TakeAs], bytes: &str, expected: &str| {
        let mut said = Said::default();
        said.take(words, fsu.transport).unwrap();
        let (all, text) = explained(fsu, said, &hex::decode(bytes).unwrap());
        assert!(text.contains(expected), "{words:?}: {text}");
        all
    };
    check(&[TakeAs::Reply], "7E0103550D", "an inner frame from the FSU to a centre (a reply)");
    check(&[TakeAs::Request], REPLY, "an inner frame from a centre to the FSU (a request)");
    check(&[TakeAs::Outer], REQUEST, "wrong: outer: bytes before P_header (FF)");
    check(&[TakeAs::Inner], "FF00FE", "wrong: inner: fewer bytes than the smallest frame (short)");
    let mut said = Said::default();
    assert!(said.take(&[TakeAs::Request, TakeAs::Reply], fsu.transport).is_err());
    assert!(Said::default().take(&[TakeAs::Outer], Transport::Tcp).is_err());
    // A device, named by type and address.
    assert_eq!(take::device(fsu, "0102"), Ok(1));
    assert_eq!(take::device(fsu, "01,01"), Ok(0));
    assert!(take::device(fsu, "0103").unwrap_err().to_string().contains("0101, 0102"));
    let said = Said { device: Some(1), ..Said::default() };
    let text = explained(fsu, said, &hex::decode(REQUEST).unwrap()).1;
    assert!(text.contains("for device type 01, address 02"), "{text}");
}

#[test]
fn n17_which_command_a_reply_answers() {
    let field = |name: &str| json!([{"name": name, "length": 1}]);
    // Replies have a return code at the place where requests have the command.
    let coded = json!([{"name": "{pdu_left}_cmd", "length": 1, "value": "00"}, {"name": "x", "length": 1}]);
    let commands = json!([
        {"data_frame_type": "01", "req_data_list": [], "resp_data_list": field("x")},
        {"data_frame_type": "41", "req_data_list": [], "resp_data_list": coded},
        {"data_frame_type": "42", "req_data_list": [], "resp_data_list": coded}
    ]);
    let rules =
        json!({"01": {"data": {"x": "11"}}, "41": {"data": {"x": "${rand(10,50)}$"}}, "42": {"data": {"x": "77"}}});
    let (_dir, fleet) = fleet("tcp", &commands, &rules, &json!({}));
    let fsu = &fleet.fsus[0];
    let check = |bytes: &str, cmd: Option<&str>, command: Option<&str>, others: &[&str], how: &str| {
        let said = Said { way: Some(Way::Up), cmd: cmd.map(str::to_owned), ..Said::default() };
        let (all, text) = explained(fsu, said, &hex::decode(bytes).unwrap());
        let answers = all.items[0].answers.as_ref().unwrap();
        assert_eq!(
            (answers.command.as_deref(), &*answers.others),
            (command, &*others.iter().map(|&s| s.to_owned()).collect::<Vec<_>>())
        );
        assert!(answers.text.contains(how), "{text}");
        assert!(!has_wrong_rows(&all), "{text}");
    };
    check("7E0101110D", None, Some("01"), &[], "by its key, its size and its constants");
    check("7E0101220D", None, Some("01"), &[], "by its key and its size");
    check("7E020122330D", None, Some("01"), &[], "by its key; the rules here build another size");
    check("7E0100770D", None, Some("41"), &["42"], "by its size and its constants; it carries no command's key");
    check("7E0100770D", Some("42"), Some("42"), &[], "as --cmd says");
    check("7E0100660D", None, Some("41"), &[], "by its size and its constants");
    check("7E03EE6677880D", None, None, &[], "answers no command");
}

#[test]
fn n16_all_replies_of_a_burst_are_shown() {
    for transport in ["udp", "tcp", "broadcast"] {
        let (_dir, fleet) = simple(transport);
        let fsu = &fleet.fsus[0];
        let (all, text) = explained(fsu, Said::default(), &hex::decode("7E00020D").unwrap());
        let item = &all.items[0];
        let inner = |reply: &ReplyView| reply.inner.clone().unwrap_or_else(|| reply.hex.clone());
        let shown: Vec<String> = item.replies.iter().map(inner).collect();
        let expected: Vec<String> = (0..8).map(|n| format!("7E0102{:02}0D", n % 3 + 1)).collect();
        assert_eq!(shown, expected, "{transport}");
        assert_eq!((item.more_replies, all.replies.len()), (2, 10), "{transport}");
        assert!(item.replies.iter().all(|reply| reply.after_ms == 20));
        assert!(text.contains("answer 1 of 10, ") && text.contains("answer 8 of 10, "), "{text}");
        assert!(text.contains("… and 2 more"), "{text}");
        // The next frame of a stream starts where the burst ended.
        if transport == "tcp" {
            let (all, _) = explained(fsu, Said::default(), &hex::decode("7E00020D7E00020D").unwrap());
            assert_eq!(all.items[1].replies[0].hex, "7E0102020D");
            assert_eq!(all.replies.len(), 20);
        } else {
            let found = all.amplification.unwrap();
            assert_eq!(found.to_another_host, [1, 2], "{}", found.text);
        }
    }
}

/// Every reply of the shipped configuration as input: all checks pass, and its command is among those that it may answer.
#[test]
fn n17_no_good_reply_is_wrong() {
    let fleet = load(&Origin::Embedded, Texts::ENGLISH).unwrap();
    let mut many = 0;
    for fsu in fleet.fsus.iter().filter(|fsu| !fsu.name.starts_with("fleet_")) {
        for device in fsu.devices.iter() {
            for command in &device.template.commands {
                let mut raw = build(&device.template, command, &[]).unwrap();
                let mut wire = Vec::new();
                finish(&device.template, &mut raw, &mut wire);
                let down = Said { way: Some(Way::Down), ..Said::default() };
                let (all, _) = explained(fsu, down, &wire);
                for (number, reply) in all.replies.iter().enumerate() {
                    let up = Said { way: (fsu.transport != Transport::Udp).then_some(Way::Up), ..Said::default() };
                    let (back, text) = explained(fsu, up, &hex::decode(reply).unwrap());
                    assert!(!has_wrong_rows(&back) && !text.contains("wrong:"), "{}: {text}", fsu.name);
                    let answers = back.items[0].answers.as_ref().unwrap();
                    let key = command.key_text.to_string();
                    let is_it = answers.command.as_ref() == Some(&key) || answers.others.contains(&key);
                    assert!(is_it || number > 0, "{} {key}: {text}", fsu.name);
                    many += 1;
                }
            }
        }
    }
    assert!(many > 50, "{many}");
}
