//! Faults as JSON: those of a body, by the compiler that reads a configuration, and those that are armed.

use crate::api::error::Failure;
use fsu_plan::compile::faults::{Level, set};
use fsu_plan::config::at::At;
use fsu_plan::config::diag::{Diags, Place};
use fsu_plan::config::load::load_text;
use fsu_plan::config::raw::RawFaults;
use fsu_plan::model::fault::FaultSet;
use fsu_serve::steer::{Armed, faults_body};
use serde_json::{Map, Value, json};

/// Reads the keys of a `faults` object.
pub(super) fn parse(mut faults: Map<String, Value>, offline: Option<bool>) -> Result<FaultSet, Failure> {
    faults.extend(offline.map(|offline| ("offline".to_owned(), Value::Bool(offline))));
    if faults.is_empty() {
        return Err(Failure::bad("no fault is named (`{\"drop\": 0.1}`, `{\"offline\": true}`)"));
    }
    let mut diags = Diags::default();
    let raw: Option<At<RawFaults>> = load_text(&mut diags, "body", Value::Object(faults).to_string());
    let set = raw.map(|raw| set(&mut diags, &raw, Level::Fleet, &mut Vec::new()));
    // What would be a warning in a file is an error here: nobody reads it later.
    match (set, diags.list().first()) {
        (Some(set), None) => Ok(set),
        (_, Some(wrong)) => {
            let failure = Failure::bad(wrong.text.clone());
            match &wrong.place {
                Place::Node(pos) => Err(match diags.files.get(pos.file as usize) {
                    Some(tree) => failure.at(tree.pointer(pos.node)),
                    None => failure,
                }),
                Place::File { .. } => Err(failure),
            }
        }
        (None, None) => Err(Failure::bad("these are no faults")),
    }
}

/// What is armed, as it is asked for; `until_ms` since the start instead of `ttl_s`.
pub(super) fn armed(armed: &Armed) -> Value {
    let Value::Object(mut out) = faults_body(&armed.set) else { return Value::Null };
    out.extend(armed.until_ms.map(|until| ("until_ms".to_owned(), json!(until))));
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body, and the same as it is told; or what is wrong with it, and where.
    fn check(body: &str, expected: Result<&str, (&str, &str)>) {
        let body: Map<String, Value> = serde_json::from_str(body).expect("an object");
        let got = parse(body, None).map(|set| armed(&Armed { set: set.into(), until_ms: None }).to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(failure), Err((place, says))) => {
                assert_eq!(failure.pointer.as_deref().unwrap_or_default(), place, "{failure:?}");
                assert!(failure.message.contains(says), "{failure:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn faults_are_those_of_the_configuration() {
        check(r#"{"drop":0.25}"#, Ok(r#"{"drop":0.25}"#));
        check(r#"{"offline":true}"#, Ok(r#"{"offline":true}"#));
        check(
            r#"{"extra_delay_ms":{"p":0.5,"ms":200},"split":{"p":1}}"#,
            Ok(r#"{"extra_delay_ms":{"p":0.5,"ms":200},"split":{"p":1.0,"pieces":2,"gap_ms":20}}"#),
        );
        check("{}", Err(("", "no fault is named")));
        check(r#"{"drop":2}"#, Err(("/drop", "probability 2 (0 to 1)")));
        check(r#"{"drpo":0.1}"#, Err(("/drpo", "drop")));
        check(r#"{"extra_delay_ms":{"p":0.5}}"#, Err(("/extra_delay_ms", "ms")));
        check(r#"{"offline":1}"#, Err(("/offline", "")));
    }
}
