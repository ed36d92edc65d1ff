//! A JSON file as a tree whose nodes know their place.
//!
//! JSON syntax itself is serde_json's: the text is checked by it as a whole, and walked over once after that, which needs
//! no more than to know where values begin and end. Numbers and escaped texts are serde_json's again.

use super::budget::{ALLOCATION_BYTES, Budget, DIAGS_MAX, Over};
use super::steps::step;
use serde::de::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Largest file, in bytes; a configuration file is read whole.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of objects and lists; bounds the stack.
pub const DEPTH_MAX: usize = 64;
/// Most keys and values in one file; about 64 bytes each.
pub const NODES_MAX: usize = 2_000_000;

/// Characters of a key that a pointer shows; past them it is cut, so that a report is bounded.
const POINTER_KEY_CHARS_MAX: usize = 100;
/// Bytes between places whose number of characters is kept: a column costs no walk along its line.
const MARK_BYTES: usize = 1024;
/// Keys up to which an object's are compared one by one.
const FEW_KEYS: usize = 8;

/// In a table: the node of the list of rows, and of the key `params`.
const ROWS: u32 = 2;
const PARAMS: u32 = 3;

/// The byte order mark some editors put first.
const BOM: &str = "\u{feff}";

/// One file.
#[derive(Debug, Default)]
pub struct Tree {
    path: Box<str>,
    text: Box<str>,
    /// Byte index of the first character of each line.
    lines: Box<[u32]>,
    /// Characters before every [`MARK_BYTES`]th byte.
    marks: Box<[u32]>,
    nodes: Vec<Node>,
    /// It is a table: every value is a text, and a number is one that reads so.
    is_table: bool,
}

/// A column of a table: the node of its key, and of its name. They differ where it holds a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) key: u32,
    pub(super) name: u32,
}

/// A row of a table; cells with byte index and text.
#[derive(Debug)]
pub(super) struct TableRow {
    /// Byte index of its first cell.
    pub(super) start: usize,
    /// Those that are not empty.
    pub(super) cells: Vec<(Column, usize, String)>,
}

/// One value, or one key of an object.
#[derive(Debug)]
struct Node {
    parent: u32,
    step: Step,
    start: u32,
    content: Content,
}

/// How a node is reached from its parent.
#[derive(Clone, Copy, Debug)]
enum Step {
    Root,
    /// Number of the node that holds the key; a key's node names itself.
    Key(u32),
    Index(u32),
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Num(serde_json::Number),
    /// A string, or a key.
    Str(Box<str>),
    /// A list: its elements.
    Arr(Box<[u32]>),
    /// An object: its keys and values, in file order, each key once.
    Obj(Box<[(u32, u32)]>),
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub text: String,
}

impl Tree {
    /// Parses a file; `path` is what is shown for it. Duplicate keys of an object are
    /// returned with the tree, which keeps the first. The tree is charged to the budget.
    pub fn parse(path: &str, text: String, budget: &Budget) -> Result<(Self, Vec<(u32, String)>), SyntaxError> {
        let at_start = |text: String| SyntaxError { line: 1, column: 1, text };
        if text.len() > FILE_BYTES_MAX {
            return Err(at_start(format!("the file has {} bytes (at most {FILE_BYTES_MAX})", text.len())));
        }
        let skipped = if text.starts_with(BOM) { BOM.len() } else { 0 };
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let kept = text.len() + size_of::<u32>() * (breaks + text.len() / MARK_BYTES);
        budget.charge(kept).map_err(|over| at_start(over.text("the text of this file", kept)))?;
        let lines = std::iter::once(skipped).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i + 1));
        let lines = lines.map(|start| start as u32).collect();
        let marks = marks(text.as_bytes());
        let tree = Self { path: path.into(), lines, marks, text: text.into(), nodes: Vec::new(), is_table: false };
        if tree.text[skipped..].trim_ascii().is_empty() {
            return Err(at_start("the file is empty".into()));
        }
        let mut builder = Builder { tree: &tree, budget, nodes: Vec::new(), duplicates: Vec::new() };
        let _: &RawValue = builder.open(&tree.text[skipped..])?;
        builder.value(skipped, 0, Step::Root, 0)?;
        let Builder { mut nodes, duplicates, .. } = builder;
        nodes.shrink_to_fit();
        Ok((Self { nodes, ..tree }, duplicates))
    }

    /// A table without rows yet, and where its first row begins: `{"fsu_csv": [...]}`, and the names of the columns as keys.
    pub(super) fn of_table(path: &str, text: String, bom: &str, budget: &Budget) -> Result<(Self, usize), SyntaxError> {
        let begin = if text.starts_with(bom) { bom.len() } else { 0 };
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        let kept = text.len() + size_of::<u32>() * (breaks + text.len() / MARK_BYTES);
        let over = |over: Over| SyntaxError { line: 1, column: 1, text: over.text("the text of this file", kept) };
        budget.charge(kept).map_err(over)?;
        let lines = std::iter::once(begin).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i + 1));
        let (lines, marks) = (lines.map(|start| start as u32).collect(), marks(text.as_bytes()));
        let mut tree = Self { path: path.into(), text: text.into(), lines, marks, nodes: Vec::new(), is_table: true };
        let root = tree.push_node(begin, (0, Step::Root), Content::Null, budget)?;
        let key = tree.push_node(begin, (root, Step::Root), Content::Str("fsu_csv".into()), budget)?;
        let rows = tree.push_node(begin, (root, Step::Key(key)), Content::Null, budget)?;
        let params = tree.push_node(begin, (root, Step::Root), Content::Str("params".into()), budget)?;
        debug_assert!((rows, params) == (ROWS, PARAMS));
        tree.nodes[root as usize].content = Content::Obj([(key, rows)].into());
        Ok((tree, begin))
    }

    /// Adds the name of a column.
    pub(super) fn push_column(&mut self, start: usize, name: &str, budget: &Budget) -> Result<u32, SyntaxError> {
        let node = self.push_node(start, (ROWS, Step::Index(1)), Content::Str(name.into()), budget)?;
        // It names itself.
        self.nodes[node as usize].step = Step::Key(node);
        Ok(node)
    }

    /// Adds a row; returns its node.
    pub(super) fn push_row(&mut self, row: TableRow, budget: &Budget) -> Result<u32, SyntaxError> {
        let (line, _) = self.line_column_of(row.start);
        let node = self.push_node(row.start, (ROWS, Step::Index(line as u32)), Content::Null, budget)?;
        let (mut keys, mut params) = (Vec::new(), Vec::new());
        for (Column { key, name }, start, text) in row.cells {
            let cell = self.push_node(start, (node, Step::Key(name)), Content::Str(text.into()), budget)?;
            (if key == name { &mut keys } else { &mut params }).push((key, cell));
        }
        if !params.is_empty() {
            let params = Content::Obj(params.into());
            let object = self.push_node(row.start, (node, Step::Key(PARAMS)), params, budget)?;
            keys.push((PARAMS, object));
        }
        self.nodes[node as usize].content = Content::Obj(keys.into());
        Ok(node)
    }

    /// All rows are there.
    pub(super) fn end_table(&mut self, budget: &Budget) -> Result<(), SyntaxError> {
        let is_row = |node: &Node| node.parent == ROWS && matches!(node.step, Step::Index(_));
        let rows: Vec<u32> =
            (0..).zip(&self.nodes).skip(ROWS as usize + 1).filter(|(_, node)| is_row(node)).map(|(at, _)| at).collect();
        let over = |over: Over| self.syntax_error(0, over.text("the tree of this file", 4 * rows.len()));
        budget.charge(4 * rows.len()).map_err(over)?;
        self.nodes[ROWS as usize].content = Content::Arr(rows.into());
        Ok(())
    }

    fn push_node(
        &mut self,
        start: usize,
        (parent, step): (u32, Step),
        content: Content,
        budget: &Budget,
    ) -> Result<u32, SyntaxError> {
        if self.nodes.len() >= NODES_MAX {
            return Err(self.syntax_error(start, format!("the file holds more than {NODES_MAX} keys and values")));
        }
        let more = match &content {
            Content::Str(text) => text.len() + ALLOCATION_BYTES,
            _ => 0,
        };
        let bytes = size_of::<Node>() + more;
        if let Err(over) = budget.charge(bytes) {
            return Err(self.syntax_error(start, over.text("the tree of this file", bytes)));
        }
        self.nodes.push(Node { parent, step, start: start as u32, content });
        Ok(self.nodes.len() as u32 - 1)
    }

    /// An error at a byte of the text.
    pub(super) fn syntax_error(&self, at: usize, text: String) -> SyntaxError {
        let (line, column) = self.line_column_of(at);
        SyntaxError { line, column, text }
    }

    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.is_table
    }

    /// What is shown for the file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What a node holds.
    pub fn content(&self, node: u32) -> &Content {
        self.nodes.get(node as usize).map_or(&Content::Null, |n| &n.content)
    }

    /// The text of a key.
    pub fn key(&self, node: u32) -> &str {
        match self.content(node) {
            Content::Str(s) => s,
            _ => "",
        }
    }

    /// The value of a key of an object.
    pub fn child(&self, node: u32, key: &str) -> Option<u32> {
        match self.content(node) {
            Content::Obj(entries) => entries.iter().find(|&&(k, _)| self.key(k) == key).map(|&(_, value)| value),
            _ => None,
        }
    }

    /// The element or value of the root that a node is in; `None` for the root itself.
    pub fn top(&self, node: u32) -> Option<u32> {
        let mut at = node;
        loop {
            let parent = self.nodes.get(at as usize)?.parent;
            if at == 0 || parent == 0 {
                return (at != 0).then_some(at);
            }
            at = parent;
        }
    }

    /// Line and column of a node; both from 1, the column in characters.
    pub fn line_column(&self, node: u32) -> (usize, usize) {
        self.nodes.get(node as usize).map_or((1, 1), |n| self.line_column_of(n.start as usize))
    }

    /// JSON pointer (RFC 6901) of a node; `/` for the root, where the RFC has an empty text.
    pub fn pointer(&self, node: u32) -> String {
        let mut steps = Vec::new();
        let mut at = self.nodes.get(node as usize);
        while let Some(n) = at {
            steps.push(match n.step {
                Step::Root => break,
                Step::Key(key) => pointer_step(self.key(key)),
                Step::Index(i) => i.to_string(),
            });
            at = self.nodes.get(n.parent as usize);
        }
        if steps.is_empty() {
            return "/".into();
        }
        steps.iter().rev().flat_map(|s| ["/", s]).collect()
    }

    fn line_column_of(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|&start| start as usize <= offset).max(1);
        let start = self.lines.get(line - 1).map_or(0, |&s| s as usize);
        (line, self.chars_before(offset).saturating_sub(self.chars_before(start)) + 1)
    }

    /// Characters of the text before a byte.
    fn chars_before(&self, offset: usize) -> usize {
        let mark = offset / MARK_BYTES;
        let rest = self.text.as_bytes().get(mark * MARK_BYTES..offset).unwrap_or_default();
        step(rest.len());
        self.marks.get(mark).map_or(0, |&chars| chars as usize) + chars(rest)
    }
}

/// Characters are counted by the bytes that begin one.
fn chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b & 0xC0 != 0x80).count()
}

fn marks(text: &[u8]) -> Box<[u32]> {
    let mut before = 0;
    let mark = |chunk: &[u8]| {
        let here = before;
        before += chars(chunk) as u32;
        here
    };
    // A place may be the end of the text.
    text.chunks(MARK_BYTES).chain(std::iter::once(&[][..])).map(mark).collect()
}

/// A key as a pointer has it.
fn pointer_step(key: &str) -> String {
    match key.char_indices().nth(POINTER_KEY_CHARS_MAX) {
        Some((end, _)) => pointer_step(&key[..end]) + "...",
        None => key.replace('~', "~0").replace('/', "~1"),
    }
}

/// The error for a text that is no JSON because of a comment at that byte.
fn comment_at(text: &str, at: usize) -> Option<String> {
    let begins = ["//", "/*", "#"].into_iter().find(|mark| text.as_bytes()[at..].starts_with(mark.as_bytes()))?;
    Some(format!("a `{begins}` comment, which JSON does not have (the keys `desc` and `_anything` hold comments)"))
}

struct Builder<'a> {
    tree: &'a Tree,
    budget: &'a Budget,
    nodes: Vec<Node>,
    duplicates: Vec<(u32, String)>,
}

impl<'a> Builder<'a> {
    /// A slice of the text as serde_json reads it.
    fn open<T: Deserialize<'a>>(&self, slice: &'a str) -> Result<T, SyntaxError> {
        serde_json::from_str(slice).map_err(|error| {
            // A raw value is only skimmed; parsing it gives better messages for some errors (a trailing comma).
            let error = serde_json::from_str::<serde_json::Value>(slice).err().unwrap_or(error);
            // serde_json counts lines and bytes within the slice.
            let line_start = match error.line() {
                0 | 1 => 0,
                n => memchr::memchr_iter(b'\n', slice.as_bytes()).nth(n - 2).map_or(0, |i| i + 1),
            };
            let within = (line_start + error.column().saturating_sub(1)).min(slice.len());
            let (line, column) = self.tree.line_column_of(self.offset(slice) + within);
            if let Some(text) = comment_at(slice, within) {
                return SyntaxError { line, column, text };
            }
            let text = error.to_string();
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            SyntaxError { line, column, text: text.into() }
        })
    }

    fn offset(&self, slice: &str) -> usize {
        slice.as_ptr() as usize - self.tree.text.as_ptr() as usize
    }

    fn error<T>(&self, at: usize, text: String) -> Result<T, SyntaxError> {
        let (line, column) = self.tree.line_column_of(at);
        Err(SyntaxError { line, column, text })
    }

    /// Charges the heap memory of a node.
    fn charge(&self, at: usize, bytes: usize) -> Result<(), SyntaxError> {
        self.budget.charge(bytes).or_else(|over: Over| self.error(at, over.text("the tree of this file", bytes)))
    }

    fn push(&mut self, start: usize, parent: u32, step: Step) -> Result<u32, SyntaxError> {
        if self.nodes.len() >= NODES_MAX {
            return self.error(start, format!("the file holds more than {NODES_MAX} keys and values"));
        }
        self.charge(start, size_of::<Node>())?;
        self.nodes.push(Node { parent, step, start: start as u32, content: Content::Null });
        Ok(self.nodes.len() as u32 - 1)
    }

    /// The place of the first byte from `at` on that is no white space.
    fn skip(&self, at: usize) -> usize {
        let rest = self.tree.text.as_bytes().get(at..).unwrap_or_default();
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        step(blanks + 1);
        at + blanks
    }

    fn byte(&self, at: usize) -> u8 {
        self.tree.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// Adds the value that begins at `at` or behind blanks there, and returns its node and where it ends.
    fn value(&mut self, at: usize, parent: u32, step: Step, depth: usize) -> Result<(u32, usize), SyntaxError> {
        let at = self.skip(at);
        let node = self.push(at, parent, step)?;
        let (content, end) = match self.byte(at) {
            b'{' | b'[' if depth >= DEPTH_MAX => {
                return self.error(at, format!("objects and lists are nested deeper than {DEPTH_MAX}"));
            }
            b'{' => self.object(at, node, depth)?,
            b'[' => self.list(at, node, depth)?,
            b'"' => {
                let (text, end) = self.string(at)?;
                self.charge(at, text.len() + ALLOCATION_BYTES)?;
                (Content::Str(text.into()), end)
            }
            b't' => (Content::Bool(true), at + 4),
            b'f' => (Content::Bool(false), at + 5),
            b'n' => (Content::Null, at + 4),
            _ => {
                let rest = &self.tree.text[at..];
                let len = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                let end = at + len.unwrap_or(rest.len());
                (Content::Num(self.open(&self.tree.text[at..end])?), end)
            }
        };
        if let Some(n) = self.nodes.get_mut(node as usize) {
            n.content = content;
        }
        Ok((node, end))
    }

    /// The text of the string that begins at `at`, and where it ends.
    fn string(&self, at: usize) -> Result<(Cow<'a, str>, usize), SyntaxError> {
        let bytes = self.tree.text.as_bytes();
        let (mut end, mut escaped) = (at + 1, false);
        while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(end..).unwrap_or_default()) {
            end += next + 1;
            if bytes.get(end - 1) == Some(&b'"') {
                break;
            }
            escaped = true;
            end += 1;
        }
        step(end - at);
        let end = end.min(bytes.len());
        let text = if escaped {
            Cow::Owned(self.open(&self.tree.text[at..end])?)
        } else {
            Cow::Borrowed(&self.tree.text[at + 1..end - 1])
        };
        Ok((text, end))
    }

    fn list(&mut self, at: usize, node: u32, depth: usize) -> Result<(Content, usize), SyntaxError> {
        let mut list = Vec::new();
        let mut next = self.skip(at + 1);
        while self.byte(next) != b']' {
            let (element, end) = self.value(next, node, Step::Index(list.len() as u32), depth + 1)?;
            list.push(element);
            next = self.skip(end);
            if self.byte(next) == b',' {
                next += 1;
            }
        }
        self.charge(at, size_of_val(&*list))?;
        Ok((Content::Arr(list.into()), next + 1))
    }

    fn object(&mut self, at: usize, node: u32, depth: usize) -> Result<(Content, usize), SyntaxError> {
        let mut list: Vec<(u32, u32)> = Vec::new();
        let mut first: HashMap<Cow<'a, str>, u32> = HashMap::new();
        let mut next = self.skip(at + 1);
        while self.byte(next) != b'}' {
            let (text, end) = self.string(next)?;
            self.charge(next, text.len() + ALLOCATION_BYTES)?;
            let key = self.push(next, node, Step::Root)?;
            if let Some(n) = self.nodes.get_mut(key as usize) {
                n.step = Step::Key(key);
                n.content = Content::Str(text.as_ref().into());
            }
            // After the colon.
            let (value, end) = self.value(self.skip(end) + 1, node, Step::Key(key), depth + 1)?;
            if let Some(other) = self.known(&text, &list, &first) {
                self.twice(key, other, &text);
            } else {
                list.push((key, value));
                self.remember(text, &list, &mut first);
            }
            next = self.skip(end);
            if self.byte(next) == b',' {
                next = self.skip(next + 1);
            }
        }
        self.charge(at, size_of_val(&*list))?;
        Ok((Content::Obj(list.into()), next + 1))
    }

    fn key(&self, node: u32) -> &str {
        match self.nodes.get(node as usize).map(|node| &node.content) {
            Some(Content::Str(text)) => text,
            _ => "",
        }
    }

    /// The key of that text among those that came before.
    fn known(&self, text: &str, list: &[(u32, u32)], first: &HashMap<Cow<'a, str>, u32>) -> Option<u32> {
        if first.is_empty() {
            step(list.len());
            return list.iter().find(|&&(key, _)| self.key(key) == text).map(|&(key, _)| key);
        }
        first.get(text).copied()
    }

    /// Many keys are looked up by a hash.
    fn remember(&self, text: Cow<'a, str>, list: &[(u32, u32)], first: &mut HashMap<Cow<'a, str>, u32>) {
        let Some(&(key, _)) = list.last().filter(|_| list.len() >= FEW_KEYS) else { return };
        if first.is_empty() {
            first.extend(list.iter().map(|&(key, _)| (Cow::Owned(self.key(key).to_owned()), key)));
        } else {
            first.insert(text, key);
        }
    }

    fn twice(&mut self, key: u32, other: u32, text: &str) {
        // Past what a report lists they are only counted.
        let told = if self.duplicates.len() < DIAGS_MAX {
            let start = self.nodes.get(other as usize).map_or(0, |n| n.start as usize);
            let (line, column) = self.tree.line_column_of(start);
            format!("the key \"{text}\" is given twice (first at {line}:{column})")
        } else {
            String::new()
        };
        self.duplicates.push((key, told));
    }
}
