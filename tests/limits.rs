//! Every documented limit has a test that reaches it, `limit_NAME…`, or is listed here with the reason why it has none.
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

mod naive;
mod product;

use naive::clock::Clock;
use naive::frame::Verify;
use naive::vectors::NOW;
use product::{Outcome, Product, Setup};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Limits that no test reaches, and why.
const UNREACHED: &[(&str, &[&str])] = &[
    ("a thread of the program has to hang: the test would wait as long as the limit is", &["START_MAX"]),
    (
        "how much a thread does before it looks at others: more is done in the next turn, and nothing shows the border",
        &["RECORDS_A_TURN", "RECEIVES_MAX"],
    ),
    (
        "more than the kernel's buffers hold at a time: only a peer that sends, or does not read, for as long as the test lasts reaches it",
        &["FORGOTTEN_MAX"],
    ),
    (
        "at most MARKS_MAX lengths and one for each block around are open: it keeps the writer's memory fixed, and is never reached",
        &["OPEN_LENGTHS_MAX"],
    ),
    (
        "256 MiB of requests, which are only made ready; what is beyond is made later, and the same",
        &["PREBUILT_BYTES_MAX"],
    ),
];

fn manifest() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The names in the first column of the tables of limits.
fn documented() -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest().join("docs/internals/limits.md")).unwrap();
    let settable = std::fs::read_to_string(manifest().join("docs/reference/configuration.md")).unwrap();
    let (_, settable) = settable.split_once("\n## Limits\n").unwrap();
    let first = text.lines().chain(settable.lines()).filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let names = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).filter(|name| name.ends_with(|c: char| c.is_alphabetic())).collect()
}

/// The names of all tests `limit_…` of the program.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut dirs = vec![manifest().join("src"), manifest().join("tests")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let names = text.split("fn limit_").skip(1).filter_map(|rest| rest.split('(').next());
                tests.extend(names.map(str::to_owned));
            }
        }
    }
    tests
}

#[test]
fn n14_every_documented_limit_is_reached_by_a_test() {
    let (documented, tests) = (documented(), tests());
    assert!(documented.len() > 100, "{documented:?}");
    let unreached: BTreeSet<&str> = UNREACHED.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut wrong = Vec::new();
    // `RtnFlags::MAX` is `rtn_flags_max` in a test's name.
    let spelled = |name: &str| match name.split_once("::") {
        Some((of, max)) => {
            let apart =
                of.char_indices().map(|(at, c)| if at > 0 && c.is_uppercase() { format!("_{c}") } else { c.into() });
            format!("{}_{max}", apart.collect::<String>()).to_lowercase()
        }
        None => name.to_lowercase(),
    };
    // A test is of the longest name that it begins with: `limit_buffers_bytes_max…` is none of BUFFERS.
    let of =
        |part: &str| documented.iter().filter(|name| part.starts_with(&spelled(name))).max_by_key(|name| name.len());
    let reached: BTreeSet<&String> = tests.iter().flat_map(|test| test.split("_and_")).filter_map(of).collect();
    for name in &documented {
        let lower = spelled(name);
        match (reached.contains(name), unreached.contains(name.as_str())) {
            (false, false) => wrong.push(format!("{name}: no test `limit_{lower}…`")),
            (true, true) => wrong.push(format!("{name}: has a test, and is listed among those without one")),
            _ => {}
        }
    }
    for name in unreached.iter().filter(|name| !documented.contains(**name)) {
        wrong.push(format!("{name}: not documented"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A template of one command that answers with these fields.
fn answering(fields: Value, rule: Value) -> Product {
    let template = json!({"vendor": "v", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command",
        "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, {"name": "command", "length": 1}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "0D"}],
        "data_frame": [{"data_frame_type": "01", "req_data_list": [{"name": "n", "length": 1}], "resp_data_list": fields}],
    }});
    let files = [("default.json".to_owned(), json!({"01": rule}))];
    let setup = Setup { template: &template, files: &files, verify: Verify::Warn, fsuid: "31", device: (1, 1) };
    Product::new(&setup).unwrap()
}

#[test]
fn limit_register_bytes_max_longer_texts_are_cut() {
    for (set, kept) in [(4_096, 4_096), (4_097, 4_096)] {
        let fields = json!([{"name": "shown", "type": "str", "length": 5_000}]);
        let rule = json!({"set": {"a": "x".repeat(set)}, "data": {"shown": "${reg(a)}$"}});
        let mut product = answering(fields, rule);
        let Outcome::Reply(reply, _) = product.respond(&[0x7E, 1, 0, 0x0D], Clock::parse(NOW)) else {
            panic!("no reply")
        };
        let text = reply.iter().filter(|byte| **byte == b'x').count();
        assert_eq!(text, kept, "set {set}");
    }
}
