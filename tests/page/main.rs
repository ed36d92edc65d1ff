//! The dashboard: its files, and the page in a real browser.

// A test that cannot go on says so with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod assets;
