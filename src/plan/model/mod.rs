//! The immutable plan: everything that serving needs, resolved once (spec: templates.md).
//!
//! A [`fleet::Fleet`] is compiled from raw configuration by [`crate::compile`], checked whole, and then
//! only read. Offsets, byte order, checksum spans, key tables, rule order and reply bytes are all
//! settled here; nothing is looked up by name while serving. Names are kept apart from the hot parts,
//! for display: the device log, `explain` and `plan`.

pub mod amplification;
pub mod calc;
pub mod charset;
pub mod coding;
pub mod connect;
pub mod conversation;
pub mod cron;
pub mod decimal;
pub mod digits;
pub mod fault;
pub mod field;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod fleet;
pub mod fsu;
pub mod identity;
pub mod kept;
pub mod keys;
pub mod message;
pub mod network;
pub mod prebuilt;
pub mod profile;
pub mod quick;
pub mod reload;
pub mod reply;
pub mod rule;
pub mod share;
pub mod shown;
pub mod sums;
pub mod template;
pub mod tls;
pub mod transfer;
pub mod walk;
