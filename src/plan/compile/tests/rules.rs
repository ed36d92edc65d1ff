//! What a rule compiles to: its delay, its faults, its registers; and the faults of a fleet.
#![allow(clippy::needless_pass_by_value, reason = "tests read as data")]

use super::super::compile;
use super::files;
use crate::config::load::Loader;
use crate::config::source::Source;
use crate::model::fault::{FaultKind, FaultSet, FsuFaults, Scheduled};
use crate::model::fleet::Fleet;
use crate::model::reply::Part;
use crate::model::rule::{Delay, Rule};
use serde_json::{Value, json};
use std::sync::Arc;

/// The plan of [`files`] with these in their place.
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
    fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>()))
}

/// Calls `look` with the rules of command 01.
fn rules<T>(rule: Value, look: impl Fn(&[Rule]) -> T) -> T {
    let fleet = fleet(&json!({"default.json": {"01": rule}}));
    look(&fleet.fsus[0].devices[0].rules[0])
}

#[test]
fn delays() {
    let check = |rule: Value, expected: Delay| {
        let found = rules(rule.clone(), |rules| rules[0].delay);
        assert_eq!(found, expected, "{rule}");
    };
    check(json!({}), Delay::None);
    check(json!({"delay_ms": 0}), Delay::None);
    // From 50 ms on, or from itself where it is less.
    check(json!({"delay_ms": 30}), Delay::Uniform(30.0, 30.0));
    check(json!({"delay_ms": 200}), Delay::Uniform(50.0, 200.0));
    check(json!({"delay": {"fixed": 0}}), Delay::Fixed(0.0));
    check(json!({"delay": {"fixed": 80.4}, "delay_ms": 5}), Delay::Fixed(80.4));
    check(json!({"delay": {"uniform": [5, 5]}}), Delay::Uniform(5.0, 5.0));
    check(json!({"delay": {"normal": [200, 20]}}), Delay::Normal(200.0, 20.0));
    check(json!({"delay": {"normal": [20, 200]}}), Delay::Normal(20.0, 200.0));
    check(json!({"delay": {"lognormal": [100, 100]}}), Delay::Lognormal(100_f64.ln(), 0.0));
    check(
        json!({"delay": {"lognormal": [100, 400]}}),
        Delay::Lognormal(100_f64.ln(), 4_f64.ln() / 2.326_347_874_040_841),
    );
}

/// `kind probability` of all kinds of which something is said.
fn said(set: &FaultSet) -> Vec<(FaultKind, f64)> {
    FaultKind::ALL.into_iter().filter_map(|kind| Some((kind, set.p(kind)?))).collect()
}

#[test]
fn faults_of_a_rule() {
    use FaultKind::{
        BadChecksum, BadVerify, Corrupt, Drop, Duplicate, ExtraDelay, Garbage, Reorder, Truncate, WrongType,
    };
    let faults = |faults: Value| rules(json!({"faults": faults}), |rules| rules[0].faults.as_deref().copied());
    assert_eq!(faults(json!({})), None);
    let all = json!({"drop": 0.1, "garbage": 0.2, "wrong_type": 0.3, "bad_checksum": 0.4, "bad_verify": 0.5, "corrupt": 0.6,
        "truncate": 0.7, "duplicate": 1});
    let set = faults(all).expect("faults");
    let expected = [
        (Drop, 0.1),
        (Garbage, 0.2),
        (WrongType, 0.3),
        (BadChecksum, 0.4),
        (BadVerify, 0.5),
        (Corrupt, 0.6),
        (Truncate, 0.7),
        (Duplicate, 1.0),
    ];
    assert_eq!(said(&set), expected);
    let timed = faults(json!({"reorder_ms": {"p": 0.5, "ms": 7}, "extra_delay_ms": {"p": 0.25, "ms": 3_600_000}}));
    let set = timed.expect("faults");
    assert_eq!(said(&set), [(Reorder, 0.5), (ExtraDelay, 0.25)]);
    assert_eq!((set.reorder_ms, set.extra_delay_ms), (7, 3_600_000));
}

/// One FSU of that transport with these faults, and these by time.
fn of_fsu(transport: &str, own: Value, at: Value) -> Option<Arc<FsuFaults>> {
    let fsu = json!({"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": transport, "config_dir": ".", "faults": own});
    let fleet = fleet(&json!({"sys_config.json": {"fsu_list": [fsu], "faults": {"drop": 0.5}, "faults_at": at}}));
    fleet.fsus[0].faults.clone()
}

#[test]
fn faults_of_an_fsu() {
    let faults = of_fsu("tcp", json!({"split": {"p": 0.5}, "drop": 0}), json!([])).expect("faults");
    assert_eq!(said(&faults.base), [(FaultKind::Drop, 0.0), (FaultKind::Split, 0.5)]);
    assert_eq!((faults.base.split_pieces, faults.base.split_gap_ms), (2, 20));
    let split = json!({"split": {"p": 1, "pieces": 64, "gap_ms": 60_000}});
    let faults = of_fsu("tcp", split, json!([])).expect("faults");
    assert_eq!((faults.base.split_pieces, faults.base.split_gap_ms), (64, 60_000));
    let drop = |p: f64| {
        let mut set = FaultSet::default();
        set.set_p(FaultKind::Drop, p);
        set
    };
    let entries = json!([
        {"from_s": 1.5, "to_s": 30, "fsu": "a*", "faults": {"drop": 1}},
        {"to_s": 0.0005, "faults": {"drop": 0.25}},
        {"from_s": 9, "offline": true},
    ]);
    let faults = of_fsu("udp", Value::Null, entries).expect("faults");
    let offline = FaultSet { offline: Some(true), ..FaultSet::default() };
    let expected = [
        Scheduled { from_ms: 1_500, to_ms: 30_000, faults: drop(1.0) },
        Scheduled { from_ms: 0, to_ms: 1, faults: drop(0.25) },
        Scheduled { from_ms: 9_000, to_ms: u64::MAX, faults: offline },
    ];
    assert_eq!((&*faults.schedule, faults.base), (&expected[..], drop(0.5)));
}

/// FSUs whose faults are the same share them; one without any has none.
#[test]
fn faults_are_shared_and_made_where_something_is_said() {
    let fsu = |name: &str, drop: Value| json!({"fsuname": name, "fsuid": "3031", "port": 0, "protocol_type": "udp", "config_dir": ".", "faults": drop});
    let list = json!([
        fsu("a", json!({"drop": 0.5})),
        fsu("b", json!({"drop": 0.5})),
        fsu("c", json!({"drop": 0.25})),
        fsu("d", Value::Null),
    ]);
    let plain = fleet(&json!({"sys_config.json": {"fsu_list": list}}));
    let faults: Vec<_> = plain.fsus.iter().map(|fsu| fsu.faults.as_ref()).collect();
    let same = |a: usize, b: usize| Arc::ptr_eq(faults[a].expect("faults"), faults[b].expect("faults"));
    assert_eq!((same(0, 1), same(1, 2), faults[3].is_none()), (true, false, true));
    // A rule that has some is enough, to draw them.
    let of_rule = json!({"default.json": {"01": {"faults": {"drop": 1}}}});
    assert_eq!(fleet(&of_rule).fsus[0].faults.as_deref(), Some(&FsuFaults::default()));
}

/// The longest text of each register that these rules set.
fn longest(rules: Value) -> Vec<(String, usize)> {
    let fleet = fleet(&json!({"default.json": {"01": rules}}));
    let registers = fleet.fsus[0].devices[0].registers.iter();
    let mut all: Vec<_> = registers.map(|register| (register.name.to_string(), register.bytes_max)).collect();
    all.sort_unstable();
    all
}

#[test]
fn how_long_registers_may_become() {
    let check = |set: Value, expected: &[(&str, usize)]| {
        let all = longest(json!({"data": {}, "set": set.clone()}));
        let expected: Vec<_> = expected.iter().map(|&(name, len)| (name.to_owned(), len)).collect();
        assert_eq!(all, expected, "{set}");
    };
    check(json!({"a": "abc"}), &[("a", 3)]);
    check(json!({"a": 1_234}), &[("a", 4)]);
    check(json!({"a": ""}), &[("a", 0)]);
    // A text set from others is as long as all of them.
    check(json!({"b": "12345", "a": "x${reg(b)}$"}), &[("a", 6), ("b", 5)]);
    check(json!({"a": "x${reg(b)}$", "b": "y${reg(c)}$${reg(c)}$", "c": "zz"}), &[("a", 6), ("b", 5), ("c", 2)]);
    // In a circle they may have any length, up to the longest that one keeps.
    check(json!({"a": "${reg(a)}$"}), &[("a", 0)]);
    check(json!({"a": "${reg(a)}$x"}), &[("a", 4_096)]);
    check(json!({"a": "${reg(b)}$x", "b": "${reg(a)}$"}), &[("a", 4_096), ("b", 4_096)]);
    check(json!({"a": "${reg(b)}$", "b": "${reg(a)}$"}), &[("a", 0), ("b", 0)]);
}

#[test]
fn a_register_is_as_long_as_the_longest_that_sets_it() {
    let set = |text: &str| json!({"when": {"phase": text.len()}, "set": {"a": text}, "data": {"shown": "${reg(a)}$"}});
    assert_eq!(longest(json!([set("a"), set("abcd"), set("ab")])), [("a".to_owned(), 4)]);
    // Set by one rule from another, and by a third to more.
    let from = json!({"when": {"phase": 9}, "set": {"b": "${reg(a)}$1"}, "data": {"shown": "${reg(b)}$"}});
    let all = longest(json!([from, set("abcd"), set("ab")]));
    assert_eq!(all, [("a".to_owned(), 4), ("b".to_owned(), 5)]);
}

#[test]
fn only_registers_that_are_read_are_set() {
    let sets = |shown: &str| {
        rules(json!({"data": {"shown": shown}, "set": {"a": "1", "b": "2${reg(a)}$"}}), |rules| {
            rules[0].sets.iter().map(|set| (set.register, set.value.parts.len())).collect::<Vec<_>>()
        })
    };
    assert_eq!(sets("${reg(a)}$${reg(b)}$"), [(0, 1), (1, 2)]);
    // What another one is set from is read.
    assert_eq!(sets("${reg(a)}$"), [(0, 1)]);
    assert_eq!(sets("x"), [(0, 1)]);
    let register = rules(json!({"data": {"shown": "${reg(a)}$"}, "set": {"a": "1"}}), |rules| {
        let patches = &rules[0].replies[0].patches;
        patches.iter().any(|patch| matches!(patch, crate::model::reply::Patch::Text { value, .. } if matches!(&*value.parts, [Part::Register(0)])))
    });
    assert!(register);
}
