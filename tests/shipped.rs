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
