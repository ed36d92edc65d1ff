//! The program's texts in other languages: one table a language, from an English text to that language's.
//!
//! The code has the English texts, where they are used. A table has one line for each text or kind of text:
//!
//! ```text
//! {#n} of {*sockets} cannot be bound: => {#n} 个无法绑定（共 {*sockets}）：
//! ```
//!
//! A placeholder matches one or more characters; `{#…}` a number, `{*…}` a text that is translated in turn. A text without a line
//! stays English; a text with `; ` or ` (` is translated part by part.

#[cfg(any(test, feature = "fixtures"))]
pub mod chinese;

use crate::model::fleet::Language;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Chinese.
const ZH: &str = include_str!("texts/zh.txt");
/// Between the English text and the other one, in a line of a table.
const BETWEEN: &str = " => ";
/// Between two clauses of a text.
const CLAUSE: &str = "; ";
/// Nesting depth of texts within texts; each level is shorter.
const LEVELS: usize = 8;

/// The texts of one language.
#[derive(Clone, Copy, Debug)]
pub struct Texts(Option<&'static Table>);

/// A language's table.
#[derive(Debug)]
struct Table {
    /// Texts without a placeholder.
    plain: HashMap<String, String>,
    /// The others, in the order of the file: the first that fits is taken.
    kinds: Vec<Kind>,
}

/// Texts that differ in their placeholders.
#[derive(Debug)]
struct Kind {
    english: Vec<Part>,
    other: Vec<Part>,
    /// The longest literal of the English text: most texts lack it, which is found out fast.
    mark: String,
}

impl Kind {
    fn new(english: &str, other: &str) -> Self {
        let english = parts(english);
        let literals = english.iter().filter_map(|part| if let Part::Literal(text) = part { Some(text) } else { None });
        let mark = literals.max_by_key(|text| text.len()).cloned().unwrap_or_default();
        Self { english, other: parts(other), mark }
    }
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A placeholder, with its mark.
    Any(String),
}

impl Texts {
    /// As the code says them.
    pub const ENGLISH: Self = Self(None);

    /// The texts of that language.
    pub fn of(language: Language) -> Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        match language {
            Language::En => Self::ENGLISH,
            Language::Zh => Self(Some(TABLE.get_or_init(|| Table::read(ZH)))),
        }
    }

    /// Whether texts stay as they are.
    pub fn is_english(self) -> bool {
        self.0.is_none()
    }

    /// That text in this language; the English one where the table has none.
    pub fn say(self, english: &str) -> Cow<'_, str> {
        match self.0.and_then(|table| table.say(english, LEVELS)) {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(english),
        }
    }

    /// The same line by line, for texts of several; white space around a line stays.
    pub fn lines(self, english: &str) -> Cow<'_, str> {
        if self.is_english() {
            return Cow::Borrowed(english);
        }
        let line = |line: &str| {
            let inner = line.trim();
            let (before, after) = line.split_at(line.find(inner).unwrap_or(0));
            format!("{before}{}{}", self.say(inner), &after[inner.len()..])
        };
        Cow::Owned(english.split('\n').map(line).collect::<Vec<_>>().join("\n"))
    }

    /// A line of a diagnostic: its place stays as it is.
    pub fn diag(self, english: &str) -> Cow<'_, str> {
        let at = |severity: &str| english.find(severity).map(|at| (at + 2, severity.len() - 4));
        let found = [": error: ", ": warning: ", ": info: "].iter().filter_map(|severity| at(severity)).min();
        match found.filter(|_| !self.is_english()) {
            Some((at, len)) => {
                let (severity, text) = (&english[at..at + len], &english[at + len + 2..]);
                Cow::Owned(format!("{}{}：{}", &english[..at], self.say(severity), self.say(text)))
            }
            None => self.say(english),
        }
    }

    /// Whether the table has this text, whole.
    pub fn has(self, english: &str) -> bool {
        self.0.is_some_and(|table| table.whole(english, LEVELS).is_some())
    }
}

impl Table {
    /// One text a line; `\n` stands for a new line in a text, and lines that begin with `//` are for those who read the file.
    fn read(text: &str) -> Self {
        let mut table = Self { plain: HashMap::new(), kinds: Vec::new() };
        for (english, other) in entries(text) {
            if english.contains('{') {
                table.kinds.push(Kind::new(&english, &other));
            } else {
                table.plain.insert(english, other);
            }
        }
        table
    }

    fn say(&self, english: &str, depth: usize) -> Option<String> {
        self.whole(english, depth).or_else(|| {
            // A text in brackets at the end; then clauses.
            let depth = depth.checked_sub(1)?;
            if let Some((text, note)) = bracketed(english) {
                let (said, noted) = (self.say(text, depth), self.say(note, depth));
                if said.is_some() || noted.is_some() {
                    let (said, noted) = (said.as_deref().unwrap_or(text), noted.as_deref().unwrap_or(note));
                    return Some(format!("{said}（{noted}）"));
                }
            }
            let (first, rest) = english.split_once(CLAUSE)?;
            let (said, then) = (self.say(first, depth), self.say(rest, depth));
            if said.is_none() && then.is_none() {
                return None;
            }
            Some(format!("{}；{}", said.as_deref().unwrap_or(first), then.as_deref().unwrap_or(rest)))
        })
    }

    fn whole(&self, english: &str, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        if let Some(text) = self.plain.get(english) {
            return Some(text.clone());
        }
        self.kinds.iter().filter(|kind| english.contains(&*kind.mark)).find_map(
            |Kind { english: kind, other, .. }| {
                let mut found = Vec::new();
                fits(kind, english, &mut found).then(|| {
                    let part = |part: &Part| match part {
                        Part::Literal(text) => text.clone(),
                        Part::Any(name) => {
                            let text = found.iter().find(|(known, _)| *known == name).map_or("", |&(_, text)| text);
                            let said = name.starts_with('*').then(|| self.say(text, depth)).flatten();
                            said.unwrap_or_else(|| text.to_owned())
                        }
                    };
                    other.iter().map(part).collect()
                })
            },
        )
    }
}

/// A text, and the one in brackets at its end.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_suffix(')')?;
    let mut open = 1;
    let start = inner.char_indices().rev().find(|&(_, c)| {
        open += i32::from(c == ')') - i32::from(c == '(');
        open == 0
    });
    let (at, _) = start?;
    Some((inner[..at].strip_suffix(' ')?, &inner[at + 1..])).filter(|(text, note)| !text.is_empty() && !note.is_empty())
}

/// The lines of a table: English, and the other language.
fn entries(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("//"));
    let new_lines = |text: &str| text.replace("\\n", "\n");
    lines
        .filter_map(move |line| line.split_once(BETWEEN).map(|(english, other)| (new_lines(english), new_lines(other))))
}

/// A text's pieces. Braces that are no placeholder's stand for themselves.
fn parts(text: &str) -> Vec<Part> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        let is_name = |name: &str| {
            let name = name.trim_start_matches(['#', '*']);
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        match after.split_once('}') {
            Some((name, end)) if is_name(name) => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Any(name.to_owned()));
                rest = end;
            }
            _ => {
                literal.push('{');
                rest = after;
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

/// Whether a text matches a kind, and what its placeholders match; shortest matches first.
fn fits<'t, 'k>(kind: &'k [Part], text: &'t str, found: &mut Vec<(&'k str, &'t str)>) -> bool {
    match kind {
        [] => text.is_empty(),
        [Part::Literal(literal), rest @ ..] => {
            text.strip_prefix(literal.as_str()).is_some_and(|text| fits(rest, text, found))
        }
        [Part::Any(name), rest @ ..] => {
            let most = match name.as_bytes().first() {
                Some(b'#') => text.bytes().position(|byte| !(byte.is_ascii_digit() || matches!(byte, b'.' | b','))),
                // Clauses are translated one by one.
                Some(b'*') => text.find(CLAUSE).map(|at| at + 1),
                _ => None,
            };
            let most = most.unwrap_or(text.len());
            // Only where what follows can begin.
            let may_follow = |after: &str| match rest {
                [] => after.is_empty(),
                [Part::Literal(literal), ..] => after.starts_with(literal.as_str()),
                [Part::Any(_), ..] => true,
            };
            let ends = text.char_indices().skip(1).map(|(at, _)| at).chain((!text.is_empty()).then_some(text.len()));
            for end in ends.take_while(|&end| end <= most).filter(|&end| may_follow(&text[end..])) {
                let (part, after) = text.split_at(end);
                let many = found.len();
                found.push((name, part));
                if fits(rest, after, found) {
                    return true;
                }
                found.truncate(many);
            }
            false
        }
    }
}

/// Terminal columns of a text: Chinese characters take two.
pub fn width(text: &str) -> usize {
    let is_wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6)
    };
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// A text, padded with spaces to this many columns.
pub fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_table_line_is_two_texts_with_the_same_placeholders() {
        let mut seen = BTreeSet::new();
        for (number, line) in ZH.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("//")) {
            let (english, other) = line.split_once(BETWEEN).unwrap_or_else(|| panic!("line {}: {line}", number + 1));
            assert!(!english.trim().is_empty() && !other.trim().is_empty(), "line {}: {line}", number + 1);
            assert!(seen.insert(english), "line {}: twice: {english}", number + 1);
            let names = |text: &str| -> BTreeSet<String> {
                let name = |part| if let Part::Any(name) = part { Some(name) } else { None };
                parts(text).into_iter().filter_map(name).collect()
            };
            assert_eq!(names(english), names(other), "line {}: {line}", number + 1);
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }

    #[test]
    fn no_line_hides_a_later_one() {
        let table = Table::read(ZH);
        for kind in &table.kinds {
            let sample: String = kind.english.iter().map(sample_of).collect();
            let first = table.kinds.iter().find(|kind| fits(&kind.english, &sample, &mut Vec::new()));
            let earlier = first.map(|kind| kind.other.iter().map(sample_of).collect::<String>());
            assert!(first.is_some_and(|first| std::ptr::eq(first, kind)), "{sample} is taken for {earlier:?}");
            assert!(!table.plain.contains_key(&sample), "{sample}");
        }
    }

    fn sample_of(part: &Part) -> String {
        match part {
            Part::Literal(text) => text.clone(),
            Part::Any(name) if name.starts_with('#') => "7".into(),
            Part::Any(_) => "x7".into(),
        }
    }

    #[test]
    fn texts_are_put_together() {
        let table = Table::read(
            "all is well => 一切正常\n{#n} errors => {#n} 个错误\n{*a}, {*b} => {*a}，{*b}\nkey `{key}` is unknown => 未知的键 `{key}`\nno reply => 无应答\n",
        );
        let check = |english: &str, expected: Option<&str>| {
            assert_eq!(table.say(english, LEVELS).as_deref(), expected, "{english}");
        };
        check("all is well", Some("一切正常"));
        check("3 errors", Some("3 个错误"));
        check("x errors", None);
        check("3 errors, 1 warning", Some("3 个错误，1 warning"));
        check("key `a}b` is unknown", Some("未知的键 `a}b`"));
        check("key `a` is unknown; no reply", Some("未知的键 `a`；无应答"));
        check("no reply (3 errors)", Some("无应答（3 个错误）"));
        check("3 errors (x (y) z); no reply", Some("3 个错误（x (y) z）；无应答"));
        check("no reply (a (b)); 1,234 errors (c (d))", Some("无应答（a (b)）；1,234 个错误（c (d)）"));
        check("3 errors, no reply; 4 errors, no reply", Some("3 个错误，无应答；4 个错误，无应答"));
        check("nothing (known); of it", None);
        check("", None);
    }

    #[test]
    fn english_stays() {
        assert_eq!(Texts::of(Language::En).lines("  a\nb "), "  a\nb ");
        assert_eq!(Texts(Some(Box::leak(Box::new(Table::read("a => 甲"))))).lines("  a\nb "), "  甲\nb ");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((width("abc"), width("驱动"), width("（a）")), (3, 4, 5));
        assert_eq!(padded("驱动", 6), "驱动  ");
    }
}
