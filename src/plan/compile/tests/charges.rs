//! What each part of a configuration is charged in the plan, to the byte, beside its files.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::command::CommandDraft;
use super::super::compile_plain;
use super::super::fields::ResponseField;
use super::files;
use crate::config::at::{At, Json};
use crate::config::load::Loader;
use crate::config::raw::{RawDevices, RawSysConfig, RawTemplate};
use crate::config::source::Source;
use crate::model::field::{BitRange, Constant, Field};
use crate::model::fleet::Fsu;
use crate::model::reply::{Part, Patch, Reply};
use crate::model::rule::{Rule, SetRegister};
use crate::model::template::{Command, Made};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// A field of a list: as it is compiled, as it is served, and to be found.
const FIELD: usize = size_of::<ResponseField>() + size_of::<Field>() + 160;
/// A command: as it is compiled and as it is served.
const COMMAND: usize = 2 * size_of::<(Command, CommandDraft)>() + 512;
const FSU: usize = size_of::<Fsu>() + 512;
/// A reply to the command of [`files`]: 64 bytes of data in a frame, two fields, header bytes that are the request's.
const REPLY: usize = size_of::<Reply>() + 69 + 2 * 8 + size_of::<Patch>();
const RULE: usize = size_of::<Rule>() + size_of::<Arc<Reply>>();
/// A place where a register is set, while they are looked at.
const LOOKED_AT: usize = 104;
/// An entry of `when`, and that it may have some.
const WHEN: usize = size_of::<Option<Box<[Constant]>>>();

/// What is charged for these files, but for reading them and for the places of rules, whose length is the directory's. Profiles are
/// charged last (src/plan/compile/profile/tests.rs).
fn charged(files: &Value) -> usize {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let path = |name: &str| dir.path().join(name);
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile_plain(&mut loader, &path("sys_config.json"));
    let fleet = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()));
    let rules = fleet.fsus[0].devices[0].rules.iter().flatten();
    let origins: usize = rules.map(|rule| rule.origin.len()).sum();
    (loader.diags.budget.used() - read(&path)) as usize - origins
}

/// What it takes to read them. What rule files are read into is given back once they are compiled.
fn read(path: &dyn Fn(&str) -> PathBuf) -> u64 {
    let mut loader = Loader::new(Source::Directory);
    assert!(loader.load::<RawSysConfig>(&path("sys_config.json"), None).is_some());
    assert!(loader.load::<RawDevices>(&path("fsu_devices.json"), None).is_some());
    assert!(loader.load::<RawTemplate>(&path("t.json"), None).is_some());
    assert!(loader.tree(&path("default.json")).is_some());
    loader.diags.budget.used()
}

/// How much more is charged with `value` at `pointer` of [`files`].
fn check(pointer: &str, value: Value, expected: usize) {
    let mut with = files();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match with.pointer_mut(parent).unwrap() {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        other => panic!("{other}"),
    }
    let (before, after) = (charged(&files()), charged(&with));
    assert_eq!(after as i64 - before as i64, expected as i64, "{pointer}");
}

#[test]
fn the_smallest_configuration() {
    // Four fields, and an example of the request.
    let fields = 4 * FIELD + 3 * ("phase".len() + 2 * "power".len() + "shown".len());
    assert_eq!(charged(&files()), FSU + COMMAND + fields + (5 + 5) + RULE + WHEN + REPLY);
}

#[test]
fn fsus_and_commands() {
    check("/sys_config.json/fsu_list/0/count", json!(3), 2 * FSU);
    let list = "/t.json/protocol/data_frame/-";
    check(list, json!({"data_frame_type": "02"}), COMMAND + 5);
    check(list, json!({"data_frame_type": "02", "req_data_list": []}), COMMAND + 5);
    let field = json!({"name": "name", "length": 3});
    check(list, json!({"data_frame_type": "02", "req_data_list": [field]}), COMMAND + FIELD + 3 * 4 + 5 + 3);
}

#[test]
fn fields_and_their_values() {
    let list = "/t.json/protocol/data_frame/0/resp_data_list/-";
    let field = |value: Value| json!({"name": "flags_", "type": "bit", "length": 2, "value": value});
    // The field, and two bytes and a place in the reply.
    let plain = FIELD + 3 * 6 + 2 + 8;
    check(list, json!({"name": "flags_", "length": 2}), plain);
    check(list, field(json!("0101")), plain + 4);
    check(list, field(json!([0, 1, 1])), plain + 3 * size_of::<At<Json>>());
    let named =
        |bits: Value, value: Value| json!({"name": "flags_", "type": "bit", "length": 2, "bits": bits, "value": value});
    let entry = size_of::<(At<String>, At<Json>)>();
    let bits = |names: &[&str]| names.iter().map(|name| size_of::<BitRange>() + name.len() + 4).sum::<usize>();
    check(list, named(json!({"ab": [0, 3]}), json!({"ab": 5})), plain + bits(&["ab"]) + entry + 2);
    check(list, named(json!({"ab": [0, 3], "c": [4, 15]}), json!({"c": 5, "ab": "1"})), {
        plain + bits(&["ab", "c"]) + 2 * entry + 3 + 1
    });
}

#[test]
fn requests_with_constants_and_functions() {
    let at = "/t.json/protocol/data_frame/0/req_data_list/0";
    let field = |value: &str, matches: bool| json!({"name": "phase", "type": "uint", "length": 1, "value": value, "match": matches});
    check(at, field("7", false), 1);
    check(at, field("7", true), 1 + size_of::<Constant>() + "phase".len() + 1);
    check(at, field("${hour()}$", false), 10 + size_of::<Made>() + size_of::<Part>());
}

#[test]
fn rules_and_their_replies() {
    let at = "/default.json/01";
    let rule = RULE + WHEN + REPLY;
    let power = json!({"power": 1.5});
    check(at, json!([{"when": {"phase": 1}, "data": power}, {"data": power}]), {
        rule + WHEN + size_of::<Constant>() + "phase".len() + 1
    });
    check(at, json!([{"when": {"phase": 1, "address": "05"}, "data": power}, {"data": power}]), {
        rule + 2 * WHEN + 2 * size_of::<Constant>() + "phase".len() + 1 + "address".len() + 1
    });
    check(at, json!({"cycle": [power, power, power]}), 2 * (REPLY + size_of::<Arc<Reply>>()));
    // What is filled in is a patch, and the parts of its text.
    let shown = |text: &str| json!({"data": {"power": 1.5, "shown": text}});
    check(at, shown("abc"), 0);
    check(at, shown("${hour()}$"), size_of::<Patch>() + size_of::<Part>());
    check(at, shown("a${hour()}$bc"), size_of::<Patch>() + 3 * size_of::<Part>() + 3);
    check(at, json!({"data": {}}), size_of::<Patch>());
}

#[test]
fn registers_that_are_set() {
    let at = "/default.json/01";
    let with = |set: Value| json!({"data": {"power": 1.5, "shown": "${reg(r)}$"}, "set": set});
    let read = size_of::<Patch>() + size_of::<Part>();
    let parsed = size_of::<SetRegister>() + size_of::<Part>();
    check(at, with(json!({"r": "abc"})), read + parsed + 3 + LOOKED_AT + 1);
    check(at, with(json!({"r": "abc", "other": "de"})), read + 2 * (parsed + LOOKED_AT) + 3 + 2 + 1 + 5);
    check(at, with(json!({"r": ""})), read + parsed + LOOKED_AT + 1);
}
