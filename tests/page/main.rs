//! The dashboard: its files, and the page in a real browser.
//!
//! - [`assets`]: the files by themselves.
//! - [`browser`], [`keys`], [`site`]: Chromium, and a run with a control server for it to look at.
//! - the others: tests in the browser, by what they are about.

// A test that cannot go on says so with a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod assets;
mod browser;
mod fleet;
#[allow(dead_code)]
#[path = "../integration/harness.rs"]
mod harness;
mod keys;
#[path = "../control/load.rs"]
mod load;
mod loaded;
mod look;
mod numbers;
mod site;
mod steer;
mod told;
#[allow(dead_code)]
#[path = "../integration/wire.rs"]
mod wire;
