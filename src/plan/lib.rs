//! The format: JSON to an immutable plan, and bytes to checked views. No I/O beyond reading configuration files, no clock, no runtime.
//!
//! The rooms, in the order that data flows:
//!
//! - [`mod@words`]: the closed sets of words of the format, and numbers in sentences.
//! - [`exit`]: exit codes. [`texts`]: the program's texts in other languages.
//! - [`mod@counters`]: counters, each declared once.
//! - [`memory`]: what happens when an allocation fails.
//! - [`config`]: JSON files to raw values, every value with its place in its file; every error is reported.
//! - [`model`]: the plan itself: messages, templates, fields, rules, replies, faults, transfers, fleets.
//! - [`wire`]: bytes to checked views and back: envelope, inner frame, stream framer. Pure.
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
