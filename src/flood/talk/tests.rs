//! What a tracker says, byte by byte: which message it is, whose, and what acknowledges it.

use super::cast::{Cast, Owner};
use super::forms::Said;
use super::ledger::{Event, compare, key};
use super::stream::{Next, next};
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;

/// 7E imei serial command size data sum 0D
pub(crate) const TEMPLATE: &str = r#"{"vendor": "tracker", "rule_file_list": ["./default.json"], "protocol": {
  "dynamic_length": true, "data_frame_type_flag": "command",
  "checksum": {"field": "checksum", "algorithm": "sum", "from": "imei", "to": "data_frame"},
  "pdu_left": [
    {"name": "start", "length": 1, "type": "hex", "value": "7E"},
    {"name": "imei", "length": 6, "type": "bcd"},
    {"name": "serial", "length": 2, "type": "uint"},
    {"name": "command", "length": 1, "type": "hex"},
    {"name": "size", "length": 1, "type": "length", "of": ["data_frame"]}],
  "pdu_tailer": [
    {"name": "checksum", "length": 1, "type": "hex"}, {"name": "end", "length": 1, "type": "hex", "value": "0D"}],
  "data_frame": [
    {"data_frame_type": "01", "direction": "up", "resp_data_list": [{"name": "version", "length": 2, "type": "uint", "value": 7}]},
    {"data_frame_type": "02", "direction": "up", "resp_data_list": [{"name": "speed", "length": 2, "type": "uint"}]},
    {"data_frame_type": "03", "direction": "up", "resp_data_list": [{"name": "kind", "length": 1, "type": "hex"}]},
    {"data_frame_type": "81", "req_data_list": [{"name": "result", "length": 1, "type": "hex"}], "resp_data_list": []},
    {"data_frame_type": "83", "req_data_list": [
      {"name": "kind", "length": 2, "type": "hex"}, {"name": "of", "length": 2, "type": "dec"},
      {"name": "result", "length": 1, "type": "hex"}], "resp_data_list": []},
    {"data_frame_type": "10", "req_data_list": [], "resp_data_list": [{"name": "volt", "length": 2, "type": "uint", "value": 5}]}
  ]}}"#;

pub(crate) const RULES: &str = r##"{"10": {}, "messages": {
  "login": {"frame": "01", "on": "connect", "data": {"{pdu_left}imei": "${param(imei)}$", "{pdu_left}serial": "${count(serial, 1)}$"},
    "ack": {"frame": "81", "match": "serial", "within_ms": 200, "retries": 2, "data": {"result": "00"}}, "enters": "online"},
  "position": {"frame": "02", "every_ms": 1000, "data": {"{pdu_left}imei": "${param(imei)}$", "speed": "${rand(0,80)}$"}},
  "alarm": {"frame": "03", "on": "trigger", "data": {"{pdu_left}imei": "${param(imei)}$", "{pdu_left}serial": "${count(serial, 1)}$",
      "kind": "${arg(kind, 05)}$"},
    "ack": {"frame": "83", "match": "serial", "data": {"result": "01", "of": "#{kind}#"}}}
}}"##;

/// Three trackers over each transport, whose IMEIs count up.
pub(crate) fn tree(template: &str, rules: &str) -> (tempfile::TempDir, Fleet) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let fsu = |name: &str, transport: &str, port: u16, imei: &str| {
        format!(
            r#"{{"fsuname": "{name}", "fsuid": "3{}303031", "port": {port}, "protocol_type": "{transport}", "config_dir": "./site",
               "count": 3, "params": {{"imei": "{imei}"}}}}"#,
            port / 1_000
        )
    };
    let fsus = [
        fsu("tcp", "tcp", 4000, "860000000001"),
        fsu("udp", "udp", 5000, "860000000011"),
        fsu("bare", "datagram", 6000, "860000000021"),
    ];
    write("sys_config.json", &format!("{{\"fsu_list\": [{}]}}", fsus.join(",")));
    write(
        "site/fsu_devices.json",
        r#"{"device_list": [{"vendor": "tracker", "sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "../v/template.json"}]}"#,
    );
    write("v/template.json", template);
    write("v/default.json", rules);
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let fleet = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.list()));
    (dir, fleet)
}

pub(crate) fn cast(fleet: &Fleet) -> Cast {
    Cast::new(&fleet.fsus.iter().collect::<Vec<_>>(), |fsu| Some(fsu.bind)).unwrap()
}

/// A frame with the right size and sum: from the IMEI to the data.
pub(crate) fn frame(middle: &str) -> Vec<u8> {
    let middle = hex::decode(middle).unwrap();
    let sum = middle.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [&[0x7E], &*middle, &[sum, 0x0D]].concat()
}

fn read(cast: &Cast, wire: &[u8]) -> (Said, Vec<u8>) {
    let mut raw = Vec::new();
    (cast.talks[0].read(wire, &mut raw), raw)
}

/// What a frame is taken for: the message and whose it is, or what is wrong.
fn check(cast: &Cast, wire: &[u8], expected: &str) {
    let (said, raw) = read(cast, wire);
    let found = match said {
        Said::Right(form) => {
            let whose = match cast.owner(0, form, &raw) {
                Owner::One(number) => cast.speakers[number as usize].name.to_string(),
                other => format!("{other:?}"),
            };
            format!("{} of {whose}", cast.talks[0].message(form).name)
        }
        Said::Wrong(message, wrong) => {
            let message = message.map_or("?", |number| &*cast.talks[0].conversation.messages[usize::from(number)].name);
            format!("{message}: {}", wrong.name())
        }
    };
    assert_eq!(found, expected, "{}", hex::encode_upper(wire));
}

#[test]
fn a_frame_is_the_message_that_it_fits_and_says_whose_it_is() {
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    let cast = cast(&fleet);
    assert_eq!((cast.talks.len(), cast.kinds.len(), cast.speakers.len()), (1, 3, 9));
    check(&cast, &hex::decode("7E860000000001000101020007920D").unwrap(), "login of tcp_00001");
    check(&cast, &frame("860000000003 0001 01 02 0007".replace(' ', "").as_str()), "login of tcp_00003");
    check(&cast, &frame("860000000012FFFF01020007"), "login of udp_00002");
    check(&cast, &frame("86000000002300000202001C"), "position of bare_00003");
    check(&cast, &frame("8600000000011234030142"), "alarm of tcp_00001");
    // A parameter of nobody.
    check(&cast, &frame("860000000099000101020007"), "login of Nobody");
    // Another constant, size, sum, key; half a frame; no frame.
    check(&cast, &frame("860000000001000101020008"), "login: static_value");
    check(&cast, &frame("8600000000010001010100"), "login: size");
    check(&cast, &hex::decode("7E860000000001000101020007930D").unwrap(), "?: checksum");
    check(&cast, &frame("860000000001000177020007"), "?: key");
    check(&cast, &frame("860000000001000101030007"), "?: bad_length");
    check(&cast, &[0x7E, 0x0D], "?: short");
    check(&cast, b"hello, world and all", "?: bad_start");
}

/// How long a device may send a message again: all its waits together, however many.
#[test]
fn a_device_s_patience_is_all_its_waits() {
    let check = |ack: &str, expected_ms: u64| {
        let login = r#""ack": {"frame": "81", "match": "serial", "within_ms": 200, "retries": 2, "data""#;
        assert!(RULES.contains(login));
        let rules = RULES.replace(login, &format!(r#""ack": {{"frame": "81", "match": "serial", {ack}, "data""#));
        let (_dir, fleet) = tree(TEMPLATE, &rules);
        let cast = cast(&fleet);
        let (said, _) = read(&cast, &frame("860000000001000101020007"));
        let Said::Right(form) = said else { panic!("{said:?}") };
        assert_eq!(cast.talks[0].patience_ms(form), expected_ms, "{ack}");
    };
    check(r#""within_ms": 200"#, 200);
    check(r#""within_ms": 200, "retries": 2"#, 600);
    check(r#""within_ms": 100, "retries": 3, "backoff": 2"#, 1_500);
    check(r#""within_ms": 1000, "retries": 1000"#, 1_001_000);
    // Each wait is an hour at the most.
    check(r#""within_ms": 3600000, "retries": 100, "backoff": 10"#, 101 * 3_600_000);
}

#[test]
fn an_acknowledgement_has_the_fields_of_its_message() {
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    let cast = cast(&fleet);
    let check = |middle: &str, wrong: bool, expected: &str| {
        let (said, raw) = read(&cast, &frame(middle));
        let Said::Right(form) = said else { panic!("{said:?}") };
        let mut out = (Vec::new(), Vec::new());
        let talk = &cast.talks[0];
        assert!(talk.ack(form).unwrap().write(&talk.forms[form as usize], &raw, wrong, (&mut out.0, &mut out.1)));
        assert_eq!(hex::encode_upper(&out.1), hex::encode_upper(frame(expected)), "{middle}");
    };
    check("860000000001000101020007", false, "8600000000010001810100");
    check("860000000001FFFF01020007", false, "860000000001FFFF810100");
    // Equal names in another notation, and a field of the message by another name.
    check("8600000000010A0B030142", false, "8600000000010A0B83054200343201");
    // Another serial: no checksum is wrong.
    check("860000000001000901020007", true, "8600000000010000810100");
    check("8600000000010A0901020007", true, "8600000000010E56810100");
    let (said, _) = read(&cast, &frame("86000000002300000202001C"));
    assert!(matches!(said, Said::Right(form) if cast.talks[0].ack(form).is_none()));
}

#[test]
fn an_acknowledgement_without_equal_fields_is_wrong_by_its_checksum() {
    let rules = RULES.replace(r#""match": "serial", "#, "");
    let (_dir, fleet) = tree(TEMPLATE, &rules);
    let cast = cast(&fleet);
    let (said, raw) = read(&cast, &frame("860000000001000101020007"));
    let Said::Right(form) = said else { panic!("{said:?}") };
    let (talk, mut out) = (&cast.talks[0], (Vec::new(), Vec::new()));
    let ack = talk.ack(form).unwrap();
    assert!(ack.can_be_wrong());
    ack.write(&talk.forms[form as usize], &raw, true, (&mut out.0, &mut out.1));
    let mut right = frame("8600000000010001810100");
    let sum = right.len() - 2;
    right[sum] ^= 1;
    assert_eq!(hex::encode(&out.1), hex::encode(right));
    let template = TEMPLATE
        .replace(r#""checksum": {"field": "checksum", "algorithm": "sum", "from": "imei", "to": "data_frame"},"#, "");
    let (_dir, fleet) = tree(&template, &rules);
    assert!(!self::cast(&fleet).talks[0].ack(form).unwrap().can_be_wrong());
}

#[test]
fn the_next_message_of_a_stream_does_not_depend_on_how_it_is_split() {
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    let cast = cast(&fleet);
    let talks = [&*cast.talks[0]];
    let login = frame("860000000001000101020007");
    let wrong = frame("860000000001000101020008");
    // Noise, with a byte that looks like a beginning; a login; one that is wrong; noise; an alarm.
    let all = [b"ab\x7Ecd", &*login, &*wrong, &[0x7E, 0x7E], &*frame("8600000000010002030142")].concat();
    let taken = |splits: &[usize]| {
        let (mut there, mut found, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for part in splits.windows(2) {
            there.extend_from_slice(&all[part[0]..part[1]]);
            loop {
                match next(&talks, &there, &mut raw).next {
                    _ if there.is_empty() => break,
                    Next::More => break,
                    Next::Skip(bytes) => drop(there.drain(..bytes)),
                    Next::Frame { len, said, .. } => {
                        found.push((len, matches!(said, Said::Right(_))));
                        there.drain(..len);
                    }
                }
            }
        }
        (found, there.len())
    };
    let expected = (vec![(15, true), (15, false), (14, true)], 0);
    assert_eq!(taken(&[0, all.len()]), expected);
    for at in 1..all.len() {
        assert_eq!(taken(&[0, at, all.len()]), expected, "split at {at}");
    }
    assert_eq!(taken(&(0..=all.len()).collect::<Vec<_>>()), expected);
}

/// Whatever comes, each look at a stream gets on or waits, and does not look at more than a few times what may be a frame.
#[test]
fn any_bytes_are_taken_apart() {
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    let cast = cast(&fleet);
    let talks = [&*cast.talks[0]];
    let (mut rng, mut raw) = (fastrand::Rng::with_seed(20_261_121), Vec::new());
    for _ in 0..2_000 {
        let bytes: Vec<u8> =
            (0..rng.usize(0..200)).map(|_| *rng.choice(&[0x7E, 0x0D, 1, 2, 3, 0x86, 0, 5]).unwrap()).collect();
        let mut rest = &*bytes;
        while !rest.is_empty() {
            let found = next(&talks, rest, &mut raw);
            assert!(found.effort <= 2 + 8 * rest.len() * rest.len(), "{found:?}");
            match found.next {
                Next::More => break,
                Next::Skip(bytes) | Next::Frame { len: bytes, .. } => {
                    assert!((1..=rest.len()).contains(&bytes), "{found:?} of {rest:?}");
                    rest = &rest[bytes..];
                }
            }
        }
    }
}

#[test]
fn nobody_speaks_over_a_transport_without_messages() {
    let (_dir, fleet) = tree(TEMPLATE, r#"{"10": {}}"#);
    let silent = cast(&fleet);
    assert!(silent.talks.is_empty() && !silent.speaks(Transport::Tcp));
    let (_dir, fleet) = tree(TEMPLATE, RULES);
    let cast = cast(&fleet);
    assert_eq!(
        [Transport::Tcp, Transport::Udp, Transport::Broadcast].map(|over| cast.speaks(over)),
        [true, true, false]
    );
    assert_eq!(cast.by_address(([127, 0, 0, 1], 6001).into()), Some(7));
}

/// Lines of two ledgers: `event message key` each.
fn lines(fsu: &str, all: &[&str]) -> Vec<u8> {
    let line = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        format!(
            "{{\"time\":\"\",\"fsu\":\"{fsu}\",\"message\":\"{}\",\"event\":\"{}\",\"key\":\"{}\"}}\n",
            words[1], words[0], words[2]
        )
    };
    all.iter().map(line).collect::<String>().into_bytes()
}

#[test]
fn two_ledgers_are_compared_message_by_message() {
    let check = |mock: &[&str], centre: &[&str], same: u64, differences: &[(&str, u64)]| {
        // A centre that does not know which FSU it is.
        for fsu in ["one", ""] {
            let compared = compare(&mut &*lines("one", mock), &mut &*lines(fsu, centre)).unwrap();
            let found: Vec<(&str, u64)> = compared.differences.iter().map(|(why, count)| (&**why, *count)).collect();
            assert_eq!((compared.same, &*found), (same, differences), "{mock:?} {centre:?}");
            let fails = differences.iter().any(|(why, _)| !["open", "ack_lost"].contains(why));
            assert_eq!((compared.passed, compared.failures.is_empty()), (!fails, !fails), "{compared:?}");
        }
    };
    check(&["sent a 1", "acknowledged a 1"], &["received a 1", "acked a 1"], 1, &[]);
    check(&["sent b 1", "sent b 2"], &["received b 1", "received b 2"], 2, &[]);
    check(&["sent a 1", "retried a 1", "given_up a 1"], &["received a 1", "retried a 1"], 1, &[]);
    // The first one was lost, and its retry came.
    check(&["sent a 1", "retried a 1", "acknowledged a 1"], &["received a 1", "acked a 1"], 1, &[]);
    check(&["sent a 1", "sent b 2"], &["received a 1"], 1, &[("lost", 1)]);
    check(&["sent a 1"], &["received a 1", "received a 2"], 1, &[("unsent", 1)]);
    check(&["sent a 1", "acknowledged a 1"], &["received a 1"], 0, &[("unacked", 1)]);
    check(&["sent a 1", "given_up a 1"], &["received a 1", "acked a 1"], 0, &[("ack_lost", 1)]);
    check(&["sent a 1"], &["received a 1", "acked a 1"], 0, &[("open", 1)]);
    // Equal keys are counted against each other.
    check(&["sent a 1", "sent a 1", "sent a 1"], &["received a 1", "received a 1"], 2, &[("lost", 1)]);
}

#[test]
fn what_is_no_ledger_is_told_with_its_line() {
    let good = lines("one", &["sent a 1"]);
    let check = |mock: &[u8], centre: &[u8], of_mock: bool, expected: &str| {
        let (of, error) = compare(&mut &*mock, &mut &*centre).unwrap_err();
        assert_eq!(of, of_mock);
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(&[&*good, b"\n\nnonsense\n"].concat(), b"", true, "line 4: expected");
    check(b"", &good, false, "line 1: `sent` is of the other end");
    check(&lines("one", &["acked a 1"]), b"", true, "line 1: `acked` is of the other end");
    check(&lines("one", &["eaten a 1"]), b"", true, "line 1: no event of a message: `eaten`");
    check(b"{}\n", b"", true, "line 1: no event of a message: ``");
    // What a ledger lost is missing.
    let lost = [&*good, b"{\"time\":\"\",\"lost\":3}\n"].concat();
    let compared = compare(&mut &*lost, &mut &*lines("one", &["received a 1"])).unwrap();
    assert_eq!((compared.lines_missing, &*compared.failures), (3, &["3 lines missing in the ledgers".to_owned()][..]));
    assert_eq!(Event::from_name("given_up"), Some(Event::GivenUp));
    assert_eq!(format!("{:016x}", key(b"")), "cbf29ce484222325");
}

#[test]
fn limit_line_bytes_max_and_named_max_of_a_ledger() {
    let line = |bytes: usize| {
        let line = lines("one", &["sent a 1"]);
        let fill = " ".repeat(bytes - line.len());
        [&line[..line.len() - 1], fill.as_bytes(), b"\n"].concat()
    };
    assert!(compare(&mut &*line(65_536), &mut &b""[..]).is_ok());
    let (_, error) = compare(&mut &*line(65_537), &mut &b""[..]).unwrap_err();
    assert_eq!(error.to_string(), "line 1: longer than 65536 bytes");
    let named = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("sent a {number}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        compare(&mut &*lines("one", &all), &mut &b""[..]).unwrap().named.len()
    };
    assert_eq!([named(20), named(21)], [20, 20]);
}
