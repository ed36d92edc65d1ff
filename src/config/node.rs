//! A JSON file as a tree whose nodes know their place.

/// One file.
#[derive(Debug, Default)]
pub struct Tree {}
