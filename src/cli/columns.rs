//! Aligned columns and hex dumps, for people.

use fsu_plan::texts::{Texts, width as columns_of};

/// Bytes on one line of a dump.
const LINE_BYTES: usize = 16;
/// Bytes in a group.
const GROUP_BYTES: usize = 4;

/// Upper-case hex without spaces.
pub fn hex(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

/// Upper-case hex in groups of four bytes, in lines of sixteen.
pub fn hex_lines(bytes: &[u8]) -> Vec<String> {
    let line = |line: &[u8]| line.chunks(GROUP_BYTES).map(hex).collect::<Vec<_>>().join(" ");
    bytes.chunks(LINE_BYTES).map(line).collect()
}

/// A dump: the offset of each line, and its bytes.
pub fn dump(bytes: &[u8], indent: usize) -> Vec<String> {
    let line = |(number, line)| format!("{:indent$}{:>5}  {line}", "", number * LINE_BYTES);
    hex_lines(bytes).into_iter().enumerate().map(line).collect()
}

/// Rows under a head, every column as wide as its widest cell; a cell of several lines makes several lines.
/// Columns in `right` are aligned to the right. A column without any cell is left out. `say` is the language of the texts.
pub fn columns(head: &[&str], right: &[usize], rows: &[Vec<String>], indent: usize, say: Texts) -> Vec<String> {
    let measure = |cell: &str| if say.is_english() { cell.chars().count() } else { columns_of(cell) };
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let used: Vec<bool> =
        (0..head.len()).map(|c| rows.iter().any(|row| row.get(c).is_some_and(|cell| !cell.is_empty()))).collect();
    let lines: Vec<Vec<&str>> = std::iter::once(&head).chain(rows).flat_map(|row| physical(row)).collect();
    let width = |c: usize| lines.iter().filter_map(|line| line.get(c)).map(|cell| measure(cell)).max();
    let widths: Vec<usize> = (0..head.len()).map(|c| width(c).unwrap_or(0)).collect();
    let print = |line: &Vec<&str>| {
        let mut out = " ".repeat(indent);
        for (column, cell) in line.iter().enumerate().filter(|(column, _)| used[*column]) {
            let fill = " ".repeat(widths[column] - measure(cell));
            let (before, after) = if right.contains(&column) { (&*fill, "") } else { ("", &*fill) };
            out.extend([before, cell, after, "  "]);
        }
        out.truncate(out.trim_end().len());
        out
    };
    lines.iter().map(print).collect()
}

/// The lines of a row whose cells may have several.
fn physical(row: &[String]) -> Vec<Vec<&str>> {
    let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
    (0..height).map(|line| row.iter().map(|cell| cell.lines().nth(line).unwrap_or_default()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["1", "", "aa\nbb"]), row(["200", "", "c"])];
        assert_eq!(
            columns(&["at", "no", "x"], &[0], &rows, 2, Texts::ENGLISH),
            ["   at  x", "    1  aa", "       bb", "  200  c"]
        );
    }

    #[test]
    fn dumps_have_sixteen_bytes_a_line() {
        assert_eq!(
            dump(&[0xA5; 18], 1),
            ["     0  A5A5A5A5 A5A5A5A5 A5A5A5A5 A5A5A5A5".to_owned(), "    16  A5A5".into()]
        );
    }
}
