//! Changes as calls of the control server, in a journal: method, path, body.

use crate::shard::steer::change::{Args, Change, TTL_S_MAX};
use fsu_plan::compile::faults;
use fsu_plan::model::fault::{FaultKind, FaultSet};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: String,
    /// What comes behind `/v1/fsus/GLOB/`.
    pub(super) path: String,
    pub(super) body: Value,
}

/// The call that makes a change.
pub(super) fn call(change: &Change) -> Call {
    let of = |method: &str, path: String, body: Value| Call { method: method.to_owned(), path, body };
    match change {
        // The times at which it was said are those of the lines.
        Change::Trigger { message, args, over_ms: _ } => {
            let args: Map<String, Value> =
                args.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect();
            of("POST", "trigger".to_owned(), json!({"message": message, "args": args}))
        }
        Change::Register { device, name, key, value } => {
            let body = json!({"value": value, "device": device, "key": key});
            of("PUT", format!("registers/{name}"), without_nulls(body))
        }
        Change::Memory { device, area, at, bytes } => {
            let body = json!({"at": at, "hex": hex::encode_upper(bytes), "device": device});
            of("PUT", format!("memory/{area}"), without_nulls(body))
        }
        // The end of their time has a line of its own.
        Change::Faults { set, ttl_ms: _ } => of("PUT", "faults".to_owned(), faults_body(set)),
        Change::ClearFaults => of("DELETE", "faults".to_owned(), Value::Null),
    }
}

fn without_nulls(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.retain(|_, value| !value.is_null());
    }
    body
}

/// A set of faults as `faults` of sys_config.json has it.
pub fn faults_body(set: &FaultSet) -> Value {
    let mut body = Map::new();
    for kind in FaultKind::ALL {
        let Some(p) = set.p(kind) else { continue };
        let value = match kind {
            FaultKind::Reorder => json!({"p": p, "ms": set.reorder_ms}),
            FaultKind::ExtraDelay => json!({"p": p, "ms": set.extra_delay_ms}),
            FaultKind::Split => json!({"p": p, "pieces": set.split_pieces, "gap_ms": set.split_gap_ms}),
            _ => json!(p),
        };
        body.insert(kind.key().to_owned(), value);
    }
    if let Some(offline) = set.offline {
        body.insert("offline".to_owned(), json!(offline));
    }
    Value::Object(body)
}

/// The change that a call makes, or what is wrong with it.
pub(super) fn change(call: &Call) -> Result<Change, String> {
    let mut body = match &call.body {
        Value::Object(body) => body.clone(),
        Value::Null => Map::new(),
        _ => return Err("`body` is no object".to_owned()),
    };
    let (what, name) = call.path.split_once('/').map_or((&*call.path, None), |(what, name)| (what, Some(name)));
    let change = match (call.method.as_str(), what, name) {
        ("POST", "trigger", None) => Change::Trigger {
            message: text(&mut body, "message")?.ok_or("`message` is missing")?,
            args: args(&mut body)?,
            // A line says of each FSU when it is: nothing is spread again.
            over_ms: match number(&mut body, "over_ms")?.unwrap_or(0) {
                0 => 0,
                _ => return Err("`over_ms` is for calls: in a journal `t_ms` and `at` say when".to_owned()),
            },
        },
        ("PUT", "registers", Some(name)) => Change::Register {
            device: device(&mut body)?,
            name: name.into(),
            key: text(&mut body, "key")?,
            value: text(&mut body, "value")?.ok_or("`value` is missing")?,
        },
        ("PUT", "memory", Some(area)) => Change::Memory {
            device: device(&mut body)?,
            area: area.into(),
            at: number(&mut body, "at")?.unwrap_or(0) as usize,
            bytes: bytes(&mut body)?,
        },
        ("PUT", "faults", None) => {
            let ttl_ms = match body.remove("ttl_s") {
                None => None,
                Some(ttl_s) => {
                    let ttl_s = ttl_s.as_f64().ok_or("`ttl_s` is no number")?;
                    if !(0.001..=TTL_S_MAX).contains(&ttl_s) {
                        return Err(format!("`ttl_s` is 0.001 to {TTL_S_MAX}"));
                    }
                    Some((ttl_s * 1_000.0) as u64)
                }
            };
            if body.is_empty() {
                return Err("no fault is named".to_owned());
            }
            let set = faults::from_text(&Value::Object(std::mem::take(&mut body)).to_string());
            Change::Faults { set: Arc::new(set.map_err(|lines| lines.join("; "))?), ttl_ms }
        }
        ("DELETE", "faults", None) => Change::ClearFaults,
        _ => return Err(format!("`{} {}` is no change of FSUs", call.method, call.path)),
    };
    match body.keys().next() {
        Some(key) => Err(format!("unknown key `{key}` in `body`")),
        None => Ok(change),
    }
}

fn text(body: &mut Map<String, Value>, key: &str) -> Result<Option<Box<str>>, String> {
    match body.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.into())),
        Some(_) => Err(format!("`{key}` is no text")),
    }
}

fn number(body: &mut Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
    let Some(value) = body.remove(key) else { return Ok(None) };
    value.as_u64().map(Some).ok_or_else(|| format!("`{key}` is no number from 0"))
}

fn device(body: &mut Map<String, Value>) -> Result<Option<u16>, String> {
    let number = number(body, "device")?.map(u16::try_from).transpose();
    number.map_err(|_| format!("`device` is more than {}", u16::MAX))
}

fn bytes(body: &mut Map<String, Value>) -> Result<Box<[u8]>, String> {
    let text = text(body, "hex")?.ok_or("`hex` is missing")?;
    let digits: String = text.split_whitespace().collect();
    let bytes = hex::decode(digits).map_err(|_| "`hex` is no hex digits in pairs".to_owned())?;
    if bytes.is_empty() { Err("`hex` is empty".to_owned()) } else { Ok(bytes.into()) }
}

fn args(body: &mut Map<String, Value>) -> Result<Args, String> {
    let Some(args) = body.remove("args") else { return Ok(Vec::new()) };
    let Value::Object(args) = args else { return Err("`args` is no object".to_owned()) };
    let one = |(name, value): (String, Value)| match value {
        Value::String(value) => Ok((name.into(), value.into())),
        // As a call takes it.
        Value::Number(number) if number.is_i64() => Ok((name.into(), number.to_string().into())),
        _ => Err(format!("argument `{name}` is no text and no whole number")),
    };
    args.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, body: Value, expected: Result<(), &str>) {
        let made = Call { method: method.to_owned(), path: path.to_owned(), body };
        let back = change(&made).map(|change| call(&change));
        assert_eq!(back, expected.map(|()| made).map_err(str::to_owned));
    }

    #[test]
    fn a_change_is_the_call_that_it_was() {
        check("POST", "trigger", json!({"message": "alarm", "args": {"kind": "02"}}), Ok(()));
        check("PUT", "registers/mode", json!({"value": "7", "device": 1, "key": "a"}), Ok(()));
        check("PUT", "memory/map", json!({"at": 2, "hex": "01AB"}), Ok(()));
        check("DELETE", "faults", Value::Null, Ok(()));
        let all = json!({"drop": 0.5, "reset": 1.0, "reorder_ms": {"p": 0.1, "ms": 5},
            "extra_delay_ms": {"p": 1.0, "ms": 20}, "split": {"p": 0.2, "pieces": 3, "gap_ms": 7}, "offline": true});
        check("PUT", "faults", all, Ok(()));
    }

    #[test]
    fn what_is_no_call() {
        check("POST", "reload", json!({}), Err("`POST reload` is no change of FSUs"));
        check("POST", "trigger", json!({"args": {}}), Err("`message` is missing"));
        check("POST", "trigger", json!({"message": "a", "x": 1}), Err("unknown key `x` in `body`"));
        let spread = json!({"message": "a", "over_ms": 5});
        check("POST", "trigger", spread, Err("`over_ms` is for calls: in a journal `t_ms` and `at` say when"));
        let far = json!({"value": "7", "device": 65_536});
        check("PUT", "registers/a", far, Err("`device` is more than 65535"));
        check("PUT", "memory/map", json!({"hex": " "}), Err("`hex` is empty"));
        check("PUT", "faults", json!({}), Err("no fault is named"));
        for ttl_s in [-5.0, 0.0, 1e300] {
            let body = json!({"drop": 1, "ttl_s": ttl_s});
            check("PUT", "faults", body, Err("`ttl_s` is 0.001 to 86400000"));
        }
        check("PUT", "memory/map", json!({"hex": "0"}), Err("`hex` is no hex digits in pairs"));
        check("PUT", "registers/a", json!({"value": 7}), Err("`value` is no text"));
        let wrong = change(&Call { method: "PUT".into(), path: "faults".into(), body: json!({"drop": 7, "dorp": 1}) });
        assert!(wrong.is_err_and(|why| why.contains("0 to 1") && why.contains("did you mean \"drop\"")));
    }
}
