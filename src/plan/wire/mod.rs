//! Bytes to checked views and back. Pure: slices in, slices out; no socket, clock or thread.
//!
//! - [`envelope`]: the B interface's outer frame (spec b-interface.md).
//! - [`inner`]: the vendor's frame after a template (spec templates.md).
//! - [`framer`]: cuts a stream into inner frames.
//! - [`value`]: a field's bytes to its JSON notation and back.
//! - [`checksum`]: the inner checksums. [`crc16`]: CRCs of 16 bits, from any register on.
//! - [`civil`]: the calendar that functions read.
//! - [`clock`]: a second's bytes in every form.
//! - [`walk`]: the cursor over data frames whose fields vary in size. [`quick`]: the same in fewer
//!   steps. [`varied`]: values of such fields.
//! - [`numerals`]: numbers in characters.
//! - [`shown`]: values with a scale, a unit or names.
//! - [`time`]: moments. [`charset`]: text in other character sets.
//! - [`reason`]: why something was not answered.

pub mod calc;
pub mod changed;
pub mod charset;
pub mod checksum;
pub mod civil;
pub mod clock;
pub mod coding;
pub mod crc16;
pub mod cron;
pub mod envelope;
mod find;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod framer;
pub mod inner;
pub mod numerals;
pub mod quick;
pub mod reason;
pub mod shown;
pub mod stuffing;
pub mod sums;
pub mod time;
pub mod value;
pub mod varied;
pub mod walk;
