//! A raw value and the place it came from.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// Longest text of a value: the largest field, written as hex.
pub const TEXT_BYTES_MAX: usize = 130_000;

/// The place of a value: which file, and which node of its tree.
///
/// Resolved to `file:line:column: /pointer` by [`super::diag::Diags`] only when it is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pos {
    /// Index of the file in [`super::diag::Diags`].
    pub file: u32,
    /// Index of the node in that file's tree; 0 is the root.
    pub node: u32,
}

/// A value with its place. Deserialized by [`super::de`] only; any other deserializer fails on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct At<T> {
    /// Where it is.
    pub pos: Pos,
    /// The value.
    pub value: T,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> At<T> {
    /// A value that is in no file.
    pub fn nowhere(value: T) -> Self {
        Self { pos: Pos::default(), value }
    }
}

/// Any JSON value, for keys whose type depends on another key (a field's `value`, rule data).
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as written.
    Num(serde_json::Number),
    /// A string.
    Str(String),
    /// An array.
    Arr(Vec<At<Json>>),
    /// An object, in file order.
    Obj(Vec<(At<String>, At<Json>)>),
}

impl Json {
    /// Parses a text as a JSON value that is in no file; `None`: it is not JSON.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<serde_json::Value>(text).ok().map(Self::from)
    }

    /// The text of a text, else the value as JSON.
    pub fn to_text(&self) -> String {
        if let Self::Str(text) = self { text.clone() } else { self.to_json().to_string() }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bit) => (*bit).into(),
            Self::Num(number) => number.clone().into(),
            Self::Str(text) => text.as_str().into(),
            Self::Arr(list) => list.iter().map(|item| item.to_json()).collect(),
            Self::Obj(list) => list.iter().map(|(key, value)| (key.value.clone(), value.to_json())).collect(),
        }
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(bit) => Self::Bool(bit),
            Value::Number(number) => Self::Num(number),
            Value::String(text) => Self::Str(text),
            Value::Array(list) => Self::Arr(list.into_iter().map(|value| At::nowhere(value.into())).collect()),
            Value::Object(object) => Self::Obj(
                object.into_iter().map(|(key, value)| (At::nowhere(key), At::nowhere(value.into()))).collect(),
            ),
        }
    }
}

/// An object whose keys are data (rule files, `data`, `when`, `set`), in file order.
///
/// Comment keys (`_…`, `x-…`) are left out; `desc` and `description` are kept, since a field may have that name.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// One value, or a list of them: both are read as a list.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Elements that a list has room for from the start, where it is said to have as many or more.
const HINTED_ELEMENTS: usize = 1_024;

// Names by which `de` recognises these types.
pub(super) const AT: &str = "$At";
pub(super) const MAP: &str = "$Map";
pub(super) const ONE_OR_MANY: &str = "$OneOrMany";

/// One visitor for the three containers below.
struct Parts<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AT, Parts::<Self>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<At<T>> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
        // Through a seed: an access that leaves wrong elements out must not do so here.
        let mut part = || seq.next_element_seed(PhantomData::<u32>)?.ok_or_else(|| A::Error::custom("no place"));
        let pos = Pos { file: part()?, node: part()? };
        let value = seq.next_element_seed(PhantomData::<T>)?.ok_or_else(|| A::Error::custom("no value"))?;
        Ok(At { pos, value })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(MAP, Parts::<Self>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<Map<T>> {
    type Value = Map<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<T>, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(HINTED_ELEMENTS));
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Map(entries))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ONE_OR_MANY, Parts::<Self>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<OneOrMany<T>> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany<T>, A::Error> {
        let mut list = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(HINTED_ELEMENTS));
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(OneOrMany(list))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Parts::<Self>(PhantomData))
    }
}

impl<'de> Visitor<'de> for Parts<Json> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Num(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Num(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Num))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        if value.len() > TEXT_BYTES_MAX {
            return Err(E::custom(format!("a text of {} bytes (a value has at most {TEXT_BYTES_MAX})", value.len())));
        }
        Ok(Json::Str(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(HINTED_ELEMENTS));
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Json::Arr(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json, A::Error> {
        Parts::<Map<At<Json>>>(PhantomData).visit_map(map).map(|map| Json::Obj(map.0))
    }
}
