//! Text for people on its way out: every line in the language of the run.

use super::columns::columns;
use fsu_plan::texts::{Texts, padded};
use std::io::{self, Write};

/// Takes English lines and writes them in the language of the run. English passes through as it is.
pub struct TextOut<'a> {
    out: &'a mut dyn Write,
    say: Texts,
    /// The line that is being written; empty in English.
    line: Vec<u8>,
}

impl<'a> TextOut<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write, say: Texts) -> Self {
        Self { out, say, line: Vec::new() }
    }

    /// A text in the language, for a part of a line.
    pub fn say(&self, english: &str) -> String {
        self.say.say(english).into_owned()
    }

    /// Lines that are the same in every language: bytes, and what a program reads.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn verbatim(&mut self, lines: &[String]) -> io::Result<()> {
        self.flush_line()?;
        lines.iter().try_for_each(|line| writeln!(self.out, "{line}"))
    }

    /// A table, as [`columns`] lays it out. The head and the columns in `said` are in the language; the others hold names and
    /// values.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn table(&mut self, shape: &Shape<'_>, mut rows: Vec<Vec<String>>, indent: usize) -> io::Result<()> {
        let head: Vec<String> = shape.head.iter().map(|name| self.say(name)).collect();
        let cells = rows.iter_mut().flat_map(|row| row.iter_mut().enumerate());
        for (_, cell) in cells.filter(|(column, _)| shape.said.contains(column)) {
            *cell = self.say.lines(cell).into_owned();
        }
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let lines = columns(&head, shape.right, &rows, indent, self.say);
        self.verbatim(&lines)
    }

    /// Names and facts, the facts below each other from column `width`.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn facts(&mut self, facts: &[(&str, String)], width: usize) -> io::Result<()> {
        let line = |(name, fact): &(&str, String)| format!("  {}{}", padded(&self.say(name), width), self.say(fact));
        let lines: Vec<String> = facts.iter().map(line).collect();
        self.verbatim(&lines)
    }

    fn flush_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out.write_all(self.say.lines(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

/// What a table's columns are.
pub struct Shape<'a> {
    /// Their names, in English.
    pub head: &'a [&'a str],
    /// Those aligned to the right.
    pub right: &'a [usize],
    /// Those whose cells are texts.
    pub said: &'a [usize],
}

impl Write for TextOut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.say.is_english() {
            return self.out.write(bytes);
        }
        self.line.extend_from_slice(bytes);
        if bytes.contains(&b'\n') {
            let end = self.line.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let rest = self.line.split_off(end);
            self.flush_line()?;
            self.line = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_line()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::model::fleet::Language;

    fn written(language: Language, write: impl FnOnce(&mut TextOut<'_>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut TextOut::new(&mut bytes, Texts::of(language))).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_said_whole_however_it_is_written() {
        let check = |pieces: &[&str], english: &str, chinese: &str| {
            for (language, expected) in [(Language::En, english), (Language::Zh, chinese)] {
                let write = |out: &mut TextOut<'_>| pieces.iter().try_for_each(|piece| out.write_all(piece.as_bytes()));
                assert_eq!(written(language, write), expected);
            }
        };
        check(&["3 err", "ors", "\n"], "3 errors\n", "3 个错误\n");
        check(&["  3 errors\n\n2 war", "nings\n"], "  3 errors\n\n2 warnings\n", "  3 个错误\n\n2 个警告\n");
    }

    #[test]
    fn what_is_verbatim_is_not_said() {
        let write = |out: &mut TextOut<'_>| {
            write!(out, "3 errors\n3 ")?;
            out.verbatim(&["3 errors".into()])
        };
        assert_eq!(written(Language::Zh, write), "3 个错误\n3 3 errors\n");
    }

    #[test]
    fn tables_count_the_columns_of_the_terminal() {
        let shape = Shape { head: &["vendor", "sent"], right: &[1], said: &[0] };
        let rows = || vec![vec!["all".to_owned(), "1".to_owned()], vec!["x".to_owned(), "all".to_owned()]];
        let write = |out: &mut TextOut<'_>| out.table(&shape, rows(), 2);
        assert_eq!(written(Language::En, write), "  vendor  sent\n  all        1\n  x        all\n");
        assert_eq!(written(Language::Zh, write), "  厂家  发出\n  合计     1\n  x      all\n");
    }
}
