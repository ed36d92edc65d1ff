//! Where files come from: a directory or the binary itself.
