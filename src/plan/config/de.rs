//! A serde deserializer over the tree that collects errors instead of stopping.
//!
//! Serde itself ends at the first error. Here the accesses to an object's and a list's parts
//! catch it: a wrong value of an optional key becomes `None`, a wrong element or entry is left
//! out, and the error is recorded with its place. So only an error that no optional key, list or
//! map stands around ends the whole.

use super::algorithm::ALGORITHM;
use super::at::{AT, At, MAP, ONE_OR_MANY, Pos};
use super::budget::{ALLOCATION_BYTES, Budget};
use super::diag::{DIAGS_MAX, Diag, Place, Severity};
use super::extent::{EXTENT, REST, WHEN};
use super::messages::{self, MESSAGES, RULES};
use super::near;
use super::node::{Content, Tree};
use super::steps::step;
use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::slice;

/// Characters of a wrong text that are shown.
const SHOWN_CHARS_MAX: usize = 40;

/// What is shown of a wrong text.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Lays a `T` over a whole file. What is wrong or odd is returned beside it; `None` if that is the root itself. Lists and
/// texts are charged to the budget; the rest is left out, which is reported.
pub fn from_tree<T: DeserializeOwned>(tree: &Tree, file: u32, budget: &Budget) -> (Option<At<T>>, Vec<Diag>) {
    let found = Found { file, budget, over: Cell::new(false), list: RefCell::default() };
    let value = At::deserialize(De { tree, found: &found, node: 0 }).map_err(|error| found.error(0, error)).ok();
    (value, found.list.into_inner())
}

/// Where diagnostics are collected.
struct Found<'b> {
    file: u32,
    budget: &'b Budget,
    /// It is past the budget, which was reported.
    over: Cell<bool>,
    list: RefCell<Vec<Diag>>,
}

impl Found<'_> {
    /// Is there room for that many bytes at that node?
    fn charge(&self, node: u32, bytes: usize) -> bool {
        step(1);
        if self.over.get() {
            return false;
        }
        let Err(over) = self.budget.charge(bytes) else { return true };
        self.over.set(true);
        self.add(Severity::Error, node, over.text("what stands here", bytes));
        false
    }

    /// Whether the list of diagnostics is full.
    fn is_full(&self) -> bool {
        self.list.borrow().len() >= DIAGS_MAX
    }

    fn error(&self, node: u32, error: Error) {
        self.add(Severity::Error, error.node.unwrap_or(node), error.text);
    }

    fn add(&self, severity: Severity, node: u32, text: String) {
        if self.over.get() && text.is_empty() {
            return; // the budget, which was reported
        }
        let place = Place::Node(Pos { file: self.file, node });
        self.list.borrow_mut().push(Diag { severity, place, text });
    }
}

/// One error on its way to whoever catches it.
#[derive(Debug)]
struct Error {
    /// `None`: where it is caught.
    node: Option<u32>,
    text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self { node: None, text: text.to_string() }
    }
}

/// Comments: nothing reads them. `$schema` is what editors read.
fn is_comment(key: &str) -> bool {
    key.starts_with('_') || key.starts_with("x-") || key == "$schema"
}

/// Comments too, except where keys are data.
fn is_description(key: &str) -> bool {
    key == "desc" || key == "description"
}

/// Whether the name of a column is that of a comment.
pub(super) fn is_aside(name: &str) -> bool {
    is_comment(name) || is_description(name)
}

/// The number that a cell of a table holds.
fn number_of(text: &str) -> Option<serde_json::Number> {
    let whole = text.parse::<u64>().map(Into::into).or_else(|_| text.parse::<i64>().map(Into::into));
    whole.ok().or_else(|| serde_json::Number::from_f64(text.parse().ok()?))
}

/// One node, to be deserialized.
#[derive(Clone, Copy)]
struct De<'a> {
    tree: &'a Tree,
    found: &'a Found<'a>,
    node: u32,
}

impl<'a> De<'a> {
    fn at(self, node: u32) -> Self {
        Self { node, ..self }
    }

    fn content(self) -> &'a Content {
        self.tree.content(self.node)
    }

    fn error<T>(self, text: String) -> Result<T, Error> {
        Err(Error { node: Some(self.node), text })
    }

    fn expected<T>(self, what: &str) -> Result<T, Error> {
        self.error(format!("expected {what}, found {}", self.shown()))
    }

    /// The value as a person would point at it.
    fn shown(self) -> String {
        match self.content() {
            Content::Null => "null".into(),
            Content::Bool(b) => b.to_string(),
            Content::Num(n) => n.to_string(),
            Content::Str(s) => serde_json::Value::String(shown(s)).to_string(),
            Content::Arr(_) => "a list".into(),
            Content::Obj(_) => "an object".into(),
        }
    }

    /// A number; one in quotes gets its own advice.
    fn number(self, what: &str) -> Result<serde_json::Number, Error> {
        match self.content() {
            Content::Num(n) => Ok(n.clone()),
            Content::Str(s) if self.tree.is_table() => match number_of(s) {
                Some(number) => Ok(number),
                None => self.expected(what),
            },
            Content::Str(s) if s.parse::<serde_json::Number>().is_ok() => {
                self.error(format!("expected {what}, found {} (write {s}, without quotes)", self.shown()))
            }
            _ => self.expected(what),
        }
    }

    fn signed(self) -> Result<i64, Error> {
        let number = self.number("a whole number")?;
        match (number.as_i64(), number.as_f64()) {
            (Some(n), _) => Ok(n),
            (None, Some(f)) if f.fract() == 0.0 && f.abs() < EXACT_MAX => Ok(f as i64),
            _ => self.expected("a whole number of at most 64 bits"),
        }
    }

    fn unsigned(self) -> Result<u64, Error> {
        let number = self.number("a whole number")?;
        match (number.as_u64(), number.as_f64()) {
            (Some(n), _) => Ok(n),
            (None, Some(f)) if f < 0.0 => self.expected("a whole number from 0 up"),
            (None, Some(f)) if f.fract() == 0.0 && f < EXACT_MAX => Ok(f as u64),
            (None, Some(f)) if f.fract() == 0.0 => self.expected("a whole number of at most 64 bits"),
            _ => self.expected("a whole number"),
        }
    }

    fn elements(self) -> Result<Elements<'a>, Error> {
        match self.content() {
            Content::Arr(list) => Ok(Elements { de: self, left: list.iter() }),
            _ => self.expected("a list"),
        }
    }

    fn entries(self, fields: Option<&'static [&'static str]>) -> Result<Entries<'a>, Error> {
        match self.content() {
            Content::Obj(list) => Ok(Entries { de: self, left: list.iter(), fields, without: &[], value: 0 }),
            _ => self.expected("an object"),
        }
    }

    /// Gives an error that has no place this one.
    fn place<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| Error { node: error.node.or(Some(self.node)), ..error })
    }
}

/// A list that grows has room for up to twice what is in it.
const VEC_GROWTH: usize = 2;

/// Whole numbers below this are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl<'de> de::Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(match self.content() {
            Content::Null => visitor.visit_unit(),
            Content::Bool(b) => visitor.visit_bool(*b),
            Content::Num(n) => match (n.as_u64(), n.as_i64()) {
                (Some(n), _) => visitor.visit_u64(n),
                (None, Some(n)) => visitor.visit_i64(n),
                (None, None) => visitor.visit_f64(n.as_f64().unwrap_or_default()),
            },
            Content::Str(s) => visitor.visit_str(s),
            Content::Arr(_) => visitor.visit_seq(self.elements()?),
            Content::Obj(_) => visitor.visit_map(self.entries(None)?),
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.content() {
            Content::Bool(b) => self.place(visitor.visit_bool(*b)),
            // As spreadsheets write them.
            Content::Str(s) if self.tree.is_table() && s.eq_ignore_ascii_case("true") => {
                self.place(visitor.visit_bool(true))
            }
            Content::Str(s) if self.tree.is_table() && s.eq_ignore_ascii_case("false") => {
                self.place(visitor.visit_bool(false))
            }
            _ => self.expected("true or false"),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_u64(self.unsigned()?))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_i64(self.signed()?))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.number("a number")?;
        self.place(visitor.visit_f64(number.as_f64().unwrap_or_default()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.content() {
            Content::Str(s) if !self.found.charge(self.node, s.len() + ALLOCATION_BYTES) => self.error(String::new()),
            Content::Str(s) => self.place(visitor.visit_str(s)),
            Content::Num(n) => self.error(format!("expected a text, found {n} (write \"{n}\", with quotes)")),
            _ => self.expected("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.content() {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_seq(self.elements()?))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.place(visitor.visit_map(self.entries(None)?))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.place(visitor.visit_map(self.entries(Some(fields))?))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            AT => self.place(visitor.visit_seq(AtParts { de: self, next: 0 })),
            MAP => self.deserialize_map(visitor),
            EXTENT => match self.content() {
                Content::Obj(_) => self.place(visitor.visit_newtype_struct(self)),
                Content::Str(word) if **word == *REST => self.place(visitor.visit_unit()),
                _ => self.place(visitor.visit_u64(self.unsigned()?)),
            },
            ALGORITHM => match self.content() {
                Content::Obj(_) => self.place(visitor.visit_newtype_struct(self)),
                _ => self.deserialize_str(visitor),
            },
            RULES => self.place(visitor.visit_seq(RuleParts { de: self, next: 0 })),
            WHEN => match self.content() {
                Content::Str(_) => self.deserialize_str(visitor),
                _ => self.place(visitor.visit_newtype_struct(self)),
            },
            ONE_OR_MANY => match self.content() {
                Content::Arr(_) => self.deserialize_seq(visitor),
                _ => self.place(visitor.visit_seq(One(Some(self)))),
            },
            _ => self.place(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

/// The elements of a list.
struct Elements<'a> {
    de: De<'a>,
    left: slice::Iter<'a, u32>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.left.next().map(|&node| seed.deserialize(self.de.at(node))).transpose()
    }

    /// So that a short list has no room for more than it holds.
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }

    /// A wrong element is recorded and left out.
    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, Error> {
        for &node in self.left.by_ref() {
            if !self.de.found.charge(node, VEC_GROWTH * size_of::<T>()) {
                return Ok(None);
            }
            match T::deserialize(self.de.at(node)) {
                Ok(value) => return Ok(Some(value)),
                Err(error) => self.de.found.error(node, error),
            }
        }
        Ok(None)
    }
}

/// A value that stands for a list of it alone; what is wrong with it is wrong with the list.
struct One<'a>(Option<De<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|de| seed.deserialize(de)).transpose()
    }

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, Error> {
        let de = self.0.take().filter(|de| de.found.charge(de.node, size_of::<T>()));
        de.map(T::deserialize).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.is_some().into())
    }
}

/// File, node and value, in turn.
struct AtParts<'a> {
    de: De<'a>,
    next: u8,
}

impl<'de> SeqAccess<'de> for AtParts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.next += 1;
        let number = |n: u32| -> U32Deserializer<Error> { n.into_deserializer() };
        match self.next {
            1 => seed.deserialize(number(self.de.found.file)).map(Some),
            2 => seed.deserialize(number(self.de.node)).map(Some),
            3 => seed.deserialize(self.de).map(Some),
            _ => Ok(None),
        }
    }
}

/// The rules of a rule file, and its messages, in turn.
struct RuleParts<'a> {
    de: De<'a>,
    next: u8,
}

impl<'de> SeqAccess<'de> for RuleParts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(Rules(self.de)).map(Some),
            2 | 3 => {
                let key = if self.next == 2 { MESSAGES } else { messages::WHEN };
                let Some(node) = self.de.tree.child(self.de.node, key) else { return Ok(None) };
                let messages = self.de.at(node);
                match seed.deserialize(messages) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => {
                        self.de.found.error(node, error);
                        Ok(None)
                    }
                }
            }
            _ => Ok(None),
        }
    }
}

/// The entries of a rule file but its messages.
struct Rules<'a>(De<'a>);

impl<'de> de::Deserializer<'de> for Rules<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let entries = self.0.entries(None)?;
        self.0.place(visitor.visit_map(Entries { without: &[MESSAGES, messages::WHEN], ..entries }))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The entries of an object: of a struct, if it has fields; else keys are data.
struct Entries<'a> {
    de: De<'a>,
    left: slice::Iter<'a, (u32, u32)>,
    fields: Option<&'static [&'static str]>,
    /// A key that is left out.
    without: &'static [&'static str],
    value: u32,
}

impl Entries<'_> {
    /// The next key that is no comment and, in a struct, known.
    fn advance(&mut self) -> Option<u32> {
        for &(key, value) in self.left.by_ref() {
            let text = self.de.tree.key(key);
            if self.without.contains(&text) {
                continue;
            }
            let known = match self.fields {
                Some(fields) => fields.contains(&text),
                None => !is_comment(text),
            };
            if known {
                self.value = value;
                return Some(key);
            }
            if let Some(fields) = self.fields
                && !is_comment(text)
                && !is_description(text)
            {
                let near = if self.de.found.is_full() { String::new() } else { suggestion(text, fields) };
                let text = format!("unknown key {}{near}", self.de.at(key).shown());
                self.de.found.add(Severity::Warning, key, text);
            }
        }
        None
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(key) = self.advance() else { return Ok(None) };
        if self.fields.is_some() {
            let text: StrDeserializer<'_, Error> = self.de.tree.key(key).into_deserializer();
            return seed.deserialize(text).map(Some);
        }
        seed.deserialize(self.de.at(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.de.at(self.value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }

    /// A wrong value is recorded and taken as absent, where it may be.
    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Error> {
        V::deserialize(self.de.at(self.value)).or_else(|error| match V::deserialize(Absent) {
            Ok(absent) => {
                self.de.found.error(self.value, error);
                Ok(absent)
            }
            Err(_) => Err(error),
        })
    }

    /// A wrong entry is recorded and left out; a description that is no entry is a comment.
    fn next_entry<K: Deserialize<'de>, V: Deserialize<'de>>(&mut self) -> Result<Option<(K, V)>, Error> {
        while let Some(key_node) = self.advance() {
            let (found, node) = (self.de.found, self.value);
            if !found.charge(key_node, VEC_GROWTH * size_of::<(K, V)>()) {
                return Ok(None);
            }
            let key = K::deserialize(self.de.at(key_node))?;
            let before = found.list.borrow().len();
            let value = V::deserialize(self.de.at(node));
            let is_odd = || found.list.borrow().len() > before;
            if is_description(self.de.tree.key(key_node)) && (value.is_err() || is_odd()) {
                found.list.borrow_mut().truncate(before);
                continue;
            }
            match value {
                Ok(value) => return Ok(Some((key, value))),
                Err(error) => found.error(node, error),
            }
        }
        Ok(None)
    }
}

/// A key that is not there.
struct Absent;

impl<'de> de::Deserializer<'de> for Absent {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// ` (did you mean "x"?)`, or the known keys if none is near.
pub(super) fn suggestion(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(near) => format!(" (did you mean \"{near}\"?)"),
        None => format!(" (known: {})", known.join(", ")),
    }
}

/// The known name that `name` is most likely a misspelling of.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let squeeze = |s: &str| s.to_lowercase().replace(['-', '_', ' '], "");
    if name.len() > near::NAME_BYTES_MAX {
        return None;
    }
    let name = squeeze(name);
    let known = known.iter().filter(|_| near::may_look());
    let near = known.map(|&k| (strsim::damerau_levenshtein(&name, &squeeze(k)), k)).min_by_key(|&(d, _)| d);
    near.filter(|&(distance, k)| distance <= 1 + k.len().min(name.len()) / 4).map(|(_, k)| k)
}
