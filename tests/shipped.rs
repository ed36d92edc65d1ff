//! Every shipped configuration file loads without a word, and every shipped command is answered.
#![allow(clippy::pedantic, clippy::unwrap_used)]

mod naive;
mod product;

use fsu_core::answer::reply::{Verdict, respond};
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::RunContext;
use fsu_core::state::FsuState;
use naive::clock::Clock;
use naive::fields::{Fill, encode, hex, kind, name, size};
use naive::frame::{Protocol, key_parts, wire};
use naive::vectors::{NOW, path};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn json_files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(json_files(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            out.insert(path);
        }
    }
    out
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The shipped templates; those of the gallery have tests of their own (`tests/gallery.rs`), those of the scenarios below.
fn templates() -> Vec<PathBuf> {
    let all = json_files(&path("config"));
    all.into_iter()
        .filter(|p| !p.starts_with(path("config/gallery")) && !p.starts_with(path("config/scenarios")))
        .filter(|p| read(p).get("protocol").is_some_and(|p| p.is_object()))
        .collect()
}

#[test]
fn every_main_file_compiles() {
    for main in json_files(&path("config")).iter().filter(|p| p.ends_with("sys_config.json")) {
        let (fleet, lines) = product::compiled(main);
        assert_eq!(lines, [""; 0], "{}", main.display());
        assert!(!fleet.unwrap().fsus.is_empty(), "{}", main.display());
    }
}

#[test]
fn every_template_answers_every_command() {
    let templates = templates();
    assert!(templates.len() >= 6, "{templates:?}");
    for template in templates {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("sys_config.json");
        let devices = json!({"device_list": [{
            "vendor": read(&template)["vendor"].clone(), "sub_dev_type": "01", "sub_dev_addr": "01",
            "protocol_template": template.to_str().unwrap(),
        }]});
        // Transfers need their own transport.
        let transport = if read(&template)["protocol"]["transfer"].is_null() { "udp" } else { "broadcast" };
        let fsu = json!({"fsuname": "one", "fsuid": "31", "port": 0, "protocol_type": transport, "config_dir": "."});
        std::fs::write(&main, json!({"fsu_list": [fsu]}).to_string()).unwrap();
        std::fs::write(dir.path().join("fsu_devices.json"), devices.to_string()).unwrap();
        // What vendor.json says of the vendor holds here too.
        let vendors = path("config/vendor.json");
        if vendors.exists() {
            std::fs::copy(vendors, dir.path().join("vendor.json")).unwrap();
        }
        let (fleet, lines) = product::compiled(&main);
        assert_eq!(lines, [""; 0], "{}", template.display());
        let fleet = fleet.unwrap();
        let device = &fleet.fsus[0].devices[0];
        let commands = read(&template)["protocol"]["data_frame"].as_array().unwrap().len();
        assert_eq!(device.rules.len(), commands, "{}", template.display());
        // Requests whose open fields are all 00 or all FF: no `when` is written for them, so the rest has a rule too.
        let spec = read(&template);
        let p = Protocol(&spec["protocol"]);
        for (i, command) in p.commands().iter().enumerate() {
            let key = &command["data_frame_type"];
            assert!(!device.rules[i].is_empty(), "{}: no rule for {key}", template.display());
            for byte in [0x00, 0xFF, 0x42] {
                let wire = request(&p, i, byte);
                assert_eq!(p.cut(&wire).ok().and_then(|f| p.command(&f)), Some(i), "{}: {key}", template.display());
                let mut scratch = Scratch::default();
                let mut state = FsuState::new(&fleet.fsus[0]);
                let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
                let moment = product::moment(Clock::parse(NOW));
                let (run, state, scratch) = (&run, &mut state, &mut scratch);
                let mut turn = Turn { run, fsu: &fleet.fsus[0], state, scratch, moment };
                let verdict = respond(&mut turn, 0, &wire);
                assert!(
                    !matches!(verdict, Verdict::Dropped(_)),
                    "{}: {key} {}: {verdict:?}",
                    template.display(),
                    hex(&wire)
                );
            }
        }
    }
}

/// A request for command number `i`: constants and key as they are, all other bytes the same.
fn request(p: &Protocol, i: usize, byte: u8) -> Vec<u8> {
    let command = &p.commands()[i];
    let parts = key_parts(p, command);
    let fields = command["req_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    let mut data = vec![];
    for (field, _) in p.placed(fields) {
        let open = if kind(field) == "bcd" { byte & 0x77 } else { byte };
        data.extend(match field.get("value") {
            Some(value) => encode(field, value, Fill::of(command)).unwrap(),
            None => vec![open; size(field)],
        });
    }
    if p.fixed().is_some() {
        data.resize(p.data_size(command, data.len()), 0);
    }
    let outside = |field: &Value| match parts.get(&name(field)).or(field.get("value")) {
        Some(value) => encode(field, value, Fill::NONE).unwrap(),
        None => vec![byte; size(field)],
    };
    wire(&p.build(&outside, data).unwrap())
}

#[test]
fn every_rule_file_is_named_by_a_template() {
    let mut named = BTreeSet::new();
    for template in templates() {
        for file in read(&template)["rule_file_list"].as_array().unwrap() {
            named.insert(template.parent().unwrap().join(file.as_str().unwrap()).canonicalize().unwrap());
        }
    }
    for file in json_files(&path("config")).into_iter().filter(|p| p.parent().unwrap().ends_with("rules")) {
        assert!(named.contains(&file.canonicalize().unwrap()), "{} is named by no template", file.display());
    }
}

/// What scripts/scenario.sh says in the end: of each message what was sent, acknowledged, refused, given up and still waits (`None`: nothing
/// acknowledges it), and the exit codes of our own centre and of the comparison.
#[test]
fn a_scenario_tells_whether_the_centre_held() {
    let dir = tempfile::tempdir().unwrap();
    let check = |messages: &[Option<[u64; 5]>], codes: &[&str], expected: (i32, &str)| {
        let of = |counts: &Option<[u64; 5]>| {
            let [sent, acknowledged, refused, given_up, pending] = counts.unwrap_or([9, 0, 0, 0, 0]);
            json!({"is_acknowledged": counts.is_some(), "sent": sent, "acknowledged": acknowledged, "refused": refused,
                "given_up": given_up, "pending": pending})
        };
        let stats = dir.path().join("stats.json");
        let all: Vec<Value> = messages.iter().map(of).collect();
        std::fs::write(&stats, json!({"messages": all}).to_string()).unwrap();
        let mut command = std::process::Command::new("python3");
        command.arg(path("scripts/held.py")).arg("x").arg(&stats).args(codes);
        let done = command.output().expect("python3");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!((done.status.code(), said.trim()), (Some(expected.0), expected.1), "{messages:?} {codes:?}");
    };
    let (fine, open) = (Some([5, 4, 0, 0, 1]), Some([3, 0, 0, 0, 3]));
    check(
        &[fine, None],
        &["0", "0"],
        (0, "x: the centre held (4 messages were acknowledged, 1 still waited at the end)"),
    );
    check(&[fine], &[], (0, "x: the centre held (4 messages were acknowledged, 1 still waited at the end)"));
    let lost = "x: the centre did NOT hold (2 of 9 messages were not acknowledged)";
    check(&[fine, Some([4, 2, 1, 1, 0])], &["0", "0"], (1, lost));
    check(&[fine, Some([4, 2, 1, 1, 0])], &[], (1, lost));
    let none = "x: the centre did NOT hold (none of 3 messages was acknowledged)";
    check(&[open, None], &["0", "0"], (1, none));
    check(&[open], &[], (1, none));
    let why = "x: the centre did NOT hold (its report or the comparison of the ledgers says why)";
    check(&[fine], &["1", "0"], (1, why));
    check(&[fine], &["0", "1"], (1, why));
    // Nothing needs an acknowledgement: the other end alone can tell.
    check(&[None], &["0", "0"], (0, "x: the centre held (0 messages were acknowledged, 0 still waited at the end)"));
    let nothing = "x: nothing tells whether the centre held (no message needed an acknowledgement)";
    check(&[None], &[], (2, nothing));
    check(&[], &[], (2, nothing));
}

#[test]
fn every_scenario_is_a_fleet_that_speaks_first_without_a_warning() {
    let mut scenarios = 0;
    for entry in std::fs::read_dir(path("config/scenarios")).unwrap() {
        let main = entry.unwrap().path().join("sys_config.json");
        if !main.is_file() {
            continue;
        }
        let (fleet, lines) = product::compiled(&main);
        assert_eq!(lines, [""; 0], "{}", main.display());
        let fleet = fleet.unwrap();
        assert!(fleet.fsus.iter().all(|fsu| fsu.talks && fsu.connect.is_some()), "{}", main.display());
        assert!(fleet.accounts.iter().any(|account| account.is_acknowledged), "{}", main.display());
        assert!(main.with_file_name("README.md").is_file());
        scenarios += 1;
    }
    assert_eq!(scenarios, 4);
}
