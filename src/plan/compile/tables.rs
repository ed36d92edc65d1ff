//! Tables that `csv(file, column)` reads: one row a second, from the first again after the last.

use super::kept::{Kept, Table};
use crate::config::at::{At, Json};
use crate::config::load::Loader;
use crate::config::raw::RawRules;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest table, in bytes. One column of it takes eight bytes a row.
pub(super) const TABLE_BYTES_MAX: usize = 4 << 20;

/// The columns that were read so far, by path and column.
pub(super) type Tables = HashMap<(PathBuf, String), Table>;

/// Reads the columns that these rule files name.
pub(super) fn read(loader: &mut Loader, kept: &mut Kept, all: &mut Tables, files: &[(PathBuf, At<RawRules>)]) {
    for (path, file) in files {
        let mut named = Vec::new();
        let rules = file.value.0.0.iter().flat_map(|(_, list)| &list.0).map(|rule| Cow::Borrowed(&rule.value));
        let messages = file.value.1.iter().flat_map(|messages| &messages.value.0);
        for rule in rules.chain(messages.map(|(_, message)| Cow::Owned(message.rule()))) {
            let mut look = |value: &Json| calls(value, &mut named);
            rule.data
                .iter()
                .chain(rule.cycle.iter().flat_map(|cycle| cycle.value.iter().map(|turn| &turn.value)))
                .flat_map(|map| &map.0)
                .for_each(|(_, value)| look(&value.value));
            rule.set.iter().flat_map(|map| &map.0).for_each(|(_, value)| look(&value.value));
            let replies = rule.replies.iter().flat_map(|list| &list.value);
            replies
                .filter_map(|reply| reply.data.as_ref())
                .flat_map(|map| &map.0)
                .for_each(|(_, value)| look(&value.value));
            let test = rule.when.as_ref().and_then(|when| when.test.clone());
            if let Some(test) = test {
                look(&Json::Str(test.into()));
            }
            for store in rule.store.iter().flat_map(|list| &list.0) {
                let raw = &store.value;
                [&raw.at, &raw.bit, &raw.count, &raw.value].into_iter().flatten().for_each(|value| look(&value.value));
            }
        }
        for (name, column) in named {
            let place = (loader.join(path, &name), column.clone());
            let table = all.entry(place).or_insert_with_key(|(path, column)| self::column(loader, path, column));
            kept.tables.entry((name, column)).or_insert_with(|| table.clone());
        }
    }
}

/// The file and the column of each `csv(file, column)` in a value.
fn calls(value: &Json, out: &mut Vec<(String, String)>) {
    match value {
        Json::Str(text) => {
            for call in text.split("csv(").skip(1) {
                let Some((file, rest)) = call.split_once(',') else { continue };
                let Some((column, _)) = rest.split_once(')') else { continue };
                let plain = |text: &str| text.trim().trim_matches(['\'', '"']).to_owned();
                out.push((plain(file), plain(column)));
            }
        }
        Json::Arr(list) => list.iter().for_each(|value| calls(&value.value, out)),
        Json::Obj(object) => object.iter().for_each(|(_, value)| calls(&value.value, out)),
        Json::Null | Json::Bool(_) | Json::Num(_) => {}
    }
}

fn column(loader: &Loader, path: &Path, column: &str) -> Table {
    let shown = loader.source.show(path);
    let bytes = loader.source.read_up_to(path, TABLE_BYTES_MAX);
    let bytes = bytes.map_err(|reason| format!("{shown} cannot be read: {reason}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is no text"))?;
    let numbers = parse(&text, column).map_err(|wrong| format!("{shown}: {wrong}"))?;
    if loader.diags.budget.charge(8 * numbers.len()).is_err() {
        return Err(format!("{shown}: no memory for its rows"));
    }
    Ok(numbers)
}

/// The numbers of a column: by its name in the first line, or by its number from 0.
fn parse(text: &str, column: &str) -> Result<Arc<[f64]>, String> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).peekable();
    let cells =
        |line: &'_ str| line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
    let (_, first) = lines.peek().ok_or("no rows")?;
    let names = cells(first);
    let has_names = names.iter().any(|name| name.parse::<f64>().is_err());
    let named = if has_names { names.iter().position(|name| name == column) } else { None };
    let number = named.or_else(|| column.parse().ok().filter(|number| *number < names.len()));
    let number = number.ok_or_else(|| format!("no column `{column}` (its columns: {})", names.join(", ")))?;
    let mut out = Vec::new();
    for (line, row) in lines.skip(usize::from(has_names)) {
        let cells = cells(row);
        let cell = cells.get(number).map_or("", String::as_str);
        let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
        out.push(value.ok_or_else(|| format!("line {line}: `{cell}` is no number"))?);
    }
    if out.is_empty() { Err("no rows".into()) } else { Ok(out.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_name_and_by_number() {
        let check = |text: &str, column: &str, expected: Result<&[f64], &str>| {
            let got = parse(text, column);
            assert_eq!(got.as_deref().map_err(String::as_str), expected, "{column} of {text}");
        };
        let named = "time, \"u\"\n0, 220.5\n1, -1\n\n";
        check(named, "u", Ok(&[220.5, -1.0]));
        check(named, "1", Ok(&[220.5, -1.0]));
        check(named, "i", Err("no column `i` (its columns: time, u)"));
        check("1,2\n3,4", "1", Ok(&[2.0, 4.0]));
        check("a\n1\nx", "a", Err("line 3: `x` is no number"));
        check("a,b\n1", "b", Err("line 2: `` is no number"));
        check("a\n", "a", Err("no rows"));
        check("", "a", Err("no rows"));
    }

    #[test]
    fn calls_are_found_wherever_they_are() {
        let mut out = Vec::new();
        calls(&Json::Str("a${csv(x/y.csv, u)}$${1 + csv('z.csv', 2)}$".into()), &mut out);
        assert_eq!(out, [("x/y.csv".to_owned(), "u".to_owned()), ("z.csv".to_owned(), "2".to_owned())]);
    }
}
