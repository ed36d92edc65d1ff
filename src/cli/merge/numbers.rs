//! Adding up objects of numbers.

use serde_json::{Map, Value};

/// Adds each number of `more` to that of the same name; objects in it likewise. Words stay as they are.
pub(super) fn add(sum: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (sum.get_mut(name), value) {
            (None, _) => {
                sum.insert(name.clone(), value.clone());
            }
            (Some(Value::Object(sum)), Value::Object(more)) => add(sum, more),
            (Some(Value::Number(own)), Value::Number(more)) => {
                if let (Some(a), Some(b)) = (own.as_u64(), more.as_u64()) {
                    *own = a.saturating_add(b).into();
                }
            }
            _ => {}
        }
    }
}

/// Rows that are one where their `keys` are equal, each added up; in the order of their first one.
pub(super) fn rows(all: impl IntoIterator<Item = Map<String, Value>>, keys: &[&str]) -> Vec<Map<String, Value>> {
    let mut sums: Vec<Map<String, Value>> = Vec::new();
    for row in all {
        match sums.iter_mut().find(|sum| keys.iter().all(|key| sum.get(*key) == row.get(*key))) {
            Some(sum) => add(sum, &row),
            None => sums.push(row),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_of_one_name_are_added() {
        let check = |all: &[Value], keys: &[&str], expected: Value| {
            let all = all.iter().map(|row| row.as_object().unwrap().clone());
            assert_eq!(Value::from(rows(all, keys).into_iter().map(Value::Object).collect::<Vec<_>>()), expected);
        };
        let (a, b) = (json!({"t": "udp", "n": 1, "by": {"x": 2}}), json!({"t": "udp", "n": 5, "by": {"x": 1, "y": 1}}));
        check(&[a.clone(), b], &["t"], json!([{"t": "udp", "n": 6, "by": {"x": 3, "y": 1}}]));
        check(&[a.clone(), json!({"t": "tcp", "n": 5})], &["t"], json!([a, {"t": "tcp", "n": 5}]));
        check(&[json!({"n": u64::MAX}), json!({"n": 1})], &[], json!([{"n": u64::MAX}]));
    }
}
