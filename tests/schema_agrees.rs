//! The JSON Schemas and `check` judge alike: files are changed in every place, one change at a time, and both look at each.
//!
//! - What is laid over the types with an error or a warning, the schema refuses.
//! - What the schema refuses, `check` has an error or a warning about.
//!
//! What only `check` can know (names that point at nothing, values that do not fit) it may refuse alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::too_many_arguments, clippy::too_many_lines)]

use fsu_plan::compile::compile;
use fsu_plan::config::diag::Diags;
use fsu_plan::config::load::{Loader, load_text};
use fsu_plan::config::raw::{RawDevices, RawRules, RawSysConfig, RawTemplate, RawVendors};
use fsu_plan::config::schema::{Kind, schema};
use fsu_plan::config::source::Source;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What replaces a value.
fn others(there: &Value) -> Vec<Value> {
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(70_000),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e30),
        json!(""),
        json!("nonsense"),
        json!("none"),
        json!([]),
        json!(["nonsense"]),
        json!([null]),
        json!({}),
        json!({"nonsense": 1}),
    ];
    let wrapped = json!([there]);
    all.into_iter().chain([wrapped]).filter(|other| other != there).collect()
}

/// Keys that are added to an object, with their value.
fn more() -> Vec<(&'static str, Value)> {
    vec![
        ("nonsense", json!(1)),
        ("$schema", json!("x.json")),
        ("$schema", json!(5)),
        ("_comment", json!(null)),
        ("x-comment", json!([1])),
        ("desc", json!({"a": 1})),
        ("description", json!("text")),
    ]
}

/// All places of a file, as JSON pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), out)),
        _ => {}
    }
}

/// A place, whichever element of a list and whichever name it is: what the types say is the same there.
fn kind_of_place(kind: Kind, at: &str) -> String {
    let mut before = if kind == Kind::Rules { "data" } else { "" };
    let steps = at.split('/').skip(1).map(|step| {
        let is_data = ["data", "when", "set", "bits", "cycle", "value"].contains(&before);
        before = step;
        if is_data || step.parse::<usize>().is_ok() { "*" } else { step }
    });
    steps.collect::<Vec<_>>().join("/")
}

/// Calls `each` with every changed file and what was changed, in places of which none was `seen`.
fn changes(kind: Kind, file: &Value, seen: &mut HashSet<(&'static str, String)>, mut each: impl FnMut(&Value, &str)) {
    let mut all = Vec::new();
    places(file, "", &mut all);
    all.retain(|at| seen.insert((kind.name(), kind_of_place(kind, at))));
    for at in all {
        let there = file.pointer(&at).unwrap();
        for other in others(there) {
            let mut changed = file.clone();
            let what = format!("{at} = {other}");
            *changed.pointer_mut(&at).unwrap() = other;
            each(&changed, &what);
        }
        if there.is_object() {
            for (key, value) in more() {
                let mut changed = file.clone();
                let object = changed.pointer_mut(&at).and_then(Value::as_object_mut).unwrap();
                object.insert(key.to_owned(), value.clone());
                each(&changed, &format!("{at}/{key} = {value}, added"));
            }
        }
        if let Some((parent, key)) = at.rsplit_once('/') {
            let mut changed = file.clone();
            match changed.pointer_mut(parent).unwrap() {
                Value::Object(object) => drop(object.remove(&key.replace("~1", "/").replace("~0", "~"))),
                Value::Array(list) => drop(list.remove(key.parse().unwrap())),
                _ => {}
            }
            each(&changed, &format!("{at} removed"));
        }
    }
}

/// What the types say of a file: errors and warnings.
fn laid(kind: Kind, text: String) -> Vec<String> {
    let mut diags = Diags::default();
    match kind {
        Kind::SysConfig => drop(load_text::<RawSysConfig>(&mut diags, "f", text)),
        Kind::FsuDevices => drop(load_text::<RawDevices>(&mut diags, "f", text)),
        Kind::Template => drop(load_text::<RawTemplate>(&mut diags, "f", text)),
        Kind::Rules => drop(load_text::<RawRules>(&mut diags, "f", text)),
        Kind::Vendor => drop(load_text::<RawVendors>(&mut diags, "f", text)),
    }
    diags.lines().collect()
}

fn validator(kind: Kind) -> Validator {
    jsonschema::draft7::new(&schema(kind)).expect("a schema")
}

/// The shipped files of a kind.
fn shipped(kind: Kind) -> Vec<(PathBuf, Value)> {
    let mut found: Vec<(PathBuf, Value)> = Vec::new();
    let mut dirs = vec![Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("config")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_it = match kind {
                Kind::SysConfig => name == "sys_config.json",
                Kind::FsuDevices => name == "fsu_devices.json",
                Kind::Template => name == "template.json" || name == "protocol.json",
                Kind::Rules => name == "default.json",
                Kind::Vendor => name == "vendor.json",
            };
            if is_it {
                found.push((path.clone(), serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()));
            }
        }
    }
    // The smallest first: changes of those take the least time.
    found.sort_by_cached_key(|(path, file)| (file.to_string().len(), path.clone()));
    assert!(!found.is_empty(), "{kind:?}");
    found
}

/// A small configuration that has as many keys as possible, without an error or a warning.
fn small() -> Vec<(&'static str, Kind, Value)> {
    let faults = json!({
        "drop": 0.1, "duplicate": 0.1, "corrupt": 0.1, "bad_checksum": 0.1, "truncate": 0.1, "wrong_type": 0.1, "garbage": 0.1,
        "reorder_ms": {"p": 0.1, "ms": 10}, "extra_delay_ms": {"p": 0.1, "ms": 10},
    });
    let sys_config = json!({
        "log": {"level": "info", "dir": "./logs", "file": "s_%F.log", "maxSize": 10_000, "maxAge": 3, "async_write": true,
            "language": "en", "on_full": "drop"},
        "performance": {"enabled": true, "skip_delay": true, "skip_device_log": false},
        "sc_iot_center": {"host": "127.0.0.1", "port": 9_000},
        "allow": ["127.0.0.0/8"],
        "allow_amplification": true,
        "faults": faults,
        "faults_at": [{"from_s": 1, "to_s": 2.5, "fsu": "a*", "faults": {"drop": 1}}, {"from_s": 3, "to_s": 4, "offline": true}],
        "fsu_list": [
            {"fsuname": "a", "fsuid": "3132", "host": "127.0.0.1", "port": 20_001, "protocol_type": "udp", "heartbeat_interval": 60,
                "heartbeat_enable": true, "heartbeat_reply": false, "client_timeout": 100, "accept_any_id": false, "count": 2,
                "config_dir": "./site", "limits": {"clients_max": 8}, "faults": {"bad_verify": 0.1}, "allow": ["127.0.0.1/32"]},
            {"fsuname": "t", "port": 20_001, "protocol_type": "tcp", "config_dir": "./tcp", "limits": {"connections_max": 8},
                "faults": {"reset": 0.1, "stall": 0.1, "half_close": 0.1, "split": {"p": 0.1, "pieces": 3, "gap_ms": 5}}},
        ],
    });
    let devices = json!({"device_list": [{
        "vendor": "v", "sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "../t/template.json",
        "verify_checksum": "strict", "faults": {"drop": 0.5}}]});
    let tcp = json!({"device_list": [{"vendor": "v", "sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "../t/template.json"}]});
    let template = json!({
        "vendor": "v",
        "rule_file_list": ["./rules/default.json"],
        "protocol": {
            "dynamic_length": true,
            "request_bytes_max": 300,
            "encoding": "ascii_hex",
            "pdu_left": [
                {"name": "start", "length": 1, "type": "hex", "value": "7E"},
                {"name": "ver", "length": 1, "type": "hex", "value": "20", "match": true},
                {"name": "cid", "length": 1, "type": "hex"},
                {"name": "rtn", "length": 1, "type": "hex", "value": "00"},
                {"name": "size", "length": 2, "type": "length", "endian": "big", "of": ["data_frame"], "unit": "chars", "add": 0,
                    "check": "lchksum"},
            ],
            "pdu_tailer": [{"name": "sum", "length": 2, "type": "hex"}, {"name": "end", "length": 1, "value": "0D"}],
            "data_frame_type_flag": ["cid"],
            "checksum": {"field": "sum", "algorithm": "sum", "from": "ver", "to": "data_frame", "complement": "twos",
                "over": "wire"},
            "errors": {"bad_checksum": {"data": {"{pdu_left}_rtn": "02"}, "resp_data_list": []}, "bad_length": {}, "bad_version": {},
                "bad_length_checksum": {}, "unknown_command": {"data": {"{pdu_left}_rtn": "04"}}},
            "refusal": {"field": "rtn", "ok": ["00"]},
            "data_frame": [
                {
                    "data_frame_type": "41",
                    "data_frame_length": 8,
                    "align": "right",
                    "padding": "20",
                    "req_data_list": [{"name": "n", "length": 1, "type": "uint", "value": 3, "match": true}],
                    "resp_data_list": [
                        {"name": "{pdu_left}_rtn", "value": "00"},
                        {"name": "{pdu_left}_ver", "length": 1, "type": "hex", "endian": "big", "unit": "bytes", "check": "none"},
                        {"name": "a", "length": 2, "type": "int", "endian": "little", "value": 5},
                        {"name": "b", "length": 1, "type": "bit", "bits": {"low": [4, 7], "high": [0, 3]}, "value": {"low": 3}},
                        {"name": "f", "length": 4, "type": "f32", "value": 1.5},
                        {"name": "s", "length": 1, "type": "ascii", "value": "x"},
                    ],
                },
                {"data_frame_type": ["42"], "req_data_list": [], "resp_data_list": [{"name": "a", "length": 1}]},
            ],
        },
    });
    let rules = json!({
        "41": [
            {"when": {"n": 3}, "delay": {"fixed": 5}, "data": {"a": 6, "b": {"high": 1}}, "set": {"r": 1}},
            {"when": {"n": 4}, "delay_ms": 100, "cycle": [{"a": 1}, {"a": 2}], "burst": 2},
            {"when": {"n": 5}, "delay": {"uniform": [1, 2]}},
            {"when": {"n": 6}, "delay": {"normal": [1, 2]}},
            {"delay": {"lognormal": [1, 2]}, "faults": faults},
        ],
        "42": {"timeout": true},
    });
    let vendor = json!([{"vendor": "v", "encoding": "ascii_hex"}]);
    vec![
        ("sys_config.json", Kind::SysConfig, sys_config),
        ("site/fsu_devices.json", Kind::FsuDevices, devices),
        ("tcp/fsu_devices.json", Kind::FsuDevices, tcp),
        ("t/template.json", Kind::Template, template),
        ("t/rules/default.json", Kind::Rules, rules),
        ("vendor.json", Kind::Vendor, vendor),
    ]
}

/// What `check` says of a directory: errors and warnings.
fn checked(dir: &Path) -> Vec<String> {
    let mut loader = Loader::new(Source::Directory);
    let _ = compile(&mut loader, &dir.join("sys_config.json"));
    loader.diags.lines().collect()
}

/// Fails with the first of them.
#[track_caller]
fn none(differences: &[String]) {
    let first: Vec<&str> = differences.iter().take(40).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences, such as\n{}", differences.len(), first.join("\n"));
}

#[test]
fn h15_what_the_types_refuse_the_schema_refuses() {
    let (mut differences, mut seen) = (Vec::new(), HashSet::new());
    let small = small().into_iter().map(|(path, kind, file)| (kind, PathBuf::from(path), file));
    // Of the shipped files what the small ones have not.
    let shipped =
        Kind::ALL.into_iter().flat_map(|kind| shipped(kind).into_iter().map(move |(path, file)| (kind, path, file)));
    for (kind, path, file) in small.chain(shipped) {
        let validator = validator(kind);
        assert!(validator.is_valid(&file), "{}", path.display());
        changes(kind, &file, &mut seen, |changed, what| {
            let said = laid(kind, changed.to_string());
            if !said.is_empty() && validator.is_valid(changed) {
                differences.push(format!("{}: {what}: the schema accepts it; {}", path.display(), said[0]));
            }
        });
    }
    none(&differences);
}

#[test]
fn h15_what_the_schema_refuses_check_tells() {
    let files = small();
    let dir = tempfile::tempdir().unwrap();
    for (path, _, file) in &files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.to_string()).unwrap();
    }
    none(&checked(dir.path()));
    let (mut differences, mut seen) = (Vec::new(), HashSet::new());
    for (path, kind, file) in &files {
        let validator = validator(*kind);
        changes(*kind, file, &mut seen, |changed, what| {
            if validator.is_valid(changed) || !laid(*kind, changed.to_string()).is_empty() {
                return;
            }
            std::fs::write(dir.path().join(path), changed.to_string()).unwrap();
            if checked(dir.path()).is_empty() {
                let why = validator.iter_errors(changed).next().map(|error| error.to_string()).unwrap_or_default();
                differences.push(format!("{path}: {what}: check says nothing; {why:.100}"));
            }
        });
        std::fs::write(dir.path().join(path), file.to_string()).unwrap();
    }
    none(&differences);
}
