//! What the decoder says about bytes. It is a part of the program, not of this crate.

use fsu_plan::model::fleet::Fleet;

/// Bytes of an FSU, and what is known about them.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The FSU's number in the fleet.
    pub fsu: u32,
    /// The bytes.
    pub bytes: &'a [u8],
    /// They came from the FSU.
    pub is_from_fsu: bool,
    /// When, in milliseconds since 1970.
    pub unix_ms: i64,
}

/// Says what bytes are.
pub trait Explain: Send + Sync {
    /// In one line.
    fn line(&self, fleet: &Fleet, frame: Frame<'_>) -> String;

    /// In lines, as `explain` prints it.
    fn text(&self, fleet: &Fleet, frame: Frame<'_>) -> String;

    /// As `explain --json` prints it.
    fn json(&self, fleet: &Fleet, frame: Frame<'_>) -> serde_json::Value;
}
