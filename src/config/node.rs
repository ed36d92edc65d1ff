//! A JSON file as a tree whose nodes know their place.
//!
//! JSON syntax itself is serde_json's: every value is taken as a [`RawValue`] borrowed from the
//! text, whose address gives its place, and is then opened one level at a time.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Largest file, in bytes; a configuration file is read whole.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of objects and lists; bounds the stack, and the time to open them level by level.
pub const DEPTH_MAX: usize = 64;
/// Most keys and values in one file; about 64 bytes each.
pub const NODES_MAX: usize = 2_000_000;

/// The byte order mark some editors put first.
const BOM: &str = "\u{feff}";

/// One file.
#[derive(Debug, Default)]
pub struct Tree {
    path: Box<str>,
    text: Box<str>,
    /// Byte index of the first character of each line.
    lines: Box<[u32]>,
    nodes: Vec<Node>,
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

/// What is wrong with the text of a file.
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
    /// Parses a file; `path` is what is shown for it. Keys that stand twice in one object are
    /// returned beside the tree, which holds the first of them.
    pub fn parse(path: &str, text: String) -> Result<(Self, Vec<(u32, String)>), SyntaxError> {
        let skipped = if text.starts_with(BOM) { BOM.len() } else { 0 };
        let lines =
            std::iter::once(skipped as u32).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i as u32 + 1));
        let tree = Self { path: path.into(), lines: lines.collect(), text: text.into(), nodes: Vec::new() };
        if tree.text.len() > FILE_BYTES_MAX {
            let text = format!("the file has {} bytes (at most {FILE_BYTES_MAX})", tree.text.len());
            return Err(SyntaxError { line: 1, column: 1, text });
        }
        if tree.text[skipped..].trim_ascii().is_empty() {
            return Err(SyntaxError { line: 1, column: 1, text: "the file is empty".into() });
        }
        let mut builder = Builder { tree: &tree, nodes: Vec::new(), duplicates: Vec::new() };
        let root: &RawValue = builder.open(&tree.text[skipped..])?;
        builder.add(root, 0, Step::Root, 0)?;
        let Builder { nodes, duplicates, .. } = builder;
        Ok((Self { nodes, ..tree }, duplicates))
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
                Step::Key(key) => self.key(key).replace('~', "~0").replace('/', "~1"),
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
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Characters are counted by the bytes that begin one.
        (line, before.iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1)
    }
}

/// What is said where a text is no JSON because a comment begins at that byte.
fn comment_at(text: &str, at: usize) -> Option<String> {
    let begins = ["//", "/*", "#"].into_iter().find(|mark| text.as_bytes()[at..].starts_with(mark.as_bytes()))?;
    Some(format!("a `{begins}` comment, which JSON does not have (the keys `desc` and `_anything` hold comments)"))
}

struct Builder<'a> {
    tree: &'a Tree,
    nodes: Vec<Node>,
    duplicates: Vec<(u32, String)>,
}

impl<'a> Builder<'a> {
    /// Opens one level of a slice of the text.
    fn open<T: Deserialize<'a>>(&self, slice: &'a str) -> Result<T, SyntaxError> {
        serde_json::from_str(slice).map_err(|error| {
            // A raw value is skimmed; reading it whole tells some errors (a trailing comma) more plainly.
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

    fn error<T>(&self, slice: &str, text: String) -> Result<T, SyntaxError> {
        let (line, column) = self.tree.line_column_of(self.offset(slice));
        Err(SyntaxError { line, column, text })
    }

    fn push(&mut self, slice: &str, parent: u32, step: Step) -> Result<u32, SyntaxError> {
        if self.nodes.len() >= NODES_MAX {
            return self.error(slice, format!("the file holds more than {NODES_MAX} keys and values"));
        }
        let start = self.offset(slice) as u32;
        self.nodes.push(Node { parent, step, start, content: Content::Null });
        Ok(self.nodes.len() as u32 - 1)
    }

    fn add(&mut self, raw: &'a RawValue, parent: u32, step: Step, depth: usize) -> Result<u32, SyntaxError> {
        let slice = raw.get();
        let node = self.push(slice, parent, step)?;
        let content = match slice.as_bytes().first() {
            Some(b'{' | b'[') if depth >= DEPTH_MAX => {
                return self.error(slice, format!("objects and lists are nested deeper than {DEPTH_MAX}"));
            }
            Some(b'{') => self.add_object(slice, node, depth)?,
            Some(b'[') => {
                let elements: Vec<&'a RawValue> = self.open(slice)?;
                let mut list = Vec::with_capacity(elements.len());
                for (i, element) in elements.into_iter().enumerate() {
                    list.push(self.add(element, node, Step::Index(i as u32), depth + 1)?);
                }
                Content::Arr(list.into())
            }
            Some(b'"') => Content::Str(self.open(slice)?),
            Some(b't' | b'f') => Content::Bool(self.open(slice)?),
            Some(b'n') => Content::Null,
            _ => Content::Num(self.open(slice)?),
        };
        if let Some(n) = self.nodes.get_mut(node as usize) {
            n.content = content;
        }
        Ok(node)
    }

    fn add_object(&mut self, slice: &'a str, node: u32, depth: usize) -> Result<Content, SyntaxError> {
        let Entries(entries) = self.open(slice)?;
        let mut list = Vec::with_capacity(entries.len());
        let mut first: HashMap<Box<str>, u32> = HashMap::with_capacity(entries.len());
        for (raw_key, raw_value) in entries {
            let text: Box<str> = self.open(raw_key.get())?;
            let key = self.push(raw_key.get(), node, Step::Root)?;
            if let Some(n) = self.nodes.get_mut(key as usize) {
                n.step = Step::Key(key);
                n.content = Content::Str(text.clone());
            }
            let value = self.add(raw_value, node, Step::Key(key), depth + 1)?;
            if let Some(&other) = first.get(&text) {
                let start = self.nodes.get(other as usize).map_or(0, |n| n.start as usize);
                let (line, column) = self.tree.line_column_of(start);
                self.duplicates.push((key, format!("the key \"{text}\" stands twice (first at {line}:{column})")));
            } else {
                first.insert(text, key);
                list.push((key, value));
            }
        }
        Ok(Content::Obj(list.into()))
    }
}

/// The entries of an object, keys as they are written.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    list.push(entry);
                }
                Ok(Entries(list))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}
