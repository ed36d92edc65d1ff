//! A small configuration with one error in it, and its diagnostic.

use super::compile;
use super::fixtures::files;
use crate::config::diag::Diags;
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::fleet::{Fleet, Language};
use crate::texts::{Texts, chinese};
use serde_json::{Value, json};

mod charges;
mod checksums;
mod complexity;
mod connect;
mod csv;
mod effect;
mod fleet;
mod identity;
mod keys;
mod limits;
mod memory;
mod messages;
mod parsed;
mod ranges;
mod readings;
mod rule_files;
mod rules;
mod templates;
mod transfers;
mod values;
mod vendor;

/// The fleet of this sys_config.json, beside the files of the fixtures.
fn fleet_of(main: &Value) -> Fleet {
    let mut files = files();
    files["sys_config.json"] = main.clone();
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()))
}

/// Puts `value` at `pointer` (file name first) of [`files`]; `expected` is what is told, places left out.
fn check(pointer: &str, value: Value, expected: &[&str]) {
    let mut files = files();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match files.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        other => panic!("{other}"),
    }
    check_all(&files, expected, pointer);
}

/// As [`check`], with these files in place of those of [`files`].
fn check_all(with: &Value, expected: &[&str], about: &str) {
    assert_eq!(told_by(with, |diags| diags.lines().collect()), expected, "{about}");
}

/// Diagnostics of [`files`] with these replaced: `null` is a directory, a text is written as it is.
fn told_by(with: &Value, lines: impl Fn(&mut Diags) -> Vec<String>) -> Vec<String> {
    let mut files = files();
    for (name, content) in with.as_object().unwrap() {
        files[name] = content.clone();
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content {
            Value::Null => std::fs::create_dir(path).unwrap(),
            Value::String(text) => std::fs::write(path, text).unwrap(),
            _ => std::fs::write(path, content.to_string()).unwrap(),
        }
    }
    let mut loader = Loader::new(Source::Directory);
    compile(&mut loader, &dir.path().join("sys_config.json"));
    let prefix = format!("{}/", dir.path().display());
    let names = chinese::names_in(&files.to_string());
    let lines = lines(&mut loader.diags).into_iter().map(|line| line.replace(&prefix, ""));
    let lines = lines.inspect(|line| {
        let said = Texts::of(Language::Zh).diag(line);
        // Behind the place.
        chinese::check_with(said.split_once("：").map_or(&said, |(_, text)| text), &names);
    });
    lines.map(|line| line.split_once(": ").map_or(line.clone(), |(_, text)| text.into())).collect()
}

#[test]
fn header_values_must_fit() {
    let at = "/t.json/protocol/pdu_left/1/value";
    check(at, json!("FF"), &[]);
    check(at, json!(""), &[]);
    check(
        at,
        json!("100"),
        &["/protocol/pdu_left/1/value: error: `100` is longer than the field (1 byte holds 2 hex digits)"],
    );
    check(
        at,
        json!("{{data_frame_len}}"),
        &["/protocol/pdu_left/1/value: error: an unknown placeholder (known: {{data_frame_length}})"],
    );
    let at = "/t.json/protocol/pdu_left/0/value";
    check(
        at,
        json!("7E7E"),
        &["/protocol/pdu_left/0/value: error: `7E7E` is longer than the field (1 byte holds 2 hex digits)"],
    );
}

#[test]
fn numbers_must_fit_a_float() {
    let at = "/default.json/01/data/power";
    check(at, json!("${choice(1,2.5)}$"), &[]);
    check(at, json!("1.${rand(0,99)}$"), &[]);
    let told = |text: &str| format!("/01/data/power: error: {text}");
    check(
        at,
        json!("${choice(1,a)}$"),
        &[&told("`${choice(1,a)}$` has the choice `a`, which is no number of this field")],
    );
    check(at, json!("v${hour()}$"), &[&told("`v${hour()}$` is no number of this field")]);
    let range = "is out of range (-3.4028235e38 to 3.4028235e38 in 4 bytes)";
    check(at, json!("4e38"), &[&told(&format!("`4e38` {range}"))]);
    check("/default.json/01/data/shown", json!("#{power}#"), &[]);
}

#[test]
fn a_header_name_is_no_data_field() {
    check("/default.json/01/data/{pdu_left}_address", json!("05"), &[]);
    check(
        "/default.json/01/data/{pdu_left}_power",
        json!(1),
        &["/01/data/{pdu_left}_power: error: the reply to 01 has no field `{pdu_left}_power` (did you mean `power`?)"],
    );
}

#[test]
fn one_command_has_one_entry() {
    check("/default.json/0x01", json!({}), &["/0x01: error: the same command as `01` (its rules in one list)"]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri words an error differently")]
fn files_that_are_named_must_be_there() {
    check(
        "/t.json/rule_file_list",
        json!(["default.json", "defualt.json", "0102.json"]),
        &[
            "/rule_file_list/1: error: defualt.json is no file (only an <fsuid>.json may be missing)",
            "/rule_file_list/2: error: 0102.json is no file (only an <fsuid>.json may be missing)",
        ],
    );
    check(
        "/t.json/rule_file_list",
        json!(["default.json", "t.json"]),
        &[
            "/rule_file_list/1: warning: `t.json` can apply to no FSU and no device here (<fsuid>.json of an FSU, 0101.json \
           of a device, default.json)",
        ],
    );
    check("/vendor.json", Value::Null, &["error: cannot be read: Is a directory (os error 21)"]);
    for empty in ["", " "] {
        check(
            "/sys_config.json/fsu_list/0/config_dir",
            json!(empty),
            &["/fsu_list/0/config_dir: error: an empty path (`.` is the directory of this file)"],
        );
    }
    let device = "/dev/zero";
    check(
        "/fsu_devices.json/device_list/0/protocol_template",
        json!(device),
        &[
            "/device_list/0/protocol_template: error: /dev/zero cannot be read: it is no regular file, but a pipe, a socket or a device",
        ],
    );
}

#[test]
fn a_crc_has_one_meaning() {
    let check = |algorithm: &str, expected: Option<&str>| {
        let at = "/t.json/protocol/checksum/algorithm";
        let mut files = files();
        files["t.json"]["protocol"]["pdu_tailer"][0]["length"] = 2.into();
        *files.pointer_mut(at).unwrap() = algorithm.into();
        let expected = expected.map(|text| format!("/protocol/checksum/algorithm: error: {text}"));
        check_all(&files, &expected.iter().map(String::as_str).collect::<Vec<_>>(), algorithm);
    };
    for good in ["crc16", "CRC16", "crc:CRC-16/ARC", "crc:crc_16_ccitt_false", "crc:X-25"] {
        check(good, None);
    }
    let crc16 = "`CRC-16` is ambiguous: write crc:CRC-16/ARC or crc:CRC-16/MODBUS";
    check("crc:CRC-16", Some(crc16));
    check("CRC-16", Some(crc16));
    let ccitt = "`CRC16-CCITT` is ambiguous: write crc:CRC-16/KERMIT, crc:CRC-16/IBM-3740 or crc:CRC-16/XMODEM";
    check("crc:CRC16-CCITT", Some(ccitt));
    check("CRC-16/XMODEM", Some("unknown algorithm `CRC-16/XMODEM` (did you mean `crc:CRC-16/XMODEM`?)"));
    check(
        "CRC-CCITT-FALSE",
        Some(
            "unknown algorithm `CRC-CCITT-FALSE` (known: sum, xor, sum_xor, crc16, sum16, ones16, xor16, lrc, crc:CRC-16/MODBUS)",
        ),
    );
    check("crc:CRC8/LTS", Some("no CRC of the catalogue is named `CRC8/LTS` (did you mean `CRC-8/LTE`?)"));
}

/// A template with neither start nor end, for tcp, with these commands.
fn unmarked(commands: &Value, expected: &[&str]) {
    let field = |name: &str| json!({"name": name, "type": "hex", "length": 1});
    let files = json!({
        "sys_config.json": {"fsu_list": [
            {"fsuname": "a", "port": 0, "protocol_type": "tcp", "config_dir": "."}
        ]},
        "t.json": {"rule_file_list": ["default.json"], "protocol": {
            "data_frame_type_flag": "function",
            "checksum": {"field": "crc", "algorithm": "crc16"},
            "pdu_left": [field("unit"), field("function")],
            "pdu_tailer": [{"name": "crc", "type": "int", "length": 2}],
            "data_frame": commands
        }},
        "default.json": {}
    });
    check_all(&files, expected, "unmarked");
}

#[test]
fn a_stream_without_marks_is_cut_by_the_command() {
    let word = |name: &str| json!({"name": name, "type": "int", "length": 2});
    let read = json!({"data_frame_type": "03", "req_data_list": [word("from"), word("count")]});
    let reset = json!({"data_frame_type": "08", "req_data_list": []});
    let unanswered = "/protocol/data_frame/0: warning: no rule file has 03, 08 (a rule for each, `{\"timeout\": true}` for one \
                      that is never answered)";
    unmarked(&json!([read, reset]), &[unanswered]);
    let cannot = "/fsu_list/0: error: t.json has neither a fixed size, nor a length field, nor an end: a tcp stream cannot be cut \
                  (`total_length`; a length field; a last tail field with a `value`; without ascii_hex, a tail field with a \
                  `value` and `match`; or, without ascii_hex, a command that header fields name and requests of one size, all with `req_data_list`, for each command)";
    unmarked(&json!([read, {"data_frame_type": "08"}]), &[cannot]);
    unmarked(&json!([read, {"data_frame_type": "03", "req_data_list": [word("from")]}]), &[cannot]);
}

/// As [`check`]: one line is told at the place itself, an `error` or a `warning`.
fn told(pointer: &str, value: Value, line: &str) {
    let (_, place) = pointer.trim_start_matches('/').split_once('/').unwrap();
    check(pointer, value, &[&format!("/{place}: {line}")]);
}

#[test]
fn names_that_no_field_may_have() {
    for list in ["pdu_left/1", "data_frame/0/req_data_list/0", "data_frame/0/resp_data_list/1"] {
        let at = format!("/t.json/protocol/{list}/name");
        told(&at, json!(" "), "error: a field without a name");
        told(&at, json!("data_frame"), "error: `data_frame` means the whole data frame; a field has another name");
    }
    let at = "/t.json/protocol/data_frame/0/resp_data_list/1";
    let bits = |bits: Value| json!({"name": "flags", "type": "bit", "length": 1, "bits": bits});
    check(at, bits(json!({"a": [0, 3], "b": [4, 7]})), &[]);
    check(
        at,
        bits(json!({"a": [0, 3], "b": [3, 4]})),
        &["/protocol/data_frame/0/resp_data_list/1/bits/b: warning: bits `a` and `b` overlap \
           (where both are given, the later one stands)"],
    );
    check(
        at,
        bits(json!({"": [0, 3]})),
        &["/protocol/data_frame/0/resp_data_list/1/bits/: error: bits without a name"],
    );
}

#[test]
fn a_checksum_spans_something() {
    let at = "/t.json/protocol/checksum";
    let span = |from: &str, to: &str| json!({"algorithm": "sum", "from": from, "to": to});
    check(at, span("address", "address"), &[]);
    check(at, span("data_frame", "data_frame"), &[]);
    told(at, span("command", "address"), "error: the checksum's span is empty");
    told(at, span("command", "start"), "error: the checksum's span ends before it begins");
}

#[test]
fn one_field_has_one_value() {
    let twice = json!({"address": "01", "{pdu_left}_address": "02"});
    let line = "error: the same field as `address`";
    for (rule, place) in
        [(json!({"data": twice}), "data/"), (json!({"cycle": [twice]}), "cycle/0/"), (json!({"when": twice}), "when/")]
    {
        check("/default.json/01", rule, &[&format!("/01/{place}{{pdu_left}}_address: {line}")]);
    }
    check(
        "/t.json/protocol/errors",
        json!({"unknown_command": {"data": twice}}),
        &[&format!("/protocol/errors/unknown_command/data/{{pdu_left}}_address: {line}")],
    );
    check("/default.json/01", json!({"data": {"address": "01"}, "cycle": [{"address": "02"}]}), &[]);
}

#[test]
fn a_length_is_computed() {
    let line = "warning: `n` is always computed; its value here means nothing";
    let length = json!({"name": "n", "type": "length", "length": 1, "of": ["power"], "value": 5});
    let at = "/t.json/protocol/data_frame/0/resp_data_list/1";
    check(at, length, &[&format!("/protocol/data_frame/0/resp_data_list/1/value: {line}")]);
    let files = |left: Value, data: Value| {
        let mut files = files();
        files["t.json"]["protocol"]["pdu_left"].as_array_mut().unwrap().push(left);
        files["default.json"] = json!({"01": {"data": data}});
        files
    };
    let length = |value: Value| json!({"name": "n", "type": "length", "length": 1, "value": value});
    check_all(&files(length(json!(5)), json!({})), &[&format!("/protocol/pdu_left/3/value: {line}")], "header");
    check_all(&files(length(Value::Null), json!({"n": 5})), &[&format!("/01/data/n: {line}")], "rule");
    check_all(&files(length(json!("{{data_frame_length}}")), json!({})), &[], "placeholder");
}

#[test]
fn what_a_length_counts() {
    let field = |kind: &str, value: &str, key: &str, given: Value| json!({"name": "n", "type": kind, "length": 2, "value": value, key: given});
    for (key, given) in
        [("of", json!("data_frame")), ("unit", json!("chars")), ("add", json!(1)), ("check", json!("none"))]
    {
        let needs = format!("error: `{key}` needs `\"type\": \"length\"`");
        for list in ["pdu_left/1", "data_frame/0/resp_data_list/1"] {
            let at = format!("/t.json/protocol/{list}");
            let mut files = files();
            *files.pointer_mut(&at).unwrap() = field("uint", "0", key, given.clone());
            check_all(&files, &[&format!("/protocol/{list}/{key}: {needs}")], key);
        }
    }
    let at = "/t.json/protocol/pdu_left/1";
    check(at, field("uint", "{{data_frame_length}}", "add", json!(1)), &[]);

    let length = |of: Value| json!({"name": "n", "type": "length", "length": 1, "of": of});
    check(at, length(json!(["data_frame", "end"])), &[]);
    let known = "(known: start, n, command, checksum, end, data_frame)";
    check(at, length(json!(["body"])), &[&format!("/protocol/pdu_left/1/of/0: error: no field `body` {known}")]);
    let near = "(did you mean `data_frame`?)";
    check(at, length(json!("data_fram")), &[&format!("/protocol/pdu_left/1/of: error: no field `data_fram` {near}")]);
    let known = "(known: power, n, start, address, command, checksum, end, data_frame)";
    check(
        "/t.json/protocol/data_frame/0/resp_data_list/1",
        length(json!(["power", "body"])),
        &[&format!("/protocol/data_frame/0/resp_data_list/1/of/1: error: `of` names no field `body` {known}")],
    );
}

#[test]
fn what_a_length_holds() {
    let length = |add: i64| json!({"name": "n", "type": "length", "length": 1, "add": add});
    let header = "pdu_left/1";
    let data = "data_frame/0/resp_data_list/1";
    let one = |list: &str, add: i64, at: &str, text: &str| {
        let line = format!("/protocol{at}: error: {text}");
        let told = [line.as_str()];
        check(&format!("/t.json/protocol/{list}"), length(add), if text.is_empty() { &[] } else { &told });
    };
    one(header, 150, "", "");
    one(header, 250, "", "a length of up to 314 does not fit its field (8 bits)");
    let below = |value: i64| format!("`n` of an empty data frame would be {value}, and a length is never below 0");
    one(header, -1, "/pdu_left/1/add", &below(-1));
    one(header, i64::MIN, "/pdu_left/1/add", &below(i64::MIN));
    one(header, i64::MAX, "", &format!("a length of up to {} does not fit its field (8 bits)", i64::MAX));
    let at = format!("/{data}/add");
    one(data, -5, "", "");
    one(data, -6, &at, "`n` would be -1, and a length is never below 0");
    let most = format!("`{}` is out of range (0 to 255 in 1 byte)", i64::MAX);
    one(data, i64::MAX, &format!("/{data}"), &most);
}

#[test]
fn n18_what_only_follows_from_a_mistake_is_not_told() {
    let list = "error: expected a list, found \"default.json\"";
    check("/t.json/rule_file_list", json!("default.json"), &[&format!("/rule_file_list: {list}")]);
    let none = "/protocol: error: `data_frame` is missing or empty (the commands)";
    check("/t.json/protocol/data_frame", json!([]), &[none]);
}

#[test]
fn fields_that_no_frame_has_room_for_are_one_error() {
    let field = |i: usize| json!({"name": format!("f{i}"), "length": 60_000});
    let many: Vec<Value> = (0..40_000).map(field).collect();
    let text = "error: the fields up to `f1` take 120000 bytes (a frame has at most 65000)";
    let list = "/protocol/data_frame/0/req_data_list";
    check(&format!("/t.json{list}"), json!(many), &[&format!("{list}/1/name: {text}")]);
    check("/t.json/protocol/pdu_tailer", json!(many), &[&format!("/protocol/pdu_tailer/1/name: {text}")]);
}

#[test]
fn one_mistake_is_told_once() {
    let lists = |list: Value, expected: &[&str]| check("/default.json/01", list, expected);
    lists(json!([]), &["/01: warning: an empty list: the command is not answered, as if it did not stand here"]);
    lists(json!([5]), &["/01/0: error: expected an object, found 5"]);
    lists(json!({"cycle": []}), &["/01/cycle: error: `cycle` is empty (a list of data objects)"]);
    lists(json!({"cycle": [5]}), &["/01/cycle/0: error: expected an object, found 5"]);

    let at = "/t.json/protocol/total_length";
    told(at, json!(3), "error: total_length 3 (header and tail take 5, at most 65000)");
    told(at, json!("70"), "error: expected a whole number, found \"70\" (write 70, without quotes)");

    let at = "/t.json/protocol/data_frame_type_flag";
    told(at, json!(5), "error: expected a text, found 5 (write \"5\", with quotes)");
    check(
        at,
        json!([5]),
        &["/protocol/data_frame_type_flag/0: error: expected a text, found 5 (write \"5\", with quotes)"],
    );
    told(at, json!("{command"), "error: `{command` names no field (a name, `{a}_{b}`, or a list)");
    let nothing = "is neither a header field nor in any req_data_list, so no command can be told";
    told(at, json!("comand"), &format!("error: `comand` {nothing} (did you mean `command`?)"));
    let known = "(known: start, address, command, checksum, end)";
    for empty in [json!(""), json!([])] {
        told(at, empty, &format!("error: `data_frame_type` (`data_frame_type_flag` is empty) {nothing} {known}"));
    }
}

#[test]
fn numbers_of_a_whole_number_field() {
    let at = "/default.json/01/when";
    let line = |text: &str| format!("/01/when/phase: error: {text}");
    check(at, json!({"phase": 2}), &[]);
    let plain = "is no value of this field (a whole number, without point and exponent";
    check(at, json!({"phase": 1e2}), &[&line(&format!("100.0 {plain}: 100)"))]);
    check(at, json!({"phase": 1.5}), &[&line(&format!("1.5 {plain})"))]);
}

#[test]
fn references_that_name_nothing() {
    let at = "/default.json/01/data/shown";
    let known = "year, month, day, week, hour, minute, second, datetime, packed_date, packed_time, fsuid, seq, rand, choice, reg, index";
    for empty in ["${}$", "at ${ }$ ${hour()}$", "${()}$"] {
        told(at, json!(empty), &format!("error: `${{}}$` names no function (known: {known})"));
    }
    told(at, json!("${hours}$"), "error: unknown function `hours` (did you mean `hour`?)");
    told(at, json!("#{}#"), "error: `#{}#` names no field (would be `#{field}#`)");
}

#[test]
fn what_goes_into_bits_is_zeros_and_ones() {
    let bit = |name: &str, length: u32| json!({"name": name, "type": "bit", "length": length});
    let named = |name: &str| json!({"name": name, "type": "bit", "length": 1, "bits": {"door": [0, 1]}});
    let one = |value: &str, expected: Option<&str>| {
        let mut files = files();
        let command = &mut files["t.json"]["protocol"]["data_frame"][0];
        command["req_data_list"] = json!([bit("one", 1), bit("two", 2), named("doors"), {"name": "raw", "length": 1}]);
        command["resp_data_list"] = json!([bit("flags", 1), named("open")]);
        files["default.json"] = json!({"01": {"data": {"flags": value}}});
        let expected = expected.map(|text| format!("/01/data/flags: error: `{value}` {text}"));
        check_all(&files, &expected.iter().map(String::as_str).collect::<Vec<_>>(), value);
    };
    let other =
        "may be something else than zeros and ones (this field takes them, or a bit field of the same size and names)";
    one("#{one}#", None);
    one("#{two}#", Some("may be 16 bits long, and the field holds 8"));
    one("#{doors}#", Some(other));
    one("#{raw}#", Some(other));
    one("1${rand(0,1)}$", None);
    one("${rand(0,2)}$", Some(other));
    one("${choice(01,2)}$", Some(other));
    one("${choice(01,10)}$", None);
    one("${hour()}$", Some(other));
}

#[test]
fn a_key_tells_commands_apart() {
    let protocol = |flag: &str, key: &str, keys: Value| {
        let mut files = files();
        let protocol = &mut files["t.json"]["protocol"];
        protocol["data_frame_type_flag"] = flag.into();
        protocol["data_frame"][0]["data_frame_type"] = key.into();
        protocol["pdu_left"].as_array_mut().unwrap().push(keys);
        files["default.json"] = json!({key: {}});
        files
    };
    let one = |flag: &str, key: &str, expected: &[&str]| {
        let length = json!({"name": "n", "type": "length", "length": 1});
        check_all(&protocol(flag, key, length), expected, flag);
    };
    let told = |name: &str| {
        format!(
            "/protocol/data_frame_type_flag: error: `{name}` of data_frame_type_flag is computed and tells no command \
             from another (entries of one key may differ in size)"
        )
    };
    one("n", "05", &[&told("n")]);
    one("checksum", "05", &[&told("checksum")]);
    one("{command}_{checksum}", "01_05", &[&told("checksum")]);
    // A device with one command alone may have no field for it.
    one("start", "7E", &[]);
    let never = |what: &str| format!("/protocol/data_frame/0/data_frame_type: error: no request has this key: {what}");
    one("start", "01", &[&never("`start` is always 7E")]);
    one("end", "01", &[&never("`end` is always 0D")]);
    one("{start}_{command}", "7E_01", &[]);
    one("{start}_{command}", "01_7E", &[&never("`start` is always 7E")]);
    let version = json!({"name": "version", "type": "int_le", "length": 2, "value": 258, "match": true});
    check_all(&protocol("{command}_{version}", "01_0102", version.clone()), &[], "version");
    let other = [never("`version` is always 0201")];
    check_all(&protocol("{command}_{version}", "01_0201", version), &[&other[0]], "version");
}

#[test]
fn what_a_text_may_become_fits() {
    // The FSU's id has 4 digits.
    let one = |kind: &str, length: u32, value: &str, expected: Option<&str>| {
        let mut files = files();
        let command = &mut files["t.json"]["protocol"]["data_frame"][0];
        let field = |name: &str, kind: &str| json!({"name": name, "type": kind, "length": 2});
        command["req_data_list"] = json!([field("raw", "hex"), field("number", "uint")]);
        command["resp_data_list"] = json!([{"name": "n", "type": kind, "length": length}]);
        files["default.json"] = json!({"01": {"data": {"n": value}}});
        let expected = expected.map(|text| format!("/01/data/n: error: `{value}` {text}"));
        check_all(&files, &expected.iter().map(String::as_str).collect::<Vec<_>>(), value);
    };
    let no_number = Some("is no whole number");
    one("uint", 2, "${fsuid()}$", None);
    one("uint", 1, "${fsuid()}$", Some("may be 9999, and the field holds 0 to 255"));
    one("uint", 8, "${fsuid()}$${fsuid()}$", None);
    one("uint", 2, "${packed_time()}$", None);
    one("uint", 4, "${packed_time()}$${packed_time()}$", no_number);
    one("uint", 4, "0x${packed_time()}$${packed_time()}$", None);
    one("uint", 2, "0x${packed_time()}$${packed_time()}$", Some("may be 0xFFFFFFFF, and the field holds 0 to 65535"));
    one("uint", 4, "${datetime(%H%M)}$", None);
    one("uint", 2, "${datetime(%Y%m%d)}$", Some("may be 99991231, and the field holds 0 to 65535"));
    one("uint", 2, "${datetime(%H:%M)}$", no_number);
    one("uint", 1, "${hour()}$${minute()}$", Some("may be 2359, and the field holds 0 to 255"));
    one("uint", 1, "1${choice(1,99)}$", None);
    one("uint", 1, "1${choice(99,1,a)}$", no_number);
    one("int", 2, "1${rand(-1,1)}$", no_number);
    one("uint", 1, "#{number}#${second()}$", Some("may be 6553559, and the field holds 0 to 255"));
    one("uint", 1, "#{raw}#", None);
    one("uint", 1, "v#{raw}#", no_number);
    one("uint", 1, "#{raw}#${fsuid()}$", Some("may be 9999, and the field holds 0 to 255"));
    one("uint", 2, "4${seq()}$", None);
    one("f32", 4, "${packed_date()}$", Some("is no number of this field"));
    one("f32", 4, "1.${fsuid()}$", None);
    one("hex", 2, "${choice(0A,x1)}$", None);
    one("bcd", 2, "${choice(0A,1)}$", Some("has the choice `0A`, which are no digits of this field"));
    one(
        "bcd",
        4,
        "00${packed_time()}$",
        Some("may have the hex digits of a packed time, and the field holds decimal ones"),
    );
    one("bcd", 4, "${datetime(%H:%M)}$", Some("has `:`, which are no digits of this field"));
}

#[test]
fn n20_two_fsus_at_one_address_are_an_error() {
    let check = |hosts: [&str; 2], kinds: [&str; 2], expected: &[&str]| {
        let one = |n: usize| {
            json!({
                "fsuname": format!("f{n}"), "fsuid": "3031", "host": hosts[n], "port": 9000, "protocol_type": kinds[n],
                "config_dir": ".",
            })
        };
        check_all(&json!({"sys_config.json": {"fsu_list": [one(0), one(1)]}}), expected, hosts[0]);
    };
    let at = "/fsu_list/1/port: error: udp ";
    check(["::", "0.0.0.0"], ["udp"; 2], &[&format!("{at}0.0.0.0:9000 of `f1` is taken by `f0`")]);
    check(["::", "127.0.0.1"], ["udp"; 2], &[&format!("{at}127.0.0.1:9000 of `f1` is taken by `f0`")]);
    check(["127.0.0.1", "::"], ["broadcast", "udp"], &[&format!("{at}[::]:9000 of `f1` is taken by `f0`")]);
    check(["::ffff:127.0.0.1", "127.0.0.1"], ["udp"; 2], &[&format!("{at}127.0.0.1:9000 of `f1` is taken by `f0`")]);
    check(["::1", "0.0.0.0"], ["udp"; 2], &[]);
    check(["::", "::"], ["udp", "tcp"], &[]);
}

#[test]
fn n20_heartbeats_need_a_family_in_common() {
    let check = |host: &str, centre: &str, expected: &[&str]| {
        let fsu = json!({"fsuname": "a", "fsuid": "3031", "host": host, "port": 0, "protocol_type": "udp", "config_dir": "."});
        let main = json!({"sc_iot_center": {"host": centre, "port": 9000}, "fsu_list": [fsu]});
        check_all(&json!({"sys_config.json": main}), expected, host);
    };
    let unheard = |centre, host| {
        format!(
            "/sc_iot_center: warning: no heartbeat of `a` reaches {centre}:9000 from {host} (`host` :: has both IPv4 and IPv6)"
        )
    };
    check("127.0.0.1", "::1", &[&unheard("[::1]", "127.0.0.1")]);
    check("::1", "127.0.0.1", &[&unheard("127.0.0.1", "::1")]);
    check("::1", "::ffff:127.0.0.1", &[&unheard("127.0.0.1", "::1")]);
    check("::", "127.0.0.1", &[]);
    check("::", "::1", &[]);
    check("127.0.0.1", "::ffff:127.0.0.1", &[]);
}

/// The longest request of a stream, by what is listed and what `request_bytes_max` says.
#[test]
fn n11_a_length_is_believed_up_to_what_a_command_may_have() {
    let longest = |protocol: &[(&str, Value)]| {
        let mut files = files();
        for (key, value) in protocol {
            match value {
                Value::Null => drop(files["t.json"]["protocol"]["data_frame"][0].as_object_mut().unwrap().remove(*key)),
                _ => files["t.json"]["protocol"][*key] = value.clone(),
            }
        }
        files["t.json"]["protocol"]["data_frame"][0]["resp_data_list"] = json!([]);
        files["default.json"] = json!({"01": {}});
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files.as_object().unwrap() {
            std::fs::write(dir.path().join(name), content.to_string()).unwrap();
        }
        let mut loader = Loader::new(Source::Directory);
        let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
        assert!(loader.diags.lines().next().is_none(), "{:?}", loader.diags.lines().collect::<Vec<_>>());
        crate::wire::framer::longest(&fleet.unwrap().fsus[0].devices[0].template)
    };
    assert_eq!(longest(&[]), 256);
    assert_eq!(longest(&[("request_bytes_max", json!(10))]), 10);
    assert_eq!(longest(&[("request_bytes_max", json!(1_000))]), 1_000);
    assert_eq!(longest(&[("req_data_list", Value::Null)]), 65_535);
    assert_eq!(longest(&[("req_data_list", Value::Null), ("request_bytes_max", json!(300))]), 300);
    // Before encoding: all but start and end are two characters.
    assert_eq!(longest(&[("encoding", json!("ascii_hex"))]), 2 + 2 * 254);
    assert_eq!(longest(&[("total_length", json!(40)), ("dynamic_length", json!(false))]), 40);
}

#[test]
fn limit_rtn_flags_max() {
    let at = "/sys_config.json/fsu_list/0/accept_rtn_flags";
    let flags = |count: u8| json!((0..count).map(|flag| format!("{flag:02X}")).collect::<Vec<_>>());
    check(at, flags(8), &[]);
    told(at, flags(9), "error: 9 RtnFlags (1 to 8; [\"EE\"] is the default)");
}

#[test]
fn n08_accepted_flags_are_single_bytes() {
    let at = "/sys_config.json/fsu_list/0/accept_rtn_flags";
    for good in [json!(["EE", "00"]), json!(["00"]), json!(["ee"]), json!(["EE", "EE"])] {
        check(at, good, &[]);
    }
    let pointer = "/fsu_list/0/accept_rtn_flags";
    let wrong = |text: &str| format!("{pointer}/0: error: `{text}` is no RtnFlag (one byte, two hex digits; \"EE\")");
    for text in ["", "E", "EE00", "GG", "0xEE"] {
        check(at, json!([text]), &[&wrong(text)]);
    }
    let count = |count| format!("{pointer}: error: {count} RtnFlags (1 to 8; [\"EE\"] is the default)");
    check(at, json!([]), &[&count(0)]);
    let fsu = |fsuid: &str, transport: &str| {
        json!({"sys_config.json": {"fsu_list": [{"fsuname": "a", "fsuid": fsuid, "port": 0, "protocol_type": transport,
            "config_dir": ".", "accept_rtn_flags": ["EE", "00"]}]}})
    };
    let cannot = format!(
        "{pointer}: error: `accept_rtn_flags` and an fsuid that begins with eight 00: a request cannot be told from a \
         reply (leave it out, or take another fsuid)"
    );
    check_all(&fsu("000000000000000031", "udp"), &[&cannot], "an id that a reply may have there");
    check_all(&fsu("000000000000000031", "tcp"), &[], "no RtnFlag there");
}

/// Adds a key to every object.
fn add_everywhere(value: &mut Value, key: &str, text: &str) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|value| add_everywhere(value, key, text));
            map.insert(key.to_owned(), text.into());
        }
        Value::Array(list) => list.iter_mut().for_each(|value| add_everywhere(value, key, text)),
        _ => {}
    }
}

#[test]
fn n19_a_schema_may_be_named_in_every_object() {
    let mut files = files();
    files["default.json"] = json!({"01": [{"when": {"phase": 1}, "data": {"power": 1.5}, "set": {"a": "1"}, "delay": {"fixed": 5},
        "cycle": [{"shown": "x"}], "faults": {"drop": 0.5}}, {}]});
    files["vendor.json"] = json!([{"vendor": "x", "checksum": {"algorithm": "sum"}}]);
    files["sys_config.json"]["log"] = json!({"level": "info"});
    files["sys_config.json"]["sc_iot_center"] = json!({"host": "127.0.0.1", "port": 9000});
    files["sys_config.json"]["fsu_list"][0]["limits"] = json!({"clients_max": 5});
    for file in files.as_object_mut().unwrap().values_mut() {
        add_everywhere(file, "$schema", "./schema/x.schema.json");
    }
    check_all(&files, &[], "$schema");
}
