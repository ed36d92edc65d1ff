//! A raw value and the place it came from.

use std::ops::Deref;

/// The place of a value: which file, and which node of its tree.
///
/// Resolved to `file:line:column: /pointer` by [`super::diag::Diags`] only when something is said about it.
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
    /// Where it stands.
    pub pos: Pos,
    /// What stands there.
    pub value: T,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
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

/// An object whose keys are data (rule files, `data`, `when`, `set`), in file order.
///
/// Comment keys (`_…`, `x-…`) are left out; `desc` and `description` are kept, since a field may bear that name.
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
