//! The golden vectors, read from `tests/vectors/`.

use super::fields::unhex;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Vendor directories under `config/vendors/` that vectors exist for.
pub const VENDORS: [&str; 6] = ["bangsun_old", "bangsun_new", "haineng", "yaao", "yingjia", "es1000"];

/// The local time of vectors that say none.
pub const NOW: &str = "2026-01-12T17:30:03";

pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(relative)
}

pub fn json_file(relative: &str) -> Value {
    let text = std::fs::read_to_string(path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{relative}: {e}"))
}

pub fn vectors(name: &str) -> Vec<Value> {
    json_file(&format!("tests/vectors/{name}.json")).as_array().unwrap().clone()
}

pub fn template(vendor: &str) -> Value {
    json_file(&format!("config/vendors/{vendor}/protocol.json"))
}

pub fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{vector} has no {key}"))
}

pub fn bytes(vector: &Value, key: &str) -> Vec<u8> {
    unhex(text(vector, key)).unwrap()
}

/// A rule file whose only command is the vector's, answered with the vector's values.
pub fn rule_file(vector: &Value) -> Value {
    json!({text(vector, "command"): {"data": vector["rule"].clone()}})
}
