//! Keys that do nothing, and mistakes that are one error.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::{check, check_all, files, told_by};
use serde_json::{Value, json};

/// `with` has no warning, and under `--strict` these keys are errors (`place: key`).
fn idle(with: &Value, expected: &[&str]) {
    check_all(with, &[], &with.to_string());
    let strict = told_by(with, |diags| {
        diags.make_strict();
        diags.lines().collect()
    });
    let told = strict.iter().map(|line| line.split_once("` does nothing here").map_or(line.as_str(), |(key, _)| key));
    let mut told: Vec<String> = told.map(|line| line.replace(": error: `", " ")).collect();
    told.sort_unstable();
    assert_eq!(told, expected, "{with}");
    let verbose = told_by(with, |diags| diags.all_lines().collect());
    assert!(verbose.iter().all(|line| line.contains(": info: ")), "{verbose:?}");
}

/// [`files`] with these keys in the FSU.
fn fsu(transport: &str, keys: Value) -> Value {
    let mut main = files()["sys_config.json"].clone();
    let fsu = main["fsu_list"][0].as_object_mut().unwrap();
    fsu.insert("protocol_type".into(), json!(transport));
    fsu.extend(keys.as_object().unwrap().clone());
    json!({"sys_config.json": main})
}

/// [`files`] with these keys beside `fsu_list`.
fn main_file(transport: &str, keys: Value) -> Value {
    let mut with = fsu(transport, json!({}));
    with["sys_config.json"].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    with
}

#[test]
fn n18_keys_of_another_transport_do_nothing() {
    let udp = json!({"heartbeat_interval": 5, "heartbeat_enable": true, "heartbeat_reply": true, "client_timeout": 9,
        "accept_any_id": true, "accept_rtn_flags": ["EE", "00"], "limits": {"clients_max": 9}});
    let of_udp = [
        "/fsu_list/0/accept_any_id accept_any_id",
        "/fsu_list/0/accept_rtn_flags accept_rtn_flags",
        "/fsu_list/0/client_timeout client_timeout",
        "/fsu_list/0/heartbeat_enable heartbeat_enable",
        "/fsu_list/0/heartbeat_interval heartbeat_interval",
        "/fsu_list/0/heartbeat_reply heartbeat_reply",
        "/fsu_list/0/limits/clients_max clients_max",
    ];
    idle(&fsu("udp", udp.clone()), &[]);
    idle(&fsu("tcp", udp.clone()), &of_udp);
    idle(&fsu("broadcast", udp), &of_udp);
    let tcp = json!({"limits": {"connections_max": 9, "connections_per_peer_max": 9, "frame_deadline_ms": 10,
        "idle_timeout_ms": 10, "write_deadline_ms": 10, "write_buffer_bytes_max": 2048}});
    let of_tcp = [
        "connections_max",
        "connections_per_peer_max",
        "frame_deadline_ms",
        "idle_timeout_ms",
        "write_buffer_bytes_max",
        "write_deadline_ms",
    ];
    let of_tcp = of_tcp.map(|key| format!("/fsu_list/0/limits/{key} {key}"));
    let of_tcp: Vec<&str> = of_tcp.iter().map(String::as_str).collect();
    idle(&fsu("tcp", tcp.clone()), &[]);
    idle(&fsu("udp", tcp.clone()), &of_tcp);
    idle(&fsu("broadcast", tcp), &of_tcp);
    let silent = json!({"heartbeat_enable": false, "heartbeat_interval": 5});
    idle(&fsu("udp", silent), &["/fsu_list/0/heartbeat_interval heartbeat_interval"]);
}

#[test]
fn n18_keys_of_sys_config_that_no_fsu_needs() {
    let center = json!({"sc_iot_center": {"port": 9}});
    idle(&main_file("udp", center.clone()), &[]);
    idle(&main_file("tcp", center.clone()), &["/sc_iot_center sc_iot_center"]);
    idle(&main_file("broadcast", center), &["/sc_iot_center sc_iot_center"]);
    let amplification = json!({"allow_amplification": true});
    idle(&main_file("broadcast", amplification.clone()), &[]);
    idle(&main_file("tcp", amplification), &["/allow_amplification allow_amplification"]);
    let mut allow = fsu("udp", json!({"allow": ["192.0.2.1"]}));
    allow["sys_config.json"]["allow"] = json!(["192.0.2.0/24"]);
    idle(&allow, &["/allow allow"]);
    idle(&main_file("udp", json!({"allow": ["192.0.2.0/24"]})), &[]);
}

#[test]
fn n18_keys_of_logs_and_performance_that_do_nothing() {
    idle(&main_file("udp", json!({"performance": {"enabled": true}, "log": {"file": "x.log"}})), &[]);
    // `run --performance` needs them.
    idle(&main_file("udp", json!({"performance": {"enabled": false, "skip_delay": false}})), &[]);
    let neither = json!({"performance": {"enabled": true, "skip_delay": false, "skip_device_log": false}});
    idle(&main_file("udp", neither), &["/performance/enabled enabled"]);
    let off = json!({"log": {"level": "off", "file": "x.log", "async_write": false, "dir": "x"}});
    idle(&main_file("udp", off), &["/log/async_write async_write", "/log/file file"]);
    let no_device_log = json!({"performance": {"enabled": true}, "log": {"language": "en"}});
    idle(&main_file("udp", no_device_log), &["/log/language language"]);
}

/// [`files`] with a checksum that is no field of its own, so the template has none.
fn without_checksum() -> Value {
    let mut template = files()["t.json"].clone();
    let protocol = template["protocol"].as_object_mut().unwrap();
    protocol.remove("checksum");
    protocol["pdu_tailer"].as_array_mut().unwrap().remove(0);
    json!({"t.json": template})
}

#[test]
fn n18_keys_that_a_template_has_no_use_for() {
    let mut with = without_checksum();
    with["t.json"]["protocol"]["errors"] = json!({"bad_checksum": {}, "bad_length_checksum": {}, "bad_version": {}});
    with["fsu_devices.json"] = files()["fsu_devices.json"].clone();
    with["fsu_devices.json"]["device_list"][0]["verify_checksum"] = json!("strict");
    with["fsu_devices.json"]["device_list"][0]["faults"] = json!({"bad_checksum": 0.5, "drop": 0.5});
    with["default.json"] = json!({"01": {"faults": {"bad_checksum": 0.5}}});
    idle(
        &with,
        &[
            "/01/faults/bad_checksum bad_checksum",
            "/device_list/0/faults/bad_checksum bad_checksum",
            "/device_list/0/verify_checksum verify_checksum",
            "/protocol/errors/bad_checksum bad_checksum",
            "/protocol/errors/bad_length_checksum bad_length_checksum",
            "/protocol/errors/bad_version bad_version",
        ],
    );
    let mut with = json!({"t.json": files()["t.json"]});
    with["t.json"]["protocol"]["pdu_left"][0]["match"] = json!(true);
    with["t.json"]["protocol"]["data_frame"][0]["resp_data_list"][0]["match"] = json!(true);
    idle(&with, &["/protocol/data_frame/0/resp_data_list/0/match match", "/protocol/pdu_left/0/match match"]);
    let mut with = json!({"t.json": files()["t.json"]});
    with["t.json"]["protocol"]["checksum"]["over"] = json!("wire");
    idle(&with, &["/protocol/checksum/over wire` is the same as `raw` without ascii_hex"]);
}

#[test]
fn n18_what_base_files_hold_as_a_rule_is_no_mistake() {
    let mut with = json!({"t.json": files()["t.json"]});
    let protocol = with["t.json"]["protocol"].as_object_mut().unwrap();
    protocol.insert("dynamic_length".into(), json!(true));
    protocol.insert("total_length".into(), json!(64));
    protocol["data_frame"][0]["align"] = json!("left");
    protocol["data_frame"][0]["padding"] = json!("00");
    idle(&with, &[]);
}

#[test]
fn n18_a_rule_that_is_silent_has_nothing_to_send() {
    let with = |rule: Value| json!({"default.json": {"01": rule}});
    let rule =
        json!({"timeout": true, "data": {"power": 1}, "delay_ms": 5, "delay": {"fixed": 5}, "faults": {"drop": 1}});
    let strict = told_by(&with(rule), |diags| {
        diags.make_strict();
        diags.lines().filter(|line| line.contains("does nothing")).collect()
    });
    let places = [
        "data/power: error: `data`",
        "delay_ms: error: `delay_ms`",
        "delay: error: `delay`",
        "faults: error: `faults`",
    ];
    let why = "does nothing here: with `\"timeout\": true` nothing is sent";
    assert_eq!(strict, places.map(|place| format!("/01/{place} {why}")));
    idle(&with(json!({"timeout": true, "set": {"a": "1"}, "when": {"phase": 1}})), &[]);
    idle(&with(json!({"timeout": false, "delay_ms": 5})), &[]);
}

#[test]
fn n18_a_wrong_protocol_type_is_one_error() {
    let error = |with: Value, line: &str| check_all(&with, &[line], &with.to_string());
    let known = "(known: udp, tcp, broadcast, datagram)";
    // Whatever depends on it: the id, faults of one transport, streams that cannot be cut, an address that is taken.
    let fsu = |kind: Value, id: Value| {
        json!({"fsuname": "a", "fsuid": id, "port": 0, "protocol_type": kind, "config_dir": ".",
            "faults": {"reset": 0.5, "bad_verify": 0.5}, "heartbeat_interval": 5})
    };
    let main = |kind: Value, id: Value| json!({"sys_config.json": {"fsu_list": [fsu(kind, id)]}});
    let unknown = |kind: &str, near: &str| format!("/fsu_list/0/protocol_type: error: unknown `{kind}` {near}");
    error(main(json!("serial"), Value::Null), &unknown("serial", known));
    error(main(json!("tpc"), json!("3031")), &unknown("tpc", "(did you mean `tcp`?)"));
    error(
        main(json!(5), Value::Null),
        "/fsu_list/0/protocol_type: error: expected a text, found 5 (write \"5\", with quotes)",
    );
    error(
        main(Value::Null, Value::Null),
        "/fsu_list/0: error: \"protocol_type\" is missing (udp, tcp, datagram or broadcast)",
    );
}

#[test]
fn n18_one_mistake_in_a_template_is_one_error() {
    let one = |pointer: &str, value: Value, line: &str| check(pointer, value, &[line]);
    let at = |at: &str| format!("/t.json/protocol/{at}");
    let types = "(known: hex, int, int_be, int_le, uint, bcd, dec, hexdigits, sbcd, epoch, cp56time2a, bit, str, ascii, length, f32, f64, list, choice)";
    let field = json!({"name": "power", "type": "lenth_", "length": 4, "of": ["data_frame"], "bits": {"a": [0, 1]}});
    one(
        &at("data_frame/0/resp_data_list/0"),
        field,
        "/protocol/data_frame/0/resp_data_list/0/type: error: unknown type `lenth_` (did you mean `length`?)",
    );
    one(
        &at("data_frame/0/resp_data_list/0/type"),
        json!("q"),
        &format!("/protocol/data_frame/0/resp_data_list/0/type: error: unknown type `q` {types}"),
    );
    // The rule that names the field would only follow.
    one(
        &at("data_frame/0/resp_data_list/0"),
        json!(5),
        "/protocol/data_frame/0/resp_data_list/0: error: expected an \
        object, found 5",
    );
    one(&at("pdu_left/1"), json!(5), "/protocol/pdu_left/1: error: expected an object, found 5");
    one(&at("pdu_left"), json!(5), "/protocol/pdu_left: error: expected a list, found 5");
    one(&at("pdu_tailer"), json!({}), "/protocol/pdu_tailer: error: expected a list, found an object");
    one(&at("data_frame"), json!({}), "/protocol/data_frame: error: expected a list, found an object");
    // What is wrong in a rule by itself is told beside it.
    let mut with = json!({"t.json": files()["t.json"], "default.json": {"01": {"delay_ms": -1, "data": {"powr": 1}}}});
    with["t.json"]["protocol"]["data_frame"][0]["resp_data_list"][0]["name"] = json!(5);
    check_all(
        &with,
        &[
            "/01/delay_ms: error: -1 ms (0 to 3600000)",
            "/protocol/data_frame/0/resp_data_list/0/name: error: expected a text, found 5 (write \"5\", with quotes)",
        ],
        "both",
    );
}

#[test]
fn n18_one_mistake_elsewhere_is_one_error() {
    let list = "/fsu_devices.json/device_list";
    check(list, json!(5), &["/device_list: error: expected a list, found 5"]);
    check(list, json!([5]), &["/device_list/0: error: expected an object, found 5"]);
    check(list, json!([]), &["/: error: `device_list` is missing or empty (the devices behind the FSU)"]);
    let delay = "/default.json/01";
    check(delay, json!({"delay": {"uniform": 5}}), &["/01/delay/uniform: error: expected a list, found 5"]);
    check(delay, json!({"delay": {}}), &["/01/delay: error: `delay` has one of fixed, uniform, normal, lognormal"]);
    // A file that many name is told at each place that names it, once.
    let fsu = |name: &str| {
        json!({"fsuname": name, "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": "no",
        "count": 3})
    };
    let with = json!({"sys_config.json": {"fsu_list": [fsu("a")]}});
    let told = told_by(&with, |diags| diags.lines().collect());
    assert!(matches!(&told[..], [line] if line.contains("no/fsu_devices.json cannot be read")), "{told:?}");
}
