//! The format: JSON to an immutable plan, and bytes to checked views. No I/O beyond reading configuration files, no clock, no runtime.
//!
//! The rooms, in the order that data flows:
//!
//! - [`words`]: numbers in sentences.
//! - [`exit`]: exit codes. [`texts`]: the program's texts in other languages.
//! - [`counters`]: counters, each declared once.
//! - [`memory`]: what becomes of an allocation that fails.
//! - [`config`]: JSON files to raw values, every value with its place in its file; all errors at once.
//! - [`model`]: the plan itself: templates, fields, rules, faults, transfers, fleets.
//! - [`wire`]: bytes to checked views and back: outer frame, inner frame, stream framer. Pure.
//! - [`compile`]: raw values to a plan: offsets, byte order, checksum spans, rule tables, prebuilt replies.

pub mod compile;
pub mod config;
pub mod counters;
pub mod exit;
pub mod memory;
pub mod model;
pub mod texts;
pub mod wire;
pub mod words;
