//! `messages` of rule files: what they compile to, and what is told.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::compile;
use super::{check_all, files};
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::calc::Asked;
use crate::model::conversation::{AckValue, Conversation, On, Otherwise, Repeat, To};
use crate::model::fleet::Fleet;
use crate::model::reply::{Patch, Payload};
use crate::model::rule::FrameOf;
use serde_json::{Value, json};

/// A template whose device speaks first.
fn tracker() -> Value {
    let field = |name: &str, kind: &str, length: u32| json!({"name": name, "type": kind, "length": length});
    let valued = |name: &str, kind: &str, value: &str| json!({"name": name, "type": kind, "length": 1, "value": value});
    json!({"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command",
        "checksum": {"algorithm": "sum"},
        "pdu_left": [valued("start", "hex", "7E"), field("command", "hex", 2), field("serial", "uint", 2),
            valued("version", "hex", "13"), {"name": "len", "type": "length", "length": 1}],
        "pdu_tailer": [field("checksum", "hex", 1), valued("end", "hex", "0D")],
        "data_frame": [
            {"data_frame_type": "0100", "direction": "up", "name": "login", "resp_data_list": [
                field("imei", "str", 4), valued("kind", "hex", "02"), field("rest", "uint", 1)]},
            {"data_frame_type": "0200", "direction": "up", "resp_data_list": [
                field("kind", "hex", 1), field("speed", "uint", 1)]},
            {"data_frame_type": "8100", "req_data_list": [field("of", "uint", 2), field("result", "uint", 1)]},
            {"data_frame_type": "8001", "req_data_list": [field("of", "uint", 2), field("to", "hex", 2)]},
            {"data_frame_type": "9000", "req_data_list": [field("x", "uint", 1)], "resp_data_list": [field("x", "uint", 1)]}
        ]
    }})
}

/// These messages, and a rule for each command.
fn with(messages: Value) -> Value {
    let silent = json!({"timeout": true});
    json!({"t.json": tracker(), "default.json": {
        "messages": messages, "9000": {"cycle": [{"x": 1}]}, "8100": silent, "8001": silent}})
}

fn fleet(with: &Value) -> Fleet {
    let mut files = files();
    for (name, content) in with.as_object().unwrap() {
        files[name] = content.clone();
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let lines = loader.diags.lines().collect::<Vec<_>>();
    fleet.filter(|_| lines.is_empty()).unwrap_or_else(|| panic!("{lines:?}"))
}

/// The conversation of a device with these messages.
fn conversation(messages: Value, look: impl Fn(&Conversation)) {
    let fleet = fleet(&with(messages));
    look(fleet.fsus[0].devices[0].conversation.as_ref().expect("messages"));
}

/// One message, sent when it is triggered, as its frame without the checksum.
fn frame(message: Value, expected: &str) {
    let mut message = message;
    message["on"] = json!("trigger");
    conversation(json!({"m": message}), |all| {
        let rule = &all.messages[0].rule;
        assert_eq!(hex::encode_upper(rule.replies[0].frame.to_vec()), expected, "{message}");
    });
}

#[test]
fn frames_have_the_values_of_the_template() {
    // Start, command, serial, version, length; data; checksum (written when it is sent), end.
    frame(json!({"frame": "0100"}), "7E010000001306000000000200000D");
    frame(json!({"frame": "login", "data": {"imei": "abc"}}), "7E010000001306616263000200000D");
    frame(json!({"frame": "0100", "data": {"kind": "09", "rest": 255, "serial": 7}}), "7E0100000713060000000009FF000D");
    frame(json!({"frame": "0200", "data": {"version": "14"}}), "7E0200000014020000000D");
    // What both directions have is sent as its reply.
    frame(json!({"frame": "9000", "data": {"x": 5}}), "7E90000000130105000D");
    // An entry with requests alone has no data frame.
    frame(json!({"frame": "8100"}), "7E810000001300000D");
    frame(json!({"raw": "00 aB"}), "00AB");
}

#[test]
fn values_that_are_made_when_it_is_sent() {
    let message = json!({"frame": "login", "on": "trigger", "data": {
        "serial": "${seq()}$", "imei": "${arg(id, 'a1')}$", "rest": "${arg(rest) + arg(more, 1)}$"}});
    conversation(json!({"m": message}), |all| {
        let message = &all.messages[0];
        assert_eq!(message.args.iter().map(|name| &**name).collect::<Vec<_>>(), ["id", "rest", "more"]);
        let patches = &message.rule.replies[0].patches;
        assert_eq!(patches.len(), 3, "{patches:?}");
        let copies = |patch: &&Patch| matches!(patch, Patch::Copy { .. } | Patch::CopyReversed { .. });
        assert_eq!(patches.iter().filter(copies).count(), 0);
    });
}

#[test]
fn several_frames() {
    let messages = json!({
        "cycled": {"frame": "0200", "on": "trigger", "cycle": [{"speed": 1}, {"speed": 2}], "burst": 2, "data": {"kind": "05"}},
        "listed": {"on": "trigger", "replies": [{"frame": "0100"}, {"raw": "FF", "delay_ms": 5}]},
        "plain": {"frame": "0200", "on": "trigger", "delay": {"fixed": 3}, "faults": {"drop": 0.5}},
    });
    conversation(messages, |all| {
        let [cycled, listed, plain] = &*all.messages else { panic!("{all:?}") };
        let frame = |number: u32| FrameOf { layout: 0, command: Some(number) };
        assert_eq!(*cycled.rule.frames, [frame(1), frame(1)]);
        // Behind the place of the rule's cycle.
        assert_eq!((cycled.rule.cycle, cycled.rule.burst), (Some(1), 2));
        assert_eq!(*listed.rule.frames, [frame(0), FrameOf { layout: 0, command: None }]);
        assert_eq!((listed.rule.cycle, listed.rule.burst, &*listed.rule.gaps_ms), (None, 2, &[0, 5][..]));
        assert!(matches!(listed.rule.replies[1].payload, Payload::Raw));
        assert_eq!((plain.rule.burst, plain.rule.faults.is_some()), (1, true));
        assert_eq!(plain.rule.delay, crate::model::rule::Delay::Fixed(3.0));
    });
}

#[test]
fn what_makes_it_leave() {
    let messages = json!({
        "login": {"frame": "0100", "on": "connect", "ack": {"frame": "8100"}, "enters": ["online", "fresh"]},
        "position": {"frame": "0200", "every_ms": 30_000, "jitter": 0.25, "while": "online", "to": "latest",
            "at_s": [20, 10.5], "cron": "0 12 * * mon"},
        "alarm": {"frame": "0200", "on": ["trigger", "start", "ack:login", "after:9000"], "leaves": "fresh", "aligned": true,
            "every_ms": 5},
    });
    conversation(messages, |all| {
        let [login, position, alarm] = &*all.messages else { panic!("{all:?}") };
        assert_eq!(all.states.iter().map(|name| &**name).collect::<Vec<_>>(), ["online", "fresh"]);
        assert_eq!((&*login.on, login.enters, login.leaves, login.within), (&[On::Connect][..], 3, 0, None));
        assert_eq!((position.within, position.to, &*position.at_ms), (Some(0), To::Latest, &[10_500, 20_000][..]));
        assert_eq!(position.repeat, Some(Repeat { every_ms: 30_000, jitter: 0.25, is_aligned: false }));
        assert_eq!(position.cron.as_ref().map(|cron| &*cron.text), Some("0 12 * * mon"));
        assert_eq!(*alarm.on, [On::Trigger, On::Start, On::Ack(0), On::After]);
        assert_eq!((alarm.leaves, alarm.repeat.map(|repeat| repeat.is_aligned)), (2, Some(true)));
        let heeded: Vec<_> = all
            .heeded
            .iter()
            .map(|one| (one.frame.command, &*one.acknowledges, &*one.followed_by, one.is_answered))
            .collect();
        assert_eq!(heeded, [(Some(2), &[0][..], &[][..], false), (Some(4), &[], &[2], true)]);
    });
}

#[test]
fn acknowledgements() {
    let messages = json!({
        "default": {"frame": "0100", "on": "start", "ack": {"frame": "8100"}},
        "full": {"frame": "0200", "on": "start", "enters": "up", "ack": {
            "frame": "8001", "match": {"of": "serial", "to": "command"}, "when": "of > 2 && param(x) == 'a'", "within_ms": 100, "retries": 3,
            "backoff": 1.5, "else": "leave:up", "data": {"of": 5, "to": "#{command}#"}}},
        "other": {"frame": "0200", "on": "start", "ack": {"frame": "8100", "match": {"of": "serial"}, "else": "reconnect"}},
    });
    let mut files = with(messages);
    files["sys_config.json"] = json!({"fsu_list": [
        {"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": ".", "params": {"x": "a"}}]});
    let fleet = fleet(&files);
    let all = fleet.fsus[0].devices[0].conversation.as_ref().unwrap();
    let [default, full, other] = &*all.messages else { panic!("{all:?}") };
    let ack = default.ack.as_ref().unwrap();
    let times = (ack.within_ms, ack.retries, ack.backoff.to_bits(), ack.otherwise);
    assert_eq!(times, (5_000, 0, 1.0_f64.to_bits(), Otherwise::GiveUp));
    let ack = full.ack.as_ref().unwrap();
    let times = (ack.within_ms, ack.retries, ack.backoff.to_bits(), ack.otherwise);
    assert_eq!(times, (100, 3, 1.5_f64.to_bits(), Otherwise::Leave(1)));
    assert_eq!(ack.frame, FrameOf { layout: 0, command: Some(3) });
    assert!(ack.when.is_some());
    let at = |asked: &Asked| if let Asked::Fixed { at, slot } = asked { (at.0, slot.len) } else { panic!("{asked:?}") };
    let places = |ack: &crate::model::conversation::Ack| {
        ack.matches.iter().map(|one| (at(&one.sent), at(&one.acked))).collect::<Vec<_>>()
    };
    assert_eq!(places(ack), [((3, 2), (7, 2)), ((1, 2), (9, 2))]);
    let data: Vec<String> = ack
        .data
        .iter()
        .map(|(name, value)| match value {
            AckValue::Constant(value) => format!("{name} = {value}"),
            AckValue::Copy(from) => format!("{name} from {:?}", at(from)),
        })
        .collect();
    assert_eq!(data, ["of = 5", "to from (1, 2)"]);
    let ack = other.ack.as_ref().unwrap();
    assert_eq!((places(ack), ack.otherwise), (vec![((3, 2), (7, 2))], Otherwise::Reconnect));
    let accounts: Vec<_> = fleet.accounts.iter().map(|one| (&*one.vendor, &*one.name, one.is_acknowledged)).collect();
    assert_eq!(accounts, [("x", "default", true), ("x", "full", true), ("x", "other", true)]);
}

/// A rule file with this message named `m`, beside one named `login` that is acknowledged; what is told, places left out.
fn told(message: Value, expected: &[&str]) {
    let login = json!({"frame": "0100", "on": "start", "ack": {"frame": "8100"}});
    check_all(&with(json!({"login": login, "m": message})), expected, &message.to_string());
}

/// The errors for this key of a message that is right without it.
fn key(key: &str, value: Value, expected: &[&str]) {
    let mut message = json!({"frame": "0200", "on": "trigger"});
    message[key] = value;
    let lines: Vec<String> = expected.iter().map(|text| format!("/messages/m/{key}{text}")).collect();
    told(message, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn frames_that_are_none() {
    told(
        json!({"on": "start"}),
        &[
            "/messages/m: error: \"frame\" is missing (the entry of `data_frame` that is sent, or `raw`: bytes as they are)",
        ],
    );
    key("frame", json!("0101"), &[": error: the template has no frame `0101` (did you mean `0100`?)"]);
    let told_at = |text: &str| format!("/messages/m/{text}");
    told(
        json!({"frame": "0200", "raw": "00", "on": "start"}),
        &[&told_at("frame: error: `frame` beside `raw` (one of them)")],
    );
    key("layout", json!("S"), &[": error: `layout`: the template has no `frames`, and so no other layouts"]);
    key("data", json!({"sped": 1}), &["/sped: error: the frame 0200 has no field `sped` (did you mean `speed`?)"]);
    key("data", json!({"len": 5}), &["/len: warning: `len` is always computed; its value here means nothing"]);
    told(
        json!({"frame": "8100", "on": "start", "data": {"result": 5}}),
        &[
            "/messages/m/data/result: error: the frame 8100 has no field `result` (`req_data_list` has it, and the device sends `resp_data_list`)",
        ],
    );
    let text = "`#{serial}#` needs a request, and a message answers none (`reg`, `param`, `arg` have values for it)";
    key("data", json!({"speed": "#{serial}#"}), &[&format!("/speed: error: {text}")]);
    let mut files = with(json!({"m": {"frame": "9000", "on": "start"}}));
    files["t.json"]["protocol"]["data_frame"][4]["resp_data_list"][0]["value"] = json!("#{x}#");
    let place = "t.json:1:1252: /protocol/data_frame/4/resp_data_list/0/value";
    let own = text.replace("serial", "x");
    let own =
        format!("/messages/m/frame: error: {own}; it is the own value of a field, which `data` may set ({place})");
    check_all(&files, &[&own], "own value");
    files["default.json"]["messages"]["m"]["data"] = json!({"x": 1});
    check_all(&files, &[], "own value, set");
    key("burst", json!(2), &[": error: `burst` without `cycle` (it sends the next entries of a cycle)"]);
    key("when", json!("#{serial}# > 1"), &[&format!(": error: column 1: {text}")]);
}

#[test]
fn schedules_that_are_none() {
    told(
        json!({"frame": "0200"}),
        &["/messages/m: error: nothing sends the message `m` (`on`, `every_ms`, `at_s` or `cron`)"],
    );
    key("on", json!([]), &[": error: `on` is empty (start, connect, trigger, ack:NAME, after:COMMAND)"]);
    key("on", json!(["start", "start"]), &["/1: error: `start` is given twice in `on`"]);
    key("on", json!("trigge"), &[": error: `on` has no word `trigge` (did you mean `trigger`?)"]);
    key("on", json!("ack:logn"), &[": error: no message `logn` (did you mean `login`?)"]);
    key("on", json!("ack:m"), &[": error: `m` is never acknowledged (it has no `ack`)"]);
    key("on", json!("after:0200"), &[": error: `0200` is `\"direction\": \"up\"`: only the device sends it"]);
    key("on", json!("after:8001"), &[": warning: no rule answers 8001, so nothing follows it"]);
    key("on", json!("after:9001"), &[": error: the template has no frame `9001` (did you mean `8001`?)"]);
    key("every_ms", json!(0), &[": error: 0 ms (1 to 31536000000)"]);
    key("jitter", json!(0.5), &[": error: `jitter` without `every_ms` (it is about a message that is repeated)"]);
    key("aligned", json!(true), &[": error: `aligned` without `every_ms` (it is about a message that is repeated)"]);
    told(
        json!({"frame": "0200", "every_ms": 5, "jitter": 1.5}),
        &["/messages/m/jitter: error: jitter 1.5 (0 to 1, a part of `every_ms`)"],
    );
    key("at_s", json!([]), &[": error: `at_s` is empty (seconds after the start of the run)"]);
    key("at_s", json!([1, 1.0]), &["/1: error: 1 s is given twice"]);
    key("at_s", json!(-1), &[": error: -1 s (0 to 31536000)"]);
    key("to", json!("latets"), &[": error: unknown `latets` (did you mean `latest`?)"]);
}

#[test]
fn states_that_are_none() {
    key("while", json!("onlin"), &[": warning: no message enters the state `onlin`"]);
    key("leaves", json!(""), &[": error: `` is no state (a word of 1 to 64 bytes)"]);
    told(
        json!({"frame": "0200", "on": "start", "enters": ["a", "b"], "leaves": "b"}),
        &["/messages/m/leaves: error: `b` is in `enters` and in `leaves` (one of them)"],
    );
    told(
        json!({"frame": "0200", "on": "start", "enters": "online", "while": "onlin"}),
        &["/messages/m/while: warning: no message enters the state `onlin` (did you mean `online`?)"],
    );
}

/// The errors for this key of the `ack` of a message.
fn ack(key: &str, value: Value, expected: &[&str]) {
    let mut ack = json!({"frame": "8100", "retries": 1});
    ack[key] = value;
    let lines: Vec<String> = expected.iter().map(|text| format!("/messages/m/ack/{key}{text}")).collect();
    told(json!({"frame": "0200", "on": "start", "ack": ack}), &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn acknowledgements_that_are_none() {
    let missing = "/messages/m/ack: error: \"frame\" is missing (the frame that acknowledges it)";
    told(json!({"frame": "0200", "on": "start", "ack": {}}), &[missing]);
    ack("frame", json!("8101"), &[": error: the template has no frame `8101` (did you mean `8100`?)"]);
    ack("frame", json!("0100"), &[": error: `0100` is `\"direction\": \"up\"`: only the device sends it"]);
    ack("within_ms", json!(0), &[": error: 0 ms (1 to 3600000)"]);
    ack("retries", json!(1_001), &[": error: 1001 retries (0 to 1000)"]);
    ack("backoff", json!(0.5), &[": error: backoff 0.5 (1 to 100)"]);
    ack("else", json!("giveup"), &[": error: `else` has no word `giveup` (did you mean `give_up`?)"]);
    ack("else", json!("leave:up"), &[": warning: no message enters the state `up`"]);
    ack(
        "when",
        json!("reslt == 0"),
        &[": error: column 1: no field `reslt` in the request of 8100 (did you mean `result`?)"],
    );
    ack(
        "when",
        json!("arg(x) == 0"),
        &[": error: column 5: arg() cannot stand here: only a message has arguments (`messages` of a rule file)"],
    );
    ack("match", json!(["serial"]), &[]);
    let name = "a field's name (`match`: names that both frames have, or {\"ack's field\": \"message's\"})";
    ack("match", json!([5]), &[&format!("/0: error: {name}")]);
    ack("match", json!(5), &[&format!(": error: {name}")]);
    ack(
        "match",
        json!({"of": "x"}),
        &[
            "/of: error: the frame 0200 has no field `x` (known: kind, speed, start, command, serial, version, len, checksum, end)",
        ],
    );
    ack(
        "match",
        json!({"off": "serial"}),
        &["/off: error: no field `off` in the request of 8100 (did you mean `of`?)"],
    );
    let sizes =
        "`kind` of the message is hex of 1 byte, `of` of the acknowledgement uint of 2 bytes: they are never equal";
    ack("match", json!({"of": "kind"}), &[&format!("/of: error: {sizes} (fields of one type, or two whole numbers)")]);
    // Whole numbers are compared as numbers.
    ack("match", json!({"result": "serial"}), &[]);
    ack("data", json!({"result": 300}), &["/result: error: `300` is out of range (0 to 255 in 1 byte)"]);
    ack(
        "data",
        json!({"result": "${seq()}$"}),
        &["/result: error: `data` of `ack` has constants, and `#{field}#` of the message alone"],
    );
    ack(
        "data",
        json!({"of": "#{serail}#"}),
        &["/of: error: the frame 0200 has no field `serail` (did you mean `serial`?)"],
    );
    ack(
        "data",
        json!({"reslt": 1}),
        &["/reslt: error: no field `reslt` in the request of 8100 (did you mean `result`?)"],
    );
    let raw = json!({"raw": "00", "on": "start", "ack": {"frame": "8100", "match": {"of": "serial"}}});
    told(raw, &["/messages/m/ack/match/of: error: `serial`: a message of `raw` bytes has no fields"]);
}

#[test]
fn times_of_the_calendar_that_are_none() {
    let cron = |text: &str, why: &str| key("cron", json!(text), &[&format!(": error: `{text}`: {why}")]);
    cron("* * * *", "4 fields (five: minute, hour, day of the month, month, day of the week)");
    cron("60 * * * *", "`60` is no minute (0 to 59; lists, ranges, steps, `*`)");
    cron("0 * * foo *", "`foo` is no month (1 to 12, jan to dec; lists, ranges, steps, `*`)");
    cron("0 0 * * fri-mon", "`fri-mon` ends before it begins (two ranges, `a-b,c-d`)");
    cron("*/0 * * * *", "`*/0`: a step is 1 or more, behind `*` or a range (`*/15`, `0-30/10`)");
    cron("0 0 30 feb *", "no day of any year is that");
    key("cron", json!("0 0 29 2 *"), &[]);
}

/// The names of many messages.
fn many(count: usize) -> Value {
    (0..count)
        .map(|number| (format!("m{number}"), json!({"raw": "00", "on": "start"})))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn limit_messages_max() {
    check_all(&with(many(256)), &[], "256");
    check_all(&with(many(257)), &["/messages/m256: error: 257 messages (at most 256 of a device)"], "257");
}

#[test]
fn limit_states_max() {
    let states = |count: usize| (0..count).map(|number| format!("s{number}")).collect::<Vec<_>>();
    key("enters", json!(states(64)), &[]);
    key("enters", json!(states(65)), &["/64: error: `s64` is one state too many (at most 64 of a device)"]);
}

#[test]
fn limit_args_max() {
    let args = |count: usize| json!((0..count).map(|number| format!("arg(a{number})")).collect::<Vec<_>>().join(" + "));
    let with_args = |count: usize| json!({"frame": "0200", "on": "trigger", "when": args(count)});
    told(with_args(24), &[]);
    let halves = |count: usize| {
        let value =
            |from: usize| format!("${{{}}}$", args(count).as_str().unwrap().replace("(a", &format!("(a{from}_")));
        json!({"frame": "0200", "on": "trigger", "data": {"speed": value(0), "kind": value(1)}})
    };
    told(halves(16), &[]);
    told(halves(17), &["/messages/m: error: 34 arguments of a message (at most 32)"]);
}

/// A register that an argument sets may be as long as one.
#[test]
fn limit_arg_bytes_max() {
    let message =
        json!({"frame": "0200", "on": "trigger", "set": {"last": "${arg(kind)}$"}, "data": {"speed": "${reg(last)}$"}});
    let fleet = fleet(&with(json!({"m": message})));
    let registers: Vec<_> = fleet.fsus[0].devices[0].registers.iter().map(|one| (&*one.name, one.bytes_max)).collect();
    assert_eq!(registers, [("last", 1_024 + 24)]);
}

#[test]
fn limit_every_ms_max() {
    let every = |ms: u64| json!({"frame": "0200", "every_ms": ms});
    told(every(31_536_000_000), &[]);
    told(every(31_536_000_001), &["/messages/m/every_ms: error: 31536000001 ms (1 to 31536000000)"]);
}

#[test]
fn limit_at_max() {
    key("at_s", (0..1_000).collect(), &[]);
    key("at_s", (0..=1_000).collect(), &[": error: 1001 moments (at most 1000; `every_ms` repeats)"]);
}

#[test]
fn limit_retries_max() {
    ack("retries", json!(1_000), &[]);
    ack("retries", json!(1_001), &[": error: 1001 retries (0 to 1000)"]);
}

#[test]
fn limit_backoff_max() {
    ack("backoff", json!(100), &[]);
    ack("backoff", json!(100.5), &[": error: backoff 100.5 (1 to 100)"]);
}

/// `within_ms`, and what it becomes by `backoff`.
#[test]
fn limit_wait_ms_max() {
    ack("within_ms", json!(3_600_000), &[]);
    ack("within_ms", json!(3_600_001), &[": error: 3600001 ms (1 to 3600000)"]);
    let message =
        json!({"raw": "00", "on": "start", "ack": {"frame": "8100", "within_ms": 1_000, "retries": 9, "backoff": 60}});
    conversation(json!({"m": message}), |all| {
        let waits: Vec<_> = (0..4).map(|sends| all.messages[0].wait_ms(sends)).collect();
        assert_eq!(waits, [Some(1_000), Some(60_000), Some(3_600_000), Some(3_600_000)]);
    });
}

#[test]
fn limit_word_bytes_max() {
    let state = |bytes: usize| json!("s".repeat(bytes));
    key("enters", state(64), &[]);
    let long = "s".repeat(65);
    key("enters", state(65), &[&format!(": error: `{long}` is no state (a word of 1 to 64 bytes)")]);
    let named = |name: &str| with(json!({name: {"raw": "00", "on": "start"}}));
    check_all(&named(&long[1..]), &[], "64");
    let told = format!("/messages/{long}: error: `{long}` is no name of a message (a word of 1 to 64 bytes)");
    check_all(&named(&long), &[&told], "65");
}

/// A message of an earlier file replaces that of a later one, whole.
#[test]
fn files_are_asked_as_for_commands() {
    let named = |names: &[(&str, &str)]| -> Value {
        names
            .iter()
            .map(|(name, raw)| ((*name).to_owned(), json!({"raw": raw, "on": "start"})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut files = with(named(&[("a", "01"), ("b", "02"), ("c", "03")]));
    files["t.json"]["rule_file_list"] = json!(["default.json", "0101.json", "3031.json"]);
    // A file of messages alone.
    files["0101.json"] = json!({"messages": named(&[("b", "12"), ("c", "13")])});
    files["3031.json"] = json!({"messages": named(&[("c", "23"), ("d", "24")])});
    let fleet = fleet(&files);
    let all = fleet.fsus[0].devices[0].conversation.as_ref().unwrap();
    let found: Vec<_> =
        all.messages.iter().map(|one| (&*one.name, hex::encode(one.rule.replies[0].frame.to_vec()))).collect();
    let expected = [("c", "23"), ("d", "24"), ("b", "12"), ("a", "01")];
    assert_eq!(found, expected.map(|(name, raw)| (name, raw.to_owned())));
}

/// `layout/KEY`: the frame of another layout, acknowledged by one of that layout first.
#[test]
fn frames_of_other_layouts() {
    let byte = |name: &str, value: &str| json!({"name": name, "length": 1, "value": value});
    let mut files = with(json!({
        "m": {"layout": "S", "frame": "A1", "on": "trigger", "data": {"n": 5}, "ack": {"frame": "A2", "match": ["n"]}},
        "other": {"frame": "S/A1", "on": "trigger", "ack": {"frame": "8100"}},
    }));
    files["t.json"]["frames"] = json!({"S": {
        "data_frame_type_flag": "type",
        "pdu_left": [byte("mark", "55"), json!({"name": "type", "length": 1}), json!({"name": "digits", "type": "dec", "length": 2})],
        "pdu_tailer": [byte("tail", "66")],
        "data_frame": [
            {"data_frame_type": "A1", "direction": "up", "resp_data_list": [{"name": "n", "type": "uint", "length": 1}]},
            {"data_frame_type": "A2", "req_data_list": [{"name": "n", "type": "uint", "length": 1}]}],
    }});
    let fleet = fleet(&files);
    let all = fleet.fsus[0].devices[0].conversation.as_ref().unwrap();
    // Digits without a value are zeros.
    assert_eq!(hex::encode_upper(all.messages[0].rule.replies[0].frame.to_vec()), "55A130300566");
    assert_eq!(*all.messages[0].rule.frames, [FrameOf { layout: 1, command: Some(0) }]);
    let acks: Vec<_> = all.messages.iter().map(|one| one.ack.as_ref().unwrap().frame).collect();
    assert_eq!(acks, [FrameOf { layout: 1, command: Some(1) }, FrameOf { layout: 0, command: Some(2) }]);
    let mut wrong = files.clone();
    let message = &mut wrong["default.json"]["messages"]["m"];
    message["ack"]["frame"] = json!("S/A2");
    message["frame"] = json!("S/A1");
    let both = "/messages/m/layout: error: `layout` and a layout in `frame` (one of them)";
    check_all(&wrong, &[both], "both");
    let message = &mut wrong["default.json"]["messages"]["m"];
    message["layout"] = json!("T");
    message["frame"] = json!("A1");
    let unknown = "/messages/m/layout: error: `T/A1`: `frames` has no such layout (known: `protocol`, `S`)";
    check_all(&wrong, &[unknown], "unknown");
    // The device of the other layout has no conversation of its own.
    assert_eq!(fleet.fsus[0].devices.iter().map(|one| one.conversation.is_some()).collect::<Vec<_>>(), [true, false]);
    let heeded: Vec<_> = all.heeded.iter().map(|one| (one.frame.layout, one.frame.command)).collect();
    assert_eq!(heeded, [(0, Some(2)), (1, Some(1))]);
}

/// What a conversation waits for has no profile; everything else has the one that it had.
#[test]
fn commands_that_are_waited_for_have_no_profile() {
    let keys = |messages: Value| {
        let fleet = fleet(&with(messages));
        let profiles = fleet.fsus[0].devices[0].profiles.get().unwrap();
        let groups = profiles.list.iter().flat_map(|profile| &profile.keys.groups);
        groups.flat_map(|group| group.rows.iter().map(|row| row.command)).collect::<std::collections::BTreeSet<_>>()
    };
    let plain = json!({"raw": "00", "on": "start"});
    assert_eq!(keys(json!({"m": plain})), [4].into());
    assert_eq!(keys(json!({"m": {"raw": "00", "on": "after:9000"}})), [].into());
    assert_eq!(keys(json!({"m": {"raw": "00", "on": "start", "ack": {"frame": "9000"}}})), [].into());
    assert_eq!(keys(json!({"m": {"raw": "00", "on": "start", "ack": {"frame": "8100"}}})), [4].into());
}

/// Without messages a device has no conversation, and no account is there.
#[test]
fn a_fleet_without_messages() {
    let check = |rules: Value| {
        let fleet = fleet(&json!({"default.json": rules}));
        assert!(fleet.accounts.is_empty() && fleet.fsus[0].devices[0].conversation.is_none());
    };
    check(json!({"01": {}}));
    check(json!({"01": {}, "messages": {}}));
    check(json!({"01": {}, "messages": null}));
}

/// All that is wrong is told at once, each at its place.
#[test]
fn all_errors_are_told_at_once() {
    let messages = json!({
        "a": {"frame": "0101", "on": "strat", "every_ms": 0, "ack": {"within_ms": 0}},
        "b": {"frame": "0200", "data": {"speed": "${1 +}$", "kind": "${arg(}$"}, "while": "x", "cron": "1"},
        "c": {"frame": "0200", "on": "ack:d", "ack": {"frame": "8100", "match": ["of"], "retries": 2000}},
    });
    let expected = [
        "/messages/a/frame: error: the template has no frame `0101` (did you mean `0100`?)",
        "/messages/a/on: error: `on` has no word `strat` (did you mean `start`?)",
        "/messages/a/every_ms: error: 0 ms (1 to 31536000000)",
        "/messages/a/ack: error: \"frame\" is missing (the frame that acknowledges it)",
        "/messages/b/data/speed: error: column 6: the expression ends here (a value is missing)",
        "/messages/b/data/kind: error: column 7: the expression ends here (a value is missing)",
        "/messages/b/while: warning: no message enters the state `x`",
        "/messages/b/cron: error: `1`: 1 fields (five: minute, hour, day of the month, month, day of the week)",
        "/messages/c/on: error: no message `d` (did you mean `a`?)",
        "/messages/c/ack/match/0: error: the frame 0200 has no field `of` (known: kind, speed, start, command, serial, version, len, checksum, end)",
        "/messages/c/ack/retries: error: 2000 retries (0 to 1000)",
    ];
    check_all(&with(messages), &expected, "many");
}

/// The example of the specification, as it is written there.
#[test]
fn a_default_may_be_written_with_leading_zeros() {
    frame(json!({"frame": "0200", "data": {"kind": "01"}}), "7E0200000013020100000D");
    let message = json!({"frame": "0200", "on": "trigger", "data": {"kind": "${arg(kind, 01)}$", "speed": "${sine(0, 80, 600)}$"}});
    conversation(json!({"m": message}), |all| assert_eq!(*all.messages[0].args, ["kind".into()]));
}

#[test]
fn shapes_that_are_none() {
    let check = |messages: Value, expected: &str| check_all(&with(messages), &[expected], "");
    check(json!(5), "/messages: error: expected an object, found 5");
    check(json!([{}]), "/messages: error: expected an object, found a list");
    check(json!({"a": 5}), "/messages/a: error: expected an object, found 5");
    check(
        json!({"a": {"raw": "00", "on": 5}}),
        "/messages/a/on: error: expected a text, found 5 (write \"5\", with quotes)",
    );
    check(
        json!({"a": {"raw": "00", "on": "start", "evry_ms": 5}}),
        "/messages/a/evry_ms: warning: unknown key \"evry_ms\" (did you mean \"every_ms\"?)",
    );
    check(
        json!({"a": {"raw": "00", "on": "start", "when": {"x": 1}}}),
        "/messages/a/when: error: expected a text, found an object",
    );
}
