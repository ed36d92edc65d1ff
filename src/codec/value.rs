//! A field's bytes to its JSON notation and back.
