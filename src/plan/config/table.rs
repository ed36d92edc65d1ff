//! A file of comma-separated values (RFC 4180) as a [`Tree`], so that its cells are read and reported like the values of a JSON file.
//!
//! The first row names the columns. Rows and columns of messages are lines and characters of the file; the pointer is
//! `/fsu_csv/LINE/COLUMN`.

use super::at::At;
use super::at::Pos;
use super::budget::Budget;
use super::de;
use super::diag::{Diags, Severity};
use super::load::Loader;
use super::node::{Column, FILE_BYTES_MAX, SyntaxError, TableRow, Tree};
use super::raw::RawFsu;
use super::steps::step;
use std::collections::HashSet;
use std::path::Path;

/// Columns that are keys of an FSU: those whose values are a text, a number, or true and false.
pub const COLUMNS: [&str; 14] = [
    "fsuname",
    "fsuid",
    "host",
    "hosts",
    "port",
    "ports",
    "protocol_type",
    "heartbeat_interval",
    "heartbeat_enable",
    "heartbeat_reply",
    "config_dir",
    "count",
    "client_timeout",
    "accept_any_id",
];
/// What the names of columns with parameters begin with.
pub const PARAM: &str = "param.";
/// The byte order mark that spreadsheets put first.
const BOM: &str = "\u{feff}";

/// A cell: where it begins, and its text without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Byte index in the file.
    pub start: usize,
    /// What is in it.
    pub text: String,
}

impl Loader {
    /// Reads a table of FSUs. All that is wrong in it is put into [`Self::diags`]. `None`: nothing of it is of use, which was reported.
    pub fn load_fsus(&mut self, path: &Path, named_at: Pos) -> Option<Vec<At<RawFsu>>> {
        let file = self.file_by(path, named_at, table)?;
        let tree = self.diags.files.get(file as usize)?;
        let (value, found) = de::from_tree::<Rows>(tree, file, &self.diags.budget);
        for diag in found {
            self.diags.add(diag);
        }
        Some(value?.value.fsu_csv)
    }
}

/// The root of the tree.
#[derive(serde::Deserialize)]
struct Rows {
    #[serde(default)]
    fsu_csv: Vec<At<RawFsu>>,
}

/// The number of the table's tree; `None`: it is no table, which was reported.
fn table(diags: &mut Diags, shown: &str, text: String) -> Option<u32> {
    match parse(shown, text, &diags.budget) {
        Ok((tree, found)) => {
            let file = diags.files.len() as u32;
            diags.files.push(tree);
            for (node, severity, text) in found {
                let place = super::diag::Place::Node(Pos { file, node });
                diags.add(super::diag::Diag { severity, place, text });
            }
            Some(file)
        }
        Err(error) => {
            diags.error_at_file(shown, Some((error.line, error.column)), error.text);
            None
        }
    }
}

/// What is wrong at a node.
type Found = Vec<(u32, Severity, String)>;

fn parse(shown: &str, text: String, budget: &Budget) -> Result<(Tree, Found), SyntaxError> {
    let at_start = |text: String| SyntaxError { line: 1, column: 1, text };
    if text.len() > FILE_BYTES_MAX {
        return Err(at_start(format!("the file has {} bytes (at most {FILE_BYTES_MAX})", text.len())));
    }
    let (mut tree, begin) = Tree::of_table(shown, text, BOM, budget)?;
    let text = tree.text().to_owned();
    let mut rows = Cells { text: &text, at: begin };
    let Some(mut header) = rows.next_row().map_err(|(at, text)| tree.syntax_error(at, text))? else {
        return Err(at_start("the file is empty".into()));
    };
    while header.last().is_some_and(|cell| cell.text.is_empty()) {
        header.pop();
    }
    let mut found = Found::new();
    let columns = columns(&mut tree, &header, budget, &mut found)?;
    let mut many = 0;
    while let Some(mut row) = rows.next_row().map_err(|(at, text)| tree.syntax_error(at, text))? {
        step(row.len());
        while row.len() > header.len() && row.last().is_some_and(|cell| cell.text.is_empty()) {
            row.pop();
        }
        if row.iter().all(|cell| cell.text.is_empty()) {
            continue;
        }
        many += 1;
        let (cells, start) = (row.len(), row[0].start);
        let cells_of = row.into_iter().zip(&columns).filter_map(|(cell, column)| {
            let column = (*column)?;
            (!cell.text.is_empty()).then_some((column, cell.start, cell.text))
        });
        let node = tree.push_row(TableRow { start, cells: cells_of.collect() }, budget)?;
        if cells != header.len() {
            let text = format!("{cells} cells, and the first row has {}", header.len());
            found.push((node, Severity::Error, text));
        }
    }
    tree.end_table(budget)?;
    if many == 0 && found.is_empty() {
        return Err(at_start("no row follows the names of the columns".into()));
    }
    Ok((tree, found))
}

/// Each column; `None`: it is left out.
fn columns(
    tree: &mut Tree,
    header: &[Cell],
    budget: &Budget,
    found: &mut Found,
) -> Result<Vec<Option<Column>>, SyntaxError> {
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for cell in header {
        let name = &*cell.text;
        let parameter = name.strip_prefix(PARAM);
        let node = tree.push_column(cell.start, name, budget)?;
        let mut is_read = false;
        if name.is_empty() {
            found.push((node, Severity::Error, "a column without a name".into()));
        } else if !names.insert(name) {
            found.push((node, Severity::Error, format!("a second column `{}`", de::shown(name))));
        } else if COLUMNS.contains(&name) || parameter.is_some_and(|name| !name.trim().is_empty()) {
            is_read = true;
        } else if !de::is_aside(name) {
            let near = de::suggestion(name, &COLUMNS);
            let text = format!("unknown column \"{}\"{near}", de::shown(name));
            found.push((node, Severity::Warning, text));
        }
        let key = match parameter.filter(|_| is_read) {
            Some(parameter) => tree.push_column(cell.start, parameter, budget)?,
            None => node,
        };
        columns.push(is_read.then_some(Column { key, name: node }));
    }
    Ok(columns)
}

/// The cells of a text, row by row.
struct Cells<'t> {
    text: &'t str,
    at: usize,
}

impl Cells<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next row; `None` past the last. A row ends with a line feed, with or without a carriage return before it.
    fn next_row(&mut self) -> Result<Option<Vec<Cell>>, (usize, String)> {
        if self.byte().is_none() {
            return Ok(None);
        }
        let mut row = Vec::new();
        loop {
            row.push(self.cell()?);
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b'\n') => {
                    self.at += 1;
                    return Ok(Some(row));
                }
                _ => return Ok(Some(row)),
            }
        }
    }

    /// The cell that begins here, up to the comma or line feed behind it.
    fn cell(&mut self) -> Result<Cell, (usize, String)> {
        let begin = self.at;
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.byte() == Some(b'"') {
            return self.quoted();
        }
        let rest = &self.text.as_bytes()[self.at..];
        let len = memchr::memchr2(b',', b'\n', rest).unwrap_or(rest.len());
        let text = self.text[self.at..self.at + len].trim();
        let start = if text.is_empty() { begin } else { self.at };
        self.at += len;
        Ok(Cell { start, text: text.to_owned() })
    }

    fn quoted(&mut self) -> Result<Cell, (usize, String)> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(len) = memchr::memchr(b'"', rest) else {
                return Err((start, "a cell begins with a quote and has no second one".into()));
            };
            text.push_str(&self.text[self.at..self.at + len]);
            self.at += len + 1;
            if self.byte() != Some(b'"') {
                break;
            }
            text.push('"');
            self.at += 1;
        }
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
        if matches!(self.byte(), None | Some(b',' | b'\n')) {
            return Ok(Cell { start, text });
        }
        Err((self.at, "a cell goes on behind its second quote (a quote within a cell is written twice)".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = Vec<(usize, String)>;

    /// The rows of a text: byte index and text of each cell.
    fn rows(text: &str) -> Result<Vec<Row>, (usize, String)> {
        let mut cells = Cells { text, at: 0 };
        let mut all = Vec::new();
        while let Some(row) = cells.next_row()? {
            all.push(row.into_iter().map(|cell| (cell.start, cell.text)).collect());
        }
        Ok(all)
    }

    #[test]
    fn cells_and_where_they_begin() {
        let check = |text: &str, expected: &[&[(usize, &str)]]| {
            let got = rows(text).expect("a table");
            let got: Vec<Vec<(usize, &str)>> =
                got.iter().map(|row| row.iter().map(|(at, text)| (*at, &**text)).collect()).collect();
            assert_eq!(got, expected, "{text:?}");
        };
        check("a,b\n1,2\n", &[&[(0, "a"), (2, "b")], &[(4, "1"), (6, "2")]]);
        check("a,b\r\n1,2", &[&[(0, "a"), (2, "b")], &[(5, "1"), (7, "2")]]);
        check(" a ,\t\"b\" ,\n", &[&[(1, "a"), (5, "b"), (10, "")]]);
        check("\"a,\"\"b\"\"\nc\",d", &[&[(0, "a,\"b\"\nc"), (12, "d")]]);
        check("5\" pipe,x\r\n\r\n\n", &[&[(0, "5\" pipe"), (8, "x")], &[(11, "")], &[(13, "")]]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_table() {
        let check = |text: &str, at: usize, expected: &str| {
            let (place, told) = rows(text).expect_err("no table");
            assert_eq!((place, told.contains(expected)), (at, true), "{told}");
        };
        check("a\n\"b,c\n", 2, "has no second one");
        check("a\n\"b\"c,d\n", 5, "goes on behind its second quote");
    }

    /// Every key of an FSU with a plain value is a column.
    #[test]
    fn columns_are_the_keys_with_plain_values() {
        let schema = serde_json::to_value(schemars::schema_for!(RawFsu)).expect("JSON");
        let keys = schema["properties"].as_object().expect("an object").iter();
        let is_plain = |value: &serde_json::Value| {
            let text = value.to_string();
            ["string", "integer", "number", "boolean"].iter().any(|kind| text.contains(&format!("\"{kind}\"")))
                && !text.contains("array")
                && !text.contains("object")
                && !text.contains("$ref")
        };
        let plain: HashSet<&str> = keys.filter(|(_, value)| is_plain(value)).map(|(key, _)| &**key).collect();
        let expected: HashSet<&str> = COLUMNS.into_iter().chain(["template"]).collect();
        assert_eq!(plain, expected);
    }
}
