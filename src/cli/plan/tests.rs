//! Whole plans, against the files of `tests/golden`; `UPDATE_GOLDEN=1 cargo test` writes them anew.

use super::*;
use crate::cli::golden;

fn print(config: Option<&str>, fsu: &str, json: bool) -> String {
    let args = PlanArgs { config: config.map(Into::into), fsu: fsu.into(), json };
    let mut out = Vec::new();
    assert_eq!(plan(&args, &mut out).unwrap(), Exit::Ok);
    String::from_utf8(out).unwrap()
}

fn check(file: &str, fsu: &str) {
    golden::check(file, &print(Some("tests/golden/explain"), fsu, false));
}

#[test]
fn plans() {
    check("plan_fixed.txt", "hall");
    check("plan_ascii_hex.txt", "gate");
}

#[test]
fn an_id_is_shown_where_there_is_one() {
    let first =
        |fsu: &str| print(Some("tests/golden/explain"), fsu, false).lines().take(3).map(str::to_owned).collect();
    let check = |fsu: &str, expected: [&str; 3]| assert_eq!(Vec::<String>::as_slice(&first(fsu)), expected);
    check("gate", ["fsu gate", "  listens         tcp 127.0.0.1:40102", "  id              3230323530313236"]);
    check("nameless", ["fsu nameless", "  listens         tcp 127.0.0.1:40104", "  connections     at most 1024"]);
}

#[test]
fn json_has_the_same_facts() {
    let json: serde_json::Value = serde_json::from_str(&print(Some("tests/golden/explain"), "gate", true)).unwrap();
    let device = &json["devices"][0];
    assert_eq!(device["framing"], "by the length at [3..5]");
    assert_eq!(device["checksum"]["at"], -3);
    assert_eq!(device["keys"][0]["table"], serde_json::json!([["4AE1", [1, 2]]]));
    assert_eq!(device["commands"][1]["constants"][0]["bytes"], "01");
    assert_eq!(
        device["commands"][1]["rules"][1]["replies"][0]["patches"][0],
        "copy request[1..2] (ver) -> reply[1..2]"
    );
}

#[test]
fn every_embedded_fsu_has_one() {
    for fsu in &load(None).unwrap().fsus {
        let mut out = Vec::new();
        text::write(&FsuPlan::new(fsu), &mut out).unwrap();
        assert!(out.starts_with(format!("fsu {}\n", fsu.name).as_bytes()));
    }
}
